//! What a bench found, as numbers: kept in `bench/results.json`, from which every table and plot is made.

use super::keep::{self, Conditions};
use super::samples::{Ratio, median, minimum, overhead_ratio};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const FILE: &str = "bench/results.json";

/// How a workload is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    /// Alone.
    Bare,
    /// With a library that counts calls (`bench/workloads/count.c`).
    Count,
    Heaptape,
    /// By `heaptape run --sample` ([`SAMPLE`]).
    Sampled,
    Heaptrack,
}

/// What a sample is made of: the size that the README advises.
pub(super) const SAMPLE: &str = "512K";

/// So many times the least that rounds take may the middle one take where they agree.
const STEADY: f64 = 1.25;

impl Mode {
    pub(super) const ALL: [Self; 5] =
        [Self::Bare, Self::Count, Self::Heaptape, Self::Sampled, Self::Heaptrack];
}

/// What is measured in each round.
#[derive(Clone, Copy)]
pub(super) enum Metric {
    /// CPU time of the program alone.
    AppCpu,
    /// CPU time of the program and the tool.
    TotalCpu,
    /// From its start until the program has ended.
    AppWall,
    /// From start to the end of all, the recording written.
    Wall,
}

/// One whole bench.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Results {
    #[serde(flatten)]
    pub(super) conditions: Conditions,
    /// What is missing, and why.
    pub(super) notes: Vec<String>,
    /// What failed beside the workloads.
    pub(super) faults: Vec<String>,
    pub(super) workloads: Vec<Row>,
    pub(super) winding: Vec<Winding>,
    pub(super) stages: Vec<Stage>,
}

/// One workload.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Row {
    pub(super) name: String,
    /// Of the last round's tape.
    pub(super) events: u64,
    /// Backtraces that were cut at a bound, in the last round's tape.
    pub(super) truncated_backtraces: u64,
    /// How long the program's threads waited for the recording, in each round, in milliseconds.
    pub(super) waited_ms: Vec<f64>,
    /// Backtraces that were compared with a full walk and with libgcc's, in runs of their own; 0 for none.
    pub(super) backtraces_checked: u64,
    /// Calls that the counting library saw, as a second opinion on the events; 0 if it did not report.
    pub(super) counted_calls: u64,
    /// What was not right with heaptape: the bench fails.
    pub(super) faults: Vec<String>,
    /// What was not right with the others.
    pub(super) remarks: Vec<String>,
    pub(super) modes: BTreeMap<Mode, Measured>,
}

/// A workload under one mode: a number for each round, in seconds unless named otherwise.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Measured {
    pub(super) app_cpu: Vec<f64>,
    pub(super) total_cpu: Vec<f64>,
    pub(super) app_wall: Vec<f64>,
    pub(super) wall: Vec<f64>,
    /// Reading the recording and printing what it holds.
    pub(super) analysis: Vec<f64>,
    /// CPU time of an allocation with its free, as the workload itself measured it, in nanoseconds.
    pub(super) pair_ns: Vec<f64>,
    pub(super) app_peak_mib: f64,
    /// Of all processes of the tool together.
    pub(super) tool_peak_mib: f64,
    /// Of the recording, on disk.
    pub(super) file_bytes: u64,
}

impl Measured {
    pub(super) fn samples(&self, metric: Metric) -> &[f64] {
        match metric {
            Metric::AppCpu => &self.app_cpu,
            Metric::TotalCpu => &self.total_cpu,
            Metric::AppWall => &self.app_wall,
            Metric::Wall => &self.wall,
        }
    }
}

/// Finding moments of a long tape, in bounded memory.
#[derive(Serialize, Deserialize)]
pub(super) struct Winding {
    pub(super) stream: String,
    pub(super) events: u64,
    pub(super) file_bytes: u64,
    /// The moment and the seconds it took to get there.
    pub(super) moments: Vec<(String, f64)>,
    pub(super) summary_seconds: f64,
    pub(super) summary_peak_mib: f64,
}

/// A stage of the way of an event, measured alone.
#[derive(Serialize, Deserialize)]
pub(super) struct Stage {
    /// The path of the benchmark: crate, function, argument.
    pub(super) name: String,
    pub(super) fastest_ns: f64,
    pub(super) median_ns: f64,
    /// At its fastest, where the benchmark counts items.
    pub(super) ns_per_item: Option<f64>,
}

impl Row {
    /// The lowest of a metric under a mode.
    pub(super) fn best(&self, mode: Mode, metric: Metric) -> Option<f64> {
        minimum(self.modes.get(&mode)?.samples(metric))
    }

    /// How many times what the program takes alone.
    pub(super) fn times_bare(&self, mode: Mode, metric: Metric) -> Option<f64> {
        Some(self.best(mode, metric)? / self.best(Mode::Bare, metric)?)
    }

    /// Whether the rounds of the program alone agree: else what it takes is luck, and a few percent more say nothing.
    pub(super) fn is_steady(&self, metric: Metric) -> bool {
        let bare = self.modes.get(&Mode::Bare).map(|it| it.samples(metric)).unwrap_or_default();
        let (least, middle) = (minimum(bare), median(bare));
        least.zip(middle).is_some_and(|(least, middle)| middle <= STEADY * least)
    }

    /// Our overhead as a share of heaptrack's.
    pub(super) fn overhead_ratio(&self, metric: Metric) -> Option<Ratio> {
        let samples = |mode| self.modes.get(&mode).map(|it| it.samples(metric));
        overhead_ratio(samples(Mode::Bare)?, samples(Mode::Heaptape)?, samples(Mode::Heaptrack)?)
    }

    /// Bytes of the recording for each event of the tape, which is the same work for both tools.
    pub(super) fn bytes_per_event(&self, mode: Mode) -> Option<f64> {
        let bytes = self.modes.get(&mode)?.file_bytes;
        (bytes > 0 && self.events > 0).then(|| bytes as f64 / self.events as f64)
    }

    /// What an allocation with its free costs more than alone, in nanoseconds of CPU time.
    pub(super) fn added_pair_ns(&self, mode: Mode) -> Option<f64> {
        let pair = |mode| minimum(&self.modes.get(&mode)?.pair_ns);
        Some(pair(mode)? - pair(Mode::Bare)?)
    }

    pub(super) fn named_remarks(&self) -> impl Iterator<Item = String> {
        self.remarks.iter().map(|remark| format!("{}: {remark}", self.name))
    }
}

impl Results {
    /// Nothing yet, but where and when.
    pub(super) fn begin(rounds: usize) -> Self {
        Self { conditions: Conditions::begin(rounds), ..Self::default() }
    }

    /// Everything that makes the bench fail.
    pub(super) fn all_faults(&self) -> Vec<String> {
        let of_rows = self
            .workloads
            .iter()
            .flat_map(|row| row.faults.iter().map(|fault| format!("{}: {fault}", row.name)));
        self.faults.iter().cloned().chain(of_rows).collect()
    }

    pub(super) fn row(&self, name: &str) -> Option<&Row> {
        self.workloads.iter().find(|it| it.name == name)
    }

    pub(super) fn write(&self) -> Result<(), String> {
        keep::write(FILE, self)
    }

    pub(super) fn read() -> Result<Self, String> {
        keep::read(FILE)?.ok_or_else(|| format!("{FILE} is missing"))
    }
}
