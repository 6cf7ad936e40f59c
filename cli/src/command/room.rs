//! `keykit apply --ceremony`: the people in the room, asked before each step.

use std::collections::BTreeSet;
use std::io::{self, Write as _};

use keykit::ceremony::script::{QUESTION, QUESTION_BY_HAND, QUESTION_OF_SOURCE, QUESTIONS_OF_PEOPLE, WITNESSED_WORDS, step_line};
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
/// Longest name that is taken, in characters.
const LONGEST_NAME: usize = 100;
/// Words of a hash: one for each of its bytes.
const WORDS: u8 = 32;

/// The people in the room.
#[derive(Debug)]
pub(super) struct Room<'a> {
    recorder: &'a Recorder,
    /// Steps that were said on the command line to be done by hand.
    confirmed: &'a BTreeSet<String>,
    operator: String,
    witness: String,
}

enum Answer {
    Yes,
    Stop,
}

impl<'a> Room<'a> {
    /// Asks who is there.
    pub(super) fn enter(recorder: &'a Recorder, confirmed: &'a BTreeSet<String>) -> Result<Self> {
        let [operator, witness] = QUESTIONS_OF_PEOPLE.map(name);
        Ok(Self { recorder, confirmed, operator: operator?, witness: witness? })
    }

    /// The operator says that the source is quiet, before anything is done.
    pub(super) fn source_is_quiet(&self) -> Result<()> {
        match self.decide(None, QUESTION_OF_SOURCE, "quiet")? {
            Answer::Yes => self.recorder.record(Happening::SourceQuiesced { by: self.operator.clone() }),
            Answer::Stop => Err(stopped("first one")),
        }
    }

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
                return self.recorder.record(Happening::WordsConfirmed { places, by: Some(self.witness.clone()) });
            }
            self.deviation(None, format!("the words {named} of the plan hash were typed wrong"))?;
            say("these are not the words of this plan: read them from the first page of the script. This is recorded as a deviation");
        }
        Err(Error::refused_by_policy(
            format!("the words of the plan hash were typed wrong {TRIES} times; nothing was done"),
            "compare the hash of `keykit plan show PLAN` with the printed script: they may be of two plans",
        ))
    }

    fn confirmed_by_operator(&self, step: &Step) -> Result<()> {
        let by_hand = matches!(step.action, Action::Manual { .. });
        self.recorder.record(Happening::Confirmed { step: step.id.clone(), by_hand, by: Some(self.operator.clone()) })
    }

    fn deviation(&self, step: Option<&Step>, note: String) -> Result<()> {
        self.recorder.record(Happening::Deviation { step: step.map(|step| step.id.clone()), note, by: None })
    }

    /// Asks until the answer is `yes` or `stop`; notes are recorded on the way.
    fn decide(&self, step: Option<&Step>, question: &str, yes: &str) -> Result<Answer> {
        loop {
            let answer = ask(question)?;
            let answer = answer.trim();
            if answer.eq_ignore_ascii_case(yes) {
                return Ok(Answer::Yes);
            }
            if answer.eq_ignore_ascii_case("stop") {
                self.deviation(step, format!("{} stopped before this step", self.operator))?;
                return Ok(Answer::Stop);
            }
            match answer.split_once(char::is_whitespace) {
                Some((word, note)) if word.eq_ignore_ascii_case("note") => {
                    self.deviation(step, note.trim().to_owned())?;
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
        match self.decide(Some(step), QUESTION, "go")? {
            Answer::Yes => self.confirmed_by_operator(step),
            Answer::Stop => Err(stopped(&step.id)),
        }
    }

    fn is_done_by_hand(&mut self, step: &Step) -> Result<bool> {
        if self.confirmed.contains(&step.id) {
            self.confirmed_by_operator(step)?;
            return Ok(true);
        }
        if let Action::Manual { instruction } = &step.action {
            say(format!("by hand: {instruction}"));
        }
        match self.decide(Some(step), QUESTION_BY_HAND, "done")? {
            Answer::Yes => self.confirmed_by_operator(step).map(|()| true),
            Answer::Stop => Ok(false),
        }
    }
}

fn stopped(step: &str) -> Error {
    Error::Interrupted { what: format!("the room stopped before the step {step}; go on with `keykit resume PLAN --ceremony`") }
}

/// The name of somebody who is there.
fn name(question: &str) -> Result<String> {
    loop {
        let name: String = ask(question)?.trim().chars().filter(|character| !character.is_control()).take(LONGEST_NAME).collect();
        if !name.is_empty() {
            return Ok(name);
        }
        say("a name must be in the transcript");
    }
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
