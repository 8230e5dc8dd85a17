//! Every backtrace taken twice: the incremental walk held against the plain one, and against libgcc's.
//!
//! For `HEAPTAPE_CHECK`. What is compared is what the collector will read: the node's own frames, found again in
//! a table of all announced nodes, so that a wrong node id cannot hide behind a right walk. Differences are
//! counted in the process page; the launcher tells.

use super::step::State;
use super::window::Window;
use super::{Frame, Regs, walk};
use crate::sys::{call, objects};
use crate::thread::Thread;
use core::ffi::c_void;
use core::sync::atomic::{AtomicUsize, Ordering};
use heaptape_wire::handshake as hs;
use heaptape_wire::layout::{KEPT_FRAMES, MAX_FRAMES};
use heaptape_wire::record::NODE_EXACT;

/// Frames of ours, inside the hook, that libgcc finds before the caller's.
const OWN_FRAMES: usize = 64;
/// Nodes are kept in chunks, mapped as they come: so many, of so many nodes.
const CHUNKS: usize = 1 << 16;
const CHUNK: usize = 1 << 16;

/// An announced node.
#[derive(Clone, Copy)]
struct Node {
    frame: Frame,
    parent: u32,
}

/// Memory of a thread that checks.
struct Tables {
    window: Window,
    expected: [Frame; MAX_FRAMES],
    theirs: [usize; MAX_FRAMES + OWN_FRAMES],
    their_count: usize,
    /// The node with id `i` is number `i % CHUNK` of chunk `i / CHUNK`.
    chunks: [*mut Node; CHUNKS],
}

/// Whether and how a thread checks. Zeroed memory: not.
pub(super) struct Check {
    /// Null when it does not.
    tables: *mut Tables,
    with_libgcc: bool,
}

impl Check {
    #[inline(always)]
    pub(super) fn is_on(&self) -> bool {
        !self.tables.is_null()
    }

    /// From here on; nothing of what was announced before is known.
    pub(super) fn turn_on(&mut self, with_libgcc: bool) {
        self.with_libgcc = with_libgcc;
        if !self.is_on() {
            self.tables = call::map_private(size_of::<Tables>()).cast();
        }
    }

    /// Notes an announced node.
    pub(super) fn note(&mut self, id: u32, parent: u32, frame: Frame) {
        let id = id as usize;
        if !self.is_on() {
            return;
        }
        // SAFETY: mapped in `begin`, never given back; only this thread's.
        let Some(chunk) = (unsafe { (*self.tables).chunks.get_mut(id / CHUNK) }) else { return };
        if chunk.is_null() {
            *chunk = call::map_private(CHUNK * size_of::<Node>()).cast();
        }
        if !chunk.is_null() {
            // SAFETY: a chunk has CHUNK nodes.
            unsafe { *chunk.add(id % CHUNK) = Node { frame, parent } };
        }
    }

    /// Whether the backtrace that `node` stands for is `expected`, innermost first, or is cut where it may be.
    fn stands_for(&self, node: u32, expected: &[Frame]) -> bool {
        let mut node = node as usize;
        for (inner, frame) in expected.iter().enumerate() {
            // SAFETY: as in `note`; zeroed memory is a node without a frame.
            let known = unsafe {
                let Some(chunk) = (*self.tables).chunks.get(node / CHUNK) else { return false };
                if chunk.is_null() {
                    return false;
                }
                *chunk.add(node % CHUNK)
            };
            if known.frame != *frame {
                let is_cut = known.frame == frame.truncated() && known.parent == 0;
                return is_cut && inner + 1 >= KEPT_FRAMES;
            }
            node = known.parent as usize;
        }
        node == 0
    }
}

/// With the first backtrace: whether this thread is to check.
#[cold]
pub(super) fn begin(thread: &mut Thread) {
    if thread.option(hs::OPT_CHECK) {
        let with_libgcc = thread.option(hs::OPT_CHECK_LIBGCC);
        thread.capture.check.turn_on(with_libgcc);
    }
}

