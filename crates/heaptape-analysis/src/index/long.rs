//! The blocks that are not short, one by one: 16 bytes each. Those that do not fit are kept apart, as they are.
//!
//! The history is cut into halves, these into halves, and so on: each block stands with the smallest part that has its
//! birth and its end, so it lived through that part's middle. What is live at a position is found by looking through
//! one part of each size; what stands with a part was live all at once, so it is hardly more than that.

use super::births::Births;
use super::packed::{Kinds, Packed};
use super::span::Span;
use crate::lifetimes::{Lifetime, NEVER, flags};
use heaptape_tape::{BacktraceId, BlockId};

/// From the first position at which a block is live to the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    /// The position after its birth; 0 of an inherited block.
    pub(super) from: u32,
    /// The rank of its end; [`NEVER`] if there is none.
    pub(super) to: u32,
}

impl Life {
    #[inline]
    pub(super) fn of(block: &Lifetime) -> Life {
        let inherited = block.is(flags::INHERITED) || block.born == NEVER;
        Life { from: if inherited { 0 } else { block.born + 1 }, to: block.died }
    }

    /// Whether it is live at some position from `a` to `b`.
    #[inline]
    fn meets(self, a: u32, b: u32) -> bool {
        self.from <= b && a <= self.to
    }
}

/// A block.
#[derive(Clone, Copy, Debug)]
struct Entry {
    born: u32,
    died: u32,
    place: u32,
    /// Above [`LEAK_SHIFT`] what a search for leaks said.
    kind: u32,
}

/// There are fewer kinds than that.
const LEAK_SHIFT: u32 = 29;

impl Entry {
    #[inline]
    fn life(&self) -> Life {
        Life { from: self.born + 1, to: self.died }
    }

    #[inline]
    fn kind(&self) -> u32 {
        self.kind & ((1 << LEAK_SHIFT) - 1)
    }
}

/// Sizes of parts, as binary logarithms less 1: those of blocks that ended, and one for all that never did.
const LEVELS: usize = 33;
/// The level of blocks that never ended: one part.
const NEVER_ENDED: usize = 32;

/// The level of a block: the part that it stands with is `born >> (level + 1)`.
#[inline]
fn level_of(born: u32, died: u32) -> usize {
    if died == NEVER {
        NEVER_ENDED
    } else {
        (u32::BITS - (born ^ died).leading_zeros()).max(1) as usize - 1
    }
}

#[inline]
fn part_of(level: usize, rank: u32) -> u64 {
    u64::from(rank) >> (level + 1)
}

/// Long blocks.
#[derive(Debug)]
pub(super) struct Long {
    /// By level; in each by part, then by address.
    levels: [Vec<Entry>; LEVELS],
    kinds: Kinds,
    /// Those that are inherited, or do not fit.
    odd: Vec<Lifetime>,
}

impl Default for Long {
    fn default() -> Long {
        Long { levels: [const { Vec::new() }; LEVELS], kinds: Kinds::default(), odd: Vec::new() }
    }
}

impl Long {
    pub(super) fn push(&mut self, block: Lifetime) {
        let Some(Packed { place, kind }) = self.kinds.pack(&block) else {
            self.odd.push(block);
            return;
        };
        let level = &mut self.levels[level_of(block.born, block.died)];
        if level.len() == level.capacity() {
            // Not twice as much: there are hundreds of megabytes of them.
            level.reserve_exact((level.len() / 8).max(1024));
        }
        level.push(Entry { born: block.born, died: block.died, place, kind });
    }

    /// Removes the blocks that were born and ended in one part of `1 << cell_log2` events; hands over birth and end.
    pub(super) fn take(&mut self, cell_log2: u32, mut visit: impl FnMut(u32, u32)) {
        for level in &mut self.levels[..(cell_log2 as usize).min(NEVER_ENDED)] {
            std::mem::take(level).iter().for_each(|entry| visit(entry.born, entry.died));
        }
        self.odd.retain(|block| {
            let stays = block.born == NEVER
                || block.died == NEVER
                || block.born >> cell_log2 != block.died >> cell_log2;
            if !stays {
                visit(block.born, block.died);
            }
            stays
        });
    }

    /// All are there: puts them in order.
    pub(super) fn sort(&mut self) {
        let place = self.kinds.finish();
        for (level, entries) in self.levels.iter_mut().enumerate() {
            entries.shrink_to_fit();
            entries.iter_mut().for_each(|entry| entry.place = place(entry.place));
            entries.sort_unstable_by_key(|it| (part_of(level, it.born), it.place, it.born));
        }
        self.odd.sort_unstable_by_key(|block| (block.addr, block.id));
    }

    /// Those that are kept apart.
    pub(super) fn odd(&self) -> &[Lifetime] {
        &self.odd
    }

