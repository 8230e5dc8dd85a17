//! `vizzytrace <log> <command…>`: records a program; the tape is written at exactly `<log>`.
//!
//! As in vizzy, the banner and the `[*]` lines go to standard output, and a log that is there is
//! replaced: but only if it is a recording. Exit status: the program's own.

use crate::failure::{Failure, Outcome};
use crate::recording::{self, shown, tell};
use crate::seeds::source;
use anstream::AutoStream;
use heaptape_report::seeds::vizzy;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

/// Record a program (vizzy's command line)
#[derive(Debug, clap::Parser)]
#[command(
    name = "vizzytrace",
    version,
    after_help = "Example: vizzytrace /tmp/heapinfo.trace /bin/find . -name vizzy\n\
                  Then:    vizzyreport /tmp/heapinfo.trace"
)]
pub(crate) struct Args {
    /// Path to output trace log
    #[arg(value_name = "log")]
    log: PathBuf,
    /// Command to execute
    #[arg(
        value_name = "command",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

pub(crate) fn run(args: Args) -> Outcome {
    if !source::may_replace(&args.log).map_err(|e| refuse(&args, &e.to_string()))? {
        return Err(refuse(&args, "is there and is no recording; vizzytrace does not replace it"));
    }
    let _ = vizzy::render_banner(&mut io::stdout());
    say(&format!("Recording to {}", shown(&args.log)));

    let mut launch = recording::launch(args.command, recording::exactly(&args.log));
    launch.force = true;
    launch.on_start = Some(Box::new(|pid| say(&format!("Child process started (pid={pid})"))));
    let recorded = recording::record(launch)?;

    say(&vizzy::ending_text(recorded.ending));
    for trouble in recording::troubles(&recorded) {
        tell(format_args!("[!] {trouble}"));
    }
    heaptape_collector::die_as(recorded.ending)
}

fn refuse(args: &Args, why: &str) -> Failure {
    Failure::request(format!("{}: {why}", shown(&args.log)))
}

/// One `[*]` line. A reader who has gone away must not end the recording.
fn say(text: &str) {
    let mut out = io::stdout();
    let color = AutoStream::choice(&out) != anstream::ColorChoice::Never;
    let _ = vizzy::render_info(&mut out, color, text).and_then(|()| out.flush());
}
