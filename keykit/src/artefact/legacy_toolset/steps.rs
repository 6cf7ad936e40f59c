//! The steps, in the order of the documentation.

use super::{KeyApplication, KeySource, LegacyToolset, WindowsPath};
use crate::artefact::power_shell::{CommandLine, Word};
use crate::artefact::run_book::{Place, RunBook, Step};
use crate::error::Result;

const SERVER: Place = Place::Server;
const ONLINE: Place = Place::ConnectedWorkstation;
const OFFLINE: Place = Place::DisconnectedWorkstation;
/// Hash of the vendor's root key, as the verification prints it (rule 98).
const ROOT_KEY_HASH: &str = "59178a47 de508c3f 291277ee 184f46c4 f1d9c639";
/// The rights management service (rule 108).
const SERVICE_PRINCIPAL: &str = "00000012-0000-0000-c000-000000000000";
const SUCCESS: &str = "`Result: SUCCESS`";
const STOP: &str = "stop: without this result nothing may leave the module";

pub(super) fn run_book(order: &LegacyToolset) -> Result<RunBook> {
    let mut steps = vec![export(order), toolset(order)?, subscription(order)?, carry_in(order), workstation()];
    if order.new_security_world {
        steps.push(new_world()?);
    }
    steps.push(verify_packages(order)?);
    match &order.source {
        KeySource::Module { application, .. } => steps.push(identify(order, *application)?),
        KeySource::Domain { domain, keyless, pem } => {
            steps.extend([split(domain, keyless, pem)?, import(order, pem)?, erase(domain, pem)?]);
        }
    }
    steps.extend([reduce_permissions(order)?, look_at_permissions(order)?, package(order)?, carry_out(order)?]);
    steps.extend([upload(order)?, allow(order)?, import_domain(order)?, activate()]);
    Ok(RunBook { title: format!("Run book: legacy nShield toolset, {}, key {}", order.organisation, order.identifier), notes: notes(order), steps })
}

fn notes(order: &LegacyToolset) -> Vec<String> {
    let mut notes = vec![
        "The makers deprecated this toolset; it is not supported after 30 June 2021. The present way is a transfer file of the key vault (rule 106): `keykit byok profiles` lists it where the installed version offers it.".to_owned(),
        "A key of 1024 bits can't be taken by today's key vaults (rule 34).".to_owned(),
        format!(
            "All packages are those of the region {}: a key packaged for one region can't be used in another (rules 36 and 103).",
            order.region.code()
        ),
        "Two people at least: nobody holds more than one administrator card (rule 97).".to_owned(),
        "Files keep the names of this run book on every machine. If a folder or drive differs there, note it at the step.".to_owned(),
        "What must be seen is what the documentation prints; keykit has not run these tools.".to_owned(),
    ];
    if matches!(order.source, KeySource::Module { .. }) {
        notes.push(
            "The key must be protected by the module alone: keys under an operator card set or softcard are not taken by this toolset (rule 29)."
                .to_owned(),
        );
    }
    notes
}

fn words(values: &[&str]) -> Result<Vec<Word>> {
    values.iter().map(|value| Word::new(value)).collect()
}

fn line(values: &[&str]) -> Result<CommandLine> {
    Ok(CommandLine::of(&words(values)?))
}

fn export(order: &LegacyToolset) -> Step {
    let holds = match &order.source {
        KeySource::Module { domain, .. } => format!("The file for this run book is `{domain}`; it holds no key, since the key is in the module."),
        KeySource::Domain { domain, .. } => {
            format!("The file for this run book is `{domain}`; it holds the key: keep it as you keep the key (rule 48).")
        }
    };
    Step::new(SERVER, "Export every trusted publishing domain")
        .say("In the AD RMS console: Trust Policies, Trusted Publishing Domains, Export Trusted Publishing Domain. Repeat for each domain, archived ones too, on every cluster that is not licensing-only (rule 43).")
        .say("Type the extension `.xml`: it is not appended. Do not select \"save the trusted domain file in RMS version 1.0\". Use a strong password, one for each file, and keep it: the import needs it.")
        .say(holds)
        .expect("one `.xml` file for each domain; `keykit inspect FILE` says `tpd` or `tpd-keyless`, and sound")
        .otherwise("export again; look for an archived domain if the cluster was upgraded from cryptographic mode 1 (rule 44)")
        .rules(&[43, 44, 45, 46, 47, 48, 50])
}

