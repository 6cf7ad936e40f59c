//! AD RMS goes on for old content only, where a key can't leave its module (rules 31, 178–182), and the refusal that redirects
//! clients by the DNS (rules 162, 169, 170).

use super::power_shell::{CommandLine, Word};
use super::run_book::{Place, RunBook, Step};
use super::{Artefact, Stage};
use crate::error::Result;
use crate::migration::file::MigrationFile;

const NODES: Place = Place::EveryServer;
/// Everyone, and the users of a computer, by identities that are the same in every language.
const EVERYONE: &str = "*S-1-1-0";
const USERS: &str = "*S-1-5-32-545";
/// Where the licensing service of AD RMS is in its web site.
const SITE: &str = "Default Web Site/_wmcs/licensing/publish.asmx";
const FOLDER: &str = r"C:\inetpub\wwwroot\_wmcs\licensing";

/// The run books; none unless a key can't leave its module, or clients are redirected by the DNS.
pub(super) fn artefacts(file: &MigrationFile) -> Result<Vec<Artefact>> {
    let mut files = Vec::new();
    let stays = file.clusters().any(|(_, cluster)| cluster.exportable.as_ref().is_some_and(|exportable| !exportable.value));
    if stays || file.read_only_mode.is_some() {
        files.push(Artefact::run_book(Stage::Keys, "ad-rms/read-only-mode.md", "AD RMS opens old content, and protects no more", &read_only(file)?));
        files.push(Artefact::run_book(Stage::Keys, "ad-rms/rollback-read-only-mode.md", "AD RMS protects again", &read_write(file)?).undoing());
    }
    if super::dns::redirects_by_dns(file) {
        files.push(Artefact::run_book(
            Stage::Clients,
            "ad-rms/refuse-licensing.md",
            "the old server answers 401.3: clients look into the DNS",
            &refuse(file)?,
        ));
        files.push(
            Artefact::run_book(Stage::Clients, "ad-rms/rollback-refuse-licensing.md", "the old server answers again", &answer(file)?).undoing(),
        );
    }
    Ok(files)
}

/// `icacls FILE VERB GROUP[:RIGHTS]`: a program, whose words are quoted for it.
fn icacls(file: &str, verb: &str, what: &str) -> Result<CommandLine> {
    let words = [file, verb, what].map(Word::new).into_iter().collect::<Result<Vec<_>>>()?;
    Ok(CommandLine::starting("icacls.exe", &words))
}

fn path(name: &str) -> String {
    format!(r"{FOLDER}\{name}")
}

fn denied(file: &MigrationFile) -> &str {
    file.read_only_mode.as_ref().and_then(|mode| mode.denied_group.as_ref()).map_or(EVERYONE, |group| group.as_str())
}

fn redirected(file: &MigrationFile) -> &str {
    file.clients.as_ref().and_then(|clients| clients.redirected_group.as_ref()).map_or(USERS, |group| group.as_str())
}

fn anonymous(value: &'static str) -> Result<CommandLine> {
    CommandLine::filled(
        &format!("Set-WebConfigurationProperty -PSPath {{}} -Location {{}} -Filter {{}} -Name enabled -Value {value}"),
        &["MACHINE/WEBROOT/APPHOST", SITE, "/system.webServer/security/authentication/anonymousAuthentication"],
    )
}

fn look_at_site(title: &str) -> Result<Step> {
    Ok(Step::new(NODES, title)
        .say(format!("These commands suppose the default web site in `{FOLDER}`. If AD RMS is in another one, say so here, and use its name and folder: ____________"))
        .run(CommandLine::filled("Import-Module WebAdministration", &[])?)
        .run(CommandLine::filled("Test-Path -LiteralPath {}", &[&path("publish.asmx")])?)
        .expect("`True`"))
}

fn read_only(file: &MigrationFile) -> Result<RunBook> {
    let group = denied(file);
    let deny = look_at_site("Nobody gets a client licensor certificate any more")?
        .run(anonymous("$false")?)
        .run(icacls(&path("publish.asmx"), "/deny", &format!("{group}:(F)"))?)
        .run(CommandLine::starting("icacls.exe", &[Word::new(&path("publish.asmx"))?]))
        .expect("the group, with a denial of full control; anonymous authentication of this file is off")
        .say("Without anonymous authentication, partners who are trusted by trusted user domains can't protect with this cluster either.")
        .otherwise("repeat on every node: one that was left out still issues certificates")
        .rules(&[31, 179, 180]);
    let test = Step::new(Place::ConnectedWorkstation, "Test it, on a computer that was never configured")
        .say("Office 2013 from 15.0.4849.1000, Office 2016 from 16.0.4496.1000 (MSI) or 16.0.7407.1000 (click-to-run).")
        .expect("an old document opens; protecting a new one with AD RMS fails")
        .otherwise("if protecting succeeds, the computer had a certificate: clear it, or wait until it ends; if opening fails, run the roll-back")
        .rules(&[178, 181]);
    let point = Step::new(Place::Server, "Unpublish the service connection point")
        .say("Only if AD RMS is being decommissioned by this: ad-rms/decommission.md has the step.")
        .rules(&[182]);
    Ok(RunBook::new("Run book: AD RMS in read-only mode")
        .note("The key of AD RMS can't leave its module: it is not imported, and AD RMS stays for what it protected.")
        .note("Certificates that clients have already go on until they end; new ones come from the tenant.")
        .step(deny)
        .step(test)
        .step(point))
}

fn read_write(file: &MigrationFile) -> Result<RunBook> {
    let step = look_at_site("Certificates are issued again")?
        .run(icacls(&path("publish.asmx"), "/remove:d", denied(file))?)
        .run(anonymous("$true")?)
        .run(CommandLine::starting("icacls.exe", &[Word::new(&path("publish.asmx"))?]))
        .expect("no denial for the group")
        .rules(&[179]);
    Ok(RunBook::new("Run book: AD RMS out of read-only mode")
        .note("Anonymous authentication of this file was on before, unless somebody had switched it off: leave that line out then.")
        .step(step))
}

fn refuse(file: &MigrationFile) -> Result<RunBook> {
    let group = redirected(file);
    let mut deny = look_at_site("Refuse the licensing service")?
        .say("On one server of the cluster. `server.asmx` too: a report says that the first file alone is not enough (rule 170).");
    for name in ["licensing.asmx", "server.asmx"] {
        deny = deny.run(icacls(&path(name), "/deny", &format!("{group}:(RX,R)"))?);
    }
    let deny = deny
        .expect("in a browser, as a user of the group, `_wmcs/licensing/licensing.asmx` shows error 401.3: access denied due to Access Control Lists")
        .rules(&[162, 170]);
    Ok(RunBook::new("Run book: clients are redirected by the DNS")
        .note("First the records of `dns/redirection.zone`. Only click-to-run Office 2016 and later follows them (rule 162).")
        .note("This server must stay online: clients must get its refusal (rule 169). It can't be decommissioned while clients are redirected this way.")
        .step(deny))
}

fn answer(file: &MigrationFile) -> Result<RunBook> {
    let mut step = look_at_site("Answer again")?;
    for name in ["licensing.asmx", "server.asmx"] {
        step = step.run(icacls(&path(name), "/remove:d", redirected(file))?);
    }
    Ok(RunBook::new("Run book: the licensing service answers again").step(step.rules(&[162, 170])))
}
