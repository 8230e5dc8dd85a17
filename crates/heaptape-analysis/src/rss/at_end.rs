//! What resident memory without a file was for when a process ended.

use crate::extents::block_end;
use crate::layout::has_own_mapping;
use crate::recording::Recording;
use heaptape_tape::{LiveBlock, Mapping, PlaceKind, ProcessId};
use serde::Serialize;

/// Resident private memory at the end, by what it is for. Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AtEnd {
    /// When the mappings were looked at.
    pub time_ns: u64,
    /// The heap that `brk` made.
    pub heap: Part,
    /// Other memory that the allocator divides into blocks.
    pub arena: Part,
    /// Mappings of single blocks.
    pub mapped: Part,
    /// The first thread's stack.
    pub stack_bytes: u64,
    /// Stacks of other threads that were there at the end.
    pub thread_stack_bytes: u64,
    /// Changed pages of modules and other files: their variables.
    pub module_bytes: u64,
    /// What was mapped otherwise: by the program itself, for stacks of threads that are gone, by the recorder.
    pub other_bytes: u64,
    /// Arenas of glibc beside the first.
    pub arenas: u64,
    /// Of `arena`: bytes asked for outside of glibc's arenas, that is, from another allocator.
    pub foreign_bytes: u64,
}

/// Resident memory that an allocator divides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Resident bytes.
    pub resident_bytes: u64,
    /// Of those in blocks: asked for. At most; untouched ones are not resident.
    pub asked_bytes: u64,
    /// Of those in blocks: beyond what was asked for.
    pub rounding_bytes: u64,
    /// The rest: no block's. Free memory, and the allocator's headers.
    pub free_bytes: u64,
}

impl AtEnd {
    /// Resident bytes of the allocator.
    pub fn allocator_bytes(&self) -> u64 {
        [self.heap, self.arena, self.mapped].iter().map(|part| part.resident_bytes).sum()
    }

    /// Of those, bytes that are no block's.
    pub fn free_bytes(&self) -> u64 {
        [self.heap, self.arena, self.mapped].iter().map(|part| part.free_bytes).sum()
    }
}

/// What was resident when a process ended; `None` where its last map does not say. `blocks`: those live then, by address.
pub fn at_end(
    recording: &dyn Recording,
    process: ProcessId,
    blocks: &[LiveBlock],
) -> Option<AtEnd> {
    let map = recording.memory_maps().iter().rfind(|map| map.process == process)?;
    if map.resident.len() != map.mappings.len() {
        return None;
    }
    let stacks = thread_stacks(recording, process);
    let page_bytes = crate::layout::page_bytes(recording);
    let mut end = AtEnd { time_ns: map.time.0, ..AtEnd::default() };
    for (index, (mapping, &resident)) in map.mappings.iter().zip(&map.resident).enumerate() {
        let first = blocks.partition_point(|block| block.addr < mapping.start);
        let inside = blocks[first..].iter().take_while(|block| block.addr < mapping.end);
        let is_arena = mapping.is_arena(map.mappings.get(index + 1));
        let kind = kind(mapping, is_arena, &stacks, inside.clone(), page_bytes);
        end.arenas += u64::from(kind == Kind::Arena && is_arena);
        let before = end.arena.asked_bytes;
        end.add(kind, resident, inside, mapping.end);
        end.foreign_bytes += if is_arena { 0 } else { end.arena.asked_bytes - before };
    }
    Some(end)
}

/// What a mapping is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Heap,
    Arena,
    Mapped,
    Stack,
    ThreadStack,
    Module,
    Other,
}

fn kind<'a>(
    mapping: &Mapping,
    is_arena: bool,
    stacks: &[u64],
    mut blocks: impl Iterator<Item = &'a LiveBlock>,
    page_bytes: u64,
) -> Kind {
    match &mapping.name[..] {
        b"[heap]" => return Kind::Heap,
        b"[stack]" => return Kind::Stack,
        name if name.starts_with(b"/") => return Kind::Module,
        _ => {}
    }
    if stacks.iter().any(|sp| (mapping.start..mapping.end).contains(sp)) {
        return Kind::ThreadStack;
    }
    if let Some(first) = blocks.next() {
        let all_own = std::iter::once(first).chain(blocks).all(|b| has_own_mapping(b, page_bytes));
        return if all_own { Kind::Mapped } else { Kind::Arena };
    }
    if is_arena { Kind::Arena } else { Kind::Other }
}

/// Stack pointers of the threads that were there at the last search for leaks.
fn thread_stacks(recording: &dyn Recording, process: ProcessId) -> Vec<u64> {
    let scan = recording.leak_scans().iter().rfind(|scan| scan.process == process);
    let places = scan.map_or(&[][..], |scan| &scan.places);
    let stacks = places.iter().filter(|place| place.kind == PlaceKind::Stack && place.start > 0);
    stacks.map(|place| place.start).collect()
}

impl AtEnd {
    fn add<'a>(
        &mut self,
        kind: Kind,
        resident: u64,
        blocks: impl Iterator<Item = &'a LiveBlock>,
        end: u64,
    ) {
        match kind {
            Kind::Heap | Kind::Arena | Kind::Mapped => {}
            Kind::Stack => return self.stack_bytes += resident,
            Kind::ThreadStack => return self.thread_stack_bytes += resident,
            Kind::Module => return self.module_bytes += resident,
            Kind::Other => return self.other_bytes += resident,
        }
        let (mut asked, mut usable) = (0_u64, 0_u64);
        for block in blocks {
            let inside = end - block.addr;
            asked = asked.saturating_add(block.size.min(inside));
            usable = usable.saturating_add((block_end(block) - block.addr).min(inside));
        }
        // Neighbouring mappings are one for the kernel: what is in none of these blocks may be anybody's.
        let resident = if kind == Kind::Mapped {
            let own = resident.min(usable);
            self.other_bytes += resident - own;
            own
        } else {
            resident
        };
        let part = match kind {
            Kind::Heap => &mut self.heap,
            Kind::Arena => &mut self.arena,
            _ => &mut self.mapped,
        };
        let asked = asked.min(resident);
        let rounding = (usable - usable.min(asked)).min(resident - asked);
        part.resident_bytes += resident;
        part.asked_bytes += asked;
        part.rounding_bytes += rounding;
        part.free_bytes += resident - asked - rounding;
    }
}
