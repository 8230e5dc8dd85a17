//! The messages on the socket: short-lived `SOCK_SEQPACKET` connections to an abstract address.
//!
//! The target connects, sends one [`Hello`] (and, after it in the same packet, `payload_len` bytes), and
//! for most purposes reads one [`Welcome`]; then both close. The target keeps no descriptor.
//!
//! The environment variable [`ENV`] holds the address and a token: 32 hex digits (the abstract name is
//! [`NAME_PREFIX`] and these digits), a dot, 32 hex digits (the token). An address can be listed by any
//! local user; without the token the collector does not answer.

/// The environment variable that tells the recorder where its collector is.
pub const ENV: &str = "HEAPTAPE_LINK";
/// The abstract socket name is this and 32 hex digits.
pub const NAME_PREFIX: &str = "heaptape-";
/// Length of the value of [`ENV`].
pub const LINK_LEN: usize = 32 + 1 + 32;

/// [`Hello::magic`].
pub const MAGIC: u64 = u64::from_le_bytes(*b"heaptape");

/// [`Hello::purpose`]: a process begins (launch, exec, or fork when `fork_serial` is not 0). Answer:
/// [`Welcome`] with two descriptors, the process memory and the session memory.
pub const JOIN: u32 = 1;
/// [`Hello::purpose`]: more streams. Answer: [`Welcome`] with one descriptor, the process memory.
pub const MORE_STREAMS: u32 = 2;
/// [`Hello::purpose`]: this process is about to replace itself (`exec`), or to spawn, the program whose
/// path is the payload. No answer.
pub const EXEC: u32 = 3;
/// Not said on the socket, but by [`crate::layout::Plea`]: the process ends, and the calling thread waits
/// until the collector has looked at what it wants to.
pub const FREEZE: u32 = 4;
/// As [`FREEZE`]: a fatal signal, with a [`CrashReport`].
pub const CRASH: u32 = 5;

/// [`Hello::purpose`], said by a person's command, not by a target: copy the contents of the process whose pid
/// is the payload (4 bytes), or of all when it is 0. Answer: [`Welcome`], and the results after it in the same
/// packet.
pub const ASK_SNAPSHOT: u32 = 6;
/// As [`ASK_SNAPSHOT`]: search for leaks.
pub const ASK_LEAKS: u32 = 7;

/// [`Welcome::options`]: record the backtraces of the first [`FIRST_FREES`] frees of each stream.
pub const OPT_FIRST_FREE_BACKTRACES: u32 = 1;
/// [`Welcome::options`]: record mmap, munmap, mremap, brk and sbrk.
pub const OPT_MMAP: u32 = 2;
/// [`Welcome::options`]: send [`FREEZE`] at exit.
pub const OPT_FREEZE_AT_EXIT: u32 = 4;
/// [`Welcome::options`]: report fatal signals whose disposition is the default ([`CRASH`]).
pub const OPT_CRASH: u32 = 8;
/// [`Welcome::options`]: processes made by `exec` are recorded too: hand the preload on to them.
pub const OPT_FOLLOW_EXEC: u32 = 16;
/// [`Welcome::options`]: no backtraces at all.
pub const OPT_NO_BACKTRACES: u32 = 32;
/// [`Welcome::options`]: hold every backtrace against a plain walk and count the differences.
pub const OPT_CHECK: u32 = 64;
/// [`Welcome::options`]: with [`OPT_CHECK`]: against libgcc's unwinder too.
pub const OPT_CHECK_LIBGCC: u32 = 128;
/// [`Welcome::options`]: record the backtraces of all frees.
pub const OPT_ALL_FREE_BACKTRACES: u32 = 256;
/// [`Welcome::options`]: send [`FREEZE`] at exit, to be searched for leaks.
pub const OPT_LEAKS: u32 = 1 << 12;

/// Frees of a stream that have backtraces where those of the first ones are recorded.
pub const FIRST_FREES: usize = 1 << 18;

/// See [`Welcome::sample_bytes`].
pub const MAX_SAMPLE_BYTES: u64 = 1 << 48;

