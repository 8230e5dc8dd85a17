//! The words of a recording: ids, events, and the facts beside them.
//!
//! Everything here is plain data. Ids are small newtypes, dense from zero unless said otherwise, and
//! stay the same for the life of a tape. Times are nanoseconds since the recording began
//! ([`TimeNs`]); sizes are bytes.

use std::fmt;
use std::sync::Arc;

/// Nanoseconds since the recording began (`CLOCK_MONOTONIC` of the recording machine).
///
/// A tape stores times rounded down to its [`Header::tick_ns`]; the order of events is exact whatever
/// the tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeNs(pub u64);

/// One recorded process of the tape, dense from 0; process 0 is the program that was launched.
///
/// An `exec` ends one `ProcessId` and begins another with the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(pub u32);

/// One thread of the tape, dense from 0 over all processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreadId(pub u32);

/// One loaded module: an ELF file between one load and its unload, dense from 0 over all processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleId(pub u32);

/// A node of the backtrace tree: a code address and the backtrace that called it.
///
/// Dense from 1 in the order of [`BacktraceNode`]s on the tape; [`BacktraceId::NONE`] is the empty
/// backtrace and the parent of every outermost frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BacktraceId(pub u32);

impl BacktraceId {
    /// The empty backtrace.
    pub const NONE: BacktraceId = BacktraceId(0);
}

/// The number of a block: its allocation's rank among the allocations of its process, from 1.
///
/// Small enough to say aloud (`#41237`) and the same in every view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId(pub u64);

/// The rank of an event in its process's history, from 0.
pub type EventIndex = u64;

/// Which exported function the target called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(missing_docs)] // each is named after the C or C++ function it stands for
pub enum Api {
    Malloc = 0,
    Calloc = 1,
    Realloc = 2,
    Reallocarray = 3,
    PosixMemalign = 4,
    AlignedAlloc = 5,
    Memalign = 6,
    Valloc = 7,
    Pvalloc = 8,
    Free = 9,
    Cfree = 10,
    FreeSized = 11,
    FreeAlignedSized = 12,
    /// `operator new(size_t)` and its aligned and nothrow forms.
    New = 13,
    /// `operator new[](size_t)` and its aligned and nothrow forms.
    NewArray = 14,
    /// `operator delete(void*)` and its sized, aligned and nothrow forms.
    Delete = 15,
    /// `operator delete[](void*)` and its sized, aligned and nothrow forms.
    DeleteArray = 16,
    Mmap = 17,
    Munmap = 18,
    Mremap = 19,
    Brk = 20,
    Sbrk = 21,
}

impl Api {
    /// Every function, in the order of its number.
    pub const ALL: [Api; 22] = [
        Api::Malloc,
        Api::Calloc,
        Api::Realloc,
        Api::Reallocarray,
        Api::PosixMemalign,
        Api::AlignedAlloc,
        Api::Memalign,
        Api::Valloc,
        Api::Pvalloc,
        Api::Free,
        Api::Cfree,
        Api::FreeSized,
        Api::FreeAlignedSized,
        Api::New,
        Api::NewArray,
        Api::Delete,
        Api::DeleteArray,
        Api::Mmap,
        Api::Munmap,
        Api::Mremap,
        Api::Brk,
        Api::Sbrk,
    ];

    /// The function of that number, if there is one.
    pub fn from_u8(number: u8) -> Option<Api> {
        Api::ALL.get(usize::from(number)).copied()
    }

