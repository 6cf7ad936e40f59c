//! The list of all files, in the order of their use.

use super::{Artefact, markdown};
use crate::migration::file::MigrationFile;

/// `README.md`: which file is for what, by the steps of the documented process, and the way back.
pub(super) fn read_me(file: &MigrationFile, files: &[Artefact]) -> Artefact {
    let mut text = format!("# Files for the migration of {}\n\n", markdown::text(&file.organisation.name));
    text.push_str(HEAD);
    let mut stage = None;
    for file in files {
        if stage != Some(file.stage) {
            stage = Some(file.stage);
            text.push_str(&format!("\n## {}\n\n| file | purpose | rules |\n|---|---|---|\n", capitalised(&file.stage.to_string())));
        }
        let rules: Vec<String> = file.rules.iter().map(ToString::to_string).collect();
        let undoes = if file.undoes { "*Roll-back:* " } else { "" };
        text.push_str(&format!("| `{}` | {undoes}{} | {} |\n", file.name, file.purpose, rules.join(", ")));
    }
    let back: Vec<&Artefact> = files.iter().rev().filter(|file| file.undoes).collect();
    if !back.is_empty() {
        text.push_str("\n## The way back\n\nFrom the last step that was done to the first; leave out what was not done.\n\n");
        back.iter().for_each(|file| text.push_str(&format!("- `{}`\n", file.name)));
    }
    let stage = files.first().map_or(crate::migration::rules::catalogue::Step::Before, |file| file.stage);
    Artefact::new(stage, "README.md", text, "the files in the order of their use", &[])
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

const HEAD: &str = "In the order of their use, by the steps of the documented process; what takes a step back stands last in it. \
The numbers are those of `docs/rules.md`. Only what the migration file says is in use is here.\n\n\
- A script does what the registry or zone file of the same name does; do not use both on one computer. `-WhatIf` shows first what it would do.\n\
- Run books (`.md`) are worked through from top to bottom, with time and initials at each step.\n\
- Directions turn round during a migration: what is prepared leads from the tenant to AD RMS, what is set later leads from AD RMS to the tenant \
or its connector. Both stand under the same registry keys, so the later files take the earlier values away first. Each such file says so.\n\
- The files have been made from the documented keys and commands. keykit has not run them on Windows: try them on one computer first.\n";
