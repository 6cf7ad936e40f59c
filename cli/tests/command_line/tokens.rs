//! The two paths into a token, on SoftHSM. Tokens with the labels of an nShield module stand in for it.

use std::path::Path;
use std::process::Command;

use keykit::key::{Hash, KeyId, RsaPublicKey};
use keykit::secret::Password;
use keykit::store::{KeyRequest, KeyStore, Transferability};
use keykit::tpd::KeyDerivation;
use keykit_hsm_backends::pkcs11::Pkcs11Uri;
use keykit_tests::kryoptic;
use keykit_tests::samples::SampleCluster;
use keykit_tests::softhsm::{PIN, on_softhsm};
use keykit_tests::tokens::{self, on_both};
use serde_json::Value;

use crate::support::{Desk, PASSWORD, contoso, fabrikam, woodgrove};

const LABELS: [&str; 5] = ["accelerator", "PKCS11OCS", "softcard one", "target", "second target"];

/// Runs `body` in a child process with fresh tokens; `name` is the test with its modules.
pub(crate) fn on_tokens(name: &str, body: impl FnOnce(&Bench)) {
    on_softhsm(name, &LABELS, |module| {
        let desk = Desk::new();
        desk.write("pin", format!("{PIN}\n"));
        desk.make_private("pin");
        body(&Bench { desk, module });
    });
}

/// A desk beside a module.
pub(crate) struct Bench<'a> {
    pub(crate) desk: Desk,
    pub(crate) module: &'a Path,
}

