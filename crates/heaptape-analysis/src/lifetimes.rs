//! Every block of a process with its whole life, for views that wind in all directions at once.
//!
//! One replay makes a row of each block: what it was, who asked for it, and the ranks of the events that began and
//! ended it. Ranks count the process's events from 0; a *position* is a number of events that have happened. A block
//! is live at position `p` iff it was inherited or `born < p`, and `p <= died`; from this follow all measures of
//! `docs/page.md`.
//!
//! A realloc ends one block and begins another. One that fails ends nothing: its block is live all the while, though
//! the live set of the tape is without it between the two halves. An inherited block was never begun here. A block
//! whose free was missed ends with the event that began another one at its address.

use crate::recording::Recording;
use crate::table::Table;
use crate::times::Times;
use heaptape_tape::{
    Action, BacktraceId, BlockId, Effect, Event, FORESEEN, LeakKind, LiveBlock, LiveSet, ProcessId,
    TapeError, ThreadId,
};
use rustc_hash::FxHashMap;
use std::ops::ControlFlow;

/// The rank of an event that never came: of the end of a block that was not freed, of the beginning of an inherited one.
pub const NEVER: u32 = u32::MAX;

/// Bits of [`Lifetime::flags`].
pub mod flags {
    /// Freed before the same thread's next allocation.
    pub const TEMPORARY: u8 = 1;
    /// Begun by a realloc.
    pub const FROM_REALLOC: u8 = 2;
    /// Inherited over `fork`: live from the beginning.
    pub const INHERITED: u8 = 4;
    /// Ended by a realloc.
    pub const TO_REALLOC: u8 = 8;
    /// Its free was missed: another block began at its address.
    pub const OVERLAID: u8 = 16;
}

/// A block from its first event to its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Its number; of an inherited block that in the process that allocated it.
    pub id: BlockId,
    /// Where it starts.
    pub addr: u64,
    /// Bytes asked for.
    pub size: u64,
    /// Bytes the allocator gave; 0 when not known.
    pub usable: u64,
    /// The rank of the event that began it; [`NEVER`] if it was inherited.
    pub born: u32,
    /// The rank of the event that ended it; [`NEVER`] if none did.
    pub died: u32,
    /// Who asked for it.
    pub backtrace: BacktraceId,
    /// Who freed it, if that was recorded.
    pub freed_backtrace: BacktraceId,
    /// The thread that asked for it.
    pub thread: ThreadId,
    /// The thread that freed it; that of `thread` if none did.
    pub freed_thread: ThreadId,
    /// The number of the function that was called ([`heaptape_tape::Api`]).
    pub api: u8,
    /// See [`flags`].
    pub flags: u8,
    /// What the last search for leaks said: 0 nothing, 1 definite, 2 indirect, 3 possible, 4 reachable.
    pub leak: u8,
}

impl Lifetime {
    /// Whether all of these [`flags`] are set.
    pub fn is(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// Whether it is live at a position.
    #[inline]
    pub fn is_live(&self, position: u32) -> bool {
        (self.born < position || self.is(flags::INHERITED)) && position <= self.died
    }
}

/// Whether a block is to be kept in the table. It is asked when the block has ended, or the history.
pub type Keep<'a> = dyn Fn(&Lifetime) -> bool + 'a;

/// The blocks of one process.
#[derive(Clone, Debug, Default)]
pub struct Lifetimes {
    /// The blocks that were kept: inherited ones by number, then the others in order of birth.
    pub blocks: Vec<Lifetime>,
    /// All blocks, kept or not.
    pub of_blocks: u64,
    /// How many of `blocks` were inherited.
    pub inherited: usize,
    /// The process's events.
    pub events: u32,
    /// When they happened.
    pub times: Times,
}

impl Lifetimes {
    /// Whether the ranks of a process's events fit: at most 4,294,967,294.
    pub fn fit(recording: &dyn Recording, process: ProcessId) -> bool {
        recording.event_count(process) < u64::from(NEVER)
    }

