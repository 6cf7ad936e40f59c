//! Mechanisms with their parameters, in safe form.

use std::ffi::c_void;

use cryptoki_sys::{
    CK_MECHANISM, CK_MECHANISM_TYPE, CK_RSA_AES_KEY_WRAP_PARAMS, CK_RSA_PKCS_MGF_TYPE, CK_RSA_PKCS_OAEP_PARAMS, CK_ULONG, CKG_MGF1_SHA1,
    CKG_MGF1_SHA224, CKG_MGF1_SHA256, CKG_MGF1_SHA384, CKG_MGF1_SHA512, CKM_RSA_AES_KEY_WRAP, CKM_RSA_PKCS_OAEP, CKM_SHA_1, CKM_SHA224, CKM_SHA256,
    CKM_SHA384, CKM_SHA512, CKZ_DATA_SPECIFIED,
};
use keykit::key::Hash;

use super::RawMechanism;

/// A mechanism with its parameters.
#[derive(Debug, Clone, Copy)]
pub(in crate::pkcs11) enum Mechanism<'a> {
    /// One without parameters, or whose defaults are wanted (RFC 5649's initial value).
    Plain(CK_MECHANISM_TYPE),
    /// CKM_RSA_PKCS_OAEP (PKCS#11 3.1 §6.1.7).
    Oaep(Oaep<'a>),
    /// CKM_RSA_AES_KEY_WRAP (PKCS#11 3.1 §6.1.22).
    RsaAesKeyWrap {
        /// Size of the ephemeral AES key.
        aes_bits: CK_ULONG,
        /// Parameters of the OAEP step.
        oaep: Oaep<'a>,
    },
}

/// Parameters of OAEP.
#[derive(Debug, Clone, Copy)]
pub(in crate::pkcs11) struct Oaep<'a> {
    pub(in crate::pkcs11) hash: Hash,
    pub(in crate::pkcs11) mgf1: Hash,
    pub(in crate::pkcs11) label: &'a [u8],
}

impl Oaep<'_> {
    /// One hash for padding and mask, no label.
    pub(in crate::pkcs11) fn plain(hash: Hash) -> Self {
        Self { hash, mgf1: hash, label: &[] }
    }

    fn to_raw(self) -> CK_RSA_PKCS_OAEP_PARAMS {
        CK_RSA_PKCS_OAEP_PARAMS {
            hashAlg: hash_mechanism(self.hash),
            mgf: mask_function(self.mgf1),
            source: CKZ_DATA_SPECIFIED,
            pSourceData: if self.label.is_empty() { std::ptr::null_mut() } else { self.label.as_ptr().cast_mut().cast::<c_void>() },
            // A label comes from our own formats and is far below 4 GiB; one that is not makes the call fail, not overrun.
            ulSourceDataLen: CK_ULONG::try_from(self.label.len()).unwrap_or(0),
        }
    }
}

impl Mechanism<'_> {
    /// Hands a raw mechanism to `call`. It and its parameters live until `call` returns.
    pub(super) fn with_raw<T>(&self, call: impl FnOnce(RawMechanism) -> T) -> T {
        match *self {
            Self::Plain(mechanism) => {
                let mut raw = CK_MECHANISM { mechanism, pParameter: std::ptr::null_mut(), ulParameterLen: 0 };
                call(&raw mut raw)
            }
            Self::Oaep(oaep) => {
                let mut parameters = oaep.to_raw();
                with_parameters(CKM_RSA_PKCS_OAEP, &mut parameters, call)
            }
            Self::RsaAesKeyWrap { aes_bits, oaep } => {
                let mut inner = oaep.to_raw();
                let mut parameters = CK_RSA_AES_KEY_WRAP_PARAMS { ulAESKeyBits: aes_bits, pOAEPParams: &raw mut inner };
                with_parameters(CKM_RSA_AES_KEY_WRAP, &mut parameters, call)
            }
        }
    }
}

fn with_parameters<P, T>(mechanism: CK_MECHANISM_TYPE, parameters: &mut P, call: impl FnOnce(RawMechanism) -> T) -> T {
    // The structures of PKCS#11 have a few dozen bytes.
    let length = CK_ULONG::try_from(size_of::<P>()).unwrap_or(0);
    let mut raw = CK_MECHANISM { mechanism, pParameter: std::ptr::from_mut(parameters).cast::<c_void>(), ulParameterLen: length };
    call(&raw mut raw)
}

/// The mechanism that names a hash.
fn hash_mechanism(hash: Hash) -> CK_MECHANISM_TYPE {
    match hash {
        Hash::Sha224 => CKM_SHA224,
        Hash::Sha256 => CKM_SHA256,
        Hash::Sha384 => CKM_SHA384,
        Hash::Sha512 => CKM_SHA512,
        _ => CKM_SHA_1,
    }
}

/// The mask function of a hash.
fn mask_function(hash: Hash) -> CK_RSA_PKCS_MGF_TYPE {
    match hash {
        Hash::Sha224 => CKG_MGF1_SHA224,
        Hash::Sha256 => CKG_MGF1_SHA256,
        Hash::Sha384 => CKG_MGF1_SHA384,
        Hash::Sha512 => CKG_MGF1_SHA512,
        _ => CKG_MGF1_SHA1,
    }
}
