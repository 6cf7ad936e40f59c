//! Several files at once: a migration takes every domain of every cluster (rule 43).

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::secret::Password;

use super::TrustedPublishingDomain;

/// Opens several files, in order, with one password for all or one for each, in the same order.
///
/// # Errors
/// [`Error::Usage`] if the passwords are neither one nor as many as the files; the error of the first file that does
/// not open, as [`TrustedPublishingDomain::open`] returns it, naming the file.
pub fn open_all(files: &[(PathBuf, Vec<u8>)], passwords: &[Password]) -> Result<Vec<TrustedPublishingDomain>> {
    if passwords.is_empty() || (passwords.len() != 1 && passwords.len() != files.len()) {
        return Err(Error::usage(format!("{} passwords for {} trusted publishing domains", passwords.len(), files.len()))
            .with_hint("give one password for all files, or one for each file in the order of the files"));
    }
    files
        .iter()
        .zip(passwords.iter().cycle())
        .enumerate()
        .map(|(index, ((path, bytes), password))| {
            TrustedPublishingDomain::open(bytes, password).map_err(|error| name_file(error, path, bytes, passwords, index))
        })
        .collect()
}

fn name_file(error: Error, path: &Path, bytes: &[u8], passwords: &[Password], index: usize) -> Error {
    let Error::WrongPassword { hint, .. } = error else { return error.in_file(path) };
    // Passwords in the wrong order are the likeliest mistake. Naming the right one gives nothing away: the caller has it.
    let fitting = passwords.iter().position(|password| !matches!(TrustedPublishingDomain::open(bytes, password), Err(Error::WrongPassword { .. })));
    let hint = match fitting {
        Some(fitting) => {
            format!("password {} was used, but password {} opens this file: give the passwords in the order of the files", index + 1, fitting + 1)
        }
        None => hint,
    };
    Error::WrongPassword { what: path.display().to_string(), hint }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{V1, V2, domain, password};
    use super::*;

    fn passwords(texts: &[&str]) -> Vec<Password> {
        texts.iter().map(|text| Password::new((*text).into())).collect()
    }

    fn files() -> Vec<(PathBuf, Vec<u8>)> {
        let seal = |text| domain().seal(&Password::new(text)).unwrap();
        vec![("a.xml".into(), seal("A".into())), ("b.xml".into(), seal("B".into()))]
    }

    #[test]
    fn one_password_serves_all() {
        let files = [("v2.xml".into(), V2.to_vec()), ("v1.xml".into(), V1.to_vec())];
        let all = open_all(&files, &[password()]).unwrap();
        assert_eq!(all.len(), 2);
        assert_ne!(all[0].derivation(), all[1].derivation());
        assert!(open_all(&[], &[password()]).unwrap().is_empty());
    }

    #[test]
    fn each_file_has_its_password_in_order() {
        assert_eq!(open_all(&files(), &passwords(&["A", "B"])).unwrap().len(), 2);
        let Err(Error::WrongPassword { what, hint }) = open_all(&files(), &passwords(&["B", "A"])) else { panic!() };
        assert_eq!(what, "a.xml");
        assert_eq!(hint, "password 1 was used, but password 2 opens this file: give the passwords in the order of the files");
        let Err(Error::WrongPassword { what, hint }) = open_all(&files(), &passwords(&["A", "C"])) else { panic!() };
        assert_eq!(what, "b.xml");
        assert!(hint.contains("rule 57"), "{hint}");
    }

    #[test]
    fn other_counts_are_refused() {
        for texts in [&[][..], &["A", "B", "C"]] {
            assert_eq!(open_all(&files(), &passwords(texts)).unwrap_err().code(), "usage");
        }
        assert_eq!(open_all(&[], &passwords(&["A", "B"])).unwrap_err().code(), "usage");
    }

    #[test]
    fn damage_names_the_file() {
        let mut files = files();
        files[1].1.truncate(300);
        let error = open_all(&files, &passwords(&["A", "B"])).unwrap_err();
        assert!(error.to_string().starts_with("b.xml: not a sound trusted publishing domain: "), "{error}");
    }
}
