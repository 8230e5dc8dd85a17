//! What the threads of a process are doing at a crash: registers and backtraces, put on the tape.
//!
//! The thread that crashed waits in our handler; its backtrace begins at the registers of its report. The
//! others are stopped by ptrace for as long as it takes to walk their stacks.

pub(crate) mod image;
pub(crate) mod memory;
mod message;
pub(crate) mod unwind;

use crate::book::Book;
use crate::convert::Converter;
use crate::sample;
use crate::sys::stop::{Stopped, StoppedThread, Stopper};
use crate::workdir::LIBRARY;
use heaptape_tape::{Crash, Mapping, Registers, Stack, TimeNs};
use heaptape_wire::handshake::{REG_RIP, REG_RSP, REGISTERS};
use memory::ProcessMemory;
use rustc_hash::FxHashMap;
use std::fs;
use std::io::{self, Write};
use unwind::{Frame, Images};

/// Most threads whose stacks go on the tape.
const MOST_THREADS: usize = 1024;

/// A process at a crash, looked at from outside.
pub(crate) struct Scene<'a> {
    images: Images<'a>,
    memory: ProcessMemory,
    pid: u32,
}

impl<'a> Scene<'a> {
    /// The process with that pid and that address space.
    pub(crate) fn of(pid: u32, maps: &'a [Mapping]) -> Scene<'a> {
        Scene { images: Images::new(maps), memory: ProcessMemory::of(pid), pid }
    }

    /// The instruction at which it crashed.
    pub(crate) fn instruction(&mut self, ip: u64) -> Vec<u8> {
        self.memory.some_bytes(ip, Crash::MAX_INSTRUCTION)
    }

    /// What its libc said before it aborted; nothing when it did not.
    pub(crate) fn message(&mut self) -> Vec<u8> {
        message::of(&mut self.memory, &mut self.images).unwrap_or_default()
    }

    /// Puts the stack of the thread that crashed on the tape, and those of the others that are stopped.
    pub(crate) fn stacks<W: Write>(
        &mut self,
        book: &mut Book<W>,
        history: &mut Converter,
        crash: &Crashed,
        stopped: &[StoppedThread],
    ) -> io::Result<()> {
        let names: FxHashMap<u32, Vec<u8>> = sample::thread_names(self.pid).collect();
        let name = |tid| names.get(&tid).cloned().unwrap_or_default();
        let own = Walked {
            tid: crash.tid,
            name: name(crash.tid),
            registers: crash.registers,
            crashed: true,
        };
        self.stack(book, history, crash, own)?;
        for thread in stopped.iter().filter(|thread| thread.tid != crash.tid).take(MOST_THREADS) {
            let registers = registers_of(&thread.registers);
            let walked =
                Walked { tid: thread.tid, name: name(thread.tid), registers, crashed: false };
            self.stack(book, history, crash, walked)?;
        }
        Ok(())
    }

    /// Our hooks are in no backtrace, unless it is there that it happened.
    fn leave_out_recorder(&mut self, frames: &mut Vec<Frame>) {
        let mut is_first = true;
        frames.retain(|frame| {
            let code = frame.address.wrapping_sub(1);
            let image = self.images.at(&mut self.memory, code);
            std::mem::take(&mut is_first)
                || image.is_none_or(|image| !image.is_named(LIBRARY.as_bytes()))
        });
    }

    fn stack<W: Write>(
        &mut self,
        book: &mut Book<W>,
        history: &mut Converter,
        crash: &Crashed,
        thread: Walked,
    ) -> io::Result<()> {
        let mut frames = self.images.walk(&mut self.memory, &thread.registers);
        self.leave_out_recorder(&mut frames);
        for frame in &frames {
            let code = frame.address.wrapping_sub(1);
            if !history.has_module_at(code)
                && let Some(image) = self.images.at(&mut self.memory, code)
            {
                history.meet(book, image.module())?;
            }
        }
        let outermost_first = frames.iter().rev().map(|frame| (frame.address, frame.quality));
        let backtrace = history.backtrace_of(book, outermost_first)?;
        book.writer.stack(&Stack {
            process: history.process(),
            crash: Some(crash.number),
            time: crash.time,
            tid: thread.tid,
            thread: history.thread(thread.tid),
            name: thread.name,
            crashed: thread.crashed,
            registers: Some(thread.registers),
            backtrace,
        })
    }
}

/// Stops the threads of a process that crashes. Where that is forbidden, or not without danger, the stacks of the
/// others are missing from the tape, and views say so.
pub(crate) fn stop(stopper: &mut Stopper, pid: u32) -> Option<Stopped<'_>> {
    if has_filter_of_its_own(pid) { None } else { stopper.stop(pid).ok() }
}

/// Whether a process has filters of system calls that we have not. A call that waits is taken up again by
/// `restart_syscall` after a stop, and a sandbox that does not expect that may kill the process for it.
fn has_filter_of_its_own(pid: u32) -> bool {
    let filters = |path: &str| {
        let status = fs::read_to_string(path).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("Seccomp_filters:"))?;
        line.trim().parse::<u64>().ok()
    };
    // Kernels before 5.9 do not count them: then it is taken to have none.
    filters(&format!("/proc/{pid}/status")) > filters("/proc/self/status")
}

/// What is known of a crash already.
pub(crate) struct Crashed {
    /// Which of the crashes of its process.
    pub(crate) number: u32,
    pub(crate) time: TimeNs,
    pub(crate) tid: u32,
    pub(crate) registers: Registers,
}

struct Walked {
    tid: u32,
    name: Vec<u8>,
    registers: Registers,
    crashed: bool,
}

/// The registers of a signal's context, which the kernel keeps in an order of its own.
pub(crate) fn registers_at_signal(kernel: &[u64; REGISTERS]) -> Registers {
    let [r8, rdi, rsi, rbp, rbx, rdx, rax, rcx, rflags] = [0, 8, 9, 10, 11, 12, 13, 14, 17];
    let mut registers =
        [rax, rdx, rcx, rbx, rsi, rdi, rbp, REG_RSP, 0, 0, 0, 0, 0, 0, 0, 0, REG_RIP, rflags]
            .map(|at| kernel[at]);
    registers[8..16].copy_from_slice(&kernel[r8..r8 + 8]);
    Registers(registers)
}

/// The registers of a stopped thread.
pub(crate) fn registers_of(stopped: &libc::user_regs_struct) -> Registers {
    let r = stopped;
    Registers([
        r.rax, r.rdx, r.rcx, r.rbx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9, r.r10, r.r11, r.r12,
        r.r13, r.r14, r.r15, r.rip, r.eflags,
    ])
}
