//! Raw system calls of Linux on x86-64. Errors are negative numbers, `errno` is untouched.

use core::arch::asm;

/// A kernel result: negative is `-errno`.
pub type Ret = isize;

/// `EINTR`.
pub const EINTR: Ret = -4;
/// `ESRCH`.
pub const ESRCH: Ret = -3;
/// `EFAULT`.
pub const EFAULT: Ret = -14;

/// Any system call.
///
/// # Safety
/// As the call itself: pointers must be what the kernel expects.
#[inline(always)]
pub unsafe fn syscall(n: usize, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> Ret {
    let ret: Ret;
    // SAFETY: the kernel clobbers rcx and r11 only; what the call does is the caller's promise.
    unsafe {
        asm!("syscall", inlateout("rax") n as isize => ret, in("rdi") a, in("rsi") b, in("rdx") c,
             in("r10") d, in("r8") e, in("r9") f, out("rcx") _, out("r11") _, options(nostack))
    }
    ret
}

mod number {
    pub(super) const MMAP: usize = 9;
    pub(super) const MPROTECT: usize = 10;
    pub(super) const MUNMAP: usize = 11;
    pub(super) const RT_SIGACTION: usize = 13;
    pub(super) const RT_SIGPROCMASK: usize = 14;
    pub(super) const SCHED_YIELD: usize = 24;
    pub(super) const MADVISE: usize = 28;
    pub(super) const GETPID: usize = 39;
    pub(super) const SOCKET: usize = 41;
    pub(super) const CONNECT: usize = 42;
    pub(super) const SENDMSG: usize = 46;
    pub(super) const RECVMSG: usize = 47;
    pub(super) const SETSOCKOPT: usize = 54;
    pub(super) const CLOSE: usize = 3;
    pub(super) const OPEN: usize = 2;
    pub(super) const PREAD64: usize = 17;
    pub(super) const ACCESS: usize = 21;
    pub(super) const FCNTL: usize = 72;
    pub(super) const READLINK: usize = 89;
    pub(super) const GETRLIMIT: usize = 97;
    pub(super) const SIGALTSTACK: usize = 131;
    pub(super) const PRCTL: usize = 157;
    pub(super) const GETTID: usize = 186;
    pub(super) const FUTEX: usize = 202;
    pub(super) const CLOCK_GETTIME: usize = 228;
    pub(super) const TGKILL: usize = 234;
    pub(super) const RT_TGSIGQUEUEINFO: usize = 297;
}

macro_rules! call {
    ($n:expr $(, $a:expr)*) => { call!(@ $n; $($a as usize),*) };
    (@ $n:expr; ) => { syscall($n, 0, 0, 0, 0, 0, 0) };
    (@ $n:expr; $a:expr) => { syscall($n, $a, 0, 0, 0, 0, 0) };
    (@ $n:expr; $a:expr, $b:expr) => { syscall($n, $a, $b, 0, 0, 0, 0) };
    (@ $n:expr; $a:expr, $b:expr, $c:expr) => { syscall($n, $a, $b, $c, 0, 0, 0) };
    (@ $n:expr; $a:expr, $b:expr, $c:expr, $d:expr) => { syscall($n, $a, $b, $c, $d, 0, 0) };
    (@ $n:expr; $a:expr, $b:expr, $c:expr, $d:expr, $e:expr) => { syscall($n, $a, $b, $c, $d, $e, 0) };
}

/// Private zeroed memory, or null.
pub fn map_private(len: usize) -> *mut u8 {
    // SAFETY: a new anonymous mapping touches nothing that exists. 3 = READ|WRITE, 0x22 = PRIVATE|ANONYMOUS.
    let p = unsafe { syscall(number::MMAP, 0, len, 3, 0x22, usize::MAX, 0) };
    if p < 0 { core::ptr::null_mut() } else { p as *mut u8 }
}

/// Maps `len` bytes of `fd` at `offset`, shared; null on failure.
pub fn map_shared(fd: i32, offset: usize, len: usize) -> *mut u8 {
    // SAFETY: a new mapping touches nothing that exists. 3 = READ|WRITE, 1 = SHARED.
    let p = unsafe { syscall(number::MMAP, 0, len, 3, 1, fd as usize, offset) };
    if p < 0 { core::ptr::null_mut() } else { p as *mut u8 }
}

/// Private zeroed memory that is charged to nobody before it is touched, or null.
pub fn map_sparse(len: usize) -> *mut u8 {
    // SAFETY: as in `map_private`. 0x4000 = NORESERVE.
    let p = unsafe { syscall(number::MMAP, 0, len, 3, 0x4022, usize::MAX, 0) };
    if p < 0 { core::ptr::null_mut() } else { p as *mut u8 }
}

/// Address space that nobody can touch, or null.
pub fn reserve(len: usize) -> *mut u8 {
    // SAFETY: as in `map_private`. 0 = PROT_NONE, 0x4000 = NORESERVE.
    let p = unsafe { syscall(number::MMAP, 0, len, 0, 0x4022, usize::MAX, 0) };
    if p < 0 { core::ptr::null_mut() } else { p as *mut u8 }
}

/// Puts zeroed memory in the place of what is there.
///
/// # Safety
/// The range is ours, and nobody uses it.
pub unsafe fn open_mapping(start: usize, len: usize) -> bool {
    // SAFETY: the caller's promise. 3 = READ|WRITE, 0x32 = PRIVATE|ANONYMOUS|FIXED.
    unsafe { syscall(number::MMAP, start, len, 3, 0x32, usize::MAX, 0) == start as Ret }
}

/// Puts address space that nobody can touch in the place of what is there.
///
/// # Safety
/// The range is ours, and nobody uses it but in error.
pub unsafe fn close_mapping(start: usize, len: usize) -> bool {
    // SAFETY: the caller's promise. 0 = PROT_NONE, 0x4032 = PRIVATE|ANONYMOUS|FIXED|NORESERVE.
    unsafe { syscall(number::MMAP, start, len, 0, 0x4032, usize::MAX, 0) == start as Ret }
}

/// Makes reserved address space memory.
///
/// # Safety
/// The range is ours.
pub unsafe fn allow(start: usize, len: usize) -> bool {
    // SAFETY: the caller's promise. 3 = READ|WRITE.
    unsafe { call!(number::MPROTECT, start, len, 3) == 0 }
}

/// Gives the pages of the range back and makes every access to them a fault, without a mapping of their own
/// (`MADV_GUARD_INSTALL`, Linux 6.13).
///
/// # Safety
/// The range is ours, and nobody uses it but in error.
pub unsafe fn install_guard(start: usize, len: usize) -> bool {
    // SAFETY: the caller's promise.
    unsafe { call!(number::MADVISE, start, len, 102) == 0 }
}

/// Undoes [`install_guard`]: the pages are zero.
pub fn remove_guard(start: usize, len: usize) -> bool {
    // SAFETY: takes away what only we put there; memory that is in use is left as it is.
    unsafe { call!(number::MADVISE, start, len, 103) == 0 }
}

/// Most bytes of address space that this process may have.
pub fn address_space_limit() -> usize {
    let mut limit = [usize::MAX; 2];
    // SAFETY: writes one rlimit. 9 = RLIMIT_AS.
    unsafe { call!(number::GETRLIMIT, 9, limit.as_mut_ptr()) };
    limit[0]
}

/// Gives a mapping back.
///
/// # Safety
/// Nobody uses the range any more.
pub unsafe fn unmap(start: *mut u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe { call!(number::MUNMAP, start, len) };
}

/// Forbids all access to a range.
///
/// # Safety
/// Nobody uses the range.
pub unsafe fn forbid_access(start: *mut u8, len: usize) {
    // SAFETY: the caller's promise. 0 = PROT_NONE.
    unsafe { call!(number::MPROTECT, start, len, 0) };
}

/// Asks the kernel to zero the range in a forked child (`MADV_WIPEONFORK`, Linux 4.14).
pub fn wipe_on_fork(start: *mut u8, len: usize) -> bool {
    // SAFETY: advice on our own private mapping. 18 = MADV_WIPEONFORK.
    unsafe { call!(number::MADVISE, start, len, 18) == 0 }
}

/// This process's id.
pub fn getpid() -> u32 {
    // SAFETY: no arguments.
    unsafe { call!(number::GETPID) as u32 }
}

/// This thread's id.
pub fn gettid() -> u32 {
    // SAFETY: no arguments.
    unsafe { call!(number::GETTID) as u32 }
}

/// Whether thread `tid` of process `pid` is certainly gone.
pub fn thread_is_gone(pid: u32, tid: u32) -> bool {
    // SAFETY: signal 0 is never delivered.
    unsafe { call!(number::TGKILL, pid, tid, 0) == ESRCH }
}

/// Sends `signal` to the calling thread; it arrives once it is not blocked.
pub fn signal_self(signal: i32) {
    // SAFETY: what the signal does is the program's own doing.
    unsafe { call!(number::TGKILL, getpid(), gettid(), signal) };
}

/// As [`signal_self`], with this siginfo; whether the kernel agreed.
///
/// # Safety
/// `info` is a siginfo of the kernel's.
pub unsafe fn queue_to_self(signal: i32, info: *const u64) -> bool {
    // SAFETY: reads the siginfo, the caller's promise.
    unsafe { call!(number::RT_TGSIGQUEUEINFO, getpid(), gettid(), signal, info) == 0 }
}

/// The name of the calling thread, zero-padded.
pub fn thread_name() -> [u8; 16] {
    let mut name = [0u8; 16];
    // SAFETY: PR_GET_NAME (16) writes at most 16 bytes.
    unsafe { call!(number::PRCTL, 16, name.as_mut_ptr()) };
    name
}

/// Lets another thread run.
pub fn sched_yield() {
    // SAFETY: no arguments.
    unsafe { call!(number::SCHED_YIELD) };
}

/// Sleeps while `*word == value`, at most `timeout_ns`. The word lies in memory shared between processes.
pub fn futex_wait(word: *const u32, value: u32, timeout_ns: i64) {
    let timeout = [timeout_ns / 1_000_000_000, timeout_ns % 1_000_000_000];
    // SAFETY: FUTEX_WAIT (0) only reads the word and the timeout.
    unsafe { call!(number::FUTEX, word, 0, value, timeout.as_ptr()) };
}

/// Wakes all that sleep on `word`.
pub fn futex_wake(word: *const u32) {
    // SAFETY: FUTEX_WAKE (1) does not touch the word.
    unsafe { call!(number::FUTEX, word, 1, i32::MAX) };
}

/// `CLOCK_MONOTONIC` in ns by system call, for when libc's is not to be had.
pub fn monotonic_ns() -> u64 {
    let mut time = [0i64; 2];
    // SAFETY: writes one timespec. 1 = CLOCK_MONOTONIC.
    unsafe { call!(number::CLOCK_GETTIME, 1, time.as_mut_ptr()) };
    time[0] as u64 * 1_000_000_000 + time[1] as u64
}

/// All signals of the calling thread, blocked while this lives.
pub struct SignalsBlocked(u64);

impl SignalsBlocked {
    /// Blocks them.
    pub fn new() -> SignalsBlocked {
        let all = u64::MAX;
        let mut old = 0u64;
        // SAFETY: reads one mask, writes one. 2 = SIG_SETMASK; the kernel keeps KILL and STOP deliverable.
        unsafe { call!(number::RT_SIGPROCMASK, 2, &raw const all, &raw mut old, 8) };
        SignalsBlocked(old)
    }
}

impl Default for SignalsBlocked {
    fn default() -> SignalsBlocked {
        SignalsBlocked::new()
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { call!(number::RT_SIGPROCMASK, 2, &raw const self.0, 0, 8) };
    }
}

/// Whether 8 bytes at `address` can be read, without touching them: the kernel copies the mask before it
/// refuses the operation (the method of Abseil's `AddressIsReadable`).
pub fn is_readable(address: usize) -> bool {
    // A null mask is no mask, which the kernel does not refuse.
    if address < 4096 {
        return false;
    }
    // SAFETY: an invalid `how` changes nothing; an unreadable address is EFAULT instead of EINVAL.
    unsafe { call!(number::RT_SIGPROCMASK, !0usize, address, 0, 8) != EFAULT }
}

/// The kernel's `stack_t`: an alternate signal stack of a thread.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SignalStack {
    /// Its lowest byte.
    pub start: usize,
    /// `SS_*`.
    pub flags: i32,
    /// Bytes.
    pub bytes: usize,
}

