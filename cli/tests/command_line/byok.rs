//! `keykit byok`: profiles, wrapping, unwrapping, rehearsals and the linter.

use base64ct::{Base64, Encoding as _};
use keykit::key::{Hash, RsaPublicKey};
use keykit::migration::plan::{Plan, PlannedTransfer};
use keykit::store::{Generate as _, KeyRequest, KeyStore as _, Transferability};
use keykit::transfer::{AzureTransferFile, wrap_rsa_aes};
use keykit_tests::tokens;
use keykit_tests::transfers::{KID, kek, make_unwrapping_key};
use keykit_tests::{kryoptic, softhsm};
use serde_json::json;

use crate::ceremony::SMALL;
use crate::support::{Desk, Ran, contoso, fabrikam, woodgrove};

/// A desk with `kek.json`, as Azure's tool prints the key encryption key of 3072 bits.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("kek.json", azure(&kek(3072).public, None).to_string());
    desk
}

fn azure(key: &RsaPublicKey, expires: Option<&str>) -> serde_json::Value {
    json!({
        "attributes": { "enabled": true, "expires": expires },
        "key": { "d": null, "e": "AQAB", "keyOps": ["import"], "kid": KID, "kty": "RSA-HSM", "n": Base64::encode_string(key.modulus()) }
    })
}

fn wrap(desk: &Desk, source: &str, more: &str) -> Ran {
    let fingerprint = kek(3072).public.id();
    desk.run(&format!("--format json byok wrap {source} --kek kek.json --kek-fingerprint {fingerprint} --password-source file:password {more}"))
}

/// A folder store with the key encryption key in it.
fn receiver(desk: &Desk, kek_bits: usize) {
    let cost = keykit_hsm_backends::folder::ScryptCost::new(12, 8, 1).unwrap();
    let password = keykit::secret::Password::new("keyring password".into());
    let store = keykit_hsm_backends::folder::FolderStore::create_or_open(&desk.path("receiver"), &password, cost).unwrap();
    store.as_import_plaintext().unwrap().import_plaintext(&kek(kek_bits).secret, &KeyRequest::labelled("kek")).unwrap();
}

#[test]
fn profiles_are_listed_shown_and_added() {
    let desk = desk();
    let all = desk.run("--format json byok profiles").exits(0).json("byok-profiles");
    assert_eq!(all["profiles"].as_array().unwrap().len(), 11);
    let one = desk.run("--format json byok profiles azure-key-vault").exits(0).json("byok-profiles");
    let azure = &one["profiles"][0];
    assert_eq!((&azure["oaep_hash"], &azure["envelope"], &azure["kek"]["operations"]), (&"SHA-1".into(), &"azure-byok".into(), &json!(["import"])));
    assert!(desk.run("byok profiles azure-key-vault").exits(0).stdout().contains("az keyvault key import --vault-name VAULT --name NAME"));
    desk.run("byok profiles nowhere").exits(2).says("azure-key-vault, azure-managed-hsm");
    let own = desk.run("byok profiles --toml").exits(0).stdout().replace("name = \"", "name = \"my-");
    desk.write("own.toml", &own);
    let all = desk.run("--format json byok profiles --profile-file own.toml").exits(0).json("byok-profiles");
    assert_eq!(all["profiles"].as_array().unwrap().len(), 22);
    desk.write("own.toml", own.replacen("title", "tite", 1));
    desk.run("byok profiles --profile-file own.toml").exits(3).says("own.toml").says("line 8, column 1").says("tite");
}

