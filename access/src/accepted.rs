//! Files that a custodian accepts unread: archives of kinds that are not read, files under a password.
//!
//! Each is named by its path, with a reason, and is listed in the result. A file with a licence that does not open can't be accepted.

use std::collections::BTreeMap;

use keykit::bulk::LedgerLine;
pub use keykit::ceremony::report::AcceptedFile;
use keykit::{Error, Result};

use crate::prove::{FileFinding, FileVerdict};

const FORMAT: &str = "list of accepted files";

/// Reasons by the path of the file, as ledger and CSV file name it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AcceptedFiles(BTreeMap<String, String>);

impl AcceptedFiles {
    /// Reads a list: a line for each file, its path, a tab, and the reason. Empty lines and those that begin with `#` say nothing.
    ///
    /// # Errors
    /// [`Error::Malformed`], with the line, for one without a reason and for a path that is there twice; for what is not UTF-8.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|error| Error::malformed(FORMAT, "it is not UTF-8").at(error.valid_up_to() as u64))?;
        let mut files = BTreeMap::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#')) {
            let malformed = |problem: &str| {
                Err(Error::malformed(FORMAT, format!("line {}: {problem}", number + 1)).with_hint("a line is: path of the file, a tab, the reason"))
            };
            let Some((path, reason)) = line.split_once('\t').map(|(path, reason)| (path, reason.trim())).filter(|(path, _)| !path.is_empty()) else {
                return malformed("it has no path and tab");
            };
            if reason.is_empty() {
                return malformed("it gives no reason");
            }
            if files.insert(path.to_owned(), reason.to_owned()).is_some() {
                return malformed("the path is there twice");
            }
        }
        Ok(Self(files))
    }

    /// The file of this line, if it is one that may be accepted and is.
    #[must_use]
    pub fn of(&self, line: &LedgerLine<FileFinding>) -> Option<AcceptedFile> {
        match line.finding.verdict {
            FileVerdict::Unknown | FileVerdict::NotLookedInto => {
                self.0.get(&line.id).map(|reason| AcceptedFile { id: line.id.clone(), reason: reason.clone() })
            }
            FileVerdict::NotProtected | FileVerdict::Opens | FileVerdict::Lost => None,
        }
    }

    /// Number of files in the list.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it names no file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(id: &str, verdict: FileVerdict) -> LedgerLine<FileFinding> {
        let finding = serde_json::json!({ "verdict": verdict });
        LedgerLine { id: id.into(), bytes: 1, changed: None, settled: false, finding: serde_json::from_value(finding).unwrap() }
    }

    #[test]
    fn only_what_could_not_be_read_is_accepted() {
        let list = AcceptedFiles::parse("\u{feff}# by M. Berg\n\na b/c.7z\t looked into by hand \nd.zip\tpassword is lost\n".as_bytes()).unwrap();
        assert_eq!(list.len(), 2);
        let accepted = AcceptedFile { id: "a b/c.7z".into(), reason: "looked into by hand".into() };
        assert_eq!(list.of(&line("a b/c.7z", FileVerdict::NotLookedInto)), Some(accepted.clone()));
        assert_eq!(list.of(&line("a b/c.7z", FileVerdict::Unknown)), Some(accepted));
        for verdict in [FileVerdict::Lost, FileVerdict::Opens, FileVerdict::NotProtected] {
            assert_eq!(list.of(&line("a b/c.7z", verdict)), None);
        }
        assert_eq!(list.of(&line("c.7z", FileVerdict::NotLookedInto)), None);
    }

    #[test]
    fn a_line_that_says_too_little_is_named() {
        for (text, problem) in [
            ("a.7z", "line 1: it has no path and tab"),
            ("# x\n\treason", "line 2: it has no path and tab"),
            ("a.7z\t ", "line 1: it gives no reason"),
            ("a\tx\nb\tx\na\ty", "line 3: the path is there twice"),
        ] {
            let error = AcceptedFiles::parse(text.as_bytes()).unwrap_err();
            assert!(error.code() == "malformed" && error.to_string().contains(problem), "{error}");
        }
        assert!(AcceptedFiles::parse(b"").unwrap().is_empty());
        assert!(AcceptedFiles::parse(b"a.7z\tlooked into\nb\xff").unwrap_err().to_string().contains("not UTF-8"));
    }

    proptest! {
        #[test]
        fn no_list_panics(text in ".{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            drop(AcceptedFiles::parse(text.as_bytes()));
            drop(AcceptedFiles::parse(&bytes));
        }
    }
}
