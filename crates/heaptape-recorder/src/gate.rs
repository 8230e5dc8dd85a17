//! Whether we record, and the state of this process.
//!
//! ```text
//!   New ──first call──▶ Joining ──welcome──▶ Open ──collector gone, or trouble──▶ Closed
//!    ▲                                        │
//!    └──────────── fork (child only) ─────────┘
//! ```
//!
//! The state lives in a page that the kernel zeroes in a forked child (`MADV_WIPEONFORK`), so that a
//! child, however it was forked, is `New` at its first call and can never write into its parent's
//! streams. A vfork child shares everything with its suspended parent and records as the parent,
//! which is right: it works on the parent's heap.

use crate::guard;
use crate::modules;
use crate::sampling;
use crate::sys::call::{self, SignalsBlocked};
use crate::thread;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use heaptape_wire::handshake as hs;
use heaptape_wire::layout::*;
use heaptape_wire::order::SHARDS;

const NEW: u32 = 0;
const OPEN: u32 = 1;
const JOINING: u32 = 2;
const CLOSED: u32 = 3;

/// This process's state. All zero is `New`.
#[repr(C)]
pub(crate) struct Local {
    state: AtomicU32,
    /// The thread that is joining.
    joiner: AtomicU32,
    options: AtomicU32,
    /// getpid() at joining: thread ids are looked up under it.
    pid: AtomicU32,
    /// The number the collector gave us.
    process: AtomicU64,
    /// The shared process page.
    page: AtomicPtr<ProcessPage>,
    /// The shared session page.
    session: AtomicPtr<SessionPage>,
    /// 1 while a thread asks for more stream areas.
    growing: AtomicU32,
    /// Where each batch of stream areas is mapped; 0 not yet.
    batches: [AtomicUsize; BATCHES],
    /// The numbers given out in each shard of addresses (`wire::order`).
    shards: [Shard; SHARDS],
}

/// A counter on a cache line of its own.
#[repr(align(64))]
struct Shard(AtomicU64);

const BATCHES: usize = MAX_STREAMS / STREAM_BATCH;
const LOCAL_BYTES: usize = size_of::<Local>().next_multiple_of(PAGE);

/// What `LOCAL` points to until a page has been made: a process that has not begun.
static UNBORN: Local = Local::new();
static LOCAL: AtomicPtr<Local> = AtomicPtr::new((&raw const UNBORN).cast_mut());

static FORKS: AtomicU64 = AtomicU64::new(0);
/// The number and options of the process that this memory belonged to; a forked child reads its parent's.
static LAST_PROCESS: AtomicU64 = AtomicU64::new(0);
static LAST_OPTIONS: AtomicU32 = AtomicU32::new(0);
static LAST_SESSION: AtomicPtr<SessionPage> = AtomicPtr::new(core::ptr::null_mut());

impl Local {
    const fn new() -> Local {
        Local {
            state: AtomicU32::new(NEW),
            joiner: AtomicU32::new(0),
            options: AtomicU32::new(0),
            pid: AtomicU32::new(0),
            process: AtomicU64::new(0),
            page: AtomicPtr::new(core::ptr::null_mut()),
            session: AtomicPtr::new(core::ptr::null_mut()),
            growing: AtomicU32::new(0),
            batches: [const { AtomicUsize::new(0) }; BATCHES],
            shards: [const { Shard(AtomicU64::new(0)) }; SHARDS],
        }
    }

    /// The last number given out in a shard.
    #[inline(always)]
    pub(crate) fn shard(&self, shard: usize) -> &AtomicU64 {
        &self.shards[shard].0
    }

