//! The tape, written front to back in whole, checksummed blocks.

use crate::live::LiveSet;
use crate::model::*;
use std::io::{self, Write};

/// Writes a tape to `out`. Nothing already written is ever changed: a tape cut anywhere opens and shows
/// everything up to its last whole block.
pub struct TapeWriter<W: Write> {
    out: W,
}

#[allow(unused_variables, clippy::todo)]
impl<W: Write> TapeWriter<W> {
    /// Begins a tape.
    pub fn new(out: W, header: &Header) -> io::Result<TapeWriter<W>> {
        todo!()
    }

    /// A process begins; ids are given in order from 0. Its `end`, `ending` and `losses` come later.
    pub fn process_start(&mut self, process: &Process) -> io::Result<()> {
        todo!()
    }

    /// A process ended. May be said again with better knowledge; the last word counts.
    pub fn process_end(
        &mut self,
        id: ProcessId,
        end: TimeNs,
        ending: Ending,
        losses: &Losses,
    ) -> io::Result<()> {
        todo!()
    }

    /// A thread begins; ids are given in order from 0.
    pub fn thread_start(&mut self, thread: &Thread) -> io::Result<()> {
        todo!()
    }

    /// A thread's name became known.
    pub fn thread_name(&mut self, id: ThreadId, name: &[u8]) -> io::Result<()> {
        todo!()
    }

    /// A module was loaded; ids are given in order from 0.
    pub fn module_load(&mut self, module: &Module) -> io::Result<()> {
        todo!()
    }

    /// A module was unloaded.
    pub fn module_unload(&mut self, id: ModuleId, time: TimeNs) -> io::Result<()> {
        todo!()
    }

    /// Adds a backtrace node and returns its id (dense from 1). The caller has made sure that it is new.
    pub fn backtrace_node(&mut self, node: &BacktraceNode) -> io::Result<BacktraceId> {
        todo!()
    }

    /// The next event of a process's history.
    pub fn event(&mut self, process: ProcessId, event: &Event) -> io::Result<()> {
        todo!()
    }

    /// A memory sample of a process.
    pub fn sample(&mut self, process: ProcessId, sample: &Sample) -> io::Result<()> {
        todo!()
    }

    /// A child that could not be recorded.
    pub fn unrecorded(&mut self, child: &Unrecorded) -> io::Result<()> {
        todo!()
    }

    /// The bytes of a block.
    pub fn contents(&mut self, contents: &Contents) -> io::Result<()> {
        todo!()
    }

    /// A fatal signal.
    pub fn crash(&mut self, crash: &Crash) -> io::Result<()> {
        todo!()
    }

    /// The live set of a process as of the events written so far.
    pub fn live(&self, process: ProcessId) -> Option<&LiveSet> {
        todo!()
    }

    /// Closes the blocks in progress and hands everything to `out`: what was said so far survives the
    /// death of this process.
    pub fn flush(&mut self) -> io::Result<()> {
        todo!()
    }

    /// Writes index and footer and returns `out`.
    pub fn finish(self) -> io::Result<W> {
        todo!()
    }
}
