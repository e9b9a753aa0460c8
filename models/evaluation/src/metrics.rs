//! Metrics of found landmarks: radial errors in mm, their mean, success detection rates and confidence intervals.
//!
//! METHOD.md sec. 1e. This module neither detects landmarks nor reads files.

use std::str::FromStr;

use ndarray::{Array2, ArrayView2, Axis};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use onemark_film::Spacing;
use onemark_film::geometry::{Cell, GridMap, Point};
use onemark_models::statistics::{linear_quantile, median, sorted};

/// The usual radii of success detection rates, in mm.
pub const SDR_RADII_MM: [f64; 4] = [2.0, 2.5, 3.0, 4.0];

/// How a prediction is compared with the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Both points are rounded to cells of the network's grid, as in the published methods (Table 1 of the paper).
    Grid,
    /// Both points have the film's full resolution.
    Film,
}

impl FromStr for Protocol {
    type Err = MetricsError;

    fn from_str(text: &str) -> Result<Self, MetricsError> {
        match text {
            "grid" => Ok(Self::Grid),
            "film" => Ok(Self::Film),
            _ => Err(MetricsError::UnknownProtocol { name: text.to_owned() }),
        }
    }
}

impl Protocol {
    /// The radial error in mm of `found` against `truth`, both in film px.
    ///
    /// With [`Protocol::Grid`], the centre of a cell belongs to that cell, so a prediction that [`GridMap::to_film`] mapped to the film
    /// is mapped back to the same cell.
    pub fn radial_error(self, map: &GridMap, spacing: &Spacing, truth: Point, found: Point) -> f64 {
        match self {
            Self::Film => truth.distance_mm(found, spacing),
            Self::Grid => radial_error_cells(map, spacing, map.to_cell(truth), map.to_cell(found)),
        }
    }
}

/// The distance in mm between two cells of a film's grid: cell differences times mm per cell.
///
/// On a 1935x2400 film at 0.1 mm per px, a cell of 384x384 is 0.625 mm high.
pub fn radial_error_cells(map: &GridMap, spacing: &Spacing, truth: Cell, found: Cell) -> f64 {
    let columns = truth.column as f64 - found.column as f64;
    let rows = truth.row as f64 - found.row as f64;
    (columns * (map.scale_x() * spacing.x())).hypot(rows * (map.scale_y() * spacing.y()))
}

/// Why results cannot be evaluated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "fields without docs have self-explanatory names")]
pub enum MetricsError {
    /// The table of errors does not fit its names, or is empty.
    #[error(
        "errors are [{rows}, {columns}] (films, landmarks) for {films} films and {landmarks} landmarks; \
         they must agree and be at least one each"
    )]
    Shape { rows: usize, columns: usize, films: usize, landmarks: usize },
    /// An error is not a number, infinite or negative.
    #[error(
        "film {film}, landmark {landmark}: {value} mm is not a valid radial error; check the spacing and the prediction"
    )]
    NotADistance {
        film: String,
        landmark: String,
        /// The value in mm.
        value: f64,
    },
    /// There is no error at all.
    #[error("no landmark is annotated on any film; annotate at least one")]
    NothingAnnotated,
    /// No protocol has this name.
    #[error("no protocol is called \"{name}\"; choose grid or film")]
    UnknownProtocol { name: String },
}

/// The radial errors of every landmark on every film: at least one of each, all finite. Landmarks that are not annotated on a film
/// have no error there, and do not count in means and rates.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    landmarks: Vec<String>,
    films: Vec<String>,
    errors: Array2<Option<f64>>,
}

/// Mean, median and success detection rates of some errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// A landmark's name, or "mean" for all landmarks.
    pub name: String,
    /// The number of errors; 0 for a landmark that is annotated nowhere. Then the other numbers are NaN, in JSON null.
    #[serde(default)]
    pub points: usize,
    /// Mean radial error, mm.
    pub mre_mm: f64,
    /// Median radial error, mm.
    pub median_mm: f64,
    /// Success detection rates in percent at [`SDR_RADII_MM`].
    pub sdr_percent: [f64; SDR_RADII_MM.len()],
}

/// A 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The 2.5th percentile.
    pub low: f64,
    /// The 97.5th percentile.
    pub high: f64,
}

/// Confidence intervals of the results, by resampling the films.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// The number of resamples.
    pub resamples: usize,
    /// The interval of the mean radial error, mm.
    pub mre_mm: Interval,
    /// The intervals of the success detection rates in percent at [`SDR_RADII_MM`].
    pub sdr_percent: [Interval; SDR_RADII_MM.len()],
}

