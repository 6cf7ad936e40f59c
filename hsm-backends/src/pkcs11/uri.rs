//! PKCS#11 URIs (RFC 7512): which token, which key, which module, and where the PIN comes from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use keykit::{Error, Result};

use crate::secret_source::SecretSource;

/// A PKCS#11 URI. What is `None` matches everything.
///
/// Its text form is canonical: a fixed order, and everything percent-encoded that need not stand as it is. It never holds
/// a secret: `pin-value` is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pkcs11Uri {
    /// The token's label.
    pub token: Option<String>,
    /// The token's manufacturer.
    pub manufacturer: Option<String>,
    /// The token's model.
    pub model: Option<String>,
    /// The token's serial number.
    pub serial: Option<String>,
    /// The slot's number.
    pub slot_id: Option<u64>,
    /// The slot's description.
    pub slot_description: Option<String>,
    /// The slot's manufacturer.
    pub slot_manufacturer: Option<String>,
    /// The module's description of itself.
    pub library_description: Option<String>,
    /// The module's manufacturer.
    pub library_manufacturer: Option<String>,
    /// The module's version, `major` or `major.minor`.
    pub library_version: Option<String>,
    /// The object's label (CKA_LABEL).
    pub object: Option<String>,
    /// The object's CKA_ID.
    pub id: Option<Vec<u8>>,
    /// The object's class.
    pub object_type: Option<ObjectType>,
    /// Where the PIN comes from.
    pub pin_source: Option<SecretSource>,
    /// The module's file.
    pub module_path: Option<PathBuf>,
    /// The module's name.
    pub module_name: Option<String>,
}

/// The class of an object (RFC 7512 §2.3, attribute `type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectType {
    /// `private`
    Private,
    /// `public`
    Public,
    /// `cert`
    Certificate,
    /// `secret-key`
    SecretKey,
    /// `data`
    Data,
}

const FORMAT: &str = "PKCS#11 URI";
const SCHEME: &str = "pkcs11:";
/// Longer than any URI that a person writes.
const LENGTH_LIMIT: usize = 16 * 1024;

impl Pkcs11Uri {
    /// Reads a URI.
    ///
    /// Unknown attributes of the path are refused, since they could have narrowed the choice; unknown ones of the query are
    /// left out (RFC 7512 §2.4).
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is none, names an attribute twice, or holds a PIN (`pin-value`).
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > LENGTH_LIMIT {
            return Err(Error::malformed(FORMAT, "it is too long"));
        }
        let body = text
            .split_at_checked(SCHEME.len())
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(SCHEME))
            .map(|(_, body)| body)
            .ok_or_else(|| Error::malformed(FORMAT, "it does not start with `pkcs11:`"))?;
        if body.contains('#') {
            return Err(Error::malformed(FORMAT, "a `#` must be written %23"));
        }
        let (path, query) = body.split_once('?').map_or((body, None), |(path, query)| (path, Some(query)));
        let mut uri = Self::default();
        let mut seen = Vec::new();
        for (name, value) in attributes(path, ';') {
            uri.set_path_attribute(note(&mut seen, name)?, value?)?;
        }
        for (name, value) in query.into_iter().flat_map(|query| attributes(query, '&')) {
            uri.set_query_attribute(note(&mut seen, name)?, value?)?;
        }
        Ok(uri)
    }

    fn set_path_attribute(&mut self, name: &str, value: &str) -> Result<()> {
        match name {
            "id" => {
                self.id = Some(decode(name, value)?);
                return Ok(());
            }
            "slot-id" => {
                let number = decode_text(name, value)?;
                let digits = Some(number.as_str()).filter(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()));
                self.slot_id = Some(
                    digits
                        .and_then(|number| number.parse().ok())
                        .ok_or_else(|| Error::malformed(FORMAT, format!("slot-id '{number}' is not a decimal number")))?,
                );
                return Ok(());
            }
            "type" => {
                self.object_type = Some(decode_text(name, value)?.parse()?);
                return Ok(());
            }
            _ => {}
        }
        let field = match name {
            "token" => &mut self.token,
            "manufacturer" => &mut self.manufacturer,
            "model" => &mut self.model,
            "serial" => &mut self.serial,
            "slot-description" => &mut self.slot_description,
            "slot-manufacturer" => &mut self.slot_manufacturer,
            "library-description" => &mut self.library_description,
            "library-manufacturer" => &mut self.library_manufacturer,
            "library-version" => &mut self.library_version,
            "object" => &mut self.object,
            "pin-value" => return Err(pin_value()),
            other => {
                let query = ["pin-source", "module-path", "module-name"].contains(&other);
                let hint = if query { "it belongs behind a `?`, and further ones behind `&`" } else { "RFC 7512 §2.3 lists the attributes" };
                return Err(Error::malformed(FORMAT, format!("no attribute of the path is called '{other}'")).with_hint(hint));
            }
        };
        *field = Some(decode_text(name, value)?);
        Ok(())
    }

    fn set_query_attribute(&mut self, name: &str, value: &str) -> Result<()> {
        match name {
            "pin-source" => self.pin_source = Some(SecretSource::parse(&decode_text(name, value)?)?),
            "module-path" => self.module_path = Some(PathBuf::from(decode_text(name, value)?)),
            "module-name" => self.module_name = Some(decode_text(name, value)?),
            "pin-value" => return Err(pin_value()),
            _ => {}
        }
        Ok(())
    }

    /// The module's file.
    ///
    /// # Errors
    /// [`Error::Usage`] if the URI does not name it.
    pub fn required_module_path(&self) -> Result<&Path> {
        self.module_path.as_deref().ok_or_else(|| {
            Error::usage(format!("{self} does not say which PKCS#11 module to load"))
                .with_hint("add `?module-path=/path/to/the/vendor's/library.so` to the URI")
        })
    }
}

