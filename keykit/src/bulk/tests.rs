//! The whole machinery, with transforms that are easy to check.

mod crash;
mod flow;
mod folder;
mod stream;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::*;
use crate::Error;

/// What `Upper` makes of an input.
fn upper(text: &str) -> String {
    format!("<{}>", text.to_uppercase())
}

/// Turns text into capitals; refuses what holds "bad", leaves what holds "same", stops at "stop"; notes what it was given.
#[derive(Default)]
struct Upper {
    seen: Mutex<Vec<String>>,
}

impl Transform for Upper {
    fn transform(&self, items: &[Item]) -> Result<Vec<Result<Output>>> {
        self.seen.lock().unwrap().extend(items.iter().map(|item| item.id.clone()));
        items.iter().map(|item| one(&item.bytes)).collect()
    }
}

fn one(bytes: &[u8]) -> Result<Result<Output>> {
    let text = std::str::from_utf8(bytes).unwrap();
    Ok(match text {
        _ if text.contains("stop") => return Err(Error::Internal("asked to stop".into())),
        _ if text.contains("panic") => panic!("asked to panic"),
        _ if text.contains("bad") => Err(Error::malformed("test", "bad")),
        _ if text.contains("same") => Ok(Output::Unchanged),
        _ => Ok(Output::Changed(upper(text).into_bytes())),
    })
}

/// Keeps all it is told.
#[derive(Default)]
struct Notes {
    failed: Vec<(String, &'static str)>,
    last: Option<Progress>,
    told: usize,
}

impl Observer for Notes {
    fn progress(&mut self, progress: &Progress) {
        assert!(self.last.is_none_or(|last| last.counts.total() <= progress.counts.total()));
        self.last = Some(*progress);
        self.told += 1;
    }

    fn failed(&mut self, id: &str, error: &Error) {
        self.failed.push((id.to_owned(), error.code()));
    }
}

fn small(workers: usize, batch_items: usize) -> Options<'static> {
    Options { workers: NonZero::new(workers).unwrap(), batch_items: NonZero::new(batch_items).unwrap(), ..Options::default() }
}

/// Makes files in a new folder.
fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(folder.path()).unwrap();
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    (folder, root)
}

/// All files of a folder, but for the log.
fn read_tree(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().unwrap() != ".keykit-resume.jsonl" {
                found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

fn run_tree(input: &Path, output: &Path, transform: &dyn Transform, options: &Options<'_>, notes: &mut Notes) -> Report {
    let inputs = Files::walk(&[input.to_owned()]).unwrap();
    let output = OutputFolder::open(output, &inputs, "test").unwrap();
    files(inputs, &output, transform, options, notes)
}

fn counts(done: u64, failed: u64, skipped: u64, unchanged: u64) -> Counts {
    Counts { done, failed, skipped, unchanged }
}
