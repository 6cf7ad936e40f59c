//! A wrapped key on its way in under a key encryption key that the token keeps: the receiving side of a transfer file.

use cryptoki::object::{Attribute, KeyType, ObjectClass};
use cryptoki::session::Session;
use keykit::key::{Hash, KeyId, RsaPublicKey};
use keykit::store::{KeyRecord, KeyRequest, KeyStore, UnwrapOutcome};
use keykit::transfer::{Finding, check_length};
use keykit::{Error, Result};

use super::error::CallError;
use super::key::{self, NewObjects};
use super::store::Pkcs11Store;
use super::unwrap::{OPERATION, UnwrapRoute};

impl Pkcs11Store {
    /// Unwraps in the token. The route is proven first, under this very key encryption key.
    pub(super) fn unwrap_under_stored_key(
        &self,
        kek: &KeyId,
        oaep_hash: Hash,
        blob: &[u8],
        expected: Option<&RsaPublicKey>,
        request: &KeyRequest,
    ) -> Result<UnwrapOutcome> {
        let record = self.find(kek)?;
        if record.attributes.can_unwrap == Some(false) {
            return Err(Error::refused_by_policy(
                format!("the key {} of {} may not unwrap (CKA_UNWRAP is false) [kek-cannot-unwrap]", kek.short(), self.identity.uri),
                "make the key encryption key with CKA_UNWRAP; or let the key pass through memory, if the policy allows that",
            ));
        }
        if let Some(finding) = check_length(blob.len(), &[record.public.modulus_bits()]) {
            return Err(finding.into_malformed("wrapped key"));
        }
        let present = expected.map(|expected| self.present(&expected.id())).transpose()?.flatten();
        let (kek_handle, kek_public) = self.handle(kek)?;
        let parts = blob.split_at_checked(kek_public.modulus_bytes()).ok_or(Error::Crypto)?;
        let opened = self.with_session(|session| {
            let proven = self.prove_route(session, &kek_public, kek_handle, oaep_hash).map_err(|error| self.test_failed(error))?;
            let kwp = proven.map_err(|missing| self.mechanism_missing(OPERATION, missing))?;
            let route = UnwrapRoute { kek: kek_handle, kek_public: &kek_public, oaep_hash, kwp };
            // The key is opened for this session first: it shows what the blob holds before anything is stored.
            let mut findings = self.open_for_session(session, route, parts, expected, request, present.is_some())?;
            let record = match present {
                Some(present) => {
                    findings.push(Finding::note(
                        "already-there",
                        format!(
                            "the token holds this key already, as '{}'; the file was opened for a check, and nothing was stored",
                            present.attributes.label
                        ),
                    ));
                    present
                }
                None => self.unwrap_new(session, route, parts, expected, request)?,
            };
            Ok(UnwrapOutcome { record, findings })
        });
        self.forget_handles();
        opened
    }

    /// The key, if the token has it. One that it has twice is an error.
    fn present(&self, id: &KeyId) -> Result<Option<KeyRecord>> {
        match self.find(id) {
            Ok(present) => Ok(Some(present)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn unwrap_new(
        &self,
        session: &Session,
        route: UnwrapRoute<'_>,
        parts: (&[u8], &[u8]),
        expected: Option<&RsaPublicKey>,
        request: &KeyRequest,
    ) -> Result<KeyRecord> {
        let doing = "name the new key";
        let fixed_id = expected.map(|expected| request.local_id_for(&expected.id())).or_else(|| request.local_id.clone());
        self.refuse_occupied(session, &request.label, fixed_id.as_deref(), expected)?;
        let mut new = NewObjects::new(session);
        let private = self.unwrap_private(session, &mut new, route, parts, request, fixed_id.as_deref())?;
        let record = self.prove_new_key(session, private, request, expected)?;
        let same = [
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::KeyType(KeyType::RSA),
            Attribute::Token(true),
            Attribute::Modulus(record.public.modulus().to_vec()),
        ];
        let call = |error: cryptoki::error::Error| self.failed(CallError::from(error), doing);
        if session.find_objects(&same).map_err(call)?.len() > 1 {
            // It was there under another name. The new copy goes.
            drop(new);
            self.forget_handles();
            return self.find(&record.id());
        }
        if fixed_id.is_none() {
            let id = request.local_id_for(&record.id());
            self.refuse_occupied(session, "", Some(&id), Some(&record.public))?;
            session.update_attributes(private, &[Attribute::Id(id)]).map_err(call)?;
        }
        let record = key::read_key(session, private, &self.facts).map_err(|error| self.failed(error, doing))?;
        let record = record.map_err(|sentence| Error::negative(format!("{}: {sentence}", self.identity.uri)))?;
        if let Some(public) = self.store_missing_public_half(session, &record)? {
            new.add(public);
        }
        new.keep();
        Ok(record)
    }
}
