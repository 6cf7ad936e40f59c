//! The store itself: list, sign, decrypt, generate, destroy.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism as CryptokiMechanism;
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::slot::Slot;
use cryptoki_sys::CKM_RSA_PKCS;
use keykit::key::{Digest, EncryptionScheme, Hash, KeyId, RsaPublicKey};
use keykit::secret::{Password, SecretBytes};
use keykit::store::{DecryptionFailed, Destroy, Generate, KeyRecord, KeyRequest, KeyStore, StoreIdentity, UnwrapIn, WrapOut};
use keykit::{Error, Result};

use super::error::CallError;
use super::key::{self, FoundKey, NewObjects};
use super::module::{LoginGuard, Module, lock};
use super::parallel::over_sessions;
use super::protection::TokenFacts;
use super::quirks::quirks_of;
use super::self_test::KwpAbility;
use super::session::SessionPool;
use super::sys::Mechanism;
use super::token;
use super::uri::Pkcs11Uri;

/// How labels begin that keykit chooses itself: of migrated keys and of new ones.
const OWN_LABELS: &str = "keykit-";

/// How a token is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pkcs11Options {
    /// How many sessions work in parallel.
    pub sessions: usize,
    /// The OAEP hash of transport keys. `None` takes SHA-1, which every token can undo and the other side can make, and
    /// SHA-256 if the token refuses SHA-1. OAEP's security does not rest on the hash's resistance to collisions.
    pub transport_oaep_hash: Option<Hash>,
    /// Where the keys of the store live.
    pub objects: ObjectLifetime,
}

/// How long new keys live, and which keys the store sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ObjectLifetime {
    /// In the token, until they are destroyed (CKA_TOKEN true).
    #[default]
    Token,
    /// As long as the store: all are session objects (CKA_TOKEN false), and nothing is written to the token. The store sees
    /// these keys only. For tests and measurements on tokens that are in use.
    Session,
}

impl Default for Pkcs11Options {
    /// One session for each processor.
    fn default() -> Self {
        Self {
            sessions: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            transport_oaep_hash: None,
            objects: ObjectLifetime::Token,
        }
    }
}

/// Keys by their handles, as they were last read; a key that is there twice has two handles.
#[derive(Default)]
struct KnownKeys {
    keys: Vec<(ObjectHandle, RsaPublicKey)>,
    /// Whether nothing was made or destroyed here since.
    is_current: bool,
}

impl KnownKeys {
    fn places_of(&self, id: &KeyId) -> Vec<(ObjectHandle, RsaPublicKey)> {
        self.keys.iter().filter(|(_, public)| public.id() == *id).cloned().collect()
    }
}

/// A key store on a PKCS#11 token.
///
/// All RSA private keys that live in the token (CKA_TOKEN) are its keys. One whose public half cannot be read, neither
/// from its own object nor from the public object with its CKA_ID, is left out; [`Self::warnings`] names it.
pub struct Pkcs11Store {
    pub(super) identity: StoreIdentity,
    pub(super) facts: TokenFacts,
    pub(super) module: Arc<Module>,
    pub(super) slot: Slot,
    pub(super) options: Pkcs11Options,
    /// Closed before the login ends: fields are dropped in order.
    pub(super) pool: SessionPool,
    login: Option<LoginGuard>,
    known: Mutex<KnownKeys>,
    left_out: Mutex<Vec<String>>,
    pub(super) kwp: OnceLock<Vec<KwpAbility>>,
    pub(super) rsa_aes_key_wrap: OnceLock<bool>,
    pub(super) oaep_label: OnceLock<bool>,
}

impl fmt::Debug for Pkcs11Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pkcs11Store").field("uri", &self.identity.uri).field("options", &self.options).finish_non_exhaustive()
    }
}

