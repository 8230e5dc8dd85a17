//! The vocabulary of heaptape and the file that holds a recording.
//!
//! A *tape* is the recording of one process tree: every allocation and free with time, thread, size and
//! backtrace; modules as they come and go; memory samples; how it ended. It can be wound to any
//! moment: it carries *keyframes* (the live set at an instant) and an index, so that "the heap at t"
//! costs one seek and a short replay in bounded memory, whatever the length of the tape.
//!
//! * [`model`]: ids, events, and the facts beside them (processes, threads, modules, samples).
//! * [`crash`]: how a process came to a bad end.
//! * `live`: the live set: what is allocated and not yet freed, kept while events go by.
//! * [`mod@write`]: the file, written front to back, whole blocks at a time.
//! * [`read`]: the file opened: index, salvage of a cut file, replay from keyframes.
//!
//! The format is described in `docs/format.md` and is readable for ever: unknown blocks are skipped.

#![forbid(unsafe_code)]

mod addresses;
mod ahead;
mod blocks;
mod columns;
pub mod crash;
mod ends;
mod events;
mod facts;
mod format;
mod history;
mod index;
mod keyframe;
pub mod leaks;
mod limits;
pub mod lineage;
mod live;
mod meta;
pub mod model;
mod nodes;
mod open;
mod packer;
mod pages;
mod places;
pub mod read;
mod replay;
mod run;
mod salvage;
mod shapes;
mod snapshots;
mod strip;
mod varint;
mod walk;
pub mod write;

pub use crash::{Access, CgroupMemory, Crash, Registers, Stack};
pub use format::{FORMAT_MAJOR, FORMAT_MINOR};

pub use leaks::{
    LeakBlock, LeakDoubts, LeakKind, LeakOwner, LeakPlace, LeakScan, LeakTotal, PlaceKind,
};
pub use limits::{Limits, live_bytes};
pub use live::{Effect, FORESEEN, LiveBlock, LiveSet, Totals};
pub use model::*;
pub use nodes::Nodes;
pub use pages::{MAX_PAGES, Pages};
pub use read::{Condition, Moment, Tape, TapeError};
pub use run::{Run, Stretch};
pub use snapshots::{Bytes, Memory};
pub use strip::{StripError, Stripped};
pub use walk::Take;
pub use write::TapeWriter;
