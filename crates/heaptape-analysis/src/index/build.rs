//! Making the index: one replay.

use super::curve::Curve;
use super::long::{self, Long};
use super::short::Short;
use super::{Begun, Index, LEAST_CELL};
use crate::estimate::Sampling;
use crate::lifetimes::{self, Book, Ended, Lifetime, NEVER};
use crate::metric::Weight;
use crate::process;
use crate::recording::Recording;
use crate::times::Times;
use heaptape_tape::{Effect, FORESEEN, LiveBlock, LiveSet, ProcessId, TapeError};
use rustc_hash::FxHashMap;
use std::ops::ControlFlow;

/// Cells are not joined beyond this: to replay a longer one takes too long.
const MOST_CELL: u32 = 1 << 23;

impl Index {
    /// Reads the history of a process once. Cells are joined where the index would take more than `most_bytes`, up to
    /// some millions of events. Of more than 4,294,967,294 events, the first ones.
    ///
    /// Fails where an event is missing, or as soon as memory would not do.
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
        cell_events: u32,
    ) -> Result<Index, TapeError> {
        let mut live = recording.live_at_start(process)?;
        let mut builder = Builder::new(recording, process, &live, most_bytes);
        builder.begin_cell(&live);
        let sorter = Sorter { cell_events, ..Sorter::new(recording) };
        let mut book = Book::new(0, &live, sorter);
        let events = recording.event_count(process).min(u64::from(NEVER) - 1);
        recording.runs(process, 0..events, &mut |events| {
            for some in events.chunks(FORESEEN) {
                live.foresee(some);
                for event in some {
                    if book.events.is_multiple_of(book.ended.cell_events) && book.events > 0 {
                        builder.turn(&mut book.ended, &live, book.events);
                    }
                    let effect = book.note(event, &mut live);
                    builder.note(&effect);
                    builder.times.note(book.events, event.time);
                    builder.curve.note(book.events, event.time, builder.live.bytes);
                }
            }
            let taken = live.bytes().saturating_add(book.bytes());
            let taken = taken.saturating_add(builder.bytes()).saturating_add(book.ended.bytes());
            recording.afford(taken).map(ControlFlow::Continue)
        })?;
        let events = book.events;
        let sorter = book.finish(&live);
        drop(live);
        builder.finish(recording, sorter, events)
    }
}

/// Tells short blocks from long ones as they end.
struct Sorter {
    cell_events: u32,
    /// The first event of the cell in progress.
    cell_start: u32,
    of_blocks: u64,
    long: Vec<Lifetime>,
    short: Short,
    sampling: Option<Sampling>,
}

impl Sorter {
    fn new(recording: &dyn Recording) -> Sorter {
        Sorter {
            cell_events: LEAST_CELL,
            cell_start: 0,
            of_blocks: 0,
            long: Vec::new(),
            short: Short::default(),
            sampling: Sampling::of(recording),
        }
    }

    fn bytes(&self) -> u64 {
        (self.long.capacity() * long::BYTES) as u64 + self.short.bytes()
    }

    /// What the index will take: room that is not used yet is given back in the end.
    fn needed(&self) -> u64 {
        (self.long.len() * long::BYTES) as u64 + self.short.bytes()
    }

    /// Joins cells two by two. There must be an even number.
    fn join(&mut self) {
        self.cell_events *= 2;
        let (cell, sampling) = (self.cell_events, self.sampling);
        let mut short = Vec::new();
        self.long.retain(|block| {
            let is_short = block.born != NEVER && block.born / cell == block.died / cell;
            if is_short {
                short.push((block.born / cell, *block));
            }
            !is_short
        });
        short.sort_unstable_by_key(|(cell, block)| (*cell, block.born));
        self.long.shrink_to(self.long.len() * 5 / 4);
        self.short.join(&short, |block| weigh(sampling, block.size, block.id));
    }
}

impl Ended for Sorter {
    #[inline]
    fn ended(&mut self, block: Lifetime) {
        self.of_blocks += 1;
        // One whose end became certain only in a later cell is kept as a long one.
        let is_short = block.born != NEVER
            && block.born >= self.cell_start
            && block.died != NEVER
            && block.died >= self.cell_start;
        if is_short {
            self.short.add(&block, weigh(self.sampling, block.size, block.id));
        } else {
            self.long.push(block);
        }
    }
}

