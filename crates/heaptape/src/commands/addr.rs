//! `heaptape addr`.

use crate::cli::TapeArgs;
use crate::failure::{Failure, Outcome};

/// Show every block that ever contained an address
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    tape: TapeArgs,
}

pub(crate) fn run(_args: Args) -> Outcome {
    Err(Failure::request("addr is not in this build"))
}
