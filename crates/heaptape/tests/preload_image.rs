//! The preload library as it is embedded: what it exports, what it may call, how it is loaded.

use object::read::elf::{Dyn, ElfFile64};
use object::{Endianness, Object, ObjectSymbol, elf};
use std::collections::BTreeSet;

const IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libheaptape_preload.so"));
const EXPORTS: &str = include_str!("../../heaptape-preload/exports.txt");

/// All that the library takes from others. No malloc, no dlsym, no stdio: it can neither allocate nor print.
const MAY_CALL: [&str; 11] = [
    "__libc_single_threaded",
    "__libc_stack_end",
    "_dl_find_object",
    "_r_debug",
    "bcmp",
    "environ",
    "memcmp",
    "memcpy",
    "memmove",
    "memset",
    "strlen",
];

fn image() -> ElfFile64<'static, Endianness> {
    ElfFile64::parse(IMAGE).expect("an ELF file")
}

fn names(defined: bool) -> BTreeSet<String> {
    image()
        .dynamic_symbols()
        .filter(|symbol| symbol.is_definition() == defined)
        .map(|symbol| symbol.name().expect("a name").to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn exports_what_is_listed() {
    let listed: BTreeSet<String> = EXPORTS.lines().map(str::to_owned).collect();
    assert_eq!(names(true), listed);
}

#[test]
fn calls_nothing_that_could_allocate_or_print() {
    let allowed: BTreeSet<String> = MAY_CALL.map(str::to_owned).into();
    let strangers: Vec<String> = names(false).difference(&allowed).cloned().collect();
    assert!(strangers.is_empty(), "{strangers:?}");
}

/// Bound at load (a lazily bound call would go through the loader inside malloc), in the static TLS model, and
/// needing libc alone.
#[test]
fn is_loaded_at_once() {
    let file = image();
    let sections = file.elf_section_table();
    let (entries, strings) =
        sections.dynamic(Endianness::Little, IMAGE).unwrap().expect("a dynamic section");
    let strings = sections.strings(Endianness::Little, IMAGE, strings).unwrap();
    let mut needed = Vec::new();
    let mut flags = 0;
    for entry in entries {
        match entry.d_tag(Endianness::Little) {
            elf::DT_NEEDED => needed.push(entry.string(Endianness::Little, strings).unwrap()),
            elf::DT_FLAGS => flags = entry.d_val(Endianness::Little),
            _ => {}
        }
    }
    assert_eq!(needed, [b"libc.so.6"]);
    let (bind_now, static_tls) = (8, 16);
    assert_eq!(flags & (bind_now | static_tls), bind_now | static_tls);
}
