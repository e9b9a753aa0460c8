//! Medians and quantiles, each by the convention that its name says. Results are in bundles and reports, so a convention never
//! changes. All of them order numbers by [`f64::total_cmp`]. Also, which numbers can be computed with.

/// The largest absolute value of a weight, a template vector's element, and a number of a calibration, a prior or a familiarity.
/// Products of a few such numbers are still finite in single precision.
pub const LARGEST_NUMBER: f32 = 1e9;
/// The rule for numbers of a manifest, for messages.
pub(crate) const USABLE: &str = "numbers must be finite and at most 1e9 in absolute value";

/// Whether a number is finite and at most [`LARGEST_NUMBER`] in absolute value.
pub(crate) fn is_usable(number: f64) -> bool {
    number.abs() <= f64::from(LARGEST_NUMBER)
}

/// The numbers in ascending order.
pub fn sorted(numbers: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_by(f64::total_cmp);
    numbers
}

/// The median; of an even count, the upper of the two middle numbers. 0 if there are no numbers.
pub fn upper_median(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let numbers = sorted(numbers);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

/// The median; of an even count, the mean of the two middle numbers. NaN if there are no numbers.
pub fn median(numbers: impl IntoIterator<Item = f64>) -> f64 {
    linear_quantile(&sorted(numbers), 0.5)
}

/// The quantile of sorted numbers at `share` in [0, 1], linear between neighbours (numpy's default). NaN if there are no numbers.
pub fn linear_quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * sorted.len().saturating_sub(1) as f64;
    let at = |position: f64| sorted.get(position as usize).copied().unwrap_or(f64::NAN);
    let (below, above) = (at(position.floor()), at(position.ceil()));
    below + (above - below) * position.fract()
}

/// The quantile of sorted numbers at `share` in [0, 1], by nearest rank; of two equally near ranks, the upper one. 0 if there
/// are no numbers.
pub fn nearest_rank_quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((share * last as f64).round() as usize).copied().unwrap_or_default()
}

/// The smallest of the sorted numbers that a further draw exceeds with a probability of at most 1 - `share`, or the largest of
/// all numbers (split conformal prediction). 0 if there are no numbers.
pub fn conformal_upper(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * (sorted.len() + 1) as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default()
}

/// The largest of the sorted numbers below which a further draw lies with a probability of at most `share`, or the smallest of
/// all numbers. 0 if there are no numbers.
pub fn conformal_lower(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * (sorted.len() + 1) as f64).floor() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUR: [f64; 4] = [4.0, 1.0, 3.0, 2.0];

    #[test]
    fn the_rule_states_the_bound() {
        assert!(USABLE.contains(&format!(" {LARGEST_NUMBER:e} ")));
        assert!(is_usable(-1e9) && [f64::NAN, f64::NEG_INFINITY, 1.001e9].into_iter().all(|number| !is_usable(number)));
    }

    #[test]
    fn medians_differ_for_an_even_count() {
        assert_eq!((upper_median(FOUR), median(FOUR)), (3.0, 2.5));
        assert_eq!((upper_median([2.0, 1.0, 3.0]), median([2.0, 1.0, 3.0])), (2.0, 2.0));
        assert!(upper_median([]) == 0.0 && median([]).is_nan());
    }

    #[test]
    fn quantiles_differ_between_places() {
        let four = sorted(FOUR);
        assert_eq!((linear_quantile(&four, 0.25), nearest_rank_quantile(&four, 0.25)), (1.75, 2.0));
        assert_eq!((linear_quantile(&four, 1.0), nearest_rank_quantile(&four, 1.0)), (4.0, 4.0));
        assert_eq!((nearest_rank_quantile(&four, 0.5), nearest_rank_quantile(&[], 0.5)), (3.0, 0.0));
    }

    #[test]
    fn conformal_ranks_count_the_next_draw() {
        let nineteen: Vec<f64> = (1..20).map(f64::from).collect();
        assert_eq!((conformal_upper(&nineteen, 0.9), conformal_lower(&nineteen, 0.1)), (18.0, 2.0));
        assert_eq!((conformal_upper(&nineteen, 0.99), conformal_lower(&nineteen, 0.01)), (19.0, 1.0));
        assert_eq!((conformal_upper(&[], 0.9), conformal_lower(&[], 0.1)), (0.0, 0.0));
    }
}
