//! How a process came to a bad end: the signal, the stacks of that moment, its cgroup's memory.

use crate::model::{BacktraceId, EventIndex, ProcessId, ThreadId, TimeNs};

/// The general registers of x86-64, in DWARF's order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Registers(pub [u64; Registers::COUNT]);

impl Registers {
    /// How many there are.
    pub const COUNT: usize = 18;
    /// Their names, in the order in which they are kept.
    pub const NAMES: [&'static str; Registers::COUNT] = [
        "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12",
        "r13", "r14", "r15", "rip", "rflags",
    ];
    /// Place of the frame pointer.
    pub const RBP: usize = 6;
    /// Place of the stack pointer.
    pub const RSP: usize = 7;
    /// Place of the program counter.
    pub const RIP: usize = 16;
    /// Place of the flags.
    pub const RFLAGS: usize = 17;

    /// The program counter.
    pub fn ip(&self) -> u64 {
        self.0[Registers::RIP]
    }

    /// The stack pointer.
    pub fn sp(&self) -> u64 {
        self.0[Registers::RSP]
    }

    /// The value of the register of that name.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Registers::NAMES.into_iter().zip(self.0)
    }
}

/// What the processor wanted of the address that it could not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Access {
    /// It did not say.
    #[default]
    Unknown,
    /// To read it.
    Read,
    /// To write it.
    Write,
    /// To execute what is there.
    Execute,
}

/// A fatal signal, as the recorder saw it just before the process died of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// Whose.
    pub process: ProcessId,
    /// When.
    pub time: TimeNs,
    /// Which thread; `None` when it is not on the tape, as one that never allocated.
    pub thread: Option<ThreadId>,
    /// The signal's number.
    pub signal: i32,
    /// `si_code`.
    pub code: i32,
    /// `si_addr`: the offending address; 0 for signals that have none.
    pub fault_addr: u64,
    /// Program counter at the signal.
    pub ip: u64,
    /// Stack pointer at the signal.
    pub sp: u64,
    /// All general registers at the signal; `None` when they were not recorded.
    pub registers: Option<Registers>,
    /// Number of the processor's trap: 0 division, 6 invalid opcode, 13 general protection, 14 page fault.
    pub trap: u64,
    /// What the processor said with the trap.
    pub error_code: u64,
    /// Events of the process before the crash; `None` when not recorded.
    pub events: Option<EventIndex>,
    /// Threads of the process at the crash; 0 when not recorded.
    pub threads: u32,
    /// Who sent the signal, for one that was sent: the pid, as the process sees it.
    pub sender: Option<u32>,
    /// The bytes at the program counter, at most [`Crash::MAX_INSTRUCTION`]; empty when they could not be read.
    pub instruction: Vec<u8>,
    /// What libc said before it aborted, as `free(): invalid pointer`; empty when it said nothing.
    pub message: Vec<u8>,
}

impl Crash {
    /// Longest instruction of x86-64.
    pub const MAX_INSTRUCTION: usize = 15;
    /// Longest message kept, bytes.
    pub const MAX_MESSAGE: usize = 4096;

    /// A crash of which nothing is known but the process.
    pub fn unknown(process: ProcessId) -> Crash {
        Crash {
            process,
            time: TimeNs(0),
            thread: None,
            signal: 0,
            code: 0,
            fault_addr: 0,
            ip: 0,
            sp: 0,
            registers: None,
            trap: 0,
            error_code: 0,
            events: None,
            threads: 0,
            sender: None,
            instruction: Vec::new(),
            message: Vec::new(),
        }
    }

    /// The processor's number of a page fault.
    const PAGE_FAULT: u64 = 14;

    /// What was wanted of the address.
    pub fn access(&self) -> Access {
        const WRITE: u64 = 1 << 1;
        const FETCH: u64 = 1 << 4;
        if self.trap != Crash::PAGE_FAULT || self.registers.is_none() {
            return Access::Unknown;
        }
        match self.error_code {
            code if code & FETCH != 0 => Access::Execute,
            code if code & WRITE != 0 => Access::Write,
            _ => Access::Read,
        }
    }
}

/// What a thread was doing at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Of which process.
    pub process: ProcessId,
    /// At which of the crashes of the process, from 0; `None` when not at a crash.
    pub crash: Option<u32>,
    /// When.
    pub time: TimeNs,
    /// Kernel thread id, as the launcher sees it.
    pub tid: u32,
    /// The thread, if it is on the tape.
    pub thread: Option<ThreadId>,
    /// Its name.
    pub name: Vec<u8>,
    /// Whether it is the thread that crashed.
    pub crashed: bool,
    /// Its registers, at the crash for the thread that crashed; `None` when they could not be read.
    pub registers: Option<Registers>,
    /// Its backtrace. The innermost node's address is one more than the program counter's, so that looking
    /// up the byte before it finds the instruction itself; and so it is where a signal interrupted a frame.
    /// An outermost node of quality [`crate::FrameQuality::Truncated`] is where no caller could be found.
    pub backtrace: BacktraceId,
}

/// What the kernel says of the memory of a process's cgroup at an instant; `None` for what it does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupMemory {
    /// Of which process.
    pub process: ProcessId,
    /// When.
    pub time: TimeNs,
    /// The cgroup, as `/proc/PID/cgroup` names it.
    pub path: Vec<u8>,
    /// Hard limit, bytes.
    pub max: Option<u64>,
    /// Limit beyond which the group is slowed down, bytes.
    pub high: Option<u64>,
    /// In use, bytes.
    pub current: Option<u64>,
    /// Most that was ever in use, bytes.
    pub peak: Option<u64>,
    /// Processes of the group that the kernel has killed for want of memory.
    pub oom_kills: Option<u64>,
}
