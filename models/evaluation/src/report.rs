//! The report of `onemark evaluate --report`, for writing and reading: films, positions, errors and their summaries.

use std::path::PathBuf;

use ndarray::Array2;
use onemark_film::geometry::{Cell, Point};
use serde::{Deserialize, Serialize};

use crate::bias::Bias;
use crate::metrics::{Bootstrap, Evaluation, MetricsError, Protocol};

/// The evaluation of a bundle on films of a dataset.
///
/// `D` is the type of a film's detections. A reader that needs only errors uses [`serde::de::IgnoredAny`]:
///
/// ```
/// use onemark_evaluation::{metrics::Protocol, report::Report};
/// use serde::de::IgnoredAny;
///
/// let text = std::fs::read_to_string("tests/report.json")?;
/// let report: Report<IgnoredAny> = serde_json::from_str(&text)?;
/// let summary = report.summary(Protocol::Grid).ok_or("the grid protocol was not evaluated")?;
/// println!("{} films: MRE {:.2} mm", summary.evaluation.films().len(), summary.evaluation.mre());
/// # assert_eq!(summary.evaluation.films().len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report<D> {
    /// The bundle that was run.
    pub bundle: BundleName,
    /// The backend that ran it.
    pub backend: String,
    /// How score maps were converted to points.
    pub decoding: String,
    /// The dataset's folder.
    pub data: PathBuf,
    /// The split that was asked for.
    pub split: String,
    /// The time for all films.
    pub seconds: f64,
    /// The summaries: each protocol on all films, then without some films.
    pub protocols: Vec<Summary>,
    /// The films, in the dataset's order.
    pub films: Vec<FilmErrors<D>>,
}

/// The identity of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleName {
    /// The bundle's name.
    pub name: String,
    /// SHA-256 of its manifest.
    pub sha256: String,
}

/// One protocol's errors on one selection of films.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How predictions were compared with the truth.
    pub protocol: Protocol,
    /// The ids of the films left out.
    pub without: Vec<String>,
    /// The uncertainty of the results, by resampling the films.
    pub bootstrap: Bootstrap,
    /// The errors.
    #[serde(flatten)]
    pub evaluation: Evaluation,
}

/// One film and the errors of its landmarks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FilmErrors<D> {
    /// The film's id in its dataset.
    pub id: String,
    /// The time to read the film and to find the landmarks.
    pub seconds: f64,
    /// The detections.
    pub detections: D,
    /// The true positions in film px, in the landmarks' order; null where a landmark is not annotated, as in the next four.
    pub truth: Vec<Option<Point>>,
    /// The cells of the true positions on the network's grid.
    pub truth_cells: Vec<Option<Cell>>,
    /// Radial errors in mm by [`Protocol::Grid`].
    pub grid_errors_mm: Vec<Option<f64>>,
    /// Radial errors in mm by [`Protocol::Film`].
    pub film_errors_mm: Vec<Option<f64>>,
    /// Found minus true position in mm, to the right and down.
    #[serde(default)]
    pub film_offsets_mm: Vec<Option<[f64; 2]>>,
}

impl<D> Report<D> {
    /// The summary of a protocol over all films.
    pub fn summary(&self, protocol: Protocol) -> Option<&Summary> {
        self.protocols.iter().find(|summary| summary.protocol == protocol && summary.without.is_empty())
    }
}

impl<D> FilmErrors<D> {
    /// Radial errors in mm by a protocol.
    pub fn errors_mm(&self, protocol: Protocol) -> &[Option<f64>] {
        match protocol {
            Protocol::Grid => &self.grid_errors_mm,
            Protocol::Film => &self.film_errors_mm,
        }
    }
}

/// The bias of each landmark on these films; `landmarks` are the landmarks' names.
pub fn biases<D>(films: &[FilmErrors<D>], landmarks: &[String]) -> Vec<Bias> {
    let of = |index: usize| films.iter().filter_map(move |film| *film.film_offsets_mm.get(index)?);
    landmarks.iter().enumerate().map(|(index, name)| Bias::of(name, of(index))).collect()
}

/// The errors of these films by a protocol; `landmarks` are the landmarks' names.
///
/// # Errors
/// There are no films or no landmarks, a film has another number of errors, or an error is not a distance.
pub fn evaluation<D>(
    films: &[FilmErrors<D>],
    landmarks: &[String],
    protocol: Protocol,
) -> Result<Evaluation, MetricsError> {
    let ids: Vec<String> = films.iter().map(|film| film.id.clone()).collect();
    let errors: Vec<Option<f64>> = films.iter().flat_map(|film| film.errors_mm(protocol)).copied().collect();
    let count = errors.len();
    let errors = Array2::from_shape_vec((films.len(), landmarks.len()), errors);
    let errors = errors.map_err(|_| MetricsError::Shape {
        rows: films.len(),
        columns: count / films.len().max(1),
        films: films.len(),
        landmarks: landmarks.len(),
    })?;
    Evaluation::with_gaps(landmarks.to_vec(), ids, errors)
}