fn weigh(sampling: Option<Sampling>, size: u64, id: heaptape_tape::BlockId) -> Weight {
    match sampling {
        None => Weight::block(size),
        Some(sampling) => sampling.weight(size, id),
    }
}

/// What is kept of a history beside its blocks.
struct Builder {
    process: ProcessId,
    most_bytes: u64,
    begun: Vec<Begun>,
    times: Times,
    curve: Curve,
    /// What is live.
    live: Weight,
    sampling: Option<Sampling>,
}

impl Builder {
    fn new(
        recording: &dyn Recording,
        process: ProcessId,
        inherited: &LiveSet,
        most_bytes: u64,
    ) -> Builder {
        let sampling = Sampling::of(recording);
        let mut live = Weight::default();
        for block in inherited.blocks() {
            live += weigh(sampling, block.size, block.id);
        }
        let (start, _) = process::span(recording, process);
        Builder {
            process,
            most_bytes,
            begun: Vec::new(),
            times: Times::default(),
            curve: Curve::new(start, live.bytes),
            live,
            sampling,
        }
    }

    #[inline]
    fn note(&mut self, effect: &Effect) {
        match effect {
            Effect::Began(block, overlaid) => {
                if let Some(gone) = overlaid {
                    self.take_off(gone);
                }
                self.put_on(block);
            }
            Effect::Ended(block) => self.take_off(block),
            Effect::Restored(block) => self.put_on(block),
            Effect::EndedInherited | Effect::Unmatched | Effect::Nothing => {}
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

    /// A cell has ended before the event of that rank.
    fn turn(&mut self, sorter: &mut Sorter, live: &LiveSet, rank: u32) {
        sorter.short.turn();
        let cells = rank / sorter.cell_events;
        let taken = sorter.needed() + self.bytes();
        if taken > self.most_bytes && cells.is_multiple_of(2) && sorter.cell_events < MOST_CELL {
            sorter.join();
            let mut even = false;
            self.begun.retain(|_| {
                even = !even;
                even
            });
        }
        sorter.cell_start = rank;
        self.begin_cell(live);
    }

    fn begin_cell(&mut self, live: &LiveSet) {
        self.begun.push(Begun {
            allocs: live.totals().allocs,
            live: self.live,
            releasing: live.releasing().map(|(thread, block)| (*thread, *block)).collect(),
        });
    }

    fn bytes(&self) -> u64 {
        let begun = self.begun.capacity() * size_of::<Begun>();
        self.times.bytes() + self.curve.bytes() + begun as u64
    }

    fn finish(
        self,
        recording: &dyn Recording,
        sorter: Sorter,
        events: u32,
    ) -> Result<Index, TapeError> {
        let Sorter { cell_events, of_blocks, long, mut short, sampling, .. } = sorter;
        short.turn();
        let mut index = Index {
            process: self.process,
            events,
            of_blocks,
            times: self.times,
            curve: self.curve,
            cell_events,
            begun: self.begun,
            long: Long::of(long),
            short,
            sampling,
            leaks: FxHashMap::default(),
        };
        recording.afford(index.bytes())?;
        lifetimes::mark_leaks(recording, index.process, index.long.all_mut())?;
        index.mark_short(recording)?;
        Ok(index)
    }
}

impl Index {
    /// Notes what the last search for leaks said of short blocks that were live then.
    fn mark_short(&mut self, recording: &dyn Recording) -> Result<(), TapeError> {
        let scans = recording.leak_scans().iter();
        let Some(scan) = scans.rev().find(|scan| scan.process == self.process) else {
            return Ok(());
        };
        let Some(position) = u32::try_from(scan.event).ok().filter(|&at| !self.is_between(at)) else {
            return Ok(());
        };
        let mut blocks = self.replay_cell(recording, self.cell_of(position))?.blocks;
        lifetimes::mark_leaks(recording, self.process, &mut blocks)?;
        let marked = blocks.iter().filter(|block| block.leak != 0);
        self.leaks = marked.map(|block| (block.born, block.leak)).collect();
        Ok(())
    }
}
