use base64ct::Base64UrlUnpadded;
use proptest::prelude::*;

use super::*;

const KID: &str = "https://contoso.vault.azure.net/keys/KEKforBYOK/0123456789abcdef0123456789abcdef";

fn lint(bytes: &[u8], named_byok: bool) -> LintReport {
    LintReport::of(bytes, named_byok, &TransferProfile::built_in().unwrap())
}

/// A blob of this length that is no text.
fn blob(length: usize) -> Vec<u8> {
    (0..length).map(|position| u8::try_from(position * 7 % 251).unwrap() | 0x80).collect()
}

fn file(blob: &[u8]) -> Vec<u8> {
    AzureTransferFile::new(KID, blob).to_bytes().unwrap()
}

fn codes(report: &LintReport) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.code).collect()
}

fn suited(report: &LintReport) -> Vec<&str> {
    report.profiles.iter().filter(|verdict| verdict.suits).map(|verdict| verdict.profile.as_str()).collect()
}

#[test]
fn a_sound_file_suits_its_receivers_and_says_why_not_the_others() {
    let report = lint(&file(&blob(1736)), true);
    assert_eq!((report.kind, codes(&report)), (TransferKind::WrappedKey(Envelope::AzureByok), Vec::new()));
    assert_eq!((report.possible_sizes(), report.padding), (vec![(4096, 2048)], Some(false)));
    assert_eq!(suited(&report), ["azure-key-vault"]);
    for verdict in report.profiles.iter().filter(|verdict| !verdict.suits) {
        assert!(!verdict.reasons.is_empty(), "{}", verdict.profile);
    }
    let managed = report.profiles.iter().find(|verdict| verdict.profile == "azure-managed-hsm").unwrap();
    assert!(managed.reasons[0].contains("contoso.vault.azure.net"), "{managed:?}");
}

#[test]
fn bare_blobs_suit_by_length() {
    let report = lint(&blob(1736), false);
    assert_eq!(report.kind, TransferKind::WrappedKey(Envelope::Raw));
    assert_eq!(suited(&report), ["aws-kms-sha256", "aws-kms-sha1", "google-kms-4096-sha256", "google-kms-4096-sha1", "pkcs11"]);
    assert_eq!(suited(&lint(&blob(1608), false)), ["aws-kms-sha256", "aws-kms-sha1", "google-kms-3072-sha256", "google-kms-3072-sha1", "pkcs11"]);
    // A key of 1024 bits under 2048.
    assert_eq!(suited(&lint(&blob(904), false)), ["pkcs11"]);
    let report = lint(Base64::encode_string(&blob(1736)).as_bytes(), false);
    assert_eq!((report.kind, suited(&report)), (TransferKind::WrappedKey(Envelope::Base64), vec!["vault-transit", "oci-vault"]));
    assert!(codes(&report).is_empty());
}

