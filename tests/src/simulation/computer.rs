//! Disk, clock and token calls, counted; faults by number.

#![expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "a simulated disk of small files; a mistake here is to fail loudly")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use jiff::Timestamp;
use keykit::migration::apply::Platform;

/// Bytes that a disk writes in one piece. Small, so that lines are torn often.
const SECTOR: usize = 48;

/// A generator of numbers that can be repeated (SplitMix64).
#[derive(Debug, Clone)]
pub struct Rng(pub u64);

impl Rng {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound.max(1)
    }

    /// Yes or no.
    pub fn coin(&mut self) -> bool {
        self.number() & 1 == 1
    }
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The process dies before the call.
    KillBefore,
    /// The process dies when the call has been done.
    KillAfter,
    /// EIO; a sync that fails so loses what it should have written.
    InputOutput,
    /// ENOSPC.
    NoSpace,
    /// A part is written, then ENOSPC.
    ShortWrite,
    /// A token fails with this return value.
    Token(&'static str),
}

/// A fault at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The call, counted from 1 in the life of a process.
    pub at: u64,
    /// How it fails.
    pub kind: FaultKind,
    /// Whether all calls after it fail too.
    pub for_ever: bool,
}

#[derive(Debug, Clone, Default)]
struct SimulatedFile {
    /// What is on the disk.
    durable: Vec<u8>,
    /// What programs read.
    cached: Vec<u8>,
    /// Which bytes of it must still be written.
    dirty: Vec<bool>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    files: BTreeMap<u64, SimulatedFile>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    next_file: u64,
    clock: i64,
    calls: u64,
    fault: Option<Fault>,
    dead: bool,
    pub(super) trace: Vec<&'static str>,
    /// Keys in the target token, each as often as it is there.
    pub(super) target: BTreeMap<String, usize>,
    /// Keys at the source, which nobody may take away.
    pub(super) source: BTreeSet<String>,
}

/// What a sector holds that was given to a file and never written: bytes of no text, lines of text, JSON, or a piece of the file itself
/// as another place of the disk has it.
fn stale(rng: &mut Rng, own: &[u8], length: usize) -> Vec<u8> {
    const LINES: &[u8] = b"What somebody wrote yesterday.\nIt has lines\n\nand an end.\n";
    const JSON: &[u8] = b"{\"keys\":{\"a\":\"archived\"},\"active\":null}\n{}\n\"text\"\n";
    let pieces = match rng.below(5) {
        0 => return (0..length).map(|_| (rng.number() & 0x7f) as u8 | 0x80).collect(),
        1 => return (0..length).map(|_| b' ' + rng.below(95) as u8).collect(),
        2 => LINES,
        3 => JSON,
        _ if own.is_empty() => LINES,
        _ => own,
    };
    let from = rng.below(pieces.len() as u64) as usize;
    pieces.iter().copied().cycle().skip(from).take(length).collect()
}

/// What a call is to do.
enum Go {
    Whole,
    Part,
    WholeAndDie,
}

impl State {
    /// Counts a call and says what becomes of it.
    fn enter(&mut self, name: &'static str, is_token: bool) -> Result<Go, Failure> {
        if self.dead {
            return Err(Failure::Dead);
        }
        self.calls += 1;
        self.trace.push(name);
        let Some(fault) = self.fault.filter(|fault| self.calls == fault.at || (fault.for_ever && self.calls > fault.at)) else {
            return Ok(Go::Whole);
        };
        match fault.kind {
            FaultKind::KillBefore => {
                self.dead = true;
                Err(Failure::Dead)
            }
            FaultKind::KillAfter => Ok(Go::WholeAndDie),
            FaultKind::Token(code) if is_token => Err(Failure::Token(code)),
            FaultKind::InputOutput if !is_token => Err(Failure::Disk("EIO")),
            FaultKind::NoSpace if !is_token && matches!(name, "append" | "create" | "rename") => Err(Failure::Disk("ENOSPC")),
            FaultKind::ShortWrite if name == "append" => Ok(Go::Part),
            _ => Ok(Go::Whole),
        }
    }

