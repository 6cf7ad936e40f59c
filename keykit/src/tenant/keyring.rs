//! The keyring itself: opening, recovering, adding, activating.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::change::{Change, file_stem};
use super::file::{Era, KeyStatus, Managed, TemplateStatus, TenantFile, TenantKey, TenantTemplate};
use super::journal::{Journal, Moment, UNCHANGED, hash, now};
use super::template::TemplateAddition;
use super::view::{TenantView, no_tenant};
use crate::ceremony::ApprovalPolicy;
use crate::durable::{self, Access, Existing, FileLock};
use crate::error::{Error, Result};
use crate::key::{CryptographicMode, KeyId, RsaPublicKey};
use crate::secret::SecretBytes;

/// Most templates of a tenant, archived ones included (rule 141).
pub(crate) const MAX_TEMPLATES: usize = 500;
/// Largest tenant file that is read, in bytes.
pub(super) const LIMIT: u64 = 64 << 20;

/// What an interrupted earlier run left, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// The change had taken effect; its line in the journal was missing and has been written.
    Completed(String),
    /// The change had not taken effect; the journal says so now. Running the command again does it.
    RolledBack(String),
}

/// What an empty tenant consists of, in the order in which it can be taken away.
const PARTS: [&str; 7] = ["tenant.json", "journal.jsonl", ".lock", "keys", "chains", "templates", ""];
/// Its folders, in the order in which they are made.
const FOLDERS: [&str; 4] = ["", "keys", "chains", "templates"];

/// A key that is to be entered.
#[derive(Debug, Clone)]
pub struct KeyAddition {
    /// The public half.
    pub public: RsaPublicKey,
    /// Who keeps it.
    pub managed: Managed,
    /// Where it lives, as [`TenantKey::store`].
    pub store: String,
    /// Its name there.
    pub label: String,
    /// Whether it was left wrappable under a trusted key.
    pub transferable: bool,
    /// GUID of its server licensor certificate.
    pub licensor_id: String,
    /// Friendly name of its server licensor certificate.
    pub licensor_name: String,
    /// The path it came by.
    pub path: String,
    /// Its certificate chain, leaf first, as exported.
    pub chain: Vec<String>,
    /// The templates that came with it.
    pub templates: Vec<TemplateAddition>,
}

/// A tenant folder, locked against other processes as long as this lives.
#[derive(Debug)]
pub struct TenantKeyring {
    pub(super) view: TenantView,
    pub(super) journal: Journal,
    recovery: Option<Recovery>,
    _lock: FileLock,
}

impl Deref for TenantKeyring {
    type Target = TenantView;

    fn deref(&self) -> &TenantView {
        &self.view
    }
}

