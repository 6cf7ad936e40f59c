//! Writes sample clusters into a folder, for `cargo xtask demo`: exported domains, licences, passwords. Their keys protect nothing.
//!
//! ```text
//! keykit-samples FOLDER                        contoso (mode 2), fabrikam (mode 2), woodgrove (mode 1) as software domains
//! keykit-samples FOLDER --token NAME URI       NAME as a keyless domain around a new key of the token
//! ```

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use keykit::key::RsaPublicKey;
use keykit::secret::Password;
use keykit::store::{KeyRequest, KeyStore, Transferability};
use keykit::tpd::KeyDerivation;
use keykit::{Error, Result};
use keykit_hsm_backends::memory::MemoryStore;
use keykit_hsm_backends::pkcs11::Pkcs11Uri;
use keykit_tests::samples::SampleCluster;
use keykit_tests::tokens;

/// Password of all sample domains; `FOLDER/password` holds it.
const PASSWORD: &str = "Sample Pa$$w0rd é";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        [folder] => software(Path::new(folder)),
        [folder, "--token", name, uri] => token(Path::new(folder), name, uri),
        _ => Err(Error::usage("keykit-samples FOLDER [--token NAME URI]")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("keykit-samples: {error}");
            ExitCode::FAILURE
        }
    }
}

fn software(folder: &Path) -> Result<()> {
    for (name, bits, derivation) in
        [("contoso", 2048, KeyDerivation::Sha256), ("fabrikam", 2048, KeyDerivation::Sha256), ("woodgrove-mode1", 1024, KeyDerivation::Pbkdf1Sha1)]
    {
        let store = MemoryStore::new();
        let request = KeyRequest { label: name.into(), local_id: None, transferability: Transferability::Wrapped };
        let public = store.as_generate()?.generate(bits, &request)?.public;
        let key = store.as_export_plaintext()?.export_plaintext_danger(&public.id())?;
        let cluster = SampleCluster::around(&store, &public, name)?;
        write(folder, name, &cluster, &cluster.domain(Some(key), derivation)?.seal(&Password::new(PASSWORD.into()))?)?;
    }
    Ok(())
}

fn token(folder: &Path, name: &str, uri: &str) -> Result<()> {
    let store = tokens::open(&Pkcs11Uri::parse(uri)?)?;
    let request = KeyRequest { label: name.into(), local_id: None, transferability: Transferability::Wrapped };
    let public: RsaPublicKey = store.as_generate()?.generate(2048, &request)?.public;
    let cluster = SampleCluster::around(&store, &public, name)?;
    write(folder, name, &cluster, &cluster.domain(None, KeyDerivation::Sha256)?.seal(&Password::new(PASSWORD.into()))?)
}

fn write(folder: &Path, name: &str, cluster: &SampleCluster, domain: &[u8]) -> Result<()> {
    let file = |name: String, bytes: &[u8]| {
        let path: PathBuf = folder.join(name);
        fs::write(&path, bytes).map_err(|source| Error::Write { path, source })
    };
    file("password".into(), format!("{PASSWORD}\n").as_bytes())?;
    file(format!("{name}.xml"), domain)?;
    for (number, licence) in cluster.licences.iter().enumerate() {
        file(format!("{name}-{}.xrml", number + 1), licence.text.as_bytes())?;
        file(format!("{name}-{}.pfile", number + 1), &licence.pfile)?;
        file(format!("{name}-{}.docx", number + 1), &licence.document)?;
        file(format!("{name}-{}.rpmsg", number + 1), &licence.mail)?;
    }
    Ok(())
}
