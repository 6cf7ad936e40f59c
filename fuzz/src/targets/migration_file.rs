//! No text makes the reader of migration files or a rule panic, and what is read comes back from its own text.

use keykit::migration::file::MigrationFile;
use keykit::migration::rules::examine;
use keykit::migration::rules::facts::Facts;

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    if let Ok(file) = MigrationFile::examine(text) {
        drop(examine(&Facts::of_file(&file)));
        let written = file.to_toml().expect("what was read can be written");
        assert_eq!(MigrationFile::examine(&written).expect("what was written can be read"), file);
        return true;
    }
    false
}
