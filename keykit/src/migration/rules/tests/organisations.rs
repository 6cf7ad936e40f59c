//! One thing wrong at a time in each organisation, as a change of the typed file: the right rule refuses, and no other.

use super::*;
use crate::migration::file::*;
use crate::tenant::{Era, Managed};

/// A rule and the change that breaks it.
type Wrong = (u16, fn(&mut MigrationFile));

fn cluster(file: &mut MigrationFile, index: usize) -> &mut Cluster {
    file.forest.iter_mut().flat_map(|forest| &mut forest.cluster).nth(index).unwrap()
}

fn domain(file: &mut MigrationFile, index: usize) -> &mut ExportedDomain {
    file.forest.iter_mut().flat_map(|forest| &mut forest.cluster).flat_map(|cluster| &mut cluster.domain).nth(index).unwrap()
}

fn version(text: &str) -> Option<Placed<Version>> {
    Some(text.parse::<Version>().unwrap().into())
}

/// What can be wrong in every organisation.
const EVERYWHERE: &[Wrong] = &[
    (1, |file| cluster(file, 0).operating_system = Windows::Server2003.into()),
    (3, |file| file.forest[0].cluster.retain(|cluster| cluster.domain.is_empty())),
    (6, |file| file.directory.as_mut().unwrap().synchronised = false.into()),
    (8, |file| file.directory.as_mut().unwrap().attributes.truncate(2)),
    (11, |file| file.services.as_mut().unwrap().outage_window = None),
    (13, |file| file.workstation.as_mut().unwrap().dot_net_version = version("4.0")),
    (14, |file| file.workstation.as_mut().unwrap().account = Some(AccountRole::MicrosoftAccount.into())),
    (15, |file| file.network.as_mut().unwrap().inspects_tls = true.into()),
    (17, |file| file.clients.as_mut().unwrap().windows = vec![Windows::VistaOrOlder.into()]),
    (32, |file| file.rekey.as_mut().unwrap().bits = Some(4096.into())),
    (38, |file| cluster(file, 0).hold_your_own_key = Some(true.into())),
    (43, |file| cluster(file, 0).domains_in_console = Some(9.into())),
    (45, |file| domain(file, 0).file = FilePath::from("domain").into()),
    (56, |file| domain(file, 0).active = Some(false.into())),
    (77, |file| domain(file, 0).identifier = Some("a_b".to_owned().into())),
    (154, |file| cluster(file, 0).intranet_url = Some(" https://rms.local".parse::<ServerUrl>().unwrap().into())),
    (166, |file| cluster(file, 0).extranet_url = None),
    (195, |file| file.services.as_mut().unwrap().exchange_server = vec![ExchangeServer::Exchange2007OrOlder.into()]),
    (196, |file| file.connector.as_mut().unwrap().computers = 1.into()),
    (198, |file| file.connector.as_mut().unwrap().configured_before_disabling = Some(true.into())),
    (200, |file| file.services.as_mut().unwrap().documents_checked_out = Some(true.into())),
];

/// What can be wrong where the service keeps the key and users move in batches.
const IN_SINGLE: &[Wrong] = &[
    (12, |file| file.workstation.as_mut().unwrap().module = PowerShellModule::Aadrm.into()),
    (20, |file| file.tenant.automatic_activation_off = None),
    (24, |file| file.partner[0].keys_imported = Some(false.into())),
    (30, |file| cluster(file, 0).protection = Some(KeyProtection::Nshield.into())),
    (46, |file| {
        let source = domain(file, 0).password_source.clone();
        domain(file, 1).password_source = source;
    }),
    (123, |file| file.rekey.as_mut().unwrap().key = Some(RekeySource::New.into())),
    (150, |file| file.onboarding.as_mut().unwrap().group_kind = GroupKind::Distribution.into()),
    (151, |file| file.onboarding.as_mut().unwrap().demand_licence = Some(true.into())),
    (153, |file| file.onboarding.as_mut().unwrap().clients_prepared = Some(false.into())),
    (155, |file| file.batch.truncate(1)),
    (156, |file| file.onboarding.as_mut().unwrap().removal.reverse()),
    (157, |file| file.connector.as_mut().unwrap().account_onboarded = Some(false.into())),
    (160, |file| file.tenant.region = Region::China.into()),
    (162, |file| file.clients.as_mut().unwrap().redirection = Some(Redirection::Dns.into())),
    (211, |file| file.decommission.as_mut().unwrap().activity_watched = Some(false.into())),
];

