//! Files to go through: a tree in a stable order, or a list.

use std::ffi::OsString;
use std::fs::{self, FileType};
use std::io::BufRead;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};

/// What keykit itself leaves in the root of an output folder begins like this.
pub(super) const OWN_PREFIX: &str = ".keykit-";
/// Longest line of a list, in bytes.
const LINE_LIMIT: u64 = 64 << 10;

/// One file, or what is wrong with it.
#[derive(Debug)]
#[non_exhaustive]
pub struct FileInput {
    /// The path under the input folder, with `/` between its parts.
    pub id: String,
    /// Where the file is.
    pub path: PathBuf,
    /// Its length in bytes when it was found.
    pub bytes: u64,
    /// Why it can't be an item.
    pub problem: Option<Error>,
}

impl FileInput {
    fn bad(id: String, path: PathBuf, problem: Error) -> Self {
        Self { id, path, bytes: 0, problem: Some(problem) }
    }
}

type Entries = Box<dyn Iterator<Item = Result<FileInput>> + Send>;

/// The files of a run, in the order in which they are worked on.
pub struct Files {
    roots: Vec<PathBuf>,
    entries: Entries,
    total: Option<u64>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").field("roots", &self.roots).field("total", &self.total).finish_non_exhaustive()
    }
}

impl Files {
    /// All files in these files and folders, sorted by the bytes of their names, folder by folder.
    ///
    /// The files of one folder keep their paths under it. Of several inputs, each keeps its own name before that. Symbolic
    /// links are followed only to a file in the same folder tree; any other link, and what is not a file, is a bad item.
    /// Folders are listed when they are reached, so memory is that of the names in the folders on the way.
    ///
    /// # Errors
    /// [`Error::Read`] if an input is not there; [`Error::Usage`] if there is none, or two have one name.
    pub fn walk(inputs: &[PathBuf]) -> Result<Self> {
        let mut roots = Vec::new();
        let mut starts: Vec<(String, PathBuf, bool)> = Vec::new();
        for input in inputs {
            let root = fs::canonicalize(input).map_err(|source| Error::Read { path: input.clone(), source })?;
            let is_folder = root.is_dir();
            let name = match (is_folder && inputs.len() == 1, input.file_name().or(root.file_name())) {
                (false, Some(name)) => name.to_string_lossy().into_owned(),
                _ => String::new(),
            };
            if starts.iter().any(|(other, ..)| *other == name) {
                return Err(
                    Error::usage(format!("two inputs have the name \"{name}\"")).with_hint("run them one after the other, into two output folders")
                );
            }
            starts.push((name, root.clone(), is_folder));
            roots.push(root);
        }
        if starts.is_empty() {
            return Err(Error::usage("there is no input"));
        }
        let entries = starts.into_iter().flat_map(|(name, root, is_folder)| -> Entries {
            if is_folder {
                Box::new(Walk { stack: vec![list_folder(&root, &name, true)], root }.map(Ok))
            } else {
                Box::new(std::iter::once(Ok(file(name, root.clone(), &root))))
            }
        });
        Ok(Self { roots, entries: Box::new(entries), total: None })
    }

    /// The files that a list names, one path a line, in the order of the list. Empty lines are left out.
    ///
    /// Paths are relative to `root`, or absolute and in it: a path that leads out of it is a bad item.
    ///
    /// # Errors
    /// [`Error::Read`] if `root` is not there. A list that can't be read stops the run.
    pub fn list(list: impl BufRead + Send + 'static, root: &Path) -> Result<Self> {
        let root = fs::canonicalize(root).map_err(|source| Error::Read { path: root.to_owned(), source })?;
        let entries = List { list, root: root.clone() };
        Ok(Self { roots: vec![root], entries: Box::new(entries), total: None })
    }

    /// Says how many items there will be, for the time left. See [`Self::count`].
    #[must_use]
    pub fn with_total(self, total: u64) -> Self {
        Self { total: Some(total), ..self }
    }

    /// Those of the files that `keep` holds for.
    #[must_use]
    pub fn only(self, keep: impl Fn(&FileInput) -> bool + Send + 'static) -> Self {
        let entries = self.entries.filter(move |entry| entry.as_ref().map_or(true, &keep));
        Self { entries: Box::new(entries), total: None, ..self }
    }

    /// Goes through everything and counts it; no file is opened.
    ///
    /// # Errors
    /// [`Error::Read`] if a list can't be read.
    pub fn count(self) -> Result<u64> {
        let mut count = 0;
        for entry in self.entries {
            entry?;
            count += 1;
        }
        Ok(count)
    }

    /// The folders and files that were named, as the system names them.
    pub(super) fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    pub(super) fn total(&self) -> Option<u64> {
        self.total
    }
}

impl Iterator for Files {
    type Item = Result<FileInput>;

    fn next(&mut self) -> Option<Self::Item> {
        self.entries.next()
    }
}

