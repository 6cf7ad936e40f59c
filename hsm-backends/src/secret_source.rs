//! Where a PIN or password comes from. Never from the command line itself, which others on the machine can read.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use keykit::secret::{Password, SecretBytes};
use keykit::{Error, Result};

/// Where a PIN or password comes from: `prompt`, `fd:N`, `file:PATH`, `env:VAR` or `exec:CMD`.
///
/// Trailing newlines of files, descriptors and commands are cut, nothing else. The text form is what [`Self::parse`]
/// reads, and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretSource {
    /// Asked of the person at the terminal.
    Prompt,
    /// An open file descriptor. Whoever opened it answers for who else can read it.
    Fd(u32),
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// What a command writes to its standard output.
    Exec(String),
}

/// No password is longer.
const LENGTH_LIMIT: usize = 64 * 1024;
/// Size of the first buffer that a password is read into, and how much larger the next is. A system may lock little memory.
const FIRST_BUFFER: usize = 512;
const GROWTH: usize = 8;

impl SecretSource {
    /// Reads the text form. A file may be named by a `file:` URI too (`file:///path`, RFC 8089, as RFC 7512 §2.4 has it).
    ///
    /// # Errors
    /// [`Error::Usage`]. The text is not repeated: it could be the password itself.
    pub fn parse(text: &str) -> Result<Self> {
        let unknown = || {
            Error::usage("the source of a PIN or password is not understood")
                .with_hint("it is `prompt`, `fd:N`, `file:PATH`, `env:VAR` or `exec:CMD`; the password itself is never given there")
        };
        if text == "prompt" {
            return Ok(Self::Prompt);
        }
        let (kind, value) = text.split_once(':').filter(|(_, value)| !value.is_empty()).ok_or_else(unknown)?;
        Ok(match kind {
            "fd" if value.bytes().all(|digit| digit.is_ascii_digit()) => Self::Fd(value.parse().map_err(|_| unknown())?),
            "file" => Self::File(match value.strip_prefix("//") {
                // A host other than this one is refused: the path would be read here all the same.
                Some(rest) => PathBuf::from(rest.strip_prefix("localhost").unwrap_or(rest)),
                None => PathBuf::from(value),
            }),
            "env" if !value.contains('=') => Self::Env(value.to_owned()),
            "exec" => Self::Exec(value.to_owned()),
            _ => return Err(unknown()),
        })
        .and_then(|source| match &source {
            Self::File(path) if value.starts_with("//") && !path.is_absolute() => Err(unknown()),
            _ => Ok(source),
        })
    }

    /// Reads the secret. `prompt` asks the person at the terminal, and is used by [`Self::Prompt`] only; it is given the
    /// question's subject.
    ///
    /// # Errors
    /// [`Error::Read`] or [`Error::NotFound`] naming the source if it cannot be read; [`Error::Refused`] for a file that others
    /// can read or change; [`Error::Usage`] if it is empty, too long or not UTF-8; what `prompt` returns.
    pub fn read(&self, prompt: &dyn Fn(&str) -> Result<Password>) -> Result<Password> {
        match self {
            Self::Prompt => prompt("PIN or password"),
            Self::Fd(number) => self.without_newlines(&read_file(&descriptor_path(*number), |_, _| Ok(()))?),
            Self::File(path) => self.without_newlines(&read_file(path, check_access)?),
            Self::Env(name) => match std::env::var(name) {
                Ok(text) => self.non_empty(Password::new(text)),
                Err(std::env::VarError::NotPresent) => Err(Error::NotFound {
                    what: format!("the environment variable {name}, which should hold a password, is not set"),
                    hint: Some("set it, or name another source".into()),
                }),
                Err(std::env::VarError::NotUnicode(_)) => Err(self.not_text()),
            },
            Self::Exec(command) => self.without_newlines(&run(command)?),
        }
    }

    fn without_newlines(&self, bytes: &SecretBytes) -> Result<Password> {
        let mut text = std::str::from_utf8(bytes.expose()).map_err(|_| self.not_text())?;
        while let Some(shorter) = text.strip_suffix('\n') {
            text = shorter.strip_suffix('\r').unwrap_or(shorter);
        }
        self.non_empty(Password::copy_of(text))
    }

    fn non_empty(&self, password: Password) -> Result<Password> {
        if password.expose().is_empty() {
            return Err(Error::usage(format!("{self} gives an empty password")).with_hint("a pipe can be read once only"));
        }
        Ok(password)
    }

