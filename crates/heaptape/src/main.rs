//! The `heaptape` binary.
fn main() {}