    /// Reads the whole history of a process once. Of more events than [`Lifetimes::fit`] says, the first ones.
    ///
    /// Fails where an event is missing, or as soon as memory would not do: 64 bytes a block that is kept, and about 96 a
    /// live one beside the live set.
    pub fn of(
        recording: &dyn Recording,
        process: ProcessId,
        keep: &Keep<'_>,
    ) -> Result<Lifetimes, TapeError> {
        let mut live = recording.live_at_start(process)?;
        let mut book = Book::new(0, &live, Kept { keep, blocks: Vec::new(), of_blocks: 0 });
        let mut times = Times::default();
        let events = recording.event_count(process).min(u64::from(NEVER) - 1);
        recording.runs(process, 0..events, &mut |events| {
            for some in events.chunks(FORESEEN) {
                live.foresee(some);
                for event in some {
                    book.note(event, &mut live);
                    times.note(book.events, event.time);
                }
            }
            let kept = book.ended.blocks.capacity() * size_of::<Lifetime>();
            let bytes = live.bytes().saturating_add(book.bytes()).saturating_add(kept as u64);
            recording.afford(bytes.saturating_add(times.bytes())).map(ControlFlow::Continue)
        })?;
        let events = book.events;
        let Kept { mut blocks, of_blocks, .. } = book.finish(&live);
        let first = |block: &Lifetime| !block.is(flags::INHERITED);
        blocks.sort_unstable_by_key(|it| (first(it), it.born, it.id, it.addr));
        let inherited = blocks.partition_point(|block| !first(block));
        recording.afford((blocks.capacity() * size_of::<Lifetime>()) as u64)?;
        mark_leaks(recording, process, &mut blocks)?;
        Ok(Lifetimes { blocks, of_blocks, inherited, events, times })
    }

    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> u64 {
        (self.blocks.capacity() * size_of::<Lifetime>()) as u64 + self.times.bytes()
    }
}

/// Notes what the last search for leaks said of those blocks that were live then.
pub(crate) fn mark_leaks(
    recording: &dyn Recording,
    process: ProcessId,
    blocks: &mut [Lifetime],
) -> Result<(), TapeError> {
    let Some(scan) = recording.leak_scans().iter().rfind(|scan| scan.process == process) else {
        return Ok(());
    };
    let Ok(position) = u32::try_from(scan.event) else { return Ok(()) };
    recording
        .afford((size_of_val(blocks) as u64).saturating_add(scan.blocks().saturating_mul(64)))?;
    let found = recording.leak_blocks(scan)?;
    let kinds: FxHashMap<u64, LeakKind> = found.iter().map(|it| (it.addr, it.kind)).collect();
    for block in blocks.iter_mut().filter(|block| block.is_live(position)) {
        block.leak = kinds.get(&block.addr).map_or(0, |kind| leak_class(*kind));
    }
    Ok(())
}

/// The number that blocks bear of a class ([`Lifetime::leak`]).
pub(crate) fn leak_class(kind: LeakKind) -> u8 {
    4 - kind as u8
}

/// The blocks that are to be kept.
struct Kept<'a> {
    keep: &'a Keep<'a>,
    blocks: Vec<Lifetime>,
    of_blocks: u64,
}

impl Ended for Kept<'_> {
    fn ended(&mut self, block: Lifetime) {
        self.of_blocks += 1;
        if (self.keep)(&block) {
            self.blocks.push(block);
        }
    }
}

/// Takes blocks whose whole life is known, in the order in which that is certain.
pub(crate) trait Ended {
    /// Takes a block.
    fn ended(&mut self, block: Lifetime);
}

impl Ended for Vec<Lifetime> {
    fn ended(&mut self, block: Lifetime) {
        self.push(block);
    }
}

/// A live block, as far as the live set does not know it.
#[derive(Clone, Copy)]
struct Open {
    born: u32,
    flags: u8,
}

/// Follows a history and hands over the blocks that have ended.
pub(crate) struct Book<E> {
    /// Who takes them.
    pub(crate) ended: E,
    /// The rank of the next event.
    pub(crate) events: u32,
    /// The live blocks, by address.
    open: FxHashMap<u64, Open>,
    /// Ended by a realloc of this thread whose outcome is still to come: if it fails they live on.
    releasing: FxHashMap<ThreadId, Lifetime>,
    /// Each thread's newest block.
    newest: Table<ThreadId, BlockId>,
}

impl<E: Ended> Book<E> {
    /// Of a history that begins with the event of rank `first` and these blocks.
    pub(crate) fn new(first: u32, inherited: &LiveSet, ended: E) -> Book<E> {
        let open = Open { born: NEVER, flags: flags::INHERITED };
        let open: FxHashMap<u64, Open> = inherited.blocks().map(|it| (it.addr, open)).collect();
        let (releasing, newest) = (FxHashMap::default(), Table::default());
        Book { ended, events: first, open, releasing, newest }
    }