    fn not_text(&self) -> Error {
        Error::usage(format!("the password from {self} is not UTF-8 text"))
    }
}

/// The file by which a process reaches its own descriptor.
fn descriptor_path(number: u32) -> PathBuf {
    PathBuf::from(format!("/dev/fd/{number}"))
}

fn read_file(path: &Path, check: impl FnOnce(&Path, &File) -> Result<()>) -> Result<SecretBytes> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    check(path, &file)?;
    read_limited(file).map_err(failed)?.ok_or_else(|| Error::usage(format!("{} is too long for a password", path.display())))
}

/// Refuses a file that others can read or change. Pipes and terminals have no lasting content and are not looked at.
#[cfg(unix)]
fn check_access(path: &Path, file: &File) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata().map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode();
    let problem = match mode {
        _ if !metadata.is_file() => return Ok(()),
        mode if mode & 0o022 != 0 => "others than its owner can change it",
        mode if mode & 0o004 != 0 => "everyone on this machine can read it",
        _ => return Ok(()),
    };
    let shown = path.display();
    Err(Error::refused_by_policy(format!("the password file {shown}: {problem} (mode {:04o})", mode & 0o7777), format!("run `chmod 600 {shown}`")))
}

#[cfg(not(unix))]
fn check_access(_: &Path, _: &File) -> Result<()> {
    Ok(())
}

/// Reads to the end; `None` if there is more than a password can have. Every buffer on the way is locked and wiped.
fn read_limited(mut reader: impl Read) -> std::io::Result<Option<SecretBytes>> {
    let mut so_far = SecretBytes::copy_of(&[]);
    let mut size = FIRST_BUFFER;
    loop {
        let mut filled = so_far.len();
        let buffer = SecretBytes::try_init(size, |buffer| {
            buffer.iter_mut().zip(so_far.expose()).for_each(|(place, byte)| *place = *byte);
            while let Some(space) = buffer.get_mut(filled..).filter(|space| !space.is_empty()) {
                match reader.read(space) {
                    Ok(0) => break,
                    Ok(count) => filled += count,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })?;
        if filled < size {
            return Ok(buffer.expose().get(..filled).map(SecretBytes::copy_of));
        }
        if size > LENGTH_LIMIT {
            return Ok(None);
        }
        so_far = buffer;
        size = size.saturating_mul(GROWTH).min(LENGTH_LIMIT + 1);
    }
}

fn run(command: &str) -> Result<SecretBytes> {
    let failed = |what: String| Error::NotFound { what, hint: Some("run the command by hand to see what it says".into()) };
    let (shell, switch) = if cfg!(windows) { ("cmd", "/C") } else { ("/bin/sh", "-c") };
    let mut child = Command::new(shell)
        .args([switch, command])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("the password command `{command}` does not start: {error}")))?;
    let output = child.stdout.take().map(read_limited);
    let status = child.wait().map_err(|error| failed(format!("the password command `{command}`: {error}")))?;
    if !status.success() {
        return Err(failed(format!("the password command `{command}` failed: {status}")));
    }
    match output {
        Some(Ok(Some(bytes))) => Ok(bytes),
        Some(Ok(None)) => Err(Error::usage(format!("the password command `{command}` writes more than a password"))),
        Some(Err(error)) => Err(failed(format!("the output of the password command `{command}`: {error}"))),
        None => Err(Error::Internal("a child process without output".into())),
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prompt => f.write_str("prompt"),
            Self::Fd(number) => write!(f, "fd:{number}"),
            // Two strokes would stand before a host.
            Self::File(path) if path.display().to_string().starts_with("//") => write!(f, "file://{}", path.display()),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Exec(command) => write!(f, "exec:{command}"),
        }
    }
}

impl FromStr for SecretSource {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn no_prompt(_: &str) -> Result<Password> {
        panic!("nobody is to be asked")
    }

    fn read(text: &str) -> Result<String> {
        SecretSource::parse(text)?.read(&no_prompt).map(|password| password.expose().to_owned())
    }

