//! The tape, opened: index, salvage of a cut file, replay from keyframes.

use crate::events::{self, Surroundings};
use crate::facts::Facts;
use crate::format::{FILE_HEAD_LEN, FORMAT_MAJOR, FileHead, kind};
use crate::history::{Catalog, History};
use crate::index::EventsKey;
use crate::live::Totals;
use crate::meta;
use crate::model::*;
use crate::salvage::{Scan, Source, damaged_at};
use crate::varint::Cursor;
use std::fmt;
use std::fs::File;
use std::path::Path;

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
    header: Header,
    condition: Condition,
    facts: Facts,
    histories: Vec<History>,
}

impl Tape {
    /// Opens the tape at `path`; a cut or damaged one as far as it is whole, see [`Tape::condition`].
    pub fn open(path: &Path) -> Result<Tape, TapeError> {
        let source = Source::new(File::open(path)?)?;
        let bytes = source.array::<FILE_HEAD_LEN>(0)?.ok_or(TapeError::NotATape)?;
        let head = FileHead::parse(&bytes).ok_or(TapeError::NotATape)?;
        if head.whole && head.major > FORMAT_MAJOR {
            return Err(TapeError::Version(u32::from(head.major)));
        }
        let mut opening = Opening {
            condition: Condition { file_bytes: source.len(), ..Condition::default() },
            facts: Facts::new(if head.whole { head.tick_ns.max(1) } else { 1 }),
            catalog: Catalog::default(),
            facts_left: source.len().saturating_mul(FACTS_RATIO).saturating_add(FACTS_BYTES),
            source,
        };
        opening.read()?;
        if !head.whole {
            opening.condition.damaged_blocks += 1;
            let good_bytes = &mut opening.condition.good_bytes;
            *good_bytes = good_bytes.saturating_sub(FILE_HEAD_LEN as u64);
            if opening.facts.header.is_none() {
                return Err(TapeError::Damaged("the head of the file".to_string()));
            }
        }
        Ok(opening.finish())
    }

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

    /// The backtrace nodes: `nodes()[id - 1]`. One that was lost to damage has address 0 and no caller;
    /// events that refer to nodes after the last one have [`BacktraceId::NONE`].
    pub fn nodes(&self) -> &[BacktraceNode] {
        &self.facts.nodes
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
        offset: u64,
        key: &EventsKey,
        out: &mut Vec<Event>,
    ) -> Result<(), TapeError> {
        out.clear();
        let body = self.source.body(offset, kind::EVENTS)?;
        events::decode(&body, key.count as usize, self.surroundings(), out).map_err(|e| {
            out.clear();
            damaged_at(offset, e.0)
        })
    }
}

fn contents_of(
    process: ProcessId,
    tick_ns: u64,
    f: &mut Cursor<'_>,
) -> Result<Contents, crate::varint::Malformed> {
    Ok(Contents {
        process,
        time: TimeNs(f.number()?.saturating_mul(tick_ns)),
        block: BlockId(f.number()?),
        addr: f.number()?,
        bytes: f.bytes()?.to_vec(),
    })
}

/// Most bytes of facts, unpacked: so many, and so many for each byte of the file. They are kept in
/// memory, and a small hostile file must not unpack to a large one.
const FACTS_BYTES: u64 = 16 << 20;
const FACTS_RATIO: u64 = 32;

/// A tape while it is opened.
struct Opening {
    source: Source,
    condition: Condition,
    facts: Facts,
    catalog: Catalog,
    /// Unpacked bytes of facts that may still come.
    facts_left: u64,
}

impl Opening {
    fn read(&mut self) -> Result<(), TapeError> {
        let (footer, entries) = match self.source.index()? {
            Some((footer, entries)) => {
                self.condition.good_bytes = self.source.len();
                (Some(footer), entries)
            }
            None => {
                let scan = Scan::of(&self.source)?;
                self.condition.good_bytes = scan.good_bytes;
                self.condition.damaged_blocks = scan.damaged_blocks;
                self.facts.lost(scan.lost_bytes);
                (scan.footer, scan.entries)
            }
        };
        self.condition.complete = footer.is_some();
        let metas = self.catalog.add_all(&entries, &mut self.condition);
        for offset in metas {
            self.read_facts(offset)?;
        }
        self.catalog.settle(&mut self.facts, &mut self.condition);
        let losses = footer.map(|footer| footer.processes).unwrap_or_default();
        for (process, (_, losses)) in self.facts.processes.iter_mut().zip(losses) {
            process.losses = losses;
        }
        Ok(())
    }

