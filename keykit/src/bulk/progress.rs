//! What a run says while it runs, and at its end.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How much of the past the rate is about.
const WINDOW: Duration = Duration::from_secs(15);
/// Samples are at least this far apart, so that there are few of them.
const SAMPLE: Duration = Duration::from_millis(250);

/// How many items went which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Transformed, and the output is in place.
    pub done: u64,
    /// Bad items, reported and skipped.
    pub failed: u64,
    /// Done by an earlier run.
    pub skipped: u64,
    /// There was nothing to change; the output is a copy of the input.
    pub unchanged: u64,
}

impl Counts {
    /// All items that were gone through.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.done + self.failed + self.skipped + self.unchanged
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// So far.
    pub counts: Counts,
    /// Number of items, if it is known.
    pub total: Option<u64>,
    /// Items per second in the last seconds, those that an earlier run did not counted.
    pub rate: f64,
    /// Time since the run began.
    pub elapsed: Duration,
    /// Time left at this rate, if the total is known.
    pub left: Option<Duration>,
}

/// Is told what happens, on the thread that started the run.
pub trait Observer {
    /// A group of batches was committed.
    fn progress(&mut self, progress: &Progress) {
        let _: &Progress = progress;
    }

    /// An item failed. Items are told in input order.
    fn failed(&mut self, id: &str, error: &Error) {
        let _: (&str, &Error) = (id, error);
    }
}

impl Observer for () {}

/// How a run ended.
#[derive(Debug)]
#[must_use]
pub struct Report {
    /// What was gone through.
    pub counts: Counts,
    /// Why the run stopped before its end, if it did: [`Error::Interrupted`] if it was cancelled, [`Error::Write`] if the
    /// output can't be written. Everything that was counted is in place; the run can be started again.
    pub stopped: Option<Error>,
}

impl Report {
    /// The counts of a run that came to its end.
    ///
    /// # Errors
    /// What stopped the run.
    pub fn into_result(self) -> Result<Counts> {
        self.stopped.map_or(Ok(self.counts), Err)
    }
}

/// Counts, measures the rate, and tells the observer.
pub(super) struct Meter<'a> {
    pub(super) counts: Counts,
    /// Failures that an earlier run met; they are in the counts too.
    failed_earlier: u64,
    observer: &'a mut dyn Observer,
    total: Option<u64>,
    started: Instant,
    samples: VecDeque<(Instant, u64)>,
}

impl<'a> Meter<'a> {
    pub(super) fn new(total: Option<u64>, observer: &'a mut dyn Observer) -> Self {
        let started = Instant::now();
        Self { counts: Counts::default(), failed_earlier: 0, observer, total, started, samples: VecDeque::from([(started, 0)]) }
    }

    /// An earlier run answered `items`, `failed` of them with an error.
    pub(super) fn begin_after(&mut self, items: u64, failed: u64) {
        self.failed_earlier = failed;
        self.counts.failed = failed;
        self.counts.skipped = items.saturating_sub(failed);
    }

    pub(super) fn failed(&mut self, id: &str, error: &Error) {
        self.counts.failed += 1;
        self.observer.failed(id, error);
    }

    /// Tells where the run stands.
    pub(super) fn tell(&mut self) {
        let now = Instant::now();
        let worked = self.counts.total() - self.counts.skipped - self.failed_earlier;
        let rate = self.rate(now, worked);
        let left = self.total.filter(|_| rate > 0.0).map(|total| {
            #[expect(clippy::cast_precision_loss, reason = "an estimate for people")]
            let seconds = total.saturating_sub(self.counts.total()) as f64 / rate;
            Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
        });
        let progress = Progress { counts: self.counts, total: self.total, rate, elapsed: now - self.started, left };
        self.observer.progress(&progress);
    }

    fn rate(&mut self, now: Instant, worked: u64) -> f64 {
        while self.samples.len() > 1 && self.samples.front().is_some_and(|(time, _)| now - *time > WINDOW) {
            self.samples.pop_front();
        }
        let (since, before) = self.samples.front().copied().unwrap_or((self.started, 0));
        if self.samples.back().is_none_or(|(time, _)| now - *time >= SAMPLE) {
            self.samples.push_back((now, worked));
        }
        let seconds = (now - since).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "an estimate for people")]
        let items = (worked - before) as f64;
        if seconds > 0.0 { items / seconds } else { 0.0 }
    }

    pub(super) fn report(self, ended: Result<()>) -> Report {
        Report { counts: self.counts, stopped: ended.err() }
    }
}
