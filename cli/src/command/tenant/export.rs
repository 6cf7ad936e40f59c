//! `keykit tenant export`: the way out.

use std::path::PathBuf;

use keykit::durable::{self, Access, Existing};
use keykit::key::KeyId;
use keykit::store::KeyStore;
use keykit::tenant::{TenantKey, TenantKeyring};
use keykit::{Error, Result};
use keykit_hsm_backends::folder::FolderStore;
use serde::Serialize;

use crate::arguments::ExportArguments;
use crate::output::{Output, say, warn};
use crate::progress::Steps;
use crate::secrets;
use crate::stores::{self, OWN_FOLDER};

#[derive(Debug, Serialize)]
struct Exported {
    domains: Vec<ExportedDomain>,
}

#[derive(Debug, Serialize)]
struct ExportedDomain {
    key_id: KeyId,
    file: PathBuf,
    /// False for a key in a token.
    holds_key: bool,
    templates: usize,
}

/// Runs `keykit tenant export`.
pub(super) fn run(arguments: &ExportArguments, output: Output) -> Result<()> {
    let keyring = super::open(&arguments.tenant)?;
    let wanted = wanted(&keyring, arguments)?;
    for (_, file) in &wanted {
        if file.exists() {
            return Err(Error::Conflict {
                what: format!("{} exists already", file.display()),
                hint: Some("choose another name; keykit does not overwrite".into()),
            });
        }
    }
    let steps = Steps::begin(wanted.len() + 1, "opening the keys of the tenant");
    let in_software = wanted.iter().any(|(key, _)| key.store == OWN_FOLDER);
    let store = in_software
        .then(|| FolderStore::open(&keyring.key_folder(), &secrets::of_keyring(&arguments.keyring)?, stores::scrypt_cost()?))
        .transpose()?;
    let password = secrets::new_from(&arguments.password_source, "password of the new domain")?;
    let mut domains = Vec::new();
    let total = wanted.len() + 1;
    for (number, (key, file)) in wanted.into_iter().enumerate() {
        steps.step(number + 2, total, &format!("key {} into {}", key.key_id.short(), file.display()));
        let secret = match (&store, key.store == OWN_FOLDER) {
            (Some(store), true) => Some(store.as_export_plaintext()?.export_plaintext_danger(&key.key_id)?),
            _ => None,
        };
        let holds_key = secret.is_some();
        let domain = keyring.export_domain(&key.key_id, secret)?;
        if arguments.all {
            durable::make_folder(&arguments.output)?;
        }
        durable::write(&file, &domain.seal(&password)?, Access::OwnerOnly, Existing::Keep)?;
        if !holds_key {
            warn(format!(
                "{} is in a token and can't leave it: {} holds its certificates and templates only (rule 224)",
                key.key_id.short(),
                file.display()
            ));
        }
        domains.push(ExportedDomain { key_id: key.key_id, file, holds_key, templates: domain.templates.len() });
    }
    drop(steps);
    if domains.iter().any(|domain| domain.holds_key) {
        say(
            "the password is all that protects these keys: keep files and password apart, and stop using the tenant without delay if you leave it (rule 223)",
        );
    }
    let exported = Exported { domains };
    output.result("tenant-export", &exported, || {
        let lines = exported.domains.iter().map(|domain| {
            let key = if domain.holds_key { "with its key" } else { "without its key" };
            format!("{}: {} {key}, {} templates", domain.file.display(), domain.key_id.short(), domain.templates)
        });
        lines.collect::<Vec<_>>().join("\n")
    })
}

/// The keys with the files that they go to.
fn wanted<'k>(keyring: &'k TenantKeyring, arguments: &ExportArguments) -> Result<Vec<(&'k TenantKey, PathBuf)>> {
    if arguments.all {
        let file = |key: &TenantKey| arguments.output.join(format!("{}.xml", key.key_id.short()));
        return Ok(keyring.keys().iter().map(|key| (key, file(key))).collect());
    }
    let key = match &arguments.key {
        Some(start) => {
            let id = stores::id_by_start(keyring.keys().iter().map(|key| key.key_id), start)?;
            keyring.key(&id)
        }
        None => keyring.active(),
    };
    let key =
        key.ok_or_else(|| Error::NotFound { what: "the tenant has no active key".into(), hint: Some("name one with --key, or give --all".into()) })?;
    Ok(vec![(key, arguments.output.clone())])
}
