//! Files that somebody made to break the search: each takes bounded time and memory, and is named.
//!
//! They are searched in a child process with a bound on its address space, which would not live if one of them unpacked as it says.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use std::fs::{self, File};
use std::io::{Cursor, Write as _};
use std::num::NonZero;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::{DeflateEncoder, ZlibEncoder};
use jiff::Timestamp;
use keykit::bulk::{self, Files, Ledger, Options};
use keykit::container;
use keykit::key::KeyId;
use keykit::store::{KeyRequest, KeyStore as _};
use keykit_access::prove::HeldKey;
use keykit_access::{AccessSurvey, Limits, search};
use keykit_hsm_backends::memory::MemoryStore;
use keykit_tests::samples::SampleCluster;

const TEST: &str = "hostile_files_take_bounded_time_and_memory";
const FLAT: &str = "memory_does_not_grow_with_the_share";
/// Names the folder for the child process.
const FOLDER: &str = "KEYKIT_TEST_FOLDER";
/// Bound on the address space of the child, in KiB, and on what it really takes.
const ADDRESSES: u64 = 1_600_000;
const RESIDENT: u64 = 900_000;
/// For one file. None takes a tenth of it on a machine that does nothing else.
const TIME: Duration = Duration::from_secs(60);

/// Runs one test of this binary again, in a process that may take so much.
fn in_bounds(test: &str, folder: &Path) -> String {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -v {ADDRESSES} && exec \"$0\" \"$@\"")]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(FOLDER, folder).env("RUST_BACKTRACE", "0");
    let output = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}:\n{said}", output.status);
    said
}

/// Most memory that this process has had, in KiB.
fn most_resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

/// What the child said of its memory. The harness writes the name of the test before the first line.
fn most_resident_of(said: &str) -> &str {
    said.lines().find_map(|line| line.split_once("most resident: ")).expect(said).1
}

/// An entry of a directory of a compound file.
struct Entry {
    name: String,
    kind: u8,
    left: u32,
    right: u32,
    child: u32,
}

const NONE: u32 = u32::MAX;
const END: u32 = 0xffff_fffe;

impl Entry {
    fn new(name: &str, kind: u8) -> Self {
        Self { name: name.to_owned(), kind, left: NONE, right: NONE, child: NONE }
    }

