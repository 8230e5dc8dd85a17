//! The launcher as a process of its own: signals, stops, descriptors and its own death.
//!
//! This program is both: started with a script in the environment it is the launcher of that script,
//! in its main thread as a real launcher; otherwise it runs the tests, which start it so. The test
//! harness would run the launcher in a thread, whose signals are not the process's.

use heaptape_collector::{Launch, die_as, run};
use heaptape_tape::{Ending, ProcessId, Tape};
use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SCRIPT: &str = "LAUNCHER_TEST_SCRIPT";
const TAPE: &str = "LAUNCHER_TEST_TAPE";

fn main() {
    if let Some(script) = std::env::var_os(SCRIPT) {
        launch(script);
    }
    let tests: [(&str, fn()); 8] = [
        ("the_launcher_ends_as_the_program_ended", the_launcher_ends_as_the_program_ended),
        ("signals_reach_the_program", signals_reach_the_program),
        ("the_launcher_stops_with_the_program", the_launcher_stops_with_the_program),
        (
            "a_stop_of_the_program_alone_is_its_own_business",
            a_stop_of_the_program_alone_is_its_own_business,
        ),
        ("closed_descriptors_stay_closed", closed_descriptors_stay_closed),
        ("an_ignored_signal_stays_ignored", an_ignored_signal_stays_ignored),
        (
            "a_file_size_limit_is_an_error_and_not_a_death",
            a_file_size_limit_is_an_error_and_not_a_death,
        ),
        ("a_killed_launcher_leaves_a_tape", a_killed_launcher_leaves_a_tape),
    ];
    for (name, test) in tests {
        test();
        println!("test {name} ... ok");
    }
}

/// The launcher's life.
fn launch(script: OsString) -> ! {
    let tape = PathBuf::from(std::env::var_os(TAPE).unwrap());
    match run(Launch::new(vec!["sh".into(), "-c".into(), script], tape, &[])) {
        Ok(outcome) => {
            for warning in &outcome.warnings {
                eprintln!("{warning}");
            }
            die_as(outcome.ending)
        }
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(error.exit_code())
        }
    }
}

