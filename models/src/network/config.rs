//! How large the network is and which variant of it: what a recipe embeds under `trunk` and `network`.

use serde::{Deserialize, Serialize};

/// The frozen trunk: VGG19's layout at any width.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trunk {
    /// Where its weights come from.
    pub weights: TrunkWeights,
    /// Channels of the five blocks, tap 1 first.
    pub widths: [usize; 5],
}

/// Where the trunk's weights come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrunkWeights {
    /// A file of VGG19's ImageNet weights, named on the command line.
    Vgg19,
    /// Drawn from the recipe's seed: for demonstrations, needs no download and knows nothing.
    Random,
}

/// The trained part: decoder, receptive field blocks (RFB), embeddings, adapters (METHOD.md sec. 1a, paper Eqs. 1-5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Rows and columns of the grid that films are resized to. A multiple of 32.
    pub size: usize,
    /// Output channels of the decoder's levels 4, 3, 2, 1.
    pub decoder: [usize; 4],
    /// Output channels of the RFBs of levels 5, 4, 3.
    pub rfb: [usize; 3],
    /// Channels of each level's embedding.
    pub embedding: usize,
    /// C_A, the channels of each adapter; 0 for a network without adapters.
    pub adapter_channels: usize,
    /// Where adapters stand.
    #[serde(default)]
    pub adapter_variant: AdapterVariant,
    /// Whether each landmark has a decoder of its own, instead of all sharing one: nineteen models in one bundle.
    #[serde(default)]
    pub separate: bool,
}

/// METHOD.md sec. 4, item 3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdapterVariant {
    /// Beside each block: shared block and adapter block, concatenated once per level (variant A).
    #[default]
    Block,
    /// Beside each convolution of a block (variant B).
    Convolution,
}
