//! From a plan to the content of its script.

use super::{
    CheckedKey, Part, Person, QUESTION, QUESTION_BY_HAND, Task, WITNESSED_WORDS, approval_file, key_name, quoted, step_line, transcript_name,
    words_of,
};
use crate::migration::MigrationPath;
use crate::migration::plan::{Action, Plan, PlannedKey, Step, Undo};

/// Roles that every ceremony has, whoever approves.
const ROLES_OF_THE_ROOM: [&str; 3] = ["operator", "witness", "auditor"];

pub(super) fn tenant(plan: &Plan) -> String {
    let place = plan.tenant.store.as_ref().map_or_else(|| format!("the folder {}", plan.tenant.folder), |store| format!("the token {store}"));
    format!("{} ({}, region {}); keys go into {place}", plan.tenant.name, plan.tenant.id, plan.tenant.region)
}

pub(super) fn approvals(plan: &Plan) -> String {
    let policy = &plan.approval;
    if policy.people.is_empty() {
        return "nobody has to approve this plan".to_owned();
    }
    let roles = if policy.roles.is_empty() { String::new() } else { format!(", among them {}", policy.roles.join(" and ")) };
    format!("{} of {}{roles}; an approval holds for at most {} days", policy.needed(plan.is_dangerous()), policy.people.len(), policy.valid_days)
}

pub(super) fn people(plan: &Plan) -> Vec<Person> {
    let named =
        plan.approval.people.iter().map(|person| Person { name: person.name.clone(), role: person.role.clone(), key: person.key.fingerprint() });
    let of_the_room = ROLES_OF_THE_ROOM.iter().map(|role| Person { name: String::new(), role: (*role).to_owned(), key: String::new() });
    named.chain(of_the_room).collect()
}

pub(super) fn keys(plan: &Plan) -> Vec<CheckedKey> {
    plan.keys
        .iter()
        .map(|key| CheckedKey {
            key_id: key.key_id,
            words: words_of(&key.key_id),
            about: format!(
                "RSA, {} bits, mode {}, of '{}', {}, from {}",
                key.modulus_bits,
                key.mode,
                key.licensor_name,
                key.path.name(),
                sources(key)
            ),
            is_wrapped: key.path != MigrationPath::SoftwareToSoftware,
        })
        .collect()
}

fn sources(key: &PlannedKey) -> String {
    key.domains.iter().chain(&key.source).cloned().collect::<Vec<_>>().join(" and ")
}

pub(super) fn check_values() -> Vec<String> {
    [
        "The check value of an RSA key (method: spki-sha256) is the SHA-256 of its public half, the DER SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), \
         as hex and as PGP words. In tables its first 16 digits stand for it. Any other tool gives the same from a public key file: \
         openssl pkey -pubin -in KEY.pem -outform DER | openssl dgst -sha256",
        "Keys that wrap others are symmetric and have check values (KCV) of two kinds, which differ for one and the same key. Where a token \
         shows one, write it down with its method: cmac-aes (first 3 bytes of AES-CMAC over 16 zero bytes) or ecb (first 3 bytes of a zero \
         block encrypted).",
        "Hashes of files and of the plan (method: sha256) are what sha256sum shows; that of the plan is over its canonical JSON, and \
         keykit plan show computes it anew.",
    ]
    .map(str::to_owned)
    .into()
}

pub(super) fn findings(plan: &Plan) -> Vec<String> {
    let rule = |rule: Option<u16>| rule.map_or(String::new(), |rule| format!(" (rule {rule})"));
    plan.findings.iter().map(|finding| format!("{}{}", finding.message, rule(finding.rule))).collect()
}

pub(super) fn parts(plan: &Plan, hash: &str, plan_file: &str) -> Vec<Part> {
    vec![
        Part {
            title: "Preparation",
            purpose: "Who is here, on which machine, with which program, and that all of them mean the same plan.",
            steps: preparation(plan, hash, plan_file),
        },
        Part { title: "Approvals", purpose: "Each person approves with a key of their own.", steps: approving(plan, plan_file) },
        Part {
            title: "Carrying out",
            purpose: "One command goes through all steps and asks before each. What was done is never done twice.",
            steps: carrying_out(plan, plan_file),
        },
        Part { title: "Closing", purpose: "What was done is checked from the ground up, and the record is signed.", steps: closing(plan, plan_file) },
    ]
}