/// The `name=value` pairs of a part. A part without an equals sign has an error for a value.
fn attributes(part: &str, separator: char) -> impl Iterator<Item = (&str, Result<&str>)> {
    part.split(separator).filter(|attribute| !attribute.is_empty()).map(|attribute| {
        attribute.split_once('=').map_or_else(
            || (attribute, Err(Error::malformed(FORMAT, "an attribute without `=`").with_hint("attributes look like `token=NAME`"))),
            |(name, value)| (name, Ok(value)),
        )
    })
}

/// Refuses an attribute that was there before: two tools could read it two ways.
fn note<'a>(seen: &mut Vec<&'a str>, name: &'a str) -> Result<&'a str> {
    // The name may be part of a PIN that was put in a wrong place: it is shown only if it looks like a name.
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
        return Err(Error::malformed(FORMAT, "an attribute's name may have letters, digits, `-` and `_` only"));
    }
    if seen.contains(&name) {
        return Err(Error::malformed(FORMAT, format!("'{name}' is there twice")));
    }
    seen.push(name);
    Ok(name)
}

fn pin_value() -> Error {
    Error::malformed(FORMAT, "it holds a PIN (pin-value), which others on this machine can read in the process list")
        .with_hint("use `pin-source=prompt`, `fd:N`, `file:PATH`, `env:VAR` or `exec:CMD`; and consider the PIN as known")
}

fn decode(name: &str, value: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16)).and_then(|digit| u8::try_from(digit).ok());
                match (digit(rest.next()), digit(rest.next())) {
                    (Some(high), Some(low)) => high << 4 | low,
                    _ => return Err(Error::malformed(FORMAT, format!("'{name}' has a `%` without two hex digits"))),
                }
            }
            plain => plain,
        });
    }
    Ok(bytes)
}

fn decode_text(name: &str, value: &str) -> Result<String> {
    let text = String::from_utf8(decode(name, value)?).map_err(|_| Error::malformed(FORMAT, format!("'{name}' is not UTF-8")))?;
    if text.contains('\0') {
        return Err(Error::malformed(FORMAT, format!("'{name}' has a NUL byte")));
    }
    Ok(text)
}

