//! Which tenant a key belongs to: a key may be in one only (rule 4).

use std::fs;
use std::path::{Path, PathBuf};

use super::TenantView;
use super::keyring::LIMIT;
use crate::durable;
use crate::error::{Error, Result};
use crate::key::KeyId;

/// The first of `others` that holds the key and is another tenant than `own`. A copy of the same tenant is not another one.
///
/// The files are searched as text: a tenant file that cannot be read as one counts all the same.
///
/// # Errors
/// [`Error::Read`] for a folder without a tenant file.
pub fn holder_elsewhere(id: &KeyId, own: &TenantView, others: &[PathBuf]) -> Result<Option<PathBuf>> {
    let place = |folder: &Path| fs::canonicalize(folder).ok();
    for folder in others {
        if place(folder) == place(own.folder()) {
            continue;
        }
        let text = durable::read(&folder.join("tenant.json"), LIMIT, "tenant file")?;
        let text = String::from_utf8_lossy(&text);
        if text.contains(&id.to_string()) && !text.contains(own.tenant_id()) {
            return Ok(Some(folder.clone()));
        }
    }
    Ok(None)
}

/// Tenant folders beside this one: a key in one of them may not come here too.
#[must_use]
pub fn sibling_tenants(tenant: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(durable::parent(tenant)) else { return Vec::new() };
    let mut folders: Vec<PathBuf> =
        entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.join("tenant.json").is_file()).collect();
    folders.sort();
    folders
}

/// Refuses a key that another tenant has.
///
/// # Errors
/// [`Error::Refused`] (rule 4); as [`holder_elsewhere`].
pub fn refuse_second_tenant(id: &KeyId, own: &TenantView, others: &[PathBuf]) -> Result<()> {
    let Some(folder) = holder_elsewhere(id, own, others)? else { return Ok(()) };
    Err(Error::refused(
        4,
        format!("the key {} belongs to another tenant already ({}); a key cannot be in more than one tenant", id.short(), folder.display()),
        "keep the key in one tenant only; if this is a rehearsal, use a folder of its own",
    ))
}
