//! What is written reads back, verifies, and has the shape of real documents.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::Error;
use crate::key::Hash;
use crate::xml::{self, Encoding};
use crate::xrml::testing::{Hierarchy, real, secret_key, time};
use crate::xrml::writer::*;
use crate::xrml::*;

#[test]
fn real_certificates_are_written_byte_for_byte() {
    for document in real("ca-chain-mode1.xml") {
        let role = match document.kind() {
            DocumentKind::CertificateAuthority => CertificateRole::CertificateAuthority,
            _ => CertificateRole::ServerLicensor,
        };
        let certificate = Certificate {
            role,
            id: document.descriptor().unwrap().id.parse().unwrap(),
            issued: document.issued().unwrap(),
            valid: document.validity().unwrap(),
            issuer: document.issuer().unwrap(),
            subject: &document.issued_principals()[0],
        };
        let unsigned = certificate.to_unsigned().unwrap().with_hash(Hash::Sha1).unwrap();
        assert_eq!(unsigned.body(), document.body_text());
        // With the body, the real signature fits, and the whole document is the real one.
        assert_eq!(unsigned.with_signature(&document.signature().unwrap().value).unwrap(), document.text());
    }
}

#[test]
fn real_online_licences_are_written_byte_for_byte() {
    for name in ["CleanAlice.txt.pfile", "android_template_01.ptxt"] {
        let document = &real(name)[0];
        let work = document.work().unwrap();
        let licence = PublishingLicence {
            issued: document.issued().unwrap(),
            valid: document.validity(),
            descriptor: document.descriptor(),
            issuer: document.issuer().unwrap(),
            distribution_points: document.distribution_points(),
            server: &document.issued_principals()[0],
            content_id: work.object.id.parse().unwrap(),
            owner: work.owner.as_ref().and_then(|owner| owner.name.as_deref()),
            authenticated_data: document.authenticated_data(),
        };
        let unsigned = licence.to_unsigned().unwrap();
        assert_eq!(unsigned.with_signature(&document.signature().unwrap().value).unwrap(), document.text(), "{name}");
    }
}

fn points(url: &str) -> Vec<DistributionPoint> {
    let id = "{9A23D98E-4449-4ba5-812A-F30808F3CB16}";
    vec![
        DistributionPoint::new(Object::new("Publishing-URL", "MS-GUID", id).named("Publishing Point").at_url(url)),
        DistributionPoint::new(Object::new("Referral-Info", "MS-GUID", id).at_url("someone@example.com")),
    ]
}

/// Names, addresses and values as people write them: anything that XML can hold.
fn free_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[\\PC&&[^\u{fffe}\u{ffff}\u{2028}]]{1,20}".prop_map(|text| text.trim().to_owned()),
        "[<>&\"' a-zéß☃𝄞;:=\\]\\[{}!-]{1,20}".prop_map(|text| text.trim().to_owned()),
    ]
    .prop_filter("empty", |text| !text.is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn certificates_come_back(mode in 1_u8..3, name in free_text(), url in free_text(), level in free_text(), authority: bool) {
        let mut world = Hierarchy::new(mode);
        let mut object = Object::new("MS-DRM-Server", "ascii-tag", &name).named(&format!(" {name}\n"));
        object = object.at_url(&url);
        world.server.object = object;
        world.server.security_levels = vec![SecurityLevel::new(&level, &level)];
        let role = if authority { CertificateRole::CertificateAuthority } else { CertificateRole::ServerLicensor };
        let document = world.certify(role, &world.root, &world.server, "2015-01-01T00:00");
        prop_assert!(document.check_signature().is_sound());
        prop_assert_eq!(document.issuer(), Some(&world.root));
        let expected = Principal { internal_id: Some("1".into()), ..world.server.clone() };
        prop_assert_eq!(&document.issued_principals()[0], &expected);
        prop_assert_eq!(document.kind().may_issue(&DocumentKind::PublishingLicence), !authority);
        for encoding in [Encoding::Utf8Bom, Encoding::Utf16Le] {
            let stored = xml::encode(&format!("{XML_DECLARATION}{}", document.text()), encoding);
            prop_assert_eq!(&documents_in(&stored).unwrap()[0], &document);
        }
    }

    #[test]
    fn licences_come_back(mode in 1_u8..3, owner in free_text(), url in free_text(), bits: Vec<u8>, rights: Vec<u8>, setting in free_text()) {
        let mut world = Hierarchy::new(mode);
        let algorithm = if mode == 1 { SealAlgorithm::SealedKey } else { SealAlgorithm::SealedKeyV2 };
        world.server.enabling_bits = vec![EnablingBits { algorithm, bytes: bits }];
        let data = [AuthenticatedData::encrypted_rights_data(&rights), AuthenticatedData::application_specific(&setting, &setting)];
        let valid = TimeRange { from: Some(time("2015-01-01T00:00")), until: None };
        let licence = PublishingLicence {
            issued: time("2015-02-03T04:05"),
            valid: Some(valid),
            descriptor: None,
            issuer: &world.server,
            distribution_points: &points(&url),
            server: &world.server,
            content_id: Guid::from_u128(7),
            owner: Some(&owner),
            authenticated_data: &data,
        };
        let document = world.sign(licence.to_unsigned().unwrap());
        prop_assert!(document.check_signature().is_sound());
        prop_assert_eq!(document.signature().unwrap().hash, Some(if mode == 1 { Hash::Sha1 } else { Hash::Sha256 }));
        prop_assert_eq!(document.kind(), &DocumentKind::PublishingLicence);
        prop_assert_eq!((document.issued(), document.validity()), (Some(time("2015-02-03T04:05")), Some(valid)));
        prop_assert_eq!(&document.issued_principals()[0].enabling_bits, &world.server.enabling_bits);
        prop_assert_eq!(&document.sealed_keys()[0].enabling_bits, &world.server.enabling_bits[0]);
        prop_assert_eq!(document.distribution_points(), points(&url));
        prop_assert_eq!(document.work().unwrap().owner.as_ref().unwrap().name.as_ref(), Some(&owner));
        prop_assert_eq!(document.authenticated_data(), &data);
        prop_assert_eq!(document.encrypted_rights_data().unwrap(), Some(rights));
    }

    #[test]
    fn templates_come_back(mode in 1_u8..3, name in "[a-zé<>&\"' ]{1,12}", description in free_text(), user in free_text(), anyone: bool, days: Option<u32>) {
        let world = Hierarchy::new(mode);
        let names = BTreeMap::from([(1033, TemplateName::new(name.trim(), description.trim())), (1031, TemplateName::new("Schlüssel", ""))]);
        prop_assume!(write_names(&names).is_ok());
        let mut rights = vec![Right::new("OWNER", vec![RightHolder::Owner]), Right::new("VIEW", vec![RightHolder::Address(user)])];
        rights[1].days = days;
        rights[1].range = days.map(|_| TimeRange::between(time("2015-01-01T00:00"), time("2016-01-01T00:00")));
        if anyone {
            rights[1].holders.push(RightHolder::Anyone);
        }
        let template = Template {
            id: Guid::from_u128(9),
            names: &names,
            issued: time("2015-02-03T04:05"),
            issuer: &world.server,
            distribution_points: &points("https://rights.example/_wmcs/licensing"),
            valid: days.map(|_| TimeRange::between(time("2015-01-01T00:00"), time("2016-01-01T00:00"))),
            rights: &rights,
            authenticated_data: &[AuthenticatedData::application_specific("VIEWER", "1")],
        };
        let document = world.sign(template.to_unsigned().unwrap());
        prop_assert!(document.check_signature().is_sound());
        let read = RightsTemplate::of(&document).unwrap();
        prop_assert_eq!(read, RightsTemplate { id: Guid::from_u128(9), names, issued: Some(time("2015-02-03T04:05")), rights, grants_anyone: anyone });
    }
}

