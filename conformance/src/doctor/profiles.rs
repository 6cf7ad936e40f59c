//! Which transfer profiles a store can serve, from the ways that work.

use keykit::key::Hash;
use serde::{Deserialize, Serialize};

use super::routes::{Direction, Route, Way};

/// What a profile asks of a source.
struct Needs {
    name: &'static str,
    /// Sizes of key encryption keys that the provider gives out, in bits.
    kek_bits: &'static [usize],
    /// Hash of the OAEP step; `None` if the receiver decides.
    oaep_hash: Option<Hash>,
}

const fn needs(name: &'static str, kek_bits: &'static [usize], oaep_hash: Option<Hash>) -> Needs {
    Needs { name, kek_bits, oaep_hash }
}

const ANY: &[usize] = &[2048, 3072, 4096];

/// The profiles of `keykit byok profiles`.
const PROFILES: [Needs; 11] = [
    needs("azure-key-vault", ANY, Some(Hash::Sha1)),
    needs("azure-managed-hsm", ANY, Some(Hash::Sha1)),
    needs("aws-kms-sha256", ANY, Some(Hash::Sha256)),
    needs("aws-kms-sha1", ANY, Some(Hash::Sha1)),
    needs("google-kms-3072-sha256", &[3072], Some(Hash::Sha256)),
    needs("google-kms-4096-sha256", &[4096], Some(Hash::Sha256)),
    needs("google-kms-3072-sha1", &[3072], Some(Hash::Sha1)),
    needs("google-kms-4096-sha1", &[4096], Some(Hash::Sha1)),
    needs("vault-transit", &[4096], Some(Hash::Sha256)),
    needs("oci-vault", &[4096], Some(Hash::Sha256)),
    needs("pkcs11", ANY, None),
];

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
pub(super) fn serve(routes: &[Route]) -> Vec<ServedProfile> {
    PROFILES.iter().map(|needs| serve_one(needs, routes)).collect()
}

fn serve_one(needs: &Needs, routes: &[Route]) -> ServedProfile {
    let fits = |route: &&Route| {
        route.direction == Direction::Out
            && needs.kek_bits.contains(&route.kek_bits)
            && needs.oaep_hash.is_none_or(|hash| hash.to_string() == route.oaep_hash)
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
        profile: needs.name.to_owned(),
        served,
        kek_bits: if served == Served::No { Vec::new() } else { kek_bits },
        may_pad_with_zeros,
        sentence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(kek_bits: usize, oaep_hash: Hash, way: Way) -> Route {
        Route { direction: Direction::Out, kek_bits, oaep_hash: oaep_hash.to_string(), way, may_pad_with_zeros: false, why_not: "why".into() }
    }

    fn served(routes: &[Route], profile: &str) -> Served {
        serve(routes).into_iter().find(|served| served.profile == profile).unwrap().served
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
        assert!(serve(&[]).iter().all(|profile| profile.served == Served::No));
    }

    #[test]
    fn a_way_in_serves_no_profile() {
        let routes = [Route { direction: Direction::In, ..route(4096, Hash::Sha256, Way::OaepAndKeyWrap) }];
        assert_eq!(served(&routes, "vault-transit"), Served::No);
    }
}
