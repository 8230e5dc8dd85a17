//! Where blocks lie: those live in an address range, cells of a grid, regions and who pins pages, time by address.

use super::answers::Answers;
use super::list::{site_ranks, touches};
use super::span::Span;
use super::{AskError, Stop, threads};
use crate::extents::MIN_HOLE_BYTES;
use crate::layout::{self, Region, Space};
use crate::lifetimes::{Lifetime, NEVER};
use heaptape_tape::{Api, BacktraceId, BlockId, LiveBlock, TimeNs};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Reverse;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// A window of time and addresses, and how many cells it has each way.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The first address.
    pub lo: u64,
    /// The first address after the last.
    pub hi: u64,
    /// From this position.
    pub a: u32,
    /// To this one.
    pub b: u32,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Takes the number and the owners (site and bytes) of a page that is less than 25 % used.
type Sparse<'a> = dyn FnMut(u64, &[(u32, u64)]) + 'a;

/// How used each cell of a window is.
#[derive(Clone, Debug, Default)]
pub struct TimeMap {
    /// 0 to 1, row by row; row 0 is the lowest address.
    pub fill: Vec<f32>,
    /// The stack with most bytes × time in each.
    pub stack: Vec<u32>,
}

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

    /// How used each cell of a window of time and addresses is: a block counts with its own bytes, for as much of a
    /// cell's time as it was live. Columns are equal parts of clock time.
    pub fn time_map(&self, window: Window, stop: Stop<'_>) -> Result<TimeMap, AskError> {
        let view = View::of(self, window);
        let Window { width, height, .. } = window;
        let next = AtomicUsize::new(0);
        let work = || -> Result<Vec<(Range<usize>, TimeMap)>, AskError> {
            let mut done = Vec::new();
            loop {
                let first = next.fetch_add(BAND, Ordering::Relaxed);
                if first >= width {
                    return Ok(done);
                }
                let columns = first..(first + BAND).min(width);
                let mut grid = Grid::new(columns.clone(), height);
                let (a, b) = view.positions(&columns);
                self.winder.each(Span::Met(a, b), stop, &mut |block, _| {
                    if let Some((times, addresses)) = view.place(block) {
                        grid.add(self.stacks.stack(block.backtrace), times, addresses);
                    }
                })?;
                done.push((columns, grid.finish()));
            }
        };
        let mut map = TimeMap { fill: vec![0.0; width * height], stack: vec![0; width * height] };
        for (columns, band) in threads::each_does(work)?.into_iter().flatten() {
            let rows = band.fill.chunks(columns.len()).zip(band.stack.chunks(columns.len()));
            for (row, (fill, stack)) in rows.enumerate() {
                let own = row * width + columns.start..row * width + columns.end;
                map.fill[own.clone()].copy_from_slice(fill);
                map.stack[own].copy_from_slice(stack);
            }
        }
        Ok(map)
    }
}

/// Columns that one thread fills at a time.
const BAND: usize = 64;

/// A window with what is needed to find a block's place in it.
struct View<'a, 'b> {
    answers: &'a Answers<'b>,
    window: Window,
    start: TimeNs,
    /// When it begins, ns.
    begun: f64,
    /// Columns of a nanosecond, rows of a byte.
    columns: f64,
    rows: f64,
}

/// From, to; in columns or rows.
type Stretch = (f64, f64);

impl View<'_, '_> {
    fn of<'a, 'b>(answers: &'a Answers<'b>, window: Window) -> View<'a, 'b> {
        let (index, start) = (answers.winder.index, answers.start());
        let b = window.b.min(index.events);
        let window = Window { a: window.a.min(b), b, ..window };
        let begun = index.times.of(window.a, start).0;
        let ns = index.times.of(b, start).0.saturating_sub(begun).max(1);
        let bytes = window.hi.saturating_sub(window.lo).max(1);
        let (columns, rows) =
            (window.width as f64 / ns as f64, window.height as f64 / bytes as f64);
        View { answers, window, start, begun: begun as f64, columns, rows }
    }

    /// The column of the last event before a position.
    fn column(&self, position: u32) -> f64 {
        let time = self.answers.winder.index.time(position, self.start);
        (time.0 as f64 - self.begun) * self.columns
    }

