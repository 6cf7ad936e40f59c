//! Damaged operations: nothing wrong leaves an engine.

use super::*;
use proptest::prelude::*;

/// A 1024-bit test key: n, p, q, dp, dq, qinv.
fn parts() -> [Vec<u8>; 6] {
    [N, P, Q, DP, DQ, QINV].map(|text| (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect())
}

/// The fastest engine's key of 1024 bits.
pub(crate) fn small_key() -> Option<PrivateKey> {
    Engine::ALL.into_iter().find_map(key)
}

fn key(engine: Engine) -> Option<PrivateKey> {
    let [n, p, q, dp, dq, qinv] = parts();
    PrivateKey::new(&n, 65537, &p, &q, &dp, &dq, &qinv)?.with_engine(engine)
}

const N: &str = "bc1c590ae3aa9e16ed09bb9e5b09e3317d6db519934c15776bf91495165fdda90e829b59c20df7829402a754482f4f0105ad1020c2aa43f40904409383e2885e20b80cdebd61c38269ed575530a1aff63880b9ae51da2c90bfb03bae73e995bbdf599c612bb44e74914fc7476b9b023f897bfaba32d478895c7cfe0a5b8cf1c5";
const P: &str = "ed370c75180fcae6d83a5a97fd7b306af2d126f7b16feca63c1d3be513746eeb61995f3e3bbdca9f51c7e37bdea1648f598fd76ec8e104ccb8c5e5713cdabdab";
const Q: &str = "cb01d48ba61cad3dfed32f70233991594fb0afc946c9c69950ff07a6cf877c1fc97279c7a0813dca2598f0af3153379566642ec334586c7f2cb01e586f573e4f";
const DP: &str = "0896d6afa2b867ab6626eec2d41dd2c9fc92d02b65d45ca84442f6b93bb41a94114ba1643a7b8bcbab0566da445c69acbb1c773b7eb08f20ee8bd3dbfecd18d3";
const DQ: &str = "9e3419f08e8e70900cc385878d5bf2a2b850c85d421642f7fe401135752b6f96d205ad53de087a1fcbf709326e6d1cb7082970abdd623f83484f2406e516074f";
const QINV: &str = "12d76859fc3a7afc66e828687c53120db4e3512b8fe9d3c8d6d9739226eadb78eab3fb939b28da1f2093159ac1945220ff0e3e1be0f41d5a4081fcc1ca12b622";

fn engines() -> impl Iterator<Item = PrivateKey> {
    Engine::ALL.into_iter().filter_map(key)
}

#[test]
fn faults_are_withheld_and_counted() {
    let points = [FaultPoint::PowerP, FaultPoint::PowerQ, FaultPoint::Blinding, FaultPoint::Recombined];
    for key in engines() {
        let inputs: Vec<Vec<u8>> = (1..=key.lanes()).map(|lane| vec![u8::try_from(lane).unwrap(); key.size()]).collect();
        let all: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        let right = key.private_operation(&all);
        assert!(right.iter().all(Result::is_ok));
        let mut expected_count = 0;
        // With all lanes, and with half of them for each prime.
        for (point, count) in points.into_iter().flat_map(|point| [key.lanes(), key.lanes() / 2, 1].map(|count| (point, count))) {
            let (views, right) = (&all[..count], &right[..count]);
            for lane in 0..count {
                for bit in [0, 1, 40, 49, 50, 255, 256, 400] {
                    key.inject_fault(point, lane, bit);
                    let results = key.private_operation(views);
                    assert_eq!(results.len(), count);
                    for (position, (result, right)) in results.iter().zip(right).enumerate() {
                        if position == lane {
                            assert_eq!(*result, Err(Withheld::Fault), "{key:?} {point:?} bit {bit}");
                        } else {
                            assert_eq!(result, right);
                        }
                    }
                    expected_count += 1;
                    assert_eq!(key.withheld(), expected_count);
                }
            }
        }
        // A damaged blinding is not carried on.
        assert_eq!(key.private_operation(&all), right);
        assert_eq!(key.withheld(), expected_count);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn no_input_panics(inputs in prop::collection::vec(prop_oneof![prop::collection::vec(any::<u8>(), 128), prop::collection::vec(any::<u8>(), 0..200)], 0..12)) {
        for key in engines() {
            let views: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
            let results = key.private_operation(&views);
            prop_assert_eq!(results.len(), inputs.len());
            for (result, input) in results.iter().zip(&inputs) {
                let above = input.len() == 128 && *input >= key.parts.n.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect::<Vec<u8>>();
                prop_assert_eq!(result.is_err(), input.len() != 128 || above);
            }
        }
    }

    #[test]
    fn no_key_panics(parts in prop::array::uniform6(prop::collection::vec(any::<u8>(), 0..140)), e: u32) {
        let [n, p, q, dp, dq, qinv] = parts;
        prop_assert!(PrivateKey::new(&n, e, &p, &q, &dp, &dq, &qinv).is_none());
    }
}

#[test]
fn both_engines_give_the_same_results() {
    let inputs: Vec<[u8; 128]> = (0..8).map(|number| [0x5a + number; 128]).collect();
    let views: Vec<&[u8]> = inputs.iter().map(|input| &input[..]).collect();
    // However many there are: with half of the lanes for each prime, or with all of them.
    let of = |key: PrivateKey| (1..=views.len()).map(|count| key.private_operation(&views[..count])).collect::<Vec<_>>();
    let results: Vec<_> = engines().flat_map(of).collect();
    for result in &results {
        assert!(result.iter().all(Result::is_ok));
        assert_eq!(*result, results.last().unwrap()[..result.len()]);
    }
}

#[test]
fn engine_choice() {
    let Some(key) = Engine::ALL.into_iter().find(|engine| engine.available()).and_then(key) else { return };
    assert_eq!(key.size(), 128);
    assert_eq!(key.lanes(), if key.engine() == Engine::Ifma { 8 } else { 4 });
}

#[cfg(target_arch = "x86_64")]
mod constant_time;
#[cfg(target_arch = "x86_64")]
pub(crate) use constant_time::large_key;
