//! Modules on disk to names: function, file, line, and the functions inlined there.
//!
//! A tape keeps addresses; this crate gives them names, late and on demand, on any machine that has
//! the files. A file is believed only if its build id is the recorded one, and every address that
//! stays without a name says why ([`Reason`]).
//!
//! * [`SearchPaths`]: where files may be looked for.
//! * [`Symbolizer`]: opens each module on first use and remembers every answer.
//! * [`demangle()`], [`short_name`]: C++ and Rust names for people.
//!
//! Everything read here is hostile: paths on the tape, ELF files, DWARF, names. Only regular files
//! are opened, nothing is fetched from a network, parsing has a budget of work and of stack
//! (`guard`), and what cannot be read becomes a [`Reason`], never a panic or a hang.

#![deny(unsafe_code)]

mod answer;
mod calls;
mod demangle;
mod dwarf;
mod elf;
mod guard;
mod held;
mod loaded;
mod locate;
mod mapped;
mod search;
mod symbolizer;
mod symtab;

pub use answer::{Frame, ModuleState, Reason, Resolved};
pub use demangle::{demangle, short_name};
pub use held::Held;
pub use search::SearchPaths;
pub use symbolizer::Symbolizer;
