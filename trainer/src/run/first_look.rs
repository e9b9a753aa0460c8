//! From a finished run to the first look of another one (METHOD.md sec. 8c).

use std::path::Path;

use onemark_evaluation::dataset::Case;
use onemark_film::geometry::{GridMap, GridSize, Point};
use onemark_film::{Alignment, Film};
use onemark_models::checkpoint::{Checkpoint, FirstLook, pseudo_labels};
use onemark_models::network::PSEUDO_LABELS;
use onemark_models::recipe::Recipe;

use super::CHECKPOINT;
use crate::TrainError;

/// What the run in a folder found on these films: the first look for a run of `recipe`.
///
/// # Errors
/// The run has no labels, or was of other films, annotated films or landmarks; a film can't be read.
pub fn first_look(folder: &Path, recipe: &Recipe, cases: &[Case]) -> Result<FirstLook, TrainError> {
    let checkpoint = Checkpoint::read(&folder.join(CHECKPOINT))?;
    let refuse = |why| TrainError::NoFirstLook { run: folder.to_owned(), why };
    let ids = cases.iter().map(|case| case.id.as_str()).collect::<Vec<_>>().join(" ");
    if FirstLook::of(&checkpoint.tensors).is_some() {
        return Err(refuse("it is a second look itself"));
    }
    if checkpoint.recipe.landmarks.landmarks != recipe.landmarks.landmarks {
        return Err(refuse("it was trained on other landmarks"));
    }
    if checkpoint.recipe.templates != recipe.templates {
        return Err(refuse("it was trained from another annotated film"));
    }
    if checkpoint.notes.get("films") != Some(&ids) {
        return Err(refuse("it was trained on other films"));
    }
    if checkpoint.notes.contains_key("step") {
        return Err(refuse("its training has not ended"));
    }
    let labels = checkpoint.tensors.get(PSEUDO_LABELS).and_then(pseudo_labels::from_tensor);
    let labels = labels.ok_or_else(|| refuse("it has no pseudo-labels"))?;
    let side = checkpoint.recipe.network.size;

    // The frame is around the first template's landmarks.
    let template = recipe.templates.first().and_then(|id| cases.iter().position(|case| case.id == *id));
    let index = template.ok_or_else(|| TrainError::NoTemplate { id: recipe.templates.join(", ") })?;
    let case = &cases[index];
    let film = case.with_spacing(Film::open(&case.film)?, None);
    let map = GridMap::new(film.size(), GridSize::new(side, side));
    let truth = |landmark: usize| case.points.as_ref().and_then(|points| points[landmark]);
    let points = labels[index].iter().enumerate();
    let points: Vec<Point> =
        points.map(|(landmark, label)| truth(landmark).unwrap_or(map.to_film_at(*label))).collect();
    Ok(FirstLook::new(&labels, side, &Alignment::frame(&film, &points)))
}

/// The first look that the run in a folder goes on from, if it is a second look.
///
/// # Errors
/// There is no run, or its checkpoint is damaged.
pub fn first_look_of(folder: &Path) -> Result<Option<FirstLook>, TrainError> {
    Ok(FirstLook::of(&Checkpoint::read(&folder.join(CHECKPOINT))?.tensors))
}
