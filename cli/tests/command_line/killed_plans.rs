//! Plans killed with SIGKILL at every call that changes a file of theirs or of a token, on all three paths: while they are applied,
//! while they are resumed, and while they are given up. `strace` delivers the signal on entry to the call, so a kill at a call is one
//! after everything before it; the last is at the end of the process, when all is done.
//!
//! `KEYKIT_LONG_TESTS` takes every call; otherwise some of each, evenly spread.

use keykit_tests::child::is_child;

use crate::scene::Scene;
use crate::support::Desk;
use crate::tokens::on_tokens;
use crate::traced::{can_trace, killed_at, moments, sample};

/// How many calls are taken in a short run.
struct Counts {
    apply: usize,
    resume: usize,
    abort: usize,
}

/// Of the calls of an undisturbed run, the places at which a run is killed before its resumption and its end are.
const BEFORE: [(usize, usize); 2] = [(2, 5), (4, 5)];

/// After a death: goes on, and everything holds.
fn goes_on_and_holds(scene: &Scene<'_>, what: &str, again: bool) {
    scene.always(what);
    let (is_begun, is_over) = scene.standing();
    scene.goes_on_to_the_end(what);
    scene.holds(what, is_begun && !is_over);
    if again {
        scene.is_done_for_good(what);
    }
}

fn every_death(scene: &Scene<'_>, counts: &Counts) {
    let (ran, calls) = moments(scene.desk, &scene.folders(), &["apply", "plan.json"]);
    ran.exits(0);
    let total = calls.len();
    let (mut applied, mut resumed, mut given_up) = (0, 0, 0);
    for (index, moment) in sample(calls.clone(), counts.apply).iter().enumerate() {
        let what = format!("{} apply, {}", scene.path_name(), moment.name());
        scene.start.put_back();
        applied += usize::from(killed_at(scene.desk, &moment.call, moment.number, &["apply", "plan.json"]));
        goes_on_and_holds(scene, &what, index % 5 == 0);
    }
    for (part, of) in BEFORE {
        let first = &calls[total * part / of];
        scene.start.put_back();
        assert!(killed_at(scene.desk, &first.call, first.number, &["apply", "plan.json"]));
        let half_way = scene.now();
        assert_eq!(scene.standing(), (true, false), "{first:?}");
        let (ran, calls) = moments(scene.desk, &scene.folders(), &["resume", "plan.json"]);
        ran.exits(0);
        for moment in sample(calls, counts.resume) {
            let what = format!("{} killed at {}, resume, {}", scene.path_name(), first.name(), moment.name());
            half_way.put_back();
            resumed += usize::from(killed_at(scene.desk, &moment.call, moment.number, &["resume", "plan.json"]));
            goes_on_and_holds(scene, &what, false);
        }
        half_way.put_back();
        let (ran, calls) = moments(scene.desk, &scene.folders(), &["abort", "plan.json"]);
        ran.exits(0);
        for moment in sample(calls, counts.abort) {
            let what = format!("{} killed at {}, abort, {}", scene.path_name(), first.name(), moment.name());
            half_way.put_back();
            given_up += usize::from(killed_at(scene.desk, &moment.call, moment.number, &["abort", "plan.json"]));
            scene.always(&what);
            if !scene.standing().1 {
                scene.desk.run("abort plan.json").exits(0);
            }
            // Given up, the plan can be applied anew.
            scene.desk.run("resume plan.json").exits(2);
            scene.desk.run("apply plan.json").exits(0);
            scene.holds(&what, true);
        }
    }
    assert!(applied >= 3 && resumed >= 2 && given_up >= 2, "{applied}, {resumed}, {given_up}");
    println!(
        "{}: {total} calls that change files; killed at {applied} of them, at {resumed} of resumptions, at {given_up} of ends before their time",
        scene.path_name()
    );
}

fn on_tokens_if_traced(name: &str, body: impl FnOnce(&crate::tokens::Bench<'_>)) {
    if is_child() || can_trace(name) {
        on_tokens(name, body);
    }
}

#[test]
fn software_to_software() {
    if can_trace("killed_plans::software_to_software") {
        let desk = Desk::new();
        every_death(&Scene::in_software(&desk), &Counts { apply: 36, resume: 8, abort: 6 });
    }
}

#[test]
fn software_to_hsm() {
    on_tokens_if_traced("killed_plans::software_to_hsm", |bench| {
        every_death(&Scene::into_token(bench), &Counts { apply: 6, resume: 2, abort: 2 });
    });
}

#[test]
fn hsm_to_hsm() {
    on_tokens_if_traced("killed_plans::hsm_to_hsm", |bench| {
        every_death(&Scene::between_tokens(bench), &Counts { apply: 6, resume: 2, abort: 2 });
    });
}
