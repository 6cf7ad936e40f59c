//! keykit: whatever store it is, through the contract of all stores. The store uses the processors that it is given.

use keykit::key::{Digest, EncryptionScheme, Hash, KeyId, RsaPublicKey};
use keykit::store::{ImportPlaintext, KeyRequest, KeyStore};
use keykit_hsm_backends::memory::{EngineChoice, MemoryStore};
use keykit_rsa_lanes::Engine as Lanes;

use super::{Engine, Outputs, Scheme, SignatureHash, each};
use crate::works::Key;
use crate::{Result, during};

/// Environment variable that chooses the engine of keykit's memory store.
pub(crate) const ENGINE: &str = "KEYKIT_BENCH_ENGINE";

pub(crate) struct Keykit {
    name: &'static str,
    store: Box<dyn KeyStore>,
    public: RsaPublicKey,
    id: KeyId,
}

impl Keykit {
    /// The key in a memory store, with the engine that [`ENGINE`] names.
    pub(crate) fn in_memory(key: &Key) -> Result<Self> {
        let store = MemoryStore::new().with_engine(engine_choice()?);
        store.import_plaintext(&key.secret, &KeyRequest::labelled("bench")).map_err(during("keykit takes the key"))?;
        Ok(Self::over("keykit", Box::new(store), key))
    }

    /// A store that holds the key.
    pub(super) fn over(name: &'static str, store: Box<dyn KeyStore>, key: &Key) -> Self {
        let public = key.secret.public().clone();
        Self { name, store, id: public.id(), public }
    }

    /// Signs digests that are there already.
    pub(crate) fn sign_digests(&self, digests: &[Digest]) -> Outputs {
        self.store.sign(&self.id, digests).map_err(during("keykit signs"))
    }
}

/// The engine that [`ENGINE`] names. What else uses lanes in this process, as checks of signatures do, then uses those or none.
pub(crate) fn engine_choice() -> Result<EngineChoice> {
    let (choice, withdrawn): (_, &[Lanes]) = match std::env::var(ENGINE).as_deref() {
        Err(_) => (EngineChoice::Fastest, &[]),
        Ok("ifma") => (EngineChoice::Ifma, &[Lanes::Avx2]),
        Ok("avx2") => (EngineChoice::Avx2, &[Lanes::Ifma]),
        Ok("libraries") => (EngineChoice::Libraries, &Lanes::ALL),
        Ok(other) => return Err(format!("{ENGINE} is ifma, avx2 or libraries, and not {other}")),
    };
    withdrawn.iter().for_each(|lanes| lanes.withdraw());
    Ok(choice)
}

fn scheme_of(scheme: Scheme) -> EncryptionScheme {
    match scheme {
        Scheme::Pkcs1v15 => EncryptionScheme::Pkcs1v15,
        Scheme::OaepSha1 => EncryptionScheme::oaep(Hash::Sha1),
    }
}

fn hash_of(hash: SignatureHash) -> Hash {
    match hash {
        SignatureHash::Sha1 => Hash::Sha1,
        SignatureHash::Sha256 => Hash::Sha256,
    }
}

impl Engine for Keykit {
    fn name(&self) -> &'static str {
        self.name
    }

    fn sign(&mut self, hash: SignatureHash, bodies: &[&[u8]]) -> Outputs {
        let hash = hash_of(hash);
        let digests: Vec<Digest> = bodies.iter().map(|body| hash.digest(body)).collect();
        self.sign_digests(&digests)
    }

    fn decrypt(&mut self, scheme: Scheme, ciphertexts: &[&[u8]]) -> Outputs {
        let opened = self.store.decrypt(&self.id, &scheme_of(scheme), ciphertexts).map_err(during("keykit decrypts"))?;
        opened.into_iter().map(|plaintext| plaintext.map(|plaintext| plaintext.expose().to_vec()).map_err(during("keykit decrypts"))).collect()
    }

    fn encrypt(&mut self, scheme: Scheme, messages: &[&[u8]]) -> Outputs {
        let scheme = scheme_of(scheme);
        each(messages, |message| self.public.encrypt(&scheme, message).map_err(during("keykit encrypts")))
    }

    fn verify(&mut self, bodies: &[&[u8]], signatures: &[&[u8]]) -> Result<()> {
        let good = bodies.iter().zip(signatures).all(|(body, signature)| self.public.verify(&Hash::Sha256.digest(body), signature));
        if good { Ok(()) } else { Err("keykit refuses a signature".into()) }
    }
}
