//! A part of a share that is too large to go through, and what the part says of the whole.
//!
//! Every file has the same chance to be in the sample. A sample can never show that nothing is lost; it gives a bound.

use std::collections::BinaryHeap;

use keykit::bulk::{FileInput, Files};
use keykit::{Error, Result};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// The confidence of [`UpperBound`].
pub const CONFIDENCE: f64 = 0.95;
/// Halvings of the interval in which the bound lies: more than the digits of a double.
const HALVINGS: usize = 60;

/// Which files are in the sample: those whose names have the smallest keyed digests.
///
/// The choice depends on nothing but the seed and the names, so a run that was killed goes on with the same sample, and an
/// auditor can name the seed.
#[derive(Debug, Clone)]
pub struct Sample {
    seed: String,
    /// The largest digest in the sample.
    threshold: u128,
    /// Files in the sample.
    pub size: u64,
    /// Files in all.
    pub population: u64,
}

impl Sample {
    /// Chooses `size` of `files` at random, as the seed says. Memory is 16 bytes for each file of the sample.
    ///
    /// # Errors
    /// [`Error::Usage`] for a sample of nothing; what the walk says.
    pub fn choose(files: Files, size: usize, seed: &str) -> Result<Self> {
        if size == 0 {
            return Err(Error::usage("a sample of no files proves nothing"));
        }
        let mut smallest = BinaryHeap::new();
        let mut population = 0;
        for file in files {
            population += 1;
            smallest.push(draw(seed, &file?.id));
            if smallest.len() > size {
                smallest.pop();
            }
        }
        Ok(Self { seed: seed.to_owned(), threshold: smallest.peek().copied().unwrap_or(0), size: smallest.len() as u64, population })
    }

    /// Whether a file is in the sample.
    #[must_use]
    pub fn holds(&self, file: &FileInput) -> bool {
        draw(&self.seed, &file.id) <= self.threshold
    }

    /// What so many bad files in the sample say of the whole.
    #[must_use]
    pub fn upper_bound(&self, bad: u64) -> UpperBound {
        let share = if self.size >= self.population { ratio(bad, self.population) } else { share_at_most(bad, self.size) };
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count, rounded up")]
        let files = (share * self.population as f64).ceil() as u64;
        UpperBound { sampled: self.size, bad, population: self.population, confidence: CONFIDENCE, share, files: files.min(self.population) }
    }
}

/// What a sample says of the whole share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct UpperBound {
    /// Files that were looked at.
    pub sampled: u64,
    /// Those that are lost or unknown.
    pub bad: u64,
    /// Files in all.
    pub population: u64,
    /// How sure the bound is: in this share of all samples it holds.
    pub confidence: f64,
    /// At most this share of all files is lost or unknown.
    pub share: f64,
    /// The same as a number of files, rounded up.
    pub files: u64,
}

/// The largest share under which `bad` or fewer bad files in a sample of `size` are still as likely as 1 - [`CONFIDENCE`]
/// (Clopper and Pearson's bound, one-sided). It is meant for draws with replacement: without, the truth is better still.
fn share_at_most(bad: u64, size: u64) -> f64 {
    if bad >= size {
        return 1.0;
    }
    let (mut low, mut high) = (ratio(bad, size), 1.0);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if chance_of_at_most(bad, size, middle) > 1.0 - CONFIDENCE {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The chance of at most `bad` bad files among `size`, if each is bad with chance `share`: the binomial distribution, summed in
/// logarithms, as its terms are too small for doubles.
fn chance_of_at_most(bad: u64, size: u64, share: f64) -> f64 {
    if share >= 1.0 {
        return 0.0;
    }
    let odds = share.ln() - (-share).ln_1p();
    #[expect(clippy::cast_precision_loss, reason = "counts of files")]
    let (mut term, size) = (size as f64 * (-share).ln_1p(), size as f64);
    let mut terms = vec![term];
    for count in 0..bad {
        #[expect(clippy::cast_precision_loss, reason = "counts of files")]
        let count = count as f64;
        term += ((size - count) / (count + 1.0)).ln() + odds;
        terms.push(term);
    }
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (largest + terms.iter().map(|term| (term - largest).exp()).sum::<f64>().ln()).exp().min(1.0)
}

fn ratio(part: u64, whole: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of files")]
    let (part, whole) = (part as f64, whole as f64);
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn draw(seed: &str, id: &str) -> u128 {
    let mut hasher = Sha256::new();
    hasher.update((seed.len() as u64).to_be_bytes());
    hasher.update(seed);
    hasher.update(id);
    hasher.finalize().first_chunk().map_or(0, |start| u128::from_be_bytes(*start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_clopper_and_pearson() {
        // None bad: 1 - 0.05^(1/n) in closed form; all but one bad: 0.95^(1/n).
        for size in [1_u64, 10, 59, 300, 1_000_000] {
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let inverse = 1.0 / size as f64;
            let expected = 1.0 - 0.05_f64.powf(inverse);
            assert!((share_at_most(0, size) - expected).abs() < 1e-9, "{size}");
            if size > 1 {
                assert!((share_at_most(size - 1, size) - 0.95_f64.powf(inverse)).abs() < 1e-6 || size > 1000, "{size}");
            }
        }
        // Published: 59 of 59 good show 95 %, and 3 of 100 bad show at most 7.57 % (one-sided).
        assert!(share_at_most(0, 59) < 0.05 && share_at_most(0, 58) > 0.05);
        assert!((share_at_most(3, 100) - 0.0757).abs() < 0.0001, "{}", share_at_most(3, 100));
        assert!((share_at_most(5, 5) - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_sample_is_of_its_size_repeatable_and_fair() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..200 {
            std::fs::write(folder.path().join(format!("{number}")), "x").unwrap();
        }
        let walk = || Files::walk(&[folder.path().to_owned()]).unwrap();
        let chosen = |seed: &str, size: usize| -> Vec<String> {
            let sample = Sample::choose(walk(), size, seed).unwrap();
            assert_eq!((sample.size, sample.population), (size.min(200) as u64, 200));
            walk().map(Result::unwrap).filter(|file| sample.holds(file)).map(|file| file.id).collect()
        };
        assert_eq!(chosen("a", 50), chosen("a", 50));
        assert_eq!(chosen("a", 50).len(), 50);
        assert_ne!(chosen("a", 50), chosen("b", 50));
        assert_eq!(chosen("a", 1000).len(), 200);
        // Every file is in about a quarter of the samples.
        let mut hits = std::collections::BTreeMap::<String, u32>::new();
        for seed in 0..200 {
            for id in chosen(&seed.to_string(), 50) {
                *hits.entry(id).or_default() += 1;
            }
        }
        assert_eq!(hits.len(), 200);
        assert!(hits.values().all(|count| (20..=85).contains(count)), "{hits:?}");
        assert!(Sample::choose(walk(), 0, "a").is_err());
    }

    #[test]
    fn the_bound_of_everything_is_exact() {
        let all = Sample { seed: String::new(), threshold: u128::MAX, size: 40, population: 40 };
        let bound = all.upper_bound(4);
        assert!((bound.share - 0.1).abs() < 1e-12 && bound.files == 4);
        let part = Sample { size: 59, population: 10_000, ..all };
        assert_eq!(part.upper_bound(0).files, 496);
    }
}
