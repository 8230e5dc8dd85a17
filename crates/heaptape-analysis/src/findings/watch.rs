//! What the rules need of the events, gathered while they go by for something else.

use super::chains::{Chained, Chains};
use crate::estimate::Weigh;
use crate::metric::Weight;
use crate::table::Table;
use heaptape_tape::{Action, BacktraceId, Effect, Event, LiveBlock};
use rustc_hash::FxHashMap;

/// Most backtraces whose calls for no bytes are told apart; there are hardly ever more than a few.
const MOST_EMPTY: usize = 1 << 16;

/// Gathers. Memory: 16 bytes a backtrace, and a chain for each live block that came of a realloc.
pub struct Watch<W> {
    weigh: W,
    temporaries: Table<BacktraceId, Weight>,
    chains: Chains,
    empty: FxHashMap<BacktraceId, u64>,
    largest_failed: Option<(u64, BacktraceId)>,
}

/// What was gathered, by backtrace.
pub struct Watched {
    pub(super) temporaries: Table<BacktraceId, Weight>,
    pub(super) chains: FxHashMap<BacktraceId, Chained>,
    pub(super) empty: FxHashMap<BacktraceId, u64>,
    pub(super) largest_failed: Option<(u64, BacktraceId)>,
}

impl<W: Weigh> Watch<W> {
    /// Nothing yet, of a process with pages of that size.
    pub fn new(weigh: W, page_bytes: u64) -> Watch<W> {
        Watch {
            weigh,
            temporaries: Table::default(),
            chains: Chains::new(page_bytes),
            empty: FxHashMap::default(),
            largest_failed: None,
        }
    }

    /// A block turned out temporary.
    #[inline]
    pub fn temporary(&mut self, block: &LiveBlock) {
        *self.temporaries.of(block.backtrace) += self.weigh.weigh(block);
    }

    /// Takes notice of an event and what it did.
    #[inline]
    pub fn note(&mut self, event: &Event, effect: &Effect<&LiveBlock>) {
        self.chains.note(event, effect);
        if event.size == 0 && event.action == Action::Alloc {
            self.note_empty(event.backtrace);
        }
        if matches!(event.action, Action::AllocFail | Action::ReallocFail) {
            let largest = self.largest_failed.get_or_insert((event.size, event.backtrace));
            if event.size > largest.0 {
                *largest = (event.size, event.backtrace);
            }
        }
    }

    #[cold]
    fn note_empty(&mut self, backtrace: BacktraceId) {
        if self.empty.len() < MOST_EMPTY || self.empty.contains_key(&backtrace) {
            *self.empty.entry(backtrace).or_default() += 1;
        }
    }

    /// The history is over.
    pub fn finish(self) -> Watched {
        Watched {
            temporaries: self.temporaries,
            chains: self.chains.finish(),
            empty: self.empty,
            largest_failed: self.largest_failed,
        }
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> u64 {
        let empty = self.empty.capacity() * (size_of::<(BacktraceId, u64)>() + 1);
        self.temporaries.bytes() + self.chains.bytes() + empty as u64
    }
}
