//! Computers and devices of users, and how they find the new service.

use super::facts::Facts;
use super::{Report, stated};
use crate::migration::file::{Office, Placed, Position, Redirection, ServerUrl, Version, Windows};
use crate::tenant::Era;

/// Where the file says that users run this Office: among the clients or in a batch.
pub(super) fn uses_office(facts: &Facts<'_>, office: Office) -> Option<Position> {
    let of_clients = facts.file.clients.iter().flat_map(|clients| &clients.office);
    let of_batches = facts.file.batch.iter().flat_map(|batch| &batch.office);
    of_clients.chain(of_batches).find(|one| one.value == office).map(|one| one.at)
}

/// Rule 16.
pub(super) fn office_2010_sign_in(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(at) = uses_office(facts, Office::Office2010) else { return };
    let clients = facts.file.clients.as_ref();
    if clients.and_then(|clients| stated(clients.sign_in_client.as_ref(), true)).is_none() {
        report.refuse(
            at,
            "users run Office 2010, and nothing says that they have the client that signs in to the service",
            "install the rights-management sharing application (2016) or the information-protection client, and say `sign-in-client = true`",
        );
    }
    let on_windows_10 = clients.and_then(|clients| clients.windows.iter().find(|system| system.value == Windows::Client10));
    if let Some(system) = on_windows_10.filter(|_| facts.file.era() == Era::Of2016) {
        report.warn(system.at, "Office 2010 is not supported on Windows 10", "check that no computer has both");
    }
}

/// A system or program, the oldest version of it that is in use, and the oldest that is supported.
type Oldest<'f> = (&'f str, &'f Option<Placed<Version>>, &'f [u32]);

/// Rule 17.
pub(super) fn operating_systems(facts: &Facts<'_>, report: &mut Report<'_>) {
    use Windows::{Client7, Client8, Client10, Client11, Client81, ClientRt81};
    let Some(clients) = &facts.file.clients else { return };
    for system in &clients.windows {
        if !matches!(system.value, Client7 | Client8 | Client81 | ClientRt81 | Client10 | Client11) {
            report.refuse(system.at, format!("{} is no supported client", system.value), "move these users to Windows 7 or later before their batch");
        }
    }
    let oldest: [Oldest<'_>; 4] = [
        ("OS X", &clients.mac, &[10, 8]),
        ("iOS", &clients.ios, &[7, 0]),
        ("Android", &clients.android, &[4, 0, 3]),
        ("Windows Phone", &clients.windows_phone, &[8, 1]),
    ];
    for (system, version, least) in oldest {
        if let Some(version) = version
            && !version.is_at_least(least)
        {
            let least: Vec<String> = least.iter().map(u32::to_string).collect();
            report.refuse(
                version.at,
                format!("{system} {} is no supported client", version.value),
                format!("update to {} or later", least.join(".")),
            );
        }
    }
}

/// Rule 27.
pub(super) fn unsupported_software(facts: &Facts<'_>, report: &mut Report<'_>) {
    let old_office = uses_office(facts, Office::Office2007OrOlder).map(|at| (at, "Office 2007 or older".to_owned()));
    let others = facts.file.clients.iter().flat_map(|clients| &clients.unsupported).map(|program| (program.at, program.value.clone()));
    for (at, program) in old_office.into_iter().chain(others) {
        report.warn(at, format!("{program} can neither protect nor open content of the new service"), "replace it before its users migrate");
    }
}

/// Rule 154. All URLs of the file.
pub(super) fn no_blanks_around_addresses(facts: &Facts<'_>, report: &mut Report<'_>) {
    let file = facts.file;
    let of_clusters = file.clusters().flat_map(|(_, cluster)| [&cluster.intranet_url, &cluster.extranet_url]);
    let of_partners = file.partner.iter().flat_map(|partner| [&partner.cluster_url, &partner.tenant_url]);
    let of_connector = file.connector.iter().flat_map(|connector| [&connector.url, &connector.proxy_url]);
    let former = file.clusters().flat_map(|(_, cluster)| &cluster.former_urls);
    let urls = of_clusters.chain(of_partners).chain(of_connector).chain([&file.tenant.url]).flatten().chain(former);
    for url in urls.filter(|url: &&Placed<ServerUrl>| url.has_outer_blanks()) {
        report.refuse(url.at, format!("'{}' has blanks around it, which break the scripts and are hard to find there", url.value), "take them away");
    }
}

