//! `heaptape addr`: the history of one address.

use crate::cli::TapeArgs;
use crate::failure::Outcome;
use crate::glue::{Reading, json_results, with_stdout, word_beside_tape};
use crate::terminal;
use heaptape_analysis::addr::AddressHistory;
use heaptape_report::addr;
use std::ffi::OsString;

/// Show every block that ever contained an address
///
/// With both backtraces, oldest first; frees of the address while no block began there are shown too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  heaptape addr demo.tape 0x55d0c0a2a4f0
  heaptape addr demo.tape 0x55d0c0a2a4f0 --depth 30 --limit 5")]
pub(crate) struct Args {
    #[command(flatten)]
    tape: TapeArgs,
    /// The address, before or after the tape: in hex (0x…) or decimal
    #[arg(value_name = "ADDRESS")]
    address: OsString,
    /// Most frames of a backtrace
    #[arg(long, value_name = "N", default_value_t = 8)]
    depth: usize,
    /// Most blocks: the newest are shown
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Write JSON (docs/json.md)
    #[arg(long)]
    json: bool,
}

/// Parses `0x…` or a decimal number.
pub(super) fn parse_address(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| "expected an address: 0x55d0c0a2a4f0".to_owned())
}

pub(crate) fn run(mut args: Args) -> Outcome {
    let address = word_beside_tape(&mut args.tape, &args.address, parse_address)?;
    let reading = Reading::open(args.tape)?;
    let names = reading.names();
    let histories = reading.each(|process| {
        AddressHistory::compute(reading.recording(), &names, process, address, args.limit)
    })?;
    if args.json {
        return reading.outcome(json_results("addr", &histories));
    }
    let canvas = terminal::stdout();
    reading.outcome(with_stdout(|out| {
        for history in &histories {
            addr::render_address(out, &canvas, history, args.depth)?;
        }
        Ok(())
    }))
}
