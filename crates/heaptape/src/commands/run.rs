//! `heaptape run`: records a program and writes its tape.

use crate::failure::{Failure, Outcome};

/// Record a program from its first allocation to its end
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args) -> Outcome {
    Err(Failure::request("run is not in this build"))
}
