//! One recorded process: its shared memory drained, its streams merged, its history on the tape.

use crate::book::Book;
use crate::convert::Converter;
use crate::order::{Gap, Merge};
use crate::sample::{self, Facts, Image};
use crate::sys::memory::ProcessMemory;
use crate::sys::{fd, futex};
use heaptape_tape::*;
use heaptape_wire::layout::*;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a missing number may take when no thread says that it is about to publish it. One more drain would
/// do: a claim stands before its number is taken, and is withdrawn after the record is published.
const GAP_PATIENCE: Duration = Duration::from_millis(10);
/// How long a thread of a running process may take between claim and record, which is a few instructions.
/// One that takes longer was left by a jump or with its thread; if its record comes after all, it is taken
/// late.
const CLAIM_PATIENCE: Duration = Duration::from_secs(1);
/// Words that may wait for a gap before the streams behind it are no longer drained.
const MAX_BUFFERED: usize = 1 << 25;

/// Where a process comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    /// Launch or exec: an empty heap.
    Fresh,
    /// A fork of the process `parent` (its number), which told it as `serial` and had given out
    /// the order numbers up to `order` when the child said hello.
    Forked { parent: u64, serial: u64, order: u64 },
}

/// A recorded process.
pub(crate) struct Target {
    /// Its number in the session.
    pub(crate) number: u64,
    /// Its pid as we see it; 0 when it is outside our pid namespace.
    pub(crate) pid: u32,
    pub(crate) origin: Origin,
    /// Whether it is the launched program itself, whose ending its parent, we, learn.
    pub(crate) launched: bool,
    /// Readable when it is dead; `None` when the kernel would not give one.
    pidfd: Option<OwnedFd>,
    facts: Facts,
    exe: Vec<u8>,
    joined: TimeNs,
    memory: ProcessMemory,
    merge: Merge,
    /// `None` until its place in the family is known.
    history: Option<Converter>,
    suspect: Option<Suspect>,
    /// The claims of the streams as they were last seen, by stream.
    claims: Vec<Claim>,
    corrupt: u64,
    /// The file that it runs.
    image: Option<Image>,
    /// The program it is about to become, when that was the last it said.
    leaving: Option<Leaving>,
}

/// A program that a process is about to become.
pub(crate) struct Leaving {
    pub(crate) path: Vec<u8>,
    /// Whether it was named as one that cannot be recorded.
    pub(crate) named: bool,
}

/// What a stream said of the record it is making, and since when it says nothing else.
#[derive(Clone, Copy)]
struct Claim {
    intent: u64,
    head: u64,
    since: Instant,
}

/// A missing number under observation.
#[derive(Clone, Copy)]
struct Suspect {
    gap: Gap,
    since: Instant,
    /// Nobody claimed it; if the next drain does not bring it, it is lost.
    unclaimed: bool,
}

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
}

