//! Signed notes: a text, and Ed25519 signatures of it, as <https://c2sp.org/signed-note> has them.
//!
//! ```text
//! the text, as many lines as it has
//!
//! — name base64(key ID || signature)
//! ```

use std::path::Path;

use base64ct::{Base64, Encoding as _};
use sha2::{Digest as _, Sha256};

use super::custodian::{CustodianKey, CustodianPublicKey};
use crate::durable;
use crate::error::{Error, Result};

const FORMAT: &str = "signed note";
/// Largest note that is read, in bytes.
const LIMIT: u64 = 256 << 10;
/// Most signatures that are read. The specification demands at least 16.
const MOST_SIGNATURES: usize = 64;
/// How a signature line begins: an em dash and a blank.
const DASH: &str = "\u{2014} ";
/// The signature type of Ed25519.
const ED25519: u8 = 1;

/// A note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// A signature line. Whose it is, only a known key can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    key_id: [u8; 4],
    signature: Vec<u8>,
}

impl NoteSignature {
    /// Signs a text of a note. `name` is that of the key; see [`key_name`].
    ///
    /// # Errors
    /// [`Error::Usage`] for a name that can't stand in a note; [`Error::Crypto`].
    pub fn sign(text: &str, name: &str, key: &CustodianKey) -> Result<Self> {
        if !is_key_name(name) {
            return Err(Error::usage(format!("'{name}' can't name a key in a note: it is empty, or has blanks or a plus sign")));
        }
        Ok(Self { name: name.to_owned(), key_id: key_id(name, &key.public()), signature: key.sign_raw(text.as_bytes())? })
    }

    /// The name of its key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it says that it is by this key. Both name and key ID must fit.
    #[must_use]
    pub fn claims(&self, key: &CustodianPublicKey) -> bool {
        self.key_id == key_id(&self.name, key)
    }

    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(DASH)?.split_once(' ')?;
        let bytes = Base64::decode_vec(encoded).ok()?;
        let (key_id, signature) = bytes.split_first_chunk::<4>()?;
        let signature = Self { name: name.to_owned(), key_id: *key_id, signature: signature.to_vec() };
        (is_key_name(name) && !signature.signature.is_empty()).then_some(signature)
    }

    fn to_line(&self) -> String {
        format!("{DASH}{} {}\n", self.name, Base64::encode_string(&[self.key_id.as_slice(), &self.signature].concat()))
    }
}

impl SignedNote {
    /// A note with this text and no signature yet.
    ///
    /// # Errors
    /// [`Error::Internal`] for a text without a line feed at its end or with control characters in it.
    pub fn new(text: String) -> Result<Self> {
        match problem_of(&text) {
            None => Ok(Self { text, signatures: Vec::new() }),
            Some(problem) => Err(Error::Internal(format!("the text of a note: {problem}"))),
        }
    }

    /// Reads a note. What it says must not be believed before [`Self::verify`].
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let malformed = |problem: String| Error::malformed(FORMAT, problem);
        if bytes.len() as u64 > LIMIT {
            return Err(malformed(format!("larger than {LIMIT} bytes")));
        }
        let note = str::from_utf8(bytes).map_err(|error| malformed("it is not UTF-8".into()).at(error.valid_up_to() as u64))?;
        if let Some(at) = note.find(|character: char| character < ' ' && character != '\n') {
            return Err(malformed("a control character stands in it".into()).at(at as u64));
        }
        let split = note.rfind("\n\n").ok_or_else(|| malformed("no blank line stands before the signatures".into()))?;
        let (text, lines) = (note.get(..=split).unwrap_or_default(), note.get(split + 2..).unwrap_or_default());
        let lines = lines.strip_suffix('\n').ok_or_else(|| malformed("no line feed stands at its end".into()))?;
        let mut signatures = Vec::new();
        for (index, line) in lines.split('\n').enumerate() {
            let number = text.matches('\n').count() + 2 + index;
            if index >= MOST_SIGNATURES {
                return Err(malformed(format!("more than {MOST_SIGNATURES} signatures")));
            }
            signatures.push(NoteSignature::parse(line).ok_or_else(|| malformed(format!("line {number} is no signature line")))?);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// Reads a note.
    ///
    /// # Errors
    /// As [`Self::parse`], and [`Error::Read`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&durable::read(path, LIMIT, FORMAT)?).map_err(|error| error.in_file(path))
    }

    /// The note as it stands in a file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let lines: String = self.signatures.iter().map(NoteSignature::to_line).collect();
        format!("{}\n{lines}", self.text)
    }

    /// The text, which is what is signed. Believe nothing in it before [`Self::verify`].
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature, in the place of an older one by the same key under the same name.
    pub fn add(&mut self, signature: NoteSignature) {
        self.signatures.retain(|other| (&other.name, other.key_id) != (&signature.name, signature.key_id));
        self.signatures.push(signature);
    }

    /// Looks for signatures by this key: the names under which it signed. Signatures by other keys are left alone.
    ///
    /// # Errors
    /// [`Error::Negative`] if a signature says that it is by this key and is not.
    pub fn verify(&self, key: &CustodianPublicKey) -> Result<Vec<&str>> {
        let mut names = Vec::new();
        for signature in self.signatures.iter().filter(|signature| signature.claims(key)) {
            if !key.verifies_raw(self.text.as_bytes(), &signature.signature) {
                return Err(Error::negative(format!(
                    "the signature of {} in the note is not by the key {} over this text",
                    signature.name,
                    key.fingerprint()
                )));
            }
            names.push(signature.name.as_str());
        }
        Ok(names)
    }
}

