//! What a report says of runs that went well and of one thing wrong at a time; and the rules that its page keeps.

mod page;

use super::*;
use crate::ceremony::{Approver, CustodianKey, Statement as Signed};
use crate::migration::apply::Event;
use crate::migration::plan::tests as plans;
use crate::migration::plan::{Action, Undo};
use crate::store::protection::{Assessment, Protection, Signal};
use crate::store::{KeyAttributes, StoreIdentity};
use crate::tenant::TemplateStatus;

const NOW: &str = "2026-11-23T12:00:00Z";

fn at(minute: i64) -> Timestamp {
    let begin: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
    Timestamp::from_second(begin.as_second() + minute * 60).unwrap()
}

/// Everything that a report is made from, owned.
pub(crate) struct Room {
    pub(crate) plan: Plan,
    approvals: Vec<Approval>,
    tenant: Option<TenantState>,
    runs: RunsSeen,
    verification: Option<Findings>,
    places: Vec<SeenKey>,
    access: Vec<AccessProof>,
}

fn store(label: &str) -> StoreIdentity {
    let text = |text: &str| text.to_owned();
    StoreIdentity {
        uri: format!("pkcs11:token={label}"),
        manufacturer: text("SoftHSM project"),
        model: text("SoftHSM v2"),
        serial: text("0123"),
        firmware: text("2.6"),
        label: text(label),
    }
}

fn place(label: &str) -> SeenPlace {
    let signals = vec![Signal { source: format!("token label '{label}'"), says: Protection::Module, bound_to_key: true }];
    let attributes = KeyAttributes { sensitive: Some(true), extractable: Some(false), ..KeyAttributes::default() };
    SeenPlace { store: store(label), attributes, protection: Assessment::weigh(signals) }
}

use crate::migration::apply::SeenPlace;

fn records(plan: &Plan) -> Vec<Event> {
    let mut events = vec![Event::Started { plan: plan.hash().unwrap(), program: "keykit 0.1.0".into(), approved_by: vec!["Ann (custodian)".into()] }];
    for step in &plan.steps {
        if !matches!(step.action, Action::Manual { .. }) {
            events.push(Event::Intent { step: step.id.clone(), before: None });
        }
        events.push(Event::Done { step: step.id.clone(), seen: "as planned".into(), adopted: false });
    }
    events.push(Event::Finished {});
    events
}

fn numbered(events: Vec<Event>) -> RunsSeen {
    let record = |(index, what)| {
        let number = index as u64 + 1;
        Record { number, time: at(i64::try_from(number).unwrap()), what, previous: String::new(), hash: format!("{number:064x}") }
    };
    RunsSeen { records: events.into_iter().enumerate().map(record).collect(), torn_bytes: 0, problem: None }
}

