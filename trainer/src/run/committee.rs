//! A committee: independent trainings on the same films, whose labels together train one network (METHOD.md sec. 8b).

use std::path::PathBuf;

use onemark_film::geometry::GridPoint;
use onemark_models::checkpoint::{Checkpoint, parameters};
use onemark_models::graph::{Owner, ParamId, Parameters};
use onemark_models::recipe::Recipe;
use onemark_models::shape_prior::PointSets;
use onemark_models::statistics::upper_median;
use serde_json::json;

use super::{Ending, Run, State, is_finished};
use crate::TrainError;
use crate::data::samples::Films;
use crate::net::heads::Heads;
use crate::net::params::Params;
use crate::pseudo_labels::{PseudoLabels, Scene};
use crate::report::log::RunLog;
use crate::report::observer::{Agreement, Event};
use crate::report::progress::Progress;

/// A member nearer to the others' middle than this does not count more, cells.
const NEAR: f64 = 1.0;
const ROUNDS: usize = 30;

impl Run<'_> {
    /// Trains the recipe's members that are not trained yet, each in a folder of its own, and takes their labels together.
    pub(super) fn train_members(
        &self,
        members: usize,
        state: &mut State,
        films: &Films,
        log: &mut RunLog,
    ) -> Result<Ending, TrainError> {
        let is_trunk = |(param, _): &(ParamId, _)| param.node.owner == Owner::Trunk;
        let trunk: Parameters = state.params.to_parameters()?.into_iter().filter(is_trunk).collect();
        let mut labels = Vec::new();
        for number in 1..=members {
            let recipe = member(self.recipe, number)?;
            let run = Run { recipe: &recipe, folder: self.member_folder(number), features: None, ..*self };
            self.observer.observe(Event::Member { number, members });
            let trained = run.checkpoint_path().exists();
            if !(trained && is_finished(&run.folder)?) {
                let ending =
                    if trained { run.resume_on(Some(films))? } else { run.start_with(trunk.clone(), Some(films))? };
                if ending == Ending::Interrupted {
                    return Ok(ending);
                }
            }
            labels.push(run.final_labels(films)?);
        }
        let (points, spreads) = together(&labels);
        let agreement = self.agreement(&spreads, films);
        log.event(&json!({"event": "committee", "members": members, "spread_cells": agreement.cells}))?;
        state.history.push(agreement.to_string());
        self.observer.observe(Event::Agreement(&agreement));
        state.labels = Some(PseudoLabels::from(points));
        self.save(state)?;
        Ok(Ending::Finished)
    }

    fn member_folder(&self, number: usize) -> PathBuf {
        self.folder.join(format!("member-{number}"))
    }

    /// Where the finished network of this run finds the landmarks on the films.
    fn final_labels(&self, films: &Films) -> Result<PointSets, TrainError> {
        // The folder may be left from another run.
        let Checkpoint { tensors, .. } = self.own_checkpoint()?;
        let adapters = self.recipe.phases.last().is_some_and(|phase| phase.adapters);
        let params = Params::new(&parameters(&tensors, &self.shapes(adapters)?)?, self.device)?;
        let heads = Heads::new(self.recipe, films.samples.landmarks(), adapters)?;
        let scene = Scene::new(self.recipe, &heads, &params, films)?;
        let progress = Progress::new(self.observer, "labels of the member");
        let (mut points, _) = scene.find_all(|done, total| progress.report(done, total))?;
        scene.keep_truth(&mut points);
        Ok(points)
    }

    fn agreement(&self, spreads: &[Vec<f64>], films: &Films) -> Agreement {
        let landmarks = &self.recipe.landmarks.landmarks;
        let cells = (0..landmarks.len()).map(|landmark| upper_median(spreads.iter().map(|film| film[landmark])));
        let mm_per_cell = films.samples.templates()[0].mm_per_cell();
        Agreement {
            titles: landmarks.iter().map(|one| one.title.clone()).collect(),
            cells: cells.collect(),
            mm_per_cell,
        }
    }
}

/// The recipe of a member: with a seed of its own, and without adapters if it has a phase before them.
fn member(recipe: &Recipe, number: usize) -> Result<Recipe, TrainError> {
    let edited = recipe.edit(|spec| {
        spec.name = format!("{}, member {number}", spec.name);
        spec.seed = spec.seed.wrapping_add(number as u64);
        spec.committee = None;
        if spec.phases.iter().any(|phase| !phase.adapters) {
            spec.phases.retain(|phase| !phase.adapters);
            spec.network.adapter_channels = 0;
        }
    });
    edited.map_err(TrainError::Member)
}

/// For each film and landmark the members' point, and the mean distance of the members from it, in cells.
fn together(labels: &[PointSets]) -> (PointSets, Vec<Vec<f64>>) {
    let films = 0..labels.first().map_or(0, Vec::len);
    let of_film = |film: usize| {
        let landmarks = 0..labels[0][film].len();
        let points = |landmark: usize| labels.iter().map(move |member| member[film][landmark]);
        landmarks.map(|landmark| middle(&points(landmark).collect::<Vec<_>>())).unzip()
    };
    films.map(of_film).unzip()
}

/// A mean in which a point counts the less, the farther it lies from the others (the geometric median, but for points nearer than
/// [`NEAR`]), and the mean distance from it.
fn middle(points: &[GridPoint]) -> (GridPoint, f64) {
    let distance = |from: GridPoint, to: &GridPoint| (from.row - to.row).hypot(from.column - to.column);
    let weighted = |weight: &dyn Fn(&GridPoint) -> f64| {
        let sum = points.iter().fold((0.0, 0.0, 0.0), |(row, column, sum), point| {
            let weight = weight(point);
            (row + weight * point.row, column + weight * point.column, sum + weight)
        });
        GridPoint::new(sum.0 / sum.2, sum.1 / sum.2)
    };
    let at = (0..ROUNDS).fold(weighted(&|_| 1.0), |at, _| weighted(&|point| 1.0 / distance(at, point).max(NEAR)));
    (at, points.iter().map(|point| distance(at, point)).sum::<f64>() / points.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_errs_counts_little() {
        let points = [(10.0, 20.0), (11.0, 20.0), (60.0, 80.0)].map(|(row, column)| GridPoint::new(row, column));
        let (at, spread) = middle(&points);
        assert!((at.row - 10.5).abs() < 1.5 && (at.column - 20.0).abs() < 1.5, "{at:?}");
        assert!((24.0..28.0).contains(&spread), "{spread}");
        let (at, spread) = middle(&points[..2]);
        assert!((at.row - 10.5).abs() < 1e-9 && (spread - 0.5).abs() < 1e-9);
    }
}
