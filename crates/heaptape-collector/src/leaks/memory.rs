//! The memory of a process, read from outside: in large pieces, and only where there is any.

use crate::sys::process;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

const PAGE: u64 = 4096;
/// Bytes of one read: they are looked at while they are in the cache.
pub(super) const BATCH: usize = 1 << 18;
/// Spans of one system call; the kernel takes 1024.
const MOST_SPANS: usize = 512;
/// From so many bytes on it is asked first which pages there are.
const LARGE: u64 = 256 << 10;
/// Pages that are asked for at once.
const PAGES_ASKED: u64 = 1 << 15;
/// `/proc/PID/pagemap`: the page is in memory, or swapped out.
const PRESENT_OR_SWAPPED: u64 = 0b11 << 62;

/// Memory that can be read piece by piece, by several threads at once.
pub(crate) trait Memory: Sync {
    /// Reads spans (address, length) one after the other into `buffer`, which is as long as all of them. What
    /// cannot be read is zero.
    fn read(&self, spans: &[(u64, usize)], buffer: &mut [u8]);

    /// The parts of a range that may hold anything but what was never written.
    fn written(&self, range: Range<u64>) -> Vec<Range<u64>>;

    /// The word at an address.
    fn word(&self, addr: u64) -> u64 {
        let mut bytes = [0; 8];
        self.read(&[(addr, 8)], &mut bytes);
        u64::from_ne_bytes(bytes)
    }

    /// Hands what a range holds, as far as it is whole words, to `take` in pieces, each with its address. No piece but
    /// the first and the last of written memory begins or ends elsewhere than at a multiple of [`BATCH`].
    fn each_piece(&self, range: Range<u64>, take: &mut dyn FnMut(u64, &[u8])) {
        let mut buffer = Vec::new();
        for part in self.written(range) {
            let (mut at, end) = (part.start.next_multiple_of(8), part.end & !7);
            while at < end {
                let length = (end - at).min(BATCH as u64 - at % BATCH as u64) as usize;
                buffer.resize(length, 0);
                self.read(&[(at, length)], &mut buffer);
                take(at, &buffer);
                at += length as u64;
            }
        }
    }
}

/// The words that bytes are made of.
pub(super) fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().map(|word| u64::from_ne_bytes(*word))
}

/// A process's memory, read by whichever way the kernel allows.
pub(crate) struct ProcessReader {
    pid: u32,
    mem: Option<File>,
    pagemap: Option<File>,
    // Numbers to be told, which order nothing.
    read: AtomicU64,
    unreadable: AtomicU64,
}

impl ProcessReader {
    /// The memory of a process, which should stand still.
    pub(crate) fn new(pid: u32) -> ProcessReader {
        ProcessReader {
            pid,
            mem: File::open(format!("/proc/{pid}/mem")).ok(),
            pagemap: File::open(format!("/proc/{pid}/pagemap")).ok(),
            read: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
        }
    }

    /// Bytes read so far.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes that could not be read.
    pub(crate) fn bytes_unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    /// The parts of a range that are in memory or swapped out; `None` where the kernel does not tell.
    pub(super) fn present(&self, range: Range<u64>) -> Option<Vec<Range<u64>>> {
        let pagemap = self.pagemap.as_ref()?;
        let mut parts: Vec<Range<u64>> = Vec::new();
        let (mut page, last) = (range.start / PAGE, range.end.div_ceil(PAGE));
        let mut buffer = Vec::new();
        while page < last {
            let asked = (last - page).min(PAGES_ASKED);
            buffer.resize(asked as usize * 8, 0);
            pagemap.read_exact_at(&mut buffer, page * 8).ok()?;
            for (entry, at) in words(&buffer).zip(page..) {
                if entry & PRESENT_OR_SWAPPED == 0 {
                    continue;
                }
                let (start, end) = ((at * PAGE).max(range.start), ((at + 1) * PAGE).min(range.end));
                match parts.last_mut() {
                    Some(part) if part.end == start => part.end = end,
                    _ => parts.push(start..end),
                }
            }
            page += asked;
        }
        Some(parts)
    }

    /// Reads some spans; how many bytes were read before one failed.
    fn read_some(&self, spans: &[(u64, usize)], buffer: &mut [u8]) -> usize {
        match (process::read_memory(self.pid, spans, buffer), &self.mem) {
            (Ok(got), _) => got,
            // Refused as a call (seccomp), but the file may be open to us.
            (Err(error), Some(mem)) if error.raw_os_error() != Some(libc::EFAULT) => {
                let mut done = 0;
                for &(addr, length) in spans {
                    if mem.read_exact_at(&mut buffer[done..done + length], addr).is_err() {
                        break;
                    }
                    done += length;
                }
                done
            }
            (Err(_), _) => 0,
        }
    }

    /// Reads a span page by page, because some cannot be read.
    fn read_pages(&self, (mut addr, length): (u64, usize), buffer: &mut [u8]) {
        let mut rest = &mut buffer[..length];
        while !rest.is_empty() {
            let step = ((PAGE - addr % PAGE) as usize).min(rest.len());
            let (page, after) = rest.split_at_mut(step);
            if self.read_some(&[(addr, step)], page) < step {
                page.fill(0);
                self.unreadable.fetch_add(step as u64, Ordering::Relaxed);
            }
            addr = addr.saturating_add(step as u64);
            rest = after;
        }
    }
}

impl Memory for ProcessReader {
    fn read(&self, spans: &[(u64, usize)], buffer: &mut [u8]) {
        self.read.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        let mut rest = buffer;
        for spans in spans.chunks(MOST_SPANS) {
            let (these, after) = rest.split_at_mut(spans.iter().map(|span| span.1).sum());
            if self.read_some(spans, these) < these.len() {
                let mut these = these;
                for &span in spans {
                    let (one, others) = these.split_at_mut(span.1);
                    if self.read_some(&[span], one) < one.len() {
                        self.read_pages(span, one);
                    }
                    these = others;
                }
            }
            rest = after;
        }
    }

    fn written(&self, range: Range<u64>) -> Vec<Range<u64>> {
        if range.end.saturating_sub(range.start) < LARGE {
            return vec![range];
        }
        self.present(range.clone()).unwrap_or_else(|| vec![range])
    }
}
