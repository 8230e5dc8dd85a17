//! Results to text, JSON and HTML. No arithmetic on the recording happens here.
//!
//! Every `render_*` takes a result of the analysis and a [`Canvas`], and writes lines that fit it: names
//! are shortened first, optional columns are dropped next, numbers are never cut. Text that comes from
//! the recorded program is escaped ([`text::escape`]) wherever it is written.

#![forbid(unsafe_code)]

pub mod addr;
pub mod at;
pub mod canvas;
pub mod chart;
pub mod contents;
pub mod crash;
pub mod ending;
pub mod errors;
pub mod events;
mod figure;
pub mod findings;
pub mod header;
mod html;
pub mod info;
pub mod json;
pub mod layout;
pub mod leaks;
mod overwrites;
pub mod page;
mod rss;
pub mod seeds;
mod sites;
pub mod summary;
pub mod text;
pub mod tree;
pub mod units;
pub mod valgrind;

pub use canvas::Canvas;
