//! The radiograph: 8-bit grey pixels and all that is known about them. `read` reads it from files, `resize` makes grids from it.

use std::fmt;
use std::path::Path;

use crate::geometry::Size;
#[cfg(feature = "raster")]
use crate::spacing::is_nearly_square;
use crate::spacing::{Statements, is_same};
use crate::{DicomIdentity, FilmError, FilmWarning, PixelFault, Spacing};

/// The largest number of pixels of a film. The largest detectors in use have about a quarter of this.
pub const MAX_FILM_PIXELS: u64 = 100_000_000;

/// The longest side of a film in px, as far as JPEG, DICOM and most programs go.
pub const MAX_FILM_SIDE: u32 = 65_535;

/// One radiograph: 8-bit grey pixels, at least one of them, and what is known about them.
///
/// `Debug` shows neither pixels nor patient data.
#[derive(Clone, PartialEq)]
pub struct Film {
    size: Size,
    /// Row after row, `size.width` times `size.height`.
    grey: Vec<u8>,
    /// What the file, a dataset and a person state about the spacing; some of the warnings follow from it.
    statements: Statements,
    warnings: Vec<FilmWarning>,
    dicom: Option<DicomIdentity>,
}

impl Film {
    /// A film from 8-bit grey pixels in memory: one byte per pixel, 0 for black and 255 for white, `size.width` times `size.height` of
    /// them. Rows follow each other from the top, each from left to right: pixel (x, y) is `grey[y * width + x]`, as in an array with the
    /// axes [row, column]. The film has no spacing and no warnings. [`Film::from_pixels`] takes pixels of more bits, with a window, or
    /// in rows with padding, and looks at what they show.
    ///
    /// ```
    /// use onemark_film::Film;
    /// use onemark_film::geometry::Size;
    ///
    /// // Two rows of three pixels.
    /// let film = Film::from_grey(Size { width: 3, height: 2 }, vec![0, 128, 255, 10, 20, 30])?;
    /// assert_eq!((film.width(), film.height()), (3, 2));
    /// let (x, y) = (1, 1);
    /// assert_eq!(film.grey()[y * 3 + x], 20);
    /// assert_eq!(film.spacing(), None);
    /// # Ok::<(), onemark_film::FilmError>(())
    /// ```
    ///
    /// # Errors
    /// - [`FilmError::ZeroSize`]: a side is 0 px;
    /// - [`FilmError::TooLarge`]: more than [`MAX_FILM_PIXELS`], or a side longer than [`MAX_FILM_SIDE`];
    /// - [`FilmError::Pixels`]: there is not one byte per pixel.
    pub fn from_grey(size: Size, grey: Vec<u8>) -> Result<Self, FilmError> {
        validate_size(size, None)?;
        if size.pixels() != grey.len() as u64 {
            return Err(FilmError::Pixels { reason: PixelFault::Length { found: grey.len(), size } });
        }
        let statements = Statements::default();
        Ok(Self { size, grey, statements, warnings: Vec::new(), dicom: None })
    }

    /// The same film with the information that a file states about it.
    #[cfg(feature = "dicom")]
    pub(crate) fn with_statements(
        self,
        spacing: crate::spacing::FileStatement,
        warnings: Vec<FilmWarning>,
        dicom: DicomIdentity,
    ) -> Self {
        let statements = Statements { file: spacing, ..Statements::default() };
        Self { statements, warnings, dicom: Some(dicom), ..self }.resolved()
    }

    /// The same film with the resolution that its file states: pixels per unit of length, along x and y.
    #[cfg(feature = "raster")]
    pub(crate) fn with_resolution(mut self, resolution: Option<[f64; 2]>) -> Self {
        self.statements.file.resolution = resolution.filter(|[x, y]| !is_nearly_square(y / x));
        self.resolved()
    }

    /// The same film with these warnings behind its own.
    pub(crate) fn with_warnings(mut self, warnings: Vec<FilmWarning>) -> Self {
        self.warnings.extend(warnings);
        self
    }

    /// The same film with the spacing that a person or a program states, instead of the one that its file states. If the two differ,
    /// or if the spacing can't be right, there is a warning; warnings about the file's spacing are removed.
    ///
    /// ```
    /// use onemark_film::{Film, Spacing, geometry::Size};
    ///
    /// let film = Film::from_grey(Size { width: 400, height: 300 }, vec![0; 120_000])?;
    /// let film = film.with_spacing(Spacing::new(0.1, 0.1, "scanner manual")?);
    /// assert_eq!(film.spacing().map(|spacing| spacing.source()), Some("scanner manual"));
    /// assert!(film.warnings().is_empty());
    /// # Ok::<(), onemark_film::FilmError>(())
    /// ```
    #[must_use]
    pub fn with_spacing(self, spacing: Spacing) -> Self {
        self.with_stated(None, Some(&spacing))
    }

