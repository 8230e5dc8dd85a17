//! One thread-local word, in the initial-exec model.
//!
//! The general-dynamic model that Rust would use calls `__tls_get_addr`, which may allocate and come
//! back to us; stable Rust offers no way to choose, hence these few lines of assembly. A preloaded
//! library is present when the static TLS block is laid out, which is what the model asks for.

use core::arch::{asm, global_asm};

global_asm!(
    ".pushsection .tbss,\"awT\",@nobits",
    ".p2align 3",
    ".hidden heaptape_tls",
    ".globl heaptape_tls",
    ".type heaptape_tls,@object",
    ".size heaptape_tls,8",
    "heaptape_tls: .zero 8",
    ".popsection",
);

/// The word of the calling thread; 0 in a new one.
#[inline(always)]
pub fn get() -> usize {
    let value;
    // SAFETY: the offset of our own variable, resolved at load; reads 8 bytes of this thread's block.
    unsafe {
        asm!("mov {0}, qword ptr [rip + heaptape_tls@GOTTPOFF]", "mov {0}, qword ptr fs:[{0}]",
             out(reg) value, options(nostack, readonly, preserves_flags))
    }
    value
}

/// Sets the word of the calling thread.
#[inline(always)]
pub fn set(value: usize) {
    // SAFETY: as in `get`; writes 8 bytes of our own variable.
    unsafe {
        asm!("mov {0}, qword ptr [rip + heaptape_tls@GOTTPOFF]", "mov qword ptr fs:[{0}], {1}",
             out(reg) _, in(reg) value, options(nostack, preserves_flags))
    }
}
