//! Mechanisms of a token: what it offers, by number and name.

use cryptoki::mechanism::MechanismType;
use cryptoki_sys::{
    CK_MECHANISM_TYPE, CK_ULONG, CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD, CKM_AES_KEY_WRAP_PKCS7, CKM_AES_XTS,
    CKM_AES_XTS_KEY_GEN, CKM_RSA_AES_KEY_WRAP, CKM_RSA_PKCS_OAEP_TPM_1_1, CKM_RSA_PKCS_TPM_1_1, CKM_RSA_X9_31, CKM_RSA_X9_31_KEY_PAIR_GEN,
};
use keykit::Result;
use serde::Serialize;

use super::store::Pkcs11Store;

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
    /// What it can do, as the token says: `sign`, `decrypt`, `wrap`, `unwrap`.
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
                let uses = [
                    (information.can_sign(), "sign"),
                    (information.can_decrypt(), "decrypt"),
                    (information.can_wrap(), "wrap"),
                    (information.can_unwrap(), "unwrap"),
                ];
                all.push(MechanismDescription {
                    code: number(code),
                    name: mechanism_name(number(code)),
                    minimum_key_size: number(information.minimum),
                    maximum_key_size: number(information.maximum),
                    uses: uses.into_iter().filter_map(|(can, name)| can.then_some(name)).collect(),
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
