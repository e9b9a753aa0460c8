//! The types of the C interface: structs with the same layout on both sides, and two opaque ones.

use std::ffi::{CString, c_char, c_void};

use onemark_film::{Film, GreyWindow, Pixels, Size, Spacing};
use onemark_runtime::{Detection, Detections, Detector, Status};
use serde::Serialize;

use crate::call::{CallError, c_string, validate_size};

/// The result of a call. If it is not ONEMARK_STATUS_OK, onemark_last_error says what, where, and what to do.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnemarkStatus {
    /// The call succeeded.
    Ok = 0,
    /// A pointer is NULL, a string is not UTF-8, or a size or a name is wrong.
    Argument = 1,
    /// The bundle is refused.
    Bundle = 2,
    /// The requested backend can't be used here.
    Backend = 3,
    /// The film can't be read.
    Film = 4,
    /// The network could not be run, or its result is NaN.
    Run = 5,
    /// A defect of Onemark.
    Internal = 6,
}

/// Whether and how a landmark was found.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnemarkFound {
    /// Found by the network.
    Found = 0,
    /// The evidence is too weak: the position is a guess and must not be used.
    NotFound = 1,
    /// Placed by a person.
    EditedByHand = 2,
}

/// An opened bundle. Any number of threads may use it at the same time; the results are the same as with one thread.
pub struct OnemarkDetector {
    pub(crate) detector: Detector,
}

/// The landmarks of one film. It never changes, and any number of threads may read it.
pub struct OnemarkDetections {
    pub(crate) landmarks: Vec<(Detection, CString, CString)>,
    /// What a person should know about how the film was read.
    pub(crate) warnings: Vec<CString>,
    /// Why the film as a whole is refused.
    pub(crate) refusal: Option<CString>,
    pub(crate) json: CString,
}

/// All results of a film as JSON.
#[derive(Serialize)]
struct FilmJson<'a> {
    warnings: &'a [String],
    #[serde(flatten)]
    detections: &'a Detections,
}

/// How to run a bundle. Zero in all fields except `size` is a good choice.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct OnemarkOptions {
    /// sizeof(OnemarkOptions).
    pub size: usize,
    /// "onnxruntime", "onnxruntime-cuda" or "tract"; NULL or "auto" chooses ONNX Runtime if its library is found, else tract.
    pub backend: *const c_char,
    /// "shape-prior", "subpixel" or "argmax"; NULL means "shape-prior".
    pub decoding: *const c_char,
    /// Number of threads; 0 means one per core.
    pub threads: u32,
}

/// A film: grey pixels in memory, row after row from the top, each from left to right. The library does not keep them.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct OnemarkFilm {
    /// sizeof(OnemarkFilm).
    pub size: usize,
    /// The first row: uint8_t if `bits` is 8, else uint16_t in the machine's byte order.
    pub pixels: *const c_void,
    /// Number of bytes that may be read at `pixels`.
    pub bytes: usize,
    /// Bytes from the start of one row to that of the next.
    pub stride: usize,
    /// Pixels per row.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
    /// Number of bits used per pixel, 8 to 16: the largest value is 2^bits - 1.
    pub bits: u32,
    /// Not 0 if small values are bright (DICOM's MONOCHROME1).
    pub inverted: u32,
    /// mm per px to the right; 0 if unknown, then the results have no mm. onemark_warning tells of a spacing that can't be right.
    pub spacing_x: f64,
    /// mm per px down; 0 if unknown.
    pub spacing_y: f64,
    /// The value that becomes middle grey, if `window_width` is not 0.
    pub window_centre: f64,
    /// Number of values from black to white (DICOM's LINEAR function); 0 for the full range of `bits`.
    pub window_width: f64,
}

/// One landmark on one film.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct OnemarkLandmark {
    /// sizeof(OnemarkLandmark), set by the caller.
    pub size: usize,
    /// Number in the landmark set, from 1.
    pub number: u32,
    /// Whether and how it was found.
    pub found: OnemarkFound,
    /// Short name, "posterior-nasal-spine". Valid as long as the detections.
    pub name: *const c_char,
    /// Name for people, "Posterior nasal spine". Valid as long as the detections.
    pub title: *const c_char,
    /// x in px from the film's left edge; the centre of the first pixel is at 0.5.
    pub x_px: f64,
    /// y in px from the film's upper edge.
    pub y_px: f64,
    /// x in mm; NaN if the spacing is unknown.
    pub x_mm: f64,
    /// y in mm; NaN if the spacing is unknown.
    pub y_mm: f64,
    /// The score there, in [0, 1]. It ranks films; it is not a probability.
    pub score: f64,
    /// Probability that the landmark is less than 4 mm away, in [0, 1]; NaN if the bundle is not calibrated.
    pub confidence: f64,
    /// Radius in mm within which the landmark lies on 90 % of films; NaN if unknown.
    pub radius_mm: f64,
}

