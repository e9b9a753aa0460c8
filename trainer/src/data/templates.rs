//! The annotated films: those whose points steps train on, and those whose points only judge the network.

use std::ops::Range;

use onemark_film::Film;
use onemark_film::geometry::{GridPoint, GridSize, Point};
use onemark_models::landmarks::LandmarkSet;
use onemark_models::recipe::Recipe;
use rand::Rng;

use crate::TrainError;
use crate::data::motion::Motion;
use crate::data::views::Views;

/// Up to this many annotated films, all of them are trained on.
const MOST_WITHOUT_JUDGES: usize = 5;
/// Of more, one in so many only judges.
const ONE_JUDGE_IN: usize = 5;

/// An annotated film.
pub struct Template {
    /// Its index among the films.
    pub film: usize,
    /// Its landmarks on its own grid, in the set's order; `None` where one is not annotated.
    pub points: Vec<Option<GridPoint>>,
    /// The samples that are copies of it, to train on.
    pub copies: Range<usize>,
    /// Millimetres per cell of its grid, rows then columns, if its spacing is known.
    pub(super) mm: Option<(f64, f64)>,
}

impl Template {
    /// The distance between two points of its grid: in cells and, if its spacing is known, in mm.
    pub fn distance(&self, one: GridPoint, other: GridPoint) -> (f64, Option<f64>) {
        let (row, column) = (one.row - other.row, one.column - other.column);
        (row.hypot(column), self.mm.map(|mm| (row * mm.0).hypot(column * mm.1)))
    }

    /// Millimetres per cell, the mean of both axes, if its spacing is known.
    pub fn mm_per_cell(&self) -> Option<f64> {
        self.mm.map(|mm| (mm.0 + mm.1) / 2.0)
    }

    /// How the joints of its set may move on it, in pixels; `scale` is that of [`scale`].
    pub(super) fn motions(&self, set: &LandmarkSet, scale: (f64, f64), rng: &mut impl Rng) -> Vec<Motion> {
        let pixel = |point: &GridPoint| (point.row / scale.0 - 0.5, point.column / scale.1 - 0.5);
        let points: Vec<_> = self.points.iter().map(|point| point.as_ref().map(pixel)).collect();
        Motion::random(set, &points, self.mm.map(|mm| (mm.0 * scale.0, mm.1 * scale.1)), rng)
    }
}

/// The annotated films of a recipe.
pub struct Templates {
    /// To train on, at least one.
    pub trained: Vec<Template>,
    /// To judge by; none if there are up to five.
    pub judges: Vec<Template>,
}

impl Templates {
    /// Finds the recipe's annotated films among the films. If there is one, it has all landmarks; otherwise each landmark is annotated
    /// on a film to train on.
    ///
    /// # Errors
    /// One of them is not among the films or not annotated, it can't be read, a landmark lies outside it or is missing.
    pub fn find(recipe: &Recipe, views: &Views<'_>) -> Result<Self, TrainError> {
        let ids = &recipe.templates;
        let (mut trained, mut judges) = (Vec::new(), Vec::new());
        for (index, id) in ids.iter().enumerate() {
            let film = views.ids().position(|film| film == id);
            let film = film.ok_or_else(|| TrainError::NoTemplate { id: id.clone() })?;
            let template = read(recipe, views, film)?;
            let judges_only = ids.len() > MOST_WITHOUT_JUDGES && (index + 1).is_multiple_of(ONE_JUDGE_IN);
            if judges_only { &mut judges } else { &mut trained }.push(template);
        }
        let landmarks = trained.first().map_or(0, |template: &Template| template.points.len());
        let annotated = |landmark: &usize| trained.iter().any(|template| template.points[*landmark].is_some());
        match (0..landmarks).find(|landmark| !annotated(landmark)) {
            Some(landmark) => Err(TrainError::NowhereAnnotated { landmark: landmark + 1, films: trained.len() }),
            None => Ok(Self { trained, judges }),
        }
    }

    /// Divides so many samples, the first being `first`, among the films that are trained on.
    pub(super) fn share(&mut self, first: usize, count: usize) {
        let (films, mut next) = (self.trained.len(), first);
        for (index, template) in self.trained.iter_mut().enumerate() {
            let share = count / films + usize::from(index < count % films);
            template.copies = next..next + share;
            next += share;
        }
    }
}

fn read(recipe: &Recipe, views: &Views<'_>, index: usize) -> Result<Template, TrainError> {
    let (film, points) = views.annotated(recipe, index, recipe.templates.len() == 1)?;
    let scale = scale(recipe, &film);
    Ok(Template {
        film: index,
        points: points
            .iter()
            .map(|point| point.map(|Point { x, y }| GridPoint::new(y * scale.0, x * scale.1)))
            .collect(),
        copies: 0..0,
        mm: film.spacing().map(|spacing| (spacing.y() / scale.0, spacing.x() / scale.1)),
    })
}

/// Cells of the recipe's grid per film pixel, rows then columns.
pub(super) fn scale(recipe: &Recipe, film: &Film) -> (f64, f64) {
    let grid = GridSize { height: recipe.network.size, width: recipe.network.size };
    (grid.height as f64 / f64::from(film.height()), grid.width as f64 / f64::from(film.width()))
}
