//! The parts of a report, from what is given.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    Approvals, KeyPlace, PlanSummary, Program, ReportInputs, ReportedApproval, ReportedEnvironment, ReportedKey, ReportedStore, ReportedTemplate,
    RuleFindings, Timeline,
};
use crate::ceremony::Approval;
use crate::error::Result;
use crate::key::KeyId;
use crate::migration::MigrationPath;
use crate::migration::apply::{Event, SeenKey, SeenPlace};
use crate::migration::plan::{Plan, PlannedKey};
use crate::migration::rules::catalogue;
use crate::store::protection::{Assessment, Protection};
use crate::tenant::{TemplateStatus, TenantKey};

/// How the keyring names its own folder of keys.
const OWN_FOLDER: &str = "file:keys";

pub(super) fn plan(plan: &Plan, hash: String) -> Result<PlanSummary> {
    Ok(PlanSummary {
        words: hash.parse::<KeyId>()?.words(),
        hash,
        organisation: plan.organisation.clone(),
        tenant: plan.tenant.name.clone(),
        tenant_id: plan.tenant.id.clone(),
        region: plan.tenant.region.clone(),
        managed: plan.tenant.managed,
        era: plan.tenant.era,
        folder: plan.tenant.folder.clone(),
        dangers: plan.dangers.clone(),
        steps: plan.steps.len(),
    })
}

/// Which approvals count, each at the time when the run used it first.
pub(super) fn approvals(inputs: &ReportInputs<'_>, hash: &str, timeline: &Timeline) -> Approvals {
    let policy = &inputs.plan.approval;
    let mut given: Vec<ReportedApproval> = Vec::new();
    let mut counted: Vec<&Approval> = Vec::new();
    let used = uses(inputs, hash);
    for approval in inputs.approvals {
        let statement = approval.statement();
        let at = used.iter().find(|time| **time >= statement.approved).copied().unwrap_or(inputs.now);
        let problem = policy.problem_of(approval, hash, at, &counted).map(|problem| problem.to_string());
        if problem.is_none() {
            counted.push(approval);
        }
        given.push(ReportedApproval {
            name: statement.name.clone(),
            role: statement.role.clone(),
            fingerprint: approval.key().map_or_else(|| "not an Ed25519 key".to_owned(), |key| key.fingerprint()),
            approved: statement.approved,
            expires: statement.expires,
            problem,
        });
    }
    let needed = policy.needed(inputs.plan.is_dangerous());
    let enough = u32::try_from(counted.len()).is_ok_and(|count| count >= needed);
    let has_role = |role: &String| counted.iter().any(|approval| approval.statement().role == *role);
    let met = enough && (needed == 0 || policy.roles.iter().all(has_role)) && timeline.problem.is_none();
    Approvals { needed, people: policy.people.len(), roles: policy.roles.clone(), met, given }
}

/// The times at which a run of this plan looked at approvals.
fn uses(inputs: &ReportInputs<'_>, hash: &str) -> Vec<Timestamp> {
    let mut is_ours = false;
    let looks = inputs.runs.records.iter().filter(|record| match &record.what {
        Event::Started { plan, .. } => {
            is_ours = plan == hash;
            is_ours
        }
        Event::Resumed { .. } => is_ours,
        _ => false,
    });
    looks.map(|record| record.time).collect()
}

/// The keys of the plan in its order, then those that the keyring has beside them.
pub(super) fn keys(inputs: &ReportInputs<'_>) -> Vec<ReportedKey> {
    let in_keyring = |id: &KeyId| inputs.tenant.iter().flat_map(|tenant| &tenant.keys).find(|key| key.key_id == *id);
    let seen = |id: &KeyId| inputs.places.iter().find(|seen| seen.key_id == *id);
    let planned = inputs.plan.keys.iter().map(|key| moved(inputs.plan, key, in_keyring(&key.key_id), seen(&key.key_id)));
    let others = inputs.tenant.iter().flat_map(|tenant| &tenant.keys).filter(|key| inputs.plan.key(&key.key_id).is_none());
    planned.chain(others.map(|key| made_there(inputs.plan, key, seen(&key.key_id)))).collect()
}

