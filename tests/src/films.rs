//! Small synthetic films in the layout of ISBI 2015. They can be read, but show no landmarks.

use std::fs;
use std::path::{Path, PathBuf};

use image::{GrayImage, Luma};
use onemark_film::{Film, Size};

/// Width and height, px.
const FILM: (u32, u32) = (97, 120);
/// Landmarks of every annotation.
const LANDMARKS: u32 = 19;
/// 20 x 24 mm: small, but plausible. The layout states the spacing of films of the published size only.
const SPACING: &str = "0.21,0.2";

/// A folder of films and annotations.
#[derive(Clone, Debug)]
pub struct Films {
    /// The folder.
    pub root: PathBuf,
}

impl Films {
    /// A film's file.
    pub fn film(&self, id: &str) -> PathBuf {
        let folder = if id < "151" { "TrainingData" } else { "Test1Data" };
        self.root.join("RawImage").join(folder).join(format!("{id}.png"))
    }

    /// A film's annotation by one of the two readers, `senior` or `junior`.
    pub fn annotation(&self, reader: &str, id: &str) -> PathBuf {
        self.root.join("AnnotationsByMD").join(format!("400_{reader}")).join(format!("{id}.txt"))
    }
}

/// Writes films 001, 002 (training) and 151 (test) with annotations of both readers and a table of spacings to `root`.
///
/// # Panics
/// They can't be written.
pub fn small_films(root: &Path) -> Films {
    let films = Films { root: root.to_owned() };
    let mut spacings = "image,mm_per_px_x,mm_per_px_y\n".to_owned();
    for (number, id) in (1_u32..).zip(["001", "002", "151"]) {
        spacings += &format!("{id},{SPACING}\n");
        let film = films.film(id);
        fs::create_dir_all(film.parent().unwrap()).unwrap();
        let grey = |x, y| Luma([(x * (number + 1) + y * y * number / 16) as u8]);
        GrayImage::from_fn(FILM.0, FILM.1, grey).save(&film).unwrap();
        let points = (0..LANDMARKS).map(|landmark| format!("{},{}\n", 9 + 4 * landmark, 110 - 5 * landmark + number));
        let points: String = points.collect();
        for reader in ["senior", "junior"] {
            let annotation = films.annotation(reader, id);
            fs::create_dir_all(annotation.parent().unwrap()).unwrap();
            fs::write(annotation, &points).unwrap();
        }
    }
    fs::write(root.join("spacing.csv"), spacings).unwrap();
    films
}

/// The film of a picture.
///
/// # Panics
/// The picture has no pixels.
pub fn film_of(picture: GrayImage) -> Film {
    let (width, height) = picture.dimensions();
    Film::from_grey(Size { width, height }, picture.into_raw()).unwrap()
}

/// A folder with real films, below the one that `ONEMARK_DATA` names. If it is not set, prints that the test is skipped.
pub fn real_data(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ONEMARK_DATA").map(|root| PathBuf::from(root).join(folder));
    if root.is_none() {
        println!("skipped: ONEMARK_DATA is not set");
    }
    root
}
