//! Replaces the template vectors of a bundle, so that it is adapted to further annotated films without training. The original
//! vectors are kept at the end of the weights, so an adaptation can be undone exactly.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Bundle, BundleError, Precision, Span, WEIGHTS};
use crate::accuracy::Accuracy;
use crate::confidence::Calibration;
use crate::familiarity::Familiarity;
use crate::invalid::Invalid;

/// How the template vectors of a bundle were replaced since its export.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adaptation {
    /// The films that were added, in order.
    pub films: Vec<AdaptedFilm>,
    /// The bytes of the original vectors in [`WEIGHTS`], by name.
    pub original: BTreeMap<String, Span>,
    /// The original size of [`WEIGHTS`] in bytes.
    pub weights_bytes: usize,
    /// The original accuracy, which is that of the original vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<Accuracy>,
    /// The original calibration, which is valid for the original vectors only.
    pub calibration: Option<Calibration>,
    /// The original scores of the training films, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub familiarity: Option<Familiarity>,
}

/// One film that a bundle was adapted to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptedFilm {
    /// SHA-256 of its pixels, row by row: identifies the film to those who have it and reveals nothing about the patient.
    pub sha256: String,
    /// Where it comes from, as stated by the person who added it.
    pub source: Option<String>,
    /// The numbers of the landmarks that were annotated on it.
    pub landmarks: Vec<usize>,
}

impl Bundle {
    /// The template vectors by name (`template.07.level3`).
    ///
    /// # Errors
    /// The bundle has no weights. An opened bundle always has them.
    pub fn template_vectors(&self) -> Result<BTreeMap<String, Vec<f32>>, BundleError> {
        let weights = self.bytes(WEIGHTS)?;
        let read = |span: &Span| Precision::F32.read(&weights[span.offset..span.offset + span.length]);
        Ok(self.manifest.template_vectors.iter().map(|(name, span)| (name.clone(), read(span))).collect())
    }

    /// The same bundle with other template vectors, made from `films` and all films before them. It is not calibrated, its
    /// accuracy is not known, and neither is which films are of another kind.
    ///
    /// # Errors
    /// A vector has another length than the vector that it replaces, or the bundle has no vector of this name.
    pub fn with_template_vectors(
        &self,
        vectors: &BTreeMap<String, Vec<f32>>,
        films: Vec<AdaptedFilm>,
    ) -> Result<Self, BundleError> {
        let mut weights = self.bytes(WEIGHTS)?.to_vec();
        let mut manifest = self.manifest.clone();
        let (calibration, familiarity) = (manifest.calibration.take(), manifest.familiarity.take());
        let accuracy = manifest.accuracy.take();
        let adapted = manifest.adapted.get_or_insert_with(|| {
            let weights_bytes = weights.len();
            let keep = |(name, span): (&String, &Span)| {
                let offset = weights.len();
                weights.extend_from_within(span.offset..span.offset + span.length);
                (name.clone(), Span { offset, ..*span })
            };
            let original = manifest.template_vectors.iter().map(keep).collect();
            Adaptation { films: Vec::new(), original, weights_bytes, accuracy, calibration, familiarity }
        });
        adapted.films.extend(films);
        for (name, vector) in vectors {
            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            match manifest.template_vectors.get(name) {
                Some(span) if span.length == bytes.len() => {
                    weights[span.offset..span.offset + span.length].copy_from_slice(&bytes);
                }
                found => {
                    let why = format!("has {} bytes, not {}", found.map_or(0, |span| span.length), bytes.len());
                    let invalid = Invalid::new(format!("template_vectors: `{name}`"), why);
                    return Err(BundleError::Manifest { path: self.origin.clone(), invalid });
                }
            }
        }
        self.with_weights(manifest, weights)
    }

    /// The bundle as it was exported. If its vectors were never replaced, the same bundle.
    ///
    /// # Errors
    /// The manifest contradicts itself.
    pub fn without_adaptation(&self) -> Result<Self, BundleError> {
        let mut manifest = self.manifest.clone();
        let Some(adapted) = manifest.adapted.take() else { return Ok(self.clone()) };
        let mut weights = self.bytes(WEIGHTS)?.to_vec();
        for (name, from) in &adapted.original {
            if let Some(to) = manifest.template_vectors.get(name) {
                weights.copy_within(from.offset..from.offset + from.length, to.offset);
            }
        }
        weights.truncate(adapted.weights_bytes);
        (manifest.calibration, manifest.familiarity) = (adapted.calibration, adapted.familiarity);
        manifest.accuracy = adapted.accuracy;
        let own = self.with_weights(manifest, weights)?;
        match &self.second {
            Some(second) => own.with_second(&second.without_adaptation()?),
            None => Ok(own),
        }
    }

    /// The same bundle with another manifest, for example with a calibration.
    ///
    /// # Errors
    /// The manifest contradicts itself or the files.
    pub fn with_manifest(&self, manifest: super::Manifest) -> Result<Self, BundleError> {
        Self::of(self.origin.clone(), manifest, self.files.clone())
    }

    fn with_weights(&self, mut manifest: super::Manifest, weights: Vec<u8>) -> Result<Self, BundleError> {
        let mut files = self.files.clone();
        manifest.files.insert(WEIGHTS.to_owned(), super::describe(&weights));
        files.insert(WEIGHTS.to_owned(), weights.into());
        match &self.second {
            // It may have begun with weights that are no longer there.
            Some(second) => Self::holding(self.origin.clone(), manifest, &files, second),
            None => Self::of(self.origin.clone(), manifest, files),
        }
    }
}

impl Adaptation {
    /// The number of films from which a landmark's vectors were made, including the template.
    pub fn films_with(&self, landmark: usize) -> usize {
        1 + self.films.iter().filter(|film| film.landmarks.contains(&landmark)).count()
    }
}
