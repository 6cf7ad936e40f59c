//! A key on its way in: unwrapped inside the token, checked, and only then kept.

use std::fmt;

use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::types::Ulong;
use cryptoki_sys::CK_MECHANISM_TYPE;
use keykit::key::{EncryptionScheme, Hash, KeyId, RsaPublicKey};
use keykit::store::{KeyRecord, KeyRequest, KeyStore, TransportKey, UnwrapIn, UnwrapOutcome};
use keykit::transfer::KeyEncryptionKey;
use keykit::{Error, Result};

use super::error::CallError;
use super::key::{self, NewObjects};
use super::self_test::{KwpVerdict, PairUse, SessionPair, TestError};
use super::store::Pkcs11Store;
use super::sys::{Mechanism, Oaep};

pub(super) const OPERATION: &str = "take a wrapped key";
const DOING: &str = "unwrap a key";

impl UnwrapIn for Pkcs11Store {
    /// An RSA key pair of one session (CKA_TOKEN false): it is gone when the session closes.
    ///
    /// Before it is handed out, the whole route is tried with an AES key and a secret of software: OAEP under this very
    /// key, then RFC 5649.
    fn transport_key(&self, modulus_bits: usize) -> Result<Box<dyn TransportKey + '_>> {
        let hashes = self.options.transport_oaep_hash.map_or_else(|| vec![Hash::Sha1, Hash::Sha256], |hash| vec![hash]);
        self.transport_key_of_any(modulus_bits, &hashes)
    }

    fn transport_key_with(&self, modulus_bits: usize, oaep_hash: Hash) -> Result<Box<dyn TransportKey + '_>> {
        self.transport_key_of_any(modulus_bits, &[oaep_hash])
    }

    /// Both steps happen in the token: the key encryption key needs CKA_UNWRAP, and no secret is seen here.
    fn unwrap_under(
        &self,
        kek: &KeyId,
        oaep_hash: Hash,
        blob: &[u8],
        expected: Option<&RsaPublicKey>,
        request: &KeyRequest,
    ) -> Result<UnwrapOutcome> {
        self.unwrap_under_stored_key(kek, oaep_hash, blob, expected, request)
    }

    fn complete(&self, key: &KeyRecord) -> Result<bool> {
        self.with_session(|session| Ok(self.store_missing_public_half(session, key)?.is_some()))
    }
}

