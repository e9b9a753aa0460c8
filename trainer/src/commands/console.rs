//! Shows a run on the terminal: a progress bar (one line per minute in a log) and other events as lines; adds this program's
//! options to error messages.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use onemark_evaluation::dataset::DatasetError;
use onemark_models::text::few;
use onemark_trainer::report::observer::{Event, Observer};
use onemark_trainer::{ResumeObstacle, TrainError};

const BETWEEN_LINES: Duration = Duration::from_secs(60);

/// Prints events to standard error.
#[derive(Default)]
pub struct Console {
    running: RefCell<Option<Running>>,
}

/// The computation whose progress is shown.
struct Running {
    task: String,
    bar: ProgressBar,
    last_line: Instant,
}

impl Observer for Console {
    fn observe(&self, event: Event) {
        match event {
            Event::Progress { task, done, total, loss } => self.progress(task, done, total, loss),
            Event::Ended { .. } => {
                if let Some(running) = self.running.take() {
                    running.bar.finish_and_clear();
                }
            }
            Event::Features { samples, seconds } => {
                eprintln!("features of {samples} films and copies in {seconds:.0} s")
            }
            Event::NoShapePrior { films, needed } => {
                eprintln!(
                    "pseudo-labels are inferred without a shape prior: it needs {needed} films, and there are {films}"
                );
            }
            Event::JointsOnlyTurn => eprintln!(
                "joints turn but do not shift on annotated films without a spacing; state it in spacing.csv beside the films"
            ),
            Event::Member { number, members } => eprintln!("member {number} of {members}"),
            Event::Agreement(agreement) => eprintln!("{agreement}"),
            Event::Epoch(report) => eprintln!("{report}"),
            Event::Profile(profile) => eprintln!("{profile}"),
            Event::Sizes(sizes) => {
                let each = sizes.iter().map(|(size, films)| format!("{size} px ({films})"));
                eprintln!(
                    "the films have {} sizes, and each is resized: {}",
                    sizes.len(),
                    few(&each.collect::<Vec<_>>(), 4)
                );
            }
            Event::ShortBudget { minutes } => eprintln!(
                "the budget is too short for this recipe on these films: even with the fewest copies, epochs and steps, it takes at \
                 least {minutes:.1} minutes"
            ),
            _ => (),
        }
    }
}

impl Console {
    fn progress(&self, task: &str, done: usize, total: usize, loss: Option<f64>) {
        let mut running = self.running.borrow_mut();
        let running = running.get_or_insert_with(|| Running::new(task));
        let message = loss.map_or_else(String::new, |loss| format!("loss {loss:.3}"));
        running.bar.set_length(total as u64);
        running.bar.set_position(done as u64);
        if running.bar.is_hidden() && running.last_line.elapsed() >= BETWEEN_LINES {
            eprintln!("{}: {done} of {total} {message}", running.task);
            running.last_line = Instant::now();
        }
        running.bar.set_message(message);
    }
}

impl Running {
    fn new(task: &str) -> Self {
        let bar = ProgressBar::new(0).with_prefix(task.to_owned());
        let style = ProgressStyle::with_template("{prefix:24} [{bar:30}] {pos}/{len} eta {eta} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { task: task.to_owned(), bar, last_line: Instant::now() }
    }
}

/// The option or program that helps against an error, if there is one.
pub fn remedy(error: &anyhow::Error) -> &'static str {
    let dataset = match error.downcast_ref() {
        Some(TrainError::Dataset(error, ..)) => Some(error),
        _ => error.downcast_ref(),
    };
    match dataset {
        Some(DatasetError::NotAnnotated { .. } | DatasetError::NoSuchFilm { .. }) => {
            ", or name another template by --template ID"
        }
        Some(DatasetError::WrongSet { .. }) => " (--landmarks SET)",
        Some(DatasetError::NoSplits { .. }) => " by --split",
        Some(DatasetError::NoSpacing { .. }) => ", or give --spacing",
        _ => of_training(error),
    }
}

fn of_training(error: &anyhow::Error) -> &'static str {
    match error.downcast_ref() {
        Some(TrainError::NoTemplate { .. }) => " or by --template ID",
        Some(TrainError::RunExists { .. }) => ": continue it with --resume, or choose another folder",
        Some(TrainError::CantResume { why: ResumeObstacle::OtherRecipe, .. }) => {
            ": resume without --recipe, or choose another folder"
        }
        Some(TrainError::CantResume { why: ResumeObstacle::OtherFilms, .. }) => ": give the same --data",
        Some(TrainError::NoWeights { .. }) => ": `cargo xtask setup --weights` fetches torchvision's",
        _ => "",
    }
}
