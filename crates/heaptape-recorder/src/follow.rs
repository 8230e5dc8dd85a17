//! What a program made by `exec` or `posix_spawn` inherits.
//!
//! The environment carries the preload on by itself. Here it is mended where that would do harm or not do
//! at all: a program that cannot be recorded (other libc, other word size) must not be given a library
//! that its loader complains about; an environment that was made from scratch gets the two variables
//! when children are to be followed; and when they are not, it loses them.
//!
//! This runs in vfork children and on small signal stacks, on the parent's memory: [`plan`] needs little
//! stack, and only an environment that has to be changed is written anew, on the stack as well.

use crate::gate;
use crate::link;
use crate::sys::call::{self, Fd};
use core::ffi::CStr;
use core::sync::atomic::Ordering;
use heaptape_wire::handshake::{self as hs, ENV, LINK_LEN};

/// Most environment variables that we can mend; a larger environment is passed on as it is.
const MAX_VARIABLES: usize = 1022;
const MAX_PRELOAD: usize = 4096;
const PRELOAD: &[u8] = b"LD_PRELOAD=";
/// Longest path that we look at before it is executed.
pub const MAX_LOOKED_AT: usize = 512;

/// What is to be done about the environment of a program that is about to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// It is right as it is.
    Keep,
    /// It must carry our two variables.
    Add,
    /// It must not.
    Remove,
}

/// Tells the collector that `path` is about to be started with the environment `wanted`, and what to do
/// about that environment. `library` is our own path.
///
/// # Safety
/// `path` is null or a string, `wanted` null or an environment, unless they are no addresses at all: those are
/// left for the kernel to refuse.
pub unsafe fn plan(path: *const u8, wanted: *const *const u8, library: &CStr) -> Plan {
    if link::value().is_none()
        || !(path.is_null() || call::is_readable(path as usize))
        || !(wanted.is_null() || call::is_readable(wanted as usize))
    {
        return Plan::Keep;
    }
    let following = gate::following();
    if let Some((process, _)) = following {
        // SAFETY: the caller's promise.
        let path = if path.is_null() { c"" } else { unsafe { CStr::from_ptr(path.cast()) } };
        if !link::tell(hs::EXEC, process, path.to_bytes())
            && let Some(local) = gate::if_open()
        {
            local.page().untold.fetch_add(1, Ordering::Relaxed);
        }
    }
    let follow = following.is_some_and(|(_, follow)| follow)
        && call::can_read(library.as_ptr().cast())
        && suits_us(path);
    // SAFETY: the caller's promise.
    let (preloads, links) = unsafe { look(wanted, library.to_bytes()) };
    match (follow, preloads, links) {
        (true, true, true) | (false, false, false) => Plan::Keep,
        (true, ..) => Plan::Add,
        (false, ..) => Plan::Remove,
    }
}

/// Whether the environment preloads `library`, and whether it has our link.
///
/// # Safety
/// `entry` is null or an environment.
unsafe fn look(mut entry: *const *const u8, library: &[u8]) -> (bool, bool) {
    let (mut preloads, mut links) = (false, false);
    // SAFETY: the caller's promise: strings up to a null.
    unsafe {
        while !entry.is_null() && !(*entry).is_null() {
            let text = CStr::from_ptr((*entry).cast()).to_bytes();
            if let Some(value) = text.strip_prefix(PRELOAD) {
                preloads = parts(value).any(|part| part == library);
            }
            links |= is_link(text);
            entry = entry.add(1);
        }
    }
    (preloads, links)
}

/// The libraries that a value of LD_PRELOAD names.
fn parts(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&c| c == b':' || c == b' ').filter(|part| !part.is_empty())
}

/// A mended environment, in place of the program's. Large: only where [`Plan`] asks for one.
pub struct Environment {
    entries: [*const u8; MAX_VARIABLES + 2],
    preload: [u8; MAX_PRELOAD],
    link: [u8; ENV.len() + 1 + LINK_LEN + 1],
}

