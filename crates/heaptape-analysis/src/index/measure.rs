//! How much, and by which backtraces: sums of stretches, what is live at the ends of a range, and births there one by
//! one.

use super::births::Birth;
use super::curve::{Bucket, STRETCH};
use super::span::Span;
use super::winder::Winder;
use super::{AskError, Stop, unless_stopped};
use crate::lifetimes::Lifetime;
use heaptape_tape::{BacktraceId, BlockId};
use std::ops::Range;

/// Bytes and blocks, which a difference can make negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signed {
    /// Bytes asked for.
    pub bytes: i64,
    /// Blocks.
    pub blocks: i64,
}

impl Signed {
    /// Adds so much, or takes it off.
    #[inline]
    pub fn add(&mut self, weight: crate::Weight, sign: i8) {
        let limit = |number: u64| i64::try_from(number).unwrap_or(i64::MAX) * i64::from(sign);
        self.bytes = self.bytes.saturating_add(limit(weight.bytes));
        self.blocks = self.blocks.saturating_add(limit(weight.blocks));
    }

    /// Adds another sum.
    pub(super) fn plus(&mut self, other: Signed) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.blocks = self.blocks.saturating_add(other.blocks);
    }
}

/// Events up to which a stretch of time is told event by event.
const EXACT: u32 = 1 << 19;

