use std::sync::Mutex;

use proptest::prelude::*;

use super::*;
use crate::key::{Digest, EncryptionScheme};
use crate::licence::testing::{MODES, WORLD, content_key, issue, key, points, read, rights};
use crate::licence::{ContentKey, GrantedRight, NewUseLicence, UsageRight, open_publishing_licence};
use crate::secret::SecretBytes;
use crate::store::{DecryptionFailed, KeyRecord, StoreIdentity};
use crate::xml::{Encoding, encode};
use crate::xrml::testing::{VECTORS, real, secret_key, time, vector};
use crate::xrml::writer::{Certificate, CertificateRole, PublishingLicence};
use crate::xrml::{Chain, Guid, Object, Right, RightHolder, TrustAnchors, documents_in};

const NO_CHAIN: &[String] = &[];

fn active(server: &'static Principal, chain: &'static [String]) -> ActiveKey<'static> {
    ActiveKey { store: &WORLD.store, server, chain }
}

/// From both old keys to a new one, by its mode.
fn rekey_to(mode: usize, chain: &'static [String]) -> Rekey<'static> {
    let archived = [0, 1].map(|old| (&WORLD.store as &dyn KeyStore, key(&WORLD.old[old]).id()));
    Rekey::new(&archived, active(&WORLD.new[mode], chain)).unwrap()
}

/// A licence that was read.
fn source<'i>(rekey: &Rekey<'_>, text: &'i str) -> Source<'i> {
    rekey.read_all(&[text.as_bytes()]).remove(0).unwrap()
}

/// A licence that waits for its signature.
fn draft<'i>(rekey: &Rekey<'_>, text: &'i str) -> Draft<'i> {
    let opened = rekey.unseal(&[Ok(source(rekey, text))]).unwrap().remove(0);
    let opened = rekey.step(source(rekey, text), opened, &mut Batch::default());
    match rekey.seal(vec![opened]).unwrap().remove(0) {
        Ok(Step::Next(draft)) => draft,
        _ => panic!("it was not opened and sealed"),
    }
}

fn sample(mode: usize) -> (ContentKey, String) {
    let content = content_key(128);
    let text = issue(&WORLD.old[mode], &content, "author@contoso.example", &rights());
    (content, text)
}

/// The certificate of a server under a root of its own, leaked: chains live as long as the tests.
fn chain_of(server: &Principal, from: &str) -> &'static [String] {
    let valid = TimeRange::between(time(from), time("2040-01-01T00:00"));
    let root = &WORLD.users[1];
    let certificate =
        Certificate { role: CertificateRole::ServerLicensor, id: Guid::from_u128(1), issued: time(from), valid, issuer: root, subject: server };
    let text = certificate.to_unsigned().unwrap().sign_with(&WORLD.store).unwrap();
    Vec::leak(vec![format!("<?xml version=\"1.0\"?>{text}")])
}

/// A body without what names the server.
fn rest_of(document: &Document) -> String {
    let (issuer, principals) = (document.issuer_text().unwrap(), document.issued_principals_text().unwrap());
    document.body_text().replace(issuer, "").replace(principals, "")
}

#[test]
fn every_mode_goes_to_every_mode_with_the_same_key_and_rights() {
    for (from, to) in [(0, 0), (0, 1), (1, 1), (1, 0)] {
        let (content, text) = sample(from);
        let rekeyed = rekey_to(to, NO_CHAIN).rekey(text.as_bytes()).unwrap();
        assert_eq!((rekeyed.from, rekeyed.key_id), (key(&WORLD.old[from]).id(), key(&WORLD.new[to]).id()));
        let checks = &rekeyed.checks;
        assert!(
            checks.sealing_confirmed
                && checks.opened_with_new_key
                && checks.has_rights
                && checks.was_bound
                && !checks.reissued
                && !checks.already_active
        );
        let (before, after) = (read(&text), Document::read(&rekeyed.text).unwrap());
        let opened = open_publishing_licence(&WORLD.store, &after).unwrap();
        assert_eq!((&opened.content_key, &opened.rights), (&content, &rights()));
        assert!(opened.is_bound && opened.issued_by_server && opened.server_key == rekeyed.key_id);
        assert_eq!(after.sealed_keys()[0].enabling_bits.algorithm.name(), SealAlgorithm::for_mode(MODES[to]).as_str());
        assert_eq!(after.signature().unwrap().hash, Some(MODES[to].signature_hash()));
        assert_eq!(rest_of(&after), rest_of(&before));
        assert_eq!(after.issuer(), Some(&WORLD.new[to]));
    }
}

