//! The last moments of a process: contents at exit, fatal signals.
//!
//! Both only when they were asked for. The thread tells the collector and waits while it copies what it
//! wants from outside; then the process ends exactly as it would have.

use crate::emit;
use crate::gate;
use crate::guard;
use crate::link;
use crate::sys::call::{self, SigAction};
use core::sync::atomic::{AtomicU32, Ordering};
use heaptape_wire::handshake::{self as hs, CrashReport};
use heaptape_wire::record::found;

const SIGNALS: [i32; 5] = [4, 6, 7, 8, 11]; // ILL, ABRT, BUS, FPE, SEGV
const SA_SIGINFO: u64 = 4;
const SA_RESTORER: u64 = 0x0400_0000;
const SA_ONSTACK: u64 = 0x0800_0000;
const SA_RESETHAND: u64 = 0x8000_0000;
const ALTERNATE_STACK: usize = 64 * 1024;

/// At exit: lets the collector copy the contents of the live blocks, if they are wanted.
pub fn at_exit() {
    // A vfork child that gives up ends itself, not the process whose memory it borrows.
    let Some(local) = gate::if_open().filter(|local| local.pid() == call::getpid()) else { return };
    guard::look_over(found::AT_EXIT);
    if local.option(hs::OPT_FREEZE_AT_EXIT) {
        drop(link::ask(hs::FREEZE, local.process(), 0, &[]));
    }
}

/// At start: takes the fatal signals whose disposition is the default, if crashes are wanted. A
/// program that installs a handler of its own replaces ours and never meets it.
///
/// # Safety
/// `restorer` is a function that calls `rt_sigreturn`.
pub unsafe fn watch_for_crashes(restorer: usize) {
    // The first call of a process joins; a constructor may well be that.
    let Some(local) = gate::enter() else { return };
    if !local.option(hs::OPT_CRASH) {
        return;
    }
    if !call::has_alternate_stack() {
        let stack = call::map_private(ALTERNATE_STACK);
        if !stack.is_null() {
            // SAFETY: never given back.
            unsafe { call::set_alternate_stack(stack, ALTERNATE_STACK) };
        }
    }
    for signal in SIGNALS {
        if call::get_action(signal).handler == 0 {
            let action = SigAction {
                handler: on_fatal as *const () as usize,
                flags: SA_SIGINFO | SA_RESTORER | SA_ONSTACK | SA_RESETHAND,
                restorer,
                mask: 0,
            };
            // SAFETY: the handler only makes system calls.
            unsafe { call::set_action(signal, &action) };
        }
    }
}

static REPORTING: AtomicU32 = AtomicU32::new(0);

/// Reports the signal and returns. The disposition is the default again by now (`SA_RESETHAND`), so the
/// faulting instruction kills the process as it would have; a signal that somebody sent is sent again.
unsafe extern "C" fn on_fatal(signal: i32, info: *const u64, context: *const u64) {
    // SAFETY: the kernel's siginfo (si_signo, si_errno, si_code, then si_addr at 16) and ucontext (registers from
    // 40 on).
    let report = unsafe {
        let code = *info.add(1) as u32 as i32;
        CrashReport {
            time_ns: emit::now_ns(),
            signal,
            code,
            fault_addr: if code > 0 { *info.add(2) } else { 0 },
            tid: call::gettid(),
            pad: 0,
            registers: *context.add(5).cast(),
        }
    };
    if REPORTING.swap(1, Ordering::Relaxed) == 0
        && let Some(local) = gate::if_open()
    {
        guard::look_over(found::AT_CRASH);
        // SAFETY: repr(C) without padding.
        let bytes = unsafe {
            core::slice::from_raw_parts((&raw const report).cast(), size_of::<CrashReport>())
        };
        drop(link::ask(hs::CRASH, local.process(), 0, bytes));
    }
    // Sent by kill, tgkill or raise: it will not happen again by itself.
    if report.code <= 0 {
        call::signal_self(signal);
    }
}