fn preparation(plan: &Plan, hash: &str, plan_file: &str) -> Vec<Task> {
    let file = quoted(plan_file);
    let mut tasks = vec![
        Task { what: "Everybody signs in with name, role and time, on the first page.".into(), ..Task::default() },
        Task {
            what: "The machine has no network, and its clock is right.".into(),
            details: vec!["Write down the name of the machine and how far its clock is off.".into()],
            commands: vec!["date -u".into(), "uname -n".into()],
            to_fill_in: vec!["machine", "clock"],
            ..Task::default()
        },
        Task {
            what: "The program is the one that was released.".into(),
            commands: vec!["keykit --version".into(), "sha256sum \"$(command -v keykit)\"".into()],
            details: vec!["The witness compares the SHA-256 with that of the release, which was brought on paper.".into()],
            when_it_fails: "Stop: nothing may be done with another program.".into(),
            to_fill_in: vec!["first 16 digits"],
            ..Task::default()
        },
        Task {
            what: "The plan is the one on the first page.".into(),
            commands: vec![format!("keykit plan show {file}")],
            expected: vec![format!("plan {hash}")],
            details: vec!["The operator reads the words aloud from the screen; the witness follows on the first page.".into()],
            when_it_fails: "Stop: this is the script of another plan.".into(),
            ..Task::default()
        },
        Task {
            what: "The files are those of the plan.".into(),
            commands: vec![format!("sha256sum {}", plan.files.iter().map(|file| quoted(&file.path)).collect::<Vec<_>>().join(" "))],
            details: vec!["The witness compares with the table of files. `apply` checks the same once more.".into()],
            when_it_fails: "Stop: bring the very file, or plan anew.".into(),
            ..Task::default()
        },
    ];
    let mut stores: Vec<&String> = plan.tenant.store.iter().chain(plan.keys.iter().filter_map(|key| key.source.as_ref())).collect();
    stores.sort();
    stores.dedup();
    for store in stores {
        tasks.push(Task {
            what: "The token is there, and does what the plan needs of it.".into(),
            details: vec![format!("Token: {store}")],
            commands: vec![format!("keykit store doctor --store {}", quoted(store))],
            when_it_fails: "Stop: see to the token before anything is done.".into(),
            to_fill_in: vec!["serial number", "seal or bag"],
            ..Task::default()
        });
    }
    tasks
}

fn approving(plan: &Plan, plan_file: &str) -> Vec<Task> {
    let people = &plan.approval.people;
    if people.is_empty() {
        return vec![Task { what: "Nobody has to approve this plan.".into(), ..Task::default() }];
    }
    people
        .iter()
        .map(|person| Task {
            what: format!("{} ({}) approves, or does not.", person.name, person.role),
            details: vec![format!("Key: {}. An approval that was made before on another computer is brought instead.", person.key.fingerprint())],
            commands: vec![format!("keykit approve {} --key KEY -o {}", quoted(plan_file), quoted(&approval_file(&person.name)))],
            expected: vec![format!("{} ({}) and the plan …", person.name, person.role), "words: … (as on the first page)".into()],
            ..Task::default()
        })
        .collect()
}

fn carrying_out(plan: &Plan, plan_file: &str) -> Vec<Task> {
    let given: String = plan.approval.people.iter().map(|person| format!(" --approval {}", quoted(&approval_file(&person.name)))).collect();
    let mut tasks = vec![Task {
        what: format!("The run begins. A witness types {WITNESSED_WORDS} words of the plan hash back, from the first page."),
        details: vec!["Give only the approvals that were made.".into()],
        commands: vec![format!("keykit apply {} --ceremony{given}", quoted(plan_file))],
        expected: vec![on_screen("words … and … of the plan hash: ")],
        when_it_fails: "A wrong word is recorded as a deviation, and other words are asked for. After three times the run stops; nothing was done."
            .into(),
        ..Task::default()
    }];
    let total = plan.steps.len();
    tasks.extend(plan.steps.iter().enumerate().map(|(index, step)| of_step(step, index + 1, total, plan_file)));
    tasks.push(Task { what: "All steps are done.".into(), expected: vec![format!("all {total} steps of the plan … are done")], ..Task::default() });
    tasks
}

fn of_step(step: &Step, number: usize, total: usize, plan_file: &str) -> Task {
    let by_hand = matches!(step.action, Action::Manual { .. });
    let (question, answer) = if by_hand { (QUESTION_BY_HAND, "done") } else { (QUESTION, "go") };
    let inputs = (!step.inputs.is_empty()).then(|| format!("Needs: {}.", step.inputs.join(", ")));
    let details = inputs.into_iter().chain(step.effects.iter().map(|effect| format!("Afterwards: {effect}."))).collect();
    let resume = format!("keykit resume {} --confirm {}", quoted(plan_file), quoted(&step.id));
    let commands = if by_hand { vec![format!("{answer}   (later: {resume})")] } else { vec![answer.to_owned()] };
    Task {
        id: Some(step.id.clone()),
        what: what(&step.action),
        details,
        commands,
        expected: vec![on_screen(&step_line(number, total, &step.id)), on_screen(&format!("{question}: "))],
        when_it_fails: when_it_fails(&step.action).into(),
        undo: match &step.undo {
            Undo::Nothing => String::new(),
            Undo::Automatic(how) => format!("keykit abort undoes it: {how}"),
            Undo::Stays(why) => format!("keykit abort leaves it: {why}"),
        },
        to_fill_in: Vec::new(),
    }
}

