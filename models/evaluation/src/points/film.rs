//! Which film points belong to.

use std::path::Path;

use onemark_film::{Film, Size, has_film_extension};
use onemark_models::files::sha256;

use super::{FilmPoints, Form, PointsError};
use crate::table::said;

/// What is known about the film that points were placed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilmIdentity {
    /// Its file's name, without folders.
    pub name: Option<String>,
    /// Its size in px.
    pub size: Option<Size>,
    /// SHA-256 of its grey values, row by row, as 64 lower-case hexadecimal digits.
    pub sha256: Option<String>,
}

impl FilmIdentity {
    /// All about a film that was read from the file `path`.
    ///
    /// ```
    /// use onemark_evaluation::points::FilmIdentity;
    /// use onemark_film::{Film, geometry::Size};
    ///
    /// let film = Film::from_grey(Size { width: 3, height: 1 }, b"abc".to_vec())?;
    /// let identity = FilmIdentity::of(&film, "films/152.png".as_ref());
    /// assert_eq!(identity.name.as_deref(), Some("152.png"));
    /// assert!(identity.sha256.is_some_and(|digest| digest.starts_with("ba7816bf")));
    /// # Ok::<(), onemark_film::FilmError>(())
    /// ```
    pub fn of(film: &Film, path: &Path) -> Self {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Self { name, size: Some(film.size()), sha256: Some(sha256(film.grey())) }
    }

    /// A film of which only the name is known: the last part of a path of any system.
    pub(super) fn named(path: &str) -> Self {
        let name = file_name(path.trim());
        Self { name: (!name.is_empty()).then(|| name.to_owned()), ..Self::default() }
    }

    /// The same with its size in px; sides that are missing, or no side of a film, are not known.
    pub(super) fn with_size(self, width: Option<f64>, height: Option<f64>) -> Self {
        let side = |side: Option<f64>| side.filter(|px| (1.0..=f64::from(u32::MAX)).contains(px) && px.fract() == 0.0);
        let size = side(width).zip(side(height));
        Self { size: size.map(|(width, height)| Size { width: width as u32, height: height as u32 }), ..self }
    }

    /// Name and size, for a form that states both.
    pub(super) fn stated(&self, form: Form) -> Result<(&str, Size), PointsError> {
        let name = self.name.as_deref().ok_or(PointsError::NoName { form })?;
        let size = self.size.ok_or_else(|| PointsError::NoSize { form, film: self.shown() })?;
        Ok((name, size))
    }

    /// The name, or what stands for it in messages.
    fn shown(&self) -> String {
        self.name.as_deref().map_or_else(|| "a film without a name".to_owned(), |name| said(name).into_owned())
    }
}

/// The last part of a path of any system.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// A film's file name without its extension. Other dots stay.
pub(crate) fn without_extension(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, _)) if has_film_extension(Path::new(name)) => stem,
        _ => name,
    }
}

/// Whether two films are called the same; folders, capitals and the format do not matter.
fn same_name(one: &str, other: &str) -> bool {
    let stem = |name: &str| without_extension(file_name(name)).to_lowercase();
    stem(one) == stem(other)
}

/// The points for a film among those of a file. With `any_film`, the names and the digests of films do not matter.
///
/// A film is recognised by the digest of its pixels, or by its name; points without a film's name are for any film. A film of
/// another size is refused in any case, because the points would lie somewhere else.
///
/// ```
/// use onemark_evaluation::points::{self, FilmIdentity};
/// use onemark_models::landmarks::LandmarkSet;
///
/// let set = LandmarkSet::named("isbi19")?;
/// let points = points::parse("p.csv".as_ref(), b"image,landmark,x,y\n152.png,sella,5,6\n")?.films(&set, None)?;
/// let film = |name: &str| FilmIdentity { name: Some(name.to_owned()), ..FilmIdentity::default() };
/// assert!(points::for_film(points.clone(), &film("152.dcm"), false).is_ok());
/// let error = points::for_film(points.clone(), &film("153.dcm"), false).unwrap_err().to_string();
/// assert!(error.contains("are for 152.png, not for 153.dcm"));
/// assert!(points::for_film(points, &film("153.dcm"), true).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`PointsError::OtherFilm`], [`PointsError::OtherSize`], [`PointsError::OtherPixels`], [`PointsError::Ambiguous`],
/// [`PointsError::NoFilm`].
pub fn for_film(films: Vec<FilmPoints>, film: &FilmIdentity, any_film: bool) -> Result<FilmPoints, PointsError> {
    let count = films.len();
    let names: Vec<String> = films.iter().map(|points| points.film.shown()).collect();
    let same_pixels = |points: &FilmPoints| points.film.sha256.is_some() && points.film.sha256 == film.sha256;
    let may_be = |points: &FilmPoints| match (&points.film.name, &film.name) {
        _ if same_pixels(points) => true,
        (Some(stated), Some(name)) => same_name(stated, name),
        _ => true,
    };
    let (mut matching, mut others): (Vec<_>, Vec<_>) = films.into_iter().partition(may_be);
    // Pixels are surer than names.
    if matching.iter().any(same_pixels) {
        matching.retain(same_pixels);
    }
    if any_film && count == 1 {
        matching.append(&mut others);
    }
    let found = match matching.pop() {
        Some(found) if matching.is_empty() => found,
        Some(_) => {
            let matching = matching.len() + 1;
            return Err(PointsError::Ambiguous { film: film.shown(), films: count, matching });
        }
        None if count == 0 => return Err(PointsError::NoFilm),
        None => return Err(PointsError::OtherFilm { film: film.shown(), stated: few(&names) }),
    };
    if let (Some(stated), Some(size)) = (found.film.size, film.size)
        && stated != size
    {
        let of = found.film.name.is_some().then(|| found.film.shown());
        return Err(PointsError::OtherSize { film: film.shown(), size, of, stated });
    }
    let other_pixels = found.film.sha256.is_some() && film.sha256.is_some() && found.film.sha256 != film.sha256;
    if other_pixels && !any_film {
        return Err(PointsError::OtherPixels { film: film.shown(), stated: found.film.shown() });
    }
    Ok(found)
}

/// The first few of some names, and the number of the others.
fn few(names: &[String]) -> String {
    const MOST: usize = 5;
    match names.get(..MOST) {
        Some(first) if names.len() > MOST => format!("{} and {} more films", first.join(", "), names.len() - MOST),
        _ => names.join(", "),
    }
}
