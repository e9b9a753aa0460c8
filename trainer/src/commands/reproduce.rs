//! `onemark-train reproduce`: trains (or resumes) the rows of a table of the paper, exports them, evaluates their bundles, and
//! writes the results beside the paper's numbers.
//!
//! The folder holds `rows/NAME/` (the run, and in it `evaluation-SPLIT.json` and `cut.txt` where its schedule was cut),
//! `rows/NAME.onemark`, `features/`, and the reports. Work whose results exist is not repeated.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, ValueEnum};
use onemark_evaluation::dataset::Dataset;
use onemark_evaluation::report::Summary;
use onemark_film::{Film, Spacing};
use onemark_models::files::write_whole;
use onemark_models::recipe::Recipe;
use onemark_models::yaml;
use onemark_trainer::data::views::Views;
use onemark_trainer::run::{CHECKPOINT, Ending, is_finished, recipe_of};
use serde::Deserialize;
use tch::Device;

use super::lab::Lab;

mod plots;
mod report;

const TABLES: &str = include_str!("reproduce/tables.yaml");

#[derive(Args)]
pub struct Reproduce {
    /// The table of the paper.
    table: TableName,
    /// The folder of runs, bundles and reports. With the same folder, the command continues an interrupted run.
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    lab: Lab,
    /// The size of networks and schedules.
    #[arg(long, value_enum, default_value_t = Scale::Paper)]
    scale: Scale,
    /// Only these rows, by name.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    rows: Vec<String>,
    /// Time for training all rows. Schedules are cut to fit, and the report states what was cut.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    budget: Option<Duration>,
    /// The films to evaluate on; of a plain folder: all.
    #[arg(long, default_value = "test1")]
    split: String,
    /// Pixel spacing of the films to evaluate on, mm per pixel or x,y, instead of what the dataset and the films state.
    #[arg(long, value_name = "MM|X,Y", value_parser = |text: &str| Spacing::parse(text, "--spacing"))]
    spacing: Option<Spacing>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum TableName {
    Table1,
    Table2,
    Table3,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Scale {
    /// The paper's size.
    Paper,
    /// A size that two CPU cores can train within two hours.
    Laptop,
    /// For phantom films, in minutes; the results do not apply to radiographs.
    Phantom,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    table1: Table,
    table2: Table,
    table3: Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    title: String,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    recipe: Option<String>,
    channels: Option<usize>,
    wider: Option<usize>,
    /// MRE, then SDR within 2, 2.5, 3 and 4 mm.
    paper: [f64; 5],
    landmarks: Option<PaperLandmarks>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PaperLandmarks {
    mre: Vec<f64>,
    sdr2: Vec<f64>,
}

/// The result of a row.
struct Outcome {
    summary: Summary,
    /// The cuts of the schedule, if any.
    cut: Option<String>,
    minutes: f64,
}

impl Reproduce {
    pub fn run(mut self) -> Result<()> {
        let device = self.lab.open()?;
        let tables: Tables = yaml::read("tables.yaml", TABLES)?;
        let table = match self.table {
            TableName::Table1 => &tables.table1,
            TableName::Table2 => &tables.table2,
            TableName::Table3 => &tables.table3,
        };
        let rows = self.rows(table)?;
        let recipes = rows.iter().map(|row| self.lab.with_set(self.recipe(row)?)).collect::<Result<Vec<Recipe>>>()?;
        let Some(first) = recipes.first() else { bail!("this table has no row that can be trained") };
        let films = self.lab.films(first)?;
        let templates = self.lab.templates(first, &films)?;
        self.validate(first, &templates)?;
        self.lab.features.get_or_insert_with(|| self.out.join("features"));

        let began = Instant::now();
        let mut outcomes = Vec::new();
        for (index, (row, recipe)) in rows.iter().zip(&recipes).enumerate() {
            let left = self.budget.map(|budget| budget.saturating_sub(began.elapsed()) / (rows.len() - index) as u32);
            let recipe = recipe.edit(|spec| spec.learn_from(&templates))?;
            eprintln!("row {} ({} of {})", row.name, index + 1, rows.len());
            if self.train(&recipe, &films, device, left)? == Ending::Interrupted {
                bail!("interrupted in row {}: run the same command again to continue", row.name);
            }
            self.evaluate(&recipe)?;
            outcomes.push(self.outcome(&recipe)?);
            // Written after every row, so that an interrupted run leaves a table of the finished rows.
            self.report(table, &rows, &outcomes)?;
        }
        println!("{}", fs::read_to_string(self.path("md"))?);
        println!("also {}, {}", self.path("csv").display(), self.path("sdr.svg").display());
        Ok(())
    }

    /// Refuses, before anything is trained, what could not be exported and evaluated then.
    fn validate(&self, recipe: &Recipe, templates: &[String]) -> Result<()> {
        for program in ["onemark-export", "onemark"] {
            call(program, |command| command.arg("--version"))?;
        }
        let data = Dataset::open_for(&self.lab.data, self.split.parse()?, &recipe.landmarks)?;
        let annotated = || data.cases.iter().filter(|case| case.points.is_some());
        ensure!(
            annotated().any(|case| !templates.contains(&case.id)),
            "no film of split {} but the template is annotated, so that there is nothing to evaluate on: annotate some films",
            data.split,
        );
        for case in annotated() {
            let film = case.with_spacing(Film::open(&case.film)?, self.spacing.as_ref());
            case.validate_inside(film.size())?;
            case.required_spacing(&film)?;
        }
        Ok(())
    }

    /// The requested rows that can be trained.
    fn rows<'a>(&self, table: &'a Table) -> Result<Vec<&'a Row>> {
        let trained: Vec<&Row> = table.rows.iter().filter(|row| row.recipe.is_some()).collect();
        let names = trained.iter().map(|row| row.name.as_str()).collect::<Vec<_>>();
        if let Some(unknown) = self.rows.iter().find(|name| !names.contains(&name.as_str())) {
            bail!("this table has no row `{unknown}` that can be trained; there are {}", names.join(", "));
        }
        Ok(trained.into_iter().filter(|row| self.rows.is_empty() || self.rows.contains(&row.name)).collect())
    }

    fn recipe(&self, row: &Row) -> Result<Recipe> {
        let base = row.recipe.as_deref().unwrap_or_default();
        let recipe = match self.scale {
            Scale::Paper => Recipe::load(base)?,
            Scale::Laptop => Recipe::load(&format!("{base}-laptop"))?,
            Scale::Phantom => like(&Recipe::load(base)?, &Recipe::load("phantom")?)?,
        };
        let changed = recipe.edit(|spec| {
            spec.name.clone_from(&row.name);
            if let Some(channels) = row.channels {
                spec.network.adapter_channels = channels;
            }
            if let Some(more) = row.wider {
                spec.network.decoder.iter_mut().chain(&mut spec.network.rfb).for_each(|width| *width += more);
            }
        });
        changed.with_context(|| format!("row {}", row.name))
    }

    /// Trains a row, or continues its training, unless it is finished.
    fn train(&self, recipe: &Recipe, films: &Dataset, device: Device, budget: Option<Duration>) -> Result<Ending> {
        let folder = self.folder(recipe);
        if folder.join(CHECKPOINT).exists() {
            if is_finished(&folder)? {
                return Ok(Ending::Finished);
            }
            let recipe = recipe_of(&folder)?;
            return Ok(self.lab.run(&recipe, Views::new(&films.cases, None), device, &folder).resume()?);
        }
        let trunk = self.lab.trunk(recipe)?;
        let run = self.lab.run(recipe, Views::new(&films.cases, None), device, &folder);
        let Some(budget) = budget else { return Ok(run.start(trunk)?) };
        let fitted = run.fit(&trunk, budget)?;
        if let Some(what) = &fitted.cut {
            eprintln!("cut to fit the budget: {what}");
            fs::create_dir_all(&folder)?;
            write_whole(&folder.join("cut.txt"), what.as_bytes())?;
        }
        Ok(run.start_fitted(trunk, fitted)?)
    }

    /// Exports the row's bundle and evaluates it, with the programs for users.
    fn evaluate(&self, recipe: &Recipe) -> Result<()> {
        let folder = self.folder(recipe);
        let (bundle, report) = (folder.with_extension("onemark"), self.evaluation(&folder));
        if !bundle.exists() {
            call("onemark-export", |command| command.arg(folder.join(CHECKPOINT)).arg("--out").arg(&bundle))?;
        }
        if !report.exists() {
            call("onemark", |command| {
                command.arg("evaluate").arg(&bundle).arg("--data").arg(&self.lab.data);
                let spacing = self.spacing.as_ref().map(|spacing| format!("{},{}", spacing.x(), spacing.y()));
                command.args(spacing.iter().flat_map(|spacing| ["--spacing", spacing]));
                command.args(["--split", &self.split, "--report"]).arg(&report)
            })?;
        }
        Ok(())
    }

    fn outcome(&self, recipe: &Recipe) -> Result<Outcome> {
        let folder = self.folder(recipe);
        Ok(Outcome {
            summary: report::read(&self.evaluation(&folder))?,
            cut: fs::read_to_string(folder.join("cut.txt")).ok(),
            minutes: report::minutes(&folder.join("log.jsonl"))?,
        })
    }

    fn report(&self, table: &Table, rows: &[&Row], outcomes: &[Outcome]) -> Result<()> {
        let done: Vec<(&Row, &Outcome)> = rows.iter().copied().zip(outcomes).collect();
        let write = |kind: &str, text: String| {
            let path = self.path(kind);
            write_whole(&path, text.as_bytes()).with_context(|| format!("writing {}", path.display()))
        };
        let scale = self.scale.to_possible_value().map_or(String::new(), |scale| scale.get_name().to_owned());
        write("md", report::markdown(table, &done, &self.split, &scale))?;
        write("csv", report::csv(table, &done)?)?;
        write("sdr.svg", plots::sdr(&done)?)?;
        write("landmarks.svg", plots::landmarks(&done)?)
    }

    fn folder(&self, recipe: &Recipe) -> PathBuf {
        self.out.join("rows").join(&recipe.name)
    }

    /// The report for the chosen split. Each split has its own report.
    fn evaluation(&self, row: &Path) -> PathBuf {
        row.join(format!("evaluation-{}.json", self.split))
    }

    fn path(&self, kind: &str) -> PathBuf {
        let table = self.table.to_possible_value().map_or(String::new(), |table| table.get_name().to_owned());
        self.out.join(format!("{table}.{kind}"))
    }
}

/// The phantoms' recipe with the training method of another recipe.
fn like(method: &Recipe, recipe: &Recipe) -> Result<Recipe> {
    let changed = recipe.edit(|spec| {
        spec.stages.clone_from(&method.stages);
        spec.network.separate = method.network.separate;
        if method.network.adapter_channels == 0 {
            spec.network.adapter_channels = 0;
            spec.phases.retain(|phase| !phase.adapters);
        }
    });
    Ok(changed?)
}

/// Runs a program that is beside this one or on PATH.
fn call(program: &str, arguments: impl FnOnce(&mut Command) -> &mut Command) -> Result<()> {
    let mut command = Command::new(onemark_models::program::find(program));
    // Its results are in its files.
    let status = arguments(&mut command).stdout(Stdio::null()).status();
    let status =
        status.with_context(|| format!("{program} can't be started: put it beside onemark-train or on PATH"))?;
    ensure!(status.success(), "{program} failed: see above");
    Ok(())
}
