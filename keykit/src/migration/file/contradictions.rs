//! Contradictions and missing pieces that more than one key of a migration file makes.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;

use crate::tenant::Managed;

use super::reader::{Placed, Reader};
use super::tables::{Approval, Cluster, MigrationFile, Tenant};

/// Tells the reader all contradictions.
pub(super) fn find(file: &MigrationFile, reader: &mut Reader<'_>) {
    if file.forest.is_empty() {
        reader.problem(file.at, "no `[[forest]]`: say where AD RMS runs");
    }
    for forest in file.forest.iter().filter(|forest| forest.cluster.is_empty()) {
        reader.problem(forest.at, format!("the forest '{}' has no `[[forest.cluster]]`", *forest.name));
    }
    unique("forest", file.forest.iter().map(|forest| &forest.name), reader);
    unique("cluster", file.clusters().map(|(_, cluster)| &cluster.name), reader);
    unique("exported file", file.domains().map(|placed| &placed.domain.file), reader);
    unique("key in Azure Key Vault", file.domains().filter_map(|placed| placed.domain.key_url.as_ref()), reader);
    unique("template", file.template.iter().map(|template| &template.id), reader);
    unique("partner", file.partner.iter().map(|partner| &partner.name), reader);
    unique("batch", file.batch.iter().map(|batch| &batch.name), reader);
    for (_, cluster) in file.clusters() {
        in_cluster(cluster, reader);
    }
    in_tenant(&file.tenant, reader);
    if let Some(approval) = &file.approval {
        in_approval(approval, reader);
        let allows_something = file.danger.as_ref().is_some_and(|danger| !danger.flags().is_empty());
        if allows_something && usize::try_from(approval.threshold.value).is_ok_and(|threshold| threshold >= approval.person.len()) {
            reader.problem(
                approval.threshold.at,
                "`threshold` takes everybody who is named, and what `[danger]` allows needs more people: name another person, or lower it",
            );
        }
    }
}

fn in_cluster(cluster: &Cluster, reader: &mut Reader<'_>) {
    let name = &*cluster.name;
    if !cluster.is_root() {
        return;
    }
    if cluster.protection.is_none() {
        reader.problem(cluster.at, format!("the root cluster '{name}' needs `protection`: how its key is kept"));
    }
    if cluster.cryptographic_mode.is_none() {
        reader.problem(cluster.at, format!("the root cluster '{name}' needs `cryptographic-mode`: 1 or 2"));
    }
    if let (Some(before), Some(mode)) = (&cluster.upgraded_from_mode_1, &cluster.cryptographic_mode)
        && before.value
        && mode.get().number() == 1
    {
        reader.problem(before.at, format!("the cluster '{name}' can't have left mode 1 and be in it: the change is one-way"));
    }
}

fn in_tenant(tenant: &Tenant, reader: &mut Reader<'_>) {
    match tenant.managed.value {
        Managed::Customer => match (&tenant.store, &tenant.transfer_profile) {
            (None, None) => reader.problem(tenant.managed.at, "a customer-managed key needs `store` (a token) or `transfer-profile`"),
            (Some(_), Some(profile)) => reader.problem(profile.at, "`store` and `transfer-profile` exclude each other: a key goes one way"),
            (Some(store), None) if !store.is_token() => {
                reader.problem(store.at, "a customer-managed key lives in a token: `store` must be a PKCS#11 URI");
            }
            (None, Some(profile)) if tenant.key_encryption_key.is_none() => {
                reader.problem(profile.at, "`transfer-profile` needs `key-encryption-key`: the public key of the provider");
            }
            _ => {}
        },
        Managed::Service => {
            let pieces = [
                ("store", tenant.store.as_ref().map(|store| store.at)),
                ("transfer-profile", tenant.transfer_profile.as_ref().map(|profile| profile.at)),
                ("vault", tenant.vault.as_ref().map(|vault| vault.at)),
            ];
            for (key, at) in pieces {
                if let Some(at) = at {
                    reader.problem(at, format!("`{key}` is for `managed = \"customer\"`; the service keeps its keys itself"));
                }
            }
        }
    }
    if let (Some(kek), None) = (&tenant.key_encryption_key, &tenant.key_encryption_key_fingerprint) {
        reader.problem(kek.at, "`key-encryption-key` needs `key-encryption-key-fingerprint`, as its owner read it out");
    }
}

fn in_approval(approval: &Approval, reader: &mut Reader<'_>) {
    let people = approval.person.len();
    let thresholds = [("threshold", Some(&approval.threshold)), ("danger-threshold", approval.danger_threshold.as_ref())];
    for (key, threshold) in thresholds {
        let Some(threshold) = threshold else { continue };
        if threshold.value == 0 {
            reader.problem(threshold.at, format!("`{key}` must be at least 1"));
        }
        if usize::try_from(threshold.value).map_or(true, |number| number > people) {
            reader.problem(threshold.at, format!("`{key}` is {} and {people} people are named", threshold.value));
        }
    }
    if let Some(danger) = approval.danger_threshold.as_ref().filter(|danger| danger.value <= approval.threshold.value) {
        reader.problem(danger.at, "`danger-threshold` must be higher than `threshold`: something dangerous needs more people");
    }
    unique("person", approval.person.iter().map(|person| &person.name), reader);
    let mut keys: HashMap<[u8; 32], &str> = HashMap::new();
    for person in &approval.person {
        if let Some(other) = keys.insert(person.key.ed25519(), &person.name) {
            reader.problem(person.key.at, format!("'{}' and '{other}' have the same key", *person.name));
        }
    }
    for role in &approval.roles {
        if !approval.person.iter().any(|person| person.role.value == role.value) {
            reader.problem(role.at, format!("nobody has the role '{}'", role.value));
        }
    }
}

fn unique<'v, T: Eq + Hash + Display + 'v>(what: &str, values: impl Iterator<Item = &'v Placed<T>>, reader: &mut Reader<'_>) {
    let mut seen = HashMap::new();
    for value in values {
        if let Some(first) = seen.insert(&value.value, value.at) {
            reader.problem(value.at, format!("the {what} '{}' is named twice, first on {first}", value.value));
        }
    }
}