    /// Positions between which everything is live that is seen in some columns.
    fn positions(&self, columns: &Range<usize>) -> (u32, u32) {
        let Window { a, b, .. } = self.window;
        let first = |past: &dyn Fn(f64) -> bool| {
            let (mut from, mut to) = (a, b);
            while from < to {
                let middle = from + (to - from) / 2;
                if past(self.column(middle)) {
                    to = middle;
                } else {
                    from = middle + 1;
                }
            }
            from
        };
        let from = first(&|column| column > columns.start as f64).saturating_sub(1).max(a);
        let to = first(&|column| column >= columns.end as f64);
        (from, to.max(from))
    }

    /// Where a block is seen.
    fn place(&self, block: &Lifetime) -> Option<(Stretch, Stretch)> {
        let Window { lo, hi, a, b, width, height } = self.window;
        if Span::Met(a, b).sign_of(block) == 0 || !touches(block, lo, hi) {
            return None;
        }
        let end = block.addr.saturating_add(block.size.max(block.usable));
        let x0 = if block.born == NEVER { 0.0 } else { self.column(block.born + 1).max(0.0) };
        let x1 = match block.died {
            NEVER => width as f64,
            died => self.column(died + 1).min(width as f64),
        };
        let y0 = (block.addr.saturating_sub(lo) as f64 * self.rows).max(0.0);
        let y1 = (end.saturating_sub(lo) as f64 * self.rows).min(height as f64);
        (x0 < x1 && y0 < y1).then_some(((x0, x1), (y0, y1)))
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

/// Shares of cells, by whom.
struct Grid {
    columns: Range<usize>,
    used: Vec<f64>,
    owners: Vec<Owners>,
}

/// Stacks that are told apart in a cell.
const MOST_STACKS: usize = 16;

/// The shares of stacks in a cell. Where there are too many, the one with least is given up.
#[derive(Clone, Copy, Default)]
struct Owners {
    stacks: [u32; MOST_STACKS],
    /// 0 where there is none.
    shares: [f32; MOST_STACKS],
}

impl Owners {
    #[inline]
    fn add(&mut self, stack: u32, share: f32) {
        // No branches: a dozen comparisons at once.
        let (mut own, mut least, mut least_share) = (MOST_STACKS, 0, f32::INFINITY);
        for at in 0..MOST_STACKS {
            let known = self.stacks[at] == stack && self.shares[at] > 0.0;
            own = if known { at } else { own };
            let less = self.shares[at] < least_share;
            least = if less { at } else { least };
            least_share = if less { self.shares[at] } else { least_share };
        }
        if own < MOST_STACKS {
            self.shares[own] += share;
        } else {
            (self.stacks[least], self.shares[least]) = (stack, share);
        }
    }

    fn most(&self) -> u32 {
        let shares = self.shares.iter().zip(self.stacks);
        shares.max_by(|x, y| x.0.total_cmp(y.0)).map_or(0, |(_, stack)| stack)
    }
}

impl Grid {
    fn new(columns: Range<usize>, height: usize) -> Grid {
        let cells = columns.len() * height;
        Grid { columns, used: vec![0.0; cells], owners: vec![Owners::default(); cells] }
    }

    fn add(&mut self, stack: u32, (x0, x1): Stretch, (y0, y1): Stretch) {
        let Range { start, end } = self.columns;
        let (first, last) = ((x0 as usize).max(start), (x1.ceil() as usize).min(end));
        for y in y0 as usize..y1.ceil() as usize {
            let high = (y as f64 + 1.0).min(y1) - (y as f64).max(y0);
            for x in first..last {
                let wide = (x as f64 + 1.0).min(x1) - (x as f64).max(x0);
                let cell = y * (end - start) + x - start;
                self.used[cell] += high * wide;
                self.owners[cell].add(stack, (high * wide) as f32);
            }
        }
    }

    fn finish(self) -> TimeMap {
        TimeMap {
            fill: self.used.iter().map(|share| share.min(1.0) as f32).collect(),
            stack: self.owners.iter().map(Owners::most).collect(),
        }
    }
}
