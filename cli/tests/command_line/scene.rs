//! A plan by one of the three paths, with templates that are published and a new key at the end, and what must hold of it after
//! whatever happened: (a) the target has the key once, (b) the source is as it was and works, (c) no secret of the key is in a file,
//! (d) the keyring is that of an undisturbed run, (e) the journal is sound and shows the interruption, (f) the plan carried out once
//! more changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding as _};
use keykit::key::{Hash, KeyId};
use keykit::migration::MigrationPath;
use keykit::migration::apply::{Event, parse_journal, segment_of};
use keykit::migration::plan::{Action, Phase, Plan, Step, Undo};
use keykit::migration::rules::Step as Documented;
use keykit::secret::Password;
use keykit::store::{KeyRequest, KeyStore as _, Transferability};
use keykit::tpd::KeyDerivation;
use keykit::transfer::wrap_rsa_aes;
use keykit_hsm_backends::pkcs11::Pkcs11Uri;
use keykit_tests::tokens;
use serde_json::Value;

use crate::ceremony::{SMALL, strip_approvals};
use crate::support::{Desk, PASSWORD, contoso};
use crate::tokens::Bench;
use crate::traced::Saved;

/// Bytes of a secret that are looked for.
const PIECE: usize = 32;

/// A desk with a plan that nobody has to approve.
pub(crate) struct Scene<'a> {
    pub(crate) desk: &'a Desk,
    bench: Option<&'a Bench<'a>>,
    path: MigrationPath,
    /// Tenant and tokens before everything.
    pub(crate) start: Saved,
    secrets: Vec<Vec<u8>>,
    /// What the keyring is after a run that nothing disturbs.
    undisturbed: Value,
}

impl<'a> Scene<'a> {
    /// From a file into a folder.
    pub(crate) fn in_software(desk: &'a Desk) -> Self {
        Self::make(desk, None, MigrationPath::SoftwareToSoftware, SMALL)
    }

    /// From a file into a token.
    pub(crate) fn into_token(bench: &'a Bench<'a>) -> Self {
        Self::make(&bench.desk, Some(bench), MigrationPath::SoftwareToHsm, &into(bench, SMALL))
    }

    /// From a token into a token. The key is one that this process knows, so that its secret can be looked for.
    pub(crate) fn between_tokens(bench: &'a Bench<'a>) -> Self {
        let source = tokens::open(&Pkcs11Uri::parse(&bench.uri("accelerator")).unwrap()).unwrap();
        let key = &contoso().key;
        let transport = source.as_unwrap_in().unwrap().transport_key_with(2048, Hash::Sha1).unwrap();
        let blob = wrap_rsa_aes(key, transport.public(), transport.oaep_hash()).unwrap();
        let request = KeyRequest { label: "slc".into(), local_id: None, transferability: Transferability::Wrapped };
        transport.unwrap_in(&blob, key.public(), &request).unwrap();
        drop(transport);
        let keyless = contoso().cluster.domain(None, KeyDerivation::Sha256).unwrap().seal(&Password::new(PASSWORD.into())).unwrap();
        bench.desk.write("contoso.xml", keyless);
        let nshield = format!("protection = \"nshield\"\nexportable = true\nsource = \"{}\"", bench.uri("accelerator"));
        let migration = into(bench, SMALL).replace("protection = \"database\"", &nshield);
        Self::make(&bench.desk, Some(bench), MigrationPath::HsmToHsm, &migration)
    }

    fn make(desk: &'a Desk, bench: Option<&'a Bench<'a>>, path: MigrationPath, migration: &str) -> Self {
        desk.write("migration.toml", strip_approvals(migration));
        desk.run("plan migration.toml -o plan.json").exits(0);
        let plan = with_every_effect(Plan::read(&desk.path("plan.json")).unwrap());
        assert_eq!(plan.keys[0].path, path);
        desk.write("plan.json", plan.to_bytes().unwrap());
        let mut scene = Self { desk, bench, path, start: Saved::of(&folders(desk, bench)), secrets: secrets(), undisturbed: Value::Null };
        desk.run("apply plan.json").exits(0);
        desk.run("verify plan.json").exits(0);
        scene.undisturbed = scene.keyring();
        scene.holds("undisturbed", false);
        scene.start.put_back();
        scene
    }

