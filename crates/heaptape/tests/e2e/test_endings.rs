//! However a process ends, what it did before is on the tape, and its end is passed on.

use super::check::{Check, Recorded};
use super::run;
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
    let bare = run::bare(&words);
    let recorded = run::recorded(&[], &words);
    super::check::same_behaviour(&bare, &recorded);
    let tape = super::check::open(&recorded);
    let process = &tape.processes()[0];
    assert!(!process.losses.any(), "{:?}", process.losses);
    assert_eq!(tape.totals(process.id).unmatched_frees, 1);
}

#[test]
fn a_crash_is_on_the_tape() {
    let recorded = ends("segv");
    let [crash] = recorded.tape.crashes() else { panic!("{:?}", recorded.tape.crashes()) };
    assert_eq!((crash.signal, crash.fault_addr), (11, 4099), "{crash:?}");
    let module = recorded.tape.modules().iter().find(|m| (m.start..m.end).contains(&crash.ip));
    let path = module.map(|module| super::check::os(&module.path));
    assert_eq!(path, Some(recorded.program.as_os_str()), "{crash:x?}");
}

/// As Ctrl-C at a terminal: the launcher and the program each get the signal.
#[test]
fn by_an_interrupt_to_all() {
    let target = super::build::target("steady");
    // Jobs under control are groups of their own, and do not ignore the signal.
    let script = format!(
        "set -m; $W {} & it=$!; until [ -e ready ]; do sleep 0.01; done; \
         kill -INT -- -$it; wait $it; echo $?",
        target.display()
    );
    let (bare, recorded) = (run::script(&script, false), run::script(&script, true));
    assert_eq!(bare.stdout, "130\n", "{}", bare.stderr);
    assert_eq!(bare.stdout, recorded.stdout, "{}", recorded.stderr);
    let tape = super::check::open(&recorded);
    super::check::lost_nothing(&tape, false);
    assert!(matches!(tape.processes()[0].ending, Ending::Signalled(2, _)));
}