    fn to_bytes(&self) -> [u8; 128] {
        let mut bytes = [0; 128];
        let name: Vec<u8> = self.name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        bytes[..name.len()].copy_from_slice(&name);
        bytes[64..66].copy_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
        (bytes[66], bytes[67]) = (self.kind, 1);
        for (at, number) in [(68, self.left), (72, self.right), (76, self.child), (116, END)] {
            bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }
}

/// A compound file (MS-CFB, version 4) with this directory and nothing else. The first entry is the root.
fn compound(entries: &[Entry]) -> Vec<u8> {
    const SECTOR: usize = 4096;
    let directory: Vec<u8> = entries.iter().flat_map(Entry::to_bytes).collect();
    let sectors = directory.len().div_ceil(SECTOR);
    let tables = (sectors + 8).div_ceil(SECTOR / 4);
    let mut table = vec![NONE; tables * SECTOR / 4];
    for (sector, next) in table.iter_mut().enumerate().take(sectors) {
        *next = if sector + 1 == sectors { END } else { u32::try_from(sector + 1).unwrap() };
    }
    table[sectors..sectors + tables].fill(0xffff_fffd);
    let mut header = vec![0; SECTOR];
    header[..8].copy_from_slice(&[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1]);
    for (at, number) in [(24, 0x3e_u16), (26, 4), (28, 0xfffe), (30, 12), (32, 6)] {
        header[at..at + 2].copy_from_slice(&number.to_le_bytes());
    }
    let count = |number: usize| u32::try_from(number).unwrap();
    for (at, number) in [(40, count(sectors)), (44, count(tables)), (48, 0), (56, 4096), (60, END), (64, 0), (68, END), (72, 0)] {
        header[at..at + 4].copy_from_slice(&number.to_le_bytes());
    }
    header[76..512].fill(0xff);
    for number in 0..tables {
        header[76 + number * 4..80 + number * 4].copy_from_slice(&count(sectors + number).to_le_bytes());
    }
    let mut bytes = [header, directory].concat();
    bytes.resize((sectors + 1) * SECTOR, 0);
    bytes.extend(table.iter().flat_map(|entry| entry.to_le_bytes()));
    bytes
}

/// The root of an Outlook message, with another entry beside the stream that messages have.
fn message(other: Entry) -> Vec<Entry> {
    let mut root = Entry::new("Root Entry", 5);
    root.child = 2;
    // Shorter names stand to the left.
    let mut properties = Entry::new("__properties_version1.0", 2);
    properties.left = NONE;
    let mut other = other;
    other.left = 1;
    vec![root, properties, other]
}

/// Storages in each other, with names as long as they may be.
fn deep(depth: u32) -> Vec<u8> {
    let storage = |number: u32| {
        let mut storage = Entry::new(&format!("{:<31}", "s").replace(' ', "s"), 1);
        storage.child = if number < depth { number + 3 } else { NONE };
        storage
    };
    let mut entries = message(storage(0));
    entries.extend((1..=depth).map(storage));
    entries[2].child = 3;
    compound(&entries)
}

/// Many entries beside each other, deep down, in a tree that is a list.
fn wide(depth: u32, width: u32) -> Vec<u8> {
    let storage = |child: u32| {
        let mut storage = Entry::new(&"s".repeat(31), 1);
        storage.child = child;
        storage
    };
    let mut entries = message(storage(3));
    entries.extend((1..depth).map(|number| storage(number + 3)));
    entries.extend((0..width).map(|number| {
        let mut entry = Entry::new(&format!("{:031}", width - number), 2);
        entry.left = if number + 1 < width { depth + 3 + number } else { NONE };
        entry
    }));
    compound(&entries)
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A ZIP file, written by hand: what packs to `packed`, listed `count` times, each with the length that it says. With the record
/// of ZIP64, since there may be many.
fn zip(packed: &[u8], crc: u32, length: u64, count: u64) -> Vec<u8> {
    let lengths = |extra: bool| -> Vec<u8> {
        let packed = u32::try_from(packed.len()).unwrap().to_le_bytes();
        if extra { [packed, NONE.to_le_bytes()].concat() } else { [packed, u32::try_from(length).unwrap().to_le_bytes()].concat() }
    };
    let is_long = length >= u64::from(NONE);
    let extra = if is_long { [&[1, 0, 8, 0][..], &length.to_le_bytes()].concat() } else { Vec::new() };
    let common = |bytes: &mut Vec<u8>| {
        bytes.extend([45, 0, 0, 0, 8, 0, 0, 0, 0x21, 0]);
        bytes.extend(crc.to_le_bytes());
        bytes.extend(lengths(is_long));
        bytes.extend([1, 0]);
        bytes.extend(u16::try_from(extra.len()).unwrap().to_le_bytes());
    };
    let mut bytes = b"PK\x03\x04".to_vec();
    common(&mut bytes);
    bytes.extend(b"x");
    bytes.extend(&extra);
    bytes.extend(packed);
    let start = bytes.len() as u64;
    for _ in 0..count {
        bytes.extend(b"PK\x01\x02\x2d\0");
        common(&mut bytes);
        bytes.extend([0; 14]);
        bytes.extend(b"x");
        bytes.extend(&extra);
    }
    let size = bytes.len() as u64 - start;
    let end = bytes.len() as u64;
    bytes.extend(b"PK\x06\x06");
    bytes.extend(44_u64.to_le_bytes());
    bytes.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for number in [count, count, size, start] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(b"PK\x06\x07\0\0\0\0");
    bytes.extend(end.to_le_bytes());
    bytes.extend([1, 0, 0, 0]);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([0xff; 12]);
    bytes.extend([0, 0]);
    bytes
}

/// A protected mail that is small, and unpacks to 256 MiB.
fn mail_bomb() -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&vec![0; 1 << 20]).unwrap();
    let packed = encoder.finish().unwrap();
    let head = [4000, 1 << 20, u32::try_from(packed.len()).unwrap()].map(u32::to_le_bytes).concat();
    [b"\x76\xe8\x04\x60\xc4\x11\xe3\x86".to_vec(), [head, packed].concat().repeat(256)].concat()
}

/// Parts in parts, and mails in mails.
fn deep_mail(levels: usize, kind: &str) -> Vec<u8> {
    let mut mail = String::from("From: a\r\nMIME-Version: 1.0\r\n");
    for level in 0..levels {
        match kind {
            "multipart" => mail += &format!("Content-Type: multipart/mixed; boundary=\"b{level}\"\r\n\r\n--b{level}\r\n"),
            _ => mail += "Content-Type: message/rfc822\r\n\r\nFrom: a\r\nMIME-Version: 1.0\r\n",
        }
    }
    (mail + "Content-Type: text/plain\r\n\r\nx\r\n").into_bytes()
}

