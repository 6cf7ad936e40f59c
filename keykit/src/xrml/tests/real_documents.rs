//! Documents that real servers and clients wrote.

use crate::key::Hash;
use crate::xml::{self, Encoding};
use crate::xrml::testing::{VECTORS, real, time, vector};
use crate::xrml::*;

#[test]
fn every_real_document_verifies() {
    let mut checked = 0;
    for (name, count) in VECTORS {
        let documents = real(name);
        assert_eq!(documents.len(), count, "{name}");
        for document in documents {
            let check = document.check_signature();
            assert!(check.is_sound(), "{name}: {document:?}: {:?}", check.problem());
            document.verify_with(document.issuer_key().unwrap()).unwrap();
            assert_eq!(document.tree().unwrap().range, 0..document.text().len());
            checked += 1;
        }
    }
    assert_eq!(checked, 11);
}

#[test]
fn the_encoding_of_the_file_does_not_matter() {
    let text = String::from_utf8(vector("ca-chain-mode1.xml")).unwrap();
    let separated = text.replace("</XrML>", "</XrML>\0\0\r\n\u{feff}<?xml version=\"1.0\"?>").replace("<?xml version=\"1.0\"?><", "<");
    for text in [text.clone(), text.replace("</XrML><XrML", "</XrML>\n\0\u{feff}<XrML"), separated] {
        for encoding in [Encoding::Utf8, Encoding::Utf8Bom, Encoding::Utf16Le, Encoding::Utf16LeBom, Encoding::Utf16BeBom] {
            let documents = documents_in(&xml::encode(text.trim_end_matches('\0'), encoding)).unwrap();
            assert_eq!(documents, real("ca-chain-mode1.xml"), "{encoding:?}");
        }
    }
}

#[test]
fn declarations_may_stand_between_documents() {
    let text = String::from_utf8(vector("ca-chain-mode1.xml")).unwrap();
    let text = text.replace("<XrML", "<?xml version=\"1.0\"?><XrML");
    assert_eq!(documents_in(text.as_bytes()).unwrap(), real("ca-chain-mode1.xml"));
}

#[test]
fn a_publishing_licence_shows_everything() {
    let document = &real("CleanAlice.txt.pfile")[0];
    assert_eq!(*document.kind(), DocumentKind::PublishingLicence);
    assert_eq!((document.body_type(), document.body_version()), ("Microsoft Rights Label", Some("3.0")));
    assert_eq!(document.issued(), Some(time("2017-01-12T19:21")));
    assert_eq!(document.validity(), Some(TimeRange::between(time("2017-01-12T19:21"), time("2017-01-14T19:21"))));
    let descriptor = document.descriptor().unwrap();
    assert_eq!(descriptor.id, "586b5746-aa26-4310-81b1-ea20d40cfc89");
    assert_eq!(parse_names(descriptor.name.as_deref().unwrap())[&1033], TemplateName::new("Test Name", "Test Description"));
    let issuer = document.issuer().unwrap();
    assert_eq!(issuer.object.object_type.as_deref(), Some("MS-DRM-Server"));
    assert_eq!(issuer.object.name.as_deref(), Some("Microsoft Corporation"));
    assert!(issuer.object.url().unwrap().ends_with(".rms.na.aadrm.com/_wmcs"));
    assert_eq!(issuer.security_level("Tenant-ID"), Some("{6594232e-6968-45f0-9f7e-c711fc49ef58}"));
    assert_eq!((document.issuer_key().unwrap().modulus_bits(), document.issuer_key().unwrap().exponent()), (2048, 65537));
    let server = &document.issued_principals()[0];
    assert_eq!((server.internal_id.as_deref(), document.subject_keys().next()), (Some("1"), document.issuer_key()));
    assert_eq!((&server.enabling_bits[0].algorithm, server.enabling_bits[0].bits()), (&SealAlgorithm::SealedKeyV2, 2816));
    let sealed = &document.sealed_keys()[0];
    assert_eq!((sealed.place.as_str(), sealed.internal_id.as_deref(), &sealed.right), ("ISSUEDPRINCIPALS/PRINCIPAL", Some("1"), &None));
    assert_eq!(sealed.enabling_bits, server.enabling_bits[0]);
    let element = &document.text()[sealed.range.clone()];
    assert!(element.starts_with("<ENABLINGBITS type=") && element.ends_with("</ENABLINGBITS>"));
    let points: Vec<_> = document.distribution_points().iter().filter_map(|point| point.object.object_type.as_deref()).collect();
    assert_eq!(points, ["License-Acquisition-URL", "Extranet-License-Acquisition-URL", "Referral-Info"]);
    let work = document.work().unwrap();
    assert_eq!(work.object.id, "{1c5e0307-e03d-4de3-af21-81bcf961e73c}");
    assert_eq!(work.owner.as_ref().unwrap().name.as_deref(), Some("alice@isvtenant999.onmicrosoft.com"));
    assert_eq!(document.encrypted_rights_data().unwrap().unwrap().len() % 16, 0);
    let signature = document.signature().unwrap();
    assert_eq!((signature.digest_algorithm.as_str(), signature.hash, signature.value.len()), ("SHA256", Some(Hash::Sha256), 256));
    assert!(document.issuer_text().unwrap().starts_with("<ISSUER>") && document.issuer_text().unwrap().ends_with("</ISSUER>"));
    assert!(document.issued_principals_text().unwrap().starts_with("<ISSUEDPRINCIPALS>"));
}

#[test]
fn an_offline_licence_comes_with_its_client_certificate() {
    for name in ["LicenseParserTest_PL_0101right_CBC_xml.bin", "LicenseParserTest_PL_0101right_ECB_xml.bin"] {
        let documents = real(name);
        assert_eq!(*documents[0].kind(), DocumentKind::PublishingLicence);
        assert_eq!(*documents[1].kind(), DocumentKind::ClientLicensorCertificate);
        assert_eq!(documents[0].issuer_key(), documents[1].subject_keys().next());
        assert!(documents[1].validity().unwrap().contains(documents[0].issued().unwrap()));
        let sealed = &documents[1].sealed_keys()[0];
        assert_eq!(sealed.place, "WORK/RIGHTSGROUP/RIGHTSLIST/RIGHT/CONDITIONLIST/ACCESS/PRINCIPAL");
        assert_eq!((sealed.right.as_deref(), sealed.enabling_bits.bits()), (Some("ISSUE"), 11904));
    }
}

#[test]
fn names_in_many_languages_are_read() {
    let document = &real("android_template_01.ptxt")[0];
    let names = parse_names(document.descriptor().unwrap().name.as_deref().unwrap());
    assert!(names.len() > 30, "{}", names.len());
    assert_eq!(names[&2052].name, "Microsoft Corporation - 机密信息");
    assert!(names.values().all(|name| !name.name.is_empty() && !name.description.is_empty() && !name.description.contains("LCID")));
    assert_eq!(document.authenticated_data()[1].name.as_deref(), Some("Microsoft.MSIPC.RequireRmsAwareApplication"));
}

#[test]
fn certificates_of_the_chain_are_told_apart() {
    let kinds: Vec<_> = real("ca-chain-mode1.xml").iter().map(|document| document.kind().clone()).collect();
    use DocumentKind::{CertificateAuthority, ServerLicensorCertificate};
    assert_eq!(kinds, [ServerLicensorCertificate, ServerLicensorCertificate, CertificateAuthority, CertificateAuthority]);
}
