//! The images that training uses: every film of the dataset, augmented copies of the films, augmented copies of the template.
//!
//! Points are continuous (row, column) on the network's grid; the cell that holds a point is its whole part.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use ndarray::{Array2, ArrayView2};
use onemark_film::geometry::{GridPoint, GridSize};
use onemark_film::{Film, Size};
use onemark_models::graph::{Level, Port};
use onemark_models::recipe::{Copies, PriorUse, Recipe};
use onemark_models::shape_prior::ShapePrior;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

use crate::TrainError;
use crate::data::augment::jitter;
use crate::data::features::Features;
use crate::data::templates::{Template, Templates, scale};
use crate::data::views::Views;
use crate::data::warp::{Affine, Bend, Warp, warp_film};

/// A film or an augmented copy of one.
pub struct Sample {
    /// Grey values on the grid, in [0, 1].
    pub grey: Array2<f32>,
    /// The map, in pixels, that made a copy of its film; `None` for the film itself.
    warp: Option<Warp>,
    /// Cells per pixel, rows then columns.
    scale: (f64, f64),
}

impl Sample {
    /// The `number`-th sample: a film, or a copy of one. The joints of a template move on some of its copies.
    fn new(
        recipe: &Recipe,
        film: &Film,
        copies: Option<&Copies>,
        template: Option<&Template>,
        number: u64,
    ) -> Result<Self, TrainError> {
        let grid = GridSize { height: recipe.network.size, width: recipe.network.size };
        let scale = scale(recipe, film);
        let Some(copies) = copies else {
            return Ok(Self { grey: film.to_grid(grid)?, warp: None, scale });
        };
        let mut rng = ChaCha8Rng::seed_from_u64(recipe.seed);
        rng.set_stream(number);
        // Copies are made at full resolution, then resized (METHOD.md sec. 2c and 4, item 18).
        let size = (film.height() as usize, film.width() as usize);
        let affine = Affine::random(&copies.affine, size, &mut rng);
        let bend = copies.elastic.map(|range| Bend::random(&range, size, &mut rng));
        let motions = match template {
            Some(template) if copies.joints > 0.0 && rng.random::<f64>() < copies.joints => {
                template.motions(&recipe.landmarks, scale, &mut rng)
            }
            _ => Vec::new(),
        };
        let warp = Warp::new(motions, affine, bend);
        let copy = Film::from_grey(film.size(), warp_film(film, &warp, copies.border))?;
        let mut grey = copy.to_grid(grid)?;
        if copies.jitter {
            jitter(&mut grey, &recipe.jitter, &mut rng);
        }
        Ok(Self { grey, warp: Some(warp), scale })
    }

    /// Where this sample shows a grid point of its film. Centres of pixels are whole numbers; the grid's 0 is the film's edge.
    fn shows(&self, point: GridPoint) -> GridPoint {
        let Some(warp) = &self.warp else { return point };
        let (row, column) = warp.from_source((point.row / self.scale.0 - 0.5, point.column / self.scale.1 - 0.5));
        GridPoint::new((row + 0.5) * self.scale.0, (column + 0.5) * self.scale.1)
    }
}

/// Samples that are timed.
const TRIALS: u64 = 2;
/// Copies of a single template that no step trains on.
const HELD_OUT: usize = 8;

/// All samples and the trunk's features of them.
pub struct Films {
    /// The samples.
    pub samples: Samples,
    /// Of each sample, f16, tap 1 first.
    taps: Vec<Vec<Tensor>>,
    /// The time that they took, in seconds.
    pub seconds: f64,
}

/// All samples: first the films, then their copies, then the templates' copies, the held-out ones last. They hold no tensors,
/// so steps can be drawn from them on any thread.
pub struct Samples {
    all: Vec<Sample>,
    films: usize,
    copies_per_film: usize,
    annotated: Templates,
}

