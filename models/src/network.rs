//! The network's architecture: trunk, decoder, receptive field blocks, adapters, embeddings and score (METHOD.md sec. 1a, 1c
//! and 4; paper Eqs. 1-5). This is its only description. To add an architecture, add a function here.

mod blocks;
pub mod config;
pub mod names;

use self::blocks::{conv_unit, rfb};
use self::config::{AdapterVariant, Network, Trunk};
pub use self::names::{FILM, FILM_SCORES, LABEL_WEIGHTS, PSEUDO_LABELS, SCORE, torchvision};
use crate::graph::{Conv, CoordinateMode, Graph, GraphError, Of, Op, Owner, ParamId, ParamShapes, Port, Shape, Value};
pub use crate::graph::{Level, PerLevel};
use crate::landmarks::LandmarkId;

/// Convolutions per VGG19 block, and the index of each block's first in torchvision's `features`.
const VGG19: [(usize, usize); 5] = [(2, 0), (2, 5), (4, 10), (4, 19), (4, 28)];

/// The frozen and the trained part of a network, as a recipe describes them. It builds the graphs of all landmarks.
#[derive(Clone, Copy, Debug)]
pub struct Architecture<'a> {
    /// The frozen part.
    pub trunk: &'a Trunk,
    /// The trained part.
    pub network: &'a Network,
}

impl Architecture<'_> {
    /// The trunk: from the film to the five taps, level 1 first.
    ///
    /// # Errors
    /// The recipe describes no possible network.
    pub fn trunk_graph(&self) -> Result<Graph, GraphError> {
        let mut graph = Graph::new("trunk");
        let film = graph.input(Port::Film, self.film_shape())?;
        let taps = self.trunk(&mut graph, film)?;
        for (level, tap) in taps.iter().rev() {
            graph.output(Port::Tap(level), *tap)?;
        }
        Ok(graph)
    }

    /// The landmark, if the embeddings depend on it because it has an adapter or its own decoder.
    pub fn owner(&self, landmark: LandmarkId) -> Option<LandmarkId> {
        (self.network.separate || self.network.adapter_channels > 0).then_some(landmark)
    }

    /// From the trunk's taps to the embeddings of `landmark`; with `None`, to embeddings that all landmarks share.
    ///
    /// # Errors
    /// The recipe describes no possible network.
    pub fn embedding_graph(&self, landmark: Option<LandmarkId>) -> Result<Graph, GraphError> {
        let mut graph = Graph::new(landmark.map_or("head".to_owned(), |number| format!("head.{number:02}")));
        let taps = PerLevel::try_from_fn(|level| {
            let side = self.network.size / level.stride();
            graph.input(Port::Tap(level), [1, self.trunk.widths[level.number() - 1], side, side])
        })?;
        let embeddings = self.embeddings(&mut graph, &taps, landmark)?;
        declare_embeddings(&mut graph, &embeddings)?;
        Ok(graph)
    }

    /// The whole network of one landmark: from the film to score and embeddings.
    ///
    /// # Errors
    /// The recipe describes no possible network.
    pub fn graph(&self, landmark: LandmarkId) -> Result<Graph, GraphError> {
        let mut graph = Graph::new(format!("landmark.{landmark:02}"));
        let film = graph.input(Port::Film, self.film_shape())?;
        let taps = self.trunk(&mut graph, film)?;
        let embeddings = self.embeddings(&mut graph, &taps, self.owner(landmark))?;
        let score = score(&mut graph, &embeddings, Of::One(landmark))?;
        graph.output(Port::Score, score)?;
        declare_embeddings(&mut graph, &embeddings)?;
        Ok(graph)
    }

    /// The shapes of all trained parameters and statistics of `landmarks` heads: the decoder and all adapters.
    ///
    /// # Errors
    /// The recipe describes no possible network.
    pub fn decoder_params(&self, landmarks: usize) -> Result<ParamShapes, GraphError> {
        let mut params = ParamShapes::new();
        for landmark in LandmarkId::up_to(landmarks) {
            params.extend(self.embedding_graph(self.owner(landmark))?.params().clone());
        }
        Ok(params)
    }

    fn film_shape(&self) -> Shape {
        [1, 1, self.network.size, self.network.size]
    }

    /// Adds VGG19 without its classifier. A tap is the output of a block's max-pool.
    fn trunk(&self, graph: &mut Graph, film: Value) -> Result<PerLevel<Value>, GraphError> {
        let mut x = graph.apply(Owner::Trunk.node("rgb"), Op::Concat, &[film; 3])?;
        let mut taps = PerLevel::from_fn(|_| x);
        let blocks = Level::COARSE_TO_FINE.into_iter().rev().zip(VGG19).zip(self.trunk.widths);
        for ((level, (convolutions, first)), width) in blocks {
            for index in (first..).step_by(2).take(convolutions) {
                let id = Owner::Trunk.node(format!("features.{index}"));
                x = graph.conv(id.clone(), x, Conv { out: width, kernel: (3, 3), dilation: 1, bias: true })?;
                x = graph.apply(id.then("relu"), Op::Relu, &[x])?;
            }
            x = graph.apply(Port::Tap(level).node(), Op::MaxPool, &[x])?;
            taps[level] = x;
        }
        Ok(taps)
    }

    /// Adds the layers from taps to embeddings.
    fn embeddings(
        &self,
        graph: &mut Graph,
        taps: &PerLevel<Value>,
        landmark: Option<LandmarkId>,
    ) -> Result<PerLevel<Value>, GraphError> {
        let decoder = self.decoder(landmark);
        let mut deeper = None;
        PerLevel::try_from_fn(|level| {
            let made = match deeper {
                None => taps[level],
                Some(deeper) => {
                    let up = Op::Upsample { factor: 2, mode: CoordinateMode::Aligned };
                    let up = graph.apply(decoder.node(format!("level{level}.up")), up, &[deeper])?;
                    let concat = decoder.node(format!("level{level}.concat"));
                    let joined = graph.apply(concat, Op::Concat, &[taps[level], up])?;
                    self.block(graph, joined, level, landmark)?
                }
            };
            deeper = Some(made);
            let side = self.receptive_field(graph, made, level, landmark)?;
            let embed = Conv { out: self.network.embedding, kernel: (1, 1), dilation: 1, bias: true };
            graph.conv(decoder.node(format!("embed{level}")), side, embed)
        })
    }

    /// The decoder of a landmark: its own, or the shared one.
    fn decoder(&self, landmark: Option<LandmarkId>) -> Owner {
        Owner::Decoder(landmark.filter(|_| self.network.separate).map_or(Of::All, Of::One))
    }

    /// Adds one decoder level: two convolutions, each with batch normalisation and ReLU, and the adapter's, which are parallel to them.
    fn block(
        &self,
        graph: &mut Graph,
        x: Value,
        level: Level,
        landmark: Option<LandmarkId>,
    ) -> Result<Value, GraphError> {
        let place = format!("level{level}");
        let unit = |graph: &mut Graph, owner: Owner, number: usize, x| {
            let decoder = self.network.decoder[4 - level.number()];
            conv_unit(graph, &owner.node(&place), number, x, self.width(owner, decoder))
        };
        match self.network.adapter_variant {
            AdapterVariant::Block => self.with_adapter(graph, x, landmark, &place, |graph, owner, x| {
                let x = unit(graph, owner, 1, x)?;
                unit(graph, owner, 2, x)
            }),
            AdapterVariant::Convolution => (1..=2).try_fold(x, |x, number| {
                let join = format!("{place}.{number}");
                self.with_adapter(graph, x, landmark, &join, |graph, owner, x| unit(graph, owner, number, x))
            }),
        }
    }

    /// Adds a level's receptive field block and the adapter's parallel block, on the levels that have one: 5, 4 and 3.
    fn receptive_field(
        &self,
        graph: &mut Graph,
        x: Value,
        level: Level,
        landmark: Option<LandmarkId>,
    ) -> Result<Value, GraphError> {
        let Some(width) = self.network.rfb.get(5 - level.number()) else { return Ok(x) };
        let place = format!("rfb{level}");
        self.with_adapter(graph, x, landmark, &place, |graph, owner, x| {
            rfb(graph, &owner.node(&place), x, self.width(owner, *width))
        })
    }

    /// The output channels of an owner's convolutions on a level where the decoder's have `decoder`.
    fn width(&self, owner: Owner, decoder: usize) -> usize {
        if let Owner::Adapter(_) = owner { self.network.adapter_channels } else { decoder }
    }

    /// Paper Eq. 1: concatenates the shared part and the landmark's part. Without adapters, only the shared part exists.
    fn with_adapter(
        &self,
        graph: &mut Graph,
        x: Value,
        landmark: Option<LandmarkId>,
        place: &str,
        part: impl Fn(&mut Graph, Owner, Value) -> Result<Value, GraphError>,
    ) -> Result<Value, GraphError> {
        let decoder = self.decoder(landmark);
        let shared = part(graph, decoder, x)?;
        match landmark.filter(|_| self.network.adapter_channels > 0) {
            None => Ok(shared),
            Some(landmark) => {
                let own = part(graph, Owner::Adapter(Of::One(landmark)), x)?;
                graph.apply(decoder.node(format!("{place}.join")), Op::Concat, &[shared, own])
            }
        }
    }
}

