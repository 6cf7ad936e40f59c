//! Which transfer profiles a store can serve, from the ways that work.

use keykit::transfer::TransferProfile;
use serde::{Deserialize, Serialize};

use super::routes::{Direction, Route, Way};

/// How well a profile is served, best last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Served {
    /// Not at all.
    No,
    /// The key stays in the token; the AES key that wraps it is in this process's memory for a moment.
    WithHostVisibleKey,
    /// The key is in this process's memory anyway.
    InMemory,
    /// The key is never in the clear outside the token, nor is the key that wraps it.
    NeverInTheClear,
}

impl Served {
    fn by(way: Way) -> Self {
        match way {
            Way::None => Self::No,
            Way::HostVisibleKey => Self::WithHostVisibleKey,
            Way::InMemory => Self::InMemory,
            Way::OaepAndKeyWrap | Way::RsaAesKeyWrap => Self::NeverInTheClear,
        }
    }
}

/// A profile, and how it is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedProfile {
    /// Its name.
    pub profile: String,
    /// How.
    pub served: Served,
    /// The sizes of key encryption keys that this holds for, in bits.
    pub kek_bits: Vec<usize>,
    /// Whether strict readers may refuse the blob, because of zeros behind the key.
    pub may_pad_with_zeros: bool,
    /// What that means.
    pub sentence: String,
}

/// What each profile gets from these ways.
pub(super) fn serve(routes: &[Route], profiles: &[TransferProfile]) -> Vec<ServedProfile> {
    profiles.iter().map(|profile| serve_one(profile, routes)).collect()
}

fn serve_one(profile: &TransferProfile, routes: &[Route]) -> ServedProfile {
    let fits = |route: &&Route| {
        route.direction == Direction::Out && profile.kek.bits.contains(&route.kek_bits) && profile.oaep_hash.to_string() == route.oaep_hash
    };
    let served = routes.iter().filter(fits).map(|route| Served::by(route.way)).max().unwrap_or(Served::No);
    let best: Vec<&Route> = routes.iter().filter(fits).filter(|route| Served::by(route.way) == served).collect();
    let mut kek_bits: Vec<usize> = best.iter().map(|route| route.kek_bits).collect();
    kek_bits.dedup();
    let may_pad_with_zeros = served != Served::No && best.iter().all(|route| route.may_pad_with_zeros);
    let why_not = best.first().map_or("no way was tried", |route| route.why_not.as_str());
    let mut sentence = match served {
        Served::No => format!("cannot be served: {why_not}"),
        Served::WithHostVisibleKey => {
            "the key stays in the token, but the AES key that wraps it is in this process's memory for a moment; the plan must allow that".to_owned()
        }
        Served::InMemory => "the key is wrapped in this process's memory, where it is in any case".to_owned(),
        Served::NeverInTheClear => "the key is never in the clear outside the token".to_owned(),
    };
    if may_pad_with_zeros {
        sentence.push_str("; up to seven zero bytes may stand behind it in the blob, which a strict reader refuses: try the import before the day");
    }
    ServedProfile {
        profile: profile.name.clone(),
        served,
        kek_bits: if served == Served::No { Vec::new() } else { kek_bits },
        may_pad_with_zeros,
        sentence,
    }
}

#[cfg(test)]
mod tests {
    use keykit::key::Hash;

    use super::*;

    fn route(kek_bits: usize, oaep_hash: Hash, way: Way) -> Route {
        Route { direction: Direction::Out, kek_bits, oaep_hash: oaep_hash.to_string(), way, may_pad_with_zeros: false, why_not: "why".into() }
    }

    fn serve_all(routes: &[Route]) -> Vec<ServedProfile> {
        serve(routes, &TransferProfile::built_in().unwrap())
    }

    fn served(routes: &[Route], profile: &str) -> Served {
        serve_all(routes).into_iter().find(|served| served.profile == profile).unwrap().served
    }

    #[test]
    fn the_right_hash_and_size_are_needed() {
        let routes =
            [route(3072, Hash::Sha1, Way::OaepAndKeyWrap), route(3072, Hash::Sha256, Way::HostVisibleKey), route(4096, Hash::Sha256, Way::None)];
        assert_eq!(served(&routes, "azure-key-vault"), Served::NeverInTheClear);
        assert_eq!(served(&routes, "google-kms-3072-sha1"), Served::NeverInTheClear);
        assert_eq!(served(&routes, "google-kms-3072-sha256"), Served::WithHostVisibleKey);
        assert_eq!(served(&routes, "google-kms-4096-sha1"), Served::No);
        assert_eq!(served(&routes, "vault-transit"), Served::No);
        assert_eq!(served(&routes, "pkcs11"), Served::NeverInTheClear);
        assert!(serve_all(&[]).iter().all(|profile| profile.served == Served::No));
    }

    #[test]
    fn a_way_in_serves_no_profile() {
        let routes = [Route { direction: Direction::In, ..route(4096, Hash::Sha256, Way::OaepAndKeyWrap) }];
        assert_eq!(served(&routes, "vault-transit"), Served::No);
    }
}
