//! What was found, as numbers: `bench/guard.json`, from which every table is made.

use super::modes::Mode;
use crate::bench::keep::{self, Conditions};
use crate::bench::samples::minimum;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const FILE: &str = "bench/guard.json";

/// One whole run.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::bench) struct Kept {
    #[serde(flatten)]
    pub(super) conditions: Conditions,
    /// What was compared with what, what is missing, and why.
    pub(super) notes: Vec<String>,
    pub(super) programs: Vec<Row>,
    /// Where instructions could be counted.
    pub(super) unused: Vec<Unused>,
}

/// A program in all modes.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) modes: BTreeMap<Mode, Measured>,
    /// What was not right with heaptape.
    pub(super) faults: Vec<String>,
    /// What was not right with the others.
    pub(super) remarks: Vec<String>,
}

/// A program in one mode.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Measured {
    /// Seconds from start to the end of all, in each round.
    pub(super) wall: Vec<f64>,
    /// Seconds of CPU time of the program and the tool, in each round.
    pub(super) cpu: Vec<f64>,
    /// Resident, of the program with what the tool put into it.
    pub(super) app_peak_mib: f64,
    /// Resident, of heaptape's own processes together.
    pub(super) tool_peak_mib: f64,
    pub(super) guarded: u64,
    pub(super) unguarded: u64,
    /// By which blocks were guarded, as `heaptape errors --json` names it.
    pub(super) mechanism: Option<String>,
}

/// Instructions that a program executes in user mode: the fewest of several runs.
#[derive(Serialize, Deserialize)]
pub(super) struct Unused {
    pub(super) name: String,
    /// On the tape: allocations and frees.
    pub(super) events: u64,
    pub(super) bare: u64,
    /// Recorded by heaptape as it was before any of this was there.
    pub(super) before: Option<u64>,
    /// Recorded by today's, doing as much: no frees' backtraces, no leak search.
    pub(super) alike: u64,
    /// The same with the leak search.
    pub(super) with_leaks: u64,
    /// As it comes.
    pub(super) default: u64,
}

impl Measured {
    /// Of the program and the tool.
    pub(super) fn peak_mib(&self) -> f64 {
        self.app_peak_mib + self.tool_peak_mib
    }
}

impl Row {
    /// One number of a mode, and how many times that of the program alone; `None` where it was not measured.
    pub(super) fn beside_bare(
        &self,
        mode: Mode,
        number: impl Fn(&Measured) -> Option<f64>,
    ) -> Option<(f64, f64)> {
        let of = |mode| number(self.modes.get(&mode)?);
        Some((of(mode)?, of(mode)? / of(Mode::Bare)?))
    }
}

/// The least of all rounds.
pub(super) fn wall(measured: &Measured) -> Option<f64> {
    minimum(&measured.wall)
}

/// The least of all rounds.
pub(super) fn cpu(measured: &Measured) -> Option<f64> {
    minimum(&measured.cpu)
}

/// Of the program and the tool.
pub(super) fn peak(measured: &Measured) -> Option<f64> {
    Some(measured.peak_mib())
}

impl Unused {
    /// What is more than this many times what it was has a cost: runs differ by less.
    const NOISE: f64 = 1.002;

    fn fault(&self) -> Option<String> {
        let before = self.before?;
        (self.alike as f64 > before as f64 * Self::NOISE).then(|| {
            let (name, alike) = (&self.name, self.alike);
            format!("{name}: {alike} instructions where {before} were enough before")
        })
    }
}

impl Kept {
    /// Nothing yet, but where and when.
    pub(super) fn begin(rounds: usize) -> Self {
        Self { conditions: Conditions::begin(rounds), ..Self::default() }
    }

    pub(super) fn end(&mut self) {
        self.conditions.end();
        let processors = std::thread::available_parallelism().map_or(1, |it| it.get());
        if self.conditions.load[1] > processors as f64 {
            self.notes.push(
                "the machine had other work to do: wall times say little, CPU times more".into(),
            );
        }
    }

    /// Everything that makes the bench fail.
    pub(super) fn all_faults(&self) -> Vec<String> {
        let of_programs = self
            .programs
            .iter()
            .flat_map(|row| row.faults.iter().map(|fault| format!("{}: {fault}", row.name)));
        of_programs.chain(self.unused.iter().filter_map(Unused::fault)).collect()
    }

    pub(super) fn write(&self) -> Result<(), String> {
        keep::write(FILE, self)
    }

    /// `None` if it was never kept.
    pub(in crate::bench) fn read() -> Result<Option<Self>, String> {
        keep::read(FILE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_more_than_before_is_a_fault() {
        let unused = |before, alike| Unused {
            name: "tree".into(),
            events: 10,
            bare: 500,
            before,
            alike,
            with_leaks: alike,
            default: 2_000_000,
        };
        assert_eq!(unused(Some(1_000_000), 1_001_000).fault(), None);
        assert_eq!(unused(None, 1_010_000).fault(), None);
        let why = unused(Some(1_000_000), 1_010_000).fault().unwrap();
        assert_eq!(why, "tree: 1010000 instructions where 1000000 were enough before");
    }
}
