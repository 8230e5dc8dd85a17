//! Names for the nodes of a tape, from the files of its modules.

use heaptape_analysis::names::{self, Frame, Held, Names};
use heaptape_symbols::{Resolved, SearchPaths, Symbolizer, short_name};
use heaptape_tape::{BacktraceId, BacktraceNode, Module, ModuleId, Tape};
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The file name of the library that is preloaded; its frames are in no backtrace.
const RECORDER: &str = "libheaptape.so";

/// Code: an address in a module.
type Place = (Option<ModuleId>, u64);

/// Asks the symbolizer once for each place of code: a tape has many more nodes than places.
pub(crate) struct SymbolNames<'a> {
    modules: &'a [Module],
    named: &'a BTreeMap<BacktraceId, Arc<[u8]>>,
    symbolizer: RefCell<Symbolizer>,
    known: RefCell<FxHashMap<Place, Arc<[Frame]>>>,
}

impl<'a> SymbolNames<'a> {
    pub(crate) fn new(tape: &'a Tape, search: SearchPaths) -> SymbolNames<'a> {
        SymbolNames {
            modules: tape.modules(),
            named: tape.node_names(),
            symbolizer: RefCell::new(Symbolizer::new(search)),
            known: RefCell::default(),
        }
    }

    fn module(&self, id: ModuleId) -> Option<&'a Module> {
        self.modules.get(id.0 as usize)
    }

    fn resolve(&self, node: &BacktraceNode) -> Arc<[Frame]> {
        let Some(module) = node.module.and_then(|id| self.module(id)) else {
            return Arc::from([unnamed(None, node.address, "no module was mapped there")]);
        };
        let path = names::text(&module.path);
        let file = Arc::from(names::file_name(&path));
        let resolved = self.symbolizer.borrow_mut().resolve(module, node.address);
        frames(&resolved, &file, node.address)
    }
}

impl Names for SymbolNames<'_> {
    fn frames(&self, id: BacktraceId, node: &BacktraceNode) -> Arc<[Frame]> {
        if let Some(name) = self.named.get(&id) {
            return Arc::from([compiled_late(&names::text(name))]);
        }
        let place = (node.module, node.address);
        if let Some(known) = self.known.borrow().get(&place) {
            return Arc::clone(known);
        }
        let frames = self.resolve(node);
        self.known.borrow_mut().insert(place, Arc::clone(&frames));
        frames
    }

    fn module_state(&self, module: ModuleId) -> String {
        let Some(module) = self.module(module) else { return "not on the tape".to_owned() };
        if names::file_name(&names::text(&module.path)) == RECORDER {
            return "the recorder, there for the recording only".to_owned();
        }
        let state = self.symbolizer.borrow_mut().module_state(module);
        let names = match state.why {
            None => "functions and lines".to_owned(),
            Some(why) => why.to_string(),
        };
        let unchecked = state.image.is_some() && !state.build_id_checked;
        if unchecked { format!("{names}; the build could not be checked") } else { names }
    }

    fn called(&self, node: &BacktraceNode) -> Option<Arc<str>> {
        let module = self.module(node.module?)?;
        self.symbolizer.borrow_mut().called(module, node.address).map(Arc::from)
    }

    fn defines(&self, module: ModuleId, raw_names: &[&str]) -> Option<bool> {
        self.symbolizer.borrow_mut().defines(self.module(module)?, raw_names)
    }

    fn held_at(&self, module: ModuleId, address: u64) -> Option<Held> {
        let held = self.symbolizer.borrow_mut().held_at(self.module(module)?, address)?;
        Some(Held {
            section: held.section.into(),
            code: held.code,
            writable: held.writable,
            symbol: held.symbol.map(Arc::from),
            offset: held.offset,
        })
    }
}

fn frames(resolved: &Resolved, module: &Arc<str>, address: u64) -> Arc<[Frame]> {
    let why: Option<Arc<str>> = resolved.why.as_ref().map(|why| why.to_string().into());
    let frame = |named: &heaptape_symbols::Frame| {
        let Some(function) = &named.function else {
            let why = why.as_deref().unwrap_or("it has no name");
            return unnamed(Some(module), address, why);
        };
        Frame {
            function: function.as_str().into(),
            short: short_name(function).into(),
            file: named.file.as_deref().map(Arc::from),
            line: named.line.unwrap_or(0),
            module: Some(Arc::clone(module)),
            inlined: named.inlined,
            why: why.clone(),
            named: true,
        }
    };
    resolved.frames.iter().map(frame).collect()
}

/// Code that a just-in-time compiler made, and named.
fn compiled_late(name: &str) -> Frame {
    Frame {
        function: name.into(),
        short: name.into(),
        file: None,
        line: 0,
        module: None,
        inlined: false,
        why: Some("compiled while the program ran".into()),
        named: true,
    }
}

fn unnamed(module: Option<&Arc<str>>, address: u64, why: &str) -> Frame {
    let function: Arc<str> = match module {
        Some(module) => format!("{module}+{address:#x}").into(),
        None => format!("{address:#x}").into(),
    };
    Frame {
        short: Arc::clone(&function),
        function,
        file: None,
        line: 0,
        module: module.cloned(),
        inlined: false,
        why: Some(why.into()),
        named: false,
    }
}
