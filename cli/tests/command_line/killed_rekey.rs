//! `keykit licence rekey` killed with SIGKILL at random moments and started again: no licence is lost, none is done twice.
//!
//! A moment is a size that the output must have reached, and some milliseconds more. Sealing is randomised, so a licence that was
//! done twice would differ from the one that was there.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::licences::{Dice, Shelf, in_parallel};
use crate::support::{Desk, Ran};

const KILLS: usize = 10;
const SIGKILL: i32 = 9;
const LOG: &str = ".keykit-resume.jsonl";

/// Starts the program; standard input is a file.
fn start(desk: &Desk, arguments: &str, input: Option<&str>) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keykit"));
    command.args(arguments.split_whitespace()).stdout(Stdio::null()).stderr(Stdio::null());
    command.stdin(input.map_or_else(Stdio::null, |name| File::open(desk.path(name)).unwrap().into()));
    desk.at_home(&mut command).spawn().unwrap()
}

/// Runs the program to its end; standard input is a file.
fn run(desk: &Desk, arguments: &str, input: &str) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keykit"));
    command.args(arguments.split_whitespace()).stdin(File::open(desk.path(input)).unwrap());
    Ran(desk.at_home(&mut command).output().unwrap())
}

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

/// Ten times: starts the program, kills it when `grows` has reached a random part of `whole` bytes and a random time has gone by,
/// and looks at what is there. The part and the time leave two fifths of the work, so that the program does not end before.
fn torment(desk: &Desk, name: &str, arguments: &str, input: Option<&str>, grows: &Path, whole: u64, mut look: impl FnMut()) {
    let mut dice = Dice::new(name);
    let mut moments: Vec<u64> = (0..KILLS).map(|_| dice.below(whole * 11 / 20)).collect();
    moments.sort_unstable();
    for moment in moments {
        let mut child = start(desk, arguments, input);
        while length(grows) < moment && child.try_wait().unwrap().is_none() {
            sleep(Duration::from_millis(1));
        }
        sleep(Duration::from_micros(dice.below(20_000)));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(SIGKILL), "the run ended before it was killed: {status}");
        println!("{name}: killed at {} of {whole} bytes", length(grows));
        look();
    }
}

/// Every file below a folder that is in its place, by its path, with what changes if it is written again.
fn places(root: &Path) -> HashMap<PathBuf, (u64, i64, i64)> {
    let mut found = HashMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            if !metadata.is_dir() {
                found.insert(path, (metadata.ino(), metadata.mtime(), metadata.mtime_nsec()));
            } else if path.file_name().unwrap() != ".keykit-staging" {
                folders.push(path);
            }
        }
    }
    found.remove(&root.join(LOG));
    found
}

#[test]
fn a_tree_of_licences_survives_kills_and_all_of_them_open() {
    let count = 10_000_usize;
    let shelf = Shelf::new(count);
    let desk = &shelf.desk;
    shelf.write_tree("old");
    let originals = places(&desk.path("old"));
    let rekey = "--format json licence rekey old --tenant tenant -o new";
    // A line of the log has two digests, a path and some words.
    let whole = count as u64 * 185;
    let mut placed: HashMap<PathBuf, (u64, i64, i64)> = HashMap::new();
    let mut done_before = Vec::new();
    torment(desk, "a tree", rekey, None, &desk.path(&format!("new/{LOG}")), whole, || {
        let now = places(&desk.path("new"));
        for (path, place) in &placed {
            assert_eq!(now.get(path), Some(place), "{} was done twice, or lost", path.display());
        }
        done_before.push(now.len());
        placed = now;
    });
    println!("in place after each kill: {done_before:?}");
    assert!(*done_before.last().unwrap() > count / 10, "{done_before:?}");

    let ended = desk.run(rekey).exits(0).json("licence-rekey");
    assert_eq!((&ended["failed"], &ended["skipped"], &ended["withheld"]), (&0.into(), &placed.len().into(), &0.into()));
    assert_eq!(ended["done"].as_u64().unwrap() + ended["unchanged"].as_u64().unwrap(), (count - placed.len()) as u64);
    let now = places(&desk.path("new"));
    assert_eq!(now.len(), count);
    assert!(placed.iter().all(|(path, place)| now.get(path) == Some(place)), "a licence was done twice");
    assert_eq!(places(&desk.path("old")), originals);
    assert!(!desk.path("new/.keykit-staging").exists(), "nothing is left over");
    let again = desk.run(rekey).exits(0).json("licence-rekey");
    assert_eq!((&again["done"], &again["skipped"]), (&0.into(), &count.into()));

    in_parallel(&shelf.given, |given| {
        let [old, new] = ["old", "new"].map(|folder| fs::read(desk.path(folder).join(given.path())).unwrap());
        assert_eq!(given.licence_in(&old), given.text.as_bytes(), "the original was changed");
        shelf.check(given, &given.licence_in(&new));
    });
}

