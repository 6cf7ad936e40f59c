//! The tables of a migration file that say who and what is affected: partners, directory, servers, clients, users.

use std::fmt;

use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::reader::{
    Field, FieldDescription, Need, Placed, Position, Reader, Table, TableDescription, Value, key_of, not_one_of, one_of, table, words,
};
use super::systems::{Office, Windows};
use super::values::{DomainName, ServerUrl, Version};
use crate::xrml::Guid;

table! {
    /// An organisation that exchanges protected documents with this one (rules 24, 28).
    pub struct Partner {
        /// Name.
        name: Placed<String>,
        /// How its AD RMS is trusted now.
        trust: Placed<PartnerTrust>,
        /// When it migrates.
        migrates: Placed<PartnerMigration>,
        /// Whether it has a tenant with the service.
        has_tenant: Option<Placed<bool>>,
        /// Whether the service of that tenant is activated already.
        activated: Option<Placed<bool>>,
        /// Whether its keys are imported into its own tenant before users move here.
        keys_imported: Option<Placed<bool>>,
        /// URL of its AD RMS cluster.
        cluster_url: Option<Placed<ServerUrl>>,
        /// URL of its tenant.
        tenant_url: Option<Placed<ServerUrl>>,
    }
}

words! {
    /// How a partner's AD RMS is trusted.
    pub enum PartnerTrust {
        /// A trusted user domain
        TrustedUserDomain = "trusted-user-domain",
        /// Federation
        Federation = "federation",
    }
}

words! {
    /// When a partner migrates.
    pub enum PartnerMigration {
        /// It has migrated
        Before = "before",
        /// At the same time
        Together = "together",
        /// Later
        Later = "later",
        /// Not at all
        Never = "never",
    }
}

table! {
    /// The directory and its synchronisation (rules 6–10, 39).
    pub struct Directory {
        /// Whether the directory is synchronised with that of the tenant.
        synchronised: Placed<bool>,
        /// Attributes of users that are synchronised.
        attributes: Vec<Placed<DirectoryAttribute>>,
        /// Whether people who changed their address keep the old one as a proxy address.
        old_addresses_kept: Option<Placed<bool>>,
        /// Whether everyone who may get protected content has an account that the service knows.
        recipients_have_accounts: Option<Placed<bool>>,
        /// Groups that rights are granted to.
        group: Vec<Group>,
    }
}

words! {
    /// Attributes that rights are decided by (rule 8).
    pub enum DirectoryAttribute {
        /// `mail`
        Mail = "mail",
        /// `proxyAddresses`
        ProxyAddresses = "proxyAddresses",
        /// `userPrincipalName`
        UserPrincipalName = "userPrincipalName",
    }
}

table! {
    /// A group that rights are granted to (rule 7).
    pub struct Group {
        /// Its address.
        address: Placed<String>,
        /// What it is.
        kind: Placed<GroupKind>,
    }
}

words! {
    /// Kinds of groups.
    pub enum GroupKind {
        /// A security group
        Security = "security",
        /// A security group with an address
        MailEnabledSecurity = "mail-enabled-security",
        /// A distribution group
        Distribution = "distribution",
        /// A dynamic distribution list
        DynamicDistribution = "dynamic-distribution",
    }
}

table! {
    /// Exchange, SharePoint and classified files.
    pub struct Services {
        /// Whether Exchange Online is in use (rule 25).
        exchange_online: Option<Placed<bool>>,
        /// Whether Exchange Online was used with AD RMS, by a trusted publishing domain that was imported into it (rules 187, 190).
        exchange_online_with_ad_rms: Option<Placed<bool>>,
        /// Whether that domain is removed from Exchange Online first (rule 187).
        exchange_online_domain_removed: Option<Placed<bool>>,
        /// Versions of Exchange Server that use rights management.
        exchange_server: Vec<Placed<ExchangeServer>>,
        /// Versions of SharePoint Server that use rights management.
        sharepoint_server: Vec<Placed<SharePointServer>>,
        /// File servers that protect classified files.
        file_classification: Vec<Placed<Windows>>,
        /// When rights management in these servers is out of order, in words (rule 11).
        outage_window: Option<Placed<String>>,
        /// Whether documents in protected libraries of SharePoint are checked out (rule 200).
        documents_checked_out: Option<Placed<bool>>,
        /// Version of the MSIPC client on SharePoint servers (rule 197).
        msipc_version: Option<Placed<Version>>,
        /// Account that SharePoint runs under, `DOMAIN\\NAME`: its folder of licences is emptied (rule 200).
        sharepoint_account: Option<Placed<String>>,
        /// Address of a user for `Test-IRMConfiguration`. Without it: asked for.
        test_sender: Option<Placed<String>>,
    }
}

