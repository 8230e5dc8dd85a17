//! The history of one address: every block that ever contained it.

use crate::free_backtraces::FreeBacktraces;
use crate::hex;
use crate::names::{self, Frame, Names};
use crate::process::ProcessName;
use crate::recording::Recording;
use heaptape_tape::{Action, BlockId, Event, LiveBlock, Process, TapeError, ThreadId};
use serde::Serialize;
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// One act on a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Act {
    /// When.
    pub time_ns: u64,
    /// Kernel thread id; 0 when the tape does not know the thread.
    pub tid: u32,
    /// The thread's name.
    pub thread: String,
    /// Which function was called.
    pub function: &'static str,
    /// Its frames, innermost first; empty when the backtrace was not recorded.
    pub backtrace: Vec<Frame>,
}

impl Act {
    /// The act that an event is, with its names.
    pub(crate) fn of(recording: &dyn Recording, names: &dyn Names, event: &Event) -> Act {
        let ThreadId(thread) = event.thread;
        let thread = recording.threads().get(thread as usize);
        Act {
            time_ns: event.time.0,
            tid: thread.map_or(0, |thread| thread.tid),
            thread: thread.map_or_else(String::new, |thread| names::text(&thread.name)),
            function: event.api.name(),
            backtrace: names::backtrace(recording, names, event.backtrace),
        }
    }

    /// The act that a block began by.
    pub(crate) fn that_began(
        recording: &dyn Recording,
        names: &dyn Names,
        block: &LiveBlock,
    ) -> Act {
        Act::of(recording, names, &allocation_of(block))
    }
}

/// A block that contained the address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PastBlock {
    /// Its number; `None` for a block inherited over `fork`, which has its parent's.
    pub block: Option<u64>,
    /// Where it started.
    #[serde(serialize_with = "hex::address")]
    pub address: u64,
    /// Bytes asked for.
    pub size: u64,
    /// Bytes the allocator gave; 0 when not known.
    pub usable: u64,
    /// The address lies so far into it; from `size` on, behind the bytes that were asked for.
    pub offset: u64,
    /// Its allocation.
    pub allocated: Act,
    /// Its end; `None` while it is live.
    pub freed: Option<Act>,
}

impl PastBlock {
    /// Its allocation, and its end if it has one.
    pub fn acts(&self) -> impl Iterator<Item = &Act> {
        std::iter::once(&self.allocated).chain(&self.freed)
    }
}

/// Something that happened at the address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Entry {
    /// A block.
    Block(PastBlock),
    /// A free of the address while no block started there: freed twice, or never allocated.
    UnmatchedFree(Act),
}

impl Entry {
    /// The free that it tells of.
    fn free(&self) -> Option<&Act> {
        match self {
            Entry::Block(block) => block.freed.as_ref(),
            Entry::UnmatchedFree(act) => Some(act),
        }
    }
}

/// The history of an address, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AddressHistory {
    /// Of which process.
    pub process: ProcessName,
    /// Which address.
    #[serde(serialize_with = "hex::address")]
    pub address: u64,
    /// Entries of the whole history.
    pub total: u64,
    /// The newest of them.
    pub entries: Vec<Entry>,
    /// Which frees have backtraces, where that of a free here is missing.
    pub free_backtraces: Option<FreeBacktraces>,
}

