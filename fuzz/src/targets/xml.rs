//! XML: no input panics, every element is the slice it says it is, and every encoding comes back.

use keykit::xml;

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    let Ok((text, encoding)) = xml::decode(data, "fuzzing") else { return false };
    assert_eq!(xml::encode(&text, encoding), data, "{encoding:?}");

    let Ok(roots) = xml::parse_all(&text, "fuzzing") else { return false };
    let mut end = 0;
    for root in &roots {
        assert!(root.range.start >= end, "roots follow each other");
        end = root.range.end;
        for element in root.descendants() {
            let slice = text.get(element.range.clone()).expect("a range inside the text");
            assert!(slice.starts_with('<') && slice.ends_with('>'));
            assert!(slice[1..].starts_with(element.name));
            assert!(element.range.start >= root.range.start && element.range.end <= root.range.end);
        }
    }
    if let Ok(root) = xml::parse(&text, "fuzzing") {
        assert_eq!(&root, &roots[0]);
    }
    !roots.is_empty()
}
