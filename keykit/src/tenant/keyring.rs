//! The keyring itself: opening, recovering, adding, activating.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::change::{Change, file_stem};
use super::file::{Era, KeyStatus, Managed, TemplateStatus, TenantFile, TenantKey, TenantTemplate};
use super::journal::{Journal, Moment, hash, now};
use super::template::TemplateAddition;
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
    pub(super) folder: PathBuf,
    pub(super) file: TenantFile,
    pub(super) journal: Journal,
    recovery: Option<Recovery>,
    _lock: FileLock,
}

impl TenantKeyring {
    /// Opens a tenant folder, and settles what an interrupted run left.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no tenant; [`Error::Malformed`] for a damaged file or journal; [`Error::Conflict`] if
    /// another process works on it.
    pub fn open(folder: &Path) -> Result<Self> {
        if !folder.join("tenant.json").exists() {
            return Err(Error::NotFound {
                what: format!("{} is no tenant folder", folder.display()),
                hint: Some("make one with `keykit tenant init --tenant DIR`".into()),
            });
        }
        let lock = lock(folder)?;
        for sub in ["", "chains", "templates"] {
            durable::remove_temporary_files(&folder.join(sub))?;
        }
        let path = folder.join("tenant.json");
        let file = TenantFile::parse(&durable::read(&path, LIMIT, "tenant file")?).map_err(|error| error.in_file(&path))?;
        let journal = Journal::open(&folder.join("journal.jsonl"))?;
        let mut keyring = Self { folder: folder.to_owned(), file, journal, recovery: None, _lock: lock };
        keyring.recover()?;
        Ok(keyring)
    }

    /// Makes a tenant folder, or opens it if it is one already.
    ///
    /// # Errors
    /// As [`Self::open`]; [`Error::Conflict`] if the folder holds other things; [`Error::Write`]. What was made is then taken away again.
    pub fn init(folder: &Path, era: Era) -> Result<Self> {
        if folder.join("tenant.json").exists() {
            return Self::open(folder);
        }
        // A folder that an earlier, killed init left may hold the lock, the empty sub-folders, a temporary file and the journal's first line.
        let ours = ["keys", "chains", "templates", "journal.jsonl", ".lock", "migration"];
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
        Self::make(folder, era).inspect_err(|_| take_away(folder, &absent))
    }

    fn make(folder: &Path, era: Era) -> Result<Self> {
        for sub in ["", "keys", "chains", "templates"] {
            durable::make_folder(&folder.join(sub))?;
        }
        let lock = lock(folder)?;
        durable::remove_temporary_files(folder)?;
        let id = SecretBytes::random(16)?;
        let id: String = id.expose().iter().map(|byte| format!("{byte:02x}")).collect();
        let mut journal = Journal::open(&folder.join("journal.jsonl"))?;
        let file = TenantFile::new(id, era);
        journal.record(Moment::Intent, "init", None, format!("tenant {}", file.tenant_id))?;
        let mut keyring = Self { folder: folder.to_owned(), file, journal, recovery: None, _lock: lock };
        keyring.commit()?;
        keyring.journal.record(Moment::Done, "init", None, "")?;
        Ok(keyring)
    }

