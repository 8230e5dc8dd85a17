//! The command lines of vizzy: `vizzytrace <log> <command…>` and `vizzyreport [options] <log>`.

use crate::failure::{Failure, Outcome};

/// Record a program (vizzy's command line)
#[derive(Debug, clap::Parser)]
#[command(name = "vizzytrace")]
pub(crate) struct TraceArgs {}

/// Report on a tape or a log of vizzy (vizzy's command line)
#[derive(Debug, clap::Parser)]
#[command(name = "vizzyreport")]
pub(crate) struct ReportArgs {}

pub(crate) fn run_trace(_args: TraceArgs) -> Outcome {
    Err(Failure::request("vizzytrace is not in this build"))
}

pub(crate) fn run_report(_args: ReportArgs) -> Outcome {
    Err(Failure::request("vizzyreport is not in this build"))
}
