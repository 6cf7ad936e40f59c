//! `cargo xtask coverage` and `cargo xtask mutants`: how far the tests of journal, quorum, rules and plan reach.
//!
//! Only the crate `keykit` and the crash harness are instrumented, by this program as its compiler's wrapper, so that its dependencies are not built anew.
//! Branches are counted by an option of rustc that is not stable yet.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::Result;
use crate::process::{cargo, output, root, run};

/// Set where this program is the compiler's wrapper.
const INSIDE: &str = "KEYKIT_XTASK_COVERAGE";
/// The library, and the program of the crash harness: only a program that is instrumented itself writes down what its libraries count.
const INSTRUMENTED: [&str; 2] = ["keykit", "crash"];
const FLAGS: [&str; 4] = ["-C", "instrument-coverage", "-Z", "coverage-options=branch"];
/// Branches of a part that must be covered, in percent.
const WANTED: f64 = 95.0;
/// The parts, by their sources in `keykit/src`: a file, or a folder. Tests are not among them.
const PARTS: [(&str, &[&str]); 5] = [
    ("journal", &["migration/apply/journal.rs", "migration/apply.rs"]),
    ("quorum", &["ceremony/quorum.rs", "ceremony/approval.rs"]),
    ("rules", &["migration/rules.rs", "migration/rules/"]),
    ("plan", &["migration/plan.rs", "migration/plan/"]),
    ("canonical form", &["canonical.rs"]),
];

/// As the compiler's wrapper: the compiler, with the flags if it is for the crate that is looked at. `None` if this is no wrapper.
pub(crate) fn as_wrapper() -> Option<ExitCode> {
    std::env::var_os(INSIDE)?;
    let mut arguments = std::env::args_os().skip(1);
    let mut compiler = Command::new(arguments.next()?);
    let arguments: Vec<OsString> = arguments.collect();
    let is_meant =
        arguments.windows(2).any(|pair| matches!(pair, [name, value] if name == "--crate-name" && INSTRUMENTED.iter().any(|meant| value == meant)));
    compiler.args(arguments);
    if is_meant {
        compiler.args(FLAGS).env("RUSTC_BOOTSTRAP", INSTRUMENTED.join(","));
    }
    // It does not come back if it succeeds.
    eprintln!("xtask: {}", compiler.exec());
    Some(ExitCode::FAILURE)
}

/// What was counted in a part.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    branches: u64,
    branches_covered: u64,
    lines: u64,
    lines_covered: u64,
}

/// Runs the tests of the library and the crash simulation, and prints what they cover of each part.
pub(crate) fn coverage() -> Result<()> {
    let tools = LlvmTools::find()?;
    let folder = root().join("target/coverage");
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let wrapper = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut binaries = Vec::new();
    for arguments in [&["-p", "keykit", "--lib"][..], &["-p", "keykit-tests", "--test", "crash"]] {
        let instrumented = |command: &mut Command| {
            command.env("RUSTC_WORKSPACE_WRAPPER", &wrapper).env(INSIDE, "1").env("LLVM_PROFILE_FILE", folder.join("%p-%m.profraw"));
        };
        let mut build = cargo();
        instrumented(build.args(["test", "--locked", "--no-run", "--message-format=json"]).args(arguments));
        binaries.extend(executables(&output(&mut build)?));
        let mut tests = cargo();
        instrumented(tests.args(["test", "--locked"]).args(arguments));
        let before = profiles_in(&folder)?.len();
        run(&mut tests)?;
        if profiles_in(&folder)?.len() == before {
            return Err(format!("the tests of {} left no profile", arguments.join(" ")));
        }
    }
    let merged = folder.join("all.profdata");
    run(tools.command("llvm-profdata")?.args(["merge", "-sparse", "-o"]).arg(&merged).args(profiles_in(&folder)?))?;
    let mut export = tools.command("llvm-cov")?;
    export.args(["export", "-format=lcov", "-instr-profile"]).arg(&merged);
    for binary in &binaries {
        export.arg("-object").arg(binary);
    }
    let report = output(&mut export)?;
    fs::write(folder.join("lcov.info"), &report).map_err(|error| error.to_string())?;
    let parts = of_parts(&report, first_line_of_tests);
    let mut missed = Vec::new();
    println!("part             branches              lines");
    for (name, counts) in &parts {
        let percent = |covered: u64, all: u64| if all == 0 { 100.0 } else { covered as f64 * 100.0 / all as f64 };
        let branches = percent(counts.branches_covered, counts.branches);
        println!(
            "{name:<16} {:>4} of {:>4}, {branches:>5.1} %  {:>5} of {:>5}, {:>5.1} %",
            counts.branches_covered,
            counts.branches,
            counts.lines_covered,
            counts.lines,
            percent(counts.lines_covered, counts.lines)
        );
        if branches < WANTED {
            missed.push(*name);
        }
    }
    println!("which ones: {}", folder.join("lcov.info").display());
    if missed.is_empty() { Ok(()) } else { Err(format!("less than {WANTED} % of the branches of {}", missed.join(", "))) }
}

