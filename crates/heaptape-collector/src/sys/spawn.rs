//! Fork and exec, with a pause between: the child exists and its pid is known, but nothing of the
//! program has run yet.
//!
//! Written by hand and not with `std::process::Command`, which returns only after the exec: the
//! tape's name may hold the pid, and the tape must be open before the program runs.

use super::signals::Inherited;
use super::{check, check_size, fd, inherit};
use std::ffi::{CStr, CString, OsStr, OsString};
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

    /// What execve takes: arguments, environment, and the arguments of the shell that runs the program if it
    /// is a script without `#!`, as a shell would.
    fn arrays(&self) -> (Strings, Strings, Strings) {
        let argv = pointers(&self.argv);
        let script = [c"/bin/sh".as_ptr(), self.path.as_ptr()]
            .into_iter()
            .chain(argv.iter().copied().skip(1))
            .collect();
        (argv, pointers(&self.envp), script)
    }
}

/// Pointers to strings, the last one null.
type Strings = Vec<*const libc::c_char>;

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// A limit on open files.
#[derive(Clone, Copy)]
pub(crate) struct OpenFiles(libc::rlimit);

/// What the launcher would like to have: two for each process recorded at once.
const WANTED_FILES: libc::rlim_t = 1 << 16;

/// Raises this process's limit on open files as far as it may (the hard one too, where it has the right to)
/// and returns the old one.
pub(crate) fn raise_open_files() -> Option<OpenFiles> {
    let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: local values.
    unsafe {
        check(libc::getrlimit(libc::RLIMIT_NOFILE, &mut old)).ok()?;
        let wanted = old.rlim_max.max(WANTED_FILES);
        let raise = |most| {
            let raised = libc::rlimit { rlim_cur: most, rlim_max: most };
            check(libc::setrlimit(libc::RLIMIT_NOFILE, &raised))
        };
        raise(wanted).or_else(|_| raise(old.rlim_max)).ok()?;
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
    let (argv, envp, script) = image.arrays();
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

fn pointers(strings: &[CString]) -> Strings {
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
        let error = enter_program(image, argv, script, envp).to_ne_bytes();
        libc::write(failed.as_raw_fd(), error.as_ptr().cast(), error.len());
        libc::_exit(127)
    }
}

/// Puts everything back as the launcher found it and becomes the program; returns the error if that is not
/// possible.
///
/// # Safety
/// With arrays that end with null; between fork and exec, or as the last act of the launcher itself.
unsafe fn enter_program(
    image: &Image,
    argv: &[*const libc::c_char],
    script: &[*const libc::c_char],
    envp: &[*const libc::c_char],
) -> i32 {
    // SAFETY: as for the function; every call is async-signal-safe.
    unsafe {
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
        execve(&image.path, argv, envp);
        if *libc::__errno_location() == libc::ENOEXEC {
            execve(c"/bin/sh", script, envp);
        }
        *libc::__errno_location()
    }
}

/// Past libc's function: where the launcher is recorded itself, that would take the program for the outer recording.
///
/// # Safety
/// With arrays that end with null.
unsafe fn execve(path: &CStr, argv: &[*const libc::c_char], envp: &[*const libc::c_char]) {
    // SAFETY: as for the function.
    unsafe { libc::syscall(libc::SYS_execve, path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
}

/// Becomes the program in place of the launcher; returns only what kept it from that.
pub(crate) fn become_in_place(image: &Image) -> io::Error {
    let (argv, envp, script) = image.arrays();
    // What a limit on file sizes has sent us is not meant for the program: ignoring it for a moment takes it
    // back.
    // SAFETY: plain calls.
    unsafe {
        let disposition = libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        libc::signal(libc::SIGXFSZ, disposition);
    }
    // SAFETY: the arrays end with null; whatever the launcher still holds is close-on-exec.
    io::Error::from_raw_os_error(unsafe { enter_program(image, &argv, &script, &envp) })
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
