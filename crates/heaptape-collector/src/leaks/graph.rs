//! Who points to whom: every word of every block and of every root, looked up once.
//!
//! All memory is read here, in the order of addresses, by several threads where there is much: the process stands
//! still meanwhile, and what it ran on is idle. What follows from it is found out when the process
//! goes on already. A word counts if it is whole, aligned, and within the bytes that were asked for, as in
//! memcheck and LeakSanitizer.

use super::blocks::{Blocks, Index};
use super::heuristics::{Code, Interior, Traits, Vtables};
use super::memory::{BATCH, Memory, words};
use super::modules::Keeper;
use super::roots::{RootRange, Roots};
use rustc_hash::FxHashSet;
use std::collections::VecDeque;
use std::ops::Range;
use std::panic::resume_unwind;
use std::thread;

const PAGE: u64 = 4096;
/// Blocks that lie so close are read in one piece.
const GAP: u64 = 256;
/// Most pointers: they are counted in 32 bits.
const MOST_EDGES: usize = u32::MAX as usize;
/// Where the offset of a pointer in its block no longer fits, in words.
const FARTHEST: u64 = u32::MAX as u64;
const AS_START: u32 = 1 << 31;

/// A pointer to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    /// The block, and in the top bit whether the pointer is to its start or as good as that.
    to: u32,
    /// Where in its own block the pointer lies, in words.
    at: u32,
}

impl Edge {
    fn new(to: Index, is_start: bool, offset: u64) -> Edge {
        let flag = if is_start { AS_START } else { 0 };
        Edge { to: to | flag, at: (offset / 8).min(FARTHEST) as u32 }
    }

    /// The block that is pointed to.
    pub(super) fn to(self) -> Index {
        self.to & !AS_START
    }

    /// Whether to its start, or to what a heuristic takes for that.
    pub(super) fn is_start(self) -> bool {
        self.to & AS_START != 0
    }

    /// Bytes from the start of the block that holds the pointer.
    pub(super) fn offset(self) -> u64 {
        u64::from(self.at) * 8
    }
}

/// A pointer from outside of all blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Position of the place among the roots'.
    pub(crate) place: u32,
    /// Where the pointer lies; of registers, which one.
    pub(crate) address: u64,
    /// The block.
    pub(crate) to: Index,
    /// Whether to its start, or to what a heuristic takes for that.
    pub(crate) is_start: bool,
}

/// All pointers to blocks.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// By block: its first pointer. One more at the end.
    first: Vec<u32>,
    edges: Vec<Edge>,
    /// By block at most two: the first pointer from outside, and the first to its start.
    pub(crate) hits: Vec<Hit>,
    /// There were more pointers than can be counted: some are missing.
    pub(crate) overflown: bool,
}

impl Graph {
    /// The pointers of a block.
    pub(super) fn edges(&self, block: Index) -> &[Edge] {
        let block = block as usize;
        &self.edges[self.first[block] as usize..self.first[block + 1] as usize]
    }

    /// How many blocks there are.
    pub(super) fn len(&self) -> usize {
        self.first.len() - 1
    }

    /// Reads everything, by so many threads at most. However many they are, the same is found.
    pub(crate) fn read(
        blocks: &Blocks,
        roots: &Roots,
        memory: &dyn Memory,
        readers: usize,
    ) -> Graph {
        let shares = shares(blocks, &roots.ranges, readers);
        let read = |share: &Share| Reading::of(share, blocks, roots, memory);
        let parts = in_parallel(&shares, read);
        Whole::of(parts, blocks, roots).judge_interior(memory)
    }
}

/// What one thread reads.
#[derive(Debug)]
struct Share {
    blocks: Range<Index>,
    ranges: Vec<RootRange>,
}

/// Cuts blocks and roots, in their order, into so many shares of as many bytes each.
fn shares(blocks: &Blocks, ranges: &[RootRange], count: usize) -> Vec<Share> {
    let count = count.max(1) as u64;
    let all = (0..blocks.len() as Index).map(|block| blocks.size(block));
    let bytes = all.fold(0, u64::saturating_add);
    let root_bytes = ranges.iter().map(|root| root.range.end - root.range.start);
    // At least a byte, so that shares have an end.
    let each = root_bytes.fold(0, u64::saturating_add).div_ceil(count).max(1);
    let (mut block, mut sum) = (0, 0u64);
    let mut left: VecDeque<RootRange> = ranges.iter().cloned().collect();
    let share = |number: u64| {
        let from = block;
        let until = if number == count { u64::MAX } else { bytes / count * number };
        while (block as usize) < blocks.len() && sum < until {
            sum = sum.saturating_add(blocks.size(block));
            block += 1;
        }
        let most = if number == count { u64::MAX } else { each };
        Share { blocks: from..block, ranges: take_bytes(&mut left, most) }
    };
    (1..=count).map(share).collect()
}

