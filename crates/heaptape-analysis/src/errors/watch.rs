//! The second pass: what had been at the addresses that were freed without being a block.
//!
//! Only those addresses are watched, so their whole history is known however long the recording is, and
//! nothing is ever forgotten. It is made only where the first pass found some.

use crate::recording::Recording;
use heaptape_tape::{
    Action, BlockId, Effect, Event, LiveBlock, LiveSet, Process, ProcessId, TapeError, ThreadId,
};
use rustc_hash::FxHashMap;
use std::ops::{ControlFlow, Range};

/// Wrong ends that are looked at one by one.
const MAX_FOUND: usize = 1 << 16;
/// Bytes between an address and a block, at most, where it is told that the block is near.
const NEAR: u64 = 64;

/// A block that lies, or lay, over a watched address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    pub(super) block: LiveBlock,
    /// Allocated by an ancestor of the process: its number is another process's.
    pub(super) inherited: bool,
    pub(super) state: State,
}

/// What became of a block.
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    Live,
    /// This realloc has given it up and has not come back yet.
    Releasing(Event),
    /// This free, or realloc to no bytes, ended it.
    Freed(Event),
    /// This realloc moved it.
    Moved(Event, MovedTo),
    /// Another block began over it: its end was not seen.
    Unseen,
}

/// Where a realloc put a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct MovedTo {
    pub(super) addr: u64,
    pub(super) block: BlockId,
}

/// A free or realloc of what was no live block.
#[derive(Clone, Debug)]
pub(super) struct Wrong {
    pub(super) event: Event,
    /// The newest block that began at the address.
    pub(super) began_here: Option<Past>,
    /// The newest block over the address, if it is another one.
    pub(super) around: Option<Past>,
    /// The block nearest to the address, if none ever lay over it; a live one before one that had ended.
    pub(super) beside: Option<Past>,
    /// An inherited block of which nothing is known was freed at the address by this.
    pub(super) inherited_freed: Option<Event>,
    /// The program's own mapping over the address.
    pub(super) mapped: Option<Event>,
    /// Nothing more was heard of its thread.
    pub(super) is_last: bool,
}

#[derive(Clone, Default)]
struct Watched {
    addr: u64,
    began_here: Option<Past>,
    around: Option<Past>,
    beside: Option<Past>,
    inherited_freed: Option<Event>,
    mapped: Option<Event>,
}

/// What the second pass finds.
#[derive(Default)]
pub(super) struct Found {
    pub(super) wrong: Vec<Wrong>,
    /// Wrong ends beyond the bound.
    pub(super) more: u64,
}

/// Reads the history of a process, and that of its ancestors up to its birth, for what had been at `addresses`,
/// which are sorted.
pub(super) fn find(
    recording: &dyn Recording,
    process: &Process,
    addresses: &[u64],
) -> Result<Found, TapeError> {
    if addresses.is_empty() {
        return Ok(Found::default());
    }
    let watched = |&addr: &u64| Watched { addr, ..Watched::default() };
    let mut watch = Watch {
        watched: addresses.iter().map(watched).collect(),
        inherited: true,
        ..Watch::default()
    };
    for (ancestor, events) in ancestors(recording, process) {
        watch.follow(recording, ancestor, 0..events)?;
        watch.pending.clear();
    }
    watch.found = Found::default();
    watch.last_of.clear();
    watch.inherited = false;
    watch.follow(recording, process.id, 0..recording.event_count(process.id))?;
    for &at in watch.last_of.values() {
        watch.found.wrong[at].is_last = true;
    }
    Ok(watch.found)
}

/// The ancestors by fork, oldest first, each with the number of its events before the fork.
fn ancestors(recording: &dyn Recording, process: &Process) -> Vec<(ProcessId, u64)> {
    let mut chain = Vec::new();
    let mut of = process;
    // A parent has a smaller number: this ends.
    while let Some((parent, events)) = of.forked_from.filter(|(parent, _)| *parent < of.id) {
        let Some(found) = recording.processes().get(parent.0 as usize) else { break };
        chain.push((parent, events));
        of = found;
    }
    chain.reverse();
    chain
}

/// The bytes of a block that are its own, one at least.
fn bytes(block: &LiveBlock) -> u64 {
    block.size.max(block.usable).max(1)
}

impl Past {
    /// Bytes from the address to the block; 0 within it.
    pub(super) fn distance(&self, addr: u64) -> u64 {
        let last = self.block.addr.saturating_add(bytes(&self.block) - 1);
        self.block.addr.saturating_sub(addr).max(addr.saturating_sub(last))
    }
}

impl Watched {
    /// A block has begun near the address.
    fn bring_near(&mut self, past: Past) {
        let is_nearer = |before: &Past| {
            !matches!(before.state, State::Live)
                || past.distance(self.addr) <= before.distance(self.addr)
        };
        if self.beside.as_ref().is_none_or(is_nearer) {
            self.beside = Some(past);
        }
    }
}

#[derive(Default)]
struct Watch {
    /// By address.
    watched: Vec<Watched>,
    /// The block that each thread's realloc has given up.
    pending: FxHashMap<ThreadId, (LiveBlock, Event)>,
    inherited: bool,
    found: Found,
    /// The wrong end of each thread that was its last event so far.
    last_of: FxHashMap<ThreadId, usize>,
}

