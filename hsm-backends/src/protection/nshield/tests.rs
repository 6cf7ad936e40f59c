//! The fixtures of `vectors/nshield`, and what must not count.

use keykit::key::RsaSecretKey;
use keykit::store::protection::Assessment;
use proptest::prelude::*;

use super::*;

const NAME_LIST: &str = include_str!("../../../../vectors/nshield/nfkminfo-l.txt");
const KEY_LIST: &str = include_str!("../../../../vectors/nshield/nfkminfo-k.txt");
const INFO_MODULE: &str = include_str!("../../../../vectors/nshield/nfkminfo-k-module.txt");
const INFO_CARD_SET: &str = include_str!("../../../../vectors/nshield/nfkminfo-k-cardset.txt");
const INFO_SOFT_CARD: &str = include_str!("../../../../vectors/nshield/nfkminfo-k-softcard.txt");
const ATTESTED_MODULE: &str = include_str!("../../../../vectors/nshield/nfkmattest-module.json");
const ATTESTED_CARD_SET: &str = include_str!("../../../../vectors/nshield/nfkmattest-cardset.json");
const ATTESTED_OTHER: &str = include_str!("../../../../vectors/nshield/nfkmattest-other-key.json");

const KEY_HASH: &str = "5b1cf6f1b0d7c6d22a9bd9d1fb2f3d44b19c3a53";
const CONTAINER: &str = "container-2c0afb5fd62d214dad1028bc6dfae81317d1b201";
const CARD_SET_HASH: &str = "7c99e43e627c3a62933bc1c16f559db862978952";
const CARD_SET_IDENT: &str = "uc725e1d27135c1b5dbb296f63be079fa827cf65fd-0317f899c8a6737e8506278850b57bf1b7b29e9e";
const SOFT_CARD_IDENT: &str = "uc96738a35471d8480f8d0aa1728d9eb8f1c6a983f-06c70f2b0fa50c3799809248ffd5fcf9a740b169";
const MODULE_IDENT: &str = "ua1df56ecd5514769c92c361e2e3c799745bfd0b96";

fn key() -> RsaPublicKey {
    RsaSecretKey::from_pem(include_str!("../../../../vectors/tpd/key.pem")).unwrap().public().clone()
}

fn ident(ident: &str) -> KeyIdentifiers {
    KeyIdentifiers { ident: Some(ident.into()), ..KeyIdentifiers::default() }
}

fn card_set(hash: Option<&str>) -> Protection {
    Protection::CardSet { hash: hash.map(Into::into), name: None }
}

fn logical_token(hash: Option<&str>) -> Protection {
    Protection::LogicalToken { hash: hash.map(Into::into), name: None }
}

fn soft_card(hash: Option<&str>) -> Protection {
    Protection::SoftCard { hash: hash.map(Into::into), name: None }
}

fn parse(text: &str) -> Evidence {
    Evidence::parse(text, Path::new("evidence.txt")).unwrap()
}

fn verdict(texts: &[&str], identifiers: &KeyIdentifiers) -> Protection {
    Assessment::weigh(texts.iter().flat_map(|text| parse(text).signals_for(&key(), identifiers)).collect()).protection
}

#[test]
fn the_name_list_puts_keys_into_three_sections() {
    assert_eq!(parse(NAME_LIST).len(), 6);
    assert_eq!(verdict(&[NAME_LIST], &ident(MODULE_IDENT)), Protection::Module);
    assert_eq!(verdict(&[NAME_LIST], &ident("contosobyok")), Protection::Module);
    assert_eq!(verdict(&[NAME_LIST], &ident(&CONTAINER.to_ascii_uppercase())), card_set(None));
    assert_eq!(verdict(&[NAME_LIST], &ident(CARD_SET_IDENT)), card_set(CARD_SET_IDENT.get(2..42)));
    assert_eq!(verdict(&[NAME_LIST], &ident(SOFT_CARD_IDENT)), soft_card(SOFT_CARD_IDENT.get(2..42)));
}

#[test]
fn the_key_list_knows_what_identifiers_of_pkcs11_say_and_nothing_else() {
    assert_eq!(parse(KEY_LIST).len(), 4);
    assert_eq!(verdict(&[KEY_LIST], &ident("uac2dca1b681e776095cd902c81fb8d1ec4cd9b5c6")), Protection::Module);
    let token_key = format!("uc{CARD_SET_HASH}-06c70f2b0fa50c3799809248ffd5fcf9a740b169");
    assert_eq!(verdict(&[KEY_LIST], &ident(&token_key)), logical_token(Some(CARD_SET_HASH)));
    // Another output knows which kind of token it is.
    let cards = format!("Keys protected by cardsets:\nkey_pkcs11_{token_key} `x'\n");
    assert_eq!(verdict(&[KEY_LIST, &cards], &ident(&token_key)), card_set(Some(CARD_SET_HASH)));
    assert_eq!(verdict(&[KEY_LIST], &ident(CONTAINER)), Protection::Unknown);
    assert_eq!(protection_of_ident("ua12"), None);
    assert_eq!(protection_of_ident("uc"), None);
    assert_eq!(protection_of_ident("é"), None);
    // Only the PKCS#11 library names keys so: anybody may call a key of another application that.
    let foreign = KEY_LIST.replace("pkcs11", "simple");
    assert_eq!(verdict(&[&foreign], &ident("uac2dca1b681e776095cd902c81fb8d1ec4cd9b5c6")), Protection::Unknown);
}

