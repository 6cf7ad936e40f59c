//! The end: AD RMS goes, and a new key comes.

use super::facts::Facts;
use super::{Report, stated};
use crate::migration::file::{Office, RekeySource};
use crate::tenant::{Era, Managed};

/// Rule 18.
pub(super) fn no_running_side_by_side(facts: &Facts<'_>, report: &mut Report<'_>) {
    if let Some(at) = facts.file.decommission.as_ref().and_then(|end| stated(end.keep_running.as_ref(), true)) {
        report.refuse(
            at,
            "AD RMS is to go on beside the new service after the migration, which is not supported",
            "decommission it, or keep it in read-only mode where a key can't leave its module",
        );
    }
}

/// Rule 123.
pub(super) fn no_new_service_managed_key(facts: &Facts<'_>, report: &mut Report<'_>) {
    if let Some(key) = facts.file.rekey.as_ref().and_then(|rekey| rekey.key.as_ref())
        && key.value == RekeySource::New
        && facts.file.tenant.managed.value == Managed::Service
        && facts.file.era() == Era::Current
    {
        report.refuse(
            key.at,
            "no new key can be made where the service keeps the keys",
            "take the key that the service made in the beginning: `key = \"automatic\"`; or let the customer keep the key",
        );
    }
}

/// Rule 181.
pub(super) fn read_only_mode_tested(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(mode) = &facts.file.read_only_mode else { return };
    match &mode.tested {
        None => report.ask(mode.at, "was it tested that old content opens and new can't be protected? (`tested`)"),
        Some(tested) if !tested.value => report.refuse(
            tested.at,
            "read-only mode was not tested",
            "with a client that is not configured: old content must open, and protecting new content must fail",
        ),
        Some(_) => {}
    }
}

/// Rule 182.
pub(super) fn connection_point_in_read_only_mode(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(mode) = facts.file.read_only_mode.as_ref().filter(|_| facts.file.decommission.is_some()) else { return };
    if let Some(at) = stated(mode.connection_point_removed.as_ref(), false) {
        report.refuse(
            at,
            "read-only mode is a part of the decommissioning, and the service connection point stays",
            "remove the service connection point too",
        );
    }
}

/// Rule 210.
pub(super) fn connection_point(facts: &Facts<'_>, report: &mut Report<'_>) {
    if let Some(at) = facts.file.decommission.as_ref().and_then(|end| stated(end.connection_point_removed.as_ref(), false)) {
        report.warn(
            at,
            "the service connection point stays: new clients find AD RMS",
            "remove it in the cluster's properties, as an administrator of the enterprise",
        );
    }
}

/// Rule 211.
pub(super) fn activity_watched(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(end) = &facts.file.decommission else { return };
    match &end.activity_watched {
        None => report.ask(end.at, "was it watched that no client asks AD RMS any more? (`activity-watched`)"),
        Some(watched) if !watched.value => report.refuse(
            watched.at,
            "nobody watches whether clients still ask AD RMS before its role is removed",
            "look at the System Health report, the table ServiceRequest and the audit; shut the server down for a while first",
        ),
        Some(_) => {}
    }
}

/// Rule 213.
pub(super) fn decommission_before_rekey(facts: &Facts<'_>, report: &mut Report<'_>) {
    let rekeys = facts.file.rekey.as_ref().is_some_and(|rekey| rekey.after_migration.value);
    if let Some(at) = facts.file.decommission.as_ref().and_then(|end| stated(end.before_rekey.as_ref(), false))
        && rekeys
    {
        report.refuse(
            at,
            "the new key is to come before AD RMS is decommissioned",
            "decommission first, then complete the clients, then make the new key",
        );
    }
}

/// Rule 215.
pub(super) fn required_after_mode_1(facts: &Facts<'_>, report: &mut Report<'_>) {
    let rekeys = facts.file.rekey.as_ref().is_some_and(|rekey| rekey.after_migration.value);
    if rekeys {
        return;
    }
    let at = facts.file.rekey.as_ref().map_or(facts.file.at, |rekey| rekey.after_migration.at);
    if facts.has_active_key_of_mode_1() {
        report.refuse(
            at,
            "the active key is of mode 1, and no new key is planned after the migration",
            "say `[rekey] after-migration = true`: the new key uses mode 2",
        );
    } else if facts.file.rekey.is_none() {
        report.warn(at, "no new key is planned after the migration, which is recommended in any case", "add `[rekey]`, and say why if not");
    }
}

/// Rule 216.
pub(super) fn source_of_the_new_key(facts: &Facts<'_>, report: &mut Report<'_>) {
    if let Some(key) = facts.file.rekey.as_ref().and_then(|rekey| rekey.key.as_ref())
        && key.value == RekeySource::Automatic
        && facts.file.tenant.managed.value == Managed::Customer
    {
        report.refuse(
            key.at,
            "the customer keeps the keys, and the new key is to be the one that the service made",
            "make a new key in the module: `key = \"new\"`",
        );
    }
}

/// Rule 219.
pub(super) fn office_2010_and_new_keys(facts: &Facts<'_>, report: &mut Report<'_>) {
    let rekeys = facts.file.rekey.as_ref().is_some_and(|rekey| rekey.after_migration.value);
    if let Some(at) = super::clients::uses_office(facts, Office::Office2010)
        && rekeys
    {
        report.warn(
            at,
            "users run Office 2010, which does not take a change of the key well",
            "clear the state of rights management on these computers after the new key",
        );
    }
}
