//! Installs what the tests and the demonstration need and is not there.

use std::path::{Path, PathBuf};
use std::process::Command;

use keykit_tests::fixture::{SoftHsm, find_program};

use crate::Result;
use crate::command::{run, succeeds};

/// How much to set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// SoftHSM and the programs that the results are checked with.
    Tokens,
    /// That, and what kryoptic is built with.
    TokensAndKryoptic,
}

/// Something needed: how it is found, and the packages of Debian that bring it.
struct Need {
    what: &'static str,
    found: fn() -> bool,
    packages: &'static [&'static str],
    extent: Extent,
}

static NEEDS: [Need; 7] = [
    // aws-lc-rs compiles C. Its headers come with libc6-dev, which gcc only recommends.
    Need { what: "a C compiler", found: || has("cc"), packages: &["gcc", "libc6-dev"], extent: Extent::Tokens },
    Need { what: "SoftHSM", found: || has("softhsm2-util") && SoftHsm::find_module().is_some(), packages: &["softhsm2"], extent: Extent::Tokens },
    Need { what: "pkcs11-tool", found: || has("pkcs11-tool"), packages: &["opensc"], extent: Extent::Tokens },
    Need { what: "openssl", found: || has("openssl"), packages: &["openssl"], extent: Extent::Tokens },
    Need {
        what: "the headers of OpenSSL",
        found: || has_library("openssl"),
        packages: &["libssl-dev", "pkg-config"],
        extent: Extent::TokensAndKryoptic,
    },
    Need {
        what: "the headers of SQLite",
        found: || has_library("sqlite3"),
        packages: &["libsqlite3-dev", "pkg-config"],
        extent: Extent::TokensAndKryoptic,
    },
    Need { what: "libclang", found: has_libclang, packages: &["libclang-dev"], extent: Extent::TokensAndKryoptic },
];

/// Installs what is missing. Changes nothing, and takes no time, where all is there.
pub(crate) fn set_up(extent: Extent) -> Result {
    let missing = missing(extent);
    if missing.is_empty() {
        return Ok(());
    }
    let what: Vec<&str> = missing.iter().map(|need| need.what).collect();
    let mut packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
    packages.sort_unstable();
    packages.dedup();
    install(&packages).map_err(|why| {
        let (what, packages) = (what.join(", "), packages.join(" "));
        format!("{why}\nmissing: {what}\non Debian, as root: apt-get update && apt-get install -y --no-install-recommends {packages}")
    })?;
    match self::missing(extent).first() {
        None => Ok(()),
        Some(need) => Err(format!("{} is still missing after apt-get install {}", need.what, need.packages.join(" ")).into()),
    }
}

fn missing(extent: Extent) -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| need.extent == Extent::Tokens || need.extent == extent).filter(|need| !(need.found)()).collect()
}

fn install(packages: &[&str]) -> Result {
    if !has("apt-get") {
        return Err("there is no apt-get on this system".into());
    }
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    if !root && !has("sudo") {
        return Err("this needs root, and there is no sudo".into());
    }
    let apt_get = |arguments: &[&str]| {
        // Through env, as sudo drops the variables of its caller.
        let mut command = if root { Command::new("env") } else { Command::new("sudo") };
        if !root {
            command.arg("env");
        }
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(arguments);
        command
    };
    run(&mut apt_get(&["update", "-q"]))?;
    run(apt_get(&["install", "-q", "-y", "--no-install-recommends"]).args(packages))
}

fn has(program: &str) -> bool {
    find_program(program).is_some()
}

fn has_library(name: &str) -> bool {
    succeeds(Command::new("pkg-config").args(["--exists", name]))
}

/// Looks where bindgen looks: `LIBCLANG_PATH`, then the library folders of LLVM and of the system.
fn has_libclang() -> bool {
    if std::env::var_os("LIBCLANG_PATH").is_some() {
        return true;
    }
    let llvm = entries(Path::new("/usr/lib")).into_iter().filter(|folder| file_name(folder).starts_with("llvm-")).map(|folder| folder.join("lib"));
    let system = ["/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/local/lib"].map(PathBuf::from);
    llvm.chain(system)
        .flat_map(|folder| entries(&folder))
        .any(|file| file_name(&file).starts_with("libclang.") || file_name(&file).starts_with("libclang-"))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