/// A person's name as the name of a key: blanks and plus signs become hyphens.
#[must_use]
pub fn key_name(person: &str) -> String {
    person.trim().chars().map(|character| if stands_in_name(character) { character } else { '-' }).collect()
}

fn is_key_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(stands_in_name)
}

fn stands_in_name(character: char) -> bool {
    !character.is_whitespace() && !character.is_control() && character != '+'
}

/// The first four bytes of SHA-256(name || line feed || signature type || public key).
fn key_id(name: &str, key: &CustodianPublicKey) -> [u8; 4] {
    let digest: [u8; 32] = Sha256::new().chain_update(name).chain_update([b'\n', ED25519]).chain_update(key.as_bytes()).finalize().into();
    digest.first_chunk().copied().unwrap_or_default()
}

fn problem_of(text: &str) -> Option<&'static str> {
    if !text.ends_with('\n') {
        return Some("no line feed stands at its end");
    }
    text.contains(|character: char| character < ' ' && character != '\n').then_some("a control character stands in it")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Example of the specification; its key is that of quasimodo.example in the same project's test data.
    const EXAMPLE: &str = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n\
        — quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";

    fn key() -> CustodianKey {
        CustodianKey::generate("").unwrap()
    }

    #[test]
    fn the_example_of_the_specification_is_read_and_written() {
        let note = SignedNote::parse(EXAMPLE.as_bytes()).unwrap();
        assert!(note.text().ends_with("terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n"));
        assert_eq!(note.signatures()[0].name(), "quasimodo.example/salvatore");
        assert_eq!((note.signatures()[0].key_id, note.signatures()[0].signature.len()), ([0x36, 0x7b, 0xa0, 0x4b], 64));
        assert_eq!(note.to_text(), EXAMPLE);
        assert!(note.verify(&key().public()).unwrap().is_empty(), "an unknown key says nothing");
    }

    #[test]
    fn a_published_note_verifies() {
        // Key and note of the package documentation of golang.org/x/mod/sumdb/note (PeterNeumann).
        let key = "c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let bytes = Base64::decode_vec(key.split_once('+').unwrap().1).unwrap();
        let (kind, public) = bytes.split_first().unwrap();
        assert_eq!(*kind, ED25519);
        let public = CustodianPublicKey::from_bytes(public.try_into().unwrap());
        assert_eq!(key_id("PeterNeumann", &public), [0xc7, 0x4f, 0x20, 0xa3]);
        let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
        let note = format!("{text}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n");
        let note = SignedNote::parse(note.as_bytes()).unwrap();
        assert_eq!(note.verify(&public).unwrap(), ["PeterNeumann"]);
    }

    #[test]
    fn what_is_signed_verifies_and_what_is_changed_does_not() {
        let (ann, ben) = (key(), key());
        let mut note = SignedNote::new("one\ntwo\n".into()).unwrap();
        note.add(NoteSignature::sign(note.text(), "Ann", &ann).unwrap());
        note.add(NoteSignature::sign(note.text(), "Ben", &ben).unwrap());
        note.add(NoteSignature::sign(note.text(), "Ann", &ann).unwrap());
        assert_eq!(note.signatures().len(), 2);
        let note = SignedNote::parse(note.to_text().as_bytes()).unwrap();
        assert_eq!((note.verify(&ann.public()).unwrap(), note.verify(&ben.public()).unwrap()), (vec!["Ann"], vec!["Ben"]));
        let changed = SignedNote::parse(note.to_text().replace("two", "twx").as_bytes()).unwrap();
        assert_eq!(changed.verify(&ann.public()).unwrap_err().code(), "negative");
        // Another name makes it the signature of a key that nobody knows.
        let renamed = SignedNote::parse(note.to_text().replace("— Ann", "— Anne").as_bytes()).unwrap();
        assert!(renamed.verify(&ann.public()).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_note_is_refused() {
        for wrong in [
            "",
            "\n",
            "text\n",
            "text\n\n",
            "text\n\nAnn AAAAAAA=\n",
            "te\txt\n\n— Ann AAAAAAA=\n",
            "text\n\n— A+n AAAAAAA=\n",
            "text\n\n— Ann AAAA\n",
        ] {
            assert_eq!(SignedNote::parse(wrong.as_bytes()).unwrap_err().code(), "malformed", "{wrong:?}");
        }
        assert!(SignedNote::parse("text\n\n— Ann AAAAAAA=\n".as_bytes()).is_ok());
        assert!(SignedNote::parse("text\n\n— Ann AAAAAAA=".as_bytes()).is_err());
        let many = format!("text\n\n{}", "— Ann AAAAAAA=\n".repeat(MOST_SIGNATURES + 1));
        assert!(SignedNote::parse(many.as_bytes()).is_err());
        assert!(NoteSignature::sign("x\n", "A B", &key()).is_err());
        assert_eq!(key_name(" Ann B. + C\u{a0}D "), "Ann-B.---C-D");
    }

    proptest! {
        #[test]
        fn no_input_panics_and_what_is_read_is_written_the_same(note in "(\\PC|\n){0,60}\n\n(— [a-z]{1,3} [A-Za-z0-9+/]{8}\n){0,3}") {
            if let Ok(parsed) = SignedNote::parse(note.as_bytes()) {
                prop_assert_eq!(parsed.to_text(), note);
            }
        }
    }
}
