//! JSON Schemas (draft 2020-12) of what the program prints, made from what it prints in its tests.
//!
//! A schema says which fields there are, of which types, and which were there every time. It grows with [`widen`], and [`problems`]
//! compares. Objects whose names are data (identities, languages, reasons) become maps: `additionalProperties`.

use serde_json::{Map, Value, json};

/// A schema that also allows this value; `None` for a schema of nothing yet.
///
/// # Panics
/// If an object has fields in one place and data for names in another: give the data a place of their own.
#[must_use]
pub fn widen(schema: Option<Value>, value: &Value) -> Value {
    let mut node = match schema {
        Some(Value::Object(node)) => node,
        _ => Map::new(),
    };
    add_type(&mut node, type_of(value));
    match value {
        Value::Array(items) => {
            for item in items {
                let known = node.remove("items");
                node.insert("items".into(), widen(known, item));
            }
        }
        Value::Object(fields) if node.contains_key("additionalProperties") || fields.keys().any(|name| !is_field_name(name)) => {
            let known = node.remove("properties").and_then(|known| known.as_object().cloned()).unwrap_or_default();
            assert!(known.is_empty(), "an object has fields in one place and data for names in another: {known:?}, {fields:?}");
            node.remove("required");
            for value in fields.values() {
                let known = node.remove("additionalProperties");
                node.insert("additionalProperties".into(), widen(known, value));
            }
        }
        Value::Object(fields) => widen_fields(&mut node, fields),
        _ => {}
    }
    Value::Object(node)
}

fn widen_fields(node: &mut Map<String, Value>, fields: &Map<String, Value>) {
    let mut required: Vec<String> = match node.get("required").and_then(Value::as_array) {
        Some(names) => names.iter().filter_map(Value::as_str).filter(|name| fields.contains_key(*name)).map(str::to_owned).collect(),
        None => fields.keys().cloned().collect(),
    };
    required.sort();
    node.insert("required".into(), json!(required));
    let mut properties = node.remove("properties").and_then(|known| known.as_object().cloned()).unwrap_or_default();
    for (name, value) in fields {
        let widened = match (name.as_str(), value) {
            ("schema", Value::String(schema)) => json!({ "const": schema }),
            _ => widen(properties.remove(name), value),
        };
        properties.insert(name.clone(), widened);
    }
    node.insert("properties".into(), Value::Object(properties));
}

/// What of a value a schema does not allow or does not know. A field that is not in the schema is a problem too: readers pass it over,
/// but the documentation must have it.
#[must_use]
pub fn problems(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(schema, value, "$", &mut found);
    found
}

fn compare(schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    if let Some(expected) = schema.get("const") {
        if expected != value {
            found.push(format!("{place} is {value}, not {expected}"));
        }
        return;
    }
    let name = type_of(value);
    let allowed = types_in(schema.get("type"));
    if !allowed.iter().any(|allowed| allowed == name || (allowed == "number" && name == "integer")) {
        found.push(format!("{place} is of the type {name}; known are {}", allowed.join(", ")));
        return;
    }
    match value {
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                match schema.get("items") {
                    Some(schema) => compare(schema, item, &format!("{place}[{number}]"), found),
                    None => found.push(format!("{place} has items, of which nothing is known")),
                }
            }
        }
        Value::Object(fields) => {
            for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
                if !fields.contains_key(name) {
                    found.push(format!("{place} lacks the field {name}"));
                }
            }
            for (name, value) in fields {
                let known = schema.get("properties").and_then(|known| known.get(name)).or_else(|| schema.get("additionalProperties"));
                match known {
                    Some(schema) => compare(schema, value, &format!("{place}.{name}"), found),
                    None => found.push(format!("{place} has the field {name}, of which nothing is known")),
                }
            }
        }
        _ => {}
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn types_in(types: Option<&Value>) -> Vec<String> {
    match types {
        Some(Value::String(name)) => vec![name.clone()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn add_type(node: &mut Map<String, Value>, name: &str) {
    let mut types = types_in(node.get("type"));
    if !types.iter().any(|known| known == name) {
        types.push(name.to_owned());
        types.sort();
    }
    let value = if let [one] = types.as_slice() { json!(one) } else { json!(types) };
    node.insert("type".into(), value);
}

/// Fields are named in lower case with underscores; other names are data.
fn is_field_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        // Identities of keys and hashes are data, whatever digit they begin with.
        && !(name.len() >= 16 && name.chars().all(|c| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_allows_what_it_was_made_from_and_nothing_else() {
        let values = [
            json!({ "schema": "keykit/x/1", "count": 1, "name": null, "list": [], "map": { "1033": "a" }, "part": null }),
            json!({ "schema": "keykit/x/1", "count": 2, "name": "n", "list": [{ "a": 1 }, { "a": 2, "b": true }], "map": {}, "part": { "c": 1.5 } }),
        ];
        let schema = values.iter().fold(None, |schema, value| Some(widen(schema, value))).unwrap();
        for value in &values {
            assert!(problems(&schema, value).is_empty(), "{:?}", problems(&schema, value));
        }
        for (change, word) in [
            (json!({ "count": "1" }), "$.count is of the type string"),
            (json!({ "schema": "keykit/y/1" }), "$.schema is \"keykit/y/1\""),
            (json!({ "more": 1 }), "has the field more"),
            (json!({ "list": [{ "b": true }] }), "$.list[0] lacks the field a"),
            (json!({ "map": { "1031": 7 } }), "$.map.1031 is of the type integer"),
            (json!({ "part": [] }), "$.part is of the type array"),
        ] {
            let mut value = values[1].clone();
            value.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            assert!(problems(&schema, &value).iter().any(|problem| problem.contains(word)), "{word}: {:?}", problems(&schema, &value));
        }
        let mut lacking = values[0].clone();
        lacking.as_object_mut().unwrap().remove("count");
        assert_eq!(problems(&schema, &lacking), ["$ lacks the field count"]);
        assert_eq!(problems(&json!({ "type": "array" }), &json!([1])).len(), 1);
    }
}
