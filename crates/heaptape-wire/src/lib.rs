//! The contract between the recorder (inside the target) and the collector (in the launcher).
//!
//! ```text
//!  target process                              launcher
//!  ┌────────────────────────┐   process memory (memfd, one per target process)
//!  │ thread ─▶ Stream 0  ───┼─▶ [ProcessPage][StreamHeader|ring][StreamHeader|ring]… ─▶ drain
//!  │ thread ─▶ Stream 1  ───┼─▶
//!  └────────────────────────┘   session memory (memfd, one for all): doorbell
//!        │  hello, exec, freeze: one short-lived SOCK_SEQPACKET connection each (`handshake`)
//! ```
//!
//! * [`layout`]: what lies where in the shared memory, and the fields both sides write.
//! * [`ring`]: one single-producer single-consumer ring of 64-bit words.
//! * [`record`]: what the words mean.
//! * [`order`]: how the streams of a process become one history.
//! * [`handshake`]: the messages on the socket.
//!
//! There is no compatibility promise: both sides are built together and compare [`BUILD`] when they
//! meet. The peer is not trusted: the collector copies, then checks, then uses.

#![cfg_attr(not(test), no_std)]

pub mod handshake;
pub mod layout;
pub mod order;
pub mod record;
pub mod ring;
mod sync;

/// Identifies this very contract: a hash (FNV-1a) of its sources.
pub const BUILD: u64 = fnv1a(
    include_bytes!("record.rs"),
    fnv1a(
        include_bytes!("layout.rs"),
        fnv1a(
            include_bytes!("handshake.rs"),
            fnv1a(include_bytes!("ring.rs"), fnv1a(include_bytes!("order.rs"), FNV_START)),
        ),
    ),
);

/// What an FNV-1a hash begins with.
pub const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// Continues an FNV-1a hash (Fowler, Noll, Vo; 64 bits) with `bytes`.
pub const fn fnv1a(bytes: &[u8], mut hash: u64) -> u64 {
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
}