    /// The folders in which the program changes files.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        folders(self.desk, self.bench)
    }

    /// Everything as it is now.
    pub(crate) fn now(&self) -> Saved {
        Saved::of(&self.folders())
    }

    pub(crate) fn path_name(&self) -> &'static str {
        self.path.name()
    }

    fn journal(&self) -> Vec<u8> {
        fs::read(self.desk.path("tenant/migration/journal.jsonl")).unwrap_or_default()
    }

    /// Whether a run was begun, and whether it is over: finished or given up.
    pub(crate) fn standing(&self) -> (bool, bool) {
        let (records, _) = parse_journal(&self.journal()).unwrap();
        let segment = segment_of(&records).unwrap();
        (!records.is_empty(), segment.is_some_and(|segment| segment.finished || segment.aborted))
    }

    /// The command that goes on.
    pub(crate) fn goes_on(&self) -> &'static str {
        if self.standing().0 { "resume" } else { "apply" }
    }

    /// Applies or resumes the plan, which must succeed now.
    pub(crate) fn goes_on_to_the_end(&self, what: &str) {
        let ran = self.desk.run(&format!("{} plan.json", self.goes_on()));
        assert_eq!(ran.0.status.code(), Some(0), "{what}: {}", ran.stderr());
    }

    /// What holds of keys and files at any time.
    pub(crate) fn always(&self, what: &str) {
        let copies = self.copies();
        let once: BTreeSet<&String> = copies.iter().collect();
        assert!(once.len() == copies.len() && copies.len() <= 2, "(a) {what}: {copies:?}");
        // Objects of a token, and whatever else was there, are as they were. A token's own object counts its logins.
        for (path, content) in self.start.files().filter(|(path, _)| path.extension().is_some_and(|extension| extension == "object")) {
            if path.file_name().is_some_and(|name| name != "token.object") {
                assert_eq!(fs::read(path).ok().as_deref(), Some(content), "(b) {what}: {} was changed", path.display());
            }
        }
        // What the source has of its key is its own affair: a module without a login keeps it as SoftHSM does, in the clear.
        let before: BTreeMap<&Path, &[u8]> = self.start.files().collect();
        let saved = self.now();
        for (path, content) in saved.files().filter(|(path, content)| before.get(path) != Some(content)) {
            self.has_no_secret(path, content, what);
        }
    }

    /// Also files beside the folders of tenant and tokens; and nothing is left over.
    fn is_clean(&self, what: &str) {
        for (path, content) in self.desk.snapshot() {
            self.has_no_secret(&path, &content, what);
            assert!(!path.to_string_lossy().contains(".keykit-"), "{what}: {} is left over", path.display());
        }
    }

    fn has_no_secret(&self, path: &Path, content: &[u8], what: &str) {
        let found = self.secrets.iter().any(|secret| content.windows(secret.len()).any(|window| window == secret));
        assert!(!found, "(c) {what}: a secret is in {}", path.display());
    }

    /// The private keys in the target, each as often as it is there.
    fn copies(&self) -> Vec<String> {
        match self.bench {
            Some(bench) => {
                let listed = bench.pkcs11_tool("target");
                listed.lines().filter_map(|line| line.trim().strip_prefix("ID:")).map(|id| id.trim().to_owned()).collect()
            }
            None => fs::read_dir(self.desk.path("tenant/keys"))
                .into_iter()
                .flatten()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name.ends_with(".p8"))
                .collect(),
        }
    }

    /// The keyring, without what differs from run to run: times, the tenant's own identity, the new key.
    fn keyring(&self) -> Value {
        let mut keyring: Value = serde_json::from_slice(&self.desk.read("tenant/tenant.json")).unwrap();
        let own = keyring["tenant_id"].as_str().unwrap().to_owned();
        let known = contoso().key.id();
        let name_of = |id: &mut Value| {
            if let Some(text) = id.as_str() {
                *id = if text == known.to_string() { "ours".into() } else { "the new one".into() };
            }
        };
        for key in keyring["keys"].as_array_mut().unwrap() {
            let id: KeyId = key["key_id"].as_str().unwrap().parse().unwrap();
            key["label"] = key["label"].as_str().unwrap().replace(&own[..8], "TENANT").replace(&id.short(), "KEY").into();
            key["created"] = Value::Null;
            name_of(&mut key["key_id"]);
        }
        for template in keyring["templates"].as_array_mut().unwrap() {
            name_of(&mut template["signed_by"]);
            template["file"] = Value::Null;
        }
        keyring["tenant_id"] = Value::Null;
        name_of(&mut keyring["previous_active"]);
        // Labels of a new key have a time or a number in them.
        for key in keyring["keys"].as_array_mut().unwrap().iter_mut().filter(|key| key["key_id"] == "the new one") {
            key["label"] = Value::Null;
            key["licensor_id"] = Value::Null;
        }
        keyring
    }

    /// What holds at the end. The plan once more is carried out only if `again`.
    pub(crate) fn holds(&self, what: &str, interrupted: bool) {
        self.always(what);
        self.is_clean(what);
        assert_eq!(self.copies().len(), 2, "(a) {what}: the key and the new one");
        // (b) and the rest: what the source seals and signs now opens and verifies at the target.
        self.desk.run("verify plan.json").exits(0);
        assert_eq!(self.keyring(), self.undisturbed, "(d) {what}");
        let journal = self.journal();
        let (records, whole) = parse_journal(&journal).unwrap();
        assert_eq!(whole, journal.len(), "(e) {what}: torn");
        assert!(segment_of(&records).unwrap().unwrap().finished, "(e) {what}");
        let shown = records.iter().any(|record| matches!(record.what, Event::Resumed { .. } | Event::Aborted {}));
        assert!(shown || !interrupted, "(e) {what}: the interruption is not shown");
    }

    /// (f): the plan carried out once more changes nothing.
    pub(crate) fn is_done_for_good(&self, what: &str) {
        let before = self.journal();
        assert_eq!(self.desk.run("--format json apply plan.json").exits(0).json("apply")["changed"], false, "(f) {what}");
        assert_eq!(self.journal(), before, "(f) {what}");
    }
}

