//! A private folder with the program, the tokens and the passwords of a demonstration.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use keykit_tests::fixture::{PIN, SoftHsm, Tokens, find_program, text};
use tempfile::TempDir;

use crate::Result;
use crate::command::{cargo, root, run};

/// Keys in this token are protected by the module, as in the slot of an nShield with this label.
pub(crate) const ACCELERATOR: &str = "accelerator";
/// Keys in this token stand for those protected by a card set (OCS).
pub(crate) const CARD_SET: &str = "PKCS11OCS";
/// Keys in this token stand for those protected by a softcard.
pub(crate) const SOFT_CARD: &str = "softcard";
/// The token that keys are moved to.
pub(crate) const TARGET: &str = "target";

/// The file with the password of the tenant keyring, in the folder.
const KEYRING_PASSWORD: &str = "keyring-password";

/// A private folder, its tokens, and the program. All but the program is removed when dropped.
pub(crate) struct Workspace {
    folder: TempDir,
    softhsm: SoftHsm,
    keykit: PathBuf,
}

impl Workspace {
    /// Builds `keykit`, and sets up the folder and the four tokens.
    pub(crate) fn new() -> Result<Self> {
        let keykit = build_keykit()?;
        let folder = tempfile::Builder::new().prefix("keykit-demo-").tempdir()?;
        let softhsm = SoftHsm::new(&[ACCELERATOR, CARD_SET, SOFT_CARD, TARGET])?;
        let workspace = Self { folder, softhsm, keykit };
        workspace.write(KEYRING_PASSWORD, b"a password for the demonstration")?;
        Ok(workspace)
    }

    /// A file of the private folder, by its name.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of the test data, by its path under `vectors`.
    pub(crate) fn vector(&self, path: &str) -> PathBuf {
        root().join("vectors").join(path)
    }

    /// Writes a new file (mode 0600) in the private folder.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf> {
        let path = self.path(name);
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?.write_all(content)?;
        Ok(path)
    }

    /// The tokens.
    pub(crate) fn tokens(&self) -> &Tokens {
        &self.softhsm
    }

    /// A `keykit` command that sees the tokens and the password of the keyring, in the private folder.
    pub(crate) fn keykit(&self, arguments: &[&str]) -> Command {
        let mut command = self.softhsm.command(&self.keykit);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("KEYKIT_KEYRING_PASSWORD_SOURCE", format!("file:{}", self.path(KEYRING_PASSWORD).display()));
        command
    }

    /// Runs `keykit`, shows the command and what it says, and demands this exit code.
    pub(crate) fn show(&self, arguments: &[&str], exit_code: i32) -> Result<Output> {
        let words: Vec<String> = arguments.iter().map(|word| self.shown(word)).collect();
        println!("$ keykit {}", words.join(" "));
        let output = self.keykit(arguments).output()?;
        print!("{}", text(&output));
        match output.status.code() {
            Some(code) if code == exit_code => Ok(output),
            _ => Err(format!("keykit ended with {}, where exit code {exit_code} was expected", output.status).into()),
        }
    }

    /// Puts a private key (PEM) into a token, sensitive and extractable under a wrapping key, with its public key.
    /// `id` is in hex.
    pub(crate) fn import_key(&self, token: &str, pem: &Path, label: &str, id: &str) -> Result {
        let public = self.path(&format!("{id}.public.pem"));
        let mut extract = self.program("openssl")?;
        quietly(extract.args(["pkey", "-pubout", "-in"]).arg(pem).arg("-out").arg(&public))?;
        let uses = ["--usage-sign", "--usage-decrypt"];
        let private = ["--type", "privkey", "--sensitive", "--extractable"];
        quietly(self.write_object(token, label, id, pem)?.args(private).args(uses))?;
        quietly(self.write_object(token, label, id, &public)?.args(["--type", "pubkey"]).args(uses))
    }

    fn write_object(&self, token: &str, label: &str, id: &str, file: &Path) -> Result<Command> {
        let mut command = self.program("pkcs11-tool")?;
        command.arg("--module").arg(self.softhsm.module()).args(["--token-label", token, "--login", "--pin", PIN]);
        command.args(["--id", id, "--label", label, "--write-object"]).arg(file);
        Ok(command)
    }

    fn program(&self, name: &str) -> Result<Command> {
        let program = find_program(name).ok_or_else(|| format!("{name} is not installed (cargo xtask setup)"))?;
        Ok(self.softhsm.command(program))
    }

    /// A word of a command line without the parts that differ from run to run.
    fn shown(&self, word: &str) -> String {
        let tokens = self.softhsm.folder().to_string_lossy();
        let folder = self.folder.path().to_string_lossy();
        let word = word.replace(&*tokens, "TOKENS").replace(&format!("{folder}/"), "");
        let word = word.replace(&format!("{}/", root().display()), "");
        if word.contains([' ', ';', '?', '&', '(']) { format!("'{word}'") } else { word }
    }
}

/// Builds the program, and says where it is.
fn build_keykit() -> Result<PathBuf> {
    run(&mut cargo(["build", "--quiet", "--package", "keykit-cli"]))?;
    // This program was built by cargo too, into the same folder.
    let mut keykit = std::env::current_exe()?;
    keykit.set_file_name(format!("keykit{}", std::env::consts::EXE_SUFFIX));
    if keykit.is_file() { Ok(keykit) } else { Err(format!("{} was not built", keykit.display()).into()) }
}

/// Runs a command that must succeed, and shows what it says only when it does not.
fn quietly(command: &mut Command) -> Result {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() { Ok(()) } else { Err(format!("{}: {}\n{}", crate::command::shown(command), output.status, text(&output)).into()) }
}