    /// The same film with the spacings that its dataset and a person (or the calling program) state; `None` where they state none.
    /// The person's replaces the dataset's, and the dataset's the file's. Warnings name both where two of the three differ.
    ///
    /// ```
    /// use onemark_film::{Film, Spacing, geometry::Size};
    ///
    /// let film = Film::from_grey(Size { width: 400, height: 300 }, vec![0; 120_000])?;
    /// let (table, person) = (Spacing::new(0.1, 0.1, "spacing.csv")?, Spacing::new(0.2, 0.2, "--spacing")?);
    /// let film = film.with_stated(Some(&table), Some(&person));
    /// assert_eq!(film.spacing(), Some(&person));
    /// assert!(film.warnings()[0].to_string().contains("0.1 x 0.1 mm per px by spacing.csv"));
    /// # Ok::<(), onemark_film::FilmError>(())
    /// ```
    #[must_use]
    pub fn with_stated(mut self, dataset: Option<&Spacing>, person: Option<&Spacing>) -> Self {
        self.statements.dataset = dataset.cloned();
        self.statements.person = person.cloned();
        self.resolved()
    }

    /// The same film with the warnings that follow from the statements before all others.
    fn resolved(mut self) -> Self {
        let warnings = self.statements.warnings(self.size).into_iter().map(FilmWarning::Spacing);
        let others = self.warnings.into_iter().filter(|warning| !warning.is_about_spacing());
        self.warnings = warnings.chain(others).collect();
        self
    }

    /// The size of its pixels, if the file, a dataset or a person states it.
    pub fn spacing(&self) -> Option<&Spacing> {
        self.statements.used()
    }

    /// The spacing by which other programs show the film: ImagerPixelSpacing or NominalScannedPixelSpacing if the file states it, else
    /// the file's spacing. It may differ from [`spacing`](Self::spacing).
    pub fn file_spacing(&self) -> Option<&Spacing> {
        self.statements.file.device.as_ref().or(self.statements.file.spacing.as_ref())
    }

    /// How many times as high as wide a pixel is, if the file states this shape and nobody states a spacing. `None` for square pixels.
    pub fn pixel_aspect(&self) -> Option<f64> {
        let aspect = if self.spacing().is_some() { None } else { self.statements.file.aspect };
        aspect.filter(|aspect| !is_same(*aspect, 1.0))
    }

    /// Patient, study and image, if the film was read from DICOM.
    pub fn dicom(&self) -> Option<&DicomIdentity> {
        self.dicom.as_ref()
    }

    /// What a person should know about how the file was read.
    pub fn warnings(&self) -> &[FilmWarning] {
        &self.warnings
    }

    /// Width and height in px.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Width in px.
    pub fn width(&self) -> u32 {
        self.size.width
    }

    /// Height in px.
    pub fn height(&self) -> u32 {
        self.size.height
    }

    /// The pixels: row after row from the top, each from left to right; 0 is black.
    pub fn grey(&self) -> &[u8] {
        &self.grey
    }
}

/// Shows neither pixels nor patient data, because logs must not contain them.
impl fmt::Debug for Film {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Film")
            .field("size", &self.size)
            .field("spacing", &self.spacing())
            .field("warnings", &self.warnings)
            .field("dicom", &self.dicom)
            .finish_non_exhaustive()
    }
}

/// Checks a film's size before its pixels are decoded. `path` is the path of its file, if it has one.
pub(crate) fn validate_size(size: Size, path: Option<&Path>) -> Result<(), FilmError> {
    let path = path.map(Path::to_owned);
    match size.pixels() {
        0 => Err(FilmError::ZeroSize { path, size }),
        pixels if pixels > MAX_FILM_PIXELS || size.width.max(size.height) > MAX_FILM_SIDE => {
            Err(FilmError::TooLarge { path, size })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn pixels_must_fit_the_size_and_errors_name_no_file() {
        let refused = |width, height, grey| Film::from_grey(Size { width, height }, grey).unwrap_err().to_string();
        assert_eq!(refused(0, 7, vec![]), "the film is empty (0x7 px); export it again from its source");
        assert!(refused(20_000, 20_000, vec![]).starts_with("the film is too large: 20000x20000 px"));
        assert!(refused(2, 2, vec![0; 5]).contains("5 bytes, but a film of 2x2 px"));
    }

    #[test]
    fn debug_shows_neither_pixels_nor_patient() {
        let identity = DicomIdentity { patient_name: "Secret^Sarah".into(), ..DicomIdentity::default() };
        let film = Film::from_grey(Size { width: 1, height: 1 }, vec![173]).unwrap();
        let shown = format!("{:?}", Film { dicom: Some(identity), ..film });
        assert!(shown.contains("DicomIdentity") && !shown.contains("Secret") && !shown.contains("173"), "{shown}");
    }
}