impl Pkcs11Store {
    /// Opens the one token that the URI means, and logs in if the token wants a login.
    ///
    /// # Errors
    /// [`Error::Usage`] if the URI names no module, matches several tokens, or a PIN is needed and not given;
    /// [`Error::NotFound`] if it matches none (the hint lists the tokens); [`Error::WrongPin`], after one try;
    /// [`Error::Token`].
    pub fn open(uri: &Pkcs11Uri, pin: Option<Password>, options: Pkcs11Options) -> Result<Self> {
        let path = uri.required_module_path()?;
        let module = Module::load(path)?;
        let (slot, description) = token::choose(&module, uri, path)?;
        let store = &description.uri;
        let login = if description.login_required {
            let info = module.context.get_token_info(slot).map_err(|error| CallError::from(error).into_error(store, "read the token's flags"))?;
            Some(module.log_in(slot, &info, pin.as_ref(), store)?)
        } else {
            None
        };
        drop(pin);
        Ok(Self {
            identity: description.identity(),
            facts: description.facts(),
            pool: SessionPool::new(Arc::clone(&module), slot, options.sessions, options.objects),
            module,
            slot,
            options,
            login,
            known: Mutex::default(),
            left_out: Mutex::default(),
            kwp: OnceLock::new(),
            rsa_aes_key_wrap: OnceLock::new(),
            oaep_label: OnceLock::new(),
        })
    }

