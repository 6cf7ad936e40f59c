//! What tests, benchmarks and the demonstration need beside Rust: Debian packages, and the second token.

use std::process::Command;

use crate::Result;
use crate::process::{cargo, output, root, run};

/// For `cargo xtask demo`: the token, and an independent look at it.
pub(crate) const FOR_DEMO: &[&str] = &["gcc", "libc6-dev", "softhsm2", "opensc", "openssl"];
/// For `cargo xtask test`: the same, and what the second token is built with.
pub(crate) const FOR_TESTS: &[&str] = &[
    "gcc",
    "libc6-dev",
    "softhsm2",
    "opensc",
    "openssl",
    "libclang-dev",
    "libssl-dev",
    "libsqlite3-dev",
    "openssh-client",
    "pkg-config",
    "python3",
    "strace",
    "chromium",
    "valgrind",
];

/// For `cargo xtask bench`: the peers are OpenSSL and libraries that are built from C.
pub(crate) const FOR_BENCH: &[&str] = &["cmake", "gcc", "libssl-dev", "openssl", "pkg-config", "softhsm2", "util-linux", "valgrind"];

/// Installs the packages that are missing.
pub(crate) fn packages(wanted: &[&str]) -> Result<()> {
    let missing: Vec<&str> = wanted.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("install them by hand: apt-get install {}", missing.join(" "));
    if Command::new("apt-get").arg("--version").output().is_err() {
        return Err(format!("packages are missing and this is no Debian; {by_hand}"));
    }
    let is_root = output(Command::new("id").arg("-u"))?.trim() == "0";
    let apt_get = |arguments: &[&str]| {
        let mut command = if is_root { Command::new("apt-get") } else { Command::new("sudo") };
        if !is_root {
            command.arg("apt-get");
        }
        run(command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive")).map_err(|error| format!("{error}; {by_hand}"))
    };
    apt_get(&["update", "-qq"])?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(missing);
    apt_get(&install)
}

fn is_installed(package: &str) -> bool {
    let status = Command::new("dpkg-query").args(["-W", "-f", "${Status}", package]).output();
    status.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("install ok installed"))
}

/// Builds the second, independent token in its own workspace.
pub(crate) fn kryoptic() -> Result<()> {
    run(cargo().args(["build", "--locked"]).current_dir(root().join("tests/kryoptic")).env_remove("CARGO_TARGET_DIR"))
}
