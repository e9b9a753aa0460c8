//! Warnings about how a film was read. A person should know them before relying on positions and distances.

use std::fmt;

use crate::geometry::Size;

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
    /// A film of 16 bits uses fewer of them, so it is read with that many.
    FewerBits {
        /// Its brightest value, but for those that are `brighter`.
        brightest: u16,
        /// The number of bits that it is read with.
        bits: u32,
        /// How many values are 65535, far above all others. They are white.
        brighter: u64,
    },
    /// An orientation tag turns or mirrors the film, as viewers do.
    Turned {
        /// The tag in the file, from 2 to 8.
        tag: u8,
        /// The size of the upright film.
        size: Size,
    },
    /// All pixels are one grey, or nearly all.
    OneGrey {
        /// The grey, from 0 to 255.
        grey: u8,
        /// How many pixels have another one.
        others: u64,
    },
    /// Nearly all pixels have nearly the same grey.
    LittleContrast {
        /// The darkest grey but for a few pixels, from 0 to 255.
        darkest: u8,
        /// The brightest grey but for a few pixels.
        brightest: u8,
    },
    /// The last rows are all one grey, as if the end of the file were lost.
    LowestRows {
        /// How many of them.
        rows: u32,
        /// The film's height in px.
        of: u32,
        /// The grey, from 0 to 255.
        grey: u8,
    },
    /// The film is too small to show anything.
    Small {
        /// Its size.
        size: Size,
    },
    /// The film has colours, which became grey.
    Colours,
    /// The film has pixels that are not opaque. Its alpha channel is left out.
    Transparent,
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
            Self::FewerBits { brightest, bits, brighter: 0 } => {
                write!(f, "its brightest pixel is {brightest} of 65535: it is read as {bits} bits")
            }
            Self::FewerBits { brightest, bits, brighter } => write!(
                f,
                "but for {brighter} pixels of 65535, its brightest pixel is {brightest}: it is read as {bits} bits"
            ),
            Self::Turned { tag, size } => {
                write!(f, "its orientation tag ({tag}) turns it: positions are on the upright film of {size} px")
            }
            Self::OneGrey { grey, others: 0 } => write!(f, "all of it is one grey ({grey}): it shows nothing"),
            Self::OneGrey { grey, others } => {
                write!(f, "all but {others} of its pixels are one grey ({grey}): it shows nothing")
            }
            Self::LittleContrast { darkest, brightest } => {
                write!(f, "its greys reach from {darkest} to {brightest} only, of 0 to 255: it shows nearly nothing")
            }
            Self::LowestRows { rows, of, grey } => write!(
                f,
                "the last {rows} of its {of} rows are all one grey ({grey}): check that no part of it is missing"
            ),
            Self::Small { size } => write!(f, "it has {size} px: too few to show anything"),
            Self::Colours => f.write_str("it has colours, which became grey: check that it is a radiograph"),
            Self::Transparent => f.write_str("it has transparent pixels, which are read as if they were not"),
        }
    }
}
