//! The proof of access over a share, beside the private operations that it comes down to.

use std::num::NonZero;

use jiff::Timestamp;
use keykit::bulk::{self, Files, Ledger, Options};
use keykit::container::{NewProtectedFile, PfileVersion};
use keykit::key::{EncryptionScheme, Hash};
use keykit::store::KeyStore;
use keykit::xrml::Document;
use keykit_access::prove::HeldKey;
use keykit_access::{AccessSurvey, Limits};
use keykit_benches::Workload;

use super::{BATCH, Setting, openssl, slices};
use crate::engines::{Scheme, engine_choice};
use crate::rounds::{Contestant, Work};
use crate::{Result, during};

/// Files of the share.
const FILES: usize = 8 * BATCH;
/// Bytes of content behind each licence: they are not read.
const CONTENT: usize = 16 << 10;

impl Setting {
    /// Files a second: each is found, its licence read, its content key opened and its rights decrypted, and a line goes into the
    /// ledger. Beside it the decryptions alone, of OpenSSL and of keykit, in batches of the same size.
    pub(super) fn prove_access(&self, name: &'static str) -> Result<Work> {
        const DECRYPTIONS: &str = "keykit, its decryptions alone";
        let doing = "a share is made";
        // They live as long as the process: the survey borrows from the store, and both are made once.
        let workload: &'static Workload =
            Box::leak(Box::new(Workload::new(&self.old.secret, &self.new.secret, engine_choice()?).map_err(during(doing))?));
        let licences = workload.licences(u32::try_from(FILES).unwrap_or(u32::MAX)).map_err(during(doing))?;
        let folder = tempfile::tempdir().map_err(during(doing))?;
        let share = folder.path().join("share");
        std::fs::create_dir(&share).map_err(during(doing))?;
        let mut blocks = Vec::new();
        for (number, licence) in licences.iter().enumerate() {
            let document = Document::read(licence.as_bytes()).map_err(during(doing))?;
            let sealed = document.sealed_keys().first().and_then(|sealed| sealed.enabling_bits.bytes.get(..256)).ok_or(doing)?;
            blocks.push(sealed.to_vec());
            let file = NewProtectedFile {
                version: PfileVersion::CURRENT,
                notice: b"protected",
                extension: "docx",
                publishing_licence: licence.as_bytes(),
                original_size: Some(CONTENT as u64),
                metadata: &[],
                content: &[0; CONTENT],
            };
            std::fs::write(share.join(format!("{number:06}.pfile")), file.to_bytes().map_err(during(doing))?).map_err(during(doing))?;
        }
        let (mut engine, same) = (openssl(&self.old)?, blocks.clone());
        let bare = move || {
            for blocks in same.chunks(BATCH) {
                engine.decrypt(Scheme::OaepSha1, &slices(blocks))?;
            }
            Ok(vec![Vec::new(); FILES])
        };
        let decrypt = move || {
            let scheme = EncryptionScheme::oaep(Hash::Sha1);
            for blocks in blocks.chunks(BATCH) {
                workload.store().decrypt(&workload.old_key(), &scheme, &slices(blocks)).map_err(during("keykit decrypts"))?;
            }
            Ok(vec![Vec::new(); FILES])
        };
        let survey = AccessSurvey::new([HeldKey { key_id: workload.old_key(), store: workload.store() }], Limits::default());
        let options = Options { workers: NonZero::<usize>::MIN, ..Options::default() };
        let prove = move || {
            let doing = "keykit proves access";
            let path = folder.path().join("ledger.jsonl");
            let mut ledger = Ledger::open(&path, "bench", "bench", Timestamp::UNIX_EPOCH).map_err(during(doing))?;
            let files = Files::walk(std::slice::from_ref(&share)).map_err(during(doing))?;
            let counts = bulk::survey(files, &mut ledger, &survey, &options, &mut ()).into_result().map_err(during(doing))?;
            drop(ledger);
            std::fs::remove_file(path).map_err(during(doing))?;
            // A file whose licence does not open is a failed one.
            if counts.done == FILES as u64 { Ok(vec![Vec::new(); FILES]) } else { Err(format!("{doing}: {counts:?}")) }
        };
        let contestants = vec![
            Contestant { name: "OpenSSL, decryptions alone".into(), run: Box::new(bare) },
            Contestant { name: DECRYPTIONS.into(), run: Box::new(decrypt) },
            Contestant { name: "keykit, files of a share".into(), run: Box::new(prove) },
        ];
        Ok(Work::new(name, Some(DECRYPTIONS), contestants))
    }
}
