//! One work of the hot path, over and over: for `perf`, for callgrind (`cargo xtask bench --instructions`), and for a first look.
//!
//! `hot_path rekey|issue|verify|sign COUNT` does COUNT licences in batches of 64 and prints the time of one, and what of it is not
//! the private operations of the store. `KEYKIT_BENCH_ENGINE` chooses the engine: `ifma`, `avx2`, `libraries`.

use std::process::ExitCode;
use std::time::Instant;

use keykit::key::RsaSecretKey;
use keykit::xrml::Document;
use keykit_benches::Workload;
use keykit_hsm_backends::memory::EngineChoice;

const BATCH: u32 = 64;

fn run(work: &str, count: u32) -> keykit::Result<()> {
    let key = |name: &str| RsaSecretKey::from_pem(&std::fs::read_to_string(format!("{}/../vectors/keys/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap_or_default());
    let engine = match std::env::var("KEYKIT_BENCH_ENGINE").as_deref() {
        Ok("ifma") => EngineChoice::Ifma,
        Ok("avx2") => EngineChoice::Avx2,
        Ok("libraries") => EngineChoice::Libraries,
        _ => EngineChoice::Fastest,
    };
    let workload = Workload::new(&key("xrml-2048-server.pem")?, &key("xrml-2048.pem")?, engine)?;
    let rekey = workload.rekey()?;
    let licences = workload.licences(BATCH.min(count))?;
    let batch: Vec<&[u8]> = licences.iter().map(String::as_bytes).collect();
    workload.store().take();
    let start = Instant::now();
    let mut done = 0;
    while done < count {
        match work {
            "rekey" => {
                for result in rekey.rekey_batch(&batch)? {
                    result?;
                }
            }
            "verify" => {
                for licence in &licences {
                    let document = Document::read(licence.as_bytes())?;
                    assert!(document.check_signature().is_sound());
                }
            }
            "issue" => {
                workload.licences(BATCH.min(count))?;
            }
            _ => {}
        }
        done += BATCH;
    }
    let (total, private) = (start.elapsed(), workload.store().take());
    let each = |time: std::time::Duration| time.as_secs_f64() * 1e6 / f64::from(done.max(1));
    println!("{work}: {:.1} us each, {:.1} us of it outside private operations; {} bytes", each(total), each(total.saturating_sub(private)), licences.first().map_or(0, String::len));
    Ok(())
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let (Some(work), Some(Ok(count))) = (words.next(), words.next().map(|count| count.parse())) else {
        eprintln!("usage: hot_path rekey|issue|verify COUNT");
        return ExitCode::from(2);
    };
    match run(&work, count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hot_path: {error}");
            ExitCode::FAILURE
        }
    }
}
