//! Proofs, access, approvals, findings, environment.

use super::moment;
use super::parts::{badge, classed, column, el, list, main, narrow, numbers, pill, status_class, table, text, worded_badge};
use crate::ceremony::html::Html;
use crate::ceremony::report::{AccessProof, AccessVerdict, Report, ReportedKey, Status};
use crate::migration::verify::{Check, Reason, meaning};

/// So many lost files are listed on the page; the proof of access has all.
const LISTED: usize = 100;

fn lead(content: &str) -> Html {
    classed("p", "lead", content)
}

fn code(content: &str) -> Html {
    el("code", &[], [text(content)])
}

pub(super) fn proofs(report: &Report) -> Html {
    if !report.verified {
        return lead("No proofs were made for this report. What follows from the plan and the journal is said above, and rests on them alone.");
    }
    let mut html = lead(
        "Made for this report from the stores and files themselves; journals were read only to tell what was changed later on purpose. Each key at its source sealed and signed something new; the key at its target had to open it and sign the same.",
    );
    let of_key = |key: &ReportedKey| {
        let about = key.key_id.to_string();
        let checks: Vec<&Check> = report.checks.iter().filter(|check| check.about == about).collect();
        (!checks.is_empty()).then(|| checks_table(&format!("Key {} ({})", key.key_id.short(), key.name), &checks, None))
    };
    report.keys.iter().filter_map(of_key).for_each(|table| html.push_line(&table));
    let is_of_key = |check: &Check| report.keys.iter().any(|key| key.key_id.to_string() == check.about);
    let others: Vec<&Check> = report.checks.iter().filter(|check| !is_of_key(check)).collect();
    if !others.is_empty() {
        html.push_line(&checks_table("The tenant and its templates", &others, Some(report)));
    }
    html
}

fn checks_table(caption: &str, checks: &[&Check], about: Option<&Report>) -> Html {
    let mut columns = vec![main("What must be true"), narrow("Result"), column("What was seen")];
    if about.is_some() {
        columns.push(column("Of"));
    }
    let rows = checks.iter().map(|check| {
        let what = meaning(check.name).map_or(check.name, |(_, sentence)| sentence);
        let result = match (check.ok, check.reason) {
            (_, Some(Reason::ChangedLater)) => worded_badge(Status::Holds, "changed later"),
            (_, Some(Reason::CouldNotBeChecked)) => worded_badge(Status::Open, "not checked"),
            (true, None) => worded_badge(Status::Holds, "held"),
            (false, None) => worded_badge(Status::Fails, "failed"),
        };
        let mut row = vec![text(what), result, el("span", &[("class", "small")], [text(seen(check))])];
        if let Some(report) = about {
            let template = report.templates.iter().find(|template| template.id == check.about);
            row.push(el("span", &[("class", "small")], [text(template.map_or(check.about.as_str(), |template| &template.name))]));
        }
        row
    });
    table(caption, &columns, rows.collect())
}

/// A key from a file works in the memory of the program.
fn seen(check: &Check) -> &str {
    if check.name == "source-key-still-works" && check.detail == "memory:" { "with the key from the exported file" } else { &check.detail }
}

pub(super) fn access(report: &Report) -> Html {
    if report.access.is_empty() {
        return lead(
            "Protected files were not gone through for this report. Until they are, nobody knows whether a share holds documents of a key that was left behind.",
        );
    }
    let mut html =
        lead("Every file below the folders was looked into, archives and mail too; each licence in them was opened under the keys of the tenant.");
    report.access.iter().for_each(|proof| html.push_line(&of_proof(proof)));
    html
}

