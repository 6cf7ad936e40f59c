//! Run books: what people do, step by step, what they must see, and what to do otherwise.

use serde::Serialize;

use super::markdown;
use super::power_shell::CommandLine;

/// A run book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunBook {
    /// What it is for.
    pub title: String,
    /// What to know before the first step.
    pub notes: Vec<String>,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// Where a step is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The server that runs AD RMS.
    Server,
    /// A workstation that reaches the cloud, and never the HSM.
    ConnectedWorkstation,
    /// A workstation with the HSM, on no network.
    DisconnectedWorkstation,
    /// Every server that runs AD RMS.
    EveryServer,
    /// One Exchange server.
    Exchange,
    /// Every Exchange server.
    EveryExchange,
    /// Every SharePoint server.
    EverySharePoint,
    /// Every file server that protects classified files.
    EveryFileServer,
    /// A computer that runs the connector.
    Connector,
}

impl Place {
    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Server => "AD RMS server",
            Self::ConnectedWorkstation => "connected workstation",
            Self::DisconnectedWorkstation => "disconnected workstation",
            Self::EveryServer => "every AD RMS server",
            Self::Exchange => "one Exchange server, in the Exchange Management Shell",
            Self::EveryExchange => "every Exchange server",
            Self::EverySharePoint => "every SharePoint server",
            Self::EveryFileServer => "every file server",
            Self::Connector => "a computer of the connector",
        }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What is done.
    pub title: String,
    /// Where.
    pub place: Place,
    /// What to know or to do by hand first.
    pub instructions: Vec<String>,
    /// Command lines for PowerShell, in order.
    pub commands: Vec<CommandLine>,
    /// What must be seen. Without it the step has failed.
    pub expected: Vec<String>,
    /// What to do if something else is seen.
    pub otherwise: Vec<String>,
    /// The migration rules behind the step.
    pub rules: Vec<u16>,
}

impl Step {
    /// A step without commands.
    #[must_use]
    pub fn new(place: Place, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            place,
            instructions: Vec::new(),
            commands: Vec::new(),
            expected: Vec::new(),
            otherwise: Vec::new(),
            rules: Vec::new(),
        }
    }

    /// Adds something to do or to know.
    #[must_use]
    pub fn say(mut self, text: impl Into<String>) -> Self {
        self.instructions.push(text.into());
        self
    }

    /// Adds a command line.
    #[must_use]
    pub fn run(mut self, line: CommandLine) -> Self {
        self.commands.push(line);
        self
    }

    /// Adds something that must be seen.
    #[must_use]
    pub fn expect(mut self, text: impl Into<String>) -> Self {
        self.expected.push(text.into());
        self
    }

    /// Adds what to do if it is not.
    #[must_use]
    pub fn otherwise(mut self, text: impl Into<String>) -> Self {
        self.otherwise.push(text.into());
        self
    }

    /// Names the rules behind the step.
    #[must_use]
    pub fn rules(mut self, rules: &[u16]) -> Self {
        self.rules = rules.to_vec();
        self
    }
}

impl RunBook {
    /// A run book without notes and steps.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), notes: Vec::new(), steps: Vec::new() }
    }

    /// Adds something to know before the first step.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// Adds a step.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Every rule behind its steps, in order.
    #[must_use]
    pub fn rules(&self) -> Vec<u16> {
        let rules: std::collections::BTreeSet<u16> = self.steps.iter().flat_map(|step| step.rules.iter().copied()).collect();
        rules.into_iter().collect()
    }

    /// As Markdown (CommonMark), with room for time and initials at each step.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = format!("# {}\n\n", self.title);
        self.notes.iter().for_each(|note| text.push_str(&format!("- {note}\n")));
        text.push_str("\nCommand lines are for PowerShell. Stop at the first step whose result is not the expected one.\n");
        for (number, step) in self.steps.iter().enumerate() {
            text.push_str(&format!("\n## {}. {}\n\nWhere: {}.", number + 1, step.title, step.place.words()));
            if !step.rules.is_empty() {
                let rules: Vec<String> = step.rules.iter().map(ToString::to_string).collect();
                text.push_str(&format!(" Rules: {}.", rules.join(", ")));
            }
            text.push('\n');
            step.instructions.iter().for_each(|instruction| text.push_str(&format!("\n{instruction}\n")));
            if !step.commands.is_empty() {
                let lines: Vec<&str> = step.commands.iter().map(CommandLine::as_str).collect();
                text.push_str(&format!("\n{}", markdown::block("powershell", &lines)));
            }
            list(&mut text, "Expected", &step.expected);
            list(&mut text, "Otherwise", &step.otherwise);
            text.push_str("\nTime: ____________  Operator: ____________  Witness: ____________\n");
        }
        text
    }
}

fn list(text: &mut String, heading: &str, items: &[String]) {
    if !items.is_empty() {
        text.push_str(&format!("\n{heading}:\n\n"));
        items.iter().for_each(|item| text.push_str(&format!("- {item}\n")));
    }
}
