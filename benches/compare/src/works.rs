//! What is measured, and with what.

mod access;
mod licences;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use keykit::key::{Digest, Hash, RsaSecretKey};
use keykit::threads::Helpers;
use keykit::xrml;

use crate::engines::{
    AwsLc, AwsLcSys, Engine, Graviola, Keykit, OpenSsl, Outputs, RawToken, Ring, RustCrypto, Scheme, SignatureHash, Threads, keykit_token,
};
use crate::rounds::{Clock, Contestant, Work};
use crate::{Result, during};

/// A real publishing licence (6.6 KB, its body 5.9 KB) and the certificate of its issuer.
const LICENCES: &[u8] = include_bytes!("../../../vectors/xrml/LicenseParserTest_PL_0101right_CBC_xml.bin");
/// The hour in it that is changed, so that all licences differ.
const ISSUED: &str = "2013-04-16T16:58";
/// Licences in a batch.
const BATCH: usize = 64;

/// A key, in the shapes that engines read.
pub(crate) struct Key {
    pub(crate) pkcs8: Vec<u8>,
    pub(crate) secret: RsaSecretKey,
}

impl Key {
    fn load(path: &Path) -> Result<Self> {
        let doing = path.display().to_string();
        let pem = std::fs::read_to_string(path).map_err(during(&doing))?;
        let secret = RsaSecretKey::from_pem(&pem).map_err(during(&doing))?;
        let pkcs8 = secret.to_pkcs8_der().map_err(during(&doing))?.expose().to_vec();
        Ok(Self { pkcs8, secret })
    }
}

/// Keys and messages, the same for all engines.
pub(crate) struct Setting {
    old: Key,
    new: Key,
    small: Key,
    large: Key,
    largest: Key,
    module: PathBuf,
    messages: Rc<Messages>,
}

/// A batch of licences, and what was made of it beforehand.
struct Messages {
    licences: Vec<String>,
    bodies: Vec<String>,
    content_keys: Vec<Vec<u8>>,
}

impl Messages {
    fn make() -> Result<Self> {
        let doing = "the sample licence";
        let documents = xrml::documents_in(LICENCES).map_err(during(doing))?;
        let licence = documents.first().ok_or(doing)?.text();
        let licences: Vec<String> =
            (0..BATCH).map(|number| licence.replacen(ISSUED, &format!("2013-04-16T{:02}:{:02}", number / 60, number % 60), 1)).collect();
        let mut bodies = Vec::new();
        for licence in &licences {
            bodies.push(xrml::Document::read(licence.as_bytes()).map_err(during(doing))?.body_text().to_owned());
        }
        let content_keys =
            licences.iter().map(|licence| Hash::Sha256.digest(licence.as_bytes()).as_bytes().iter().take(16).copied().collect()).collect();
        Ok(Self { licences, bodies, content_keys })
    }

    fn bodies(&self) -> Vec<&[u8]> {
        self.bodies.iter().map(String::as_bytes).collect()
    }
}

fn slices(items: &[Vec<u8>]) -> Vec<&[u8]> {
    items.iter().map(Vec::as_slice).collect()
}

type Engines = Vec<Box<dyn Engine>>;

impl Setting {
    pub(crate) fn load(keys: &Path, module: &Path) -> Result<Self> {
        let load = |name: &str| Key::load(&keys.join(name));
        Ok(Self {
            old: load("old.pem")?,
            new: load("new.pem")?,
            small: load("1024.pem")?,
            large: load("3072.pem")?,
            largest: load("4096.pem")?,
            module: module.to_owned(),
            messages: Rc::new(Messages::make()?),
        })
    }

    /// The works for one processor, or those in which two threads are compared with one.
    pub(crate) fn works(&self, threads: usize) -> Result<Vec<Work>> {
        if threads == 1 { self.works_of_one_thread() } else { self.works_of_threads(threads) }
    }

