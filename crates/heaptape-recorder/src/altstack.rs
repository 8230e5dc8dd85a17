//! Alternate signal stacks: a stack that overflowed has no room for a handler, so every thread is given one.
//!
//! * The main thread, and one that nobody asked libc for (`clone`), when it first records.
//! * All others before their first instruction: [`prepare`] puts a routine of ours ahead of the program's, which jumps
//!   on to it, so no frame, no stack and no call at the end of the thread is added.
//! * Nothing is done when a thread ends: the next one takes the stack of one that the kernel no longer knows.

use crate::sys::call::{self, SignalStack};
use crate::sys::tls::{self, STACK};
use core::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use heaptape_wire::layout::{MAX_STREAMS, PAGE};

/// Bytes of a stack, its guard page not counted. A handler of the program that may run on an alternate stack runs on
/// this one where the program has set none: so it is larger than we need.
const BYTES: usize = 128 * 1024;
/// The lowest words of a stack.
const MARK: [usize; 2] = [usize::from_ne_bytes(*b"heaptape"), usize::from_ne_bytes(*b"altstack")];

/// A stack, and whose it is. Both are 0 until it is made.
struct Slot {
    start: AtomicUsize,
    /// Process id << 32 | thread id; 0: nobody's.
    owner: AtomicU64,
}

/// As many threads as can record.
static SLOTS: [Slot; MAX_STREAMS] =
    [const { Slot { start: AtomicUsize::new(0), owner: AtomicU64::new(0) } }; MAX_STREAMS];
static MADE: AtomicUsize = AtomicUsize::new(0);
static PROBE: AtomicUsize = AtomicUsize::new(0);
/// Slots that a thread looks at for one whose owner is gone.
const PROBES: usize = 8;

/// Gives the calling thread, unless it has one, a stack of ours.
pub(crate) fn give() {
    // A program's own comes first. In a forked child, ours may have come along.
    if tls::get::<STACK>() != 0 || !call::signal_stack().is_some_and(|now| now.is_none()) {
        return;
    }
    let start = take(call::getpid(), call::gettid());
    if start != 0 {
        tls::set::<STACK>(start);
        // SAFETY: this thread's alone while it lives.
        unsafe { call::set_signal_stack(&at(start)) };
    }
}

/// The stack of ours that the calling thread has where it has set none.
pub fn own() -> Option<SignalStack> {
    Some(tls::get::<STACK>()).filter(|&start| start != 0).map(at)
}

/// Whether an alternate stack that the kernel knows is one of ours.
pub fn is_ours(stack: &SignalStack) -> bool {
    stack.bytes == BYTES
        && call::is_readable(stack.start)
        // SAFETY: readable, and both words lie in one page.
        && stack.start.is_multiple_of(PAGE) && unsafe { *(stack.start as *const [usize; 2]) } == MARK
}

fn at(start: usize) -> SignalStack {
    SignalStack { start, flags: 0, bytes: BYTES }
}

/// A stack for thread `tid`: that of one that is gone, or a new one; 0 when there is none.
fn take(pid: u32, tid: u32) -> usize {
    let owner = u64::from(pid) << 32 | u64::from(tid);
    let made = MADE.load(Ordering::Relaxed).min(MAX_STREAMS);
    for _ in 0..made.min(PROBES) {
        let slot = &SLOTS[PROBE.fetch_add(1, Ordering::Relaxed) % made];
        // Acquire: what `make` wrote there.
        let start = slot.start.load(Ordering::Acquire);
        let before = slot.owner.load(Ordering::Relaxed);
        if start != 0
            && is_gone(before, pid)
            // Of two threads that see the same dead owner, one gets the stack. It holds nothing.
            && slot.owner.compare_exchange(before, owner, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            return start;
        }
    }
    make(owner)
}

/// Whether an owner uses its stack no more. Of another process, of which this one is a fork, that is not known.
fn is_gone(owner: u64, pid: u32) -> bool {
    owner == 0 || (owner >> 32) as u32 == pid && call::thread_is_gone(pid, owner as u32)
}

fn make(owner: u64) -> usize {
    let index = MADE.fetch_add(1, Ordering::Relaxed);
    let Some(slot) = SLOTS.get(index) else {
        MADE.store(MAX_STREAMS, Ordering::Relaxed);
        return 0;
    };
    let memory = call::map_private(PAGE + BYTES);
    if memory.is_null() {
        return 0;
    }
    // SAFETY: fresh memory that nobody else knows.
    let start = unsafe {
        call::forbid_access(memory, PAGE);
        let start = memory.add(PAGE);
        *start.cast::<[usize; 2]>() = MARK;
        start as usize
    };
    slot.owner.store(owner, Ordering::Relaxed);
    // Release: before anybody may take it, it has its owner.
    slot.start.store(start, Ordering::Release);
    start
}

