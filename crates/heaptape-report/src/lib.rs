//! Results to text, JSON and HTML. No arithmetic on the recording happens here.

#![forbid(unsafe_code)]

pub mod canvas;
pub mod seeds;
pub mod text;

pub use canvas::Canvas;
