//! Wycheproof and the store contract, on two independent tokens.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use keykit::secret::Password;
use keykit_hsm_backends::pkcs11::{Pkcs11Options, Pkcs11Store, Pkcs11Uri};
use keykit_tests::conformance::report::table;
use keykit_tests::conformance::wycheproof::{self, Deviation, EMPTY_UNWRAPS, ZERO_PADDING};
use keykit_tests::conformance::{Options, Report, Wrapped, run_all};
use keykit_tests::kryoptic::on_kryoptic;
use keykit_tests::softhsm::on_softhsm;
use keykit_tests::{kryoptic, softhsm};

/// Keys above this are slow on tokens.
const OPTIONS: Options = Options { max_modulus_bits: 2048, contract_modulus_bits: 2048 };

/// `key_wrap` is the number under which the token has RFC 5649.
fn conforms(module: &Path, pin: &str, key_wrap: u64, deviations: &[Deviation]) {
    let uri = Pkcs11Uri { token: Some("conformance".into()), module_path: Some(module.into()), ..Pkcs11Uri::default() };
    let store = Pkcs11Store::open(&uri, Some(Password::new(pin.into())), Pkcs11Options::default()).unwrap();
    let mut reports = run_all(&store, &Wrapped::default(), &OPTIONS);
    reports.extend([wycheproof::key_wrap_in_token(&store, deviations), wycheproof::key_wrap_with_padding_in_token(&store, key_wrap, deviations)]);
    println!("{}", table(&reports));
    assert!(reports.iter().all(Report::is_success), "{}", table(&reports));
}

#[test]
fn softhsm_conforms() {
    on_softhsm("softhsm_conforms", &["conformance"], |module| conforms(module, softhsm::PIN, 0x210A, &[ZERO_PADDING]));
}

#[test]
fn kryoptic_conforms() {
    on_kryoptic("kryoptic_conforms", &["conformance"], |module| conforms(module, kryoptic::PIN, 0x210B, &[EMPTY_UNWRAPS]));
}
