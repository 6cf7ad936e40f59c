//! Approvals, one thing wrong at a time; and OpenSSH as the independent judge.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::error::Error;
use crate::secret::Password;

const PLAN: &str = "00000000000000000000000000000000000000000000000000000000000000aa";
const NOW: &str = "2026-11-23T10:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

struct Room {
    keys: Vec<CustodianKey>,
    policy: ApprovalPolicy,
}

const PEOPLE: [(&str, &str); 3] = [("Ann", "custodian"), ("Ben", "custodian"), ("Cleo", "security-officer")];

fn room() -> Room {
    let keys: Vec<CustodianKey> = PEOPLE.iter().map(|(name, _)| CustodianKey::generate(name).unwrap()).collect();
    let people =
        PEOPLE.iter().zip(&keys).map(|((name, role), key)| Approver { name: (*name).into(), role: (*role).into(), key: key.public() }).collect();
    let policy =
        ApprovalPolicy { threshold: 2, danger_threshold: 3, roles: vec!["custodian".into(), "security-officer".into()], valid_days: 30, people };
    Room { keys, policy }
}

impl Room {
    fn statement(&self, person: usize) -> Statement {
        Statement::new(PLAN, PEOPLE[person].0, PEOPLE[person].1, now(), 30).unwrap()
    }

    fn approval(&self, person: usize) -> Approval {
        Approval::sign(self.statement(person), &self.keys[person]).unwrap()
    }

    fn problem(&self, approval: &Approval) -> Option<&'static str> {
        self.policy.problem_of(approval, PLAN, now(), &[]).map(|problem| problem.code())
    }

    fn refusal(&self, approvals: &[Approval], is_dangerous: bool) -> String {
        let error = self.policy.require(approvals, PLAN, is_dangerous, now()).unwrap_err();
        assert_eq!(error.code(), "refused");
        error.to_string()
    }
}

#[test]
fn two_of_three_with_both_roles_are_enough() {
    let room = room();
    let outcome = room.policy.require(&[room.approval(0), room.approval(2)], PLAN, false, now()).unwrap();
    assert_eq!(outcome.needed, 2);
    let names: Vec<&str> = outcome.approved_by.iter().map(|(name, _, _)| name.as_str()).collect();
    assert_eq!(names, ["Ann", "Cleo"]);
    assert!(room.policy.require(&[room.approval(2), room.approval(1), room.approval(0)], PLAN, true, now()).is_ok());
}

#[test]
fn too_few_a_missing_role_and_the_higher_quorum_are_named() {
    let room = room();
    assert!(room.refusal(&[], false).contains("quorum-too-small: 0 of the 2"));
    assert!(room.refusal(&[room.approval(2)], false).contains("quorum-too-small: 1 of the 2"));
    assert!(room.refusal(&[room.approval(0), room.approval(1)], false).contains("quorum-lacks-a-role: nobody in the role 'security-officer'"));
    let text = room.refusal(&[room.approval(0), room.approval(2)], true);
    assert!(text.contains("quorum-too-small: 2 of the 3") && text.contains("dangerous"), "{text}");
}

#[test]
fn danger_is_named_only_where_it_needs_more_people() {
    let room = room();
    assert!(!room.refusal(&[], false).contains("dangerous"));
    // Everybody must approve, whatever is allowed.
    let all = ApprovalPolicy { threshold: 3, danger_threshold: 3, ..room.policy.clone() };
    let error = all.require(&[room.approval(0)], PLAN, true, now()).unwrap_err().to_string();
    assert!(error.contains("quorum-too-small: 1 of the 3") && !error.contains("dangerous"), "{error}");
}

