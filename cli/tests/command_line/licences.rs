//! Many licences of both modes under the keys of one tenant, and what must come of them when they move to its active key.

use std::fs;
use std::num::NonZero;
use std::thread;

use keykit::container::{NewProtectedFile, PfileVersion, ProtectedFile};
use keykit::licence::{ContentCipher, ContentKey, NewPublishingLicence, open_publishing_licence};
use keykit::store::{KeyRequest, KeyStore};
use keykit::xrml::{Document, Guid, Principal, Right, RightHolder, documents_in};
use keykit_hsm_backends::memory::MemoryStore;

use crate::support::{Desk, Sample, contoso, fabrikam, woodgrove};

/// A licence, and what it was made from.
pub(crate) struct Given {
    pub(crate) number: usize,
    pub(crate) text: String,
    content_key: ContentKey,
    /// It is under the active key already.
    pub(crate) is_active: bool,
}

/// A tenant with keys of both modes, one active, and licences under all of them.
pub(crate) struct Shelf {
    pub(crate) desk: Desk,
    pub(crate) given: Vec<Given>,
    /// Holds the active key and no other.
    active: MemoryStore,
}

/// The server of a sample, and a store with its key alone.
pub(crate) fn server(sample: &Sample) -> (Principal, MemoryStore) {
    let store = MemoryStore::new();
    store.as_import_plaintext().unwrap().import_plaintext(&sample.key, &KeyRequest::labelled("server")).unwrap();
    let certificate = Document::read(sample.cluster.chain[0].as_bytes()).unwrap();
    (certificate.issued_principals()[0].clone(), store)
}

/// Whose licence it is: one of ten is under the active key already, the others change from mode 1 to mode 2 and back.
fn sample_of(number: usize) -> &'static Sample {
    match number {
        _ if number % 10 == 9 => fabrikam(),
        _ if number.is_multiple_of(2) => woodgrove(),
        _ => contoso(),
    }
}

fn rights(number: usize) -> Vec<Right> {
    let address = format!("reader.{number}@rms.example");
    vec![Right::new("OWNER", vec![RightHolder::Owner]), Right::new("VIEW", vec![RightHolder::Address(address), RightHolder::Anyone])]
}

