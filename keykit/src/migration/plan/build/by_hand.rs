//! Steps that people do by hand: keykit reaches neither the service nor other computers.

use super::PlannedTransfer;
use super::process::Known;
use crate::key::KeyId;
use crate::migration::file::{ClusterKind, MigrationFile, PowerShellModule};
use crate::migration::plan::{Action, OmittedStep, PlannedKey, Step};
use crate::migration::rules::Step as Documented;
use crate::tenant::Era;

/// A step by hand.
#[derive(Debug, Clone)]
pub(super) struct ByHand {
    /// Its name, after `manual/`.
    pub(super) name: String,
    pub(super) documented: Documented,
    pub(super) rules: &'static [u16],
    pub(super) instruction: String,
    pub(super) inputs: Vec<String>,
    pub(super) effects: Vec<String>,
    /// How a person takes it back.
    pub(super) undo: String,
}

fn step(documented: Documented, rules: &'static [u16], name: impl Into<String>, instruction: impl Into<String>) -> ByHand {
    let (name, instruction) = (name.into(), instruction.into());
    ByHand { name, documented, rules, instruction, inputs: Vec::new(), effects: Vec::new(), undo: String::new() }
}

impl ByHand {
    fn with(mut self, inputs: &[String], effects: &[&str], undo: &str) -> Self {
        self.inputs = inputs.to_vec();
        self.effects = effects.iter().map(|effect| (*effect).to_owned()).collect();
        self.undo = undo.to_owned();
        self
    }
}

/// The name of a cmdlet in the module of the workstation.
fn cmdlet(file: &MigrationFile, verb: &str, noun: &str) -> String {
    let is_old = file.workstation.as_ref().map_or(file.era() == Era::Of2016, |workstation| workstation.module.value == PowerShellModule::Aadrm);
    format!("{verb}-{}{noun}", if is_old { "Aadrm" } else { "AipService" })
}

/// The name of a cmdlet that is about the service itself.
fn service_cmdlet(file: &MigrationFile, verb: &str) -> String {
    let name = cmdlet(file, verb, "");
    if verb == "Connect" && name.ends_with("Aadrm") { format!("{name}Service") } else { name }
}

fn tenant_of(known: &Known<'_>) -> String {
    let tenant = &known.migration.tenant;
    let url = tenant.url.as_ref().map_or(String::new(), |url| format!(", {}", url.value));
    format!("tenant {} ({}{url})", tenant.name.value, tenant.id.value)
}

/// Step 1.
pub(super) fn tools(known: &Known<'_>) -> Vec<ByHand> {
    let Some(workstation) = &known.migration.workstation else { return Vec::new() };
    let module = workstation.module_version.as_ref().map_or_else(
        || format!("the module {}", workstation.module.value),
        |version| format!("the module {} {}", workstation.module.value, version.value),
    );
    let connect = service_cmdlet(known.migration, "Connect");
    let show = cmdlet(known.migration, "Get", "Configuration");
    let text = format!("install {module} on the workstation, connect with {connect}, and compare the URL that {show} shows with that of the plan");
    let one = step(Documented::Tools, &[12, 13, 14, 15, 160], "module", text);
    vec![one.with(
        &[module, tenant_of(known)],
        &["the workstation speaks to this tenant and to no other"],
        "disconnect; a module that is installed changes nothing",
    )]
}

/// Steps 2 and 3.
pub(super) fn preparation(known: &Known<'_>) -> Vec<ByHand> {
    let migration = known.migration;
    let mut steps = Vec::new();
    if let Some(onboarding) = &migration.onboarding {
        let (group, policy) = (onboarding.group_id.value.to_string(), cmdlet(migration, "Set", "OnboardingControlPolicy"));
        let text = format!("make the empty security group {group} and run {policy} -UseRmsUserLicense $False -SecurityGroupObjectId {group}");
        steps.push(step(Documented::PrepareClients, &[85, 150, 151, 152], "onboarding", text).with(
            &[format!("the group {group}"), tenant_of(known)],
            &["nobody but the members of the group can protect with the new service"],
            "the same cmdlet without the group lets everybody protect",
        ));
        if migration.clients.is_some() {
            let text = "deploy Prepare-Client.ps1 of the artefacts to all Windows computers, before the first user moves";
            steps.push(step(Documented::PrepareClients, &[153, 154], "prepare-clients", text).with(
                &["Prepare-Client.ps1".to_owned()],
                &["computers of users who have not moved stay with AD RMS, also for what others protect with the new service"],
                "unprepare-machine.reg takes the values away",
            ));
        }
    }
    if let Some(services) = &migration.services
        && !services.exchange_server.is_empty()
    {
        let text = "tell the Exchange servers the tenant's URL: Set-IRMConfiguration -LicensingLocation, and LicenseServerRedirection from the tenant to AD RMS";
        steps.push(step(Documented::PrepareExchange, &[185, 186], "prepare-exchange", text).with(
            &versions(&services.exchange_server, "Exchange"),
            &["Exchange opens what users protect who have moved already"],
            "take the URL and the redirection away again",
        ));
    }
    steps
}