impl Evaluation {
    /// The errors `errors` in mm, axes [films, landmarks], with the names of landmarks and the ids of films.
    ///
    /// ```
    /// use ndarray::array;
    /// use onemark_evaluation::metrics::Evaluation;
    ///
    /// let names = ["sella", "nasion"].map(str::to_owned).to_vec();
    /// let films = ["151", "152"].map(str::to_owned).to_vec();
    /// let evaluation = Evaluation::new(names, films, array![[0.8, 2.4], [1.2, 1.6]])?;
    /// assert_eq!((evaluation.mre(), evaluation.sdr(2.0)), (1.5, 75.0));
    /// # Ok::<(), onemark_evaluation::metrics::MetricsError>(())
    /// ```
    ///
    /// # Errors
    /// Names and table do not agree, the table is empty, or a value is not a distance.
    pub fn new(landmarks: Vec<String>, films: Vec<String>, errors: Array2<f64>) -> Result<Self, MetricsError> {
        Self::with_gaps(landmarks, films, errors.map(|mm| Some(*mm)))
    }

    /// The same of landmarks that are not annotated on all films: their errors are `None` there.
    ///
    /// ```
    /// use ndarray::array;
    /// use onemark_evaluation::metrics::Evaluation;
    ///
    /// let names = ["sella", "nasion"].map(str::to_owned).to_vec();
    /// let films = ["151", "152"].map(str::to_owned).to_vec();
    /// let evaluation = Evaluation::with_gaps(names, films, array![[Some(0.8), Some(2.4)], [Some(1.3), None]])?;
    /// assert_eq!((evaluation.mre(), evaluation.per_landmark()[1].points), (1.5, 1));
    /// # Ok::<(), onemark_evaluation::metrics::MetricsError>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Evaluation::new`], and [`MetricsError::NothingAnnotated`].
    pub fn with_gaps(
        landmarks: Vec<String>,
        films: Vec<String>,
        errors: Array2<Option<f64>>,
    ) -> Result<Self, MetricsError> {
        let (rows, columns) = errors.dim();
        if (rows, columns) != (films.len(), landmarks.len()) || errors.is_empty() {
            return Err(MetricsError::Shape { rows, columns, films: films.len(), landmarks: landmarks.len() });
        }
        let there = errors.indexed_iter().filter_map(|(at, mm)| Some((at, (*mm)?)));
        let bad = there.clone().find(|(_, mm)| !mm.is_finite() || *mm < 0.0);
        if let Some(((film, landmark), value)) = bad {
            return Err(MetricsError::NotADistance {
                film: films[film].clone(),
                landmark: landmarks[landmark].clone(),
                value,
            });
        }
        if there.count() == 0 {
            return Err(MetricsError::NothingAnnotated);
        }
        Ok(Self { landmarks, films, errors })
    }

    /// The landmarks' names, in order.
    pub fn landmarks(&self) -> &[String] {
        &self.landmarks
    }

    /// The films' ids, in order.
    pub fn films(&self) -> &[String] {
        &self.films
    }

