//! How the work for a plan grows with its exported domains: what is done for each of them stays the same.
//!
//! Counted are calls, which no other program on the machine disturbs: syncs and opens of a plan in software, calls of the
//! module for one into a token. `KEYKIT_LONG_TESTS` takes up to 100 domains with 500 templates each and prints times: the table in
//! docs/plan.md. All domains offer templates with the same GUIDs, as those of one organisation do: a tenant has room for 500 (rule 141).

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use keykit::secret::Password;
use keykit::store::{KeyRequest, KeyStore as _, Transferability};
use keykit::tpd::KeyDerivation;
use keykit::xrml::Guid;
use keykit_hsm_backends::memory::MemoryStore;
use keykit_tests::nshield::on_nshield;
use keykit_tests::samples::SampleCluster;
use keykit_tests::softhsm::PIN;

use crate::ceremony::{SMALL, strip_approvals};
use crate::support::{Desk, PASSWORD};
use crate::tokens::Bench;
use crate::traced::{can_trace, is_long};

/// How much more a domain may cost among many than among few.
const MARGIN: f64 = 1.15;

/// Numbers of domains, and of templates of each.
fn sizes() -> (Vec<usize>, usize) {
    if is_long() { (vec![1, 10, 100], 500) } else { (vec![1, 2, 6], 8) }
}

/// Writes so many domains with so many templates each, and a migration file: `plan.json` in the end.
fn prepare(desk: &Desk, domains: usize, templates: usize, store: Option<&str>) {
    let ids: Vec<Guid> = (0..templates).map(|_| Guid::random().unwrap()).collect();
    let mut entries = String::new();
    for number in 0..domains {
        let store = MemoryStore::new();
        let request = KeyRequest { label: "slc".into(), local_id: None, transferability: Transferability::Wrapped };
        let public = store.as_generate().unwrap().generate(2048, &request).unwrap().public;
        let mut cluster = SampleCluster::around(&store, &public, "contoso").unwrap();
        cluster.offer_templates(&store, &ids).unwrap();
        let key = store.as_export_plaintext().unwrap().export_plaintext_danger(&public.id()).unwrap();
        let domain = cluster.domain(Some(key), KeyDerivation::Sha256).unwrap().seal(&Password::new(format!("{PASSWORD}{number}"))).unwrap();
        desk.write(&format!("domain-{number}.xml"), domain);
        desk.write(&format!("password-{number}"), format!("{PASSWORD}{number}\n"));
        desk.make_private(&format!("password-{number}"));
        let active = if number == 0 { "active = true\n" } else { "" };
        entries.push_str(&format!(
            "[[forest.cluster.domain]]\nfile = \"domain-{number}.xml\"\npassword-source = \"file:password-{number}\"\n{active}\n"
        ));
    }
    let own = "[[forest.cluster.domain]]\nfile = \"contoso.xml\"\npassword-source = \"file:password\"\nactive = true\n";
    let mut migration = strip_approvals(SMALL).replace(own, &entries).replace("domains-in-console = 1", &format!("domains-in-console = {domains}"));
    migration = migration.replace("[proof]\nlicences = [\"contoso.pfile\"]\n", "");
    if let Some(uri) = store {
        let managed = format!("managed = \"customer\"\nstore = \"{uri}\"");
        migration = migration.replace("managed = \"service\"", &managed).replace("keyring-password-source = \"file:keyring-password\"\n", "");
    }
    desk.write("migration.toml", migration);
    desk.run("plan migration.toml -o plan.json").exits(0);
}

fn timed(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

/// What the n-th and later domains add, each: from the costs of few and of many.
fn added(costs: &BTreeMap<usize, f64>) -> Vec<f64> {
    let points: Vec<(usize, f64)> = costs.iter().map(|(domains, cost)| (*domains, *cost)).collect();
    points.windows(2).map(|pair| (pair[1].1 - pair[0].1) / (pair[1].0 - pair[0].0) as f64).collect()
}

#[test]
fn a_plan_in_software() {
    if !can_trace("growth::a_plan_in_software") {
        return;
    }
    let (sizes, templates) = sizes();
    let (mut syncs, mut reads) = (BTreeMap::new(), BTreeMap::new());
    for domains in sizes {
        let desk = Desk::new();
        prepare(&desk, domains, templates, None);
        let before = crate::traced::Saved::of(&[desk.path("tenant")]);
        let applied = timed(|| drop(desk.run("apply plan.json").exits(0)));
        let verified = timed(|| drop(desk.run("verify plan.json").exits(0)));
        before.put_back();
        let log = desk.path("counts");
        let mut command = Command::new("strace");
        command.args(["-f", "--seccomp-bpf", "-c", "-U", "name,calls", "-e", "trace=fsync,openat", "-o"]).arg(&log);
        desk.finish(command.args([env!("CARGO_BIN_EXE_keykit"), "apply", "plan.json"])).exits(0);
        let text = String::from_utf8(std::fs::read(log).unwrap()).unwrap();
        let count = |name: &str| {
            let line = text.lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap_or_else(|| panic!("{text}"));
            line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap()
        };
        syncs.insert(domains, count("fsync"));
        reads.insert(domains, count("openat"));
        println!(
            "software to software, {domains} domains of {templates} templates: apply {:.2} s, {:.0} ms a domain; verify {:.2} s; {} syncs, {} opens",
            applied.as_secs_f64(),
            applied.as_secs_f64() * 1000.0 / domains as f64,
            verified.as_secs_f64(),
            syncs[&domains],
            reads[&domains]
        );
    }
    for (what, costs) in [("syncs", &syncs), ("opens", &reads)] {
        let added = added(costs);
        assert!(added[1] <= added[0] * MARGIN + 1.0, "{what} that a further domain adds: {added:?} of {costs:?}");
    }
}

#[test]
fn a_plan_into_a_token() {
    on_nshield("growth::a_plan_into_a_token", &["target"], |modules| {
        let (sizes, templates) = sizes();
        let sizes: Vec<usize> = if is_long() { vec![1, 5, 25] } else { sizes };
        let mut calls = BTreeMap::new();
        for domains in sizes {
            let desk = Desk::new();
            desk.write("pin", format!("{PIN}\n"));
            desk.make_private("pin");
            modules.set_faults("");
            let bench = Bench { desk, module: &modules.shim };
            bench.empty("target");
            prepare(&bench.desk, domains, templates, Some(&bench.uri("target")));
            let log = bench.desk.path("calls");
            let mut command = Command::new(env!("CARGO_BIN_EXE_keykit"));
            let applied = timed(|| drop(bench.desk.finish(command.args(["apply", "plan.json"]).env("KEYKIT_SHIM_CALLS", &log)).exits(0)));
            let count = String::from_utf8(std::fs::read(log).unwrap()).unwrap().lines().count();
            calls.insert(domains, count as f64);
            println!(
                "software to HSM, {domains} domains of {templates} templates: apply {:.2} s, {:.0} ms a domain; {count} calls of the module, {:.0} a domain",
                applied.as_secs_f64(),
                applied.as_secs_f64() * 1000.0 / domains as f64,
                count as f64 / domains as f64
            );
        }
        let added = added(&calls);
        assert!(added[1] <= added[0] * MARGIN + 1.0, "calls that a further domain adds: {added:?} of {calls:?}");
    });
}
