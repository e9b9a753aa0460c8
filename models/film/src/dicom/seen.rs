//! Which words a film's pixels have, how often, and which of them are padding (PS3.3, C.7.5.1.1.2).

use std::ops::RangeInclusive;

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::header::Header;
use crate::content::reach;

/// One word per possible value of 16 bits.
const WORDS: usize = 1 << 16;

/// One in this many pixels, at either end, does not count for [`Seen::spread`]: marks and dead pixels.
const SPREAD_TAIL: u64 = 200;

/// The words that a film's pixels have.
pub(super) struct Seen {
    /// The greatest of them.
    pub(super) greatest: u16,
    /// How many pixels have each word.
    counts: Vec<u32>,
    /// Whether each word up to the greatest is padding: what lies outside of the picture. It is shown black and counts for nothing.
    padding: Vec<bool>,
}

impl Seen {
    pub(super) fn of(film: &InMemDicomObject, header: &Header, stored: &[u16]) -> Self {
        let mut counts = vec![0; WORDS];
        for word in stored {
            counts[usize::from(*word)] += 1;
        }
        let greatest = (0..=u16::MAX).rev().find(|word| counts[usize::from(*word)] > 0).unwrap_or_default();
        let stated = padding(film, header);
        let is_padding = |word| {
            let numbers = [header.number(word, header.bits_allocated), header.value(word)];
            stated.as_ref().is_some_and(|padding| numbers.iter().any(|number| padding.contains(number)))
        };
        let mut seen = Self { greatest, counts, padding: (0..=greatest).map(is_padding).collect() };
        // A film of nothing but padding would be black: then it can't be padding.
        if seen.words().next().is_none() {
            seen.padding.fill(false);
        }
        seen
    }

    pub(super) fn is_padding(&self, word: u16) -> bool {
        self.padding[usize::from(word)]
    }

    /// The words of the picture, without padding.
    pub(super) fn words(&self) -> impl Iterator<Item = u16> {
        (0..=self.greatest).filter(|word| self.counts[usize::from(*word)] > 0 && !self.is_padding(*word))
    }

    /// How many grey levels lie between the darkest and the brightest pixels of the picture, if each word has the level of `levels`.
    pub(super) fn spread(&self, levels: &[u8]) -> u8 {
        let mut pixels = [0_u64; 256];
        for word in self.words() {
            pixels[usize::from(levels[usize::from(word)])] += u64::from(self.counts[usize::from(word)]);
        }
        let [darkest, brightest] = reach(&pixels, pixels.iter().sum::<u64>() / SPREAD_TAIL);
        brightest.saturating_sub(darkest)
    }
}

/// The numbers that are padding, if the file states any.
fn padding(film: &InMemDicomObject, header: &Header) -> Option<RangeInclusive<i32>> {
    // Stated as signed or unsigned, whatever the pixels are.
    let number = |tag| Some(header.number(film.get(tag)?.to_int::<i32>().ok()? as u16, u16::BITS));
    let one = number(tags::PIXEL_PADDING_VALUE)?;
    let other = number(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(one);
    Some(one.min(other)..=one.max(other))
}
