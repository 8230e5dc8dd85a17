//! Copies the pages that hold live blocks out of a process, and onto the tape those that have changed.
//!
//! What is known of a page is a hash of 128 bits of what was stored of it last, seeded anew for each recording: a
//! program cannot make two pages that look the same to us. Only pages on the tape have one, so the budget
//! bounds the memory it takes: about a hundredth of what is stored.
//!
//! Copying is done while the process stands still, storing after it: what has changed waits in memory, up to
//! a bound, and goes to the tape between the rounds of the session.

use crate::book::Book;
use crate::sys::{process, random_bytes};
use heaptape_tape::{LiveSet, MAX_PAGES, PAGE_BYTES, Pages, ProcessId, Snapshot, SnapshotReason};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use twox_hash::XxHash3_128;

const PAGE: usize = PAGE_BYTES as usize;
/// Pages and stretches of them of one system call.
const BATCH_PAGES: usize = MAX_PAGES;
/// Pages beyond this belong to no process.
const END_OF_PAGES: u64 = (1 << 47) / PAGE_BYTES;
/// After so many pages in a row that cannot be read, the rest of their stretch is not tried.
const MOST_UNREADABLE: u64 = 1024;
/// Blocks of pages handed to the writer in a round: a few milliseconds' work for the packing thread.
const BLOCKS_OF_A_ROUND: usize = 4;

/// What was copied in all, for the outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Snapshots, of all processes.
    pub snapshots: u64,
    /// Bytes of pages on the tape.
    pub bytes: u64,
    /// The longest that a process stood still that went on afterwards, ns.
    pub longest_pause_ns: u64,
    /// Snapshots of processes that ran on meanwhile.
    pub running: u64,
    /// Bytes of pages that could not be read.
    pub unreadable: u64,
    /// Bytes of pages that were left out because the budget was used up.
    pub over_budget: u64,
}

/// The copying of one session.
#[derive(Debug)]
pub(crate) struct Copier {
    seed: u64,
    /// Bytes of pages that may still be stored.
    budget: u64,
    /// Of each page on the tape, by process: the hash of its newest bytes there.
    known: FxHashMap<ProcessId, FxHashMap<u64, u128>>,
    /// How many snapshots there are, by process.
    numbers: FxHashMap<ProcessId, u32>,
    waiting: VecDeque<Waiting>,
    /// Bytes of pages that wait.
    waiting_bytes: usize,
    pub(crate) copied: Copied,
}

/// Something to be stored.
#[derive(Debug)]
enum Waiting {
    Pages(ProcessId, Pages),
    Snapshot(Snapshot),
}

/// What a copy came to, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Copy {
    pub(crate) considered: u64,
    pub(crate) stored: u64,
    pub(crate) unreadable: u64,
    pub(crate) over_budget: u64,
}

