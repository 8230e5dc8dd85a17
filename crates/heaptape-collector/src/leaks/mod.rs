//! Leaks: which live blocks can still be reached, by what, and what each of them keeps alive.
//!
//! A conservative search from outside, of a process that stands still. [`roots`] says where pointers are looked
//! for, [`graph`] reads all memory once and notes who points to whom, [`classify`] gives memcheck's verdicts,
//! [`retained`] what hangs on each block. Only the reading needs the process.

mod blocks;
mod classify;
mod copy;
mod graph;
mod heuristics;
mod memory;
mod modules;
mod ranges;
mod retained;
mod roots;
mod threads;

#[cfg(test)]
mod tests;

pub(crate) use blocks::Blocks;
use classify::{Owner, Verdicts};
pub(crate) use copy::MemoryCopy;
pub(crate) use graph::Graph;
use heaptape_tape::{LeakBlock, LeakKind, LeakOwner, LeakTotal};
pub(crate) use memory::{Memory, ProcessReader};
pub(crate) use roots::{Process, Roots};
pub(crate) use threads::Thread;

/// The sums by number of the kind.
pub(crate) fn totals(blocks: &Blocks, judged: &[LeakBlock]) -> [LeakTotal; LeakKind::ALL.len()] {
    let mut totals: [LeakTotal; LeakKind::ALL.len()] = Default::default();
    for (block, index) in judged.iter().zip(0..) {
        let total = &mut totals[block.kind as usize];
        total.blocks += 1;
        total.bytes = total.bytes.saturating_add(blocks.size(index));
    }
    totals
}

/// What follows from the pointers: by block, in the order of addresses.
pub(crate) fn judge(blocks: &Blocks, graph: &Graph) -> Vec<LeakBlock> {
    let verdicts = Verdicts::of(graph);
    let retained = retained::retained(blocks, graph, &verdicts);
    let block = |index: u32, retained: u64| LeakBlock {
        addr: blocks.start(index),
        kind: verdicts.kinds[index as usize],
        owner: match verdicts.owners[index as usize] {
            Owner::Nobody => LeakOwner::Nobody,
            Owner::Block(block, offset) => LeakOwner::Block { block, offset },
            Owner::Hit(hit) => {
                let hit = graph.hits[hit as usize];
                LeakOwner::Root { place: hit.place, address: hit.address }
            }
        },
        retained,
    };
    (0..).zip(retained).map(|(index, retained)| block(index, retained)).collect()
}
