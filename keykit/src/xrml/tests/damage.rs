//! A changed byte is always noticed.

use std::ops::Range;

use crate::xrml::testing::{Hierarchy, VECTORS, real, vector};
use crate::xrml::*;

/// Whether one changed byte is noticed: the text is refused, or a check is negative.
fn noticed(bytes: &[u8], position: usize, flip: u8) -> bool {
    let mut changed = bytes.to_vec();
    changed[position] ^= flip;
    match documents_in(&changed) {
        Err(error) => matches!(error, crate::Error::Malformed(_)),
        Ok(documents) => documents.iter().any(|document| !document.check_signature().is_sound()),
    }
}

/// The body, and the values of the digest and the signature.
fn signed_parts(document: &Document) -> Vec<Range<usize>> {
    let tree = document.tree().unwrap();
    let signature = tree.child("SIGNATURE").unwrap();
    let value = |range: Range<usize>| {
        let start = range.start + document.text()[range.clone()].find('>').unwrap() + 1;
        start..range.end - "</VALUE>".len()
    };
    vec![
        document.body_range(),
        value(signature.child("VALUE").unwrap().range.clone()),
        value(signature.descend(&["DIGEST", "VALUE"]).unwrap().range.clone()),
    ]
}

#[test]
fn every_byte_of_a_small_document_counts() {
    let world = Hierarchy::new(1);
    let document = &world.chain()[0];
    let bytes = document.text().as_bytes();
    let mut tried = 0;
    for position in signed_parts(document).into_iter().flatten() {
        // A neighbour, the other case of a letter, and another kind of character.
        for flip in [0x01, 0x20, 0x06, 0x80] {
            assert!(noticed(bytes, position, flip), "byte {position} ^ {flip:#x}: {}", &document.text()[position.saturating_sub(20)..position + 1]);
            tried += 1;
        }
    }
    assert!(tried > 4000, "{tried}");
}

#[test]
fn the_whole_signature_block_is_checked_strictly() {
    let world = Hierarchy::new(2);
    let document = &world.chain()[0];
    let range = document.tree().unwrap().child("SIGNATURE").unwrap().range.clone();
    for position in range {
        assert!(noticed(document.text().as_bytes(), position, 0x01), "byte {position}");
    }
}

#[test]
fn bytes_of_real_documents_count() {
    for (name, _) in VECTORS {
        let bytes = vector(name);
        let wide = bytes.starts_with(b"<\0");
        let documents = real(name);
        for document in &documents {
            let whole = document.text().as_bytes();
            for range in signed_parts(document) {
                let step = (range.len() / 60).max(1);
                for position in range.step_by(step) {
                    assert!(noticed(whole, position, 0x01), "{name}: byte {position}");
                    assert!(noticed(whole, position, 0x20), "{name}: byte {position}");
                }
            }
        }
        if wide {
            // In UTF-16 the upper byte of a character counts as well.
            let body = bytes.windows(10).position(|window| window == b"<\0B\0O\0D\0Y\0").unwrap();
            for position in (body..body + 8000).step_by(101) {
                assert!(noticed(&bytes, position, 0x01), "{name}: byte {position}");
            }
        }
    }
}

#[test]
fn base64_has_one_form_only() {
    let world = Hierarchy::new(2);
    let document = &world.chain()[0];
    let range = signed_parts(document)[1].clone();
    let value = &document.text()[range.clone()];
    let replace = |new: &str| [&document.text()[..range.start], new, &document.text()[range.end..]].concat();
    for other in [format!("{value}\n"), format!(" {value}"), value.replacen(&value[4..8], &format!("\n{}", &value[4..8]), 1), value.replace('=', "")]
    {
        assert!(documents_in(replace(&other).as_bytes()).is_err(), "{other}");
    }
    // 256 bytes end in two padding characters, so the last letter has four unused bits.
    let last = value.as_bytes()[value.len() - 3];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let place = alphabet.iter().position(|&letter| letter == last).unwrap();
    for unused in 1..16 {
        let letter = char::from(alphabet[place ^ unused]);
        let other = format!("{}{letter}==", &value[..value.len() - 3]);
        assert!(documents_in(replace(&other).as_bytes()).is_err(), "{unused}");
    }
}

#[test]
fn a_digest_that_fits_a_changed_body_is_not_enough() {
    let document = &real("CleanAlice.txt.pfile")[0];
    let body = document.body_text().replace("2017-01-14T19:21", "2027-01-14T19:21");
    let digest = signature::body_digest(&body, crate::key::Hash::Sha256);
    let old = value::encode_base64(&document.signature().unwrap().digest);
    let text = document.text().replace(document.body_text(), &body).replace(&old, &value::encode_base64(digest.as_bytes()));
    let check = Document::read(text.as_bytes()).unwrap().check_signature();
    assert_eq!((check.digest_ok, check.signature_ok, check.is_sound()), (true, Some(false), false));
    assert!(check.problem().is_some());
}

#[test]
fn a_change_of_the_body_fails_both_checks() {
    let document = &real("CleanAlice.txt.pfile")[0];
    let text = document.text().replace("2017-01-14T19:21", "2027-01-14T19:21");
    let check = Document::read(text.as_bytes()).unwrap().check_signature();
    assert_eq!((check.digest_ok, check.signature_ok), (false, Some(false)));
}

#[test]
fn another_key_and_another_hash_do_not_verify() {
    let document = &real("CleanAlice.txt.pfile")[0];
    let other = real("ca-chain-mode1.xml")[3].issuer_key().unwrap().clone();
    assert!(matches!(document.verify_with(&other), Err(crate::Error::Negative { .. })));
    for (name, known) in [("SHA-256", true), ("SHA1", false), ("MD5", false), ("", false)] {
        let text = document.text().replace("<ALGORITHM>SHA256</ALGORITHM>", &format!("<ALGORITHM>{name}</ALGORITHM>"));
        let check = Document::read(text.as_bytes()).unwrap().check_signature();
        assert_eq!(check.is_sound(), known, "{name}");
        assert_eq!(check.problem().is_none(), known, "{name}");
    }
}
