//! What is known of the memory of a process at a snapshot: of each page the newest bytes stored before.
//!
//! Where something is lost, nothing is made up. A PAGES block that cannot be read may have held newer bytes of
//! any page within its span, and one that is missing altogether, which the gap in the serials tells, of
//! any page: what older blocks say of those is not known to be true any more.

use crate::format::kind;
use crate::history::PagesEntry;
use crate::model::*;
use crate::pages::{MAX_PAGES, PagesBody};
use crate::read::{Tape, TapeError};
use crate::salvage::damaged_at;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::ops::{Range, RangeInclusive};

/// Unpacked blocks that are kept: what follows is likely to be in one of them.
const KEPT_BLOCKS: usize = 8;
/// Blocks that cannot be read and whose spans are heeded; beyond, nothing older is taken for true.
const MOST_DOUBTFUL: usize = 64;
/// Bytes of the place of a page in a table that grows.
const PLACE_BYTES: u64 = 64;
/// And of a kept block.
const BLOCK_BYTES: u64 = (MAX_PAGES as u64 + 16) * PAGE_BYTES;

impl Tape {
    /// The snapshots of a process, by time.
    pub fn snapshots(&self, process: ProcessId) -> impl Iterator<Item = &Snapshot> {
        self.facts.snapshots.get(&process).into_iter().flatten().map(|(snapshot, _)| snapshot)
    }

    /// The memory of a process at one of its snapshots, as far as it lies in `addresses` and is known. Asked for
    /// other addresses it knows nothing.
    ///
    /// It is known of the pages of blocks that were live at the snapshot. What it says of others may be
    /// older.
    pub fn memory_at(
        &self,
        snapshot: &Snapshot,
        addresses: Range<u64>,
    ) -> Result<Memory<'_>, TapeError> {
        let all = self.facts.snapshots.get(&snapshot.process).map_or(&[][..], Vec::as_slice);
        let known = all.iter().find(|(known, _)| known.number == snapshot.number);
        let mut memory = Memory { tape: self, places: FxHashMap::default(), kept: VecDeque::new() };
        if let (Some((_, blocks)), false) = (known, addresses.is_empty()) {
            let pages = addresses.start / PAGE_BYTES..=(addresses.end - 1) / PAGE_BYTES;
            memory.find(&self.history(snapshot.process).pages, *blocks, &pages)?;
        }
        Ok(memory)
    }
}

/// Some bytes of a process's memory, with holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes {
    /// The address of the first.
    pub addr: u64,
    /// The bytes; 0 where not known.
    pub bytes: Vec<u8>,
    /// What is not known, as places in `bytes`, in order; none touch.
    pub holes: Vec<Range<usize>>,
}

impl Bytes {
    /// The byte at a place; `None` where it is not known.
    pub fn get(&self, at: usize) -> Option<u8> {
        let after = self.holes.partition_point(|hole| hole.start <= at);
        let in_hole = self.holes[..after].last().is_some_and(|hole| at < hole.end);
        self.bytes.get(at).copied().filter(|_| !in_hole)
    }

    /// How many bytes are not known.
    pub fn unknown(&self) -> usize {
        self.holes.iter().map(Range::len).sum()
    }
}

/// Where the bytes of a page are.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Of its block; `None` when it is only known that they are not known.
    offset: Option<u64>,
    /// Its rank among the pages there.
    rank: u16,
}

/// The memory of a process at a snapshot.
#[derive(Debug)]
pub struct Memory<'a> {
    tape: &'a Tape,
    places: FxHashMap<u64, Place>,
    /// Bytes of the blocks read last, by offset.
    kept: VecDeque<(u64, Vec<u8>)>,
}

