//! `onemark-train run`: one recipe, one run.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use onemark_evaluation::dataset::Dataset;
use onemark_models::checkpoint::Checkpoint;
use onemark_models::recipe::Recipe;
use onemark_models::text::few;
use onemark_trainer::data::views::Views;
use onemark_trainer::run::{CHECKPOINT, Ending, Run, first_look, first_look_of, recipe_of};
use tch::Device;

use super::lab::Lab;

#[derive(Args)]
pub struct Training {
    /// A built-in recipe's name or a recipe file [default: c-adapter with CUDA, c-adapter-laptop without; when resuming, the run's].
    #[arg(long)]
    recipe: Option<String>,
    /// The run's folder.
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    lab: Lab,
    /// Begin with the network of another run, in this folder, instead of an untrained one: its films and annotated films may be others.
    #[arg(long, value_name = "RUN")]
    from: Option<PathBuf>,
    /// Train a second look, at films that this run's landmarks have turned, scaled and shifted alike: a finished run, on the same films.
    #[arg(long, value_name = "RUN")]
    first_look: Option<PathBuf>,
    /// Continue the run in --out.
    #[arg(long, conflicts_with_all = ["template", "landmarks", "seed", "budget", "from", "first_look"])]
    resume: bool,
    /// The seed, instead of the recipe's.
    #[arg(long)]
    seed: Option<u64>,
    /// Cut the recipe so that training takes about this long, features and all: 45m, 2h. If even the least that can be trained takes
    /// longer, this says so at the start.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    budget: Option<Duration>,
}

impl Training {
    pub fn run(self) -> Result<()> {
        let started = Instant::now();
        let device = self.lab.open()?;
        let (recipe, films) = self.task(device)?;
        let phases: Vec<_> = recipe.phases.iter().map(|phase| format!("{} x {}", phase.name, phase.epochs)).collect();
        eprintln!(
            "recipe {}: {} landmarks, {} films of {}, template {}, epochs {}, on {}",
            recipe.name,
            recipe.landmarks.len(),
            films.cases.len(),
            self.lab.data.display(),
            few(&recipe.templates, 8),
            phases.join(", "),
            if device.is_cuda() { "CUDA" } else { "the CPU" },
        );
        let look = match &self.first_look {
            _ if self.resume => first_look_of(&self.out)?,
            Some(_) if !recipe.second_look => bail!(
                "recipe {} is not for a second look; choose another by --recipe, or set `second_look: true` in it",
                recipe.name
            ),
            None if recipe.second_look => bail!(
                "recipe {} is for a second look: train a first one, then name its run by --first-look",
                recipe.name
            ),
            Some(run) => Some(first_look(run, &recipe, &films.cases)?),
            None => None,
        };
        let run = self.lab.run(&recipe, Views::new(&films.cases, look.as_ref()), device, &self.out);
        let ending = if self.resume {
            run.resume()?
        } else {
            let from = self.from.as_deref().map(|run| Checkpoint::read(&run.join(CHECKPOINT))).transpose()?;
            let run = Run { from: from.as_ref(), ..run };
            let trunk = self.lab.trunk(&recipe)?;
            match self.budget {
                None => run.start(trunk)?,
                Some(budget) => {
                    let fitted = run.fit(&trunk, budget.saturating_sub(started.elapsed()))?;
                    if let Some(what) = &fitted.cut {
                        eprintln!("cut to fit the budget: {what}");
                    }
                    run.start_fitted(trunk, fitted)?
                }
            }
        };
        let checkpoint = self.out.join(CHECKPOINT);
        let (minutes, size) =
            (started.elapsed().as_secs_f64() / 60.0, std::fs::metadata(&checkpoint)?.len() as f64 / 1e6);
        match ending {
            Ending::Finished => println!(
                "{} ({size:.1} MB) in {minutes:.1} minutes; next: onemark-export {}{} --out {}.onemark",
                checkpoint.display(),
                checkpoint.display(),
                if look.is_some() { " --first-look BUNDLE" } else { "" },
                recipe.name,
            ),
            Ending::Interrupted => println!(
                "interrupted after {minutes:.1} minutes; continue with: onemark-train run --resume --data {} --out {}",
                self.lab.data.display(),
                self.out.display(),
            ),
        }
        Ok(())
    }

    /// The recipe and the films.
    fn task(&self, device: Device) -> Result<(Recipe, Dataset)> {
        let recipe = match &self.recipe {
            Some(name) => Recipe::load(name)?,
            None if self.resume => recipe_of(&self.out)?,
            None => {
                let (name, why) = default_recipe(device);
                eprintln!("recipe {name}, {why}; --recipe instant makes a first bundle in minutes");
                Recipe::load(name)?
            }
        };
        let recipe = self.lab.with_set(recipe)?;
        let films = self.lab.films(&recipe)?;
        if self.resume {
            return Ok((recipe, films));
        }
        let templates = self.lab.templates(&recipe, &films)?;
        let changed = recipe.edit(|spec| {
            spec.learn_from(&templates);
            spec.seed = self.seed.unwrap_or(spec.seed);
        });
        Ok((changed?, films))
    }
}

/// The recipe that suits the device, and why.
fn default_recipe(device: Device) -> (&'static str, &'static str) {
    match device.is_cuda() {
        true => ("c-adapter", "the paper's schedule, because there is a CUDA device"),
        false => ("c-adapter-laptop", "about an hour on two cores, because there is no CUDA device"),
    }
}