/// The lines of a shelf with bad ones among them, and the codes of the bad ones by their places.
fn lines_with_bad_ones(shelf: &Shelf) -> (String, HashMap<usize, &'static str>) {
    let stranger = Shelf::stranger();
    let (mut lines, mut bad) = (String::new(), HashMap::new());
    for given in &shelf.given {
        let (text, code) = match given.number % 100 {
            13 => (given.text.replacen("author@", "Author@", 1), Some("negative")),
            44 => (given.text[..given.text.len() / 2].to_owned(), Some("malformed")),
            63 => (stranger.clone(), Some("not-found")),
            _ => (given.text.clone(), None),
        };
        bad.extend(code.map(|code| (given.number, code)));
        // An id is a string or a number, and comes back as it was.
        let id = if given.number.is_multiple_of(2) { json!(given.number) } else { json!(given.number.to_string()) };
        let line = json!({ "id": id, "licence": text }).to_string();
        lines.push_str(if given.number % 100 == 87 { "{\"id\":\"87\",\"licence\":7}" } else { &line });
        lines.push('\n');
        if given.number % 100 == 87 {
            bad.insert(given.number, "malformed");
        }
    }
    (lines, bad)
}

/// Every line is answered once, in order: with the licence under the active key, or with what is wrong with it.
fn check_lines(shelf: &Shelf, output: &str, bad: &HashMap<usize, &'static str>) {
    let lines: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), shelf.given.len());
    let pairs: Vec<_> = shelf.given.iter().zip(lines).collect();
    in_parallel(&pairs, |(given, line)| {
        let number = given.number;
        let expected = match number {
            _ if number % 100 == 87 => json!("87"),
            _ if number.is_multiple_of(2) => json!(number),
            _ => json!(number.to_string()),
        };
        assert_eq!(line["id"], expected, "out of order");
        match bad.get(&number) {
            Some(code) => assert!(line["code"] == *code && line["licence"].is_null() && line["error"].is_string(), "{number}: {line}"),
            None => shelf.check(given, line["licence"].as_str().unwrap().as_bytes()),
        }
    });
}

#[test]
fn lines_survive_kills_and_each_is_answered_once() {
    let shelf = Shelf::new(1_500);
    let desk = &shelf.desk;
    let (lines, bad) = lines_with_bad_ones(&shelf);
    desk.write("in.jsonl", &lines);
    let rekey = "--format json licence rekey --tenant tenant -o out.jsonl";
    let log = desk.path(&format!("out.jsonl{LOG}"));
    let mut committed: Vec<u8> = Vec::new();
    torment(desk, "lines", rekey, Some("in.jsonl"), &desk.path("out.jsonl"), lines.len() as u64, || {
        let output = fs::read(desk.path("out.jsonl")).unwrap_or_default();
        assert!(output.starts_with(&committed), "lines that were done were done again");
        let places = fs::read_to_string(&log).unwrap_or_default();
        let done = places.split_inclusive('\n').filter(|line| line.ends_with('\n')).filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let done = done.filter_map(|place| place["output_bytes"].as_u64()).next_back().unwrap_or(0);
        committed = output[..usize::try_from(done).unwrap()].to_vec();
    });
    assert!(!committed.is_empty());
    let earlier = committed.iter().filter(|&&byte| byte == b'\n').count();

    let ended = run(desk, rekey, "in.jsonl").exits(1).json("licence-rekey");
    assert_eq!(ended["failed"], bad.len(), "bad lines of earlier runs count too");
    let counted: u64 = ["done", "unchanged", "failed", "skipped"].iter().map(|name| ended[name].as_u64().unwrap()).sum();
    assert_eq!(counted, 1_500);
    assert!(ended["done"].as_u64().unwrap() + ended["unchanged"].as_u64().unwrap() <= (1_500 - earlier) as u64);
    let output = desk.read("out.jsonl");
    assert!(output.starts_with(&committed), "lines that were done were done again");
    check_lines(&shelf, std::str::from_utf8(&output).unwrap(), &bad);
    run(desk, rekey, "in.jsonl").exits(1);
    assert_eq!(desk.read("out.jsonl"), output);
}

