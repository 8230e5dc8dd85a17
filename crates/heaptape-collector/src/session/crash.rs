//! What the session does when a process crashes: looks at it from outside, before it dies.

use super::*;
use crate::stacks::{self, Crashed, Scene};
use crate::sys::stop::{Stopped, StoppedThread};
use heaptape_wire::handshake::{CrashReport, REG_RIP, REG_RSP, REGISTERS};

/// How long the other threads stand still after a crash: a core may take longer, but then they are dead already.
const DEATH_PATIENCE: Duration = Duration::from_millis(100);
const DEATH_PAUSE: Duration = Duration::from_micros(50);
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
        others: Option<&[StoppedThread]>,
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
        scene.stacks(book, history, &crash, others.unwrap_or_default())
    }

    /// Lets the thread that crashed go on, and the others when the process is dead: they would long be so if
    /// nobody had looked, and one of them may be about to end the process otherwise.
    pub(super) fn see_it_die(&self, at: usize, tid: u32, mut others: Stopped<'_>) {
        if !others.release(tid) {
            return;
        }
        let (target, since) = (&self.targets[at], Instant::now());
        target.answer_plea(CRASH);
        while !target.is_dead() && since.elapsed() < DEATH_PATIENCE {
            std::thread::sleep(DEATH_PAUSE);
            others.bury();
        }
    }
}
