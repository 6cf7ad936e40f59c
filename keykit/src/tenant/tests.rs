//! A tenant whose keys sign and whose templates are real: activation, re-key, templates, and what a cut-off change leaves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use proptest::prelude::*;

use super::*;
use crate::error::{Error, Result};
use crate::key::{Digest, EncryptionScheme, KeyId, RsaPublicKey, RsaSecretKey};
use crate::licence::{RightsChange, UsageRight};
use crate::secret::SecretBytes;
use crate::store::protection::Assessment;
use crate::store::{DecryptionFailed, Generate, KeyAttributes, KeyRecord, KeyRequest, KeyStore, StoreIdentity, Transferability};
use crate::xrml::testing::{TestStore, secret_key, time};
use crate::xrml::writer::{Certificate, CertificateRole, Template};
use crate::xrml::{Guid, Object, Principal, Right, RightHolder, TemplateName, TimeRange};

mod interrupted;
mod properties;

const FILES: [&str; 5] = ["keys/xrml-2048-server.pem", "keys/xrml-2048.pem", "keys/xrml-1024.pem", "tpd/key.pem", "keys/licence-1024.pem"];

static KEYS: LazyLock<Vec<RsaPublicKey>> = LazyLock::new(|| FILES.iter().map(|file| secret_key(file).public().clone()).collect());
static STORE: LazyLock<TestStore> = LazyLock::new(|| TestStore::new(FILES.iter().map(|file| secret_key(file)).collect()));

fn id(n: usize) -> KeyId {
    KEYS[n].id()
}

fn server(n: usize) -> Principal {
    let object = Object::new("MS-DRM-Server", "MS-GUID", &Guid::from_u128(n as u128 + 1).braced());
    Principal { internal_id: Some("1".into()), ..Principal::new(object.named("Contoso").at_url("https://rights.example/_wmcs"), KEYS[n].clone()) }
}

fn chain(n: usize) -> Vec<String> {
    let certificate = Certificate {
        role: CertificateRole::ServerLicensor,
        id: Guid::from_u128(99),
        issued: time("2013-01-01T00:00"),
        valid: TimeRange::between(time("2012-01-01T00:00"), time("2255-01-01T00:00")),
        issuer: &server(n),
        subject: &server(n),
    };
    vec![certificate.to_unsigned().unwrap().sign_with(&*STORE).unwrap()]
}

/// A template of a key, with a right for `holder`.
fn template(signer: usize, guid: u128, holder: RightHolder) -> TemplateAddition {
    let names = BTreeMap::from([(1033, TemplateName::new(&format!("Template {guid}"), "made for tests"))]);
    let template = Template {
        id: Guid::from_u128(guid),
        names: &names,
        issued: time("2013-04-04T00:53"),
        issuer: &server(signer),
        distribution_points: &[],
        valid: None,
        rights: &[Right::new("OWNER", vec![RightHolder::Owner]), Right::new("VIEW", vec![holder])],
        authenticated_data: &[],
    };
    TemplateAddition::read(&template.to_unsigned().unwrap().sign_with(&*STORE).unwrap()).unwrap()
}

fn guid(n: u128) -> String {
    Guid::from_u128(n).to_string()
}

fn staff() -> RightHolder {
    RightHolder::Address("staff@contoso.example".into())
}

fn addition(n: usize, templates: Vec<TemplateAddition>) -> KeyAddition {
    KeyAddition {
        public: KEYS[n].clone(),
        managed: Managed::Service,
        store: "file:keys".into(),
        label: format!("key {n}"),
        transferable: false,
        licensor_id: String::new(),
        licensor_name: "Contoso".into(),
        path: "software-to-software".into(),
        chain: chain(n),
        templates,
    }
}

/// Keys 0 and 1, with two templates each; the second of each grants to anyone.
fn tenant(folder: &Path) -> TenantKeyring {
    let mut keyring = TenantKeyring::init(&folder.join("t"), Era::Current).unwrap();
    for n in [0, 1] {
        let templates = vec![template(n, n as u128 * 10 + 1, staff()), template(n, n as u128 * 10 + 2, RightHolder::Anyone)];
        keyring.add_key(&addition(n, templates), false).unwrap();
    }
    keyring
}

