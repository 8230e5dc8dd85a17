//! The collector's loop: listens to hellos, drains every ring, merges, writes, sleeps.
//!
//! One thread does all of it. It sleeps on the session's doorbell, which producers ring when a ring is
//! half full and the watcher when a descriptor has news; and never for long, so that what has been
//! recorded is on the tape soon.

mod child;
mod closing;
mod crash;
mod hear;
mod last_look;
mod leaks;
mod snapshots;

use crate::book::Book;
use crate::contents::Copier;
use crate::hello::Caller;
use crate::launch::Follow;
use crate::output::TapeFile;
use crate::sys::memory::SessionMemory;
use crate::sys::signals::Held;
use crate::sys::stop::Stopper;
use crate::sys::watch::Watch;
use crate::sys::{clock, futex, random_bytes, socket};
use crate::target::{Drained, Ended, Target};
use crate::{preflight, sample};
use child::Child;
pub(crate) use closing::Closing;
use heaptape_tape::*;
use heaptape_wire::handshake::*;
use last_look::LastLook;
use rustc_hash::FxHashMap;
use snapshots::Due;
pub use snapshots::Snapshots;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Longest sleeps: while events come, and while none do.
const BUSY_SLEEP: Duration = Duration::from_millis(1);
const IDLE_SLEEP: Duration = Duration::from_millis(10);
/// Records of a process brought to the tape between two drains: about a millisecond's work, in which a busy thread
/// fills less than its ring.
const SLICE: usize = 1 << 11;
/// Bytes taken out of the rings that may wait for their turn: so much the targets may be ahead of us before
/// their threads wait.
const MAX_BEHIND: usize = 256 << 20;
/// What was said so far survives the launcher's death after this time at the latest.
const FLUSH_EVERY: Duration = Duration::from_millis(250);
/// The proportional set size costs the kernel a walk over page tables, names a directory listing.
const PSS_EVERY: Duration = Duration::from_secs(1);
const NAMES_EVERY: Duration = Duration::from_secs(1);
/// How long a forked child may take to say hello when everybody else has ended: it does so at its
/// first allocation, or never.
const LATE_HELLO: Duration = Duration::from_secs(1);

/// What the session is to do.
pub(crate) struct Settings {
    pub(crate) follow: Follow,
    /// `OPT_*` of every welcome.
    pub(crate) options: u32,
    /// [`Welcome::sample_bytes`] of every welcome.
    pub(crate) sample_bytes: u64,
    /// [`Welcome::guard`] of every welcome.
    pub(crate) guard: heaptape_wire::handshake::Guard,
    /// Zero: no samples.
    pub(crate) sample_interval: Duration,
    pub(crate) pss: bool,
    pub(crate) wait_for_all: bool,
    pub(crate) snapshots: Snapshots,
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
    /// Who is the first to be brought to the tape: where that is the limit, those after a busy one wait.
    turn: usize,
    ended: FxHashMap<u64, Ended>,
    next_number: u64,
    /// Programs that processes have become and that have not said hello yet, by pid.
    awaited: FxHashMap<u32, (Vec<u8>, Instant)>,
    /// Connections wait that could not be taken for want of something that may come back.
    accept_again: bool,
    /// A dead process waits for its parent's history; look again without news.
    overdue: bool,
    copier: Copier,
    /// By number of the target: what was copied of one that has ended since, or is about to.
    looks: FxHashMap<u64, LastLook>,
    due: Due,
    /// The tape's name, for those who ask.
    tape: PathBuf,
    stopper: Stopper,
    closing: Closing,
    timers: Timers,
}

