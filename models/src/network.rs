//! What the network looks like, written down once: trunk, decoder, receptive field blocks, adapters, embeddings, score
//! (METHOD.md sec. 1a, 1c and 4; paper Eqs. 1-5). A new architecture is a function here.
//!
//! Levels run from 5 (coarsest, stride 32) to 1 (stride 2); arrays of levels hold level 5 first.

use std::collections::BTreeMap;

use crate::graph::{Corners, Graph, GraphError, Op, Shape, Value};
use crate::recipe::{AdapterVariant, Network, Recipe, Trunk};

/// The levels in the order in which arrays of levels hold them.
pub const LEVELS: [usize; 5] = [5, 4, 3, 2, 1];

/// Convolutions per VGG19 block, and the index of each block's first in torchvision's `features`.
const VGG19: [(usize, usize); 5] = [(2, 0), (2, 5), (4, 10), (4, 19), (4, 28)];

/// The name of the film input `[1, 1, size, size]`, grey values in [0, 1].
pub const FILM: &str = "film";
/// The name of the score output `[1, 1, size, size]`, in [0, 1].
pub const SCORE: &str = "score";
/// The tensor of a checkpoint that holds the last pseudo-labels of its training films ([`crate::checkpoint::pseudo_labels::to_tensor`]).
pub const LABELS: &str = "labels";
/// The tensor of a checkpoint that holds what each pseudo-label weighs in training, `[films, landmarks]`.
pub const LABEL_WEIGHTS: &str = "label_weights";

/// The network of one landmark, or of none where it has no adapters.
#[derive(Clone, Copy, Debug)]
pub struct Architecture<'a> {
    /// The frozen part.
    pub trunk: &'a Trunk,
    /// The trained part.
    pub network: &'a Network,
}

impl<'a> From<&'a Recipe> for Architecture<'a> {
    fn from(recipe: &'a Recipe) -> Self {
        Self { trunk: &recipe.trunk, network: &recipe.network }
    }
}

/// The name of the trunk's tap `level` (1 to 5): `[1, channels, size / 2^level, size / 2^level]`.
pub fn tap_name(level: usize) -> String {
    format!("tap{level}")
}

/// The name of the embedding output of `level`: `[1, embedding, size / 2^level, size / 2^level]`.
pub fn embedding_name(level: usize) -> String {
    format!("embedding{level}")
}

/// The name of the template vector `[embedding]` of a landmark (1-based) on a level.
pub fn template_vector_name(landmark: usize, level: usize) -> String {
    format!("template.{landmark:02}.level{level}")
}

/// The name prefix of all parameters that one landmark (1-based) owns.
pub fn adapter_prefix(landmark: usize) -> String {
    format!("adapter.{landmark:02}.")
}

/// How names start that have a landmark's number next.
const NUMBERED: [&str; 2] = ["adapter.", "template."];

/// What is a landmark's own is called by its number. In graphs that serve all landmarks it has none: `adapter.07.level3.conv1.weight`
/// is `adapter.level3.conv1.weight` there. Other names stay. Works on whole texts too.
pub fn placeholder(text: &str, landmark: usize) -> String {
    NUMBERED.iter().fold(text.to_owned(), |text, owner| text.replace(&format!("{owner}{landmark:02}."), owner))
}

/// The name that is to `landmark` what `name` is to landmark 1.
pub fn of_landmark(name: &str, landmark: usize) -> String {
    let of = |owner: &str, landmark: usize| format!("{owner}{landmark:02}.");
    NUMBERED.iter().fold(name.to_owned(), |name, owner| name.replace(&of(owner, 1), &of(owner, landmark)))
}

/// Whether a landmark owns a parameter: others, and the film alone, know nothing of it.
pub fn is_own(param: &str) -> bool {
    ["adapter.", "own.", "template."].iter().any(|prefix| param.starts_with(prefix))
}

