//! `heaptape errors`: wrong frees and overwrites.

use crate::cli::TapeArgs;
use crate::failure::Outcome;
use crate::glue::{Reading, json_results, with_stdout};
use crate::terminal;
use heaptape_analysis::errors::Errors;
use heaptape_report::errors::{self, Detail};

/// Show what was freed wrongly (twice, no block, or by the wrong function) and what was overwritten
///
/// Every recording can tell of wrong frees, no mode is needed. Each error is shown with the act that is wrong,
/// the earlier free and the allocation of the block, all with their backtraces. Errors of one kind with the
/// same backtraces are shown once. What may be right, as a free of a block that was not recorded, is no error;
/// it is counted apart.
///
/// Bytes that were written beside a block or after its free are seen in recordings with --guard or --check,
/// where they are found at the latest when the program ends.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  heaptape errors demo.tape
  heaptape errors demo.tape --process all --depth 30
  heaptape errors demo.tape --json | jq '.results[].errors[] | {kind, address}'
  heaptape run --error-exitcode 9 -- ./tests    to notice errors in a script
  heaptape run --check ./demo                   to find overwrites, too
  heaptape run --guard ./demo                   to stop at bad reads and writes")]
pub(crate) struct Args {
    #[command(flatten)]
    tape: TapeArgs,
    /// Most frames of a backtrace
    #[arg(long, value_name = "N", default_value_t = 12)]
    depth: usize,
    /// Most errors
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// List what may be right, too, with the reason
    #[arg(long)]
    undecided: bool,
    /// Write JSON (docs/json.md)
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Outcome {
    let reading = Reading::open(args.tape)?;
    let names = reading.names();
    let results = reading
        .each(|process| Errors::compute(reading.recording(), &names, process, args.limit))?;
    if args.json {
        return reading.outcome(json_results("errors", &results));
    }
    let canvas = terminal::stdout();
    let detail = Detail { depth: args.depth, undecided: args.undecided };
    reading.outcome(with_stdout(|out| {
        for (index, result) in results.iter().enumerate() {
            if index > 0 {
                writeln!(out, "\n")?;
            }
            errors::render_errors(out, &canvas, result, detail)?;
        }
        Ok(())
    }))
}
