use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::key::RsaSecretKey;

fn profile(name: &str) -> TransferProfile {
    TransferProfile::named(TransferProfile::built_in().unwrap(), name).unwrap()
}

fn vector(name: &str) -> Vec<u8> {
    keykit_vectors::read(name).unwrap()
}

/// 2026-12-24, within the certificate's time.
fn now() -> Timestamp {
    "2026-12-24T12:00:00Z".parse().unwrap()
}

fn good() -> RsaPublicKey {
    RsaPublicKey::from_pem(std::str::from_utf8(&vector("transfer/kek-public.pem")).unwrap()).unwrap()
}

fn codes(findings: &[Finding]) -> Vec<&str> {
    findings.iter().filter(|finding| finding.severity > super::super::finding::Severity::Note).map(|finding| finding.code).collect()
}

/// As `az keyvault key show` prints it.
fn azure(key: &RsaPublicKey) -> Value {
    json!({
        "attributes": { "created": "2026-11-01T10:00:00+00:00", "enabled": true, "expires": null, "exportable": false, "notBefore": null },
        "key": {
            "crv": null, "d": null, "dp": null, "dq": null, "e": "AQAB", "k": null, "keyOps": ["import"],
            "kid": "https://contoso.vault.azure.net/keys/KEKforBYOK/0123456789abcdef0123456789abcdef",
            "kty": "RSA-HSM", "n": Base64::encode_string(key.modulus()), "p": null, "q": null, "qi": null, "x": null, "y": null
        },
        "managed": null, "tags": {}
    })
}

fn read(value: &Value) -> Result<OfferedKey> {
    OfferedKey::parse(value.to_string().as_bytes(), None)
}

#[test]
fn every_form_gives_the_same_key() {
    let key = good();
    let pem = String::from_utf8(vector("transfer/kek-public.pem")).unwrap();
    let jwk = json!({ "kty": "RSA", "n": Base64UrlUnpadded::encode_string(key.modulus()), "e": "AQAB" });
    let aws = json!({ "KeyId": "arn:aws:kms:eu-central-1:1:key/2", "ImportToken": "eA==", "PublicKey": Base64::encode_string(key.to_spki_der()), "ParametersValidTo": 1_798_200_000.5 });
    let google = json!({ "name": "projects/p/locations/europe-west3/keyRings/r/importJobs/j", "importMethod": "RSA_OAEP_4096_SHA256_AES_256", "state": "ACTIVE",
        "expireTime": "2026-12-26T10:00:00.5Z", "publicKey": { "pem": pem } });
    for (form, bytes) in [
        (KeyForm::PublicKey, pem.clone().into_bytes()),
        (KeyForm::PublicKey, format!("\u{feff}some words before\n{pem}and after").into_bytes()),
        (KeyForm::PublicKey, key.to_spki_der().to_vec()),
        (KeyForm::Certificate, vector("transfer/kek-certificate.pem")),
        (KeyForm::JsonWebKey, jwk.to_string().into_bytes()),
        (KeyForm::JsonWebKey, json!({ "keys": [jwk] }).to_string().into_bytes()),
        (KeyForm::JsonWebKey, azure(&key).to_string().into_bytes()),
        (KeyForm::AwsImportParameters, aws.to_string().into_bytes()),
        (KeyForm::GoogleImportJob, google.to_string().into_bytes()),
        (KeyForm::WrappingKeyAnswer, json!({ "data": { "public_key": pem } }).to_string().into_bytes()),
        (KeyForm::WrappingKeyAnswer, json!({ "data": { "public-key": pem } }).to_string().into_bytes()),
    ] {
        let offered = OfferedKey::parse(&bytes, None).unwrap();
        assert_eq!((offered.form, &offered.public), (form, &key));
    }
    let offered = read(&azure(&key)).unwrap();
    assert_eq!(offered.kid.as_deref(), Some("https://contoso.vault.azure.net/keys/KEKforBYOK/0123456789abcdef0123456789abcdef"));
    assert_eq!((offered.enabled, offered.expires, offered.operations), (Some(true), None, Some(vec!["import".to_owned()])));
    let offered = read(&aws).unwrap();
    assert_eq!(
        (offered.expires, offered.values["key_arn"].as_str()),
        (Some(Timestamp::from_second(1_798_200_000).unwrap()), "arn:aws:kms:eu-central-1:1:key/2")
    );
    let offered = read(&google).unwrap();
    assert_eq!((offered.values["import_job"].as_str(), offered.values["location"].as_str()), ("j", "europe-west3"));
    let certificate = OfferedKey::parse(&vector("transfer/kek-certificate.pem"), None).unwrap();
    assert_eq!(certificate.operations, Some(vec!["wrapKey".to_owned()]));
    assert!(certificate.not_before.unwrap() < now() && now() < certificate.expires.unwrap());
}

