//! Which ELF files the code addresses lie in, over time.
//!
//! All modules loaded when recording begins are announced at once, later ones when the first backtrace
//! passes through them (before the event that carries it), and those that `dlclose` unloads right
//! after it. Nothing of this takes the loader's locks.
//!
//! The table is ordinary memory: a forked child announces its parent's modules as its own.

use crate::capture::rules;
use crate::emit::{self, ModuleFact};
use crate::gate;
use crate::sys::call;
use crate::sys::objects::{self, LinkMap, Object};
use crate::thread::{self, Regs, Thread};
use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use heaptape_wire::record::{MAX_BUILD_ID, MAX_PATH};
use heaptape_wire::{FNV_START, fnv1a};

/// Most modules known at once; those beyond it are announced anew each time a rule is computed in them.
const MAX_MODULES: usize = 4096;

/// A known module; `start` 0 is an empty place. Written under `LOCK`, read without it.
struct Known {
    start: AtomicUsize,
    end: AtomicUsize,
    /// See [`identity`].
    identity: AtomicU64,
}

static KNOWN: [Known; MAX_MODULES] = [const {
    Known { start: AtomicUsize::new(0), end: AtomicUsize::new(0), identity: AtomicU64::new(0) }
}; MAX_MODULES];
/// Places of `KNOWN` in use.
static COUNT: AtomicUsize = AtomicUsize::new(0);
static LOCK: AtomicU32 = AtomicU32::new(0);

/// Holds the table. Never held while anything foreign is called; signals are blocked, so that no handler
/// of the holder can come for it.
struct Guard {
    _signals: call::SignalsBlocked,
}

impl Guard {
    fn take() -> Guard {
        let signals = call::SignalsBlocked::new();
        // Acquire pairs with the release in `drop`.
        while LOCK.swap(1, Ordering::Acquire) != 0 {
            call::sched_yield();
        }
        Guard { _signals: signals }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        LOCK.store(0, Ordering::Release);
    }
}

/// Announces everything that is loaded now.
pub(crate) fn announce_loaded(thread: &mut Thread) {
    let mut map = objects::first();
    while !map.is_null() {
        // SAFETY: the loader's list, at the first call of the process.
        let (dynamic, next) = unsafe { ((*map).dynamic, (*map).next) };
        if let Some(object) = objects::find(dynamic as usize) {
            meet(thread, &object);
        }
        map = next;
    }
}

/// Announces the modules of the parent as those of the forked child.
pub(crate) fn announce_known(thread: &mut Thread) {
    for known in &KNOWN[..COUNT.load(Ordering::Acquire)] {
        let start = known.start.load(Ordering::Relaxed);
        if start != 0
            && let Some(object) = objects::find(start)
        {
            announce(thread, &object);
        }
    }
}

/// In a forked child that joins: a thread that is gone may have held the table.
pub(crate) fn after_fork() {
    LOCK.store(0, Ordering::Relaxed);
}

/// Announces the module of `object` if it is not known yet. The thread is inside a hook.
pub(crate) fn meet(thread: &mut Thread, object: &Object) {
    let identity = identity(object);
    let is_known = |k: &Known| {
        k.start.load(Ordering::Acquire) == object.start
            && k.end.load(Ordering::Relaxed) == object.end
            && k.identity.load(Ordering::Relaxed) == identity
    };
    if KNOWN[..COUNT.load(Ordering::Acquire)].iter().any(is_known) {
        return;
    }
    let _guard = Guard::take();
    let count = COUNT.load(Ordering::Relaxed);
    let known = &KNOWN[..count];
    if known.iter().any(is_known) {
        return;
    }
    // Whoever else claims this range was unloaded behind our back (libc closes its own plug-ins).
    for other in known {
        let start = other.start.load(Ordering::Relaxed);
        if start != 0 && start < object.end && object.start < other.end.load(Ordering::Relaxed) {
            forget(thread, other);
        }
    }
    // Announced before it becomes known: whoever finds it known has a later order number.
    if !announce(thread, object) {
        return;
    }
    let place = known.iter().position(|k| k.start.load(Ordering::Relaxed) == 0).unwrap_or(count);
    if let Some(free) = KNOWN.get(place) {
        free.end.store(object.end, Ordering::Relaxed);
        free.identity.store(identity, Ordering::Relaxed);
        // Release pairs with the acquire loads of `start` and COUNT.
        free.start.store(object.start, Ordering::Release);
        if place == count {
            COUNT.store(count + 1, Ordering::Release);
        }
    }
}

