//! The keys of custodians: Ed25519, in the files of OpenSSH.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{Algorithm, Cipher, HashAlg, Kdf, LineEnding, PrivateKey, PublicKey, SshSig};

use crate::durable::{self, Access, Existing};
use crate::error::{Error, Result};
use crate::secret::{Password, SecretBytes};

const FORMAT: &str = "custodian's key";
/// Largest file that is read, in bytes.
const LIMIT: u64 = 64 << 10;
/// Rounds of bcrypt for a new key, as OpenSSH has them.
const ROUNDS: u32 = 24;
/// Most rounds that are tried: a file that asks for more is a trap.
const MOST_ROUNDS: u32 = 4096;

/// A custodian's public key: the text `ssh-ed25519 AAAA…`, without comment (RFC 8709 §4).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CustodianPublicKey([u8; 32]);

impl CustodianPublicKey {
    /// The key with these 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes (RFC 8032 §5.1.5).
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// SHA-256 of the key as OpenSSH shows it: `SHA256:…`.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.to_ssh().fingerprint(HashAlg::Sha256).to_string()
    }

    fn to_ssh(&self) -> PublicKey {
        PublicKey::from(ssh_key::public::Ed25519PublicKey(self.0))
    }

    /// Whether a signature of OpenSSH over `message`, in `namespace`, is by this key.
    pub(super) fn verifies(&self, namespace: &str, message: &[u8], signature: &SshSig) -> bool {
        self.to_ssh().verify(namespace, message, signature).is_ok()
    }

    /// Whether a bare Ed25519 signature (RFC 8032) over `message` is by this key.
    pub(super) fn verifies_raw(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }

    /// The key inside a signature of OpenSSH, if it is of Ed25519.
    pub(super) fn of_signature(signature: &SshSig) -> Option<Self> {
        signature.public_key().ed25519().map(|key| Self(key.0))
    }
}

impl fmt::Display for CustodianPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_ssh().to_openssh().unwrap_or_default())
    }
}

impl fmt::Debug for CustodianPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CustodianPublicKey({self})")
    }
}

impl FromStr for CustodianPublicKey {
    type Err = Error;

    /// Reads a line of a `.pub` file.
    ///
    /// # Errors
    /// [`Error::Malformed`] for anything but an Ed25519 key.
    fn from_str(text: &str) -> Result<Self> {
        PublicKey::from_openssh(text.trim())
            .ok()
            .and_then(|key| key.key_data().ed25519().map(|key| Self(key.0)))
            .ok_or_else(|| Error::malformed(FORMAT, "no public key of the form `ssh-ed25519 AAAA…`"))
    }
}

impl From<CustodianPublicKey> for String {
    fn from(key: CustodianPublicKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for CustodianPublicKey {
    type Error = Error;

    /// The one form that is written: no comment, no blanks around.
    fn try_from(text: String) -> Result<Self> {
        let key: Self = text.parse()?;
        if key.to_string() == text { Ok(key) } else { Err(Error::malformed(FORMAT, "a public key with a comment or blanks around it")) }
    }
}

/// A custodian's private key.
pub struct CustodianKey(PrivateKey);

impl fmt::Debug for CustodianKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CustodianKey({})", self.public().fingerprint())
    }
}

