//! Bad input: a clear error, the exit code of the table, and everything as it was.

use crate::killed::can_trace;
use crate::support::{Desk, PASSWORD, contoso};

const MIGRATE: &str = "migrate software-to-software --password-source file:password --tenant tenant";

/// Runs a command that must fail and leave everything as it was.
#[track_caller]
fn fails(desk: &Desk, arguments: &str, code: i32, says: &str) {
    let before = desk.snapshot();
    desk.run(arguments).exits(code).says(says);
    assert_eq!(desk.snapshot().iter().map(|(path, _)| path).collect::<Vec<_>>(), before.iter().map(|(path, _)| path).collect::<Vec<_>>());
    assert!(desk.snapshot() == before, "a file was changed");
}

#[test]
fn a_wrong_password_and_a_damaged_file_are_told_apart() {
    let desk = Desk::new();
    desk.write("wrong", "not the password\n");
    desk.make_private("wrong");
    fails(&desk, "migrate software-to-software --password-source file:wrong --tenant tenant contoso.xml", 6, "contoso.xml");
    let text = String::from_utf8(contoso().domain.clone()).unwrap();
    desk.write("cut.xml", &text[..text.len() / 2]);
    fails(&desk, &format!("{MIGRATE} cut.xml"), 3, "cut.xml");
    let at = text.find("<m_strKeyData>").unwrap() + 200;
    let mut changed = text.clone().into_bytes();
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    desk.write("key-damaged.xml", changed);
    fails(&desk, &format!("{MIGRATE} key-damaged.xml"), 3, "key-damaged.xml");
}

#[test]
fn nothing_is_moved_unless_every_file_is_sound() {
    let desk = Desk::new();
    desk.write("bad.xml", "<ArrayOfAnyType/>");
    fails(&desk, &format!("{MIGRATE} contoso.xml bad.xml"), 3, "bad.xml");
    fails(&desk, &format!("{MIGRATE} contoso.xml missing.xml"), 2, "missing.xml");
}

#[test]
fn hostile_xml_is_refused() {
    let desk = Desk::new();
    desk.write("bomb.xml", "<!DOCTYPE a [<!ENTITY x \"aaaaaaaaaa\"><!ENTITY y \"&x;&x;&x;&x;&x;&x;\">]><ArrayOfAnyType>&y;</ArrayOfAnyType>");
    desk.write("external.xml", "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><ArrayOfAnyType>&x;</ArrayOfAnyType>");
    desk.write("deep.xml", format!("<ArrayOfAnyType>{}{}</ArrayOfAnyType>", "<a>".repeat(20_000), "</a>".repeat(20_000)));
    for file in ["bomb.xml", "external.xml", "deep.xml"] {
        fails(&desk, &format!("{MIGRATE} {file}"), 3, file);
    }
}

#[test]
fn base64_with_blanks_is_read() {
    let desk = Desk::new();
    let text = String::from_utf8(contoso().domain.clone()).unwrap();
    let start = text.find("<m_strKeyData>").unwrap() + "<m_strKeyData>".len();
    let broken_up = format!("{}\r\n  {}\n\t{}", &text[..start], &text[start..start + 64], &text[start + 64..]);
    desk.write("blanks.xml", broken_up);
    desk.run(&format!("{MIGRATE} blanks.xml")).exits(0);
}

#[test]
fn a_domain_without_key_and_a_file_of_another_kind_are_refused() {
    let desk = Desk::new();
    desk.run("tpd split contoso.xml --keyless keyless.xml --password-source file:password").exits(0);
    fails(&desk, &format!("{MIGRATE} keyless.xml"), 4, "rule 30");
    fails(&desk, &format!("{MIGRATE} contoso.pfile"), 3, "contoso.pfile");
}

#[test]
fn a_key_that_is_not_that_of_its_certificate_is_malformed() {
    let desk = Desk::new();
    let other = crate::support::fabrikam();
    let export = keykit::key::RsaSecretKey::from_pkcs1_der(other.key.to_pkcs1_der().expose()).unwrap();
    let domain = contoso().cluster.domain(Some(export), keykit::tpd::KeyDerivation::Sha256);
    // Wherever it is noticed first, it must not get further.
    match domain.and_then(|domain| domain.seal(&keykit::secret::Password::new(PASSWORD.into()))) {
        Err(error) => assert_eq!(error.code(), "malformed"),
        Ok(bytes) => {
            desk.write("mixed.xml", bytes);
            fails(&desk, &format!("{MIGRATE} mixed.xml"), 3, "is not the key of its server licensor certificate");
        }
    }
}