/// Takes the first so many bytes off.
fn take_bytes(left: &mut VecDeque<RootRange>, mut most: u64) -> Vec<RootRange> {
    let mut taken = Vec::new();
    while most > 0
        && let Some(mut root) = left.pop_front()
    {
        let Range { start, end } = root.range;
        // Whole pages, whose words are whole.
        let cut = start.saturating_add(most).checked_next_multiple_of(PAGE);
        if let Some(cut) = cut.filter(|&cut| cut < end) {
            left.push_front(RootRange { range: cut..end, ..root.clone() });
            root.range.end = cut;
        }
        most = most.saturating_sub(root.range.end - start);
        taken.push(root);
    }
    taken
}

/// Does the work for each item, the first one here and each of the others in a thread of its own, if there can be one.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (work, Some((first, others))) = (&work, items.split_first()) else { return Vec::new() };
    thread::scope(|scope| {
        let begin = |item| {
            let name = "heaptape-search".to_string();
            thread::Builder::new().name(name).spawn_scoped(scope, move || work(item)).ok()
        };
        let running: Vec<_> = others.iter().map(|item| (item, begin(item))).collect();
        let mut results = vec![work(first)];
        results.extend(running.into_iter().map(|(item, thread)| match thread {
            Some(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            None => work(item),
        }));
        results
    })
}

/// An interior pointer that a heuristic may take for one to the start.
struct Candidate {
    edge: u32,
    offset: u64,
}

/// What was found in a share.
struct Reading<'a> {
    blocks: &'a Blocks,
    code: &'a Code,
    /// By block of the share: its first pointer.
    first: Vec<u32>,
    edges: Vec<Edge>,
    overflown: bool,
    /// By block of the share: what its first words look like.
    traits: Vec<Traits>,
    interior: Vec<Candidate>,
    hits: Hits,
    /// See [`Blocks::find`].
    near: usize,
}

/// Pointers from outside. Those to one place in one block are worth the same: the first counts.
#[derive(Default)]
struct Hits {
    seen: FxHashSet<(Index, u64)>,
    /// With how far into the block they point.
    list: Vec<(Hit, u64)>,
}

impl Hits {
    #[inline]
    fn add(&mut self, hit: Hit, offset: u64) {
        if self.seen.insert((hit.to, offset)) {
            self.list.push((hit, offset));
        }
    }
}

/// What was found in all shares.
struct Whole<'a> {
    blocks: &'a Blocks,
    graph: Graph,
    /// By block.
    traits: Vec<Traits>,
    interior: Vec<Candidate>,
    hits: Hits,
    vtables: Vtables<'a>,
}

impl<'a> Whole<'a> {
    fn of(parts: Vec<Reading<'a>>, blocks: &'a Blocks, roots: &'a Roots) -> Whole<'a> {
        let mut whole = Whole {
            blocks,
            graph: Graph::default(),
            traits: Vec::new(),
            interior: Vec::new(),
            hits: Hits::default(),
            vtables: Vtables::new(&roots.code),
        };
        let mut near = 0;
        for word in &roots.words {
            if let Some((to, offset)) = blocks.find(word.value, &mut near) {
                let (place, address) = (word.place, word.address);
                whole.hits.add(Hit { place, address, to, is_start: offset == 0 }, offset);
            }
        }
        parts.into_iter().for_each(|part| whole.add(part));
        whole.graph.first.push(whole.graph.edges.len() as u32);
        whole
    }

    fn add(&mut self, mut part: Reading<'a>) {
        let graph = &mut self.graph;
        graph.overflown |= part.overflown;
        if part.edges.len() > MOST_EDGES - graph.edges.len() {
            graph.overflown = true;
            part.edges.clear();
            part.interior.clear();
            part.first.fill(0);
        }
        let base = graph.edges.len() as u32;
        if graph.first.is_empty() {
            (graph.first, graph.edges) = (part.first, part.edges);
            self.interior = part.interior;
        } else {
            graph.first.extend(part.first.iter().map(|first| first + base));
            graph.edges.append(&mut part.edges);
            let moved = part.interior.iter();
            let moved = moved.map(|it| Candidate { edge: it.edge + base, offset: it.offset });
            self.interior.extend(moved);
        }
        self.traits.append(&mut part.traits);
        part.hits.list.into_iter().for_each(|(hit, offset)| self.hits.add(hit, offset));
    }
}

impl<'a> Reading<'a> {
    fn of(share: &Share, blocks: &'a Blocks, roots: &'a Roots, memory: &dyn Memory) -> Reading<'a> {
        let mut reading = Reading {
            blocks,
            code: &roots.code,
            first: Vec::new(),
            edges: Vec::new(),
            overflown: false,
            traits: Vec::new(),
            interior: Vec::new(),
            hits: Hits::default(),
            near: 0,
        };
        reading.blocks(share.blocks.clone(), memory);
        share.ranges.iter().for_each(|root| reading.root(root, memory));
        reading
    }

