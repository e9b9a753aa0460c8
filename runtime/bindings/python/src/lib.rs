//! Onemark for Python: the module `onemark._onemark`, which `python/onemark/__init__.py` re-exports as `onemark`.
//!
//! This crate only translates numpy arrays and errors and releases the GIL; `onemark-runtime` does the work.

mod detections;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use numpy::{PyReadonlyArray2, PyUntypedArrayMethods as _};
use onemark_film::{Film, FilmError, GreyWindow, Pixels, Size, Spacing};
use onemark_runtime::{Chain, Options, RuntimeError};
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;

use detections::Detections;

pyo3::create_exception!(onemark, OnemarkError, PyRuntimeError, "A bundle, a backend or a film that can't be used.");

/// An opened bundle. Any number of threads may use one at the same time.
#[pyclass(frozen, module = "onemark")]
struct Detector(onemark_runtime::Detector);

#[pymethods]
impl Detector {
    /// Opens a bundle: all its files are verified before a graph is parsed.
    #[new]
    #[pyo3(signature = (path, *, backend="auto", threads=None, decoding="shape-prior"))]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        backend: &str,
        threads: Option<NonZeroUsize>,
        decoding: &str,
    ) -> PyResult<Self> {
        let backend = backend.parse().map_err(runtime_error)?;
        let decoding = decoding.parse().map_err(runtime_error)?;
        let threads = threads.map_or(0, NonZeroUsize::get);
        let options = Options::default().with_backend(backend).with_threads(threads).with_decoding(decoding);
        py.detach(|| onemark_runtime::Detector::open(path, options)).map(Self).map_err(runtime_error)
    }

    /// Finds the landmarks on a film: grey pixels, uint8 or uint16, axes [row, column].
    ///
    /// `spacing` is mm per px, x then y; without it there are no mm. Read `warnings` and `refusal` of the result. `bits` is the
    /// number of bits used of a uint16 (default: 16). `inverted` means that small values are bright, as in DICOM's MONOCHROME1.
    /// `window` is the centre and the width of the values from black to white (default: the full range of `bits`).
    #[pyo3(signature = (image, *, spacing=None, bits=None, inverted=false, window=None))]
    fn detect(
        &self,
        py: Python<'_>,
        image: &Bound<'_, PyAny>,
        spacing: Option<(f64, f64)>,
        bits: Option<u32>,
        inverted: bool,
        window: Option<(f64, f64)>,
    ) -> PyResult<Detections> {
        let array = Array::read(image)?;
        let window = window.map(|(centre, width)| GreyWindow { centre, width });
        array.validate_bits(bits)?;
        self.run(py, spacing, || array.film(bits, inverted, window))
    }

    /// Finds the landmarks on a film in a file of any format that Onemark reads. A `spacing` replaces the one that the file states;
    /// `warnings` of the result says so if the two differ.
    #[pyo3(signature = (path, *, spacing=None))]
    fn detect_file(&self, py: Python<'_>, path: PathBuf, spacing: Option<(f64, f64)>) -> PyResult<Detections> {
        self.run(py, spacing, || Film::open(path))
    }

    /// The backend that runs the bundle, with its version and location.
    #[getter]
    fn backend(&self) -> String {
        self.0.backend().about()
    }

    /// The bundle's name, and the SHA-256 of its manifest, which holds the SHA-256 of all other files.
    #[getter]
    fn bundle(&self) -> (&str, &str) {
        let bundle = self.0.bundle();
        (&bundle.name, &bundle.sha256)
    }

    fn __repr__(&self) -> String {
        format!("<onemark.Detector {} on {}>", self.0.bundle().name, self.0.backend().name())
    }
}

impl Detector {
    /// Reads a film and finds its landmarks while other Python threads continue.
    fn run(
        &self,
        py: Python<'_>,
        spacing: Option<(f64, f64)>,
        film: impl FnOnce() -> Result<Film, FilmError> + Send,
    ) -> PyResult<Detections> {
        let found = py.detach(|| {
            let stated = spacing.map(|(x, y)| Spacing::new(x, y, "the calling program")).transpose()?;
            let film = film()?.with_stated(None, stated.as_ref());
            let warnings = film.warnings().iter().map(ToString::to_string).collect();
            Ok::<_, RuntimeError>(Detections { warnings, found: self.0.detect(&film)? })
        });
        found.map_err(runtime_error)
    }
}

/// The pixels of a numpy array, row after row.
struct Array {
    bytes: Vec<u8>,
    /// Rows and columns.
    shape: [usize; 2],
    wide: bool,
}

impl Array {
    /// Copies the pixels: an array may have any strides, and Python may change it while we compute.
    fn read(image: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(array) = image.extract::<PyReadonlyArray2<'_, u8>>() {
            let bytes = array.as_array().iter().copied().collect();
            return Ok(Self { bytes, shape: [array.shape()[0], array.shape()[1]], wide: false });
        }
        if let Ok(array) = image.extract::<PyReadonlyArray2<'_, u16>>() {
            let bytes = array.as_array().iter().flat_map(|value| value.to_ne_bytes()).collect();
            return Ok(Self { bytes, shape: [array.shape()[0], array.shape()[1]], wide: true });
        }
        let attribute = |name: &str| image.getattr(name).map_or("none".into(), |value| value.to_string());
        Err(PyTypeError::new_err(format!(
            "a film is a numpy array of uint8 or uint16 with axes [row, column]; this is a {} of dtype {} and shape {}",
            image.get_type().name()?,
            attribute("dtype"),
            attribute("shape"),
        )))
    }

    /// Refuses a number of bits that numpy's type can't hold.
    fn validate_bits(&self, bits: Option<u32>) -> PyResult<()> {
        let (dtype, allowed, words) = if self.wide { ("uint16", 9..=16, "9 to 16") } else { ("uint8", 8..=8, "8") };
        match bits {
            Some(bits) if !allowed.contains(&bits) => {
                Err(PyValueError::new_err(format!("{bits} bits in {dtype}, which is read with {words}")))
            }
            _ => Ok(()),
        }
    }

    fn film(&self, bits: Option<u32>, inverted: bool, window: Option<GreyWindow>) -> Result<Film, FilmError> {
        // A side beyond u32 is refused later, because it is far beyond the largest film.
        let [height, width] = self.shape.map(|side| u32::try_from(side).unwrap_or(u32::MAX));
        let size = Size { width, height };
        let pixels = if self.wide { Pixels::grey16(&self.bytes, size)? } else { Pixels::grey8(&self.bytes, size)? };
        let mut pixels = pixels.inverted(inverted);
        if let Some(bits) = bits {
            pixels = pixels.with_bits(bits);
        }
        if let Some(window) = window {
            pixels = pixels.with_window(window);
        }
        Film::from_pixels(pixels)
    }
}

/// A wrong argument becomes a ValueError, everything else an OnemarkError.
fn runtime_error(error: RuntimeError) -> PyErr {
    use RuntimeError as R;
    let message = Chain(&error).to_string();
    match error {
        R::UnknownBackend { .. }
        | R::UnknownDecoding { .. }
        | R::Film(
            FilmError::Pixels { .. }
            | FilmError::Spacing { .. }
            | FilmError::ZeroSize { .. }
            | FilmError::TooLarge { .. },
        ) => PyValueError::new_err(message),
        _ => OnemarkError::new_err(message),
    }
}

/// The module.
#[pymodule]
fn _onemark(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("OnemarkError", module.py().get_type::<OnemarkError>())?;
    module.add_class::<Detector>()?;
    module.add_class::<Detections>()
}