#[test]
fn what_is_under_the_active_key_stays_byte_for_byte() {
    let text = format!("\u{feff}{}\r\n\0", issue(&WORLD.new[1], &content_key(128), "a", &rights()));
    let item = encode(&text, Encoding::Utf16Le);
    let rekeyed = rekey_to(1, NO_CHAIN).rekey(&item);
    // A byte order mark decides the encoding, so this one is UTF-16 with a mark.
    assert!(rekeyed.as_ref().is_ok_and(|rekeyed| rekeyed.checks.already_active && rekeyed.text == item), "{rekeyed:?}");
    let twice = rekey_to(1, NO_CHAIN).rekey(sample(0).1.as_bytes()).unwrap();
    assert_eq!(rekey_to(1, NO_CHAIN).rekey(&twice.text).unwrap().text, twice.text);
}

#[test]
fn a_licence_that_was_not_opened_is_never_taken_for_one_that_is_done() {
    let rekey = rekey_to(1, NO_CHAIN);
    let (_, archived) = sample(0);
    let not_opened = rekey.step(source(&rekey, &archived), None, &mut Batch::default());
    assert!(matches!(not_opened, Err(Error::Internal(_))));
    let active = issue(&WORLD.new[1], &content_key(128), "a", &rights());
    assert!(matches!(rekey.step(source(&rekey, &active), None, &mut Batch::default()), Ok(Step::Done(_))));
}

#[test]
fn a_batch_has_each_error_in_its_place() {
    let (_, good) = sample(0);
    let (_, other) = sample(1);
    let strange = issue(&WORLD.users[1], &content_key(128), "a", &rights());
    let damaged = good.replace("author@", "Author@");
    let second = format!("{good}{other}");
    let commented = format!("<!--{good}-->{good}");
    let certificate = real("ca-chain-mode1.xml")[0].text().to_owned();
    let items = [&good, &damaged, &strange, "", "<XrML>", &second, &commented, &certificate, &other];
    let items: Vec<_> = items.iter().map(|text| text.as_bytes()).collect();
    let codes: Vec<_> =
        rekey_to(1, NO_CHAIN).rekey_batch(&items).unwrap().into_iter().map(|result| result.map_or_else(|error| error.code(), |_| "ok")).collect();
    assert_eq!(codes, ["ok", "negative", "not-found", "malformed", "malformed", "malformed", "malformed", "malformed", "ok"]);
    assert!(rekey_to(1, NO_CHAIN).rekey_batch(&[]).unwrap().is_empty());
}

#[test]
fn real_licences_name_the_key_that_is_missing() {
    for name in VECTORS.iter().map(|(name, _)| *name).filter(|name| *name != "ca-chain-mode1.xml") {
        let key = real(name)[0].subject_keys().next().unwrap().id().short();
        let error = rekey_to(1, NO_CHAIN).rekey(&vector(name)).unwrap_err();
        assert!(matches!(&error, Error::NotFound { what, .. } if what.contains(&key)), "{name}: {error}");
    }
}

#[test]
fn the_encoding_and_what_stands_around_stay() {
    let (content, text) = sample(0);
    let text =
        format!("<?xml version=\"1.0\"?>\r\n{}\n\0", text.replacen("<XrML xmlns=\"\" version=\"1.2\">", "<XrML  version=\"1.2\" xmlns='' >\n", 1));
    for encoding in [Encoding::Utf8, Encoding::Utf8Bom, Encoding::Utf16Le, Encoding::Utf16LeBom, Encoding::Utf16BeBom] {
        let new = rekey_to(1, NO_CHAIN).rekey(&encode(&text, encoding)).unwrap().text;
        let (decoded, found) = crate::xml::decode(&new, "test").unwrap();
        assert_eq!(found, encoding);
        assert!(decoded.starts_with("<?xml version=\"1.0\"?>\r\n<XrML  version=\"1.2\" xmlns='' >\n<BODY") && decoded.ends_with("</XrML>\n\0"));
        assert_eq!(open_publishing_licence(&WORLD.store, &documents_in(&new).unwrap()[0]).unwrap().content_key, content);
    }
}

