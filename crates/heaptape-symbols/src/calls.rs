//! What a call site calls: the function that the instruction before a return address names.
//!
//! Only calls that say so themselves are understood: to an address in the file, or through an entry of the tables
//! by which the loader links modules. Of an indirect call nothing is known.

use object::{Object, ObjectSection, ObjectSymbol, ObjectSymbolTable, RelocationTarget};

use crate::elf::Elf;

/// `call rel32`.
const CALL: usize = 5;
/// `call *disp32(%rip)`.
const CALL_INDIRECT: usize = 6;
/// What a stub of the linkage table may begin with: `endbr64`, `bnd`.
const BEFORE_JUMP: [&[u8]; 3] = [b"\xf3\x0f\x1e\xfa", b"\xf3\x0f\x1e\xfa\xf2", b""];

/// The raw name of the function called by the instruction that ends at `return_address`. `named`: the raw name of the
/// function that begins at an address.
pub(crate) fn called<'a>(
    image: &Elf<'a>,
    return_address: u64,
    named: impl Fn(u64) -> Option<&'a [u8]>,
) -> Option<String> {
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    if let Some([0xe8, rel @ ..]) = bytes::<CALL>(image, return_address, CALL) {
        let target = displaced(return_address, rel);
        return named(target).map(text).or_else(|| linked(image, jump_slot(image, target)?));
    }
    match bytes::<CALL_INDIRECT>(image, return_address, CALL_INDIRECT)? {
        [0xff, 0x15, rel @ ..] => linked(image, displaced(return_address, rel)),
        _ => None,
    }
}

/// The word that the stub at `stub` jumps through.
fn jump_slot(image: &Elf<'_>, stub: u64) -> Option<u64> {
    BEFORE_JUMP.iter().find_map(|before| {
        let at = stub.checked_add(before.len() as u64)?;
        let is_after = bytes_at(image, stub, before.len() as u64)? == *before;
        match bytes_at(image, at, 6)? {
            [0xff, 0x25, rel @ ..] if is_after => {
                Some(displaced(at.checked_add(6)?, rel.try_into().ok()?))
            }
            _ => None,
        }
    })
}

/// The name of the symbol whose address the loader writes to `slot`.
fn linked(image: &Elf<'_>, slot: u64) -> Option<String> {
    let (_, relocation) = image.file.dynamic_relocations()?.find(|(at, _)| *at == slot)?;
    let RelocationTarget::Symbol(index) = relocation.target() else { return None };
    let symbol = image.file.dynamic_symbol_table()?.symbol_by_index(index).ok()?;
    let name = symbol.name_bytes().ok().filter(|name| !name.is_empty())?;
    Some(String::from_utf8_lossy(name).into_owned())
}

fn displaced(from: u64, rel: [u8; 4]) -> u64 {
    from.wrapping_add_signed(i32::from_le_bytes(rel).into())
}

/// The `before` bytes before an address.
fn bytes<const N: usize>(image: &Elf<'_>, address: u64, before: usize) -> Option<[u8; N]> {
    bytes_at(image, address.checked_sub(before as u64)?, before as u64)?.try_into().ok()
}

fn bytes_at<'a>(image: &Elf<'a>, address: u64, length: u64) -> Option<&'a [u8]> {
    let covers = |start: u64, size: u64| address >= start && address - start < size;
    let section = image.file.sections().find(|s| covers(s.address(), s.size()))?;
    section.data_range(address, length).ok().flatten()
}
