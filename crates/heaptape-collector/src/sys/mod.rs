//! The kernel's side of the collector: the only place with `unsafe`.
//!
//! Each file wraps a handful of system calls into safe functions that say what they promise; none
//! of them knows what the collector does with them. Every descriptor made here is close-on-exec and
//! above 2.

pub(crate) mod clock;
pub(crate) mod fd;
pub(crate) mod futex;
pub(crate) mod inherit;
pub(crate) mod memory;
pub(crate) mod priority;
pub(crate) mod process;
pub(crate) mod signals;
pub(crate) mod socket;
pub(crate) mod spawn;
pub(crate) mod stop;
pub(crate) mod watch;

use std::io;

/// The result of a system call that says -1 and sets `errno` when it fails.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// As [`check`], for calls that return a size.
fn check_size(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Random bytes for names and tokens.
pub(crate) fn random_bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0u8; N];
    // SAFETY: the buffer is ours and N bytes long; requests of at most 256 bytes are never cut short.
    let got = check_size(unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), N, 0) })?;
    if got == N { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
