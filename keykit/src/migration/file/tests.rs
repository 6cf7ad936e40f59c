//! What a migration file is, where its problems are, and that nothing makes the reader panic.

use proptest::prelude::*;

use super::reader::Reader;
use super::*;

const ORGANISATIONS: [&str; 3] = [
    include_str!("../../../../tests/organisations/single-forest.toml"),
    include_str!("../../../../tests/organisations/licensing-only-clusters.toml"),
    include_str!("../../../../tests/organisations/two-forests.toml"),
];

/// The smallest sound file.
const SMALL: &str = r#"
schema = "keykit/migration-file/1"
organisation = { name = "Contoso" }
[tenant]
name = "contoso.onmicrosoft.com"
id = "586b5746-aa26-4310-81b1-ea20d40cfc89"
region = "eu"
activated = false
managed = "service"
folder = "tenant"
[[forest]]
name = "contoso.local"
[[forest.cluster]]
name = "one"
kind = "root"
operating-system = "windows-server-2012"
cryptographic-mode = 2
protection = "database"
"#;

fn problems(text: &str) -> Vec<String> {
    MigrationFile::examine(text).unwrap_err().iter().map(ToString::to_string).collect()
}

/// The problems after one replacement in the small file.
fn broken(from: &str, to: &str) -> Vec<String> {
    assert!(SMALL.contains(from));
    problems(&SMALL.replacen(from, to, 1))
}

#[test]
fn the_example_and_the_organisations_are_read_and_come_back() {
    for text in [EXAMPLE, SMALL].into_iter().chain(ORGANISATIONS) {
        let file = MigrationFile::examine(text).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let written = file.to_toml().unwrap();
        assert_eq!(MigrationFile::examine(&written).unwrap_or_else(|problems| panic!("{problems:?}\n{written}")), file);
    }
}

#[test]
fn values_know_their_places() {
    let file = MigrationFile::parse(SMALL).unwrap();
    assert_eq!(file.schema.at, Position { line: 2, column: 10 });
    assert_eq!(file.tenant.at, Position { line: 4, column: 1 });
    assert_eq!(file.tenant.region.at, Position { line: 7, column: 10 });
    assert_eq!(file.forest[0].at.line, 11);
    assert_eq!(file.forest[0].cluster[0].kind.at, Position { line: 15, column: 8 });
    assert_eq!(file.organisation.name.value, "Contoso");
    assert_eq!(file.era(), Era::Current);
    assert!(!file.is_phased() && file.domains().next().is_none());
}

#[test]
fn dns_names_are_checked_with_their_place() {
    let dns = |zone: &str| problems(&format!("{SMALL}\n[dns]\nzones = [\"{zone}\"]\n"));
    let lines = SMALL.lines().count();
    let label = "1 to 63 letters, digits, hyphens and underscores";
    assert_eq!(dns("conto so.com"), [format!("line {}, column 10: `zones` is no DNS name: a label has {label}, not \"conto so\"", lines + 3)]);
    assert!(dns("a..com")[0].contains("not \"\"") && dns(&"a.".repeat(127).replace("a.", "ab."))[0].contains("DNS name"));
    assert!(
        MigrationFile::parse(&format!(
            "{SMALL}\n[dns]\nzones = [\"contoso.com\", \"xn--shne-5qa.example\"]\nserver = \"dns_1\"\ntime-to-live = 60\n"
        ))
        .is_ok()
    );
}

#[test]
fn columns_count_characters_and_lines_count_from_one() {
    let reader = Reader::new("äöü = 1\r\nb\n");
    for (offset, line, column) in [(0, 1, 1), (2, 1, 2), (6, 1, 4), (10, 1, 8), (11, 1, 9), (12, 2, 1), (13, 2, 2), (14, 3, 1), (99, 3, 1)] {
        assert_eq!(reader.position(offset), Position { line, column }, "{offset}");
    }
    assert_eq!(Reader::new("").position(0), Position { line: 1, column: 1 });
}