/// A transfer file goes to its receiver.
pub(super) fn import_package(key: &PlannedKey, file: &str, transfer: &PlannedTransfer) -> ByHand {
    let short = key.key_id.short();
    let text = format!("bring {file} to {} by the commands that make-package/{short} printed, and compare the public key there with {}", transfer.profile, key.key_id);
    step(Documented::Keys, &[69, 105, 107, 108], format!("import-package/{short}"), text).with(
        &[file.to_owned()],
        &["the receiver holds the key; the service is given its URL, with the version, when the domain is imported without its key"],
        "disable the key at its receiver; the source is as it was",
    )
}

/// The active key of a service that keykit does not reach.
pub(super) fn activate_key(id: &KeyId) -> ByHand {
    let text = format!("import the domains without their keys with the URLs of the keys, then make the key {id} the active one with Set-AipServiceKeyProperties -Active $true");
    step(Documented::Keys, &[55, 56, 113, 117, 118], format!("activate-key/{}", id.short()), text).with(
        &[format!("the key {id}")],
        &["this key is active in the service; every other one is archived"],
        "make the key active that was so before (rule 121)",
    )
}

/// Step 5.
pub(super) fn service(known: &Known<'_>) -> Vec<ByHand> {
    let tenant = &known.migration.tenant;
    if tenant.activated.value {
        return Vec::new();
    }
    let text = format!("activate the service for {} with {}", tenant.name.value, service_cmdlet(known.migration, "Enable"));
    vec![step(Documented::Activate, &[20, 82, 85], "activate-service", text).with(
        &[tenant_of(known)],
        &["users can protect with the new service, as far as onboarding controls let them"],
        "the Disable cmdlet of the module deactivates it",
    )]
}

/// Step 6, after the templates that keykit publishes.
pub(super) fn templates(known: &Known<'_>) -> Vec<ByHand> {
    let migration = known.migration;
    let mut steps = Vec::new();
    for choice in migration.template.iter().filter(|choice| choice.publish.as_ref().is_some_and(|publish| publish.value)) {
        let id = choice.id.value.to_string();
        if choice.replace_anyone_with.is_empty() || !known.has_template(&id) {
            continue;
        }
        let names: Vec<&str> = choice.replace_anyone_with.iter().map(|name| name.value.as_str()).collect();
        let text = format!("give the rights that ANYONE had in the template {id} to {}, then publish it", names.join(", "));
        steps.push(step(Documented::Templates, &[131, 133, 134, 135, 137, 138], format!("template/{id}"), text).with(
            &[format!("the template {id}")],
            &["the template is published and says something else than what was exported, as it is to"],
            "archive it: `keykit tenant template archive`",
        ));
    }
    steps.extend(own_templates(known));
    steps
}

/// Templates that an activated tenant had before.
fn own_templates(known: &Known<'_>) -> Option<ByHand> {
    let count = known.migration.tenant.custom_templates.as_ref().map_or(0, |count| count.value);
    (count > 0).then(|| {
        let (export, import) = (cmdlet(known.migration, "Export", "Template"), cmdlet(known.migration, "Import", "Template"));
        let text = format!("import the {count} templates that the tenant had before the migration again: {export} before, {import} now");
        step(Documented::Templates, &[84, 130, 143], "own-templates", text).with(
            &[format!("{count} exported templates")],
            &["the tenant's own templates are offered again, under their GUIDs"],
            "archive them",
        )
    })
}

/// Step 6 in a service that keykit does not reach.
pub(super) fn templates_of_a_service(known: &Known<'_>) -> Vec<ByHand> {
    let mut steps = Vec::new();
    let plain = known.templates_to_publish();
    if !plain.is_empty() {
        let text = format!("publish the templates {} with {}", plain.join(", "), cmdlet(known.migration, "Set", "TemplateProperty"));
        steps.push(step(Documented::Templates, &[119, 131, 137], "publish-templates", text).with(
            &plain,
            &["users are offered these templates"],
            "set their status to Archived",
        ));
    }
    steps.extend(templates(known));
    steps
}

