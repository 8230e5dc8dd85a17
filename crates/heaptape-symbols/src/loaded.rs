//! One module's files, opened: its symbol table and its debug information, side by side.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use object::{Object, ObjectSymbol};
use self_cell::self_cell;

use crate::answer::{Frame, ModuleState, Reason, Resolved};
use crate::calls;
use crate::dwarf::{DebugInfo, Store, named};
use crate::elf::{Elf, SectionBytes};
use crate::held::{self, Held};
use crate::locate::{Found, Located};
use crate::search::SearchPaths;
use crate::symtab::SymbolTable;

/// What a mini symbol table (`.gnu_debugdata`) may grow to, bytes.
const MAX_MINI_SYMBOLS: u64 = 64 << 20;

/// A module that is ready to be asked.
pub(crate) struct Loaded {
    cell: OpenFiles,
    state: ModuleState,
    /// The debug information failed in a way that forbids asking it again.
    debug_broken: Option<Reason>,
}

/// The bytes, owned.
struct Files {
    located: Located,
    store: Store,
}

/// What was made of the bytes.
struct Parsed<'a> {
    symbols: SymbolTable<'a>,
    debug: Option<DebugInfo<'a>>,
    /// Why `debug` is missing although there is debug information.
    damage: Option<String>,
}

self_cell!(
    struct OpenFiles {
        owner: Files,
        #[not_covariant]
        dependent: Parsed,
    }
);

impl Loaded {
    /// Parses the files that [`locate`](crate::locate::locate) found. `build_id_checked`: the tape
    /// has a build id for the module, so each file was checked against it.
    pub(crate) fn new(located: Located, build_id_checked: bool) -> Loaded {
        let cell = OpenFiles::new(Files { located, store: Store::new() }, parse);
        let state = cell.with_dependent(|files, parsed| describe(files, parsed, build_id_checked));
        Loaded { cell, state, debug_broken: None }
    }

    pub(crate) fn state(&self) -> &ModuleState {
        &self.state
    }

    /// The raw name of the function that the call before `return_address` calls, where it says so itself.
    pub(crate) fn called(&self, return_address: u64) -> Option<String> {
        self.cell.with_dependent(|files, parsed| {
            let image = reparse(&files.located.image)?;
            let named = |address| parsed.symbols.name_of(address);
            shielded(|| calls::called(&image, return_address, named)).ok()?
        })
    }

    /// Whether the file defines a function of one of these raw names; `None` when it has no table that would
    /// tell of all.
    pub(crate) fn defines(&self, raw_names: &[&str]) -> Option<bool> {
        self.cell.with_dependent(|files, parsed| {
            let is_any = parsed.symbols.has_any(raw_names);
            let has_all = |found: &Option<Found>| {
                reparse(found).is_some_and(|elf| elf.file.symbol_table().is_some())
            };
            // Whoever takes them from elsewhere has none.
            let is_imported = reparse(&files.located.image).is_some_and(|elf| {
                elf.file.dynamic_symbols().any(|symbol| {
                    let name = symbol.name_bytes().unwrap_or_default();
                    symbol.is_undefined() && raw_names.iter().any(|raw| raw.as_bytes() == name)
                })
            });
            let told =
                is_imported || has_all(&files.located.image) || has_all(&files.located.debug);
            (is_any || told).then_some(is_any)
        })
    }

    /// What the file holds at `address`.
    pub(crate) fn held_at(&self, address: u64) -> Option<Held> {
        self.cell.with_dependent(|files, _| {
            let (image, debug) = (reparse(&files.located.image), reparse(&files.located.debug));
            shielded(|| held::held_at(image.as_ref()?, debug.as_ref(), address)).ok()?
        })
    }

    /// The names at `address`, an address inside an instruction as the ELF file states it.
    pub(crate) fn resolve(&mut self, address: u64, search: &SearchPaths) -> Resolved {
        if let (None, None, Some(why)) = (&self.state.image, &self.state.debug, &self.state.why) {
            return Resolved::unnamed(why.clone());
        }
        let broken = self.debug_broken.as_ref();
        let (debug, symbol) = self.cell.with_dependent(|files, parsed| {
            let debug = parsed.debug.as_ref().filter(|_| broken.is_none());
            let frames =
                debug.map(|debug| shielded(|| debug.frames(address, search, &files.store)));
            (frames, parsed.symbols.name_at(address).map(|raw| named(Some(raw))))
        });
        match debug {
            Some(Ok(Ok(frames))) if !frames.is_empty() => self.combine(frames, symbol),
            Some(Ok(Ok(_))) => from_symbol(symbol, Reason::NoLine),
            Some(Ok(Err(what))) => from_symbol(symbol, Reason::Unreadable(what)),
            Some(Err(what)) => {
                let why = Reason::Unreadable(what);
                self.debug_broken = Some(why.clone());
                self.state.why = Some(why.clone());
                from_symbol(symbol, why)
            }
            None => {
                let why = self.debug_broken.as_ref().or(self.state.why.as_ref());
                from_symbol(symbol, why.cloned().unwrap_or(Reason::NoDebugInfo))
            }
        }
    }

    /// Frames of the debug information, with what only the symbol table knows.
    fn combine(&self, mut frames: Vec<Frame>, symbol: Option<Frame>) -> Resolved {
        if let (Some(outermost), Some(symbol)) = (frames.last_mut(), symbol)
            && symbol_is_better(outermost, &symbol)
        {
            outermost.function = symbol.function;
            outermost.raw_function = symbol.raw_function;
        }
        let unnamed = frames.iter().any(|frame| frame.function.is_none());
        let why = if unnamed {
            Some(self.state.why.clone().unwrap_or(Reason::AddressNotCovered))
        } else if frames[0].line.is_none() {
            Some(Reason::NoLine)
        } else {
            None
        };
        Resolved { frames, why }
    }
}

