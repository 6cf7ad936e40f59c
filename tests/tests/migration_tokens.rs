//! Migrations by library, into tokens of both kinds: whole sample clusters, the proofs at the end, and runs that are repeated.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::Command;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as CryptokiError, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, KeyType, ObjectClass};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use keykit::key::{RsaPublicKey, RsaSecretKey};
use keykit::licence::SealAlgorithm;
use keykit::migration::paths::{hsm_to_hsm, software_to_hsm};
use keykit::migration::{Migration, MigrationOutcome, ProtectedSample, SilentProgress, SourceDomain};
use keykit::secret::{Password, SecretBytes};
use keykit::store::{KeyRequest, KeyStore, Transferability};
use keykit::tenant::{Era, Moment, TenantKeyring};
use keykit::tpd::{KeyDerivation, TrustedPublishingDomain};
use keykit::transfer::{KeyEncryptionKey, wrap_rsa_aes};
use keykit::xrml::Document;
use keykit::{Error, Result};
use keykit_hsm_backends::memory::MemoryStore;
use keykit_hsm_backends::pkcs11::{Pkcs11Store, Pkcs11Uri};
use keykit_tests::samples::SampleCluster;
use keykit_tests::tokens::on_both;
use keykit_tests::{kryoptic, softhsm};

/// Proofs of a path into a token: modulus, signature, the same signature, a licence, attributes, and two licences of the cluster.
const PROOFS: usize = 7;

fn wrapped(label: &str) -> KeyRequest {
    KeyRequest { transferability: Transferability::Wrapped, ..KeyRequest::labelled(label) }
}

/// A cluster around a new key of `store`, as it comes out of its exported file, and its licences.
fn cluster(store: &dyn KeyStore, name: &str, modulus_bits: usize, with_key: bool) -> (SourceDomain, Vec<ProtectedSample>) {
    let public = store.as_generate().unwrap().generate(modulus_bits, &wrapped(name)).unwrap().public;
    let cluster = SampleCluster::around(store, &public, name).unwrap();
    let key = with_key.then(|| store.as_export_plaintext().unwrap().export_plaintext_danger(&public.id()).unwrap());
    let password = Password::new("Sample Pa$$w0rd é".into());
    let sealed = cluster.domain(key, KeyDerivation::Sha256).unwrap().seal(&password).unwrap();
    let domain = TrustedPublishingDomain::open(&sealed, &password).unwrap();
    let samples = cluster.licences.iter().map(|licence| sample(&licence.text, &public)).collect();
    (SourceDomain::examine(Path::new(&format!("{name}.xml")), domain).unwrap(), samples)
}

fn sample(text: &str, key: &RsaPublicKey) -> ProtectedSample {
    let licence = keykit::xrml::documents_in(text.as_bytes()).unwrap().remove(0);
    ProtectedSample { name: "a licence".into(), key_id: key.id(), sealed: sealed_keys(&licence) }
}

fn sealed_keys(licence: &Document) -> Vec<(SealAlgorithm, Vec<u8>)> {
    let bits = licence.issued_principals().iter().flat_map(|principal| &principal.enabling_bits);
    let sealed: Vec<_> = bits.map(|bits| (SealAlgorithm::from_name(bits.algorithm.name()).unwrap(), bits.bytes.clone())).collect();
    assert_eq!(sealed.len(), 1);
    sealed
}

/// A tenant's folder and what goes into it.
struct Bench {
    place: tempfile::TempDir,
    domains: Vec<SourceDomain>,
    samples: Vec<ProtectedSample>,
    keep_transferable: bool,
}

impl Bench {
    fn new(clusters: Vec<(SourceDomain, Vec<ProtectedSample>)>) -> Self {
        let (domains, samples): (Vec<_>, Vec<_>) = clusters.into_iter().unzip();
        Self { place: tempfile::tempdir().unwrap(), domains, samples: samples.concat(), keep_transferable: false }
    }

    fn tenant(&self) -> TenantKeyring {
        TenantKeyring::init(&self.place.path().join("tenant"), Era::default()).unwrap()
    }

