//! The second look of a bundle: another network, for films that the landmarks of the first look have aligned (docs/METHOD.md sec. 8c).
//! The bundle holds a whole bundle for it, whose files have names that begin with [`PREFIX`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use onemark_film::geometry::Point;
use serde::{Deserialize, Serialize};

use super::rules::rule;
use super::{Bundle, BundleError, FORMAT_OF_TWO_LOOKS, Manifest, WEIGHTS};
use crate::invalid::Invalid;

/// The beginning of the names of the second look's files.
pub const PREFIX: &str = "second-look.";

/// The manifest of the second look's bundle.
const SECOND_MANIFEST: &str = "second-look.manifest.yaml";

/// How a bundle looks a second time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondLook {
    /// The place of each landmark in the frame under which films are aligned: x to the right and y down, as shares of its side.
    pub frame: Vec<[f64; 2]>,
    /// How much the second look counts in each landmark's position: 0 for the first look alone, 1 for the second alone.
    pub shares: Vec<f64>,
    /// Its weights begin with as many bytes of the first look's, which are stored once: the frozen trunk is the same in both.
    /// [`Bundle::with_second_look`] sets it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shared_weights: usize,
}

fn is_zero(bytes: &usize) -> bool {
    *bytes == 0
}

impl SecondLook {
    /// A second look with these places in the frame and shares.
    pub fn new(frame: Vec<[f64; 2]>, shares: Vec<f64>) -> Self {
        Self { frame, shares, shared_weights: 0 }
    }

    /// Both looks count alike.
    pub fn equal(frame: &[Point]) -> Self {
        Self::new(frame.iter().map(|at| [at.x, at.y]).collect(), vec![0.5; frame.len()])
    }

    /// The places in the frame as points.
    pub fn places(&self) -> Vec<Point> {
        self.frame.iter().map(|[x, y]| Point::new(*x, *y)).collect()
    }

    /// Checks the rules for so many landmarks.
    pub(super) fn validate(&self, landmarks: usize) -> Result<(), Invalid> {
        for (key, count) in [("frame", self.frame.len()), ("shares", self.shares.len())] {
            rule(count == landmarks, key, format!("must have an entry for each of the {landmarks} landmarks"))?;
        }
        let is_share = |number: &f64| (0.0..=1.0).contains(number);
        rule(self.frame.as_flattened().iter().all(is_share), "frame", "must be places from 0 to 1 along both axes")?;
        let apart = landmarks == 1 || self.frame.windows(2).any(|pair| pair[0] != pair[1]);
        rule(apart, "frame", "must not be the same place for all landmarks: no film could be aligned")?;
        rule(self.shares.iter().all(is_share), "shares", "must be numbers from 0 to 1")
    }
}

impl Bundle {
    /// How it looks a second time, and the bundle for that; `None` if it looks once.
    pub fn second_look(&self) -> Option<(&SecondLook, &Self)> {
        self.manifest.second_look.as_ref().zip(self.second.as_deref())
    }

    /// The same bundle with a second look, by another bundle for the same landmarks. The accuracy and the calibration of the first
    /// look alone are left out.
    ///
    /// # Errors
    /// The landmarks differ, `second` itself has a second look, or `look` has not one entry for each landmark.
    pub fn with_second_look(&self, look: SecondLook, second: &Self) -> Result<Self, BundleError> {
        let mut manifest = self.manifest.clone();
        (manifest.accuracy, manifest.calibration) = (None, None);
        if let Some(adapted) = &mut manifest.adapted {
            (adapted.accuracy, adapted.calibration) = (None, None);
        }
        (manifest.format, manifest.second_look) = (FORMAT_OF_TWO_LOOKS, Some(look));
        Self::holding(self.origin.clone(), manifest, &self.files, second)
    }

    /// The same bundle with another bundle for the second look that it has.
    ///
    /// # Errors
    /// The landmarks differ, or `second` itself has a second look.
    pub fn with_second(&self, second: &Self) -> Result<Self, BundleError> {
        Self::holding(self.origin.clone(), self.manifest.clone(), &self.files, second)
    }

    /// A bundle of `own` files, without those of a second look, and of another bundle for that.
    pub(super) fn holding(
        origin: PathBuf,
        mut manifest: Manifest,
        own: &BTreeMap<String, Arc<[u8]>>,
        second: &Self,
    ) -> Result<Self, BundleError> {
        let own = own.iter().filter(|(name, _)| !name.starts_with(PREFIX));
        let mut files: BTreeMap<String, Arc<[u8]>> = own.map(|(name, bytes)| (name.clone(), bytes.clone())).collect();
        let shared = match files.get(WEIGHTS) {
            Some(weights) => shared(weights, second.bytes(WEIGHTS)?),
            None => 0,
        };
        for (name, bytes) in second.all_files() {
            let bytes = if name == WEIGHTS { bytes[shared..].into() } else { bytes.clone() };
            files.insert(format!("{PREFIX}{name}"), bytes);
        }
        if let Some(look) = &mut manifest.second_look {
            look.shared_weights = shared;
        }
        manifest.files = files.iter().map(|(name, bytes)| (name.clone(), super::describe(bytes))).collect();
        Self::of(origin, manifest, files)
    }

    /// The bundle that these files hold for the second look, if the manifest states one.
    pub(super) fn held(
        path: &Path,
        manifest: &Manifest,
        files: &BTreeMap<String, Arc<[u8]>>,
    ) -> Result<Option<Box<Self>>, BundleError> {
        let Some(look) = &manifest.second_look else { return Ok(None) };
        let refuse = |key: &str, why: &'static str| {
            Err(BundleError::Manifest { path: path.to_owned(), invalid: Invalid::new(key, why) })
        };
        if files.get(WEIGHTS).map_or(0, |weights| weights.len()) < look.shared_weights {
            return refuse("second_look.shared_weights", "must be at most the bytes of weights.bin");
        }
        let names: BTreeSet<String> =
            files.keys().filter_map(|name| name.strip_prefix(PREFIX)).map(str::to_owned).collect();
        // Before its files are read: there is no third look to look for.
        if names.iter().any(|name| name.starts_with(PREFIX)) {
            return refuse(SECOND_MANIFEST, "must not have a second look of its own");
        }
        let second = Self::checked(path, names, |name, _| {
            let file = format!("{PREFIX}{name}");
            let bytes = files.get(&file).cloned();
            let bytes = bytes.ok_or_else(|| BundleError::Missing { path: path.to_owned(), file })?;
            let shared = if name == WEIGHTS { look.shared_weights } else { 0 };
            let shared = files.get(WEIGHTS).and_then(|weights| weights.get(..shared)).unwrap_or_default();
            Ok(if shared.is_empty() { bytes } else { shared.iter().chain(bytes.iter()).copied().collect() })
        })
        .map_err(|error| BundleError::SecondLook { source: error.into() })?;
        if second.manifest.landmark_set.landmarks != manifest.landmark_set.landmarks {
            return refuse(SECOND_MANIFEST, "must have the landmarks of the first look");
        }
        Ok(Some(Box::new(second)))
    }
}

/// How many bytes the two begin with alike, in whole cache lines.
fn shared(first: &[u8], second: &[u8]) -> usize {
    const LINE: usize = 64;
    let lines = first.chunks_exact(LINE).zip(second.chunks_exact(LINE));
    LINE * lines.take_while(|(first, second)| first == second).count()
}