fn declare_embeddings(graph: &mut Graph, embeddings: &PerLevel<Value>) -> Result<(), GraphError> {
    embeddings.iter().try_for_each(|(level, embedding)| graph.output(Port::Embedding(level), *embedding))
}

/// A graph from embeddings of `channels` channels, on a grid of side `size`, to a landmark's score. The landmark's template
/// vectors are its parameters.
///
/// # Errors
/// The shapes of embeddings or vectors are impossible.
pub fn score_graph(size: usize, channels: usize, of: Of) -> Result<Graph, GraphError> {
    let mut graph = Graph::new("score");
    let embeddings = PerLevel::try_from_fn(|level| {
        let side = size / level.stride();
        graph.input(Port::Embedding(level), [1, channels, side, side])
    })?;
    let score = score(&mut graph, &embeddings, of)?;
    graph.output(Port::Score, score)?;
    Ok(graph)
}

/// METHOD.md sec. 1c: the product over the levels of the clamped cosines, up-sampled to the film's grid.
fn score(graph: &mut Graph, embeddings: &PerLevel<Value>, of: Of) -> Result<Value, GraphError> {
    let mut product = None;
    let maps = PerLevel::try_from_fn(|level| {
        let id = |what: &str| Owner::Template(of).node(format!("level{level}.{what}"));
        let cosine = graph.cosine(id("cosine"), embeddings[level], ParamId::vector(of, level))?;
        let clamped = graph.apply(id("clamp"), Op::Clamp, &[cosine])?;
        let up = Op::Upsample { factor: level.stride(), mode: CoordinateMode::HalfPixel };
        let map = graph.apply(id("up"), up, &[clamped])?;
        let made = match product {
            None => map,
            Some(product) => graph.apply(id("product"), Op::Mul, &[product, map])?,
        };
        product = Some(made);
        Ok::<Value, GraphError>(made)
    })?;
    let [.., finest] = Level::COARSE_TO_FINE;
    Ok(maps[finest])
}