#[test]
fn unknown_parts_of_a_body_stay() {
    let (content, text) = sample(0);
    let odd = "<NEWS a = \"1\"><!-- x --><INNER/></NEWS >\n<AUTHENTICATEDDATA id=\"APPSPECIFIC\" name=\"é&#xe9;\">1</AUTHENTICATEDDATA></BODY>";
    let body = read(&text).body_text().replace("</BODY>", odd);
    let text = UnsignedDocument::from_body(body, key(&WORLD.old[0])).unwrap().sign_with(&WORLD.store).unwrap();
    let new = Document::read(&rekey_to(1, NO_CHAIN).rekey(text.as_bytes()).unwrap().text).unwrap();
    assert!(new.body_text().ends_with(odd));
    assert_eq!(rest_of(&new), rest_of(&read(&text)));
    assert_eq!(open_publishing_licence(&WORLD.store, &new).unwrap().content_key, content);
}

#[test]
fn the_chain_is_replaced_and_says_whether_it_covers_the_time() {
    let (_, text) = sample(1);
    let old_chain = chain_of(&WORLD.old[1], "2010-01-01T00:00");
    let item = format!("{text}{}\n", old_chain[0]);
    for (from, covers) in [("2010-01-01T00:00", true), ("2020-01-01T00:00", false)] {
        let chain = chain_of(&WORLD.new[1], from);
        let rekeyed = rekey_to(1, chain).rekey(item.as_bytes()).unwrap();
        assert_eq!((rekeyed.checks.within_chain, rekeyed.checks.documents_left_out), (Some(covers), 1));
        let documents = documents_in(&rekeyed.text).unwrap();
        assert_eq!(documents.len(), 2);
        let anchors = TrustAnchors::microsoft().with(key(&WORLD.users[1]));
        assert_eq!(Chain::of(&documents, 0, &anchors).unwrap().trust.is_trusted(), covers);
    }
    let rekeyed = rekey_to(1, NO_CHAIN).rekey(item.as_bytes()).unwrap();
    assert_eq!((documents_in(&rekeyed.text).unwrap().len(), rekeyed.checks.within_chain), (1, None));
    assert!(rekeyed.text.ends_with(b"</XrML>\n"));
    let archived = [(&WORLD.store as &dyn KeyStore, key(&WORLD.old[1]).id())];
    assert_eq!(Rekey::new(&archived, active(&WORLD.new[1], old_chain)).unwrap_err().code(), "usage");
}

#[test]
fn a_use_licence_keeps_its_documents() {
    let (content, text) = sample(1);
    let owner = [GrantedRight::new(UsageRight::Owner)];
    let (issuer, user, object) = (&WORLD.old[1], &WORLD.users[0], Object::default());
    let own = NewUseLicence { id: Guid::from_u128(2), issued: time("2013-01-29T22:12"), issuer, user, content: &object, owner: None, rights: &owner };
    let following = format!("{}{}\n", own.issue(&WORLD.store, &content).unwrap(), chain_of(issuer, "2010-01-01T00:00")[0]);
    let rekeyed = rekey_to(1, chain_of(&WORLD.new[1], "2010-01-01T00:00")).rekey(format!("{text}{following}").as_bytes()).unwrap();
    assert_eq!((rekeyed.checks.documents_kept, rekeyed.checks.documents_left_out), (2, 0));
    assert!(rekeyed.text.ends_with(following.as_bytes()));
    assert_eq!(documents_in(&rekeyed.text).unwrap().len(), 4);
}

