//! The custodian's own names, each checked against what the tools and the service take.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::error::{Error, Result};

/// "Application and identifiers cannot exceed 80 characters" (rule 77).
const IDENTIFIER_CHARACTERS: usize = 80;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(transparent)]
        pub struct $type(String);

        impl $type {
            /// As text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                let check: fn(&str) -> std::result::Result<(), &'static str> = $check;
                check(text).map_err(|problem| Error::malformed($what, format!("{text:?} {problem}")))?;
                Ok(Self(text.to_owned()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn all(text: &str, more: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.as_bytes().contains(&byte))
}

name!(
    /// `ident` of generatekey, KeyIdentifier of KeyTransferRemote.exe (rule 77).
    KeyIdentifier,
    "key identifier",
    |text| {
        if text.is_empty() || text.len() > IDENTIFIER_CHARACTERS {
            return Err("has not 1 to 80 characters (rule 77)");
        }
        if text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
            Ok(())
        } else {
            Err("has other characters than lower-case letters, digits and dashes (rule 77)")
        }
    }
);

name!(
    /// KeyFriendlyName of KeyTransferRemote.exe, which is also the name in Azure Key Vault and part of a file name.
    KeyFriendlyName,
    "friendly name of a key",
    |text| {
        if (1..=IDENTIFIER_CHARACTERS).contains(&text.len()) && all(text, "-") { Ok(()) } else { Err("must be 1 to 80 letters, digits and dashes") }
    }
);

name!(
    /// Name of an Azure Key Vault.
    VaultName,
    "name of a key vault",
    |text| {
        let begins = text.starts_with(|first: char| first.is_ascii_alphabetic());
        if begins && (3..=24).contains(&text.len()) && all(text, "-") && !text.ends_with('-') && !text.contains("--") {
            Ok(())
        } else {
            Err("must be 3 to 24 letters, digits and single dashes, beginning with a letter and not ending with a dash")
        }
    }
);

name!(
    /// Name of an Azure resource group.
    ResourceGroup,
    "name of a resource group",
    |text| {
        let ok = |character: char| character.is_alphanumeric() || "-_.()".contains(character);
        if (1..=90).contains(&text.chars().count()) && text.chars().all(ok) && !text.ends_with('.') {
            Ok(())
        } else {
            Err("must be 1 to 90 letters, digits and -_.(), not ending with a point")
        }
    }
);

name!(
    /// Identity of an Azure subscription: a GUID without braces.
    SubscriptionId,
    "identity of a subscription",
    |text| {
        let parts: Vec<usize> = text.split('-').map(str::len).collect();
        if parts == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') { Ok(()) } else { Err("is no GUID") }
    }
);

name!(
    /// Path of a file on a Windows machine.
    WindowsPath,
    "path of a file",
    |text| {
        // A colon may follow a drive's letter only: elsewhere it names a stream.
        let after_drive = match text.as_bytes() {
            [drive, b':', ..] if drive.is_ascii_alphabetic() => text.get(2..).unwrap_or_default(),
            _ => text,
        };
        if after_drive.is_empty() || after_drive.ends_with(['\\', '/', '.', ' ']) {
            return Err("names no file");
        }
        if text.starts_with('-') || after_drive.chars().any(|character| character.is_control() || "\"<>|?*:`\u{201c}\u{201d}\u{201e}".contains(character)) {
            return Err("has characters that Windows or this run book can't have in a file name, or begins with a dash");
        }
        Ok(())
    }
);

impl WindowsPath {
    /// Whether both name the same file: Windows compares without regard to case, and takes either slash.
    #[must_use]
    pub fn is_same_file(&self, other: &Self) -> bool {
        let plain = |path: &Self| {
            let slashes = path.0.replace('/', "\\").to_lowercase();
            slashes.split('\\').filter(|part| *part != ".").collect::<Vec<_>>().join("\\")
        };
        plain(self) == plain(other)
    }

    /// The same path with something between name and extension, and another extension.
    pub(super) fn with_suffix(&self, suffix: &str, extension: &str) -> Result<Self> {
        let name = self.0.rfind(['\\', '/', ':']).map_or(0, |position| position + 1);
        let point = self.0.rfind('.').filter(|&point| point > name).unwrap_or(self.0.len());
        format!("{}{suffix}.{extension}", self.0.get(..point).unwrap_or_default()).parse()
    }

    /// The drive's letter, if the path has one.
    pub(super) fn drive(&self) -> Option<char> {
        self.0.get(1..2).filter(|colon| *colon == ":").and_then(|_| self.0.chars().next())
    }
}

/// Application of a key in a Security World.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyApplication {
    /// Keys that the toolset generated or imported.
    Simple,
    /// Keys of the CryptoAPI, which AD RMS uses (rule 67).
    Mscapi,
    /// Keys of the newer CNG.
    Caping,
}