    fn works_of_one_thread(&self) -> Result<Vec<Work>> {
        let main_engines = |key| -> Result<Engines> { Ok(vec![openssl(key)?, aws_lc(key)?, keykit(key)?]) };
        let small_engines =
            || -> Result<Engines> { Ok(vec![openssl(&self.small)?, Box::new(AwsLcSys::new(&self.small)?), rsa(&self.small)?, keykit(&self.small)?]) };
        let key = &self.old;
        let all: Engines =
            vec![openssl(key)?, Box::new(Ring::new(&key.pkcs8)?), aws_lc(key)?, Box::new(Graviola::new(&key.pkcs8)?), rsa(key)?, keykit(key)?];
        let (sha1, sha256) = (SignatureHash::Sha1, SignatureHash::Sha256);
        let mut works = vec![
            self.sign("sign RSA-2048/SHA-256, 6 KB, batches of 64", None, sha256, BATCH, all).with_goal(),
            self.sign("sign RSA-2048/SHA-256, 6 KB, one at a time", Some("aws-lc-rs"), sha256, 1, main_engines(key)?).with_goal(),
            self.rekey_end_to_end("re-key end to end, RSA-2048, batches of 64", BATCH)?.with_goal(),
            self.rekey_end_to_end("re-key end to end, RSA-2048, one licence", 1)?,
            self.verify_licence()?.with_goal(),
            self.sign("sign RSA-1024/SHA-1, 6 KB, batches of 64", None, sha1, BATCH, small_engines()?).with_goal(),
            self.sign("sign RSA-1024/SHA-1, 6 KB, one at a time", None, sha1, 1, small_engines()?).with_goal(),
        ];
        works.extend(self.on_token(1, ["PKCS#11 sign RSA-2048, one session", "PKCS#11 decrypt RSA-2048, one session"])?);
        works.extend([
            self.whole_licence()?,
            self.prove_access("prove access, RSA-2048, protected files of a share")?,
            self.rekey("re-key RSA-2048, PKCS#1 v1.5: decrypt, encrypt, sign", Scheme::Pkcs1v15)?,
            self.rekey("re-key RSA-2048, OAEP-SHA1: decrypt, encrypt, sign", Scheme::OaepSha1)?,
            self.decrypt("decrypt RSA-2048, OAEP-SHA1", None, vec![openssl(key)?, aws_lc(key)?, rsa(key)?, keykit(key)?])?,
            self.verify("verify RSA-2048/SHA-256, 6 KB")?,
            self.sign("sign RSA-3072/SHA-256, 6 KB", None, sha256, BATCH, main_engines(&self.large)?),
            self.sign("sign RSA-4096/SHA-256, 6 KB", None, sha256, BATCH, main_engines(&self.largest)?),
        ]);
        Ok(works)
    }

    /// Both thread counts in one process, by the clock on the wall.
    fn works_of_threads(&self, threads: usize) -> Result<Vec<Work>> {
        const ALONE: &str = "keykit, one thread";
        let hash = SignatureHash::Sha256;
        let keykit_alone: Box<dyn Engine> = Box::new(Alone(keykit(&self.old)?, ALONE));
        let together = |make: fn(&Key) -> Result<Box<dyn Engine>>| several(threads, || make(&self.old));
        let engines = vec![openssl(&self.old)?, together(openssl)?, keykit_alone, together(keykit)?];
        let mut sign = self.sign("sign RSA-2048/SHA-256, 6 KB, batches of 256, two threads and one", Some(ALONE), hash, 4 * BATCH, engines);
        for (contestant, name) in sign.contestants.iter_mut().zip(["OpenSSL, one thread", "OpenSSL, two threads", ALONE, "keykit, two threads"]) {
            contestant.name = name.to_owned();
        }
        let mut works = vec![sign.with_goal(), self.rekey_stream("re-key a stream of 1,024 licences, two threads and one", threads)?.with_goal()];
        works.extend(self.on_token(threads, ["PKCS#11 sign RSA-2048, two sessions", "PKCS#11 decrypt RSA-2048, two sessions"])?);
        for work in &mut works {
            work.clock = Clock::Wall;
        }
        Ok(works)
    }

