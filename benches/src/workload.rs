//! Licences as a service issues them, under one key, to be moved to another.

use keykit::Result;
use keykit::key::{KeyId, RsaPublicKey, RsaSecretKey};
use keykit::licence::{ActiveKey, ContentCipher, ContentKey, NewPublishingLicence, Rekey};
use keykit::store::{ImportPlaintext, KeyRequest, KeyStore};
use keykit::xrml::{DistributionPoint, Guid, Object, Principal, Right, RightHolder, XrmlTime};
use keykit_hsm_backends::memory::{EngineChoice, MemoryStore};

use crate::Timed;

/// Rights in a licence: with these its text has some 6.6 KB, like the real one that the signatures are measured with.
const RIGHTS: [&str; 3] = ["OWNER", "VIEW", "EDIT"];

/// Two keys in a memory store, and their servers.
#[derive(Debug)]
pub struct Workload {
    store: Timed<MemoryStore>,
    old: Principal,
    new: Principal,
}

impl Workload {
    /// Licences of the key `old` that are to move to the key `new`.
    ///
    /// # Errors
    /// What the store says of the keys.
    pub fn new(old: &RsaSecretKey, new: &RsaSecretKey, engine: EngineChoice) -> Result<Self> {
        let store = MemoryStore::new().with_engine(engine);
        for (label, key) in [("old", old), ("new", new)] {
            store.import_plaintext(key, &KeyRequest::labelled(label))?;
        }
        Ok(Self { store: Timed::new(store), old: server("Contoso", old.public()), new: server("Contoso Online", new.public()) })
    }

    /// The store, with the time of its private operations.
    pub fn store(&self) -> &Timed<MemoryStore> {
        &self.store
    }

    /// The identity of the key that the licences are under.
    #[must_use]
    pub fn old_key(&self) -> KeyId {
        KeyId::of_spki(self.old.public_key.as_ref().map(RsaPublicKey::to_spki_der).unwrap_or_default())
    }

    /// The identity of the key that they move to.
    #[must_use]
    pub fn new_key(&self) -> KeyId {
        KeyId::of_spki(self.new.public_key.as_ref().map(RsaPublicKey::to_spki_der).unwrap_or_default())
    }

    /// The engine of re-keying, with nothing but its defaults.
    ///
    /// # Errors
    /// As [`Rekey::new`].
    pub fn rekey(&self) -> Result<Rekey<'_>> {
        let old = self.old.public_key.iter().map(|key| (&self.store as &dyn KeyStore, key.id())).collect::<Vec<_>>();
        Rekey::new(&old, ActiveKey { store: &self.store, server: &self.new, chain: &[] })
    }

    /// Issues a licence under the old key. All differ: in the content key, the identity of the content, and the owner.
    ///
    /// # Errors
    /// What the store says.
    pub fn issue(&self, number: u32) -> Result<String> {
        let owner = format!("author.{number}@contoso.example");
        let template = Object {
            id_type: "MS-GUID".into(),
            id: Guid::from_u128(7).braced(),
            name: Some("LCID 1033:NAME Confidential:DESCRIPTION x;".into()),
            ..Object::default()
        };
        let points = ["License-Acquisition-URL", "Extranet-License-Acquisition-URL"].map(|name| {
            DistributionPoint::new(Object::new(name, "MS-GUID", &Guid::from_u128(9).braced()).at_url("https://rights.example/_wmcs/licensing"))
        });
        let people = ["staff@contoso.example", "partners@contoso.example"];
        let rights = RIGHTS.map(|name| Right::new(name, people.map(|who| RightHolder::Address(who.into())).to_vec()));
        NewPublishingLicence {
            issued: "2023-01-29T22:12".parse().unwrap_or_else(|_| XrmlTime::now()),
            valid: None,
            descriptor: Some(&template),
            server: &self.old,
            distribution_points: &points,
            content_id: Guid::from_u128(u128::from(number)),
            owner: Some(&owner),
            rights: &rights,
            application_data: &[],
        }
        .issue(&self.store, &ContentKey::generate(ContentCipher::Cbc4k, 128)?)
    }

    /// So many licences.
    ///
    /// # Errors
    /// As [`Self::issue`].
    pub fn licences(&self, count: u32) -> Result<Vec<String>> {
        (0..count).map(|number| self.issue(number)).collect()
    }
}

fn server(name: &str, key: &RsaPublicKey) -> Principal {
    let id = Guid::from_u128(u128::from(key.id().as_bytes().first().copied().unwrap_or_default())).braced();
    Principal::new(Object::new("MS-DRM-Server", "MS-GUID", &id).named(name).at_url("https://rights.example/_wmcs/licensing"), key.clone())
}
