//! Making the index: one replay.

use super::births::Births;
use super::bits::Bits;
use super::curve::Curve;
use super::ends::Ends;
use super::long::Long;
use super::sums::Sums;
use super::{Index, LEAST_CELL};
use crate::estimate::Sampling;
use crate::lifetimes::{Book, Ended, Lifetime, NEVER, flags, leak_class};
use crate::metric::Weight;
use crate::process;
use crate::recording::Recording;
use crate::times::Times;
use heaptape_tape::{
    Action, BlockId, Effect, FORESEEN, LeakKind, LiveBlock, LiveSet, ProcessId, TapeError, ThreadId,
};
use rustc_hash::FxHashMap;
use std::ops::ControlFlow;

/// Cells are not longer than this, as a binary logarithm: to read them takes too long.
const MOST_CELL_LOG2: u32 = 23;
/// Of what may be made smaller, the part that sums by stretch may take.
const SUMS_PART: u64 = 8;

impl Index {
    /// Reads the history of a process once. Cells are longer where long blocks and sums would take more than
    /// `most_bytes`, up to some millions of events. Of more than 4,294,967,294 events, the first ones.
    ///
    /// Fails where an event is missing, or as soon as memory would not do: [`Index::least_bytes`] and `most_bytes`.
    pub fn build(
        recording: &dyn Recording,
        process: ProcessId,
        most_bytes: u64,
    ) -> Result<Index, TapeError> {
        Index::with_cells(recording, process, most_bytes, LEAST_CELL)
    }

    /// The same with other cells to begin with: a power of two.
    pub fn with_cells(
        recording: &dyn Recording,
        process: ProcessId,
        most_bytes: u64,
        least_cell: u32,
    ) -> Result<Index, TapeError> {
        let mut live = recording.live_at_start(process)?;
        let mut watch = Watch::new(recording, process, &live);
        let sorter = Sorter::new(recording, process, most_bytes, least_cell)?;
        let mut book = Book::new(0, &live, sorter);
        let events = recording.event_count(process).min(u64::from(NEVER) - 1);
        recording.runs(process, 0..events, &mut |events| {
            for some in events.chunks(FORESEEN) {
                live.foresee(some);
                for event in some {
                    if book.events & (least_cell - 1) == 0 {
                        book.ended.turn(book.events);
                    }
                    book.ended.births.push(event.action.begins_block());
                    let effect = book.note(event, &mut live);
                    if let Effect::Began(block, _) = &effect {
                        book.ended.began(block, event.action);
                    }
                    watch.note(&effect);
                    watch.times.note(book.events, event.time);
                    watch.curve.note(book.events, event.time, watch.live.bytes);
                }
            }
            let taken = live.bytes().saturating_add(book.bytes());
            let taken = taken.saturating_add(watch.bytes()).saturating_add(book.ended.bytes());
            recording.afford(taken).map(ControlFlow::Continue)
        })?;
        let events = book.events;
        let sorter = book.finish(&live);
        drop(live);
        sorter.finish(recording, process, watch, events)
    }
}

/// Notes when blocks began and ended, and tells short ones from long ones.
struct Sorter {
    most_bytes: u64,
    least_cell: u32,
    cell_log2: u32,
    of_blocks: u64,
    births: Births,
    ends: Ends,
    temporary: Bits,
    /// By block, as far as there were any: how many reallocs led to it; 255 are 255 or more.
    moves: Vec<u8>,
    /// By number: backtraces that asked for a block or freed one.
    used: Bits,
    /// By thread: the same of what its last release by a realloc leads to.
    released: FxHashMap<ThreadId, u8>,
    long: Long,
    sums: Sums,
    sampling: Option<Sampling>,
}

impl Sorter {
    fn new(
        recording: &dyn Recording,
        process: ProcessId,
        most_bytes: u64,
        least_cell: u32,
    ) -> Result<Sorter, TapeError> {
        // The tape's word for it, unless that is nonsense: a block takes an event.
        let events = recording.event_count(process);
        let blocks = recording.totals(process).allocs.min(events);
        recording.afford(Index::least_bytes(events, blocks))?;
        Ok(Sorter {
            most_bytes,
            least_cell,
            cell_log2: least_cell.ilog2(),
            of_blocks: 0,
            births: Births::default(),
            ends: Ends::with_room(usize::try_from(blocks).unwrap_or(0)),
            temporary: Bits::default(),
            moves: Vec::new(),
            used: Bits::default(),
            released: FxHashMap::default(),
            long: Long::default(),
            sums: Sums::new(least_cell),
            sampling: Sampling::of(recording),
        })
    }

    fn bytes(&self) -> u64 {
        let own = self.temporary.bytes() + self.moves.capacity();
        let parts = [self.births.bytes(), self.ends.bytes(), self.long.bytes(), self.sums.bytes()];
        parts.iter().sum::<u64>() + own as u64
    }

    /// The least cell that begins with the event of that rank has come.
    fn turn(&mut self, rank: u32) {
        self.sums.turn(rank, self.most_bytes / SUMS_PART, 1 << MOST_CELL_LOG2);
        let room = self.most_bytes - self.most_bytes / SUMS_PART;
        if rank > 0 && self.long.needed() > room && self.cell_log2 < MOST_CELL_LOG2 {
            self.cell_log2 += 1;
            let Sorter { long, ends, births, .. } = self;
            long.take(self.cell_log2, |born, died| ends.set(births.before(born), born, died));
        }
    }