#[test]
fn an_exported_domain_is_wrapped_linted_and_unwrapped() {
    let desk = desk();
    let value = wrap(&desk, "contoso.xml", "--profile azure-key-vault -o out.byok --fill name=contoso-slc").exits(0).json("byok-wrap");
    assert_eq!((&value["key_id"], &value["kek"]["kid"]), (&contoso().key.id().to_string().into(), &KID.into()));
    assert_eq!(value["warnings"], json!([]));
    assert_eq!(
        value["next"][0],
        "az keyvault key import --vault-name contoso --name contoso-slc --byok-file out.byok --ops decrypt encrypt sign unwrapKey verify wrapKey"
    );
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(desk.path("out.byok")).unwrap().permissions().mode() & 0o777, 0o600);
    let lint = desk.run("--format json byok inspect out.byok --profile azure-key-vault").exits(0).json("byok-inspect");
    assert_eq!((&lint["suits"], &lint["files"][0]["kind"], &lint["files"][0]["target_bits"]), (&true.into(), &"byok".into(), &2048.into()));
    // Both commands say the same of it.
    let inspected = desk.run("--format json inspect out.byok").exits(0).json("inspect");
    for field in ["kind", "sound", "kid", "kek_bits_possible", "target_bits", "padding", "generator", "envelope"] {
        assert_eq!(inspected["files"][0][field], lint["files"][0][field], "{field}");
    }
    desk.run("byok inspect out.byok --profile vault-transit").exits(1);
    receiver(&desk, 3072);
    let kek_id = kek(3072).public.id().short();
    let unwrap = format!("--format json byok unwrap out.byok --kek-store file:receiver --kek {kek_id}");
    desk.write("public.pem", contoso().key.public().to_pem());
    let value = desk.run(&format!("{unwrap} --profile azure-key-vault --public-key public.pem")).exits(0).json("byok-unwrap");
    assert_eq!(
        (&value["key_id"], &value["store"], &value["label"]),
        (&contoso().key.id().to_string().into(), &"file:receiver".into(), &"out".into())
    );
    assert!(value["proofs"].as_array().unwrap().iter().all(|proof| proof["ok"] == true));
    // Another profile, another key, and a target elsewhere.
    desk.run(&format!("{unwrap} --profile aws-kms-sha1")).exits(4).says("[envelope]");
    desk.write("public.pem", fabrikam().key.public().to_pem());
    desk.run(&format!("{unwrap} --profile azure-key-vault --public-key public.pem -t memory:")).exits(9);
    desk.run(&format!("{unwrap} --profile azure-key-vault -t memory:")).exits(0).says("forgotten again");
    // A byte more, a byte less, a byte changed.
    let file = AzureTransferFile::parse(&desk.read("out.byok")).unwrap();
    for (blob, code) in [
        ([file.blob.as_slice(), &[0]].concat(), 3),
        (file.blob[..file.blob.len() - 1].to_vec(), 3),
        (file.blob.iter().enumerate().map(|(position, byte)| if position == 1000 { byte ^ 1 } else { *byte }).collect(), 1),
    ] {
        desk.write("out.byok", AzureTransferFile::new(KID, &blob).to_bytes().unwrap());
        desk.run(&format!("{unwrap} --profile azure-key-vault")).exits(code);
    }
    // Made with another hash than the profile says.
    let blob = wrap_rsa_aes(&contoso().key, &kek(3072).public, Hash::Sha256).unwrap();
    desk.write("out.byok", AzureTransferFile::new(KID, &blob).to_bytes().unwrap());
    desk.run(&format!("{unwrap} --profile azure-key-vault")).exits(1).says("OAEP with SHA-256; the profile wants SHA-1");
}

#[test]
fn a_key_of_a_folder_is_wrapped() {
    let desk = desk();
    desk.run("migrate software-to-software --password-source file:password --tenant tenant contoso.xml fabrikam.xml").exits(0);
    let start = fabrikam().key.id().short();
    let value = wrap(&desk, &format!("file:tenant/keys#{start}"), "--profile google-kms-3072-sha256 -o out.bin").exits(0).json("byok-wrap");
    assert_eq!((&value["key_id"], &value["envelope"]), (&fabrikam().key.id().to_string().into(), &"raw".into()));
    wrap(&desk, &format!("file:tenant/keys --key {start}"), "--profile aws-kms-sha256 -o aws.bin").exits(0);
    wrap(&desk, "file:tenant/keys", "--profile aws-kms-sha256 -o two.bin").exits(2).says("more than one key");
    assert!([384 + 1224, 384 + 1232].contains(&desk.read("out.bin").len()));
}

