//! `.reg` files, as the registry editor of Windows imports them ("Windows Registry Editor Version 5.00").
//!
//! The text is UTF-16, little endian, with a byte order mark; lines end with CR LF. In names and texts, `\` and `"` stand after a
//! `\`. A key in brackets with a `-` before it is deleted with all below it; a value that is `-` is deleted. Texts (`REG_SZ`) and
//! 32-bit numbers (`REG_DWORD`) are known here, no other types.

use crate::error::{Error, Result};

const FORMAT: &str = "registry file";
const HEADER: &str = "Windows Registry Editor Version 5.00";
/// Largest file that is read, in bytes.
const LIMIT: usize = 1 << 20;
/// The roots that keys stand under.
const ROOTS: [&str; 5] = ["HKEY_LOCAL_MACHINE", "HKEY_CURRENT_USER", "HKEY_CLASSES_ROOT", "HKEY_USERS", "HKEY_CURRENT_CONFIG"];

/// What becomes of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// A text (`REG_SZ`).
    Text(String),
    /// A number (`REG_DWORD`).
    Number(u32),
    /// It is deleted.
    Deleted,
}

/// A value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    name: Option<String>,
    data: Data,
}

impl Value {
    /// A value; without a name, the default one of its key.
    ///
    /// # Errors
    /// [`Error::Malformed`] for an empty name, and for control characters.
    pub fn new(name: Option<&str>, data: Data) -> Result<Self> {
        if let Some(name) = name {
            if name.is_empty() {
                return Err(Error::malformed(FORMAT, "a value has an empty name"));
            }
            printable(name)?;
        }
        if let Data::Text(text) = &data {
            printable(text)?;
        }
        Ok(Self { name: name.map(str::to_owned), data })
    }

    /// Its name; `None` for the default value.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What becomes of it.
    #[must_use]
    pub fn data(&self) -> &Data {
        &self.data
    }
}

/// A key, and what becomes of its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    path: String,
    deleted: bool,
    values: Vec<Value>,
}

impl Key {
    /// A key with values; it is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Malformed`] unless the path begins with the long name of a root, without control characters and empty parts.
    pub fn with(path: &str, values: Vec<Value>) -> Result<Self> {
        Ok(Self { path: checked_path(path)?, deleted: false, values })
    }

    /// A key that is deleted with all below it.
    ///
    /// # Errors
    /// As [`Key::with`], and for a root alone.
    pub fn deleted(path: &str) -> Result<Self> {
        if !path.contains('\\') {
            return Err(Error::malformed(FORMAT, format!("{path:?} is a whole root and would be deleted")));
        }
        Ok(Self { path: checked_path(path)?, deleted: true, values: Vec::new() })
    }

    /// Its path from the root.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether it is deleted.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Its values.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.values
    }
}

/// A registry file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryFile {
    /// What to know, one line each; it stands above the keys.
    comments: Vec<String>,
    /// The keys, in order.
    pub keys: Vec<Key>,
}

impl RegistryFile {
    /// A file with these keys, in this order.
    #[must_use]
    pub fn new(keys: Vec<Key>) -> Self {
        Self { comments: Vec::new(), keys }
    }

    /// The same with something to know above its keys, one line each.
    ///
    /// # Errors
    /// [`Error::Malformed`] for control characters and line ends.
    pub fn with_comments(mut self, comments: &[&str]) -> Result<Self> {
        for comment in comments {
            printable(comment)?;
            self.comments.push((*comment).to_owned());
        }
        Ok(self)
    }