/// Step 7.
pub(super) fn clients(known: &Known<'_>) -> Vec<ByHand> {
    let migration = known.migration;
    let scripts = ["Migrate-Client.ps1".to_owned(), "Migrate-User.ps1".to_owned()];
    let undo = "Rollback-User.ps1, Rollback-Client.ps1, and out of the group again";
    let mut steps: Vec<ByHand> = migration
        .batch
        .iter()
        .map(|batch| {
            let text = format!(
                "move the {} users of the batch '{}': into the onboarding group, then Migrate-Client.ps1 on their computers and Migrate-User.ps1 at their logon",
                batch.users.value, batch.name.value
            );
            step(Documented::Clients, &[161, 162, 164, 165, 166, 167], format!("users/{}", batch.name.value), text).with(
                &scripts,
                &["these users protect with the new service"],
                undo,
            )
        })
        .collect();
    if let Some(clients) = &migration.clients {
        if migration.batch.is_empty() {
            let text = "move all users: Migrate-Client.ps1 on their computers, then Migrate-User.ps1 at their logon";
            steps.push(step(Documented::Clients, &[161, 162, 164, 165, 166], "users", text).with(
                &scripts,
                &["all users protect with the new service"],
                undo,
            ));
        }
        if clients.mac.is_some() {
            let text = "on each Mac: delete the keychain entries of 'adal' and the caches of rights management, then sign in again";
            steps.push(step(Documented::Clients, &[168], "macs", text).with(
                &["Macs with Office".to_owned()],
                &["Macs ask the new service"],
                "sign in to AD RMS again, while it runs",
            ));
        }
    }
    steps
}

/// Steps 8 and 9.
pub(super) fn services(known: &Known<'_>) -> Vec<ByHand> {
    let migration = known.migration;
    let mut steps = Vec::new();
    let Some(services) = &migration.services else { return connector(migration) };
    if services.exchange_online.as_ref().is_some_and(|used| used.value) {
        let text = "switch rights management in Exchange Online to the new service: Set-IRMConfiguration -AzureRMSLicensingEnabled $true, then Test-IRMConfiguration";
        steps.push(step(Documented::ExchangeOnline, &[25, 187, 188, 189, 191], "exchange-online", text).with(
            &["Exchange Online".to_owned(), tenant_of(known)],
            &["Exchange Online opens and protects mail with the new service"],
            "Set-IRMConfiguration -AzureRMSLicensingEnabled $false",
        ));
    }
    steps.extend(connector(migration));
    let mut servers = versions(&services.exchange_server, "Exchange");
    servers.extend(versions(&services.sharepoint_server, "SharePoint"));
    servers.extend(versions(&services.file_classification, "file server on"));
    if !servers.is_empty() {
        let text = "switch rights management off in these servers, configure them for the connector, and switch it on again; the values of step 3 go";
        steps.push(step(Documented::Servers, &[11, 195, 197, 198, 199, 200, 201, 207], "servers", text).with(
            &servers,
            &["the servers open and protect through the connector"],
            "the connector's values go, those of AD RMS come back, while it runs",
        ));
    }
    steps
}

fn connector(migration: &MigrationFile) -> Vec<ByHand> {
    let Some(connector) = &migration.connector else { return Vec::new() };
    let text = "install the connector and enter the servers that may use it";
    vec![step(Documented::Servers, &[157, 195, 196, 202, 204, 206], "connector", text).with(
        &[format!("{} computers with {}", connector.computers.value, connector.operating_system.value)],
        &["servers inside reach the new service"],
        "remove the connector; no server uses it yet",
    )]
}

/// Step 10.
pub(super) fn decommission(known: &Known<'_>) -> Vec<ByHand> {
    if known.migration.decommission.is_none() {
        return Vec::new();
    }
    let roots: Vec<String> = known
        .migration
        .clusters()
        .map(|(_, cluster)| {
            let kind = if cluster.kind.value == ClusterKind::Root { "cluster" } else { "licensing-only cluster" };
            format!("{kind} {}", cluster.name.value)
        })
        .collect();
    let text = "take AD RMS out of service: the service connection point first; keep its keys, backups and passwords as long as anybody may need them";
    vec![step(Documented::Decommission, &[18, 38, 182, 210, 211, 212, 213], "decommission", text).with(
        &roots,
        &["nobody asks AD RMS any more; what it protected opens with the tenant's keys"],
        "restore AD RMS from its backup, and enter the connection point again",
    )]
}