impl Pkcs11Store {
    fn transport_key_of_any(&self, modulus_bits: usize, hashes: &[Hash]) -> Result<Box<dyn TransportKey + '_>> {
        let session = self.pool.take().map_err(|error| self.failed(error, "open a session"))?;
        let made = self.make_transport_key(&session, modulus_bits, hashes);
        match made {
            Ok((pair, oaep_hash, kwp)) => Ok(Box::new(SessionTransportKey { store: self, session: Some(session), pair, oaep_hash, kwp })),
            Err(error) => {
                // What was made for the key encryption key is destroyed already.
                self.pool.retire(session);
                Err(error)
            }
        }
    }

    /// Stores the public half of a key beside it if there is none, under its label and CKA_ID: what a transfer that was
    /// cut off after C_UnwrapKey left undone.
    pub(super) fn store_missing_public_half(&self, session: &Session, key: &KeyRecord) -> Result<Option<ObjectHandle>> {
        let doing = "store the public half";
        let present = key::public_objects(session, &key.public, self.options.objects).map_err(|error| self.failed(error, doing))?;
        if !present.is_empty() {
            return Ok(None);
        }
        let mut template = key::public_numbers(&key.public);
        let id = key::bytes_of_local_id(&key.attributes.local_id);
        template.extend(key::public_template(&key.attributes.label, id.as_deref(), self.options.objects));
        let failed = |error| self.failed(CallError::from(error), doing);
        let public = session.create_object(&template).map_err(failed)?;
        let shown = session.get_attributes(public, &[AttributeType::ModulusBits]).map_err(failed)?;
        let bits = Ulong::try_from(key.public.modulus_bits()).map_err(failed)?;
        if shown.contains(&Attribute::ModulusBits(bits)) {
            return Ok(Some(public));
        }
        // PKCS#11 3.1 §6.1.2 has the token fill in CKA_MODULUS_BITS by itself. Kryoptic does not, but takes it, and tools show the
        // key with its size then. It is not tried first: SoftHSM refuses it and leaves half an object behind. A process that is
        // killed in between has stored no public half, which the next run does.
        session.destroy_object(public).map_err(failed)?;
        template.push(Attribute::ModulusBits(bits));
        let with_bits = session.create_object(&template).or_else(|_| {
            template.pop();
            session.create_object(&template)
        });
        with_bits.map(Some).map_err(failed)
    }

    fn make_transport_key(&self, session: &Session, modulus_bits: usize, hashes: &[Hash]) -> Result<(SessionPair, Hash, ProvenKwp)> {
        let failed = |error: TestError| match error {
            TestError::Call(error) => self.failed(error, "make a key encryption key"),
            TestError::Keykit(error) => error,
        };
        let mut new = NewObjects::new(session);
        let pair = self.test_key_pair(session, &mut new, modulus_bits, PairUse::Unwrap).map_err(failed)?;
        let mut reasons = Vec::new();
        for &hash in hashes {
            match self.prove_route(session, &pair.public, pair.private_handle, hash).map_err(failed)? {
                Ok(kwp) => {
                    new.keep();
                    return Ok((pair, hash, kwp));
                }
                Err(reason) => reasons.push(reason),
            }
        }
        Err(self.mechanism_missing(OPERATION, reasons.join("; ")))
    }

    /// The mechanism of RFC 5649 that works behind OAEP with this hash under this key, or what is missing.
    pub(super) fn prove_route(
        &self,
        session: &Session,
        kek: &RsaPublicKey,
        private: ObjectHandle,
        hash: Hash,
    ) -> Result<Result<ProvenKwp, String>, TestError> {
        let mut new = NewObjects::new(session);
        let key = KeyEncryptionKey::random()?;
        let sealed = kek.encrypt(&EncryptionScheme::oaep(hash), key.expose().expose())?;
        let oaep = Mechanism::Oaep(Oaep::plain(hash));
        let handle = match self.module.functions.unwrap_key(session, &oaep, private, &sealed, &self.wrapping_key_template(true)) {
            Ok(handle) => new.add(handle),
            Err(error) => {
                let error = self.unless_gone(error)?;
                return Ok(Err(format!("CKM_RSA_PKCS_OAEP with {hash} ({})", error.name())));
            }
        };
        for mechanism in self.offered_kwp_mechanisms()? {
            let ability = self.test_kwp(session, &key, handle, mechanism)?;
            if ability.unwrap == KwpVerdict::Correct {
                return Ok(Ok(ProvenKwp { mechanism, wraps_exactly: ability.wrap == KwpVerdict::Correct }));
            }
        }
        Ok(Err(format!("AES key wrap with padding (RFC 5649) that passes its self-test behind OAEP with {hash}")))
    }
}

/// A mechanism that unwraps as RFC 5649 has it, by its self-test under the key encryption key itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProvenKwp {
    pub(super) mechanism: CK_MECHANISM_TYPE,
    /// Whether it wraps so too; if not, it may add up to seven zero bytes.
    pub(super) wraps_exactly: bool,
}

/// A key encryption key that lives in one session.
struct SessionTransportKey<'a> {
    store: &'a Pkcs11Store,
    /// Taken out when the key is dropped.
    session: Option<Session>,
    pair: SessionPair,
    oaep_hash: Hash,
    kwp: ProvenKwp,
}

impl fmt::Debug for SessionTransportKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionTransportKey").field("public", &self.pair.public).field("oaep_hash", &self.oaep_hash).finish_non_exhaustive()
    }
}

impl Drop for SessionTransportKey<'_> {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        let destroyed = [self.pair.private_handle, self.pair.public_handle].map(|object| session.destroy_object(object).is_ok());
        // If an object did not go by itself, it goes with the session.
        if destroyed == [true, true] {
            self.store.pool.give_back(session);
        } else {
            self.store.pool.retire(session);
        }
    }
}

