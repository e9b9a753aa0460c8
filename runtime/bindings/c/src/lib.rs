//! Onemark for C and languages that can call C: the functions of `include/onemark.h`.
//!
//! This crate only translates; `onemark-runtime` does the work. cbindgen generates the header from this file and `types.rs`,
//! and a test compares the two. Within an ABI version, existing functions and fields never change: additions are new
//! functions, or new fields at the end of structs that carry their size.
// Pointers from C cannot be checked; the caller must guarantee them.
#![allow(unsafe_code)]

mod call;
mod types;

use std::ffi::c_char;
use std::ptr;

use onemark_film::Film;
use onemark_runtime::{Detector, Options};

use call::{CallError, call, reference, target, text, validate_size};
pub use types::{
    OnemarkDetections, OnemarkDetector, OnemarkFilm, OnemarkFound, OnemarkLandmark, OnemarkOptions, OnemarkStatus,
};

/// The ABI version of this header. It must equal the result of onemark_abi_version, else program and library don't fit.
pub const ONEMARK_ABI_VERSION: u32 = 1;

/// Returns the library's ABI version, to compare with ONEMARK_ABI_VERSION.
#[unsafe(no_mangle)]
pub extern "C" fn onemark_abi_version() -> u32 {
    ONEMARK_ABI_VERSION
}

/// Returns the library's version for people: "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn onemark_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Returns the message of this thread's last call that failed; empty if none has failed. Valid until the thread's next call.
#[unsafe(no_mangle)]
pub extern "C" fn onemark_last_error() -> *const c_char {
    call::last_error()
}

/// Opens a bundle: all its files are verified before a graph is parsed. `options` may be NULL. `detector` receives the
/// detector, which onemark_close frees, or NULL if the call fails.
///
/// # Safety
/// Each pointer is NULL or points to a value of its type; strings end with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn onemark_open(
    bundle: *const c_char,
    options: *const OnemarkOptions,
    detector: *mut *mut OnemarkDetector,
) -> OnemarkStatus {
    call(|| {
        // SAFETY: promised by the caller.
        let detector = unsafe { target(detector, "detector") }?;
        *detector = ptr::null_mut();
        // SAFETY: promised by the caller.
        let (bundle, options) = unsafe { (text(bundle, "bundle")?, read_options(options)?) };
        let opened = OnemarkDetector { detector: Detector::open(bundle, options)? };
        *detector = Box::into_raw(Box::new(opened));
        Ok(())
    })
}

/// Frees a detector. Call it once, when no thread uses the detector any more. NULL is allowed.
///
/// # Safety
/// `detector` is NULL or came from onemark_open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn onemark_close(detector: *mut OnemarkDetector) {
    // SAFETY: promised by the caller.
    unsafe { free(detector) }
}

/// Finds the landmarks on a film in memory. `detections` receives the result, which onemark_detections_free frees, or NULL if
/// the call fails.
///
/// # Safety
/// Each pointer is NULL or points to a value of its type; the film's pixels are `bytes` long and do not change before the
/// call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn onemark_detect(
    detector: *const OnemarkDetector,
    film: *const OnemarkFilm,
    detections: *mut *mut OnemarkDetections,
) -> OnemarkStatus {
    // SAFETY: promised by the caller.
    unsafe { detect(detector, detections, || reference(film, "film")?.read()) }
}

/// Finds the landmarks on a film in a file of any format that Onemark reads. `spacing_x` and `spacing_y` (mm per
/// px) replace the spacing that the file states; 0 and 0 keep it.
///
/// # Safety
/// Each pointer is NULL or points to a value of its type; `path` ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn onemark_detect_file(
    detector: *const OnemarkDetector,
    path: *const c_char,
    spacing_x: f64,
    spacing_y: f64,
    detections: *mut *mut OnemarkDetections,
) -> OnemarkStatus {
    let film = || {
        // SAFETY: promised by the caller.
        let path = unsafe { text(path, "path") }?;
        types::with_spacing(Film::open(path)?, spacing_x, spacing_y)
    };
    // SAFETY: promised by the caller.
    unsafe { detect(detector, detections, film) }
}

/// Returns the number of landmarks; 0 for NULL.
///
/// # Safety
/// `detections` is NULL or came from onemark_detect or onemark_detect_file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn onemark_landmark_count(detections: *const OnemarkDetections) -> usize {
    // SAFETY: promised by the caller.
    unsafe { detections.as_ref() }.map_or(0, |detections| detections.landmarks.len())
}

