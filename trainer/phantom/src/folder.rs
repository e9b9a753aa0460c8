//! Writes many films: heads in the layout of ISBI 2015, others as plain folders with the landmark set beside them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{GrayImage, ImageError};

use crate::{Anatomy, Point, draw_named};

/// The largest number of films in one folder. With more, training films would take the numbers of test films.
const MOST_FILMS: usize = 225;
/// The number of the first test film in the layout of ISBI 2015.
const FIRST_TEST: usize = 151;
/// The side of a pixel in mm, as tables state it.
const SPACING: &str = "0.1,0.1";

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

/// Draws `count` films into the folder `out`: two thirds (rounded up) for training, the others for testing. Calls `progress` with
/// the number of films done. The folder appears only once it is complete.
///
/// Heads have the layout of ISBI 2015: `RawImage/TrainingData/001.png` onwards and `RawImage/Test1Data/151.png` onwards, each with
/// its 19 lines `x,y` (film px, rounded) in `AnnotationsByMD/400_senior` and `400_junior`, which are equal.
///
/// Other anatomies have plain folders: `films/001.png` onwards without points; their points in `points.csv`; the test films in
/// `test/`, with their points in `landmarks.csv`; a `spacing.csv` in both; and the landmark set, such as `hand.yaml`.
///
/// # Errors
/// When `count` is not in 1 to 225, when `out` exists and is not empty, or when something cannot be written.
pub fn write_films(
    anatomy: Anatomy,
    out: &Path,
    count: usize,
    seed: u64,
    mut progress: impl FnMut(usize),
) -> Result<(), PhantomError> {
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
    let films = Films { anatomy, seed, count };
    let written = films.write(&partial, &mut progress).and_then(|()| {
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

/// The films of a folder.
struct Films {
    anatomy: Anatomy,
    seed: u64,
    count: usize,
}

impl Films {
    fn write(&self, root: &Path, progress: &mut dyn FnMut(usize)) -> Result<(), PhantomError> {
        match self.anatomy.set() {
            None => self.isbi2015(root, progress),
            Some(set) => {
                self.plain(root, progress)?;
                write(&root.join(self.anatomy.name()).with_extension("yaml"), set)
            }
        }
    }

    /// The number of films for training.
    fn training(&self) -> usize {
        (2 * self.count).div_ceil(3)
    }

    /// Draws a film into a file; its landmarks.
    fn draw(&self, index: usize, path: &Path) -> Result<Vec<(&'static str, Point)>, PhantomError> {
        let (film, landmarks) = draw_named(self.anatomy, self.seed, index);
        save(&film, path).map_err(failed(path))?;
        Ok(landmarks)
    }

    fn isbi2015(&self, root: &Path, progress: &mut dyn FnMut(usize)) -> Result<(), PhantomError> {
        let readers = ["400_senior", "400_junior"].map(|reader| root.join("AnnotationsByMD").join(reader));
        let [training, test] = ["TrainingData", "Test1Data"].map(|split| root.join("RawImage").join(split));
        readers.iter().chain([&training, &test]).try_for_each(|folder| make(folder))?;
        for index in 0..self.count {
            let (split, number) = match index.checked_sub(self.training()) {
                None => (&training, 1 + index),
                Some(place) => (&test, FIRST_TEST + place),
            };
            let landmarks = self.draw(index, &split.join(format!("{number:03}.png")))?;
            let lines: String = landmarks.iter().map(|(_, p)| format!("{:.0},{:.0}\n", p.x, p.y)).collect();
            readers.iter().try_for_each(|reader| write(&reader.join(format!("{number:03}.txt")), &lines))?;
            progress(index + 1);
        }
        Ok(())
    }

    fn plain(&self, root: &Path, progress: &mut dyn FnMut(usize)) -> Result<(), PhantomError> {
        let parts =
            [(0..self.training(), "films", "points.csv"), (self.training()..self.count, "test", "test/landmarks.csv")];
        for (indices, name, table) in parts {
            let folder = root.join(name);
            make(&folder)?;
            let mut points = "image,landmark,x,y\n".to_owned();
            let mut spacings = "image,mm_per_px_x,mm_per_px_y\n".to_owned();
            for index in indices {
                let film = format!("{:03}.png", 1 + index);
                for (landmark, Point { x, y }) in self.draw(index, &folder.join(&film))? {
                    points += &format!("{film},{landmark},{x:.2},{y:.2}\n");
                }
                spacings += &format!("{film},{SPACING}\n");
                progress(index + 1);
            }
            write(&root.join(table), &points)?;
            write(&folder.join("spacing.csv"), &spacings)?;
        }
        Ok(())
    }
}

fn make(folder: &Path) -> Result<(), PhantomError> {
    fs::create_dir_all(folder).map_err(failed(folder))
}

fn write(path: &Path, text: &str) -> Result<(), PhantomError> {
    fs::write(path, text).map_err(failed(path))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::draw;

    #[test]
    fn the_layout_is_that_of_isbi_2015() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("films");
        let mut done = Vec::new();
        write_films(Anatomy::Head, &out, 4, 5, |films| done.push(films)).unwrap();
        assert_eq!(done, [1, 2, 3, 4]);
        let cases = [("TrainingData/001", 0), ("TrainingData/002", 1), ("TrainingData/003", 2), ("Test1Data/151", 3)];
        for (name, index) in cases {
            let film = image::open(out.join("RawImage").join(name).with_extension("png")).unwrap();
            let truth = draw(Anatomy::Head, 5, index);
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
    fn hands_are_plain_folders_and_only_the_test_films_are_annotated() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("hands");
        write_films(Anatomy::Hand, &out, 3, 5, |_| ()).unwrap();
        let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
        assert_eq!(read("hand.yaml"), Anatomy::Hand.set().unwrap());
        for (name, index) in [("films/001", 0), ("films/002", 1), ("test/003", 2)] {
            let film = image::open(out.join(name).with_extension("png")).unwrap();
            assert_eq!(film.into_luma8(), draw(Anatomy::Hand, 5, index).film);
        }
        let rows = |name: &str| read(name).lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
        let truth = |indices: std::ops::Range<usize>| {
            let row = |index: usize, (name, point): (&str, Point)| {
                format!("{:03}.png,{name},{:.2},{:.2}", index + 1, point.x, point.y)
            };
            let of =
                |index| draw_named(Anatomy::Hand, 5, index).1.into_iter().map(move |landmark| row(index, landmark));
            indices.flat_map(of).collect::<Vec<_>>()
        };
        assert_eq!((rows("points.csv"), rows("test/landmarks.csv")), (truth(0..2), truth(2..3)));
        assert_eq!(read("films/spacing.csv"), "image,mm_per_px_x,mm_per_px_y\n001.png,0.1,0.1\n002.png,0.1,0.1\n");
        assert_eq!(rows("test/spacing.csv"), ["003.png,0.1,0.1"]);
        assert_eq!(fs::read_dir(out.join("films")).unwrap().count(), 3, "no film for training is annotated");
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mine.txt"), "kept").unwrap();
        let refused = write_films(Anatomy::Hand, folder.path(), 1, 1, |_| ());
        assert!(matches!(refused, Err(PhantomError::NotEmpty { .. })));
        assert!(folder.path().join("mine.txt").exists());
        for count in [0, MOST_FILMS + 1] {
            let refused = write_films(Anatomy::Hand, &folder.path().join("new"), count, 1, |_| ());
            assert!(matches!(refused, Err(PhantomError::Count { .. })));
        }
        let below_a_file = folder.path().join("mine.txt").join("films");
        assert!(matches!(write_films(Anatomy::Hand, &below_a_file, 1, 1, |_| ()), Err(PhantomError::Write { .. })));
    }
}