    /// The name a C or C++ programmer knows it by.
    pub fn name(self) -> &'static str {
        match self {
            Api::Malloc => "malloc",
            Api::Calloc => "calloc",
            Api::Realloc => "realloc",
            Api::Reallocarray => "reallocarray",
            Api::PosixMemalign => "posix_memalign",
            Api::AlignedAlloc => "aligned_alloc",
            Api::Memalign => "memalign",
            Api::Valloc => "valloc",
            Api::Pvalloc => "pvalloc",
            Api::Free => "free",
            Api::Cfree => "cfree",
            Api::FreeSized => "free_sized",
            Api::FreeAlignedSized => "free_aligned_sized",
            Api::New => "operator new",
            Api::NewArray => "operator new[]",
            Api::Delete => "operator delete",
            Api::DeleteArray => "operator delete[]",
            Api::Mmap => "mmap",
            Api::Munmap => "munmap",
            Api::Mremap => "mremap",
            Api::Brk => "brk",
            Api::Sbrk => "sbrk",
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an event did.
///
/// A realloc is up to two events: [`Action::ReallocRelease`] (before the real call) and one of
/// [`Action::ReallocAlloc`] or [`Action::ReallocFail`] (after it). `realloc(p, 0)` that freed the block
/// is a `ReallocRelease` alone; `realloc(NULL, n)` is a plain [`Action::Alloc`] with [`Api::Realloc`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Action {
    /// A block begins at `addr`.
    Alloc = 0,
    /// The block at `addr` ends.
    Free = 1,
    /// `realloc` is about to give up the block at `addr`; `size` is the size asked for.
    ReallocRelease = 2,
    /// `realloc` succeeded: a new block begins at `addr` (the old address when it grew in place).
    ReallocAlloc = 3,
    /// `realloc` failed: the block at `addr`, released just before by the same thread, lives on.
    ReallocFail = 4,
    /// An allocation of `size` bytes returned NULL; `addr` is 0.
    AllocFail = 5,
    /// A mapping of `size` bytes appears at `addr` (`--mmap`). Not a block.
    Map = 6,
    /// `size` bytes at `addr` are unmapped (`--mmap`).
    Unmap = 7,
}

impl Action {
    /// The action of that number, if there is one.
    pub fn from_u8(number: u8) -> Option<Action> {
        use Action::*;
        [Alloc, Free, ReallocRelease, ReallocAlloc, ReallocFail, AllocFail, Map, Unmap]
            .get(usize::from(number))
            .copied()
    }

    /// Whether a block begins: [`Action::Alloc`] or [`Action::ReallocAlloc`].
    pub fn begins_block(self) -> bool {
        matches!(self, Action::Alloc | Action::ReallocAlloc)
    }

    /// Whether a block ends: [`Action::Free`] or [`Action::ReallocRelease`].
    pub fn ends_block(self) -> bool {
        matches!(self, Action::Free | Action::ReallocRelease)
    }
}

/// One thing that happened in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, rounded down to the tape's tick; never decreases within a process.
    pub time: TimeNs,
    /// Who.
    pub thread: ThreadId,
    /// What it did.
    pub action: Action,
    /// Which function was called.
    pub api: Api,
    /// log2 of the alignment asked for; 0 when none was.
    pub align_log2: u8,
    /// The address concerned; 0 for [`Action::AllocFail`].
    pub addr: u64,
    /// Bytes asked for. Of a free: the size passed to a sized free or delete, else 0.
    pub size: u64,
    /// Bytes the allocator gave; 0 when not known.
    pub usable: u64,
    /// Where from; [`BacktraceId::NONE`] when not recorded (frees, unless asked for).
    pub backtrace: BacktraceId,
}

/// How the address of a [`BacktraceNode`] was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FrameQuality {
    /// By the module's unwind tables: exact.
    #[default]
    Exact = 0,
    /// By the frame-pointer chain, for code without unwind tables: probable.
    FramePointer = 1,
    /// The walk stopped above this frame (no unwind information, or the depth bound): callers unknown.
    Truncated = 2,
}

impl FrameQuality {
    /// The quality of that number, if there is one.
    pub fn from_u8(number: u8) -> Option<FrameQuality> {
        [FrameQuality::Exact, FrameQuality::FramePointer, FrameQuality::Truncated]
            .get(usize::from(number))
            .copied()
    }
}

/// Most nodes from one to the outermost. Of a deeper backtrace on a tape the callers are cut off, and the tape
/// is taken for damaged: views walk every backtrace from end to end.
pub const MAX_DEPTH: usize = 16_384;

