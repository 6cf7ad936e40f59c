//! Tokens of kryoptic, an independent implementation, for tests. `tests/kryoptic` builds its module.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::child::{in_child, is_child, skip};

/// User PIN and security officer's PIN of every test token.
pub const PIN: &str = "12345678";

/// The module's file: what KEYKIT_KRYOPTIC_MODULE names, or what `cargo xtask test` builds.
#[must_use]
pub fn module() -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("kryoptic/target/debug/libkeykit_kryoptic.so");
    env::var_os("KEYKIT_KRYOPTIC_MODULE").map(PathBuf::from).or(Some(built)).filter(|path| path.exists())
}

/// A folder of tokens, which goes away with this.
#[derive(Debug)]
pub struct Kryoptic {
    folder: tempfile::TempDir,
}

impl Kryoptic {
    /// Makes tokens with these labels.
    ///
    /// # Panics
    /// If `pkcs11-tool` fails.
    #[must_use]
    pub fn make(module: &Path, labels: &[&str]) -> Self {
        let made = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        let slots = (0..labels.len()).map(|slot| {
            let file = made.folder.path().join(format!("{slot}.sql"));
            format!("[[slots]]\nslot = {slot}\ndbtype = \"sqlite\"\ndbargs = \"{}\"\n", file.display())
        });
        fs::write(made.configuration(), slots.collect::<String>()).expect("a configuration");
        for (slot, label) in labels.iter().enumerate() {
            let slot = slot.to_string();
            let tool = |arguments: &[&str]| {
                let mut command = Command::new("pkcs11-tool");
                command
                    .arg("--module")
                    .arg(module)
                    .args(["--slot", &slot, "--so-pin", PIN])
                    .args(arguments)
                    .env("KRYOPTIC_CONF", made.configuration());
                let output = command.output().expect("pkcs11-tool of OpenSC");
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            };
            tool(&["--init-token", "--label", label]);
            tool(&["--init-pin", "--login", "--login-type", "so", "--new-pin", PIN]);
        }
        made
    }

    /// The configuration that KRYOPTIC_CONF must name.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join("token.conf")
    }
}

/// Runs `body` on fresh tokens with these labels, in a child process that runs only the test `name`. Without the module the
/// test is skipped and says so, unless KEYKIT_REQUIRE_TOKENS is set.
///
/// # Panics
/// If the body fails, or the module is missing and required.
pub fn on_kryoptic(name: &str, labels: &[&str], body: impl FnOnce(&Path)) {
    let Some(module) = module() else {
        skip(name, "kryoptic is not built (`cargo xtask setup` builds it)");
        return;
    };
    if is_child() {
        return body(&module);
    }
    let tokens = Kryoptic::make(&module, labels);
    in_child(name, &[("KRYOPTIC_CONF", &tokens.configuration())]);
}
