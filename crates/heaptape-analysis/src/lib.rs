//! A recording and names in, plain results out.
//!
//! No I/O and no rendering: events come from a [`Recording`], frames from [`Names`], and every result is
//! a plain struct that text, JSON and HTML draw alike. Sizes are bytes and counts are exact; nothing is
//! sampled, nothing is interpolated. Memory is bounded by the live set and the number of backtraces,
//! never by the length of the recording.
//!
//! * [`summary`]: how much, when, by whom.
//! * [`findings`]: what stands out.
//! * [`rss`]: why resident memory is what it is.
//! * [`site_series`]: live bytes of call sites over time.
//! * [`at`]: the heap at a moment.
//! * [`layout`]: where the live blocks lie.
//! * [`tree`]: who called whom.
//! * [`leaks`]: what can still be reached, and by what.
//! * [`events`], [`addr`]: what happened, one by one.
//! * [`contents`]: what blocks contained.
//! * [`crash`]: why it died.
//! * [`errors`]: what was given back that was not to be given back so.
//! * [`index`], [`block_filter`]: the same of any tape, within bounds.
//! * [`lifetimes`], [`flows`], [`stacks`], [`times`]: all blocks with their whole lives, for pages that wind.
//! * [`estimate`]: what a sample says about the whole.
//! * [`info`]: what was recorded and what was not.

#![forbid(unsafe_code)]

pub mod addr;
pub mod at;
pub mod block_filter;
pub mod contents;
pub mod crash;
pub mod errors;
pub mod estimate;
pub mod events;
pub mod extents;
pub mod filter;
pub mod findings;
pub mod flows;
pub mod free_backtraces;
pub mod growth;
pub mod guarding;
mod hex;
pub mod index;
pub mod info;
pub mod layout;
pub mod leaks;
pub mod lifetimes;
pub mod memory;
pub mod metric;
pub mod moment;
pub mod names;
pub mod overwrites;
pub mod pages;
pub mod pools;
pub mod process;
pub mod ranking;
pub mod recording;
pub mod replay;
pub mod rss;
pub mod series;
pub mod site_series;
pub mod sites;
pub mod sizes;
pub mod stacks;
pub mod summary;
pub mod suppressions;
mod table;
pub mod temporary;
pub mod times;
pub mod tree;
pub mod unresolved;
pub mod usage;
pub mod wrappers;

pub use memory::MemoryRecording;
pub use metric::{Metric, Unit, Weight, Weights};
pub use moment::{Instant, When};
pub use names::{Frame, Names};
pub use recording::Recording;
pub use sites::{Site, SiteId, Sites};
