//! No text makes the reader of migration files or a rule panic, and what is read comes back from its own text.
#![no_main]

use keykit::migration::file::MigrationFile;
use keykit::migration::rules::examine;
use keykit::migration::rules::facts::Facts;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(file) = MigrationFile::examine(text) {
        let _ = examine(&Facts::of_file(&file));
        let written = file.to_toml().expect("what was read can be written");
        assert_eq!(MigrationFile::examine(&written).expect("what was written can be read"), file);
    }
});
