//! What crosses the border: structs that both sides lay out alike, and two that C only points to.

use std::ffi::{CString, c_char, c_void};

use onemark_film::{Film, GreyWindow, Pixels, Size, Spacing};
use onemark_runtime::{Detection, Detections, Detector, Status};

use crate::call::{CallError, c_string, validate_size};

/// What came of a call. Where it is not ONEMARK_STATUS_OK, onemark_last_error says what, where, and what to do.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnemarkStatus {
    /// It is done.
    Ok = 0,
    /// A pointer is NULL, a text is not UTF-8, a size or a name is wrong.
    Argument = 1,
    /// The bundle is refused.
    Bundle = 2,
    /// The backend asked for can't be used here.
    Backend = 3,
    /// The film can't be read.
    Film = 4,
    /// The network could not be run, or gave no numbers.
    Run = 5,
    /// A defect of Onemark.
    Internal = 6,
}

/// How much a landmark's position is worth.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnemarkFound {
    /// Found by the network.
    Found = 0,
    /// The evidence is too weak: the position is a guess that nothing may be built on.
    NotFound = 1,
    /// Put there by a person.
    EditedByHand = 2,
}

/// An opened bundle. Any number of threads may use one at the same time, and all get the answers that one alone gets.
pub struct OnemarkDetector {
    pub(crate) detector: Detector,
}

/// The landmarks of one film. Never changes; any number of threads may read it.
pub struct OnemarkDetections {
    pub(crate) landmarks: Vec<(Detection, CString, CString)>,
    pub(crate) json: CString,
}

/// How a bundle is to be run. All zero but for `size` is a good choice.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct OnemarkOptions {
    /// sizeof(OnemarkOptions).
    pub size: usize,
    /// "onnxruntime", "onnxruntime-cuda" or "tract"; NULL or "auto" takes ONNX Runtime where its library is found.
    pub backend: *const c_char,
    /// "shape-prior", "subpixel" or "argmax"; NULL takes the first.
    pub decoding: *const c_char,
    /// How many threads to use; 0 means one per core.
    pub threads: u32,
}

/// A film: grey pixels in memory, row after row from the top, each from left to right. They are not kept.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct OnemarkFilm {
    /// sizeof(OnemarkFilm).
    pub size: usize,
    /// The first row: uint8_t where `bits` is 8, else uint16_t in the machine's byte order.
    pub pixels: *const c_void,
    /// How many bytes there are to read at `pixels`.
    pub bytes: usize,
    /// Bytes from the start of one row to that of the next.
    pub stride: usize,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// How many bits of a pixel are used, 8 to 16: the largest value is 2^bits - 1.
    pub bits: u32,
    /// Not 0 where small values are bright (DICOM's MONOCHROME1).
    pub inverted: u32,
    /// mm per px to the right; 0 where it is not known: then there are no mm.
    pub spacing_x: f64,
    /// mm per px down; 0 where it is not known.
    pub spacing_y: f64,
    /// The value that becomes the middle grey, where `window_width` is not 0.
    pub window_centre: f64,
    /// How many values there are from black to white (DICOM's LINEAR function); 0 shows all that `bits` can hold.
    pub window_width: f64,
}

/// One landmark on one film.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct OnemarkLandmark {
    /// sizeof(OnemarkLandmark), set by the caller.
    pub size: usize,
    /// Position in the landmark set, from 1.
    pub number: u32,
    /// Whether it was found at all.
    pub found: OnemarkFound,
    /// Short name, "posterior-nasal-spine". Lives as long as the detections.
    pub name: *const c_char,
    /// Name for people, "Posterior nasal spine". Lives as long as the detections.
    pub title: *const c_char,
    /// px to the right of the film's left edge; the centre of the first pixel is at 0.5.
    pub x_px: f64,
    /// px down from the film's upper edge.
    pub y_px: f64,
    /// The same in mm; NaN where the spacing is not known.
    pub x_mm: f64,
    /// The same in mm; NaN where the spacing is not known.
    pub y_mm: f64,
    /// The score there, in [0, 1]. It ranks films; it is no probability.
    pub score: f64,
    /// How probable it is that the landmark is less than 4 mm away, in [0, 1]; NaN where the bundle is not calibrated.
    pub confidence: f64,
    /// On 90 % of films the landmark is at most so far away, in mm; NaN where that is not known.
    pub radius_mm: f64,
}

impl OnemarkFilm {
    /// # Safety
    /// `pixels` is null or has `bytes` bytes that nobody changes meanwhile.
    pub(crate) unsafe fn read(&self) -> Result<Film, CallError> {
        validate_size::<Self>(self.size, "OnemarkFilm")?;
        if self.pixels.is_null() {
            return Err(CallError::Argument("OnemarkFilm.pixels is NULL".into()));
        }
        if isize::try_from(self.bytes).is_err() {
            return Err(CallError::Argument(format!("OnemarkFilm.bytes is {}: no memory is so large", self.bytes)));
        }
        // SAFETY: not null, no larger than memory can be, and for the rest as promised by the caller.
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

/// The film with the spacing that the caller states; as it is where he states none.
pub(crate) fn with_spacing(film: Film, x: f64, y: f64) -> Result<Film, CallError> {
    if x == 0.0 && y == 0.0 {
        return Ok(film);
    }
    Ok(film.with_spacing(Spacing::new(x, y, "the calling program")?))
}

impl OnemarkDetections {
    pub(crate) fn new(detections: &Detections) -> Result<Self, CallError> {
        let json = serde_json::to_string(detections).map_err(|error| CallError::Internal(error.to_string()))?;
        let named = |landmark: &Detection| {
            let (name, title) = (c_string(landmark.name()), c_string(landmark.title()));
            (landmark.clone(), name, title)
        };
        Ok(Self { landmarks: detections.landmarks().iter().map(named).collect(), json: c_string(&json) })
    }

    /// The landmark at an index, from 0.
    pub(crate) fn landmark(&self, index: usize) -> Result<OnemarkLandmark, CallError> {
        let count = self.landmarks.len();
        let (landmark, name, title) = self.landmarks.get(index).ok_or_else(|| {
            CallError::Argument(format!("there is no landmark at index {index}: the first of {count} is at 0"))
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
