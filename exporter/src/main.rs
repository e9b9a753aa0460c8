//! `onemark-export`: compiles a checkpoint into a bundle.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::anyhow;
use clap::Parser;
use onemark_exporter::explain::{Summary, table};
use onemark_exporter::module::Module;
use onemark_exporter::untrained::untrained;
use onemark_exporter::verify::SelfCheck;
use onemark_exporter::{BundleInfo, ExportError, Options, export};
use onemark_models::bundle::{Bundle, BundleError, Precision};
use onemark_models::checkpoint::Checkpoint;
use onemark_models::files::write_whole;
use onemark_models::recipe::Recipe;

/// Compiles a trained network into a bundle of ONNX graphs, and compares it with the trained network
#[derive(Parser)]
#[command(name = "onemark-export", version)]
struct Arguments {
    /// The checkpoint that `onemark-train` wrote (.safetensors)
    checkpoint: PathBuf,
    /// CHECKPOINT is a recipe; export its network with random weights, to measure its costs before training
    #[arg(long)]
    untrained: bool,
    /// The bundle of the first look, if CHECKPOINT is of a second one; the new bundle holds both
    #[arg(long, value_name = "BUNDLE")]
    first_look: Option<PathBuf>,
    /// The bundle to write: a new folder
    #[arg(long, value_name = "BUNDLE")]
    out: PathBuf,
    /// Write one stored zip instead of a folder
    #[arg(long)]
    archive: bool,
    /// Replace an existing bundle
    #[arg(long)]
    force: bool,
    /// Print nodes, parameters, multiply-accumulates and bytes after each pass
    #[arg(long)]
    explain: bool,
    /// Write the text of every graph after every pass to this folder
    #[arg(long, value_name = "DIR")]
    dump_graph: Option<PathBuf>,
    /// How the bundle stores its numbers; f16 halves the size, and backends still compute in f32
    #[arg(long, default_value = "f32", value_parser = ["f32", "f16"])]
    precision: String,
    /// Compute the trunk in 8 bits, quantised with these training films: faster on processors that have instructions for it. Evaluate the
    /// bundle before you trust it
    #[arg(long, value_name = "FILE", num_args = 1..)]
    int8_trunk: Vec<PathBuf>,
    /// Leave these passes out; the bundle finds the same landmarks, at another cost (--explain lists passes)
    #[arg(long, value_name = "PASS,…", value_delimiter = ',')]
    without: Vec<String>,
    /// Further films for the self-check, in addition to the synthetic film
    #[arg(long, value_name = "FILE", num_args = 1..)]
    check_films: Vec<PathBuf>,
    /// The bundle's name in reports [default: the name of BUNDLE]
    #[arg(long)]
    name: Option<String>,
    /// What the bundle may be used for
    #[arg(long, default_value = "Research only. Not a medical device; not for diagnosis or treatment.")]
    intended_use: String,
    /// The licence of the weights
    #[arg(long, default_value = "Not stated. Ask who trained the network.")]
    weights_licence: String,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}{}", remedy(&error));
            ExitCode::FAILURE
        }
    }
}

/// The option that solves a library's error, which names none.
fn remedy(error: &anyhow::Error) -> &'static str {
    if let Some(BundleError::Exists { .. }) = error.downcast_ref() {
        " (--force)"
    } else if let Some(ExportError::NeedsFirstLook) = error.downcast_ref() {
        " (--first-look)"
    } else {
        ""
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let start = Instant::now();
    Bundle::validate_target(&arguments.out, arguments.force)?;
    let checkpoint = match arguments.untrained {
        true => {
            let recipe = Recipe::load(&arguments.checkpoint.to_string_lossy())?;
            let seed = recipe.seed;
            untrained(recipe, seed)?
        }
        false => Checkpoint::read(&arguments.checkpoint)?,
    };
    let info = BundleInfo {
        name: arguments.name.unwrap_or_else(|| stem(&arguments.out)),
        intended_use: arguments.intended_use,
        weights_licence: arguments.weights_licence,
    };
    let mut summaries = Vec::new();
    let mut dumped = Ok(());
    let precision = if arguments.precision == "f16" { Precision::F16 } else { Precision::F32 };
    let first_look = arguments.first_look.map(Bundle::open).transpose()?;
    let options =
        Options { precision, quantisation_films: arguments.int8_trunk, without: arguments.without, first_look };
    let export = export(&checkpoint, &info, &options, &arguments.check_films, |progress| {
        summaries.push(Summary::of(progress));
        if let (Some(folder), Ok(())) = (&arguments.dump_graph, &dumped) {
            dumped = dump(folder, summaries.len() - 1, progress.step, progress.module);
        }
    });
    if arguments.explain {
        println!("{}", table(&summaries));
    }
    dumped?;
    let export = export?;
    if arguments.archive {
        export.bundle.write_archive(&arguments.out, arguments.force)?;
    } else {
        export.bundle.write(&arguments.out, arguments.force)?;
    }
    report(&arguments.out, &export, start);
    Ok(())
}

fn report(out: &Path, export: &onemark_exporter::Export, start: Instant) {
    let SelfCheck { backends, skipped, comparisons, worst, tolerance, time, .. } = &export.self_check;
    let (backends, time) = (backends.join(" and "), time.as_secs_f64());
    println!(
        "checked  {comparisons} maps with {backends}: at most {worst:.1e} from the reference ({tolerance:.0e} is allowed), {time:.1} s"
    );
    for why in skipped {
        println!("skipped  {why}");
    }
    if export.bundle.manifest().familiarity.is_none() {
        println!(
            "note     films of another kind are not refused: that takes the last checkpoint of a run on at least eight films"
        );
    }
    let megabytes = export.bundle.total_bytes() as f64 / 1e6;
    println!("wrote    {} ({megabytes:.1} MB) in {:.1} s", out.display(), start.elapsed().as_secs_f64());
    println!("next     onemark detect --bundle {} FILM…", out.display());
}

/// `head19` of `bundles/head19.onemark/`.
fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "bundle".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

fn dump(folder: &Path, number: usize, pass: &str, module: &Module) -> anyhow::Result<()> {
    let failed = |path: &Path, why: std::io::Error| anyhow!("{}: {why}", path.display());
    std::fs::create_dir_all(folder).map_err(|why| failed(folder, why))?;
    for graph in module.graphs() {
        let path = folder.join(format!("{number}-{pass}.{}.txt", graph.name()));
        write_whole(&path, graph.to_string().as_bytes()).map_err(|why| failed(&path, why))?;
    }
    Ok(())
}
