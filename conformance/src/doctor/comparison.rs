//! What differs between two examinations.

use std::collections::BTreeMap;

use super::{Doctor, Measured, Mechanism, Outcome};
use crate::change::{Change, Direction, direction};

impl Doctor {
    /// What differs from an examination that was stored before. `instance`, `keykit` and the sentences that are made from the
    /// rest are not compared.
    #[must_use]
    pub fn compare(&self, before: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (what, old, new) in [
            ("manufacturer", &before.store.manufacturer, &self.store.manufacturer),
            ("model", &before.store.model, &self.store.model),
            ("firmware", &before.store.firmware, &self.store.firmware),
        ] {
            if old != new {
                changes.push(Change::new(Direction::Different, what, old, new));
            }
        }
        for (name, old, new) in pairs(&before.says, &self.says) {
            changes.push(Change::new(Direction::Different, name, old.map_or("", |text| text), new.map_or("", |text| text)));
        }
        let mechanisms = |of: &Self| of.mechanisms.iter().map(|one| (one.code.clone(), one.clone())).collect::<BTreeMap<_, _>>();
        for (code, old, new) in pairs(&mechanisms(before), &mechanisms(self)) {
            changes.push(mechanism(&code, old, new));
        }
        let measured = |of: &Self| of.measurements.iter().map(|one| (one.name.clone(), one.clone())).collect::<BTreeMap<_, _>>();
        for (name, old, new) in pairs(&measured(before), &measured(self)) {
            changes.push(measurement(&name, old, new));
        }
        let known = |of: &Self| of.quirks.iter().map(|one| (one.name.clone(), String::new())).collect::<BTreeMap<_, _>>();
        for (name, old, _) in pairs(&known(before), &known(self)) {
            let (old, new) = if old.is_some() { ("known", "") } else { ("", "known") };
            changes.push(Change::new(Direction::Different, format!("quirk {name}"), old, new));
        }
        let route = |of: &Self| {
            let all = of.routes.iter().map(|one| {
                (format!("route {:?} under {} bits with {}", one.direction, one.kek_bits, one.oaep_hash), (one.way, one.may_pad_with_zeros))
            });
            all.collect::<BTreeMap<_, _>>()
        };
        for (name, old, new) in pairs(&route(before), &route(self)) {
            let rank = |found: Option<&(super::routes::Way, bool)>| found.map(|(way, pads)| (*way, !pads));
            let shown = |found: Option<&(super::routes::Way, bool)>| {
                found.map_or_else(String::new, |(way, pads)| format!("{way:?}{}", if *pads { ", may pad" } else { "" }))
            };
            let towards = direction(&rank(old), &rank(new)).unwrap_or(Direction::Different);
            changes.push(Change::new(towards, name, shown(old), shown(new)));
        }
        let profiles = |of: &Self| {
            of.profiles.iter().map(|one| (one.profile.clone(), (one.served, !one.may_pad_with_zeros, one.kek_bits.len()))).collect::<BTreeMap<_, _>>()
        };
        for (name, old, new) in pairs(&profiles(before), &profiles(self)) {
            let shown = |found: Option<&(super::Served, bool, usize)>| {
                found.map_or_else(String::new, |(served, _, sizes)| format!("{served:?}, {sizes} sizes"))
            };
            let towards = direction(&old, &new).unwrap_or(Direction::Different);
            changes.push(Change::new(towards, format!("profile {name}"), shown(old), shown(new)));
        }
        changes.sort();
        changes
    }
}

/// The entries that differ, with what they were and are.
fn pairs<'a, T: PartialEq>(before: &'a BTreeMap<String, T>, after: &'a BTreeMap<String, T>) -> Vec<(String, Option<&'a T>, Option<&'a T>)> {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    names.into_iter().map(|name| (name.clone(), before.get(name), after.get(name))).filter(|(_, old, new)| old != new).collect()
}

fn mechanism(code: &str, old: Option<&Mechanism>, new: Option<&Mechanism>) -> Change {
    let shown = |found: Option<&Mechanism>| {
        found.map_or_else(String::new, |one| format!("{} to {}, {}", one.minimum_key_size, one.maximum_key_size, one.uses.join(" ")))
    };
    let name = format!("mechanism {}", new.or(old).map_or(code, |one| one.name.as_str()));
    let lost = |from: &Mechanism, to: &Mechanism| from.uses.iter().any(|one| !to.uses.contains(one));
    let towards = match (old, new) {
        (Some(_), None) => Direction::Worse,
        (None, Some(_)) => Direction::Better,
        (Some(old), Some(new)) if lost(old, new) => Direction::Worse,
        (Some(old), Some(new)) if lost(new, old) => Direction::Better,
        _ => Direction::Different,
    };
    Change::new(towards, name, shown(old), shown(new))
}

