//! Another reader agrees: OpenSSL decrypts what keykit writes and reads the key in it.
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of a test")]

use std::path::Path;
use std::process::{Command, Output};

use base64ct::{Base64, Encoding};
use keykit::key::RsaSecretKey;
use keykit::secret::Password;
use keykit::tpd::{KeyDerivation, KeyInformation, TrustedPublishingDomain};

const START_VALUE: &str = "0102030405060708090a0b0c0d0e0f10";
/// The cipher keys of `Pa$$w0rd`, computed elsewhere.
const KEYS: [(KeyDerivation, &str); 2] =
    [(KeyDerivation::Sha256, "86084d8f165645dde017d7767252ef2d"), (KeyDerivation::Pbkdf1Sha1, "222450906e5cc7d33720d0808b527432")];

fn openssl(arguments: &[&str], folder: &Path) -> Option<Output> {
    match Command::new("openssl").args(arguments).current_dir(folder).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("openssl does not start: {error}"),
    }
}

fn succeed(arguments: &[&str], folder: &Path) {
    let output = openssl(arguments, folder).expect("it was there a moment ago");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The bytes of an element, found without an XML reader.
fn part(file: &str, name: &str) -> Vec<u8> {
    let (_, rest) = file.split_once(&format!("<{name}>")).expect("the element begins");
    let (text, _) = rest.split_once(&format!("</{name}>")).expect("the element ends");
    Base64::decode_vec(text).expect("the element is base64")
}

#[test]
fn openssl_opens_both_parts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    if openssl(&["version"], folder).is_none() {
        return keykit_vectors::skip("tpd_openssl", "openssl is not installed");
    }
    for pem in [include_str!("../../vectors/tpd/key.pem"), include_str!("../../vectors/keys/rsa-1024-e3.pem")] {
        for (derivation, cipher_key) in KEYS {
            let key = RsaSecretKey::from_pem(pem).unwrap();
            let expected = key.to_pkcs1_der().expose().to_vec();
            let information = KeyInformation {
                id: "{0}".into(),
                id_type: "MS-GUID".into(),
                csp_type: 24,
                csp_name: String::new(),
                key_container: String::new(),
                key_number: 1,
            };
            let domain = TrustedPublishingDomain::new(information, vec!["<XrML>é</XrML>".into()], vec![], Some(key), derivation).unwrap();
            let file = String::from_utf8(domain.seal(&Password::new("Pa$$w0rd".into())).unwrap()).unwrap();
            for (name, clear) in [("m_strTrustedDocDomainInfo", "information"), ("m_strKeyData", "blob")] {
                std::fs::write(folder.join("encrypted"), part(&file, name)).unwrap();
                succeed(&["enc", "-d", "-aes-128-cbc", "-K", cipher_key, "-iv", START_VALUE, "-in", "encrypted", "-out", clear], folder);
            }
            let information = std::fs::read_to_string(folder.join("information")).unwrap();
            assert!(information.contains("<string>&lt;XrML&gt;é&lt;/XrML&gt;</string>"), "{information}");

            // OpenSSL finds the form of the blob by itself; the name of the form differs between its versions.
            succeed(&["pkey", "-in", "blob", "-traditional", "-outform", "DER", "-out", "key.der"], folder);
            assert_eq!(std::fs::read(folder.join("key.der")).unwrap(), expected);
        }
    }
}
