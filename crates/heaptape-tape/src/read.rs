//! The tape, opened: index, salvage of a cut file, replay from keyframes.

use crate::ahead::Ahead;
use crate::crash::{CgroupMemory, Crash, Stack};
use crate::events::{Decoder, Surroundings};
use crate::facts::Facts;
use crate::format::kind;
use crate::history::{History, RunEntry};
use crate::leaks::{self, LeakBlock, LeakScan};
use crate::limits::Limits;
use crate::lineage::Remembered;
use crate::live::Totals;
use crate::model::*;
use crate::nodes::Nodes;
use crate::run::Run;
use crate::salvage::{Scan, Source, damaged_at};
use crate::varint::{Cursor, Malformed};
use crate::walk::{Events, Take, Walk};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::thread;

/// A moment of one process's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// After every event whose time is not after this.
    Time(TimeNs),
    /// After this many events.
    Event(EventIndex),
    /// The end of the recording.
    End,
}

/// What is wrong with a tape that could be opened all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The footer was found: the recording was ended in order.
    pub complete: bool,
    /// It was not, and the file was locked by whoever writes it when it was opened: it is still being recorded.
    pub being_written: bool,
    /// Bytes of the file that are whole blocks, and bytes of the file.
    pub good_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Blocks whose checksum or contents were wrong; they were skipped. A damaged stretch between whole
    /// blocks counts as one.
    pub damaged_blocks: u64,
    /// Blocks and records of a kind this version does not know; they were skipped.
    pub unknown_blocks: u64,
}

/// Why a tape cannot be read.
#[derive(Debug)]
pub enum TapeError {
    /// The file cannot be opened or read.
    Io(std::io::Error),
    /// It is not a tape.
    NotATape,
    /// It is a tape of a later major version.
    Version(u32),
    /// A block that is needed here is damaged.
    Damaged(String),
    /// Reading on would take more memory than [`Limits`] allow.
    Memory {
        /// About the bytes it would take, or has taken so far.
        needed: u64,
        /// The bytes it may take.
        allowed: u64,
    },
}

impl fmt::Display for TapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TapeError::Io(e) => write!(f, "{e}"),
            TapeError::NotATape => write!(f, "not a heaptape recording"),
            TapeError::Version(v) => {
                write!(f, "recorded by a later heaptape (format {v}); use that version to read it")
            }
            TapeError::Damaged(what) => write!(f, "damaged: {what}"),
            TapeError::Memory { needed, allowed } => {
                write!(f, "needs {needed} bytes of memory or more; allowed are {allowed}")
            }
        }
    }
}

impl std::error::Error for TapeError {}

impl From<std::io::Error> for TapeError {
    fn from(e: std::io::Error) -> TapeError {
        TapeError::Io(e)
    }
}

/// An opened tape. The facts beside the events are in memory; events are read as they are asked for.
///
/// Where a damaged block took events with it, [`Tape::events`] yields one error and goes on after
/// them, and [`Tape::live_at`] fails until the next keyframe. Facts that are lost have placeholders:
/// see [`Tape::processes`], [`Tape::threads`] and [`Tape::nodes`].
#[derive(Debug)]
pub struct Tape {
    pub(crate) source: Source,
    pub(crate) tick_ns: u64,
    pub(crate) header: Header,
    pub(crate) condition: Condition,
    pub(crate) facts: Facts,
    pub(crate) histories: Vec<History>,
    /// By process that has a second thread: when it began.
    pub(crate) second_threads: FxHashMap<ProcessId, TimeNs>,
    pub(crate) remembered: Remembered,
    pub(crate) limits: Limits,
    /// About the bytes that the facts and the places of blocks take.
    pub(crate) own_bytes: u64,
}

impl Tape {
    /// What the launcher was asked to do. All empty but the version and the tick when its block is
    /// damaged or cut off.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What is wrong with the file. Blocks of events are only looked at when they are needed: see
    /// [`Tape::verify`].
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// Reads the whole file and counts the blocks that are damaged.
    pub fn verify(&self) -> Result<u64, TapeError> {
        Ok(Scan::of(&self.source)?.damaged_blocks)
    }