impl Copier {
    /// Stores at most `budget` bytes of pages in all.
    pub(crate) fn new(budget: u64) -> io::Result<Copier> {
        Ok(Copier {
            seed: u64::from_ne_bytes(random_bytes()?),
            budget,
            known: FxHashMap::default(),
            numbers: FxHashMap::default(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            copied: Copied::default(),
        })
    }

    /// Copies the pages of the live blocks of a process that have changed. At most `room` bytes wait in memory;
    /// what is beyond is stored at once.
    pub(crate) fn copy<W: Write>(
        &mut self,
        book: &mut Book<W>,
        id: ProcessId,
        pid: u32,
        room: usize,
    ) -> io::Result<Copy> {
        let (considered, stretches) = book.writer.live(id).map(stretches).unwrap_or_default();
        let mut known = self.known.remove(&id).unwrap_or_default();
        let mut copying = Copying {
            seed: self.seed,
            budget: self.budget,
            known: &mut known,
            pages: Pages::default(),
            full: Vec::new(),
            in_a_row: 0,
            copy: Copy { considered, ..Copy::default() },
        };
        let reader = Reader { pid, mem: File::open(format!("/proc/{pid}/mem")).ok() };
        let mut buffer = vec![0; BATCH_PAGES * PAGE];
        for batch in batches(&stretches) {
            copying.batch(&reader, &batch, &mut buffer);
            for pages in copying.full.drain(..) {
                self.waiting_bytes += pages.bytes();
                self.waiting.push_back(Waiting::Pages(id, pages));
            }
            while self.waiting_bytes > room {
                self.store_next(book)?;
            }
        }
        let Copying { budget, pages, copy, .. } = copying;
        self.budget = budget;
        self.waiting_bytes += pages.bytes();
        self.waiting.push_back(Waiting::Pages(id, pages));
        self.known.insert(id, known);
        Ok(copy)
    }

    /// The snapshot that the last copy was made for; returns it with its number.
    pub(crate) fn made(&mut self, mut snapshot: Snapshot) -> Snapshot {
        let number = self.numbers.entry(snapshot.process).or_default();
        *number += 1;
        snapshot.number = *number;
        let copied = &mut self.copied;
        copied.snapshots += 1;
        copied.bytes += snapshot.stored;
        if !matches!(snapshot.reason, SnapshotReason::Exit | SnapshotReason::Crash) {
            copied.longest_pause_ns = copied.longest_pause_ns.max(snapshot.pause_ns);
        }
        copied.running += u64::from(!snapshot.one_instant);
        copied.unreadable += snapshot.unreadable;
        copied.over_budget += snapshot.over_budget;
        self.waiting.push_back(Waiting::Snapshot(snapshot));
        snapshot
    }

    /// Stores some of what waits; returns whether there is more.
    pub(crate) fn store_some<W: Write>(&mut self, book: &mut Book<W>) -> io::Result<bool> {
        for _ in 0..BLOCKS_OF_A_ROUND {
            if self.waiting.is_empty() || book.writer.is_full() {
                break;
            }
            self.store_next(book)?;
        }
        Ok(!self.waiting.is_empty())
    }

    /// Stores all that waits.
    pub(crate) fn store_all<W: Write>(&mut self, book: &mut Book<W>) -> io::Result<()> {
        while !self.waiting.is_empty() {
            self.store_next(book)?;
        }
        Ok(())
    }

    fn store_next<W: Write>(&mut self, book: &mut Book<W>) -> io::Result<()> {
        match self.waiting.pop_front() {
            Some(Waiting::Pages(id, pages)) => {
                self.waiting_bytes -= pages.bytes();
                book.writer.pages(id, &pages)
            }
            Some(Waiting::Snapshot(snapshot)) => book.writer.snapshot(&snapshot).map(drop),
            None => Ok(()),
        }
    }

    /// A process is gone: what is known of its pages is of no more use.
    pub(crate) fn forget(&mut self, id: ProcessId) {
        self.known.remove(&id);
    }

    /// Drops what waits: the tape cannot be written any further.
    pub(crate) fn give_up(&mut self) {
        self.waiting.clear();
        self.waiting_bytes = 0;
    }
}

/// Pages one after the other.
type Stretch = Range<u64>;

/// The bytes of the live blocks, and the pages that hold them, in order.
fn stretches(live: &LiveSet) -> (u64, Vec<Stretch>) {
    let mut considered = 0u64;
    let mut spans: Vec<(u64, u64)> = live
        .blocks()
        .filter(|block| block.size > 0)
        .map(|block| {
            considered = considered.saturating_add(block.size);
            let last = block.addr.saturating_add(block.size - 1);
            (block.addr / PAGE_BYTES, (last / PAGE_BYTES + 1).min(END_OF_PAGES))
        })
        .collect();
    spans.sort_unstable();
    let mut merged: Vec<Stretch> = Vec::new();
    for (start, end) in spans.into_iter().filter(|(start, end)| start < end) {
        match merged.last_mut() {
            Some(last) if start <= last.end => last.end = last.end.max(end),
            _ => merged.push(start..end),
        }
    }
    (considered, merged)
}

/// The same pages, as lists of stretches with [`BATCH_PAGES`] pages at most.
fn batches(stretches: &[Stretch]) -> impl Iterator<Item = Vec<Stretch>> {
    let mut rest = stretches.iter().cloned();
    let mut next = rest.next();
    std::iter::from_fn(move || {
        let mut batch = Vec::new();
        let mut room = BATCH_PAGES as u64;
        while let Some(stretch) = next.take().or_else(|| rest.next()) {
            let end = stretch.end.min(stretch.start + room);
            room -= end - stretch.start;
            if end < stretch.end {
                next = Some(end..stretch.end);
            }
            if stretch.start < end {
                batch.push(stretch.start..end);
            }
            if room == 0 {
                break;
            }
        }
        (!batch.is_empty()).then_some(batch)
    })
}

/// One copy in progress.
struct Copying<'a> {
    seed: u64,
    budget: u64,
    known: &'a mut FxHashMap<u64, u128>,
    /// Of the block in the making.
    pages: Pages,
    /// Blocks that hold as many as they may.
    full: Vec<Pages>,
    /// Pages that could not be read since one that could.
    in_a_row: u64,
    copy: Copy,
}

