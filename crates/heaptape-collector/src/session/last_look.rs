//! The last look at a process that ends, where we are far behind it: what the search for leaks looks at is copied, and
//! the process ends at once. When its history has come so far, the copy is searched.
//!
//! Only where all other threads wait in system calls: a record that one is making would not come before the process goes on.
//! Until the copy has been searched nothing more is taken out of the rings of the process: the blocks are those of
//! that moment.

use super::leaks::{Standing, lacks_room};
use super::snapshots::{FREEZE_LIMIT, FREEZE_PATIENCE, SHORT_SLEEP};
use super::*;
use crate::cgroup::Cgroup;
use crate::leaks::MemoryCopy;
use crate::sys::stop::Stopped;
use crate::target::{Heads, Origin};
use crate::{headroom, maps, stacks};
use std::panic::resume_unwind;
use std::thread;

/// As much as is worth a copy waits for its turn: a few milliseconds' work.
const WORTH_A_COPY: usize = 1 << 20;
/// To bring a byte of records to the tape takes so many times as long as to copy one of memory, at least.
const COPIES_FASTER: u64 = 8;
/// Most bytes of all copies together.
const MOST_COPIED: u64 = 256 << 20;

/// What was seen of a process when it asked, and is searched later.
pub(super) struct LastLook {
    /// How far it had published its records.
    heads: Heads,
    standing: Standing,
    memory: MemoryCopy,
    /// By mapping: resident bytes without a file.
    resident: Vec<u64>,
    sample: Sample,
    /// How long it stood still.
    pause: Duration,
    /// When its history last came nearer.
    moved: Instant,
}

impl LastLook {
    fn bytes(&self) -> u64 {
        self.memory.len() + self.standing.bytes()
    }
}

impl Session {
    /// Copies what is to be searched in a process that asks for its last look, and lets it go; whether that was done. If
    /// not, it has to wait.
    pub(super) fn copy_and_let_go(
        &mut self,
        book: &mut Book<TapeFile>,
        at: usize,
    ) -> io::Result<bool> {
        let is_wanted = self.settings.options & OPT_LEAKS != 0 && !self.settings.snapshots.at_exit;
        let pid = self.targets[at].pid;
        if !is_wanted || pid == 0 {
            return Ok(false);
        }
        self.targets[at].drain(false);
        let behind = match self.targets[at].origin {
            Origin::Fresh => self.targets[at].behind(),
            // What it has follows from its parent's history.
            Origin::Forked { .. } => self.targets.iter().map(Target::behind).sum(),
        };
        if behind < WORTH_A_COPY {
            return Ok(false);
        }
        let most = self.room_for_copy(pid).min(behind as u64 * COPIES_FASTER);
        let Some(sample) = sample::sample(pid, TimeNs(0), false) else { return Ok(false) };
        if sample.rss_anon > most || lacks_room(sample.rss_anon) {
            return Ok(false);
        }
        let mut stopper = std::mem::take(&mut self.stopper);
        let look = self.copy_stopped(book, at, most, sample, &mut stopper);
        self.stopper.absorb(stopper);
        let Some(look) = look? else { return Ok(false) };
        let target = &mut self.targets[at];
        self.looks.insert(target.number, look);
        target.held = true;
        target.answer_plea(FREEZE);
        Ok(true)
    }

    /// Bytes that may be copied of a process: there is a limit for all copies, and where memory is limited they take part of
    /// what the program has.
    fn room_for_copy(&self, pid: u32) -> u64 {
        let held = self.looks.values().map(LastLook::bytes).sum();
        let left = [headroom::left(), Cgroup::of(pid).and_then(|cgroup| cgroup.left())];
        let least = left.into_iter().flatten().map(|left| left / 4).min().unwrap_or(u64::MAX);
        MOST_COPIED.saturating_sub(held).min(least)
    }

    fn copy_stopped(
        &mut self,
        book: &mut Book<TapeFile>,
        at: usize,
        most: u64,
        sample: Sample,
        stopper: &mut Stopper,
    ) -> io::Result<Option<LastLook>> {
        let since = Instant::now();
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
        let Ok((mappings, resident)) = maps::with_residence(pid) else { return Ok(None) };
        let standing = Standing::of(target, mappings, None, stopped.as_ref());
        let copied = self.meanwhile(book, || standing.copy(pid, most))?;
        // Killed meanwhile, it had no memory any more, or its pid is another's.
        let Some(memory) = copied.filter(|_| !self.targets[at].is_dead()) else { return Ok(None) };
        let (pause, moved) = (since.elapsed(), Instant::now());
        Ok(Some(LastLook { heads, standing, memory, resident, sample, pause, moved }))
    }