impl OnemarkFilm {
    /// # Safety
    /// `pixels` is null or has `bytes` bytes that do not change meanwhile.
    pub(crate) unsafe fn read(&self) -> Result<Film, CallError> {
        validate_size::<Self>(self.size, "OnemarkFilm")?;
        if self.pixels.is_null() {
            return Err(CallError::Argument("OnemarkFilm.pixels is NULL".into()));
        }
        if isize::try_from(self.bytes).is_err() {
            return Err(CallError::Argument(format!("OnemarkFilm.bytes is {}, larger than any memory", self.bytes)));
        }
        // SAFETY: not null, and not larger than memory can be; the rest is promised by the caller.
        let bytes = unsafe { std::slice::from_raw_parts(self.pixels.cast::<u8>(), self.bytes) };
        let size = Size { width: self.width, height: self.height };
        let pixels = if self.bits == 8 { Pixels::grey8(bytes, size)? } else { Pixels::grey16(bytes, size)? };
        let mut pixels = pixels.with_bits(self.bits).with_stride(self.stride).inverted(self.inverted != 0);
        if self.window_width != 0.0 {
            pixels = pixels.with_window(GreyWindow { centre: self.window_centre, width: self.window_width });
        }
        with_spacing(Film::from_pixels(pixels)?, self.spacing_x, self.spacing_y)
    }
}

/// The film with the spacing that the caller states; 0 and 0 state none.
pub(crate) fn with_spacing(film: Film, x: f64, y: f64) -> Result<Film, CallError> {
    let is_stated = x != 0.0 || y != 0.0;
    let stated = is_stated.then(|| Spacing::new(x, y, "the calling program")).transpose()?;
    Ok(film.with_stated(None, stated.as_ref()))
}

impl OnemarkDetections {
    /// The detections on a film.
    pub(crate) fn new(detections: &Detections, film: &Film) -> Result<Self, CallError> {
        let warnings: Vec<String> = film.warnings().iter().map(ToString::to_string).collect();
        let json = serde_json::to_string(&FilmJson { warnings: &warnings, detections })
            .map_err(|error| CallError::Internal(error.to_string()))?;
        let named = |landmark: &Detection| {
            let (name, title) = (c_string(landmark.name()), c_string(landmark.title()));
            (landmark.clone(), name, title)
        };
        Ok(Self {
            landmarks: detections.landmarks().iter().map(named).collect(),
            warnings: warnings.iter().map(|warning| c_string(warning)).collect(),
            refusal: detections.refusal().map(c_string),
            json: c_string(&json),
        })
    }

    /// The landmark at an index, from 0.
    pub(crate) fn landmark(&self, index: usize) -> Result<OnemarkLandmark, CallError> {
        let count = self.landmarks.len();
        let (landmark, name, title) = self.landmarks.get(index).ok_or_else(|| {
            CallError::Argument(format!("there is no landmark at index {index}; there are {count}, counted from 0"))
        })?;
        let mm = landmark.mm().map_or([f64::NAN; 2], |mm| [mm.x, mm.y]);
        Ok(OnemarkLandmark {
            size: size_of::<OnemarkLandmark>(),
            number: u32::try_from(landmark.number()).unwrap_or(u32::MAX),
            found: match landmark.status() {
                Status::Found => OnemarkFound::Found,
                Status::NotFound => OnemarkFound::NotFound,
                Status::EditedByHand => OnemarkFound::EditedByHand,
            },
            name: name.as_ptr(),
            title: title.as_ptr(),
            x_px: landmark.position().x,
            y_px: landmark.position().y,
            x_mm: mm[0],
            y_mm: mm[1],
            score: f64::from(landmark.score()),
            confidence: landmark.confidence().unwrap_or(f64::NAN),
            radius_mm: landmark.radius_mm().unwrap_or(f64::NAN),
        })
    }
}
