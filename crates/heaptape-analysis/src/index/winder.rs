//! Questions to an index: which blocks count, wherever they are.

use super::births::Birth;
use super::span::Span;
use super::{AskError, Index, Stop, threads, unless_stopped};
use crate::lifetimes::Lifetime;
use crate::recording::Recording;
use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of moments that are remembered.
const REMEMBERED: usize = 16 << 20;
/// Events that one thread reads at a time where several do.
const SHARE: u32 = 1 << 20;
/// Shares of long blocks that threads look through one at a time.
const LONG_SHARES: u32 = 16;
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

    /// Calls `visit` with every block that a span counts, and its sign: long ones, then short ones by birth.
    pub fn each(
        &self,
        span: Span,
        stop: Stop<'_>,
        visit: &mut dyn FnMut(&Lifetime, i8),
    ) -> Result<(), AskError> {
        unless_stopped(stop)?;
        self.index.long.each(span, &self.index.births, &mut *visit);
        self.each_short(span, stop, visit)
    }

    /// The same by several threads where much is to be read, each with something of its own: these.
    pub(super) fn gather<A: Send>(
        &self,
        span: Span,
        stop: Stop<'_>,
        make: impl Fn() -> A + Sync,
        visit: impl Fn(&mut A, &Lifetime, i8) + Sync,
    ) -> Result<Vec<A>, AskError> {
        let ranks = self.births_of(span);
        if ranks.len() <= SHARE as usize {
            let mut own = make();
            self.each(span, stop, &mut |block, sign| visit(&mut own, block, sign))?;
            return Ok(vec![own]);
        }
        let next = AtomicU32::new(0);
        let work = || -> Result<A, AskError> {
            let mut own = make();
            let mut visit = |block: &Lifetime, sign: i8| visit(&mut own, block, sign);
            loop {
                unless_stopped(stop)?;
                let share = next.fetch_add(1, Ordering::Relaxed);
                if share < LONG_SHARES {
                    let (long, births) = (&self.index.long, &self.index.births);
                    let share = (share as usize, LONG_SHARES as usize);
                    long.each_of_share(span, share, births, &mut visit);
                    continue;
                }
                let from =
                    u64::from(ranks.start) + u64::from(share - LONG_SHARES) * u64::from(SHARE);
                if from >= u64::from(ranks.end) {
                    return Ok(own);
                }
                let from = from as u32;
                let to = from.saturating_add(SHARE).min(ranks.end);
                self.each_short_of(from..to, span, stop, &mut visit)?;
            }
        };
        threads::each_does(work)
    }

    /// The ranks of the births of all short blocks that a span counts, where they are not just those live at a moment.
    fn births_of(&self, span: Span) -> Range<u32> {
        match span {
            Span::Live(_) | Span::Kept(..) | Span::Leaked(..) | Span::Diff(..) => 0..0,
            Span::Alloc(a, b) | Span::Temp(a, b) => a..b,
            Span::Freed(a, b) | Span::Met(a, b) => self.index.start_of_cell_of(a)..b,
        }
    }

    /// Calls `visit` with every short block that a span counts.
    pub(super) fn each_short(
        &self,
        span: Span,
        stop: Stop<'_>,
        visit: &mut dyn FnMut(&Lifetime, i8),
    ) -> Result<(), AskError> {
        let count = |block: &Lifetime| {
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
            Span::Alloc(..) | Span::Temp(..) | Span::Freed(..) | Span::Met(..) => {
                self.each_short_of(self.births_of(span), span, stop, visit)?;
            }
        }
        Ok(())
    }

    /// Calls `visit` with every short block born in a range of ranks that a span counts.
    fn each_short_of(
        &self,
        ranks: Range<u32>,
        span: Span,
        stop: Stop<'_>,
        visit: &mut dyn FnMut(&Lifetime, i8),
    ) -> Result<(), AskError> {
        self.each_short_born(ranks, stop, &mut |block| {
            let sign = span.sign_of(block);
            if sign != 0 {
                visit(block, sign);
            }
        })
    }

    /// Calls `visit` with each short block born in a range of ranks, in order.
    pub(super) fn each_short_born(
        &self,
        ranks: Range<u32>,
        stop: Stop<'_>,
        visit: &mut dyn FnMut(&Lifetime),
    ) -> Result<(), AskError> {
        self.each_birth(ranks, stop, &mut |birth| {
            if let Some(block) = self.index.short(&birth) {
                visit(&block);
            }
        })
    }

    /// Calls `visit` with each birth in a range of ranks, in order.
    pub(super) fn each_birth(
        &self,
        ranks: Range<u32>,
        stop: Stop<'_>,
        visit: &mut dyn FnMut(Birth<'_>),
    ) -> Result<(), AskError> {
        let (mut next_look, mut stopped) = (ranks.start, false);
        self.index.births(self.recording, ranks, &mut |birth| {
            if birth.rank >= next_look {
                next_look = birth.rank.saturating_add(PATIENCE);
                stopped = stop();
            }
            if stopped {
                return ControlFlow::Break(());
            }
            visit(birth);
            ControlFlow::Continue(())
        })?;
        if stopped { Err(AskError::Stopped) } else { Ok(()) }
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
        self.each_short_born(from..position, stop, &mut |block| {
            if block.is_live(position) {
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
