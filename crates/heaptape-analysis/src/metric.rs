//! What is measured, and how much of it each backtrace has.

use crate::moment::{Instant, When};
use crate::recording::Recording;
use crate::temporary::Temporaries;
use heaptape_tape::{BacktraceId, LiveSet, ProcessId, TapeError};
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::ops::AddAssign;
use std::str::FromStr;

/// Bytes and blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Weight {
    /// Bytes asked for.
    pub bytes: u64,
    /// Blocks.
    pub blocks: u64,
}

impl Weight {
    /// One block of `bytes`.
    pub fn block(bytes: u64) -> Weight {
        Weight { bytes, blocks: 1 }
    }
}

impl AddAssign for Weight {
    fn add_assign(&mut self, other: Weight) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.blocks += other.blocks;
    }
}

/// Weights by backtrace, and their sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weights {
    by_backtrace: FxHashMap<BacktraceId, Weight>,
    total: Weight,
}

impl Weights {
    /// Adds to a backtrace.
    pub fn add(&mut self, backtrace: BacktraceId, weight: Weight) {
        *self.by_backtrace.entry(backtrace).or_default() += weight;
        self.total += weight;
    }

    /// The blocks of a live set.
    pub fn of_live(live: &LiveSet) -> Weights {
        let mut weights = Weights::default();
        for block in live.blocks() {
            weights.add(block.backtrace, Weight::block(block.size));
        }
        weights
    }

    /// The sum over all backtraces.
    pub fn total(&self) -> Weight {
        self.total
    }

    /// The weights, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&BacktraceId, &Weight)> {
        self.by_backtrace.iter()
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Blocks live at a moment.
    Live(When),
    /// Blocks live at the first moment of most live bytes.
    Peak,
    /// Blocks never freed: live when the recording of the process ended.
    Leaked,
    /// Everything allocated, freed or not, by bytes.
    Allocated,
    /// Everything allocated, freed or not, by number of calls.
    Calls,
    /// Blocks freed before the same thread's next allocation.
    Temporary,
}

/// Which half of a [`Weight`] decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Bytes asked for.
    Bytes,
    /// Blocks.
    Blocks,
}

impl Unit {
    /// That half.
    pub fn of(self, weight: &Weight) -> u64 {
        match self {
            Unit::Bytes => weight.bytes,
            Unit::Blocks => weight.blocks,
        }
    }
}

impl Metric {
    /// The words [`MetricAndUnit`] is parsed from, for help and errors.
    pub const WORDS: &'static str = "live, peak, leaked, allocated, calls, temporary";

    /// Whether the whole history must be read.
    fn is_cumulative(self) -> bool {
        matches!(self, Metric::Allocated | Metric::Calls | Metric::Temporary)
    }

    /// Measures: the weights by backtrace, and the moment they were taken (`None` for those over the
    /// whole history).
    pub fn measure(
        self,
        recording: &dyn Recording,
        process: ProcessId,
    ) -> Result<(Weights, Option<Instant>), TapeError> {
        let when = match self {
            Metric::Live(when) => when,
            Metric::Peak => When::Peak,
            _ => When::End,
        };
        if self.is_cumulative() {
            return Ok((self.accumulate(recording, process)?, None));
        }
        let instant = when.resolve(recording, process)?;
        let live = recording.live_at(process, instant.moment)?;
        Ok((Weights::of_live(&live), Some(instant)))
    }

    fn accumulate(
        self,
        recording: &dyn Recording,
        process: ProcessId,
    ) -> Result<Weights, TapeError> {
        let mut weights = Weights::default();
        if self != Metric::Temporary {
            for event in recording.events(process, 0) {
                let event = event?;
                if event.action.begins_block() {
                    weights.add(event.backtrace, Weight::block(event.size));
                }
            }
            return Ok(weights);
        }
        let mut live = recording.live_at_start(process)?;
        let mut temporaries = Temporaries::default();
        for event in recording.events(process, 0) {
            let event = event?;
            let effect = live.apply(&event);
            temporaries.note(&event, &effect, |block| {
                weights.add(block.backtrace, Weight::block(block.size));
            });
        }
        for block in temporaries.finish() {
            weights.add(block.backtrace, Weight::block(block.size));
        }
        Ok(weights)
    }
}

/// A metric as a word names it: pprof's words also say the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricAndUnit {
    /// What is measured.
    pub metric: Metric,
    /// In what.
    pub unit: Unit,
}

impl FromStr for MetricAndUnit {
    type Err = String;

    /// Takes our words, heaptrack's cost types and pprof's sample types.
    fn from_str(word: &str) -> Result<MetricAndUnit, String> {
        let (metric, unit) = match word {
            "live" | "inuse_space" => (Metric::Live(When::End), Unit::Bytes),
            "inuse_objects" => (Metric::Live(When::End), Unit::Blocks),
            "peak" => (Metric::Peak, Unit::Bytes),
            "leaked" => (Metric::Leaked, Unit::Bytes),
            "allocated" | "alloc" | "alloc_space" => (Metric::Allocated, Unit::Bytes),
            "calls" | "allocations" | "alloc_objects" => (Metric::Calls, Unit::Blocks),
            "temporary" => (Metric::Temporary, Unit::Blocks),
            _ => return Err(format!("expected one of: {}", Metric::WORDS)),
        };
        Ok(MetricAndUnit { metric, unit })
    }
}
