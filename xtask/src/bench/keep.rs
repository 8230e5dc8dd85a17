//! What every bench keeps beside its numbers, the conditions that it ran under, and how results become files.

use crate::command::root;
use crate::provenance;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs;

/// When, of what, where and how often it was measured.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Conditions {
    /// Of the day it began, in UTC.
    pub(super) date: String,
    /// The commit it measured, marked if files were changed since.
    pub(super) commit: String,
    pub(super) machine: String,
    /// The load averages of one minute at the beginning and of fifteen at the end.
    pub(super) load: [f64; 2],
    pub(super) rounds: usize,
}

impl Conditions {
    /// Those of now.
    pub(super) fn begin(rounds: usize) -> Self {
        Self {
            date: provenance::date(),
            commit: provenance::commit(),
            machine: provenance::machine(),
            load: [load(0), 0.0],
            rounds,
        }
    }

    pub(super) fn end(&mut self) {
        self.load[1] = load(2);
    }

    /// When and of what.
    pub(super) fn made(&self) -> String {
        format!("{}, commit {}", self.date, self.commit)
    }

    /// Where, beside what other work, and how often.
    pub(super) fn surroundings(&self) -> String {
        format!(
            "{}; load average {:.1} at the beginning, {:.1} over the last 15 minutes; {} rounds.",
            self.machine, self.load[0], self.load[1], self.rounds
        )
    }
}

/// One of the three load averages.
pub(super) fn load(index: usize) -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').nth(index).and_then(|it| it.parse().ok()).unwrap_or_default()
}

/// Writes results to a file of the repository.
pub(super) fn write(file: &str, results: &impl Serialize) -> Result<(), String> {
    let text = serde_json::to_string_pretty(results).map_err(|e| e.to_string())?;
    fs::write(root().join(file), text + "\n").map_err(|e| format!("{file}: {e}"))
}

/// The other way; `None` where there is no such file.
pub(super) fn read<T: DeserializeOwned>(file: &str) -> Result<Option<T>, String> {
    let path = root().join(file);
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(path).map_err(|e| format!("{file}: {e}"))?;
    serde_json::from_str(&text).map(Some).map_err(|e| format!("{file}: {e}"))
}