words! {
    /// Versions of Exchange Server (rule 195).
    pub enum ExchangeServer {
        /// Exchange 2007 or older
        Exchange2007OrOlder = "2007-or-older",
        /// Exchange 2010 before SP3 RU6
        Exchange2010Old = "2010-before-sp3-ru6",
        /// Exchange 2010 with SP3 RU6 or later
        Exchange2010 = "2010",
        /// Exchange 2013 before CU3
        Exchange2013Old = "2013-before-cu3",
        /// Exchange 2013 with CU3 or later
        Exchange2013 = "2013",
        /// Exchange 2016
        Exchange2016 = "2016",
        /// Exchange 2019
        Exchange2019 = "2019",
    }
}

words! {
    /// Versions of SharePoint Server (rule 195).
    pub enum SharePointServer {
        /// SharePoint 2007 or older
        SharePoint2007OrOlder = "2007-or-older",
        /// SharePoint 2010
        SharePoint2010 = "2010",
        /// SharePoint 2013
        SharePoint2013 = "2013",
        /// SharePoint 2016
        SharePoint2016 = "2016",
        /// SharePoint 2019
        SharePoint2019 = "2019",
    }
}

table! {
    /// The connector between servers and the new service (rules 195–207).
    pub struct Connector {
        /// Its URL: scheme and load-balanced name, as servers reach it.
        url: Option<Placed<ServerUrl>>,
        /// Proxy through which it reaches the service, `http://HOST:PORT` (rule 204).
        proxy_url: Option<Placed<ServerUrl>>,
        /// How many computers it runs on.
        computers: Placed<u32>,
        /// What they run.
        operating_system: Placed<Windows>,
        /// Roles that run on the same computers.
        shares_computers_with: Vec<Placed<ServerRole>>,
        /// Whether it reaches the Internet through a proxy that asks for a password.
        authenticating_proxy: Option<Placed<bool>>,
        /// Whether the account that installs it may use the service under the onboarding controls (rule 157).
        account_onboarded: Option<Placed<bool>>,
        /// Version of the .NET Framework.
        dot_net_version: Option<Placed<Version>>,
        /// Whether TLS 1.2 is on.
        tls_1_2: Option<Placed<bool>>,
        /// Whether servers are configured for it while rights management is still on in them (rule 198 says no).
        configured_before_disabling: Option<Placed<bool>>,
    }
}

table! {
    /// The DNS zones in which records are added and removed (rules 168, 172, 189).
    pub struct Dns {
        /// Zones. A record goes into the longest one that its name ends with; without any, into the domain above its host.
        zones: Vec<Placed<DomainName>>,
        /// DNS server that the scripts speak to. Without it: the computer that they run on.
        server: Option<Placed<DomainName>>,
        /// Seconds for which others may remember a record. Without it: 3600.
        time_to_live: Option<Placed<u32>>,
    }
}

words! {
    /// Roles that must not share a computer with the connector (rule 196).
    pub enum ServerRole {
        /// Exchange
        Exchange = "exchange",
        /// SharePoint
        SharePoint = "sharepoint",
        /// Classified files
        FileClassification = "file-classification",
        /// Domain controller
        DomainController = "domain-controller",
    }
}

table! {
    /// Computers and devices of users.
    pub struct Clients {
        /// Versions of Windows.
        windows: Vec<Placed<Windows>>,
        /// Versions of Office.
        office: Vec<Placed<Office>>,
        /// Oldest version of OS X or macOS.
        mac: Option<Placed<Version>>,
        /// Oldest version of iOS.
        ios: Option<Placed<Version>>,
        /// Oldest version of Android.
        android: Option<Placed<Version>>,
        /// Oldest version of Windows Phone or Windows 10 Mobile.
        windows_phone: Option<Placed<Version>>,
        /// Whether Office 2010 has the client that signs in to the service (rule 16).
        sign_in_client: Option<Placed<bool>>,
        /// How clients find the new service (rule 162).
        redirection: Option<Placed<Redirection>>,
        /// Group that is redirected by DNS first (rules 162, 170). Without it: all users.
        redirected_group: Option<Placed<String>>,
        /// Whether the scheduled task of templates is disabled on computers with Office 2010 (rule 173).
        template_task_disabled: Option<Placed<bool>>,
        /// Whether mobile devices use the extension of AD RMS for them (rule 168).
        mobile_extension: Option<Placed<bool>>,
        /// Other programs that protect or open documents and are not known to support the new service (rule 27).
        unsupported: Vec<Placed<String>>,
    }
}

words! {
    /// How clients find the new service (rule 162).
    pub enum Redirection {
        /// The registry
        Registry = "registry",
        /// DNS
        Dns = "dns",
        /// Registry for some, DNS for others
        Both = "both",
    }
}

