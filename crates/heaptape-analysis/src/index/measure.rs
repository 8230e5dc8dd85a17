//! How much, and by which backtraces: sums of short blocks, and the long ones and the cells at the ends of a range
//! one by one.

use super::curve::{Bucket, STRETCH};
use super::span::Span;
use super::winder::Winder;
use super::{AskError, Stop, unless_stopped};
use crate::lifetimes::Lifetime;
use heaptape_tape::BacktraceId;
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
        let mut one = |block: &Lifetime, sign: i8| add(block.backtrace, index.weigh(block), sign);
        index.long.each(span, &mut one);
        let Err((a, b)) = span.moments() else {
            return self.each_short(span, stop, &mut one);
        };
        let whole = self.whole_cells(a, b);
        if whole.is_empty() {
            return self.each_short(span, stop, &mut one);
        }
        let (before, after) = (index.start_of(whole.start), index.start_of(whole.end));
        for (a, b) in [(a, before), (after, b)] {
            let part = match span {
                Span::Alloc(..) => Span::Alloc(a, b),
                Span::Freed(..) => Span::Freed(a, b),
                _ => Span::Temp(a, b),
            };
            if a < b {
                self.each_short(part, stop, &mut one)?;
            }
        }
        let temporary = matches!(span, Span::Temp(..));
        index.short.each(whole, temporary, |backtrace, weight| add(backtrace, weight, 1));
        Ok(())
    }

    /// The cells that lie in a range as a whole.
    fn whole_cells(&self, a: u32, b: u32) -> Range<u32> {
        let cell = self.index.cell_events;
        let first = a.div_ceil(cell);
        let end = if b >= self.index.events { self.index.cells() } else { b / cell };
        first..end.max(first)
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
        let mut begun = false;
        for cell in self.cells_of((a, b)) {
            unless_stopped(stop)?;
            let mut live = i128::from(self.index.begun[cell as usize].live.bytes);
            for (rank, change) in self.changes(cell)? {
                let position = rank + 1;
                if !begun && position > a + 1 {
                    visit(a + 1, u64::try_from(live).unwrap_or(0));
                    begun = true;
                }
                if position > b {
                    return Ok(());
                }
                live += i128::from(change);
                if position > a {
                    visit(position, u64::try_from(live).unwrap_or(0));
                    begun = true;
                }
            }
            if !begun {
                visit(a + 1, u64::try_from(live).unwrap_or(0));
                begun = true;
            }
        }
        Ok(())
    }

    /// What each event of a cell changes of the live bytes, by rank; events that change nothing too, where others of
    /// the same rank make up for them.
    fn changes(&self, cell: u32) -> Result<Vec<(u32, i64)>, AskError> {
        let (start, end) = (self.index.start_of(cell), self.index.start_of(cell + 1));
        let born = self.cell(cell)?;
        let bytes = |block: &Lifetime| {
            i64::try_from(self.index.weigh(block).bytes).unwrap_or(i64::MAX)
        };
        let mut changes: Vec<(u32, i64)> = Vec::with_capacity(born.blocks.len() * 2);
        for block in &born.blocks {
            changes.push((block.born, bytes(block)));
            if block.died < end {
                changes.push((block.died, -bytes(block)));
            }
        }
        for block in self.index.long.filter(|life| life.from <= start && start <= life.to && life.to < end) {
            changes.push((block.died, -bytes(block)));
        }
        changes.sort_unstable_by_key(|(rank, _)| *rank);
        // One event can end a block and begin another.
        changes.dedup_by(|next, first| {
            let same = next.0 == first.0;
            if same {
                first.1 += next.1;
            }
            same
        });
        Ok(changes)
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
        if b - a.min(b) > EXACT || !index.times.are_exact() {
            return Ok(index.curve.parts(from_ns, to_ns, count));
        }
        let span = u128::from(to_ns.saturating_sub(from_ns));
        let ends: Vec<u32> = (0..=count)
            .map(|part| {
                let ns = u128::from(from_ns) + span * part as u128 / count.max(1) as u128;
                position(u64::try_from(ns).unwrap_or(u64::MAX))
            })
            .collect();
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