/// When things were last done that are done now and then.
struct Timers {
    flush: Instant,
    sample: Instant,
    pss: Instant,
    names: Instant,
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
            memory,
            listener,
            name,
            token: random_bytes::<16>()?,
            watch,
            callers: Vec::new(),
            targets: Vec::new(),
            turn: 0,
            ended: FxHashMap::default(),
            next_number: 1,
            awaited: FxHashMap::default(),
            accept_again: false,
            overdue: false,
            copier: Copier::new(settings.snapshots.budget)?,
            looks: FxHashMap::default(),
            due: Due::new(&settings.snapshots),
            tape: PathBuf::new(),
            stopper: Stopper::default(),
            closing: Closing::default(),
            timers: Timers { flush: now, sample: now, pss: now, names: now },
            settings,
        })
    }

    /// Something the user should know at the end.
    pub(crate) fn warn(&mut self, what: String) {
        self.closing.warnings.push(what);
    }

    /// The tape lies there.
    pub(crate) fn set_tape(&mut self, tape: &Path) {
        self.tape = std::path::absolute(tape).unwrap_or_else(|_| tape.to_path_buf());
    }

    /// The value of [`ENV`] for the targets.
    pub(crate) fn link(&self) -> OsString {
        format!("{}.{}", hex(&self.name), hex(&self.token)).into()
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
        let mut child = Child::new(pid, &self.watch)?;
        let mut sleep = BUSY_SLEEP;
        let mut quiet_since = Instant::now();
        loop {
            child.look(held, &self.stopper)?;
            let drained = match &self.closing.broken {
                None => self.round(book, &child).unwrap_or_else(|error| {
                    self.give_up(error);
                    Drained::default()
                }),
                Some(_) => self.pass_through(),
            };
            if !self.targets.is_empty() || child.ending.is_none() {
                quiet_since = Instant::now();
            }
            if let Some(ending) = child.ending
                && self.is_over(quiet_since)
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

    /// Whether the recording ends with the program, which has ended, or there is nothing more to wait
    /// for: no recorded process, and no forked one that has had the time to say hello.
    fn is_over(&self, quiet_since: Instant) -> bool {
        let unheard = || self.ended.values().any(|ended| !ended.forks.is_empty());
        !self.settings.wait_for_all
            || self.targets.is_empty() && (!unheard() || quiet_since.elapsed() > LATE_HELLO)
    }

    /// What the session found, once it has run.
    pub(crate) fn close(self) -> Closing {
        self.closing.conclude(self.copier.copied, &self.settings.snapshots)
    }

    /// One round: news, records, histories, samples.
    fn round(&mut self, book: &mut Book<TapeFile>, child: &Child) -> io::Result<Drained> {
        let news = self.watch.take_news();
        let news = news || self.accept_again;
        if news {
            self.accept();
            self.listen(book, child)?;
        }
        let mut drained = self.drain(book)?;
        drained.hurry |= self.copier.store_some(book)?;
        self.search_copies(book)?;
        self.hear_pleas(book)?;
        if news || self.overdue || child.ending.is_some() {
            self.reap(book, child)?;
        }
        self.see_off();
        self.stopper.tidy();
        self.take_due_snapshots(book)?;
        self.look_around(book)?;
        Ok(drained)
    }

    /// A round when the tape can no longer be written: nobody is recorded, nobody waits.
    fn pass_through(&mut self) -> Drained {
        self.stopper.tidy();
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
        for target in &mut self.targets {
            target.close_gate();
            target.held = false;
        }
        self.looks.clear();
        self.copier.give_up();
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

    /// Takes out what the rings hold and brings some of it to the tape. Draining comes first: what has been
    /// drained may wait, a target should not.
    fn drain(&mut self, book: &mut Book<TapeFile>) -> io::Result<Drained> {
        // Everything that happened before now has been published, or is being, and this drain brings it.
        let horizon = clock::monotonic_ns();
        self.memory.page().tick.0.fetch_add(1, Ordering::Relaxed);
        let mut sum = Drained::default();
        let behind = self.targets.iter().map(Target::behind).sum();
        self.closing.most_behind = self.closing.most_behind.max(behind);
        for target in &mut self.targets {
            let drained = target.drain(behind > MAX_BEHIND);
            sum.words += drained.words;
            sum.hurry |= drained.hurry;
        }
        book.now_ns = clock::monotonic_ns();
        self.turn = self.turn.wrapping_add(1);
        for target in from_turn(&mut self.targets, self.turn) {
            // A slow disk must not keep us from the rings.
            if !book.writer.is_full() {
                sum.hurry |= target.advance(book, horizon, SLICE)?;
            }
        }
        self.settle_origins(book)?;
        Ok(sum)
    }

    /// Ends the histories of processes that are dead.
    fn reap(&mut self, book: &mut Book<TapeFile>, child: &Child) -> io::Result<()> {
        self.overdue = false;
        let mut at = 0;
        while at < self.targets.len() {
            let target = &self.targets[at];
            let is_dead = || target.is_dead().then_some(Ending::Gone);
            let known = || if target.launched { child.ending } else { is_dead() };
            match target.over().or_else(known) {
                // It may have lived and died before its parent's history has come to the fork.
                Some(_) if target.is_unfinished() || self.waits_for_parent(target) => {
                    self.overdue = true;
                    at += 1;
                }
                Some(ending) => self.end(book, at, ending)?,
                None => at += 1,
            }
        }
        Ok(())
    }

    /// Ends the histories of processes that have become other programs.
    fn see_off(&mut self) {
        for target in self.targets.iter_mut().filter(|target| target.has_left()) {
            if let Some(leaving) = target.take_leaving()
                && !leaving.named
            {
                self.awaited.insert(target.pid, (leaving.path, Instant::now()));
            }
            target.set_over(Ending::Exec);
            self.overdue = true;
        }
    }

    /// Names the programs that should have said hello and never did.
    fn name_the_silent(&mut self, book: &mut Book<TapeFile>) -> io::Result<()> {
        for (pid, (path, since)) in std::mem::take(&mut self.awaited) {
            if since.elapsed() < LATE_HELLO && sample::image(pid).is_some() {
                // It may be on its way.
                continue;
            }
            let reason = "its recorder was not loaded or could not reach the launcher (another \
                network namespace, a sandbox)";
            self.unrecorded(book, pid, &path, reason.into())?;
        }
        Ok(())
    }

    fn end(&mut self, book: &mut Book<TapeFile>, at: usize, ending: Ending) -> io::Result<()> {
        // Its place in the family first, if its parent has told it by now.
        self.drain(book)?;
        let target = self.targets.remove(at);
        // Whoever it is that lives on, nobody listens to it any more.
        target.close_gate();
        self.closing.orphans += u64::from(target.id().is_none());
        let number = target.number;
        let (pid, untold) = (target.pid, target.untold());
        let checks = target.checks();
        let id = target.id();
        let guarded = target.guarded();
        let (losses, ended) = target.end(book, book.now(), ending)?;
        self.due.forget(number);
        if let Some(id) = id {
            self.copier.forget(id);
        }
        self.closing.checks = self.closing.checks.plus(checks);
        if let Some(id) = ended.id
            && self.settings.guard.mode != heaptape_wire::handshake::GUARD_OFF
        {
            let unlisted = ended.unlisted_overwrites;
            let guarded = Guarded { process: id, unlisted, ..guarded };
            book.writer.guarded(&guarded)?;
            self.closing.guarded.push(guarded);
        }
        self.closing.losses = self.closing.losses.plus(&losses);
        if untold > 0 {
            let reason = format!(
                "{untold} programs that it started or became: it could not reach the launcher any more (another \
                 network namespace, a sandbox)"
            );
            self.unrecorded(book, pid, &ended.exe, reason)?;
        }
        // A program without a single call is asked why: one may well have a malloc of its own.
        if ended.silent
            && let Some(reason) =
                preflight::blind_spot(OsStr::from_bytes(&ended.exe), Path::new("/"))
        {
            self.unrecorded(book, pid, &ended.exe, reason)?;
        }
        if !ended.forks.is_empty() {
            self.ended.insert(number, ended);
        }
        Ok(())
    }

    /// Ends the recording: what still runs goes on unrecorded.
    fn finish(&mut self, book: &mut Book<TapeFile>, child: &Child) -> io::Result<()> {
        // The watcher may not have told us yet what was said just before the end.
        self.accept();
        self.listen(book, child)?;
        self.see_off();
        self.name_the_silent(book)?;
        for target in &self.targets {
            target.close_gate();
        }
        // All that is known, of parents too, before anybody's end: who was forked where is told by them.
        while self.targets.iter().any(Target::is_unfinished) {
            let is_idle = self.drain(book)?.words == 0;
            self.search_copies(book)?;
            if is_idle && (book.writer.is_full() || !self.targets.iter().any(Target::is_behind)) {
                std::thread::sleep(BUSY_SLEEP);
            }
        }
        self.reap(book, child)?;
        // Parents before children: by number, as they came.
        while let Some(target) = self.targets.first() {
            let gone = || if target.is_dead() { Ending::Gone } else { Ending::Running };
            let ending = target.over().unwrap_or_else(gone);
            self.closing.left_running |= ending == Ending::Running;
            self.end(book, 0, ending)?;
        }
        self.copier.store_all(book)
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
        let lives = |target: &&mut Target| target.is_here() && target.asked.is_none();
        for target in self.targets.iter_mut().filter(lives) {
            if let Some(id) = target.id()
                && let Some(sample) = sample::sample(target.pid, time, pss)
            {
                let private = target.consists.look(target.pid);
                book.writer.sample(id, &Sample { private, ..sample })?;
            }
        }
        Ok(())
    }

    fn name_threads(&mut self, book: &mut Book<TapeFile>) -> io::Result<()> {
        for target in self.targets.iter_mut().filter(|target| target.is_here()) {
            let pid = target.pid;
            let Some(history) = target.history() else { continue };
            for (tid, name) in sample::thread_names(pid) {
                history.name_thread(book, tid, name)?;
            }
        }
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// All items, once round, from the one whose turn it is.
fn from_turn<T>(items: &mut [T], turn: usize) -> impl Iterator<Item = &mut T> {
    let (later, first) = items.split_at_mut(turn % items.len().max(1));
    first.iter_mut().chain(later)
}

#[cfg(test)]
mod tests {
    use super::from_turn;

    /// The first target was always the first: a busy one kept the others from the tape.
    #[test]
    fn everybody_is_the_first_in_turn() {
        let round = |turn| from_turn(&mut [0, 1, 2], turn).map(|item| *item).collect::<Vec<_>>();
        let rounds = [round(0), round(1), round(2), round(usize::MAX)];
        assert_eq!(rounds, [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]);
        assert_eq!(from_turn(&mut [0; 0], 5).count(), 0);
    }
}