/// One node of the backtrace tree: a return address and its caller's node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BacktraceNode {
    /// The caller; its id is always smaller than this node's.
    pub parent: BacktraceId,
    /// The module the address lies in, when it is known.
    pub module: Option<ModuleId>,
    /// The return address: relative to the module's [`Module::bias`] when the module is known (that
    /// is, an address as the ELF file states it), absolute otherwise. Look up `address - 1`.
    pub address: u64,
    /// How it was found.
    pub quality: FrameQuality,
}

/// How a recorded process ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// Not known: the recording ended first, or the tape is cut.
    #[default]
    Unknown,
    /// `exit` with this code.
    Exited(i32),
    /// Killed by this signal; whether a core was dumped.
    Signalled(i32, bool),
    /// Replaced itself by `exec`.
    Exec,
    /// Ended, but its parent took the status and we could not see it.
    Gone,
    /// Still running when the recording ended.
    Running,
}

/// One recorded process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub id: ProcessId,
    /// The pid, as the launcher sees it.
    pub pid: u32,
    /// The parent's pid, as the launcher sees it; 0 when not known.
    pub ppid: u32,
    /// Whose heap it inherited: the parent and the number of parent events before the fork. `None` for
    /// a process that began with an empty heap (launch, exec).
    pub forked_from: Option<(ProcessId, EventIndex)>,
    /// The executable's path; empty when not readable.
    pub exe: Vec<u8>,
    /// The arguments.
    pub argv: Vec<Vec<u8>>,
    /// When its recording began.
    pub start: TimeNs,
    /// When it ended or the recording of it did.
    pub end: TimeNs,
    /// How it ended.
    pub ending: Ending,
    /// What could not be recorded of it.
    pub losses: Losses,
}

impl Process {
    /// A process of which nothing is known but its id.
    pub fn unknown(id: ProcessId) -> Process {
        Process {
            id,
            pid: 0,
            ppid: 0,
            forked_from: None,
            exe: Vec::new(),
            argv: Vec::new(),
            start: TimeNs(0),
            end: TimeNs(0),
            ending: Ending::Unknown,
            losses: Losses::default(),
        }
    }
}

/// What could not be recorded. All zero is the promise; anything else is shown on the first line of
/// every view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Allocator calls that were not recorded.
    pub events: u64,
    /// Threads that could not get a stream: none of their calls are recorded or counted.
    pub threads: u64,
    /// Backtraces cut at the depth bound.
    pub truncated_backtraces: u64,
    /// Records that were claimed but never completed (a thread was killed inside a hook).
    pub abandoned: u64,
    /// Records that made no sense and were skipped (the target scribbled over the shared memory).
    pub malformed: u64,
    /// Nanoseconds that threads of the target waited for the collector. Nothing is lost by it.
    pub waited_ns: u64,
}

impl Losses {
    /// Whether something is missing from the recording (`waited_ns` alone loses nothing).
    pub fn any(&self) -> bool {
        [self.events, self.threads, self.abandoned, self.malformed].iter().any(|&count| count > 0)
    }

    /// The sum of both.
    pub fn plus(&self, other: &Losses) -> Losses {
        Losses {
            events: self.events.saturating_add(other.events),
            threads: self.threads.saturating_add(other.threads),
            truncated_backtraces: self
                .truncated_backtraces
                .saturating_add(other.truncated_backtraces),
            abandoned: self.abandoned.saturating_add(other.abandoned),
            malformed: self.malformed.saturating_add(other.malformed),
            waited_ns: self.waited_ns.saturating_add(other.waited_ns),
        }
    }
}

/// One recorded thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its id.
    pub id: ThreadId,
    /// Its process.
    pub process: ProcessId,
    /// Its kernel thread id, as the target sees it.
    pub tid: u32,
    /// Its last known name.
    pub name: Vec<u8>,
    /// When its first event was recorded.
    pub start: TimeNs,
}

