//! Inputs to begin with, small ones: from the vectors, from the sample clusters, or made here. One function for each target.

use std::io::Write as _;
use std::sync::LazyLock;

use base64ct::{Base64, Encoding as _};
use jiff::Timestamp;
use keykit::artefact::registry::{Data, Key, RegistryFile, Value};
use keykit::ceremony::signed_note::{NoteSignature, SignedNote};
use keykit::ceremony::transcript::{Happening, MachineIdentity, ProgramIdentity, TranscriptWriter};
use keykit::ceremony::{Approval, CustodianKey, Statement};
use keykit::container::{NewProtectedFile, PfileVersion};
use keykit::key::RsaSecretKey;
use keykit::migration::apply::{Opening, Run};
use keykit::migration::{MigrationPath, SilentProgress};
use keykit::store::{KeyRequest, KeyStore};
use keykit::tpd::key_blob as blob;
use keykit::transfer::{AzureTransferFile, TransferProfile};
use keykit::xml::{Encoding, encode};
use keykit_hsm_backends::memory::MemoryStore;
use keykit_tests::samples::{SampleCluster, SampleLicence};
use keykit_tests::simulation::{Computer, SimulatedWorld, plan_of};

const PATHS: [MigrationPath; 3] = [MigrationPath::SoftwareToSoftware, MigrationPath::HsmToHsm, MigrationPath::SoftwareToHsm];
const HASH: &str = "1111111111111111111111111111111111111111111111111111111111111111";

/// A cluster around a key of the vectors, made once.
static CLUSTER: LazyLock<SampleCluster> = LazyLock::new(|| {
    let store = MemoryStore::new();
    let key = keys().remove(1);
    store.as_import_plaintext().and_then(|store| store.import_plaintext(&key, &KeyRequest::labelled("sample"))).expect("an imported key");
    SampleCluster::around(&store, key.public(), "sample").expect("a sample cluster")
});

fn licence() -> &'static SampleLicence {
    &CLUSTER.licences[0]
}

fn vectors(paths: &[&str]) -> Vec<Vec<u8>> {
    paths.iter().map(|path| keykit_vectors::read(path).expect("a vector")).collect()
}

/// Keys of 1024, 2048 and 3072 bits.
fn keys() -> Vec<RsaSecretKey> {
    ["keys/rsa-1024-e3.pem", "keys/xrml-2048.pem", "keys/rsa-3072-e65537.pem"]
        .map(|path| RsaSecretKey::from_pem(&keykit_vectors::read_text(path).expect("a vector")).expect("a key"))
        .into()
}

fn now() -> Timestamp {
    "2026-11-23T10:00:00Z".parse().expect("a time")
}

pub(crate) fn accepted_files() -> Vec<Vec<u8>> {
    let lists =
        ["# by M. Berg\n\na b/c.7z\tlooked into by hand\nd.zip\t password is lost, see \t12\n", "\u{feff}a.rar\tempty\r\nb.pst\told mail\r\n"];
    lists.map(|list| list.as_bytes().to_vec()).into()
}

pub(crate) fn access_proof() -> Vec<Vec<u8>> {
    let proof = r#"{"schema":"keykit/prove-access/1","tenant_id":"t","made":"2026-11-23T10:00:00Z","folders":["share"],"proven":false,
        "files":4,"not_protected":1,"opens":2,"lost":1,"unknown":0,"bytes":4096,"keys":[],"sample":null,"ledger":null,"withheld":0,
        "bad":[{"id":"a.docx","verdict":"lost","problems":[{"inside":"","verdict":"key-missing","key_id":null,"problem":"no key"}]}]}"#;
    let proven = r#"{"schema":"keykit/prove-access/1","tenant_id":"t","proven":true,"files":1,"not_protected":0,"opens":1,"lost":0,"unknown":0,
        "bytes":1,"keys":[],"bad":[],"sample":null}"#;
    let accepted = r#"{"schema":"keykit/prove-access/1","tenant_id":"t","proven":true,"files":4,"not_protected":1,"opens":1,"lost":0,"unknown":1,
        "not_looked_into":1,"accepted":2,"accepted_files":[{"id":"a.7z","reason":"looked into by hand"}],"bytes":1,"keys":[],"bad":[],"sample":null}"#;
    vec![proof.into(), proven.into(), accepted.into()]
}

pub(crate) fn approval() -> Vec<Vec<u8>> {
    let key = CustodianKey::generate("Ann").expect("a key");
    let statement = || Statement::new(HASH, "Ann", "custodian", now(), 30).expect("a statement");
    let approval = Approval::sign(statement(), &key).and_then(|approval| approval.to_bytes()).expect("an approval");
    vec![approval, statement().to_text().expect("a text").into()]
}

