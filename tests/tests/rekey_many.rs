//! Many licences of both modes to another key, damaged ones of every kind among them: everything that is sound opens under the
//! new key with the same content key and rights, everything else is named with its cause.
//!
//! 400 licences; `KEYKIT_LONG_TESTS=1`, or `cargo xtask test --long`, makes it 10,000.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::HashMap;

use keykit::bulk::{self, Counts, Item, LinesOutput, Observer, Options, Output};
use keykit::key::{KeyId, RsaPublicKey};
use keykit::licence::{ActiveKey, ContentCipher, ContentKey, NewPublishingLicence, Rekey, open_publishing_licence};
use keykit::store::{KeyRequest, KeyStore};
use keykit::xrml::writer::UnsignedDocument;
use keykit::xrml::{Document, Guid, Object, Principal, Right, RightHolder};
use keykit::{Error, Result};
use keykit_hsm_backends::memory::MemoryStore;
use serde_json::{Value, json};

/// One licence of so many is damaged: an odd number, so that both modes are met.
const DAMAGED_ONE_OF: usize = 13;
/// One licence of so many is under a key that nobody has.
const STRANGE_ONE_OF: usize = 57;
/// Ways to damage a licence.
const KINDS: usize = 12;

fn server(name: &str, key: &RsaPublicKey) -> Principal {
    Principal::new(Object::new("MS-DRM-Server", "MS-GUID", &Guid::from_u128(1).braced()).named(name), key.clone())
}

fn rights(number: usize) -> Vec<Right> {
    let address = format!("reader.{number}@contoso.example");
    vec![Right::new("OWNER", vec![RightHolder::Owner]), Right::new("VIEW", vec![RightHolder::Address(address), RightHolder::Anyone])]
}

fn issue(store: &MemoryStore, server: &Principal, number: usize, content: &ContentKey) -> String {
    NewPublishingLicence {
        issued: "2013-01-29T22:12".parse().unwrap(),
        valid: None,
        descriptor: None,
        server,
        distribution_points: &[],
        content_id: Guid::from_u128(number as u128),
        owner: Some("author@contoso.example"),
        rights: &rights(number),
        application_data: &[],
    }
    .issue(store, content)
    .unwrap()
}

/// The first character after `mark`, in base64, exchanged for another one.
fn other_digit(text: &str, mark: &str) -> String {
    let position = text.rfind(mark).unwrap() + mark.len();
    let other = if text[position..].starts_with('A') { "B" } else { "A" };
    [&text[..position], other, &text[position + 1..]].concat()
}

/// The same licence, signed by its issuer, with another block where the content key was sealed.
fn sealed_wrongly(store: &MemoryStore, issuer: &Principal, text: &str) -> String {
    let document = Document::read(text.as_bytes()).unwrap();
    let body = document.body_text();
    let bits = body.find("<ENABLINGBITS").unwrap();
    let value = bits + body[bits..].find("size=").unwrap();
    let digit = value + body[value..].find('>').unwrap() + 41;
    let other = if body[digit..].starts_with('A') { "B" } else { "A" };
    let body = [&body[..digit], other, &body[digit + 1..]].concat();
    UnsignedDocument::from_body(body, issuer.public_key.as_ref().unwrap()).unwrap().sign_with(store).unwrap()
}

/// Damages a licence in one of many ways; gives the code of the error that must come of it.
fn damage(store: &MemoryStore, issuer: &Principal, text: &str, kind: usize) -> (String, &'static str) {
    let bits = issuer.public_key.as_ref().unwrap().modulus_bits();
    match kind {
        0 => (text.replace("author@", "Author@"), "negative"),
        // The signature is the last value of the licence.
        1 => (other_digit(text, &format!("encoding=\"base64\" size=\"{bits}\">")), "negative"),
        2 => (other_digit(text, "id=\"Encrypted-Rights-Data\">"), "negative"),
        3 => (text[..text.len() / 2].to_owned(), "malformed"),
        4 => (String::new(), "malformed"),
        5 => ("no licence at all".to_owned(), "malformed"),
        6 => (text.replacen("</BODY>", "</BODY><BODY></BODY>", 1), "malformed"),
        7 => (text.replacen("ISSUEDPRINCIPALS", "PRINCIPALS", 2), "malformed"),
        8 => (text.replacen("<BODY", "<!DOCTYPE x><BODY", 1), "malformed"),
        9 => (format!("{text}{text}"), "malformed"),
        10 => (text.replacen("sealed-key", "sealed-with-wax", 1), "malformed"),
        _ => (sealed_wrongly(store, issuer, text), "crypto"),
    }
}