fn moved(plan: &Plan, key: &PlannedKey, entry: Option<&TenantKey>, seen: Option<&SeenKey>) -> ReportedKey {
    let how = match key.path {
        MigrationPath::SoftwareToSoftware => "Read from the exported file into locked memory, and written encrypted into the folder of the tenant.",
        MigrationPath::HsmToHsm => "Wrapped by the source token under a key of the target token, and unwrapped there.",
        MigrationPath::SoftwareToHsm => {
            "Read from the exported file into locked memory, wrapped under a key of the target token, and unwrapped there."
        }
    };
    ReportedKey {
        key_id: key.key_id,
        words: key.key_id.words(),
        name: key.licensor_name.clone(),
        modulus_bits: key.modulus_bits,
        mode: key.mode,
        path: Some(key.path),
        how: how.to_owned(),
        before: Some(before(key, seen)),
        after: entry.map(|entry| after(plan, entry, seen)),
        status: entry.map(|entry| entry.status),
        since: entry.map(|entry| entry.created.clone()),
    }
}

fn made_there(plan: &Plan, entry: &TenantKey, seen: Option<&SeenKey>) -> ReportedKey {
    ReportedKey {
        key_id: entry.key_id,
        words: entry.key_id.words(),
        name: entry.licensor_name.clone(),
        modulus_bits: entry.modulus_bits,
        mode: entry.mode,
        path: None,
        how: if entry.path == "rekey" { "Made in the store of the tenant." } else { "It came into the tenant by other ways than this plan." }
            .to_owned(),
        before: None,
        after: Some(after(plan, entry, seen)),
        status: Some(entry.status),
        since: Some(entry.created.clone()),
    }
}

fn before(key: &PlannedKey, seen: Option<&SeenKey>) -> KeyPlace {
    match seen.and_then(|seen| seen.source.as_ref()) {
        Some(Ok(place)) => in_token(place),
        Some(Err(problem)) => not_seen("token", key.source.as_deref().map(without_query), problem),
        None if key.path == MigrationPath::HsmToHsm => not_seen("token", key.source.as_deref().map(without_query), "nobody looked"),
        None => KeyPlace {
            kind: "exported file".to_owned(),
            name: key.domains.join(", "),
            protection: "in software".to_owned(),
            evidence: vec!["The file of AD RMS holds the key, encrypted under the password of the export.".to_owned()],
        },
    }
}

fn after(plan: &Plan, entry: &TenantKey, seen: Option<&SeenKey>) -> KeyPlace {
    let in_folder = entry.store == OWN_FOLDER;
    match seen.map(|seen| &seen.target) {
        Some(Ok(place)) if in_folder => KeyPlace {
            kind: "folder of the tenant".to_owned(),
            name: format!("{}/keys", plan.tenant.folder),
            protection: words_of(&place.protection.protection),
            evidence: vec!["The key is in a file that is encrypted under the keyring password.".to_owned()],
        },
        Some(Ok(place)) => in_token(place),
        Some(Err(problem)) => not_seen(if in_folder { "folder of the tenant" } else { "token" }, Some(without_query(&entry.store)), problem),
        None => not_seen(if in_folder { "folder of the tenant" } else { "token" }, Some(without_query(&entry.store)), "nobody looked"),
    }
}

fn not_seen(kind: &str, name: Option<String>, problem: &str) -> KeyPlace {
    KeyPlace {
        kind: kind.to_owned(),
        name: name.unwrap_or_else(|| "(not named)".to_owned()),
        protection: "not seen".to_owned(),
        evidence: vec![format!("It was not looked at for this report: {problem}.")],
    }
}

