//! Stores by their names on the command line.

use std::collections::BTreeMap;
use std::path::Path;

use keykit::key::KeyId;
use keykit::secret::Password;
use keykit::store::{KeyRecord, KeyStore};
use keykit::tenant::{TenantKey, TenantKeyring};
use keykit::{Error, Result};
use keykit_hsm_backends::folder::{FolderStore, ScryptCost};
use keykit_hsm_backends::memory::MemoryStore;
use keykit_hsm_backends::pkcs11::{Pkcs11Options, Pkcs11Store, Pkcs11Uri};

use crate::arguments::KeyringPassword;
use crate::secrets;

/// How the keyring names its own folder of keys.
pub(crate) const OWN_FOLDER: &str = "file:keys";

/// Opens the store with this name.
pub(crate) fn open(name: &str, keyring: &KeyringPassword) -> Result<Box<dyn KeyStore>> {
    if let Some(folder) = name.strip_prefix("file:") {
        let folder = Path::new(folder);
        let password = folder_password(folder, keyring)?;
        return Ok(Box::new(folder_store(folder, &password)?));
    }
    match name {
        "memory:" => Ok(Box::new(MemoryStore::new())),
        uri if uri.starts_with("pkcs11:") => Ok(Box::new(token(&Pkcs11Uri::parse(uri)?, None)?)),
        other => Err(no_such_store(other)),
    }
}

/// The error for a name that is no store's.
pub(crate) fn no_such_store(name: &str) -> Error {
    Error::Usage {
        what: format!("'{name}' names no store"),
        hint: Some("file:DIR, or pkcs11:token=NAME?module-path=/path/to/module.so&pin-source=file:/path/to/pin".into()),
    }
}

/// Opens the store with this name; a folder must be there already.
pub(crate) fn open_existing(name: &str, keyring: &KeyringPassword) -> Result<Box<dyn KeyStore>> {
    match name.strip_prefix("file:") {
        Some(folder) => Ok(Box::new(FolderStore::open(Path::new(folder), &secrets::of_keyring(keyring)?, scrypt_cost()?)?)),
        None => open(name, keyring),
    }
}

/// Opens a folder of keys, making it if it is not there.
pub(crate) fn folder_store(folder: &Path, password: &Password) -> Result<FolderStore> {
    FolderStore::create_or_open(folder, password, scrypt_cost()?)
}

/// Opens a token. The PIN comes from `pin_source`, else from the URI's `pin-source`, else from KEYKIT_PIN_SOURCE, else, if the
/// token wants one, from the prompt.
pub(crate) fn token(uri: &Pkcs11Uri, pin_source: Option<&str>) -> Result<Pkcs11Store> {
    token_with(uri, pin_source, Pkcs11Options::default())
}

/// As [`token`], with options.
pub(crate) fn token_with(uri: &Pkcs11Uri, pin_source: Option<&str>, options: Pkcs11Options) -> Result<Pkcs11Store> {
    let label = format!("PIN of {}", uri.token.as_deref().unwrap_or("the token"));
    let open = |pin| Pkcs11Store::open(uri, pin, options);
    match (pin_source, &uri.pin_source, std::env::var("KEYKIT_PIN_SOURCE")) {
        (Some(source), _, _) => open(Some(secrets::read(source, &label)?)),
        (None, Some(source), _) => open(Some(source.read(&|_| secrets::prompt(&label))?)),
        (None, None, Ok(source)) => open(Some(secrets::read(&source, &label)?)),
        // A token without login takes none; one with login says that it wants one, before any try.
        (None, None, Err(_)) => match open(None) {
            Err(Error::Usage { .. }) if uri.module_path.is_some() => open(Some(secrets::prompt(&label)?)),
            other => other,
        },
    }
}

/// The name of a token as the keyring keeps it: how to find it again, not where its PIN is.
pub(crate) fn lasting_name(uri: &Pkcs11Uri) -> String {
    Pkcs11Uri { pin_source: None, ..uri.clone() }.to_string()
}

