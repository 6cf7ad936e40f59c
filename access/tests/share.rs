//! A share of 10,000 files of all kinds, with known losses: exactly those are named.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use keykit::bulk::{self, Files, Ledger, Observer, Options, Progress};
use keykit::key::KeyId;
use keykit::store::{KeyRequest, KeyStore as _};
use keykit::xml::{self, Encoding};
use keykit::{Error, Result};
use keykit_access::accepted::AcceptedFiles;
use keykit_access::prove::HeldKey;
use keykit_access::summary::CsvOfProblems;
use keykit_access::{AccessSurvey, FileVerdict, LicenceVerdict, Limits, Summary};
use keykit_hsm_backends::memory::MemoryStore;
use keykit_tests::samples::SampleCluster;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const FORMAT: &str = "keykit/access-ledger/2";

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

/// A mail with an attachment, and a header as long as servers make them.
fn mail(name: &str, bytes: &[u8]) -> Vec<u8> {
    let seals: String = (1..4).map(|number| format!("ARC-Seal: i={number}; b={}\r\n", "Ab+/".repeat(800))).collect();
    let hex: String = bytes.iter().map(|byte| format!("={byte:02X}=\r\n")).collect();
    format!(
        "Received: from a\r\n{seals}From: a@rms.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\nContent-Type: application/octet-stream; name=\"{name}\"\r\n\
         Content-Disposition: attachment; filename=\"{name}\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{hex}\r\n--b--\r\n"
    )
    .into_bytes()
}

