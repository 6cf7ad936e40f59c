//! Clusters of a rights-management service that are made for tests and demonstrations: certificates under a root of their own,
//! templates, licences, and the exported domain. Their keys protect nothing.

use std::collections::BTreeMap;

use keykit::Result;
use keykit::container::{CompoundLayout, NewProtectedDocument, NewProtectedFile, PfileVersion, write_mail};
use keykit::key::{CryptographicMode, Hash, RsaPublicKey, RsaSecretKey};
use keykit::licence::{ContentCipher, ContentKey, SealAlgorithm, rights_data, seal};
use keykit::store::{KeyRequest, KeyStore};
use keykit::tpd::{KeyDerivation, KeyInformation, TrustedPublishingDomain};
use keykit::xrml::writer::{Certificate, CertificateRole, PublishingLicence, Template, UnsignedDocument, demonstration_root, principal_element};
use keykit::xrml::{AuthenticatedData, EnablingBits, Guid, Object, Principal, Right, RightHolder, TemplateName, TimeRange, XrmlTime};
use keykit_hsm_backends::memory::MemoryStore;

/// Days for which the certificates of a sample are good.
const DAYS: i32 = 3650;

/// A protected document of a sample cluster.
#[derive(Debug)]
pub struct SampleLicence {
    /// The publishing licence, as XrML text.
    pub text: String,
    /// The same in a `.pfile`, with content that is not encrypted (nobody reads it).
    pub pfile: Vec<u8>,
    /// The same in an Office document (Office Open XML), with content that is none.
    pub document: Vec<u8>,
    /// The same in a binary Office document, with content that is none.
    pub binary_document: Vec<u8>,
    /// The same in a protected mail (`message.rpmsg`), with content that is none.
    pub mail: Vec<u8>,
    /// What must come out when the licence is opened.
    pub content_key: ContentKey,
}

/// A cluster: everything that an exported domain of it would hold, and documents that were protected with it.
#[derive(Debug)]
pub struct SampleCluster {
    /// Friendly name.
    pub name: String,
    /// Certificate chain, server licensor certificate first, root last.
    pub chain: Vec<String>,
    /// Rights templates.
    pub templates: Vec<String>,
    /// Protected documents.
    pub licences: Vec<SampleLicence>,
    server: Principal,
}

impl SampleCluster {
    /// Makes a cluster around a key of a store.
    ///
    /// # Errors
    /// What the store says.
    pub fn around(store: &dyn KeyStore, key: &RsaPublicKey, name: &str) -> Result<Self> {
        let mode = CryptographicMode::of_modulus_bits(key.modulus_bits()).unwrap_or(CryptographicMode::Mode2);
        let (issued, valid) = (XrmlTime::now(), TimeRange::between(XrmlTime::now().plus_days(-1), XrmlTime::now().plus_days(DAYS)));
        let authority = MemoryStore::new();
        let root_key = authority.as_generate()?.generate(2048, &KeyRequest::labelled("root"))?.public;
        let root = demonstration_root(&root_key);
        let id = Guid::random()?;
        let server = Principal {
            internal_id: Some("1".into()),
            ..Principal::new(Object::new("MS-DRM-Server", "MS-GUID", &id.braced()).named(name).at_url("https://rms.example/_wmcs"), key.clone())
        };
        let certify = |subject: &Principal, role| -> Result<String> {
            let unsigned = Certificate { role, id: Guid::random()?, issued, valid, issuer: &root, subject }.to_unsigned()?;
            of_mode(unsigned, mode)?.sign_with(&authority)
        };
        let chain = vec![certify(&server, CertificateRole::ServerLicensor)?, certify(&root, CertificateRole::CertificateAuthority)?];
        let mut cluster = Self { name: name.to_owned(), chain, templates: Vec::new(), licences: Vec::new(), server };
        cluster.templates = vec![
            cluster.template(store, Guid::random()?, "Confidential", RightHolder::Address("staff@rms.example".into()))?,
            cluster.template(store, Guid::random()?, "Everybody may read", RightHolder::Anyone)?,
        ];
        cluster.licences = vec![cluster.licence(store, mode, 128)?, cluster.licence(store, mode, 256)?];
        Ok(cluster)
    }

