//! `keykit artefacts`: the files that other people and systems need.

use std::fs;
use std::path::Path;

use keykit::artefact::clients::{Artefact, artefacts};
use keykit::canonical::sha256_hex;
use keykit::durable::{self, Access, Existing};
use keykit::migration::file::MigrationFile;
use keykit::{Error, Result};
use serde::Serialize;

use crate::arguments::ArtefactsArguments;
use crate::exit;
use crate::output::{Output, say, table};

/// Largest file that is compared, in bytes.
const LIMIT: u64 = 1 << 24;

#[derive(Debug, Serialize)]
struct Made<'a> {
    files: Vec<MadeFile<'a>>,
}

#[derive(Debug, Serialize)]
struct MadeFile<'a> {
    path: &'a str,
    sha256: String,
    purpose: &'a str,
    rules: &'a [u16],
}

impl<'a> From<&'a Artefact> for MadeFile<'a> {
    fn from(file: &'a Artefact) -> Self {
        Self { path: file.name, sha256: sha256_hex(&file.bytes), purpose: file.purpose, rules: file.rules }
    }
}

/// Runs `keykit artefacts`. Nothing is written if one of the files is there with other content.
pub(super) fn run(arguments: &ArtefactsArguments, output: Output) -> Result<u8> {
    let migration = MigrationFile::read(&arguments.migration)?;
    let mut files = artefacts(&migration, arguments.script_version)?;
    files.insert(0, Artefact { name: "README.md", bytes: index(&files).into_bytes(), purpose: "the files in the order of their use", rules: &[] });
    fs::create_dir_all(&arguments.output).map_err(|source| Error::Write { path: arguments.output.clone(), source })?;
    let mut missing = Vec::new();
    for file in &files {
        let path = arguments.output.join(file.name);
        if !is_there(&path, &file.bytes)? {
            missing.push((path, file));
        }
    }
    for (path, file) in &missing {
        durable::write(path, &file.bytes, Access::Shared, Existing::Keep)?;
    }
    say(format!("{} files in {}, {} of them new", files.len(), arguments.output.display(), missing.len()));
    let made = Made { files: files.iter().map(MadeFile::from).collect() };
    output.result("artefacts", &made, || {
        let row = |file: &MadeFile<'_>| vec![file.path.to_owned(), file.purpose.to_owned(), numbers(file.rules)];
        table(&["file", "purpose", "rules"], &made.files.iter().map(row).collect::<Vec<_>>())
    })?;
    Ok(exit::DONE)
}

/// Whether a file is there with just this content.
fn is_there(path: &Path, bytes: &[u8]) -> Result<bool> {
    if !path.try_exists().map_err(|source| Error::Read { path: path.to_owned(), source })? {
        return Ok(false);
    }
    if durable::read(path, LIMIT, "artefact")?.as_slice() == bytes {
        return Ok(true);
    }
    Err(Error::Conflict {
        what: format!("{} exists already with other content; nothing was written", path.display()),
        hint: Some("choose another folder; keykit does not overwrite".into()),
    })
}

fn index(files: &[Artefact]) -> String {
    let mut text = String::from(
        "# Files for Windows clients\n\n\
         In the order of their use; the roll-backs come last. Each script does what the registry files before it do, with `-WhatIf` to see it first. \
         Do not use both on one computer.\n\n\
         1. `Prepare-Client.ps1` runs on all Windows computers before the first user moves.\n\
         2. For each batch: put its users into the group of migrated users; then `Migrate-Client.ps1` runs at the start of their computers, as administrator.\n\
         3. `Migrate-User.ps1` runs at their logon. It stops unless the other has run with the same version. A script runs again only under a higher version.\n\n\
         The direction turns round between 1 and 2: prepared values lead from the tenant to AD RMS, migrated ones from AD RMS to the tenant. \
         Migrating therefore deletes the keys first, with whatever else was there: export them before, if that matters.\n\n\
         To go back: `Rollback-User.ps1`, `Rollback-Client.ps1`, then `Prepare-Client.ps1` again. `unprepare-machine.reg` takes the prepared values away.\n\n\
         The scripts have been made from the documented keys and have not been run on Windows by keykit's tests: try them on one computer first.\n\n\
         | file | purpose | rules |\n|---|---|---|\n",
    );
    files.iter().for_each(|file| text.push_str(&format!("| `{}` | {} | {} |\n", file.name, file.purpose, numbers(file.rules))));
    text
}

fn numbers(rules: &[u16]) -> String {
    rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
