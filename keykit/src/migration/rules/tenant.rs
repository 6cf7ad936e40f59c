//! The tenant, and the computer and the network from which it is reached.

use super::facts::Facts;
use super::{Report, stated};
use crate::migration::file::{AccountRole, Office, PowerShellModule, ProxyAuthentication};
use crate::tenant::{Era, KeyStatus, Managed};
use crate::xrml::Guid;

/// First day of subscriptions that are activated by themselves (rule 20: "from end of February 2018").
const ACTIVATED_BY_THEMSELVES_SINCE: &str = "2018-02-28";

/// Rule 5.
pub(super) fn not_activated_yet(facts: &Facts<'_>, report: &mut Report<'_>) {
    if let Some(at) = stated(Some(&facts.file.tenant.activated), true) {
        report.warn(at, "the service is activated already: the import is recommended to come first", "deactivate it, or follow rules 83 and 84 too");
    }
}

/// Rule 12. Least versions of the module that knows the cmdlets of the path.
pub(super) fn module_version(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workstation) = &facts.file.workstation else {
        return report.ask(facts.file.at, "on which computer do the cmdlets run, with which module? (`[workstation]`)");
    };
    let module = &workstation.module;
    let uses_vault = facts.file.tenant.managed.value == Managed::Customer && facts.file.tenant.vault.is_some();
    let least: &[u32] = match (module.value, facts.file.era()) {
        (PowerShellModule::Aadrm, Era::Current) => {
            let instead = "install the module AIPService; it knows the old names of the cmdlets too";
            return report.refuse(module.at, "the module AADRM is without support since July 2020", instead);
        }
        (PowerShellModule::AipService, Era::Of2016) => {
            return report.refuse(
                module.at,
                "the module AIPService did not exist under the rules of 2016",
                "say `era = \"current\"`, or name the module AADRM",
            );
        }
        (PowerShellModule::Aadrm, _) if uses_vault => &[2, 5, 0, 0],
        (PowerShellModule::Aadrm, _) => &[2, 1, 0, 0],
        _ => return,
    };
    match &workstation.module_version {
        None => report.ask(workstation.at, "which version of the module? (`module-version`)"),
        Some(version) if !version.is_at_least(least) => {
            let least: Vec<String> = least.iter().map(u32::to_string).collect();
            report.refuse(
                version.at,
                format!("version {} of the module is too old for this migration", version.value),
                format!("install {} or later", least.join(".")),
            );
        }
        Some(_) => {}
    }
}

/// Rule 13.
pub(super) fn host_of_the_module(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workstation) = &facts.file.workstation else { return };
    let powershell: &[u32] = if facts.file.era() == Era::Of2016 { &[2, 0] } else { &[3, 0] };
    for (what, version, least) in
        [("PowerShell", &workstation.powershell_version, powershell), (".NET Framework", &workstation.dot_net_version, &[4, 5][..])]
    {
        if let Some(version) = version
            && !version.is_at_least(least)
        {
            let least: Vec<String> = least.iter().map(u32::to_string).collect();
            report.refuse(version.at, format!("{what} {} is too old for the module", version.value), format!("install {} or later", least.join(".")));
        }
    }
}

/// Rule 14.
pub(super) fn account(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workstation) = &facts.file.workstation else { return };
    use AccountRole::{
        ComplianceAdministrator, ComplianceDataAdministrator, GlobalAdministrator, InformationProtectionAdministrator, ServiceAdministrator,
    };
    let may_connect: &[AccountRole] = match facts.file.era() {
        Era::Of2016 => &[GlobalAdministrator, ServiceAdministrator],
        Era::Current => {
            &[GlobalAdministrator, ServiceAdministrator, InformationProtectionAdministrator, ComplianceAdministrator, ComplianceDataAdministrator]
        }
    };
    if let Some(account) = &workstation.account
        && !may_connect.contains(&account.value)
    {
        let roles: Vec<&str> = may_connect.iter().map(|role| role.word()).collect();
        report.refuse(
            account.at,
            format!("an account that is {} can't configure the tenant's key", account.value),
            format!("use one of: {}", roles.join(", ")),
        );
    }
    if let Some(at) = stated(workstation.uses_credential.as_ref(), true)
        && stated(workstation.multi_factor.as_ref(), true).is_some()
    {
        report.refuse(at, "`-Credential` does not work for an account that signs in with more than a password", "sign in at the prompt");
    }
}