#[test]
fn several_problems_are_told_at_once_in_the_order_of_the_file() {
    let text =
        SMALL.replace("region = \"eu\"\nactivated = false", "region = \"mars\"").replace("kind = ", "kin = ").replace("name = \"one\"", "name = 1");
    assert_eq!(
        problems(&text),
        [
            "line 4, column 1: `activated` is missing here: `true` or `false`",
            "line 7, column 10: `region` is \"mars\", and must be one of `\"na\"`, `\"eu\"`, `\"ap\"`, `\"sa\"`, `\"govus\"`, `\"us\"`, `\"cn\"`",
            "line 12, column 1: `kind` is missing here: one of `\"root\"`, `\"licensing-only\"`",
            "line 13, column 8: `name` is a number, and must be text",
            "line 14, column 1: unknown key `kin`; did you mean `kind`?",
        ]
    );
    let error = MigrationFile::parse(&text).unwrap_err();
    assert!(error.to_string().starts_with("not a sound migration file: 5 problems\n  line 4, column 1: "), "{error}");
    assert!(error.hint().unwrap().contains("--init"));
    let error = MigrationFile::parse(&SMALL.replace("region = \"eu\"", "region = 7")).unwrap_err().to_string();
    assert_eq!(error.lines().count(), 1);
}

#[test]
fn unknown_keys_are_met_with_a_suggestion_and_secrets_with_advice() {
    assert_eq!(broken("managed", "manged")[1], "line 9, column 1: unknown key `manged`; did you mean `managed`?");
    assert!(broken("folder", "password")[1].ends_with("unknown key `password`; no secret may stand in this file, name a `password-source`"));
    assert!(broken("operating-system", "operating_system").iter().any(|problem| problem.ends_with("did you mean `operating-system`?")));
    assert!(broken("protection = ", "colour = ")[1].contains("known here: name, kind, "));
    let long = broken("folder", &"x".repeat(200));
    assert!(long.iter().any(|problem| problem.contains(&format!("`{}…`", "x".repeat(60)))), "{long:?}");
}

#[test]
fn broken_toml_is_told_with_its_place() {
    let all = broken("region = \"eu\"", "region = \"eu\nactivated");
    assert!(all[0].starts_with("line 7, column "), "{all:?}");
    assert!(broken("region", "name")[0].contains("line 7"), "a key twice");
    assert!(problems("\u{0}")[0].starts_with("line 1, column "));
    assert!(problems("").iter().any(|problem| problem.contains("`schema` is missing")));
    let long = format!("# {}\n{SMALL}", "x".repeat(1 << 20));
    assert!(problems(&long)[0].contains("at most 1048576 are read"));
}

#[test]
fn tables_and_lists_are_told_from_values() {
    assert!(broken("organisation = { name = \"Contoso\" }", "organisation = 1")[0].ends_with("`organisation` is a number, and must be a table"));
    assert!(broken("organisation = { name = \"Contoso\" }", "")[0].ends_with("the table `[organisation]` is missing"));
    assert!(
        broken("{ name = \"Contoso\" }", "{ name = \"Contoso\", email-domains = true }")[0]
            .ends_with("`email-domains` is true or false, and must be a list")
    );
    let lists = broken("{ name = \"Contoso\" }", "{ name = \"Contoso\", email-domains = [1, \"a\", 2.5] }");
    assert_eq!(lists.len(), 2, "{lists:?}");
    assert!(lists[1].ends_with("`email-domains` is a number with a fraction, and must be text"));
    assert!(broken("organisation = ", "batch = 2\norganisation = ")[0].contains("must be a list of tables: write `[[…batch]]`"));
    assert!(broken("organisation = ", "batch = [1]\norganisation = ")[0].ends_with("`batch` is a number, and must be a table"));
    assert!(broken("region = \"eu\"", "region = 2019-05-01")[0].contains("`region` is a date"));
    assert!(broken("region = \"eu\"", "region = [\"eu\"]")[0].contains("`region` is a list"));
    assert!(broken("region = \"eu\"", "region = { a = 1 }")[0].contains("`region` is a table"));
}