    /// Has something done by another thread, and brings to the tape what waits for its turn meanwhile. Does it here where no
    /// thread can be made.
    fn meanwhile<T: Send>(
        &mut self,
        book: &mut Book<TapeFile>,
        work: impl Fn() -> T + Sync,
    ) -> io::Result<T> {
        let work = &work;
        thread::scope(|scope| {
            let name = "heaptape-copy".to_string();
            let Ok(working) = thread::Builder::new().name(name).spawn_scoped(scope, work) else {
                return Ok(work());
            };
            while !working.is_finished() {
                if !self.drain(book)?.hurry {
                    thread::sleep(SHORT_SLEEP);
                }
            }
            working.join().or_else(|panic| resume_unwind(panic))
        })
    }

    /// Searches what was copied of processes whose histories have come so far, or will not.
    pub(super) fn search_copies(&mut self, book: &mut Book<TapeFile>) -> io::Result<()> {
        for at in 0..self.targets.len() {
            let target = &self.targets[at];
            let Some(look) = self.looks.get(&target.number) else { continue };
            let is_known = target.is_past(&look.heads);
            // A parent that stands still for good is not waited for.
            let comes = target.is_behind()
                || self.waits_for_parent(target) && self.targets.iter().any(Target::is_behind);
            if is_known {
                let is_moving = self.is_moving(book, at);
                let doubts = if is_moving { LeakDoubts::BLOCKS_MISSING } else { 0 };
                self.search_copy(book, at, doubts)?;
            } else if comes {
                self.looks.entry(target.number).and_modify(|look| look.moved = Instant::now());
            } else if look.moved.elapsed() > FREEZE_PATIENCE {
                self.search_copy(book, at, LeakDoubts::BLOCKS_MISSING)?;
            }
        }
        Ok(())
    }

    /// Brings the history of a process to where something was copied of it, and searches that. What does not come in time is
    /// missing.
    pub(super) fn conclude_copy(&mut self, book: &mut Book<TapeFile>, at: usize) -> io::Result<()> {
        let since = Instant::now();
        while self.targets[at].held {
            self.drain(book)?;
            self.search_copies(book)?;
            if self.targets[at].held && since.elapsed() > FREEZE_LIMIT {
                self.search_copy(book, at, LeakDoubts::BLOCKS_MISSING)?;
            } else if book.writer.is_full() || !self.targets[at].is_behind() {
                thread::sleep(SHORT_SLEEP);
            }
        }
        Ok(())
    }

    /// Searches what was copied of a process. One whose history has not begun cannot be searched, nor one for whose search
    /// there is no room any more.
    fn search_copy(&mut self, book: &mut Book<TapeFile>, at: usize, doubts: u32) -> io::Result<()> {
        let target = &mut self.targets[at];
        target.held = false;
        let Some(mut look) = self.looks.remove(&target.number) else { return Ok(()) };
        let Some(process) = target.id() else {
            self.closing.unsearched += 1;
            return Ok(());
        };
        let time = target.moment(book, book.now());
        let searched = if lacks_room(look.memory.len()) {
            self.closing.cramped += 1;
            None
        } else {
            let searched = self.search_in(book, at, &look.standing, &look.memory, doubts);
            self.closing.unsearched += u64::from(searched.is_none());
            searched
        };
        let mappings = std::mem::take(&mut look.standing.mappings);
        let map = MemoryMap { process, time, mappings, resident: look.resident };
        self.tell_residence(book, process, Some(&map), Some(Sample { time, ..look.sample }))?;
        let Some(mut searched) = searched else { return Ok(()) };
        searched.scan.pause_ns = look.pause.as_nanos() as u64;
        searched.scan.bytes_read = look.memory.len();
        drop(look.memory);
        self.judge(book, searched).map(drop)
    }
}

/// Whether no thread but the one that asks stands where it may be making a record: recorders do not call the kernel for that.
/// One may be between the halves of a realloc all the same, which the blocks tell.
fn stands_between_records(stopped: &Stopped<'_>, asking: u32) -> bool {
    stopped.missing().is_empty()
        && stopped.iter().all(|thread| thread.tid == asking || thread.is_in_call())
}
