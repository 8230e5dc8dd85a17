//! The search for leaks in a process that stands still at our word, or that we stop for it.

use super::*;
use crate::leaks::{self, Blocks, Graph, Process, ProcessReader, Roots, Thread};
use crate::maps;
use crate::sys::stop::StoppedThread;
use crate::target::Origin;

impl Session {
    /// Searches a process for leaks; all that it has recorded is on the tape. One that cannot be read is not
    /// searched, which the tape then says by silence.
    pub(super) fn search_for_leaks(
        &mut self,
        book: &mut Book<TapeFile>,
        at: usize,
    ) -> io::Result<()> {
        let target = &self.targets[at];
        let (Some(id), Some(live)) = (target.id(), target.id().and_then(|id| book.writer.live(id)))
        else {
            return Ok(());
        };
        if target.pid == 0 {
            return Ok(());
        }
        let since = Instant::now();
        let event = live.totals().events;
        let blocks = Blocks::new(live.blocks().map(|block| (block.addr, block.size)).collect());
        let mut doubts = doubts(target, self.settings.sample_bytes);
        let stopped = match self.stopper.stop(target.pid) {
            Ok(stopped) => Some(stopped),
            Err(_) => {
                doubts |= LeakDoubts::NOT_STOPPED;
                None
            }
        };
        if stopped.as_ref().is_some_and(|stopped| !stopped.missing().is_empty()) {
            doubts |= LeakDoubts::THREADS_MISSING;
        }
        let threads: Vec<Thread> =
            stopped.iter().flat_map(|stopped| stopped.iter()).map(thread).collect();
        let Ok(mappings) = maps::of(target.pid) else { return Ok(()) };
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

/// A thread as it stands; all registers that the program may keep a pointer in.
fn thread(stopped: &StoppedThread) -> Thread {
    let r = &stopped.registers;
    let registers = vec![
        r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13,
        r.r14, r.r15, r.orig_rax,
    ];
    Thread { tid: stopped.tid, sp: Some(r.rsp), fs_base: r.fs_base, registers }
}
