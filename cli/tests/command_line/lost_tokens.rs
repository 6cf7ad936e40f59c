//! A token that drops out in the middle of a command: exit code 5, nothing is recorded as lost, and the command goes on once the
//! token is back.

use std::fs;

use keykit_tests::nshield::{Modules, on_nshield};
use keykit_tests::softhsm::PIN;
use serde_json::Value;

use crate::scene::Scene;
use crate::support::{Desk, contoso, fabrikam};
use crate::tokens::Bench;

/// Codes that SoftHSM and kryoptic have for a ciphertext that does not open too.
const CODES: [&str; 3] = ["CKR_DEVICE_ERROR", "CKR_GENERAL_ERROR", "CKR_FUNCTION_FAILED"];

fn on_tokens(name: &str, body: impl FnOnce(&Bench<'_>, &Modules)) {
    on_nshield(&format!("lost_tokens::{name}"), &["target"], |modules| {
        let desk = Desk::new();
        desk.write("pin", format!("{PIN}\n"));
        desk.make_private("pin");
        body(&Bench { desk, module: &modules.shim }, modules);
    });
}

/// A tenant whose keys are in the token, and a share with twelve licences of one of them.
fn share(bench: &Bench<'_>) {
    bench.to_token(&["contoso.xml", "fabrikam.xml"], "target", &[]).exits(0);
    fs::create_dir(bench.desk.path("share")).unwrap();
    for number in 0..12 {
        fs::copy(bench.desk.path("contoso.pfile"), bench.desk.path(&format!("share/{number}.pfile"))).unwrap();
    }
}

fn faults() -> impl Iterator<Item = String> {
    CODES.into_iter().zip([(1, "lost"), (7, "lost"), (7, "forever")]).map(|(code, (nth, lasting))| format!("C_Decrypt:{nth}:{code}:{lasting}"))
}

#[test]
fn proof_of_access_calls_no_file_lost() {
    on_tokens("proof_of_access_calls_no_file_lost", |bench, modules| {
        share(bench);
        let prove = |ledger: &str| {
            bench.desk.run(&format!("--format json prove-access --tenant tenant --pin-source file:pin share -o {ledger} --csv {ledger}.csv"))
        };
        for (number, fault) in faults().enumerate() {
            let ledger = format!("ledger-{number}");
            modules.set_faults(&fault);
            let error = prove(&ledger).exits(5).json("error");
            assert_eq!(error["code"], "token", "{fault}");
            let written = fs::read_to_string(bench.desk.path(&ledger)).unwrap_or_default();
            assert!(!written.contains("\"lost\"") && !written.contains("does-not-open"), "{fault}: {written}");
            assert!(!bench.desk.path(&format!("{ledger}.csv")).exists(), "{fault}");
            modules.set_faults("");
            let proof = bench
                .desk
                .run(&format!("--format json prove-access --tenant tenant --pin-source file:pin share -o {ledger}"))
                .exits(0)
                .json("prove-access");
            assert_eq!((&proof["proven"], &proof["opens"]), (&true.into(), &12.into()), "{fault}");
        }
        // A fault that passes is no loss either.
        modules.set_faults("C_Decrypt:3:CKR_DEVICE_ERROR:after");
        assert_eq!(prove("passing").exits(0).json("prove-access")["proven"], true);
    });
}

#[test]
fn a_rekey_of_licences_records_no_failure() {
    on_tokens("a_rekey_of_licences_records_no_failure", |bench, modules| {
        share(bench);
        bench.desk.run(&format!("tenant activate {} --tenant tenant --pin-source file:pin", fabrikam().key.id())).exits(0);
        for (number, fault) in faults().enumerate() {
            let run = || bench.desk.run(&format!("--format json licence rekey share --tenant tenant --pin-source file:pin -o out-{number}"));
            modules.set_faults(&fault);
            assert_eq!(run().exits(5).json("error")["code"], "token", "{fault}");
            modules.set_faults("");
            let done = run().exits(0).json("licence-rekey");
            assert_eq!((&done["done"], &done["failed"]), (&12.into(), &0.into()), "{fault}: {done}");
        }
    });
}

#[test]
fn a_migration_leaves_the_target_as_it_was_or_goes_on() {
    on_tokens("a_migration_leaves_the_target_as_it_was_or_goes_on", |bench, modules| {
        let migrate = || bench.to_token(&["contoso.xml"], "target", &["--licence", "contoso.pfile"]);
        // What each of them does in a migration: self-test (four calls) and transfer, signatures, licences, the public half.
        let moments: [(&str, &[u32]); 4] = [("C_UnwrapKey", &[1, 2, 4, 5, 6]), ("C_Sign", &[1, 2]), ("C_Decrypt", &[1, 2]), ("C_CreateObject", &[1])];
        let mut codes = CODES.into_iter().cycle();
        for (function, numbers) in moments {
            for (nth, code) in numbers.iter().zip(&mut codes) {
                modules.set_faults(&format!("{function}:{nth}:{code}:lost"));
                let ran = migrate();
                modules.set_faults("");
                let error = ran.exits(5).json("error");
                assert_eq!(error["code"], "token", "{function} {nth} {code}");
                let again = migrate().exits(0).json("migrate");
                assert_eq!(again["keys"][0]["key_id"], contoso().key.id().to_string());
                assert_eq!(bench.keys("target").len(), 1, "{function} {nth} {code}");
                bench.empty("target");
                fs::remove_dir_all(bench.desk.path("tenant")).unwrap();
            }
        }
    });
}

#[test]
fn a_verification_says_what_it_could_not_check_and_calls_nothing_failed() {
    on_tokens("a_verification_says_what_it_could_not_check_and_calls_nothing_failed", |bench, modules| {
        let scene = Scene::into_token(bench);
        scene.goes_on_to_the_end("a plan");
        let verify = |fault: &str, code: i32| {
            modules.set_faults(fault);
            let ran = bench.desk.run("--format json verify plan.json");
            modules.set_faults("");
            let ran = ran.exits(code);
            let value = ran.json("verify");
            let checks = value["checks"].as_array().unwrap().clone();
            let unknown: Vec<Value> = checks.iter().filter(|check| check["reason"] == "could-not-be-checked").cloned().collect();
            let failed: Vec<Value> = checks.iter().filter(|check| check["ok"] == false && check.get("reason").is_none()).cloned().collect();
            (value["sound"] == true, unknown, failed, ran)
        };
        let faults = ["C_FindObjectsInit:1:CKR_DEVICE_ERROR:lost", "C_Sign:1:CKR_DEVICE_REMOVED:lost", "C_Decrypt:1:CKR_TOKEN_NOT_PRESENT:forever"];
        for fault in faults {
            let (sound, unknown, failed, ran) = verify(fault, 5);
            assert!(!sound && !unknown.is_empty() && failed.is_empty(), "{fault}: {unknown:?} {failed:?}");
            assert!(unknown.iter().all(|check| check["ok"] == false && check["detail"].as_str().unwrap().contains("CKR_")), "{fault}: {unknown:?}");
            ran.says("could not be made");
        }
        modules.set_faults(faults[0]);
        assert!(bench.desk.run("verify plan.json").exits(5).stdout().contains("NOT CHECKED"));
        let report = bench.desk.run("--format json report plan.json").exits(1).json("report");
        modules.set_faults("");
        let points: Vec<&Value> =
            report["statements"].as_array().unwrap().iter().flat_map(|statement| statement["but"].as_array().unwrap()).collect();
        assert!(points.iter().any(|point| point["what"].as_str().unwrap().contains("could not be made")), "{points:?}");
        assert!(points.iter().all(|point| point["status"] != "fails"), "{points:?}");
        let (sound, unknown, failed, _) = verify("", 0);
        assert!(sound && unknown.is_empty() && failed.is_empty());
        // What did fail is said before what could not be checked.
        let name = contoso().key.id().to_string();
        let chain = bench.desk.path(&format!("tenant/chains/{name}.xml"));
        fs::write(&chain, "<XrML/>").unwrap();
        let (_, unknown, failed, _) = verify(faults[0], 1);
        assert!(!unknown.is_empty() && failed.iter().any(|check| check["name"] == "chain-is-the-exported-one"), "{failed:?}");
    });
}