pub(crate) fn content() -> Vec<Vec<u8>> {
    let file = |content: &[u8]| {
        let file = NewProtectedFile {
            version: PfileVersion::CURRENT,
            notice: b"protected",
            extension: "txt",
            publishing_licence: b"<XrML></XrML>",
            original_size: Some(10),
            metadata: &[],
            content,
        };
        file.to_bytes().expect("a protected file")
    };
    vec![file(&[7; 16]), file(&[7; 4112])]
}

pub(crate) fn enabling_bits() -> Vec<Vec<u8>> {
    let sealed = |version: u8, key: u8, hash: u8| {
        let mut bytes = vec![1, version, 0, 0, 0, 12 + key + hash];
        bytes.extend([0; 11]);
        bytes.extend([12 + key, 0, 0xfe, 0xff, key, 0, 16, 0, 2, 0x20, 0, 0]);
        bytes.extend(vec![9; usize::from(key + hash)]);
        bytes
    };
    vec![sealed(1, 16, 20), sealed(2, 16, 32), sealed(2, 32, 32)]
}

pub(crate) fn evidence() -> Vec<Vec<u8>> {
    vectors(&[
        "nshield/nfkmattest-cardset.json",
        "nshield/nfkmattest-module.json",
        "nshield/nfkminfo-k-module.txt",
        "nshield/nfkminfo-k-softcard.txt",
    ])
}

pub(crate) fn key_blob() -> Vec<Vec<u8>> {
    keys().iter().filter_map(|key| blob::encode(key).ok()).map(|blob| blob.expose().to_vec()).collect()
}

pub(crate) fn key_encryption_key() -> Vec<Vec<u8>> {
    vectors(&["transfer/kek-public.pem", "transfer/kek-certificate.pem"])
}

pub(crate) fn lanes() -> Vec<Vec<u8>> {
    (0..4_u8).flat_map(|key| [vec![key; 200], vec![key; 3000], [vec![key], vec![0xff; 1100]].concat()]).collect()
}

pub(crate) fn migration_file() -> Vec<Vec<u8>> {
    let organisations = [
        include_str!("../../tests/organisations/single-forest.toml"),
        include_str!("../../tests/organisations/licensing-only-clusters.toml"),
        include_str!("../../tests/organisations/two-forests.toml"),
    ];
    organisations.map(|text| text.as_bytes().to_vec()).into()
}

pub(crate) fn office() -> Vec<Vec<u8>> {
    vec![licence().document.clone(), licence().binary_document.clone()]
}

pub(crate) fn pfile() -> Vec<Vec<u8>> {
    let mut files = vectors(&["xrml/CleanAlice.txt.pfile"]);
    files.push(licence().pfile.clone());
    files.extend(content());
    files
}

pub(crate) fn pkcs11_uri() -> Vec<Vec<u8>> {
    let uris = [
        "pkcs11:token=target?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/secure/pin",
        "pkcs11:object=slc%20key;id=%01%02;slot-id=3?pin-source=prompt",
        "pkcs11:",
    ];
    uris.map(|uri| uri.as_bytes().to_vec()).into()
}

pub(crate) fn pkcs8() -> Vec<Vec<u8>> {
    keys().iter().flat_map(|key| [key.to_pkcs8_der().expect("a key").expose().to_vec(), key.to_pkcs1_der().expose().to_vec()]).collect()
}

pub(crate) fn plan() -> Vec<Vec<u8>> {
    PATHS.map(|path| plan_of(path).to_bytes().expect("a plan")).into()
}

pub(crate) fn registry_file() -> Vec<Vec<u8>> {
    let value = |name, data| Value::new(name, data).expect("a value");
    let values =
        vec![value(Some("Server"), Data::Text("https://rms.example/_wmcs".into())), value(Some("Old"), Data::Deleted), value(None, Data::Number(1))];
    let path = "HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\MSDRM\\ServiceLocation";
    let keys = vec![Key::with(path, values).expect("a key"), Key::deleted(path).expect("a key")];
    vec![RegistryFile::new(keys).to_bytes(), RegistryFile::default().to_bytes()]
}

pub(crate) fn rpmsg() -> Vec<Vec<u8>> {
    vec![licence().mail.clone()]
}

pub(crate) fn run_journal() -> Vec<Vec<u8>> {
    let journal = |path| {
        let plan = plan_of(path);
        let computer = Computer::default();
        plan.keys.iter().for_each(|key| computer.put_source_key(key.key_id.to_string()));
        computer.begin(None);
        let mut platform = computer.clone();
        let run = Run::of(plan).and_then(|run| run.approve(&[], Timestamp::UNIX_EPOCH)).expect("a run");
        let run = run.open(&mut platform, &SimulatedWorld::runs(), Opening::Apply).expect("an open run");
        run.carry_out(&mut SimulatedWorld::of(&computer), &Default::default(), &SilentProgress).expect("a run without faults");
        computer.content(&SimulatedWorld::runs().join("journal.jsonl")).expect("a journal")
    };
    PATHS.map(journal).into()
}

