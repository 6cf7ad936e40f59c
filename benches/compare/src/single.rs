//! One work of keykit alone, with keys that are always the same: for callgrind, for profiles, and for memory.
//!
//! `sign`, `verify`, `issue` and `rekey` work on the same batch of 64 licences until COUNT is reached. `stream` re-keys COUNT lines of
//! JSON that are made as they are read, through the bulk machinery, and also prints the most memory that the process ever held.

use std::io::{self, BufReader, Read};
use std::num::NonZero;
use std::time::Instant;

use keykit::bulk::{self, Item, LinesOutput, Options, Output};
use keykit::key::{Hash, RsaSecretKey};
use keykit::licence::Rekey;
use keykit::store::KeyStore;
use keykit::threads::processors;
use keykit::xrml::Document;
use keykit_benches::Workload;
use serde_json::json;

use crate::engines::engine_choice;
use crate::{Result, during};

const BATCH: u32 = 64;
const OLD: &str = include_str!("../../../vectors/keys/xrml-2048-server.pem");
const NEW: &str = include_str!("../../../vectors/keys/xrml-2048.pem");

/// Runs one work and prints one JSON object: microseconds of a licence, and those of them outside private operations.
pub(crate) fn run(work: &str, count: u32) -> Result<()> {
    let key = |pem| RsaSecretKey::from_pem(pem).map_err(during("a key"));
    let workload = Workload::new(&key(OLD)?, &key(NEW)?, engine_choice()?).map_err(during("the keys"))?;
    let licences = workload.licences(BATCH).map_err(during("licences"))?;
    workload.store().take();
    let start = Instant::now();
    if work == "stream" {
        stream(&workload.rekey().map_err(during("the keys"))?, &licences, count, processors())?;
    } else {
        for _ in 0..count.div_ceil(BATCH) {
            batch(work, &workload, &licences)?;
        }
    }
    let (total, private) = (start.elapsed(), workload.store().take());
    let each = |time: std::time::Duration| (time.as_secs_f64() * 1e7 / f64::from(count.max(1))).round() / 10.0;
    println!(
        "{}",
        json!({ "work": work, "count": count, "microseconds": each(total), "outside_private_operations": each(total.saturating_sub(private)),
                "licence_bytes": licences.first().map(String::len), "peak_memory_kib": peak_memory() })
    );
    Ok(())
}

/// A function of its own in the program: callgrind counts what happens in it.
#[inline(never)]
fn batch(work: &str, workload: &Workload, licences: &[String]) -> Result<()> {
    match work {
        "sign" => {
            let digests: Vec<_> = licences.iter().map(|licence| Hash::Sha256.digest(licence.as_bytes())).collect();
            workload.store().sign(&workload.old_key(), &digests).map_err(during(work))?;
        }
        "verify" => {
            for licence in licences {
                let document = Document::read(licence.as_bytes()).map_err(during(work))?;
                if !document.check_signature().is_sound() {
                    return Err("a licence does not verify".into());
                }
            }
        }
        "issue" => {
            workload.licences(BATCH).map_err(during(work))?;
        }
        "rekey" => {
            let items: Vec<&[u8]> = licences.iter().map(String::as_bytes).collect();
            let rekey = workload.rekey().map_err(during(work))?;
            for result in rekey.rekey_batch(&items).map_err(during(work))? {
                result.map_err(during(work))?;
            }
        }
        _ => return Err(format!("there is no work {work}")),
    }
    Ok(())
}

/// Re-keys so many lines in the bulk machinery.
pub(crate) fn stream(rekey: &Rekey<'_>, licences: &[String], count: u32, workers: NonZero<usize>) -> Result<()> {
    let transform = |items: &[Item]| {
        let texts: Vec<&[u8]> = items.iter().map(|item| item.bytes.as_slice()).collect();
        Ok(rekey.rekey_batch(&texts)?.into_iter().map(|result| result.map(|rekeyed| Output::Changed(rekeyed.text))).collect())
    };
    let input = BufReader::new(Lines { licences, next: 0, count, line: Vec::new(), read: 0 });
    let report = bulk::lines(input, LinesOutput::stream(io::sink()), &transform, &Options { workers, ..Options::default() }, &mut ());
    let counts = report.into_result().map_err(during("the stream"))?;
    if counts.done == u64::from(count) { Ok(()) } else { Err(format!("{} of {count} lines were done", counts.done)) }
}

/// Lines that are made as they are read.
struct Lines<'a> {
    licences: &'a [String],
    next: u32,
    count: u32,
    line: Vec<u8>,
    read: usize,
}

impl Read for Lines<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.line.len() && self.next < self.count {
            let licence = self.licences.get((self.next % BATCH) as usize);
            self.line = format!("{}\n", json!({ "id": self.next.to_string(), "licence": licence })).into_bytes();
            (self.next, self.read) = (self.next + 1, 0);
        }
        let mut rest = self.line.get(self.read..).unwrap_or_default();
        let length = rest.read(buffer)?;
        self.read += length;
        Ok(length)
    }
}

/// The most memory that this process held, in KiB, as the system says it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}
