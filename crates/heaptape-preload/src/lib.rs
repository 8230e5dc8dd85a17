//! The library that is preloaded into the target: it exports the malloc family and little else.
//!
//! Every hook is a stub of a few instructions that notes the stack and frame pointers of its caller (the
//! backtrace starts there, none of our frames is in it) and goes on in Rust: the real function, found
//! by [`real`], and around it the recorder's word for the call (`heaptape_recorder::call`).
//!
//! * [`heap`]: malloc and its kin. * [`cxx`]: operators new and delete. * [`maps`]: mmap and its kin.
//! * `guard`: another allocator in the place of the program's.
//! * [`process`]: start, end, fork, exec, dlopen, dlclose. * [`signals`]: who handles what, and where.
//! * [`threads`]: where threads begin.
//! * [`tables`]: unwind tables of code made at run time. * `runtime`: what a library without std must bring.
//!
//! What may be exported is listed in `exports.txt`; a test compares.

#![no_std]
// The hooks are called by the target with C's promises; each states what it does in its stub.
#![allow(clippy::missing_safety_doc)]
// `call_real!` is for this crate's own hooks, whose arguments are plain words.
#![allow(clippy::macro_metavars_in_unsafe)]

pub mod cxx;
mod guard;
pub mod heap;
pub mod maps;
pub mod process;
pub mod real;
#[cfg(heaptape_preload)]
pub mod runtime;
pub mod signals;
pub mod tables;
pub mod threads;
