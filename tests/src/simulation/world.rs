//! A tenant and its stores in a simulated computer: the same steps, one call after the other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use keykit::canonical;
use keykit::ceremony::ApprovalPolicy;
use keykit::key::KeyId;
use keykit::migration::MigrationPath;
use keykit::migration::apply::{Observed, TakenBack, World, parse_journal, segment_of};
use keykit::migration::plan::{Action, FileKind, Phase, Plan, PlannedFile, PlannedKey, PlannedTemplate, PlannedTenant, Step, Undo};
use keykit::migration::rules::Step as Documented;
use keykit::store::capability::WrapRoute;
use keykit::tenant::{Era, Managed};
use keykit::{Error, Result};
use serde::{Deserialize, Serialize};

use super::computer::{Computer, Failure};

/// Where everything lies.
const FOLDER: &str = "/tenant";

/// A plan of two keys, by this path, with a step of every kind that changes something.
#[must_use]
pub fn plan_of(path: MigrationPath) -> Plan {
    let step = |id: String, action: Action| {
        let undo = match action {
            Action::Activate { .. } | Action::Rekey { .. } | Action::PublishTemplates { .. } => Undo::Automatic("it is undone".into()),
            Action::ImportKey { .. } | Action::ImportTemplates { .. } => Undo::Stays("it stays".into()),
            _ => Undo::Nothing,
        };
        Step { id, documented: Documented::Keys, rules: Vec::new(), action, inputs: Vec::new(), effects: Vec::new(), undo, approval: "nobody".into() }
    };
    let (mut keys, mut steps) = (Vec::new(), vec![step("check-sources".into(), Action::CheckSources)]);
    for name in ["first", "second"] {
        let key_id = KeyId::of_spki(name.as_bytes());
        let template = PlannedTemplate {
            id: format!("template-{name}"),
            name: name.into(),
            sha256: canonical::sha256_hex(name.as_bytes()),
            terms: canonical::sha256_hex(name.as_bytes()),
        };
        steps.push(step(format!("import-key/{name}"), Action::ImportKey { key_id }));
        steps.push(step(format!("prove-key/{name}"), Action::ProveKey { key_id, licences: Vec::new() }));
        steps.push(step(format!("import-templates/{name}"), Action::ImportTemplates { key_id, templates: vec![template.clone()] }));
        keys.push(PlannedKey {
            key_id,
            modulus_bits: 2048,
            mode: 2,
            path,
            domains: vec![format!("{name}.xml")],
            source: None,
            evidence: Vec::new(),
            licensor_name: name.into(),
            templates: vec![template],
        });
    }
    steps.push(step("activate/first".into(), Action::Activate { key_id: KeyId::of_spki(b"first") }));
    steps.push(step("publish-templates".into(), Action::PublishTemplates { templates: vec!["template-first".into()] }));
    steps.push(step("verify/keys".into(), Action::Verify { phase: Phase::Keys }));
    steps.push(step("rekey".into(), Action::Rekey { bits: 2048 }));
    steps.push(step("verify/end".into(), Action::Verify { phase: Phase::End }));
    Plan {
        organisation: "Simulated".into(),
        tenant: PlannedTenant {
            name: "t".into(),
            id: "t".into(),
            region: "eu".into(),
            era: Era::Current,
            managed: if path == MigrationPath::SoftwareToSoftware { Managed::Service } else { Managed::Customer },
            folder: FOLDER.into(),
            keyring_password_source: None,
            store: None,
            transfer: None,
            other_tenants: Vec::new(),
        },
        approval: ApprovalPolicy { threshold: 0, danger_threshold: 0, roles: Vec::new(), valid_days: 30, people: Vec::new() },
        dangers: Vec::new(),
        files: ["first.xml", "second.xml"].map(|file| PlannedFile::of(FileKind::Domain, file, file.as_bytes(), None)).into(),
        keys,
        steps,
        omitted: Vec::new(),
        findings: Vec::new(),
    }
}

/// The keyring, as it is on the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Keyring {
    keys: BTreeMap<String, String>,
    active: Option<String>,
    templates: BTreeMap<String, String>,
    signed_by: Option<String>,
}

/// Stores and files of a simulated computer.
#[derive(Debug)]
pub struct SimulatedWorld {
    computer: Computer,
}

