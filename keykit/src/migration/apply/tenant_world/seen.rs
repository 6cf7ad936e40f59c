//! Where the keys of a plan are and were, as their stores say it now. For reports: nothing is decided by it.

use super::{OWN_FOLDER, TenantWorld};
use crate::error::{Error, Result};
use crate::key::KeyId;
use crate::migration::MigrationPath;
use crate::migration::plan::{Plan, PlannedKey};
use crate::store::protection::Assessment;
use crate::store::{KeyAttributes, StoreIdentity};
use crate::tenant::TenantView;

/// A key in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPlace {
    /// The store.
    pub store: StoreIdentity,
    /// What the store says of the key.
    pub attributes: KeyAttributes,
    /// How the key is protected, with the evidence.
    pub protection: Assessment,
}

/// A key of the plan or of the keyring, where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenKey {
    /// The key.
    pub key_id: KeyId,
    /// In the token that it comes from; `None` for a key that comes from a file or was made in the tenant.
    pub source: Option<Result<SeenPlace, String>>,
    /// In the store of the tenant, or why it could not be seen there.
    pub target: Result<SeenPlace, String>,
}

impl TenantWorld<'_> {
    /// The keyring as its file has it, if there is one.
    ///
    /// # Errors
    /// As [`TenantView::open`].
    pub fn view(&self, plan: &Plan) -> Result<Option<TenantView>> {
        match TenantView::open(&self.folder(plan)) {
            Ok(view) => Ok(Some(view)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Looks at every key of the plan and of the keyring in its stores. Without a keyring there is nothing to look at.
    ///
    /// # Errors
    /// As [`TenantView::open`]. What a store says is in the result.
    pub fn look_at_keys(&mut self, plan: &Plan) -> Result<Vec<SeenKey>> {
        let Some(tenant) = self.view(plan)? else { return Ok(Vec::new()) };
        let others: Vec<(KeyId, String)> =
            tenant.keys().iter().filter(|key| plan.key(&key.key_id).is_none()).map(|key| (key.key_id, key.store.clone())).collect();
        let name = self.target_name(plan)?;
        let planned = plan.keys.iter().map(|key| (key.key_id, Some(key), name.clone()));
        let all: Vec<_> = planned.chain(others.into_iter().map(|(id, store)| (id, None, store))).collect();
        let seen = all.into_iter().map(|(key_id, planned, store)| {
            let source =
                planned.filter(|key| key.path == MigrationPath::HsmToHsm).map(|key| self.at_source(plan, key).map_err(|error| error.to_string()));
            let target = if store == name {
                self.at_target(plan, &key_id).map_err(|error| error.to_string())
            } else {
                Err(format!(
                    "it is in {}, which is not the store of this plan",
                    if store == OWN_FOLDER { "the folder of the tenant" } else { &store }
                ))
            };
            SeenKey { key_id, source, target }
        });
        Ok(seen.collect())
    }

    fn at_source(&mut self, plan: &Plan, key: &PlannedKey) -> Result<SeenPlace> {
        self.open_source(plan, key)?;
        let evidence_files = self.evidence(plan, key)?;
        let environment = self.environment;
        let store = self.sources.get(&key.key_id).ok_or_else(|| Error::Internal("a source is not open".into()))?;
        let record = store.find(&key.key_id)?;
        let mut protection = record.protection.clone();
        for domain in self.domains.iter().flat_map(|domains| domains.get(&key.key_id)).flatten() {
            protection = protection.with(environment.evidence(&evidence_files, domain, &record)?);
        }
        Ok(SeenPlace { store: store.identity().clone(), attributes: record.attributes, protection })
    }

    fn at_target(&mut self, plan: &Plan, key: &KeyId) -> Result<SeenPlace> {
        let store = self.open_target(plan)?;
        let record = store.find(key)?;
        Ok(SeenPlace { store: store.identity().clone(), attributes: record.attributes, protection: record.protection })
    }
}
