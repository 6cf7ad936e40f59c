//! The transfer file of Azure Key Vault and Managed HSM (`.byok`): JSON around the wrapped key.

use base64ct::{Base64Url, Base64UrlUnpadded, Encoding as _};
use serde::Serialize;
use serde_json::{Map, Value};

use super::finding::Finding;
use super::layout;
use crate::error::{Error, Result};

const FORMAT: &str = "transfer file (.byok)";
const SCHEMA_VERSION: &str = "1.0.0";
const ALGORITHM: &str = "dir";
const ENCRYPTION: &str = "CKM_RSA_AES_KEY_WRAP";

/// A `.byok` file (BYOK specification of Azure Key Vault, "Key transfer blob").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzureTransferFile {
    /// Identifier of the key encryption key.
    pub kid: String,
    /// `RSAES-OAEP(KEK, AES-256 key) ‖ AES-KWP(AES-256 key, PKCS#8)`, OAEP with SHA-1.
    pub blob: Vec<u8>,
    /// The tool and module that made it.
    pub generator: String,
    /// Whether the base64url text carried padding, which some tools write.
    pub padding: bool,
}

#[derive(Serialize)]
struct Wire<'a> {
    schema_version: &'a str,
    header: Header<'a>,
    ciphertext: String,
    generator: &'a str,
}

#[derive(Serialize)]
struct Header<'a> {
    kid: &'a str,
    alg: &'a str,
    enc: &'a str,
}

impl AzureTransferFile {
    /// A file around a blob that keykit wrapped.
    #[must_use]
    pub fn new(kid: &str, blob: &[u8]) -> Self {
        Self { kid: kid.to_owned(), blob: blob.to_vec(), generator: format!("keykit {}", env!("CARGO_PKG_VERSION")), padding: false }
    }

