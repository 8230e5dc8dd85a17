//! The search against a slow one that is memcheck's words, taken literally; and each danger by itself.

use super::graph::Graph;
use super::heuristics::Code;
use super::memory::{BATCH, Memory};
use super::modules::Keeper;
use super::roots::{RootRange, RootWord, Roots};
use super::threads::{self, ControlBlock};
use super::{Blocks, judge};
use heaptape_tape::{LeakBlock, LeakKind, LeakOwner, LeakPlace};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Words by address; all others are zero.
#[derive(Debug, Default)]
struct Words(BTreeMap<u64, u64>);

impl Memory for Words {
    fn read(&self, spans: &[(u64, usize)], buffer: &mut [u8]) {
        buffer.fill(0);
        let mut base = 0;
        for &(start, length) in spans {
            let end = start + length as u64;
            for (&addr, word) in self.0.range(start.saturating_sub(7)..end) {
                for (byte, at) in word.to_ne_bytes().into_iter().zip(addr..) {
                    if (start..end).contains(&at) {
                        buffer[base + (at - start) as usize] = byte;
                    }
                }
            }
            base += length;
        }
    }

    fn written(&self, range: Range<u64>) -> Vec<Range<u64>> {
        vec![range]
    }
}

const ROOT: u64 = 0x1000;

/// Blocks at multiples of 0x100 from 0x10000 on, with pointers (block, word, to, offset), and roots (to, offset).
struct World {
    sizes: Vec<u64>,
    memory: Words,
    roots: Vec<(u64, u64)>,
}

fn start(block: usize) -> u64 {
    0x10000 + 0x100 * block as u64
}

impl World {
    fn new(sizes: &[u64], edges: &[(usize, u64, usize, u64)], roots: &[(usize, u64)]) -> World {
        let mut memory = Words::default();
        for &(from, word, to, offset) in edges {
            memory.0.insert(start(from) + 8 * word, start(to) + offset);
        }
        let roots: Vec<_> =
            roots.iter().map(|&(to, offset)| start(to) + offset).zip(ROOT..).collect();
        let roots: Vec<_> =
            roots.into_iter().map(|(value, n)| (ROOT + 8 * (n - ROOT), value)).collect();
        memory.0.extend(roots.iter().copied());
        World { sizes: sizes.to_vec(), memory, roots }
    }

    fn search(&self) -> Vec<LeakBlock> {
        let blocks: Vec<_> = (0..).map(start).zip(self.sizes.iter().copied()).collect();
        let blocks = Blocks::new(blocks);
        let end = ROOT + 8 * self.roots.len() as u64;
        let range = RootRange { range: ROOT..end, place: 0, keeper: Keeper::Program };
        let roots = Roots {
            places: vec![LeakPlace::memory(ROOT, Vec::new())],
            ranges: vec![range],
            ..Roots::default()
        };
        judge(&blocks, &Graph::read(&blocks, &roots, &self.memory, 3))
    }

    fn kinds(&self) -> Vec<LeakKind> {
        self.search().iter().map(|block| block.kind).collect()
    }

    /// Where a word points to, and whether as good as to the start.
    fn target(&self, word: u64) -> Option<(usize, bool)> {
        let block = (0..self.sizes.len())
            .find(|&b| (start(b)..start(b) + self.sizes[b].max(1)).contains(&word))?;
        let (offset, size) = (word - start(block), self.sizes[block]);
        let head = |at| if 8 * at + 8 <= size { self.word(block, at) } else { 0 };
        let is_element = offset == 8 && head(0) > 0 && (size - 8) % head(0) == 0;
        let is_text = offset == 24 && size >= 25 && head(1) == size - 25 && head(0) <= head(1);
        Some((block, offset == 0 || is_element || is_text))
    }

    fn word(&self, block: usize, at: u64) -> u64 {
        self.memory.0.get(&(start(block) + 8 * at)).copied().unwrap_or(0)
    }

    fn edges(&self, block: usize) -> Vec<(usize, bool)> {
        (0..self.sizes[block] / 8).filter_map(|at| self.target(self.word(block, at))).collect()
    }

