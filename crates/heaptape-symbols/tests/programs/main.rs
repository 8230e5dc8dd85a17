//! The symbolizer on real programs, built on the spot by the system's compilers.

mod files;
mod hostile;
mod names;
mod support;
