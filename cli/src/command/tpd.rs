//! `keykit tpd`: taking a trusted publishing domain apart, and making one.

use std::fs;
use std::path::{Path, PathBuf};

use keykit::durable::{self, Access, Existing};
use keykit::key::{Hash, KeyId, RsaPublicKey, RsaSecretKey};
use keykit::migration::SourceDomain;
use keykit::migration::inventory::{documents_of, issued_key};
use keykit::store::KeyStore;
use keykit::tpd::{KeyDerivation, KeyInformation, TrustedPublishingDomain};
use keykit::transfer::{AzureTransferFile, wrap_rsa_aes};
use keykit::xrml;
use keykit::{Error, Result};
use keykit_hsm_backends::folder::FolderStore;
use keykit_hsm_backends::pkcs11::Pkcs11Uri;
use serde::Serialize;

use crate::arguments::{BuildArguments, SplitArguments, TpdCommand};
use crate::output::{Output, say, warn};
use crate::{exit, secrets, stores};

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

fn split(arguments: &SplitArguments) -> Result<Written> {
    let outputs: Vec<&Path> = [Some(&arguments.keyless), arguments.transfer.as_ref(), arguments.danger_plaintext_pem.as_ref()]
        .into_iter()
        .flatten()
        .map(PathBuf::as_path)
        .collect();
    refuse_overwriting(&arguments.input, &outputs)?;
    let kek = arguments.wrap_to.as_deref().map(|file| read_kek(file, arguments.kek_fingerprint.as_deref())).transpose()?;
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
    // The keyless domain first: it is no secret, and if it can't be written no key has been.
    durable::write(&arguments.keyless, &domain.seal(&password)?, Access::OwnerOnly, Existing::Keep)?;
    if let (Some(kek), Some(transfer)) = (&kek, &arguments.transfer) {
        let file = AzureTransferFile::new(&arguments.kid, &wrap_rsa_aes(&key, kek, Hash::Sha1)?);
        durable::write(transfer, &file.to_bytes()?, Access::OwnerOnly, Existing::Keep)?;
        if kek.modulus_bits() < 2048 {
            warn("the key encryption key is smaller than 2048 bits: no provider takes that");
        }
    }
    if let Some(pem) = &arguments.danger_plaintext_pem {
        write_plaintext(pem, &key)?;
    }
    Ok(Written { key_id: id, files: outputs.into_iter().map(Path::to_owned).collect() })
}

fn write_plaintext(path: &Path, key: &RsaSecretKey) -> Result<()> {
    durable::write(path, key.to_pkcs1_pem()?.expose(), Access::OwnerOnly, Existing::Keep)?;
    warn(format!("{} holds the key in the clear: import it, then erase it and the free space of its disk (rule 79)", path.display()));
    say("generatekey --import simple pemreadfile=… plainname=… protect=module ident=… type=RSA");
    Ok(())
}

fn read_kek(file: &Path, fingerprint: Option<&str>) -> Result<RsaPublicKey> {
    let bytes = durable::read(file, LIMIT, "key encryption key")?;
    let kek = match std::str::from_utf8(&bytes) {
        Ok(text) if text.contains("-----BEGIN") => RsaPublicKey::from_pem(text),
        _ => RsaPublicKey::from_spki_der(&bytes),
    }
    .map_err(|error| error.in_file(file))?;
    let stated: KeyId = fingerprint.unwrap_or_default().replace([':', ' '], "").to_ascii_lowercase().parse()?;
    if stated == kek.id() {
        return Ok(kek);
    }
    Err(Error::refused_by_policy(
        format!("{} is the key {}, not {}", file.display(), kek.id(), stated),
        "have the owner of the key encryption key read its fingerprint out again; somebody may have exchanged the file",
    ))
}

fn build(arguments: &BuildArguments) -> Result<Written> {
    refuse_overwriting(&arguments.chain, &[&arguments.output])?;
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

/// Rule 75: no output may be the input, nor exist.
fn refuse_overwriting(input: &Path, outputs: &[&Path]) -> Result<()> {
    let same = |left: &Path, right: &Path| {
        left == right || matches!((fs::canonicalize(left), fs::canonicalize(right)), (Ok(left), Ok(right)) if left == right)
    };
    for (number, output) in outputs.iter().enumerate() {
        if same(input, output) || outputs.iter().skip(number + 1).any(|other| same(output, other)) {
            return Err(Error::refused(
                75,
                format!("{} would be written over another file of this command", output.display()),
                "give every output a name of its own",
            ));
        }
        if output.exists() {
            return Err(Error::Conflict {
                what: format!("{} exists already", output.display()),
                hint: Some("choose another name; keykit does not overwrite".into()),
            });
        }
    }
    Ok(())
}
