//! Why a film, its pixels or its spacing is refused. Messages state what is wrong, where, and what to do.

use std::path::{Path, PathBuf};

use crate::film::{MAX_FILM_PIXELS, MAX_FILM_SIDE};
use crate::geometry::{GridSize, Size};
use crate::read::MAX_FILM_BYTES;
use crate::spacing::PIXEL_MM;
use crate::visible::short;

/// Why a film could not be read or resized.
///
/// `Display` does not repeat the operating system's error of [`FilmError::Read`]: it is the
/// [`source`](std::error::Error::source).
///
/// ```
/// use onemark_film::{Film, FilmError};
///
/// let error = Film::from_bytes(b"835,996\n1473,1029\n", "001.txt").unwrap_err();
/// assert!(matches!(error, FilmError::WrongType { looks_like: "a text file", .. }));
/// assert!(error.to_string().starts_with("001.txt is not a film Onemark can read"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "fields without docs have self-explanatory names")]
pub enum FilmError {
    /// The operating system can't read the file.
    #[error("cannot read film {path}")]
    #[non_exhaustive]
    Read { path: PathBuf, source: std::io::Error },
    /// The file has none of the formats that Onemark reads.
    #[error("{path} is not a film Onemark can read: it looks like {looks_like}; {advice}")]
    #[non_exhaustive]
    WrongType {
        path: PathBuf,
        /// What the content looks like.
        looks_like: &'static str,
        advice: &'static str,
    },
    /// The program was compiled without the reader of this format (see the crate's features).
    #[error(
        "cannot read film {path}: this build does not read {format}; save it in another format, or use another build"
    )]
    #[non_exhaustive]
    NotCompiled { path: PathBuf, format: &'static str },
    /// The file ends too early or its content contradicts its header.
    #[error("film {path} is damaged or cut short ({reason}); copy or export it again from its source")]
    #[non_exhaustive]
    Damaged {
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// The file is intact, but Onemark does not read its content as a film.
    #[error("{path} is not read as a film: {what}; {advice}")]
    #[non_exhaustive]
    Unsupported {
        path: PathBuf,
        /// The unsupported content.
        what: String,
        advice: &'static str,
    },
    /// The film has more than [`MAX_FILM_PIXELS`], or a side longer than [`MAX_FILM_SIDE`].
    #[error(
        "{} is too large: {size} px, and at most {MAX_FILM_PIXELS} px in all and {MAX_FILM_SIDE} px a side are read; export it at a \
         lower resolution",
        film(path.as_deref())
    )]
    #[non_exhaustive]
    TooLarge {
        /// The film's file; `None` for pixels in memory.
        path: Option<PathBuf>,
        size: Size,
    },
    /// The file has more bytes than a film of [`MAX_FILM_PIXELS`] can need.
    #[error(
        "film {path} is too large: its file has {bytes} bytes, and at most {MAX_FILM_BYTES} bytes are read; export it at a lower \
         resolution"
    )]
    #[non_exhaustive]
    FileTooLarge {
        path: PathBuf,
        /// Its size in bytes.
        bytes: u64,
    },
    /// The film has no pixels.
    #[error("{} is empty ({size} px); export it again from its source", film(path.as_deref()))]
    #[non_exhaustive]
    ZeroSize {
        /// The film's file; none for pixels in memory.
        path: Option<PathBuf>,
        /// The size, which has a side of 0.
        size: Size,
    },
    /// Pixels in memory contradict their description.
    #[error("the pixel buffer does not match its description: {reason}")]
    #[non_exhaustive]
    Pixels {
        /// How they contradict it.
        reason: PixelFault,
    },
    /// No pixel has these sides.
    #[error(
        "a spacing of {} x {} mm per px cannot be used; both must be from {} to {} mm",
        short(*x), short(*y), short(*PIXEL_MM.start()), short(*PIXEL_MM.end())
    )]
    #[non_exhaustive]
    Spacing {
        /// mm per px to the right.
        x: f64,
        /// mm per px down.
        y: f64,
    },
    /// A line on the film, and the length that a person states for it, give no spacing.
    #[error(
        "a ruler of {} px and {} mm gives no spacing; draw a line of at least 10 px, and state its length in mm",
        short(*px), short(*mm)
    )]
    #[non_exhaustive]
    Ruler {
        /// The length of the line in px.
        px: f64,
        /// Its length in mm, as a person states it.
        mm: f64,
    },
    /// A text does not state a spacing.
    #[error("{text:?} is not a spacing in mm per pixel; give one positive number or two (x,y)")]
    #[non_exhaustive]
    SpacingText { text: String },
    /// Two whole numbers with a comma between them, which may be a decimal comma.
    #[error(
        "\"{whole},{decimals}\" has two meanings; write {whole}.{decimals} for pixels of that many mm, \
         or {whole}.0,{decimals}.0 for pixels of {whole} x {decimals} mm"
    )]
    #[non_exhaustive]
    DecimalComma {
        /// The digits before the comma.
        whole: String,
        /// The digits after the comma.
        decimals: String,
    },
    /// The grid has no cells or too many (see [`Film::resized`](crate::Film::resized)).
    #[error("cannot resize a film to {height}x{width} cells ({reason}); check the input size of the recipe or bundle",
        height = grid.height, width = grid.width)]
    #[non_exhaustive]
    Grid {
        grid: GridSize,
        /// What is wrong with it.
        reason: String,
    },
}

/// How pixels in memory contradict their description (see [`Pixels`](crate::Pixels)).
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum PixelFault {
    /// The stated number of bits is impossible: a pixel of one byte has 8 bits, a pixel of two bytes 8 to 16.
    #[error("{bits} bits per pixel are stated, and {allowed} are possible")]
    Bits { bits: u32, allowed: &'static str },
    /// The window's numbers are infinite or NaN, or its width is below 1.
    #[error("a window of {} values around {} can't be used; the width must be at least 1", short(*width), short(*centre))]
    Window { centre: f64, width: f64 },
    /// The stride is smaller than a row, so rows would overlap.
    #[error("a stride of {stride} bytes is too small; a row of {width} px has {row} bytes")]
    Stride { stride: usize, width: u32, row: usize },
    /// The buffer ends before the end of the last row.
    #[error("{found} bytes are too few for {rows} rows with a stride of {stride} bytes")]
    TooFewBytes { found: usize, rows: u32, stride: usize },
    /// The buffer has more or fewer bytes than the film has pixels.
    #[error("{found} bytes, but a film of {size} px needs one per pixel")]
    Length { found: usize, size: Size },
    /// A value is larger than its bits allow.
    #[error("a value of {value} is too large for pixels of {bits} bits")]
    Value { value: u16, bits: u32 },
}

/// The name of a film in a message.
fn film(path: Option<&Path>) -> String {
    path.map_or_else(|| "the film".to_owned(), |path| format!("film {}", path.display()))
}
