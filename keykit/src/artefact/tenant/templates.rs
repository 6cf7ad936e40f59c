//! Templates: the tenant's own saved before, the imported ones published, ANYONE replaced (rules 84, 130–138, 143).

use super::{ONLINE, connected, disconnect};
use crate::artefact::dialect::Dialect;
use crate::artefact::markdown::code;
use crate::artefact::power_shell::CommandLine;
use crate::artefact::run_book::{Place, RunBook, Step};
use crate::artefact::{Artefact, Stage};
use crate::error::Result;
use crate::migration::file::{MigrationFile, TemplateChoice};

/// Begins the address of the group of the whole tenant (rule 133).
const ALL_STAFF: &str = "AllStaff-7184AB3F-CCD1-46F3-8233-3E09E9CF0E66";
/// Where templates are saved, beside the run book.
const FOLDER: &str = r".\templates";

/// Run books of templates; none if there is nothing to do with any.
pub(super) fn artefacts(file: &MigrationFile) -> Result<Vec<Artefact>> {
    let mut files = Vec::new();
    let own = file.tenant.custom_templates.as_ref().is_some_and(|number| number.value > 0);
    if own {
        files.push(Artefact::run_book(
            Stage::Tools,
            "tenant/save-templates.md",
            "the tenant's own templates are saved before the import",
            &save(file)?,
        ));
    }
    let chosen: Vec<&TemplateChoice> =
        file.template.iter().filter(|template| is_published(template) || !template.replace_anyone_with.is_empty()).collect();
    if own || !chosen.is_empty() {
        files.push(Artefact::run_book(
            Stage::Templates,
            "tenant/templates.md",
            "templates get their rights and are published",
            &configure(file, own, &chosen)?,
        ));
        let back = back(file, own, &chosen)?;
        files
            .push(Artefact::run_book(Stage::Templates, "tenant/rollback-templates.md", "templates as they were imported, archived", &back).undoing());
    }
    Ok(files)
}

fn is_published(template: &TemplateChoice) -> bool {
    template.publish.as_ref().is_some_and(|publish| publish.value)
}

fn saved(id: &str) -> String {
    format!(r"{FOLDER}\{id}.xml")
}

/// Exports all templates into the folder.
fn export_all(step: Step, dialect: Dialect) -> Result<Step> {
    Ok(step.run(CommandLine::filled("New-Item -ItemType Directory -Path {} -Force", &[FOLDER])?).run(dialect.line(
        "Get-AipServiceTemplate | ForEach-Object { Export-AipServiceTemplate -TemplateId $_.TemplateId -Path (Join-Path {} ({} -f $_.TemplateId)) }",
        &[FOLDER, "own-{0}.xml"],
    )?))
}

fn save(file: &MigrationFile) -> Result<RunBook> {
    let dialect = Dialect::of(file);
    let step = export_all(connected(file, "Export the tenant's own templates")?, dialect)?
        .expect("one file for each template, beside this run book. They are not available after the migration, even if published; templates.md imports them again");
    Ok(RunBook::new("Run book: save the tenant's own templates").step(disconnect(step, dialect)?.rules(&[84, 130, 144])))
}

fn all_staff(file: &MigrationFile) -> String {
    format!("{ALL_STAFF}@{}", *file.tenant.name)
}

fn configure(file: &MigrationFile, own: bool, chosen: &[&TemplateChoice]) -> Result<RunBook> {
    let dialect = Dialect::of(file);
    let mut book = RunBook::new("Run book: configure the imported templates")
        .note("Until AD RMS is gone: only these changes, no new templates, and the two default templates stay unpublished (rule 132).")
        .note("All steps on the connected workstation in one PowerShell session.")
        .note("Properties that are set replace what was there without a word (rule 137): the steps read the present rights and add to them, and save each template first.");
    if chosen.iter().any(|template| !template.replace_anyone_with.is_empty()) {
        book = book.step(find_anyone()?);
    }
    let mut first = connected(file, "Look at the templates")?.run(CommandLine::filled("New-Item -ItemType Directory -Path {} -Force", &[FOLDER])?);
    if own {
        first = first.say("The tenant's own templates come back first, with the identities that they had.").run(dialect.line(
            "Get-ChildItem -LiteralPath {} -Filter {} | ForEach-Object { Import-AipServiceTemplate -Path $_.FullName }",
            &[FOLDER, "own-*.xml"],
        )?);
    }
    book =
        book.step(first.run(dialect.line("Get-AipServiceTemplate", &[])?).expect("every imported template, `Archived`").rules(&[60, 130, 131, 143]));
    for template in chosen {
        book = book.step(change(file, dialect, template)?);
    }
    Ok(book.step(disconnect(Step::new(ONLINE, "Disconnect"), dialect)?))
}

