//! From TOML to typed tables: every value with its place, every problem at once.
//!
//! A table is described once, by the macro `table!`: its fields are the keys of the file, their types say what stands there and
//! whether it must, and their documentation is that of the schema.

use std::fmt;
use std::ops::Deref;

use serde::{Serialize, Serializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A place in a file. Line and column count from 1, columns in characters. Line 0 is a value that was not read from a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// A value and where it stands. Two are equal if their values are, wherever they stand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub at: Position,
}

impl<T: PartialEq> PartialEq for Placed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Placed<T> {}

impl<T> Deref for Placed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> From<T> for Placed<T> {
    fn from(value: T) -> Self {
        Self { value, at: Position::default() }
    }
}

impl<T: Serialize> Serialize for Placed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

/// Something wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Where.
    pub at: Position,
    /// What, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.message)
    }
}

/// Whether a key must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It must.
    Required,
    /// It need not.
    Optional,
    /// Any number of times, none included.
    Repeated,
}

/// A key of a table, for the documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldDescription {
    /// The key.
    pub key: String,
    /// Whether it must be there.
    pub need: Need,
    /// What stands there, in words.
    pub form: String,
    /// What it means.
    pub about: String,
    /// The keys below, if it is a table.
    pub table: Option<TableDescription>,
}

/// A table, for the documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDescription {
    /// What it is.
    pub about: String,
    /// Its keys.
    pub fields: Vec<FieldDescription>,
}

/// A single value: text, a number, a word of a list, …
pub(super) trait Value: Sized {
    /// What stands there, in words, for people who write the file.
    fn form() -> String;

    /// Reads it.
    ///
    /// # Errors
    /// What is wrong, without the value itself where that could be a secret.
    fn read(value: &DeValue<'_>) -> Result<Self, String>;
}

/// A table with known keys. Made by `table!`.
pub(super) trait Table: Sized {
    /// Reads it, telling `reader` all problems; `None` if there was one.
    fn read(at: Position, table: &DeTable<'_>, reader: &mut Reader<'_>) -> Option<Self>;

    /// Its documentation.
    fn describe() -> TableDescription;
}

/// What can be a field of a table.
pub(super) trait Field: Sized {
    /// Reads it from the entry of its key; `None` if that has a problem.
    fn read(entry: Option<&Spanned<DeValue<'_>>>, key: &str, table: Position, reader: &mut Reader<'_>) -> Option<Self>;

    /// Whether it is left out when written.
    fn is_absent(&self) -> bool {
        false
    }

    /// How it is documented: need, form and table below.
    fn describe() -> (Need, String, Option<TableDescription>);
}

/// Turns byte offsets into places, and collects problems.
#[derive(Debug)]
pub(super) struct Reader<'s> {
    text: &'s str,
    line_starts: Vec<usize>,
    problems: Vec<Problem>,
}

impl<'s> Reader<'s> {
    /// A reader of this text.
    #[must_use]
    pub(super) fn new(text: &'s str) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(index, _)| index + 1)).collect();
        Self { text, line_starts, problems: Vec::new() }
    }

    /// The place of a byte offset.
    #[must_use]
    pub(super) fn position(&self, offset: usize) -> Position {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|index| self.line_starts.get(index)).copied().unwrap_or_default();
        let column = self.text.get(start..).unwrap_or_default().char_indices().take_while(|(index, _)| start + index < offset).count() + 1;
        Position { line: u32::try_from(line).unwrap_or(u32::MAX), column: u32::try_from(column).unwrap_or(u32::MAX) }
    }

    /// Adds a problem.
    pub(super) fn problem(&mut self, at: Position, message: impl Into<String>) {
        self.problems.push(Problem { at, message: message.into() });
    }

    /// All problems, in the order of the file.
    #[must_use]
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort();
        self.problems
    }

    fn value<T: Value>(&mut self, entry: &Spanned<DeValue<'_>>, key: &str) -> Option<Placed<T>> {
        let at = self.position(entry.span().start);
        match T::read(entry.get_ref()) {
            Ok(value) => Some(Placed { value, at }),
            Err(problem) => {
                self.problem(at, format!("`{key}` {problem}"));
                None
            }
        }
    }

    pub(super) fn table<T: Table>(&mut self, entry: &Spanned<DeValue<'_>>, key: &str) -> Option<T> {
        let at = self.position(entry.span().start);
        match entry.get_ref() {
            DeValue::Table(table) => T::read(at, table, self),
            other => {
                self.problem(at, format!("`{key}` is {}, and must be a table", shown_type(other)));
                None
            }
        }
    }

    /// Names the keys that a table does not know.
    pub(super) fn refuse_unknown(&mut self, table: &DeTable<'_>, known: &[String]) {
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            if !known.iter().any(|known| known == name) {
                let at = self.position(key.span().start);
                self.problem(at, format!("unknown key `{}`{}", shortened(name), suggestion(name, known)));
            }
        }
    }
}