    /// Signing and decrypting on the token, through so many sessions; the raw loop has a thread for each.
    fn on_token(&self, sessions: usize, [sign, decrypt]: [&'static str; 2]) -> Result<[Work; 2]> {
        const RAW: Option<&str> = Some("raw loop on SoftHSM");
        let engines = || -> Result<Engines> {
            // The store first: it initialises the module and logs in.
            let store: Box<dyn Engine> = Box::new(keykit_token(&self.module, sessions, &self.old)?);
            let raw = several(sessions, || Ok(Box::new(RawToken::open(&self.module)?)))?;
            Ok(vec![several(sessions, || openssl(&self.old))?, raw, store])
        };
        let sign = self.sign(sign, RAW, SignatureHash::Sha256, BATCH, engines()?);
        Ok([sign.with_goal(), self.decrypt(decrypt, RAW, engines()?)?.with_goal()])
    }

    fn sign(&self, name: &'static str, reference: Option<&'static str>, hash: SignatureHash, batch: usize, engines: Engines) -> Work {
        let contestant = |mut engine: Box<dyn Engine>| {
            let messages = Rc::clone(&self.messages);
            move || engine.sign(hash, &messages.bodies().into_iter().cycle().take(batch).collect::<Vec<_>>())
        };
        let contestants =
            engines.into_iter().map(|engine| Contestant { name: engine.name().to_owned(), run: Box::new(contestant(engine)) }).collect();
        Work::new(name, reference, contestants)
    }

    /// Reads each licence, hashes its body, signs; beside OpenSSL, which only hashes and signs.
    fn whole_licence(&self) -> Result<Work> {
        let engine = Keykit::in_memory(&self.old)?;
        let messages = Rc::clone(&self.messages);
        let run = move || {
            let mut digests: Vec<Digest> = Vec::with_capacity(BATCH);
            for licence in &messages.licences {
                let document = xrml::Document::read(licence.as_bytes()).map_err(during("keykit reads a licence"))?;
                digests.push(Hash::Sha256.digest(document.body_text().as_bytes()));
            }
            engine.sign_digests(&digests)
        };
        let name = "whole licence of 6.6 KB: read, digest, sign RSA-2048";
        let mut work =
            self.sign(name, Some("keykit, digest and sign only"), SignatureHash::Sha256, BATCH, vec![openssl(&self.old)?, keykit(&self.old)?]);
        for contestant in &mut work.contestants {
            contestant.name.push_str(", digest and sign only");
        }
        work.contestants.push(Contestant { name: "keykit, whole".into(), run: Box::new(run) });
        Ok(work)
    }

    fn rekey(&self, name: &'static str, scheme: Scheme) -> Result<Work> {
        let sealed = Rc::new(self.sealed(scheme)?);
        let pairs: Vec<(Box<dyn Engine>, Box<dyn Engine>)> = vec![
            (openssl(&self.old)?, openssl(&self.new)?),
            (aws_lc(&self.old)?, aws_lc(&self.new)?),
            (rsa(&self.old)?, rsa(&self.new)?),
            (keykit(&self.old)?, keykit(&self.new)?),
        ];
        let mut contestants = Vec::new();
        for (mut old, mut new) in pairs {
            self.check_sealing(scheme, new.as_mut())?;
            let (messages, sealed) = (Rc::clone(&self.messages), Rc::clone(&sealed));
            let name = old.name().to_owned();
            let run = move || {
                let opened = old.decrypt(scheme, &slices(&sealed))?;
                let sealed_again = new.encrypt(scheme, &slices(&opened))?;
                let mut signatures = new.sign(SignatureHash::Sha256, &messages.bodies())?;
                // Sealing is random: its length must do here.
                for ((signature, opened), sealed) in signatures.iter_mut().zip(&opened).zip(&sealed_again) {
                    signature.extend_from_slice(opened);
                    signature.extend_from_slice(&sealed.len().to_be_bytes());
                }
                Ok(signatures)
            };
            contestants.push(Contestant { name, run: Box::new(run) });
        }
        Ok(Work::new(name, None, contestants))
    }

    fn decrypt(&self, name: &'static str, reference: Option<&'static str>, engines: Engines) -> Result<Work> {
        let scheme = Scheme::OaepSha1;
        let sealed = Rc::new(self.sealed(scheme)?);
        let contestants = engines.into_iter().map(|mut engine| {
            let sealed = Rc::clone(&sealed);
            Contestant { name: engine.name().to_owned(), run: Box::new(move || engine.decrypt(scheme, &slices(&sealed))) }
        });
        Ok(Work::new(name, reference, contestants.collect()))
    }

    fn verify(&self, name: &'static str) -> Result<Work> {
        let signatures = Rc::new(openssl(&self.old)?.sign(SignatureHash::Sha256, &self.messages.bodies())?);
        let engines = [openssl(&self.old)?, aws_lc(&self.old)?, keykit(&self.old)?];
        let contestants = engines.into_iter().map(|mut engine| {
            let (messages, signatures) = (Rc::clone(&self.messages), Rc::clone(&signatures));
            let name = engine.name().to_owned();
            let run = move || engine.verify(&messages.bodies(), &slices(&signatures)).map(|()| vec![Vec::new(); BATCH]);
            Contestant { name, run: Box::new(run) }
        });
        Ok(Work::new(name, None, contestants.collect()))
    }

    /// The content keys sealed to the old key, by OpenSSL.
    fn sealed(&self, scheme: Scheme) -> Result<Vec<Vec<u8>>> {
        openssl(&self.old)?.encrypt(scheme, &slices(&self.messages.content_keys))
    }

    /// What an engine seals to the new key, OpenSSL opens.
    fn check_sealing(&self, scheme: Scheme, engine: &mut dyn Engine) -> Result<()> {
        let sealed = engine.encrypt(scheme, &slices(&self.messages.content_keys))?;
        let opened = openssl(&self.new)?.decrypt(scheme, &slices(&sealed))?;
        if opened == self.messages.content_keys { Ok(()) } else { Err(format!("OpenSSL does not open what {} seals", engine.name())) }
    }
}

fn openssl(key: &Key) -> Result<Box<dyn Engine>> {
    Ok(Box::new(OpenSsl::new(&key.pkcs8)?))
}

fn aws_lc(key: &Key) -> Result<Box<dyn Engine>> {
    Ok(Box::new(AwsLc::new(key)?))
}

fn rsa(key: &Key) -> Result<Box<dyn Engine>> {
    Ok(Box::new(RustCrypto::new(&key.pkcs8)?))
}

fn keykit(key: &Key) -> Result<Box<dyn Engine>> {
    Ok(Box::new(Keykit::in_memory(key)?))
}

/// So many engines, each with a thread of its own; one of them has none.
fn several(count: usize, make: impl Fn() -> Result<Box<dyn Engine>>) -> Result<Box<dyn Engine>> {
    let mut engines = (0..count).map(|_| make()).collect::<Result<Engines>>()?;
    Ok(if count == 1 { engines.pop().ok_or("no engine")? } else { Box::new(Threads(engines)) })
}

/// An engine on the thread that it is called on, and no other one.
struct Alone(Box<dyn Engine>, &'static str);

impl Engine for Alone {
    fn name(&self) -> &'static str {
        self.1
    }

    fn sign(&mut self, hash: SignatureHash, bodies: &[&[u8]]) -> Outputs {
        let _all = Helpers::take(usize::MAX);
        self.0.sign(hash, bodies)
    }
}