/// Rule 162.
pub(super) fn way_of_redirection(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(redirection) = facts.file.clients.as_ref().and_then(|clients| clients.redirection.as_ref()) else { return };
    if redirection.value != Redirection::Dns {
        return;
    }
    for office in [Office::Office2010, Office::Office2013, Office::Office2016Msi] {
        if uses_office(facts, office).is_some() {
            report.refuse(
                redirection.at,
                format!("users run {office}, which does not follow DNS: only click-to-run Office 2016 and later does"),
                "say `redirection = \"registry\"`, or \"both\" for a mixture",
            );
        }
    }
}

/// Rule 166.
pub(super) fn both_urls(facts: &Facts<'_>, report: &mut Report<'_>) {
    for (_, cluster) in facts.file.clusters().filter(|(_, cluster)| cluster.is_root()) {
        for (key, url) in [("intranet-url", &cluster.intranet_url), ("extranet-url", &cluster.extranet_url)] {
            if url.is_none() {
                report.refuse(
                    cluster.at,
                    format!("the cluster '{}' has no `{key}`: documents name either URL, and clients must be sent on from both", *cluster.name),
                    "take it from the cluster's details in the console, with the port if it shows one; if there is one URL only, give it twice",
                );
            }
        }
    }
}

/// Where DNS is said to send clients on.
fn redirects_by_dns(facts: &Facts<'_>) -> Option<Position> {
    let redirection = facts.file.clients.as_ref()?.redirection.as_ref()?;
    matches!(redirection.value, Redirection::Dns | Redirection::Both).then_some(redirection.at)
}

/// Rule 169.
pub(super) fn redirecting_server_stays(facts: &Facts<'_>, report: &mut Report<'_>) {
    if let Some(at) = redirects_by_dns(facts)
        && facts.file.decommission.is_some()
    {
        report.warn(
            at,
            "clients that DNS sends on must first be turned away by the old server: it has to stay",
            "decommission it only when no client needs it any more, or use the registry",
        );
    }
}

/// Rule 170.
pub(super) fn deny_more_than_one_file(facts: &Facts<'_>, report: &mut Report<'_>) {
    if let Some(at) = redirects_by_dns(facts) {
        report.warn(
            at,
            "denying `licensing.asmx` alone was reported as not enough",
            "deny `server.asmx` in the same folder too, and test with a browser: it must show error 401.3",
        );
    }
}

/// Rule 173.
pub(super) fn template_task(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(at) = uses_office(facts, Office::Office2010).filter(|_| facts.file.era() == Era::Current) else { return };
    match facts.file.clients.as_ref().and_then(|clients| clients.template_task_disabled.as_ref()) {
        None => report.ask(at, "is the scheduled task of templates disabled on computers with Office 2010? (`template-task-disabled`)"),
        Some(disabled) if !disabled.value => report.refuse(
            disabled.at,
            "the task \"AD RMS Rights Policy Template Management (Automated)\" is not disabled on computers with Office 2010",
            "disable it in the task scheduler when AD RMS ends",
        ),
        Some(_) => {}
    }
}

/// Rule 178. Builds that protect with the new service while AD RMS is in read-only mode.
pub(super) fn office_for_read_only_mode(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(mode) = &facts.file.read_only_mode else { return };
    let oldest: [(Oldest<'_>, Office); 3] = [
        (("Office 2013", &mode.office_2013, &[15, 0, 4849, 1000]), Office::Office2013),
        (("Office 2016 (MSI)", &mode.office_2016_msi, &[16, 0, 4496, 1000]), Office::Office2016Msi),
        (("Office 2016 (click-to-run)", &mode.office_2016_click_to_run, &[16, 0, 7407, 1000]), Office::Office2016ClickToRun),
    ];
    for ((office, build, least), in_use) in oldest {
        match build {
            Some(build) if !build.is_at_least(least) => {
                let least: Vec<String> = least.iter().map(u32::to_string).collect();
                report.refuse(
                    build.at,
                    format!("build {} of {office} can't work with AD RMS in read-only mode", build.value),
                    format!("update to {} or later", least.join(".")),
                );
            }
            None if uses_office(facts, in_use).is_some() => report.ask(mode.at, format!("which is the oldest build of {office} in use?")),
            _ => {}
        }
    }
}
