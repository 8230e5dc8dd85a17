//! How much memory, when, and by whom.

use crate::errors::{self, Errors, Suspects};
use crate::estimate::{Exact, Sampling, Variance, Weigh};
use crate::findings::{Evidence, Findings, Gathered, Watch};
use crate::growth::{self, Growth};
use crate::info::{CrashInfo, Lost, UnrecordedChild};
use crate::layout::{self, Layout};
use crate::leaks::LeakSummary;
use crate::metric::{Unit, Weight, Weights};
use crate::names::Names;
use crate::process::ProcessName;
use crate::ranking::Ranking;
use crate::recording::Recording;
use crate::replay::{self, Gather};
use crate::rss::{self, Residence, RssWatch};
use crate::series::{Series, SeriesBuilder};
use crate::sites::{SiteId, Sites};
use crate::sizes::Sizes;
use crate::temporary::Temporaries;
use crate::unresolved::Unresolved;
use heaptape_tape::{
    Action, Effect, Event, LiveBlock, LiveSet, Losses, Moment, Process, ProcessId, TapeError,
    Totals,
};
use rustc_hash::FxHashMap;
use serde::Serialize;

/// Buckets of [`Summary::series`].
pub const SERIES_BUCKETS: usize = 240;

/// Errors that are listed in a summary at most.
const ERRORS: usize = 10;

/// The summary of one process.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Which process.
    pub process: ProcessName,
    /// Processes on the tape, this one included.
    pub processes: u64,
    /// Its recorded threads.
    pub threads: u64,
    /// What could not be recorded of the tape's other processes.
    pub lost_elsewhere: Lost,
    /// Children of any process that could not be recorded.
    pub unrecorded: Vec<UnrecordedChild>,
    /// The fatal signal, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crash: Option<CrashInfo>,
    /// The moment of most live bytes.
    pub peak: Peak,
    /// What was live when the recording ended.
    pub never_freed: NeverFreed,
    /// Everything allocated.
    pub allocated: Allocated,
    /// Blocks freed before the same thread's next allocation; `None` for a sample, which does not hold that one.
    pub temporary: Option<Weight>,
    /// Live bytes over time.
    pub series: Series,
    /// Where the never freed blocks lie.
    pub layout: Layout,
    /// Frames of the allocations' backtraces that have no name.
    pub unresolved: Unresolved,
    /// Wrong frees.
    pub errors: errors::Findings,
    /// What was lost when it was last searched for leaks; `None`: it was not. Nothing is suppressed.
    pub leaks: Option<LeakSummary>,
    /// What the kernel said of its resident memory; `None`: nothing.
    pub residence: Option<Residence>,
    /// What stands out. JSON has it with sentences, which the report makes.
    #[serde(skip)]
    pub findings: Findings,
}

/// The first moment of most live bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Peak {
    /// When.
    pub time_ns: u64,
    /// What was live, and who allocated it.
    #[serde(flatten)]
    pub live: Ranking,
}

/// What was live when the recording ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NeverFreed {
    /// What, and who allocated it.
    #[serde(flatten)]
    pub live: Ranking,
    /// Of that: inherited from the parent over `fork`.
    pub inherited: Weight,
}

/// The acts of a process. Exact, but see [`Sizes`] for the median; of a sample, estimates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Allocated {
    /// Bytes of all allocations.
    pub bytes: u64,
    /// Allocation calls that returned a block; a realloc is one.
    pub calls: u64,
    /// Blocks freed; a realloc frees one.
    pub frees: u64,
    /// Allocation calls that failed.
    pub failed: u64,
    /// Frees of an address that was no live block.
    pub unmatched_frees: u64,
    /// Allocations at an address that was still live: its free was not seen.
    pub overlaid: u64,
    /// The median size; `None` when nothing was allocated.
    pub median_bytes: Option<u64>,
    /// The largest size; `None` when nothing was allocated. Of a sample, the largest that is on the tape.
    pub largest_bytes: Option<u64>,
    /// Standard errors of `bytes` and, as blocks, `calls`, where they are estimates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Weight>,
}

impl Summary {
    /// Reads the whole history of a process once, and winds to its peak.
    pub fn compute(
        recording: &dyn Recording,
        names: &dyn Names,
        process: &Process,
        top: usize,
    ) -> Result<Summary, TapeError> {
        Summary::with_errors(recording, names, process, top, ERRORS).map(|(summary, _)| summary)
    }