impl SignalStack {
    /// No alternate stack, as the kernel says it.
    pub const NONE: SignalStack = SignalStack { start: 0, flags: SS_DISABLE, bytes: 0 };

    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        self.flags & SS_DISABLE != 0
    }

    /// Whether setting it means to have none.
    pub fn disables(&self) -> bool {
        self.flags & !SS_AUTODISARM == SS_DISABLE
    }
}

const SS_ONSTACK: i32 = 1;
const SS_DISABLE: i32 = 2;
const SS_AUTODISARM: i32 = 1 << 31;

/// The alternate signal stack of the calling thread.
pub fn signal_stack() -> Option<SignalStack> {
    let mut stack = SignalStack::NONE;
    // SAFETY: writes one stack_t.
    let ret = unsafe { call!(number::SIGALTSTACK, 0, &raw mut stack) };
    (ret == 0).then_some(stack)
}

/// Whether the calling thread runs on its alternate signal stack.
pub fn on_alternate_stack() -> bool {
    signal_stack().is_some_and(|stack| stack.flags & SS_ONSTACK != 0)
}

/// Sets the alternate signal stack of the calling thread.
///
/// # Safety
/// The memory is the stack's for as long as the thread lives, or has another one.
pub unsafe fn set_signal_stack(stack: &SignalStack) {
    // SAFETY: reads one stack_t; the memory is the caller's promise.
    unsafe { call!(number::SIGALTSTACK, core::ptr::from_ref(stack), 0) };
}

