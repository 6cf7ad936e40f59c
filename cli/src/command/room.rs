//! `keykit apply --ceremony`: the people in the room, asked before each step.

use std::collections::BTreeSet;
use std::io::{self, Write as _};

use keykit::ceremony::script::{QUESTION, QUESTION_BY_HAND, WITNESSED_WORDS, step_line};
use keykit::ceremony::transcript::Happening;
use keykit::migration::apply::Attendants;
use keykit::migration::plan::{Action, Step};
use keykit::secret::SecretBytes;
use keykit::{Error, Result};

use super::plan_file::words_of;
use super::recorder::Recorder;
use crate::output::say;

/// How often a witness may type words.
const TRIES: usize = 3;
/// Words of a hash: one for each of its bytes.
const WORDS: u8 = 32;

/// The people in the room.
#[derive(Debug)]
pub(super) struct Room<'a> {
    pub(super) recorder: &'a Recorder,
    /// Steps that were said on the command line to be done by hand.
    pub(super) confirmed: &'a BTreeSet<String>,
}

enum Answer {
    Yes,
    Stop,
}

impl Room<'_> {
    /// A witness types words of the plan hash back, from the printed script. What is on the screen does not show them.
    pub(super) fn witness(&self, plan: &str) -> Result<()> {
        let words = words_of(plan)?;
        let words: Vec<&str> = words.split_whitespace().collect();
        for _ in 0..TRIES {
            let places = random_places()?;
            let wanted: Vec<&str> = places.iter().filter_map(|place| words.get(usize::from(*place).checked_sub(1)?).copied()).collect();
            let named = places.iter().map(u8::to_string).collect::<Vec<_>>().join(" and ");
            let typed = ask(&format!("words {named} of the plan hash"))?;
            let typed: Vec<&str> = typed.split_whitespace().collect();
            let is_right = typed.len() == wanted.len() && typed.iter().zip(&wanted).all(|(typed, wanted)| typed.eq_ignore_ascii_case(wanted));
            if is_right && wanted.len() == WITNESSED_WORDS {
                return self.recorder.record(Happening::WordsConfirmed { places });
            }
            self.deviation(None, format!("the words {named} of the plan hash were typed wrong"))?;
            say("these are not the words of this plan: read them from the first page of the script. This is recorded as a deviation");
        }
        Err(Error::refused_by_policy(
            format!("the words of the plan hash were typed wrong {TRIES} times; nothing was done"),
            "compare the hash of `keykit plan show PLAN` with the printed script: they may be of two plans",
        ))
    }

    fn deviation(&self, step: Option<&Step>, note: String) -> Result<()> {
        self.recorder.record(Happening::Deviation { step: step.map(|step| step.id.clone()), note, by: None })
    }

    /// Asks until the answer is `yes` or `stop`; notes are recorded on the way.
    fn decide(&self, step: &Step, question: &str, yes: &str) -> Result<Answer> {
        loop {
            let answer = ask(question)?;
            let answer = answer.trim();
            if answer.eq_ignore_ascii_case(yes) {
                self.recorder.record(Happening::Confirmed { step: step.id.clone(), by_hand: matches!(step.action, Action::Manual { .. }) })?;
                return Ok(Answer::Yes);
            }
            if answer.eq_ignore_ascii_case("stop") {
                self.deviation(Some(step), "the operator stopped before this step".into())?;
                return Ok(Answer::Stop);
            }
            match answer.split_once(char::is_whitespace) {
                Some((word, note)) if word.eq_ignore_ascii_case("note") => {
                    self.deviation(Some(step), note.trim().to_owned())?;
                    say("recorded");
                }
                _ => say(format!("'{}' is no answer here: {question}", answer.escape_debug())),
            }
        }
    }
}

impl Attendants for Room<'_> {
    fn begin(&mut self, number: usize, total: usize, step: &Step, is_done: bool) -> Result<()> {
        say(step_line(number, total, &step.id));
        if is_done || matches!(step.action, Action::Manual { .. }) {
            return Ok(());
        }
        match self.decide(step, QUESTION, "go")? {
            Answer::Yes => Ok(()),
            Answer::Stop => Err(stopped(&step.id)),
        }
    }

    fn is_done_by_hand(&mut self, step: &Step) -> Result<bool> {
        if self.confirmed.contains(&step.id) {
            self.recorder.record(Happening::Confirmed { step: step.id.clone(), by_hand: true })?;
            return Ok(true);
        }
        if let Action::Manual { instruction } = &step.action {
            say(format!("by hand: {instruction}"));
        }
        Ok(matches!(self.decide(step, QUESTION_BY_HAND, "done")?, Answer::Yes))
    }
}

fn stopped(step: &str) -> Error {
    Error::Interrupted { what: format!("the room stopped before the step {step}; go on with `keykit resume PLAN --ceremony`") }
}

/// Asks on standard error, and reads a line of standard input.
fn ask(question: &str) -> Result<String> {
    let mut stderr = io::stderr().lock();
    // Nobody is there to read the question if this fails; then there is no answer either.
    drop(write!(stderr, "keykit: {question}: ").and_then(|()| stderr.flush()));
    let mut answer = String::new();
    match io::stdin().read_line(&mut answer) {
        Ok(read) if read > 0 => Ok(answer),
        _ => Err(Error::Interrupted { what: "nobody answers on standard input; go on with `keykit resume PLAN --ceremony`".into() }),
    }
}

/// Places of words, each another, in order.
fn random_places() -> Result<Vec<u8>> {
    let mut places = BTreeSet::new();
    while places.len() < WITNESSED_WORDS {
        // 256 is a multiple of 32: every place is as likely as any other.
        places.extend(SecretBytes::random(1)?.expose().first().map(|byte| byte % WORDS + 1));
    }
    Ok(places.into_iter().collect())
}