    #[inline(always)]
    pub(crate) fn page(&self) -> &'static ProcessPage {
        // SAFETY: set before the state is OPEN, and never unmapped.
        unsafe { &*self.page.load(Ordering::Relaxed) }
    }

    #[inline(always)]
    pub(crate) fn session(&self) -> &'static SessionPage {
        // SAFETY: as `page`.
        unsafe { &*self.session.load(Ordering::Relaxed) }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.load(Ordering::Relaxed)
    }

    pub(crate) fn process(&self) -> u64 {
        self.process.load(Ordering::Relaxed)
    }

    #[inline(always)]
    pub(crate) fn option(&self, option: u32) -> bool {
        self.options.load(Ordering::Relaxed) & option != 0
    }

    /// The stream area of number `index`, mapped if need be. Signals are blocked.
    pub(crate) fn stream_area(&self, index: usize) -> Option<*mut u8> {
        let batch = index / STREAM_BATCH;
        let slot = self.batches.get(batch)?;
        loop {
            // Acquire pairs with the release store in `map_batch`.
            let start = slot.load(Ordering::Acquire);
            if start != 0 {
                return Some((start + index % STREAM_BATCH * STREAM_BYTES) as *mut u8);
            }
            // Acquire/release pair with each other: one thread asks, the others wait for its answer.
            if self.growing.swap(1, Ordering::Acquire) != 0 {
                call::sched_yield();
                continue;
            }
            let mapped = slot.load(Ordering::Acquire) != 0 || self.map_more(batch);
            self.growing.store(0, Ordering::Release);
            if !mapped {
                return None;
            }
        }
    }

    fn map_more(&self, batch: usize) -> bool {
        let Some(answer) = crate::link::ask(hs::MORE_STREAMS, self.process(), 0) else {
            return false;
        };
        match &answer.fds[0] {
            Some(fd) if answer.welcome.status == hs::ACCEPTED => self.map_batch(fd.0, batch),
            _ => false,
        }
    }

    fn map_batch(&self, fd: i32, batch: usize) -> bool {
        let offset = stream_offset(batch * STREAM_BATCH);
        let start = call::map_shared(fd, offset, STREAM_BATCH * STREAM_BYTES);
        // Release pairs with the acquire load in `stream_area`.
        self.batches[batch].store(start as usize, Ordering::Release);
        !start.is_null()
    }

    /// Closes the gate for good; the program runs on.
    pub(crate) fn close(&self) {
        self.state.store(CLOSED, Ordering::Relaxed);
        let page = self.page.load(Ordering::Relaxed);
        if !page.is_null() {
            // SAFETY: as `page()`.
            unsafe { (*page).gate.store(GATE_CLOSED, Ordering::Release) };
        }
    }

    /// Notices that the collector has closed the gate.
    pub(crate) fn check_remote(&self) -> bool {
        let page = self.page.load(Ordering::Relaxed);
        if page.is_null() {
            // A hook that goes on in a forked child after the handler that forked: not this process's.
            return false;
        }
        // SAFETY: as `page()`.
        let open = unsafe { (*page).gate.load(Ordering::Relaxed) } == GATE_OPEN;
        if !open {
            self.state.store(CLOSED, Ordering::Relaxed);
        }
        open
    }
}

/// This process's state when the gate is open, `None` when the call is to pass through.
#[inline(always)]
pub(crate) fn enter() -> Option<&'static Local> {
    // SAFETY: points to UNBORN or to a page that is never given back.
    let local = unsafe { &*LOCAL.load(Ordering::Relaxed) };
    // Acquire pairs with the release store of OPEN in `join`.
    if local.state.load(Ordering::Acquire) == OPEN { Some(local) } else { enter_slowly() }
}

/// As [`enter`], but a closed gate is no loss: it is no call of the allocator that comes here.
pub(crate) fn enter_unless_closed() -> Option<&'static Local> {
    // SAFETY: as in `enter`.
    let local = unsafe { &*LOCAL.load(Ordering::Relaxed) };
    if local.state.load(Ordering::Relaxed) == CLOSED { None } else { enter() }
}

/// The state if the gate is open already; never joins.
#[inline(always)]
pub(crate) fn if_open() -> Option<&'static Local> {
    // SAFETY: as in `enter`.
    let local = unsafe { &*LOCAL.load(Ordering::Relaxed) };
    (local.state.load(Ordering::Acquire) == OPEN).then_some(local)
}

/// The number of this process and whether programs it turns into are recorded; `None` when it is not
/// recorded itself. A forked child that has made no call yet answers as its parent.
pub(crate) fn following() -> Option<(u64, bool)> {
    // SAFETY: as in `enter`.
    let local = unsafe { &*LOCAL.load(Ordering::Relaxed) };
    let last = LAST_PROCESS.load(Ordering::Relaxed);
    let options = match local.state.load(Ordering::Acquire) {
        OPEN => local.options.load(Ordering::Relaxed),
        NEW if last != 0 => LAST_OPTIONS.load(Ordering::Relaxed),
        _ => return None,
    };
    Some((last, options & hs::OPT_FOLLOW_EXEC != 0))
}

#[cold]
#[inline(never)]
fn enter_slowly() -> Option<&'static Local> {
    loop {
        // SAFETY: as in `enter`.
        let local = unsafe { &*LOCAL.load(Ordering::Acquire) };
        match local.state.load(Ordering::Acquire) {
            OPEN => return Some(local),
            CLOSED => {
                count_closed(local);
                return None;
            }
            JOINING if local.joiner.load(Ordering::Relaxed) == call::gettid() => return None,
            JOINING => call::sched_yield(),
            _ if core::ptr::eq(local, &raw const UNBORN) => {
                if !make_local() {
                    sampling::give_up();
                    UNBORN.state.store(CLOSED, Ordering::Relaxed);
                }
            }
            _ => {
                let _signals = SignalsBlocked::new();
                let tid = call::gettid();
                let claimed = local
                    .state
                    .compare_exchange(NEW, JOINING, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok();
                if claimed {
                    local.joiner.store(tid, Ordering::Relaxed);
                    join(local);
                }
            }
        }
    }
}

/// A call that passes a closed gate is a loss if we once recorded this process.
fn count_closed(local: &Local) {
    let page = local.page.load(Ordering::Relaxed);
    if !page.is_null() {
        // SAFETY: never unmapped.
        unsafe { (*page).lost_events.fetch_add(1, Ordering::Relaxed) };
    }
}