/// Percent-encodes what is not unreserved (RFC 3986 §2.3) and not in `also`.
fn encode(f: &mut fmt::Formatter<'_>, bytes: &[u8], also: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|&byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || also.contains(&byte) {
            write!(f, "{}", char::from(byte))
        } else {
            write!(f, "%{byte:02X}")
        }
    })
}

impl fmt::Display for Pkcs11Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)?;
        let slot_id = self.slot_id.map(|number| number.to_string());
        let object_type = self.object_type.map(|class| class.to_string());
        let path = [
            ("token", &self.token),
            ("manufacturer", &self.manufacturer),
            ("model", &self.model),
            ("serial", &self.serial),
            ("slot-id", &slot_id),
            ("slot-description", &self.slot_description),
            ("slot-manufacturer", &self.slot_manufacturer),
            ("library-description", &self.library_description),
            ("library-manufacturer", &self.library_manufacturer),
            ("library-version", &self.library_version),
            ("object", &self.object),
            ("type", &object_type),
        ];
        let mut separator = "";
        for (name, value) in path.iter().filter_map(|(name, value)| value.as_ref().map(|value| (name, value))) {
            write!(f, "{separator}{name}=")?;
            encode(f, value.as_bytes(), b":")?;
            separator = ";";
        }
        if let Some(id) = &self.id {
            // All of it encoded: it is not text.
            write!(f, "{separator}id=")?;
            id.iter().try_for_each(|byte| write!(f, "%{byte:02X}"))?;
        }
        let pin_source = self.pin_source.as_ref().map(ToString::to_string);
        let module_path = self.module_path.as_ref().map(|path| path.to_string_lossy().into_owned());
        let mut separator = "?";
        for (name, value) in [("pin-source", &pin_source), ("module-path", &module_path), ("module-name", &self.module_name)] {
            if let Some(value) = value {
                write!(f, "{separator}{name}=")?;
                encode(f, value.as_bytes(), b":/")?;
                separator = "&";
            }
        }
        Ok(())
    }
}

impl FromStr for Pkcs11Uri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl fmt::Display for ObjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Private => "private",
            Self::Public => "public",
            Self::Certificate => "cert",
            Self::SecretKey => "secret-key",
            Self::Data => "data",
        })
    }
}