#[test]
fn the_detail_of_a_key_is_bound_by_its_identifier_or_hash() {
    let by_hash = KeyIdentifiers { nfkm_hash: Some(KEY_HASH.to_ascii_uppercase()), ..KeyIdentifiers::default() };
    for identifiers in [ident("contosobyok"), by_hash] {
        assert_eq!(verdict(&[INFO_MODULE], &identifiers), Protection::Module);
    }
    assert_eq!(verdict(&[INFO_CARD_SET], &ident(CONTAINER)), card_set(Some(CARD_SET_HASH)));
    assert_eq!(verdict(&[INFO_SOFT_CARD], &ident("softbyok")), soft_card(Some("96738a35471d8480f8d0aa1728d9eb8f1c6a983f")));
}

#[test]
fn an_attestation_is_bound_by_its_modulus_only() {
    assert_eq!(verdict(&[ATTESTED_MODULE], &KeyIdentifiers::default()), Protection::Module);
    assert_eq!(verdict(&[ATTESTED_CARD_SET], &KeyIdentifiers::default()), card_set(None));
    let signals = parse(ATTESTED_OTHER).signals_for(&key(), &ident("contosobyok"));
    assert_eq!(signals.len(), 1);
    assert!(!signals[0].bound_to_key && signals[0].says == Protection::Module);
    assert!(signals[0].source.contains("attests another key") && signals[0].source.contains("evidence.txt"), "{}", signals[0].source);
    // Without a modulus the path in the file binds nothing: anybody can name a file.
    let mut nameless: serde_json::Value = serde_json::from_str(ATTESTED_MODULE).unwrap();
    nameless["k"]["type"] = "ECPublic".into();
    assert_eq!(verdict(&[&nameless.to_string()], &ident("contosobyok")), Protection::Unknown);
    nameless["k"] = serde_json::Value::Null;
    assert_eq!(verdict(&[&nameless.to_string()], &ident("contosobyok")), Protection::Unknown);
}

#[test]
fn leading_zeros_the_other_alphabet_and_several_objects_are_read() {
    use base64ct::{Base64UrlUnpadded, Encoding};
    let mut changed: serde_json::Value = serde_json::from_str(ATTESTED_MODULE).unwrap();
    let padded: Vec<u8> = [0].into_iter().chain(key().modulus().iter().copied()).collect();
    changed["k"]["data"]["n"] = Base64UrlUnpadded::encode_string(&padded).into();
    assert_eq!(verdict(&[&changed.to_string()], &KeyIdentifiers::default()), Protection::Module);
    // The documented byte order is the only one.
    let reversed: Vec<u8> = key().modulus().iter().rev().copied().collect();
    changed["k"]["data"]["n"] = Base64UrlUnpadded::encode_string(&reversed).into();
    assert_eq!(verdict(&[&changed.to_string()], &KeyIdentifiers::default()), Protection::Unknown);
    let both = format!("{ATTESTED_OTHER}{ATTESTED_MODULE}");
    assert_eq!((parse(&both).len(), verdict(&[&both], &KeyIdentifiers::default())), (2, Protection::Module));
    let array = format!("\u{feff}[{ATTESTED_OTHER},{ATTESTED_MODULE}]");
    assert_eq!((parse(&array).len(), verdict(&[&array], &KeyIdentifiers::default())), (2, Protection::Module));
}

#[test]
fn agreement_adds_up_and_disagreement_is_a_conflict() {
    assert_eq!(verdict(&[NAME_LIST, INFO_MODULE, ATTESTED_MODULE], &ident("contosobyok")), Protection::Module);
    assert_eq!(verdict(&[NAME_LIST, INFO_CARD_SET, ATTESTED_CARD_SET], &ident(CONTAINER)), card_set(Some(CARD_SET_HASH)));
    assert_eq!(verdict(&[INFO_MODULE, ATTESTED_CARD_SET], &ident("contosobyok")), Protection::Conflict);
    let twice = format!("{NAME_LIST}\nKeys protected by cardsets:\nkey_simple_contosobyok `x'\n");
    assert_eq!(verdict(&[&twice], &ident("contosobyok")), Protection::Conflict);
    let moved = NAME_LIST.replace(MODULE_IDENT, CARD_SET_IDENT);
    assert_eq!(verdict(&[&moved], &ident(CARD_SET_IDENT)), Protection::Conflict);
}

