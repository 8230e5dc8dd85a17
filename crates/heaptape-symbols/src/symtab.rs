//! The symbol table: function names without lines.

use object::{Object, ObjectSymbol, ObjectSymbolTable, SymbolIndex, SymbolKind, SymbolSection};

use crate::elf::Elf;

/// How many symbols before an address are tried. Symbols that cover one another are few: aliases of
/// one function, labels inside one.
const MAX_TRIES: usize = 64;

/// The functions of one or more ELF files, by address.
#[derive(Default)]
pub(crate) struct SymbolTable<'a> {
    files: Vec<Elf<'a>>,
    /// Sorted by address.
    symbols: Vec<Symbol>,
}

#[derive(Clone, Copy)]
struct Symbol {
    start: u64,
    /// First address after it; for a symbol without a size, the end of its section.
    end: u64,
    sized: bool,
    function: bool,
    local: bool,
    weak: bool,
    /// Of `.dynsym`; else of `.symtab`.
    dynamic: bool,
    file: u16,
    index: u32,
}

impl<'a> SymbolTable<'a> {
    /// The functions of `files`; those of an earlier file win.
    pub(crate) fn new(files: Vec<Elf<'a>>) -> SymbolTable<'a> {
        let mut symbols = Vec::new();
        for (number, elf) in files.iter().enumerate() {
            let code_ends = elf.code_ends();
            let mut collect = |symbol: object::Symbol<'_, '_>, dynamic| {
                symbols.extend(function_symbol(&symbol, &code_ends, number as u16, dynamic));
            };
            elf.file.symbols().for_each(|symbol| collect(symbol, false));
            elf.file.dynamic_symbols().for_each(|symbol| collect(symbol, true));
        }
        symbols.sort_by_key(|symbol| (symbol.start, symbol.file, symbol.dynamic));
        SymbolTable { files, symbols }
    }

    /// Symbols that can name an address.
    pub(crate) fn len(&self) -> usize {
        self.symbols.len()
    }

    /// The raw name of the function that covers `address`.
    ///
    /// A symbol with a size covers exactly that; one without (assembler) covers what follows up to
    /// the next symbol. Of several names for one function the most public one is taken: `malloc`
    /// rather than `__libc_malloc`.
    pub(crate) fn name_at(&self, address: u64) -> Option<&'a [u8]> {
        let after = self.symbols.partition_point(|symbol| symbol.start <= address);
        let before = || self.symbols[..after].iter().rev().take(MAX_TRIES);
        let nearest = before().next()?.start;
        let covering = before()
            .find(|symbol| symbol.sized && address < symbol.end)
            .or_else(|| before().find(|s| !s.sized && s.start == nearest && address < s.end))?;
        before()
            .filter(|symbol| {
                symbol.start == covering.start
                    && symbol.sized == covering.sized
                    && address < symbol.end
            })
            .filter_map(|symbol| Some((symbol, self.name(symbol)?)))
            .min_by_key(|(symbol, name)| {
                let underscores = name.iter().take_while(|&&byte| byte == b'_').count();
                // Mangled names begin with one or two underscores by rule, not to hide.
                let mangled = name.starts_with(b"_Z") || name.starts_with(b"_R");
                let hidden = if mangled { 0 } else { underscores };
                (!symbol.function, symbol.file, symbol.local, hidden, symbol.weak)
            })
            .map(|(_, name)| name)
    }

    /// The raw name of the function that begins at `address`.
    pub(crate) fn name_of(&self, address: u64) -> Option<&'a [u8]> {
        let from = self.symbols.partition_point(|symbol| symbol.start < address);
        let begins = self.symbols[from..].first().is_some_and(|symbol| symbol.start == address);
        if begins { self.name_at(address) } else { None }
    }

    /// Whether there is a function of one of these raw names.
    pub(crate) fn has_any(&self, raw_names: &[&str]) -> bool {
        self.symbols
            .iter()
            .filter_map(|symbol| self.name(symbol))
            .any(|name| raw_names.iter().any(|wanted| wanted.as_bytes() == name))
    }

    fn name(&self, symbol: &Symbol) -> Option<&'a [u8]> {
        let file = &self.files.get(usize::from(symbol.file))?.file;
        let table =
            if symbol.dynamic { file.dynamic_symbol_table()? } else { file.symbol_table()? };
        let name = table.symbol_by_index(SymbolIndex(symbol.index as usize)).ok()?;
        name.name_bytes().ok().filter(|name| !name.is_empty())
    }
}

/// The symbol as an entry of the table, if it stands for code.
fn function_symbol(
    symbol: &object::Symbol<'_, '_>,
    code_ends: &[Option<u64>],
    file: u16,
    dynamic: bool,
) -> Option<Symbol> {
    let function = symbol.kind() == SymbolKind::Text;
    if !function && !matches!(symbol.kind(), SymbolKind::Unknown | SymbolKind::Label) {
        return None;
    }
    let SymbolSection::Section(section) = symbol.section() else { return None };
    let section_end = (*code_ends.get(section.0)?)?;
    let start = symbol.address();
    let sized = symbol.size() > 0;
    let end = if sized { start.saturating_add(symbol.size()) } else { section_end };
    let index = u32::try_from(symbol.index().0).ok()?;
    let (local, weak) = (symbol.is_local(), symbol.is_weak());
    Some(Symbol { start, end, sized, function, local, weak, dynamic, file, index })
}
