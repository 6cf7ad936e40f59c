//! Hosts as names of the DNS, and the zones that they are in.

use crate::error::{Error, Result};
use crate::migration::file::{DomainName, MigrationFile};

/// A host that can have records of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostName(DomainName);

impl HostName {
    /// Reads a host of a URL or an e-mail domain. `None` for addresses and names of one label, which are in no zone.
    ///
    /// # Errors
    /// [`Error::Malformed`] for anything that is no DNS name.
    pub(super) fn read(host: &str) -> Result<Option<Self>> {
        let name: DomainName = host.to_ascii_lowercase().parse().map_err(|problem| {
            Error::malformed("DNS name", format!("{host:?} {problem}"))
                .with_hint("write the name as the DNS has it; other letters stand there as xn--…")
        })?;
        let is_address = name.as_str().split('.').all(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
        Ok((name.as_str().contains('.') && !is_address).then_some(Self(name)))
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The domain above it.
    pub(super) fn parent(&self) -> &str {
        self.as_str().split_once('.').map_or("", |(_, parent)| parent)
    }

    /// Whether it is in a domain, or is that domain.
    pub(super) fn is_in(&self, domain: &str) -> bool {
        let (name, domain) = (self.as_str(), domain.to_ascii_lowercase());
        name == domain || name.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'))
    }
}

/// The zones of an organisation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Zones(Vec<String>);

impl Zones {
    pub(super) fn of(file: &MigrationFile) -> Self {
        let mut zones: Vec<String> = file.dns.iter().flat_map(|dns| dns.zones.iter().map(|zone| zone.as_str().to_ascii_lowercase())).collect();
        zones.sort_by_key(|zone| std::cmp::Reverse(zone.len()));
        Self(zones)
    }

    /// The zone of a name, and the name within it (empty for the zone itself). `above` says that without any zone that fits, the
    /// domain above the name is taken for one; otherwise the name itself is.
    pub(super) fn place(&self, name: &HostName, above: bool) -> (String, String) {
        let zone = self.0.iter().find(|zone| name.is_in(zone)).cloned();
        let zone = zone.unwrap_or_else(|| if above { name.parent() } else { name.as_str() }.to_owned());
        let within = name.as_str().strip_suffix(&zone).map_or("", |rest| rest.trim_end_matches('.')).to_owned();
        (zone, within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> HostName {
        HostName::read(text).unwrap().unwrap()
    }

    #[test]
    fn a_name_is_in_the_longest_zone_that_it_ends_with() {
        let zones = Zones(vec!["emea.contoso.com".into(), "contoso.com".into()]);
        for (name, above, place) in [
            ("rms.emea.contoso.com", true, ("emea.contoso.com", "rms")),
            ("RMS.Contoso.com", true, ("contoso.com", "rms")),
            ("a.b.contoso.com", true, ("contoso.com", "a.b")),
            ("contoso.com", false, ("contoso.com", "")),
            ("rms.mycontoso.com", true, ("mycontoso.com", "rms")),
            ("fabrikam.com", false, ("fabrikam.com", "")),
        ] {
            assert_eq!(zones.place(&host(name), above), (place.0.to_owned(), place.1.to_owned()), "{name}");
        }
    }

    #[test]
    fn addresses_and_short_names_are_in_no_zone_and_other_texts_are_refused() {
        assert_eq!((HostName::read("10.0.0.1").unwrap(), HostName::read("rms").unwrap()), (None, None));
        for hostile in ["a b.com", "a;b.com", "a..com", "-a.com", "ä.com", "a.com\n", "$x.com", "", "a'.com", "*.com"] {
            assert_eq!(HostName::read(hostile).unwrap_err().code(), "malformed", "{hostile}");
        }
    }
}
