//! Files into an output folder that mirrors the input.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempPath;

use super::engine::{self, Feed, lock};
use super::inputs::{FileInput, Files, OWN_PREFIX};
use super::progress::{Meter, Observer, Report};
use super::resume::{self, Earlier, Entry, LogFile, digest_of, digest_of_file};
use super::{Item, ItemKind, Options, Output, Transform, transform_all};
use crate::durable;
use crate::error::{Error, Result};

const FORMAT: &str = "keykit/bulk-resume/1";
const LOG: &str = ".keykit-resume.jsonl";
const STAGING: &str = ".keykit-staging";
/// Files are synced by this many threads: the system joins syncs that come together.
const SYNC_THREADS: usize = 8;
/// So many output folders are remembered as made.
const KNOWN_FOLDERS: usize = 4096;

/// A folder that outputs go to, mirroring the paths of the inputs. Nothing in it is ever overwritten.
///
/// It holds a resume log, `.keykit-resume.jsonl`, which stays there, and while a run is on a folder `.keykit-staging`. Only
/// one run at a time can have it.
#[derive(Debug)]
pub struct OutputFolder {
    root: PathBuf,
    staging: PathBuf,
    log: Mutex<LogFile>,
    earlier: Earlier,
    pub(super) watch: Watch,
}

/// What is about to be done to the disk. Tests stop a run there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Stage,
    SyncStaged,
    AppendLog,
    SyncLog,
    Place,
    SyncFolder,
}

type Watcher = Arc<dyn Fn(Step) -> io::Result<()> + Send + Sync>;

/// Is asked before each step.
#[derive(Clone, Default)]
pub(super) struct Watch(pub(super) Option<Watcher>);

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

impl Watch {
    fn before(&self, step: Step) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |watcher| watcher(step))
    }
}

impl OutputFolder {
    /// Opens an output folder, made if it does not exist, for these inputs.
    ///
    /// `job` says what is done to the inputs, for example the tenant and its active key. A folder that was begun for another
    /// job is refused.
    ///
    /// # Errors
    /// [`Error::Refused`] if the folder is, contains or is in an input; [`Error::Conflict`] if it belongs to another job or
    /// another run has it; [`Error::Write`].
    pub fn open(path: &Path, inputs: &Files, job: &str) -> Result<Self> {
        let root = resolve(path)?;
        if let Some(input) = inputs.roots().iter().find(|input| input.starts_with(&root) || root.starts_with(input)) {
            return Err(Error::refused_by_policy(
                format!("the output {} and the input {} are the same or one is in the other", root.display(), input.display()),
                "choose an output folder beside the input: the originals are never touched",
            ));
        }
        make_folders(&root)?;
        let (log, earlier) = Earlier::open(&root.join(LOG), FORMAT, job)?;
        let staging = root.join(STAGING);
        let failed = |source| Error::Write { path: staging.clone(), source };
        // What a killed run left there was never in place.
        match fs::remove_dir_all(&staging) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        durable::make_folder(&staging)?;
        Ok(Self { root, staging, log: Mutex::new(log), earlier, watch: Watch::default() })
    }

    /// Where the output of an item belongs.
    fn place_of(&self, id: &str) -> PathBuf {
        self.root.join(id.split('/').collect::<PathBuf>())
    }
}

impl Drop for OutputFolder {
    fn drop(&mut self) {
        // It is empty, or the next run makes it so.
        drop(fs::remove_dir(&self.staging));
    }
}

/// Takes `inputs` through `transform` into `output`.
///
/// An item counts as done by an earlier run if its output is there and the resume log knows the digests of both. An output
/// that is there and does not fit the log makes the item a bad one; it is not touched. A bad item is tried again by the next
/// run.
///
/// Files get mode 0644, new folders 0700. Empty folders are not mirrored.
pub fn files(inputs: Files, output: &OutputFolder, transform: &dyn Transform, options: &Options<'_>, observer: &mut dyn Observer) -> Report {
    let mut meter = Meter::new(inputs.total(), observer);
    let mut committer = Committer { output, folders: HashSet::new() };
    let work = |raws| output.work(raws, transform, options);
    let ended = engine::run(inputs, options, work, |group| {
        let results = committer.commit(group.into_iter().flat_map(|(batch, ())| batch).collect())?;
        for (id, result) in results {
            match result {
                Ok(Placed::Done) => meter.counts.done += 1,
                Ok(Placed::Unchanged) => meter.counts.unchanged += 1,
                Ok(Placed::Earlier) => meter.counts.skipped += 1,
                Err(error) => meter.failed(&id, &error),
            }
        }
        meter.tell();
        Ok(())
    });
    meter.report(ended)
}

impl Feed for Files {
    type Raw = FileInput;
    type Mark = ();

    fn next(&mut self) -> Result<Option<FileInput>> {
        Iterator::next(self).transpose()
    }

