//! A program dies of a fatal signal as it would have, or lives on as it would have; what it died of is on the tape.

use super::{build, check, run};
use heaptape_tape::{Crash, Ending, Tape};
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;

const SIGILL: i32 = 4;
const SIGTRAP: i32 = 5;
const SIGABRT: i32 = 6;
const SIGBUS: i32 = 7;
const SIGFPE: i32 = 8;
const SIGSEGV: i32 = 11;
const SIGSYS: i32 = 31;

/// Runs `targets/crashes.c` in this way, bare and recorded: both must look the same.
fn behaves(way: &str) -> Tape {
    looks_the_same(&[], &[build::target("crashes").into(), way.into()])
}

fn looks_the_same(options: &[&str], words: &[OsString]) -> Tape {
    let bare = run::bare(words);
    let recorded = run::recorded(options, words);
    check::same_behaviour(&bare, &recorded);
    let tape = check::open(&recorded);
    if let Some(signal) = bare.status.signal() {
        let ending = tape.processes()[0].ending;
        assert!(matches!(ending, Ending::Signalled(it, _) if it == signal), "{ending:?}");
    }
    tape
}

/// It dies of `signal`, and there is one crash on the tape.
fn dies(way: &str, signal: i32) -> Crash {
    let tape = behaves(way);
    let [crash] = tape.crashes() else { panic!("{:?}", tape.crashes()) };
    assert_eq!(crash.signal, signal, "{crash:x?}");
    crash.clone()
}

/// No crash is on the tape.
fn lives(way: &str) {
    let tape = behaves(way);
    assert!(tape.crashes().is_empty(), "{:?}", tape.crashes());
}

#[test]
fn of_faults() {
    assert_eq!(dies("segv", SIGSEGV).fault_addr, 4099);
    // An address that no address can be: the processor does not tell which.
    assert_eq!(dies("wild", SIGSEGV).fault_addr, 0);
    assert_eq!(dies("jump", SIGSEGV).ip, 0);
    assert_eq!(dies("lost_stack", SIGSEGV).sp, 16);
    dies("bus", SIGBUS);
    dies("fpe", SIGFPE);
    dies("ill", SIGILL);
    dies("trap", SIGTRAP);
    dies("sys", SIGSYS);
}

#[test]
fn of_signals_that_were_sent() {
    dies("abort", SIGABRT);
    dies("blocked_abort", SIGABRT);
    dies("corrupt", SIGABRT);
    dies("raise", SIGABRT);
    dies("kill", SIGSEGV);
    dies("kill_in_thread", SIGSEGV);
}

#[test]
fn of_stacks_that_overflow() {
    for way in ["overflow", "overflow_in_thread", "overflow_on_coroutine"] {
        let crash = dies(way, SIGSEGV);
        assert!(crash.fault_addr.abs_diff(crash.sp) < 4096, "{crash:x?}");
    }
    dies("overflow_in_malloc", SIGSEGV);
    dies("overflow_in_thread_in_malloc", SIGSEGV);
}

/// A thread that had never recorded had no alternate stack, and its crash was not on the tape.
#[test]
fn of_stacks_that_overflow_in_threads_that_never_allocate() {
    for way in ["overflow_in_silent_thread", "overflow_in_later_thread", "overflow_in_c11_thread"] {
        dies(way, SIGSEGV);
    }
    behaves("c11_thread");
    let tape = behaves("overflow_in_thread_of_child");
    let [crash] = tape.crashes() else { panic!("{:?}", tape.crashes()) };
    assert_eq!((crash.signal, crash.process.0), (SIGSEGV, 1));
}

#[test]
fn while_other_threads_run() {
    dies("many", SIGSEGV);
    dies("many_recorded", SIGSEGV);
    dies("among_others", SIGSEGV);
    dies("exit_meanwhile", SIGSEGV);
}

#[test]
fn on_little_room() {
    dies("small_signal_stack", SIGABRT);
    // Died of SIGSEGV: the kernel found no room there for our handler.
    dies("smallest_signal_stack", SIGABRT);
}

#[test]
fn after_handlers_of_its_own() {
    dies("default_again", SIGSEGV);
    dies("handler_resets", SIGSEGV);
    dies("handler_raises", SIGFPE);
    dies("handler_once", SIGSEGV);
}

/// No handler is run for these: only the end of the process tells.
#[test]
fn unseen() {
    lives("blocked");
    lives("abort_handled");
}