#[test]
fn values_are_checked() {
    let cases = [
        ("\"keykit/migration-file/1\"", "\"keykit/migration-file/2\"", "must be \"keykit/migration-file/1\""),
        ("586b5746", "586b574", "is no GUID"),
        ("activated = false", "activated = \"no\"", "is text, and must be true or false"),
        ("\"service\"", "\"both\"", "one of `\"service\"`, `\"customer\"`"),
        ("organisation", "era = \"2017\"\norganisation", "one of `\"2016\"`, `\"current\"`"),
        ("cryptographic-mode = 2", "cryptographic-mode = 3", "must be 1 or 2"),
        ("\"tenant\"", "\"  \"", "is empty"),
        ("\"tenant\"", "\"a\\tb\"", "control character"),
        ("\"tenant\"", "\"-----BEGIN PRIVATE KEY-----\"", "no secret may stand in this file"),
        ("folder = ", "keyring-password-source = \"hunter2\"\nfolder = ", "is no source of a password"),
        ("folder = ", "subscribed = \"2019-02-30\"\nfolder = ", "is no day"),
        ("folder = ", "subscribed = \"20190203\"\nfolder = ", "is no day"),
        ("folder = ", "url = \"rms.contoso.com\"\nfolder = ", "must begin with https://"),
        ("folder = ", "url = \"https:///x\"\nfolder = ", "has no host"),
        ("folder = ", "url = \"https://me@x/\"\nfolder = ", "has no host, or a user name"),
        ("folder = ", "custom-templates = -1\nfolder = ", "must be a number from 0 to 4294967295"),
        ("folder = ", "custom-templates = 4294967296\nfolder = ", "must be a number from 0 to 4294967295"),
        ("folder = ", "custom-templates = \"7\"\nfolder = ", "is text, and must be a number"),
        ("[[forest]]", "[workstation]\nmodule = \"AADRM\"\nmodule-version = \"2.x\"\n[[forest]]", "is no version"),
        ("[[forest]]", "[workstation]\nmodule = \"AADRM\"\nmodule-version = 2.5\n[[forest]]", "a number with a fraction, and must be text"),
    ];
    for (from, to, expected) in cases {
        let told = broken(from, to);
        assert!(told.iter().any(|problem| problem.contains(expected)), "{to}: {told:?}");
        assert!(!told.iter().any(|problem| problem.contains("hunter2")), "a password is not repeated");
    }
    assert!(broken("\"tenant\"", &format!("\"{}\"", "x".repeat(4097)))[0].contains("at most 4096"));
    let hex = SMALL.replace("folder = ", "custom-templates = 0x1_F\nfolder = ");
    assert_eq!(MigrationFile::parse(&hex).unwrap().tenant.custom_templates.unwrap().value, 31);
}

#[test]
fn sources_of_passwords_are_those_of_the_command_line() {
    for text in ["prompt", "fd:7", "file:a/b", "file:/a", "file:///a", "file://localhost/a", "env:A", "exec:gpg -d x:y"] {
        assert!(text.parse::<PasswordSource>().is_ok(), "{text}");
    }
    for text in
        ["", "1234", "pass:1234", "fd:", "fd:-1", "fd:+1", "fd:1x", "file:", "file://host/a", "env:", "env:A=B", "exec:", "Prompt", "fd:99999999999"]
    {
        let problem = text.parse::<PasswordSource>().unwrap_err();
        assert!(text.is_empty() || !problem.contains("1234"), "{text}");
    }
    let seen = |text: &str| text.parse::<PasswordSource>().unwrap().in_folder(Path::new("/plans"));
    assert_eq!(seen("file:pw"), "file:/plans/pw");
    assert_eq!(seen("file:/pw"), "file:/pw");
    assert_eq!(seen("env:PW"), "env:PW");
}