#[test]
fn unreadable_secret_sources_are_hard_errors() {
    let desk = Desk::new();
    fails(&desk, "migrate software-to-software --password-source file:nowhere --tenant tenant contoso.xml", 2, "nowhere");
    fails(&desk, "migrate software-to-software --password-source env:KEYKIT_NOT_SET --tenant tenant contoso.xml", 2, "KEYKIT_NOT_SET");
    fails(&desk, "migrate software-to-software --password-source secret --tenant tenant contoso.xml", 2, "source");
}

#[test]
fn a_full_disk_leaves_everything_as_it_was() {
    let desk = Desk::new();
    desk.run(&format!("{MIGRATE} contoso.xml")).exits(0);
    let before = desk.snapshot();
    let tenant = desk.read("tenant/tenant.json");
    // No file may grow beyond nothing: the first write fails.
    let ran = desk.run_limited(0, &format!("{MIGRATE} fabrikam.xml")).exits(8);
    assert!(ran.stderr().contains("can't write"), "{}", ran.stderr());
    assert_eq!(desk.read("tenant/tenant.json"), tenant);
    for (path, bytes) in before.iter().filter(|(path, _)| !path.ends_with("journal.jsonl")) {
        assert_eq!(&std::fs::read(path).unwrap(), bytes, "{}", path.display());
    }
    assert!(!desk.snapshot().iter().any(|(path, _)| path.to_string_lossy().ends_with(".tmp")));
    // With room again, the same command goes through.
    desk.run(&format!("{MIGRATE} fabrikam.xml")).exits(0);
    desk.run("licence open contoso.pfile --tenant tenant").exits(0);
    desk.run("licence open fabrikam.pfile --tenant tenant").exits(0);
}

/// Every rename of a migration fails once, as on a full disk. What is said of the key is true, and the same command goes on.
#[test]
fn a_write_that_fails_after_the_key_has_moved_says_where_it_is() {
    if !can_trace("bad_input::a_write_that_fails_after_the_key_has_moved_says_where_it_is") {
        return;
    }
    let desk = Desk::new();
    let migrate = "migrate software-to-software --password-source file:password --tenant tenant contoso.xml";
    let (mut failed, mut moved) = (0, 0);
    for call in ["renameat", "renameat2", "rename", "mkdir"] {
        for number in 1..40 {
            let inject = format!("inject={call}:error=ENOSPC:when={number}");
            let mut command = std::process::Command::new("strace");
            command.args(["-f", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject, env!("CARGO_BIN_EXE_keykit")]);
            let ran = desk.finish(command.args(migrate.split(' ')));
            if ran.0.status.code() == Some(0) {
                std::fs::remove_dir_all(desk.path("tenant")).unwrap();
                break;
            }
            if ran.stderr().contains("rustix-linux-procfs") {
                // A probe of /proc, before the program begins: it is not to fail in this way.
                continue;
            }
            failed += 1;
            let ran = ran.exits(8);
            let said = ran.stderr();
            let in_folder = desk.path(&format!("tenant/keys/{}.p8", contoso().key.id())).exists();
            assert!(!said.contains("nothing was changed"), "{said}");
            assert_eq!(said.contains("is at its target"), in_folder, "{call} {number}: {said}");
            moved += usize::from(in_folder);
            // A tenant that could not be made leaves nothing.
            assert!(desk.path("tenant/tenant.json").exists() || !desk.path("tenant").exists(), "{call} {number}");
            desk.run(migrate).exits(0);
            desk.run("licence open contoso.pfile --tenant tenant").exits(0);
            std::fs::remove_dir_all(desk.path("tenant")).unwrap();
        }
    }
    assert!(failed >= 4 && moved >= 1, "{failed} failed writes, {moved} after the key had moved");
}

#[test]
fn a_journal_that_was_edited_stops_everything() {
    let desk = Desk::new();
    desk.run(&format!("{MIGRATE} contoso.xml")).exits(0);
    let journal = String::from_utf8(desk.read("tenant/journal.jsonl")).unwrap();
    desk.write("tenant/journal.jsonl", journal.replacen("import", "imports", 1));
    fails(&desk, "tenant show --tenant tenant", 3, "chain of lines is broken");
}

#[test]
fn errors_are_json_too() {
    let desk = Desk::new();
    let error = desk.run("--format json tenant show --tenant nowhere").exits(2).json("error");
    assert_eq!(error["code"], "not-found");
    assert_eq!(error["exit"], 2);
    assert!(error["hint"].as_str().unwrap().contains("tenant init"));
}