    fn size(raw: &FileInput) -> u64 {
        raw.bytes
    }

    fn mark(&self) {}
}

/// An item after the work, before the commit.
struct Ready {
    id: String,
    result: Result<State>,
}

enum State {
    Earlier,
    Staged(Staged),
}

struct Staged {
    file: TempPath,
    entry: Entry,
    changed: bool,
}

enum Placed {
    Done,
    Unchanged,
    Earlier,
}

/// What to do with a file that was found.
enum Found {
    Fresh { item: Item, digest: String },
    Earlier,
}

impl OutputFolder {
    /// Reads, transforms and stages a batch. Errors of the outer kind stop the run.
    fn work(&self, raws: Vec<FileInput>, transform: &dyn Transform, options: &Options<'_>) -> Result<Vec<Ready>> {
        let mut ready = Vec::with_capacity(raws.len());
        let mut items = Vec::new();
        let mut slots = Vec::new();
        for raw in raws {
            let id = raw.id.clone();
            let result = match self.look_at(raw, options.item_limit) {
                Ok(Found::Fresh { item, digest }) => {
                    items.push(item);
                    slots.push((ready.len(), digest));
                    // Stands until the item has its result, just below.
                    Err(Error::Internal("an item has no result".into()))
                }
                Ok(Found::Earlier) => Ok(State::Earlier),
                Err(error) => Err(error),
            };
            ready.push(Ready { id, result });
        }
        let outputs = transform_all(transform, &items)?;
        for (((slot, input), item), output) in slots.into_iter().zip(&items).zip(outputs) {
            let result = match output {
                Ok(Output::Changed(bytes)) => Ok(State::Staged(self.stage(item, input, &bytes, true)?)),
                Ok(Output::Unchanged) => Ok(State::Staged(self.stage(item, input, &item.bytes, false)?)),
                Err(error) => Err(error),
            };
            if let Some(ready) = ready.get_mut(slot) {
                ready.result = result;
            }
        }
        Ok(ready)
    }

    fn look_at(&self, raw: FileInput, limit: u64) -> Result<Found> {
        if let Some(problem) = raw.problem {
            return Err(problem);
        }
        if raw.id.starts_with(OWN_PREFIX) {
            return Err(Error::refused_by_policy("its name is one that keykit uses in an output folder", "rename the input"));
        }
        let bytes = durable::read(&raw.path, limit, "item")?;
        let digest = digest_of(&bytes);
        let place = self.place_of(&raw.id);
        if fs::symlink_metadata(&place).is_err() {
            return Ok(Found::Fresh { item: Item { id: raw.id, bytes, kind: ItemKind::File }, digest });
        }
        let entries = self.earlier.entries(&raw.id)?;
        if entries.is_empty() {
            return Err(exists(&place, "it was not written by this job"));
        }
        let output = digest_of_file(&place)?;
        match entries.iter().find(|entry| entry.output == output) {
            Some(entry) if entry.input == digest => Ok(Found::Earlier),
            Some(_) => Err(exists(&place, "the input was changed after it was written")),
            None => Err(exists(&place, "it was changed after it was written")),
        }
    }

    fn stage(&self, item: &Item, input: String, bytes: &[u8], changed: bool) -> Result<Staged> {
        let failed = |source| Error::Write { path: self.staging.clone(), source };
        self.watch.before(Step::Stage).map_err(failed)?;
        let mut file = tempfile::Builder::new().prefix("").suffix(".tmp").tempfile_in(&self.staging).map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        durable::make_shared(file.as_file()).map_err(failed)?;
        let entry = Entry { id: item.id.clone(), input, output: digest_of(bytes) };
        // The file is closed: there can be thousands in flight.
        Ok(Staged { file: file.into_temp_path(), entry, changed })
    }
}

struct Committer<'a> {
    output: &'a OutputFolder,
    /// Folders that are made and known to be in the output folder.
    folders: HashSet<PathBuf>,
}

