//! Tables in the documentation that a test makes: they say what was measured, or the test fails.

use std::path::Path;
use std::{env, fs};

/// Set this to have the tables written instead of compared.
const WRITE: &str = "KEYKIT_WRITE_DOCUMENTATION";

/// Compares the section between `<!-- begin: NAME -->` and `<!-- end: NAME -->` of a file of the project with this text.
///
/// # Panics
/// If they differ, or there is no such section.
pub fn check_section(file: &str, name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    let whole = fs::read_to_string(&path).expect("the file of the documentation");
    let (begin, end) = (format!("<!-- begin: {name} -->\n"), format!("<!-- end: {name} -->"));
    let (before, rest) = whole.split_once(&begin).expect("the begin of the section");
    let (found, after) = rest.split_once(&end).expect("the end of the section");
    if env::var_os(WRITE).is_some() {
        fs::write(&path, format!("{before}{begin}{text}{end}{after}")).expect("the file is written");
        return;
    }
    assert!(found == text, "{file}, section {name}, is not what was measured; set {WRITE}=1 and look at the difference:\n{text}");
}
