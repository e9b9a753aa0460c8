//! Events of a run for the program that started it. The library itself prints nothing.

use std::fmt;

use onemark_film::Size;

use crate::report::profile::Profile;

/// Receives the events of a run.
pub trait Observer {
    /// Handles an event.
    fn observe(&self, event: Event);
}

/// Something that happens in a run.
#[non_exhaustive]
pub enum Event<'a> {
    /// A long computation has come this far.
    Progress {
        /// The computation, in words.
        task: &'a str,
        /// Parts done.
        done: usize,
        /// All parts.
        total: usize,
        /// The mean loss of the steps so far, where the computation takes steps.
        loss: Option<f64>,
    },
    /// A computation that reported progress has ended.
    Ended {
        /// The computation, in words.
        task: &'a str,
    },
    /// The trunk's features of all films and copies are known.
    Features {
        /// Number of films and copies.
        samples: usize,
        /// Time that they took, in seconds.
        seconds: f64,
    },
    /// Pseudo-labels are inferred without a shape prior because there are too few films to fit one.
    NoShapePrior {
        /// Number of films.
        films: usize,
        /// Number of films that a shape prior needs.
        needed: usize,
    },
    /// Joints only turn on copies of an annotated film, because its spacing is not known.
    JointsOnlyTurn,
    /// The training of a committee's member begins.
    Member {
        /// Its number, from 1.
        number: usize,
        /// Number of members.
        members: usize,
    },
    /// All members are trained.
    Agreement(&'a Agreement),
    /// An epoch has ended.
    Epoch(&'a EpochReport),
    /// Where the time of an epoch went.
    Profile(&'a Profile),
    /// The training films have several sizes: each size with the number of its films.
    Sizes(&'a [(Size, usize)]),
    /// A time budget is shorter than what a run takes at least.
    ShortBudget {
        /// What it takes at least, with the fewest copies, epochs and steps, in minutes.
        minutes: f64,
    },
}

/// The result of an epoch. Its `Display` is the line in a checkpoint's history.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EpochReport {
    /// The phase's name.
    pub phase: String,
    /// The epoch's number in its phase, from 1.
    pub epoch: usize,
    /// The phase's number of epochs.
    pub epochs: usize,
    /// The mean loss of its steps.
    pub loss: f64,
    /// The error where it is known.
    pub validation: Validation,
    /// Time that it took, in seconds.
    pub seconds: f64,
}

impl fmt::Display for EpochReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { phase, epoch, epochs, loss, validation, seconds } = self;
        write!(f, "phase {phase}, epoch {epoch}/{epochs}: loss {loss:.3}, {validation}, {seconds:.0} s")
    }
}

/// How far the members of a committee find a landmark from their middle: the median over the films. Its `Display` is a line in the
/// checkpoint's history.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Agreement {
    /// The landmarks' titles.
    pub titles: Vec<String>,
    /// Of each landmark, in cells of the network's grid.
    pub cells: Vec<f64>,
    /// Millimetres per cell on the template, if its spacing is known.
    pub mm_per_cell: Option<f64>,
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, each) = self.mm_per_cell.map_or(("cells", 1.0), |mm| ("mm", mm));
        let mean = self.cells.iter().sum::<f64>() / self.cells.len().max(1) as f64;
        write!(f, "committee: members lie {:.2} {unit} from their middle; farthest apart at", mean * each)?;
        let mut order: Vec<usize> = (0..self.cells.len()).collect();
        order.sort_by(|a, b| self.cells[*b].total_cmp(&self.cells[*a]));
        for (rank, index) in order.iter().take(3).enumerate() {
            let comma = if rank == 0 { "" } else { "," };
            write!(f, "{comma} {} ({:.2})", self.titles[*index], self.cells[*index] * each)?;
        }
        Ok(())
    }
}

/// The error of the network as it stands, where it is known.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Validation {
    /// Where it was measured.
    pub judged: Judged,
    /// The mean error, in cells of the network's grid; NaN if no landmark can be judged.
    pub cells: f64,
    /// The mean error, in mm, if the spacing of the films is known.
    pub mm: Option<f64>,
}

/// Where the error is measured, and on how many of them.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Judged {
    /// On bent copies of the template that no step trains on.
    Copies(usize),
    /// On each template by the vectors of the others; steps train on all of them.
    EachOther(usize),
    /// On annotated films that no step trains on as such.
    Films(usize),
}

impl Judged {
    /// Number of samples.
    pub fn count(self) -> usize {
        let (Self::Copies(count) | Self::EachOther(count) | Self::Films(count)) = self;
        count
    }
}

impl fmt::Display for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { judged, cells, mm } = self;
        if cells.is_nan() {
            return f.write_str("no error known: no landmark is annotated on two films");
        }
        match mm {
            Some(mm) => write!(f, "{mm:.2} mm off")?,
            None => write!(f, "{cells:.2} cells off")?,
        }
        match judged {
            Judged::Copies(_) => f.write_str(" on copies of the template itself (other films: more)"),
            Judged::EachOther(count) => write!(f, " on the {count} annotated films by each other (other films: more)"),
            Judged::Films(1) => f.write_str(" on the annotated film that it does not train on"),
            Judged::Films(count) => write!(f, " on {count} annotated films that it does not train on"),
        }
    }
}
