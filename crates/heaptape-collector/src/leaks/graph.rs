//! Who points to whom: every word of every block and of every root, looked up once.
//!
//! All memory is read here, in the order of addresses; what follows from it is found out when the process
//! goes on already. A word counts if it is whole, aligned, and within the bytes that were asked for, as in
//! memcheck and LeakSanitizer.

use super::blocks::{Blocks, Index};
use super::heuristics::{Interior, Traits, Vtables};
use super::memory::{BATCH, Memory, words};
use super::modules::Keeper;
use super::roots::Roots;
use rustc_hash::FxHashMap;

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

    /// Reads everything.
    pub(crate) fn read(blocks: &Blocks, roots: &Roots, memory: &dyn Memory) -> Graph {
        let mut reading = Reading {
            blocks,
            graph: Graph::default(),
            traits: vec![Traits::default(); blocks.len()],
            interior: Vec::new(),
            vtables: Vtables::new(&roots.code),
        };
        reading.blocks(memory);
        let hits = reading.roots(roots, memory);
        reading.judge_interior(hits, memory)
    }
}

/// An interior pointer that a heuristic may take for one to the start.
struct Candidate {
    edge: u32,
    offset: u64,
}

struct Reading<'a> {
    blocks: &'a Blocks,
    graph: Graph,
    /// By block: what its first words look like.
    traits: Vec<Traits>,
    interior: Vec<Candidate>,
    vtables: Vtables<'a>,
}

impl Reading<'_> {
    /// Reads the blocks in order, several at once.
    fn blocks(&mut self, memory: &dyn Memory) {
        let count = self.blocks.len() as Index;
        let (mut next, mut buffer) = (0, Vec::new());
        while next < count {
            let end = self.batch(next);
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
        self.begin_block();
    }

    /// The end of the blocks that are read together with this one; itself if it is too large for that.
    fn batch(&self, first: Index) -> Index {
        let (mut bytes, mut end) = (0, first);
        while (end as usize) < self.blocks.len() && end - first < 1 << 16 {
            bytes += self.blocks.size(end).saturating_add(GAP);
            if bytes > BATCH as u64 {
                break;
            }
            end += 1;
        }
        end
    }

    /// The memory of some blocks in as few pieces as is worth it.
    fn spans(&self, batch: std::ops::Range<Index>) -> Vec<(u64, usize)> {
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
        self.traits[block as usize] =
            Traits::of(self.blocks.size(block), head, self.vtables.code());
        for (word, offset) in words(bytes).zip((skipped as u64..).step_by(8)) {
            self.word(word, offset);
        }
    }

    fn large_block(&mut self, block: Index, memory: &dyn Memory) {
        self.begin_block();
        let (start, size) = (self.blocks.start(block), self.blocks.size(block));
        let head = [memory.word(start), memory.word(start.saturating_add(8))];
        self.traits[block as usize] = Traits::of(size, head, self.vtables.code());
        memory.each_word(start..start.saturating_add(size), &mut |addr, word| {
            self.word(word, addr - start);
        });
    }

    fn begin_block(&mut self) {
        self.graph.first.push(self.graph.edges.len() as u32);
    }

    #[inline]
    fn word(&mut self, word: u64, offset: u64) {
        let Some((to, inside)) = self.blocks.find(word) else { return };
        let edge = self.graph.edges.len();
        if edge >= MOST_EDGES {
            self.graph.overflown = true;
            return;
        }
        self.graph.edges.push(Edge::new(to, inside == 0, offset));
        if inside != 0 && inside.is_multiple_of(8) {
            self.interior.push(Candidate { edge: edge as u32, offset: inside });
        }
    }

    /// Reads the roots. For each block the first pointer counts, and the first that is to its start or may be
    /// taken for that.
    fn roots(&mut self, roots: &Roots, memory: &dyn Memory) -> Vec<(Hit, u64)> {
        let mut seen: FxHashMap<(Index, u64), ()> = FxHashMap::default();
        let mut hits = Vec::new();
        let mut note = |place, address, word: u64, keeper| {
            if let Some((to, offset)) = self.blocks.find(word)
                && let Some(offset) = self.kept_at(to, offset, keeper)
                // Pointers to one place in one block are worth the same.
                && seen.insert((to, offset), ()).is_none()
            {
                hits.push((Hit { place, address, to, is_start: offset == 0 }, offset));
            }
        };
        for word in &roots.words {
            note(word.place, word.address, word.value, Keeper::Program);
        }
        for range in &roots.ranges {
            memory.each_word(range.range.clone(), &mut |addr, word| {
                note(range.place, addr, word, range.keeper);
            });
        }
        hits
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

    /// Finds out which pointers into a block are as good as one to its start.
    fn judge_interior(mut self, mut hits: Vec<(Hit, u64)>, memory: &dyn Memory) -> Graph {
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
