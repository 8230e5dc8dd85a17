//! The backtrace tree in memory, in little more than 8 bytes a node.
//!
//! A long recording has many more nodes than places of code: each function is called from many others, in
//! many processes. So a node is the id of its caller and the number of its *code* (module, address,
//! quality), and equal codes are kept once, or hardly more than once: whether a code is known is asked of
//! a small memo that forgets, as a table of them all would cost more time than it saves bytes.

use crate::limits;
use crate::model::{BacktraceId, BacktraceNode, FrameQuality, ModuleId};
use std::fmt;

/// Codes remembered: a power of two.
const MEMO: usize = 1 << MEMO_BITS;
const MEMO_BITS: u32 = 14;
/// The module of a code that lies in none, or in one that no list of modules is long enough for.
const NO_MODULE: u32 = u32::MAX;

/// Backtrace nodes by id, which is dense from 1.
#[derive(Clone, Default)]
pub struct Nodes {
    nodes: Vec<Node>,
    codes: Vec<Code>,
    /// By the hash of a code: the number of one that may be equal. Empty, or [`MEMO`] long.
    memo: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    caller: BacktraceId,
    code: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Code {
    address: u64,
    module: u32,
    quality: FrameQuality,
}

impl Code {
    fn of(node: &BacktraceNode) -> Code {
        let module = node.module.map_or(NO_MODULE, |module| module.0);
        Code { address: node.address, module, quality: node.quality }
    }

    /// Its place in the memo.
    fn place(self) -> usize {
        /// The fraction of the golden ratio: it spreads neighbours.
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let module = u64::from(self.module).wrapping_mul(SPREAD).rotate_left(u32::BITS);
        ((self.address ^ module).wrapping_mul(SPREAD) >> (u64::BITS - MEMO_BITS)) as usize
    }
}

impl Nodes {
    /// Adds a node.
    ///
    /// # Panics
    /// If there are 2^32 - 1 already.
    #[inline]
    pub fn push(&mut self, node: BacktraceNode) -> BacktraceId {
        let id = u32::try_from(self.nodes.len() + 1).expect("fewer than 2^32 nodes");
        let code = self.code(Code::of(&node));
        self.nodes.push(Node { caller: node.parent, code });
        BacktraceId(id)
    }

    /// The node of that id; `None` for [`BacktraceId::NONE`] and beyond the last one.
    pub fn get(&self, id: BacktraceId) -> Option<BacktraceNode> {
        let node = self.nodes.get((id.0 as usize).checked_sub(1)?)?;
        Some(self.whole(node))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = BacktraceNode> + '_ {
        self.nodes.iter().map(|node| self.whole(node))
    }

    /// About the bytes that they take.
    pub fn bytes(&self) -> usize {
        let lists =
            self.nodes.capacity() * size_of::<Node>() + self.codes.capacity() * size_of::<Code>();
        lists + self.memo.capacity() * size_of::<u32>()
    }

    /// The bytes by which they grow if there is to be [`Nodes::reserve`]d room for so many more.
    pub(crate) fn growth(&self, more: usize) -> usize {
        let memo = (MEMO - self.memo.len()) * size_of::<u32>();
        let lists =
            limits::growth(&self.nodes, more).saturating_add(limits::growth(&self.codes, more));
        lists.saturating_add(memo)
    }

    /// Makes room for so many more.
    pub(crate) fn reserve(&mut self, more: usize) {
        limits::reserve(&mut self.nodes, more);
        limits::reserve(&mut self.codes, more);
    }

    /// There will hardly be more of them: nothing is kept for those.
    pub(crate) fn settle(&mut self) {
        self.nodes.shrink_to_fit();
        self.codes.shrink_to_fit();
        self.memo = Vec::new();
    }

    fn whole(&self, node: &Node) -> BacktraceNode {
        let Code { address, module, quality } = self.codes[node.code as usize];
        let module = (module != NO_MODULE).then_some(ModuleId(module));
        BacktraceNode { parent: node.caller, module, address, quality }
    }

    /// The number of a code.
    #[inline]
    fn code(&mut self, code: Code) -> u32 {
        let place = code.place();
        match self.memo.get(place) {
            // A place where none was remembered names the first code; it is as good a guess as any.
            Some(&known) if self.codes.get(known as usize) == Some(&code) => known,
            _ => self.new_code(code, place),
        }
    }

