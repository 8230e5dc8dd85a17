//! The blocks that outlive their cell, one by one, by address.

use super::span::Span;
use crate::lifetimes::{Lifetime, NEVER, flags};

/// From the first position at which a block is live to the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    /// The position after its birth; 0 of an inherited block.
    pub(super) from: u32,
    /// The rank of its end; [`NEVER`] if there is none.
    pub(super) to: u32,
}

impl Life {
    pub(super) fn of(block: &Lifetime) -> Life {
        let inherited = block.is(flags::INHERITED) || block.born == NEVER;
        Life { from: if inherited { 0 } else { block.born + 1 }, to: block.died }
    }
}

/// Long blocks.
#[derive(Debug, Default)]
pub(super) struct Long {
    /// Looked through from end to end for each question; so apart from the rest.
    lives: Vec<Life>,
    blocks: Vec<Lifetime>,
}

/// Bytes that one takes.
pub(super) const BYTES: usize = size_of::<Life>() + size_of::<Lifetime>();

impl Long {
    /// Puts them in order.
    pub(super) fn of(mut blocks: Vec<Lifetime>) -> Long {
        blocks.sort_unstable_by_key(|block| (block.addr, block.born.wrapping_add(1)));
        blocks.shrink_to_fit();
        Long { lives: blocks.iter().map(Life::of).collect(), blocks }
    }

    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    pub(super) fn bytes(&self) -> u64 {
        (self.blocks.capacity() * size_of::<Lifetime>() + self.lives.capacity() * size_of::<Life>()) as u64
    }

    /// All of them, to be marked.
    pub(super) fn all_mut(&mut self) -> &mut [Lifetime] {
        &mut self.blocks
    }

    /// Those that a span counts, by address, each with its sign.
    pub(super) fn each(&self, span: Span, mut visit: impl FnMut(&Lifetime, i8)) {
        for (index, life) in self.lives.iter().enumerate() {
            let sign = span.sign(*life);
            if sign != 0 {
                let block = &self.blocks[index];
                if span.takes(block) {
                    visit(block, sign);
                }
            }
        }
    }

    /// Those that a test of birth and end lets pass.
    pub(super) fn filter(&self, test: impl Fn(Life) -> bool) -> impl Iterator<Item = &Lifetime> {
        let chosen = self.lives.iter().enumerate().filter(move |(_, life)| test(**life));
        chosen.map(|(index, _)| &self.blocks[index])
    }
}
