//! keykit and other RSA engines side by side, with the same keys and messages: the program behind `cargo xtask bench`, which
//! makes the keys and the token, chooses the processors, and turns these raw rates into medians.
//!
//! `keykit-compare --keys DIR --module FILE --threads 1|2 [--quick] [--only TEXT]` prints JSON: the machine, and for each work and engine
//! the operations per second of every round. Round k of one engine ran beside round k of the others. `--threads 2` compares two
//! threads with one, in one process. `--quick`: only works that a goal is measured with, and fewer rounds.
//!
//! `keykit-compare single sign|verify|issue|rekey|stream COUNT` does one work of keykit and nothing else: see [`single`].

mod engines;
mod machine;
mod rounds;
mod single;
mod works;

use std::path::PathBuf;
use std::process::ExitCode;

/// What went wrong, for people.
type Result<T, E = String> = std::result::Result<T, E>;

/// An error as text, with what was being done.
fn during<E: std::fmt::Display>(doing: &str) -> impl FnOnce(E) -> String + '_ {
    move |error| format!("{doing}: {error}")
}

/// The command line.
#[derive(Debug)]
struct Arguments {
    /// Folder with `old.pem`, `new.pem` (2048 bits), `1024.pem`, `3072.pem`, `4096.pem`.
    keys: PathBuf,
    /// The PKCS#11 module; its token `bench` holds the key `old`.
    module: PathBuf,
    threads: usize,
    quick: bool,
    /// Only works whose name contains this.
    only: String,
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let (mut keys, mut module, mut threads, mut quick, mut only) = (None, None, None, false, String::new());
        while let Some(word) = words.next() {
            match word.as_str() {
                "--keys" => keys = Some(PathBuf::from(words.next()?)),
                "--module" => module = Some(PathBuf::from(words.next()?)),
                "--threads" => threads = words.next()?.parse().ok(),
                "--quick" => quick = true,
                "--only" => only = words.next()?,
                _ => return None,
            }
        }
        Some(Self { keys: keys?, module: module?, threads: threads?, quick, only })
    }
}

fn compare(arguments: &Arguments) -> Result<()> {
    let setting = works::Setting::load(&arguments.keys, &arguments.module)?;
    let mut measured = Vec::new();
    let wanted = |work: &rounds::Work| work.name.contains(&arguments.only) && (work.has_goal || !arguments.quick || !arguments.only.is_empty());
    for mut work in setting.works(arguments.threads)?.into_iter().filter(wanted) {
        measured.push(rounds::measure(&mut work, arguments.quick)?);
    }
    let report = serde_json::json!({ "machine": machine::describe(), "works": measured });
    println!("{report}");
    Ok(())
}

fn main() -> ExitCode {
    // As the command does.
    keykit::bulk::keep_freed_memory();
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let ["single", work, count] = words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        return ended(count.parse().map_err(during("COUNT")).and_then(|count| single::run(work, count)));
    }
    let Some(arguments) = Arguments::read(words.into_iter()) else {
        eprintln!("usage: keykit-compare --keys DIR --module FILE --threads 1|2 [--quick] [--only TEXT]");
        return ExitCode::from(2);
    };
    ended(compare(&arguments))
}

fn ended(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("keykit-compare: {error}");
            ExitCode::FAILURE
        }
    }
}