fn toolset(order: &LegacyToolset) -> Result<Step> {
    let mut step = Step::new(ONLINE, "Check the toolset")
        .say("Download the archive of your region from its maker, then compare its SHA-256 with the published one.");
    let archives: Vec<_> = order.region.archives().collect();
    if archives.len() > 1 {
        step = step.say("This region has an archive for each of its clouds: take that of your tenant, and run the command for it only.");
    }
    for (archive, hash) in archives {
        step = step.run(line(&["Get-FileHash", "-Algorithm", "SHA256", &format!(".\\{archive}")])?).expect(format!("`{hash}` for {archive}"));
    }
    Ok(step
        .expect(format!(
            "in the archive: `{}`, `{}`, `verifykeypackage.py`, `KeyTransferRemote.exe` and `vcredist_x64.exe`",
            order.region.exchange_key_package(),
            order.region.security_world_package()
        ))
        .otherwise("do not use the archive; download it again, and ask its maker if the hash still differs")
        .rules(&[91, 92]))
}

fn subscription(order: &LegacyToolset) -> Result<Step> {
    Ok(Step::new(ONLINE, "Check subscription and key vault")
        .run(line(&["Connect-AzAccount"])?)
        .run(line(&["Get-AzSubscription", "-SubscriptionId", order.subscription.as_str()])?)
        .run(line(&["Get-AzKeyVault", "-VaultName", order.vault.as_str(), "-ResourceGroupName", order.resource_group.as_str()])?)
        .expect(format!("the subscription `{}` with its name and tenant, state `Enabled`", order.subscription))
        .expect(format!("the vault `{}`, SKU `Premium`", order.vault))
        .otherwise("the free access to the directory is no such subscription, and HSM-protected keys need the Premium tier")
        .rules(&[21, 110, 111]))
}

fn carry_in(order: &LegacyToolset) -> Step {
    let domain = match &order.source {
        KeySource::Module { .. } => String::new(),
        KeySource::Domain { domain, .. } => format!(", `TpdUtil.exe` and `{domain}`"),
    };
    Step::new(ONLINE, "Carry the toolset to the disconnected workstation")
        .say(format!("On a storage device with at least 16 MB free: the unpacked toolset{domain}. On the disconnected workstation, put all of it into one folder, and work in that folder."))
        .expect("every file is there, and the hashes written down are those of the copies")
        .rules(&[90])
}

fn workstation() -> Step {
    Step::new(OFFLINE, "Check the disconnected workstation and the module")
        .say("A 64-bit Windows without any network connection. The folder `bin` of the nShield software must be in the PATH.")
        .run(CommandLine::starting("ipconfig", &[]))
        .run(CommandLine::starting("enquiry", &[]))
        .expect("no adapter has an address: each says that its media is disconnected")
        .expect("the module answers, in mode `operational`; nShield software 11.62 or newer, firmware 12.40.2 or newer")
        .otherwise("take off the network cable and switch the radio off; upgrade firmware and software with the vendor's documentation")
        .otherwise(
            "the `new-world.exe` of software 12.50 does not work with this toolset: use 12.40.2, or ask the vendor for the mended one (rule 96)",
        )
        .rules(&[71, 90, 93, 96])
}

fn new_world() -> Result<Step> {
    let world = |suite: &str| line(&["new-world.exe", "--initialize", &format!("--cipher-suite={suite}"), "--module=1", "--acs-quorum=2/3"]);
    Ok(Step::new(OFFLINE, "Make a new Security World")
        .say("This erases the module. Have three blank cards at hand; any two of them will be needed together.")
        .say("Set the module's switch to I (initialisation) and clear it. Run the first command; run the second only if the module refuses the cipher suite of the first. Then set the switch to O (operational) and clear the module again.")
        .run(world("DLf3072s256mRijndael")?)
        .run(world("DLf1024s160mRijndael")?)
        .expect("`%NFAST_KMDATA%\\local\\world`, that is `C:\\ProgramData\\nCipher\\Key Management Data\\local\\world`")
        .expect("the module is back in mode `operational`")
        .otherwise("do not go on with a module in mode I; ask the vendor")
        .say("Back up the file `world`, the cards and their PINs, in separate places. Nobody may have more than one card.")
        .rules(&[94, 95, 97]))
}

