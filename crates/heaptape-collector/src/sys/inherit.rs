//! What the launcher was started with, looked at before Rust's runtime changes it.
//!
//! Before `main`, the runtime opens `/dev/null` on closed descriptors 0 to 2 and ignores SIGPIPE. The
//! target must see neither, so both are noted in an initialiser that runs before the runtime, and
//! put back in the child.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Bit n: descriptor n was closed.
static CLOSED: AtomicU8 = AtomicU8::new(0);
static SIGPIPE_IGNORED: AtomicBool = AtomicBool::new(false);

extern "C" fn note() {
    for fd in 0..3 {
        // SAFETY: asks, changes nothing; a closed descriptor is an answer.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            CLOSED.fetch_or(1 << fd, Ordering::Relaxed);
        }
    }
    // SAFETY: all zero is a valid sigaction; asks, changes nothing.
    unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(libc::SIGPIPE, std::ptr::null(), &mut old) == 0 {
            SIGPIPE_IGNORED.store(old.sa_sigaction == libc::SIG_IGN, Ordering::Relaxed);
        }
    }
}

// SAFETY: the loader calls every function of this section once before main; ours uses nothing that
// main sets up.
#[unsafe(link_section = ".init_array")]
#[used]
static NOTE: extern "C" fn() = note;

/// Whether descriptor `fd` (0 to 2) was closed when the launcher started.
pub(super) fn was_closed(fd: i32) -> bool {
    CLOSED.load(Ordering::Relaxed) & (1 << fd) != 0
}

/// The disposition of SIGPIPE when the launcher started.
pub(super) fn sigpipe() -> libc::sighandler_t {
    if SIGPIPE_IGNORED.load(Ordering::Relaxed) { libc::SIG_IGN } else { libc::SIG_DFL }
}
