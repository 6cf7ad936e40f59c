//! Exchange, SharePoint, classified files and the connector.

use super::facts::Facts;
use super::{Report, stated};
use crate::migration::file::{Connector, ExchangeServer, Services, SharePointServer, Windows};
use crate::tenant::{Era, Managed};

fn services<'f>(facts: &Facts<'f>) -> Option<&'f Services> {
    facts.file.services.as_ref()
}

fn connector<'f>(facts: &Facts<'f>) -> Option<&'f Connector> {
    facts.file.connector.as_ref()
}

/// Rule 11.
pub(super) fn outage_window(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(services) = services(facts) else { return };
    let uses_servers = !services.exchange_server.is_empty() || !services.sharepoint_server.is_empty();
    if uses_servers && services.outage_window.is_none() {
        report.refuse(
            services.at,
            "Exchange or SharePoint servers use rights management, and no outage of it is planned",
            "say `outage-window`: it is disabled in the servers, the connector is set up, and it is enabled again",
        );
    }
}

/// Rule 25.
pub(super) fn reduced_exchange_online(facts: &Facts<'_>, report: &mut Report<'_>) {
    if facts.file.era() == Era::Of2016
        && facts.file.tenant.managed.value == Managed::Customer
        && let Some(at) = services(facts).and_then(|services| stated(services.exchange_online.as_ref(), true))
    {
        report.warn(
            at,
            "with a customer-managed key Exchange Online shows no protected mail in its web client and on mobile devices, and can't decrypt for \
             journals, rules or search",
            "let the service keep the key if that is needed; the newer service has lifted this",
        );
    }
}

/// Rule 187.
pub(super) fn domain_in_exchange_online(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(services) = services(facts) else { return };
    if let Some(at) = stated(services.exchange_online_with_ad_rms.as_ref(), true)
        && stated(services.exchange_online_domain_removed.as_ref(), true).is_none()
    {
        report.refuse(
            at,
            "a trusted publishing domain of AD RMS is in Exchange Online, and nothing says that it is removed first",
            "run `Remove-RMSTrustedPublishingDomain` first, and say `exchange-online-domain-removed = true`",
        );
    }
}

/// Rule 190.
pub(super) fn no_rekey_with_exchange_online(facts: &Facts<'_>, report: &mut Report<'_>) {
    let with_ad_rms = services(facts).and_then(|services| stated(services.exchange_online_with_ad_rms.as_ref(), true));
    if let Some(rekey) = facts.file.rekey.as_ref().filter(|rekey| rekey.after_migration.value)
        && with_ad_rms.is_some()
    {
        report.warn(
            rekey.after_migration.at,
            "Exchange Online was used with AD RMS, and does not follow a change of the cryptographic mode",
            "the documents of 2017 say not to make a new key then, later ones no longer do: ask the support of the service",
        );
    }
}

