//! `heaptape crunch`: the command line of crunch.

use crate::failure::{Failure, Outcome};

/// Run a program and list the blocks it never freed (crunch's command line)
#[derive(Debug, clap::Parser)]
#[command(name = "crunch")]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args) -> Outcome {
    Err(Failure::request("crunch is not in this build"))
}
