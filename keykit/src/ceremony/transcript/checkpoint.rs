//! What witnesses sign: a checkpoint of the transcript, as <https://c2sp.org/tlog-checkpoint> has it.

use base64ct::{Base64, Encoding as _};
use sha2::{Digest as _, Sha256};
use ssh_key::LineEnding;

use super::{Transcript, is_hash};
use crate::ceremony::CustodianKey;
use crate::error::{Error, Result};

const FORMAT: &str = "checkpoint of a transcript";
/// How the origin begins; the hash of the plan follows.
const ORIGIN: &str = "keykit/transcript/";
/// How the line about the last line begins.
const LAST: &str = "sha256 ";

/// The namespace of signatures of OpenSSH over transcripts: they count for transcripts and for nothing else.
pub const NAMESPACE: &str = "keykit-transcript";

/// A transcript in four lines: origin with the hash of the plan, number of entries, root of their Merkle tree (RFC 6962 §2.1), and
/// the SHA-256 of the last line. Witnesses sign nothing but closed transcripts, so there is one checkpoint for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Hash of the plan, 64 hex digits.
    pub plan: String,
    /// Number of entries.
    pub size: u64,
    /// Root of the Merkle tree whose leaves are the lines with their line feeds, torn ones left out.
    pub root: [u8; 32],
    /// SHA-256 of the last line, in hex.
    pub last: String,
}

impl Checkpoint {
    /// The text of the note.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{ORIGIN}{}\n{}\n{}\n{LAST}{}\n", self.plan, self.size, Base64::encode_string(&self.root), self.last)
    }

    /// Reads the text of a note; only the one form that is written is taken.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(text: &str) -> Result<Self> {
        let parts = || {
            let mut lines = text.strip_suffix('\n')?.split('\n');
            let plan = lines.next()?.strip_prefix(ORIGIN)?.to_owned();
            let size = lines.next()?.parse().ok()?;
            let mut root = [0; 32];
            let length = Base64::decode(lines.next()?, &mut root).ok()?.len();
            let last = lines.next()?.strip_prefix(LAST)?.to_owned();
            (length == root.len() && is_hash(&plan) && is_hash(&last)).then_some(Self { plan, size, root, last })
        };
        parts().filter(|checkpoint| checkpoint.to_text() == text).ok_or_else(|| Error::malformed(FORMAT, "not the four lines that it must have"))
    }

    /// Compares a checkpoint that was signed with a transcript as it is now.
    ///
    /// # Errors
    /// [`Error::Negative`] with the lines that are missing, were added or were changed.
    pub fn compare(&self, transcript: &Transcript) -> Result<()> {
        let now = transcript.checkpoint().ok_or_else(|| Error::negative("the transcript is empty"))?;
        let found = transcript.lines().len() as u64;
        let line_of = |entry: u64| {
            let lines = transcript.lines();
            usize::try_from(entry).ok().and_then(|entry| lines.get(entry.saturating_sub(1))).map_or(entry, |line| line.line)
        };
        let problem = if self.plan != now.plan {
            format!("line 1: the transcript is about the plan {}, what was signed about the plan {}", now.plan, self.plan)
        } else if found < self.size {
            format!("the end is missing: {found} entries are there, {} were signed; what follows line {} is gone", self.size, line_of(found))
        } else if found > self.size {
            format!("line {}: it was added after the transcript was signed ({} entries)", line_of(self.size.saturating_add(1)), self.size)
        } else if self.last != now.last {
            format!("line {}: the last line is not the one that was signed", line_of(found))
        } else if self.root != now.root {
            "the lines are not those that were signed".to_owned()
        } else {
            return Ok(());
        };
        Err(Error::negative(problem))
    }
}

/// Signs the bytes of a transcript file as `ssh-keygen -Y sign -n keykit-transcript` does (PROTOCOL.sshsig); the text of a `.sig` file.
///
/// # Errors
/// [`Error::Crypto`].
pub fn sign(transcript: &[u8], key: &CustodianKey) -> Result<String> {
    let signature = key.sign(NAMESPACE, transcript)?;
    signature.to_pem(LineEnding::LF).map_err(|error| Error::Internal(format!("encoding a signature: {error}")))
}

/// The hash of a leaf (RFC 6962 §2.1).
pub(super) fn leaf(line: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update([0]).chain_update(line).finalize().into()
}

/// The root of the Merkle tree over leaf hashes (RFC 6962 §2.1).
pub(super) fn merkle_root(leaves: &[[u8; 32]]) -> [u8; 32] {
    // Pairs of a level are joined from the left; an odd last node goes up as it is. That is the tree of RFC 6962, bottom up.
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into(),
                [odd, ..] => *odd,
                [] => [0; 32],
            })
            .collect();
    }
    level.first().copied().unwrap_or_else(|| Sha256::digest([]).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: [u8; 32]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn roots_are_those_of_certificate_transparency() {
        // Test vectors of RFC 6962 implementations (google/certificate-transparency, merkletree tests): the eight leaves and the roots.
        let leaves: [&[u8]; 8] = [
            b"",
            &[0x00],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
        ];
        let hashes: Vec<[u8; 32]> = leaves.iter().map(|leaf_bytes| leaf(leaf_bytes)).collect();
        for (size, root) in [
            (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
            (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
            (5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
            (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
        ] {
            assert_eq!(hex(merkle_root(&hashes[..size])), root, "{size}");
        }
    }

    #[test]
    fn only_the_one_form_is_taken() {
        let checkpoint = Checkpoint { plan: "a".repeat(64), size: 12, root: [7; 32], last: "0".repeat(64) };
        let text = checkpoint.to_text();
        assert_eq!(Checkpoint::parse(&text).unwrap(), checkpoint);
        for wrong in [
            text.replace("\n12\n", "\n012\n"),
            text.replace("aaaa", "AAAA"),
            format!("{text}more\n"),
            text.replace("sha256 ", "sha512 "),
            String::new(),
        ] {
            assert_eq!(Checkpoint::parse(&wrong).unwrap_err().code(), "malformed", "{wrong}");
        }
    }
}