    /// Everything to which pointers lead from these, `without` one.
    fn closure(
        &self,
        from: &[usize],
        without: Option<usize>,
        starts_only: bool,
    ) -> BTreeSet<usize> {
        let mut found: BTreeSet<usize> = BTreeSet::new();
        loop {
            let more: Vec<usize> = from
                .iter()
                .copied()
                .chain(found.iter().flat_map(|&b| {
                    let edges = self.edges(b).into_iter();
                    edges
                        .filter(|edge| edge.1 || !starts_only)
                        .map(|edge| edge.0)
                        .collect::<Vec<_>>()
                }))
                .filter(|block| Some(*block) != without && !found.contains(block))
                .collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }

    /// Kind and retained bytes of each block, slowly.
    fn slow(&self) -> Vec<(LeakKind, u64)> {
        let hits: Vec<_> = self.roots.iter().filter_map(|root| self.target(root.1)).collect();
        let all: Vec<usize> = hits.iter().map(|hit| hit.0).collect();
        let starts: Vec<usize> = hits.iter().filter(|hit| hit.1).map(|hit| hit.0).collect();
        let reachable = self.closure(&starts, None, true);
        let anyhow = self.closure(&all, None, false);
        let lost: Vec<usize> = (0..self.sizes.len()).filter(|b| !anyhow.contains(b)).collect();
        // memcheck's way: in the order of addresses each takes in what it leads to through blocks that nobody has.
        let mut free: BTreeSet<usize> = lost.iter().copied().collect();
        let mut leaders = free.clone();
        for beginning in lost {
            if !leaders.contains(&beginning) {
                continue;
            }
            let mut waiting = vec![beginning];
            while let Some(block) = waiting.pop() {
                for (to, _) in self.edges(block) {
                    if to != beginning && free.remove(&to) {
                        leaders.remove(&to);
                        waiting.push(to);
                    }
                }
            }
        }
        let outermost: Vec<usize> = all.into_iter().chain(leaders.iter().copied()).collect();
        let everything = self.closure(&outermost, None, false);
        (0..self.sizes.len())
            .map(|block| {
                let kind = if reachable.contains(&block) {
                    LeakKind::Reachable
                } else if anyhow.contains(&block) {
                    LeakKind::Possible
                } else if leaders.contains(&block) {
                    LeakKind::Definite
                } else {
                    LeakKind::Indirect
                };
                let others = self.closure(&outermost, Some(block), false);
                let gone = everything.difference(&others).map(|&b| self.sizes[b]);
                (kind, gone.sum())
            })
            .collect()
    }

    /// That what leads to each block really does, and comes from outside or a block that nothing leads to.
    fn assert_owners(&self, found: &[LeakBlock]) {
        for (at, block) in found.iter().enumerate() {
            let (mut at, mut steps) = (at, 0);
            loop {
                assert!(steps <= found.len(), "a circle");
                steps += 1;
                match found[at].owner {
                    LeakOwner::Nobody => {
                        assert_eq!(found[at].kind, LeakKind::Definite);
                        assert!(matches!(block.kind, LeakKind::Definite | LeakKind::Indirect));
                        break;
                    }
                    LeakOwner::Root { address, .. } => {
                        assert_eq!(self.target(self.memory.0[&address]).map(|t| t.0), Some(at));
                        assert!(matches!(block.kind, LeakKind::Reachable | LeakKind::Possible));
                        break;
                    }
                    LeakOwner::Block { block: owner, offset } => {
                        let word = self.word(owner as usize, offset / 8);
                        assert_eq!(self.target(word).map(|target| target.0), Some(at));
                        at = owner as usize;
                    }
                }
            }
        }
    }
}

use LeakKind::{Definite, Indirect, Possible, Reachable};

/// The nine cases of memcheck's manual (4.2.8), as far as there is a pointer at all: AAA is a start, `?` an interior.
#[test]
fn the_cases_of_the_manual() {
    let kinds = |edges: &[(usize, u64, usize, u64)], roots: &[(usize, u64)]| {
        World::new(&[64, 64], edges, roots).kinds()
    };
    let (start, inside) = (0, 16);
    assert_eq!(kinds(&[], &[(1, start)])[1], Reachable); // 1
    assert_eq!(kinds(&[(0, 0, 1, start)], &[(0, start)]), [Reachable, Reachable]); // 2
    assert_eq!(kinds(&[], &[])[1], Definite); // 3
    assert_eq!(kinds(&[(0, 0, 1, start)], &[]), [Definite, Indirect]); // 4
    assert_eq!(kinds(&[], &[(1, inside)])[1], Possible); // 5
    assert_eq!(kinds(&[(0, 0, 1, inside)], &[(0, start)]), [Reachable, Possible]); // 6
    assert_eq!(kinds(&[(0, 0, 1, start)], &[(0, inside)]), [Possible, Possible]); // 7
    assert_eq!(kinds(&[(0, 0, 1, inside)], &[(0, inside)]), [Possible, Possible]); // 8
    assert_eq!(kinds(&[(0, 0, 1, inside)], &[]), [Definite, Indirect]); // 9
}

#[test]
fn a_start_pointer_is_worth_more_than_an_interior_one_before_it() {
    let world = World::new(&[64, 64], &[(0, 1, 1, 8), (0, 2, 1, 0)], &[(0, 8), (0, 0)]);
    assert_eq!(world.kinds(), [Reachable, Reachable]);
}

#[test]
fn one_word_counts_to_the_last_whole_one() {
    // The pointer at byte 16 of a block of 23 bytes is cut.
    assert_eq!(World::new(&[23, 8], &[(0, 2, 1, 0)], &[(0, 0)]).kinds(), [Reachable, Definite]);
    assert_eq!(World::new(&[24, 8], &[(0, 2, 1, 0)], &[(0, 0)]).kinds(), [Reachable, Reachable]);
    assert_eq!(World::new(&[0, 8], &[], &[(0, 0), (1, 8)]).kinds(), [Reachable, Definite]);
}

/// A list of a million blocks: nothing here goes deep by recursion.
#[test]
fn a_long_list_hangs_on_its_head() {
    const LENGTH: usize = 100_000;
    let edges: Vec<_> = (0..LENGTH - 1).map(|at| (at, 0, at + 1, 0)).collect();
    let world = World::new(&vec![16; LENGTH], &edges, &[(0, 0)]);
    let found = world.search();
    assert!(found.iter().all(|block| block.kind == Reachable));
    assert_eq!(found[0].retained, 16 * LENGTH as u64);
    assert_eq!(found[LENGTH - 1].retained, 16);
    let both_ways: Vec<_> = edges.iter().flat_map(|&e| [e, (e.2, 1, e.0, 0)]).collect();
    let found = World::new(&vec![16; LENGTH], &both_ways, &[(0, 0)]).search();
    assert_eq!(found[1].retained, 16 * (LENGTH as u64 - 1));
}

/// The loader keeps a pointer to an aligned place in its block; libc's allocator points to headers of chunks, which
/// overlap the last bytes of the block before.
#[test]
fn the_loader_and_libc_are_known() {
    let blocks = Blocks::new(vec![(0x10000, 1026)]);
    let kind = |offset: u64, keeper| {
        let memory = Words(BTreeMap::from([(ROOT, 0x10000 + offset)]));
        let ranges = vec![RootRange { range: ROOT..ROOT + 8, place: 0, keeper }];
        let places = vec![LeakPlace::memory(ROOT, Vec::new())];
        let roots = Roots { places, ranges, ..Roots::default() };
        judge(&blocks, &Graph::read(&blocks, &roots, &memory, 2))[0].kind
    };
    assert_eq!(kind(48, Keeper::Program), Possible);
    assert_eq!(kind(48, Keeper::Loader), Reachable);
    assert_eq!(kind(1024, Keeper::Program), Possible);
    assert_eq!(kind(1024, Keeper::Libc), Definite);
    assert_eq!(kind(1008, Keeper::Libc), Possible);
}

/// An object with two bases: its second vtable is where a pointer to the second base points to.
#[test]
fn the_second_base_is_as_good_as_the_object() {
    let (table, code) = (0x40_0000_u64, 0x50_0000_u64);
    let kind = |second: u64, functions: [u64; 2]| {
        let memory = Words(BTreeMap::from([
            (0x10000, table),
            (0x10010, second),
            (ROOT, 0x10010),
            (table, functions[0]),
            (table + 8, functions[1]),
            (table + 0x40, functions[0]),
            (table + 0x48, functions[1]),
        ]));
        let ranges = vec![RootRange { range: ROOT..ROOT + 8, place: 0, keeper: Keeper::Program }];
        let executable = code..code + 0x1000;
        let readable = vec![table..table + 0x1000, executable.clone()];
        let code = Code { readable, executable: Vec::from([executable]) };
        let places = vec![LeakPlace::memory(ROOT, Vec::new())];
        let roots = Roots { places, ranges, code, ..Roots::default() };
        let blocks = Blocks::new(vec![(0x10000, 48)]);
        judge(&blocks, &Graph::read(&blocks, &roots, &memory, 2))[0].kind
    };
    assert_eq!(kind(table + 0x40, [code + 16, code + 32]), Reachable);
    assert_eq!(kind(table + 0x40, [code + 16, 77]), Possible);
    assert_eq!(kind(7, [code + 16, code + 32]), Possible);
}

#[test]
fn registers_are_roots() {
    let blocks = Blocks::new(vec![(0x10000, 8)]);
    let words = vec![RootWord { value: 0x10000, address: 12, place: 0 }];
    let places = vec![LeakPlace::registers(5)];
    let roots = Roots { places, words, ..Roots::default() };
    let found = judge(&blocks, &Graph::read(&blocks, &roots, &Words::default(), 1));
    assert_eq!(found[0].owner, LeakOwner::Root { place: 0, address: 12 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn verdicts_and_what_is_retained_are_those_of_the_slow_search(
        sizes in prop::collection::vec(0u64..80, 1..14),
        edges in prop::collection::vec((0usize..14, 0u64..10, 0usize..14, 0u64..10), 0..40),
        small in prop::collection::vec((0usize..14, 0u64..2, 0u64..60), 0..10),
        roots in prop::collection::vec((0usize..14, 0u64..10), 0..4),
    ) {
        let count = sizes.len();
        // Half of the pointers are to starts.
        let offset = |offset: u64| if offset < 5 { 0 } else { (offset - 5) * 8 };
        let edges: Vec<_> = edges
            .into_iter()
            .map(|(from, word, to, at)| (from % count, word, to % count, offset(at)))
            .collect();
        let roots: Vec<_> = roots.into_iter().map(|(to, at)| (to % count, offset(at))).collect();
        let mut world = World::new(&sizes, &edges, &roots);
        for (block, word, value) in small {
            world.memory.0.insert(start(block % count) + 8 * word, value);
        }
        let found = world.search();
        let slow = world.slow();
        for (at, (block, slow)) in found.iter().zip(&slow).enumerate() {
            prop_assert_eq!((block.kind, block.retained), *slow, "block {}", at);
        }
        world.assert_owners(&found);
    }
}

/// Control blocks at every place that one can have among the pieces in which memory is read.
#[test]
fn control_blocks_are_found_wherever_they_lie() {
    let start = 0x7000_0000 + 64;
    let end = start + 3 * BATCH as u64;
    let places = [start, start + 4096, 0x7000_0000 + BATCH as u64 - 64, end - 64];
    let mut memory = Words::default();
    for place in places {
        memory.0.extend([(place, place), (place + 8, place + 1), (place + 16, place)]);
    }
    // Not aligned; only once; of another.
    for (place, said) in [(start + 1032, start + 1032), (start + 2048, 0), (start + 8192, start)] {
        memory.0.extend([(place, place), (place + 16, said)]);
    }
    let found = threads::control_blocks(start..end, &memory);
    let expected = places.map(|address| ControlBlock { address, vector: address + 1 });
    assert_eq!(found, expected);
}