/// Each file, and what must be said of it: nothing may be said of those that only must do no harm.
fn make(folder: &Path) -> Vec<(&'static str, &'static str)> {
    let mut made = Vec::new();
    let mut put = |name: &'static str, says: &'static str, bytes: &[u8]| {
        fs::write(folder.join(name), bytes).unwrap();
        made.push((name, says));
    };
    put("deep", "storages in each other", &deep(20_000));
    put("wide", "paths in its directory", &wide(60, 90_000));
    put("wider", "more than 100000 entries", &wide(1, 120_000));
    let many: Vec<Entry> = (0..8).flat_map(|_| message(Entry::new("s", 1))).collect();
    let circle = compound(&many);
    let mut in_circle = circle.clone();
    // The sector of the directory follows itself.
    let table = 2 * 4096;
    in_circle[table..table + 4].copy_from_slice(&0_u32.to_le_bytes());
    put("circle", "goes in a circle", &in_circle);
    let mut claims = circle;
    claims[44..48].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    put("claims", "larger than the file", &claims);

    let zeros = deflated(&[b"<XrML>".as_slice(), &vec![b' '; 60 << 20]].concat());
    put("bomb.zip", "the file unpacks to more than", &zip(&zeros, 0, 60 << 20, 80));
    put("many.zip", "more than 100000 entries", &zip(&zeros[..10], 0, 10, 400_000));
    put("long.zip", "can't be", &zip(&deflated(b"<XrML>"), 0, 1 << 40, 1));
    let mut claims = zip(&deflated(b"x"), 0, 1, 1);
    let end = claims.len() - 22 - 20 - 56;
    claims[end + 24..end + 40].fill(0xff);
    put("claims.zip", "can't be read", &claims);

    put("bomb.rpmsg", "unpacks to more than", &mail_bomb());
    let mut rpmsg = mail_bomb();
    rpmsg.truncate(rpmsg.len() / 2);
    put("half.rpmsg", "", &rpmsg);
    put("parts.eml", "", &deep_mail(20_000, "multipart"));
    put("mails.eml", "", &deep_mail(20_000, "message"));
    let parts = "--b\r\n\r\nx\r\n".repeat(150_000);
    put("many.eml", "more than 100000 entries", format!("From: a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--").as_bytes());
    put("header.eml", "", &b"X-A: b\r\n".repeat(2 << 20));
    let line = "a".repeat(8 << 20);
    put("mailbox", "", format!("From a\nFrom: a\n{}", line.repeat(8)).as_bytes());
    put("nested.xml", "", format!("<XrML>{}", "<a>".repeat(1 << 20)).as_bytes());

    // Long files of which the system stores nothing but the beginning.
    for (name, says, head) in [
        ("sparse.doc", "sectors", compound(&message(Entry::new("s", 1)))),
        ("sparse.zip", "can't be read", b"PK\x03\x04".to_vec()),
        ("sparse.xml", "no licence is", b"<XrML>".to_vec()),
        ("sparse.eml", "held at most", b"From: a\r\nMIME-Version: 1.0\r\n\r\n".to_vec()),
        ("sparse.rpmsg", "held at most", mail_bomb()),
        ("sparse.pfile", "", b".pfile\x03\x00\x00\x00".to_vec()),
    ] {
        put(name, says, &head);
        File::options().write(true).open(folder.join(name)).unwrap().set_len(1 << 40).unwrap();
    }
    made
}

/// Sound files of all kinds, cut off everywhere in their heads, and with lengths of 4 GiB in every place.
fn damaged() -> Vec<Vec<u8>> {
    let licence = b"<XrML xmlns=\"\" version=\"1.2\"><BODY></BODY></XrML>";
    let document = container::NewProtectedDocument {
        layout: container::CompoundLayout::OpenXml,
        publishing_licence: licence,
        end_user_licences: &[],
        original_size: 3,
        content: &[0; 16],
    };
    let pfile = container::NewProtectedFile {
        version: container::PfileVersion::CURRENT,
        notice: b"protected",
        extension: "txt",
        publishing_licence: licence,
        original_size: Some(3),
        metadata: &[],
        content: b"0123456789abcdef",
    };
    let sound =
        [document.to_bytes().unwrap(), container::write_mail(&document).unwrap(), pfile.to_bytes().unwrap(), zip(&deflated(licence), 0, 49, 1)];
    let mut files = Vec::new();
    for bytes in sound {
        let head = bytes.len().min(700);
        files.extend((0..head).step_by(5).map(|cut| bytes[..cut].to_vec()));
        files.extend((0..head.saturating_sub(4)).step_by(3).map(|place| {
            let mut bytes = bytes.clone();
            bytes[place..place + 4].fill(0xff);
            bytes
        }));
    }
    files
}