/// The fingerprint may come from the plan: from the very migration file that it was made from.
#[test]
fn a_plan_confirms_the_key_encryption_key() {
    let desk = desk();
    let migration = |profile: &str, fingerprint: &str| {
        let more = format!(
            "managed = \"customer\"\ntransfer-profile = \"{profile}\"\nkey-encryption-key = \"kek.json\"\nkey-encryption-key-fingerprint = \"{fingerprint}\"\n"
        );
        include_str!("../../../tests/organisations/single-forest.toml").replace("managed = \"service\"\n", &more)
    };
    let id = kek(3072).public.id().to_string();
    let wrap = |plan: &str, more: &str| {
        desk.run(&format!("--format json byok wrap contoso.xml --kek kek.json --plan {plan} --password-source file:password {more}"))
    };
    desk.write("migration.toml", migration("aws-kms-sha256", &id));
    wrap("migration.toml", "--profile aws-kms-sha256 -o one.bin").exits(0);
    let error = wrap("migration.toml", "--profile aws-kms-sha1 -o two.bin").exits(4).json("error");
    assert_eq!(error["finding"], "plan-profile");
    wrap("migration.toml", &format!("--profile aws-kms-sha256 -o two.bin --kek-fingerprint {id}")).exits(2);
    // The fingerprint of another key.
    desk.write("other.toml", migration("aws-kms-sha256", &contoso().key.id().to_string()));
    assert_eq!(wrap("other.toml", "--profile aws-kms-sha256 -o two.bin").exits(4).json("error")["finding"], "kek-fingerprint");
    desk.write("none.toml", include_str!("../../../tests/organisations/single-forest.toml"));
    wrap("none.toml", "--profile aws-kms-sha256 -o two.bin").exits(2).says("key-encryption-key-fingerprint");
    // A plan for transfer files; one for something else names none.
    desk.write("small.toml", SMALL);
    desk.run("plan small.toml -o small.json").exits(0);
    wrap("small.json", "--profile aws-kms-sha256 -o two.bin").exits(2).says("names no key encryption key");
    let mut plan = Plan::read(&desk.path("small.json")).unwrap();
    let planned = |fingerprint: String| {
        Some(PlannedTransfer { profile: "aws-kms-sha256".into(), key_encryption_key: "contoso.xml".into(), fingerprint, kid: None })
    };
    plan.tenant.transfer = planned(id.clone());
    desk.write("plan.json", plan.to_bytes().unwrap());
    wrap("plan.json", "--profile aws-kms-sha256 -o three.bin").exits(0);
    wrap("plan.json", "--profile aws-kms-sha1 -o four.bin").exits(4).says("[plan-profile]");
    plan.tenant.transfer = planned(contoso().key.id().to_string());
    desk.write("plan.json", plan.to_bytes().unwrap());
    wrap("plan.json", "--profile aws-kms-sha256 -o four.bin").exits(4).says("[kek-fingerprint]");
    assert!(!desk.path("two.bin").exists() && !desk.path("four.bin").exists());
}

#[test]
fn a_transfer_file_is_padded_where_that_is_asked_for() {
    let desk = desk();
    wrap(&desk, "contoso.xml", "--profile azure-key-vault --pad-b64 -o padded.byok").exits(0);
    wrap(&desk, "contoso.xml", "--profile azure-key-vault -o plain.byok").exits(0);
    for (name, pads) in [("padded.byok", true), ("plain.byok", false)] {
        let file = AzureTransferFile::parse(&desk.read(name)).unwrap();
        assert_eq!(file.padding, pads && !file.blob.len().is_multiple_of(3), "{name}");
    }
    wrap(&desk, "contoso.xml", "--profile aws-kms-sha256 --pad-b64 -o raw.bin").exits(2).says("no base64url to pad");
}

#[test]
fn a_key_that_was_stored_to_stay_does_not_leave_by_itself() {
    let desk = desk();
    receiver(&desk, 2048);
    let before = desk.snapshot();
    let refused = wrap(&desk, "file:receiver", "--profile aws-kms-sha256 -o out.bin").exits(4);
    let error = refused.says("to stay there").json("error");
    assert_eq!((&error["code"], &error["finding"]), (&"refused".into(), &"key-must-stay".into()));
    assert_eq!(desk.snapshot(), before);
    wrap(&desk, "file:receiver", "--profile aws-kms-sha256 -o out.bin --danger-wrap-key-that-must-stay").exits(0).says("that was asked for");
}

#[test]
fn nothing_is_wrapped_without_a_confirmed_key_encryption_key() {
    let desk = desk();
    let before = desk.snapshot();
    let arguments = "byok wrap contoso.xml --profile azure-key-vault --kek kek.json --password-source file:password -o out.byok";
    let computed = kek(3072).public.id();
    desk.run(arguments).exits(2).says(&computed.to_string()).says(&computed.words());
    desk.run(&format!("{arguments} --kek-fingerprint {}", contoso().key.id())).exits(4).says(&computed.to_string());
    desk.run(&format!("{arguments} --kek-fingerprint abcd")).exits(3);
    desk.run(&format!("{arguments} --kek-fingerprint {computed} --kid https://other.vault.azure.net/keys/a/b")).exits(4).says("[kid-differs]");
    assert_eq!(desk.snapshot(), before);
    let mut words = vec!["byok", "wrap", "contoso.xml", "--profile", "azure-key-vault", "--kek", "kek.json", "--password-source", "file:password"];
    let spoken = computed.words();
    words.extend(["-o", "out.byok", "--kek-fingerprint", &spoken]);
    desk.run_with(&words).exits(0);
}