fn verify_packages(order: &LegacyToolset) -> Result<Step> {
    let (kek, world) = (order.region.exchange_key_package(), order.region.security_world_package());
    Ok(Step::new(OFFLINE, "Verify the packages of the service")
        .run(line(&["python", "verifykeypackage.py", "-k", &kek, "-w", &world])?)
        .expect(format!("the signers lead to the root key with the hash `{ROOT_KEY_HASH}`; read it aloud"))
        .expect(SUCCESS)
        .otherwise("stop: without this result the key could be packaged for somebody else. The module must be connected and have a Security World; the `python` of the nShield software must be in the PATH")
        .rules(&[93, 98]))
}

fn identify(order: &LegacyToolset, application: KeyApplication) -> Result<Step> {
    let (app, ident) = (application.as_str(), order.identifier.as_str());
    let mut step = Step::new(OFFLINE, "Identify the key, and how it is protected")
        .say("The identifier is what the AD RMS console shows in the column Key Container of the Trusted Publishing Domains.")
        .run(line(&["nfkminfo", "-k"])?)
        .run(line(&["nfkminfo", "-k", app, ident])?)
        .run(line(&["nfkminfo", "-l"])?)
        .expect(format!("the list has `AppName {app}` with `Ident {ident}`"))
        .expect("`protection` is `Module`, and `nfkminfo -l` has the key under `Keys with module protection:`")
        .expect(format!("the key's file `%NFAST_KMDATA%\\local\\key_{app}_{ident}`"))
        .otherwise("a key under a card set or softcard can't be taken along (rule 29): make a module-protected copy with the vendor's tools, or ask the vendor")
        .rules(&[29, 66, 67, 68, 69]);
    if application != KeyApplication::Mscapi {
        step = step.say("Keys of AD RMS have the application `mscapi`: make sure that this key is another's, or was imported by other means.");
    }
    Ok(step)
}

fn split(domain: &WindowsPath, keyless: &WindowsPath, pem: &WindowsPath) -> Result<Step> {
    Ok(Step::new(OFFLINE, "Take the key out of the domain")
        .say("The password is asked for. Do not type it into the command line: others can read it there.")
        .run(line(&[".\\TpdUtil.exe", &format!("/tpd:{domain}"), &format!("/otpd:{keyless}"), &format!("/opem:{pem}")])?)
        .say(format!("`keykit tpd split` does the same on any system: `--keyless` for `{keyless}`, `--danger-plaintext-pem` for `{pem}`."))
        .expect(format!("`{keyless}` and `{pem}`; the second is the key in the clear"))
        .otherwise("a wrong password says that the data is corrupted; type special characters with care (rule 57)")
        .rules(&[57, 73, 74, 75]))
}

fn import(order: &LegacyToolset, pem: &WindowsPath) -> Result<Step> {
    let ident = order.identifier.as_str();
    let arguments = [
        "generatekey",
        "--import",
        "simple",
        &format!("pemreadfile={pem}"),
        &format!("plainname={ident}"),
        "protect=module",
        &format!("ident={ident}"),
        "type=RSA",
    ];
    Ok(Step::new(OFFLINE, "Import the key into the module")
        .say("With several PEM files, take that of the key which is to protect content after the migration; the others follow in run books of their own.")
        .run(line(&arguments)?)
        .expect("`operation` import, `application` simple, `type` RSA, and `ident` and `plainname` as typed")
        .expect("`Key successfully imported.`")
        .expect(format!("`Path to key: C:\\ProgramData\\nCipher\\Key Management Data\\local\\key_simple_{ident}`"))
        .run(line(&["nfkminfo", "-k", "simple", ident])?)
        .expect("`protection` is `Module`")
        .otherwise("delete nothing yet; a key of the same identifier may be there already: `nfkminfo -k` lists them")
        .rules(&[76, 77, 78]))
}

fn erase(domain: &WindowsPath, pem: &WindowsPath) -> Result<Step> {
    // `cipher /w` wants a folder or drive. Without one in the path, it is the folder that we are in.
    let drive = pem.drive().map_or_else(|| ".".to_owned(), |drive| format!("{drive}:\\"));
    Ok(Step::new(OFFLINE, "Erase the key in the clear")
        .say("The second command overwrites free space only: the file must be deleted first. On storage that moves its blocks about, such as USB sticks and SSDs, it erases nothing for certain: destroy the medium.")
        .run(line(&["Remove-Item", "-LiteralPath", pem.as_str()])?)
        .run(line(&["cipher", &format!("/w:{drive}")])?)
        .run(line(&["Test-Path", "-LiteralPath", pem.as_str()])?)
        .expect("three passes, then `False`")
        .say(format!("`{domain}` holds the key too, under its password: keep it locked away until the migration is proved, then decide on it."))
        .otherwise("the key is in the clear on this machine: keep the machine locked away until it is erased or destroyed")
        .rules(&[48, 79]))
}

