//! The blocks of a process as the story of their events.
//!
//! Events are told in order, each as its thread, how many events it is behind the one before, and a *token*: a block of
//! this stack begins, or one ends. What programs do next is what they did in such a place before; so most tokens are
//! guessed. Then which block of the stack it is, its sizes, its address (`heap`), and whatever else the table
//! has.

use super::super::tables::END_OF_ADDRESSES;
use super::coder::{Decoder, Encoder};
use super::story::{Blocks, Story};
use std::iter::Peekable;
use std::vec::IntoIter;

/// What the table says of a block (`docs/page.md`); of sizes the low halves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "as the columns")]
pub struct Block {
    pub born: u32,
    pub life: u32,
    pub stack: u32,
    pub freed_stack: u32,
    pub size: u32,
    pub usable: u32,
    pub addr: u64,
    pub thread: u16,
    pub freed_thread: u16,
    pub api: u8,
    pub flags: u8,
    pub leak: u8,
}

/// What is known before the story.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Blocks.
    pub blocks: u32,
    /// Blocks that were inherited: the first ones.
    pub inherited: u32,
    /// Blocks that were freed.
    pub freed: u32,
    /// One more than the largest number of a stack.
    pub stacks: u32,
    /// One more than the largest number of a thread.
    pub threads: u32,
}

/// Bytes of memory for each block while its story is written.
pub const WHILE_WRITTEN: u64 = 56;

/// Decisions of a story at most: a page takes about 15 ns for each, and makes who opened it wait meanwhile. Programs stay
/// below with a million blocks; what is random does not, and would save little.
const MOST_DECISIONS: u64 = 48_000_000;

/// Writes the story of blocks in order of birth, inherited ones first. `None`: it would take a page too long to read,
/// or they are not such blocks, or have addresses that a page does not know.
pub fn write(
    blocks: u32,
    inherited: u32,
    block: &dyn Fn(u32) -> Block,
) -> Option<(Extent, Vec<u8>)> {
    let mut extent = Extent { blocks, inherited, freed: 0, stacks: 0, threads: 0 };
    let (mut deaths, mut ranks) = (Vec::new(), Vec::new());
    for row in 0..blocks {
        let it = block(row);
        if it.addr >= END_OF_ADDRESSES {
            return None;
        }
        extent.stacks = extent.stacks.max(it.stack + 1).max(it.freed_stack + 1);
        let thread = it.thread.max(it.freed_thread);
        extent.threads = extent.threads.max(u32::from(thread) + 1);
        if row >= inherited {
            ranks.push(it.born);
        }
        if it.life != 0 {
            let died = it.born.wrapping_add(it.life);
            deaths.push((died, row));
            ranks.push(died);
        }
    }
    deaths.sort_unstable();
    ranks.sort_unstable();
    extent.freed = deaths.len() as u32;
    let deaths = deaths.into_iter().peekable();
    let mut told = Told { block, deaths, ranks, begun: 0, told: 0, extent };
    let mut coder = Encoder::new(MOST_DECISIONS);
    Story::new(extent).tell(&mut coder, &mut told).ok()?;
    Some((extent, coder.finish()))
}

/// Reads it: the page's reader, once more.
pub fn read(extent: Extent, bytes: &[u8]) -> Result<Vec<Block>, &'static str> {
    let mut coder = Decoder::new(bytes);
    let mut blocks = Read(vec![Block::default(); extent.blocks as usize]);
    Story::new(extent).tell(&mut coder, &mut blocks)?;
    if coder.cut { Err("it is cut off") } else { Ok(blocks.0) }
}

/// Blocks to be written.
struct Told<'a> {
    block: &'a dyn Fn(u32) -> Block,
    /// When which ends.
    deaths: Peekable<IntoIter<(u32, u32)>>,
    /// Of all events but the begins of inherited blocks.
    ranks: Vec<u32>,
    begun: u32,
    /// How many of them were told.
    told: usize,
    extent: Extent,
}

impl Blocks for Told<'_> {
    fn next(&mut self) -> (u32, u32, bool) {
        let all_begun = self.begun == self.extent.blocks;
        let born = if all_begun { u32::MAX } else { (self.block)(self.begun).born };
        let inherited = self.begun < self.extent.inherited;
        // One may end at the address where another begins.
        let ends = self.deaths.next_if(|(died, _)| !inherited && (all_begun || *died <= born));
        self.told += usize::from(!inherited);
        if let Some((died, row)) = ends {
            return (died, row, true);
        }
        self.begun += 1;
        (born, self.begun - 1, false)
    }

    fn run(&self) -> u64 {
        let pairs = self.ranks[self.told - 1..].windows(2);
        pairs.take_while(|pair| pair[1] == pair[0] + 1).count() as u64
    }

    fn get(&self, row: u32) -> Block {
        (self.block)(row)
    }

    fn set(&mut self, _: u32, _: Block) {}
}

/// Blocks as they are read.
struct Read(Vec<Block>);

impl Blocks for Read {
    fn next(&mut self) -> (u32, u32, bool) {
        (0, u32::MAX, false)
    }

    fn run(&self) -> u64 {
        0
    }

    fn get(&self, row: u32) -> Block {
        self.0.get(row as usize).copied().unwrap_or_default()
    }

    fn set(&mut self, row: u32, block: Block) {
        self.0[row as usize] = block;
    }
}
