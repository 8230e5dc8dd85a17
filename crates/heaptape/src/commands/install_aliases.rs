//! `heaptape install-aliases`: links named vizzytrace, vizzyreport and crunch to this program.

use crate::failure::{Failure, Outcome};

/// Link vizzytrace, vizzyreport and crunch to this program
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args) -> Outcome {
    Err(Failure::request("install-aliases is not in this build"))
}
