//! The nShield toolset on the disconnected computer, and the names of keys there.

use super::facts::Facts;
use super::vault::region_of_package;
use super::{Report, stated};
use crate::artefact::legacy_toolset::KeyIdentifier;
use crate::error::Error;
use crate::migration::MigrationPath;
use crate::migration::file::{PlacedDomain, Region, Toolset, ToolsetProtection, Windows};
use crate::tenant::Era;

/// Least free space on the removable drive, in MiB.
const DRIVE_MIB: u32 = 16;

fn of<'f>(facts: &Facts<'f>) -> Option<&'f Toolset> {
    facts.file.toolset.as_ref()
}

/// The domains whose keys are imported into a module.
fn imported<'f>(facts: &Facts<'f>) -> impl Iterator<Item = PlacedDomain<'f>> {
    let managed = facts.file.tenant.managed.value;
    facts.file.domains().filter(move |placed| placed.cluster.path(managed) == Some(MigrationPath::SoftwareToHsm))
}

/// Rule 71.
pub(super) fn software_for_imports(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(version) = of(facts).and_then(|toolset| toolset.software_version.as_ref()) else { return };
    if imported(facts).next().is_some() && !version.is_at_least(&[11, 62]) {
        report.refuse(version.at, format!("nShield software {} can't import the key of an exported domain", version.value), "install 11.62 or later");
    }
}

/// Rule 72. What the importing tool of 2016 took.
pub(super) fn identifiers_of_2016(facts: &Facts<'_>, report: &mut Report<'_>) {
    if facts.file.era() != Era::Of2016 {
        return;
    }
    for placed in imported(facts) {
        if let Some(identifier) = &placed.domain.identifier
            && identifier.chars().any(|character| !character.is_ascii() || character.is_ascii_uppercase() || character.is_whitespace())
        {
            report.refuse(
                identifier.at,
                format!("the identifier '{}' has other than lower-case ASCII characters", identifier.value),
                "choose another",
            );
        }
    }
}

/// Rule 76.
pub(super) fn protection_of_imports(facts: &Facts<'_>, report: &mut Report<'_>) {
    if let Some(protect) = of(facts).and_then(|toolset| toolset.protect.as_ref())
        && protect.value != ToolsetProtection::Module
    {
        report.refuse(protect.at, format!("the key is to be imported with `protect={}`", protect.value), "import it with `protect=module`");
    }
}

/// Rule 77.
pub(super) fn identifiers(facts: &Facts<'_>, report: &mut Report<'_>) {
    for placed in facts.file.domains() {
        let Some(identifier) = &placed.domain.identifier else { continue };
        if let Err(Error::Malformed(malformed)) = identifier.parse::<KeyIdentifier>() {
            report.refuse(
                identifier.at,
                format!("the identifier {}", malformed.problem),
                "choose one of digits, hyphens and lower-case letters; the same text for ident and plainname is best",
            );
        }
    }
}

/// Rule 90.
pub(super) fn disconnected_computer(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(toolset) = of(facts) else { return };
    if let Some(system) = &toolset.operating_system
        && matches!(system.value, Windows::VistaOrOlder | Windows::Server2003 | Windows::Server2008X86 | Windows::Server2008 | Windows::ClientRt81)
    {
        report.refuse(system.at, format!("the disconnected computer runs {}", system.value), "use Windows 7 or later on x64");
    }
    let least: &[u32] = if facts.file.era() == Era::Of2016 { &[11, 62] } else { &[11, 50] };
    if let Some(version) = &toolset.software_version
        && !version.is_at_least(least)
    {
        report.refuse(version.at, format!("nShield software {} is too old for the toolset", version.value), "install a later one");
    }
    if let Some(space) = &toolset.drive_mib
        && space.value < DRIVE_MIB
    {
        report.refuse(space.at, format!("{} MiB are free on the removable drive", space.value), format!("use one with {DRIVE_MIB} MiB or more"));
    }
    if let Some(at) = stated(toolset.networked.as_ref(), true) {
        report.warn(at, "the computer with the module is on a network", "take it off; no program enforces that");
    }
}

/// Rule 95.
pub(super) fn card_quorum(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(toolset) = of(facts) else { return };
    if let (Some(cards), Some(needed)) = (&toolset.cards, &toolset.cards_needed)
        && (needed.value == 0 || needed.value > cards.value)
    {
        report.refuse(
            needed.at,
            format!("{} of {} administrator cards", needed.value, cards.value),
            "demand at least one card and at most all: for example 2 of 3",
        );
    }
}

/// Rule 96.
pub(super) fn known_bad_versions(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(toolset) = of(facts).filter(|_| facts.file.era() == Era::Current) else { return };
    if let Some(version) = &toolset.software_version
        && version.is_at_least(&[12, 50])
        && !version.is_at_least(&[12, 51])
    {
        report.warn(version.at, "`new-world` of nShield software 12.50 does not fit the toolset", "use 12.40.2, or get the hotfix");
    }
    if let Some(version) = &toolset.firmware_version
        && !version.is_at_least(&[12, 40, 2])
    {
        report.warn(version.at, format!("firmware {} is older than the toolset expects", version.value), "use 12.40.2 or later");
    }
}

/// Rule 97.
pub(super) fn backup_and_holders(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(toolset) = of(facts) else { return };
    if let (Some(cards), Some(holders)) = (&toolset.cards, &toolset.card_holders)
        && holders.value < cards.value
    {
        report.warn(
            holders.at,
            format!("{} people hold {} administrator cards: somebody has more than one", holders.value, cards.value),
            "give every card to another person",
        );
    }
    if let Some(at) = stated(toolset.backed_up.as_ref(), false) {
        report.warn(at, "world file and cards are not backed up", "back up the world file, the cards and their PINs");
    }
}

/// Rule 98.
pub(super) fn package_verification(facts: &Facts<'_>, report: &mut Report<'_>) {
    if let Some(at) = of(facts).and_then(|toolset| stated(toolset.package_verified.as_ref(), false)) {
        report.refuse(
            at,
            "the key exchange package is not verified: it could be anybody's",
            "run `verifykeypackage.py` on the module, and compare the root key's hash with the published one",
        );
    }
}

/// Rule 103.
pub(super) fn region_of_the_packages(facts: &Facts<'_>, report: &mut Report<'_>) {
    let region: Region = facts.file.tenant.region.value;
    if let Some(package) = of(facts).and_then(|toolset| toolset.package_region.as_ref())
        && region_of_package(package.value.word()).is_some_and(|of_package| of_package != region)
    {
        report.refuse(
            package.at,
            format!("the packages are of {}, and the tenant is in {region}", package.value),
            "take both packages of the tenant's region",
        );
    }
}

/// Rule 222.
pub(super) fn backup_of_the_key(facts: &Facts<'_>, report: &mut Report<'_>) {
    if let Some(at) = of(facts).and_then(|toolset| stated(toolset.backed_up.as_ref(), false)) {
        report.refuse(
            at,
            "there is no backup of the key: what the provider holds is none",
            "keep the tokenized key file, the world file and the administrator cards; copies apart from each other",
        );
    }
}