#[test]
fn key_encryption_keys_that_cannot_be_right_are_refused() {
    let desk = desk();
    let small = &woodgrove().key;
    desk.write("small.pem", small.public().to_pem());
    desk.write("expired.json", azure(&kek(3072).public, Some("2026-01-01T00:00:00+00:00")).to_string());
    desk.write("secret.pem", small.to_pkcs1_pem().unwrap().expose());
    let vector = |name: &str| format!("{}/../vectors/transfer/{name}", env!("CARGO_MANIFEST_DIR"));
    for (file, code, says) in [
        ("small.pem".to_owned(), 4, "[kek-size]"),
        ("expired.json".to_owned(), 4, "[kek-expired]"),
        ("secret.pem".to_owned(), 3, "[kek-private]"),
        (vector("ec-public.pem"), 3, "an EC key, where RSA is needed [kek-not-rsa]"),
    ] {
        let id = if file == "small.pem" { small.id() } else { kek(3072).public.id() };
        let arguments = format!(
            "byok wrap contoso.xml --profile azure-key-vault --kek {file} --kek-fingerprint {id} --kid {KID} --password-source file:password -o out.byok"
        );
        desk.run(&arguments).exits(code).says(says);
        assert!(!desk.path("out.byok").exists());
    }
    // The linter says the same of them.
    let lint = desk.run("--format json byok inspect expired.json").exits(3).json("byok-inspect");
    assert_eq!((&lint["files"][0]["kind"], &lint["files"][0]["problems"][0]["code"]), (&"key-encryption-key".into(), &"kek-expired".into()));
    let lint = desk.run("--format json byok inspect kek.json --profile azure-key-vault").exits(0).json("byok-inspect");
    assert_eq!((&lint["files"][0]["key"]["key_id"], &lint["suits"]), (&kek(3072).public.id().to_string().into(), &true.into()));
}

#[test]
fn outputs_are_new_files() {
    let desk = desk();
    let before = desk.snapshot();
    wrap(&desk, "contoso.xml", "--profile azure-key-vault -o contoso.xml").exits(4).says("rule 75");
    wrap(&desk, "contoso.xml", "--profile azure-key-vault -o ./kek.json").exits(4).says("rule 75");
    wrap(&desk, "contoso.xml", "--profile azure-key-vault -o fabrikam.xml").exits(9).says("exists already");
    wrap(&desk, "contoso.xml", "--profile azure-key-vault -o nowhere/out.byok").exits(8);
    wrap(&desk, "woodgrove.xml", "--profile azure-key-vault -o out.byok").exits(4).says("[target-size]");
    assert_eq!(desk.snapshot(), before);
}

#[test]
fn a_rehearsal_leaves_nothing_behind() {
    let desk = desk();
    let before = desk.snapshot();
    for profile in ["azure-key-vault", "aws-kms-sha256", "vault-transit", "pkcs11"] {
        let value = desk.run(&format!("--format json byok rehearse contoso.xml --profile {profile} --password-source file:password")).exits(0);
        let value = value.json("byok-rehearse");
        assert_eq!((&value["key_id"], &value["receiver"]), (&contoso().key.id().to_string().into(), &"memory:".into()));
        assert!(value["proofs"].as_array().unwrap().iter().all(|proof| proof["ok"] == true));
    }
    desk.run("byok rehearse contoso.xml --profile pkcs11 --password-source file:password --store file:new").exits(2);
    desk.run("byok unwrap contoso.pfile --profile pkcs11 --kek-store file:new").exits(3);
    assert_eq!(desk.snapshot(), before);
}