impl Room {
    /// A plan that went well: two keys, one from a token, all proven.
    pub(crate) fn new() -> Self {
        let mut plan = plans::sample();
        plan.steps.retain(|step| !matches!(step.action, Action::Rekey { .. }));
        plan.steps.iter_mut().for_each(|step| step.undo = Undo::Nothing);
        if let Some(second) = plan.keys.last_mut() {
            second.path = MigrationPath::HsmToHsm;
            second.source = Some("pkcs11:token=old?pin-source=file:/pin".into());
        }
        let keys: Vec<CustodianKey> = ["Ann", "Ben"].iter().map(|name| CustodianKey::generate(name).unwrap()).collect();
        plan.approval.people = ["Ann", "Ben"]
            .iter()
            .zip(&keys)
            .map(|(name, key)| Approver { name: (*name).into(), role: "custodian".into(), key: key.public() })
            .collect();
        let hash = plan.hash().unwrap();
        let approvals = vec![Approval::sign(Signed::new(&hash, "Ann", "custodian", at(0), 30).unwrap(), &keys[0]).unwrap()];
        let entry = |key: &crate::migration::plan::PlannedKey, status| TenantKey {
            key_id: key.key_id,
            status,
            mode: key.mode,
            modulus_bits: key.modulus_bits,
            managed: Managed::Service,
            created: "2026-11-23T10:05:00Z".into(),
            store: "pkcs11:token=new".into(),
            label: "k".into(),
            transferable: false,
            licensor_id: "x".into(),
            licensor_name: key.licensor_name.clone(),
            path: key.path.name().into(),
        };
        let template = TenantTemplate {
            id: plan.keys[0].templates[0].id.clone(),
            name: "Confidential".into(),
            status: TemplateStatus::Published,
            signed_by: Some(plan.keys[0].key_id),
            grants_anyone: false,
            file: "t.xml".into(),
        };
        let tenant = TenantState {
            tenant_id: "ab".into(),
            keys: vec![entry(&plan.keys[0], KeyStatus::Active), entry(&plan.keys[1], KeyStatus::Archived)],
            templates: vec![template],
        };
        let places = plan
            .keys
            .iter()
            .map(|key| SeenKey {
                key_id: key.key_id,
                source: (key.path == MigrationPath::HsmToHsm).then(|| Ok(place("old"))),
                target: Ok(place("new")),
            })
            .collect();
        let mut checks = Vec::new();
        for key in &plan.keys {
            for name in ["key-is-at-its-target-once", "source-key-still-works", "licence-sealed-before-opens-after", "given-licence-opens"] {
                checks.push(Check { name, about: key.key_id.to_string(), ok: true, reason: None, detail: "seen".into() });
            }
        }
        for name in ["exactly-one-key-is-active", "active-key-is-the-planned-one", "template-is-signed-by-a-key-of-the-tenant"] {
            checks.push(Check { name, about: "tenant".into(), ok: true, reason: None, detail: "seen".into() });
        }
        let access = AccessProof {
            accepted: 0,
            accepted_files: Vec::new(),
            tenant_id: "ab".into(),
            begun: Some(at(49)),
            made: Some(at(50)),
            folders: vec!["/shares/all".into()],
            empty_folders: Vec::new(),
            proven: true,
            files: 10,
            not_protected: 4,
            opens: 6,
            lost: 0,
            unknown: 0,
            not_looked_into: 0,
            bytes: 100,
            keys: vec![AccessKey {
                key_id: plan.keys[0].key_id,
                status: Some(KeyStatus::Active),
                opens: 6,
                fails: 0,
                licensor: None,
                licensing_url: None,
            }],
            bad: Vec::new(),
            sample: None,
        };
        let runs = numbered(records(&plan));
        Self { plan, approvals, tenant: Some(tenant), runs, verification: Some(Findings { checks, unavailable: None }), places, access: vec![access] }
    }

    pub(crate) fn report(&self) -> Report {
        Report::of(ReportInputs {
            plan: &self.plan,
            approvals: &self.approvals,
            tenant: self.tenant.clone(),
            runs: self.runs.clone(),
            verification: self.verification.as_ref().map(|found| Findings { checks: found.checks.clone(), unavailable: None }),
            places: self.places.clone(),
            access: self.access.clone(),
            transcript: None,
            program: Program { name: "keykit 0.1.0".into(), sha256: Some("cd".repeat(32)), system: "linux on x86_64".into() },
            now: NOW.parse().unwrap(),
        })
        .unwrap()
    }

    fn after(change: impl FnOnce(&mut Self)) -> Report {
        let mut room = Self::new();
        change(&mut room);
        room.report()
    }
}

fn statuses(report: &Report) -> Vec<Status> {
    report.statements.iter().map(|statement| statement.status).collect()
}