#[test]
fn stores_have_no_pin_in_them() {
    assert!("pkcs11:token=a?pin-value=1234".parse::<StoreUri>().unwrap_err().contains("pin-source"));
    for text in ["pkcs11:", "file:", "memory:", "a"] {
        assert!(text.parse::<StoreUri>().is_err(), "{text}");
    }
    let token: StoreUri = "pkcs11:token=a".parse().unwrap();
    let folder: StoreUri = "file:keys".parse().unwrap();
    assert!(token.is_token() && !folder.is_token());
    assert_eq!((token.in_folder(Path::new("/p")), folder.in_folder(Path::new("/p"))), ("pkcs11:token=a".to_owned(), "file:/p/keys".to_owned()));
}

#[test]
fn urls_give_their_host() {
    let url: ServerUrl = " http://RMS.Contoso.com:443/_wmcs/licensing".parse().unwrap();
    assert_eq!((url.authority().as_str(), url.host().as_str(), url.has_outer_blanks()), ("rms.contoso.com:443", "rms.contoso.com", true));
    assert_eq!("https://a.b?c#d".parse::<ServerUrl>().unwrap().host(), "a.b");
    assert_eq!("https://a.b#d/e".parse::<ServerUrl>().unwrap().authority(), "a.b");
}

#[test]
fn urls_of_keys_have_one_form() {
    let key: KeyUrl = "https://v.vault.azure.net/keys/k/0123".parse().unwrap();
    assert_eq!(key.version(), Some("0123"));
    for text in ["https://v.vault.azure.net/keys/k", "https://v.vault.azure.net/keys/k/"] {
        assert_eq!(text.parse::<KeyUrl>().unwrap().version(), None, "{text}");
    }
    for text in [
        "http://v.vault.azure.net/keys/k/1",
        "https://vault/keys/k/1",
        "https://v.vault.azure.net/secrets/k/1",
        "https://v.vault.azure.net/keys//1",
        "https://v.vault.azure.net/keys/k/1/2",
    ] {
        assert!(text.parse::<KeyUrl>().is_err(), "{text}");
    }
}

#[test]
fn approvers_have_ed25519_keys() {
    let text = ORGANISATIONS[0].split("key = \"ssh-ed25519 ").nth(1).unwrap().split('"').next().unwrap();
    let key: ApproverKey = format!("ssh-ed25519 {text} somebody@example").parse().unwrap();
    let other: ApproverKey = format!("ssh-ed25519 {text}").parse().unwrap();
    assert_eq!(key.ed25519(), other.ed25519());
    assert_ne!(key.ed25519(), [0; 32]);
    for wrong in [
        String::new(),
        "ssh-ed25519".into(),
        format!("ssh-rsa {text}"),
        format!("ssh-ed25519 {}", &text[..60]),
        "ssh-ed25519 AAAA".into(),
        format!("ssh-ed25519 {text}AAAA"),
    ] {
        assert!(wrong.parse::<ApproverKey>().is_err(), "{wrong}");
    }
}

#[test]
fn versions_compare_number_by_number() {
    let version = |text: &str| text.parse::<Version>().unwrap();
    assert!(version("2.10").is_at_least(&[2, 9, 0, 0]));
    assert!(version("2").is_at_least(&[2, 0]) && version("2.0.0").is_at_least(&[2]));
    assert!(!version("2.9.0.0").is_at_least(&[2, 9, 0, 1]));
    assert_eq!(version("10.08").to_string(), "10.8");
    for text in ["", ".", "1.", "1.2.3.4.5.6.7", "+1", "1.-2", "4294967296"] {
        assert!(text.parse::<Version>().is_err(), "{text}");
    }
}

