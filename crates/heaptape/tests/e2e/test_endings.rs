//! However a process ends, what it did before is on the tape, and its end is passed on.

use super::check::{Check, Recorded};
use heaptape_tape::Ending;

fn ends(way: &str) -> Recorded {
    Check::of("ending").arg(way).run()
}

fn exits(way: &str, code: i32) {
    assert_eq!(ends(way).tape.processes()[0].ending, Ending::Exited(code));
}

fn dies(way: &str, expected: i32) {
    let ending = ends(way).tape.processes()[0].ending;
    assert!(matches!(ending, Ending::Signalled(signal, _) if signal == expected), "{ending:?}");
}

#[test]
fn by_return() {
    exits("return", 0);
}

#[test]
fn by_exit() {
    exits("exit", 3);
}

#[test]
fn by_underscore_exit() {
    exits("_exit", 4);
}

#[test]
fn by_underscore_capital_exit() {
    exits("_Exit", 5);
}

#[test]
fn by_quick_exit() {
    exits("quick_exit", 6);
}

#[test]
fn by_pthread_exit_of_main() {
    exits("pthread_exit", 0);
}

#[test]
fn by_abort() {
    dies("abort", 6);
}

#[test]
fn by_sigkill() {
    dies("kill", 9);
}

#[test]
fn by_sigterm() {
    dies("term", 15);
}

#[test]
fn by_a_fault() {
    dies("segv", 11);
}

#[test]
fn by_stack_overflow() {
    dies("overflow", 11);
}

#[test]
fn by_handlers_that_allocate() {
    let recorded = super::check::check("atexit");
    assert_eq!(recorded.tape.processes()[0].ending, Ending::Exited(9));
}

/// glibc aborts on a double free: the tape must show the second free as one of no live block.
#[test]
fn by_a_double_free() {
    let words = [super::build::target("ending").into(), "double_free".into()];
    let bare = super::run::bare(&words);
    let recorded = super::run::recorded(&[], &words);
    super::check::same_behaviour(&bare, &recorded);
    let tape = super::check::open(&recorded);
    let process = &tape.processes()[0];
    assert!(!process.losses.any(), "{:?}", process.losses);
    assert_eq!(tape.totals(process.id).unmatched_frees, 1);
}
