//! A key that the customer keeps in a provider's vault: subscription, regions, permissions, key encryption key.

use super::facts::Facts;
use super::{Report, stated};
use crate::migration::file::{KeyOperation, Placed, Position, Region, Vault, VaultTier};
use crate::tenant::Managed;

fn of_customer<'f>(facts: &Facts<'f>) -> Option<&'f Vault> {
    facts.file.tenant.vault.as_ref()
}

fn word_list(operations: &[KeyOperation]) -> String {
    let words: Vec<&str> = operations.iter().map(|operation| operation.word()).collect();
    words.join(", ")
}

/// The operations that a list lacks.
fn lacking(present: &[Placed<KeyOperation>], needed: &[KeyOperation]) -> Vec<KeyOperation> {
    needed.iter().copied().filter(|needed| !present.iter().any(|operation| operation.value == *needed)).collect()
}

fn first(operations: &[Placed<KeyOperation>]) -> Position {
    operations.first().map(|operation| operation.at).unwrap_or_default()
}

/// Rule 21.
pub(super) fn subscription(facts: &Facts<'_>, report: &mut Report<'_>) {
    let tenant = &facts.file.tenant;
    if tenant.managed.value != Managed::Customer {
        return;
    }
    if let Some(at) = stated(tenant.individuals_subscription.as_ref(), true) {
        report.refuse(
            at,
            "the subscription for individuals has no customer-managed keys",
            "take a subscription of the organisation, or let the service keep the key",
        );
    }
    let Some(vault) = of_customer(facts) else { return };
    if vault.tier.value != VaultTier::Premium {
        report.refuse(vault.tier.at, "a vault of the tier standard keeps no key in hardware", "make a vault of the tier premium");
    }
    if let Some(at) = stated(vault.paid_subscription.as_ref(), false) {
        report.refuse(at, "the free access to the directory is no Azure subscription: it has no vaults", "take a paid Azure subscription");
    }
}

/// Rule 36. A key that was packed for one region is not taken in another.
pub(super) fn regions(facts: &Facts<'_>, report: &mut Report<'_>) {
    let tenant = &facts.file.tenant;
    let of_vault = tenant.vault.as_ref().and_then(|vault| vault.region.as_ref());
    for (what, region) in [("the key encryption key was made for", tenant.key_encryption_key_region.as_ref()), ("the vault is in", of_vault)] {
        if let Some(region) = region
            && region.value != tenant.region.value
        {
            report.refuse(
                region.at,
                format!("{what} the region {}, and the tenant is in {}", region.value, tenant.region.value),
                "use a key encryption key and a vault of the tenant's region: a key that is packed for one region can't be used in another",
            );
        }
    }
}

/// Rule 69. If one domain's key is in the vault, all are.
pub(super) fn one_key_for_each_domain(facts: &Facts<'_>, report: &mut Report<'_>) {
    if !facts.file.domains().any(|placed| placed.domain.key_url.is_some()) {
        return;
    }
    for placed in facts.file.domains().filter(|placed| placed.domain.key_url.is_none()) {
        report.refuse(
            placed.domain.file.at,
            format!("'{}' has no `key-url`, and other domains have one", placed.domain.file.value),
            "transfer the key of every exported domain to the vault, and name the URL of each",
        );
    }
}

/// Rule 106.
pub(super) fn key_encryption_key(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(vault) = of_customer(facts) else { return };
    let operations = &vault.key_encryption_key_operations;
    if let Some(other) = operations.iter().find(|operation| operation.value != KeyOperation::Import) {
        report.refuse(
            other.at,
            format!("the key encryption key may be used to {}; a key to import under may do nothing else", other.value),
            "make one with the operation `import` only: `az keyvault key create --kty RSA-HSM --ops import`",
        );
    }
    if let Some(bits) = &vault.key_encryption_key_bits
        && !matches!(bits.value, 2048 | 3072 | 4096)
    {
        report.refuse(bits.at, format!("a key encryption key of {} bits", bits.value), "make one of 2048, 3072 or 4096 bits");
    }
}

/// Rule 107.
pub(super) fn version_in_the_url(facts: &Facts<'_>, report: &mut Report<'_>) {
    for placed in facts.file.domains() {
        if let Some(url) = &placed.domain.key_url
            && url.version().is_none()
        {
            report.refuse(
                url.at,
                format!("the URL '{}' names no version of the key", url.value),
                "add the version: without it the service stops working for the tenant when the key is renewed",
            );
        }
    }
}

/// Rule 108.
pub(super) fn permissions(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(vault) = of_customer(facts) else { return };
    if vault.permissions.is_empty() {
        return report.ask(vault.at, "what may the service's principal do with the keys? (`permissions`)");
    }
    let missing = lacking(&vault.permissions, &[KeyOperation::Get, KeyOperation::Decrypt, KeyOperation::Sign]);
    if !missing.is_empty() {
        report.refuse(
            first(&vault.permissions),
            format!("the service's principal lacks the permission to {}", word_list(&missing)),
            "grant get, decrypt and sign to 00000012-0000-0000-c000-000000000000",
        );
    }
}

/// Rule 109.
pub(super) fn key_operations(facts: &Facts<'_>, report: &mut Report<'_>) {
    use KeyOperation::{Decrypt, Encrypt, Sign, UnwrapKey, Verify, WrapKey};
    let Some(vault) = of_customer(facts).filter(|vault| !vault.key_operations.is_empty()) else { return };
    let missing = lacking(&vault.key_operations, &[Encrypt, Decrypt, WrapKey, UnwrapKey, Sign, Verify]);
    if !missing.is_empty() {
        report.refuse(
            first(&vault.key_operations),
            format!("the keys do not allow to {}", word_list(&missing)),
            "allow all operations on the keys themselves",
        );
    }
}

/// Rule 110.
pub(super) fn firewall(facts: &Facts<'_>, report: &mut Report<'_>) {
    let at = of_customer(facts).and_then(|vault| stated(vault.blocks_trusted_services.as_ref(), true));
    if let Some(at) = at {
        report.refuse(at, "the vault's firewall keeps the service out", "let trusted Microsoft services pass the firewall");
    }
}

/// Rule 111.
pub(super) fn dedicated(facts: &Facts<'_>, report: &mut Report<'_>) {
    let at = of_customer(facts).and_then(|vault| stated(vault.dedicated.as_ref(), false));
    if let Some(at) = at {
        report.warn(at, "the vault holds other keys too, whose use slows this one down", "give these keys a vault and a subscription of their own");
    }
}

/// The regions that a region word of the nShield packages stands for, where that is certain.
pub(super) fn region_of_package(word: &str) -> Option<Region> {
    Some(match word {
        "NA-1" | "CANADA-1" => Region::NorthAmerica,
        "EU-1" | "GERMANY-1" | "FRANCE-1" | "UK-1" | "SUI-1" => Region::Europe,
        "AP-1" | "JPN-1" | "KOREA-1" | "AUS-1" | "INDIA-1" => Region::AsiaPacific,
        "LATAM-1" => Region::SouthAmerica,
        "USGOV-1" | "USDOD-1" => Region::GovernmentUs,
        _ => return None,
    })
}
