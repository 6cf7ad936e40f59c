//! Lists of files that may stay unread: no input panics, and what is read accepts the files that it names and only unread ones.

use std::collections::BTreeMap;

use keykit::bulk::LedgerLine;
use keykit_access::accepted::AcceptedFiles;
use keykit_access::{FileFinding, FileVerdict};

fn line(id: &str, verdict: FileVerdict) -> LedgerLine<FileFinding> {
    let finding = FileFinding { verdict, opens: BTreeMap::new(), problem_count: 0, problems: Vec::new() };
    LedgerLine { id: id.to_owned(), bytes: 1, changed: None, settled: false, finding }
}

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    let Ok(list) = AcceptedFiles::parse(data) else { return false };
    let text = str::from_utf8(data).expect("other bytes are refused");
    let lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    // A comment comes first: a path may begin like a byte order mark.
    let (mut count, mut written) = (0, String::from("#\n"));
    for path in lines.map(|line| line.split('\t').next().unwrap_or_default()) {
        for verdict in [FileVerdict::Unknown, FileVerdict::NotLookedInto] {
            let accepted = list.of(&line(path, verdict)).expect("a file that the list names");
            assert_eq!(accepted.id, path);
            assert!(!accepted.reason.is_empty());
        }
        for verdict in [FileVerdict::NotProtected, FileVerdict::Opens, FileVerdict::Lost] {
            assert_eq!(list.of(&line(path, verdict)), None);
        }
        let accepted = list.of(&line(path, FileVerdict::Unknown)).expect("as before");
        written.push_str(&format!("{}\t{}\n", accepted.id, accepted.reason));
        count += 1;
    }
    assert_eq!(count, list.len());
    assert_eq!(AcceptedFiles::parse(written.as_bytes()).expect("what was written can be read"), list);
    true
}
