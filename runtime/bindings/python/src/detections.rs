//! The results of one film as numpy arrays with one row per landmark, in the order of their numbers.

use numpy::ndarray::Array2;
use numpy::{IntoPyArray as _, PyArray1, PyArray2};
use onemark_runtime::{Detection, Status};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyAny;
use serde::Serialize;

/// The landmarks of one film, in the order of their numbers.
#[pyclass(frozen, module = "onemark")]
#[derive(Serialize)]
pub struct Detections {
    pub warnings: Vec<String>,
    #[serde(flatten)]
    pub found: onemark_runtime::Detections,
}

#[pymethods]
impl Detections {
    /// Numbers in the landmark set, from 1.
    #[getter]
    fn numbers(&self) -> Vec<usize> {
        self.each(Detection::number)
    }

    /// What a person should know about how the film was read, above all about its spacing: a sentence each.
    #[getter]
    fn warnings(&self) -> Vec<&str> {
        self.warnings.iter().map(String::as_str).collect()
    }

    /// Why no landmark counts as found, if the film as a whole is refused; None for other films.
    #[getter]
    fn refusal(&self) -> Option<&str> {
        self.found.refusal()
    }

    /// Where the mm come from: "0.1 x 0.1 mm per px by PixelSpacing"; None if no spacing is stated.
    #[getter]
    fn spacing(&self) -> Option<String> {
        self.found.spacing().map(ToString::to_string)
    }

    /// Short names: "posterior-nasal-spine".
    #[getter]
    fn names(&self) -> Vec<&str> {
        self.found.landmarks().iter().map(Detection::name).collect()
    }

    /// Names for people: "Posterior nasal spine".
    #[getter]
    fn titles(&self) -> Vec<&str> {
        self.found.landmarks().iter().map(Detection::title).collect()
    }

    /// Whether each landmark was found: "found", "not-found" (the position is a guess and must not be used)
    /// or "edited-by-hand".
    #[getter]
    fn status(&self) -> Vec<&'static str> {
        self.each(|landmark| match landmark.status() {
            Status::Found => "found",
            Status::NotFound => "not-found",
            Status::EditedByHand => "edited-by-hand",
        })
    }

    /// Positions, float64 [n, 2]: x to the right, then y down, in px from the film's top-left corner; the centre
    /// of the first pixel is at (0.5, 0.5). A guess where `status` is "not-found".
    #[getter]
    fn positions<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray2<f64>> {
        points(py, &self.each(|landmark| [landmark.position().x, landmark.position().y]))
    }

    /// The same in mm; None if the spacing is unknown.
    #[getter]
    fn positions_mm<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyArray2<f64>>> {
        let mm: Option<Vec<_>> = self.each(|landmark| landmark.mm().map(|mm| [mm.x, mm.y])).into_iter().collect();
        mm.map(|mm| points(py, &mm))
    }

    /// The scores there, float32 [n] in [0, 1]. They rank films; they are not probabilities.
    #[getter]
    fn scores<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        self.each(Detection::score).into_pyarray(py)
    }

    /// Probability that each landmark is less than 4 mm away, float64 [n] in [0, 1]; None if the bundle is not
    /// calibrated.
    #[getter]
    fn confidence<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyArray1<f64>>> {
        self.known(py, Detection::confidence)
    }

    /// Radius within which each landmark lies on 90 % of films, float64 [n] in mm; None if unknown.
    #[getter]
    fn radius_mm<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyArray1<f64>>> {
        self.known(py, Detection::radius_mm)
    }

    /// All results of the film, as in `onemark detect --json`.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let json = serde_json::to_string(self).map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        py.import("json")?.call_method1("loads", (json,))
    }

    fn __len__(&self) -> usize {
        self.found.landmarks().len()
    }

    fn __repr__(&self) -> String {
        let film = self.found.film();
        format!("<onemark.Detections: {} landmarks on {}x{} px>", self.found.landmarks().len(), film.width, film.height)
    }
}

impl Detections {
    fn each<T>(&self, of: impl Fn(&Detection) -> T) -> Vec<T> {
        self.found.landmarks().iter().map(of).collect()
    }

    /// NaN for a landmark without the number; `None` if no landmark has it.
    fn known<'py>(&self, py: Python<'py>, of: impl Fn(&Detection) -> Option<f64>) -> Option<Bound<'py, PyArray1<f64>>> {
        let numbers = self.each(of);
        let some = numbers.iter().any(Option::is_some);
        some.then(|| numbers.into_iter().map(|number| number.unwrap_or(f64::NAN)).collect::<Vec<_>>().into_pyarray(py))
    }
}

/// Points as an array, axes [landmark, x then y].
fn points<'py>(py: Python<'py>, points: &[[f64; 2]]) -> Bound<'py, PyArray2<f64>> {
    Array2::from_shape_fn((points.len(), 2), |(landmark, axis)| points[landmark][axis]).into_pyarray(py)
}
