//! Time by address: how used each cell of a window is, and by whom most.
//!
//! Columns are equal parts of clock time. They are filled in bands, each by one thread: the blocks that are seen in a band
//! are taken in the order of their stacks, so that the largest share of a cell is known without a table of all shares.

use super::answers::Answers;
use super::list::touches;
use super::span::Span;
use super::{AskError, Stop, threads};
use crate::lifetimes::{Lifetime, NEVER};
use heaptape_tape::TimeNs;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Events of a band, about: what is seen in it is held at once.
const BAND_EVENTS: usize = 1 << 21;
/// Columns of a band at most.
const BAND_COLUMNS: usize = 64;
/// Blocks that are held at once. Where a band has more, who owns a cell is decided among the largest shares of so many.
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

/// How used each cell of a window is.
#[derive(Clone, Debug, Default)]
pub struct TimeMap {
    /// 0 to 1, row by row; row 0 is the lowest address.
    pub fill: Vec<f32>,
    /// The stack with most bytes × time in each.
    pub stack: Vec<u32>,
}

impl Answers<'_> {
    /// How used each cell of a window is: a block counts with its own bytes, for as much of a cell's time as it was live.
    pub fn time_map(&self, window: Window, stop: Stop<'_>) -> Result<TimeMap, AskError> {
        let view = View::of(self, window);
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
        let mut map = TimeMap { fill: vec![0.0; width * height], stack: vec![0; width * height] };
        for Band { columns, cells, .. } in threads::each_does(work)?.into_iter().flatten() {
            for (row, own) in cells.chunks(columns.len()).enumerate() {
                for (cell, at) in own.iter().zip(row * width + columns.start..) {
                    (map.fill[at], map.stack[at]) = (cell.used.min(1.0) as f32, cell.stack);
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
        let mut band = Band::new(columns, view.window.height, self.stacks.len());
        let ends = (band.columns.start as f64, band.columns.end as f64);
        self.winder.each(Span::Met(a, b), stop, &mut |block, _| {
            if let Some(((x0, x1), (y0, y1))) = view.place(block, (a, b), ends) {
                let stack = self.stacks.stack(block.backtrace);
                let (wide, high) = ((x1 - x0) as f32, (y1 - y0) as f32);
                band.push(Piece { x: x0 - ends.0, y: y0, wide, high, stack });
            }
        })?;
        band.draw();
        Ok(band)
    }
}

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

/// What is seen of a block in a band.
#[derive(Clone, Copy)]
struct Piece {
    x: f64,
    y: f64,
    wide: f32,
    high: f32,
    stack: u32,
}

/// A cell. Shares of one stack are added one after the other.
#[derive(Clone, Copy)]
struct Cell {
    used: f64,
    /// The share of `of`, the last stack that was added.
    own: f32,
    of: u32,
    /// The largest share, and whose it is.
    best: f32,
    stack: u32,
}

/// No stack has that number.
const NOBODY: u32 = u32::MAX;

/// Some columns of a map.
struct Band {
    columns: Range<usize>,
    cells: Vec<Cell>,
    stacks: usize,
    /// What is not drawn yet.
    pieces: Vec<Piece>,
}

impl Band {
    fn new(columns: Range<usize>, height: usize, stacks: usize) -> Band {
        let empty = Cell { used: 0.0, own: 0.0, of: NOBODY, best: 0.0, stack: 0 };
        let cells = vec![empty; columns.len() * height];
        Band { columns, cells, stacks, pieces: Vec::new() }
    }

    #[inline]
    fn push(&mut self, piece: Piece) {
        if self.pieces.len() >= MOST_PIECES {
            self.draw();
        }
        self.pieces.push(piece);
    }

    /// Draws the pieces, stack by stack.
    fn draw(&mut self) {
        let pieces = std::mem::take(&mut self.pieces);
        let mut next = vec![0_u32; self.stacks + 1];
        pieces.iter().for_each(|piece| next[piece.stack as usize + 1] += 1);
        for stack in 1..next.len() {
            next[stack] += next[stack - 1];
        }
        let mut order = vec![0_u32; pieces.len()];
        for (number, piece) in (0..).zip(&pieces) {
            let place = &mut next[piece.stack as usize];
            order[*place as usize] = number;
            *place += 1;
        }
        // What was drawn before of a stack is not the same share.
        self.cells.iter_mut().for_each(|cell| cell.of = NOBODY);
        order.into_iter().for_each(|number| self.add(&pieces[number as usize]));
    }

    fn add(&mut self, piece: &Piece) {
        let width = self.columns.len();
        let (x0, x1) = (piece.x, (piece.x + f64::from(piece.wide)).min(width as f64));
        let (y0, y1) = (piece.y, piece.y + f64::from(piece.high));
        let last = (y1.ceil() as usize).min(self.cells.len() / width);
        for y in y0 as usize..last {
            let high = (y as f64 + 1.0).min(y1) - (y as f64).max(y0);
            let row = &mut self.cells[y * width..(y + 1) * width];
            for (x, cell) in (0..x1.ceil() as usize).zip(row).skip(x0 as usize) {
                let wide = (x as f64 + 1.0).min(x1) - (x as f64).max(x0);
                cell.add(piece.stack, high * wide);
            }
        }
    }
}

impl Cell {
    #[inline]
    fn add(&mut self, stack: u32, share: f64) {
        self.used += share;
        self.own = if self.of == stack { self.own + share as f32 } else { share as f32 };
        self.of = stack;
        if self.own > self.best {
            (self.best, self.stack) = (self.own, stack);
        }
    }
}
