//! Disks that fail: EIO, ENOSPC, a file-size limit that makes short writes, syncs that fail, at every call about a file of ours or of
//! a token, once and from then on. The program says so with an exit code that is documented, nothing is half written, and the same
//! command ends the work once the disk is well.
//!
//! `KEYKIT_LONG_TESTS` takes every call and error; otherwise some of each command, evenly spread.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use keykit::key::RsaSecretKey;
use keykit_tests::child::is_child;

use crate::scene::Scene;
use crate::support::{Desk, Ran, contoso};
use crate::tokens::{Bench, on_tokens};
use crate::traced::{Moment, Saved, can_trace, every_moment, failing_at, is_long, sample};

/// A check of the plan failed because something could not be read; reading failed, the token failed, writing failed.
const CODES: [i32; 4] = [1, 2, 5, 8];
/// The keyring password of the tenant, when it was changed and the change was not known to be done.
const WRONG_PASSWORD: i32 = 6;

/// Sizes in bytes above which a file does not grow: within the first block, between blocks, and within the journals.
const LIMITS: [u64; 6] = [0, 1, 100, 511, 1000, 1500];

/// The errors that a call may end with.
fn errors(moment: &Moment) -> &'static [&'static str] {
    match moment.call.as_str() {
        _ if !moment.is_change() => &["EIO"],
        "write" | "pwrite64" | "openat" | "mkdir" | "rename" | "renameat" | "renameat2" | "linkat" => &["EIO", "ENOSPC"],
        "exit_group" => &[],
        _ => &["EIO"],
    }
}

/// A command that is disturbed.
struct Work<'a> {
    name: &'a str,
    desk: &'a Desk,
    folders: Vec<PathBuf>,
    command: &'a str,
    /// Exit codes of the command once more, after an error, that mean that its work was done.
    done: &'a [i32],
    /// Everything is as it is after the command.
    whole: &'a dyn Fn(&str),
}

impl Work<'_> {
    /// After a run that was disturbed: what it said, and that the same command ends the work.
    fn is_whole_after(&self, ran: &Ran, can_speak: bool, what: &str) -> i32 {
        let code = ran.0.status.code().unwrap_or_else(|| panic!("{what}: {}\n{}", ran.0.status, ran.stderr()));
        let said = ran.stderr();
        assert!(code == 0 || CODES.contains(&code), "{what}: exit {code}\n{said}");
        assert!(!said.contains("panicked"), "{what}: {said}");
        if code != 0 {
            let speaks = said.lines().any(|line| line.starts_with("keykit: error: "));
            assert!(speaks || !can_speak, "{what}: {said}");
            let again = self.desk.run(self.command);
            let after = again.0.status.code().unwrap_or(-1);
            assert!(after == 0 || self.done.contains(&after), "{what}: {code}, then {after}\n{said}\n{}", again.stderr());
        }
        (self.whole)(what);
        code
    }

    fn is_disturbed(&self, count: usize) {
        let arguments: Vec<&str> = self.command.split_whitespace().collect();
        let start = Saved::of(&self.folders);
        let (ran, calls) = every_moment(self.desk, &self.folders, &arguments);
        ran.exits(0);
        (self.whole)("undisturbed");
        let mut codes = BTreeMap::<i32, usize>::new();
        let faults: Vec<(&Moment, &str, bool)> = calls
            .iter()
            .flat_map(|moment| errors(moment).iter().map(move |error| (moment, *error)))
            .flat_map(|(moment, error)| [false, true].map(|for_ever| (moment, error, for_ever)))
            .collect();
        let all = faults.len();
        for (moment, error, for_ever) in sample(faults, count) {
            let what = format!("{}: {error} for ever {for_ever} at {}", self.name, moment.name());
            start.put_back();
            let ran = failing_at(self.desk, moment, error, for_ever, &arguments);
            // Where no write succeeds any more, none of words does.
            let can_speak = !(for_ever && moment.call == "write");
            *codes.entry(self.is_whole_after(&ran, can_speak, &what)).or_default() += 1;
            // A temporary file stays only where it could not be removed.
            let left = Saved::of(&self.folders);
            let left = left.files().find(|(path, _)| path.to_string_lossy().contains(".keykit-"));
            assert!(left.is_none() || moment.call == "unlink", "{what}: {:?} is left over", left.map(|(path, _)| path));
        }
        let limits: Vec<u64> = if is_long() { LIMITS.into_iter().chain((2000..12_000).step_by(500)).collect() } else { LIMITS.to_vec() };
        let mut short = 0;
        for limit in limits {
            let what = format!("{}: no file above {limit} bytes", self.name);
            start.put_back();
            let words: Vec<String> = self.command.split_whitespace().map(|word| format!("'{word}'")).collect();
            let script = format!("trap '' XFSZ; exec prlimit --fsize={limit} {} {}", env!("CARGO_BIN_EXE_keykit"), words.join(" "));
            let ran = self.desk.finish(Command::new("sh").arg("-c").arg(script));
            // SoftHSM writes its description of the token over the old one when somebody logs in, and under such a limit the token has
            // no label any more. That is its doing, and says nothing of the program.
            for (path, bytes) in start.files().filter(|(path, _)| path.ends_with("token.object")) {
                std::fs::write(path, bytes).unwrap();
            }
            short += usize::from(self.is_whole_after(&ran, true, &what) != 0);
        }
        start.put_back();
        let met: usize = codes.values().sum();
        println!("{}: {} calls about files; {met} of {all} errors, exit codes {codes:?}; {short} runs ended by short writes", self.name, calls.len());
        assert!(short >= 2 && codes.keys().any(|code| *code != 0), "{codes:?}, {short}");
    }
}

