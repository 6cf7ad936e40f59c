//! The goals, and what was measured of them.

use serde_json::{Value, json};

use super::growth::Stream;
use super::rows::{Row, rounded};
use super::stage::Setting;

/// Works that several goals are about.
const SIGN: &str = "sign RSA-2048/SHA-256, 6 KB, batches of 64";
const REKEY: &str = "re-key end to end, RSA-2048, batches of 64";
const SMALL: &str = "sign RSA-1024/SHA-1, 6 KB";

/// What is wanted of a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wanted {
    AtLeast(f64),
    AtMost(f64),
    /// A figure beside a goal, for which there is none.
    Nothing,
}

/// A line of the table of goals.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Goal {
    work: String,
    wanted: Wanted,
    unit: &'static str,
    /// `None`: not measured in this run.
    measured: Option<f64>,
}

impl Goal {
    /// `None` without a measurement or a goal.
    fn is_reached(&self) -> Option<bool> {
        match (self.wanted, self.measured?) {
            (Wanted::AtLeast(least), measured) => Some(measured >= least),
            (Wanted::AtMost(most), measured) => Some(measured <= most),
            (Wanted::Nothing, _) => None,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let (least, most) = match self.wanted {
            Wanted::AtLeast(least) => (Some(least), None),
            Wanted::AtMost(most) => (None, Some(most)),
            Wanted::Nothing => (None, None),
        };
        let measured = self.measured.map(rounded);
        json!({ "work": self.work, "at_least": least, "at_most": most, "unit": self.unit, "measured": measured, "reached": self.is_reached() })
    }
}

/// All goals, whether this run measured them or not. With AVX-512 IFMA there are two of some: with it, and with AVX2 only.
pub(super) fn of(rows: &[Row], streams: &[Stream], has_ifma: bool) -> Vec<Goal> {
    use Wanted::{AtLeast, AtMost, Nothing};
    let avx2 = if has_ifma { Setting::Avx2 } else { Setting::Native };
    let row =
        |setting, work: &str, engine: &str| rows.iter().find(|row| row.setting == setting && row.work.starts_with(work) && row.engine == engine);
    let to_openssl = |setting, work: &str, engine: &str| row(setting, work, engine).map(|row| row.to_openssl.median);
    let to_reference = |setting, work: &str, engine: &str| row(setting, work, engine)?.to_reference.as_ref().map(|(_, ratio)| ratio.median);
    let mut goals = Vec::new();
    let mut add = |work: &str, wanted, unit, measured| goals.push(Goal { work: work.into(), wanted, unit, measured });
    let both = [(avx2, "AVX2 only"), (Setting::Native, "with AVX-512 IFMA")];
    let processors = if has_ifma { &both[..] } else { &both[..1] };
    for &(setting, name) in processors {
        // The first goal is for a processor with AVX2 only.
        let wanted = if setting == avx2 { AtLeast(2.0) } else { Nothing };
        add(&format!("sign 6 KB licences, RSA-2048/SHA-256, batches, {name}: to OpenSSL"), wanted, "x", to_openssl(setting, SIGN, "keykit"));
        let rekey = format!("re-key end to end, {name}: to the two private operations in OpenSSL");
        add(&rekey, AtLeast(1.9), "x", to_openssl(setting, REKEY, "keykit"));
        add(&format!("{rekey}; every result opened"), Nothing, "x", to_openssl(setting, REKEY, "keykit, opening every result"));
        let outside = to_reference(setting, REKEY, "keykit").map(|ratio| (1.0 - ratio) * 100.0);
        add(&format!("share of that outside RSA private operations, {name}"), AtMost(5.0), "%", outside);
    }
    let together = "keykit, two threads";
    let machine = to_openssl(Setting::TwoThreads, "sign RSA-2048", "OpenSSL, two threads");
    add("what the machine gives: two cores to one, signing with OpenSSL", Nothing, "x", machine);
    add("two cores to one, signing", AtLeast(1.9), "x", to_reference(Setting::TwoThreads, "sign RSA-2048", together));
    add("two cores to one, re-keying a stream", AtLeast(1.9), "x", to_reference(Setting::TwoThreads, "re-key a stream", together));
    for &(setting, name) in processors {
        let measured = to_reference(setting, "sign RSA-2048/SHA-256, 6 KB, one at a time", "keykit");
        add(&format!("one signature at a time, {name}: to aws-lc-rs"), AtLeast(0.95), "x", measured);
    }
    for (setting, sessions) in [(Setting::Native, "one session"), (Setting::TwoThreads, "two sessions")] {
        for operation in ["sign", "decrypt"] {
            let measured = to_reference(setting, &format!("PKCS#11 {operation} RSA-2048, {sessions}"), "keykit on SoftHSM");
            add(&format!("PKCS#11 store to a raw loop, {operation}, {sessions}"), AtLeast(0.97), "x", measured);
        }
    }
    for &(setting, name) in processors {
        for (work, how) in [("batches of 64", "batches"), ("one at a time", "one at a time")] {
            let measured = to_openssl(setting, &format!("{SMALL}, {work}"), "keykit");
            add(&format!("mode 1, sign RSA-1024/SHA-1, {how}, {name}: to OpenSSL"), AtLeast(0.95), "x", measured);
        }
    }
    let verify = |engine| to_openssl(Setting::Native, "verify a licence", engine);
    add("verify a licence, less parsing: to OpenSSL's verify alone", AtLeast(1.0), "x", verify("keykit, read before"));
    add("the same with parsing", Nothing, "x", verify("keykit, read and verify"));
    let of_count = |count: u32| streams.iter().find(|stream| stream.licences == count);
    add("most memory of re-keying a stream of 1,000,000", AtMost(100.0), "MiB", of_count(1_000_000).map(|stream| stream.peak_mib));
    let more = of_count(1_000_000).zip(of_count(10_000)).map(|(many, few)| many.peak_mib - few.peak_mib);
    add("the same, more than of 10,000: flat", AtMost(5.0), "MiB", more);
    // A tenth is noise.
    let slowest = streams.iter().map(|stream| stream.microseconds).reduce(f64::max);
    let fastest = streams.iter().map(|stream| stream.microseconds).reduce(f64::min);
    let most = streams.iter().map(|stream| stream.licences).max().unwrap_or(1_000_000);
    let growth = slowest.zip(fastest).map(|(slowest, fastest)| slowest / fastest);
    add(&format!("growth: slowest to fastest time per licence, streams of 1000 to {most}"), AtMost(1.1), "x", growth);
    goals
}

/// One line for each.
pub(super) fn table(goals: &[Goal]) -> String {
    let mut text = format!("# Goals\n\n{:<96}{:>12}{:>12}\n", "", "goal", "measured");
    for goal in goals {
        let wanted = match goal.wanted {
            Wanted::AtLeast(least) => format!("≥ {least:.2} {}", goal.unit),
            Wanted::AtMost(most) => format!("≤ {most:.2} {}", goal.unit),
            Wanted::Nothing => String::new(),
        };
        let measured = goal.measured.map_or_else(|| "not here".into(), |measured| format!("{measured:.2} {}", goal.unit));
        let verdict = match goal.is_reached() {
            Some(true) => "reached",
            Some(false) => "MISSED",
            None => "",
        };
        text.push_str(format!("{:<96}{wanted:>12}{measured:>12}  {verdict}", goal.work).trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::statistics::Paired;
    use super::*;

    fn row(setting: Setting, work: &str, engine: &str, to_openssl: f64, to_reference: f64) -> Row {
        let paired = |median| Paired { low: median, median, high: median };
        let to_reference = Some(("another".to_owned(), paired(to_reference)));
        Row { setting, work: work.into(), engine: engine.into(), median_per_second: 1.0, rounds: 1, to_openssl: paired(to_openssl), to_reference }
    }

    fn goal<'a>(goals: &'a [Goal], start: &str) -> &'a Goal {
        goals.iter().find(|goal| goal.work.starts_with(start)).unwrap()
    }

    #[test]
    fn goals_take_the_rows_that_they_are_about() {
        let rows = [
            row(Setting::Native, SIGN, "keykit", 1.7, 1.0),
            row(Setting::Avx2, SIGN, "keykit", 2.4, 1.0),
            row(Setting::Avx2, REKEY, "keykit", 1.8, 0.94),
            row(Setting::TwoThreads, "sign RSA-2048/SHA-256, 6 KB, batches of 256, two threads and one", "keykit, two threads", 4.0, 1.95),
        ];
        let goals = of(&rows, &[], true);
        let reached = |start: &str| goal(&goals, start).is_reached();
        assert_eq!(reached("sign 6 KB licences, RSA-2048/SHA-256, batches, AVX2 only"), Some(true));
        assert_eq!(goal(&goals, "sign 6 KB licences, RSA-2048/SHA-256, batches, with AVX-512").measured, Some(1.7));
        assert_eq!(reached("re-key end to end, AVX2 only"), Some(false));
        assert_eq!(reached("re-key end to end, with AVX-512 IFMA"), None);
        assert!((goal(&goals, "share of that outside RSA private operations, AVX2 only").measured.unwrap() - 6.0).abs() < 1e-9);
        assert_eq!(reached("two cores to one, signing"), Some(true));
        // Without AVX-512 IFMA the native run is the one with AVX2 only.
        assert_eq!(goal(&of(&rows, &[], false), "sign 6 KB licences").measured, Some(1.7));
        let text = table(&goals);
        assert!(text.contains("MISSED") && text.contains("reached") && text.contains("not here"), "{text}");
    }

    #[test]
    fn streams_are_held_against_memory_and_growth() {
        let stream = |licences, microseconds, peak_mib| Stream { licences, microseconds, peak_mib };
        let goals = of(&[], &[stream(1_000, 100.0, 20.0), stream(10_000, 105.0, 22.0), stream(1_000_000, 112.0, 29.0)], false);
        assert_eq!(goal(&goals, "most memory").is_reached(), Some(true));
        assert_eq!(goal(&goals, "the same, more than").is_reached(), Some(false));
        assert_eq!(goal(&goals, "growth").is_reached(), Some(false));
        assert_eq!(goal(&of(&[], &[], false), "growth").to_json()["measured"], Value::Null);
    }
}