#[test]
fn contradictions_are_named_at_their_places() {
    let cluster = "\n[[forest.cluster]]\nname = \"two\"\nkind = \"root\"\noperating-system = \"windows-server-2012\"\n";
    let with = |text: &str| problems(&format!("{SMALL}{text}"));
    assert_eq!(
        with(cluster),
        [
            "line 20, column 1: the root cluster 'two' needs `cryptographic-mode`: 1 or 2",
            "line 20, column 1: the root cluster 'two' needs `protection`: how its key is kept"
        ]
    );
    assert!(
        with(&cluster.replace("two", "one").replace("\"root\"", "\"licensing-only\""))[0]
            .contains("the cluster 'one' is named twice, first on line 14, column 8")
    );
    assert!(broken("cryptographic-mode = 2", "cryptographic-mode = 1\nupgraded-from-mode-1 = true")[0].contains("the change is one-way"));
    assert!(broken("[[forest]]\nname = \"contoso.local\"\n[[forest.cluster]]\nname = \"one\"\nkind = \"root\"\noperating-system = \"windows-server-2012\"\ncryptographic-mode = 2\nprotection = \"database\"\n", "")[0].contains("no `[[forest]]`"));
    assert!(with("[[forest]]\nname = \"empty\"\n")[0].contains("has no `[[forest.cluster]]`"));
    assert!(with("[[forest]]\nname = \"contoso.local\"\n[[forest.cluster]]\nname = \"x\"\nkind = \"licensing-only\"\noperating-system = \"windows-server-2012\"\n")[0].contains("the forest 'contoso.local' is named twice"));
    let domain = "[[forest.cluster.domain]]\nfile = \"a.xml\"\nkey-url = \"https://v.a.net/keys/k\"\n";
    let twice = with(&format!("{domain}{domain}"));
    assert!(twice.len() == 2 && twice[0].contains("the exported file 'a.xml'") && twice[1].contains("the key in Azure Key Vault"), "{twice:?}");
    let template = "[[template]]\nid = \"586b5746-aa26-4310-81b1-ea20d40cfc89\"\n";
    assert!(with(&format!("{template}{template}"))[0].contains("the template '586b"));
    let batch = "[[batch]]\nname = \"a\"\nusers = 1\n";
    assert!(with(&format!("{batch}{batch}"))[0].contains("the batch 'a'"));
    let partner = "[[partner]]\nname = \"a\"\ntrust = \"federation\"\nmigrates = \"never\"\n";
    assert!(with(&format!("{partner}{partner}"))[0].contains("the partner 'a'"));
}

#[test]
fn the_place_of_the_key_fits_who_keeps_it() {
    let customer = |more: &str| broken("managed = \"service\"", &format!("managed = \"customer\"\n{more}"));
    assert!(customer("")[0].ends_with("a customer-managed key needs `store` (a token) or `transfer-profile`"));
    let store = "store = \"pkcs11:token=a\"\n";
    let profile = "transfer-profile = \"aws-kms-sha256\"\nkey-encryption-key = \"kek.pem\"\nkey-encryption-key-fingerprint = \"00\"\n";
    assert!(customer(&format!("{store}{profile}"))[0].contains("exclude each other"));
    assert!(customer("store = \"file:keys\"")[0].contains("must be a PKCS#11 URI"));
    assert!(customer("transfer-profile = \"pkcs11\"")[0].contains("needs `key-encryption-key`"));
    assert!(customer("transfer-profile = \"pkcs11\"\nkey-encryption-key = \"kek.pem\"")[0].contains("needs `key-encryption-key-fingerprint`"));
    for sound in [store, profile] {
        let text = SMALL.replace("managed = \"service\"", &format!("managed = \"customer\"\n{sound}"));
        assert!(MigrationFile::examine(&text).is_ok());
    }
    for piece in [store, "transfer-profile = \"pkcs11\"", "vault = { name = \"v\", tier = \"premium\" }"] {
        assert!(broken("managed = \"service\"", &format!("managed = \"service\"\n{piece}"))[0].contains("is for `managed = \"customer\"`"));
    }
}

