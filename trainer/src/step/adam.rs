//! Adam with L2 weight decay (METHOD.md sec. 1b) that touches only what it is given: a parameter that takes no part in a step
//! keeps its value, its moments and its step count (METHOD.md sec. 4, item 19).

use std::collections::BTreeMap;

use ndarray::{ArrayD, IxDyn};
use onemark_models::checkpoint::Tensors;
use onemark_models::recipe::Optimiser;
use tch::{Device, Tensor};

use crate::TrainError;
use crate::net::params::{from_torch, to_torch};

/// The optimiser and what it remembers of each parameter.
pub struct Adam {
    options: Optimiser,
    memory: BTreeMap<String, Memory>,
}

struct Memory {
    steps: i32,
    first: Tensor,
    second: Tensor,
}

impl Adam {
    /// An optimiser that remembers nothing.
    pub fn new(options: Optimiser) -> Self {
        Self { options, memory: BTreeMap::new() }
    }

    /// One step on the parameters given by name, with their gradients in the same order.
    ///
    /// # Errors
    /// Torch fails.
    pub fn step(
        &mut self,
        params: &[(&str, &Tensor)],
        gradients: &[Tensor],
        learning_rate: f64,
    ) -> Result<(), TrainError> {
        let Optimiser { betas: [beta1, beta2], epsilon, weight_decay } = self.options;
        let _guard = tch::no_grad_guard();
        for ((name, param), gradient) in params.iter().zip(gradients) {
            let gradient = gradient.f_add(&param.f_mul_scalar(weight_decay)?)?;
            if !self.memory.contains_key(*name) {
                let fresh = Memory { steps: 0, first: param.f_zeros_like()?, second: param.f_zeros_like()? };
                self.memory.insert((*name).to_owned(), fresh);
            }
            let Some(memory) = self.memory.get_mut(*name) else { continue };
            memory.steps += 1;
            let _ = memory.first.f_lerp_(&gradient, 1.0 - beta1)?;
            let _ = memory.second.f_lerp_(&gradient.f_square()?, 1.0 - beta2)?;
            let first_correction = 1.0 - beta1.powi(memory.steps);
            let second_correction = 1.0 - beta2.powi(memory.steps);
            // Both corrections in one factor, so that fewer passes go over large tensors.
            let correction = second_correction.sqrt();
            let spread = memory.second.f_sqrt()?.f_add_scalar_(epsilon * correction)?;
            let change = memory.first.f_mul_scalar(-learning_rate * correction / first_correction)?;
            let _ = param.shallow_clone().f_addcdiv_(&change, &spread)?;
        }
        Ok(())
    }

    /// What is remembered, as tensors to be saved: for each parameter `first`, `second` and the step count.
    ///
    /// # Errors
    /// A tensor can't be brought back from its device.
    pub fn to_tensors(&self) -> Result<Tensors, TrainError> {
        let mut tensors = Tensors::new();
        for (name, memory) in &self.memory {
            tensors.insert(format!("{PREFIX}first.{name}"), from_torch(&memory.first)?);
            tensors.insert(format!("{PREFIX}second.{name}"), from_torch(&memory.second)?);
            tensors.insert(format!("{PREFIX}steps.{name}"), ArrayD::from_elem(IxDyn(&[1]), memory.steps as f32));
        }
        Ok(tensors)
    }

    /// Takes what [`Adam::to_tensors`] gave out of `tensors`.
    ///
    /// # Errors
    /// Parts are missing.
    pub fn resume(options: Optimiser, tensors: &mut Tensors, device: Device) -> Result<Self, TrainError> {
        let mut adam = Self::new(options);
        let all: Tensors = tensors.extract_if(PREFIX.to_owned()..optimiser_end(), |_, _| true).collect();
        let part = |part: &str, name: &str| {
            let name = format!("{PREFIX}{part}.{name}");
            all.get(&name).ok_or(TrainError::NoParameter { name })
        };
        for key in all.keys() {
            if let Some(name) = key.strip_prefix(&format!("{PREFIX}steps.")) {
                let memory = Memory {
                    steps: part("steps", name)?.iter().sum::<f32>() as i32,
                    first: to_torch(part("first", name)?)?.f_to_device(device)?,
                    second: to_torch(part("second", name)?)?.f_to_device(device)?,
                };
                adam.memory.insert(name.to_owned(), memory);
            }
        }
        Ok(adam)
    }
}

const PREFIX: &str = "optimiser.";

/// The first name after all that start with [`PREFIX`].
fn optimiser_end() -> String {
    "optimiser/".to_owned()
}
