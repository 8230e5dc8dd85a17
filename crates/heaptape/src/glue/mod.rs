//! Joins the crates: a tape, names from its modules' files, the progress of a read, the output.

mod block_files;
pub(crate) mod found;
mod names;
pub(crate) mod new_file;
mod order;
mod other;
mod output;
pub(crate) mod page;
mod progress;
mod reading;
pub(crate) mod report;
pub(crate) mod sources;

pub(crate) use block_files::{BlockError, BlockFiles};
pub(crate) use names::SymbolNames;
pub(crate) use order::word_beside_tape;
pub(crate) use output::{json_results, with_stdout};
pub(crate) use progress::WatchedTape;
pub(crate) use reading::Reading;
