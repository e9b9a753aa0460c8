//! The running mean of a network's weights (a mean teacher; Tarvainen and Valpola, 2017). It finds landmarks more steadily than
//! the weights after any one step, so pseudo-labels and bundles are made with it.

use std::collections::BTreeMap;

use onemark_models::checkpoint::Tensors;
use onemark_models::graph::{Graph, ParamId, ParamShapes};
use tch::{Device, Tensor};

use crate::TrainError;
use crate::net::params::{Params, from_torch};
use crate::step::memory::{self, count_of, tensor_of};

/// An exponential moving average of parameters and running statistics, each counted by the steps that it took part in.
pub struct Average {
    decay: f64,
    memory: BTreeMap<ParamId, Memory>,
}

struct Memory {
    steps: i32,
    mean: Tensor,
}

impl Average {
    /// An average over no steps yet. The weights after each step count `1 - decay`, after early steps more.
    pub fn new(decay: f64) -> Self {
        Self { decay, memory: BTreeMap::new() }
    }

    /// Adds the parameters of `graph` after a step.
    ///
    /// # Errors
    /// A parameter is missing, or torch fails.
    pub fn update(&mut self, graph: &Graph, params: &Params) -> Result<(), TrainError> {
        let _guard = tch::no_grad_guard();
        for param in graph.params().keys() {
            let now = params.get(param)?.f_detach()?;
            match self.memory.get_mut(param) {
                Some(memory) => {
                    memory.steps += 1;
                    // At first it covers about a tenth of the steps so far, because the initial weights are random.
                    let weight = (1.0 - self.decay).max(9.0 / (9.0 + f64::from(memory.steps)));
                    memory.mean = memory.mean.f_lerp(&now, weight)?;
                }
                None => {
                    self.memory.insert(param.clone(), Memory { steps: 1, mean: now.f_mul_scalar(1.0)? });
                }
            }
        }
        Ok(())
    }

    /// `params`, with the average in place of every parameter that took part in a step.
    pub fn of(&self, params: &Params) -> Params {
        params.with(self.memory.iter().map(|(param, memory)| (param.clone(), memory.mean.shallow_clone())))
    }

    /// The means and step counts of all parameters, as tensors of a checkpoint.
    ///
    /// # Errors
    /// A tensor can't be brought back from its device.
    pub fn to_tensors(&self) -> Result<Tensors, TrainError> {
        let mut tensors = Tensors::new();
        for (name, memory) in &self.memory {
            tensors.insert(format!("{MEAN}{name}"), from_torch(&memory.mean)?);
            tensors.insert(format!("{STEPS}{name}"), memory::count(memory.steps));
        }
        Ok(tensors)
    }

    /// Takes what [`Average::to_tensors`] gave of the `expected` parameters out of `tensors`.
    ///
    /// # Errors
    /// Parts are missing.
    pub fn resume(
        decay: f64,
        tensors: &mut Tensors,
        expected: &ParamShapes,
        device: Device,
    ) -> Result<Self, TrainError> {
        let mut average = Self::new(decay);
        for param in expected.keys() {
            let Some(steps) = count_of(tensors, STEPS, param) else { continue };
            let memory = Memory { steps, mean: tensor_of(tensors, MEAN, param, device)? };
            average.memory.insert(param.clone(), memory);
        }
        Ok(average)
    }
}

const MEAN: &str = "average.mean.";
const STEPS: &str = "average.steps.";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use onemark_models::checkpoint::init;
    use onemark_models::graph::{Of, Owner, Role};
    use onemark_models::landmarks::LandmarkId;
    use onemark_models::network::Architecture;
    use onemark_models::recipe::Recipe;

    use super::*;

    #[test]
    fn early_steps_count_more_and_later_ones_by_the_decay() {
        let recipe = Recipe::load("phantom").unwrap();
        let graph = Architecture::from(&recipe).embedding_graph(LandmarkId::new(1)).unwrap();
        let bias = &Owner::Decoder(Of::All).node("level4.conv1").param(Role::Bias);
        let mut tensors = init::initial(graph.params(), 1);
        let mut params = |value: f32| {
            tensors.get_mut(bias).unwrap().fill(value);
            Params::new(&tensors, Device::Cpu).unwrap()
        };
        // 1, then 9/11 of the way to 2, then 9/12 to 6, then 9/13 to 3; or 9/10 each time.
        for (decay, third, fourth) in [(0.99, 4.954_545, 3.601_399), (0.1, 5.59, 3.259)] {
            let mut average = Average::new(decay);
            for value in [1.0, 2.0, 6.0] {
                average.update(&graph, &params(value)).unwrap();
            }
            let mut saved = average.to_tensors().unwrap();
            let mut resumed = Average::resume(decay, &mut saved, graph.params(), Device::Cpu).unwrap();
            assert!(saved.is_empty());
            resumed.update(&graph, &params(3.0)).unwrap();
            for (average, expected) in [(&average, third), (&resumed, fourth)] {
                let mean = average.of(&params(0.0)).get(bias).unwrap().mean(None);
                assert!((f64::try_from(mean).unwrap() - expected).abs() < 1e-5);
            }
        }
    }
}
