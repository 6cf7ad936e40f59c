//! Records to add to the DNS and to take from it: as lines of zone files (RFC 1035 §5.1, RFC 2782), and as PowerShell.
//!
//! | records | when | rules |
//! |---|---|---|
//! | `_rmsredir._http._tcp.CLUSTER` | added before Exchange Online or clients that follow the DNS move | 162, 169, 189 |
//! | `_rmsdisco._http._tcp.DOMAIN` | taken away when mobile devices and Macs move | 168 |
//! | address of a cluster, 127.0.0.1 | set after AD RMS has ended, for Office 2010 | 172 |

use super::domain_names::{HostName, Zones};
use super::names::{Names, host_of};
use super::power_shell::literal;
use super::registry_script::bytes;
use super::{Artefact, Stage};
use crate::error::Result;
use crate::migration::file::{MigrationFile, Office, Redirection};

/// Seconds for which others may remember a record, unless the file says otherwise.
const TIME_TO_LIVE: u32 = 3600;
const FUNCTIONS: &str = include_str!("dns/functions.ps1");

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Data {
    /// A service (SRV) of priority and weight 0.
    Service { port: u16, target: String },
    /// An address of this very computer.
    Loopback,
}

/// A record in its zone.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    zone: String,
    /// Name within the zone.
    owner: String,
    data: Data,
}

impl Record {
    fn service(prefix: &str, (zone, within): (String, String), port: u16, target: &str) -> Self {
        let owner = if within.is_empty() { prefix.to_owned() } else { format!("{prefix}.{within}") };
        Self { zone, owner, data: Data::Service { port, target: target.to_owned() } }
    }
}

/// All records that the file asks for, as zone lines and scripts with their roll-backs.
///
/// # Errors
/// [`crate::Error::Malformed`] for a host or e-mail domain that is no DNS name; those of [`Names::of`].
pub(super) fn artefacts(file: &MigrationFile, names: &Names) -> Result<Vec<Artefact>> {
    let mut files = Vec::new();
    if redirects_by_dns(file) || uses_exchange_online(file) {
        files.extend(redirection(file, names)?);
    }
    if file.clients.as_ref().and_then(|clients| clients.mobile_extension.as_ref()).is_some_and(|used| used.value) {
        files.extend(mobile_extension(file, names)?);
    }
    if names.office.contains(&Office::Office2010) && super::clients::is_in_use(file) {
        files.extend(loopback(file, names)?);
    }
    Ok(files)
}

/// Whether some clients find the tenant by the DNS.
pub(super) fn redirects_by_dns(file: &MigrationFile) -> bool {
    let redirection = file.clients.as_ref().and_then(|clients| clients.redirection.as_ref());
    redirection.is_some_and(|redirection| matches!(redirection.value, Redirection::Dns | Redirection::Both))
}

fn uses_exchange_online(file: &MigrationFile) -> bool {
    file.services.as_ref().and_then(|services| services.exchange_online.as_ref()).is_some_and(|used| used.value)
}

fn redirection(file: &MigrationFile, names: &Names) -> Result<Vec<Artefact>> {
    let zones = Zones::of(file);
    let (mut records, mut left_out) = (Vec::new(), Vec::new());
    for host in names.moving().flat_map(|cluster| cluster.hosts()) {
        match HostName::read(host)? {
            Some(name) => records.push(Record::service("_rmsredir._http._tcp", zones.place(&name, true), 80, &names.tenant_host)),
            None => left_out.push(format!("{host} is no full name: it can have no record. Clients that use it are not redirected.")),
        }
    }
    let mut comments = vec![
        "Redirection of the clusters' names to the tenant. Exchange Online learns from it which key belongs to AD RMS; click-to-run".to_owned(),
        "Office 2016 and later follows it once the old server answers 401.3 (rules 162, 189). The port is not looked at.".to_owned(),
        "The old server must stay online for clients that are redirected this way (rule 169).".to_owned(),
    ];
    comments.extend(left_out);
    let stage = if redirects_by_dns(file) { Stage::Clients } else { Stage::ExchangeOnline };
    let rules: &[u16] = if redirects_by_dns(file) { &[162, 169, 189] } else { &[189] };
    let script = |verb, comments: &[String]| script(file, verb, comments, &records);
    Ok(vec![
        Artefact::new(
            stage,
            "dns/redirection.zone",
            zone_lines(file, &comments, &records),
            "records to add: clusters' names lead to the tenant",
            rules,
        ),
        Artefact::new(stage, "dns/Add-Redirection.ps1", script("Add-Service", &comments)?, "the same as a script", rules),
        Artefact::new(
            stage,
            "dns/Remove-Redirection.ps1",
            script("Remove-Service", &["Takes away the records that Add-Redirection.ps1 adds, and no others.".to_owned()])?,
            "the records of redirection.zone go",
            rules,
        )
        .undoing(),
    ])
}

