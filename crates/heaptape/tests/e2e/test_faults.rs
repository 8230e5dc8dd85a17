//! Faults: what becomes of the target and of the tape when the launcher is killed, stopped or cannot
//! write on.

use super::build;
use super::check::{lost_nothing, open, same_behaviour};
use super::history::replay;
use super::ledger;
use super::run::{self, Outcome};
use heaptape_tape::{Ending, ProcessId, Tape};

/// Waits until the target is in the middle of its run.
const UNTIL_READY: &str = "until [ -e ready ]; do sleep 0.01; done";
/// Lets it go on, and waits until it is done.
const UNTIL_DONE: &str = "touch go; until [ -e done ]; do sleep 0.01; done; echo done";

/// Runs `steady` in the background, with its process id in `$it`, and then this script.
fn steady(then: &str, record: bool) -> Outcome {
    let target = build::target("steady");
    run::script(&format!("$W {} & it=$!; {UNTIL_READY}; {then}", target.display()), record)
}

/// The ledger of a target that got to its end.
fn blocks_taken(outcome: &Outcome) -> u64 {
    let pages = ledger::parse(&outcome.ledger);
    pages.iter().flat_map(|page| page.counts.values()).sum()
}

#[test]
fn the_launcher_is_killed() {
    let run = steady(&format!("kill -KILL $it; wait $it 2>/dev/null; {UNTIL_DONE}"), true);
    assert_eq!(run.stdout, "done\n", "the target goes on; {}", run.stderr);
    assert_eq!(blocks_taken(&run), 602_001, "the target went on to its end");
    let tape = Tape::open(&run.tape()).expect("a cut tape opens");
    assert!(!tape.condition().complete, "{:?}", tape.condition());
}

/// A tape that is being written was called cut, as if something had gone wrong, and what was live on it never freed.
#[test]
fn a_tape_is_cut_only_once_nobody_writes_it() {
    let heaptape = env!("CARGO_BIN_EXE_heaptape");
    let info = format!("{heaptape} info T.tape 2>&1");
    let run = steady(
        &format!(
            "{info} > during; for try in $(seq 200); do \
             {heaptape} summary T.tape > part 2>&1 && break; sleep 0.05; done; \
             kill -KILL $it; wait $it 2>/dev/null; {UNTIL_DONE}; {info} > after"
        ),
        true,
    );
    let part = std::fs::read_to_string(run.folder.path().join("part")).expect("it was said");
    assert!(part.contains("So far"), "{part}");
    assert!(!part.contains("At exit") && !part.to_lowercase().contains("never freed"), "{part}");
    let said = |name: &str| {
        let text = std::fs::read_to_string(run.folder.path().join(name)).expect("it was said");
        (text.contains("recording was going on"), text.contains("not ended in order"), text)
    };
    let (during, after) = (said("during"), said("after"));
    assert!(during.0 && !during.1, "{}", during.2);
    assert!(!after.0 && after.1, "{}", after.2);
}

#[test]
fn the_launcher_is_stopped_for_a_while() {
    let run =
        steady(&format!("kill -STOP $it; {UNTIL_DONE}; kill -CONT $it; wait $it; echo $?"), true);
    assert_eq!(run.stdout, "done\n3\n", "the target goes on; {}", run.stderr);
    let tape = open(&run);
    let process = &tape.processes()[0];
    // Either it was waited for, or what was not recorded is counted and said.
    if tape.totals(process.id).allocs < 301_001 {
        assert!(process.losses.any(), "{process:?}");
        assert!(run.stderr.to_lowercase().contains("lost"), "it is said: {}", run.stderr);
    }
}

#[test]
fn the_launcher_is_told_to_terminate() {
    let then = "kill -TERM $it; wait $it; echo $?";
    let (bare, recorded) = (steady(then, false), steady(then, true));
    assert_eq!(bare.stdout, recorded.stdout, "{}", recorded.stderr);
    let tape = open(&recorded);
    lost_nothing(&tape, false);
    assert!(matches!(tape.processes()[0].ending, Ending::Signalled(15, _)));
}

#[test]
fn the_tape_may_not_grow_on() {
    let target = build::target("reuse_storm");
    // More than the recorder's library, which is laid down as a file, and less than the tape of three storms.
    let storm = target.display();
    let script = format!("ulimit -S -f 400; $W sh -c '{storm}; {storm}; {storm}'; echo $?");
    let (bare, recorded) = (run::script(&script, false), run::script(&script, true));
    assert_eq!(bare.stdout, recorded.stdout, "{}", recorded.stderr);
    assert!(recorded.stderr.contains("T.tape"), "it is said: {:?}", recorded.stderr);
    let tape = Tape::open(&recorded.tape()).expect("a cut tape opens");
    assert!(!tape.condition().complete, "{:?}", tape.condition());
    replay(&tape, ProcessId(0), &Default::default());
}

/// The search for leaks ended the launcher where `ulimit -v` had left it nothing, and the program's exit status with it.
#[test]
fn address_space_is_limited() {
    let frames = build::target("frames").display().to_string();
    // Takes all that there is.
    let perl = "perl -e 'my @a; push @a, \"x\" x 1000000 for 1 .. 1000'".to_owned();
    for (command, kibibytes) in [(&perl, 150_000), (&frames, 150_000), (&frames, 400_000)] {
        let script = format!("ulimit -v {kibibytes}; $W {command}; echo $?");
        let (bare, recorded) = (run::script(&script, false), run::script(&script, true));
        assert_eq!(bare.stdout, recorded.stdout, "{command}: {}", recorded.stderr);
        assert!(!recorded.stderr.contains("memory allocation"), "{command}: {}", recorded.stderr);
    }
}

#[test]
fn a_tape_is_not_overwritten() {
    let target = build::target("frames");
    let run = run::script(
        &format!("echo mine >T.tape; $W {}; echo $?; cat T.tape; ls T.1.tape", target.display()),
        true,
    );
    assert!(run.stdout.ends_with("0\nmine\nT.1.tape\n"), "{:?}", run.stdout);
    assert!(run.stderr.contains("T.1.tape (--force replaces)"), "{}", run.stderr);
    assert!(!run.ledger.is_empty(), "the target ran");
}

#[test]
fn a_malloc_of_the_program_is_left_alone() {
    let words = [build::target("own_malloc").into()];
    let (bare, recorded) = (run::bare(&words), run::recorded(&[], &words));
    same_behaviour(&bare, &recorded);
    assert!(recorded.stderr.contains("malloc"), "it is said: {:?}", recorded.stderr);
}

/// Each child waited for the stopped launcher anew: thirty of them for longer than a run may take.
#[test]
fn the_launcher_is_stopped_while_the_target_forks() {
    let target = build::target("forks_in_between");
    let script = |stop: &str, go_on: &str| {
        format!(
            "$W {} & it=$!; {UNTIL_READY}; {stop} {UNTIL_DONE}; {go_on} wait $it; echo $?",
            target.display()
        )
    };
    let bare = run::script(&script("", ""), false);
    let recorded = run::script(&script("kill -STOP $it;", "kill -CONT $it;"), true);
    assert_eq!(bare.stdout, "30 children\ndone\n30\n", "{}", bare.stderr);
    assert_eq!(bare.stdout, recorded.stdout, "{}", recorded.stderr);
    let pages = ledger::parse(&recorded.ledger);
    assert_eq!(pages.len(), 31, "the target and its children went on to their ends");
    let tape = open(&recorded);
    for process in tape.processes() {
        replay(&tape, process.id, &Default::default());
    }
}
