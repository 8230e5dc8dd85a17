//! Running programs: to their end, with their output, and with what they cost.

use serde::Deserialize;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus};

/// What `bench/workloads/measure.c` reports of a program and everything it started.
#[derive(Clone, Copy, Deserialize)]
pub(super) struct Cost {
    /// Nanoseconds from start to end, of the last of them.
    wall_ns: u64,
    /// Microseconds, user and system together.
    cpu_us: u64,
    /// KiB of resident memory of the largest of them at its peak.
    peak_kib: u64,
}

impl Cost {
    pub(super) fn read(report: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(report).map_err(|e| format!("{}: {e}", report.display()))?;
        serde_json::from_str(&text).map_err(|e| format!("{}: {e}", report.display()))
    }

    pub(super) fn wall_seconds(self) -> f64 {
        self.wall_ns as f64 / 1e9
    }

    pub(super) fn cpu_seconds(self) -> f64 {
        self.cpu_us as f64 / 1e6
    }

    pub(super) fn peak_mib(self) -> f64 {
        self.peak_kib as f64 / 1024.0
    }
}

/// Runs a command that must succeed.
pub(super) fn checked(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|e| format!("{command:?}: {e}"))?;
    success(command, status)
}

/// The standard output of a command that must succeed.
pub(super) fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    success(command, output.status)?;
    String::from_utf8(output.stdout).map_err(|e| e.to_string())
}

/// An error unless a command ended well.
pub(super) fn success(command: &Command, status: ExitStatus) -> Result<(), String> {
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}")) }
}
