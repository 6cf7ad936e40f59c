//! Mechanisms of a token: what it offers, by number and name.

use cryptoki::mechanism::MechanismType;
use cryptoki_sys::{
    CK_FLAGS, CK_MECHANISM_TYPE, CK_ULONG, CKF_DECRYPT, CKF_DERIVE, CKF_DIGEST, CKF_ENCRYPT, CKF_GENERATE, CKF_GENERATE_KEY_PAIR, CKF_HW, CKF_SIGN,
    CKF_SIGN_RECOVER, CKF_UNWRAP, CKF_VERIFY, CKF_VERIFY_RECOVER, CKF_WRAP, CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD,
    CKM_AES_KEY_WRAP_PKCS7, CKM_AES_XTS, CKM_AES_XTS_KEY_GEN, CKM_RSA_AES_KEY_WRAP, CKM_RSA_PKCS_OAEP_TPM_1_1, CKM_RSA_PKCS_TPM_1_1, CKM_RSA_X9_31,
    CKM_RSA_X9_31_KEY_PAIR_GEN, CKM_SHA224_RSA_PKCS,
};
use keykit::Result;
use serde::Serialize;

use super::store::Pkcs11Store;

/// The flags of C_GetMechanismInfo (PKCS#11 3.1 §3.5), by their words.
const USES: [(CK_FLAGS, &str); 13] = [
    (CKF_HW, "hardware"),
    (CKF_ENCRYPT, "encrypt"),
    (CKF_DECRYPT, "decrypt"),
    (CKF_DIGEST, "digest"),
    (CKF_SIGN, "sign"),
    (CKF_SIGN_RECOVER, "sign-recover"),
    (CKF_VERIFY, "verify"),
    (CKF_VERIFY_RECOVER, "verify-recover"),
    (CKF_GENERATE, "generate"),
    (CKF_GENERATE_KEY_PAIR, "generate-key-pair"),
    (CKF_WRAP, "wrap"),
    (CKF_UNWRAP, "unwrap"),
    (CKF_DERIVE, "derive"),
];

/// A mechanism as the token describes it (C_GetMechanismInfo).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MechanismDescription {
    /// The number, for example 0x210B.
    pub code: u64,
    /// The name, for example `CKM_AES_KEY_WRAP_KWP`; the number in hex if it has none.
    pub name: String,
    /// Smallest key, in the unit that the mechanism counts in (bits for RSA, bytes for AES).
    pub minimum_key_size: u64,
    /// Largest key.
    pub maximum_key_size: u64,
    /// What it can do, as the token says: `encrypt`, `decrypt`, `sign`, `wrap` and so on; `hardware` if a device does it.
    pub uses: Vec<&'static str>,
}

impl Pkcs11Store {
    /// Every mechanism of the token, in the order of their numbers. Those that no name is known for are there too.
    ///
    /// # Errors
    /// [`keykit::Error::Token`].
    pub fn mechanisms(&self) -> Result<Vec<MechanismDescription>> {
        let functions = &self.module.functions;
        let list = || {
            let mut codes = functions.mechanisms(self.slot)?;
            codes.sort_unstable();
            codes.dedup();
            let mut all = Vec::with_capacity(codes.len());
            for code in codes {
                let Some(information) = functions.mechanism_info(self.slot, code)? else { continue };
                all.push(MechanismDescription {
                    code: number(code),
                    name: mechanism_name(number(code)),
                    minimum_key_size: number(information.minimum),
                    maximum_key_size: number(information.maximum),
                    uses: USES.iter().filter_map(|(flag, name)| (information.flags & flag != 0).then_some(*name)).collect(),
                });
            }
            Ok(all)
        };
        list().map_err(|error| self.failed(error, "list the token's mechanisms"))
    }
}

/// A number of PKCS#11, which has 32 bits on some systems, with 64.
#[allow(clippy::useless_conversion, reason = "needed where CK_ULONG has 32 bits")]
pub(super) fn number(value: CK_ULONG) -> u64 {
    u64::from(value)
}

/// The name of a mechanism, for example `CKM_AES_KEY_WRAP_KWP` for 0x210B; the number in hex if it has none.
#[must_use]
pub fn mechanism_name(code: u64) -> String {
    CK_MECHANISM_TYPE::try_from(code).ok().and_then(known_name).unwrap_or_else(|| format!("0x{code:08X}"))
}

fn known_name(code: CK_MECHANISM_TYPE) -> Option<String> {
    let name = match code {
        CKM_AES_KEY_WRAP => "CKM_AES_KEY_WRAP",
        CKM_AES_KEY_WRAP_PAD => "CKM_AES_KEY_WRAP_PAD",
        CKM_AES_KEY_WRAP_KWP => "CKM_AES_KEY_WRAP_KWP",
        CKM_AES_KEY_WRAP_PKCS7 => "CKM_AES_KEY_WRAP_PKCS7",
        CKM_SHA224_RSA_PKCS => "CKM_SHA224_RSA_PKCS",
        CKM_AES_XTS => "CKM_AES_XTS",
        CKM_AES_XTS_KEY_GEN => "CKM_AES_XTS_KEY_GEN",
        CKM_RSA_AES_KEY_WRAP => "CKM_RSA_AES_KEY_WRAP",
        CKM_RSA_PKCS_TPM_1_1 => "CKM_RSA_PKCS_TPM_1_1",
        CKM_RSA_PKCS_OAEP_TPM_1_1 => "CKM_RSA_PKCS_OAEP_TPM_1_1",
        CKM_RSA_X9_31 => "CKM_RSA_X9_31",
        CKM_RSA_X9_31_KEY_PAIR_GEN => "CKM_RSA_X9_31_KEY_PAIR_GEN",
        other => return MechanismType::try_from(other).ok().map(|mechanism| mechanism.to_string()),
    };
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mechanisms_of_key_wrap_have_names() {
        assert_eq!(mechanism_name(0x210A), "CKM_AES_KEY_WRAP_PAD");
        assert_eq!(mechanism_name(0x210B), "CKM_AES_KEY_WRAP_KWP");
        assert_eq!(mechanism_name(0x1054), "CKM_RSA_AES_KEY_WRAP");
        assert_eq!(mechanism_name(0x0001), "CKM_RSA_PKCS");
        assert_eq!(mechanism_name(0xDE43_6972), "0xDE436972");
    }
}