    /// What the operator should know of the token, in sentences: known quirks, and keys that had to be left out when the
    /// keys were last listed.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let quirks = quirks_of(&self.identity).map(|quirk| quirk.sentence.to_owned());
        quirks.chain(lock(&self.left_out).iter().cloned()).collect()
    }

    /// The keys that the URI's `object`, `id` and `type` leave over.
    ///
    /// # Errors
    /// [`Error::Token`].
    pub fn keys_matching(&self, uri: &Pkcs11Uri) -> Result<Vec<KeyRecord>> {
        let id: Option<String> = uri.id.as_ref().map(|id| id.iter().map(|byte| format!("{byte:02x}")).collect());
        let mut keys = self.keys()?;
        keys.retain(|key| {
            uri.object.as_ref().is_none_or(|label| *label == key.attributes.label)
                && id.as_ref().is_none_or(|id| *id == key.attributes.local_id)
                && uri.object_type.is_none_or(|class| matches!(class, super::ObjectType::Private | super::ObjectType::Public))
        });
        Ok(keys)
    }

    /// The keys that live in the token (CKA_TOKEN), for a store that was opened for session objects too. Nothing is used or changed.
    ///
    /// # Errors
    /// [`Error::Token`].
    pub fn resident_keys(&self) -> Result<Vec<KeyRecord>> {
        let read = |session: &Session| key::read_keys(session, &self.facts, ObjectLifetime::Token);
        let (keys, _) = self.pool.with(read).map_err(|error| self.failed(error, "list the keys"))?;
        Ok(keys.into_iter().map(|key| key.record).collect())
    }

    pub(super) fn failed(&self, error: CallError, doing: &str) -> Error {
        if matches!(error.code(), Some(RvError::KeyHandleInvalid | RvError::ObjectHandleInvalid)) || error.is_loss() {
            // What was known of the objects no longer holds.
            *lock(&self.known) = KnownKeys::default();
        }
        self.pool.forget(&error);
        error.into_error(&self.identity.uri, doing)
    }

    pub(super) fn mechanism_missing(&self, operation: &str, mechanism: impl Into<String>) -> Error {
        Error::Unsupported { operation: operation.to_owned(), mechanism: mechanism.into(), store: self.identity.uri.clone() }
    }

    /// Whether new objects are private: a token without a login knows none.
    pub(super) fn private_objects(&self) -> bool {
        self.login.is_some()
    }

    /// All keys, read anew; what they are is kept with their handles.
    pub(super) fn read_keys(&self, session: &Session) -> Result<Vec<FoundKey>, CallError> {
        let (keys, left_out) = key::read_keys(session, &self.facts, self.options.objects)?;
        if keys.is_empty() {
            // A token that was taken away may show no objects, without an error: that must not pass for an empty token.
            self.check_presence()?;
        }
        let read = keys.iter().map(|key| (key.private, key.record.public.clone())).collect();
        *lock(&self.known) = KnownKeys { keys: read, is_current: true };
        *lock(&self.left_out) = left_out;
        Ok(keys)
    }

    /// Fails unless the slot still holds the token that was opened (C_GetTokenInfo).
    pub(super) fn check_presence(&self) -> Result<(), CallError> {
        let found = self.module.context.get_token_info(self.slot)?;
        if found.serial_number() == self.identity.serial && found.label() == self.identity.label {
            return Ok(());
        }
        Err(CallError::other("C_GetTokenInfo", "another token is in the slot".into()))
    }

    /// Hands a failure back, if the token is there. One that was taken away may answer with a code that blames what it was given.
    ///
    /// # Errors
    /// That the token is gone.
    pub(super) fn unless_gone(&self, error: CallError) -> Result<CallError, CallError> {
        if error.is_loss() {
            return Err(error);
        }
        self.check_presence().map(|()| error)
    }

    /// Objects were made or destroyed: the token is asked again before what is known of it counts.
    pub(super) fn forget_handles(&self) {
        lock(&self.known).is_current = false;
    }

    /// Which keys are there now. Only those are read whose handles were not there before, so that a look costs the same however many
    /// keys there are: the modulus of an object never changes (PKCS#11 3.1 §4.9), and a handle means the same object as long as the
    /// object lives (§4.4).
    fn look_again(&self, session: &Session) -> Result<(), CallError> {
        let handles = key::handles(session, self.options.objects)?;
        if handles.is_empty() {
            self.check_presence()?;
        }
        let known = std::mem::take(&mut lock(&self.known).keys);
        let mut known: HashMap<_, _> = known.into_iter().map(|(handle, public)| (handle.handle(), public)).collect();
        let (mut keys, mut left_out) = (Vec::new(), Vec::new());
        for handle in handles {
            match known.remove(&handle.handle()) {
                Some(public) => keys.push((handle, public)),
                None => match key::read_key(session, handle, &self.facts)? {
                    Ok(record) => keys.push((handle, record.public)),
                    Err(sentence) => left_out.push(sentence),
                },
            }
        }
        *lock(&self.known) = KnownKeys { keys, is_current: true };
        *lock(&self.left_out) = left_out;
        Ok(())
    }

    /// The key as the token shows it now; what was known of it only says where to look.
    fn read_again(&self, session: &Session, id: &KeyId) -> Result<Vec<KeyRecord>, CallError> {
        self.look_again(session)?;
        let places = lock(&self.known).places_of(id);
        let mut found = Vec::new();
        for (handle, _) in places {
            match key::read_key(session, handle, &self.facts)? {
                Ok(record) if record.id() == *id => found.push(record),
                // The handle means another object now: nothing that was known counts.
                _ => return Ok(self.read_keys(session)?.into_iter().map(|key| key.record).filter(|record| record.id() == *id).collect()),
            }
        }
        Ok(found)
    }

    fn more_than_once(&self, id: &KeyId) -> Error {
        Error::Conflict {
            what: format!("{} holds the key {} more than once", self.identity.uri, id.short()),
            hint: Some("remove the copy that does not belong there".into()),
        }
    }

    /// The handle of a key, from what is known or else from the token.
    pub(super) fn handle(&self, id: &KeyId) -> Result<(ObjectHandle, RsaPublicKey)> {
        let known = {
            let known = lock(&self.known);
            if known.is_current { known.places_of(id) } else { Vec::new() }
        };
        let found = if known.is_empty() {
            self.pool.with(|session| self.look_again(session)).map_err(|error| self.failed(error, "list the keys"))?;
            lock(&self.known).places_of(id)
        } else {
            known
        };
        match found.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(self.no_such_key(id)),
            _ => Err(self.more_than_once(id)),
        }
    }

    /// Refuses a label or CKA_ID that another key has.
    pub(super) fn refuse_occupied(&self, session: &Session, label: &str, id: Option<&[u8]>, expected: Option<&RsaPublicKey>) -> Result<()> {
        match key::occupied(session, label, id, expected, self.options.objects)
            .map_err(|error| self.failed(error, "look for keys of the same name"))?
        {
            None => Ok(()),
            Some(what) => Err(Error::Conflict {
                what: format!("{}: {what}; nothing was changed", self.identity.uri),
                hint: Some("choose another label and CKA_ID, or remove that key if it does not belong there".into()),
            }),
        }
    }

    /// Reads a new key back, checks that it is what was asked for, and lets it prove itself: a signature that the public
    /// half verifies.
    pub(super) fn prove_new_key(
        &self,
        session: &Session,
        private: ObjectHandle,
        request: &KeyRequest,
        expected: Option<&RsaPublicKey>,
    ) -> Result<KeyRecord> {
        let doing = "check the new key";
        let record = key::read_key(session, private, &self.facts).map_err(|error| self.failed(error, doing))?;
        let record = record.map_err(|sentence| Error::negative(format!("{}: {sentence}", self.identity.uri)))?;
        if expected.is_some_and(|expected| *expected != record.public) {
            return Err(Error::Conflict {
                what: format!("the wrapped key is {}, not the expected one", record.id().short()),
                hint: Some("nothing stays behind; check which key was wrapped".into()),
            });
        }
        key::check_stored(&record, request)?;
        let challenge = SecretBytes::random(32)?;
        let digest = Hash::Sha256.digest(challenge.expose());
        let capacity = record.public.modulus_bytes();
        let signature = self
            .module
            .functions
            .sign(session, &Mechanism::Plain(CKM_RSA_PKCS), private, &digest.to_digest_info(), capacity)
            .map_err(|error| self.failed(error, doing))?;
        if record.public.verify(&digest, &signature) {
            Ok(record)
        } else {
            Err(Error::negative(format!("{}: the new key {} does not sign as it should; it was removed", self.identity.uri, record.id().short())))
        }
    }

    /// A session for work of several steps, which goes back to the pool whatever happens.
    pub(super) fn with_session<T>(&self, work: impl FnOnce(&Session) -> Result<T>) -> Result<T> {
        let session = self.pool.take().map_err(|error| self.failed(error, "open a session"))?;
        let outcome = work(&session);
        match &outcome {
            // The state of the session is not known; sessions are cheap.
            Err(Error::Token(_)) => self.pool.retire(session),
            _ => self.pool.give_back(session),
        }
        outcome
    }
}