    /// The same, and what [`Errors::compute`] finds, at most `limit` of them listed: both by one reading.
    pub fn with_errors(
        recording: &dyn Recording,
        names: &dyn Names,
        process: &Process,
        top: usize,
        limit: usize,
    ) -> Result<(Summary, Errors), TapeError> {
        match Sampling::of(recording) {
            None => Summary::weighed_by(Exact, recording, names, process, (top, limit)),
            Some(sampling) => {
                Summary::weighed_by(sampling, recording, names, process, (top, limit))
            }
        }
    }

    fn weighed_by(
        weigh: impl Weigh,
        recording: &dyn Recording,
        names: &dyn Names,
        process: &Process,
        (top, limit): (usize, usize),
    ) -> Result<(Summary, Errors), TapeError> {
        let name = ProcessName::of(recording, process);
        let (live, totals, pass) = Pass::over(weigh, recording, names, &name)?;
        // What comes now has no other backtraces.
        let by_backtrace = Weights::BYTES_BY_BACKTRACE + Sites::BYTES_BY_BACKTRACE;
        let tables = pass.bytes() + pass.growth.places() * by_backtrace;
        recording.afford(live.bytes().saturating_add(tables))?;
        let mut sites = Sites::new(recording, names);
        let never_freed = NeverFreed {
            live: pass.never_freed(recording, &live, &mut sites, top)?,
            inherited: inherited(weigh, recording, process.id, &live),
        };
        let allocated = pass.allocated(&totals);
        let watched = pass.watch.finish();
        let mut gathered =
            Gathered::at_end(recording, process.id, &live, (&pass.growth, watched), &mut sites)?;
        recording.afford(live.bytes().saturating_add(tables))?;
        let mut layout = Layout::of(recording, process.id, &live, &mut sites);
        let whole = weigh.sampling().is_none();
        let at_end = whole.then(|| rss::at_end(recording, process.id, &layout.blocks)).flatten();
        let residence = pass.residence.finish(whole, at_end);
        // Two live sets and a list are more than one: a summary shows no single block.
        layout.blocks = Vec::new();
        drop(live);
        let at_peak = recording.live_at(process.id, Moment::Event(totals.peak_event))?;
        let weights = Weights::of_live(recording, &at_peak)?;
        let peak = Ranking::of(&weights, &mut sites, Unit::Bytes, top);
        gathered.at_peak(&weights, &at_peak, &mut sites);
        drop((at_peak, weights));
        let own_threads = recording.threads().iter().filter(|t| t.process == process.id).count();
        let longest = limit.max(ERRORS);
        let found = errors::Findings::of(recording, names, process, &pass.suspects, longest)?;
        let own = found.clone().cut(recording, ERRORS);
        let errors = Errors { process: name.clone(), findings: found.cut(recording, limit) };
        let mut summary = Summary {
            processes: recording.processes().len() as u64,
            threads: own_threads as u64,
            lost_elsewhere: lost_elsewhere(recording, process.id),
            unrecorded: UnrecordedChild::all(recording),
            crash: CrashInfo::of(recording, process.id),
            peak: Peak { time_ns: totals.peak_time.0.max(name.start_ns), live: peak },
            never_freed,
            allocated,
            temporary: whole.then_some(pass.temporary),
            layout,
            leaks: LeakSummary::last(recording, process.id),
            errors: own,
            unresolved: Unresolved::of(recording, names, pass.growth.backtraces())?,
            series: pass.series.finish(),
            residence,
            findings: Findings::default(),
            process: name,
        };
        summary.findings = Findings::of(&Evidence {
            sites: &sites,
            whole,
            totals: &totals,
            series: &summary.series,
            layout: &summary.layout,
            errors: &summary.errors,
            crash: summary.crash.as_ref(),
            leaks: summary.leaks,
            residence: summary.residence.as_ref(),
            failed: summary.allocated.failed,
            gathered: &gathered,
        });
        Ok((summary, errors))
    }
}

fn lost_elsewhere(recording: &dyn Recording, process: ProcessId) -> Lost {
    let others = recording.processes().iter().filter(|other| other.id != process);
    Lost::from(&others.fold(Losses::default(), |sum, other| sum.plus(&other.losses)))
}

/// Of the live blocks, those that another process allocated.
fn inherited(
    weigh: impl Weigh,
    recording: &dyn Recording,
    process: ProcessId,
    live: &LiveSet,
) -> Weight {
    let threads = recording.threads();
    let is_inherited = |block: &&LiveBlock| {
        threads.get(block.thread.0 as usize).is_some_and(|thread| thread.process != process)
    };
    let mut weight = Weight::default();
    live.blocks().filter(is_inherited).for_each(|block| weight += weigh.weigh(block));
    weight
}

