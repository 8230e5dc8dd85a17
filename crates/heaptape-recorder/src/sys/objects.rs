//! Loaded objects: who covers an address, and where a symbol is defined.
//!
//! Both without the loader's locks: `_dl_find_object` (glibc 2.35) is lock-free, and symbols are looked
//! up in the link map's own hash tables. `dlsym` would do more than we may (it can allocate and lock),
//! and `__libc_malloc` would bypass a jemalloc that the program is linked with.

use core::arch::asm;
use core::ffi::CStr;
use core::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

/// The address of a symbol of the loader or libc; 0 when this one lacks it (a strong reference would keep
/// us from being loaded at all).
macro_rules! weak_address {
    ($symbol:literal) => {{
        let address: usize;
        // SAFETY: loads a word of our own global offset table.
        unsafe {
            asm!(concat!(".weak ", $symbol), concat!("mov {0}, qword ptr [rip + ", $symbol, "@GOTPCREL]"), out(reg) address,
                 options(nostack, readonly, pure, preserves_flags))
        }
        address
    }};
}

/// The public head of the loader's `struct link_map`.
#[repr(C)]
pub struct LinkMap {
    /// Load bias.
    pub bias: usize,
    /// Path, zero-terminated; empty for the executable.
    pub name: *const u8,
    /// The dynamic section.
    pub dynamic: *const [usize; 2],
    /// The next object in load order.
    pub next: *const LinkMap,
    /// The previous one.
    pub prev: *const LinkMap,
}

#[repr(C)]
struct FoundObject {
    flags: u64,
    map_start: usize,
    map_end: usize,
    link_map: *const LinkMap,
    eh_frame_hdr: usize,
    reserved: [u64; 7],
}

/// An object that covers an address.
#[derive(Clone, Copy)]
pub struct Object {
    /// First mapped address.
    pub start: usize,
    /// First address after it.
    pub end: usize,
    /// The loader's record of it.
    pub link_map: *const LinkMap,
    /// Its `.eh_frame_hdr`; 0 when it has none.
    pub eh_frame_hdr: usize,
}

/// The object whose mapping covers `address`.
pub fn find(address: usize) -> Option<Object> {
    let function = weak_address!("_dl_find_object");
    if function == 0 {
        return None;
    }
    // SAFETY: the loader's function of that name has this signature (glibc manual, "Dynamic Linker
    // Introspection"); it is async-signal-safe and takes no lock.
    let function: unsafe extern "C" fn(usize, *mut FoundObject) -> i32 =
        unsafe { core::mem::transmute(function) };
    let mut found = FoundObject {
        flags: 0,
        map_start: 0,
        map_end: 0,
        link_map: core::ptr::null(),
        eh_frame_hdr: 0,
        reserved: [0; 7],
    };
    // SAFETY: `found` is at least as large as the loader's struct.
    if unsafe { function(address, &raw mut found) } != 0 {
        return None;
    }
    Some(Object {
        start: found.map_start,
        end: found.map_end,
        link_map: found.link_map,
        eh_frame_hdr: found.eh_frame_hdr,
    })
}

/// The head of the list of loaded objects; null when the loader does not tell.
pub fn first() -> *const LinkMap {
    let debug = weak_address!("_r_debug") as *const [usize; 2];
    if debug.is_null() {
        return core::ptr::null();
    }
    // SAFETY: struct r_debug { int version; link_map *map; … }, filled by the loader before it runs us.
    unsafe { (*debug)[1] as *const LinkMap }
}

/// The stack as the kernel made it: argc, argv, 0, envp, 0, auxv. Null when the loader does not tell.
pub fn initial_stack() -> *const usize {
    let end = weak_address!("__libc_stack_end") as *const *const usize;
    if end.is_null() {
        return core::ptr::null();
    }
    // SAFETY: a pointer variable of the loader, set before any code of ours runs.
    unsafe { *end }
}

/// libc's `environ`. By the loader's own binding, not by our lookup: an executable that names the variable
/// has the only live copy of it.
pub fn environ() -> *const *const u8 {
    let variable = weak_address!("environ") as *const *const *const u8;
    if variable.is_null() {
        return core::ptr::null();
    }
    // SAFETY: a pointer variable of libc.
    unsafe { *variable }
}