#[test]
fn what_was_shown_in_full_holds() {
    let report = Room::new().report();
    let but: Vec<&Point> = report.statements.iter().flat_map(|statement| &statement.but).collect();
    assert_eq!(statuses(&report), [Status::Holds; 3], "{but:?}");
    assert!(report.holds() && but.is_empty());
    assert_eq!(report.headline, "Every old document still opens, and new content uses the new service.");
    assert_eq!(report.summary, "2 keys are in the tenant by this plan; 11 of 11 checks held; 6 protected files opened; 1 person approved the plan.");
    let second = &report.keys[1];
    assert_eq!(second.before.as_ref().unwrap().protection, "by the module alone");
    assert!(!serde_json::to_string(&report).unwrap().contains("/pin"), "sources of PINs are nobody's business");
    assert_eq!((report.findings[0].rule, report.timeline.state), (Some(33), RunState::Finished));
    assert!(report.not_proven.iter().any(|text| text.contains("rest on the word of the person")));
}

#[test]
fn files_that_were_accepted_unread_are_said_and_do_not_keep_the_promise_open() {
    let mut room = Room::new();
    let proof = &mut room.access[0];
    (proof.files, proof.unknown, proof.not_looked_into, proof.accepted) = (13, 1, 2, 2);
    proof.accepted_files = vec![AcceptedFile { id: "deep/a.7z".into(), reason: "looked into by <hand>".into() }];
    let report = room.report();
    assert_eq!(report.statements[0].status, Status::Open, "one of three was not accepted");
    room.access[0].accepted = 3;
    let report = room.report();
    assert_eq!(report.statements[0].status, Status::Holds);
    let page = report.to_html();
    for words in ["3 files were accepted unread by name", "What is in them was not proven", "deep/a.7z", "looked into by &lt;hand&gt;"] {
        assert!(page.contains(words), "{words}");
    }
}

