//! The program under `strace`: what it does to files, call by call; a death or an error at any of these calls; and what is needed to
//! try one after the other: states of folders that are kept and put back.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use keykit_tests::child::{say_skipped, skip};

use crate::support::{Desk, Ran};

/// The calls by which a program changes files. strace counts each of them by itself, in each thread.
const CHANGES: &str = "mkdir,openat,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,linkat,unlink,unlinkat,ftruncate,rmdir,fchmod";
/// The calls by which it reads them; some opens are reads, too.
const READS: [&str; 2] = ["read", "pread64"];
const SIGKILL: i32 = 9;

/// False, with a word about it, where processes may not be traced. A missing strace fails where tokens and tools are required, as in
/// CI; whether processes may be traced is for the machine to say.
pub(crate) fn can_trace(test: &str) -> bool {
    let mut probe = Command::new("strace");
    probe.args(["-f", "-o", "/dev/null", "-e", "trace=fsync", "-e", "inject=fsync:signal=KILL:when=1", "true"]);
    let works = probe.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !works {
        match Command::new("strace").arg("-V").output() {
            Err(_) => skip(test, "strace is not installed"),
            Ok(_) => say_skipped(test, "strace may not trace here"),
        }
    }
    works
}

/// Whether everything is to be tried, however long it takes.
pub(crate) fn is_long() -> bool {
    std::env::var_os("KEYKIT_LONG_TESTS").is_some()
}

/// All of them in a long run, else so many, evenly spread, the last among them.
pub(crate) fn sample<T>(all: Vec<T>, count: usize) -> Vec<T> {
    let total = all.len();
    if is_long() || total <= count {
        return all;
    }
    let wanted: Vec<usize> = (1..=count).map(|index| index * total / count - 1).collect();
    all.into_iter().enumerate().filter(|(index, _)| wanted.contains(index)).map(|(_, item)| item).collect()
}

/// A call that changes a file: the n-th of its kind.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    pub(crate) call: String,
    pub(crate) number: usize,
    /// The whole call, for people.
    pub(crate) about: String,
}

impl Moment {
    /// Its name in messages.
    pub(crate) fn name(&self) -> String {
        format!("{} {}: {}", self.call, self.number, self.about.chars().take(160).collect::<String>())
    }
}

impl Moment {
    /// Whether it changes something, and does not only read.
    pub(crate) fn is_change(&self) -> bool {
        !READS.contains(&self.call.as_str()) && (self.call != "openat" || self.about.contains("O_CREAT"))
    }

    /// Whether it is about a file that is meant. The end of the process always is: everything is done before it.
    fn is_about(&self, folders: &[PathBuf]) -> bool {
        let is_meant = |path: &str| !path.starts_with('/') || folders.iter().any(|folder| Path::new(path).starts_with(folder));
        let descriptor = || self.about.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(path, _)| path);
        match self.call.as_str() {
            "exit_group" => true,
            "read" | "pread64" | "write" | "pwrite64" | "fsync" | "fdatasync" | "ftruncate" | "fchmod" => {
                descriptor().is_some_and(|path| path.starts_with('/') && is_meant(path))
            }
            // Names that count from another folder than ours are none of ours: `/proc`.
            _ if !self.about.starts_with(['"', 'A']) => false,
            _ => self.about.split('"').nth(1).is_some_and(is_meant),
        }
    }
}

fn strace(desk: &Desk, options: &[&str], arguments: &[&str]) -> Ran {
    let mut command = Command::new("strace");
    // Not `--seccomp-bpf`: with it strace 6.1 injects nothing.
    command.arg("-f").args(options).arg(env!("CARGO_BIN_EXE_keykit")).args(arguments);
    desk.finish(&mut command)
}

/// Runs the program and lists the calls by which it changed files in these folders, or under names that count from the desk, and
/// the end of the process.
pub(crate) fn moments(desk: &Desk, folders: &[PathBuf], arguments: &[&str]) -> (Ran, Vec<Moment>) {
    let (ran, all) = every_moment(desk, folders, arguments);
    (ran, all.into_iter().filter(Moment::is_change).collect())
}

