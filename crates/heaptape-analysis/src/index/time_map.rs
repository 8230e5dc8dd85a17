//! Time by address: how used each cell of a window is, and by which group of blocks most.
//!
//! Columns are equal parts of clock time. They are filled in bands, each by one thread: the blocks that are seen in a band
//! are taken in the order of their groups, so that the largest share of a cell is known without a table of all shares.

use super::answers::Answers;
use super::list::touches;
use super::span::Span;
use super::{AskError, Stop, threads};
use crate::block_filter::{Asked, BlockFilter};
use crate::lifetimes::{Lifetime, NEVER};
use heaptape_tape::TimeNs;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Events of a band, about: what is seen in it is held at once.
const BAND_EVENTS: usize = 1 << 21;
/// Columns of a band at most.
const BAND_COLUMNS: usize = 64;
/// Blocks that are held at once. Where a band has more, which group owns a cell is decided among the largest shares of
/// so many.
const MOST_PIECES: usize = 1 << 21;

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

/// What groups of blocks are told apart by, and so what a group's number is.
#[derive(Clone, Debug, PartialEq)]
pub enum By {
    /// The frame of the call site.
    Site,
    /// The size: how many of these limits, which ascend, are not above it.
    Size(Vec<f64>),
    /// How long the block lives in all, in ns: the same; one more than there are limits where it was never freed.
    Lifetime(Vec<f64>),
    /// The thread that allocated, by its number.
    Thread,
    /// What was found of it if it was never freed ([`Lifetime::leak`]); [`FREED`] otherwise.
    Leak,
}

/// The group of blocks that are freed, by [`By::Leak`].
pub const FREED: u32 = 255;

impl By {
    #[inline]
    fn group(&self, answers: &Answers<'_>, block: &Lifetime, start: TimeNs) -> u32 {
        let reached =
            |limits: &[f64], value: u64| limits.partition_point(|&it| it <= value as f64) as u32;
        match self {
            By::Site => answers.stacks.site_of[answers.stacks.stack(block.backtrace) as usize],
            By::Size(limits) => reached(limits, block.size),
            By::Lifetime(limits) => match answers.winder.index.lived(block, start) {
                Some(ns) => reached(limits, ns),
                None => limits.len() as u32 + 1,
            },
            By::Thread => u32::from((answers.thread)(block.thread)),
            By::Leak if block.died == NEVER => u32::from(block.leak),
            By::Leak => FREED,
        }
    }
}

/// How used each cell of a window is.
#[derive(Clone, Debug, Default)]
pub struct TimeMap {
    /// By blocks that the filter keeps: 0 to 1, row by row; row 0 is the lowest address.
    pub fill: Vec<f32>,
    /// The group with most bytes × time in each, of these blocks.
    pub group: Vec<u32>,
    /// By blocks that the filter does not keep. Empty without a filter.
    pub rest: Vec<f32>,
}

impl Answers<'_> {
    /// How used each cell of a window is: a block counts with its own bytes, for as much of a cell's time as it was live.
    /// The filter's ages are counted to its last position.
    pub fn time_map(
        &self,
        window: Window,
        by: &By,
        filter: &BlockFilter,
        stop: Stop<'_>,
    ) -> Result<TimeMap, AskError> {
        let reallocs = |block: &Lifetime| self.winder.index.reallocs(block);
        let asked = self.asked(filter, window.b.min(self.winder.index.events), &reallocs);
        let view = View::of(self, window, by, asked);
        let Window { a, b, width, height, .. } = view.window;
        let most = (width * BAND_EVENTS / ((b - a) as usize).max(1)).clamp(1, BAND_COLUMNS);
        let next = AtomicUsize::new(0);
        let work = || -> Result<Vec<Band>, AskError> {
            let mut done = Vec::new();
            loop {
                let first = next.fetch_add(most, Ordering::Relaxed);
                if first >= width {
                    return Ok(done);
                }
                done.push(self.band(&view, first..(first + most).min(width), stop)?);
            }
        };
        let cells = width * height;
        let rest = vec![0.0; if view.asked.is_some() { cells } else { 0 }];
        let mut map = TimeMap { fill: vec![0.0; cells], group: vec![0; cells], rest };
        for Band { columns, cells, .. } in threads::each_does(work)?.into_iter().flatten() {
            for (row, own) in cells.chunks(columns.len()).enumerate() {
                for (cell, at) in own.iter().zip(row * width + columns.start..) {
                    (map.fill[at], map.group[at]) = (cell.used.min(1.0) as f32, cell.group);
                    if let Some(rest) = map.rest.get_mut(at) {
                        *rest = cell.rest.min(1.0) as f32;
                    }
                }
            }
        }
        Ok(map)
    }

    fn band(
        &self,
        view: &View<'_, '_>,
        columns: Range<usize>,
        stop: Stop<'_>,
    ) -> Result<Band, AskError> {
        let (a, b) = view.positions(&columns);
        let mut band = Band::new(columns, view.window.height);
        let ends = (band.columns.start as f64, band.columns.end as f64);
        self.winder.each(Span::Met(a, b), stop, &mut |block, _| {
            if let Some(((x0, x1), (y0, y1))) = view.place(block, (a, b), ends) {
                let (wide, high) = ((x1 - x0) as f32, (y1 - y0) as f32);
                let place = Place { x: x0 - ends.0, y: y0, wide, high };
                if view.asked.as_ref().is_none_or(|asked| asked.passes(block)) {
                    band.push(place, view.by.group(self, block, view.start));
                } else {
                    band.each_cell(place, |cell, share| cell.rest += share);
                }
            }
        })?;
        band.draw();
        Ok(band)
    }
}