#[test]
fn tokens_give_take_and_rehearse() {
    tokens::on_both("byok::tokens_give_take_and_rehearse", &["source", "receiver"], |_| {
        for (module, pin, knows_sha256) in [(softhsm::module().unwrap(), softhsm::PIN, false), (kryoptic::module().unwrap(), kryoptic::PIN, true)] {
            let desk = desk();
            desk.write("pin", pin);
            desk.make_private("pin");
            let uri = |token: &str| format!("pkcs11:token={token}?module-path={}&pin-source=file:{}", module.display(), desk.path("pin").display());
            let request = KeyRequest { transferability: Transferability::Wrapped, ..KeyRequest::labelled("slc") };
            let key = tokens::open_labelled(&module, "source", pin).unwrap().generate(2048, &request).unwrap();
            let source = format!("{} --key {}", uri("source"), key.id().short());
            let value = wrap(&desk, &source, "--profile azure-key-vault -o out.byok").exits(0).json("byok-wrap");
            assert_eq!(value["key_id"], key.id().to_string());
            let lint = desk.run("--format json byok inspect out.byok").exits(0).json("byok-inspect");
            assert_eq!(lint["files"][0]["warnings"][0]["code"] == "softhsm-zero-padding", !knows_sha256, "{lint}");
            // SHA-256 needs the flag where the token does not know it, and then it is recorded.
            let with_sha256 = wrap(&desk, &source, "--profile aws-kms-sha256 -o out.bin");
            if !knows_sha256 {
                with_sha256.exits(7).says("no host-visible ephemeral key is allowed");
                let value = wrap(&desk, &source, "--profile aws-kms-sha256 -o out.bin --allow-host-visible-ephemeral-key").exits(0).json("byok-wrap");
                assert_eq!(value["host_visible_ephemeral_key"], true);
            }
            // Into a token under a key that it keeps, with the key never in the clear here.
            make_unwrapping_key(&module, "receiver", pin, "kek", 2048);
            let kek = tokens::open_labelled(&module, "receiver", pin).unwrap().keys().unwrap().remove(0).public;
            desk.write("token-kek.pem", kek.to_pem());
            let arguments = format!(
                "byok wrap contoso.xml --profile pkcs11 --kek token-kek.pem --kek-fingerprint {} --password-source file:password -o token.bin",
                kek.id()
            );
            desk.run(&arguments).exits(0);
            let receiver = uri("receiver");
            let unwrap = ["--format", "json", "byok", "unwrap", "token.bin", "--profile", "pkcs11", "--kek-store", &receiver, "--label", "contoso"];
            let value = desk.run_with(&unwrap).exits(0).json("byok-unwrap");
            assert_eq!((&value["key_id"], &value["route"]), (&contoso().key.id().to_string().into(), &"in-token".into()));
            // Again, with the key there already: the file is opened all the same, and one that was changed proves nothing.
            let kek_id = kek.id().to_string();
            desk.write("public.pem", contoso().key.public().to_pem());
            let mut again = [&unwrap[..], &["--kek", &kek_id, "--public-key", "public.pem"]].concat();
            let value = desk.run_with(&again).exits(0).says("opened for a check").json("byok-unwrap");
            assert_eq!((&value["warnings"][0]["code"], &value["proofs"][1]["name"]), (&"already-there".into(), &"same-public-key".into()));
            let mut tampered = desk.read("token.bin");
            tampered[700] ^= 1;
            desk.write("tampered.bin", tampered);
            again[4] = "tampered.bin";
            desk.run_with(&again).exits(1);
            // Elsewhere only by a word that says danger.
            let elsewhere = [&unwrap[..], &["--kek", &kek_id, "-t", "memory:"]].concat();
            desk.run_with(&elsewhere).exits(4).says("--danger-key-in-memory");
            desk.run_with(&[&elsewhere[..], &["--danger-key-in-memory"]].concat()).exits(0);
            // A rehearsal with the token as the receiver.
            let before = tokens::open_labelled(&module, "receiver", pin).unwrap().keys().unwrap().len();
            let rehearse =
                format!("byok rehearse fabrikam.xml --profile azure-key-vault --kek-bits 2048 --password-source file:password --store {receiver}");
            desk.run(&rehearse).exits(0);
            desk.run(&rehearse.replace("fabrikam", "contoso")).exits(4).says("holds the key");
            desk.run(&rehearse.replace("azure-key-vault", "aws-kms-sha256")).exits(if knows_sha256 { 0 } else { 7 });
            assert_eq!(tokens::open_labelled(&module, "receiver", pin).unwrap().keys().unwrap().len(), before);
        }
    });
}

#[test]
fn a_split_takes_any_profile() {
    let desk = desk();
    let id = kek(3072).public.id();
    let split = format!("tpd split contoso.xml --keyless k.xml --wrap-to kek.json --kek-fingerprint {id} --password-source file:password");
    desk.run(&format!("{split} --transfer out.bin --profile vault-transit")).exits(4).says("[kek-size]");
    desk.run(&format!("{split} --transfer kek.json")).exits(4).says("rule 75");
    assert!(!desk.path("k.xml").exists());
    desk.run(&format!("{split} --transfer out.bin --profile google-kms-3072-sha1")).exits(0);
    desk.run("byok inspect out.bin --profile google-kms-3072-sha1").exits(0);
}
