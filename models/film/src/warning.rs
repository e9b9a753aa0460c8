//! Warnings about how a film was read. A person should know them before relying on positions and distances.

use std::fmt;

/// The name of DICOM's attribute for distances in the patient.
pub(crate) const PIXEL_SPACING: &str = "PixelSpacing";
/// The name of DICOM's attribute for distances at the detector.
pub(crate) const IMAGER_PIXEL_SPACING: &str = "ImagerPixelSpacing";

/// A warning about how a film was read. `Display` gives the sentence in results.
///
/// ```
/// use onemark_film::FilmWarning;
///
/// let warning = FilmWarning::NoSpacing;
/// assert!(warning.is_about_spacing());
/// assert!(warning.to_string().contains("positions are in pixels only"));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FilmWarning {
    /// An attribute states something other than the size of a pixel, so it was not used.
    UnusableSpacing {
        /// The attribute's name in DICOM.
        attribute: &'static str,
        /// Its text in the file.
        stated: String,
    },
    /// Only ImagerPixelSpacing is stated. It applies at the detector, and the patient is nearer to the X-ray source.
    DetectorSpacing,
    /// PixelSpacing repeats ImagerPixelSpacing, and no calibration is stated.
    UncalibratedSpacing,
    /// No usable spacing is stated.
    NoSpacing,
    /// PresentationLUTShape contradicts PhotometricInterpretation, which was used.
    ContradictedPolarity {
        /// PresentationLUTShape in the file.
        stated: String,
        /// PhotometricInterpretation: MONOCHROME1 or MONOCHROME2.
        used: &'static str,
    },
    /// The window cannot be used, so all values are shown, from the darkest to the brightest.
    UnusableWindow {
        /// VOILUTFunction in the file; empty if it has none.
        function: String,
        /// The centre in the file.
        centre: f64,
        /// The width in the file.
        width: f64,
    },
}

impl FilmWarning {
    /// Whether the warning no longer applies when a person states the spacing.
    ///
    /// ```
    /// use onemark_film::geometry::Size;
    /// use onemark_film::{Film, Spacing};
    ///
    /// let film = Film::from_grey(Size { width: 2, height: 1 }, vec![0, 255])?.with_spacing(Spacing::new(0.1, 0.1, "a ruler")?);
    /// assert!(!film.warnings().iter().any(|warning| warning.is_about_spacing()));
    /// # Ok::<(), onemark_film::FilmError>(())
    /// ```
    pub fn is_about_spacing(&self) -> bool {
        matches!(
            self,
            Self::UnusableSpacing { .. } | Self::DetectorSpacing | Self::UncalibratedSpacing | Self::NoSpacing
        )
    }
}

impl fmt::Display for FilmWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnusableSpacing { attribute, stated } => {
                write!(f, "{attribute} is {stated}, which is not the size of a pixel")
            }
            Self::DetectorSpacing => {
                write!(f, "{IMAGER_PIXEL_SPACING} applies at the detector; distances in the patient are smaller")
            }
            Self::UncalibratedSpacing => write!(
                f,
                "{PIXEL_SPACING} equals {IMAGER_PIXEL_SPACING}, so it applies at the detector; distances in the patient are \
                 smaller"
            ),
            Self::NoSpacing => f.write_str("no usable spacing is stated, so positions are in pixels only"),
            Self::ContradictedPolarity { stated, used } => {
                write!(f, "PresentationLUTShape {stated} contradicts {used}, which was used; check that bone is bright")
            }
            Self::UnusableWindow { function, centre, width } => write!(
                f,
                "its window ({function} {centre} {width}) can't be used, so its darkest pixel is black and its brightest white"
            ),
        }
    }
}