/// Rule 15.
pub(super) fn network(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(network) = &facts.file.network else {
        return report.ask(facts.file.at, "how is the service reached? (`[network]`)");
    };
    if let Some(at) = stated(Some(&network.inspects_tls), true) {
        report.refuse(at, "something on the way opens TLS to aadrm.com, which breaks the pinning of certificates", "make an exception for aadrm.com");
    }
    if let Some(at) = stated(Some(&network.port_443), false) {
        report.refuse(at, "port 443 to the service is closed", "open it");
    }
    if let Some(proxy) = &network.proxy
        && proxy.value == ProxyAuthentication::Password
    {
        report.refuse(proxy.at, "the proxy asks for a password", "use integrated Windows authentication, or no authentication for the service");
    }
}

/// Rule 20.
pub(super) fn automatic_activation(facts: &Facts<'_>, report: &mut Report<'_>) {
    let tenant = &facts.file.tenant;
    let is_off = stated(tenant.automatic_activation_off.as_ref(), true).is_some();
    if tenant.activated.value || is_off || facts.file.era() == Era::Of2016 {
        return;
    }
    let exchange_online = facts.file.services.as_ref().and_then(|services| stated(services.exchange_online.as_ref(), true));
    match &tenant.subscribed {
        // Days in this form compare as text.
        Some(day) if day.as_str() >= ACTIVATED_BY_THEMSELVES_SINCE => report.refuse(
            day.at,
            "subscriptions since the end of February 2018 are activated by themselves, and nothing says that this one was deactivated",
            "run `Disable-AipService`, and say `automatic-activation-off = true`",
        ),
        _ if exchange_online.is_some() => report.refuse(
            exchange_online.unwrap_or_default(),
            "tenants with Exchange Online are activated by themselves since August 2018",
            "run `Set-IRMConfiguration -AutomaticServiceUpdateEnabled $false`, and say `automatic-activation-off = true`",
        ),
        None => report.ask(tenant.at, "when did the subscription begin? (`subscribed`)"),
        Some(_) => {}
    }
}

/// Rule 37.
pub(super) fn activated_with_office_2010(facts: &Facts<'_>, report: &mut Report<'_>) {
    let tenant = &facts.file.tenant;
    let office_2010 = super::clients::uses_office(facts, Office::Office2010);
    if tenant.activated.value && office_2010.is_some() && tenant.managed.value == Managed::Customer {
        report.warn(
            tenant.activated.at,
            "the service is activated, users run Office 2010, and the customer is to keep the key",
            "ask the support of the service before the key is transferred",
        );
    }
}

/// Rule 83.
pub(super) fn content_of_the_tenants_own_key(facts: &Facts<'_>, report: &mut Report<'_>) {
    let tenant = &facts.file.tenant;
    if !tenant.activated.value {
        return;
    }
    match &tenant.content_protected {
        None => report.ask(tenant.activated.at, "may users have protected documents with the tenant's own key already? (`content-protected`)"),
        Some(protected) if protected.value => report.warn(
            protected.at,
            "documents may be protected with the tenant's own key already, often on computers that are seldom connected",
            "find these computers, and initialise rights management anew on them",
        ),
        Some(_) => {}
    }
}

/// Rule 84.
pub(super) fn templates_of_the_tenant(facts: &Facts<'_>, report: &mut Report<'_>) {
    let tenant = &facts.file.tenant;
    let Some(count) = tenant.custom_templates.as_ref().filter(|count| count.value > 0) else { return };
    if tenant.activated.value && stated(tenant.custom_templates_exported.as_ref(), true).is_none() {
        report.refuse(
            count.at,
            format!("{} templates of the activated tenant are not available after the migration, even if they are published", count.value),
            "export each (`Export-AadrmTemplate`), import it again after the migration, and say `custom-templates-exported = true` (rule 130)",
        );
    }
}

/// Rule 160. What stands before `/_wmcs/licensing` in the service's own configuration.
pub(super) fn url(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(url) = &facts.file.tenant.url else { return };
    let region = facts.file.tenant.region.value;
    let host = url.host();
    let rest = host.split_once(".rms.").filter(|(id, _)| id.parse::<Guid>().is_ok()).map(|(_, rest)| rest);
    let fits = match region.word() {
        "us" => rest == Some("aadrm.us"),
        "cn" => rest == Some("aadrm.cn"),
        word => rest == Some(&format!("{word}.aadrm.com")),
    };
    if !fits {
        report.refuse(
            url.at,
            format!("'{}' is not the URL of a tenant in the region {region}", url.as_str().trim()),
            "take `LicensingIntranetDistributionPointUrl` of the tenant's configuration without `/_wmcs/licensing`: https://<GUID>.rms.<region>.aadrm.com",
        );
    }
}

/// Whether the keyring has an active key that is none of the exported ones.
pub(super) fn has_foreign_active_key(facts: &Facts<'_>) -> bool {
    facts.tenant.as_ref().is_some_and(|tenant| {
        tenant.keys.iter().any(|(id, status)| *status == KeyStatus::Active && !facts.domains.iter().any(|domain| domain.key_id == *id))
    })
}
