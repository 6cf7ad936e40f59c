//! The rules of the documented migration: what a migration file, the exported domains and the stores say, held against them.
//!
//! | module | what |
//! |---|---|
//! | [`catalogue`] | every rule by number: its kind, what it says, and which code keeps it or why no program can |
//! | [`facts`] | what is known of a migration: plain data, so that every rule can be tested without a key |
//! | `refusals` | what the commands that move keys refuse, with the same words |
//! | the others | the rules themselves, by subject |
//!
//! A finding that refuses stops the plan (exit code 4). A precondition that the file says is not met refuses as well; what the
//! documents advise only is a warning; what the file does not say is asked.

pub mod catalogue;
mod clients;
mod directory;
pub mod facts;
mod keys;
mod onboarding;
mod refusals;
mod rekey;
mod servers;
mod source;
mod templates;
mod tenant;
#[cfg(test)]
mod tests;
mod toolset;
mod vault;

use serde::{Deserialize, Serialize};

use super::file::{Placed, Position};
use crate::error::{Error, Refusal, Result};
use crate::key::KeyId;
use facts::Facts;

pub use catalogue::{Kind, Step};
pub(super) use refusals::{in_another_tenant, mode_1_warnings, not_extractable, not_the_key_of, version_1_export, wrong_path};
pub use refusals::{mode_of, require_module_protection};

/// What a finding does to the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The plan is refused.
    Refusal,
    /// Someone must know it; the plan goes on.
    Warning,
    /// The file does not say whether the rule is kept.
    Unstated,
}

/// What a finding is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Where the migration file says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Position>,
    /// The exported domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// The template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

impl From<Position> for Place {
    fn from(at: Position) -> Self {
        // A value that was made in a program stands nowhere.
        Self { at: (at != Position::default()).then_some(at), ..Self::default() }
    }
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Number of the rule.
    pub rule: u16,
    /// What it does to the plan.
    pub severity: Severity,
    /// The step of the documented process it belongs to.
    pub step: Step,
    /// What it is about.
    pub place: Place,
    /// What was found.
    pub message: String,
    /// What to do.
    pub instead: String,
}

/// All findings, by step, severity and rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// All of them, in the order of the steps.
    #[must_use]
    pub fn all(&self) -> &[Finding] {
        &self.0
    }

    /// Those that refuse.
    pub fn refusals(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter().filter(|finding| finding.severity == Severity::Refusal)
    }

    /// The findings of each step that has some, in the order of the steps.
    #[must_use]
    pub fn by_step(&self) -> Vec<(Step, Vec<&Finding>)> {
        let mut groups: Vec<(Step, Vec<&Finding>)> = Vec::new();
        for finding in &self.0 {
            match groups.last_mut() {
                Some((step, group)) if *step == finding.step => group.push(finding),
                _ => groups.push((finding.step, vec![finding])),
            }
        }
        groups
    }

    /// Nothing if no finding refuses.
    ///
    /// # Errors
    /// [`Error::Refused`] with the first refusal, and the number of the others.
    pub fn require_none_refused(&self) -> Result<()> {
        let Some(first) = self.refusals().next() else { return Ok(()) };
        let others = self.refusals().count() - 1;
        let also = match others {
            0 => String::new(),
            1 => " (and one more refusal)".into(),
            _ => format!(" (and {others} more refusals)"),
        };
        let at = first.place.at.map(|at| format!("{at}: ")).unwrap_or_default();
        Err(Error::Refused(Refusal { rule: Some(first.rule), problem: format!("{at}{}{also}", first.message), instead: first.instead.clone() }))
    }
}

/// A rule that a program can decide.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its number.
    pub number: u16,
    /// Its code: a function in a module below this one.
    pub code: &'static str,
    check: fn(&Facts<'_>, &mut Report<'_>),
}

impl Rule {
    /// Holds the facts against this rule.
    #[must_use]
    pub fn findings(&self, facts: &Facts<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        let step = catalogue::entry(self.number).map_or(Step::Before, |entry| entry.step);
        (self.check)(facts, &mut Report { rule: self.number, step, findings: &mut findings });
        findings
    }
}

/// Takes the findings of one rule.
pub(super) struct Report<'r> {
    rule: u16,
    step: Step,
    findings: &'r mut Vec<Finding>,
}

impl Report<'_> {
    fn add(&mut self, severity: Severity, place: impl Into<Place>, message: impl Into<String>, instead: impl Into<String>) {
        let finding = Finding { rule: self.rule, severity, step: self.step, place: place.into(), message: message.into(), instead: instead.into() };
        self.findings.push(finding);
    }

    fn refuse(&mut self, place: impl Into<Place>, message: impl Into<String>, instead: impl Into<String>) {
        self.add(Severity::Refusal, place, message, instead);
    }

    fn warn(&mut self, place: impl Into<Place>, message: impl Into<String>, instead: impl Into<String>) {
        self.add(Severity::Warning, place, message, instead);
    }

    /// What the file does not say.
    fn ask(&mut self, place: impl Into<Place>, question: impl Into<String>) {
        self.add(Severity::Unstated, place, question, "say it in the migration file");
    }

    /// A refusal that the commands make too, if it is of this rule.
    fn refuse_as(&mut self, place: impl Into<Place>, error: &Error) {
        if let Error::Refused(Refusal { rule: Some(rule), problem, instead }) = error
            && *rule == self.rule
        {
            self.refuse(place, problem.clone(), instead.clone());
        }
    }
}

