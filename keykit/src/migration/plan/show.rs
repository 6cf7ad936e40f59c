//! A plan as people read it, aloud if need be.

use super::{Action, Plan, Undo};
use crate::error::Result;

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
    text.push_str("\nsteps\n");
    for (index, step) in plan.steps.iter().enumerate() {
        text.push_str(&format!("  {}. {}\n", index + 1, step.id));
        if let Action::Manual { instruction } = &step.action {
            text.push_str(&format!("     by hand: {instruction}\n"));
        }
        step.effects.iter().for_each(|effect| text.push_str(&format!("     then: {effect}\n")));
        match &step.undo {
            Undo::Nothing => {}
            Undo::Automatic(how) => text.push_str(&format!("     undo: {how}\n")),
            Undo::Stays(why) => text.push_str(&format!("     no undo: {why}\n")),
        }
    }
    text.push_str("\nfiles\n");
    for file in &plan.files {
        text.push_str(&format!("  {}  {} ({}, {} bytes)\n", file.sha256, file.path, word(&file.kind), file.bytes));
    }
    if !plan.findings.is_empty() {
        text.push_str("\nto know before you approve\n");
        for finding in &plan.findings {
            let rule = finding.rule.map_or(String::new(), |rule| format!(" (rule {rule})"));
            text.push_str(&format!("  {}{rule}\n", finding.message));
        }
    }
    Ok(text)
}

/// A value as its word in the file.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