fn folders(desk: &Desk, bench: Option<&Bench<'_>>) -> Vec<PathBuf> {
    let mut folders = vec![desk.path("tenant")];
    if bench.is_some() {
        let configuration = PathBuf::from(env::var_os("SOFTHSM2_CONF").unwrap());
        folders.push(configuration.with_file_name("tokens"));
    }
    folders
}

fn into(bench: &Bench<'_>, migration: &str) -> String {
    let store = format!("managed = \"customer\"\nstore = \"{}\"", bench.uri("target"));
    migration.replace("managed = \"service\"", &store).replace("keyring-password-source = \"file:keyring-password\"\n", "")
}

/// The plan with a step of every kind that changes something.
fn with_every_effect(mut plan: Plan) -> Plan {
    let step = |id: &str, documented: Documented, action: Action, undo: Undo| Step {
        id: id.into(),
        documented,
        rules: Vec::new(),
        action,
        inputs: Vec::new(),
        effects: Vec::new(),
        undo,
        approval: "nobody".into(),
    };
    plan.steps.retain(|step| !matches!(step.action, Action::Manual { .. } | Action::PublishTemplates { .. } | Action::Rekey { .. }));
    let template = plan.keys[0].templates.iter().find(|template| template.name == "Confidential").unwrap().id.clone();
    let archived = Undo::Automatic("they are archived again".into());
    let publish = step("publish-templates", Documented::Templates, Action::PublishTemplates { templates: vec![template] }, archived);
    let activation = plan.steps.iter().position(|step| matches!(step.action, Action::Activate { .. })).unwrap();
    plan.steps.insert(activation + 1, publish);
    let rekey = step("rekey", Documented::Rekey, Action::Rekey { bits: 2048 }, Undo::Automatic("the key before is activated again".into()));
    let end = plan.steps.iter().position(|step| matches!(step.action, Action::Verify { phase: Phase::End })).unwrap();
    plan.steps.insert(end, rekey);
    plan
}

/// Pieces of d, p and q of the key, as they may stand in a file: as they are, in hex, and in base64 wherever it begins.
fn secrets() -> Vec<Vec<u8>> {
    let parts = contoso().key.with_components(|parts| Ok([parts.p.to_vec(), parts.q.to_vec(), parts.d.to_vec()])).unwrap();
    let mut secrets = Vec::new();
    for part in &parts {
        let digits: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
        secrets.extend([part[..PIECE].to_vec(), digits.as_bytes()[..PIECE].to_vec(), digits.to_uppercase().as_bytes()[..PIECE].to_vec()]);
        secrets.extend((0..3).map(|from| Base64::encode_string(&part[from..from + 3 * PIECE / 4]).into_bytes()));
    }
    secrets
}
