//! Blocks by the dozen, for histories with more blocks than a page can hold.
//!
//! A [`Flow`] is all blocks of one backtrace that began in one cell of a grid of positions and ended in another. With the
//! ranks of its events rounded down to the grid it is measured as a block is ([`crate::lifetimes`]), and every measure is
//! exact at positions of the grid. The grid is as fine as the room for flows allows: it is halved until they fit.
//!
//! Some blocks are kept to be looked at one by one: the largest, those that lived through most events, and those live at
//! the peak and in the end, as far as there is room.

use crate::estimate::Sampling;
use crate::lifetimes::{Lifetime, Lifetimes, NEVER, flags};
use crate::metric::Weight;
use crate::recording::Recording;
use heaptape_tape::{BacktraceId, ProcessId, TapeError};
use rustc_hash::FxHashMap;
use std::cell::RefCell;

/// Cells of the finest grid.
pub const FINEST: u32 = 512;

/// Bytes of memory for each flow that there may be: its place in a hash table that is copied when it grows, and in the list.
const BYTES_BY_FLOW: u64 = 3 * (size_of::<(Cells, Sums)>() as u64 + 2) + size_of::<Flow>() as u64;

/// All blocks of a backtrace that began and ended in the same cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The first rank of the cell they began in; [`NEVER`] if they were inherited.
    pub born: u32,
    /// The first rank of the cell they ended in; [`NEVER`] if they did not.
    pub died: u32,
    /// Who asked for them.
    pub backtrace: BacktraceId,
    /// What they weigh: of a sample, estimated.
    pub weight: Weight,
    /// What those of them weigh that were freed before the same thread's next allocation.
    pub temporary: Weight,
}

/// The blocks of a process by the dozen.
#[derive(Clone, Debug)]
pub struct Flows {
    /// Cells of the grid.
    pub grid: u32,
    /// By birth, end and backtrace.
    pub rows: Vec<Flow>,
    /// Which blocks are to be kept.
    pub kept: Kept,
}

/// Which blocks are to be looked at one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// All that are so large.
    least_size: u128,
    /// All that lived through so many events.
    least_events: u128,
    /// All that are live at these positions.
    moments: [Option<u32>; 2],
}

impl Kept {
    /// Whether a block is one of them.
    pub fn has(&self, block: &Lifetime) -> bool {
        u128::from(block.size) >= self.least_size
            || u128::from(events_of(block)) >= self.least_events
            || self.moments.iter().flatten().any(|&position| block.is_live(position))
    }
}

impl Flows {
    /// Reads the whole history of a process once, to keep at most `most` blocks, and a quarter as many flows.
    ///
    /// Fails where an event is missing, or as soon as memory would not do.
    pub fn of(
        recording: &dyn Recording,
        process: ProcessId,
        most: u64,
    ) -> Result<Flows, TapeError> {
        let most_flows = most / 4;
        recording.afford(most_flows.saturating_mul(BYTES_BY_FLOW))?;
        let events = recording.event_count(process);
        let totals = recording.totals(process);
        let count = RefCell::new(Count {
            events,
            grid: FINEST,
            most: usize::try_from(most_flows).unwrap_or(usize::MAX).max(1),
            sampling: Sampling::of(recording),
            flows: FxHashMap::default(),
            sizes: Ranks::default(),
            lengths: Ranks::default(),
            moments: [totals.peak_event, events].map(|it| u32::try_from(it).unwrap_or(NEVER)),
            live: [0; 2],
        });
        Lifetimes::of(recording, process, &|block| {
            count.borrow_mut().note(block);
            false
        })?;
        Ok(count.into_inner().finish(most))
    }
}

/// Through how many events a block lived.
fn events_of(block: &Lifetime) -> u32 {
    let born = if block.is(flags::INHERITED) { 0 } else { block.born };
    block.died.saturating_sub(born)
}

/// The cells of a flow: [`NEVER`] for what did not happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Cells {
    born: u32,
    died: u32,
    backtrace: BacktraceId,
}

/// What the blocks of a flow weigh.
#[derive(Clone, Copy, Default)]
struct Sums {
    all: Weight,
    temporary: Weight,
}

struct Count {
    events: u64,
    grid: u32,
    most: usize,
    sampling: Option<Sampling>,
    flows: FxHashMap<Cells, Sums>,
    sizes: Ranks,
    lengths: Ranks,
    /// Positions whose live blocks are to be kept, and how many these are.
    moments: [u32; 2],
    live: [u64; 2],
}

