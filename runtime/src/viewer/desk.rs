//! The films on a reader's desk: what was found on them, and what the reader corrected. Knows nothing of requests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use anyhow::{Context as _, bail};
use onemark_models::bundle::Bundle;
use onemark_models::film::{Film, Spacing};
use onemark_models::geometry::Point;
use onemark_models::landmarks::LandmarkSet;
use onemark_runtime::adapt::{Example, adapt};
use onemark_runtime::results::json::{Document, FilmReport};
use onemark_runtime::results::{FORMATS, FilmResults, csv};
use onemark_runtime::{Detections, Detector, Options, Status};

/// Kinds of file that hold all films, here one: name and ending.
const TABLES: [(&str, &str); 2] = [("json", "json"), ("csv", "csv")];

/// Films, and the engine that looks at them.
pub struct Desk {
    files: Vec<PathBuf>,
    spacing: Option<Spacing>,
    options: Options,
    /// Where a bundle that learnt from corrected films is written.
    learn_to: Option<PathBuf>,
    engine: Mutex<Engine>,
    /// By film, those that were looked at.
    seen: Mutex<BTreeMap<usize, Seen>>,
}

#[derive(Clone)]
struct Engine {
    bundle: Bundle,
    detector: Arc<Detector>,
}

/// What was found on a film, and the same as a person corrected it.
#[derive(Clone)]
struct Seen {
    seconds: f64,
    found: Detections,
    corrected: Detections,
}

/// A file made of a film's results.
pub struct Saved {
    /// What it should be called.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl Desk {
    /// Puts films on the desk; none is read yet.
    pub fn new(
        files: Vec<PathBuf>,
        spacing: Option<Spacing>,
        bundle: Bundle,
        options: Options,
        learn_to: Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        let detector = Arc::new(Detector::new(&bundle, options.clone())?);
        let engine = Mutex::new(Engine { bundle, detector });
        Ok(Self { files, spacing, options, learn_to, engine, seen: Mutex::default() })
    }

    /// The films' files.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The engine as it is now.
    pub fn detector(&self) -> Arc<Detector> {
        lock(&self.engine).detector.clone()
    }

    /// The landmarks that are looked for.
    pub fn landmark_set(&self) -> LandmarkSet {
        self.detector().landmark_set().clone()
    }

    /// Whether it is allowed to learn.
    pub fn learns(&self) -> bool {
        self.learn_to.is_some()
    }

    /// What results can be saved as: name and ending of each kind.
    pub fn formats() -> impl Iterator<Item = (&'static str, &'static str)> {
        TABLES.into_iter().chain(FORMATS.iter().map(|format| (format.name, format.extension)))
    }

    /// A film, read anew: many would not fit into memory.
    pub fn film(&self, index: usize) -> anyhow::Result<Film> {
        let film = Film::open(self.file(index)?)?;
        Ok(match &self.spacing {
            None => film,
            Some(spacing) => film.with_spacing(spacing.clone()),
        })
    }

    /// What is known of a film: found now, or before, or corrected. Gives the film's warnings and cautions too.
    pub fn report(&self, index: usize) -> anyhow::Result<(FilmReport, Vec<String>)> {
        let film = self.film(index)?;
        let seen = self.seen(index, &film)?;
        let file = self.file(index)?.display().to_string();
        let cautions = results(&film, &seen.corrected, &file).cautions();
        let detections = Box::new(seen.corrected);
        Ok((FilmReport::Done { file, seconds: seen.seconds, warnings: film.warnings().to_vec(), detections }, cautions))
    }

