//! `onemark`: finds landmarks on films with a bundle.
//!
//! Here are only the command line's shape and the way out; each command lives in its own file under `commands`.

mod commands;
mod console;
mod sheet;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Finds anatomical landmarks in radiographs, learnt from one annotated film.
#[derive(Parser)]
#[command(name = "onemark", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Detect(commands::detect::Detect),
    Evaluate(commands::evaluate::Evaluate),
    Cycle(commands::cycle::Cycle),
    #[command(subcommand)]
    Data(commands::data::Data),
    Inspect(commands::inspect::Inspect),
    Doctor(commands::doctor::Doctor),
    /// Trains a network: hands over to `onemark-train`
    #[command(disable_help_flag = true)]
    Train(commands::external::Arguments),
    /// Compiles a checkpoint into a bundle: hands over to `onemark-export`
    #[command(disable_help_flag = true)]
    Export(commands::external::Arguments),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Detect(command) => command.run(),
        Command::Evaluate(command) => command.run(),
        Command::Cycle(command) => command.run(),
        Command::Data(command) => command.run(),
        Command::Inspect(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Train(arguments) => commands::external::hand_over("onemark-train", &arguments),
        Command::Export(arguments) => commands::external::hand_over("onemark-export", &arguments),
    };
    result.unwrap_or_else(|error| {
        // Whoever reads our output may have seen enough (`onemark … | head`): no reason to complain.
        if !console::is_broken_pipe(&error) {
            console::note(format_args!("error: {}", console::explain(&error)));
        }
        ExitCode::FAILURE
    })
}