impl Copying<'_> {
    fn batch(&mut self, reader: &Reader, batch: &[Stretch], buffer: &mut [u8]) {
        if self.budget < PAGE_BYTES && !self.is_any_known(batch) {
            self.copy.over_budget +=
                batch.iter().map(|s| s.end - s.start).sum::<u64>() * PAGE_BYTES;
            return;
        }
        let spans: Vec<(u64, usize)> = batch
            .iter()
            .map(|s| (s.start * PAGE_BYTES, (s.end - s.start) as usize * PAGE))
            .collect();
        let bytes = &mut buffer[..spans.iter().map(|span| span.1).sum()];
        if reader.read(&spans, bytes) == bytes.len() {
            let pages = batch.iter().cloned().flatten();
            pages.zip(bytes.chunks_exact(PAGE)).for_each(|(page, bytes)| self.page(page, bytes));
            return;
        }
        batch.iter().for_each(|stretch| self.page_by_page(reader, stretch.clone(), buffer));
    }

    fn is_any_known(&self, batch: &[Stretch]) -> bool {
        batch.iter().cloned().flatten().any(|page| self.known.contains_key(&page))
    }

    /// A stretch of which some cannot be read.
    fn page_by_page(&mut self, reader: &Reader, mut stretch: Stretch, buffer: &mut [u8]) {
        while stretch.start < stretch.end {
            let bytes = &mut buffer[..(stretch.end - stretch.start) as usize * PAGE];
            let good = reader.read(&[(stretch.start * PAGE_BYTES, bytes.len())], bytes) / PAGE;
            for (page, bytes) in stretch.clone().zip(bytes.chunks_exact(PAGE).take(good)) {
                self.page(page, bytes);
            }
            stretch.start += good as u64;
            if good > 0 {
                self.in_a_row = 0;
            }
            if stretch.start < stretch.end {
                self.unreadable(stretch.start);
                stretch.start += 1;
            }
            if self.in_a_row > MOST_UNREADABLE {
                stretch.by_ref().for_each(|page| self.unreadable(page));
            }
        }
    }

    fn unreadable(&mut self, page: u64) {
        self.in_a_row += 1;
        self.copy.unreadable += PAGE_BYTES;
        self.forget(page);
    }

    fn forget(&mut self, page: u64) {
        if self.known.remove(&page).is_some() {
            self.pages.forget(page);
            self.close_full();
        }
    }

    fn close_full(&mut self) {
        if self.pages.is_full() {
            self.full.push(std::mem::take(&mut self.pages));
        }
    }

    /// Takes the bytes of a page.
    fn page(&mut self, page: u64, bytes: &[u8]) {
        let hash = XxHash3_128::oneshot_with_seed(self.seed, bytes);
        if self.known.get(&page) == Some(&hash) {
            return;
        }
        match self.budget.checked_sub(PAGE_BYTES) {
            Some(left) => {
                self.budget = left;
                self.copy.stored += PAGE_BYTES;
                self.known.insert(page, hash);
                self.pages.store(page, bytes);
                self.close_full();
            }
            None => {
                self.copy.over_budget += PAGE_BYTES;
                self.forget(page);
            }
        }
    }
}

/// Reads the memory of one process, by whichever way the kernel allows.
struct Reader {
    pid: u32,
    mem: Option<File>,
}

impl Reader {
    /// Reads spans one after the other; returns how many bytes were read before the first that could not be.
    fn read(&self, spans: &[(u64, usize)], buffer: &mut [u8]) -> usize {
        match (process::read_memory(self.pid, spans, buffer), &self.mem) {
            (Ok(got), _) => got,
            // Refused as a call (seccomp), but the file may be open to us.
            (Err(e), Some(mem)) if e.raw_os_error() != Some(libc::EFAULT) => {
                let mut done = 0;
                for &(addr, length) in spans {
                    let mut rest = &mut buffer[done..done + length];
                    while let (false, Ok(got @ 1..)) =
                        (rest.is_empty(), mem.read_at(rest, addr + (length - rest.len()) as u64))
                    {
                        done += got;
                        rest = &mut rest[got..];
                    }
                    if !rest.is_empty() {
                        break;
                    }
                }
                done
            }
            (Err(_), _) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_every_page_once_and_never_too_many() {
        let stretches = [3..4, 10..700, 1000..1001, 1002..1003, 2000..2256];
        let all: Vec<Vec<Stretch>> = batches(&stretches).collect();
        let pages = |batch: &Vec<Stretch>| batch.iter().map(|s| s.end - s.start).sum::<u64>();
        assert!(all.iter().all(|batch| (1..=BATCH_PAGES as u64).contains(&pages(batch))));
        let flat: Vec<u64> = all.iter().flatten().cloned().flatten().collect();
        assert_eq!(flat, stretches.iter().cloned().flatten().collect::<Vec<_>>());
        assert_eq!(batches(&[]).count(), 0);
    }
}
