//! New keys, with public exponent 65537.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use getrandom::SysRng;
use keykit::key::RsaSecretKey;
use keykit::{Error, Result};
use rsa::rand_core::UnwrapErr;

/// A new key of 1024 (for mode 1), 2048, 3072, 4096 or 8192 bits, made for `store`.
pub(super) fn generate(modulus_bits: usize, store: &str) -> Result<RsaSecretKey> {
    let size = match modulus_bits {
        1024 => return generate_small(modulus_bits),
        2048 => KeySize::Rsa2048,
        3072 => KeySize::Rsa3072,
        4096 => KeySize::Rsa4096,
        8192 => KeySize::Rsa8192,
        other => {
            return Err(Error::Unsupported {
                operation: format!("generate a key of {other} bits"),
                mechanism: "RSA of other sizes than 1024, 2048, 3072, 4096 and 8192 bits".into(),
                store: store.to_owned(),
            });
        }
    };
    let failed = |_| Error::Internal("aws-lc generates no key".into());
    let der = KeyPair::generate(size).and_then(|key| key.as_der()).map_err(failed)?;
    RsaSecretKey::from_pkcs8_der(der.as_ref())
}

fn generate_small(modulus_bits: usize) -> Result<RsaSecretKey> {
    let key = rsa::RsaPrivateKey::new(&mut UnwrapErr(SysRng), modulus_bits).map_err(|_| Error::Internal("no key is generated".into()))?;
    RsaSecretKey::from_rsa(&key)
}
