//! `heaptape snapshot`: contents of a running recording, now.

use crate::failure::{Failure, Outcome};
use crate::glue::with_stdout;
use crate::recording::quoted;
use heaptape_collector::control::{self, Taken};
use heaptape_report::units;

/// Keep what is in memory now: of a program that is being recorded
///
/// The bytes of all live blocks are copied onto its tape; only pages that have changed since the last snapshot
/// are stored. All threads of the program stand still meanwhile, for a millisecond or so, and go on. As with
/// a debugger, a system call that does not survive a stop (epoll_wait) may return EINTR. Nothing else need have
/// been said when the recording began.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  heaptape snapshot 4711                     a recorded process
  heaptape snapshot $(pgrep -x heaptape)     all processes of that recording")]
pub(crate) struct Args {
    /// The pid of a recorded process; or of heaptape run, for all that it records
    #[arg(value_name = "PID")]
    pid: u32,
}

pub(crate) fn run(args: Args) -> Outcome {
    let answer = control::snapshot(args.pid).map_err(|e| Failure::request(e.to_string()))?;
    if answer.taken.is_empty() {
        return Err(Failure::request(format!(
            "process {} ended before it could be copied",
            args.pid
        )));
    }
    let tape = quoted(answer.tape.as_os_str());
    with_stdout(|out| {
        for taken in &answer.taken {
            writeln!(out, "{}", sentence(taken))?;
        }
        if let Some(first) = answer.taken.first() {
            let process = if first.process > 0 {
                format!(" --process '#{}'", first.process)
            } else {
                String::new()
            };
            writeln!(out, "  heaptape contents {tape}{process} --at '#{}'", first.number)?;
        }
        Ok(())
    })
}

/// `pid 4711: snapshot #3 at 2.512 s: 1.2 MiB live, 96 KiB changed and stored; stood still for 1.1 ms`.
fn sentence(taken: &Taken) -> String {
    let mut parts = vec![format!(
        "pid {}: snapshot #{} at {}: {} live, pages of {} changed and stored",
        taken.pid,
        taken.number,
        units::seconds(taken.time_ns),
        units::bytes(taken.considered),
        units::bytes(taken.stored),
    )];
    parts.push(match taken.pause_ns {
        0 => "could not be stopped".to_owned(),
        pause => format!("stood still for {}", units::lifetime(pause)),
    });
    if !taken.one_instant {
        parts.push("NOT OF ONE INSTANT: some of it went on meanwhile".to_owned());
    }
    for (bytes, what) in
        [(taken.unreadable, "UNREADABLE"), (taken.over_budget, "BEYOND THE BUDGET")]
    {
        if bytes > 0 {
            parts.push(format!("{} {what}", units::bytes(bytes)));
        }
    }
    parts.join("; ")
}
