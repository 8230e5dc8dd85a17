//! One recorded process: its shared memory drained, its streams merged, its history on the tape.

use crate::book::Book;
use crate::cgroup::Cgroup;
use crate::check::Checks;
use crate::convert::Converter;
use crate::jit;
use crate::order::{Limit, Merge, Missing};
use crate::sample::{self, Consists, Facts, Image};
use crate::sys::memory::ProcessMemory;
use crate::sys::{fd, futex};
use heaptape_tape::*;
use heaptape_wire::handshake::{CRASH, FREEZE};
use heaptape_wire::layout::*;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a record may wait for another before somebody asks where that is. Nearly always the next drain
/// brings it.
const GAP_PATIENCE: Duration = Duration::from_millis(10);
/// How long a thread of a running process may take to make a record, which is a few instructions. One that takes
/// longer was left by a jump or with its thread; if its record comes after all, it is taken late.
const CLAIM_PATIENCE: Duration = Duration::from_secs(1);

/// Where a process comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    /// Launch or exec: an empty heap.
    Fresh,
    /// A fork of the process `parent` (its number), which told it as `serial`.
    Forked { parent: u64, serial: u64 },
}

/// How far the streams of a process had been published at some moment, in words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heads(Vec<u64>);

/// A recorded process.
pub(crate) struct Target {
    /// Its number in the session.
    pub(crate) number: u64,
    /// Its pid as we see it; 0 when it is outside our pid namespace.
    pub(crate) pid: u32,
    pub(crate) origin: Origin,
    /// Of a forked process: how far its parent had come when it said hello.
    pub(crate) parent_heads: Heads,
    /// Whether it is the launched program itself, whose ending its parent, we, learn.
    pub(crate) launched: bool,
    /// Readable when it is dead; `None` when the kernel would not give one.
    pidfd: Option<OwnedFd>,
    pub(crate) consists: Consists,
    /// When it asked for a last look before it ends. Since then it waits for us; then it ends, and what would be seen of
    /// it is memory half given back.
    pub(crate) asked: Option<TimeNs>,
    /// Nothing more is taken out of its rings: what was copied of it then is to be searched first.
    pub(crate) held: bool,
    facts: Facts,
    exe: Vec<u8>,
    joined: TimeNs,
    memory: ProcessMemory,
    merge: Merge,
    /// Whether the memory for what waits was full at the last drain.
    full: bool,
    /// `None` until its place in the family is known.
    history: Option<Converter>,
    suspect: Option<Suspect>,
    /// Whether nothing could be taken at the last turn but for what the suspect is.
    stuck: bool,
    corrupt: u64,
    /// The file that it runs.
    image: Option<Image>,
    /// The program it is about to become, when that was the last it said.
    leaving: Option<Leaving>,
    /// How it has ended, when that is known otherwise than by its death.
    over: Option<Ending>,
    /// Crashes that it has reported.
    crashes: u32,
    /// Its cgroup, and the memory of that when it said hello.
    cgroup: Option<(Cgroup, CgroupMemory)>,
}

/// A program that a process is about to become.
pub(crate) struct Leaving {
    pub(crate) path: Vec<u8>,
    /// Whether it was named as one that cannot be recorded.
    pub(crate) named: bool,
}

/// A missing number under observation.
struct Suspect {
    missing: Missing,
    since: Instant,
    /// Streams that were making a record when it was first missed: only they can hold it. With the place
    /// that they had come to; who has moved on has published what it was making.
    holders: Vec<(usize, u64)>,
}

/// Gaps that are passed one by one at the end of a process, each at the cost of a look at everything queued. A
/// killed process leaves one for each of its threads.
const MAX_GAPS: usize = MAX_STREAMS;

/// What a drain brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drained {
    pub(crate) words: usize,
    /// A ring was more than half full: come back at once.
    pub(crate) hurry: bool,
}

/// What is left of a process that has ended: its id and the forks no child has named yet.
pub(crate) struct Ended {
    pub(crate) id: Option<ProcessId>,
    pub(crate) forks: BTreeMap<u64, EventIndex>,
    /// Its program.
    pub(crate) exe: Vec<u8>,
    /// Whether it was recorded from its start and not one call was seen.
    pub(crate) silent: bool,
    /// Overwrites that were found in it and did not go to the tape.
    pub(crate) unlisted_overwrites: u64,
}