impl Films {
    /// Reads every film once, so that an unusable film is reported before anything is computed or written: how many films have
    /// which size.
    ///
    /// # Errors
    /// As [`Films::prepare`]; and there is a single film, or there are too few for the recipe's shape prior.
    pub fn validate(recipe: &Recipe, views: &Views<'_>) -> Result<Vec<(Size, usize)>, TrainError> {
        Templates::find(recipe, views)?;
        if let (1, Some(id)) = (views.len(), views.ids().next()) {
            return Err(TrainError::OneFilm { id: id.to_owned() });
        }
        let needed = ShapePrior::films_needed(recipe.landmarks.len());
        if recipe.decoding == PriorUse::ShapePrior && views.len() < needed {
            return Err(TrainError::FewFilms { films: views.len(), needed });
        }
        let mut sizes: Vec<(Size, usize)> = Vec::new();
        for index in 0..views.len() {
            let size = views.size(index)?;
            match sizes.iter_mut().find(|(known, _)| *known == size) {
                Some((_, films)) => *films += 1,
                None => sizes.push((size, 1)),
            }
        }
        Ok(sizes)
    }

    /// The seconds that one sample takes: a copy of the template with its features.
    ///
    /// # Errors
    /// As [`Films::prepare`].
    pub fn seconds_each(recipe: &Recipe, views: &Views<'_>, features: &Features) -> Result<f64, TrainError> {
        let templates = Templates::find(recipe, views)?;
        let template = &templates.trained[0];
        let film = views.film(recipe, template.film)?;
        let mut began = Instant::now();
        for number in 0..=TRIALS {
            // The first one takes longer.
            if number == 1 {
                began = Instant::now();
            }
            features.of(&Sample::new(recipe, &film, Some(&recipe.template_copies), Some(template), number)?.grey)?;
        }
        Ok(began.elapsed().as_secs_f64() / TRIALS as f64)
    }

    /// The number of samples of these films, but for the copies of templates to train on.
    pub fn fewest(recipe: &Recipe, films: usize) -> usize {
        let copies = recipe.pairs.film.as_ref().map_or(0, |pairs| pairs.film_copies.count);
        films * (1 + copies) + held_out(recipe)
    }

    /// Reads the films, makes the recipe's copies and gets the features of them all. Calls `progress` with the number of samples
    /// done and of all samples.
    ///
    /// # Errors
    /// As [`Templates::find`], a film can't be read.
    pub fn prepare(
        recipe: &Recipe,
        views: &Views<'_>,
        features: &Features,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Self, TrainError> {
        let began = Instant::now();
        let mut annotated = Templates::find(recipe, views)?;
        let film_copies = recipe.pairs.film.as_ref().map(|pairs| pairs.film_copies);
        let copies_per_film = film_copies.map_or(0, |copies| copies.count);
        annotated.share(views.len() * (1 + copies_per_film), recipe.template_copies.count);
        let total = Self::fewest(recipe, views.len()) + recipe.template_copies.count;
        let films = views.len();
        let samples = Samples { all: Vec::with_capacity(total), films, copies_per_film, annotated };
        let mut films = Self { samples, taps: Vec::with_capacity(total), seconds: 0.0 };
        let mut add = |films: &mut Self, film: &Film, copies: Option<&Copies>, template: Option<usize>| {
            let number = films.samples.len();
            let template = template.map(|index| &films.samples.templates()[index]);
            let sample = Sample::new(recipe, film, copies, template, number as u64)?;
            films.taps.push(features.of(&sample.grey)?);
            films.samples.all.push(sample);
            progress(number + 1, total);
            Ok::<_, TrainError>(())
        };
        for index in 0..views.len() {
            add(&mut films, &views.film(recipe, index)?, None, None)?;
        }
        for copies in film_copies.iter() {
            for index in 0..views.len() {
                let film = views.film(recipe, index)?;
                (0..copies.count).try_for_each(|_| add(&mut films, &film, Some(copies), None))?;
            }
        }
        for index in 0..films.samples.templates().len() {
            let Template { film, copies, .. } = &films.samples.templates()[index];
            let (film, count) = (views.film(recipe, *film)?, copies.len() + held_out(recipe));
            (0..count).try_for_each(|_| add(&mut films, &film, Some(&recipe.template_copies), Some(index)))?;
        }
        films.seconds = began.elapsed().as_secs_f64();
        Ok(films)
    }

    /// The taps of some samples as one batch of `kind` on `device`, ready for an embedding graph.
    ///
    /// # Errors
    /// Torch has no memory left.
    pub fn taps(&self, samples: &[usize], device: Device, kind: Kind) -> Result<BTreeMap<Port, Tensor>, TrainError> {
        (Level::COARSE_TO_FINE.into_iter())
            .map(|level| {
                let tap = |sample: &usize| &self.taps[*sample][level.number() - 1];
                let parts: Vec<&Tensor> = samples.iter().map(tap).collect();
                Ok((Port::Tap(level), Tensor::f_cat(&parts, 0)?.f_to_device(device)?.f_to_kind(kind)?))
            })
            .collect()
    }
}

impl Samples {
    /// Number of films, copies not counted: samples `0..count` are the films.
    pub fn count(&self) -> usize {
        self.films
    }