    /// Names the module that the key came from, beside keykit.
    #[must_use]
    pub fn made_on(mut self, module: &str) -> Self {
        self.generator = format!("{}; {module}", self.generator);
        self
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Malformed`], with a hint for the mistakes that users make.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let (file, findings) = Self::examine(bytes);
        match (findings.into_iter().find(Finding::is_problem), file) {
            (Some(problem), _) => Err(problem.into_malformed(FORMAT)),
            (None, Some(file)) => Ok(file),
            (None, None) => Err(Error::Internal("a transfer file without a problem was not read".into())),
        }
    }

    /// Reads what can be read, and says everything that is wrong with it.
    pub(super) fn examine(bytes: &[u8]) -> (Option<Self>, Vec<Finding>) {
        let mut findings = Vec::new();
        let (bytes, marked) = match bytes.strip_prefix(b"\xef\xbb\xbf") {
            Some(rest) => (rest, true),
            None => (bytes, false),
        };
        if marked {
            let finding = Finding::problem("byte-order-mark", "it begins with a byte order mark, which JSON does not allow (RFC 8259 §8.1)");
            findings.push(finding.with_hint("write it again without one; PowerShell's Out-File and Notepad add it").at(0));
        }
        let object: Map<String, Value> = match serde_json::from_slice(bytes) {
            Ok(object) => object,
            Err(error) => {
                findings.push(Finding::problem("json", format!("it is not JSON: {error}")).at(offset_of(bytes, error.line(), error.column())));
                return (None, findings);
            }
        };
        let header = object.get("header").and_then(Value::as_object);
        let mut text = |object: Option<&Map<String, Value>>, name: &str| {
            let found = object.and_then(|object| object.get(name)).and_then(Value::as_str).map(str::to_owned);
            if found.is_none() {
                findings.push(Finding::problem("field-missing", format!("it has no text '{name}'")));
            }
            found.unwrap_or_default()
        };
        let [version, ciphertext, generator] = ["schema_version", "ciphertext", "generator"].map(|name| text(Some(&object), name));
        let [kid, algorithm, encryption] = ["kid", "alg", "enc"].map(|name| text(header, name));
        for (code, name, found, wanted) in [
            ("schema-version", "schema_version", &version, SCHEMA_VERSION),
            ("header", "alg", &algorithm, ALGORITHM),
            ("header", "enc", &encryption, ENCRYPTION),
        ] {
            if !found.is_empty() && found != wanted {
                findings.push(Finding::problem(code, format!("{name} is '{}', not '{wanted}'", shortened(found))));
            }
        }
        for name in object.keys().filter(|name| !["schema_version", "header", "ciphertext", "generator"].contains(&name.as_str())) {
            findings.push(Finding::warning("field-unknown", format!("it has a field '{}' that the specification does not know", shortened(name))));
        }
        let (blob, padding) = match decode(&ciphertext) {
            Ok((blob, padding)) => (blob, padding),
            // That it is missing has been said.
            Err(_) if ciphertext.is_empty() => (Vec::new(), false),
            Err(finding) => {
                findings.push(finding);
                (Vec::new(), false)
            }
        };
        (Some(Self { kid, blob, generator, padding }), findings)
    }

    /// The file's bytes; base64url without padding (RFC 7515 §2), or with it if [`Self::padding`] says so.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let wire = Wire {
            schema_version: SCHEMA_VERSION,
            header: Header { kid: &self.kid, alg: ALGORITHM, enc: ENCRYPTION },
            ciphertext: if self.padding { Base64Url::encode_string(&self.blob) } else { Base64UrlUnpadded::encode_string(&self.blob) },
            generator: &self.generator,
        };
        serde_json::to_vec_pretty(&wire).map_err(|error| Error::Internal(format!("encoding a transfer file: {error}")))
    }

    /// Pairs of (bits of the key encryption key, bits of the key inside) that fit the blob's length.
    #[must_use]
    pub fn possible_sizes(&self) -> Vec<(usize, usize)> {
        layout::possible_sizes(self.blob.len())
    }
}

/// The blob, and whether it was padded; or the mistake that was made.
fn decode(ciphertext: &str) -> Result<(Vec<u8>, bool), Finding> {
    let wrong = |code, message: &str, hint: &str| Err(Finding::problem(code, message).with_hint(hint));
    let trimmed = ciphertext.trim_end_matches('=');
    if trimmed.starts_with("BASE64URL(") {
        return wrong(
            "literal-example",
            "the ciphertext is the literal text of an example",
            "put the base64url text itself there, without BASE64URL( )",
        );
    }
    if trimmed.contains(|character: char| character.is_whitespace()) {
        return wrong("line-breaks", "the ciphertext has blanks or line breaks in it", "write it in one line: base64 -w0, or openssl base64 -A");
    }
    if trimmed.len() >= 512 && trimmed.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return wrong("hex", "the ciphertext is in hex, not in base64url", "encode the bytes themselves with base64url");
    }
    if trimmed.contains(['+', '/']) {
        return wrong("standard-base64", "the ciphertext is base64, not base64url", "base64url has - and _ where base64 has + and /");
    }
    let Ok(blob) = Base64UrlUnpadded::decode_vec(trimmed) else {
        return wrong("base64", "the ciphertext is not base64url", "it may have been cut or changed: take the file again");
    };
    if blob.len() >= 512 && blob.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_+/=\r\n".contains(byte)) {
        return wrong("base64-twice", "the ciphertext was encoded twice: what is inside is base64 again", "encode the bytes of the blob, once");
    }
    Ok((blob, trimmed.len() != ciphertext.len()))
}

fn shortened(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

/// The byte offset of a line and column as serde_json counts them (from 1; column 0 is the end of the line before).
fn offset_of(bytes: &[u8], line: usize, column: usize) -> u64 {
    let start = bytes.split_inclusive(|&byte| byte == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum::<usize>();
    u64::try_from(start.saturating_add(column.saturating_sub(1))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text() -> String {
        String::from_utf8(AzureTransferFile::new("k", b"abc").to_bytes().unwrap()).unwrap()
    }

    fn problem(text: &str) -> &'static str {
        AzureTransferFile::examine(text.as_bytes()).1.into_iter().find(Finding::is_problem).unwrap().code
    }

    #[test]
    fn traps_of_users_are_named() {
        let text = text();
        let trap = text.replace("YWJj", "BASE64URL(YWJj)");
        assert!(AzureTransferFile::parse(trap.as_bytes()).unwrap_err().hint().unwrap().contains("BASE64URL"));
        assert!(AzureTransferFile::parse(text.replace("YWJj", "YWI=").as_bytes()).unwrap().padding);
        for (from, to, code) in [
            ("YWJj", "BASE64URL(YWJj)", "literal-example"),
            ("YWJj", "YW+j", "standard-base64"),
            ("YWJj", "YW/j", "standard-base64"),
            ("YWJj", "YW Jj", "line-breaks"),
            ("YWJj", "YW\\nJj", "line-breaks"),
            ("YWJj", "Y", "base64"),
            ("YWJj", "YÄ", "base64"),
            ("YWJj", &"ab".repeat(300), "hex"),
            ("YWJj", &Base64UrlUnpadded::encode_string("QUJD".repeat(300).as_bytes()), "base64-twice"),
            ("1.0.0", "2.0.0", "schema-version"),
            ("\"dir\"", "\"RSA-OAEP\"", "header"),
            ("CKM_RSA_AES_KEY_WRAP", "A256KW", "header"),
            ("\"kid\"", "\"Kid\"", "field-missing"),
            ("\"ciphertext\"", "\"cyphertext\"", "field-missing"),
            ("\"k\"", "1", "field-missing"),
            ("{", "", "json"),
        ] {
            assert!(text.contains(from), "{from}");
            assert_eq!(problem(&text.replacen(from, to, 1)), code, "{to}");
        }
        assert_eq!(problem(&format!("\u{feff}{text}")), "byte-order-mark");
        let more = text.replacen('{', "{\"note\": 1,", 1);
        assert_eq!(AzureTransferFile::examine(more.as_bytes()).1[0].code, "field-unknown");
        AzureTransferFile::parse(more.as_bytes()).unwrap();
    }

    #[test]
    fn where_json_breaks_is_said() {
        let broken = text().replace("\"generator\"", "generator");
        let finding = AzureTransferFile::examine(broken.as_bytes()).1.remove(0);
        let place = u64::try_from(broken.find("generator").unwrap()).unwrap();
        assert!(finding.offset.unwrap().abs_diff(place) <= 1, "{finding:?}");
    }

    #[test]
    fn padding_is_written_where_it_is_asked_for() {
        let file = AzureTransferFile { padding: true, ..AzureTransferFile::new("k", b"ab") };
        let bytes = file.to_bytes().unwrap();
        assert!(String::from_utf8_lossy(&bytes).contains("\"YWI=\""));
        assert_eq!(AzureTransferFile::parse(&bytes).unwrap(), file);
    }

    #[test]
    fn the_module_is_in_the_generator() {
        assert!(AzureTransferFile::new("k", b"").made_on("SoftHSM project 2.6").generator.ends_with("; SoftHSM project 2.6"));
    }

    proptest! {
        #[test]
        fn files_come_back(kid in ".{0,40}", blob in proptest::collection::vec(128_u8.., 0..300)) {
            let file = AzureTransferFile::new(&kid, &blob);
            prop_assert_eq!(AzureTransferFile::parse(&file.to_bytes().unwrap()).unwrap(), file);
        }

        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in ".{0,200}") {
            prop_assert!(AzureTransferFile::parse(&bytes).is_err());
            let file = format!("{{\"ciphertext\":{text}}}");
            prop_assert!(AzureTransferFile::parse(file.as_bytes()).is_err());
        }
    }
}
