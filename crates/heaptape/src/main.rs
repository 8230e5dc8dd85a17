//! The `heaptape` binary: `main` → [`run`] → one function per command.
//!
//! Every command is a file in `commands/` with `pub struct Args` and `pub fn run(args) -> Outcome`.
//! Errors, exit codes and closed pipes are handled here and nowhere else.

#![forbid(unsafe_code)]

mod cli;
mod commands;
mod failure;
mod gate;
mod glue;
mod preload;
mod recording;
mod seeds;
mod terminal;
mod web;

use cli::{Cli, Command};
use failure::{Failure, Outcome};
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(std::env::args_os().collect()) {
        Ok(code) => code,
        Err(failure @ (Failure::ClosedPipe | Failure::Usage)) => failure.exit_code(),
        Err(failure) => {
            recording::tell(format_args!("heaptape: {failure}"));
            failure.exit_code()
        }
    }
}

/// Parses `argv`, by the name the program was called with, and runs the command it names.
fn run(argv: Vec<OsString>) -> Outcome {
    let Some(cli) = cli::parse(argv)? else { return Ok(ExitCode::SUCCESS) };
    let Cli { color, command } = cli;
    terminal::choose_color(color);
    match command {
        Command::Run(args) => commands::run::run(args),
        Command::Summary(args) => commands::summary::run(args),
        Command::Report(args) => commands::report::run(args),
        Command::Ui(args) => commands::ui::run(args),
        Command::Errors(args) => commands::errors::run(args),
        Command::At(args) => commands::at::run(args),
        Command::Layout(args) => commands::layout::run(args),
        Command::Leaks(args) => commands::leaks::run(args),
        Command::Events(args) => commands::events::run(args),
        Command::Addr(args) => commands::addr::run(args),
        Command::Crash(args) => commands::crash::run(args),
        Command::Tree(args) => commands::tree::run(args),
        Command::Contents(args) => commands::contents::run(args),
        Command::Snapshot(args) => commands::snapshot::run(args),
        Command::Strip(args) => commands::strip::run(args),
        Command::Info(args) => commands::info::run(args),
        Command::Doctor(args) => commands::doctor::run(args),
        Command::InstallAliases(args) => commands::install_aliases::run(args),
        Command::Vizzytrace(args) => commands::vizzytrace::run(args),
        Command::Vizzyreport(args) => commands::vizzyreport::run(args),
        Command::Crunch(args) => commands::crunch::run(args),
    }
}
