//! What a wrapped key holds, seen without seeing it: the key is opened for one session, and what is odd about its wrapping is
//! told by what the token answers.
//!
//! The token does not show the bytes that were wrapped, and takes more than a strict reader does: SoftHSM and kryoptic take
//! zeros behind the key, SoftHSM any bytes. So the token is asked to wrap the opened key again under the same AES key, and
//! both plaintexts are compared inside the token, by their digests (C_DigestKey) as secrets of this session. That tells zeros
//! apart from anything else, and their number.

use cryptoki::mechanism::Mechanism as CryptokiMechanism;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use keykit::key::{Hash, RsaPublicKey};
use keykit::store::KeyRequest;
use keykit::transfer::{Finding, other_hash_error};
use keykit::{Error, Result};

use super::error::CallError;
use super::key::NewObjects;
use super::store::Pkcs11Store;
use super::sys::{Mechanism, Oaep};
use super::unwrap::UnwrapRoute;

const FORMAT: &str = "wrapped PKCS#8 private key";
/// Zeros behind a key that are looked for. More than a reader takes are refused, however many.
const MOST_ZEROS: usize = 64;
/// Zeros that are taken: as many as SoftHSM 2.6 may add.
const TAKEN_ZEROS: usize = 7;
/// A wrapped key of 8192 bits with its padding.
const CAPACITY: usize = 8192;

/// What stands behind the key in a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behind {
    Nothing,
    /// So many zeros; up to seven more if the token itself may add some when it wraps.
    Zeros(usize),
    /// Other bytes, attributes of PKCS#8, or the numbers encoded in another way.
    Other,
    /// The token does not let it be seen, and why.
    Unseen(&'static str),
}

impl Pkcs11Store {
    /// Opens a blob as a key of this session, which is gone when this returns: it must be an RSA key, the expected one if
    /// there is one, and sign. A token that makes no such keys in sessions is let be, unless `must_open`: what is stored is proven
    /// too.
    ///
    /// # Errors
    /// [`Error::Negative`] if OAEP was made with another hash; [`Error::Malformed`] for another kind of key, and for eight or
    /// more zeros behind it; [`Error::Conflict`] for another key than the expected one; [`Error::Crypto`], opaque, otherwise.
    pub(super) fn open_for_session(
        &self,
        session: &Session,
        route: UnwrapRoute<'_>,
        (sealed, wrapped): (&[u8], &[u8]),
        expected: Option<&RsaPublicKey>,
        request: &KeyRequest,
        must_open: bool,
    ) -> Result<Vec<Finding>> {
        let opaque = |error: CallError| self.rejected(session, route, error);
        let mut passing = NewObjects::new(session);
        let aes = match self.unwrap_ephemeral(session, &mut passing, route, sealed, true) {
            Ok(aes) => aes,
            Err(error) if error.blames_wrapped_key() => return Err(self.other_hash(session, route, sealed).unwrap_or_else(|| opaque(error))),
            Err(error) => return Err(opaque(error)),
        };
        let open = |kind: KeyType, extractable: bool| {
            let template = self.passing_template(kind, extractable);
            self.module.functions.unwrap_key(session, &Mechanism::Plain(route.kwp.mechanism), aes, wrapped, &template)
        };
        let private = match open(KeyType::RSA, false) {
            Ok(private) => passing.add(private),
            Err(error) if error.is_loss() => return Err(opaque(error)),
            // The token may say of an EC key that the template is wrong, or that the wrapped key is.
            Err(error) => {
                return match open(KeyType::EC, false).map(|object| passing.add(object)) {
                    Ok(_) => Err(Error::malformed(FORMAT, "an EC key, where an RSA key is needed [not-rsa]")),
                    Err(_) if must_open || error.blames_wrapped_key() => Err(opaque(error)),
                    Err(_) => judge(Behind::Unseen("it opens no key for a session")),
                };
            }
        };
        self.prove_opened(session, private, expected, request)?;
        let behind = match open(KeyType::RSA, true).map(|object| passing.add(object)) {
            Ok(twin) => self.what_is_behind(session, route, (aes, twin), wrapped).map_err(opaque)?,
            Err(error) if error.is_loss() => return Err(opaque(error)),
            Err(_) => Behind::Unseen("it opens no key that may leave"),
        };
        judge(behind)
    }

    /// The error for a blob whose AES key was sealed with another hash.
    fn other_hash(&self, session: &Session, route: UnwrapRoute<'_>, sealed: &[u8]) -> Option<Error> {
        let template = self.wrapping_key_template(false);
        let opens = |hash: &Hash| {
            let oaep = Mechanism::Oaep(Oaep::plain(*hash));
            let opened = self.module.functions.unwrap_key(session, &oaep, route.kek, sealed, &template);
            // What was opened goes at once.
            opened.map(|object| NewObjects::new(session).add(object)).is_ok()
        };
        let found = [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512].into_iter().find(|hash| *hash != route.oaep_hash && opens(hash))?;
        Some(other_hash_error(found, route.oaep_hash))
    }

    /// A private key of this session.
    fn passing_template(&self, kind: KeyType, extractable: bool) -> Vec<Attribute> {
        vec![
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::KeyType(kind),
            Attribute::Token(false),
            Attribute::Private(self.private_objects()),
            Attribute::Sensitive(true),
            Attribute::Extractable(extractable),
            Attribute::Sign(true),
        ]
    }

