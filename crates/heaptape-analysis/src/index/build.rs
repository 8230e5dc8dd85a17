//! Making the index: one replay.

use super::bits::Bits;
use super::curve::Curve;
use super::long::Long;
use super::short::Short;
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
use rustc_hash::{FxHashMap, FxHashSet};
use std::ops::ControlFlow;

/// Cells are not joined beyond this: to read a longer one takes too long.
const MOST_CELL: u32 = 1 << 23;

impl Index {
    /// Reads the history of a process once. Cells are joined where long blocks and sums would take more than
    /// `most_bytes`, up to some millions of events. Of more than 4,294,967,294 events, the first ones.
    ///
    /// Fails where an event is missing, or as soon as memory would not do: 4 bytes a block, and `most_bytes`.
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
                        book.ended.turn(book.events, live.totals().allocs);
                    }
                    let effect = book.note(event, &mut live);
                    if event.action == Action::ReallocAlloc
                        && let Effect::Began(block, _) = &effect
                    {
                        book.ended.moved(block);
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

/// Notes when blocks ended, and tells short ones from long ones.
struct Sorter {
    most_bytes: u64,
    least_cell: u32,
    cell_events: u32,
    /// The first event of the cell in progress.
    cell_start: u32,
    of_blocks: u64,
    begun: Vec<u32>,
    died: Vec<u32>,
    temporary: Bits,
    late: FxHashSet<u32>,
    /// By block, as far as there were any: how many reallocs led to it; 255 are 255 or more.
    moves: Vec<u8>,
    /// By number: backtraces that asked for a block or freed one.
    used: Bits,
    /// By thread: the same of what its last release by a realloc leads to.
    released: FxHashMap<ThreadId, u8>,
    long: Long,
    short: Short,
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
        let blocks = recording.totals(process).allocs.min(recording.event_count(process));
        recording.afford(blocks.saturating_mul(4))?;
        Ok(Sorter {
            most_bytes,
            least_cell,
            cell_events: least_cell,
            cell_start: 0,
            of_blocks: 0,
            begun: Vec::new(),
            died: vec![NEVER; usize::try_from(blocks).unwrap_or(usize::MAX)],
            temporary: Bits::default(),
            late: FxHashSet::default(),
            moves: Vec::new(),
            used: Bits::default(),
            released: FxHashMap::default(),
            long: Long::default(),
            short: Short::default(),
            sampling: Sampling::of(recording),
        })
    }

    fn bytes(&self) -> u64 {
        let by_block = (self.died.capacity() + self.begun.capacity()) * 4
            + self.temporary.bytes()
            + self.moves.capacity();
        self.long.bytes() + self.short.bytes() + by_block as u64
    }

    /// The least cell that begins with the event of that rank, after so many births, has come.
    fn turn(&mut self, rank: u32, allocs: u64) {
        self.begun.push(u32::try_from(allocs).unwrap_or(u32::MAX));
        if rank == 0 || !rank.is_multiple_of(self.cell_events) {
            return;
        }
        self.short.turn();
        let cells = rank / self.cell_events;
        let needed = self.long.needed() + self.short.bytes();
        if needed > self.most_bytes && cells.is_multiple_of(2) && self.cell_events < MOST_CELL {
            self.join();
        }
        self.cell_start = rank;
    }

    /// A block was begun by a realloc.
    fn moved(&mut self, block: &LiveBlock) {
        let place = (block.id.0 - 1) as usize;
        if place >= self.moves.len() {
            self.moves.resize(place + 1, 0);
        }
        self.moves[place] = self.released.get(&block.thread).copied().unwrap_or(1);
    }

    /// Joins cells two by two. There must be an even number.
    fn join(&mut self) {
        self.cell_events *= 2;
        let (cell, sampling) = (self.cell_events, self.sampling);
        let is_short = |life: super::long::Life| {
            life.from != 0 && life.to != NEVER && (life.from - 1) / cell == life.to / cell
        };
        let long = &mut self.long;
        self.short.join(
            |block| block.born / cell,
            |block| weigh(sampling, block.size, block.id),
            |visit| long.take(cell, is_short, visit),
        );
        self.late.clear();
    }

    fn finish(
        mut self,
        recording: &dyn Recording,
        process: ProcessId,
        watch: Watch,
        events: u32,
    ) -> Result<Index, TapeError> {
        self.short.turn();
        self.long.sort();
        let mut index = Index {
            process,
            events,
            of_blocks: self.of_blocks,
            clock: super::clock(&watch.times, events),
            times: watch.times,
            curve: watch.curve,
            cell_events: self.cell_events,
            least_cell: self.least_cell,
            begun: self.begun,
            died: self.died,
            temporary: self.temporary,
            late: self.late,
            moves: self.moves,
            used: self.used,
            long: self.long,
            short: self.short,
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
        if is_own {
            let place = (block.id.0 - 1) as usize;
            if place >= self.died.len() {
                self.died.resize(place + 1, NEVER);
            }
            self.died[place] = block.died;
            if block.is(flags::TEMPORARY) {
                self.temporary.set(place);
            }
        }
        if block.is(flags::TO_REALLOC) {
            let place = (block.id.0.saturating_sub(1)) as usize;
            let moves = if is_own { self.moves.get(place).copied().unwrap_or(0) } else { 0 };
            self.released.insert(block.freed_thread, moves.saturating_add(1));
        }
        if is_own && block.died != NEVER && block.born >= self.cell_start {
            self.short.add(&block, weigh(self.sampling, block.size, block.id));
            return;
        }
        // One whose end became certain only in a later cell is kept as a long one.
        if is_own
            && block.died != NEVER
            && block.born / self.cell_events == block.died / self.cell_events
        {
            self.late.insert(block.born);
        }
        self.long.push(block);
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
        self.births(recording, self.start_of_cell_of(position)..position, &mut |block| {
            if self.is_short(block) && block.is_live(position) {
                short.insert(block.born, leak(block.addr));
            }
            ControlFlow::Continue(())
        })?;
        self.leaks = short;
        Ok(())
    }
}