pub(crate) fn share_file() -> Vec<Vec<u8>> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("folder/a.pfile", zip::write::SimpleFileOptions::default()).expect("an entry");
    archive.write_all(&licence().pfile).expect("an entry");
    let archive = archive.finish().expect("an archive").into_inner();
    let mail = format!(
        "From: a@rms.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/zip\r\n\
         Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=a.zip\r\n\r\n{}\r\n--b--\r\n",
        Base64::encode_string(&archive)
    );
    vec![licence().pfile.clone(), licence().document.clone(), licence().mail.clone(), archive, mail.into_bytes()]
}

/// A transcript with a session and a note, and its checkpoint.
fn transcript_and_checkpoint() -> (Vec<u8>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("transcript.jsonl");
    let mut writer = TranscriptWriter::open(&path, HASH).expect("a transcript");
    let session = Happening::Session {
        command: "keykit apply".into(),
        plan: HASH.into(),
        machine: MachineIdentity { host: "vault-1".into(), system: "Debian".into(), architecture: "x86_64".into() },
        program: ProgramIdentity { version: "0.1.0".into(), sha256: None },
        modules: Vec::new(),
        tokens: Vec::new(),
    };
    writer.begin(session).expect("a session");
    writer.append(Happening::Deviation { step: None, note: "late".into(), by: Some("Ann".into()) }).expect("a line");
    writer.append(Happening::SessionEnded { exit: 0, error: None }).expect("a line");
    writer.append(Happening::Closed {}).expect("the last line");
    let checkpoint = writer.transcript().checkpoint().expect("a closed transcript").to_text();
    (std::fs::read(&path).expect("a transcript"), checkpoint)
}

pub(crate) fn signed_note() -> Vec<Vec<u8>> {
    let key = CustodianKey::generate("Ann").expect("a key");
    let note = |text: String| {
        let mut note = SignedNote::new(text.clone()).expect("a note");
        note.add(NoteSignature::sign(&text, "Ann", &key).expect("a signature"));
        note.to_text().into_bytes()
    };
    vec![note("keykit/transcript/1\n".into()), note(transcript_and_checkpoint().1)]
}

pub(crate) fn spki() -> Vec<Vec<u8>> {
    keys().iter().map(|key| key.public().to_spki_der().to_vec()).collect()
}

pub(crate) fn stored_result() -> Vec<Vec<u8>> {
    vectors(&["tokens/softhsm-2.6.1.json"])
}

pub(crate) fn token_padding() -> Vec<Vec<u8>> {
    let padded = |zeros: usize| keys().into_iter().map(move |key| [key.to_pkcs8_der().expect("a key").expose(), &vec![0; zeros]].concat());
    padded(0).chain(padded(5)).collect()
}

pub(crate) fn tpd() -> Vec<Vec<u8>> {
    vectors(&["tpd/tpd-v1compat.xml", "tpd/tpd-v2.xml"])
}

pub(crate) fn transcript() -> Vec<Vec<u8>> {
    vec![transcript_and_checkpoint().0]
}

pub(crate) fn transfer_file() -> Vec<Vec<u8>> {
    let kid = "https://keykit.vault.azure.net/keys/kek/0123456789abcdef0123456789abcdef";
    [256, 512].map(|kek| AzureTransferFile::new(kid, &vec![7; kek + 1232]).to_bytes().expect("a transfer file")).into()
}

pub(crate) fn transfer_lint() -> Vec<Vec<u8>> {
    transfer_file()
}

pub(crate) fn transfer_profiles() -> Vec<Vec<u8>> {
    // Profiles of one's own have names of their own.
    vec![TransferProfile::BUILT_IN.replace("\nname = \"", "\nname = \"own-").into()]
}

pub(crate) fn xml() -> Vec<Vec<u8>> {
    let mut files = vectors(&["xrml/ca-chain-mode1.xml", "tpd/tpd-v2.xml"]);
    let text = "<?xml version=\"1.0\"?><A b='1'><C/>d&amp;<!-- e --></A ><F></F>";
    files.extend(
        [Encoding::Utf8, Encoding::Utf8Bom, Encoding::Utf16Le, Encoding::Utf16LeBom, Encoding::Utf16BeBom].map(|encoding| encode(text, encoding)),
    );
    files
}

pub(crate) fn xrml() -> Vec<Vec<u8>> {
    let mut files = vectors(&["xrml/ca-chain-mode1.xml", "xrml/LicenseParserTest_PL_0101right_CBC_xml.bin"]);
    files.push(licence().text.clone().into_bytes());
    files.extend(CLUSTER.templates.iter().map(|text| text.clone().into_bytes()));
    files
}
