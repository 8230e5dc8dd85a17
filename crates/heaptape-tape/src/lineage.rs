//! What a forked process inherited: the heaps of its ancestors at the forks that lead to it.
//!
//! Children are asked for one after the other, in the order of their births. So the ancestors of the one
//! asked for last are remembered, and the next asker rolls them forward from there: a walk over all
//! children of a busy parent reads the parent's history once, not once for each child.
//!
//! A fork is told before it happens. What other threads of the parent do in between is in the child's
//! memory, but comes after the fork in the parent's history. Of a child whose parent had a second thread
//! by then, and of all its descendants, the inherited heap is therefore known only nearly: see
//! [`LiveSet::with_nearly_inherited`].

use crate::limits::live_bytes;
use crate::live::{LiveBlock, LiveSet};
use crate::model::*;
use crate::read::{Tape, TapeError};
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};

/// The own sets of the ancestors that were asked for last. Whoever needs them takes them out; whoever needs
/// their memory drops them.
#[derive(Debug, Default)]
pub(crate) struct Remembered(Mutex<FxHashMap<ProcessId, LiveSet>>);

impl Remembered {
    fn take(&self) -> FxHashMap<ProcessId, LiveSet> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// About the bytes that they take.
    pub(crate) fn bytes(&self) -> u64 {
        let sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sets.values().map(LiveSet::bytes_at_rest).sum()
    }

    pub(crate) fn forget(&self) {
        drop(self.take());
    }

    fn put(&self, sets: FxHashMap<ProcessId, LiveSet>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = sets;
    }
}

/// A parent, and after how many of its events it forked.
type Fork = (ProcessId, EventIndex);

/// The blocks of a process that inherited some.
pub(crate) struct Heritage {
    /// By address.
    pub(crate) blocks: FxHashMap<u64, LiveBlock>,
    /// Whether those that were inherited are all, exactly.
    pub(crate) exact: bool,
}

impl Tape {
    pub(crate) fn forked_from(&self, process: ProcessId) -> Option<(ProcessId, EventIndex)> {
        self.processes().get(process.0 as usize)?.forked_from
    }

    /// The blocks of a process that inherited some, with what it did since: its own set. `None` when its
    /// heap began empty.
    pub(crate) fn heritage(
        &self,
        process: ProcessId,
        own: &LiveSet,
    ) -> Result<Option<Heritage>, TapeError> {
        let (forks, exact) = self.forks_to(process)?;
        if forks.is_empty() {
            return Ok(None);
        }
        let ancestors = self.ancestors(&forks, own.bytes_at_rest())?;
        let sets = || ancestors.iter().rev().map(|(_, set)| set).chain([own]);
        let most = sets().map(|set| set.totals().live_blocks).sum();
        let held: u64 = sets().map(LiveSet::bytes_at_rest).sum();
        // All sets are there while the map is made, and the map while a set is made from it.
        self.afford(held.saturating_add(map_bytes(most)).saturating_add(live_bytes(most)))?;
        let mut blocks = FxHashMap::with_capacity_and_hasher(most as usize, FxBuildHasher);
        for set in sets() {
            lay_over(&mut blocks, set);
        }
        self.remembered.put(ancestors.into_iter().collect());
        Ok(Some(Heritage { blocks, exact }))
    }

    /// The forks that lead to a process, the last first: the parent and how many events it had; and whether
    /// all were made by parents of one thread.
    fn forks_to(&self, mut child: ProcessId) -> Result<(Vec<Fork>, bool), TapeError> {
        let (mut forks, mut exact) = (Vec::new(), true);
        while let Some((parent, event)) = self.forked_from(child) {
            self.check_inherited(child, parent, event)?;
            exact &= !self.had_second_thread(parent, child);
            forks.push((parent, event));
            child = parent;
        }
        Ok((forks, exact))
    }