/// What the program says to people, as it stands on the screen.
fn on_screen(text: &str) -> String {
    format!("keykit: {text}")
}

fn what(action: &Action) -> String {
    match action {
        Action::CheckSources => "Every file and every source key is looked at: they are those of the plan, and may move.".into(),
        Action::ImportKey { key_id } => format!("The key {} is brought to its target and entered in the keyring.", key_id.short()),
        Action::ProveKey { key_id, .. } => {
            format!("What the source sealed and signed with the key {} opens and matches at the target.", key_id.short())
        }
        Action::ImportTemplates { key_id, templates } => {
            format!("The templates of the key {} are in the keyring ({}).", key_id.short(), templates.len())
        }
        Action::Activate { key_id } => format!("The key {} becomes the active one.", key_id.short()),
        Action::PublishTemplates { templates } => format!("The templates are offered to users ({}).", templates.len()),
        Action::Rekey { bits } => format!("A new key of {bits} bits is made and becomes active."),
        Action::Verify { .. } => "Everything is derived again from stores and files.".into(),
        Action::WriteArtefacts { folder, files } => format!("Files for other people and systems are written into {folder} ({}).", files.len()),
        Action::MakePackage { key_id, file } => format!("The key {} is wrapped for its receiver, into {file}.", key_id.short()),
        Action::Manual { instruction } => format!("By hand: {instruction}."),
    }
}

fn when_it_fails(action: &Action) -> &'static str {
    match action {
        Action::CheckSources => "Nothing was changed. Exit code 9: a file or key is not as planned; stop.",
        Action::ImportKey { .. } => {
            "The source key is as it was. Resume finds what is there and goes on. Exit code 9: another key is in the place; stop."
        }
        Action::ProveKey { .. } => "Switch nothing off, and don't activate the key. Keep all files; stop.",
        Action::ImportTemplates { .. } | Action::PublishTemplates { .. } => "Resume goes on. No licence depends on it.",
        Action::Activate { .. } => "The step counts whole or not at all. Resume finds out which, and goes on.",
        Action::Rekey { .. } => "The step counts whole or not at all: resume finds out which, and makes no second key.",
        Action::Verify { .. } => "Read out the first check that failed. Switch nothing off before all hold.",
        Action::WriteArtefacts { .. } => "Nobody has run any of them yet. Exit code 9: another file is in the place; stop.",
        Action::MakePackage { .. } => "The source key is as it was. Exit code 9: another file is in the place; stop.",
        Action::Manual { .. } => "Answer stop. The run waits, for as long as it must.",
    }
}

fn closing(plan: &Plan, plan_file: &str) -> Vec<Task> {
    let (file, transcript) = (quoted(plan_file), quoted(&transcript_name(plan_file)));
    let note = quoted(&format!("{}.note", transcript_name(plan_file)));
    let signer = plan.approval.people.first().map_or("NAME", |person| person.name.as_str());
    vec![
        Task {
            what: "Everything is verified from the ground up, by a command that reads no journal.".into(),
            commands: vec![format!("keykit verify {file}")],
            expected: vec!["held  …  (in every line)".into()],
            when_it_fails: "Exit code 1: switch nothing off. The source keys are as they were.".into(),
            ..Task::default()
        },
        Task {
            what: "Whatever was not as this script has it, and is not recorded yet, is recorded.".into(),
            commands: vec![format!("keykit transcript note {transcript} --by NAME 'TEXT'")],
            ..Task::default()
        },
        Task {
            what: "The transcript is closed, and each witness signs.".into(),
            commands: vec![format!("keykit transcript close {transcript} --plan {file} --key KEY")],
            expected: vec!["final hash … (hex, words and QR code)".into()],
            details: vec!["The same command with another key adds a signature.".into()],
            to_fill_in: vec!["final hash, first 16 digits", "lines"],
            ..Task::default()
        },
        Task {
            what: "The auditor checks the transcript on another computer.".into(),
            commands: vec![
                format!("keykit transcript verify {transcript} --note {note} --plan {file}"),
                format!(
                    "ssh-keygen -Y verify -f ALLOWED_SIGNERS -I {} -n keykit-transcript -s {} < {transcript}",
                    quoted(signer),
                    quoted(&format!("{}.{}.sig", transcript_name(plan_file), key_name(signer)))
                ),
            ],
            ..Task::default()
        },
        Task {
            what: "Plan, approvals, transcript, note and signatures are copied to two media; passwords and sealed tokens go back to their places."
                .into(),
            to_fill_in: vec!["media", "seals or bags"],
            ..Task::default()
        },
    ]
}
