//! What a process had in memory at an instant, copied as far as a search looks at it: the process can go on, or end.

use super::memory::{Memory, ProcessReader};
use super::{ranges, roots};
use heaptape_tape::Mapping;
use rustc_hash::FxHashSet;
use std::ops::Range;

const PAGE: u64 = 4096;

/// A copy of memory. What was not copied reads as zero, as memory that was never written does.
pub(crate) struct MemoryCopy {
    /// In order; no two touch.
    parts: Vec<Part>,
    bytes: Vec<u8>,
    unreadable: u64,
}

struct Part {
    range: Range<u64>,
    /// Its place among the bytes.
    at: usize,
}

impl MemoryCopy {
    /// Copies a process that stands still, but for the recorder's own memory. `None` if that were more than `most` bytes,
    /// or if it is not known which pages there are.
    pub(crate) fn of(
        process: &ProcessReader,
        mappings: &[Mapping],
        recorder: &[Range<u64>],
        most: u64,
    ) -> Option<MemoryCopy> {
        let mut hidden = ranges::Ranges::default();
        recorder.iter().for_each(|range| hidden.add(range.clone()));
        let (hidden, programs) = (hidden.merged(), programs(mappings));
        let mut parts: Vec<Part> = Vec::new();
        let mut sum = 0;
        for range in mappings.iter().filter_map(|mapping| of_interest(mapping, &programs)) {
            let mut wanted = Vec::new();
            ranges::without(range, &hidden, &mut |part| wanted.push(part));
            for range in wanted {
                for range in process.present(range)? {
                    let length = range.end - range.start;
                    match parts.last_mut().filter(|last| last.range.end == range.start) {
                        Some(last) => last.range.end = range.end,
                        None => parts.push(Part { range, at: sum as usize }),
                    }
                    sum += length;
                    if sum > most {
                        return None;
                    }
                }
            }
        }
        let mut bytes = vec![0; sum as usize];
        let span = |part: &Part| (part.range.start, (part.range.end - part.range.start) as usize);
        let before = process.bytes_unreadable();
        process.read(&parts.iter().map(span).collect::<Vec<_>>(), &mut bytes);
        let unreadable = process.bytes_unreadable() - before;
        Some(MemoryCopy { parts, bytes, unreadable })
    }

    /// Bytes that were copied.
    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Bytes among them that could not be read.
    pub(crate) fn bytes_unreadable(&self) -> u64 {
        self.unreadable
    }

    /// The parts of a range that were copied.
    fn within(&self, range: Range<u64>) -> impl Iterator<Item = (Range<u64>, &[u8])> {
        let first = self.parts.partition_point(|part| part.range.end <= range.start);
        let parts = self.parts[first..].iter().take_while(move |part| part.range.start < range.end);
        parts.map(move |part| {
            let (start, end) = (part.range.start.max(range.start), part.range.end.min(range.end));
            let from = part.at + (start - part.range.start) as usize;
            (start..end, &self.bytes[from..from + (end - start) as usize])
        })
    }
}

impl Memory for MemoryCopy {
    fn read(&self, spans: &[(u64, usize)], buffer: &mut [u8]) {
        let mut rest = buffer;
        for &(addr, length) in spans {
            let (these, after) = rest.split_at_mut(length);
            let mut filled = 0;
            for (range, bytes) in self.within(addr..addr.saturating_add(length as u64)) {
                let from = (range.start - addr) as usize;
                these[filled..from].fill(0);
                filled = from + bytes.len();
                these[from..filled].copy_from_slice(bytes);
            }
            these[filled..].fill(0);
            rest = after;
        }
    }

    fn written(&self, range: Range<u64>) -> Vec<Range<u64>> {
        self.within(range).map(|(range, _)| range).collect()
    }
}

/// What a search looks at in a mapping: all of it where pointers may be, and of programs and libraries what says what they
/// are and where their vtables lie.
fn of_interest(mapping: &Mapping, programs: &FxHashSet<&[u8]>) -> Option<Range<u64>> {
    let Mapping { start, end, .. } = *mapping;
    if roots::is_searched(mapping) {
        return Some(start..end);
    }
    if !mapping.access.read || !programs.contains(&mapping.name[..]) {
        return None;
    }
    // Linkers once put the head of a file before its code.
    let end = if mapping.access.execute { end.min(start + PAGE) } else { end };
    (!mapping.access.execute || mapping.offset == 0).then_some(start..end)
}

/// Files of which something can be executed.
fn programs(mappings: &[Mapping]) -> FxHashSet<&[u8]> {
    let executable = mappings.iter().filter(|mapping| mapping.access.execute);
    executable.map(|mapping| &mapping.name[..]).filter(|name| name.starts_with(b"/")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maps;

    /// Reads here and there, and across what is not there.
    #[test]
    fn a_copy_reads_as_the_process_did() {
        let pid = std::process::id();
        // Pages with holes between them, some never written.
        // SAFETY: a fresh mapping of our own, never unmapped.
        let at = unsafe {
            let rights = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let at = libc::mmap(std::ptr::null_mut(), 64 << 12, rights, flags, -1, 0).cast::<u8>();
            for page in [0, 1, 2, 9, 40, 63] {
                at.add(page << 12).write_bytes(page as u8 + 1, 1 << 12);
            }
            assert_eq!(libc::mprotect(at.add(2 << 12).cast(), 1 << 12, libc::PROT_NONE), 0);
            at as u64
        };
        let ours: Vec<Mapping> = maps::of(pid)
            .unwrap()
            .into_iter()
            .filter(|m| m.start < at + (64 << 12) && at < m.end)
            .collect();
        let process = ProcessReader::new(pid);
        let hidden = [at + (9 << 12)..at + (10 << 12)];
        let copy = MemoryCopy::of(&process, &ours, &hidden, 1 << 30).unwrap();
        assert!(MemoryCopy::of(&process, &ours, &hidden, copy.len() - 1).is_none());
        let byte = |addr: u64| match addr.checked_sub(at).map(|inside| inside >> 12) {
            Some(page @ (0 | 1 | 40 | 63)) => page as u8 + 1,
            _ => 0,
        };
        let end = at + (64 << 12);
        for (addr, length) in [
            (at, 64 << 12),
            (at + 100, 5000),
            (at + (39 << 12) + 1, 4096),
            (at + (40 << 12) + 4095, 2),
            (end - 1, 1),
        ] {
            let mut bytes = vec![7; length + 8];
            copy.read(&[(addr, length), (at + 8, 8)], &mut bytes);
            let expected: Vec<u8> =
                (addr..).take(length).chain((at + 8..).take(8)).map(byte).collect();
            assert!(bytes == expected, "{length} at {:#x}", addr - at);
        }
        let within: Vec<_> = copy.written(at + 8..end - 8);
        assert!(
            within.contains(&(at + 8..at + (2 << 12)))
                && within.contains(&(at + (63 << 12)..end - 8)),
            "{within:x?}"
        );
        assert_eq!(copy.written(at + (10 << 12)..at + (40 << 12)), []);
    }
}
