//! `keykit tpd`: taking a trusted publishing domain apart, and making one.

use std::fs;
use std::path::{Path, PathBuf};

use keykit::durable::{self, Access, Existing};
use keykit::key::{KeyId, RsaPublicKey, RsaSecretKey};
use keykit::migration::SourceDomain;
use keykit::migration::inventory::{documents_of, issued_key};
use keykit::store::KeyStore;
use keykit::tpd::{KeyDerivation, KeyInformation, TrustedPublishingDomain};
use keykit::transfer::{Package, PackageOptions};
use keykit::xrml;
use keykit::{Error, Result};
use keykit_hsm_backends::folder::FolderStore;
use keykit_hsm_backends::pkcs11::Pkcs11Uri;
use serde::Serialize;

use crate::arguments::{BuildArguments, SplitArguments, TpdCommand};
use crate::files::refuse_overwriting;
use crate::output::{Output, say, warn};
use crate::{exit, secrets, stores, transfers};

/// Largest input that is read, in bytes.
const LIMIT: u64 = 16 << 20;

#[derive(Debug, Serialize)]
struct Written {
    key_id: KeyId,
    files: Vec<PathBuf>,
}

/// Runs `keykit tpd …`.
pub(super) fn run(command: &TpdCommand, output: Output) -> Result<u8> {
    let (schema, written) = match command {
        TpdCommand::Split(arguments) => ("tpd-split", split(arguments)?),
        TpdCommand::Build(arguments) => ("tpd-build", build(arguments)?),
    };
    output.result(schema, &written, || {
        let files: Vec<String> = written.files.iter().map(|file| file.display().to_string()).collect();
        format!("key {}\n  {}\nwritten: {}", written.key_id, written.key_id.words(), files.join(", "))
    })?;
    Ok(exit::DONE)
}

/// All outputs are written, or none.
fn split(arguments: &SplitArguments) -> Result<Written> {
    let outputs: Vec<&Path> = [Some(&arguments.keyless), arguments.transfer.as_ref(), arguments.danger_plaintext_pem.as_ref()]
        .into_iter()
        .flatten()
        .map(PathBuf::as_path)
        .collect();
    let inputs: Vec<&Path> = [Some(&arguments.input), arguments.wrap_to.as_ref()].into_iter().flatten().map(PathBuf::as_path).collect();
    refuse_overwriting(&inputs, &outputs)?;
    let transfer = match (&arguments.wrap_to, &arguments.transfer) {
        (Some(kek), Some(transfer)) => {
            let profile = transfers::profile(&arguments.profile, &arguments.profile_file)?;
            let kek = transfers::confirmed_kek(kek, arguments.kid.as_deref(), arguments.kek_fingerprint.as_deref(), &profile)?;
            Some((transfer, profile, kek))
        }
        _ => None,
    };
    let bytes = durable::read(&arguments.input, LIMIT, "trusted publishing domain")?;
    let password = secrets::read(&arguments.password_source, &format!("password of {}", arguments.input.display()))?;
    let domain = TrustedPublishingDomain::open(&bytes, &password).map_err(|error| error.in_file(&arguments.input))?;
    let examined = SourceDomain::examine(&arguments.input, domain)?;
    examined.warnings().iter().for_each(|warning| warn(&warning.message));
    let id = examined.key_id();
    let (domain, key) = examined.into_domain().into_key();
    let key = key.ok_or_else(|| {
        Error::refused(41, format!("{} holds no key", arguments.input.display()), "it is keyless already: nothing is to be split off")
    })?;
    let package = match &transfer {
        Some((_, profile, kek)) => {
            let options = PackageOptions { kid: arguments.kid.clone(), ..PackageOptions::default() };
            Some(Package::make(&transfers::in_memory(&key)?, &id, kek, profile, &options)?)
        }
        None => None,
    };
    let keyless = domain.seal(&password)?;
    let plaintext = arguments.danger_plaintext_pem.as_ref().map(|pem| Ok((pem, key.to_pkcs1_pem()?))).transpose()?;
    // The keyless domain first: it is no secret, and if the process is killed before the next, no key has been written.
    let mut files: Vec<(&Path, &[u8])> = vec![(&arguments.keyless, &keyless)];
    if let (Some(package), Some((path, ..))) = (&package, &transfer) {
        files.push((path, &package.bytes));
    }
    files.extend(plaintext.as_ref().map(|(path, pem)| (path.as_path(), pem.expose())));
    durable::write_together(&files)?;
    if let (Some(package), Some((path, profile, _))) = (&package, &transfer) {
        transfers::check_written(path, package, profile).inspect_err(|_| {
            for (path, _) in &files {
                fs::remove_file(path).unwrap_or_default();
            }
        })?;
        transfers::tell(&package.findings);
    }
    if let Some((path, _)) = &plaintext {
        warn(format!("{} holds the key in the clear: import it, then erase it and the free space of its disk (rule 79)", path.display()));
        say("generatekey --import simple pemreadfile=… plainname=… protect=module ident=… type=RSA");
    }
    Ok(Written { key_id: id, files: outputs.into_iter().map(Path::to_owned).collect() })
}

