//! The rules of recipes: first those of single values, then those of values together.

use std::collections::HashSet;
use std::fmt::Display;

use super::{Committee, Copies, PriorUse, Spec, Stage, TemplateSource};
use crate::invalid::Invalid;

impl Spec {
    /// Checks all rules.
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        self.validate_values()?;
        self.landmarks.validate().map_err(|invalid| invalid.within("landmarks"))?;
        self.validate_together()
    }

    /// Checks each value alone.
    fn validate_values(&self) -> Result<(), Invalid> {
        let Self { trunk, network, jitter, loss, .. } = self;
        at_least(1, "trunk.widths", &trunk.widths)?;
        multiple_of_32("network.size", network.size)?;
        at_least(1, "network.decoder", &network.decoder)?;
        at_least(1, "network.rfb", &network.rfb)?;
        at_least(1, "network.embedding", &[network.embedding])?;
        fraction("jitter.brightness", jitter.brightness)?;
        fraction("jitter.contrast", jitter.contrast)?;
        fraction("jitter.gamma", jitter.gamma)?;
        self.template_copies.validate().map_err(|invalid| invalid.within("template_copies"))?;
        if let Some(patch) = &self.pairs.patch {
            multiple_of_32("pairs.patch.size", patch.size)?;
            at_least(1, "pairs.patch.repeats", &[patch.repeats])?;
            at_least(1, "pairs.patch.batch", &[patch.batch])?;
        }
        if let Some(film) = &self.pairs.film {
            film.film_copies.validate().map_err(|invalid| invalid.within("pairs.film.film_copies"))?;
            at_least(1, "pairs.film.points", &[film.points])?;
            fraction("pairs.film.random_share", film.random_share)?;
        }
        at_least(1, "loss.window", &[loss.radius])?;
        if let Some(Committee { members }) = self.committee {
            rule((2..=20).contains(&members), "committee.members", members, "must be 2 to 20")?;
        }
        let can_align = !self.second_look || self.landmarks.len() > 1;
        rule(can_align, "second_look", self.second_look, "needs at least two landmarks: one aligns no film")?;
        for (index, phase) in self.phases.iter().enumerate() {
            at_least(1, &format!("phases[{index}].epochs"), &[phase.epochs])?;
        }
        self.average.map_or(Ok(()), |average| fraction("average", average))
    }

    /// Checks values together.
    fn validate_together(&self) -> Result<(), Invalid> {
        let (patch, film) = (self.pairs.patch.as_ref(), self.pairs.film.as_ref());
        let (network, phases) = (&self.network, &self.phases);
        let steps = |good: fn(Option<usize>) -> bool| phases.iter().all(|phase| good(phase.steps));
        let adapters = || phases.iter().map(|phase| phase.adapters);
        let has_channels = network.adapter_channels > 0;
        let trains = |stage: Stage| self.stages.contains(&stage);
        let rules = [
            (patch.is_some() == film.is_some(), "pairs", "exactly one of `patch` and `film` must be given"),
            (phases.is_empty(), "phases", "there must be at least one"),
            (self.templates.is_empty(), "template", "there must be at least one"),
            (
                self.templates.iter().collect::<HashSet<_>>().len() < self.templates.len(),
                "template",
                "names a film twice",
            ),
            (
                trains(Stage::RandomPoints) == trains(Stage::PseudoLabels),
                "stages",
                "needs exactly one of `pseudo-labels` and `random-points`",
            ),
            (
                trains(Stage::RandomPoints) && (network.separate || has_channels),
                "stages",
                "`random-points` use no landmarks, so they can't train adapters or separate decoders",
            ),
            (
                trains(Stage::RandomPoints) && self.committee.is_some(),
                "committee",
                "a committee makes pseudo-labels, and `random-points` don't train on them",
            ),
            (
                network.separate && has_channels,
                "network.separate",
                "separate decoders need no adapters: set `adapter_channels: 0`",
            ),
            (
                film.is_some() && !steps(|steps| steps.is_some_and(|steps| steps > 0)),
                "phases.steps",
                "film pairs need at least 1 step per epoch",
            ),
            (
                patch.is_some() && !steps(|steps| steps.is_none()),
                "phases.steps",
                "with patch pairs the steps follow from the data; leave it out",
            ),
            (
                adapters().zip(adapters().skip(1)).any(|(first, second)| first && !second),
                "phases.adapters",
                "after a phase with adapters, all later phases must have them",
            ),
            (
                adapters().next_back() != Some(has_channels),
                "phases.adapters",
                "the last phase must have true with adapter channels, false without",
            ),
            (
                phases.iter().any(|phase| !(phase.learning_rate > 0.0 && phase.learning_rate < 1.0)),
                "phases.learning_rate",
                "must lie between 0 and 1",
            ),
            (
                patch.is_some_and(|patch| patch.size > network.size || 2 * patch.centre_shift >= patch.size),
                "pairs.patch",
                "the crop must fit into the film and its centre shift into the crop",
            ),
            (
                film.is_some_and(|film| {
                    film.film_copies.count == 0 || self.template_copies.count < 2 * self.templates.len()
                }),
                "pairs.film",
                "needs at least one copy of each film and two of each annotated film (`template_copies.count` counts all)",
            ),
            (
                self.template_copies.joints > 0.0 && self.landmarks.joints.is_empty(),
                "template_copies.joints",
                "the landmark set has no joints that could move: add `joints` to it, or leave this out",
            ),
            (
                film.is_some_and(|film| film.film_copies.joints > 0.0),
                "pairs.film.film_copies.joints",
                "joints move on copies of templates only: set `template_copies.joints`",
            ),
            (
                [Some(self.template_copies), film.map(|film| film.film_copies)].into_iter().flatten().any(folds),
                "elastic.shift",
                "must be below a sixth of the lattice's spacing, 1 / (6 (lattice - 1)): the film could fold over itself",
            ),
            (
                self.template_vectors.source == TemplateSource::Patch && patch.is_none(),
                "template_vectors.source",
                "`patch` needs `pairs.patch`, which names the crop's size: use `film`",
            ),
            (
                self.template_vectors.copies > self.template_copies.count,
                "template_vectors.copies",
                "there are fewer template copies (`template_copies.count`)",
            ),
            (
                self.decoding == PriorUse::ShapePrior && phases.iter().map(|phase| phase.epochs).sum::<usize>() < 2,
                "decoding",
                "`shape-prior` needs pseudo-labels, which are inferred between epochs: at least two",
            ),
        ];
        match rules.into_iter().find(|(broken, ..)| *broken) {
            Some((_, key, why)) => Err(Invalid::new(key, why)),
            None => Ok(()),
        }
    }
}

