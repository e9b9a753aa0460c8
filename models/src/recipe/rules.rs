//! Which recipes are possible: values one by one while they are read, so that errors know their line, and values together
//! afterwards.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, IntoDeserializer as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Copies, Decoding, Recipe, Stage, TemplateSource};
use crate::landmarks::LandmarkSet;

impl Recipe {
    /// The first key whose value is impossible beside the others', and why.
    pub(super) fn impossible(&self) -> Option<(&'static str, String)> {
        if let Err(error) = LandmarkSet::named(&self.landmarks) {
            return Some(("landmarks", error.to_string()));
        }
        let (patch, film) = (self.pairs.patch.as_ref(), self.pairs.film.as_ref());
        let (network, phases) = (&self.network, &self.phases);
        let steps = |good: fn(Option<usize>) -> bool| phases.iter().all(|phase| good(phase.steps));
        let adapters = || phases.iter().map(|phase| phase.adapters);
        let has_channels = network.adapter_channels > 0;
        let trains = |stage: Stage| self.stages.contains(&stage);
        let rules = [
            (patch.is_some() == film.is_some(), "pairs", "exactly one of `patch` and `film` must be given"),
            (phases.is_empty(), "phases", "there must be at least one"),
            (
                trains(Stage::RandomPoints) == trains(Stage::PseudoLabels),
                "stages",
                "needs exactly one of `pseudo-labels` and `random-points`",
            ),
            (
                trains(Stage::RandomPoints) && (network.separate || has_channels),
                "stages",
                "`random-points` know no landmark: they can't train adapters or separate decoders",
            ),
            (
                network.separate && has_channels,
                "network.separate",
                "separate decoders need no adapters: set `adapter_channels: 0`",
            ),
            (
                film.is_some() && !steps(|steps| steps.is_some_and(|steps| steps > 0)),
                "phases.steps",
                "film pairs need steps, at least 1 an epoch",
            ),
            (
                patch.is_some() && !steps(|steps| steps.is_none()),
                "phases.steps",
                "with patch pairs the data decide the steps: leave it out",
            ),
            (
                adapters().zip(adapters().skip(1)).any(|(first, second)| first && !second),
                "phases.adapters",
                "once adapters take part they can't leave",
            ),
            (
                adapters().next_back() != Some(has_channels),
                "phases.adapters",
                "must end true with adapter channels, false without",
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
                film.is_some_and(|film| film.film_copies.count == 0 || self.template_copies.count < 2),
                "pairs.film",
                "needs at least one copy of each film and two of the template",
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
                self.decoding == Decoding::ShapePrior && phases.iter().map(|phase| phase.epochs).sum::<usize>() < 2,
                "decoding",
                "`shape-prior` needs pseudo-labels, which are inferred between epochs: at least two",
            ),
        ];
        rules.into_iter().find(|(broken, ..)| *broken).map(|(_, key, why)| (key, why.to_owned()))
    }
}

/// Neighbours on the lattice may be displaced against each other by twice the shift.
fn folds(copies: Copies) -> bool {
    copies.elastic.is_some_and(|elastic| elastic.shift * 6.0 * (elastic.lattice - 1) as f64 >= 1.0)
}

fn checked<'de, D, T>(value: D, good: impl Fn(&T) -> bool, rule: &str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + fmt::Debug,
{
    value.deserialize_any(Checked { good, rule, value: PhantomData })
}

/// Checks while the reader is still at the value: only then does it add the key's whole path and its line to an error.
struct Checked<'a, G, T> {
    good: G,
    rule: &'a str,
    value: PhantomData<T>,
}

impl<'de, G: Fn(&T) -> bool, T: Deserialize<'de> + fmt::Debug> Checked<'_, G, T> {
    fn check<D: Deserializer<'de>>(self, value: D) -> Result<T, D::Error> {
        let value = T::deserialize(value)?;
        let rule = self.rule;
        if (self.good)(&value) { Ok(value) } else { Err(D::Error::custom(format!("{value:?} is impossible: {rule}"))) }
    }
}

impl<'de, G: Fn(&T) -> bool, T: Deserialize<'de> + fmt::Debug> Visitor<'de> for Checked<'_, G, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number or numbers: {}", self.rule)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        self.check(value.into_deserializer())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        self.check(value.into_deserializer())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        self.check(value.into_deserializer())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, values: A) -> Result<T, A::Error> {
        self.check(SeqAccessDeserializer::new(values))
    }
}

pub(super) fn positive<'de, D: Deserializer<'de>>(value: D) -> Result<usize, D::Error> {
    checked(value, |value| *value > 0, "must be at least 1")
}

pub(super) fn two_or_more<'de, D: Deserializer<'de>>(value: D) -> Result<usize, D::Error> {
    checked(value, |value| *value > 1, "must be at least 2")
}

pub(super) fn positive_each<'de, D: Deserializer<'de>, const N: usize>(value: D) -> Result<[usize; N], D::Error>
where
    [usize; N]: Deserialize<'de>,
{
    checked(value, |values: &[usize; N]| values.iter().all(|value| *value > 0), "each must be at least 1")
}

pub(super) fn multiple_of_32<'de, D: Deserializer<'de>>(value: D) -> Result<usize, D::Error> {
    checked(value, |value| *value > 0 && value % 32 == 0, "must be a multiple of 32, because level 5 has stride 32")
}

pub(super) fn fraction<'de, D: Deserializer<'de>>(value: D) -> Result<f64, D::Error> {
    checked(value, |value| (0.0..1.0).contains(value), "must lie in [0, 1)")
}

pub(super) fn some_fraction<'de, D: Deserializer<'de>>(value: D) -> Result<Option<f64>, D::Error> {
    fraction(value).map(Some)
}
