//! `keykit tenant activate`, `rollback` and `rekey`: which key is active.

use std::path::{Path, PathBuf};

use keykit::key::KeyId;
use keykit::store::{KeyRequest, KeyStore, Transferability};
use keykit::tenant::{Activation, Managed, NeighbourLock, NewKey, Rekeyed, TenantKeyring, TenantRekey, refuse_second_tenant};
use keykit::{Error, Result};
use keykit_hsm_backends::folder::FolderStore;
use keykit_hsm_backends::pkcs11::Pkcs11Uri;
use serde::Serialize;

use super::{Shown, ShownWarning, shown_warnings, tell, text};
use crate::arguments::{ActivateArguments, RekeyTenantArguments, TokenSecrets};
use crate::confirm::confirm;
use crate::output::{Output, say, warn};
use crate::progress::Steps;
use crate::stores::{self, OWN_FOLDER};

const SIGNING: &str = "signing the templates by the key that becomes active";

#[derive(Debug, Serialize)]
struct Activated {
    key_id: KeyId,
    previous: Option<KeyId>,
    changed: bool,
    resigned: Vec<String>,
    left: Vec<Left>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    taken_up: Option<bool>,
    warnings: Vec<ShownWarning>,
    #[serde(flatten)]
    tenant: Shown,
}

/// A template that stays under another key.
#[derive(Debug, Serialize)]
struct Left {
    id: String,
    problem: String,
}

/// Runs `keykit tenant activate`.
pub(super) fn activate(key: &str, arguments: &ActivateArguments, output: Output) -> Result<()> {
    let mut keyring = super::open(&arguments.tenant)?;
    let id = match key {
        "default" => {
            keyring.default_key().map(|key| key.key_id).ok_or_else(|| Error::NotFound { what: "the tenant has no key yet".into(), hint: None })?
        }
        start => stores::id_by_start(keyring.keys().iter().map(|key| key.key_id), start)?,
    };
    let steps = Steps::begin(2, "opening the store of the key");
    let store = prepare(&keyring, &id, arguments)?;
    steps.step(2, 2, SIGNING);
    let done = keyring.activate_with(&id, store.as_ref())?;
    drop(steps);
    report("tenant-activate", &keyring, &done, None, output)
}

/// Runs `keykit tenant rollback`.
pub(super) fn rollback(arguments: &ActivateArguments, output: Output) -> Result<()> {
    let mut keyring = super::open(&arguments.tenant)?;
    let id = keyring.rollback_target()?;
    say(format!("the key that was active before is {}", id.short()));
    let steps = Steps::begin(2, "opening the store of the key");
    let store = prepare(&keyring, &id, arguments)?;
    steps.step(2, 2, SIGNING);
    let done = keyring.rollback(store.as_ref())?;
    drop(steps);
    report("tenant-rollback", &keyring, &done, None, output)
}

/// Checks, asks, and opens the store of the key that is to be active.
fn prepare(keyring: &TenantKeyring, id: &KeyId, arguments: &ActivateArguments) -> Result<Box<dyn KeyStore>> {
    refuse_second_tenant(id, keyring, &others(&arguments.tenant, &arguments.other_tenant))?;
    let key = keyring.key(id).ok_or_else(|| Error::Internal("a key vanished from the keyring".into()))?;
    if keyring.active().is_some_and(|active| active.key_id != *id) {
        confirm(&format!("{} becomes the active key, and all templates are signed anew", id.short()), arguments.yes)?;
    }
    stores::of_tenant_key(keyring, key, &arguments.secrets.keyring, arguments.secrets.pin_source.as_deref())
}

/// Runs `keykit tenant rekey`.
pub(super) fn rekey(arguments: &RekeyTenantArguments, output: Output) -> Result<()> {
    let mut keyring = super::open(&arguments.tenant)?;
    let others = others(&arguments.tenant, &arguments.other_tenant);
    let steps = Steps::begin(2, "opening the store of the new key");
    let own_folder = |store| Place { store, name: OWN_FOLDER.to_owned(), managed: Managed::Service };
    let (place, key) = match (&arguments.key, &arguments.target) {
        (Some(uri), _) => match uri.strip_prefix("file:") {
            Some(rest) => {
                let (store, id) = copied(&keyring, rest, &arguments.secrets, &others)?;
                (own_folder(store), NewKey::Given(id))
            }
            None => {
                let uri = Pkcs11Uri::parse(uri)?;
                let place = token(&uri, &arguments.secrets)?;
                let id = only_key(place.token.as_ref(), &uri)?;
                refuse_second_tenant(&id, &keyring, &others)?;
                (place.into(), NewKey::Given(id))
            }
        },
        (None, Some(uri)) => {
            let transferability = if arguments.keep_transferable { Transferability::UnderTrustedKey } else { Transferability::Never };
            (token(&Pkcs11Uri::parse(uri)?, &arguments.secrets)?.into(), NewKey::Generated { bits: arguments.bits, transferability })
        }
        (None, None) => {
            let store = own_store(&keyring, &arguments.secrets)?;
            (own_folder(store), NewKey::Generated { bits: arguments.bits, transferability: Transferability::Wrapped })
        }
    };
    confirm("a new key becomes the active one, and all templates are signed anew", arguments.yes)?;
    let request = TenantRekey { store: place.store.as_ref(), store_name: place.name, managed: place.managed, key };
    steps.step(2, 2, "the new key: made, proven, certified; the templates signed by it");
    let neighbours = NeighbourLock::take(&arguments.tenant, &arguments.other_tenant)?;
    if let NewKey::Given(id) = &request.key {
        // Another process may have brought it into another tenant in the meantime.
        refuse_second_tenant(id, &keyring, &neighbours.others())?;
    }
    let done = keyring.rekey(&request)?;
    drop((neighbours, steps));
    if done.taken_up {
        say(format!("an earlier run had made the key '{}' already; it was taken up", done.label));
    }
    report("tenant-rekey", &keyring, &done.activation, Some(&done), output)
}

