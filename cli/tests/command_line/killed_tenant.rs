//! Activation and re-key killed with SIGKILL before every effect on the disk: the tenant is whole, and the same command ends it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::killed::EFFECTS;
use crate::support::{Desk, contoso, fabrikam};
use crate::traced::{can_trace, killed_at};

fn shown(desk: &Desk) -> Value {
    desk.run("--format json tenant show --tenant tenant").exits(0).json("tenant")
}

/// One key is active and has signed everything that is published, and every text verifies.
fn is_whole(desk: &Desk, moment: &str) -> String {
    let value = shown(desk);
    let active: Vec<&str> =
        value["keys"].as_array().unwrap().iter().filter(|key| key["status"] == "active").map(|key| key["key_id"].as_str().unwrap()).collect();
    assert_eq!(active.len(), 1, "{moment}");
    for template in value["templates"].as_array().unwrap() {
        let id = template["id"].as_str().unwrap();
        assert_eq!(template["status"], "published", "{moment}");
        assert_eq!(template["signed_by"], active[0], "{moment}: {id}");
        let detail = desk.run(&format!("--format json tenant template show {id} --tenant tenant")).exits(0).json("tenant-template-show");
        assert_eq!(detail["signature_ok"], true, "{moment}");
    }
    active[0].to_owned()
}

/// Two keys, the templates of both published.
fn tenant() -> Desk {
    let desk = Desk::new();
    desk.run("migrate software-to-software --password-source file:password --tenant tenant contoso.xml fabrikam.xml").exits(0);
    desk.run(&format!("tenant activate {} --tenant tenant", contoso().key.id())).exits(0);
    for template in shown(&desk)["templates"].as_array().unwrap() {
        desk.run(&format!("tenant template publish {} --tenant tenant", template["id"].as_str().unwrap())).exits(0);
    }
    desk
}

#[test]
fn an_activation_survives_a_kill_before_every_effect() {
    if !can_trace("killed_tenant::an_activation_survives_a_kill_before_every_effect") {
        return;
    }
    let desk = tenant();
    let [contoso, fabrikam] = [contoso(), fabrikam()].map(|sample| sample.key.id().to_string());
    let mut met = 0;
    for call in EFFECTS {
        for number in 1.. {
            // Back and forth, so that every run has everything to do.
            let target = if is_whole(&desk, "before") == contoso { &fabrikam } else { &contoso };
            let command = ["tenant", "activate", target, "--tenant", "tenant"];
            if !killed_at(&desk, call, number, &command) {
                break;
            }
            met += 1;
            let moment = format!("{call} {number}");
            is_whole(&desk, &moment);
            desk.run_with(&command).exits(0);
            assert_eq!(is_whole(&desk, &moment), *target, "{moment}");
        }
    }
    // Two lines of the journal, four templates, the tenant file: each is synced.
    assert!(met >= 10, "{met} moments");
    println!("{met} moments");
}

