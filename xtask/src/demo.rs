//! `cargo xtask demo`: the three paths and the refusals, with proofs, on tokens of SoftHSM in a private folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::Result;
use crate::process::{cargo, describe, module, output, private, root, run};
use crate::setup::{self, FOR_DEMO};

/// PIN of the demonstration's tokens.
const PIN: &str = "1234";
/// The labels make SoftHSM stand in for an nShield module: module-protected keys, keys under a card set and under a softcard, a target.
const TOKENS: [&str; 4] = ["accelerator", "PKCS11OCS", "softcard", "target"];

/// Runs the demonstration.
pub(crate) fn show_everything() -> Result<()> {
    setup::packages(FOR_DEMO)?;
    run(cargo().args(["build", "--locked", "-p", "keykit-cli", "-p", "keykit-tests", "--bins"]))?;
    let stage = Stage::set_up()?;
    stage.make_samples()?;

    title("What the exported files are (nothing is changed)");
    stage.show(&["inspect", "contoso.xml", "woodgrove-mode1.xml", "accelerator.xml", "--password-source", "file:password"])?;

    title("Path 1: software to software. A mode-2 and a mode-1 domain into a new tenant, with documents that must still open");
    let mut proofs = stage.migrate(
        "software-to-software",
        &["contoso.xml", "woodgrove-mode1.xml", "--tenant", "tenant", "--licence", "contoso-1.pfile", "--licence", "woodgrove-mode1-1.xrml"],
    )?;
    let active = proofs.first().map(|proof| proof.key.clone()).unwrap_or_default();
    stage.show(&["tenant", "activate", &active, "--tenant", "tenant"])?;

    title("Path 2: HSM to HSM. A module-protected key of the token 'accelerator' into the token 'target', never in the clear here");
    let (source, target) = (stage.uri("accelerator")?, stage.uri("target")?);
    proofs.extend(stage.migrate(
        "hsm-to-hsm",
        &["accelerator.xml", "--source", &source, "--target", &target, "--tenant", "tenant-hsm", "--licence", "accelerator-1.pfile"],
    )?);

    title("Path 3: software to HSM. A mode-2 domain into the token 'target', wrapped in memory");
    proofs.extend(
        stage.migrate("software-to-hsm", &["fabrikam.xml", "--target", &target, "--tenant", "tenant-byok", "--licence", "fabrikam-2.pfile"])?,
    );

    title("Refusals");
    for (label, domain) in [("PKCS11OCS", "PKCS11OCS.xml"), ("softcard", "softcard.xml")] {
        let source = stage.uri(label)?;
        stage.refused(&[
            "migrate",
            "hsm-to-hsm",
            domain,
            "--source",
            &source,
            "--target",
            &target,
            "--tenant",
            "tenant-ocs",
            "--password-source",
            "file:password",
        ])?;
    }
    stage.refused(&["migrate", "software-to-software", "accelerator.xml", "--tenant", "tenant-x", "--password-source", "file:password"])?;
    stage.refused(&["migrate", "software-to-software", "contoso.xml", "--tenant", "tenant-second", "--password-source", "file:password"])?;

    title("The same migration again changes nothing");
    stage.show(&[
        "migrate",
        "software-to-software",
        "contoso.xml",
        "woodgrove-mode1.xml",
        "--tenant",
        "tenant",
        "--password-source",
        "file:password",
    ])?;

    title("What pkcs11-tool sees in the token 'target'");
    let mut look = Command::new("pkcs11-tool");
    look.args(["--module", &module()?.display().to_string(), "--token-label", "target", "-O", "--type", "privkey", "--login", "--pin", PIN]);
    println!("{}", output(look.env("SOFTHSM2_CONF", stage.configuration()))?.trim_end());

    title("The proofs");
    let failed = show_proofs(&proofs);
    if failed > 0 {
        return Err(format!("{failed} proofs failed"));
    }
    println!("\nAll {} proofs of {} keys held. The private folder is removed.", proofs.len(), count_keys(&proofs));
    Ok(())
}

/// One proof of one key.
struct ShownProof {
    path: String,
    key: String,
    name: String,
    ok: bool,
    detail: String,
}

