//! Interleaved rounds: every engine runs in each round, in an order that rotates.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::Result;

/// One engine at one work. `run` does one batch and returns its outputs; they must be the same for all contestants.
pub(crate) struct Contestant {
    pub(crate) name: String,
    pub(crate) run: Box<dyn FnMut() -> Result<Vec<Vec<u8>>>>,
}

/// A work, and who does it. The first contestant is OpenSSL.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    /// Whether a goal is measured with it: those are in a quick run too.
    pub(crate) has_goal: bool,
    pub(crate) clock: Clock,
    /// A second engine to compare with.
    pub(crate) reference: Option<&'static str>,
    pub(crate) contestants: Vec<Contestant>,
}

impl Work {
    /// A work without a goal, on one processor.
    pub(crate) fn new(name: &'static str, reference: Option<&'static str>, contestants: Vec<Contestant>) -> Self {
        Self { name, has_goal: false, clock: Clock::Processor, reference, contestants }
    }

    /// The same work, with a goal.
    pub(crate) fn with_goal(self) -> Self {
        Self { has_goal: true, ..self }
    }
}

/// The rates of one engine, round by round.
#[derive(Debug, Serialize)]
pub(crate) struct Rates {
    engine: String,
    per_second: Vec<f64>,
}

/// What came out of one work.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    work: &'static str,
    reference: Option<&'static str>,
    engines: Vec<Rates>,
}

/// A turn shorter than this says little: fast batches are repeated within a turn.
const SHORTEST_TURN: Duration = Duration::from_millis(25);
const MOST_REPEATS: u32 = 64;

/// The time that a work takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// That of the processor, for works on one of them: what else runs on the machine counts less.
    Processor,
    /// That on the wall, for works in which numbers of threads are compared.
    Wall,
}

struct Stopwatch {
    start: Duration,
    clock: Clock,
}

impl Stopwatch {
    fn start(clock: Clock) -> Self {
        Self { start: Self::now(clock), clock }
    }

    fn now(clock: Clock) -> Duration {
        let time = clock_gettime(if clock == Clock::Processor { ClockId::ProcessCPUTime } else { ClockId::Monotonic });
        Duration::try_from(time).unwrap_or_default()
    }

    fn elapsed(&self) -> Duration {
        Self::now(self.clock).saturating_sub(self.start)
    }
}

/// Runs a work for its share of time. The first, unmeasured round shows that all outputs agree, byte for byte; so do the others.
pub(crate) fn measure(work: &mut Work, quick: bool) -> Result<Measured> {
    let (budget, fewest) = if quick { (Duration::from_millis(1200), 3) } else { (Duration::from_secs(6), 11) };
    eprint!("{}: ", work.name);
    let mut expected = None;
    let mut repeats = 1;
    for contestant in &mut work.contestants {
        let start = Instant::now();
        let outputs = (contestant.run)().map_err(|error| format!("{}, {}: {error}", work.name, contestant.name))?;
        let once = start.elapsed();
        match &expected {
            None => {
                repeats =
                    u32::try_from(SHORTEST_TURN.as_nanos() / once.as_nanos().max(1)).unwrap_or(MOST_REPEATS).saturating_add(1).min(MOST_REPEATS);
                expected = Some(outputs);
            }
            Some(expected) if *expected != outputs => return Err(disagreement(work.name, &contestant.name)),
            Some(_) => {}
        }
    }
    let expected = expected.unwrap_or_default();
    let mut engines: Vec<Rates> =
        work.contestants.iter().map(|contestant| Rates { engine: contestant.name.clone(), per_second: Vec::new() }).collect();

    let start = Instant::now();
    let mut round = 0;
    while round < fewest || start.elapsed() < budget {
        let count = work.contestants.len();
        let mut order: Vec<_> = work.contestants.iter_mut().zip(&mut engines).collect();
        order.rotate_left(round % count.max(1));
        for (contestant, rates) in order {
            let turn = Stopwatch::start(work.clock);
            let mut done = 0_u32;
            let mut outputs = Vec::new();
            for _ in 0..repeats {
                outputs = (contestant.run)()?;
                done = done.saturating_add(u32::try_from(outputs.len()).unwrap_or(u32::MAX));
            }
            rates.per_second.push(f64::from(done) / turn.elapsed().as_secs_f64());
            if outputs != expected {
                return Err(disagreement(work.name, &contestant.name));
            }
        }
        round += 1;
    }
    eprintln!("{round} rounds of {} engines", engines.len());
    Ok(Measured { work: work.name, reference: work.reference, engines })
}

fn disagreement(work: &str, engine: &str) -> String {
    format!("{work}: {engine} does not give what OpenSSL gives")
}