fn forget(thread: &mut Thread, known: &Known) {
    let start = known.start.swap(0, Ordering::AcqRel);
    emit::module_gone(thread, start);
    rules::invalidate();
}

/// After `dlclose`: notes which known modules are gone. Called outside of the allocator, with none of
/// its locks held.
pub fn after_close(regs: Regs) {
    let Some(local) = gate::if_open() else { return };
    let Some(mut thread) = thread::enter(local, regs.sp) else { return };
    let _guard = Guard::take();
    for known in &KNOWN[..COUNT.load(Ordering::Relaxed)] {
        let start = known.start.load(Ordering::Relaxed);
        let is_same = |object: Object| {
            object.start == start && identity(&object) == known.identity.load(Ordering::Relaxed)
        };
        if start != 0 && !objects::find(start).is_some_and(is_same) {
            forget(&mut thread, known);
        }
    }
}

fn announce(thread: &mut Thread, object: &Object) -> bool {
    let mut own_path = [0u8; 1024];
    // SAFETY: the loader's record of an object that covers code on our stack, or that it lists.
    let map = unsafe { &*object.link_map };
    let mut path = name(map);
    if path.is_empty() {
        let length = call::read_link(c"/proc/self/exe".as_ptr().cast(), &mut own_path);
        path = &own_path[..length];
    } else if path.starts_with(b"linux-vdso") {
        path = b"[vdso]";
    }
    let fact = ModuleFact {
        start: object.start,
        end: object.end,
        bias: map.bias,
        build_id: build_id(object, map),
        path: &path[..path.len().min(MAX_PATH)],
    };
    emit::module(thread, &fact)
}

fn name(map: &LinkMap) -> &[u8] {
    if map.name.is_null() {
        return b"";
    }
    // SAFETY: the loader's string.
    unsafe { CStr::from_ptr(map.name.cast()).to_bytes() }
}

/// What tells a module from another one at the same place: its build id, which is a hash already; where it has
/// none, a hash of its path. Asked for each rule that is computed, so it must not take long.
fn identity(object: &Object) -> u64 {
    // SAFETY: as in `announce`.
    let map = unsafe { &*object.link_map };
    match build_id(object, map).first_chunk() {
        Some(&id) => u64::from_ne_bytes(id),
        None => fnv1a(name(map), FNV_START),
    }
}

#[repr(C)]
struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: usize,
    address: usize,
    physical: usize,
    file_size: usize,
    memory_size: usize,
    align: usize,
}

/// The GNU build id, read from the module's notes in memory; empty when there is none.
fn build_id<'a>(object: &'a Object, map: &LinkMap) -> &'a [u8] {
    // SAFETY: the first page of a loaded object is its first segment; it is used as an ELF header only if
    // it says that it is one, and everything it points to is checked to lie inside the mapping.
    unsafe {
        let header = object.start as *const u8;
        if object.end - object.start < 64
            || *header.cast::<u32>() != u32::from_le_bytes(*b"\x7fELF")
        {
            return &[];
        }
        let table = object.start + *header.add(32).cast::<usize>();
        let count = *header.add(56).cast::<u16>() as usize;
        if table + count * size_of::<ProgramHeader>() > object.start + 4096 {
            return &[];
        }
        for i in 0..count {
            let segment = &*(table as *const ProgramHeader).add(i);
            let start = map.bias.wrapping_add(segment.address);
            let end = start.wrapping_add(segment.memory_size);
            if segment.kind == 4
                && object.start <= start
                && start <= end
                && end <= object.end
                && let Some(id) = build_id_in(start, end)
            {
                return id;
            }
        }
    }
    &[]
}

/// # Safety
/// `start..end` is mapped.
unsafe fn build_id_in<'a>(mut start: usize, end: usize) -> Option<&'a [u8]> {
    while start + 16 <= end {
        // SAFETY: a note: name size, descriptor size, type, name, descriptor, each part 4-aligned.
        unsafe {
            let word = |i: usize| *(start as *const u32).add(i) as usize;
            let (name_size, size, kind) = (word(0), word(1), word(2));
            let descriptor = start + 12 + name_size.next_multiple_of(4);
            let next = descriptor.checked_add(size.next_multiple_of(4))?;
            if next > end {
                return None;
            }
            if kind == 3 && name_size == 4 && word(3) == u32::from_le_bytes(*b"GNU\0") as usize {
                let length = size.min(MAX_BUILD_ID);
                return Some(core::slice::from_raw_parts(descriptor as *const u8, length));
            }
            start = next;
        }
    }
    None
}
