//! Other processes: whether they live, how they ended, what their memory holds.

use super::{check, check_size, fd};
use std::io;
use std::os::fd::OwnedFd;

/// A descriptor that becomes readable when the process dies.
pub(crate) fn open_pidfd(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: plain call; close-on-exec is the default.
    let got = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
    let raw = check(got as libc::c_int)?;
    // SAFETY: just made.
    Ok(unsafe { fd::own(raw) })
}

/// A change of our child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It exited with this code.
    Exited(i32),
    /// It was killed by this signal; whether it dumped core.
    Killed(i32, bool),
    /// It was stopped by this signal.
    Stopped(i32),
}

/// The next change of the child that has not been told yet. Does not wait. Without `stops` one that is stopped is left
/// so, and told to whoever asks next: a tracer is told of stops whatever it asks for.
pub(crate) fn child_change(pid: u32, stops: bool) -> io::Result<Option<Change>> {
    if stops {
        return change(pid, libc::WEXITED | libc::WSTOPPED);
    }
    match change(pid, libc::WEXITED | libc::WNOWAIT)? {
        None | Some(Change::Stopped(_)) => Ok(None),
        // It has ended: nothing else can come in between.
        Some(_) => change(pid, libc::WEXITED),
    }
}

fn change(pid: u32, what: i32) -> io::Result<Option<Change>> {
    // SAFETY: all zero is a valid siginfo_t, and it stays so when nothing has changed.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `info` is ours.
    check(unsafe {
        libc::waitid(libc::P_PID, pid as libc::id_t, &mut info, what | libc::WNOHANG)
    })?;
    // SAFETY: waitid fills these fields for SIGCHLD.
    let (who, status) = unsafe { (info.si_pid(), info.si_status()) };
    if who == 0 {
        return Ok(None);
    }
    Ok(match info.si_code {
        libc::CLD_EXITED => Some(Change::Exited(status)),
        libc::CLD_KILLED => Some(Change::Killed(status, false)),
        libc::CLD_DUMPED => Some(Change::Killed(status, true)),
        libc::CLD_STOPPED | libc::CLD_TRAPPED => Some(Change::Stopped(status)),
        _ => None,
    })
}

/// Whether the process is our own child: its status is waited for by whoever launched it.
pub(crate) fn is_our_child(pid: u32) -> bool {
    // SAFETY: all zero is a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let what = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is ours; the status stays where it is.
    unsafe { libc::waitid(libc::P_PID, pid as libc::id_t, &mut info, what) == 0 }
}

/// Sends a signal; a process that is gone is no error.
pub(crate) fn kill(pid: u32, signal: i32) {
    // SAFETY: plain call.
    unsafe { libc::kill(pid as libc::pid_t, signal) };
}

/// Copies spans of another process's memory (address, length), one after the other, into `buffer`,
/// which is as long as all of them together. Returns how many bytes were copied: fewer when a span
/// could not be read as a whole.
pub(crate) fn read_memory(
    pid: u32,
    spans: &[(u64, usize)],
    buffer: &mut [u8],
) -> io::Result<usize> {
    debug_assert_eq!(spans.iter().map(|s| s.1).sum::<usize>(), buffer.len());
    let remote: Vec<libc::iovec> = spans
        .iter()
        .map(|&(at, len)| libc::iovec { iov_base: at as usize as *mut _, iov_len: len })
        .collect();
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: the kernel writes at most `buffer.len()` bytes to our buffer; the remote addresses are
    // only ever looked at in the other process.
    check_size(unsafe {
        libc::process_vm_readv(
            pid as libc::pid_t,
            &local,
            1,
            remote.as_ptr(),
            remote.len() as libc::c_ulong,
            0,
        )
    })
}
