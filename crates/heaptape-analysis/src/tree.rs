//! Who called whom: the backtraces of a metric merged into a tree, and totals by function.
//!
//! Top-down, the roots are the outermost frames; inverted, the innermost. Either way the roots add up to
//! the total, and so do the *self* weights of all nodes.

use crate::estimate::Variance;
use crate::metric::{MetricAndUnit, Unit, Weight};
use crate::names::{self, Frame, Names};
use crate::process::ProcessName;
use crate::recording::Recording;
use crate::table::{BETWEEN_LOOKS, Table};
use crate::unresolved::Unresolved;
use heaptape_tape::{BacktraceId, BacktraceNode, Process, TapeError};
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::sync::Arc;

/// A node of the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TreeNode {
    /// The frame; `None` for blocks without a backtrace.
    pub frame: Option<Arc<Frame>>,
    /// Of all backtraces through here.
    pub total: Weight,
    /// The standard error of `total`, where it is an estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Weight>,
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
    /// The standard error of `total`, where it is an estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Weight>,
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
    /// Its standard error, where it is an estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Weight>,
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
    /// Measures a process and builds the tree. Below nodes that weigh less than `min_per_mille` of the
    /// total it is cut off; those nodes themselves are there. 0 asks for the whole tree.
    pub fn compute(
        recording: &dyn Recording,
        names: &dyn Names,
        process: &Process,
        measure: MetricAndUnit,
        inverted: bool,
        min_per_mille: u64,
    ) -> Result<Tree, TapeError> {
        let (weights, instant) = measure.metric.measure(recording, process.id)?;
        let mut builder = Builder::new(recording, names);
        builder.other_bytes = weights.bytes();
        for (backtrace, weight) in weights.iter() {
            builder.variance = weights.variance(backtrace);
            builder.add(backtrace, weight, inverted)?;
        }
        let least = Least { unit: measure.unit, of: weights.total(), min_per_mille };
        builder.finish(
            least,
            Tree {
                process: ProcessName::of(recording, process),
                unit: measure.unit,
                time_ns: instant.map(|instant| instant.time_ns),
                total: weights.total(),
                error: weights.error(),
                inverted,
                roots: Vec::new(),
                nodes: Vec::new(),
                functions: Vec::new(),
                unresolved: Unresolved::of(recording, names, weights.iter().map(|(id, _)| id))?,
            },
        )
    }
}

/// Bytes of a node of a finished tree with a frame of its own and its place among its caller's children.
const NODE_BYTES: usize = size_of::<TreeNode>() + size_of::<Frame>() + 64;

/// What is too light to look below.
#[derive(Clone, Copy)]
struct Least {
    unit: Unit,
    of: Weight,
    min_per_mille: u64,
}

impl Least {
    fn is_reached(&self, weight: &Weight) -> bool {
        let (part, whole) = (self.unit.of(weight), self.unit.of(&self.of));
        u128::from(part) * 1000 >= u128::from(whole) * u128::from(self.min_per_mille)
    }
}

/// A number that stands for none.
const NONE: u32 = u32::MAX;

/// The frames of a place of code, innermost first.
struct Met {
    frames: Arc<[Frame]>,
    /// Their functions' numbers.
    functions: Box<[u32]>,
}

/// A frame of a backtrace: its place of code in [`Builder::met`], and which of the frames there.
#[derive(Clone, Copy)]
struct Step {
    met: u32,
    frame: u32,
}

/// A node while the tree is built: millions, so no larger than need be.
struct Sprout {
    parent: u32,
    function: u32,
    /// The first one that led here; `met` is [`NONE`] where there is no backtrace.
    step: Step,
    /// Whether all steps that led here have the same line.
    one_line: bool,
    total: Weight,
    own: Weight,
}

/// Functions, places and nodes are numbered as they are met: the tree is built of numbers.
struct Builder<'a> {
    recording: &'a dyn Recording,
    names: &'a dyn Names,
    met: Vec<Met>,
    /// By the address of the frames, which [`Builder::met`] keeps.
    met_by_frames: FxHashMap<*const Frame, u32>,
    /// By node of the tape: 1 + its place in `met`; 0 where it was not met yet.
    met_by_node: Table<BacktraceId, u32>,
    functions: Vec<FunctionWeight>,
    by_key: FxHashMap<Option<Key>, u32>,
    /// By function: the number of the backtrace that passed it last.
    passed_by: Vec<u32>,
    backtraces: u32,
    sprouts: Vec<Sprout>,
    /// By caller and function.
    by_place: FxHashMap<(u32, u32), u32>,
    /// The path in progress.
    path: Vec<Step>,
    /// Bytes that others take meanwhile.
    other_bytes: u64,
    /// Of a sample: the variance of the weight in progress.
    variance: Option<Variance>,
    /// Of a sample: those of the totals of nodes and of functions.
    sprout_variances: Vec<Variance>,
    function_variances: Vec<Variance>,
}