/// The results of `work` for all `items`, in order, made on all processors.
pub(crate) fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let work = &work;
    thread::scope(|scope| {
        let parts = items.chunks(items.len().div_ceil(workers).max(1));
        let running: Vec<_> = parts.map(|part| scope.spawn(move || part.iter().map(work).collect::<Vec<R>>())).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

impl Shelf {
    /// So many licences; the content keys are of 128 and 256 bits in turn.
    pub(crate) fn new(count: usize) -> Self {
        let desk = Desk::new();
        desk.run("migrate software-to-software --password-source file:password --tenant tenant contoso.xml fabrikam.xml woodgrove.xml").exits(0);
        desk.run(&format!("tenant activate {} --tenant tenant", fabrikam().key.id())).exits(0);
        let mut given: Vec<Given> = Vec::new();
        for sample in [contoso(), woodgrove(), fabrikam()] {
            let (server, store) = server(sample);
            let numbers: Vec<usize> = (0..count).filter(|number| sample_of(*number).key.id() == sample.key.id()).collect();
            let sealed = in_parallel(&numbers, |&number| {
                let bits = if (number / 2).is_multiple_of(2) { 128 } else { 256 };
                let content_key = ContentKey::generate(ContentCipher::Cbc4k, bits).unwrap();
                let licence = NewPublishingLicence {
                    issued: "2013-01-29T22:12".parse().unwrap(),
                    valid: None,
                    descriptor: None,
                    server: &server,
                    distribution_points: &[],
                    content_id: Guid::from_u128(number as u128),
                    owner: Some("author@rms.example"),
                    rights: &rights(number),
                    application_data: &[],
                };
                (licence.seal(&content_key).unwrap(), content_key)
            });
            // All signatures in one batch, which takes all lanes and processors.
            let digests: Vec<_> = sealed.iter().map(|(unsigned, _)| unsigned.digest()).collect();
            let signatures = store.sign(&sample.key.id(), &digests).unwrap();
            let is_active = sample.key.id() == fabrikam().key.id();
            let made = numbers.into_iter().zip(sealed).zip(signatures).map(|((number, (unsigned, content_key)), signature)| {
                // As clients store it, with the chain behind it.
                let text = format!("{}{}", unsigned.with_signature(&signature).unwrap(), sample.cluster.chain.concat());
                Given { number, text, content_key, is_active }
            });
            given.extend(made);
        }
        given.sort_by_key(|given| given.number);
        Self { desk, given, active: server(fabrikam()).1 }
    }

    /// Every licence in a file below `folder`, in a tree of folders: every other one in a protected file.
    pub(crate) fn write_tree(&self, folder: &str) {
        let root = self.desk.path(folder);
        for number in 0..13 {
            fs::create_dir_all(root.join(format!("{}/{number}", number % 3))).unwrap();
        }
        in_parallel(&self.given, |given| {
            let bytes = if given.is_in_protected_file() { given.protected_file() } else { given.text.clone().into_bytes() };
            fs::write(root.join(given.path()), bytes).unwrap();
        });
    }

    /// A licence that came out opens with the active key alone, to the same content key and rights.
    pub(crate) fn check(&self, given: &Given, text: &[u8]) {
        let opened = open_publishing_licence(&self.active, &documents_in(text).unwrap()[0]).unwrap();
        assert!(opened.server_key == fabrikam().key.id() && opened.issued_by_server && opened.is_bound, "{}", given.number);
        assert!(opened.content_key == given.content_key, "licence {} has another content key", given.number);
        assert_eq!(opened.rights, rights(given.number));
        assert_eq!(opened.content_id, Guid::from_u128(given.number as u128).braced());
        assert!(!given.is_active || text == given.text.as_bytes(), "licence {} needed no change", given.number);
    }
}

impl Given {
    fn is_in_protected_file(&self) -> bool {
        // Both kinds of files in both modes: the modes change from each licence to the next.
        (self.number / 2) % 2 == 1
    }

    /// The path below the folder of a tree.
    pub(crate) fn path(&self) -> String {
        let folder = self.number % 13;
        format!("{}/{folder}/{}.{}", folder % 3, self.number, if self.is_in_protected_file() { "pfile" } else { "xrml" })
    }

    /// A protected file whose content names the licence.
    pub(crate) fn protected_file(&self) -> Vec<u8> {
        let content = format!("content of {}", self.number);
        NewProtectedFile {
            version: PfileVersion::CURRENT,
            notice: b"protected",
            extension: "txt",
            publishing_licence: &[b"\xef\xbb\xbf", self.text.as_bytes()].concat(),
            original_size: Some(content.len() as u64),
            metadata: &[],
            content: content.as_bytes(),
        }
        .to_bytes()
        .unwrap()
    }

    /// The licence of a file that came out; the rest of the file is as it was.
    pub(crate) fn licence_in(&self, file: &[u8]) -> Vec<u8> {
        if !self.is_in_protected_file() {
            return file.to_vec();
        }
        let parsed = ProtectedFile::parse(file).unwrap();
        assert_eq!(parsed.content(), format!("content of {}", self.number).as_bytes());
        parsed.publishing_licence().strip_prefix(b"\xef\xbb\xbf").unwrap().to_vec()
    }
}

/// Numbers that look random and come again with the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    /// The seed is that of KEYKIT_TEST_SEED, or another one each time; it is printed.
    pub(crate) fn new(test: &str) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let seed: u64 = std::env::var("KEYKIT_TEST_SEED").map_or(now.subsec_nanos().into(), |seed| seed.parse().unwrap());
        println!("{test}: KEYKIT_TEST_SEED={seed}");
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
