//! Whether the promise holds, what is open, and what was not proven.

use super::{AccessProof, Point, Report, RunState, Statement, Status};
use crate::migration::plan::{Action, Plan};
use crate::migration::verify::{Check, Subject, meaning};

/// Fills in the statements, the headline and what was not proven.
pub(super) fn pronounce(report: &mut Report, plan: &Plan) {
    report.statements = vec![old_documents(report, plan), new_content(report, plan), as_approved(report)];
    report.status = report.statements.iter().map(|statement| statement.status).max().unwrap_or(Status::Open);
    let points = |status: Status| report.statements.iter().flat_map(|statement| &statement.but).filter(|point| point.status == status).count();
    report.summary = summary(report);
    report.headline = match report.status {
        Status::Holds => "Every old document still opens, and new content uses the new service.".to_owned(),
        Status::Open => {
            format!("Nothing failed, but the promise is not shown in full: {} open.", counted(points(Status::Open), "point is", "points are"))
        }
        Status::Fails => format!("The promise does not hold: {}.", counted(points(Status::Fails), "point failed", "points failed")),
    };
    report.not_proven = not_proven(report, plan);
}

/// What was looked at, in numbers.
fn summary(report: &Report) -> String {
    let moved = report.keys.iter().filter(|key| key.path.is_some() && key.status.is_some()).count();
    let held = report.checks.iter().filter(|check| check.ok).count();
    let opened: u64 = report.access.iter().map(|proof| proof.opens).sum();
    let approved = report.approvals.given.iter().filter(|approval| approval.problem.is_none()).count();
    let mut parts = vec![format!("{} in the tenant by this plan", counted(moved, "key is", "keys are"))];
    if report.verified {
        parts.push(format!("{held} of {} held", counted(report.checks.len(), "check", "checks")));
    }
    if !report.access.is_empty() {
        parts.push(format!("{} opened", counted(opened, "protected file", "protected files")));
    }
    parts.push(counted(approved, "person approved the plan", "people approved the plan"));
    format!("{}.", parts.join("; "))
}

fn counted(count: impl TryInto<u64>, one: &str, several: &str) -> String {
    let count: u64 = count.try_into().unwrap_or(u64::MAX);
    if count == 1 { format!("1 {one}") } else { format!("{count} {several}") }
}

/// Collects what speaks for and against a statement.
struct Case {
    status: Status,
    because: Vec<String>,
    but: Vec<Point>,
}

impl Case {
    fn new() -> Self {
        Self { status: Status::Holds, because: Vec::new(), but: Vec::new() }
    }

    fn shown(&mut self, text: impl Into<String>) {
        self.because.push(text.into());
    }

    fn against(&mut self, status: Status, text: impl Into<String>) {
        self.status = self.status.max(status);
        self.but.push(Point { status, what: text.into() });
    }

    /// What failed stands before what is open.
    fn close(mut self, claim: &'static str) -> Statement {
        self.but.sort_by_key(|point| std::cmp::Reverse(point.status));
        Statement { claim, status: self.status, because: self.because, but: self.but }
    }
}

fn subject_of(check: &Check) -> Subject {
    meaning(check.name).map_or(Subject::OldContent, |(subject, _)| subject)
}

fn failed_check(check: &Check) -> String {
    format!("A check failed for {}. Seen: {}.", named(check), check.detail)
}

fn unknown_check(check: &Check) -> String {
    format!("A check could not be made for {}. The store said: {}.", named(check), check.detail)
}

fn named(check: &Check) -> String {
    let about = if check.about.len() == 64 { check.about.chars().take(16).collect() } else { check.about.clone() };
    let what = meaning(check.name).map_or(check.name, |(_, text)| text).trim_end_matches('.');
    format!("{about}: \"{what}\"")
}

