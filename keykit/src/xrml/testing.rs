//! What the tests of this module and of licences share: real documents, keys, a tiny key store, and a small hierarchy.

use std::path::{Path, PathBuf};

use rsa::{Oaep, Pkcs1v15Encrypt, Pkcs1v15Sign};

use super::writer::{Certificate, CertificateRole, UnsignedDocument, demonstration_root};
use super::{Document, Guid, Object, Principal, SecurityLevel, TimeRange, XrmlTime, documents_in};
use crate::error::Result;
use crate::key::{Digest, EncryptionScheme, Hash, KeyId, RsaSecretKey};
use crate::secret::SecretBytes;
use crate::store::protection::Assessment;
use crate::store::{DecryptionFailed, KeyAttributes, KeyRecord, KeyStore, StoreIdentity};

/// Keys that can sign and decrypt, and nothing more.
#[derive(Debug)]
pub(crate) struct TestStore {
    keys: Vec<RsaSecretKey>,
    identity: StoreIdentity,
}

impl TestStore {
    pub(crate) fn new(keys: Vec<RsaSecretKey>) -> Self {
        let text = String::new;
        let identity = StoreIdentity { uri: "test:".into(), manufacturer: text(), model: text(), serial: text(), firmware: text(), label: text() };
        Self { keys, identity }
    }
}

impl KeyStore for TestStore {
    fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    fn keys(&self) -> Result<Vec<KeyRecord>> {
        let record =
            |key: &RsaSecretKey| KeyRecord { public: key.public().clone(), attributes: KeyAttributes::default(), protection: Assessment::software() };
        Ok(self.keys.iter().map(record).collect())
    }

    fn sign(&self, key: &KeyId, digests: &[Digest]) -> Result<Vec<Vec<u8>>> {
        let key = self.keys.iter().find(|held| held.id() == *key).ok_or_else(|| self.no_such_key(key))?.to_rsa()?;
        Ok(digests
            .iter()
            .map(|digest| {
                let padding = Pkcs1v15Sign { hash_len: None, prefix: digest.hash().digest_info_prefix().into() };
                key.sign(padding, digest.as_bytes()).unwrap()
            })
            .collect())
    }

    fn verifies_what_it_signs(&self) -> bool {
        true
    }

    fn decrypt(&self, key: &KeyId, scheme: &EncryptionScheme, items: &[&[u8]]) -> Result<Vec<Result<SecretBytes, DecryptionFailed>>> {
        let key = self.keys.iter().find(|held| held.id() == *key).ok_or_else(|| self.no_such_key(key))?.to_rsa()?;
        let decrypt = |item: &&[u8]| match scheme {
            EncryptionScheme::Pkcs1v15 => key.decrypt(Pkcs1v15Encrypt, item),
            EncryptionScheme::Oaep { hash: Hash::Sha1, mgf1: Hash::Sha1, .. } => key.decrypt(Oaep::<sha1::Sha1>::new(), item),
            EncryptionScheme::Oaep { .. } => panic!("licences use OAEP with SHA-1 only"),
        };
        Ok(items.iter().map(|item| decrypt(item).map(SecretBytes::take).map_err(|_| DecryptionFailed)).collect())
    }
}

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors")
}

pub(crate) fn secret_key(path: &str) -> RsaSecretKey {
    RsaSecretKey::from_pem(&std::fs::read_to_string(vectors().join(path)).unwrap()).unwrap()
}

/// The bytes of a vector. Of containers only the XrML, found by its first and last tag.
pub(crate) fn vector(name: &str) -> Vec<u8> {
    let bytes = std::fs::read(vectors().join("xrml").join(name)).unwrap();
    if !(name.ends_with(".pfile") || name.ends_with(".ptxt")) {
        return bytes;
    }
    let find = |what: &[u8]| bytes.windows(what.len()).position(|window| window == what).unwrap();
    bytes[find(b"<XrML")..find(b"</XrML>") + 7].to_vec()
}

/// Every vector of real documents, with how many it holds.
pub(crate) const VECTORS: [(&str, usize); 6] = [
    ("AliceBvt.txt.pfile", 1),
    ("CleanAlice.txt.pfile", 1),
    ("android_template_01.ptxt", 1),
    ("LicenseParserTest_PL_0101right_CBC_xml.bin", 2),
    ("LicenseParserTest_PL_0101right_ECB_xml.bin", 2),
    ("ca-chain-mode1.xml", 4),
];

pub(crate) fn real(name: &str) -> Vec<Document> {
    documents_in(&vector(name)).unwrap()
}

pub(crate) fn time(text: &str) -> XrmlTime {
    text.parse().unwrap()
}

/// A root, an authority and a server with its key: the upper part of every chain in these tests.
pub(crate) struct Hierarchy {
    pub(crate) store: TestStore,
    pub(crate) root: Principal,
    pub(crate) authority: Principal,
    pub(crate) server: Principal,
    hash: Hash,
}

impl Hierarchy {
    /// Mode 1 has a server key of 1024 bits, and SHA-1 up to the root.
    pub(crate) fn new(mode: u8) -> Self {
        let root = secret_key("tpd/key.pem");
        let authority = secret_key("keys/xrml-2048.pem");
        let server = secret_key(if mode == 1 { "keys/xrml-1024.pem" } else { "keys/xrml-2048-server.pem" });
        let (id, name) = ("{5cf0a6a4-2d5b-4b50-9a5e-1f0c5a0f8c01}", "Contoso <\"Rights\" & 'more'> ☃");
        let object = Object::new("MS-DRM-Server", "MS-GUID", id).named(name).at_url("https://rights.example/_wmcs?a=1&b=2");
        let mut principal = Principal::new(object, server.public().clone());
        principal.security_levels = vec![SecurityLevel::new("Server-Version", "2.0.0.0"), SecurityLevel::new("Server-SKU", "a \"b\" <c>")];
        Self {
            root: demonstration_root(root.public()),
            authority: Principal::new(Object::new("DRM-Certificate-Authority", "ascii-tag", "CA").named("CA"), authority.public().clone()),
            server: principal,
            hash: if mode == 1 { Hash::Sha1 } else { Hash::Sha256 },
            store: TestStore::new(vec![root, authority, server]),
        }
    }

    pub(crate) fn sign(&self, document: UnsignedDocument) -> Document {
        let signed = document.with_hash(self.hash).unwrap().sign_with(&self.store).unwrap();
        Document::read(signed.as_bytes()).unwrap()
    }

    pub(crate) fn certify(&self, role: CertificateRole, issuer: &Principal, subject: &Principal, issued: &str) -> Document {
        let valid = TimeRange::between(time("2010-01-01T00:00"), time("2020-01-01T00:00"));
        let id = Guid::from_u128(0x1d79_c1c5_57dd_4897_8d07_86eb_60b1_f338);
        self.sign(Certificate { role, id, issued: time(issued), valid, issuer, subject }.to_unsigned().unwrap())
    }

    /// The certificates of the server, the authority and the root, in this order.
    pub(crate) fn chain(&self) -> Vec<Document> {
        vec![
            self.certify(CertificateRole::ServerLicensor, &self.authority, &self.server, "2015-01-01T00:00"),
            self.certify(CertificateRole::CertificateAuthority, &self.root, &self.authority, "2015-01-01T00:00"),
            self.certify(CertificateRole::CertificateAuthority, &self.root, &self.root, "2015-01-01T00:00"),
        ]
    }
}