#[test]
fn rules_see_the_keys_and_templates_of_a_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let facts = crate::migration::rules::facts::TenantFacts::from(&tenant(folder.path()));
    assert_eq!(facts.keys, [(id(0), KeyStatus::Archived), (id(1), KeyStatus::Archived)]);
    assert_eq!(facts.templates, [guid(1), guid(2), guid(11), guid(12)]);
}

/// What must hold of every tenant at every moment.
fn is_sound(keyring: &TenantKeyring) {
    let active: Vec<_> = keyring.keys().iter().filter(|key| key.status == KeyStatus::Active).collect();
    assert!(active.len() <= 1);
    for template in keyring.templates() {
        let document = keyring.template_document(template).unwrap();
        assert!(document.check_signature().is_sound());
        assert_eq!(document.issuer_key().map(RsaPublicKey::id), template.signed_by, "{}", template.id);
        let read = TemplateAddition::read(document.text()).unwrap();
        assert_eq!((read.canonical_id(), read.name, read.grants_anyone), (template.id.clone(), template.name.clone(), template.grants_anyone));
        if template.status == TemplateStatus::Published {
            assert_eq!(template.signed_by, keyring.active().map(|key| key.key_id), "{}", template.id);
        }
    }
}

/// A store that can make one key: which one, the test says.
#[derive(Debug)]
struct Maker {
    made: Mutex<Vec<(String, RsaSecretKey)>>,
    next: &'static str,
    identity: StoreIdentity,
    attributes: KeyAttributes,
}

impl Maker {
    fn of(next: &'static str) -> Self {
        Self { made: Mutex::default(), next, identity: STORE.identity().clone(), attributes: KeyAttributes::default() }
    }

    fn inner(&self) -> TestStore {
        TestStore::new(self.made.lock().unwrap().iter().map(|(_, key)| RsaSecretKey::from_pem(&pem(key)).unwrap()).collect())
    }
}

fn pem(key: &RsaSecretKey) -> String {
    String::from_utf8(key.to_pkcs1_pem().unwrap().expose().to_vec()).unwrap()
}

impl KeyStore for Maker {
    fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    fn keys(&self) -> Result<Vec<KeyRecord>> {
        let record = |(label, key): &(String, RsaSecretKey)| KeyRecord {
            public: key.public().clone(),
            attributes: KeyAttributes { label: label.clone(), ..self.attributes.clone() },
            protection: Assessment::software(),
        };
        Ok(self.made.lock().unwrap().iter().map(record).collect())
    }

    fn sign(&self, key: &KeyId, digests: &[Digest]) -> Result<Vec<Vec<u8>>> {
        self.inner().sign(key, digests)
    }

    fn decrypt(&self, key: &KeyId, scheme: &EncryptionScheme, items: &[&[u8]]) -> Result<Vec<Result<SecretBytes, DecryptionFailed>>> {
        self.inner().decrypt(key, scheme, items)
    }

    fn as_generate(&self) -> Result<&dyn Generate> {
        Ok(self)
    }
}

impl Generate for Maker {
    fn generate(&self, bits: usize, request: &KeyRequest) -> Result<KeyRecord> {
        let mut made = self.made.lock().unwrap();
        assert!(made.is_empty(), "a second key was made");
        assert_eq!(bits, 2048);
        made.push((request.label.clone(), secret_key(self.next)));
        drop(made);
        Ok(self.keys()?.remove(0))
    }
}

fn rekey_in(store: &dyn KeyStore, bits: usize) -> TenantRekey<'_> {
    TenantRekey {
        store,
        store_name: "file:keys".into(),
        managed: Managed::Service,
        key: NewKey::Generated { bits, transferability: Transferability::Wrapped },
    }
}

