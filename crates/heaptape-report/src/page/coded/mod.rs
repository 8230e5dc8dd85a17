//! Tables as a report holds them: each number is said by how well it was foreseen (`docs/page.md`, Stories).
//!
//! * `coder`: decisions and their chances become bytes.
//! * `models`: numbers become decisions.
//! * [`blocks`]: the blocks of a process, with `story`, `heap` (addresses) and `live` (what may end).
//! * [`stacks`]: its backtraces; [`times`]: when its events happened.

pub mod blocks;
mod coder;
mod heap;
mod live;
mod models;
pub mod stacks;
mod story;
#[cfg(test)]
mod tests;
pub mod times;