#[test]
fn those_who_guard_a_tenant_are_as_many_as_their_policy_says_and_in_its_roles() {
    let room = room();
    let of_tenant = |people: &[usize], is_dangerous| {
        let approvals: Vec<Approval> = people.iter().map(|person| room.approval(*person)).collect();
        room.policy.require_of_tenant(&approvals, PLAN, is_dangerous, now()).map_err(|error| error.to_string())
    };
    assert_eq!(of_tenant(&[0, 2], false), Ok(()));
    assert_eq!(of_tenant(&[0, 1, 2], true), Ok(()));
    let refused =
        [(of_tenant(&[0, 1], false), "2 of 2 approved, and nobody in the role 'security-officer'"), (of_tenant(&[0, 2], true), "2 of 3 approved")];
    for (outcome, said) in refused {
        let error = outcome.unwrap_err();
        assert!(error.contains("quorum-of-the-tenant") && error.contains("(Ann, Ben, Cleo)") && error.contains(said), "{error}");
    }
    // Both roles, and too few people.
    let more = ApprovalPolicy { threshold: 3, ..room.policy.clone() };
    let error = more.require_of_tenant(&[room.approval(0), room.approval(2)], PLAN, false, now()).unwrap_err().to_string();
    assert!(error.contains("2 of 3 approved") && !error.contains("nobody"), "{error}");
    // Nobody counts twice, and strangers are left to the plan.
    assert!(of_tenant(&[0, 0], false).unwrap_err().contains("1 of 2 approved, and nobody in the role"));
    let stranger = CustodianKey::generate("stranger").unwrap();
    let foreign = Approval::sign(room.statement(1), &stranger).unwrap();
    assert!(room.policy.require_of_tenant(&[foreign, room.approval(0), room.approval(2)], PLAN, false, now()).is_ok());
}

#[test]
fn approval_files_have_a_largest_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ann.approval");
    let mut bytes = room().approval(0).to_bytes().unwrap();
    fs::write(&path, &bytes).unwrap();
    assert!(Approval::read(&path).is_ok());
    bytes.resize(64 << 10, b' ');
    fs::write(&path, &bytes).unwrap();
    assert!(Approval::read(&path).is_ok());
    bytes.push(b' ');
    fs::write(&path, &bytes).unwrap();
    assert_eq!(Approval::read(&path).unwrap_err().code(), "malformed");
}

#[test]
fn one_person_counts_once() {
    let room = room();
    let again = Approval::sign(Statement::new(PLAN, "Ann", "custodian", at("2026-11-23T09:00:00Z"), 7).unwrap(), &room.keys[0]).unwrap();
    let text = room.refusal(&[room.approval(0), again, room.approval(2)], false);
    assert!(text.contains("approval-repeated: the approval of Ann (custodian)"), "{text}");
}

#[test]
fn every_fault_of_an_approval_has_its_own_code() {
    let room = room();
    assert_eq!(room.problem(&room.approval(0)), None);
    let sign = |statement: Statement, key: &CustodianKey| Approval::sign(statement, key).unwrap();
    let stranger = CustodianKey::generate("stranger").unwrap();
    assert_eq!(room.problem(&sign(room.statement(0), &stranger)), Some("approval-foreign"));
    assert_eq!(room.problem(&sign(room.statement(1), &room.keys[0])), Some("approval-of-another-person"));
    let as_officer = Statement { role: "security-officer".into(), ..room.statement(0) };
    assert_eq!(room.problem(&sign(as_officer, &room.keys[0])), Some("approval-of-another-person"));
    let other = Statement { plan: PLAN.replace("aa", "ab"), ..room.statement(0) };
    assert_eq!(room.problem(&sign(other, &room.keys[0])), Some("approval-of-another-plan"));
    let old = Statement::new(PLAN, "Ann", "custodian", at("2026-10-24T10:00:00Z"), 30).unwrap();
    assert_eq!(room.problem(&sign(old, &room.keys[0])), Some("approval-expired"), "the end itself is too late");
    let last_second = Statement::new(PLAN, "Ann", "custodian", at("2026-10-24T10:00:01Z"), 30).unwrap();
    assert_eq!(room.problem(&sign(last_second, &room.keys[0])), None);
    let early = Statement::new(PLAN, "Ann", "custodian", at("2026-11-23T10:05:01Z"), 1).unwrap();
    assert_eq!(room.problem(&sign(early, &room.keys[0])), Some("approval-from-the-future"));
    let tolerated = Statement::new(PLAN, "Ann", "custodian", at("2026-11-23T10:05:00Z"), 1).unwrap();
    assert_eq!(room.problem(&sign(tolerated, &room.keys[0])), None);
    let long = Statement::new(PLAN, "Ann", "custodian", now(), 31).unwrap();
    assert_eq!(room.problem(&sign(long, &room.keys[0])), Some("approval-holds-too-long"));
    // A signature of Ann's under a statement that was changed afterwards.
    let approval = room.approval(0);
    let changed = Statement { expires: at("2026-12-01T00:00:00Z"), ..room.statement(0) };
    let pem = String::from_utf8(approval.to_bytes().unwrap()).unwrap();
    let pem: serde_json::Value = serde_json::from_str(&pem).unwrap();
    let joined = Approval::join(&changed.to_text().unwrap(), pem["signature"].as_str().unwrap()).unwrap();
    assert_eq!(room.problem(&joined), Some("approval-bad-signature"));
    // The right key and text, signed for another purpose.
    let text = room.statement(0).to_text().unwrap();
    let elsewhere = room.keys[0].sign("git", text.as_bytes()).unwrap().to_pem(ssh_key::LineEnding::LF).unwrap();
    assert_eq!(room.problem(&Approval::join(&text, &elsewhere).unwrap()), Some("approval-bad-signature"));
}

