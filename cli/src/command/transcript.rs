//! `keykit transcript`: note, close, verify.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use keykit::ceremony::qr::Qr;
use keykit::ceremony::signed_note::{NoteSignature, SignedNote, key_name};
use keykit::ceremony::transcript::{self, Checkpoint, Happening, Transcript, TranscriptWriter};
use keykit::ceremony::{CustodianKey, CustodianPublicKey};
use keykit::durable::{self, Access, Existing};
use keykit::migration::plan::Plan;
use keykit::{Error, Result};
use serde::Serialize;

use super::plan_file::words_of;
use crate::arguments::{CloseArguments, NoteArguments, TranscriptCommand, VerifyTranscriptArguments};
use crate::output::{Output, say};
use crate::{exit, secrets};

/// Largest transcript that is signed, and largest public key that is read, in bytes.
const LIMIT: u64 = 64 << 20;
const KEY_LIMIT: u64 = 64 << 10;

#[derive(Debug, Serialize)]
struct Noted {
    transcript: String,
    number: usize,
    hash: String,
}

#[derive(Debug, Serialize)]
struct Signed {
    name: String,
    key: String,
    /// Signature of OpenSSH over the transcript file.
    signature: String,
}

#[derive(Debug, Serialize)]
struct Closed {
    transcript: String,
    lines: u64,
    final_hash: String,
    words: String,
    note: String,
    signatures: Vec<Signed>,
}

#[derive(Debug, Serialize)]
struct Verified {
    transcript: String,
    sound: bool,
    plan: Option<String>,
    lines: usize,
    closed: bool,
    final_hash: Option<String>,
    words: Option<String>,
    deviations: Vec<Remark>,
    crashes: Vec<Remark>,
    remarks: Vec<Remark>,
    signed_by: Vec<String>,
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Remark {
    line: u64,
    what: String,
}

/// Runs `keykit transcript`.
pub(super) fn run(command: &TranscriptCommand, output: Output) -> Result<u8> {
    match command {
        TranscriptCommand::Note(arguments) => note(arguments, output),
        TranscriptCommand::Close(arguments) => close(arguments, output),
        TranscriptCommand::Verify(arguments) => verify(arguments, output),
    }
}

fn open(path: &Path) -> Result<TranscriptWriter> {
    let transcript = Transcript::read(path)?;
    let plan = transcript.plan().ok_or_else(|| Error::malformed("transcript", "it is empty").in_file(path))?.to_owned();
    TranscriptWriter::open(path, &plan)
}

fn note(arguments: &NoteArguments, output: Output) -> Result<u8> {
    let mut writer = open(&arguments.transcript)?;
    writer.append(Happening::Deviation { step: arguments.step.clone(), note: arguments.text.clone(), by: arguments.by.clone() })?;
    let noted = Noted {
        transcript: arguments.transcript.display().to_string(),
        number: writer.transcript().lines().len(),
        hash: writer.transcript().final_hash().to_owned(),
    };
    output.result("transcript-note", &noted, || format!("recorded as number {}", noted.number))?;
    Ok(exit::DONE)
}

/// The path with something at its end.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// The keys of the witnesses, each with the name under which it signs.
fn witnesses(arguments: &CloseArguments, plan: Option<&Plan>) -> Result<Vec<(String, CustodianKey)>> {
    let sources = &arguments.password_source;
    if sources.len() > 1 && sources.len() != arguments.key.len() {
        return Err(Error::usage(format!("{} password sources for {} keys", sources.len(), arguments.key.len())));
    }
    let mut witnesses = Vec::new();
    for (index, path) in arguments.key.iter().enumerate() {
        let source = sources.get(index).or(sources.first()).map_or("prompt", String::as_str);
        let key = CustodianKey::read(path, || secrets::read(source, &format!("password of {}", path.display())))?;
        let public = key.public();
        let person = plan.and_then(|plan| plan.approval.people.iter().find(|person| person.key == public));
        let name = arguments.name.get(index).cloned().or_else(|| person.map(|person| person.name.clone())).unwrap_or_else(|| key.comment());
        let name = key_name(&name);
        if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(Error::Usage {
                what: format!("no name is known for the witness with the key {}", path.display()),
                hint: Some("give --name NAME for each --key, or --plan PLAN if the plan names its people".into()),
            });
        }
        witnesses.push((name, key));
    }
    let names: BTreeSet<&str> = witnesses.iter().map(|(name, _)| name.as_str()).collect();
    if names.len() != witnesses.len() {
        return Err(Error::usage("two witnesses would sign under one name; give --name for each --key"));
    }
    Ok(witnesses)
}