/// Holds the node of a backtrace against the plain walk of the same moment.
#[cold]
#[inline(never)]
pub(super) fn compare(thread: &mut Thread, regs: Regs, node: u32) {
    if node == 0 {
        // The gate has closed: nobody will read it.
        return;
    }
    // SAFETY: mapped in `begin`, only this thread's, and not reached through `thread` here.
    let tables = unsafe { &mut *thread.capture.check.tables };
    tables.window = Window::default();
    tables.window.check(regs.sp);
    let count = walk::full(thread, &mut tables.window, regs, &mut tables.expected);
    let mut same = thread.capture.check.stands_for(node, &tables.expected[..count]);
    if thread.capture.check.with_libgcc {
        match agrees_with_libgcc(tables, regs, count) {
            Some(agrees) => same &= agrees,
            None => drop(thread.page().unchecked.fetch_add(1, Ordering::Relaxed)),
        }
    }
    thread.page().checked.fetch_add(1, Ordering::Relaxed);
    thread.page().differing.fetch_add(u64::from(!same), Ordering::Relaxed);
}

/// Whether libgcc finds the frames that we say are exact; `None` when it cannot be asked or does not know as
/// much.
fn agrees_with_libgcc(tables: &mut Tables, regs: Regs, count: usize) -> Option<bool> {
    type Each = extern "C" fn(*mut c_void, *mut Tables) -> i32;
    let find = |name| objects::definition_in_file(b"libgcc_s.so.1", name);
    let (walk, info) = (find(c"_Unwind_Backtrace")?, find(c"_Unwind_GetIPInfo")?);
    IP_INFO.store(info, Ordering::Relaxed);
    tables.their_count = 0;
    // SAFETY: libgcc's function has this signature. It reads the stack as exceptions do, and takes no locks
    // for code that the loader knows.
    unsafe {
        let walk: unsafe extern "C" fn(Each, *mut Tables) -> i32 = core::mem::transmute(walk);
        walk(push_theirs, tables);
    }
    let ours = &tables.expected[..count];
    let theirs = &tables.theirs[..tables.their_count];
    let caller = State::at_entry(regs).ip;
    let theirs = &theirs[theirs.iter().position(|ip| *ip == caller)?..];
    // The outermost frame's caller is no frame.
    let theirs = theirs.strip_suffix(&[0]).unwrap_or(theirs);
    let exact = ours.iter().take_while(|frame| frame.quality() == NODE_EXACT).count();
    let same = |count: usize| {
        theirs.len() >= count
            && ours[..count].iter().zip(theirs).all(|(our, their)| our.ip() == *their as u64)
    };
    if exact == count || !same(exact) {
        return Some(theirs.len() == count && same(count));
    }
    if exact + 1 == MAX_FRAMES {
        // The callers of the last are left out.
        return Some(same(count));
    }
    // Code without tables: we cross it by frame pointers or end there, and mark it; for libgcc it ends there.
    (theirs.len() == count && same(count)).then_some(true)
}

/// libgcc's `_Unwind_GetIPInfo`, the same for all threads.
static IP_INFO: AtomicUsize = AtomicUsize::new(0);

/// Ends libgcc's walk (`_URC_END_OF_STACK`).
const ENOUGH: i32 = 5;

/// Called by libgcc for each frame.
extern "C" fn push_theirs(context: *mut c_void, tables: *mut Tables) -> i32 {
    let mut is_interrupted = 0i32;
    // SAFETY: libgcc's function has this signature and was found before; the tables are those that we passed.
    unsafe {
        let info: unsafe extern "C" fn(*mut c_void, *mut i32) -> usize =
            core::mem::transmute(IP_INFO.load(Ordering::Relaxed));
        let ip = info(context, &raw mut is_interrupted);
        let tables = &mut *tables;
        let Some(place) = tables.theirs.get_mut(tables.their_count) else {
            return ENOUGH;
        };
        // As we write interrupted instructions.
        *place = ip + usize::from(is_interrupted != 0);
        tables.their_count += 1;
    }
    0
}
