use proptest::prelude::*;

use super::*;
use crate::licence::testing::{CONTENT, MODES, WORLD, content_key, issue, key, read, rights};
use crate::xrml::testing::time;

fn licence<'a>(issuer: &'a Principal, user: &'a Principal, content: &'a Object, rights: &'a [GrantedRight]) -> NewUseLicence<'a> {
    NewUseLicence { id: CONTENT, issued: time("2013-04-04T00:53"), issuer, user, content, owner: Some("author@contoso.example"), rights }
}

fn granted() -> Vec<GrantedRight> {
    let range = TimeRange::between(time("2013-04-04T00:53"), time("2014-04-04T00:53"));
    vec![
        GrantedRight { range: Some(range), days: Some(30), ..GrantedRight::new(UsageRight::View) },
        GrantedRight::new(UsageRight::Other("FLY <high>".into())),
    ]
}

#[test]
fn the_user_opens_what_the_server_issued() {
    for (issuer, user, mode) in [(0, 0, 0), (1, 1, 1), (0, 1, 1), (1, 0, 0)] {
        let (issuer, user, mode) = (&WORLD.old[issuer], &WORLD.users[user], MODES[mode]);
        let content = content_key(256);
        let object = read(&issue(issuer, &content, "a", &rights())).work().unwrap().object.clone();
        let text = licence(issuer, user, &object, &granted()).issue(&WORLD.store, &content).unwrap();
        assert!(text.starts_with("<XrML version=\"1.2\" xmlns=\"\" purpose=\"Content-License\"><BODY type=\"LICENSE\" version=\"3.0\">"));
        let document = read(&text);
        assert_eq!((document.kind(), document.sealed_keys().len()), (&DocumentKind::UseLicence, 2));
        for (sealed, right) in document.sealed_keys().iter().zip(["VIEW", "FLY <high>"]) {
            assert_eq!((sealed.right.as_deref(), sealed.internal_id.as_deref()), (Some(right), Some("1")));
            assert!(sealed.place.ends_with("RIGHT/CONDITIONLIST/ACCESS/PRINCIPAL"));
            assert_eq!(sealed.enabling_bits.algorithm.name(), SealAlgorithm::for_mode(mode).as_str());
        }
        let opened = open_use_licence(&WORLD.store, &document).unwrap();
        assert_eq!(
            opened,
            OpenedUseLicence {
                content_key: content,
                user_key: key(user).id(),
                issuer_key: key(issuer).id(),
                is_bound: true,
                issued: Some(time("2013-04-04T00:53")),
                content: object,
                owner: Some("author@contoso.example".into()),
                rights: granted(),
            }
        );
    }
}

#[test]
fn rights_with_different_keys_are_refused() {
    let (issuer, user, object) = (&WORLD.old[1], &WORLD.users[1], Object::default());
    let rights = granted();
    let [one, other] = [0, 1].map(|_| licence(issuer, user, &object, &rights).seal(&content_key(128)).unwrap());
    let bits = |unsigned: &UnsignedDocument| {
        let found = unsigned.body().match_indices("<ENABLINGBITS").map(|(start, _)| start).collect::<Vec<_>>();
        let end = unsigned.body().find("</ENABLINGBITS>").unwrap() - found[0];
        (found[1], unsigned.body()[found[1]..found[1] + end].to_owned())
    };
    let ((start, mine), (_, theirs)) = (bits(&one), bits(&other));
    let body = format!("{}{theirs}{}", &one.body()[..start], &one.body()[start + mine.len()..]);
    let mixed = UnsignedDocument::from_body(body, key(issuer)).unwrap();
    let signature = WORLD.store.sign(&key(issuer).id(), &[mixed.digest()]).unwrap().remove(0);
    let error = open_use_licence(&WORLD.store, &read(&use_licence_text(&mixed, &signature).unwrap())).unwrap_err();
    assert!(error.to_string().contains("different content keys"), "{error}");
}

#[test]
fn what_cannot_be_issued_is_refused() {
    let (issuer, user, object, content) = (&WORLD.old[1], &WORLD.users[1], Object::default(), content_key(128));
    let owner = [GrantedRight::new(UsageRight::Owner), GrantedRight::new(UsageRight::View)];
    let code = |licence: NewUseLicence<'_>| licence.seal(&content).unwrap_err().code();
    assert_eq!(code(licence(issuer, user, &object, &[])), "usage");
    assert_eq!(code(licence(issuer, user, &object, &owner)), "usage");
    assert_eq!(code(licence(issuer, &Principal::default(), &object, &owner[..1])), "usage");
    assert_eq!(code(licence(&Principal::default(), user, &object, &owner[..1])), "usage");
    let publishing = read(&issue(issuer, &content, "a", &rights()));
    assert_eq!(open_use_licence(&WORLD.store, &publishing).unwrap_err().code(), "malformed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn every_right_comes_back(names in prop::collection::vec("[^\\p{C}\\u{2028}]{1,12}", 1..4), days in prop::option::of(any::<u32>())) {
        let rights: Vec<_> = names.iter().map(|name| GrantedRight { days, ..GrantedRight::new(name.as_str().into()) }).collect();
        prop_assume!(rights.iter().all(|granted| granted.right != UsageRight::Owner));
        let text = licence(&WORLD.old[0], &WORLD.users[0], &Object::default(), &rights).issue(&WORLD.store, &content_key(128)).unwrap();
        prop_assert_eq!(open_use_licence(&WORLD.store, &read(&text)).unwrap().rights, rights);
    }

    #[test]
    fn a_changed_byte_never_opens(position in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut bytes = licence(&WORLD.old[0], &WORLD.users[0], &Object::default(), &granted()).issue(&WORLD.store, &content_key(128)).unwrap().into_bytes();
        let (start, end) = (bytes.windows(5).position(|w| w == b"<BODY").unwrap(), bytes.windows(6).position(|w| w == b"<SIGNA").unwrap());
        let position = start + position.index(end - start);
        prop_assume!(bytes[position] != value);
        bytes[position] = value;
        let code = Document::read(&bytes).and_then(|document| open_use_licence(&WORLD.store, &document)).unwrap_err().code();
        prop_assert!(["malformed", "negative"].contains(&code), "{}", code);
    }
}
