//! The backtrace nodes of one process that are on the tape: which one stands for a frame called from another.
//!
//! Each is asked for by its parent, and most are the first child of theirs. Those stand beside it, in the order in which
//! they came; only the others are in a hash table. So a path that is new, where every node's parent is new as well,
//! is followed where the processor has just been, and misses its cache once, not once for each frame.

use heaptape_tape::*;
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;

/// A node of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    place: u32,
    /// Its id on the tape.
    pub(crate) id: BacktraceId,
}

impl Known {
    /// The parent of outermost frames.
    pub(crate) const NONE: Known = Known { place: 0, id: BacktraceId::NONE };
}

/// What a node says beside its parent, in few bytes: there may be many millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Said {
    address: [u32; 2],
    /// In which module that is, and how it was found.
    module: u32,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Nodes {
    /// By place: the first child of the node there; [`Known::NONE`] where there is none.
    first: Vec<(Said, Known)>,
    /// By their parent's place: all other children.
    others: FxHashMap<(u32, Said), Known>,
}

const NO_CHILD: (Said, Known) = (Said { address: [0; 2], module: 0 }, Known::NONE);

impl Nodes {
    /// Those of a process that has none.
    pub(crate) fn new() -> Nodes {
        Nodes { first: vec![NO_CHILD], others: FxHashMap::default() }
    }

    /// The node called from `parent`, which says what `node` does. One that is not known is made by `make`.
    #[inline(always)]
    pub(crate) fn child<E>(
        &mut self,
        parent: Known,
        node: &BacktraceNode,
        make: impl FnOnce() -> Result<BacktraceId, E>,
    ) -> Result<Known, E> {
        let said = Said::by(node);
        let place = self.first.len() as u32;
        let new = || make().map(|id| Known { place, id });
        let first = &mut self.first[parent.place as usize];
        let known = if first.1 == Known::NONE {
            *first = (said, new()?);
            first.1
        } else if first.0 == said {
            first.1
        } else {
            match self.others.entry((parent.place, said)) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(other) => *other.insert(new()?),
            }
        };
        if known.place == place {
            self.first.push(NO_CHILD);
        }
        Ok(known)
    }
}

impl Said {
    fn by(node: &BacktraceNode) -> Said {
        // A tape's modules are far fewer than 2^30: each takes dozens of its bytes.
        let module = node.module.map_or(0, |module| module.0.wrapping_add(1));
        Said {
            address: [node.address as u32, (node.address >> 32) as u32],
            module: module << 2 | node.quality as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// As a plain table of all nodes would: same node, same id, however they come.
    #[test]
    fn a_node_is_made_once() {
        let mut nodes = Nodes::new();
        let mut plain: HashMap<BacktraceNode, Known> = HashMap::new();
        let mut all = vec![Known::NONE];
        let mut random = 1u64;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = |shift: u32, many: u64| (random >> shift) % many;
            let parent = all[at(33, all.len().min(1_000) as u64) as usize];
            let node = BacktraceNode {
                parent: parent.id,
                module: (at(20, 3) > 0).then(|| ModuleId(at(20, 3) as u32 - 1)),
                address: at(25, 4),
                quality: if at(50, 2) == 0 { FrameQuality::Exact } else { FrameQuality::Truncated },
            };
            let new_id = BacktraceId(plain.len() as u32 + 1);
            let known = nodes.child(parent, &node, || Ok::<_, ()>(new_id)).unwrap();
            assert_eq!(known, *plain.entry(node).or_insert(known));
            assert_eq!(known.id == new_id, all.len() < plain.len() + 1);
            if known.id == new_id {
                all.push(known);
            }
        }
        assert!((5_000..19_000).contains(&plain.len()), "{}", plain.len());
    }

    /// One that could not be written is asked for again.
    #[test]
    fn a_node_that_failed_is_not_known() {
        let mut nodes = Nodes::new();
        let node = |address| BacktraceNode {
            parent: BacktraceId::NONE,
            module: None,
            address,
            quality: FrameQuality::Exact,
        };
        for (address, id) in [(1, 1), (2, 2)] {
            assert_eq!(nodes.child(Known::NONE, &node(address), || Err(7)), Err(7));
            let made = nodes.child(Known::NONE, &node(address), || Ok::<_, ()>(BacktraceId(id)));
            assert_eq!(made.unwrap().id, BacktraceId(id));
        }
    }
}
