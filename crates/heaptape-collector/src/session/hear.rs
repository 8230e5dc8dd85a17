//! What the session does when a process speaks to it: joins, forks, execs, freezes, crashes.

use super::snapshots::FREEZE_PATIENCE;
use super::*;
use crate::hello::{self, Heard, Word};
use crate::launch::Follow;
use crate::sys::process;
use crate::target::{Leaving, Origin};
use crate::{maps, preflight, sample, stacks};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Patience for a hello after a connection, and most connections without one.
const HELLO_PATIENCE: Duration = Duration::from_secs(5);
const MAX_CALLERS: usize = 1024;
/// So many bytes behind, we let forked children end without a search for leaks: about 20 ms' work.
const BUSY_BEHIND: usize = 4 << 20;
/// Most unrecorded programs named on one tape; the rest is counted.
const MAX_UNRECORDED: usize = 10_000;

impl Session {
    /// Notes that the launched program will not be recorded.
    pub(crate) fn launched_unrecorded(
        &mut self,
        book: &mut Book<TapeFile>,
        pid: u32,
        exe: &OsStr,
        reason: String,
    ) {
        if let Err(error) = self.unrecorded(book, pid, exe.as_bytes(), reason) {
            self.give_up(error);
        }
    }

    /// Notes a program that will not be recorded.
    pub(super) fn unrecorded(
        &mut self,
        book: &mut Book<TapeFile>,
        pid: u32,
        exe: &[u8],
        reason: String,
    ) -> io::Result<()> {
        if self.closing.unrecorded.len() >= MAX_UNRECORDED {
            self.closing.unnamed += 1;
            return Ok(());
        }
        let time = book.time(clock::monotonic_ns());
        let child = Unrecorded { pid, time, exe: exe.to_vec(), reason };
        book.writer.unrecorded(&child)?;
        self.closing.unrecorded.push(child);
        Ok(())
    }

    pub(super) fn accept(&mut self) {
        self.accept_again = false;
        loop {
            let accepted = socket::accept(&self.listener).and_then(|connection| {
                let Some(connection) = connection else { return Ok(None) };
                self.watch.add(&connection)?;
                Ok(Some(Caller { connection, since: Instant::now() }))
            });
            match accepted {
                Ok(None) => return,
                Ok(Some(caller)) => {
                    if self.callers.len() >= MAX_CALLERS {
                        self.callers.remove(0);
                    }
                    self.callers.push(caller);
                }
                Err(error) => {
                    // Out of descriptors, most likely. What waits is not told again: look in every round.
                    self.accept_again = true;
                    self.closing.unheard = Some(error);
                    return;
                }
            }
        }
    }

    pub(super) fn listen(&mut self, book: &mut Book<TapeFile>, child: &Child) -> io::Result<()> {
        for caller in std::mem::take(&mut self.callers) {
            match caller.listen(&self.token) {
                Word::Silent if caller.since.elapsed() < HELLO_PATIENCE => {
                    self.callers.push(caller);
                }
                Word::Silent | Word::Nonsense => {}
                Word::Stranger => {
                    self.closing.strangers += 1;
                    caller.refuse_stranger();
                }
                Word::Hello(heard) => self.hear(book, child, &caller, heard)?,
            }
        }
        Ok(())
    }

    fn hear(
        &mut self,
        book: &mut Book<TapeFile>,
        child: &Child,
        caller: &Caller,
        heard: Heard,
    ) -> io::Result<()> {
        match heard.purpose {
            JOIN => self.join(book, child, caller, &heard)?,
            MORE_STREAMS => match self.find(heard.process) {
                Some(target) => {
                    let target = &self.targets[target];
                    caller.answer(&self.welcome(target.number), &[target.memory()]);
                }
                None => caller.refuse(),
            },
            EXEC => self.exec(book, &heard)?,
            ASK_SNAPSHOT => self.asked_for_snapshot(book, caller, &heard)?,
            ASK_LEAKS => self.asked_for_leaks(book, caller, &heard)?,
            _ => caller.refuse(),
        }
        Ok(())
    }

    fn find(&self, number: u64) -> Option<usize> {
        self.targets.iter().position(|target| target.number == number)
    }

    pub(super) fn welcome(&self, process: u64) -> Welcome {
        Welcome {
            magic: MAGIC,
            status: ACCEPTED,
            options: self.settings.options,
            process,
            sample_bytes: self.settings.sample_bytes,
            guard: self.settings.guard,
        }
    }