#[test]
fn approvals_can_be_met() {
    let with = |from: &str, to: &str| {
        assert!(ORGANISATIONS[0].contains(from));
        problems(&ORGANISATIONS[0].replacen(from, to, 1))
    };
    let too_many = with("\nthreshold = 2", "\nthreshold = 4");
    assert!(
        too_many[0].contains("`threshold` is 4 and 3 people are named") && too_many[1].contains("must be higher than `threshold`"),
        "{too_many:?}"
    );
    assert!(with("\nthreshold = 2", "\nthreshold = 0")[0].contains("`threshold` must be at least 1"));
    assert!(with("danger-threshold = 3", "danger-threshold = 4")[0].contains("`danger-threshold` is 4 and 3 people are named"));
    for lower in ["danger-threshold = 1", "danger-threshold = 2"] {
        assert!(with("danger-threshold = 3", lower)[0].contains("must be higher than `threshold`"));
    }
    assert!(with("\"security-officer\"]", "\"security-officer\", \"auditor\"]")[0].contains("nobody has the role 'auditor'"));
    assert!(with("\"B. Custodian\"", "\"A. Custodian\"")[0].contains("the person 'A. Custodian' is named twice"));
    let keys: Vec<&str> = ORGANISATIONS[0].lines().filter(|line| line.starts_with("key = \"ssh")).collect();
    assert!(with(keys[1], keys[0])[0].contains("have the same key"));
}

#[test]
fn dangerous_flags_are_listed_if_they_are_set() {
    let two = MigrationFile::parse(ORGANISATIONS[2]).unwrap();
    assert_eq!(two.danger.unwrap().flags(), ["keep-transferable"]);
    let both = ORGANISATIONS[2].replace("keep-transferable = true", "keep-transferable = false\nhost-visible-ephemeral-key = true");
    assert_eq!(MigrationFile::parse(&both).unwrap().danger.unwrap().flags(), ["host-visible-ephemeral-key"]);
}

#[test]
fn domains_come_with_their_clusters_and_forests() {
    let file = MigrationFile::parse(ORGANISATIONS[2]).unwrap();
    let names: Vec<_> = file.domains().map(|placed| (placed.forest.name.as_str(), placed.cluster.name.as_str(), placed.domain.is_active())).collect();
    assert_eq!(names, [("northwind.local", "northwind", true), ("tailspin.local", "tailspin", false)]);
    assert_eq!(file.domains().next().unwrap().domain.file.in_folder(Path::new("/plans")), Path::new("/plans/northwind.xml"));
    assert!(MigrationFile::parse(ORGANISATIONS[0]).unwrap().is_phased());
}

#[test]
fn a_file_that_is_no_text_is_told_with_its_offset() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("migration.toml");
    std::fs::write(&path, b"schema = \"\xff\"").unwrap();
    let error = MigrationFile::read(&path).unwrap_err().to_string();
    assert!(error.ends_with("it is not UTF-8 text (at byte 10)") && error.contains("migration.toml"), "{error}");
    std::fs::write(&path, SMALL).unwrap();
    assert_eq!(MigrationFile::read(&path).unwrap(), MigrationFile::parse(SMALL).unwrap());
    std::fs::write(&path, "x = 1").unwrap();
    assert!(MigrationFile::read(&path).unwrap_err().to_string().starts_with(&format!("{}: not a sound", path.display())));
}

/// Names of one word, different for each place.
fn name() -> impl Strategy<Value = String> {
    "[a-zäöü\"\\\\# ']{0,6}[a-z]"
}

