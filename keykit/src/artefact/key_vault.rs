//! The key vault of a customer-managed key: what the service may do in it (rules 21, 106–111, 116, 218, 221).

use super::dialect::Dialect;
use super::markdown::code;
use super::power_shell::CommandLine;
use super::run_book::{Place, RunBook, Step};
use super::{Artefact, Stage};
use crate::error::Result;
use crate::migration::file::{MigrationFile, TransferProfile, Vault};

const ONLINE: Place = Place::ConnectedWorkstation;
/// The rights management service (rule 108).
const SERVICE_PRINCIPAL: &str = "00000012-0000-0000-c000-000000000000";
/// What the service must be able to do: no less, and no more (rule 108).
const PERMISSIONS: &str = "decrypt,sign,get";
/// What the keys themselves must allow (rule 109).
const OPERATIONS: &str = "encrypt, decrypt, wrapKey, unwrapKey, sign, verify";

/// Run books for the vault; none without one.
pub(super) fn artefacts(file: &MigrationFile) -> Result<Vec<Artefact>> {
    let Some(vault) = &file.tenant.vault else { return Ok(Vec::new()) };
    let is_module = file.tenant.transfer_profile.as_ref().is_some_and(|profile| profile.value == TransferProfile::AzureManagedHsm);
    let (forth, back) = if is_module { (role(file, vault)?, no_role(file, vault)?) } else { (policy(file, vault)?, no_policy(file, vault)?) };
    Ok(vec![
        Artefact::run_book(Stage::Keys, "key-vault/access-policy.md", "the service may use the keys; before the import", &forth),
        Artefact::run_book(
            Stage::Keys,
            "key-vault/rollback-access-policy.md",
            "the service may not use the keys any more: nobody opens their content",
            &back,
        )
        .undoing(),
    ])
}

/// Azure's cmdlets: `Az` now, `AzureRm` in 2016.
fn line(file: &MigrationFile, pattern: &str, values: &[&str]) -> Result<CommandLine> {
    let pattern = if Dialect::of(file).is_of_2016() {
        pattern.replace("-AzKeyVaultKey", "-AzureKeyVaultKey").replace("-Az", "-AzureRm").replace("-AzureRmure", "-Azure")
    } else {
        pattern.to_owned()
    };
    CommandLine::filled(&pattern, values)
}

fn connect(file: &MigrationFile, vault: &Vault, title: &str) -> Result<Step> {
    let tenant = file.tenant.id.to_string();
    let step = Step::new(ONLINE, title);
    let tenant_option = if Dialect::of(file).is_of_2016() { "-TenantId" } else { "-Tenant" };
    match &vault.subscription {
        Some(subscription) => {
            let subscription = subscription.to_string();
            let option = if Dialect::of(file).is_of_2016() { "-SubscriptionId" } else { "-Subscription" };
            Ok(step
                .run(line(file, &format!("Connect-AzAccount {tenant_option} {{}} {option} {{}}"), &[&tenant, &subscription])?)
                .expect(format!("the subscription {}", code(&subscription))))
        }
        None => Ok(step
            .run(line(file, &format!("Connect-AzAccount {tenant_option} {{}}"), &[&tenant])?)
            .run(line(file, "Get-AzSubscription", &[])?)
            .expect("the subscription of the vault, `Enabled`; the free one for the directory is not enough")),
    }
}

/// The vault's name and group as the parameters of a cmdlet.
fn place(vault: &Vault) -> (&'static str, Vec<&str>) {
    match &vault.resource_group {
        Some(group) => ("-VaultName {} -ResourceGroupName {}", vec![&vault.name, group]),
        None => ("-VaultName {}", vec![&vault.name]),
    }
}

fn policy(file: &MigrationFile, vault: &Vault) -> Result<RunBook> {
    let (place, mut values) = place(vault);
    let look = connect(file, vault, "Look at the vault")?
        .run(line(file, &format!("$vault = Get-AzKeyVault {place}"), &values)?)
        .run(line(file, "$vault | Format-List VaultName, Sku, Location, EnableRbacAuthorization", &[])?)
        .expect("`Premium`, and `EnableRbacAuthorization` not `True`: a vault under role-based access has no access policies")
        .otherwise("keys in hardware need the tier Premium; create a vault of its own for these keys, which nothing else uses")
        .rules(&[21, 110, 111]);
    let principal = SERVICE_PRINCIPAL;
    values.push(principal);
    let allow = Step::new(ONLINE, "Let the rights management service use the keys")
        .say("Decrypt, Sign and Get are enough. Older documents give more; nothing needs it.")
        .run(line(file, &format!("Set-AzKeyVaultAccessPolicy {place} -ServicePrincipalName {{}} -PermissionsToKeys {PERMISSIONS}"), &values)?)
        .run(line(file, &format!("(Get-AzKeyVault {}).AccessPolicies", self::place(vault).0), &self::place(vault).1)?)
        .expect("a policy of Microsoft Rights Management Services with decrypt, sign and get for keys")
        .rules(&[108]);
    let mut book = RunBook::new("Run book: the service may use the keys").step(look).step(allow);
    if !Dialect::of(file).is_of_2016() {
        let firewall = Step::new(ONLINE, "Let the service through the vault's firewall")
            .say("Only if the vault has one: `$vault.NetworkAcls.DefaultAction` is `Deny`.")
            .run(line(file, &format!("Update-AzKeyVaultNetworkRuleSet {} -Bypass AzureServices", self::place(vault).0), &self::place(vault).1)?)
            .expect("`AzureServices` under `Bypass`")
            .rules(&[110]);
        book = book.step(firewall);
    }
    let mut check = Step::new(ONLINE, "Look at the keys")
        .say("When the keys are in the vault. Each key has a URL with a version: without one the service stops when the key is renewed (rule 107).");
    for placed in file.domains() {
        if let Some(name) = placed.domain.key_url.as_ref().and_then(|url| url.as_str().split('/').nth(4)) {
            check = check.run(line(file, "(Get-AzKeyVaultKey -VaultName {} -Name {}).Attributes.KeyOps", &[&vault.name, name])?);
        }
    }
    Ok(book.step(check.expect(format!("the operations {OPERATIONS}")).rules(&[107, 109])))
}