/// Keeps the names of what failed.
#[derive(Default)]
struct Failures(Vec<(String, &'static str)>);

impl Observer for Failures {
    fn failed(&mut self, id: &str, error: &Error) {
        self.0.push((id.to_owned(), error.code()));
    }
}

#[test]
fn many_licences_of_mixed_modes_keep_their_content_keys_and_rights() {
    let count = if std::env::var_os("KEYKIT_LONG_TESTS").is_some() { 10_000_usize } else { 400 };
    let store = MemoryStore::new();
    let [old_small, old, strange, new] = [("old-1", 1024), ("old-2", 2048), ("strange", 2048), ("new", 2048)].map(|(label, bits)| {
        let key = store.as_generate().unwrap().generate(bits, &KeyRequest::labelled(label)).unwrap().public;
        server(label, &key)
    });
    let id_of = |server: &Principal| -> KeyId { server.public_key.as_ref().unwrap().id() };
    let content: Vec<ContentKey> =
        (0..count).map(|number| ContentKey::generate(ContentCipher::Cbc4k, if number % 3 == 0 { 256 } else { 128 }).unwrap()).collect();

    let mut lines = String::new();
    let mut bad: HashMap<String, &str> = HashMap::new();
    let mut damaged = [0; 2];
    for (number, content_key) in content.iter().enumerate() {
        let is_strange = number % STRANGE_ONE_OF == 50;
        let mode = number % 2;
        let issuer = if is_strange { &strange } else { [&old_small, &old][mode] };
        let mut text = issue(&store, issuer, number, content_key);
        let id = format!("licence {number}");
        if is_strange {
            bad.insert(id.clone(), "not-found");
        } else if number % DAMAGED_ONE_OF == 7 {
            let (other, code) = damage(&store, issuer, &text, damaged[mode] % KINDS);
            damaged[mode] += 1;
            assert_ne!(other, text);
            text = other;
            bad.insert(id.clone(), code);
        }
        lines.push_str(&json!({ "id": id, "licence": text }).to_string());
        lines.push('\n');
    }

    assert!(damaged.iter().all(|count| *count >= KINDS), "not every kind of damage was met in both modes: {damaged:?}");

    let archived = [&old_small, &old].map(|server| (&store as &dyn KeyStore, id_of(server)));
    let rekey = Rekey::new(&archived, ActiveKey { store: &store, server: &new, chain: &[] }).unwrap();
    let transform = |items: &[Item]| -> Result<Vec<Result<Output>>> {
        let texts: Vec<&[u8]> = items.iter().map(|item| item.bytes.as_slice()).collect();
        Ok(rekey.rekey_batch(&texts)?.into_iter().map(|result| result.map(|rekeyed| Output::Changed(rekeyed.text))).collect())
    };
    let (mut written, mut failures) = (Vec::new(), Failures::default());
    let report = bulk::lines(lines.as_bytes(), LinesOutput::stream(&mut written), &transform, &Options::default(), &mut failures);
    let failed = bad.len() as u64;
    assert_eq!(report.into_result().unwrap(), Counts { done: count as u64 - failed, failed, ..Counts::default() });
    assert_eq!(failures.0.into_iter().collect::<HashMap<_, _>>(), bad);

    let mut results = 0;
    for (number, line) in std::str::from_utf8(&written).unwrap().lines().enumerate() {
        let line: Value = serde_json::from_str(line).unwrap();
        let id = line["id"].as_str().unwrap();
        assert_eq!(id, format!("licence {number}"));
        results += 1;
        if let Some(code) = bad.get(id) {
            assert_eq!(line["code"], *code);
            assert!(line["licence"].is_null() && !line["error"].as_str().unwrap().is_empty());
            continue;
        }
        let document = Document::read(line["licence"].as_str().unwrap().as_bytes()).unwrap();
        let opened = open_publishing_licence(&store, &document).unwrap();
        assert_eq!((opened.server_key, opened.issued_by_server, opened.is_bound), (id_of(&new), true, true), "{id}");
        assert_eq!((&opened.content_key, opened.rights), (&content[number], rights(number)), "{id}");
    }
    assert_eq!(results, count);
}
