//! Walks over the codes of one scan, as a decoder does (ITU T.81, F.2 and G.2; lossless: H.2), without keeping what they say.

use super::bits::{Bits, Codes, Missing, Table};
use super::{BLOCK, Coding, Component, Fault, Frame};

/// What a scan says: some numbers of all blocks of some components.
pub(super) struct Scan {
    parts: Vec<Part>,
    /// The first and the last number of each block, in zigzag order. 0 is the mean.
    first: usize,
    last: usize,
    /// Progressive coding: the scan adds one bit to numbers that are known.
    refines: bool,
    /// The number of units between two restart markers, or 0.
    restart: usize,
}

/// A component in a scan.
struct Part {
    /// Its place among the frame's components.
    component: usize,
    /// Codes for means, or for the samples of a lossless JPEG.
    mean: Option<Table>,
    /// Codes for the other numbers.
    others: Option<Table>,
}

impl Scan {
    /// Reads a scan's header (ITU T.81, B.2.3), and notes in `frame` what the scan says.
    pub(super) fn read(body: &[u8], frame: &mut Frame, codes: &[[Codes; 4]; 2], restart: usize) -> Result<Self, Fault> {
        let wrong = || Fault::damaged("the header of a scan of its JPEG contradicts itself");
        let (count, rest) = body.split_first().ok_or_else(wrong)?;
        let (parts, rest) = rest.split_at_checked(2 * usize::from(*count)).ok_or_else(wrong)?;
        let [first, last, bits] = rest.first_chunk::<3>().ok_or_else(wrong)?;
        let (high, low) = (bits >> 4, bits & 15);
        let (first, last) = match frame.coding {
            Coding::Progressive => (usize::from(*first), usize::from(*last)),
            Coding::Sequential => (0, BLOCK - 1),
            Coding::Lossless => (0, 0),
        };
        let (refines, low) = if frame.coding == Coding::Progressive { (high != 0, low) } else { (false, 0) };
        // Means have scans of their own in progressive coding; other numbers have one component in a scan.
        let mixed = frame.coding == Coding::Progressive && (first == 0) != (last == 0);
        if !(1..=4).contains(count) || last >= BLOCK || first > last || mixed || first > 0 && *count > 1 {
            return Err(wrong());
        }
        let mut scan = Self { parts: Vec::new(), first, last, refines, restart };
        for [id, tables] in parts.as_chunks::<2>().0 {
            let component = frame.components.iter().position(|component| component.id == *id).ok_or_else(wrong)?;
            if scan.parts.iter().any(|part| part.component == component) {
                return Err(wrong());
            }
            frame.components[component].note(first, last, refines, low)?;
            let table = |class: usize, number: u8| Table::new(codes[class].get(usize::from(number)).ok_or_else(wrong)?);
            let mean = (first == 0 && !refines).then(|| table(0, tables >> 4)).transpose()?;
            let others = (last > 0).then(|| table(1, tables & 15)).transpose()?;
            scan.parts.push(Part { component, mean, others });
        }
        Ok(scan)
    }

    /// The number of blocks that the scan passes over.
    pub(super) fn blocks(&self, frame: &Frame) -> usize {
        let blocks = self.parts.iter().map(|part| frame.blocks(&frame.components[part.component]));
        blocks.map(|(columns, rows)| columns * rows).sum()
    }

