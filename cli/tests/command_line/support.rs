//! A folder, the program, and sample clusters.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use keykit::key::RsaSecretKey;
use keykit::secret::Password;
use keykit::store::{KeyRequest, KeyStore, Transferability};
use keykit::tpd::KeyDerivation;
use keykit_hsm_backends::memory::MemoryStore;
use keykit_tests::samples::SampleCluster;
use serde_json::Value;

use crate::schemas;

/// Password of the sample domains: blanks, a dollar sign, and a letter that is two bytes in UTF-8.
pub(crate) const PASSWORD: &str = "Sample Pa$$w0rd é";

/// A cluster whose key is in software.
pub(crate) struct Sample {
    pub(crate) cluster: SampleCluster,
    pub(crate) key: RsaSecretKey,
    pub(crate) domain: Vec<u8>,
}

impl Sample {
    pub(crate) fn make(name: &str, bits: usize, derivation: KeyDerivation) -> Self {
        let store = MemoryStore::new();
        let request = KeyRequest { label: name.into(), local_id: None, transferability: Transferability::Wrapped };
        let public = store.as_generate().unwrap().generate(bits, &request).unwrap().public;
        let export = || store.as_export_plaintext().unwrap().export_plaintext_danger(&public.id()).unwrap();
        let cluster = SampleCluster::around(&store, &public, name).unwrap();
        let domain = cluster.domain(Some(export()), derivation).unwrap().seal(&Password::new(PASSWORD.into())).unwrap();
        Self { cluster, key: export(), domain }
    }
}

/// A cluster of mode 2, made once.
pub(crate) fn contoso() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    SAMPLE.get_or_init(|| Sample::make("contoso", 2048, KeyDerivation::Sha256))
}

/// Another cluster of mode 2.
pub(crate) fn fabrikam() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    SAMPLE.get_or_init(|| Sample::make("fabrikam", 2048, KeyDerivation::Sha256))
}

/// A cluster of mode 1, exported in the old way.
pub(crate) fn woodgrove() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    SAMPLE.get_or_init(|| Sample::make("woodgrove", 1024, KeyDerivation::Pbkdf1Sha1))
}

/// A private folder in which the program runs.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    /// A folder with the sample domains, a licence of each, and the passwords.
    pub(crate) fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        desk.write("password", format!("{PASSWORD}\n"));
        desk.write("keyring-password", "keyring password\n");
        for (name, sample) in [("contoso", contoso()), ("fabrikam", fabrikam()), ("woodgrove", woodgrove())] {
            desk.write(&format!("{name}.xml"), &sample.domain);
            desk.write(&format!("{name}.pfile"), &sample.cluster.licences[0].pfile);
        }
        for secret in ["password", "keyring-password"] {
            desk.make_private(secret);
        }
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn make_private(&self, name: &str) {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Runs the program in the folder; arguments are split at blanks.
    pub(crate) fn run(&self, arguments: &str) -> Ran {
        self.run_with(&arguments.split_whitespace().collect::<Vec<_>>())
    }

    pub(crate) fn run_with(&self, arguments: &[&str]) -> Ran {
        self.finish(Command::new(env!("CARGO_BIN_EXE_keykit")).args(arguments))
    }

    /// Runs the program under a shell that limits the size of files it may write, in blocks of 512 bytes.
    pub(crate) fn run_limited(&self, blocks: u32, arguments: &str) -> Ran {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec {} {arguments}", env!("CARGO_BIN_EXE_keykit"));
        self.finish(Command::new("sh").arg("-c").arg(script))
    }

    pub(crate) fn finish(&self, command: &mut Command) -> Ran {
        let ran = Ran(self.at_home(command).stdin(Stdio::null()).output().unwrap());
        schemas::check(&ran.0.stdout);
        ran
    }

    /// The folder and the environment of the program.
    pub(crate) fn at_home<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .current_dir(self.folder.path())
            .env_remove("KEYKIT_PIN_SOURCE")
            .env("KEYKIT_KEYRING_PASSWORD_SOURCE", "file:keyring-password")
            // scrypt at a cost for tests.
            .env("KEYKIT_TEST_SCRYPT_LOG_N", "12")
    }

    /// Every file below the folder with its content.
    pub(crate) fn snapshot(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        collect(self.folder.path(), &mut files);
        files.sort();
        files
    }
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
}

/// What a run gave.
pub(crate) struct Ran(pub(crate) Output);

impl Ran {
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// Checks the exit code and gives the run back.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.0.status.code(), Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout(), self.stderr());
        self
    }

    /// The JSON object on standard output, of this schema.
    #[track_caller]
    pub(crate) fn json(&self, schema: &str) -> Value {
        let value: Value = serde_json::from_slice(&self.0.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout()));
        assert_eq!(value["schema"], format!("keykit/{schema}/1"));
        value
    }

    /// Checks that standard error says something.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr().contains(text), "'{text}' is not in:\n{}", self.stderr());
        self
    }
}