impl Winder<'_> {
    /// Calls `add` with what each backtrace weighs, in parts: a backtrace can come several times.
    pub fn weigh(
        &self,
        span: Span,
        stop: Stop<'_>,
        add: &mut dyn FnMut(BacktraceId, crate::Weight, i8),
    ) -> Result<(), AskError> {
        unless_stopped(stop)?;
        let index = self.index;
        match span {
            Span::Alloc(a, b) => self.allocated(a..b, false, stop, add),
            Span::Temp(a, b) => self.allocated(a..b, true, stop, add),
            Span::Freed(a, b) => {
                self.weigh(Span::Live(a), stop, add)?;
                self.weigh(Span::Alloc(a, b), stop, add)?;
                self.weigh(Span::Live(b), stop, &mut |backtrace, weight, sign| {
                    add(backtrace, weight, -sign);
                })
            }
            Span::Live(_) | Span::Kept(..) | Span::Leaked(..) | Span::Diff(..) | Span::Met(..) => {
                let mut one =
                    |block: &Lifetime, sign: i8| add(block.backtrace, index.weigh(block), sign);
                if index.sampling.is_some() {
                    return self.each(span, stop, &mut one);
                }
                self.each_short(span, stop, &mut one)?;
                index.long.weigh(span, |backtrace, size, sign| {
                    add(backtrace, crate::Weight::block(size), sign);
                });
                Ok(())
            }
        }
    }

    /// What was allocated in a range of ranks: sums of whole stretches, with what the two in which it begins and ends
    /// have too much or too little, whichever is read sooner.
    fn allocated(
        &self,
        ranks: Range<u32>,
        temporary: bool,
        stop: Stop<'_>,
        add: &mut dyn FnMut(BacktraceId, crate::Weight, i8),
    ) -> Result<(), AskError> {
        let (index, stretch) = (self.index, self.index.sums.stretch());
        let start_of = |number: u32| number.saturating_mul(stretch).min(index.events);
        let nearest = |at: u32| {
            if at >= index.events {
                index.events.div_ceil(stretch)
            } else {
                at.saturating_add(stretch / 2) / stretch
            }
        };
        let Range { start: a, end: b } = ranks;
        let (first, end) = (nearest(a), nearest(b));
        let mut births = |from: u32, to: u32, sign: i8| {
            self.each_birth(from..to, stop, &mut |Birth { event, place, .. }| {
                if !temporary || index.temporary.get(place as usize) {
                    let id = BlockId(u64::from(place) + 1);
                    add(event.backtrace, index.weigh_of(event.size, id), sign);
                }
            })
        };
        if first >= end {
            return births(a, b, 1);
        }
        for (at, edge, above) in [(a, start_of(first), 1), (b, start_of(end), -1)] {
            let sign = if at < edge { above } else { -above };
            births(at.min(edge), at.max(edge), sign)?;
        }
        index.sums.each(first..end, temporary, |backtrace, weight| add(backtrace, weight, 1));
        Ok(())
    }

    /// The first position of most live bytes in `(a, b]`, and these; of an empty range, `b`.
    pub fn peak(&self, a: u32, b: u32, stop: Stop<'_>) -> Result<(u32, u64), AskError> {
        let (first, end) = (a.div_ceil(STRETCH), b / STRETCH);
        let mut best: Option<(u32, u64)> = None;
        let mut more = |position: u32, bytes: u64| {
            if best.is_none_or(|(_, most)| bytes > most) {
                best = Some((position, bytes));
            }
        };
        if first >= end {
            self.each_position(a, b, stop, &mut more)?;
        } else {
            self.each_position(a, first * STRETCH, stop, &mut more)?;
            if let Some(top) = self.index.curve.top(first..end) {
                more(top.position, top.bytes);
            }
            self.each_position(end * STRETCH, b, stop, &mut more)?;
        }
        match best {
            Some(best) => Ok(best),
            None => {
                let mut sum = Signed::default();
                self.weigh(Span::Live(b), stop, &mut |_, weight, sign| sum.add(weight, sign))?;
                Ok((b, sum.bytes.max(0) as u64))
            }
        }
    }

    /// Calls `visit` with the first position of `(a, b]` and each at which something changed, in order, and the bytes
    /// live then.
    fn each_position(
        &self,
        a: u32,
        b: u32,
        stop: Stop<'_>,
        visit: &mut dyn FnMut(u32, u64),
    ) -> Result<(), AskError> {
        if a >= b {
            return Ok(());
        }
        let (before, mut changes) = self.changes(a, b, stop)?;
        // The first event counts, whether it changed anything or not.
        changes.push((a, 0));
        changes.sort_unstable_by_key(|(rank, _)| *rank);
        let mut live = before;
        for (at, (rank, change)) in changes.iter().enumerate() {
            live += change;
            // One event can end a block and begin another.
            if changes.get(at + 1).is_none_or(|(next, _)| next > rank) {
                visit(rank + 1, u64::try_from(live).unwrap_or(0));
            }
        }
        Ok(())
    }

    /// The bytes live at `a`, and what the events of ranks from `a` to `b` changed of them, in no order.
    fn changes(
        &self,
        a: u32,
        b: u32,
        stop: Stop<'_>,
    ) -> Result<(i128, Vec<(u32, i128)>), AskError> {
        let index = self.index;
        let (mut before, mut changes) = (0, Vec::new());
        let mut note = |block: &Lifetime| {
            let bytes = i128::from(index.weigh(block).bytes);
            if block.is_live(a) {
                before += bytes;
            } else if a <= block.born && block.born < b {
                changes.push((block.born, bytes));
            }
            if a <= block.died && block.died < b {
                changes.push((block.died, -bytes));
            }
        };
        self.each(Span::Met(a, b), stop, &mut |block, _| note(block))?;
        Ok((before, changes))
    }

    /// Least, most and last live bytes in `count` equal parts of a stretch of time. Exact where it has less than half a
    /// million events; of longer ones, the ends of parts are rounded down to a 2^17th of the run or finer.
    pub fn envelope(
        &self,
        from_ns: u64,
        to_ns: u64,
        count: usize,
        stop: Stop<'_>,
    ) -> Result<Vec<Bucket>, AskError> {
        let index = self.index;
        let position = |ns: u64| match ns.checked_sub(1) {
            Some(before) => index.times.at(heaptape_tape::TimeNs(before), index.events),
            None => 0,
        };
        let (a, b) = (position(from_ns), position(to_ns));
        let last = index.times.at(heaptape_tape::TimeNs(to_ns), index.events);
        if b.saturating_sub(a) > EXACT || !index.times.are_exact() {
            return Ok(index.curve.parts(from_ns, to_ns, count));
        }
        let span = u128::from(to_ns.saturating_sub(from_ns).max(1));
        let mut ends: Vec<u32> = (0..=count)
            .map(|part| {
                let ns = u128::from(from_ns) + (span * part as u128).div_ceil(count.max(1) as u128);
                position(u64::try_from(ns).unwrap_or(u64::MAX))
            })
            .collect();
        // The last part has its end.
        ends[count] = last.max(a);
        let b = ends[count];
        let mut sum = Signed::default();
        self.weigh(Span::Live(a), stop, &mut |_, weight, sign| sum.add(weight, sign))?;
        let mut parts = vec![Bucket::still(sum.bytes.max(0) as u64); count];
        let mut part = 0;
        self.each_position(a, b, stop, &mut |at, bytes| {
            while part + 1 < count && ends[part + 1] < at {
                part += 1;
                parts[part] = Bucket::still(parts[part - 1].last);
            }
            if let Some(bucket) = parts.get_mut(part) {
                bucket.note(bytes);
            }
        })?;
        for next in part + 1..count {
            parts[next] = Bucket::still(parts[next - 1].last);
        }
        Ok(parts)
    }
}