#[test]
fn hostile_files_take_bounded_time_and_memory() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return search_all(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let made = make(folder.path());
    let said = in_bounds(TEST, folder.path());
    for (name, says) in made {
        let line = said.lines().find(|line| line.contains(&format!("{name}: "))).unwrap_or_else(|| panic!("{name} is not there:\n{said}"));
        assert!(line.contains(says), "{line}");
    }
    let most: u64 = most_resident_of(&said).parse().unwrap();
    println!("{most} KiB at most");
    assert!(most < RESIDENT, "{most} KiB");
}

/// In the child: every file by itself, the damaged ones, and those that take much at the same time in eight threads.
fn search_all(folder: &Path) {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    for path in &names {
        let start = Instant::now();
        let hits = search(path, &Limits::default());
        let problems: Vec<String> = hits.iter().take(1).chain(hits.iter().skip(1).last()).filter_map(|hit| hit.licences().err()).collect();
        println!(
            "{}: {} KiB, {} ms, {} hits: {problems:?}",
            path.file_name().unwrap().display(),
            most_resident(),
            start.elapsed().as_millis(),
            hits.len()
        );
        assert!(start.elapsed() < TIME, "{}", path.display());
    }
    for bytes in damaged() {
        drop(search::search_bytes(&bytes, &Limits::default()));
    }
    // Beside each other.
    let bombs = tempfile::tempdir().unwrap();
    for number in 0..12 {
        let name = if number % 4 == 0 { "deep" } else { "bomb.rpmsg" };
        fs::copy(folder.join(name), bombs.path().join(format!("{number}"))).unwrap();
    }
    let survey = AccessSurvey::new([], Limits { held: 300 << 20, ..Limits::default() });
    let counts = run(&survey, bombs.path(), 8);
    assert_eq!(counts.failed, 12);
    println!("most resident: {}", most_resident());
}

fn run(survey: &AccessSurvey<'_>, share: &Path, workers: usize) -> bulk::Counts {
    let ledger = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(&ledger.path().join("ledger"), "test", "job", Timestamp::UNIX_EPOCH).unwrap();
    let one = NonZero::<usize>::MIN;
    let options = Options { workers: NonZero::new(workers).unwrap(), batch_items: one.saturating_add(2), ..Options::default() };
    bulk::survey(Files::walk(&[share.to_owned()]).unwrap(), &mut ledger, survey, &options, &mut ()).into_result().unwrap()
}

#[test]
fn memory_does_not_grow_with_the_share() {
    const FEW: usize = 1000;
    const MANY: usize = 8000;
    let store = MemoryStore::new();
    let public = store.as_generate().unwrap().generate(1024, &KeyRequest::labelled("contoso")).unwrap().public;
    if let Some(folder) = std::env::var_os(FOLDER) {
        let counts = run(&AccessSurvey::new([HeldKey { key_id: public.id(), store: &store }], Limits::default()), Path::new(&folder), 2);
        return println!("most resident: {} of {}", most_resident(), counts.total());
    }
    // Its key is not the child's, which does not matter: every licence is found, read and named.
    let cluster = SampleCluster::around(&store, &public, "contoso").unwrap();
    let key: KeyId = public.id();
    let most = |count: usize| -> u64 {
        let share = tempfile::tempdir().unwrap();
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        archive.start_file("a.pfile", zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(&cluster.licences[0].pfile).unwrap();
        let files = [cluster.licences[0].pfile.clone(), cluster.licences[1].document.clone(), archive.finish().unwrap().into_inner()];
        for number in 0..count {
            let path = share.path().join(format!("{number:06}"));
            if number < files.len() { fs::write(path, &files[number]) } else { fs::hard_link(share.path().join(format!("{:06}", number % 3)), path) }
                .unwrap();
        }
        let said = in_bounds(FLAT, share.path());
        let line = most_resident_of(&said);
        let (most, total) = line.split_once(" of ").unwrap();
        assert_eq!(total, count.to_string());
        most.parse().unwrap()
    };
    let (few, many) = (most(FEW), most(MANY));
    println!("{few} KiB for {FEW} files, {many} KiB for {MANY}, of the key {}", key.short());
    // 16 bytes for each file, and the names of a folder.
    assert!(many < few + 8 * 1024, "{few} KiB for {FEW} files, {many} KiB for {MANY}");
}
