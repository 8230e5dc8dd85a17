//! The filter of pages: one line of words that all must hold of a block (docs/page.md, "The filter"). The page reads the
//! same words by `ui/src/data/filter.ts`.
//!
//! ```text
//! fn:parse file:src/*.cpp size:>=64Ki life:<1ms thread:2 born:0.2s..0.4s alive:0.5s leaked -mod:libfoo addr:0x5555..
//! ```
//!
//! * [`words`]: reading them.
//! * [`ask`]: asking blocks.

pub mod ask;
mod number;
pub mod pattern;
pub mod words;

pub use ask::{Asked, Ground};
pub use words::{BlockFilter, WrongWord};
