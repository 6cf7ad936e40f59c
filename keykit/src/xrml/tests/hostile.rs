//! Texts that somebody made to be misread.

use proptest::prelude::*;

use crate::Error;
use crate::xrml::testing::{Hierarchy, real};
use crate::xrml::*;

fn refused(text: &str) -> bool {
    matches!(documents_in(text.as_bytes()), Err(Error::Malformed(_)))
}

/// A small sound document as text.
fn sound() -> String {
    Hierarchy::new(1).chain()[0].text().to_owned()
}

#[test]
fn the_outside_must_be_xrml() {
    for text in ["", "  ", "<a/>", "x<XrML/>", "<XrML/>", "<XrML></XrML>", "<XrML><BODY/></XrML>", "<a><XrML><BODY></BODY></XrML></a>"] {
        assert!(refused(text), "{text}");
    }
    assert!(refused(&format!("{}<other/>", sound())));
    assert!(documents_in(b"<XrML><BODY></BODY></XrML>").is_ok());
    assert!(Document::read(sound().repeat(2).as_bytes()).is_err());
}

#[test]
fn entities_and_depth_are_bounded() {
    let bomb = "<!DOCTYPE XrML [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>";
    assert!(refused(&format!("{bomb}<XrML><BODY>&b;</BODY></XrML>")));
    assert!(refused("<XrML><BODY>&b;</BODY></XrML>"));
    let deep = format!("<XrML><BODY>{}{}</BODY></XrML>", "<a>".repeat(70), "</a>".repeat(70));
    assert!(refused(&deep));
    let deepest = format!("<XrML><BODY>{}<ENABLINGBITS><VALUE>AA==</VALUE></ENABLINGBITS>{}</BODY></XrML>", "<a>".repeat(60), "</a>".repeat(60));
    assert_eq!(documents_in(deepest.as_bytes()).unwrap()[0].sealed_keys().len(), 1);
    assert!(refused(&"<XrML><BODY></BODY></XrML>".repeat(MAX_DOCUMENTS + 1)));
    assert_eq!(documents_in("<XrML><BODY></BODY></XrML>".repeat(MAX_DOCUMENTS).as_bytes()).unwrap().len(), MAX_DOCUMENTS);
    assert!(matches!(documents_in(&vec![b' '; MAX_BYTES + 1]), Err(Error::Malformed(_))));
}

#[test]
fn there_is_one_body_and_one_way_to_find_it() {
    let text = sound();
    let document = Document::read(text.as_bytes()).unwrap();
    let (body, signature) = (document.body_text(), &text[text.find("<SIGNATURE>").unwrap()..text.rfind("</XrML>").unwrap()]);
    for hostile in [
        text.replace(signature, &format!("{body}{signature}")),
        text.replace(signature, &format!("{signature}{body}")),
        text.replace(signature, &signature.repeat(2)),
        text.replace(signature, &format!("{signature}<EXTRA>unsigned</EXTRA>")),
        text.replace(body, &format!("<BODY>{body}</BODY>")),
        text.replace(body, &format!("<!--{body}-->{body}")),
        text.replace("</BODY>", "<!-- </BODY> --></BODY>"),
        text.replace("</BODY>", "<![CDATA[</BODY>]]></BODY>"),
        text.replace("<ISSUEDTIME>", "<!-- <BODY --><ISSUEDTIME>"),
        text.replace(signature, &format!("<WRAP>{body}</WRAP>{signature}")),
    ] {
        assert!(refused(&hostile), "{hostile}");
    }
    // A comment without tags is text like any other: it is hashed.
    let commented = text.replace("</BODY>", "<!-- x --></BODY>");
    assert!(!Document::read(commented.as_bytes()).unwrap().check_signature().digest_ok);
}

#[test]
fn parts_that_count_are_there_once() {
    let text = sound();
    for name in ["ISSUER", "ISSUEDTIME", "DESCRIPTOR", "ISSUEDPRINCIPALS", "DIGEST", "PUBLICKEY", "OBJECT", "ID"] {
        let start = text.find(&format!("<{name}")).unwrap();
        let end_tag = format!("</{name}>");
        let end = start + text[start..].find(&end_tag).unwrap() + end_tag.len();
        let doubled = format!("{}{}{}", &text[..end], &text[start..end], &text[end..]);
        assert!(refused(&doubled), "{name}");
    }
    let value = &text[text.rfind("<VALUE").unwrap()..text.rfind("</SIGNATURE>").unwrap()];
    assert!(refused(&text.replace(value, &value.repeat(2))));
    assert!(refused(&text.replace("<PARAMETER name=\"modulus\">", "<PARAMETER name=\"modulus\"></PARAMETER><PARAMETER name=\"modulus\">")));
}