/// Step 11.
pub(super) fn completion(known: &Known<'_>) -> Vec<ByHand> {
    let migration = known.migration;
    let mut steps = Vec::new();
    let mobile = migration.clients.as_ref().is_some_and(|clients| clients.mobile_extension.as_ref().is_some_and(|used| used.value));
    if mobile {
        let domains: Vec<String> =
            migration.organisation.email_domains.iter().map(|domain| format!("_rmsdisco._http._tcp.{}", domain.value)).collect();
        let text = "remove the SRV records of the mobile device extension, one for each e-mail domain and one for that of the cluster";
        steps.push(step(Documented::Complete, &[168], "mobile-records", text).with(
            &domains,
            &["phones and Macs find the new service"],
            "enter the records again, while AD RMS runs",
        ));
    }
    if migration.onboarding.is_some() {
        let policy = cmdlet(migration, "Set", "OnboardingControlPolicy");
        let text = format!("remove the onboarding controls: {policy} -UseRmsUserLicense $False, then check that no group is left in it, then delete the group");
        steps.push(step(Documented::Complete, &[156], "onboarding-removal", text).with(
            &[tenant_of(known)],
            &["everybody can protect with the new service"],
            "make the group and the policy of step 2 again",
        ));
    }
    steps
}

/// Step 12 in a service that keykit does not reach.
pub(super) fn rekey_of_a_service(bits: usize) -> ByHand {
    let text = format!("make a new key of {bits} bits at the receiver, give the service its URL with Use-AipServiceKeyVaultKey, and make it the active one");
    step(Documented::Rekey, &[113, 119, 215, 216, 217, 218], "rekey", text).with(
        &["the key that is active now".to_owned()],
        &["the new key is active; every other one is archived, and opens what it protected"],
        "make the key active that was so before",
    )
}

fn versions<T: ToString>(values: &[crate::migration::file::Placed<T>], what: &str) -> Vec<String> {
    values.iter().map(|version| format!("{what} {}", version.value.to_string())).collect()
}

/// The steps of the documented process that this plan does nothing for, and why.
pub(super) fn omitted(known: &Known<'_>, steps: &[Step]) -> Vec<OmittedStep> {
    let migration = known.migration;
    let all_at_once = migration.batch.len() < 2;
    let reasons: [(Documented, bool, &str); 12] = [
        (Documented::Tools, true, "the migration file has no [workstation] table"),
        if migration.onboarding.is_none() && all_at_once {
            (Documented::PrepareClients, false, "all users move at once: there are no controls, and nothing to prepare (rule 155)")
        } else {
            (Documented::PrepareClients, true, "users move in batches, and the migration file has no [onboarding] table")
        },
        match &migration.services {
            None => (Documented::PrepareExchange, true, "the migration file has no [services] table"),
            Some(_) => (Documented::PrepareExchange, false, "no Exchange server uses rights management"),
        },
        (Documented::Keys, false, ""),
        (Documented::Activate, false, "the service is activated already (rules 5, 83, 84)"),
        match known.keys.iter().all(|key| key.templates.is_empty()) {
            true => (Documented::Templates, false, "the exported domains hold no template"),
            false => (Documented::Templates, true, "the migration file publishes none of the templates: they stay archived (rule 131)"),
        },
        (Documented::Clients, true, "the migration file has neither a [clients] table nor batches of users"),
        match &migration.services {
            None => (Documented::ExchangeOnline, true, "the migration file has no [services] table"),
            Some(_) => (Documented::ExchangeOnline, false, "Exchange Online is not in use"),
        },
        match &migration.services {
            None => (Documented::Servers, true, "the migration file has no [services] table"),
            Some(_) => (Documented::Servers, false, "no server uses rights management"),
        },
        (Documented::Decommission, true, "the migration file has no [decommission] table, and AD RMS must not run on beside the new service (rule 18)"),
        (Documented::Complete, false, "there are no controls and no records to remove"),
        match &migration.rekey {
            None => (Documented::Rekey, false, "the migration file asks for no new key, and no rule demands one"),
            Some(_) => (Documented::Rekey, false, "the migration file says that no new key follows"),
        },
    ];
    let has = |documented: Documented| {
        steps.iter().any(|step| step.documented == documented && !matches!(step.action, Action::Verify { .. } | Action::WriteArtefacts { .. }))
    };
    let omitted = reasons.into_iter().filter(|(documented, ..)| !has(*documented));
    omitted.map(|(documented, is_open, why)| OmittedStep { documented, is_open, why: why.to_owned() }).collect()
}
