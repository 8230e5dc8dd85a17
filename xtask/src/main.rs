//! Developer tasks: tidy, test, bench.
fn main() {}
