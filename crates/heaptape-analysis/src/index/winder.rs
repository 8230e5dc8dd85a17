//! Questions to an index: which blocks count, wherever they are.

use super::cell::Cell;
use super::span::Span;
use super::{AskError, Index, Stop, unless_stopped};
use crate::lifetimes::Lifetime;
use crate::recording::Recording;
use heaptape_tape::TapeError;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

/// Bytes of cells that are remembered.
const REMEMBERED: u64 = 32 << 20;
/// Threads that replay cells at once, for a question about a long range.
const MOST_THREADS: usize = 8;

/// A process's history that can be asked, by several threads at once.
pub struct Winder<'a> {
    recording: &'a (dyn Recording + Sync),
    /// Its index.
    pub index: &'a Index,
    /// The cells that were asked for last, the newest one first.
    cells: Mutex<VecDeque<(u32, Arc<Cell>)>>,
}

impl<'a> Winder<'a> {
    /// Makes a process's history ready for questions.
    pub fn new(recording: &'a (dyn Recording + Sync), index: &'a Index) -> Winder<'a> {
        Winder { recording, index, cells: Mutex::default() }
    }

    /// The recording.
    pub fn recording(&self) -> &'a (dyn Recording + Sync) {
        self.recording
    }

    /// Calls `visit` with every block that a span counts, and its sign: long ones by address, then short ones.
    pub fn each(
        &self,
        span: Span,
        stop: Stop<'_>,
        visit: &mut dyn FnMut(&Lifetime, i8),
    ) -> Result<(), AskError> {
        unless_stopped(stop)?;
        self.index.long.each(span, &mut *visit);
        self.each_short(span, stop, visit)
    }

    /// Calls `visit` with every short block that a span counts.
    pub(super) fn each_short(
        &self,
        span: Span,
        stop: Stop<'_>,
        visit: &mut dyn FnMut(&Lifetime, i8),
    ) -> Result<(), AskError> {
        let mut visit_cell = |cell: &Cell| {
            for block in cell.short_blocks() {
                let sign = span.sign_of(block);
                if sign != 0 {
                    visit(block, sign);
                }
            }
        };
        match span.moments() {
            Err(range) => self.each_cell(self.cells_of(range), stop, &mut visit_cell),
            Ok(mut moments) => {
                moments.retain(|&at| !self.index.is_between(at));
                let mut cells: Vec<u32> =
                    moments.into_iter().map(|at| self.index.cell_of(at)).collect();
                cells.dedup();
                for cell in cells {
                    unless_stopped(stop)?;
                    visit_cell(&*self.cell(cell)?);
                }
                Ok(())
            }
        }
    }

    /// The cells with events of a range.
    pub(super) fn cells_of(&self, (a, b): (u32, u32)) -> Range<u32> {
        if a >= b {
            return 0..0;
        }
        self.index.cell_of(a)..self.index.cell_of(b - 1) + 1
    }

    /// The blocks born in a cell; remembers the last ones.
    pub(super) fn cell(&self, number: u32) -> Result<Arc<Cell>, TapeError> {
        let known = {
            let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
            let place = cells.iter().position(|(known, _)| *known == number);
            place.and_then(|place| cells.remove(place)).inspect(|found| cells.push_front(found.clone()))
        };
        if let Some((_, cell)) = known {
            return Ok(cell);
        }
        let cell = Arc::new(self.index.replay_cell(self.recording, number)?);
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        cells.push_front((number, Arc::clone(&cell)));
        let mut bytes = 0;
        let kept = cells.iter().take_while(|(_, cell)| {
            bytes += cell.bytes();
            bytes <= REMEMBERED
        });
        let kept = kept.count().max(1);
        cells.truncate(kept);
        Ok(cell)
    }

    /// Calls `visit` with some cells, in no order; where they are many, several threads replay them.
    pub(super) fn each_cell(
        &self,
        cells: Range<u32>,
        stop: Stop<'_>,
        visit: &mut dyn FnMut(&Cell),
    ) -> Result<(), AskError> {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        if cells.len() <= 2 || threads == 1 {
            for cell in cells {
                unless_stopped(stop)?;
                visit(&*self.cell(cell)?);
            }
            return Ok(());
        }
        let next = AtomicU32::new(cells.start);
        // Few may wait to be looked at: that bounds the memory.
        let (send, receive) = mpsc::sync_channel(threads);
        thread::scope(|scope| {
            for _ in 0..threads.min(cells.len()) {
                let (send, next, end) = (send.clone(), &next, cells.end);
                scope.spawn(move || loop {
                    let cell = next.fetch_add(1, Ordering::Relaxed);
                    if cell >= end || stop() {
                        break;
                    }
                    if send.send(self.index.replay_cell(self.recording, cell)).is_err() {
                        break;
                    }
                });
            }
            drop(send);
            let mut seen = 0;
            for cell in receive {
                visit(&cell?);
                seen += 1;
            }
            if seen < cells.len() { Err(AskError::Stopped) } else { Ok(()) }
        })
    }
}
