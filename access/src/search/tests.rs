use std::io::Write as _;

use cfb::CompoundFile;
use proptest::prelude::*;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

const LICENCE: &[u8] = b"<XrML xmlns=\"\" version=\"1.2\"><BODY></BODY></XrML>";

fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn mail(attachments: &[(&str, &[u8])]) -> Vec<u8> {
    let mut text = String::from("From: a@rms.example\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\n");
    text += "--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n";
    for (name, bytes) in attachments {
        let hex: String = bytes.iter().map(|byte| format!("={byte:02X}=\r\n")).collect();
        text += &format!("--b\r\nContent-Type: application/octet-stream; name=\"{name}\"\r\n");
        text += &format!("Content-Disposition: attachment; filename=\"{name}\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{hex}\r\n");
    }
    (text + "--b--\r\n").into_bytes()
}

fn outlook(attachments: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    file.create_stream("/__properties_version1.0").unwrap().write_all(&[0; 32]).unwrap();
    for (number, (name, bytes)) in attachments.iter().enumerate() {
        let storage = format!("/__attach_version1.0_#{number:08X}");
        file.create_storage(&storage).unwrap();
        file.create_stream(format!("{storage}/{ATTACHMENT}")).unwrap().write_all(bytes).unwrap();
        let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        file.create_stream(format!("{storage}/__substg1.0_3707001F")).unwrap().write_all(&wide).unwrap();
    }
    file.flush().unwrap();
    file.into_inner().into_inner()
}

const ATTACHMENT: &str = "__substg1.0_37010102";

/// Places and licences, or places and problems.
fn found(bytes: &[u8], limits: &Limits) -> Vec<(String, Result<Vec<u8>, String>)> {
    search_bytes(bytes, limits).into_iter().map(|hit| (hit.inside, hit.licences.map_err(|error| error.to_string()))).collect()
}

fn licence_at(place: &str) -> (String, Result<Vec<u8>, String>) {
    (place.to_owned(), Ok(LICENCE.to_vec()))
}

#[test]
fn a_licence_is_found_wherever_it_lies() {
    let limits = Limits::default();
    let deep = zip(&[("letters/mail.eml", &mail(&[("a.zip", &zip(&[("b.xml", LICENCE), ("notes.txt", b"nothing")]))])), ("c.xml", LICENCE)]);
    for (bytes, places) in [
        (LICENCE.to_vec(), vec![""]),
        (zip(&[("one.xml", LICENCE)]), vec!["one.xml"]),
        (mail(&[("one.xml", LICENCE), ("x.bin", b"\0\0")]), vec!["one.xml"]),
        (outlook(&[("ä.xml", LICENCE), ("two.zip", &zip(&[("in.xml", LICENCE)]))]), vec!["ä.xml", "two.zip / in.xml"]),
        (deep, vec!["letters/mail.eml / a.zip / b.xml", "c.xml"]),
        (b"<html></html>".to_vec(), vec![]),
        (b"%PDF-1.7".to_vec(), vec![]),
        (Vec::new(), vec![]),
        (zip(&[]), vec![]),
    ] {
        let expected: Vec<_> = places.into_iter().map(licence_at).collect();
        assert_eq!(found(&bytes, &limits), expected);
    }
}

#[test]
fn office_documents_and_protected_mail_are_found_and_others_are_no_problem() {
    let new = container::NewProtectedDocument {
        layout: container::CompoundLayout::OpenXml,
        publishing_licence: LICENCE,
        end_user_licences: &[],
        original_size: 3,
        content: &[0; 16],
    };
    let (document, message) = (new.to_bytes().unwrap(), container::write_mail(&new).unwrap());
    let limits = Limits::default();
    assert_eq!(found(&document, &limits), [licence_at("")]);
    let letter = mail(&[("message.rpmsg", &message)]);
    let bytes = zip(&[("plan.docx", &document), ("letter.eml", &letter)]);
    assert_eq!(found(&bytes, &limits), [licence_at("plan.docx"), licence_at("letter.eml / message.rpmsg")]);
    assert_eq!(found(&outlook(&[("plan.docx", &document)]), &limits), [licence_at("plan.docx")]);
    // Not protected: nothing to find, nothing wrong.
    let mut plain = CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    plain.create_stream("/WordDocument").unwrap().write_all(b"text").unwrap();
    plain.flush().unwrap();
    assert!(found(&plain.into_inner().into_inner(), &limits).is_empty());
    // Damaged: nobody can say.
    assert!(matches!(found(&document[..1000], &limits).as_slice(), [(_, Err(_))]));
    assert!(matches!(found(&message[..message.len() - 1], &limits).as_slice(), [(_, Err(_))]));
}