#[test]
fn addresses_change_only_when_told() {
    let (_, text) = sample(0);
    let rekey = rekey_to(1, NO_CHAIN).with_licensing_urls("https://new.example/?a&b", "https://out.example/").unwrap();
    let new = Document::read(&rekey.rekey(text.as_bytes()).unwrap().text).unwrap();
    let urls: Vec<_> = new.distribution_points().iter().map(|point| point.object.url().unwrap()).collect();
    assert_eq!(urls, ["https://new.example/?a&b", "https://out.example/", points()[2].object.url().unwrap()]);
    assert_eq!(rekey_to(1, NO_CHAIN).with_licensing_urls("a\nb", "").unwrap_err().code(), "usage");
}

/// An offline licence: issued by `author`, sealed to an old server, with the author's certificate issued by `certifier`.
fn offline(certifier: &Principal) -> (ContentKey, String) {
    let (content, server, author) = (content_key(128), &WORLD.old[1], &WORLD.users[1]);
    let sealed = crate::licence::publishing::seal_to_server(server, &content).unwrap();
    let licence = PublishingLicence {
        issued: time("2013-01-29T22:12"),
        valid: None,
        descriptor: None,
        issuer: author,
        distribution_points: &points(),
        server: &sealed,
        content_id: Guid::from_u128(3),
        owner: Some("author@contoso.example"),
        authenticated_data: &[],
    };
    let valid = TimeRange::between(time("2013-01-01T00:00"), time("2013-12-31T00:00"));
    let certificate = Certificate {
        role: CertificateRole::ServerLicensor,
        id: Guid::from_u128(4),
        issued: time("2013-01-01T00:00"),
        valid,
        issuer: certifier,
        subject: author,
    };
    let body = certificate.to_unsigned().unwrap().body().replace("Server-Licensor-Certificate", "Client-Licensor-Certificate");
    let certificate = UnsignedDocument::from_body(body, key(certifier)).unwrap().sign_with(&WORLD.store).unwrap();
    (content, licence.to_unsigned().unwrap().sign_with(&WORLD.store).unwrap() + &certificate)
}

#[test]
fn offline_licences_are_refused_or_issued_anew_by_the_server() {
    let (content, text) = offline(&WORLD.old[1]);
    let refused = rekey_to(1, NO_CHAIN).rekey(text.as_bytes()).unwrap_err();
    assert_eq!(refused.code(), "refused");
    let rekeyed = rekey_to(1, NO_CHAIN).reissue_offline().rekey(text.as_bytes()).unwrap();
    assert!(rekeyed.checks.reissued && rekeyed.checks.opened_with_new_key && !rekeyed.checks.has_rights);
    let opened = open_publishing_licence(&WORLD.store, &Document::read(&rekeyed.text).unwrap()).unwrap();
    assert_eq!((opened.content_key, opened.owner.as_deref(), opened.issued_by_server), (content, Some("author@contoso.example"), true));
    // Nobody vouches for the author: no certificate, or one of another server.
    let alone = text.split_inclusive("</XrML>").next().unwrap();
    for text in [alone, &offline(&WORLD.old[0]).1, &offline(&WORLD.new[1]).1] {
        assert_eq!(rekey_to(1, NO_CHAIN).reissue_offline().rekey(text.as_bytes()).unwrap_err().code(), "negative");
    }
}

#[test]
fn rights_that_the_content_key_does_not_open_are_not_carried_over() {
    let (_, text) = sample(1);
    let other = crate::licence::rights_data::encrypt(&content_key(128), "<XrML></XrML>").unwrap();
    let data = crate::xrml::AuthenticatedData::encrypted_rights_data(&other).value;
    let body = read(&text).body_text().replace(&read(&text).authenticated_data()[0].value, &data);
    let text = UnsignedDocument::from_body(body, key(&WORLD.old[1])).unwrap().sign_with(&WORLD.store).unwrap();
    assert_eq!(rekey_to(1, NO_CHAIN).rekey(text.as_bytes()).unwrap_err().code(), "negative");
}