#[test]
fn whole_hierarchies_verify_in_both_modes() {
    for mode in [1, 2] {
        let world = Hierarchy::new(mode);
        for document in world.chain() {
            assert!(document.check_signature().is_sound());
            assert_eq!(document.signature().unwrap().hash, Some(if mode == 1 { Hash::Sha1 } else { Hash::Sha256 }));
        }
        assert_eq!(world.chain()[2].issuer().unwrap().object.name.as_deref(), Some("keykit demonstration root"));
    }
}

#[test]
fn the_hash_follows_the_mode_of_the_key() {
    for (path, hash) in [("keys/xrml-1024.pem", Hash::Sha1), ("keys/xrml-2048.pem", Hash::Sha256)] {
        let root = demonstration_root(secret_key(path).public());
        let valid = TimeRange::between(time("2010-01-01T00:00"), time("2020-01-01T00:00"));
        let role = CertificateRole::CertificateAuthority;
        let root = Certificate { role, id: Guid::from_u128(1), issued: time("2015-01-01T00:00"), valid, issuer: &root, subject: &root };
        assert_eq!(root.to_unsigned().unwrap().digest().hash(), hash);
        assert!(root.to_unsigned().unwrap().with_hash(Hash::Sha512).is_err());
    }
}

#[test]
fn what_xml_cannot_hold_is_refused() {
    let world = Hierarchy::new(2);
    for (bad, in_text, in_attribute) in
        [("\0", false, false), ("\r", false, false), ("\u{1b}", false, false), ("\u{ffff}", false, false), ("\n", true, false), ("\t", true, false)]
    {
        let object = Object::new("MS-DRM-Server", "MS-GUID", "x");
        assert_eq!(object_element(&object.clone().named(&format!("a{bad}b"))).is_ok(), in_text, "{bad:?}");
        assert_eq!(object_element(&Object { object_type: Some(format!("a{bad}b")), ..object }).is_ok(), in_attribute, "{bad:?}");
    }
    let no_key = Principal { public_key: None, ..world.server.clone() };
    let valid = TimeRange::default();
    let (id, issued, role) = (Guid::from_u128(1), time("2015-01-01T00:00"), CertificateRole::ServerLicensor);
    for (issuer, subject) in [(&no_key, &world.server), (&world.server, &no_key)] {
        assert!(matches!(Certificate { role, id, issued, valid, issuer, subject }.to_unsigned(), Err(Error::Usage { .. })));
    }
}

#[test]
fn only_the_issuer_can_sign() {
    let world = Hierarchy::new(2);
    let document = &world.chain()[0];
    let issuer = document.issuer_key().unwrap();
    let unsigned = UnsignedDocument::from_body(document.body_text().to_owned(), issuer).unwrap();
    assert_eq!(unsigned.with_signature(&document.signature().unwrap().value).unwrap(), document.text());
    assert!(matches!(unsigned.with_signature(&world.chain()[1].signature().unwrap().value), Err(Error::Negative { .. })));
    assert!(unsigned.with_signature(&[]).is_err());
    let other = document.subject_keys().next().unwrap();
    assert!(UnsignedDocument::from_body(document.body_text().to_owned(), other).is_err());
    assert!(UnsignedDocument::from_body(format!(" {}", document.body_text()), issuer).is_err());
    assert!(UnsignedDocument::from_body(format!("{}<!-- -->", document.body_text()), issuer).is_err());
    let stranger = testing::TestStore::new(vec![secret_key("keys/xrml-1024.pem")]);
    assert!(matches!(unsigned.sign_with(&stranger), Err(Error::NotFound { .. })));
}
