//! Where blocks lie: those live in an address range, cells of a grid, regions and who pins pages.

use super::answers::Answers;
use super::list::{site_ranks, touches};
use super::span::Span;
use super::{AskError, Stop};
use crate::extents::MIN_HOLE_BYTES;
use crate::layout::{self, Region, Space};
use crate::lifetimes::Lifetime;
use heaptape_tape::{Api, BacktraceId, BlockId, LiveBlock, TimeNs};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Reverse;

/// What lies in each cell of a grid over the address space.
#[derive(Clone, Debug, Default)]
pub struct Cells {
    /// Bytes of live blocks in each cell, with headers and padding that fit no block.
    pub used: Vec<u64>,
    /// The block with most bytes in each, as an index of `owners`; meaningless where nothing is used.
    pub owner: Vec<u32>,
    /// Those blocks.
    pub owners: Vec<Lifetime>,
}

/// A call site whose blocks lie in pages that are less than 25 % used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The site's frame.
    pub site: u32,
    /// Such pages with a block of it.
    pub pages: u64,
    /// Bytes of its blocks in them.
    pub own_bytes: u64,
}

/// Where the live blocks of a moment lie.
#[derive(Clone, Debug)]
pub struct Places {
    /// Bytes of a page.
    pub page_bytes: u64,
    /// The sum over all regions.
    pub total: Space,
    /// The regions, by address.
    pub regions: Vec<Region>,
    /// Who pins pages, most pages first.
    pub pins: Vec<Pin>,
}

/// Takes the number and the owners (site and bytes) of a page that is less than 25 % used.
type Sparse<'a> = dyn FnMut(u64, &[(u32, u64)]) + 'a;

impl Answers<'_> {
    /// The blocks live at a position that touch an address range, by address.
    pub fn live(
        &self,
        t: u32,
        lo: u64,
        hi: u64,
        stop: Stop<'_>,
    ) -> Result<Vec<Lifetime>, AskError> {
        let mut live = Vec::new();
        let span = Span::Live(t.min(self.winder.index.events));
        self.winder.each(span, stop, &mut |block, _| {
            if touches(block, lo, hi) {
                live.push(*block);
            }
        })?;
        // Most are in order already.
        live.sort_by_key(|block| (block.addr, block.born.wrapping_add(1)));
        Ok(live)
    }

    /// A grid of `count` cells from `lo` on at a position.
    pub fn cells(
        &self,
        t: u32,
        lo: u64,
        cell_bytes: u64,
        count: usize,
        stop: Stop<'_>,
    ) -> Result<Cells, AskError> {
        let cell_bytes = cell_bytes.max(1);
        let hi = lo.saturating_add(cell_bytes.saturating_mul(count as u64));
        // A block's padding reaches up to the next one: both beside the grid have a say.
        let (below, above) = (lo.saturating_sub(MIN_HOLE_BYTES), hi.saturating_add(MIN_HOLE_BYTES));
        let owners = self.live(t, below, above, stop)?;
        let mut cells = Cells { used: vec![0; count], owner: vec![0; count], owners };
        let mut most = vec![0; count];
        let mut reached = lo;
        for (at, block) in cells.owners.iter().enumerate() {
            let own_end = block.addr.saturating_add(block.size.max(block.usable));
            let (mut from, mut end) = (reached.max(block.addr), reached.max(own_end));
            if let Some(next) = cells.owners.get(at + 1) {
                let gap = next.addr.saturating_sub(end);
                if gap < MIN_HOLE_BYTES {
                    end += gap;
                }
            }
            reached = end;
            let end = end.min(hi);
            while from < end {
                let cell = ((from - lo) / cell_bytes) as usize;
                let edge = lo.saturating_add((cell as u64 + 1).saturating_mul(cell_bytes)).min(end);
                let bytes = edge - from;
                cells.used[cell] += bytes;
                if bytes > most[cell] {
                    (most[cell], cells.owner[cell]) = (bytes, at as u32);
                }
                from = edge;
            }
        }
        Ok(cells)
    }

    /// Regions, holes and pages at a position, and who pins pages.
    pub fn layout(&self, t: u32, stop: Stop<'_>) -> Result<Places, AskError> {
        let mut by_site: FxHashMap<u32, (u64, u64)> = FxHashMap::default();
        let mut on_page: FxHashSet<u32> = FxHashSet::default();
        let (total, regions) = self.lay_out(t, stop, &mut |_, owners| {
            on_page.clear();
            for &(site, bytes) in owners {
                let (pages, own) = by_site.entry(site).or_default();
                *pages += u64::from(on_page.insert(site));
                *own += bytes;
            }
        })?;
        let ranks = site_ranks(self.stacks);
        let pin = |(site, (pages, own_bytes))| Pin { site, pages, own_bytes };
        let mut pins: Vec<Pin> = by_site.into_iter().map(pin).collect();
        pins.sort_unstable_by_key(|pin| {
            (Reverse(pin.pages), Reverse(pin.own_bytes), ranks[pin.site as usize])
        });
        let page_bytes = layout::page_bytes(self.winder.recording());
        Ok(Places { page_bytes, total, regions, pins })
    }

    /// First addresses of the pages that a site pins at a position.
    pub fn pinned(&self, t: u32, site: u32, stop: Stop<'_>) -> Result<Vec<u64>, AskError> {
        let page_bytes = layout::page_bytes(self.winder.recording());
        let mut pages = Vec::new();
        self.lay_out(t, stop, &mut |page, owners| {
            if owners.iter().any(|(owner, _)| *owner == site) {
                pages.push(page.saturating_mul(page_bytes));
            }
        })?;
        Ok(pages)
    }

    /// Lays out what is live; hands nearly empty pages to `sparse`.
    fn lay_out(
        &self,
        t: u32,
        stop: Stop<'_>,
        sparse: &mut Sparse<'_>,
    ) -> Result<(Space, Vec<Region>), AskError> {
        let blocks: Vec<LiveBlock> =
            self.live(t, 0, u64::MAX, stop)?.iter().map(live_block).collect();
        let site = |backtrace| self.stacks.site_of[self.stacks.stack(backtrace) as usize];
        let mut owners = Vec::new();
        let mut of_backtraces = |page: u64, by: &[(BacktraceId, u64)]| {
            owners.clear();
            owners.extend(by.iter().map(|(backtrace, bytes)| (site(*backtrace), *bytes)));
            sparse(page, &owners);
        };
        let (recording, process) = (self.winder.recording(), self.winder.index.process);
        Ok(layout::lay_out(recording, process, &blocks, &mut of_backtraces))
    }
}

/// As the layout takes it: when it was allocated does not matter there.
fn live_block(block: &Lifetime) -> LiveBlock {
    LiveBlock {
        addr: block.addr,
        size: block.size,
        usable: block.usable,
        id: BlockId(block.id.0),
        time: TimeNs(0),
        thread: block.thread,
        api: Api::from_u8(block.api).unwrap_or(Api::Malloc),
        align_log2: 0,
        backtrace: block.backtrace,
    }
}
