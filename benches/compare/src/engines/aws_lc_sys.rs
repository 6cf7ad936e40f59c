//! AWS-LC through its C interface, for what aws-lc-rs does not offer: RSA-1024 with SHA-1. What mode 1 would gain from foreign `unsafe`.

#![expect(unsafe_code, reason = "the C interface of AWS-LC; every block says why it is sound")]

use aws_lc_sys::{NID_sha1, RSA, RSA_free, RSA_private_key_from_bytes, RSA_sign, RSA_size};
use sha1::{Digest, Sha1};

use super::{Engine, Outputs, SignatureHash, each};
use crate::Result;
use crate::works::Key;

/// A key that this value alone owns.
pub(crate) struct AwsLcSys(*mut RSA);

// SAFETY: AWS-LC lets a key move between threads; only one at a time uses it here, because `sign` takes `&mut self`.
unsafe impl Send for AwsLcSys {}

impl AwsLcSys {
    pub(crate) fn new(key: &Key) -> Result<Self> {
        let der = key.secret.to_pkcs1_der();
        let der = der.expose();
        // SAFETY: the pointer and the length are of one slice, which the call only reads.
        let made = unsafe { RSA_private_key_from_bytes(der.as_ptr(), der.len()) };
        if made.is_null() { Err("AWS-LC refuses the key".into()) } else { Ok(Self(made)) }
    }
}

impl Drop for AwsLcSys {
    fn drop(&mut self) {
        // SAFETY: the key came from AWS-LC and nobody else has it.
        unsafe { RSA_free(self.0) };
    }
}

impl Engine for AwsLcSys {
    fn name(&self) -> &'static str {
        "aws-lc-sys"
    }

    fn sign(&mut self, hash: SignatureHash, bodies: &[&[u8]]) -> Outputs {
        if hash != SignatureHash::Sha1 {
            return Err(self.lacks("sign SHA-256 here"));
        }
        // SAFETY: the key is alive.
        let size = unsafe { RSA_size(self.0) } as usize;
        each(bodies, |body| {
            let digest = Sha1::digest(body);
            let mut signature = vec![0; size];
            let mut length = 0;
            // SAFETY: the digest's pointer and length belong together, the output has the size that AWS-LC asks for, the key is alive and
            // used by this thread alone.
            let good = unsafe { RSA_sign(NID_sha1, digest.as_ptr(), digest.len(), signature.as_mut_ptr(), &raw mut length, self.0) };
            if good == 1 && length as usize == size { Ok(signature) } else { Err("AWS-LC does not sign".into()) }
        })
    }
}