/// Whether the symbol names the function more fully than the debug information, which may state only
/// `run` where the symbol says `_ZN3app3runEi`. Symbols of another name are not believed: code of
/// equal functions may be shared.
fn symbol_is_better(frame: &Frame, symbol: &Frame) -> bool {
    let (Some(raw), Some(full)) = (&symbol.raw_function, &symbol.function) else { return false };
    let mangled = |name: &str| name.starts_with("_Z") || name.starts_with("_R");
    match &frame.raw_function {
        None => true,
        Some(own) if mangled(own) || !mangled(raw) => false,
        Some(own) => {
            let word = own.split('<').next().unwrap_or(own);
            !word.is_empty() && full.contains(word)
        }
    }
}

/// The answer when there is at most a symbol.
fn from_symbol(symbol: Option<Frame>, why: Reason) -> Resolved {
    match (symbol, why) {
        (Some(frame), why) => Resolved { frames: vec![frame], why: Some(why) },
        (None, Reason::NoDebugInfo | Reason::NoLine) => {
            Resolved::unnamed(Reason::AddressNotCovered)
        }
        (None, why) => Resolved::unnamed(why),
    }
}

fn parse(files: &Files) -> Parsed<'_> {
    let located = &files.located;
    let (image, debug) = (reparse(&located.image), reparse(&located.debug));
    let mut damage = None;
    let source = debug_source(located);
    let debug_info = source.and_then(|source| {
        let elf = Elf::parse(&source.bytes).ok()?;
        let supplementary = reparse(&located.supplementary);
        let packages = package_places(located);
        shielded(|| DebugInfo::open(&elf, supplementary.as_ref(), &packages, &files.store))
            .and_then(|opened| opened)
            .map_err(|what| damage = Some(what))
            .ok()
    });
    let mini = image.as_ref().and_then(|image| mini_symbols(image, &files.store));
    let sources = debug.into_iter().chain(image).chain(mini).collect();
    let symbols = shielded(|| SymbolTable::new(sources)).unwrap_or_else(|what| {
        damage.get_or_insert(what);
        SymbolTable::default()
    });
    Parsed { symbols, debug: debug_info, damage }
}

/// The file's headers again; they were read before, when the file was verified.
fn reparse(found: &Option<Found>) -> Option<Elf<'_>> {
    Elf::parse(&found.as_ref()?.bytes).ok()
}

/// The file to take debug information from.
fn debug_source(located: &Located) -> Option<&Found> {
    [&located.debug, &located.image]
        .into_iter()
        .flatten()
        .find(|found| Elf::parse(&found.bytes).is_ok_and(|elf| elf.has_debug_info()))
}

/// Where the package of split debug information would be: beside the files, with `.dwp` appended.
fn package_places(located: &Located) -> Vec<PathBuf> {
    let place = |found: &Found| {
        let mut path = found.path.clone().into_os_string();
        path.push(".dwp");
        PathBuf::from(path)
    };
    [&located.debug, &located.image].into_iter().flatten().map(place).collect()
}

/// The symbol table that some distributions keep, compressed, in stripped files.
fn mini_symbols<'a>(image: &Elf<'a>, store: &'a Store) -> Option<Elf<'a>> {
    let SectionBytes::Borrowed(packed) = image.section(".gnu_debugdata").ok()? else { return None };
    if packed.is_empty() {
        return None;
    }
    let mut bytes = Vec::new();
    lzma_rust2::XzReader::new(packed, false).take(MAX_MINI_SYMBOLS).read_to_end(&mut bytes).ok()?;
    Elf::parse(store.keep(bytes)).ok()
}

fn describe(files: &Files, parsed: &Parsed<'_>, build_id_checked: bool) -> ModuleState {
    let located = &files.located;
    let path = |found: &Found| found.path.clone();
    let source = debug_source(located);
    let why = located
        .why_nothing
        .clone()
        .or_else(|| parsed.damage.clone().map(Reason::Unreadable))
        .or_else(|| missing_supplementary(located))
        .or_else(|| match (&parsed.debug, parsed.symbols.len()) {
            (Some(_), _) => None,
            (None, 0) => Some(located.why_no_debug.clone().unwrap_or(Reason::NoSymbols)),
            (None, _) => Some(located.why_no_debug.clone().unwrap_or(Reason::NoDebugInfo)),
        });
    ModuleState {
        image: located.image.as_ref().map(path),
        debug: source.map(path),
        supplementary: located.supplementary.as_ref().map(path),
        build_id_checked,
        symbol_count: parsed.symbols.len(),
        why,
    }
}

/// That the debug information refers to a file which was not found: names in it are missing.
fn missing_supplementary(located: &Located) -> Option<Reason> {
    let elf = Elf::parse(&debug_source(located)?.bytes).ok()?;
    let (name, _) = elf.alt_link()?;
    located.supplementary.is_none().then(|| {
        let name = String::from_utf8_lossy(name);
        Reason::Unreadable(format!("its supplementary file {name} was not found"))
    })
}

/// Runs `work`; a panic becomes a message.
///
/// Our own code does not panic on hostile input, and the libraries that read ELF and DWARF promise
/// not to. This is the last resort should one break its promise on a file from somebody's tape: one
/// module loses its names, and says so, instead of the user the whole report.
fn shielded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| "reading its debug information failed by an internal error".to_owned())
}
