//! A tape that shows how far it has been read, where that takes long and somebody looks.

use crate::terminal;
use heaptape_analysis::Recording;
use heaptape_analysis::recording::ReadMemory;
use heaptape_tape::{
    CgroupMemory, Condition, Crash, EventIndex, Guarded, Header, LeakBlock, LeakScan, LiveSet,
    MemoryMap, Module, Moment, Nodes, Overwrite, Process, ProcessId, Sample, Snapshot, Stack, Take,
    Tape, TapeError, Thread, Totals, Unrecorded,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::ops::Range;
use std::time::{Duration, Instant};

/// Reads that are done sooner show nothing.
const PATIENCE: Duration = Duration::from_millis(500);
/// Times a second that the bar is drawn.
const REDRAWS: u8 = 10;

/// A tape whose long reads show a bar on standard error.
pub(crate) struct WatchedTape(pub(crate) Tape);

impl Recording for WatchedTape {
    fn header(&self) -> &Header {
        self.0.header()
    }
    fn condition(&self) -> &Condition {
        self.0.condition()
    }
    fn processes(&self) -> &[Process] {
        self.0.processes()
    }
    fn threads(&self) -> &[Thread] {
        self.0.threads()
    }
    fn modules(&self) -> &[Module] {
        self.0.modules()
    }
    fn nodes(&self) -> &Nodes {
        self.0.nodes()
    }
    fn samples(&self, process: ProcessId) -> &[Sample] {
        self.0.samples(process)
    }
    fn unrecorded(&self) -> &[Unrecorded] {
        self.0.unrecorded()
    }
    fn crashes(&self) -> &[Crash] {
        self.0.crashes()
    }
    fn overwrites(&self) -> &[Overwrite] {
        self.0.overwrites()
    }
    fn guarded(&self) -> &[Guarded] {
        self.0.guarded()
    }
    fn memory_maps(&self) -> &[MemoryMap] {
        self.0.memory_maps()
    }
    fn leak_scans(&self) -> &[LeakScan] {
        self.0.leak_scans()
    }
    fn leak_blocks(&self, scan: &LeakScan) -> Result<Vec<LeakBlock>, TapeError> {
        self.0.leak_blocks(scan)
    }
    fn snapshots(&self, process: ProcessId) -> Vec<Snapshot> {
        self.0.snapshots(process).copied().collect()
    }
    fn memory_at(
        &self,
        snapshot: &Snapshot,
        addresses: Range<u64>,
    ) -> Result<Box<dyn ReadMemory + '_>, TapeError> {
        Ok(Box::new(self.0.memory_at(snapshot, addresses)?))
    }
    fn stacks(&self) -> &[Stack] {
        self.0.stacks()
    }
    fn cgroups(&self) -> &[CgroupMemory] {
        self.0.cgroups()
    }
    fn event_count(&self, process: ProcessId) -> u64 {
        self.0.event_count(process)
    }
    fn totals(&self, process: ProcessId) -> Totals {
        self.0.totals(process)
    }
    fn runs(
        &self,
        process: ProcessId,
        range: Range<EventIndex>,
        take: &mut Take<'_>,
    ) -> Result<(), TapeError> {
        if !terminal::shows_progress() {
            return self.0.runs(process, range, take);
        }
        let end = range.end.min(self.0.event_count(process));
        let mut watch = Watch::new(end.saturating_sub(range.start));
        self.0.runs(process, range, &mut |events| {
            let taken = take(events);
            watch.more(events.len() as u64);
            taken
        })
    }
    fn afford(&self, bytes: u64) -> Result<(), TapeError> {
        self.0.afford(bytes)
    }
    fn live_at_start(&self, process: ProcessId) -> Result<LiveSet, TapeError> {
        self.0.live_at_start(process)
    }
    fn live_at(&self, process: ProcessId, moment: Moment) -> Result<LiveSet, TapeError> {
        self.0.live_at(process, moment)
    }
}

/// Counts events; shows the bar once patience is over, clears it when dropped.
struct Watch {
    total: u64,
    done: u64,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Watch {
    fn new(total: u64) -> Watch {
        Watch { total, done: 0, started: Instant::now(), bar: None }
    }

    fn more(&mut self, events: u64) {
        self.done += events;
        if self.bar.is_none() && self.started.elapsed() >= PATIENCE {
            self.bar = Some(bar(self.total, self.done));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: u64, done: u64) -> ProgressBar {
    let bar =
        ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(REDRAWS));
    let template = "reading {percent:>3} % {bar:10} {human_pos} of {human_len} events  {eta} left";
    let style = ProgressStyle::with_template(template).expect("the template is well-formed");
    bar.set_style(style.progress_chars("##-"));
    bar.set_position(done);
    // What was done before the bar appeared says nothing about the speed from now on.
    bar.reset_eta();
    bar
}