    /// The own sets of the parents at these forks, where so many bytes are taken already.
    fn ancestors(
        &self,
        forks: &[Fork],
        beside: u64,
    ) -> Result<Vec<(ProcessId, LiveSet)>, TapeError> {
        let mut remembered = self.remembered.take();
        let events: FxHashMap<ProcessId, EventIndex> = forks.iter().copied().collect();
        remembered.retain(|parent, set| {
            events.get(parent).is_some_and(|&event| set.totals().events <= event)
        });
        let mut held =
            remembered.values().map(LiveSet::bytes_at_rest).fold(beside, u64::saturating_add);
        let mut ancestors = Vec::with_capacity(forks.len());
        for &(parent, event) in forks {
            let known = remembered.remove(&parent);
            held -= known.as_ref().map_or(0, LiveSet::bytes_at_rest);
            let own = self.own_at(parent, event, known, held)?;
            held = held.saturating_add(own.bytes_at_rest());
            ancestors.push((parent, own));
        }
        Ok(ancestors)
    }

    /// Whether a parent had more than one thread when the child was forked, as far as it is known: ends
    /// of threads are not.
    fn had_second_thread(&self, parent: ProcessId, child: ProcessId) -> bool {
        let born = self.processes()[child.0 as usize].start;
        self.second_threads.get(&parent).is_some_and(|&second| second <= born)
    }

    /// Whether the history of `parent` up to the fork is on the tape.
    fn check_inherited(
        &self,
        child: ProcessId,
        parent: ProcessId,
        event: EventIndex,
    ) -> Result<(), TapeError> {
        let (child, known, parent_id) = (child.0, self.event_count(parent), parent.0);
        if event <= known {
            return Ok(());
        }
        Err(TapeError::Damaged(format!(
            "process {child} was forked after event {event} of process {parent_id}, of which only \
             {known} are on the tape"
        )))
    }
}

/// Bytes of a map of so many blocks by address: a power of two of places, of which an eighth stays free.
fn map_bytes(blocks: u64) -> u64 {
    let places = blocks.saturating_mul(8).div_ceil(7).checked_next_power_of_two();
    places.unwrap_or(u64::MAX).saturating_mul(size_of::<(u64, LiveBlock)>() as u64 + 1)
}

/// Applies what a process did, as its own set tells it, to the blocks that it inherited.
fn lay_over(blocks: &mut FxHashMap<u64, LiveBlock>, own: &LiveSet) {
    for freed in own.inherited_freed() {
        blocks.remove(&freed);
    }
    blocks.extend(own.blocks().map(|block| (block.addr, *block)));
}

/// When the second thread of each process that has one began.
pub(crate) fn second_threads(threads: &[Thread]) -> FxHashMap<ProcessId, TimeNs> {
    let mut firsts: FxHashMap<ProcessId, TimeNs> = FxHashMap::default();
    let mut seconds: FxHashMap<ProcessId, TimeNs> = FxHashMap::default();
    for thread in threads {
        match firsts.entry(thread.process) {
            Entry::Vacant(first) => {
                first.insert(thread.start);
            }
            Entry::Occupied(mut first) => {
                let later = thread.start.max(*first.get());
                first.insert(thread.start.min(*first.get()));
                let second = seconds.entry(thread.process).or_insert(later);
                *second = later.min(*second);
            }
        }
    }
    seconds
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_second_thread_is_the_second_by_time(
            starts in prop::collection::vec((0u32..3, 0u64..9), 0..12)
        ) {
            let thread = |&(process, start)| Thread {
                id: ThreadId(0),
                process: ProcessId(process),
                tid: 1,
                name: Vec::new(),
                start: TimeNs(start),
            };
            let threads: Vec<Thread> = starts.iter().map(thread).collect();
            let seconds = second_threads(&threads);
            for process in (0..3).map(ProcessId) {
                let own = threads.iter().filter(|thread| thread.process == process);
                let mut times: Vec<TimeNs> = own.map(|thread| thread.start).collect();
                times.sort();
                prop_assert_eq!(seconds.get(&process), times.get(1));
            }
        }
    }
}