impl Environment {
    /// Room for one.
    pub fn new() -> Environment {
        Environment {
            entries: [core::ptr::null(); MAX_VARIABLES + 2],
            preload: [0; MAX_PRELOAD],
            link: [0; ENV.len() + 1 + LINK_LEN + 1],
        }
    }

    /// The environment `wanted`, mended as planned. `library` is our own path.
    ///
    /// # Safety
    /// As for [`plan`], which has said what to do.
    pub unsafe fn mend(
        &mut self,
        plan: Plan,
        wanted: *const *const u8,
        library: &CStr,
    ) -> *const *const u8 {
        match link::value() {
            // SAFETY: the caller's promise.
            Some(link) => unsafe {
                self.rebuild(wanted, library.to_bytes(), link, plan == Plan::Add)
            },
            None => wanted,
        }
    }

    /// # Safety
    /// `wanted` is an environment or null.
    unsafe fn rebuild(
        &mut self,
        wanted: *const *const u8,
        library: &[u8],
        link: &[u8; LINK_LEN],
        follow: bool,
    ) -> *const *const u8 {
        let mut count = 0;
        let mut old_preload: &[u8] = &[];
        let mut entry = wanted;
        // SAFETY: the caller's promise: strings up to a null.
        unsafe {
            while !entry.is_null() && !(*entry).is_null() {
                let text = CStr::from_ptr((*entry).cast()).to_bytes();
                if let Some(value) = text.strip_prefix(PRELOAD) {
                    old_preload = value;
                } else if !is_link(text) {
                    if count == MAX_VARIABLES {
                        return wanted;
                    }
                    self.entries[count] = *entry;
                    count += 1;
                }
                entry = entry.add(1);
            }
        }
        let library = if follow { library } else { &[] };
        let Some(has_preload) = self.write_preload(library, old_preload) else { return wanted };
        if has_preload {
            self.entries[count] = self.preload.as_ptr();
            count += 1;
        }
        if follow {
            self.write_link(link);
            self.entries[count] = self.link.as_ptr();
            count += 1;
        }
        self.entries[count] = core::ptr::null();
        self.entries.as_ptr()
    }

