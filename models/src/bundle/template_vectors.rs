//! Replacing the template's vectors: how a bundle is adapted to further annotated films without training. The original vectors are
//! kept at the end of the weights, so an adaptation can be undone exactly.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Bundle, BundleError, Precision, Span, WEIGHTS};
use crate::confidence::Calibration;
use crate::invalid::Invalid;

/// How a bundle's template vectors came to differ from those it was exported with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adaptation {
    /// The films that were added, in order.
    pub films: Vec<AdaptedFilm>,
    /// Where the vectors that the bundle was exported with stand in [`WEIGHTS`], by name.
    pub original: BTreeMap<String, Span>,
    /// How many bytes [`WEIGHTS`] had.
    pub weights_bytes: usize,
    /// How the bundle was calibrated; it says nothing of other vectors.
    pub calibration: Option<Calibration>,
}

/// One film that a bundle was adapted to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptedFilm {
    /// SHA-256 of its pixels, row by row: identifies the film to those who have it and reveals nothing about the patient.
    pub sha256: String,
    /// Where it comes from, in the words of whoever added it.
    pub source: Option<String>,
    /// The numbers of the landmarks that were annotated on it.
    pub landmarks: Vec<usize>,
}

impl Bundle {
    /// The template's vectors by name (`template.07.level3`).
    ///
    /// # Errors
    /// The weights are not there; an opened bundle has them.
    pub fn template_vectors(&self) -> Result<BTreeMap<String, Vec<f32>>, BundleError> {
        let weights = self.bytes(WEIGHTS)?;
        let read = |span: &Span| Precision::F32.read(&weights[span.offset..span.offset + span.length]);
        Ok(self.manifest.template_vectors.iter().map(|(name, span)| (name.clone(), read(span))).collect())
    }

    /// The same bundle with other template vectors, made from these films and those before. It is not calibrated.
    ///
    /// # Errors
    /// A vector has another length than the one it replaces, or no such name.
    pub fn with_template_vectors(
        &self,
        vectors: &BTreeMap<String, Vec<f32>>,
        films: Vec<AdaptedFilm>,
    ) -> Result<Self, BundleError> {
        let mut weights = self.bytes(WEIGHTS)?.to_vec();
        let mut manifest = self.manifest.clone();
        let calibration = manifest.calibration.take();
        let adapted = manifest.adapted.get_or_insert_with(|| {
            let weights_bytes = weights.len();
            let keep = |(name, span): (&String, &Span)| {
                let offset = weights.len();
                weights.extend_from_within(span.offset..span.offset + span.length);
                (name.clone(), Span { offset, ..*span })
            };
            let original = manifest.template_vectors.iter().map(keep).collect();
            Adaptation { films: Vec::new(), original, weights_bytes, calibration }
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

    /// The bundle as it was exported; the same one where its vectors were never replaced.
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
        manifest.calibration = adapted.calibration;
        self.with_weights(manifest, weights)
    }

    /// The same bundle with another manifest, for instance one that says how it is calibrated.
    ///
    /// # Errors
    /// The manifest contradicts itself or the files.
    pub fn with_manifest(&self, manifest: super::Manifest) -> Result<Self, BundleError> {
        super::validate(&self.origin, &manifest)?;
        Ok(Self { manifest, ..self.clone() })
    }

    fn with_weights(&self, mut manifest: super::Manifest, weights: Vec<u8>) -> Result<Self, BundleError> {
        let mut files = self.files.clone();
        manifest.files.insert(WEIGHTS.to_owned(), super::describe(&weights));
        files.insert(WEIGHTS.to_owned(), weights.into());
        super::validate(&self.origin, &manifest)?;
        Ok(Self { origin: self.origin.clone(), manifest, files })
    }
}

impl Adaptation {
    /// On how many films a landmark's vectors rest, the template among them.
    pub fn films_with(&self, landmark: usize) -> usize {
        1 + self.films.iter().filter(|film| film.landmarks.contains(&landmark)).count()
    }
}
