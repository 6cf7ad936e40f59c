//! `keykit tenant`: the keyring.

use std::path::Path;

use keykit::Result;
use keykit::tenant::{Era, KeyStatus, Managed, Recovery, TemplateStatus, TenantKeyring};
use keykit_hsm_backends::folder::FolderStore;
use serde::Serialize;

use crate::arguments::{EraArgument, TenantCommand};
use crate::output::{Output, say, table, warn};
use crate::{exit, secrets, stores};

#[derive(Debug, Serialize)]
struct Shown {
    tenant_id: String,
    era: Era,
    keys: Vec<ShownKey>,
    templates: Vec<ShownTemplate>,
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
}

#[derive(Debug, Serialize)]
struct ShownTemplate {
    id: String,
    name: String,
    status: TemplateStatus,
    signed_by: Option<String>,
    grants_anyone: bool,
}

/// Runs `keykit tenant …`.
pub(super) fn run(command: &TenantCommand, output: Output) -> Result<u8> {
    match command {
        TenantCommand::Init { tenant, era } => show(&TenantKeyring::init(tenant, (*era).into())?, output)?,
        TenantCommand::Show { tenant } => show(&open(tenant)?, output)?,
        TenantCommand::Activate { key, tenant } => {
            let mut keyring = open(tenant)?;
            let id = stores::id_by_start(keyring.keys().iter().map(|key| key.key_id), key)?;
            if keyring.key(&id).is_some_and(|key| key.mode == 1) {
                warn("this key has 1024 bits (mode 1): make it active in a migration from mode 1 only, and re-key to 2048 bits at the end (rule 33)");
            }
            if keyring.activate(&id)? {
                say(format!("{} is active now", id.short()));
            } else {
                say(format!("{} was active already; nothing changed", id.short()));
            }
            show(&keyring, output)?;
        }
        TenantCommand::Repassword { tenant, keyring, new_password_source } => {
            let tenant = open(tenant)?;
            let store = FolderStore::open(&tenant.key_folder(), &secrets::of_keyring(keyring)?, stores::scrypt_cost()?)?;
            store.change_password(&secrets::new_from(new_password_source, "new keyring password")?, stores::scrypt_cost()?)?;
            say("the keyring password is changed");
        }
    }
    Ok(exit::DONE)
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
    let shown = Shown {
        tenant_id: keyring.tenant_id().to_owned(),
        era: keyring.era(),
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
            })
            .collect(),
        templates: keyring
            .templates()
            .iter()
            .map(|template| ShownTemplate {
                id: template.id.clone(),
                name: template.name.clone(),
                status: template.status,
                signed_by: template.signed_by.map(String::from),
                grants_anyone: template.grants_anyone,
            })
            .collect(),
    };
    output.result("tenant", &shown, || text(&shown))
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
    let templates: Vec<Vec<String>> = shown
        .templates
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
        .collect();
    let mut text = format!("tenant {}", shown.tenant_id);
    text.push_str(&match keys.as_slice() {
        [] => "\n\nno keys yet".to_owned(),
        keys => format!("\n\n{}", table(&["KEY", "STATUS", "MODE", "MANAGED BY", "CREATED", "STORE"], keys)),
    });
    if !templates.is_empty() {
        text.push_str(&format!("\n\n{}", table(&["TEMPLATE", "NAME", "STATUS", "SIGNED BY", "GRANTS"], &templates)));
    }
    text
}

/// A state as a word, the same in text as in JSON.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