/// Finds, on the AD RMS server, which templates grant rights to ANYONE, and which rights (rule 136).
fn find_anyone() -> Result<Step> {
    Ok(Step::new(Place::Server, "Find what ANYONE may do")
        .run(CommandLine::filled("Import-Module AdRmsAdmin", &[])?)
        .run(CommandLine::filled("New-PSDrive -Name MyRmsAdmin -PSProvider AdRmsAdmin -Root https://localhost -Force", &[])?)
        .run(CommandLine::filled(
            r"Get-ChildItem MyRmsAdmin:\RightsPolicyTemplate | ForEach-Object { $template = $_; Get-ChildItem ({} -f $template.Id) | Where-Object { $_.UserGroupName -eq {} } | ForEach-Object { {} -f $template.Id, ($_.Rights -join {}) } }",
            &[r"MyRmsAdmin:\RightsPolicyTemplate\{0}\UserRight", "anyone", "{0}: {1}", ", "],
        )?)
        .run(CommandLine::filled("Remove-PSDrive -Name MyRmsAdmin -Force", &[])?)
        .expect("for each template with ANYONE its identity and the rights: write them down, the following steps ask for them")
        .rules(&[133, 136]))
}

fn change(file: &MigrationFile, dialect: Dialect, template: &TemplateChoice) -> Result<Step> {
    let id = template.id.to_string();
    let mut step = Step::new(ONLINE, format!("Template {}", code(&id)))
        .run(dialect.line("Export-AipServiceTemplate -TemplateId {} -Path {}", &[&id, &saved(&id)])?)
        .expect(format!("{} is there: it is the way back", code(&saved(&id))));
    if !template.replace_anyone_with.is_empty() {
        step = step
            .say("The group of all staff is not the same as ANYONE: people from outside are not in it, and must be named (rule 134).")
            .run(dialect.line("$definitions = @((Get-AipServiceTemplate -TemplateId {}).RightsDefinitions)", &[&id])?)
            .run(CommandLine::filled(
                r"$rights = (Read-Host -Prompt {}) -split '\s*,\s*'",
                &["Rights that ANYONE has in AD RMS, with commas between"],
            )?);
        for address in &template.replace_anyone_with {
            let address = if address.value == "all-staff" { all_staff(file) } else { address.value.clone() };
            step = step.run(dialect.line("$definitions += New-AipServiceRightsDefinition -EmailAddress {} -Rights $rights", &[&address])?);
        }
        step = step
            .run(dialect.line("Set-AipServiceTemplateProperty -TemplateId {} -RightsDefinitions $definitions", &[&id])?)
            .run(dialect.line("(Get-AipServiceTemplate -TemplateId {}).RightsDefinitions", &[&id])?)
            .expect("the rights that were there, and those of the addresses above");
    }
    if is_published(template) {
        step = step
            .run(dialect.line("Set-AipServiceTemplateProperty -TemplateId {} -Status Published", &[&id])?)
            .run(dialect.line("(Get-AipServiceTemplate -TemplateId {}).Status", &[&id])?)
            .expect("`Published`");
    }
    Ok(step.rules(&[130, 131, 133, 134, 136, 137, 138]))
}

fn back(file: &MigrationFile, own: bool, chosen: &[&TemplateChoice]) -> Result<RunBook> {
    let dialect = Dialect::of(file);
    let mut step = connected(file, "Templates as they were")?
        .say("An import with the same identity replaces what is there. None is removed: content under a removed template may be lost (rule 145).");
    for template in chosen {
        let id = template.id.to_string();
        step = step
            .run(dialect.line("Import-AipServiceTemplate -Path {}", &[&saved(&id)])?)
            .run(dialect.line("Set-AipServiceTemplateProperty -TemplateId {} -Status Archived", &[&id])?);
    }
    if own {
        step = step.say("The tenant's own templates stay.");
    }
    let step = step.run(dialect.line("Get-AipServiceTemplate", &[])?).expect("each `Archived`, with the rights that it was imported with");
    Ok(RunBook::new("Run book: templates as they were imported").step(disconnect(step, dialect)?.rules(&[131, 143, 145])))
}
