//! What the session does when a process crashes: looks at it from outside, before it dies.

use super::*;
use crate::stacks::{self, Crashed, Scene};
use heaptape_wire::handshake::{CrashReport, REG_RIP, REG_RSP, REGISTERS};

/// Places of the processor's words in [`CrashReport::registers`].
const REG_ERROR: usize = 19;
const REG_TRAP: usize = 20;
const _: () = assert!(REG_TRAP < REGISTERS);

impl Session {
    /// Puts a crash on the tape: what its thread reports, what libc said, and the stacks of all threads.
    pub(super) fn crash(
        &mut self,
        book: &mut Book<TapeFile>,
        at: usize,
        report: &CrashReport,
        mappings: &[Mapping],
    ) -> io::Result<()> {
        let target = &mut self.targets[at];
        let (pid, number) = (target.pid, target.next_crash());
        let Some(history) = target.history() else { return Ok(()) };
        let mut scene = Scene::of(pid, mappings);
        let registers = stacks::registers_at_signal(&report.registers);
        let time = book.time(report.time_ns).min(book.now());
        let message = if report.signal == libc::SIGABRT { scene.message() } else { Vec::new() };
        book.writer.crash(&Crash {
            process: history.process(),
            time,
            thread: history.thread(report.tid),
            signal: report.signal,
            code: report.code,
            fault_addr: report.fault_addr,
            ip: report.registers[REG_RIP],
            sp: report.registers[REG_RSP],
            registers: Some(registers),
            trap: report.registers[REG_TRAP],
            error_code: report.registers[REG_ERROR],
            events: Some(history.events()),
            threads: sample::thread_names(pid).count() as u32,
            sender: (report.sender != 0).then_some(report.sender),
            instruction: scene.instruction(registers.ip()),
            message,
        })?;
        let crash = Crashed { number, time, tid: report.tid, registers };
        scene.stacks(book, history, &mut self.stopper, &crash)
    }
}
