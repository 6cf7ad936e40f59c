//! Migrations killed with SIGKILL before every effect on the disk, and started again.
//!
//! `strace` delivers the signal on entry to the n-th system call of a kind that makes an effect last. So the moments are
//! exact, every one is met, and the process that dies is the program itself.

use std::collections::BTreeSet;
use std::fs;

use crate::support::{Desk, contoso, fabrikam, woodgrove};
use crate::tokens::on_tokens;
pub(crate) use crate::traced::{can_trace, killed_at};

/// The calls by which the program makes an effect last, or takes one back.
pub(crate) const EFFECTS: [&str; 6] = ["mkdir", "fsync", "renameat", "renameat2", "unlink", "ftruncate"];

/// Starts the migration again. It opens a licence of every key under the tenant itself, or fails.
fn again(desk: &Desk, arguments: &[&str]) {
    let ran = desk.run_with(arguments).exits(0);
    let opened = ran.stdout().matches("given-licence-opens").count();
    assert_eq!(opened, 3, "{}", ran.stdout());
}

/// The three keys are there once, and nothing is left over.
fn is_whole(desk: &Desk, moment: &str) {
    let shown = desk.run("--format json tenant show --tenant tenant").exits(0).json("tenant");
    let keys: Vec<&str> = shown["keys"].as_array().unwrap().iter().map(|key| key["key_id"].as_str().unwrap()).collect();
    let expected: BTreeSet<String> = [contoso(), fabrikam(), woodgrove()].iter().map(|sample| sample.key.id().to_string()).collect();
    assert_eq!(keys.len(), 3, "killed at {moment}");
    assert_eq!(keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>(), expected, "killed at {moment}");
    let left_over: Vec<_> = desk.snapshot().into_iter().map(|(path, _)| path).filter(|path| path.to_string_lossy().contains(".keykit-")).collect();
    assert!(left_over.is_empty(), "killed at {moment}: {left_over:?}");
}

const INPUTS: [&str; 9] =
    ["contoso.xml", "fabrikam.xml", "woodgrove.xml", "--licence", "contoso.pfile", "--licence", "fabrikam.pfile", "--licence", "woodgrove.pfile"];

#[test]
fn software_to_software_survives_a_kill_before_every_effect() {
    let name = "killed::software_to_software_survives_a_kill_before_every_effect";
    if !can_trace(name) {
        return;
    }
    let mut arguments = vec!["migrate", "software-to-software", "--era", "2016", "--password-source", "file:password", "--tenant", "tenant"];
    arguments.extend(INPUTS);
    let desk = Desk::new();
    let mut met = 0;
    for call in EFFECTS {
        for moment in 1.. {
            let killed = killed_at(&desk, call, moment, &arguments);
            if killed {
                met += 1;
                again(&desk, &arguments);
            }
            is_whole(&desk, &format!("{call} {moment}"));
            // Again from nothing.
            fs::remove_dir_all(desk.path("tenant")).unwrap();
            if !killed {
                break;
            }
        }
    }
    println!("software to software: killed at {met} moments");
    assert!(met > 60, "only {met} effects were met");
}

#[test]
fn software_to_hsm_survives_kills_at_effects_of_program_and_token() {
    on_tokens("killed::software_to_hsm_survives_kills_at_effects_of_program_and_token", |bench| {
        if !can_trace("killed::software_to_hsm_survives_kills_at_effects_of_program_and_token") {
            return;
        }
        let uri = bench.uri("target");
        let mut arguments = vec!["migrate", "software-to-hsm", "--password-source", "file:password", "--tenant", "tenant", "--target", &uri];
        arguments.extend(INPUTS);
        let mut met = 0;
        // SoftHSM keeps each object in a file that it writes without a sync, so writes are moments too. Every 41st: a
        // number that shares no factor with the pattern of an object's writes.
        for (call, step) in [("fsync", 9), ("renameat", 7), ("write", 41)] {
            for moment in (1..).step_by(step) {
                let killed = killed_at(&bench.desk, call, moment, &arguments);
                if killed {
                    met += 1;
                    again(&bench.desk, &arguments);
                }
                is_whole(&bench.desk, &format!("{call} {moment}"));
                assert_eq!(bench.keys("target").len(), 3, "killed at {call} {moment}");
                bench.empty("target");
                fs::remove_dir_all(bench.desk.path("tenant")).unwrap();
                if !killed {
                    break;
                }
            }
        }
        println!("software to HSM: killed at {met} moments");
        assert!(met > 5, "only {met} effects were met");
    });
}
