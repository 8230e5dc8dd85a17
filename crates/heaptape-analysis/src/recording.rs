//! Where events and facts come from: a tape, or anything that can answer the same questions.

use heaptape_tape::{
    Bytes, CgroupMemory, Condition, Crash, EventIndex, Guarded, Header, LeakBlock, LeakScan,
    LiveSet, Memory, MemoryMap, Module, Moment, Nodes, Overwrite, Process, ProcessId, Sample,
    Snapshot, Stack, Take, Tape, TapeError, Thread, Totals, Unrecorded,
};
use std::ops::Range;

/// The memory of a process at a snapshot, as far as it is known.
pub trait ReadMemory {
    /// `len` bytes from an address on.
    fn read(&mut self, addr: u64, len: usize) -> Result<Bytes, TapeError>;
}

impl ReadMemory for Memory<'_> {
    fn read(&mut self, addr: u64, len: usize) -> Result<Bytes, TapeError> {
        self.read(addr, len)
    }
}

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
    /// The backtrace nodes.
    fn nodes(&self) -> &Nodes;
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
    /// The searches for leaks, in the order in which they were made.
    fn leak_scans(&self) -> &[LeakScan];
    /// What became of each block in a search, by address.
    fn leak_blocks(&self, scan: &LeakScan) -> Result<Vec<LeakBlock>, TapeError>;
    /// When contents were copied of a process, by time.
    fn snapshots(&self, process: ProcessId) -> Vec<Snapshot>;
    /// The memory of a process at one of its snapshots, as far as it lies in `addresses`: that of the blocks that
    /// were live then.
    fn memory_at(
        &self,
        snapshot: &Snapshot,
        addresses: Range<u64>,
    ) -> Result<Box<dyn ReadMemory + '_>, TapeError>;
    /// What threads were doing at crashes.
    fn stacks(&self) -> &[Stack];
    /// What the kernel said of the cgroups' memory.
    fn cgroups(&self) -> &[CgroupMemory];
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
    fn nodes(&self) -> &Nodes {
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
    fn leak_scans(&self) -> &[LeakScan] {
        self.leak_scans()
    }
    fn leak_blocks(&self, scan: &LeakScan) -> Result<Vec<LeakBlock>, TapeError> {
        self.leak_blocks(scan)
    }
    fn snapshots(&self, process: ProcessId) -> Vec<Snapshot> {
        self.snapshots(process).copied().collect()
    }
    fn memory_at(
        &self,
        snapshot: &Snapshot,
        addresses: Range<u64>,
    ) -> Result<Box<dyn ReadMemory + '_>, TapeError> {
        Ok(Box::new(self.memory_at(snapshot, addresses)?))
    }
    fn stacks(&self) -> &[Stack] {
        self.stacks()
    }
    fn cgroups(&self) -> &[CgroupMemory] {
        self.cgroups()
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