#[test]
fn a_set_of_keys_needs_a_name() {
    let (one, mut other) = (azure(&good())["key"].clone(), azure(&good())["key"].clone());
    other["kid"] = json!("other");
    let set = json!({ "keys": [one, other] }).to_string();
    assert_eq!(OfferedKey::parse(set.as_bytes(), None).unwrap_err().code(), "usage");
    assert_eq!(OfferedKey::parse(set.as_bytes(), Some("other")).unwrap().kid.as_deref(), Some("other"));
    assert_eq!(OfferedKey::parse(set.as_bytes(), Some("third")).unwrap_err().code(), "usage");
}

#[test]
fn private_keys_and_other_kinds_are_refused_by_name() {
    let secret = RsaSecretKey::from_pem(std::str::from_utf8(&vector("tpd/key.pem")).unwrap()).unwrap();
    let mut jwk = azure(&good());
    jwk["key"]["d"] = json!("AQAB");
    for bytes in [vector("tpd/key.pem"), secret.to_pkcs8_der().unwrap().expose().to_vec(), jwk.to_string().into_bytes()] {
        assert!(OfferedKey::parse(&bytes, None).unwrap_err().to_string().contains("[kek-private]"));
    }
    for bytes in [vector("transfer/ec-public.pem"), json!({ "kty": "EC", "crv": "P-256" }).to_string().into_bytes()] {
        let error = OfferedKey::parse(&bytes, None).unwrap_err().to_string();
        assert!(error.contains("an EC key, where RSA is needed [kek-not-rsa]"), "{error}");
    }
    for bytes in [
        &b"{}"[..],
        b"{\"kty\":\"RSA\"}",
        b"-----BEGIN X",
        b"",
        b"{\"kty\":\"RSA\",\"n\":\"!\",\"e\":\"AQAB\"}",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
    ] {
        assert_eq!(OfferedKey::parse(bytes, None).unwrap_err().code(), "malformed");
    }
}

#[test]
fn the_fingerprint_must_be_confirmed() {
    let (azure_profile, id) = (profile("azure-key-vault"), good().id());
    let offered = || read(&azure(&good())).unwrap();
    let missing = offered().confirm(None, &azure_profile, now()).unwrap_err();
    assert_eq!(missing.code(), "usage");
    assert!(missing.to_string().contains(&id.to_string()) && missing.to_string().contains(&id.words()));
    let wrong = KeyId::of_spki(b"other");
    let refused = offered().confirm(Some(&wrong.to_string()), &azure_profile, now()).unwrap_err();
    assert_eq!(refused.code(), "refused");
    assert!(refused.to_string().contains(&id.to_string()) && refused.to_string().contains("[kek-fingerprint]"));
    assert_eq!(offered().confirm(Some("abcd"), &azure_profile, now()).unwrap_err().code(), "malformed");
    let colons: Vec<String> = id.as_bytes().iter().map(|byte| format!("{byte:02X}")).collect();
    for text in [id.to_string(), colons.join(":"), colons.join(" "), id.words(), id.words().to_uppercase()] {
        assert_eq!(offered().confirm(Some(&text), &azure_profile, now()).unwrap().public(), &good(), "{text}");
    }
    let swapped: Vec<String> = id.words().split(' ').rev().map(str::to_owned).collect();
    assert!(offered().confirm(Some(&swapped.join(" ")), &azure_profile, now()).is_err());
}

