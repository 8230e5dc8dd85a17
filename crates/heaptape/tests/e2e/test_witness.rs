//! An independent witness: valgrind counts the same allocations, frees and bytes.

use super::build;
use super::run;
use super::valgrind::Summary;
use heaptape_tape::{ProcessId, Tape};

/// Both count all acts of the whole process: libc's stdio buffers, libstdc++'s emergency pool of
/// 72,704 bytes and the threads' control blocks are in either number.
fn agree(name: &str) {
    let program = build::target(name);
    let recorded = run::recorded(&[], &[program.clone().into()]);
    let tape = Tape::open(&recorded.tape()).expect("a tape");
    let ours = Summary::of_tape(&tape.totals(ProcessId(0)));
    assert_eq!(ours, Summary::of_valgrind(&program), "the tape (left) and valgrind, of {name}");
}

#[test]
fn agrees_on_leaks() {
    agree("samples/leak-2");
    agree("samples/leak-3");
    agree("samples/char-leak");
}

#[test]
fn agrees_on_realloc_and_stdio() {
    agree("samples/normal");
}

#[test]
fn agrees_on_containers_and_streams() {
    agree("samples/cpp");
    agree("samples/shared-ptr");
}

#[test]
fn agrees_on_recursion() {
    agree("deep");
}

#[test]
fn agrees_on_exit_handlers() {
    agree("atexit");
}

#[test]
fn agrees_on_operator_new() {
    agree("mismatch");
}