impl Architecture<'_> {
    /// The trunk alone: film to the five taps, level 1 first.
    ///
    /// # Errors
    /// The recipe describes no possible network.
    pub fn trunk_graph(&self) -> Result<Graph, GraphError> {
        let mut graph = Graph::new("trunk");
        let film = graph.input(FILM, self.film_shape())?;
        for (index, tap) in self.trunk(&mut graph, film)?.into_iter().enumerate() {
            graph.output(tap_name(index + 1), tap)?;
        }
        Ok(graph)
    }

    /// The landmark (1-based) where embeddings depend on it, because it has an adapter or a decoder of its own.
    pub fn owner(&self, landmark: usize) -> Option<usize> {
        (self.network.separate || self.network.adapter_channels > 0).then_some(landmark)
    }

    /// From the trunk's taps to the embeddings, level 5 first, of `landmark` (1-based; `None`: those of all alike).
    ///
    /// # Errors
    /// The recipe describes no possible network.
    pub fn embedding_graph(&self, landmark: Option<usize>) -> Result<Graph, GraphError> {
        let mut graph = Graph::new(landmark.map_or("head".to_owned(), |number| format!("head.{number:02}")));
        let mut tap = |level: usize| {
            let side = self.network.size >> level;
            graph.input(tap_name(level), [1, self.trunk.widths[level - 1], side, side])
        };
        let taps = [tap(1)?, tap(2)?, tap(3)?, tap(4)?, tap(5)?];
        let embeddings = self.embeddings(&mut graph, taps, landmark)?;
        for (level, embedding) in LEVELS.into_iter().zip(embeddings) {
            graph.output(embedding_name(level), embedding)?;
        }
        Ok(graph)
    }

    /// The whole network of one landmark (1-based): film to score and embeddings.
    ///
    /// # Errors
    /// The recipe describes no possible network.
    pub fn graph(&self, landmark: usize) -> Result<Graph, GraphError> {
        let mut graph = Graph::new(format!("landmark.{landmark:02}"));
        let film = graph.input(FILM, self.film_shape())?;
        let taps = self.trunk(&mut graph, film)?;
        let embeddings = self.embeddings(&mut graph, taps, self.owner(landmark))?;
        let score = score(&mut graph, embeddings, landmark)?;
        graph.output(SCORE, score)?;
        for (level, embedding) in LEVELS.into_iter().zip(embeddings) {
            graph.output(embedding_name(level), embedding)?;
        }
        Ok(graph)
    }

    /// Names and shapes of all trained parameters and statistics of `landmarks` heads (shared decoder, every adapter).
    ///
    /// # Errors
    /// The recipe describes no possible network.
    pub fn decoder_params(&self, landmarks: usize) -> Result<BTreeMap<String, Vec<usize>>, GraphError> {
        let mut params = BTreeMap::new();
        for landmark in 1..=landmarks {
            params.extend(self.embedding_graph(self.owner(landmark))?.params().clone());
        }
        Ok(params)
    }

    fn film_shape(&self) -> Shape {
        [1, 1, self.network.size, self.network.size]
    }

    /// VGG19 without its classifier; a tap is the output of a block's max-pool.
    fn trunk(&self, graph: &mut Graph, film: Value) -> Result<[Value; 5], GraphError> {
        let mut x = graph.apply("trunk.rgb", Op::Concat, &[film; 3])?;
        let mut taps = [x; 5];
        for (block, ((convolutions, first), width)) in VGG19.into_iter().zip(self.trunk.widths).enumerate() {
            for index in (first..).step_by(2).take(convolutions) {
                let name = format!("trunk.features.{index}");
                x = graph.conv(&name, x, width, (3, 3), 1, true)?;
                x = graph.apply(&format!("{name}.relu"), Op::Relu, &[x])?;
            }
            x = graph.apply(&format!("trunk.{}", tap_name(block + 1)), Op::MaxPool, &[x])?;
            taps[block] = x;
        }
        Ok(taps)
    }

    /// Taps (level 1 first) to embeddings (level 5 first).
    fn embeddings(
        &self,
        graph: &mut Graph,
        taps: [Value; 5],
        landmark: Option<usize>,
    ) -> Result<[Value; 5], GraphError> {
        let decoder = self.decoder(landmark);
        let mut deeper = taps[4];
        let mut out = [deeper; 5];
        for (index, level) in LEVELS.into_iter().enumerate() {
            if level < 5 {
                let up = Op::Upsample { factor: 2, corners: Corners::Aligned };
                let up = graph.apply(&format!("decoder.level{level}.up"), up, &[deeper])?;
                let joined =
                    graph.apply(&format!("decoder.level{level}.concat"), Op::Concat, &[taps[level - 1], up])?;
                deeper = self.block(graph, joined, level, landmark)?;
            }
            let mut side = deeper;
            if level >= 3 {
                side = self.with_adapter(graph, side, landmark, &format!("rfb{level}"), |this, graph, owner, x| {
                    let width =
                        if owner.is_decoder() { this.network.rfb[index] } else { this.network.adapter_channels };
                    rfb(graph, &owner.prefix(&format!("rfb{level}")), x, width)
                })?;
            }
            out[index] =
                graph.conv(&decoder.prefix(&format!("embed{level}")), side, self.network.embedding, (1, 1), 1, true)?;
        }
        Ok(out)
    }

    /// The decoder of a landmark: its own, or that of all.
    fn decoder(&self, landmark: Option<usize>) -> Owner {
        Owner::Decoder(landmark.filter(|_| self.network.separate))
    }

    /// One decoder level: two convolutions, each with batch normalisation and ReLU, and the adapter's beside them.
    fn block(&self, graph: &mut Graph, x: Value, level: usize, landmark: Option<usize>) -> Result<Value, GraphError> {
        let width = |owner: Owner| {
            if owner.is_decoder() { self.network.decoder[4 - level] } else { self.network.adapter_channels }
        };
        let place = format!("level{level}");
        match self.network.adapter_variant {
            AdapterVariant::Block => self.with_adapter(graph, x, landmark, &place, |_, graph, owner, x| {
                let x = conv_unit(graph, &owner.prefix(&place), 1, x, width(owner))?;
                conv_unit(graph, &owner.prefix(&place), 2, x, width(owner))
            }),
            AdapterVariant::Convolution => (1..=2).try_fold(x, |x, number| {
                self.with_adapter(graph, x, landmark, &format!("{place}.{number}"), |_, graph, owner, x| {
                    conv_unit(graph, &owner.prefix(&place), number, x, width(owner))
                })
            }),
        }
    }

    /// Paper Eq. 1: the shared part beside the landmark's, concatenated. Without adapters, the shared part alone.
    fn with_adapter(
        &self,
        graph: &mut Graph,
        x: Value,
        landmark: Option<usize>,
        place: &str,
        part: impl Fn(&Self, &mut Graph, Owner, Value) -> Result<Value, GraphError>,
    ) -> Result<Value, GraphError> {
        let shared = part(self, graph, self.decoder(landmark), x)?;
        match landmark.filter(|_| self.network.adapter_channels > 0) {
            None => Ok(shared),
            Some(number) => {
                let own = part(self, graph, Owner::Adapter(number), x)?;
                graph.apply(&format!("decoder.{place}.join"), Op::Concat, &[shared, own])
            }
        }
    }
}

