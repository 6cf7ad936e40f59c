//! Runs that are killed with SIGKILL at any moment, started again, and killed again.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Write as _};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::Duration;
use std::{env, process};

use keykit::Result;
use keykit::bulk::{self, Files, Item, LinesOutput, Options, Output, OutputFolder, Transform};

/// Set in the child process: the folder to work in.
const INSIDE: &str = "KEYKIT_TEST_BULK_KILL";
const ITEMS: usize = 600;
const KILLS: usize = 10;

fn options() -> Options<'static> {
    Options { workers: NonZero::new(2).unwrap(), batch_items: NonZero::new(8).unwrap(), ..Options::default() }
}

/// Notes each item before it is done, in one write that a kill can't take back. Its output differs in each process, as
/// sealing is randomised.
struct Noting(Mutex<File>);

impl Noting {
    fn new(folder: &Path) -> Self {
        Self(Mutex::new(OpenOptions::new().create(true).append(true).open(folder.join("seen")).unwrap()))
    }
}

impl Transform for Noting {
    fn transform(&self, items: &[Item]) -> Result<Vec<Result<Output>>> {
        let text: String = items.iter().map(|item| format!("{}\n", item.id)).collect();
        self.0.lock().unwrap().write_all(text.as_bytes()).unwrap();
        sleep(Duration::from_millis(2));
        Ok(items.iter().map(|item| Ok(Output::Changed(output_of(&item.bytes, process::id())))).collect())
    }
}

fn output_of(input: &[u8], nonce: u32) -> Vec<u8> {
    format!("{nonce}:{}", String::from_utf8_lossy(input).to_uppercase()).into_bytes()
}

/// The output without what differs.
fn content(output: &str) -> &str {
    output.split_once(':').unwrap().1
}

fn start(name: &str, folder: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills the test of this name `KILLS` times, each after a little longer, then lets it end; how many times it was killed.
fn torment(name: &str, folder: &Path) -> usize {
    let mut state = 88_172_645_463_325_252_u64;
    let mut killed = 0;
    for _ in 0..KILLS {
        let mut child = start(name, folder);
        // Once there is something to kill, any moment is as good as another.
        let before = seen(folder).values().sum::<usize>();
        while seen(folder).values().sum::<usize>() == before && child.try_wait().unwrap().is_none() {
            sleep(Duration::from_millis(1));
        }
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        sleep(Duration::from_micros(state % 25_000));
        child.kill().unwrap();
        killed += usize::from(!child.wait().unwrap().success());
    }
    assert!(start(name, folder).wait().unwrap().success(), "the last run does not come to its end");
    killed
}

/// How many times each item was given to the transform.
fn seen(folder: &Path) -> HashMap<String, usize> {
    let mut seen = HashMap::new();
    for id in fs::read_to_string(folder.join("seen")).unwrap_or_default().lines() {
        *seen.entry(id.to_owned()).or_default() += 1;
    }
    seen
}

fn assert_little_was_redone(folder: &Path, killed: usize) {
    let seen = seen(folder);
    assert_eq!(seen.len(), ITEMS, "every item was done");
    let redone = seen.values().sum::<usize>() - ITEMS;
    let in_flight = options().batches_in_flight() * options().batch_items.get();
    println!("{killed} kills, {redone} items done again, at most {in_flight} in flight");
    assert!(killed >= 3, "killed {killed} times only");
    assert!(redone <= killed * in_flight, "{redone} items were done again after {killed} kills");
}

#[test]
fn files_survive_kills() {
    if let Some(folder) = env::var_os(INSIDE).map(PathBuf::from) {
        let inputs = Files::walk(&[folder.join("in")]).unwrap();
        let output = OutputFolder::open(&folder.join("out"), &inputs, "kill").unwrap();
        let counts = bulk::files(inputs, &output, &Noting::new(&folder), &options(), &mut ()).into_result().unwrap();
        assert_eq!((counts.total(), counts.failed), (ITEMS as u64, 0));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for number in 0..ITEMS {
        let path = folder.join(format!("in/{}/{number}", number % 13));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("licence {number}")).unwrap();
    }
    let before = read_tree(&folder.join("in"));
    let killed = torment("files_survive_kills", folder);
    assert_little_was_redone(folder, killed);
    assert_eq!(read_tree(&folder.join("in")), before);
    let outputs = read_tree(&folder.join("out"));
    let expected: BTreeMap<_, _> = before.iter().map(|(path, text)| (path.clone(), text.to_uppercase())).collect();
    assert_eq!(outputs.iter().map(|(path, text)| (path.clone(), content(text).to_owned())).collect::<BTreeMap<_, _>>(), expected);
    assert!(!folder.join("out/.keykit-staging").exists(), "nothing is left over");
}

fn read_tree(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(root).unwrap() {
        let folder = entry.unwrap().path();
        if folder.file_name().unwrap() == ".keykit-resume.jsonl" {
            continue;
        }
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            found.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read_to_string(&path).unwrap());
        }
    }
    found
}

#[test]
fn lines_survive_kills() {
    if let Some(folder) = env::var_os(INSIDE).map(PathBuf::from) {
        let input = BufReader::new(File::open(folder.join("in")).unwrap());
        let output = LinesOutput::file(&folder.join("out"), Some((&folder.join("log"), "kill"))).unwrap();
        let counts = bulk::lines(input, output, &Noting::new(&folder), &options(), &mut ()).into_result().unwrap();
        assert_eq!((counts.total(), counts.failed), (ITEMS as u64, 0));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let input: String = (0..ITEMS).map(|number| format!("{{\"id\":\"{number}\",\"licence\":\"licence {number}\"}}\n")).collect();
    fs::write(folder.join("in"), &input).unwrap();
    let killed = torment("lines_survive_kills", folder);
    assert_little_was_redone(folder, killed);
    let output = fs::read_to_string(folder.join("out")).unwrap();
    let found: Vec<_> = output
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            (line["id"].as_str().unwrap().to_owned(), content(line["licence"].as_str().unwrap()).to_owned())
        })
        .collect();
    assert_eq!(found, (0..ITEMS).map(|number| (number.to_string(), format!("LICENCE {number}"))).collect::<Vec<_>>());
}
