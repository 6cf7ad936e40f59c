//! Licences before judges that share no code with keykit: a few lines of Python, and OpenSSL.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use keykit_tests::child::skip;
use serde_json::Value;

use crate::issue::tenant;
use crate::support::{Desk, Sample, contoso, fabrikam, woodgrove};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/interop/licence.py");
/// Bytes of the header in front of a key, and of that in front of everything under the session key.
const KEY_HEADER: usize = 12;
const HEADER: usize = 16;

/// What the Python script says of the documents of a file, or nothing if there is no Python.
pub(crate) fn judged(desk: &Desk, file: &str) -> Option<Value> {
    let Ok(output) = Command::new("python3").arg(SCRIPT).arg(desk.path(file)).output() else {
        skip("judges::judged", "python3 is not installed");
        return None;
    };
    Some(serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr))))
}

fn openssl(folder: &Path, arguments: &str) -> Output {
    Command::new("openssl").args(arguments.split_whitespace()).current_dir(folder).output().unwrap()
}

/// What a command of OpenSSL prints; it must succeed.
#[track_caller]
fn given(folder: &Path, arguments: &str) -> Vec<u8> {
    let output = openssl(folder, arguments);
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// OpenSSL verifies the signature of a publishing licence under the key of `server`, and opens its content key with that key.
fn openssl_agrees(desk: &Desk, file: &str, server: &Sample, content_key: &[u8]) {
    let folder = desk.path(&format!("taken-apart-{}", file.replace('/', "-")));
    fs::create_dir(&folder).unwrap();
    let output = Command::new("python3").args([SCRIPT, "--extract"]).args([&folder, &desk.path(file)]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let parts: Value = serde_json::from_slice(&output.stdout).unwrap();
    let bits = server.key.public().modulus_bits();
    let (sealed, hash, padding) = match bits {
        1024 => ("sealed-key", "sha1", "-pkeyopt rsa_padding_mode:pkcs1"),
        _ => ("sealed-key-v2", "sha256", "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha1 -pkeyopt rsa_mgf1_md:sha1"),
    };
    assert_eq!((&parts["bits"], &parts["sealed"], &parts["sealed_to_issuer"]), (&bits.into(), &sealed.into(), &true.into()));
    assert_eq!(fs::read(folder.join("issuer.der")).unwrap(), server.key.public().to_spki_der());

    let verify = format!("dgst -{hash} -verify issuer.der -keyform DER -signature signature");
    assert_eq!(given(&folder, &format!("{verify} signed")), b"Verified OK\n");
    let mut other = fs::read(folder.join("signed")).unwrap();
    *other.last_mut().unwrap() ^= 1;
    fs::write(folder.join("changed"), other).unwrap();
    assert!(!openssl(&folder, &format!("{verify} changed")).status.success(), "OpenSSL would take anything");

    fs::write(folder.join("key.der"), server.key.to_pkcs1_der().expose()).unwrap();
    let block = given(&folder, &format!("pkeyutl -decrypt -inkey key.der -keyform DER {padding} -in block"));
    assert_eq!(block.len(), KEY_HEADER + 16, "a session key of AES-128 with its header");
    let session_key = hex(&block[KEY_HEADER..]);
    let rest = given(&folder, &format!("enc -d -aes-128-ecb -K {session_key} -nopad -in rest"));
    let (key, after) = rest[HEADER + KEY_HEADER..].split_at(content_key.len());
    assert_eq!(key, content_key);
    let bound = given(&folder, &format!("dgst -{hash} -binary bound"));
    assert!(after.starts_with(&bound), "the content key is bound to its licence");
}

/// The content key of a licence, and the licence, before the judges: as it was issued, and re-keyed to a key of either mode.
#[test]
fn openssl_and_python_agree_with_issued_and_rekeyed_licences_of_both_modes() {
    for program in ["python3", "openssl"] {
        if Command::new(program).arg("--help").output().is_err() {
            skip("judges::openssl_and_python_agree_with_issued_and_rekeyed_licences_of_both_modes", &format!("{program} is not installed"));
            return;
        }
    }
    for (from, to, key_bits) in
        [(contoso(), fabrikam(), 128), (contoso(), woodgrove(), 256), (woodgrove(), fabrikam(), 256), (woodgrove(), contoso(), 128)]
    {
        let desk = tenant(from);
        let issue = "licence issue --tenant tenant --content-key-out key --owner author@rms.example --right staff@rms.example:VIEW";
        desk.run(&format!("{issue} --content-key-bits {key_bits} -o licence.xrml")).exits(0);
        let content_key = desk.read("key");
        assert_eq!(content_key.len() * 8, key_bits);
        desk.run(&format!("tenant activate {} --tenant tenant", to.key.id())).exits(0);
        desk.run("licence rekey licence.xrml --tenant tenant -o new").exits(0);
        for (file, server) in [("licence.xrml", from), ("new/licence.xrml", to)] {
            openssl_agrees(&desk, file, server, &content_key);
            let judge = judged(&desk, file).unwrap();
            assert_eq!(judge["sound"], true, "{judge}");
            assert_eq!(judge["files"][0]["documents"][0]["bits"], server.key.public().modulus_bits());
            assert_eq!(judge["files"][0]["linked"][0], true, "the chain certifies the issuer");
            let text = String::from_utf8(desk.read(file)).unwrap();
            desk.write("damaged.xrml", text.replacen("author@rms.example", "anchor@rms.example", 1));
            assert_eq!(judged(&desk, "damaged.xrml").unwrap()["sound"], false);
        }
    }
}
