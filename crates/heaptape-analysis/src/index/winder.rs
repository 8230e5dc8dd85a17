//! Questions to an index: which blocks count, wherever they are.

use super::span::Span;
use super::{AskError, Index, Stop, unless_stopped};
use crate::lifetimes::Lifetime;
use crate::recording::Recording;
use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of moments that are remembered.
const REMEMBERED: usize = 16 << 20;
/// Births between two looks at whether somebody still waits.
const PATIENCE: u32 = 1 << 16;

/// A process's history that can be asked, by several threads at once.
pub struct Winder<'a> {
    recording: &'a (dyn Recording + Sync),
    /// Its index.
    pub index: &'a Index,
    /// The positions that were asked for last, the newest one first, and the short blocks live then.
    moments: Mutex<VecDeque<(u32, Arc<Vec<Lifetime>>)>>,
}

impl<'a> Winder<'a> {
    /// Makes a process's history ready for questions.
    pub fn new(recording: &'a (dyn Recording + Sync), index: &'a Index) -> Winder<'a> {
        Winder { recording, index, moments: Mutex::default() }
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
        let mut count = |block: &Lifetime| {
            let sign = span.sign_of(block);
            if sign != 0 {
                visit(block, sign);
            }
        };
        match span {
            Span::Live(t) | Span::Kept(_, t) => {
                self.short_at(t, stop)?.iter().for_each(count);
            }
            Span::Leaked(..) => {}
            Span::Diff(a, b) => {
                let (before, after) = (self.short_at(a, stop)?, self.short_at(b, stop)?);
                // One that is live at both counts for neither.
                before.iter().chain(after.iter()).for_each(count);
            }
            Span::Alloc(a, b) | Span::Temp(a, b) => {
                self.each_birth(a..b, stop, &mut |block| {
                    if self.index.is_short(block) {
                        count(block);
                    }
                })?;
            }
            Span::Freed(a, b) => {
                self.each_birth(self.index.start_of_cell_of(a)..b, stop, &mut |block| {
                    if self.index.is_short(block) {
                        count(block);
                    }
                })?;
            }
        }
        Ok(())
    }

    /// Calls `visit` with each block born in a range of ranks, in order.
    pub(super) fn each_birth(
        &self,
        ranks: Range<u32>,
        stop: Stop<'_>,
        visit: &mut dyn FnMut(&Lifetime),
    ) -> Result<(), AskError> {
        let (mut next_look, mut stopped) = (ranks.start, false);
        self.index.births(self.recording, ranks, &mut |block| {
            if block.born >= next_look {
                next_look = block.born.saturating_add(PATIENCE);
                stopped = stop();
            }
            if stopped {
                return ControlFlow::Break(());
            }
            visit(block);
            ControlFlow::Continue(())
        })?;
        if stopped { Err(AskError::Stopped) } else { Ok(()) }
    }

    /// How many blocks of the process were born before a rank.
    pub(super) fn births_before(&self, rank: u32, stop: Stop<'_>) -> Result<u64, AskError> {
        let index = self.index;
        if rank == 0 {
            return Ok(0);
        }
        // The cell of the event before it: the history can end between two.
        let cell = (rank - 1) / index.least_cell;
        let mut births = u64::from(index.begun.get(cell as usize).copied().unwrap_or(0));
        self.each_birth(cell * index.least_cell..rank, stop, &mut |_| births += 1)?;
        Ok(births)
    }

    /// The short blocks live at a position; remembers the last ones.
    pub(super) fn short_at(
        &self,
        position: u32,
        stop: Stop<'_>,
    ) -> Result<Arc<Vec<Lifetime>>, AskError> {
        let from = self.index.start_of_cell_of(position);
        if from == position || position >= self.index.events {
            return Ok(Arc::default());
        }
        if let Some(known) = self.remembered(position) {
            return Ok(known);
        }
        let mut live = Vec::new();
        self.each_birth(from..position, stop, &mut |block| {
            if block.is_live(position) && self.index.is_short(block) {
                live.push(*block);
            }
        })?;
        live.shrink_to_fit();
        let live = Arc::new(live);
        self.remember(position, &live);
        Ok(live)
    }

    fn remembered(&self, position: u32) -> Option<Arc<Vec<Lifetime>>> {
        let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        let place = moments.iter().position(|(known, _)| *known == position)?;
        let found = moments.remove(place)?;
        let live = Arc::clone(&found.1);
        moments.push_front(found);
        Some(live)
    }

    fn remember(&self, position: u32, live: &Arc<Vec<Lifetime>>) {
        let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        moments.push_front((position, Arc::clone(live)));
        let mut bytes = 0;
        let kept = moments.iter().take_while(|(_, live)| {
            bytes += live.len() * size_of::<Lifetime>() + size_of::<(u32, Arc<()>)>();
            bytes <= REMEMBERED
        });
        let kept = kept.count().clamp(1, 64);
        moments.truncate(kept);
    }
}
