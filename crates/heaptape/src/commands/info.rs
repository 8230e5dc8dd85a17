//! `heaptape info`: what was recorded, and what was not.

use crate::cli::TapeArgs;
use crate::failure::Outcome;
use crate::glue::{Reading, json_results, with_stdout};
use crate::terminal;
use heaptape_analysis::info::Info;
use heaptape_report::info;

/// Show what was recorded: processes, threads, modules, losses
///
/// Always tells of all processes; children that could not be recorded are named with the reason.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  heaptape info demo.tape
  heaptape info demo.tape --modules    and which files name their functions")]
pub(crate) struct Args {
    #[command(flatten)]
    tape: TapeArgs,
    /// List the modules, with the state of their names
    #[arg(long)]
    modules: bool,
    /// Write JSON (docs/json.md)
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Outcome {
    let reading = Reading::open(args.tape)?;
    let info = Info::compute(reading.recording(), &reading.names())
        .map_err(|error| reading.unreadable(error))?;
    if args.json {
        return json_results("info", &[info]);
    }
    with_stdout(|out| Ok(info::render_info(out, &terminal::stdout(), &info, args.modules)?))
}
