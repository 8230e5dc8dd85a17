//! The collector's loop: listens to hellos, drains every ring, merges, writes, sleeps.
//!
//! One thread does all of it. It sleeps on the session's doorbell, which producers ring when a ring is
//! half full and the watcher when a descriptor has news; and never for long, so that what has been
//! recorded is on the tape soon.

use crate::book::Book;
use crate::contents::Copier;
use crate::hello::{self, Caller, Heard, Word};
use crate::launch::Follow;
use crate::output::TapeFile;
use crate::sys::memory::SessionMemory;
use crate::sys::process::{self, Change};
use crate::sys::signals::{self, Held};
use crate::sys::watch::Watch;
use crate::sys::{clock, fd, futex, random_bytes, socket};
use crate::target::{Drained, Ended, Origin, Target};
use crate::{preflight, sample};
use heaptape_tape::*;
use heaptape_wire::handshake::*;
use rustc_hash::FxHashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Longest sleeps: while events come, and while none do.
const BUSY_SLEEP: Duration = Duration::from_millis(2);
const IDLE_SLEEP: Duration = Duration::from_millis(20);
/// What was said so far survives the launcher's death after this time at the latest.
const FLUSH_EVERY: Duration = Duration::from_millis(250);
/// The proportional set size costs the kernel a walk over page tables, names a directory listing.
const PSS_EVERY: Duration = Duration::from_secs(1);
const NAMES_EVERY: Duration = Duration::from_secs(1);
/// Patience for a hello after a connection, and most connections without one.
const HELLO_PATIENCE: Duration = Duration::from_secs(5);
const MAX_CALLERS: usize = 1024;
/// Patience for gaps while a process stands still at our word.
const FREEZE_PATIENCE: Duration = Duration::from_millis(500);
/// Most bytes of block contents on one tape.
const CONTENTS_BUDGET: u64 = 1 << 30;
/// Most unrecorded programs named on one tape; the rest is counted.
const MAX_UNRECORDED: usize = 10_000;

/// What the session is to do.
pub(crate) struct Settings {
    pub(crate) follow: Follow,
    /// `OPT_*` of every welcome.
    pub(crate) options: u32,
    /// Zero: no samples.
    pub(crate) sample_interval: Duration,
    pub(crate) pss: bool,
    pub(crate) wait_for_all: bool,
}

/// A recording in progress.
pub(crate) struct Session {
    settings: Settings,
    memory: Arc<SessionMemory>,
    listener: OwnedFd,
    name: [u8; 16],
    token: [u8; 16],
    watch: Watch,
    callers: Vec<Caller>,
    targets: Vec<Target>,
    ended: FxHashMap<u64, Ended>,
    next_number: u64,
    copier: Copier,
    closing: Closing,
    timers: Timers,
}

/// What the session found, for the outcome.
#[derive(Default)]
pub(crate) struct Closing {
    pub(crate) losses: Losses,
    pub(crate) unrecorded: Vec<Unrecorded>,
    pub(crate) warnings: Vec<String>,
    /// Processes still ran when the recording ended.
    pub(crate) left_running: bool,
    /// The tape could not be written any further.
    pub(crate) broken: Option<io::Error>,
    strangers: u64,
    orphans: u64,
    /// Why a connection could not be taken, the last time it could not.
    unheard: Option<io::Error>,
    /// Programs beyond [`MAX_UNRECORDED`].
    unnamed: u64,
}

/// When things were last done that are done now and then.
struct Timers {
    flush: Instant,
    sample: Instant,
    pss: Instant,
    names: Instant,
}

/// The launched program.
struct Child {
    pid: u32,
    ending: Option<Ending>,
    /// Of the pid; kept so that the watcher tells its death at once.
    _pidfd: Option<OwnedFd>,
}

impl Session {
    /// Opens the address and the shared memory. The signal mask of the caller is inherited by the
    /// watcher: hold signals first.
    pub(crate) fn open(settings: Settings) -> io::Result<Session> {
        let memory = Arc::new(SessionMemory::new()?);
        let name = random_bytes::<16>()?;
        let address = format!("{NAME_PREFIX}{}", hex(&name));
        let listener = socket::listen(address.as_bytes())?;
        let watch = Watch::start(Arc::clone(&memory))?;
        watch.add(&listener)?;
        let now = Instant::now();
        Ok(Session {
            settings,
            memory,
            listener,
            name,
            token: random_bytes::<16>()?,
            watch,
            callers: Vec::new(),
            targets: Vec::new(),
            ended: FxHashMap::default(),
            next_number: 1,
            copier: Copier::new(CONTENTS_BUDGET),
            closing: Closing::default(),
            timers: Timers { flush: now, sample: now, pss: now, names: now },
        })
    }

