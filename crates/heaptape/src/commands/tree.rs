//! `heaptape tree`.

use crate::cli::TapeArgs;
use crate::failure::{Failure, Outcome};

/// Show who called whom to allocate, as a tree
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    tape: TapeArgs,
}

pub(crate) fn run(_args: Args) -> Outcome {
    Err(Failure::request("tree is not in this build"))
}
