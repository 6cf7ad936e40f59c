use proptest::prelude::*;

use super::*;

fn vector(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../vectors/xrml/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn simple() -> NewProtectedFile<'static> {
    NewProtectedFile {
        version: PfileVersion::CURRENT,
        notice: b"protected",
        extension: ".txt",
        publishing_licence: b"\xef\xbb\xbf<XrML></XrML>",
        original_size: Some(5),
        metadata: b"meta",
        content: &[0xaa; 16],
    }
}

#[test]
fn real_files() {
    for (name, version, licence_bytes, content_bytes, start) in [
        ("AliceBvt.txt.pfile", PfileVersion { major: 3, minor: 0 }, 40552, 32, "\u{feff}<?xml version=\"1.0\"?><XrML "),
        ("CleanAlice.txt.pfile", PfileVersion { major: 3, minor: 0 }, 7930, 32, "\u{feff}<?xml version=\"1.0\"?><XrML "),
        ("android_template_01.ptxt", PfileVersion { major: 2, minor: 0 }, 47960, 8656, "\u{feff}<XrML "),
    ] {
        let bytes = vector(name);
        let file = ProtectedFile::parse(&bytes).unwrap();
        assert_eq!(file.version(), version, "{name}");
        assert_eq!(file.extension(), ".txt");
        assert_eq!((file.publishing_licence().len(), file.content().len()), (licence_bytes, content_bytes), "{name}");
        assert!(file.publishing_licence().starts_with(start.as_bytes()), "{name}");
        assert!(file.publishing_licence().ends_with(b"</XrML>"), "{name}");
        assert_eq!((file.original_size(), file.metadata()), (None, [].as_slice()));
        assert!(file.notice().trim_ascii_start().starts_with(b"This file uses"), "{name}");
        assert_eq!(version.forces_cbc4k(), version.major == 2);
    }
}

#[test]
fn the_writer_gives_back_real_files_bit_for_bit() {
    for name in ["AliceBvt.txt.pfile", "CleanAlice.txt.pfile", "android_template_01.ptxt"] {
        let bytes = vector(name);
        let file = ProtectedFile::parse(&bytes).unwrap();
        let again = NewProtectedFile {
            version: file.version(),
            notice: file.notice(),
            extension: file.extension(),
            publishing_licence: file.publishing_licence(),
            original_size: file.original_size(),
            metadata: file.metadata(),
            content: file.content(),
        };
        assert!(again.to_bytes().unwrap() == bytes, "{name}");
    }
}

