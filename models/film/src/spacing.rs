//! The size of a film's pixels in mm, and the source that states it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::FilmError;

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
    /// [`FilmError::Spacing`] unless both are positive and finite.
    pub fn new(x: f64, y: f64, source: impl Into<Cow<'static, str>>) -> Result<Self, FilmError> {
        let is_length = |mm: f64| mm.is_finite() && mm > 0.0;
        if is_length(x) && is_length(y) {
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
    /// # Ok::<(), onemark_film::FilmError>(())
    /// ```
    ///
    /// # Errors
    /// [`FilmError::SpacingText`] for any other text, and for numbers that [`Spacing::new`] refuses.
    pub fn parse(text: &str, source: impl Into<Cow<'static, str>>) -> Result<Self, FilmError> {
        let number = |text: &str| text.trim().parse::<f64>().ok();
        let (x, y) = text.split_once(',').unwrap_or((text, text));
        let spacing = number(x).zip(number(y)).and_then(|(x, y)| Self::new(x, y, source).ok());
        spacing.ok_or_else(|| FilmError::SpacingText { text: text.to_owned() })
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
        for (x, y) in [(0.1, 0.0), (-0.1, 0.1), (f64::NAN, 0.1), (0.1, f64::INFINITY)] {
            let error = Spacing::new(x, y, "a test").unwrap_err().to_string();
            assert!(error.contains("a spacing of"), "{error}");
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

    proptest! {
        #[test]
        fn what_is_written_is_read_again(x in 1e-6..1e6_f64, y in 1e-6..1e6_f64) {
            let spacing = Spacing::new(x, y, "a test").unwrap();
            prop_assert_eq!(&Spacing::parse(&format!("{x},{y}"), "a test").unwrap(), &spacing);
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
