//! An index of a process's history, made by one replay: any moment of a tape of any length in a few milliseconds.
//!
//! The history is cut into *cells* of equally many events. A block that is born and ends in one cell is *short*: of it
//! it is known when it ended, in 2 bytes. All others are *long*, and kept one by one, in 16 bytes (`long`). What is
//! live at a position are the long ones that are, and short ones born before it in its cell, whose births are read
//! again: with the known ends that needs no live set. What was allocated in a range are sums by stretch and backtrace
//! (`sums`), and births at its ends that are read again; what was freed is what was live before and allocated, less
//! what is live after. [`curve`] has the live bytes over time.
//!
//! Cells are as short as memory allows: where the index grows too large, they are made twice as long, and long blocks
//! become short. The answers stay exact; to read a cell takes longer.

pub mod answers;
mod births;
mod bits;
mod build;
pub mod curve;
mod ends;
pub mod histograms;
pub mod list;
mod long;
pub mod measure;
mod packed;
pub mod place;
pub mod series;
pub mod span;
mod sums;
mod threads;
pub mod time_map;
pub mod winder;

use crate::estimate::Sampling;
use crate::lifetimes::{Lifetime, NEVER};
use crate::metric::Weight;
use crate::times::Times;
use births::Births;
use bits::Bits;
use curve::Curve;
use ends::Ends;
use heaptape_tape::{BacktraceId, BlockId, ProcessId, TapeError, ThreadId, TimeNs};
use long::Long;
use rustc_hash::FxHashMap;
use std::fmt;
use sums::Sums;

/// The events of the shortest cells.
pub const LEAST_CELL: u32 = 1 << 16;

/// A process's history, made ready for questions. See [`winder::Winder`], which asks them.
#[derive(Debug)]
pub struct Index {
    /// Whose.
    pub process: ProcessId,
    /// How many events it has.
    pub events: u32,
    /// How many blocks, inherited ones included.
    pub of_blocks: u64,
    /// When the events happened.
    pub times: Times,
    /// By 1024 positions: the place in `times` of the last change of the clock before them.
    clock: Vec<u32>,
    /// Live bytes by time.
    pub curve: Curve,
    /// Events of a cell, as a binary logarithm.
    cell_log2: u32,
    /// Events of the least cell.
    least_cell: u32,
    births: Births,
    ends: Ends,
    /// By block: whether it was temporary.
    temporary: Bits,
    /// By block, as far as there were any: how many reallocs led to it; 255 are 255 or more.
    moves: Vec<u8>,
    /// By number: backtraces that asked for a block or freed one.
    used: Bits,
    long: Long,
    sums: Sums,
    sampling: Option<Sampling>,
    /// What the last search for leaks said of short blocks, by birth.
    leaks: FxHashMap<u32, u8>,
}

impl Index {
    /// How many cells there are.
    pub fn cells(&self) -> u32 {
        self.events.div_ceil(self.cell_events())
    }

    /// Events of a cell: the next power of two where memory did not allow for shorter ones.
    pub fn cell_events(&self) -> u32 {
        1 << self.cell_log2
    }

    /// How many blocks are kept one by one.
    pub fn long_blocks(&self) -> usize {
        self.long.len()
    }

    /// About the bytes of memory that it takes.
    pub fn bytes(&self) -> u64 {
        let parts = [
            self.times.bytes(),
            self.curve.bytes(),
            self.births.bytes(),
            self.ends.bytes(),
            self.long.bytes(),
            self.sums.bytes(),
        ];
        parts.iter().sum::<u64>() + (self.temporary.bytes() + self.moves.capacity()) as u64
    }

    /// About the bytes that it takes of so many events and blocks, beside those that can be made fewer.
    pub fn least_bytes(events: u64, blocks: u64) -> u64 {
        // Two bytes for the end and a bit for being temporary; a bit by event and 4 bytes by 512 of them.
        blocks.saturating_mul(17) / 8 + events / 7
    }

