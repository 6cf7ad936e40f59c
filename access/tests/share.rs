//! A share of 10,000 files of all kinds, with known losses: exactly those are named.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use keykit::bulk::{self, Files, Ledger, Observer, Options, Progress};
use keykit::key::KeyId;
use keykit::store::{KeyRequest, KeyStore as _};
use keykit::{Error, Result};
use keykit_access::prove::HeldKey;
use keykit_access::summary::CsvOfProblems;
use keykit_access::{AccessSurvey, FileVerdict, LicenceVerdict, Limits, Summary};
use keykit_hsm_backends::memory::MemoryStore;
use keykit_tests::samples::SampleCluster;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const FORMAT: &str = "keykit/access-ledger/1";

/// Three clusters; the tenant has the keys of the first two.
struct World {
    store: MemoryStore,
    keys: [KeyId; 3],
    clusters: [SampleCluster; 3],
}

impl World {
    fn new() -> Self {
        let store = MemoryStore::new();
        let make = |name: &str, bits: usize| {
            let public = store.as_generate().unwrap().generate(bits, &KeyRequest::labelled(name)).unwrap().public;
            let cluster = SampleCluster::around(&store, &public, name).unwrap();
            (public.id(), cluster)
        };
        let (one, two, three) = (make("contoso", 2048), make("woodgrove", 1024), make("forgotten", 2048));
        Self { store, keys: [one.0, two.0, three.0], clusters: [one.1, two.1, three.1] }
    }

    fn survey(&self) -> AccessSurvey<'_> {
        let held = self.keys.iter().take(2).map(|key_id| HeldKey { key_id: *key_id, store: &self.store });
        AccessSurvey::new(held, Limits::default())
    }

    fn pfile(&self, cluster: usize, number: usize) -> &[u8] {
        &self.clusters[cluster].licences[number % 2].pfile
    }
}

fn zip(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("readme.txt", SimpleFileOptions::default()).unwrap();
    writer.write_all(b"see the other file").unwrap();
    writer.start_file(name, SimpleFileOptions::default()).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap().into_inner()
}

/// A compound file that nothing protects.
fn plain_document() -> Vec<u8> {
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    file.create_stream("/WordDocument").unwrap().write_all(b"a letter").unwrap();
    file.into_inner().into_inner()
}

/// A file of the share: its name, its bytes, and the problem that must be named.
fn file(world: &World, number: usize) -> (String, Vec<u8>, Option<LicenceVerdict>) {
    let cluster = number / 7 % 2;
    let licence = &world.clusters[cluster].licences[number % 2];
    match number % 100 {
        // Losses, about one in a hundred each.
        13 => (format!("{number}.pfile"), world.pfile(2, number).to_vec(), Some(LicenceVerdict::KeyMissing)),
        26 => (format!("{number}.zip"), zip("lost.pfile", world.pfile(2, number)), Some(LicenceVerdict::KeyMissing)),
        39 => {
            let pfile = world.pfile(cluster, number);
            (format!("{number}.pfile"), pfile[..pfile.len() / 2].to_vec(), Some(LicenceVerdict::Damaged))
        }
        52 => {
            // A letter of the owner's name, which the signature covers.
            let changed = licence.text.replacen("author@rms.example", "autbor@rms.example", 1);
            (format!("{number}.xml"), changed.into_bytes(), Some(LicenceVerdict::NotSound))
        }
        65 => {
            let whole = zip("a.pfile", world.pfile(cluster, number));
            (format!("{number}.zip"), whole[..whole.len() - 40].to_vec(), Some(LicenceVerdict::NotRead))
        }
        78 => {
            let whole = &licence.document;
            (format!("{number}.docx"), whole[..whole.len() / 4].to_vec(), Some(LicenceVerdict::NotRead))
        }
        // What is well.
        1 | 5 => (format!("{number}.docx"), licence.document.clone(), None),
        9 | 17 => (format!("{number}.doc"), licence.binary_document.clone(), None),
        21 => (format!("{number}.rpmsg"), licence.mail.clone(), None),
        25 => (format!("{number}.zip"), zip("in.docx", &licence.document), None),
        29 => (format!("{number}.doc"), plain_document(), None),
        n if n % 4 == 0 => (format!("{number}.pfile"), world.pfile(cluster, number).to_vec(), None),
        n if n % 4 == 1 => (format!("{number}.xml"), licence.text.clone().into_bytes(), None),
        n if n % 4 == 2 => (format!("{number}.zip"), zip("a.pfile", world.pfile(cluster, number)), None),
        _ => (format!("{number}.txt"), b"a letter that nobody protected".to_vec(), None),
    }
}

/// Writes a share; the result is what must be named.
fn make_share(world: &World, folder: &Path, count: usize) -> BTreeMap<String, LicenceVerdict> {
    let mut losses = BTreeMap::new();
    for number in 0..count {
        let sub = format!("department {}", number % 23);
        fs::create_dir_all(folder.join(&sub)).unwrap();
        let (name, bytes, loss) = file(world, number);
        fs::write(folder.join(&sub).join(&name), bytes).unwrap();
        losses.extend(loss.map(|loss| (format!("{sub}/{name}"), loss)));
    }
    losses
}