#[test]
fn lines_go_through_in_order_and_bad_ones_are_named() {
    let shelf = Shelf::new(200);
    let desk = &shelf.desk;
    let (lines, bad) = lines_with_bad_ones(&shelf);
    desk.write("in.jsonl", &lines);
    let ran = run(desk, "licence rekey --tenant tenant", "in.jsonl").exits(1).says("8 FAILED");
    check_lines(&shelf, &ran.stdout(), &bad);
    for number in bad.keys() {
        let id = if number % 100 == 87 { 87 } else { *number };
        assert!(ran.stderr().lines().any(|line| line.starts_with(&format!("keykit: {id}: "))), "{id} is not named");
    }
    // With a file for the lines, standard output has the result.
    let rekeyed = run(desk, "--format json licence rekey --tenant tenant -o out.jsonl", "in.jsonl").exits(1).json("licence-rekey");
    assert_eq!((&rekeyed["failed"], &rekeyed["withheld"]), (&8.into(), &0.into()));
    check_lines(&shelf, &String::from_utf8(desk.read("out.jsonl")).unwrap(), &bad);

    // Neither a folder, nor a file of somebody else, nor another input, nor another key.
    fs::create_dir(desk.path("folder")).unwrap();
    run(desk, "licence rekey --tenant tenant -o folder", "in.jsonl").exits(2).says("is a folder");
    let before = desk.read("password");
    run(desk, "licence rekey --tenant tenant -o password", "in.jsonl").exits(9).says("exists already");
    assert_eq!(desk.read("password"), before);
    desk.write("other.jsonl", lines.replacen("\"id\":0", "\"id\":8", 1));
    let output = desk.read("out.jsonl");
    run(desk, "licence rekey --tenant tenant -o out.jsonl", "other.jsonl").exits(9).says("not those of the run that was begun");
    desk.run("licence rekey in.jsonl --tenant tenant").exits(2).says("-o DIR");
    desk.run(&format!("tenant activate {} --tenant tenant", crate::support::contoso().key.id())).exits(0);
    run(desk, "licence rekey --tenant tenant -o out.jsonl", "in.jsonl").exits(9).says("another job");
    assert_eq!(desk.read("out.jsonl"), output);
}

/// A stream that is much larger than what may be in memory: the program takes it in parts. Each licence is followed by blanks up to
/// a mebibyte, so that few of them are many bytes.
#[test]
fn a_stream_is_never_in_memory_as_a_whole() {
    use std::io::{BufRead, BufReader, Read, Write};

    const LINES: usize = 400;
    const LONG: usize = 1 << 20;
    const MOST_KIB: u64 = 200 << 10;
    let shelf = Shelf::new(40);
    let mut command = Command::new(env!("CARGO_BIN_EXE_keykit"));
    command.args(["licence", "rekey", "--tenant", "tenant"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = shelf.desk.at_home(&mut command).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let status = format!("/proc/{}/status", child.id());
    std::thread::scope(|scope| {
        let shelf = &shelf;
        let read = scope.spawn(move || {
            let (mut bytes, mut count) = (0, 0);
            let mut line = Vec::new();
            while output.by_ref().take(8 << 20).read_until(b'\n', &mut line).unwrap() > 0 {
                assert!(line.starts_with(format!("{{\"id\":{count},").as_bytes()), "out of order at {count}");
                if count < shelf.given.len() {
                    let value: Value = serde_json::from_slice(&line).unwrap();
                    shelf.check(&shelf.given[count], value["licence"].as_str().unwrap().trim_end_matches(' ').as_bytes());
                }
                (bytes, count) = (bytes + line.len(), count + 1);
                line.clear();
            }
            (bytes, count)
        });
        for number in 0..LINES {
            let text = &shelf.given[number % shelf.given.len()].text;
            let line = json!({ "id": number, "licence": text }).to_string();
            let (start, end) = line.split_at(line.len() - 2);
            writeln!(input, "{start}{}{end}", " ".repeat(LONG - text.len())).unwrap();
        }
        // What is still to be done is what may be in memory.
        let peak = fs::read_to_string(&status).unwrap();
        let peak = peak.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().trim_end_matches(" kB").parse::<u64>().unwrap();
        drop(input);
        let (bytes, count) = read.join().unwrap();
        println!("{LINES} lines of {LONG} bytes: at most {peak} KiB in memory");
        assert!(count == LINES && bytes > LINES * (LONG - 16_384), "{count} lines, {bytes} bytes");
        assert!(peak < MOST_KIB, "{peak} KiB were in memory");
    });
    assert!(child.wait().unwrap().success());
}

impl Shelf {
    /// A licence under a key that no tenant of these tests has.
    fn stranger() -> String {
        let sample = crate::support::Sample::make("stranger", 2048, keykit::tpd::KeyDerivation::Sha256);
        sample.cluster.licences[0].text.clone()
    }
}
