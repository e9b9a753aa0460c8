//! The tensors that the optimiser and the average keep for each parameter, in a checkpoint: one prefix for each part (moments,
//! means, counts of steps), then the parameter's spelling.

use ndarray::{ArrayD, IxDyn};
use onemark_models::checkpoint::Tensors;
use onemark_models::graph::ParamId;
use tch::{Device, Tensor};

use crate::TrainError;
use crate::net::params::to_torch;

/// A count of steps, as a tensor.
pub fn count(steps: i32) -> ArrayD<f32> {
    ArrayD::from_elem(IxDyn(&[1]), steps as f32)
}

/// Takes the count of steps of a parameter out of a checkpoint, if it has one.
pub fn count_of(tensors: &mut Tensors, prefix: &'static str, param: &ParamId) -> Option<i32> {
    tensors.remove(&format!("{prefix}{param}")).map(|steps| steps.iter().sum::<f32>() as i32)
}

/// Takes a part of what is kept for a parameter out of a checkpoint, to `device`.
///
/// # Errors
/// There is none, or the device has no memory left.
pub fn tensor_of(
    tensors: &mut Tensors,
    prefix: &'static str,
    param: &ParamId,
    device: Device,
) -> Result<Tensor, TrainError> {
    let name = format!("{prefix}{param}");
    let tensor = tensors.remove(&name).ok_or(TrainError::NoParameter { name })?;
    Ok(to_torch(&tensor)?.f_to_device(device)?)
}
