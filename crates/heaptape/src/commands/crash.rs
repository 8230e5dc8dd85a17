//! `heaptape crash`: why the program died.

use crate::cli::TapeArgs;
use crate::failure::Outcome;
use crate::glue::{Reading, json_results, with_stdout};
use crate::terminal;
use heaptape_analysis::crash::Crashes;
use heaptape_report::crash::{self, Extent};

/// Show why the program crashed
///
/// The signal and the address, what that means and how sure it is, the blocks concerned with where they
/// were allocated and freed, the stacks of all threads, the registers with what they point to, the memory map around
/// the address, and what the thread did last. Of a process that was killed: what is known of that.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  heaptape crash demo.tape
  heaptape crash demo.tape --depth 50 --threads 20
  heaptape crash demo.tape --json | jq '.results[0].crashes[0].verdict'")]
pub(crate) struct Args {
    #[command(flatten)]
    tape: TapeArgs,
    /// Most frames of a backtrace
    #[arg(long, value_name = "N", default_value_t = 16)]
    depth: usize,
    /// Most threads beside the one that crashed
    #[arg(long, value_name = "N", default_value_t = 4)]
    threads: usize,
    /// Write JSON (docs/json.md)
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Outcome {
    let reading = Reading::open(args.tape)?;
    let names = reading.names();
    let results = reading.each(|process| Crashes::compute(reading.recording(), &names, process))?;
    if args.json {
        return reading.outcome(json_results("crash", &results));
    }
    let canvas = terminal::stdout();
    let extent = Extent { depth: args.depth, threads: args.threads };
    reading.outcome(with_stdout(|out| {
        for (index, result) in results.iter().enumerate() {
            if index > 0 {
                writeln!(out, "\n")?;
            }
            crash::render_crashes(out, &canvas, result, extent)?;
        }
        Ok(())
    }))
}
