//! The organisation's own names, checked once, as all artefacts use them.

use super::domain_names::HostName;
use super::markdown;
use crate::error::{Error, Result};
use crate::migration::file::{MigrationFile, Office, ServerUrl};

/// Path of a licensing service.
pub(super) const LICENSING: &str = "/_wmcs/licensing";
/// Path of a certification service.
pub(super) const CERTIFICATION: &str = "/_wmcs/certification";

/// A cluster's two URLs, each without a path (`https://rms.contoso.com`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClusterNames {
    pub(super) intranet: Option<String>,
    pub(super) extranet: Option<String>,
    /// Further ones that old licences name.
    pub(super) former: Vec<String>,
    pub(super) active: bool,
    /// Whether it goes on for old content: its key can't leave its module, so nothing of it may lead to the tenant (rule 31).
    pub(super) stays: bool,
}

impl ClusterNames {
    /// All URLs, without doubles: inside, outside, former ones.
    pub(super) fn urls(&self) -> Vec<&str> {
        let mut urls: Vec<&str> = Vec::new();
        for url in [&self.intranet, &self.extranet].into_iter().flatten().chain(&self.former) {
            if !urls.contains(&url.as_str()) {
                urls.push(url);
            }
        }
        urls
    }

    /// The hosts that clients reach it by, without doubles.
    pub(super) fn hosts(&self) -> Vec<&str> {
        let mut hosts: Vec<&str> = Vec::new();
        for url in [&self.extranet, &self.intranet].into_iter().flatten() {
            let host = host_of(url);
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        hosts
    }

    /// The one that computers outside reach, or else the other.
    pub(super) fn outside(&self) -> Option<&str> {
        self.extranet.as_deref().or(self.intranet.as_deref())
    }
}

/// What the artefacts name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// URL of the tenant, without a path.
    pub(super) tenant: String,
    /// Its host.
    pub(super) tenant_host: String,
    /// The clusters that have a URL.
    pub(super) clusters: Vec<ClusterNames>,
    /// URL of the connector, without a path.
    connector: Option<String>,
    /// Versions of Office in use; all if none is named.
    pub(super) office: Vec<Office>,
}

impl Names {
    /// Reads them from a migration file.
    ///
    /// # Errors
    /// [`Error::Refused`]: no URL of the tenant (rule 160), no URL of any cluster or one with another path (rule 166), blanks (rule 154).
    pub(super) fn of(file: &MigrationFile) -> Result<Self> {
        let url = file.tenant.url.as_ref().ok_or_else(|| {
            Error::refused(
                160,
                "the migration file does not name the tenant's URL",
                "set `url` in [tenant], as LicensingIntranetDistributionPointUrl has it",
            )
        })?;
        let tenant = base(&url.value)?;
        let mut clusters = Vec::new();
        for (_, cluster) in file.clusters() {
            let of = |url: &Option<crate::migration::file::Placed<ServerUrl>>| url.as_ref().map(|url| base(&url.value)).transpose();
            let names = ClusterNames {
                intranet: of(&cluster.intranet_url)?,
                extranet: of(&cluster.extranet_url)?,
                former: cluster.former_urls.iter().map(|url| base(&url.value)).collect::<Result<_>>()?,
                stays: cluster.exportable.as_ref().is_some_and(|exportable| !exportable.value),
                active: cluster.domain.iter().any(crate::migration::file::ExportedDomain::is_active),
            };
            if names.outside().is_some() {
                clusters.push(names);
            }
        }
        if clusters.is_empty() {
            return Err(Error::refused(
                166,
                "the migration file names no licensing URL of any cluster",
                "set `intranet-url` and `extranet-url`, as Cluster Details shows them",
            ));
        }
        let mut office: Vec<Office> = file.clients.iter().flat_map(|clients| clients.office.iter().map(|office| office.value)).collect();
        office.extend(file.batch.iter().flat_map(|batch| batch.office.iter().map(|office| office.value)));
        if office.is_empty() {
            office = Office::ALL.to_vec();
        }
        let connector = file.connector.as_ref().and_then(|connector| connector.url.as_ref()).map(|url| base(&url.value)).transpose()?;
        Ok(Self { tenant, tenant_host: url.value.host(), clusters, connector, office })
    }

    /// The cluster that clients stay with until they migrate: that of the active key, or else the first.
    pub(super) fn main_cluster(&self) -> Option<&ClusterNames> {
        self.clusters.iter().find(|cluster| cluster.active).or_else(|| self.clusters.first())
    }

    /// The clusters whose keys move to the tenant.
    pub(super) fn moving(&self) -> impl Iterator<Item = &ClusterNames> {
        self.clusters.iter().filter(|cluster| !cluster.stays)
    }

