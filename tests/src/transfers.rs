//! Key encryption keys and sources for tests of transfers, and OpenSSL as the judge.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use keykit::key::{Hash, RsaPublicKey, RsaSecretKey};
use keykit::store::{ExportPlaintext as _, Generate as _, KeyRequest, Transferability};
use keykit::transfer::{ConfirmedKey, OfferedKey, TransferProfile};
use keykit_hsm_backends::memory::MemoryStore;

/// A URL for key encryption keys at Azure.
pub const KID: &str = "https://contoso.vault.azure.net/keys/KEKforBYOK/0123456789abcdef0123456789abcdef";

/// A key in memory: the store, its public half, and a copy.
#[derive(Debug)]
pub struct KeyInMemory {
    /// The store that holds it, and nothing else at first.
    pub store: MemoryStore,
    /// The public half.
    pub public: RsaPublicKey,
    /// The key itself.
    pub secret: RsaSecretKey,
}

impl KeyInMemory {
    /// A new key that may be wrapped out.
    ///
    /// # Errors
    /// What the store says.
    pub fn make(bits: usize) -> keykit::Result<Self> {
        let store = MemoryStore::new();
        let request = KeyRequest { transferability: Transferability::Wrapped, ..KeyRequest::labelled("made for a test") };
        let public = store.generate(bits, &request)?.public;
        let secret = store.export_plaintext_danger(&public.id())?;
        Ok(Self { store, public, secret })
    }
}

/// A key encryption key of this size (2048, 3072 or 4096 bits), made once.
///
/// # Panics
/// For another size.
#[must_use]
pub fn kek(bits: usize) -> &'static KeyInMemory {
    static KEYS: [OnceLock<KeyInMemory>; 3] = [const { OnceLock::new() }; 3];
    let slot = KEYS.get((bits / 1024).wrapping_sub(2)).expect("2048, 3072 or 4096 bits");
    slot.get_or_init(|| KeyInMemory::make(bits).expect("a new key"))
}

/// All profiles that keykit brings.
///
/// # Panics
/// If they cannot be read.
#[must_use]
pub fn profiles() -> Vec<TransferProfile> {
    TransferProfile::built_in().expect("the built-in profiles")
}

/// The profile with this name.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn profile(name: &str) -> TransferProfile {
    TransferProfile::named(profiles(), name).expect("a profile")
}

/// A key encryption key as it would come in a file, confirmed.
///
/// # Errors
/// What its checks say.
pub fn confirmed(public: &RsaPublicKey, profile: &TransferProfile) -> keykit::Result<ConfirmedKey> {
    let offered = OfferedKey::parse(public.to_pem().as_bytes(), None)?;
    offered.confirm(Some(&public.id().to_string()), profile, jiff::Timestamp::now())
}

/// OpenSSL's command line in a folder of its own.
#[derive(Debug)]
pub struct OpenSsl {
    folder: tempfile::TempDir,
}

impl OpenSsl {
    /// `None` if it is not installed.
    ///
    /// # Panics
    /// If there is no temporary folder.
    #[must_use]
    pub fn find() -> Option<Self> {
        let runs = Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
        runs.then(|| Self { folder: tempfile::tempdir().expect("a temporary folder") })
    }

    /// A file in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).expect("a file");
    }

    /// Runs a command, whose arguments are split at blanks, and gives its standard output.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn run(&self, arguments: &str) -> Vec<u8> {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(self.folder.path()).output().expect("openssl");
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Opens a blob: `pkeyutl` for OAEP, `enc -id-aes256-wrap-pad` for RFC 5649. Gives the PKCS#8.
    ///
    /// # Panics
    /// If OpenSSL does not open it.
    #[must_use]
    pub fn unwrap(&self, blob: &[u8], kek: &RsaSecretKey, hash: Hash) -> Vec<u8> {
        self.write("kek.pem", kek.to_pkcs1_pem().expect("PEM").expose());
        let (sealed, wrapped) = blob.split_at(kek.public().modulus_bytes());
        self.write("sealed.bin", sealed);
        self.write("wrapped.bin", wrapped);
        let aes = self.run(&format!("pkeyutl -decrypt -inkey kek.pem -in sealed.bin {}", oaep(hash)));
        assert_eq!(aes.len(), 32, "an AES-256 key");
        self.run(&format!("enc -d -id-aes256-wrap-pad -iv A65959A6 -K {} -in wrapped.bin", hex(&aes)))
    }

    /// Makes a blob around a PKCS#8.
    ///
    /// # Panics
    /// If OpenSSL fails.
    #[must_use]
    pub fn wrap(&self, pkcs8: &[u8], kek: &RsaPublicKey, hash: Hash) -> Vec<u8> {
        self.write("kek-public.pem", kek.to_pem().as_bytes());
        self.write("key.p8", pkcs8);
        let aes = self.run("rand 32");
        self.write("aes.bin", &aes);
        let mut blob = self.run(&format!("pkeyutl -encrypt -pubin -inkey kek-public.pem -in aes.bin {}", oaep(hash)));
        blob.extend(self.run(&format!("enc -id-aes256-wrap-pad -iv A65959A6 -K {} -in key.p8", hex(&aes))));
        blob
    }
}

fn oaep(hash: Hash) -> String {
    let name = hash.to_string().replace('-', "").to_lowercase();
    format!("-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:{name} -pkeyopt rsa_mgf1_md:{name}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A new RSA key pair in a token whose private half may unwrap, made by `pkcs11-tool`.
///
/// # Panics
/// If `pkcs11-tool` fails.
pub fn make_unwrapping_key(module: &Path, token: &str, pin: &str, label: &str, bits: usize) {
    let kind = format!("rsa:{bits}");
    let mut command = Command::new("pkcs11-tool");
    command.arg("--module").arg(module).args(["--token-label", token, "--login", "--pin", pin]);
    command.args(["--keypairgen", "--key-type", &kind, "--usage-wrap", "--usage-decrypt", "--id", "77", "--label", label]);
    let output = command.output().expect("pkcs11-tool of OpenSC");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