    fn read_facts(&mut self, offset: u64) -> Result<(), TapeError> {
        let (block_len, raw_len) = self.source.lens(offset)?;
        let body = match self.facts_left.checked_sub(raw_len) {
            Some(left) => {
                self.facts_left = left;
                self.source.body(offset, kind::META)
            }
            None => Err(damaged_at(offset, "more facts than the file can hold")),
        };
        let body = match body {
            Ok(body) => body,
            Err(TapeError::Io(e)) => return Err(TapeError::Io(e)),
            Err(_) => {
                self.facts.lost(block_len);
                self.condition.damaged_blocks += 1;
                self.condition.good_bytes = self.condition.good_bytes.saturating_sub(block_len);
                return Ok(());
            }
        };
        let mut sound = true;
        for record in meta::records(&body) {
            let applied = record.and_then(|(tag, mut fields)| self.facts.apply(tag, &mut fields));
            sound &= applied.is_ok();
        }
        self.condition.damaged_blocks += u64::from(!sound);
        Ok(())
    }

    fn finish(mut self) -> Tape {
        let tick_ns = self.facts.tick_ns();
        self.condition.unknown_blocks += self.facts.unknown_records;
        for (id, process) in self.facts.processes.iter_mut().enumerate() {
            if !self.facts.ended[id] {
                let events = self.catalog.histories.get(id).and_then(|h| h.runs.last());
                let last_event = events.map_or(0, |run| run.key.last_tick.saturating_mul(tick_ns));
                let last_sample = self.facts.samples[id].last().map_or(TimeNs(0), |s| s.time);
                process.end = process.start.max(TimeNs(last_event)).max(last_sample);
            }
        }
        let version = u32::from(FORMAT_MAJOR);
        let header = self.facts.header.take();
        Tape {
            header: header.unwrap_or(Header { version, tick_ns, ..Header::default() }),
            source: self.source,
            tick_ns,
            condition: self.condition,
            facts: self.facts,
            histories: self.catalog.histories,
        }
    }
}

/// The events of a process, one block at a time.
struct Events<'a> {
    tape: &'a Tape,
    process: ProcessId,
    /// The number of the next event.
    next: EventIndex,
    /// The next block to read.
    run: usize,
    events: Vec<Event>,
    at: usize,
}

impl<'a> Events<'a> {
    fn new(tape: &'a Tape, process: ProcessId, from: EventIndex) -> Events<'a> {
        let run = tape.history(process).runs.partition_point(|run| run.key.end() <= from);
        Events { tape, process, next: from, run, events: Vec::new(), at: 0 }
    }

    /// Reads the next block. An error tells what is missing before or in it.
    fn advance(&mut self) -> Option<Result<(), TapeError>> {
        let run = self.tape.history(self.process).runs.get(self.run)?;
        if run.key.first_event > self.next {
            let missing = self.missing(run.key.first_event, "their block is lost");
            self.next = run.key.first_event;
            return Some(Err(missing));
        }
        self.run += 1;
        self.at = (self.next - run.key.first_event) as usize;
        match self.tape.read_run(run.offset, &run.key, &mut self.events) {
            Ok(()) => Some(Ok(())),
            Err(TapeError::Damaged(why)) => {
                let missing = self.missing(run.key.end(), &why);
                self.next = run.key.end();
                Some(Err(missing))
            }
            Err(e) => {
                self.next = run.key.end();
                Some(Err(e))
            }
        }
    }

    fn missing(&self, end: EventIndex, why: &str) -> TapeError {
        let (process, from, last) = (self.process.0, self.next, end - 1);
        TapeError::Damaged(format!("events {from} to {last} of process {process}: {why}"))
    }
}

impl Iterator for Events<'_> {
    type Item = Result<Event, TapeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(event) = self.events.get(self.at) {
                self.at += 1;
                self.next += 1;
                return Some(Ok(*event));
            }
            if let Err(e) = self.advance()? {
                return Some(Err(e));
            }
        }
    }
}
