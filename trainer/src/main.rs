//! `onemark-train`: trains networks, reproduces the paper's tables, draws phantom films.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};
use onemark_models::recipe::{BUILT_IN, Recipe};

mod commands;

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
    Run(commands::run::Training),
    /// Train, export and evaluate the rows of a table of the paper, and write the table beside the paper's numbers.
    Reproduce(commands::reproduce::Reproduce),
    /// Draw synthetic films with exact landmarks.
    Phantom(Phantom),
    /// List the built-in recipes, or print one.
    Recipes {
        /// The recipe to print.
        name: Option<String>,
    },
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
    /// What the films show.
    #[arg(long, value_enum, default_value_t = Anatomy::Head)]
    anatomy: Anatomy,
}

#[derive(Clone, Copy, ValueEnum)]
enum Anatomy {
    /// Lateral heads with the landmarks of isbi19, in the layout of ISBI 2015.
    Head,
    /// Hands with a landmark set of their own, hand.yaml, in plain folders; films for training have no points.
    Hand,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(training) => training.run(),
        Command::Reproduce(reproduce) => reproduce.run(),
        Command::Phantom(phantom) => phantom.run(),
        Command::Recipes { name } => recipes(name.as_deref()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}{}", commands::console::remedy(&error));
            ExitCode::FAILURE
        }
    }
}

impl Phantom {
    fn run(self) -> Result<()> {
        let bar = indicatif::ProgressBar::new(self.count as u64);
        let anatomy = match self.anatomy {
            Anatomy::Head => onemark_phantom::Anatomy::Head,
            Anatomy::Hand => onemark_phantom::Anatomy::Hand,
        };
        let progress = |done| bar.set_position(done as u64);
        onemark_phantom::write_films(anatomy, &self.out, self.count, self.seed, progress)?;
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