/// A loaded ELF file, from one load to its unload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its id.
    pub id: ModuleId,
    /// Its process.
    pub process: ProcessId,
    /// The path as the loader knows it (for the executable: its real path).
    pub path: Vec<u8>,
    /// GNU build id; empty when it has none.
    pub build_id: Vec<u8>,
    /// First mapped address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// What must be subtracted from an absolute address to get the address the ELF file states.
    pub bias: u64,
    /// When it was first seen.
    pub loaded: TimeNs,
    /// When it was seen to be gone.
    pub unloaded: Option<TimeNs>,
}

/// One mapping of a process's address space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// What may be done with it.
    pub access: MappingAccess,
    /// Where in the file it begins; 0 without a file.
    pub offset: u64,
    /// The file's path, or what the kernel calls it (`[heap]`, `[stack]`); empty for anonymous memory.
    /// Shared: a tape has the same names in map after map.
    pub name: Arc<[u8]>,
}

/// glibc's arenas other than the first lie in stretches of this size that begin at a multiple of it.
const ARENA_BYTES: u64 = 64 << 20;

impl Mapping {
    /// Whether it looks like the used part of an arena of glibc: the rest of its stretch is mapped behind it (`next`)
    /// without access.
    pub fn is_arena(&self, next: Option<&Mapping>) -> bool {
        let used = self.end.saturating_sub(self.start);
        let is_rest = |next: &Mapping| {
            next.start == self.end
                && next.end - self.start >= ARENA_BYTES
                && !next.access.read
                && !next.access.write
        };
        self.name.is_empty()
            && self.access.read
            && self.access.write
            && self.start.is_multiple_of(ARENA_BYTES)
            && (used == ARENA_BYTES || used < ARENA_BYTES && next.is_some_and(is_rest))
    }
}

/// What may be done with a mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MappingAccess {
    /// Reading.
    pub read: bool,
    /// Writing.
    pub write: bool,
    /// Executing.
    pub execute: bool,
    /// What is written is seen by others (`MAP_SHARED`).
    pub shared: bool,
}

/// The address space of a process at a moment, by address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryMap {
    /// Whose.
    pub process: ProcessId,
    /// When.
    pub time: TimeNs,
    /// The mappings; none overlap.
    pub mappings: Vec<Mapping>,
    /// Bytes of resident memory without a file in each mapping; empty where they were not asked for.
    pub resident: Vec<u64>,
}

impl MemoryMap {
    /// The mapping that holds an address.
    pub fn at(&self, addr: u64) -> Option<&Mapping> {
        let after = self.mappings.partition_point(|mapping| mapping.start <= addr);
        self.mappings[..after].last().filter(|mapping| addr < mapping.end)
    }
}

/// Memory of a process as the kernel counts it, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// When it was taken.
    pub time: TimeNs,
    /// Resident set size.
    pub rss: u64,
    /// Of `rss`: anonymous memory.
    pub rss_anon: u64,
    /// Of `rss`: file pages.
    pub rss_file: u64,
    /// Of `rss`: shared memory, the recorder's own streams included.
    pub rss_shmem: u64,
    /// Proportional set size; 0 when not sampled.
    pub pss: u64,
    /// Swapped-out anonymous memory.
    pub swap: u64,
    /// Most that was resident so far, as the kernel remembers it; 0 when not known.
    pub rss_peak: u64,
    /// What `rss_anon` consists of, where it was looked at.
    pub private: Option<Private>,
}

/// Resident memory without a file, by where it lies. Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Private {
    /// The heap that `brk` made.
    pub heap: u64,
    /// Arenas of glibc: [`Mapping::is_arena`].
    pub arenas: u64,
    /// The first thread's stack.
    pub stack: u64,
    /// Changed pages of mapped files.
    pub files: u64,
    /// Everywhere else.
    pub other: u64,
}

/// A child that could not be recorded, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrecorded {
    /// The pid, as the launcher sees it; 0 when not known.
    pub pid: u32,
    /// When it was noticed.
    pub time: TimeNs,
    /// The program's path.
    pub exe: Vec<u8>,
    /// The reason, as a sentence without a full stop.
    pub reason: String,
}