impl TransportKey for SessionTransportKey<'_> {
    fn public(&self) -> &RsaPublicKey {
        &self.pair.public
    }

    fn oaep_hash(&self) -> Hash {
        self.oaep_hash
    }

    fn unwrap_in(&self, blob: &[u8], expected: &RsaPublicKey, request: &KeyRequest) -> Result<KeyRecord> {
        let session = self.session.as_ref().ok_or_else(|| Error::Internal("a transport key without its session".into()))?;
        let store = self.store;
        match store.find(&expected.id()) {
            Ok(present) => {
                store.store_missing_public_half(session, &present)?;
                return Ok(present);
            }
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let id = request.local_id_for(&expected.id());
        store.refuse_occupied(session, &request.label, Some(&id), Some(expected))?;
        let (sealed, wrapped) = blob.split_at_checked(self.pair.public.modulus_bytes()).ok_or(Error::Crypto)?;
        if wrapped.len() < 16 || !wrapped.len().is_multiple_of(8) {
            return Err(Error::Crypto);
        }
        let mut new = NewObjects::new(session);
        let route = UnwrapRoute { kek: self.pair.private_handle, kek_public: &self.pair.public, oaep_hash: self.oaep_hash, kwp: self.kwp };
        let private = store.unwrap_private(session, &mut new, route, (sealed, wrapped), request, Some(&id))?;
        let record = store.prove_new_key(session, private, request, Some(expected))?;
        // A token that makes the public half by itself has it now.
        if let Some(public) = store.store_missing_public_half(session, &record)? {
            new.add(public);
        }
        new.keep();
        store.forget_handles();
        Ok(record)
    }
}

/// The two steps by which a blob is opened in a token.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnwrapRoute<'a> {
    /// The private half of the key encryption key.
    pub(super) kek: ObjectHandle,
    /// The public half.
    pub(super) kek_public: &'a RsaPublicKey,
    pub(super) oaep_hash: Hash,
    /// The mechanism that is RFC 5649 here.
    pub(super) kwp: ProvenKwp,
}

impl Pkcs11Store {
    /// The AES key of a blob, for this session; it may wrap too if `wraps`.
    pub(super) fn unwrap_ephemeral(
        &self,
        session: &Session,
        passing: &mut NewObjects<'_>,
        route: UnwrapRoute<'_>,
        sealed: &[u8],
        wraps: bool,
    ) -> Result<ObjectHandle, CallError> {
        let oaep = Mechanism::Oaep(Oaep::plain(route.oaep_hash));
        let aes = self.module.functions.unwrap_key(session, &oaep, route.kek, sealed, &self.wrapping_key_template(wraps))?;
        Ok(passing.add(aes))
    }

    /// Unwraps the AES key for this session, and with it the private key for good. What is new is in `new`.
    pub(super) fn unwrap_private(
        &self,
        session: &Session,
        new: &mut NewObjects<'_>,
        route: UnwrapRoute<'_>,
        (sealed, wrapped): (&[u8], &[u8]),
        request: &KeyRequest,
        id: Option<&[u8]>,
    ) -> Result<ObjectHandle> {
        let store = self;
        let functions = &store.module.functions;
        // The ephemeral key has a guard of its own: it goes whether or not the unwrapped key stays.
        let mut passing = NewObjects::new(session);
        let aes = store.unwrap_ephemeral(session, &mut passing, route, sealed, false);
        let aes = aes.map_err(|error| store.rejected(session, route, error))?;
        let mut template = vec![Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::KeyType(KeyType::RSA)];
        template.extend(key::private_template(request, id, store.private_objects(), store.options.objects));
        let unwrap = |template: &[Attribute]| functions.unwrap_key(session, &Mechanism::Plain(route.kwp.mechanism), aes, wrapped, template);
        match unwrap(&template) {
            Ok(private) => Ok(new.add(private)),
            Err(error) => {
                // The same code may mean a wrapped key that is not sound, or a token that cannot store it. A key that opens for
                // this session only tells them apart.
                let for_session =
                    template.iter().map(|attribute| if *attribute == Attribute::Token(true) { Attribute::Token(false) } else { attribute.clone() });
                let opens = error.blames_wrapped_key() && unwrap(&for_session.collect::<Vec<_>>()).map(|object| passing.add(object)).is_ok();
                Err(if opens { store.failed(error, "store the unwrapped key") } else { store.rejected(session, route, error) })
            }
        }
    }

    /// A wrapped key that is not sound is an opaque failure of cryptography; but only if the token still takes one that is. Tokens
    /// have the same codes for both, and a blob must not be blamed for a token that dropped out.
    pub(super) fn rejected(&self, session: &Session, route: UnwrapRoute<'_>, error: CallError) -> Error {
        if !error.blames_wrapped_key() {
            return self.failed(error, DOING);
        }
        let error = match self.unless_gone(error) {
            Ok(error) => error,
            Err(gone) => return self.failed(gone, DOING),
        };
        match self.prove_route(session, route.kek_public, route.kek, route.oaep_hash) {
            Ok(Ok(_)) => Error::Crypto,
            Ok(Err(_)) | Err(TestError::Keykit(_)) => self.failed(error, DOING),
            Err(TestError::Call(gone)) => self.failed(gone, DOING),
        }
    }
}