    /// The value of [`ENV`] for the targets.
    pub(crate) fn link(&self) -> OsString {
        format!("{}.{}", hex(&self.name), hex(&self.token)).into()
    }

    /// Something the user should know at the end.
    pub(crate) fn warn(&mut self, what: String) {
        self.closing.warnings.push(what);
    }

    /// Notes that the launched program will not be recorded.
    pub(crate) fn warn_unrecorded(
        &mut self,
        book: &mut Book<TapeFile>,
        pid: u32,
        exe: &OsStr,
        reason: String,
    ) {
        self.warn(format!("{} is not recorded: {reason}", exe.to_string_lossy()));
        if let Err(error) = self.unrecorded(book, pid, exe.as_bytes(), reason) {
            self.give_up(error);
        }
    }

    /// Notes a program that will not be recorded.
    fn unrecorded(
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

    /// Records until the launched program has ended (or, if so set, everything it started). Signals
    /// sent to the launcher are passed on to it.
    pub(crate) fn run(
        &mut self,
        book: &mut Book<TapeFile>,
        held: &Held,
        pid: u32,
    ) -> io::Result<Ending> {
        self.watch.add(held)?;
        let pidfd = process::open_pidfd(pid).ok();
        if let Some(pidfd) = &pidfd {
            self.watch.add(pidfd)?;
        }
        let mut child = Child { pid, ending: None, _pidfd: pidfd };
        let mut sleep = BUSY_SLEEP;
        loop {
            self.memory.page().heartbeat.fetch_add(1, Ordering::Relaxed);
            child.look(held)?;
            let drained = match &self.closing.broken {
                None => self.round(book, &child).unwrap_or_else(|error| {
                    self.give_up(error);
                    Drained::default()
                }),
                Some(_) => self.pass_through(),
            };
            if let Some(ending) = child.ending
                && (!self.settings.wait_for_all || self.targets.is_empty())
            {
                if self.closing.broken.is_none()
                    && let Err(error) = self.finish(book, &child)
                {
                    self.give_up(error);
                }
                return Ok(ending);
            }
            if drained.hurry {
                continue;
            }
            sleep = if drained.words > 0 { BUSY_SLEEP } else { (sleep * 2).min(IDLE_SLEEP) };
            self.sleep(sleep);
        }
    }

    /// What the session found, once it has run.
    pub(crate) fn close(mut self) -> Closing {
        let closing = &mut self.closing;
        if closing.strangers > 0 {
            closing.warnings.push(format!(
                "{} process(es) carried the recorder of another heaptape and were not recorded",
                closing.strangers
            ));
        }
        if closing.orphans > 0 {
            closing.warnings.push(format!(
                "{} forked process(es) appear without the blocks they inherited: the fork was not seen",
                closing.orphans
            ));
        }
        if let Some(error) = &closing.unheard {
            closing
                .warnings
                .push(format!("a process may be missing, it could not be heard: {error}"));
        }
        if closing.unnamed > 0 {
            closing
                .warnings
                .push(format!("{} more programs could not be recorded", closing.unnamed));
        }
        if self.copier.over_budget > 0 {
            closing.warnings.push(format!(
                "contents: {} bytes of blocks left out, the tape holds at most {CONTENTS_BUDGET}",
                self.copier.over_budget
            ));
        }
        if self.copier.unreadable > 0 {
            closing
                .warnings
                .push(format!("contents: {} bytes could not be read", self.copier.unreadable));
        }
        self.closing
    }

    /// One round: news, records, histories, samples.
    fn round(&mut self, book: &mut Book<TapeFile>, child: &Child) -> io::Result<Drained> {
        let news = self.watch.take_news();
        if news {
            self.accept();
            self.listen(book, child)?;
        }
        let drained = self.drain(book)?;
        if news || child.ending.is_some() {
            self.reap(book, child)?;
        }
        self.look_around(book)?;
        Ok(drained)
    }

    /// A round when the tape can no longer be written: nobody is recorded, nobody waits.
    fn pass_through(&mut self) -> Drained {
        if self.watch.take_news() {
            self.accept();
            for caller in self.callers.drain(..) {
                caller.refuse();
            }
        }
        self.targets.retain(|target| !target.is_dead());
        Drained::default()
    }

    /// The tape cannot be written any further: the targets run on unrecorded.
    fn give_up(&mut self, error: io::Error) {
        for target in &self.targets {
            target.close_gate();
        }
        self.closing.broken = Some(error);
    }

    /// Sleeps until the doorbell rings, at most for that long.
    fn sleep(&self, timeout: Duration) {
        let page = self.memory.page();
        let seen = page.doorbell.load(Ordering::SeqCst);
        page.sleeping.store(1, Ordering::SeqCst);
        // A producer that looked at `sleeping` before it was set has not rung: look at its ring.
        if !self.watch.has_news() && !self.targets.iter().any(Target::is_urgent) {
            futex::wait(&page.doorbell, seen, timeout);
        }
        page.sleeping.store(0, Ordering::SeqCst);
    }

    fn drain(&mut self, book: &mut Book<TapeFile>) -> io::Result<Drained> {
        let mut sum = Drained::default();
        for target in &mut self.targets {
            let drained = target.drain();
            sum.words += drained.words;
            sum.hurry |= drained.hurry;
        }
        book.now = book.time(clock::monotonic_ns());
        for target in &mut self.targets {
            target.advance(book)?;
        }
        self.settle_origins(book)?;
        Ok(sum)
    }

    /// Begins the histories of forked processes whose parents have told where they forked.
    fn settle_origins(&mut self, book: &mut Book<TapeFile>) -> io::Result<()> {
        for at in 0..self.targets.len() {
            let Origin::Forked { parent, serial, order } = self.targets[at].origin else {
                continue;
            };
            if self.targets[at].id().is_some() {
                continue;
            }
            let place = match self.targets.iter_mut().find(|target| target.number == parent) {
                Some(parent) => {
                    let past = parent.is_past(order);
                    let fork = parent.history().and_then(|history| {
                        history.take_fork(serial).map(|event| (history.process(), event))
                    });
                    if fork.is_none() && !past {
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
            self.targets[at].advance(book)?;
        }
        Ok(())
    }

    fn accept(&mut self) {
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
                    // Out of descriptors, most likely. What waits is looked at with the next news.
                    self.closing.unheard = Some(error);
                    return;
                }
            }
        }
    }

    fn listen(&mut self, book: &mut Book<TapeFile>, child: &Child) -> io::Result<()> {
        for caller in std::mem::take(&mut self.callers) {
            match caller.listen(&self.token) {
                Word::Silent if caller.since.elapsed() < HELLO_PATIENCE => {
                    self.callers.push(caller);
                }
                Word::Silent | Word::Nonsense => {}
                Word::Stranger => {
                    self.closing.strangers += 1;
                    caller.refuse();
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
            FREEZE | CRASH => {
                if let Some(target) = self.find(heard.process) {
                    self.freeze(book, target, &heard)?;
                }
                caller.answer(&self.welcome(heard.process), &[]);
            }
            _ => caller.refuse(),
        }
        Ok(())
    }

    fn find(&self, number: u64) -> Option<usize> {
        self.targets.iter().position(|target| target.number == number)
    }

    fn welcome(&self, process: u64) -> Welcome {
        Welcome { magic: MAGIC, status: ACCEPTED, options: self.settings.options, process }
    }

    /// A process begins.
    fn join(
        &mut self,
        book: &mut Book<TapeFile>,
        child: &Child,
        caller: &Caller,
        heard: &Heard,
    ) -> io::Result<()> {
        let before = self
            .targets
            .iter()
            .position(|target| heard.fork_serial == 0 && heard.pid != 0 && target.pid == heard.pid);
        let launched = heard.pid == child.pid && before.is_none() || self.next_number == 1;
        if let Some(before) = before {
            self.end(book, before, Ending::Exec)?;
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
            Ok(target) => {
                let fds = [target.memory(), self.memory.file()];
                caller.answer(&self.welcome(target.number), &fds);
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
                let order = self.find(parent).map_or(0, |at| self.targets[at].last_order());
                Origin::Forked { parent, serial, order }
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
        let mut target = Target::new(number, heard.pid, origin, pidfd, facts, joined)?;
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
        match preflight::obstacle(path, &cwd) {
            Some(reason) => self.unrecorded(book, heard.pid, &heard.payload, reason),
            None => Ok(()),
        }
    }

    /// A process stands still at our word: bring everything it has published to the tape, then copy
    /// what is wanted.
    fn freeze(&mut self, book: &mut Book<TapeFile>, at: usize, heard: &Heard) -> io::Result<()> {
        let order = self.targets[at].last_order();
        let since = Instant::now();
        loop {
            self.memory.page().heartbeat.fetch_add(1, Ordering::Relaxed);
            self.drain(book)?;
            if self.targets[at].is_past(order) || since.elapsed() > FREEZE_PATIENCE {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let target = &mut self.targets[at];
        let Some(id) = target.id() else { return Ok(()) };
        if heard.purpose == CRASH
            && let Some(report) = hello::crash_report(&heard.payload)
        {
            let thread = target.history().and_then(|history| history.thread(report.tid));
            book.writer.crash(&Crash {
                process: id,
                time: book.time(report.time_ns).min(book.now),
                thread,
                signal: report.signal,
                code: report.code,
                fault_addr: report.fault_addr,
                ip: report.ip,
                sp: report.sp,
            })?;
        }
        if self.settings.options & OPT_FREEZE_AT_EXIT != 0 && target.pid != 0 {
            let (pid, now) = (target.pid, book.now);
            let heartbeat = &self.memory.page().heartbeat;
            let tick = || {
                heartbeat.fetch_add(1, Ordering::Relaxed);
            };
            self.copier.copy(book, id, pid, now, &tick)?;
        }
        Ok(())
    }

    /// Ends the histories of processes that are dead.
    fn reap(&mut self, book: &mut Book<TapeFile>, child: &Child) -> io::Result<()> {
        let mut at = 0;
        while at < self.targets.len() {
            let target = &self.targets[at];
            let ending = if target.pid == child.pid {
                child.ending
            } else {
                target.is_dead().then_some(Ending::Gone)
            };
            match ending {
                Some(ending) => self.end(book, at, ending)?,
                None => at += 1,
            }
        }
        Ok(())
    }

    fn end(&mut self, book: &mut Book<TapeFile>, at: usize, ending: Ending) -> io::Result<()> {
        // Its place in the family first, if its parent has told it by now.
        self.drain(book)?;
        let target = self.targets.remove(at);
        self.closing.orphans += u64::from(target.id().is_none());
        let number = target.number;
        let (losses, ended) = target.end(book, book.now, ending)?;
        self.closing.losses = self.closing.losses.plus(&losses);
        if !ended.forks.is_empty() {
            self.ended.insert(number, ended);
        }
        Ok(())
    }

    /// Ends the recording: what still runs goes on unrecorded.
    fn finish(&mut self, book: &mut Book<TapeFile>, child: &Child) -> io::Result<()> {
        self.reap(book, child)?;
        for target in &self.targets {
            target.close_gate();
        }
        // Parents before children: by number, as they came.
        while !self.targets.is_empty() {
            self.closing.left_running = true;
            self.end(book, 0, Ending::Running)?;
        }
        Ok(())
    }

    /// Samples, names and the flush, each in its time.
    fn look_around(&mut self, book: &mut Book<TapeFile>) -> io::Result<()> {
        let now = Instant::now();
        let every = self.settings.sample_interval;
        if !every.is_zero() && now - self.timers.sample >= every {
            self.timers.sample = now;
            let pss = self.settings.pss && now - self.timers.pss >= PSS_EVERY;
            if pss {
                self.timers.pss = now;
            }
            self.sample(book, pss)?;
        }
        if now - self.timers.names >= NAMES_EVERY {
            self.timers.names = now;
            self.name_threads(book)?;
        }
        if now - self.timers.flush >= FLUSH_EVERY {
            self.timers.flush = now;
            book.writer.flush()?;
        }
        Ok(())
    }

    fn sample(&mut self, book: &mut Book<TapeFile>, pss: bool) -> io::Result<()> {
        let time = book.time(clock::monotonic_ns());
        for target in self.targets.iter().filter(|target| target.pid != 0) {
            if let Some(id) = target.id()
                && let Some(sample) = sample::sample(target.pid, time, pss)
            {
                book.writer.sample(id, &sample)?;
            }
        }
        Ok(())
    }

    fn name_threads(&mut self, book: &mut Book<TapeFile>) -> io::Result<()> {
        for target in self.targets.iter_mut().filter(|target| target.pid != 0) {
            let pid = target.pid;
            let Some(history) = target.history() else { continue };
            for (tid, name) in sample::thread_names(pid) {
                history.name_thread(book, tid, name)?;
            }
        }
        Ok(())
    }
}

impl Child {
    /// Passes signals on, follows it into a stop, and learns how it ended.
    fn look(&mut self, held: &Held) -> io::Result<()> {
        if self.ending.is_some() {
            return Ok(());
        }
        while let Some(signal) = held.next_for(self.pid) {
            process::kill(self.pid, signal);
        }
        match process::child_change(self.pid)? {
            None => {}
            Some(Change::Exited(code)) => self.ending = Some(Ending::Exited(code)),
            Some(Change::Killed(signal, core)) => {
                self.ending = Some(Ending::Signalled(signal, core));
            }
            Some(Change::Stopped) => {
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

impl Target {
    fn is_dead(&self) -> bool {
        self.pidfd.as_ref().is_some_and(fd::is_readable)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
