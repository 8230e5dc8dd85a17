//! The state of one thread inside the recorder.
//!
//! A thread owns a stream (a ring of the shared memory) and a `Thread`: its cursor in the ring, its memory
//! of backtraces, and whether it is inside a hook. A signal handler that interrupts a hook gets a
//! `Thread` and a stream of its own, one level further in: a stream's records are always whole and in
//! order. Nothing is done when a thread ends; the next thread that needs a stream takes over that of a
//! thread which the kernel no longer knows, backtrace memory included.

use crate::altstack;
use crate::capture::Capture;
use crate::emit;
use crate::gate::Local;
use crate::sampling;
use crate::sys::tls::{self, THREAD};
use crate::sys::{call, objects};
use crate::tag;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use heaptape_wire::handshake as hs;
use heaptape_wire::layout::*;
use heaptape_wire::ring::{Cursor, Ring};

/// How deep signal handlers may interrupt each other's hooks; calls beyond it are counted as lost.
const MAX_LEVEL: u32 = 8;
/// Streams that a new thread looks at for one whose owner is gone.
const PROBES: usize = 8;
/// What the thread-local word holds at most for a thread that could not get a stream: so many of its calls
/// are counted as lost before it tries again.
const LOST: usize = 256;

/// The `Thread` of each stream, and the next stream to look at for takeover. Ordinary memory: reset in
/// a forked child.
static THREADS: [AtomicPtr<Thread>; MAX_STREAMS] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_STREAMS];
static PROBE: AtomicUsize = AtomicUsize::new(0);
/// What [`Thread::alone`] points to where there are, or were, several streams.
static TOGETHER: AtomicU8 = AtomicU8::new(0);
/// Memory of the forked child's only thread, from its parent's time.
static SPARE: AtomicPtr<Thread> = AtomicPtr::new(core::ptr::null_mut());
/// Of a forked child that has not joined: the serial of its fork.
static CHILD_SERIAL: AtomicU64 = AtomicU64::new(0);

/// The registers at the entry of a hook: where the caller's frame begins.
#[derive(Clone, Copy)]
pub struct Regs {
    /// Stack pointer at the hook's first instruction: it points to the return address.
    pub sp: usize,
    /// Frame pointer register there.
    pub bp: usize,
}

impl Regs {
    /// The return address.
    #[inline(always)]
    pub(crate) fn caller(self) -> usize {
        // SAFETY: at a hook's first instruction the stack pointer points to it, and the hook has not returned.
        unsafe { *(self.sp as *const usize) }
    }
}

/// See the module. Zeroed memory is a valid one that has not begun. What every event needs comes first, in few lines
/// of the processor's cache: the target's own data have all others.
#[repr(C)]
pub(crate) struct Thread {
    /// Stack pointer of the hook we are in; 0 outside.
    busy: usize,
    pub(crate) cursor: Cursor,
    /// The collector's tick when this stream last told the time.
    pub(crate) tick: u64,
    /// Until the cursor comes here an event has nothing to look at, be it the clock, the gate or the room.
    pub(crate) quiet_until: u64,
    /// Until the cursor comes here nothing but such an event is to be made of a free: no backtrace, no choice.
    pub(crate) bare_frees_until: u64,
    /// Not 0 where no other thread can be: libc's own word on it, or [`TOGETHER`] for good.
    alone: AtomicPtr<AtomicU8>,
    header: *const StreamHeader,
    session: *const SessionPage,
    local: *const Local,
    /// A block whose free was recorded already, by an `operator delete` that we are inside of.
    pub(crate) freed: usize,
    /// So many frees to come are recorded with a backtrace. A thread that takes over a stream takes over the
    /// rest: what backtraces of frees cost is bounded however many threads come one after another.
    pub(crate) free_backtraces_left: usize,
    /// The time that this stream told last.
    pub(crate) told_ns: u64,
    /// When the cursor passes it, the doorbell and the gate are looked at.
    pub(crate) look_at: u64,
    page: *const ProcessPage,
    inner: *mut Thread,
    tid: u32,
    level: u32,
    /// The serial of the fork that this thread is in; 0 outside. A forked child reads what its parent's
    /// thread, of which it is the copy, has written.
    fork_serial: u64,
    pub(crate) capture: Capture,
}

