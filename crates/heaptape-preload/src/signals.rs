//! Signal dispositions and alternate stacks, as the program is to see them: as if ours were not there.
//!
//! Where our handler stands the answer is "default"; setting the default sets our handler, which does what the
//! default does after it has told the collector. What is asked for any other signal, and whatever else is set, goes to
//! the real function as it is. The same for our alternate stacks: they look like none, and none is set by setting
//! ours.
//!
//! `sigignore` and `siginterrupt` need no help: they tell nothing of what was there before, and set nothing to
//! the default.

use crate::call_real;
use crate::real::Real;
use core::sync::atomic::{AtomicBool, Ordering};
use heaptape_recorder::sys::call::{SignalStack, is_readable};
use heaptape_recorder::{altstack, crash};

static SIGACTION: Real = Real::new(c"sigaction");
static SIGNAL: Real = Real::new(c"signal");
static SYSV_SIGNAL: Real = Real::new(c"sysv_signal");
static SIGSET: Real = Real::new(c"sigset");
static SIGALTSTACK: Real = Real::new(c"sigaltstack");

/// Whether the program has set an alternate stack that has no room for our handler: a signal that finds none is
/// turned into SIGSEGV by the kernel. Ours run on the threads' own stacks from then on.
static HAS_SMALL_STACK: AtomicBool = AtomicBool::new(false);
/// Bytes of a stack that has room: what programs have been told to take (`SIGSTKSZ`).
const ENOUGH: usize = 8192;

const FAILED: i32 = -1;
const SIG_DFL: usize = 0;
const SIG_ERR: usize = usize::MAX;
const SA_SIGINFO: i32 = 4;
const SA_ONSTACK: i32 = 0x0800_0000;

/// libc's `struct sigaction`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Action {
    handler: usize,
    mask: [u64; 16],
    flags: i32,
    restorer: usize,
}

impl Action {
    /// Of a signal that nobody has touched.
    const DEFAULT: Action = Action { handler: SIG_DFL, mask: [0; 16], flags: 0, restorer: 0 };

    fn ours() -> Action {
        Action {
            handler: crash::handler(),
            mask: [u64::MAX; 16],
            flags: if HAS_SMALL_STACK.load(Ordering::Relaxed) {
                SA_SIGINFO
            } else {
                SA_SIGINFO | SA_ONSTACK
            },
            restorer: 0,
        }
    }
}

/// At start: takes the fatal signals whose disposition is the default, if crashes are wanted.
pub(crate) fn start() {
    if crash::is_wanted() {
        crash::SIGNALS.into_iter().for_each(|signal| take_from(signal, SIG_DFL));
    }
}

fn real_sigaction(signal: i32, wanted: *const Action, old: *mut Action) -> i32 {
    let real = &SIGACTION;
    call_real!(real, fn(i32, *const Action, *mut Action) -> i32, (signal, wanted, old), FAILED)
}

/// Sets our handler if `handler` stands there.
fn take_from(signal: i32, handler: usize) {
    let mut now = Action::DEFAULT;
    if real_sigaction(signal, core::ptr::null(), &raw mut now) == 0 && now.handler == handler {
        let ours = Action::ours();
        real_sigaction(signal, &raw const ours, core::ptr::null_mut());
    }
}

/// POSIX's sigaction.
#[cfg_attr(heaptape_preload, unsafe(no_mangle))]
pub unsafe extern "C" fn sigaction(signal: i32, wanted: *const Action, old: *mut Action) -> i32 {
    if !crash::is_fatal(signal) {
        return real_sigaction(signal, wanted, old);
    }
    // SAFETY: libc reads it without a look, too.
    let sets_default = !wanted.is_null() && unsafe { (*wanted).handler } == SIG_DFL;
    let ret = if sets_default && crash::is_watched(signal) {
        let ours = Action::ours();
        real_sigaction(signal, &raw const ours, old)
    } else {
        real_sigaction(signal, wanted, old)
    };
    // SAFETY: libc has just written it.
    unsafe {
        if ret == 0 && !old.is_null() && (*old).handler == crash::handler() {
            *old = Action::DEFAULT;
        }
    }
    ret
}

/// libc's other name for it.
#[cfg_attr(heaptape_preload, unsafe(no_mangle))]
pub unsafe extern "C" fn __sigaction(signal: i32, wanted: *const Action, old: *mut Action) -> i32 {
    // SAFETY: the caller's.
    unsafe { sigaction(signal, wanted, old) }
}

/// The older functions: a disposition in, the one before out.
fn set(real: &Real, signal: i32, wanted: usize) -> usize {
    let before = call_real!(real, fn(i32, usize) -> usize, (signal, wanted), SIG_ERR);
    if wanted == SIG_DFL && before != SIG_ERR && crash::is_watched(signal) {
        take_from(signal, SIG_DFL);
    }
    if before == crash::handler() { SIG_DFL } else { before }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident => $real:ident;)*) => {$(
        $(#[$doc])*
        #[cfg_attr(heaptape_preload, unsafe(no_mangle))]
        pub unsafe extern "C" fn $name(signal: i32, wanted: usize) -> usize {
            set(&$real, signal, wanted)
        }
    )*};
}

setters! {
    /// C's signal.
    signal => SIGNAL;
    /// BSD's name for it.
    bsd_signal => SIGNAL;
    /// System V's name for it.
    ssignal => SIGNAL;
    /// System V's meaning of it.
    sysv_signal => SYSV_SIGNAL;
    /// libc's other name for that.
    __sysv_signal => SYSV_SIGNAL;
    /// System V's sigset.
    sigset => SIGSET;
}

/// POSIX's sigaltstack.
#[cfg_attr(heaptape_preload, unsafe(no_mangle))]
pub unsafe extern "C" fn sigaltstack(wanted: *const SignalStack, old: *mut SignalStack) -> i32 {
    let ours = altstack::own();
    // What cannot be read is the kernel's to refuse.
    let is_given = is_readable(wanted as usize) && is_readable(wanted.wrapping_add(1) as usize - 8);
    // SAFETY: readable.
    let wanted_stack = is_given.then(|| unsafe { *wanted });
    let sets_none = wanted_stack.is_some_and(|stack| stack.disables());
    let is_small = wanted_stack.is_some_and(|stack| !sets_none && stack.bytes < ENOUGH);
    let wanted = match &ours {
        Some(ours) if sets_none => core::ptr::from_ref(ours),
        _ => wanted,
    };
    let real = &SIGALTSTACK;
    let ret =
        call_real!(real, fn(*const SignalStack, *mut SignalStack) -> i32, (wanted, old), FAILED);
    // SAFETY: the kernel has just written it.
    unsafe {
        if ret == 0 && !old.is_null() && altstack::is_ours(&*old) {
            *old = SignalStack::NONE;
        }
    }
    if ret == 0 && is_small && !HAS_SMALL_STACK.swap(true, Ordering::Relaxed) {
        crash::SIGNALS.into_iter().for_each(|signal| take_from(signal, crash::handler()));
    }
    ret
}