impl SimulatedWorld {
    /// The stores and files of this computer.
    #[must_use]
    pub fn of(computer: &Computer) -> Self {
        Self { computer: computer.clone() }
    }

    /// Where the journal of the runs lies.
    #[must_use]
    pub fn runs() -> PathBuf {
        Path::new(FOLDER).join("migration")
    }

    /// Where the keyring lies.
    #[must_use]
    pub fn keyring() -> PathBuf {
        Path::new(FOLDER).join("tenant.json")
    }

    fn token<T>(&self, name: &'static str, work: impl FnOnce(&mut super::computer::State) -> T) -> Result<T> {
        self.computer.token(name, work).map_err(|failure| match failure {
            Failure::Token("CKR_PIN_LOCKED") => Error::WrongPin { store: "pkcs11:token=simulated".into(), tries: "the PIN is locked".into() },
            failure => Error::Token(keykit::error::TokenError {
                store: "pkcs11:token=simulated".into(),
                function: name.into(),
                code: if let Failure::Token(code) = failure { code.into() } else { "CKR_GENERAL_ERROR".into() },
                doing: "do a step".into(),
                hint: None,
            }),
        })
    }

    fn read(&mut self) -> Result<Keyring> {
        use keykit::migration::apply::Platform as _;
        let path = Self::keyring();
        let bytes = self.computer.read(&path, u64::MAX).map_err(|source| Error::Read { path: path.clone(), source })?;
        bytes.map_or_else(
            || Ok(Keyring::default()),
            |bytes| serde_json::from_slice(&bytes).map_err(|error| Error::malformed("keyring", error.to_string())),
        )
    }

    /// Replaces the keyring in one step.
    fn commit(&mut self, step: &Step, keyring: &Keyring) -> Result<()> {
        self.require_intent(step);
        let path = Self::keyring();
        let bytes = canonical::to_string(keyring)?;
        self.computer.replace(&path, bytes.as_bytes()).map_err(|source| Error::Write { path, source })
    }

    /// Nothing is changed whose intent is not on the disk: not in the memory of the system, on the disk.
    fn require_intent(&self, step: &Step) {
        let bytes = self.computer.durable_content(&Self::runs().join("journal.jsonl")).unwrap_or_default();
        let (records, _) = parse_journal(&bytes).expect("a sound journal on the disk");
        let segment = segment_of(&records).expect("a sound journal on the disk").expect("a run on the disk");
        let announced = segment.aborting || segment.open.as_ref().is_some_and(|(open, _)| *open == step.id);
        assert!(announced, "the step {} changes something, and its intent is not on the disk", step.id);
    }

    /// Brings a key into the target by the calls that its path makes.
    fn carry(&mut self, plan: &Plan, step: &Step, id: &KeyId) -> Result<()> {
        let name = id.to_string();
        let path = plan.key(id).map_or(MigrationPath::SoftwareToSoftware, |key| key.path);
        let is_there = self.token("C_FindObjects", |state| state.target.contains_key(&name))?;
        if is_there {
            return Ok(());
        }
        if path == MigrationPath::HsmToHsm {
            let found = self.token("C_WrapKey", |state| state.source.contains(&name))?;
            assert!(found, "the source has lost the key");
        }
        if path != MigrationPath::SoftwareToSoftware {
            self.token("C_GenerateKeyPair", |_| ())?;
        }
        self.require_intent(step);
        self.token("C_UnwrapKey", |state| *state.target.entry(name.clone()).or_default() += 1)?;
        self.token("C_GetAttributeValue", |_| WrapRoute::RsaAesKeyWrap.to_string())?;
        Ok(())
    }

    fn prove(&self, id: &KeyId) -> Result<()> {
        let name = id.to_string();
        let works =
            self.token("C_Sign", |state| state.source.contains(&name))? && self.token("C_Decrypt", |state| state.target.contains_key(&name))?;
        if works { Ok(()) } else { Err(Error::negative("a proof failed")) }
    }

    fn new_key(plan: &Plan) -> Result<String> {
        Ok(format!("rekey-{}", plan.hash()?))
    }
}

impl World for SimulatedWorld {
    fn before(&mut self, _: &Plan, step: &Step) -> Result<Option<String>> {
        match step.action {
            Action::Activate { .. } | Action::Rekey { .. } => Ok(self.read()?.active),
            _ => Ok(None),
        }
    }

