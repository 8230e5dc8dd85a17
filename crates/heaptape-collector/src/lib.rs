//! Launches a program and turns its recorder's stream into a tape.
//!
//! The collector lives in the launcher: there is no daemon, and no thread of ours in the target. It
//! hands the target the recorder and an address, shares memory with every process that says hello,
//! drains one ring per thread, merges them into one history per process, and writes the tape.
//!
//! ```text
//!  launch ─▶ sys::spawn            hello ─▶ session ─┬▶ target (drain) ─▶ order (merge) ─▶ convert ─▶ book ─▶ tape
//!    └─ workdir, output, preflight                   ├▶ sample
//!                                                    └▶ contents
//! ```
//!
//! * [`run`] records one launch; [`die_as`] ends the launcher as the program ended.
//! * [`control`] asks the launcher of a running recording to do something.
//! * [`preflight`] tells what will and will not be seen of a program, and why.
//!
//! What the target says, on the socket and in the shared memory, is hostile until checked. The
//! launcher is not in the program's way: exit status, signals, terminal and descriptors are as without
//! it.

#![deny(unsafe_code)]

mod book;
mod cgroup;
mod check;
mod contents;
pub mod control;
mod convert;
mod guard;
mod headroom;
mod hello;
mod jit;
mod launch;
mod leaks;
mod maps;
mod nodes;
mod order;
mod output;
pub mod preflight;
mod sample;
mod session;
mod stacks;
#[allow(unsafe_code)] // the only place with it
mod sys;
mod target;
mod workdir;

pub use check::{Check, Checks};
pub use contents::Copied;
pub use guard::{Guard, GuardMode, GuardWith};
pub use launch::{Follow, FreeBacktraces, Launch, LaunchError, Outcome, die_as, run};
pub use session::Snapshots;
