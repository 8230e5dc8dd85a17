//! `heaptape events`: allocations and frees, one by one.

use crate::cli::TapeArgs;
use crate::failure::{Failure, Outcome};
use crate::glue::{Reading, with_stdout};
use crate::recording::tell;
use crate::terminal;
use heaptape_analysis::events::{self, EventRow};
use heaptape_analysis::filter::{Filter, Kind, Lifetime, SizeRange, TimeRange};
use heaptape_analysis::process::ProcessName;
use heaptape_report::{Canvas, events as report, header, json};
use std::io::{self, Write};
use std::ops::ControlFlow;

/// List allocations and frees in order
///
/// An event is shown when it passes every filter. The end of a block has the size of its block, and the
/// call site of its allocation (after "from") where that of the free was not recorded.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  heaptape events demo.tape --limit 20
  heaptape events demo.tape --kind alloc --size 64K.. --time 0.2..peak
  heaptape events demo.tape --match parse_header --kind realloc
  heaptape events demo.tape --address 0x55d0c0a2a4f0
  heaptape events demo.tape --tsv > demo.tsv")]
pub(crate) struct Args {
    #[command(flatten)]
    tape: TapeArgs,
    /// Only this kernel thread id
    #[arg(long, value_name = "TID")]
    thread: Option<u32>,
    /// Only alloc, free, realloc, failed, map, or a function as malloc or operator-new (repeatable)
    #[arg(long, value_name = "KIND")]
    kind: Vec<Kind>,
    /// Only this size or range of sizes: 64, 64K.., ..1M, 1K..64K
    #[arg(long, value_name = "SIZES")]
    size: Option<SizeRange>,
    /// Only blocks that contain this address
    #[arg(long, value_name = "ADDRESS", value_parser = super::addr::parse_address)]
    address: Option<u64>,
    /// Only this range of moments: 0.2..0.5, 100ms.., ..peak
    #[arg(long, value_name = "TIMES")]
    time: Option<TimeRange>,
    /// Only ends of blocks that lived at most so long: 1ms, 17us
    #[arg(long, value_name = "TIME")]
    lifetime: Option<Lifetime>,
    /// Only backtraces with this in a function, file or module
    #[arg(long, value_name = "TEXT")]
    r#match: Option<String>,
    /// Stop after so many
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Write columns separated by tabs
    #[arg(long, conflicts_with = "json")]
    tsv: bool,
    /// Write JSON, one object a line (docs/json.md)
    #[arg(long)]
    json: bool,
}

/// How events are written.
#[derive(Clone, Copy)]
enum Form {
    Text(Canvas),
    Tsv,
    Json,
}

pub(crate) fn run(args: Args) -> Outcome {
    let reading = Reading::open(args.tape)?;
    let names = reading.names();
    let filter = Filter {
        tid: args.thread,
        kinds: args.kind,
        sizes: args.size,
        address: args.address,
        times: args.time,
        max_lifetime: args.lifetime,
        text: args.r#match,
    };
    let form = match (args.tsv, args.json) {
        (true, _) => Form::Tsv,
        (_, true) => Form::Json,
        _ => Form::Text(terminal::stdout()),
    };
    let processes = reading.processes()?;
    let alone = processes.len() == 1;
    reading.outcome(with_stdout(|out| {
        let most = args.limit.unwrap_or(u64::MAX);
        let mut left = most;
        for (index, process) in processes.into_iter().enumerate() {
            write_heading(out, form, index, &ProcessName::of(reading.quiet(), process))?;
            let show = |row: EventRow| {
                let Some(rest) = left.checked_sub(1) else { return ControlFlow::Break(Ok(())) };
                left = rest;
                match write_event(out, form, &row) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => ControlFlow::Break(Err(error)),
                }
            };
            match events::for_each(reading.quiet(), &names, process, &filter, show) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(result)) => return result.map_err(Failure::from),
                Err(error) => reading.leave_out(error, alone)?,
            }
        }
        if let Form::Text(_) = form
            && left == most
            && most > 0
        {
            writeln!(out, "  no event is like that")?;
        }
        Ok(())
    }))
}

/// Lines for people say what is missing; lines for programs leave that to standard error.
fn write_heading(
    out: &mut dyn Write,
    form: Form,
    index: usize,
    process: &ProcessName,
) -> io::Result<()> {
    if let Form::Text(canvas) = form {
        header::render_process(out, &canvas, process, &[])?;
        header::render_sampled_only(out, &canvas, process)?;
        return report::render_heading(out, &canvas);
    }
    if let Some(missing) = header::missing_words(process) {
        tell(format_args!("heaptape: pid {}: {missing}", process.pid));
    }
    if matches!(form, Form::Tsv) && index == 0 {
        report::render_tsv_heading(out)?;
    }
    Ok(())
}

fn write_event(out: &mut dyn Write, form: Form, row: &EventRow) -> io::Result<()> {
    match form {
        Form::Text(canvas) => report::render_event(out, &canvas, row),
        Form::Tsv => report::render_tsv(out, row),
        Form::Json => json::write_line(out, "event", row),
    }
}
