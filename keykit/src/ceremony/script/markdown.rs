//! The script as Markdown (CommonMark, with the tables of GitHub).

use super::{Script, Task};
use crate::ceremony::html::is_hidden;

/// The script as Markdown.
#[must_use]
pub fn markdown(script: &Script) -> String {
    let mut text = format!("# Key ceremony of {}\n\n", escape(&script.organisation));
    text.push_str(&format!(
        "- tenant: {}\n- plan: `{}`, in `{}`\n- approvals: {}\n",
        escape(&script.tenant),
        script.plan,
        code(&script.plan_file),
        escape(&script.approvals)
    ));
    script.dangers.iter().for_each(|danger| text.push_str(&format!("- **DANGER, allowed by this plan: {}**\n", escape(danger))));
    text.push_str("\nWords of the plan hash:\n\n");
    words(&mut text, &script.words);
    text.push_str("\n## People\n\n| name | role | key | arrived (UTC) | signature |\n|---|---|---|---|---|\n");
    for person in &script.people {
        text.push_str(&format!("| {} | {} | {} | | |\n", escape(&person.name), escape(&person.role), escape(&person.key)));
    }
    if !script.findings.is_empty() {
        text.push_str("\n## To know before you begin\n\n");
        script.findings.iter().for_each(|finding| text.push_str(&format!("- {}\n", escape(finding))));
    }
    text.push_str("\n## Files\n\n| file | bytes | SHA-256 |\n|---|---|---|\n");
    for file in &script.files {
        text.push_str(&format!("| {} | {} | {} |\n", escape(&file.path), file.bytes, file.sha256));
    }
    for file in &script.files {
        text.push_str(&format!("\n- {}\n\n", escape(&file.path)));
        words(&mut text, &file.words);
    }
    text.push_str("\n## Keys and their check values\n\n");
    script.check_values.iter().for_each(|sentence| text.push_str(&format!("{}\n\n", escape(sentence))));
    for key in &script.keys {
        text.push_str(&format!("- `spki-sha256:{}`: {}\n\n", key.key_id, escape(&key.about)));
        words(&mut text, &key.words);
        if key.is_wrapped {
            text.push_str("\n  Wrapping key: ____________ KCV method (cmac-aes or ecb): ____________ KCV (6 hex digits): ____________\n");
        }
        text.push('\n');
    }
    for (part, number) in script.parts.iter().zip(1..) {
        text.push_str(&format!("## {number}. {}\n\n{}\n\n", part.title, part.purpose));
        part.steps.iter().zip(1..).for_each(|(task, place)| step(&mut text, task, &format!("{number}.{place}")));
    }
    text.push_str("## When a step fails\n\nThe exit code is what `echo $?` shows. Nothing is done twice, so `keykit resume` is always safe.\n\n");
    text.push_str("| exit | meaning | what the room does |\n|---|---|---|\n");
    for failure in &script.failures {
        text.push_str(&format!("| {} | {} | {} |\n", failure.exit, failure.meaning, escape(&failure.action)));
    }
    text.push_str("\nTo give the run up, what can be undone is undone and what stays is listed:\n\n");
    fenced(&mut text, &[script.abort_command()]);
    text
}

fn step(text: &mut String, task: &Task, number: &str) {
    text.push_str(&format!("### {number} {}\n\n", escape(&task.what)));
    task.details.iter().for_each(|detail| text.push_str(&format!("{}\n\n", escape(detail))));
    for (name, lines) in task.screen_and_commands().filter(|(_, lines)| !lines.is_empty()) {
        text.push_str(&format!("{name}:\n\n"));
        fenced(text, lines);
    }
    for (label, what) in [("If it fails", &task.when_it_fails), ("Undo", &task.undo)] {
        if !what.is_empty() {
            text.push_str(&format!("{label}: {}\n\n", escape(what)));
        }
    }
    task.to_fill_in.iter().for_each(|what| text.push_str(&format!("{what}: ____________________\n\n")));
    text.push_str("- [ ] time (UTC): ________ operator: ______ witness: ______\n\n");
}

fn words(text: &mut String, words: &[String]) {
    let lines: Vec<String> = Script::numbered(words)
        .map(|line| line.iter().map(|(place, word)| format!("{place:>2} {word:<12}")).collect::<String>().trim_end().to_owned())
        .collect();
    fenced(text, &lines);
}

/// A block of code, in a fence that is longer than any in it.
fn fenced(text: &mut String, lines: &[String]) {
    let longest = lines.iter().flat_map(|line| line.split(|character| character != '`')).map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    text.push_str(&format!("{fence}text\n"));
    lines.iter().for_each(|line| text.push_str(&format!("{}\n", printable(line))));
    text.push_str(&format!("{fence}\n\n"));
}

/// Text as text: nothing in it is markup (CommonMark §2.4), and it stays on its line.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in printable(text).chars() {
        // A hyphen or a digit is markup at the beginning of a line only, where no text from outside stands.
        if "\\`*_{}[]<>#|!&~".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// Text for a code span: no backtick, no line feed.
fn code(text: &str) -> String {
    printable(text).replace('`', "'")
}

/// Characters that would not be seen, or would turn the text, are shown as U+FFFD.
fn printable(text: &str) -> String {
    text.chars().map(|character| if is_hidden(character) { '\u{fffd}' } else { character }).collect()
}
