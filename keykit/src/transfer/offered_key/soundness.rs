//! What can be seen wrong with an RSA modulus from outside.
//!
//! *ROCA* (CVE-2017-15361; Nemec, Sys, Svenda, Klinec, Matyas: "The Return of Coppersmith's Attack", CCS 2017, §2 and §3): primes of
//! one library of smart-card chips have the form `k·M + (65537^a mod M)` with `M` the product of the first primes. A modulus of two of
//! them is a power of 65537 modulo every one of these small primes, which a random modulus is with a chance of about 2⁻²⁸.

/// The largest of the primes whose product is `M` for the smallest affected keys: every affected key shows itself by these.
const ROCA_LIMIT: u32 = 167;
/// Small factors are looked for up to here.
const FACTOR_LIMIT: u32 = 1 << 16;
const GENERATOR: u32 = 65537;

/// Whether the modulus (big-endian) has the fingerprint of ROCA.
pub(super) fn has_roca_fingerprint(modulus: &[u8]) -> bool {
    primes(ROCA_LIMIT).skip(1).all(|prime| is_power_of_generator(remainder(modulus, prime), prime))
}

/// The smallest prime factor below 2¹⁶, if there is one.
pub(super) fn small_factor(modulus: &[u8]) -> Option<u32> {
    primes(FACTOR_LIMIT).find(|&prime| remainder(modulus, prime) == 0)
}

/// Whether `value` is a power of 65537 modulo `prime`.
fn is_power_of_generator(value: u32, prime: u32) -> bool {
    let step = GENERATOR % prime;
    let mut power = 1;
    // The order of the generator divides prime − 1, which is at most 166.
    for _ in 1..prime {
        if power == value {
            return true;
        }
        power = power * step % prime;
    }
    false
}

/// The modulus modulo `divisor`, which is less than 2¹⁶.
fn remainder(modulus: &[u8], divisor: u32) -> u32 {
    modulus.iter().fold(0, |remainder, &byte| (remainder << 8 | u32::from(byte)) % divisor)
}

/// The primes up to `limit`, ascending.
fn primes(limit: u32) -> impl Iterator<Item = u32> {
    (2..=limit).filter(|&candidate| (2..).take_while(|divisor| divisor * divisor <= candidate).all(|divisor| candidate % divisor != 0))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A modulus of this many bits that has the fingerprint and no small factor.
    pub(in super::super) fn marked_modulus(bits: usize) -> Vec<u8> {
        loop {
            let modulus = marked(12);
            if modulus.len() * 8 == bits && modulus[0] >= 0x80 && small_factor(&modulus).is_none() {
                return modulus;
            }
        }
    }

    /// Little-endian numbers of 32-bit digits, enough to build a modulus.
    fn multiply(number: &mut Vec<u32>, factor: u32) {
        let mut carry = 0_u64;
        for digit in number.iter_mut() {
            carry += u64::from(*digit) * u64::from(factor);
            *digit = u32::try_from(carry & 0xffff_ffff).unwrap();
            carry >>= 32;
        }
        number.push(u32::try_from(carry).unwrap());
    }

    fn add(number: &mut Vec<u32>, other: &[u32]) {
        let mut carry = 0_u64;
        number.resize(number.len().max(other.len()) + 1, 0);
        for (position, digit) in number.iter_mut().enumerate() {
            carry += u64::from(*digit) + u64::from(other.get(position).copied().unwrap_or(0));
            *digit = u32::try_from(carry & 0xffff_ffff).unwrap();
            carry >>= 32;
        }
    }

    fn to_bytes(number: &[u32]) -> Vec<u8> {
        number.iter().rev().flat_map(|digit| digit.to_be_bytes()).skip_while(|&byte| byte == 0).collect()
    }

    /// `k·M + 65537^exponent` with `M` the product of the 39 primes up to 167 and `k` of about 1830 random bits. It is built to have
    /// the fingerprint; its factors do not matter.
    fn marked(exponent: u32) -> Vec<u8> {
        let mut number = vec![1];
        for prime in primes(ROCA_LIMIT) {
            multiply(&mut number, prime);
        }
        // 219 bits so far; 57 digits of almost 32 bits and one of 10 make about 2048.
        let mut random = [0; 57 * 4];
        getrandom::fill(&mut random).unwrap();
        for digit in random.as_chunks::<4>().0 {
            multiply(&mut number, u32::from_be_bytes(*digit) | 0xe000_0001);
        }
        multiply(&mut number, 830);
        let mut power = vec![1];
        for _ in 0..exponent {
            multiply(&mut power, GENERATOR);
        }
        add(&mut number, &power);
        to_bytes(&number)
    }

    #[test]
    fn marked_moduli_are_found() {
        for exponent in [0, 1, 5, 12] {
            let modulus = marked(exponent);
            assert!(modulus.len() >= 240, "{}", modulus.len());
            assert!(has_roca_fingerprint(&modulus));
            // The same number two further on is no power any more.
            let mut other = modulus;
            *other.last_mut().unwrap() ^= 2;
            assert!(!has_roca_fingerprint(&other));
        }
    }

    #[test]
    fn random_keys_and_numbers_do_not_match() {
        use rsa::traits::PublicKeyParts;
        for _ in 0..5 {
            let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::UnwrapErr(getrandom::SysRng), 1024).unwrap();
            let modulus = key.n().as_ref().to_be_bytes();
            assert!(!has_roca_fingerprint(&modulus));
            assert_eq!(small_factor(&modulus), None);
        }
        for _ in 0..1000 {
            let mut number = [0; 256];
            getrandom::fill(&mut number).unwrap();
            assert!(!has_roca_fingerprint(&number));
        }
    }

    #[test]
    fn small_factors_are_found() {
        assert_eq!(small_factor(&[15]), Some(3));
        let mut number = vec![1, 0xffff_ffff, 7];
        multiply(&mut number, 65521);
        assert!(small_factor(&to_bytes(&number)).is_some_and(|factor| factor <= 65521));
        assert_eq!(primes(30).collect::<Vec<_>>(), [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
        assert_eq!(primes(ROCA_LIMIT).count(), 39);
    }
}
