//! The network's parameters as torch tensors on one device, by id.

use std::collections::BTreeMap;

use ndarray::{ArrayD, IxDyn};
use onemark_models::graph::{Graph, Owner, ParamId, Parameters};
use tch::{Device, Kind, Tensor};

use crate::TrainError;

/// Parameters and running statistics by id. The trunk and all statistics need no gradient.
pub struct Params {
    device: Device,
    tensors: BTreeMap<ParamId, Tensor>,
}

/// Whether training changes a parameter.
fn is_trained(param: &ParamId) -> bool {
    !param.is_statistic() && param.node.owner != Owner::Trunk
}

impl Params {
    /// Copies `parameters` to `device`.
    ///
    /// # Errors
    /// The device has no memory left.
    pub fn new(parameters: &Parameters, device: Device) -> Result<Self, TrainError> {
        let mut params = Self { device, tensors: BTreeMap::new() };
        for (param, tensor) in parameters {
            let tensor = to_torch(tensor)?.f_to_device(device)?.f_set_requires_grad(is_trained(param))?;
            params.tensors.insert(param.clone(), tensor);
        }
        Ok(params)
    }

    /// Where the parameters are.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The tensor of a parameter.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, param: &ParamId) -> Result<&Tensor, TrainError> {
        self.tensors.get(param).ok_or_else(|| TrainError::NoParameter { name: param.to_string() })
    }

    /// Whether there is any landmark's adapter.
    pub fn have_adapters(&self) -> bool {
        self.tensors.keys().any(|param| matches!(param.node.owner, Owner::Adapter(_)))
    }

    /// The trained parameters that `graph` reads: what a step on it may change.
    ///
    /// # Errors
    /// One of them is missing.
    pub fn trained<'a>(&'a self, graph: &'a Graph) -> Result<Vec<(&'a ParamId, &'a Tensor)>, TrainError> {
        let trained = graph.params().keys().filter(|param| is_trained(param));
        trained.map(|param| Ok((param, self.get(param)?))).collect()
    }

    /// These parameters, some of them replaced. The others are shared, not copied.
    #[must_use]
    pub fn with(&self, replaced: impl Iterator<Item = (ParamId, Tensor)>) -> Self {
        let shared = self.tensors.iter().map(|(param, tensor)| (param.clone(), tensor.shallow_clone()));
        let mut tensors: BTreeMap<ParamId, Tensor> = shared.collect();
        tensors.extend(replaced);
        Self { device: self.device, tensors }
    }

    /// A copy of all parameters.
    ///
    /// # Errors
    /// A tensor can't be brought back from the device.
    pub fn to_parameters(&self) -> Result<Parameters, TrainError> {
        self.tensors.iter().map(|(param, tensor)| Ok((param.clone(), from_torch(tensor)?))).collect()
    }
}

/// Joins adapters to parameters that were trained without: convolutions that now read adapter channels too get columns of zeros
/// for them, so that the network's results do not change; new parameters are taken from `fresh`.
pub fn widen(mut trained: Parameters, fresh: Parameters) -> Parameters {
    for (param, fresh) in fresh {
        match trained.get_mut(&param) {
            Some(old) if old.shape() == fresh.shape() => {}
            Some(old) => {
                // Adapter channels are concatenated last, so the columns that were trained come first.
                let mut wide = ArrayD::zeros(IxDyn(fresh.shape()));
                let inside = old.shape().to_vec();
                wide.slice_each_axis_mut(|axis| ndarray::Slice::from(..inside[axis.axis.index()])).assign(old);
                *old = wide;
            }
            None => {
                trained.insert(param, fresh);
            }
        }
    }
    trained
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
