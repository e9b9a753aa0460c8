//! A landmark's scores on one film, which may be known in part only.

use ndarray::Array2;
use onemark_film::geometry::Cell;

use crate::RuntimeError;
use crate::partial_scores::PartialScores;

/// A landmark's scores on one film, axes [row, column].
pub(crate) enum Scores<'a> {
    /// All of them, by the whole head.
    Whole(Array2<f32>),
    /// Those of the windows that were run, and bounds elsewhere.
    Windowed(Box<PartialScores<'a>>),
}

impl Scores<'_> {
    /// The scores where they are known, elsewhere upper bounds.
    pub(crate) fn upper(&self) -> &Array2<f32> {
        match self {
            Self::Whole(scores) => scores,
            Self::Windowed(field) => field.upper(),
        }
    }

    /// Whether the score of a cell is known.
    pub(crate) fn is_known(&self, cell: Cell) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Windowed(field) => field.is_known(cell),
        }
    }

    /// Computes the score of a cell, and of those around it.
    pub(crate) fn compute(&mut self, cell: Cell) -> Result<(), RuntimeError> {
        match self {
            Self::Whole(_) => Ok(()),
            Self::Windowed(field) => field.compute(cell),
        }
    }

    /// In how many windows the head was run, if it was not run on the whole film.
    pub(crate) fn windows(&self) -> Option<usize> {
        match self {
            Self::Whole(_) => None,
            Self::Windowed(field) => Some(field.opened()),
        }
    }
}
