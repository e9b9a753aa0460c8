//! Warnings about how a film was read. A person should know them before relying on positions and distances.

use std::fmt;

use crate::SpacingWarning;
use crate::visible::excerpt;

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
        /// VOILUTFunction in the file; empty if it has none.
        function: String,
        /// The centre in the file.
        centre: f64,
        /// The width in the file.
        width: f64,
    },
}

impl FilmWarning {
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
            Self::UnusableWindow { function, centre, width } => write!(
                f,
                "its window ({} {centre} {width}) can't be used, so its darkest pixel is black and its brightest white",
                excerpt(function)
            ),
        }
    }
}