impl KeyApplication {
    /// As the tools name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Mscapi => "mscapi",
            Self::Caping => "caping",
        }
    }
}

impl FromStr for KeyApplication {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Simple, Self::Mscapi, Self::Caping]
            .into_iter()
            .find(|application| application.as_str() == text)
            .ok_or_else(|| Error::malformed("application of a key", format!("{text:?} is none of simple, mscapi, caping")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn identifiers_follow_rule_77() {
        for good in ["contosobyok", "container-2c0afb5fd62d214dad1028bc6dfae81317d1b201", "1", &"a".repeat(80)] {
            assert!(good.parse::<KeyIdentifier>().is_ok(), "{good}");
        }
        for bad in ["", "ContosoBYOK", "contoso_byok", "contoso byok", "schlüssel", "a;b", &"a".repeat(81)] {
            assert!(bad.parse::<KeyIdentifier>().unwrap_err().to_string().contains("rule 77"), "{bad}");
        }
    }

    #[test]
    fn other_names_are_checked() {
        assert!("contoso-byok-kv".parse::<VaultName>().is_ok());
        for bad in ["ab", "1vault", "a--b", "vault-", "vault_name", &"a".repeat(25)] {
            assert!(bad.parse::<VaultName>().is_err(), "{bad}");
        }
        assert!("contoso-byok-rg (test)".parse::<ResourceGroup>().is_err());
        assert!("Ressourcen_ä.(1)".parse::<ResourceGroup>().is_ok());
        assert!("12345678-9abc-def0-1234-56789abcdef0".parse::<SubscriptionId>().is_ok());
        assert!("{12345678-9abc-def0-1234-56789abcdef0}".parse::<SubscriptionId>().is_err());
        assert!("ContosoFirstHSMkey".parse::<KeyFriendlyName>().is_ok() && "a.b".parse::<KeyFriendlyName>().is_err());
        assert!("mscapi".parse::<KeyApplication>().is_ok() && "MSCAPI".parse::<KeyApplication>().is_err());
    }

    #[test]
    fn paths_are_compared_as_windows_does() {
        let path = |text: &str| text.parse::<WindowsPath>().unwrap();
        assert!(path(r"E:\Contoso TPD.xml").is_same_file(&path("e:/contoso tpd.XML")));
        assert!(path(r".\a.xml").is_same_file(&path("a.xml")));
        assert!(!path(r"E:\a.xml").is_same_file(&path(r"E:\b.xml")));
        assert_eq!(path(r"E:\v1.0\Contoso").with_suffix("_key", "pem").unwrap(), path(r"E:\v1.0\Contoso_key.pem"));
        assert_eq!(path(r"E:\Contoso.xml").with_suffix("_keyless", "xml").unwrap(), path(r"E:\Contoso_keyless.xml"));
        for bad in ["", "E:", r"E:\", "a.xml:stream", "a\"b.xml", "a?.xml", "-a.xml", "a\n.xml"] {
            assert!(bad.parse::<WindowsPath>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_name_panics(text in "\\PC{0,100}|[a-z:.\\\\/-]{0,90}") {
            drop(text.parse::<KeyIdentifier>());
            drop(text.parse::<VaultName>());
            drop(text.parse::<ResourceGroup>());
            drop(text.parse::<SubscriptionId>());
            drop(text.parse::<KeyFriendlyName>());
            if let Ok(path) = text.parse::<WindowsPath>() {
                prop_assert!(path.is_same_file(&path));
                prop_assert!(path.with_suffix("_key", "pem").is_ok_and(|other| !other.is_same_file(&path)));
                prop_assert!(crate::artefact::power_shell::Word::new(path.as_str()).is_ok());
                prop_assert!(path.drive().is_none_or(|drive| drive.is_ascii_alphabetic()));
            }
        }
    }
}