/// Makes the page that a forked child finds zeroed.
fn make_local() -> bool {
    let memory = call::map_private(LOCAL_BYTES);
    if memory.is_null() || !call::wipe_on_fork(memory, LOCAL_BYTES) {
        return false;
    }
    let unborn = (&raw const UNBORN).cast_mut();
    // Of two threads that come here at once, one wins. AcqRel pairs with the loads of LOCAL.
    if LOCAL.compare_exchange(unborn, memory.cast(), Ordering::AcqRel, Ordering::Acquire).is_err() {
        // SAFETY: nobody has seen it.
        unsafe { call::unmap(memory, LOCAL_BYTES) };
    }
    true
}

/// Introduces this process to the collector; the state is JOINING and this thread is the joiner.
fn join(local: &'static Local) {
    let parent = LAST_PROCESS.load(Ordering::Relaxed);
    // A serial of 1 is that of a fork that nobody announced.
    let serial = if parent == 0 { 0 } else { thread::take_child_serial().max(1) };
    if parent != 0 {
        // A forked child: of the parent's threads only this one lives on.
        modules::after_fork();
        thread::after_fork();
    }
    if has_stalled() || !connect(local, parent, serial) {
        sampling::give_up();
        local.state.store(CLOSED, Ordering::Release);
        return;
    }
    LAST_SESSION.store(local.session.load(Ordering::Relaxed), Ordering::Relaxed);
    LAST_PROCESS.store(local.process(), Ordering::Relaxed);
    LAST_OPTIONS.store(local.options.load(Ordering::Relaxed), Ordering::Relaxed);
    // Release pairs with the acquire loads in `enter`.
    local.state.store(OPEN, Ordering::Release);
    let Some(thread) = thread::claim(local) else {
        local.page().lost_threads.fetch_add(1, Ordering::Relaxed);
        return;
    };
    // SAFETY: this thread's own, and signals are blocked: nobody else comes to it.
    let thread = unsafe { &mut *thread };
    if parent == 0 {
        modules::announce_loaded(thread);
    } else {
        modules::announce_known(thread);
    }
}

/// Whether another process has waited in vain for the collector since its last heartbeat: of a stopped one,
/// only the first of many forked children should find out the slow way.
fn has_stalled() -> bool {
    let session = LAST_SESSION.load(Ordering::Relaxed);
    if session.is_null() {
        return false;
    }
    // SAFETY: the session page of the parent, inherited and never unmapped.
    let session = unsafe { &*session };
    session.stalled.load(Ordering::Relaxed) == session.heartbeat.load(Ordering::Relaxed) + 1
}

/// Tells others that the collector does not answer: see [`has_stalled`].
pub(crate) fn note_stall() {
    let session = LAST_SESSION.load(Ordering::Relaxed);
    if !session.is_null() {
        // SAFETY: as in `has_stalled`.
        let session = unsafe { &*session };
        session.stalled.store(session.heartbeat.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

fn connect(local: &Local, parent: u64, serial: u64) -> bool {
    let Some(answer) = crate::link::ask(hs::JOIN, parent, serial) else {
        note_stall();
        return false;
    };
    let [Some(process), Some(session)] = &answer.fds else { return false };
    if answer.welcome.status != hs::ACCEPTED {
        return false;
    }
    let page = call::map_shared(process.0, 0, PAGE);
    let session = call::map_shared(session.0, 0, PAGE);
    if page.is_null() || session.is_null() {
        return false;
    }
    sampling::set_mean(answer.welcome.sample_bytes);
    guard::order(&answer.welcome.guard);
    local.options.store(answer.welcome.options, Ordering::Relaxed);
    local.process.store(answer.welcome.process, Ordering::Relaxed);
    local.pid.store(call::getpid(), Ordering::Relaxed);
    local.page.store(page.cast(), Ordering::Relaxed);
    local.session.store(session.cast(), Ordering::Relaxed);
    // Of a forked child, whose blocks are guarded as its parent's.
    guard::show(local.page());
    local.map_batch(process.0, 0)
}

/// Before `fork`, in the parent (an atfork handler): marks the place in the history that the child
/// inherits, and names it for the child.
pub fn before_fork() {
    let Some(local) = if_open() else { return };
    let serial = local.process() << 32 | (FORKS.fetch_add(1, Ordering::Relaxed) + 2) & 0xffff_ffff;
    if crate::emit::fork(local, serial) {
        thread::keep_fork_serial(serial);
    }
}

/// After `fork`, in the parent.
pub fn after_fork_in_parent() {
    thread::take_fork_serial();
}

#[cfg(test)]
impl Local {
    /// The state of no process, with private memory for its page.
    pub(crate) fn detached(page: *mut ProcessPage) -> Local {
        let local = Local::new();
        local.page.store(page, Ordering::Relaxed);
        local.page().gate.store(GATE_OPEN, Ordering::Relaxed);
        local
    }
}