#[test]
fn every_limit_is_named_when_it_is_met() {
    let problem = |bytes: &[u8], limits: Limits| {
        let mut found = found(bytes, &limits);
        let (_, last) = found.pop().unwrap();
        last.unwrap_err()
    };
    let mut nested = zip(&[("x.xml", LICENCE)]);
    for _ in 0..8 {
        nested = zip(&[("x.zip", &nested)]);
    }
    assert!(problem(&nested, Limits::default()).contains("more than 6 archives"));
    let many: Vec<(String, &[u8])> = (0..50).map(|number| (format!("{number}"), b"x".as_slice())).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    assert!(problem(&zip(&many), Limits { entries: 49, ..Limits::default() }).contains("more than 49 entries"));
    assert!(found(&zip(&many), &Limits { entries: 50, ..Limits::default() }).is_empty());
    // A bomb: much that packs to little.
    let mut bomb = LICENCE.to_vec();
    bomb.resize(4 << 20, b' ');
    let bombs = zip(&[("a", &bomb), ("b", &bomb), ("c", &bomb)]);
    assert!(bombs.len() < 20_000);
    assert!(problem(&bombs, Limits { held: 1 << 20, ..Limits::default() }).contains("unpacks to more than 1048576 bytes"));
    assert!(problem(&bombs, Limits { unpacked: 9 << 20, ..Limits::default() }).contains("the file unpacks to more than"));
    let large = [LICENCE, &vec![b' '; 1 << 20]].concat();
    assert!(problem(&large, Limits { held: 1 << 10, ..Limits::default() }).contains("1024 are held at most"));
}

#[test]
fn what_cannot_be_read_is_a_problem_and_not_left_out() {
    let whole = zip(&[("one.xml", LICENCE), ("two.xml", LICENCE)]);
    let hits = found(&whole[..whole.len() - 30], &Limits::default());
    assert!(matches!(hits.as_slice(), [(_, Err(problem))] if problem.contains("archive can't be read")), "{hits:?}");
    // One entry whose checksum is wrong; the other is still found.
    let mut damaged = zip(&[("one.xml", &LICENCE.repeat(30)), ("two.xml", LICENCE)]);
    damaged[45] ^= 0x55;
    let hits = found(&damaged, &Limits::default());
    assert_eq!(hits.len(), 2, "{hits:?}");
    assert!(hits[0].1.is_err() && hits[1] == licence_at("two.xml"), "{hits:?}");
    let pfile = found(b".pfile\x03\x00\x00\x00", &Limits::default());
    assert!(matches!(pfile.as_slice(), [(_, Err(_))]), "{pfile:?}");
}

#[test]
fn names_that_come_from_outside_are_harmless() {
    let hits = found(&zip(&[("a\x1b[31m\n.xml", LICENCE), (&"n".repeat(5000), LICENCE)]), &Limits::default());
    assert_eq!(hits[0].0, "a\u{fffd}[31m\u{fffd}.xml");
    assert_eq!(hits[1].0.len(), 200);
}

#[test]
fn a_protected_file_of_any_length_is_read_by_its_beginning() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let pfile = container::NewProtectedFile {
        version: container::PfileVersion::CURRENT,
        notice: b"protected",
        extension: "iso",
        publishing_licence: LICENCE,
        original_size: Some(5 << 30),
        metadata: &[],
        content: b"",
    };
    std::fs::write(file.path(), pfile.to_bytes().unwrap()).unwrap();
    // 5 GiB, of which the system stores none.
    file.as_file().set_len(5 << 30).unwrap();
    let hits = search(file.path(), &Limits::default());
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].licences.as_ref().unwrap(), LICENCE);
}

proptest! {
    #[test]
    fn no_input_panics(
        which in 0_usize..4,
        cut in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
    ) {
        let mut bytes = match which {
            0 => zip(&[("one.xml", LICENCE), ("m.eml", &mail(&[("x", LICENCE)]))]),
            1 => mail(&[("one.xml", LICENCE), ("z.zip", &zip(&[("a", LICENCE)]))]),
            2 => outlook(&[("one.xml", LICENCE)]),
            _ => LICENCE.to_vec(),
        };
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        let limits = Limits { unpacked: 8 << 20, held: 1 << 20, entries: 200, depth: 4 };
        for hit in search_bytes(&bytes, &limits) {
            prop_assert!(!hit.inside.chars().any(char::is_control));
        }
    }
}
