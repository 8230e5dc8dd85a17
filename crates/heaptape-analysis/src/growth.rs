//! The live bytes of every backtrace at equally spaced moments, and which of them only grow.
//!
//! Moment i of n (from 0) is the end of the i-th of n equal parts of the recording: all events up to that time have
//! happened, and the last moment is the end. *Growing* means: at [`MOMENTS`] of them the live bytes never fell, and
//! they rose in at least four of the steps.

use crate::estimate::Weigh;
use crate::table::Table;
use heaptape_tape::{BacktraceId, Effect, LiveBlock, LiveSet};

/// Moments that are compared.
pub const MOMENTS: usize = 16;
/// Steps in which the bytes must have risen.
const MIN_RISES: usize = 4;

/// Of one backtrace.
#[derive(Clone, Copy, Default)]
struct Row {
    live_bytes: u64,
    /// Blocks that ever began.
    begun: u64,
}

/// Follows the live bytes of every backtrace. Memory: 16 bytes a backtrace, and 16 for each that is
/// live at one of the moments.
pub struct Growth<W> {
    weigh: W,
    start_ns: u64,
    end_ns: u64,
    /// How many moments there are.
    count: usize,
    rows: Table<BacktraceId, Row>,
    /// Of the moments that have passed: who had how many live bytes, without those that had none.
    moments: Vec<Vec<(BacktraceId, u64)>>,
    /// The last time that is not after the next moment.
    until_ns: u64,
}

impl<W: Weigh> Growth<W> {
    /// Follows a process from `start_ns` to `end_ns` that begins with `live`, at [`MOMENTS`] moments.
    pub fn new(weigh: W, start_ns: u64, end_ns: u64, live: &LiveSet) -> Growth<W> {
        Growth::at_moments(weigh, start_ns, end_ns, MOMENTS, live)
    }

    /// The same at `count` moments.
    pub fn at_moments(
        weigh: W,
        start_ns: u64,
        end_ns: u64,
        count: usize,
        live: &LiveSet,
    ) -> Growth<W> {
        let (rows, moments) = (Table::default(), Vec::new());
        let mut growth = Growth { weigh, start_ns, end_ns, count, rows, moments, until_ns: 0 };
        growth.until_ns = growth.next_moment();
        live.blocks().for_each(|block| growth.begin(block));
        growth
    }

    /// Takes notice of what an event at `time_ns` did.
    #[inline]
    pub fn note(&mut self, time_ns: u64, effect: &Effect<&LiveBlock>) {
        while time_ns > self.until_ns {
            self.take_moment();
        }
        if let Some(block) = effect.gone() {
            self.end(block);
        }
        if let Some(block) = effect.come() {
            self.begin(block);
        }
    }

    /// When the next moment is; the end of all times after the last one.
    fn next_moment(&self) -> u64 {
        if self.moments.len() >= self.count {
            return u64::MAX;
        }
        let span = u128::from(self.end_ns.saturating_sub(self.start_ns));
        self.start_ns + (span * (self.moments.len() as u128 + 1) / self.count as u128) as u64
    }

    #[cold]
    fn take_moment(&mut self) {
        let live = self.rows.iter().filter(|(_, row)| row.live_bytes > 0);
        self.moments.push(live.map(|(id, row)| (id, row.live_bytes)).collect());
        self.until_ns = self.next_moment();
    }

    #[inline]
    fn begin(&mut self, block: &LiveBlock) {
        let bytes = self.weigh.weigh(block).bytes;
        let row = self.rows.of(block.backtrace);
        row.live_bytes = row.live_bytes.saturating_add(bytes);
        row.begun += 1;
    }

    #[inline]
    fn end(&mut self, block: &LiveBlock) {
        let bytes = self.weigh.weigh(block).bytes;
        let row = self.rows.of(block.backtrace);
        row.live_bytes = row.live_bytes.saturating_sub(bytes);
    }

    /// The history is over: later moments see what is live now.
    pub fn finish(&mut self) {
        while self.moments.len() < self.count {
            self.take_moment();
        }
    }

    /// Every backtrace that ever had a live block, by id.
    pub fn backtraces(&self) -> impl Iterator<Item = BacktraceId> + '_ {
        self.rows.iter().filter(|(_, row)| row.begun > 0).map(|(id, _)| id)
    }

    /// How many backtraces it has room for.
    pub(crate) fn places(&self) -> u64 {
        self.rows.places()
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> u64 {
        let moments = self.moments.iter().map(|moment| moment.capacity() as u64);
        self.rows.bytes() + moments.sum::<u64>() * size_of::<(BacktraceId, u64)>() as u64
    }

    /// Of `count` groups of backtraces, each numbered by `group`: the live bytes at each moment. Call
    /// [`Growth::finish`] first.
    pub fn sums(
        &self,
        count: usize,
        mut group: impl FnMut(BacktraceId) -> Option<usize>,
    ) -> Vec<Vec<u64>> {
        let mut sums = vec![vec![0_u64; self.count]; count];
        for (index, moment) in self.moments.iter().enumerate() {
            for &(backtrace, bytes) in moment {
                if let Some(group) = group(backtrace) {
                    sums[group][index] = sums[group][index].saturating_add(bytes);
                }
            }
        }
        sums
    }
}

/// Whether live bytes at some moments only grew: see the module.
pub fn only_grew(sums: &[u64]) -> bool {
    let mut before = 0;
    let mut rises = 0;
    for &bytes in sums {
        if bytes < before {
            return false;
        }
        rises += usize::from(bytes > before);
        before = bytes;
    }
    rises >= MIN_RISES
}
