//! `cargo xtask bench`: keykit and other RSA engines side by side, on one processor and on two.
//!
//! The program that runs them is `benches/compare`, a workspace of its own. Here: its keys and its token in a private folder, the
//! processors it may use, and the figures made of its rounds.

mod instructions;
mod statistics;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::Result;
use crate::process::{cargo, describe, module, output, private, root, run};
use crate::setup::{self, FOR_BENCH};
use statistics::{Paired, median, paired};

/// PIN of the token.
const PIN: &str = "1234";
/// File names of the keys, and their bits. The first two are the keys before and after a re-key; the token holds the first.
const KEYS: [(&str, u32); 5] = [("old", 2048), ("new", 2048), ("1024", 1024), ("3072", 3072), ("4096", 4096)];
/// The engine that all are compared with.
const BASE: &str = "OpenSSL";

/// How the comparison is run and shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    quick: bool,
    json: bool,
    /// Only works whose name contains this.
    only: String,
    /// Instructions are counted instead, and compared with those that are kept.
    instructions: bool,
    /// They are kept.
    keep: bool,
}

impl Options {
    /// Reads what follows `bench`; `None` if it is not understood.
    pub(crate) fn read(words: &[&str]) -> Option<Self> {
        Self::read_words(words).filter(|options| options.instructions || !options.keep)
    }

    fn read_words(words: &[&str]) -> Option<Self> {
        match words {
            [] => Some(Self::default()),
            ["--quick", rest @ ..] => Self::read_words(rest).map(|options| Self { quick: true, ..options }),
            ["--instructions", rest @ ..] => Self::read_words(rest).map(|options| Self { instructions: true, ..options }),
            ["--keep", rest @ ..] => Self::read_words(rest).map(|options| Self { keep: true, ..options }),
            ["--format", "json", rest @ ..] => Self::read_words(rest).map(|options| Self { json: true, ..options }),
            ["--format", "text", rest @ ..] => Self::read_words(rest),
            ["--only", text, rest @ ..] => Self::read_words(rest).map(|options| Self { only: (*text).to_owned(), ..options }),
            _ => None,
        }
    }
}

/// Runs the comparison and prints one table, or JSON with the table on standard error.
pub(crate) fn compare(options: &Options) -> Result<()> {
    setup::packages(FOR_BENCH)?;
    let workspace = root().join("benches/compare");
    run(cargo().args(["build", "--release", "--locked"]).current_dir(&workspace).env_remove("CARGO_TARGET_DIR").stdout(Stdio::null()))?;
    let program = workspace.join("target/release/keykit-compare");
    if options.instructions {
        return instructions::run(&program, options.keep);
    }
    let stage = Stage::set_up()?;
    let (mut rows, mut machine) = (Vec::new(), Value::Null);
    for threads in [1, 2] {
        let Some(processors) = processors(threads) else {
            eprintln!("xtask: there are no {threads} processors to use; that part is left out");
            continue;
        };
        let measured = stage.run(&program, threads, &processors, options)?;
        rows.extend(rows_of(&measured)?);
        machine = measured.get("machine").cloned().unwrap_or_default();
    }
    let table = table(&rows, &machine);
    if options.json {
        eprint!("{table}");
        println!("{}", json!({ "schema": "keykit/bench/1", "rows": rows.iter().map(Row::to_json).collect::<Vec<_>>(), "machine": machine }));
    } else {
        print!("{table}");
    }
    Ok(())
}

/// One engine at one work.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    work: String,
    engine: String,
    median_per_second: f64,
    rounds: usize,
    to_openssl: Paired,
    /// A second engine that this one is compared with, for works that have one.
    to_reference: Option<(String, f64)>,
}

impl Row {
    fn to_json(&self) -> Value {
        let mut row = json!({
            "work": self.work,
            "engine": self.engine,
            "median_per_second": rounded(self.median_per_second),
            "ratio_to_openssl": rounded(self.to_openssl.median),
            "ratio_to_openssl_quartiles": [rounded(self.to_openssl.low), rounded(self.to_openssl.high)],
            "rounds": self.rounds,
        });
        if let (Some((name, ratio)), Some(row)) = (&self.to_reference, row.as_object_mut()) {
            row.insert("reference".into(), json!(name));
            row.insert("ratio_to_reference".into(), json!(rounded(*ratio)));
        }
        row
    }
}

/// Three decimals: more is noise.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Medians and paired ratios of what the comparison program measured.
fn rows_of(measured: &Value) -> Result<Vec<Row>> {
    let strange = || "the comparison program's output is not understood".to_owned();
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut rows = Vec::new();
    for work in measured.get("works").and_then(Value::as_array).ok_or_else(strange)? {
        let name = text(work, "work").ok_or_else(strange)?;
        let mut engines: Vec<(String, Vec<f64>)> = Vec::new();
        for engine in work.get("engines").and_then(Value::as_array).ok_or_else(strange)? {
            let rates = engine.get("per_second").and_then(Value::as_array).ok_or_else(strange)?;
            engines.push((text(engine, "engine").ok_or_else(strange)?, rates.iter().filter_map(Value::as_f64).collect()));
        }
        let (_, base) = engines.iter().find(|(engine, _)| engine.starts_with(BASE)).ok_or_else(strange)?;
        let reference = text(work, "reference").and_then(|name| engines.iter().find(|(engine, _)| *engine == name));
        for (engine, rates) in &engines {
            rows.push(Row {
                work: name.clone(),
                engine: engine.clone(),
                median_per_second: median(rates).ok_or_else(strange)?,
                rounds: rates.len(),
                to_openssl: paired(rates, base).ok_or_else(strange)?,
                to_reference: reference.and_then(|(name, others)| Some((name.clone(), paired(rates, others)?.median))),
            });
        }
    }
    Ok(rows)
}