    /// A block began.
    #[inline]
    fn began(&mut self, block: &LiveBlock, action: Action) {
        self.ends.born();
        self.sums.add(block.backtrace, weigh(self.sampling, block.size, block.id));
        if action == Action::ReallocAlloc {
            self.moved(block);
        }
    }

    /// A block was begun by a realloc.
    fn moved(&mut self, block: &LiveBlock) {
        let place = (block.id.0 - 1) as usize;
        if place >= self.moves.len() {
            self.moves.resize(place + 1, 0);
        }
        self.moves[place] = self.released.get(&block.thread).copied().unwrap_or(1);
    }

    fn finish(
        mut self,
        recording: &dyn Recording,
        process: ProcessId,
        watch: Watch,
        events: u32,
    ) -> Result<Index, TapeError> {
        self.sums.finish();
        self.ends.finish();
        self.long.sort();
        let mut index = Index {
            process,
            events,
            of_blocks: self.of_blocks,
            clock: super::clock(&watch.times, events),
            times: watch.times,
            curve: watch.curve,
            cell_log2: self.cell_log2,
            least_cell: self.least_cell,
            births: self.births,
            ends: self.ends,
            temporary: self.temporary,
            moves: self.moves,
            used: self.used,
            long: self.long,
            sums: self.sums,
            sampling: self.sampling,
            leaks: FxHashMap::default(),
        };
        recording.afford(index.bytes())?;
        index.mark_leaks(recording)?;
        Ok(index)
    }
}

impl Ended for Sorter {
    #[inline]
    fn ended(&mut self, block: Lifetime) {
        self.of_blocks += 1;
        self.used.set(block.backtrace.0 as usize);
        self.used.set(block.freed_backtrace.0 as usize);
        let is_own = block.born != NEVER;
        if is_own && block.is(flags::TEMPORARY) {
            self.temporary.set((block.id.0 - 1) as usize);
            let weight = weigh(self.sampling, block.size, block.id);
            self.sums.add_temporary(block.born, block.backtrace, weight);
        }
        if block.is(flags::TO_REALLOC) {
            let place = (block.id.0.saturating_sub(1)) as usize;
            let moves = if is_own { self.moves.get(place).copied().unwrap_or(0) } else { 0 };
            self.released.insert(block.freed_thread, moves.saturating_add(1));
        }
        let in_one_cell = block.born >> self.cell_log2 == block.died >> self.cell_log2;
        if is_own && block.died != NEVER && in_one_cell {
            self.ends.set((block.id.0 - 1) as u32, block.born, block.died);
        } else {
            self.long.push(block);
        }
    }
}

/// What a block of that size and number weighs.
fn weigh(sampling: Option<Sampling>, size: u64, id: BlockId) -> Weight {
    match sampling {
        None => Weight::block(size),
        Some(sampling) => sampling.weight(size, id),
    }
}

/// Follows live bytes and clock.
struct Watch {
    times: Times,
    curve: Curve,
    /// What is live.
    live: Weight,
    sampling: Option<Sampling>,
}

impl Watch {
    fn new(recording: &dyn Recording, process: ProcessId, inherited: &LiveSet) -> Watch {
        let sampling = Sampling::of(recording);
        let mut live = Weight::default();
        for block in inherited.blocks() {
            live += weigh(sampling, block.size, block.id);
        }
        let (start, _) = process::span(recording, process);
        let curve = Curve::new(start, live.bytes);
        Watch { times: Times::default(), curve, live, sampling }
    }

    #[inline]
    fn note(&mut self, effect: &Effect) {
        if let Some(block) = effect.gone() {
            self.take_off(block);
        }
        if let Some(block) = effect.come() {
            self.put_on(block);
        }
    }

    #[inline]
    fn put_on(&mut self, block: &LiveBlock) {
        self.live += weigh(self.sampling, block.size, block.id);
    }

    #[inline]
    fn take_off(&mut self, block: &LiveBlock) {
        let weight = weigh(self.sampling, block.size, block.id);
        self.live.bytes = self.live.bytes.saturating_sub(weight.bytes);
        self.live.blocks = self.live.blocks.saturating_sub(weight.blocks);
    }

    fn bytes(&self) -> u64 {
        self.times.bytes() + self.curve.bytes()
    }
}

impl Index {
    /// Notes what the last search for leaks said of the blocks that were live then.
    fn mark_leaks(&mut self, recording: &dyn Recording) -> Result<(), TapeError> {
        let mut scans = recording.leak_scans().iter();
        let Some(scan) = scans.rfind(|scan| scan.process == self.process) else { return Ok(()) };
        let Ok(position) = u32::try_from(scan.event) else { return Ok(()) };
        recording.afford(self.bytes().saturating_add(scan.blocks().saturating_mul(64)))?;
        let found = recording.leak_blocks(scan)?;
        let kinds: FxHashMap<u64, LeakKind> = found.iter().map(|it| (it.addr, it.kind)).collect();
        let leak = |addr: u64| kinds.get(&addr).map_or(0, |kind| leak_class(*kind));
        self.long.mark(position, leak);
        let mut short = FxHashMap::default();
        self.births(recording, self.start_of_cell_of(position)..position, &mut |birth| {
            if let Some(block) = self.short(&birth)
                && block.is_live(position)
            {
                short.insert(block.born, leak(block.addr));
            }
            ControlFlow::Continue(())
        })?;
        self.leaks = short;
        Ok(())
    }
}
