//! `keykit tenant template`: rights templates.

use std::path::{Path, PathBuf};

use keykit::durable;
use keykit::licence::{RightsChange, UsageRight};
use keykit::store::KeyStore;
use keykit::tenant::{Imported, TemplateAddition, TemplateChange, TenantKeyring, TenantTemplate, template_warnings};
use keykit::xrml::{self, RightsTemplate};
use keykit::{Error, Result};
use serde::Serialize;

use super::{ShownTemplate, ShownWarning, TEMPLATE_HEADING, shown_warnings, tell, template_rows, word};
use crate::arguments::{TemplateCommand, TokenSecrets};
use crate::output::{Output, say, table, warn};
use crate::rights::{self, ShownRight};
use crate::stores;

/// Largest template file that is read, in bytes.
const LIMIT: u64 = 16 << 20;

#[derive(Debug, Serialize)]
struct Listed {
    templates: Vec<ShownTemplate>,
}

#[derive(Debug, Serialize)]
struct ImportedTemplates {
    templates: Vec<ImportedTemplate>,
}

#[derive(Debug, Serialize)]
struct ImportedTemplate {
    id: String,
    name: String,
    outcome: Imported,
    overwritten: Vec<String>,
    warnings: Vec<ShownWarning>,
}

/// A template with what is in it.
#[derive(Debug, Serialize)]
struct Detailed {
    #[serde(flatten)]
    template: ShownTemplate,
    names: Vec<Name>,
    rights: Vec<ShownRight>,
    issued: Option<String>,
    signature_ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<bool>,
    warnings: Vec<ShownWarning>,
}

#[derive(Debug, Serialize)]
struct Name {
    lcid: u32,
    name: String,
    description: String,
}

/// Runs `keykit tenant template …`.
pub(super) fn run(command: &TemplateCommand, output: Output) -> Result<()> {
    match command {
        TemplateCommand::Import { files, tenant, overwrite } => import(&mut super::open(tenant)?, files, *overwrite, output),
        TemplateCommand::List { tenant } => {
            let templates = Listed { templates: super::open(tenant)?.templates().iter().map(ShownTemplate::of).collect() };
            output.result("tenant-template-list", &templates, || match template_rows(&templates.templates).as_slice() {
                [] => "no templates yet".to_owned(),
                rows => table(TEMPLATE_HEADING, rows),
            })
        }
        TemplateCommand::Show { guid, tenant } => {
            let keyring = super::open(tenant)?;
            let template = keyring.template(guid)?.clone();
            let warnings = template_warnings(&TemplateAddition::read(keyring.template_document(&template)?.text())?);
            detail("tenant-template-show", &keyring, &template, None, &warnings, output)
        }
        TemplateCommand::Publish { guid, tenant, secrets } => {
            let mut keyring = super::open(tenant)?;
            let store = store_of_active(&keyring, secrets)?;
            let change = keyring.publish_template(guid, store.as_ref())?;
            changed("tenant-template-publish", &keyring, &change, output)
        }
        TemplateCommand::Archive { guid, tenant } => {
            let mut keyring = super::open(tenant)?;
            let change = keyring.archive_template(guid)?;
            changed("tenant-template-archive", &keyring, &change, output)
        }
        TemplateCommand::Edit { guid, tenant, grant, revoke, secrets } => {
            let granted = grant.iter().map(|text| {
                let (holder, names) = rights::parse(text, 138, UsageRight::is_in_rights_definitions)?;
                Ok(RightsChange::Grant(holder, names))
            });
            let revoked = revoke.iter().map(|text| {
                let (holder, names) = rights::parse_revoked(text)?;
                Ok(RightsChange::Revoke(holder, names))
            });
            let changes = granted.chain(revoked).collect::<Result<Vec<_>>>()?;
            let mut keyring = super::open(tenant)?;
            let store = store_of_active(&keyring, secrets)?;
            let change = keyring.edit_template(guid, &changes, store.as_ref())?;
            changed("tenant-template-edit", &keyring, &change, output)
        }
    }
}

