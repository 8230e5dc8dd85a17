//! The search for leaks in a process that stands still at our word, or that we stop for it.

use super::snapshots::MOST_TRIES;
use super::*;
use crate::control::{LeaksAnswer, SearchMade};
use crate::hello::Heard;
use crate::leaks::{
    self, Blocks, Graph, Memory, MemoryCopy, Process, ProcessReader, Roots, Thread,
};
use crate::stacks;
use crate::stacks::image::Image;
use crate::stacks::memory::ProcessMemory;
use crate::stacks::unwind::Images;
use crate::sys::stop::{Stopped, StoppedThread};
use crate::target::Origin;
use crate::{headroom, maps};
use std::ops::Range;
use std::thread;

/// What a search must know of a process that stands still, beside its memory and its blocks.
pub(super) struct Standing {
    pub(super) mappings: Vec<Mapping>,
    threads: Vec<Thread>,
    /// The recorder's own memory in it.
    recorder: Vec<Range<u64>>,
    arena: Range<u64>,
    /// What came of stopping it.
    doubts: u32,
}

impl Standing {
    /// The process with that address space, and its threads as far as they are stopped.
    pub(super) fn of(
        target: &Target,
        mappings: Vec<Mapping>,
        crashed: Option<&CrashReport>,
        stopped: Option<&Stopped<'_>>,
    ) -> Standing {
        let mut stacks = (Images::new(&mappings), ProcessMemory::of(target.pid));
        let leaving = target.ending_thread();
        let thread = |stopped: &StoppedThread| match crashed {
            Some(report) if report.tid == stopped.tid => {
                let registers = stacks::registers_at_signal(&report.registers);
                running(stopped, &registers)
            }
            None if stopped.tid == leaving => ending(stopped, &mut stacks),
            _ => running(stopped, &stacks::registers_of(&stopped.registers)),
        };
        let threads = stopped.iter().flat_map(|stopped| stopped.iter()).map(thread).collect();
        let doubts = match stopped {
            None => LeakDoubts::NOT_STOPPED,
            Some(stopped) if !stopped.missing().is_empty() => LeakDoubts::THREADS_MISSING,
            Some(_) => 0,
        };
        let (recorder, arena) = (target.recorder_memory(), target.arena());
        Standing { mappings, threads, recorder, arena, doubts }
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> u64 {
        let names = self.mappings.iter().map(|mapping| mapping.name.len()).sum::<usize>();
        (names + self.mappings.len() * size_of::<Mapping>()) as u64
    }

    /// Copies what a search looks at in the memory of the process, if that is not too much.
    pub(super) fn copy(&self, pid: u32, most: u64) -> Option<MemoryCopy> {
        MemoryCopy::of(&ProcessReader::new(pid), &self.mappings, &self.recorder, most)
    }
}

/// What a search has read, from which the verdicts follow without the process.
pub(super) struct Searched {
    /// Without its sums.
    pub(super) scan: LeakScan,
    blocks: Blocks,
    graph: Graph,
}

impl Session {
    /// Reads all memory of a process that may hold pointers. It stands still meanwhile: because it is held
    /// `already`, or because we stop it. `None` for one that cannot be read, or not in what is left of our address
    /// space: that it was not searched the tape then says by silence.
    pub(super) fn search(
        &mut self,
        book: &mut Book<TapeFile>,
        at: usize,
        crashed: Option<&CrashReport>,
        already: Option<&Stopped<'_>>,
    ) -> io::Result<Option<Searched>> {
        let pid = self.targets[at].pid;
        if pid == 0 {
            return Ok(None);
        }
        if is_cramped(pid, book.now()) {
            self.closing.cramped += 1;
            return Ok(None);
        }
        let mut stopper = std::mem::take(&mut self.stopper);
        let searched = self.search_stopped(book, at, crashed, already, &mut stopper);
        self.stopper = stopper;
        searched
    }