/// Two neighbours on the lattice may move towards each other, each by the largest shift.
fn folds(copies: Copies) -> bool {
    copies.elastic.is_some_and(|elastic| elastic.shift * 6.0 * (elastic.lattice - 1) as f64 >= 1.0)
}

impl Copies {
    fn validate(&self) -> Result<(), Invalid> {
        fraction("affine.shift", self.affine.shift)?;
        fraction("affine.scale", self.affine.scale)?;
        rule((0.0..=1.0).contains(&self.joints), "joints", self.joints, "must lie in 0 to 1")?;
        if let Some(elastic) = self.elastic {
            fraction("elastic.shift", elastic.shift)?;
            at_least(2, "elastic.lattice", &[elastic.lattice])?;
        }
        Ok(())
    }
}

fn at_least(least: usize, key: &str, values: &[usize]) -> Result<(), Invalid> {
    values.iter().try_for_each(|value| rule(*value >= least, key, value, format!("must be at least {least}")))
}

fn multiple_of_32(key: &str, value: usize) -> Result<(), Invalid> {
    let good = value > 0 && value.is_multiple_of(32);
    rule(good, key, value, "must be a multiple of 32, because level 5 has stride 32")
}

fn fraction(key: &str, value: f64) -> Result<(), Invalid> {
    rule((0.0..1.0).contains(&value), key, value, "must lie in [0, 1)")
}

fn rule(good: bool, key: &str, value: impl Display, rule: impl Display) -> Result<(), Invalid> {
    if good { Ok(()) } else { Err(Invalid::new(key, format!("{value} is impossible: {rule}"))) }
}