#[test]
fn an_activation_archives_the_other_and_signs_every_template() {
    let folder = tempfile::tempdir().unwrap();
    let mut keyring = tenant(folder.path());
    let before: Vec<_> = keyring.templates().iter().map(|template| keyring.template_document(template).unwrap()).collect();
    let first = keyring.activate_with(&id(0), &*STORE).unwrap();
    assert_eq!((first.key_id, first.previous, first.changed), (id(0), None, true));
    assert_eq!(first.resigned, [guid(11), guid(12)]);
    let second = keyring.activate_with(&id(1), &*STORE).unwrap();
    assert_eq!((second.previous, second.resigned.len()), (Some(id(0)), 4));
    assert!(second.left.is_empty() && second.warnings.iter().any(|(rule, _)| *rule == 119));
    assert_eq!(keyring.active().unwrap().key_id, id(1));
    assert!(keyring.templates().iter().all(|template| template.signed_by == Some(id(1)) && template.status == TemplateStatus::Archived));
    for (template, before) in keyring.templates().iter().zip(before) {
        let after = keyring.template_document(template).unwrap();
        assert_eq!((after.rights(), after.descriptor(), after.issued()), (before.rights(), before.descriptor(), before.issued()));
    }
    is_sound(&keyring);
    // Again: nothing to do, nothing written.
    let (file, lines) = (fs::read(keyring.folder().join("tenant.json")).unwrap(), keyring.journal().entries().len());
    let again = keyring.activate_with(&id(1), &*STORE).unwrap();
    assert!(!again.changed && again.resigned.is_empty());
    assert_eq!((fs::read(keyring.folder().join("tenant.json")).unwrap(), keyring.journal().entries().len()), (file, lines));
    assert_eq!(keyring.activate_with(&id(3), &*STORE).unwrap_err().code(), "not-found");
}

#[test]
fn a_rollback_goes_to_the_key_before_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut keyring = tenant(folder.path());
    keyring.activate_with(&id(0), &*STORE).unwrap();
    let error = keyring.rollback(&*STORE).unwrap_err();
    assert!(error.to_string().contains("rule 121"), "{error}");
    keyring.activate_with(&id(1), &*STORE).unwrap();
    assert_eq!(keyring.rollback(&*STORE).unwrap().key_id, id(0));
    drop(keyring);
    let mut keyring = TenantKeyring::open(&folder.path().join("t")).unwrap();
    assert_eq!(keyring.rollback_target().unwrap(), id(1));
    assert_eq!(keyring.rollback(&*STORE).unwrap().previous, Some(id(0)));
    assert_eq!(keyring.default_key().unwrap().key_id, id(0));
}

#[test]
fn a_key_without_its_store_is_not_made_active_and_a_strange_template_stops_it_only_if_published() {
    let folder = tempfile::tempdir().unwrap();
    let mut keyring = tenant(folder.path());
    let empty = TestStore::new(Vec::new());
    assert_eq!(keyring.activate_with(&id(0), &empty).unwrap_err().code(), "not-found");
    assert!(keyring.active().is_none());
    // A template of a key that the tenant does not have.
    let imported = keyring.import_templates(&[template(3, 31, staff())], false).unwrap();
    assert!(imported[0].warnings.iter().any(|(rule, text)| *rule == 143 && text.contains(&id(3).short())));
    let done = keyring.activate_with(&id(0), &*STORE).unwrap();
    assert_eq!(done.left.len(), 1);
    assert!(done.left[0].0 == guid(31) && done.left[0].1.contains(&id(3).short()));
    assert_eq!(keyring.publish_template(&guid(31), &*STORE).unwrap_err().code(), "negative");
    is_sound(&keyring);
}

#[test]
fn published_templates_keep_a_plain_activation_from_leaving_them_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut keyring = tenant(folder.path());
    keyring.activate_with(&id(0), &*STORE).unwrap();
    keyring.publish_template(&guid(1), &*STORE).unwrap();
    let error = keyring.activate(&id(1)).unwrap_err();
    assert!(error.to_string().contains("rule 119"), "{error}");
    assert_eq!(keyring.active().unwrap().key_id, id(0));
    keyring.archive_template(&guid(1)).unwrap();
    assert!(keyring.activate(&id(1)).unwrap());
}

