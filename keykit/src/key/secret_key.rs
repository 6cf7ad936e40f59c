//! The secret half of an RSA key, as bytes in locked memory.

use std::fmt;

use pkcs1::RsaPrivateKeyRef;
use pkcs8::PrivateKeyInfoRef;
use pkcs8::der::asn1::{OctetStringRef, UintRef};
use pkcs8::der::pem::LineEnding;
use pkcs8::der::{Decode, Encode, EncodeValue, Length, SecretDocument, SliceWriter};
use rsa::BoxedUint;
use rsa::traits::PrivateKeyParts;
use zeroize::Zeroizing;

use super::public::exponent_from_be;
use super::{CryptographicMode, KeyId, RsaPublicKey};
use crate::error::{Error, Result};
use crate::secret::SecretBytes;

const FORMAT: &str = "RSA private key";

/// A two-prime RSA private key whose numbers have been checked against each other.
///
/// It is kept as its DER `RSAPrivateKey` (RFC 8017 §A.1.2) in one [`SecretBytes`].
pub struct RsaSecretKey {
    der: SecretBytes,
    public: RsaPublicKey,
}

/// The numbers of a private key, big-endian, as RFC 8017 §3.2 names them. Leading zeros are allowed.
#[derive(Clone, Copy)]
pub struct RsaComponents<'a> {
    /// Modulus.
    pub n: &'a [u8],
    /// Public exponent.
    pub e: u32,
    /// Private exponent.
    pub d: &'a [u8],
    /// First prime.
    pub p: &'a [u8],
    /// Second prime.
    pub q: &'a [u8],
    /// d mod (p−1).
    pub dp: &'a [u8],
    /// d mod (q−1).
    pub dq: &'a [u8],
    /// q⁻¹ mod p.
    pub qinv: &'a [u8],
}

impl fmt::Debug for RsaComponents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RsaComponents")
    }
}

impl RsaSecretKey {
    /// A key from its numbers, all of which are checked: p·q = n, e·d ≡ 1, and the three CRT values.
    ///
    /// # Errors
    /// [`Error::Malformed`] naming the number that does not fit, never its value.
    pub fn from_components(components: &RsaComponents<'_>) -> Result<Self> {
        check(components)?;
        let public = RsaPublicKey::from_components(components.n, components.e)?;
        let exponent = components.e.to_be_bytes();
        let malformed = |error: pkcs8::der::Error| Error::malformed(FORMAT, error.to_string());
        let key = RsaPrivateKeyRef {
            modulus: UintRef::new(components.n).map_err(malformed)?,
            public_exponent: UintRef::new(&exponent).map_err(malformed)?,
            private_exponent: UintRef::new(components.d).map_err(malformed)?,
            prime1: UintRef::new(components.p).map_err(malformed)?,
            prime2: UintRef::new(components.q).map_err(malformed)?,
            exponent1: UintRef::new(components.dp).map_err(malformed)?,
            exponent2: UintRef::new(components.dq).map_err(malformed)?,
            coefficient: UintRef::new(components.qinv).map_err(malformed)?,
            other_prime_infos: None,
        };
        Ok(Self { der: encode_secret(&key).map_err(malformed)?, public })
    }

    /// A key from its two primes and public exponent; the rest is computed.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the primes and exponent do not make a key.
    pub fn from_primes(p: &[u8], q: &[u8], e: u32) -> Result<Self> {
        let failed = |_| Error::malformed(FORMAT, "the primes and the exponent do not make a key");
        let key = rsa::RsaPrivateKey::from_p_q(number(p), number(q), BoxedUint::from(u64::from(e))).map_err(failed)?;
        Self::from_rsa(&key)
    }

    /// A key from the `rsa` crate's form.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is not a sound two-prime key.
    pub fn from_rsa(key: &rsa::RsaPrivateKey) -> Result<Self> {
        let der = pkcs1::EncodeRsaPrivateKey::to_pkcs1_der(key).map_err(|_| Error::malformed(FORMAT, "it cannot be encoded"))?;
        Self::from_pkcs1_der(der.as_bytes())
    }

