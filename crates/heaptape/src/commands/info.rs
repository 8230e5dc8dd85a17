//! `heaptape info`.

use crate::cli::TapeArgs;
use crate::failure::{Failure, Outcome};

/// Show what was recorded: processes, threads, modules, losses
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    tape: TapeArgs,
}

pub(crate) fn run(_args: Args) -> Outcome {
    Err(Failure::request("info is not in this build"))
}
