//! Process trees: every process of the tree is on the tape, or named with the reason why not.

use super::build;
use super::check::{Check, Recorded, check, open, same_behaviour};
use super::history::replay;
use super::ledger;
use super::run;
use heaptape_tape::{Ending, Losses, ProcessId, Tape};
use std::collections::BTreeSet;

fn endings(recorded: &Recorded) -> Vec<Ending> {
    recorded.tape.processes().iter().map(|process| process.ending).collect()
}

#[test]
fn fork() {
    let recorded = check("fork");
    let processes = recorded.tape.processes();
    assert_eq!(processes.len(), 2);
    assert_eq!(processes[1].forked_from.map(|(parent, _)| parent), Some(ProcessId(0)));
    // The child's status goes to its parent, who is not us.
    assert_eq!(endings(&recorded), [Ending::Exited(7), Ending::Gone]);
    // The child began with the parent's hundred blocks.
    let inherited = recorded.tape.live_at_start(ProcessId(1)).expect("a live set");
    assert_eq!(inherited.blocks().filter(|block| block.size == 4099).count(), 100);
}

/// The thread that forked kept its stream in the parent's memory when another one of the child joined first.
#[test]
fn fork_and_the_first_call_by_another_thread() {
    let recorded = check("fork_then_thread");
    let processes = recorded.tape.processes();
    assert_eq!(processes[1].forked_from.map(|(parent, _)| parent), Some(ProcessId(0)));
    let inherited = recorded.tape.live_at_start(ProcessId(1)).expect("a live set");
    assert_eq!(inherited.blocks().filter(|block| block.size == 4111).count(), 1);
}

#[test]
fn fork_within_forks() {
    assert_eq!(check("fork_nested").tape.processes().len(), 5);
}

#[test]
fn fork_of_a_multithreaded_process() {
    assert_eq!(check("fork_threads").tape.processes().len(), 51);
}

/// A program that a recorded launcher records belongs to that recording: the outer one once took it, and the inner one saw
/// nothing.
#[test]
fn a_recording_within_a_recording() {
    let heaptape = env!("CARGO_BIN_EXE_heaptape");
    let inner = format!("{heaptape} run -o inner.tape -- {}", build::target("fork").display());
    let run = run::script(&format!("$W {inner} >/dev/null"), true);
    assert_eq!(run.status, run::bare(&[build::target("fork").into()]).status, "{}", run.stderr);
    let programs = |tape: &str| -> Vec<String> {
        let tape = Tape::open(&run.folder.path().join(tape)).expect("a tape");
        let name = |exe: &Vec<u8>| String::from_utf8_lossy(exe).into_owned();
        tape.processes().iter().map(|process| name(&process.exe)).collect()
    };
    let (outer, inner) = (programs("T.tape"), programs("inner.tape"));
    assert!(outer.len() == 1 && outer[0].ends_with("/heaptape"), "{outer:?}");
    assert!(inner.len() == 2 && inner.iter().all(|exe| exe.ends_with("/fork")), "{inner:?}");
}

#[test]
fn vfork_and_exec() {
    // A vforked child that has not yet replaced itself borrows its parent's memory: it is no process
    // of the tape, the image it becomes is.
    assert_eq!(check("vfork_exec").tape.processes().len(), 6);
}

#[test]
fn posix_spawn() {
    assert_eq!(check("posix_spawn").tape.processes().len(), 5);
}

#[test]
fn system_and_popen() {
    Check::of("shell").with_others().run();
}

#[test]
fn exec_replaces_a_process_twenty_times() {
    let recorded = check("exec_chain");
    let processes = recorded.tape.processes();
    assert_eq!(processes.len(), 21);
    assert!(processes.iter().all(|process| process.pid == processes[0].pid));
    let endings = endings(&recorded);
    assert!(endings[..20].iter().all(|ending| *ending == Ending::Exec), "{endings:?}");
    assert_eq!(endings[20], Ending::Exited(20));
}

#[test]
fn exec_with_an_empty_environment() {
    assert_eq!(check("bare_environment").tape.processes().len(), 2);
}

#[test]
fn a_daemon() {
    // The process in the middle allocates nothing, and is not recorded for that.
    let recorded = check("daemon");
    assert_eq!(recorded.tape.processes().len(), 2);
    let inherited = recorded.tape.live_at_start(ProcessId(1)).expect("a live set");
    assert!(inherited.blocks().any(|block| block.size == 4099));
}

#[test]
fn a_static_child_is_named() {
    let child = build::target("static");
    Check::of("spawns_static").arg(&child).unrecorded(child, "static").run();
}

#[test]
fn children_are_not_followed_when_not_asked_for() {
    let program = build::target("fork");
    let words = [program.into()];
    let bare = run::bare(&words);
    let recorded = run::recorded(&["--follow", "none"], &words);
    same_behaviour(&bare, &recorded);
    assert_eq!(open(&recorded).processes().len(), 1);
}

/// A child whose first call was exec was unknown to the launcher, and its program not recorded.
#[test]
fn fork_and_exec_at_once() {
    assert_eq!(check("exec_at_once").tape.processes().len(), 5);
}

/// The hooks of exec needed more than the stack had.
#[test]
fn exec_on_a_small_signal_stack() {
    assert_eq!(check("handler_exec").tape.processes().len(), 3);
}

/// The hooks of exec looked at what the kernel would have refused.
#[test]
fn exec_of_no_path_and_no_address() {
    check("bad_exec");
}

/// Forks that happened at once were told apart wrongly: a child got no parent, or another's heap.
#[test]
fn eight_threads_that_fork_at_once() {
    let recorded = check("forks_at_once");
    let (launched, children) = recorded.tape.processes().split_first().expect("processes");
    assert_eq!(children.len(), 8 * 15);
    for child in children {
        assert_eq!(child.forked_from.map(|(parent, _)| parent), Some(launched.id), "{child:?}");
        assert_eq!(recorded.tape.totals(child.id).frees, 1, "{child:?}");
    }
}

/// The child's stream was its own by thread id, and another thread took it over while the one that it
/// had borrowed used it.
#[test]
fn a_vfork_child_that_allocates_before_its_parents_thread() {
    let words = [build::target("vfork_first").into()];
    let (bare, recorded) = (run::bare(&words), run::recorded(&[], &words));
    same_behaviour(&bare, &recorded);
    let page = ledger::parse(&recorded.ledger).remove(0);
    let tape = open(&recorded);
    let [process] = tape.processes() else { panic!("{:#?}", tape.processes()) };
    assert_eq!(replay(&tape, process.id, &page.sizes()).counts, page.counts);
    // What may be missing is the child's own malloc and free, and is counted.
    let Losses { events, threads, abandoned, malformed, .. } = process.losses;
    let made = replay(&tape, process.id, &BTreeSet::from([77])).counts.into_values().sum::<u64>();
    assert_eq!((made + events, abandoned, malformed), (2, 0, 0), "{process:?}");
    assert!(threads <= 2, "{process:?}");
}
