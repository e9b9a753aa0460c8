//! The network against the numbers of METHOD.md sec. 5.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use onemark_models::graph::{Graph, Of, Owner};
use onemark_models::landmarks::LandmarkId;
use onemark_models::network::Architecture;
use onemark_models::network::config::AdapterVariant;
use onemark_models::recipe::Recipe;

fn seven() -> LandmarkId {
    LandmarkId::new(7).unwrap()
}

fn paper(adapter_channels: usize, variant: AdapterVariant) -> Recipe {
    let changed = Recipe::load("c-adapter").unwrap().edit(|spec| {
        spec.network.adapter_channels = adapter_channels;
        spec.network.adapter_variant = variant;
        spec.phases.iter_mut().for_each(|phase| phase.adapters &= adapter_channels > 0);
    });
    changed.unwrap()
}

fn embedding_graph(recipe: &Recipe) -> Graph {
    let landmark = (recipe.network.adapter_channels > 0).then_some(seven());
    Architecture::from(recipe).embedding_graph(landmark).unwrap()
}

/// Trained numbers of (the shared decoder, one adapter).
fn counts(graph: &Graph) -> (usize, usize) {
    let own = |adapter: bool| {
        let params = graph.params().iter().filter(|(param, _)| !param.is_statistic());
        params
            .filter(|(param, _)| (param.node.owner == Owner::Adapter(Of::One(seven()))) == adapter)
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum()
    };
    (own(false), own(true))
}

fn giga(macs: u64) -> f64 {
    (macs as f64 / 1e6).round() / 1e3
}

#[test]
fn trunk_has_vgg19s_size_and_cost() {
    let recipe = paper(16, AdapterVariant::Block);
    let trunk = Architecture::from(&recipe).trunk_graph().unwrap();
    assert_eq!(counts(&trunk), (20_024_384, 0));
    assert_eq!(giga(trunk.macs()), 57.331);
}

#[test]
fn decoder_without_adapters_has_cc2ds_size_and_cost() {
    let graph = embedding_graph(&paper(0, AdapterVariant::Block));
    assert_eq!(counts(&graph), (37_984_192, 0));
    assert_eq!(giga(graph.macs()), 27.439);
}

#[test]
fn adapters_have_the_sizes_of_the_method() {
    assert_eq!(counts(&embedding_graph(&paper(16, AdapterVariant::Block))), (38_066_112, 440_096));
    let rounded = |channels, variant, adapter_unit: usize| {
        let (shared, adapter) = counts(&embedding_graph(&paper(channels, variant)));
        ((shared + 500) / 1000, (adapter + adapter_unit / 2) / adapter_unit)
    };
    assert_eq!(rounded(4, AdapterVariant::Block, 100), (38_005, 931));
    assert_eq!(rounded(8, AdapterVariant::Block, 100), (38_025, 1_975));
    assert_eq!(rounded(32, AdapterVariant::Block, 1000), (38_148, 1_060));
    assert_eq!(rounded(16, AdapterVariant::Convolution, 1000), (38_149, 523));
}

#[test]
fn one_landmark_costs_what_the_method_says() {
    let graph = embedding_graph(&paper(16, AdapterVariant::Block));
    // 28.33 shared + 1.62 adapter.
    assert!((giga(graph.macs()) - 29.95).abs() < 0.01, "{}", giga(graph.macs()));
}

#[test]
fn separate_decoders_share_nothing() {
    let recipe = paper(0, AdapterVariant::Block).edit(|spec| spec.network.separate = true).unwrap();
    let architecture = Architecture::from(&recipe);
    let one = architecture.embedding_graph(Some(seven())).unwrap();
    let shared = Architecture::from(&paper(0, AdapterVariant::Block)).decoder_params(19).unwrap();
    assert_eq!(one.params().len(), shared.len());
    assert!(one.params().keys().all(|param| param.node.owner == Owner::Decoder(Of::One(seven()))));
    assert_eq!(architecture.decoder_params(19).unwrap().len(), 19 * shared.len());
}

#[test]
fn nineteen_landmarks_share_all_but_their_adapters() {
    let recipe = paper(16, AdapterVariant::Block);
    let params = Architecture::from(&recipe).decoder_params(19).unwrap();
    let trained = params.iter().filter(|(param, _)| !param.is_statistic());
    let total: usize = trained.map(|(_, shape)| shape.iter().product::<usize>()).sum();
    assert_eq!(total + 20_024_384, 66_452_320);
}

#[test]
fn whole_network_of_every_recipe_is_possible() {
    for (name, _) in onemark_models::recipe::BUILT_IN {
        let recipe = Recipe::load(name).unwrap();
        let graph = Architecture::from(&recipe).graph(LandmarkId::new(19).unwrap()).unwrap();
        let size = recipe.network.size;
        assert_eq!(graph.node(graph.outputs()[0].1).shape, [1, 1, size, size], "{name}");
    }
}