    /// The errors in mm, axes [films, landmarks]; `None` where a landmark is not annotated.
    pub fn errors(&self) -> ArrayView2<'_, Option<f64>> {
        self.errors.view()
    }

    fn all(&self) -> impl Iterator<Item = f64> + Clone {
        self.errors.iter().copied().flatten()
    }

    /// Mean radial error over all films and landmarks, mm; if no landmark is missing anywhere, also the mean of the landmarks' means.
    pub fn mre(&self) -> f64 {
        mean(self.all())
    }

    /// Median of all radial errors, mm.
    pub fn median(&self) -> f64 {
        median(self.all())
    }

    /// Success detection rate: percent of all errors strictly below `radius_mm`.
    pub fn sdr(&self, radius_mm: f64) -> f64 {
        sdr(self.all(), radius_mm)
    }

    /// One score per landmark, in order.
    pub fn per_landmark(&self) -> Vec<Score> {
        let columns = self.errors.columns();
        let named = self.landmarks.iter().zip(columns);
        named.map(|(name, column)| Score::of(name, column.iter().copied().flatten())).collect()
    }

    /// The errors of each landmark alone, in order.
    pub fn by_landmark(&self) -> impl Iterator<Item = Self> {
        self.landmarks.iter().enumerate().map(|(index, name)| Self {
            landmarks: vec![name.clone()],
            films: self.films.clone(),
            errors: self.errors.select(Axis(1), &[index]),
        })
    }

    /// The score over all landmarks.
    pub fn overall(&self) -> Score {
        Score::of("mean", self.all())
    }

    /// The same errors without the films of these ids. Unknown ids are ignored.
    ///
    /// # Errors
    /// [`MetricsError::Shape`] if no film is left.
    pub fn without(&self, ids: &[impl AsRef<str>]) -> Result<Self, MetricsError> {
        let left_out = |film: &str| ids.iter().any(|id| id.as_ref() == film);
        let kept: Vec<usize> = (0..self.films.len()).filter(|&i| !left_out(&self.films[i])).collect();
        let films = kept.iter().map(|&i| self.films[i].clone()).collect();
        Self::with_gaps(self.landmarks.clone(), films, self.errors.select(Axis(0), &kept))
    }

    /// 95 % percentile intervals from `resamples` (at least one) draws of as many films, with replacement.
    ///
    /// Films are drawn, not single errors, because the errors on one film are correlated. The same seed gives the same result on every
    /// machine.
    pub fn bootstrap(&self, resamples: usize, seed: u64) -> Bootstrap {
        // Every statistic depends on a film only by its number of errors, their sum, and how many of them are below each radius.
        let per_film: Vec<[f64; 2 + SDR_RADII_MM.len()]> = (self.errors.rows().into_iter())
            .map(|row| {
                let errors = row.iter().copied().flatten();
                let mut sums = [errors.clone().count() as f64; 2 + SDR_RADII_MM.len()];
                sums[1] = errors.clone().sum();
                for (below, radius) in sums.iter_mut().skip(2).zip(SDR_RADII_MM) {
                    *below = 100.0 * errors.clone().filter(|mm| *mm < radius).count() as f64;
                }
                sums
            })
            .collect();
        let resamples = resamples.max(1);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut draws = Array2::zeros((1 + SDR_RADII_MM.len(), resamples));
        for resample in 0..resamples {
            let mut sums = [0.0; 2 + SDR_RADII_MM.len()];
            for _ in 0..per_film.len() {
                let film = &per_film[random.random_range(0..per_film.len())];
                sums.iter_mut().zip(film).for_each(|(sum, value)| *sum += value);
            }
            let [count, statistics @ ..] = sums;
            for (statistic, sum) in statistics.into_iter().enumerate() {
                draws[(statistic, resample)] = sum / count.max(1.0);
            }
        }
        let interval = |statistic: usize| {
            let values = sorted(draws.row(statistic).iter().copied());
            Interval { low: linear_quantile(&values, 0.025), high: linear_quantile(&values, 0.975) }
        };
        Bootstrap { resamples, mre_mm: interval(0), sdr_percent: std::array::from_fn(|radius| interval(1 + radius)) }
    }
}

/// The errors and their summaries, as [`report`](crate::report) holds them.
impl Serialize for Evaluation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Report<'a> {
            sdr_radii_mm: [f64; SDR_RADII_MM.len()],
            overall: Score,
            per_landmark: Vec<Score>,
            landmarks: &'a [String],
            films: &'a [String],
            /// One list per film; null where a landmark is not annotated.
            errors_mm: Vec<Vec<Option<f64>>>,
        }
        let report = Report {
            sdr_radii_mm: SDR_RADII_MM,
            overall: self.overall(),
            per_landmark: self.per_landmark(),
            landmarks: &self.landmarks,
            films: &self.films,
            errors_mm: self.errors.rows().into_iter().map(|row| row.to_vec()).collect(),
        };
        report.serialize(serializer)
    }
}

/// From the errors alone; the summaries follow from them.
impl<'de> Deserialize<'de> for Evaluation {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Errors {
            landmarks: Vec<String>,
            films: Vec<String>,
            errors_mm: Vec<Vec<Option<f64>>>,
        }
        let Errors { landmarks, films, errors_mm } = Errors::deserialize(deserializer)?;
        let shape = (errors_mm.len(), errors_mm.first().map_or(0, Vec::len));
        let errors = Array2::from_shape_vec(shape, errors_mm.concat()).map_err(serde::de::Error::custom)?;
        Self::with_gaps(landmarks, films, errors).map_err(serde::de::Error::custom)
    }
}

impl Score {
    fn of(name: &str, errors: impl Iterator<Item = f64> + Clone) -> Self {
        Self {
            name: name.to_owned(),
            points: errors.clone().count(),
            mre_mm: mean(errors.clone()),
            median_mm: median(errors.clone()),
            sdr_percent: SDR_RADII_MM.map(|radius| sdr(errors.clone(), radius)),
        }
    }
}

/// NaN if there are no values, as the next.
fn mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
    values.clone().sum::<f64>() / values.count() as f64
}

fn sdr(values: impl Iterator<Item = f64> + Clone, radius_mm: f64) -> f64 {
    100.0 * values.clone().filter(|mm| *mm < radius_mm).count() as f64 / values.count() as f64
}