fn store_of_active(keyring: &TenantKeyring, secrets: &TokenSecrets) -> Result<Box<dyn KeyStore>> {
    let active = keyring.active().ok_or_else(|| Error::NotFound {
        what: "the tenant has no active key that could sign a template".into(),
        hint: Some("make one active with `keykit tenant activate KEY --tenant DIR`".into()),
    })?;
    stores::of_tenant_key(keyring, active, &secrets.keyring, secrets.pin_source.as_deref())
}

fn import(keyring: &mut TenantKeyring, files: &[PathBuf], overwrite: bool, output: Output) -> Result<()> {
    let mut additions = Vec::new();
    for file in files {
        additions.extend(read(file).map_err(|error| error.in_file(file))?);
    }
    let imports = keyring.import_templates(&additions, overwrite)?;
    for import in &imports {
        for what in &import.overwritten {
            warn(format!("template '{}' ({}) was overwritten: {what} (rule 143)", import.name, import.id));
        }
        tell(&import.warnings);
    }
    if imports.iter().all(|import| import.outcome == Imported::Unchanged) {
        say("nothing changed: the tenant had these templates already");
    } else {
        say("imported templates are archived: publish those that users are to have with `keykit tenant template publish GUID` (rule 131)");
    }
    let imported = ImportedTemplates {
        templates: imports
            .into_iter()
            .map(|import| ImportedTemplate {
                id: import.id,
                name: import.name,
                outcome: import.outcome,
                overwritten: import.overwritten,
                warnings: shown_warnings(&import.warnings),
            })
            .collect(),
    };
    output.result("tenant-template-import", &imported, || {
        let rows: Vec<Vec<String>> =
            imported.templates.iter().map(|template| vec![template.id.clone(), template.name.clone(), word(&template.outcome)]).collect();
        table(&["TEMPLATE", "NAME", "RESULT"], &rows)
    })
}

/// The templates of a file.
fn read(file: &Path) -> Result<Vec<TemplateAddition>> {
    let bytes = durable::read(file, LIMIT, "rights template")?;
    let documents = xrml::documents_in(&bytes)?;
    let templates = documents.iter().map(|document| TemplateAddition::read(document.text())).collect::<Result<Vec<_>>>()?;
    if templates.is_empty() {
        return Err(Error::malformed("rights template", "no document in it"));
    }
    for template in &templates {
        if !template.check_signature()? {
            warn(format!("the template '{}' ({}) is not signed: look at it before you publish it", template.name, template.id));
        }
    }
    Ok(templates)
}

fn changed(schema: &str, keyring: &TenantKeyring, change: &TemplateChange, output: Output) -> Result<()> {
    let (id, status) = (&change.template.id, word(&change.template.status));
    say(match (change.changed, change.template.signed_by) {
        (false, _) => format!("the template {id} was so already; nothing changed"),
        (true, Some(key)) => format!("the template {id} is {status} and signed by {}", key.short()),
        (true, None) => format!("the template {id} is {status}"),
    });
    detail(schema, keyring, &change.template, Some(change.changed), &change.warnings, output)
}

fn detail(
    schema: &str,
    keyring: &TenantKeyring,
    template: &TenantTemplate,
    changed: Option<bool>,
    warnings: &[(u16, String)],
    output: Output,
) -> Result<()> {
    tell(warnings);
    let document = keyring.template_document(template)?;
    let names = RightsTemplate::of(&document)?.names;
    let detailed = Detailed {
        template: ShownTemplate::of(template),
        names: names.into_iter().map(|(lcid, name)| Name { lcid, name: name.name, description: name.description }).collect(),
        rights: document.rights().iter().map(ShownRight::of).collect(),
        issued: document.issued().map(|time| time.to_string()),
        signature_ok: document.check_signature().is_sound(),
        changed,
        warnings: shown_warnings(warnings),
    };
    output.result(schema, &detailed, || {
        let names = detailed.names.iter().map(|name| format!("  {}: {} ({})", name.lcid, name.name, name.description));
        let rights = detailed.rights.iter().map(|right| format!("  {}", right.line()));
        let mut lines = vec![table(TEMPLATE_HEADING, &template_rows(std::slice::from_ref(&detailed.template))), "names".to_owned()];
        lines.extend(names);
        lines.push("rights".to_owned());
        lines.extend(rights);
        if !detailed.signature_ok {
            lines.push("THE SIGNATURE DOES NOT VERIFY".to_owned());
        }
        lines.join("\n")
    })
}