impl AddressHistory {
    /// Reads the whole history of a process; keeps the newest `limit` entries.
    pub fn compute(
        recording: &dyn Recording,
        names: &dyn Names,
        process: &Process,
        address: u64,
        limit: usize,
    ) -> Result<AddressHistory, TapeError> {
        let mut watch = Watch::new(address, limit.max(1));
        for block in recording.live_at_start(process.id)?.blocks() {
            watch.begin(*block, true);
        }
        let mut allocs = 0;
        recording.runs(process.id, 0..recording.event_count(process.id), &mut |events| {
            for event in events {
                allocs += u64::from(event.action.begins_block());
                watch.note(event, BlockId(allocs));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let resolve = |act: RawAct| act.resolve(recording, names);
        let entries: Vec<Entry> =
            watch.entries.into_iter().map(|raw| raw.resolve(address, resolve)).collect();
        let is_missed = entries.iter().filter_map(Entry::free).any(|act| act.backtrace.is_empty());
        Ok(AddressHistory {
            process: ProcessName::of(recording, process),
            address,
            total: watch.total,
            entries,
            free_backtraces: FreeBacktraces::missed(recording, is_missed),
        })
    }
}

/// An act before its names are known.
#[derive(Clone, Copy)]
struct RawAct(Event);

impl RawAct {
    fn resolve(self, recording: &dyn Recording, names: &dyn Names) -> Act {
        Act::of(recording, names, &self.0)
    }
}

enum RawEntry {
    Block { block: LiveBlock, inherited: bool, state: State },
    UnmatchedFree(RawAct),
}

#[derive(Clone, Copy)]
enum State {
    Live,
    /// A realloc of this thread has released it, outcome unknown.
    Releasing(RawAct),
    Freed(RawAct),
    /// Its free was not seen: another block began at its address.
    Overlaid,
}

impl RawEntry {
    fn resolve(self, address: u64, resolve: impl Fn(RawAct) -> Act) -> Entry {
        match self {
            RawEntry::UnmatchedFree(act) => Entry::UnmatchedFree(resolve(act)),
            RawEntry::Block { block, inherited, state } => Entry::Block(PastBlock {
                block: (!inherited).then_some(block.id.0),
                address: block.addr,
                size: block.size,
                usable: block.usable,
                offset: address - block.addr,
                allocated: resolve(RawAct(allocation_of(&block))),
                freed: match state {
                    State::Freed(act) | State::Releasing(act) => Some(resolve(act)),
                    State::Live | State::Overlaid => None,
                },
            }),
        }
    }
}

/// The allocation of a block, as the event that it was.
pub(crate) fn allocation_of(block: &LiveBlock) -> Event {
    Event {
        time: block.time,
        thread: block.thread,
        action: Action::Alloc,
        api: block.api,
        align_log2: block.align_log2,
        addr: block.addr,
        size: block.size,
        usable: block.usable,
        backtrace: block.backtrace,
    }
}

/// Watches one address while events go by. Memory: `limit` entries.
struct Watch {
    address: u64,
    limit: usize,
    total: u64,
    entries: VecDeque<RawEntry>,
}

impl Watch {
    fn new(address: u64, limit: usize) -> Watch {
        Watch { address, limit, total: 0, entries: VecDeque::new() }
    }

    fn push(&mut self, entry: RawEntry) {
        self.total += 1;
        if self.entries.len() == self.limit {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    fn begin(&mut self, block: LiveBlock, inherited: bool) {
        let length = block.size.max(block.usable).max(1);
        if block.addr <= self.address && self.address - block.addr < length {
            self.push(RawEntry::Block { block, inherited, state: State::Live });
        }
    }

    /// The newest block at `addr` whose state passes.
    fn find(&mut self, addr: u64, wanted: impl Fn(&State) -> bool) -> Option<&mut State> {
        self.entries.iter_mut().rev().find_map(|entry| match entry {
            RawEntry::Block { block, state, .. } if block.addr == addr && wanted(state) => {
                Some(state)
            }
            _ => None,
        })
    }

    fn note(&mut self, event: &Event, number: BlockId) {
        if event.action != Action::ReallocFail {
            self.settle(event);
        }
        match event.action {
            Action::Alloc | Action::ReallocAlloc => {
                if let Some(state) = self.find(event.addr, |s| matches!(s, State::Live)) {
                    *state = State::Overlaid;
                }
                self.begin(LiveBlock::begun_by(event, number), false);
            }
            Action::Free | Action::ReallocRelease => {
                let end = RawAct(*event);
                let released = event.action == Action::ReallocRelease;
                let here = event.addr == self.address;
                match self.find(event.addr, |s| matches!(s, State::Live)) {
                    Some(state) if released => *state = State::Releasing(end),
                    Some(state) => *state = State::Freed(end),
                    None if here => {
                        self.push(RawEntry::UnmatchedFree(end));
                    }
                    None => {}
                }
            }
            Action::ReallocFail => {
                let own =
                    |s: &State| matches!(s, State::Releasing(act) if act.0.thread == event.thread);
                if let Some(state) = self.find(event.addr, own) {
                    *state = State::Live;
                }
            }
            Action::AllocFail | Action::Map | Action::Unmap => {}
        }
    }

    /// The thread goes on, and its realloc did not fail: what it had released is freed for good.
    fn settle(&mut self, event: &Event) {
        for entry in &mut self.entries {
            if let RawEntry::Block { state, .. } = entry
                && let State::Releasing(act) = *state
                && act.0.thread == event.thread
            {
                *state = State::Freed(act);
            }
        }
    }
}
