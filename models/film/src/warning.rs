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
    /// WindowCenter and WindowWidth are not two numbers, so all values are shown, from the darkest to the brightest.
    UnreadableWindow,
    /// The window shows almost nothing of the pixels, so all values are shown, from the darkest to the brightest.
    WindowBesideData {
        /// The centre in the file.
        centre: f64,
        /// The width in the file.
        width: f64,
    },
    /// The VOI lookup table shows almost nothing of the pixels, so all values are shown, from the darkest to the brightest.
    TableBesideData,
    /// One value is far from all others, and nothing says what becomes black and white. It counts for neither.
    FarValue {
        /// The value.
        value: f64,
        /// The smallest and the largest of the others.
        others: [f64; 2],
    },
    /// RescaleSlope and RescaleIntercept can't be used, so the stored values are shown.
    UnusableRescale,
    /// Some pixels have bits above those that BitsStored states. They were ignored.
    UnusedBits {
        /// BitsStored in the file.
        stored: u32,
    },
    /// PixelData is longer than Rows and Columns explain, by one row or more. The rest was ignored.
    MorePixelData {
        /// Its length in bytes.
        found: usize,
        /// The length that is explained, in bytes.
        expected: usize,
    },
    /// The file meta information names another encoding of the attributes than the first attribute shows.
    ContradictedEncoding {
        /// The encoding that is named.
        stated: &'static str,
        /// The encoding that was found and used.
        used: &'static str,
    },
    /// The modality is not one of radiographs.
    OtherModality {
        /// The code of the modality, such as CT.
        modality: String,
    },
    /// The film holds the numbers of the detector, not the grey that people read.
    ForProcessing,
    /// PatientOrientation says that the film is turned. It was left as it is.
    NotUpright {
        /// The side of the patient towards which the film's columns run, from top to bottom: not the feet.
        towards: &'static str,
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
            Self::UnreadableWindow => f.write_str(
                "its WindowCenter and WindowWidth are not two numbers, so its darkest pixel is black and its brightest white",
            ),
            Self::WindowBesideData { centre, width } => write!(
                f,
                "its window ({centre} {width}) shows almost nothing of its pixels, so its darkest pixel is black and its brightest \
                 white"
            ),
            Self::TableBesideData => f.write_str(
                "its VOI lookup table shows almost nothing of its pixels, so its darkest pixel is black and its brightest white",
            ),
            Self::FarValue { value, others: [least, most] } => write!(
                f,
                "one of its values, {value}, is far from all others, of which {least} is shown black and {most} white; it may be \
                 padding that the file does not state"
            ),
            Self::UnusableRescale => f.write_str(
                "its RescaleSlope and RescaleIntercept can't be used, so its stored values are shown; compare it with what a viewer \
                 shows",
            ),
            Self::UnusedBits { stored } => write!(
                f,
                "BitsStored is {stored}, but pixels use higher bits, which were ignored; compare it with what a viewer shows"
            ),
            Self::MorePixelData { found, expected } => write!(
                f,
                "PixelData has {found} bytes where Rows and Columns explain {expected}, so the rest was ignored; compare it with what \
                 a viewer shows"
            ),
            Self::ContradictedEncoding { stated, used } => {
                write!(f, "its header says {stated}, but its attributes are written in {used}, which was followed")
            }
            Self::OtherModality { modality } => {
                write!(f, "its modality is {modality}, so it may be no radiograph; use films of the kind that the bundle is made for")
            }
            Self::ForProcessing => f.write_str(
                "it holds the numbers of the detector (FOR PROCESSING), not the grey that people read; use the film FOR PRESENTATION",
            ),
            Self::NotUpright { towards } => write!(
                f,
                "PatientOrientation says that its columns run towards the patient's {towards}, not towards the feet: the film is not \
                 upright; turn it, or check the points"
            ),
        }
    }
}