    /// A key from DER `RSAPrivateKey` (RFC 8017 §A.1.2).
    ///
    /// # Errors
    /// [`Error::Malformed`], for trailing bytes and multi-prime keys too.
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self> {
        let key = RsaPrivateKeyRef::from_der(der).map_err(|error| Error::malformed(FORMAT, error.to_string()))?;
        if key.other_prime_infos.is_some() {
            return Err(Error::malformed(FORMAT, "it has more than two primes, which no rights-management service makes"));
        }
        Self::from_components(&RsaComponents {
            n: key.modulus.as_bytes(),
            e: exponent_from_be(key.public_exponent.as_bytes())?,
            d: key.private_exponent.as_bytes(),
            p: key.prime1.as_bytes(),
            q: key.prime2.as_bytes(),
            dp: key.exponent1.as_bytes(),
            dq: key.exponent2.as_bytes(),
            qinv: key.coefficient.as_bytes(),
        })
    }

    /// A key from DER `PrivateKeyInfo` (PKCS#8, RFC 5958 §2).
    ///
    /// # Errors
    /// [`Error::Malformed`], for trailing bytes too: see [`crate::transfer`] for blobs of tokens that add some.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self> {
        let info = PrivateKeyInfoRef::try_from(der).map_err(|error| Error::malformed("PKCS#8 private key", error.to_string()))?;
        info.algorithm.assert_algorithm_oid(pkcs1::ALGORITHM_OID).map_err(|_| Error::malformed(FORMAT, "not the key of RSA"))?;
        Self::from_pkcs1_der(info.private_key.as_bytes())
    }

    /// A key from PEM, `PRIVATE KEY` (PKCS#8) or `RSA PRIVATE KEY` (PKCS#1).
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn from_pem(pem: &str) -> Result<Self> {
        let (label, document) = SecretDocument::from_pem(pem).map_err(|error| Error::malformed(FORMAT, error.to_string()))?;
        match label {
            "PRIVATE KEY" => Self::from_pkcs8_der(document.as_bytes()),
            "RSA PRIVATE KEY" => Self::from_pkcs1_der(document.as_bytes()),
            other => Err(Error::malformed(FORMAT, format!("PEM of a {other}"))),
        }
    }

    /// DER `RSAPrivateKey` (RFC 8017 §A.1.2).
    #[must_use]
    pub fn to_pkcs1_der(&self) -> &SecretBytes {
        &self.der
    }

    /// DER `PrivateKeyInfo` (PKCS#8, RFC 5208 §5), which is what transfer packages carry.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn to_pkcs8_der(&self) -> Result<SecretBytes> {
        let failed = |error: pkcs8::der::Error| Error::Internal(format!("encoding a private key: {error}"));
        let key = OctetStringRef::new(self.der.expose()).map_err(failed)?;
        encode_secret(&PrivateKeyInfoRef::new(pkcs1::ALGORITHM_ID, key)).map_err(failed)
    }

    /// PEM `RSA PRIVATE KEY`, the form that `generatekey --import` of nShield takes.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn to_pkcs1_pem(&self) -> Result<SecretBytes> {
        let failed = |error: pkcs8::der::Error| Error::Internal(format!("encoding a private key: {error}"));
        let document = SecretDocument::try_from(self.der.expose()).map_err(failed)?;
        let pem: Zeroizing<String> = document.to_pem("RSA PRIVATE KEY", LineEnding::LF).map_err(failed)?;
        Ok(SecretBytes::copy_of(pem.as_bytes()))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &RsaPublicKey {
        &self.public
    }

    /// The key's identity.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.public.id()
    }

    /// The cryptographic mode of the key's size, if the service knows that size.
    #[must_use]
    pub fn mode(&self) -> Option<CryptographicMode> {
        CryptographicMode::of_modulus_bits(self.public.modulus_bits())
    }

    /// Hands the numbers to `use_them`, without leading zeros. They are borrowed from locked memory: make no copies
    /// that are not wiped.
    ///
    /// # Errors
    /// [`Error::Internal`] if the stored key does not decode, or what `use_them` returns.
    pub fn with_components<T>(&self, use_them: impl FnOnce(&RsaComponents<'_>) -> Result<T>) -> Result<T> {
        let key = RsaPrivateKeyRef::from_der(self.der.expose()).map_err(|_| Error::Internal("a stored key does not decode".into()))?;
        use_them(&RsaComponents {
            n: key.modulus.as_bytes(),
            e: self.public.exponent(),
            d: key.private_exponent.as_bytes(),
            p: key.prime1.as_bytes(),
            q: key.prime2.as_bytes(),
            dp: key.exponent1.as_bytes(),
            dq: key.exponent2.as_bytes(),
            qinv: key.coefficient.as_bytes(),
        })
    }

    /// The key in the form of the `rsa` crate, which wipes it when dropped.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn to_rsa(&self) -> Result<rsa::RsaPrivateKey> {
        self.with_components(|key| {
            let exponent = BoxedUint::from(u64::from(key.e));
            rsa::RsaPrivateKey::from_components(number(key.n), exponent, number(key.d), vec![number(key.p), number(key.q)])
                .map_err(|_| Error::Internal("a checked key is refused".into()))
        })
    }
}

