//! The last look at a process that ends, where we are far behind it: what the search for leaks looks at is copied, and
//! the process ends at once. When its history has come so far, the copy is searched.
//!
//! Only where all other threads wait in system calls: then nobody stands in the middle of a record, which would not come
//! before the process goes on. Until it has been searched, nothing that it has published after its plea is taken out
//! of its rings: the blocks are those of that moment.

use super::leaks::{Standing, is_cramped};
use super::snapshots::{FREEZE_PATIENCE, SHORT_SLEEP};
use super::*;
use crate::cgroup::Cgroup;
use crate::leaks::MemoryCopy;
use crate::sys::stop::Stopped;
use crate::target::Heads;
use crate::{headroom, maps, stacks};
use std::panic::resume_unwind;
use std::thread;

/// As much as is worth a copy waits for its turn: a few milliseconds' work.
const WORTH_A_COPY: usize = 1 << 20;
/// To bring a byte of records to the tape takes so many times as long as to copy one of memory, at least.
const COPIES_FASTER: u64 = 8;
/// Most bytes of all copies together.
const MOST_COPIED: u64 = 256 << 20;

/// What was seen of a process when it asked, and is looked through later.
pub(crate) struct LastLook {
    /// How far it had published its records.
    heads: Heads,
    /// Its address space, with what was resident.
    map: (Vec<Mapping>, Vec<u64>),
    sample: Option<Sample>,
    standing: Standing,
    memory: MemoryCopy,
    /// How long it stood still.
    pause: Duration,
    /// When its history last came nearer.
    moved: Instant,
}

impl Session {
    /// Copies what is to be looked at in a process that asks for its last look, and lets it go; whether that was done. If
    /// not, it has to wait.
    pub(super) fn look_and_let_go(
        &mut self,
        book: &mut Book<TapeFile>,
        at: usize,
    ) -> io::Result<bool> {
        let since = Instant::now();
        self.conclude_look(book, at)?;
        let pid = self.targets[at].pid;
        let is_wanted =
            self.settings.options & OPT_LEAKS != 0 && !self.settings.snapshots.at_exit && pid != 0;
        if !is_wanted {
            return Ok(false);
        }
        self.targets[at].drain(false);
        // What a forked process has follows from its parent's history, and everybody's comes in turn.
        let behind = self.targets.iter().map(Target::behind).sum::<usize>();
        let most = self.room_for_copy(pid).min(behind as u64 * COPIES_FASTER);
        if behind < WORTH_A_COPY || most == 0 || is_cramped(pid, book.now()) {
            return Ok(false);
        }
        let mut stopper = std::mem::take(&mut self.stopper);
        let look = self.look(book, at, most, since, &mut stopper);
        self.stopper.absorb(stopper);
        let look = look?;
        let is_done = look.is_some();
        if is_done {
            self.targets[at].look = look.map(Box::new);
            self.targets[at].answer_plea(FREEZE);
            self.closing.longest_end = self.closing.longest_end.max(since.elapsed());
        }
        Ok(is_done)
    }

    /// Bytes that may be copied of a process: there is a limit for all copies, and where memory is limited they take part of
    /// what the program has.
    fn room_for_copy(&self, pid: u32) -> u64 {
        let held = self.targets.iter().filter_map(|target| target.look.as_ref());
        let held = held.map(|look| look.memory.len()).sum::<u64>();
        let left = [headroom::left(), Cgroup::of(pid).and_then(|cgroup| cgroup.left())];
        let least = left.into_iter().flatten().map(|left| left / 4).min().unwrap_or(u64::MAX);
        MOST_COPIED.saturating_sub(held).min(least)
    }

