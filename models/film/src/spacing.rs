//! The size of a film's pixels in mm, and the source that states it.
//!
//! The film's file may state it, the dataset to which the film belongs, and a person (or the program that calls this one). A person's
//! statement replaces that of a dataset, and a dataset's that of the file. Where two of them differ by more than rounding, and where
//! the spacing can't be right, there is a [`SpacingWarning`]. `rule` has all of this, for every command and binding;
//! `dicom::spacing` reads what a file states.

mod rule;
mod warning;

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::FilmError;
use crate::geometry::Point;

#[cfg(feature = "dicom")]
pub(crate) use rule::FileStatement;
#[cfg(feature = "raster")]
pub(crate) use rule::is_nearly_square;
pub(crate) use rule::{Statements, is_same};
pub use warning::SpacingWarning;
#[cfg(feature = "dicom")]
pub(crate) use warning::{
    IMAGER_PIXEL_SPACING, MAGNIFICATION, NOMINAL_SCANNED_PIXEL_SPACING, PIXEL_ASPECT_RATIO, PIXEL_SPACING,
};

/// The sides in mm that a pixel may have, with a wide margin: no detector and no unit leads to others.
pub(crate) const PIXEL_MM: RangeInclusive<f64> = 1e-6..=1e6;

/// The source of a spacing that a person took from a ruler on the film.
const RULER: &str = "a person (ruler)";
/// The shortest line on a film that gives a spacing, in px. Each end of a line may be a px off.
const SHORTEST_RULER_PX: f64 = 10.0;

/// The size of a film's pixels, and the source that states it.
// Its description is part of the published schema: the example is at `new`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Spacing {
    /// mm per px, x then y: both positive.
    mm_per_px: [f64; 2],
    /// The source: an attribute of the file, a document or a person.
    source: Cow<'static, str>,
}

impl Spacing {
    /// A spacing of `x` mm per px to the right and `y` mm per px down. `source` states where that comes from: an
    /// attribute of the file, a document or a person.
    ///
    /// ```
    /// use onemark_film::Spacing;
    ///
    /// let spacing = Spacing::new(0.1, 0.12, "scanner manual")?;
    /// assert_eq!((spacing.x(), spacing.y(), spacing.source()), (0.1, 0.12, "scanner manual"));
    /// assert!(Spacing::new(0.1, 0.0, "scanner manual").is_err());
    /// # Ok::<(), onemark_film::FilmError>(())
    /// ```
    ///
    /// # Errors
    /// [`FilmError::Spacing`] unless both are from 1e-6 to 1e6 mm: no pixel has other sides.
    pub fn new(x: f64, y: f64, source: impl Into<Cow<'static, str>>) -> Result<Self, FilmError> {
        if PIXEL_MM.contains(&x) && PIXEL_MM.contains(&y) {
            Ok(Self { mm_per_px: [x, y], source: source.into() })
        } else {
            Err(FilmError::Spacing { x, y })
        }
    }

    /// Reads a spacing in mm per px as a person writes it: one number for square pixels, or two as `x,y`.
    ///
    /// ```
    /// use onemark_film::Spacing;
    ///
    /// let square = Spacing::parse("0.1", "given by the user")?;
    /// assert_eq!((square.x(), square.y()), (0.1, 0.1));
    /// let oblong = Spacing::parse("0.1, 0.2", "given by the user")?;
    /// assert_eq!((oblong.x(), oblong.y()), (0.1, 0.2));
    /// assert!(Spacing::parse("0.1 mm", "given by the user").is_err());
    /// // 1.5 with a decimal comma, or pixels of 1 x 5 mm?
    /// assert!(Spacing::parse("1,5", "given by the user").is_err());
    /// # Ok::<(), onemark_film::FilmError>(())
    /// ```
    ///
    /// # Errors
    /// [`FilmError::DecimalComma`] for two whole numbers with a comma between them, [`FilmError::SpacingText`] for any other text, and
    /// for numbers that [`Spacing::new`] refuses.
    pub fn parse(text: &str, source: impl Into<Cow<'static, str>>) -> Result<Self, FilmError> {
        let number = |text: &str| text.trim().parse::<f64>().ok();
        let (x, y) = text.split_once(',').unwrap_or((text, text));
        let is_whole = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        if text.contains(',') && is_whole(x.trim_start()) && is_whole(y.trim_end()) {
            return Err(FilmError::DecimalComma {
                whole: x.trim_start().to_owned(),
                decimals: y.trim_end().to_owned(),
            });
        }
        let spacing = number(x).zip(number(y)).and_then(|(x, y)| Self::new(x, y, source).ok());
        spacing.ok_or_else(|| FilmError::SpacingText { text: text.to_owned() })
    }

    /// The spacing of square pixels by a ruler on the film: a line between two points, and its length in mm as a person states it.
    /// It is rounded to five digits, more than a person can point at.
    ///
    /// ```
    /// use onemark_film::{Spacing, geometry::Point};
    ///
    /// let spacing = Spacing::from_ruler(Point::new(100.0, 50.0), Point::new(400.0, 450.0), 60.0)?;
    /// assert_eq!(spacing.to_string(), "0.12 x 0.12 mm per px by a person (ruler)");
    /// assert!(Spacing::from_ruler(Point::new(100.0, 50.0), Point::new(101.0, 50.0), 60.0).is_err());
    /// # Ok::<(), onemark_film::FilmError>(())
    /// ```
    ///
    /// # Errors
    /// [`FilmError::Ruler`] if the line is shorter than 10 px, or the length is not positive or gives pixels that [`Spacing::new`]
    /// refuses.
    pub fn from_ruler(from: Point, to: Point, mm: f64) -> Result<Self, FilmError> {
        let px = from.distance_px(to);
        let exact = mm / px;
        let side = format!("{exact:.4e}").parse().unwrap_or(exact);
        let spacing = Self::new(side, side, RULER).ok().filter(|_| px >= SHORTEST_RULER_PX);
        spacing.ok_or(FilmError::Ruler { px, mm })
    }

