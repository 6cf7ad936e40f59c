//! Keys and a token for the comparison, and the runs of its program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::Options;
use crate::Result;
use crate::process::{describe, module, output, private};

/// PIN of the token.
const PIN: &str = "1234";
/// File names of the keys, and their bits. The first two are the keys before and after a re-key; the token holds the first.
const KEYS: [(&str, u32); 5] = [("old", 2048), ("new", 2048), ("1024", 1024), ("3072", 3072), ("4096", 4096)];

/// On what the comparison runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    /// One processor with all that it has.
    Native,
    /// One processor, of which OpenSSL and AWS-LC use nothing beyond AVX2, and keykit its kernel for AVX2.
    Avx2,
    /// Two processors with all that they have.
    TwoThreads,
}

impl Setting {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Avx2 => "avx2",
            Self::TwoThreads => "two-threads",
        }
    }

    /// For headings.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Native => "One processor, with all that it has",
            Self::Avx2 => "One processor, as if it had AVX2 only",
            Self::TwoThreads => "Two processors, with all that they have; time on the clock",
        }
    }

    fn threads(self) -> usize {
        if self == Self::TwoThreads { 2 } else { 1 }
    }

    /// What takes AVX-512 from OpenSSL and AWS-LC: F, DQ, IFMA, CD, BW and VL of CPUID leaf 7.
    fn environment(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        [("OPENSSL_ia32cap", ":~0xc0230000"), ("KEYKIT_BENCH_ENGINE", "avx2")].into_iter().filter(move |_| self == Self::Avx2)
    }
}

/// A private folder with keys, and a token that holds the first of them.
pub(super) struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    pub(super) fn set_up() -> Result<Self> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let stage = Self { folder };
        let tokens = stage.path("tokens");
        fs::create_dir(&tokens).map_err(|error| error.to_string())?;
        let text = format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", tokens.display());
        fs::write(stage.configuration(), text).map_err(|error| error.to_string())?;
        for (name, bits) in KEYS {
            let file = stage.path(&format!("{name}.pem"));
            let bits = format!("rsa_keygen_bits:{bits}");
            output(Command::new("openssl").args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", &bits, "-out"]).arg(&file))?;
            private(&file)?;
        }
        let mut make = Command::new("softhsm2-util");
        make.args(["--init-token", "--free", "--label", "bench", "--pin", PIN, "--so-pin", "12345678"]);
        output(make.env("SOFTHSM2_CONF", stage.configuration()))?;
        let mut import = Command::new("softhsm2-util");
        import.arg("--import").arg(stage.path("old.pem")).args(["--token", "bench", "--label", "old", "--id", "01", "--pin", PIN]);
        output(import.env("SOFTHSM2_CONF", stage.configuration()))?;
        Ok(stage)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configuration(&self) -> PathBuf {
        self.path("softhsm2.conf")
    }

    /// Runs the comparison program on so many processors only, and reads what it measured. `None` if there are not as many.
    pub(super) fn run(&self, program: &Path, setting: Setting, options: &Options) -> Result<Option<Value>> {
        let threads = setting.threads();
        let Some(processors) = processors(threads) else {
            eprintln!("xtask: there are no {threads} processors to use; that part is left out");
            return Ok(None);
        };
        let mut command = Command::new("taskset");
        command.args(["-c", &processors]).arg(program).arg("--keys").arg(self.folder.path());
        command.arg("--module").arg(module()?).args(["--threads", &threads.to_string()]);
        command.args(["--only", &options.only]).env("SOFTHSM2_CONF", self.configuration()).envs(setting.environment());
        if options.quick {
            command.arg("--quick");
        }
        json_of(&mut command).map(Some)
    }
}

/// Runs a program that prints one JSON value.
pub(super) fn json_of(command: &mut Command) -> Result<Value> {
    let name = describe(command);
    eprintln!("xtask: {name}");
    let ran = command.stderr(Stdio::inherit()).output().map_err(|error| format!("{name}: {error}"))?;
    if !ran.status.success() {
        return Err(format!("{name}: {}", ran.status));
    }
    serde_json::from_slice(&ran.stdout).map_err(|error| format!("{name}: {error}"))
}

/// The last processors that this process may use, as `taskset` names them: the first one has most of the system's own work.
pub(super) fn processors(wanted: usize) -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    last_of(allowed.trim(), wanted)
}

/// The last `wanted` numbers of a list such as `0-3,8`.
fn last_of(list: &str, wanted: usize) -> Option<String> {
    let mut numbers: Vec<u32> = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        numbers.extend(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?);
    }
    let last = numbers.get(numbers.len().checked_sub(wanted)?..)?;
    Some(last.iter().map(u32::to_string).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_processors_are_taken() {
        assert_eq!(last_of("0-1", 1).as_deref(), Some("1"));
        assert_eq!(last_of("0-3,8", 2).as_deref(), Some("3,8"));
        assert_eq!(last_of("5", 2), None);
        assert_eq!(last_of("", 1), None);
    }
}
