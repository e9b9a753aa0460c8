//! Phantom films: drawn lateral head films with exact landmarks, so that the demonstration and the tests need no patient.
//!
//! A film is the anatomy of `anatomy` (data), deformed and posed at random by `head`, drawn as attenuation of the beam
//! by `render`, and put together, exposed and grained by `film`. Landmarks are knots of the drawn outlines and move as
//! they do, so they are exact.
//! This crate does not read datasets and does not train: it needs no libtorch.

mod anatomy;
mod film;
mod head;
mod render;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{GrayImage, ImageError};
pub use onemark_film::geometry::Point;

use anatomy::LANDMARKS;
use head::{Dice, Head};

/// Width and height of a film in px, as in ISBI 2015; a px is 0.1 mm wide.
pub const FILM: (u32, u32) = (1935, 2400);
/// The largest number of films in one folder. With more, training films would take the numbers of test films.
const MOST_FILMS: usize = 225;
/// The number of the first training film.
const FIRST_TRAINING: usize = 1;
/// The number of the first test film.
const FIRST_TEST: usize = 151;

/// A drawn film and its truth.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Phantom {
    /// The film, [`FILM`] px.
    pub film: GrayImage,
    /// The 19 landmarks in ISBI order, film px.
    pub points: Vec<Point>,
}

/// Why phantom films could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PhantomError {
    /// The number of films is out of range.
    #[error("cannot draw {count} phantom films: ask for 1 to {MOST_FILMS}")]
    Count {
        /// The requested number.
        count: usize,
    },
    /// The output folder is not empty.
    #[error("{} is not empty: name a new folder, or remove this one first", path.display())]
    NotEmpty {
        /// The output folder.
        path: PathBuf,
    },
    /// A file or folder could not be written.
    #[error("cannot write {}; check that the folder is writable and that the disk is not full", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Draws `count` films into the folder `out` in the layout of ISBI 2015: the first two thirds (rounded up) as
/// `RawImage/TrainingData/001.png` onwards, the others as `RawImage/Test1Data/151.png` onwards, each with its 19 lines
/// `x,y` (film px, rounded) in `AnnotationsByMD/400_senior` and `400_junior`; the annotations of both readers are equal. Calls `progress` with
/// the number of films done. The folder appears only once it is complete.
///
/// # Errors
/// When `count` is not in 1 to 225, when `out` exists and is not empty, or when something cannot be written.
pub fn write_films(out: &Path, count: usize, seed: u64, progress: impl FnMut(usize)) -> Result<(), PhantomError> {
    if count == 0 || count > MOST_FILMS {
        return Err(PhantomError::Count { count });
    }
    let exists = out.exists();
    if exists && fs::read_dir(out).map_err(failed(out))?.next().is_some() {
        return Err(PhantomError::NotEmpty { path: out.to_owned() });
    }
    // By components, so that a slash at the end does not put it inside `out`.
    let mut partial = out.components().collect::<PathBuf>().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(failed(&partial))?;
    }
    let written = fill(&partial, count, seed, progress).and_then(|()| {
        if exists {
            fs::remove_dir(out).map_err(failed(out))?;
        }
        fs::rename(&partial, out).map_err(failed(out))
    });
    if written.is_err() {
        // The first error is reported; a failure to remove the rest is not.
        let _ = fs::remove_dir_all(&partial);
    }
    written
}

