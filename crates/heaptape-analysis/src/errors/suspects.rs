//! The first pass: which ends of blocks are wrong, and where the unknown ones point.
//!
//! This goes along with every event, so it does next to nothing for a right one. What it keeps is bounded;
//! beyond the bounds it counts.

use super::offence::{Offence, offence};
use super::operators::Operators;
use crate::names::Names;
use crate::recording::Recording;
use crate::replay::Gather;
use heaptape_tape::{Api, BacktraceId, Effect, Event, LiveBlock, ProcessId, TimeNs, Totals};
use rustc_hash::{FxHashMap, FxHashSet};

/// Different errors that are told apart.
pub(super) const MAX_GROUPS: usize = 4096;
/// Different addresses that were freed without being a block, of which the history is looked up.
const MAX_ADDRESSES: usize = 1 << 16;

/// How often, and when first and last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) count: u64,
    pub(super) first: TimeNs,
    pub(super) last: TimeNs,
}

impl Times {
    pub(super) fn once(time: TimeNs) -> Times {
        Times { count: 1, first: time, last: time }
    }

    pub(super) fn again(&mut self, time: TimeNs) {
        self.count += 1;
        self.last = time;
    }
}

/// What is the same of all errors of a group.
type Likeness = (Offence, Api, Api, BacktraceId, BacktraceId);

/// Blocks that ended in a wrong way, all alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Misfit {
    pub(super) offence: Offence,
    /// The first of them.
    pub(super) block: LiveBlock,
    /// Its end.
    pub(super) event: Event,
    pub(super) times: Times,
}

/// What one pass over the events of a process gathers for [`Errors`](super::Errors).
pub struct Suspects<'a> {
    pub(super) operators: Operators<'a>,
    misfits: Vec<Misfit>,
    by_likeness: FxHashMap<Likeness, usize>,
    unmatched: FxHashSet<u64>,
    /// Ends of which nothing more is known than that they were wrong.
    pub(super) unexamined: u64,
}

impl<'a> Suspects<'a> {
    /// Nothing yet, of this process.
    pub fn of(recording: &'a dyn Recording, names: &'a dyn Names, process: ProcessId) -> Self {
        Suspects {
            operators: Operators::of(recording, names, process),
            misfits: Vec::new(),
            by_likeness: FxHashMap::default(),
            unmatched: FxHashSet::default(),
            unexamined: 0,
        }
    }

    /// Takes notice of an event and of what it did.
    #[inline(always)]
    pub fn note(&mut self, event: &Event, effect: &Effect<&LiveBlock>) {
        match effect {
            Effect::Ended(block) => {
                if let Some(offence) = offence(block, event) {
                    self.misfit(offence, block, event);
                } else if self.operators.present {
                    self.compare_sides(block, event);
                }
            }
            Effect::Unmatched => self.unmatched(event.addr),
            _ => {}
        }
    }

    /// The same functions of C may have been called by operators that are part of the program.
    #[inline(never)]
    fn compare_sides(&mut self, block: &LiveBlock, event: &Event) {
        if !self.operators.took(block).meets(self.operators.gave(event)) {
            self.misfit(Offence::Family, block, event);
        }
    }

    #[cold]
    fn misfit(&mut self, offence: Offence, block: &LiveBlock, event: &Event) {
        let likeness = (offence, block.api, event.api, block.backtrace, event.backtrace);
        if let Some(&at) = self.by_likeness.get(&likeness) {
            self.misfits[at].times.again(event.time);
        } else if self.misfits.len() < MAX_GROUPS {
            self.by_likeness.insert(likeness, self.misfits.len());
            let times = Times::once(event.time);
            self.misfits.push(Misfit { offence, block: *block, event: *event, times });
        } else {
            self.unexamined += 1;
        }
    }

    #[cold]
    fn unmatched(&mut self, addr: u64) {
        if self.unmatched.len() < MAX_ADDRESSES {
            self.unmatched.insert(addr);
        }
    }

    pub(super) fn misfits(&self) -> &[Misfit] {
        &self.misfits
    }

    /// The addresses that were freed without being a block, sorted.
    pub(super) fn addresses(&self) -> Vec<u64> {
        let mut addresses: Vec<u64> = self.unmatched.iter().copied().collect();
        addresses.sort_unstable();
        addresses
    }
}

impl Gather for Suspects<'_> {
    #[inline(always)]
    fn note(&mut self, event: &Event, effect: &Effect<&LiveBlock>, _: &Totals) {
        Suspects::note(self, event, effect);
    }
}
