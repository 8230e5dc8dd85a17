//! The blocks that outlive their cell, one by one, by address.
//!
//! There are millions of them: each takes 40 bytes. Those that do not fit are kept apart, as they are.

use super::span::Span;
use crate::lifetimes::{Lifetime, NEVER, flags};
use heaptape_tape::{BacktraceId, BlockId, ThreadId};

/// From the first position at which a block is live to the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    /// The position after its birth; 0 of an inherited block.
    pub(super) from: u32,
    /// The rank of its end; [`NEVER`] if there is none.
    pub(super) to: u32,
}

impl Life {
    #[inline]
    pub(super) fn of(block: &Lifetime) -> Life {
        let inherited = block.is(flags::INHERITED) || block.born == NEVER;
        Life { from: if inherited { 0 } else { block.born + 1 }, to: block.died }
    }
}

/// The rest of a block. Who freed it is not here: the event of its end tells.
#[derive(Clone, Copy, Debug)]
struct Packed {
    addr: u64,
    id: u32,
    size: u32,
    /// 0: not known; else 1 + the usable bytes beyond those asked for.
    slack: u32,
    backtrace: BacktraceId,
    thread: ThreadId,
    api: u8,
    flags: u8,
    leak: u8,
}

/// What of [`flags`] the events of a block's birth and its life tell; the rest is known from the event of its end.
pub(super) const KNOWN_FLAGS: u8 = flags::TEMPORARY | flags::FROM_REALLOC | flags::INHERITED;

impl Packed {
    fn of(block: &Lifetime) -> Option<Packed> {
        let slack = match block.usable {
            0 => 0,
            usable => usable.checked_sub(block.size)?.checked_add(1)?,
        };
        if block.is(flags::INHERITED) || block.born == NEVER {
            return None;
        }
        Some(Packed {
            addr: block.addr,
            id: u32::try_from(block.id.0).ok()?,
            size: u32::try_from(block.size).ok()?,
            slack: u32::try_from(slack).ok()?,
            backtrace: block.backtrace,
            thread: block.thread,
            api: block.api,
            flags: block.flags & KNOWN_FLAGS,
            leak: block.leak,
        })
    }

    #[inline]
    fn block(&self, life: Life) -> Lifetime {
        let size = u64::from(self.size);
        Lifetime {
            id: BlockId(u64::from(self.id)),
            addr: self.addr,
            size,
            usable: u64::from(self.slack).checked_sub(1).map_or(0, |slack| size + slack),
            born: life.from - 1,
            died: life.to,
            backtrace: self.backtrace,
            freed_backtrace: BacktraceId::NONE,
            thread: self.thread,
            freed_thread: self.thread,
            api: self.api,
            flags: self.flags,
            leak: self.leak,
        }
    }
}

/// Long blocks.
#[derive(Debug, Default)]
pub(super) struct Long {
    /// Looked through from end to end for each question; so apart from the rest.
    lives: Vec<Life>,
    rest: Vec<Packed>,
    /// Those that are inherited or too large.
    odd: Vec<Lifetime>,
}

/// Bytes that one takes.
const BYTES: usize = size_of::<Life>() + size_of::<Packed>();

impl Long {
    pub(super) fn push(&mut self, block: Lifetime) {
        match Packed::of(&block) {
            Some(packed) => {
                if self.rest.len() == self.rest.capacity() {
                    // Not twice as much: there are hundreds of megabytes of them.
                    let more = (self.rest.len() / 8).max(1024);
                    self.rest.reserve_exact(more);
                    self.lives.reserve_exact(more);
                }
                self.lives.push(Life::of(&block));
                self.rest.push(packed);
            }
            None => {
                let flags = block.flags & KNOWN_FLAGS;
                let freed_thread = block.thread;
                self.odd.push(Lifetime {
                    flags,
                    freed_thread,
                    freed_backtrace: BacktraceId::NONE,
                    ..block
                });
            }
        }
    }

    /// Calls `visit` with those that `test` names, by cells of so many events, and drops them.
    pub(super) fn take(
        &mut self,
        cell_events: u32,
        test: impl Fn(Life) -> bool,
        mut visit: impl FnMut(&Lifetime),
    ) {
        let chosen = self.lives.iter().enumerate().filter(|(_, life)| test(**life));
        let mut order: Vec<u32> = chosen.map(|(at, _)| at as u32).collect();
        order
            .sort_unstable_by_key(|&at| self.lives[at as usize].from.wrapping_sub(1) / cell_events);
        let mut odd: Vec<Lifetime> = Vec::new();
        self.odd.retain(|block| {
            let goes = test(Life::of(block));
            if goes {
                odd.push(*block);
            }
            !goes
        });
        odd.sort_unstable_by_key(|block| block.born);
        let mut odd = odd.iter().peekable();
        for at in order {
            let block = self.rest[at as usize].block(self.lives[at as usize]);
            while let Some(before) =
                odd.next_if(|odd| odd.born / cell_events < block.born / cell_events)
            {
                visit(before);
            }
            visit(&block);
        }
        odd.for_each(visit);
        let mut kept = 0;
        for at in 0..self.lives.len() {
            if !test(self.lives[at]) {
                self.lives[kept] = self.lives[at];
                self.rest[kept] = self.rest[at];
                kept += 1;
            }
        }
        self.lives.truncate(kept);
        self.rest.truncate(kept);
        self.shrink(kept * 5 / 4);
    }

