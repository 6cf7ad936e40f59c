//! The transcript of a run, if one is kept: which machine, which program, which tokens, and everything that the journal says.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use keykit::canonical;
use keykit::ceremony::Approval;
use keykit::ceremony::script::transcript_name;
use keykit::ceremony::transcript::{Happening, MachineIdentity, ModuleIdentity, ProgramIdentity, TokenIdentity, TranscriptWriter};
use keykit::migration::apply::{Machine, Platform, Record};
use keykit::migration::plan::Plan;
use keykit::{Error, Result};
use keykit_hsm_backends::pkcs11::{self, Pkcs11Uri};
use sha2::{Digest as _, Sha256};

use crate::exit;

/// Writes a transcript, or nothing.
#[derive(Debug)]
pub(super) struct Recorder {
    writer: Option<RefCell<TranscriptWriter>>,
    plan: String,
}

impl Recorder {
    /// The transcript that `option` names; else that beside the plan, if it is there or `wanted`; else none.
    pub(super) fn open(plan_path: &Path, plan: &str, option: Option<&Path>, wanted: bool) -> Result<Self> {
        let beside = beside(plan_path)?;
        let path = option.map(Path::to_owned).or_else(|| (wanted || beside.exists()).then_some(beside));
        let writer = path.map(|path| TranscriptWriter::open(&path, plan).map(RefCell::new)).transpose()?;
        Ok(Self { writer, plan: plan.to_owned() })
    }

    /// Writes a line.
    pub(super) fn record(&self, what: Happening) -> Result<()> {
        self.writer.as_ref().map_or(Ok(()), |writer| writer.borrow_mut().append(what))
    }

    /// Where the transcript is, if one is kept.
    pub(super) fn path(&self) -> Option<PathBuf> {
        self.writer.as_ref().map(|writer| writer.borrow().path().to_owned())
    }

    /// A session of this program: says who it is, adds what a crash kept out, does the work, and says how it ended.
    pub(super) fn session<T>(&self, command: &str, plan: &Plan, journal: &[Record], work: impl FnOnce() -> Result<T>) -> Result<T> {
        if let Some(writer) = &self.writer {
            let mut writer = writer.borrow_mut();
            writer.begin(session(command, &self.plan, plan))?;
            writer.add_late(&self.plan, journal)?;
        }
        let result = work();
        let ended = self.record(match &result {
            Ok(_) => Happening::SessionEnded { exit: exit::DONE, error: None },
            Err(error) => Happening::SessionEnded { exit: exit::code_of(error), error: Some(error.to_string()) },
        });
        // What went wrong first is what the operator must hear of.
        result.and_then(|value| ended.map(|()| value))
    }

    /// Approvals that the transcript does not have yet.
    pub(super) fn approvals(&self, approvals: &[Approval]) -> Result<()> {
        let Some(writer) = &self.writer else { return Ok(()) };
        for approval in approvals {
            let what = of_approval(approval)?;
            let mut writer = writer.borrow_mut();
            if !writer.transcript().entries().any(|entry| entry.what == what) {
                writer.append(what)?;
            }
        }
        Ok(())
    }

    /// An approval that was made now, outside a run.
    pub(super) fn approval_made(&self, plan: &Plan, approval: &Approval) -> Result<()> {
        let Some(writer) = &self.writer else { return Ok(()) };
        let is_new = writer.borrow().transcript().lines().is_empty();
        if is_new {
            return self.session("approve", plan, &[], || self.approvals(std::slice::from_ref(approval)));
        }
        self.approvals(std::slice::from_ref(approval))
    }
}

/// The place of the transcript of a plan.
pub(super) fn beside(plan: &Path) -> Result<PathBuf> {
    let name = plan.file_name().and_then(|name| name.to_str()).ok_or_else(|| Error::usage("the name of the plan file is not text"))?;
    Ok(plan.with_file_name(transcript_name(name)))
}