impl FromStr for ObjectType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "private" => Self::Private,
            "public" => Self::Public,
            "cert" => Self::Certificate,
            "secret-key" => Self::SecretKey,
            "data" => Self::Data,
            _ => return Err(Error::malformed(FORMAT, "`type` is one of private, public, cert, secret-key, data")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 7512 §3.
    #[test]
    fn examples_of_the_standard() {
        assert_eq!(Pkcs11Uri::parse("pkcs11:").unwrap(), Pkcs11Uri::default());
        let uri = Pkcs11Uri::parse(
            "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;object=my-certificate;type=cert;\
             id=%69%95%3E%5C%F4%BD%EC%91;serial=?pin-source=file:/etc/token_pin",
        )
        .unwrap();
        assert_eq!(uri.token.as_deref(), Some("The Software PKCS#11 Softtoken"));
        assert_eq!(uri.manufacturer.as_deref(), Some("Snake Oil, Inc."));
        assert_eq!(uri.object_type, Some(ObjectType::Certificate));
        assert_eq!(uri.id.as_deref(), Some(&[0x69, 0x95, 0x3e, 0x5c, 0xf4, 0xbd, 0xec, 0x91][..]));
        assert_eq!(uri.serial.as_deref(), Some(""));
        assert_eq!(uri.pin_source, Some(SecretSource::File("/etc/token_pin".into())));
        let uri =
            Pkcs11Uri::parse("pkcs11:slot-id=327;library-version=3;slot-manufacturer=a?module-path=/mnt/libmypkcs11.so.1&module-name=m").unwrap();
        assert_eq!((uri.slot_id, uri.module_name.as_deref()), (Some(327), Some("m")));
        assert_eq!(uri.required_module_path().unwrap(), Path::new("/mnt/libmypkcs11.so.1"));
    }

    #[test]
    fn a_pin_in_the_uri_is_refused_and_not_repeated() {
        for text in ["pkcs11:token=a?pin-value=7315", "pkcs11:token=a;pin-value=7315", "pkcs11:7315", "pkcs11:7315=="] {
            let error = Pkcs11Uri::parse(text).unwrap_err();
            assert!(!error.to_string().contains("7315="), "{error}");
        }
        let error = Pkcs11Uri::parse("pkcs11:token=a?pin-value=7315").unwrap_err();
        assert!(!error.to_string().contains("7315") && error.hint().unwrap().contains("pin-source"));
    }

    #[test]
    fn what_is_not_a_uri_is_refused() {
        for text in [
            "",
            "pkcs11",
            "http:x",
            "pkcs11:token",
            "pkcs11:token=a;token=b",
            "pkcs11:token=a?module-path=/a&module-path=/b",
            "pkcs11:tokn=a",
            "pkcs11:module-path=/a",
            "pkcs11:token=%4",
            "pkcs11:token=%zz",
            "pkcs11:token=%ff",
            "pkcs11:token=%00",
            "pkcs11:slot-id=-1",
            "pkcs11:slot-id=",
            "pkcs11:slot-id=99999999999999999999",
            "pkcs11:type=key",
            "pkcs11:token=a#b",
            "pkcs11:=a",
        ] {
            assert!(matches!(Pkcs11Uri::parse(text), Err(Error::Malformed(_))), "{text}");
        }
        assert!(Pkcs11Uri::parse("pkcs11:token=a?x-unknown=1").is_ok());
        assert!(matches!(Pkcs11Uri::default().required_module_path(), Err(Error::Usage { .. })));
    }

    #[test]
    fn the_canonical_form_is_in_one_order() {
        let uri = Pkcs11Uri::parse("PKCS11:id=%01a;object=key%2f1;token=a%20b?module-path=/usr/lib/x%20y.so&pin-source=env:PIN").unwrap();
        assert_eq!(uri.to_string(), "pkcs11:token=a%20b;object=key%2F1;id=%01%61?pin-source=env:PIN&module-path=/usr/lib/x%20y.so");
    }

    fn text() -> impl Strategy<Value = Option<String>> {
        proptest::option::of("[^\\x00]{0,12}")
    }

    prop_compose! {
        fn any_uri()(
            texts in proptest::array::uniform10(text()), slot_id in any::<Option<u64>>(), id in any::<Option<Vec<u8>>>(),
            module in text(), name in text(), fd in any::<Option<u32>>(), class in proptest::option::of(0..5_usize),
        ) -> Pkcs11Uri {
            let [token, manufacturer, model, serial, slot_description, slot_manufacturer, library_description, library_manufacturer, library_version,
                object] = texts;
            let classes = [ObjectType::Private, ObjectType::Public, ObjectType::Certificate, ObjectType::SecretKey, ObjectType::Data];
            Pkcs11Uri {
                token, manufacturer, model, serial, slot_id, slot_description, slot_manufacturer, library_description, library_manufacturer,
                library_version, object, id, object_type: class.map(|class| classes[class]), pin_source: fd.map(SecretSource::Fd),
                module_path: module.map(PathBuf::from), module_name: name,
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(uri in any_uri()) {
            prop_assert_eq!(Pkcs11Uri::parse(&uri.to_string()).unwrap(), uri);
        }

        #[test]
        fn no_input_panics(text in "\\PC*", tail in "[a-z%;?&=0-9#-]{0,40}") {
            drop(Pkcs11Uri::parse(&text));
            if let Ok(uri) = Pkcs11Uri::parse(&format!("pkcs11:{tail}")) {
                prop_assert_eq!(Pkcs11Uri::parse(&uri.to_string()).unwrap(), uri);
            }
        }
    }
}
