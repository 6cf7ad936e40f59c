//! The type that every secret lives in.
//!
//! [`SecretBytes`] is wiped when dropped, kept out of swap where the system allows it, prints only its
//! length, and can be neither cloned nor serialised. [`SecretBytes::expose`] is the one way to the bytes,
//! so that every use can be found by its name.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// Bytes that must not leak: wiped on drop, locked in memory where the system allows.
///
/// # Security
/// Its size is fixed when it is made, so that no copy is left behind by a growing buffer. Comparison takes
/// the same time wherever the bytes differ (their length is not secret).
pub struct SecretBytes {
    bytes: Box<[u8]>,
    locked: bool,
}

impl SecretBytes {
    /// `length` zero bytes, filled in place by `fill`.
    ///
    /// # Errors
    /// What `fill` returns; the buffer is wiped then.
    pub fn try_init<E>(length: usize, fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut secret = Self::zeroed(length);
        fill(&mut secret.bytes)?;
        Ok(secret)
    }

    /// `length` random bytes from the operating system.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the system has no randomness to give.
    pub fn random(length: usize) -> crate::Result<Self> {
        Self::try_init(length, |bytes| getrandom::fill(bytes).map_err(|error| crate::Error::Internal(format!("no randomness: {error}"))))
    }

    /// A copy of `bytes`; wipe the original.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut secret = Self::zeroed(bytes.len());
        secret.bytes.copy_from_slice(bytes);
        secret
    }

    /// Takes the bytes of a vector over and wipes the vector, its spare capacity included.
    #[must_use]
    pub fn take(mut bytes: Vec<u8>) -> Self {
        let secret = Self::copy_of(&bytes);
        bytes.zeroize();
        secret
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn zeroed(length: usize) -> Self {
        let bytes = vec![0_u8; length].into_boxed_slice();
        let locked = LockedPages::acquire(&bytes);
        Self { bytes, locked }
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.bytes.zeroize();
        if self.locked {
            LockedPages::release(&self.bytes);
        }
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes({} bytes)", self.bytes.len())
    }
}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        self.bytes.ct_eq(&other.bytes).into()
    }
}

impl Eq for SecretBytes {}

/// A password or PIN, as UTF-8 text.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The password itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// The pages that hold secrets, with a count each: locks are per page, and secrets share pages.
struct LockedPages;

type PageTable = Option<HashMap<usize, (region::LockGuard, usize)>>;
static PAGES: Mutex<PageTable> = Mutex::new(None);

impl LockedPages {
    /// Locks the pages of `bytes`; `false` if the system does not allow it (RLIMIT_MEMLOCK) or there are none.
    fn acquire(bytes: &[u8]) -> bool {
        let mut guard = PAGES.lock().unwrap_or_else(PoisonError::into_inner);
        let table = guard.get_or_insert_default();
        let mut held = Vec::new();
        for page in pages(bytes) {
            if let Some((_, count)) = table.get_mut(&page) {
                *count += 1;
            } else if let Ok(lock) = region::lock(page as *const u8, 1) {
                table.insert(page, (lock, 1));
            } else {
                held.into_iter().for_each(|page| Self::release_page(table, page));
                return false;
            }
            held.push(page);
        }
        !held.is_empty()
    }

    fn release(bytes: &[u8]) {
        let mut guard = PAGES.lock().unwrap_or_else(PoisonError::into_inner);
        let table = guard.get_or_insert_default();
        pages(bytes).for_each(|page| Self::release_page(table, page));
    }

    fn release_page(table: &mut HashMap<usize, (region::LockGuard, usize)>, page: usize) {
        if let Some((_, count)) = table.get_mut(&page) {
            *count -= 1;
            if *count == 0 {
                table.remove(&page);
            }
        }
    }
}

fn pages(bytes: &[u8]) -> impl Iterator<Item = usize> + use<> {
    let size = region::page::size();
    let start = bytes.as_ptr().addr();
    let end = start + bytes.len();
    (start / size * size..end).step_by(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_length_only() {
        assert_eq!(format!("{:?}", SecretBytes::copy_of(b"hunter2")), "SecretBytes(7 bytes)");
        assert_eq!(format!("{:?}", Password::new("hunter2".into())), "Password");
    }

    #[test]
    fn secrets_that_share_a_page_stay_locked_until_the_last_goes() {
        let mut all: Vec<_> = (0..200).map(|n| SecretBytes::copy_of(&[n; 40])).collect();
        if !all.iter().all(|secret| secret.locked) {
            println!("skipped: this system locks no memory for us");
            return;
        }
        let is_locked = |secret: &SecretBytes| {
            let table = PAGES.lock().unwrap();
            pages(&secret.bytes).all(|page| table.as_ref().unwrap().contains_key(&page))
        };
        let distinct: std::collections::HashSet<usize> = all.iter().flat_map(|secret| pages(&secret.bytes)).collect();
        assert!(distinct.len() < all.len(), "40-byte secrets share pages");
        for _ in 0..199 {
            all.remove(0);
            assert!(all.iter().all(is_locked));
        }
    }

    #[test]
    fn equality_is_of_content() {
        assert_eq!(SecretBytes::copy_of(b"a"), SecretBytes::take(b"a".to_vec()));
        assert_ne!(SecretBytes::copy_of(b"a"), SecretBytes::copy_of(b"ab"));
    }
}