/// The packages of KeyTransferRemote.exe.
fn packages(order: &LegacyToolset) -> [String; 4] {
    [
        "-ExchangeKeyPackage".to_owned(),
        order.region.exchange_key_package(),
        "-NewSecurityWorldPackage".to_owned(),
        order.region.security_world_package(),
    ]
}

fn reduce_permissions(order: &LegacyToolset) -> Result<Step> {
    let (app, ident) = (order.source.application().as_str(), order.identifier.as_str());
    let [a, b, c, d] = packages(order);
    let arguments = [".\\KeyTransferRemote.exe", "-ModifyAcls", "-KeyAppName", app, "-KeyIdentifier", ident, &a, &b, &c, &d];
    Ok(Step::new(OFFLINE, "Make a copy of the key with reduced permissions")
        .say("The administrator cards are asked for, one after the other, with their PINs.")
        .run(line(&arguments)?)
        .expect(SUCCESS)
        .expect(format!("the file `%NFAST_KMDATA%\\local\\key_xferacld_{ident}`"))
        .otherwise(format!("{STOP}; application and identifier must be those of the key's file name, at most 80 characters each"))
        .rules(&[67, 77, 80, 100, 103]))
}

fn look_at_permissions(order: &LegacyToolset) -> Result<Step> {
    let ident = order.identifier.as_str();
    let python = Word::verbatim("\"$env:NFAST_HOME\\python\\bin\\python\"");
    let script = Word::verbatim("\"$env:NFAST_HOME\\python\\examples\\aclprint.py\"");
    let mut preload = vec![Word::verbatim("-m 1")];
    preload.extend(words(&["-A", "xferacld", "-K", ident])?);
    preload.extend([python, script]);
    // The identifier needs no quotes of its own (rule 77).
    let file = Word::new(&format!("key_xferacld_{ident}"))?;
    Ok(Step::new(OFFLINE, "Look at the permissions of the copy (optional)")
        .run(CommandLine::starting("& \"$env:NFAST_HOME\\bin\\preload.exe\"", &preload))
        .run(CommandLine::starting(
            "& \"$env:NFAST_HOME\\bin\\kmfile-dump.exe\" (Join-Path \"$env:NFAST_KMDATA\\local\"",
            &[file, Word::verbatim(")")],
        ))
        .expect("the permissions of the new key, for the record")
        .otherwise("this step proves nothing by itself and may be left out; write down what was seen")
        .rules(&[101]))
}

fn package(order: &LegacyToolset) -> Result<Step> {
    let ident = order.identifier.as_str();
    let [a, b, c, d] = packages(order);
    let (subscription, name) = (order.subscription.as_str(), order.friendly_name.as_str());
    let arguments =
        [".\\KeyTransferRemote.exe", "-Package", "-KeyIdentifier", ident, &a, &b, &c, &d, "-SubscriptionId", subscription, "-KeyFriendlyName", name];
    Ok(Step::new(OFFLINE, "Package the copy for the service")
        .run(line(&arguments)?)
        .expect(SUCCESS)
        .expect(format!("the file `{}` in this folder", transfer_file(order)))
        .otherwise(STOP)
        .rules(&[80, 102, 103]))
}

fn transfer_file(order: &LegacyToolset) -> String {
    format!("KeyTransferPackage-{}.byok", order.friendly_name)
}

fn carry_out(order: &LegacyToolset) -> Result<Step> {
    let file = transfer_file(order);
    let keyless = match &order.source {
        KeySource::Module { .. } => String::new(),
        KeySource::Domain { keyless, .. } => format!(" and `{keyless}`"),
    };
    Ok(Step::new(OFFLINE, "Carry the package to the connected workstation")
        .run(line(&["certutil", "-hashfile", &format!(".\\{file}"), "SHA256"])?)
        .say(format!(
            "Carry `{file}`{keyless} over, and nothing else. Compare the hash there. `keykit inspect` says `byok-legacy-nshield` of the package."
        ))
        .expect("the same hash on both machines")
        .otherwise("carry the file over again")
        .rules(&[90]))
}

