//! From a module and an address on the tape to names, remembering everything asked before.

use std::sync::Arc;

use heaptape_tape::Module;
use rustc_hash::FxHashMap;

use crate::answer::{ModuleState, Reason, Resolved};
use crate::held::Held;
use crate::loaded::Loaded;
use crate::locate::locate;
use crate::search::SearchPaths;

/// Modules kept open at once. At the bound all are closed; they come back when asked for again.
const MAX_OPEN_MODULES: usize = 1024;
/// Bytes of remembered answers, about. At the bound all are forgotten.
const MAX_REMEMBERED_BYTES: usize = 256 << 20;

/// Names the addresses of a tape's modules.
///
/// A module's files are looked for and opened on first use; modules of several processes that are
/// the same file are opened once.
#[derive(Default)]
pub struct Symbolizer {
    search: SearchPaths,
    /// By path and build id.
    keys: FxHashMap<(Vec<u8>, Vec<u8>), u32>,
    open: FxHashMap<u32, Loaded>,
    answers: FxHashMap<(u32, u64), Arc<Resolved>>,
    remembered_bytes: usize,
}

impl Symbolizer {
    /// A symbolizer that looks for files there.
    pub fn new(search: SearchPaths) -> Symbolizer {
        Symbolizer { search, ..Symbolizer::default() }
    }

    /// The names of a return address of `module`.
    ///
    /// `return_address` is relative to the module's bias, as on the tape; the byte before it, the
    /// call, is what gets looked up. For the address of an instruction itself (the one that crashed)
    /// pass one more.
    pub fn resolve(&mut self, module: &Module, return_address: u64) -> Arc<Resolved> {
        if is_vdso(&module.path) {
            return Arc::new(Resolved::unnamed(Reason::Vdso));
        }
        let Some(address) = return_address.checked_sub(1) else {
            return Arc::new(Resolved::unnamed(Reason::AddressNotCovered));
        };
        let key = self.key(module);
        if let Some(answer) = self.answers.get(&(key, address)) {
            return Arc::clone(answer);
        }
        let loaded = open(&mut self.open, &self.search, key, module);
        let answer = Arc::new(loaded.resolve(address, &self.search));
        self.remember((key, address), &answer);
        answer
    }

    /// The raw name of the function that the call before `return_address` calls (relative to the module's bias),
    /// where the instruction says so itself.
    pub fn called(&mut self, module: &Module, return_address: u64) -> Option<String> {
        if is_vdso(&module.path) {
            return None;
        }
        let key = self.key(module);
        open(&mut self.open, &self.search, key, module).called(return_address)
    }

    /// Whether the module's file defines a function of one of these raw names; `None` when that cannot be told.
    pub fn defines(&mut self, module: &Module, raw_names: &[&str]) -> Option<bool> {
        if is_vdso(&module.path) {
            return Some(false);
        }
        let key = self.key(module);
        open(&mut self.open, &self.search, key, module).defines(raw_names)
    }

    /// What the module's file holds at `address`, relative to the module's bias; `None` when that cannot be told.
    pub fn held_at(&mut self, module: &Module, address: u64) -> Option<Held> {
        if is_vdso(&module.path) {
            return None;
        }
        let key = self.key(module);
        open(&mut self.open, &self.search, key, module).held_at(address)
    }

    /// Which files name this module's addresses, or why there are none. Opens them if need be.
    pub fn module_state(&mut self, module: &Module) -> ModuleState {
        if is_vdso(&module.path) {
            return ModuleState { why: Some(Reason::Vdso), ..ModuleState::default() };
        }
        let key = self.key(module);
        open(&mut self.open, &self.search, key, module).state().clone()
    }

    fn key(&mut self, module: &Module) -> u32 {
        let next = self.keys.len() as u32;
        *self.keys.entry((module.path.clone(), module.build_id.clone())).or_insert(next)
    }

    fn remember(&mut self, at: (u32, u64), answer: &Arc<Resolved>) {
        self.remembered_bytes += weight(answer);
        if self.remembered_bytes > MAX_REMEMBERED_BYTES {
            self.answers.clear();
            self.remembered_bytes = weight(answer);
        }
        self.answers.insert(at, Arc::clone(answer));
    }
}

/// The module of that key, opened if need be.
fn open<'a>(
    modules: &'a mut FxHashMap<u32, Loaded>,
    search: &SearchPaths,
    key: u32,
    module: &Module,
) -> &'a mut Loaded {
    if modules.len() >= MAX_OPEN_MODULES && !modules.contains_key(&key) {
        modules.clear();
    }
    modules.entry(key).or_insert_with(|| {
        let located = locate(search, &module.path, &module.build_id);
        Loaded::new(located, !module.build_id.is_empty())
    })
}

/// The kernel maps it without a file, and loaders call it by one of these names.
fn is_vdso(path: &[u8]) -> bool {
    path == b"[vdso]" || path.starts_with(b"linux-vdso") || path.starts_with(b"linux-gate")
}

/// About the memory an answer takes, bytes.
fn weight(answer: &Resolved) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let frames = answer.frames.iter();
    128 + frames
        .map(|f| 128 + text(&f.function) + text(&f.raw_function) + text(&f.file))
        .sum::<usize>()
}
