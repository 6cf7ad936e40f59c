//! The documentation against the program: every command line in it parses, every exit code in it is one of the program's, and every
//! command has a schema.

use std::collections::BTreeSet;
use std::io;

use clap::{CommandFactory, Parser};
use keykit::Error;
use keykit::error::TokenError;
use keykit_tests::documentation::{Page, pages, project};

use super::Arguments;
use crate::exit;

fn page(path: &str) -> Page {
    pages().into_iter().find(|page| page.path == path).unwrap()
}

/// Words as a shell makes them, up to a comment, a pipe or a redirection.
fn shell_words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for character in line.chars() {
        match quote {
            Some(open) if character == open => quote = None,
            Some(_) => word.get_or_insert_default().push(character),
            None if character == '\'' || character == '"' => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            None if character.is_whitespace() => words.extend(word.take()),
            None if word.is_none() && matches!(character, '#' | '|' | '>' | '<' | ';' | '&') => break,
            None => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

/// Commands in fenced blocks: those on a line of their own, with lines that end in `\` joined.
fn fenced_commands(page: &Page) -> Vec<(usize, String)> {
    let mut commands: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (number, fenced, line) in page.lines() {
        let text = line.trim_end();
        let (text, goes_on) = text.strip_suffix('\\').map_or((text, false), |text| (text, true));
        let start = text.trim_start().trim_start_matches("$ ");
        match commands.last_mut() {
            Some((_, command)) if open => command.push_str(text),
            _ if fenced && start.starts_with("keykit ") => commands.push((number, start.to_owned())),
            _ => continue,
        }
        open = goes_on;
    }
    commands
}

/// Commands in the text, between backticks. They may be cut short.
fn inline_commands(page: &Page) -> Vec<(usize, String)> {
    let outside = page.lines().filter(|(_, fenced, _)| !fenced);
    outside
        .flat_map(|(number, _, line)| line.split('`').skip(1).step_by(2).map(move |code| (number, code.to_owned())).collect::<Vec<_>>())
        .filter(|(_, code)| code.starts_with("keykit "))
        .collect()
}

#[test]
fn every_command_line_in_a_block_parses() {
    let mut count = 0;
    for page in pages() {
        for (number, command) in fenced_commands(&page) {
            count += 1;
            if let Err(error) = Arguments::try_parse_from(shell_words(&command)) {
                assert_eq!(error.exit_code(), 0, "{}:{number}: {command}\n{error}", page.path);
            }
        }
    }
    assert!(count > 40, "{count}");
}

#[test]
fn every_command_in_the_text_exists_with_its_options() {
    let mut count = 0;
    let mut root = Arguments::command();
    root.build();
    for page in pages() {
        for (number, code) in inline_commands(&page) {
            count += 1;
            let mut command = &root;
            let mut depth = 0;
            for word in shell_words(&code).iter().skip(1).map(|word| word.trim_matches(['[', ']', '…'])) {
                if let Some(option) = word.strip_prefix("--") {
                    let name = option.split('=').next().unwrap_or_default();
                    let known = name.is_empty()
                        || ["help", "version"].contains(&name)
                        || command.get_arguments().any(|argument| argument.get_long() == Some(name));
                    assert!(known, "{}:{number}: `{code}`: there is no --{name}", page.path);
                } else if let Some(sub) = command.find_subcommand(word) {
                    command = sub;
                    depth += 1;
                }
            }
            assert!(depth > 0, "{}:{number}: `{code}` names no command", page.path);
        }
    }
    assert!(count > 20, "{count}");
}

/// One error of every kind.
fn errors() -> Vec<Error> {
    let text = String::new;
    vec![
        Error::negative(""),
        Error::Crypto,
        Error::usage(""),
        Error::NotFound { what: text(), hint: None },
        Error::Read { path: "x".into(), source: io::Error::other("x") },
        Error::malformed("x", ""),
        Error::refused(1, "", ""),
        Error::Token(TokenError { store: text(), function: text(), code: text(), doing: text(), hint: None }),
        Error::WrongPin { store: text(), tries: text() },
        Error::WrongPassword { what: text(), hint: text() },
        Error::Unsupported { operation: text(), mechanism: text(), store: text() },
        Error::Interrupted { what: text() },
        Error::Write { path: "x".into(), source: io::Error::other("x") },
        Error::Conflict { what: text(), hint: None },
        Error::Internal(text()),
    ]
}

#[test]
fn the_table_of_exit_codes_is_the_program() {
    let page = page("docs/exit-codes.md");
    let mut documented = BTreeSet::from([(exit::DONE, String::new())]);
    for line in page.text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (Some(Ok(code)), Some(names)) = (cells.get(1).map(|cell| cell.parse::<u8>()), cells.get(3)) else { continue };
        documented.extend(names.split('`').skip(1).step_by(2).map(|name| (code, name.to_owned())));
    }
    let mut real = BTreeSet::from([(exit::DONE, String::new())]);
    real.extend(errors().iter().map(|error| (exit::code_of(error), error.code().to_owned())));
    assert_eq!(documented, real);
    // And nobody promises another code anywhere.
    let codes: BTreeSet<String> = real.iter().map(|(code, _)| code.to_string()).collect();
    for page in pages() {
        for (number, _, line) in page.lines() {
            let lower = line.to_lowercase();
            for (place, phrase) in ["exit code ", "exits with ", "(exit "].iter().flat_map(|phrase| lower.match_indices(phrase)) {
                let digits: String = lower
                    .chars()
                    .skip(lower.get(..place).map_or(0, |before| before.chars().count()) + phrase.len())
                    .take_while(char::is_ascii_digit)
                    .collect();
                assert!(digits.is_empty() || codes.contains(&digits), "{}:{number}: {line}", page.path);
            }
        }
    }
}

/// The commands that do something, with their names as a person types them.
fn leaves(command: &clap::Command, name: &str, found: &mut Vec<String>) {
    let subs: Vec<&clap::Command> = command.get_subcommands().filter(|sub| sub.get_name() != "help").collect();
    for sub in &subs {
        leaves(sub, &format!("{name} {}", sub.get_name()), found);
    }
    if subs.is_empty() || command.get_positionals().next().is_some() {
        found.push(name.to_owned());
    }
}

#[test]
fn every_command_has_a_schema_in_the_book() {
    let page = page("docs/json.md");
    let mut linked = BTreeSet::new();
    let mut documented = BTreeSet::new();
    for line in page.text.lines().filter(|line| line.starts_with("| ")) {
        documented.extend(line.split('|').nth(1).unwrap_or_default().split('`').skip(1).step_by(2).map(str::to_owned));
        linked.extend(line.split("](schemas/").skip(1).filter_map(|rest| rest.split_once(')')).map(|(file, _)| file.to_owned()));
    }
    let mut real = Vec::new();
    leaves(&Arguments::command(), "keykit", &mut real);
    for name in real.iter().filter(|name| !["keykit completions", "keykit man"].contains(&name.as_str())) {
        assert!(documented.contains(name), "`{name}` is in no row of docs/json.md");
    }
    let files: BTreeSet<String> =
        std::fs::read_dir(project().join("docs/schemas")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(linked, files, "the links of docs/json.md, and the files in docs/schemas");
}

#[test]
fn words_are_those_of_a_shell() {
    assert_eq!(shell_words("keykit a 'b c'd \"e\" # f"), ["keykit", "a", "b cd", "e"]);
    assert_eq!(shell_words("keykit plan --init > file"), ["keykit", "plan", "--init"]);
    assert_eq!(shell_words("a --key file:x#1 '' | b"), ["a", "--key", "file:x#1", ""]);
}
