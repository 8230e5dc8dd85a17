//! Makes all threads of a process stand still, from outside, and lets them go on.
//!
//! By `PTRACE_SEIZE` and `PTRACE_INTERRUPT`: no signal is sent, system calls that wait are taken up again, and a
//! process that was stopped by a signal stays so afterwards. All of it must be done by one thread, the
//! kernel knows a tracer by its thread id; the session is one.

use super::{check, process};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::ops::Deref;
use std::thread;
use std::time::{Duration, Instant};

/// How long a thread may take to stop: one that sits in the kernel (a vfork, a slow disk) cannot sooner.
const PATIENCE: Duration = Duration::from_millis(200);
/// New threads may come while we stop the others; so often we look again.
const MOST_LOOKS: usize = 100;
const PAUSE: Duration = Duration::from_micros(20);
/// `si_status >> 8` of a stop that we asked for, or a stop of the whole process.
const EVENT_STOP: i32 = 128;

/// A thread that stands still.
#[derive(Clone, Copy)]
pub(crate) struct StoppedThread {
    /// Its kernel thread id, as we see it.
    pub(crate) tid: u32,
    /// Its registers.
    pub(crate) registers: libc::user_regs_struct,
    /// What it stopped for is a signal that must be given to it when it goes on; 0: none.
    signal: i32,
}

impl StoppedThread {
    /// Whether it is in a system call, or just back from one.
    pub(crate) fn is_in_call(&self) -> bool {
        self.registers.orig_rax != NO_CALL
    }
}

/// `orig_rax` of a thread that was not stopped at a system call.
const NO_CALL: u64 = u64::MAX;

/// Stops processes, one at a time.
#[derive(Debug, Default)]
pub(crate) struct Stopper {
    /// Threads that have not stopped in time and will: they must be let go then.
    late: Vec<Late>,
}

/// A thread that is still to be let go of.
#[derive(Clone, Copy, Debug)]
struct Late {
    tid: u32,
    /// It is the first thread of our child, whose status somebody else here waits for.
    keep_status: bool,
}

impl Stopper {
    /// Stops every thread of a process; they go on when the result is dropped.
    ///
    /// Fails where ptrace is refused (a container, a debugger that has the process already); no thread
    /// stands still then.
    pub(crate) fn stop(&mut self, pid: u32) -> io::Result<Stopped<'_>> {
        let late = &mut self.late;
        let mut stopped = Stopped {
            late,
            pid,
            is_child: process::is_our_child(pid),
            threads: Vec::new(),
            missing: Vec::new(),
        };
        let mut known = BTreeSet::new();
        for _ in 0..MOST_LOOKS {
            let found: Vec<u32> =
                tasks(pid)?.into_iter().filter(|&tid| known.insert(tid)).collect();
            if found.is_empty() {
                break;
            }
            stopped.seize(&found)?;
        }
        Ok(stopped)
    }

    /// Takes over what another has still to let go of.
    pub(crate) fn absorb(&mut self, other: Stopper) {
        self.late.extend(other.late);
    }

    /// Lets go of threads that have stopped too late. To be called now and then.
    pub(crate) fn tidy(&mut self) {
        self.late.retain(|late| match stop_of(late.tid, late.keep_status) {
            Ok(Some(signal)) => !detach(late.tid, signal),
            Ok(None) => true,
            Err(_) => false,
        });
    }

    /// Whether a process has a thread that will stop yet: its stops are ours then, and nobody else's.
    pub(crate) fn awaits(&self, tid: u32) -> bool {
        self.late.iter().any(|late| late.tid == tid)
    }
}

/// A process whose threads stand still.
pub(crate) struct Stopped<'a> {
    late: &'a mut Vec<Late>,
    pid: u32,
    is_child: bool,
    threads: Vec<StoppedThread>,
    missing: Vec<u32>,
}

