//! A PKCS#11 token: keykit's store, and the loop of one who calls the module without a store.

use std::path::Path;

use cryptoki::context::Pkcs11;
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use keykit::key::Hash;
use keykit::secret::Password;
use keykit_hsm_backends::pkcs11::{Pkcs11Options, Pkcs11Store, Pkcs11Uri};

use super::raw_calls::RawCalls;
use super::{Engine, Keykit, Outputs, Scheme, SignatureHash, each};
use crate::works::Key;
use crate::{Result, during};

const LABEL: &str = "bench";
const PIN: &str = "1234";
/// Bytes of an answer under the token's key of 2048 bits.
const BUFFER: usize = 256;

/// keykit's PKCS#11 store with so many sessions.
pub(crate) fn keykit_token(module: &Path, sessions: usize, key: &Key) -> Result<Keykit> {
    let uri = Pkcs11Uri::parse(&format!("pkcs11:token={LABEL}?module-path={}", module.display())).map_err(during("the token's URI"))?;
    let options = Pkcs11Options { sessions, ..Pkcs11Options::default() };
    let store = Pkcs11Store::open(&uri, Some(Password::new(PIN.into())), options).map_err(during("keykit opens the token"))?;
    Ok(Keykit::over("keykit on SoftHSM", Box::new(store), key))
}

/// One session that was opened once, with a key that was found once: C_SignInit and C_Sign, or C_DecryptInit and C_Decrypt, over and over.
pub(crate) struct RawToken {
    session: Session,
    key: ObjectHandle,
    calls: RawCalls,
}

impl RawToken {
    /// The module is initialised and logged in once a process, which [`keykit_token`] has done: it must live on.
    pub(crate) fn open(module: &Path) -> Result<Self> {
        let doing = "the raw loop opens the token";
        let context = Pkcs11::new(module).map_err(during(doing))?;
        for slot in context.get_slots_with_initialized_token().map_err(during(doing))? {
            if context.get_token_info(slot).map_err(during(doing))?.label().trim_end() != LABEL {
                continue;
            }
            let session = context.open_rw_session(slot).map_err(during(doing))?;
            let keys = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).map_err(during(doing))?;
            let key = *keys.first().ok_or("the token holds no private key")?;
            return Ok(Self { session, key, calls: RawCalls::load(module)? });
        }
        Err(format!("there is no token {LABEL}"))
    }
}

impl Engine for RawToken {
    fn name(&self) -> &'static str {
        "raw loop on SoftHSM"
    }

    fn sign(&mut self, hash: SignatureHash, bodies: &[&[u8]]) -> Outputs {
        if hash != SignatureHash::Sha256 {
            return Err(self.lacks("sign SHA-1"));
        }
        each(bodies, |body| {
            let input = Hash::Sha256.digest(body).to_digest_info();
            let mut signature = vec![0; BUFFER];
            let length = self.calls.sign(&self.session, self.key, &input, &mut signature)?;
            signature.truncate(length);
            Ok(signature)
        })
    }

    fn decrypt(&mut self, scheme: Scheme, ciphertexts: &[&[u8]]) -> Outputs {
        if scheme != Scheme::OaepSha1 {
            return Err(self.lacks("decrypt PKCS#1 v1.5"));
        }
        each(ciphertexts, |ciphertext| {
            let mut plaintext = vec![0; BUFFER];
            let length = self.calls.decrypt(&self.session, self.key, ciphertext, &mut plaintext)?;
            plaintext.truncate(length);
            Ok(plaintext)
        })
    }
}