/// Stops a run when it has gone through some files.
struct StopAt<'a>(u64, &'a AtomicBool);

impl Observer for StopAt<'_> {
    fn progress(&mut self, progress: &Progress) {
        if progress.counts.total() >= self.0 {
            self.1.store(true, Ordering::Relaxed);
        }
    }
}

fn named(ledger: &Ledger) -> Result<(Summary, BTreeMap<String, LicenceVerdict>, String)> {
    let mut losses = BTreeMap::new();
    let mut csv = Vec::new();
    let mut writer = CsvOfProblems::new(&mut csv)?;
    let summary = Summary::of(ledger, |line| {
        assert_eq!((line.finding.problem_count, line.finding.problems.len()), (1, 1), "{line:?}");
        losses.insert(line.id.clone(), line.finding.problems[0].verdict);
        writer.add(line)
    })?;
    writer.finish()?;
    Ok((summary, losses, String::from_utf8(csv).unwrap()))
}

#[test]
fn exactly_the_losses_of_a_share_are_named_and_a_stopped_run_goes_on() {
    const COUNT: usize = 10_000;
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let share = folder.path().join("share");
    let expected = make_share(&world, &share, COUNT);
    let path = folder.path().join("ledger.jsonl");
    let survey = world.survey();
    let files = || Files::walk(std::slice::from_ref(&share)).unwrap();

    // Stopped three times on the way.
    for stop in [1000, 4000, 4100] {
        let flag = AtomicBool::new(false);
        let options = Options { cancel: Some(&flag), ..Options::default() };
        let mut ledger = Ledger::open(&path, FORMAT, "job").unwrap();
        let report = bulk::survey(files(), &mut ledger, &survey, &options, &mut StopAt(stop, &flag));
        assert!(matches!(report.stopped, Some(Error::Interrupted { .. })), "{report:?}");
    }
    // Torn by a crash.
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"id\":\"department 1/x").unwrap();
    let mut ledger = Ledger::open(&path, FORMAT, "job").unwrap();
    let counts = bulk::survey(files(), &mut ledger, &survey, &Options::default(), &mut ()).into_result().unwrap();
    assert!(counts.skipped >= 3500, "{counts:?}");
    assert_eq!(counts.total(), COUNT as u64);

    let (summary, losses, csv) = named(&ledger).unwrap();
    assert_eq!(losses, expected);
    assert_eq!(losses.len(), 600);
    assert_eq!((summary.files, summary.lost, summary.unknown), (COUNT as u64, 400, 200));
    assert_eq!(summary.opens + summary.not_protected, COUNT as u64 - 600);
    assert!(summary.not_protected > 2000 && !summary.proves_access());
    assert_eq!(summary.keys[&world.keys[2]].fails, 200);
    assert_eq!(summary.keys[&world.keys[0]].opens + summary.keys[&world.keys[1]].opens, summary.opens);
    assert_eq!(csv.lines().count(), 601);
    assert!(csv.lines().any(|line| line.contains("\"lost.pfile\",\"key-missing\"")), "{}", &csv[..500]);

    // Again: only the bad ones are looked at once more, and the sum is the same.
    let counts = bulk::survey(files(), &mut ledger, &survey, &Options::default(), &mut ()).into_result().unwrap();
    assert_eq!((counts.skipped, counts.failed), (COUNT as u64 - 600, 600));
    assert_eq!(named(&ledger).unwrap().0, summary);
    // A file that was changed since is looked at again.
    fs::write(share.join("department 0/0.pfile"), "nothing is left of it").unwrap();
    let counts = bulk::survey(files(), &mut ledger, &survey, &Options::default(), &mut ()).into_result().unwrap();
    assert_eq!((counts.done, counts.skipped), (1, COUNT as u64 - 601));
    assert_eq!(named(&ledger).unwrap().0.opens, summary.opens - 1);
}

#[test]
fn real_files_belong_to_keys_that_are_not_there() {
    let world = World::new();
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/xrml");
    let survey = world.survey();
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(&folder.path().join("ledger.jsonl"), FORMAT, "job").unwrap();
    bulk::survey(Files::walk(&[vectors]).unwrap(), &mut ledger, &survey, &Options::default(), &mut ()).into_result().unwrap();
    let mut verdicts = BTreeMap::new();
    let summary = Summary::of(&ledger, |line| {
        verdicts.insert(line.id.clone(), line.finding.problems.iter().map(|problem| problem.verdict).collect::<Vec<_>>());
        Ok(())
    })
    .unwrap();
    for name in ["AliceBvt.txt.pfile", "CleanAlice.txt.pfile", "android_template_01.ptxt"] {
        assert_eq!(verdicts[name], [LicenceVerdict::KeyMissing], "{name}");
    }
    // A chain of certificates holds no licence.
    assert!(!verdicts.contains_key("ca-chain-mode1.xml"));
    assert!(summary.lost >= 3 && summary.opens == 0);
}

#[test]
fn verdicts_are_ordered_from_well_to_bad() {
    assert!(FileVerdict::NotProtected < FileVerdict::Opens && FileVerdict::Opens < FileVerdict::Lost);
}
