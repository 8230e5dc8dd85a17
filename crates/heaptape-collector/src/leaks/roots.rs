//! Where pointers to blocks are searched for: everything writable that is neither the allocator's nor ours.
//!
//! Roots are the data of all modules (of those that dlclose left behind, too), the stacks of all threads from
//! their stack pointer on, their registers, their thread-local storage and control
//! blocks, and all other memory that can be written. No root is what an allocator keeps: its free memory holds
//! the dead pointers of yesterday. glibc's own marks tell what is its: `[heap]`, the arenas of other threads,
//! and the chunks that it maps one by one, whatever lies beside them in the same mapping.

use super::blocks::Blocks;
use super::heuristics::Code;
use super::memory::Memory;
use super::modules::{self, Keeper, Module};
use super::ranges::{self, Ranges};
use super::threads::{self, ControlBlock, Stack, Thread};
use heaptape_tape::{LeakPlace, Mapping};
use std::ops::Range;

/// So far back a place is looked for that was told before.
const PLACES_BACK: usize = 32;

const DEVICES: &[u8] = b"/dev/";
const ZERO: &[u8] = b"/dev/zero";
const SHARED: &[u8] = b"/dev/shm/";

/// glibc's chunks: the size lies before the block, with marks in its lowest bits.
const HEADER: u64 = 16;
const IS_MAPPED: u64 = 2;
const IS_OF_ARENA: u64 = 4;
const MARKS: u64 = 7;
const PAGE: u64 = 4096;
/// Bytes of an entry of a thread's vector.
const VECTOR_ENTRY: u64 = 16;
/// glibc's heaps of other arenas begin at multiples of this.
const HEAP_MAX: u64 = 64 << 20;

/// Memory to be searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RootRange {
    pub(crate) range: Range<u64>,
    /// Position among the places.
    pub(crate) place: u32,
    pub(super) keeper: Keeper,
}

/// A single word that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RootWord {
    pub(crate) value: u64,
    /// Where it lies; of registers, which one.
    pub(crate) address: u64,
    /// Position among the places.
    pub(crate) place: u32,
}

/// Everything to be searched, and what it is.
#[derive(Debug, Default)]
pub(crate) struct Roots {
    pub(crate) places: Vec<LeakPlace>,
    pub(crate) ranges: Vec<RootRange>,
    pub(crate) words: Vec<RootWord>,
    pub(crate) code: Code,
    /// Some blocks are of an allocator that we know nothing of: the mappings that they lie in were left out as a
    /// whole.
    pub(crate) foreign_allocator: bool,
}

/// What is known of a process besides its memory.
pub(crate) struct Process<'a> {
    pub(crate) mappings: &'a [Mapping],
    /// Its threads with their registers, as far as they stand still.
    pub(crate) threads: &'a [Thread],
    /// The recorder's own memory in it.
    pub(crate) recorder: &'a [Range<u64>],
    /// Where blocks with guard pages lie, of which all are known; empty if there are none.
    pub(crate) arena: Range<u64>,
    /// Whether not all blocks of the heap are known: then all of it is searched.
    pub(crate) search_heap: bool,
}

struct Search<'a> {
    process: &'a Process<'a>,
    modules: &'a [Module<'a>],
    memory: &'a dyn Memory,
    /// In order.
    hidden: &'a [Range<u64>],
}

impl Roots {
    /// Finds the roots of a process that stands still.
    pub(crate) fn of(process: &Process<'_>, blocks: &Blocks, memory: &dyn Memory) -> Roots {
        let modules = modules::of(process.mappings, memory);
        let mut roots = Roots { code: code(process.mappings), ..Roots::default() };
        let mut hidden = Ranges::default();
        process.recorder.iter().for_each(|range| hidden.add(range.clone()));
        for module in modules.iter().filter(|module| module.is_recorder()) {
            hidden.add(module.start..module.end);
        }
        if process.search_heap {
            // What is a block is no root for all that.
            for block in 0..blocks.len() as u32 {
                let start = blocks.start(block);
                hidden.add(start..start.saturating_add(blocks.size(block)));
            }
        } else {
            roots.hide_allocator(process, blocks, memory, &mut hidden);
        }
        let hidden = hidden.merged();
        let search = Search { process, modules: &modules, memory, hidden: &hidden };
        for mapping in process.mappings.iter().filter(|mapping| is_searched(mapping)) {
            if *mapping.name != *b"[heap]" || process.search_heap {
                roots.mapping(mapping, &search);
            }
        }
        roots.registers(process.threads);
        roots
    }