#[test]
fn no_truncation_panics_and_none_before_the_content_parses() {
    for bytes in [vector("CleanAlice.txt.pfile"), vector("android_template_01.ptxt"), simple().to_bytes().unwrap()] {
        let content_offset = ProtectedFile::parse(&bytes).unwrap().content_offset();
        for length in 0..bytes.len() {
            let result = ProtectedFile::parse(&bytes[..length]);
            if length < content_offset {
                assert_eq!(result.unwrap_err().code(), "malformed", "{length} bytes");
            } else {
                assert_eq!(result.unwrap().content().len(), length - content_offset);
            }
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        major in 1_u32..=3,
        minor in 0_u32..3,
        notice in prop::collection::vec(any::<u8>(), 0..40),
        extension in "(\\.[a-zé]{0,10})?",
        licence in prop::collection::vec(any::<u8>(), 1..60),
        size in prop::option::of(0_u64..u64::MAX),
        metadata in prop::collection::vec(any::<u8>(), 0..20),
        content in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let version = PfileVersion { major, minor };
        let file = NewProtectedFile {
            version,
            notice: &notice,
            extension: &extension,
            publishing_licence: &licence,
            original_size: size.filter(|_| version.has_metadata()),
            metadata: if version.has_metadata() { &metadata } else { &[] },
            content: &content,
        };
        let bytes = file.to_bytes().unwrap();
        let parsed = ProtectedFile::parse(&bytes).unwrap();
        prop_assert_eq!(parsed.version(), version);
        prop_assert_eq!(parsed.notice(), file.notice);
        prop_assert_eq!(parsed.extension(), file.extension);
        prop_assert_eq!(parsed.publishing_licence(), file.publishing_licence);
        prop_assert_eq!(parsed.original_size(), file.original_size);
        prop_assert_eq!(parsed.metadata(), file.metadata);
        prop_assert_eq!(parsed.content(), file.content);
        let licence_start = parsed.publishing_licence_offset();
        prop_assert_eq!(&bytes[licence_start..licence_start + licence.len()], licence.as_slice());
    }

    #[test]
    fn no_header_panics(major in 0_u32..5, minor in 0_u32..3, fields in prop::collection::vec(prop_oneof![0_u32..120, any::<u32>()], 12), rest in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut bytes = PREAMBLE.to_vec();
        for field in [major, minor, 0].iter().chain(&fields) {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&rest);
        if let Ok(file) = ProtectedFile::parse(&bytes) {
            prop_assert!(file.publishing_licence_offset() + file.publishing_licence().len() <= file.content_offset());
            prop_assert!((1..=3).contains(&major));
        }
    }
}

/// Offsets in [`simple`]: the header is at 27; its fields follow in the order of the layout.
const HEADER: usize = 6 + 12 + 9;

fn with_field(field: usize, value: u32) -> Vec<u8> {
    let mut bytes = simple().to_bytes().unwrap();
    bytes[HEADER + field..HEADER + field + 4].copy_from_slice(&value.to_le_bytes());
    bytes
}

#[test]
fn misplaced_parts_are_refused_at_their_field() {
    let sound = ProtectedFile::parse(&with_field(0, 40)).map(|file| file.content_offset()).unwrap();
    let content = u32::try_from(sound).unwrap();
    let header = u32::try_from(HEADER).unwrap();
    for (what, field, value, reported) in [
        ("a header too small for 3.0", 0, 39, 0),
        ("a header that swallows the parts", 0, 41, 4),
        ("a header beyond the end", 0, u32::MAX, 20),
        ("an extension in the header", 4, header + 39, 4),
        ("an extension in the notice", 4, 20, 4),
        ("an extension inside the licence", 4, header + 45, 4),
        ("an extension over the start of the licence", 8, 5, 12),
        ("an extension without end", 8, u32::MAX, 4),
        ("a licence at the start of the file", 12, 0, 12),
        ("a licence in the content", 12, content, 12),
        ("a licence into the metadata", 16, 17, 32),
        ("a licence without end", 16, u32::MAX, 12),
        ("no licence", 16, 0, 12),
        ("content before the metadata's end", 20, content - 1, 32),
        ("content in the header", 20, header + 39, 20),
        ("content beyond the end", 20, content + 17, 20),
        ("metadata beyond the end", 32, u32::MAX, 32),
        ("metadata in the content", 36, 5, 32),
    ] {
        let Err(Error::Malformed(error)) = ProtectedFile::parse(&with_field(field, value)) else { panic!("{what} is accepted") };
        assert_eq!(error.offset, Some((HEADER + reported) as u64), "{what}: {error}");
    }
}

#[test]
fn a_larger_header_of_a_later_minor_version_is_passed_over() {
    let mut bytes = with_field(0, 44);
    for field in [4, 12, 20, 32] {
        let at = HEADER + field;
        let value = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) + 4;
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    bytes.splice(HEADER + 40..HEADER + 40, [1, 2, 3, 4]);
    let file = ProtectedFile::parse(&bytes).unwrap();
    assert_eq!((file.extension(), file.publishing_licence(), file.metadata()), (".txt", simple().publishing_licence, b"meta".as_slice()));
}

#[test]
fn unknown_versions_and_names_are_refused() {
    for major in [0, 4, 0x0100_0000] {
        let mut bytes = simple().to_bytes().unwrap();
        bytes[6..10].copy_from_slice(&u32::to_le_bytes(major));
        assert!(ProtectedFile::parse(&bytes).unwrap_err().to_string().contains("version"));
    }
    let mut other = simple().to_bytes().unwrap();
    other[1] = b'P';
    assert_eq!(ProtectedFile::parse(&other).unwrap_err().code(), "malformed");
    for extension in ["/../x", "a\nb", "a\\b", "c:", "\u{7f}"] {
        assert!(NewProtectedFile { extension, ..simple() }.to_bytes().is_err(), "{extension:?}");
    }
    let mut bytes = simple().to_bytes().unwrap();
    bytes[HEADER + 41] = b'/';
    assert!(ProtectedFile::parse(&bytes).unwrap_err().to_string().contains("extension"));
    bytes[HEADER + 41] = 0xff;
    assert!(ProtectedFile::parse(&bytes).unwrap_err().to_string().contains("UTF-8"));
}

#[test]
fn the_writer_refuses_what_would_not_come_back() {
    let old = PfileVersion { major: 2, minor: 0 };
    assert!(NewProtectedFile { version: old, ..simple() }.to_bytes().is_err());
    assert!(NewProtectedFile { version: old, original_size: None, metadata: b"", ..simple() }.to_bytes().is_ok());
    assert!(NewProtectedFile { original_size: Some(u64::MAX), ..simple() }.to_bytes().is_err());
    assert!(NewProtectedFile { publishing_licence: b"", ..simple() }.to_bytes().is_err());
    assert!(NewProtectedFile { version: PfileVersion { major: 4, minor: 0 }, ..simple() }.to_bytes().is_err());
}
