//! When contents are copied, and how: all threads of the process stand still, what they have published is
//! brought to the tape, so that the live blocks are those of that instant, their pages are copied, and the
//! process goes on.

use super::*;
use crate::cgroup::Cgroup;
use crate::control::{SnapshotAnswer, Taken};
use crate::hello::Heard;
use crate::maps;
use crate::stacks;
use crate::sys::stop::Stopped;
use std::collections::VecDeque;

/// Patience for gaps while a process waits for our answer.
pub(super) const FREEZE_PATIENCE: Duration = Duration::from_millis(500);
/// And for everything that it has recorded before: less than it waits for our answer.
pub(super) const FREEZE_LIMIT: Duration = Duration::from_secs(30);
/// Patience for gaps while we hold a process: a thread that we have stopped in the middle of a record will not
/// go on before we let it.
const HOLD_PATIENCE: Duration = Duration::from_millis(2);
/// Between two looks while a process stands still.
pub(super) const SHORT_SLEEP: Duration = Duration::from_micros(50);
/// So little may wait for its turn when a process is stopped, and so long may it take until then: those who say
/// hello wait, too.
const NEAR_BYTES: usize = 1 << 20;
const NEAR_LIMIT: Duration = Duration::from_secs(3);
/// The address space is written down when so small a part of the time up to then has passed since the last time.
const MAPS: u64 = 32;
/// So often a process is let go and stopped again because of that.
pub(super) const MOST_TRIES: usize = 4;
/// Bytes of pages that wait in memory to be stored; near a limit of memory hardly any do.
const ROOM: usize = 256 << 20;
const LITTLE_ROOM: usize = 4 << 20;
/// The limit of the control group is looked at so often.
const LIMIT_EVERY: Duration = Duration::from_millis(100);
/// Memory is near the limit from this percentage on, and nearer with each step.
const NEAR_PERCENT: u64 = 90;
const STEP_PERCENT: u64 = 5;

/// When the contents of the live blocks are to be copied, beside when somebody asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshots {
    /// At exit and at a fatal signal.
    pub at_exit: bool,
    /// At intervals; zero: not so.
    pub every: Duration,
    /// At these times after the beginning of the recording.
    pub at: Vec<Duration>,
    /// When the live bytes of a process are so many percent more than at its last such snapshot; 0: not so.
    pub peak_percent: u32,
    /// Most bytes of pages on the tape.
    pub budget: u64,
}

impl Default for Snapshots {
    /// Never, and at most 1 GiB.
    fn default() -> Snapshots {
        let (every, at) = (Duration::ZERO, Vec::new());
        Snapshots { at_exit: false, every, at, peak_percent: 0, budget: 1 << 30 }
    }
}

impl Snapshots {
    /// Whether any are wanted beforehand: then one is made near the limit of memory, too.
    pub fn any(&self) -> bool {
        self.at_exit || !self.every.is_zero() || !self.at.is_empty() || self.peak_percent > 0
    }

    /// For the header of the tape.
    pub(crate) fn words(&self) -> String {
        let mut words = Vec::new();
        if !self.every.is_zero() {
            words.push(format!("every {} ms", self.every.as_millis()));
        }
        words.extend(self.at.iter().map(|at| format!("at {} ms", at.as_millis())));
        if self.peak_percent > 0 {
            words.push(format!("peak {} %", self.peak_percent));
        }
        if words.is_empty() { "off".into() } else { words.join(", ") }
    }
}

/// What is to be done when.
pub(super) struct Due {
    every: Option<Instant>,
    at: VecDeque<Duration>,
    limit: Instant,
    /// By target: live bytes from which on the next peak is one.
    peaks: FxHashMap<u64, u64>,
    /// By target: how near its limit it was at the last look, in percent.
    near: FxHashMap<u64, u64>,
    /// By target: when its address space was last written down.
    mapped: FxHashMap<u64, TimeNs>,
}

impl Due {
    pub(super) fn new(wanted: &Snapshots) -> Due {
        let mut at = wanted.at.clone();
        at.sort();
        let now = Instant::now();
        Due {
            every: (!wanted.every.is_zero()).then(|| now + wanted.every),
            at: at.into(),
            limit: now,
            peaks: FxHashMap::default(),
            near: FxHashMap::default(),
            mapped: FxHashMap::default(),
        }
    }

    /// A target is gone.
    pub(super) fn forget(&mut self, number: u64) {
        self.peaks.remove(&number);
        self.near.remove(&number);
        self.mapped.remove(&number);
    }

    /// Whether the address space is to be written down with a snapshot: always when somebody wanted that one, else
    /// so often that there are some hundreds in the longest recording, for readers keep them in memory.
    fn wants_map(&mut self, number: u64, reason: SnapshotReason, time: TimeNs) -> bool {
        let is_routine = matches!(reason, SnapshotReason::Interval | SnapshotReason::Peak);
        let last = self.mapped.get(&number);
        let is_due = last.is_none_or(|last| time.0 - last.0.min(time.0) >= time.0 / MAPS);
        // At a crash it is written down anyway.
        let wanted = reason != SnapshotReason::Crash && (!is_routine || is_due);
        if wanted {
            self.mapped.insert(number, time);
        }
        wanted
    }
}