impl KeyStore for Pkcs11Store {
    fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    fn keys(&self) -> Result<Vec<KeyRecord>> {
        let keys = self.pool.with(|session| self.read_keys(session)).map_err(|error| self.failed(error, "list the keys"))?;
        Ok(keys.into_iter().map(|key| key.record).collect())
    }

    fn find(&self, id: &KeyId) -> Result<KeyRecord> {
        let mut found = self.pool.with(|session| self.read_again(session, id)).map_err(|error| self.failed(error, "list the keys"))?;
        match (found.pop(), found.is_empty()) {
            (Some(key), true) => Ok(key),
            (None, _) => Err(self.no_such_key(id)),
            (Some(_), false) => Err(self.more_than_once(id)),
        }
    }

    /// CKM_RSA_PKCS over the digest's DER DigestInfo: one C_Sign for each digest.
    fn sign(&self, key: &KeyId, digests: &[Digest]) -> Result<Vec<Vec<u8>>> {
        let (handle, public) = self.handle(key)?;
        let length = public.modulus_bytes();
        let work = |session: &Session, digest: &Digest| {
            self.module.functions.sign(session, &Mechanism::Plain(CKM_RSA_PKCS), handle, &digest.to_digest_info(), length)
        };
        let signatures = over_sessions(&self.pool, digests, work).map_err(|error| match error {
            error if error.is_unsupported() => self.mechanism_missing("sign", "CKM_RSA_PKCS"),
            error => self.failed(error, "sign"),
        })?;
        if signatures.iter().all(|signature| signature.len() == length) { Ok(signatures) } else { Err(Error::Crypto) }
    }

    /// CKM_RSA_PKCS or CKM_RSA_PKCS_OAEP: one C_Decrypt for each ciphertext.
    fn decrypt(&self, key: &KeyId, scheme: &EncryptionScheme, ciphertexts: &[&[u8]]) -> Result<Vec<Result<SecretBytes, DecryptionFailed>>> {
        self.decrypt_batch(key, scheme, ciphertexts)
    }

