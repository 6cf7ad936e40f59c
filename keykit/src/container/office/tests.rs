//! Documents that are written and read, damaged and hostile ones.

use proptest::prelude::*;

use super::*;

const LICENCE: &[u8] = b"<XrML xmlns=\"\" version=\"1.2\"><BODY></BODY></XrML>";

fn user() -> EndUserLicence {
    EndUserLicence { id: "V2luZG93czphQGIuY29t".into(), certificates: vec!["<XrML/>".into(), "<XrML version=\"1.2\"/>".into()] }
}

fn document(layout: CompoundLayout, content: &[u8]) -> Vec<u8> {
    NewProtectedDocument { layout, publishing_licence: LICENCE, end_user_licences: &[user(), user()], original_size: 5, content }.to_bytes().unwrap()
}

/// The streams of a compound file by name.
fn streams(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut file = CompoundFile::open_strict(Cursor::new(bytes)).unwrap();
    let paths: Vec<_> = file.walk().filter(cfb::Entry::is_stream).map(|entry| entry.path().to_str().unwrap().to_owned()).collect();
    paths.into_iter().map(|path| (path.clone(), read_stream(&mut file, &path).unwrap())).collect()
}

#[test]
fn both_layouts_are_read_as_they_were_written() {
    for layout in [CompoundLayout::OpenXml, CompoundLayout::Binary] {
        for length in [0, 16, 100_000] {
            let read = ProtectedDocument::parse(&document(layout, &vec![9; length])).unwrap();
            assert_eq!(read.layout, layout);
            assert_eq!(read.publishing_licence, LICENCE);
            assert_eq!(read.end_user_licences, [user(), user()]);
            assert_eq!((read.original_size, read.encrypted_size, read.damaged_end_user_licences), (5, length as u64, 0));
        }
    }
}

#[test]
fn another_licence_leaves_everything_else() {
    for layout in [CompoundLayout::OpenXml, CompoundLayout::Binary] {
        let before = document(layout, &[1; 5000]);
        for licence in [b"<XrML/>".to_vec(), vec![b'x'; 50_000]] {
            let after = replace_licence(&before, &licence).unwrap();
            assert_eq!(ProtectedDocument::parse(&after).unwrap().publishing_licence, licence);
            let same = |bytes: &[u8]| streams(bytes).into_iter().filter(|(name, _)| !name.ends_with(PRIMARY)).collect::<Vec<_>>();
            assert_eq!(same(&before), same(&after));
            assert!(same(&before).len() >= 5);
        }
    }
}

#[test]
fn what_is_not_protected_or_protected_otherwise_is_said() {
    let mut plain = CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    put(&mut plain, "/WordDocument", b"text").unwrap();
    plain.flush().unwrap();
    let plain = plain.into_inner().into_inner();
    assert_eq!(ProtectedDocument::find(&plain).unwrap(), None);
    let error = ProtectedDocument::parse(&plain).unwrap_err();
    assert!(error.to_string().contains("does not protect") && error.hint().unwrap().contains("no key"));
    let mut file = open(document(CompoundLayout::OpenXml, b"x")).unwrap();
    let path = format!("{TRANSFORMS}/DRMEncryptedTransform/{PRIMARY}");
    let mut primary = read_stream(&mut file, &path).unwrap();
    // Another identity: not C73DFACD….
    primary[14] = b'D';
    put(&mut file, &path, &primary).unwrap();
    file.flush().unwrap();
    assert_eq!(ProtectedDocument::find(&file.into_inner().into_inner()).unwrap(), None);
    let mut no_content = open(document(CompoundLayout::OpenXml, b"x")).unwrap();
    no_content.remove_stream("/EncryptedPackage").unwrap();
    no_content.flush().unwrap();
    assert!(ProtectedDocument::parse(&no_content.into_inner().into_inner()).unwrap_err().to_string().contains("no stream of encrypted content"));
}

#[test]
fn a_transform_of_another_form_does_not_hide_the_licence() {
    let mut file = open(document(CompoundLayout::Binary, b"x")).unwrap();
    file.create_storage(format!("{TRANSFORMS}/\u{8}Other")).unwrap();
    put(&mut file, &format!("{TRANSFORMS}/\u{8}Other/{PRIMARY}"), &[1, 2, 3]).unwrap();
    file.flush().unwrap();
    let bytes = file.into_inner().into_inner();
    assert_eq!(ProtectedDocument::parse(&bytes).unwrap().publishing_licence, LICENCE);
    assert_eq!(ProtectedDocument::parse(&replace_licence(&bytes, b"<XrML/>").unwrap()).unwrap().publishing_licence, b"<XrML/>");
    let mut file = open(bytes).unwrap();
    file.remove_stream(format!("{TRANSFORMS}/\u{9}DRMTransform/{PRIMARY}")).unwrap();
    file.flush().unwrap();
    assert!(ProtectedDocument::parse(&file.into_inner().into_inner()).unwrap_err().to_string().contains("ends beyond its stream"));
}

