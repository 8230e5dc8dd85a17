//! `vizzytrace <log> <command…>`: records a program; the tape is written at exactly `<log>`.

use crate::failure::{Failure, Outcome};
use std::ffi::OsString;
use std::path::PathBuf;

/// Record a program (vizzy's command line)
#[derive(Debug, clap::Parser)]
#[command(name = "vizzytrace", version)]
pub(crate) struct Args {
    /// Path to the recording
    #[arg(value_name = "log")]
    log: PathBuf,
    /// The program to record, and its arguments
    #[arg(
        value_name = "command",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

pub(crate) fn run(args: Args) -> Outcome {
    let _ = (args.log, args.command);
    Err(Failure::request("vizzytrace is not in this build"))
}
