//! Rates of rounds, made into figures that noise moves little: medians, and ratios paired by round.

/// Ratios of one engine to another, round by round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Paired {
    /// A quarter of the rounds lies at or below.
    pub(super) low: f64,
    pub(super) median: f64,
    /// A quarter of the rounds lies at or above.
    pub(super) high: f64,
}

/// The middle value; between the two middle values of an even number. `None` without any.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// The ratios `of[k] / to[k]`, which ran in the same round: what disturbs a whole round falls out. `None` unless both have the same
/// number of rounds, and one at least.
pub(super) fn paired(of: &[f64], to: &[f64]) -> Option<Paired> {
    if of.len() != to.len() {
        return None;
    }
    let ratios: Vec<f64> = of.iter().zip(to).map(|(of, to)| of / to).collect();
    Some(Paired { low: quantile(&ratios, 0.25)?, median: median(&ratios)?, high: quantile(&ratios, 0.75)? })
}

/// The value below which the share `at` (0 to 1) of the values lies, between neighbours in proportion.
fn quantile(values: &[f64], at: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut place = at * f64::from(u32::try_from(sorted.len().checked_sub(1)?).ok()?);
    let mut rest = sorted.iter();
    let mut lower = rest.next()?;
    while place >= 1.0 {
        lower = rest.next()?;
        place -= 1.0;
    }
    let upper = rest.next().unwrap_or(lower);
    Some(lower + (upper - lower) * place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[1.0, 2.0, 3.0, 4.0, 1e9]), Some(3.0));
    }

    #[test]
    fn quartiles_lie_between_neighbours() {
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.25), Some(2.0));
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.75), Some(4.0));
        assert_eq!(quantile(&[1.0, 3.0], 0.25), Some(1.5));
        assert_eq!(quantile(&[1.0, 3.0], 1.0), Some(3.0));
    }

    #[test]
    fn pairing_removes_what_slows_a_whole_round() {
        // The second half of the rounds runs at a tenth of the speed for both; the ratio of medians would not be 2.
        let base = [100.0, 100.0, 10.0, 10.0];
        let engine = [200.0, 200.0, 20.0, 20.0];
        assert_eq!(paired(&engine, &base), Some(Paired { low: 2.0, median: 2.0, high: 2.0 }));
    }

    #[test]
    fn pairing_is_by_round_and_not_by_rank() {
        let pair = paired(&[10.0, 20.0, 90.0], &[10.0, 40.0, 30.0]);
        assert_eq!(pair.map(|pair| pair.median), Some(1.0));
        assert_eq!(paired(&[1.0, 2.0], &[1.0]), None);
        assert_eq!(paired(&[], &[]), None);
    }
}
