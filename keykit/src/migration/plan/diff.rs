//! What differs between two plans.

use serde::Serialize;
use serde_json::{Map, Value};

use super::Plan;
use crate::error::{Error, Result};

/// Names by which members of a list are told apart, whatever their place.
const NAMES: [&str; 5] = ["id", "key_id", "path", "key", "name"];

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Where, for example `steps[rekey].action.bits`.
    pub at: String,
    /// What was there; nothing if it was added.
    pub before: Option<Value>,
    /// What is there now; nothing if it was taken away.
    pub after: Option<Value>,
}

/// Everything that differs, in the order of the first plan.
///
/// # Errors
/// [`Error::Internal`] never in practice.
pub fn diff(before: &Plan, after: &Plan) -> Result<Vec<Change>> {
    let value = |plan: &Plan| serde_json::to_value(plan).map_err(|error| Error::Internal(format!("encoding a plan: {error}")));
    let mut changes = Vec::new();
    compare("", Some(&value(before)?), Some(&value(after)?), &mut changes);
    Ok(changes)
}

fn compare(at: &str, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<Change>) {
    match (before, after) {
        (Some(left), Some(right)) if left == right => {}
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            let join = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
            members(left, right, join, changes);
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) => match (named(left), named(right)) {
            (Some(named_left), Some(named_right)) => {
                let count = changes.len();
                members(&named_left, &named_right, |name| format!("{at}[{name}]"), changes);
                // The same members in another order.
                if changes.len() == count {
                    changes.push(Change { at: at.to_owned(), before: Some(names(left)), after: Some(names(right)) });
                }
            }
            _ => changes.push(Change { at: at.to_owned(), before: before.cloned(), after: after.cloned() }),
        },
        _ => changes.push(Change { at: at.to_owned(), before: before.cloned(), after: after.cloned() }),
    }
}

fn members(left: &Map<String, Value>, right: &Map<String, Value>, join: impl Fn(&str) -> String, changes: &mut Vec<Change>) {
    for (name, value) in left {
        compare(&join(name), Some(value), right.get(name), changes);
    }
    for (name, value) in right.iter().filter(|(name, _)| !left.contains_key(*name)) {
        compare(&join(name), None, Some(value), changes);
    }
}

/// A list of objects by their names, if every one has a name of its own.
fn named(list: &[Value]) -> Option<Map<String, Value>> {
    let mut map = Map::new();
    for item in list {
        let name = name_of(item)?;
        if map.insert(name.to_owned(), item.clone()).is_some() {
            return None;
        }
    }
    Some(map)
}

fn name_of(item: &Value) -> Option<&str> {
    NAMES.iter().find_map(|name| item.get(name)?.as_str())
}

fn names(list: &[Value]) -> Value {
    list.iter().filter_map(name_of).collect()
}
