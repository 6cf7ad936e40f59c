//! RSASSA-PSS verification (RFC 8017 §8.1.2): by this program, whose engine `rsa` gives the public operation, and by tokens.
//!
//! No licence and no store of keykit uses PSS. The encoding is checked here for every pair of hashes, and with SHAKE
//! (RFC 8702 §3.2); where `rsa` has PSS of its own for the parameters, both must agree.

use keykit::key::{Digest as KeykitDigest, Hash, RsaPublicKey};
use keykit_hsm_backends::pkcs11::Pkcs11Store;
use rsa::pkcs1::DecodeRsaPublicKey as _;
use rsa::traits::{PublicKeyParts as _, SignatureScheme as _};
use rsa::{BoxedUint, Pss};

use super::hashes::{self, AnyHash, Mask};
use super::sets::{Group, for_each_group, judge};
use crate::report::{Outcome, Report};
use crate::vectors;

/// RSASSA-PSS verification by this program (3,497 cases).
#[must_use]
pub fn verification() -> Report {
    let mut report = Report::new("RSASSA-PSS verify");
    for_each_group(&mut report, vectors::PSS_VERIFY, |report, group| {
        let ready = parameters(group).and_then(|(hash, mask)| Ok((hash, mask, bare_key(group)?)));
        let (hash, mask, key) = match ready {
            Ok(ready) => ready,
            Err(outcome) => return group.record_all(report, &outcome),
        };
        for case in &group.tests {
            let verified = verify(&key, hash, mask, group.salt_length, &hash.digest(&case.msg.0), &case.sig.0);
            let other = verify_by_library(&key, hash, mask, group.salt_length, &hash.digest(&case.msg.0), &case.sig.0);
            let outcome = match other {
                Some(other) if other != verified => Outcome::Failed("the two verifiers differ".into()),
                _ => judge(case.result, &[], verified.then_some(&[])),
            };
            report.record(group.case(case), outcome);
        }
    });
    report
}

/// RSASSA-PSS verification by a token (CKM_RSA_PKCS_PSS).
#[must_use]
pub fn token_verification(store: &Pkcs11Store) -> Report {
    let mut report = Report::new("RSASSA-PSS verify through CKM_RSA_PKCS_PSS");
    for_each_group(&mut report, vectors::PSS_VERIFY, |report, group| {
        let own = |name: &str| hashes::keykit_hash(name).ok_or_else(|| Outcome::Skipped(format!("keykit names no mechanism for {name}")));
        let ready = (|| {
            let (hash, mgf1) = (own(&group.sha)?, own(if group.mgf == "MGF1" { &group.mgf_sha } else { &group.mgf })?);
            let key = keykit_key(&bare_key(group)?)?;
            Ok::<(Hash, Hash, RsaPublicKey), Outcome>((hash, mgf1, key))
        })();
        let (hash, mgf1, key) = match ready {
            Ok(ready) => ready,
            Err(outcome) => return group.record_all(report, &outcome),
        };
        let signed: Vec<(KeykitDigest, &[u8])> = group.tests.iter().map(|case| (hash.digest(&case.msg.0), case.sig.0.as_slice())).collect();
        match store.verify_pss(&key, mgf1, group.salt_length, &signed) {
            Ok(verified) => {
                for (case, verified) in group.tests.iter().zip(verified) {
                    report.record(group.case(case), judge(case.result, &[], verified.then_some(&[])));
                }
            }
            Err(error) => group.record_all(report, &error.into()),
        }
    });
    report
}

/// The key without the words around it: half of the sets have it under id-RSASSA-PSS, which keykit does not read.
fn bare_key(group: &Group) -> Result<rsa::RsaPublicKey, Outcome> {
    rsa::RsaPublicKey::from_pkcs1_der(&group.public_key_asn.0).map_err(|error| Outcome::Skipped(format!("the engine refuses the key: {error}")))
}

/// The same key for keykit.
fn keykit_key(key: &rsa::RsaPublicKey) -> Result<RsaPublicKey, Outcome> {
    let exponent = key.e().to_be_bytes_trimmed_vartime();
    let exponent = exponent.iter().try_fold(0_u32, |value, &byte| value.checked_mul(256).map(|value| value | u32::from(byte)));
    let exponent = exponent.ok_or_else(|| Outcome::Skipped("the public exponent has more than 32 bits".into()))?;
    RsaPublicKey::from_components(&key.n().to_be_bytes_trimmed_vartime(), exponent)
        .map_err(|error| Outcome::Skipped(format!("keykit refuses the key: {error}")))
}

