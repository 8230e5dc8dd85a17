//! Backtraces as a tree of named frames, inlined ones included.
//!
//! Nodes of a tape are addresses; here those with the same function, file, line and module are one frame, as they are
//! one call site ([`crate::sites`]), and backtraces of the same frames one stack. Numbers are small and dense, so that
//! whoever draws can count in tables.

use crate::names::{self, Frame, Names};
use crate::recording::Recording;
use crate::table::BETWEEN_LOOKS;
use crate::wrappers;
use heaptape_tape::{BacktraceId, TapeError};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Bytes for each node of the recording: where it leads, and a stack with its place in a hash table that is copied
/// when it grows. More where levels are inlined; that is checked as it grows.
const BYTES_BY_NODE: u64 = 4 + 1;

/// A function at a place, as stacks hold it.
#[derive(Clone, Debug)]
pub struct StackFrame {
    /// Its names. It counts as inlined where it was so at least once.
    pub frame: Frame,
    /// The number of the function: frames with the same function, file and module have the same.
    pub function: u32,
    /// Whether it is an allocator, a wrapper of one, or a language runtime ([`wrappers::is_wrapper`]).
    pub wrapper: bool,
}

/// The stacks of some backtraces. Stack 0 and frame 0 stand for "no backtrace".
#[derive(Debug)]
pub struct Stacks {
    /// The frames.
    pub frames: Vec<StackFrame>,
    /// The stack that called each: always a smaller number. That of stack 0 is 0.
    pub parents: Vec<u32>,
    /// The frame that each adds to its parent, as an index of `frames`.
    pub frame_of: Vec<u32>,
    /// The frame that is the call site of a backtrace that ends there.
    pub site_of: Vec<u32>,
    /// By node: its stack. [`UNUSED`] where it is in none of the backtraces.
    by_node: Vec<u32>,
}

/// What a node in none of the backtraces leads to.
const UNUSED: u32 = u32::MAX;

/// What makes a frame, but for its number.
type Key = (Arc<str>, Option<Arc<str>>, u32, Option<Arc<str>>);
/// What makes a function.
type FunctionKey = (Arc<str>, Option<Arc<str>>, Option<Arc<str>>);

impl Stacks {
    /// The stacks of these backtraces; what is not on the tape counts as no backtrace. Frames that are `named` elsewhere get
    /// numbers, too, behind those of the stacks.
    ///
    /// Fails as soon as memory would not do: 4 bytes a node, about 40 a stack and 300 a frame.
    pub fn of(
        recording: &dyn Recording,
        names: &dyn Names,
        backtraces: impl Iterator<Item = BacktraceId>,
        named: &[&Frame],
    ) -> Result<Stacks, TapeError> {
        recording.afford(BYTES_BY_NODE.saturating_mul(recording.nodes().len() as u64))?;
        let mut used = vec![false; recording.nodes().len() + 1];
        for backtrace in backtraces {
            for (id, _) in names::walk(recording, backtrace) {
                if std::mem::replace(&mut used[id.0 as usize], true) {
                    break;
                }
            }
        }
        let mut builder = Builder::new(used.len());
        // Parents have smaller numbers: they come first.
        for (id, node) in (1..).map(BacktraceId).zip(recording.nodes().iter()) {
            if !used[id.0 as usize] {
                continue;
            }
            let parent = if node.parent < id { node.parent.0 as usize } else { 0 };
            let mut stack = builder.stacks.by_node[parent];
            for frame in names.frames(id, &node).iter().rev() {
                stack = builder.child(stack, frame);
            }
            builder.stacks.by_node[id.0 as usize] = stack;
            if (id.0 as usize).is_multiple_of(BETWEEN_LOOKS) {
                recording.afford(builder.bytes())?;
            }
        }
        for frame in named {
            builder.frame(frame);
        }
        recording.afford(builder.bytes())?;
        Ok(builder.stacks)
    }

