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
    let licences = |hit: &Hit| hit.licences().map(<[u8]>::to_vec);
    search_bytes(bytes, limits).into_iter().map(|hit| (hit.inside.clone(), licences(&hit))).collect()
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
    let problem = |bytes: &[u8], limits: Limits| match search_bytes(bytes, &limits).pop().unwrap().found {
        Found::NotRead(error) => format!("{error} ({})", error.hint().unwrap_or_default()),
        other => panic!("{other:?}"),
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
    let held = problem(&bombs, Limits { held: 1 << 20, ..Limits::default() });
    assert!(held.contains("unpacks to more than 1048576 bytes") && held.contains("--hold-limit"), "{held}");
    assert!(problem(&bombs, Limits { unpacked: 9 << 20, ..Limits::default() }).contains("--unpack-limit"));
    let large = [LICENCE, &vec![b' '; 1 << 20]].concat();
    assert!(problem(&large, Limits { held: 1 << 10, ..Limits::default() }).contains("1024 bytes, which are held at most"));
    // What an archive lies in is held too.
    let inner = [LICENCE, &random_bytes(700_000)].concat();
    let outer = zip(&[("inner.zip", &zip(&[("x.xml", &inner)]))]);
    assert!(problem(&outer, Limits { held: 1 << 20, ..Limits::default() }).contains("what it lies in"));
    let endless = [LICENCE, &vec![b' '; 17 << 20]].concat();
    assert!(problem(&endless, Limits::default()).contains("which no licence is"));
}

/// Bytes that don't pack.
fn random_bytes(count: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(count).collect()
}

#[test]
fn mail_with_a_long_header_is_looked_into() {
    // As Exchange Online writes it: signatures and verdicts of filters before the fields of MIME.
    let arc: String = (1..4).map(|number| format!("ARC-Seal: i={number}; a=rsa-sha256; b={}\r\n", "Ab+/".repeat(900))).collect();
    let filters = format!("X-Forefront-Antispam-Report:\r\n\tCIP:255.255.255.255;{}\r\n", "SFS:(13230040);".repeat(200));
    let letter = [format!("Received: from a\r\n{arc}{filters}").as_bytes(), &mail(&[("one.xml", LICENCE)])].concat();
    assert!(letter.windows(13).position(|window| window == b"MIME-Version:").unwrap() > 12_000);
    assert_eq!(found(&letter, &Limits::default()), [licence_at("one.xml")]);
    assert_eq!(found(&zip(&[("letter.eml", &letter)]), &Limits::default()), [licence_at("letter.eml / one.xml")]);
    // Without an end it is no mail.
    let endless = format!("Received: from a\r\n{}", arc.repeat(200));
    assert_eq!(found(endless.as_bytes(), &Limits::default()), []);
}