fn on_disk(name: &str, body: impl FnOnce(&Desk)) {
    if can_trace(&format!("faulty_disk::{name}")) {
        body(&Desk::new());
    }
}

fn on_tokens_if_traced(name: &str, body: impl FnOnce(&Bench<'_>)) {
    let name = format!("faulty_disk::{name}");
    if is_child() || can_trace(&name) {
        on_tokens(&name, body);
    }
}

fn everything(desk: &Desk) -> Vec<PathBuf> {
    vec![desk.path("").components().collect()]
}

fn has_keys(desk: &Desk, count: usize, what: &str) {
    let shown = desk.run("--format json tenant show --tenant tenant").exits(0).json("tenant");
    assert_eq!(shown["keys"].as_array().unwrap().len(), count, "{what}");
    let stored = desk.run("--format json store keys --store file:tenant/keys").exits(0).json("store-keys");
    assert_eq!(stored["keys"].as_array().unwrap().len(), count, "{what}");
    desk.run("licence open contoso.pfile --tenant tenant").exits(0);
}

const MIGRATE: &str = "migrate software-to-software --password-source file:password --tenant tenant contoso.xml";

#[test]
fn a_migration_into_a_new_folder() {
    on_disk("a_migration_into_a_new_folder", |desk| {
        let whole = |what: &str| has_keys(desk, 1, what);
        Work { name: "migrate, new folder", desk, folders: everything(desk), command: MIGRATE, done: &[], whole: &whole }.is_disturbed(24);
    });
}

#[test]
fn a_migration_into_a_folder_with_keys() {
    on_disk("a_migration_into_a_folder_with_keys", |desk| {
        desk.run(&MIGRATE.replace("contoso", "fabrikam")).exits(0);
        let whole = |what: &str| has_keys(desk, 2, what);
        Work { name: "migrate, folder with keys", desk, folders: everything(desk), command: MIGRATE, done: &[], whole: &whole }.is_disturbed(24);
    });
}

#[test]
fn a_domain_taken_apart() {
    on_disk("a_domain_taken_apart", |desk| {
        let command = "tpd split contoso.xml --keyless keyless.xml --danger-plaintext-pem key.pem --password-source file:password";
        let whole = |what: &str| {
            desk.run("inspect keyless.xml --password-source file:password").exits(0);
            let pem = String::from_utf8(desk.read("key.pem")).unwrap();
            assert_eq!(RsaSecretKey::from_pem(&pem).unwrap().id(), contoso().key.id(), "{what}");
        };
        Work { name: "tpd split", desk, folders: everything(desk), command, done: &[], whole: &whole }.is_disturbed(24);
    });
}

#[test]
fn a_domain_put_together() {
    on_disk("a_domain_put_together", |desk| {
        desk.run(MIGRATE).exits(0);
        let id = contoso().key.id();
        let chain = format!("tenant/chains/{id}.xml");
        let key = format!("file:tenant/keys#{}", id.short());
        let command = format!("tpd build --key {key} --chain {chain} --templates tenant/templates -o back.xml --password-source file:password");
        let whole = |_: &str| drop(desk.run("inspect back.xml --password-source file:password").exits(0));
        Work { name: "tpd build", desk, folders: everything(desk), command: &command, done: &[], whole: &whole }.is_disturbed(24);
    });
}

#[test]
fn a_password_changed() {
    on_disk("a_password_changed", |desk| {
        desk.run(MIGRATE).exits(0);
        desk.run(&MIGRATE.replace("contoso", "fabrikam")).exits(0);
        desk.write("new-password", "another keyring password\n");
        desk.make_private("new-password");
        let command = "tenant repassword --tenant tenant --new-password-source file:new-password";
        let whole = |_: &str| {
            for name in ["contoso", "fabrikam"] {
                desk.run(&format!("licence open {name}.pfile --tenant tenant --keyring-password-source file:new-password")).exits(0);
            }
        };
        Work { name: "tenant repassword", desk, folders: everything(desk), command, done: &[WRONG_PASSWORD], whole: &whole }.is_disturbed(24);
    });
}

#[test]
fn a_new_key() {
    on_disk("a_new_key", |desk| {
        desk.run(MIGRATE).exits(0);
        desk.run(&format!("tenant activate {} --tenant tenant", contoso().key.id())).exits(0);
        let whole = |what: &str| {
            let shown = desk.run("--format json tenant show --tenant tenant").exits(0).json("tenant");
            let keys = shown["keys"].as_array().unwrap();
            let active: Vec<_> = keys.iter().filter(|key| key["status"] == "active").collect();
            assert!(active.len() == 1 && (2..=3).contains(&keys.len()), "{what}: {keys:?}");
            // A key that was made and not entered is taken up the next time: none is forgotten in the store.
            let stored = desk.run("--format json store keys --store file:tenant/keys").exits(0).json("store-keys");
            assert_eq!(stored["keys"].as_array().unwrap().len(), keys.len(), "{what}");
            desk.run("licence open contoso.pfile --tenant tenant").exits(0);
        };
        let command = "tenant rekey --tenant tenant";
        Work { name: "tenant rekey", desk, folders: everything(desk), command, done: &[], whole: &whole }.is_disturbed(24);
    });
}

#[test]
fn a_licence_opened_into_a_file() {
    on_disk("a_licence_opened_into_a_file", |desk| {
        desk.run(MIGRATE).exits(0);
        let whole = |what: &str| assert_eq!(desk.read("content.key"), contoso().cluster.licences[0].content_key.key().expose(), "{what}");
        let command = "licence open contoso.pfile --tenant tenant -o content.key";
        Work { name: "licence open", desk, folders: everything(desk), command, done: &[], whole: &whole }.is_disturbed(24);
    });
}

/// The journal of a plan goes on; `apply` begins or resumes.
fn plan_is_disturbed(scene: &Scene<'_>, count: usize) {
    let whole = |what: &str| scene.holds(what, false);
    let name = format!("apply {}", scene.path_name());
    Work { name: &name, desk: scene.desk, folders: scene.folders(), command: "apply plan.json", done: &[], whole: &whole }.is_disturbed(count);
}

#[test]
fn a_plan_in_software() {
    on_disk("a_plan_in_software", |desk| plan_is_disturbed(&Scene::in_software(desk), 24));
}

#[test]
fn a_plan_into_a_token() {
    on_tokens_if_traced("a_plan_into_a_token", |bench| plan_is_disturbed(&Scene::into_token(bench), 6));
}

#[test]
fn a_plan_between_tokens() {
    on_tokens_if_traced("a_plan_between_tokens", |bench| plan_is_disturbed(&Scene::between_tokens(bench), 6));
}

#[test]
fn a_migration_into_a_token() {
    on_tokens_if_traced("a_migration_into_a_token", |bench| {
        let (desk, uri) = (&bench.desk, bench.uri("target"));
        let command = format!("migrate software-to-hsm --password-source file:password --tenant tenant --target {uri} contoso.xml");
        let tokens = PathBuf::from(std::env::var_os("SOFTHSM2_CONF").unwrap()).with_file_name("tokens");
        let folders = vec![desk.path("tenant"), tokens];
        for (name, keys) in [("migrate, new tenant of a token", 1), ("migrate, tenant of a token with keys", 2)] {
            if keys == 2 {
                desk.run(&command.replace("contoso.xml", "fabrikam.xml")).exits(0);
            }
            let whole = |what: &str| {
                // SoftHSM may keep an object that it could not finish; it has no identity, and is no key.
                let listed = bench.pkcs11_tool("target");
                assert_eq!(listed.lines().filter(|line| line.trim().starts_with("ID:")).count(), keys, "{what}: {listed}");
                desk.run("licence open contoso.pfile --tenant tenant --pin-source file:pin").exits(0);
            };
            Work { name, desk, folders: folders.clone(), command: &command, done: &[], whole: &whole }.is_disturbed(6);
        }
    });
}
