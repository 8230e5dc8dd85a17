//! What is measured, and how much of it each backtrace has.

use crate::estimate::{Sampling, Variance};
use crate::moment::{Instant, When};
use crate::recording::Recording;
use crate::replay;
use crate::table::{BETWEEN_LOOKS, Table};
use crate::temporary::Temporaries;
use heaptape_tape::{
    BacktraceId, BlockId, Effect, Event, LiveBlock, LiveSet, ProcessId, TapeError, Totals,
};
use serde::Serialize;
use std::ops::{AddAssign, ControlFlow};
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
        self.blocks = self.blocks.saturating_add(other.blocks);
    }
}

/// Weights by backtrace, and their sum; of a sample, estimates.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    by_backtrace: Table<BacktraceId, Weight>,
    total: Weight,
    sample: Option<Sampling>,
    /// Of a sample, the variance of each estimate.
    variances: Table<BacktraceId, Variance>,
}

impl Weights {
    /// What it takes for a backtrace, at most.
    pub(crate) const BYTES_BY_BACKTRACE: u64 = (size_of::<Weight>() + size_of::<Variance>()) as u64;

    /// Nothing yet of a recording.
    pub fn new(recording: &dyn Recording) -> Weights {
        Weights { sample: Sampling::of(recording), ..Weights::default() }
    }

    /// Adds a block of that size and number to a backtrace.
    #[inline]
    pub fn add(&mut self, backtrace: BacktraceId, size: u64, id: BlockId) {
        let weight = match self.sample {
            None => Weight::block(size),
            Some(sampling) => self.estimate(sampling, backtrace, size, id),
        };
        *self.by_backtrace.of(backtrace) += weight;
        self.total += weight;
    }

    #[cold]
    #[inline(never)]
    fn estimate(
        &mut self,
        sampling: Sampling,
        backtrace: BacktraceId,
        size: u64,
        id: BlockId,
    ) -> Weight {
        *self.variances.of(backtrace) += sampling.variance(size);
        sampling.weight(size, id)
    }

    /// The blocks of a live set. Fails as soon as memory would not do.
    pub fn of_live(recording: &dyn Recording, live: &LiveSet) -> Result<Weights, TapeError> {
        let mut weights = Weights::new(recording);
        for (block, number) in live.blocks().zip(1_usize..) {
            weights.add(block.backtrace, block.size, block.id);
            if number.is_multiple_of(BETWEEN_LOOKS) {
                recording.afford(live.bytes().saturating_add(weights.bytes()))?;
            }
        }
        Ok(weights)
    }

    /// How many backtraces it has room for.
    pub(crate) fn places(&self) -> u64 {
        self.by_backtrace.places()
    }

    /// The variance of the weight of a backtrace; `None` where weights are exact.
    pub fn variance(&self, backtrace: BacktraceId) -> Option<Variance> {
        self.sample?;
        Some(self.variances.get(backtrace).copied().unwrap_or_default())
    }

    /// The standard error of the sum; `None` where it is exact.
    pub fn error(&self) -> Option<Weight> {
        self.sample?;
        let mut sum = Variance::default();
        self.variances.iter().for_each(|(_, variance)| sum += *variance);
        Some(sum.error())
    }

    /// The sum over all backtraces.
    pub fn total(&self) -> Weight {
        self.total
    }

    /// The backtraces that have some, by id.
    pub fn iter(&self) -> impl Iterator<Item = (BacktraceId, Weight)> + '_ {
        let some = self.by_backtrace.iter().filter(|(_, weight)| weight.blocks > 0);
        some.map(|(backtrace, weight)| (backtrace, *weight))
    }

    /// Bytes of memory that it takes: 16 a backtrace; of a sample, 32.
    pub(crate) fn bytes(&self) -> u64 {
        self.by_backtrace.bytes() + self.variances.bytes()
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
        Ok((Weights::of_live(recording, &live)?, Some(instant)))
    }

    fn accumulate(
        self,
        recording: &dyn Recording,
        process: ProcessId,
    ) -> Result<Weights, TapeError> {
        if self == Metric::Temporary {
            return temporary(recording, process);
        }
        let mut weights = Weights::new(recording);
        let mut id = BlockId(0);
        recording.runs(process, 0..recording.event_count(process), &mut |events| {
            for some in events.chunks(BETWEEN_LOOKS) {
                for event in some.iter().filter(|event| event.action.begins_block()) {
                    id.0 += 1;
                    weights.add(event.backtrace, event.size, id);
                }
                recording.afford(weights.bytes())?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(weights)
    }
}

fn temporary(recording: &dyn Recording, process: ProcessId) -> Result<Weights, TapeError> {
    let mut live = recording.live_at_start(process)?;
    let mut temporaries = Temporaries::default();
    let mut weights = Weights::new(recording);
    let mut add = |block: &LiveBlock| weights.add(block.backtrace, block.size, block.id);
    replay::whole(
        recording,
        process,
        &mut live,
        &mut |event: &Event, effect: &Effect<&LiveBlock>, _: &Totals| {
            temporaries.note(event, effect, &mut add);
        },
    )?;
    temporaries.finish().for_each(|block| add(&block));
    Ok(weights)
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