fn no_policy(file: &MigrationFile, vault: &Vault) -> Result<RunBook> {
    let (place, mut values) = place(vault);
    values.push(SERVICE_PRINCIPAL);
    let step = connect(file, vault, "Take the service's access away")?
        .run(line(file, &format!("Remove-AzKeyVaultAccessPolicy {place} -ServicePrincipalName {{}}"), &values)?)
        .run(line(file, &format!("(Get-AzKeyVault {}).AccessPolicies", self::place(vault).0), &self::place(vault).1)?)
        .expect("no policy of Microsoft Rights Management Services")
        .rules(&[108, 221]);
    Ok(revoking("Run book: the service may not use the keys any more").step(step))
}

fn revoking(title: &str) -> RunBook {
    RunBook::new(title).note("This is a revocation (rule 221): all content of these keys becomes inaccessible to everybody, super users too, until access is given again. Before the import nothing is lost by it.")
}

/// The name of a key in a managed HSM, as its URLs have it.
fn scopes(file: &MigrationFile) -> Vec<String> {
    file.domains()
        .filter_map(|placed| placed.domain.key_url.as_ref())
        .filter_map(|url| url.as_str().split('/').nth(4))
        .map(|name| format!("/keys/{name}"))
        .collect()
}

fn az(vault: &Vault, verb: &'static str, scope: &str) -> Result<CommandLine> {
    let word = super::power_shell::Word::new;
    let words = [
        word("--hsm-name")?,
        word(&vault.name)?,
        word("--role")?,
        word("Managed HSM Crypto User")?,
        word("--assignee")?,
        word(SERVICE_PRINCIPAL)?,
        word("--scope")?,
        word(scope)?,
    ];
    Ok(CommandLine::starting(verb, &words))
}

fn role(file: &MigrationFile, vault: &Vault) -> Result<RunBook> {
    let mut step = Step::new(ONLINE, "Give the service its role on the keys")
        .say("With the Azure CLI. At the time of the documents a managed HSM was a preview, not for production.");
    for scope in scopes(file) {
        step = step.run(az(vault, "az keyvault role assignment create", &scope)?);
    }
    Ok(RunBook::new("Run book: the service may use the keys").step(step.expect("one assignment for each key").rules(&[108, 116])))
}

fn no_role(file: &MigrationFile, vault: &Vault) -> Result<RunBook> {
    let mut step = Step::new(ONLINE, "Take the role away");
    for scope in scopes(file) {
        step = step.run(az(vault, "az keyvault role assignment delete", &scope)?);
    }
    Ok(revoking("Run book: the service may not use the keys any more").step(step.rules(&[108, 116, 221])))
}

/// Makes a new key in the vault; `$key` is it afterwards.
pub(super) fn new_key(file: &MigrationFile, bits: Option<u32>) -> Result<Step> {
    let bits = bits.unwrap_or(2048);
    let name = "$name = Read-Host -Prompt {}";
    let step =
        match &file.tenant.vault {
            Some(vault) => connect(file, vault, "Make the new key in the vault")?
                .run(CommandLine::filled(name, &["Name of the new key"])?)
                .run(line(file, &format!("$key = Add-AzKeyVaultKey -VaultName {{}} -Name $name -Destination HSM -Size {bits}"), &[&vault.name])?),
            None => Step::new(ONLINE, "Make the new key in the vault")
                .run(CommandLine::filled(name, &["Name of the new key"])?)
                .run(CommandLine::filled("$vaultName = Read-Host -Prompt {}", &["Name of the vault"])?)
                .run(line(file, &format!("$key = Add-AzKeyVaultKey -VaultName $vaultName -Name $name -Destination HSM -Size {bits}"), &[])?),
        };
    Ok(step
        .say("Or bring a key that was made elsewhere: `keykit byok`. Name its URL as `key-url` in [rekey], and make these files anew.")
        .run(CommandLine::filled("$key.Key.Kid", &[])?)
        .expect("the URL of the key, with its version")
        .rules(&[32, 107, 216, 218]))
}