/// A private folder with tokens.
struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    fn set_up() -> Result<Self> {
        let stage = Self { folder: tempfile::tempdir().map_err(|error| error.to_string())? };
        let tokens = stage.folder.path().join("tokens");
        fs::create_dir(&tokens).map_err(|error| error.to_string())?;
        write(&stage.configuration(), &format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", tokens.display()))?;
        write(&stage.folder.path().join("pin"), PIN)?;
        write(&stage.folder.path().join("keyring-password"), "demonstration keyring")?;
        for label in TOKENS {
            let mut make = Command::new("softhsm2-util");
            make.args(["--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "12345678"]);
            output(make.env("SOFTHSM2_CONF", stage.configuration()))?;
        }
        Ok(stage)
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join("softhsm2.conf")
    }

    fn uri(&self, label: &str) -> Result<String> {
        Ok(format!("pkcs11:token={label}?module-path={}&pin-source=file:pin", module()?.display()))
    }

    fn command(&self, program: &str) -> Command {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        let mut command = Command::new(target.join("debug").join(program));
        command.current_dir(self.folder.path()).env("SOFTHSM2_CONF", self.configuration());
        command.env("KEYKIT_KEYRING_PASSWORD_SOURCE", "file:keyring-password");
        command
    }

    /// Two clusters of mode 2 and one of mode 1 with software keys, and one for each source token.
    fn make_samples(&self) -> Result<()> {
        title("Sample clusters: contoso and fabrikam (mode 2), woodgrove (mode 1), and one in each of three tokens");
        output(self.command("keykit-samples").arg("."))?;
        for label in ["accelerator", "PKCS11OCS", "softcard"] {
            output(self.command("keykit-samples").args([".", "--token", label, &self.uri(label)?]))?;
        }
        private(&self.folder.path().join("password"))
    }

    /// Runs keykit for people to read.
    fn show(&self, arguments: &[&str]) -> Result<()> {
        let mut command = self.command("keykit");
        println!("$ {}", describe(command.args(arguments)));
        let ran = command.output().map_err(|error| error.to_string())?;
        print_both(&ran);
        if ran.status.success() { Ok(()) } else { Err(format!("keykit ended with {}", ran.status)) }
    }

    /// Runs a command that must be refused by a rule.
    fn refused(&self, arguments: &[&str]) -> Result<()> {
        let mut command = self.command("keykit");
        println!("$ {}", describe(command.args(arguments)));
        let ran = command.output().map_err(|error| error.to_string())?;
        print_both(&ran);
        if ran.status.code() == Some(4) { Ok(()) } else { Err(format!("this should have been refused, but keykit ended with {}", ran.status)) }
    }

    /// Runs a migration and collects its proofs.
    fn migrate(&self, path: &str, arguments: &[&str]) -> Result<Vec<ShownProof>> {
        let mut command = self.command("keykit");
        command.args(["migrate", path, "--password-source", "file:password"]).args(arguments);
        println!("$ {}", describe(&command));
        command.args(["--format", "json"]);
        let ran = command.output().map_err(|error| error.to_string())?;
        print!("{}", String::from_utf8_lossy(&ran.stderr));
        if !ran.status.success() {
            return Err(format!("keykit ended with {}", ran.status));
        }
        let value: Value = serde_json::from_slice(&ran.stdout).map_err(|error| error.to_string())?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut shown = Vec::new();
        for key in list(value.get("keys")) {
            let id: String = key.get("key_id").map(text).unwrap_or_default().chars().take(16).collect();
            println!("  {id}: {}, carried: {}", key.get("status").map(text).unwrap_or_default(), key.get("route").map(text).unwrap_or_default());
            for proof in list(key.get("proofs")) {
                let field = |name: &str| proof.get(name).map(text).unwrap_or_default();
                let ok = proof.get("ok") == Some(&Value::Bool(true));
                shown.push(ShownProof { path: path.to_owned(), key: id.clone(), name: field("name"), ok, detail: field("detail") });
            }
        }
        Ok(shown)
    }
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn show_proofs(proofs: &[ShownProof]) -> usize {
    println!("{:<22}{:<18}{:<40}{:<8}WHAT WAS SEEN", "PATH", "KEY", "PROOF", "");
    for proof in proofs {
        println!("{:<22}{:<18}{:<40}{:<8}{}", proof.path, proof.key, proof.name, if proof.ok { "held" } else { "FAILED" }, proof.detail);
    }
    proofs.iter().filter(|proof| !proof.ok).count()
}

fn count_keys(proofs: &[ShownProof]) -> usize {
    let mut keys: Vec<&str> = proofs.iter().map(|proof| proof.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.len()
}

fn title(text: &str) {
    println!("\n== {text}");
}

fn print_both(ran: &Output) {
    print!("{}{}", String::from_utf8_lossy(&ran.stderr), String::from_utf8_lossy(&ran.stdout));
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, format!("{text}\n")).map_err(|error| format!("{}: {error}", path.display()))?;
    private(path)
}
