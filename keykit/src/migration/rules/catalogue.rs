//! Every rule of the documented process by number, and the page `docs/rules.md` that is made from this list.

mod rows;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::RULES;

/// What kind of rule it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A precondition.
    Check,
    /// A hard rule.
    Enforce,
    /// Something to warn of.
    Warn,
    /// Something to make for another system.
    Generate,
    /// How the service behaves.
    Simulate,
    /// Something to know.
    Inform,
}

impl Kind {
    /// Its short name.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Check => "CHK",
            Self::Enforce => "ENF",
            Self::Warn => "WRN",
            Self::Generate => "GEN",
            Self::Simulate => "SIM",
            Self::Inform => "INF",
        }
    }
}

/// The steps of the documented process, as they are numbered since 2017, with what comes before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// What must hold before the first step.
    Before,
    /// Step 1: the module, and the tenant's URL.
    Tools,
    /// Step 2: clients are prepared.
    PrepareClients,
    /// Step 3: Exchange is prepared.
    PrepareExchange,
    /// Step 4: domains are exported and imported.
    Keys,
    /// Step 5: the service is activated.
    Activate,
    /// Step 6: templates are configured.
    Templates,
    /// Step 7: clients are reconfigured.
    Clients,
    /// Step 8: Exchange Online.
    ExchangeOnline,
    /// Step 9: the connector and its servers.
    Servers,
    /// Step 10: AD RMS is decommissioned.
    Decommission,
    /// Step 11: the clients' migration is completed.
    Complete,
    /// Step 12: a new key.
    Rekey,
    /// Afterwards.
    Operations,
}

impl Step {
    /// Its number since 2017 and in 2016, where it has one.
    #[must_use]
    pub fn numbers(self) -> (Option<u8>, Option<u8>) {
        match self {
            Self::Before | Self::Operations => (None, None),
            Self::Tools => (Some(1), Some(1)),
            Self::PrepareClients => (Some(2), None),
            Self::PrepareExchange => (Some(3), None),
            Self::Keys => (Some(4), Some(2)),
            Self::Activate => (Some(5), Some(3)),
            Self::Templates => (Some(6), Some(4)),
            Self::Clients => (Some(7), Some(5)),
            Self::ExchangeOnline => (Some(8), Some(6)),
            Self::Servers => (Some(9), Some(7)),
            Self::Decommission => (Some(10), Some(8)),
            Self::Complete => (Some(11), Some(5)),
            Self::Rekey => (Some(12), Some(9)),
        }
    }

    /// What happens in it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Before => "before the first step",
            Self::Tools => "get the module and the tenant's URL",
            Self::PrepareClients => "prepare clients",
            Self::PrepareExchange => "prepare Exchange",
            Self::Keys => "export and import the keys",
            Self::Activate => "activate the service",
            Self::Templates => "configure templates",
            Self::Clients => "reconfigure clients",
            Self::ExchangeOnline => "Exchange Online",
            Self::Servers => "connector, Exchange, SharePoint and file servers",
            Self::Decommission => "decommission AD RMS",
            Self::Complete => "complete the clients",
            Self::Rekey => "make a new key",
            Self::Operations => "afterwards",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.numbers() {
            (Some(number), Some(in_2016)) if number != in_2016 => write!(f, "step {number} ({in_2016} in 2016): {}", self.title()),
            (Some(number), _) => write!(f, "step {number}: {}", self.title()),
            (None, _) => f.write_str(self.title()),
        }
    }
}

/// How a rule is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// By an entry of [`RULES`].
    Decided,
    /// By other code.
    Elsewhere {
        /// The file, from the root of the source tree.
        file: &'static str,
        /// The function or type there.
        item: &'static str,
        /// A test that shows it.
        test: &'static str,
    },
    /// By nobody: no program that reads a file and opens stores can decide it, or nothing depends on it.
    Outside {
        /// Why.
        reason: &'static str,
    },
}

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub number: u16,
    /// Its kind.
    pub kind: Kind,
    /// The step it belongs to.
    pub step: Step,
    /// Where it is documented, by the tags of `docs/rules.md`.
    pub sources: &'static str,
    /// What it says, in a few words.
    pub subject: &'static str,
    /// How it is kept.
    pub handling: Handling,
}

