//! Tests of whole files.

use proptest::prelude::*;

use super::*;
use crate::secret::SecretBytes;
use crate::xml::{self, Encoding};

pub(super) const V2: &[u8] = include_bytes!("../../../vectors/tpd/tpd-v2.xml");
pub(super) const V1: &[u8] = include_bytes!("../../../vectors/tpd/tpd-v1compat.xml");

pub(super) fn password() -> Password {
    Password::new("Synthetic-Pa$$w0rd-é".into())
}

fn key_of_vectors() -> RsaSecretKey {
    RsaSecretKey::from_pem(include_str!("../../../vectors/tpd/key.pem")).unwrap()
}

fn small_key() -> RsaSecretKey {
    RsaSecretKey::from_pem(include_str!("../../../vectors/keys/rsa-1024-e65537.pem")).unwrap()
}

fn information(csp_type: u32) -> KeyInformation {
    KeyInformation {
        id: "{8761d8b8-0000-4000-8000-4c2bf0f81537}".into(),
        id_type: "MS-GUID".into(),
        csp_type,
        csp_name: "Microsoft Enhanced RSA and AES Cryptographic Provider".into(),
        key_container: String::new(),
        key_number: 1,
    }
}

pub(super) fn domain() -> TrustedPublishingDomain {
    TrustedPublishingDomain::new(information(1), vec!["<XrML/>".into()], vec![], Some(small_key()), KeyDerivation::Sha256).unwrap()
}

fn same(left: &TrustedPublishingDomain, right: &TrustedPublishingDomain) -> bool {
    let der = |domain: &TrustedPublishingDomain| domain.key().map(|key| SecretBytes::copy_of(key.to_pkcs1_der().expose()));
    left.information == right.information
        && left.chain == right.chain
        && left.templates == right.templates
        && left.derivation == right.derivation
        && der(left) == der(right)
}

/// A file from parts that may be anything.
fn assemble(information: &[u8], key_data: Option<&[u8]>, derivation: KeyDerivation, password: &Password) -> Vec<u8> {
    let cipher = derivation.derive(password).unwrap();
    let key_data = key_data.map(|key_data| cipher.encrypt(key_data).unwrap());
    file::write(&EncryptedDomain { information: cipher.encrypt(information).unwrap(), key_data })
}

fn problem(result: Result<TrustedPublishingDomain>) -> String {
    match result {
        Err(Error::Malformed(malformed)) => {
            assert_eq!(malformed.format, FORMAT);
            malformed.problem
        }
        other => panic!("{other:?}"),
    }
}

fn is_wrong_password(result: &Result<TrustedPublishingDomain>) -> bool {
    matches!(result, Err(Error::WrongPassword { .. }))
}

#[test]
fn the_vectors_open() {
    for (bytes, derivation) in [(V2, KeyDerivation::Sha256), (V1, KeyDerivation::Pbkdf1Sha1)] {
        let domain = TrustedPublishingDomain::open(bytes, &password()).unwrap();
        assert_eq!(domain.derivation(), derivation);
        assert_eq!(domain.information, information(24));
        assert_eq!(domain.chain.len(), 1);
        assert!(domain.chain[0].starts_with("<XrML xmlns=\"\" version=\"1.2\"><BODY "));
        assert!(domain.templates.is_empty());
        let key = domain.key().unwrap();
        assert_eq!(key.id(), key_of_vectors().id());
        assert_eq!(key.to_pkcs1_der(), key_of_vectors().to_pkcs1_der());
        let again = TrustedPublishingDomain::open(&domain.seal(&password()).unwrap(), &password()).unwrap();
        assert!(same(&domain, &again));
    }
}

#[test]
fn another_password_is_told_from_damage() {
    for text in ["", "synthetic-Pa$$w0rd-é", "Synthetic-Paw0rd-é", "Synthetic-Pa$$w0rd-e\u{301}"] {
        for bytes in [V2, V1] {
            let Err(Error::WrongPassword { hint, .. }) = TrustedPublishingDomain::open(bytes, &Password::new(text.into())) else { panic!("{text}") };
            assert!(hint.contains("rule 57") && hint.contains("damaged"), "{hint}");
        }
    }
}