fn of_proof(proof: &AccessProof) -> Html {
    let place = if proof.folders.is_empty() { "Folders that the proof does not name".to_owned() } else { proof.folders.join(", ") };
    let status = match (proof.lost, proof.proven && !proof.is_partial()) {
        (0, true) => Status::Holds,
        (0, false) => Status::Open,
        _ => Status::Fails,
    };
    let mut html = el("div", &[("class", "key-head")], [el("h3", &[], [text(&place)]), badge(status)]);
    if let Some(made) = proof.made {
        let begun = proof.begun.filter(|begun| *begun != made).map(|begun| format!(", begun {}", moment(begun))).unwrap_or_default();
        html.push(&classed("p", "small", &format!("Made {}{begun}.", moment(made))));
    }
    if let Some(sample) = proof.sample.filter(|_| proof.is_partial()) {
        html.push(&el("p", &[], [text(&format!(
            "A sample of {} of {} files, drawn at random; {} of them are lost or unknown. With {:.0} % confidence at most {:.2} % of all files ({}) are. A sample can't show that none is.",
            sample.sampled,
            sample.population,
            sample.bad,
            sample.confidence * 100.0,
            sample.share * 100.0,
            sample.files
        ))]));
    }
    let counts = [
        ("open", proof.opens, "every licence in them opens"),
        ("not protected", proof.not_protected, "no licence is in them"),
        ("lost", proof.lost, "a licence in them does not open: their readers lose access"),
        ("unknown", proof.unknown, "they could not be read whole"),
        ("not looked into", proof.not_looked_into, "archives or stores of kinds that are not read: 7-Zip, RAR, Outlook data files…"),
        ("accepted", proof.accepted, "files of the last two that a custodian accepted unread, by name"),
        ("all", proof.files, "files that were looked at"),
    ];
    let rows = counts.iter().map(|(word, count, meaning)| vec![text(word), text(&count.to_string()), text(meaning)]).collect();
    html.push_line(&table("Files", &[narrow("Files that are"), numbers("Number"), column("What it means")], rows));
    let rows = proof.keys.iter().map(|key| {
        let state = super::keys::status_words(key.status);
        let whose = [&key.licensor, &key.licensing_url].into_iter().flatten().cloned().collect::<Vec<_>>().join(", ");
        vec![code(&key.key_id.short()), text(state), text(&whose), text(&key.opens.to_string()), text(&key.fails.to_string())]
    });
    let columns =
        [column("Key"), column("In the tenant"), column("Whose, as licences say"), numbers("Licences that open"), numbers("Licences that do not")];
    html.push_line(&table("Licences by key", &columns, rows.collect()));
    if !proof.bad.is_empty() {
        html.push_line(&bad_files(proof));
    }
    if !proof.accepted_files.is_empty() {
        let rows = proof.accepted_files.iter().take(LISTED).map(|file| vec![code(&file.id), text(&file.reason)]).collect();
        html.push_line(&table("Files that were accepted unread", &[column("File"), column("Reason that was given")], rows));
    }
    html
}

fn bad_files(proof: &AccessProof) -> Html {
    let rows = proof.bad.iter().take(LISTED).map(|file| {
        let verdict = match file.verdict {
            AccessVerdict::Lost => worded_badge(Status::Fails, "lost"),
            AccessVerdict::Unknown => worded_badge(Status::Open, "unknown"),
            AccessVerdict::NotLookedInto => worded_badge(Status::Open, "not looked into"),
            AccessVerdict::Opens => worded_badge(Status::Holds, "opens"),
            AccessVerdict::NotProtected => pill("plain", "not protected"),
        };
        let problems: Vec<String> = file
            .problems
            .iter()
            .map(|problem| if problem.inside.is_empty() { problem.problem.clone() } else { format!("{}: {}", problem.inside, problem.problem) })
            .collect();
        vec![code(&file.id), verdict, el("span", &[("class", "small")], [list(&problems)])]
    });
    let total = proof.lost.saturating_add(proof.unknown).saturating_add(proof.not_looked_into);
    let shown = u64::try_from(proof.bad.len().min(LISTED)).unwrap_or(u64::MAX);
    let rest =
        if total > shown { format!(" ({shown} of {total}; the ledger and the CSV file of keykit prove-access name all)") } else { String::new() };
    table(&format!("Files that are lost, or of which nothing is known{rest}"), &[column("File"), narrow("Result"), column("Why")], rows.collect())
}

