//! The frozen trunk's features of the films and copies. They never change, so they are computed once per film and kept as f16: on
//! the device, or in a folder that several runs can share, from which they are mapped into memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::Array2;
use onemark_models::files::write_whole;
use onemark_models::graph::Graph;
use onemark_models::graph::{ParamId, Port};
use onemark_models::network::Architecture;
use onemark_models::recipe::Recipe;
use sha2::{Digest as _, Sha256};
use tch::{Device, Kind, Tensor};

use crate::TrainError;
use crate::net::interpreter::{self, Mode, channels_last};
use crate::net::params::{Params, to_torch};

/// The frozen part of the network.
pub struct Trunk {
    graph: Graph,
    widths: [usize; 5],
}

impl Trunk {
    /// The recipe's trunk.
    ///
    /// # Errors
    /// The recipe describes no possible network.
    pub fn new(recipe: &Recipe) -> Result<Self, TrainError> {
        Ok(Self { graph: Architecture::from(recipe).trunk_graph()?, widths: recipe.trunk.widths })
    }

    /// The taps of films of one size as one batch, by name, computed in `kind`. Needs no gradient.
    ///
    /// # Errors
    /// Torch fails.
    pub fn taps(
        &self,
        params: &Params,
        films: &[Array2<f32>],
        kind: Kind,
    ) -> Result<BTreeMap<Port, Tensor>, TrainError> {
        let _guard = tch::no_grad_guard();
        let films: Result<Vec<Tensor>, TrainError> =
            films.iter().map(|film| to_torch(&film.clone().into_dyn())).collect();
        let batch = Tensor::f_stack(&films?, 0)?.f_unsqueeze(1)?.f_to_device(params.device())?.f_to_kind(kind)?;
        let taps = interpreter::run(&self.graph, params, &BTreeMap::from([(Port::Film, batch)]), Mode::Evaluate)?;
        Ok(self.graph.outputs().iter().map(|(name, _)| name.clone()).zip(taps).collect())
    }
}

/// Computes features, or takes them from a folder.
pub struct Features<'a> {
    trunk: Trunk,
    params: &'a Params,
    folder: Option<Folder<'a>>,
}

struct Folder<'a> {
    path: &'a Path,
    /// Digest of the trunk's weights, which determine the features.
    weights: Sha256,
}

impl<'a> Features<'a> {
    /// Features of the recipe's trunk with the weights in `params`, kept in `folder` if there is one.
    ///
    /// # Errors
    /// The recipe describes no possible network, the folder can't be made.
    pub fn new(recipe: &Recipe, params: &'a Params, folder: Option<&'a Path>) -> Result<Self, TrainError> {
        let trunk = Trunk::new(recipe)?;
        let folder = folder.map(|path| {
            std::fs::create_dir_all(path).map_err(|source| TrainError::Write { path: path.to_owned(), source })?;
            let mut weights = Sha256::new();
            // In the order of the spelled names, as in folders of earlier versions.
            let spelled: BTreeMap<String, &ParamId> =
                trunk.graph.params().keys().map(|param| (param.to_string(), param)).collect();
            for (name, param) in spelled {
                weights.update(name);
                weights.update(bytes(params.get(param)?)?);
            }
            Ok::<_, TrainError>(Folder { path, weights })
        });
        Ok(Self { trunk, params, folder: folder.transpose()? })
    }

    /// The f16 taps of a film, tap 1 first, each `[1, channels, rows, columns]`, channels last in memory.
    ///
    /// # Errors
    /// Torch fails, the folder can't be written to.
    pub fn of(&self, film: &Array2<f32>) -> Result<Vec<Tensor>, TrainError> {
        let Some(folder) = &self.folder else { return self.compute(film) };
        let path = folder.file(film);
        let shapes = self.shapes(film.dim());
        let total: i64 = shapes.iter().map(|shape| shape.iter().product::<i64>()).sum();
        let written = std::fs::metadata(&path).map_or(0, |file| file.len());
        if written != total as u64 * Kind::Half.elt_size_in_bytes() as u64 {
            let taps = self.compute(film)?;
            let taps: Result<Vec<Vec<u8>>, TrainError> =
                taps.iter().map(|tap| bytes(&tap.f_permute([0, 2, 3, 1])?)).collect();
            write_whole(&path, &taps?.concat()).map_err(|source| TrainError::Write { path: path.clone(), source })?;
        }
        let mapped = Tensor::f_from_file(&path.to_string_lossy(), false, total, (Kind::Half, Device::Cpu))?;
        let mut first = 0;
        let tap = |[films, channels, rows, columns]: &[i64; 4]| {
            let count = films * channels * rows * columns;
            first += count;
            let tap = mapped.f_narrow(0, first - count, count)?.f_view([*films, *rows, *columns, *channels])?;
            Ok(tap.f_permute([0, 3, 1, 2])?)
        };
        shapes.iter().map(tap).collect()
    }

    fn compute(&self, film: &Array2<f32>) -> Result<Vec<Tensor>, TrainError> {
        // In f32, also if steps compute in bf16: it is done once per film, and all runs can share the result.
        let taps = self.trunk.taps(self.params, std::slice::from_ref(film), Kind::Float)?;
        taps.into_values().map(|tap| channels_last(&tap.f_to_kind(Kind::Half)?)).collect()
    }

    fn shapes(&self, (rows, columns): (usize, usize)) -> [[i64; 4]; 5] {
        let widths = self.trunk.widths;
        std::array::from_fn(|tap| [1, widths[tap], rows >> (tap + 1), columns >> (tap + 1)].map(|side| side as i64))
    }
}

impl Folder<'_> {
    /// The name holds a digest of everything that determines the contents, and the order of the numbers.
    fn file(&self, film: &Array2<f32>) -> PathBuf {
        let mut digest = self.weights.clone();
        film.iter().for_each(|grey| digest.update(grey.to_le_bytes()));
        self.path.join(format!("{:x}.nhwc.f16", digest.finalize()))
    }
}

/// A tensor's numbers in the order of its axes.
fn bytes(tensor: &Tensor) -> Result<Vec<u8>, TrainError> {
    let tensor = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?;
    let mut bytes = vec![0; tensor.numel() * tensor.f_kind()?.elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
    Ok(bytes)
}
