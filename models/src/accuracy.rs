//! How far a bundle's points lay from those of annotated films, as `onemark evaluate --record` measured and wrote it.

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;
use crate::statistics::{USABLE, is_usable};
use crate::text::validate_line;

/// The errors of a bundle on annotated films, over all landmarks and films. Part of a bundle's manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accuracy {
    /// The dataset: the name of its folder, without the folders around it; and which part of it, if not all.
    pub data: String,
    /// The number of films.
    pub films: usize,
    /// The number of points that were annotated on them.
    pub points: usize,
    /// The mean radial error in mm, at the film's full resolution.
    pub mre_mm: f64,
    /// The success detection rates, smallest radius first.
    pub rates: Vec<Rate>,
    /// How scores became points: "shape-prior", "subpixel" or "argmax".
    pub decoding: String,
    /// The day of the evaluation, as 2026-12-31.
    pub date: String,
    /// The program that evaluated it, with its version.
    pub made_by: String,
}

/// A success detection rate: how many of all errors are smaller than a radius.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// The radius in mm.
    pub radius_mm: f64,
    /// The share of errors that are smaller, in percent.
    pub percent: f64,
}

/// The largest number of rates.
const MOST_RATES: usize = 16;

impl Accuracy {
    /// Checks it against its rules.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<(), Invalid> {
        let lines =
            [("data", &self.data), ("decoding", &self.decoding), ("date", &self.date), ("made_by", &self.made_by)];
        lines.into_iter().try_for_each(|(key, line)| validate_line(key, line))?;
        let rule = |good: bool, key: &str, why: &'static str| if good { Ok(()) } else { Err(Invalid::new(key, why)) };
        rule(self.films > 0, "films", "must be at least 1")?;
        rule(self.points >= self.films, "points", "must be at least one for each film")?;
        rule(is_usable(self.mre_mm), "mre_mm", USABLE)?;
        rule(self.mre_mm >= 0.0, "mre_mm", "must not be negative")?;
        rule(self.rates.len() <= MOST_RATES, "rates", "has more than 16 entries")?;
        let is_rate = |rate: &Rate| rate.radius_mm > 0.0 && is_usable(rate.radius_mm);
        rule(self.rates.iter().all(is_rate), "rates", "radii must be positive numbers of mm, at most 1e9")?;
        let is_share = |rate: &Rate| (0.0..=100.0).contains(&rate.percent);
        rule(self.rates.iter().all(is_share), "rates", "percentages must lie between 0 and 100")?;
        let ascend = self.rates.is_sorted_by(|one, next| one.radius_mm < next.radius_mm);
        rule(ascend, "rates", "radii must ascend")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded() -> Accuracy {
        Accuracy {
            data: "hands".into(),
            films: 2,
            points: 18,
            mre_mm: 1.5,
            rates: vec![Rate { radius_mm: 2.0, percent: 75.0 }, Rate { radius_mm: 4.0, percent: 100.0 }],
            decoding: "shape-prior".into(),
            date: "2026-12-31".into(),
            made_by: "onemark 0.1.0".into(),
        }
    }

    #[test]
    fn what_no_evaluation_measures_is_refused() {
        assert_eq!(recorded().validate(), Ok(()));
        type Spoil = fn(&mut Accuracy);
        let cases: [(Spoil, &str); 10] = [
            (|of| of.data = "a\nb".into(), "data"),
            (|of| of.date = "=today()".into(), "date"),
            (|of| of.films = 0, "films"),
            (|of| of.points = 1, "points"),
            (|of| of.mre_mm = f64::NAN, "mre_mm"),
            (|of| of.mre_mm = -0.1, "mre_mm"),
            (|of| of.rates[0].radius_mm = f64::INFINITY, "rates"),
            (|of| of.rates[1].percent = 100.1, "rates"),
            (|of| of.rates.reverse(), "rates"),
            (|of| of.rates = vec![of.rates[0]; 17], "rates"),
        ];
        for (spoil, key) in cases {
            let mut spoiled = recorded();
            spoil(&mut spoiled);
            assert!(spoiled.validate().is_err_and(|error| error.key == key), "{spoiled:?}");
        }
    }
}