impl Session {
    /// Makes the snapshots whose time has come.
    pub(super) fn take_due_snapshots(&mut self, book: &mut Book<TapeFile>) -> io::Result<()> {
        if !self.settings.snapshots.any() {
            return Ok(());
        }
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= Instant::now());
        let interval = is_due(self.due.every).then_some(SnapshotReason::Interval);
        let now = Duration::from_nanos(book.now().0);
        let mut time = None;
        while self.due.at.front().is_some_and(|&at| at <= now) {
            self.due.at.pop_front();
            time = Some(SnapshotReason::Time);
        }
        let limits = self.due.limit.elapsed() >= LIMIT_EVERY;
        if limits {
            self.due.limit = Instant::now();
        }
        for at in 0..self.targets.len() {
            let near = if limits { self.nears_limit(at) } else { None };
            let peaks = if self.is_at_peak(book, at) { Some(SnapshotReason::Peak) } else { None };
            // Of several reasons the rarest: the next interval comes anyway.
            if let Some(reason) = near.or(time).or(peaks).or(interval) {
                self.snapshot(book, at, reason, Instant::now(), None)?;
            }
        }
        if interval.is_some() || is_due(self.due.every) {
            self.due.every = Some(Instant::now() + self.settings.snapshots.every);
        }
        Ok(())
    }

    /// Whether a process has come nearer to the limit of its memory by a step.
    fn nears_limit(&mut self, at: usize) -> Option<SnapshotReason> {
        let target = self.targets.get(at).filter(|target| target.is_here())?;
        let percent = Cgroup::of(target.pid)?.percent_used()?;
        let steps = (percent.checked_sub(NEAR_PERCENT)?) / STEP_PERCENT + 1;
        let last = self.due.near.entry(target.number).or_default();
        let nearer = steps > *last;
        *last = steps.max(*last);
        nearer.then_some(SnapshotReason::MemoryLimit)
    }

    /// Whether more is live in a process than at its last peak, by a step.
    fn is_at_peak(&mut self, book: &Book<TapeFile>, at: usize) -> bool {
        let percent = u64::from(self.settings.snapshots.peak_percent);
        if percent == 0 {
            return false;
        }
        let target = &self.targets[at];
        let live =
            target.id().and_then(|id| book.writer.live(id)).map_or(0, |l| l.totals().live_bytes);
        let from = self.due.peaks.entry(target.number).or_insert(1);
        let is_peak = live >= *from;
        if is_peak {
            *from = live.saturating_add((live / 100).saturating_mul(percent).max(1));
        }
        is_peak
    }

    /// Somebody wants to see what is in memory now.
    pub(super) fn asked_for_snapshot(
        &mut self,
        book: &mut Book<TapeFile>,
        caller: &Caller,
        heard: &Heard,
    ) -> io::Result<()> {
        let Some(pid) = heard.payload.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes)) else {
            caller.refuse();
            return Ok(());
        };
        let is_meant = |target: &Target| target.is_here() && (pid == 0 || pid == target.pid);
        if !self.targets.iter().any(is_meant) {
            caller.refuse();
            return Ok(());
        }
        let mut taken = Vec::new();
        for at in 0..self.targets.len() {
            if is_meant(&self.targets[at])
                && let Some(snapshot) =
                    self.snapshot(book, at, SnapshotReason::Asked, Instant::now(), None)?
            {
                taken.push(Taken {
                    pid: self.targets[at].pid,
                    process: snapshot.process.0,
                    number: snapshot.number,
                    time_ns: snapshot.time.0,
                    pause_ns: snapshot.pause_ns,
                    one_instant: snapshot.one_instant,
                    considered: snapshot.considered,
                    stored: snapshot.stored,
                    unreadable: snapshot.unreadable,
                    over_budget: snapshot.over_budget,
                });
            }
        }
        // Who asked may look at the tape at once.
        self.copier.store_all(book)?;
        book.writer.flush_now()?;
        let answer = SnapshotAnswer { tape: self.tape.clone(), taken };
        caller.answer_with(&self.welcome(0), &answer.encode());
        Ok(())
    }

    /// Copies the contents of a process's live blocks. `None` when it cannot be seen, or is gone.
    ///
    /// At exit and at a crash the thread that says so waits for us, `since` then; all others are stopped, as at
    /// any other time, unless they are `already`.
    pub(super) fn snapshot(
        &mut self,
        book: &mut Book<TapeFile>,
        at: usize,
        reason: SnapshotReason,
        since: Instant,
        already: Option<&Stopped<'_>>,
    ) -> io::Result<Option<Snapshot>> {
        if !self.targets[at].is_here() || self.targets[at].is_dead() {
            return Ok(None);
        }
        let mut stopper = std::mem::take(&mut self.stopper);
        let result = self.snapshot_by(&mut stopper, book, at, reason, since, already);
        self.stopper.absorb(stopper);
        Ok(result?.map(|snapshot| self.copier.made(snapshot)))
    }

    fn snapshot_by(
        &mut self,
        stopper: &mut Stopper,
        book: &mut Book<TapeFile>,
        at: usize,
        reason: SnapshotReason,
        mut since: Instant,
        already: Option<&Stopped<'_>>,
    ) -> io::Result<Option<Snapshot>> {
        let pid = self.targets[at].pid;
        let room = if reason == SnapshotReason::MemoryLimit { LITTLE_ROOM } else { ROOM };
        let waits = matches!(reason, SnapshotReason::Exit | SnapshotReason::Crash);
        if !waits {
            self.come_near(book, at)?;
        }
        for attempt in 1..=MOST_TRIES {
            let stands_anyway = already.is_some() || waits && sample::is_alone(pid);
            let own = if stands_anyway { None } else { stacks::stop(stopper, pid) };
            let stopped = already.or(own.as_ref());
            // It has ended meanwhile, and its memory is gone.
            if self.targets[at].is_dead() {
                break;
            }
            let stands = match stopped {
                Some(stopped) => stopped.missing().is_empty(),
                None => waits && sample::is_alone(pid),
            };
            let patience = if stopped.is_some() { HOLD_PATIENCE } else { FREEZE_PATIENCE };
            let caught_up = self.catch_up(book, at, patience)?;
            // A thread stands in the middle of a record: a moment later it is through.
            if !caught_up && own.is_some() && attempt < MOST_TRIES {
                drop(own);
                since = Instant::now();
                continue;
            }
            let stood = stopped.is_some() || waits;
            let copied = self.copy(book, at, reason, room)?;
            return Ok(copied.map(|snapshot| Snapshot {
                one_instant: stands && caught_up,
                pause_ns: if stood { since.elapsed().as_nanos() as u64 } else { 0 },
                ..snapshot
            }));
        }
        Ok(None)
    }

    /// Brings to the tape what waits for its turn, while the process runs: it would stand still for that. Its rings
    /// are not drained meanwhile, so that a thread that records faster than we write waits for space, and we
    /// come near the present.
    pub(super) fn come_near(&mut self, book: &mut Book<TapeFile>, at: usize) -> io::Result<()> {
        let since = Instant::now();
        for _ in 0..MOST_TRIES {
            self.drain(book)?;
            while self.targets[at].is_behind() && since.elapsed() < NEAR_LIMIT {
                if book.writer.is_full() {
                    std::thread::sleep(SHORT_SLEEP);
                } else {
                    book.now_ns = clock::monotonic_ns();
                    self.targets[at].advance(book, book.now_ns, SLICE)?;
                }
            }
            if self.targets[at].behind() < NEAR_BYTES {
                break;
            }
        }
        Ok(())
    }

    /// Copies what is live in a process as of the events on the tape.
    fn copy(
        &mut self,
        book: &mut Book<TapeFile>,
        at: usize,
        reason: SnapshotReason,
        room: usize,
    ) -> io::Result<Option<Snapshot>> {
        let Some(process) = self.targets[at].id() else { return Ok(None) };
        let Some(event) = book.writer.live(process).map(|live| live.totals().events) else {
            return Ok(None);
        };
        let time = self.targets[at].moment(book, book.time(clock::monotonic_ns()));
        let pid = self.targets[at].pid;
        let copy = self.copier.copy(book, process, pid, room)?;
        if self.due.wants_map(self.targets[at].number, reason, time)
            && let Ok(mappings) = maps::of(pid)
        {
            let resident = Vec::new();
            book.writer.memory_map(&MemoryMap { process, time, mappings, resident })?;
        }
        Ok(Some(Snapshot {
            process,
            number: 0,
            time,
            event,
            reason,
            pause_ns: 0,
            one_instant: false,
            considered: copy.considered,
            stored: copy.stored,
            unreadable: copy.unreadable,
            over_budget: copy.over_budget,
        }))
    }

    /// Brings everything to the tape that a process has published by now; whether all of it could be. Waits so
    /// long for what is missing in between.
    pub(super) fn catch_up(
        &mut self,
        book: &mut Book<TapeFile>,
        at: usize,
        patience: Duration,
    ) -> io::Result<bool> {
        let heads = self.targets[at].heads();
        let since = Instant::now();
        let mut stuck_since = since;
        loop {
            let drained = self.drain(book)?;
            self.search_copies(book)?;
            if self.targets[at].is_past(&heads) {
                return Ok(true);
            }
            if self.targets[at].is_behind() {
                stuck_since = Instant::now();
            } else if stuck_since.elapsed() > patience {
                return Ok(false);
            }
            if since.elapsed() > FREEZE_LIMIT {
                return Ok(false);
            }
            if drained.words == 0 && (book.writer.is_full() || !self.targets[at].is_behind()) {
                std::thread::sleep(SHORT_SLEEP);
            }
        }
    }
}