fn add_variance(variances: &mut Vec<Variance>, index: u32, variance: Option<Variance>) {
    let Some(variance) = variance else { return };
    if variances.len() <= index as usize {
        variances.resize(index as usize + 1, Variance::default());
    }
    variances[index as usize] += variance;
}

impl<'a> Builder<'a> {
    fn new(recording: &'a dyn Recording, names: &'a dyn Names) -> Builder<'a> {
        Builder {
            recording,
            names,
            met: Vec::new(),
            met_by_frames: FxHashMap::default(),
            met_by_node: Table::default(),
            functions: Vec::new(),
            by_key: FxHashMap::default(),
            passed_by: Vec::new(),
            backtraces: 0,
            sprouts: Vec::new(),
            by_place: FxHashMap::default(),
            path: Vec::new(),
            other_bytes: 0,
            variance: None,
            sprout_variances: Vec::new(),
            function_variances: Vec::new(),
        }
    }

    /// Whether it can take as much as it does, and `more` bytes.
    fn afford(&self, more: usize) -> Result<(), TapeError> {
        let sprouts = self.sprouts.len() * size_of::<Sprout>();
        let variances = self.sprout_variances.capacity() * size_of::<Variance>();
        let own = sprouts + variances + self.places_bytes() + more;
        let own = own as u64 + self.met_by_node.bytes();
        self.recording.afford(self.other_bytes.saturating_add(own))
    }

    fn places_bytes(&self) -> usize {
        self.by_place.capacity() / 7 * 8 * (size_of::<((u32, u32), u32)>() + 1)
    }

    fn add(
        &mut self,
        backtrace: BacktraceId,
        weight: Weight,
        inverted: bool,
    ) -> Result<(), TapeError> {
        self.backtraces += 1;
        let mut path = std::mem::take(&mut self.path);
        path.clear();
        for (id, node) in names::walk(self.recording, backtrace) {
            let met = self.meet(id, &node);
            let frames = self.met[met as usize].functions.len() as u32;
            path.extend((0..frames).map(|frame| Step { met, frame }));
        }
        self.make_room(path.len() + 1)?;
        self.add_functions(&path, weight);
        if !inverted {
            path.reverse();
        }
        self.add_path(&path, weight);
        self.path = path;
        Ok(())
    }

    /// Makes room for so many nodes. While a hash table grows it is there twice, the second time
    /// double: that is looked at beforehand.
    fn make_room(&mut self, nodes: usize) -> Result<(), TapeError> {
        if self.by_place.capacity() - self.by_place.len() < nodes {
            self.afford(2 * self.places_bytes())?;
            self.by_place.reserve(nodes);
        } else if (self.backtraces as usize).is_multiple_of(BETWEEN_LOOKS) {
            self.afford(0)?;
        }
        Ok(())
    }

    /// The place of a node; asks for its names the first time.
    fn meet(&mut self, id: BacktraceId, node: &BacktraceNode) -> u32 {
        if let Some(&known @ 1..) = self.met_by_node.get(id) {
            return known - 1;
        }
        let frames = self.names.frames(id, node);
        let met = match self.met_by_frames.get(&frames.as_ptr()) {
            Some(&met) => met,
            None => {
                let met = self.met.len() as u32;
                let functions = frames.iter().map(|frame| self.function(Some(frame))).collect();
                self.met_by_frames.insert(frames.as_ptr(), met);
                self.met.push(Met { frames, functions });
                met
            }
        };
        *self.met_by_node.of(id) = met + 1;
        met
    }

    fn function_at(&self, step: Step) -> u32 {
        self.met[step.met as usize].functions[step.frame as usize]
    }

    fn frame_at(&self, step: Step) -> Option<&Frame> {
        self.met.get(step.met as usize).map(|met| &met.frames[step.frame as usize])
    }

    fn add_path(&mut self, path: &[Step], weight: Weight) {
        let mut at = NONE;
        for &step in path {
            at = self.sprout(at, self.function_at(step), step);
            self.sprouts[at as usize].total += weight;
            add_variance(&mut self.sprout_variances, at, self.variance);
        }
        if path.is_empty() {
            let function = self.function(None);
            at = self.sprout(NONE, function, Step { met: NONE, frame: 0 });
            self.sprouts[at as usize].total += weight;
            add_variance(&mut self.sprout_variances, at, self.variance);
        }
        self.sprouts[at as usize].own += weight;
    }

    /// The node of a function below `parent`.
    fn sprout(&mut self, parent: u32, function: u32, step: Step) -> u32 {
        let next = self.sprouts.len() as u32;
        let index = *self.by_place.entry((parent, function)).or_insert(next);
        if index == next {
            let (total, own) = (Weight::default(), Weight::default());
            self.sprouts.push(Sprout { parent, function, step, one_line: true, total, own });
            return index;
        }
        let first = self.sprouts[index as usize].step;
        let line = |step| self.frame_at(step).map(|frame| frame.line);
        let same = (first.met, first.frame) == (step.met, step.frame) || line(first) == line(step);
        self.sprouts[index as usize].one_line &= same;
        index
    }

    fn add_functions(&mut self, innermost_first: &[Step], weight: Weight) {
        for &step in innermost_first {
            let function = self.function_at(step) as usize;
            if std::mem::replace(&mut self.passed_by[function], self.backtraces) != self.backtraces
            {
                self.functions[function].total += weight;
                add_variance(&mut self.function_variances, function as u32, self.variance);
            }
        }
        let innermost = match innermost_first.first() {
            Some(&step) => self.function_at(step),
            None => {
                let none = self.function(None);
                self.functions[none as usize].total += weight;
                add_variance(&mut self.function_variances, none, self.variance);
                none
            }
        };
        self.functions[innermost as usize].own += weight;
    }

    fn function(&mut self, frame: Option<&Frame>) -> u32 {
        let next = self.functions.len() as u32;
        let index = *self.by_key.entry(frame.map(key)).or_insert(next);
        if index == next {
            let (total, own) = (Weight::default(), Weight::default());
            self.functions.push(FunctionWeight { frame: frame.cloned(), total, error: None, own });
            self.passed_by.push(0);
        }
        index
    }

    fn finish(mut self, least: Least, mut tree: Tree) -> Result<Tree, TapeError> {
        self.by_place = FxHashMap::default();
        let unit = tree.unit;
        // Where a sprout went: callers come before those they called.
        let mut places = vec![NONE; self.sprouts.len()];
        let mut frames: FxHashMap<u32, Arc<Frame>> = FxHashMap::default();
        for (index, sprout) in self.sprouts.iter().enumerate() {
            let parent = places.get(sprout.parent as usize).copied();
            let is_light = |parent: u32| !least.is_reached(&tree.nodes[parent as usize].total);
            if sprout.parent != NONE && parent.is_none_or(|p| p == NONE || is_light(p)) {
                continue;
            }
            let place = tree.nodes.len();
            if place.is_multiple_of(BETWEEN_LOOKS) {
                self.afford(places.len() * size_of::<u32>() + place * NODE_BYTES)?;
            }
            places[index] = place as u32;
            match parent {
                Some(parent) => tree.nodes[parent as usize].children.push(place),
                None => tree.roots.push(place),
            }
            let frame = self.frame_of(sprout, &mut frames);
            let Sprout { total, own, .. } = *sprout;
            let error = self.sprout_variances.get(index).map(Variance::error);
            tree.nodes.push(TreeNode { frame, total, error, own, children: Vec::new() });
        }
        let weights: Vec<u64> = tree.nodes.iter().map(|node| unit.of(&node.total)).collect();
        let rank = |index: &usize| (std::cmp::Reverse(weights[*index]), *index);
        tree.roots.sort_unstable_by_key(rank);
        for node in &mut tree.nodes {
            node.children.sort_unstable_by_key(rank);
        }
        tree.functions = self.functions;
        for (function, variance) in tree.functions.iter_mut().zip(&self.function_variances) {
            function.error = Some(variance.error());
        }
        tree.functions.sort_by_key(|function| std::cmp::Reverse(unit.of(&function.total)));
        Ok(tree)
    }

    /// The frame of a node, shared by nodes of one function and line as far as that is easily told.
    fn frame_of(
        &self,
        sprout: &Sprout,
        shared: &mut FxHashMap<u32, Arc<Frame>>,
    ) -> Option<Arc<Frame>> {
        let first = self.frame_at(sprout.step)?;
        let line = if sprout.one_line { first.line } else { 0 };
        let known = shared.entry(sprout.function).or_insert_with(|| Arc::new(first.clone()));
        if **known == *first && known.line == line {
            return Some(Arc::clone(known));
        }
        Some(Arc::new(Frame { line, ..first.clone() }))
    }
}
