//! Stacks that are hard to walk, and jumps that leave frames without returning.

use super::build;
use super::check::{Check, check, open, same_behaviour};
use super::frames::{Names, is_whole};
use super::history::replay;
use super::ledger;
use super::run;
use heaptape_tape::{Losses, ProcessId};
use std::collections::BTreeSet;

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

/// A stream that a new thread took over brought with it what was readable of its last owner's stack.
#[test]
fn a_stack_unmapped_and_its_stream_taken_over() {
    Check::of("stack_taken_over").some_backtraces_truncated().run();
}

/// A jump out of the recorder lost the frames that it had announced but not published, and with them all
/// backtraces that shared them. Half-way through its notes, it made all later announcements senseless,
/// or gave a frame the node of another.
#[test]
fn jumps_out_of_the_recorder_lose_at_most_one_event_each() {
    let program = build::target("jump_out");
    let words = [program.clone().into()];
    let (bare, recorded) = (run::bare(&words), run::recorded(&[], &words));
    same_behaviour(&bare, &recorded);
    let page = ledger::parse(&recorded.ledger).remove(0);
    let rounds = page.counts.values().sum::<u64>() - 2; // and two calls before all jumps
    assert_eq!(rounds, 299);

    let tape = open(&recorded);
    let process = &tape.processes()[0];
    assert_eq!(replay(&tape, process.id, &page.sizes()).counts, page.counts, "after the jumps");
    let jumped_from = replay(&tape, process.id, &BTreeSet::from([1013])).counts;
    let jumped_from = jumped_from.into_values().sum::<u64>();
    assert!((1..rounds).contains(&jumped_from), "jumps before and after the record: {jumped_from}");
    let Losses { abandoned, .. } = process.losses;
    assert!(abandoned <= rounds, "{process:?}");
    let only = Losses { abandoned, waited_ns: process.losses.waited_ns, ..Losses::default() };
    assert_eq!(process.losses, only);

    let mut names = Names::new(&tape, &program);
    for event in tape.events(process.id, 0).map(|event| event.expect("a readable event")) {
        if event.size == 4099 {
            let chain = names.of(event.backtrace);
            assert!(is_whole(&tape, event.backtrace), "{event:?}");
            assert_eq!(chain.iter().filter(|name| *name == "descend").count(), 13, "{chain:?}");
            assert!(chain.contains(&"main".to_owned()), "{chain:?}");
        }
    }
}
