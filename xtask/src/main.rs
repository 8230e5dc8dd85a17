//! Developer tasks: `cargo xtask tidy | test | loom | miri | ui | cases | bench`.

#![forbid(unsafe_code)]

mod bench;
mod cases;
mod command;
mod markdown;
mod packages;
mod provenance;
mod test;
mod tidy;
mod ui;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask TASK
  tidy   the rules that no compiler checks: floors, module docs, unsafe code, std in the target
  test   everything a change must pass: format, tidy, lints, docs, tests, loom, short cases and bench
  loom   the wire's protocol under every interleaving
  miri   the wire's tests under Miri, where the toolchain has it
  ui     the page of reports, made of ui/: the bundle that is committed (needs Node)
         --check       whether it is what ui/ gives; the page's tests, in a browser too
  cases  programs with one mistake each: what heaptape finds, beside memcheck and gcc's sanitizers
         --short       heaptape alone, in the modes that have something to say
         --only NAME   only cases whose name contains NAME
         --mode MODE   plain, guard, left, check, memcheck or asan; more than one may be named
         --build WORD  appended to the compilers' options (-O2)
         --jobs N      at once; 2 unless said otherwise
         --write       keep the results: bench/CASES.md
  bench  what recording costs beside heaptrack, and whether all of it is right (15 minutes)
         --short       small, seconds, without heaptrack; only what is wrong fails it
         --rounds N    5 unless said otherwise
         --only NAME   only workloads whose name contains NAME
         --write       keep the results: bench/RESULTS.md, results.json, the plot, the README's table
         --guard       guard mode beside memcheck and ASan, and that it costs nothing unused (bench/GUARD.md)
         --page        reports instead: what they weigh, how they feel in a browser (bench/PAGE.md)
         --served      `heaptape ui` instead, on tapes of 100 million events (6 minutes; with --write bench/SERVED.md)
         --plot        measure nothing, draw the plot and the table anew; with --guard, its tables";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.first().map(String::as_str) {
        Some("tidy") => tidy::run(),
        Some("test") => test::run(),
        Some("loom") => test::loom(),
        Some("miri") => test::miri(),
        Some("ui") => ui::run(&words[1..]),
        Some("cases") => cases::run(&words[1..]),
        Some("bench") => bench::run(&words[1..]),
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
