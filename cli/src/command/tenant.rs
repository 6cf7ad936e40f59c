//! `keykit tenant`: the keyring.

mod activation;
mod export;
mod template;

use std::path::Path;

use keykit::ceremony::ApprovalPolicy;
use keykit::migration::file::MigrationFile;
use keykit::migration::plan;
use keykit::tenant::{Era, KeyStatus, Managed, Recovery, TemplateStatus, TenantKeyring, TenantTemplate};
use keykit::{Error, Result};
use keykit_hsm_backends::folder::FolderStore;
use serde::Serialize;

use crate::arguments::{EraArgument, TenantCommand};
use crate::output::{Output, table, warn};
use crate::progress::Steps;
use crate::{exit, secrets, stores};

#[derive(Debug, Serialize)]
struct Shown {
    tenant_id: String,
    era: Era,
    /// Where a rollback would go.
    previous_active: Option<String>,
    /// Who must approve plans that change this tenant.
    custodians: Option<Custodians>,
    keys: Vec<ShownKey>,
    templates: Vec<ShownTemplate>,
}

#[derive(Debug, Serialize)]
struct Custodians {
    threshold: u32,
    danger_threshold: u32,
    people: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ShownKey {
    key_id: String,
    status: KeyStatus,
    mode: u8,
    modulus_bits: usize,
    managed: Managed,
    created: String,
    store: String,
    label: String,
    transferable: bool,
    licensor_id: String,
    licensor_name: String,
    /// Whether it is the tenant's own first key (rule 122).
    default: bool,
}

#[derive(Debug, Clone, Serialize)]
struct ShownTemplate {
    id: String,
    name: String,
    status: TemplateStatus,
    signed_by: Option<String>,
    grants_anyone: bool,
}

/// What `keykit tenant repassword` says.
#[derive(Debug, Serialize)]
struct Repassworded {
    changed: bool,
}

/// Runs `keykit tenant …`.
pub(super) fn run(command: &TenantCommand, output: Output) -> Result<u8> {
    match command {
        TenantCommand::Init { tenant, era, custodians } => {
            let policy = custodians.as_deref().map(policy_of).transpose()?;
            let mut keyring = TenantKeyring::init(tenant, (*era).into())?;
            if let Some(policy) = policy {
                fix_custodians(&mut keyring, &policy)?;
            }
            show(&keyring, output)?;
        }
        TenantCommand::Show { tenant } => show(&open(tenant)?, output)?,
        TenantCommand::Activate { key, arguments } => activation::activate(key, arguments, output)?,
        TenantCommand::Rollback(arguments) => activation::rollback(arguments, output)?,
        TenantCommand::Rekey(arguments) => activation::rekey(arguments, output)?,
        TenantCommand::Template(command) => template::run(command, output)?,
        TenantCommand::Export(arguments) => export::run(arguments, output)?,
        TenantCommand::Repassword { tenant, keyring, new_password_source } => {
            let tenant = open(tenant)?;
            let steps = Steps::begin(2, "opening the keys under the old password");
            let store = FolderStore::open(&tenant.key_folder(), &secrets::of_keyring(keyring)?, stores::scrypt_cost()?)?;
            let new = secrets::new_from(new_password_source, "new keyring password")?;
            steps.step(2, 2, "writing every key under the new password");
            store.change_password(&new, stores::scrypt_cost()?)?;
            drop(steps);
            output.result("tenant-repassword", &Repassworded { changed: true }, || "the keyring password is changed".into())?;
        }
    }
    Ok(exit::DONE)
}

/// The people of a migration file.
fn policy_of(file: &Path) -> Result<ApprovalPolicy> {
    plan::approval_policy(&MigrationFile::read(file)?)?.ok_or_else(|| Error::Usage {
        what: format!("{} has no [approval] table", file.display()),
        hint: Some("name the people there, as for a plan".into()),
    })
}

/// Fixes the people of a tenant that has none. Others take their place only by a plan that both approve.
fn fix_custodians(keyring: &mut TenantKeyring, policy: &ApprovalPolicy) -> Result<()> {
    match keyring.custodians() {
        Some(fixed) if fixed != policy => Err(Error::Conflict {
            what: "other people guard this tenant already".into(),
            hint: Some("make a plan with the new people, and have the quorum of both approve it".into()),
        }),
        _ => keyring.fix_custodians(policy).map(drop),
    }
}

impl From<EraArgument> for Era {
    fn from(argument: EraArgument) -> Self {
        match argument {
            EraArgument::Of2016 => Self::Of2016,
            EraArgument::Current => Self::Current,
        }
    }
}

/// Opens a tenant, and says what an interrupted run had left.
pub(super) fn open(folder: &Path) -> Result<TenantKeyring> {
    let keyring = TenantKeyring::open(folder)?;
    match keyring.recovery() {
        Some(Recovery::Completed(what)) => warn(format!("an earlier run was interrupted during '{what}': it had taken effect, and is settled now")),
        Some(Recovery::RolledBack(what)) => {
            warn(format!("an earlier run was interrupted during '{what}': it had not taken effect; run that command again"));
        }
        None => {}
    }
    Ok(keyring)
}

fn show(keyring: &TenantKeyring, output: Output) -> Result<()> {
    let shown = Shown::of(keyring);
    output.result("tenant", &shown, || text(&shown))
}

impl Shown {
    fn of(keyring: &TenantKeyring) -> Self {
        let default = keyring.default_key().map(|key| key.key_id);
        Self {
            tenant_id: keyring.tenant_id().to_owned(),
            era: keyring.era(),
            previous_active: keyring.rollback_target().ok().map(String::from),
            custodians: keyring.custodians().map(|policy| Custodians {
                threshold: policy.threshold,
                danger_threshold: policy.danger_threshold,
                people: policy.people.iter().map(|person| format!("{} ({})", person.name, person.role)).collect(),
            }),
            keys: keyring
                .keys()
                .iter()
                .map(|key| ShownKey {
                    key_id: key.key_id.to_string(),
                    status: key.status,
                    mode: key.mode,
                    modulus_bits: key.modulus_bits,
                    managed: key.managed,
                    created: key.created.clone(),
                    store: key.store.clone(),
                    label: key.label.clone(),
                    transferable: key.transferable,
                    licensor_id: key.licensor_id.clone(),
                    licensor_name: key.licensor_name.clone(),
                    default: default == Some(key.key_id),
                })
                .collect(),
            templates: keyring.templates().iter().map(ShownTemplate::of).collect(),
        }
    }
}

impl ShownTemplate {
    fn of(template: &TenantTemplate) -> Self {
        Self {
            id: template.id.clone(),
            name: template.name.clone(),
            status: template.status,
            signed_by: template.signed_by.map(String::from),
            grants_anyone: template.grants_anyone,
        }
    }
}

/// Says what the operator must know.
fn tell(warnings: &[(u16, String)]) {
    for (rule, message) in warnings {
        warn(format!("{message} (rule {rule})"));
    }
}

/// A warning, as it is printed.
#[derive(Debug, Serialize)]
struct ShownWarning {
    rule: u16,
    message: String,
}

fn shown_warnings(warnings: &[(u16, String)]) -> Vec<ShownWarning> {
    warnings.iter().map(|(rule, message)| ShownWarning { rule: *rule, message: message.clone() }).collect()
}

fn text(shown: &Shown) -> String {
    let keys: Vec<Vec<String>> = shown
        .keys
        .iter()
        .map(|key| {
            let transferable = if key.transferable { " (wrappable)" } else { "" };
            vec![
                key.key_id.chars().take(16).collect(),
                word(&key.status),
                format!("mode {}, {} bits", key.mode, key.modulus_bits),
                word(&key.managed),
                key.created.clone(),
                format!("{}{transferable}", key.store),
            ]
        })
        .collect();
    let templates = template_rows(&shown.templates);
    let mut text = format!("tenant {}", shown.tenant_id);
    text.push_str(&match keys.as_slice() {
        [] => "\n\nno keys yet".to_owned(),
        keys => format!("\n\n{}", table(&["KEY", "STATUS", "MODE", "MANAGED BY", "CREATED", "STORE"], keys)),
    });
    if !templates.is_empty() {
        text.push_str(&format!("\n\n{}", table(TEMPLATE_HEADING, &templates)));
    }
    text
}

const TEMPLATE_HEADING: &[&str] = &["TEMPLATE", "NAME", "STATUS", "SIGNED BY", "GRANTS"];

fn template_rows(templates: &[ShownTemplate]) -> Vec<Vec<String>> {
    templates
        .iter()
        .map(|template| {
            vec![
                template.id.clone(),
                template.name.clone(),
                word(&template.status),
                template.signed_by.as_deref().map(|id| id.chars().take(16).collect()).unwrap_or_default(),
                if template.grants_anyone { "ANYONE".to_owned() } else { String::new() },
            ]
        })
        .collect()
}

/// A state as a word, the same in text as in JSON.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
