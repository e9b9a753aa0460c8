//! `onemark-train run`: one recipe, one run.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use onemark_evaluation::dataset::{Dataset, Split};
use onemark_models::landmarks::LandmarkSet;
use onemark_models::recipe::Recipe;
use onemark_trainer::run::{CHECKPOINT, Ending, recipe_of};

use super::lab::Lab;

#[derive(Args)]
pub struct Training {
    /// A built-in recipe's name or a recipe file; when resuming, the run's own.
    #[arg(long, required_unless_present = "resume")]
    recipe: Option<String>,
    /// The run's folder.
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    lab: Lab,
    /// Continue the run in --out.
    #[arg(long)]
    resume: bool,
    /// The annotated film's id, instead of the recipe's.
    #[arg(long, conflicts_with = "resume")]
    template: Option<String>,
    /// The seed, instead of the recipe's.
    #[arg(long, conflicts_with = "resume")]
    seed: Option<u64>,
    /// Cut the recipe's schedule so that training takes about this long: 45m, 2h.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "resume")]
    budget: Option<Duration>,
}

impl Training {
    pub fn run(self) -> Result<()> {
        let started = Instant::now();
        let device = self.lab.open()?;
        let mut recipe = self.recipe()?;
        let films = Dataset::open_for(&self.lab.data, Split::Train, &LandmarkSet::named(&recipe.landmarks)?)?;
        films.case(&recipe.template)?;
        let phases: Vec<_> = recipe.phases.iter().map(|phase| format!("{} x {}", phase.name, phase.epochs)).collect();
        eprintln!(
            "recipe {}: {} films of {}, template {}, epochs {}, on {}",
            recipe.name,
            films.cases.len(),
            self.lab.data.display(),
            recipe.template,
            phases.join(", "),
            if device.is_cuda() { "CUDA" } else { "the CPU" },
        );
        let ending = if self.resume {
            self.lab.run(&recipe, &films, device, &self.out).resume()?
        } else {
            let trunk = self.lab.trunk(&recipe)?;
            if let Some(budget) = self.budget
                && let Some((cut, what)) = self.lab.run(&recipe, &films, device, &self.out).fit(&trunk, budget)?
            {
                eprintln!("cut to fit the budget: {what}");
                recipe = cut;
            }
            self.lab.run(&recipe, &films, device, &self.out).start(trunk)?
        };
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
                "interrupted after {minutes:.1} minutes; continue with: onemark-train run --resume --data {} --out {}",
                self.lab.data.display(),
                self.out.display(),
            ),
        }
        Ok(())
    }

    fn recipe(&self) -> Result<Recipe> {
        let recipe = match &self.recipe {
            Some(name) => Recipe::load(name)?,
            None => recipe_of(&self.out)?,
        };
        let changed = recipe.edit(|spec| {
            if let Some(template) = &self.template {
                spec.template.clone_from(template);
            }
            spec.seed = self.seed.unwrap_or(spec.seed);
        });
        Ok(changed?)
    }
}