impl Memory<'_> {
    /// `len` bytes from an address on.
    pub fn read(&mut self, addr: u64, len: usize) -> Result<Bytes, TapeError> {
        let mut out = Bytes { addr, bytes: vec![0; len], holes: Vec::new() };
        let mut at = 0;
        while at < len {
            let Some(here) = addr.checked_add(at as u64) else { break };
            let within = (here % PAGE_BYTES) as usize;
            let step = (PAGE_BYTES as usize - within).min(len - at);
            match self.page(here / PAGE_BYTES)? {
                Some(page) => {
                    out.bytes[at..at + step].copy_from_slice(&page[within..within + step]);
                }
                None => add_hole(&mut out.holes, at..at + step),
            }
            at += step;
        }
        if at < len {
            add_hole(&mut out.holes, at..len);
        }
        Ok(out)
    }

    /// The bytes from an address on that are known, at most `len`: up to the first that is not.
    pub fn read_start(&mut self, addr: u64, len: usize) -> Result<Vec<u8>, TapeError> {
        let mut out = Vec::new();
        while out.len() < len {
            let Some(here) = addr.checked_add(out.len() as u64) else { break };
            let within = (here % PAGE_BYTES) as usize;
            let step = (PAGE_BYTES as usize - within).min(len - out.len());
            let Some(page) = self.page(here / PAGE_BYTES)? else { break };
            out.extend_from_slice(&page[within..within + step]);
        }
        Ok(out)
    }

    /// The bytes of a page, if they are known.
    fn page(&mut self, page: u64) -> Result<Option<&[u8]>, TapeError> {
        let Some(&Place { offset: Some(offset), rank }) = self.places.get(&page) else {
            return Ok(None);
        };
        match self.kept.iter().position(|(kept, _)| *kept == offset) {
            Some(at) => {
                if let Some(block) = self.kept.remove(at) {
                    self.kept.push_back(block);
                }
            }
            None => {
                if self.kept.len() == KEPT_BLOCKS {
                    self.kept.pop_front();
                }
                let body = self.tape.source.body(offset, kind::PAGES)?;
                let parsed = PagesBody::parse(&body).map_err(|e| damaged_at(offset, e.0))?;
                self.kept.push_back((offset, parsed.bytes.to_vec()));
            }
        }
        let start = usize::from(rank) * PAGE_BYTES as usize;
        let bytes = self.kept.back().and_then(|(_, b)| b.get(start..start + PAGE_BYTES as usize));
        Ok(bytes)
    }

    /// Finds the newest bytes of the wanted pages in the first `blocks` blocks.
    fn find(
        &mut self,
        all: &[PagesEntry],
        blocks: u64,
        wanted: &RangeInclusive<u64>,
    ) -> Result<(), TapeError> {
        let many = (wanted.end() - wanted.start()).saturating_add(1);
        let mut next = blocks;
        // Spans of blocks that are there and cannot be read.
        let mut doubtful: Vec<RangeInclusive<u64>> = Vec::new();
        let before = all.partition_point(|entry| entry.key.serial < blocks);
        for entry in all[..before].iter().rev() {
            let missing = entry.key.serial + 1 != next;
            if missing || doubtful.len() > MOST_DOUBTFUL || self.places.len() as u64 >= many {
                return Ok(());
            }
            next = entry.key.serial;
            let span = entry.key.first..=entry.key.last;
            if span.end() < wanted.start() || wanted.end() < span.start() {
                continue;
            }
            let body = match self.tape.source.body(entry.offset, kind::PAGES) {
                Err(TapeError::Io(e)) => return Err(TapeError::Io(e)),
                Err(_) => {
                    doubtful.push(span);
                    continue;
                }
                Ok(body) => body,
            };
            let Ok(parsed) = PagesBody::parse(&body) else {
                doubtful.push(span);
                continue;
            };
            let is_wanted = |page: &u64| {
                wanted.contains(page) && !doubtful.iter().any(|span| span.contains(page))
            };
            // Of a page that is in both lists, which no writer makes, nothing is known.
            for &page in parsed.unknown.iter().filter(|page| is_wanted(page)) {
                self.places.entry(page).or_insert(Place { offset: None, rank: 0 });
            }
            for (rank, &page) in (0u16..).zip(&parsed.stored).filter(|(_, page)| is_wanted(page)) {
                let place = Place { offset: Some(entry.offset), rank };
                self.places.entry(page).or_insert(place);
            }
            let places = self.places.len() as u64 * PLACE_BYTES;
            self.tape.afford(places + KEPT_BLOCKS as u64 * BLOCK_BYTES)?;
        }
        Ok(())
    }
}

/// Adds what is not known behind what is known of holes; one that touches the last becomes part of it.
fn add_hole(holes: &mut Vec<Range<usize>>, hole: Range<usize>) {
    match holes.last_mut() {
        Some(last) if last.end == hole.start => last.end = hole.end,
        _ => holes.push(hole),
    }
}
