//! The scales at which the network sees a film.

use std::fmt;
use std::ops::{Index, IndexMut};

/// A scale: level `n` has cells of `2^n` x `2^n` cells of the grid. 1 is the finest, 5 the coarsest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(u8);

impl Level {
    /// All levels, in the order in which [`PerLevel`] holds them: 5 to 1.
    pub const COARSE_TO_FINE: [Level; 5] = [Level(5), Level(4), Level(3), Level(2), Level(1)];

    /// The level with this number, 1 to 5.
    pub fn new(number: usize) -> Option<Self> {
        Self::COARSE_TO_FINE.into_iter().find(|level| level.number() == number)
    }

    /// Its number, 1 to 5.
    pub fn number(self) -> usize {
        usize::from(self.0)
    }

    /// The side of its cells, in cells of the grid.
    pub fn stride(self) -> usize {
        1 << self.0
    }

    /// Its index in [`Level::COARSE_TO_FINE`].
    fn place(self) -> usize {
        Self::COARSE_TO_FINE.len() - self.number()
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One `T` for each level, the coarsest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerLevel<T>([T; Level::COARSE_TO_FINE.len()]);

impl<T> PerLevel<T> {
    /// Makes each level's entry, the coarsest first.
    pub fn from_fn(make: impl FnMut(Level) -> T) -> Self {
        Self(Level::COARSE_TO_FINE.map(make))
    }

    /// Makes each level's entry, the coarsest first.
    ///
    /// # Errors
    /// The first that `make` returns.
    pub fn try_from_fn<E>(mut make: impl FnMut(Level) -> Result<T, E>) -> Result<Self, E> {
        let [a, b, c, d, e] = Level::COARSE_TO_FINE;
        Ok(Self([make(a)?, make(b)?, make(c)?, make(d)?, make(e)?]))
    }

    /// The levels with their entries, the coarsest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Level, &T)> {
        Level::COARSE_TO_FINE.into_iter().zip(&self.0)
    }
}

impl<T> Index<Level> for PerLevel<T> {
    type Output = T;

    fn index(&self, level: Level) -> &T {
        &self.0[level.place()]
    }
}

impl<T> IndexMut<Level> for PerLevel<T> {
    fn index_mut(&mut self, level: Level) -> &mut T {
        &mut self.0[level.place()]
    }
}

impl<T> IntoIterator for PerLevel<T> {
    type Item = (Level, T);
    type IntoIter = std::iter::Zip<std::array::IntoIter<Level, 5>, std::array::IntoIter<T, 5>>;

    fn into_iter(self) -> Self::IntoIter {
        Level::COARSE_TO_FINE.into_iter().zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn entries_are_found_by_level() {
        let numbers = PerLevel::from_fn(Level::number);
        assert!(Level::COARSE_TO_FINE.into_iter().all(|level| numbers[level] == level.number()));
        assert_eq!(numbers.iter().map(|(_, number)| *number).collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
        assert_eq!((Level::new(3).unwrap().stride(), Level::new(0), Level::new(6)), (8, None, None));
    }
}