#[test]
fn a_policy_that_cannot_be_met_is_named() {
    let wrong = |change: &dyn Fn(&mut ApprovalPolicy)| {
        let mut policy = room().policy;
        change(&mut policy);
        policy.check().unwrap_err()
    };
    assert!(room().policy.check().is_ok());
    assert!(wrong(&|policy| policy.danger_threshold = 4).contains("4 people must approve, and 3 are named"));
    assert!(wrong(&|policy| policy.danger_threshold = 1).contains("fewer than the 2"));
    assert!(wrong(&|policy| policy.danger_threshold = 2).contains("needs more people than anything else"));
    assert!(wrong(&|policy| (policy.threshold, policy.danger_threshold) = (0, 1)).contains("none of them must approve"));
    assert!(wrong(&|policy| policy.roles.push("auditor".into())).contains("'auditor'"));
    assert!(wrong(&|policy| policy.people[1].name = "Ann".into()).contains("twice"));
    assert!(wrong(&|policy| policy.people[1].key = policy.people[0].key.clone()).contains("twice"));
}

#[test]
fn approval_files_come_back_and_strange_ones_are_refused() {
    let room = room();
    let approval = room.approval(0);
    let bytes = approval.to_bytes().unwrap();
    assert_eq!(Approval::parse(&bytes).unwrap(), approval);
    let text = String::from_utf8(bytes).unwrap();
    for (from, to, named) in [
        ("keykit/approval/1", "keykit/approval/2", "keykit/approval/2"),
        ("keykit/approval-statement/1", "keykit/approval-statement/9", "approval-statement/9"),
        ("{\\\"approved\\\"", "{ \\\"approved\\\"", "canonical"),
        ("\\\"name\\\"", "\\\"extra\\\":1,\\\"name\\\"", "extra"),
        ("\"signature\": \"", "\"extra\": 1, \"signature\": \"", "extra"),
        ("BEGIN SSH SIGNATURE", "BEGIN SSH SIGNATUR", "signature"),
    ] {
        let error = Approval::parse(text.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert_eq!(error.code(), "malformed");
        assert!(error.to_string().contains(named), "{from}: {error}");
    }
}

#[test]
fn a_key_file_is_encrypted_private_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ann");
    let key = CustodianKey::generate("Ann").unwrap();
    key.write(&path, &Password::new("correct horse".into())).unwrap();
    assert!(matches!(key.write(&path, &Password::new("x".into())), Err(Error::Conflict { .. })));
    assert_eq!(key.write(&folder.path().join("b"), &Password::new(String::new())).unwrap_err().code(), "usage");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let back = CustodianKey::read(&path, || Ok(Password::new("correct horse".into()))).unwrap();
    assert_eq!(back.public(), key.public());
    assert_eq!(CustodianKey::read(&path, || Ok(Password::new("wrong".into()))).unwrap_err().code(), "wrong-password");
    let line = fs::read_to_string(folder.path().join("ann.pub")).unwrap();
    assert!(line.ends_with(" Ann\n"), "{line}");
    assert_eq!(line.parse::<CustodianPublicKey>().unwrap(), key.public());
    assert!(CustodianPublicKey::try_from(line.trim().to_owned()).is_err(), "the comment is no part of the key");
    assert_eq!(CustodianPublicKey::try_from(key.public().to_string()).unwrap(), key.public());
}

