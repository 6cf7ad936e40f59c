//! Protected Office documents: no input panics, a replaced licence is read again, and what is read can be written.

use keykit::container::{NewProtectedDocument, ProtectedDocument, replace_compound_licence};

const OTHER: &[u8] = b"<XrML></XrML>";

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    let Ok(document) = ProtectedDocument::parse(data) else { return false };
    assert!(document.publishing_licence.len() <= data.len());
    let new = NewProtectedDocument {
        layout: document.layout,
        publishing_licence: &document.publishing_licence,
        end_user_licences: &document.end_user_licences,
        original_size: document.original_size,
        content: b"",
    };
    let again = ProtectedDocument::parse(&new.to_bytes().expect("what was read can be written")).expect("what was written can be read");
    assert_eq!(again.publishing_licence, document.publishing_licence);
    assert_eq!(again.end_user_licences, document.end_user_licences);
    if let Ok(replaced) = replace_compound_licence(data, OTHER)
        && let Ok(read) = ProtectedDocument::parse(&replaced)
    {
        assert_eq!(read.publishing_licence, OTHER);
    }
    true
}
