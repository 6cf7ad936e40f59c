//! The timeline.

use jiff::Timestamp;

use super::moment;
use super::parts::{classed, column, drawn, el, list, table, text};
use crate::ceremony::html::Html;
use crate::ceremony::report::{Moment, MomentKind, Report, ReportedTranscript, RunState, Timeline};

pub(super) fn all(report: &Report) -> Html {
    let timeline = &report.timeline;
    let mut html = classed("p", "lead", &summary(timeline));
    if !timeline.moments.is_empty() {
        html.push_line(&el("ol", &[("class", "timeline")], timeline.moments.iter().map(entry)));
    }
    if let Some(hash) = &timeline.last_hash {
        let other = match timeline.other_runs {
            0 => String::new(),
            count => format!(" The same journal holds {count} runs of other plans."),
        };
        let lines = format!("From the journal of the runs: {} lines, linked by hash.{other} Hash of the last line: ", timeline.lines);
        html.push(&el("p", &[("class", "small")], [text(&lines), el("code", &[], [text(hash)])]));
    }
    report.transcript.iter().for_each(|transcript| html.push_line(&record(transcript)));
    html
}

fn place_name(number: usize) -> String {
    format!("place {}", number + 1)
}

fn record(transcript: &ReportedTranscript) -> Html {
    let closed = if transcript.is_closed { "it is closed" } else { "it is not closed" };
    let mut sentence = format!("The transcript of the ceremony has {} lines, each bound to the one before; {closed}.", transcript.lines);
    if transcript.crashes > 0 {
        sentence.push_str(&format!(" Programs that ended without a word: {}.", transcript.crashes));
    }
    if !transcript.clock_went_back.is_empty() {
        let lines: Vec<String> = transcript.clock_went_back.iter().map(u64::to_string).collect();
        sentence.push_str(&format!(" The clock went back at line {}.", lines.join(", ")));
    }
    sentence.push_str(" The hash of its last line stands for all of it:");
    let mut html = el("h3", &[], [text("Transcript of the ceremony")]);
    html.push(&el("p", &[], [text(&sentence)]));
    html.push(&el("div", &[], [super::hash(&transcript.final_hash, &transcript.words)]));
    // Most programs of a ceremony run on one machine with the same tokens: that is said once.
    let mut places: Vec<(&str, &str, &[String])> = Vec::new();
    let mut rows = Vec::new();
    for session in &transcript.sessions {
        let place = (session.machine.as_str(), session.program.as_str(), session.stores.as_slice());
        let known = places.iter().position(|known| *known == place);
        let number = known.unwrap_or_else(|| {
            places.push(place);
            places.len() - 1
        });
        let end = classed("span", "small", &session.end);
        rows.push(vec![text(&session.command), text(&moment(session.time)), text(&place_name(number)), end]);
    }
    let columns = [column("Command"), column("Began"), column("Where"), column("End")];
    html.push_line(&table("Programs that worked on the plan", &columns, rows));
    let rows = places.iter().enumerate().map(|(number, (machine, program, stores))| {
        let small = |content: &str| classed("span", "small", content);
        vec![text(&place_name(number)), small(machine), small(program), el("span", &[("class", "small")], [list(stores)])]
    });
    let columns = [column("Where"), column("Machine"), column("Program"), column("Modules and tokens")];
    html.push_line(&table("Where they worked", &columns, rows.collect()));
    html
}

fn summary(timeline: &Timeline) -> String {
    let state = match timeline.state {
        RunState::NotBegun => "The plan was not carried out yet.",
        RunState::Unfinished => "The run is not finished.",
        RunState::Finished => "The run is finished.",
        RunState::GivenUp => "The run was given up.",
    };
    let times = |count: usize, one: &str, several: &str| match count {
        0 => String::new(),
        1 => format!(" {one}"),
        count => format!(" {}", several.replace("{}", &count.to_string())),
    };
    format!(
        "{state}{}{}{}{}",
        times(timeline.interruptions, "It was interrupted once.", "It was interrupted {} times."),
        times(timeline.failures, "One step failed.", "Steps failed {} times."),
        times(
            timeline.resumptions,
            "It was taken up again once, where it had stopped.",
            "It was taken up again {} times, each time where it had stopped."
        ),
        times(timeline.waits, "It waited for a person once.", "It waited for a person {} times."),
    )
}

/// The class of the shape, and the shape.
fn look(kind: MomentKind) -> (&'static str, &'static str) {
    match kind {
        MomentKind::Done | MomentKind::Finished => ("done", "M7.5 12.3l3 3 6-6.6"),
        MomentKind::Confirmed => ("done", "M12 6.8a2.4 2.4 0 1 1 0 4.8 2.4 2.4 0 0 1 0-4.8M7.3 17.2c.6-2.5 2.4-3.6 4.7-3.6s4.1 1.1 4.7 3.6"),
        MomentKind::Failed | MomentKind::Interrupted | MomentKind::GivenUp | MomentKind::GivingUp => ("stop", "M8.5 8.5l7 7M15.5 8.5l-7 7"),
        MomentKind::Waited => ("wait", "M12 7.5V12l3 2"),
        MomentKind::Resumed | MomentKind::Started => ("note", "M10 8l6 4-6 4z"),
        MomentKind::Deviation => ("wait", "M12 7v6M12 16.6v.4"),
        MomentKind::Approved | MomentKind::Witnessed => ("note", "M8 15.8l.6-2.8 6-6 2.2 2.2-6 6z"),
        MomentKind::Undone => ("wait", "M9 8.2L6.5 10.7 9 13.2M6.8 10.7h6.4a3 3 0 0 1 0 6H9.5"),
    }
}

fn entry(moment: &Moment) -> Html {
    let (class, shape) = look(moment.kind);
    let word = format!("{}: ", capital(moment.kind.word()));
    let mut what = vec![el("strong", &[], [text(&word)]), text(&moment.what)];
    if let Some(seconds) = moment.seconds.filter(|seconds| *seconds > 0) {
        what.push(text(&format!(" ({seconds} s)")));
    }
    let mut body = vec![el("p", &[("class", "what")], what)];
    if let Some(detail) = &moment.detail {
        body.push(classed("p", "detail", detail));
    }
    let item: &[(&'static str, &str)] = if moment.kind == MomentKind::Interrupted { &[("class", "break")] } else { &[] };
    let before = if moment.kind == MomentKind::Interrupted { "after " } else { "" };
    el(
        "li",
        item,
        [clock(moment.time, before), el("span", &[("class", &format!("dot {class}"))], [drawn(shape)]), el("div", &[("class", "body")], body)],
    )
}

fn clock(time: Timestamp, before: &str) -> Html {
    let hour = format!("{before}{}", time.strftime("%H:%M:%S"));
    let day = time.strftime(" %Y-%m-%d UTC").to_string();
    el("time", &[("datetime", &time.to_string())], [text(&hour), el("span", &[], [text(&day)])])
}

fn capital(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}
