//! `heaptape at`: the heap at a moment.

use crate::cli::TapeArgs;
use crate::failure::Outcome;
use crate::glue::{Reading, json_results, with_stdout, word_beside_tape};
use crate::terminal;
use heaptape_analysis::When;
use heaptape_analysis::at::HeapAt;
use heaptape_report::at;
use std::ffi::OsString;

/// Show the heap at a moment
///
/// Live bytes and blocks, who allocated them, and where in memory they lie, wound to any moment of the
/// recording.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  heaptape at demo.tape peak
  heaptape at demo.tape 0.521      seconds since the recording began
  heaptape at demo.tape 521ms
  heaptape at demo.tape 50%        half of the process's recorded time
  heaptape at demo.tape end --json")]
pub(crate) struct Args {
    #[command(flatten)]
    tape: TapeArgs,
    /// The moment, before or after the tape: seconds (0.521), 521ms, 17us, 40ns, 50%, start, peak or end
    #[arg(value_name = "TIME", default_value = "peak")]
    when: OsString,
    /// Most call sites in the list
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Write JSON (docs/json.md)
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(mut args: Args) -> Outcome {
    let when = word_beside_tape(&mut args.tape, &args.when, str::parse::<When>)?;
    let reading = Reading::open(args.tape)?;
    let names = reading.names();
    let heaps = reading
        .each(|process| HeapAt::compute(reading.recording(), &names, process, when, args.top))?;
    if args.json {
        return reading.outcome(json_results("at", &heaps));
    }
    let canvas = terminal::stdout();
    reading.outcome(with_stdout(|out| {
        for (index, heap) in heaps.iter().enumerate() {
            if index > 0 {
                writeln!(out, "\n")?;
            }
            at::render_at(out, &canvas, heap)?;
        }
        Ok(())
    }))
}