#[test]
fn traps_are_named() {
    let sound = blob(1488);
    let base64 = Base64::encode_string(&sound);
    let mut lines = base64.clone();
    lines.insert(64, '\n');
    let clear = keykit_vectors::read("tpd/key.pem").unwrap();
    let pkcs8 = RsaSecretKey::from_pem(std::str::from_utf8(&clear).unwrap()).unwrap().to_pkcs8_der().unwrap();
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(file(&sound).into_iter().flat_map(|byte| [byte, 0])).collect();
    let hex: String = sound.iter().map(|byte| format!("{byte:02x}")).collect();
    for (bytes, named_byok, code) in [
        (sound.clone(), true, "json-missing"),
        (vec![1, 2, 3, 0xff], true, "legacy"),
        (blob(1000), true, "legacy"),
        (blob(5001), true, "legacy"),
        (sound[..1487].to_vec(), true, "truncated"),
        ([&sound[..], &[0x80]].concat(), true, "truncated"),
        (utf16, true, "utf-16"),
        ([&b"\xef\xbb\xbf"[..], &file(&sound)].concat(), true, "byte-order-mark"),
        (Base64::encode_string(&file(&sound)).into_bytes(), true, "json-in-base64"),
        (Base64UrlUnpadded::encode_string(&sound).into_bytes(), false, "base64url"),
        (base64.trim_end_matches('=').as_bytes().to_vec(), false, if base64.ends_with('=') { "base64-padding" } else { "" }),
        (lines.into_bytes(), false, "line-breaks"),
        (hex.into_bytes(), false, "hex"),
        (clear.clone(), false, "key-in-the-clear"),
        (pkcs8.expose().to_vec(), false, "key-in-the-clear"),
        (pkcs8.expose().to_vec(), true, "key-in-the-clear"),
        (file(pkcs8.expose()), true, "key-in-the-clear"),
        (Base64::encode_string(pkcs8.expose()).into_bytes(), false, "key-in-the-clear"),
        (file(&sound[..1487]), true, "truncated"),
        (file(&[]), true, "truncated"),
        (file(&blob(256)), true, "no-wrapped-key"),
        (file(&blob(264)), true, "empty-key"),
        (file(&blob(552)), true, "not-rsa"),
        (AzureTransferFile::new("", &sound).to_bytes().unwrap(), true, "kid-missing"),
        (AzureTransferFile::new("KEKforBYOK", &sound).to_bytes().unwrap(), true, "kid-form"),
        (AzureTransferFile::new("https://contoso.vault.azure.net/keys/KEKforBYOK", &sound).to_bytes().unwrap(), true, "kid-form"),
        (AzureTransferFile::new(KID, &sound).made_on("SoftHSM project SoftHSM v2 2.6").to_bytes().unwrap(), true, "softhsm-zero-padding"),
        (b"{\"schema_version\":".to_vec(), true, "json"),
    ] {
        let report = lint(&bytes, named_byok);
        assert_eq!(codes(&report).first().copied().unwrap_or_default(), code, "{report:?}");
        if report.findings.iter().any(Finding::is_problem) {
            assert!(suited(&report).is_empty(), "{code}");
        }
    }
}

#[test]
fn softhsm_2_6_is_told_by_its_own_version() {
    for (generator, pads) in [
        ("keykit 1.0.0; SoftHSM project SoftHSM v2 2.6", true),
        ("tool 3.1; SoftHSM 2.6.1", true),
        ("SoftHSM/2.6.1", true),
        ("keykit 2.6.4; SoftHSM project SoftHSM v2 2.7", false),
        ("SoftHSM 2.7, tool 2.6", false),
        ("SoftHSM 2.60", false),
        ("SoftHSM 12.6", false),
        ("keykit 2.6", false),
    ] {
        let mut report = LintReport::new(TransferKind::WrappedKey(Envelope::AzureByok));
        report.generator = Some(generator.into());
        report.check_header();
        assert_eq!(codes(&report).contains(&"softhsm-zero-padding"), pads, "{generator}");
    }
}

#[test]
fn other_files_are_not_taken_for_wrapped_keys() {
    for bytes in [&b""[..], b"Dear all", b"{}", b"{\"a\":1}", &[0; 100], b"deadbeef"] {
        assert_eq!(lint(bytes, false).kind, TransferKind::Unknown);
    }
    for text in ["", "BASE64URL(ezzW)", "Dear all", "deadbeef"] {
        assert_eq!(lint(text.as_bytes(), true).kind, TransferKind::Unknown, "{text}");
    }
}

proptest! {
    #[test]
    fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..2000), text in ".{0,300}", named_byok in any::<bool>()) {
        for bytes in [bytes.as_slice(), text.as_bytes(), format!("{{\"ciphertext\":{text:?}}}").as_bytes()] {
            let report = lint(bytes, named_byok);
            prop_assert!(report.is_sound() || suited(&report).is_empty());
        }
    }

    /// What a profile suits has one of its lengths and its envelope.
    #[test]
    fn verdicts_follow_the_lengths(length in 0_usize..3000) {
        let report = lint(&blob(length), false);
        let sizes = possible_sizes(length);
        for profile in TransferProfile::built_in().unwrap() {
            let fits = profile.envelope == Envelope::Raw && sizes.iter().any(|(kek, target)| profile.kek.bits.contains(kek) && profile.target_bits.contains(target));
            prop_assert_eq!(suited(&report).contains(&profile.name.as_str()), fits);
        }
    }
}
