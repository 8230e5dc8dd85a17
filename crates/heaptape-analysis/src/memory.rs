//! A recording held in memory: for small imports and for tests.
//!
//! Winding it replays from the start, which is slow and obviously right.

use crate::recording::{ReadMemory, Recording};
use heaptape_tape::{
    BacktraceId, BacktraceNode, Bytes, CgroupMemory, Condition, Crash, Event, EventIndex, Guarded,
    Header, LeakBlock, LeakScan, LiveSet, MemoryMap, Module, Moment, Nodes, Overwrite, Process,
    ProcessId, Run, Sample, Snapshot, Stack, Take, TapeError, Thread, Totals, Unrecorded,
};
use std::collections::BTreeMap;
use std::ops::Range;

/// Everything a recording can hold, as plain public data.
#[derive(Clone, Debug, Default)]
pub struct MemoryRecording {
    /// What the launcher was asked to do.
    pub header: Header,
    /// What is wrong with it.
    pub condition: Condition,
    /// The processes, by id.
    pub processes: Vec<Process>,
    /// The threads, by id.
    pub threads: Vec<Thread>,
    /// The modules, by id.
    pub modules: Vec<Module>,
    /// The backtrace nodes.
    pub nodes: Nodes,
    /// The memory samples.
    pub samples: BTreeMap<ProcessId, Vec<Sample>>,
    /// Children that could not be recorded.
    pub unrecorded: Vec<Unrecorded>,
    /// Fatal signals.
    pub crashes: Vec<Crash>,
    /// Overwrites that were found.
    pub overwrites: Vec<Overwrite>,
    /// How blocks were guarded.
    pub guarded: Vec<Guarded>,
    /// The address spaces at some moments, by time.
    pub memory_maps: Vec<MemoryMap>,
    /// The searches for leaks.
    pub leak_scans: Vec<LeakScan>,
    /// What each found, by number.
    pub leak_blocks: Vec<Vec<LeakBlock>>,
    /// When contents were copied, by time, and the bytes that are known of each, by address; they do not overlap.
    pub snapshots: Vec<(Snapshot, BTreeMap<u64, Vec<u8>>)>,
    /// What threads were doing at crashes.
    pub stacks: Vec<Stack>,
    /// What the kernel said of the cgroups' memory.
    pub cgroups: Vec<CgroupMemory>,
    /// The events.
    pub events: BTreeMap<ProcessId, Vec<Event>>,
}

impl MemoryRecording {
    /// Adds a node and returns its id.
    pub fn add_node(&mut self, node: BacktraceNode) -> BacktraceId {
        self.nodes.push(node)
    }

    fn own_events(&self, process: ProcessId) -> &[Event] {
        self.events.get(&process).map_or(&[], Vec::as_slice)
    }
}

/// The bytes of one snapshot.
struct Known<'a>(Option<&'a BTreeMap<u64, Vec<u8>>>);

impl ReadMemory for Known<'_> {
    fn read(&mut self, addr: u64, len: usize) -> Result<Bytes, TapeError> {
        let byte = |at: u64| {
            let (start, bytes) = self.0?.range(..=at).next_back()?;
            bytes.get(usize::try_from(at - start).ok()?).copied()
        };
        let mut out = Bytes { addr, bytes: vec![0; len], holes: Vec::new() };
        for at in 0..len {
            match (byte(addr + at as u64), out.holes.last_mut()) {
                (Some(known), _) => out.bytes[at] = known,
                (None, Some(hole)) if hole.end == at => hole.end += 1,
                (None, _) => out.holes.push(at..at + 1),
            }
        }
        Ok(out)
    }
}

impl Recording for MemoryRecording {
    fn header(&self) -> &Header {
        &self.header
    }
    fn condition(&self) -> &Condition {
        &self.condition
    }
    fn processes(&self) -> &[Process] {
        &self.processes
    }
    fn threads(&self) -> &[Thread] {
        &self.threads
    }
    fn modules(&self) -> &[Module] {
        &self.modules
    }
    fn nodes(&self) -> &Nodes {
        &self.nodes
    }
    fn samples(&self, process: ProcessId) -> &[Sample] {
        self.samples.get(&process).map_or(&[], Vec::as_slice)
    }
    fn unrecorded(&self) -> &[Unrecorded] {
        &self.unrecorded
    }
    fn crashes(&self) -> &[Crash] {
        &self.crashes
    }
    fn overwrites(&self) -> &[Overwrite] {
        &self.overwrites
    }
    fn guarded(&self) -> &[Guarded] {
        &self.guarded
    }
    fn memory_maps(&self) -> &[MemoryMap] {
        &self.memory_maps
    }
    fn leak_scans(&self) -> &[LeakScan] {
        &self.leak_scans
    }
    fn leak_blocks(&self, scan: &LeakScan) -> Result<Vec<LeakBlock>, TapeError> {
        Ok(self.leak_blocks.get(scan.number as usize).cloned().unwrap_or_default())
    }
    fn snapshots(&self, process: ProcessId) -> Vec<Snapshot> {
        let own = self.snapshots.iter().filter(|(snapshot, _)| snapshot.process == process);
        own.map(|(snapshot, _)| *snapshot).collect()
    }
    fn memory_at(
        &self,
        snapshot: &Snapshot,
        _: Range<u64>,
    ) -> Result<Box<dyn ReadMemory + '_>, TapeError> {
        let found = self.snapshots.iter().find(|(known, _)| known == snapshot);
        Ok(Box::new(Known(found.map(|(_, bytes)| bytes))))
    }
    fn stacks(&self) -> &[Stack] {
        &self.stacks
    }
    fn cgroups(&self) -> &[CgroupMemory] {
        &self.cgroups
    }
    fn event_count(&self, process: ProcessId) -> u64 {
        self.own_events(process).len() as u64
    }

    fn totals(&self, process: ProcessId) -> Totals {
        let forked =
            self.processes.get(process.0 as usize).is_some_and(|p| p.forked_from.is_some());
        let mut set = if forked { LiveSet::forked() } else { LiveSet::new() };
        for event in self.own_events(process) {
            set.apply(event);
        }
        *set.totals()
    }

    fn runs(
        &self,
        process: ProcessId,
        range: Range<EventIndex>,
        take: &mut Take<'_>,
    ) -> Result<(), TapeError> {
        let index = |index| usize::try_from(index).unwrap_or(usize::MAX);
        let events = self.own_events(process);
        let end = index(range.end).min(events.len());
        for run in Run::of(&events[index(range.start).min(end)..end]) {
            if take(run.whole())?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn afford(&self, _: u64) -> Result<(), TapeError> {
        Ok(())
    }

    fn live_at_start(&self, process: ProcessId) -> Result<LiveSet, TapeError> {
        let parent = self.processes.get(process.0 as usize).and_then(|p| p.forked_from);
        Ok(match parent {
            // A parent is always recorded before its child: this ends.
            Some((parent, at)) if parent < process => {
                let inherited = self.live_at(parent, Moment::Event(at))?;
                LiveSet::with_inherited(inherited.blocks().copied().collect::<Vec<_>>())
            }
            _ => LiveSet::new(),
        })
    }

    fn live_at(&self, process: ProcessId, moment: Moment) -> Result<LiveSet, TapeError> {
        let mut set = self.live_at_start(process)?;
        for (index, event) in (0..).zip(self.own_events(process)) {
            let past = match moment {
                Moment::Time(time) => event.time > time,
                Moment::Event(count) => index >= count,
                Moment::End => false,
            };
            if past {
                break;
            }
            set.apply(event);
        }
        Ok(set)
    }
}