/// A window with what is needed to find a block's place in it.
struct View<'a, 'b> {
    answers: &'a Answers<'b>,
    by: &'a By,
    /// `None`: every block is kept.
    asked: Option<Asked<'a>>,
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
    fn of<'a, 'b>(
        answers: &'a Answers<'b>,
        window: Window,
        by: &'a By,
        asked: Option<Asked<'a>>,
    ) -> View<'a, 'b> {
        let (index, start) = (answers.winder.index, answers.start());
        let b = window.b.min(index.events);
        let window = Window { a: window.a.min(b), b, ..window };
        let begun = index.times.of(window.a, start).0;
        let ns = index.times.of(b, start).0.saturating_sub(begun).max(1);
        let bytes = window.hi.saturating_sub(window.lo).max(1);
        let (columns, rows) =
            (window.width as f64 / ns as f64, window.height as f64 / bytes as f64);
        View { answers, by, asked, window, start, begun: begun as f64, columns, rows }
    }

    /// The column of the last event before a position.
    #[inline]
    fn column(&self, position: u32) -> f64 {
        let time = self.answers.winder.index.time(position, self.start);
        (time.0 as f64 - self.begun) * self.columns
    }

    /// Positions between which everything is live that is seen in some columns. The first is not beyond their beginning,
    /// the last not before their end, unless the window ends first.
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

    /// Where a block is seen that is live between the positions of a band; of a band that ends there.
    #[inline]
    fn place(
        &self,
        block: &Lifetime,
        (a, b): (u32, u32),
        (left, right): Stretch,
    ) -> Option<(Stretch, Stretch)> {
        let Window { lo, hi, height, .. } = self.window;
        if !touches(block, lo, hi) {
            return None;
        }
        // Most long ones were born before and end after it: their times need not be looked up.
        let began_before = block.born == NEVER || block.born < a;
        let x0 = if began_before { left } else { self.column(block.born + 1).max(left) };
        let ends_after = block.died == NEVER || block.died > b && b < self.window.b;
        let x1 = if ends_after { right } else { self.column(block.died + 1).min(right) };
        let end = block.addr.saturating_add(block.size.max(block.usable));
        let y0 = block.addr.saturating_sub(lo) as f64 * self.rows;
        let y1 = (end.saturating_sub(lo) as f64 * self.rows).min(height as f64);
        (x0 < x1 && y0 < y1).then_some(((x0, x1), (y0, y1)))
    }
}

/// Where a block is seen in a band.
#[derive(Clone, Copy)]
struct Place {
    x: f64,
    y: f64,
    wide: f32,
    high: f32,
}

/// A cell. Shares of one group are added one after the other.
#[derive(Clone, Copy)]
struct Cell {
    used: f64,
    /// By blocks that the filter does not keep.
    rest: f64,
    /// The share of `of`, the last group that was added.
    own: f32,
    of: u32,
    /// The largest share, and whose it is.
    best: f32,
    group: u32,
}

/// No group has that number.
const NOBODY: u32 = u32::MAX;

/// Some columns of a map.
struct Band {
    columns: Range<usize>,
    cells: Vec<Cell>,
    /// What is not drawn yet, and of which group.
    pieces: Vec<(Place, u32)>,
}

impl Band {
    fn new(columns: Range<usize>, height: usize) -> Band {
        let empty = Cell { used: 0.0, rest: 0.0, own: 0.0, of: NOBODY, best: 0.0, group: 0 };
        let cells = vec![empty; columns.len() * height];
        Band { columns, cells, pieces: Vec::new() }
    }

    #[inline]
    fn push(&mut self, place: Place, group: u32) {
        if self.pieces.len() >= MOST_PIECES {
            self.draw();
        }
        self.pieces.push((place, group));
    }

    /// Draws the pieces, group by group.
    fn draw(&mut self) {
        let pieces = std::mem::take(&mut self.pieces);
        let groups = pieces.iter().map(|(_, group)| *group as usize + 1).max().unwrap_or(0);
        let mut next = vec![0_u32; groups + 1];
        pieces.iter().for_each(|(_, group)| next[*group as usize + 1] += 1);
        for group in 1..next.len() {
            next[group] += next[group - 1];
        }
        let mut order = vec![0_u32; pieces.len()];
        for (number, (_, group)) in (0..).zip(&pieces) {
            let at = &mut next[*group as usize];
            order[*at as usize] = number;
            *at += 1;
        }
        // What was drawn before of a group is not the same share.
        self.cells.iter_mut().for_each(|cell| cell.of = NOBODY);
        for number in order {
            let (place, group) = pieces[number as usize];
            self.each_cell(place, |cell, share| cell.add(group, share));
        }
    }

    /// Calls `add` with each cell of a place, and how much of it that covers.
    #[inline]
    fn each_cell(&mut self, place: Place, add: impl Fn(&mut Cell, f64)) {
        let width = self.columns.len();
        let (x0, x1) = (place.x, (place.x + f64::from(place.wide)).min(width as f64));
        let (y0, y1) = (place.y, place.y + f64::from(place.high));
        let last = (y1.ceil() as usize).min(self.cells.len() / width);
        for y in y0 as usize..last {
            let high = (y as f64 + 1.0).min(y1) - (y as f64).max(y0);
            let row = &mut self.cells[y * width..(y + 1) * width];
            for (x, cell) in (0..x1.ceil() as usize).zip(row).skip(x0 as usize) {
                let wide = (x as f64 + 1.0).min(x1) - (x as f64).max(x0);
                add(cell, high * wide);
            }
        }
    }
}

impl Cell {
    #[inline]
    fn add(&mut self, group: u32, share: f64) {
        self.used += share;
        self.own = if self.of == group { self.own + share as f32 } else { share as f32 };
        self.of = group;
        if self.own > self.best {
            (self.best, self.group) = (self.own, group);
        }
    }
}