/// Embeddings of `channels` channels on a grid of side `size` (inputs by [`embedding_name`]) to the score of the landmark whose
/// template vectors are the parameters.
///
/// # Errors
/// There are no such embeddings.
pub fn score_graph(size: usize, channels: usize, landmark: usize) -> Result<Graph, GraphError> {
    let mut graph = Graph::new("score");
    let mut input = |level: usize| graph.input(embedding_name(level), [1, channels, size >> level, size >> level]);
    let embeddings = [input(5)?, input(4)?, input(3)?, input(2)?, input(1)?];
    let score = score(&mut graph, embeddings, landmark)?;
    graph.output(SCORE, score)?;
    Ok(graph)
}

/// METHOD.md sec. 1c: the product over the levels of the clamped cosines, up-sampled to the film's grid.
fn score(graph: &mut Graph, embeddings: [Value; 5], landmark: usize) -> Result<Value, GraphError> {
    let mut score = None;
    for (level, embedding) in LEVELS.into_iter().zip(embeddings) {
        let name = |what: &str| format!("similarity{level}.{what}");
        let cosine = graph.cosine(&name("cosine"), embedding, &template_vector_name(landmark, level))?;
        let clamped = graph.apply(&name("clamp"), Op::Clamp, &[cosine])?;
        let up = Op::Upsample { factor: 1 << level, corners: Corners::HalfPixel };
        let map = graph.apply(&name("up"), up, &[clamped])?;
        score = Some(match score {
            None => map,
            Some(product) => graph.apply(&name("product"), Op::Mul, &[product, map])?,
        });
    }
    Ok(score.unwrap_or(embeddings[0]))
}

