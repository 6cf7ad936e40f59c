//! Hostile names come back from every syntax as they were meant, or are refused.

use proptest::prelude::*;

use super::grammar::{literals, markdown};
use super::{EVERYTHING, named, of, text_of};
use crate::artefact::markdown::{code, text};
use crate::artefact::power_shell::{CommandLine, Word};
use crate::artefact::registry::RegistryFile;
use crate::artefact::{Artefact, artefacts};
use crate::migration::file::MigrationFile;

/// Quotes of all kinds, marks of all syntaxes, blanks, other letters.
const HOSTILE: &str = "[a-zA-Z0-9 .:'\"&%$`;,|<>(){}\\[\\]@#!^*~=+/\\\\_–‘’‚‛“”äé€\u{1f511}-]{1,24}";

/// Puts a text in the place of another one in the organisation. `None` for blanks alone, which no file takes for a name.
fn with(from: &str, to: &str) -> Option<Vec<Artefact>> {
    assert!(EVERYTHING.contains(from), "{from}");
    if to.trim().is_empty() {
        return None;
    }
    let file = MigrationFile::parse(&EVERYTHING.replace(from, &toml::Value::from(to).to_string())).unwrap();
    Some(artefacts(&file, 1).unwrap())
}

/// Every text between quotes in the command lines of a run book.
fn of_book(file: &Artefact) -> Vec<String> {
    let blocks = markdown(&text_of(file)).blocks;
    blocks
        .iter()
        .flat_map(|(_, block)| block.lines())
        .flat_map(|line| literals(line).unwrap_or_else(|problem| panic!("{}: {problem}", file.name)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn names_come_back_from_the_tenants_run_books(name in HOSTILE, address in HOSTILE, file in HOSTILE) {
        let trimmed = name.trim().to_owned();
        if let Some(files) = with("\"O'Brien & Söhne \\\"RMS\\\" 100% `x` $y\"", &name) {
            prop_assert!(of_book(named(&files, "tenant/import.md")).contains(&trimmed));
        }
        if let Some(files) = with("\"super users@contoso.com\"", &address) {
            prop_assert!(of_book(named(&files, "tenant/super-users.md")).contains(&address.trim().to_owned()));
        }
        if let Some(files) = with("\"mode-1.xml\"", &file)
            && let Some(stem) = std::path::Path::new(&file).file_stem()
        {
            let expected = format!(".\\{}_keyless.xml", stem.to_string_lossy());
            prop_assert!(of_book(named(&files, "tenant/import.md")).contains(&expected));
        }
    }

    #[test]
    fn names_come_back_from_the_servers_run_books(account in HOSTILE, database in HOSTILE) {
        if let Some(files) = with("\"CONTOSO\\\\o'brien $svc\"", &account) {
            prop_assert!(of_book(named(&files, "sharepoint/connect.md")).contains(&account.trim().to_owned()));
        }
        if let Some(files) = with("\"DRMS_Logging_rms_contoso_com_443\"", &database) {
            prop_assert!(of_book(named(&files, "ad-rms/decommission.md")).contains(&database.trim().to_owned()));
        }
    }

    #[test]
    fn hosts_come_back_from_exchanges_files(host in "[a-z0-9.\"'%&$`;äé’\\\\]{1,20}", port in "(:443)?") {
        // Without names of the DNS, which has other rules for hosts.
        let text = EVERYTHING.replace("exchange-online = true", "exchange-online = false").replace("redirection = \"both\"", "redirection = \"registry\"").replace("\"office-2010\", ", "").replace("mobile-extension = true", "");
        let url = format!("https://{host}{port}");
        let text = text.replace("\"https://rms.emea.contoso.com/_wmcs/licensing\"", &toml::Value::from(url.clone()).to_string());
        let Ok(file) = MigrationFile::parse(&text) else { return Ok(()) };
        let files = artefacts(&file, 1).unwrap();
        let expected = format!("{url}/_wmcs/licensing");
        let read = RegistryFile::parse(&named(&files, "exchange/redirect-v15.reg").bytes).unwrap();
        prop_assert!(read.keys[0].values().iter().any(|value| value.name() == Some(&expected)));
        prop_assert!(literals(&text_of(named(&files, "exchange/Redirect-v15.ps1"))).unwrap().contains(&expected));
    }

    #[test]
    fn hosts_that_are_no_dns_names_are_refused_where_records_are_made(host in "[a-z0-9.\"'%&$`;äé’-]{1,20}") {
        let text = EVERYTHING.replace("\"https://rms.emea.contoso.com/_wmcs/licensing\"", &toml::Value::from(format!("https://{host}")).to_string());
        let Ok(file) = MigrationFile::parse(&text) else { return Ok(()) };
        match artefacts(&file, 1) {
            Ok(files) => prop_assert!(host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')) && !files.is_empty()),
            Err(error) => prop_assert_eq!(error.code(), "malformed"),
        }
    }
}

proptest! {
    #[test]
    fn command_lines_are_read_as_they_were_meant(values in prop::collection::vec(HOSTILE, 1..4), words in prop::collection::vec(HOSTILE, 1..4)) {
        let pattern = format!("Set-Thing{} -Flag $True", " -Name {}".repeat(values.len()));
        let line = CommandLine::filled(&pattern, &values.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        prop_assert_eq!(literals(line.as_str()).unwrap(), values);
        // Words for other programs: quoted ones come back, plain ones are sound.
        let words: Vec<(String, Word)> = words.into_iter().filter_map(|value| Word::new(&value).ok().map(|word| (value, word))).collect();
        let typed: Vec<Word> = words.iter().map(|(_, word)| word.clone()).collect();
        let quoted: Vec<String> = words.iter().filter(|(value, word)| word.as_str() != value).map(|(value, _)| value.clone()).collect();
        prop_assert_eq!(literals(CommandLine::starting("icacls.exe", &typed).as_str()).unwrap(), quoted);
    }

    #[test]
    fn text_and_code_come_back_from_markdown(value in HOSTILE, lines in prop::collection::vec("[a-z`~ '#>-]{1,12}", 1..4)) {
        let plain = value.split_whitespace().collect::<Vec<_>>().join(" ");
        if plain.is_empty() {
            return Ok(());
        }
        let read = markdown(&format!("# {}\n\n- a {} b\n\nx {} y\n", text(&value), text(&value), code(&value)));
        prop_assert_eq!(&read.headings, &[plain.clone()]);
        prop_assert!(read.text.contains(&format!("a {plain} b")), "{:?}", read);
        prop_assert_eq!(&read.codes, &[plain]);
        prop_assert!(read.html.is_empty());
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let read = markdown(&format!("before\n\n{}\nafter\n", crate::artefact::markdown::block("powershell", &lines)));
        prop_assert_eq!(read.blocks, vec![("powershell".to_owned(), format!("{}\n", lines.join("\n")))]);
    }
}

#[test]
fn nothing_from_outside_becomes_html_or_a_heading_of_its_own() {
    for file in of(EVERYTHING).iter().filter(|file| file.name.ends_with(".md")) {
        let read = markdown(&text_of(file));
        assert!(read.html.is_empty(), "{}: {:?}", file.name, read.html);
        assert!(read.blocks.iter().all(|(language, _)| language == "powershell"), "{}", file.name);
    }
    let read = markdown(&text_of(named(&of(EVERYTHING), "README.md")));
    assert_eq!(read.headings[0], "Files for the migration of O'Brien & Söhne [100%] `GmbH` <$x>");
    let read = markdown(&text_of(named(&of(EVERYTHING), "clients/batches.md")));
    assert!(read.headings.contains(&"1. Batch 1: pilot `rm -rf` & <b>co</b>".to_owned()), "{:?}", read.headings);
}