fn of_approval(approval: &Approval) -> Result<Happening> {
    let statement = approval.statement();
    Ok(Happening::Approval {
        name: statement.name.clone(),
        role: statement.role.clone(),
        key: approval.key().map(|key| key.fingerprint()).unwrap_or_default(),
        approved: statement.approved,
        expires: statement.expires,
        statement_sha256: canonical::sha256_hex(statement.to_text()?.as_bytes()),
    })
}

/// The computer, with everything that reaches the journal told to the transcript too.
#[derive(Debug)]
pub(super) struct RecordedMachine<'a>(pub(super) &'a Recorder);

impl Platform for RecordedMachine<'_> {
    fn now(&self) -> Timestamp {
        Machine.now()
    }

    fn read(&mut self, path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
        Machine.read(path, limit)
    }

    fn append(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        Machine.append(path, bytes)
    }

    fn overwrite(&mut self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        Machine.overwrite(path, offset, bytes)
    }

    fn truncate(&mut self, path: &Path, length: u64) -> io::Result<()> {
        Machine.truncate(path, length)
    }

    fn sync(&mut self, path: &Path) -> io::Result<()> {
        Machine.sync(path)
    }

    fn sync_folder(&mut self, folder: &Path) -> io::Result<()> {
        Machine.sync_folder(folder)
    }

    fn recorded(&mut self, record: &Record) -> Result<()> {
        self.0.record(TranscriptWriter::of_journal(record, false))
    }
}

fn session(command: &str, hash: &str, plan: &Plan) -> Happening {
    let mut stores: Vec<&String> = plan.tenant.store.iter().chain(plan.keys.iter().filter_map(|key| key.source.as_ref())).collect();
    stores.sort();
    stores.dedup();
    let uris: Vec<Pkcs11Uri> = stores.into_iter().filter_map(|store| Pkcs11Uri::parse(store).ok()).collect();
    let mut paths: Vec<&PathBuf> = uris.iter().filter_map(|uri| uri.module_path.as_ref()).collect();
    paths.sort();
    paths.dedup();
    let modules = paths
        .iter()
        .map(|path| ModuleIdentity { file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(), sha256: sha256_of(path).ok() });
    let mut tokens: Vec<TokenIdentity> = uris.iter().flat_map(tokens_of).collect();
    tokens.dedup();
    Happening::Session {
        command: command.to_owned(),
        plan: hash.to_owned(),
        machine: machine(),
        program: ProgramIdentity {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            sha256: std::env::current_exe().and_then(|path| sha256_of(&path)).ok(),
        },
        modules: modules.collect(),
        tokens,
    }
}

/// The tokens that a URI means. One that is not there is missed by the run itself, in its own words.
fn tokens_of(uri: &Pkcs11Uri) -> Vec<TokenIdentity> {
    let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
    let Some(found) = uri.module_path.as_ref().and_then(|path| pkcs11::tokens(path).ok()) else { return Vec::new() };
    found
        .into_iter()
        .filter(|token| is(&uri.token, &token.label) && is(&uri.serial, &token.serial))
        .map(|token| TokenIdentity {
            label: token.label,
            manufacturer: token.manufacturer,
            model: token.model,
            serial: token.serial,
            firmware: token.firmware,
        })
        .collect()
}

fn machine() -> MachineIdentity {
    let line = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let host = line("/proc/sys/kernel/hostname").or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
    let release = line("/etc/os-release")
        .and_then(|text| text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=").map(|name| name.trim_matches('"').to_owned())));
    MachineIdentity {
        host: host.unwrap_or_else(|| "unknown".to_owned()),
        system: release.unwrap_or_else(|| std::env::consts::OS.to_owned()),
        architecture: std::env::consts::ARCH.to_owned(),
    }
}

fn sha256_of(path: &Path) -> io::Result<String> {
    let (mut file, mut hash) = (File::open(path)?, Sha256::new());
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hash.update(buffer.get(..read).unwrap_or_default()),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
