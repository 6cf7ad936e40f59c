//! `cargo xtask install`: the program, its manual pages and its completions, in the usual places below a prefix.
//!
//! | what | where |
//! |---|---|
//! | the program | `bin/keykit` |
//! | a manual page for each command | `share/man/man1` |
//! | completions | `share/bash-completion/completions/keykit`, `share/zsh/site-functions/_keykit`, `share/fish/vendor_completions.d/keykit.fish` |

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::process::{cargo, output, root, run};

/// Shells, and where each looks for completions below a prefix.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/keykit"),
    ("zsh", "share/zsh/site-functions/_keykit"),
    ("fish", "share/fish/vendor_completions.d/keykit.fish"),
];
const PAGES: &str = "share/man/man1";

/// What to install, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    prefix: Option<PathBuf>,
    debug: bool,
}

impl Options {
    /// Reads the arguments; `None` if they can't be understood.
    pub(crate) fn read(words: &[&str]) -> Option<Self> {
        let mut options = Self { prefix: None, debug: false };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--prefix" if options.prefix.is_none() => options.prefix = Some(words.next().map(PathBuf::from)?),
                "--debug" => options.debug = true,
                _ => return None,
            }
        }
        Some(options)
    }

    /// `~/.local` unless another was given. Paths count from where the person is.
    fn prefix(&self) -> Result<PathBuf> {
        match (&self.prefix, std::env::var_os("HOME")) {
            (Some(prefix), _) => std::path::absolute(prefix).map_err(|error| format!("{}: {error}", prefix.display())),
            (None, Some(home)) => Ok(Path::new(&home).join(".local")),
            (None, None) => Err("HOME is not set: give --prefix DIR".into()),
        }
    }
}

/// Builds the program and installs it.
pub(crate) fn install(options: &Options) -> Result<()> {
    let prefix = options.prefix()?;
    let mut build = cargo();
    build.args(["build", "--locked", "-p", "keykit-cli"]);
    if !options.debug {
        build.arg("--release");
    }
    run(&mut build)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let program = target.join(if options.debug { "debug" } else { "release" }).join("keykit");
    for path in install_program(&program, &prefix)? {
        println!("{}", path.display());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|folder| folder == prefix.join("bin")) {
        eprintln!("xtask: {} is not in PATH", prefix.join("bin").display());
    }
    Ok(())
}

/// Puts a program and what it says of itself below a prefix; the result is what was written. What is there is replaced, each file in
/// one step, the program last: the pages and completions are never newer than it for long.
fn install_program(program: &Path, prefix: &Path) -> Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    let pages = folder(prefix.join(PAGES))?;
    output(Command::new(program).args(["man", "-o"]).arg(&pages))?;
    written.push(pages);
    for (shell, place) in COMPLETIONS {
        let script = output(Command::new(program).args(["completions", shell]))?;
        written.push(put(&prefix.join(place), script.as_bytes(), 0o644)?);
    }
    let bytes = fs::read(program).map_err(|error| format!("{}: {error}", program.display()))?;
    written.push(put(&prefix.join("bin/keykit"), &bytes, 0o755)?);
    Ok(written)
}

fn folder(path: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display())).map(|()| path)
}

/// Writes a file beside its place and renames it: a program that is running can be replaced so.
fn put(path: &Path, bytes: &[u8], mode: u32) -> Result<PathBuf> {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    let parent = folder(path.parent().map(Path::to_owned).unwrap_or_default())?;
    let done = tempfile::NamedTempFile::new_in(&parent).and_then(|mut file| {
        file.write_all(bytes)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        file.persist(path).map_err(|error| error.error)
    });
    done.map(|_| path.to_owned()).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn arguments_are_read() {
        let options = |prefix: Option<&str>, debug| Some(Options { prefix: prefix.map(PathBuf::from), debug });
        assert_eq!(Options::read(&[]), options(None, false));
        assert_eq!(Options::read(&["--prefix", "/opt/keykit", "--debug"]), options(Some("/opt/keykit"), true));
        for wrong in [&["--prefix"][..], &["--prefix", "a", "--prefix", "b"], &["--release"], &["/opt"]] {
            assert_eq!(Options::read(wrong), None, "{wrong:?}");
        }
    }

    /// A program that answers as keykit does.
    fn stand_in(folder: &Path, completions: &str) -> PathBuf {
        let program = folder.join("stand-in");
        let script = format!(
            "#!/bin/sh\ncase $1 in man) echo page > \"$3/keykit.1\"; echo page > \"$3/keykit-inspect.1\";; completions) {completions};; esac\n"
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        program
    }

    #[test]
    fn everything_is_in_its_place_and_replaced_the_second_time() {
        let stage = tempfile::tempdir().unwrap();
        let program = stand_in(stage.path(), "echo \"for $2\"");
        let prefix = stage.path().join("a prefix");
        for _ in 0..2 {
            assert_eq!(install_program(&program, &prefix).unwrap().len(), 5);
        }
        for (place, content) in [
            ("share/man/man1/keykit.1", "page\n"),
            ("share/man/man1/keykit-inspect.1", "page\n"),
            ("share/bash-completion/completions/keykit", "for bash\n"),
            ("share/zsh/site-functions/_keykit", "for zsh\n"),
            ("share/fish/vendor_completions.d/keykit.fish", "for fish\n"),
        ] {
            assert_eq!(fs::read_to_string(prefix.join(place)).unwrap(), content, "{place}");
        }
        assert_eq!(fs::read(prefix.join("bin/keykit")).unwrap(), fs::read(&program).unwrap());
        assert_eq!(fs::metadata(prefix.join("bin/keykit")).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read_dir(prefix.join("bin")).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_program_that_fails_is_not_installed() {
        let stage = tempfile::tempdir().unwrap();
        let program = stand_in(stage.path(), "exit 3");
        let prefix = stage.path().join("prefix");
        assert!(install_program(&program, &prefix).unwrap_err().contains("completions bash"));
        assert!(!prefix.join("bin").exists());
        assert!(install_program(&stage.path().join("none"), &prefix).is_err());
    }
}
