//! `keykit byok unwrap`

use std::path::Path;

use keykit::durable;
use keykit::key::{Hash, KeyId, RsaPublicKey};
use keykit::secret::SecretBytes;
use keykit::store::{KeyRecord, KeyRequest, KeyStore, Transferability, UnwrapOutcome};
use keykit::transfer::{Finding, OfferedKey, OpenedKey, TransferProfile, open_blob, open_envelope, wrap_rsa_aes};
use keykit::{Error, Result};
use serde::Serialize;

use crate::arguments::UnwrapArguments;
use crate::output::{Output, warn};
use crate::{exit, stores, transfers};

/// Size of the key that carries a key from memory into a token.
const TRANSPORT_KEY_BITS: usize = 2048;

#[derive(Debug, Serialize)]
struct Unwrapped {
    profile: String,
    key_id: KeyId,
    words: String,
    modulus_bits: usize,
    store: String,
    label: String,
    route: &'static str,
    proofs: Vec<Proof>,
    warnings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Proof {
    name: &'static str,
    ok: bool,
}

/// Opens a transfer file and stores its key.
pub(super) fn run(arguments: &UnwrapArguments, output: Output) -> Result<u8> {
    let profile = transfers::profile(&arguments.profile.profile, &arguments.profile.file)?;
    let bytes = durable::read(&arguments.file, transfers::LIMIT, "transfer file")?;
    let blob = open_envelope(&bytes, &profile).map_err(|error| error.in_file(&arguments.file))?;
    let expected = arguments.public_key.as_deref().map(read_public_key).transpose()?;
    let label = arguments.label.clone().unwrap_or_else(|| arguments.file.file_stem().unwrap_or_default().to_string_lossy().into_owned());
    let transferability = if arguments.wrappable { Transferability::Wrapped } else { Transferability::Never };
    let request = KeyRequest { label, local_id: None, transferability };
    let kek_store = stores::open_existing(&arguments.kek_store, &arguments.keyring)?;
    let kek = stores::key_by_start(kek_store.as_ref(), &arguments.kek)?;
    let job = Job { blob, kek, profile: &profile, expected, request };
    let same = arguments.target.as_ref().is_none_or(|target| *target == arguments.kek_store);
    let target = if same { None } else { arguments.target.as_deref().map(|target| stores::open(target, &arguments.keyring)).transpose()? };
    let (outcome, route) = match &target {
        None => job.in_one_store(kek_store.as_ref(), arguments.danger_key_in_memory)?,
        Some(target) => {
            let is_software = kek_store.identity().manufacturer == "keykit";
            if !is_software && !arguments.danger_key_in_memory {
                return Err(through_memory("the key encryption key is in a token and the key is to go elsewhere"));
            }
            (job.through_memory(kek_store.as_ref(), target.as_ref())?, "in-memory")
        }
    };
    let store = target.as_deref().unwrap_or(kek_store.as_ref());
    prove(store, &outcome.record.public)?;
    transfers::tell(&outcome.findings);
    let mut proofs = vec![Proof { name: "signs-and-verifies", ok: true }];
    proofs.extend(job.expected.is_some().then_some(Proof { name: "same-public-key", ok: true }));
    if store.identity().uri == "memory:" {
        warn("the key was tried in memory and is forgotten again");
    }
    let unwrapped = Unwrapped {
        profile: profile.name.clone(),
        key_id: outcome.record.id(),
        words: outcome.record.id().words(),
        modulus_bits: outcome.record.public.modulus_bits(),
        store: store.identity().uri.clone(),
        label: outcome.record.attributes.label.clone(),
        route,
        proofs,
        warnings: outcome.findings,
    };
    output.result("byok-unwrap", &unwrapped, || {
        let same = if unwrapped.proofs.len() > 1 { "\n  held: it is the expected key" } else { "" };
        format!(
            "key {} ({} bits)\n  {}\n  now in {} as '{}' ({route})\n  held: it signs, and its public half verifies{same}",
            unwrapped.key_id, unwrapped.modulus_bits, unwrapped.words, unwrapped.store, unwrapped.label
        )
    })?;
    Ok(exit::DONE)
}

/// What is to be opened.
struct Job<'a> {
    blob: Vec<u8>,
    kek: KeyRecord,
    profile: &'a TransferProfile,
    expected: Option<RsaPublicKey>,
    request: KeyRequest,
}

