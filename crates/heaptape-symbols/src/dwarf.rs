//! Debug information of one module: address to functions, inlined ones included, and lines.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use addr2line::{Context, LookupContinuation, LookupResult, SplitDwarfLoad};
use gimli::{Dwarf, DwarfPackage, RunTimeEndian, SectionId};
use object::Object;
use typed_arena::Arena;

use crate::answer::Frame;
use crate::demangle::demangle;
use crate::elf::{Elf, SectionBytes};
use crate::guard::{Guard, GuardedReader};
use crate::mapped::MappedFile;
use crate::search::{SearchPaths, path_of};

/// A longer name is cut, bytes. C++ templates reach some megabytes; beyond that it is no name.
const MAX_NAME_LEN: usize = 4 << 20;

/// Bytes that debug information borrows and that come to be while it is read.
pub(crate) struct Store {
    decompressed: Arena<Vec<u8>>,
    split_files: Arena<MappedFile>,
    pub(crate) guard: Guard,
}

impl Store {
    pub(crate) fn new() -> Store {
        Store { decompressed: Arena::new(), split_files: Arena::new(), guard: Guard::new() }
    }

    /// Keeps `bytes` as long as the store.
    pub(crate) fn keep(&self, bytes: Vec<u8>) -> &[u8] {
        self.decompressed.alloc(bytes)
    }
}

/// The debug information of one module, parsed as far as it was needed.
pub(crate) struct DebugInfo<'a> {
    context: Context<GuardedReader<'a>>,
    package: Option<DwarfPackage<GuardedReader<'a>>>,
}

impl<'a> DebugInfo<'a> {
    /// Reads the list of compilation units; everything else waits until it is asked for.
    ///
    /// `package` is where a `.dwp` file would be.
    pub(crate) fn open(
        elf: &Elf<'a>,
        supplementary: Option<&Elf<'a>>,
        packages: &[PathBuf],
        store: &'a Store,
    ) -> Result<DebugInfo<'a>, String> {
        store.guard.enter();
        let describe = |error: gimli::Error| describe(error, store);
        let mut dwarf = Dwarf::load(|id| load_section(elf, section_name(id), store))?;
        if let Some(supplementary) = supplementary {
            dwarf.load_sup(|id| load_section(supplementary, section_name(id), store))?;
        }
        dwarf.populate_abbreviations_cache(gimli::AbbreviationsCacheStrategy::Duplicates);
        let context = Context::from_dwarf(dwarf).map_err(describe)?;
        let package = packages.iter().find_map(|path| open_package(path, store));
        Ok(DebugInfo { context, package })
    }

    /// The frames at `address`, innermost first; none when no unit covers it.
    ///
    /// `address` lies inside the call instruction, not after it.
    pub(crate) fn frames(
        &self,
        address: u64,
        search: &SearchPaths,
        store: &'a Store,
    ) -> Result<Vec<Frame>, String> {
        store.guard.enter();
        let describe = |error: gimli::Error| describe(error, store);
        let mut lookup = self.context.find_frames(address);
        let mut found = loop {
            match lookup {
                LookupResult::Output(output) => break output.map_err(describe)?,
                LookupResult::Load { load, continuation } => {
                    let split = self.load_split(&load, search, store);
                    lookup = continuation.resume(split.map(Arc::new));
                }
            }
        };
        let mut frames = Vec::new();
        while let Some(frame) = found.next().map_err(describe)? {
            frames.push(to_frame(&frame));
        }
        if let Some((_outermost, inlined)) = frames.split_last_mut() {
            inlined.iter_mut().for_each(|frame| frame.inlined = true);
        }
        Ok(frames)
    }

    /// The split unit that `load` asks for, from the package or from its own `.dwo` file. It is the
    /// right one if its 64-bit id is.
    fn load_split(
        &self,
        load: &SplitDwarfLoad<GuardedReader<'a>>,
        search: &SearchPaths,
        store: &'a Store,
    ) -> Option<Dwarf<GuardedReader<'a>>> {
        let packed = self.package.as_ref();
        if let Some(unit) = packed.and_then(|p| p.find_cu(load.dwo_id, &load.parent).ok()?) {
            return Some(unit);
        }
        let name = path_of(load.path.as_ref()?.bytes());
        let dir = load.comp_dir.map(|dir| path_of(dir.bytes())).unwrap_or_default();
        let path = dir.join(name).into_os_string().into_encoded_bytes();
        search.places_of(&path).iter().find_map(|place| {
            let mut dwarf = open_split(place, store)?;
            let header = dwarf.units().next().ok()??;
            let unit = dwarf.unit(header).ok()?;
            if unit.dwo_id != Some(load.dwo_id) {
                return None;
            }
            dwarf.make_dwo(&load.parent);
            Some(dwarf)
        })
    }
}