    /// Every host that clients reach a moving cluster by, as a name of the DNS; addresses and short names are left out.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a host that is no DNS name.
    pub(super) fn host_names(&self) -> Result<Vec<HostName>> {
        let mut names = Vec::new();
        for host in self.moving().flat_map(ClusterNames::hosts) {
            if let Some(name) = HostName::read(host)?
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The connector's URL, without a path.
    ///
    /// # Errors
    /// [`Error::Refused`] by rule 202 if the file names servers and no connector.
    pub(super) fn connector(&self) -> Result<&str> {
        self.connector.as_deref().ok_or_else(|| {
            Error::refused(
                202,
                "the migration file names servers, and no URL of the connector that they use",
                "set `url` in [connector]: scheme and load-balanced name of the connector",
            )
        })
    }

    /// The tenant's licensing URL.
    pub(super) fn licensing(&self) -> String {
        format!("{}{LICENSING}", self.tenant)
    }

    /// The tenant's certification URL.
    pub(super) fn certification(&self) -> String {
        format!("{}{CERTIFICATION}", self.tenant)
    }

    /// Every licensing URL that a licence may name: of each cluster whose key moves, inside and outside, with and without the port of https (rule 166).
    pub(super) fn old_licensing(&self) -> Vec<String> {
        let mut urls: Vec<String> = Vec::new();
        for base in self.moving().flat_map(ClusterNames::urls) {
            let other = match base.strip_prefix("https://") {
                Some(authority) if !authority.contains(':') => Some(format!("{base}:443")),
                Some(_) => base.strip_suffix(":443").map(str::to_owned),
                None => None,
            };
            for url in std::iter::once(base.to_owned()).chain(other) {
                let url = format!("{url}{LICENSING}");
                if !urls.contains(&url) {
                    urls.push(url);
                }
            }
        }
        urls
    }

    /// Whether clients have Office 2010 or older, which uses the MSDRM client.
    pub(super) fn has_old_office(&self) -> bool {
        self.office.iter().any(|office| matches!(office, Office::Office2007OrOlder | Office::Office2010))
    }

    /// Numbers of the Office versions that have redirections of their own (11.0, 12.0, 14.0).
    pub(super) fn msdrm_versions(&self) -> Vec<&'static str> {
        let mut versions = if self.office.contains(&Office::Office2007OrOlder) { vec!["11.0", "12.0"] } else { Vec::new() };
        if self.office.contains(&Office::Office2010) {
            versions.push("14.0");
        }
        versions
    }

    /// Numbers of the Office versions on the MSIPC client (15.0, 16.0).
    pub(super) fn msipc_versions(&self) -> Vec<&'static str> {
        let mut versions = if self.office.contains(&Office::Office2013) { vec!["15.0"] } else { Vec::new() };
        let is_new = |office: &Office| !matches!(office, Office::Office2007OrOlder | Office::Office2010 | Office::Office2013);
        if self.office.iter().any(is_new) {
            versions.push("16.0");
        }
        versions
    }
}

/// Whose tenant a run book was made for.
pub(super) fn tenant_note(file: &MigrationFile) -> String {
    format!(
        "For the tenant {} of {}. Other tenants have other values: do not use these files there.",
        markdown::code(&file.tenant.name),
        markdown::text(&file.organisation.name)
    )
}

/// The host of a base URL, without its port.
pub(super) fn host_of(base: &str) -> &str {
    let authority = base.split_once("://").map_or(base, |(_, authority)| authority);
    authority.split(':').next().unwrap_or_default()
}

/// Scheme, host and port of a URL that ends there or with the path of the licensing service.
pub(super) fn base(url: &ServerUrl) -> Result<String> {
    if url.has_outer_blanks() {
        return Err(Error::refused(154, format!("{:?} has blanks around it, which break the clients' scripts", url.as_str()), "remove the blanks"));
    }
    if url.as_str().chars().any(char::is_control) {
        return Err(Error::refused(
            154,
            format!("{:?} has a control character or a line end in it", url.as_str()),
            "write the URL as Cluster Details shows it",
        ));
    }
    let (scheme, rest) = url.as_str().split_once("://").unwrap_or(("https", url.as_str()));
    let path = rest.find(['/', '?', '#']).and_then(|at| rest.get(at..)).unwrap_or_default();
    if !path.is_empty() && path != "/" && !path.trim_end_matches('/').eq_ignore_ascii_case(LICENSING) {
        return Err(Error::refused(
            166,
            format!("{:?} does not end with {LICENSING}", url.as_str()),
            "write the licensing URL as Cluster Details shows it; only scheme, host and port differ between clusters",
        ));
    }
    Ok(format!("{}://{}", scheme.to_ascii_lowercase(), url.authority()))
}
