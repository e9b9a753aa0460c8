//! Why a reader refuses a file, without the file's name.

use std::path::Path;

use crate::FilmError;
use crate::visible::cut;

/// What to do about a picture that is not read.
pub(crate) const SAVE_AS_GREY: &str = "save it as grey PNG or TIFF of 8 or 16 bits";

/// The longest reason in a message, in characters. Decoders repeat what files say.
const LONGEST: usize = 300;

/// Why a file is refused.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    /// The file ends too early or contradicts itself: how.
    Damaged(String),
    /// The file has something that is not read: what it has, and what to do.
    Unsupported(String, &'static str),
}

impl Fault {
    pub(crate) fn damaged(reason: impl Into<String>) -> Self {
        Self::Damaged(reason.into())
    }

    /// A file that is not read, with the advice to save it as a grey picture.
    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(what.into(), SAVE_AS_GREY)
    }

    /// The error for the film of this name. Nothing that a file says is shown unescaped or in full length.
    pub(crate) fn at(self, name: &Path) -> FilmError {
        let (path, shown) = (name.to_owned(), |text: &str| cut(text, LONGEST).into_owned());
        match self {
            Self::Damaged(reason) => FilmError::Damaged { path, reason: shown(&reason) },
            Self::Unsupported(what, advice) => FilmError::Unsupported { path, what: shown(&what), advice },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_is_escaped_and_cut() {
        let text = format!("\x1b[2J{}", "x".repeat(70_000));
        for fault in [Fault::damaged(text.clone()), Fault::unsupported(text)] {
            let said = fault.at("film.png".as_ref()).to_string();
            assert!(said.contains(r"\u{1b}[2Jxxx") && said.contains('…') && said.len() < 500, "{said}");
        }
    }
}