/// Sets the default disposition of `signal`, for the whole process.
pub fn set_action_default(signal: i32) {
    // The kernel's struct sigaction: handler, flags, restorer, mask.
    let default = [0usize; 4];
    // SAFETY: reads one struct sigaction.
    unsafe { call!(number::RT_SIGACTION, signal, default.as_ptr(), 0, 8) };
}

/// A descriptor that closes itself.
pub struct Fd(pub i32);

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: we own it.
        unsafe { call!(number::CLOSE, self.0) };
    }
}

/// A socket of domain `AF_UNIX`, type `SOCK_SEQPACKET`, close-on-exec, whose calls time out.
pub fn seqpacket_socket(timeout_s: i64) -> Option<Fd> {
    // SAFETY: plain numbers: 1 = AF_UNIX, 5 = SOCK_SEQPACKET, 0o2000000 = SOCK_CLOEXEC.
    let fd = unsafe { call!(number::SOCKET, 1, 5 | 0o2000000, 0) };
    if fd < 0 {
        return None;
    }
    let low = Fd(fd as i32);
    // Out of the way of a program that counts on getting the lowest number.
    // SAFETY: plain numbers: 1030 = F_DUPFD_CLOEXEC.
    let high = unsafe { call!(number::FCNTL, low.0, 1030, 100) };
    let fd = if high >= 0 { Fd(high as i32) } else { low };
    let timeout = [timeout_s, 0i64];
    for option in [20, 21] {
        // SAFETY: reads one timeval. 1 = SOL_SOCKET, 20 = SO_RCVTIMEO, 21 = SO_SNDTIMEO.
        unsafe { call!(number::SETSOCKOPT, fd.0, 1, option, timeout.as_ptr(), 16) };
    }
    Some(fd)
}

