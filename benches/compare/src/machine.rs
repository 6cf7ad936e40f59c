//! What the figures were made on.

use serde_json::{Value, json};

use crate::engines::ENGINE;

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
