//! Untrained networks: checkpoints with random weights, for measuring a recipe's costs in a bundle (size, time, parity) before training.

use std::collections::BTreeMap;

use ndarray::{Array1, Axis, s};
use onemark_models::checkpoint::{Checkpoint, init, spelled};
use onemark_models::graph::{Level, Of, ParamId, Parameters, Port};
use onemark_models::landmarks::LandmarkId;
use onemark_models::network::Architecture;
use onemark_models::recipe::{PriorUse, Recipe, RecipeError};
use onemark_models::reference::{self, Maps};

use crate::ExportError;
use crate::synthetic::synthetic_film;

/// A checkpoint of `recipe` with random weights. Its template is the synthetic film of the self-check with landmarks spread over it,
/// so each head finds its landmark on that film, and no other point has a high score.
///
/// # Errors
/// The recipe describes no possible network.
pub fn untrained(recipe: Recipe, seed: u64) -> Result<Checkpoint, ExportError> {
    // A shape prior needs pseudo-labels, which an untrained network does not have.
    let recipe = recipe.edit(|spec| spec.decoding = PriorUse::Argmax).map_err(RecipeError::from)?;
    let landmarks = recipe.landmarks.len();
    let architecture = Architecture::from(&recipe);
    let trunk = architecture.trunk_graph()?;
    let mut tensors = init::random(trunk.params(), seed);
    tensors.extend(init::random(&architecture.decoder_params(landmarks)?, seed));
    let size = recipe.network.size;
    let film = synthetic_film(size).insert_axis(Axis(0)).insert_axis(Axis(0));
    let taps = reference::run(&trunk, &tensors, &[(Port::Film, film)].into())?;
    let mut vectors = Parameters::new();
    let mut shared = None;
    for landmark in LandmarkId::up_to(landmarks) {
        let owner = architecture.owner(landmark);
        let embeddings = match shared.take().filter(|_| owner.is_none()) {
            Some(embeddings) => embeddings,
            None => reference::run(&architecture.embedding_graph(owner)?, &tensors, &taps)?,
        };
        for level in Level::COARSE_TO_FINE {
            let vector = vector(&embeddings, level, place(landmark.number(), landmarks, size));
            vectors.insert(ParamId::vector(Of::One(landmark), level), vector.into_dyn());
        }
        shared = Some(embeddings);
    }
    tensors.extend(vectors);
    let history = vec![format!("Random weights from seed {seed}. Never trained.")];
    Ok(Checkpoint { recipe, history, notes: BTreeMap::new(), tensors: spelled(tensors) })
}

/// The position of a landmark on the film, in cells (row, column): on a diagonal, away from the border.
fn place(landmark: usize, landmarks: usize, size: usize) -> (usize, usize) {
    let along = size * (2 * landmark + 1) / (2 * landmarks + 4);
    (along, size - 1 - along)
}

fn vector(embeddings: &Maps, level: Level, (row, column): (usize, usize)) -> Array1<f32> {
    let map = embeddings.get(&Port::Embedding(level));
    let cell = |place: usize| place / level.stride();
    map.map_or_else(|| Array1::zeros(0), |map| map.slice(s![0, .., cell(row), cell(column)]).to_owned())
}
