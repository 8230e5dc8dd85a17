//! What glibc says when it aborts: `free(): invalid pointer`, a failed assertion.
//!
//! It keeps the text for debuggers, in memory that `__abort_msg` points to: a number of bytes, four of them, and
//! then the text. The symbol is looked up in libc's dynamic symbol table, as it lies in the process's memory.

use super::memory::{Memory, ProcessMemory};
use super::unwind::Images;
use heaptape_tape::{Crash, Mapping};

const SYMBOL: &[u8] = b"__abort_msg\0";
/// Most of libc's dynamic symbols that are looked at; it has 3,000.
const MOST_SYMBOLS: u64 = 1 << 16;
/// Most symbols of one chain of the hash table.
const MOST_CHAIN: u32 = 1 << 12;
/// Most entries of a dynamic section.
const MOST_TAGS: u64 = 256;
const SYMBOL_LEN: u64 = 24;
const PT_DYNAMIC: u32 = 2;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_GNU_HASH: u64 = 0x6fff_fef5;

/// The message of the process's libc; `None` where there is none.
pub(super) fn of(memory: &mut ProcessMemory, images: &mut Images<'_>) -> Option<Vec<u8>> {
    let libc = images.maps().iter().find(is_libc)?.start;
    let image = images.at(memory, libc)?;
    let (bias, dynamic) = (image.bias, image.segment(PT_DYNAMIC)?);
    let variable = symbol(memory, bias, dynamic)?;
    let message = memory.word(variable).filter(|&message| message != 0)?;
    let mut head = [0; 4];
    memory.read(message, &mut head).then_some(())?;
    // The size counts the number itself, and room that is not used.
    let size = (u32::from_le_bytes(head) as usize).saturating_sub(4).min(Crash::MAX_MESSAGE);
    let mut text = memory.some_bytes(message + 4, size);
    text.truncate(text.iter().position(|&byte| byte == 0).unwrap_or(text.len()));
    while text.last().is_some_and(u8::is_ascii_whitespace) {
        text.pop();
    }
    (!text.is_empty()).then_some(text)
}

fn is_libc(mapping: &&Mapping) -> bool {
    let name = mapping.name.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    name.starts_with(b"libc.so") || name.starts_with(b"libc-2.")
}

/// The address of the variable, by the GNU hash table.
fn symbol(memory: &mut ProcessMemory, bias: u64, dynamic: u64) -> Option<u64> {
    let [mut strings, mut symbols, mut hashes] = [None; 3];
    for entry in 0..MOST_TAGS {
        let at = dynamic.checked_add(16 * entry)?;
        let (tag, value) = (memory.word(at)?, memory.word(at + 8)?);
        match tag {
            0 => break,
            DT_STRTAB => strings = Some(value),
            DT_SYMTAB => symbols = Some(value),
            DT_GNU_HASH => hashes = Some(value),
            _ => {}
        }
    }
    // glibc's loader has made addresses of them, others leave them relative.
    let absolute = |value: u64| if value < bias { value.wrapping_add(bias) } else { value };
    let (strings, symbols, table) = (absolute(strings?), absolute(symbols?), absolute(hashes?));
    let number = |memory: &mut ProcessMemory, at: u64| {
        let mut bytes = [0; 4];
        memory.read(at, &mut bytes).then(|| u32::from_le_bytes(bytes))
    };
    let [buckets, first, bloom] =
        [0, 4, 8].map(|at| number(memory, table.wrapping_add(at)).unwrap_or(0));
    let hash = SYMBOL[..SYMBOL.len() - 1]
        .iter()
        .fold(5381u32, |hash, &byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte)));
    let bucket = hash.checked_rem(buckets)?;
    let bucket_at = table.wrapping_add(16 + 8 * u64::from(bloom));
    let chain_at = bucket_at.wrapping_add(4 * u64::from(buckets));
    let begin = number(memory, bucket_at.wrapping_add(4 * u64::from(bucket)))?;
    for index in begin..begin.saturating_add(MOST_CHAIN) {
        let place = u64::from(index.checked_sub(first)?);
        let link = number(memory, chain_at.wrapping_add(4 * place))?;
        if u64::from(index) > MOST_SYMBOLS {
            return None;
        }
        if link | 1 == hash | 1 {
            let entry = symbols.wrapping_add(SYMBOL_LEN * u64::from(index));
            let mut name = [0; SYMBOL.len()];
            let name_at = strings.wrapping_add(u64::from(number(memory, entry)?));
            if memory.read(name_at, &mut name) && name == SYMBOL {
                return Some(bias.wrapping_add(memory.word(entry.wrapping_add(8))?));
            }
        }
        if link & 1 == 1 {
            return None;
        }
    }
    None
}
