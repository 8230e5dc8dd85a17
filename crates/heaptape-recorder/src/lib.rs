//! Everything that happens inside the target, except the exported symbols.
//!
//! ```text
//!  preload hook ─▶ gate ─▶ thread (its stream) ─▶ capture (backtrace → node id) ─▶ emit ─▶ ring
//!                   │closed: straight to the real function
//! ```
//!
//! A guest: nothing here allocates from the target's heap, prints, aborts, or holds a lock of its own
//! while it calls libc or unwinds; the descriptors it needs live for the length of one handshake.
//! On trouble the gate closes, the loss is counted, and the program runs on.
//!
//! * [`gate`]: whether we record, the state of this process, what happens after a fork.
//! * [`thread`]: the state of one thread: its stream, its place in a hook, its memory of backtraces.
//! * [`capture`]: stack → backtrace id.
//! * [`emit`]: records into the ring, waiting when it is full.
//! * [`call`]: the meaning of each allocator call, for the hooks.
//! * [`tag`]: what C++'s operators say of the calls that they make.
//! * [`sampling`]: which allocations are recorded, where not all are.
//! * [`guard`]: the allocators of `--guard` and `--check`.
//! * [`modules`]: which ELF files the code addresses lie in, over time.
//! * [`follow`]: what a program made by `exec` inherits.
//! * [`ending`]: the last moment of a process. * [`crash`]: fatal signals. * [`altstack`]: room for their handler.
//! * [`sys`]: system calls, thread-local storage, loaded objects.

#![cfg_attr(not(test), no_std)]

pub mod altstack;
pub mod call;
pub mod capture;
pub mod crash;
pub mod emit;
pub mod ending;
pub mod follow;
pub mod gate;
pub mod guard;
mod link;
pub mod modules;
mod patience;
mod plea;
pub mod sampling;
pub mod sys;
pub mod tag;
pub mod thread;

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!("the recorder knows Linux on x86-64 only, so far");