/// Notes the checks of a subject that failed or could not be made; says how many there were.
fn weigh_checks(case: &mut Case, report: &Report, subject: Subject) -> usize {
    let about: Vec<&Check> = report.checks.iter().filter(|check| subject_of(check) == subject).collect();
    about.iter().filter(|check| check.is_failure()).for_each(|check| case.against(Status::Fails, failed_check(check)));
    about.iter().filter(|check| check.is_unknown()).for_each(|check| case.against(Status::Open, unknown_check(check)));
    about.len()
}

fn old_documents(report: &Report, plan: &Plan) -> Statement {
    let mut case = Case::new();
    if report.verified {
        let made = weigh_checks(&mut case, report, Subject::OldContent);
        if case.status == Status::Holds {
            let keys = plan.keys.len();
            case.shown(format!(
                "{made} checks on {} held, made for this report from the stores and files themselves: each key is at its target, signs as before, and opens what was sealed before.",
                counted(keys, "key", "keys")
            ));
        }
        let licences = report.checks.iter().filter(|check| check.name == "given-licence-opens" && check.ok).count();
        if licences > 0 {
            case.shown(format!("{} of the organisation, protected before the migration, opened.", counted(licences, "licence", "licences")));
        }
        for check in report.checks.iter().filter(|check| subject_of(check) == Subject::Source && !check.ok) {
            case.against(
                Status::Open,
                format!("The source could not be asked again, so before and after were not compared for this report: {}.", check.detail),
            );
        }
    } else {
        case.against(Status::Open, "The stores and files were not looked at for this report. Make it without --without-proofs.");
    }
    if report.access.is_empty() {
        case.against(
            Status::Open,
            "The protected files themselves were not gone through. Run keykit prove-access over every share, and give its result to this report.",
        );
    }
    report.access.iter().for_each(|proof| weigh_access(&mut case, proof));
    case.close("Every old document still opens.")
}

fn weigh_access(case: &mut Case, proof: &AccessProof) {
    let place = if proof.folders.is_empty() { "folders that the proof does not name".to_owned() } else { proof.folders.join(", ") };
    if proof.lost > 0 {
        case.against(
            Status::Fails,
            format!(
                "{} below {place} would be lost: a licence in them does not open under the keys of the tenant.",
                counted(proof.lost, "file", "files")
            ),
        );
    }
    weigh_unread(case, proof, &place);
    for folder in &proof.empty_folders {
        case.against(Status::Open, format!("No file was found below {folder}: was it there when the proof was made? Nothing found proves nothing."));
    }
    if proof.opens == 0 && proof.lost == 0 && proof.empty_folders.is_empty() {
        case.against(
            Status::Open,
            format!(
                "No protected file was found below {place} ({} looked at). Nothing found proves nothing.",
                counted(proof.files, "file was", "files were")
            ),
        );
    }
    match proof.sample.filter(|_| proof.is_partial()) {
        Some(sample) => case.against(
            Status::Open,
            format!(
                "Only {} of {} files below {place} were looked at, drawn at random. With {:.0} % confidence at most {} of all are lost or unknown. A sample can't show that none is.",
                sample.sampled,
                sample.population,
                sample.confidence * 100.0,
                counted(sample.files, "file", "files")
            ),
        ),
        None if proof.proven => case.shown(format!(
            "All {} protected files below {place} open under the keys of the tenant ({} files were looked at).",
            proof.opens, proof.files
        )),
        None => {}
    }
}

/// Files that nobody could look into: open, but for those that somebody took on himself by name.
fn weigh_unread(case: &mut Case, proof: &AccessProof, place: &str) {
    let all_accepted = proof.accepted == proof.unknown.saturating_add(proof.not_looked_into);
    let mut unread = |text: String| if all_accepted { case.shown(text) } else { case.against(Status::Open, text) };
    if proof.unknown > 0 {
        unread(format!("{} below {place} could not be read whole.", counted(proof.unknown, "file", "files")));
    }
    if proof.not_looked_into > 0 {
        unread(format!(
            "{} below {place} hold archives or stores of kinds that are not looked into (7-Zip, RAR, Outlook data files…): nothing is known of what is in them.",
            counted(proof.not_looked_into, "file", "files")
        ));
    }
    if proof.accepted > 0 {
        case.shown(format!(
            "{} accepted unread by name, with the reasons that the part on protected files lists. What is in them was not proven.",
            counted(proof.accepted, "file was", "files were")
        ));
    }
}

