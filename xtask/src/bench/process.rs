//! What programs cost.

use serde::Deserialize;
use std::fs;
use std::path::Path;

/// What `bench/workloads/measure.c` reports of a program and everything it started.
#[derive(Clone, Copy, Deserialize)]
pub(super) struct Cost {
    /// Nanoseconds from start to end, of the last of them.
    wall_ns: u64,
    /// Microseconds, user and system together.
    cpu_us: u64,
    /// KiB of resident memory of the largest of them at its peak.
    peak_kib: u64,
    /// Executed in user mode; 0 where they were not counted, or could not be.
    instructions: u64,
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

    pub(super) fn instructions(self) -> u64 {
        self.instructions
    }

    pub(super) fn peak_mib(self) -> f64 {
        self.peak_kib as f64 / 1024.0
    }
}
