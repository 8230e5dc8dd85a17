//! Who called whom: the backtraces of a metric merged into a tree, and totals by function.
//!
//! Top-down, the roots are the outermost frames; inverted, the innermost. Either way the roots add up to
//! the total, and so do the *self* weights of all nodes.

use crate::metric::{MetricAndUnit, Unit, Weight, Weights};
use crate::names::{self, Frame, Names};
use crate::process::ProcessName;
use crate::recording::Recording;
use crate::unresolved::Unresolved;
use heaptape_tape::{BacktraceId, Process, TapeError};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;
use std::sync::Arc;

/// A node of the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TreeNode {
    /// The frame; `None` for blocks without a backtrace.
    pub frame: Option<Frame>,
    /// Of all backtraces through here.
    pub total: Weight,
    /// Of backtraces that end here.
    #[serde(rename = "self")]
    pub own: Weight,
    /// Indices of the nodes below, heaviest first.
    pub children: Vec<usize>,
}

/// A function over the whole tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FunctionWeight {
    /// The function; its line is that of one of its calls. `None` for blocks without a backtrace.
    pub frame: Option<Frame>,
    /// Of all backtraces through it; a backtrace counts once however often it recurs.
    pub total: Weight,
    /// Of backtraces whose innermost frame it is.
    #[serde(rename = "self")]
    pub own: Weight,
}

/// A call tree of one metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tree {
    /// Of which process.
    pub process: ProcessName,
    /// In which unit nodes are ordered.
    pub unit: Unit,
    /// When it was measured; `None` for metrics over the whole history.
    pub time_ns: Option<u64>,
    /// The sum of the roots.
    pub total: Weight,
    /// Whether the roots are the innermost frames.
    pub inverted: bool,
    /// Indices of the roots, heaviest first.
    pub roots: Vec<usize>,
    /// All nodes.
    pub nodes: Vec<TreeNode>,
    /// The functions, by total.
    pub functions: Vec<FunctionWeight>,
    /// Frames of its backtraces that have no name.
    pub unresolved: Unresolved,
}

/// What makes two frames one node: the function. Its lines may differ.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    function: Arc<str>,
    file: Option<Arc<str>>,
    module: Option<Arc<str>>,
}

fn key(frame: &Frame) -> Key {
    Key {
        function: Arc::clone(&frame.function),
        file: frame.file.clone(),
        module: frame.module.clone(),
    }
}

impl Tree {
    /// Measures a process and builds the tree.
    pub fn compute(
        recording: &dyn Recording,
        names: &dyn Names,
        process: &Process,
        measure: MetricAndUnit,
        inverted: bool,
    ) -> Result<Tree, TapeError> {
        let (weights, instant) = measure.metric.measure(recording, process.id)?;
        let mut builder = Builder::default();
        for (backtrace, weight) in in_order(&weights) {
            let mut frames = names::backtrace(recording, names, backtrace);
            builder.add_functions(&frames, weight);
            if !inverted {
                frames.reverse();
            }
            builder.add_path(frames, weight);
        }
        Ok(builder.finish(Tree {
            process: ProcessName::of(recording, process),
            unit: measure.unit,
            time_ns: instant.map(|instant| instant.time_ns),
            total: weights.total(),
            inverted,
            roots: Vec::new(),
            nodes: Vec::new(),
            functions: Vec::new(),
            unresolved: Unresolved::of(recording, names, weights.iter().map(|(id, _)| *id)),
        }))
    }
}

/// By backtrace, so that a tree is the same each time it is built.
fn in_order(weights: &Weights) -> Vec<(BacktraceId, Weight)> {
    let mut ordered: Vec<_> = weights.iter().map(|(id, weight)| (*id, *weight)).collect();
    ordered.sort_unstable_by_key(|(id, _)| *id);
    ordered
}

#[derive(Default)]
struct Builder {
    roots: Vec<usize>,
    nodes: Vec<TreeNode>,
    by_place: FxHashMap<(Option<usize>, Option<Key>), usize>,
    functions: Vec<FunctionWeight>,
    by_function: FxHashMap<Option<Key>, usize>,
}

impl Builder {
    fn add_path(&mut self, path: Vec<Frame>, weight: Weight) {
        if path.is_empty() {
            let node = self.node(None, None);
            self.nodes[node].total += weight;
            self.nodes[node].own += weight;
            return;
        }
        let mut at = None;
        for frame in path {
            let node = self.node(at, Some(frame));
            self.nodes[node].total += weight;
            at = Some(node);
        }
        if let Some(last) = at {
            self.nodes[last].own += weight;
        }
    }

    fn node(&mut self, parent: Option<usize>, frame: Option<Frame>) -> usize {
        let next = self.nodes.len();
        let place = (parent, frame.as_ref().map(key));
        let index = *self.by_place.entry(place).or_insert(next);
        if index == next {
            let (total, own) = (Weight::default(), Weight::default());
            self.nodes.push(TreeNode { frame, total, own, children: Vec::new() });
            match parent {
                Some(parent) => self.nodes[parent].children.push(next),
                None => self.roots.push(next),
            }
        } else if let (Some(known), Some(frame)) = (&mut self.nodes[index].frame, frame)
            && known.line != frame.line
        {
            known.line = 0;
        }
        index
    }

    fn add_functions(&mut self, innermost_first: &[Frame], weight: Weight) {
        let mut seen = FxHashSet::default();
        if innermost_first.is_empty() {
            let index = self.function(None);
            self.functions[index].total += weight;
            self.functions[index].own += weight;
        }
        for (depth, frame) in innermost_first.iter().enumerate() {
            let index = self.function(Some(frame));
            if seen.insert(index) {
                self.functions[index].total += weight;
            }
            if depth == 0 {
                self.functions[index].own += weight;
            }
        }
    }

    fn function(&mut self, frame: Option<&Frame>) -> usize {
        let next = self.functions.len();
        let index = *self.by_function.entry(frame.map(key)).or_insert(next);
        if index == next {
            let (total, own) = (Weight::default(), Weight::default());
            self.functions.push(FunctionWeight { frame: frame.cloned(), total, own });
        }
        index
    }

    fn finish(self, mut tree: Tree) -> Tree {
        (tree.roots, tree.nodes, tree.functions) = (self.roots, self.nodes, self.functions);
        let unit = tree.unit;
        let weights: Vec<u64> = tree.nodes.iter().map(|node| unit.of(&node.total)).collect();
        let rank = |index: &usize| (std::cmp::Reverse(weights[*index]), *index);
        tree.roots.sort_unstable_by_key(rank);
        for node in &mut tree.nodes {
            node.children.sort_unstable_by_key(rank);
        }
        tree.functions.sort_by_key(|function| std::cmp::Reverse(unit.of(&function.total)));
        tree
    }
}