    fn run(&self, source: &dyn KeyStore, target: &Pkcs11Store, path: fn(&mut Migration<'_>) -> Result<MigrationOutcome>) -> Result<MigrationOutcome> {
        path(&mut Migration {
            tenant: &mut self.tenant(),
            domains: &self.domains,
            source,
            target,
            target_name: target.identity().uri.clone(),
            keep_transferable: self.keep_transferable,
            allow_host_visible_ephemeral_key: false,
            evidence: &|_, _| Vec::new(),
            samples: &self.samples,
            other_tenants: &[],
            progress: &SilentProgress,
        })
    }

    /// Every key is there, proven, and known to the tenant.
    fn check(&self, outcome: &MigrationOutcome, target: &Pkcs11Store, changed: bool) {
        assert_eq!(outcome.keys.len(), self.domains.len());
        for (key, domain) in outcome.keys.iter().zip(&self.domains) {
            assert_eq!((key.key_id, key.changed), (domain.key_id(), changed), "{}", key.route);
            assert!(key.proofs.len() >= PROOFS && key.proofs.iter().all(|proof| proof.ok), "{:?}", key.proofs);
            let found = target.find(&key.key_id).unwrap();
            assert_eq!(found.public, *domain.licensor());
            assert_eq!((found.attributes.sensitive, found.attributes.extractable), (Some(true), Some(false)));
            assert!(self.tenant().key(&key.key_id).is_some());
        }
        assert_eq!(target.keys().unwrap().len(), self.domains.len());
    }
}

fn software_into(target: &Pkcs11Store) {
    let source = MemoryStore::new();
    let bench = Bench::new(vec![cluster(&source, "contoso", 2048, true), cluster(&source, "woodgrove", 1024, true)]);
    let outcome = bench.run(&source, target, software_to_hsm).unwrap();
    bench.check(&outcome, target, true);
    assert!(outcome.keys.iter().all(|key| key.route == "wrapped in memory"));
    let journalled = bench.tenant().journal().entries().len();
    // Twice is once, and everything is proven again.
    let again = bench.run(&source, target, software_to_hsm).unwrap();
    bench.check(&again, target, false);
    assert_eq!(bench.tenant().journal().entries().len(), journalled);
    assert!(bench.tenant().journal().unsettled().is_none());
    // Another tenant cannot take the same keys (rule 4).
    let other = Bench { place: tempfile::tempdir().unwrap(), ..bench };
    let refused = other.run(&source, target, software_to_hsm);
    assert!(matches!(&refused, Err(Error::Refused(refusal)) if refusal.rule == Some(4)), "{refused:?}");
    assert!(other.tenant().keys().is_empty());
    assert!(other.tenant().journal().entries().iter().all(|entry| entry.action == "init" && matches!(entry.moment, Moment::Intent | Moment::Done)));
}

#[test]
fn software_to_tokens() {
    on_both("software_to_tokens", &["target"], |modules| {
        software_into(&modules.kryoptic("target").unwrap());
        software_into(&modules.softhsm("target").unwrap());
    });
}

/// A run that was cut off between C_UnwrapKey and the public object: the next one adds it, and the one after changes nothing.
#[test]
fn a_missing_public_half_is_added() {
    on_both("a_missing_public_half_is_added", &["target"], |modules| {
        for (target, pin) in [(modules.kryoptic("target").unwrap(), kryoptic::PIN), (modules.softhsm("target").unwrap(), softhsm::PIN)] {
            let source = MemoryStore::new();
            let bench = Bench::new(vec![cluster(&source, "contoso", 2048, true)]);
            bench.check(&bench.run(&source, &target, software_to_hsm).unwrap(), &target, true);
            let label = target.keys().unwrap().remove(0).attributes.label;
            let module = Pkcs11Uri::parse(&target.identity().uri).unwrap().module_path.unwrap();
            let tool = |arguments: &[&str]| {
                let mut command = Command::new("pkcs11-tool");
                command.arg("--module").arg(&module).args(["--token-label", "target", "--login", "--pin", pin]).args(arguments);
                let output = command.output().unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                String::from_utf8_lossy(&output.stdout).into_owned()
            };
            // A new object has a new CKA_UNIQUE_ID; kryoptic shows one.
            let public_objects =
                || tool(&["-O", "--type", "pubkey"]).lines().filter(|line| !line.contains("Unique ID")).collect::<Vec<_>>().join("\n");
            let whole = public_objects();
            assert_eq!((whole.matches("Public Key Object; RSA 2048 bits").count(), whole.matches("Public Key Object").count()), (1, 1), "{whole}");
            tool(&["--delete-object", "--type", "pubkey", "--label", &label]);
            assert_eq!(public_objects().matches("Public Key Object").count(), 0);

            let again = bench.run(&source, &target, software_to_hsm).unwrap();
            bench.check(&again, &target, true);
            assert!(again.keys[0].route.contains("public half"), "{}", again.keys[0].route);
            // Label, CKA_ID and uses as before.
            assert_eq!(public_objects(), whole);
            bench.check(&bench.run(&source, &target, software_to_hsm).unwrap(), &target, false);
            assert_eq!(public_objects(), whole);

            // The same by the store itself, for a blob that comes again.
            tool(&["--delete-object", "--type", "pubkey", "--label", &label]);
            let key = bench.domains[0].key().unwrap();
            let transport = target.as_unwrap_in().unwrap().transport_key(2048).unwrap();
            let blob = wrap_rsa_aes(key, transport.public(), transport.oaep_hash()).unwrap();
            for _ in 0..2 {
                transport.unwrap_in(&blob, key.public(), &KeyRequest::labelled("another label")).unwrap();
                assert_eq!(public_objects(), whole);
            }
        }
    });
}

/// From one maker's token to the other's. What is a module by its label goes; what is not is refused (rule 29).
#[test]
fn between_makers() {
    on_both("between_makers", &["accelerator", "target"], |modules| {
        let (source, target) = (modules.softhsm("accelerator").unwrap(), modules.kryoptic("target").unwrap());
        let bench = Bench::new(vec![cluster(&source, "contoso", 2048, false)]);
        bench.check(&bench.run(&source, &target, hsm_to_hsm).unwrap(), &target, true);
        bench.check(&bench.run(&source, &target, hsm_to_hsm).unwrap(), &target, false);

        let (source, target) = (modules.kryoptic("target").unwrap(), modules.softhsm("target").unwrap());
        let bench = Bench::new(vec![cluster(&source, "fabrikam", 2048, false)]);
        let refused = bench.run(&source, &target, hsm_to_hsm);
        assert!(matches!(&refused, Err(Error::Refused(refusal)) if refusal.rule == Some(29)), "{refused:?}");
        assert!(target.keys().unwrap().is_empty() && bench.tenant().keys().is_empty());
    });
}

/// The key has moved when a proof fails: the journal says so, and the keyring does not have it.
#[test]
fn a_proof_that_fails_is_recorded_with_where_the_key_is() {
    on_both("a_proof_that_fails_is_recorded_with_where_the_key_is", &["target"], |modules| {
        for target in [modules.kryoptic("target").unwrap(), modules.softhsm("target").unwrap()] {
            let source = MemoryStore::new();
            let mut bench = Bench::new(vec![cluster(&source, "contoso", 2048, true)]);
            let good = bench.samples.clone();
            // A licence that was damaged on the way: it does not open under any key.
            for (_, bytes) in &mut bench.samples[0].sealed {
                bytes[30] ^= 1;
            }
            let failed = bench.run(&source, &target, software_to_hsm);
            assert!(matches!(&failed, Err(Error::Negative { what, .. }) if what.contains("given-licence-opens")), "{failed:?}");
            let tenant = bench.tenant();
            let last = tenant.journal().entries().last().unwrap().clone();
            assert_eq!((last.moment, last.action.as_str()), (Moment::Abandoned, "import"));
            assert!(last.note.contains("the key is at its target, and the keyring does not have it"), "{}", last.note);
            assert!(tenant.keys().is_empty() && target.keys().unwrap().len() == 1);
            drop(tenant);
            // It stays there, and the next run takes it up.
            bench.samples = good;
            let outcome = bench.run(&source, &target, software_to_hsm).unwrap();
            assert_eq!(outcome.keys[0].route, "was there already");
            assert!(bench.tenant().key(&outcome.keys[0].key_id).is_some());
        }
    });
}

/// What `--keep-transferable` promises: a key that the security officer trusts wraps the key, another does not.
#[test]
fn a_key_that_was_kept_transferable_leaves_under_a_trusted_key_only() {
    on_both("a_key_that_was_kept_transferable_leaves_under_a_trusted_key_only", &["target"], |modules| {
        let migrated = |target: Pkcs11Store| {
            let source = MemoryStore::new();
            let bench = Bench { keep_transferable: true, ..Bench::new(vec![cluster(&source, "contoso", 2048, true)]) };
            let outcome = bench.run(&source, &target, software_to_hsm).unwrap();
            assert!(outcome.keys[0].proofs.iter().any(|proof| proof.name == "sensitive-and-wrappable-under-a-trusted-key" && proof.ok));
            bench.domains.into_iter().next().unwrap().into_domain().into_key().1.unwrap()
        };
        let key = migrated(modules.softhsm("target").unwrap());
        let officer = Officer { module: modules.softhsm_module(), so_pin: softhsm::SO_PIN, pin: softhsm::PIN };
        // SoftHSM's RFC 5649, behind which it leaves zero bytes.
        let wrap = Mechanism::AesKeyWrapPad;
        let untrusted = officer.wrap(false, &key, &wrap).unwrap();
        assert!(matches!(untrusted, Err(CryptokiError::Pkcs11(RvError::KeyNotWrappable, _))), "{untrusted:?}");
        let wrapped = officer.wrap(true, &key, &wrap).unwrap().unwrap();
        let kek = KeyEncryptionKey::new(SecretBytes::copy_of(&KEK)).unwrap();
        let plain = kek.unwrap_with_padding(&wrapped).unwrap();
        let der = key.to_pkcs8_der().unwrap();
        assert_eq!(&plain.expose()[..der.len()], der.expose(), "it is this very key");

        // Kryoptic lets nobody trust a key, so the key stays where it is.
        let key = migrated(modules.kryoptic("target").unwrap());
        let officer = Officer { module: modules.kryoptic_module(), so_pin: kryoptic::PIN, pin: kryoptic::PIN };
        let untrusted = officer.wrap(false, &key, &Mechanism::AesKeyWrap).unwrap();
        assert!(matches!(untrusted, Err(CryptokiError::Pkcs11(RvError::WrappingKeyHandleInvalid, _))), "{untrusted:?}");
        let trusted = officer.wrap(true, &key, &Mechanism::AesKeyWrap);
        assert!(matches!(trusted, Err(CryptokiError::Pkcs11(..))), "kryoptic can mark keys as trusted now: test that they wrap");
    });
}

/// The AES key under which the migrated key is to leave.
const KEK: [u8; 32] = [0x5a; 32];

/// The security officer and the user of a token, one after the other.
struct Officer<'a> {
    module: &'a Path,
    so_pin: &'a str,
    pin: &'a str,
}