pub(super) fn approvals(report: &Report) -> Html {
    let approvals = &report.approvals;
    if approvals.people == 0 {
        return lead("The plan names nobody who has to approve.");
    }
    let roles = if approvals.roles.is_empty() {
        String::new()
    } else {
        format!(", among them somebody in each of these roles: {}", approvals.roles.join(", "))
    };
    let verdict = if approvals.met { "They have." } else { "They have not, as far as approvals are there." };
    let mut html = lead(&format!(
        "{} of {} people had to approve this very plan{roles}. {verdict} Each signed its hash with a key of their own; the signatures were checked for this report.",
        approvals.needed, approvals.people
    ));
    if !report.plan.dangers.is_empty() {
        let dangers = format!("The plan allows what is dangerous, and so needed the higher number: {}.", report.plan.dangers.join(", "));
        html.push(&el("p", &[], [text(&dangers)]));
    }
    let rows = approvals.given.iter().map(|approval| {
        let (status, word) = match &approval.problem {
            None => (Status::Holds, "counts".to_owned()),
            Some(problem) => (Status::Fails, format!("does not count: {problem}")),
        };
        let result = if status == Status::Holds { worded_badge(status, &word) } else { classed("span", status_class(status), &word) };
        vec![
            text(&approval.name),
            text(&approval.role),
            text(&moment(approval.approved)),
            text(&moment(approval.expires)),
            code(&approval.fingerprint),
            result,
        ]
    });
    let columns = [column("Who"), column("Role"), column("Approved"), column("Counted until"), column("Key (OpenSSH fingerprint)"), narrow("Result")];
    if approvals.given.is_empty() {
        html.push(&el("p", &[], [text("No approval is there.")]));
    } else {
        html.push_line(&table("Approvals of this plan", &columns, rows.collect()));
    }
    html
}

pub(super) fn findings(report: &Report) -> Html {
    if report.findings.is_empty() {
        return lead("The rules of the documented migration had nothing to say. A migration that a rule forbids has no plan.");
    }
    let rows = report.findings.iter().map(|finding| {
        let rule = finding.rule.map_or_else(|| "—".to_owned(), |rule| rule.to_string());
        vec![text(&rule), text(&finding.subject), list(&finding.messages)]
    });
    let mut html = lead(
        "What the numbered rules of the documented migration had to say when the plan was made. None of it forbids the migration: a plan that a rule forbids is not made.",
    );
    html.push_line(&table("Findings", &[narrow("Rule"), column("What the rule says"), column("What was found")], rows.collect()));
    html
}

pub(super) fn environment(report: &Report) -> Html {
    let environment = &report.environment;
    let fact = |name: &str, value: Html| el("div", &[], [el("dt", &[], [text(name)]), el("dd", &[], [value])]);
    let mut facts = vec![
        fact("Report made by", text(&environment.program.name)),
        fact("System", text(&environment.program.system)),
        fact(
            "Runs carried out by",
            text(&if environment.programs_of_runs.is_empty() { "none".to_owned() } else { environment.programs_of_runs.join(", ") }),
        ),
        fact("Folder of the tenant, as the plan names it", code(&report.plan.folder)),
    ];
    if let Some(sha256) = &environment.program.sha256 {
        facts.push(fact("SHA-256 of the program that made the report", code(sha256)));
    }
    let mut html = el("div", &[("class", "card")], [el("dl", &[("class", "glossary")], facts)]);
    html.push_line(&el("p", &[], []));
    if !environment.stores.is_empty() {
        let rows = environment.stores.iter().map(|store| {
            let identity = &store.identity;
            let or_dash = |value: &str| text(if value.is_empty() { "—" } else { value });
            vec![
                text(store.role),
                text(&format!("{} {}", identity.manufacturer, identity.model)),
                or_dash(&identity.label),
                or_dash(&identity.serial),
                or_dash(&identity.firmware),
            ]
        });
        let columns = [narrow("Store"), column("Maker and model, by its own account"), column("Label"), column("Serial number"), column("Version")];
        html.push_line(&table("Stores", &columns, rows.collect()));
    }
    let rows = environment.files.iter().map(|(path, sha256)| vec![code(path), code(sha256)]).collect();
    html.push_line(&table("Files that the plan was made from", &[column("File"), column("SHA-256")], rows));
    if !report.templates.is_empty() {
        let rows = report.templates.iter().map(|template| {
            let state = if template.published { "offered to users" } else { "archived: opens old content" };
            let signed = template.signed_by.map_or_else(|| text("—"), |id| code(&id.short()));
            vec![text(&template.name), text(state), signed, code(&template.id)]
        });
        let columns = [column("Template"), column("State"), column("Signed by key"), column("Identity")];
        html.push_line(&table("Templates of the tenant", &columns, rows.collect()));
    }
    html
}
