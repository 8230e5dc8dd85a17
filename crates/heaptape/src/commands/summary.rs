//! `heaptape summary`.

use crate::cli::TapeArgs;
use crate::failure::{Failure, Outcome};

/// Show how much memory, when, and by whom
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    tape: TapeArgs,
}

pub(crate) fn run(_args: Args) -> Outcome {
    Err(Failure::request("summary is not in this build"))
}