    #[cold]
    fn new_code(&mut self, code: Code, place: usize) -> u32 {
        if self.memo.is_empty() {
            self.memo.resize(MEMO, 0);
        }
        // There are no more codes than nodes.
        let number = self.codes.len() as u32;
        self.codes.push(code);
        self.memo[place] = number;
        number
    }
}

impl FromIterator<BacktraceNode> for Nodes {
    fn from_iter<I: IntoIterator<Item = BacktraceNode>>(nodes: I) -> Nodes {
        let mut all = Nodes::default();
        nodes.into_iter().for_each(|node| {
            all.push(node);
        });
        all
    }
}

impl PartialEq for Nodes {
    fn eq(&self, other: &Nodes) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Nodes {}

impl fmt::Debug for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn node() -> impl Strategy<Value = BacktraceNode> {
        // Few, so that they meet again, and any.
        let address = prop_oneof![0..40_u64, any::<u64>()];
        let module =
            prop_oneof![Just(None), (0..4_u32).prop_map(Some), (0..NO_MODULE).prop_map(Some)];
        (any::<u32>(), module, address, 0..3_u8).prop_map(|(parent, module, address, quality)| {
            BacktraceNode {
                parent: BacktraceId(parent),
                module: module.map(ModuleId),
                address,
                quality: FrameQuality::from_u8(quality).unwrap(),
            }
        })
    }

    fn in_module(module: u32, address: u64) -> BacktraceNode {
        let quality = FrameQuality::Exact;
        BacktraceNode {
            parent: BacktraceId::NONE,
            module: Some(ModuleId(module)),
            address,
            quality,
        }
    }

    proptest! {
        #[test]
        fn nodes_come_back_as_they_were_pushed(
            told in prop::collection::vec(node(), 0..300),
            settled_at in 0..300_usize,
        ) {
            let mut nodes = Nodes::default();
            for (place, node) in told.iter().enumerate() {
                prop_assert_eq!(nodes.push(*node), BacktraceId(place as u32 + 1));
                if place == settled_at {
                    nodes.settle();
                }
            }
            prop_assert_eq!(nodes.len(), told.len());
            prop_assert_eq!(nodes.is_empty(), told.is_empty());
            prop_assert!(nodes.iter().eq(told.iter().copied()));
            for (id, node) in (1..).map(BacktraceId).zip(&told) {
                prop_assert_eq!(nodes.get(id), Some(*node));
            }
            prop_assert_eq!(nodes.get(BacktraceId::NONE), None);
            prop_assert_eq!(nodes.get(BacktraceId(told.len() as u32 + 1)), None);
            prop_assert_eq!(&told.into_iter().collect::<Nodes>(), &nodes);
        }
    }

    #[test]
    fn more_codes_than_are_remembered_come_back() {
        let told =
            || (0..3).flat_map(|_| (0..2 * MEMO as u64).map(|at| in_module(at as u32 % 7, at)));
        let nodes: Nodes = told().collect();
        assert!(nodes.iter().eq(told()));
        assert!(nodes.get(BacktraceId(u32::MAX)).is_none());
    }

    #[test]
    fn nodes_of_few_codes_take_little() {
        let count = 1 << 20;
        let mut nodes: Nodes =
            (0..count).map(|at| in_module(at % 3, u64::from(at) % 1000)).collect();
        assert!(nodes.codes.len() < 3 * 1100, "{}", nodes.codes.len());
        nodes.settle();
        assert!(nodes.bytes() < 9 * count as usize, "{}", nodes.bytes());
    }

    #[test]
    fn nodes_take_what_was_foreseen() {
        let mut nodes = Nodes::default();
        for more in (0..1000).chain([0, 1, 100_000, 1, 5000]) {
            let foreseen = nodes.bytes() + nodes.growth(more);
            nodes.reserve(more);
            (0..more).for_each(|at| {
                nodes.push(in_module(more as u32, at as u64));
            });
            assert!(nodes.bytes() <= foreseen);
        }
        let least = nodes.len() * (size_of::<Node>() + size_of::<Code>());
        assert!((least..least + least / 4).contains(&nodes.bytes()));
    }

    #[test]
    fn a_node_differs_in_each_of_its_parts() {
        let node = in_module(1, 7);
        let all = [
            node,
            BacktraceNode { parent: BacktraceId(1), ..node },
            BacktraceNode { module: None, ..node },
            BacktraceNode { address: 8, ..node },
            BacktraceNode { quality: FrameQuality::Truncated, ..node },
        ];
        let nodes: Nodes = all.into_iter().collect();
        assert_eq!(nodes.iter().collect::<Vec<_>>(), all);
        assert_ne!(nodes, all[1..].iter().copied().collect());
    }
}