    /// Reads the blocks in order, several at once.
    fn blocks(&mut self, share: Range<Index>, memory: &dyn Memory) {
        let (mut next, mut buffer) = (share.start, Vec::new());
        while next < share.end {
            let end = self.batch(next..share.end);
            if end == next {
                self.large_block(next, memory);
                next += 1;
                continue;
            }
            let spans = self.spans(next..end);
            buffer.resize(spans.iter().map(|span| span.1).sum(), 0);
            memory.read(&spans, &mut buffer);
            let (mut span, mut base) = (0, 0);
            for block in next..end {
                let (start, size) = (self.blocks.start(block), self.blocks.size(block) as usize);
                if size == 0 {
                    self.small_block(block, &[]);
                    continue;
                }
                while start >= spans[span].0 + spans[span].1 as u64 {
                    base += spans[span].1;
                    span += 1;
                }
                let from = base + (start - spans[span].0) as usize;
                self.small_block(block, &buffer[from..from + size]);
            }
            next = end;
        }
    }

    /// The end of those of the blocks that are read together with the first; itself if it is too large for that.
    fn batch(&self, blocks: Range<Index>) -> Index {
        let (mut bytes, mut end) = (0, blocks.start);
        while end < blocks.end && end - blocks.start < 1 << 16 {
            bytes += self.blocks.size(end).saturating_add(GAP);
            if bytes > BATCH as u64 {
                break;
            }
            end += 1;
        }
        end
    }

    /// The memory of some blocks in as few pieces as is worth it.
    fn spans(&self, batch: Range<Index>) -> Vec<(u64, usize)> {
        let mut spans: Vec<(u64, usize)> = Vec::new();
        for block in batch {
            let (start, size) = (self.blocks.start(block), self.blocks.size(block));
            if size == 0 {
                continue;
            }
            match spans.last_mut() {
                Some((at, length)) if start <= *at + *length as u64 + GAP => {
                    *length = (*length).max((start - *at + size) as usize);
                }
                _ => spans.push((start, size as usize)),
            }
        }
        spans
    }

    fn small_block(&mut self, block: Index, bytes: &[u8]) {
        self.begin_block();
        // Allocators give aligned blocks; what a tape says of others is read as memcheck would.
        let skipped = (self.blocks.start(block).wrapping_neg() % 8) as usize;
        let bytes = bytes.get(skipped..).unwrap_or_default();
        let mut head = [0; 2];
        words(bytes).zip(&mut head).for_each(|(word, slot)| *slot = word);
        self.traits.push(Traits::of(self.blocks.size(block), head, self.code));
        for (word, offset) in words(bytes).zip((skipped as u64..).step_by(8)) {
            self.word(word, offset);
        }
    }

    fn large_block(&mut self, block: Index, memory: &dyn Memory) {
        self.begin_block();
        let (start, size) = (self.blocks.start(block), self.blocks.size(block));
        let head = [memory.word(start), memory.word(start.saturating_add(8))];
        self.traits.push(Traits::of(size, head, self.code));
        memory.each_piece(start..start.saturating_add(size), &mut |addr, bytes| {
            for (word, offset) in words(bytes).zip((addr - start..).step_by(8)) {
                self.word(word, offset);
            }
        });
    }

    fn begin_block(&mut self) {
        self.first.push(self.edges.len() as u32);
    }

    #[inline]
    fn word(&mut self, word: u64, offset: u64) {
        let Some((to, inside)) = self.blocks.find(word, &mut self.near) else { return };
        let edge = self.edges.len();
        if edge >= MOST_EDGES {
            self.overflown = true;
            return;
        }
        self.edges.push(Edge::new(to, inside == 0, offset));
        if inside != 0 && inside.is_multiple_of(8) {
            self.interior.push(Candidate { edge: edge as u32, offset: inside });
        }
    }

