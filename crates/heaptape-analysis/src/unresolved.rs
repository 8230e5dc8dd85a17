//! Frames whose function is not known: how many, in which modules, and why.
//!
//! A *frame* here is an address of code that is in some backtrace, counted once, however many
//! backtraces pass it.

use crate::names::{self, Names};
use crate::recording::Recording;
use crate::table::{BETWEEN_LOOKS, Table};
use heaptape_tape::{BacktraceId, BacktraceNode, Module, ModuleId, TapeError};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;
use std::collections::BTreeMap;

/// How many frames have no function name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Unresolved {
    /// Frames that were looked at.
    pub frames: u64,
    /// Those without a function name; the sum over `modules`.
    pub unresolved: u64,
    /// Where they lie and why they have no name, most frames first.
    pub modules: Vec<UnresolvedIn>,
}

/// Frames of one module that have no name for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnresolvedIn {
    /// The file name of the module; `None` where no module was mapped.
    pub module: Option<String>,
    /// Why.
    pub why: String,
    /// How many.
    pub frames: u64,
}

impl Unresolved {
    /// Of every backtrace of the recording. Fails as soon as memory would not do.
    pub fn of_all(recording: &dyn Recording, names: &dyn Names) -> Result<Unresolved, TapeError> {
        let mut count = Count::new(recording);
        for (id, node) in (1..).map(BacktraceId).zip(recording.nodes().iter()) {
            count.node(names, id, &node);
            if (id.0 as usize).is_multiple_of(BETWEEN_LOOKS) {
                recording.afford(count.bytes())?;
            }
        }
        Ok(count.finish())
    }

    /// Of these backtraces. Fails as soon as memory would not do, as [`Unresolved::of_all`].
    pub fn of(
        recording: &dyn Recording,
        names: &dyn Names,
        backtraces: impl Iterator<Item = BacktraceId>,
    ) -> Result<Unresolved, TapeError> {
        let mut count = Count::new(recording);
        let mut until_look = BETWEEN_LOOKS;
        let mut passed: Table<BacktraceId, bool> = Table::default();
        for backtrace in backtraces {
            for (id, node) in names::walk(recording, backtrace) {
                if std::mem::replace(passed.of(id), true) {
                    break;
                }
                count.node(names, id, &node);
                until_look -= 1;
                if until_look == 0 {
                    until_look = BETWEEN_LOOKS;
                    recording.afford(passed.bytes().saturating_add(count.bytes()))?;
                }
            }
        }
        Ok(count.finish())
    }

    /// Whether so many are unresolved that a reader of names should know: 1 of 10.
    pub fn is_notable(&self) -> bool {
        self.unresolved > 0 && u128::from(self.unresolved) * 10 >= u128::from(self.frames)
    }
}

/// A place of code: the file, if it is known, and the address.
type Code = (Option<ModuleId>, u64);

/// Places of code by the path of their module, so that processes that share a file share them.
struct Count<'a> {
    modules: &'a [Module],
    /// Modules that were met: the first one of their path.
    files: FxHashMap<ModuleId, ModuleId>,
    of_path: FxHashMap<&'a [u8], ModuleId>,
    known: FxHashSet<Code>,
    unnamed: BTreeMap<(Option<String>, String), u64>,
}

impl<'a> Count<'a> {
    fn new(recording: &'a dyn Recording) -> Count<'a> {
        Count {
            modules: recording.modules(),
            files: FxHashMap::default(),
            of_path: FxHashMap::default(),
            known: FxHashSet::default(),
            unnamed: BTreeMap::new(),
        }
    }

    /// Stands for the file of a module.
    fn file(&mut self, id: ModuleId) -> Option<ModuleId> {
        if let Some(&known) = self.files.get(&id) {
            return Some(known);
        }
        let path = &self.modules.get(id.0 as usize)?.path;
        let file = *self.of_path.entry(path).or_insert(id);
        self.files.insert(id, file);
        Some(file)
    }

    fn node(&mut self, names: &dyn Names, id: BacktraceId, node: &BacktraceNode) {
        let file = node.module.and_then(|id| self.file(id));
        if !self.known.insert((file, node.address)) {
            return;
        }
        let frames = names.frames(id, node);
        let Some(frame) = frames.iter().find(|frame| !frame.named) else { return };
        let module = frame.module.as_deref().map(str::to_owned);
        let why = frame.why.as_deref().unwrap_or("it has no name").to_owned();
        *self.unnamed.entry((module, why)).or_default() += 1;
    }

    /// About the bytes that it takes or is about to: when it grows it is there twice, the second time double.
    fn bytes(&self) -> u64 {
        3 * (self.known.capacity() * (size_of::<Code>() + 1)) as u64
    }

    fn finish(self) -> Unresolved {
        let in_module = |((module, why), frames)| UnresolvedIn { module, why, frames };
        let mut modules: Vec<UnresolvedIn> = self.unnamed.into_iter().map(in_module).collect();
        modules.sort_by_key(|module| std::cmp::Reverse(module.frames));
        Unresolved {
            frames: self.known.len() as u64,
            unresolved: modules.iter().map(|module| module.frames).sum(),
            modules,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Frame, MemoryRecording};
    use heaptape_tape::{FrameQuality, ModuleId};
    use std::sync::Arc;

    /// Even addresses have names.
    struct EvenNames;

    impl Names for EvenNames {
        fn frames(&self, _: BacktraceId, node: &BacktraceNode) -> Arc<[Frame]> {
            let named = node.address.is_multiple_of(2);
            Arc::from([Frame {
                function: "f".into(),
                short: "f".into(),
                file: None,
                line: 0,
                module: node.module.map(|_| "demo".into()),
                inlined: false,
                why: (!named).then(|| "odd".into()),
                named,
            }])
        }

        fn module_state(&self, _: ModuleId) -> String {
            String::new()
        }
    }

    #[test]
    fn a_place_counts_once_and_only_where_it_is_passed() {
        let mut recording = MemoryRecording::default();
        let mut add = |parent, address| {
            let quality = FrameQuality::Exact;
            recording.add_node(BacktraceNode { parent, module: None, address, quality })
        };
        let root = add(BacktraceId::NONE, 1);
        let (a, b) = (add(root, 2), add(root, 3));
        let same = add(a, 3);
        let all = Unresolved::of_all(&recording, &EvenNames).unwrap();
        assert_eq!((all.frames, all.unresolved), (3, 2));
        let why = "odd".to_owned();
        assert_eq!(all.modules, [UnresolvedIn { module: None, why, frames: 2 }]);
        let of = |ids: &[BacktraceId]| {
            let found = Unresolved::of(&recording, &EvenNames, ids.iter().copied()).unwrap();
            (found.frames, found.unresolved)
        };
        assert_eq!(of(&[a, a]), (2, 1));
        assert_eq!(of(&[same, b]), (3, 2));
        assert_eq!(of(&[]), (0, 0));
        assert!(all.is_notable() && !Unresolved::default().is_notable());
    }
}
