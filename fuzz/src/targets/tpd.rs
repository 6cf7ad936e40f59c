//! No file and no decrypted part makes the reader of trusted publishing domains panic, and what it reads it can write.

use keykit::secret::Password;
use keykit::tpd::{TrustedPublishingDomain, is_trusted_publishing_domain};

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    let looks_like_one = is_trusted_publishing_domain(data);
    // The password of the synthetic files, so that a corpus of them reaches the inner layers.
    let password = Password::new("Synthetic-Pa$$w0rd-é".into());
    if let Ok(domain) = TrustedPublishingDomain::open(data, &password) {
        assert!(looks_like_one, "what opens is recognised too");
        let sealed = domain.seal(&password).expect("what was read can be written");
        let again = TrustedPublishingDomain::open(&sealed, &password).expect("what was written can be read");
        assert_eq!((domain.information, domain.chain, domain.templates), (again.information, again.chain, again.templates));
        return true;
    }
    false
}