table! {
    /// Controls that let users move in batches (rules 150–156).
    pub struct Onboarding {
        /// Object ID of the group of migrated users.
        group_id: Placed<Guid>,
        /// What that group is.
        group_kind: Placed<GroupKind>,
        /// How many members it has before the first batch.
        group_members: Placed<u32>,
        /// Whether a licence is demanded too.
        demand_licence: Option<Placed<bool>>,
        /// What the control applies to.
        scope: Option<Placed<OnboardingScope>>,
        /// Whether the preparing script is on all Windows computers before the first batch (rule 153).
        clients_prepared: Option<Placed<bool>>,
        /// In which order the controls are removed at the end (rule 156).
        removal: Vec<Placed<OnboardingRemoval>>,
    }
}

words! {
    /// What an onboarding control applies to (rule 151).
    pub enum OnboardingScope {
        /// Everything
        All = "all",
        /// Windows
        WindowsApp = "windows-app",
        /// Mobile devices
        MobileApp = "mobile-app",
    }
}

words! {
    /// Steps that remove the onboarding controls (rule 156).
    pub enum OnboardingRemoval {
        /// Reset the policy
        Policy = "policy",
        /// Check that it is reset
        Check = "check",
        /// Delete the group and the deployment of the script
        Group = "group",
    }
}

table! {
    /// Users that move together.
    pub struct Batch {
        /// Name.
        name: Placed<String>,
        /// How many.
        users: Placed<u32>,
        /// Their versions of Office, where they differ from the rest.
        office: Vec<Placed<Office>>,
    }
}

table! {
    /// The computer on which the documented cmdlets run (rules 12–14).
    pub struct Workstation {
        /// The PowerShell module.
        module: Placed<PowerShellModule>,
        /// Its version.
        module_version: Option<Placed<Version>>,
        /// Version of PowerShell.
        powershell_version: Option<Placed<Version>>,
        /// Version of the .NET Framework.
        dot_net_version: Option<Placed<Version>>,
        /// Role of the account that connects.
        account: Option<Placed<AccountRole>>,
        /// Whether the account signs in with more than a password.
        multi_factor: Option<Placed<bool>>,
        /// Whether the script gives the account's password (`-Credential`).
        uses_credential: Option<Placed<bool>>,
    }
}

words! {
    /// The PowerShell module of the service (rule 12).
    pub enum PowerShellModule {
        /// Until 2020
        Aadrm = "AADRM",
        /// Since
        AipService = "AIPService",
    }
}

words! {
    /// Roles of the account that connects (rule 14).
    pub enum AccountRole {
        /// Global administrator of the tenant
        GlobalAdministrator = "global-administrator",
        /// Administrator of the service
        ServiceAdministrator = "service-administrator",
        /// Administrator of Azure Information Protection
        InformationProtectionAdministrator = "information-protection-administrator",
        /// Compliance administrator
        ComplianceAdministrator = "compliance-administrator",
        /// Compliance data administrator
        ComplianceDataAdministrator = "compliance-data-administrator",
        /// Administrator of the connector only
        ConnectorAdministrator = "connector-administrator",
        /// A personal Microsoft account
        MicrosoftAccount = "microsoft-account",
        /// An account of another tenant
        OtherTenant = "other-tenant",
    }
}

table! {
    /// The way to the service (rule 15).
    pub struct Network {
        /// Whether something on the way opens TLS to `aadrm.com`.
        inspects_tls: Placed<bool>,
        /// Whether port 443 is open.
        port_443: Placed<bool>,
        /// How a proxy asks who is there.
        proxy: Option<Placed<ProxyAuthentication>>,
    }
}

words! {
    /// How a proxy asks who is there (rule 15).
    pub enum ProxyAuthentication {
        /// It does not ask
        None = "none",
        /// Integrated Windows authentication
        Integrated = "integrated",
        /// With a password
        Password = "password",
    }
}

table! {
    /// AD RMS goes on for old content only, because a key can't leave its module (rules 178–182).
    pub struct ReadOnlyMode {
        /// Oldest build of Office 2013.
        office_2013: Option<Placed<Version>>,
        /// Oldest build of Office 2016 from MSI packages.
        office_2016_msi: Option<Placed<Version>>,
        /// Oldest build of Office 2016 click-to-run.
        office_2016_click_to_run: Option<Placed<Version>>,
        /// Group that may protect with AD RMS no more, `DOMAIN\\NAME` (rule 179). Without it: everyone.
        denied_group: Option<Placed<String>>,
        /// Whether it was tested that old content opens and new can't be protected (rule 181).
        tested: Option<Placed<bool>>,
        /// Whether the service connection point is removed (rule 182).
        connection_point_removed: Option<Placed<bool>>,
    }
}

table! {
    /// The end of AD RMS (rules 210–213).
    pub struct Decommission {
        /// Whether it was watched that no client asks AD RMS any more (rule 211).
        activity_watched: Option<Placed<bool>>,
        /// Whether the service connection point is removed first (rule 210).
        connection_point_removed: Option<Placed<bool>>,
        /// Whether AD RMS goes on beside the new service after the migration (rule 18 says no).
        keep_running: Option<Placed<bool>>,
        /// Whether it comes before the new key (rule 213).
        before_rekey: Option<Placed<bool>>,
    }
}