/// Changes the sources of the parts in every way that cargo-mutants knows, and runs the tests of the library against each change.
pub(crate) fn mutants(rest: &[&str]) -> Result<()> {
    let mut command = cargo();
    command.args(["mutants", "-p", "keykit", "--no-shuffle"]);
    for (_, sources) in PARTS {
        for source in sources {
            let pattern = if source.ends_with('/') { format!("keykit/src/{source}**") } else { format!("keykit/src/{source}") };
            command.args(["-f", &pattern]);
        }
    }
    command.args(rest).args(["--", "--lib"]);
    run(&mut command).map_err(|error| format!("{error} (`cargo install --locked cargo-mutants` brings it)"))
}

/// LLVM's tools of the version that rustc is built with, which know its format: those of rustc itself, those of the system
/// (Debian: the package `llvm-VERSION`), or those that rustup brings.
struct LlvmTools {
    own: PathBuf,
    version: String,
}

impl LlvmTools {
    fn find() -> Result<Self> {
        let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]).current_dir(root()))?;
        let about = output(Command::new("rustc").arg("-vV").current_dir(root()))?;
        let (host, version) = host_and_llvm(&about).ok_or("rustc does not say what it runs on and which LLVM it is built with")?;
        let tools = Self { own: Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin"), version: version.to_owned() };
        if tools.path("llvm-cov").is_none() {
            let hint = |error| format!("{error}; `apt-get install llvm-{version}` brings the tools too");
            run(Command::new("rustup").args(["component", "add", "llvm-tools"]).current_dir(root())).map_err(hint)?;
        }
        Ok(tools)
    }

    fn path(&self, tool: &str) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let of_the_system = std::env::split_paths(&path).map(|folder| folder.join(format!("{tool}-{}", self.version)));
        std::iter::once(self.own.join(tool)).chain(of_the_system).find(|tool| tool.exists())
    }

    fn command(&self, tool: &str) -> Result<Command> {
        self.path(tool).map(Command::new).ok_or_else(|| format!("there is no {tool} of LLVM {}", self.version))
    }
}

/// The machine and the major version of LLVM, as `rustc -vV` says them.
fn host_and_llvm(about: &str) -> Option<(&str, &str)> {
    let value = |name: &str| about.lines().find_map(|line| line.strip_prefix(name));
    Some((value("host: ")?, value("LLVM version: ")?.split('.').next()?))
}

/// What programs that ended have counted, in this folder.
fn profiles_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.extension().is_some_and(|extension| extension == "profraw")).collect())
}

/// The test binaries that cargo names.
fn executables(messages: &str) -> Vec<PathBuf> {
    let name = |line: &str| line.split_once("\"executable\":\"").and_then(|(_, rest)| Some(rest.split_once('"')?.0.to_owned()));
    messages.lines().filter_map(name).map(PathBuf::from).collect()
}

