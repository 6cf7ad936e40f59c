//! The documentation as tests see it: its pages, and tables that a test makes: they say what was measured, or the test fails.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// Set this to have the tables written instead of compared.
const WRITE: &str = "KEYKIT_WRITE_DOCUMENTATION";

/// Whether tests are to write what they make instead of comparing it.
#[must_use]
pub fn is_written_anew() -> bool {
    env::var_os(WRITE).is_some()
}

/// The top folder of the project.
#[must_use]
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A page of the documentation.
#[derive(Debug)]
pub struct Page {
    /// Path from the top folder of the project, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// All pages: those of the book, and README.md, SECURITY.md, ARCHITECTURE.md and CONTRIBUTING.md.
///
/// # Panics
/// If one can't be read.
#[must_use]
pub fn pages() -> Vec<Page> {
    let folder = fs::read_dir(project().join("docs")).expect("the folder of the documentation");
    let mut paths: Vec<String> = folder
        .map(|entry| entry.expect("an entry of the folder").file_name().to_string_lossy().into_owned())
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "md"))
        .map(|name| format!("docs/{name}"))
        .collect();
    paths.extend(["README.md", "SECURITY.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(str::to_owned));
    paths.sort();
    paths.into_iter().map(|path| Page { text: fs::read_to_string(project().join(&path)).expect("a page"), path }).collect()
}

impl Page {
    /// The lines that are in fenced blocks (true) and those that are not, each with its number.
    pub fn lines(&self) -> impl Iterator<Item = (usize, bool, &str)> {
        let mut inside = false;
        self.text.lines().enumerate().filter_map(move |(number, line)| {
            if line.trim_start().starts_with("```") {
                inside = !inside;
                return None;
            }
            Some((number + 1, inside, line))
        })
    }
}

/// Compares the section between `<!-- begin: NAME -->` and `<!-- end: NAME -->` of a file of the project with this text.
///
/// # Panics
/// If they differ, or there is no such section.
pub fn check_section(file: &str, name: &str, text: &str) {
    let path = project().join(file);
    let whole = fs::read_to_string(&path).expect("the file of the documentation");
    let (begin, end) = (format!("<!-- begin: {name} -->\n"), format!("<!-- end: {name} -->"));
    let (before, rest) = whole.split_once(&begin).expect("the begin of the section");
    let (found, after) = rest.split_once(&end).expect("the end of the section");
    if is_written_anew() {
        fs::write(&path, format!("{before}{begin}{text}{end}{after}")).expect("the file is written");
        return;
    }
    assert!(found == text, "{file}, section {name}, is not what was measured; set {WRITE}=1 and look at the difference:\n{text}");
}
