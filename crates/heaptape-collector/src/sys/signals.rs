//! The launcher's signals: held back, read one by one, and put back for the child.

use super::{check, fd, inherit};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Signals that are read instead of obeyed. A terminal sends the first ones to the whole group, the
/// target included; others are meant for the target and passed on.
const HELD: [i32; 9] = [
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGHUP,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
];

/// The state before [`Held::take`], for the child.
#[derive(Clone, Copy)]
pub(crate) struct Inherited {
    mask: libc::sigset_t,
    child: libc::sigaction,
}

impl Inherited {
    /// Puts everything back as the launcher found it. For the child, between fork and exec.
    pub(super) fn restore(&self) {
        // SAFETY: async-signal-safe calls on valid values.
        unsafe {
            libc::sigaction(libc::SIGCHLD, &self.child, std::ptr::null_mut());
            libc::signal(libc::SIGPIPE, inherit::sigpipe());
            libc::sigprocmask(libc::SIG_SETMASK, &self.mask, std::ptr::null_mut());
        }
    }
}

/// The signals held back; dropped, the launcher obeys them again.
pub(crate) struct Held {
    fd: OwnedFd,
    inherited: Inherited,
}

impl Held {
    /// Holds the signals back in this thread and those it makes. SIGXFSZ too: a tape that hits
    /// `ulimit -f` is an error of a write, not a reason to die. And SIGCHLD is no longer ignored, if
    /// it was: the kernel would throw away how the child ended.
    pub(crate) fn take() -> io::Result<Held> {
        // SAFETY: all of these work on local, initialised values.
        unsafe {
            let mut held = set(&HELD);
            let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
            let fd = fd::own(check(libc::signalfd(-1, &held, flags))?);
            libc::sigaddset(&mut held, libc::SIGXFSZ);
            let mut mask: libc::sigset_t = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_BLOCK, &held, &mut mask);
            let mut child: libc::sigaction = std::mem::zeroed();
            let default: libc::sigaction = std::mem::zeroed();
            check(libc::sigaction(libc::SIGCHLD, &default, &mut child))?;
            Ok(Held { fd, inherited: Inherited { mask, child } })
        }
    }

    /// The state before.
    pub(crate) fn inherited(&self) -> Inherited {
        self.inherited
    }

    /// The next signal that has come and that a process (not the terminal, and not `child` itself)
    /// sent to the launcher: the child is to get it.
    pub(crate) fn next_for(&self, child: u32) -> Option<i32> {
        loop {
            let info = self.read()?;
            // Positive codes are the kernel's own: the terminal has sent it to the whole group.
            if info.ssi_code <= 0 && info.ssi_pid != child {
                return Some(info.ssi_signo as i32);
            }
        }
    }

    fn read(&self) -> Option<libc::signalfd_siginfo> {
        // SAFETY: all zero is valid; the kernel writes whole structs only.
        unsafe {
            let mut info: libc::signalfd_siginfo = std::mem::zeroed();
            let want = size_of_val(&info);
            let got = libc::read(self.fd.as_raw_fd(), (&raw mut info).cast(), want);
            (got == want as isize).then_some(info)
        }
    }
}

impl AsFd for Held {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: a mask taken from the kernel by `take`, and local values.
        unsafe {
            // One that a write has left pending has been told as that write's error.
            let none = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            libc::sigtimedwait(&set(&[libc::SIGXFSZ]), std::ptr::null_mut(), &none);
            libc::sigaction(libc::SIGCHLD, &self.inherited.child, std::ptr::null_mut());
            libc::pthread_sigmask(libc::SIG_SETMASK, &self.inherited.mask, std::ptr::null_mut());
        }
    }
}

fn set(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: local values.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for &signal in signals {
            libc::sigaddset(&mut set, signal);
        }
        set
    }
}

/// Stops this process, as the terminal's stop key would have; returns when it is continued.
pub(crate) fn stop_self() {
    // SAFETY: plain call.
    unsafe { libc::raise(libc::SIGSTOP) };
}

/// Dies by the signal, without a core of our own. Returns when the signal does not kill.
pub(crate) fn die_by(signal: i32) {
    // SAFETY: local values; the default disposition is always allowed.
    unsafe {
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::setrlimit(libc::RLIMIT_CORE, &none);
        libc::signal(signal, libc::SIG_DFL);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set(&[signal]), std::ptr::null_mut());
        libc::raise(signal);
    }
}
