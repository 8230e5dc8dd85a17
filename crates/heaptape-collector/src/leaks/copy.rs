//! What a process had in memory at an instant, copied as far as a search looks at it: the process can go on, or end.

use super::memory::{Memory, ProcessReader};
use super::{ranges, roots};
use heaptape_tape::Mapping;
use rustc_hash::FxHashSet;
use std::iter;
use std::ops::Range;

const PAGE: u64 = 4096;

/// A copy of memory. What was not copied reads as zero.
pub(crate) struct MemoryCopy {
    /// In order; no two touch.
    parts: Vec<Part>,
    bytes: Vec<u8>,
}

struct Part {
    range: Range<u64>,
    /// Its place among the bytes.
    at: usize,
}

impl MemoryCopy {
    /// Copies a process that stands still, but for the recorder's own memory. `None` if that were more than `most` bytes, if
    /// it is not known which pages there are, or if not all could be read: it may be dying.
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
        let mut sum = 0u64;
        for mapping in mappings {
            for range in of_interest(mapping, &programs, process)? {
                ranges::without(range, &hidden, &mut |range| {
                    let length = range.end - range.start;
                    match parts.last_mut().filter(|last| last.range.end == range.start) {
                        Some(last) => last.range.end = range.end,
                        None => parts.push(Part { range, at: sum as usize }),
                    }
                    sum += length;
                });
            }
            if sum > most {
                return None;
            }
        }
        let mut bytes = vec![0; sum as usize];
        let span = |part: &Part| (part.range.start, (part.range.end - part.range.start) as usize);
        process.read(&parts.iter().map(span).collect::<Vec<_>>(), &mut bytes);
        (process.bytes_unreadable() == 0).then_some(MemoryCopy { parts, bytes })
    }

    /// Bytes that were copied.
    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The parts of a range that were copied.
    fn copied_in(&self, range: Range<u64>) -> impl Iterator<Item = (Range<u64>, &[u8])> {
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
            for (range, bytes) in self.copied_in(addr..addr.saturating_add(length as u64)) {
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
        self.copied_in(range).map(|(range, _)| range).collect()
    }
}

/// What a search looks at in a mapping: all that was written where pointers may be, and of programs and libraries what says
/// what they are and where their vtables lie.
fn of_interest(
    mapping: &Mapping,
    programs: &FxHashSet<&[u8]>,
    process: &ProcessReader,
) -> Option<Vec<Range<u64>>> {
    let Mapping { start, end, access, .. } = *mapping;
    if roots::is_searched(mapping) {
        // What somebody else has written is in no page of this process.
        return if access.shared {
            Some(process.written(start..end))
        } else {
            process.present(start..end)
        };
    }
    if !access.read || !programs.contains(&mapping.name[..]) {
        return Some(Vec::new());
    }
    let head = if mapping.offset == 0 { end.min(start + PAGE) } else { start };
    // Linkers once put the head of a file before its code.
    let rest = if access.execute { Vec::new() } else { process.written(head..end) };
    Some(iter::once(start..head).chain(rest).collect())
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

    const BYTES: usize = PAGE as usize;

    /// Reads here and there, and across what was never written or not copied.
    #[test]
    fn a_copy_reads_as_the_process_did() {
        let mut ours = vec![0u8; 4096 * BYTES];
        let at = (ours.as_ptr() as u64).next_multiple_of(PAGE);
        let first = (at - ours.as_ptr() as u64) as usize;
        for page in [0, 1, 9, 2000, 4000] {
            ours[first + page * BYTES..][..BYTES].fill(page as u8 | 1);
        }
        let page = |page: u64| at + page * PAGE;
        let process = ProcessReader::new(std::process::id());
        let maps = maps::of(std::process::id()).unwrap();
        let holds = |mapping: &Mapping| mapping.start <= at && page(4094) <= mapping.end;
        let mapping = maps.into_iter().find(holds).unwrap();
        let hidden = [mapping.start..at, page(9)..page(10), page(4094)..mapping.end];
        let copy = |most| MemoryCopy::of(&process, std::slice::from_ref(&mapping), &hidden, most);
        let whole = copy(u64::MAX).unwrap();
        assert!(copy(whole.len() - 1).is_none());
        let copy = copy(whole.len()).unwrap();
        ours.fill(7);
        let byte = |addr: u64| match (addr - at) / PAGE {
            number @ (0 | 1 | 2000 | 4000) => number as u8 | 1,
            _ => 0,
        };
        let spans = [
            (at, 4094 * BYTES),
            (at + 100, 5000),
            (page(1) + 1, BYTES),
            (page(2000) - 1, 2),
            (page(2001) - 1, 2),
            (page(3000), 8),
        ];
        for (addr, length) in spans {
            let mut bytes = vec![3; length + 8];
            copy.read(&[(addr, length), (at + 8, 8)], &mut bytes);
            let all = (addr..).take(length).chain((at + 8..).take(8));
            assert!(bytes == all.map(byte).collect::<Vec<_>>(), "{length} at {:#x}", addr - at);
        }
        // The kernel may have made more of a page than a page.
        let written = copy.written(at + 8..page(4001) - 8);
        let has = |addr| written.iter().any(|part| part.contains(&addr));
        assert!([at + 8, page(1), page(2000), page(4001) - 9].into_iter().all(has), "{written:x?}");
        assert!(![at, page(9), page(10) - 1, page(4001) - 8].into_iter().any(has), "{written:x?}");
    }
}