    fn file(&mut self, path: &Path) -> &mut SimulatedFile {
        let next = &mut self.next_file;
        let number = *self.names.entry(path.to_owned()).or_insert_with(|| {
            *next += 1;
            *next
        });
        self.files.entry(number).or_default()
    }
}

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Dead,
    Disk(&'static str),
    Token(&'static str),
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        io::Error::other(format!("{failure:?}"))
    }
}

/// The computer. Clones are the same computer.
#[derive(Debug, Clone, Default)]
pub struct Computer(pub(super) Rc<RefCell<State>>);

impl Computer {
    /// A process begins; `fault` happens in its life.
    pub fn begin(&self, fault: Option<Fault>) {
        let mut state = self.0.borrow_mut();
        state.calls = 0;
        state.fault = fault;
        state.dead = false;
        state.trace.clear();
    }

    /// Calls of the process so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.0.borrow().calls
    }

    /// The power goes: of what was not synced, some sectors and some names are on the disk, others are not, and in the place of
    /// some there is what was there before.
    pub fn cut_power(&self, rng: &mut Rng) {
        let mut state = self.0.borrow_mut();
        let mut names = state.durable_names.clone();
        for (path, number) in &state.names {
            if names.get(path) != Some(number) && rng.coin() {
                names.insert(path.clone(), *number);
            }
        }
        let gone: Vec<PathBuf> = names.keys().filter(|path| !state.names.contains_key(*path)).cloned().collect();
        for path in gone {
            if rng.coin() {
                names.remove(&path);
            }
        }
        for file in state.files.values_mut() {
            let mut disk = file.durable.clone();
            let most = file.cached.len().max(disk.len());
            // The length is one that the file had, or any between: lengths and contents are written apart.
            let length = if file.cached.len() == disk.len() {
                most
            } else {
                disk.len().min(file.cached.len()) + rng.below((most - disk.len().min(file.cached.len())) as u64 + 1) as usize
            };
            disk.resize(length, 0);
            for start in (0..length).step_by(SECTOR) {
                let end = (start + SECTOR).min(length);
                let is_dirty = (start..end).any(|index| file.dirty.get(index).copied().unwrap_or(false));
                if !is_dirty {
                    continue;
                }
                match rng.below(4) {
                    // Written, in whole.
                    0 | 1 => (start..end).filter(|index| *index < file.cached.len()).for_each(|index| disk[index] = file.cached[index]),
                    // Not written.
                    2 => {}
                    // New bytes hold what was on the disk before.
                    _ => {
                        let stale = stale(rng, &file.durable, end - start);
                        (start..end).zip(stale).filter(|(index, _)| *index >= file.durable.len()).for_each(|(index, byte)| disk[index] = byte);
                    }
                }
            }
            file.durable.clone_from(&disk);
            file.dirty = vec![false; disk.len()];
            file.cached = disk;
        }
        state.durable_names.clone_from(&names);
        state.names = names;
    }

    /// A person cuts a file to a length.
    pub fn cut(&self, path: &Path, length: usize) {
        let mut state = self.0.borrow_mut();
        let file = state.file(path);
        file.cached.truncate(length);
        file.dirty.truncate(length);
        file.durable.truncate(length);
    }

    /// What programs read of a file.
    #[must_use]
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.0.borrow();
        state.names.get(path).and_then(|number| state.files.get(number)).map(|file| file.cached.clone())
    }

    /// What the disk has of a file if the power goes now.
    #[must_use]
    pub fn durable_content(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.0.borrow();
        state.durable_names.get(path).and_then(|number| state.files.get(number)).map(|file| file.durable.clone())
    }

    /// All files with what programs read of them.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let state = self.0.borrow();
        let read = |number| state.files.get(number).map(|file: &SimulatedFile| file.cached.clone()).unwrap_or_default();
        state.names.iter().map(|(path, number)| (path.clone(), read(number))).collect()
    }

    /// How often a key is in the target.
    #[must_use]
    pub fn copies(&self, key: &str) -> usize {
        self.0.borrow().target.get(key).copied().unwrap_or_default()
    }

    /// Somebody takes all keys out of the target.
    pub fn forget_target_keys(&self) {
        self.0.borrow_mut().target.clear();
    }

    /// Puts a key into the source, before everything.
    pub fn put_source_key(&self, key: String) {
        self.0.borrow_mut().source.insert(key);
    }

    fn call<T>(&self, name: &'static str, work: impl FnOnce(&mut State, bool) -> T) -> Result<T, Failure> {
        let mut state = self.0.borrow_mut();
        match state.enter(name, false)? {
            Go::Whole => Ok(work(&mut state, true)),
            Go::Part => {
                work(&mut state, false);
                Err(Failure::Disk("ENOSPC after a part"))
            }
            Go::WholeAndDie => {
                work(&mut state, true);
                state.dead = true;
                Err(Failure::Dead)
            }
        }
    }

    /// A call into a token. What it does there lasts.
    pub(super) fn token<T>(&self, name: &'static str, work: impl FnOnce(&mut State) -> T) -> Result<T, Failure> {
        let mut state = self.0.borrow_mut();
        match state.enter(name, true)? {
            Go::WholeAndDie => {
                work(&mut state);
                state.dead = true;
                Err(Failure::Dead)
            }
            _ => Ok(work(&mut state)),
        }
    }

    /// Replaces a file as [`keykit::durable::write`] does: temporary file, sync, rename, sync of the folder.
    pub(super) fn replace(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let temporary = path.with_extension("tmp");
        self.call("create", |state, _| {
            state.names.remove(&temporary);
            state.file(&temporary);
        })?;
        self.append(&temporary, bytes)?;
        self.sync(&temporary)?;
        self.call("rename", |state, _| {
            if let Some(number) = state.names.remove(&temporary) {
                state.names.insert(path.to_owned(), number);
            }
        })?;
        self.sync_folder(path.parent().unwrap_or(Path::new("/")))
    }
}