    fn refused_after_decryption(&self, key: &KeyId, scheme: &EncryptionScheme, failed: usize, refused: &[&[u8]]) {
        if *scheme == EncryptionScheme::Pkcs1v15 && !refused.is_empty() {
            self.take_time_of_failures(key, failed, refused);
        }
    }

    fn as_generate(&self) -> Result<&dyn Generate> {
        Ok(self)
    }

    fn as_wrap_out(&self) -> Result<&dyn WrapOut> {
        Ok(self)
    }

    fn as_unwrap_in(&self) -> Result<&dyn UnwrapIn> {
        Ok(self)
    }

    fn as_destroy(&self) -> Result<&dyn Destroy> {
        Ok(self)
    }
}

impl Pkcs11Store {
    /// A process that was killed inside of C_GenerateKeyPair may have left a public half without a key. Under a label that keykit made
    /// it is ours, and of no use: it goes, so that the generation can be done again.
    fn clear_half_made(&self, session: &Session, label: &str) -> Result<()> {
        if !label.starts_with(OWN_LABELS) {
            return Ok(());
        }
        let cleared = key::lone_public_halves(session, label, self.options.objects)
            .and_then(|lone| lone.into_iter().try_for_each(|object| Ok(session.destroy_object(object)?)));
        cleared.map_err(|error| self.failed(error, "remove what a generation that was cut off left"))
    }
}

impl Generate for Pkcs11Store {
    /// CKM_RSA_PKCS_KEY_PAIR_GEN in the token. Without a CKA_ID in the request, it is set once the modulus is known.
    fn generate(&self, modulus_bits: usize, request: &KeyRequest) -> Result<KeyRecord> {
        let doing = "generate a key";
        let bits =
            cryptoki::types::Ulong::try_from(modulus_bits).map_err(|_| Error::usage(format!("a key of {modulus_bits} bits is not possible")))?;
        let record = self.with_session(|session| {
            let fixed_id = request.local_id.as_deref();
            self.clear_half_made(session, &request.label)?;
            self.refuse_occupied(session, &request.label, fixed_id, None)?;
            let mut public = key::public_template(&request.label, fixed_id, self.options.objects);
            public.extend([Attribute::ModulusBits(bits), Attribute::PublicExponent(vec![1, 0, 1])]);
            let private = key::private_template(request, fixed_id, self.private_objects(), self.options.objects);
            let mut new = NewObjects::new(session);
            let call = |error: cryptoki::error::Error| self.failed(CallError::from(error), doing);
            let (public, private) = session.generate_key_pair(&CryptokiMechanism::RsaPkcsKeyPairGen, &public, &private).map_err(call)?;
            let (public, private) = (new.add(public), new.add(private));
            if fixed_id.is_none() {
                let key = key::read_public(session, public).map_err(|error| self.failed(error, doing))?;
                let key = key.ok_or_else(|| Error::negative(format!("{} does not show the new key's public half", self.identity.uri)))?;
                let id = [Attribute::Id(request.local_id_for(&key.id()))];
                session.update_attributes(public, &id).and_then(|()| session.update_attributes(private, &id)).map_err(call)?;
            }
            let record = self.prove_new_key(session, private, request, None)?;
            new.keep();
            Ok(record)
        });
        self.forget_handles();
        record
    }
}

impl Destroy for Pkcs11Store {
    fn destroy(&self, id: &KeyId) -> Result<()> {
        // What the token shows at its handle now, not what was known: a token may give the handle of an object that is gone to another.
        self.find(id)?;
        let (private, public) = self.handle(id)?;
        let destroyed = self.pool.with(|session| {
            session.destroy_object(private)?;
            for object in key::public_objects(session, &public, self.options.objects)? {
                session.destroy_object(object)?;
            }
            Ok(())
        });
        self.forget_handles();
        destroyed.map_err(|error| self.failed(error, "destroy a key"))
    }
}
