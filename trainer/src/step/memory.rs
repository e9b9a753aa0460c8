//! The tensors that the optimiser and the average keep for each parameter, in a checkpoint: one prefix for each part (moments,
//! means, counts of steps), then the parameter's name.

use std::collections::BTreeMap;

use ndarray::{ArrayD, IxDyn};
use onemark_models::checkpoint::Tensors;
use tch::{Device, Tensor};

use crate::TrainError;
use crate::net::params::to_torch;

/// One part, taken out of a checkpoint.
pub struct Part {
    prefix: &'static str,
    /// By parameter.
    tensors: Tensors,
}

impl Part {
    /// Takes the tensors whose names start with `prefix` out of `tensors`.
    pub fn take(tensors: &mut Tensors, prefix: &'static str) -> Self {
        let taken = tensors.extract_if(.., |name, _| name.starts_with(prefix));
        let tensors = taken.map(|(name, tensor)| (name[prefix.len()..].to_owned(), tensor)).collect();
        Self { prefix, tensors }
    }

    /// The tensor of a parameter, on `device`.
    ///
    /// # Errors
    /// There is none, or the device has no memory left.
    pub fn of(&self, param: &str, device: Device) -> Result<Tensor, TrainError> {
        let missing = || TrainError::NoParameter { name: format!("{}{param}", self.prefix) };
        Ok(to_torch(self.tensors.get(param).ok_or_else(missing)?)?.f_to_device(device)?)
    }
}

/// A count of steps, as a tensor.
pub fn count(steps: i32) -> ArrayD<f32> {
    ArrayD::from_elem(IxDyn(&[1]), steps as f32)
}

/// Takes the counts of steps, by parameter, out of `tensors`; their names start with `prefix`.
pub fn take_counts(tensors: &mut Tensors, prefix: &'static str) -> BTreeMap<String, i32> {
    let counts = Part::take(tensors, prefix).tensors;
    counts.into_iter().map(|(name, steps)| (name, steps.iter().sum::<f32>() as i32)).collect()
}
