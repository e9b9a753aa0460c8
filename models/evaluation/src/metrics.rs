//! How good found landmarks are: radial errors in mm, their mean and success rates, and how sure one can be of those.
//!
//! METHOD.md sec. 1e. Nothing is detected here, and nothing is read from disk.

use std::fmt;
use std::str::FromStr;

use ndarray::{Array2, ArrayView2, Axis};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use onemark_film::Spacing;
use onemark_film::geometry::{Cell, GridMap, Point};
use onemark_models::statistics::{linear_quantile, median, sorted};

/// The radii, in mm, at which success detection rates are customarily given.
pub const SDR_RADII_MM: [f64; 4] = [2.0, 2.5, 3.0, 4.0];

/// How a prediction is compared with the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Both points fall to cells of the network's grid, as the published methods do it: their Table 1.
    Grid,
    /// Both points at the film's full resolution.
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
    /// Under [`Protocol::Grid`] a cell's centre counts as that cell, so a prediction mapped back by [`GridMap::to_film`] loses
    /// nothing.
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

/// Why results cannot be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// The table of errors does not fit its names, or is empty.
    #[error(
        "errors are [{rows}, {columns}] (films, landmarks) for {films} films and {landmarks} landmarks; \
         they must agree and be at least one each"
    )]
    Shape {
        /// Rows of the table.
        rows: usize,
        /// Columns of the table.
        columns: usize,
        /// Films named.
        films: usize,
        /// Landmarks named.
        landmarks: usize,
    },
    /// An error is not a number, infinite or negative.
    #[error("film {film}, landmark {landmark}: {value} mm is no distance; check film spacing and prediction")]
    NotADistance {
        /// The film's id.
        film: String,
        /// The landmark's name.
        landmark: String,
        /// The value in mm.
        value: f64,
    },
    /// No protocol has this name.
    #[error("no protocol is called \"{name}\"; choose grid or film")]
    UnknownProtocol {
        /// The name asked for.
        name: String,
    },
}

/// The radial errors of every landmark on every film: at least one of each, all finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    landmarks: Vec<String>,
    films: Vec<String>,
    errors: Array2<f64>,
}

/// Mean, median and success rates of some errors.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// Whose errors: a landmark's name, or "mean" for all landmarks.
    pub name: String,
    /// Mean radial error, mm.
    pub mre_mm: f64,
    /// Median radial error, mm.
    pub median_mm: f64,
    /// Success detection rates in percent at [`SDR_RADII_MM`].
    pub sdr_percent: [f64; SDR_RADII_MM.len()],
}

/// A 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// The 2.5th percentile.
    pub low: f64,
    /// The 97.5th percentile.
    pub high: f64,
}

/// What other films of the same kind might have given, by resampling.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bootstrap {
    /// How many resamples were drawn.
    pub resamples: usize,
    /// Of the mean radial error, mm.
    pub mre_mm: Interval,
    /// Of the success detection rates in percent at [`SDR_RADII_MM`].
    pub sdr_percent: [Interval; SDR_RADII_MM.len()],
}

