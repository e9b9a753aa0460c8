//! The options of every command that trains: films, weights, machine.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use etcetera::BaseStrategy as _;
use onemark_evaluation::dataset::{Case, Dataset, Split};
use onemark_models::checkpoint::init;
use onemark_models::graph::Parameters;
use onemark_models::landmarks::LandmarkSet;
use onemark_models::network::Architecture;
use onemark_models::network::config::TrunkWeights;
use onemark_models::recipe::Recipe;
use onemark_models::text::few;
use onemark_trainer::data::views::Views;
use onemark_trainer::net::vgg;
use onemark_trainer::run::Run;
use tch::{Device, Kind};

use super::console::Console;

#[derive(Args)]
pub struct Lab {
    /// The films, of which the template alone needs an annotation: the ISBI 2015 layout; or a folder of films, or of images/, with
    /// landmarks.json of `onemark annotate`, with landmarks.csv, or with labelme's file beside the annotated film.
    #[arg(long)]
    pub data: PathBuf,
    /// The annotated films to learn the landmarks from, by their ids: file names without the ending. All of them count. `all`: every
    /// annotated film [default: the recipe's, or else every annotated film].
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    template: Vec<String>,
    /// The landmark set, instead of the recipe's: the id of a built-in one, or a YAML file.
    #[arg(long, value_name = "SET")]
    landmarks: Option<String>,
    /// VGG19's ImageNet weights, .safetensors or torchvision's .pth; without it, the file that `cargo xtask setup --weights` keeps.
    #[arg(long)]
    weights: Option<PathBuf>,
    /// Keep the trunk's features in this folder: for runs that cannot hold them in memory, and to share them between runs on the same
    /// films: about 9 MB a film or copy at 384 x 384.
    #[arg(long, value_name = "DIR")]
    pub features: Option<PathBuf>,
    /// The device to compute on.
    #[arg(long, value_enum, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
    /// The kind of number in which a step's convolutions compute. A resumed run keeps its own.
    #[arg(long, value_enum, default_value_t = Precision::Auto)]
    precision: Precision,
    /// Threads for computing on the CPU [default: one per core].
    #[arg(long)]
    threads: Option<u16>,
    /// Save a checkpoint at least this often, in addition to those after every epoch.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    checkpoint_every: Duration,
    /// Keep the checkpoints of this many epochs, in addition to the last and the best.
    #[arg(long, value_name = "N", default_value_t = 2)]
    keep: usize,
    /// After every epoch, print how its time was spent.
    #[arg(long)]
    profile: bool,
    #[arg(skip)]
    console: Console,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum DeviceChoice {
    /// CUDA if there is a device, else the CPU.
    Auto,
    Cpu,
    /// The first CUDA device; an error if there is none.
    Cuda,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Precision {
    /// bf16 if the device multiplies in it, else f32.
    Auto,
    F32,
    Bf16,
}

/// Every annotated film, for `--template`.
const ALL: &str = "all";

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

impl Lab {
    /// Sets up threads, the device and the handler of ctrl-C.
    pub fn open(&self) -> Result<Device> {
        spin_briefly();
        let device = self.device.open()?;
        if let Some(threads) = self.threads {
            tch::set_num_threads(i32::from(threads.max(1)));
        }
        ctrlc::set_handler(|| {
            eprintln!("\nfinishing the step and saving; press ctrl-C again to lose it");
            if INTERRUPTED.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        })?;
        Ok(device)
    }

    /// The recipe with the landmark set that was given.
    pub fn with_set(&self, recipe: Recipe) -> Result<Recipe> {
        let Some(name) = &self.landmarks else { return Ok(recipe) };
        let set = LandmarkSet::load(name, Path::new(""))?;
        Ok(recipe.edit(|spec| spec.landmarks = set)?)
    }

    /// The training films.
    pub fn films(&self, recipe: &Recipe) -> Result<Dataset> {
        Ok(Dataset::open_for(&self.data, Split::Train, &recipe.landmarks)?)
    }

    /// The ids of the annotated films to learn from, among the training films. Says so if nobody has named them, and if others are
    /// annotated.
    pub fn templates(&self, recipe: &Recipe, films: &Dataset) -> Result<Vec<String>> {
        let all = *self.template == [ALL] && films.case(ALL).is_err();
        let (named, usual) = if all { (&[][..], &[][..]) } else { (&self.template[..], &recipe.templates[..]) };
        let ids = |cases: Vec<&Case>| cases.iter().map(|case| case.id.clone()).collect::<Vec<String>>();
        let chosen = ids(films.templates(named, usual)?);
        let annotated = films.cases.iter().filter(|case| case.points.is_some()).count();
        match chosen.as_slice() {
            [id] if named.is_empty() && annotated == 1 => eprintln!("template {id}: it is the only annotated film"),
            [id] if annotated > 1 && !all => eprintln!(
                "template {id} alone: the points of {} other annotated films are not used; --template all uses them",
                annotated - 1
            ),
            [_] => (),
            several => eprintln!("{} annotated films, all of which count: {}", several.len(), few(several, 8)),
        }
        Ok(chosen)
    }

    /// A run of `recipe` in `folder`, shown on the console.
    pub fn run<'a>(&'a self, recipe: &'a Recipe, views: Views<'a>, device: Device, folder: &Path) -> Run<'a> {
        Run {
            recipe,
            views,
            from: None,
            device,
            kind: self.precision.kind(),
            folder: folder.to_owned(),
            features: self.features.clone(),
            interval: self.checkpoint_every,
            keep: self.keep,
            profile: self.profile,
            interrupted: &INTERRUPTED,
            observer: &self.console,
        }
    }