#[test]
fn keys_that_a_profile_does_not_take() {
    let azure_profile = profile("azure-key-vault");
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut value = azure(&good());
        change(&mut value);
        read(&value).unwrap().check(&azure_profile, now())
    };
    assert_eq!(codes(&changed(&|_| {})), Vec::<&str>::new());
    assert_eq!(codes(&changed(&|value| value["key"]["keyOps"] = json!(["import", "wrapKey"]))), ["kek-operations"]);
    assert_eq!(codes(&changed(&|value| value["key"]["keyOps"] = json!([]))), ["kek-operations"]);
    assert_eq!(codes(&changed(&|value| value["key"]["kty"] = json!("RSA"))), ["kek-type"]);
    assert_eq!(codes(&changed(&|value| value["attributes"]["enabled"] = json!(false))), ["kek-disabled"]);
    assert_eq!(codes(&changed(&|value| value["attributes"]["expires"] = json!("2026-12-24T11:59:59+00:00"))), ["kek-expired"]);
    assert_eq!(codes(&changed(&|value| value["attributes"]["exp"] = json!(1_700_000_000))), ["kek-expired"]);
    assert_eq!(codes(&changed(&|value| value["attributes"]["notBefore"] = json!("2027-01-01T00:00:00Z"))), ["kek-not-yet-valid"]);
    assert_eq!(codes(&changed(&|value| value["key"]["e"] = json!("Aw"))), ["kek-exponent"]);
    assert_eq!(codes(&changed(&|value| value["key"]["e"] = json!("AQAD"))), ["kek-exponent"]);
    // A modulus that can be divided: the good one, less its remainder by 251.
    let offered = read(&azure(&good())).unwrap();
    let small =
        RsaPublicKey::from_pem(&RsaSecretKey::from_pem(std::str::from_utf8(&vector("keys/rsa-1024-e65537.pem")).unwrap()).unwrap().public().to_pem())
            .unwrap();
    assert_eq!(codes(&OfferedKey { public: small, ..offered.clone() }.check(&azure_profile, now())), ["kek-size"]);
    assert_eq!(codes(&offered.check(&profile("google-kms-3072-sha256"), now())), ["kek-size"]);
    let expired = read(&json!({ "PublicKey": Base64::encode_string(good().to_spki_der()), "ParametersValidTo": "2026-12-24T00:00:00Z" })).unwrap();
    let error = expired.confirm(Some(&good().id().to_string()), &profile("aws-kms-sha256"), now()).unwrap_err();
    assert!(error.code() == "refused" && error.to_string().contains("[kek-expired]"), "{error}");
    let mut google = OfferedKey { method: Some("RSA_OAEP_3072_SHA1_AES_256".into()), ..offered };
    google.operations = None;
    assert_eq!(codes(&google.check(&profile("google-kms-4096-sha256"), now())), ["kek-size", "kek-method"]);
    google.method = Some("rsa-oaep-4096-sha256-aes-256".into());
    assert_eq!(codes(&google.check(&profile("google-kms-4096-sha256"), now())), ["kek-size"]);
    assert_eq!(codes(&google.check(&profile("google-kms-4096-sha1"), now())), ["kek-size", "kek-method"]);
    // OAEP of the secret itself: no RSA key goes into that.
    for direct in ["RSA_OAEP_4096_SHA256", "rsa-oaep-4096-sha256", "RSA_OAEP_4096_SHA256_AES_128", "AES_256"] {
        google.method = Some(direct.into());
        assert_eq!(codes(&google.check(&profile("google-kms-4096-sha256"), now())), ["kek-size", "kek-method"], "{direct}");
    }
}

#[test]
fn a_modulus_with_a_small_factor_or_the_mark_of_roca_is_refused() {
    let mut modulus = good().modulus().to_vec();
    // 3 divides a number if it divides the sum of its bytes, since 256 ≡ 1 (mod 3).
    while modulus.iter().map(|&byte| u32::from(byte)).sum::<u32>() % 3 != 0 {
        let last = modulus.last_mut().unwrap();
        *last = last.wrapping_add(2);
    }
    let offered = OfferedKey::new(RsaPublicKey::from_components(&modulus, 65537).unwrap(), KeyForm::PublicKey);
    assert_eq!(codes(&offered.check(&profile("pkcs11"), now())), ["kek-small-factor"]);
    let roca = OfferedKey::new(RsaPublicKey::from_components(&soundness::tests::marked_modulus(2048), 65537).unwrap(), KeyForm::PublicKey);
    let found = roca.check(&profile("pkcs11"), now());
    assert_eq!(codes(&found), ["kek-roca"]);
    assert!(found[0].is_problem());
}

proptest! {
    #[test]
    fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in ".{0,100}") {
        prop_assert!(OfferedKey::parse(&bytes, None).is_err());
        for form in [format!("{{{text}}}"), format!("-----BEGIN {text}"), format!("{{\"key\":{{\"kty\":\"RSA\",\"n\":{text:?},\"e\":\"AQAB\"}}}}")] {
            prop_assert!(OfferedKey::parse(form.as_bytes(), None).is_err());
        }
    }

    #[test]
    fn json_web_keys_come_back(padding in any::<bool>(), urlsafe in any::<bool>()) {
        let key = good();
        let mut text = if urlsafe { Base64UrlUnpadded::encode_string(key.modulus()) } else { Base64::encode_string(key.modulus()) };
        if !padding {
            text = text.trim_end_matches('=').to_owned();
        }
        prop_assert_eq!(read(&json!({ "kty": "RSA", "n": text, "e": "AQAB" })).unwrap().public, key);
    }
}
