//! Looks at pixels for what makes all landmarks guesses: a film that is all one grey, or whose end is missing.

use crate::FilmWarning;
use crate::geometry::Size;

/// Films with a side below this show nothing, in px.
#[cfg(feature = "raster")]
const SMALL_SIDE: u32 = 16;
/// The least difference between dark and bright, in grey levels.
const LEAST_CONTRAST: u8 = 16;
/// One in this many pixels may be darker than what counts as dark, and one may be brighter than what counts as bright. Fewer than one in
/// this many may differ from a film's only grey.
const FEW: u64 = 100;
/// The least height of a film whose last rows are looked at, in px.
const LEAST_ROWS: u32 = 32;

/// Which rows of a film its file stores last.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "each reader is a feature")]
pub(crate) enum LastRows {
    Lower,
    Upper,
}

/// Warnings about the pixels of a film, as its file has them. `last_rows`: which rows are stored last, if pixels are stored as they are;
/// coded ones were checked when they were decoded.
pub(crate) fn cautions(size: Size, grey: &[u8], last_rows: Option<LastRows>) -> Vec<FilmWarning> {
    let counts = count(grey);
    let levels = (0..=u8::MAX).zip(counts);
    let Some((grey_level, most)) = levels.max_by_key(|(_, count)| *count) else { return Vec::new() };
    let total = grey.len() as u64;
    if (total - most) * FEW < total {
        return vec![FilmWarning::OneGrey { grey: grey_level, others: total - most }];
    }
    let mut warnings = Vec::new();
    let [darkest, brightest] = reach(&counts, total / FEW);
    if brightest.saturating_sub(darkest) < LEAST_CONTRAST {
        warnings.push(FilmWarning::LittleContrast { darkest, brightest });
    }
    warnings.extend(last_rows.and_then(|last| one_grey_at_the_end(size, grey, last)));
    warnings
}

/// How many pixels have each level.
fn count(grey: &[u8]) -> [u64; 256] {
    // Four tables, because neighbours are often equal, and a processor waits for one sum before it adds to it again.
    let mut tables = [[0_u64; 256]; 4];
    let (fours, rest) = grey.as_chunks::<4>();
    for four in fours {
        for (table, level) in tables.iter_mut().zip(four) {
            table[usize::from(*level)] += 1;
        }
    }
    for level in rest {
        tables[0][usize::from(*level)] += 1;
    }
    std::array::from_fn(|level| tables.iter().map(|table| table[level]).sum())
}

/// The darkest and the brightest level of a film, but for `few` pixels at either end. `counts`: how many pixels have each level.
pub(crate) fn reach(counts: &[u64; 256], few: u64) -> [u8; 2] {
    let levels = || (0..=u8::MAX).zip(*counts);
    [first_beyond(levels(), few), first_beyond(levels().rev(), few)]
}

/// The first level at which more than `few` pixels are reached.
fn first_beyond(mut levels: impl Iterator<Item = (u8, u64)>, few: u64) -> u8 {
    let mut reached = 0;
    let level = levels.find(|(_, count)| {
        reached += count;
        reached > few
    });
    level.map_or(0, |(level, _)| level)
}

/// A warning if a quarter of the rows or more, up to the one that is stored last, are one grey.
fn one_grey_at_the_end(size: Size, grey: &[u8], last: LastRows) -> Option<FilmWarning> {
    let (last, pixels) = match last {
        LastRows::Lower => repeated(grey.iter().rev()),
        LastRows::Upper => repeated(grey.iter()),
    }?;
    let rows = (pixels / size.width.max(1) as usize) as u32;
    let many = size.height >= LEAST_ROWS && rows >= size.height / 4;
    many.then_some(FilmWarning::LastRows { rows, of: size.height, grey: last })
}

/// The first grey, and how often it comes before the first other one.
fn repeated<'a>(mut greys: impl Iterator<Item = &'a u8>) -> Option<(u8, usize)> {
    let first = greys.next()?;
    Some((*first, 1 + greys.take_while(|grey| *grey == first).count()))
}

/// A warning about a film that is too small to show anything.
#[cfg(feature = "raster")]
pub(crate) fn small(size: Size) -> Option<FilmWarning> {
    (size.width.min(size.height) < SMALL_SIDE).then_some(FilmWarning::Small { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 40, height: 40 };

    fn film(grey: impl Fn(usize, usize) -> u8) -> Vec<u8> {
        (0..1600).map(|at| grey(at % 40, at / 40)).collect()
    }

    fn said(grey: &[u8], plain: bool) -> Vec<String> {
        said_of(grey, plain.then_some(LastRows::Lower))
    }

    fn said_of(grey: &[u8], last_rows: Option<LastRows>) -> Vec<String> {
        cautions(SIZE, grey, last_rows).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn films_that_show_nothing_are_named() {
        assert_eq!(said(&film(|_, _| 7), true), ["all of it is one grey (7): it shows nothing"]);
        let label = film(|x, y| if x < 3 && y < 5 { 255 } else { 0 });
        assert_eq!(said(&label, true), ["all but 15 of its pixels are one grey (0): it shows nothing"]);
        let noise = film(|x, y| 100 + ((x * 7 + y * 13) % 15) as u8);
        assert_eq!(said(&noise, true), ["its greys reach from 100 to 114 only, of 0 to 255: it shows nearly nothing"]);
    }

    #[test]
    fn films_that_show_something_are_not() {
        assert_eq!(said(&film(|x, y| (x + y) as u8), true), [""; 0]);
        // A film in black surroundings.
        assert_eq!(said(&film(|x, y| if x < 20 && y < 30 { (x * y) as u8 } else { 0 }), false), [""; 0]);
    }

    #[test]
    fn lost_rows_are_named_where_they_go_unnoticed() {
        let half = film(|x, y| if y < 20 { (x + 5 * y) as u8 } else { 0 });
        assert_eq!(
            said(&half, true),
            ["the last 20 of the 40 rows in its file are all one grey (0): check that no part of it is missing"]
        );
        assert_eq!(said(&half, false), [""; 0]);
        // The lower half is stored first.
        assert_eq!(said_of(&half, Some(LastRows::Upper)), [""; 0]);
        let upside_down: Vec<u8> = half.iter().rev().copied().collect();
        assert_eq!(said_of(&upside_down, Some(LastRows::Upper)), said(&half, true));
        assert_eq!(said(&upside_down, true), [""; 0]);
    }
}
