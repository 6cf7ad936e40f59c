//! The texts of `nfkminfo`: `-l` (keys by protection), `-k` (all keys), `-k APP IDENT` (one key in detail).

use keykit::store::protection::Protection;

use super::{Entry, Source};

/// Where in the text a line stands.
enum Context {
    /// Before anything that is understood.
    Nothing,
    /// In a section of the name list, all of whose keys are protected alike.
    Section(Protection),
    /// In the detail of the key that was read last.
    Detail,
}

/// The statements of the text; lines that are not understood are skipped.
pub(super) fn parse(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut context = Context::Nothing;
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(protection) = section(trimmed) {
            context = Context::Section(protection);
        } else if let Some(entry) = key_line(trimmed) {
            context = if entry.source == Source::KeyInfo { Context::Detail } else { Context::Nothing };
            entries.push(entry);
        } else {
            match &context {
                Context::Section(protection) => entries.extend(listed(trimmed, protection)),
                // The detail is indented. What is not may be the head of another key that was not understood.
                Context::Detail if !line.starts_with(char::is_whitespace) => context = Context::Nothing,
                Context::Detail => {
                    if let Some(entry) = entries.last_mut() {
                        detail(entry, trimmed);
                    }
                }
                Context::Nothing => {}
            }
        }
    }
    entries
}

/// A header of the name list. One that is not understood begins a section whose keys are protected who knows how.
fn section(line: &str) -> Option<Protection> {
    let header = line.strip_suffix(':')?.to_ascii_lowercase();
    let kind = header.strip_prefix("keys ")?;
    Some(if kind.contains("module") {
        Protection::Module
    } else if kind.contains("cardset") || kind.contains("card set") {
        Protection::CardSet { hash: None, name: None }
    } else if kind.contains("softcard") {
        Protection::SoftCard { hash: None, name: None }
    } else {
        Protection::Unknown
    })
}

/// ``key_APP_IDENT `name'``.
fn listed(line: &str, protection: &Protection) -> Option<Entry> {
    let (file, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let file = file.rsplit(['/', '\\']).next()?;
    let (app, ident) = file.strip_prefix("key_")?.split_once('_')?;
    if ident.is_empty() {
        return None;
    }
    let name = rest.trim().trim_start_matches(['`', '\'', '"']).trim_end_matches(['\'', '"']);
    let name = (!name.is_empty()).then(|| name.to_owned());
    Some(Entry { name, ..blank(Source::NameList, app, ident, protection.clone()) })
}

/// `AppName APP Ident IDENT` of the key list, or `Key AppName APP Ident IDENT …` at the head of a detail.
fn key_line(line: &str) -> Option<Entry> {
    let (source, rest) = match line.strip_prefix("Key ") {
        Some(rest) => (Source::KeyInfo, rest.trim_start()),
        None => (Source::KeyList, line),
    };
    let mut words = rest.strip_prefix("AppName")?.split_whitespace();
    let app = words.next()?;
    (words.next()? == "Ident").then_some(())?;
    Some(blank(source, app, words.next()?, Protection::Unknown))
}

/// A line `label  value` of a detail. A second, different statement of the protection makes it a conflict.
fn detail(entry: &mut Entry, line: &str) {
    let Some((label, value)) = line.split_once(char::is_whitespace) else { return };
    let value = value.trim();
    match label.to_ascii_lowercase().as_str() {
        "name" if entry.name.is_none() => entry.name = Some(value.trim_matches('"').to_owned()).filter(|name| !name.is_empty()),
        "hash" if entry.hash.is_none() => entry.hash = hash(value),
        "protection" => {
            let says = match value.to_ascii_lowercase().as_str() {
                "module" => Protection::Module,
                "cardset" => Protection::CardSet { hash: None, name: None },
                "passphrase" | "softcard" => Protection::SoftCard { hash: None, name: None },
                _ => Protection::Unknown,
            };
            let same_kind = std::mem::discriminant(&says) == std::mem::discriminant(&entry.says);
            if entry.says == Protection::Unknown {
                entry.says = says;
            } else if !same_kind {
                entry.says = Protection::Conflict;
            }
        }
        kind @ ("cardset" | "softcard") => token(entry, kind, hash(value)),
        _ => {}
    }
}

/// The hash of the logical token that protects the key. A module-protected key has none.
fn token(entry: &mut Entry, kind: &str, stated: Option<String>) {
    let Some(stated) = stated else { return };
    match &mut entry.says {
        Protection::CardSet { hash, .. } if kind == "cardset" => *hash = Some(stated),
        Protection::SoftCard { hash, .. } => *hash = Some(stated),
        other => *other = Protection::Conflict,
    }
}

/// 40 hex digits, with blanks in between or not; `None` for `none` and anything else.
fn hash(value: &str) -> Option<String> {
    let digits: String = value.chars().filter(|character| !character.is_whitespace()).map(|digit| digit.to_ascii_lowercase()).collect();
    (digits.len() == 40 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some(digits)
}

fn blank(source: Source, app: &str, ident: &str, says: Protection) -> Entry {
    Entry { source, app: app.to_owned(), ident: ident.to_owned(), name: None, hash: None, says, public: None }
}