impl Committer<'_> {
    /// Puts a group of items in place, in the order that the module `bulk` describes.
    fn commit(&mut self, group: Vec<Ready>) -> Result<Vec<(String, Result<Placed>)>> {
        let output = self.output;
        let staged: Vec<&Staged> =
            group.iter().filter_map(|ready| if let Ok(State::Staged(staged)) = &ready.result { Some(staged) } else { None }).collect();
        let mut touched = HashSet::new();
        if !staged.is_empty() {
            self.sync(&staged)?;
            let mut lines = String::new();
            for staged in &staged {
                lines.push_str(&resume::to_line(&staged.entry)?);
            }
            let failed = |source| Error::Write { path: output.root.join(LOG), source };
            let mut log = lock(&output.log);
            output.watch.before(Step::AppendLog).map_err(failed)?;
            log.append(lines.as_bytes())?;
            output.watch.before(Step::SyncLog).map_err(failed)?;
            log.sync()?;
        }
        let mut results = Vec::with_capacity(group.len());
        for Ready { id, result } in group {
            let result = match result {
                Err(error) => Err(error),
                Ok(State::Earlier) => Ok(Placed::Earlier),
                Ok(State::Staged(staged)) => {
                    let placed = if staged.changed { Placed::Done } else { Placed::Unchanged };
                    match self.place(&id, staged.file, &mut touched) {
                        Ok(()) => Ok(placed),
                        Err(error) if stops(&error) => return Err(error),
                        Err(error) => Err(error),
                    }
                }
            };
            results.push((id, result));
        }
        for folder in touched {
            output.watch.before(Step::SyncFolder).map_err(|source| Error::Write { path: folder.clone(), source })?;
            durable::sync_folder(&folder)?;
        }
        Ok(results)
    }

    /// Syncs every file. Several at once, as one after the other waits several times as long.
    fn sync(&self, staged: &[&Staged]) -> Result<()> {
        let sync = |share: &[&Staged]| {
            for staged in share {
                let path: &Path = &staged.file;
                let synced = self
                    .output
                    .watch
                    .before(Step::SyncStaged)
                    .and_then(|()| OpenOptions::new().write(true).open(path))
                    .and_then(|file| file.sync_all());
                synced.map_err(|source| Error::Write { path: path.to_owned(), source })?;
            }
            Ok(())
        };
        let sync = &sync;
        thread::scope(|scope| {
            let threads: Vec<_> = staged
                .chunks(staged.len().div_ceil(SYNC_THREADS).max(1))
                .map(|share| (share, thread::Builder::new().spawn_scoped(scope, move || sync(share))))
                .collect();
            threads.into_iter().try_for_each(|(share, thread)| match thread {
                Ok(thread) => thread.join().unwrap_or_else(|_| Err(Error::Internal("a thread panicked while it synced files".into()))),
                // The system gave no thread.
                Err(_) => sync(share),
            })
        })
    }

    fn place(&mut self, id: &str, file: TempPath, touched: &mut HashSet<PathBuf>) -> Result<()> {
        let place = self.output.place_of(id);
        let folder = durable::parent(&place).to_owned();
        self.make(&folder)?;
        self.output.watch.before(Step::Place).map_err(|source| Error::Write { path: place.clone(), source })?;
        file.persist_noclobber(&place).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => exists(&place, "it was not written by this job"),
            _ => Error::Write { path: place.clone(), source: error.error },
        })?;
        touched.insert(folder);
        Ok(())
    }

    /// Makes a folder in the output folder; one that leads out of it by a link is refused.
    fn make(&mut self, folder: &Path) -> Result<()> {
        if folder == self.output.root || self.folders.contains(folder) {
            return Ok(());
        }
        let failed = |source| Error::Write { path: folder.to_owned(), source };
        self.make(durable::parent(folder))?;
        if fs::symlink_metadata(folder).is_ok_and(|metadata| !metadata.is_dir()) {
            return Err(exists(folder, "it is not a folder, and one is needed there"));
        }
        durable::make_folder(folder)?;
        if fs::canonicalize(folder).map_err(failed)? != folder {
            return Err(exists(folder, "it leads elsewhere"));
        }
        if self.folders.len() >= KNOWN_FOLDERS {
            self.folders.clear();
        }
        self.folders.insert(folder.to_owned());
        Ok(())
    }
}

/// Whether an error while an item is put in place is about the disk, and not about that item.
fn stops(error: &Error) -> bool {
    use io::ErrorKind::{InvalidFilename, IsADirectory, NotADirectory};
    match error {
        Error::Conflict { .. } => false,
        Error::Write { source, .. } => !matches!(source.kind(), InvalidFilename | IsADirectory | NotADirectory),
        _ => true,
    }
}

fn exists(path: &Path, why: &str) -> Error {
    Error::Conflict {
        what: format!("{} exists already: {why}", path.display()),
        hint: Some("move it away and start again; keykit does not overwrite".into()),
    }
}

/// The path as the system will name it, also if the end of it does not exist yet.
fn resolve(path: &Path) -> Result<PathBuf> {
    let mut missing = Vec::new();
    let mut existing = path;
    loop {
        // An empty path is the folder we are in.
        let real = fs::canonicalize(if existing.as_os_str().is_empty() { Path::new(".") } else { existing });
        match (real, existing.file_name(), existing.parent()) {
            (Ok(mut real), ..) => {
                real.extend(missing.iter().rev());
                return Ok(real);
            }
            (Err(error), Some(name), Some(parent)) if error.kind() == io::ErrorKind::NotFound => {
                missing.push(name);
                existing = parent;
            }
            (Err(source), ..) => return Err(Error::Write { path: path.to_owned(), source }),
        }
    }
}

/// Makes a folder and those above it; each is on the disk.
fn make_folders(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_folders(parent)?;
    }
    durable::make_folder(path)
}
