//! Thread-local words, in the initial-exec model.
//!
//! The general-dynamic model that Rust would use calls `__tls_get_addr`, which may allocate and come
//! back to us; stable Rust offers no way to choose, hence these few lines of assembly. A preloaded
//! library is present when the static TLS block is laid out, which is what the model asks for.

use core::arch::{asm, global_asm};

global_asm!(
    ".pushsection .tbss,\"awT\",@nobits",
    ".p2align 6",
    ".hidden heaptape_tls",
    ".globl heaptape_tls",
    ".type heaptape_tls,@object",
    ".size heaptape_tls,96",
    "heaptape_tls: .zero 96",
    ".popsection",
);

/// The calling thread's state (`thread`); this and the others are 0 in a new thread.
pub const THREAD: usize = 0;
/// Bytes until the next allocation is sampled (`sampling`).
pub const LEFT: usize = 8;
/// The state of the generator that draws them.
pub const RANDOM: usize = 16;
/// What an operator has said about its `malloc` or `free`: this and the rest are `tag`'s.
pub const TAG: usize = 24;
/// See `tag::Tag`.
pub const TAG_SIZE: usize = 32;
/// See `tag::Tag`.
pub const TAG_BLOCK: usize = 40;
/// See `tag::Tag`.
pub const TAG_SP: usize = 48;
/// See `tag::Tag`.
pub const TAG_CALLER: usize = 56;
/// See `tag::Tag`.
pub(crate) const FAILED_AT: usize = 64;
/// What a tag holds of the countdown.
pub(crate) const HELD: usize = 72;
/// What [`crate::guard`] counts down, and the state of its generator.
pub const GUARD: usize = 80;

/// The lowest byte of its alternate signal stack of ours; 0: none was given (`altstack`).
pub const STACK: usize = 88;

/// libc's control block of the calling thread.
pub fn control_block() -> *mut usize {
    let block;
    // SAFETY: its first word is its address, by the ABI of thread-local storage.
    unsafe {
        asm!("mov {0}, qword ptr fs:[0]", out(reg) block, options(nostack, readonly, preserves_flags, pure));
    }
    block
}

/// The calling thread's words, for several at once.
#[derive(Clone, Copy)]
pub(crate) struct Words(*const u8);

/// See [`Words`].
#[inline(always)]
pub(crate) fn words() -> Words {
    let start;
    // SAFETY: the offset of our own variable, resolved at load, and libc's control block, whose first word is its address.
    unsafe {
        asm!("mov {0}, qword ptr [rip + heaptape_tls@GOTTPOFF]", "add {0}, qword ptr fs:[0]",
             out(reg) start, options(nostack, readonly, pure));
    }
    Words(start)
}

impl Words {
    /// As [`get`].
    #[inline(always)]
    pub(crate) fn get<const WORD: usize>(self) -> usize {
        // SAFETY: our own variable, of this thread, which alone writes it; volatile, because its signal handlers may, too.
        unsafe { self.0.add(WORD).cast::<usize>().read_volatile() }
    }
}

/// A word of the calling thread.
#[inline(always)]
pub fn get<const WORD: usize>() -> usize {
    let value;
    // SAFETY: the offset of our own variable, resolved at load; reads 8 bytes of this thread's block.
    unsafe {
        asm!("mov {0}, qword ptr [rip + heaptape_tls@GOTTPOFF]", "mov {0}, qword ptr fs:[{0} + {1}]",
             out(reg) value, const WORD, options(nostack, readonly, preserves_flags))
    }
    value
}

/// Sets a word of the calling thread.
#[inline(always)]
pub fn set<const WORD: usize>(value: usize) {
    // SAFETY: as in `get`; writes 8 bytes of our own variable.
    unsafe {
        asm!("mov {0}, qword ptr [rip + heaptape_tls@GOTTPOFF]", "mov qword ptr fs:[{0} + {1}], {2}",
             out(reg) _, const WORD, in(reg) value, options(nostack, preserves_flags))
    }
}

/// Takes `bytes`, or 1 for none, from [`LEFT`] if more than that is left; whether it was. If not, all that is left may have
/// been taken.
///
/// A signal handler that allocates between the look and the taking may make the result negative, which counts
/// as nothing left: the next call finds it so.
#[inline(always)]
pub fn count_down(bytes: usize) -> bool {
    // SAFETY: as in `set`.
    unsafe {
        asm!("mov {0}, qword ptr [rip + heaptape_tls@GOTTPOFF]", "cmp qword ptr fs:[{0} + {1}], {2}",
             // Where everything is recorded, always.
             "jbe {4}",
             "mov {3}, {2}", "cmp {3}, 1", "adc {3}, 0",
             "sub qword ptr fs:[{0} + {1}], {3}", "jle {4}",
             out(reg) _, const LEFT, in(reg) bytes, out(reg) _, label { return false }, options(nostack))
    }
    true
}