impl Target {
    /// A process that has just said hello. Its gate is open.
    pub(crate) fn new(
        number: u64,
        pid: u32,
        origin: Origin,
        parent_heads: Heads,
        pidfd: Option<OwnedFd>,
        facts: Facts,
        joined: TimeNs,
    ) -> io::Result<Target> {
        let memory = ProcessMemory::new()?;
        memory.page().gate.store(GATE_OPEN, Ordering::Release);
        Ok(Target {
            number,
            pid,
            origin,
            parent_heads,
            launched: false,
            pidfd,
            exe: facts.exe.clone(),
            facts,
            joined,
            consists: Consists::default(),
            asked: None,
            held: false,
            memory,
            merge: Merge::default(),
            full: false,
            history: None,
            suspect: None,
            stuck: false,
            corrupt: 0,
            image: sample::image(pid),
            leaving: None,
            over: None,
            crashes: 0,
            cgroup: None,
        })
    }

    /// The shared memory, to be handed to the process.
    pub(crate) fn memory(&self) -> BorrowedFd<'_> {
        self.memory.file()
    }

    /// Its id on the tape, once it has begun there.
    pub(crate) fn id(&self) -> Option<ProcessId> {
        self.history.as_ref().map(Converter::process)
    }

    /// Looks at the memory of its cgroup: at its death there is nobody to ask for it.
    pub(crate) fn look_at_cgroup(&mut self) {
        self.cgroup = Cgroup::of(self.pid).map(|cgroup| {
            let memory = cgroup.read(ProcessId(0), self.joined);
            (cgroup, memory)
        });
    }

    /// Puts on the tape how its cgroup's memory was at first and is after its death, if it was killed.
    fn tell_cgroup<W: Write>(
        &self,
        book: &mut Book<W>,
        process: ProcessId,
        time: TimeNs,
        ending: Ending,
    ) -> io::Result<()> {
        let Some((cgroup, first)) = &self.cgroup else { return Ok(()) };
        let killed = match ending {
            Ending::Signalled(..) => true,
            // Nobody saw how: maybe so.
            Ending::Gone => cgroup.read(process, time).oom_kills > first.oom_kills,
            _ => false,
        };
        if killed {
            book.writer.cgroup(&CgroupMemory { process, ..first.clone() })?;
            book.writer.cgroup(&cgroup.read(process, time))?;
        }
        Ok(())
    }

    /// The number of the crash that it reports now, from 0.
    pub(crate) fn next_crash(&mut self) -> u32 {
        self.crashes += 1;
        self.crashes - 1
    }

    /// Its history, once it has begun on the tape.
    pub(crate) fn history(&mut self) -> Option<&mut Converter> {
        self.history.as_mut()
    }

    /// How far its streams have been published.
    pub(crate) fn heads(&mut self) -> Heads {
        self.map_streams();
        let streams = 0..self.memory.stream_count();
        // Acquire: what was published before is drained with them.
        Heads(streams.map(|s| self.memory.ring(s).header().head.load(Ordering::Acquire)).collect())
    }

    /// Whether everything up to there is on the tape.
    pub(crate) fn is_past(&self, heads: &Heads) -> bool {
        let done = |(stream, &head): (usize, &u64)| self.merge.done(stream) >= head;
        self.history.is_some() && heads.0.iter().enumerate().all(done)
    }

    /// Begins its history on the tape.
    pub(crate) fn begin<W: Write>(
        &mut self,
        book: &mut Book<W>,
        forked_from: Option<(ProcessId, EventIndex)>,
    ) -> io::Result<()> {
        let facts = std::mem::take(&mut self.facts);
        self.facts.ppid = facts.ppid;
        let id = book.process(Process {
            pid: self.pid,
            ppid: facts.ppid,
            forked_from,
            exe: facts.exe,
            argv: facts.argv,
            start: self.joined,
            end: self.joined,
            ..Process::unknown(ProcessId(0))
        })?;
        self.history = Some(Converter::new(id, self.joined));
        Ok(())
    }

    /// Takes out what the rings hold. `full`: as much waits in memory as may, so that the threads that bring
    /// more wait for space.
    pub(crate) fn drain(&mut self, full: bool) -> Drained {
        self.full = full;
        let mut drained = Drained::default();
        self.map_streams();
        for stream in 0..self.memory.stream_count() {
            if self.is_held_back(stream) {
                continue;
            }
            let ring = self.memory.ring(stream);
            let (head, tail) = (&ring.header().head, &ring.header().tail);
            if head.load(Ordering::Relaxed) == tail.load(Ordering::Relaxed) {
                continue;
            }
            let pending = ring.pending() as usize;
            drained.hurry |= pending > RING_WORDS / 2;
            let result = self.merge.feed(stream, |words| {
                let before = words.len();
                let result = ring.drain(words);
                drained.words += words.len() - before;
                result
            });
            match result {
                Ok(true) => futex::wake_all(&ring.header().bell),
                Ok(false) => {}
                Err(heaptape_wire::ring::Corrupt) => self.distrust(),
            }
        }
        self.stuck = false;
        // It has recorded on: whatever it wanted to become, it has not.
        if drained.words > 0 {
            self.leaving = None;
        }
        drained
    }

    fn map_streams(&mut self) {
        // Acquire pairs with the target's release of a stream's first owner.
        let streams = self.memory.page().streams.load(Ordering::Acquire) as usize;
        if streams > MAX_STREAMS || self.memory.map_streams(streams).is_err() {
            self.distrust();
        }
    }

    /// Whether a stream is not drained for now: the process is held, or as much waits as may and nothing is missing
    /// that it may bring.
    fn is_held_back(&self, stream: usize) -> bool {
        self.held || self.full && self.merge.has_words(stream) && !self.stuck
    }

    /// Whether a ring is more than half full, or the process asks for something: it may have rung before we
    /// slept.
    pub(crate) fn is_urgent(&self) -> bool {
        let is_pressed = |stream| {
            let pending = self.memory.ring(stream).pending() as usize;
            pending > RING_WORDS / 2 && !self.is_held_back(stream)
        };
        self.asks() || (0..self.memory.stream_count()).any(is_pressed)
    }

    fn asks(&self) -> bool {
        // SeqCst as for the doorbell: what is asked before we sleep is seen or rings.
        matches!(self.memory.page().plea.state.load(Ordering::SeqCst), FREEZE | CRASH)
    }

    /// What the process asks for before it ends (`FREEZE`, `CRASH`), and the report that comes with it.
    pub(crate) fn plea(&self) -> Option<(u32, Vec<u8>)> {
        let plea = &self.memory.page().plea;
        // Acquire pairs with the store of the one who asks, after its report.
        match plea.state.load(Ordering::Acquire) {
            FREEZE => Some((FREEZE, Vec::new())),
            CRASH => {
                let words = plea.report.iter().map(|word| word.load(Ordering::Relaxed));
                Some((CRASH, words.flat_map(u64::to_ne_bytes).collect()))
            }
            _ => None,
        }
    }

    /// Lets the process end, unless it has not waited.
    pub(crate) fn answer_plea(&self, purpose: u32) {
        let state = &self.memory.page().plea.state;
        let (heard, relaxed) = (PLEA_HEARD, Ordering::Relaxed);
        if state.compare_exchange(purpose, heard, Ordering::Release, relaxed).is_ok() {
            futex::wake_all(state);
        }
    }

    /// The shared memory holds what no recorder writes: nothing more is taken from it.
    fn distrust(&mut self) {
        if self.memory.page().gate.load(Ordering::Relaxed) != GATE_CLOSED {
            self.corrupt += 1;
            self.close_gate();
        }
    }

    /// Brings what happened up to `horizon` (ns) to the tape, as far as its turn has come, and at most so many
    /// records. Returns whether there is more of it. Does nothing before the history begins.
    pub(crate) fn advance<W: Write>(
        &mut self,
        book: &mut Book<W>,
        horizon: u64,
        records: usize,
    ) -> io::Result<bool> {
        let more = self.step(book, Limit { now: book.now_ns, horizon, records })?;
        if !more {
            self.look_for_lost();
        }
        self.stuck = !more && self.suspect.is_some();
        Ok(more)
    }

    /// Brings everything to the tape that will ever come: the process is dead, or given up.
    pub(crate) fn advance_over_gaps<W: Write>(&mut self, book: &mut Book<W>) -> io::Result<()> {
        let mut gaps = 0;
        loop {
            self.step(book, Limit::none(book.now_ns))?;
            match self.merge.missing() {
                Some(missing) if gaps < MAX_GAPS => self.merge.skip(missing),
                Some(_) => self.merge.skip_blindly(),
                None => return Ok(()),
            }
            gaps += 1;
        }
    }

    /// Whether it is known now that more can be brought to the tape.
    pub(crate) fn is_behind(&self) -> bool {
        self.history.is_some() && self.merge.is_ready()
    }

    /// Whether it is behind, or what was copied of it is to be searched yet.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.is_behind() || self.held
    }

    fn step<W: Write>(&mut self, book: &mut Book<W>, limit: Limit) -> io::Result<bool> {
        let Some(history) = &mut self.history else { return Ok(false) };
        // Acquire pairs with the target's store, before which a second stream has published nothing.
        let until = self.memory.page().alone_until.load(Ordering::Acquire);
        self.merge.set_alone_until(until.saturating_sub(1));
        let mut sink = |stream, kind, words: &[u64]| history.record(book, stream, kind, words);
        let more = self.merge.advance(limit, &mut sink)?;
        history.settle(book)?;
        Ok(more)
    }

    /// Gives up what is waited for and will never come. Called once after each drain whose words have had
    /// their turn.
    fn look_for_lost(&mut self) {
        // What they had in hand no drain brings now.
        if self.held {
            return;
        }
        let now = Instant::now();
        let is_late = self.merge.waits_since().is_some_and(|since| now - since >= GAP_PATIENCE);
        let Some(missing) = is_late.then(|| self.merge.missing()).flatten() else {
            self.suspect = None;
            return;
        };
        match self.suspect.take().filter(|suspect| suspect.missing == missing) {
            None => {
                let holders = self.makers();
                self.suspect = Some(Suspect { missing, since: now, holders });
            }
            // What they had in hand when they let go of it, this drain has brought.
            Some(suspect) if suspect.holders.is_empty() => self.merge.skip(missing),
            Some(mut suspect) => {
                let making = self.makers();
                suspect.holders.retain(|holder| making.contains(holder));
                if now - suspect.since >= CLAIM_PATIENCE && !sample::is_stopped(self.pid) {
                    suspect.holders.clear();
                }
                self.suspect = Some(suspect);
            }
        }
    }

    /// The streams that are making a numbered record, and where they stand.
    fn makers(&self) -> Vec<(usize, u64)> {
        let streams = 0..self.memory.stream_count();
        let making = |stream: usize| {
            let header = self.memory.ring(stream).header();
            // Acquire: a maker that has let go is seen together with what it published before.
            let intent = header.intent.load(Ordering::Acquire);
            (intent != 0).then(|| (stream, header.head.load(Ordering::Relaxed)))
        };
        streams.filter_map(making).collect()
    }

    /// It has said that it is about to become another program; that may fail yet.
    pub(crate) fn may_leave(&mut self, leaving: Leaving) {
        // What it said before does not speak against it.
        self.drain(false);
        self.leaving = Some(leaving);
    }

    /// What it has become, as it said before.
    pub(crate) fn take_leaving(&mut self) -> Option<Leaving> {
        self.leaving.take()
    }

    /// Whether it has become that program: it runs another file than when it said hello.
    pub(crate) fn has_left(&self) -> bool {
        self.over.is_none()
            && self.leaving.is_some()
            && self.image.is_some()
            && sample::image(self.pid).is_some_and(|now| Some(now) != self.image)
    }

    /// Bytes taken out that wait for their turn.
    pub(crate) fn behind(&self) -> usize {
        self.merge.buffered() * size_of::<u64>()
    }

    /// Whether as much waited in memory at the last drain as may.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Whether it is known to be dead.
    pub(crate) fn is_dead(&self) -> bool {
        self.pidfd.as_ref().is_some_and(fd::is_readable)
    }

    /// Tells the recorder to pass every call through, and wakes who waits for space.
    pub(crate) fn close_gate(&self) {
        self.memory.page().gate.store(GATE_CLOSED, Ordering::SeqCst);
        for stream in 0..self.memory.stream_count() {
            let bell = &self.memory.ring(stream).header().bell;
            bell.fetch_add(1, Ordering::SeqCst);
            futex::wake_all(bell);
        }
    }

    /// Its history ends thus, once it has come to its end: another image has taken its place.
    pub(crate) fn set_over(&mut self, ending: Ending) {
        self.over = Some(ending);
        self.launched = false;
    }

    /// How its history ends, where that is known already.
    pub(crate) fn over(&self) -> Option<Ending> {
        self.over
    }

    /// Whether `/proc` tells of it under its pid, and it has not had its last look.
    pub(crate) fn is_here(&self) -> bool {
        self.pid != 0 && self.over.is_none() && !self.held
    }

    /// The thread that has asked us to look at it before it ends.
    pub(crate) fn ending_thread(&self) -> u32 {
        // Stored before the state that was seen.
        self.memory.page().plea.tid.load(Ordering::Relaxed)
    }

    /// The recorder's private memory in it, which holds pointers of the program's.
    pub(crate) fn recorder_memory(&self) -> Vec<Range<u64>> {
        let streams = 0..self.memory.stream_count();
        let ranges = streams.map(|stream| {
            let word = self.memory.ring(stream).header().private.load(Ordering::Relaxed);
            unpack_private_range(word)
        });
        let table = self.memory.page().arena_table.get();
        let ranges = ranges.map(|(start, end)| start..end).chain([table]);
        ranges.filter(|range| !range.is_empty()).collect()
    }

    /// Where its blocks with guard pages lie; empty if there are none.
    pub(crate) fn arena(&self) -> Range<u64> {
        self.memory.page().arena.get()
    }

    /// Programs that it has started without our hearing of them.
    pub(crate) fn untold(&self) -> u64 {
        self.memory.page().untold.load(Ordering::Relaxed)
    }

    /// What could not be recorded so far.
    pub(crate) fn losses(&self) -> Losses {
        let page = self.memory.page();
        Losses {
            events: page.lost_events.load(Ordering::Relaxed),
            threads: page.lost_threads.load(Ordering::Relaxed),
            truncated_backtraces: page.truncated.load(Ordering::Relaxed),
            abandoned: self.merge.abandoned(),
            malformed: self.merge.malformed()
                + self.corrupt
                + self.history.as_ref().map_or(0, Converter::malformed),
            waited_ns: page.waited_ns.load(Ordering::Relaxed),
        }
    }

    /// What came of checking backtraces so far.
    pub(crate) fn checks(&self) -> Checks {
        let page = self.memory.page();
        Checks {
            checked: page.checked.load(Ordering::Relaxed),
            differing: page.differing.load(Ordering::Relaxed),
            unchecked: page.unchecked.load(Ordering::Relaxed),
        }
    }

    /// How its blocks were guarded so far; the process, and what is not listed, is filled in by whoever asks.
    pub(crate) fn guarded(&self) -> Guarded {
        let page = self.memory.page();
        let arena = self.arena();
        let mechanism = u8::try_from(page.guard.load(Ordering::Relaxed)).ok();
        Guarded {
            process: self.id().unwrap_or(ProcessId(0)),
            mechanism: mechanism.and_then(GuardMechanism::from_u8).unwrap_or_default(),
            guarded: page.guarded.load(Ordering::Relaxed),
            unguarded: page.unguarded.load(Ordering::Relaxed),
            arena: (arena.start, arena.end),
            unlisted: 0,
        }
    }

    /// When what is seen of it at `now` is true, and when it ended: the time for which it waits for a last look is ours, not
    /// the program's. What threads record all the same, or destructors after the look, is in its time.
    pub(crate) fn moment<W: Write>(&self, book: &Book<W>, now: TimeNs) -> TimeNs {
        let last = self.id().and_then(|id| book.writer.last_time(id)).unwrap_or_default();
        self.asked.map_or(now, |asked| asked.max(last).min(now))
    }

    /// Ends its history: everything published is brought to the tape. Returns its losses and what its
    /// children may still ask for.
    pub(crate) fn end<W: Write>(
        mut self,
        book: &mut Book<W>,
        time: TimeNs,
        ending: Ending,
    ) -> io::Result<(Losses, Ended)> {
        if self.history.is_none() {
            // Its parent never told where it forked.
            self.begin(book, None)?;
        }
        self.drain(false);
        self.advance_over_gaps(book)?;
        let losses = self.losses();
        let id = self.id();
        if let Some(history) = &self.history {
            // A forked child's code is its parent's, for whom it was named.
            let parent = matches!(self.origin, Origin::Forked { .. }).then_some(self.facts.ppid);
            let pids: Vec<u32> = parent.into_iter().chain([self.pid]).rev().collect();
            for (name, nodes) in jit::names(&pids, history.strays()) {
                book.writer.node_name(&name, &nodes)?;
            }
        }
        if let Some(id) = id {
            let time = self.moment(book, time);
            self.tell_cgroup(book, id, time, ending)?;
            book.writer.process_end(id, time, ending, &losses)?;
        }
        let is_silent = self.history.as_ref().is_none_or(|history| history.events() == 0);
        let from_start = matches!(self.origin, Origin::Fresh);
        let silent = is_silent && from_start;
        let unlisted_overwrites = self.history.as_ref().map_or(0, Converter::unlisted_overwrites);
        let forks = self.history.map(Converter::into_forks).unwrap_or_default();
        Ok((losses, Ended { id, forks, exe: self.exe, silent, unlisted_overwrites }))
    }
}

#[cfg(test)]
mod tests;
