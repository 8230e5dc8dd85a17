//! Where events and facts come from: a tape, or anything that can answer the same questions.

use heaptape_tape::{
    BacktraceNode, Condition, Crash, EventIndex, Guarded, Header, LiveSet, MemoryMap, Module,
    Moment, Overwrite, Process, ProcessId, Sample, Take, Tape, TapeError, Thread, Totals,
    Unrecorded,
};
use std::ops::Range;

/// A recording that can be wound to any moment.
pub trait Recording {
    /// What the launcher was asked to do.
    fn header(&self) -> &Header;
    /// What is wrong with the recording.
    fn condition(&self) -> &Condition;
    /// The processes, by id.
    fn processes(&self) -> &[Process];
    /// The threads, by id.
    fn threads(&self) -> &[Thread];
    /// The modules, by id.
    fn modules(&self) -> &[Module];
    /// The backtrace nodes: `nodes()[id - 1]`.
    fn nodes(&self) -> &[BacktraceNode];
    /// The memory samples of a process, by time.
    fn samples(&self, process: ProcessId) -> &[Sample];
    /// Children that could not be recorded.
    fn unrecorded(&self) -> &[Unrecorded];
    /// Fatal signals.
    fn crashes(&self) -> &[Crash];
    /// Overwrites that were found, in the order in which they were.
    fn overwrites(&self) -> &[Overwrite];
    /// How the blocks of processes were guarded, where they were to be.
    fn guarded(&self) -> &[Guarded];
    /// The address spaces of processes at some moments, by time.
    fn memory_maps(&self) -> &[MemoryMap];
    /// Number of events of a process.
    fn event_count(&self, process: ProcessId) -> u64;
    /// Totals of a process's own events (of a forked child: without inherited blocks).
    fn totals(&self, process: ProcessId) -> Totals;
    /// Hands a range of the events of a process to `take`, in order and many at once, until it breaks.
    /// Fails where the first event is missing.
    fn runs(
        &self,
        process: ProcessId,
        range: Range<EventIndex>,
        take: &mut Take<'_>,
    ) -> Result<(), TapeError>;
    /// Whether a view can have so many bytes of memory, beside what the recording takes itself.
    fn afford(&self, bytes: u64) -> Result<(), TapeError>;
    /// The live set of a process at its birth: empty, or the blocks inherited over fork.
    fn live_at_start(&self, process: ProcessId) -> Result<LiveSet, TapeError>;
    /// The live set of a process at a moment.
    fn live_at(&self, process: ProcessId, moment: Moment) -> Result<LiveSet, TapeError>;
}

impl Recording for Tape {
    fn header(&self) -> &Header {
        self.header()
    }
    fn condition(&self) -> &Condition {
        self.condition()
    }
    fn processes(&self) -> &[Process] {
        self.processes()
    }
    fn threads(&self) -> &[Thread] {
        self.threads()
    }
    fn modules(&self) -> &[Module] {
        self.modules()
    }
    fn nodes(&self) -> &[BacktraceNode] {
        self.nodes()
    }
    fn samples(&self, process: ProcessId) -> &[Sample] {
        self.samples(process)
    }
    fn unrecorded(&self) -> &[Unrecorded] {
        self.unrecorded()
    }
    fn crashes(&self) -> &[Crash] {
        self.crashes()
    }
    fn overwrites(&self) -> &[Overwrite] {
        self.overwrites()
    }
    fn guarded(&self) -> &[Guarded] {
        self.guarded()
    }
    fn memory_maps(&self) -> &[MemoryMap] {
        self.memory_maps()
    }
    fn event_count(&self, process: ProcessId) -> u64 {
        self.event_count(process)
    }
    fn totals(&self, process: ProcessId) -> Totals {
        self.totals(process)
    }
    fn runs(
        &self,
        process: ProcessId,
        range: Range<EventIndex>,
        take: &mut Take<'_>,
    ) -> Result<(), TapeError> {
        self.runs(process, range, take)
    }
    fn afford(&self, bytes: u64) -> Result<(), TapeError> {
        self.afford(bytes)
    }
    fn live_at_start(&self, process: ProcessId) -> Result<LiveSet, TapeError> {
        self.live_at_start(process)
    }
    fn live_at(&self, process: ProcessId, moment: Moment) -> Result<LiveSet, TapeError> {
        self.live_at(process, moment)
    }
}
