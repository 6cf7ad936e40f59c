//! Licences issued by the program, and a judge that is no part of it.

use std::process::Command;

use keykit::key::RsaPublicKey;
use keykit::licence::open_use_licence;
use keykit::store::{KeyRequest, KeyStore};
use keykit::xrml::writer::{UnsignedDocument, issuer_element, object_element, principal_element};
use keykit::xrml::{Document, Guid, Object, Principal, XrmlTime, documents_in};
use keykit_hsm_backends::memory::MemoryStore;
use keykit_tests::child::skip;
use serde_json::Value;

use crate::support::{Desk, Sample, contoso, fabrikam, woodgrove};

const ISSUE: &str = "--format json licence issue --tenant tenant";

/// A tenant with all three keys, the one of `sample` active.
fn tenant(sample: &Sample) -> Desk {
    let desk = Desk::new();
    desk.run("migrate software-to-software --password-source file:password --tenant tenant contoso.xml fabrikam.xml woodgrove.xml").exits(0);
    desk.run(&format!("tenant activate {} --tenant tenant", sample.key.id())).exits(0);
    desk
}

/// A certificate of an account, issued by the server of a sample, and the store with the user's key.
fn account(sample: &Sample, bits: usize, name: &str) -> (String, MemoryStore, RsaPublicKey) {
    let user_store = MemoryStore::new();
    let user = user_store.as_generate().unwrap().generate(bits, &KeyRequest::labelled("user")).unwrap().public;
    let server_store = MemoryStore::new();
    server_store.as_import_plaintext().unwrap().import_plaintext(&sample.key, &KeyRequest::labelled("server")).unwrap();
    let certificate = Document::read(sample.cluster.chain[0].as_bytes()).unwrap();
    let server = certificate.issued_principals()[0].clone();
    let object = Object::new("Group-Identity", "Windows", "S-1-5-21-1").named(name);
    let principal = Principal { internal_id: Some("1".into()), ..Principal::new(object, user.clone()) };
    let descriptor = object_element(&Object::new("Group-Identity-Credential", "MS-GUID", &Guid::random().unwrap().braced())).unwrap();
    let body = format!(
        "<BODY type=\"LICENSE\" version=\"3.0\"><ISSUEDTIME>{}</ISSUEDTIME><DESCRIPTOR>{descriptor}</DESCRIPTOR>{}<ISSUEDPRINCIPALS>{}</ISSUEDPRINCIPALS></BODY>",
        XrmlTime::now(),
        issuer_element(&server).unwrap(),
        principal_element(&principal).unwrap(),
    );
    let text = UnsignedDocument::from_body(body, server.public_key.as_ref().unwrap()).unwrap().sign_with(&server_store).unwrap();
    (text, user_store, user)
}

/// What a program that shares no code with keykit says of a file, or nothing if there is no Python.
fn judged(desk: &Desk, file: &str) -> Option<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/interop/licence.py");
    let output = Command::new("python3").arg(script).arg(desk.path(file)).output();
    let Ok(output) = output else {
        skip("issue::judged", "python3 is not installed");
        return None;
    };
    Some(serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr))))
}

#[test]
fn licences_of_both_modes_verify_open_and_hold_before_an_independent_judge() {
    for (sample, mode, hash) in [(contoso(), 2, "SHA256"), (woodgrove(), 1, "SHA1")] {
        let desk = tenant(sample);
        let issued = desk
            .run(&format!(
                "{ISSUE} --content-key-out key --content-key-bits 256 --cipher ecb --owner author@rms.example --right staff@rms.example:VIEW,print \
                 --right boss@rms.example:view,OWNER --valid-until 2090-01-31 --licence-days 30 --content-id 586B5746-AA26-4310-81B1-EA20D40CFC89 \
                 --name Plans --url https://in.example/_wmcs/licensing --extranet-url https://out.example/_wmcs/licensing --mode {mode} -o licence.xrml"
            ))
            .exits(0)
            .json("licence-issue");
        assert_eq!(issued["key_id"], sample.key.id().to_string());
        assert_eq!((&issued["kind"], &issued["mode"], &issued["content_key_bits"]), (&"publishing".into(), &mode.into(), &256.into()));
        assert_eq!(issued["content_id"], "586b5746-aa26-4310-81b1-ea20d40cfc89");
        assert_eq!(issued["valid_until"], "2090-01-31T23:59");
        let rights: Vec<&str> = issued["rights"].as_array().unwrap().iter().map(|right| right["right"].as_str().unwrap()).collect();
        assert_eq!(rights, ["OWNER", "VIEW", "PRINT", "OWNER"]);
        let key = desk.read("key");
        assert_eq!(key.len(), 32);
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(desk.path("key")).unwrap().permissions().mode() & 0o777, 0o600);

        desk.run("licence verify licence.xrml").exits(0);
        let opened = desk.run("--format json licence open licence.xrml --tenant tenant -o opened").exits(0).json("licence-open");
        assert_eq!((&opened["content_key_bits"], &opened["cipher"]), (&256.into(), &"AES-ECB".into()));
        assert_eq!(desk.read("opened"), key);
        let text = String::from_utf8(desk.read("licence.xrml")).unwrap();
        for url in ["https://in.example/_wmcs/licensing", "https://out.example/_wmcs/licensing", "LCID 1033:NAME Plans"] {
            assert!(text.contains(url), "{url}");
        }
        // The rights are for the owner of the content key only.
        assert!(!text.contains("staff@rms.example"));

        if let Some(judge) = judged(&desk, "licence.xrml") {
            assert_eq!(judge["sound"], true, "{judge}");
            let document = &judge["files"][0]["documents"][0];
            assert_eq!((&document["hash"], &document["bits"]), (&hash.into(), &(if mode == 1 { 1024 } else { 2048 }).into()));
            assert_eq!(judge["files"][0]["linked"][0], true, "the chain certifies the issuer");
            desk.write("damaged.xrml", text.replacen("author@rms.example", "anchor@rms.example", 1));
            assert_eq!(judged(&desk, "damaged.xrml").unwrap()["sound"], false);
        }
    }
}

