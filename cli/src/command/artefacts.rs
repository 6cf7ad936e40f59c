//! `keykit artefacts`: the files that other people and systems need.

use std::fs;
use std::path::Path;

use keykit::artefact::{Artefact, artefacts};
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
    undoes: bool,
}

impl<'a> From<&'a Artefact> for MadeFile<'a> {
    fn from(file: &'a Artefact) -> Self {
        Self { path: &file.name, sha256: sha256_hex(&file.bytes), purpose: &file.purpose, rules: &file.rules, undoes: file.undoes }
    }
}

/// Runs `keykit artefacts`. Nothing is written if one of the files is there with other content.
pub(super) fn run(arguments: &ArtefactsArguments, output: Output) -> Result<u8> {
    let migration = MigrationFile::read(&arguments.migration)?;
    let files = artefacts(&migration, arguments.script_version)?;
    fs::create_dir_all(&arguments.output).map_err(|source| Error::Write { path: arguments.output.clone(), source })?;
    let mut missing = Vec::new();
    for file in &files {
        let path = arguments.output.join(&file.name);
        if !is_there(&path, &file.bytes)? {
            missing.push((path, file));
        }
    }
    for (path, file) in &missing {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.to_owned(), source })?;
        }
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

fn numbers(rules: &[u16]) -> String {
    rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
