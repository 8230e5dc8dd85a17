//! How full the pages are, and who keeps the nearly empty ones.

use crate::extents::Extent;
use heaptape_tape::BacktraceId;
use serde::Serialize;

/// Pages by how much of them is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PageCounts {
    /// No live block touches them.
    pub empty: u64,
    /// Less than 25 % used.
    pub under_25: u64,
    /// Less than 50 % used.
    pub under_50: u64,
    /// Less than 75 % used.
    pub under_75: u64,
    /// Less than 100 % used.
    pub under_100: u64,
    /// Wholly used.
    pub full: u64,
}

impl PageCounts {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.empty + self.under_25 + self.under_50 + self.under_75 + self.under_100 + self.full
    }

    /// Adds those of another region.
    pub fn add(&mut self, other: &PageCounts) {
        self.empty += other.empty;
        self.under_25 += other.under_25;
        self.under_50 += other.under_50;
        self.under_75 += other.under_75;
        self.under_100 += other.under_100;
        self.full += other.full;
    }

    fn count(&mut self, used: u64, page_bytes: u64) {
        *match u128::from(used) * 4 / u128::from(page_bytes) {
            0 => &mut self.under_25,
            1 => &mut self.under_50,
            2 => &mut self.under_75,
            3 => &mut self.under_100,
            _ => &mut self.full,
        } += 1;
    }
}

/// The page in progress.
struct Page {
    index: u64,
    used: u64,
    owners: Vec<(BacktraceId, u64)>,
}

/// Counts the pages of one region. Takes extents in address order; a block of any size costs the same.
pub struct PageCounter<F> {
    page_bytes: u64,
    counts: PageCounts,
    page: Option<Page>,
    sparse: F,
}

impl<F: FnMut(u64, &[(BacktraceId, u64)])> PageCounter<F> {
    /// Calls `sparse` with the number and the owners (backtrace and bytes in the page) of each page that is
    /// less than 25 % used.
    pub fn new(page_bytes: u64, sparse: F) -> PageCounter<F> {
        PageCounter { page_bytes, counts: PageCounts::default(), page: None, sparse }
    }

    /// The next extent; holes say nothing.
    pub fn add(&mut self, extent: &Extent) {
        let Extent::Block { block, end } = extent else { return };
        let (first, last) =
            (block.addr / self.page_bytes, end.saturating_sub(1).max(block.addr) / self.page_bytes);
        if self.page.as_ref().is_none_or(|page| page.index != first) {
            self.turn(first);
        }
        let first_end = (first + 1).saturating_mul(self.page_bytes);
        self.touch(block.backtrace, (*end).min(first_end) - block.addr);
        if last > first {
            self.counts.full += last - first - 1;
            self.turn(last);
            self.touch(block.backtrace, end - last * self.page_bytes);
        }
    }

    fn touch(&mut self, owner: BacktraceId, bytes: u64) {
        if let Some(page) = &mut self.page {
            page.used = (page.used + bytes).min(self.page_bytes);
            page.owners.push((owner, bytes));
        }
    }

    /// Closes the page in progress and opens another.
    fn turn(&mut self, index: u64) {
        self.close();
        self.page = Some(Page { index, used: 0, owners: Vec::new() });
    }

    fn close(&mut self) {
        let Some(page) = self.page.take() else { return };
        let before = self.counts.under_25;
        self.counts.count(page.used, self.page_bytes);
        if self.counts.under_25 > before {
            (self.sparse)(page.index, &page.owners);
        }
    }

    /// The counts of a region that spans `pages` pages.
    pub fn finish(mut self, pages: u64) -> PageCounts {
        self.close();
        self.counts.empty = pages.saturating_sub(self.counts.total());
        self.counts
    }
}
