//! Which blocks held some addresses, and which live ones lie nearest to one of them, at a crash.

use super::guarded::Beside;
use crate::extents::block_end;
use crate::recording::Recording;
use heaptape_tape::{
    Action, BlockId, Event, GuardMechanism, LiveBlock, Moment, ProcessId, TapeError,
};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// Blocks that are remembered for each address: the newest.
const MOST_OWNERS: usize = 8;

/// A block, and its end if it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) block: LiveBlock,
    /// Whether it was inherited over fork and has its number there.
    pub(super) inherited: bool,
    /// The free; `None` while it is live.
    pub(super) ended: Option<Event>,
}

/// The blocks that held the watched addresses, oldest first, and the neighbours of one.
pub(super) struct Owners {
    /// Sorted.
    watched: Vec<u64>,
    owners: Vec<VecDeque<Owner>>,
    /// How many owners with that start are open.
    starts: FxHashMap<u64, u32>,
    /// The nearest live block that begins at the address or before it, and the nearest after it.
    pub(super) before: Option<Owner>,
    pub(super) after: Option<Owner>,
    /// The newest mapping that held `around` and was unmapped: start and length.
    unmapped: Option<(u64, u64)>,
    around: Option<u64>,
    /// Around it, where blocks have pages of their own.
    beside: Option<Beside>,
}

impl Owners {
    /// Reads the history of a process up to `until` once. `around` is the address whose neighbours are wanted.
    pub(super) fn compute(
        recording: &dyn Recording,
        process: ProcessId,
        until: u64,
        around: Option<u64>,
        mut watched: Vec<u64>,
    ) -> Result<Owners, TapeError> {
        watched.extend(around);
        watched.sort_unstable();
        watched.dedup();
        let mut owners = Owners {
            owners: vec![VecDeque::new(); watched.len()],
            watched,
            starts: FxHashMap::default(),
            before: None,
            after: None,
            unmapped: None,
            around,
            beside: around.filter(|_| has_guard_pages(recording, process)).map(Beside::new),
        };
        for block in recording.live_at_start(process)?.blocks() {
            owners.begin(*block, true);
        }
        let mut allocs = 0;
        recording.runs(process, 0..until, &mut |events| {
            for event in events {
                allocs += u64::from(event.action.begins_block());
                owners.note(event, BlockId(allocs));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if let Some(around) = around {
            owners.find_neighbours(recording, process, until, around)?;
        }
        Ok(owners)
    }

    /// The newest block that held an address that is watched.
    pub(super) fn of(&self, address: u64) -> Option<&Owner> {
        self.all(address).last()
    }

    /// All remembered blocks that held it, oldest first.
    pub(super) fn all(&self, address: u64) -> impl DoubleEndedIterator<Item = &Owner> {
        let place = self.watched.binary_search(&address).ok();
        place.map(|place| self.owners[place].iter()).into_iter().flatten()
    }

    fn find_neighbours(
        &mut self,
        recording: &dyn Recording,
        process: ProcessId,
        until: u64,
        around: u64,
    ) -> Result<(), TapeError> {
        let threads = recording.threads();
        for block in recording.live_at(process, Moment::Event(until))?.blocks() {
            let own = threads.get(block.thread.0 as usize).is_none_or(|t| t.process == process);
            let owner = Owner { block: *block, inherited: !own, ended: None };
            let nearest = if block.addr <= around { &mut self.before } else { &mut self.after };
            let distance = |other: &Owner| other.block.addr.abs_diff(around);
            if nearest.as_ref().is_none_or(|other| distance(other) > distance(&owner)) {
                *nearest = Some(owner);
            }
        }
        Ok(())
    }

    /// The unmapped mapping that held the address whose neighbours are wanted: start and length.
    pub(super) fn unmapped(&self) -> Option<(u64, u64)> {
        self.unmapped
    }

    /// The guarded blocks around the address whose neighbours are wanted.
    pub(super) fn beside(&self) -> Option<&Beside> {
        self.beside.as_ref()
    }

    fn note_mapping(&mut self, event: &Event) {
        let Some(around) = self.around else { return };
        if event.addr <= around && around - event.addr < event.size {
            let gone = event.action == Action::Unmap;
            self.unmapped = gone.then_some((event.addr, event.size));
        }
    }

    /// The places of the watched addresses that a block holds.
    fn held_by(&self, block: &LiveBlock) -> std::ops::Range<usize> {
        let end = block_end(block).max(block.addr.saturating_add(1));
        let first = self.watched.partition_point(|&address| address < block.addr);
        first..first + self.watched[first..].partition_point(|&address| address < end)
    }

    fn begin(&mut self, block: LiveBlock, inherited: bool) {
        if let Some(beside) = &mut self.beside {
            beside.begin(Owner { block, inherited, ended: None });
        }
        for place in self.held_by(&block) {
            let owners = &mut self.owners[place];
            if owners.len() == MOST_OWNERS {
                owners.pop_front();
            }
            owners.push_back(Owner { block, inherited, ended: None });
            *self.starts.entry(block.addr).or_default() += 1;
        }
    }

    fn note(&mut self, event: &Event, number: BlockId) {
        if event.action.begins_block() {
            self.begin(LiveBlock::begun_by(event, number), false);
            return;
        }
        if let Action::Map | Action::Unmap = event.action {
            self.note_mapping(event);
            return;
        }
        let restores = event.action == Action::ReallocFail;
        if !(restores || event.action.ends_block()) {
            return;
        }
        if let Some(beside) = &mut self.beside {
            beside.note(event);
        }
        if !self.starts.contains_key(&event.addr) {
            return;
        }
        for owners in &mut self.owners {
            let newest = owners.iter_mut().rev().find(|owner| owner.block.addr == event.addr);
            if let Some(owner) = newest {
                match owner.ended {
                    None if !restores => owner.ended = Some(*event),
                    Some(end) if restores && end.action == Action::ReallocRelease => {
                        owner.ended = None;
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Whether a process has blocks on pages of their own.
fn has_guard_pages(recording: &dyn Recording, process: ProcessId) -> bool {
    recording.guarded().iter().any(|guarded| {
        guarded.process == process
            && matches!(guarded.mechanism, GuardMechanism::Markers | GuardMechanism::Mappings)
    })
}