    fn observe(&mut self, plan: &Plan, step: &Step) -> Result<Observed> {
        use keykit::migration::apply::Platform as _;
        let folder = Path::new(FOLDER);
        self.computer.sync_folder(folder).map_err(|source| Error::Write { path: folder.to_owned(), source })?;
        let keyring = self.read()?;
        let is_there = match &step.action {
            Action::ImportKey { key_id } => {
                let name = key_id.to_string();
                keyring.keys.contains_key(&name) && self.token("C_FindObjects", |state| state.target.contains_key(&name))?
            }
            Action::ImportTemplates { templates, .. } => templates.iter().all(|template| keyring.templates.contains_key(&template.id)),
            Action::Activate { key_id } => keyring.active == Some(key_id.to_string()),
            Action::PublishTemplates { templates } => {
                templates.iter().all(|template| keyring.templates.get(template).is_some_and(|status| status == "published"))
            }
            Action::Rekey { .. } => keyring.active == Some(Self::new_key(plan)?),
            _ => false,
        };
        Ok(if is_there { Observed::Present("it is there".into()) } else { Observed::Absent })
    }

    fn perform(&mut self, plan: &Plan, step: &Step) -> Result<String> {
        let mut keyring = self.read()?;
        match &step.action {
            Action::CheckSources => {
                for key in &plan.keys {
                    let name = key.key_id.to_string();
                    assert!(self.token("C_FindObjects", |state| state.source.contains(&name))?, "the source has lost the key");
                }
            }
            Action::ImportKey { key_id } => {
                self.carry(plan, step, key_id)?;
                self.prove(key_id)?;
                keyring.keys.insert(key_id.to_string(), "archived".into());
                self.commit(step, &keyring)?;
            }
            Action::ProveKey { key_id, .. } => self.prove(key_id)?,
            Action::ImportTemplates { templates, .. } => {
                for template in templates {
                    keyring.templates.entry(template.id.clone()).or_insert_with(|| "archived".into());
                }
                self.commit(step, &keyring)?;
            }
            Action::Activate { key_id } => {
                keyring.active = Some(key_id.to_string());
                keyring.signed_by.clone_from(&keyring.active);
                self.commit(step, &keyring)?;
            }
            Action::PublishTemplates { templates } => {
                templates.iter().for_each(|template| drop(keyring.templates.insert(template.clone(), "published".into())));
                self.commit(step, &keyring)?;
            }
            Action::Rekey { .. } => {
                let name = Self::new_key(plan)?;
                if !self.token("C_FindObjects", |state| state.target.contains_key(&name))? {
                    self.require_intent(step);
                    self.token("C_GenerateKeyPair", |state| *state.target.entry(name.clone()).or_default() += 1)?;
                }
                keyring.keys.insert(name.clone(), "archived".into());
                keyring.active = Some(name);
                keyring.signed_by.clone_from(&keyring.active);
                self.commit(step, &keyring)?;
            }
            Action::Verify { .. } => {
                for key in &plan.keys {
                    self.prove(&key.key_id)?;
                    assert!(keyring.keys.contains_key(&key.key_id.to_string()), "a key is missing from the keyring");
                }
                assert!(keyring.active.is_some() && keyring.signed_by == keyring.active, "the active key has not signed the templates");
            }
            Action::WriteArtefacts { .. } | Action::MakePackage { .. } | Action::Manual { .. } => {}
        }
        Ok("as planned".into())
    }

    fn undo(&mut self, _: &Plan, step: &Step, before: Option<&str>) -> Result<TakenBack> {
        let mut keyring = self.read()?;
        match &step.action {
            Action::PublishTemplates { templates } => {
                templates.iter().for_each(|template| drop(keyring.templates.insert(template.clone(), "archived".into())));
            }
            // The first key of a tenant stays active.
            _ if before.is_none() => return Ok(TakenBack::Kept("no key was active before".into())),
            _ => {
                keyring.active = before.map(str::to_owned);
                keyring.signed_by.clone_from(&keyring.active);
            }
        }
        self.commit(step, &keyring)?;
        Ok(TakenBack::Undone("undone".into()))
    }
}
