//! What heaptape keeps of its two seeds, vizzy and crunch: the files they read and write.
//!
//! The command lines are in `commands/`, the texts and pages in `heaptape_report::seeds`.

pub(crate) mod autopsy;
pub(crate) mod crunch_out;
pub(crate) mod source;
pub(crate) mod usage_file;
pub(crate) mod vizzy_log;