/// Where the tests at the end of a source begin, as a number of a line; none are in it if that is 0.
fn first_line_of_tests(source: &str) -> u64 {
    let line = fs::read_to_string(source).unwrap_or_default().lines().position(|line| line == "mod tests {");
    line.map_or(0, |line| line as u64 + 1)
}

/// Adds a report of llvm-cov up (`lcov`: SF is a file; BRDA is a branch and DA a line, with the line and how often it was taken).
fn of_parts(report: &str, first_line_of_tests: impl Fn(&str) -> u64) -> Vec<(&'static str, Counts)> {
    let mut files = BTreeMap::<&str, Counts>::new();
    let (mut file, mut tests) = ("", 0);
    for line in report.lines() {
        let (kind, value) = line.split_once(':').unwrap_or((line, ""));
        if kind == "SF" {
            (file, tests) = (value, first_line_of_tests(value));
            continue;
        }
        let number = value.split(',').next().and_then(|number| number.parse::<u64>().ok()).unwrap_or_default();
        if !matches!(kind, "BRDA" | "DA") || (tests != 0 && number >= tests) {
            continue;
        }
        let is_taken = value.rsplit(',').next().is_some_and(|count| count.parse::<u64>().is_ok_and(|count| count > 0));
        let counts = files.entry(file).or_default();
        let (all, covered) =
            if kind == "BRDA" { (&mut counts.branches, &mut counts.branches_covered) } else { (&mut counts.lines, &mut counts.lines_covered) };
        *all += 1;
        *covered += u64::from(is_taken);
    }
    let sum = |sources: &[&str]| {
        let mut sum = Counts::default();
        for (file, counts) in &files {
            let Some((_, source)) = file.split_once("keykit/src/") else { continue };
            let is_test = source.ends_with("/tests.rs") || source.contains("/tests/");
            let is_meant = sources.iter().any(|meant| *meant == source || (meant.ends_with('/') && source.starts_with(meant)));
            if is_meant && !is_test {
                sum.branches += counts.branches;
                sum.branches_covered += counts.branches_covered;
                sum.lines += counts.lines;
                sum.lines_covered += counts.lines_covered;
            }
        }
        sum
    };
    PARTS.iter().map(|(name, sources)| (*name, sum(sources))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_added_up_by_part_without_its_tests() {
        let report = "SF:/x/keykit/src/migration/plan.rs\nDA:1,7\nDA:2,0\nDA:9,1\nBRDA:1,0,0,3\nBRDA:1,0,1,0\nBRDA:9,0,0,1\nBRF:3\nend_of_record\n\
                      SF:/x/keykit/src/migration/plan/build.rs\nDA:9,1\nBRDA:9,0,0,5\nBRDA:9,0,1,-\nend_of_record\n\
                      SF:/x/keykit/src/migration/plan/tests.rs\nDA:1,0\nBRDA:1,0,0,0\nend_of_record\n\
                      SF:/x/keykit/src/other.rs\nDA:1,0\nBRDA:1,0,0,0\nend_of_record\n";
        let parts = of_parts(report, |file| if file.ends_with("plan.rs") { 9 } else { 0 });
        assert_eq!(parts[3], ("plan", Counts { branches: 4, branches_covered: 2, lines: 3, lines_covered: 2 }));
        assert_eq!(parts[1].1, Counts::default());
    }

    #[test]
    fn rustc_names_its_machine_and_its_llvm() {
        let about = "rustc 1.95.0\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\nLLVM version: 22.1.2\n";
        assert_eq!(host_and_llvm(about), Some(("x86_64-unknown-linux-gnu", "22")));
        assert_eq!(host_and_llvm("host: x86_64-unknown-linux-gnu\n"), None);
    }

    #[test]
    fn cargo_names_binaries() {
        let text = "{\"reason\":\"compiler-artifact\",\"executable\":null}\n{\"executable\":\"/t/debug/deps/keykit-1\",\"fresh\":true}\nmore";
        assert_eq!(executables(text), [PathBuf::from("/t/debug/deps/keykit-1")]);
    }
}
