//! What each block keeps alive: the bytes that would go with it if it were freed and nothing else changed.
//!
//! A block keeps what it dominates in the graph of pointers: all to which every way from outside leads through
//! it. Lengauer and Tarjan's algorithm with path compression, without recursion, in flat arrays: the time is
//! that of a few passes over the pointers.

use super::blocks::{Blocks, Index};
use super::classify::{Owner, Verdicts};
use super::graph::Graph;
use heaptape_tape::LeakKind;

const NONE: u32 = u32::MAX;

/// Bytes that each block retains, its own included.
pub(crate) fn retained(blocks: &Blocks, graph: &Graph, verdicts: &Verdicts) -> Vec<u64> {
    let dominators = Dominators::of(graph, &outermost(graph, verdicts));
    let mut bytes: Vec<u64> = (0..blocks.len() as Index).map(|b| blocks.size(b)).collect();
    for &block in dominators.order.iter().rev() {
        if let Some(&dominator) = dominators.parent.get(block as usize)
            && dominator != NONE
        {
            let more = bytes[block as usize];
            let sum = &mut bytes[dominator as usize];
            *sum = sum.saturating_add(more);
        }
    }
    bytes
}

/// Blocks to which something leads from outside, or nothing at all.
fn outermost(graph: &Graph, verdicts: &Verdicts) -> Vec<Index> {
    let lost = (0..graph.len() as Index).filter(|&block| {
        verdicts.kinds[block as usize] == LeakKind::Definite
            && verdicts.owners[block as usize] == Owner::Nobody
    });
    graph.hits.iter().map(|hit| hit.to).chain(lost).collect()
}

struct Dominators {
    /// The blocks in the order in which a search found them.
    order: Vec<Index>,
    /// By block: the next block that dominates it; [`NONE`] where there is no one.
    parent: Vec<Index>,
}

/// In all arrays vertices are numbered as they are found, from 1; 0 is the outside, which leads to all
/// outermost blocks.
struct Search<'a> {
    graph: &'a Graph,
    /// By block: its number; 0 before it is found.
    number: Vec<u32>,
    /// By number.
    block: Vec<Index>,
    parent: Vec<u32>,
    semi: Vec<u32>,
    label: Vec<u32>,
    /// The forest of what was looked at; [`NONE`]: a root of it.
    ancestor: Vec<u32>,
    path: Vec<u32>,
}

impl Dominators {
    fn of(graph: &Graph, outermost: &[Index]) -> Dominators {
        let mut search = Search::new(graph);
        search.find(outermost);
        let (first, from) = search.predecessors(outermost);
        let count = search.block.len();
        let mut dominator = vec![0u32; count];
        // Vertices that wait at their semidominator, as lists through `next`.
        let (mut waiting, mut next) = (vec![NONE; count], vec![NONE; count]);
        for vertex in (1..count as u32).rev() {
            let at = vertex as usize;
            for &before in &from[first[at] as usize..first[at + 1] as usize] {
                let best = search.evaluate(before);
                search.semi[at] = search.semi[at].min(search.semi[best as usize]);
            }
            let semi = search.semi[at] as usize;
            next[at] = waiting[semi];
            waiting[semi] = vertex;
            let parent = search.parent[at];
            search.ancestor[at] = parent;
            let mut other = std::mem::replace(&mut waiting[parent as usize], NONE);
            while other != NONE {
                let best = search.evaluate(other);
                let is_lower = search.semi[best as usize] < search.semi[other as usize];
                dominator[other as usize] = if is_lower { best } else { parent };
                other = next[other as usize];
            }
        }
        for vertex in 1..count {
            if dominator[vertex] != search.semi[vertex] {
                dominator[vertex] = dominator[dominator[vertex] as usize];
            }
        }
        let mut parent = vec![NONE; graph.len()];
        for vertex in 1..count {
            if dominator[vertex] != 0 {
                parent[search.block[vertex] as usize] = search.block[dominator[vertex] as usize];
            }
        }
        Dominators { order: search.block.split_off(1), parent }
    }
}

impl Search<'_> {
    fn new(graph: &Graph) -> Search<'_> {
        let one = |value: u32| {
            let mut all = Vec::with_capacity(graph.len() + 1);
            all.push(value);
            all
        };
        Search {
            graph,
            number: vec![0; graph.len()],
            block: one(NONE),
            parent: one(0),
            semi: one(0),
            label: one(0),
            ancestor: one(NONE),
            path: Vec::new(),
        }
    }

    /// Numbers what can be reached, depth first.
    fn find(&mut self, outermost: &[Index]) {
        let graph = self.graph;
        // By open block: its number, and how many of its pointers were followed.
        let mut open: Vec<(u32, u32)> = Vec::new();
        for &block in outermost {
            if self.number[block as usize] == 0 {
                open.push((self.discover(block, 0), 0));
            }
            while let Some((number, followed)) = open.last_mut() {
                let edges = graph.edges(self.block[*number as usize]);
                let Some(edge) = edges.get(*followed as usize) else {
                    open.pop();
                    continue;
                };
                *followed += 1;
                let parent = *number;
                if self.number[edge.to() as usize] == 0 {
                    open.push((self.discover(edge.to(), parent), 0));
                }
            }
        }
    }

    fn discover(&mut self, block: Index, parent: u32) -> u32 {
        let number = self.block.len() as u32;
        self.number[block as usize] = number;
        self.block.push(block);
        self.parent.push(parent);
        self.semi.push(number);
        self.label.push(number);
        self.ancestor.push(NONE);
        number
    }

    /// By number, which vertices lead there: where each one's list begins, and the lists.
    fn predecessors(&self, outermost: &[Index]) -> (Vec<u32>, Vec<u32>) {
        let count = self.block.len();
        let mut first = vec![0u32; count + 1];
        let each = |take: &mut dyn FnMut(u32, u32)| {
            for &block in outermost {
                take(0, self.number[block as usize]);
            }
            for (number, &block) in self.block.iter().enumerate().skip(1) {
                for edge in self.graph.edges(block) {
                    take(number as u32, self.number[edge.to() as usize]);
                }
            }
        };
        each(&mut |_, to| first[to as usize] += 1);
        let mut sum = 0;
        for slot in &mut first {
            sum += *slot;
            *slot = sum;
        }
        let mut from = vec![0u32; sum as usize];
        each(&mut |by, to| {
            let slot = &mut first[to as usize];
            *slot -= 1;
            from[*slot as usize] = by;
        });
        (first, from)
    }

    /// The vertex of least semidominator on the way to the root of its tree, the root left out.
    fn evaluate(&mut self, vertex: u32) -> u32 {
        if self.ancestor[vertex as usize] == NONE {
            return vertex;
        }
        // Down from the root, each takes what its ancestor knows and then points to the root.
        let mut path = std::mem::take(&mut self.path);
        let mut at = vertex;
        while self.ancestor[self.ancestor[at as usize] as usize] != NONE {
            path.push(at);
            at = self.ancestor[at as usize];
        }
        while let Some(at) = path.pop() {
            let above = self.ancestor[at as usize] as usize;
            let (own, other) = (self.label[at as usize], self.label[above]);
            if self.semi[other as usize] < self.semi[own as usize] {
                self.label[at as usize] = other;
            }
            self.ancestor[at as usize] = self.ancestor[above];
        }
        self.path = path;
        self.label[vertex as usize]
    }
}