#[test]
fn every_mail_of_a_mailbox_is_looked_into() {
    let separator = b"From alice@rms.example Thu Jan  1 00:00:00 2015\n".as_slice();
    let plain = b"From: a\nSubject: plain\n\nno attachment\nFrom here on it is still the same mail\n\n".as_slice();
    let (one, two) = (mail(&[("one.xml", LICENCE)]), mail(&[("two.zip", &zip(&[("in.xml", LICENCE)]))]));
    let mailbox = [separator, &one, b"\n", separator, plain, separator, &two].concat();
    let expected = [licence_at("mail 1 / one.xml"), licence_at("mail 3 / two.zip / in.xml")];
    assert_eq!(found(&mailbox, &Limits::default()), expected);
    assert_eq!(found(&zip(&[("box", &mailbox)]), &Limits::default())[1].0, "box / mail 3 / two.zip / in.xml");
    // One that is too long for itself, however long the whole is.
    let long = [separator, &one, b"\n", separator, &mail(&[("x", &vec![b'x'; 100_000])])].concat();
    let hits = found(&long, &Limits { held: 200_000, ..Limits::default() });
    assert!(matches!(hits.as_slice(), [(first, Ok(_)), (second, Err(_))] if first == "mail 1 / one.xml" && second == "mail 2"), "{hits:?}");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn archives_of_unix_are_looked_into() {
    let long = "d/".repeat(80) + "two.xml";
    let archive = tar(&[("one.xml", LICENCE), (&long, LICENCE), ("three.zip", &zip(&[("in.xml", LICENCE)]))]);
    let cut = long[..100].to_owned();
    let places = ["one.xml".to_owned(), cut, "three.zip / in.xml".to_owned()];
    let hits = |before: &str| places.iter().map(|place| licence_at(&format!("{before}{place}"))).collect::<Vec<_>>();
    assert_eq!(found(&archive, &Limits::default()), hits(""));
    assert_eq!(found(&gzip(&archive), &Limits::default()), hits("unpacked / "));
    assert_eq!(found(&gzip(LICENCE), &Limits::default()), [licence_at("unpacked")]);
    assert_eq!(found(&zip(&[("a.tgz", &gzip(&archive))]), &Limits::default()), hits("a.tgz / unpacked / "));
    // Two that were put together are both read.
    let two = [gzip(&archive), gzip(&archive)].concat();
    assert_eq!(found(&two, &Limits::default()), [hits("unpacked / "), hits("unpacked / ")].concat());
    let seven_zip = tar(&[("a.7z", b"7z\xbc\xaf\x27\x1c\0\x04rest")]);
    assert!(matches!(search_bytes(&seven_zip, &Limits::default()).as_slice(), [Hit { found: Found::Foreign(_), .. }]));
}

#[test]
fn archives_of_unix_that_are_not_whole_are_problems() {
    let archive = tar(&[("one.xml", LICENCE), ("two.xml", LICENCE)]);
    for length in 1..archive.len() - 1024 {
        let hits = found(&archive[..length], &Limits::default());
        let whole = usize::from(length >= 512 + LICENCE.len()) + usize::from(length >= 1536 + LICENCE.len());
        assert_eq!(hits.iter().filter(|(_, licence)| licence.is_ok()).count(), whole, "{length}: {hits:?}");
        // Before its mark it is no archive at all; between members it could have been meant so.
        let is_problem = length >= 262 && !(512 + LICENCE.len()..=1024).contains(&length) && length < 1536 + LICENCE.len();
        assert_eq!(hits.iter().any(|(_, licence)| licence.is_err()), is_problem, "{length}: {hits:?}");
    }
    let packed = gzip(&archive);
    for length in 18..packed.len() {
        assert!(found(&packed[..length], &Limits::default()).iter().any(|(_, licence)| licence.is_err()), "{length}");
    }
    // Members whose parts lie elsewhere are named.
    for kind in [tar::EntryType::GNUSparse, tar::EntryType::new(b'M'), tar::EntryType::new(b'V')] {
        let mut header = tar::Header::new_gnu();
        header.set_path("sparse").unwrap();
        header.set_size(3);
        header.set_entry_type(kind);
        header.set_cksum();
        let bytes = [header.as_bytes().as_slice(), b"abc", &[0; 509 + 1024]].concat();
        assert!(found(&bytes, &Limits::default())[0].1.is_err(), "{kind:?}");
    }
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_pax_extensions([("GNU.sparse.major", b"1".as_slice())]).unwrap();
    assert!(found(&builder.into_inner().unwrap(), &Limits::default())[0].1.as_ref().unwrap_err().contains("sparse"));
}

#[test]
fn a_stream_that_unpacks_without_end_is_cut() {
    let bomb = gzip(&vec![0; 3 << 20]);
    let hits = found(&gzip(&tar(&[("bomb.gz", &bomb)])), &Limits { unpacked: 1 << 20, ..Limits::default() });
    assert_eq!(hits, [], "nothing of a file of zeros is read on after its head");
    let mail = [b"From: a\r\nContent-Type: text/plain\r\n\r\n".as_slice(), &vec![b'x'; 3 << 20]].concat();
    let hits = found(&gzip(&mail), &Limits { unpacked: 1 << 20, ..Limits::default() });
    assert!(hits[0].1.as_ref().unwrap_err().contains("unpacks to more than"), "{hits:?}");
}

#[test]
fn archives_of_kinds_that_are_not_read_are_named() {
    let seven_zip = b"7z\xbc\xaf\x27\x1c\0\x04rest".as_slice();
    for (bytes, place) in [
        (seven_zip.to_vec(), ""),
        (zip(&[("a.7z", seven_zip)]), "a.7z"),
        (mail(&[("a.7z", seven_zip)]), "a.7z"),
        (outlook(&[("a.7z", seven_zip)]), "a.7z"),
    ] {
        let hits = search_bytes(&bytes, &Limits::default());
        assert!(
            matches!(hits.as_slice(), [Hit { inside, found: Found::Foreign(kind) }] if inside == place && kind.name.contains("7-Zip")),
            "{hits:?}"
        );
    }
    let mut image = vec![0; 16 * 2048];
    image.extend_from_slice(b"\x01CD001\x01\0");
    assert!(found(&image, &Limits::default())[0].1.as_ref().unwrap_err().contains("image of a disc"));
}

#[test]
fn pages_that_quote_licences_are_not_lost_documents() {
    let page = b"<html><p>A licence begins with <XrML version=\"1.2\"> and so on.</html>".as_slice();
    assert_eq!(found(page, &Limits::default()), []);
    let long_comment = format!("<!--{}--><html><XrML></html>", "x".repeat(10_000));
    assert_eq!(found(long_comment.as_bytes(), &Limits::default()), []);
    let licence = format!("<!--{}-->{}", "x".repeat(10_000), String::from_utf8_lossy(LICENCE));
    assert!(matches!(found(licence.as_bytes(), &Limits::default()).as_slice(), [(_, Ok(_))]));
    // One that begins as licences do and goes on otherwise is lost.
    assert!(matches!(search_bytes(b"<XrML version=\"1.2\"><BODY>\xff", &Limits::default()).as_slice(), [Hit { found: Found::Damaged(..), .. }]));
}

#[test]
fn of_two_entries_with_one_name_both_are_found() {
    let mut bytes = zip(&[("one.xml", LICENCE), ("two.xml", b"nothing here"), ("six.xml", LICENCE)]);
    while let Some(place) = bytes.windows(7).position(|window| window == b"six.xml") {
        bytes[place..place + 3].copy_from_slice(b"one");
    }
    assert_eq!(found(&bytes, &Limits::default()), [licence_at("one.xml"), licence_at("one.xml")]);
}

#[test]
fn a_large_compound_file_is_read_where_it_lies() {
    let new = container::NewProtectedDocument {
        layout: container::CompoundLayout::OpenXml,
        publishing_licence: LICENCE,
        end_user_licences: &[],
        original_size: 3,
        content: &[0; 16],
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), new.to_bytes().unwrap()).unwrap();
    // More than is held; the system stores none of it.
    file.as_file().set_len(400 << 20).unwrap();
    let hits = search(file.path(), &Limits::default());
    assert!(matches!(hits.as_slice(), [hit] if hit.licences() == Ok(LICENCE)), "{hits:?}");
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
    assert_eq!(hits[0].licences().unwrap(), LICENCE);
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