fn new_content(report: &Report, plan: &Plan) -> Statement {
    let mut case = Case::new();
    if report.verified {
        weigh_checks(&mut case, report, Subject::NewContent);
    } else {
        case.against(Status::Open, "The keyring was not checked for this report.");
    }
    let active = report.keys.iter().find(|key| key.status == Some(crate::tenant::KeyStatus::Active));
    match active {
        Some(key) if case.status == Status::Holds => case.shown(format!(
            "The active key is {} ({}, {} bits); new licences are sealed to it. {}.",
            key.key_id.short(),
            key.name,
            key.modulus_bits,
            match report.templates.iter().filter(|template| template.published).count() {
                0 => "No template is published yet".to_owned(),
                count => format!("{} offered to users and signed by it", counted(count, "template is", "templates are")),
            }
        )),
        Some(_) => {}
        None => case.against(Status::Open, "No key is active, so nothing new can be protected yet."),
    }
    let begins_later = plan.steps.iter().any(|step| matches!(step.action, Action::Activate { .. } | Action::Rekey { .. }));
    if report.timeline.state != RunState::Finished && begins_later {
        case.against(Status::Open, "The run of the plan is not finished.");
    }
    let by_hand = &report.timeline.by_hand;
    for (instruction, _) in by_hand.iter().filter(|(_, done)| !done) {
        case.against(Status::Open, format!("Nobody has confirmed yet: {instruction}."));
    }
    let confirmed = by_hand.iter().filter(|(_, done)| *done).count();
    if confirmed > 0 {
        case.shown(format!(
            "{} done by hand, by the word of the person who confirmed: see what happened.",
            counted(confirmed, "step was", "steps were")
        ));
    }
    case.close("New content uses the new service.")
}

fn as_approved(report: &Report) -> Statement {
    let mut case = Case::new();
    let (approvals, timeline) = (&report.approvals, &report.timeline);
    for approval in approvals.given.iter().filter_map(|approval| Some((approval, approval.problem.as_ref()?))) {
        case.against(Status::Fails, format!("The approval of {} ({}) does not count: {}.", approval.0.name, approval.0.role, approval.1));
    }
    let valid = approvals.given.iter().filter(|approval| approval.problem.is_none()).count();
    if approvals.needed == 0 {
        case.shown("The plan asks for no approval.");
    } else if approvals.met {
        case.shown(format!(
            "{} of {} people approved this very plan; {} had to. Their signatures were checked for this report.",
            valid, approvals.people, approvals.needed
        ));
    } else if timeline.state == RunState::NotBegun {
        case.against(Status::Open, format!("{valid} of the {} approvals that are needed are there.", approvals.needed));
    } else {
        case.against(
            Status::Fails,
            format!("The plan was carried out, and the approvals that are needed are not there ({valid} of {} count).", approvals.needed),
        );
    }
    if let Some(problem) = &timeline.problem {
        case.against(Status::Fails, format!("The journal of the runs was changed: {problem}."));
    }
    match timeline.state {
        RunState::Finished => case.shown(format!(
            "The journal names the hash of this plan, and all its {} steps are done. Its {} lines are linked by hash and unbroken.",
            report.plan.steps, timeline.lines
        )),
        RunState::NotBegun => case.against(Status::Open, "The plan was not carried out yet."),
        RunState::Unfinished => case.against(Status::Open, "The run is not finished. Go on with keykit resume."),
        RunState::GivenUp => case.against(Status::Fails, "The run was given up."),
    }
    if timeline.torn_bytes > 0 {
        case.against(Status::Open, "The last line of the journal is torn: a process was stopped while it wrote. keykit resume settles it.");
    }
    if timeline.interruptions > 0 {
        case.shown(format!(
            "The run stopped without a word {} and was taken up again from the journal.",
            counted(timeline.interruptions, "time", "times")
        ));
    }
    if let Some(transcript) = &report.transcript {
        transcript.contradictions.iter().for_each(|contradiction| case.against(Status::Fails, contradiction.clone()));
        if transcript.missing_lines > 0 {
            let missing = counted(transcript.missing_lines, "line", "lines");
            case.against(Status::Open, format!("The transcript lacks {missing} of the journal."));
        }
        if transcript.contradictions.is_empty() && transcript.missing_lines == 0 {
            case.shown(format!("The transcript of the ceremony ({} lines) agrees with the plan and the journal.", transcript.lines));
        }
        if !transcript.deviations.is_empty() {
            let noted = counted(transcript.deviations.len(), "deviation from the script is", "deviations from the script are");
            case.shown(format!("{noted} noted: see what happened."));
        }
    }
    case.close("What was done is what was approved.")
}