impl Watch {
    fn follow(
        &mut self,
        recording: &dyn Recording,
        process: ProcessId,
        events: Range<u64>,
    ) -> Result<(), TapeError> {
        let mut live: LiveSet = recording.live_at_start(process)?;
        recording.runs(process, events, &mut |events| {
            for event in events {
                let effect = live.apply(event);
                self.note(event, &effect);
            }
            recording.afford(live.bytes()).map(ControlFlow::Continue)
        })
    }

    fn note(&mut self, event: &Event, effect: &Effect) {
        if !self.last_of.is_empty() {
            self.last_of.remove(&event.thread);
        }
        let released =
            if self.pending.is_empty() { None } else { self.pending.remove(&event.thread) };
        if let Some((block, release)) = released
            && event.action != Action::ReallocFail
        {
            self.settle(&block, &release, event, effect);
        }
        match *effect {
            Effect::Began(block, _) => self.begin(block),
            Effect::Ended(block) => self.end(&block, event),
            Effect::Restored(block) => {
                self.set_state(&block, State::Live);
            }
            Effect::EndedInherited => {
                if let Some(watched) = self.exactly(event.addr) {
                    watched.inherited_freed = Some(*event);
                }
            }
            Effect::Unmatched => self.wrong(event),
            Effect::Nothing => self.map(event),
        }
    }

    fn begin(&mut self, block: LiveBlock) {
        let past = Past { block, inherited: self.inherited, state: State::Live };
        for watched in self.near(&block) {
            if past.distance(watched.addr) > 0 {
                watched.bring_near(past);
            } else if watched.addr == block.addr {
                watched.began_here = Some(past);
                watched.around = None;
                watched.inherited_freed = None;
            } else {
                // What began here is over: something else lies here now.
                if let Some(before) = &mut watched.began_here
                    && matches!(before.state, State::Live)
                {
                    before.state = State::Unseen;
                }
                watched.around = Some(past);
            }
        }
    }

    fn end(&mut self, block: &LiveBlock, event: &Event) {
        let is_realloc = event.action == Action::ReallocRelease;
        let state = if is_realloc { State::Releasing(*event) } else { State::Freed(*event) };
        if self.set_state(block, state) && is_realloc {
            self.pending.insert(event.thread, (*block, *event));
        }
    }

    /// A thread's realloc of `block` is over, and did not fail: `event` is its outcome, or something later where
    /// it was a free.
    fn settle(&mut self, block: &LiveBlock, release: &Event, event: &Event, effect: &Effect) {
        let state = match (event.action, effect) {
            (Action::ReallocAlloc, Effect::Began(new, _)) => {
                State::Moved(*release, MovedTo { addr: new.addr, block: new.id })
            }
            _ => State::Freed(*release),
        };
        self.set_state(block, state);
    }

    /// Notes what became of a block; whether any watched address cares.
    fn set_state(&mut self, block: &LiveBlock, state: State) -> bool {
        let mut any = false;
        for watched in self.near(block) {
            let pasts = [&mut watched.began_here, &mut watched.around, &mut watched.beside];
            for past in pasts.into_iter().flatten() {
                // Not the newest any more where another has begun at the address meanwhile.
                if past.block.addr == block.addr && past.block.id == block.id {
                    past.state = state;
                    any = true;
                }
            }
        }
        any
    }

    fn wrong(&mut self, event: &Event) {
        let Some(watched) = self.exactly(event.addr).cloned() else {
            self.found.more += 1;
            return;
        };
        if self.found.wrong.len() >= MAX_FOUND {
            self.found.more += 1;
            return;
        }
        self.last_of.insert(event.thread, self.found.wrong.len());
        self.found.wrong.push(Wrong {
            event: *event,
            began_here: watched.began_here,
            around: watched.around,
            beside: watched.beside,
            inherited_freed: watched.inherited_freed,
            mapped: watched.mapped,
            is_last: false,
        });
    }

    fn map(&mut self, event: &Event) {
        let mapped = match event.action {
            Action::Map => Some(*event),
            Action::Unmap => None,
            _ => return,
        };
        for watched in self.between(event.addr, event.size) {
            watched.mapped = mapped;
        }
    }

    /// The watched addresses in a block and near it.
    fn near(&mut self, block: &LiveBlock) -> &mut [Watched] {
        let start = block.addr.saturating_sub(NEAR);
        self.between(start, bytes(block).saturating_add(block.addr - start).saturating_add(NEAR))
    }

    fn between(&mut self, start: u64, length: u64) -> &mut [Watched] {
        let end = start.saturating_add(length);
        let from = self.watched.partition_point(|watched| watched.addr < start);
        let few = self.watched[from..].partition_point(|watched| watched.addr < end);
        &mut self.watched[from..from + few]
    }

    fn exactly(&mut self, addr: u64) -> Option<&mut Watched> {
        let at = self.watched.binary_search_by_key(&addr, |watched| watched.addr).ok()?;
        Some(&mut self.watched[at])
    }
}