    /// The samples that are copies of `film`.
    pub fn copies(&self, film: usize) -> Range<usize> {
        let first = self.films + film * self.copies_per_film;
        first..first + self.copies_per_film
    }

    /// The annotated films that steps train on. A film itself is the sample with its index.
    pub fn templates(&self) -> &[Template] {
        &self.annotated.trained
    }

    /// Number of landmarks.
    pub fn landmarks(&self) -> usize {
        self.templates().first().map_or(0, |template| template.points.len())
    }

    /// The annotated films that only judge the network: steps do not know that they are annotated.
    pub fn judges(&self) -> &[Template] {
        &self.annotated.judges
    }

    /// The samples that are copies of templates, to train on.
    pub fn template_copies(&self) -> Range<usize> {
        let last = self.templates().last().map_or(0, |template| template.copies.end);
        self.films * (1 + self.copies_per_film)..last
    }

    /// The samples that are copies of the single template and validate the network: no step trains on them. None if there are
    /// several templates.
    pub fn held_out(&self) -> Range<usize> {
        self.template_copies().end..self.len()
    }

    /// The template of which a sample is a copy.
    pub fn template_of(&self, copy: usize) -> Option<&Template> {
        let held_out = self.held_out().contains(&copy);
        self.templates().iter().find(|template| held_out || template.copies.contains(&copy))
    }

    /// Where a copy of a template shows a landmark (0-based); `None` if the template lacks it.
    pub fn truth(&self, copy: usize, landmark: usize) -> Option<GridPoint> {
        let point = self.template_of(copy)?.points[landmark]?;
        Some(self.from_film(copy, point))
    }

    /// Number of samples of all kinds.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// The sample's grey values.
    pub fn grey(&self, sample: usize) -> ArrayView2<'_, f32> {
        self.all[sample].grey.view()
    }

    /// Where a grid point of a sample's film lies on the sample.
    pub fn from_film(&self, sample: usize, point: GridPoint) -> GridPoint {
        self.all[sample].shows(point)
    }
}

/// The number of copies of a single template that no step trains on. Several templates judge each other.
fn held_out(recipe: &Recipe) -> usize {
    if recipe.templates.len() == 1 { HELD_OUT } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grid_points_go_the_way_of_pixels() {
        let warp = Warp::from(Affine::about_centre(0.2, [1.1, 0.9], [7.0, -3.0], (2400, 1935)));
        let (row, column) = warp.from_source((1000.0, 500.0));
        let sample = Sample { grey: Array2::zeros((0, 0)), warp: Some(warp), scale: (384.0 / 2400.0, 384.0 / 1935.0) };
        let on_grid =
            |row: f64, column: f64| GridPoint::new((row + 0.5) * sample.scale.0, (column + 0.5) * sample.scale.1);
        let (expected, found) = (on_grid(row, column), sample.shows(on_grid(1000.0, 500.0)));
        assert!((found.row - expected.row).hypot(found.column - expected.column) < 1e-9);
    }
}