fn close(arguments: &CloseArguments, output: Output) -> Result<u8> {
    let path = &arguments.transcript;
    let plan = arguments.plan.as_deref().map(Plan::read).transpose()?;
    let before = Transcript::read(path)?;
    if let Some(plan) = &plan {
        require_plan(&before, plan)?;
    }
    let witnesses = witnesses(arguments, plan.as_ref())?;
    if !before.is_closed() {
        let mut writer = open(path)?;
        if let Some(session) = writer.transcript().open_session() {
            if !arguments.crashed {
                return Err(Error::Conflict {
                    what: format!("the session that began with entry {session} of {} has no end", path.display()),
                    hint: Some("if its program is dead, `keykit resume` or `keykit abort` go on; `--crashed` closes the transcript as it is".into()),
                });
            }
            writer.append(Happening::CrashFound { session })?;
        }
        writer.append(Happening::Closed {})?;
    }
    // What is signed is what is in the file now.
    let bytes = durable::read(path, LIMIT, "transcript")?;
    let transcript = Transcript::parse(&bytes).map_err(|error| error.in_file(path))?;
    let checkpoint = transcript.checkpoint().filter(|_| transcript.is_closed() && transcript.torn_bytes() == 0);
    let checkpoint = checkpoint.ok_or_else(|| Error::malformed("transcript", "something stands behind its end").in_file(path))?;
    let note_path = arguments.output.clone().unwrap_or_else(|| beside(path, ".note"));
    let mut note = if note_path.exists() { SignedNote::read(&note_path)? } else { SignedNote::new(checkpoint.to_text())? };
    if note.text() != checkpoint.to_text() {
        return Err(Error::Conflict {
            what: format!("{} is the note of another transcript", note_path.display()),
            hint: Some("name another file with --output, and find out what the note is of".into()),
        });
    }
    let mut signatures = Vec::new();
    for (name, key) in &witnesses {
        note.add(NoteSignature::sign(note.text(), name, key)?);
        let signature = beside(path, &format!(".{name}.sig"));
        durable::write(&signature, transcript::sign(&bytes, key)?.as_bytes(), Access::Shared, Existing::Replace)?;
        signatures.push(Signed { name: name.clone(), key: key.public().fingerprint(), signature: signature.display().to_string() });
    }
    durable::write(&note_path, note.to_text().as_bytes(), Access::Shared, Existing::Replace)?;
    let closed = Closed {
        transcript: path.display().to_string(),
        lines: checkpoint.size,
        words: words_of(&checkpoint.last)?,
        final_hash: checkpoint.last,
        note: note_path.display().to_string(),
        signatures,
    };
    let code = Qr::of(&closed.final_hash)?;
    output.result("transcript-close", &closed, || {
        let signed: String =
            closed.signatures.iter().map(|signed| format!("\nsigned by {} ({}), {}", signed.name, signed.key, signed.signature)).collect();
        format!(
            "final hash {} ({} lines)\nwords: {}{signed}\nnote in {}\n\n{}",
            closed.final_hash,
            closed.lines,
            closed.words,
            closed.note,
            code.to_terminal()
        )
    })?;
    Ok(exit::DONE)
}

fn require_plan(transcript: &Transcript, plan: &Plan) -> Result<()> {
    let hash = plan.hash()?;
    match transcript.plan() {
        Some(found) if found != hash => Err(Error::negative(format!("line 1: the transcript is about the plan {found}, not about {hash}"))),
        _ => Ok(()),
    }
}

fn public_key(path: &Path) -> Result<CustodianPublicKey> {
    let bytes = durable::read(path, KEY_LIMIT, "custodian's key")?;
    let text = str::from_utf8(&bytes).map_err(|_| Error::malformed("custodian's key", "not text").in_file(path))?;
    text.parse().map_err(|error: Error| error.in_file(path))
}

