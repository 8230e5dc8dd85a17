//! Which backtraces' live bytes only grow.
//!
//! *Growing* means: at 16 equally spaced moments of the recording the live bytes never fell, and they
//! rose in at least four of the steps.

use heaptape_tape::{BacktraceId, Effect, LiveBlock, LiveSet};
use rustc_hash::FxHashMap;

/// Moments that are compared.
const MOMENTS: usize = 16;
/// Steps in which the bytes must have risen.
const MIN_RISES: usize = 4;

#[derive(Clone, Copy, Default)]
struct Row {
    live_bytes: u64,
    at: [u64; MOMENTS],
}

/// Follows the live bytes of every backtrace. Memory: 144 bytes a backtrace.
pub struct Growth {
    start_ns: u64,
    end_ns: u64,
    /// Moments that have passed.
    passed: usize,
    rows: FxHashMap<BacktraceId, Row>,
}

impl Growth {
    /// Follows a process from `start_ns` to `end_ns` that begins with `live`.
    pub fn new(start_ns: u64, end_ns: u64, live: &LiveSet) -> Growth {
        let mut growth = Growth { start_ns, end_ns, passed: 0, rows: FxHashMap::default() };
        live.blocks().for_each(|block| growth.begin(block));
        growth
    }

    /// Takes notice of what an event at `time_ns` did.
    pub fn note(&mut self, time_ns: u64, effect: &Effect) {
        while self.passed < MOMENTS && time_ns > self.moment(self.passed) {
            self.take_moment();
        }
        match effect {
            Effect::Began(block, overlaid) => {
                if let Some(gone) = overlaid {
                    self.end(gone);
                }
                self.begin(block);
            }
            Effect::Ended(block) => self.end(block),
            Effect::Restored(block) => self.begin(block),
            Effect::EndedInherited | Effect::Unmatched | Effect::Nothing => {}
        }
    }

    fn moment(&self, index: usize) -> u64 {
        let span = u128::from(self.end_ns.saturating_sub(self.start_ns));
        self.start_ns + (span * (index as u128 + 1) / MOMENTS as u128) as u64
    }

    fn take_moment(&mut self) {
        for row in self.rows.values_mut() {
            row.at[self.passed] = row.live_bytes;
        }
        self.passed += 1;
    }

    fn begin(&mut self, block: &LiveBlock) {
        let row = self.rows.entry(block.backtrace).or_default();
        row.live_bytes = row.live_bytes.saturating_add(block.size);
    }

    fn end(&mut self, block: &LiveBlock) {
        if let Some(row) = self.rows.get_mut(&block.backtrace) {
            row.live_bytes = row.live_bytes.saturating_sub(block.size);
        }
    }

    /// The history is over: later moments see what is live now.
    pub fn finish(&mut self) {
        while self.passed < MOMENTS {
            self.take_moment();
        }
    }

    /// Every backtrace that ever had a live block, in no order.
    pub fn backtraces(&self) -> impl Iterator<Item = BacktraceId> + '_ {
        self.rows.keys().copied()
    }

    /// Whether the sum over these backtraces only grew. Call [`Growth::finish`] first.
    pub fn is_growing(&self, backtraces: impl Iterator<Item = BacktraceId>) -> bool {
        let mut sum = [0_u64; MOMENTS];
        for row in backtraces.filter_map(|id| self.rows.get(&id)) {
            sum.iter_mut().zip(row.at).for_each(|(sum, bytes)| *sum = sum.saturating_add(bytes));
        }
        let mut before = 0;
        let mut rises = 0;
        for bytes in sum {
            if bytes < before {
                return false;
            }
            rises += usize::from(bytes > before);
            before = bytes;
        }
        rises >= MIN_RISES
    }
}