/// The sections of a `.dwo` file.
fn open_split<'a>(place: &Path, store: &'a Store) -> Option<Dwarf<GuardedReader<'a>>> {
    let bytes = store.split_files.alloc(MappedFile::open(place).ok()?);
    let elf = Elf::parse(bytes).ok()?;
    Dwarf::load(|id| load_section(&elf, id.dwo_name(), store)).ok()
}

fn open_package<'a>(place: &Path, store: &'a Store) -> Option<DwarfPackage<GuardedReader<'a>>> {
    let bytes = store.split_files.alloc(MappedFile::open(place).ok()?);
    let elf = Elf::parse(bytes).ok()?;
    let empty = GuardedReader::new(&[], endian_of(&elf), &store.guard);
    let load = |id: SectionId| -> Result<_, gimli::Error> {
        load_section(&elf, id.dwo_name(), store).map_err(|_| gimli::Error::Io)
    };
    DwarfPackage::load(load, empty).ok()
}

/// The section's name, if finding functions and lines needs it; the others are not even
/// decompressed.
fn section_name(id: SectionId) -> Option<&'static str> {
    use SectionId::*;
    match id {
        DebugAbbrev | DebugAddr | DebugAranges | DebugInfo | DebugLine | DebugLineStr
        | DebugRanges | DebugRngLists | DebugStr | DebugStrOffsets => Some(id.name()),
        _ => None,
    }
}

fn load_section<'a>(
    elf: &Elf<'a>,
    name: Option<&str>,
    store: &'a Store,
) -> Result<GuardedReader<'a>, String> {
    let bytes = match name {
        None => &[],
        Some(name) => match elf.section(name)? {
            SectionBytes::Borrowed(bytes) => bytes,
            SectionBytes::Decompressed(bytes) => store.keep(bytes),
        },
    };
    store.guard.grant(bytes.len());
    Ok(GuardedReader::new(bytes, endian_of(elf), &store.guard))
}

fn endian_of(elf: &Elf<'_>) -> RunTimeEndian {
    if elf.file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big }
}

fn describe(error: gimli::Error, store: &Store) -> String {
    match store.guard.complaint() {
        Some(complaint) => complaint.to_owned(),
        None => format!("its debug information is damaged: {error}"),
    }
}

fn to_frame(frame: &addr2line::Frame<'_, GuardedReader<'_>>) -> Frame {
    let location = frame.location.as_ref();
    let name = frame.function.as_ref().map(|function| function.name.bytes());
    Frame {
        file: location.and_then(|l| l.file).filter(|file| !file.is_empty()).map(str::to_owned),
        line: location.and_then(|l| l.line),
        column: location.and_then(|l| l.column).filter(|&column| column > 0),
        ..named(name)
    }
}

/// A frame that has but this name.
pub(crate) fn named(raw: Option<&[u8]>) -> Frame {
    let raw = raw.filter(|raw| !raw.is_empty()).map(name_text);
    let function = raw.as_deref().map(|raw| demangle(raw).into_owned());
    Frame { function, raw_function: raw, ..Frame::default() }
}

/// The bytes as text, bounded.
fn name_text(raw: &[u8]) -> String {
    if raw.len() <= MAX_NAME_LEN {
        return String::from_utf8_lossy(raw).into_owned();
    }
    format!("{}…", String::from_utf8_lossy(&raw[..MAX_NAME_LEN]))
}