impl Officer<'_> {
    /// Brings an AES key into the token, trusted by the officer or stored by the user, and wraps the migrated key under it. The
    /// outer result is of the AES key, the inner one of the wrapping.
    fn wrap(&self, trusted: bool, key: &RsaSecretKey, mechanism: &Mechanism<'_>) -> Result<Result<Vec<u8>, CryptokiError>, CryptokiError> {
        let context = Pkcs11::new(self.module)?;
        match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // The store that brought the key did it.
            Err(CryptokiError::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) | Ok(()) => {}
            Err(error) => return Err(error),
        }
        let slot = context.get_slots_with_initialized_token()?.remove(0);
        let label = format!("kek, trusted: {trusted}").into_bytes();
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Token(true),
            Attribute::Private(false),
            Attribute::Wrap(true),
            Attribute::Label(label.clone()),
            Attribute::Value(KEK.to_vec()),
        ];
        let session = context.open_rw_session(slot)?;
        let login = |user, pin: &str| session.login(user, Some(&AuthPin::new(pin.into())));
        if trusted {
            login(UserType::So, self.so_pin)?;
            let made = session.create_object(&[&template[..], &[Attribute::Trusted(true)]].concat());
            session.logout()?;
            made?;
            login(UserType::User, self.pin)?;
        } else {
            login(UserType::User, self.pin)?;
            session.create_object(&template)?;
        }
        let only = |template: &[Attribute]| Ok::<_, CryptokiError>(session.find_objects(template)?.remove(0));
        let kek = only(&[Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Label(label)])?;
        let moved = only(&[Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Modulus(key.public().modulus().to_vec())])?;
        let wrapped = session.wrap_key(mechanism, kek, moved);
        session.logout()?;
        Ok(wrapped)
    }
}
