//! The engines: each holds one key, prepared once.

mod aws_lc;
mod aws_lc_sys;
mod keykit_store;
mod openssl;
mod others;
mod raw_calls;
mod token;

pub(crate) use aws_lc::AwsLc;
pub(crate) use aws_lc_sys::AwsLcSys;
pub(crate) use keykit_store::{ENGINE, Keykit, engine_choice};
pub(crate) use openssl::OpenSsl;
pub(crate) use others::{Graviola, Ring, RustCrypto};
pub(crate) use token::{RawToken, keykit_token};

use keykit::threads::Working;

use crate::Result;

/// How a content key is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Pkcs1v15,
    OaepSha1,
}

/// The hash of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignatureHash {
    Sha1,
    Sha256,
}

/// Outputs in the order of the inputs.
pub(crate) type Outputs = Result<Vec<Vec<u8>>>;

/// RSA with one key, in batches. An engine answers for what it is asked to do; what it lacks is an error.
pub(crate) trait Engine: Send {
    fn name(&self) -> &'static str;

    /// Hashes and signs (RSASSA-PKCS1-v1_5).
    fn sign(&mut self, _: SignatureHash, _bodies: &[&[u8]]) -> Outputs {
        Err(self.lacks("sign"))
    }

    fn decrypt(&mut self, _: Scheme, _ciphertexts: &[&[u8]]) -> Outputs {
        Err(self.lacks("decrypt"))
    }

    fn encrypt(&mut self, _: Scheme, _messages: &[&[u8]]) -> Outputs {
        Err(self.lacks("encrypt"))
    }

    /// Hashes (SHA-256) and verifies; all signatures must be good.
    fn verify(&mut self, _bodies: &[&[u8]], _signatures: &[&[u8]]) -> Result<()> {
        Err(self.lacks("verify"))
    }

    fn lacks(&self, operation: &str) -> String {
        format!("{} cannot {operation}", self.name())
    }
}

/// Several engines of one kind, a thread for each: a batch is shared out. keykit counts them all as threads at work, as it does those of its
/// bulk machinery, and starts no further ones.
pub(crate) struct Threads(pub(crate) Vec<Box<dyn Engine>>);

impl Engine for Threads {
    fn name(&self) -> &'static str {
        self.0.first().map_or("", |engine| engine.name())
    }

    fn sign(&mut self, hash: SignatureHash, bodies: &[&[u8]]) -> Outputs {
        self.shared(bodies, |engine, bodies| engine.sign(hash, bodies))
    }

    fn decrypt(&mut self, scheme: Scheme, ciphertexts: &[&[u8]]) -> Outputs {
        self.shared(ciphertexts, |engine, ciphertexts| engine.decrypt(scheme, ciphertexts))
    }
}

impl Threads {
    fn shared(&mut self, items: &[&[u8]], work: impl Fn(&mut dyn Engine, &[&[u8]]) -> Outputs + Sync) -> Outputs {
        let share = items.len().div_ceil(self.0.len().max(1)).max(1);
        std::thread::scope(|scope| {
            let work = &work;
            let run = move |engine: &mut Box<dyn Engine>, items: &[&[u8]]| {
                let _working = Working::begin();
                work(engine.as_mut(), items)
            };
            let threads: Vec<_> = self.0.iter_mut().zip(items.chunks(share)).map(|(engine, items)| scope.spawn(move || run(engine, items))).collect();
            let mut outputs = Vec::with_capacity(items.len());
            for thread in threads {
                outputs.extend(thread.join().map_err(|_| "a thread ended early".to_owned())??);
            }
            Ok(outputs)
        })
    }
}

/// `items` through `work`, one after the other.
fn each<T: ?Sized>(items: &[&T], work: impl FnMut(&T) -> Result<Vec<u8>>) -> Outputs {
    let mut work = work;
    items.iter().map(|item| work(item)).collect()
}
