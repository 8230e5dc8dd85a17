//! The blocks born in one cell, from a replay of its events alone.

use super::Index;
use crate::lifetimes::{Book, Lifetime, NEVER};
use crate::recording::Recording;
use heaptape_tape::{FORESEEN, LiveSet, TapeError, Totals};
use std::ops::ControlFlow;

/// The blocks born in a cell, in order of birth, each with its whole life.
#[derive(Debug, Default)]
pub struct Cell {
    /// The blocks.
    pub blocks: Vec<Lifetime>,
    /// Which of them are not among the long ones, by the same order.
    pub short: Vec<bool>,
}

impl Cell {
    /// The short ones.
    pub fn short_blocks(&self) -> impl Iterator<Item = &Lifetime> {
        let all = self.blocks.iter().zip(&self.short);
        all.filter(|(_, short)| **short).map(|(block, _)| block)
    }

    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> u64 {
        (self.blocks.capacity() * (size_of::<Lifetime>() + 1)) as u64
    }
}

impl Index {
    /// The blocks born in a cell. A block that was born before it and ends in it needs no replay: it is a long one.
    pub(super) fn replay_cell(
        &self,
        recording: &dyn Recording,
        cell: u32,
    ) -> Result<Cell, TapeError> {
        let (start, end) = (self.start_of(cell), self.start_of(cell + 1));
        let Some(begun) = self.begun.get(cell as usize) else { return Ok(Cell::default()) };
        let totals = Totals { allocs: begun.allocs, ..Totals::default() };
        let releasing = begun.releasing.iter().copied();
        // Of a set that is not a forked child's, frees of what it does not know change nothing.
        let mut live = LiveSet::from_parts([], releasing, false, [], totals);
        let mut book = Book::new(start, &LiveSet::new(), Vec::new());
        recording.runs(self.process, u64::from(start)..u64::from(end), &mut |events| {
            for some in events.chunks(FORESEEN) {
                live.foresee(some);
                some.iter().for_each(|event| {
                    book.note(event, &mut live);
                });
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let mut blocks: Vec<Lifetime> = book.finish(&live);
        // A block from before, put back by a realloc that failed, was not born here.
        blocks.retain(|block| block.born != NEVER);
        blocks.sort_unstable_by_key(|block| block.born);
        let mut short = vec![true; blocks.len()];
        for long in self.long.filter(|life| start < life.from && life.from <= end) {
            if let Ok(place) = blocks.binary_search_by_key(&long.born, |block| block.born) {
                blocks[place] = *long;
                short[place] = false;
            }
        }
        if !self.leaks.is_empty() {
            for block in &mut blocks {
                block.leak = self.leaks.get(&block.born).copied().unwrap_or(block.leak);
            }
        }
        Ok(Cell { blocks, short })
    }
}
