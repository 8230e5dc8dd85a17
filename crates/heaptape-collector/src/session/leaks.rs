//! The search for leaks in a process that stands still at our word, or that we stop for it.

use super::*;
use crate::leaks::{self, Blocks, Graph, Process, ProcessReader, Roots, Thread};
use crate::maps;
use crate::stacks;
use crate::stacks::image::Image;
use crate::stacks::memory::ProcessMemory;
use crate::stacks::unwind::Images;
use crate::sys::stop::{Stopped, StoppedThread};
use crate::target::Origin;

impl Session {
    /// Searches a process for leaks; all that it has recorded is on the tape. One that cannot be read is not
    /// searched, which the tape then says by silence.
    pub(super) fn search_for_leaks(
        &mut self,
        book: &mut Book<TapeFile>,
        at: usize,
        crashed: Option<&CrashReport>,
    ) -> io::Result<()> {
        if self.targets[at].pid == 0 {
            return Ok(());
        }
        let since = Instant::now();
        let mut stopper = std::mem::take(&mut self.stopper);
        let stopped = stopper.stop(self.targets[at].pid).ok();
        if stopped.as_ref().is_none_or(|stopped| stopped.len() > 1) {
            // The others went on until now.
            self.catch_up(book, at, STOPPED_PATIENCE)?;
        }
        let searched = self.search_stopped(book, at, stopped, crashed, since);
        self.stopper = stopper;
        searched
    }

    fn search_stopped(
        &self,
        book: &mut Book<TapeFile>,
        at: usize,
        stopped: Option<Stopped<'_>>,
        crashed: Option<&CrashReport>,
        since: Instant,
    ) -> io::Result<()> {
        let target = &self.targets[at];
        let Some(id) = target.id() else { return Ok(()) };
        let Some(live) = book.writer.live(id) else { return Ok(()) };
        let event = live.totals().events;
        let blocks = Blocks::new(live.blocks().map(|block| (block.addr, block.size)).collect());
        let mut doubts = doubts(target, self.settings.sample_bytes);
        if stopped.is_none() {
            doubts |= LeakDoubts::NOT_STOPPED;
        }
        if stopped.as_ref().is_some_and(|stopped| !stopped.missing().is_empty()) {
            doubts |= LeakDoubts::THREADS_MISSING;
        }
        let Ok(mappings) = maps::of(target.pid) else { return Ok(()) };
        let mut stacks = (Images::new(&mappings), ProcessMemory::of(target.pid));
        let leaving = target.ending_thread();
        let mut thread = |stopped: &StoppedThread| match crashed {
            Some(report) if report.tid == stopped.tid => {
                let registers = stacks::registers_at_signal(&report.registers);
                running(stopped, &registers)
            }
            None if stopped.tid == leaving => ending(stopped, &mut stacks),
            _ => running(stopped, &stacks::registers_of(&stopped.registers)),
        };
        let threads: Vec<Thread> =
            stopped.iter().flat_map(|stopped| stopped.iter()).map(&mut thread).collect();
        let memory = ProcessReader::new(target.pid);
        let process = Process {
            mappings: &mappings,
            threads: &threads,
            recorder: &target.recorder_memory(),
            search_heap: doubts & LeakDoubts::INHERITED_UNKNOWN != 0,
        };
        let roots = Roots::of(&process, &blocks, &memory);
        let graph = Graph::read(&blocks, &roots, &memory);
        drop(stopped);
        // All that is needed of it is known.
        target.answer_plea(if crashed.is_some() { CRASH } else { FREEZE });
        let pause_ns = since.elapsed().as_nanos() as u64;
        if roots.foreign_allocator {
            doubts |= LeakDoubts::FOREIGN_ALLOCATOR;
        }
        if graph.overflown {
            doubts |= LeakDoubts::POINTERS_MISSING;
        }
        let judged = leaks::judge(&blocks, &graph);
        let scan = LeakScan {
            number: 0,
            process: id,
            time: book.now(),
            event,
            pause_ns,
            bytes_read: memory.bytes_read(),
            bytes_unreadable: memory.bytes_unreadable(),
            doubts: LeakDoubts(doubts),
            totals: leaks::totals(&blocks, &judged),
            places: roots.places,
        };
        book.writer.leaks(&scan, &judged)
    }
}

fn doubts(target: &Target, sample_bytes: u64) -> u32 {
    let is_forked = matches!(target.origin, Origin::Forked { .. });
    let is_missing = sample_bytes > 0 || target.losses().any();
    let all =
        [(is_forked, LeakDoubts::INHERITED_UNKNOWN), (is_missing, LeakDoubts::BLOCKS_MISSING)];
    all.into_iter().filter_map(|(is, doubt)| is.then_some(doubt)).sum()
}

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