/// `ssh-keygen` with these arguments and this input; its output if it succeeded.
fn ssh_keygen(arguments: &[&str], input: &Path) -> Option<String> {
    let output = Command::new("ssh-keygen").args(arguments).stdin(Stdio::from(fs::File::open(input).unwrap())).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

fn no_ssh_keygen() -> bool {
    let missing = Command::new("ssh-keygen").arg("-?").output().is_err();
    if missing {
        keykit_vectors::skip("ceremony", "ssh-keygen is not installed");
    }
    missing
}

#[test]
fn openssh_verifies_our_approvals() {
    if no_ssh_keygen() {
        return;
    }
    let room = room();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let approval = room.approval(0);
    let file: serde_json::Value = serde_json::from_slice(&approval.to_bytes().unwrap()).unwrap();
    fs::write(path("statement"), file["statement"].as_str().unwrap()).unwrap();
    fs::write(path("statement.sig"), file["signature"].as_str().unwrap()).unwrap();
    fs::write(path("allowed"), format!("Ann namespaces=\"{NAMESPACE}\" {}\n", room.keys[0].public())).unwrap();
    let verify = ["-Y", "verify", "-f", &path("allowed"), "-I", "Ann", "-n", NAMESPACE, "-s", &path("statement.sig")];
    assert!(ssh_keygen(&verify, Path::new(&path("statement"))).unwrap().contains("Good \"keykit-plan\" signature for Ann"));
    fs::write(path("statement"), file["statement"].as_str().unwrap().replace("Ann", "Bob")).unwrap();
    assert!(ssh_keygen(&verify, Path::new(&path("statement"))).is_none());
}

#[test]
fn keys_and_signatures_of_openssh_are_taken_and_ours_by_openssh() {
    if no_ssh_keygen() {
        return;
    }
    let room = room();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let nothing = Path::new("/dev/null");
    // A key of OpenSSH signs here.
    ssh_keygen(&["-q", "-t", "ed25519", "-N", "secret", "-C", "Ann", "-f", &path("theirs")], nothing).unwrap();
    let theirs = CustodianKey::read(Path::new(&path("theirs")), || Ok(Password::new("secret".into()))).unwrap();
    let mut policy = room.policy.clone();
    policy.people[0].key = theirs.public();
    let approval = Approval::sign(room.statement(0), &theirs).unwrap();
    assert_eq!(policy.problem_of(&approval, PLAN, now(), &[]), None);
    // OpenSSH signs with a key of its own, and with one that keykit made.
    ssh_keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "Ann", "-f", &path("plain")], nothing).unwrap();
    let plain = CustodianKey::read(Path::new(&path("plain")), || panic!("it has no password")).unwrap();
    policy.people[0].key = plain.public();
    fs::write(path("statement"), room.statement(0).to_text().unwrap()).unwrap();
    ssh_keygen(&["-q", "-Y", "sign", "-f", &path("plain"), "-n", NAMESPACE, &path("statement")], nothing).unwrap();
    let joined = Approval::join(&fs::read_to_string(path("statement")).unwrap(), &fs::read_to_string(path("statement.sig")).unwrap()).unwrap();
    assert_eq!(policy.problem_of(&joined, PLAN, now(), &[]), None);
    // OpenSSH opens the file of a key that keykit made.
    room.keys[1].write(Path::new(&path("ours")), &Password::new("secret".into())).unwrap();
    let public = ssh_keygen(&["-y", "-P", "secret", "-f", &path("ours")], nothing).unwrap();
    assert_eq!(public.parse::<CustodianPublicKey>().unwrap(), room.keys[1].public());
    // Keys of other kinds are refused.
    ssh_keygen(&["-q", "-t", "ecdsa", "-N", "", "-f", &path("ecdsa")], nothing).unwrap();
    assert_eq!(CustodianKey::read(Path::new(&path("ecdsa")), || panic!("it has no password")).unwrap_err().code(), "malformed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn statements_come_back(plan in "[0-9a-f]{64}", name in any::<String>(), role in any::<String>(), days in 0_u32..4000) {
        let statement = Statement::new(&plan, &name, &role, now(), days).unwrap();
        prop_assert_eq!(Statement::parse(&statement.to_text().unwrap()).unwrap(), statement);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in any::<String>()) {
        drop(Approval::parse(&bytes));
        drop(Approval::join(&text, &text));
        drop(Statement::parse(&text));
        drop(text.parse::<CustodianPublicKey>());
        drop(CustodianKey::parse(&text, || Ok(Password::new(text.clone()))));
    }

    #[test]
    fn an_approval_with_one_changed_byte_never_counts(position in 0_usize..4000, change in 1_u8..=255) {
        let room = room();
        let approval = room.approval(0);
        let mut bytes = approval.to_bytes().unwrap();
        let position = position % bytes.len();
        bytes[position] ^= change;
        // Blanks between the members of the file, and the framing of the signature, carry no meaning.
        if let Ok(changed) = Approval::parse(&bytes) {
            prop_assert!(changed == approval || room.problem(&changed).is_some());
        }
    }
}
