use proptest::prelude::*;

use super::*;
use crate::licence::testing::{CONTENT, MODES, WORLD, content_key, issue, key, read, rights};
use crate::xrml::RightHolder;
use crate::xrml::testing::{VECTORS, real};

#[test]
fn an_issued_licence_opens_with_everything_in_it() {
    for (server, mode) in WORLD.old.iter().zip(MODES) {
        for bits in [128, 256] {
            let content = content_key(bits);
            let document = read(&issue(server, &content, "author@contoso.example", &rights()));
            assert_eq!(document.sealed_keys()[0].enabling_bits.algorithm.name(), SealAlgorithm::for_mode(mode).as_str());
            let opened = open_publishing_licence(&WORLD.store, &document).unwrap();
            assert_eq!((&opened.content_key, opened.server_key), (&content, key(server).id()));
            assert!(opened.is_bound && opened.issued_by_server);
            assert_eq!((opened.content_id, opened.owner.as_deref()), (CONTENT.braced(), Some("author@contoso.example")));
            assert_eq!(opened.licensing_urls, ["https://rights.example/_wmcs/licensing?a=1&b=2"; 2]);
            assert_eq!(opened.rights, rights());
            assert!(opened.validity.is_some() && opened.rights_text.unwrap().contains("FLY &lt;high&gt;"));
        }
    }
}

#[test]
fn real_licences_name_the_key_that_is_missing() {
    let mut seen = 0;
    for document in VECTORS.iter().flat_map(|(name, _)| real(name)).filter(|document| *document.kind() == DocumentKind::PublishingLicence) {
        let error = open_publishing_licence(&WORLD.store, &document).unwrap_err();
        let expected = document.subject_keys().next().unwrap().id().short();
        assert!(matches!(&error, Error::NotFound { what, .. } if what.contains(&expected)), "{error}");
        seen += 1;
    }
    assert!(seen >= 5, "{seen}");
}

#[test]
fn what_is_no_publishing_licence_is_refused() {
    let certificate = real("ca-chain-mode1.xml").remove(0);
    assert_eq!(open_publishing_licence(&WORLD.store, &certificate).unwrap_err().code(), "malformed");
    let odd = Principal::new(Object::default(), crate::xrml::testing::secret_key("keys/rsa-3072-e65537.pem").public().clone());
    assert_eq!(seal_to_server(&odd, &content_key(128)).unwrap_err().code(), "usage");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn names_and_rights_come_back(
        owner in "[^\\p{C}\\s]([^\\p{C}\\u{2028}]{0,20}[^\\p{C}\\s])?",
        names in prop::collection::vec("[^\\p{C}\\u{2028}]{1,12}", 0..4),
        days in prop::option::of(any::<u32>()),
    ) {
        let rights: Vec<_> = names.iter().map(|name| Right { days, ..Right::new(name, vec![RightHolder::Owner]) }).collect();
        let content = content_key(128);
        let opened = open_publishing_licence(&WORLD.store, &read(&issue(&WORLD.old[1], &content, &owner, &rights))).unwrap();
        prop_assert_eq!(opened.owner, Some(owner));
        prop_assert_eq!(opened.rights, rights);
        prop_assert_eq!(opened.content_key, content);
    }

    #[test]
    fn a_changed_byte_never_opens(position in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut bytes = issue(&WORLD.old[0], &content_key(128), "a@contoso.example", &rights()).into_bytes();
        let position = position.index(bytes.len());
        // Outside of what is signed, some bytes mean nothing: the root element's tag, and blanks of the signature.
        let signed = bytes.windows(5).position(|window| window == b"<BODY").unwrap()..bytes.windows(6).position(|window| window == b"<SIGNA").unwrap();
        prop_assume!(bytes[position] != value && signed.contains(&position));
        bytes[position] = value;
        let opened = Document::read(&bytes).and_then(|document| open_publishing_licence(&WORLD.store, &document));
        let code = opened.unwrap_err().code();
        prop_assert!(["malformed", "negative"].contains(&code), "{}", code);
    }
}