/// A launcher that records a shell script, itself started by the shell line `start`, in which `"$@"`
/// stands for it.
fn launcher(dir: &Path, start: &str, script: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", start, "sh"])
        .arg(std::env::current_exe().unwrap())
        .env(SCRIPT, script)
        .env(TAPE, dir.join("tape"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

const PLAINLY: &str = "exec \"$@\"";

fn start(dir: &Path, script: &str) -> Child {
    launcher(dir, PLAINLY, script).spawn().unwrap()
}

/// Waits until the script has made this file.
fn wait_for(path: &Path) {
    while !path.exists() {
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn kill(child: &Child, signal: i32) {
    // SAFETY: our own child, not yet waited for.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
}

fn state(pid: &str) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat[stat.rfind(')').unwrap() + 2..].chars().next().unwrap()
}

fn the_launcher_ends_as_the_program_ended() {
    let dir = tempfile::tempdir().unwrap();
    let status = launcher(dir.path(), PLAINLY, "exit 7").status().unwrap();
    assert_eq!(status.code(), Some(7));
    let dir = tempfile::tempdir().unwrap();
    let status = launcher(dir.path(), PLAINLY, "kill -USR2 $$").status().unwrap();
    assert_eq!(status.signal(), Some(libc::SIGUSR2));
    let dir = tempfile::tempdir().unwrap();
    let status = launcher(dir.path(), PLAINLY, "kill -KILL $$").status().unwrap();
    assert_eq!(status.signal(), Some(libc::SIGKILL));
}

fn signals_reach_the_program() {
    for (name, signal) in [("TERM", libc::SIGTERM), ("INT", libc::SIGINT), ("USR1", libc::SIGUSR1)]
    {
        let dir = tempfile::tempdir().unwrap();
        let ready = dir.path().join("ready");
        let script =
            format!("trap 'exit 42' {name}; : > {}; while :; do sleep 0.01; done", ready.display());
        let mut child = start(dir.path(), &script);
        wait_for(&ready);
        kill(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(42), "{name}");
        let tape = Tape::open(&dir.path().join("tape")).unwrap();
        assert_eq!(tape.processes()[0].ending, Ending::Exited(42));
    }
}

fn the_launcher_stops_with_the_program() {
    let dir = tempfile::tempdir().unwrap();
    let (ready, pid_file) = (dir.path().join("ready"), dir.path().join("pid"));
    let script =
        format!("echo $$ > {}; : > {}; kill -TSTP $$; exit 5", pid_file.display(), ready.display());
    // A job as a shell makes it: in an orphaned group nobody is stopped by the terminal's signals.
    let mut child = launcher(dir.path(), PLAINLY, &script).process_group(0).spawn().unwrap();
    wait_for(&ready);
    let program = std::fs::read_to_string(pid_file).unwrap();
    for _ in 0..10_000 {
        if state(&child.id().to_string()) == 'T' {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!((state(&child.id().to_string()), state(program.trim())), ('T', 'T'));
    kill(&child, libc::SIGCONT);
    assert_eq!(child.wait().unwrap().code(), Some(5));
}

fn a_stop_of_the_program_alone_is_its_own_business() {
    let dir = tempfile::tempdir().unwrap();
    let script = "(sleep 0.2; kill -CONT $$) & kill -STOP $$; exit 6";
    let status = launcher(dir.path(), PLAINLY, script).process_group(0).status().unwrap();
    assert_eq!(status.code(), Some(6));
    assert!(Tape::open(&dir.path().join("tape")).unwrap().condition().complete);
}

fn closed_descriptors_stay_closed() {
    let dir = tempfile::tempdir().unwrap();
    let script = "for fd in 0 1 2; do [ -e /proc/$$/fd/$fd ] && exit 1; done; exit 33";
    let start = "exec \"$@\" <&- >&- 2>&-";
    assert_eq!(launcher(dir.path(), start, script).status().unwrap().code(), Some(33));
    assert!(Tape::open(&dir.path().join("tape")).unwrap().condition().complete);
}

fn an_ignored_signal_stays_ignored() {
    let dir = tempfile::tempdir().unwrap();
    // A shell cannot trap what was ignored when it started: it survives the signal.
    let start = "trap '' PIPE TERM CHLD; exec \"$@\"";
    let script = "kill -PIPE $$; kill -TERM $$; kill -CHLD $$; exit 9";
    let status = launcher(dir.path(), start, script).status();
    assert_eq!(status.unwrap().code(), Some(9));
    let dir = tempfile::tempdir().unwrap();
    let status = launcher(dir.path(), PLAINLY, "kill -PIPE $$; exit 9").status();
    assert_eq!(status.unwrap().signal(), Some(libc::SIGPIPE));
}

fn a_file_size_limit_is_an_error_and_not_a_death() {
    let dir = tempfile::tempdir().unwrap();
    let limited = |start: &str| launcher(dir.path(), start, "exit 8").output().unwrap();
    // A tape that cannot be written is said before the program runs; memory that cannot be shared lets it
    // run unrecorded; and nobody is killed by SIGXFSZ.
    for (limit, code, reason) in [("-Sf", 125, "cannot write the tape"), ("-f", 8, "unrecorded")] {
        let output = limited(&format!("ulimit {limit} 0; exec \"$@\""));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(reason), "{said}");
    }
    assert!(!dir.path().join("tape").exists());
    // The program may write as little as before, the tape fits: nothing is different.
    let output = limited("ulimit -Sf 100; exec \"$@\"");
    assert_eq!(output.status.code(), Some(8));
    assert!(Tape::open(&dir.path().join("tape")).unwrap().condition().complete);
}

fn a_killed_launcher_leaves_a_tape() {
    let dir = tempfile::tempdir().unwrap();
    let ready = dir.path().join("ready");
    let script = format!(": > {}; exec sleep 1000", ready.display());
    let mut child = start(dir.path(), &script);
    wait_for(&ready);
    let program = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id()));
    kill(&child, libc::SIGKILL);
    child.wait().unwrap();
    let program: i32 = program.unwrap().trim().parse().unwrap();
    // The program goes on, into its long sleep; nobody but us ends it.
    while state(&program.to_string()) != 'S' {
        std::thread::sleep(Duration::from_millis(2));
    }
    // SAFETY: the grandchild, which still sleeps.
    unsafe { libc::kill(program, libc::SIGKILL) };
    let tape = Tape::open(&dir.path().join("tape")).unwrap();
    assert!(!tape.condition().complete);
    assert_eq!(tape.event_count(ProcessId(0)), 0);
}
