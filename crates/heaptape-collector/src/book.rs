//! The tape being written and what is counted over all its processes: ids, events, time zero.

use heaptape_tape::*;
use std::io::{self, Write};

/// The tape and its counters.
pub(crate) struct Book<W: Write> {
    pub(crate) writer: TapeWriter<W>,
    /// Events of all processes.
    pub(crate) events: u64,
    /// Overwrites found, of all processes.
    pub(crate) overwrites: u64,
    /// No record drained so far can be later than this reading of the monotonic clock.
    pub(crate) now_ns: u64,
    /// `CLOCK_MONOTONIC` at time 0 of the tape.
    began_ns: u64,
    processes: u32,
    threads: u32,
    modules: u32,
}

impl<W: Write> Book<W> {
    pub(crate) fn new(writer: TapeWriter<W>, began_ns: u64) -> Book<W> {
        Book {
            writer,
            events: 0,
            overwrites: 0,
            now_ns: began_ns,
            began_ns,
            processes: 0,
            threads: 0,
            modules: 0,
        }
    }

    /// A reading of the monotonic clock as a time of the tape.
    pub(crate) fn time(&self, monotonic_ns: u64) -> TimeNs {
        TimeNs(monotonic_ns.saturating_sub(self.began_ns))
    }

    /// `now_ns` as a time of the tape.
    pub(crate) fn now(&self) -> TimeNs {
        self.time(self.now_ns)
    }

    /// Processes so far.
    pub(crate) fn processes(&self) -> u32 {
        self.processes
    }

    /// Frees and reallocs so far, in all processes, of what was no live block.
    pub(crate) fn unmatched_frees(&self) -> u64 {
        let all = (0..self.processes).filter_map(|id| self.writer.totals(ProcessId(id)));
        all.map(|totals| totals.unmatched_frees).sum()
    }

    /// Begins a process; its id is given here.
    pub(crate) fn process(&mut self, mut process: Process) -> io::Result<ProcessId> {
        process.id = ProcessId(self.processes);
        self.processes += 1;
        self.writer.process_start(&process)?;
        Ok(process.id)
    }

    /// Begins a thread.
    pub(crate) fn thread(
        &mut self,
        process: ProcessId,
        tid: u32,
        name: Vec<u8>,
        start: TimeNs,
    ) -> io::Result<ThreadId> {
        let id = ThreadId(self.threads);
        self.threads += 1;
        self.writer.thread_start(&Thread { id, process, tid, name, start })?;
        Ok(id)
    }

    /// A module was loaded; its id is given here.
    pub(crate) fn module(&mut self, mut module: Module) -> io::Result<ModuleId> {
        module.id = ModuleId(self.modules);
        self.modules += 1;
        self.writer.module_load(&module)?;
        Ok(module.id)
    }
}