/// Opens the store that holds a key of the tenant.
pub(crate) fn of_tenant_key(
    tenant: &TenantKeyring,
    key: &TenantKey,
    keyring: &KeyringPassword,
    pin_source: Option<&str>,
) -> Result<Box<dyn KeyStore>> {
    if key.store == OWN_FOLDER {
        let password = secrets::of_keyring(keyring)?;
        return Ok(Box::new(FolderStore::open(&tenant.key_folder(), &password, scrypt_cost()?)?));
    }
    Ok(Box::new(token(&Pkcs11Uri::parse(&key.store)?, pin_source)?))
}

/// Opens every store that holds a key of the tenant, by its name in the keyring.
pub(crate) fn of_tenant(tenant: &TenantKeyring, keyring: &KeyringPassword, pin_source: Option<&str>) -> Result<BTreeMap<String, Box<dyn KeyStore>>> {
    let mut opened = BTreeMap::new();
    for key in tenant.keys() {
        if !opened.contains_key(&key.store) {
            opened.insert(key.store.clone(), of_tenant_key(tenant, key, keyring, pin_source)?);
        }
    }
    Ok(opened)
}

/// The one key of a store whose identity begins with `start`; an empty start means: the only key.
pub(crate) fn key_by_start(store: &dyn KeyStore, start: &str) -> Result<KeyRecord> {
    one_by_start(&store.identity().uri, store.keys()?, start)
}

/// The same among some keys of a store.
pub(crate) fn one_by_start(store: &str, keys: Vec<KeyRecord>, start: &str) -> Result<KeyRecord> {
    let start = start.to_ascii_lowercase();
    let mut found: Vec<KeyRecord> = keys.into_iter().filter(|key| key.id().to_string().starts_with(&start)).collect();
    match (found.pop(), found.is_empty()) {
        (Some(key), true) => Ok(key),
        (None, _) => Err(Error::NotFound {
            what: format!("{store} holds no key that begins with '{start}'"),
            hint: Some("`keykit store keys --store URI` lists its keys".into()),
        }),
        (Some(_), false) => Err(Error::usage(format!("more than one key of {store} begins with '{start}'"))),
    }
}

/// The identity that begins with `start` among `known`.
pub(crate) fn id_by_start(known: impl Iterator<Item = KeyId>, start: &str) -> Result<KeyId> {
    let start = start.to_ascii_lowercase();
    let mut found: Vec<KeyId> = known.filter(|id| id.to_string().starts_with(&start)).collect();
    match (found.pop(), found.is_empty()) {
        (Some(id), true) => Ok(id),
        (None, _) => Err(Error::NotFound { what: format!("no key begins with '{start}'"), hint: None }),
        (Some(_), false) => Err(Error::usage(format!("more than one key begins with '{start}'"))),
    }
}

/// How hard the keyring password is to guess. Builds for tests can lower it with KEYKIT_TEST_SCRYPT_LOG_N; release builds can't.
pub(crate) fn scrypt_cost() -> Result<ScryptCost> {
    match std::env::var("KEYKIT_TEST_SCRYPT_LOG_N") {
        Ok(text) if cfg!(debug_assertions) => ScryptCost::new(text.parse().map_err(|_| Error::usage("KEYKIT_TEST_SCRYPT_LOG_N is no number"))?, 8, 1),
        _ => Ok(ScryptCost::RECOMMENDED),
    }
}

/// The password of a folder of keys: typed twice if there is no key under it yet.
pub(crate) fn folder_password(folder: &Path, keyring: &KeyringPassword) -> Result<Password> {
    let holds_keys = std::fs::read_dir(folder)
        .is_ok_and(|entries| entries.filter_map(Result::ok).any(|entry| entry.path().extension().is_some_and(|extension| extension == "p8")));
    if holds_keys { secrets::of_keyring(keyring) } else { secrets::of_new_keyring(keyring) }
}
