use proptest::prelude::*;

use super::*;
use crate::container::{NewProtectedDocument, NewProtectedFile, PfileVersion, write_mail};
use crate::secret::SecretBytes;

const LICENCE: &[u8] = b"<XrML><BODY></BODY></XrML>\0";

fn key(cipher: ContentCipher) -> ContentKey {
    ContentKey::new(cipher, SecretBytes::copy_of(&[9; 16])).unwrap()
}

fn pfile(version: PfileVersion, size: Option<u64>, content: &[u8]) -> Vec<u8> {
    let new =
        NewProtectedFile { version, notice: b"notice", extension: ".txt", publishing_licence: LICENCE, original_size: size, metadata: &[], content };
    new.to_bytes().unwrap()
}

fn office(layout: CompoundLayout, size: usize, content: &[u8]) -> NewProtectedDocument<'_> {
    NewProtectedDocument { layout, publishing_licence: LICENCE, end_user_licences: &[], original_size: size as u64, content }
}

fn open(bytes: &[u8], key: &ContentKey) -> Result<(Decrypted, Vec<u8>)> {
    let content = ProtectedContent::open(Cursor::new(bytes))?;
    assert_eq!(content.licences, LICENCE[..LICENCE.len() - 1]);
    let mut plain = Vec::new();
    let decrypted = content.decrypt(key, |bytes| {
        plain.extend_from_slice(bytes);
        Ok(())
    })?;
    assert_eq!(decrypted.bytes, plain.len() as u64);
    Ok((decrypted, plain))
}

#[test]
fn every_kind_of_file_gives_its_content_under_every_cipher() {
    for cipher in ContentCipher::ALL {
        let key = key(cipher);
        for size in [0, 1, 15, 16, 511, 512, 513, 4095, 4096, 4097, 200_000] {
            for (start, layout) in [(ZIP, CompoundLayout::OpenXml), (COMPOUND, CompoundLayout::Binary)] {
                let mut text = [start, &vec![7; size]].concat();
                text.truncate(size);
                let encrypted = encrypt(&key, cipher, &text).unwrap();
                let new = office(layout, size, &encrypted);
                let begins = Some(size >= start.len());
                let (decrypted, plain) = open(&new.to_bytes().unwrap(), &key).unwrap();
                assert_eq!((decrypted.cipher, decrypted.begins_as_expected, plain == text), (cipher, begins, true), "{cipher} {size}");
                let (decrypted, plain) = open(&write_mail(&new).unwrap(), &key).unwrap();
                assert_eq!((decrypted.begins_as_expected, plain == text), (begins, true), "{cipher} {size}");
                let (decrypted, plain) = open(&pfile(PfileVersion::CURRENT, Some(size as u64), &encrypted), &key).unwrap();
                assert_eq!((decrypted.begins_as_expected, plain == text), (None, true), "{cipher} {size}");
            }
        }
    }
}

#[test]
fn old_protected_files_are_cbc4k_whatever_the_licence_says() {
    let text = vec![3; 5000];
    let encrypted = encrypt(&key(ContentCipher::Ecb), ContentCipher::Cbc4k, &text).unwrap();
    for (major, minor) in [(1, 0), (2, 0), (2, 1)] {
        let version = PfileVersion { major, minor };
        let (decrypted, plain) = open(&pfile(version, None, &encrypted), &key(ContentCipher::Ecb)).unwrap();
        assert_eq!((decrypted.cipher, plain == text), (ContentCipher::Cbc4k, true), "{version}");
    }
    assert!(open(&pfile(PfileVersion::CURRENT, Some(5000), &encrypted), &key(ContentCipher::Ecb)).unwrap().1 != text);
}

#[test]
fn a_licence_that_is_longer_than_the_first_read_is_found() {
    let key = key(ContentCipher::Cbc4k);
    let encrypted = encrypt(&key, ContentCipher::Cbc4k, b"text").unwrap();
    let notice = vec![b' '; usize::try_from(SHORT_PREFIX).unwrap()];
    let new = NewProtectedFile {
        version: PfileVersion::CURRENT,
        notice: &notice,
        extension: "",
        publishing_licence: LICENCE,
        original_size: None,
        metadata: &[],
        content: &encrypted,
    };
    assert_eq!(open(&new.to_bytes().unwrap(), &key).unwrap().1, b"text");
}

#[test]
fn what_holds_no_content_is_refused() {
    let key = key(ContentCipher::Ecb);
    for (bytes, word) in [
        (b"<XrML></XrML>".to_vec(), "licence alone"),
        (b"%PDF-1.7".to_vec(), "no protected file"),
        (Vec::new(), "no protected file"),
        (pfile(PfileVersion::CURRENT, Some(100), &[0; 96]), "cut off"),
        (pfile(PfileVersion::CURRENT, None, &[0; 96]), "says how long"),
        (office(CompoundLayout::OpenXml, 17, &[0; 16]).to_bytes().unwrap(), "cut off"),
        (write_mail(&office(CompoundLayout::Binary, 17, &[0; 31])).unwrap(), "cut off"),
    ] {
        let error = open(&bytes, &key).unwrap_err();
        assert!(error.to_string().contains(word) && error.code() == "malformed", "{word}: {error}");
    }
}

#[test]
fn what_the_receiver_says_stops_the_work() {
    let key = key(ContentCipher::Ecb);
    let bytes = pfile(PfileVersion::CURRENT, Some(200_000), &vec![0; 200_000]);
    let mut pieces = 0;
    let stopped = ProtectedContent::open(Cursor::new(bytes)).unwrap().decrypt(&key, |_| {
        pieces += 1;
        Err(Error::negative("full"))
    });
    assert_eq!((stopped.unwrap_err().code(), pieces), ("negative", 1));
}

proptest! {
    #[test]
    fn no_damage_panics(cipher in prop::sample::select(ContentCipher::ALL.to_vec()), layout in 0..4_u8, place in any::<prop::sample::Index>(), value: u8, cut in any::<prop::sample::Index>()) {
        let key = key(cipher);
        let text = vec![1; 700];
        let encrypted = encrypt(&key, cipher, &text).unwrap();
        let mut bytes = match layout {
            0 => pfile(PfileVersion::CURRENT, Some(700), &encrypted),
            1 => office(CompoundLayout::OpenXml, 700, &encrypted).to_bytes().unwrap(),
            2 => office(CompoundLayout::Binary, 700, &encrypted).to_bytes().unwrap(),
            _ => write_mail(&office(CompoundLayout::Binary, 700, &encrypted)).unwrap(),
        };
        let length = bytes.len();
        bytes[place.index(length)] = value;
        let short = bytes[..cut.index(length)].to_vec();
        for bytes in [bytes, short] {
            if let Ok(content) = ProtectedContent::open(Cursor::new(&bytes)) {
                let mut given = 0;
                drop(content.decrypt(&key, |bytes| { given += bytes.len(); Ok(()) }));
                prop_assert!(given <= 4 * length);
            }
        }
    }
}
