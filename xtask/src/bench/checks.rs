//! Whether a recording is right: nothing lost, nothing out of order, every backtrace as a full walk finds it.

use super::Bench;
use super::results::{Mode, Row};
use super::workloads::Workload;
use crate::command::output;
use serde_json::Value;
use std::fs;
use std::process::{Command, Stdio};

/// The switch by which the recorder compares each of its backtraces with a full walk of the stack, and with
/// libgcc's; the launcher says how many it compared, and fails if any two differed.
const CHECK: &str = "HEAPTAPE_CHECK";
const CHECKS: [&str; 2] = ["1", "libgcc"];

/// Looks a tape through and notes in the row what is wrong with it; returns how many events it holds.
pub(super) fn tape(bench: &Bench, row: &mut Row) -> Result<u64, String> {
    let info = json(Command::new(&bench.heaptape).args(["info", "--json"]).arg(bench.tape()))?;
    let info = &info["results"][0];
    let processes = info["processes"].as_array().ok_or("info --json has no processes")?;
    let sum = |pointer: &str| -> u64 {
        processes.iter().filter_map(|it| it.pointer(pointer)?.as_u64()).sum()
    };
    for what in ["events", "threads", "abandoned", "malformed"] {
        fault(row, sum(&format!("/lost/{what}")), &format!("{what} lost"));
    }
    if info["quality"]["complete"] != true {
        row.faults.push("the tape is not complete".into());
    }
    row.truncated_backtraces = sum("/lost/truncated_backtraces");
    row.waited_ms.push(sum("/lost/waited_ns") as f64 / 1e6);
    row.events = sum("/events");
    fault(row, u64::from(row.events == 0), "recording without events");
    // `summary --json` of this very tape was just printed: its time was taken.
    let summary = fs::read(bench.scratch.join("analysis")).map_err(|e| e.to_string())?;
    order(&serde_json::from_slice(&summary).map_err(|e| format!("summary --json: {e}"))?, row);
    Ok(row.events)
}

/// Frees that come before their allocation, or after the next one at the address, show as these.
fn order(summary: &Value, row: &mut Row) {
    for process in summary["results"].as_array().into_iter().flatten() {
        for what in ["unmatched_frees", "overlaid"] {
            let count = process["allocated"][what].as_u64();
            fault(row, count.unwrap_or(1), &format!("{what} (order)"));
        }
    }
}

fn fault(row: &mut Row, count: u64, what: &str) {
    if count > 0 {
        row.faults.push(format!("{count} {what}"));
    }
}

/// A program that does the same each time must be recorded the same, and not with less than the counting library saw.
pub(super) fn same_events(rounds: &[u64], row: &mut Row) {
    if rounds.iter().any(|it| *it != rounds[0]) {
        row.faults.push(format!("the rounds recorded different numbers of events: {rounds:?}"));
    }
    let missed = row.counted_calls.saturating_sub(row.events);
    fault(row, missed, "fewer events than the counting library saw calls");
}

/// One more run for each way of checking backtraces, if the recorder has learnt that.
pub(super) fn unwinder(bench: &Bench, workload: &Workload, row: &mut Row) -> Result<(), String> {
    if workload.client.is_some() || !can_check(bench)? {
        return Ok(());
    }
    for check in CHECKS {
        let mut command = bench.command(workload, Mode::Heaptape);
        command.env(CHECK, check).stdin(Stdio::null()).stdout(Stdio::null());
        let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        row.backtraces_checked = backtraces_checked(&said);
        fault(row, u64::from(row.backtraces_checked == 0), "check of backtraces that checked none");
        if !output.status.success() {
            row.faults.push(format!("with {CHECK}={check}: {}: {}", output.status, said.trim()));
        }
    }
    Ok(())
}

/// Of `heaptape: 1,234 backtraces checked, 0 differing`.
fn backtraces_checked(said: &str) -> u64 {
    let count = said.lines().find_map(|line| {
        let (before, _) = line.strip_prefix("heaptape: ")?.split_once(" checked, ")?;
        before.split(' ').next()?.replace(',', "").parse().ok()
    });
    count.unwrap_or_default()
}

/// Whether this heaptape knows the switch: its name is in the file then.
fn can_check(bench: &Bench) -> Result<bool, String> {
    let file = fs::read(&bench.heaptape).map_err(|e| e.to_string())?;
    Ok(file.windows(CHECK.len()).any(|it| it == CHECK.as_bytes()))
}

fn json(command: &mut Command) -> Result<Value, String> {
    serde_json::from_str(&output(command)?).map_err(|e| format!("{command:?}: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn wrong_order_is_a_fault() {
        let summary = |unmatched, overlaid| {
            json!({ "results": [{ "allocated": {
                "unmatched_frees": unmatched, "overlaid": overlaid } }] })
        };
        let mut row = Row::default();
        order(&summary(0, 0), &mut row);
        assert!(row.faults.is_empty());
        order(&summary(2, 1), &mut row);
        assert_eq!(row.faults, ["2 unmatched_frees (order)", "1 overlaid (order)"]);
    }

    #[test]
    fn fewer_events_than_calls_are_a_fault() {
        let mut row = Row { events: 10, counted_calls: 10, ..Row::default() };
        same_events(&[10, 10], &mut row);
        assert!(row.faults.is_empty());
        row.counted_calls = 12;
        same_events(&[10, 11], &mut row);
        assert_eq!(row.faults.len(), 2);
    }

    #[test]
    fn what_was_checked_is_read() {
        let said = "x\nheaptape: 1,234 backtraces checked, 0 differing\n";
        assert_eq!(backtraces_checked(said), 1234);
        assert_eq!(backtraces_checked("x\n"), 0);
    }

    #[test]
    fn a_summary_without_the_counts_is_a_fault() {
        let mut row = Row::default();
        order(&json!({ "results": [{}] }), &mut row);
        assert_eq!(row.faults.len(), 2);
    }
}