fn in_token(place: &SeenPlace) -> KeyPlace {
    let store = &place.store;
    let name = if store.label.is_empty() { without_query(&store.uri) } else { store.label.clone() };
    let mut evidence = signals(&place.protection);
    let attributes = &place.attributes;
    let told = |value: Option<bool>, yes: &str, no: &str| match value {
        Some(true) => yes.to_owned(),
        Some(false) => no.to_owned(),
        None => format!("{no}, or the token does not tell"),
    };
    evidence.push(format!(
        "The token says: {}; {}.",
        told(attributes.sensitive, "the key can't be read", "the key is not marked as sensitive"),
        match (attributes.extractable, attributes.wrap_with_trusted) {
            (Some(false), _) => "it can't leave",
            (Some(true), Some(true)) => "it can leave under a trusted key only",
            (Some(true), _) => "it can leave wrapped",
            (None, _) => "whether it can leave is not told",
        }
    ));
    KeyPlace { kind: "token".to_owned(), name, protection: words_of(&place.protection.protection), evidence }
}

fn signals(assessment: &Assessment) -> Vec<String> {
    let line = |signal: &crate::store::protection::Signal| {
        let counts = if signal.bound_to_key { "" } else { " (not bound to this very key, so it does not count)" };
        format!("{} says: {}{counts}.", signal.source, words_of(&signal.says))
    };
    assessment.signals.iter().map(line).collect()
}

fn words_of(protection: &Protection) -> String {
    match protection {
        Protection::Software => "in software".to_owned(),
        Protection::Module => "by the module alone".to_owned(),
        Protection::Unknown => "not known".to_owned(),
        Protection::Conflict => "the evidence contradicts itself".to_owned(),
        other => format!("by {other}"),
    }
}

/// A PKCS#11 URI without its query, where the module and the source of the PIN are named.
fn without_query(uri: &str) -> String {
    uri.split('?').next().unwrap_or_default().to_owned()
}

pub(super) fn templates(inputs: &ReportInputs<'_>) -> Vec<ReportedTemplate> {
    let all = inputs.tenant.iter().flat_map(|tenant| &tenant.templates);
    all.map(|template| ReportedTemplate {
        id: template.id.clone(),
        name: template.name.clone(),
        published: template.status == TemplateStatus::Published,
        signed_by: template.signed_by,
    })
    .collect()
}

/// What the rules had to say, rule by rule; what no numbered rule covers comes last.
pub(super) fn findings(plan: &Plan) -> Vec<RuleFindings> {
    let mut by_rule: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    let mut plain = Vec::new();
    for finding in &plan.findings {
        match finding.rule {
            Some(rule) => by_rule.entry(rule).or_default().push(finding.message.clone()),
            None => plain.push(finding.message.clone()),
        }
    }
    let subject = |rule: u16| catalogue::entry(rule).map_or_else(String::new, |entry| entry.subject.to_owned());
    let numbered = by_rule.into_iter().map(|(rule, messages)| RuleFindings { rule: Some(rule), subject: subject(rule), messages });
    let others = (!plain.is_empty()).then(|| RuleFindings { rule: None, subject: "not covered by a numbered rule".to_owned(), messages: plain });
    numbered.chain(others).collect()
}

pub(super) fn environment(plan: &Plan, places: &[SeenKey], timeline: &Timeline, program: Program) -> ReportedEnvironment {
    let mut stores: Vec<ReportedStore> = Vec::new();
    let sources = places.iter().filter_map(|seen| seen.source.as_ref()).map(|place| ("source", place.as_ref().ok()));
    let targets = places.iter().map(|seen| ("target", seen.target.as_ref().ok()));
    for (role, place) in sources.chain(targets) {
        let Some(place) = place else { continue };
        let store = ReportedStore { role, identity: place.store.clone() };
        if !stores.contains(&store) {
            stores.push(store);
        }
    }
    ReportedEnvironment {
        program,
        programs_of_runs: timeline.programs.clone(),
        stores,
        files: plan.files.iter().map(|file| (file.path.clone(), file.sha256.clone())).collect(),
    }
}
