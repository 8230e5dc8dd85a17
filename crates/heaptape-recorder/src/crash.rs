//! Fatal signals: a handler of ours stands where the disposition is the default, tells the collector, and then
//! the process dies of the very signal.
//!
//! * Who asks is told that the default stands there, and who sets the default sets us again: see the preload's
//!   `signals`. Nothing is remembered for that: a signal is ours when the kernel says that our handler stands there.
//!   So nothing can be wrong in a forked child, and a vfork child changes nothing of its parent's.
//! * The same signal, with the same siginfo, is queued again while everything is blocked, and arrives when the
//!   handler returns, with the registers of the fault in place: exit status and core dump are those of the bare
//!   program.
//! * The handler only makes system calls, and waits for the collector no longer than it is alive.
//! * A stack that overflowed has no room for a handler: every thread has an alternate stack (`altstack`).

use crate::emit;
use crate::gate;
use crate::guard;
use crate::plea;
use crate::sys::call;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use heaptape_wire::handshake::{self as hs, CrashReport};
use heaptape_wire::layout::CRASH_WORDS;
use heaptape_wire::record::found;

/// ILL, TRAP, ABRT, BUS, FPE, SEGV, SYS: what a program does not send for other reasons than that it went wrong.
/// (QUIT is a user's, XCPU and XFSZ are limits': such deaths are known by the exit status.)
pub const SIGNALS: [i32; 7] = [SIGILL, 5, 6, SIGBUS, SIGFPE, SIGSEGV, 31];
const SIGILL: i32 = 4;
const SIGBUS: i32 = 7;
const SIGFPE: i32 = 8;
const SIGSEGV: i32 = 11;
/// `si_code` of a signal sent to one thread.
const SI_TKILL: i32 = -6;
/// `si_code` of a bad page that nobody has touched yet.
const BUS_MCEERR_AO: i32 = 5;

/// The first process of a container: the default of a signal that was sent does nothing to it.
const FIRST_PID: u32 = 1;

/// How long a thread waits for the one that reports, in steps and in all: the collector's patience and more.
const STEP_NS: i64 = 100_000_000;
const MOST_STEPS: u32 = 600;

/// Whether crashes are wanted. A forked child goes on as its parent, before it has joined too.
static WATCHING: AtomicBool = AtomicBool::new(false);
/// The process in which a thread reports a crash at the moment; 0: none does.
static REPORTING: AtomicU32 = AtomicU32::new(0);

/// At start: whether the fatal signals whose disposition is the default are to be ours.
pub fn is_wanted() -> bool {
    // The first call of a process joins; a constructor may well be that.
    let wanted = gate::enter().is_some_and(|local| local.option(hs::OPT_CRASH));
    WATCHING.store(wanted, Ordering::Relaxed);
    wanted
}

/// Whether crashes are wanted.
#[inline]
pub fn is_watching() -> bool {
    WATCHING.load(Ordering::Relaxed)
}

/// Whether a default disposition of `signal` is to be ours.
#[inline]
pub fn is_watched(signal: i32) -> bool {
    is_fatal(signal) && is_watching()
}

/// Whether `signal` is one of [`SIGNALS`].
#[inline]
pub fn is_fatal(signal: i32) -> bool {
    SIGNALS.contains(&signal)
}

/// The address of our handler (`SA_SIGINFO`, all signals blocked).
pub fn handler() -> usize {
    on_fatal as *const () as usize
}

unsafe extern "C" fn on_fatal(signal: i32, info: *const u64, context: *const u64) {
    // SAFETY: si_code.
    let code = unsafe { *info.add(1) as u32 as i32 };
    if code <= 0 && call::getpid() == FIRST_PID {
        return;
    }
    // A vfork child dies alone, and what it borrows is its parent's.
    if let Some(local) = gate::enter_unless_closed()
        && local.pid() == call::getpid()
    {
        if begin_report(local.pid()) {
            guard::look_over(found::AT_CRASH);
            // SAFETY: the kernel's.
            let report = unsafe { report(signal, info, context) };
            // SAFETY: repr(C), whole words without padding.
            let words = unsafe { core::mem::transmute::<CrashReport, [u64; CRASH_WORDS]>(report) };
            plea::at_crash(local, &words);
        } else {
            wait_for_report(local.pid());
        }
    }
    call::set_action_default(signal);
    // SAFETY: the siginfo is the kernel's.
    unsafe { send_again(signal, info) };
}

/// Makes the signal come again when the handler returns, as it came: by itself, if the instruction faults again.
/// What a sandbox would not expect is asked of the kernel only where nothing else does.
///
/// # Safety
/// The siginfo is the kernel's.
unsafe fn send_again(signal: i32, info: *const u64) {
    // SAFETY: as in `report`.
    let (code, sender) = unsafe { (*info.add(1) as u32 as i32, *info.add(2) as u32) };
    let repeats = matches!(signal, SIGILL | SIGFPE | SIGSEGV) && code > 0
        || signal == SIGBUS && (1..BUS_MCEERR_AO).contains(&code);
    if repeats {
        return;
    }
    let is_raised = code == SI_TKILL && sender == call::getpid();
    // SAFETY: the caller's promise.
    if is_raised || !unsafe { call::queue_to_self(signal, info) } {
        call::signal_self(signal);
    }
}

/// What the handler saw.
///
/// # Safety
/// The siginfo and the context are those that the kernel made.
unsafe fn report(signal: i32, info: *const u64, context: *const u64) -> CrashReport {
    // SAFETY: siginfo is si_signo, si_errno, si_code, then at 16 si_addr or si_pid; the context's registers are
    // from 40 on.
    unsafe {
        let code = *info.add(1) as u32 as i32;
        let sent = code <= 0;
        CrashReport {
            time_ns: emit::now_ns(),
            signal,
            code,
            fault_addr: if sent { 0 } else { *info.add(2) },
            tid: call::gettid(),
            sender: if sent { *info.add(2) as u32 } else { 0 },
            registers: *context.add(5).cast(),
        }
    }
}

/// Whether this thread is the one that reports the crash of process `pid`.
fn begin_report(pid: u32) -> bool {
    let before = REPORTING.load(Ordering::Relaxed);
    // A forked child inherits the word, but not the thread that wrote it.
    before != pid
        && REPORTING.compare_exchange(before, pid, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

/// Waits while another thread reports a crash, which process `pid` will not survive: bare, it would
/// be dead already.
pub(crate) fn wait_for_report(pid: u32) {
    for _ in 0..MOST_STEPS {
        if REPORTING.load(Ordering::Relaxed) != pid {
            return;
        }
        call::futex_wait(REPORTING.as_ptr(), pid, STEP_NS);
    }
}
