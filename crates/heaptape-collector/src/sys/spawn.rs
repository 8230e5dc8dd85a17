//! Fork and exec, with a pause between: the child exists and its pid is known, but nothing of the
//! program has run yet.
//!
//! Written by hand and not with `std::process::Command`, which returns only after the exec: the
//! tape's name may hold the pid, and the tape must be open before the program runs.

use super::signals::Inherited;
use super::{check, check_size, fd, inherit};
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// What the child becomes; made before the fork because the child must not allocate.
pub(crate) struct Image {
    path: CString,
    argv: Vec<CString>,
    envp: Vec<CString>,
    stdin: Option<File>,
    stdout: Option<File>,
    signals: Inherited,
    open_files: Option<libc::rlimit>,
}

impl Image {
    /// `path` is executed with `argv`, of which the first word is as the user typed it.
    pub(crate) fn new(
        path: &Path,
        argv: &[OsString],
        env: impl IntoIterator<Item = (OsString, OsString)>,
        signals: Inherited,
    ) -> io::Result<Image> {
        let envp = env.into_iter().map(|(name, value)| {
            let mut pair = name.into_vec();
            pair.push(b'=');
            pair.extend(value.into_vec());
            c_string(OsStr::from_bytes(&pair))
        });
        Ok(Image {
            path: c_string(path.as_os_str())?,
            argv: argv.iter().map(|word| c_string(word)).collect::<io::Result<_>>()?,
            envp: envp.collect::<io::Result<_>>()?,
            stdin: None,
            stdout: None,
            signals,
            open_files: None,
        })
    }

    /// Gives the child another standard input or output.
    pub(crate) fn redirect(&mut self, stdin: Option<File>, stdout: Option<File>) {
        self.stdin = stdin;
        self.stdout = stdout;
    }

    /// Gives the child the limit on open files that the launcher had before it raised its own.
    pub(crate) fn limit_open_files(&mut self, limit: Option<OpenFiles>) {
        self.open_files = limit.map(|limit| limit.0);
    }
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// A limit on open files.
#[derive(Clone, Copy)]
pub(crate) struct OpenFiles(libc::rlimit);

/// Raises this process's limit on open files as far as it may (two per recorded process are needed)
/// and returns the old one.
pub(crate) fn raise_open_files() -> Option<OpenFiles> {
    let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: local values.
    unsafe {
        check(libc::getrlimit(libc::RLIMIT_NOFILE, &mut old)).ok()?;
        let most = libc::rlimit { rlim_cur: old.rlim_max, rlim_max: old.rlim_max };
        check(libc::setrlimit(libc::RLIMIT_NOFILE, &most)).ok()?;
    }
    Some(OpenFiles(old))
}

/// A child between fork and exec. Dropped, it exits without having run anything.
pub(crate) struct Paused {
    pid: u32,
    go: OwnedFd,
    failed: OwnedFd,
}

/// Forks the child; it waits for [`Paused::exec`].
pub(crate) fn fork(image: &Image) -> io::Result<Paused> {
    let (go_read, go) = fd::pipe()?;
    let (failed, failed_write) = fd::pipe()?;
    let argv = pointers(&image.argv);
    let envp = pointers(&image.envp);
    // For a script without `#!`: what a shell would do.
    let script: Vec<*const libc::c_char> = [c"/bin/sh".as_ptr(), image.path.as_ptr()]
        .into_iter()
        .chain(argv.iter().copied().skip(1))
        .collect();
    // SAFETY: the child calls nothing but async-signal-safe functions, on memory made above.
    let pid = check(unsafe { libc::fork() })?;
    if pid == 0 {
        // SAFETY: we are the child; the arrays end with null and outlive the call.
        unsafe {
            // Its own copy of this end would keep the wait below from ever seeing the end.
            libc::close(go.as_raw_fd());
            become_program(image, &go_read, &failed_write, &argv, &script, &envp)
        }
    }
    Ok(Paused { pid: pid as u32, go, failed })
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
}

/// The child's side.
///
/// # Safety
/// Only between fork and exec, with arrays that end with null.
unsafe fn become_program(
    image: &Image,
    go: &OwnedFd,
    failed: &OwnedFd,
    argv: &[*const libc::c_char],
    script: &[*const libc::c_char],
    envp: &[*const libc::c_char],
) -> ! {
    // SAFETY: as for the function; every call is async-signal-safe.
    unsafe {
        let mut word = 0u8;
        loop {
            match libc::read(go.as_raw_fd(), (&raw mut word).cast(), 1) {
                1 => break,
                -1 if *libc::__errno_location() == libc::EINTR => {}
                _ => libc::_exit(127),
            }
        }
        for (redirect, fd) in [(&image.stdin, 0), (&image.stdout, 1)] {
            if let Some(file) = redirect {
                libc::dup2(file.as_raw_fd(), fd);
            }
        }
        for (fd, redirected) in
            [(0, image.stdin.is_some()), (1, image.stdout.is_some()), (2, false)]
        {
            if inherit::was_closed(fd) && !redirected {
                libc::close(fd);
            }
        }
        if let Some(limit) = &image.open_files {
            libc::setrlimit(libc::RLIMIT_NOFILE, limit);
        }
        image.signals.restore();
        libc::execve(image.path.as_ptr(), argv.as_ptr(), envp.as_ptr());
        if *libc::__errno_location() == libc::ENOEXEC {
            libc::execve(c"/bin/sh".as_ptr(), script.as_ptr(), envp.as_ptr());
        }
        let error = (*libc::__errno_location()).to_ne_bytes();
        libc::write(failed.as_raw_fd(), error.as_ptr().cast(), error.len());
        libc::_exit(127)
    }
}

impl Paused {
    /// The child's pid.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Lets the child go on; returns when the program runs, or why it does not (the child is gone
    /// then).
    pub(crate) fn exec(self) -> io::Result<()> {
        // SAFETY: one byte of ours.
        check_size(unsafe { libc::write(self.go.as_raw_fd(), b"g".as_ptr().cast(), 1) })?;
        let mut error = [0u8; 4];
        loop {
            // SAFETY: four bytes of ours.
            let got = check_size(unsafe {
                libc::read(self.failed.as_raw_fd(), error.as_mut_ptr().cast(), error.len())
            });
            return match got {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => Err(e),
                // Closed by the exec.
                Ok(0) => Ok(()),
                Ok(_) => {
                    reap(self.pid);
                    Err(io::Error::from_raw_os_error(i32::from_ne_bytes(error)))
                }
            };
        }
    }

    /// Ends the child, which has run nothing.
    pub(crate) fn abandon(self) {
        let pid = self.pid;
        drop(self);
        reap(pid);
    }
}

fn reap(pid: u32) {
    // SAFETY: nothing is asked about the status.
    while unsafe { libc::waitpid(pid as libc::pid_t, std::ptr::null_mut(), 0) } < 0
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
}