/// As [`moments`], with the calls by which it reads such files.
pub(crate) fn every_moment(desk: &Desk, folders: &[PathBuf], arguments: &[&str]) -> (Ran, Vec<Moment>) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let trace = format!("trace={CHANGES},{},exit_group", READS.join(","));
    let ran = strace(desk, &["-y", "-o", log.path().to_str().unwrap(), "-e", &trace], arguments);
    let text = String::from_utf8_lossy(&fs::read(log.path()).unwrap()).into_owned();
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    let mut moments = Vec::new();
    let main = text.split_whitespace().next().unwrap_or_default().to_owned();
    for line in text.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        let Some((call, about)) = rest.split_once('(').filter(|(call, _)| call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
        else {
            continue;
        };
        let moment = Moment { call: call.to_owned(), number: 0, about: about.to_owned() };
        let is_meant = moment.is_about(folders);
        assert!(thread == main || !is_meant || !moment.is_change(), "a second thread changes files: {line}");
        if thread != main {
            continue;
        }
        let number = counts.entry(call.to_owned()).or_default();
        *number += 1;
        if is_meant {
            moments.push(Moment { number: *number, ..moment });
        }
    }
    assert!(!moments.is_empty(), "{text}");
    (ran, moments)
}

/// Runs the program, killed when it enters this call. True if it was, false if it ended before that.
pub(crate) fn killed_at(desk: &Desk, call: &str, number: usize, arguments: &[&str]) -> bool {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={number}"));
    let output = strace(desk, &["-o", "/dev/null", "-e", &trace, "-e", &inject], arguments).0;
    // strace ends as its child did.
    let killed = output.status.signal() == Some(SIGKILL) || output.status.code() == Some(128 + SIGKILL);
    assert!(killed || output.status.success(), "{}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    killed
}

/// Runs the program, in which this call fails with this error: once, or from then on.
pub(crate) fn failing_at(desk: &Desk, moment: &Moment, error: &str, for_ever: bool, arguments: &[&str]) -> Ran {
    let (call, number, on) = (&moment.call, moment.number, if for_ever { "+" } else { "" });
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:error={error}:when={number}{on}"));
    strace(desk, &["-o", "/dev/null", "-e", &trace, "-e", &inject], arguments)
}

/// Folders as they were at a time.
pub(crate) struct Saved {
    folders: Vec<PathBuf>,
    /// Each with its permissions; folders before what is in them.
    entries: Vec<(PathBuf, u32, Option<Vec<u8>>)>,
}

impl Saved {
    /// Keeps these folders, and what is in them. One that is not there is kept as such.
    pub(crate) fn of(folders: &[PathBuf]) -> Self {
        let mut saved = Self { folders: folders.to_vec(), entries: Vec::new() };
        folders.iter().filter(|folder| folder.exists()).for_each(|folder| saved.add(folder));
        saved
    }

    fn add(&mut self, path: &Path) {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        if path.is_dir() {
            self.entries.push((path.to_owned(), mode, None));
            let mut inside: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
            inside.sort();
            inside.iter().for_each(|path| self.add(path));
        } else {
            self.entries.push((path.to_owned(), mode, Some(fs::read(path).unwrap())));
        }
    }

    /// Puts everything back as it was.
    pub(crate) fn put_back(&self) {
        for folder in &self.folders {
            // Not the folder itself, which may be a mount or the place where a process is.
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
            }
            if !self.entries.iter().any(|(path, ..)| path == folder) {
                drop(fs::remove_dir(folder));
            }
        }
        for (path, mode, content) in &self.entries {
            match content {
                Some(content) => fs::write(path, content).unwrap(),
                None => fs::create_dir_all(path).unwrap(),
            }
            fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
        }
    }

    /// The files.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.entries.iter().filter_map(|(path, _, content)| content.as_deref().map(|content| (path.as_path(), content)))
    }
}