/// libc's own word on whether the process has one thread: not 0 only while it has. Null when this libc lacks it
/// (before glibc 2.32). By the loader's own binding, as `environ`.
pub fn single_threaded() -> *const AtomicU8 {
    weak_address!("__libc_single_threaded") as *const AtomicU8
}

/// What a lookup is about to look for: its name and hashes.
struct Wanted<'a> {
    name: &'a CStr,
    gnu_hash: u32,
}

impl Wanted<'_> {
    fn new(name: &CStr) -> Wanted<'_> {
        let mut hash = 5381u32;
        for &byte in name.to_bytes() {
            hash = hash.wrapping_mul(33).wrapping_add(u32::from(byte));
        }
        Wanted { name, gnu_hash: hash }
    }
}

/// A definition, and whether its object was there when the program started: such objects are in the scope of
/// everybody and are never unloaded.
#[derive(Clone, Copy)]
pub struct Definition {
    /// Where it is.
    pub address: usize,
    /// Whether it will stay.
    pub lasting: bool,
}

/// The last object that was loaded when this was first asked, which is before the program can have opened
/// any.
fn last_of_startup() -> *const LinkMap {
    static LAST: AtomicPtr<LinkMap> = AtomicPtr::new(core::ptr::null_mut());
    let known = LAST.load(Ordering::Relaxed);
    if !known.is_null() {
        return known;
    }
    let mut map = first();
    // SAFETY: the loader's list.
    unsafe {
        while !map.is_null() && !(*map).next.is_null() {
            map = (*map).next;
        }
    }
    LAST.store(map.cast_mut(), Ordering::Relaxed);
    map
}

/// The default version of `name` in the very object that covers `address`.
pub fn definition_at(address: usize, name: &CStr) -> Option<usize> {
    definition_in(find(address)?.link_map, &Wanted::new(name))
}

/// The default version of `name` in the first object after the one that covers `after` (in load order)
/// that defines it.
///
/// As `dlsym(RTLD_NEXT)`, but objects opened later and locally are found too: a C++ library that a C
/// program loads brings its own `operator new` that way.
pub fn next_definition(after: usize, name: &CStr) -> Option<Definition> {
    let wanted = Wanted::new(name);
    let own = find(after).map(|o| o.link_map);
    let last = last_of_startup();
    let mut map = first();
    let mut seen_own = own.is_none();
    let mut lasting = true;
    while !map.is_null() {
        if seen_own && let Some(address) = definition_in(map, &wanted) {
            return Some(Definition { address, lasting });
        }
        seen_own |= own == Some(map);
        lasting &= map != last;
        // SAFETY: the loader's list; objects at its front are never unloaded while we are loaded, and
        // lookups are made at start or on behalf of a caller whose library is loaded.
        map = unsafe { (*map).next };
    }
    None
}

/// The address of `name` in the object whose path ends in `file`.
pub fn definition_in_file(file: &[u8], name: &CStr) -> Option<usize> {
    let wanted = Wanted::new(name);
    let mut map = first();
    while !map.is_null() {
        // SAFETY: as in `next_definition`; a name is a zero-terminated string.
        unsafe {
            let path = (*map).name;
            if !path.is_null()
                && CStr::from_ptr(path.cast()).to_bytes().ends_with(file)
                && let Some(address) = definition_in(map, &wanted)
            {
                return Some(address);
            }
            map = (*map).next;
        }
    }
    None
}

#[derive(Default)]
struct Tables {
    strings: usize,
    symbols: usize,
    versions: usize,
    gnu_hash: usize,
    hash: usize,
}

#[repr(C)]
struct Symbol {
    name: u32,
    info: u8,
    other: u8,
    section: u16,
    value: usize,
    size: usize,
}

fn tables(map: *const LinkMap) -> Tables {
    let mut tables = Tables::default();
    // SAFETY: a loaded object's dynamic section is mapped and ends with a null tag.
    unsafe {
        let bias = (*map).bias;
        let mut entry = (*map).dynamic;
        if entry.is_null() {
            return tables;
        }
        while (*entry)[0] != 0 {
            // glibc stores relocated pointers, except where the section is read-only.
            let value = (*entry)[1];
            let pointer = if value < bias { value + bias } else { value };
            match (*entry)[0] {
                4 => tables.hash = pointer,
                5 => tables.strings = pointer,
                6 => tables.symbols = pointer,
                0x6fff_fff0 => tables.versions = pointer,
                0x6fff_fef5 => tables.gnu_hash = pointer,
                _ => {}
            }
            entry = entry.add(1);
        }
    }
    tables
}

