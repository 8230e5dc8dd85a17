//! The ELF files that a process has mapped: where their data is, and by what it is shifted.

use super::memory::{Memory, words};
use heaptape_tape::{LeakPlace, Mapping, PlaceKind};

/// File name of the recorder's library.
const RECORDER: &[u8] = b"libheaptape.so";
/// How the head begins: of 64 bits, little-endian.
const ELF: [u8; 7] = [0x7f, b'E', b'L', b'F', 2, 1, 1];
/// Of the file's head: where the table of segments is, the length of an entry and their number.
const HEAD_BYTES: usize = 64;
const SEGMENT_BYTES: usize = 56;
const MOST_SEGMENTS: usize = 64;
const LOADED: u32 = 1;
const THREAD_LOCAL: u32 = 7;

/// Who keeps a pointer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Keeper {
    #[default]
    Program,
    /// It knows where its blocks begin, although it keeps pointers to their aligned middles.
    Loader,
    /// The allocator's own pointers are among its data, to the headers of chunks, which overlap the last bytes of the
    /// block before.
    Libc,
}

/// A mapped ELF file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Module<'a> {
    pub(super) path: &'a [u8],
    /// First address.
    pub(super) start: u64,
    /// First address after it, with what the file does not hold (`.bss`).
    pub(super) end: u64,
    /// What must be subtracted from an address to get the one that the file states.
    pub(super) bias: u64,
    /// Bytes of its thread-local variables.
    pub(super) thread_local: u64,
}

impl Module<'_> {
    /// Whether a mapping is a part of it.
    pub(super) fn holds(&self, mapping: &Mapping) -> bool {
        let is_inside = self.start <= mapping.start && mapping.start < self.end;
        is_inside && (mapping.name.is_empty() || *mapping.name == *self.path)
    }

    pub(super) fn is_recorder(&self) -> bool {
        self.path.windows(RECORDER.len()).any(|part| part == RECORDER)
    }

    /// Whether it is the loader or libc, whose word on pointers is another than a program's.
    pub(super) fn keeper(&self) -> Keeper {
        let name = self.path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        if name.starts_with(b"ld-linux") || name.starts_with(b"ld-2.") || name == b"ld.so" {
            Keeper::Loader
        } else if name.starts_with(b"libc.so") || name.starts_with(b"libc-2.") {
            Keeper::Libc
        } else {
            Keeper::Program
        }
    }

    /// Its data, as a place of roots.
    pub(super) fn data(&self) -> LeakPlace {
        LeakPlace { kind: PlaceKind::Data, tid: 0, start: self.bias, name: self.path.to_vec() }
    }
}

/// The modules among mappings.
pub(super) fn of<'a>(mappings: &'a [Mapping], memory: &dyn Memory) -> Vec<Module<'a>> {
    let firsts = mappings.iter().filter(|mapping| {
        mapping.offset == 0 && mapping.access.read && mapping.name.first() == Some(&b'/')
    });
    firsts.filter_map(|first| module(first, memory)).collect()
}

fn module<'a>(first: &'a Mapping, memory: &dyn Memory) -> Option<Module<'a>> {
    let mut head = [0; HEAD_BYTES];
    memory.read(&[(first.start, HEAD_BYTES)], &mut head);
    if !head.starts_with(&ELF) {
        return None;
    }
    let half = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    let table = words(&head).nth(4)?;
    let count = usize::from(half(56)).min(MOST_SEGMENTS);
    if usize::from(half(54)) != SEGMENT_BYTES {
        return None;
    }
    let mut bytes = vec![0; count * SEGMENT_BYTES];
    memory.read(&[(first.start.checked_add(table)?, bytes.len())], &mut bytes);
    let mut segments = Vec::new();
    let mut thread_local = 0u64;
    for segment in bytes.as_chunks::<SEGMENT_BYTES>().0 {
        let fields: Vec<u64> = words(segment).collect();
        let [kind, _, address, _, _, length, alignment] = fields[..] else { continue };
        match kind as u32 {
            LOADED => segments.push((address, address.saturating_add(length))),
            THREAD_LOCAL => thread_local = length.saturating_add(alignment.min(4096)),
            _ => {}
        }
    }
    let low = segments.iter().map(|segment| segment.0).min()? & !4095;
    let high = segments.iter().map(|segment| segment.1).max()?;
    let bias = first.start.wrapping_sub(low);
    let end = bias.wrapping_add(high.checked_next_multiple_of(4096)?);
    (end > first.start).then_some(Module {
        path: &first.name,
        start: first.start,
        end,
        bias,
        thread_local,
    })
}