    /// A process begins.
    fn join(
        &mut self,
        book: &mut Book<TapeFile>,
        child: &Child,
        caller: &Caller,
        heard: &Heard,
    ) -> io::Result<()> {
        if heard.fork_serial == 0 {
            self.awaited.remove(&heard.pid);
        }
        let before = self
            .targets
            .iter()
            .position(|target| target.over().is_none() && target.pid == heard.pid)
            .filter(|_| heard.fork_serial == 0 && heard.pid != 0);
        let is_child = child.ending.is_none()
            && (heard.pid == child.pid || heard.pid == 0 && self.next_number == 1);
        let launched = is_child && before.is_none();
        if let Some(before) = before {
            // Dead, and its pid used again already; or, nearly always, another image of the same process.
            let before = &mut self.targets[before];
            before.set_over(if before.is_dead() { Ending::Gone } else { Ending::Exec });
            // What it recorded may be much, and this one waits for an answer.
            self.overdue = true;
        }
        let wanted = match (self.settings.follow, heard.fork_serial) {
            (Follow::All, _) => true,
            (Follow::Fork, 0) | (Follow::None, 0) => launched,
            (Follow::Fork, _) => true,
            (Follow::None, _) => false,
        };
        if !wanted {
            caller.refuse();
            return Ok(());
        }
        match self.admit(book, heard) {
            Ok(mut target) => {
                target.launched = is_child && heard.pid != 0 && heard.fork_serial == 0;
                let fds = [target.memory(), self.memory.file()];
                caller.answer(&self.welcome(target.number), &fds);
                // It runs on by now.
                target.look_at_cgroup();
                self.targets.push(target);
                Ok(())
            }
            Err(error) => {
                caller.refuse();
                let facts = sample::facts(heard.pid);
                let reason = format!("the launcher could not take another process: {error}");
                self.unrecorded(book, heard.pid, &facts.exe, reason)
            }
        }
    }

    fn admit(&mut self, book: &mut Book<TapeFile>, heard: &Heard) -> io::Result<Target> {
        let origin = match heard.fork_serial {
            0 => Origin::Fresh,
            serial => {
                let parent = heard.process;
                Origin::Forked { parent, serial }
            }
        };
        // A pid of 0 is of another namespace: it is kept until the recording ends.
        let pidfd = if heard.pid == 0 { None } else { Some(process::open_pidfd(heard.pid)?) };
        if let Some(pidfd) = &pidfd {
            self.watch.add(pidfd)?;
        }
        let number = self.next_number;
        let joined = book.time(clock::monotonic_ns());
        let facts = sample::facts(heard.pid);
        let parent =
            if let Origin::Forked { parent, .. } = origin { self.find(parent) } else { None };
        let heads = parent.map(|at| self.targets[at].heads()).unwrap_or_default();
        let mut target = Target::new(number, heard.pid, origin, heads, pidfd, facts, joined)?;
        self.next_number += 1;
        if let Origin::Fresh = origin {
            target.begin(book, None)?;
        }
        Ok(target)
    }

    /// A process is about to become, or to spawn, another program: one that cannot be recorded is
    /// named.
    fn exec(&mut self, book: &mut Book<TapeFile>, heard: &Heard) -> io::Result<()> {
        if self.settings.follow != Follow::All {
            return Ok(());
        }
        let path = OsStr::from_bytes(&heard.payload);
        let cwd = PathBuf::from(format!("/proc/{}/cwd", heard.pid));
        let obstacle = preflight::obstacle(path, &cwd);
        if let Some(at) = self.find(heard.process)
            && self.targets[at].pid == heard.pid
        {
            // What it has said before does not speak against it.
            self.conclude_copy(book, at)?;
            let path = heard.payload.clone();
            self.targets[at].may_leave(Leaving { path, named: obstacle.is_some() });
        }
        match obstacle {
            Some(reason) => self.unrecorded(book, heard.pid, &heard.payload, reason),
            None => Ok(()),
        }
    }

    /// Looks at the processes that are about to end, and lets them.
    pub(super) fn hear_pleas(&mut self, book: &mut Book<TapeFile>) -> io::Result<()> {
        for at in 0..self.targets.len() {
            let target = &mut self.targets[at];
            let Some((purpose, payload)) = target.plea() else { continue };
            let (process, pid) = (target.number, target.pid);
            if purpose == FREEZE {
                target.asked = Some(book.time(clock::monotonic_ns()));
            }
            let since = Instant::now();
            self.conclude_copy(book, at)?;
            // Killed while it waited: its pid may be another's by now.
            let is_dead = |session: &Session| session.targets[at].is_dead();
            if purpose == FREEZE && !is_dead(self) && self.copy_and_let_go(book, at)? {
                self.closing.longest_end = self.closing.longest_end.max(since.elapsed());
                continue;
            }
            if purpose == FREEZE && self.is_too_busy_for(&self.targets[at]) {
                self.closing.unsearched += 1;
            } else if !is_dead(self) {
                let heard = Heard { purpose, fork_serial: 0, process, payload, pid };
                let mut stopper = std::mem::take(&mut self.stopper);
                let result = self.freeze(book, at, &heard, since, &mut stopper);
                self.stopper.absorb(stopper);
                result?;
            }
            self.targets[at].answer_plea(purpose);
        }
        Ok(())
    }

