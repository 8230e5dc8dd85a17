//! The memory of a process that stands still, page by page as it is asked for.

use crate::sys::process;
use rustc_hash::FxHashMap;

/// Bytes that another process has at an address.
pub(crate) trait Memory {
    /// Fills `buffer` from that address on; whether all of it could be read.
    fn read(&mut self, addr: u64, buffer: &mut [u8]) -> bool;

    /// The eight bytes at an address.
    fn word(&mut self, addr: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.read(addr, &mut bytes).then(|| u64::from_le_bytes(bytes))
    }
}

const PAGE: u64 = 4096;
/// Most pages that are remembered, 64 MiB; at the bound all are forgotten.
const MOST_PAGES: usize = 1 << 14;

/// The memory of a process by its pid.
pub(crate) struct ProcessMemory {
    pid: u32,
    /// `None`: it cannot be read.
    pages: FxHashMap<u64, Option<Box<[u8]>>>,
}

impl ProcessMemory {
    /// Nothing is read before it is asked for.
    pub(crate) fn of(pid: u32) -> ProcessMemory {
        ProcessMemory { pid, pages: FxHashMap::default() }
    }

    /// Many bytes, which are not remembered.
    pub(crate) fn bytes(&self, addr: u64, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        let got = process::read_memory(self.pid, &[(addr, length)], &mut bytes).ok()?;
        (got == length).then_some(bytes)
    }

    /// As many bytes as can be read, at most `length`.
    pub(crate) fn some_bytes(&mut self, addr: u64, length: usize) -> Vec<u8> {
        let readable = |memory: &mut Self, length: usize| {
            let mut bytes = vec![0; length];
            memory.read(addr, &mut bytes).then_some(bytes)
        };
        let to_page_end = (PAGE - addr % PAGE) as usize;
        readable(self, length)
            .or_else(|| readable(self, length.min(to_page_end)))
            .unwrap_or_default()
    }

    fn page(&mut self, number: u64) -> Option<&[u8]> {
        if self.pages.len() >= MOST_PAGES && !self.pages.contains_key(&number) {
            self.pages.clear();
        }
        let pid = self.pid;
        let read = || {
            let mut bytes = vec![0; PAGE as usize];
            let span = (number * PAGE, PAGE as usize);
            let got = process::read_memory(pid, &[span], &mut bytes).ok()?;
            (got == bytes.len()).then(|| bytes.into_boxed_slice())
        };
        self.pages.entry(number).or_insert_with(read).as_deref()
    }
}

impl Memory for ProcessMemory {
    fn read(&mut self, addr: u64, buffer: &mut [u8]) -> bool {
        let mut at = addr;
        let mut rest = buffer;
        while !rest.is_empty() {
            let inside = (at % PAGE) as usize;
            let (now, after) = rest.split_at_mut(rest.len().min(PAGE as usize - inside));
            let Some(page) = self.page(at / PAGE) else { return false };
            now.copy_from_slice(&page[inside..inside + now.len()]);
            let Some(next) = at.checked_add(now.len() as u64) else { return after.is_empty() };
            (at, rest) = (next, after);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_memory_is_as_we_see_it() {
        let ours: Vec<u8> = (0..10_000u32).map(|n| n as u8).collect();
        let at = ours.as_ptr() as u64;
        let mut memory = ProcessMemory::of(std::process::id());
        let mut copy = vec![0; ours.len()];
        assert!(memory.read(at, &mut copy));
        assert_eq!(copy, ours);
        assert_eq!(memory.bytes(at, ours.len()), Some(ours));
        for nowhere in [0, 8, u64::MAX - 3, 1 << 63] {
            assert_eq!(memory.word(nowhere), None);
            assert!(memory.some_bytes(nowhere, 15).is_empty());
        }
    }
}
