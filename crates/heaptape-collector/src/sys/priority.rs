//! Who goes first where processors are few: the program, then whoever empties its rings, then all else.

/// Steps down by which the calling thread gives way to others.
const STEPS: libc::c_int = 5;

/// Lets other threads go first, the caller's own process's included, where they want the same processor.
pub(crate) fn give_way() {
    // SAFETY: plain call; in Linux it concerns the calling thread alone. That it is refused is no harm.
    unsafe { libc::nice(STEPS) };
}