    /// What to know, one line each.
    #[must_use]
    pub fn comments(&self) -> &[String] {
        &self.comments
    }

    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("\u{feff}{HEADER}\r\n");
        if !self.comments.is_empty() {
            text.push_str("\r\n");
            self.comments.iter().for_each(|comment| text.push_str(&format!("; {comment}\r\n")));
        }
        for key in &self.keys {
            text.push_str(&format!("\r\n[{}{}]\r\n", if key.deleted { "-" } else { "" }, key.path));
            for value in &key.values {
                match &value.name {
                    Some(name) => text.push_str(&quoted(name)),
                    None => text.push('@'),
                }
                text.push('=');
                match &value.data {
                    Data::Text(data) => text.push_str(&quoted(data)),
                    Data::Number(number) => text.push_str(&format!("dword:{number:08x}")),
                    Data::Deleted => text.push('-'),
                }
                text.push_str("\r\n");
            }
        }
        text.push_str("\r\n");
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    /// Reads a file. Comments (`;`) above the first key are kept, others and empty lines are passed over.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the line.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > LIMIT || !bytes.len().is_multiple_of(2) {
            return Err(Error::malformed(FORMAT, format!("it has {} bytes; an even number up to {LIMIT} is read", bytes.len())));
        }
        let units = bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(u16::from_le_bytes));
        let text: String =
            char::decode_utf16(units).collect::<Result<_, _>>().map_err(|_| Error::malformed(FORMAT, "it is not UTF-16, little endian"))?;
        let text = text.strip_prefix('\u{feff}').ok_or_else(|| Error::malformed(FORMAT, "it has no byte order mark of UTF-16, little endian"))?;
        let mut lines = text.split("\r\n").enumerate();
        if lines.next().is_none_or(|(_, first)| first != HEADER) {
            return Err(Error::malformed(FORMAT, format!("its first line is not {HEADER:?}")));
        }
        let mut file = Self::default();
        for (index, line) in lines {
            if let Some(comment) = line.strip_prefix(';') {
                if file.keys.is_empty() {
                    let comment = comment.strip_prefix(' ').unwrap_or(comment);
                    printable(comment).map_err(|error| Error::malformed(FORMAT, format!("line {}: {error}", index + 1)))?;
                    file.comments.push(comment.to_owned());
                }
                continue;
            }
            if line.is_empty() {
                continue;
            }
            file.read_line(line).map_err(|problem| Error::malformed(FORMAT, format!("line {}: {problem}", index + 1)))?;
        }
        Ok(file)
    }

    fn read_line(&mut self, line: &str) -> Result<(), String> {
        if let Some(path) = line.strip_prefix('[') {
            let path = path.strip_suffix(']').ok_or("a key does not end with `]`")?;
            let key = match path.strip_prefix('-') {
                Some(path) => Key::deleted(path),
                None => Key::with(path, Vec::new()),
            };
            self.keys.push(key.map_err(|error| error.to_string())?);
            return Ok(());
        }
        let key = self.keys.last_mut().filter(|key| !key.deleted).ok_or("a value without a key")?;
        let (name, rest) = match line.strip_prefix('@') {
            Some(rest) => (None, rest),
            None => unquoted(line).map(|(name, rest)| (Some(name), rest))?,
        };
        let data = rest.strip_prefix('=').ok_or("no `=` after the name of a value")?;
        let data = if data == "-" {
            Data::Deleted
        } else if let Some(digits) = data.strip_prefix("dword:") {
            let plain = digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            Data::Number(u32::from_str_radix(digits, 16).ok().filter(|_| plain).ok_or("a dword has not eight hexadecimal digits")?)
        } else {
            let (text, rest) = unquoted(data)?;
            if !rest.is_empty() {
                return Err("more stands after a text".into());
            }
            Data::Text(text)
        };
        key.values.push(Value::new(name.as_deref(), data).map_err(|error| error.to_string())?);
        Ok(())
    }
}

fn printable(text: &str) -> Result<()> {
    match text.chars().find(|character| character.is_control()) {
        Some(_) => Err(Error::malformed(FORMAT, format!("{text:?} has a control character or a line end in it"))),
        None => Ok(()),
    }
}

