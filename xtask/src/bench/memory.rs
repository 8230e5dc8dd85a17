//! How much memory a tool takes beside the program: the peaks of its processes, looked at while they run.
//!
//! The kernel tells a parent only the peak of its largest descendant, which is often the program's. So one run of
//! each workload, whose times do not count, is watched from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_millis(4);
/// The program that stands between the tool and the workload.
const BOUNDARY: &str = "measure";

/// Watches until the child ends; the sum of the peaks of all processes below it, in MiB, except those below the
/// boundary, which are the workload's. What a process takes in its last 4 ms may be missed.
pub(super) fn watch(child: &mut Child) -> Result<f64, String> {
    let mut peaks: BTreeMap<u32, u64> = BTreeMap::new();
    while child.try_wait().map_err(|e| e.to_string())?.is_none() {
        for pid in below(child.id(), &processes()) {
            if let Some(kib) = peak_kib(pid) {
                peaks.insert(pid, kib);
            }
        }
        sleep(INTERVAL);
    }
    Ok(peaks.values().sum::<u64>() as f64 / 1024.0)
}

/// A process as `/proc/PID/stat` shows it.
struct Process {
    pid: u32,
    parent: u32,
    name: String,
}

fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|it| it.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)).collect()
}

fn parse(stat: &str) -> Option<Process> {
    let (pid, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let parent = rest.split(' ').nth(1)?;
    Some(Process { pid: pid.parse().ok()?, parent: parent.parse().ok()?, name: name.to_owned() })
}

/// The descendants of a process, without any boundary and what is below one.
fn below(ancestor: u32, processes: &[Process]) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    let mut parents = vec![ancestor];
    while let Some(parent) = parents.pop() {
        for it in processes.iter().filter(|it| it.parent == parent && it.name != BOUNDARY) {
            if found.insert(it.pid) {
                parents.push(it.pid);
            }
        }
    }
    found
}

fn peak_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workload_is_not_the_tools() {
        let process = |text: &str| parse(text).unwrap();
        let all = [
            process("10 (measure) S 1 10"),
            process("11 (heap) tape) S 10 10"),
            process("12 (measure) S 11 10"),
            process("13 (tree) R 12 10"),
            process("14 (zstd) R 11 10"),
            process("15 (other) R 1 10"),
        ];
        assert_eq!(below(10, &all), BTreeSet::from([11, 14]));
        assert_eq!(all[1].name, "heap) tape");
    }
}