#[test]
fn a_wrong_password_that_unpads_is_still_wrong() {
    let file = file::read(V2).unwrap();
    let parts = [&file.information, file.key_data.as_ref().unwrap()];
    for part in parts {
        let mut found = 0;
        for number in 0..5000 {
            let wrong = Password::new(format!("wrong {number}"));
            let unpads = |derivation: KeyDerivation| derivation.derive(&wrong).unwrap().decrypt(part).unwrap().content().is_some();
            if KeyDerivation::ALL.into_iter().any(unpads) {
                found += 1;
                assert!(is_wrong_password(&TrustedPublishingDomain::open(V2, &wrong)), "{wrong:?} {number}");
            }
            if found == 3 {
                break;
            }
        }
        assert_eq!(found, 3, "about one wrong password in 128 unpads under one of the two derivations");
    }
}

#[test]
fn a_wrong_password_that_unpads_both_parts_is_still_wrong() {
    // Made, not searched: both parts unpad under the wrong password, and hold noise.
    let wrong = Password::new("wrong".into());
    let noise: Vec<u8> = (0..600).map(|n: u32| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    for derivation in KeyDerivation::ALL {
        let bytes = assemble(&noise, Some(&noise[..596]), derivation, &wrong);
        assert!(is_wrong_password(&TrustedPublishingDomain::open(&bytes, &wrong)));
    }
}

#[test]
fn well_formed_xml_of_something_else_is_no_domain() {
    let bytes = assemble(b"<a/>", None, KeyDerivation::Sha256, &password());
    assert!(is_wrong_password(&TrustedPublishingDomain::open(&bytes, &password())));
}

#[test]
fn a_damaged_information_part_is_named() {
    let good = inner::write(&information(1), &["<XrML/>".into()], &[]);
    for derivation in KeyDerivation::ALL {
        let open = |text: &str| problem(TrustedPublishingDomain::open(&assemble(text.as_bytes(), None, derivation, &password()), &password()));
        let text = open(&good.replace("</m_ttdki>", ""));
        assert!(text.starts_with("its information part is damaged: "), "{text}");
        let text = open(&good.replace("\"TrustedDocDomain\"", "\"TrustedUserDomain\""));
        assert!(text.contains("of type TrustedUserDomain, not"), "{text}");
        let text = open(&good.replace("MS-GUID", " "));
        assert_eq!(text, "strIDType is empty");
    }
}

#[test]
fn a_changed_or_shortened_part_is_damage_not_a_wrong_password() {
    let encrypted = file::read(V2).unwrap();
    let open = |information: &[u8], key_data: Option<&[u8]>| {
        let file = EncryptedDomain { information: information.to_vec(), key_data: key_data.map(<[u8]>::to_vec) };
        problem(TrustedPublishingDomain::open(&file::write(&file), &password()))
    };
    let (information, key_data) = (encrypted.information.as_slice(), encrypted.key_data.as_deref().unwrap());
    let text = open(&information[..information.len() - 16], Some(key_data));
    assert!(text.starts_with("its information part is damaged"), "{text}");
    for block in [0, 5, information.len() / 16 - 1] {
        let mut changed = information.to_vec();
        changed[block * 16 + 3] ^= 0x80;
        let text = open(&changed, Some(key_data));
        assert!(text.starts_with("its information part is damaged"), "block {block}: {text}");
    }
    // Nothing left of the information part: the key part proves the password.
    let noise: Vec<u8> = information.iter().map(|byte| byte ^ 0x55).collect();
    let text = open(&noise, Some(key_data));
    assert_eq!(text, "its information part is damaged: nothing in it can be read, though the key part opens with this password");
    let text = open(information, Some(&key_data[..key_data.len() - 16]));
    assert_eq!(text, "its key part is damaged: its end is missing or was changed");
    for block in 0..key_data.len() / 16 {
        let mut changed = key_data.to_vec();
        changed[block * 16 + 3] ^= 0x80;
        let text = open(information, Some(&changed));
        assert!(text.starts_with("its key part is damaged: "), "block {block}: {text}");
    }
}

#[test]
fn a_key_part_under_another_password_is_damage() {
    let encrypted = file::read(V2).unwrap();
    let mut unpadded = 0;
    for number in 0..2000 {
        let other = KeyDerivation::Sha256.derive(&Password::new(number.to_string())).unwrap();
        let key_data = other.encrypt(key_blob::encode(&small_key()).unwrap().expose()).unwrap();
        let right = KeyDerivation::Sha256.derive(&password()).unwrap();
        let unpads = right.decrypt(&key_data).unwrap().content().is_some();
        if number == 0 || unpads {
            unpadded += usize::from(unpads);
            let file = EncryptedDomain { information: encrypted.information.clone(), key_data: Some(key_data) };
            let text = problem(TrustedPublishingDomain::open(&file::write(&file), &password()));
            assert!(text.starts_with("its key part is damaged: "), "{text}");
        }
        if unpadded == 2 {
            break;
        }
    }
    assert_eq!(unpadded, 2);
}

#[test]
fn the_checks_of_an_importer() {
    let new = |change: &dyn Fn(&mut KeyInformation), chain: &[&str], key: Option<RsaSecretKey>| {
        let mut information = information(1);
        change(&mut information);
        let chain = chain.iter().map(|&text| text.into()).collect();
        TrustedPublishingDomain::new(information, chain, vec![], key, KeyDerivation::Sha256)
    };
    assert!(new(&|_| {}, &["x", ""], Some(small_key())).is_ok());
    assert!(new(&|information| information.csp_type = 24, &["x"], Some(small_key())).is_ok());
    assert!(new(&|information| information.csp_type = 24, &["x"], Some(key_of_vectors())).is_ok());
    assert!(new(&|_| {}, &["x"], None).is_ok());
    for (result, expected) in [
        (new(&|information| information.id.clear(), &["x"], None), "strID is empty"),
        (new(&|information| information.id_type = "\n".into(), &["x"], None), "strIDType is empty"),
        (new(&|_| {}, &[], None), "there is no server licensor certificate"),
        (new(&|_| {}, &["", "x"], None), "there is no server licensor certificate"),
        (new(&|_| {}, &["x"], Some(key_of_vectors())), "nCSPType is 1; a 2048-bit key needs 24 (PROV_RSA_AES)"),
        (new(&|information| information.csp_type = 12, &["x"], None), "nCSPType is 12, neither 1 (PROV_RSA_FULL) nor 24 (PROV_RSA_AES)"),
        (new(&|information| information.key_container = "\u{1}".into(), &["x"], None), "a text has the character U+0001, which XML cannot carry"),
    ] {
        assert_eq!(problem(result), expected);
    }
    let mut changed = domain();
    changed.information.id.clear();
    assert_eq!(changed.seal(&password()).unwrap_err().code(), "malformed");
    changed.information.id = "x".repeat(file::MAX_FILE_BYTES);
    assert!(changed.seal(&password()).unwrap_err().to_string().contains("at most 16777216"));
}

#[test]
fn keyless_files_have_the_same_content_and_password() {
    let keyless = TrustedPublishingDomain::open(V2, &password()).unwrap().without_key();
    let bytes = keyless.seal(&password()).unwrap();
    assert!(!String::from_utf8(bytes.clone()).unwrap().contains("m_strKeyData"));
    let again = TrustedPublishingDomain::open(&bytes, &password()).unwrap();
    assert!(again.key().is_none() && same(&keyless, &again));
    assert!(is_wrong_password(&TrustedPublishingDomain::open(&bytes, &Password::new("x".into()))));
    let (rest, key) = domain().into_key();
    assert!(rest.key().is_none());
    assert_eq!(key.unwrap().id(), small_key().id());
}

#[test]
fn the_derivation_can_be_changed() {
    let old = domain().with_derivation(KeyDerivation::Pbkdf1Sha1);
    let again = TrustedPublishingDomain::open(&old.seal(&password()).unwrap(), &password()).unwrap();
    assert_eq!(again.derivation(), KeyDerivation::Pbkdf1Sha1);
}

#[test]
fn a_key_in_the_information_part_is_ignored_and_not_written() {
    let text = inner::write(&information(1), &["x".into()], &[])
        .replace("    </m_ttdki>", "<strEncryptedPrivateKey>SECRET</strEncryptedPrivateKey></m_ttdki>");
    let domain = TrustedPublishingDomain::open(&assemble(text.as_bytes(), None, KeyDerivation::Sha256, &password()), &password()).unwrap();
    assert!(domain.key().is_none());
    assert!(!inner::write(&domain.information, &domain.chain, &domain.templates).contains("SECRET"));
}

#[test]
fn every_shortened_file_is_malformed() {
    let bytes = domain().seal(&password()).unwrap();
    for length in 0..bytes.len() {
        let result = TrustedPublishingDomain::open(&bytes[..length], &password());
        assert!(matches!(result, Err(Error::Malformed(_))), "{length}: {result:?}");
    }
}

#[test]
fn nothing_secret_is_printed() {
    let domain = domain();
    let text = format!("{domain:?}");
    assert!(text.contains("RsaSecretKey(1024 bits, "), "{text}");
    assert!(text.len() < 700, "{text}");
}

/// Texts that provoke mistakes: quotes, markup, CDATA, line ends, blanks, other planes.
fn text() -> impl Strategy<Value = String> {
    const NASTY: &[&str] =
        &["<![CDATA[", "]]>", "&amp;", "&#13;", "\r\n", "\"'", " ", "\t", "<XrML>", "</string>", "é", "𝔘", "\u{feff}", "\u{85}\u{2028}"];
    let piece = prop_oneof![proptest::sample::select(NASTY).prop_map(str::to_owned), "\\PC{0,6}"];
    proptest::collection::vec(piece, 0..6)
        .prop_map(|pieces| pieces.concat().chars().filter(|&character| document::is_xml_character(character)).collect())
}

fn contents() -> impl Strategy<Value = (KeyInformation, Vec<String>, Vec<String>)> {
    let information = (text(), text(), prop_oneof![Just(1), Just(24)], text(), text(), any::<u32>());
    let information = information.prop_map(|(id, id_type, csp_type, csp_name, key_container, key_number)| KeyInformation {
        id: format!("i{id}"),
        id_type: format!("t{id_type}"),
        csp_type,
        csp_name,
        key_container,
        key_number,
    });
    let chain = proptest::collection::vec(text(), 1..4).prop_map(|mut chain| {
        chain[0].push('c');
        chain
    });
    (information, chain, proptest::collection::vec(text(), 0..4))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_is_sealed_opens(
        (information, chain, templates) in contents(),
        with_key: bool,
        derivation in proptest::sample::select(&KeyDerivation::ALL[..]),
        password in "\\PC{0,20}",
    ) {
        let password = Password::new(password);
        let domain = TrustedPublishingDomain::new(information, chain, templates, with_key.then(small_key), derivation).unwrap();
        let sealed = domain.seal(&password).unwrap();
        prop_assert!(is_trusted_publishing_domain(&sealed));
        prop_assert!(same(&TrustedPublishingDomain::open(&sealed, &password).unwrap(), &domain));
    }

    #[test]
    fn every_inner_encoding_opens((information, chain, templates) in contents()) {
        let text = inner::write(&information, &chain, &templates);
        let domain = TrustedPublishingDomain::new(information, chain, templates, None, KeyDerivation::Sha256).unwrap();
        for encoding in [Encoding::Utf8, Encoding::Utf8Bom, Encoding::Utf16Le, Encoding::Utf16LeBom, Encoding::Utf16BeBom] {
            let bytes = assemble(&xml::encode(&text, encoding), None, KeyDerivation::Sha256, &password());
            prop_assert!(same(&TrustedPublishingDomain::open(&bytes, &password()).unwrap(), &domain), "{:?}", encoding);
        }
    }

    #[test]
    fn no_damage_gives_another_key(position in 0_usize..2857, value: u8) {
        let mut bytes = V2.to_vec();
        bytes[position] = value;
        if let Ok(domain) = TrustedPublishingDomain::open(&bytes, &password()) {
            prop_assert!(domain.key().is_none_or(|key| key.id() == key_of_vectors().id()));
        }
    }
}
