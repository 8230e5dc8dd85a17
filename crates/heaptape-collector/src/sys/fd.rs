//! Small things with descriptors.

use super::check;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Takes ownership of a descriptor that a system call has just made.
///
/// # Safety
/// `fd` is open and nobody else owns it.
pub(super) unsafe fn own(fd: libc::c_int) -> OwnedFd {
    // SAFETY: the caller's promise.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A pipe: (reading end, writing end), both close-on-exec.
pub(super) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    // SAFETY: the kernel has just made both for us.
    Ok(unsafe { (own(ends[0]), own(ends[1])) })
}

/// Sets the mode of an open file, whatever the umask was when it was made.
pub(crate) fn set_mode(file: &File, mode: libc::mode_t) -> io::Result<()> {
    // SAFETY: plain call on a descriptor we hold.
    check(unsafe { libc::fchmod(file.as_raw_fd(), mode) }).map(drop)
}

/// Whether the file may be mapped as code: not so on a file system mounted `noexec`.
pub(crate) fn can_be_code(file: &File) -> bool {
    // SAFETY: a fresh private mapping that nobody uses, unmapped at once.
    unsafe {
        let at = libc::mmap(
            std::ptr::null_mut(),
            4096,
            libc::PROT_READ | libc::PROT_EXEC,
            libc::MAP_PRIVATE,
            file.as_raw_fd(),
            0,
        );
        at != libc::MAP_FAILED && libc::munmap(at, 4096) == 0
    }
}

/// An anonymous file of that name (for `/proc` only), close-on-exec.
pub(crate) fn memfd(name: &CStr, flags: libc::c_uint) -> io::Result<OwnedFd> {
    // SAFETY: a terminated string.
    let fd = check(unsafe { libc::memfd_create(name.as_ptr(), flags | libc::MFD_CLOEXEC) })?;
    // SAFETY: just made.
    Ok(unsafe { own(fd) })
}

/// Whether a poll of the descriptor says readable right now: of a pidfd, that the process is dead.
pub(crate) fn is_readable(fd: &impl AsFd) -> bool {
    let mut poll = libc::pollfd { fd: fd.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, no waiting.
    unsafe { libc::poll(&mut poll, 1, 0) > 0 && poll.revents & libc::POLLIN != 0 }
}

/// The real user of this process.
pub(crate) fn user() -> u32 {
    // SAFETY: cannot fail.
    unsafe { libc::geteuid() }
}

/// The host's name, as far as it is text.
pub(crate) fn host_name() -> String {
    let mut name = [0u8; 256];
    // SAFETY: the last byte stays zero.
    let result = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) };
    if result != 0 {
        return String::new();
    }
    let end = name.iter().position(|&b| b == 0).unwrap_or(0);
    String::from_utf8_lossy(&name[..end]).into_owned()
}

/// Bytes of a page of this machine.
pub(crate) fn page_size() -> u32 {
    // SAFETY: cannot fail for this name.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as u32 }
}

/// The effective user and group of this process.
pub(crate) fn user_and_group() -> (u32, u32) {
    // SAFETY: cannot fail.
    (user(), unsafe { libc::getegid() })
}

/// Whether this process may execute the file.
pub(crate) fn may_execute(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: a terminated string.
    unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), libc::X_OK, libc::AT_EACCESS) == 0 }
}

/// Whether the file has an extended attribute of that name.
pub(crate) fn has_attribute(path: &Path, name: &CStr) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: terminated strings; only the size is asked for.
    unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), std::ptr::null_mut(), 0) > 0 }
}
