//! Huffman codes, and the bits of a scan that they are read from.

use super::{Fault, next_marker};

/// The longest code in bits.
const LONGEST: u32 = 16;

/// How many bytes may lie between the last code and the next marker. Encoders need at most one; some write a few more.
const SPARE_BYTES: usize = 16;

/// Huffman codes as a file defines them.
#[derive(Clone, Debug, Default)]
pub(super) struct Codes {
    /// How many codes have 1, 2, … 16 bits.
    pub(super) counts: [u8; LONGEST as usize],
    /// What they stand for, in the order of the codes.
    pub(super) symbols: Vec<u8>,
}

/// For each sequence of 16 bits: the length of the code that it begins with, or 0, and what this code stands for.
pub(super) struct Table(Vec<[u8; 2]>);

impl Table {
    pub(super) fn new(codes: &Codes) -> Result<Self, Fault> {
        let mut table = Vec::with_capacity(1 << LONGEST);
        let mut symbols = codes.symbols.iter();
        for (length, count) in (1_u8..).zip(codes.counts) {
            for symbol in symbols.by_ref().take(count.into()) {
                table.resize(table.len() + (1 << (LONGEST - u32::from(length))), [length, *symbol]);
            }
        }
        if table.is_empty() || table.len() > 1 << LONGEST {
            return Err(Fault::damaged("a table of its JPEG is missing or contradicts itself"));
        }
        table.resize(1 << LONGEST, [0, 0]);
        Ok(Self(table))
    }
}

/// The bits of a scan. They end at the first marker.
pub(super) struct Bits<'a> {
    /// The bytes that are not yet in `buffer`.
    bytes: &'a [u8],
    /// The next bits, the first of them highest.
    buffer: u64,
    count: u32,
}

/// The bits of a scan end before the codes that its pixels need.
#[derive(Debug)]
pub(super) struct Missing;

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, buffer: 0, count: 0 }
    }

    /// Takes bytes until there are more than 56 bits, or a marker follows. A zero byte after FF is there to tell it from a marker.
    fn fill(&mut self) {
        while self.count <= 56 {
            let (byte, rest) = match self.bytes {
                [0xFF, 0, rest @ ..] => (0xFF, rest),
                [0xFF, ..] | [] => return,
                [byte, rest @ ..] => (*byte, rest),
            };
            self.bytes = rest;
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// Passes over at most 48 bits.
    pub(super) fn skip(&mut self, bits: u32) -> Result<(), Missing> {
        self.take(bits).map(|_| ())
    }

    /// The next bits, at most 48, as a number.
    pub(super) fn take(&mut self, bits: u32) -> Result<u64, Missing> {
        if self.count < bits {
            self.fill();
        }
        self.count = self.count.checked_sub(bits).ok_or(Missing)?;
        let taken = self.buffer.checked_shr(64 - bits).unwrap_or(0);
        self.buffer <<= bits;
        Ok(taken)
    }

    /// What the next code stands for.
    pub(super) fn symbol(&mut self, table: &Table) -> Result<u8, Missing> {
        if self.count < LONGEST {
            self.fill();
        }
        let [length, symbol] = table.0.get((self.buffer >> (64 - LONGEST)) as usize).copied().ok_or(Missing)?;
        // Bits that begin no code are damage; they are reported like missing ones.
        if length == 0 {
            return Err(Missing);
        }
        self.skip(length.into())?;
        Ok(symbol)
    }

    /// The marker after the last code and the bytes from there on, marker included. An error if other data lie between.
    pub(super) fn end(self) -> Result<(u8, &'a [u8]), Fault> {
        let skipped = next_marker(self.bytes)?;
        let marker = &self.bytes[skipped..];
        // Any number of FF may precede a marker.
        let fill = self.bytes[..skipped].iter().rev().take_while(|byte| **byte == 0xFF).count();
        let spare = self.count as usize / 8 + skipped - fill;
        if spare > SPARE_BYTES {
            return Err(Fault::damaged(format!("its JPEG has {spare} bytes more than its pixels need")));
        }
        Ok((marker[1], marker))
    }

    /// Passes over the restart marker of this number, from 0 to 7.
    pub(super) fn restart(self, number: u8) -> Result<Self, Fault> {
        let (marker, rest) = self.end()?;
        if marker != 0xD0 + number {
            return Err(Fault::damaged("a part of its JPEG's pixels is missing"));
        }
        Ok(Self::new(&rest[2..]))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn codes_are_read_until_a_marker() {
        // Codes 0, 10 and 110 for 7, 8 and 9.
        let mut codes = Codes { counts: [0; 16], symbols: vec![7, 8, 9] };
        codes.counts[..3].fill(1);
        let table = Table::new(&codes).unwrap();
        // 0 10 110 01, eight ones, then a marker with fill bytes.
        let mut bits = Bits::new(b"\x59\xFF\x00\xFF\xFF\xD9");
        assert_eq!([(); 4].map(|()| bits.symbol(&table).unwrap()), [7, 8, 9, 7]);
        assert_eq!(bits.take(1).unwrap(), 1);
        assert!(bits.symbol(&table).is_err(), "ones begin no code");
        assert_eq!(bits.take(8).unwrap(), 0xFF);
        assert!(bits.take(1).is_err());
        assert_eq!(bits.end().unwrap(), (0xD9, &b"\xFF\xD9"[..]));
    }

    #[test]
    fn codes_that_contradict_themselves_are_refused() {
        let table = |counts: &[u8], symbols: usize| {
            let mut codes = Codes { counts: [0; 16], symbols: vec![0; symbols] };
            codes.counts[..counts.len()].copy_from_slice(counts);
            Table::new(&codes)
        };
        assert!(table(&[3], 3).is_err());
        assert!(table(&[], 0).is_err());
        assert!(table(&[1, 2], 3).is_ok());
    }

    #[test]
    fn bytes_that_no_pixel_needs_are_refused_unless_they_are_few() {
        for (spare, refused) in [(0, false), (SPARE_BYTES, false), (SPARE_BYTES + 1, true)] {
            let bytes = [&vec![0; spare][..], b"\xFF\xFF\xFF\xD9"].concat();
            assert_eq!(Bits::new(&bytes).end().is_err(), refused, "{spare}");
        }
        assert!(Bits::new(&[0; 9]).end().is_err());
    }
}