fn definition_in(map: *const LinkMap, wanted: &Wanted<'_>) -> Option<usize> {
    let tables = tables(map);
    if tables.symbols == 0 || tables.strings == 0 {
        return None;
    }
    if tables.gnu_hash == 0 {
        return definition_by_count(map, &tables, wanted);
    }
    // The layout of DT_GNU_HASH: bucket count, first symbol, bloom words, bloom shift; bloom; buckets;
    // chains whose last entry has bit 0 set.
    // SAFETY: the tables of a loaded object, as its linker made them; indices come from them.
    unsafe {
        let header = tables.gnu_hash as *const u32;
        let (bucket_count, first, bloom) = (*header, *header.add(1), *header.add(2));
        if bucket_count == 0 {
            return None;
        }
        let buckets = header.add(4).add(bloom as usize * 2);
        let chains = buckets.add(bucket_count as usize);
        let mut index = *buckets.add((wanted.gnu_hash % bucket_count) as usize);
        if index < first {
            return None;
        }
        loop {
            let chain = *chains.add((index - first) as usize);
            if chain | 1 == wanted.gnu_hash | 1
                && let Some(address) = matching((*map).bias, &tables, index as usize, wanted)
            {
                return Some(address);
            }
            if chain & 1 != 0 {
                return None;
            }
            index += 1;
        }
    }
}

/// For an object with only the old hash table: that one at least counts the symbols.
fn definition_by_count(map: *const LinkMap, tables: &Tables, wanted: &Wanted<'_>) -> Option<usize> {
    if tables.hash == 0 {
        return None;
    }
    // SAFETY: DT_HASH begins with the numbers of buckets and of symbols.
    let count = unsafe { *(tables.hash as *const u32).add(1) } as usize;
    // SAFETY: a loaded object, and symbols that it has.
    (1..count).find_map(|index| unsafe { matching((*map).bias, tables, index, wanted) })
}

/// # Safety
/// `index` is one of the object's symbols.
unsafe fn matching(
    bias: usize,
    tables: &Tables,
    index: usize,
    wanted: &Wanted<'_>,
) -> Option<usize> {
    // SAFETY: the caller's promise; names are zero-terminated strings of the string table.
    unsafe {
        let symbol = &*(tables.symbols as *const Symbol).add(index);
        let name = CStr::from_ptr((tables.strings + symbol.name as usize) as *const _);
        // Bit 15 of a version marks those that only old binaries mean.
        let hidden =
            tables.versions != 0 && *(tables.versions as *const u16).add(index) & 0x8000 != 0;
        if symbol.section == 0 || hidden || name != wanted.name {
            return None;
        }
        let address = bias + symbol.value;
        match symbol.info & 0xf {
            // An indirect function: its resolver picks the variant for this machine.
            10 => Some(core::mem::transmute::<usize, extern "C" fn() -> usize>(address)()),
            0..=2 => Some(address),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the loader's own lookup finds, ours finds.
    #[test]
    fn finds_what_the_program_calls() {
        unsafe extern "C" {
            fn getenv(name: *const u8) -> *const u8;
        }
        let found = definition_in_file(b"libc.so.6", c"getenv").unwrap();
        assert_eq!(found, getenv as *const () as usize);
        assert!(definition_in_file(b"libc.so.6", c"no_such_function_here").is_none());
        let here = finds_what_the_program_calls as *const () as usize;
        let malloc = next_definition(here, c"malloc").unwrap();
        assert!(malloc.lasting);
        assert_eq!(definition_at(malloc.address, c"malloc"), Some(malloc.address));
        assert!(definition_at(here, c"no_such_function_here").is_none());
    }

    #[test]
    fn finds_the_object_of_an_address() {
        let here = finds_the_object_of_an_address as *const () as usize;
        let object = find(here).unwrap();
        assert!(object.start <= here && here < object.end);
        assert!(object.eh_frame_hdr != 0);
        assert!(find(16).is_none());
    }

    #[test]
    fn the_initial_stack_starts_with_argc() {
        let argc = std::env::args_os().count();
        // SAFETY: the kernel put argc there.
        assert_eq!(unsafe { *initial_stack() }, argc);
    }
}