impl Bench<'_> {
    pub(crate) fn uri(&self, label: &str) -> String {
        format!(
            "pkcs11:token={}?module-path={}&pin-source=file:{}",
            label.replace(' ', "%20"),
            self.module.display(),
            self.desk.path("pin").display()
        )
    }

    /// Makes a key in a token and a keyless domain around it: `LABEL.xml`, `LABEL.pfile`.
    pub(crate) fn domain_around(&self, label: &str, transferability: Transferability) -> RsaPublicKey {
        let store = tokens::open(&Pkcs11Uri::parse(&self.uri(label)).unwrap()).unwrap();
        let request = KeyRequest { label: "slc".into(), local_id: None, transferability };
        let public = store.as_generate().unwrap().generate(2048, &request).unwrap().public;
        let cluster = SampleCluster::around(&store, &public, label).unwrap();
        let domain = cluster.domain(None, KeyDerivation::Sha256).unwrap().seal(&Password::new(PASSWORD.into())).unwrap();
        self.desk.write(&format!("{label}.xml"), domain);
        self.desk.write(&format!("{label}.pfile"), &cluster.licences[0].pfile);
        public
    }

    pub(crate) fn keys(&self, label: &str) -> Vec<Value> {
        self.desk.run_with(&["--format", "json", "store", "keys", "--store", &self.uri(label)]).exits(0).json("store-keys")["keys"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// Destroys every key of a token.
    pub(crate) fn empty(&self, label: &str) {
        let store = tokens::open(&Pkcs11Uri::parse(&self.uri(label)).unwrap()).unwrap();
        for key in store.keys().unwrap() {
            store.as_destroy().unwrap().destroy(&key.id()).unwrap();
        }
    }

    /// Destroys one key of a token.
    pub(crate) fn destroy(&self, label: &str, key: &str) {
        let store = tokens::open(&Pkcs11Uri::parse(&self.uri(label)).unwrap()).unwrap();
        store.as_destroy().unwrap().destroy(&key.parse().unwrap()).unwrap();
    }

    pub(crate) fn to_token(&self, domains: &[&str], target: &str, more: &[&str]) -> crate::support::Ran {
        let uri = self.uri(target);
        let mut arguments =
            vec!["--format", "json", "migrate", "software-to-hsm", "--password-source", "file:password", "--tenant", "tenant", "--target", &uri];
        arguments.extend(domains);
        arguments.extend(more);
        self.desk.run_with(&arguments)
    }

    pub(crate) fn between(&self, domain: &str, source: &str, target: &str, more: &[&str]) -> crate::support::Ran {
        let (from, to) = (self.uri(source), self.uri(target));
        let mut arguments = vec!["--format", "json", "migrate", "hsm-to-hsm", "--password-source", "file:password", "--tenant", "tenant"];
        arguments.extend(["--source", &from, "--target", &to, domain]);
        arguments.extend(more);
        self.desk.run_with(&arguments)
    }

    /// What pkcs11-tool says of the private keys of a token.
    pub(crate) fn pkcs11_tool(&self, label: &str) -> String {
        pkcs11_tool(self.module, label, PIN, "privkey")
    }
}

fn pkcs11_tool(module: &Path, label: &str, pin: &str, kind: &str) -> String {
    let mut command = Command::new("pkcs11-tool");
    let output = command.arg("--module").arg(module).args(["--token-label", label, "-O", "--type", kind, "--login", "--pin", pin]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Every private key of pkcs11-tool's list is sensitive and can't be extracted. A key that was unwrapped was once outside, so a token
/// may not say "never extractable" or "always sensitive" of it (PKCS#11 3.1 §5.18.5).
#[track_caller]
fn only_sensitive(listed: &str, keys: usize) {
    let access: Vec<&str> = listed.lines().filter_map(|line| line.trim().strip_prefix("Access:")).map(str::trim).collect();
    assert_eq!(access, vec!["sensitive"; keys], "{listed}");
}

#[track_caller]
fn proofs_hold(key: &Value) {
    let proofs = key["proofs"].as_array().unwrap();
    assert!(proofs.len() >= 5 && proofs.iter().all(|proof| proof["ok"] == true), "{proofs:?}");
    assert!(proofs.iter().any(|proof| proof["name"] == "signatures-before-and-after-are-equal"));
}

#[test]
fn software_keys_go_into_a_token_and_open_their_licences_there() {
    on_tokens("tokens::software_keys_go_into_a_token_and_open_their_licences_there", |bench| {
        let value =
            bench.to_token(&["contoso.xml", "fabrikam.xml", "woodgrove.xml"], "target", &["--licence", "contoso.pfile"]).exits(0).json("migrate");
        assert_eq!(value["path"], "software-to-hsm");
        for (key, sample) in value["keys"].as_array().unwrap().iter().zip([contoso(), fabrikam(), woodgrove()]) {
            assert_eq!(key["key_id"], sample.key.id().to_string());
            proofs_hold(key);
            assert!(key["proofs"].as_array().unwrap().iter().any(|proof| proof["name"] == "sensitive-and-not-extractable"));
            assert!(key["store"].as_str().unwrap().starts_with("pkcs11:token=target?module-path="), "{key}");
        }
        assert!(value["warnings"].as_array().unwrap().iter().any(|warning| warning["rule"] == 34));
        let keys = bench.keys("target");
        assert_eq!(keys.len(), 3);
        for key in &keys {
            assert_eq!(
                (&key["sensitive"], &key["extractable"], &key["can_sign"], &key["can_decrypt"]),
                (&true.into(), &false.into(), &true.into(), &true.into())
            );
        }
        // pkcs11-tool sees them as we claim.
        let listed = bench.pkcs11_tool("target");
        assert_eq!(listed.matches("Private Key Object; RSA").count(), 3, "{listed}");
        assert_eq!(listed.matches("Usage:      decrypt, sign").count(), 3, "{listed}");
        only_sensitive(&listed, 3);
        let listed = pkcs11_tool(bench.module, "target", PIN, "pubkey");
        assert_eq!((listed.matches("RSA 2048 bits").count(), listed.matches("RSA 1024 bits").count()), (2, 1), "{listed}");
        // The tenant finds the keys again, with the PIN from outside.
        for name in ["contoso", "woodgrove"] {
            bench.desk.run(&format!("licence open {name}.pfile --tenant tenant -o {name}.key --pin-source file:pin")).exits(0);
        }
        assert_eq!(bench.desk.read("contoso.key"), contoso().cluster.licences[0].content_key.key().expose());
        let shown = bench.desk.run("--format json tenant show --tenant tenant").exits(0).json("tenant");
        assert!(shown["keys"].as_array().unwrap().iter().all(|key| key["managed"] == "customer"));
        // Nothing of the keys is on the disk in the clear.
        contoso()
            .key
            .with_components(|key| {
                for (path, bytes) in bench.desk.snapshot() {
                    let secret: Vec<u8> = key.p.iter().copied().skip_while(|&byte| byte == 0).take(32).collect();
                    assert!(!bytes.windows(32).any(|window| window == secret), "{}", path.display());
                }
                Ok(())
            })
            .unwrap();
    });
}

#[test]
fn openssl_verifies_what_the_token_signs() {
    on_tokens("tokens::openssl_verifies_what_the_token_signs", |bench| {
        bench.to_token(&["contoso.xml"], "target", &[]).exits(0);
        let store = tokens::open(&Pkcs11Uri::parse(&bench.uri("target")).unwrap()).unwrap();
        let signature = store.sign(&contoso().key.id(), &[Hash::Sha256.digest(b"message")]).unwrap().remove(0);
        bench.desk.write("signature", &signature);
        bench.desk.write("message", "message");
        bench.desk.write("public.pem", contoso().key.public().to_pem());
        let verified = Command::new("openssl")
            .args(["dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "message"])
            .current_dir(bench.desk.path(""))
            .output()
            .unwrap();
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    });
}

#[test]
fn the_same_migration_into_a_token_twice_changes_nothing() {
    on_tokens("tokens::the_same_migration_into_a_token_twice_changes_nothing", |bench| {
        bench.to_token(&["contoso.xml"], "target", &[]).exits(0);
        let (files, keys) = (bench.desk.snapshot(), bench.keys("target"));
        let again = bench.to_token(&["contoso.xml"], "target", &[]).exits(0).says("nothing changed");
        assert_eq!(again.json("migrate")["keys"][0]["route"], "was there already");
        assert!(bench.desk.snapshot() == files);
        assert_eq!(bench.keys("target"), keys);
    });
}

#[test]
fn a_module_protected_key_goes_from_token_to_token() {
    on_tokens("tokens::a_module_protected_key_goes_from_token_to_token", |bench| {
        let public = bench.domain_around("accelerator", Transferability::Wrapped);
        let value = bench.between("accelerator.xml", "accelerator", "target", &["--licence", "accelerator.pfile"]).exits(0).json("migrate");
        let key = &value["keys"][0];
        assert_eq!(key["key_id"], public.id().to_string());
        proofs_hold(key);
        for name in ["source-is-module-protected", "sensitive-and-not-extractable", "given-licence-opens"] {
            assert!(key["proofs"].as_array().unwrap().iter().any(|proof| proof["name"] == name), "{name}");
        }
        bench.desk.run("licence open accelerator.pfile --tenant tenant --pin-source file:pin").exits(0);
        // SoftHSM 2.6 pads wrongly when it wraps; that is said.
        assert!(value["warnings"].to_string().contains("zero"), "{}", value["warnings"]);
    });
}

#[test]
fn source_and_target_may_not_be_one_token() {
    on_tokens("tokens::source_and_target_may_not_be_one_token", |bench| {
        bench.domain_around("accelerator", Transferability::Wrapped);
        let keys = bench.keys("accelerator");
        bench.between("accelerator.xml", "accelerator", "accelerator", &[]).exits(2).says("the same token");
        assert_eq!(bench.keys("accelerator"), keys);
        assert!(!bench.desk.path("tenant").exists());
    });
}

/// Two makers' modules in one process; what pkcs11-tool sees on either.
#[test]
fn keys_go_into_the_other_makers_token() {
    on_both("tokens::keys_go_into_the_other_makers_token", &["accelerator", "target"], |modules| {
        let desk = Desk::new();
        for (file, pin) in [("pin", PIN), ("kryoptic-pin", kryoptic::PIN)] {
            desk.write(file, format!("{pin}\n"));
            desk.make_private(file);
        }
        let bench = Bench { desk, module: modules.softhsm_module() };
        let public = bench.domain_around("accelerator", Transferability::Wrapped);
        let target = format!(
            "pkcs11:token=target?module-path={}&pin-source=file:{}",
            modules.kryoptic_module().display(),
            bench.desk.path("kryoptic-pin").display()
        );
        let source = bench.uri("accelerator");
        let common = ["--password-source", "file:password", "--tenant", "tenant", "--target", &target];
        let hsm = ["--format", "json", "migrate", "hsm-to-hsm", "--source", &source, "accelerator.xml", "--licence", "accelerator.pfile"];
        let moved = bench.desk.run_with(&[&hsm[..], &common].concat()).exits(0).json("migrate");
        assert_eq!(moved["keys"][0]["key_id"], public.id().to_string());
        proofs_hold(&moved["keys"][0]);
        let again = bench.desk.run_with(&[&hsm[..], &common].concat()).exits(0).says("nothing changed").json("migrate");
        assert_eq!(again["keys"][0]["changed"], false);
        let software = ["migrate", "software-to-hsm", "contoso.xml", "woodgrove.xml"];
        bench.desk.run_with(&[&software[..], &common].concat()).exits(0);

        let listed = pkcs11_tool(modules.kryoptic_module(), "target", kryoptic::PIN, "privkey");
        assert_eq!(listed.matches("Private Key Object; RSA").count(), 3, "{listed}");
        assert_eq!(listed.matches("Usage:      decrypt, sign").count(), 3, "{listed}");
        only_sensitive(&listed, 3);
        let listed = pkcs11_tool(modules.kryoptic_module(), "target", kryoptic::PIN, "pubkey");
        assert_eq!((listed.matches("RSA 2048 bits").count(), listed.matches("RSA 1024 bits").count()), (2, 1), "{listed}");
        // From a maker's token of which nothing says that a module alone protects the key, it is refused.
        let refused = ["migrate", "hsm-to-hsm", "--source", &target, "accelerator.xml", "--password-source", "file:password", "--tenant", "second"];
        let back = bench.uri("target");
        bench.desk.run_with(&[&refused[..], &["--target", &back]].concat()).exits(4).says("rule");
        assert!(!bench.desk.path("second").exists());
    });
}

#[test]
fn a_key_under_a_card_set_or_a_softcard_is_refused() {
    on_tokens("tokens::a_key_under_a_card_set_or_a_softcard_is_refused", |bench| {
        for label in ["PKCS11OCS", "softcard one"] {
            bench.domain_around(label, Transferability::Wrapped);
            let domain = format!("{label}.xml");
            bench.between(&domain, label, "target", &[]).exits(4).says("rule 29").says(label);
        }
        assert!(bench.keys("target").is_empty());
        assert!(!bench.desk.path("tenant").exists());
    });
}

#[test]
fn evidence_that_contradicts_the_token_is_a_conflict_and_evidence_of_another_key_counts_for_nothing() {
    on_tokens("tokens::evidence_that_contradicts_the_token_is_a_conflict_and_evidence_of_another_key_counts_for_nothing", |bench| {
        let public = bench.domain_around("accelerator", Transferability::Wrapped);
        let base64 = |bytes: &[u8]| {
            let output = Command::new("openssl")
                .args(["base64", "-A", "-in", "n.bin"])
                .current_dir({
                    bench.desk.write("n.bin", bytes);
                    bench.desk.path("")
                })
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let attestation = |modulus: &[u8], protection: &str| {
            format!(
                r#"{{"path":"key_pkcs11_x.att","protection":"{protection}","recovery":true,"permissions":["decrypt","sign"],"esn":"0000-0000-0000","hknso":"00","k":{{"type":"RSAPublic","data":{{"n":"{}","e":"AQAB"}}}}}}"#,
                base64(modulus)
            )
        };
        bench.desk.write("card-set.json", attestation(public.modulus(), "cardset"));
        bench.desk.write("other.json", attestation(contoso().key.public().modulus(), "cardset"));
        bench.desk.write("module.json", attestation(public.modulus(), "module"));
        bench
            .between("accelerator.xml", "accelerator", "target", &["--evidence", "card-set.json"])
            .exits(4)
            .says("rule 29")
            .says("contradicts itself");
        assert!(bench.keys("target").is_empty());
        bench.between("accelerator.xml", "accelerator", "target", &["--evidence", "other.json", "--evidence", "module.json"]).exits(0);
    });
}

#[test]
fn a_key_that_cannot_leave_and_a_key_of_another_token_are_refused() {
    on_tokens("tokens::a_key_that_cannot_leave_and_a_key_of_another_token_are_refused", |bench| {
        bench.domain_around("accelerator", Transferability::Never);
        bench.between("accelerator.xml", "accelerator", "target", &[]).exits(4).says("rule 31");
        bench.between("accelerator.xml", "second target", "target", &[]).exits(4).says("rule 70");
        bench.between("contoso.xml", "accelerator", "target", &[]).exits(4).says("rule 41");
        bench.to_token(&["accelerator.xml"], "target", &[]).exits(4).says("rule 41");
        bench.desk.run("migrate software-to-software --password-source file:password --tenant tenant accelerator.xml").exits(4).says("rule 30");
        assert!(bench.keys("target").is_empty());
    });
}

#[test]
fn keep_transferable_leaves_the_key_wrappable_and_says_so() {
    on_tokens("tokens::keep_transferable_leaves_the_key_wrappable_and_says_so", |bench| {
        let value = bench.to_token(&["contoso.xml"], "target", &["--keep-transferable"]).exits(0).json("migrate");
        assert!(value["keys"][0]["proofs"].to_string().contains("sensitive-and-wrappable-under-a-trusted-key"));
        let key = &bench.keys("target")[0];
        assert_eq!((&key["sensitive"], &key["extractable"], &key["wrap_with_trusted"]), (&true.into(), &true.into(), &true.into()));
        let shown = bench.desk.run("--format json tenant show --tenant tenant").exits(0).json("tenant");
        assert_eq!(shown["keys"][0]["transferable"], true);
    });
}

#[test]
fn a_label_that_another_key_has_is_left_alone() {
    on_tokens("tokens::a_label_that_another_key_has_is_left_alone", |bench| {
        bench.desk.run("tenant init --tenant tenant").exits(0);
        let tenant = bench.desk.run("--format json tenant show --tenant tenant").json("tenant")["tenant_id"].as_str().unwrap().to_owned();
        let label = format!("keykit-{}-{}", &tenant[..8], contoso().key.id().short());
        bench.desk.run_with(&["store", "generate", "--store", &bench.uri("target"), "--label", &label]).exits(0);
        let keys = bench.keys("target");
        bench.to_token(&["contoso.xml"], "target", &[]).exits(9);
        assert_eq!(bench.keys("target"), keys);
        let shown = bench.desk.run("--format json tenant show --tenant tenant").exits(0).json("tenant");
        assert!(shown["keys"].as_array().unwrap().is_empty());
    });
}

#[test]
fn a_key_of_another_tenant_in_the_token_is_refused() {
    on_tokens("tokens::a_key_of_another_tenant_in_the_token_is_refused", |bench| {
        bench.to_token(&["contoso.xml"], "target", &[]).exits(0);
        let uri = bench.uri("target");
        // Not a sibling folder: the label in the token tells.
        let arguments = ["migrate", "software-to-hsm", "--password-source", "file:password", "--tenant", "far/away", "--target", &uri, "contoso.xml"];
        bench.desk.run_with(&arguments).exits(4).says("rule 4");
        assert_eq!(bench.keys("target").len(), 1);
    });
}

#[test]
fn a_wrong_pin_is_tried_once() {
    on_tokens("tokens::a_wrong_pin_is_tried_once", |bench| {
        bench.desk.write("wrong-pin", "9999\n");
        bench.desk.make_private("wrong-pin");
        let uri = bench.uri("target").replace("/pin", "/wrong-pin");
        let ran = bench.desk.run_with(&["--format", "json", "store", "keys", "--store", &uri]).exits(6);
        assert_eq!(ran.json("error")["code"], "wrong-pin");
        // The right one still works: the token is not locked.
        bench.keys("target");
    });
}

#[test]
fn a_token_that_is_gone_and_a_module_that_is_none_are_clear_errors() {
    on_tokens("tokens::a_token_that_is_gone_and_a_module_that_is_none_are_clear_errors", |bench| {
        let gone = bench.uri("nowhere");
        bench.desk.run_with(&["store", "keys", "--store", &gone]).exits(2).says("target");
        bench.desk.write("none.so", "this is no library");
        let none = format!("pkcs11:token=target?module-path={}&pin-source=file:pin", bench.desk.path("none.so").display());
        let ran = bench.desk.run_with(&["store", "keys", "--store", &none]);
        assert!([2, 5].contains(&ran.0.status.code().unwrap()), "{}", ran.stderr());
        assert!(ran.stderr().contains("none.so"), "{}", ran.stderr());
    });
}

#[test]
fn an_era_and_an_identity_are_kept() {
    on_tokens("tokens::an_era_and_an_identity_are_kept", |bench| {
        let value = bench.to_token(&["contoso.xml", "fabrikam.xml"], "target", &["--era", "2016"]).exits(0).json("migrate");
        assert_eq!(value["keys"][0]["status"], "active");
        assert_eq!(value["keys"][1]["status"], "archived");
        let id: KeyId = value["keys"][0]["key_id"].as_str().unwrap().parse().unwrap();
        assert_eq!(id, contoso().key.id());
    });
}
