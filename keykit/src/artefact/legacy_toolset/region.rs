//! The regions of the toolset: each has its own key exchange key and Security World (rules 36 and 103).

use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::error::{Error, Result};

/// A region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    code: &'static str,
    archives: &'static [(&'static str, &'static str)],
}

/// Code of the packages; name and published SHA-256 of each archive.
const REGIONS: [Region; 17] = [
    region("NA", &[("UnitedStates", "2E8C00320400430106366A4E8C67B79015524E4EC24A2D3A6DC513CA1823B0D4")]),
    region("EU", &[("Europe", "9AAA63E2E7F20CF9BB62485868754203721D2F88D300910634A32DFA1FB19E4A")]),
    region("AP", &[("AsiaPacific", "4BC14059BF0FEC562CA927AF621DF665328F8A13616F44C977388EC7121EF6B5")]),
    region("LATAM", &[("LatinAmerica", "E7DFAFF579AFE1B9732C30D6FD80C4D03756642F25A538922DD1B01A4FACB619")]),
    region("JPN", &[("Japan", "3933C13CC6DC06651295ADC482B027AF923A76F1F6BF98B4D4B8E94632DEC7DF")]),
    region("KOREA", &[("Korea", "71AB6BCFE06950097C8C18D532A9184BEF52A74BB944B8610DDDA05344ED136F")]),
    region("SA", &[("SouthAfrica", "C41060C5C0170AAAAD896DA732E31433D14CB9FC83AC3C67766F46D98620784A")]),
    region("UAE", &[("UAE", "FADE80210B06962AA0913EA411DAB977929248C65F365FD953BB9F241D5FC0D3")]),
    region("AUS", &[("Australia", "CD0FB7365053DEF8C35116D7C92D203C64A3D3EE2452A025223EEB166901C40A")]),
    region("USGOV", &[("USGovCloud", "F8DB2FC914A7360650922391D9AA79FF030FD3048B5795EC83ADC59DB018621A")]),
    region("USDOD", &[("USGovernmentDoD", "A79DD8C6DFFF1B00B91D1812280207A205442B3DDF861B79B8B991BB55C35263")]),
    region("CANADA", &[("Canada", "61BE1A1F80AC79912A42DEBBCC42CF87C88C2CE249E271934630885799717C7B")]),
    region(
        "GERMANY",
        &[
            ("Germany", "5385E615880AAFC02AFD9841F7BADD025D7EE819894AA29ED3C71C3F844C45D6"),
            ("Germany-Public", "54534936D0A0C99C8117DB724C34A5E50FD204CFCBD75C78972B785865364A29"),
        ],
    ),
    region("INDIA", &[("India", "49EDCEB3091CF1DF7B156D5B495A4ADE1CFBA77641134F61B0E0940121C436C8")]),
    region("FRANCE", &[("France", "5C9D1F3E4125B0C09E9F60897C9AE3A8B4CB0E7D13A14F3EDBD280128F8FE7DF")]),
    region("UK", &[("UnitedKingdom", "432746BD0D3176B708672CCFF19D6144FCAA9E5EB29BB056489D3782B3B80849")]),
    region("SUI", &[("Switzerland", "88CF8D39899E26D456D4E0BC57E5C94913ABF1D73A89013FCE3BBD9599AD2FE9")]),
];

const fn region(code: &'static str, archives: &'static [(&'static str, &'static str)]) -> Region {
    Region { code, archives }
}

impl Region {
    /// All regions.
    pub fn all() -> impl Iterator<Item = Self> {
        REGIONS.into_iter()
    }

    /// As the packages name it: `NA`, `EU`, …
    #[must_use]
    pub fn code(self) -> &'static str {
        self.code
    }

    /// Package with the key exchange key.
    #[must_use]
    pub fn exchange_key_package(self) -> String {
        format!("BYOK-KEK-pkg-{}-1", self.code)
    }

    /// Package with the Security World.
    #[must_use]
    pub fn security_world_package(self) -> String {
        format!("BYOK-SecurityWorld-pkg-{}-1", self.code)
    }

    /// File name and published SHA-256 of each archive of the toolset; Germany has two, one for each of its clouds.
    pub fn archives(self) -> impl Iterator<Item = (String, &'static str)> {
        self.archives.iter().map(|(name, hash)| (format!("KeyVault-BYOK-Tools-{name}.zip"), *hash))
    }
}

impl FromStr for Region {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::all().find(|region| region.code.eq_ignore_ascii_case(text)).ok_or_else(|| {
            let known: Vec<&str> = Self::all().map(Self::code).collect();
            Error::malformed("region of the toolset", format!("{text:?} is none of {}", known.join(", ")))
        })
    }
}

impl Serialize for Region {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_found_and_their_hashes_are_hashes() {
        assert_eq!("na".parse::<Region>().unwrap().exchange_key_package(), "BYOK-KEK-pkg-NA-1");
        assert_eq!("SUI".parse::<Region>().unwrap().security_world_package(), "BYOK-SecurityWorld-pkg-SUI-1");
        assert!("US".parse::<Region>().unwrap_err().to_string().contains("USGOV"));
        let hashes: std::collections::BTreeSet<&str> = Region::all().flat_map(Region::archives).map(|(_, hash)| hash).collect();
        assert_eq!(hashes.len(), 18);
        assert!(hashes.iter().all(|hash| hash.len() == 64 && hash.bytes().all(|digit| digit.is_ascii_hexdigit())));
    }
}