#[test]
fn evidence_of_another_key_does_not_count() {
    let other = ident("fabrikambyok");
    for text in [NAME_LIST, KEY_LIST, INFO_MODULE, ATTESTED_OTHER] {
        let signals = parse(text).signals_for(&key(), &other);
        assert!(!signals.is_empty() && signals.iter().all(|signal| !signal.bound_to_key));
    }
    let same_name = KeyIdentifiers { label: Some("contoso byok".into()), ..KeyIdentifiers::default() };
    let signals = parse(NAME_LIST).signals_for(&key(), &same_name);
    assert!(signals[0].source.contains("a name is no evidence") && !signals[0].bound_to_key);
    let other_app = KeyIdentifiers { app: Some("mscapi".into()), ..ident("contosobyok") };
    assert_eq!(verdict(&[NAME_LIST], &other_app), Protection::Unknown);
    let other_hash = KeyIdentifiers { nfkm_hash: Some("00".repeat(20)), ..ident("contosobyok") };
    assert_eq!(verdict(&[INFO_MODULE], &other_hash), Protection::Unknown);
}

#[test]
fn what_is_not_understood_is_unknown() {
    let unknown = |text: &str| assert_eq!(verdict(&[text], &ident("contosobyok")), Protection::Unknown, "{text}");
    unknown(&INFO_MODULE.replace(" protection  ", " other  "));
    unknown(&INFO_MODULE.replace("Module", "Quorum"));
    unknown(&NAME_LIST.replace("with module protection", "with new protection"));
    // The head of the second key is not understood: its detail is not that of the first.
    let foreign = INFO_MODULE.replace("Key AppName", "Key Application");
    unknown(&format!("{}\n{foreign}", INFO_MODULE.replace(" protection  ", " other  ")));
    let contradictory = INFO_MODULE.replace(" gentime", " cardset   7c99e43e627c3a62933bc1c16f559db862978952\n gentime");
    assert_eq!(verdict(&[&contradictory], &ident("contosobyok")), Protection::Conflict);
}

#[test]
fn files_without_a_key_are_malformed() {
    for text in ["", "hello", "{}", "[]", "{", "{\"protection\":1}", "Key list - 0 keys", "Keys with module protection:"] {
        let error = Evidence::parse(text, Path::new("evidence.txt")).unwrap_err();
        assert_eq!(error.code(), "malformed");
        assert!(error.to_string().contains("evidence.txt") && error.hint().is_some());
    }
    let bundle =
        Evidence::parse(r#"{"pubkeydata":"AA","kcmsg":"AA","kcsig":"AA","modstatemsg":"AA","root":"KWARN-1"}"#, Path::new("key.att")).unwrap_err();
    assert!(bundle.hint().unwrap().contains("attestation bundle"), "{bundle}");
    let windows = NAME_LIST.replace('\n', "\r\n").replace("key_simple", "C:\\kmdata\\local\\key_simple");
    assert_eq!(verdict(&[&windows], &ident("contosobyok")), Protection::Module);
}

#[test]
fn statements_are_listed_and_say_what_they_are_worth() {
    let list = parse(NAME_LIST);
    let statements = list.statements();
    assert_eq!(statements.len(), 6);
    assert_eq!((statements[0].app, statements[0].protection.clone()), ("pkcs11", Protection::Module));
    assert_eq!(statements[2].name, Some("Contoso BYOK"));
    assert_eq!(statements[5].protection, soft_card(SOFT_CARD_IDENT.get(2..42)));
    assert!(list.worth().contains("unsigned text"));
    let attested = parse(ATTESTED_MODULE);
    assert_eq!(attested.statements()[0].key_id, Some(key().id()));
    assert!(attested.worth().contains("not by keykit"));
}

/// Lines of the fixtures in any order, with any of them missing.
fn shuffled() -> impl Strategy<Value = String> {
    let lines: Vec<&str> = [NAME_LIST, KEY_LIST, INFO_MODULE, INFO_CARD_SET, INFO_SOFT_CARD].iter().flat_map(|text| text.lines()).collect();
    proptest::collection::vec(proptest::sample::select(lines), 0..40).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn no_input_panics(text: String, mixed in shuffled(), cut in 0..600_usize) {
        for text in [&text, &mixed, &format!("{{{text}"), &ATTESTED_MODULE.chars().take(cut).collect(), &mixed.chars().skip(cut).collect()] {
            if let Ok(evidence) = Evidence::parse(text, Path::new("x")) {
                prop_assert!(!evidence.signals_for(&key(), &ident("contosobyok")).is_empty());
            }
        }
    }

    #[test]
    fn no_mixture_of_lines_says_module_of_a_key_that_no_line_says_it_of(mixed in shuffled()) {
        if let Ok(evidence) = Evidence::parse(&mixed, Path::new("x")) {
            let signals = evidence.signals_for(&key(), &ident(SOFT_CARD_IDENT));
            let under_module = mixed.contains("module protection");
            prop_assert!(under_module || signals.iter().all(|signal| signal.says != Protection::Module || !signal.bound_to_key));
        }
    }
}