fn upload(order: &LegacyToolset) -> Result<Step> {
    let file = format!(".\\{}", transfer_file(order));
    let arguments = ["-VaultName", order.vault.as_str(), "-Name", order.friendly_name.as_str(), "-KeyFilePath", &file, "-Destination", "HSM"];
    Ok(Step::new(ONLINE, "Take the key into the key vault")
        .run(CommandLine::starting("$key = Add-AzKeyVaultKey", &words(&arguments)?))
        .run(CommandLine::starting("$key.Id", &[]))
        .run(CommandLine::starting("$key.Attributes.KeyOps", &[]))
        .expect(format!("`https://{}.vault.azure.net/keys/{}/` and a version after it", order.vault.as_str().to_lowercase(), order.friendly_name))
        .expect("the operations encrypt, decrypt, wrapKey, unwrapKey, sign, verify")
        .otherwise("if the service refuses the file: compare region and subscription with those of the package; today's services may take the JSON format only, see the first note")
        .rules(&[105, 107, 109]))
}

fn allow(order: &LegacyToolset) -> Result<Step> {
    let (vault, group) = (order.vault.as_str(), order.resource_group.as_str());
    let mut arguments = words(&["-VaultName", vault, "-ResourceGroupName", group, "-ServicePrincipalName"])?;
    arguments.extend([Word::new(SERVICE_PRINCIPAL)?, Word::verbatim("-PermissionsToKeys"), Word::verbatim("decrypt,sign,get")]);
    Ok(Step::new(ONLINE, "Let the rights management service use the key")
        .run(CommandLine::starting("Set-AzKeyVaultAccessPolicy", &arguments))
        .run(CommandLine::starting("(Get-AzKeyVault", &words(&["-VaultName", vault, "-ResourceGroupName", group])?.into_iter().chain([Word::verbatim(").AccessPolicies")]).collect::<Vec<_>>()))
        .expect("a policy of Microsoft Rights Management Services with Decrypt, Sign and Get for keys")
        .otherwise("if the vault has a firewall, trusted Microsoft services must be let through (rule 110); a vault under role-based access has no access policies")
        .rules(&[108, 110]))
}

fn import_domain(order: &LegacyToolset) -> Result<Step> {
    let domain = order.source.imported_domain();
    let mut arguments = words(&["-TpdFile", domain.as_str()])?;
    arguments.extend(["-ProtectionPassword", "$password", "-KeyVaultKeyUrl", "$key.Id", "-Verbose"].map(Word::verbatim));
    Ok(Step::new(ONLINE, "Import the domain without its key")
        .say("In the same session as the upload, so that `$key` is still known. The URL must have the version: without one the service stops when the key is renewed (rule 107).")
        .run(CommandLine::starting("Connect-AipService", &[]))
        .run(CommandLine::starting("$password = Read-Host -AsSecureString -Prompt 'Password of the domain'", &[]))
        .run(CommandLine::starting("Import-AipServiceTpd", &arguments))
        .say("If Office 2013 or 2016 is in use, add `-FriendlyName` with the name that the AD RMS console shows on the tab Server Certificate (rule 58).")
        .expect("the key and the templates are imported, archived")
        .otherwise("\"data is corrupted\" or \"(400) Bad Request\": the password; \"failed to add the key\" with \"Failure to access Azure KeyVault\": the step before")
        .otherwise("import with each domain the key of its own certificate: `keykit inspect` shows whose it is (rule 70)")
        .rules(&[55, 57, 58, 63, 70, 81, 107, 113]))
}

fn activate() -> Step {
    Step::new(ONLINE, "Activate the key of the present AD RMS cluster")
        .say("When every domain is imported. Activate the one key that is active in AD RMS now, and no other; all templates are signed anew with it.")
        .run(CommandLine::starting("Get-AipServiceKeys", &[]))
        .run(CommandLine::starting("$identifier = Read-Host -Prompt 'KeyIdentifier of that key'", &[]))
        .run(CommandLine::starting("Set-AipServiceKeyProperties -Force -KeyIdentifier $identifier -Active $True", &[]))
        .run(CommandLine::starting("Get-AipServiceKeys", &[]))
        .run(CommandLine::starting("Disconnect-AipService", &[]))
        .expect("exactly one key is `Active`, with the type customer-managed; all others are `Archived`")
        .otherwise("activate the key that was active before: that is the way back (rule 121)")
        .rules(&[56, 117, 118, 119, 121, 122])
}
