//! Command lines for PowerShell, whose words arrive at the program as they were meant.
//!
//! A word that holds anything but plain characters stands between single quotes, in which PowerShell expands nothing. It takes
//! four other characters for a single quote too (U+2018 to U+201B); within quotes each is doubled. A word with a double quote can't
//! be handed to a program by every version of PowerShell, and neither can control characters: both are refused, as is a backslash
//! at the end of a word with blanks, which Windows takes for an escape of the quote that PowerShell adds.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::error::{Error, Result};

const FORMAT: &str = "word of a command line";
/// What PowerShell takes for a single quote.
const QUOTES: [char; 5] = ['\'', '\u{2018}', '\u{2019}', '\u{201a}', '\u{201b}'];

/// One word of a command line, as it must be typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word(String);

impl Word {
    /// A word that arrives as `value`.
    ///
    /// # Errors
    /// [`Error::Malformed`] for an empty value, and for one that no version of PowerShell hands on safely.
    pub fn new(value: &str) -> Result<Self> {
        let refuse = |what: &str| Err(Error::malformed(FORMAT, format!("{value:?} {what}")));
        if value.is_empty() {
            return refuse("is empty");
        }
        if value.chars().any(|character| character.is_control() || character == '"' || matches!(character, '\u{201c}'..='\u{201e}')) {
            return refuse("has a control character or a double quote");
        }
        if value.ends_with('\\') && value.contains(char::is_whitespace) {
            return refuse("has blanks and ends with a backslash");
        }
        if is_plain(value) {
            return Ok(Self(value.to_owned()));
        }
        literal(value).map(Self)
    }

    /// A word that is typed as it stands here: a variable, an expression. For constants, never for a value from outside.
    #[must_use]
    pub fn verbatim(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    /// As it must be typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Letters, digits and characters that PowerShell gives no meaning to in the middle of a word. A word that begins with a dash is
/// taken apart at points and colons.
fn is_plain(value: &str) -> bool {
    let more = if value.starts_with('-') { "-=/_" } else { "-=/_.:\\" };
    value.starts_with(|first: char| first.is_ascii_alphabetic() || "-.".contains(first))
        && !is_number(value)
        && value.chars().all(|character| character.is_ascii_alphanumeric() || more.contains(character))
}

/// `-1`, `.5`: PowerShell may write a number in another way.
fn is_number(value: &str) -> bool {
    value.starts_with(['-', '.'])
        && value.get(1..2).is_some_and(|second| second.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
        && !value.starts_with(".\\")
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text between single quotes, as it stands in a script. It is handed to no other program: double quotes are allowed.
///
/// # Errors
/// [`Error::Malformed`] for control characters and line ends.
pub fn literal(value: &str) -> Result<String> {
    if value.chars().any(char::is_control) {
        return Err(Error::malformed("text of a script", format!("{value:?} has a control character or a line end in it")));
    }
    let doubled: String =
        value.chars().flat_map(|character| std::iter::repeat_n(character, if QUOTES.contains(&character) { 2 } else { 1 })).collect();
    Ok(format!("'{doubled}'"))
}

/// A command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine(String);

impl CommandLine {
    /// Words with blanks between them.
    #[must_use]
    pub fn of(words: &[Word]) -> Self {
        Self(words.iter().map(Word::as_str).collect::<Vec<_>>().join(" "))
    }

    /// A command line that begins as it stands here and goes on with words.
    #[must_use]
    pub fn starting(start: &'static str, words: &[Word]) -> Self {
        let mut line = start.to_owned();
        words.iter().for_each(|word| line.push_str(&format!(" {word}")));
        Self(line)
    }

    /// A command line for PowerShell's own commands: each `{}` of the pattern becomes one of the values, as a text between single
    /// quotes. The pattern is a constant of keykit's, never a text from outside.
    ///
    /// # Errors
    /// [`Error::Malformed`] for control characters and line ends in a value; [`Error::Internal`] if there are not as many values as
    /// places.
    pub fn filled(pattern: &str, values: &[&str]) -> Result<Self> {
        let mut line = String::new();
        let mut rest = pattern.split("{}");
        line.push_str(rest.next().unwrap_or_default());
        let mut values = values.iter();
        for piece in rest {
            let value = values.next().ok_or_else(|| Error::Internal(format!("too few values for {pattern:?}")))?;
            line.push_str(&literal(value)?);
            line.push_str(piece);
        }
        match values.next() {
            Some(_) => Err(Error::Internal(format!("too many values for {pattern:?}"))),
            None => Ok(Self(line)),
        }
    }

    /// As it must be typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for CommandLine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Words as PowerShell reads them: plain ones, and ones between quotes. An independent reading of the rules, for the tests.
    fn read(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        let mut rest = line.chars().peekable();
        while let Some(&first) = rest.peek() {
            if first == ' ' {
                rest.next();
                continue;
            }
            let mut word = String::new();
            if QUOTES.contains(&first) {
                rest.next();
                loop {
                    let character = rest.next().expect("a quote that closes");
                    if !QUOTES.contains(&character) {
                        word.push(character);
                    } else if rest.peek().is_some_and(|next| QUOTES.contains(next)) {
                        // The second of a pair is what counts.
                        word.push(rest.next().expect("the second of a pair"));
                    } else {
                        break;
                    }
                }
                assert!(rest.peek().is_none_or(|&next| next == ' '), "a word goes on after its quote: {line}");
            } else {
                while let Some(character) = rest.next_if(|&next| next != ' ') {
                    assert!(!"\"'`$;|&<>(){}@#,*?[]".contains(character), "{character} outside quotes: {line}");
                    word.push(character);
                }
            }
            words.push(word);
        }
        words
    }

    #[test]
    fn words_are_quoted_where_they_must_be() {
        for (value, typed) in [
            ("generatekey", "generatekey"),
            ("--cipher-suite=DLf3072s256mRijndael", "--cipher-suite=DLf3072s256mRijndael"),
            (r".\KeyTransferRemote.exe", r".\KeyTransferRemote.exe"),
            (r"pemreadfile=e:\ContosoTPD.pem", r"pemreadfile=e:\ContosoTPD.pem"),
            ("plainname=Contoso BYOK", "'plainname=Contoso BYOK'"),
            ("-a:b", "'-a:b'"),
            ("-1", "'-1'"),
            ("2", "'2'"),
            ("it's", "'it''s'"),
            ("it\u{2019}s", "'it\u{2019}\u{2019}s'"),
            ("100%;&$x", "'100%;&$x'"),
            ("Müller.xml", "'Müller.xml'"),
        ] {
            assert_eq!(Word::new(value).unwrap().as_str(), typed);
        }
        for refused in ["", "a\"b", "a\nb", "\0", "a b\\", "a\u{201c}b"] {
            assert_eq!(Word::new(refused).unwrap_err().code(), "malformed", "{refused:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_typed_is_read_as_it_was_meant(values in prop::collection::vec("[ -~’‘‚‛äé€\\\\]{1,12}|\\PC{1,8}", 1..6)) {
            let (values, words): (Vec<_>, Vec<_>) = values.into_iter().filter_map(|value| Word::new(&value).ok().map(|word| (value, word))).unzip();
            let line = CommandLine::of(&words);
            prop_assert_eq!(read(line.as_str()), values);
        }
    }
}