impl Stopped<'_> {
    /// Threads that did not stop: they sit in the kernel, in a vfork or waiting for a device.
    pub(crate) fn missing(&self) -> &[u32] {
        &self.missing
    }

    /// Lets one thread go on before the others; whether it is one of them.
    pub(crate) fn release(&mut self, tid: u32) -> bool {
        let Some(at) = self.threads.iter().position(|thread| thread.tid == tid) else {
            return false;
        };
        let thread = self.threads.swap_remove(at);
        if !detach(thread.tid, thread.signal) {
            self.missing.push(thread.tid);
        }
        true
    }

    /// Takes notice of threads that were killed meanwhile: before that their process is not dead.
    pub(crate) fn bury(&mut self) {
        let leader = self.leader();
        self.threads.retain(|thread| stop_of(thread.tid, leader == Some(thread.tid)).is_ok());
    }

    /// The first thread of our child: it is waited for by somebody else here.
    fn leader(&self) -> Option<u32> {
        self.is_child.then_some(self.pid)
    }

    /// Stops some threads and waits for them.
    fn seize(&mut self, tids: &[u32]) -> io::Result<()> {
        let mut waiting = Vec::with_capacity(tids.len());
        for &tid in tids {
            match ptrace(libc::PTRACE_SEIZE, tid, 0) {
                Ok(()) => {
                    let _ = ptrace(libc::PTRACE_INTERRUPT, tid, 0);
                    waiting.push(tid);
                }
                // It has ended meanwhile.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                Err(error) if is_zombie(self.pid, tid) => drop(error),
                Err(error) => {
                    self.missing.append(&mut waiting);
                    return Err(error);
                }
            }
        }
        let deadline = Instant::now() + PATIENCE;
        while !waiting.is_empty() {
            let leader = self.leader();
            let (threads, dead) = (&mut self.threads, &mut self.missing);
            waiting.retain(|&tid| match stop_of(tid, leader == Some(tid)) {
                Ok(None) => true,
                Ok(Some(signal)) => {
                    match registers(tid) {
                        Ok(registers) => threads.push(StoppedThread { tid, registers, signal }),
                        // Killed at this moment.
                        Err(_) => dead.push(tid),
                    }
                    false
                }
                Err(_) => false,
            });
            if Instant::now() > deadline {
                break;
            }
            if !waiting.is_empty() {
                thread::sleep(PAUSE);
            }
        }
        self.missing.append(&mut waiting);
        Ok(())
    }
}

impl Deref for Stopped<'_> {
    type Target = [StoppedThread];

    fn deref(&self) -> &[StoppedThread] {
        &self.threads
    }
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        // One that was killed while it stood still is a zombie of ours until we take notice of its end.
        let killed = self.threads.iter().filter(|thread| !detach(thread.tid, thread.signal));
        self.missing.extend(killed.map(|thread| thread.tid));
        let leader = self.leader();
        let late = |tid| Late { tid, keep_status: leader == Some(tid) };
        self.late.extend(self.missing.drain(..).map(late));
    }
}

/// The threads of a process.
fn tasks(pid: u32) -> io::Result<Vec<u32>> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))?;
    Ok(tasks.flatten().filter_map(|task| task.file_name().to_str()?.parse().ok()).collect())
}

/// Whether a thread has ended and only its status is left, of which ptrace wants to know nothing.
fn is_zombie(pid: u32, tid: u32) -> bool {
    let stat = fs::read(format!("/proc/{pid}/task/{tid}/stat")).unwrap_or_default();
    let state = stat.iter().rposition(|&b| b == b')').and_then(|at| stat.get(at + 2));
    state.is_none_or(|state| matches!(state, b'Z' | b'X'))
}

