//! No file and no decrypted part makes the reader of trusted publishing domains panic, and what it reads it can write.
#![no_main]

use keykit::secret::Password;
use keykit::tpd::{TrustedPublishingDomain, is_trusted_publishing_domain};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = is_trusted_publishing_domain(data);
    // The password of the synthetic files, so that a corpus of them reaches the inner layers.
    let password = Password::new("Synthetic-Pa$$w0rd-é".into());
    if let Ok(domain) = TrustedPublishingDomain::open(data, &password) {
        let sealed = domain.seal(&password).expect("what was read can be written");
        let again = TrustedPublishingDomain::open(&sealed, &password).expect("what was written can be read");
        assert_eq!((domain.information, domain.chain, domain.templates), (again.information, again.chain, again.templates));
    }
});
