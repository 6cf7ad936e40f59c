//! JSON in one form only, so that it can be hashed and signed (RFC 8785).
//!
//! Members are sorted by the UTF-16 code units of their names (§3.2.3), strings are written with the shortest escapes (§3.2.2.2),
//! and no blank is written. Numbers are whole and within ±(2⁵³ − 1), where RFC 8785 and every reader agree on them; other
//! numbers are refused rather than rounded.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};

/// Largest whole number that every reader of JSON keeps (2⁵³ − 1).
const LARGEST: u64 = (1 << 53) - 1;
/// Deepest nesting that is written.
const DEEPEST: usize = 64;

/// The canonical text of a value.
///
/// # Errors
/// [`Error::Internal`] for numbers that are not whole or too large, and for nesting below 64 levels: keykit's own files have neither.
pub fn to_string(value: &impl Serialize) -> Result<String> {
    let value = serde_json::to_value(value).map_err(|error| Error::Internal(format!("encoding JSON: {error}")))?;
    let mut text = String::new();
    write_value(&value, &mut text, 0)?;
    Ok(text)
}

/// SHA-256 of the canonical text of a value, in hex.
///
/// # Errors
/// As [`to_string`].
pub fn hash(value: &impl Serialize) -> Result<String> {
    Ok(sha256_hex(to_string(value)?.as_bytes()))
}

/// SHA-256 of bytes, in lower-case hex.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write_value(value: &Value, text: &mut String, depth: usize) -> Result<()> {
    if depth > DEEPEST {
        return Err(Error::Internal("JSON nested too deeply to be canonical".into()));
    }
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Number(number) => {
            let small =
                number.as_u64().is_some_and(|number| number <= LARGEST) || number.as_i64().is_some_and(|number| number.unsigned_abs() <= LARGEST);
            if !small {
                return Err(Error::Internal(format!("the number {number} has no canonical form")));
            }
            text.push_str(&number.to_string());
        }
        Value::String(string) => write_string(string, text),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_value(item, text, depth + 1)?;
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
            sorted.sort_by(|(left, _), (right, _)| left.encode_utf16().cmp(right.encode_utf16()));
            text.push('{');
            for (index, (name, member)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_string(name, text);
                text.push(':');
                write_value(member, text, depth + 1)?;
            }
            text.push('}');
        }
    }
    Ok(())
}

fn write_string(string: &str, text: &mut String) {
    text.push('"');
    for character in string.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\u{c}' => text.push_str("\\f"),
            '\r' => text.push_str("\\r"),
            // Writing into a String does not fail.
            control if control < ' ' => drop(write!(text, "\\u{:04x}", u32::from(control))),
            other => text.push(other),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_sorted_by_utf_16_as_in_section_3_2_3() {
        let value = json!({"\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet With Dagesh", "1": "One",
            "\u{1f600}": "Emoji: Grinning Face", "\u{80}": "Control", "\u{f6}": "Latin Small Letter O With Diaeresis"});
        let text = to_string(&value).unwrap();
        let order: Vec<usize> =
            ["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"].iter().map(|word| text.find(word).unwrap()).collect();
        assert!(order.is_sorted(), "{text}");
    }

    #[test]
    fn strings_are_written_as_in_section_3_2_2() {
        let value = json!({"string": "\u{20ac}$\u{f}\nA'B\"\\\\\"/", "literals": [null, true, false]});
        assert_eq!(to_string(&value).unwrap(), "{\"literals\":[null,true,false],\"string\":\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
    }

    #[test]
    fn numbers_that_readers_disagree_on_are_refused() {
        assert_eq!(to_string(&json!([0, -1, LARGEST])).unwrap(), "[0,-1,9007199254740991]");
        for value in [json!(1.5), json!(LARGEST + 1), json!(i64::MIN), json!(u64::MAX)] {
            assert_eq!(to_string(&value).unwrap_err().code(), "internal", "{value}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!([inner]));
        assert!(to_string(&nested(DEEPEST)).is_ok());
        assert!(to_string(&nested(DEEPEST + 1)).is_err());
        let members = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!({ "a": inner }));
        assert!(to_string(&members(DEEPEST)).is_ok());
        assert!(to_string(&members(DEEPEST + 1)).is_err());
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-(LARGEST.cast_signed())..=LARGEST.cast_signed()).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map(any::<String>(), inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn canonical_text_reads_back_the_same_and_has_one_form(value in any_value()) {
            let text = to_string(&value).unwrap();
            let back: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&back, &value);
            prop_assert_eq!(to_string(&back).unwrap(), text);
        }

        #[test]
        fn the_order_in_which_members_were_put_in_does_not_matter(members in proptest::collection::vec((any::<String>(), 0..9), 0..8)) {
            let forward: serde_json::Map<String, Value> = members.iter().map(|(name, number)| (name.clone(), json!(number))).collect();
            let mut backward = serde_json::Map::new();
            for (name, _) in members.iter().rev() {
                backward.insert(name.clone(), forward[name].clone());
            }
            prop_assert_eq!(hash(&forward).unwrap(), hash(&backward).unwrap());
        }
    }
}