/// Whether a seized thread has stopped, and the signal that it is to get then. Fails when it has ended.
///
/// `keep_status`: it is the first thread of our child, whose status somebody else here waits for.
fn stop_of(tid: u32, keep_status: bool) -> io::Result<Option<i32>> {
    // SAFETY: all zero is a valid siginfo_t, and it stays so when nothing has happened.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let ended = if keep_status { 0 } else { libc::WEXITED };
    let what = libc::WSTOPPED | libc::WNOHANG | libc::__WALL | ended;
    // SAFETY: `info` is ours.
    check(unsafe { libc::waitid(libc::P_PID, tid as libc::id_t, &mut info, what) })?;
    // SAFETY: waitid fills these fields for SIGCHLD.
    let (who, status) = unsafe { (info.si_pid(), info.si_status()) };
    if who == 0 {
        return if keep_status && is_zombie(tid, tid) { Err(gone()) } else { Ok(None) };
    }
    match info.si_code {
        libc::CLD_TRAPPED | libc::CLD_STOPPED if status >> 8 == EVENT_STOP => Ok(Some(0)),
        libc::CLD_TRAPPED | libc::CLD_STOPPED => Ok(Some(status & 0xff)),
        _ => Err(gone()),
    }
}

fn gone() -> io::Error {
    io::Error::from_raw_os_error(libc::ESRCH)
}

/// Lets a thread go on; whether it was there to go on, and not killed meanwhile.
fn detach(tid: u32, signal: i32) -> bool {
    ptrace(libc::PTRACE_DETACH, tid, signal as usize).is_ok()
}

fn ptrace(request: libc::c_uint, tid: u32, data: usize) -> io::Result<()> {
    // SAFETY: these requests touch no memory of ours.
    let result = unsafe { libc::ptrace(request, tid as libc::pid_t, 0usize, data) };
    check(result as libc::c_int).map(drop)
}

fn registers(tid: u32) -> io::Result<libc::user_regs_struct> {
    // SAFETY: plain numbers, for which all zero is valid.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    let request = libc::PTRACE_GETREGS;
    // SAFETY: the kernel fills the struct, which is the one that this request is about.
    let result = unsafe { libc::ptrace(request, tid as libc::pid_t, 0usize, &raw mut registers) };
    check(result as libc::c_int).map(|_| registers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};

    fn shell(script: &str) -> Child {
        Command::new("sh").arg("-c").arg(script).spawn().expect("sh is everywhere")
    }

    #[test]
    fn a_stopped_process_goes_on_and_ends_as_it_would() {
        let mut child = shell("sleep 0.2; exit 7");
        let mut stopper = Stopper::default();
        for _ in 0..20 {
            let stopped = stopper.stop(child.id()).expect("we are its parent");
            assert_eq!((stopped.len(), stopped.missing()), (1, &[][..]));
            assert_eq!(stopped[0].tid, child.id());
            assert_ne!(stopped[0].registers.rsp, 0);
        }
        assert_eq!(child.wait().expect("it is ours").code(), Some(7));
        stopper.tidy();
        assert!(stopper.late.is_empty());
    }

    #[test]
    fn who_waits_in_a_call_is_told_from_who_computes() {
        let stops = |script: &str, sought: bool| {
            let mut child = shell(script);
            let mut stopper = Stopper::default();
            let mut is_seen = || {
                thread::sleep(Duration::from_millis(1));
                stopper.stop(child.id()).expect("we are its parent")[0].is_in_call() == sought
            };
            let found = (0..1000).any(|_| is_seen());
            process::kill(child.id(), libc::SIGKILL);
            child.wait().expect("it is ours");
            found
        };
        assert!(stops("while :; do :; done", false));
        assert!(stops("exec sleep 9", true));
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        let mut child = shell("true");
        let pid = child.id();
        child.wait().expect("it is ours");
        assert!(Stopper::default().stop(pid).is_err());
    }

    #[test]
    fn a_process_that_was_stopped_by_a_signal_stays_so() {
        let mut child = shell("kill -STOP $$; exit 3");
        let state = || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("it lives");
            stat.rsplit(") ").next().and_then(|rest| rest.chars().next())
        };
        while state() != Some('T') {
            thread::sleep(PAUSE);
        }
        let mut stopper = Stopper::default();
        drop(stopper.stop(child.id()).expect("we are its parent"));
        thread::sleep(Duration::from_millis(5));
        assert_eq!(state(), Some('T'));
        process::kill(child.id(), libc::SIGCONT);
        assert_eq!(child.wait().expect("it is ours").code(), Some(3));
    }
}