    /// About the bytes that it takes, without what was handed over.
    pub(crate) fn bytes(&self) -> u64 {
        // A hash table has up to eight places for seven entries, and a byte beside each; it is copied when it grows.
        let open = self.open.capacity() * (size_of::<(u64, Open)>() + 2) * 3;
        let releasing = self.releasing.capacity() * (size_of::<(ThreadId, Lifetime)>() + 2) * 3;
        (open + releasing) as u64 + self.newest.bytes()
    }

    /// Applies an event to the live set, and notes what it did.
    #[inline]
    pub(crate) fn note(&mut self, event: &Event, live: &mut LiveSet) -> Effect {
        let rank = self.events;
        self.events += 1;
        // What stands where a failed realloc puts its block back is not told of: only a tape that lies has it.
        let displaced = match event.action {
            Action::ReallocFail => live.get(event.addr).copied(),
            _ => None,
        };
        let effect = live.apply(event);
        if matches!(
            event.action,
            Action::ReallocRelease | Action::ReallocAlloc | Action::ReallocFail
        ) {
            self.outcome(event, &effect);
        }
        match effect {
            Effect::Began(block, overlaid) => {
                if let Some(gone) = overlaid {
                    self.overlay(&gone, rank, event);
                }
                let from = event.action == Action::ReallocAlloc;
                let flags = if from { flags::FROM_REALLOC } else { 0 };
                self.open.insert(block.addr, Open { born: rank, flags });
                *self.newest.of(block.thread) = block.id;
            }
            Effect::Ended(block) => self.end(&block, rank, event),
            Effect::Restored(_) => {
                if let Some(gone) = displaced {
                    self.overlay(&gone, rank, event);
                }
                if let Some(block) = self.releasing.remove(&event.thread) {
                    let flags = block.flags & !(flags::TEMPORARY | flags::TO_REALLOC);
                    self.open.insert(block.addr, Open { born: block.born, flags });
                }
            }
            Effect::EndedInherited | Effect::Unmatched | Effect::Nothing => {}
        }
        effect
    }

    /// What a thread released by a realloc has ended for good, unless this event gives it back.
    #[cold]
    fn outcome(&mut self, event: &Event, effect: &Effect) {
        if !matches!(effect, Effect::Restored(_))
            && let Some(block) = self.releasing.remove(&event.thread)
        {
            self.ended.ended(block);
        }
    }

    fn end(&mut self, block: &LiveBlock, rank: u32, event: &Event) {
        let mut ended = self.close(block);
        ended.died = rank;
        ended.freed_backtrace = event.backtrace;
        ended.freed_thread = event.thread;
        if self.newest.get(block.thread) == Some(&block.id) {
            ended.flags |= flags::TEMPORARY;
        }
        if event.action == Action::ReallocRelease {
            ended.flags |= flags::TO_REALLOC;
            self.releasing.insert(event.thread, ended);
        } else {
            self.ended.ended(ended);
        }
    }

    /// The free of a block was missed: it was over when another block began there.
    fn overlay(&mut self, block: &LiveBlock, rank: u32, event: &Event) {
        let mut ended = self.close(block);
        ended.died = rank;
        ended.freed_thread = event.thread;
        ended.flags |= flags::OVERLAID;
        self.ended.ended(ended);
    }

    /// The row of a block that is live no more, or that the history leaves live.
    fn close(&mut self, block: &LiveBlock) -> Lifetime {
        let open = self.open.remove(&block.addr);
        let Open { born, flags } = open.unwrap_or(Open { born: NEVER, flags: flags::INHERITED });
        Lifetime {
            id: block.id,
            addr: block.addr,
            size: block.size,
            usable: block.usable,
            born,
            died: NEVER,
            backtrace: block.backtrace,
            freed_backtrace: BacktraceId::NONE,
            thread: block.thread,
            freed_thread: block.thread,
            api: block.api as u8,
            flags,
            leak: 0,
        }
    }

    /// Hands over the blocks that the history leaves live.
    pub(crate) fn finish(mut self, live: &LiveSet) -> E {
        for (_, block) in std::mem::take(&mut self.releasing) {
            self.ended.ended(block);
        }
        for block in live.blocks() {
            let block = self.close(block);
            self.ended.ended(block);
        }
        self.ended
    }
}
