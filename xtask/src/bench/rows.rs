//! What engines did at works, and the table of it.

use serde_json::{Value, json};

use super::stage::Setting;
use super::statistics::{Paired, median, paired};
use crate::Result;

/// The engine that all are compared with.
const BASE: &str = "OpenSSL";

/// One engine at one work.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) setting: Setting,
    pub(super) work: String,
    pub(super) engine: String,
    pub(super) median_per_second: f64,
    pub(super) rounds: usize,
    pub(super) to_openssl: Paired,
    /// A second engine that this one is compared with, for works that have one.
    pub(super) to_reference: Option<(String, Paired)>,
}

impl Row {
    pub(super) fn to_json(&self) -> Value {
        let mut row = json!({
            "setting": self.setting.name(),
            "work": self.work,
            "engine": self.engine,
            "median_per_second": rounded(self.median_per_second),
            "ratio_to_openssl": rounded(self.to_openssl.median),
            "ratio_to_openssl_quartiles": [rounded(self.to_openssl.low), rounded(self.to_openssl.high)],
            "rounds": self.rounds,
        });
        if let (Some((name, ratio)), Some(row)) = (&self.to_reference, row.as_object_mut()) {
            row.insert("reference".into(), json!(name));
            row.insert("ratio_to_reference".into(), json!(rounded(ratio.median)));
        }
        row
    }
}

/// Three decimals: more is noise.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Medians and paired ratios of what the comparison program measured.
pub(super) fn rows_of(setting: Setting, measured: &Value) -> Result<Vec<Row>> {
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
                setting,
                work: name.clone(),
                engine: engine.clone(),
                median_per_second: median(rates).ok_or_else(strange)?,
                rounds: rates.len(),
                to_openssl: paired(rates, base).ok_or_else(strange)?,
                to_reference: reference.and_then(|(name, others)| Some((name.clone(), paired(rates, others)?))),
            });
        }
    }
    Ok(rows)
}

/// The machine in two lines.
pub(super) fn machine_of(machine: &Value) -> String {
    let field = |name: &str| machine.get(name).and_then(Value::as_str).unwrap_or("unknown");
    let features = machine.get("features").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let features: Vec<&str> = features.iter().filter_map(Value::as_str).collect();
    format!("{}, {} processors ({})\n{}\n", field("cpu"), machine.get("processors").unwrap_or(&Value::Null), features.join(" "), field("openssl"))
}

/// All rows, by setting and work.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = "Medians over rounds; ratios are medians of the ratios within each round, with their quartiles.\n".to_owned();
    let (mut setting, mut work) = (None, "");
    for row in rows {
        if setting != Some(row.setting) {
            text.push_str(&format!("\n# {}\n", row.setting.title()));
            (setting, work) = (Some(row.setting), "");
        }
        if row.work != work {
            work = &row.work;
            text.push_str(&format!("\n{work} ({} rounds)\n{:<44}{:>10}{:>10}   quartiles\n", row.rounds, "", "a second", "OpenSSL"));
        }
        let Paired { low, median, high } = row.to_openssl;
        text.push_str(&format!("  {:<42}{:>10.0}{median:>9.2}x   {low:.2} to {high:.2}", row.engine, row.median_per_second));
        if let Some((name, ratio)) = &row.to_reference {
            text.push_str(&format!(", {:.3}x {name}", ratio.median));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_become_rows() {
        let measured = json!({ "machine": {}, "works": [{ "work": "sign", "reference": "raw", "engines": [
            { "engine": "OpenSSL", "per_second": [100.0, 50.0, 100.0] },
            { "engine": "raw", "per_second": [40.0, 20.0, 50.0] },
            { "engine": "keykit", "per_second": [200.0, 100.0, 210.0] },
        ] }] });
        let rows = rows_of(Setting::Avx2, &measured).unwrap();
        let keykit = rows.last().unwrap().to_json();
        assert_eq!(keykit["setting"], "avx2");
        assert_eq!(keykit["median_per_second"], 200.0);
        assert_eq!(keykit["ratio_to_openssl"], 2.0);
        assert_eq!(keykit["reference"], "raw");
        assert_eq!(keykit["ratio_to_reference"], 5.0);
        assert_eq!(rows.first().unwrap().to_openssl.median, 1.0);
        assert!(table(&rows).contains("2.00x"));
    }

    #[test]
    fn output_without_openssl_or_with_missing_rounds_is_refused() {
        for engines in [
            json!([{ "engine": "keykit", "per_second": [1.0] }]),
            json!([{ "engine": "OpenSSL", "per_second": [1.0] }, { "engine": "keykit", "per_second": [1.0, 2.0] }]),
            json!([{ "engine": "OpenSSL", "per_second": [] }]),
        ] {
            assert!(rows_of(Setting::Native, &json!({ "works": [{ "work": "sign", "engines": engines }] })).is_err());
        }
    }
}
