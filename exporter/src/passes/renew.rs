//! New values of parameters. They are recorded while graphs are rewritten, and computed once, even if several heads share a parameter.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use ndarray::ArrayD;
use onemark_models::graph::{Graph, NodeId, ParamId, Parameters};

use super::PassError;
use crate::module::Module;

/// How the new values of parameters are computed, and which nodes read them.
pub(super) struct Renewed<How> {
    how: BTreeMap<ParamId, How>,
    readers: BTreeSet<(String, NodeId)>,
}

impl<How: PartialEq + Debug> Renewed<How> {
    pub(super) fn new() -> Self {
        Self { how: BTreeMap::new(), readers: BTreeSet::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.how.is_empty()
    }

    /// Records that node `reader` of the new graph reads `param` with new values of this shape.
    pub(super) fn note(
        &mut self,
        graph: &mut Graph,
        reader: &NodeId,
        param: &ParamId,
        shape: Vec<usize>,
        how: How,
    ) -> Result<(), PassError> {
        graph.declare(param, shape)?;
        self.readers.insert((graph.name().to_owned(), reader.clone()));
        match self.how.get(param) {
            Some(first) if *first != how => Err(PassError::Differs {
                what: param.to_string(),
                first: format!("{first:?}"),
                second: format!("{how:?}"),
            }),
            Some(_) => Ok(()),
            None => {
                self.how.insert(param.clone(), how);
                Ok(())
            }
        }
    }

    /// Replaces the old values by the new ones and removes parameters that no graph reads.
    pub(super) fn settle(
        self,
        module: &mut Module,
        make: impl Fn(&Parameters, &ParamId, &How) -> Result<ArrayD<f32>, PassError>,
    ) -> Result<(), PassError> {
        self.validate_readers(module)?;
        let made = self.how.iter().map(|(param, how)| Ok((param.clone(), make(&module.tensors, param, how)?)));
        let made = made.collect::<Result<Parameters, PassError>>()?;
        module.tensors.extend(made);
        module.forget_unused_tensors();
        Ok(())
    }

    /// Checks that no node needs the old values of a changed parameter.
    fn validate_readers(&self, module: &Module) -> Result<(), PassError> {
        for graph in module.graphs() {
            for (_, node) in graph.nodes() {
                let Some(param) = node.params.iter().find(|param| self.how.contains_key(*param)) else { continue };
                if !self.readers.contains(&(graph.name().to_owned(), node.id.clone())) {
                    let first = "new numbers".to_owned();
                    let second = format!("the old values for {} of graph {}", node.id, graph.name());
                    return Err(PassError::Differs { what: param.to_string(), first, second });
                }
            }
        }
        Ok(())
    }
}

/// The values of a parameter.
pub(super) fn numbers<'a>(tensors: &'a Parameters, param: &ParamId) -> Result<&'a ArrayD<f32>, PassError> {
    tensors.get(param).ok_or_else(|| PassError::NoTensor { param: param.clone() })
}