/// All rules.
#[must_use]
pub fn all() -> &'static [Entry] {
    rows::ROWS
}

/// The rule with this number.
#[must_use]
pub fn entry(number: u16) -> Option<&'static Entry> {
    rows::ROWS.iter().find(|entry| entry.number == number)
}

const HEAD: &str = "# The rules\n\n\
The documented migration from AD RMS to Azure Rights Management, as numbered rules: all of them, and what keykit does about each. A refusal\n\
names its rule and ends with exit code 4. `keykit plan migration.toml --check-only` holds a migration against the rules that a program can\n\
decide; the commands that move keys refuse by the same code.\n\n\
Kinds: CHK a precondition, ENF a hard rule, WRN something to warn of, GEN something to make for another system, SIM a behaviour of the\n\
service, INF something to know. A precondition that is not met refuses like a hard rule. The exceptions: rules 5 and 90 (a networked\n\
computer) are advice and warn; rule 47 warns, because the old form is read all the same; rule 141 warns of names and refuses them only\n\
for templates that are to be published; rules 26 and 70 were never forbidden by the documents, and one warns, the other refuses.\n\n\
Sources, all public. Microsoft's documentation of the service, in the repository MicrosoftDocs/Azure-RMSDocs: A May 2016, A2 September 2016,\n\
B December 2017, B2 December 2018, C December 2020, H January 2026. P its cmdlets (Azure/azure-docs-powershell-aip). KV Azure Key Vault\n\
(MicrosoftDocs/azure-docs). W cmdlets of AD RMS (MicrosoftDocs/windows-powershell-docs). S articles of Microsoft's support (KB 4023955,\n\
KB 3172063). MS other pages of Microsoft. I issues in these repositories.\n\n\
Code is named by file and item; each row's test is named and exists. This page is made from\n\
`keykit/src/migration/rules/catalogue/rows.rs`; `KEYKIT_WRITE_DOCS=1 cargo test -p keykit written_from_the_rules` writes it anew.\n\n";

/// The text of `docs/rules.md`.
#[must_use]
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    let count = |wanted: fn(&Handling) -> bool| all().iter().filter(|entry| wanted(&entry.handling)).count();
    text.push_str(&format!(
        "{} rules: {} are decided by a rule of their own, {} are kept by other code, {} can't be decided by a program or need not be.\n\n",
        all().len(),
        count(|handling| matches!(handling, Handling::Decided)),
        count(|handling| matches!(handling, Handling::Elsewhere { .. })),
        count(|handling| matches!(handling, Handling::Outside { .. })),
    ));
    text.push_str("| rule | kind | step | sources | what it says | code | test |\n|---|---|---|---|---|---|---|\n");
    for entry in all() {
        let (code, test) = match entry.handling {
            Handling::Decided => {
                let code = RULES.iter().find(|rule| rule.number == entry.number).map_or("", |rule| rule.code);
                (format!("`rules::{code}`"), format!("`{}`", test_of(entry.number)))
            }
            Handling::Elsewhere { file, item, test } => (format!("`{file}`: `{item}`"), format!("`{test}`")),
            Handling::Outside { reason } => (format!("— {reason}"), String::new()),
        };
        let step = entry.step.numbers().0.map_or("—".to_owned(), |number| number.to_string());
        text.push_str(&format!("| {} | {} | {step} | {} | {} | {code} | {test} |\n", entry.number, entry.kind.code(), entry.sources, entry.subject));
    }
    text
}

/// The name of the test of a rule that has an entry in [`RULES`].
pub(super) fn test_of(number: u16) -> String {
    format!("rule_{number}")
}