impl fmt::Debug for RsaSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaSecretKey({} bits, {})", self.public.modulus_bits(), self.id().short())
    }
}

fn check(key: &RsaComponents<'_>) -> Result<()> {
    if [key.n, key.d, key.p, key.q, key.dp, key.dq, key.qinv].iter().any(|number| number.len() > 1024) {
        return Err(Error::malformed(FORMAT, "a number is longer than 8192 bits"));
    }
    // The two primes must have the same length: everything downstream (PRIVATEKEYBLOB, tokens) assumes it.
    let significant = |bytes: &[u8]| bytes.iter().skip_while(|&&byte| byte == 0).count();
    if significant(key.p) != significant(key.q) {
        return Err(Error::malformed(FORMAT, "the two primes differ in length"));
    }
    RsaPublicKey::from_components(key.n, key.e)?;
    let exponent = BoxedUint::from(u64::from(key.e));
    let rsa = rsa::RsaPrivateKey::from_components(number(key.n), exponent, number(key.d), vec![number(key.p), number(key.q)]).map_err(|error| {
        Error::malformed(
            FORMAT,
            match error {
                rsa::Error::InvalidModulus => "p · q is not n",
                rsa::Error::InvalidExponent => "e and d do not belong together",
                rsa::Error::InvalidPrime => "p or q is not a possible prime",
                _ => "its numbers do not belong together",
            },
        )
    })?;
    let differs = |stated: &[u8], computed: Option<&BoxedUint>| {
        computed.is_none_or(|computed| {
            let computed = Zeroizing::new(computed.to_be_bytes().into_vec());
            !equal_numbers(stated, &computed)
        })
    };
    if differs(key.dp, rsa.dp()) {
        return Err(Error::malformed(FORMAT, "dp is not d mod (p − 1)"));
    }
    if differs(key.dq, rsa.dq()) {
        return Err(Error::malformed(FORMAT, "dq is not d mod (q − 1)"));
    }
    if differs(key.qinv, rsa.crt_coefficient().as_ref()) {
        return Err(Error::malformed(FORMAT, "qinv is not q⁻¹ mod p"));
    }
    Ok(())
}

fn equal_numbers(left: &[u8], right: &[u8]) -> bool {
    use subtle::ConstantTimeEq;
    let width = left.len().max(right.len());
    let pad = |bytes: &[u8]| {
        let mut padded = Zeroizing::new(vec![0_u8; width]);
        if let Some(tail) = padded.get_mut(width - bytes.len()..) {
            tail.copy_from_slice(bytes);
        }
        padded
    };
    pad(left).ct_eq(&pad(right)).into()
}

fn number(bytes: &[u8]) -> BoxedUint {
    let start = bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len());
    BoxedUint::from_be_slice_vartime(bytes.get(start..).unwrap_or_default())
}

/// Encodes into a buffer of the final size, so that no copy is left behind.
fn encode_secret(value: &(impl Encode + EncodeValue)) -> pkcs8::der::Result<SecretBytes> {
    let length: Length = value.encoded_len()?;
    SecretBytes::try_init(usize::try_from(length)?, |buffer| {
        let mut writer = SliceWriter::new(buffer);
        value.encode(&mut writer)?;
        writer.finish().map(drop)
    })
}
