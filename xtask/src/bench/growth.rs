//! Streams of licences that are re-keyed in the bulk machinery: time per licence, and the most memory, as their number grows.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::rows::rounded;
use super::stage::json_of;
use super::statistics::median;
use crate::Result;

/// Numbers of licences, and how often each is run: the median counts.
const ALL: [(u32, usize); 4] = [(1_000, 9), (10_000, 5), (100_000, 3), (1_000_000, 1)];
/// In a quick run.
const QUICK: [(u32, usize); 2] = [(1_000, 3), (10_000, 1)];

/// One stream.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stream {
    pub(super) licences: u32,
    /// Time on the clock for each licence, on all processors, in microseconds.
    pub(super) microseconds: f64,
    /// The most memory that the process ever held, in MiB.
    pub(super) peak_mib: f64,
}

impl Stream {
    pub(super) fn to_json(&self) -> Value {
        json!({ "licences": self.licences, "microseconds_per_licence": rounded(self.microseconds), "peak_memory_mib": rounded(self.peak_mib) })
    }
}

/// Runs all streams, interleaved: what disturbs for a while disturbs all of them.
pub(super) fn measure(program: &Path, quick: bool) -> Result<Vec<Stream>> {
    let plan: &[(u32, usize)] = if quick { &QUICK } else { &ALL };
    let mut measured: Vec<(u32, Vec<f64>, f64)> = plan.iter().map(|(licences, _)| (*licences, Vec::new(), 0.0)).collect();
    let most = plan.iter().map(|(_, runs)| *runs).max().unwrap_or_default();
    for round in 0..most {
        for ((licences, times, peak), _) in measured.iter_mut().zip(plan).filter(|(_, (_, runs))| round < *runs) {
            let result = json_of(Command::new(program).args(["single", "stream", &licences.to_string()]))?;
            let number = |name: &str| result.get(name).and_then(Value::as_f64).ok_or_else(|| format!("the comparison program does not say {name}"));
            times.push(number("microseconds")?);
            *peak = peak.max(number("peak_memory_kib")? / 1024.0);
        }
    }
    let streams = measured.into_iter().filter_map(|(licences, times, peak_mib)| Some(Stream { licences, microseconds: median(&times)?, peak_mib }));
    Ok(streams.collect())
}

/// One line for each.
pub(super) fn table(streams: &[Stream]) -> String {
    let mut text = String::new();
    if !streams.is_empty() {
        text.push_str("# Streams that are re-keyed, on all processors\n\n  licences   us a licence   most memory\n");
    }
    for Stream { licences, microseconds, peak_mib } in streams {
        text.push_str(&format!("{licences:>10}{microseconds:>15.1}{peak_mib:>10.1} MiB\n"));
    }
    text
}