#[test]
fn numbers_must_be_true() {
    let text = sound();
    for (from, to) in [
        ("size=\"1024\"", "size=\"1023\""),
        ("size=\"160\"", "size=\"0160a\""),
        ("size=\"160\"", "size=\"18446744073709551617\""),
        (">65537<", ">65536<"),
        (">65537<", ">99999999999<"),
        ("<ALGORITHM>RSA</ALGORITHM>", "<ALGORITHM>DSA</ALGORITHM>"),
        ("RSA PKCS#1-V1.5", "RSA PSS"),
        ("<FROM>2010-01-01T00:00", "<FROM>2010-01-01T00:61"),
        ("<ISSUEDTIME>2015-01-01T00:00", "<ISSUEDTIME>yesterday"),
    ] {
        assert!(text.contains(from), "{from}");
        assert!(refused(&text.replace(from, to)), "{to}");
    }
}

#[test]
fn data_in_text_hold_no_elements() {
    let with = |inside| format!("<XrML><BODY><AUTHENTICATEDDATA id=\"Encrypted-Rights-Data\">{inside}</AUTHENTICATEDDATA></BODY></XrML>");
    assert!(refused(&with("AA<a/>==")));
    assert_eq!(Document::read(with("AA==").as_bytes()).unwrap().encrypted_rights_data().unwrap(), Some(vec![0]));
    assert!(Document::read(with("not base64").as_bytes()).unwrap().encrypted_rights_data().is_err());
    assert!(
        Document::read(with("AA==").replacen("<AUTH", "<AUTHENTICATEDDATA id=\"Encrypted-Rights-Data\"/><AUTH", 1).as_bytes())
            .unwrap()
            .encrypted_rights_data()
            .is_err()
    );
}

#[test]
fn an_unsigned_document_is_never_sound() {
    let text = sound();
    let start = text.find("<SIGNATURE>").unwrap();
    let unsigned = Document::read(format!("{}</XrML>", &text[..start]).as_bytes()).unwrap();
    let check = unsigned.check_signature();
    assert_eq!((check.hash, check.digest_ok, check.signature_ok, check.is_sound()), (None, false, None, false));
    assert!(unsigned.verify_with(unsigned.issuer_key().unwrap()).is_err());
    let chain = Chain::of(&[unsigned], 0, &TrustAnchors::microsoft()).unwrap();
    assert_eq!((chain.trust, chain.problems[0].kind), (Trust::ChainIncomplete, ProblemKind::Unsigned));
}

#[test]
fn an_issuer_without_a_key_is_never_sound() {
    let text = sound();
    let issuer = &text[text.find("<ISSUER>").unwrap()..text.find("</ISSUER>").unwrap()];
    let key = &issuer[issuer.find("<PUBLICKEY>").unwrap()..];
    let document = Document::read(text.replacen(key, "", 1).as_bytes()).unwrap();
    assert!(!document.check_signature().is_sound());
    assert!(!Chain::of(&[document], 0, &TrustAnchors::microsoft()).unwrap().trust.is_trusted());
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(documents_in(&bytes).is_err());
    }

    #[test]
    fn no_damaged_document_panics(cut in 0.0_f64..1.0, length in 0_usize..60, with in "(<|>|/|BODY|XrML|VALUE|\"|&|[0-9a-zé]){0,6}") {
        let document = &real("ca-chain-mode1.xml")[0];
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a short text")]
        let start = (document.text().len() as f64 * cut) as usize;
        let end = (start + length).min(document.text().len());
        let damaged = [&document.text()[..start], &with, &document.text()[end..]].concat();
        if let Ok(documents) = documents_in(damaged.as_bytes()) {
            let _ = Chain::of(&documents, 0, &TrustAnchors::microsoft()).unwrap();
            for document in &documents {
                let _ = (document.tree().unwrap(), document.encrypted_rights_data().is_ok(), RightsTemplate::of(document).is_ok());
            }
        }
    }
}
