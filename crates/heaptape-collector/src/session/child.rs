//! The launched program itself: signals passed on, stops followed, its end learnt.

use crate::sample;
use crate::sys::process::{self, Change};
use crate::sys::signals::{self, Held};
use crate::sys::stop::Stopper;
use crate::sys::watch::Watch;
use heaptape_tape::Ending;
use std::io;
use std::os::fd::OwnedFd;

/// The signals by which a terminal and its shell stop a job.
const JOB_CONTROL: [i32; 3] = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];

/// The launched program.
pub(super) struct Child {
    pub(super) pid: u32,
    pub(super) ending: Option<Ending>,
    /// Of the pid; kept so that the watcher tells its death at once.
    _pidfd: Option<OwnedFd>,
}

impl Child {
    /// The program with that pid; the watcher tells its death at once.
    pub(super) fn new(pid: u32, watch: &Watch) -> io::Result<Child> {
        let pidfd = process::open_pidfd(pid).ok();
        if let Some(pidfd) = &pidfd {
            watch.add(pidfd)?;
        }
        Ok(Child { pid, ending: None, _pidfd: pidfd })
    }

    /// Passes signals on, follows it into a stop, and learns how it ended. The stops of one that `stopper` awaits
    /// are left to that, which must let it go then.
    pub(super) fn look(&mut self, held: &Held, stopper: &Stopper) -> io::Result<()> {
        if self.ending.is_some() {
            return Ok(());
        }
        while let Some(signal) = held.next_for(self.pid) {
            process::kill(self.pid, signal);
        }
        let change = match process::child_change(self.pid, !stopper.awaits(self.pid)) {
            // Somebody else in this process has taken the status.
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => {
                self.ending = Some(Ending::Gone);
                return Ok(());
            }
            change => change?,
        };
        match change {
            None => {}
            Some(Change::Exited(code)) => self.ending = Some(Ending::Exited(code)),
            Some(Change::Killed(signal, core)) => {
                self.ending = Some(Ending::Signalled(signal, core));
            }
            // By SIGSTOP: somebody's business with this process alone, who will wake it alone as well.
            Some(Change::Stopped(signal)) if !JOB_CONTROL.contains(&signal) => {}
            Some(Change::Stopped(_)) => {
                // So that the shell sees its job stopped, and gives it the terminal back later.
                signals::stop_self();
                if sample::is_stopped(self.pid) {
                    process::kill(self.pid, libc::SIGCONT);
                }
            }
        }
        Ok(())
    }
}
