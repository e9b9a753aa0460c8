//! Adam with L2 weight decay (METHOD.md sec. 1b) that changes only what it is given: a parameter that takes no part in a step
//! keeps its value, its moments and its step count (METHOD.md sec. 4, item 19).

use std::collections::BTreeMap;

use onemark_models::checkpoint::Tensors;
use onemark_models::graph::{ParamId, ParamShapes};
use onemark_models::recipe::Optimiser;
use tch::{Device, Tensor};

use crate::TrainError;
use crate::net::params::from_torch;
use crate::step::memory::{self, count_of, tensor_of};

/// The optimiser, with the moments of each parameter.
pub struct Adam {
    options: Optimiser,
    memory: BTreeMap<ParamId, Memory>,
}

struct Memory {
    steps: i32,
    first: Tensor,
    second: Tensor,
}

impl Adam {
    /// An optimiser before its first step.
    pub fn new(options: Optimiser) -> Self {
        Self { options, memory: BTreeMap::new() }
    }

    /// One step on the parameters given by id, with their gradients in the same order.
    ///
    /// # Errors
    /// Torch fails.
    pub fn step(
        &mut self,
        params: &[(&ParamId, &Tensor)],
        gradients: &[Tensor],
        learning_rate: f64,
    ) -> Result<(), TrainError> {
        let Optimiser { betas: [beta1, beta2], epsilon, weight_decay } = self.options;
        let _guard = tch::no_grad_guard();
        for ((id, param), gradient) in params.iter().zip(gradients) {
            let gradient = gradient.f_add(&param.f_mul_scalar(weight_decay)?)?;
            if !self.memory.contains_key(*id) {
                let fresh = Memory { steps: 0, first: param.f_zeros_like()?, second: param.f_zeros_like()? };
                self.memory.insert((*id).clone(), fresh);
            }
            let Some(memory) = self.memory.get_mut(*id) else { continue };
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

    /// The moments and step counts of all parameters, as tensors of a checkpoint.
    ///
    /// # Errors
    /// A tensor can't be brought back from its device.
    pub fn to_tensors(&self) -> Result<Tensors, TrainError> {
        let mut tensors = Tensors::new();
        for (name, memory) in &self.memory {
            tensors.insert(format!("{FIRST}{name}"), from_torch(&memory.first)?);
            tensors.insert(format!("{SECOND}{name}"), from_torch(&memory.second)?);
            tensors.insert(format!("{STEPS}{name}"), memory::count(memory.steps));
        }
        Ok(tensors)
    }

    /// Takes what [`Adam::to_tensors`] gave of the `expected` parameters out of `tensors`.
    ///
    /// # Errors
    /// Parts are missing.
    pub fn resume(
        options: Optimiser,
        tensors: &mut Tensors,
        expected: &ParamShapes,
        device: Device,
    ) -> Result<Self, TrainError> {
        let mut adam = Self::new(options);
        for param in expected.keys() {
            let Some(steps) = count_of(tensors, STEPS, param) else { continue };
            let first = tensor_of(tensors, FIRST, param, device)?;
            let memory = Memory { steps, first, second: tensor_of(tensors, SECOND, param, device)? };
            adam.memory.insert(param.clone(), memory);
        }
        Ok(adam)
    }
}

const FIRST: &str = "optimiser.first.";
const SECOND: &str = "optimiser.second.";
const STEPS: &str = "optimiser.steps.";