fn build(arguments: &BuildArguments) -> Result<Written> {
    refuse_overwriting(&[&arguments.chain], &[&arguments.output])?;
    let chain = read_documents(&arguments.chain)?;
    let documents = documents_of(&chain)?;
    let leaf = documents.first().ok_or_else(|| Error::malformed("certificate chain", "no certificate in it").in_file(&arguments.chain))?;
    let licensor = issued_key(leaf).map_err(|error| error.in_file(&arguments.chain))?;
    let (key, container) = find_key(arguments, &licensor)?;
    let templates = match &arguments.templates {
        Some(folder) => read_templates(folder)?,
        None => Vec::new(),
    };
    let principal = leaf.issued_principals().first();
    let information = KeyInformation {
        id: principal.map_or_else(|| licensor.id().short(), |principal| principal.object.id.clone()),
        id_type: principal.map_or_else(|| "MS-GUID".to_owned(), |principal| principal.object.id_type.clone()),
        csp_type: 24,
        csp_name: "Microsoft Enhanced RSA and AES Cryptographic Provider".to_owned(),
        key_container: container,
        key_number: 1,
    };
    let domain = TrustedPublishingDomain::new(information, chain, templates, key, KeyDerivation::Sha256)?;
    let examined = SourceDomain::examine(&arguments.output, domain)?;
    let password = secrets::new_from(&arguments.password_source, "password of the new domain")?;
    let id = examined.key_id();
    durable::write(&arguments.output, &examined.into_domain().seal(&password)?, Access::OwnerOnly, Existing::Keep)?;
    Ok(Written { key_id: id, files: vec![arguments.output.clone()] })
}

/// The key itself, if it is in software, and the name of its container.
fn find_key(arguments: &BuildArguments, licensor: &RsaPublicKey) -> Result<(Option<RsaSecretKey>, String)> {
    let not_its_key = |store: &dyn KeyStore| {
        Error::refused(
            70,
            format!(
                "the certificate in {} is for the key {}, which {} does not hold",
                arguments.chain.display(),
                licensor.id().short(),
                store.identity().uri
            ),
            "give the chain of this very key",
        )
    };
    if let Some(rest) = arguments.key.strip_prefix("file:") {
        let (folder, start) = rest.split_once('#').unwrap_or((rest, ""));
        let store = FolderStore::open(Path::new(folder), &secrets::of_keyring(&arguments.keyring)?, stores::scrypt_cost()?)?;
        let record = stores::key_by_start(&store, start)?;
        if record.id() != licensor.id() {
            return Err(not_its_key(&store));
        }
        return Ok((Some(store.as_export_plaintext()?.export_plaintext_danger(&record.id())?), record.attributes.label));
    }
    let uri = Pkcs11Uri::parse(&arguments.key)?;
    let store = stores::token(&uri, None)?;
    let record = store.keys_matching(&uri)?.into_iter().find(|key| key.id() == licensor.id()).ok_or_else(|| not_its_key(&store))?;
    say("the key is in a token: the domain is written without it");
    Ok((None, record.attributes.label))
}

/// The documents of a file, each as it is stored.
fn read_documents(file: &Path) -> Result<Vec<String>> {
    let bytes = durable::read(file, LIMIT, "XrML")?;
    let documents = xrml::documents_in(&bytes).map_err(|error| error.in_file(file))?;
    Ok(documents.iter().map(|document| document.text().to_owned()).collect())
}

fn read_templates(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).map_err(|source| Error::Read { path: folder.to_owned(), source })?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "xml"))
        .collect();
    files.sort();
    let documents = files.iter().map(|file| read_documents(file)).collect::<Result<Vec<_>>>()?;
    Ok(documents.into_iter().flatten().collect())
}