/// [`Guard::mode`]: the program's blocks come from its own allocator.
pub const GUARD_OFF: u32 = 0;
/// [`Guard::mode`]: blocks end at an inaccessible page, as nearly as their alignment allows.
pub const GUARD_RIGHT: u32 = 1;
/// [`Guard::mode`]: blocks begin after an inaccessible page.
pub const GUARD_LEFT: u32 = 2;
/// [`Guard::mode`]: blocks end at an inaccessible page to the byte; aligned only as their size is.
pub const GUARD_EXACT: u32 = 3;
/// [`Guard::mode`]: blocks of the program's own allocator with red zones around them.
pub const GUARD_CHECK: u32 = 4;

/// [`Guard::with`]: the best there is. Of [`crate::layout::ProcessPage::guard`]: none.
pub const WITH_ANY: u32 = 0;
/// [`Guard::with`]: `MADV_GUARD_INSTALL`.
pub const WITH_MADVISE: u32 = 1;
/// [`Guard::with`]: mappings without access rights.
pub const WITH_MAPPINGS: u32 = 2;
/// Of [`crate::layout::ProcessPage::guard`] only: red zones.
pub const WITH_RED_ZONES: u32 = 3;

/// [`Welcome::status`]: recorded.
pub const ACCEPTED: u32 = 0;
/// [`Welcome::status`]: not recorded (follow rule, limits, build mismatch): close the gate.
pub const REFUSED: u32 = 1;
/// [`Welcome::status`]: refused, because it said the [`crate::BUILD`] of another heaptape.
pub const OTHER_BUILD: u32 = 2;

/// What the target says first.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Hello {
    /// [`MAGIC`].
    pub magic: u64,
    /// [`crate::BUILD`].
    pub build: u64,
    /// The token of [`ENV`], as bytes.
    pub token: [u8; 16],
    /// What for.
    pub purpose: u32,
    /// Bytes after this struct.
    pub payload_len: u32,
    /// [`JOIN`]: 0 for a fresh image (launch, exec), else a forked child. [`MORE_STREAMS`] and
    /// others: unused.
    pub fork_serial: u64,
    /// [`Welcome::process`] of this process; of a forked child's [`JOIN`]: its parent's. 0 when not yet
    /// welcomed.
    pub process: u64,
}

/// What the collector answers.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Welcome {
    /// [`MAGIC`].
    pub magic: u64,
    /// [`ACCEPTED`] or [`REFUSED`].
    pub status: u32,
    /// `OPT_*`.
    pub options: u32,
    /// A number of this process for later messages, unique in the session, not 0.
    pub process: u64,
    /// Mean bytes between two sampled ones, below [`MAX_SAMPLE_BYTES`]; 0: everything is recorded.
    pub sample_bytes: u64,
    /// Where blocks come from.
    pub guard: Guard,
}

/// What allocator the program is to be given. All zero: its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Guard {
    /// `GUARD_*`.
    pub mode: u32,
    /// `WITH_*`.
    pub with: u32,
    /// One block in so many is guarded, chosen at random; 0 and 1: each.
    pub one_in: u32,
    /// With red zones: calls of a thread after which all blocks are looked at; 0: never.
    pub interval: u32,
    /// Bytes of freed blocks that are kept back: of address space where pages guard, else of memory.
    pub quarantine: u64,
}

/// A fatal signal, as the handler saw it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CrashReport {
    /// `CLOCK_MONOTONIC`, ns.
    pub time_ns: u64,
    /// The signal.
    pub signal: i32,
    /// `si_code`.
    pub code: i32,
    /// `si_addr`.
    pub fault_addr: u64,
    /// Kernel thread id, as the target sees it.
    pub tid: u32,
    /// Who sent it, as the target sees its pid; 0: the kernel did.
    pub sender: u32,
    /// The registers at the signal, in the kernel's order of a signal's context (`REG_*`).
    pub registers: [u64; REGISTERS],
}

/// Registers in a [`CrashReport`].
pub const REGISTERS: usize = 23;
/// Of them: the stack pointer.
pub const REG_RSP: usize = 15;
/// Of them: the program counter.
pub const REG_RIP: usize = 16;

const _: () = {
    assert!(size_of::<Hello>() == 56);
    assert!(size_of::<Welcome>() == 56);
    assert!(size_of::<CrashReport>() == 32 + 8 * REGISTERS);
};