    /// The weights of the recipe's trunk.
    pub fn trunk(&self, recipe: &Recipe) -> Result<Parameters> {
        let shapes = Architecture::from(recipe).trunk_graph()?.params().clone();
        if recipe.trunk.weights == TrunkWeights::Random {
            return Ok(init::initial(&shapes, recipe.seed));
        }
        let path = self.weights.clone().or_else(cached_weights).context(
            "this recipe needs VGG19's ImageNet weights: name the file by --weights, or fetch it by `cargo xtask setup --weights`",
        )?;
        Ok(vgg::load(&path, &shapes)?)
    }
}

/// Where `cargo xtask setup --weights` keeps torchvision's file.
fn cached_weights() -> Option<PathBuf> {
    let cache = etcetera::choose_base_strategy().ok()?.cache_dir();
    Some(cache.join("onemark").join("vgg19-dcbb9e9d.pth")).filter(|path| path.exists())
}

impl Precision {
    fn kind(self) -> Option<Kind> {
        match self {
            Self::Auto => None,
            Self::F32 => Some(Kind::Float),
            Self::Bf16 => Some(Kind::BFloat16),
        }
    }
}

impl DeviceChoice {
    fn open(self) -> Result<Device> {
        match (self, tch::Cuda::is_available()) {
            (Self::Cuda, false) => bail!(
                "--device cuda, but torch sees no CUDA device: either there is none, or this program was linked against a \
                 CPU-only libtorch (set LIBTORCH to a CUDA one, then `cargo xtask setup` and build again)"
            ),
            (Self::Cpu, _) | (Self::Auto, false) => Ok(Device::Cpu),
            (_, true) => Ok(Device::Cuda(0)),
        }
    }
}

/// Restarts this program by exec, once, so that threads spin only briefly while they wait for each other. By default, threads of
/// GNU's OpenMP spin so long that any other work on the machine makes training many times slower; without spinning, small
/// networks are twice as slow on an idle machine. OpenMP reads its settings when it is loaded.
fn spin_briefly() {
    const SPINS: (&str, &str) = ("GOMP_SPINCOUNT", "3000");
    #[cfg(unix)]
    if let (None, None, Ok(program)) =
        (std::env::var_os(SPINS.0), std::env::var_os("OMP_WAIT_POLICY"), std::env::current_exe())
    {
        let mut again = std::process::Command::new(program);
        again.args(std::env::args_os().skip(1)).env(SPINS.0, SPINS.1);
        // If that fails, training continues with the default.
        let _ = std::os::unix::process::CommandExt::exec(&mut again);
    }
}
