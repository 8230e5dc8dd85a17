//! By which family of functions a block was really taken and given back, where `operator new` or `delete` are part
//! of the program.
//!
//! Such operators cannot be seen from outside: the recording has the `malloc` and `free` that they call. An `operator
//! new` is a frame of the allocation's backtrace; an `operator delete` mostly jumps to `free` and is none, but the
//! call that it came from may name it. What neither tells is not known.

use super::offence::Family;
use crate::names::{self, Names};
use crate::recording::Recording;
use heaptape_tape::{
    Action, Api, BacktraceId, BacktraceNode, Event, LiveBlock, Module, ModuleId, ProcessId,
};
use rustc_hash::FxHashMap;
use std::cell::RefCell;

/// Operators, of which a program that has its own has one at least.
const RAW_NAMES: [&str; 4] = ["_Znwm", "_Znam", "_ZdlPv", "_ZdaPv"];
/// Libraries whose operators the recorder knows by name.
const RUNTIMES: [&str; 3] = ["libstdc++.so", "libc++.so", "libheaptape.so"];

/// Which families it may have been, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Side(u8);

impl Side {
    const MALLOC: Side = Side(1);
    const NEW: Side = Side(2);
    const NEW_ARRAY: Side = Side(4);
    const ANY_NEW: Side = Side(6);
    pub(super) const UNKNOWN: Side = Side(7);

    fn of(family: Family) -> Side {
        match family {
            Family::Malloc => Side::MALLOC,
            Family::New => Side::NEW,
            Family::NewArray => Side::NEW_ARRAY,
        }
    }

    /// Whether both may be the same family.
    pub(super) fn meets(self, other: Side) -> bool {
        self.0 & other.0 != 0
    }

    /// The operator of this family, after `operator `; `None` for `malloc` and what is not known.
    pub(super) fn operator(self, new: bool) -> Option<&'static str> {
        match (self, new) {
            (Side::NEW | Side::ANY_NEW, true) => Some("operator new"),
            (Side::NEW_ARRAY, true) => Some("operator new[]"),
            (Side::NEW | Side::ANY_NEW, false) => Some("operator delete"),
            (Side::NEW_ARRAY, false) => Some("operator delete[]"),
            _ => None,
        }
    }
}

/// Tells the sides of blocks of one process.
pub(super) struct Operators<'a> {
    recording: &'a dyn Recording,
    names: &'a dyn Names,
    /// Whether a module is known to have operators of its own.
    pub(super) present: bool,
    took: RefCell<FxHashMap<BacktraceId, Side>>,
    gave: RefCell<FxHashMap<BacktraceId, Side>>,
    /// Whether a module has operators, as far as can be told.
    own: RefCell<FxHashMap<ModuleId, Option<bool>>>,
}

impl<'a> Operators<'a> {
    pub(super) fn of(
        recording: &'a dyn Recording,
        names: &'a dyn Names,
        process: ProcessId,
    ) -> Operators<'a> {
        let mut operators = Operators {
            recording,
            names,
            present: false,
            took: RefCell::default(),
            gave: RefCell::default(),
            own: RefCell::default(),
        };
        let mut modules = recording.modules().iter().filter(|module| module.process == process);
        operators.present = modules.any(|module| operators.own(module.id) == Some(true));
        operators
    }

    /// What a block was taken by.
    pub(super) fn took(&self, block: &LiveBlock) -> Side {
        use Api::{AlignedAlloc, Malloc, Memalign, PosixMemalign};
        let family = Family::of(block.api);
        if !matches!(block.api, Malloc | AlignedAlloc | Memalign | PosixMemalign) {
            return Side::of(family);
        }
        let of = |id| self.of_site(id, "operator new", ["_Znw", "_Zna"]);
        *self.took.borrow_mut().entry(block.backtrace).or_insert_with(|| of(block.backtrace))
    }

    /// What a block was given back by.
    pub(super) fn gave(&self, event: &Event) -> Side {
        if event.action != Action::Free || event.api != Api::Free {
            return Side::of(Family::of(event.api));
        }
        let of = |id| self.of_site(id, "operator delete", ["_Zdl", "_Zda"]);
        *self.gave.borrow_mut().entry(event.backtrace).or_insert_with(|| of(event.backtrace))
    }

    /// By the frames of `operator`, or by the function that is called where they begin.
    fn of_site(&self, id: BacktraceId, operator: &str, raw: [&str; 2]) -> Side {
        let mut seen = None;
        for (id, node) in names::walk(self.recording, id) {
            let frames = self.names.frames(id, &node);
            let rest = frames.iter().find_map(|frame| frame.function.strip_prefix(operator));
            if let Some(rest) = rest {
                if rest.starts_with("[]") {
                    return Side::NEW_ARRAY;
                }
                seen = Some(Side::ANY_NEW);
                continue;
            }
            let called = self.names.called(&node);
            let called = called.as_deref().unwrap_or_default();
            if called.starts_with(raw[0]) {
                return Side::NEW;
            } else if called.starts_with(raw[1]) {
                return Side::NEW_ARRAY;
            } else if let Some(seen) = seen {
                return seen;
            }
            // Here it ends: in a function that is no operator if it has a name. An `operator delete` that
            // jumped to `free` left no frame, but then the call is not one of `free`.
            let jumped = operator == "operator delete" && called != "free";
            let is_plain = (frames[0].named && !jumped) || self.cannot_be_own(&node);
            return if is_plain { Side::MALLOC } else { Side::UNKNOWN };
        }
        seen.unwrap_or(if self.present { Side::UNKNOWN } else { Side::MALLOC })
    }

    /// Whether a module has operators of its own; `None` when that cannot be told.
    fn own(&self, id: ModuleId) -> Option<bool> {
        let is_known = self.recording.modules().get(id.0 as usize).is_some_and(is_runtime);
        let ask = || if is_known { Some(false) } else { self.names.defines(id, &RAW_NAMES) };
        *self.own.borrow_mut().entry(id).or_insert_with(ask)
    }

    /// Whether no operator of the program can be behind a call.
    fn cannot_be_own(&self, node: &BacktraceNode) -> bool {
        !self.present && node.module.is_none_or(|module| self.own(module) == Some(false))
    }
}

/// Whether a module's operators are those that the recorder knows.
fn is_runtime(module: &Module) -> bool {
    let path = names::text(&module.path);
    RUNTIMES.iter().any(|runtime| names::file_name(&path).starts_with(runtime))
}
