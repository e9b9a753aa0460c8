//! Warnings about how a film was read. A person should know them before relying on positions and distances.

use std::fmt;

use crate::SpacingWarning;
use crate::geometry::Size;
use crate::visible::{excerpt, short};

/// A warning about how a film was read. `Display` gives the sentence in results.
///
/// ```
/// use onemark_film::{FilmWarning, SpacingWarning};
///
/// let warning = FilmWarning::Spacing(SpacingWarning::NoSpacing);
/// assert!(warning.is_about_spacing());
/// assert!(warning.to_string().contains("positions are in pixels only"));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FilmWarning {
    /// About the size of the film's pixels.
    Spacing(SpacingWarning),
    /// PresentationLUTShape contradicts PhotometricInterpretation, which was used.
    ContradictedPolarity {
        /// PresentationLUTShape in the file.
        stated: String,
        /// PhotometricInterpretation: MONOCHROME1 or MONOCHROME2.
        used: &'static str,
    },
    /// The window cannot be used, so all values are shown, from the darkest to the brightest.
    UnusableWindow {
        /// VOILUTFunction in the file; empty if it has none, which means LINEAR.
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
    /// A lookup table can't be read, so it was left out.
    UnusableTable {
        /// The attribute that holds it: ModalityLUTSequence or VOILUTSequence.
        attribute: &'static str,
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
    /// An orientation is stated where viewers mostly do not look for it. The film was left as it is.
    UnfollowedOrientation {
        /// What states it, such as "XMP".
        place: &'static str,
        /// The orientation, from 1 to 8, as in Exif.
        tag: u8,
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
    /// The last rows in the file are all one grey, as if the end of the file were lost. Most BMP store the upper rows last.
    LastRows {
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
    /// Whether the film shows nothing at all, so that no landmark can be found on it.
    ///
    /// ```
    /// use onemark_film::FilmWarning;
    ///
    /// assert!(FilmWarning::OneGrey { grey: 0, others: 0 }.shows_nothing());
    /// assert!(!FilmWarning::Colours.shows_nothing());
    /// ```
    pub fn shows_nothing(&self) -> bool {
        matches!(self, Self::OneGrey { .. } | Self::Small { .. })
    }

    /// Whether the warning is about the film's spacing. What is said about the file's spacing no longer applies when a person states
    /// another one.
    ///
    /// ```
    /// use onemark_film::geometry::Size;
    /// use onemark_film::{Film, Spacing};
    ///
    /// // 2 px of 30 mm are as long as a film can be; 2 px of 0.1 mm are not.
    /// let film = Film::from_grey(Size { width: 2, height: 2 }, vec![0; 4])?;
    /// assert!(film.clone().with_spacing(Spacing::new(30.0, 30.0, "a ruler")?).warnings().is_empty());
    /// assert!(film.with_spacing(Spacing::new(0.1, 0.1, "a ruler")?).warnings()[0].is_about_spacing());
    /// # Ok::<(), onemark_film::FilmError>(())
    /// ```
    pub fn is_about_spacing(&self) -> bool {
        matches!(self, Self::Spacing(_))
    }
}

impl fmt::Display for FilmWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spacing(warning) => warning.fmt(f),
            Self::ContradictedPolarity { stated, used } => {
                let stated = excerpt(stated);
                write!(f, "PresentationLUTShape {stated} contradicts {used}, which was used; check that bone is bright")
            }
            Self::UnusableWindow { function, centre, width } => {
                let [centre, width] = [*centre, *width].map(short);
                let function = if function.is_empty() { "not stated".into() } else { excerpt(function) };
                write!(
                    f,
                    "its window (WindowCenter {centre}, WindowWidth {width}, VOILUTFunction {function}) can't be used, so its darkest pixel is \
                     black and its brightest white; compare it with what a viewer shows"
                )
            }
            Self::UnreadableWindow => f.write_str(
                "its WindowCenter and WindowWidth are not two numbers, so its darkest pixel is black and its brightest white",
            ),
            Self::WindowBesideData { centre, width } => write!(
                f,
                "its window ({} {}) shows almost nothing of its pixels, so its darkest pixel is black and its brightest white",
                short(*centre),
                short(*width)
            ),
            Self::UnusableTable { attribute } => write!(
                f,
                "the lookup table in its {attribute} can't be used, so it was left out; compare it with what a viewer shows"
            ),
            Self::TableBesideData => f.write_str(
                "its VOI lookup table shows almost nothing of its pixels, so its darkest pixel is black and its brightest white",
            ),
            Self::FarValue { value, others: [least, most] } => write!(
                f,
                "one of its values, {}, is far from all others, of which {} is shown black and {} white; it may be padding that the \
                 file does not state",
                short(*value),
                short(*least),
                short(*most)
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
            Self::UnfollowedOrientation { place, tag } => {
                write!(f, "its {place} states the orientation {tag}, which was not followed: check that it is upright")
            }
            Self::OneGrey { grey, others: 0 } => write!(f, "all of it is one grey ({grey}): it shows nothing"),
            Self::OneGrey { grey, others } => {
                write!(f, "all but {others} of its pixels are one grey ({grey}): it shows nothing")
            }
            Self::LittleContrast { darkest, brightest } => {
                write!(f, "its greys reach from {darkest} to {brightest} only, of 0 to 255: it shows nearly nothing")
            }
            Self::LastRows { rows, of, grey } => write!(
                f,
                "the last {rows} of the {of} rows in its file are all one grey ({grey}): check that no part of it is missing"
            ),
            Self::Small { size } => write!(f, "it has {size} px: too few to show anything"),
            Self::Colours => f.write_str("it has colours, which became grey: check that it is a radiograph"),
            Self::Transparent => f.write_str("it has transparent pixels, which are read as if they were not"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FilmWarning::*;
    use super::*;

    /// docs/FORMATS.md has a row for every warning, in the same words.
    #[test]
    fn the_document_has_every_warning() {
        let document = include_str!("../../../docs/FORMATS.md");
        let size = Size { width: 322, height: 400 };
        let warnings = [
            ContradictedPolarity { stated: "INVERSE".into(), used: "MONOCHROME2" },
            UnusableWindow { function: String::new(), centre: 2048.0, width: 0.0 },
            UnreadableWindow,
            WindowBesideData { centre: 40.0, width: 400.0 },
            UnusableTable { attribute: "VOILUTSequence" },
            TableBesideData,
            FarValue { value: 65_535.0, others: [0.0, 3960.0] },
            UnusableRescale,
            UnusedBits { stored: 12 },
            MorePixelData { found: 200, expected: 180 },
            ContradictedEncoding { stated: "implicit VR", used: "explicit VR" },
            OtherModality { modality: "CT".into() },
            ForProcessing,
            NotUpright { towards: "head" },
            FewerBits { brightest: 4095, bits: 12, brighter: 0 },
            FewerBits { brightest: 4095, bits: 12, brighter: 5 },
            Turned { tag: 6, size },
            UnfollowedOrientation { place: "XMP", tag: 6 },
            OneGrey { grey: 0, others: 0 },
            OneGrey { grey: 0, others: 7 },
            LittleContrast { darkest: 100, brightest: 114 },
            LastRows { rows: 200, of: 400, grey: 0 },
            Small { size: Size { width: 1, height: 1 } },
            Colours,
            Transparent,
        ];
        for warning in warnings {
            // A warning that is added here is added to the list above. docs/SPACING.md has those about spacing.
            match &warning {
                Spacing(_) | ContradictedPolarity { .. } | UnusableWindow { .. } | UnreadableWindow => {}
                WindowBesideData { .. } | UnusableTable { .. } | TableBesideData | FarValue { .. } => {}
                UnusableRescale | UnusedBits { .. } | MorePixelData { .. } | ContradictedEncoding { .. } => {}
                OtherModality { .. } | ForProcessing | NotUpright { .. } | FewerBits { .. } | Turned { .. } => {}
                UnfollowedOrientation { .. } | OneGrey { .. } | LittleContrast { .. } | LastRows { .. } => {}
                Small { .. } | Colours | Transparent => {}
            }
            assert!(document.contains(&format!("| {warning} |")), "docs/FORMATS.md has no row for: {warning}");
        }
    }
}
