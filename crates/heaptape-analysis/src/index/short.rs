//! The sums of blocks that were born and ended in the same cell: what they allocated they freed.

use crate::lifetimes::{Lifetime, flags};
use crate::metric::Weight;
use crate::table::Table;
use heaptape_tape::BacktraceId;
use std::ops::Range;

/// What short blocks of one cell and backtrace weigh.
#[derive(Clone, Copy, Debug)]
struct Row {
    bytes: u64,
    temp_bytes: u64,
    blocks: u32,
    temp_blocks: u32,
    backtrace: BacktraceId,
}

/// All short blocks and the temporary ones among them.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    all: Weight,
    temp: Weight,
}

/// Sums by cell and backtrace.
#[derive(Debug, Default)]
pub(super) struct Short {
    rows: Vec<Row>,
    /// Where the rows of each cell end.
    ends: Vec<usize>,
    /// The cell in progress.
    current: Table<BacktraceId, Sum>,
    /// Its backtraces, each once.
    touched: Vec<BacktraceId>,
}

impl Short {
    /// Adds a block to the cell in progress.
    #[inline]
    pub(super) fn add(&mut self, block: &Lifetime, weight: Weight) {
        let temp = if block.is(flags::TEMPORARY) { weight } else { Weight::default() };
        self.add_sum(block.backtrace, Sum { all: weight, temp });
    }

    #[inline]
    fn add_sum(&mut self, backtrace: BacktraceId, sum: Sum) {
        let known = self.current.of(backtrace);
        if known.all.blocks == 0 {
            self.touched.push(backtrace);
        }
        known.all += sum.all;
        known.temp += sum.temp;
    }

    /// Ends the cell in progress.
    pub(super) fn turn(&mut self) {
        self.touched.sort_unstable();
        for backtrace in std::mem::take(&mut self.touched) {
            let mut sum = std::mem::take(self.current.of(backtrace));
            // Of a sample a few blocks can stand for very many.
            while sum.all.blocks > 0 || sum.all.bytes > 0 {
                let take = |blocks: &mut u64| {
                    let taken = (*blocks).min(u64::from(u32::MAX));
                    *blocks -= taken;
                    taken as u32
                };
                self.rows.push(Row {
                    bytes: std::mem::take(&mut sum.all.bytes),
                    temp_bytes: std::mem::take(&mut sum.temp.bytes),
                    blocks: take(&mut sum.all.blocks),
                    temp_blocks: take(&mut sum.temp.blocks),
                    backtrace,
                });
            }
        }
        self.ends.push(self.rows.len());
    }

    /// Joins cells two by two, with blocks that became short by it. `more` hands them over, by cell. There must be an
    /// even number of cells, and none in progress.
    pub(super) fn join(
        &mut self,
        cell_of: impl Fn(&Lifetime) -> u32,
        weigh: impl Fn(&Lifetime) -> Weight,
        more: impl FnOnce(&mut dyn FnMut(&Lifetime)),
    ) {
        let before = std::mem::take(self);
        let cells = (before.ends.len() / 2) as u32;
        let mut cell = 0;
        self.add_rows(&before, 0);
        more(&mut |block| {
            while cell < cell_of(block) && cell + 1 < cells {
                self.turn();
                cell += 1;
                self.add_rows(&before, cell);
            }
            self.add(block, weigh(block));
        });
        for next in cell + 1..cells {
            self.turn();
            self.add_rows(&before, next);
        }
        self.turn();
        self.rows.shrink_to_fit();
    }

    /// Adds two cells of `before` to the one in progress.
    fn add_rows(&mut self, before: &Short, cell: u32) {
        for row in &before.rows[before.range(2 * cell..2 * cell + 2)] {
            let all = Weight { bytes: row.bytes, blocks: u64::from(row.blocks) };
            let temp = Weight { bytes: row.temp_bytes, blocks: u64::from(row.temp_blocks) };
            self.add_sum(row.backtrace, Sum { all, temp });
        }
    }

    /// Calls `visit` with the sums of some cells; of the temporary ones alone where asked.
    pub(super) fn each(
        &self,
        cells: Range<u32>,
        temporary: bool,
        mut visit: impl FnMut(BacktraceId, Weight),
    ) {
        for row in &self.rows[self.range(cells)] {
            let (bytes, blocks) =
                if temporary { (row.temp_bytes, row.temp_blocks) } else { (row.bytes, row.blocks) };
            if blocks > 0 || bytes > 0 {
                visit(row.backtrace, Weight { bytes, blocks: u64::from(blocks) });
            }
        }
    }

    fn range(&self, cells: Range<u32>) -> Range<usize> {
        let end = |cells: u32| match (cells as usize).min(self.ends.len()).checked_sub(1) {
            Some(last) => self.ends[last],
            None => 0,
        };
        let first = end(cells.start);
        first..end(cells.end).max(first)
    }

    pub(super) fn bytes(&self) -> u64 {
        let rows = self.rows.capacity() * size_of::<Row>();
        let own = self.ends.capacity() * size_of::<usize>() + self.touched.capacity() * 4;
        (rows + own) as u64 + self.current.bytes()
    }
}