    /// Puts a landmark where a person says it is, or back where it was found.
    pub fn correct(&self, index: usize, number: usize, position: Option<Point>) -> anyhow::Result<()> {
        let film = self.film(index)?;
        let mut seen = self.seen(index, &film)?;
        let set = self.landmark_set();
        match position {
            Some(position) if !position.is_inside(film.width(), film.height()) => {
                bail!("{:.1}, {:.1} px is outside of the film", position.x, position.y)
            }
            Some(position) => seen.corrected.correct(number, position, &set)?,
            None => {
                let found = seen.found.landmarks.iter().find(|landmark| landmark.number == number);
                let found = found.with_context(|| format!("there is no landmark {number}"))?.clone();
                let place = seen.corrected.landmarks.iter_mut().find(|landmark| landmark.number == number);
                place.with_context(|| format!("there is no landmark {number}"))?.clone_from(&found);
                seen.corrected.measure(&set);
            }
        }
        lock(&self.seen).insert(index, seen);
        Ok(())
    }

    /// A film's results in one of the formats.
    pub fn save(&self, index: usize, format: &str) -> anyhow::Result<Saved> {
        let (report, _) = self.report(index)?;
        let FilmReport::Done { file, detections, .. } = &report else { bail!("there are no results") };
        let stem =
            Path::new(file).file_stem().map_or_else(|| "film".into(), |stem| stem.to_string_lossy().into_owned());
        let extension = Self::formats().find(|(name, _)| *name == format).map(|(_, extension)| extension);
        let name = format!("{stem}.{}", extension.with_context(|| format!("there is no format {format}"))?);
        let bytes = match FORMATS.iter().find(|one| one.name == format) {
            Some(one) => (one.write)(&results(&self.film(index)?, detections, file))?,
            None if format == "csv" => csv::write(&[report])?,
            None => serde_json::to_vec_pretty(&Document::new(vec![report]))?,
        };
        Ok(Saved { name, bytes })
    }

    /// Teaches the bundle by a film as it is corrected, writes it, and looks at all films anew with it. Points that a person has
    /// put on films stay. Gives what became of it in a sentence.
    pub fn learn(&self, index: usize) -> anyhow::Result<String> {
        let target = self.learn_to.as_ref().context("start the viewer with --learn-to to let it learn")?;
        let film = self.film(index)?;
        let corrected = self.seen(index, &film)?.corrected;
        let points: Vec<Option<Point>> = corrected
            .landmarks
            .iter()
            .map(|landmark| (landmark.status != Status::NotFound).then_some(landmark.position))
            .collect();
        let bundle = lock(&self.engine).bundle.clone();
        let (bundle, _) = adapt(&bundle, &[Example { film: &film, points: &points }], None, self.options.clone())?;
        bundle.write(target, true)?;
        let films = bundle.manifest().adapted.as_ref().map_or(0, |adapted| adapted.films.len());
        let detector = Arc::new(Detector::new(&bundle, self.options.clone())?);
        *lock(&self.engine) = Engine { bundle, detector };
        lock(&self.seen)
            .retain(|_, seen| seen.corrected.landmarks.iter().any(|landmark| landmark.status == Status::EditedByHand));
        Ok(format!("The bundle rests on its template and {films} more: {}", target.display()))
    }

    fn file(&self, index: usize) -> anyhow::Result<&Path> {
        self.files.get(index).map(PathBuf::as_path).with_context(|| format!("there is no film {index}"))
    }

    fn seen(&self, index: usize, film: &Film) -> anyhow::Result<Seen> {
        if let Some(seen) = lock(&self.seen).get(&index) {
            return Ok(seen.clone());
        }
        let start = Instant::now();
        let found = self.detector().detect(film)?;
        let seconds = start.elapsed().as_secs_f64();
        let seen = Seen { seconds, corrected: found.clone(), found };
        Ok(lock(&self.seen).entry(index).or_insert(seen).clone())
    }
}

fn results<'a>(film: &'a Film, detections: &'a Detections, name: &'a str) -> FilmResults<'a> {
    FilmResults { detections, film, name, time: SystemTime::now() }
}

/// What a thread that panicked left behind is whole: it is replaced in one step, or not at all.
fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
