//! What is measured: which blocks count, by when they lived (the table of docs/page.md).

use super::long::Life;
use crate::lifetimes::{Lifetime, NEVER, flags};

/// A metric with the positions it is measured at. A range is two positions `a <= b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Span {
    /// Live at a position.
    Live(u32),
    /// Begun in a range and live at its end.
    Kept(u32, u32),
    /// Begun in a range and never freed.
    Leaked(u32, u32),
    /// Begun in a range.
    Alloc(u32, u32),
    /// Ended in a range.
    Freed(u32, u32),
    /// Begun in a range, and freed before the same thread's next allocation.
    Temp(u32, u32),
    /// Live at the end of a range, less what was live at its beginning.
    Diff(u32, u32),
    /// Live at some position of a range, its ends included.
    Met(u32, u32),
}

impl Span {
    /// 1 where a block of that life counts, -1 where it is taken off, 0 where it does neither. Of [`Span::Temp`],
    /// [`Span::takes`] must agree.
    #[inline]
    pub(super) fn sign(self, Life { from, to }: Life) -> i8 {
        let live = |position: u32| from <= position && position <= to;
        let begun = |a: u32, b: u32| a < from && from <= b;
        match self {
            Span::Live(t) => i8::from(live(t)),
            Span::Kept(a, b) => i8::from(begun(a, b) && b <= to),
            Span::Leaked(a, b) => i8::from(begun(a, b) && to == NEVER),
            Span::Alloc(a, b) | Span::Temp(a, b) => i8::from(begun(a, b)),
            Span::Freed(a, b) => i8::from(a <= to && to < b),
            Span::Diff(a, b) => i8::from(live(b)) - i8::from(live(a)),
            Span::Met(a, b) => i8::from(from <= b && a <= to),
        }
    }

    /// What the life alone does not tell.
    #[inline]
    pub(super) fn takes(self, block: &Lifetime) -> bool {
        !matches!(self, Span::Temp(..)) || block.is(flags::TEMPORARY)
    }

    /// The sign of a block.
    #[inline]
    pub fn sign_of(self, block: &Lifetime) -> i8 {
        if self.takes(block) { self.sign(Life::of(block)) } else { 0 }
    }
}
