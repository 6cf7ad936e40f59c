//! What the figures are made on.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::{Value, json};

use crate::engines::ENGINE;
use crate::{Result, during};

/// Processor features that RSA engines choose by.
const FEATURES: [&str; 8] = ["adx", "avx2", "avx512f", "avx512ifma", "avx512vl", "bmi2", "fma", "sha_ni"];

/// Processor, its features as the system shows them, number of processors, and OpenSSL's version.
pub(crate) fn describe() -> Value {
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = information.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim()).unwrap_or_default()
    };
    let flags: Vec<&str> = field("flags").split_whitespace().collect();
    let features: Vec<&str> = FEATURES.into_iter().filter(|feature| flags.contains(feature)).collect();
    let processors = information.lines().filter(|line| line.starts_with("processor")).count();
    json!({
        "cpu": field("model name"),
        "processors": processors,
        "features": features,
        "openssl": openssl::version::version(),
        "OPENSSL_ia32cap": std::env::var("OPENSSL_ia32cap").ok(),
        ENGINE: std::env::var(ENGINE).ok(),
    })
}

/// Does something on the first processor of this process alone, with all threads that it starts.
pub(crate) fn on_one_processor<T>(work: impl FnOnce() -> T) -> Result<T> {
    const DOING: &str = "one processor is chosen";
    // keykit counts them once: it must not take this time for all times.
    let _counted = keykit::threads::processors();
    let all = sched_getaffinity(None).map_err(during(DOING))?;
    let first = (0..CpuSet::MAX_CPU).find(|number| all.is_set(*number)).ok_or(DOING)?;
    let mut one = CpuSet::new();
    one.set(first);
    sched_setaffinity(None, &one).map_err(during(DOING))?;
    let done = work();
    sched_setaffinity(None, &all).map_err(during(DOING))?;
    Ok(done)
}