fn verify(arguments: &VerifyTranscriptArguments, output: Output) -> Result<u8> {
    let path = &arguments.transcript;
    let plan = arguments.plan.as_deref().map(Plan::read).transpose()?;
    let trusted = arguments.witness.iter().map(|path| public_key(path)).collect::<Result<Vec<_>>>()?;
    if arguments.note.is_some() && trusted.is_empty() && plan.as_ref().is_none_or(|plan| plan.approval.people.is_empty()) {
        return Err(Error::Usage {
            what: "a note says nothing as long as no key is trusted".into(),
            hint: Some("name the public keys of the witnesses with --witness, or the plan with --plan".into()),
        });
    }
    fs::metadata(path).map_err(|source| Error::Read { path: path.clone(), source })?;
    let mut problems = Vec::new();
    let transcript = match Transcript::read(path) {
        Ok(transcript) => transcript,
        Err(error @ Error::Read { .. }) => return Err(error),
        Err(error) => {
            problems.push(error.to_string());
            Transcript::default()
        }
    };
    let mut signed_by = Vec::new();
    if problems.is_empty() {
        if transcript.torn_bytes() > 0 {
            let line = transcript.lines().last().map_or(1, |last| last.line + 1);
            problems.push(format!("line {line}: {} bytes of a torn line are at the end, and no line speaks of them", transcript.torn_bytes()));
        }
        if transcript.lines().is_empty() {
            problems.push("it is empty".to_owned());
        }
        let about = plan.as_ref().map_or(Ok(()), |plan| require_plan(&transcript, plan));
        problems.extend(about.err().map(|error| error.to_string()));
        if let Some(note) = &arguments.note {
            match check_note(note, &transcript, &trusted, plan.as_ref()) {
                Ok(names) => signed_by = names,
                Err(error @ Error::Read { .. }) => return Err(error),
                Err(error) => problems.push(error.to_string()),
            }
        }
    }
    let has_lines = !transcript.lines().is_empty();
    if let Some(file) = arguments.qr.as_deref().filter(|_| has_lines) {
        let svg = Qr::of(transcript.final_hash())?.to_svg("QR code of the final hash of the transcript");
        durable::write(file, format!("{svg}\n").as_bytes(), Access::Shared, Existing::Keep)?;
    }
    let verified = Verified {
        transcript: path.display().to_string(),
        sound: problems.is_empty(),
        plan: transcript.plan().map(str::to_owned),
        lines: transcript.lines().len(),
        closed: transcript.is_closed(),
        final_hash: has_lines.then(|| transcript.final_hash().to_owned()),
        words: has_lines.then(|| words_of(transcript.final_hash())).transpose()?,
        deviations: remarks(&transcript, deviation),
        crashes: remarks(&transcript, crash),
        remarks: transcript
            .clock_went_back()
            .into_iter()
            .map(|line| Remark { line, what: "the clock went back before this line".to_owned() })
            .collect(),
        signed_by,
        problems,
    };
    if verified.sound && !verified.closed {
        say("the transcript is not closed: lines may have been cut off at its end and nobody would know");
    } else if verified.sound && arguments.note.is_none() {
        say("the lines fit to each other; that they are those of the room, only a --note can show");
    }
    let code = if verified.sound && has_lines { Qr::of(transcript.final_hash())?.to_terminal() } else { String::new() };
    output.result("transcript-verify", &verified, || show(&verified, &code))?;
    Ok(if verified.sound { exit::DONE } else { exit::NEGATIVE })
}

/// Who signed the note; all that are trusted by name must have, and of the people of the plan one at least.
fn check_note(path: &Path, transcript: &Transcript, trusted: &[CustodianPublicKey], plan: Option<&Plan>) -> Result<Vec<String>> {
    let note = SignedNote::read(path)?;
    let mut signed_by = Vec::new();
    for key in trusted {
        let names = note.verify(key)?;
        if names.is_empty() {
            return Err(Error::negative(format!("the note is not signed by the witness with the key {}", key.fingerprint())));
        }
        signed_by.extend(names.into_iter().map(|name| format!("{name} ({})", key.fingerprint())));
    }
    for person in plan.into_iter().flat_map(|plan| &plan.approval.people).filter(|person| !trusted.contains(&person.key)) {
        signed_by.extend(note.verify(&person.key)?.into_iter().map(|name| format!("{name} ({})", person.key.fingerprint())));
    }
    if signed_by.is_empty() {
        return Err(Error::negative("nobody whose key is trusted has signed the note"));
    }
    Checkpoint::parse(note.text()).map_err(|error| error.in_file(path))?.compare(transcript)?;
    Ok(signed_by)
}

fn remarks(transcript: &Transcript, of: impl Fn(&Happening) -> Option<String>) -> Vec<Remark> {
    transcript.lines().iter().filter_map(|line| of(&line.entry.what).map(|what| Remark { line: line.line, what })).collect()
}

fn deviation(what: &Happening) -> Option<String> {
    let Happening::Deviation { step, note, by } = what else { return None };
    let by = by.as_ref().map_or(String::new(), |by| format!("{by}: "));
    let step = step.as_ref().map_or(String::new(), |step| format!(" (step {step})"));
    Some(format!("{by}{note}{step}"))
}

fn crash(what: &Happening) -> Option<String> {
    match what {
        Happening::CrashFound { session } => Some(format!("the session that began with entry {session} has no end")),
        Happening::TornLine { bytes, .. } => Some(format!("a torn line of {bytes} bytes")),
        _ => None,
    }
}

fn show(verified: &Verified, code: &str) -> String {
    let mut text = String::new();
    for problem in &verified.problems {
        text.push_str(&format!("WRONG: {problem}\n"));
    }
    if let (Some(hash), Some(words)) = (&verified.final_hash, &verified.words) {
        let closed = if verified.closed { "closed" } else { "not closed" };
        text.push_str(&format!(
            "{} lines, {closed}\nplan {}\nfinal hash {hash}\nwords: {words}\n",
            verified.lines,
            verified.plan.as_deref().unwrap_or("none")
        ));
    }
    for (name, remarks) in [("deviation", &verified.deviations), ("crash", &verified.crashes), ("remark", &verified.remarks)] {
        // What people wrote must not drive the terminal.
        remarks.iter().for_each(|remark| text.push_str(&format!("{name}, line {}: {}\n", remark.line, remark.what.escape_debug())));
    }
    verified.signed_by.iter().for_each(|name| text.push_str(&format!("signed by {name}\n")));
    format!("{text}\n{code}")
}
