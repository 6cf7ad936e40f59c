//! Key encryption keys in X.509 certificates (RFC 5280).

use jiff::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::KeyUsage;
use x509_cert::time::Time;

use super::{FORMAT, KeyForm, OfferedKey, other_kind};
use crate::error::{Error, Result};
use crate::key::RsaPublicKey;

/// Reads the key and the times of a certificate. Who signed it does not matter: the key's fingerprint is confirmed by a person.
pub(super) fn read(der: &[u8]) -> Result<OfferedKey> {
    let malformed = |_| {
        Error::malformed(FORMAT, "neither a public key nor a certificate")
            .with_hint("give PEM, DER, a JSON Web Key, or what the provider's own tool prints as JSON")
    };
    let certificate = Certificate::from_der(der).map_err(malformed)?;
    let contents = certificate.tbs_certificate();
    let spki = contents.subject_public_key_info();
    if spki.algorithm.oid != pkcs1::ALGORITHM_OID {
        return Err(other_kind(&spki.algorithm.oid.to_string()));
    }
    let public = RsaPublicKey::from_spki_der(&spki.to_der().map_err(malformed)?)?;
    let validity = contents.validity();
    let usage = contents.get_extension::<KeyUsage>().map_err(malformed)?;
    Ok(OfferedKey {
        not_before: timestamp(&validity.not_before),
        expires: timestamp(&validity.not_after),
        operations: usage.map(|(_, usage)| if usage.key_encipherment() { vec!["wrapKey".to_owned()] } else { Vec::new() }),
        ..OfferedKey::new(public, KeyForm::Certificate)
    })
}

fn timestamp(time: &Time) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(time.to_unix_duration().as_secs()).ok()?).ok()
}