/// Connects to the abstract address `name`.
pub fn connect_abstract(fd: &Fd, name: &[u8]) -> bool {
    let mut address = [0u8; 110];
    address[0] = 1; // AF_UNIX, little endian
    let Some(place) = address.get_mut(3..3 + name.len()) else { return false };
    place.copy_from_slice(name);
    loop {
        // SAFETY: reads the address.
        let ret = unsafe { call!(number::CONNECT, fd.0, address.as_ptr(), 3 + name.len()) };
        if ret != EINTR {
            return ret == 0;
        }
    }
}

#[repr(C)]
struct MsgHdr {
    name: usize,
    name_len: usize,
    iov: usize,
    iov_len: usize,
    control: usize,
    control_len: usize,
    flags: usize,
}

/// Sends the two parts as one packet; no SIGPIPE.
pub fn send(fd: &Fd, first: &[u8], second: &[u8]) -> bool {
    let iov = [first.as_ptr() as usize, first.len(), second.as_ptr() as usize, second.len()];
    let msg = MsgHdr {
        name: 0,
        name_len: 0,
        iov: iov.as_ptr() as usize,
        iov_len: 2,
        control: 0,
        control_len: 0,
        flags: 0,
    };
    loop {
        // SAFETY: reads msg and what it points to. 0x4000 = MSG_NOSIGNAL.
        let ret = unsafe { call!(number::SENDMSG, fd.0, &raw const msg, 0x4000) };
        if ret != EINTR {
            return ret == (first.len() + second.len()) as isize;
        }
    }
}

