//! What is told when bytes were changed that nobody should have written.

use super::changed::Span;
use crate::emit;
use crate::gate;
use crate::thread;

/// Most bytes of an overwrite that are told.
pub(crate) const SEEN_BYTES: usize = 16;

/// Bytes of or around a block that the program should not have written.
pub(crate) struct Overwrite {
    /// An `overwrite` of the wire: where.
    pub(crate) kind: u8,
    /// A `found` of the wire: when it was found.
    pub(crate) when: u8,
    /// The block.
    pub(crate) block: usize,
    /// Bytes asked for; 0 where that cannot be said any more.
    pub(crate) size: usize,
    /// From the first changed byte to the last.
    pub(crate) span: Span,
}

/// Tells the collector, unless this process is not recorded.
#[cold]
#[inline(never)]
pub(super) fn tell(overwrite: &Overwrite) {
    let here = 0u8;
    let mut seen = [0u8; SEEN_BYTES];
    let length = overwrite.span.length().min(SEEN_BYTES);
    for (at, byte) in seen[..length].iter_mut().enumerate() {
        // SAFETY: whoever found the change has just read there.
        *byte = unsafe { ((overwrite.span.first + at) as *const u8).read_volatile() };
    }
    if let Some(local) = gate::if_open()
        && let Some(mut thread) = thread::enter(local, (&raw const here) as usize)
    {
        emit::overwrite(&mut thread, overwrite, &seen, length);
    }
}
