//! From a migration file and exported domains to a plan. The domains have keys and times that never change, so that whole plans can be
//! compared with the texts that lie beside the organisations.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::key::{Hash, RsaSecretKey};
use crate::migration::plan::{Action, FileKind, Phase, Undo, diff, show};
use crate::migration::rules::Step as Documented;
use crate::tpd::{KeyDerivation, KeyInformation, TrustedPublishingDomain};
use crate::xrml::testing::{TestStore, secret_key, time};
use crate::xrml::writer::{Certificate, CertificateRole, Template, demonstration_root};
use crate::xrml::{Guid, Object, Principal, Right, RightHolder, TemplateName, TimeRange};

mod choices;

/// One forest, one cluster, keys that the service keeps.
pub(super) const SINGLE: &str = include_str!("../../../../../tests/organisations/single-forest.toml");
/// A root cluster of mode 1 with licensing-only clusters.
pub(super) const LICENSING: &str = include_str!("../../../../../tests/organisations/licensing-only-clusters.toml");
/// Two forests, one with a module; the keys leave as transfer files.
pub(super) const TWO: &str = include_str!("../../../../../tests/organisations/two-forests.toml");

/// A template of the cluster of a domain: number in its GUID, and whether it grants ANYONE rights.
pub(super) type Offered = (u128, bool);

/// An exported domain as a test wants it.
#[derive(Debug, Clone)]
pub(super) struct Export {
    pub(super) key: &'static str,
    pub(super) has_key: bool,
    pub(super) templates: Vec<Offered>,
}

pub(super) fn export(key: &'static str, templates: &[Offered]) -> Export {
    Export { key, has_key: true, templates: templates.to_vec() }
}

pub(super) const MODE_2: &str = "keys/xrml-2048-server.pem";
pub(super) const OTHER_MODE_2: &str = "keys/xrml-2048.pem";
pub(super) const MODE_1: &str = "keys/xrml-1024.pem";

/// What stands in every GUID of these tests before the number.
const GUIDS: u128 = 0x1c0a_6e57_7e4f_4c58_9b9c_6f0a_7a4d_8a00;

pub(super) fn guid(number: u128) -> String {
    Guid::from_u128(GUIDS + number).to_string()
}

impl Export {
    /// The domain as it is after it was opened and examined.
    fn domain(&self, file: &str) -> SourceDomain {
        let (root, key) = (secret_key("tpd/key.pem"), secret_key(self.key));
        let valid = TimeRange::between(time("2010-01-01T00:00"), time("2040-01-01T00:00"));
        let name = Path::new(file).file_stem().unwrap().to_str().unwrap();
        let authority = demonstration_root(root.public());
        let object = Object::new("MS-DRM-Server", "MS-GUID", &Guid::from_u128(1).braced()).named(name).at_url("https://rms.example/_wmcs");
        let server = Principal { internal_id: Some("1".into()), ..Principal::new(object, key.public().clone()) };
        let hash = if key.public().modulus_bits() == 1024 { Hash::Sha1 } else { Hash::Sha256 };
        let store = TestStore::new(vec![root, key]);
        let certify = |subject: &Principal, role| {
            let certificate = Certificate { role, id: Guid::from_u128(2), issued: time("2015-01-01T00:00"), valid, issuer: &authority, subject };
            certificate.to_unsigned().unwrap().with_hash(hash).unwrap().sign_with(&store).unwrap()
        };
        let chain = vec![certify(&server, CertificateRole::ServerLicensor), certify(&authority, CertificateRole::CertificateAuthority)];
        let templates = self.templates.iter().map(|offered| template(*offered, &server, &store)).collect();
        let information = KeyInformation {
            id: server.object.id.clone(),
            id_type: "MS-GUID".into(),
            csp_type: 24,
            csp_name: "Microsoft Enhanced RSA and AES Cryptographic Provider".into(),
            key_container: String::new(),
            key_number: 1,
        };
        let key: Option<RsaSecretKey> = self.has_key.then(|| secret_key(self.key));
        let domain = TrustedPublishingDomain::new(information, chain, templates, key, KeyDerivation::Sha256).unwrap();
        SourceDomain::examine(Path::new(file), domain).unwrap()
    }
}

fn template((number, anyone): Offered, issuer: &Principal, store: &TestStore) -> String {
    let names = BTreeMap::from([(1033, TemplateName::new(&format!("Template {number}"), "made for tests"))]);
    let holder = if anyone { RightHolder::Anyone } else { RightHolder::Address("staff@rms.example".into()) };
    let rights = [Right::new("OWNER", vec![RightHolder::Owner]), Right::new("VIEW", vec![holder])];
    let template = Template {
        id: Guid::from_u128(GUIDS + number),
        names: &names,
        issued: time("2015-01-01T00:00"),
        issuer,
        distribution_points: &[],
        valid: None,
        rights: &rights,
        authenticated_data: &[],
    };
    template.to_unsigned().unwrap().sign_with(store).unwrap()
}