    /// Our library, then the other entries of the old value. Whether anything is left; `None` when it is
    /// too long.
    fn write_preload(&mut self, library: &[u8], old: &[u8]) -> Option<bool> {
        let ours = |part: &[u8]| part.ends_with(b"/libheaptape.so");
        let mut at = PRELOAD.len();
        self.preload[..at].copy_from_slice(PRELOAD);
        let others = parts(old).filter(|part| !ours(part));
        for part in core::iter::once(library).filter(|p| !p.is_empty()).chain(others) {
            if at + part.len() + 2 > MAX_PRELOAD {
                return None;
            }
            if at > PRELOAD.len() {
                self.preload[at] = b':';
                at += 1;
            }
            self.preload[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        self.preload[at] = 0;
        Some(at > PRELOAD.len())
    }

    fn write_link(&mut self, link: &[u8; LINK_LEN]) {
        self.link[..ENV.len()].copy_from_slice(ENV.as_bytes());
        self.link[ENV.len()] = b'=';
        self.link[ENV.len() + 1..ENV.len() + 1 + LINK_LEN].copy_from_slice(link);
    }
}

impl Default for Environment {
    fn default() -> Environment {
        Environment::new()
    }
}

fn is_link(entry: &[u8]) -> bool {
    entry.strip_prefix(ENV.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'='))
}

/// Whether `path` can live with our library: its loader is glibc's of our word size, and it does not need a
/// sanitizer's runtime, which insists on being loaded first. What cannot be read (a script included: its
/// interpreter is the kernel's business) is taken to be fit; the loader of a static or set-user-id
/// program ignores the variable by itself.
fn suits_us(path: *const u8) -> bool {
    if path.is_null() {
        return true;
    }
    let Some(file) = call::open_read(path) else { return true };
    let mut header = [0u8; 64];
    if call::read_at(&file, &mut header, 0) < 64 || header[..4] != *b"\x7fELF" {
        return true;
    }
    // Class 64-bit, machine x86-64.
    if header[4] != 2 || header[18..20] != [62, 0] {
        return false;
    }
    let mut segments = [Segment::default(); MAX_SEGMENTS];
    let count = usize::from(u16::from_le_bytes([header[56], header[57]])).min(MAX_SEGMENTS);
    for (i, segment) in segments[..count].iter_mut().enumerate() {
        let mut bytes = [0u8; 56];
        if call::read_at(&file, &mut bytes, word(&header, 32).wrapping_add(i * 56)) < 56 {
            return true;
        }
        *segment = Segment {
            kind: bytes[0],
            offset: word(&bytes, 8),
            address: word(&bytes, 16),
            size: word(&bytes, 32),
        };
    }
    let segments = &segments[..count];
    has_our_loader(&file, segments) && !needs_sanitizer(&file, segments)
}

const MAX_SEGMENTS: usize = 24;
const LOAD: u8 = 1;
const DYNAMIC: u8 = 2;
const INTERPRETER: u8 = 3;

/// What we need of a program header.
#[derive(Clone, Copy, Default)]
struct Segment {
    kind: u8,
    offset: usize,
    address: usize,
    size: usize,
}

fn word(bytes: &[u8], at: usize) -> usize {
    let mut word = [0u8; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    usize::from_le_bytes(word)
}

fn has_our_loader(file: &Fd, segments: &[Segment]) -> bool {
    let Some(segment) = segments.iter().find(|s| s.kind == INTERPRETER) else { return true };
    let mut name = [0u8; 64];
    let length = call::read_at(file, &mut name[..segment.size.min(64)], segment.offset);
    name[..length].windows(8).any(|w| w == b"ld-linux")
}

/// Whether the program names a sanitizer's runtime among the libraries it needs.
fn needs_sanitizer(file: &Fd, segments: &[Segment]) -> bool {
    let Some(dynamic) = segments.iter().find(|s| s.kind == DYNAMIC) else { return false };
    let mut entries = [0u8; 64 * 16];
    let length = call::read_at(file, &mut entries[..dynamic.size.min(64 * 16)], dynamic.offset);
    let entries = entries[..length].chunks_exact(16).map(|e| (word(e, 0), word(e, 8)));
    // DT_STRTAB is 5, DT_NEEDED is 1.
    let Some((_, strings)) = entries.clone().find(|e| e.0 == 5) else { return false };
    let Some(load) = segments
        .iter()
        .find(|s| s.kind == LOAD && s.address <= strings && strings - s.address < s.size)
    else {
        return false;
    };
    let strings = strings - load.address + load.offset;
    entries.filter(|e| e.0 == 1).any(|(_, at)| {
        let mut name = [0u8; 12];
        call::read_at(file, &mut name, strings.wrapping_add(at));
        [&b"libasan.so"[..], b"libtsan.so", b"liblsan.so", b"libhwasan.so"]
            .iter()
            .any(|sanitizer| name.starts_with(sanitizer))
    })
}

/// Finds `file` as `execvp` does: by `search` (the value of PATH) unless it has a slash. Writes the
/// zero-terminated path to `buffer`; an empty string when it is not found or too long.
pub fn search_path(file: &CStr, search: &[u8], buffer: &mut [u8; MAX_LOOKED_AT]) {
    let name = file.to_bytes();
    buffer[0] = 0;
    if name.contains(&b'/') {
        if name.len() < buffer.len() {
            buffer[..name.len()].copy_from_slice(name);
            buffer[name.len()] = 0;
        }
        return;
    }
    for directory in search.split(|&c| c == b':') {
        let directory = if directory.is_empty() { b"." } else { directory };
        let length = directory.len() + 1 + name.len();
        if length >= buffer.len() {
            continue;
        }
        buffer[..directory.len()].copy_from_slice(directory);
        buffer[directory.len()] = b'/';
        buffer[directory.len() + 1..length].copy_from_slice(name);
        buffer[length] = 0;
        if call::can_execute(buffer.as_ptr()) {
            return;
        }
    }
    buffer[0] = 0;
}
