//! `heaptape layout`.

use crate::cli::TapeArgs;
use crate::failure::{Failure, Outcome};

/// Show where in memory the live blocks lie, and the holes between them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    tape: TapeArgs,
}

pub(crate) fn run(_args: Args) -> Outcome {
    Err(Failure::request("layout is not in this build"))
}
