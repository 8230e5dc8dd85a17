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

use crate::live::{LiveBlock, LiveSet};
use crate::model::*;
use crate::read::{Tape, TapeError};
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};

/// The own sets of the ancestors that were asked for last. Whoever needs them takes them out.
#[derive(Debug, Default)]
pub(crate) struct Remembered(Mutex<FxHashMap<ProcessId, LiveSet>>);

impl Remembered {
    fn take(&self) -> FxHashMap<ProcessId, LiveSet> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, sets: FxHashMap<ProcessId, LiveSet>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = sets;
    }
}

/// The blocks that a process inherited.
pub(crate) struct Heritage {
    /// By address.
    pub(crate) blocks: FxHashMap<u64, LiveBlock>,
    /// Whether these are all, exactly.
    pub(crate) exact: bool,
}

impl Tape {
    pub(crate) fn forked_from(&self, process: ProcessId) -> Option<(ProcessId, EventIndex)> {
        self.processes().get(process.0 as usize)?.forked_from
    }

    /// What a process inherited; `None` when its heap began empty.
    pub(crate) fn heritage(&self, process: ProcessId) -> Result<Option<Heritage>, TapeError> {
        let mut exact = true;
        let mut remembered = self.remembered.take();
        let mut ancestors = Vec::new();
        let mut child = process;
        while let Some((parent, event)) = self.forked_from(child) {
            self.check_inherited(child, parent, event)?;
            exact &= !self.had_second_thread(parent, child);
            let own = self.own_at(parent, event, remembered.remove(&parent))?;
            ancestors.push((parent, own));
            child = parent;
        }
        if ancestors.is_empty() {
            return Ok(None);
        }
        let mut blocks = FxHashMap::default();
        for (_, own) in ancestors.iter().rev() {
            lay_over(&mut blocks, own);
        }
        self.remembered.put(ancestors.into_iter().collect());
        Ok(Some(Heritage { blocks, exact }))
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

/// Applies what a process did, as its own set tells it, to the blocks that it inherited.
pub(crate) fn lay_over(blocks: &mut FxHashMap<u64, LiveBlock>, own: &LiveSet) {
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
