//! What a migration file is, where its problems are, and that nothing makes the reader panic.

use super::*;

#[test]
fn the_example_is_sound() {
    let file = MigrationFile::examine(EXAMPLE).unwrap();
    assert_eq!(file.domains().count(), 2);
    let written = file.to_toml().unwrap();
    assert_eq!(MigrationFile::examine(&written).unwrap_or_else(|problems| panic!("{problems:?}\n{written}")), file);
}
