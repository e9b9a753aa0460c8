//! `onemark`: finds landmarks on films with a bundle.
//!
//! This file defines the command line and the exit code; each command has a file in `commands`.

mod audit;
mod commands;
mod console;
mod contained;
mod film_text;
mod inputs;
mod interrupt;
mod outputs;
mod points;
mod sheet;
mod trust;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

#[cfg(not(any(feature = "onnxruntime", feature = "tract")))]
compile_error!("onemark needs a backend: switch on its feature `onnxruntime` or `tract`");

/// Finds anatomical landmarks in radiographs, with networks trained from one annotated film.
#[derive(Parser)]
#[command(name = "onemark", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Detect(commands::detect::Detect),
    Replay(commands::replay::Replay),
    View(commands::view::View),
    Annotate(commands::annotate::Annotate),
    Evaluate(commands::evaluate::Evaluate),
    Calibrate(commands::calibrate::Calibrate),
    Adapt(commands::adapt::Adapt),
    Suggest(commands::suggest::Suggest),
    Cycle(commands::cycle::Cycle),
    #[command(subcommand)]
    Data(commands::data::Data),
    #[command(subcommand)]
    Landmarks(commands::landmarks::Landmarks),
    #[command(subcommand)]
    Points(commands::points::Points),
    Inspect(commands::inspect::Inspect),
    Verify(commands::verify::Verify),
    Sign(commands::sign::Sign),
    Doctor(commands::doctor::Doctor),
    Completions(commands::shell::Completions),
    Man(commands::shell::Man),
    /// Trains a network: runs `onemark-train`
    #[command(disable_help_flag = true)]
    Train(commands::external::Arguments),
    /// Compiles a checkpoint into a bundle: runs `onemark-export`
    #[command(disable_help_flag = true)]
    Export(commands::external::Arguments),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Detect(command) => command.run(),
        Command::Replay(command) => command.run(),
        Command::View(command) => command.run(),
        Command::Annotate(command) => command.run(),
        Command::Evaluate(command) => command.run(),
        Command::Calibrate(command) => command.run(),
        Command::Adapt(command) => command.run(),
        Command::Suggest(command) => command.run(),
        Command::Cycle(command) => command.run(),
        Command::Data(command) => command.run(),
        Command::Landmarks(command) => command.run(),
        Command::Points(command) => command.run(),
        Command::Inspect(command) => command.run(),
        Command::Verify(command) => command.run(),
        Command::Sign(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Completions(command) => command.run(Cli::command()),
        Command::Man(command) => command.run(Cli::command()),
        Command::Train(arguments) => commands::external::hand_over("onemark-train", &arguments),
        Command::Export(arguments) => commands::external::hand_over("onemark-export", &arguments),
    };
    result.unwrap_or_else(|error| {
        // The reader of our output may close the pipe (`onemark … | head`); that is not an error.
        if !console::is_broken_pipe(&error) {
            console::note(format_args!("error: {}", console::explain(&error)));
        }
        ExitCode::FAILURE
    })
}