    /// The position of a place: of one that was told not long ago, that; a process may have very many.
    fn place(&mut self, place: LeakPlace) -> u32 {
        let known = self.places.iter().rev().take(PLACES_BACK).position(|known| *known == place);
        let back = known.unwrap_or_else(|| {
            self.places.push(place);
            0
        });
        (self.places.len() - 1 - back) as u32
    }

    fn search(&mut self, range: Range<u64>, place: LeakPlace, search: &Search<'_>) {
        self.search_kept(range, place, Keeper::Program, search);
    }

    fn search_kept(
        &mut self,
        range: Range<u64>,
        place: LeakPlace,
        keeper: Keeper,
        search: &Search<'_>,
    ) {
        let mut parts = Vec::new();
        ranges::without(range, search.hidden, &mut |part| parts.push(part));
        if !parts.is_empty() {
            let place = self.place(place);
            self.ranges.extend(parts.into_iter().map(|range| RootRange { range, place, keeper }));
        }
    }

    fn mapping(&mut self, mapping: &Mapping, search: &Search<'_>) {
        let mut range = mapping.start..mapping.end;
        if let Some(module) = search.modules.iter().find(|module| module.holds(mapping)) {
            let end = range.end.min(module.end);
            self.search_kept(range.start..end, module.data(), module.keeper(), search);
            // The kernel makes one of .bss and of what was mapped behind it.
            range.start = end;
        }
        let is_file = mapping.name.first().is_some_and(|&first| first != b'[');
        if is_file {
            let place = LeakPlace::memory(range.start, mapping.name.to_vec());
            self.search(range, place, search);
        } else if *mapping.name == *b"[stack]" {
            self.first_stack(range, search);
        } else if !range.is_empty() {
            self.anonymous(range, search);
        }
    }

    /// The stack that the kernel has made.
    fn first_stack(&mut self, range: Range<u64>, search: &Search<'_>) {
        let uses = |thread: &&Thread| thread.sp.is_some_and(|sp| range.contains(&sp));
        let thread = search.process.threads.iter().find(uses);
        let sp = thread.and_then(|thread| thread.sp);
        let used = sp.map_or(range.start, |sp| sp.max(range.start));
        let place = LeakPlace::stack(thread.map_or(0, |thread| thread.tid), sp.unwrap_or(0));
        self.search(used..range.end, place, search);
    }

    /// Memory without a file: stacks, what belongs to threads, and what the program has mapped.
    fn anonymous(&mut self, range: Range<u64>, search: &Search<'_>) {
        let (threads, memory) = (search.process.threads, search.memory);
        let mut blocks = Vec::new();
        ranges::without(range.clone(), search.hidden, &mut |part| {
            blocks.extend(threads::control_blocks(part, memory));
        });
        self.vectors(&blocks);
        let mut from = range.start;
        for stack in threads::stacks(&range, &blocks, threads, memory) {
            self.search(
                from..stack.range.start,
                LeakPlace::memory(range.start, Vec::new()),
                search,
            );
            self.stack(&stack, search);
            from = stack.range.end;
        }
        // The first thread's storage is mapped by the loader, and its control block says nothing of a stack.
        let own = blocks.iter().find(|block| block.address >= from);
        let place = match own.and_then(|own| threads.iter().find(|t| t.fs_base == own.address)) {
            Some(thread) => LeakPlace::thread(thread.tid, thread.fs_base),
            None => LeakPlace::memory(range.start, Vec::new()),
        };
        self.search(from..range.end, place, search);
    }

    fn stack(&mut self, stack: &Stack, search: &Search<'_>) {
        let Range { start, end } = stack.range;
        let control = stack.control_block;
        if stack.tid == 0 {
            // Nobody will ever read the stack and the storage of a thread that has ended, nor what it returned when
            // that was taken.
            if !stack.is_joined {
                self.search(control..end, LeakPlace::thread(0, control), search);
            }
            return;
        }
        let used = stack.sp.map_or(start, |sp| sp.max(start));
        let storage: u64 = search.modules.iter().map(|module| module.thread_local).sum();
        let own = control.saturating_sub(storage).clamp(used.min(control), control);
        let place = LeakPlace::stack(stack.tid, stack.sp.unwrap_or(0));
        self.search(used..own, place, search);
        self.search(own..end, LeakPlace::thread(stack.tid, control), search);
    }

    /// A control block leads to the vector of its thread's dynamic storage, but to the second entry of it. So it
    /// does in the stacks of ended threads that libc keeps for others to come.
    fn vectors(&mut self, blocks: &[ControlBlock]) {
        for block in blocks {
            let place = self.place(LeakPlace::thread(0, block.address));
            let (value, address) = (block.vector.wrapping_sub(VECTOR_ENTRY), block.address + 8);
            self.words.push(RootWord { value, address, place });
        }
    }