impl Evaluation {
    /// From `errors` in mm, axes [films, landmarks].
    ///
    /// # Errors
    /// Where names and table do not agree, nothing is there, or a value is no distance.
    pub fn new(landmarks: Vec<String>, films: Vec<String>, errors: Array2<f64>) -> Result<Self, MetricsError> {
        let (rows, columns) = errors.dim();
        if (rows, columns) != (films.len(), landmarks.len()) || errors.is_empty() {
            return Err(MetricsError::Shape { rows, columns, films: films.len(), landmarks: landmarks.len() });
        }
        let bad = errors.indexed_iter().find(|(_, mm)| !mm.is_finite() || **mm < 0.0);
        if let Some(((film, landmark), value)) = bad {
            return Err(MetricsError::NotADistance {
                film: films[film].clone(),
                landmark: landmarks[landmark].clone(),
                value: *value,
            });
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

    /// The errors in mm, axes [films, landmarks].
    pub fn errors(&self) -> ArrayView2<'_, f64> {
        self.errors.view()
    }

    /// Mean radial error over all films and landmarks, mm; also the mean of the landmarks' means.
    pub fn mre(&self) -> f64 {
        mean(self.errors.iter())
    }

    /// Median of all radial errors, mm.
    pub fn median(&self) -> f64 {
        median(self.errors.iter().copied())
    }

    /// Success detection rate: percent of all errors strictly below `radius_mm`.
    pub fn sdr(&self, radius_mm: f64) -> f64 {
        sdr(self.errors.iter(), radius_mm)
    }

    /// One score per landmark, in order.
    pub fn per_landmark(&self) -> Vec<Score> {
        let columns = self.errors.columns();
        let named = self.landmarks.iter().zip(columns);
        named.map(|(name, column)| Score::of(name, column.iter())).collect()
    }

    /// The score over all landmarks.
    pub fn overall(&self) -> Score {
        Score::of("mean", self.errors.iter())
    }

    /// The same without the films of these ids (ids that are not here are passed over).
    ///
    /// # Errors
    /// [`MetricsError::Shape`] where no film is left.
    pub fn without(&self, ids: &[impl AsRef<str>]) -> Result<Self, MetricsError> {
        let left_out = |film: &str| ids.iter().any(|id| id.as_ref() == film);
        let kept: Vec<usize> = (0..self.films.len()).filter(|&i| !left_out(&self.films[i])).collect();
        let films = kept.iter().map(|&i| self.films[i].clone()).collect();
        Self::new(self.landmarks.clone(), films, self.errors.select(Axis(0), &kept))
    }

    /// 95 % percentile intervals from `resamples` (at least one) draws of as many films, with replacement.
    ///
    /// Films are drawn, not single errors: the errors on one film hang together. The same seed gives the same answer
    /// on every machine.
    pub fn bootstrap(&self, resamples: usize, seed: u64) -> Bootstrap {
        // A film enters every statistic by its mean over landmarks alone.
        let per_film: Vec<[f64; 1 + SDR_RADII_MM.len()]> = (self.errors.rows().into_iter())
            .map(|row| {
                let mut summary = [mean(row.iter()); 1 + SDR_RADII_MM.len()];
                for (rate, radius) in summary.iter_mut().skip(1).zip(SDR_RADII_MM) {
                    *rate = sdr(row.iter(), radius);
                }
                summary
            })
            .collect();
        let films = per_film.len();
        let resamples = resamples.max(1);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut draws = Array2::zeros((1 + SDR_RADII_MM.len(), resamples));
        for resample in 0..resamples {
            for _ in 0..films {
                let film = &per_film[random.random_range(0..films)];
                for (statistic, value) in film.iter().enumerate() {
                    draws[(statistic, resample)] += value / films as f64;
                }
            }
        }
        let interval = |statistic: usize| {
            let values = sorted(draws.row(statistic).iter().copied());
            Interval { low: linear_quantile(&values, 0.025), high: linear_quantile(&values, 0.975) }
        };
        Bootstrap { resamples, mre_mm: interval(0), sdr_percent: std::array::from_fn(|radius| interval(1 + radius)) }
    }

    /// The table of [`fmt::Display`] in Markdown.
    pub fn to_markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut rows = self.table().into_iter();
        let header = rows.next().unwrap_or_default();
        let rule = (0..header.len()).map(|column| if column == 1 { "---" } else { "---:" }.to_owned());
        let rule = line(rule.collect());
        line(header) + &rule + &rows.map(line).collect::<String>()
    }

    /// Header, one row per landmark, the row of all of them.
    fn table(&self) -> Vec<Vec<String>> {
        let mut header: Vec<String> = ["#", "landmark", "MRE mm", "median mm"].map(str::to_owned).into();
        header.extend(SDR_RADII_MM.map(|radius| format!("SDR {radius} mm %")));
        let row = |number: String, score: Score| {
            let millimetres = [score.mre_mm, score.median_mm].map(|mm| format!("{mm:.2}"));
            let rates = score.sdr_percent.map(|percent| format!("{percent:.1}"));
            [number, score.name].into_iter().chain(millimetres).chain(rates).collect()
        };
        let landmarks = (1..).zip(self.per_landmark());
        let mut rows = vec![header];
        rows.extend(landmarks.map(|(number, score): (usize, _)| row(number.to_string(), score)));
        rows.push(row(String::new(), self.overall()));
        rows
    }
}

/// A table with one row per landmark and a last row over all of them.
impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.table();
        let width = |column: usize| table.iter().filter_map(|row| row.get(column)).map(String::len).max();
        let widths: Vec<usize> = (0..).map_while(width).collect();
        for row in &table {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
                1 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  "))?;
        }
        Ok(())
    }
}

/// Everything a report needs: the errors themselves and their summaries.
impl Serialize for Evaluation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Report<'a> {
            sdr_radii_mm: [f64; SDR_RADII_MM.len()],
            overall: Score,
            per_landmark: Vec<Score>,
            landmarks: &'a [String],
            films: &'a [String],
            /// One list per film.
            errors_mm: Vec<Vec<f64>>,
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

impl Score {
    fn of<'a>(name: &str, errors: impl Iterator<Item = &'a f64> + Clone) -> Self {
        Self {
            name: name.to_owned(),
            mre_mm: mean(errors.clone()),
            median_mm: median(errors.clone().copied()),
            sdr_percent: SDR_RADII_MM.map(|radius| sdr(errors.clone(), radius)),
        }
    }
}

fn mean<'a>(values: impl Iterator<Item = &'a f64> + Clone) -> f64 {
    values.clone().sum::<f64>() / values.count() as f64
}

fn sdr<'a>(values: impl Iterator<Item = &'a f64> + Clone, radius_mm: f64) -> f64 {
    100.0 * values.clone().filter(|mm| **mm < radius_mm).count() as f64 / values.count() as f64
}