impl CustodianKey {
    /// Makes a new key. `comment` is kept in the file, for people.
    ///
    /// # Errors
    /// [`Error::Internal`] when the system has no randomness to give.
    pub fn generate(comment: &str) -> Result<Self> {
        let seed = SecretBytes::random(32)?;
        let seed: &[u8; 32] = seed.expose().try_into().map_err(|_| Error::Internal("a seed of another length".into()))?;
        let pair = KeypairData::from(Ed25519Keypair::from_seed(seed));
        PrivateKey::new(pair, comment).map(Self).map_err(|error| Error::Internal(format!("making a key: {error}")))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> CustodianPublicKey {
        CustodianPublicKey(self.0.public_key().key_data().ed25519().map(|key| key.0).unwrap_or_default())
    }

    /// Reads a private key of OpenSSH. `password` is asked only if the key is encrypted.
    ///
    /// # Errors
    /// [`Error::Malformed`] for anything but an Ed25519 key; [`Error::WrongPassword`]; what `password` says.
    pub fn parse(text: &str, password: impl FnOnce() -> Result<Password>) -> Result<Self> {
        let malformed =
            |problem: &str| Error::malformed(FORMAT, problem).with_hint("`keykit ceremony keygen` makes one, and so does `ssh-keygen -t ed25519`");
        let key = PrivateKey::from_openssh(text).map_err(|_| malformed("no private key in the form of OpenSSH"))?;
        if key.algorithm() != Algorithm::Ed25519 {
            return Err(malformed("not an Ed25519 key"));
        }
        if !key.is_encrypted() {
            return Ok(Self(key));
        }
        if matches!(key.kdf(), Kdf::Bcrypt { rounds, .. } if *rounds > MOST_ROUNDS) {
            return Err(malformed("its password is to be hashed for too many rounds"));
        }
        let key = key.decrypt(password()?.expose()).map_err(|_| Error::WrongPassword {
            what: "the custodian's key".into(),
            hint: "check the password; `ssh-keygen -y -f KEY` asks for the same one".into(),
        })?;
        Ok(Self(key))
    }

    /// Reads a private key file.
    ///
    /// # Errors
    /// As [`Self::parse`], and [`Error::Read`].
    pub fn read(path: &Path, password: impl FnOnce() -> Result<Password>) -> Result<Self> {
        let text = SecretBytes::take(durable::read(path, LIMIT, FORMAT)?);
        let text = str::from_utf8(text.expose()).map_err(|_| Error::malformed(FORMAT, "not text").in_file(path))?;
        Self::parse(text, password).map_err(|error| error.in_file(path))
    }

    /// Writes the key, encrypted under `password` (AES-256-CTR, bcrypt), for its owner only (mode 0600), and its public half beside
    /// it as `PATH.pub`. OpenSSH reads both.
    ///
    /// # Errors
    /// [`Error::Conflict`] if one of the files exists; [`Error::Write`]; [`Error::Usage`] for an empty password.
    pub fn write(&self, path: &Path, password: &Password) -> Result<()> {
        if password.expose().is_empty() {
            return Err(Error::usage("an empty password protects nothing"));
        }
        let failed = |error: ssh_key::Error| Error::Internal(format!("encoding a key: {error}"));
        let random = SecretBytes::random(20)?;
        let (salt, check) = random.expose().split_at_checked(16).ok_or_else(|| Error::Internal("too little randomness".into()))?;
        let check = check.try_into().map(u32::from_le_bytes).unwrap_or_default();
        let mut encrypted =
            self.0.encrypt_with(Cipher::Aes256Ctr, Kdf::Bcrypt { salt: salt.to_vec(), rounds: ROUNDS }, check, password.expose()).map_err(failed)?;
        encrypted.set_comment(self.0.comment().clone());
        let mut public_path = path.as_os_str().to_owned();
        public_path.push(".pub");
        let public = self.0.public_key().to_openssh().map_err(failed)?;
        // The public half first: a crash between the two leaves no key that nobody knows.
        durable::write(Path::new(&public_path), format!("{public}\n").as_bytes(), Access::Shared, Existing::Keep)?;
        durable::write(path, encrypted.to_openssh(LineEnding::LF).map_err(failed)?.as_bytes(), Access::OwnerOnly, Existing::Keep)
    }

    /// Signs a message as OpenSSH does (PROTOCOL.sshsig, SHA-512).
    pub(super) fn sign(&self, namespace: &str, message: &[u8]) -> Result<SshSig> {
        self.0.sign(namespace, HashAlg::Sha512, message).map_err(|_| Error::Crypto)
    }

    /// Signs a message with Ed25519 and nothing around it (RFC 8032). Only texts that can't be mistaken for others may be signed so.
    pub(super) fn sign_raw(&self, message: &[u8]) -> Result<Vec<u8>> {
        /// The trait through which `ssh-key` signs is not exported by name.
        fn sign(key: &impl ssh_key::SigningKey, message: &[u8]) -> Option<Vec<u8>> {
            key.try_sign(message).ok().map(|signature| signature.as_bytes().to_vec())
        }
        sign(&self.0, message).ok_or(Error::Crypto)
    }

    /// What the file says for people, for example a name.
    #[must_use]
    pub fn comment(&self) -> String {
        self.0.comment().to_string()
    }
}