fn parameters(group: &Group) -> Result<(AnyHash, Mask), Outcome> {
    let unknown = |name: &str| Outcome::Skipped(format!("no implementation of {name} is in this program"));
    let hash = AnyHash::of_name(&group.sha).ok_or_else(|| unknown(&group.sha))?;
    let mask = match group.mgf.as_str() {
        "MGF1" => Mask::Mgf1(AnyHash::of_name(&group.mgf_sha).ok_or_else(|| unknown(&group.mgf_sha))?),
        // RFC 8702 §3.2.1: the mask is the output of the function itself.
        name => Mask::Output(AnyHash::of_name(name).filter(|hash| hash.is_extendable()).ok_or_else(|| unknown(name))?),
    };
    Ok((hash, mask))
}

/// RSASSA-PSS-VERIFY (RFC 8017 §8.1.2) with EMSA-PSS-VERIFY (§9.1.2). Nothing here is secret.
fn verify(key: &rsa::RsaPublicKey, hash: AnyHash, mask: Mask, salt_length: usize, digest: &[u8], signature: &[u8]) -> bool {
    encoded_message(key, signature).is_some_and(|(encoded, bits)| emsa_verify(&encoded, bits, hash, mask, salt_length, digest).is_some())
}

/// The encoded message, and its length in bits: one less than the modulus has.
fn encoded_message(key: &rsa::RsaPublicKey, signature: &[u8]) -> Option<(Vec<u8>, usize)> {
    let bits = usize::try_from(key.n().bits()).ok()?;
    if signature.len() != bits.div_ceil(8) {
        return None;
    }
    let number = BoxedUint::from_be_slice(signature, key.n().bits_precision()).ok()?;
    if number >= **key.n() {
        return None;
    }
    let opened = rsa::hazmat::rsa_encrypt(key, &number).ok()?.to_be_bytes();
    let length = (bits - 1).div_ceil(8);
    let (zeros, encoded) = opened.split_at_checked(opened.len().checked_sub(length)?)?;
    zeros.iter().all(|&byte| byte == 0).then(|| (encoded.to_vec(), bits - 1))
}

/// `None` for "inconsistent". The numbers are those of the steps in RFC 8017 §9.1.2.
fn emsa_verify(encoded: &[u8], bits: usize, hash: AnyHash, mask: Mask, salt_length: usize, digest: &[u8]) -> Option<()> {
    let hash_length = hash.output_bytes();
    // 3, 4
    let masked_length = encoded.len().checked_sub(hash_length.checked_add(1)?)?;
    let padding_length = masked_length.checked_sub(salt_length.checked_add(1)?)?;
    let (body, trailer) = encoded.split_at_checked(encoded.len() - 1)?;
    if trailer != [0xbc] {
        return None;
    }
    // 5
    let (masked, stated) = body.split_at_checked(masked_length)?;
    // 6
    let unused = encoded.len().checked_mul(8)?.checked_sub(bits)?;
    let keep = 0xff_u8.checked_shr(u32::try_from(unused).ok()?)?;
    if masked.first()? & !keep != 0 {
        return None;
    }
    // 7 to 9
    let mut block: Vec<u8> = masked.iter().zip(mask.generate(stated, masked_length)).map(|(byte, mask)| byte ^ mask).collect();
    *block.first_mut()? &= keep;
    // 10, 11
    let (padding, salt) = block.split_at_checked(padding_length + 1)?;
    let (one, zeros) = padding.split_last()?;
    if *one != 1 || zeros.iter().any(|&byte| byte != 0) {
        return None;
    }
    // 12 to 14
    (hash.digest(&[&[0; 8], digest, salt].concat()) == stated).then_some(())
}

/// The answer of `rsa`, where it has PSS with one hash for message and mask.
fn verify_by_library(key: &rsa::RsaPublicKey, hash: AnyHash, mask: Mask, salt_length: usize, digest: &[u8], signature: &[u8]) -> Option<bool> {
    if mask != Mask::Mgf1(hash) {
        return None;
    }
    match hash {
        AnyHash::Sha1 => Some(Pss::<sha1::Sha1>::new_with_salt(salt_length).verify(key, digest, signature).is_ok()),
        AnyHash::Sha224 => Some(Pss::<sha2::Sha224>::new_with_salt(salt_length).verify(key, digest, signature).is_ok()),
        AnyHash::Sha256 => Some(Pss::<sha2::Sha256>::new_with_salt(salt_length).verify(key, digest, signature).is_ok()),
        AnyHash::Sha384 => Some(Pss::<sha2::Sha384>::new_with_salt(salt_length).verify(key, digest, signature).is_ok()),
        AnyHash::Sha512 => Some(Pss::<sha2::Sha512>::new_with_salt(salt_length).verify(key, digest, signature).is_ok()),
        _ => None,
    }
}