/// A store, how the keyring names it, and who keeps what is in it.
struct Place {
    store: Box<dyn KeyStore>,
    name: String,
    managed: Managed,
}

/// A token, before it is a store like any other.
struct Token {
    token: Box<keykit_hsm_backends::pkcs11::Pkcs11Store>,
    name: String,
}

impl From<Token> for Place {
    fn from(token: Token) -> Self {
        Self { store: token.token, name: token.name, managed: Managed::Customer }
    }
}

fn token(uri: &Pkcs11Uri, secrets: &TokenSecrets) -> Result<Token> {
    let token = Box::new(stores::token(uri, secrets.pin_source.as_deref())?);
    // The keyring names the token; its own records say which key.
    let name = stores::lasting_name(&Pkcs11Uri { object: None, id: None, ..uri.clone() });
    Ok(Token { token, name })
}

fn only_key(store: &keykit_hsm_backends::pkcs11::Pkcs11Store, uri: &Pkcs11Uri) -> Result<KeyId> {
    let found = store.keys_matching(uri)?;
    match found.as_slice() {
        [key] => Ok(key.id()),
        [] => Err(Error::NotFound {
            what: "the token holds no key with that name".into(),
            hint: Some("`keykit store keys --store URI` lists its keys".into()),
        }),
        several => Err(Error::usage(format!("{} keys of the token fit; name one with `object` or `id`", several.len()))),
    }
}

fn own_store(keyring: &TenantKeyring, secrets: &TokenSecrets) -> Result<Box<dyn KeyStore>> {
    let folder = keyring.key_folder();
    let password = stores::folder_password(&folder, &secrets.keyring)?;
    Ok(Box::new(stores::folder_store(&folder, &password)?))
}

/// Copies a key of another folder into the tenant's.
fn copied(keyring: &TenantKeyring, rest: &str, secrets: &TokenSecrets, others: &[PathBuf]) -> Result<(Box<dyn KeyStore>, KeyId)> {
    let (folder, start) = rest.split_once('#').unwrap_or((rest, ""));
    let password = crate::secrets::of_keyring(&secrets.keyring)?;
    let source = FolderStore::open(Path::new(folder), &password, stores::scrypt_cost()?)?;
    let record = stores::key_by_start(&source, start)?;
    refuse_second_tenant(&record.id(), keyring, others)?;
    // A key of a wrong size, or one that the tenant has, stays where it is.
    if record.public.modulus_bits() == 2048 && keyring.key(&record.id()).is_none() {
        let target = own_store(keyring, secrets)?;
        let key = source.as_export_plaintext()?.export_plaintext_danger(&record.id())?;
        let label = format!("keykit-{}-{}", keyring.tenant_id().get(..8).unwrap_or_default(), record.id().short());
        target.as_import_plaintext()?.import_plaintext(&key, &KeyRequest { label, local_id: None, transferability: Transferability::Wrapped })?;
        return Ok((target, record.id()));
    }
    Ok((Box::new(source), record.id()))
}

/// Tenants that must not hold the key.
fn others(tenant: &Path, named: &[PathBuf]) -> Vec<PathBuf> {
    let mut others = keykit::tenant::sibling_tenants(tenant);
    others.extend(named.iter().cloned());
    others
}

fn report(schema: &str, keyring: &TenantKeyring, done: &Activation, rekeyed: Option<&Rekeyed>, output: Output) -> Result<()> {
    if done.changed {
        say(format!("{} is active now; {} templates are signed by it anew", done.key_id.short(), done.resigned.len()));
        if let Some(previous) = done.previous {
            say(format!("{} is archived, and opens what was protected with it; `keykit tenant rollback` goes back to it", previous.short()));
        }
    } else {
        say(format!("{} was active already; nothing changed", done.key_id.short()));
    }
    for (id, problem) in &done.left {
        warn(format!("the archived template {id} stays as it is: {problem}"));
    }
    tell(&done.warnings);
    let activated = Activated {
        key_id: done.key_id,
        previous: done.previous,
        changed: done.changed,
        resigned: done.resigned.clone(),
        left: done.left.iter().map(|(id, problem)| Left { id: id.clone(), problem: problem.clone() }).collect(),
        label: rekeyed.map(|done| done.label.clone()),
        taken_up: rekeyed.map(|done| done.taken_up),
        warnings: shown_warnings(&done.warnings),
        tenant: Shown::of(keyring),
    };
    output.result(schema, &activated, || text(&activated.tenant))
}
