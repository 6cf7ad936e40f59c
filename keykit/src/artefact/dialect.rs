//! The names of the service's cmdlets: those of the module AIPService, and those of AADRM in 2016.

use super::power_shell::CommandLine;
use crate::error::Result;
use crate::migration::file::MigrationFile;
use crate::tenant::Era;

/// Which names are written. Patterns have the present ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    era: Era,
}

impl Dialect {
    pub(super) fn of(file: &MigrationFile) -> Self {
        Self { era: file.era() }
    }

    /// Whether the names and rules of 2016 hold.
    pub(super) fn is_of_2016(self) -> bool {
        self.era == Era::Of2016
    }

    /// The module's name.
    pub(super) fn module(self) -> &'static str {
        if self.is_of_2016() { "AADRM" } else { "AIPService" }
    }

    /// A cmdlet or pattern with the names of the era. Until 2020 `AipService` was `Aadrm`, but for the two that connect.
    pub(super) fn name(self, pattern: &str) -> String {
        if !self.is_of_2016() {
            return pattern.to_owned();
        }
        pattern.replace("onnect-AipService", "onnect-AadrmService").replace("AipService", "Aadrm")
    }

    /// A command line, by a pattern with the present names: see [`CommandLine::filled`].
    pub(super) fn line(self, pattern: &'static str, values: &[&str]) -> Result<CommandLine> {
        CommandLine::filled(&self.name(pattern), values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_2016_are_those_of_its_module() {
        let old = Dialect { era: Era::Of2016 };
        for (now, then) in [
            ("Connect-AipService", "Connect-AadrmService"),
            ("Disconnect-AipService", "Disconnect-AadrmService"),
            ("Enable-AipService", "Enable-Aadrm"),
            ("Get-AipServiceConfiguration", "Get-AadrmConfiguration"),
            ("Import-AipServiceTpd", "Import-AadrmTpd"),
            ("Set-AipServiceOnboardingControlPolicy", "Set-AadrmOnboardingControlPolicy"),
        ] {
            assert_eq!((old.name(now).as_str(), Dialect { era: Era::Current }.name(now).as_str()), (then, now));
        }
        // Values are left alone.
        assert_eq!(
            old.line("Get-AipServiceTemplate -TemplateId {}", &["AipService"]).unwrap().as_str(),
            "Get-AadrmTemplate -TemplateId 'AipService'"
        );
    }
}
