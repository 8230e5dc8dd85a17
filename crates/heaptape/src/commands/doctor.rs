//! `heaptape doctor`: what will and will not be seen of a program, and why.

use crate::failure::{Failure, Outcome};

/// Tell what will and will not be seen of a program, and why
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args) -> Outcome {
    Err(Failure::request("doctor is not in this build"))
}