    /// The stack of one of the backtraces; 0 for any other.
    pub fn stack(&self, backtrace: BacktraceId) -> u32 {
        match self.by_node.get(backtrace.0 as usize) {
            None | Some(&UNUSED) => 0,
            Some(&stack) => stack,
        }
    }

    /// How many there are, stack 0 included.
    pub fn len(&self) -> usize {
        self.parents.len()
    }

    /// Never: there is always stack 0.
    pub fn is_empty(&self) -> bool {
        self.parents.is_empty()
    }

    /// The call site of a frame that a stack calls: by the rule of [`crate::sites`], the innermost one outside
    /// wrappers; where all are wrappers, the innermost one.
    fn site_under(&self, parent: u32, frame: u32) -> u32 {
        let of_parent = self.site_of[parent as usize];
        let has_site = parent != 0 && !self.frames[of_parent as usize].wrapper;
        if self.frames[frame as usize].wrapper && has_site { of_parent } else { frame }
    }
}

struct Builder {
    stacks: Stacks,
    children: FxHashMap<(u32, u32), u32>,
    by_key: FxHashMap<Key, u32>,
    functions: FxHashMap<FunctionKey, u32>,
}

impl Builder {
    fn new(nodes: usize) -> Builder {
        let mut by_node = vec![UNUSED; nodes];
        by_node[0] = 0;
        let mut builder = Builder {
            stacks: Stacks {
                frames: Vec::new(),
                parents: vec![0],
                frame_of: vec![0],
                site_of: vec![0],
                by_node,
            },
            children: FxHashMap::default(),
            by_key: FxHashMap::default(),
            functions: FxHashMap::default(),
        };
        builder.frame(&no_backtrace());
        builder
    }

    /// The stack of this frame, called from a stack.
    fn child(&mut self, parent: u32, frame: &Frame) -> u32 {
        let frame = self.frame(frame);
        let stacks = &mut self.stacks;
        let next = stacks.parents.len() as u32;
        let child = *self.children.entry((parent, frame)).or_insert(next);
        if child == next {
            let site = stacks.site_under(parent, frame);
            stacks.parents.push(parent);
            stacks.frame_of.push(frame);
            stacks.site_of.push(site);
        }
        child
    }

    fn frame(&mut self, frame: &Frame) -> u32 {
        let key: Key =
            (Arc::clone(&frame.function), frame.file.clone(), frame.line, frame.module.clone());
        let frames = &mut self.stacks.frames;
        let next = frames.len() as u32;
        let id = *self.by_key.entry(key).or_insert(next);
        if id == next {
            let key = (Arc::clone(&frame.function), frame.file.clone(), frame.module.clone());
            let functions = self.functions.len() as u32;
            let function = *self.functions.entry(key).or_insert(functions);
            let wrapper = wrappers::is_wrapper(frame);
            frames.push(StackFrame { frame: frame.clone(), function, wrapper });
        } else {
            frames[id as usize].frame.inlined |= frame.inlined;
        }
        id
    }

    fn bytes(&self) -> u64 {
        let maps = self.children.capacity() * (size_of::<((u32, u32), u32)>() + 2) * 3
            + self.by_key.capacity() * (size_of::<(Key, u32)>() + 2) * 3
            + self.functions.capacity() * (size_of::<(FunctionKey, u32)>() + 2) * 3;
        let stacks = self.stacks.parents.capacity() * 3 * size_of::<u32>();
        let frames = self.stacks.frames.capacity() * size_of::<StackFrame>();
        (maps + stacks + frames + self.stacks.by_node.capacity() * 5) as u64
    }
}