    fn look(
        &mut self,
        book: &mut Book<TapeFile>,
        at: usize,
        most: u64,
        since: Instant,
        stopper: &mut Stopper,
    ) -> io::Result<Option<LastLook>> {
        let target = &mut self.targets[at];
        let pid = target.pid;
        let stopped = stacks::stop(stopper, pid);
        let stands = match &stopped {
            Some(stopped) => stands_between_records(stopped, target.ending_thread()),
            None => sample::is_alone(pid),
        };
        if !stands {
            return Ok(None);
        }
        // A signal handler may have run while it waited.
        let heads = target.heads();
        target.drain(false);
        let Ok(map) = maps::with_residence(pid) else { return Ok(None) };
        let standing = Standing::of(target, map.0.clone(), None, stopped.as_ref());
        let sample = sample::sample(pid, TimeNs(0), false);
        let Some(memory) = self.meanwhile(book, || standing.copy(pid, most))?.flatten() else {
            return Ok(None);
        };
        // Killed meanwhile, it had no memory any more, or part of it.
        if self.targets[at].is_dead() {
            return Ok(None);
        }
        let now = Instant::now();
        Ok(Some(LastLook { heads, map, sample, standing, memory, pause: now - since, moved: now }))
    }

    /// Has something done by another thread, and brings to the tape what waits for its turn meanwhile. `None` where no thread
    /// can be made.
    fn meanwhile<T: Send>(
        &mut self,
        book: &mut Book<TapeFile>,
        work: impl FnOnce() -> T + Send,
    ) -> io::Result<Option<T>> {
        thread::scope(|scope| {
            let name = "heaptape-copy".to_string();
            let Ok(working) = thread::Builder::new().name(name).spawn_scoped(scope, work) else {
                return Ok(None);
            };
            while !working.is_finished() {
                if !self.drain(book)?.hurry {
                    thread::sleep(SHORT_SLEEP);
                }
            }
            working.join().map(Some).or_else(|panic| resume_unwind(panic))
        })
    }

    /// Looks through what was copied of processes whose histories have come so far.
    pub(super) fn settle_looks(&mut self, book: &mut Book<TapeFile>) -> io::Result<()> {
        for at in 0..self.targets.len() {
            let target = &self.targets[at];
            let Some(look) = &target.look else { continue };
            let is_known = target.is_past(&look.heads);
            let may_come = target.is_behind() || self.waits_for_parent(target);
            let is_stuck = look.moved.elapsed() > FREEZE_PATIENCE;
            if is_known || is_stuck && !may_come {
                let is_whole = is_known && !self.is_moving(book, at);
                let doubts = if is_whole { 0 } else { LeakDoubts::BLOCKS_MISSING };
                self.look_through(book, at, doubts)?;
            } else if may_come && let Some(look) = &mut self.targets[at].look {
                look.moved = Instant::now();
            }
        }
        Ok(())
    }

    /// Brings the history of a process to where something was copied of it, and looks that through.
    pub(super) fn conclude_look(&mut self, book: &mut Book<TapeFile>, at: usize) -> io::Result<()> {
        while self.targets[at].look.is_some() {
            self.drain(book)?;
            self.settle_looks(book)?;
            if book.writer.is_full() || !self.targets[at].is_behind() {
                thread::sleep(BUSY_SLEEP);
            }
        }
        Ok(())
    }

    fn look_through(
        &mut self,
        book: &mut Book<TapeFile>,
        at: usize,
        doubts: u32,
    ) -> io::Result<()> {
        let target = &mut self.targets[at];
        let (Some(look), Some(process)) = (target.look.take(), target.id()) else {
            return Ok(());
        };
        let time = target.moment(book, book.now());
        let (mappings, resident) = look.map;
        let private = (!resident.is_empty()).then(|| maps::private(&mappings, &resident));
        book.writer.memory_map(&MemoryMap { process, time, mappings, resident })?;
        if !self.settings.sample_interval.is_zero()
            && let Some(sample) = look.sample
        {
            book.writer.sample(process, &Sample { time, private, ..sample })?;
        }
        let searched = self.search_in(book, at, &look.standing, &look.memory, doubts);
        let Some(mut searched) = searched else { return Ok(()) };
        searched.scan.pause_ns = look.pause.as_nanos() as u64;
        searched.scan.bytes_read = look.memory.len();
        searched.scan.bytes_unreadable = look.memory.bytes_unreadable();
        drop(look.memory);
        self.judge(book, searched).map(drop)
    }
}

/// Whether no thread but the one that asks stands where it may be making a record: recorders call the kernel before and after
/// that only.
fn stands_between_records(stopped: &Stopped<'_>, asking: u32) -> bool {
    stopped.missing().is_empty()
        && stopped.iter().all(|thread| thread.tid == asking || thread.is_in_call())
}
