//! Opening a tape: the index, or a search of the whole file where it is missing; then the facts.

use crate::facts::Facts;
use crate::format::{FILE_HEAD_LEN, FORMAT_MAJOR, FileHead, kind};
use crate::history::{Catalog, History};
use crate::limits::Limits;
use crate::lineage::{self, Remembered};
use crate::meta;
use crate::model::*;
use crate::read::{Condition, Tape, TapeError};
use crate::salvage::{Scan, Source, damaged_at};
use std::fs::{File, TryLockError};
use std::path::Path;

impl Tape {
    /// Opens the tape at `path`; a cut or damaged one as far as it is whole, see [`Tape::condition`].
    pub fn open(path: &Path) -> Result<Tape, TapeError> {
        Tape::open_within(path, Limits::default())
    }

    /// The same with bounds on what reading it takes.
    pub fn open_within(path: &Path, limits: Limits) -> Result<Tape, TapeError> {
        let file = File::open(path)?;
        // Asked before the file is read: a recording that ends meanwhile leaves a whole tape or was one then.
        let being_written = is_being_written(&file);
        let source = Source::new(file)?;
        let bytes = source.array::<FILE_HEAD_LEN>(0)?.ok_or(TapeError::NotATape)?;
        let head = FileHead::parse(&bytes).ok_or(TapeError::NotATape)?;
        if head.whole && head.major > FORMAT_MAJOR {
            return Err(TapeError::Version(u32::from(head.major)));
        }
        let mut opening = Opening {
            condition: Condition { file_bytes: source.len(), ..Condition::default() },
            facts: Facts::new(if head.whole { head.tick_ns.max(1) } else { 1 }, limits),
            catalog: Catalog::default(),
            facts_left: source.len().saturating_mul(FACTS_RATIO).saturating_add(FACTS_BYTES),
            source,
            limits,
        };
        opening.read()?;
        opening.condition.being_written = being_written && !opening.condition.complete;
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
}

/// Whether somebody holds the lock that a recorder has on its tape as long as it writes. The kernel gives it up with
/// the recorder, however that ends; a file system without locks says no.
fn is_being_written(file: &File) -> bool {
    let is_locked = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    if !is_locked {
        // Nothing is lost if it is kept: it ends with the file.
        let _ = file.unlock();
    }
    is_locked
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
    limits: Limits,
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
        self.limits.afford(self.facts.bytes().saturating_add(raw_len))?;
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
            self.limits.afford(self.facts.bytes())?;
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
        self.facts.settle();
        let places: u64 = self.catalog.histories.iter().map(History::bytes).sum();
        let own_bytes = self.facts.bytes() + places;
        let version = u32::from(FORMAT_MAJOR);
        let header = self.facts.header.take();
        Tape {
            header: header.unwrap_or(Header { version, tick_ns, ..Header::default() }),
            source: self.source,
            tick_ns,
            condition: self.condition,
            second_threads: lineage::second_threads(&self.facts.threads),
            facts: self.facts,
            histories: self.catalog.histories,
            remembered: Remembered::default(),
            limits: self.limits,
            own_bytes,
        }
    }
}
