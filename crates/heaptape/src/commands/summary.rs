//! `heaptape summary`: how much memory, when, and by whom.

use crate::cli::TapeArgs;
use crate::failure::Outcome;
use crate::glue::{Reading, json_results, with_stdout};
use crate::terminal;
use heaptape_analysis::summary::Summary;
use heaptape_report::{summary, valgrind};

/// Show how much memory, when, and by whom
///
/// Peak, what was never freed, everything allocated, temporary blocks, live bytes over time, what stands out, the
/// call sites of the peak and of what was never freed, how full the heap's pages are at the end, and what resident
/// memory consists of.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  heaptape summary demo.tape
  heaptape summary demo.tape --top 30 --process all
  heaptape summary demo.tape --valgrind
  heaptape summary demo.tape --json | jq '.results[0].peak.total.bytes'
  heaptape summary demo.tape --json | jq -r '.results[0].findings.found[].sentence'")]
pub(crate) struct Args {
    #[command(flatten)]
    tape: TapeArgs,
    /// Most call sites in a list
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// Write JSON (docs/json.md)
    #[arg(long, conflicts_with = "valgrind")]
    json: bool,
    /// Write the HEAP SUMMARY in valgrind's words
    #[arg(long)]
    valgrind: bool,
}

pub(crate) fn run(args: Args) -> Outcome {
    let reading = Reading::open(args.tape)?;
    let names = reading.names();
    let summaries =
        reading.each(|process| Summary::compute(reading.recording(), &names, process, args.top))?;
    if args.json {
        let documents: Vec<_> = summaries.iter().map(summary::document).collect();
        return reading.outcome(json_results("summary", &documents));
    }
    let canvas = terminal::stdout();
    reading.outcome(with_stdout(|out| {
        for (index, result) in summaries.iter().enumerate() {
            if args.valgrind {
                valgrind::render_valgrind(out, result)?;
                continue;
            }
            if index > 0 {
                writeln!(out, "\n")?;
            }
            summary::render_summary(out, &canvas, &reading.tape_word(), result)?;
        }
        Ok(())
    }))
}
