//! Text from outside, as CommonMark shows it unchanged.

/// Text within a line. What could be markup stands after a backslash; blanks and control characters become single blanks.
#[must_use]
pub fn text(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in one_line(value).chars() {
        if character.is_ascii_punctuation() {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// Text as code within a line: between more backticks than it has in a row.
#[must_use]
pub fn code(value: &str) -> String {
    let value = one_line(value);
    let ticks = "`".repeat(longest_run(&value) + 1);
    let pad = if value.starts_with('`') || value.ends_with('`') { " " } else { "" };
    format!("{ticks}{pad}{value}{pad}{ticks}")
}

/// Code as a block of its own, between fences that no line within can close.
#[must_use]
pub fn block(language: &str, lines: &[&str]) -> String {
    let longest = lines.iter().map(|line| longest_run(line)).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", lines.join("\n"))
}

fn longest_run(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or(0)
}

fn one_line(value: &str) -> String {
    value.split(|character: char| character.is_whitespace() || character.is_control()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}