/// A file that may be a symbolic link, which must not lead out of `root`.
fn file(id: String, path: PathBuf, root: &Path) -> FileInput {
    let found = fs::canonicalize(&path).and_then(|real| fs::symlink_metadata(&real).map(|metadata| (real, metadata)));
    match found {
        Err(source) => FileInput::bad(id, path.clone(), Error::Read { path, source }),
        Ok((real, _)) if !real.starts_with(root) => {
            let problem =
                Error::refused_by_policy(format!("{} leads out of the input folder", path.display()), "give the folder it leads to as an input");
            FileInput::bad(id, path, problem)
        }
        Ok((_, metadata)) if !metadata.is_file() => {
            let problem = Error::malformed("item", "it is neither a file nor a folder, or a link to a folder").in_file(&path);
            FileInput::bad(id, path, problem)
        }
        Ok((real, metadata)) => {
            // The id becomes a path in the output folder and in the resume log.
            let problem = id
                .contains(char::REPLACEMENT_CHARACTER)
                .then(|| Error::malformed("item", "its name is not UTF-8").with_hint("rename it").in_file(&path));
            FileInput { id, path: real, bytes: metadata.len(), problem }
        }
    }
}

enum Entry {
    Name(OsString, FileType),
    Bad(FileInput),
}

/// What is left of a folder.
struct Folder {
    path: PathBuf,
    id: String,
    entries: std::vec::IntoIter<Entry>,
}

struct Walk {
    root: PathBuf,
    stack: Vec<Folder>,
}

impl Iterator for Walk {
    type Item = FileInput;

    fn next(&mut self) -> Option<FileInput> {
        loop {
            let folder = self.stack.last_mut()?;
            match folder.entries.next() {
                None => {
                    self.stack.pop();
                }
                Some(Entry::Bad(bad)) => return Some(bad),
                Some(Entry::Name(name, kind)) => {
                    let path = folder.path.join(&name);
                    let id = join(&folder.id, &name.to_string_lossy());
                    if !kind.is_dir() {
                        return Some(file(id, path, &self.root));
                    }
                    self.stack.push(list_folder(&path, &id, false));
                }
            }
        }
    }
}

/// Lists a folder; what can't be read becomes a bad item.
fn list_folder(path: &Path, id: &str, is_root: bool) -> Folder {
    let bad = |source| Entry::Bad(FileInput::bad(id.to_owned(), path.to_owned(), Error::Read { path: path.to_owned(), source }));
    let mut names = Vec::new();
    let mut problems = Vec::new();
    match fs::read_dir(path) {
        Err(source) => problems.push(bad(source)),
        Ok(entries) => {
            for entry in entries {
                match entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?))) {
                    // An output folder of an earlier run may be an input: its log is no licence.
                    Ok((name, _)) if is_root && name.as_encoded_bytes().starts_with(OWN_PREFIX.as_bytes()) => {}
                    Ok(found) => names.push(found),
                    Err(source) => problems.push(bad(source)),
                }
            }
        }
    }
    names.sort_unstable_by(|(one, _), (other, _)| one.as_encoded_bytes().cmp(other.as_encoded_bytes()));
    problems.extend(names.into_iter().map(|(name, kind)| Entry::Name(name, kind)));
    Folder { path: path.to_owned(), id: id.to_owned(), entries: problems.into_iter() }
}

struct List<R> {
    list: R,
    root: PathBuf,
}

impl<R: BufRead> Iterator for List<R> {
    type Item = Result<FileInput>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut line = Vec::new();
            let read = std::io::Read::take(&mut self.list, LINE_LIMIT).read_until(b'\n', &mut line);
            match read {
                Err(source) => return Some(Err(Error::Read { path: "the list of files".into(), source })),
                Ok(0) => return None,
                Ok(read) if read as u64 == LINE_LIMIT => {
                    return Some(Err(Error::malformed("list of files", format!("a line is longer than {LINE_LIMIT} bytes"))));
                }
                Ok(_) => {}
            }
            while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                line.pop();
            }
            if line.is_empty() {
                continue;
            }
            let text = String::from_utf8_lossy(&line);
            return Some(Ok(self.locate(&text)));
        }
    }
}

impl<R> List<R> {
    fn locate(&self, text: &str) -> FileInput {
        let path = self.root.join(text);
        let mut id = String::new();
        let mut leads_out = true;
        if let Ok(relative) = path.strip_prefix(&self.root) {
            leads_out = relative.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir));
            for part in relative.components().filter(|part| matches!(part, Component::Normal(_))) {
                id = join(&id, &part.as_os_str().to_string_lossy());
            }
        }
        if leads_out || id.is_empty() {
            let problem =
                Error::refused_by_policy(format!("{text} is not in the folder {}", self.root.display()), "name another root folder for the list");
            return FileInput::bad(text.to_owned(), path, problem);
        }
        file(id, path, &self.root)
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}