    /// The processes, by id. One that was lost to damage has pid 0. The end of one that is not known to
    /// have ended is the last moment known of it.
    pub fn processes(&self) -> &[Process] {
        &self.facts.processes
    }

    /// The threads, by id. One that was lost to damage has tid 0.
    pub fn threads(&self) -> &[Thread] {
        &self.facts.threads
    }

    /// The modules, by id. One that was lost to damage has no path.
    pub fn modules(&self) -> &[Module] {
        &self.facts.modules
    }

    /// The backtrace nodes. One that was lost to damage has address 0 and no caller;
    /// events that refer to nodes after the last one have [`BacktraceId::NONE`].
    pub fn nodes(&self) -> &Nodes {
        &self.facts.nodes
    }

    /// Names of code that lies in no module, as a just-in-time compiler gave them.
    pub fn node_names(&self) -> &BTreeMap<BacktraceId, Arc<[u8]>> {
        &self.facts.node_names
    }

    /// The memory samples of a process, by time.
    pub fn samples(&self, process: ProcessId) -> &[Sample] {
        self.facts.samples.get(process.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// Children that could not be recorded.
    pub fn unrecorded(&self) -> &[Unrecorded] {
        &self.facts.unrecorded
    }

    /// Fatal signals.
    pub fn crashes(&self) -> &[Crash] {
        &self.facts.crashes
    }

    /// Overwrites that were found, in the order in which they were.
    pub fn overwrites(&self) -> &[Overwrite] {
        &self.facts.overwrites
    }

    /// How the blocks of processes were guarded, where they were to be.
    pub fn guarded(&self) -> &[Guarded] {
        &self.facts.guarded
    }

    /// The address spaces of processes at some moments, by time: of one that crashed, or that freed what was
    /// no block.
    pub fn memory_maps(&self) -> &[MemoryMap] {
        &self.facts.memory_maps
    }

    /// The searches for leaks, in the order in which they were made.
    pub fn leak_scans(&self) -> &[LeakScan] {
        &self.facts.leak_scans
    }

    /// What became of each block in a search, by address.
    pub fn leak_blocks(&self, scan: &LeakScan) -> Result<Vec<LeakBlock>, TapeError> {
        let parts = &self.history(scan.process).leaks;
        let mut blocks = Vec::new();
        for (offset, key) in parts.iter().filter(|(_, key)| key.scan == scan.number) {
            if key.first as usize != blocks.len() {
                return Err(damaged_at(*offset, "a part of a search for leaks is missing"));
            }
            let count = blocks.len() + key.count as usize;
            self.afford((count * 2 * size_of::<LeakBlock>()) as u64)?;
            let body = self.source.body(*offset, kind::LEAKS)?;
            leaks::decode(key, &body, &mut blocks).map_err(|e| damaged_at(*offset, e.0))?;
        }
        if blocks.len() as u64 != scan.blocks() {
            return Err(TapeError::Damaged("a search for leaks is not there as a whole".into()));
        }
        Ok(blocks)
    }
    /// What threads were doing at crashes, in the order of the tape.
    pub fn stacks(&self) -> &[Stack] {
        &self.facts.stacks
    }

    /// What the kernel said of the cgroups' memory, in the order of the tape.
    pub fn cgroups(&self) -> &[CgroupMemory] {
        &self.facts.cgroups
    }

    /// Number of events of a process.
    pub fn event_count(&self, process: ProcessId) -> u64 {
        self.history(process).runs.last().map_or(0, |run| run.key.end())
    }

    /// Totals of a process's whole history, as the writer counted them (for a forked child: of its own
    /// blocks only).
    pub fn totals(&self, process: ProcessId) -> Totals {
        self.history(process).runs.last().map_or(Totals::default(), |run| run.key.totals)
    }

    /// Time and totals of a process's history at up to 65,536 events from each other, in order: a coarse
    /// curve without reading events.
    pub fn milestones(&self, process: ProcessId) -> impl Iterator<Item = (TimeNs, &Totals)> {
        let runs = self.history(process).runs.iter();
        runs.map(|run| (TimeNs(run.key.last_tick.saturating_mul(self.tick_ns)), &run.key.totals))
    }

    /// Hands a range of the events of a process to `take`, in order and many at once, until it breaks.
    /// Threads decode ahead as [`Limits`] allow; `take` is called by this one.
    ///
    /// Fails where the first event is missing.
    pub fn runs(
        &self,
        process: ProcessId,
        range: Range<EventIndex>,
        take: &mut Take<'_>,
    ) -> Result<(), TapeError> {
        let walk = Walk::over(self, process, range);
        let runs = walk.runs();
        let readers = self.limits.readers_for(runs.len());
        thread::scope(|scope| match Ahead::start(scope, self, runs, readers) {
            Some(mut ahead) => walk.each(|_, run| ahead.next(run), take),
            None => {
                let mut decoder = Decoder::default();
                walk.each(|entry, run| self.read_run(entry, &mut decoder, run), take)
            }
        })
    }

    /// Whether so many bytes can be had within the [`Limits`], beside what the tape takes itself. What it
    /// only remembers, to be faster, gives way.
    pub fn afford(&self, bytes: u64) -> Result<(), TapeError> {
        let bytes = bytes.saturating_add(self.own_bytes);
        if self.limits.afford(bytes.saturating_add(self.remembered.bytes())).is_err() {
            self.remembered.forget();
        }
        self.limits.afford(bytes)
    }

    /// The events of a process in order, beginning with number `from`.
    pub fn events(
        &self,
        process: ProcessId,
        from: EventIndex,
    ) -> Box<dyn Iterator<Item = Result<Event, TapeError>> + '_> {
        Box::new(Events::new(self, process, from))
    }

    /// All recorded block contents of a process, in the order of the tape. Long blocks come in several
    /// pieces.
    pub fn contents(
        &self,
        process: ProcessId,
    ) -> Box<dyn Iterator<Item = Result<Contents, TapeError>> + '_> {
        let offsets = self.history(process).contents.iter();
        Box::new(offsets.flat_map(move |&offset| self.contents_at(process, offset)))
    }

