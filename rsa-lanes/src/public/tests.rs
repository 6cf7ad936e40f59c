//! Public operations against `rsa`, and what the check of products sees.

use proptest::prelude::*;
use rsa::BoxedUint;
use rsa::hazmat::rsa_encrypt;

use super::*;

/// A modulus of each size: its value is of no matter, it need not be a product of primes.
fn moduli() -> impl Iterator<Item = Vec<u8>> {
    [1024_usize, 2048, 3072, 4096].into_iter().map(|bits| {
        let mut n: Vec<u8> = (0..bits / 8).map(|place| u8::try_from(place * 97 % 251).unwrap()).collect();
        n[0] |= 0x80;
        *n.last_mut().unwrap() |= 1;
        n
    })
}

fn on_all_engines(n: &[u8], e: u32) -> Vec<PublicKey> {
    Engine::ALL.into_iter().filter_map(|engine| PublicKey::on(engine, n, e)).collect()
}

fn expected(n: &[u8], e: u32, x: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| BoxedUint::from_be_slice_vartime(bytes);
    let key = rsa::RsaPublicKey::new_unchecked(number(n), BoxedUint::from(u64::from(e)));
    let power = rsa_encrypt(&key, &BoxedUint::from_be_slice(x, u32::try_from(8 * n.len()).unwrap()).unwrap()).unwrap().to_be_bytes();
    power[power.len() - n.len()..].to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn powers_are_those_of_rsa(seeds in prop::collection::vec(any::<u8>(), 1..20), e in prop::sample::select(vec![3_u32, 17, 65537, 0xffff_ffff])) {
        for n in moduli() {
            let inputs: Vec<Vec<u8>> = seeds.iter().map(|&seed| (0..n.len()).map(|place| u8::try_from(place % 255).unwrap() ^ seed & 0x7f).collect()).collect();
            let views: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
            let wanted: Vec<Option<Vec<u8>>> = inputs.iter().map(|x| (x < &n).then(|| expected(&n, e, x))).collect();
            for key in on_all_engines(&n, e) {
                let found: Vec<Option<Vec<u8>>> = key.power(&views).into_iter().map(|power| power.map(|power| power.to_vec())).collect();
                prop_assert_eq!(&found, &wanted, "{:?}", key);
                let pairs: Vec<(&[u8], &[u8])> = views.iter().zip(&wanted).filter_map(|(x, power)| Some((*x, power.as_deref()?))).collect();
                prop_assert!(key.are_powers(&pairs), "{:?}", key);
            }
        }
    }
}

#[test]
fn one_wrong_bit_and_two_that_changed_places_are_seen() {
    for n in moduli() {
        for key in on_all_engines(&n, 65537) {
            let inputs: Vec<Vec<u8>> = (1..=2 * key.lanes() + 3).map(|number| vec![u8::try_from(number).unwrap(); n.len()]).collect();
            let views: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
            let mut powers: Vec<Vec<u8>> = key.power(&views).into_iter().map(|power| power.unwrap().to_vec()).collect();
            let agree = |powers: &[Vec<u8>]| key.are_powers(&views.iter().copied().zip(powers.iter().map(Vec::as_slice)).collect::<Vec<_>>());
            assert!(agree(&powers));
            for (item, place) in (0..powers.len()).flat_map(|item| [0, 1, n.len() / 2, n.len() - 1].map(|place| (item, place))) {
                powers[item][place] ^= 1;
                assert!(!agree(&powers), "{key:?}: {item}, {place}");
                powers[item][place] ^= 1;
            }
            // In one lane, and in two.
            for (one, other) in [(0, key.lanes()), (1, 2 * key.lanes() + 1), (0, 1), (2, key.lanes() + 1)] {
                powers.swap(one, other);
                assert!(!agree(&powers), "{key:?}: {one} and {other}");
                powers.swap(one, other);
            }
            powers[0].fill(0);
            assert!(!agree(&powers), "{key:?}: a power that is 0");
        }
    }
}

#[test]
fn what_is_no_number_below_the_modulus_has_no_power() {
    for n in moduli() {
        for key in on_all_engines(&n, 3) {
            let (one, above, short) = ([&vec![0; n.len() - 1][..], &[1]].concat(), vec![0xff; n.len()], vec![1; n.len() - 1]);
            let found: Vec<bool> = key.power(&[&n, &one, &above, &short, &one]).iter().map(Option::is_some).collect();
            assert_eq!(found, [false, true, false, false, true]);
            assert!(key.are_powers(&[(&one, &one), (&one, &one)]) && key.are_powers(&[]));
            for bad in [&n, &above, &short] {
                assert!(!key.are_powers(&[(&one, &one), (&one, bad)]) && !key.are_powers(&[(bad, &one)]));
            }
        }
    }
}

#[test]
fn keys_of_other_shapes_have_no_engine() {
    let n = moduli().next().unwrap();
    let even = [&n[..n.len() - 1], &[2]].concat();
    for (n, e) in [(&n, 1), (&n, 4), (&even, 3), (&n[..96].to_vec(), 3), (&vec![0; 128], 3)] {
        assert!(PublicKey::new(n, e).is_none());
    }
    assert_eq!(PublicKey::new(&n, 3).is_some(), Engine::ALL.into_iter().any(Engine::available));
}