/// What a value of the wrong type is, with its article.
pub(super) fn shown_type(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn shortened(name: &str) -> String {
    let mut short: String = name.chars().take(60).flat_map(char::escape_debug).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}

/// What the person may have meant.
fn suggestion(name: &str, known: &[String]) -> String {
    if matches!(name, "password" | "pin" | "passphrase" | "secret") {
        return "; no secret may stand in this file, name a `password-source`".into();
    }
    let nearest = known.iter().map(|key| (distance(name, key), key)).min();
    match nearest {
        Some((distance, key)) if distance <= 2 || (distance < key.len() && key.replace('-', "_") == name) => format!("; did you mean `{key}`?"),
        _ => format!("; known here: {}", known.join(", ")),
    }
}

/// Number of single-character changes between two words (Levenshtein), for words of at most 60 characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(60).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, a) in left.chars().take(60).enumerate() {
        let mut diagonal = index;
        let mut before = index + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(&right) {
            let changed = diagonal + usize::from(a != *b);
            diagonal = *cell;
            before = changed.min(before + 1).min(*cell + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

impl<T: Value> Field for Placed<T> {
    fn read(entry: Option<&Spanned<DeValue<'_>>>, key: &str, table: Position, reader: &mut Reader<'_>) -> Option<Self> {
        let Some(entry) = entry else {
            reader.problem(table, format!("`{key}` is missing here: {}", T::form()));
            return None;
        };
        reader.value(entry, key)
    }

    fn describe() -> (Need, String, Option<TableDescription>) {
        (Need::Required, T::form(), None)
    }
}

impl<T: Value> Field for Option<Placed<T>> {
    fn read(entry: Option<&Spanned<DeValue<'_>>>, key: &str, _: Position, reader: &mut Reader<'_>) -> Option<Self> {
        entry.map_or(Some(None), |entry| reader.value(entry, key).map(Some))
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn describe() -> (Need, String, Option<TableDescription>) {
        (Need::Optional, T::form(), None)
    }
}

impl<T: Value> Field for Vec<Placed<T>> {
    fn read(entry: Option<&Spanned<DeValue<'_>>>, key: &str, _: Position, reader: &mut Reader<'_>) -> Option<Self> {
        let Some(entry) = entry else { return Some(Self::new()) };
        let DeValue::Array(items) = entry.get_ref() else {
            let at = reader.position(entry.span().start);
            reader.problem(at, format!("`{key}` is {}, and must be a list", shown_type(entry.get_ref())));
            return None;
        };
        // All items are read before the first failure counts, so that every problem is told.
        let read: Vec<Option<Placed<T>>> = items.iter().map(|item| reader.value(item, key)).collect();
        read.into_iter().collect()
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn describe() -> (Need, String, Option<TableDescription>) {
        (Need::Optional, format!("a list; each {}", T::form()), None)
    }
}

impl<T: Table> Field for Option<T> {
    fn read(entry: Option<&Spanned<DeValue<'_>>>, key: &str, _: Position, reader: &mut Reader<'_>) -> Option<Self> {
        entry.map_or(Some(None), |entry| reader.table(entry, key).map(Some))
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn describe() -> (Need, String, Option<TableDescription>) {
        (Need::Optional, String::new(), Some(T::describe()))
    }
}

impl<T: Table> Field for Vec<T> {
    fn read(entry: Option<&Spanned<DeValue<'_>>>, key: &str, _: Position, reader: &mut Reader<'_>) -> Option<Self> {
        let Some(entry) = entry else { return Some(Self::new()) };
        let DeValue::Array(items) = entry.get_ref() else {
            let at = reader.position(entry.span().start);
            reader.problem(at, format!("`{key}` is {}, and must be a list of tables: write `[[…{key}]]`", shown_type(entry.get_ref())));
            return None;
        };
        let read: Vec<Option<T>> = items.iter().map(|item| reader.table(item, key)).collect();
        read.into_iter().collect()
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn describe() -> (Need, String, Option<TableDescription>) {
        (Need::Repeated, String::new(), Some(T::describe()))
    }
}

/// The key of a field: its name with hyphens.
pub(super) fn key_of(field: &str) -> String {
    field.replace('_', "-")
}

/// Declares a table of the file. Required tables are fields of the table's own type, marked with `table`.
macro_rules! table {
    ($(#[doc = $about:literal])+ pub struct $name:ident { $($(#[doc = $doc:literal])+ $field:ident: $type:ty,)+ }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub struct $name {
            $($(#[doc = $doc])+ #[serde(skip_serializing_if = "Field::is_absent")] pub $field: $type,)+
            /// Where the table begins.
            #[serde(skip)]
            pub at: Position,
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                $(self.$field == other.$field)&&+
            }
        }

        impl Eq for $name {}

        impl Table for $name {
            fn read(at: Position, table: &DeTable<'_>, reader: &mut Reader<'_>) -> Option<Self> {
                let known = [$(key_of(stringify!($field)),)+];
                reader.refuse_unknown(table, &known);
                // All fields are read before the first failure counts, so that every problem is told.
                $(let $field = {
                    let key = key_of(stringify!($field));
                    <$type as Field>::read(table.get(key.as_str()), &key, at, reader)
                };)+
                Some(Self { $($field: $field?,)+ at })
            }

            fn describe() -> TableDescription {
                let fields = vec![$({
                    let (need, form, table) = <$type as Field>::describe();
                    FieldDescription { key: key_of(stringify!($field)), need, form, about: concat!($($doc),+).trim().to_owned(), table }
                },)+];
                TableDescription { about: concat!($($about),+).trim().to_owned(), fields }
            }
        }

        impl Field for $name {
            fn read(entry: Option<&Spanned<DeValue<'_>>>, key: &str, table: Position, reader: &mut Reader<'_>) -> Option<Self> {
                let Some(entry) = entry else {
                    reader.problem(table, format!("the table `[{key}]` is missing"));
                    return None;
                };
                reader.table(entry, key)
            }

            fn describe() -> (Need, String, Option<TableDescription>) {
                (Need::Required, String::new(), Some(<Self as Table>::describe()))
            }
        }
    };
}

/// Declares a list of words. The text of each is its name in the file.
macro_rules! words {
    ($(#[doc = $about:literal])+ pub enum $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[doc = $doc])+ #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word in the file.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }

        impl Value for $name {
            fn form() -> String {
                one_of(&[$($word,)+])
            }

            fn read(value: &DeValue<'_>) -> Result<Self, String> {
                match value.as_str() {
                    $(Some($word) => Ok(Self::$variant),)+
                    _ => Err(not_one_of(value, &[$($word,)+])),
                }
            }
        }
    };
}

pub(super) use {table, words};

/// "one of `a`, `b`"
pub(super) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
    format!("one of {}", quoted.join(", "))
}

pub(super) fn not_one_of(value: &DeValue<'_>, words: &[&str]) -> String {
    match value.as_str() {
        Some(text) => format!("is \"{}\", and must be {}", shortened(text), one_of(words)),
        None => format!("is {}, and must be {}", shown_type(value), one_of(words)),
    }
}