#[test]
fn a_use_licence_opens_with_the_users_key_and_grants_what_the_licence_grants() {
    for (bits, mode) in [(1024, 2), (2048, 2), (2048, 1)] {
        let sample = if mode == 1 { woodgrove() } else { contoso() };
        let desk = tenant(sample);
        let (certificate, user_store, user) = account(sample, bits, "reader@rms.example");
        desk.write("rac.xml", &certificate);
        desk.run(&format!(
            "{ISSUE} --content-key-out key --owner author@rms.example --right Reader@rms.example:VIEW --right staff@rms.example:PRINT -o licence.xrml"
        ))
        .exits(0);
        let issued = desk
            .run(&format!("{ISSUE} --use-licence licence.xrml --to rac.xml --member-of staff@rms.example -o use.xrml"))
            .exits(0)
            .json("licence-issue");
        assert_eq!((&issued["kind"], &issued["user_key_id"]), (&"use".into(), &user.id().to_string().into()));
        let documents = documents_in(&desk.read("use.xrml")).unwrap();
        let opened = open_use_licence(&user_store, &documents[0]).unwrap();
        assert_eq!(opened.content_key.key().expose(), desk.read("key"));
        let rights: Vec<String> = opened.rights.iter().map(|right| right.right.to_string()).collect();
        assert_eq!(rights, ["VIEW", "PRINT"]);
        assert!(opened.is_bound);
        assert_eq!(opened.owner.as_deref(), Some("author@rms.example"));
        desk.run("licence verify use.xrml").exits(0);
        if let Some(judge) = judged(&desk, "use.xrml") {
            assert_eq!(judge["sound"], true, "{judge}");
        }
        // Nothing is granted to a stranger.
        let (certificate, ..) = account(sample, bits, "stranger@rms.example");
        desk.write("other.xml", &certificate);
        desk.run(&format!("{ISSUE} --use-licence licence.xrml --to other.xml -o other.xrml")).exits(4).says("grants no right");
        desk.write("bad.xml", certificate.replace("stranger@", "reader@"));
        desk.run(&format!("{ISSUE} --use-licence licence.xrml --to bad.xml -o other.xrml")).exits(1);
        assert!(!desk.path("other.xrml").exists());
    }
}

#[test]
fn a_template_gives_rights_and_name_if_it_is_published() {
    let desk = tenant(contoso());
    let shown = desk.run("--format json tenant show --tenant tenant").exits(0).json("tenant");
    let template = shown["templates"].as_array().unwrap().iter().find(|template| template["grants_anyone"] == false).unwrap();
    let guid = template["id"].as_str().unwrap();
    let issue = format!("{ISSUE} --content-key-out key --template {guid} --owner author@rms.example -o licence.xrml");
    desk.run(&issue).exits(4).says("rule 131");
    desk.run(&format!("tenant template publish {guid} --tenant tenant")).exits(0);
    let issued = desk.run(&issue).exits(0).json("licence-issue");
    assert_eq!(issued["template"], *guid);
    assert_eq!(issued["rights"][1]["holders"][0], "staff@rms.example");
    assert!(String::from_utf8(desk.read("licence.xrml")).unwrap().contains(guid));
    desk.run("licence open licence.xrml --tenant tenant").exits(0);
}

#[test]
fn a_given_content_key_is_used_and_everything_wrong_is_refused() {
    let desk = tenant(fabrikam());
    desk.write("given", [7; 16]);
    desk.run(&format!("{ISSUE} --content-key-in given --right ANYONE:VIEW -o licence.xrml")).exits(0).says("rule 134");
    desk.run("licence open licence.xrml --tenant tenant -o opened").exits(0);
    assert_eq!(desk.read("opened"), [7; 16]);
    let before = desk.snapshot();
    for (arguments, code, word) in [
        ("--content-key-in given --right ANYONE:VIEW -o licence.xrml", 9, "exists already"),
        ("--content-key-out given --right a@x:VIEW -o new.xrml", 9, "exists already"),
        ("--content-key-out same --right a@x:VIEW -o same", 4, "rule 75"),
        ("--content-key-in given --right a@x:FLY -o new.xrml", 4, "rule 139"),
        ("--content-key-in given --right a@x:VIEW --mode 1 -o new.xrml", 4, "rule 23"),
        ("--content-key-in given --right VIEW -o new.xrml", 2, "names no rights"),
        ("--content-key-in given -o new.xrml", 2, "nobody anything"),
        ("--right a@x:VIEW -o new.xrml", 2, "--content-key-out"),
        ("--content-key-in given --right a@x:VIEW --valid-until 2001-01-01 -o new.xrml", 2, "ended already"),
        ("--content-key-in password --right a@x:VIEW -o new.xrml", 3, "content key"),
        ("--content-key-in given --right a@x:VIEW --url ftp://x -o new.xrml", 2, "no http"),
        ("--content-key-in given --template 586b5746-aa26-4310-81b1-ea20d40cfc89 -o new.xrml", 2, "has no template"),
        ("--use-licence password --to licence.xrml -o new.xrml", 3, ""),
    ] {
        desk.run(&format!("{ISSUE} {arguments}")).exits(code).says(word);
    }
    assert_eq!(desk.snapshot(), before);
}
