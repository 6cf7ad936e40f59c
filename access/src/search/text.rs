//! Texts that may be licences.

/// What a licence begins with.
const ROOT: &str = "<XrML";

/// Whether a text begins like XrML: its first element is `XrML`, after a byte order mark, blanks, declarations and comments.
///
/// Pages and other XML that speak of XrML are no licences, however they quote it. Of a head that is not the whole text, one whose
/// first declaration or comment does not end may be that of a licence.
pub(super) fn may_be_licence(bytes: &[u8], is_whole: bool) -> bool {
    let text = decode(bytes);
    let mut rest = text.trim_start_matches(['\u{feff}', '\0']);
    loop {
        rest = rest.trim_start();
        let end = match rest {
            _ if rest.starts_with("<?") => "?>",
            _ if rest.starts_with("<!--") => "-->",
            _ if rest.starts_with("<!") => ">",
            _ => break,
        };
        match rest.split_once(end) {
            Some((_, after)) => rest = after,
            None => return !is_whole,
        }
    }
    rest.strip_prefix(ROOT).is_some_and(|rest| rest.starts_with(|next: char| next.is_whitespace() || matches!(next, '>' | '/')))
}

/// Bytes as text: UTF-16 if every other byte of its beginning is zero or it says so, UTF-8 otherwise. What is neither has
/// replacement characters, of which no licence begins with one.
fn decode(bytes: &[u8]) -> String {
    let wide = |from: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).filter_map(|unit| Some(from(unit.try_into().ok()?))).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, ..] | [_, 0, _, 0, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] | [0, _, 0, _, ..] => wide(u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use keykit::xml::{Encoding, encode};

    use super::*;

    #[test]
    fn licences_begin_with_their_element_in_every_encoding() {
        for text in [
            "<XrML xmlns=\"\" version=\"1.2\">",
            "<?xml version=\"1.0\"?>\r\n<!-- made by a server --> <XrML>",
            "<!DOCTYPE XrML>\n<XrML/>",
            "\n  <XrML version=\"1.2\"",
        ] {
            for encoding in [Encoding::Utf8, Encoding::Utf8Bom, Encoding::Utf16Le, Encoding::Utf16LeBom, Encoding::Utf16BeBom] {
                assert!(may_be_licence(&encode(text, encoding), false), "{text} {encoding:?}");
            }
        }
        // A comment that does not end in the head.
        let cut = format!("<!--{}", "x".repeat(9000));
        assert!(may_be_licence(cut.as_bytes(), false) && !may_be_licence(cut.as_bytes(), true));
    }

    #[test]
    fn texts_that_quote_licences_are_none() {
        for text in [
            "<html><body><pre><XrML version=\"1.2\"></pre></html>",
            "<?xml version=\"1.0\"?><example><![CDATA[<XrML>]]></example>",
            "<!-- <XrML> --><other/>",
            "<XrMLish>",
            "<svg/>",
            "<",
        ] {
            assert!(!may_be_licence(text.as_bytes(), true), "{text}");
        }
    }
}
