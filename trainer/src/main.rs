//! `onemark-train`: trains a network, draws phantom films.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use onemark_models::checkpoint::Tensors;
use onemark_models::dataset::{Dataset, Split};
use onemark_models::init;
use onemark_models::landmarks::LandmarkSet;
use onemark_models::network::Architecture;
use onemark_models::recipe::{BUILT_IN, Recipe, TrunkWeights};
use onemark_trainer::run::{CHECKPOINT, Ending, Run, recipe_of};
use onemark_trainer::{phantom, vgg};
use tch::Device;

/// Train landmark detection from one annotated film.
#[derive(Parser)]
#[command(name = "onemark-train", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a network by a recipe; ends in a checkpoint for `onemark-export`.
    Run(Training),
    /// Draw synthetic lateral head films with exact landmarks.
    Phantom(Phantom),
    /// List the built-in recipes, or print one.
    Recipes {
        /// The recipe to print.
        name: Option<String>,
    },
}

#[derive(Args)]
struct Training {
    /// A built-in recipe's name or a recipe file; when resuming, the run's own.
    #[arg(long, required_unless_present = "resume")]
    recipe: Option<String>,
    /// The films: the ISBI 2015 layout, or a folder of images/ and landmarks.csv.
    #[arg(long)]
    data: PathBuf,
    /// VGG19's ImageNet weights, .safetensors or torchvision's .pth; without it, the file that `cargo xtask setup --weights` keeps.
    #[arg(long)]
    weights: Option<PathBuf>,
    /// The run's folder.
    #[arg(long)]
    out: PathBuf,
    /// Keep the trunk's features in this folder, for runs whose memory they don't fit and to share between runs on the same
    /// films: about 9 MB a film or copy at 384 x 384.
    #[arg(long, value_name = "DIR")]
    features: Option<PathBuf>,
    /// Save a checkpoint at least this often, besides those after every epoch.
    #[arg(long, value_name = "MINUTES", default_value_t = 10.0)]
    checkpoint_every: f64,
    /// Keep the checkpoints of this many epochs, besides the last and the best.
    #[arg(long, value_name = "N", default_value_t = 2)]
    keep: usize,
    /// After every epoch, print where its time went.
    #[arg(long)]
    profile: bool,
    /// Go on with the run in --out.
    #[arg(long)]
    resume: bool,
    /// Where to compute.
    #[arg(long, value_enum, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
    /// The annotated film's id, instead of the recipe's.
    #[arg(long, conflicts_with = "resume")]
    template: Option<String>,
    /// The seed, instead of the recipe's.
    #[arg(long, conflicts_with = "resume")]
    seed: Option<u64>,
    /// Threads for computing on the CPU; as many as there are cores when left out.
    #[arg(long)]
    threads: Option<u16>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum DeviceChoice {
    /// CUDA where there is a device, else the CPU.
    Auto,
    Cpu,
    /// The first CUDA device; an error where there is none.
    Cuda,
}

#[derive(Args)]
struct Phantom {
    /// A folder that does not exist or is empty.
    #[arg(long)]
    out: PathBuf,
    /// How many films: two thirds for training, the rest for testing.
    #[arg(long, default_value_t = 24)]
    count: usize,
    /// The same seed draws the same films.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(training) => training.run(),
        Command::Phantom(phantom) => phantom.run(),
        Command::Recipes { name } => recipes(name.as_deref()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts this program again in its own place, once, with threads that spin only briefly while they wait for each other. As
/// GNU's OpenMP has it by default, they spin so long that whatever else runs on the machine makes training many times slower;
/// not spinning at all makes small networks twice as slow on a quiet one. It reads its settings when it is loaded.
fn spin_briefly() {
    const SPINS: (&str, &str) = ("GOMP_SPINCOUNT", "3000");
    #[cfg(unix)]
    if let (None, None, Ok(program)) =
        (std::env::var_os(SPINS.0), std::env::var_os("OMP_WAIT_POLICY"), std::env::current_exe())
    {
        let mut again = std::process::Command::new(program);
        again.args(std::env::args_os().skip(1)).env(SPINS.0, SPINS.1);
        // Where that fails, training goes on as it is.
        let _ = std::os::unix::process::CommandExt::exec(&mut again);
    }
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

impl Training {
    fn run(self) -> Result<()> {
        let started = Instant::now();
        spin_briefly();
        let device = self.device.open()?;
        if let Some(threads) = self.threads {
            tch::set_num_threads(i32::from(threads.max(1)));
        }
        let recipe = self.recipe()?;
        let dataset = Dataset::open(&self.data, Split::Train)?;
        dataset.check_set(&LandmarkSet::named(&recipe.landmarks)?)?;
        dataset.case(&recipe.template)?;
        let phases: Vec<_> = recipe.phases.iter().map(|phase| format!("{} x {}", phase.name, phase.epochs)).collect();
        eprintln!(
            "recipe {}: {} films of {}, template {}, epochs {}, on {}",
            recipe.name,
            dataset.cases.len(),
            self.data.display(),
            recipe.template,
            phases.join(", "),
            if device.is_cuda() { "CUDA" } else { "the CPU" },
        );
        ctrlc::set_handler(|| {
            eprintln!("\nfinishing the step and saving; press ctrl-C again to lose it");
            if INTERRUPTED.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        })?;
        let folder = self.out.clone();
        let run = Run {
            recipe: &recipe,
            cases: &dataset.cases,
            device,
            folder,
            features: self.features.clone(),
            interval: Duration::try_from_secs_f64(60.0 * self.checkpoint_every)
                .context("--checkpoint-every must be a time, in minutes")?,
            keep: self.keep,
            profile: self.profile,
            interrupted: &INTERRUPTED,
        };
        let ending = if self.resume { run.resume()? } else { run.start(self.trunk(&recipe)?)? };
        let checkpoint = self.out.join(CHECKPOINT);
        let (minutes, size) =
            (started.elapsed().as_secs_f64() / 60.0, std::fs::metadata(&checkpoint)?.len() as f64 / 1e6);
        match ending {
            Ending::Finished => println!(
                "{} ({size:.1} MB) in {minutes:.1} minutes; next: onemark-export {} --out {}.onemark",
                checkpoint.display(),
                checkpoint.display(),
                recipe.name,
            ),
            Ending::Interrupted => println!(
                "interrupted after {minutes:.1} minutes; go on: onemark-train run --resume --data {} --out {}",
                self.data.display(),
                self.out.display(),
            ),
        }
        Ok(())
    }

    fn recipe(&self) -> Result<Recipe> {
        let mut recipe = match &self.recipe {
            Some(name) => Recipe::load(name)?,
            None => recipe_of(&self.out)?,
        };
        if let Some(template) = &self.template {
            recipe.template.clone_from(template);
        }
        recipe.seed = self.seed.unwrap_or(recipe.seed);
        Ok(recipe)
    }

    fn trunk(&self, recipe: &Recipe) -> Result<Tensors> {
        let shapes = Architecture::from(recipe).trunk_graph()?.params().clone();
        if recipe.trunk.weights == TrunkWeights::Random {
            return Ok(init::initial(&shapes, recipe.seed));
        }
        let path = self.weights.clone().or_else(cached_weights).context(
            "this recipe needs VGG19's ImageNet weights: name the file by --weights, or fetch it by `cargo xtask setup --weights`",
        )?;
        Ok(vgg::load(&path, &shapes.into_iter().collect::<Vec<_>>())?)
    }
}

/// Where `cargo xtask setup --weights` keeps torchvision's file.
fn cached_weights() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))?;
    Some(cache.join("onemark").join("vgg19-dcbb9e9d.pth")).filter(|path| path.exists())
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

impl Phantom {
    fn run(self) -> Result<()> {
        let bar = indicatif::ProgressBar::new(self.count as u64);
        phantom::write_films(&self.out, self.count, self.seed, |done| bar.set_position(done as u64))?;
        bar.finish_and_clear();
        println!("{} phantom films in {}", self.count, self.out.display());
        Ok(())
    }
}

fn recipes(name: Option<&str>) -> Result<()> {
    match name {
        Some(name) => print!("{}", Recipe::load(name)?.to_yaml()?),
        None => {
            for (name, _) in BUILT_IN {
                println!("{name:20} {}", Recipe::load(name)?.about);
            }
        }
    }
    Ok(())
}