impl Count {
    fn note(&mut self, block: &Lifetime) {
        self.sizes.add(block.size);
        self.lengths.add(events_of(block).into());
        for (live, &position) in self.live.iter_mut().zip(&self.moments) {
            *live += u64::from(block.is_live(position));
        }
        let cells = Cells {
            born: if block.is(flags::INHERITED) { NEVER } else { self.cell(block.born) },
            died: if block.died == NEVER { NEVER } else { self.cell(block.died) },
            backtrace: block.backtrace,
        };
        let weight = match self.sampling {
            None => Weight::block(block.size),
            Some(sampling) => sampling.weight(block.size, block.id),
        };
        let sums = self.flows.entry(cells).or_default();
        sums.all += weight;
        if block.is(flags::TEMPORARY) {
            sums.temporary += weight;
        }
        while self.flows.len() > self.most && self.grid > 1 {
            self.coarsen();
        }
    }

    /// The first rank of a cell.
    fn line(&self, cell: u32) -> u64 {
        (u128::from(cell) * u128::from(self.events) / u128::from(self.grid)) as u64
    }

    /// The cell that a rank lies in: the last one that does not begin behind it. (With fewer events than cells some begin
    /// where the next one does.)
    fn cell(&self, rank: u32) -> u32 {
        let before = (u128::from(rank) + 1) * u128::from(self.grid) - 1;
        (before / u128::from(self.events.max(1))) as u32
    }

    /// Makes one cell of two.
    #[cold]
    fn coarsen(&mut self) {
        self.grid /= 2;
        let half = |cell: u32| if cell == NEVER { NEVER } else { cell / 2 };
        let mut flows: FxHashMap<Cells, Sums> = FxHashMap::default();
        for (cells, sums) in self.flows.drain() {
            let cells = Cells { born: half(cells.born), died: half(cells.died), ..cells };
            let merged = flows.entry(cells).or_default();
            merged.all += sums.all;
            merged.temporary += sums.temporary;
        }
        self.flows = flows;
    }

    fn finish(self, most: u64) -> Flows {
        let rank = |cell: u32| if cell == NEVER { NEVER } else { self.line(cell) as u32 };
        let row = |(cells, sums): (&Cells, &Sums)| Flow {
            born: rank(cells.born),
            died: rank(cells.died),
            backtrace: cells.backtrace,
            weight: sums.all,
            temporary: sums.temporary,
        };
        let mut rows: Vec<Flow> = self.flows.iter().map(row).collect();
        rows.sort_unstable_by_key(|flow| (flow.born, flow.died, flow.backtrace));
        let mut room = most / 3;
        let moments = [0, 1].map(|nth| {
            let fits = self.live[nth] <= room;
            room -= if fits { self.live[nth] } else { 0 };
            fits.then_some(self.moments[nth])
        });
        let kept = Kept {
            least_size: self.sizes.least_of(most / 3),
            least_events: self.lengths.least_of(most / 3),
            moments,
        };
        Flows { grid: self.grid, rows, kept }
    }
}

/// How many values there were of about each magnitude: 16 steps to a doubling.
struct Ranks([u64; 64 * 16]);

impl Default for Ranks {
    fn default() -> Ranks {
        Ranks([0; 64 * 16])
    }
}

impl Ranks {
    fn step(value: u64) -> usize {
        let magnitude = value.max(1).ilog2();
        let within = (u128::from(value) << 4 >> magnitude) & 15;
        magnitude as usize * 16 + within as usize
    }

    /// The least value of a step, rounded up.
    fn least_in(step: usize) -> u128 {
        ((16 + step as u128 % 16) << (step / 16)).div_ceil(16)
    }

    fn add(&mut self, value: u64) {
        self.0[Ranks::step(value)] += 1;
    }

    /// A value that at most so many reach; as small as it is known.
    fn least_of(&self, most: u64) -> u128 {
        let mut sum = 0;
        for (step, count) in self.0.iter().enumerate().rev() {
            sum += count;
            if sum > most {
                return Ranks::least_in(step + 1);
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn at_most_so_many_are_so_large(
            values in prop::collection::vec(prop_oneof![0_u64..100, any::<u64>()], 0..60), most in 0_u64..60,
        ) {
            let mut ranks = Ranks::default();
            values.iter().for_each(|value| ranks.add(*value));
            let least = ranks.least_of(most);
            let reach = values.iter().filter(|value| u128::from(**value) >= least).count() as u64;
            prop_assert!(reach <= most, "{reach} reach {least}");
            if values.len() as u64 <= most {
                prop_assert_eq!(least, 0);
            }
        }
    }
}
