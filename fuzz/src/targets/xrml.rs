//! Bytes of any kind as XrML: nothing panics, and what is read is consistent with itself.

use keykit::xml::{Encoding, encode};
use keykit::xrml::{Chain, DocumentKind, RightsTemplate, TrustAnchors, documents_in, parse_names, write_names};

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    if let Ok(text) = std::str::from_utf8(data) {
        let names = parse_names(text);
        if let Ok(written) = write_names(&names) {
            assert_eq!(parse_names(&written), names);
        }
    }
    let Ok(documents) = documents_in(data) else { return false };
    for (index, document) in documents.iter().enumerate() {
        let tree = document.tree().expect("a document that was read reads again");
        assert_eq!(tree.range, 0..document.text().len());
        assert!(document.body_text().starts_with("<BODY") && document.body_text().ends_with('>'));
        for sealed in document.sealed_keys() {
            assert!(document.text()[sealed.range.clone()].starts_with("<ENABLINGBITS"));
        }
        let check = document.check_signature();
        assert!(check.signature_ok != Some(true) || check.digest_ok);
        let chain = Chain::of(&documents, index, &TrustAnchors::microsoft()).expect("the place is there");
        assert!(!chain.trust.is_trusted() || check.is_sound());
        assert!(RightsTemplate::of(document).is_err() || *document.kind() == DocumentKind::RightsTemplate);
        let wide = documents_in(&encode(document.text(), Encoding::Utf16LeBom)).expect("the same text in another encoding");
        assert_eq!(wide.as_slice(), std::slice::from_ref(document));
    }
    !documents.is_empty()
}
