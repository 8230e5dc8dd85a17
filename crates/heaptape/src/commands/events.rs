//! `heaptape events`.

use crate::cli::TapeArgs;
use crate::failure::{Failure, Outcome};

/// List allocations and frees in order
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    tape: TapeArgs,
}

pub(crate) fn run(_args: Args) -> Outcome {
    Err(Failure::request("events is not in this build"))
}