/// A change, the statement that it touches, what becomes of it, and a part of the reason.
type Wrong = (fn(&mut Room), usize, Status, &'static str);

#[test]
fn one_thing_wrong_at_a_time_is_named_and_the_headline_follows() {
    fn fail(room: &mut Room, name: &str) {
        let checks = &mut room.verification.as_mut().unwrap().checks;
        checks.iter_mut().filter(|check| check.name == name).for_each(|check| check.ok = false);
    }
    let cases: &[Wrong] = &[
        (|room| fail(room, "licence-sealed-before-opens-after"), 0, Status::Fails, "A check failed"),
        (|room| fail(room, "source-key-still-works"), 0, Status::Open, "source could not be asked"),
        (|room| room.verification = None, 0, Status::Open, "were not looked at"),
        (|room| room.access.clear(), 0, Status::Open, "were not gone through"),
        (
            |room| (room.access[0].files, room.access[0].not_protected, room.access[0].opens, room.access[0].proven) = (0, 0, 0, false),
            0,
            Status::Open,
            "Nothing found proves nothing",
        ),
        (|room| room.access[0].empty_folders = vec!["/shares/two".into()], 0, Status::Open, "No file was found below /shares/two"),
        (|room| room.access[0].not_looked_into = 2, 0, Status::Open, "2 files below /shares/all hold archives"),
        (|room| (room.access[0].lost, room.access[0].proven) = (3, false), 0, Status::Fails, "3 files below /shares/all would be lost"),
        (|room| (room.access[0].unknown, room.access[0].proven) = (1, false), 0, Status::Open, "1 file below /shares/all could not be read"),
        (
            |room| room.access[0].sample = Some(SampleBound { sampled: 10, bad: 0, population: 900, confidence: 0.95, share: 0.26, files: 234 }),
            0,
            Status::Open,
            "With 95 % confidence at most 234 files",
        ),
        (|room| fail(room, "active-key-is-the-planned-one"), 1, Status::Fails, "A check failed for tenant"),
        (|room| room.tenant.as_mut().unwrap().keys.iter_mut().for_each(|key| key.status = KeyStatus::Archived), 1, Status::Open, "No key is active"),
        (|room| room.runs = numbered(records(&room.plan)[..17].to_vec()), 1, Status::Open, "Nobody has confirmed yet: move them"),
        (|room| room.approvals.clear(), 2, Status::Fails, "the approvals that are needed are not there"),
        (
            |room| {
                room.approvals.clear();
                room.runs = RunsSeen::default();
            },
            2,
            Status::Open,
            "0 of the 1 approvals",
        ),
        (|room| room.runs = RunsSeen { problem: Some("line 3 was changed".into()), ..RunsSeen::default() }, 2, Status::Fails, "line 3 was changed"),
        (|room| room.runs.torn_bytes = 7, 2, Status::Open, "is torn"),
    ];
    for (change, statement, status, reason) in cases {
        let report = Room::after(change);
        let statement = &report.statements[*statement];
        assert_eq!(statement.status, *status, "{reason}: {statement:?}");
        assert!(statement.but.iter().any(|point| point.status == *status && point.what.contains(reason)), "{reason}: {statement:?}");
        assert!(!report.holds() && !report.headline.starts_with("Every old"), "{reason}");
    }
}

#[test]
fn an_approval_counts_at_the_time_when_it_was_used() {
    // Long over now, and it held when the run began.
    let report = Room::after(|room| room.plan.approval.valid_days = 30);
    assert!(report.approvals.met);
    // One that was made for another plan, or too late for any run.
    let report = Room::after(|room| room.plan.organisation = "Contoso Ltd".into());
    assert!(!report.approvals.met && report.approvals.given[0].problem.as_ref().unwrap().contains("another plan"));
    assert_eq!(report.timeline.state, RunState::NotBegun, "the run was one of another plan");
    assert_eq!(report.timeline.other_runs, 1);
}

#[test]
fn interruptions_failures_and_waits_are_told_apart() {
    let kinds = |events: Vec<Event>| {
        let report = Room::after(|room| {
            let start = records(&room.plan).remove(0);
            room.approvals.clear();
            room.runs = numbered([vec![start], events].concat());
        });
        let kinds: Vec<MomentKind> = report.timeline.moments.iter().map(|moment| moment.kind).collect();
        (kinds, report.timeline)
    };
    let intent = || Event::Intent { step: "import-key/1".into(), before: None };
    let resumed = |open: Option<&str>, cut_bytes| Event::Resumed { open: open.map(str::to_owned), cut_bytes };
    let failed = || Event::Failed { step: "import-key/1".into(), code: "token".into(), message: "the token is gone".into() };
    use MomentKind::{Failed, Interrupted, Resumed, Started, Waited};
    let (told, timeline) = kinds(vec![intent(), resumed(Some("import-key/1"), 0)]);
    assert_eq!((told, timeline.interruptions, timeline.resumptions), (vec![Started, Interrupted, Resumed], 1, 1));
    assert!(timeline.moments[1].what.contains("bring key"), "{:?}", timeline.moments[1]);
    let (told, timeline) = kinds(vec![intent(), failed(), resumed(Some("import-key/1"), 0)]);
    assert_eq!((told, timeline.interruptions, timeline.failures), (vec![Started, Failed, Resumed], 0, 1));
    let (told, timeline) = kinds(vec![resumed(None, 12)]);
    assert_eq!((told, timeline.interruptions), (vec![Started, Interrupted, Resumed], 1));
    assert!(timeline.moments[1].detail.as_ref().unwrap().contains("12 bytes"));
    let plan = plans::sample();
    let before_manual = plan.steps.iter().take_while(|step| !matches!(step.action, Action::Manual { .. }));
    let done = before_manual.flat_map(|step| {
        [Event::Intent { step: step.id.clone(), before: None }, Event::Done { step: step.id.clone(), seen: "s".into(), adopted: false }]
    });
    let (told, timeline) = kinds(done.chain([resumed(None, 0)]).collect());
    assert_eq!((told.last(), timeline.waits, timeline.interruptions), (Some(&Waited), 1, 0));
}