#[test]
fn a_rekey_survives_a_kill_before_every_effect_and_makes_one_key() {
    if !can_trace("killed_tenant::a_rekey_survives_a_kill_before_every_effect_and_makes_one_key") {
        return;
    }
    let desk = tenant();
    let command = ["--format", "json", "tenant", "rekey", "--tenant", "tenant"];
    let (mut met, mut taken_up) = (0, 0);
    for call in EFFECTS {
        for number in 1.. {
            let before = shown(&desk)["keys"].as_array().unwrap().len();
            if !killed_at(&desk, call, number, &command) {
                break;
            }
            met += 1;
            let moment = format!("{call} {number}");
            is_whole(&desk, &moment);
            if shown(&desk)["keys"].as_array().unwrap().len() == before {
                // It had not counted: the command does it, with the key that was made already if one was.
                let done = desk.run_with(&command).exits(0).json("tenant-rekey");
                taken_up += usize::from(done["taken_up"] == true);
            }
            let value = shown(&desk);
            assert_eq!(value["keys"].as_array().unwrap().len(), before + 1, "{moment}");
            assert_eq!(is_whole(&desk, &moment), value["keys"][before]["key_id"].as_str().unwrap(), "{moment}");
            // Every key in the folder is one of the tenant's: none was made twice.
            let listed = desk.run("--format json store keys --store file:tenant/keys").exits(0).json("store-keys");
            let ids = |keys: &Value| keys.as_array().unwrap().iter().map(|key| key["key_id"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>();
            assert_eq!(ids(&listed["keys"]), ids(&value["keys"]), "{moment}");
        }
    }
    assert!(met >= 10 && taken_up >= 1, "{met} moments, {taken_up} keys taken up");
    println!("{met} moments, {taken_up} keys taken up");
}

#[test]
fn a_change_of_the_password_survives_a_kill_before_every_effect() {
    if !can_trace("killed_tenant::a_change_of_the_password_survives_a_kill_before_every_effect") {
        return;
    }
    let desk = Desk::new();
    desk.run("migrate software-to-software --password-source file:password --tenant tenant contoso.xml fabrikam.xml").exits(0);
    for (name, password) in [("one", "keyring password\n"), ("two", "another password\n")] {
        desk.write(name, password);
        desk.make_private(name);
    }
    let opens =
        |name: &str, password: &str| desk.run(&format!("licence open {name}.pfile --tenant tenant --keyring-password-source file:{password}"));
    let (mut current, mut next) = ("one", "two");
    let (mut met, mut counted) = (0, 0);
    for call in EFFECTS {
        for number in 1.. {
            let from = format!("file:{current}");
            let to = format!("file:{next}");
            let command = ["tenant", "repassword", "--tenant", "tenant", "--keyring-password-source", &from, "--new-password-source", &to];
            let killed = killed_at(&desk, call, number, &command);
            let moment = format!("{call} {number}");
            if killed {
                met += 1;
                let with_old = opens("contoso", current);
                if with_old.0.status.code() == Some(0) {
                    // It had not counted: the same command does it.
                    desk.run_with(&command).exits(0);
                } else {
                    counted += 1;
                    // The files were put in place before the old password was tried, or by the run itself.
                    let said = with_old.exits(6);
                    let unfinished = said.stderr().contains("the new password counts");
                    assert!(unfinished || said.stderr().contains("which somebody may have changed"), "{moment}: {}", said.stderr());
                }
            }
            // One password opens every key, the other none, and nothing is left over.
            for name in ["contoso", "fabrikam"] {
                opens(name, next).exits(0);
                opens(name, current).exits(6);
            }
            let left_over = |name: &str| name.ends_with(".new") || name.contains(".password-change") || name.contains(".keykit-");
            let left: Vec<_> = desk.snapshot().into_iter().map(|(path, _)| path).filter(|path| left_over(&path.to_string_lossy())).collect();
            assert!(left.is_empty(), "{moment}: {left:?}");
            std::mem::swap(&mut current, &mut next);
            if !killed {
                break;
            }
        }
    }
    assert!(met >= 10 && counted >= 3, "{met} moments, at {counted} of them it had counted");
    println!("{met} moments, at {counted} of them it had counted");
}

/// The operator who does as the message of an interrupted run says hears which password it is.
#[test]
fn after_a_change_that_was_cut_off_the_old_password_is_answered_with_the_truth() {
    if !can_trace("killed_tenant::after_a_change_that_was_cut_off_the_old_password_is_answered_with_the_truth") {
        return;
    }
    let desk = Desk::new();
    desk.run("migrate software-to-software --password-source file:password --tenant tenant contoso.xml").exits(0);
    desk.write("other", "another password\n");
    desk.make_private("other");
    let command = ["tenant", "repassword", "--tenant", "tenant", "--new-password-source", "file:other"];
    // The moments before the marker change nothing, the ones after it have changed the password.
    let cut_off = (1..20).find(|number| {
        assert!(killed_at(&desk, "fsync", *number, &command), "killed before the change had counted");
        desk.path("tenant/keys/.password-change").exists()
    });
    assert!(cut_off.is_some());
    desk.run_with(&command).exits(6).says("is finished now: the new password counts");
    desk.run("licence open contoso.pfile --tenant tenant --keyring-password-source file:other").exits(0);
}