fn checked_path(path: &str) -> Result<String> {
    printable(path)?;
    let mut parts = path.split('\\');
    if !parts.next().is_some_and(|root| ROOTS.contains(&root)) || parts.any(str::is_empty) {
        return Err(Error::malformed(FORMAT, format!("{path:?} is not the path of a key: it begins with a root such as HKEY_LOCAL_MACHINE")));
    }
    Ok(path.to_owned())
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A text in quotes at the beginning, and what stands after it.
fn unquoted(line: &str) -> Result<(String, &str), String> {
    let mut rest = line.strip_prefix('"').ok_or("a name or text does not begin with a quote, or is of an unknown type")?.chars();
    let mut text = String::new();
    loop {
        match rest.next() {
            Some('"') => return Ok((text, rest.as_str())),
            Some('\\') => match rest.next() {
                Some(escaped @ ('\\' | '"')) => text.push(escaped),
                _ => return Err("a backslash stands before something other than a backslash or a quote".into()),
            },
            Some(character) => text.push(character),
            None => return Err("a text does not end".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_has_the_bytes_of_the_registry_editor() {
        let value = |name, data| Value::new(name, data).unwrap();
        let values = vec![
            value(None, Data::Text(r#"C:\a "b""#.into())),
            value(Some("https://rms.contoso.com:443/_wmcs/licensing"), Data::Deleted),
            value(Some("Trace"), Data::Number(31)),
        ];
        let keys = vec![Key::with(r"HKEY_LOCAL_MACHINE\Software\Ä", values).unwrap(), Key::deleted(r"HKEY_CURRENT_USER\Software\B").unwrap()];
        let file = RegistryFile::new(keys);
        let bytes = file.to_bytes();
        let expected = "\u{feff}Windows Registry Editor Version 5.00\r\n\r\n[HKEY_LOCAL_MACHINE\\Software\\Ä]\r\n@=\"C:\\\\a \\\"b\\\"\"\r\n\
                        \"https://rms.contoso.com:443/_wmcs/licensing\"=-\r\n\"Trace\"=dword:0000001f\r\n\r\n\
                        [-HKEY_CURRENT_USER\\Software\\B]\r\n\r\n";
        assert_eq!(bytes, expected.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
        assert_eq!(&bytes[..4], [0xff, 0xfe, b'W', 0]);
        assert_eq!(RegistryFile::parse(&bytes).unwrap(), file);
    }

    #[test]
    fn what_is_no_registry_file_is_refused() {
        for body in ["[HKLM\\a]", "[HKEY_USERS\\\\a]", "[-HKEY_USERS]", "@=-", "[HKEY_USERS\\a]\r\n\"a\"=hex:00", "[HKEY_USERS\\a]\r\n\"\"=-"] {
            let text = format!("\u{feff}{HEADER}\r\n{body}\r\n");
            let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            assert_eq!(RegistryFile::parse(&bytes).unwrap_err().code(), "malformed", "{body}");
        }
        assert!(Value::new(Some("a\nb"), Data::Deleted).is_err() && Value::new(None, Data::Text("a\r\n[b]".into())).is_err());
    }

    fn data() -> impl Strategy<Value = Data> {
        prop_oneof!["\\PC{0,20}".prop_map(Data::Text), any::<u32>().prop_map(Data::Number), Just(Data::Deleted)]
    }

    fn key() -> impl Strategy<Value = Key> {
        let value =
            (prop::option::of("[ -~äé€\u{1f511}]{1,20}"), data()).prop_filter_map("printable", |(name, data)| Value::new(name.as_deref(), data).ok());
        ("[ -\\[\\]-~ä]{1,12}", prop::collection::vec(value, 0..4), any::<bool>()).prop_map(|(name, values, deleted)| {
            let path = format!("HKEY_LOCAL_MACHINE\\{name}");
            if deleted { Key::deleted(&path).unwrap() } else { Key::with(&path, values).unwrap() }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(keys in prop::collection::vec(key(), 0..5), comments in prop::collection::vec("[ -~ä€]{0,20}", 0..3)) {
            let comments: Vec<&str> = comments.iter().map(String::as_str).collect();
            let file = RegistryFile::new(keys).with_comments(&comments).unwrap();
            prop_assert_eq!(RegistryFile::parse(&file.to_bytes()).unwrap(), file);
        }

        #[test]
        fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,60}", lines in prop::collection::vec("[-@=\\[\\]\"\\\\a;:dwor0]{0,12}", 0..6)) {
            drop(RegistryFile::parse(&bytes));
            for body in [text, format!("[HKEY_USERS\\a]\r\n{}", lines.join("\r\n"))] {
                let bytes: Vec<u8> = format!("\u{feff}{HEADER}\r\n{body}").encode_utf16().flat_map(u16::to_le_bytes).collect();
                if let Ok(file) = RegistryFile::parse(&bytes) {
                    prop_assert_eq!(RegistryFile::parse(&file.to_bytes()).unwrap(), file);
                }
            }
        }
    }
}