    /// Passes over the codes of the scan; what follows them begins with a marker.
    pub(super) fn walk<'a>(&self, frame: &mut Frame, data: &'a [u8]) -> Result<&'a [u8], Fault> {
        // The blocks of one component alone lie row after row; those of several are mixed in units.
        let alone = self.parts.len() == 1;
        let (columns, rows) = match self.parts.as_slice() {
            [part] => frame.blocks(&frame.components[part.component]),
            _ => frame.units(),
        };
        let mut bits = Bits::new(data);
        let mut skipped_blocks = 0;
        let (mut until_restart, mut restarts) = (self.restart, 0_u8);
        for row in 0..rows {
            for column in 0..columns {
                if self.restart > 0 && until_restart == 0 {
                    bits = bits.restart(restarts)?;
                    (until_restart, restarts, skipped_blocks) = (self.restart, (restarts + 1) % 8, 0);
                }
                until_restart = until_restart.saturating_sub(1);
                for part in &self.parts {
                    let component = &mut frame.components[part.component];
                    let (h, v) = if alone { (1, 1) } else { component.factors };
                    for y in 0..v {
                        for x in 0..h {
                            let at = (row * v + y) * component.stride + column * h + x;
                            let nonzero = component.nonzero.get_mut(at);
                            self.block(part, nonzero, &mut bits, &mut skipped_blocks, frame.coding).map_err(
                                |Missing| {
                                    // Beyond 32 bits for a lossless film.
                                    let [done, all] =
                                        [row * columns + column, rows * columns].map(|units| units as u64);
                                    let share = 100 * done / all;
                                    Fault::damaged(format!(
                                        "its JPEG has sound data of the first {share} % of its pixels only"
                                    ))
                                },
                            )?;
                        }
                    }
                }
            }
        }
        let (mut marker, mut rest) = bits.end()?;
        // Some encoders write a restart marker after the last unit too, where nothing restarts.
        while matches!(marker, 0xD0..=0xD7) {
            (marker, rest) = Bits::new(&rest[2..]).end()?;
        }
        Ok(rest)
    }

    /// Passes over the codes of one block. `skipped_blocks` counts the blocks from here on that have no codes.
    fn block(
        &self,
        part: &Part,
        nonzero: Option<&mut u64>,
        bits: &mut Bits<'_>,
        skipped_blocks: &mut u64,
        coding: Coding,
    ) -> Result<(), Missing> {
        if let Some(table) = &part.mean {
            let size = bits.symbol(table)?;
            // A lossless difference of 2^15 needs no further bits.
            let size = if coding == Coding::Lossless && size == 16 { 0 } else { u32::from(size) };
            if size > 16 {
                return Err(Missing);
            }
            bits.skip(size)?;
        } else if self.first == 0 {
            return bits.skip(1);
        }
        match (&part.others, nonzero) {
            (None, _) => Ok(()),
            (Some(table), None) => sequential(table, bits),
            (Some(table), Some(nonzero)) if self.refines => self.refine(table, nonzero, bits, skipped_blocks),
            (Some(table), Some(nonzero)) => self.spectrum(table, nonzero, bits, skipped_blocks),
        }
    }

    /// The first bits of some numbers of a block (ITU T.81, G.1.2.2).
    fn spectrum(
        &self,
        table: &Table,
        nonzero: &mut u64,
        bits: &mut Bits<'_>,
        skipped_blocks: &mut u64,
    ) -> Result<(), Missing> {
        if *skipped_blocks > 0 {
            *skipped_blocks -= 1;
            return Ok(());
        }
        let mut at = self.first;
        while at <= self.last {
            let symbol = bits.symbol(table)?;
            let (run, size) = (usize::from(symbol >> 4), symbol & 15);
            if size == 0 && run < 15 {
                *skipped_blocks = (1 << run) - 1 + bits.take(run as u32)?;
                return Ok(());
            }
            at += run;
            if size > 0 {
                if at > self.last {
                    return Err(Missing);
                }
                bits.skip(size.into())?;
                *nonzero |= 1 << at;
            }
            at += 1;
        }
        Ok(())
    }

    /// One more bit of some numbers of a block (ITU T.81, G.1.2.3).
    fn refine(
        &self,
        table: &Table,
        nonzero: &mut u64,
        bits: &mut Bits<'_>,
        skipped_blocks: &mut u64,
    ) -> Result<(), Missing> {
        let mut at = self.first;
        if *skipped_blocks == 0 {
            while at <= self.last {
                let symbol = bits.symbol(table)?;
                let (mut zeros, new) = (usize::from(symbol >> 4), symbol & 15);
                if new == 0 && zeros < 15 {
                    *skipped_blocks = (1 << zeros) + bits.take(zeros as u32)?;
                    break;
                }
                bits.skip(new.into())?;
                // Each known number on the way to the new one has its bit here.
                while at <= self.last {
                    if *nonzero >> at & 1 == 1 {
                        bits.skip(1)?;
                    } else if zeros == 0 {
                        break;
                    } else {
                        zeros -= 1;
                    }
                    at += 1;
                }
                if new != 0 {
                    if at > self.last {
                        return Err(Missing);
                    }
                    *nonzero |= 1 << at;
                }
                at += 1;
            }
        }
        if *skipped_blocks > 0 {
            for at in at..=self.last {
                bits.skip((*nonzero >> at & 1) as u32)?;
            }
            *skipped_blocks -= 1;
        }
        Ok(())
    }
}

/// All numbers of a block but its mean (ITU T.81, F.2.2.2).
fn sequential(table: &Table, bits: &mut Bits<'_>) -> Result<(), Missing> {
    let mut at = 1;
    while at < BLOCK {
        let symbol = bits.symbol(table)?;
        let (run, size) = (usize::from(symbol >> 4), symbol & 15);
        if size == 0 && run < 15 {
            return Ok(());
        }
        at += run + 1;
        bits.skip(size.into())?;
    }
    if at > BLOCK { Err(Missing) } else { Ok(()) }
}

impl Component {
    /// Notes that a scan says the numbers from `first` to `last` but for their lowest bits.
    fn note(&mut self, first: usize, last: usize, refines: bool, low: u8) -> Result<(), Fault> {
        for missing in self.missing.iter_mut().take(last + 1).skip(first) {
            // Each later scan says one bit, and a first scan comes once.
            let expected = if refines { missing.and_then(|missing| missing.checked_sub(1)) } else { Some(low) };
            if expected != Some(low) || missing.is_some() != refines {
                return Err(Fault::damaged("the scans of its JPEG contradict each other"));
            }
            *missing = Some(low);
        }
        Ok(())
    }
}