    /// Whether it was taken from a ruler on the film.
    pub fn is_from_ruler(&self) -> bool {
        self.source == RULER
    }

    /// mm per px to the right.
    pub const fn x(&self) -> f64 {
        self.mm_per_px[0]
    }

    /// mm per px down.
    pub const fn y(&self) -> f64 {
        self.mm_per_px[1]
    }

    /// The source that states the spacing.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether two spacings are the same but for rounding: they differ by at most a thousandth, along both axes. Their sources do not
    /// matter.
    ///
    /// ```
    /// use onemark_film::Spacing;
    ///
    /// let ruler = Spacing::new(0.1, 0.1, "a ruler")?;
    /// assert!(ruler.agrees_with(&Spacing::new(0.1, 0.1000003, "PixelSpacing")?));
    /// assert!(!ruler.agrees_with(&Spacing::new(0.1, 0.11, "PixelSpacing")?));
    /// # Ok::<(), onemark_film::FilmError>(())
    /// ```
    pub fn agrees_with(&self, other: &Self) -> bool {
        is_same(self.x(), other.x()) && is_same(self.y(), other.y())
    }
}

/// The spacing with its source, as all results state it.
///
/// ```
/// use onemark_film::Spacing;
///
/// assert_eq!(Spacing::new(0.1, 0.2, "a ruler")?.to_string(), "0.1 x 0.2 mm per px by a ruler");
/// # Ok::<(), onemark_film::FilmError>(())
/// ```
impl fmt::Display for Spacing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {} mm per px by {}", self.x(), self.y(), self.source)
    }
}

/// Applies the rule of [`Spacing::new`].
impl<'de> Deserialize<'de> for Spacing {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Stated {
            mm_per_px: [f64; 2],
            source: String,
        }
        let Stated { mm_per_px: [x, y], source } = Stated::deserialize(deserializer)?;
        Self::new(x, y, source).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_positive_finite_numbers_are_a_spacing() {
        for (x, y) in [(0.1, 0.0), (-0.1, 0.1), (f64::NAN, 0.1), (0.1, f64::INFINITY), (1e-300, 1e300)] {
            let error = Spacing::new(x, y, "a test").unwrap_err().to_string();
            assert!(error.contains("a spacing of") && error.len() < 120, "{error}");
            let json = serde_json::json!({ "mm_per_px": [x, y], "source": "a test" });
            assert!(serde_json::from_value::<Spacing>(json).is_err(), "{x} {y}");
        }
    }

    #[test]
    fn a_text_that_is_not_a_spacing_is_quoted() {
        for text in ["", "0", "-0.1", "NaN", "inf", "0.1,", "0.1,0", "0.1,0.2,0.3", "0.1 mm"] {
            let error = Spacing::parse(text, "a test").unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn a_ruler_gives_square_pixels_or_says_what_is_wrong() {
        let ruler = |px: f64, mm| Spacing::from_ruler(Point::new(5.0, 5.0), Point::new(5.0, 5.0 + px), mm);
        let third = ruler(300.0, 100.0).unwrap();
        assert_eq!((third.x(), third.y(), third.is_from_ruler()), (0.33333, 0.33333, true));
        assert!(!Spacing::new(0.1, 0.1, "PixelSpacing").unwrap().is_from_ruler());
        for (px, mm) in
            [(0.0, 10.0), (9.0, 10.0), (100.0, 0.0), (100.0, -1.0), (100.0, f64::NAN), (f64::NAN, 1.0), (10.0, 1e9)]
        {
            let error = ruler(px, mm).unwrap_err().to_string();
            assert!(error.contains("draw a line of at least 10 px"), "{error}");
        }
    }

    #[test]
    fn a_decimal_comma_is_refused_with_both_meanings() {
        for (text, [point, pair]) in
            [("1,5", ["1.5", "1.0,5.0"]), ("0,15", ["0.15", "0.0,15.0"]), (" 600,600 ", ["600.600", "600.0,600.0"])]
        {
            let error = Spacing::parse(text, "a test").unwrap_err().to_string();
            assert!(error.contains(&format!("write {point} ")) && error.contains(&format!("or {pair} ")), "{error}");
        }
        for text in ["1,5.0", "1.0,5", "1, 5", "1e0,5e0"] {
            assert_eq!(Spacing::parse(text, "a test").map(|spacing| (spacing.x(), spacing.y())).unwrap(), (1.0, 5.0));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(x in 1e-6..1e6_f64, y in 1e-6..1e6_f64) {
            let spacing = Spacing::new(x, y, "a test").unwrap();
            prop_assert_eq!(&Spacing::parse(&format!("{x:?},{y:?}"), "a test").unwrap(), &spacing);
            let json = serde_json::to_value(&spacing).unwrap();
            prop_assert_eq!(&json, &serde_json::json!({ "mm_per_px": [x, y], "source": "a test" }));
            prop_assert_eq!(serde_json::from_value::<Spacing>(json).unwrap(), spacing);
        }

        #[test]
        fn no_text_gives_a_spacing_that_new_refuses(text in "[-+0-9.,eNainf ]{0,12}") {
            if let Ok(spacing) = Spacing::parse(&text, "a test") {
                prop_assert!(Spacing::new(spacing.x(), spacing.y(), "a test").is_ok());
            }
        }
    }
}
