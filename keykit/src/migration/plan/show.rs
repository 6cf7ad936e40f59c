//! A plan as people read it, aloud if need be.

use super::{Action, Plan, PlannedFinding, Undo};
use crate::error::Result;
use crate::migration::rules::Severity;

/// The plan as text.
///
/// # Errors
/// [`crate::Error::Internal`] never in practice.
pub fn show(plan: &Plan) -> Result<String> {
    let hash = plan.hash()?;
    let mut text = format!(
        "plan {hash}\nfor {}, tenant {} ({}), keys kept by the {}, import rules of {}\n",
        plan.organisation,
        plan.tenant.name,
        plan.tenant.region,
        word(&plan.tenant.managed),
        word(&plan.tenant.era),
    );
    text.push_str(&format!("keyring in {}, keys in {}\n", plan.tenant.folder, plan.tenant.store.as_deref().unwrap_or("the same folder")));
    let policy = &plan.approval;
    if policy.people.is_empty() {
        text.push_str("\napprovals: none are needed\n");
    } else {
        let roles = if policy.roles.is_empty() { String::new() } else { format!(", among them {}", policy.roles.join(" and ")) };
        text.push_str(&format!(
            "\napprovals: {} of {}{roles}; each holds for at most {} days\n",
            policy.needed(plan.is_dangerous()),
            policy.people.len(),
            policy.valid_days
        ));
        for person in &policy.people {
            text.push_str(&format!("  {} ({}), key {}\n", person.name, person.role, person.key.fingerprint()));
        }
    }
    for danger in &plan.dangers {
        text.push_str(&format!("DANGER, allowed by this plan: {danger}\n"));
    }
    text.push_str("\nkeys\n");
    for key in &plan.keys {
        text.push_str(&format!("  {} ({} bits, mode {}), {}\n", key.key_id, key.modulus_bits, key.mode, key.path.name()));
        text.push_str(&format!("    {}\n", key.key_id.words()));
        text.push_str(&format!("    from {}\n", key.domains.iter().chain(&key.source).cloned().collect::<Vec<_>>().join(", ")));
    }
    if let Some(transfer) = &plan.tenant.transfer {
        text.push_str(&format!("\ntransfer files for {}, under the key encryption key {}\n", transfer.profile, transfer.fingerprint));
    }
    text.push_str("\nsteps\n");
    let mut documented = None;
    for (index, step) in plan.steps.iter().enumerate() {
        if documented != Some(step.documented) {
            documented = Some(step.documented);
            text.push_str(&format!("\n  {}\n", step.documented));
        }
        text.push_str(&format!("  {}. {}{}\n", index + 1, step.id, rules(&step.rules)));
        if let Action::Manual { instruction } = &step.action {
            text.push_str(&format!("     by hand: {instruction}\n"));
        }
        if !step.inputs.is_empty() {
            text.push_str(&format!("     needs: {}\n", step.inputs.join(", ")));
        }
        step.effects.iter().for_each(|effect| text.push_str(&format!("     then: {effect}\n")));
        match &step.undo {
            Undo::Nothing => {}
            Undo::Automatic(how) => text.push_str(&format!("     undo: {how}\n")),
            Undo::Stays(how) if matches!(step.action, Action::Manual { .. }) => text.push_str(&format!("     undo by hand: {how}\n")),
            Undo::Stays(why) => text.push_str(&format!("     no undo: {why}\n")),
        }
    }
    if !plan.omitted.is_empty() {
        text.push_str("\nnothing is done for\n");
        for step in &plan.omitted {
            text.push_str(&format!("  {}: {}{}\n", step.documented, step.why, if step.is_open { " (OPEN)" } else { "" }));
        }
    }
    text.push_str("\nfiles\n");
    for file in &plan.files {
        text.push_str(&format!("  {}  {} ({}, {} bytes)\n", file.sha256, file.path, word(&file.kind), file.bytes));
    }
    if !plan.findings.is_empty() {
        text.push_str("\nto know before you approve\n");
        text.push_str(&show_findings(&plan.findings));
    }
    Ok(text)
}

/// Findings as people read them, by the steps of the documented process.
#[must_use]
pub fn show_findings(findings: &[PlannedFinding]) -> String {
    let (mut text, mut step) = (String::new(), None);
    for finding in findings {
        if step != Some(finding.step) {
            step = Some(finding.step);
            text.push_str(&format!("\n  {}\n", finding.step));
        }
        let severity = match finding.severity {
            Severity::Refusal => "REFUSED",
            Severity::Warning => "warning",
            Severity::Unstated => "not stated",
        };
        let rule = finding.rule.map_or(String::new(), |rule| format!(" (rule {rule})"));
        text.push_str(&format!("  {severity}: {}{rule}\n", finding.message));
    }
    text
}

/// ` (rules 4, 41)`.
fn rules(numbers: &[u16]) -> String {
    let listed: Vec<String> = numbers.iter().map(u16::to_string).collect();
    match listed.as_slice() {
        [] => String::new(),
        [one] => format!(" (rule {one})"),
        _ => format!(" (rules {})", listed.join(", ")),
    }
}

/// A value as its word in the file.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
