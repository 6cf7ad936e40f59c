//! The room: script, questions before each step, transcript, signatures of witnesses; and everything that is changed afterwards.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use base64ct::{Base64, Encoding as _};
use keykit::ceremony::script::{QUESTION_OF_SOURCE, QUESTIONS_OF_PEOPLE};
use keykit::ceremony::transcript::{Happening, Transcript};
use keykit::migration::apply::Event;
use keykit::migration::plan::Plan;
use keykit_tests::child::skip;
use keykit_tests::documentation::{is_written_anew, project};
use serde_json::Value;

use crate::ceremony::{SMALL, approve, planned, small, verified};
use crate::support::{Desk, Ran};
use crate::tokens::on_tokens;

const TRANSCRIPT: &str = "plan.transcript.jsonl";

/// The program, and somebody who talks to it, with what was heard already, and all that stands on the screen.
struct Talk(Child, String, String);

/// Who is in the room.
const PEOPLE: [&str; 2] = ["O. Operator", "W. Witness"];

impl Talk {
    fn begin(desk: &Desk, arguments: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keykit"));
        command.args(arguments.split_whitespace()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut talk = Self(desk.at_home(&mut command).spawn().unwrap(), String::new(), String::new());
        // Who is there is asked first; a command that is refused asks nothing.
        for (question, name) in QUESTIONS_OF_PEOPLE.iter().zip(PEOPLE) {
            let heard = talk.listen();
            talk.1.push_str(&heard);
            if !heard.ends_with(&format!("{question}: ")) {
                break;
            }
            talk.answer(name);
        }
        talk
    }

    /// What the program says until it asks, or until it ends.
    fn listen(&mut self) -> String {
        let mut heard = Vec::new();
        let mut byte = [0];
        let stderr = self.0.stderr.as_mut().unwrap();
        while stderr.read(&mut byte).unwrap() == 1 {
            heard.push(byte[0]);
            if [b"TEXT: ".as_slice(), b"plan hash: ", b"operator: ", b"witness: "].iter().any(|end| heard.ends_with(end)) {
                break;
            }
        }
        let heard = String::from_utf8(heard).unwrap();
        self.2.push_str(&heard);
        heard
    }

    fn answer(&mut self, text: &str) {
        self.2.push_str(&format!("{text}\n"));
        writeln!(self.0.stdin.as_mut().unwrap(), "{text}").unwrap();
    }

    /// Types the words that the program asks for.
    fn type_words(&mut self, desk: &Desk, question: &str) {
        let words = words(desk);
        let asked = question.rsplit("words ").next().unwrap();
        let wanted: Vec<&str> =
            asked.split_whitespace().filter_map(|word| word.parse::<usize>().ok()).map(|place| words[place - 1].as_str()).collect();
        assert_eq!(wanted.len(), 2, "{question}");
        self.answer(&wanted.join(" "));
        let heard = self.listen();
        assert!(heard.ends_with(&format!("{QUESTION_OF_SOURCE}: ")), "{heard}");
        self.1.push_str(&heard);
        self.answer("quiet");
    }

    /// Says yes to everything that is asked still. Gives what was heard.
    fn go_through(self, desk: &Desk) -> Ran {
        self.go_through_and_show(desk).0
    }

    /// The same, with all that stands on the screen at the end.
    fn go_through_and_show(mut self, desk: &Desk) -> (Ran, String) {
        let mut all = String::new();
        loop {
            let heard = self.listen();
            all.push_str(&heard);
            if heard.ends_with("plan hash: ") {
                self.type_words(desk, &heard);
            } else if heard.ends_with("go, stop, or note TEXT: ") {
                self.answer("go");
            } else if heard.ends_with("done, stop, or note TEXT: ") {
                self.answer("done");
            } else {
                break;
            }
        }
        let mut screen = std::mem::take(&mut self.2);
        let ran = self.end(&all);
        screen.push_str(&ran.stdout());
        (ran, screen)
    }

    fn end(self, heard: &str) -> Ran {
        let mut output = self.0.wait_with_output().unwrap();
        output.stderr.splice(0..0, self.1.bytes().chain(heard.bytes()));
        Ran(output)
    }
}

fn words(desk: &Desk) -> Vec<String> {
    let script = desk.run("--format json script plan.json").exits(0).json("script");
    script["words"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

fn transcript(desk: &Desk) -> Transcript {
    Transcript::read(&desk.path(TRANSCRIPT)).unwrap()
}

fn deviations(desk: &Desk) -> Vec<String> {
    let note = |what: &Happening| match what {
        Happening::Deviation { note, .. } => Some(note.clone()),
        _ => None,
    };
    transcript(desk).entries().filter_map(|entry| note(&entry.what)).collect()
}

/// Names of what happened.
fn kinds(desk: &Desk) -> Vec<String> {
    let text = String::from_utf8(desk.read(TRANSCRIPT)).unwrap();
    text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).map(|line| line["what"]["kind"].as_str().unwrap().to_owned()).collect()
}

/// A small plan that was carried out in the room with the approval of one person.
fn carried_out() -> (Desk, Vec<String>) {
    let (desk, people) = small();
    approve(&desk, &people[0]).exits(0);
    Talk::begin(&desk, "apply plan.json --ceremony --approval person-0.approval").go_through(&desk).exits(0);
    (desk, people)
}

fn close(desk: &Desk, person: &str) -> Ran {
    desk.run(&format!("--format json transcript close {TRANSCRIPT} --plan plan.json --key {person} --password-source file:key-password"))
}

#[test]
fn the_room_is_asked_and_what_it_says_is_recorded() {
    let (desk, people) = small();
    approve(&desk, &people[0]).exits(0);
    let mut talk = Talk::begin(&desk, "apply plan.json --ceremony --approval person-0.approval");
    let first = talk.listen();
    let hash = Plan::read(&desk.path("plan.json")).unwrap().hash().unwrap();
    assert!(!first.contains(&hash) && !words(&desk).iter().any(|word| first.to_lowercase().contains(&word.to_lowercase())), "{first}");
    talk.answer("aardvark aardvark aardvark");
    let second = talk.listen();
    assert!(second.contains("recorded as a deviation"), "{second}");
    talk.type_words(&desk, &second);
    assert!(talk.listen().contains("[1/"));
    talk.answer("perhaps");
    assert!(talk.listen().contains("'perhaps' is no answer here"));
    talk.answer("note the projector failed");
    assert!(talk.listen().contains("recorded"));
    talk.answer("go");
    let ran = talk.go_through(&desk).exits(0);
    assert!(ran.stdout().contains("are done"));
    verified(&desk);
    // Beside the program, and beside a run.
    let noted = ["--format", "json", "transcript", "note", TRANSCRIPT, "the clock is two minutes late", "--by", "E. Auditor"];
    desk.run_with(&noted).exits(0).json("transcript-note");
    let noted = deviations(&desk);
    assert_eq!(noted.len(), 3, "{noted:?}");
    assert!(noted[0].contains("typed wrong") && noted[1] == "the projector failed" && noted[2].contains("two minutes late"), "{noted:?}");
    let transcript = transcript(&desk);
    assert_eq!(transcript.plan(), Some(hash.as_str()));
    let Happening::Session { machine, program, .. } = &transcript.lines()[0].entry.what else { panic!("the first line says who") };
    assert!(!machine.host.is_empty() && program.sha256.as_ref().is_some_and(|hash| hash.len() == 64), "{machine:?} {program:?}");
    // Every step was confirmed, begun and done; so was the approval; and the journal says the same.
    let plan = Plan::read(&desk.path("plan.json")).unwrap();
    let done = |wanted: &str| {
        let is = |entry: &Happening| matches!(entry, Happening::Run { event: Event::Done { step, .. }, late: false, .. } if step == wanted);
        transcript.entries().filter(|entry| is(&entry.what)).count()
    };
    let confirmed = |wanted: &str| transcript.entries().any(|entry| matches!(&entry.what, Happening::Confirmed { step, .. } if step == wanted));
    assert!(plan.steps.iter().all(|step| done(&step.id) == 1 && confirmed(&step.id)));
    let [operator, witness] = PEOPLE.map(str::to_owned);
    assert!(transcript.entries().any(|entry| matches!(&entry.what, Happening::WordsConfirmed { by: Some(by), .. } if *by == witness)));
    assert!(transcript.entries().any(|entry| entry.what == Happening::SourceQuiesced { by: operator.clone() }));
    assert!(transcript.entries().all(|entry| !matches!(&entry.what, Happening::Confirmed { by, .. } if by.as_ref() != Some(&operator))));
    for kind in ["approval", "words-confirmed", "source-quiesced", "session-ended"] {
        assert_eq!(kinds(&desk).iter().filter(|found| *found == kind).count(), 1, "{kind}");
    }
    let text = String::from_utf8(desk.read(TRANSCRIPT)).unwrap();
    for secret in ["Pa$$w0rd", "keyring password", "key password", "PRIVATE"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[test]
fn nobody_there_and_wrong_words_stop_the_run_before_anything_is_done() {
    let (desk, people) = small();
    approve(&desk, &people[0]).exits(0);
    desk.run("apply plan.json --ceremony --approval person-0.approval").exits(8).says("nobody answers");
    let mut talk = Talk::begin(&desk, "apply plan.json --ceremony");
    for _ in 0..3 {
        assert!(talk.listen().ends_with("plan hash: "));
        talk.answer("no idea");
    }
    let rest = talk.listen();
    talk.end(&rest).exits(4).says("typed wrong 3 times");
    assert_eq!(deviations(&desk).len(), 3);
    assert!(!desk.path("tenant/tenant.json").exists() && !desk.path("tenant/migration/journal.jsonl").exists());
    // The room can stop before a step, and go on.
    let mut talk = Talk::begin(&desk, "apply plan.json --ceremony");
    let question = talk.listen();
    talk.type_words(&desk, &question);
    talk.listen();
    talk.answer("stop");
    let rest = talk.listen();
    talk.end(&rest).exits(8).says("the room stopped before the step check-sources");
    Talk::begin(&desk, "resume plan.json --ceremony").go_through(&desk).exits(0);
    verified(&desk);
    desk.run(&format!("transcript verify {TRANSCRIPT}")).exits(0).says("not closed");
}

#[test]
fn steps_by_hand_are_asked_for_and_a_run_that_is_given_up_is_recorded() {
    let desk = Desk::new();
    let people = planned(&desk, &format!("{SMALL}\n[decommission]\nactivity-watched = true\nconnection-point-removed = true\n"));
    approve(&desk, &people[0]).exits(0);
    let mut talk = Talk::begin(&desk, "apply plan.json --transcript plan.transcript.jsonl --ceremony --approval person-0.approval");
    let mut heard = talk.listen();
    talk.type_words(&desk, &heard);
    while !heard.ends_with("done, stop, or note TEXT: ") {
        heard = talk.listen();
        talk.answer(if heard.ends_with("go, stop, or note TEXT: ") { "go" } else { "stop" });
    }
    assert!(heard.contains("by hand: take AD RMS out of service"), "{heard}");
    let rest = talk.listen();
    talk.end(&rest).exits(8).says("waits for a person");
    // Found beside the plan without being named.
    desk.run_with(&["abort", "plan.json", "--reason", "a rehearsal"]).exits(0);
    let events: Vec<Event> = transcript(&desk)
        .entries()
        .filter_map(|entry| match &entry.what {
            Happening::Run { event, .. } => Some(event.clone()),
            _ => None,
        })
        .collect();
    assert!(events.contains(&Event::AbortStarted { reason: "a rehearsal".into() }) && events.last() == Some(&Event::Aborted {}));
    Talk::begin(&desk, "apply plan.json --ceremony").go_through(&desk).exits(0);
    assert!(transcript(&desk).entries().any(|entry| matches!(&entry.what, Happening::Confirmed { by_hand: true, .. })));
}

#[test]
fn a_killed_program_shows_in_the_transcript_and_its_torn_line_stays() {
    let (desk, people) = small();
    approve(&desk, &people[0]).exits(0);
    let mut talk = Talk::begin(&desk, "apply plan.json --ceremony --approval person-0.approval");
    let question = talk.listen();
    talk.type_words(&desk, &question);
    talk.listen();
    talk.answer("go");
    talk.listen();
    talk.0.kill().unwrap();
    talk.0.wait().unwrap();
    // A line is torn, and a line of the journal never reached the transcript.
    let mut bytes = desk.read(TRANSCRIPT);
    let text = String::from_utf8(bytes.clone()).unwrap();
    let last = text.lines().last().unwrap();
    assert!(last.contains("check-sources") && last.contains("done"), "{last}");
    bytes.truncate(bytes.len() - last.len() / 2);
    let kept = bytes.clone();
    desk.write(TRANSCRIPT, &bytes);
    desk.run(&format!("transcript verify {TRANSCRIPT}")).exits(1);
    Talk::begin(&desk, "resume plan.json --ceremony").go_through(&desk).exits(0);
    assert!(desk.read(TRANSCRIPT).starts_with(&kept), "nothing is lost");
    let kinds = kinds(&desk);
    assert!(["torn-line", "crash-found"].iter().all(|kind| kinds.iter().any(|found| found == kind)), "{kinds:?}");
    let late = transcript(&desk).entries().filter(|entry| matches!(&entry.what, Happening::Run { late: true, .. })).count();
    assert_eq!(late, 1);
    let shown = desk.run(&format!("--format json transcript verify {TRANSCRIPT}")).exits(0).json("transcript-verify");
    assert_eq!(shown["crashes"].as_array().unwrap().len(), 2);
}

#[test]
fn witnesses_sign_and_everything_that_is_changed_is_named() {
    let (desk, people) = carried_out();
    let closed = close(&desk, &people[0]).exits(0).json("transcript-close");
    close(&desk, &people[2]).exits(0);
    let witnesses = "--witness person-0.pub --witness person-2.pub";
    let verify = |more: &str| desk.run(&format!("--format json transcript verify {TRANSCRIPT} --note {TRANSCRIPT}.note {more}"));
    let value = verify(&format!("{witnesses} --plan plan.json --qr hash.svg")).exits(0).json("transcript-verify");
    assert_eq!((&value["final_hash"], &value["closed"]), (&closed["final_hash"], &Value::Bool(true)));
    assert_eq!(value["signed_by"].as_array().unwrap().len(), 2);
    assert!(String::from_utf8(desk.read("hash.svg")).unwrap().starts_with("<svg "));
    verify("").exits(2).says("no key is trusted");
    verify("--plan plan.json").exits(0);
    assert!(verify("--witness person-1.pub").exits(1).stdout().contains("not signed by the witness"));
    // Nothing can be added any more.
    desk.run_with(&["transcript", "note", TRANSCRIPT, "late"]).exits(9).says("is closed");
    desk.run("apply plan.json").exits(9).says("is closed");
    // What is changed.
    let (bytes, note) = (desk.read(TRANSCRIPT), desk.read(&format!("{TRANSCRIPT}.note")));
    let text = String::from_utf8(bytes.clone()).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let wrong = |bytes: &[u8], says: &str| {
        desk.write(TRANSCRIPT, bytes);
        let value = verify(witnesses).exits(1).json("transcript-verify");
        let problem = value["problems"][0].as_str().unwrap().to_owned();
        assert!(problem.contains(says), "{problem}");
    };
    wrong(lines[..lines.len() - 2].concat().as_bytes(), "the end is missing");
    wrong(text.replacen("check-sources", "check-sourceS", 1).as_bytes(), "line ");
    wrong([&lines[..3], &lines[4..]].concat().concat().as_bytes(), "line 4: ");
    wrong(&bytes[..bytes.len() - 1], "torn line");
    wrong(b"", "it is empty");
    desk.write(TRANSCRIPT, &bytes);
    let signed = String::from_utf8(note).unwrap();
    desk.write(&format!("{TRANSCRIPT}.note"), signed.replacen("sha256 ", "sha256 0", 1));
    assert!(verify(witnesses).exits(1).stdout().contains("is not by the key"));
    desk.write(&format!("{TRANSCRIPT}.note"), &signed[..signed.len() / 2]);
    verify(witnesses).exits(1);
    fs::remove_file(desk.path(TRANSCRIPT)).unwrap();
    verify(witnesses).exits(2);
}

#[test]
fn openssh_judges_the_signatures_of_witnesses() {
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        return skip("room::openssh_judges_the_signatures_of_witnesses", "ssh-keygen is not installed");
    }
    let (desk, people) = carried_out();
    let closed = close(&desk, &people[0]).exits(0).json("transcript-close");
    let signature = closed["signatures"][0]["signature"].as_str().unwrap().to_owned();
    let public = String::from_utf8(desk.read("person-0.pub")).unwrap();
    desk.write("allowed", format!("ann namespaces=\"keykit-transcript\" {public}"));
    let judge = |bytes: &[u8]| {
        let mut command = Command::new("ssh-keygen");
        command.args(["-Y", "verify", "-f", "allowed", "-I", "ann", "-n", "keykit-transcript", "-s", &signature]);
        let mut child = command.current_dir(desk.path("")).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        child.wait().unwrap().success()
    };
    let mut bytes = desk.read(TRANSCRIPT);
    assert!(judge(&bytes));
    bytes[100] ^= 1;
    assert!(!judge(&bytes));
}

/// Whether a line of the script stands in what was printed, with anything where the script has an ellipsis.
fn is_printed(line: &str, printed: &str) -> bool {
    printed.lines().any(|found| {
        let mut rest = found;
        line.trim().split('…').all(|piece| match rest.find(piece.trim()) {
            Some(at) => {
                rest = &rest[at + piece.trim().len()..];
                true
            }
            None => false,
        })
    })
}

#[test]
fn the_screen_shows_what_the_script_says() {
    let (desk, people) = small();
    let script = desk.run("--format json script plan.json").exits(0).json("script");
    let tasks: Vec<&Value> = script["parts"].as_array().unwrap().iter().flat_map(|part| part["steps"].as_array().unwrap()).collect();
    let key = |command: &str| command.replace("--key KEY", &format!("--key {} --password-source file:key-password", people[0]));
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_keykit")).parent().unwrap();
    let path = std::env::join_paths(std::iter::once(program.to_owned()).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap()))).unwrap();
    let mut in_room: Option<String> = None;
    let mut compared = 0;
    for task in tasks {
        assert!(!task["when_it_fails"].as_str().unwrap().is_empty(), "{task}");
        let texts = |name: &str| -> Vec<String> { task[name].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect() };
        let (commands, expected) = (texts("commands"), texts("expected"));
        let begins = commands.iter().find(|command| command.starts_with("keykit apply"));
        // From the command that carries the plan out on, all is on one screen, until the last step is done.
        let printed = if let Some(command) = begins {
            let given = command.split(" --approval").next().unwrap().trim_start_matches("keykit ");
            let ran = Talk::begin(&desk, &format!("{given} --approval person-0.approval")).go_through(&desk).exits(0);
            in_room = Some(format!("{}{}", ran.stderr(), ran.stdout()));
            in_room.clone().unwrap()
        } else if task["id"].is_string() || expected.iter().any(|line| line.starts_with("all ")) {
            in_room.clone().unwrap()
        } else {
            let ours = commands
                .iter()
                .filter(|command| command.starts_with("keykit ") || command.starts_with("sha256sum plan") || command.starts_with("sha256sum "));
            let mut printed = String::new();
            for command in ours.filter(|command| !command.contains("command -v")) {
                // Each person approves with a key of their own; one is enough here.
                let command = if command.starts_with("keykit approve") {
                    key(command).replace(command.split("-o ").nth(1).unwrap(), "person-0.approval")
                } else {
                    key(command)
                };
                let mut shell = Command::new("sh");
                shell.args(["-c", &command]).env("PATH", &path);
                let ran = desk.finish(&mut shell);
                printed.push_str(&format!("{}{}", ran.stderr(), ran.stdout()));
            }
            printed
        };
        if task["what"].as_str().unwrap().contains(" approves, or does not") && !printed.contains("A. Custodian (") {
            continue;
        }
        for line in &expected {
            compared += 1;
            assert!(is_printed(line, &printed), "the script says\n  {line}\nand the screen shows\n{printed}");
        }
    }
    assert!(compared > 15, "{compared}");
}

/// What a run shows, shortened for a page: words after the fourth, and QR codes.
fn shortened(screen: &str) -> String {
    let mut text = String::new();
    for line in screen.trim_end().lines() {
        if line.chars().any(|character| "█▀▄".contains(character)) {
            continue;
        }
        let words: Vec<&str> = line.split(' ').collect();
        let line = if line.starts_with("words: ") && words.len() > 6 { format!("{} …", words[..5].join(" ")) } else { line.to_owned() };
        text.push_str(&format!("{}\n", line.trim_end()));
    }
    text.trim_end().to_owned()
}

/// The same without what is of one run alone: digests, keys, times, words and their places.
fn without_chance(text: &str) -> Vec<String> {
    let is_chance = |word: &str| {
        let digits = word.split(|character: char| !character.is_ascii_hexdigit()).map(str::len).max().unwrap_or_default();
        digits >= 16 || word.starts_with("SHA256:") || word.starts_with("(SHA256:") || (word.starts_with("20") && word.contains('T'))
    };
    text.lines()
        .map(|line| match line.split_once(" of the plan hash: ") {
            Some(_) => "words of the plan hash".to_owned(),
            None if line.starts_with("words: ") => "words".to_owned(),
            None => line.split(' ').map(|word| if is_chance(word) { "#" } else { word }).collect::<Vec<_>>().join(" "),
        })
        .collect()
}

/// Where the guide shows the room.
const IN_THE_GUIDE: [&str; 2] = ["<!-- room: a test writes and compares this -->\n", "<!-- end of room -->\n"];

#[test]
fn the_guide_shows_what_the_room_sees() {
    let (desk, people) = small();
    let mut section = String::new();
    let mut show = |command: &str, screen: &str| section.push_str(&format!("```text\n$ {command}\n{}\n```\n\n", shortened(screen)));
    let script = desk.run("script plan.json").exits(0).stdout();
    let (_, first) = script.split_once("### 3.2").unwrap();
    let (step, _) = first.split_once("### 3.3").unwrap();
    let indented: String = format!("### 3.2{step}").trim_end().lines().map(|line| format!("{}\n", format!("    {line}").trim_end())).collect();
    show("keykit script plan.json -o script.md", "keykit: the script of the plan … is in script.md");
    approve(&desk, &people[0]).exits(0);
    let (ran, screen) = Talk::begin(&desk, "apply plan.json --ceremony --approval person-0.approval").go_through_and_show(&desk);
    ran.exits(0);
    show("keykit apply plan.json --ceremony --approval person-0.approval", &screen);
    let noted = desk.run_with(&["transcript", "note", TRANSCRIPT, "--by", "W. Witness", "the projector failed"]).exits(0);
    show(&format!("keykit transcript note {TRANSCRIPT} --by 'W. Witness' 'the projector failed'"), &noted.stdout());
    let close = format!("transcript close {TRANSCRIPT} --plan plan.json --key person-0");
    show(&format!("keykit {close}"), &desk.run(&format!("{close} --password-source file:key-password")).exits(0).stdout());
    let verify = format!("transcript verify {TRANSCRIPT} --note {TRANSCRIPT}.note --plan plan.json");
    show(&format!("keykit {verify}"), &desk.run(&verify).exits(0).stdout());
    let report = "report plan.json -o report.html";
    let ran = desk.run(report);
    show(&format!("keykit {report}"), &format!("{}{}", ran.stderr(), ran.stdout()));
    section.push_str(&format!("A step of the script, as it is printed:\n\n{indented}\n"));
    let path = project().join("docs/ceremony-guide.md");
    let guide = fs::read_to_string(&path).unwrap();
    let [begin, end] = IN_THE_GUIDE;
    let (before, rest) = guide.split_once(begin).unwrap();
    let (shown, after) = rest.split_once(end).unwrap();
    if is_written_anew() {
        return fs::write(&path, format!("{before}{begin}{section}{end}{after}")).unwrap();
    }
    assert_eq!(without_chance(shown), without_chance(&section), "write it anew: see the head of schemas.rs");
}

#[test]
fn the_note_of_a_transcript_is_judged_by_openssl() {
    if Command::new("openssl").arg("version").output().is_err() {
        return skip("room::the_note_of_a_transcript_is_judged_by_openssl", "openssl is not installed");
    }
    let (desk, people) = carried_out();
    close(&desk, &people[0]).exits(0);
    // The line of a signature: a dash, the name, base64 of the key ID and the signature (C2SP signed-note).
    let note = String::from_utf8(desk.read(&format!("{TRANSCRIPT}.note"))).unwrap();
    let (text, signatures) = note.split_once("\n\n").unwrap();
    let line = signatures.lines().next().unwrap();
    let signature = Base64::decode_vec(line.rsplit(' ').next().unwrap()).unwrap();
    assert_eq!(signature.len(), 4 + 64);
    // The key as OpenSSH writes it: length and "ssh-ed25519", length and 32 bytes.
    let public = String::from_utf8(desk.read("person-0.pub")).unwrap();
    let blob = Base64::decode_vec(public.split_whitespace().nth(1).unwrap()).unwrap();
    // SubjectPublicKeyInfo of Ed25519 (RFC 8410 §4).
    let der = [b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".as_slice(), &blob[blob.len() - 32..]].concat();
    desk.write("witness.der", der);
    desk.write("signature", &signature[4..]);
    let judge = |text: &str| {
        desk.write("text", text);
        let mut command = Command::new("openssl");
        command.args("pkeyutl -verify -pubin -keyform DER -inkey witness.der -rawin -in text -sigfile signature".split(' '));
        command.current_dir(desk.path("")).output().unwrap().status.success()
    };
    let signed = format!("{text}\n");
    assert!(judge(&signed), "{signed}");
    assert!(!judge(&signed.replacen("sha256 ", "sha256 0", 1)) && !judge(text));
}

#[test]
fn the_script_is_printed_in_every_form_and_holds_no_secret() {
    let (desk, _) = small();
    let plan = Plan::read(&desk.path("plan.json")).unwrap();
    let markdown = desk.run("script plan.json").exits(0).stdout();
    desk.run("--format html script plan.json -o script.html").exits(0);
    desk.run("--format html script plan.json -o script.html").exits(9);
    desk.run("--format junit script plan.json").exits(2);
    let html = String::from_utf8(desk.read("script.html")).unwrap();
    let json = desk.run("--format json script plan.json").exits(0);
    assert_eq!(desk.run("--format markdown script plan.json").exits(0).stdout(), markdown);
    for text in [&markdown, &html, &json.stdout()] {
        assert!(text.contains(&plan.hash().unwrap()) && plan.steps.iter().all(|step| text.contains(&step.id)));
        assert!(plan.keys.iter().all(|key| text.contains(&key.key_id.to_string())));
        for secret in ["Pa$$w0rd", "keyring password", "PRIVATE", desk.path("").to_str().unwrap()] {
            assert!(!text.contains(secret), "{secret}");
        }
    }
    json.json("script");
}

#[test]
fn the_first_line_names_module_and_token() {
    on_tokens("room::the_first_line_names_module_and_token", |bench| {
        let desk = &bench.desk;
        let store = format!("store = \"{}\"\n", bench.uri("target"));
        let people = planned(desk, &SMALL.replace("managed = \"service\"\n", &format!("managed = \"customer\"\n{store}")));
        approve(desk, &people[0]).exits(0);
        Talk::begin(desk, "apply plan.json --ceremony --approval person-0.approval").go_through(desk).exits(0);
        let transcript = transcript(desk);
        let Happening::Session { modules, tokens, .. } = &transcript.lines()[0].entry.what else { panic!("the first line says who") };
        assert!(modules.len() == 1 && modules[0].sha256.as_ref().is_some_and(|hash| hash.len() == 64), "{modules:?}");
        assert!(!modules[0].file.contains('/'), "{modules:?}");
        assert!(tokens.len() == 1 && tokens[0].label == "target" && !tokens[0].serial.is_empty(), "{tokens:?}");
    });
}
