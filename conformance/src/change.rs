//! What differs between two results.

use std::fmt;

use serde::Serialize;

/// Which way something went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// It worked, and does not work now.
    Worse,
    /// It did not work, and does now.
    Better,
    /// Neither.
    Different,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// Which way it went.
    pub direction: Direction,
    /// What differs, by its name in the file.
    pub what: String,
    /// What it was; empty if it was not there.
    pub before: String,
    /// What it is; empty if it is not there.
    pub after: String,
}

impl Change {
    pub(crate) fn new(direction: Direction, what: impl Into<String>, before: impl fmt::Display, after: impl fmt::Display) -> Self {
        Self { direction, what: what.into(), before: before.to_string(), after: after.to_string() }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            Direction::Worse => "worse    ",
            Direction::Better => "better   ",
            Direction::Different => "different",
        };
        let shown = |text: &str| if text.is_empty() { "nothing".to_owned() } else { text.to_owned() };
        write!(f, "{direction}  {}: {} before, {} now", self.what, shown(&self.before), shown(&self.after))
    }
}

/// Whether anything got worse.
#[must_use]
pub fn is_worse(changes: &[Change]) -> bool {
    changes.iter().any(|change| change.direction == Direction::Worse)
}

/// The direction from a rank to another; a higher rank is better. `None` if they are equal.
pub(crate) fn direction<T: Ord>(before: &T, after: &T) -> Option<Direction> {
    match after.cmp(before) {
        std::cmp::Ordering::Less => Some(Direction::Worse),
        std::cmp::Ordering::Greater => Some(Direction::Better),
        std::cmp::Ordering::Equal => None,
    }
}
