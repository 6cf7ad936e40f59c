//! Approvals and keys of custodians: no input panics, and what is read is written the same.

use keykit::ceremony::{Approval, CustodianKey, CustodianPublicKey, Statement};
use keykit::secret::Password;

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    let mut was_read = false;
    if let Ok(approval) = Approval::parse(data) {
        let again = Approval::parse(&approval.to_bytes().expect("what was read can be written")).expect("what was written can be read");
        assert_eq!(again, approval);
        was_read = true;
    }
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(statement) = Statement::parse(text) {
            assert_eq!(statement.to_text().expect("what was read can be written"), text);
            was_read = true;
        }
        if let Ok(key) = text.parse::<CustodianPublicKey>() {
            assert_eq!(key.to_string().parse::<CustodianPublicKey>().expect("what was written can be read"), key);
        }
        // Encrypted keys stop here: bcrypt would be all that is fuzzed.
        drop(CustodianKey::parse(text, || Err(keykit::Error::usage("no password")) as keykit::Result<Password>));
    }
    was_read
}
