//! `keykit content open`: the content of one protected file, for somebody who wants to see it.

use std::fs::File;

use keykit::container::CompoundLayout;
use keykit::content::ProtectedContent;
use keykit::durable::{self, Access, Existing};
use keykit::key::KeyId;
use keykit::{Error, Result};
use serde::Serialize;

use crate::arguments::{ContentCommand, OpenContentArguments};
use crate::inspection::samples;
use crate::output::{Output, say, warn};
use crate::{exit, files};

/// What is printed. Neither the content nor its key is in it.
#[derive(Debug, Serialize)]
struct Opened {
    opened: bool,
    file: String,
    kind: &'static str,
    layout: Option<&'static str>,
    extension: Option<String>,
    key_id: KeyId,
    content_key_bits: usize,
    cipher: String,
    bytes: u64,
    begins_as_expected: Option<bool>,
}

/// Runs `keykit content …`.
pub(super) fn run(command: &ContentCommand, output: Output) -> Result<u8> {
    let ContentCommand::Open(arguments) = command;
    let opened = open(arguments)?;
    output.result("content-open", &opened, || {
        format!(
            "{}: {} bytes of a {} file, opened with the key {} ({}, {} bits)",
            opened.file,
            opened.bytes,
            opened.kind,
            opened.key_id.short(),
            opened.cipher,
            opened.content_key_bits
        )
    })?;
    Ok(exit::DONE)
}

fn open(arguments: &OpenContentArguments) -> Result<Opened> {
    let (file, target) = (arguments.file.as_path(), arguments.output.as_path());
    files::refuse_overwriting(&[file], &[target])?;
    let input = File::open(file).map_err(|source| Error::Read { path: file.to_owned(), source })?;
    let content = ProtectedContent::open(input).map_err(|error| error.in_file(file))?;
    let sealed = samples::sealed_in_licences(file, &content.licences)?;
    let secrets = &arguments.secrets;
    let (key_id, key) = super::licence::open_sealed(&sealed, &arguments.tenant, &secrets.keyring, secrets.pin_source.as_deref())?;
    let (kind, layout) = (content.kind.as_str(), content.layout);
    let extension = Some(content.extension.clone()).filter(|extension| !extension.is_empty());
    let decrypted = durable::write_with(target, Access::OwnerOnly, Existing::Keep, |sink| {
        content.decrypt(&key, |bytes| sink.put(bytes)).map_err(|error| error.in_file(file))
    })?;
    if decrypted.begins_as_expected == Some(false) {
        let expected = match layout {
            Some(CompoundLayout::OpenXml) => "a ZIP file, as Office Open XML is",
            _ => "a compound file, as mail and binary Office are",
        };
        warn(format!("what came out does not begin like {expected}: look at it before you rely on it"));
    }
    say(format!("{} holds the content in the clear: erase it when you have seen it", target.display()));
    Ok(Opened {
        opened: true,
        file: target.display().to_string(),
        kind,
        layout: layout.map(CompoundLayout::as_str),
        extension,
        key_id,
        content_key_bits: key.bits(),
        cipher: decrypted.cipher.to_string(),
        bytes: decrypted.bytes,
        begins_as_expected: decrypted.begins_as_expected,
    })
}
