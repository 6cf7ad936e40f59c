use proptest::prelude::*;

use super::*;

const NAMES: [&str; 11] = [
    "azure-key-vault",
    "azure-managed-hsm",
    "aws-kms-sha256",
    "aws-kms-sha1",
    "google-kms-3072-sha256",
    "google-kms-4096-sha256",
    "google-kms-3072-sha1",
    "google-kms-4096-sha1",
    "vault-transit",
    "oci-vault",
    "pkcs11",
];

const OWN: &str = r#"
[[profile]]
name = "own"
title = "Our own"
reference = "a letter"
oaep_hash = "SHA-384"
mgf1_hash = "SHA-384"
plaintext = "pkcs8"
envelope = "base64"
target_bits = [2048]
next = ["send {file}"]
[profile.kek]
type = "RSA"
bits = [3072]
"#;

#[test]
fn the_built_in_profiles_are_those_of_the_plan() {
    let profiles = TransferProfile::built_in().unwrap();
    assert_eq!(profiles.iter().map(|profile| profile.name.as_str()).collect::<Vec<_>>(), NAMES);
    for profile in &profiles {
        assert!(!profile.reference.is_empty() && !profile.next.is_empty(), "{}", profile.name);
        assert_eq!(profile.name.contains("sha1") || profile.name.starts_with("azure") || profile.name == "pkcs11", profile.oaep_hash == Hash::Sha1);
        assert!(profile.next.iter().all(|next| next.names().any(|name| name == "file")), "{}", profile.name);
    }
}

#[test]
fn a_file_of_ones_own_is_read() {
    let own = TransferProfile::named(TransferProfile::parse_file(OWN).unwrap(), "own").unwrap();
    assert_eq!((own.oaep_hash, own.envelope, own.kek.bits.as_slice()), (Hash::Sha384, Envelope::Base64, &[3072][..]));
    let values = Values::from([("file".to_owned(), "my file".to_owned())]);
    assert_eq!(own.next_commands(&values), ["send 'my file'"]);
    assert!(TransferProfile::named(vec![own], "other").unwrap_err().hint().unwrap().contains("own"));
}

#[test]
fn mistakes_are_named_with_line_and_column() {
    for (from, to, line, what) in [
        ("title =", "titel =", "line 4, column 1", "titel"),
        ("bits = [3072]", "bits = [3072]\nsize = 1", "line 15, column 1", "size"),
        ("\"SHA-384\"\nmgf1", "\"MD5\"\nmgf1", "line 6, column 13", "MD5"),
        ("[2048]", "[2048", "line 11, column 1", ","),
        ("reference = \"a letter\"\n", "", "line 2, column 1", "reference"),
        ("target_bits = [2048]", "target_bits = [2048, 512]", "line 2, column 1", "target_bits"),
        ("mgf1_hash = \"SHA-384\"", "mgf1_hash = \"SHA-1\"", "line 2, column 1", "mgf1_hash"),
        ("bits = [3072]", "bits = [1024]", "line 2, column 1", "kek.bits"),
        ("{file}", "{File}", "line 2, column 1", "{"),
        ("\"own\"", "\"Our Own\"", "line 2, column 1", "Our Own"),
    ] {
        assert!(OWN.contains(from), "{from}");
        let error = TransferProfile::parse_file(&OWN.replacen(from, to, 1)).unwrap_err();
        assert_eq!(error.code(), "malformed");
        let text = error.to_string();
        assert!(text.contains(line) && text.contains(what), "{text}");
    }
    assert!(TransferProfile::parse_file(&OWN.replace("own\"", "pkcs11\"")).is_err());
    assert!(TransferProfile::parse_file(&format!("{OWN}{OWN}")).unwrap_err().to_string().contains("second"));
    assert!(TransferProfile::parse_file("").is_err());
}

#[test]
fn sizes_that_a_receiver_does_not_take_are_refused() {
    let azure = TransferProfile::named(TransferProfile::built_in().unwrap(), "azure-key-vault").unwrap();
    azure.check_target_bits(3072).unwrap();
    let refused = azure.check_target_bits(1024).unwrap_err();
    assert_eq!(refused.code(), "refused");
    assert!(refused.to_string().contains("2048, 3072 or 4096 bits [target-size]"), "{refused}");
}

proptest! {
    #[test]
    fn no_input_panics(text in ".{0,200}", cut in 0..OWN.len()) {
        prop_assert!(TransferProfile::parse_file(&text).is_err());
        if let Some(start) = OWN.get(..cut) {
            drop(TransferProfile::parse_file(&format!("{start}{text}")));
        }
    }
}
