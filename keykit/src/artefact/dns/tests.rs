use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::artefact::tests::grammar::literals;
use crate::artefact::tests::{EVERYTHING, named, of, text_of};

/// Reads zone lines as RFC 1035 §5.1 has them: comments, `$ORIGIN`, names within the origin. An independent reading, for the tests.
fn read(text: &str) -> Vec<(String, u32, String)> {
    let (mut origin, mut found) = (String::new(), Vec::new());
    for line in text.lines() {
        let line = line.split(';').next().unwrap().trim_end();
        if line.is_empty() {
            continue;
        }
        let words: Vec<&str> = line.split(' ').collect();
        assert!(
            words.iter().all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@$".contains(&byte))),
            "{line}"
        );
        if words[0] == "$ORIGIN" {
            origin = words[1].to_owned();
            assert!(origin.ends_with('.') && words.len() == 2);
            continue;
        }
        let name = match words[0] {
            "@" => origin.clone(),
            absolute if absolute.ends_with('.') => absolute.to_owned(),
            relative => format!("{relative}.{origin}"),
        };
        assert_eq!(words[2], "IN");
        found.push((name, words[1].parse().unwrap(), words[3..].join(" ")));
    }
    found
}

fn records(name: &str) -> BTreeMap<String, String> {
    read(&text_of(named(&of(EVERYTHING), name)))
        .into_iter()
        .map(|(name, seconds, data)| {
            assert_eq!(seconds, 600);
            (name, data)
        })
        .collect()
}

#[test]
fn clusters_lead_to_the_tenant_in_the_longest_zone() {
    let service = "SRV 0 0 80 5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us.".to_owned();
    let expected =
        ["rms.contoso.com.", "rms.contoso.local.", "rms.emea.contoso.com."].map(|host| (format!("_rmsredir._http._tcp.{host}"), service.clone()));
    assert_eq!(records("dns/redirection.zone"), expected.into());
    let text = text_of(named(&of(EVERYTHING), "dns/redirection.zone"));
    assert!(text.contains("$ORIGIN emea.contoso.com.\n_rmsredir._http._tcp.rms 600 IN"), "{text}");
}

#[test]
fn the_mobile_extensions_records_go_for_each_mail_domain_and_each_clusters_domain() {
    let service = |host: &str| format!("SRV 0 0 443 {host}.");
    let expected = [
        ("contoso.com.", service("rms.contoso.com")),
        ("sales.contoso.com.", service("rms.contoso.com")),
        ("xn--shne-5qa.example.", service("rms.contoso.com")),
        ("emea.contoso.com.", service("rms.emea.contoso.com")),
        ("vault.contoso.com.", service("rms.vault.contoso.com")),
    ];
    assert_eq!(records("dns/mobile-extension.zone"), expected.map(|(domain, data)| (format!("_rmsdisco._http._tcp.{domain}"), data)).into());
}

#[test]
fn old_names_lead_nowhere_for_office_2010() {
    let expected = ["rms.contoso.com.", "rms.contoso.local.", "rms.emea.contoso.com."].map(|host| (host.to_owned(), "A 127.0.0.1".to_owned()));
    assert_eq!(records("dns/office-2010.zone"), expected.into());
    let hosts = text_of(named(&of(EVERYTHING), "clients/hosts-office-2010.txt"));
    let lines: Vec<&str> = hosts.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines, ["127.0.0.1 rms.contoso.com", "127.0.0.1 rms.contoso.local", "127.0.0.1 rms.emea.contoso.com"]);
}

/// The calls of a script: function, zone, name, port and target.
fn calls(name: &str) -> Vec<(String, Vec<String>)> {
    let text = text_of(named(&of(EVERYTHING), name));
    let body = text.rsplit_once("}\n").unwrap().1;
    body.lines().filter(|line| !line.is_empty()).map(|line| (line.split(' ').next().unwrap().to_owned(), literals(line).unwrap())).collect()
}

#[test]
fn scripts_do_what_the_zone_lines_say_and_their_ways_back_the_same_the_other_way() {
    for (zone, forth, back, verbs) in [
        ("redirection", "Add-Redirection", "Remove-Redirection", ["Add-Service", "Remove-Service"]),
        ("mobile-extension", "Remove-MobileExtension", "Restore-MobileExtension", ["Remove-Service", "Add-Service"]),
        ("office-2010", "Set-Office2010Loopback", "Restore-Office2010Addresses", ["Set-Loopback", "Restore-Address"]),
    ] {
        let (forth, back) = (calls(&format!("dns/{forth}.ps1")), calls(&format!("dns/{back}.ps1")));
        let expected: Vec<String> = records(&format!("dns/{zone}.zone")).into_keys().collect();
        let mut names: Vec<String> = forth.iter().map(|(_, words)| format!("{}.{}.", words[1], words[0])).collect();
        names.sort();
        assert_eq!(names, expected);
        assert!(forth.iter().all(|(verb, _)| verb == verbs[0]) && back.iter().all(|(verb, _)| verb == verbs[1]));
        assert!(forth.iter().map(|(_, words)| words).eq(back.iter().map(|(_, words)| words)));
    }
}

proptest! {
    #[test]
    fn records_come_back_from_zone_lines(owner in "[a-z0-9_][a-z0-9-]{0,10}[a-z0-9](\\.[a-z0-9]{1,8}){0,3}", zone in "[a-z0-9]{1,8}(\\.[a-z0-9]{1,8}){1,3}", port in 1_u16.., target in "[a-z0-9]{1,8}(\\.[a-z0-9]{1,8}){1,3}") {
        let file = MigrationFile::parse(EVERYTHING).unwrap();
        let record = Record { zone: zone.clone(), owner: owner.clone(), data: Data::Service { port, target: target.clone() } };
        let read = read(&zone_lines(&file, &["a; b".to_owned()], &[record]));
        prop_assert_eq!(read, vec![(format!("{owner}.{zone}."), 600, format!("SRV 0 0 {port} {target}."))]);
    }
}