    /// The exported domain, with its key or without.
    ///
    /// # Errors
    /// As [`TrustedPublishingDomain::new`].
    pub fn domain(&self, key: Option<RsaSecretKey>, derivation: KeyDerivation) -> Result<TrustedPublishingDomain> {
        let information = KeyInformation {
            id: self.server.object.id.clone(),
            id_type: self.server.object.id_type.clone(),
            csp_type: 24,
            csp_name: "Microsoft Enhanced RSA and AES Cryptographic Provider".into(),
            key_container: format!("container-{}", self.name.to_lowercase().replace(' ', "-")),
            key_number: 1,
        };
        TrustedPublishingDomain::new(information, self.chain.clone(), self.templates.clone(), key, derivation)
    }

    /// Offers templates with these GUIDs in the place of its own. Clusters of one organisation offer the same ones: what a tenant has
    /// room for (rule 141) it counts by GUID.
    ///
    /// # Errors
    /// What the store says.
    pub fn offer_templates(&mut self, store: &dyn KeyStore, ids: &[Guid]) -> Result<()> {
        let holder = || RightHolder::Address("staff@rms.example".into());
        let templates = ids.iter().enumerate().map(|(number, id)| self.template(store, *id, &format!("Template {number}"), holder()));
        self.templates = templates.collect::<Result<_>>()?;
        Ok(())
    }

    fn template(&self, store: &dyn KeyStore, id: Guid, name: &str, holder: RightHolder) -> Result<String> {
        let names = BTreeMap::from([(1033, TemplateName::new(name, "made for tests"))]);
        let rights = [Right::new("OWNER", vec![RightHolder::Owner]), Right::new("VIEW", vec![holder])];
        let template = Template {
            id,
            names: &names,
            issued: XrmlTime::now(),
            issuer: &self.server,
            distribution_points: &[],
            valid: None,
            rights: &rights,
            authenticated_data: &[],
        };
        template.to_unsigned()?.sign_with(store)
    }

    fn licence(&self, store: &dyn KeyStore, mode: CryptographicMode, bits: usize) -> Result<SampleLicence> {
        let content_key = ContentKey::generate(ContentCipher::Cbc4k, bits)?;
        let bound = format!("<ISSUEDPRINCIPALS>{}</ISSUEDPRINCIPALS>", principal_element(&self.server)?);
        let bytes = seal(&content_key, self.server.public_key.as_ref().unwrap_or(&store_key(store)?), mode, &bound)?;
        let sealed = Principal {
            enabling_bits: vec![EnablingBits { algorithm: SealAlgorithm::for_mode(mode).as_str().into(), bytes }],
            ..self.server.clone()
        };
        let rights = rights_data::encrypt(&content_key, "<XrML><BODY type=\"Microsoft Rights Template\"></BODY></XrML>")?;
        let licence = PublishingLicence {
            issued: XrmlTime::now(),
            valid: None,
            descriptor: None,
            issuer: &self.server,
            distribution_points: &[],
            server: &sealed,
            content_id: Guid::random()?,
            owner: Some("author@rms.example"),
            authenticated_data: &[AuthenticatedData::encrypted_rights_data(&rights)],
        };
        // The chain stands behind the licence, as clients store it.
        let text = format!("{}{}", licence.to_unsigned()?.sign_with(store)?, self.chain.concat());
        let with_mark = [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat();
        let pfile = NewProtectedFile {
            version: PfileVersion::CURRENT,
            notice: b"protected",
            extension: "txt",
            publishing_licence: &with_mark,
            original_size: Some(4),
            metadata: &[],
            content: b"....",
        }
        .to_bytes()?;
        let office = |layout| NewProtectedDocument {
            layout,
            publishing_licence: text.as_bytes(),
            end_user_licences: &[],
            original_size: 4,
            content: &[0; 16],
        };
        let document = office(CompoundLayout::OpenXml).to_bytes()?;
        let binary_document = office(CompoundLayout::Binary).to_bytes()?;
        let mail = write_mail(&office(CompoundLayout::Binary))?;
        Ok(SampleLicence { text, pfile, document, binary_document, mail, content_key })
    }
}

fn store_key(store: &dyn KeyStore) -> Result<RsaPublicKey> {
    store.keys()?.into_iter().next().map(|key| key.public).ok_or_else(|| keykit::Error::Internal("an empty store".into()))
}

/// Certificates of a mode-1 hierarchy are signed with SHA-1, though their roots have 2048 bits.
fn of_mode(unsigned: UnsignedDocument, mode: CryptographicMode) -> Result<UnsignedDocument> {
    match mode {
        CryptographicMode::Mode1 => unsigned.with_hash(Hash::Sha1),
        CryptographicMode::Mode2 => Ok(unsigned),
    }
}