#[test]
fn protected_files_keep_their_content() {
    let (content, text) = sample(0);
    let file = NewProtectedFile {
        version: crate::container::PfileVersion::CURRENT,
        notice: b"protected",
        extension: ".txt",
        publishing_licence: &encode(&text, Encoding::Utf8Bom),
        original_size: Some(4),
        metadata: b"meta",
        content: &[7; 100],
    }
    .to_bytes()
    .unwrap();
    let rekeyed = rekey_to(1, NO_CHAIN).rekey_pfile(&file).unwrap();
    let (old, new) = (ProtectedFile::parse(&file).unwrap(), ProtectedFile::parse(&rekeyed.text).unwrap());
    assert_eq!((new.content(), new.metadata(), new.notice(), new.extension()), (old.content(), old.metadata(), old.notice(), old.extension()));
    assert_eq!((new.version(), new.original_size()), (old.version(), old.original_size()));
    assert!(new.publishing_licence().starts_with(b"\xef\xbb\xbf<XrML"));
    assert_eq!(open_publishing_licence(&WORLD.store, &Document::read(new.publishing_licence()).unwrap()).unwrap().content_key, content);
    assert_eq!(rekey_to(1, NO_CHAIN).rekey_pfile(&rekeyed.text).unwrap().text, rekeyed.text);
    assert_eq!(rekey_to(1, NO_CHAIN).rekey_pfile(text.as_bytes()).unwrap_err().code(), "malformed");
}