/// What can be wrong under the rules of 2016, with the nShield toolset and Office 2010.
const IN_LICENSING: &[Wrong] = &[
    (12, |file| file.workstation.as_mut().unwrap().module_version = version("2.0")),
    (16, |file| file.clients.as_mut().unwrap().sign_in_client = None),
    (22, |file| cluster(file, 0).upgrade_before_migration = Some(true.into())),
    (41, |file| cluster(file, 0).protection = Some(KeyProtection::ExternalProvider.into())),
    (76, |file| file.toolset.as_mut().unwrap().protect = Some(ToolsetProtection::Token.into())),
    (90, |file| file.toolset.as_mut().unwrap().drive_mib = Some(8.into())),
    (95, |file| file.toolset.as_mut().unwrap().cards_needed = Some(9.into())),
    (98, |file| file.toolset.as_mut().unwrap().package_verified = Some(false.into())),
    (103, |file| file.toolset.as_mut().unwrap().package_region = Some(PackageRegion::Ap1.into())),
    (215, |file| file.rekey.as_mut().unwrap().after_migration = false.into()),
    (222, |file| file.toolset.as_mut().unwrap().backed_up = Some(false.into())),
];

/// What can be wrong with two forests, a module and a vault.
const IN_TWO: &[Wrong] = &[
    (7, |file| file.directory.as_mut().unwrap().group[0].kind = GroupKind::DynamicDistribution.into()),
    (18, |file| file.decommission.as_mut().unwrap().keep_running = Some(true.into())),
    (21, |file| file.tenant.vault.as_mut().unwrap().tier = VaultTier::Standard.into()),
    (29, |file| {
        cluster(file, 0).source = None;
        cluster(file, 0).evidence.clear();
    }),
    (31, |file| cluster(file, 0).exportable = Some(false.into())),
    (36, |file| file.tenant.key_encryption_key_region = Some(Region::SouthAmerica.into())),
    (69, |file| domain(file, 1).key_url = None),
    (106, |file| file.tenant.vault.as_mut().unwrap().key_encryption_key_bits = Some(1024.into())),
    (107, |file| domain(file, 0).key_url = Some("https://v.vault.azure.net/keys/k".parse::<KeyUrl>().unwrap().into())),
    (108, |file| file.tenant.vault.as_mut().unwrap().permissions.truncate(1)),
    (109, |file| file.tenant.vault.as_mut().unwrap().key_operations.truncate(1)),
    (110, |file| file.tenant.vault.as_mut().unwrap().blocks_trusted_services = Some(true.into())),
    (187, |file| file.services.as_mut().unwrap().exchange_online_with_ad_rms = Some(true.into())),
    (197, |file| file.services.as_mut().unwrap().msipc_version = version("1.0")),
    (216, |file| file.rekey.as_mut().unwrap().key = Some(RekeySource::Automatic.into())),
];

/// Rules that can't be kept once another is broken: a forest without its root cluster has nothing to export, and so on.
fn must_follow(rule: u16, file: &MigrationFile) -> &'static [u16] {
    match rule {
        3 if file.domains().next().is_some() => &[56],
        _ => &[],
    }
}

#[test]
fn one_thing_wrong_at_a_time_is_refused_by_the_right_rule() {
    let mut cases = 0;
    for (name, text, own) in [("single", SINGLE, IN_SINGLE), ("licensing-only", LICENSING, IN_LICENSING), ("two forests", TWO, IN_TWO)] {
        for (rule, change) in EVERYWHERE.iter().chain(own) {
            let mut file = read(text);
            change(&mut file);
            let findings = examine(&Facts::of_file(&file)).all().to_vec();
            let mut expected = BTreeSet::from([*rule]);
            expected.extend(must_follow(*rule, &file));
            assert_eq!(rules_of(&findings, Severity::Refusal), expected, "{name}: {findings:#?}");
            cases += 1;
        }
    }
    assert_eq!(cases, 3 * 21 + 15 + 11 + 15);
}

#[test]
fn an_organisation_under_the_rules_of_the_other_era_meets_their_limits() {
    let mut file = read(SINGLE);
    file.era = Some(Era::Of2016.into());
    // The newer module, a later Exchange and what 2016 did not have.
    assert_eq!(rules_of(examine(&Facts::of_file(&file)).all(), Severity::Refusal), BTreeSet::from([12, 51]));
    let mut file = read(LICENSING);
    file.era = None;
    let refused = rules_of(examine(&Facts::of_file(&file)).all(), Severity::Refusal);
    assert_eq!(refused, BTreeSet::from([1, 12, 195]));
}

#[test]
fn a_change_of_who_keeps_the_key_changes_the_paths() {
    let mut file = read(TWO);
    file.tenant.managed = Managed::Service.into();
    assert!(rules_of(examine(&Facts::of_file(&file)).all(), Severity::Refusal).contains(&30));
}