fn not_proven(report: &Report, plan: &Plan) -> Vec<String> {
    let mut list = Vec::new();
    let mut add = |text: String| list.push(text);
    let files: u64 = report.access.iter().map(|proof| proof.files).sum();
    if files == 0 {
        add("Protected files: none were opened but the licences that the plan names.".to_owned());
    } else {
        add("Protected files outside the folders of the access proof: mailboxes, computers, backups, and what was sent to others.".to_owned());
    }
    add("Licences were opened, not the content behind them.".to_owned());
    let no_licence: Vec<String> = plan
        .keys
        .iter()
        .filter(|key| {
            let id = key.key_id.to_string();
            let licence = report.checks.iter().any(|check| check.name == "given-licence-opens" && check.about == id && check.ok);
            let file = report.access.iter().flat_map(|proof| &proof.keys).any(|used| used.key_id == key.key_id && used.opens > 0);
            !licence && !file
        })
        .map(|key| key.key_id.short())
        .collect();
    if !no_licence.is_empty() {
        add(format!(
            "No document of the organisation was opened with: {}. What shows these keys are licences that were made for the purpose.",
            no_licence.join(", ")
        ));
    }
    let by_hand = report.timeline.by_hand.len();
    if by_hand > 0 {
        add(format!(
            "{} by hand rest on the word of the person who confirmed them. keykit sees neither clients nor servers.",
            counted(by_hand, "step that was to be done", "steps that were to be done")
        ));
    }
    if plan.tenant.store.is_some() {
        add("That a token keeps what it says. Its attributes and its evidence were read, its inside was not.".to_owned());
    }
    let unknown: Vec<String> = report
        .keys
        .iter()
        .filter(|key| {
            key.before
                .iter()
                .chain(&key.after)
                .any(|place| ["not known", "not seen", "the evidence contradicts itself"].contains(&place.protection.as_str()))
        })
        .map(|key| key.key_id.short())
        .collect();
    if !unknown.is_empty() {
        add(format!("How these keys are protected at one of their ends: {}.", unknown.join(", ")));
    }
    if report.transcript.is_none() {
        add("Who was in the room: no transcript of a ceremony was given to this report.".to_owned());
    } else {
        add("That witnesses signed the transcript: keykit transcript verify checks their signatures.".to_owned());
    }
    add("That other copies of the keys are gone: exported files, backups and the source itself. keykit never deletes a source key.".to_owned());
    add("That nobody with the right to write in the folder of the tenant made a new journal. Its chain of hashes finds accidents; what is proven above reads no journal.".to_owned());
    add("The times: they are those of the clocks of the computers.".to_owned());
    list
}