/// An Outlook message with an attachment.
fn outlook(bytes: &[u8]) -> Vec<u8> {
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    file.create_stream("/__properties_version1.0").unwrap().write_all(&[0; 32]).unwrap();
    file.create_storage("/__attach_version1.0_#00000000").unwrap();
    file.create_stream("/__attach_version1.0_#00000000/__substg1.0_37010102").unwrap().write_all(bytes).unwrap();
    file.into_inner().into_inner()
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
        91 => (format!("{number}.eml"), mail("lost.pfile", world.pfile(2, number)), Some(LicenceVerdict::KeyMissing)),
        93 => (format!("{number}.7z"), b"7z\xbc\xaf\x27\x1c and so on".to_vec(), Some(LicenceVerdict::NotLookedInto)),
        // What is well.
        33 => (format!("{number}.eml"), mail("a.pfile", world.pfile(cluster, number)), None),
        37 => (format!("{number}.msg"), outlook(&licence.document), None),
        // A protected text has the layout of a protected file.
        41 => (format!("{number}.ptxt"), world.pfile(cluster, number).to_vec(), None),
        45 => (format!("{number}.xml"), xml::encode(&licence.text, Encoding::Utf16LeBom), None),
        49 => (format!("{number}.bin"), xml::encode(&licence.text, Encoding::Utf16Le), None),
        53 => (format!("{number}.html"), b"<html>a licence begins with <XrML version=\"1.2\">".to_vec(), None),
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

fn open(path: &Path) -> Result<Ledger> {
    Ledger::open(path, FORMAT, "job", Timestamp::UNIX_EPOCH)
}

fn named(ledger: &Ledger) -> Result<(Summary, BTreeMap<String, LicenceVerdict>, String)> {
    let mut losses = BTreeMap::new();
    let mut csv = Vec::new();
    let mut writer = CsvOfProblems::new(|bytes: &[u8]| {
        csv.extend_from_slice(bytes);
        Ok(())
    })?;
    let summary = Summary::of(ledger, &AcceptedFiles::default(), |line, _| {
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
        let mut ledger = open(&path).unwrap();
        let report = bulk::survey(files(), &mut ledger, &survey, &options, &mut StopAt(stop, &flag));
        assert!(matches!(report.stopped, Some(Error::Interrupted { .. })), "{report:?}");
    }
    // Torn by a crash.
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"id\":\"department 1/x").unwrap();
    let mut ledger = open(&path).unwrap();
    let counts = bulk::survey(files(), &mut ledger, &survey, &Options::default(), &mut ()).into_result().unwrap();
    assert!(counts.skipped >= 3500, "{counts:?}");
    assert_eq!(counts.total(), COUNT as u64);

    let (summary, losses, csv) = named(&ledger).unwrap();
    assert_eq!(losses, expected);
    assert_eq!(losses.len(), 800);
    assert_eq!((summary.files, summary.lost, summary.unknown, summary.not_looked_into), (COUNT as u64, 500, 200, 100));
    assert_eq!(summary.opens + summary.not_protected, COUNT as u64 - 800);
    assert!(summary.not_protected > 2000 && !summary.proves_access());
    let forgotten = &summary.keys[&world.keys[2]];
    assert_eq!((forgotten.fails, forgotten.server.licensor.as_deref()), (300, Some("forgotten")));
    assert!(forgotten.server.licensing_url.as_ref().unwrap().starts_with("https://"), "{forgotten:?}");
    assert_eq!(summary.keys[&world.keys[0]].opens + summary.keys[&world.keys[1]].opens, summary.opens);
    assert_eq!(csv.lines().count(), 801);
    assert!(csv.lines().any(|line| line.contains("\"lost.pfile\",\"key-missing\"")), "{}", &csv[..500]);

    // Again: only the bad ones are looked at once more, and the sum is the same.
    let counts = bulk::survey(files(), &mut ledger, &survey, &Options::default(), &mut ()).into_result().unwrap();
    assert_eq!((counts.skipped, counts.failed), (COUNT as u64 - 800, 800));
    assert_eq!(named(&ledger).unwrap().0, summary);
    // A file that was changed since is looked at again.
    fs::write(share.join("department 0/0.pfile"), "nothing is left of it").unwrap();
    let counts = bulk::survey(files(), &mut ledger, &survey, &Options::default(), &mut ()).into_result().unwrap();
    assert_eq!((counts.done, counts.skipped), (1, COUNT as u64 - 801));
    assert_eq!(named(&ledger).unwrap().0.opens, summary.opens - 1);
    // A lost file that was removed is lost no more.
    fs::remove_file(share.join(losses.keys().find(|name| name.ends_with(".eml")).unwrap())).unwrap();
    bulk::survey(files(), &mut ledger, &survey, &Options::default(), &mut ()).into_result().unwrap();
    let after = named(&ledger).unwrap().0;
    assert_eq!((after.files, after.lost), (summary.files - 1, summary.lost - 1));
    // A run that ended is not gone on with: everything is looked at again.
    ledger.finish(Timestamp::UNIX_EPOCH).unwrap();
    let mut ledger = open(&path).unwrap();
    let some: Vec<PathBuf> = vec![share.join("department 3")];
    let counts = bulk::survey(Files::walk(&some).unwrap(), &mut ledger, &survey, &Options::default(), &mut ()).into_result().unwrap();
    assert_eq!(counts.skipped, 0);
    assert_eq!(named(&ledger).unwrap().0.files, counts.total());
}

#[test]
fn a_share_without_protected_files_proves_nothing() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let share = folder.path().join("share");
    fs::create_dir(&share).unwrap();
    for (name, expected) in [(None, false), (Some(("letter.txt", b"a letter".as_slice())), false), (Some(("a.pfile", world.pfile(0, 0))), true)] {
        if let Some((name, bytes)) = name {
            fs::write(share.join(name), bytes).unwrap();
        }
        let path = folder.path().join("ledger.jsonl");
        let mut ledger = open(&path).unwrap();
        bulk::survey(Files::walk(std::slice::from_ref(&share)).unwrap(), &mut ledger, &world.survey(), &Options::default(), &mut ())
            .into_result()
            .unwrap();
        assert_eq!(named(&ledger).unwrap().0.proves_access(), expected, "{name:?}");
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_key_that_is_gone_is_noticed() {
    let world = World::new();
    world.survey().check_keys().unwrap();
    let empty = MemoryStore::new();
    let survey = AccessSurvey::new([HeldKey { key_id: world.keys[0], store: &empty }], Limits::default());
    assert_eq!(survey.check_keys().unwrap_err().code(), "not-found");
}

#[test]
fn real_files_belong_to_keys_that_are_not_there() {
    let world = World::new();
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/xrml");
    let survey = world.survey();
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(&folder.path().join("ledger.jsonl")).unwrap();
    bulk::survey(Files::walk(&[vectors]).unwrap(), &mut ledger, &survey, &Options::default(), &mut ()).into_result().unwrap();
    let mut verdicts = BTreeMap::new();
    let summary = Summary::of(&ledger, &AcceptedFiles::default(), |line, _| {
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
