//! Who called whom: the backtraces of a metric merged into a tree, and totals by function.
//!
//! Top-down, the roots are the outermost frames; inverted, the innermost. Either way the roots add up to
//! the total, and so do the *self* weights of all nodes.

use crate::metric::{MetricAndUnit, Unit, Weight};
use crate::names::{self, Frame, Names};
use crate::process::ProcessName;
use crate::recording::Recording;
use crate::table::Table;
use crate::unresolved::Unresolved;
use heaptape_tape::{BacktraceId, BacktraceNode, Process, TapeError};
use rustc_hash::FxHashMap;
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
        let mut builder = Builder::new(recording, names);
        for (backtrace, weight) in weights.iter() {
            builder.add(backtrace, weight, inverted);
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
            unresolved: Unresolved::of(recording, names, weights.iter().map(|(id, _)| id)),
        }))
    }
}

/// What is known about a node of the tape's backtraces, once it was met.
#[derive(Clone, Default)]
struct Known {
    /// Its frames, innermost first.
    frames: Arc<[Frame]>,
    /// The first of their functions in [`Builder::function_of`], where those of the others follow.
    functions: usize,
}

/// Functions are numbered as they are met, so that the tree is built of numbers.
struct Builder<'a> {
    recording: &'a dyn Recording,
    names: &'a dyn Names,
    known: Table<BacktraceId, Option<Known>>,
    function_of: Vec<usize>,
    functions: Vec<FunctionWeight>,
    by_key: FxHashMap<Option<Key>, usize>,
    /// By function: the number of the backtrace that passed it last.
    passed_by: Vec<usize>,
    backtraces: usize,
    roots: Vec<usize>,
    nodes: Vec<TreeNode>,
    /// By caller's node and function.
    by_place: FxHashMap<(Option<usize>, usize), usize>,
    /// The path in progress: the tape's node, and which of its frames.
    path: Vec<(BacktraceId, usize)>,
}

impl<'a> Builder<'a> {
    fn new(recording: &'a dyn Recording, names: &'a dyn Names) -> Builder<'a> {
        Builder {
            recording,
            names,
            known: Table::default(),
            function_of: Vec::new(),
            functions: Vec::new(),
            by_key: FxHashMap::default(),
            passed_by: Vec::new(),
            backtraces: 0,
            roots: Vec::new(),
            nodes: Vec::new(),
            by_place: FxHashMap::default(),
            path: Vec::new(),
        }
    }

    fn add(&mut self, backtrace: BacktraceId, weight: Weight, inverted: bool) {
        self.backtraces += 1;
        let mut path = std::mem::take(&mut self.path);
        path.clear();
        for (id, node) in names::walk(self.recording, backtrace) {
            path.extend((0..self.meet(id, node)).map(|frame| (id, frame)));
        }
        self.add_functions(&path, weight);
        if !inverted {
            path.reverse();
        }
        self.add_path(&path, weight);
        self.path = path;
    }

    /// How many frames a node has; asks for their names the first time.
    fn meet(&mut self, id: BacktraceId, node: &BacktraceNode) -> usize {
        if let Some(Some(known)) = self.known.get(id) {
            return known.frames.len();
        }
        let frames = self.names.frames(id, node);
        let functions = self.function_of.len();
        for frame in frames.iter() {
            let function = self.function(Some(frame));
            self.function_of.push(function);
        }
        let count = frames.len();
        *self.known.of(id) = Some(Known { frames, functions });
        count
    }

    /// The function and the frame at a step of a path.
    fn step(&self, (id, frame): (BacktraceId, usize)) -> (usize, &Frame) {
        let known = self.known.get(id).and_then(Option::as_ref).expect("it was met on the way");
        (self.function_of[known.functions + frame], &known.frames[frame])
    }

    fn add_path(&mut self, path: &[(BacktraceId, usize)], weight: Weight) {
        let mut at = None;
        for &step in path {
            let node = self.node(at, Some(step));
            self.nodes[node].total += weight;
            at = Some(node);
        }
        let last = at.unwrap_or_else(|| {
            let node = self.node(None, None);
            self.nodes[node].total += weight;
            node
        });
        self.nodes[last].own += weight;
    }

    /// The node of a step below `parent`; no step stands for no backtrace.
    fn node(&mut self, parent: Option<usize>, step: Option<(BacktraceId, usize)>) -> usize {
        let next = self.nodes.len();
        let function = match step {
            Some(step) => self.step(step).0,
            None => self.function(None),
        };
        let index = *self.by_place.entry((parent, function)).or_insert(next);
        if index == next {
            let frame = step.map(|step| self.step(step).1.clone());
            let (total, own) = (Weight::default(), Weight::default());
            self.nodes.push(TreeNode { frame, total, own, children: Vec::new() });
            match parent {
                Some(parent) => self.nodes[parent].children.push(next),
                None => self.roots.push(next),
            }
        } else if let Some(step) = step {
            let line = self.step(step).1.line;
            if let Some(known) = &mut self.nodes[index].frame
                && known.line != line
            {
                known.line = 0;
            }
        }
        index
    }

    fn add_functions(&mut self, innermost_first: &[(BacktraceId, usize)], weight: Weight) {
        for &step in innermost_first {
            let function = self.step(step).0;
            if std::mem::replace(&mut self.passed_by[function], self.backtraces) != self.backtraces
            {
                self.functions[function].total += weight;
            }
        }
        let innermost = match innermost_first.first() {
            Some(&step) => self.step(step).0,
            None => {
                let none = self.function(None);
                self.functions[none].total += weight;
                none
            }
        };
        self.functions[innermost].own += weight;
    }

    fn function(&mut self, frame: Option<&Frame>) -> usize {
        let next = self.functions.len();
        let index = *self.by_key.entry(frame.map(key)).or_insert(next);
        if index == next {
            let (total, own) = (Weight::default(), Weight::default());
            self.functions.push(FunctionWeight { frame: frame.cloned(), total, own });
            self.passed_by.push(0);
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