impl Job<'_> {
    /// Within the store of the key encryption key: a token does it by itself, if it can.
    fn in_one_store(&self, store: &dyn KeyStore, memory_allowed: bool) -> Result<(UnwrapOutcome, &'static str)> {
        let unwrapped = store.as_unwrap_in()?.unwrap_under(&self.kek.id(), self.profile.oaep_hash, &self.blob, self.expected.as_ref(), &self.request);
        match unwrapped {
            Err(Error::Refused(_) | Error::Unsupported { .. }) if memory_allowed => Ok((self.through_memory(store, store)?, "in-memory")),
            Err(Error::Unsupported { operation, mechanism, store }) => {
                warn("with --danger-key-in-memory the key may pass through the memory of this process instead");
                Err(Error::Unsupported { operation, mechanism, store })
            }
            other => Ok((other?, if store.identity().manufacturer == "keykit" { "in-memory" } else { "in-token" })),
        }
    }

    /// The key encryption key decrypts; the key is in locked memory until the target has it.
    fn through_memory(&self, kek_store: &dyn KeyStore, target: &dyn KeyStore) -> Result<UnwrapOutcome> {
        let decrypt = |scheme: &keykit::key::EncryptionScheme, sealed: &[u8]| -> Result<SecretBytes> {
            kek_store.decrypt(&self.kek.id(), scheme, &[sealed])?.into_iter().next().and_then(Result::ok).ok_or(Error::Crypto)
        };
        let OpenedKey { key, findings } = open_blob(&self.blob, &self.kek.public, self.profile.oaep_hash, &decrypt)?;
        if let Some(expected) = self.expected.as_ref().filter(|expected| *expected != key.public()) {
            return Err(Error::Conflict {
                what: format!("the file holds the key {}, not {}", key.id().short(), expected.id().short()),
                hint: Some("nothing was stored; take the file that was made from the expected key".into()),
            });
        }
        let record = match target.as_import_plaintext() {
            Ok(store) => store.import_plaintext(&key, &self.request)?,
            Err(_) => {
                let transport = target.as_unwrap_in()?.transport_key(TRANSPORT_KEY_BITS)?;
                let blob = wrap_rsa_aes(&key, transport.public(), transport.oaep_hash())?;
                transport.unwrap_in(&blob, key.public(), &self.request)?
            }
        };
        Ok(UnwrapOutcome { record, findings })
    }
}

fn through_memory(why: &str) -> Error {
    Error::refused_by_policy(
        format!("{why}: the key would pass through this process's memory"),
        "unwrap it into the token that holds the key encryption key; or say --danger-key-in-memory, if the policy allows that",
    )
}

/// The stored key signs, and its public half verifies.
fn prove(store: &dyn KeyStore, public: &RsaPublicKey) -> Result<()> {
    let challenge = Hash::Sha256.digest(SecretBytes::random(32)?.expose());
    let signatures = store.sign(&public.id(), &[challenge])?;
    if signatures.first().is_some_and(|signature| public.verify(&challenge, signature)) {
        return Ok(());
    }
    Err(Error::negative(format!("the key in {} does not sign as it should", store.identity().uri)))
}

fn read_public_key(file: &Path) -> Result<RsaPublicKey> {
    let bytes = durable::read(file, transfers::LIMIT, "public key")?;
    Ok(OfferedKey::parse(&bytes, None).map_err(|error| error.in_file(file))?.public)
}