/// Writes the landmark at an index (from 0) to `landmark`, whose `size` the caller has set.
///
/// # Safety
/// `detections` is NULL or came from onemark_detect or onemark_detect_file; `landmark` is NULL or as large as its `size`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn onemark_landmark(
    detections: *const OnemarkDetections,
    index: usize,
    landmark: *mut OnemarkLandmark,
) -> OnemarkStatus {
    call(|| {
        if landmark.is_null() {
            return Err(CallError::Argument("landmark is NULL".into()));
        }
        // Only `size` is set, so only `size` may be read.
        // SAFETY: not null; the rest is promised by the caller.
        validate_size::<OnemarkLandmark>(unsafe { (&raw const (*landmark).size).read() }, "OnemarkLandmark")?;
        // SAFETY: promised by the caller.
        let found = unsafe { reference(detections, "detections") }?.landmark(index)?;
        // SAFETY: not null and of the expected size; the rest is promised by the caller.
        unsafe { landmark.write(found) };
        Ok(())
    })
}

/// Returns the number of warnings about how the film was read, above all about its spacing; 0 for NULL. Show them to
/// whoever relies on the positions.
///
/// # Safety
/// `detections` is NULL or came from onemark_detect or onemark_detect_file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn onemark_warning_count(detections: *const OnemarkDetections) -> usize {
    // SAFETY: promised by the caller.
    unsafe { detections.as_ref() }.map_or(0, |detections| detections.warnings.len())
}

/// Returns the warning at an index, from 0: a sentence for people. Valid as long as the detections; NULL if there is none.
///
/// # Safety
/// `detections` is NULL or came from onemark_detect or onemark_detect_file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn onemark_warning(detections: *const OnemarkDetections, index: usize) -> *const c_char {
    // SAFETY: promised by the caller.
    let warning = unsafe { detections.as_ref() }.and_then(|detections| detections.warnings.get(index));
    warning.map_or(ptr::null(), |warning| warning.as_ptr())
}

/// Returns why no landmark counts as found, if the film as a whole is refused: a sentence for people. Valid as long as the detections;
/// NULL for other films, and for NULL.
///
/// # Safety
/// `detections` is NULL or came from onemark_detect or onemark_detect_file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn onemark_refusal(detections: *const OnemarkDetections) -> *const c_char {
    // SAFETY: promised by the caller.
    let refusal = unsafe { detections.as_ref() }.and_then(|detections| detections.refusal.as_ref());
    refusal.map_or(ptr::null(), |refusal| refusal.as_ptr())
}

/// Returns all results of the film as JSON, as in `onemark detect --json`. Valid as long as the detections; NULL for NULL.
///
/// # Safety
/// `detections` is NULL or came from onemark_detect or onemark_detect_file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn onemark_json(detections: *const OnemarkDetections) -> *const c_char {
    // SAFETY: promised by the caller.
    unsafe { detections.as_ref() }.map_or(ptr::null(), |detections| detections.json.as_ptr())
}

/// Frees detections. Call it once. NULL is allowed.
///
/// # Safety
/// `detections` is NULL or came from onemark_detect or onemark_detect_file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn onemark_detections_free(detections: *mut OnemarkDetections) {
    // SAFETY: promised by the caller.
    unsafe { free(detections) }
}

/// # Safety
/// As for onemark_detect.
unsafe fn detect(
    detector: *const OnemarkDetector,
    detections: *mut *mut OnemarkDetections,
    film: impl FnOnce() -> Result<Film, CallError>,
) -> OnemarkStatus {
    call(|| {
        // SAFETY: promised by the caller.
        let detections = unsafe { target(detections, "detections") }?;
        *detections = ptr::null_mut();
        // SAFETY: promised by the caller.
        let detector = unsafe { reference(detector, "detector") }?;
        let film = film()?;
        let found = OnemarkDetections::new(&detector.detector.detect(&film)?, &film)?;
        *detections = Box::into_raw(Box::new(found));
        Ok(())
    })
}

/// # Safety
/// As for onemark_open.
unsafe fn read_options(options: *const OnemarkOptions) -> Result<Options, CallError> {
    // SAFETY: promised by the caller.
    let Some(options) = (unsafe { options.as_ref() }) else { return Ok(Options::default()) };
    validate_size::<OnemarkOptions>(options.size, "OnemarkOptions")?;
    let mut read = Options::default().with_threads(options.threads as usize);
    if !options.backend.is_null() {
        // SAFETY: promised by the caller.
        read = read.with_backend(unsafe { text(options.backend, "OnemarkOptions.backend") }?.parse()?);
    }
    if !options.decoding.is_null() {
        // SAFETY: promised by the caller.
        read = read.with_decoding(unsafe { text(options.decoding, "OnemarkOptions.decoding") }?.parse()?);
    }
    Ok(read)
}

/// # Safety
/// The pointer is null or came from [`Box::into_raw`].
unsafe fn free<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: promised by the caller.
        drop(unsafe { Box::from_raw(pointer) });
    }
}