fn mobile_extension(file: &MigrationFile, names: &Names) -> Result<Vec<Artefact>> {
    let zones = Zones::of(file);
    let mut records: Vec<Record> = Vec::new();
    let mut add = |domain: &HostName, above: bool, target: &str| {
        let record = Record::service("_rmsdisco._http._tcp", zones.place(domain, above), 443, target);
        if !records.contains(&record) {
            records.push(record);
        }
    };
    let targets: Vec<HostName> = names
        .clusters
        .iter()
        .filter_map(|cluster| cluster.outside())
        .map(|url| HostName::read(host_of(url)))
        .filter_map(Result::transpose)
        .collect::<Result<_>>()?;
    let main = names.main_cluster().and_then(|cluster| cluster.outside()).map(|url| HostName::read(host_of(url))).transpose()?.flatten();
    for domain in &file.organisation.email_domains {
        let Some(domain) = HostName::read(domain)? else { continue };
        // The cluster that is in this e-mail domain, or else the main one.
        if let Some(target) = targets.iter().find(|target| target.is_in(domain.as_str())).or(main.as_ref()) {
            add(&domain, false, target.as_str());
        }
    }
    for target in &targets {
        if let Some(domain) = HostName::read(target.parent())? {
            add(&domain, false, target.as_str());
        }
    }
    let comments = [
        "Records of the mobile device extension, to take away: one for each e-mail domain, and one in the domain of each cluster".to_owned(),
        "(rule 168). Then mobile devices and Macs find the tenant by themselves; Macs may remember AD RMS for 30 days.".to_owned(),
        "Only records that say just this are taken away; look for others with the same names.".to_owned(),
    ];
    let rules = &[168];
    Ok(vec![
        Artefact::new(
            Stage::Complete,
            "dns/mobile-extension.zone",
            zone_lines(file, &comments, &records),
            "records to take away: mobile devices and Macs stop looking for AD RMS",
            rules,
        ),
        Artefact::new(
            Stage::Complete,
            "dns/Remove-MobileExtension.ps1",
            script(file, "Remove-Service", &comments, &records)?,
            "the same as a script",
            rules,
        ),
        Artefact::new(
            Stage::Complete,
            "dns/Restore-MobileExtension.ps1",
            script(file, "Add-Service", &["Adds the records that Remove-MobileExtension.ps1 takes away.".to_owned()], &records)?,
            "the records of mobile-extension.zone come back",
            rules,
        )
        .undoing(),
    ])
}

fn loopback(file: &MigrationFile, names: &Names) -> Result<Vec<Artefact>> {
    let zones = Zones::of(file);
    let mut records = Vec::new();
    for name in names.host_names()? {
        let (zone, owner) = zones.place(&name, true);
        records.push(Record { zone, owner: if owner.is_empty() { "@".to_owned() } else { owner }, data: Data::Loopback });
    }
    let comments = [
        "After AD RMS has ended: its names lead to the computer that asks, so that Office 2010 does not wait for it (rule 172).".to_owned(),
        "This is for everyone who asks this server. clients/Complete-Office2010.ps1 does it on single computers instead: use one of the two."
            .to_owned(),
        "Not while clients are redirected by the DNS: they need the old server (rule 169).".to_owned(),
    ];
    let rules = &[172];
    Ok(vec![
        Artefact::new(
            Stage::Complete,
            "dns/office-2010.zone",
            zone_lines(file, &comments, &records),
            "records to set instead of the clusters' addresses, for Office 2010",
            rules,
        ),
        Artefact::new(
            Stage::Complete,
            "dns/Set-Office2010Loopback.ps1",
            script(file, "Set-Loopback", &comments, &records)?,
            "the same as a script; it writes down the old addresses beside itself",
            rules,
        ),
        Artefact::new(
            Stage::Complete,
            "dns/Restore-Office2010Addresses.ps1",
            script(
                file,
                "Restore-Address",
                &["Sets the addresses again that Set-Office2010Loopback.ps1 wrote down beside itself.".to_owned()],
                &records,
            )?,
            "the old addresses come back",
            rules,
        )
        .undoing(),
    ])
}

fn time_to_live(file: &MigrationFile) -> u32 {
    file.dns.as_ref().and_then(|dns| dns.time_to_live.as_ref()).map_or(TIME_TO_LIVE, |seconds| seconds.value)
}

/// Records as lines of zone files, zone by zone.
fn zone_lines(file: &MigrationFile, comments: &[String], records: &[Record]) -> String {
    let mut text: String = comments.iter().map(|comment| format!("; {comment}\n")).collect();
    let mut zones: Vec<&str> = Vec::new();
    for record in records {
        if !zones.contains(&record.zone.as_str()) {
            zones.push(&record.zone);
        }
    }
    let seconds = time_to_live(file);
    for zone in zones {
        text.push_str(&format!("\n$ORIGIN {zone}.\n"));
        for record in records.iter().filter(|record| record.zone == zone) {
            let data = match &record.data {
                Data::Service { port, target } => format!("SRV 0 0 {port} {target}."),
                Data::Loopback => "A 127.0.0.1".to_owned(),
            };
            text.push_str(&format!("{} {seconds} IN {data}\n", record.owner));
        }
    }
    text
}

/// A script that calls one function for each record.
fn script(file: &MigrationFile, verb: &str, comments: &[String], records: &[Record]) -> Result<Vec<u8>> {
    let server = file.dns.as_ref().and_then(|dns| dns.server.as_ref()).map_or("", |server| server.as_str());
    let mut text = String::from("\u{feff}#Requires -Version 5.1\n#Requires -Modules DnsServer\n");
    comments.iter().for_each(|comment| text.push_str(&format!("# {comment}\n")));
    text.push_str(&format!(
        "[CmdletBinding(SupportsShouldProcess)]\nparam([string] $ComputerName = {}, [int] $TimeToLive = {})\n{FUNCTIONS}",
        literal(server)?,
        time_to_live(file)
    ));
    for record in records {
        let (zone, owner) = (literal(&record.zone)?, literal(&record.owner)?);
        match &record.data {
            Data::Service { port, target } => text.push_str(&format!("{verb} {zone} {owner} {port} {}\n", literal(target)?)),
            Data::Loopback => text.push_str(&format!("{verb} {zone} {owner}\n")),
        }
    }
    Ok(bytes(&text))
}

#[cfg(test)]
mod tests;
