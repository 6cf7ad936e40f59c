//! Whole licences: re-keyed end to end, and verified.

use std::num::NonZero;

use keykit::key::{EncryptionScheme, Hash};
use keykit::licence::rekey::OPEN_EVERY;
use keykit::store::KeyStore;
use keykit::threads::Helpers;
use keykit::xml::{Encoding, encode};
use keykit::xrml::Document;
use keykit_benches::Workload;

use super::{BATCH, Setting, openssl, slices};
use crate::engines::{Engine, Scheme, SignatureHash, engine_choice};
use crate::machine::on_one_processor;
use crate::rounds::{Contestant, Work};
use crate::{Result, during, single};

/// What is shared by those who work on licences.
struct Batch {
    workload: Workload,
    licences: Vec<String>,
    documents: Vec<Document>,
    /// The RSA blocks of the sealed content keys.
    blocks: Vec<Vec<u8>>,
}

impl Batch {
    fn items(&self) -> Vec<&[u8]> {
        self.licences.iter().map(String::as_bytes).collect()
    }

    /// The batch lives as long as the process: the engine of re-keying borrows from it, and both are made once.
    fn make(setting: &Setting, count: usize) -> Result<&'static Self> {
        let doing = "licences are issued";
        let workload = Workload::new(&setting.old.secret, &setting.new.secret, engine_choice()?).map_err(during(doing))?;
        let licences = workload.licences(u32::try_from(count).unwrap_or(u32::MAX)).map_err(during(doing))?;
        let documents: Vec<Document> =
            licences.iter().map(|licence| Document::read(licence.as_bytes())).collect::<keykit::Result<_>>().map_err(during(doing))?;
        let sealed = documents.iter().filter_map(|document| document.sealed_keys().first());
        let blocks = sealed.filter_map(|sealed| sealed.enabling_bits.bytes.get(..256)).map(<[u8]>::to_vec).collect();
        Ok(Box::leak(Box::new(Self { workload, licences, documents, blocks })))
    }
}

/// Nothing to compare: every contestant checks its own results.
fn nothing(count: usize) -> Vec<Vec<u8>> {
    vec![Vec::new(); count]
}

impl Setting {
    /// Whole licences from the old key to the new one, beside the two private operations alone: what is more is parsing, checking,
    /// sealing and writing.
    pub(super) fn rekey_end_to_end(&self, name: &'static str, count: usize) -> Result<Work> {
        const PRIVATE: &str = "keykit, its two private operations alone";
        let batch = Batch::make(self, count)?;
        let mut contestants = vec![self.private_operations(batch)?];
        contestants.push(Contestant {
            name: PRIVATE.into(),
            run: Box::new(move || {
                let store = batch.workload.store();
                let scheme = EncryptionScheme::oaep(Hash::Sha1);
                let opened = store.decrypt(&batch.workload.old_key(), &scheme, &slices(&batch.blocks)).map_err(during("keykit decrypts"))?;
                let digests: Vec<_> = opened.iter().flatten().map(|plain| Hash::Sha256.digest(plain.expose())).collect();
                store.sign(&batch.workload.new_key(), &digests).map_err(during("keykit signs"))?;
                Ok(nothing(digests.len()))
            }),
        });
        for (name, every) in [("keykit", OPEN_EVERY), ("keykit, opening every result", NonZero::<u64>::MIN)] {
            let doing = "keykit re-keys";
            let rekey = batch.workload.rekey().map_err(during(doing))?.open_every(every);
            contestants.push(Contestant {
                name: name.into(),
                run: Box::new(move || {
                    for result in rekey.rekey_batch(&batch.items()).map_err(during(doing))? {
                        result.map_err(during(doing))?;
                    }
                    Ok(nothing(count))
                }),
            });
        }
        Ok(Work::new(name, Some(PRIVATE), contestants))
    }

    /// The same licences through the bulk machinery, with so many workers on all processors, and with one on one processor: the threads that
    /// read and write would else have another one for themselves.
    pub(super) fn rekey_stream(&self, name: &'static str, threads: usize) -> Result<Work> {
        const ALONE: &str = "keykit, one thread";
        const COUNT: usize = 1024;
        let batch = Batch::make(self, BATCH)?;
        let mut contestants = vec![self.private_operations(batch)?];
        for (name, workers) in [(ALONE, 1), ("keykit, two threads", threads)] {
            let rekey = batch.workload.rekey().map_err(during("keykit re-keys"))?;
            let workers = NonZero::new(workers).ok_or("no workers")?;
            contestants.push(Contestant {
                name: name.into(),
                run: Box::new(move || {
                    // Whoever works alone gets no help from inside of its operations either.
                    let _others = (workers.get() == 1).then(|| Helpers::take(usize::MAX));
                    let stream = || single::stream(&rekey, &batch.licences, u32::try_from(COUNT).unwrap_or(u32::MAX), workers);
                    if workers.get() == 1 { on_one_processor(stream)? } else { stream() }?;
                    Ok(nothing(COUNT))
                }),
            });
        }
        // As many private operations as the stream has.
        if let Some(Contestant { run, .. }) = contestants.first_mut() {
            let mut once = std::mem::replace(run, Box::new(|| Ok(Vec::new())));
            *run = Box::new(move || {
                for _ in 0..COUNT / BATCH {
                    once()?;
                }
                Ok(nothing(COUNT))
            });
        }
        Ok(Work::new(name, Some(ALONE), contestants))
    }

    fn private_operations(&self, batch: &'static Batch) -> Result<Contestant> {
        let (mut old, mut new) = (openssl(&self.old)?, openssl(&self.new)?);
        let run = move || {
            let opened = old.decrypt(Scheme::OaepSha1, &slices(&batch.blocks))?;
            new.sign(SignatureHash::Sha256, &slices(&opened))?;
            Ok(nothing(opened.len()))
        };
        Ok(Contestant { name: "OpenSSL, two private operations alone".into(), run: Box::new(run) })
    }

    /// The signature of a licence under the key that it names. OpenSSL is given the bytes that were signed.
    pub(super) fn verify_licence(&self) -> Result<Work> {
        let batch = Batch::make(self, BATCH)?;
        let bodies: Vec<Vec<u8>> = batch.documents.iter().map(|document| encode(document.body_text(), Encoding::Utf16Le)).collect();
        let signatures: Vec<Vec<u8>> = batch.documents.iter().filter_map(Document::signature).map(|signature| signature.value.clone()).collect();
        let mut engine: Box<dyn Engine> = openssl(&self.old)?;
        let alone = Contestant {
            name: "OpenSSL, verify alone".into(),
            run: Box::new(move || engine.verify(&slices(&bodies), &slices(&signatures)).map(|()| nothing(BATCH))),
        };
        let key = self.old.secret.public().clone();
        let known = Contestant {
            name: "keykit, read before".into(),
            run: Box::new(move || {
                batch.documents.iter().try_for_each(|document| document.verify_with(&key)).map_err(during("keykit verifies"))?;
                Ok(nothing(BATCH))
            }),
        };
        let whole = Contestant {
            name: "keykit, read and verify".into(),
            run: Box::new(move || {
                for licence in &batch.licences {
                    let document = Document::read(licence.as_bytes()).map_err(during("keykit reads"))?;
                    if !document.check_signature().is_sound() {
                        return Err("keykit refuses a licence".into());
                    }
                }
                Ok(nothing(BATCH))
            }),
        };
        Ok(Work::new("verify a licence, RSA-2048/SHA-256", None, vec![alone, known, whole]))
    }
}