prop_compose! {
    /// A sound file with any number of clusters and domains.
    fn sound_file()(
        names in prop::collection::btree_set(name(), 1..6),
        files in prop::collection::btree_set("(/?[a-z]{1,3}( [a-z])?/)?[a-z]\\.xml", 0..5),
        kinds in prop::collection::vec((any::<bool>(), 1..=2_u8, prop::sample::select(KeyProtection::ALL), prop::sample::select(Windows::ALL)), 6),
        phased in prop::collection::btree_map(name(), any::<u32>(), 0..4),
        activated in any::<bool>(),
        url in prop::option::of("https?://[a-z.]{1,12}[a-z](:[0-9]{1,4})?(/[a-z_/]{0,9})?"),
    ) -> MigrationFile {
        let mut file = MigrationFile::parse(SMALL).unwrap();
        file.tenant.activated = activated.into();
        file.tenant.url = url.map(|url| url.parse::<ServerUrl>().unwrap().into());
        let model = file.forest[0].cluster[0].clone();
        file.forest[0].cluster = names.into_iter().map(|name| name.trim().to_owned()).collect::<std::collections::BTreeSet<_>>().into_iter().zip(kinds).map(|(name, (root, mode, protection, system))| {
            let mode = if mode == 1 { crate::key::CryptographicMode::Mode1 } else { crate::key::CryptographicMode::Mode2 };
            Cluster {
                name: name.into(),
                kind: if root { ClusterKind::Root } else { ClusterKind::LicensingOnly }.into(),
                operating_system: system.into(),
                cryptographic_mode: Some(Mode::from(mode).into()),
                protection: Some(protection.into()),
                ..model.clone()
            }
        }).collect();
        let domain = |file: &String| ExportedDomain {
            file: FilePath::from(file.as_str()).into(),
            password_source: Some("env:PASSWORD".parse::<PasswordSource>().unwrap().into()),
            active: Some(activated.into()),
            key_url: None,
            identifier: None,
            at: Position::default(),
        };
        file.forest[0].cluster[0].domain = files.iter().map(domain).collect();
        let batches: std::collections::BTreeMap<_, _> = phased.into_iter().map(|(name, users)| (name.trim().to_owned(), users)).collect();
        file.batch = batches.into_iter().map(|(name, users)| Batch { name: name.into(), users: users.into(), office: Vec::new(), at: Position::default() }).collect();
        file
    }
}

proptest! {
    #[test]
    fn sound_files_come_back(file in sound_file()) {
        let written = file.to_toml().unwrap();
        let read = MigrationFile::examine(&written);
        prop_assert_eq!(read.as_ref(), Ok(&file), "{}", written);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        drop(MigrationFile::examine(&text));
    }

    #[test]
    fn no_damaged_file_panics_and_problems_stand_in_the_file(
        which in 0..3_usize, start in 0..4000_usize, length in 0..60_usize, insert in "(\\PC{0,8}|\\[\\[|=|\"|\n|\\{|forest|tenant)",
    ) {
        let text = ORGANISATIONS[which];
        let cut = |offset: usize| (0..=offset.min(text.len())).rev().find(|offset| text.is_char_boundary(*offset)).unwrap_or(0);
        let damaged = format!("{}{insert}{}", &text[..cut(start)], &text[cut(start + length)..]);
        if let Err(problems) = MigrationFile::examine(&damaged) {
            let lines = damaged.split('\n').count();
            prop_assert!(!problems.is_empty());
            for problem in problems {
                let line = usize::try_from(problem.at.line).unwrap();
                prop_assert!((1..=lines).contains(&line), "{problem}");
                let width = damaged.split('\n').nth(line - 1).unwrap().chars().count();
                prop_assert!((1..=width + 1).contains(&usize::try_from(problem.at.column).unwrap()), "{problem}");
            }
        }
    }

    #[test]
    fn the_place_of_a_wrong_value_is_where_it_stands(which in 0..3_usize, nth in 0..40_usize) {
        // One value of the file is turned into a number with a fraction, which no key takes.
        let text = ORGANISATIONS[which];
        let lines: Vec<usize> = text.lines().enumerate().filter(|(_, line)| line.contains(" = ") && !line.starts_with('#')).map(|(index, _)| index).collect();
        let chosen = lines[nth % lines.len()];
        let changed: Vec<String> = text.lines().enumerate().map(|(index, line)| {
            if index == chosen { format!("{} = 1.5", line.split(" = ").next().unwrap()) } else { line.to_owned() }
        }).collect();
        let column = changed[chosen].chars().count() - 2;
        let problems = MigrationFile::examine(&changed.join("\n")).unwrap_err();
        let expected = Position { line: u32::try_from(chosen + 1).unwrap(), column: u32::try_from(column).unwrap() };
        prop_assert!(problems.iter().any(|problem| problem.at == expected), "{problems:?}");
    }
}
