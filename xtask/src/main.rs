//! Developer tasks: `cargo xtask tidy | test | loom | miri | bench`.

#![forbid(unsafe_code)]

mod bench;
mod command;
mod test;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask TASK
  tidy   the rules that no compiler checks: floors, module docs, unsafe code, std in the target
  test   everything a change must pass: format, lints, tidy, tests, loom, documentation
  loom   the wire's protocol under every interleaving
  miri   the wire's tests under Miri, where the toolchain has it
  bench  what recording costs and how fast tapes are wound; with --write, kept in bench/RESULTS.md";

fn main() -> ExitCode {
    let task = std::env::args().nth(1);
    let done = match task.as_deref() {
        Some("tidy") => tidy::run(),
        Some("test") => test::run(),
        Some("loom") => test::loom(),
        Some("miri") => test::miri(),
        Some("bench") => bench::run(std::env::args().nth(2).as_deref() == Some("--write")),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
