//! What is known to be odd about tokens, by name. Nothing is decided by this table: abilities are measured
//! (see [`super::KwpVerdict`]). It explains to people what they see.

use keykit::store::StoreIdentity;

/// Something odd about a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quirk {
    /// A short name, for reports.
    pub name: &'static str,
    /// What it is and what follows, in a sentence.
    pub sentence: &'static str,
    /// The measurements ([`super::Measurement::name`]) that come out wrong because of it.
    pub measurements: &'static [&'static str],
    manufacturer: &'static str,
    /// Start of the model; empty for all.
    model: &'static str,
    /// Start of the firmware version; empty for all.
    firmware: &'static str,
}

const fn quirk(manufacturer: &'static str, firmware: &'static str, name: &'static str, sentence: &'static str) -> Quirk {
    Quirk { name, sentence, measurements: &[], manufacturer, model: "", firmware }
}

impl Quirk {
    /// The same, for a model.
    const fn of_model(self, model: &'static str) -> Self {
        Self { model, ..self }
    }

    /// The same, as the reason for measurements that are wrong.
    const fn explains(self, measurements: &'static [&'static str]) -> Self {
        Self { measurements, ..self }
    }
}

const QUIRKS: [Quirk; 19] = [
    quirk(
        "SoftHSM",
        "2.6",
        "kwp-zero-padding",
        "SoftHSM 2.6 adds up to seven zero bytes to a key before it wraps it (mended in 2.7.0); strict readers refuse such a blob, keykit cuts the zeros",
    )
    .explains(&["wrap/CKM_AES_KEY_WRAP_PAD"]),
    quirk("SoftHSM", "2.6", "no-rsa-aes-key-wrap", "SoftHSM 2.6 has no CKM_RSA_AES_KEY_WRAP; keykit wraps in two steps, which gives the same layout"),
    quirk("SoftHSM", "", "oaep-sha1-only", "SoftHSM takes OAEP with SHA-1 only; anything else is CKR_ARGUMENTS_BAD"),
    quirk(
        "SoftHSM",
        "",
        "oaep-label-ignored",
        "SoftHSM takes a label of OAEP for decryption and ignores it; keykit tests for that and does not use one there",
    )
    .explains(&["decrypt/CKM_RSA_PKCS_OAEP/label"]),
    quirk("SoftHSM", "", "kwp-is-0x210A", "SoftHSM offers RFC 5649 as CKM_AES_KEY_WRAP_PAD (0x210A), not as CKM_AES_KEY_WRAP_KWP (0x210B)"),
    quirk("SoftHSM", "", "unwrap-general-error", "SoftHSM reports a wrapped key that does not open as CKR_GENERAL_ERROR"),
    quirk("SoftHSM", "", "unwrap-without-public-key", "SoftHSM stores no public key when it unwraps a private one; keykit stores it beside"),
    quirk("SoftHSM", "", "concurrency-crash", "SoftHSM 2.6.1 is reported to crash under concurrent use; if it does, use one session"),
    quirk(
        "SoftHSM",
        "",
        "pkcs8-trailing-bytes",
        "SoftHSM takes a wrapped PKCS#8 key with any bytes behind it; what a blob holds is proven by the signature after the transfer, not by its length",
    ),
    quirk("Kryoptic", "", "kwp-is-0x210B", "kryoptic offers RFC 5649 as CKM_AES_KEY_WRAP_KWP (0x210B) only"),
    quirk(
        "Kryoptic",
        "",
        "kw-empty-secret",
        "kryoptic unwraps nothing at all (zero bytes) to an empty secret, with CKM_AES_KEY_WRAP and CKM_AES_KEY_WRAP_KWP; keykit checks lengths first",
    )
    .explains(&["refuse/CKM_AES_KEY_WRAP/nothing", "refuse/CKM_AES_KEY_WRAP_KWP/nothing"]),
    quirk("Kryoptic", "", "no-rsa-aes-key-wrap", "kryoptic has no CKM_RSA_AES_KEY_WRAP; keykit wraps in two steps, which gives the same layout"),
    quirk("Kryoptic", "", "unwrap-device-error", "kryoptic reports a wrapped key that does not open as CKR_DEVICE_ERROR"),
    quirk("Mozilla", "", "wrap-size-query", "NSS answers the size query of C_WrapKey with CKR_BUFFER_TOO_SMALL; keykit asks with a buffer at once"),
    quirk("Mozilla", "", "0x210A-is-not-rfc-5649", "NSS's older key wrap with padding is not RFC 5649; the self-test tells"),
    quirk("nCipher", "", "kwp-under-both-numbers", "nShield offers RFC 5649 as 0x210A and, from 13.x on, as 0x210B too"),
    quirk(
        "nCipher",
        "",
        "import-needs-all-numbers",
        "nShield takes a private key by C_CreateObject only with all eight numbers; keykit wraps keys in and never gives one in the clear",
    ),
    quirk("IBM", "", "no-rfc-5649", "the software token of opencryptoki has no AES key wrap with padding, so that no key can be wrapped in or out").of_model("Soft"),
    quirk("nCipher", "", "accelerator-without-login", "an nShield accelerator slot knows no login, and its keys have CKA_PRIVATE false"),
];

/// What is known to be odd about this token.
pub fn quirks_of(identity: &StoreIdentity) -> impl Iterator<Item = &'static Quirk> {
    QUIRKS.iter().filter(|quirk| {
        identity.manufacturer.contains(quirk.manufacturer) && identity.model.starts_with(quirk.model) && identity.firmware.starts_with(quirk.firmware)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(manufacturer: &str, firmware: &str) -> Vec<&'static str> {
        names_of_model(manufacturer, "", firmware)
    }

    fn names_of_model(manufacturer: &str, model: &str, firmware: &str) -> Vec<&'static str> {
        let identity = StoreIdentity {
            uri: "pkcs11:".into(),
            manufacturer: manufacturer.into(),
            model: model.into(),
            serial: String::new(),
            firmware: firmware.into(),
            label: String::new(),
        };
        quirks_of(&identity).map(|quirk| quirk.name).collect()
    }

    #[test]
    fn quirks_are_found_by_maker_and_firmware() {
        assert!(names("SoftHSM project", "2.6").contains(&"kwp-zero-padding"));
        assert!(!names("SoftHSM project", "2.7").contains(&"kwp-zero-padding"));
        assert!(names("SoftHSM project", "2.7").contains(&"oaep-sha1-only"));
        assert!(names("Kryoptic Project", "0.0").contains(&"kwp-is-0x210B"));
        assert!(names("somebody", "1.0").is_empty());
        assert!(names_of_model("IBM", "Soft", "").contains(&"no-rfc-5649"));
        assert!(!names_of_model("IBM", "EP11", "").contains(&"no-rfc-5649"));
    }

    #[test]
    fn names_are_used_once_for_a_maker() {
        let mut all: Vec<(&str, &str)> = QUIRKS.iter().map(|quirk| (quirk.manufacturer, quirk.name)).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), QUIRKS.len());
    }
}