    /// Which key it is, and that it signs.
    fn prove_opened(&self, session: &Session, private: ObjectHandle, expected: Option<&RsaPublicKey>, request: &KeyRequest) -> Result<()> {
        let request = KeyRequest { transferability: keykit::store::Transferability::Never, ..request.clone() };
        self.prove_new_key(session, private, &request, expected).map(drop)
    }

    /// Compares what was wrapped with what the token makes of the key that was in it.
    fn what_is_behind(
        &self,
        session: &Session,
        route: UnwrapRoute<'_>,
        (aes, twin): (ObjectHandle, ObjectHandle),
        wrapped: &[u8],
    ) -> Result<Behind, CallError> {
        let ours = match self.module.functions.wrap_key(session, &Mechanism::Plain(route.kwp.mechanism), aes, twin, CAPACITY) {
            Ok(ours) => ours,
            Err(error) if error.is_loss() => return Err(error),
            Err(_) => return Ok(Behind::Unseen("it does not wrap the opened key again")),
        };
        let pads = !route.kwp.wraps_exactly;
        if ours == wrapped && !pads {
            return Ok(Behind::Nothing);
        }
        let mut passing = NewObjects::new(session);
        let mut as_secret = |blob: &[u8]| {
            let template = self.secret_template(false);
            let opened = self.module.functions.unwrap_key(session, &Mechanism::Plain(route.kwp.mechanism), aes, blob, &template);
            opened.map(|object| passing.add(object))
        };
        let (given, ours) = match (as_secret(wrapped), as_secret(&ours)) {
            (Ok(given), Ok(ours)) => (given, ours),
            (Err(error), _) | (_, Err(error)) if error.is_loss() => return Err(error),
            _ => return Ok(Behind::Unseen("it opens no secret of this length")),
        };
        let digest = |secret: ObjectHandle, zeros: usize| -> Result<Vec<u8>, CallError> {
            session.digest_init(&CryptokiMechanism::Sha256)?;
            session.digest_key(secret)?;
            if zeros > 0 {
                session.digest_update(&vec![0; zeros])?;
            }
            Ok(session.digest_final()?)
        };
        let search = || -> Result<Behind, CallError> {
            let wanted = digest(given, 0)?;
            for zeros in 0..=MOST_ZEROS {
                if digest(ours, zeros)? == wanted {
                    return Ok(if zeros == 0 { Behind::Nothing } else { Behind::Zeros(zeros) });
                }
            }
            // The token's own zeros, where the blob has none.
            let ours = digest(ours, 0)?;
            for zeros in 1..=if pads { TAKEN_ZEROS } else { 0 } {
                if digest(given, zeros)? == ours {
                    return Ok(Behind::Nothing);
                }
            }
            Ok(Behind::Other)
        };
        match search() {
            Ok(behind) => Ok(behind),
            Err(error) if error.is_loss() => Err(error),
            Err(_) => Ok(Behind::Unseen("it gives no digest of a secret")),
        }
    }
}

/// What follows from what stands behind a key.
fn judge(behind: Behind) -> Result<Vec<Finding>> {
    match behind {
        Behind::Nothing => Ok(Vec::new()),
        Behind::Zeros(zeros @ 1..=TAKEN_ZEROS) => Ok(vec![Finding::warning(
            "trailing-zeros",
            format!("zero bytes were added to the key before it was wrapped, {zeros} at least (SoftHSM 2.6 does that); the token took it, strict receivers refuse it"),
        )]),
        Behind::Zeros(zeros) => {
            Err(Error::malformed(FORMAT, format!("{zeros} zero bytes follow the key [trailing-bytes]")).with_hint("nothing was stored: have the key wrapped again"))
        }
        Behind::Other => Ok(vec![
            Finding::warning(
                "encoding-differs",
                "what was wrapped is not what this token would have wrapped: it has PKCS#8 attributes, or bytes behind the key, or its numbers are encoded in another way",
            )
            .with_hint("the key itself is proven; if its source is not known to write keys so, have it wrapped again"),
        ]),
        Behind::Unseen(why) => Ok(vec![Finding::note(
            "encoding-unseen",
            format!("whether bytes stand behind the wrapped key cannot be seen on this token: {why}; the key itself is proven"),
        )]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_to_seven_zeros_are_taken() {
        let codes = |behind| judge(behind).map(|findings| findings.iter().map(|finding| finding.code).collect::<Vec<_>>());
        assert_eq!(codes(Behind::Nothing).unwrap(), Vec::<&str>::new());
        assert_eq!(codes(Behind::Zeros(1)).unwrap(), ["trailing-zeros"]);
        assert_eq!(codes(Behind::Zeros(7)).unwrap(), ["trailing-zeros"]);
        assert!(codes(Behind::Zeros(8)).unwrap_err().to_string().contains("[trailing-bytes]"));
        assert_eq!(codes(Behind::Other).unwrap(), ["encoding-differs"]);
        assert_eq!(codes(Behind::Unseen("x")).unwrap(), ["encoding-unseen"]);
    }
}
