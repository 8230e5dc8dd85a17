//! Threads: their first and last acts, their number, their races.

use super::check::{self, Check, check};
use super::{build, run};
use std::collections::BTreeSet;

#[test]
fn the_first_act_of_a_thread() {
    check("first_in_thread");
}

/// What is ahead of a thread's routine (`preload/threads.rs`) is not to be seen.
#[test]
fn how_threads_begin_is_not_to_be_seen() {
    let words = [build::target("threads_begin").into()];
    check::same_behaviour(&run::bare(&words), &run::recorded(&[], &words));
}

#[test]
fn the_last_acts_of_a_thread() {
    check("tls_destructor");
}

#[test]
fn a_thousand_short_threads() {
    let recorded = check("short_threads");
    assert_eq!(recorded.tape.threads().len(), 1001);
}

#[test]
fn sixty_four_threads_alive() {
    let recorded = check("many_threads");
    let names: BTreeSet<String> = recorded
        .tape
        .threads()
        .iter()
        .map(|thread| String::from_utf8_lossy(&thread.name).into_owned())
        .collect();
    for number in 0..64 {
        assert!(names.contains(&format!("worker-{number}")), "worker-{number} is not in {names:?}");
    }
}

/// The order property where it is hardest to keep: no free before its allocation, no reuse before its
/// free. `check` replays every event.
#[test]
fn addresses_reused_by_eight_threads() {
    check("reuse_storm");
}

/// The same on the short way of frees without backtraces.
#[test]
fn addresses_reused_by_eight_threads_without_backtraces_of_frees() {
    Check::of("reuse_storm").option("--free-backtraces=none").run();
}

#[test]
fn addresses_left_by_realloc_reused_by_eight_threads() {
    check("realloc_race");
}