#[test]
fn a_rekey_makes_one_key_and_hands_everything_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut keyring = tenant(folder.path());
    let maker = Maker::of("tpd/key.pem");
    assert!(keyring.rekey(&rekey_in(&maker, 2048)).unwrap_err().to_string().contains("rule 56"));
    keyring.activate_with(&id(0), &*STORE).unwrap();
    keyring.publish_template(&guid(1), &*STORE).unwrap();
    for (bits, rule) in [(1024, "rule 33"), (3072, "rule 32"), (4096, "rule 32")] {
        assert!(keyring.rekey(&rekey_in(&maker, bits)).unwrap_err().to_string().contains(rule));
    }
    let lines = keyring.journal().entries().len();
    let done = keyring.rekey(&rekey_in(&maker, 2048)).unwrap();
    assert_eq!((done.activation.key_id, done.activation.previous, done.taken_up), (id(3), Some(id(0)), false));
    assert!(done.label.ends_with("-rekey-3"), "{}", done.label);
    assert_eq!(keyring.journal().entries().len(), lines + 3);
    assert_eq!(keyring.active().unwrap().key_id, id(3));
    assert_eq!(keyring.keys().len(), 3);
    assert!(keyring.templates().iter().all(|template| template.signed_by == Some(id(3))));
    assert_eq!(keyring.template(&guid(1)).unwrap().status, TemplateStatus::Published);
    let licensor = keyring.licensor(&id(3)).unwrap();
    assert_eq!(licensor.server.security_level("Tenant-ID"), Some(keyring.tenant_id()));
    assert_eq!((licensor.server.object.name.as_deref(), licensor.server.object.url()), (Some("Contoso"), Some("https://rights.example/_wmcs")));
    is_sound(&keyring);
    assert_eq!(keyring.rollback(&*STORE).unwrap().key_id, id(0));
}

#[test]
fn a_given_key_must_be_new_and_of_2048_bits() {
    let folder = tempfile::tempdir().unwrap();
    let mut keyring = tenant(folder.path());
    keyring.activate_with(&id(0), &*STORE).unwrap();
    let given = |n: usize| TenantRekey { key: NewKey::Given(id(n)), ..rekey_in(&*STORE, 0) };
    for n in [0, 1] {
        assert_eq!(keyring.rekey(&given(n)).unwrap_err().code(), "conflict");
    }
    assert!(keyring.rekey(&given(2)).unwrap_err().to_string().contains("rule 33"));
    assert_eq!(keyring.rekey(&given(3)).unwrap().activation.key_id, id(3));
    is_sound(&keyring);
}

#[test]
fn imports_keep_guids_arrive_archived_and_overwrite_only_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut keyring = tenant(folder.path());
    keyring.activate_with(&id(0), &*STORE).unwrap();
    let import = |keyring: &mut TenantKeyring, addition, overwrite| keyring.import_templates(&[addition], overwrite).map(|mut all| all.remove(0));
    // Signed anew meanwhile, and still the same template.
    assert_eq!(import(&mut keyring, template(1, 11, staff()), false).unwrap().outcome, Imported::Unchanged);
    assert_eq!(import(&mut keyring, template(0, 50, staff()), false).unwrap().outcome, Imported::Added);
    keyring.publish_template(&guid(50), &*STORE).unwrap();
    let other = || template(0, 50, RightHolder::Address("new@contoso.example".into()));
    let error = import(&mut keyring, other(), false).unwrap_err();
    assert_eq!(error.code(), "conflict");
    for word in ["rule 143", "staff@contoso.example", "new@contoso.example", "published"] {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    let done = import(&mut keyring, other(), true).unwrap();
    assert_eq!(done.outcome, Imported::Overwritten);
    assert!(!done.overwritten.is_empty());
    let now = keyring.template(&guid(50).to_uppercase()).unwrap();
    assert_eq!((now.status, now.signed_by), (TemplateStatus::Archived, Some(id(0))));
    let damaged = TemplateAddition { text: other().text.replace("new@contoso", "now@contoso"), ..other() };
    assert_eq!(import(&mut keyring, damaged, true).unwrap_err().code(), "negative");
    assert_eq!(keyring.import_templates(&[template(0, 60, staff()), template(0, 60, RightHolder::Anyone)], true).unwrap_err().code(), "usage");
    assert!(keyring.template(&guid(60)).is_err());
    is_sound(&keyring);
}

