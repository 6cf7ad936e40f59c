//! What the transcript of a ceremony adds to a report: who was in the room with which machine, and what was not as the script has it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::RunsSeen;
use crate::ceremony::transcript::{Happening, Transcript};
use crate::error::Result;
use crate::key::KeyId;
use crate::migration::apply::Event;

/// A program that worked on the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportedSession {
    /// When it began.
    pub time: Timestamp,
    /// What it was told to do.
    pub command: String,
    /// The computer, in words.
    pub machine: String,
    /// Its version, and the SHA-256 of its file.
    pub program: String,
    /// PKCS#11 modules and tokens, in words.
    pub stores: Vec<String>,
    /// How it ended, in words.
    pub end: String,
}

/// Something that was not as the script has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deviation {
    /// When it was written down.
    pub time: Timestamp,
    /// The step, if it is about one.
    pub step: Option<String>,
    /// What.
    pub note: String,
    /// Who says so; `None` for the program.
    pub by: Option<String>,
}

/// The transcript.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportedTranscript {
    /// Its lines.
    pub lines: usize,
    /// Whether nothing may follow.
    pub is_closed: bool,
    /// SHA-256 of its last line, in hex.
    pub final_hash: String,
    /// The same in words.
    pub words: String,
    /// Programs that worked on the plan.
    pub sessions: Vec<ReportedSession>,
    /// What was not as the script has it.
    pub deviations: Vec<Deviation>,
    /// When a witness typed words of the plan's hash back.
    pub witnessed: Vec<Timestamp>,
    /// How many programs ended without a word.
    pub crashes: usize,
    /// Numbers of the lines at which the clock went back.
    pub clock_went_back: Vec<u64>,
    /// What contradicts the plan or the journal, in sentences.
    pub contradictions: Vec<String>,
    /// How many lines of the journal it does not have.
    pub missing_lines: usize,
}

/// What a transcript says, held against the plan and the journal.
pub(super) fn of(transcript: &Transcript, plan: &str, runs: &RunsSeen) -> Result<ReportedTranscript> {
    let mut reported = ReportedTranscript {
        lines: transcript.lines().len(),
        is_closed: transcript.is_closed(),
        final_hash: transcript.final_hash().to_owned(),
        words: transcript.final_hash().parse::<KeyId>()?.words(),
        sessions: Vec::new(),
        deviations: Vec::new(),
        witnessed: Vec::new(),
        crashes: 0,
        clock_went_back: transcript.clock_went_back(),
        contradictions: Vec::new(),
        missing_lines: 0,
    };
    if let Some(other) = transcript.plan().filter(|other| *other != plan) {
        reported.contradictions.push(format!("The transcript is about another plan, {other}."));
    }
    let journal: BTreeSet<&str> = runs.records.iter().map(|record| record.hash.as_str()).collect();
    let mut told: BTreeSet<&str> = BTreeSet::new();
    for entry in transcript.entries() {
        match &entry.what {
            Happening::Session { command, machine, program, modules, tokens, .. } => {
                let hash = |sha256: &Option<String>| {
                    sha256.as_ref().map_or_else(|| "its file could not be read".to_owned(), |hash| format!("SHA-256 {hash}"))
                };
                let modules = modules.iter().map(|module| format!("module {}, {}", module.file, hash(&module.sha256)));
                let tokens = tokens.iter().map(|token| {
                    format!(
                        "token '{}' of {} {}, serial number {}, firmware {}",
                        token.label, token.manufacturer, token.model, token.serial, token.firmware
                    )
                });
                reported.sessions.push(ReportedSession {
                    time: entry.time,
                    command: command.clone(),
                    machine: format!("{}: {}, {}", machine.host, machine.system, machine.architecture),
                    program: format!("keykit {}, {}", program.version, hash(&program.sha256)),
                    stores: modules.chain(tokens).collect(),
                    end: "not ended".to_owned(),
                });
            }
            Happening::SessionEnded { exit, error } => {
                let end = error.as_ref().map_or_else(|| format!("exit code {exit}"), |error| format!("exit code {exit}: {error}"));
                set_end(&mut reported.sessions, end);
            }
            Happening::CrashFound { .. } => {
                reported.crashes += 1;
                set_end(&mut reported.sessions, "crashed".to_owned());
            }
            Happening::WordsConfirmed { .. } => reported.witnessed.push(entry.time),
            Happening::Deviation { step, note, by } => {
                reported.deviations.push(Deviation { time: entry.time, step: step.clone(), note: note.clone(), by: by.clone() });
            }
            Happening::Run { hash, line, .. } => {
                told.insert(hash);
                if runs.problem.is_none() && !journal.contains(hash.as_str()) {
                    reported.contradictions.push(format!("The transcript has a line {line} of the journal that is not in the journal."));
                }
            }
            _ => {}
        }
    }
    let mut is_ours = false;
    reported.missing_lines = runs
        .records
        .iter()
        .filter(|record| {
            if let Event::Started { plan: started, .. } = &record.what {
                is_ours = started == plan;
            }
            is_ours && !told.contains(record.hash.as_str())
        })
        .count();
    Ok(reported)
}

fn set_end(sessions: &mut [ReportedSession], end: String) {
    if let Some(session) = sessions.last_mut() {
        session.end = end;
    }
}