    /// What a block weighs: of a sample, by estimate.
    #[inline]
    pub fn weigh(&self, block: &Lifetime) -> Weight {
        self.weigh_of(block.size, block.id)
    }

    /// The same of a block of that size and number.
    #[inline]
    fn weigh_of(&self, size: u64, id: BlockId) -> Weight {
        match self.sampling {
            None => Weight::block(size),
            Some(sampling) => sampling.weight(size, id),
        }
    }

    /// How many reallocs led to a block; 255 are 255 or more.
    pub fn reallocs(&self, block: &Lifetime) -> u32 {
        let own = block.born != NEVER;
        let place = block.id.0.checked_sub(1).filter(|_| own).map(|place| place as usize);
        place.and_then(|place| self.moves.get(place)).copied().map_or(0, u32::from)
    }

    /// The backtraces that asked for a block or freed one.
    pub fn backtraces(&self) -> impl Iterator<Item = BacktraceId> + '_ {
        self.used.iter().map(|number| BacktraceId(number as u32))
    }

    /// The threads of inherited blocks.
    pub fn other_threads(&self) -> impl Iterator<Item = ThreadId> {
        self.long.odd().iter().map(|block| block.thread)
    }

    /// The time of the last event before a position; `start` before the first. As [`Times::of`], sooner.
    #[inline]
    pub fn time(&self, position: u32, start: TimeNs) -> TimeNs {
        let positions = self.times.positions();
        let place = (position >> CLOCK_LOG2) as usize;
        let from = self.clock.get(place).map_or(0, |&from| from as usize);
        let to = self.clock.get(place + 1).map_or(positions.len(), |&to| to as usize);
        let after = from + positions[from..to].partition_point(|&at| at <= position);
        after.checked_sub(1).map_or(start, |place| TimeNs(self.times.times()[place]))
    }

    /// When a block was born; `start` where it was inherited.
    #[inline]
    pub fn born(&self, block: &Lifetime, start: TimeNs) -> TimeNs {
        if block.born == NEVER { start } else { self.time(block.born + 1, start) }
    }

    /// How long a block lived, in nanoseconds; `None` where it was never freed.
    pub fn lived(&self, block: &Lifetime, start: TimeNs) -> Option<u64> {
        let died = block.died.checked_add(1)?;
        Some(self.time(died, start).0.saturating_sub(self.born(block, start).0))
    }

    /// The position at which the cell of a position begins.
    fn start_of_cell_of(&self, position: u32) -> u32 {
        position >> self.cell_log2 << self.cell_log2
    }
}

/// Positions between two entries of the clock, as a binary logarithm.
const CLOCK_LOG2: u32 = 10;

/// The clock of some times: how many changes there were before each 1024th of so many positions.
fn clock(times: &Times, events: u32) -> Vec<u32> {
    let mut changes = 0;
    let positions = times.positions();
    (0..=events >> CLOCK_LOG2)
        .map(|place| {
            let before = u64::from(place) << CLOCK_LOG2;
            while positions.get(changes).is_some_and(|&at| u64::from(at) < before) {
                changes += 1;
            }
            changes as u32
        })
        .collect()
}

/// Why there is no answer.
#[derive(Debug)]
pub enum AskError {
    /// The recording cannot be read there.
    Tape(TapeError),
    /// Nobody waits for it any more.
    Stopped,
    /// It was not asked rightly: why.
    Question(String),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AskError::Tape(error) => error.fmt(f),
            AskError::Stopped => f.write_str("given up"),
            AskError::Question(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for AskError {}

impl From<TapeError> for AskError {
    fn from(error: TapeError) -> AskError {
        AskError::Tape(error)
    }
}

/// Whether whoever asked has gone away.
pub type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

/// Fails where whoever asked has gone away.
fn unless_stopped(stop: Stop<'_>) -> Result<(), AskError> {
    if stop() { Err(AskError::Stopped) } else { Ok(()) }
}