    #[test]
    fn forms() {
        assert_eq!(SecretSource::parse("prompt").unwrap(), SecretSource::Prompt);
        assert_eq!(SecretSource::parse("fd:7").unwrap(), SecretSource::Fd(7));
        for text in ["file:/a/b", "file:///a/b", "file://localhost/a/b"] {
            assert_eq!(SecretSource::parse(text).unwrap(), SecretSource::File("/a/b".into()), "{text}");
        }
        for text in ["file:////a/b", "file://localhost//a/b"] {
            let source = SecretSource::parse(text).unwrap();
            assert_eq!((&source, source.to_string().as_str()), (&SecretSource::File("//a/b".into()), "file:////a/b"));
        }
        assert_eq!(SecretSource::parse("file:a/b").unwrap(), SecretSource::File("a/b".into()));
        assert_eq!(SecretSource::parse("exec:gpg -d x:y").unwrap(), SecretSource::Exec("gpg -d x:y".into()));
        for text in
            ["", "1234", "pass:1234", "fd:", "fd:-1", "fd:1x", "file:", "file://host/a", "env:", "env:A=B", "exec:", "Prompt", "fd:99999999999"]
        {
            let error = SecretSource::parse(text).unwrap_err();
            assert!(matches!(error, Error::Usage { .. }) && !error.to_string().contains("1234"), "{text}");
        }
    }

    #[test]
    fn the_prompt_is_asked_once() {
        let asked = std::cell::Cell::new(0);
        let prompt = |_: &str| {
            asked.set(asked.get() + 1);
            Ok(Password::new(" kept as typed\n".into()))
        };
        assert_eq!(SecretSource::Prompt.read(&prompt).unwrap().expose(), " kept as typed\n");
        assert_eq!(asked.get(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn files_lose_trailing_newlines_and_nothing_else() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        let source = format!("file:{}", path.display());
        let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        for (content, expected) in [("1234\n", "1234"), ("1234", "1234"), (" 12 34 \r\n\n", " 12 34 "), ("a\r", "a\r"), ("\na\n", "\na")] {
            std::fs::write(&path, content).unwrap();
            mode(0o600);
            assert_eq!(read(&source).unwrap(), expected, "{content:?}");
        }
        for (bits, refused) in [(0o644, true), (0o620, true), (0o602, true), (0o640, false), (0o400, false)] {
            mode(bits);
            match read(&source) {
                Err(error @ Error::Refused(_)) if refused => assert!(error.hint().unwrap().contains("chmod 600")),
                Ok(_) if !refused => {}
                other => panic!("{bits:o}: {other:?}"),
            }
        }
        mode(0o600);
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(read(&source), Err(Error::Usage { .. })));
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(read(&source), Err(Error::Usage { .. })));
        for length in [FIRST_BUFFER - 1, FIRST_BUFFER, FIRST_BUFFER + 1, FIRST_BUFFER * GROWTH, LENGTH_LIMIT] {
            std::fs::write(&path, vec![b'a'; length]).unwrap();
            assert_eq!(read(&source).unwrap().len(), length);
        }
        std::fs::write(&path, vec![b'a'; LENGTH_LIMIT + 1]).unwrap();
        assert!(matches!(read(&source), Err(Error::Usage { .. })));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(read(&source), Err(Error::Read { path: named, .. }) if named == path));
    }

    #[cfg(unix)]
    #[test]
    fn commands_environment_and_descriptors() {
        use std::os::fd::AsRawFd;
        assert_eq!(read("exec:printf 'a b\\n'").unwrap(), "a b");
        assert!(matches!(read("exec:echo secret; exit 3"), Err(Error::NotFound { .. })));
        assert!(matches!(read("env:KEYKIT_TEST_NOT_SET"), Err(Error::NotFound { .. })));
        assert!(!read("env:PATH").unwrap().is_empty());
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, b"from a descriptor\n").unwrap();
        assert_eq!(read(&format!("fd:{}", file.as_raw_fd())).unwrap(), "from a descriptor");
        assert!(matches!(read("fd:999999"), Err(Error::Read { .. })));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(text in "(prompt|fd:[0-9]{1,9}|file:[^/\\PC][\\PC]{0,20}|file:(/[a-z]|/{3,6})[a-z/]{0,9}|env:[A-Z_]{1,9}|exec:[\\PC]{1,20})") {
            let source = SecretSource::parse(&text).unwrap();
            prop_assert_eq!(SecretSource::parse(&source.to_string()).unwrap(), source);
        }

        #[test]
        fn no_input_panics(text in "\\PC*") {
            drop(SecretSource::parse(&text));
        }
    }
}