/// What one pass over the events gathers.
struct Pass<'a, W> {
    weigh: W,
    /// Of a sample: the variance of what was allocated.
    variance: Variance,
    sizes: Sizes,
    temporaries: Temporaries,
    temporary: Weight,
    reallocs_failed: u64,
    series: SeriesBuilder,
    growth: Growth<W>,
    suspects: Suspects<'a>,
    watch: Watch<W>,
    residence: RssWatch<'a>,
}

impl<W: Weigh> Gather for Pass<'_, W> {
    #[inline]
    fn note(&mut self, event: &Event, effect: &Effect<&LiveBlock>, totals: &Totals) {
        self.watch.note(event, effect);
        self.residence.note(event.time, effect, totals);
        let (weigh, temporary, watch) = (self.weigh, &mut self.temporary, &mut self.watch);
        self.temporaries.note(event, effect, |block| {
            *temporary += weigh.weigh(block);
            watch.temporary(block);
        });
        self.growth.note(event.time.0, effect);
        self.suspects.note(event, effect);
        self.series.set(event.time.0, totals.live_bytes);
        self.reallocs_failed += u64::from(event.action == Action::ReallocFail);
        if event.action.begins_block() {
            match weigh.sampling() {
                None => self.sizes.add(event.size),
                Some(sampling) => self.add_sampled(sampling, effect),
            }
        }
    }

    fn bytes(&self) -> u64 {
        self.growth.bytes() + self.watch.bytes() + self.residence.bytes()
    }
}

impl<'a, W: Weigh> Pass<'a, W> {
    /// The live set in the end, and what was gathered on the way there.
    fn over(
        weigh: W,
        recording: &'a dyn Recording,
        names: &'a dyn Names,
        process: &ProcessName,
    ) -> Result<(LiveSet, Totals, Pass<'a, W>), TapeError> {
        let id = ProcessId(process.number);
        let mut live = recording.live_at_start(id)?;
        let (start, end) = (process.start_ns, process.end_ns);
        let mut at_start = Weight::default();
        live.blocks().for_each(|block| at_start += weigh.weigh(block));
        let mut pass = Pass {
            weigh,
            variance: Variance::default(),
            sizes: Sizes::default(),
            temporaries: Temporaries::default(),
            temporary: Weight::default(),
            reallocs_failed: 0,
            series: SeriesBuilder::new(start, end, SERIES_BUCKETS, at_start.bytes),
            growth: Growth::new(weigh, start, end, &live),
            suspects: Suspects::of(recording, names, id),
            watch: Watch::new(weigh, layout::page_bytes(recording)),
            residence: RssWatch::new(recording, id, live.blocks()),
        };
        let totals = replay::whole_weighed(weigh, recording, id, &mut live, &mut pass)?;
        for block in std::mem::take(&mut pass.temporaries).finish() {
            pass.temporary += weigh.weigh(&block);
            pass.watch.temporary(&block);
        }
        pass.growth.finish();
        Ok((live, totals, pass))
    }

    #[cold]
    fn add_sampled(&mut self, sampling: Sampling, effect: &Effect<&LiveBlock>) {
        if let Effect::Began(block, _) = effect {
            self.variance += sampling.variance(block.size);
            self.sizes.add_many(block.size, sampling.weight(block.size, block.id).blocks);
        }
    }

    fn allocated(&self, totals: &Totals) -> Allocated {
        Allocated {
            bytes: totals.alloc_bytes,
            calls: totals.allocs,
            frees: totals.frees,
            failed: totals.failed.saturating_add(self.reallocs_failed),
            unmatched_frees: totals.unmatched_frees,
            overlaid: totals.overlaid,
            median_bytes: self.sizes.median(),
            largest_bytes: self.sizes.largest(),
            error: self.weigh.sampling().map(|_| self.variance.error()),
        }
    }

    /// The never freed blocks by site, with their growth.
    fn never_freed(
        &self,
        recording: &dyn Recording,
        live: &LiveSet,
        sites: &mut Sites<'_>,
        top: usize,
    ) -> Result<Ranking, TapeError> {
        let weights = Weights::of_live(recording, live)?;
        let mut ranking = Ranking::of(&weights, sites, Unit::Bytes, top);
        let shown: FxHashMap<SiteId, usize> = (0..)
            .zip(&ranking.sites)
            .map(|(rank, entry)| (sites.of(entry.backtrace), rank))
            .collect();
        let series = self
            .growth
            .sums(ranking.sites.len(), |backtrace| shown.get(&sites.of(backtrace)).copied());
        for (entry, series) in ranking.sites.iter_mut().zip(series) {
            entry.growing = Some(growth::only_grew(&series));
        }
        Ok(ranking)
    }
}