impl Target {
    /// A process that has just said hello. Its gate is open.
    pub(crate) fn new(
        number: u64,
        pid: u32,
        origin: Origin,
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
            launched: false,
            pidfd,
            exe: facts.exe.clone(),
            facts,
            joined,
            memory,
            merge: Merge::default(),
            history: None,
            suspect: None,
            claims: Vec::new(),
            corrupt: 0,
            image: sample::image(pid),
            leaving: None,
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

    /// Its history, once it has begun on the tape.
    pub(crate) fn history(&mut self) -> Option<&mut Converter> {
        self.history.as_mut()
    }

    /// The last order number given out so far.
    pub(crate) fn last_order(&self) -> u64 {
        self.memory.page().order.load(Ordering::Acquire)
    }

    /// Whether everything up to that order number is on the tape.
    pub(crate) fn is_past(&self, order: u64) -> bool {
        self.history.is_some() && self.merge.next() > order
    }

    /// Begins its history on the tape.
    pub(crate) fn begin<W: Write>(
        &mut self,
        book: &mut Book<W>,
        forked_from: Option<(ProcessId, EventIndex)>,
    ) -> io::Result<()> {
        let facts = std::mem::take(&mut self.facts);
        let id = book.process(Process {
            id: ProcessId(0),
            pid: self.pid,
            ppid: facts.ppid,
            forked_from,
            exe: facts.exe,
            argv: facts.argv,
            start: self.joined,
            end: self.joined,
            ending: Ending::Unknown,
            losses: Losses::default(),
        })?;
        self.history = Some(Converter::new(id, self.joined));
        Ok(())
    }

    /// Takes out what the rings hold.
    pub(crate) fn drain(&mut self) -> Drained {
        let mut drained = Drained::default();
        // Acquire pairs with the target's release of a stream's first owner.
        let streams = self.memory.page().streams.load(Ordering::Acquire) as usize;
        if streams > MAX_STREAMS || self.memory.map_streams(streams).is_err() {
            self.distrust();
        }
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
                words.reserve(pending);
                let before = words.len();
                let result = ring.drain(|word| words.push(word));
                drained.words += words.len() - before;
                result
            });
            match result {
                Ok(true) => futex::wake_all(&ring.header().bell),
                Ok(false) => {}
                Err(heaptape_wire::ring::Corrupt) => self.distrust(),
            }
        }
        // It has recorded on: whatever it wanted to become, it has not.
        if drained.words > 0 {
            self.leaving = None;
        }
        drained
    }

    /// Whether a stream is not drained for now: so much waits for a missing number that only the
    /// streams that may hold it are drained, those with nothing waiting. The threads of the others
    /// wait for space. It is no deadlock: the missing record's space was claimed before its number
    /// was taken.
    fn is_held_back(&self, stream: usize) -> bool {
        self.merge.buffered() > MAX_BUFFERED && self.merge.is_waiting(stream)
    }

    /// Whether a ring is more than half full: its producer may have rung before we slept.
    pub(crate) fn is_urgent(&self) -> bool {
        (0..self.memory.stream_count()).any(|stream| {
            let pending = self.memory.ring(stream).pending() as usize;
            pending > RING_WORDS / 2 && !self.is_held_back(stream)
        })
    }

    /// The shared memory holds what no recorder writes: nothing more is taken from it.
    fn distrust(&mut self) {
        if self.memory.page().gate.load(Ordering::Relaxed) != GATE_CLOSED {
            self.corrupt += 1;
            self.close_gate();
        }
    }

    /// Brings everything whose turn has come to the tape. Does nothing before the history begins.
    pub(crate) fn advance<W: Write>(&mut self, book: &mut Book<W>) -> io::Result<()> {
        while let Some(gap) = self.step(book)? {
            if !self.is_lost(gap) {
                return Ok(());
            }
            self.merge.skip_gap();
            self.suspect = None;
        }
        self.suspect = None;
        Ok(())
    }

    /// Brings everything to the tape that will ever come: the process is dead, or given up.
    pub(crate) fn advance_over_gaps<W: Write>(&mut self, book: &mut Book<W>) -> io::Result<()> {
        while self.step(book)?.is_some() {
            self.merge.skip_gap();
        }
        Ok(())
    }

    fn step<W: Write>(&mut self, book: &mut Book<W>) -> io::Result<Option<Gap>> {
        let Some(history) = &mut self.history else { return Ok(None) };
        self.merge.advance(&mut |stream, words| history.record(book, stream, words))
    }

    /// Whether a missing number will never come. Called once after each drain.
    fn is_lost(&mut self, gap: Gap) -> bool {
        let now = Instant::now();
        let suspect = match self.suspect {
            Some(suspect) if suspect.gap == gap => suspect,
            _ => Suspect { gap, since: now, unclaimed: false },
        };
        let unclaimed = now - suspect.since >= GAP_PATIENCE && !self.is_claimed(gap, now);
        self.suspect = Some(Suspect { unclaimed, ..suspect });
        // Judged by the claims as they were before the last drain: what was published before a claim
        // was withdrawn, that drain has brought.
        suspect.unclaimed && unclaimed
    }

    /// Whether a thread is making a record that may have this number. A claim that does not move while the
    /// process runs counts no more: its thread has left the recorder without finishing.
    fn is_claimed(&mut self, Gap(number): Gap, now: Instant) -> bool {
        let mut claimed = false;
        for stream in 0..self.memory.stream_count() {
            let ring = self.memory.ring(stream);
            // Acquire: a withdrawn claim is seen together with what was published before it.
            let intent = ring.header().intent.load(Ordering::Acquire);
            let head = ring.header().head.load(Ordering::Relaxed);
            let fresh = Claim { intent, head, since: now };
            if stream == self.claims.len() {
                self.claims.push(fresh);
            }
            let claim = &mut self.claims[stream];
            if (claim.intent, claim.head) != (intent, head) {
                *claim = fresh;
            }
            let is_fresh = now - claim.since < CLAIM_PATIENCE || sample::is_stopped(self.pid);
            claimed |= intent != 0 && intent <= number && is_fresh;
        }
        claimed
    }

    /// It has said that it is about to become another program; that may fail yet.
    pub(crate) fn may_leave(&mut self, leaving: Leaving) {
        // What it said before does not speak against it.
        self.drain();
        self.leaving = Some(leaving);
    }

    /// What it has become, as it said before.
    pub(crate) fn take_leaving(&mut self) -> Option<Leaving> {
        self.leaving.take()
    }

    /// Whether it has become that program: it runs another file than when it said hello.
    pub(crate) fn has_left(&self) -> bool {
        self.leaving.is_some()
            && self.image.is_some()
            && sample::image(self.pid).is_some_and(|now| Some(now) != self.image)
    }

    /// Whether more waits than may.
    pub(crate) fn is_overfull(&self) -> bool {
        self.merge.buffered() > MAX_BUFFERED
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
        self.drain();
        self.advance_over_gaps(book)?;
        let losses = self.losses();
        let id = self.id();
        if let Some(id) = id {
            book.writer.process_end(id, time, ending, &losses)?;
        }
        let is_silent = self.history.as_ref().is_none_or(|history| history.events() == 0);
        let from_start = matches!(self.origin, Origin::Fresh);
        let silent = is_silent && from_start;
        let forks = self.history.map(Converter::into_forks).unwrap_or_default();
        Ok((losses, Ended { id, forks, exe: self.exe, silent }))
    }
}

#[cfg(test)]
mod tests;
