//! What is lost and what is not, in memcheck's sense, and what leads to it.
//!
//! * *still reachable*: a chain of pointers to starts of blocks leads there from a root;
//! * *possibly lost*: a chain does, with a pointer into the middle of a block somewhere;
//! * *definitely lost*: none does, and no other lost block leads there (of blocks that lead to each other in a
//!   circle, the one with the lowest address stands for all, even if another block leads to the circle: memcheck
//!   counts so);
//! * *indirectly lost*: a definitely lost block leads there, by whatever pointers.

use super::blocks::Index;
use super::graph::Graph;
use heaptape_tape::LeakKind;
use std::collections::VecDeque;

/// What leads to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Nothing.
    Nobody,
    /// A pointer from outside: its position among the hits.
    Hit(u32),
    /// A block, and the offset of the pointer in it.
    Block(Index, u64),
}

/// What became of each block, and by the shortest way that was found.
#[derive(Debug)]
pub(crate) struct Verdicts {
    /// By block.
    pub(crate) kinds: Vec<LeakKind>,
    /// By block.
    pub(crate) owners: Vec<Owner>,
}

impl Verdicts {
    pub(crate) fn of(graph: &Graph) -> Verdicts {
        let count = graph.len();
        let mut search = Search {
            graph,
            kinds: vec![None; count],
            owners: vec![Owner::Nobody; count],
            queue: VecDeque::new(),
        };
        search.reachable();
        search.possible();
        search.lost();
        let kinds = search.kinds.into_iter().map(|kind| kind.unwrap_or(LeakKind::Definite));
        Verdicts { kinds: kinds.collect(), owners: search.owners }
    }
}

struct Search<'a> {
    graph: &'a Graph,
    /// `None`: nothing is known to lead there.
    kinds: Vec<Option<LeakKind>>,
    owners: Vec<Owner>,
    queue: VecDeque<Index>,
}

impl Search<'_> {
    fn reach(&mut self, block: Index, kind: LeakKind, owner: Owner) {
        if self.kinds[block as usize].is_none() {
            self.kinds[block as usize] = Some(kind);
            self.owners[block as usize] = owner;
            self.queue.push_back(block);
        }
    }

    /// Goes on from the blocks in the queue, breadth first: so ways are short.
    fn spread(&mut self, kind: LeakKind, follows: impl Fn(bool) -> bool) {
        let graph = self.graph;
        while let Some(block) = self.queue.pop_front() {
            for edge in graph.edges(block) {
                if follows(edge.is_start()) {
                    self.reach(edge.to(), kind, Owner::Block(block, edge.offset()));
                }
            }
        }
    }

    fn hits(&mut self, is_start: bool, kind: LeakKind) {
        for (at, hit) in self.graph.hits.iter().enumerate() {
            if hit.is_start == is_start {
                self.reach(hit.to, kind, Owner::Hit(at as u32));
            }
        }
    }

    fn reachable(&mut self) {
        self.hits(true, LeakKind::Reachable);
        self.spread(LeakKind::Reachable, |is_start| is_start);
    }

    fn possible(&mut self) {
        self.hits(false, LeakKind::Possible);
        let graph = self.graph;
        for block in 0..graph.len() as Index {
            if self.kinds[block as usize] == Some(LeakKind::Reachable) {
                for edge in graph.edges(block).iter().filter(|edge| !edge.is_start()) {
                    let owner = Owner::Block(block, edge.offset());
                    self.reach(edge.to(), LeakKind::Possible, owner);
                }
            }
        }
        self.spread(LeakKind::Possible, |_| true);
    }

    /// Each block that nothing is known to lead to begins a search; one that a later search comes by was not
    /// the beginning of anything.
    fn lost(&mut self) {
        for beginning in 0..self.graph.len() as Index {
            if self.kinds[beginning as usize].is_some() {
                continue;
            }
            // Not yet known to be indirect: so a later one may take it in.
            self.queue.push_back(beginning);
            while let Some(block) = self.queue.pop_front() {
                for edge in self.graph.edges(block) {
                    if edge.to() != beginning {
                        let owner = Owner::Block(block, edge.offset());
                        self.reach(edge.to(), LeakKind::Indirect, owner);
                    }
                }
            }
        }
    }
}