/// Receives one packet of exactly `buffer.len()` bytes and up to two descriptors (close-on-exec).
pub fn receive(fd: &Fd, buffer: &mut [u8]) -> Option<[Option<Fd>; 2]> {
    let iov = [buffer.as_mut_ptr() as usize, buffer.len()];
    let mut control = [0u64; 4];
    let mut msg = MsgHdr {
        name: 0,
        name_len: 0,
        iov: iov.as_ptr() as usize,
        iov_len: 1,
        control: control.as_mut_ptr() as usize,
        control_len: size_of_val(&control),
        flags: 0,
    };
    let ret = loop {
        // SAFETY: writes into buffer and control only. 0x40000000 = MSG_CMSG_CLOEXEC.
        let ret = unsafe { call!(number::RECVMSG, fd.0, &raw mut msg, 0x4000_0000) };
        if ret != EINTR {
            break ret;
        }
    };
    let mut fds = [None, None];
    // One control message: length (8), level and type (4 + 4), descriptors (4 each).
    if msg.control_len >= 20 && control[1] == 1 | 1 << 32 {
        fds[0] = Some(Fd(control[2] as u32 as i32));
        if control[0] >= 24 {
            fds[1] = Some(Fd((control[2] >> 32) as u32 as i32));
        }
    }
    (ret == buffer.len() as isize).then_some(fds)
}

/// Opens `path` (zero-terminated) for reading.
pub fn open_read(path: *const u8) -> Option<Fd> {
    // SAFETY: reads the path. 0o2000000 = O_CLOEXEC, 0o4000 = O_NONBLOCK (a fifo must not block us).
    let fd = unsafe { call!(number::OPEN, path, 0o2004000, 0) };
    (fd >= 0).then_some(Fd(fd as i32))
}

/// Reads at `offset`; the number of bytes read.
pub fn read_at(fd: &Fd, buffer: &mut [u8], offset: usize) -> usize {
    // SAFETY: writes into buffer only.
    let n = unsafe { call!(number::PREAD64, fd.0, buffer.as_mut_ptr(), buffer.len(), offset) };
    if n < 0 { 0 } else { n as usize }
}

/// Whether `path` (zero-terminated) can be read.
pub fn can_read(path: *const u8) -> bool {
    // SAFETY: reads the path. 4 = R_OK.
    unsafe { call!(number::ACCESS, path, 4) == 0 }
}

/// Whether `path` (zero-terminated) can be executed.
pub fn can_execute(path: *const u8) -> bool {
    // SAFETY: reads the path. 1 = X_OK.
    unsafe { call!(number::ACCESS, path, 1) == 0 }
}

/// The target of a symbolic link (`path` zero-terminated); the number of bytes, 0 on failure.
pub fn read_link(path: *const u8, buffer: &mut [u8]) -> usize {
    // SAFETY: reads the path, writes into buffer only.
    let n = unsafe { call!(number::READLINK, path, buffer.as_mut_ptr(), buffer.len()) };
    if n < 0 { 0 } else { n as usize }
}