fn fill(root: &Path, count: usize, seed: u64, mut progress: impl FnMut(usize)) -> Result<(), PhantomError> {
    let readers = ["400_senior", "400_junior"].map(|reader| root.join("AnnotationsByMD").join(reader));
    let [training, test] = ["TrainingData", "Test1Data"].map(|split| root.join("RawImage").join(split));
    for folder in readers.iter().chain([&training, &test]) {
        fs::create_dir_all(folder).map_err(failed(folder))?;
    }
    let first_test = (2 * count).div_ceil(3);
    for index in 0..count {
        let (split, number) = match index.checked_sub(first_test) {
            None => (&training, FIRST_TRAINING + index),
            Some(place) => (&test, FIRST_TEST + place),
        };
        let phantom = draw(seed, index);
        let path = split.join(format!("{number:03}.png"));
        save(&phantom.film, &path).map_err(failed(&path))?;
        let lines: String = phantom.points.iter().map(|p| format!("{:.0},{:.0}\n", p.x, p.y)).collect();
        for reader in &readers {
            let path = reader.join(format!("{number:03}.txt"));
            fs::write(&path, &lines).map_err(failed(&path))?;
        }
        progress(index + 1);
    }
    Ok(())
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> PhantomError {
    let path = path.to_owned();
    move |source| PhantomError::Write { path, source }
}

fn save(film: &GrayImage, path: &Path) -> io::Result<()> {
    let file = io::BufWriter::new(fs::File::create(path)?);
    let encoder = PngEncoder::new_with_quality(file, CompressionType::Fast, FilterType::Up);
    film.write_with_encoder(encoder).map_err(|error| match error {
        ImageError::IoError(error) => error,
        other => io::Error::other(other),
    })
}

/// Film `index` of the series `seed`; the same two numbers always give the same film.
pub fn draw(seed: u64, index: usize) -> Phantom {
    let mut dice = Dice::new(seed, index);
    let head = Head::new(&mut dice);
    let points = landmarks(&head);
    let film = film::make(head, &mut dice);
    Phantom { film, points }
}

/// The 19 landmarks of a head in ISBI order.
fn landmarks(head: &Head) -> Vec<Point> {
    LANDMARKS.iter().map(|&(_, group, at)| head.place(group, at)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::imageops;

    use super::anatomy::At;
    use super::*;

    /// A knot and the landmark on it are the same numbers.
    const SAME_PLACE: f64 = 1e-9;
    /// No landmark may come nearer to the border than this, in px.
    const MARGIN: f64 = 64.0;
    /// Side of the square around a landmark that must show something, in px.
    const AROUND: u32 = 160;
    /// Standard deviation of the grey values there that grain alone does not reach.
    const VISIBLE: f64 = 8.0;

    #[test]
    fn a_film_depends_on_seed_and_index_only() {
        let (film, again) = (draw(7, 3), draw(7, 3));
        assert!(film.film == again.film && film.points == again.points);
        for other in [draw(7, 4), draw(8, 3)] {
            assert!(film.film != other.film && film.points != other.points);
        }
        assert_eq!(film.film.dimensions(), FILM);
    }

    #[test]
    fn every_landmark_but_the_sella_is_a_knot_of_a_drawn_part() {
        let near = |a: At, b: At| (a[0] - b[0]).hypot(a[1] - b[1]) < SAME_PLACE;
        for (name, group, at) in LANDMARKS.into_iter().skip(1) {
            let part = anatomy::PARTS.iter().any(|part| part.group == group && part.knots.iter().any(|&k| near(k, at)));
            let tooth = anatomy::TEETH.iter().any(|&(owner, tip, ..)| owner == group && near(tip, at));
            assert!(part || tooth, "{name} lies on nothing");
        }
    }

    #[test]
    fn landmarks_stay_inside_the_film() {
        for index in 0..500 {
            for (point, (name, ..)) in landmarks(&Head::new(&mut Dice::new(1, index))).iter().zip(LANDMARKS) {
                let inside = |value: f64, size: u32| value > MARGIN && value < f64::from(size) - MARGIN;
                assert!(inside(point.x, FILM.0) && inside(point.y, FILM.1), "film {index}: {name} at {point:?}");
            }
        }
    }

    #[test]
    fn every_landmark_lies_on_something_visible() {
        let phantom = draw(1, 0);
        for (point, (name, ..)) in phantom.points.iter().zip(LANDMARKS) {
            let (x, y) = (point.x as u32 - AROUND / 2, point.y as u32 - AROUND / 2);
            let patch = imageops::crop_imm(&phantom.film, x, y, AROUND, AROUND).to_image();
            let mean = |of: &dyn Fn(f64) -> f64| {
                patch.iter().map(|&grey| of(f64::from(grey))).sum::<f64>() / patch.len() as f64
            };
            let middle = mean(&|grey| grey);
            let deviation = mean(&|grey| (grey - middle).powi(2)).sqrt();
            assert!(deviation > VISIBLE, "nothing to see at {name}: standard deviation {deviation}");
        }
    }

    #[test]
    fn the_layout_is_that_of_isbi_2015() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("films");
        let mut done = Vec::new();
        write_films(&out, 4, 5, |films| done.push(films)).unwrap();
        assert_eq!(done, [1, 2, 3, 4]);
        let cases = [("TrainingData/001", 0), ("TrainingData/002", 1), ("TrainingData/003", 2), ("Test1Data/151", 3)];
        for (name, index) in cases {
            let film = image::open(out.join("RawImage").join(name).with_extension("png")).unwrap();
            let truth = draw(5, index);
            assert_eq!(film.into_luma8(), truth.film);
            for reader in ["400_senior", "400_junior"] {
                let number = name.rsplit('/').next().unwrap();
                let path = out.join("AnnotationsByMD").join(reader).join(number).with_extension("txt");
                let text = fs::read_to_string(path).unwrap();
                let read = text.lines().map(|line| line.split_once(',').unwrap());
                let read: Vec<(i64, i64)> = read.map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap())).collect();
                let truth: Vec<_> = truth.points.iter().map(|p| (p.x.round() as i64, p.y.round() as i64)).collect();
                assert_eq!(read, truth);
            }
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside the folder");
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mine.txt"), "kept").unwrap();
        let refused = write_films(folder.path(), 1, 1, |_| ());
        assert!(matches!(refused, Err(PhantomError::NotEmpty { .. })));
        assert!(folder.path().join("mine.txt").exists());
        for count in [0, MOST_FILMS + 1] {
            let refused = write_films(&folder.path().join("new"), count, 1, |_| ());
            assert!(matches!(refused, Err(PhantomError::Count { .. })));
        }
        let below_a_file = folder.path().join("mine.txt").join("films");
        assert!(matches!(write_films(&below_a_file, 1, 1, |_| ()), Err(PhantomError::Write { .. })));
    }
}