fn measurement(name: &str, old: Option<&Measured>, new: Option<&Measured>) -> Change {
    let shown = |found: Option<&Measured>| {
        found.map_or_else(String::new, |one| match one.outcome {
            Outcome::Fact => one.detail.clone(),
            Outcome::Right => format!("right ({})", one.detail),
            Outcome::Wrong => format!("wrong ({})", one.detail),
            Outcome::Unavailable => format!("unavailable ({})", one.detail),
        })
    };
    let judged = |found: Option<&Measured>| found.map(|one| one.outcome).filter(|outcome| *outcome != Outcome::Fact);
    let towards = match (judged(old), judged(new)) {
        (Some(old), Some(new)) => direction(&old, &new).unwrap_or(Direction::Different),
        // What was measured as right and is not measured any more is lost.
        (Some(Outcome::Right), None) => Direction::Worse,
        (None, Some(Outcome::Wrong)) => Direction::Worse,
        _ => Direction::Different,
    };
    Change::new(towards, name, shown(old), shown(new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::is_worse;
    use crate::doctor::{Known, Served, ServedProfile};

    fn doctor() -> Doctor {
        let store = keykit_hsm_backends::memory::MemoryStore::new();
        let mut doctor = Doctor::new(keykit::store::KeyStore::identity(&store));
        let measured = |name: &str, outcome| Measured { name: name.into(), outcome, detail: "d".into(), known_as: None };
        doctor.measurements = vec![measured("a", Outcome::Right), measured("b", Outcome::Wrong), measured("c", Outcome::Fact)];
        let mechanism =
            Mechanism { code: "0x00000001".into(), name: "M".into(), minimum_key_size: 1, maximum_key_size: 2, uses: vec!["sign".into()] };
        doctor.mechanisms = vec![mechanism];
        doctor.profiles = vec![ServedProfile {
            profile: "p".into(),
            served: Served::InMemory,
            kek_bits: vec![2048],
            may_pad_with_zeros: false,
            sentence: String::new(),
        }];
        doctor
    }

    fn direction_of(alter: impl FnOnce(&mut Doctor)) -> Vec<Direction> {
        let (before, mut after) = (doctor(), doctor());
        alter(&mut after);
        after.compare(&before).into_iter().map(|change| change.direction).collect()
    }

    #[test]
    fn the_same_is_no_change_whatever_the_token_is_called() {
        let other = |doctor: &mut Doctor| {
            doctor.instance.serial = "other".into();
            doctor.instance.uri = "other".into();
            doctor.keykit = "9".into();
            doctor.meaning = vec!["other".into()];
        };
        assert!(direction_of(other).is_empty());
        assert!(direction_of(|_| {}).is_empty());
    }

    #[test]
    fn what_is_lost_is_worse_and_what_is_gained_better() {
        assert_eq!(direction_of(|after| after.measurements[0].outcome = Outcome::Wrong), [Direction::Worse]);
        assert_eq!(direction_of(|after| after.measurements[0].outcome = Outcome::Unavailable), [Direction::Worse]);
        assert_eq!(direction_of(|after| after.measurements[1].outcome = Outcome::Right), [Direction::Better]);
        assert_eq!(direction_of(|after| after.measurements[2].detail = "e".into()), [Direction::Different]);
        assert_eq!(direction_of(|after| after.measurements[0].detail = "e".into()), [Direction::Different]);
        assert_eq!(direction_of(|after| drop(after.measurements.remove(0))), [Direction::Worse]);
        assert_eq!(direction_of(|after| drop(after.mechanisms.remove(0))), [Direction::Worse]);
        assert_eq!(direction_of(|after| after.mechanisms[0].uses.clear()), [Direction::Worse]);
        assert_eq!(direction_of(|after| after.mechanisms[0].uses.push("wrap".into())), [Direction::Better]);
        assert_eq!(direction_of(|after| after.mechanisms[0].maximum_key_size = 3), [Direction::Different]);
        assert_eq!(direction_of(|after| after.profiles[0].served = Served::No), [Direction::Worse]);
        assert_eq!(direction_of(|after| after.profiles[0].served = Served::NeverInTheClear), [Direction::Better]);
        assert_eq!(direction_of(|after| after.profiles[0].may_pad_with_zeros = true), [Direction::Worse]);
        assert_eq!(direction_of(|after| after.quirks.push(Known { name: "q".into(), meaning: String::new() })), [Direction::Different]);
        assert_eq!(direction_of(|after| after.store.firmware = "2".into()), [Direction::Different]);
    }

    #[test]
    fn a_file_is_read_as_it_was_written_and_others_are_refused() {
        let before = doctor();
        let json = serde_json::to_vec(&before).unwrap();
        assert_eq!(Doctor::from_json(&json).unwrap(), before);
        let other = String::from_utf8(json).unwrap().replace("store-doctor/1", "store-doctor/2");
        assert_eq!(Doctor::from_json(other.as_bytes()).unwrap_err().code(), "malformed");
        assert_eq!(Doctor::from_json(b"{}").unwrap_err().code(), "malformed");
        assert!(!is_worse(&[]));
    }
}
