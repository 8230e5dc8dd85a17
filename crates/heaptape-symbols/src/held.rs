//! What a module's file holds at an address: its section, and the variable or function over it.
//!
//! For the few addresses that a view asks about, so the symbols are looked through one by one.

use object::{
    Object, ObjectSection, ObjectSymbol, Section, SectionFlags, SymbolKind, elf as flags,
};

use crate::demangle::demangle;
use crate::elf::Elf;

/// What lies at an address of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The section's name.
    pub section: String,
    /// Whether it is code.
    pub code: bool,
    /// Whether the program may write there.
    pub writable: bool,
    /// The variable or function that covers the address, demangled; `None` when no symbol does.
    pub symbol: Option<String>,
    /// The address lies so far into it; without a symbol, into the section.
    pub offset: u64,
}

/// What `image` holds at `address`, named by the symbols of any of both.
pub(crate) fn held_at(image: &Elf<'_>, debug: Option<&Elf<'_>>, address: u64) -> Option<Held> {
    let section = image.file.sections().find(|section| covers(section, address))?;
    let symbol = [Some(image), debug].into_iter().flatten().find_map(|elf| symbol_at(elf, address));
    let section_flags = flags_of(&section);
    Some(Held {
        section: String::from_utf8_lossy(section.name_bytes().unwrap_or_default()).into_owned(),
        code: section_flags & flags::SHF_EXECINSTR.0 != 0,
        writable: section_flags & flags::SHF_WRITE.0 != 0,
        offset: address - symbol.as_ref().map_or(section.address(), |(_, start)| *start),
        symbol: symbol.map(|(name, _)| name),
    })
}

fn flags_of(section: &Section<'_, '_>) -> u64 {
    match section.flags() {
        SectionFlags::Elf { sh_flags, .. } => sh_flags.0,
        _ => 0,
    }
}

/// Whether memory of the section is at the address. Templates of thread-local data are nowhere.
fn covers(section: &Section<'_, '_>, address: u64) -> bool {
    let section_flags = flags_of(section);
    section_flags & flags::SHF_ALLOC.0 != 0
        && section_flags & flags::SHF_TLS.0 == 0
        && section.address() <= address
        && address - section.address() < section.size()
}

/// The smallest symbol over the address and its start.
fn symbol_at(elf: &Elf<'_>, address: u64) -> Option<(String, u64)> {
    let symbols = elf.file.symbols().chain(elf.file.dynamic_symbols());
    let over = symbols.filter(|symbol| {
        matches!(symbol.kind(), SymbolKind::Data | SymbolKind::Text)
            && symbol.address() <= address
            && address - symbol.address() < symbol.size()
    });
    let nearest = over.min_by_key(|symbol| (symbol.size(), symbol.is_local()))?;
    let name = nearest.name_bytes().ok().filter(|name| !name.is_empty())?;
    Some((demangle(&String::from_utf8_lossy(name)).into_owned(), nearest.address()))
}