#[test]
fn real_protected_files_have_a_layout_that_can_be_kept() {
    for name in ["AliceBvt.txt.pfile", "CleanAlice.txt.pfile", "android_template_01.ptxt"] {
        let file = std::fs::read(format!("{}/../vectors/xrml/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let licence = ProtectedFile::parse(&file).unwrap().publishing_licence();
        assert_eq!(replace_licence(&file, licence).unwrap(), file, "{name}");
        assert_eq!(ProtectedFile::parse(&replace_licence(&file, b"<XrML/>").unwrap()).unwrap().publishing_licence(), b"<XrML/>");
    }
}

/// A store that counts its calls, and can be told to sign wrongly.
#[derive(Debug, Default)]
struct Counting {
    calls: Mutex<Vec<(&'static str, usize)>>,
    wrong: bool,
}

impl KeyStore for Counting {
    fn identity(&self) -> &StoreIdentity {
        WORLD.store.identity()
    }
    fn keys(&self) -> Result<Vec<KeyRecord>> {
        WORLD.store.keys()
    }
    fn sign(&self, key: &KeyId, digests: &[Digest]) -> Result<Vec<Vec<u8>>> {
        self.calls.lock().unwrap().push(("sign", digests.len()));
        let mut signatures = WORLD.store.sign(key, digests)?;
        if let Some(byte) = signatures.first_mut().and_then(|first| first.last_mut()).filter(|_| self.wrong) {
            *byte ^= 1;
        }
        Ok(signatures)
    }
    fn decrypt(&self, key: &KeyId, scheme: &EncryptionScheme, items: &[&[u8]]) -> Result<Vec<Result<SecretBytes, DecryptionFailed>>> {
        self.calls.lock().unwrap().push(("decrypt", items.len()));
        WORLD.store.decrypt(key, scheme, items)
    }
}

#[test]
fn a_batch_takes_one_call_of_each_kind() {
    let store = Counting::default();
    let archived = [0, 1].map(|old| (&store as &dyn KeyStore, key(&WORLD.old[old]).id()));
    let rekey = Rekey::new(&archived, ActiveKey { store: &store, server: &WORLD.new[1], chain: NO_CHAIN }).unwrap();
    let (old, damaged) = (sample(1).1, sample(1).1.replace("author@", "Author@"));
    let items = [old.as_bytes(), damaged.as_bytes(), old.as_bytes(), old.as_bytes()];
    assert_eq!(rekey.rekey_batch(&items).unwrap().iter().filter(|result| result.is_ok()).count(), 3);
    let calls = || store.calls.lock().unwrap().drain(..).collect::<Vec<_>>();
    assert_eq!(calls(), [("decrypt", 3), ("sign", 3), ("decrypt", 1)], "the first result is opened");
    rekey.rekey_batch(&items).unwrap();
    assert_eq!(calls(), [("decrypt", 3), ("sign", 3)], "and then one of many");
    let rekey = rekey.open_every(NonZero::<u64>::MIN);
    let results = rekey.rekey_batch(&items).unwrap();
    assert!(results.iter().flatten().all(|rekeyed| rekeyed.checks.opened_with_new_key));
    assert_eq!(calls(), [("decrypt", 3), ("sign", 3), ("decrypt", 3)]);
    let results = rekey.without_opening().rekey_batch(&items).unwrap();
    assert!(results.iter().flatten().all(|rekeyed| !rekeyed.checks.opened_with_new_key && rekeyed.checks.sealing_confirmed));
    assert_eq!(calls(), [("decrypt", 3), ("sign", 3)]);
}

#[test]
fn a_wrong_signature_does_not_leave() {
    let store = Counting { wrong: true, ..Counting::default() };
    let archived = [(&WORLD.store as &dyn KeyStore, key(&WORLD.old[1]).id())];
    let rekey = Rekey::new(&archived, ActiveKey { store: &store, server: &WORLD.new[1], chain: NO_CHAIN }).unwrap();
    let (_, text) = sample(1);
    let results = rekey.open_every(NonZero::<u64>::MIN).rekey_batch(&[text.as_bytes(), text.as_bytes()]).unwrap();
    assert_eq!(results[0].as_ref().unwrap_err().code(), "negative");
    assert!(results[1].as_ref().unwrap().checks.opened_with_new_key);
}

/// A fault of the machine while one of three licences was sealed, in the RSA block or behind it: that one does not leave, although
/// nothing opens it.
#[test]
fn a_content_key_that_was_sealed_wrongly_does_not_leave() {
    for (from, to) in [(0, 0), (0, 1), (1, 1), (1, 0)] {
        let rekey = rekey_to(to, NO_CHAIN).without_opening();
        let (_, text) = sample(from);
        for damaged in [None, Some(0), Some(40), Some(key(&WORLD.new[to]).modulus_bytes() + 30)] {
            let mut results = Vec::new();
            let mut signed = Vec::new();
            for number in 0..3 {
                let mut draft = draft(&rekey, &text);
                if let (Some(place), 1) = (damaged, number) {
                    // As if the fault had been there from the start: the licence holds the damaged bits, and is signed with them.
                    let right = draft.expected.sealed.clone();
                    draft.expected.sealed[place] ^= 1;
                    let [right, wrong] = [&right, &draft.expected.sealed].map(|bytes| data_encoding::BASE64.encode(bytes));
                    let body = draft.unsigned.body().replace(&right, &wrong);
                    assert_ne!(body, draft.unsigned.body());
                    draft.expected.element = draft.expected.element.replace(&right, &wrong);
                    draft.unsigned = UnsignedDocument::from_body(body, key(&WORLD.new[to])).unwrap();
                }
                let signature = rekey.sign(&[draft.unsigned.digest()]).unwrap().pop().unwrap();
                let (rekeyed, body) = draft.complete(&rekey, signature);
                results.push(Ok(rekeyed));
                signed.push(Some(body));
            }
            rekey.check_results(&mut results, &signed).unwrap();
            let codes: Vec<_> = results.iter().map(|result| result.as_ref().map_or_else(Error::code, |_| "ok")).collect();
            let middle = match damaged {
                None => "ok",
                Some(place) if place < 100 => "negative",
                // Behind the RSA block: it does not open, or to another key.
                Some(_) => codes[1],
            };
            assert_eq!(codes, ["ok", middle, "ok"], "{damaged:?}");
            assert_eq!(codes[1] == "ok", damaged.is_none(), "{damaged:?}");
        }
    }
}

#[test]
fn a_result_that_is_not_opened_is_compared_byte_for_byte() {
    let every_other = |rekey: Rekey<'static>| rekey.open_every(NonZero::new(2).unwrap());
    let (_, text) = sample(1);
    let results = every_other(rekey_to(1, NO_CHAIN)).rekey_batch(&[text.as_bytes(); 3]).unwrap();
    assert_eq!(results.iter().flatten().map(|rekeyed| rekeyed.checks.opened_with_new_key).collect::<Vec<_>>(), [true, false, true]);
    for rekey in [rekey_to(1, NO_CHAIN), rekey_to(1, NO_CHAIN).with_licensing_urls("https://in.example", "https://out.example").unwrap()] {
        let draft = draft(&rekey, &text);
        let signature = rekey.sign(&[draft.unsigned.digest()]).unwrap().pop().unwrap();
        let (rekeyed, signed) = draft.complete(&rekey, signature);
        rekey.compare_result(&rekeyed.text, &signed).unwrap();
        let find = |tag: &str| rekeyed.text.windows(tag.len()).position(|window| window == tag.as_bytes()).unwrap();
        for position in find("<BODY")..find("</XrML>") {
            let mut changed = rekeyed.text.clone();
            changed[position] ^= 1;
            assert!(rekey.compare_result(&changed, &signed).is_err(), "{position}");
        }
        for more in ["<OTHER/>", "<BODY></BODY>"] {
            let mut longer = rekeyed.text.clone();
            longer.splice(find("</XrML>")..find("</XrML>"), more.bytes());
            assert!(rekey.compare_result(&longer, &signed).is_err(), "{more}");
        }
        assert!(rekey.compare_result(b"<XrML/>", &signed).is_err());
    }
}

#[test]
fn keys_that_are_not_there_are_said_at_once() {
    let absent = secret_key("keys/rsa-1024-e3.pem").public().clone();
    let archived: [(&dyn KeyStore, _); 1] = [(&WORLD.store, absent.id())];
    assert_eq!(Rekey::new(&archived, active(&WORLD.new[1], NO_CHAIN)).unwrap_err().code(), "not-found");
    let server = Principal::new(Object::default(), absent);
    assert_eq!(Rekey::new(&[], ActiveKey { store: &WORLD.store, server: &server, chain: NO_CHAIN }).unwrap_err().code(), "not-found");
    assert_eq!(Rekey::new(&[], ActiveKey { store: &WORLD.store, server: &Principal::default(), chain: NO_CHAIN }).unwrap_err().code(), "usage");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn any_names_and_rights_survive(
        owner in "[^\\p{C}\\s]([^\\p{C}\\u{2028}]{0,20}[^\\p{C}\\s])?",
        names in prop::collection::vec("[^\\p{C}\\u{2028}]{1,12}", 0..4),
        from in 0_usize..2,
    ) {
        let rights: Vec<_> = names.iter().map(|name| Right::new(name, vec![RightHolder::Owner])).collect();
        let content = content_key(256);
        let text = issue(&WORLD.old[from], &content, &owner, &rights);
        let new = Document::read(&rekey_to(1, NO_CHAIN).rekey(text.as_bytes()).unwrap().text).unwrap();
        let opened = open_publishing_licence(&WORLD.store, &new).unwrap();
        prop_assert_eq!((opened.content_key, opened.owner, opened.rights), (content, Some(owner), rights));
        prop_assert_eq!(rest_of(&new), rest_of(&read(&text)));
    }

    #[test]
    fn a_changed_byte_is_never_carried_over(position in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut bytes = sample(0).1.into_bytes();
        let end = bytes.windows(6).position(|window| window == b"<SIGNA").unwrap();
        let start = bytes.windows(5).position(|window| window == b"<BODY").unwrap();
        let position = start + position.index(end - start);
        prop_assume!(bytes[position] != value);
        bytes[position] = value;
        let code = rekey_to(1, NO_CHAIN).rekey(&bytes).unwrap_err().code();
        prop_assert!(["malformed", "negative"].contains(&code), "{}", code);
    }

    #[test]
    fn no_input_panics(pieces in prop::collection::vec(prop::sample::select(vec!["<XrML>", "</XrML>", "<BODY type=\"Microsoft Rights Label\">", "</BODY>", "<!--", "-->", "\0", "<ISSUER>", "é"]), 0..8)) {
        let text = pieces.concat();
        prop_assert!(rekey_to(1, NO_CHAIN).rekey(text.as_bytes()).is_err());
    }
}