impl TenantKeyring {
    /// Opens a tenant folder, and settles what an interrupted run left.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no tenant; [`Error::Malformed`] for a damaged file or journal, and for a file that is not
    /// the one that the journal says was written last; [`Error::Conflict`] if another process works on it.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::open_within(folder, Duration::ZERO)
    }

    /// As [`Self::open`]; waits for another process for as long as `patience`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_within(folder: &Path, patience: Duration) -> Result<Self> {
        if !folder.join("tenant.json").exists() {
            return Err(no_tenant(folder));
        }
        let lock = lock(folder, patience)?;
        for sub in ["", "chains", "templates"] {
            durable::remove_temporary_files(&folder.join(sub))?;
        }
        let view = TenantView::open(folder)?;
        let journal = Journal::open(&folder.join("journal.jsonl"))?;
        let mut keyring = Self { view, journal, recovery: None, _lock: lock };
        keyring.recover()?;
        Ok(keyring)
    }

    /// Makes a tenant folder, or opens it if it is one already.
    ///
    /// # Errors
    /// As [`Self::open`]; [`Error::Conflict`] if the folder holds other things; [`Error::Write`]. What was made is then taken away again.
    pub fn init(folder: &Path, era: Era) -> Result<Self> {
        Self::init_within(folder, era, Duration::ZERO)
    }

    /// As [`Self::init`]; waits for another process for as long as `patience`.
    ///
    /// # Errors
    /// As [`Self::init`].
    pub fn init_within(folder: &Path, era: Era, patience: Duration) -> Result<Self> {
        if folder.join("tenant.json").exists() {
            return Self::open_within(folder, patience);
        }
        // A folder that an earlier, killed init left may hold the lock, the empty sub-folders, a temporary file and the journal's first line.
        let ours = ["keys", "chains", "templates", "journal.jsonl", ".lock", "migration", "packages"];
        if folder.is_dir() {
            let listing = fs::read_dir(folder).map_err(|source| Error::Read { path: folder.to_owned(), source })?;
            let foreign = listing
                .filter_map(Result::ok)
                .map(|entry| entry.file_name())
                .find(|name| !durable::is_temporary(name) && !ours.iter().any(|known| name == known));
            if let Some(name) = foreign {
                return Err(Error::Conflict {
                    what: format!("{} holds other things ({}) and is no tenant folder", folder.display(), name.to_string_lossy()),
                    hint: Some("name an empty or a new folder".into()),
                });
            }
        }
        let absent: Vec<&str> = PARTS.into_iter().filter(|part| !folder.join(part).exists()).collect();
        let folders: Vec<&str> = absent.iter().copied().filter(|part| FOLDERS.contains(part)).collect();
        let made = FOLDERS.into_iter().try_for_each(|sub| durable::make_folder(&folder.join(sub)));
        let lock = made.and_then(|()| lock(folder, patience)).inspect_err(|error| {
            // Another process is making it.
            if !matches!(error, Error::Conflict { .. }) {
                take_away(folder, &folders);
            }
        })?;
        // Another process may have made it in the meantime.
        if folder.join("tenant.json").exists() {
            drop(lock);
            return Self::open_within(folder, patience);
        }
        let (file, journal) = Self::make(folder, era).inspect_err(|_| take_away(folder, &absent))?;
        Ok(Self { view: TenantView { folder: folder.to_owned(), file }, journal, recovery: None, _lock: lock })
    }

    /// Makes the files of a new tenant. The caller holds the lock.
    fn make(folder: &Path, era: Era) -> Result<(TenantFile, Journal)> {
        durable::remove_temporary_files(folder)?;
        let id = SecretBytes::random(16)?;
        let id: String = id.expose().iter().map(|byte| format!("{byte:02x}")).collect();
        let mut journal = Journal::open(&folder.join("journal.jsonl"))?;
        let file = TenantFile::new(id, era);
        let bytes = file.to_bytes()?;
        journal.intend("init", None, &format!("tenant {}", file.tenant_id), &bytes)?;
        durable::write(&folder.join("tenant.json"), &bytes, Access::OwnerOnly, Existing::Replace)?;
        journal.record(Moment::Done, "init", None, "")?;
        Ok((file, journal))
    }

    /// What an interrupted run had left.
    #[must_use]
    pub fn recovery(&self) -> Option<&Recovery> {
        self.recovery.as_ref()
    }

    /// Says in the journal of every change from now on that the run of a plan makes it: `plan` is the hash of the plan, in hex.
    pub fn attribute_to(&mut self, plan: &str) {
        self.journal.attribute_to(plan);
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Says in the journal that a key is about to come. Call [`Self::add_key`] or [`Self::abandon`] next.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn intend_import(&mut self, id: KeyId, note: impl Into<String>) -> Result<()> {
        self.journal.record(Moment::Intent, "import", Some(id), note)
    }

    /// Says that a key that was announced does not come into the keyring; `note` says where it is.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn abandon(&mut self, id: KeyId, note: impl Into<String>) -> Result<()> {
        self.journal.record(Moment::Abandoned, "import", Some(id), note)
    }

    /// Enters a key with its chain and templates; `activate` makes it the active one (rule 54).
    ///
    /// A key that is in the keyring already keeps its state; templates that it lacks are added. Returns whether anything
    /// changed.
    ///
    /// # Errors
    /// [`Error::Refused`] above 500 templates (rule 141); [`Error::Write`]. The keyring is then as it was.
    pub fn add_key(&mut self, addition: &KeyAddition, activate: bool) -> Result<bool> {
        let id = addition.public.id();
        let mode = CryptographicMode::of_modulus_bits(addition.public.modulus_bits())
            .ok_or_else(|| Error::Internal("a key of an unsupported size reached the keyring".into()))?;
        let (mut file, mut writes) = (self.file.clone(), Vec::new());
        self.add_templates(&mut file, &addition.templates, &mut writes)?;
        if !file.keys.iter().any(|key| key.key_id == id) {
            writes.push((PathBuf::from("chains").join(format!("{id}.xml")), addition.chain.concat().into_bytes()));
            file.keys.push(TenantKey {
                key_id: id,
                status: KeyStatus::Archived,
                mode: mode.number(),
                modulus_bits: addition.public.modulus_bits(),
                managed: addition.managed,
                created: now(),
                store: addition.store.clone(),
                label: addition.label.clone(),
                transferable: addition.transferable,
                licensor_id: addition.licensor_id.clone(),
                licensor_name: addition.licensor_name.clone(),
                path: addition.path.clone(),
            });
            if activate {
                file.make_active(&id);
            }
        }
        let note = format!("to {}", addition.store);
        let changed = self.carry_out(Change { action: "import", key_id: Some(id), note, file, writes })?;
        if !changed && self.journal.unsettled().is_some() {
            self.journal.record(Moment::Done, "import", Some(id), UNCHANGED)?;
        }
        Ok(changed)
    }

    /// Fixes who must approve plans that change this tenant. Returns whether that was new.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn fix_custodians(&mut self, policy: &ApprovalPolicy) -> Result<bool> {
        let mut file = self.file.clone();
        file.custodians = Some(policy.clone());
        let note = format!("{} of {} people", policy.threshold, policy.people.len());
        self.carry_out(Change { action: "custodians", key_id: None, note, file, writes: Vec::new() })
    }

    /// Makes a key the active one; the one that was active is archived (rules 117–119). Returns whether anything changed.
    ///
    /// Nothing is signed: for a tenant without published templates, as after an import. [`Self::activate_with`] signs them anew.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the keyring has no such key; [`Error::Refused`] if a published template is signed by another key
    /// (rule 119); [`Error::Write`].
    pub fn activate(&mut self, id: &KeyId) -> Result<bool> {
        let key = self.key(id).ok_or_else(|| self.no_such_key(id))?;
        if key.status == KeyStatus::Active {
            return Ok(false);
        }
        let is_behind = |template: &&TenantTemplate| template.status == TemplateStatus::Published && template.signed_by != Some(*id);
        if let Some(template) = self.file.templates.iter().find(is_behind) {
            return Err(Error::refused(
                119,
                format!("the published template '{}' is signed by another key than {}", template.name, id.short()),
                "activate with the store of the key at hand, so that the templates are signed anew",
            ));
        }
        let mut file = self.file.clone();
        file.make_active(id);
        self.carry_out(Change { action: "activate", key_id: Some(*id), note: String::new(), file, writes: Vec::new() })
    }

    pub(super) fn no_such_key(&self, id: &KeyId) -> Error {
        Error::NotFound {
            what: format!("the tenant has no key {}", id.short()),
            hint: Some("`keykit tenant show --tenant DIR` lists its keys".into()),
        }
    }

    /// Takes a tenant folder away again to which nothing was ever brought: for a command that made it and was then refused.
    ///
    /// # Errors
    /// [`Error::Write`]. A folder with a key, a template, a started import or a file of somebody else stays.
    pub fn remove_if_untouched(self) -> Result<()> {
        if !self.file.keys.is_empty() || !self.file.templates.is_empty() || self.journal.entries().iter().any(|entry| entry.action != "init") {
            return Ok(());
        }
        let failed = |source| Error::Write { path: self.folder.clone(), source };
        for name in ["keys/.lock", "tenant.json", "journal.jsonl", ".lock"] {
            match fs::remove_file(self.folder.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
        // Folders are removed only if they are empty.
        for name in ["keys", "chains", "templates", ""] {
            drop(fs::remove_dir(self.folder.join(name)));
        }
        Ok(())
    }

    /// Refuses templates that the tenant has no room for (rule 141). Call it before a key is moved.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn check_room_for(&self, additions: &[TemplateAddition]) -> Result<()> {
        let mut ids: BTreeSet<String> = self.file.templates.iter().map(|template| template.id.clone()).collect();
        ids.extend(additions.iter().map(TemplateAddition::canonical_id));
        if ids.len() <= MAX_TEMPLATES {
            return Ok(());
        }
        Err(Error::refused(
            141,
            format!("{} templates; a tenant has room for {MAX_TEMPLATES}", ids.len()),
            "remove templates that nobody uses in AD RMS, then export again",
        ))
    }

    fn add_templates(&self, file: &mut TenantFile, additions: &[TemplateAddition], writes: &mut Vec<(PathBuf, Vec<u8>)>) -> Result<()> {
        self.check_room_for(additions)?;
        let mut known: BTreeSet<String> = file.templates.iter().map(|template| template.id.clone()).collect();
        for template in additions {
            let id = template.canonical_id();
            if !known.insert(id.clone()) {
                continue;
            }
            let name = format!("{}.xml", file_stem(&id));
            writes.push((PathBuf::from("templates").join(&name), template.text.as_bytes().to_vec()));
            file.templates.push(TenantTemplate {
                id,
                name: template.name.clone(),
                status: TemplateStatus::Archived,
                signed_by: template.signed_by,
                grants_anyone: template.grants_anyone,
                file: name,
            });
        }
        Ok(())
    }

    /// Replaces `tenant.json`: the moment a change counts.
    pub(super) fn write_file(&self, file: &TenantFile) -> Result<()> {
        durable::write(&self.folder.join("tenant.json"), &file.to_bytes()?, Access::OwnerOnly, Existing::Replace)
    }

    /// Settles an intent that a killed run left: it counts if and only if `tenant.json` shows it. A file that is neither what the
    /// last change made nor what this one was to make was edited.
    pub(super) fn recover(&mut self) -> Result<()> {
        let path = self.folder.join("tenant.json");
        let on_disk = durable::read(&path, LIMIT, "tenant file")?;
        let found = hash(&on_disk);
        let (settled, pending) = self.journal.recorded();
        if self.journal.entries().is_empty() {
            return Err(Error::malformed("journal", "it is missing, and the tenant is there: every tenant has one from its first moment on")
                .with_hint("stop and keep the folder as it is: somebody or something took the journal away")
                .in_file(&self.folder.join("journal.jsonl")));
        }
        if let Some(settled) = settled
            && settled.hash != found
            && pending.is_none_or(|pending| pending.hash != found)
        {
            return Err(Error::malformed(
                "tenant file",
                format!(
                    "its SHA-256 is {found}, and line {} of the journal beside it says that {} was written last: somebody or something edited it since",
                    settled.line, settled.hash
                ),
            )
            .with_hint("stop and keep the folder as it is; bring the file of that line back from a backup. `keykit verify PLAN` shows what differs from the plan")
            .in_file(&path));
        }
        let Some(entry) = self.journal.unsettled().cloned() else { return Ok(()) };
        let took_effect = match (entry.action.as_str(), entry.key_id) {
            _ if entry.result.is_some() => entry.result == Some(found),
            // Before its second intent a re-key may have made a key in its store, and has changed nothing here.
            ("rekey", _) => false,
            ("import", Some(id)) => self.key(&id).is_some(),
            ("activate", Some(id)) => self.active().is_some_and(|key| key.key_id == id),
            _ => true,
        };
        let mut about = format!("{} {}", entry.action, entry.key_id.map(|id| id.short()).unwrap_or_default()).trim_end().to_owned();
        if !entry.note.is_empty() && entry.action != "import" {
            about.push_str(&format!(" ({})", entry.note));
        }
        // What a killed process left is read above; from here on it is on the disk too.
        durable::sync_folder(&self.folder)?;
        let (moment, recovery) =
            if took_effect { (Moment::Done, Recovery::Completed(about)) } else { (Moment::Abandoned, Recovery::RolledBack(about)) };
        let note = match (moment, entry.action.as_str()) {
            // An import whose key was there before changed nothing.
            (Moment::Done, "import") if entry.result.is_none() => UNCHANGED,
            (Moment::Abandoned, "import" | "rekey") => "settled after an interruption; the keyring does not have the key, its store may",
            _ => "settled after an interruption",
        };
        self.journal.record(moment, &entry.action, entry.key_id, note)?;
        self.recovery = Some(recovery);
        Ok(())
    }
}

/// Removes parts of a tenant that could not be made whole. Folders go only if they are empty; what can't be removed stays.
fn take_away(folder: &Path, parts: &[&str]) {
    for part in parts {
        let path = folder.join(part);
        if path.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) }.unwrap_or_default();
    }
}

fn lock(folder: &Path, patience: Duration) -> Result<FileLock> {
    let path = folder.join(".lock");
    let failed = |source| Error::Write { path: path.clone(), source };
    FileLock::take_within(&path, patience).map_err(failed)?.ok_or_else(|| Error::Conflict {
        what: format!("another process works on {}", folder.display()),
        hint: Some("wait until it has ended".into()),
    })
}

#[cfg(test)]
mod tests;