/// Where a yes or no stands, if the file says this one.
fn stated(value: Option<&Placed<bool>>, what: bool) -> Option<Position> {
    value.filter(|stated| stated.value == what).map(|stated| stated.at)
}

/// Holds the facts against all rules.
#[must_use]
pub fn examine(facts: &Facts<'_>) -> Findings {
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule.findings(facts)).collect();
    findings.sort_by_key(|finding| (finding.step, finding.severity, finding.rule));
    Findings(findings)
}

/// The table of rules: number and function. The function's name is kept for the documentation.
macro_rules! rules {
    ($($number:literal $module:ident::$check:ident,)*) => {
        &[$(Rule { number: $number, code: concat!(stringify!($module), "::", stringify!($check)), check: $module::$check },)*]
    };
}

/// All rules that a program can decide, by number.
pub const RULES: &[Rule] = rules! {
    1 source::operating_system,
    3 source::topology,
    4 keys::one_tenant_per_key,
    5 tenant::not_activated_yet,
    6 directory::synchronised,
    7 directory::groups,
    8 directory::attributes,
    10 directory::old_addresses,
    11 servers::outage_window,
    12 tenant::module_version,
    13 tenant::host_of_the_module,
    14 tenant::account,
    15 tenant::network,
    16 clients::office_2010_sign_in,
    17 clients::operating_systems,
    18 rekey::no_running_side_by_side,
    20 tenant::automatic_activation,
    21 vault::subscription,
    22 source::no_upgrade_of_mode,
    24 directory::partners_are_ready,
    25 servers::reduced_exchange_online,
    26 onboarding::archived_import_with_phased_users,
    27 clients::unsupported_software,
    28 directory::partners_migrate_too,
    29 keys::module_protection,
    30 source::no_way_out_of_a_module,
    31 source::keys_that_can_not_leave,
    32 keys::sizes,
    33 keys::keys_of_mode_1,
    34 keys::keys_of_mode_1_in_modules,
    36 vault::regions,
    37 tenant::activated_with_office_2010,
    38 source::no_holding_of_the_own_key,
    39 directory::recipients,
    41 source::path_table,
    43 source::all_domains,
    44 source::domain_of_mode_1,
    45 source::file_names,
    46 source::passwords,
    47 keys::no_version_1_export,
    48 keys::files_are_private,
    51 source::active_is_stated,
    56 source::one_active_key,
    58 source::friendly_name,
    69 vault::one_key_for_each_domain,
    70 keys::key_of_the_certificate,
    71 toolset::software_for_imports,
    72 toolset::identifiers_of_2016,
    76 toolset::protection_of_imports,
    77 toolset::identifiers,
    83 tenant::content_of_the_tenants_own_key,
    84 tenant::templates_of_the_tenant,
    90 toolset::disconnected_computer,
    95 toolset::card_quorum,
    96 toolset::known_bad_versions,
    97 toolset::backup_and_holders,
    98 toolset::package_verification,
    103 toolset::region_of_the_packages,
    106 vault::key_encryption_key,
    107 vault::version_in_the_url,
    108 vault::permissions,
    109 vault::key_operations,
    110 vault::firewall,
    111 vault::dedicated,
    123 rekey::no_new_service_managed_key,
    133 templates::anyone,
    134 templates::all_staff_is_not_anyone,
    141 templates::limits,
    147 templates::names_for_exchange_online,
    150 onboarding::group,
    151 onboarding::policy,
    153 onboarding::clients_prepared,
    154 clients::no_blanks_around_addresses,
    155 onboarding::not_for_one_batch,
    156 onboarding::order_of_removal,
    157 servers::connector_account,
    160 tenant::url,
    162 clients::way_of_redirection,
    166 clients::both_urls,
    169 clients::redirecting_server_stays,
    170 clients::deny_more_than_one_file,
    173 clients::template_task,
    178 clients::office_for_read_only_mode,
    181 rekey::read_only_mode_tested,
    182 rekey::connection_point_in_read_only_mode,
    187 servers::domain_in_exchange_online,
    190 servers::no_rekey_with_exchange_online,
    195 servers::versions,
    196 servers::connector_computers,
    197 servers::sharepoint_client,
    198 servers::order_of_connector,
    200 servers::checked_out_documents,
    210 rekey::connection_point,
    211 rekey::activity_watched,
    213 rekey::decommission_before_rekey,
    215 rekey::required_after_mode_1,
    216 rekey::source_of_the_new_key,
    219 rekey::office_2010_and_new_keys,
    222 toolset::backup_of_the_key,
};