    fn search_stopped(
        &mut self,
        book: &mut Book<TapeFile>,
        at: usize,
        crashed: Option<&CrashReport>,
        already: Option<&Stopped<'_>>,
        stopper: &mut Stopper,
    ) -> io::Result<Option<Searched>> {
        let pid = self.targets[at].pid;
        let mut since = Instant::now();
        for attempt in 1.. {
            let own = if already.is_none() { stacks::stop(stopper, pid) } else { None };
            // It has ended meanwhile, and its memory is gone.
            if self.targets[at].is_dead() {
                break;
            }
            let stopped = already.or(own.as_ref());
            // The other threads went on until they were stopped.
            let is_known = self.catch_up(book, at, STOPPED_PATIENCE)? && !self.is_moving(book, at);
            // A thread stands where its record is not made yet, or in a realloc: a moment later it is through.
            if !is_known && own.is_some() && attempt < MOST_TRIES {
                drop(own);
                since = Instant::now();
                continue;
            }
            let doubts = if is_known { 0 } else { LeakDoubts::BLOCKS_MISSING };
            let mut searched = self.read(book, at, crashed, stopped, doubts);
            drop(own);
            if let Some(searched) = &mut searched {
                searched.scan.pause_ns = since.elapsed().as_nanos() as u64;
            }
            return Ok(searched);
        }
        Ok(None)
    }

    /// Whether a block is between its old and its new place.
    pub(super) fn is_moving(&self, book: &Book<TapeFile>, at: usize) -> bool {
        let live = self.targets[at].id().and_then(|id| book.writer.live(id));
        live.is_some_and(|live| live.releasing().next().is_some())
    }

    fn read(
        &self,
        book: &Book<TapeFile>,
        at: usize,
        crashed: Option<&CrashReport>,
        stopped: Option<&Stopped<'_>>,
        doubts: u32,
    ) -> Option<Searched> {
        let target = &self.targets[at];
        let mappings = maps::of(target.pid).ok()?;
        let standing = Standing::of(target, mappings, crashed, stopped);
        let memory = ProcessReader::new(target.pid);
        let mut searched = self.search_in(book, at, &standing, &memory, doubts)?;
        searched.scan.bytes_read = memory.bytes_read();
        searched.scan.bytes_unreadable = memory.bytes_unreadable();
        Some(searched)
    }

    /// Searches memory for pointers to the blocks that are live by now on the tape.
    pub(super) fn search_in(
        &self,
        book: &Book<TapeFile>,
        at: usize,
        standing: &Standing,
        memory: &dyn Memory,
        mut doubts: u32,
    ) -> Option<Searched> {
        let target = &self.targets[at];
        let id = target.id()?;
        let live = book.writer.live(id)?;
        let event = live.totals().events;
        let blocks = Blocks::new(live.blocks().map(|block| (block.addr, block.size)).collect());
        doubts |= standing.doubts | doubts_of(target, self.settings.sample_bytes);
        let process = Process {
            mappings: &standing.mappings,
            threads: &standing.threads,
            recorder: &standing.recorder,
            arena: standing.arena.clone(),
            search_heap: doubts & (LeakDoubts::INHERITED_UNKNOWN | LeakDoubts::BLOCKS_MISSING) != 0,
        };
        let roots = Roots::of(&process, &blocks, memory);
        let of_roots = roots.ranges.iter().map(|root| root.range.end - root.range.start);
        let bytes = of_roots.fold(live.totals().live_bytes, u64::saturating_add);
        let graph = Graph::read(&blocks, &roots, memory, readers(bytes));
        if roots.foreign_allocator {
            doubts |= LeakDoubts::FOREIGN_ALLOCATOR;
        }
        if graph.overflown {
            doubts |= LeakDoubts::POINTERS_MISSING;
        }
        let scan = LeakScan {
            number: 0,
            process: id,
            time: target.moment(book, book.now()),
            event,
            pause_ns: 0,
            bytes_read: 0,
            bytes_unreadable: 0,
            doubts: LeakDoubts(doubts),
            totals: Default::default(),
            places: roots.places,
        };
        Some(Searched { scan, blocks, graph })
    }

    /// Finds out what follows, and brings it to the tape.
    pub(super) fn judge(
        &mut self,
        book: &mut Book<TapeFile>,
        searched: Searched,
    ) -> io::Result<u32> {
        let Searched { mut scan, blocks, graph } = searched;
        let judged = leaks::judge(&blocks, &graph);
        scan.totals = leaks::totals(&blocks, &judged);
        book.writer.leaks(&scan, &judged)
    }

