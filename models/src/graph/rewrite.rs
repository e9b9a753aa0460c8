//! Makes graphs from graphs: rewrites, copies, cuts and prunes them, or changes their landmarks.

use std::collections::{BTreeMap, BTreeSet};

use super::{Graph, GraphError, Node, Of, Op, ParamId, Port, Value};

impl Graph {
    /// A new graph made node by node. `rewrite` gets the new graph, an old value with its node, and the node's operands in the new
    /// graph; it returns the new value that replaces the old one. Nodes that no output needs are dropped.
    ///
    /// # Errors
    /// The first error of `rewrite`.
    pub fn rewrite<E: From<GraphError>>(
        &self,
        mut rewrite: impl FnMut(&mut Graph, Value, &Node, &[Value]) -> Result<Value, E>,
    ) -> Result<Graph, E> {
        let mut graph = Graph::new(self.name.clone());
        let mut values: Vec<Value> = Vec::with_capacity(self.nodes.len());
        for (value, node) in self.nodes() {
            let inputs: Vec<Value> = node.inputs.iter().map(|input| values[input.0]).collect();
            values.push(rewrite(&mut graph, value, node, &inputs)?);
        }
        for (port, value) in &self.outputs {
            graph.output(port.clone(), values[value.0])?;
        }
        Ok(graph.pruned())
    }

    /// Adds `node` of graph `of` unchanged, with `inputs` of this graph: the usual case of [`Graph::rewrite`].
    ///
    /// # Errors
    /// The id is taken, or a parameter has another shape here.
    pub fn copy(&mut self, of: &Graph, node: &Node, inputs: &[Value]) -> Result<Value, GraphError> {
        if node.op == Op::Input {
            let port = of.inputs.iter().find(|(_, value)| of.node(*value).id == node.id);
            let port = port.map_or_else(|| Port::Crossing(node.id.clone()), |(port, _)| port.clone());
            return self.input(port, node.shape);
        }
        for param in &node.params {
            self.declare(param, of.shape_of(param)?.to_vec())?;
        }
        self.push(node.id.clone(), node.op, inputs, node.params.clone())
    }

    /// The same graph with the nodes, parameters and ports of other landmarks.
    #[must_use]
    pub fn map_landmarks(&self, of: impl Fn(Of) -> Of) -> Graph {
        let ports = |ports: &[(Port, Value)]| ports.iter().map(|(port, value)| (port.map(&of), *value)).collect();
        let param = |param: &ParamId| param.map(&of);
        let node = |node: &Node| Node {
            id: node.id.map(&of),
            params: node.params.iter().map(param).collect(),
            ..node.clone()
        };
        Graph {
            name: self.name.clone(),
            nodes: self.nodes.iter().map(node).collect(),
            params: self.params.iter().map(|(id, shape)| (param(id), shape.clone())).collect(),
            inputs: ports(&self.inputs),
            outputs: ports(&self.outputs),
        }
    }

    /// The same graph under another name.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Graph {
        Graph { name: name.into(), ..self }
    }

    /// The part of the graph that `outputs` need.
    ///
    /// ```
    /// use onemark_models::graph::{Graph, Op, Owner, Port};
    ///
    /// let mut graph = Graph::new("example");
    /// let film = graph.input(Port::Film, [1, 1, 64, 64])?;
    /// let pooled = graph.apply(Owner::Trunk.node("pool"), Op::MaxPool, &[film])?;
    /// let clamped = graph.apply(Owner::Trunk.node("clamp"), Op::Clamp, &[pooled])?;
    /// graph.output(Port::Score, clamped)?;
    ///
    /// let part = graph.part("pooling", vec![(Port::Score, pooled)]);
    /// assert_eq!((graph.nodes().count(), part.nodes().count()), (3, 2));
    /// # Ok::<(), onemark_models::graph::GraphError>(())
    /// ```
    #[must_use]
    pub fn part(&self, name: &str, outputs: Vec<(Port, Value)>) -> Graph {
        Graph { name: name.to_owned(), outputs, ..self.clone() }.pruned()
    }

    /// The graph without the nodes (inputs excepted) and parameters that no output needs.
    #[must_use]
    pub fn pruned(&self) -> Graph {
        let mut needed: BTreeSet<Value> = self.outputs.iter().map(|(_, value)| *value).collect();
        for (value, node) in self.nodes().rev() {
            if needed.contains(&value) {
                needed.extend(&node.inputs);
            }
        }
        let mut graph = Graph::new(self.name.clone());
        let mut values: BTreeMap<Value, Value> = BTreeMap::new();
        for (value, node) in self.nodes().filter(|(value, node)| needed.contains(value) || node.op == Op::Input) {
            let inputs = node.inputs.iter().map(|input| values[input]).collect();
            values.insert(value, Value(graph.nodes.len()));
            graph.nodes.push(Node { inputs, ..node.clone() });
        }
        let used: BTreeSet<&ParamId> = graph.nodes.iter().flat_map(|node| &node.params).collect();
        let params = self.params.iter().filter(|(param, _)| used.contains(param));
        graph.params = params.map(|(param, shape)| (param.clone(), shape.clone())).collect();
        let ports = |ports: &[(Port, Value)]| ports.iter().map(|(port, value)| (port.clone(), values[value])).collect();
        (graph.inputs, graph.outputs) = (ports(&self.inputs), ports(&self.outputs));
        graph
    }
}