    /// The tenant's own identity: 32 hex digits, made at random.
    #[must_use]
    pub fn tenant_id(&self) -> &str {
        &self.file.tenant_id
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of software keys.
    #[must_use]
    pub fn key_folder(&self) -> PathBuf {
        self.folder.join("keys")
    }

    /// Which import rules hold.
    #[must_use]
    pub fn era(&self) -> Era {
        self.file.era
    }

    /// All keys, in the order in which they came.
    #[must_use]
    pub fn keys(&self) -> &[TenantKey] {
        &self.file.keys
    }

    /// All templates.
    #[must_use]
    pub fn templates(&self) -> &[TenantTemplate] {
        &self.file.templates
    }

    /// The key with this identity.
    #[must_use]
    pub fn key(&self, id: &KeyId) -> Option<&TenantKey> {
        self.file.keys.iter().find(|key| key.key_id == *id)
    }

    /// The active key, if there is one yet.
    #[must_use]
    pub fn active(&self) -> Option<&TenantKey> {
        self.file.keys.iter().find(|key| key.status == KeyStatus::Active)
    }

    /// What an interrupted run had left.
    #[must_use]
    pub fn recovery(&self) -> Option<&Recovery> {
        self.recovery.as_ref()
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The XrML text of a template.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn template_text(&self, template: &TenantTemplate) -> Result<Vec<u8>> {
        durable::read(&self.folder.join("templates").join(&template.file), LIMIT, "rights template")
    }

    /// The certificate chain of a key, documents one after the other, leaf first.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn chain_text(&self, id: &KeyId) -> Result<Vec<u8>> {
        durable::read(&self.folder.join("chains").join(format!("{id}.xml")), LIMIT, "certificate chain")
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
        let mut file = self.file.clone();
        self.add_templates(&mut file, &addition.templates)?;
        if !file.keys.iter().any(|key| key.key_id == id) {
            durable::write(
                &self.folder.join("chains").join(format!("{id}.xml")),
                addition.chain.concat().as_bytes(),
                Access::OwnerOnly,
                Existing::Replace,
            )?;
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
        let changed = file != self.file;
        if changed {
            self.file = file;
            self.commit()?;
        }
        if self.journal.unsettled().is_some() {
            self.journal.record(Moment::Done, "import", Some(id), if changed { "entered" } else { "was there already" })?;
        }
        Ok(changed)
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

    fn add_templates(&self, file: &mut TenantFile, additions: &[TemplateAddition]) -> Result<()> {
        self.check_room_for(additions)?;
        let mut known: BTreeSet<String> = file.templates.iter().map(|template| template.id.clone()).collect();
        let mut writes: Vec<(PathBuf, &str)> = Vec::new();
        for template in additions {
            let id = template.canonical_id();
            if !known.insert(id.clone()) {
                continue;
            }
            let name = format!("{}.xml", file_stem(&id));
            writes.push((Path::new("templates").join(&name), &template.text));
            file.templates.push(TenantTemplate {
                id,
                name: template.name.clone(),
                status: TemplateStatus::Archived,
                signed_by: template.signed_by,
                grants_anyone: template.grants_anyone,
                file: name,
            });
        }
        durable::write_many(&self.folder, writes, Access::OwnerOnly)
    }

    fn commit(&self) -> Result<()> {
        self.write_file(&self.file)
    }

    /// Replaces `tenant.json`: the moment a change counts.
    pub(super) fn write_file(&self, file: &TenantFile) -> Result<()> {
        durable::write(&self.folder.join("tenant.json"), &file.to_bytes()?, Access::OwnerOnly, Existing::Replace)
    }

    /// Settles an intent that a killed run left: it counts if and only if `tenant.json` shows it.
    pub(super) fn recover(&mut self) -> Result<()> {
        let Some(entry) = self.journal.unsettled().cloned() else { return Ok(()) };
        let on_disk = durable::read(&self.folder.join("tenant.json"), LIMIT, "tenant file")?;
        let took_effect = match (entry.action.as_str(), entry.key_id) {
            _ if entry.result.is_some() => entry.result == Some(hash(&on_disk)),
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
        let (moment, recovery) =
            if took_effect { (Moment::Done, Recovery::Completed(about)) } else { (Moment::Abandoned, Recovery::RolledBack(about)) };
        let note = match (moment, entry.action.as_str()) {
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

fn lock(folder: &Path) -> Result<FileLock> {
    let path = folder.join(".lock");
    let failed = |source| Error::Write { path: path.clone(), source };
    let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
    FileLock::take(file).map_err(failed)?.ok_or_else(|| Error::Conflict {
        what: format!("another process works on {}", folder.display()),
        hint: Some("wait until it has ended".into()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Odd numbers of the right size: the keyring does no arithmetic with them.
    fn public(n: u8) -> RsaPublicKey {
        let mut modulus = vec![0xc1; 256];
        modulus[100] = n;
        RsaPublicKey::from_components(&modulus, 65537).unwrap()
    }

    fn addition(n: u8, templates: &[&str]) -> KeyAddition {
        KeyAddition {
            public: public(n),
            managed: Managed::Service,
            store: "file:keys".into(),
            label: format!("key {n}"),
            transferable: false,
            licensor_id: String::new(),
            licensor_name: String::new(),
            path: "software-to-software".into(),
            chain: vec!["<XrML/>".into()],
            templates: templates
                .iter()
                .map(|id| TemplateAddition { id: (*id).into(), name: (*id).into(), signed_by: None, grants_anyone: false, text: format!("<{id}/>") })
                .collect(),
        }
    }

    #[test]
    fn adding_twice_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut keyring = TenantKeyring::init(&folder.path().join("t"), Era::Current).unwrap();
        assert!(keyring.add_key(&addition(1, &["{A}"]), false).unwrap());
        let before = fs::read(keyring.folder().join("tenant.json")).unwrap();
        assert!(!keyring.add_key(&addition(1, &["a"]), false).unwrap());
        assert_eq!(fs::read(keyring.folder().join("tenant.json")).unwrap(), before);
        assert_eq!(keyring.template_text(&keyring.templates()[0].clone()).unwrap(), b"<{A}/>");
        assert_eq!(keyring.templates()[0].status, TemplateStatus::Archived);
    }

    #[test]
    fn a_tenant_is_one_process_at_a_time_and_a_strange_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        let first = TenantKeyring::init(&path, Era::Current).unwrap();
        assert_eq!(TenantKeyring::open(&path).unwrap_err().code(), "conflict");
        drop(first);
        let again = TenantKeyring::open(&path).unwrap();
        assert!(again.recovery().is_none());
        fs::write(folder.path().join("letter.txt"), "x").unwrap();
        assert_eq!(TenantKeyring::init(folder.path(), Era::Current).unwrap_err().code(), "conflict");
        assert_eq!(TenantKeyring::open(folder.path()).unwrap_err().code(), "not-found");
    }

    #[test]
    fn an_interrupted_change_is_completed_or_rolled_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        let mut keyring = TenantKeyring::init(&path, Era::Current).unwrap();
        keyring.intend_import(public(1).id(), "x").unwrap();
        drop(keyring);
        let mut keyring = TenantKeyring::open(&path).unwrap();
        assert!(matches!(keyring.recovery(), Some(Recovery::RolledBack(_))));
        keyring.add_key(&addition(1, &[]), false).unwrap();
        keyring.journal.record(Moment::Intent, "import", Some(public(1).id()), "").unwrap();
        drop(keyring);
        let keyring = TenantKeyring::open(&path).unwrap();
        assert!(matches!(keyring.recovery(), Some(Recovery::Completed(_))));
        assert!(keyring.journal().unsettled().is_none());
    }

    #[test]
    fn an_untouched_tenant_can_go_and_a_touched_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        TenantKeyring::init(&path, Era::Current).unwrap().remove_if_untouched().unwrap();
        assert!(!path.exists());
        let mut keyring = TenantKeyring::init(&path, Era::Current).unwrap();
        keyring.intend_import(public(1).id(), "x").unwrap();
        keyring.remove_if_untouched().unwrap();
        assert!(path.join("tenant.json").exists());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_tenant_that_can_not_be_made_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        // The lock is a folder: the tenant can't be made, but its own folders can.
        for blocked in [".lock", "journal.jsonl"] {
            fs::create_dir_all(path.join(blocked)).unwrap();
            assert!(TenantKeyring::init(&path, Era::Current).is_err());
            let left: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(left, [blocked], "what was there before stays, and nothing else");
            fs::remove_dir_all(&path).unwrap();
        }
    }

    #[test]
    fn more_than_500_templates_are_refused_and_nothing_changes() {
        let folder = tempfile::tempdir().unwrap();
        let mut keyring = TenantKeyring::init(&folder.path().join("t"), Era::Current).unwrap();
        let names: Vec<String> = (0..501).map(|n| format!("t{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(keyring.add_key(&addition(1, &names), false).unwrap_err().code(), "refused");
        assert!(keyring.keys().is_empty() && keyring.templates().is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// Whatever the order of additions and activations: at most one active key, none lost, the file reads back the same.
        #[test]
        fn at_most_one_active_and_nothing_lost(steps in proptest::collection::vec((0_u8..5, any::<bool>(), any::<bool>()), 1..12)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("t");
            let mut keyring = TenantKeyring::init(&path, Era::Of2016).unwrap();
            let mut expected = BTreeSet::new();
            for (n, activate, add) in steps {
                if add || !expected.contains(&n) {
                    keyring.add_key(&addition(n, &[]), activate).unwrap();
                    expected.insert(n);
                } else {
                    keyring.activate(&public(n).id()).unwrap();
                    prop_assert_eq!(keyring.active().unwrap().key_id, public(n).id());
                }
                prop_assert!(keyring.keys().iter().filter(|key| key.status == KeyStatus::Active).count() <= 1);
            }
            let keys = keyring.keys().to_vec();
            drop(keyring);
            let keyring = TenantKeyring::open(&path).unwrap();
            prop_assert_eq!(keyring.keys(), &keys[..]);
            prop_assert_eq!(keyring.keys().len(), expected.len());
        }
    }
}
