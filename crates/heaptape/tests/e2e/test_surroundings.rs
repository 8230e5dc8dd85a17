//! Unfriendly surroundings: no descriptors, no /proc, little memory.

use super::build;
use super::check::{Check, check, open, same_behaviour};
use super::history::replay;
use super::ledger::{self, Counts};
use super::run;
use heaptape_tape::Losses;

#[test]
fn started_with_standard_streams_closed() {
    check("closed_at_start");
}

#[test]
fn standard_streams_closed_on_the_way() {
    check("stdout_closed");
}

#[test]
fn few_descriptors() {
    Check::of("limited").arg("nofile").run();
}

#[test]
fn little_address_space() {
    Check::of("limited").arg("as").run();
}

#[test]
fn a_root_without_proc() {
    let probe = run::bare(&[build::target("no_proc").into(), "{folder}".into()]);
    if probe.status.code() == Some(77) {
        eprintln!("skipped: changing the root directory needs root");
        return;
    }
    Check::of("no_proc").arg("{folder}").run();
}

#[test]
fn libraries_that_come_and_go() {
    let libraries = [build::target("plugin_a"), build::target("plugin_b")];
    let [a, b] = libraries;
    Check::of("dlopen").arg(a).arg(b).run();
}

/// The first plug-in's operators were remembered for the second.
#[test]
fn plug_ins_with_operators_of_their_own() {
    let first = build::target("plugin_operators");
    let second = build::variant("plugin_operators", "second");
    Check::of("plugins").arg(first).arg(second).run();
}

#[test]
fn an_allocator_that_the_program_is_linked_with() {
    check("other_allocator");
}

/// Objects without the GNU hash table were passed over, and libc's malloc taken instead of theirs.
#[test]
fn an_allocator_with_the_old_hash_table_only() {
    Check::program(build::variant("other_allocator", "old_hash")).run();
}

/// Threads that could get no memory to record to were not counted, or kept later ones from it.
#[test]
fn threads_begun_without_descriptors_are_counted_and_later_ones_recorded() {
    let words = [build::target("descriptors_gone").into()];
    let (bare, recorded) = (run::bare(&words), run::recorded(&[], &words));
    same_behaviour(&bare, &recorded);
    let page = ledger::parse(&recorded.ledger).remove(0);
    let tape = open(&recorded);
    let process = &tape.processes()[0];
    let of = |counts: &Counts, hard_time: bool| -> Counts {
        let chosen = counts.iter().filter(|((_, _, size), _)| (*size == 4099) == hard_time);
        chosen.map(|(key, count)| (key.clone(), *count)).collect()
    };
    let counts = replay(&tape, process.id, &page.sizes()).counts;
    assert_eq!(of(&counts, false), of(&page.counts, false));
    // The first threads may share memory that is there; each other loses all its calls.
    let sum = |counts: Counts| counts.values().sum::<u64>();
    let events = sum(of(&page.counts, true)) - sum(of(&counts, true));
    assert!(events > 0, "the surroundings were hard: {process:?}");
    let Losses { events: lost, threads, .. } = process.losses;
    assert_eq!(threads, events / 2000, "{process:?}");
    // glibc ends a thread with free(NULL), twice: calls that were not recorded either.
    assert!((events..=events + 2 * threads).contains(&lost), "{process:?}");
    assert_eq!((process.losses.abandoned, process.losses.malformed), (0, 0), "{process:?}");
}