    /// Somebody wants to know what is lost by now.
    pub(super) fn asked_for_leaks(
        &mut self,
        book: &mut Book<TapeFile>,
        caller: &Caller,
        heard: &Heard,
    ) -> io::Result<()> {
        let meant = heard.payload.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
        let is_meant =
            |target: &Target| target.is_here() && (meant == Some(0) || meant == Some(target.pid));
        if !self.targets.iter().any(is_meant) {
            caller.refuse();
            return Ok(());
        }
        let mut searches = Vec::new();
        for at in 0..self.targets.len() {
            if is_meant(&self.targets[at]) {
                self.come_near(book, at)?;
                if let Some(searched) = self.search(book, at, None, None)? {
                    let process = searched.scan.process.0;
                    searches.push(SearchMade { process, number: self.judge(book, searched)? });
                }
            }
        }
        // Who asked looks at the tape at once.
        book.writer.flush_now()?;
        let answer = LeaksAnswer { tape: self.tape.clone(), searches };
        caller.answer_with(&self.welcome(0), &answer.encode());
        Ok(())
    }
}

/// Whether our address space is limited to less than a search of this process may take.
fn is_cramped(pid: u32, now: TimeNs) -> bool {
    headroom::left().is_some()
        && lacks_room(sample::sample(pid, now, false).map_or(0, |sample| sample.rss_anon))
}

/// Whether our address space is limited to less than a search of so many bytes may take.
pub(super) fn lacks_room(bytes: u64) -> bool {
    headroom::left().is_some_and(|left| left < SEARCH_NEEDS.saturating_add(bytes))
}

/// Threads that read so many bytes of a process that stands still or has ended: what it ran on is idle. One where address space is
/// limited: each takes much of that.
fn readers(bytes: u64) -> usize {
    let worth = (bytes / WORTH_A_READER) as usize;
    if worth < 2 || headroom::left().is_some() {
        return 1;
    }
    thread::available_parallelism().map_or(1, usize::from).min(worth).min(MOST_READERS)
}

fn doubts_of(target: &Target, sample_bytes: u64) -> u32 {
    let is_forked = matches!(target.origin, Origin::Forked { .. });
    let is_missing = sample_bytes > 0 || target.losses().any();
    let all =
        [(is_forked, LeakDoubts::INHERITED_UNKNOWN), (is_missing, LeakDoubts::BLOCKS_MISSING)];
    all.into_iter().filter_map(|(is, doubt)| is.then_some(doubt)).sum()
}

/// Address space that a search needs beside what the process has resident: tables of symbols, stacks, the blocks.
const SEARCH_NEEDS: u64 = 64 << 20;
/// Bytes that take longer to read than a thread takes to begin.
const WORTH_A_READER: u64 = 1 << 20;
/// More read no faster than memory can be read.
const MOST_READERS: usize = 4;
/// Patience for records that a thread was making when it was stopped: they do not come before it goes on.
const STOPPED_PATIENCE: Duration = Duration::from_millis(20);
/// The stack below its pointer that a function may use all the same.
const RED_ZONE: u64 = 128;

/// A thread that runs its program.
fn running(stopped: &StoppedThread, registers: &Registers) -> Thread {
    let mut values = registers.0[..Registers::RIP].to_vec();
    values[Registers::RSP] = 0;
    let sp = Some(registers.sp().saturating_sub(RED_ZONE));
    Thread { tid: stopped.tid, sp, fs_base: stopped.registers.fs_base, registers: values }
}

/// A thread that has left its program: what exit, the loader and we ourselves have on the stack below is not the
/// program's, but lies where the dead pointers of its functions are. What counts begins where the program called exit,
/// or libc called the program.
fn ending(stopped: &StoppedThread, stacks: &mut (Images<'_>, ProcessMemory)) -> Thread {
    let registers = stacks::registers_of(&stopped.registers);
    let (images, memory) = stacks;
    let Some(program) = images.outside_of(memory, &registers, &is_of_exit) else {
        return running(stopped, &registers);
    };
    let value = |at: usize| program[at].filter(|_| at != Registers::RSP).unwrap_or(0);
    Thread {
        tid: stopped.tid,
        sp: program[Registers::RSP],
        fs_base: stopped.registers.fs_base,
        // The others have been used for something else since.
        registers: (0..Registers::RIP)
            .map(|at| if KEPT.contains(&at) { value(at) } else { 0 })
            .collect(),
    }
}

/// rbx, rbp, r12 to r15: registers that functions leave as they found them.
const KEPT: [usize; 6] = [3, 6, 12, 13, 14, 15];

fn is_of_exit(image: &Image) -> bool {
    let names: [&[u8]; 3] = [b"libc.so.6", b"ld-linux-x86-64.so.2", b"libheaptape.so"];
    names.iter().any(|name| image.is_named(name))
}
