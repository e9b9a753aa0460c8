//! Films per second of training steps, one line each, for `cargo xtask bench train`:
//!
//!     throughput RECIPE PHASE STEPS PRECISION FILE
//!
//! Steps are drawn and taken as `onemark-train run` does, on phantom films and an untrained network. What each of them saw goes
//! to FILE, in the form that tests/peers/training.py describes, so that the peer takes the same steps on the same films.
//!
//! A step's time holds drawing it, the trunk on its patches, and the update. The trunk's features of films and copies are made
//! once per run and not part of it: how many seconds those took is the first line, per film or copy.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use ndarray::ArrayView2;
use onemark_evaluation::dataset::{Dataset, Split};
use onemark_models::checkpoint::init;
use onemark_models::network::Architecture;
use onemark_models::network::config::{Network, TrunkWeights};
use onemark_models::recipe::{Phase, Recipe};
use onemark_trainer::data::features::{Features, Trunk};
use onemark_trainer::data::samples::Films;
use onemark_trainer::data::views::Views;
use onemark_trainer::net::heads::Heads;
use onemark_trainer::net::interpreter::Mode;
use onemark_trainer::net::params::Params;
use onemark_trainer::net::precision;
use onemark_trainer::report::profile::Profile;
use onemark_trainer::step::adam::Adam;
use onemark_trainer::step::sampler::{Sampler, SchedulePosition, Step};
use onemark_trainer::step::update::{Batch, Settings, update};
use safetensors::tensor::{Dtype, TensorView};
use tch::Device;

/// Films in the phantom series; two thirds are for training.
const FILMS: usize = 3;
const SEED: u64 = 1;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [recipe, phase, steps, precision, file] = arguments.as_slice() else {
        bail!("usage: throughput RECIPE PHASE STEPS PRECISION FILE")
    };
    let kind = precision::named(precision).context("the precision is f32 or bf16")?;
    let (recipe, steps) = (small(&Recipe::load(recipe)?)?, steps.parse()?);
    let index = recipe.phases.iter().position(|each| each.name == *phase).context("the recipe has no such phase")?;
    let phase = &recipe.phases[index];

    let folder = tempfile::tempdir()?;
    let films = folder.path().join("films");
    onemark_phantom::write_films(onemark_phantom::Anatomy::Head, &films, FILMS, SEED, |_| ())?;
    let cases = Dataset::open(&films, Split::Train)?.cases;
    let network = Network {
        adapter_channels: if phase.adapters { recipe.network.adapter_channels } else { 0 },
        ..recipe.network.clone()
    };
    let architecture = Architecture { trunk: &recipe.trunk, network: &network };
    let mut shapes = architecture.trunk_graph()?.params().clone();
    let landmarks = cases[0].points.as_ref().context("a phantom film without landmarks")?.len();
    shapes.extend(architecture.decoder_params(landmarks)?);
    let params = Params::new(&init::initial(&shapes, SEED), Device::Cpu)?;

    let (started, mut samples) = (Instant::now(), 0);
    let features = Features::new(&recipe, &params, None)?;
    let films = Films::prepare(&recipe, &Views::new(&cases, None), &features, |_, total| samples = total)?;
    println!("{}", started.elapsed().as_secs_f64() / samples as f64);

    // The template's landmarks serve as pseudo-labels: their positions do not change the time.
    let labels =
        vec![films.samples.templates()[0].points.iter().flatten().copied().collect(); films.samples.count()].into();
    let (sampler, heads) = (Sampler::new(&recipe, &films.samples), Heads::new(&recipe, landmarks, phase.adapters)?);
    let trunk = Trunk::new(&recipe)?;
    let mut adam = Adam::new(recipe.optimiser);
    let mut taken: Vec<(Step, Option<usize>)> = Vec::new();
    let start = SchedulePosition { phase: index, epoch: 0, step: 0 };
    for (step, planned) in sampler.epoch(start).iter().enumerate().take(steps) {
        let started = Instant::now();
        let step = sampler.draw(SchedulePosition { step, ..start }, planned, Some(&labels))?;
        let batch = Batch::of(&step, &films, &trunk, &params, kind, &mut Profile::off())?;
        let mode = Mode::Train { freeze_shared: phase.freeze_statistics };
        let settings = Settings { loss: &recipe.loss, mode, learning_rate: phase.learning_rate };
        update(heads.graph(planned.landmark), &params, &mut adam, &batch, &settings, &mut Profile::off())?;
        println!("{}", step.samples.len() as f64 / started.elapsed().as_secs_f64());
        taken.push((step, planned.landmark.map(|landmark| landmark + 1)));
    }
    write(file.as_ref(), &recipe, &network, phase, &films, &taken)
}

/// The recipe with one batch of copies, because their number changes the time before the steps, not that of a step.
fn small(recipe: &Recipe) -> Result<Recipe> {
    let changed = recipe.edit(|spec| {
        spec.templates = vec!["001".to_owned()];
        spec.trunk.weights = TrunkWeights::Random;
        spec.template_copies.count = spec.pairs.patch.as_ref().map_or(2, |pairs| pairs.batch);
        spec.template_vectors.copies = 0;
    });
    Ok(changed?)
}

fn write(
    file: &Path,
    recipe: &Recipe,
    network: &Network,
    phase: &Phase,
    films: &Films,
    taken: &[(Step, Option<usize>)],
) -> Result<()> {
    let mut tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
    for (index, (step, _)) in taken.iter().enumerate() {
        let mut add = |part: &str, shape: Vec<usize>, numbers: Vec<f32>| {
            let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            tensors.insert(format!("step{}.{part}", index + 1), (shape, bytes));
        };
        let grey: Vec<ArrayView2<f32>> = step.samples.iter().map(|sample| films.samples.grey(*sample)).collect();
        let size = recipe.network.size;
        add("film", vec![grey.len(), 1, size, size], grey.iter().flatten().copied().collect());
        if let Some(patch) = step.patches.first() {
            let shape = vec![step.patches.len(), 1, patch.nrows(), patch.ncols()];
            add("patch", shape, step.patches.iter().flatten().copied().collect());
        }
        let rows = step.matches.iter().flat_map(|point| {
            let ((from, source), (to, target)) = (point.source, point.target);
            [from as f32, source.0 as f32, source.1 as f32, to as f32, target.0 as f32, target.1 as f32, point.weight]
        });
        add("matches", vec![step.matches.len(), 7], rows.collect());
    }
    let views =
        tensors.iter().map(|(name, (shape, bytes))| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)));
    let landmarks: Vec<Option<usize>> = taken.iter().map(|(_, landmark)| *landmark).collect();
    let metadata = HashMap::from([
        ("trunk", serde_json::to_string(&recipe.trunk)?),
        ("network", serde_json::to_string(network)?),
        ("loss", serde_json::to_string(&recipe.loss)?),
        ("optimiser", serde_json::to_string(&recipe.optimiser)?),
        ("learning_rate", phase.learning_rate.to_string()),
        ("freeze_statistics", phase.freeze_statistics.to_string()),
        ("landmarks", serde_json::to_string(&landmarks)?),
    ]);
    let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Ok(std::fs::write(file, safetensors::serialize(views.collect::<Result<Vec<_>>>()?, Some(metadata))?)?)
}