#[test]
fn in_children() {
    dies("child", SIGSEGV);
    lives("vfork_child");
    dies("vfork_child_and_parent", SIGSEGV);
}

#[test]
fn not_when_handled() {
    for way in [
        "opens",
        "opens_in_thread",
        "jumps",
        "jumps_from_stack",
        "jumps_in_thread",
        "overflows_and_lives",
        "overflows_and_lives_in_thread",
        "exits",
        "ignored",
        "signalfd",
    ] {
        lives(way);
    }
}

/// Whoever traces the process sees the same signal, with the same siginfo, at the same place.
#[test]
fn as_a_tracer_sees_it() {
    dies("traced_fault", SIGSEGV);
    dies("traced_raise", SIGABRT);
    dies("traced_queue", SIGSEGV);
    dies("traced_int3", SIGTRAP);
}

/// The threads stood still for the crash already, and could not be stopped again for its snapshot.
#[test]
fn the_contents_at_a_crash_with_threads_are_of_one_instant() {
    let words = [build::target("crashes").into(), "overflow_in_thread".into()];
    let tape = looks_the_same(&["--contents"], &words);
    let all: Vec<_> = tape.snapshots(tape.processes()[0].id).collect();
    assert!(matches!(all[..], [snapshot] if snapshot.one_instant), "{all:?}");
}

/// Crashes on the tape of a program that ends in this way when it can do little.
fn cornered(corner: &str, end: &str) -> usize {
    let words = [build::target("cornered").into(), corner.into(), end.into()];
    looks_the_same(&["--contents"], &words).crashes().len()
}

/// The recorder said on a socket that the process ends: a sandbox killed it for that.
#[test]
fn in_a_sandbox_that_kills() {
    assert_eq!(cornered("sandbox", "exit"), 0);
    assert_eq!(cornered("sandbox", "fault"), 1);
    assert_eq!(cornered("sandbox", "abort"), 1);
}

#[test]
fn without_descriptors() {
    assert_eq!(cornered("no_descriptors", "exit"), 0);
    assert_eq!(cornered("no_descriptors", "fault"), 1);
}

#[test]
fn with_a_launcher_that_is_stopped_for_a_while() {
    assert_eq!(cornered("stopped", "exit"), 0);
    assert_eq!(cornered("stopped", "fault"), 1);
}

#[test]
fn by_a_handler_that_ends_it_while_it_ends() {
    for _ in 0..20 {
        assert_eq!(cornered("alarmed", "exit"), 0);
    }
}

/// The first process of a container dies of faults, but of no signal that is sent to it.
#[test]
fn as_the_first_of_a_container() {
    let program = build::target("crashes");
    for (way, signal) in [("raise", None), ("segv", Some(SIGSEGV)), ("abort", Some(SIGSEGV))] {
        let script = format!("$W unshare --user --pid --fork {} {way}", program.display());
        let (bare, recorded) = (run::script(&script, false), run::script(&script, true));
        if bare.stderr.contains("unshare") {
            return; // no namespaces here
        }
        assert_eq!(bare.stdout, recorded.stdout, "{}", recorded.stderr);
        assert_eq!(bare.status.code(), recorded.status.code(), "{}", recorded.stderr);
        let tape = check::open(&recorded);
        // `unshare` sends itself the signal that its child has died of.
        let is_ours = |crash: &&Crash| {
            check::os(&tape.processes()[crash.process.0 as usize].exe) == program.as_os_str()
        };
        let crashes: Vec<i32> =
            tape.crashes().iter().filter(is_ours).map(|crash| crash.signal).collect();
        assert_eq!(crashes, Vec::from_iter(signal), "{way}");
    }
}

/// One, of the program, where cores are written to its working directory.
#[test]
fn a_core_is_left_as_ever() {
    let program = build::target("crashes");
    let script = format!(
        "ulimit -c unlimited; $W {} overflow >/dev/null 2>&1; echo $?; ls | grep -c ^core",
        program.display()
    );
    let (bare, recorded) = (run::script(&script, false), run::script(&script, true));
    assert_eq!(bare.stdout, recorded.stdout, "{}", recorded.stderr);
}

/// The process does not wait for it, and its end is known all the same.
#[test]
fn with_a_launcher_that_is_stopped_for_long() {
    assert_eq!(cornered("stopped_long", "fault"), 0);
}

#[test]
fn ours_is_not_to_be_seen() {
    let words = [build::target("dispositions").into()];
    let bare = run::bare(&words);
    assert!(bare.status.success());
    check::same_behaviour(&bare, &run::recorded(&[], &words));
}