impl Thread {
    #[inline(always)]
    pub(crate) fn header(&self) -> &'static StreamHeader {
        // SAFETY: a mapped stream area, never unmapped.
        unsafe { &*self.header }
    }

    #[inline(always)]
    pub(crate) fn page(&self) -> &'static ProcessPage {
        // SAFETY: the shared process page (or, after a fork inside a hook, a private stand-in).
        unsafe { &*self.page }
    }

    #[inline(always)]
    pub(crate) fn session(&self) -> &'static SessionPage {
        // SAFETY: as `page`.
        unsafe { &*self.session }
    }

    #[inline(always)]
    pub(crate) fn ring(&self) -> Ring<'static> {
        // SAFETY: the words follow the header's page in the stream area; atomics allow any content.
        let words = unsafe {
            let first = self.header.byte_add(PAGE).cast::<AtomicU64>();
            core::slice::from_raw_parts(first, RING_WORDS)
        };
        Ring::new(self.header(), words)
    }

    #[inline(always)]
    pub(crate) fn local(&self) -> &'static Local {
        // SAFETY: the page of `gate::Local` is never given back.
        unsafe { &*self.local }
    }

    #[inline(always)]
    pub(crate) fn option(&self, option: u32) -> bool {
        self.local().option(option)
    }

    /// Whether this thread's stream is the whole history, so that its events need no numbers (`wire::order`).
    /// Once it is not, it never is again.
    #[inline(always)]
    pub(crate) fn is_alone(&mut self) -> bool {
        // Relaxed, both: libc writes its word in this very thread before it makes the first other one.
        let word = self.alone.load(Ordering::Relaxed);
        // SAFETY: a variable of libc, or TOGETHER.
        let alone = unsafe { (*word).load(Ordering::Relaxed) } != 0;
        if !alone {
            self.alone.store((&raw const TOGETHER).cast_mut(), Ordering::Relaxed);
        }
        alone
    }

    pub(crate) fn level(&self) -> u32 {
        self.level
    }

    pub(crate) fn tid(&self) -> u32 {
        self.tid
    }

    /// Forgets a hook that was left by `longjmp` out of a signal handler: what it had claimed becomes a
    /// pad, the order number it may have taken is the collector's to skip.
    fn abandon(&mut self) {
        let ring = self.ring();
        let head = self.header().head.load(Ordering::Relaxed);
        let claimed = self.cursor.position.wrapping_sub(head);
        if claimed > 0 {
            ring.write(head, heaptape_wire::record::Head::pad(claimed).0);
            ring.publish(&self.cursor);
        }
        self.header().intent.store(0, Ordering::Release);
        self.capture.settle(head);
        tag::forget();
        self.busy = 0;
    }
}

/// A thread inside a hook; leaves it when dropped.
pub(crate) struct Entered(NonNull<Thread>);

impl core::ops::Deref for Entered {
    type Target = Thread;
    #[inline(always)]
    fn deref(&self) -> &Thread {
        // SAFETY: this thread's own, and `busy` keeps signal handlers from entering it again.
        unsafe { self.0.as_ref() }
    }
}

impl core::ops::DerefMut for Entered {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Thread {
        // SAFETY: as `deref`.
        unsafe { self.0.as_mut() }
    }
}

impl Drop for Entered {
    #[inline(always)]
    fn drop(&mut self) {
        // A handler that interrupts us sees either state, both of which are right for it.
        core::sync::atomic::compiler_fence(Ordering::SeqCst);
        self.busy = 0;
    }
}

/// Enters the calling thread, or `None` when its call cannot be recorded (counted).
#[inline(always)]
pub(crate) fn enter(local: &'static Local, sp: usize) -> Option<Entered> {
    match enter_if_idle(sp) {
        Some(thread) => Some(thread),
        None => enter_slowly(local, sp),
    }
}

