//! `heaptape at`.

use crate::cli::TapeArgs;
use crate::failure::{Failure, Outcome};

/// Show the heap at a moment
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    tape: TapeArgs,
}

pub(crate) fn run(_args: Args) -> Outcome {
    Err(Failure::request("at is not in this build"))
}