    fn contents_at(&self, process: ProcessId, offset: u64) -> Vec<Result<Contents, TapeError>> {
        let body = match self.source.body(offset, kind::CONTENTS) {
            Ok(body) => body,
            Err(e) => return vec![Err(e)],
        };
        let mut cursor = Cursor::new(&body);
        let mut contents = Vec::new();
        while !cursor.is_empty() {
            let next = contents_of(process, self.tick_ns, &mut cursor);
            let failed = next.is_err();
            contents.push(next.map_err(|e| damaged_at(offset, e.0)));
            if failed {
                break;
            }
        }
        contents
    }

    pub(crate) fn history(&self, process: ProcessId) -> &History {
        const NOTHING: &History = &History::new();
        self.histories.get(process.0 as usize).unwrap_or(NOTHING)
    }

    pub(crate) fn surroundings(&self) -> Surroundings {
        Surroundings {
            tick_ns: self.tick_ns,
            nodes: self.facts.nodes.len() as u32,
            threads: self.facts.threads.len() as u32,
        }
    }

    /// Reads the events of one block into `out`, replacing what it held.
    pub(crate) fn read_run(
        &self,
        entry: &RunEntry,
        decoder: &mut Decoder,
        out: &mut Run,
    ) -> Result<(), TapeError> {
        out.clear();
        let body = self.source.body(entry.offset, kind::EVENTS)?;
        let count = entry.key.count as usize;
        decoder.decode(&body, count, self.surroundings(), out).map_err(|e| {
            out.clear();
            damaged_at(entry.offset, e.0)
        })
    }
}

fn contents_of(
    process: ProcessId,
    tick_ns: u64,
    f: &mut Cursor<'_>,
) -> Result<Contents, Malformed> {
    Ok(Contents {
        process,
        time: TimeNs(f.number()?.saturating_mul(tick_ns)),
        block: BlockId(f.number()?),
        addr: f.number()?,
        bytes: f.bytes()?.to_vec(),
    })
}
