//! The type that every secret lives in.
//!
//! [`SecretBytes`] is wiped when dropped, kept out of swap where the system allows it, prints only its
//! length, and can be neither cloned nor serialised. [`SecretBytes::expose`] is the one way to the bytes,
//! so that every use can be found by its name.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// Bytes that must not leak: wiped on drop, locked in memory where the system allows.
///
/// # Security
/// Its size is fixed when it is made, so that no copy is left behind by a growing buffer. Comparison takes
/// the same time wherever the bytes differ (their length is not secret).
pub struct SecretBytes {
    buffer: Buffer,
    length: usize,
}

impl SecretBytes {
    /// `length` zero bytes, filled in place by `fill`.
    ///
    /// # Errors
    /// What `fill` returns; the buffer is wiped then.
    pub fn try_init<E>(length: usize, fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut secret = Self::zeroed(length);
        fill(secret.bytes_mut())?;
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
        secret.bytes_mut().copy_from_slice(bytes);
        secret
    }

    /// Takes the bytes of a vector over and wipes the vector, its spare capacity included.
    #[must_use]
    pub fn take(mut bytes: Vec<u8>) -> Self {
        let secret = Self::copy_of(&bytes);
        bytes.zeroize();
        secret
    }

    /// The first `length` bytes, in the same memory; all of them if there are fewer. The others are wiped.
    #[must_use]
    pub fn shortened(mut self, length: usize) -> Self {
        if let Some(rest) = self.bytes_mut().get_mut(length..) {
            rest.zeroize();
            self.length = length;
        }
        self
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.buffer.bytes.get(..self.length).unwrap_or_default()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.buffer.bytes.get_mut(..self.length).unwrap_or_default()
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn zeroed(length: usize) -> Self {
        Self { buffer: Buffer::with_room_for(length), length }
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.bytes_mut().zeroize();
        std::mem::take(&mut self.buffer).keep();
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes({} bytes)", self.length)
    }
}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

impl Eq for SecretBytes {}

/// A password or PIN, as UTF-8 text, in the memory of a [`SecretBytes`].
pub struct Password(SecretBytes);

impl Password {
    /// Takes the text over and wipes it.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(SecretBytes::take(text.into_bytes()))
    }

    /// A copy of the text; wipe the original.
    #[must_use]
    pub fn copy_of(text: &str) -> Self {
        Self(SecretBytes::copy_of(text.as_bytes()))
    }

    /// The password itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        // Both ways in take text, so it is never empty for want of it.
        std::str::from_utf8(self.0.expose()).unwrap_or_default()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// Memory for one secret. What is longer than the secret is zero.
#[derive(Default)]
struct Buffer {
    bytes: Box<[u8]>,
    locked: bool,
}

/// Sizes of buffers, in bytes, and how many wiped ones of each are kept at the most. A batch of licences needs hundreds of small
/// secrets; to lock and unlock their pages each time takes longer than all else that is done to them.
const KEPT: [(usize, usize); 2] = [(64, 512), (512, 256)];
static WIPED: [Mutex<Vec<Buffer>>; 2] = [const { Mutex::new(Vec::new()) }; 2];

impl Buffer {
    /// Zero bytes, `length` of them or more. A wiped buffer is taken where there is one: its pages are locked already.
    fn with_room_for(length: usize) -> Self {
        let class = KEPT.iter().zip(&WIPED).find(|((size, _), _)| length <= *size);
        let kept = class.and_then(|(_, wiped)| wiped.lock().unwrap_or_else(PoisonError::into_inner).pop());
        kept.unwrap_or_else(|| {
            let bytes = vec![0_u8; class.map_or(length, |((size, _), _)| *size)].into_boxed_slice();
            let locked = LockedPages::acquire(&bytes);
            Self { bytes, locked }
        })
    }

    /// Takes a wiped buffer back for the next secret, if it is worth that.
    fn keep(self) {
        let class = KEPT.iter().zip(&WIPED).find(|((size, _), _)| self.bytes.len() == *size);
        let Some(((_, most), wiped)) = class.filter(|_| self.locked) else { return };
        let mut wiped = wiped.lock().unwrap_or_else(PoisonError::into_inner);
        if wiped.len() < *most {
            wiped.push(self);
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.locked {
            LockedPages::release(&self.bytes);
        }
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
    fn a_password_is_locked_as_every_secret() {
        let password = Password::new("Sample Pa$$w0rd é".into());
        assert_eq!((password.expose(), Password::copy_of("é").expose()), ("Sample Pa$$w0rd é", "é"));
        assert_eq!(password.0.buffer.locked, SecretBytes::copy_of(b"any").buffer.locked);
    }

    #[test]
    fn secrets_that_share_a_page_stay_locked_until_the_last_goes() {
        let mut all: Vec<_> = (0..200).map(|n| SecretBytes::copy_of(&[n; 40])).collect();
        if !all.iter().all(|secret| secret.buffer.locked) {
            println!("skipped: this system locks no memory for us");
            return;
        }
        let is_locked = |secret: &SecretBytes| {
            let table = PAGES.lock().unwrap();
            pages(&secret.buffer.bytes).all(|page| table.as_ref().unwrap().contains_key(&page))
        };
        let distinct: std::collections::HashSet<usize> = all.iter().flat_map(|secret| pages(&secret.buffer.bytes)).collect();
        assert!(distinct.len() < all.len(), "40-byte secrets share pages");
        for _ in 0..199 {
            all.remove(0);
            assert!(all.iter().all(is_locked));
        }
    }

    #[test]
    fn a_buffer_is_clean_when_the_next_secret_gets_it() {
        for length in [1, 63, 64, 65, 512, 513, 5000] {
            let secrets: Vec<_> = (0..20).map(|_| SecretBytes::copy_of(&vec![0xa5; length])).collect();
            assert!(secrets.iter().all(|secret| secret.len() == length && secret.expose().iter().all(|byte| *byte == 0xa5)));
            drop(secrets);
            let next: Vec<_> = (0..20).map(|_| Buffer::with_room_for(length)).collect();
            assert!(next.iter().all(|buffer| buffer.bytes.len() >= length && buffer.bytes.iter().all(|byte| *byte == 0)));
        }
    }

    #[test]
    fn no_more_buffers_are_kept_than_promised() {
        let secrets: Vec<_> = (0..2000).map(|_| SecretBytes::copy_of(&[1; 40])).collect();
        drop(secrets);
        for ((_, most), wiped) in KEPT.iter().zip(&WIPED) {
            assert!(wiped.lock().unwrap().len() <= *most);
        }
    }

    #[test]
    fn what_a_secret_was_shortened_by_is_wiped() {
        let short = SecretBytes::copy_of(b"0123456789").shortened(4);
        assert_eq!((short.expose(), short.len()), (&b"0123"[..], 4));
        assert!(short.buffer.bytes[4..].iter().all(|byte| *byte == 0));
        assert_eq!(SecretBytes::copy_of(b"01").shortened(4).expose(), b"01");
    }

    #[test]
    fn equality_is_of_content() {
        assert_eq!(SecretBytes::copy_of(b"a"), SecretBytes::take(b"a".to_vec()));
        assert_ne!(SecretBytes::copy_of(b"a"), SecretBytes::copy_of(b"ab"));
    }
}