/// Enters the calling thread if it has a stream and is in no hook: all that [`enter`] does nearly always.
#[inline(always)]
pub(crate) fn enter_if_idle(sp: usize) -> Option<Entered> {
    let word = tls::get::<THREAD>();
    if word <= LOST {
        return None;
    }
    let thread = NonNull::new(word as *mut Thread)?;
    // SAFETY: this thread's own.
    unsafe {
        if (*thread.as_ptr()).busy != 0 {
            return None;
        }
        (*thread.as_ptr()).busy = sp;
    }
    core::sync::atomic::compiler_fence(Ordering::SeqCst);
    Some(Entered(thread))
}

#[cold]
#[inline(never)]
fn enter_slowly(local: &'static Local, sp: usize) -> Option<Entered> {
    let word = tls::get::<THREAD>();
    let mut thread = match word {
        0 | 1 => match claim(local) {
            Some(thread) => thread,
            None => {
                // A vfork child's word is its parent's.
                if call::getpid() == local.pid() {
                    tls::set::<THREAD>(LOST);
                }
                local.page().lost_threads.fetch_add(u64::from(word == 0), Ordering::Relaxed);
                local.page().lost_events.fetch_add(1, Ordering::Relaxed);
                return None;
            }
        },
        2..=LOST => {
            tls::set::<THREAD>(word - 1);
            local.page().lost_events.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        _ => word as *mut Thread,
    };
    // SAFETY: the chain of this thread's own levels.
    unsafe {
        while (*thread).busy != 0 {
            // Not below the interrupted hook on the same stack: the hook's frame is gone.
            if sp >= (*thread).busy && !call::on_alternate_stack() {
                // And so are those of all handlers that interrupted it.
                let mut gone = thread;
                while !gone.is_null() {
                    if (*gone).busy != 0 {
                        (*gone).abandon();
                    }
                    gone = (*gone).inner;
                }
                break;
            }
            if (*thread).inner.is_null() {
                (*thread).inner = claim_inner(local, (*thread).level + 1);
            }
            if (*thread).inner.is_null() {
                local.page().lost_events.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            thread = (*thread).inner;
        }
        (*thread).busy = sp;
        core::sync::atomic::compiler_fence(Ordering::SeqCst);
    }
    NonNull::new(thread).map(Entered)
}

/// Gives the calling thread a stream and says so on it.
pub(crate) fn claim(local: &'static Local) -> Option<*mut Thread> {
    let _signals = call::SignalsBlocked::new();
    if tls::get::<THREAD>() > LOST {
        // A signal handler was here between our look and the blocking.
        return Some(tls::get::<THREAD>() as *mut Thread);
    }
    let thread = claim_stream(local, 0)?;
    tls::set::<THREAD>(thread as usize);
    if local.option(hs::OPT_CRASH) {
        altstack::give();
    }
    Some(thread)
}

fn claim_inner(local: &'static Local, level: u32) -> *mut Thread {
    if level > MAX_LEVEL {
        return core::ptr::null_mut();
    }
    let _signals = call::SignalsBlocked::new();
    claim_stream(local, level).unwrap_or(core::ptr::null_mut())
}

fn claim_stream(local: &'static Local, level: u32) -> Option<*mut Thread> {
    // A vfork child borrows its parent's memory for a moment; its thread id would be dead soon, and the
    // stream open to takeover while the parent's thread uses it.
    if call::getpid() != local.pid() {
        return None;
    }
    let tid = call::gettid();
    let thread = take_over(local, tid).or_else(|| begin(local, tid))?;
    end_solitude(local, thread);
    // SAFETY: ours: the stream's owner is this thread, and nobody else looks at its Thread.
    let state = unsafe { &mut *thread };
    state.tid = tid;
    state.level = level;
    state.inner = core::ptr::null_mut();
    state.freed = 0;
    state.fork_serial = 0;
    // The last owner may have died inside a hook: what it had claimed is claimed anew.
    state.busy = 1;
    state.header().intent.store(0, Ordering::Release);
    state.cursor = Cursor::resume(state.ring());
    (state.quiet_until, state.bare_frees_until) = (0, 0);
    state.look_at = 0;
    state.capture.settle(state.cursor.position);
    let told = emit::thread(state);
    state.busy = 0;
    told.then_some(thread)
}

/// Decides whether the owner of this stream is alone; if it is not, neither is that of stream 0, from here on.
fn end_solitude(local: &'static Local, thread: *mut Thread) {
    let Some(first) = local.stream_area(0) else { return };
    // SAFETY: a mapped stream area, never unmapped; `thread` is ours.
    let (first, thread) = unsafe { (&*first.cast::<StreamHeader>(), &mut *thread) };
    let page = local.page();
    let is_first = core::ptr::eq(thread.header, first);
    let word = if is_first && page.alone_until.load(Ordering::Relaxed) == 0 {
        objects::single_threaded()
    } else {
        // Acquire: everything that stream 0 holds without a number, and that is before us, is before this.
        let until = first.head.load(Ordering::Acquire) + 1;
        // Release: the collector that sees what we publish sees this.
        let _ = page.alone_until.compare_exchange(0, until, Ordering::AcqRel, Ordering::Relaxed);
        let other = THREADS[0].load(Ordering::Acquire);
        if !other.is_null() {
            // SAFETY: Threads are never given back.
            unsafe { (*other).alone.store((&raw const TOGETHER).cast_mut(), Ordering::Relaxed) };
        }
        core::ptr::null()
    };
    let word = if word.is_null() { &raw const TOGETHER } else { word };
    thread.alone.store(word.cast_mut(), Ordering::Relaxed);
}

/// The stream of a thread that is gone.
fn take_over(local: &'static Local, tid: u32) -> Option<*mut Thread> {
    let streams = (local.page().streams.load(Ordering::Relaxed) as usize).min(MAX_STREAMS);
    for _ in 0..streams.min(PROBES) {
        let index = PROBE.fetch_add(1, Ordering::Relaxed) % streams;
        let thread = THREADS[index].load(Ordering::Acquire);
        if thread.is_null() {
            continue;
        }
        // SAFETY: Threads are never given back; the header is set before the pointer is published.
        let header = unsafe { &*(*thread).header };
        let owner = header.owner.load(Ordering::Relaxed);
        if owner != 0
            && owner != tid
            && call::thread_is_gone(local.pid(), owner)
            // Of two new threads that see the same dead owner, one gets the stream.
            && header.owner.compare_exchange(owner, tid, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        {
            return Some(thread);
        }
    }
    None
}

/// A stream that was never used.
fn begin(local: &'static Local, tid: u32) -> Option<*mut Thread> {
    let streams = &local.page().streams;
    let (index, area) = loop {
        let index = streams.load(Ordering::Relaxed);
        if index as usize >= MAX_STREAMS {
            return None;
        }
        // Mapped before it is counted: one that cannot be mapped is nobody's.
        let area = local.stream_area(index as usize)?;
        // AcqRel: the collector maps the areas it sees counted.
        if streams.compare_exchange(index, index + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            break (index as usize, area);
        }
    };
    let spare = SPARE.swap(core::ptr::null_mut(), Ordering::AcqRel);
    let thread =
        if spare.is_null() { call::map_private(size_of::<Thread>()).cast() } else { spare };
    if thread.is_null() {
        return None;
    }
    // SAFETY: fresh zeroed memory, or the spare one that nobody uses; all fields are plain data.
    unsafe {
        (*thread).header = area.cast();
        (*thread).page = local.page();
        (*thread).session = local.session();
        (*thread).local = local;
        (*thread).free_backtraces_left = free_backtraces(local);
        (*thread).capture.reset();
        let private = private_range(thread as usize, size_of::<Thread>());
        (*thread).header().private.store(private, Ordering::Relaxed);
        (*thread).header().owner.store(tid, Ordering::Release);
    }
    THREADS[index].store(thread, Ordering::Release);
    Some(thread)
}

/// How many frees of a new stream have backtraces.
fn free_backtraces(local: &Local) -> usize {
    if local.option(hs::OPT_ALL_FREE_BACKTRACES) {
        // More than any thread lives to free.
        usize::MAX
    } else if local.option(hs::OPT_FIRST_FREE_BACKTRACES) {
        hs::FIRST_FREES
    } else {
        0
    }
}

/// Enters the calling thread if it has a stream already; nothing is claimed and nothing counted.
pub(crate) fn enter_if_begun(local: &'static Local, sp: usize) -> Option<Entered> {
    if tls::get::<THREAD>() > LOST { enter(local, sp) } else { None }
}

/// Keeps the serial of the fork that the calling thread is about to make.
pub(crate) fn keep_fork_serial(serial: u64) {
    let word = tls::get::<THREAD>();
    if word > LOST {
        // SAFETY: this thread's own.
        unsafe { (*(word as *mut Thread)).fork_serial = serial };
    }
}

/// The serial of the fork that the calling thread is in, once; 0 for none.
pub(crate) fn take_fork_serial() -> u64 {
    let word = tls::get::<THREAD>();
    if word <= LOST {
        return 0;
    }
    // SAFETY: this thread's own.
    unsafe { core::mem::take(&mut (*(word as *mut Thread)).fork_serial) }
}

/// In a forked child that joins: the serial of the fork that it came from, once; 0 for none.
pub(crate) fn take_child_serial() -> u64 {
    match CHILD_SERIAL.swap(0, Ordering::Relaxed) {
        // No handler ran (a raw clone).
        0 => take_fork_serial(),
        serial => serial,
    }
}

/// In a forked child that joins: the other threads are gone, this one starts anew.
pub(crate) fn after_fork() {
    for slot in &THREADS {
        slot.store(core::ptr::null_mut(), Ordering::Relaxed);
    }
    PROBE.store(0, Ordering::Relaxed);
    let own = tls::get::<THREAD>();
    tls::set::<THREAD>(0);
    if own > LOST {
        keep_spare(own as *mut Thread);
    }
}

/// Keeps the memory of the forked child's only thread for whoever records first.
fn keep_spare(thread: *mut Thread) {
    SPARE.store(thread, Ordering::Relaxed);
}

/// After `fork`, in the child (an atfork handler): takes the parent's stream from the only thread, for it may
/// not be the one that joins.
///
/// A hook that a signal handler interrupted, and that goes on in the child when the handler returns, must not
/// write into its parent's stream either. It gets a private stand-in that nobody reads.
pub fn after_fork_in_child() {
    tag::forget();
    sampling::begin_anew();
    let mut thread = match tls::get::<THREAD>() {
        0..=LOST => return,
        word => word as *mut Thread,
    };
    CHILD_SERIAL.store(take_fork_serial(), Ordering::Relaxed);
    tls::set::<THREAD>(0);
    // SAFETY: the chain of this thread's own levels.
    unsafe {
        if (*thread).busy == 0 {
            keep_spare(thread);
            return;
        }
        while !thread.is_null() {
            let stand_in = call::map_private(PAGE + STREAM_BYTES);
            if !stand_in.is_null() {
                (*thread).page = stand_in.cast();
                (*thread).header = stand_in.add(PAGE).cast();
                let position = (*thread).cursor.position;
                (*thread).header().head.store(position, Ordering::Relaxed);
                (*thread).header().tail.store(position, Ordering::Relaxed);
            }
            thread = (*thread).inner;
        }
    }
}

/// A thread state that belongs to no process: its ring and pages are private memory.
#[cfg(test)]
pub(crate) fn detached() -> &'static mut Thread {
    let memory = call::map_private(2 * PAGE + STREAM_BYTES);
    let thread: *mut Thread = call::map_private(size_of::<Thread>()).cast();
    assert!(!memory.is_null() && !thread.is_null());
    // SAFETY: fresh zeroed memory, as for a real thread; never given back.
    unsafe {
        (*thread).page = memory.cast();
        (*thread).session = memory.add(PAGE).cast();
        (*thread).header = memory.add(2 * PAGE).cast();
        (*thread).local = Box::leak(Box::new(Local::detached(memory.cast())));
        (*thread).alone.store((&raw const TOGETHER).cast_mut(), Ordering::Relaxed);
        &mut *thread
    }
}