    fn shrink(&mut self, room: usize) {
        self.lives.shrink_to(room);
        self.rest.shrink_to(room);
    }

    /// Sorts them by address; takes 4 bytes for each meanwhile.
    pub(super) fn sort(&mut self) {
        self.shrink(0);
        let mut order: Vec<u32> = (0..self.rest.len() as u32).collect();
        order.sort_unstable_by_key(|&at| (self.rest[at as usize].addr, self.rest[at as usize].id));
        // Moves each to its place, along the cycles of the order.
        for start in 0..order.len() {
            let mut at = start;
            while order[at] as usize != at {
                let from = std::mem::replace(&mut order[at], at as u32) as usize;
                if from == start {
                    break;
                }
                self.lives.swap(at, from);
                self.rest.swap(at, from);
                at = from;
            }
        }
        self.odd.sort_unstable_by_key(|block| (block.addr, block.id));
    }

    /// Those that are kept apart.
    pub(super) fn odd(&self) -> &[Lifetime] {
        &self.odd
    }

    pub(super) fn len(&self) -> usize {
        self.rest.len() + self.odd.len()
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> u64 {
        let odd = self.odd.capacity() * size_of::<Lifetime>();
        (self.rest.capacity() * BYTES + odd) as u64
    }

    /// Bytes that it needs: room that is not used yet is given back.
    pub(super) fn needed(&self) -> u64 {
        (self.rest.len() * BYTES + self.odd.len() * size_of::<Lifetime>()) as u64
    }

    /// Marks those live at a position with what a search for leaks said of their address.
    pub(super) fn mark(&mut self, position: u32, leak: impl Fn(u64) -> u8) {
        let live = |life: Life| life.from <= position && position <= life.to;
        for (life, packed) in self.lives.iter().zip(&mut self.rest) {
            if live(*life) {
                packed.leak = leak(packed.addr);
            }
        }
        for block in self.odd.iter_mut().filter(|block| live(Life::of(block))) {
            block.leak = leak(block.addr);
        }
    }

    /// What a search for leaks said of a long block.
    pub(super) fn leak_of(&self, block: &Lifetime) -> Option<u8> {
        let first = self.rest.partition_point(|packed| packed.addr < block.addr);
        let same = self.rest[first..].iter().take_while(|packed| packed.addr == block.addr);
        let found =
            same.filter(|packed| u64::from(packed.id) == block.id.0).map(|it| it.leak).next();
        found.or_else(|| {
            self.odd
                .iter()
                .find(|odd| odd.id == block.id && odd.born == block.born)
                .map(|it| it.leak)
        })
    }

    /// Those that a span counts, each with its sign: by address, but those that are kept apart come first.
    pub(super) fn each(&self, span: Span, mut visit: impl FnMut(&Lifetime, i8)) {
        for block in &self.odd {
            let sign = span.sign_of(block);
            if sign != 0 {
                visit(block, sign);
            }
        }
        for (at, life) in self.lives.iter().enumerate() {
            let sign = span.sign(*life);
            if sign != 0 {
                let block = self.rest[at].block(*life);
                if span.takes(&block) {
                    visit(&block, sign);
                }
            }
        }
    }

    /// Those that `test` lets pass.
    pub(super) fn filter(&self, test: impl Fn(Life) -> bool, mut visit: impl FnMut(&Lifetime)) {
        self.odd.iter().filter(|block| test(Life::of(block))).for_each(&mut visit);
        for (at, life) in self.lives.iter().enumerate() {
            if test(*life) {
                visit(&self.rest[at].block(*life));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sorting_keeps_each_block_whole(addrs in prop::collection::vec(0_u64..20, 0..60)) {
            let mut long = Long::default();
            for (born, addr) in (0_u32..).zip(&addrs) {
                let (id, thread) = (BlockId(u64::from(born) + 1), ThreadId(born));
                let size = if born % 7 == 0 { 1 << 40 } else { u64::from(born) };
                long.push(Lifetime {
                    id, addr: *addr, size, usable: 0, born, died: born + 5,
                    backtrace: BacktraceId(born), freed_backtrace: BacktraceId::NONE,
                    thread, freed_thread: thread, api: 0, flags: 0, leak: 0,
                });
            }
            long.sort();
            let mut before = 0;
            let mut seen = 0;
            long.filter(|_| true, |block| {
                let born = block.born;
                assert_eq!(block.addr, addrs[born as usize]);
                assert_eq!((block.id.0, block.died, block.thread.0), (u64::from(born) + 1, born + 5, born));
                if born % 7 > 0 {
                    assert!(before <= block.addr);
                    before = block.addr;
                }
                seen += 1;
            });
            prop_assert_eq!(seen, addrs.len());
        }
    }
}