    fn registers(&mut self, threads: &[Thread]) {
        for thread in threads {
            let place = self.place(LeakPlace::registers(thread.tid));
            for (value, address) in thread.registers.iter().copied().zip(0..) {
                self.words.push(RootWord { value, address, place });
            }
        }
    }

    /// Finds the memory that the allocator manages.
    fn hide_allocator(
        &mut self,
        process: &Process<'_>,
        blocks: &Blocks,
        memory: &dyn Memory,
        hidden: &mut Ranges,
    ) {
        let Process { mappings, arena, .. } = process;
        for mapping in mappings.iter().filter(|m| m.access.write && m.name.is_empty()) {
            let mut base = mapping.start.next_multiple_of(HEAP_MAX);
            while base < mapping.end {
                if let Some(size) = heap_size(base, memory) {
                    hidden.add(base..base + size);
                }
                base += HEAP_MAX;
            }
        }
        let in_heap: Vec<Range<u64>> = hidden.merged();
        hidden.add(arena.clone());
        for mapping in mappings.iter().filter(|m| m.access.write && *m.name != *b"[heap]") {
            let mut block = blocks.first_from(mapping.start);
            while (block as usize) < blocks.len() && blocks.start(block) < mapping.end {
                let start = blocks.start(block);
                match mapped_chunk(start, blocks.size(block), memory) {
                    _ if arena.contains(&start) => {}
                    Some(chunk) => hidden.add(chunk),
                    None if in_arena(start, &in_heap, memory) => {}
                    None => {
                        hidden.add(mapping.start..mapping.end);
                        self.foreign_allocator = true;
                        break;
                    }
                }
                // The others there are in it, too.
                let end = match arena.contains(&start) {
                    true => arena.end,
                    false => ranges::end_of(start, &in_heap).unwrap_or(start + 1),
                };
                block = blocks.first_from(end.max(start + 1)).max(block + 1);
            }
        }
    }
}

/// Whether there may be pointers in it.
pub(super) fn is_searched(mapping: &Mapping) -> bool {
    let access = &mapping.access;
    let name = &mapping.name[..];
    let is_device =
        name.starts_with(DEVICES) && !name.starts_with(ZERO) && !name.starts_with(SHARED);
    let is_ours = access.shared && name.starts_with(b"/memfd:heaptape");
    // What was written and made unwritable since is still there.
    let is_wanted = access.write || name.is_empty() && !access.shared;
    access.read && is_wanted && !is_device && !is_ours
}

fn code(mappings: &[Mapping]) -> Code {
    let of = |is: fn(&Mapping) -> bool| {
        let files = mappings.iter().filter(move |m| m.name.first() == Some(&b'/') && is(m));
        files.map(|m| m.start..m.end).collect()
    };
    Code { readable: of(|m| m.access.read), executable: of(|m| m.access.execute) }
}

/// glibc's `heap_info`: its arena, the heap before it, its size, how much of it can be written.
fn heap_size(base: u64, memory: &dyn Memory) -> Option<u64> {
    let [arena, before, size, writable] = [0, 8, 16, 24].map(|at| memory.word(base + at));
    let is_heap = arena != 0
        && arena.is_multiple_of(8)
        && before.is_multiple_of(HEAP_MAX)
        && (PAGE..=HEAP_MAX).contains(&size)
        && size.is_multiple_of(PAGE)
        && (size..=HEAP_MAX).contains(&writable)
        && writable.is_multiple_of(PAGE)
        // The first heap holds its arena; the others name it.
        && if before == 0 { arena & !(HEAP_MAX - 1) == base } else { true };
    is_heap.then_some(writable)
}

/// The pages of a block that glibc has mapped for itself.
fn mapped_chunk(block: u64, size: u64, memory: &dyn Memory) -> Option<Range<u64>> {
    let chunk = block.checked_sub(HEADER)?;
    let (before, marked) = (memory.word(chunk), memory.word(chunk + 8));
    let length = marked & !MARKS;
    let (start, end) = (chunk.checked_sub(before)?, chunk.checked_add(length)?);
    let is_mapped = marked & MARKS == IS_MAPPED
        && length >= size.saturating_add(HEADER)
        && start.is_multiple_of(PAGE)
        && end.is_multiple_of(PAGE);
    is_mapped.then_some(start..end)
}

fn in_arena(block: u64, heaps: &[Range<u64>], memory: &dyn Memory) -> bool {
    ranges::end_of(block, heaps).is_some()
        && block.checked_sub(8).is_some_and(|at| memory.word(at) & IS_OF_ARENA != 0)
}