/// Rule 195.
pub(super) fn versions(facts: &Facts<'_>, report: &mut Report<'_>) {
    use ExchangeServer::{Exchange2010, Exchange2013, Exchange2016, Exchange2019};
    use Windows::{Server2008R2, Server2012, Server2012R2, Server2016, Server2019};
    let of_2016 = facts.file.era() == Era::Of2016;
    let exchange: &[ExchangeServer] = if of_2016 { &[Exchange2010, Exchange2013, Exchange2016] } else { &[Exchange2013, Exchange2016, Exchange2019] };
    let sharepoint: &[SharePointServer] = if of_2016 {
        &[SharePointServer::SharePoint2010, SharePointServer::SharePoint2013, SharePointServer::SharePoint2016]
    } else {
        &[SharePointServer::SharePoint2013, SharePointServer::SharePoint2016, SharePointServer::SharePoint2019]
    };
    let file_servers: &[Windows] = if of_2016 { &[Server2012, Server2012R2] } else { &[Server2012, Server2012R2, Server2016] };
    let connectors: &[Windows] =
        if of_2016 { &[Server2008R2, Server2012, Server2012R2] } else { &[Server2012, Server2012R2, Server2016, Server2019] };
    let mut unsupported = Vec::new();
    if let Some(services) = services(facts) {
        let old = |what: &str, word: &str| format!("{what} {word} can't use the connector");
        unsupported
            .extend(services.exchange_server.iter().filter(|one| !exchange.contains(&one.value)).map(|one| (one.at, old("Exchange", one.word()))));
        unsupported.extend(
            services.sharepoint_server.iter().filter(|one| !sharepoint.contains(&one.value)).map(|one| (one.at, old("SharePoint", one.word()))),
        );
        unsupported.extend(
            services
                .file_classification
                .iter()
                .filter(|one| !file_servers.contains(&one.value))
                .map(|one| (one.at, old("a file server on", one.word()))),
        );
    }
    if let Some(connector) = connector(facts) {
        let system = &connector.operating_system;
        if !connectors.contains(&system.value) {
            unsupported.push((system.at, format!("the connector does not run on {}", system.value)));
        }
        if let Some(version) = connector.dot_net_version.as_ref().filter(|version| !of_2016 && !version.is_at_least(&[4, 7, 2])) {
            unsupported.push((version.at, format!("the connector needs .NET Framework 4.7.2, not {}", version.value)));
        }
        if let Some(at) = stated(connector.tls_1_2.as_ref(), false).filter(|_| !of_2016) {
            unsupported.push((at, "the connector needs TLS 1.2".into()));
        }
    }
    for (at, message) in unsupported {
        report.refuse(at, message, "update it to a supported version first; docs/rules.md names the sources of the lists");
    }
}

/// Rule 196.
pub(super) fn connector_computers(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(connector) = connector(facts) else { return };
    if connector.computers.value < 2 {
        report.refuse(connector.computers.at, "the connector runs on one computer", "run it on two or more, behind a load balancer");
    }
    if let Some(role) = connector.shares_computers_with.first() {
        report.refuse(role.at, format!("the connector shares a computer with {}", role.value), "give it computers of its own");
    }
    if let Some(at) = stated(connector.authenticating_proxy.as_ref(), true) {
        report.refuse(at, "the connector's proxy asks for a password", "let its computers through without");
    }
}

/// Rule 157.
pub(super) fn connector_account(facts: &Facts<'_>, report: &mut Report<'_>) {
    if facts.file.onboarding.is_some()
        && let Some(at) = connector(facts).and_then(|connector| stated(connector.account_onboarded.as_ref(), false))
    {
        report.refuse(
            at,
            "the account that installs the connector may not use the service under the onboarding controls",
            "put it into the group of migrated users: the installation fails otherwise (\"The attempt to discover the location …\")",
        );
    }
}

/// Rule 197.
pub(super) fn sharepoint_client(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(services) = services(facts) else { return };
    let newer = services.sharepoint_server.iter().any(|server| server.value >= SharePointServer::SharePoint2013);
    if let Some(version) = services.msipc_version.as_ref().filter(|_| newer)
        && !version.is_at_least(&[1, 0, 2004, 0])
    {
        report.refuse(
            version.at,
            format!("MSIPC {} on SharePoint servers is too old", version.value),
            "install the client 2.1, version 1.0.2004.0 or later",
        );
    }
}

/// Rule 198.
pub(super) fn order_of_connector(facts: &Facts<'_>, report: &mut Report<'_>) {
    if let Some(at) = connector(facts).and_then(|connector| stated(connector.configured_before_disabling.as_ref(), true)) {
        report.refuse(
            at,
            "servers are to be configured for the connector while rights management is still on in them",
            "install the connector, disable rights management in the servers, configure them, and enable it again",
        );
    }
}

/// Rule 200.
pub(super) fn checked_out_documents(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(services) = services(facts).filter(|services| !services.sharepoint_server.is_empty()) else { return };
    match &services.documents_checked_out {
        None => report.ask(services.at, "is any document of a protected SharePoint library checked out? (`documents-checked-out`)"),
        Some(out) if out.value => report.refuse(
            out.at,
            "documents of protected SharePoint libraries are checked out: they become inaccessible",
            "have all of them checked in before rights management is disabled",
        ),
        Some(_) => {}
    }
}
