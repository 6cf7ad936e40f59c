//! Whether the padding of a decrypted block reaches a branch or an address, asked of valgrind as in `keykit-rsa-lanes`: the block is
//! marked undefined, and memcheck reports such a use.
//!
//! Two uses are left out of the report. [`super::padding`]'s `release` branches on whether the padding was right, once everything has been
//! looked at: the caller learns that, and the length of what is given out, anyway. And `subtle` asserts that a `Choice` is 0 or 1,
//! where assertions are on, as they are in tests and not in the release; it always is.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use std::process::{Command, Output};

use keykit::key::Hash;
use keykit::secret::SecretBytes;
use keykit_rsa_lanes::valgrind;
use zeroize::Zeroizing;

use super::padding::{decode_oaep, decode_pkcs1_v15};

/// What valgrind exits with after an error.
const FOUND: i32 = 99;
/// In `release`, under its name or inlined, and in what it calls.
const WANTED: &str = "{\n  wanted-KIND\n  Memcheck:KIND\n  ...\n  fun:NAME\n}\n";
const NAMES: [&str; 2] = ["*memory7padding7release*", "release"];
const ASSERTION: &str = "{\n  assertion\n  Memcheck:Cond\n  fun:from\n  fun:into<u8, subtle::Choice>\n}\n";
const KINDS: [&str; 4] = ["Cond", "Value1", "Value4", "Value8"];

/// A good block, and what is wrong with others: the first and the second byte, the separator, the filling.
fn blocks() -> Vec<Vec<u8>> {
    let good = [&[0, 2][..], &[7; 225], &[0], b"a content key with header...."].concat();
    let changed = |place: usize, value: u8| {
        let mut block = good.clone();
        block[place] = value;
        block
    };
    vec![good.clone(), changed(0, 1), changed(1, 1), changed(227, 7), changed(5, 0), vec![0; 256], vec![0xff; 256]]
}

/// EME-OAEP with SHA-1 (RFC 8017 §7.1.1 step 2).
fn encode_oaep(message: &[u8], length: usize) -> Vec<u8> {
    let mask = |target: &mut [u8], seed: &[u8]| {
        for (counter, chunk) in (0_u32..).zip(target.chunks_mut(20)) {
            let digest = Hash::Sha1.digest(&[seed, &counter.to_be_bytes()].concat());
            chunk.iter_mut().zip(digest.as_bytes()).for_each(|(byte, mask)| *byte ^= mask);
        }
    };
    let filling = vec![0; length - 42 - message.len()];
    let mut block = [Hash::Sha1.digest(b"").as_bytes(), &filling, &[1], message].concat();
    let mut seed = [0x5a; 20];
    mask(&mut block, &seed);
    mask(&mut seed, &block);
    [&[0][..], &seed, &block].concat()
}

/// Whether there was a message, which may be known.
fn is_some(mut opened: Option<SecretBytes>) -> bool {
    valgrind::mark_public(std::slice::from_mut(&mut opened));
    std::hint::black_box(&opened).is_some()
}

#[test]
#[ignore = "runs under valgrind"]
fn under_valgrind_padding() {
    assert!(valgrind::running());
    for (number, block) in blocks().into_iter().enumerate() {
        let mut secret = Zeroizing::new(block.clone());
        valgrind::mark_secret(&mut secret);
        assert_eq!(is_some(decode_pkcs1_v15(&secret)), number == 0, "{number}");
        for hash in [Hash::Sha1, Hash::Sha256] {
            let mut secret = Zeroizing::new(block.clone());
            valgrind::mark_secret(&mut secret);
            assert!(!is_some(decode_oaep(secret, hash, hash, b"")), "{number}");
        }
    }
    let mut secret = Zeroizing::new(encode_oaep(b"a content key", 256));
    valgrind::mark_secret(&mut secret);
    assert!(is_some(decode_oaep(secret, Hash::Sha1, Hash::Sha1, b"")));
    println!("constant time: padding");
}

/// The removal of a padding that stops at the first byte that is wrong: a mistake that is easily made.
#[test]
#[ignore = "runs under valgrind"]
fn under_valgrind_early_exit() {
    let mut secret = std::hint::black_box(blocks().remove(0));
    valgrind::mark_secret(&mut secret);
    let separator = secret.iter().skip(2).position(|byte| *byte == 0);
    println!("planted: an early exit, {}", std::hint::black_box(separator).is_some());
}

fn under_valgrind(test: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let wanted = folder.path().join("wanted.supp");
    let text = NAMES.map(|name| KINDS.map(|kind| WANTED.replace("KIND", kind).replace("NAME", name)).concat()).concat();
    std::fs::write(&wanted, text + ASSERTION).unwrap();
    let mut command = Command::new("valgrind");
    command.args(["--quiet", &format!("--error-exitcode={FOUND}"), "--leak-check=no"]).arg(format!("--suppressions={}", wanted.display()));
    command.arg(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", "--test-threads=1", &format!("memory::constant_time::under_valgrind_{test}")]);
    command.output().unwrap()
}

#[test]
fn paddings_are_removed_in_constant_time() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        return keykit_tests::child::skip("constant time of paddings", "valgrind is not here (`cargo xtask setup` installs it)");
    }
    for (test, code, says) in [("padding", 0, "constant time: padding"), ("early_exit", FOUND, "planted: ")] {
        let output = under_valgrind(test);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(out.contains(says), "{test}: {out}\n{err}");
        assert_eq!(output.status.code(), Some(code), "{test}: {out}\n{err}");
    }
}
