//! Data on standard output, words on standard error.

use std::io::{self, Write};

use keykit::{Error, Result};
use serde::Serialize;
use serde_json::json;

use crate::arguments::Format;
use crate::exit;
use crate::progress::paused;

/// How this run talks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) format: Format,
}

impl Output {
    /// Prints a result: as one JSON object, or as the text that `text` makes.
    ///
    /// # Errors
    /// [`Error::Write`] if standard output can't take it.
    pub(crate) fn result(self, schema: &str, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        let printed = match self.format {
            Format::Json => to_json(schema, value)?,
            _ => text(),
        };
        print(&printed)
    }

    /// Prints an error, with its hint.
    pub(crate) fn error(self, error: &Error) {
        if self.format == Format::Json {
            let mut value = json!({ "code": error.code(), "message": error.to_string(), "hint": error.hint(), "exit": exit::code_of(error) });
            if let (Some(finding), Some(object)) = (error.finding(), value.as_object_mut()) {
                object.insert("finding".into(), finding.into());
            }
            if let Ok(text) = to_json("error", &value) {
                say_raw(&mut io::stdout().lock(), &text);
            }
        }
        let mut text = format!("keykit: error: {error}");
        if let Some(hint) = error.hint() {
            text.push_str(&format!("\nkeykit: hint: {hint}"));
        }
        say_raw(&mut io::stderr().lock(), &text);
    }
}

/// Prints a text on standard output.
///
/// # Errors
/// [`Error::Write`] if standard output can't take it.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{}", text.trim_end()).and_then(|()| stdout.flush()) {
        // Nobody reads any more: not our fault, and not worth a word.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(source) => Err(Error::Write { path: "standard output".into(), source }),
        Ok(()) => Ok(()),
    }
}

/// Says something to people.
pub(crate) fn say(text: impl AsRef<str>) {
    paused(|| say_raw(&mut io::stderr().lock(), &format!("keykit: {}", text.as_ref())));
}

/// Says something to people that they must not miss.
pub(crate) fn warn(text: impl AsRef<str>) {
    say(format!("warning: {}", text.as_ref()));
}

/// There is nobody left to tell if this fails.
fn say_raw(stream: &mut impl Write, text: &str) {
    drop(writeln!(stream, "{text}"));
}

/// One JSON object with its schema.
///
/// # Errors
/// [`Error::Internal`].
pub(crate) fn to_json(schema: &str, value: &impl Serialize) -> Result<String> {
    let failed = |error: serde_json::Error| Error::Internal(format!("encoding the result: {error}"));
    let mut object = serde_json::Map::new();
    object.insert("schema".into(), format!("keykit/{schema}/1").into());
    match serde_json::to_value(value).map_err(failed)? {
        serde_json::Value::Object(fields) => object.extend(fields),
        other => {
            object.insert("value".into(), other);
        }
    }
    serde_json::to_string_pretty(&object).map_err(failed)
}

/// Rows under a heading, columns as wide as they need to be.
pub(crate) fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = heading.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width.saturating_sub(cell.chars().count())))).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(heading.to_vec())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}
