//! Warnings about a film's spacing: millimetres that may be wrong, and why there are none.

use std::fmt;

use super::Spacing;
use crate::visible::excerpt;
use crate::visible::short;

/// The name of DICOM's attribute for distances in the patient.
pub(crate) const PIXEL_SPACING: &str = "PixelSpacing";
/// The name of DICOM's attribute for distances at the detector.
pub(crate) const IMAGER_PIXEL_SPACING: &str = "ImagerPixelSpacing";
/// The name of DICOM's attribute for distances on a film that was scanned.
pub(crate) const NOMINAL_SCANNED_PIXEL_SPACING: &str = "NominalScannedPixelSpacing";
/// The name of DICOM's attribute for the shape of pixels.
pub(crate) const PIXEL_ASPECT_RATIO: &str = "PixelAspectRatio";
/// The name of DICOM's attribute for how many times as large as in the patient everything is at the detector.
pub(crate) const MAGNIFICATION: &str = "EstimatedRadiographicMagnificationFactor";

/// A warning about a film's spacing. `Display` gives the sentence in results.
///
/// ```
/// use onemark_film::{Film, FilmWarning, Size, Spacing, SpacingWarning};
///
/// // The size of a pixel in micrometres, where millimetres are due.
/// let film = Film::from_grey(Size { width: 9, height: 9 }, vec![0; 81])?.with_spacing(Spacing::new(600.0, 600.0, "a form")?);
/// let [FilmWarning::Spacing(warning)] = film.warnings() else { return Err("no warning".into()) };
/// assert!(matches!(warning, SpacingWarning::ImpossibleFilm { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SpacingWarning {
    /// An attribute about the size of pixels states something else, so it was not used.
    Unusable {
        /// The attribute's name in DICOM.
        attribute: &'static str,
        /// The numbers in the file; empty if it has text instead. Text is not repeated, because it may be a name.
        stated: String,
    },
    /// Only ImagerPixelSpacing is stated. It applies at the detector, and the patient is nearer to the X-ray source.
    AtDetector,
    /// Only NominalScannedPixelSpacing is stated. It applies on the film that was scanned, where everything is larger too.
    OnScannedFilm,
    /// PixelSpacing repeats ImagerPixelSpacing or NominalScannedPixelSpacing, and no calibration is stated.
    Uncalibrated {
        /// The name of the repeated attribute in DICOM.
        repeats: &'static str,
    },
    /// The file states by how much the film magnifies the patient. This is an estimate, and it is not used.
    Magnified {
        /// What states it, with its numbers.
        stated: String,
        /// The size of a pixel in the patient that follows from it, in mm: x, then y. `None` if the spacing may allow for it already.
        corrected_mm: Option<[f64; 2]>,
    },
    /// No usable spacing is stated.
    NoSpacing,
    /// Two statements differ by more than rounding.
    Differ {
        /// The spacing that is used.
        used: Spacing,
        /// The spacing that is not used.
        other: Spacing,
    },
    /// With this spacing, the film would be smaller or larger than any film.
    ImpossibleFilm {
        /// The spacing that is used.
        spacing: Spacing,
        /// The film's sides with it, in mm: to the right, then down.
        sides_mm: [f64; 2],
        /// The shortest and the longest side of films, in mm.
        possible_mm: [f64; 2],
    },
    /// The spacing is 1 x 1 mm, which many programs write where they know none.
    Unit {
        /// The spacing that is used.
        spacing: Spacing,
    },
    /// One side of a pixel is more than twice as long as the other.
    Oblong {
        /// The spacing that is used.
        spacing: Spacing,
    },
    /// A pixel is larger than at the detector or on the scanned film, where everything is larger than in the patient.
    LargerThanAtDevice {
        /// The spacing that is used.
        spacing: Spacing,
        /// The spacing of the detector or of the scanned film.
        device: Spacing,
    },
    /// The spacing contradicts PixelAspectRatio.
    ContradictedAspect {
        /// The spacing that is used.
        spacing: Spacing,
        /// How many times as high as wide a pixel is by PixelAspectRatio.
        aspect: f64,
    },
    /// By the resolution tags of the file, pixels are not square, and the spacing, if there is one, has not their shape.
    NotSquare {
        /// Pixels per unit of length, along x and y.
        px_per_unit: [f64; 2],
    },
}

impl fmt::Display for SpacingWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable { attribute, stated } => {
                let stated = if stated.is_empty() { "text instead of numbers".into() } else { excerpt(stated) };
                let what = match *attribute {
                    PIXEL_ASPECT_RATIO => "the shape of a pixel",
                    MAGNIFICATION => "a magnification",
                    _ => "the size of a pixel",
                };
                write!(f, "{attribute} is {stated}, which is not {what}")
            }
            Self::AtDetector => {
                write!(f, "{IMAGER_PIXEL_SPACING} applies at the detector; distances in the patient are smaller")
            }
            Self::OnScannedFilm => write!(
                f,
                "{NOMINAL_SCANNED_PIXEL_SPACING} applies on the scanned film; distances in the patient are smaller"
            ),
            Self::Uncalibrated { repeats } => {
                let place = if *repeats == IMAGER_PIXEL_SPACING { "at the detector" } else { "on the scanned film" };
                write!(
                    f,
                    "{PIXEL_SPACING} equals {repeats}, so it applies {place}; distances in the patient are smaller"
                )
            }
            Self::Magnified { stated, corrected_mm: Some([x, y]) } => write!(
                f,
                "{stated}: by this estimate, which was not used, a pixel has {x:.4} x {y:.4} mm in the patient"
            ),
            Self::Magnified { stated, corrected_mm: None } => {
                write!(f, "{stated}; whether {PIXEL_SPACING} allows for it is not stated")
            }
            Self::NoSpacing => f.write_str("no usable spacing is stated, so positions are in pixels only"),
            Self::Differ { used, other } => {
                write!(f, "{used} was used, but {other} is stated too; check which is right")
            }
            Self::ImpossibleFilm { spacing, sides_mm: [wide, high], possible_mm: [least, most] } => write!(
                f,
                "{spacing} would make the film {wide:.1} x {high:.1} mm; radiographs have sides of {least} to {most} mm"
            ),
            Self::Unit { spacing } => {
                write!(f, "{spacing} is what many programs write where they know no spacing; check it")
            }
            Self::Oblong { spacing } => write!(f, "pixels of {spacing} are far from square; check both numbers"),
            Self::LargerThanAtDevice { spacing, device } => {
                write!(f, "{spacing} is larger than {device}; in the patient, a pixel can only be smaller")
            }
            Self::ContradictedAspect { spacing, aspect } => write!(
                f,
                "{spacing} contradicts {PIXEL_ASPECT_RATIO}, by which a pixel is {} times as high as wide",
                short(*aspect)
            ),
            Self::NotSquare { px_per_unit: [x, y] } => write!(
                f,
                "its resolution tags state {} px to the right and {} px down for the same length, so its pixels may not be square; check \
                 their shape, and state the size of a pixel in x and y",
                short(*x),
                short(*y)
            ),
        }
    }
}