#[test]
fn edits_supplement_and_anyone_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let mut keyring = tenant(folder.path());
    let grant = [RightsChange::Grant(RightHolder::Address("new@contoso.example".into()), vec![UsageRight::View])];
    assert_eq!(keyring.edit_template(&guid(2), &grant, &*STORE).unwrap_err().code(), "not-found");
    keyring.activate_with(&id(1), &*STORE).unwrap();
    let published = keyring.publish_template(&guid(2), &*STORE).unwrap();
    assert!(published.changed && published.warnings.iter().any(|(rule, _)| *rule == 133));
    let edited = keyring.edit_template(&guid(2), &grant, &*STORE).unwrap();
    let rules: Vec<u16> = edited.warnings.iter().map(|(rule, _)| *rule).collect();
    assert!(edited.changed && rules.contains(&133) && rules.contains(&137), "{rules:?}");
    assert_eq!(edited.template.status, TemplateStatus::Published);
    let again = keyring.edit_template(&guid(2), &grant, &*STORE).unwrap();
    assert!(!again.changed);
    let revoked = keyring.edit_template(&guid(2), &[RightsChange::Revoke(RightHolder::Anyone, Vec::new())], &*STORE).unwrap();
    assert!(!revoked.template.grants_anyone && !revoked.warnings.iter().any(|(rule, _)| *rule == 133));
    is_sound(&keyring);
}

#[test]
fn the_way_out_is_a_domain_of_the_key_with_its_templates() {
    let folder = tempfile::tempdir().unwrap();
    let mut keyring = tenant(folder.path());
    keyring.activate_with(&id(0), &*STORE).unwrap();
    let domain = keyring.export_domain(&id(0), Some(secret_key(FILES[0]))).unwrap();
    let password = crate::secret::Password::new("p".into());
    let read = crate::tpd::TrustedPublishingDomain::open(&domain.seal(&password).unwrap(), &password).unwrap();
    assert_eq!(read.key().unwrap().id(), id(0));
    assert_eq!(read.templates.len(), 4);
    let keyless = keyring.export_domain(&id(1), None).unwrap();
    assert!(keyless.key().is_none() && keyless.templates.is_empty());
    assert_eq!(keyring.export_domain(&id(0), Some(secret_key(FILES[1]))).unwrap_err().code(), "malformed");
}

#[test]
fn a_copy_of_the_tenant_is_no_second_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = tenant(folder.path());
    let (copy, other) = (folder.path().join("copy"), folder.path().join("other"));
    fs::create_dir(&copy).unwrap();
    fs::copy(keyring.folder().join("tenant.json"), copy.join("tenant.json")).unwrap();
    let mut second = TenantKeyring::init(&other, Era::Current).unwrap();
    let others = [keyring.folder().to_owned(), copy, other.clone()];
    assert_eq!(holder_elsewhere(&id(1), &keyring, &others).unwrap(), None);
    second.add_key(&addition(1, Vec::new()), false).unwrap();
    assert_eq!(holder_elsewhere(&id(1), &keyring, &others).unwrap(), Some(other));
    let error: Error = refuse_second_tenant(&id(1), &keyring, &others).unwrap_err();
    assert!(error.to_string().contains("rule 4"), "{error}");
}

#[test]
fn versions_of_a_template_are_told_whoever_signed_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut keyring = tenant(folder.path());
    let other = || template(1, 1, RightHolder::Address("new@contoso.example".into()));
    // Signed by another key it says the same; with another holder it does not.
    assert_eq!(versions_among([template(0, 1, staff()), template(1, 1, staff())].iter()).len(), 0);
    let told = versions_among([template(0, 1, staff()), other()].iter());
    assert!(told.len() == 1 && told[0].contains("new@contoso.example"), "{told:?}");
    assert!(keyring.other_versions(&[template(0, 1, staff()), template(0, 99, staff())]).unwrap().is_empty());
    let told = keyring.other_versions(&[other()]).unwrap();
    assert!(told.len() == 1 && told[0].contains(&guid(1)) && told[0].contains("new@contoso.example"), "{told:?}");
    // It is not taken, and what is there stays.
    let before = keyring.template_text(keyring.template(&guid(1)).unwrap()).unwrap();
    keyring.add_key(&addition(3, vec![other()]), false).unwrap();
    assert_eq!(keyring.template_text(keyring.template(&guid(1)).unwrap()).unwrap(), before);
    // A signature anew changes no terms.
    keyring.activate_with(&id(1), &*STORE).unwrap();
    assert!(keyring.other_versions(&[template(0, 1, staff())]).unwrap().is_empty());
}
