//! GUIDs as XrML writes them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::FORMAT;
use super::time::shorten;
use crate::error::{Error, Result};

/// A GUID. Its text form is lower case without braces; documents hold it [`Guid::braced`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Guid(u128);

impl Guid {
    /// A GUID from its number, as the hex digits read from left to right.
    #[must_use]
    pub const fn from_u128(number: u128) -> Self {
        Self(number)
    }

    /// A new random GUID (RFC 9562 §5.4).
    ///
    /// # Errors
    /// [`Error::Internal`] if the system has no random numbers.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| Error::Internal(format!("no random numbers: {error}")))?;
        let number = u128::from_be_bytes(bytes);
        Ok(Self(number & !(0xf << 76) & !(0b11 << 62) | 0x4 << 76 | 0b10 << 62))
    }

    /// The form that documents hold: `{586b5746-aa26-4310-81b1-ea20d40cfc89}`.
    #[must_use]
    pub fn braced(&self) -> String {
        format!("{{{self}}}")
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |shift: u32, digits: u32| (self.0 >> shift) & ((1 << (digits * 4)) - 1);
        write!(f, "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", part(96, 8), part(80, 4), part(64, 4), part(48, 4), part(0, 12))
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

impl FromStr for Guid {
    type Err = Error;

    /// Reads a GUID with or without braces, in either case.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    fn from_str(text: &str) -> Result<Self> {
        let bare = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
        let hyphens = |index: usize| matches!(index, 8 | 13 | 18 | 23);
        let sound =
            bare.len() == 36 && bare.bytes().enumerate().all(|(index, byte)| if hyphens(index) { byte == b'-' } else { byte.is_ascii_hexdigit() });
        sound
            .then(|| u128::from_str_radix(&bare.replace('-', ""), 16).ok())
            .flatten()
            .map(Self)
            .ok_or_else(|| Error::malformed(FORMAT, format!("'{}' is not a GUID", shorten(text))))
    }
}

impl From<Guid> for String {
    fn from(guid: Guid) -> Self {
        guid.to_string()
    }
}

impl TryFrom<String> for Guid {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_of_real_documents_are_read() {
        let braced: Guid = "{94BF969A-CA04-44d6-AA96-51071281FEF2}".parse().unwrap();
        assert_eq!(braced.to_string(), "94bf969a-ca04-44d6-aa96-51071281fef2");
        assert_eq!("94bf969a-ca04-44d6-aa96-51071281fef2".parse::<Guid>().unwrap(), braced);
        for text in ["", "{94bf969a-ca04-44d6-aa96-51071281fef2", "94bf969a-ca04-44d6-aa96-51071281fef", "94bf969aca0444d6aa9651071281fef2", "é"] {
            assert!(text.parse::<Guid>().is_err(), "{text}");
        }
    }

    #[test]
    fn random_ones_say_so_and_differ() {
        let guid = Guid::random().unwrap();
        let text = guid.to_string();
        assert_eq!(&text[14..15], "4");
        assert!("89ab".contains(&text[19..20]));
        assert_ne!(guid, Guid::random().unwrap());
    }

    proptest! {
        #[test]
        fn text_and_back(number: u128) {
            let guid = Guid::from_u128(number);
            prop_assert_eq!(guid.to_string().parse::<Guid>().unwrap(), guid);
            prop_assert_eq!(guid.braced().to_uppercase().parse::<Guid>().unwrap(), guid);
        }

        #[test]
        fn no_input_panics(text in "\\PC{0,40}|[0-9a-fé{}-]{30,40}") {
            if let Ok(guid) = text.parse::<Guid>() {
                prop_assert!(text.to_lowercase().contains(&guid.to_string()));
            }
        }
    }
}