/// Frame 0.
fn no_backtrace() -> Frame {
    Frame {
        function: "(no backtrace)".into(),
        short: "(no backtrace)".into(),
        file: None,
        line: 0,
        module: None,
        inlined: false,
        why: None,
        named: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryRecording, Sites};
    use heaptape_tape::{BacktraceNode, FrameQuality, ModuleId};
    use proptest::prelude::*;

    /// A few functions, some of them wrappers, some inlined into others: what an address means depends on its last
    /// digits only, so many addresses mean the same.
    struct FewNames;

    fn frame(number: u64, inlined: bool) -> Frame {
        let function = ["main", "work", "malloc", "std::vector::push", "f"][number as usize % 5];
        Frame {
            function: function.into(),
            short: function.into(),
            file: (!number.is_multiple_of(3)).then(|| "a.c".into()),
            line: (number % 2) as u32,
            module: (number % 7 > 2).then(|| "demo".into()),
            inlined,
            why: None,
            named: true,
        }
    }

    impl Names for FewNames {
        fn frames(&self, _: BacktraceId, node: &BacktraceNode) -> Arc<[Frame]> {
            match node.address % 4 {
                0 => Arc::from([frame(node.address + 1, true), frame(node.address, false)]),
                _ => Arc::from([frame(node.address, false)]),
            }
        }

        fn module_state(&self, _: ModuleId) -> String {
            String::new()
        }
    }

    #[test]
    fn frames_that_no_stack_has_come_last() {
        let mut recording = MemoryRecording::default();
        let (parent, quality) = (BacktraceId::NONE, FrameQuality::Exact);
        recording.add_node(BacktraceNode { parent, module: None, address: 1, quality });
        let (known, new) = (frame(1, false), frame(3, false));
        let leaves = || [BacktraceId(1)].into_iter();
        let without = Stacks::of(&recording, &FewNames, leaves(), &[]).unwrap();
        let with = Stacks::of(&recording, &FewNames, leaves(), &[&known, &new, &new]).unwrap();
        assert_eq!(with.frames.len(), without.frames.len() + 1);
        assert_eq!(with.frames.last().unwrap().frame, new);
        assert_eq!(with.frame_of, without.frame_of);
    }

    proptest! {
        /// The oracle writes backtraces out.
        #[test]
        fn stacks_spell_their_backtraces(
            nodes in prop::collection::vec((any::<prop::sample::Index>(), 0_u64..40), 0..60),
            leaves in prop::collection::vec(0_u32..64, 0..20),
        ) {
            let mut recording = MemoryRecording::default();
            for (place, (parent, address)) in nodes.iter().enumerate() {
                let parent = BacktraceId(parent.index(place + 1) as u32);
                let quality = FrameQuality::Exact;
                recording.add_node(BacktraceNode { parent, module: None, address: *address, quality });
            }
            let leaves: Vec<BacktraceId> = leaves.into_iter().map(BacktraceId).collect();
            let stacks = Stacks::of(&recording, &FewNames, leaves.iter().copied(), &[]).unwrap();
            let key = |frame: &Frame| {
                (Arc::clone(&frame.function), frame.file.clone(), frame.line, frame.module.clone())
            };
            let mut spelled = std::collections::BTreeMap::new();
            let mut sites = Sites::new(&recording, &FewNames);
            for &leaf in &leaves {
                let frames = names::backtrace(&recording, &FewNames, leaf);
                let expected: Vec<_> = frames.iter().map(key).collect();
                let stack = stacks.stack(leaf);
                let mut found = Vec::new();
                let mut at = stack;
                while at != 0 {
                    prop_assert!(stacks.parents[at as usize] < at);
                    found.push(key(&stacks.frames[stacks.frame_of[at as usize] as usize].frame));
                    at = stacks.parents[at as usize];
                }
                prop_assert_eq!(&found, &expected);
                prop_assert_eq!(*spelled.entry(expected).or_insert(stack), stack, "one stack for the same frames");
                let site = sites.of(leaf);
                let site = sites.get(site).frame.as_ref().map(key);
                let ours = key(&stacks.frames[stacks.site_of[stack as usize] as usize].frame);
                prop_assert_eq!(site.unwrap_or_else(|| key(&no_backtrace())), ours);
            }
            let distinct: std::collections::BTreeSet<_> = stacks.frames.iter().map(|it| key(&it.frame)).collect();
            prop_assert_eq!(distinct.len(), stacks.frames.len());
        }
    }
}