/// The bytes of a block at a recorded instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Whose.
    pub process: ProcessId,
    /// When they were copied.
    pub time: TimeNs,
    /// Which block.
    pub block: BlockId,
    /// Where it starts.
    pub addr: u64,
    /// The bytes; shorter than the block when the rest could not be read.
    pub bytes: Vec<u8>,
}

/// Bytes of a page of memory on a tape, whatever the recorded machine's.
pub const PAGE_BYTES: u64 = 4096;

/// Why the contents of the live blocks were copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SnapshotReason {
    /// The process was about to exit.
    Exit = 0,
    /// A fatal signal.
    Crash = 1,
    /// Somebody asked for it.
    Asked = 2,
    /// It is done at intervals.
    Interval = 3,
    /// It was to be done at that time.
    Time = 4,
    /// A new peak of live bytes.
    Peak = 5,
    /// Memory was near the limit of the control group.
    MemoryLimit = 6,
}

impl SnapshotReason {
    /// The reason of that number, if there is one.
    pub fn from_u8(number: u8) -> Option<SnapshotReason> {
        use SnapshotReason::*;
        [Exit, Crash, Asked, Interval, Time, Peak, MemoryLimit].get(usize::from(number)).copied()
    }
}

/// The contents of the live blocks of a process were copied: what is known of their bytes is read with
/// [`Tape::memory_at`](crate::Tape::memory_at).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Whose.
    pub process: ProcessId,
    /// Its number, from 1 in each process.
    pub number: u32,
    /// When.
    pub time: TimeNs,
    /// After so many events of the process: the live blocks of that moment were copied.
    pub event: EventIndex,
    /// Why.
    pub reason: SnapshotReason,
    /// How long the process stood still for it, ns; 0 when it did not.
    pub pause_ns: u64,
    /// Whether all its threads stood still, so that the bytes are those of one instant.
    pub one_instant: bool,
    /// Bytes of the live blocks.
    pub considered: u64,
    /// Bytes of the pages that had changed since the last snapshot, or were new, and were stored.
    pub stored: u64,
    /// Bytes of pages that could not be read.
    pub unreadable: u64,
    /// Bytes of pages that were left out because the budget was used up.
    pub over_budget: u64,
}

/// What the launcher was asked to do, kept with the tape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Version of the format.
    pub version: u32,
    /// heaptape's version that wrote it.
    pub writer: String,
    /// Times on the tape are multiples of this many nanoseconds.
    pub tick_ns: u64,
    /// Wall clock at time 0: nanoseconds since the Unix epoch.
    pub epoch_unix_ns: u64,
    /// Host name.
    pub host: String,
    /// The command line that was recorded.
    pub command: Vec<Vec<u8>>,
    /// Working directory.
    pub cwd: Vec<u8>,
    /// Page size of the recorded machine, bytes.
    pub page_size: u32,
    /// Options as `name=value`.
    pub options: Vec<(String, String)>,
    /// 0: every allocation is on the tape. Else the tape is a *sample*: of an allocation of `s` bytes (0 counts
    /// as 1) one byte in so many was chosen, on average and independently, and it is on the tape, with its
    /// free, when one of its bytes was: with probability `1 − exp(−s / sample_bytes)`.
    pub sample_bytes: u64,
}

/// Bytes beside a block, or of a freed one, that the program should not have written (`--guard`, `--check`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overwrite {
    /// Whose memory.
    pub process: ProcessId,
    /// When it was found.
    pub time: TimeNs,
    /// The thread that found it.
    pub thread: Option<ThreadId>,
    /// That thread's last event before: for [`Found::AtFree`] and [`Found::AtRealloc`] the free or release of the
    /// block itself.
    pub event: Option<EventIndex>,
    /// Where the bytes are.
    pub kind: OverwriteKind,
    /// What led to its being found.
    pub found: Found,
    /// Address of the block: the last one that began there before `event`.
    pub block: u64,
    /// Bytes asked for; 0 where the overwrite has destroyed that.
    pub size: u64,
    /// The first changed byte, from the start of the block: negative before it.
    pub offset: i64,
    /// Bytes from the first changed one to the last.
    pub length: u64,
    /// What was found from `offset` on: at most 16 bytes.
    pub seen: Vec<u8>,
}

