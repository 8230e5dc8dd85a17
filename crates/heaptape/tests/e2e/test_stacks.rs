//! Stacks that are hard to walk, and jumps that leave frames without returning.

use super::build;
use super::check::{Check, check};
use heaptape_tape::ProcessId;

#[test]
fn longjmp() {
    check("longjmp");
}

#[test]
fn longjmp_out_of_a_signal_handler() {
    check("siglongjmp");
}

#[test]
fn handlers_that_allocate() {
    check("signal");
}

#[test]
fn a_timer_that_interrupts_everything() {
    check("signal_storm");
}

#[test]
fn exceptions() {
    check("exceptions");
}

#[test]
fn exceptions_with_frame_pointers() {
    Check::program(build::variant("exceptions", "frame_pointer")).run();
}

#[test]
fn bad_alloc_and_new_handlers() {
    Check::of("bad_alloc").failures_are_attempts().run();
}

#[test]
fn fibers_on_stacks_that_vanish() {
    check("fibers");
}

#[test]
fn code_without_unwind_tables() {
    // Where a walk stops at such code, its backtrace says that its callers are unknown.
    Check::of("jit").some_backtraces_truncated().run();
}

#[test]
fn large_frames_and_own_stacks() {
    check("big_stack");
}

#[test]
fn deeper_than_the_bound() {
    let recorded = Check::of("deeper").some_backtraces_truncated().run();
    let losses = recorded.tape.processes()[0].losses;
    assert!(losses.truncated_backtraces > 0, "{losses:?}");
    assert!(recorded.tape.event_count(ProcessId(0)) >= 400);
}