/// After `fork`, in the child (an atfork handler): its only thread keeps its stack, the others' are free.
pub fn after_fork_in_child() {
    let own = tls::get::<STACK>();
    let owner = u64::from(call::getpid()) << 32 | u64::from(call::gettid());
    for slot in &SLOTS[..MADE.load(Ordering::Relaxed).min(MAX_STREAMS)] {
        let is_own = slot.start.load(Ordering::Relaxed) == own;
        slot.owner.store(if is_own { owner } else { 0 }, Ordering::Relaxed);
    }
}

/// The routine of a thread and its argument, on the way from `pthread_create` into the thread. 0: free.
struct Parcel {
    routine: AtomicUsize,
    argument: AtomicUsize,
}

/// Threads at most that are about to begin. In memory that is searched for pointers as the program's is: the argument
/// may be the only pointer to a block.
const PARCELS: usize = 256;
static PARCELS_AT: AtomicPtr<[Parcel; PARCELS]> = AtomicPtr::new(core::ptr::null_mut());
static NEXT_PARCEL: AtomicUsize = AtomicUsize::new(0);

fn parcels() -> Option<&'static [Parcel; PARCELS]> {
    let mut memory = PARCELS_AT.load(Ordering::Acquire);
    if memory.is_null() {
        let new: *mut [Parcel; PARCELS] = call::map_private(size_of::<[Parcel; PARCELS]>()).cast();
        let (made, seen) = (Ordering::AcqRel, Ordering::Acquire);
        memory = match PARCELS_AT.compare_exchange(memory, new, made, seen) {
            Ok(_) => new,
            Err(first) => {
                // SAFETY: ours, and nobody has seen it.
                unsafe { call::unmap(new.cast(), size_of::<[Parcel; PARCELS]>()) };
                first
            }
        };
    }
    // SAFETY: zeroed memory of that size, never given back; atomics allow any content.
    unsafe { memory.as_ref() }
}

/// What a thread is to be made with in place of `routine` and `argument`: `first`, with an argument for [`begin`].
/// `None`: as it is. A thread that cannot be made keeps its parcel; without parcels, threads begin as they are.
pub fn prepare(routine: usize, argument: usize, first: usize) -> Option<[usize; 2]> {
    let parcels = parcels()?;
    for _ in 0..PROBES {
        let parcel = &parcels[NEXT_PARCEL.fetch_add(1, Ordering::Relaxed) % PARCELS];
        let relaxed = Ordering::Relaxed;
        if parcel.routine.compare_exchange(0, routine, relaxed, relaxed).is_ok() {
            // Making the thread orders it before what the thread does.
            parcel.argument.store(argument, Ordering::Relaxed);
            return Some([first, core::ptr::from_ref(parcel) as usize]);
        }
    }
    None
}

/// A thread's routine and its argument, as C returns two words.
#[repr(C)]
pub struct Start {
    routine: usize,
    argument: usize,
}

/// First in a new thread, which runs `first` with this `parcel`: gives it its stack. Returns what it is to do.
///
/// # Safety
/// The parcel comes from [`prepare`].
pub unsafe extern "C" fn begin(parcel: *const (), first: usize) -> Start {
    // SAFETY: the caller's promise; parcels are never given back.
    let parcel = unsafe { &*parcel.cast::<Parcel>() };
    let argument = parcel.argument.swap(0, Ordering::Relaxed);
    let routine = parcel.routine.load(Ordering::Relaxed);
    mend_control_block([first, core::ptr::from_ref(parcel) as usize], [routine, argument]);
    // Release, with nothing to acquire it: the argument is gone before.
    parcel.routine.store(0, Ordering::Release);
    give();
    Start { routine, argument }
}

/// libc keeps the routine and its argument in the thread's control block, where debuggers and searches for leaks see
/// them: they are to see the program's.
fn mend_control_block(ours: [usize; 2], theirs: [usize; 2]) {
    /// Less than any glibc's control block has.
    const WORDS: usize = 256;
    let block = tls::control_block();
    let pair = (0..WORDS - 1).map(|word| block.wrapping_add(word).cast::<[usize; 2]>());
    for pair in pair {
        // SAFETY: within this thread's control block, whose words nobody else writes at its start.
        unsafe {
            if pair.read() == ours {
                pair.write(theirs);
                return;
            }
        }
    }
}