#[test]
fn a_damaged_licence_of_a_user_does_not_hide_the_publishing_licence() {
    let mut file = open(document(CompoundLayout::OpenXml, b"x")).unwrap();
    put(&mut file, &format!("{TRANSFORMS}/DRMEncryptedTransform/EUL-damaged"), &[255; 40]).unwrap();
    file.flush().unwrap();
    let read = ProtectedDocument::parse(&file.into_inner().into_inner()).unwrap();
    assert_eq!((read.end_user_licences.len(), read.damaged_end_user_licences), (2, 1));
    assert_eq!(read.publishing_licence, LICENCE);
}

#[test]
fn streams_and_storages_beyond_the_limits_are_refused() {
    let mut file = open(document(CompoundLayout::Binary, b"x")).unwrap();
    let path = format!("{TRANSFORMS}/{}", CompoundLayout::Binary.transform());
    put(&mut file, &format!("{path}/{PRIMARY}"), &vec![0; usize::try_from(MAX_LICENCE).unwrap() + 1]).unwrap();
    file.flush().unwrap();
    assert!(ProtectedDocument::parse(&file.into_inner().into_inner()).unwrap_err().to_string().contains("limit"));
    let mut file = open(document(CompoundLayout::Binary, b"x")).unwrap();
    for number in 0..=MAX_ENTRIES {
        put(&mut file, &format!("{path}/EUL-{number}"), b"").unwrap();
    }
    file.flush().unwrap();
    assert!(ProtectedDocument::parse(&file.into_inner().into_inner()).unwrap_err().to_string().contains("more than"));
}

#[test]
fn a_table_that_is_listed_again_and_again_is_refused() {
    let mut bytes = document(CompoundLayout::OpenXml, &vec![0; 200_000]);
    // One sector in every place of the header.
    for entry in 1..109 {
        bytes[76 + entry * 4..80 + entry * 4].copy_from_slice(&1_u32.to_le_bytes());
    }
    assert!(ProtectedDocument::parse(&bytes).unwrap_err().to_string().contains("larger than the file"));
    // All zeros, and a header that says that they are meant.
    let mut bytes = document(CompoundLayout::OpenXml, &vec![0; 200_000]);
    bytes[44..48].copy_from_slice(&100_000_u32.to_le_bytes());
    bytes[76..512].fill(0);
    assert!(ProtectedDocument::parse(&bytes).unwrap_err().to_string().contains("larger than the file"));
    // A list of tables that goes in a circle.
    let mut bytes = document(CompoundLayout::OpenXml, &vec![0; 200_000]);
    let sector = bytes.len() / 512 - 2;
    bytes[68..72].copy_from_slice(&u32::try_from(sector).unwrap().to_le_bytes());
    let start = (sector + 1) * 512;
    bytes[start..start + 508].fill(255);
    bytes[start + 508..start + 512].copy_from_slice(&u32::try_from(sector).unwrap().to_le_bytes());
    assert_eq!(ProtectedDocument::parse(&bytes).unwrap_err().code(), "malformed");
}

#[test]
fn a_chain_of_sectors_that_goes_in_a_circle_is_refused() {
    let good = document(CompoundLayout::OpenXml, &vec![0; 20_000]);
    let table = usize::try_from(u32::from_le_bytes(good[76..80].try_into().unwrap())).unwrap();
    let entries = (table + 1) * 512..(table + 2) * 512;
    let mut refused = 0;
    for entry in entries.step_by(4) {
        for target in [0_u32, 1, 2, 3, 10, 20] {
            let mut bytes = good.clone();
            bytes[entry..entry + 4].copy_from_slice(&target.to_le_bytes());
            refused += usize::from(ProtectedDocument::parse(&bytes).is_err());
        }
    }
    assert!(refused > 100, "{refused}");
}

proptest! {
    #[test]
    fn damage_never_panics(changes in prop::collection::vec((0..20_000_usize, prop_oneof![Just(0_u8), Just(255), Just(254), any::<u8>()]), 1..12), cut in 0..3000_usize) {
        let mut bytes = document(CompoundLayout::Binary, &[7; 600]);
        for (position, value) in changes {
            let position = position % bytes.len();
            bytes[position] = value;
        }
        bytes.truncate(bytes.len() - cut.min(bytes.len()));
        if let Ok(read) = ProtectedDocument::parse(&bytes) {
            prop_assert!(read.publishing_licence.len() <= bytes.len());
        }
        drop(replace_licence(&bytes, b"<XrML/>"));
    }

    #[test]
    fn no_input_panics(rest in prop::collection::vec(any::<u8>(), 0..2000)) {
        let start = document(CompoundLayout::OpenXml, b"");
        drop(ProtectedDocument::parse(&rest));
        for head in [8, 76, 512] {
            drop(ProtectedDocument::parse(&[&start[..head], &rest].concat()));
        }
    }

    #[test]
    fn any_content_and_licence_is_read(content in prop::collection::vec(any::<u8>(), 0..9000), licence in "[ -~é]{0,6000}", original_size: u64) {
        let new = NewProtectedDocument { layout: CompoundLayout::OpenXml, publishing_licence: licence.as_bytes(), end_user_licences: &[], original_size, content: &content };
        let read = ProtectedDocument::parse(&new.to_bytes().unwrap()).unwrap();
        prop_assert_eq!(read.publishing_licence, licence.as_bytes());
        prop_assert_eq!((read.original_size, read.encrypted_size), (original_size, content.len() as u64));
    }
}