/// What the plan of a migration file with these domains is; one export for each domain of the file.
pub(super) fn planned(text: &str, exports: &[Export]) -> Result<Plan> {
    planned_after(text, exports, |_| {}, |_| {})
}

/// The same, after changes to the file that its reader would refuse, and to the other inputs.
pub(super) fn planned_after(text: &str, exports: &[Export], change: impl Fn(&mut MigrationFile), more: impl Fn(&mut PlanInputs<'_>)) -> Result<Plan> {
    let mut migration = MigrationFile::examine(text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let names: Vec<String> = migration.domains().map(|placed| placed.domain.file.to_string()).collect();
    let file = |name: &String| PlannedFile::of(FileKind::Domain, name.clone(), name.as_bytes(), Some(format!("file:{name}-password")));
    let domains: Vec<(PlannedFile, SourceDomain)> = names.iter().zip(exports).map(|(name, export)| (file(name), export.domain(name))).collect();
    let evidence = migration.clusters().flat_map(|(_, cluster)| &cluster.evidence);
    let evidence = evidence.map(|file| PlannedFile::of(FileKind::Evidence, file.value.to_string(), b"evidence", None)).collect();
    let key_encryption_key = migration.tenant.key_encryption_key.as_ref();
    let key_encryption_key = key_encryption_key.map(|file| PlannedFile::of(FileKind::KeyEncryptionKey, file.value.to_string(), b"kek", None));
    change(&mut migration);
    let mut inputs = PlanInputs {
        migration: &migration,
        migration_file: PlannedFile::of(FileKind::MigrationFile, "migration.toml", text.as_bytes(), None),
        domains: domains.iter().map(|(file, domain)| (file.clone(), domain)).collect(),
        evidence,
        licences: Vec::new(),
        key_encryption_key,
        findings: Vec::new(),
    };
    more(&mut inputs);
    build(inputs)
}

/// The text of an organisation after replacements, each of which must have something to replace.
#[track_caller]
pub(super) fn changed(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "'{from}' is not in the organisation");
        text.replacen(from, to, 1)
    })
}

/// The text without a table: from its head to the next blank line.
#[track_caller]
pub(super) fn without(text: &str, head: &str) -> String {
    let start = text.find(&format!("\n{head}\n")).unwrap_or_else(|| panic!("{head} is not in the organisation")) + 1;
    let end = text[start..].find("\n\n").map_or(text.len(), |end| start + end + 1);
    format!("{}{}", &text[..start], &text[end..])
}

pub(super) fn single() -> Vec<Export> {
    vec![export(MODE_2, &[(0x11, false), (0x12, true)]), export(MODE_1, &[(0x11, false), (0x13, false)])]
}

pub(super) fn licensing() -> Vec<Export> {
    vec![export(MODE_1, &[])]
}

pub(super) fn two() -> Vec<Export> {
    vec![Export { has_key: false, ..export(MODE_2, &[(0x11, true)]) }, export(OTHER_MODE_2, &[(0x12, false)])]
}

/// The names of the steps of a plan.
pub(super) fn ids(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|step| step.id.as_str()).collect()
}

/// A text that a test compares lies beside the organisations; with `KEYKIT_WRITE_DOCS` set it is written anew.
#[track_caller]
fn same_as(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/organisations").join(name);
    if std::env::var_os("KEYKIT_WRITE_DOCS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let first = known.lines().zip(text.lines()).find(|(known, new)| known != new);
    assert!(known == text, "{name} differs: {first:?}; {} lines and {}", known.lines().count(), text.lines().count());
}

#[test]
fn the_plans_of_the_organisations_are_word_for_word_what_was_read_and_kept() {
    for (name, text, exports) in
        [("single-forest", SINGLE, single()), ("licensing-only-clusters", LICENSING, licensing()), ("two-forests", TWO, two())]
    {
        let plan = planned(text, &exports).unwrap();
        // The hash covers the artefacts too, whose texts have tests of their own.
        let shown = show(&plan).unwrap().replace(&plan.hash().unwrap(), "HASH");
        same_as(&format!("{name}.plan.txt"), &shown);
        assert_eq!(Plan::parse(&plan.to_bytes().unwrap()).unwrap(), plan);
        assert_eq!(planned(text, &exports).unwrap().to_bytes().unwrap(), plan.to_bytes().unwrap());
    }
}