    pub(super) fn len(&self) -> usize {
        self.levels.iter().map(Vec::len).sum::<usize>() + self.odd.len()
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> u64 {
        self.sum(|level| level.capacity()) + (self.odd.capacity() * size_of::<Lifetime>()) as u64
    }

    /// Bytes that it needs: room that is not used yet is given back.
    pub(super) fn needed(&self) -> u64 {
        self.sum(|level| level.len()) + (self.odd.len() * size_of::<Lifetime>()) as u64
    }

    fn sum(&self, entries: impl Fn(&Vec<Entry>) -> usize) -> u64 {
        let entries: usize = self.levels.iter().map(entries).sum();
        (entries * size_of::<Entry>()) as u64 + self.kinds.bytes()
    }

    /// Marks those live at a position with what a search for leaks said of their address.
    pub(super) fn mark(&mut self, position: u32, leak: impl Fn(u64) -> u8) {
        for (level, entries) in self.levels.iter_mut().enumerate() {
            let own = parts(level, entries, position, position);
            for entry in &mut entries[own] {
                if entry.life().meets(position, position) {
                    let class = u32::from(leak(self.kinds.addr(entry.place)));
                    entry.kind = entry.kind() | class << LEAK_SHIFT;
                }
            }
        }
        let live = |block: &&mut Lifetime| Life::of(block).meets(position, position);
        for block in self.odd.iter_mut().filter(live) {
            block.leak = leak(block.addr);
        }
    }

    /// The block that was born then, if it is a long one.
    pub(super) fn born_at(&self, rank: u32, births: &Births) -> Option<Lifetime> {
        let packed = self.levels.iter().enumerate().find_map(|(level, entries)| {
            let own = &entries[parts(level, entries, rank + 1, rank + 1)];
            own.iter().find(|entry| entry.born == rank)
        });
        let odd = || self.odd.iter().find(|block| block.born == rank).copied();
        packed.map(|entry| self.block(entry, births)).or_else(odd)
    }

    #[inline]
    fn block(&self, entry: &Entry, births: &Births) -> Lifetime {
        let packed = Packed { place: entry.place, kind: entry.kind() };
        Lifetime {
            id: BlockId(u64::from(births.before(entry.born)) + 1),
            born: entry.born,
            died: entry.died,
            leak: (entry.kind >> LEAK_SHIFT) as u8,
            ..self.kinds.unpack(packed)
        }
    }

    /// Those that a span counts, each with its sign; by address in each of a few dozen stretches.
    pub(super) fn each(&self, span: Span, births: &Births, mut visit: impl FnMut(&Lifetime, i8)) {
        self.each_of_share(span, (0, 1), births, &mut visit);
    }

    /// The same of the share of that number, of so many that are about equal.
    pub(super) fn each_of_share(
        &self,
        span: Span,
        share: (usize, usize),
        births: &Births,
        mut visit: impl FnMut(&Lifetime, i8),
    ) {
        if share.0 == 0 {
            self.each_odd(span, &mut visit);
        }
        self.entries(span, share, |entry, sign| {
            let block = self.block(entry, births);
            if span.takes(&block) {
                visit(&block, sign);
            }
        });
    }

    /// Backtrace and size of those that a span counts, which must not be [`Span::Temp`]. Sooner than [`Long::each`].
    pub(super) fn weigh(&self, span: Span, mut add: impl FnMut(BacktraceId, u64, i8)) {
        self.each_odd(span, &mut |block, sign| add(block.backtrace, block.size, sign));
        self.entries(span, (0, 1), |entry, sign| {
            let kind = self.kinds.kind(entry.kind());
            add(kind.backtrace, u64::from(kind.size), sign);
        });
    }

    fn each_odd(&self, span: Span, visit: &mut impl FnMut(&Lifetime, i8)) {
        for block in &self.odd {
            let sign = span.sign_of(block);
            if sign != 0 {
                visit(block, sign);
            }
        }
    }

    /// The blocks with a sign, but for those that are kept apart. What [`Span::takes`] says is not asked.
    #[inline]
    fn entries(
        &self,
        span: Span,
        (share, shares): (usize, usize),
        mut visit: impl FnMut(&Entry, i8),
    ) {
        let mut look = |level: usize, a: u32, b: u32, span: Span| {
            let entries = &self.levels[level];
            let entries = &entries[parts(level, entries, a, b)];
            let end = |share: usize| entries.len() * share / shares;
            for entry in &entries[end(share)..end(share + 1)] {
                let sign = span.sign(entry.life());
                if sign != 0 {
                    visit(entry, sign);
                }
            }
        };
        match span {
            Span::Live(t) | Span::Kept(_, t) => {
                (0..LEVELS).for_each(|level| look(level, t, t, span))
            }
            Span::Leaked(a, b) => look(NEVER_ENDED, a, b, span),
            Span::Alloc(a, b) | Span::Freed(a, b) | Span::Temp(a, b) | Span::Met(a, b) => {
                (0..LEVELS).for_each(|level| look(level, a, b, span));
            }
            Span::Diff(a, b) => {
                for level in 0..LEVELS {
                    look(level, a, a, span);
                    let entries = &self.levels[level];
                    let (before, after) =
                        (parts(level, entries, a, a), parts(level, entries, b, b));
                    if before != after {
                        look(level, b, b, span);
                    }
                }
            }
        }
    }

    /// Those that hold an address.
    pub(super) fn holding(&self, addr: u64, births: &Births, mut visit: impl FnMut(&Lifetime)) {
        let holds =
            |begin: u64, bytes: u64| begin <= addr && addr < begin.saturating_add(bytes.max(1));
        let odd = self.odd.iter().filter(|it| holds(it.addr, it.size.max(it.usable)));
        odd.for_each(&mut visit);
        for entry in self.levels.iter().flatten() {
            let begin = self.kinds.addr(entry.place);
            if begin <= addr && holds(begin, self.kinds.kind(entry.kind()).bytes()) {
                visit(&self.block(entry, births));
            }
        }
    }
}

/// Where the parts of a level are that have positions from `a` to `b`: all blocks live then stand with them.
#[inline]
fn parts(level: usize, entries: &[Entry], a: u32, b: u32) -> std::ops::Range<usize> {
    if level == NEVER_ENDED {
        return 0..entries.len();
    }
    let (first, last) = (part_of(level, a), part_of(level, b));
    let from = entries.partition_point(|entry| part_of(level, entry.born) < first);
    let count = entries[from..].partition_point(|entry| part_of(level, entry.born) <= last);
    from..from + count
}
