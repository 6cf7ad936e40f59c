//! Rights templates.

use std::collections::BTreeSet;

use super::facts::{DomainFacts, Facts, TemplateFacts};
use super::{Place, Report, Severity, stated};
use crate::migration::file::TemplateChoice;
use crate::tenant::{Era, MAX_TEMPLATES, TemplateAddition, template_warnings};

/// The word for the group of the whole tenant.
const ALL_STAFF: &str = "all-staff";

/// What the file says of a template.
fn choice<'f>(facts: &Facts<'f>, template: &TemplateFacts) -> Option<&'f TemplateChoice> {
    facts.file.template.iter().find(|choice| choice.id.to_string() == template.id)
}

fn is_published(choice: Option<&TemplateChoice>) -> bool {
    choice.is_some_and(|choice| stated(choice.publish.as_ref(), true).is_some())
}

fn place(facts: &Facts<'_>, domain: &DomainFacts, template: &TemplateFacts) -> Place {
    let at = choice(facts, template).map_or(domain.at, |choice| choice.id.at);
    Place { domain: Some(domain.file.clone()), template: Some(template.name.clone()), ..Place::from(at) }
}

/// What the commands warn of too, under one rule; a template that is to be published is refused.
fn warnings_of(rule: u16, facts: &Facts<'_>, report: &mut Report<'_>, instead: &str) {
    for domain in &facts.domains {
        for template in &domain.templates {
            let addition = TemplateAddition {
                id: template.id.clone(),
                name: template.name.clone(),
                signed_by: None,
                grants_anyone: template.grants_anyone,
                text: String::new(),
            };
            let choice = choice(facts, template);
            if rule == 133 && choice.is_some_and(|choice| !choice.replace_anyone_with.is_empty()) {
                continue;
            }
            for (_, message) in template_warnings(&addition).into_iter().filter(|(number, _)| *number == rule) {
                let severity = if rule != 147 && is_published(choice) { Severity::Refusal } else { Severity::Warning };
                report.add(severity, place(facts, domain, template), message, instead);
            }
        }
    }
}

/// Rule 133. What becomes of ANYONE was documented in three ways: removed by the import (2016), turned into the group of the whole
/// tenant (2017), not supported (since 2018). Whoever publishes such a template must say who gets the rights.
pub(super) fn anyone(facts: &Facts<'_>, report: &mut Report<'_>) {
    let treatment = match facts.file.era() {
        Era::Of2016 => "the import of 2016 removed ANYONE from the template",
        Era::Current => "the import of 2017 turned ANYONE into the group of the whole tenant, the present one does not support it",
    };
    let instead =
        format!("{treatment}: say who gets the rights (`replace-anyone-with`, for example [\"{ALL_STAFF}\"]), or leave the template archived");
    warnings_of(133, facts, report, &instead);
}

/// Rule 134.
pub(super) fn all_staff_is_not_anyone(facts: &Facts<'_>, report: &mut Report<'_>) {
    for choice in &facts.file.template {
        if let [only] = choice.replace_anyone_with.as_slice()
            && only.value == ALL_STAFF
        {
            report.warn(
                only.at,
                format!("in the template {}, ANYONE becomes the group of the whole tenant, which has no people from outside in it", choice.id.value),
                "add people from outside by their addresses, if they had rights through ANYONE",
            );
        }
    }
}

/// Rule 141. How many, and which names.
pub(super) fn limits(facts: &Facts<'_>, report: &mut Report<'_>) {
    let mut ids: BTreeSet<&str> = facts.domains.iter().flat_map(|domain| &domain.templates).map(|template| template.id.as_str()).collect();
    if let Some(tenant) = &facts.tenant {
        ids.extend(tenant.templates.iter().map(String::as_str));
    }
    let stated_count = facts.file.tenant.custom_templates.as_ref();
    let own = stated_count.and_then(|count| usize::try_from(count.value).ok()).unwrap_or_default();
    let total = ids.len() + own;
    if total > MAX_TEMPLATES {
        report.refuse(
            stated_count.map_or(facts.file.tenant.at, |count| count.at),
            format!("{total} templates; a tenant has room for {MAX_TEMPLATES}, archived ones included"),
            "remove templates that nobody uses in AD RMS, then export again",
        );
    }
    warnings_of(141, facts, report, "rename it in AD RMS before the export, or after the import before you publish it");
}

/// Rule 147. Nothing to fear where there is no Exchange Online.
pub(super) fn names_for_exchange_online(facts: &Facts<'_>, report: &mut Report<'_>) {
    let not_in_use = facts.file.services.as_ref().and_then(|services| stated(services.exchange_online.as_ref(), false));
    if not_in_use.is_none() {
        warnings_of(147, facts, report, "rename it before Exchange Online imports the templates");
    }
}
