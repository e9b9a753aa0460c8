//! What a detector says about a film. Serialises to the JSON that `onemark detect --json` writes.

use std::str::FromStr;

use onemark_models::geometry::Point;
use serde::Serialize;

/// The landmarks found on one film, and by what.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Detections {
    /// The bundle that was run.
    pub bundle: BundleId,
    /// The backend that ran it.
    pub backend: &'static str,
    /// The film's size.
    pub film: FilmSize,
    /// How large a pixel is, where somebody stated it.
    pub spacing: Option<Spacing>,
    /// The landmarks, in the order of their numbers.
    pub landmarks: Vec<Detection>,
}

/// One landmark on one film.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Detection {
    /// Position in the landmark set, from 1.
    pub number: usize,
    /// Short name: "posterior-nasal-spine".
    pub name: String,
    /// Name for people: "Posterior nasal spine".
    pub title: String,
    /// The best cell of the network's grid: row, then column.
    pub cell: (usize, usize),
    /// Where it is, in film px from the film's top-left corner.
    pub position: Point,
    /// The same in mm, where the spacing is known.
    pub mm: Option<Millimetres>,
    /// The score there, in [0, 1]: the product of the levels' cosines. It ranks films; it is no probability.
    pub score: f32,
    /// How many standard deviations the cell lies from where the other landmarks expect it, where the bundle carries a prior
    /// over shapes. Beyond 3 or so, somebody should look.
    pub surprise: Option<f64>,
    /// How many windows of the film its fine part was run on, where it was not run on the whole of it.
    pub windows: Option<usize>,
}

/// A place on a film in mm from its top-left corner.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Millimetres {
    /// To the right.
    pub x: f64,
    /// Down.
    pub y: f64,
}

/// Which bundle it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BundleId {
    /// What the bundle calls itself.
    pub name: String,
    /// SHA-256 of its manifest, which holds those of all its files.
    pub sha256: String,
}

/// The size of a film in px.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FilmSize {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
}

/// How large a pixel is, and who says so.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spacing {
    /// mm per px, x then y: both positive.
    pub mm_per_px: [f64; 2],
    /// Where that was stated.
    pub source: String,
}

impl Detections {
    /// The same with positions in mm too.
    #[must_use]
    pub fn with_spacing(mut self, spacing: Spacing) -> Self {
        let [x, y] = spacing.mm_per_px;
        for landmark in &mut self.landmarks {
            landmark.mm = Some(Millimetres { x: landmark.position.x * x, y: landmark.position.y * y });
        }
        self.spacing = Some(spacing);
        self
    }
}

/// Reads `MM` or `X,Y`, as `--spacing` takes it.
impl FromStr for Spacing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse().ok().filter(|mm: &f64| mm.is_finite() && *mm > 0.0);
        let (x, y) = text.split_once(',').unwrap_or((text, text));
        match (number(x), number(y)) {
            (Some(x), Some(y)) => Ok(Self { mm_per_px: [x, y], source: "--spacing".into() }),
            _ => Err("give mm per pixel, one positive number or two (x,y)".into()),
        }
    }
}
