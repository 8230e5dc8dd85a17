//! `vizzyreport [options] <log>`: reports on a tape, or on a log that vizzy itself wrote.

use crate::failure::{Failure, Outcome};
use crate::glue::with_stdout;
use crate::recording::{shown, tell};
use crate::seeds::source::{Known, Source};
use crate::seeds::usage_file;
use heaptape_analysis::moment::parse_duration;
use heaptape_report::seeds::vizzy;
use heaptape_tape::TimeNs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Report on a tape or a log of vizzy (vizzy's command line)
#[derive(Debug, clap::Parser)]
#[command(
    name = "vizzyreport",
    version,
    after_help = "Without options, the heap summary is printed.\n\
                  Example: vizzyreport --heap-layout-time 0.5 /tmp/heapinfo.trace"
)]
pub(crate) struct Args {
    /// The tape, or the log of vizzy
    #[arg(value_name = "tracefile")]
    log: PathBuf,
    /// List the live blocks this many seconds after the start
    #[arg(long, value_name = "HEAP_LAYOUT_TIME", value_parser = seconds)]
    heap_layout_time: Option<TimeNs>,
    /// Draw the heap memory usage over time, as a page for the browser
    #[arg(long)]
    mem_usage: bool,
    /// Where that page goes [default: the name of the log with .html]
    #[arg(short, long, value_name = "FILE.html", requires = "mem_usage")]
    output: Option<PathBuf>,
    /// Replace the page's file even if it is something else
    #[arg(short, long, requires = "mem_usage")]
    force: bool,
}

fn seconds(text: &str) -> Result<TimeNs, String> {
    parse_duration(text).ok_or_else(|| "expected seconds, such as 0.5".to_owned())
}

pub(crate) fn run(args: Args) -> Outcome {
    let source = Source::open(&args.log)?;
    with_stdout(|out| {
        if let Some(time) = args.heap_layout_time {
            print_layout(&source, time, out)?;
        }
        if args.mem_usage {
            let page = args.output.unwrap_or_else(|| beside(&args.log));
            let how = usage_file::write(&source, &page, args.force)?;
            writeln!(out, "* heap memory usage is drawn in {}; {how}", shown(&page))?;
        } else if args.heap_layout_time.is_none() {
            print_summary(&source, out)?;
        }
        Ok(())
    })
}

/// `<log>.html`.
fn beside(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".html");
    name.into()
}

fn print_summary(source: &Source, out: &mut dyn Write) -> Result<(), Failure> {
    let Known { processes: histories, unknown } = source.histories(None)?;
    print_notes(&unknown);
    let several = histories.len() + unknown.len() > 1;
    for history in &histories {
        print_notes(&history.notes);
        for &addr in &history.unmatched {
            vizzy::render_unmatched_free(out, addr)?;
        }
        vizzy::render_heap_summary(out, title(several, &history.process), &history.totals)?;
    }
    Ok(())
}

fn print_layout(source: &Source, time: TimeNs, out: &mut dyn Write) -> Result<(), Failure> {
    let Known { processes: histories, unknown } = source.histories(Some(time))?;
    print_notes(&unknown);
    let several = histories.len() + unknown.len() > 1;
    if histories.is_empty() {
        print_notes(&["no recorded process was running at that time".to_owned()]);
    }
    for history in &histories {
        print_notes(&history.notes);
        let process = title(several, &history.process);
        vizzy::render_layout(out, process, time, &history.blocks)?;
    }
    Ok(())
}

/// Processes are told apart only where there are several: one is shown just as vizzy shows it.
fn title(several: bool, process: &str) -> Option<&str> {
    several.then_some(process)
}

/// What vizzy's texts have no place for goes to standard error.
fn print_notes(notes: &[String]) {
    for note in notes {
        tell(format_args!("note: {note}"));
    }
}
