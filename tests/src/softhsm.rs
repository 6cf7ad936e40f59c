//! Tokens of SoftHSM for tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::child::{in_child, is_child, skip};

/// User PIN of every test token.
pub const PIN: &str = "1234";
/// Security officer's PIN of every test token.
pub const SO_PIN: &str = "12345678";
/// Where Debian and its relatives put the module.
const MODULES: [&str; 3] =
    ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"];

/// The module's file, if SoftHSM is installed.
#[must_use]
pub fn module() -> Option<PathBuf> {
    MODULES.into_iter().map(PathBuf::from).find(|path| path.exists())
}

/// A folder of tokens, which goes away with this.
#[derive(Debug)]
pub struct SoftHsm {
    folder: tempfile::TempDir,
}

impl SoftHsm {
    /// Makes tokens with these labels.
    ///
    /// # Panics
    /// If `softhsm2-util` fails.
    #[must_use]
    pub fn make(labels: &[&str]) -> Self {
        let made = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        let tokens = made.folder.path().join("tokens");
        fs::create_dir(&tokens).expect("a folder of tokens");
        let text = format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", tokens.display());
        fs::write(made.configuration(), text).expect("a configuration");
        for label in labels {
            let output = Command::new("softhsm2-util")
                .args(["--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", SO_PIN])
                .env("SOFTHSM2_CONF", made.configuration())
                .output()
                .expect("softhsm2-util");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        made
    }

    /// The configuration that SOFTHSM2_CONF must name.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join("softhsm2.conf")
    }
}

/// Runs `body` on fresh tokens with these labels, in a child process that runs only the test `name` (its full path in the
/// binary). Without SoftHSM the test is skipped and says so, unless KEYKIT_REQUIRE_TOKENS is set.
///
/// # Panics
/// If the body fails, or SoftHSM is missing and required.
pub fn on_softhsm(name: &str, labels: &[&str], body: impl FnOnce(&Path)) {
    let Some(module) = module() else {
        skip(name, "SoftHSM is not installed (`cargo xtask setup` installs it)");
        return;
    };
    if is_child() {
        return body(&module);
    }
    let tokens = SoftHsm::make(labels);
    in_child(name, &[("SOFTHSM2_CONF", &tokens.configuration())]);
}