impl Platform for Computer {
    fn now(&self) -> Timestamp {
        let mut state = self.0.borrow_mut();
        state.clock += 1;
        Timestamp::from_second(1_790_000_000 + state.clock).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn read(&mut self, path: &Path, _: u64) -> io::Result<Option<Vec<u8>>> {
        Ok(self.call("read", |state, _| state.names.get(path).and_then(|number| state.files.get(number)).map(|file| file.cached.clone()))?)
    }

    fn append(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        Ok(self.call("append", |state, whole| {
            let bytes = if whole { bytes } else { &bytes[..bytes.len() / 2] };
            let file = state.file(path);
            file.cached.extend_from_slice(bytes);
            file.dirty.resize(file.cached.len(), true);
        })?)
    }

    fn overwrite(&mut self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        Ok(self.call("append", |state, whole| {
            let bytes = if whole { bytes } else { &bytes[..bytes.len() / 2] };
            let file = state.file(path);
            for (index, byte) in (offset as usize..).zip(bytes) {
                file.cached[index] = *byte;
                file.dirty[index] = true;
            }
        })?)
    }

    fn truncate(&mut self, path: &Path, length: u64) -> io::Result<()> {
        Ok(self.call("truncate", |state, _| {
            let file = state.file(path);
            file.cached.truncate(length as usize);
            file.dirty.truncate(length as usize);
        })?)
    }

    fn sync(&mut self, path: &Path) -> io::Result<()> {
        let synced = self.call("sync", |state, _| {
            let file = state.file(path);
            file.durable.resize(file.cached.len(), 0);
            for (index, dirty) in file.dirty.iter_mut().enumerate() {
                if std::mem::take(dirty) {
                    file.durable[index] = file.cached[index];
                }
            }
        });
        if matches!(synced, Err(Failure::Disk(_))) {
            // As on Linux: the pages count as clean afterwards, though they were not written.
            self.0.borrow_mut().file(path).dirty.fill(false);
        }
        Ok(synced?)
    }

    fn sync_folder(&mut self, folder: &Path) -> io::Result<()> {
        Ok(self.call("sync folder", |state, _| {
            let here = |path: &PathBuf| path.parent() == Some(folder);
            state.durable_names.retain(|path, _| !here(path));
            let names: Vec<(PathBuf, u64)> =
                state.names.iter().filter(|(path, _)| here(path)).map(|(path, number)| (path.clone(), *number)).collect();
            state.durable_names.extend(names);
        })?)
    }
}
