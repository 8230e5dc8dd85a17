//! What was allocated, by stretch of the history and backtrace: all blocks that began in it, and the temporary ones
//! among them.
//!
//! Stretches are as short as memory allows: where there are too many sums, stretches are joined two by two.

use crate::metric::Weight;
use crate::table::Table;
use heaptape_tape::BacktraceId;
use std::ops::Range;

/// What the blocks of a stretch and a backtrace weigh.
#[derive(Clone, Copy, Debug)]
struct Row {
    bytes: u64,
    temp_bytes: u64,
    blocks: u32,
    temp_blocks: u32,
    backtrace: BacktraceId,
}

/// All blocks and the temporary ones among them.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    all: Weight,
    temp: Weight,
}

/// A temporary block whose stretch was over when it ended. A thread has at most one at a time.
#[derive(Clone, Copy, Debug)]
struct Later {
    born: u32,
    backtrace: BacktraceId,
    weight: Weight,
}

/// Sums by stretch and backtrace.
#[derive(Debug)]
pub(super) struct Sums {
    /// Events of a stretch: a power of two.
    stretch: u32,
    rows: Vec<Row>,
    /// Where the rows of each stretch end.
    ends: Vec<usize>,
    later: Vec<Later>,
    /// The first event of the stretch in progress.
    begun: u32,
    current: Table<BacktraceId, Sum>,
    /// Its backtraces, each once.
    touched: Vec<BacktraceId>,
}

impl Sums {
    /// Of stretches that long to begin with.
    pub(super) fn new(stretch: u32) -> Sums {
        Sums {
            stretch,
            rows: Vec::new(),
            ends: Vec::new(),
            later: Vec::new(),
            begun: 0,
            current: Table::default(),
            touched: Vec::new(),
        }
    }

    /// A block began in the stretch in progress.
    #[inline]
    pub(super) fn add(&mut self, backtrace: BacktraceId, weight: Weight) {
        self.add_sum(backtrace, Sum { all: weight, temp: Weight::default() });
    }

    /// A block that was added turned out to be temporary.
    #[inline]
    pub(super) fn add_temporary(&mut self, born: u32, backtrace: BacktraceId, weight: Weight) {
        if born >= self.begun {
            self.current.of(backtrace).temp += weight;
        } else {
            self.later.push(Later { born, backtrace, weight });
        }
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

    /// The event of that rank is the next one: ends the stretch in progress if that was its last. Joins stretches if
    /// there would be more than `most_bytes`, as long as they have no more than `most_stretch` events then.
    pub(super) fn turn(&mut self, rank: u32, most_bytes: u64, most_stretch: u32) {
        if rank == 0 || !rank.is_multiple_of(self.stretch) {
            return;
        }
        self.end();
        self.begun = rank;
        let needed = (self.rows.len() * size_of::<Row>()) as u64;
        if needed > most_bytes && self.ends.len().is_multiple_of(2) && self.stretch < most_stretch {
            self.join();
        }
    }

    /// Ends the stretch in progress.
    fn end(&mut self) {
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

    /// Joins stretches two by two. There must be an even number of them.
    fn join(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        let ends = std::mem::take(&mut self.ends);
        let mut first = 0;
        for pair in ends.chunks(2) {
            let end = pair[pair.len() - 1];
            for row in &rows[first..end] {
                let all = Weight { bytes: row.bytes, blocks: u64::from(row.blocks) };
                let temp = Weight { bytes: row.temp_bytes, blocks: u64::from(row.temp_blocks) };
                self.add_sum(row.backtrace, Sum { all, temp });
            }
            self.end();
            first = end;
        }
        self.rows.shrink_to_fit();
        self.stretch *= 2;
    }

    /// The history is over.
    pub(super) fn finish(&mut self) {
        self.end();
        self.rows.shrink_to_fit();
        (self.current, self.touched) = Default::default();
    }

    /// Events of a stretch.
    pub(super) fn stretch(&self) -> u32 {
        self.stretch
    }

    /// Calls `visit` with the sums of some stretches; of the temporary ones alone where asked.
    pub(super) fn each(
        &self,
        stretches: Range<u32>,
        temporary: bool,
        mut visit: impl FnMut(BacktraceId, Weight),
    ) {
        for row in &self.rows[self.range(&stretches)] {
            let (bytes, blocks) =
                if temporary { (row.temp_bytes, row.temp_blocks) } else { (row.bytes, row.blocks) };
            if blocks > 0 || bytes > 0 {
                visit(row.backtrace, Weight { bytes, blocks: u64::from(blocks) });
            }
        }
        if temporary {
            let within = |later: &&Later| stretches.contains(&(later.born / self.stretch));
            self.later.iter().filter(within).for_each(|it| visit(it.backtrace, it.weight));
        }
    }

    fn range(&self, stretches: &Range<u32>) -> Range<usize> {
        let end = |stretches: u32| match (stretches as usize).min(self.ends.len()).checked_sub(1) {
            Some(last) => self.ends[last],
            None => 0,
        };
        let first = end(stretches.start);
        first..end(stretches.end).max(first)
    }

    pub(super) fn bytes(&self) -> u64 {
        let rows = self.rows.capacity() * size_of::<Row>();
        let later = self.later.capacity() * size_of::<Later>();
        let own = self.ends.capacity() * size_of::<usize>() + self.touched.capacity() * 4;
        (rows + later + own) as u64 + self.current.bytes()
    }
}
