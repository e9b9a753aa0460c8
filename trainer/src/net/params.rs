//! The network's parameters as torch tensors on one device, under the graph's names.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{ArrayD, IxDyn};
use onemark_models::checkpoint::Tensors;
use onemark_models::graph::{Graph, is_statistic};
use tch::{Device, Kind, Tensor};

use crate::TrainError;

/// Parameters and running statistics by name. The trunk and all statistics need no gradient.
pub struct Params {
    device: Device,
    tensors: BTreeMap<String, Tensor>,
}

impl Params {
    /// Copies `tensors` to `device`.
    ///
    /// # Errors
    /// The device has no memory left.
    pub fn new(tensors: &Tensors, device: Device) -> Result<Self, TrainError> {
        let mut params = Self { device, tensors: BTreeMap::new() };
        for (name, tensor) in tensors {
            let trained = !is_statistic(name) && !name.starts_with("trunk.");
            let tensor = to_torch(tensor)?.f_to_device(device)?.f_set_requires_grad(trained)?;
            params.tensors.insert(name.clone(), tensor);
        }
        Ok(params)
    }

    /// Where the parameters are.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The parameter called `name`.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, name: &str) -> Result<&Tensor, TrainError> {
        self.tensors.get(name).ok_or_else(|| TrainError::NoParameter { name: name.to_owned() })
    }

    /// The trained parameters that `graph` reads: what a step on it may change.
    ///
    /// # Errors
    /// One of them is missing.
    pub fn trained<'a>(&'a self, graph: &'a Graph) -> Result<Vec<(&'a str, &'a Tensor)>, TrainError> {
        let trained = graph.params().keys().filter(|name| !is_statistic(name) && !name.starts_with("trunk."));
        trained.map(|name| Ok((name.as_str(), self.get(name)?))).collect()
    }

    /// These parameters, some of them replaced. The others are shared, not copied.
    #[must_use]
    pub fn with(&self, replaced: impl Iterator<Item = (String, Tensor)>) -> Self {
        let mut tensors: BTreeMap<String, Tensor> =
            self.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
        tensors.extend(replaced);
        Self { device: self.device, tensors }
    }

    /// A copy of all parameters.
    ///
    /// # Errors
    /// A tensor can't be brought back from the device.
    pub fn to_tensors(&self) -> Result<Tensors, TrainError> {
        self.tensors.iter().map(|(name, tensor)| Ok((name.clone(), from_torch(tensor)?))).collect()
    }
}

/// Joins adapters to tensors that were trained without: convolutions that now read adapter channels too get columns of zeros
/// for them, so that the network computes what it did; whatever is new is taken from `fresh`.
pub fn widen(trained: Tensors, fresh: Tensors) -> Tensors {
    let keep: BTreeSet<String> = trained.keys().filter(|name| !fresh.contains_key(*name)).cloned().collect();
    let kept =
        trained.iter().filter(|(name, _)| keep.contains(*name)).map(|(name, tensor)| (name.clone(), tensor.clone()));
    let widened = fresh.into_iter().map(|(name, fresh)| match trained.get(&name) {
        Some(old) if old.shape() == fresh.shape() => (name, old.clone()),
        Some(old) => {
            // Adapter channels are concatenated last, so the columns that were trained come first.
            let mut wide = ArrayD::zeros(IxDyn(fresh.shape()));
            let inside = old.shape().to_vec();
            wide.slice_each_axis_mut(|axis| ndarray::Slice::from(..inside[axis.axis.index()])).assign(old);
            (name, wide)
        }
        None => (name, fresh),
    });
    kept.collect::<Tensors>().into_iter().chain(widened.collect::<Tensors>()).collect()
}

/// An ndarray tensor as a torch tensor on the CPU.
///
/// # Errors
/// Torch has no memory left.
pub fn to_torch(tensor: &ArrayD<f32>) -> Result<Tensor, TrainError> {
    let shape: Vec<i64> = tensor.shape().iter().map(|side| *side as i64).collect();
    let numbers: Vec<f32> = tensor.iter().copied().collect();
    Ok(Tensor::f_from_slice(&numbers)?.f_reshape(shape)?)
}

/// A torch tensor as an ndarray tensor of f32.
///
/// # Errors
/// The tensor can't be brought back from its device.
pub fn from_torch(tensor: &Tensor) -> Result<ArrayD<f32>, TrainError> {
    let shape: Vec<usize> = tensor.size().iter().map(|side| *side as usize).collect();
    let flat = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?.f_view([-1])?;
    let numbers = Vec::<f32>::try_from(flat)?;
    ArrayD::from_shape_vec(IxDyn(&shape), numbers).map_err(|source| TrainError::Shape { source })
}