    /// Reads roots.
    fn root(&mut self, root: &RootRange, memory: &dyn Memory) {
        let (blocks, mut near) = (self.blocks, self.near);
        memory.each_piece(root.range.clone(), &mut |start, bytes| {
            for (word, address) in words(bytes).zip((start..).step_by(8)) {
                if let Some((to, offset)) = blocks.find(word, &mut near)
                    && let Some(offset) = self.kept_at(to, offset, root.keeper)
                {
                    let is_start = offset == 0;
                    self.hits.add(Hit { place: root.place, address, to, is_start }, offset);
                }
            }
        });
        self.near = near;
    }

    /// What a pointer to that place in a block is worth with who keeps it: where it points to; `None`: nothing.
    fn kept_at(&self, to: Index, offset: u64, keeper: Keeper) -> Option<u64> {
        match keeper {
            Keeper::Program => Some(offset),
            Keeper::Loader => Some(0),
            Keeper::Libc => {
                let usable = (self.blocks.size(to).saturating_add(23) & !15).max(32) - 8;
                (offset != usable - 8).then_some(offset)
            }
        }
    }
}

impl Whole<'_> {
    /// Finds out which pointers into a block are as good as one to its start.
    fn judge_interior(mut self, memory: &dyn Memory) -> Graph {
        let mut hits = self.hits.list;
        let traits = std::mem::take(&mut self.traits);
        let mut unsure: Vec<(Index, u64, Result<u32, usize>)> = Vec::new();
        let mut judge = |to: Index, offset, place| match traits[to as usize].interior(offset) {
            Interior::AsStart => true,
            Interior::IfVtable => {
                unsure.push((to, offset, place));
                false
            }
            Interior::No => false,
        };
        for Candidate { edge, offset } in std::mem::take(&mut self.interior) {
            let found = &mut self.graph.edges[edge as usize];
            if judge(found.to(), offset, Ok(edge)) {
                found.to |= AS_START;
            }
        }
        for (at, (hit, offset)) in hits.iter_mut().enumerate() {
            hit.is_start |=
                *offset > 0 && offset.is_multiple_of(8) && judge(hit.to, *offset, Err(at));
        }
        unsure.sort_unstable_by_key(|(to, offset, _)| (*to, *offset));
        for some in unsure.chunks(BATCH / 16) {
            let both = |&(to, offset, _): &(Index, u64, _)| {
                let start = self.blocks.start(to);
                [(start, 8), (start + offset, 8)]
            };
            let spans: Vec<_> = some.iter().flat_map(both).collect();
            let mut bytes = vec![0; spans.len() * 8];
            memory.read(&spans, &mut bytes);
            let found: Vec<u64> = words(&bytes).collect();
            for (bases, (_, _, place)) in found.as_chunks::<2>().0.iter().zip(some) {
                // The second first: hardly any are.
                if bases.iter().rev().all(|&base| self.vtables.is_vtable(base, memory)) {
                    match place {
                        Ok(edge) => self.graph.edges[*edge as usize].to |= AS_START,
                        Err(hit) => hits[*hit].0.is_start = true,
                    }
                }
            }
        }
        self.graph.hits = hits.into_iter().map(|(hit, _)| hit).collect();
        self.graph
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Every block and every byte of the roots is in one share, in order.
        #[test]
        fn shares_are_the_whole(
            sizes in prop::collection::vec(0u64..100_000, 0..50),
            roots in prop::collection::vec((0u64..100, 1u64..100_000), 0..20),
            count in 0usize..6,
        ) {
            let blocks = Blocks::new((1..).map(|n| n << 20).zip(sizes).collect());
            let roots = (1u64..).zip(roots).map(|(at, (skipped, length))| {
                let start = (at << 20) + 8 * skipped;
                RootRange { range: start..start + length, place: at as u32, keeper: Keeper::Libc }
            });
            let roots: Vec<RootRange> = roots.collect();
            let shares = shares(&blocks, &roots, count);
            prop_assert_eq!(shares.len(), count.max(1));
            let mut block = 0;
            let mut together: Vec<RootRange> = Vec::new();
            for share in shares {
                prop_assert_eq!(share.blocks.start, block);
                block = share.blocks.end;
                for root in share.ranges {
                    match together.last_mut().filter(|last| last.place == root.place) {
                        Some(last) => {
                            prop_assert_eq!(last.range.end, root.range.start);
                            prop_assert!(root.range.start % PAGE == 0);
                            last.range.end = root.range.end;
                        }
                        None => together.push(root),
                    }
                }
            }
            prop_assert_eq!((block as usize, together), (blocks.len(), roots));
        }
    }
}