    /// Whether a process should not wait for us at its end: what a forked child has live follows from its parent's
    /// history up to the fork, and we are far behind that.
    fn is_too_busy_for(&self, target: &Target) -> bool {
        matches!(target.origin, Origin::Forked { .. })
            && !self.settings.snapshots.at_exit
            && self.targets.iter().map(Target::behind).sum::<usize>() > BUSY_BEHIND
    }

    /// A process stands still at our word: bring everything it has published to the tape, then copy
    /// what is wanted.
    fn freeze(
        &mut self,
        book: &mut Book<TapeFile>,
        at: usize,
        heard: &Heard,
        since: Instant,
        stopper: &mut Stopper,
    ) -> io::Result<()> {
        self.catch_up(book, at, FREEZE_PATIENCE)?;
        let target = &mut self.targets[at];
        let (pid, Some(id)) = (target.pid, target.id()) else { return Ok(()) };
        let report =
            if heard.purpose == CRASH { hello::crash_report(&heard.payload) } else { None };
        let others = if report.is_some() { stacks::stop(stopper, pid) } else { None };
        let time = self.targets[at].moment(book, book.now());
        // What was resident; what lay where something that is no block was freed, or where it crashed.
        let map = maps::with_residence(pid).ok();
        let map =
            map.map(|(mappings, resident)| MemoryMap { process: id, time, mappings, resident });
        self.tell_residence(book, id, map.as_ref(), sample::sample(pid, time, false))?;
        if let Some(report) = &report {
            let mappings = map.as_ref().map_or(&[][..], |map| &map.mappings);
            self.crash(book, at, report, mappings, others.as_deref())?;
        }
        if self.settings.snapshots.at_exit {
            let crash = heard.purpose == CRASH;
            let reason = if crash { SnapshotReason::Crash } else { SnapshotReason::Exit };
            self.snapshot(book, at, reason, since, others.as_ref())?;
        }
        let searched = if self.settings.options & OPT_LEAKS != 0 {
            self.search(book, at, report.as_ref(), others.as_ref())?
        } else {
            None
        };
        match (report, others) {
            (Some(report), Some(others)) => self.see_it_die(at, report.tid, others),
            _ => self.targets[at].answer_plea(heard.purpose),
        }
        if heard.purpose == FREEZE {
            self.closing.longest_end = self.closing.longest_end.max(since.elapsed());
        }
        searched.map_or(Ok(()), |searched| self.judge(book, searched).map(drop))
    }

    /// Puts on the tape what was mapped and resident at a last look, or at a crash.
    pub(super) fn tell_residence(
        &self,
        book: &mut Book<TapeFile>,
        process: ProcessId,
        map: Option<&MemoryMap>,
        sample: Option<Sample>,
    ) -> io::Result<()> {
        if let Some(map) = map {
            book.writer.memory_map(map)?;
        }
        // Most processes end before a sample is due, and the last one is the one that is looked at.
        if !self.settings.sample_interval.is_zero()
            && let Some(sample) = sample
        {
            let known = map.filter(|map| !map.resident.is_empty());
            let private = known.map(|map| maps::private(&map.mappings, &map.resident));
            book.writer.sample(process, &Sample { private, ..sample })?;
        }
        Ok(())
    }

    /// Whether a forked process is to begin on the tape when its parent has told where it forked.
    pub(super) fn waits_for_parent(&self, target: &Target) -> bool {
        let Origin::Forked { parent, .. } = target.origin else { return false };
        let heads = &target.parent_heads;
        target.id().is_none()
            && self.targets.iter().any(|other| other.number == parent && !other.is_past(heads))
    }

    /// Begins the histories of forked processes whose parents have told where they forked.
    pub(super) fn settle_origins(&mut self, book: &mut Book<TapeFile>) -> io::Result<()> {
        for at in 0..self.targets.len() {
            let Origin::Forked { parent, serial } = self.targets[at].origin else {
                continue;
            };
            if self.targets[at].id().is_some() {
                continue;
            }
            let full = self.targets[at].is_full();
            let heads = self.targets[at].parent_heads.clone();
            let place = match self.targets.iter_mut().find(|target| target.number == parent) {
                Some(parent) => {
                    let past = parent.is_past(&heads);
                    // Full, and not because its parent has much to tell.
                    let stuck = full && !parent.is_unfinished() && parent.id().is_some();
                    let fork = parent.history().and_then(|history| {
                        history.take_fork(serial).map(|event| (history.process(), event))
                    });
                    // Its parent may be stopped for good: it must not wait for ever.
                    if fork.is_none() && !past && !stuck {
                        continue;
                    }
                    fork
                }
                None => self.ended.get_mut(&parent).and_then(|ended| {
                    let event = ended.forks.remove(&serial)?;
                    ended.id.map(|id| (id, event))
                }),
            };
            self.closing.orphans += u64::from(place.is_none());
            self.targets[at].begin(book, place)?;
        }
        Ok(())
    }
}