/// Whose parameters a convolution reads.
#[derive(Clone, Copy)]
enum Owner {
    /// The decoder of all landmarks, or of one.
    Decoder(Option<usize>),
    /// One landmark's adapter.
    Adapter(usize),
}

impl Owner {
    fn is_decoder(self) -> bool {
        matches!(self, Owner::Decoder(_))
    }

    fn prefix(self, place: &str) -> String {
        match self {
            Owner::Decoder(None) => format!("decoder.{place}"),
            Owner::Decoder(Some(number)) => format!("own.{number:02}.{place}"),
            Owner::Adapter(number) => format!("{}{place}", adapter_prefix(number)),
        }
    }
}

/// `{prefix}.conv{number}` 3x3 with bias, `.bn{number}`, ReLU.
fn conv_unit(graph: &mut Graph, prefix: &str, number: usize, x: Value, out: usize) -> Result<Value, GraphError> {
    let x = graph.conv(&format!("{prefix}.conv{number}"), x, out, (3, 3), 1, true)?;
    let x = graph.batch_norm(&format!("{prefix}.bn{number}"), x)?;
    graph.apply(&format!("{prefix}.relu{number}"), Op::Relu, &[x])
}

/// The receptive field block of METHOD.md sec. 1a: affine up to its last ReLU once batch normalisation is folded.
fn rfb(graph: &mut Graph, prefix: &str, x: Value, out: usize) -> Result<Value, GraphError> {
    let unit = |graph: &mut Graph, name: &str, x, kernel, dilation| {
        let x = graph.conv(&format!("{prefix}.{name}.conv"), x, out, kernel, dilation, false)?;
        graph.batch_norm(&format!("{prefix}.{name}.bn"), x)
    };
    let mut branches = vec![unit(graph, "branch0", x, (1, 1), 1)?];
    for (number, reach) in [(1, 3), (2, 5), (3, 7)] {
        let mut y = unit(graph, &format!("branch{number}.reduce"), x, (1, 1), 1)?;
        y = unit(graph, &format!("branch{number}.row"), y, (1, reach), 1)?;
        y = unit(graph, &format!("branch{number}.column"), y, (reach, 1), 1)?;
        branches.push(unit(graph, &format!("branch{number}.dilated"), y, (3, 3), reach)?);
    }
    let all = graph.apply(&format!("{prefix}.concat"), Op::Concat, &branches)?;
    let fused = unit(graph, "fuse", all, (3, 3), 1)?;
    let shortcut = unit(graph, "shortcut", x, (1, 1), 1)?;
    let sum = graph.apply(&format!("{prefix}.add"), Op::Add, &[fused, shortcut])?;
    graph.apply(&format!("{prefix}.relu"), Op::Relu, &[sum])
}