fn table(rows: &[Row], machine: &Value) -> String {
    let field = |name: &str| machine.get(name).and_then(Value::as_str).unwrap_or("unknown");
    let features = machine.get("features").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let features: Vec<&str> = features.iter().filter_map(Value::as_str).collect();
    let mut text =
        format!("{}, {} processors ({})\n{}", field("cpu"), machine.get("processors").unwrap_or(&Value::Null), features.join(" "), field("openssl"));
    for name in ["OPENSSL_ia32cap", "KEYKIT_BENCH_ENGINE"] {
        if let Some(value) = machine.get(name).and_then(Value::as_str) {
            text.push_str(&format!(", {name}={value}"));
        }
    }
    text.push_str("\nMedians over rounds; ratios are medians of the ratios within each round, with their quartiles.\n");
    let mut work = "";
    for row in rows {
        if row.work != work {
            work = &row.work;
            text.push_str(&format!("\n{work} ({} rounds)\n{:<34}{:>10}{:>10}   quartiles\n", row.rounds, "", "a second", "OpenSSL"));
        }
        let Paired { low, median, high } = row.to_openssl;
        text.push_str(&format!("  {:<32}{:>10.0}{median:>9.2}x   {low:.2} to {high:.2}", row.engine, row.median_per_second));
        if let Some((name, ratio)) = &row.to_reference {
            text.push_str(&format!(", {ratio:.3}x {name}"));
        }
        text.push('\n');
    }
    text
}

/// The last processors that this process may use, as `taskset` names them: the first one has most of the system's own work.
fn processors(wanted: usize) -> Option<String> {
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

/// A private folder with keys, and a token that holds the first of them.
struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    fn set_up() -> Result<Self> {
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

    /// Runs the comparison program on these processors only, and reads what it measured.
    fn run(&self, program: &Path, threads: usize, processors: &str, options: &Options) -> Result<Value> {
        let mut command = Command::new("taskset");
        command.args(["-c", processors]).arg(program).arg("--keys").arg(self.folder.path());
        command.arg("--module").arg(module()?).args(["--threads", &threads.to_string()]);
        command.args(["--only", &options.only]).env("SOFTHSM2_CONF", self.configuration()).stderr(Stdio::inherit());
        if options.quick {
            command.arg("--quick");
        }
        let name = describe(&command);
        eprintln!("xtask: {name}");
        let ran = command.output().map_err(|error| format!("{name}: {error}"))?;
        if !ran.status.success() {
            return Err(format!("{name}: {}", ran.status));
        }
        serde_json::from_slice(&ran.stdout).map_err(|error| format!("{name}: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_in_any_order() {
        let all = Options { quick: true, json: true, ..Options::default() };
        assert_eq!(Options::read(&["--quick", "--format", "json"]), Some(all.clone()));
        assert_eq!(Options::read(&["--format", "json", "--quick"]), Some(all.clone()));
        assert_eq!(Options::read(&["--quick", "--only", "sign", "--format", "json"]), Some(Options { only: "sign".into(), ..all }));
        assert_eq!(Options::read(&["--only"]), None);
        assert_eq!(Options::read(&["--instructions"]), Some(Options { instructions: true, ..Options::default() }));
        assert_eq!(Options::read(&["--keep", "--instructions"]), Some(Options { instructions: true, keep: true, ..Options::default() }));
        assert_eq!(Options::read(&["--keep"]), None);
        assert_eq!(Options::read(&[]), Some(Options::default()));
        assert_eq!(Options::read(&["--format"]), None);
        assert_eq!(Options::read(&["--slow"]), None);
    }

    #[test]
    fn the_last_processors_are_taken() {
        assert_eq!(last_of("0-1", 1).as_deref(), Some("1"));
        assert_eq!(last_of("0-3,8", 2).as_deref(), Some("3,8"));
        assert_eq!(last_of("5", 2), None);
        assert_eq!(last_of("", 1), None);
    }

    #[test]
    fn rounds_become_rows() {
        let measured = json!({ "machine": {}, "works": [{ "work": "sign", "reference": "raw", "engines": [
            { "engine": "OpenSSL", "per_second": [100.0, 50.0, 100.0] },
            { "engine": "raw", "per_second": [40.0, 20.0, 50.0] },
            { "engine": "keykit", "per_second": [200.0, 100.0, 210.0] },
        ] }] });
        let rows = rows_of(&measured).unwrap();
        let keykit = rows.last().unwrap().to_json();
        assert_eq!(keykit["median_per_second"], 200.0);
        assert_eq!(keykit["ratio_to_openssl"], 2.0);
        assert_eq!(keykit["reference"], "raw");
        assert_eq!(keykit["ratio_to_reference"], 5.0);
        assert_eq!(rows.first().unwrap().to_openssl.median, 1.0);
        assert!(table(&rows, &json!({})).contains("2.00x"));
    }

    #[test]
    fn output_without_openssl_or_with_missing_rounds_is_refused() {
        for engines in [
            json!([{ "engine": "keykit", "per_second": [1.0] }]),
            json!([{ "engine": "OpenSSL", "per_second": [1.0] }, { "engine": "keykit", "per_second": [1.0, 2.0] }]),
            json!([{ "engine": "OpenSSL", "per_second": [] }]),
        ] {
            assert!(rows_of(&json!({ "works": [{ "work": "sign", "engines": engines }] })).is_err());
        }
    }
}