/// Where bytes were overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum OverwriteKind {
    /// Behind a block.
    AfterEnd = 0,
    /// Before a block.
    BeforeStart = 1,
    /// In a block, after it was freed.
    AfterFree = 2,
}

impl OverwriteKind {
    /// The kind of that number, if there is one.
    pub fn from_u8(number: u8) -> Option<OverwriteKind> {
        use OverwriteKind::*;
        [AfterEnd, BeforeStart, AfterFree].get(usize::from(number)).copied()
    }
}

/// What led to an overwrite's being found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Found {
    /// The block was freed.
    AtFree = 0,
    /// The block was reallocated.
    AtRealloc = 1,
    /// All blocks were looked at, after so many calls.
    AtInterval = 2,
    /// The freed block was given back after it had been kept long enough.
    InQuarantine = 3,
    /// The process ended.
    AtExit = 4,
    /// The process crashed.
    AtCrash = 5,
}

impl Found {
    /// The circumstance of that number, if there is one.
    pub fn from_u8(number: u8) -> Option<Found> {
        use Found::*;
        [AtFree, AtRealloc, AtInterval, InQuarantine, AtExit, AtCrash]
            .get(usize::from(number))
            .copied()
    }
}

/// How the blocks of a process were guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guarded {
    /// Which process.
    pub process: ProcessId,
    /// By what.
    pub mechanism: GuardMechanism,
    /// Blocks that were.
    pub guarded: u64,
    /// Blocks that should have been and were not: too large, no room for more, or of an allocator with operators
    /// `new` of its own.
    pub unguarded: u64,
    /// Overwrites that were found and are not on the tape: it holds the first ones of a process.
    pub unlisted: u64,
    /// The address space of blocks with guard pages: its first address and the one behind its last. Both 0 where
    /// there is none.
    pub arena: (u64, u64),
}

/// What guards blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum GuardMechanism {
    /// Nothing, though it was asked for.
    #[default]
    Nothing = 0,
    /// Guard pages by `MADV_GUARD_INSTALL`.
    Markers = 1,
    /// Guard pages by mappings without access rights.
    Mappings = 2,
    /// Red zones.
    RedZones = 3,
}

impl GuardMechanism {
    /// The mechanism of that number, if there is one.
    pub fn from_u8(number: u8) -> Option<GuardMechanism> {
        use GuardMechanism::*;
        [Nothing, Markers, Mappings, RedZones].get(usize::from(number)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arena_begins_at_a_multiple_and_keeps_the_rest_of_its_stretch() {
        let open = MappingAccess { read: true, write: true, ..MappingAccess::default() };
        let mapping = |start, end, access| Mapping { start, end, access, ..Mapping::default() };
        let (start, closed) = (5 * ARENA_BYTES, MappingAccess::default());
        let used = mapping(start, start + 4096, open);
        let rest = |end, access| mapping(start + 4096, end, access);
        assert!(used.is_arena(Some(&rest(start + ARENA_BYTES, closed))));
        assert!(mapping(start, start + ARENA_BYTES, open).is_arena(None));
        assert!(!used.is_arena(None));
        assert!(!used.is_arena(Some(&rest(start + ARENA_BYTES, open))));
        assert!(!used.is_arena(Some(&rest(start + ARENA_BYTES / 2, closed))));
        assert!(!mapping(start + 4096, start + 8192, open).is_arena(None));
        let file =
            Mapping { name: b"/bin/a"[..].into(), ..mapping(start, start + ARENA_BYTES, open) };
        assert!(!file.is_arena(None));
    }
}
