//! Progress on work that takes more than a moment: a spinner or a bar on a terminal, plain lines elsewhere.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use keykit::bulk::{self, Counts, Observer};
use keykit::migration::Progress;
use keykit::{Error, Result};

use crate::output::say;

/// Without a terminal, one line in this time.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// More bad items than this are counted but not named: a log is no place for millions of lines.
const NAMED_FAILURES: u64 = 1000;

/// The steps that are on the terminal now.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn shown() -> std::sync::MutexGuard<'static, Option<ProgressBar>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the steps off the terminal while `work` writes or asks there.
pub(crate) fn paused<T>(work: impl FnOnce() -> T) -> T {
    // Taken out, so that what `work` says does not wait for itself.
    let bar = shown().take();
    match bar {
        None => work(),
        Some(bar) => {
            let result = bar.suspend(work);
            *shown() = Some(bar);
            result
        }
    }
}

/// Shows the steps of a command.
#[derive(Debug)]
pub(crate) struct Steps(ProgressBar);

impl Steps {
    /// Begins with the first of `total` steps.
    pub(crate) fn begin(total: usize, what: &str) -> Self {
        let steps = Self::new();
        steps.step(1, total, what);
        steps
    }

    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        *shown() = Some(bar.clone());
        Self(bar)
    }

    /// Step `number` of `total` begins.
    pub(crate) fn step(&self, number: usize, total: usize, what: &str) {
        if self.0.is_hidden() {
            say(format!("[{number}/{total}] {what}"));
        } else {
            self.0.set_message(format!("[{number}/{total}] {what}"));
        }
    }
}

impl Progress for Steps {
    fn step(&self, number: usize, total: usize, what: &str) {
        self.step(number, total, what);
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        *shown() = None;
        self.0.finish_and_clear();
    }
}

/// Shows how far a bulk run is: items, rate and time left; and names the bad items as they come.
#[derive(Debug)]
pub(crate) struct Items {
    bar: ProgressBar,
    last_line: Instant,
    failures: u64,
}

impl Items {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::no_length();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar, last_line: Instant::now(), failures: 0 }
    }

    /// Clears the bar and says what became of the items.
    pub(crate) fn finish(self, report: bulk::Report) -> Result<Counts> {
        self.bar.finish_and_clear();
        if self.failures > NAMED_FAILURES {
            say(format!("{} more bad items are not named here", HumanCount(self.failures - NAMED_FAILURES)));
        }
        say(summary(&report.counts));
        report.into_result()
    }
}

impl Drop for Items {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Items {
    fn progress(&mut self, progress: &bulk::Progress) {
        if !self.bar.is_hidden() {
            if let (Some(total), None) = (progress.total, self.bar.length())
                && let Ok(style) = ProgressStyle::with_template("{bar:30} {msg}")
            {
                self.bar.set_style(style);
                self.bar.set_length(total);
            }
            self.bar.set_position(progress.counts.total());
            self.bar.set_message(standing(progress));
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            say(standing(progress));
        }
    }

    fn failed(&mut self, id: &str, error: &Error) {
        self.failures += 1;
        if self.failures <= NAMED_FAILURES {
            // Control characters in an id must not reach the terminal.
            let id = id.escape_debug();
            self.bar.suspend(|| {
                say(format!("{id}: {error}"));
                if let Some(hint) = error.hint() {
                    say(format!("hint: {hint}"));
                }
            });
        }
    }
}

/// Where a run stands, in one line.
fn standing(progress: &bulk::Progress) -> String {
    let mut text = HumanCount(progress.counts.total()).to_string();
    if let Some(total) = progress.total {
        text.push_str(&format!(" of {}", HumanCount(total)));
    }
    if progress.rate > 0.0 {
        // One digit behind the point where the numbers are small.
        let digits = usize::from(progress.rate < 10.0);
        text.push_str(&format!(", {:.digits$} a second", progress.rate));
    }
    if let Some(left) = progress.left.filter(|_| progress.total.is_some_and(|total| total > progress.counts.total())) {
        text.push_str(&format!(", {} left", HumanDuration(left)));
    }
    if progress.counts.failed > 0 {
        text.push_str(&format!(", {} bad", HumanCount(progress.counts.failed)));
    }
    text
}

/// What became of the items, in one line.
fn summary(counts: &Counts) -> String {
    let parts = [(counts.unchanged, "needed no change"), (counts.skipped, "were done before"), (counts.failed, "FAILED")];
    let mut text = format!("{} done", HumanCount(counts.done));
    for (count, what) in parts.into_iter().filter(|(count, _)| *count > 0) {
        text.push_str(&format!(", {} {what}", HumanCount(count)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_in_one_line() {
        let counts = Counts { done: 1200, failed: 1, skipped: 0, unchanged: 34 };
        let mut progress =
            bulk::Progress { counts, total: Some(5000), rate: 1234.5, elapsed: Duration::from_secs(1), left: Some(Duration::from_secs(180)) };
        assert_eq!(standing(&progress), "1,235 of 5,000, 1234 a second, 3 minutes left, 1 bad");
        progress = bulk::Progress { total: None, rate: 2.25, left: None, counts: Counts { done: 3, ..Counts::default() }, ..progress };
        assert_eq!(standing(&progress), "3, 2.2 a second");
        assert_eq!(summary(&counts), "1,200 done, 34 needed no change, 1 FAILED");
        assert_eq!(summary(&Counts::default()), "0 done");
    }

    #[test]
    fn what_is_said_while_steps_are_paused_waits_for_nobody() {
        let steps = Steps::begin(2, "one");
        assert_eq!(
            paused(|| paused(|| {
                say("inside");
                3
            })),
            3
        );
        assert!(shown().is_some());
        drop(steps);
        assert!(shown().is_none());
    }

    #[test]
    fn bad_items_are_counted_also_when_they_are_too_many_to_name() {
        let mut items = Items::new();
        for number in 0..NAMED_FAILURES + 2 {
            items.failed(&number.to_string(), &Error::Crypto);
        }
        assert_eq!(items.failures, NAMED_FAILURES + 2);
        let report = bulk::Report { counts: Counts { failed: items.failures, ..Counts::default() }, stopped: Some(Error::Crypto) };
        assert_eq!(items.finish(report).unwrap_err().code(), "crypto");
    }
}
