//! Real programs launched without a recorder: what the launcher promises about exit status, signals,
//! files and descriptors.

use heaptape_collector::{Launch, LaunchError, Outcome, run};
use heaptape_tape::{Ending, Tape};
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

fn launch(dir: &Path, command: &[&str]) -> Launch {
    let command = command.iter().map(Into::into).collect();
    Launch::new(command, dir.join("%e.%p.tape"), &[])
}

fn record(command: &[&str]) -> (tempfile::TempDir, Outcome) {
    let dir = tempfile::tempdir().unwrap();
    let outcome = run(launch(dir.path(), command)).unwrap();
    (dir, outcome)
}

/// Standard output of a command.
fn output(command: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("out");
    let mut launch = launch(dir.path(), command);
    launch.stdout = Some(File::create(&to).unwrap());
    run(launch).unwrap();
    fs::read_to_string(to).unwrap()
}

#[test]
fn the_exit_status_comes_through() {
    assert_eq!(record(&["true"]).1.ending, Ending::Exited(0));
    assert_eq!(record(&["sh", "-c", "exit 3"]).1.ending, Ending::Exited(3));
}

#[test]
fn the_signal_comes_through() {
    let (_dir, outcome) = record(&["sh", "-c", "kill -TERM $$"]);
    assert_eq!(outcome.ending, Ending::Signalled(libc::SIGTERM, false));
}

#[test]
fn a_program_that_never_says_hello_has_a_tape_all_the_same() {
    let (_dir, outcome) = record(&["sh", "-c", "exit 3"]);
    assert_eq!(
        outcome.tape.file_name().unwrap().to_str().unwrap(),
        format!("sh.{}.tape", outcome.pid)
    );
    let file = fs::metadata(&outcome.tape).unwrap();
    assert_eq!(file.mode() & 0o7777, 0o600);
    assert_eq!(file.len(), outcome.bytes);

    let tape = Tape::open(&outcome.tape).unwrap();
    assert!(tape.condition().complete);
    assert_eq!(tape.header().command, [&b"sh"[..], b"-c", b"exit 3"]);
    let [process] = tape.processes() else { panic!("{:?}", tape.processes()) };
    assert_eq!((process.pid, process.ending), (outcome.pid, Ending::Exited(3)));
    assert!(process.end > process.start);
}

#[test]
fn programs_that_cannot_run_leave_no_tape() {
    let dir = tempfile::tempdir().unwrap();
    let error = run(launch(dir.path(), &["no-such-program-here"])).unwrap_err();
    assert!(matches!(error, LaunchError::NotFound(_)), "{error}");
    assert_eq!(error.exit_code(), 127);
    let error = run(launch(dir.path(), &["/etc/passwd"])).unwrap_err();
    assert_eq!(error.exit_code(), 126, "{error}");
    let error = run(launch(dir.path(), &["/tmp"])).unwrap_err();
    assert_eq!(error.exit_code(), 126, "{error}");
    assert_eq!(run(launch(dir.path(), &[])).unwrap_err().exit_code(), 127);
    // Found, executable, and still refused by the kernel: the tape is taken back.
    let script = dir.path().join("script");
    fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let error = run(launch(dir.path(), &[script.to_str().unwrap()])).unwrap_err();
    assert_eq!(error.exit_code(), 127, "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn scripts_without_a_first_line_are_for_the_shell() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    fs::write(&script, "exit $1\n").unwrap();
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let outcome = run(launch(dir.path(), &[script.to_str().unwrap(), "9"])).unwrap();
    assert_eq!(outcome.ending, Ending::Exited(9));
}

/// Standard output of a command run without us.
fn bare_output(command: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("out");
    let mut child = std::process::Command::new(command[0]);
    child.args(&command[1..]).stdout(File::create(&to).unwrap()).status().unwrap();
    fs::read_to_string(to).unwrap()
}

#[test]
fn no_descriptor_of_ours_reaches_the_program() {
    let command = ["ls", "/proc/self/fd"];
    assert_eq!(output(&command), bare_output(&command));
}

#[test]
fn limits_and_signals_are_as_without_us() {
    // Not the open files, which tests of this very program raise at the same time; and not the
    // realtime signals, of which glibc leaves two of its own ignored when it spawns.
    let command = [
        "sh",
        "-c",
        "grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status | sed 's/:.*\\(.\\{8\\}\\)$/ \\1/'; \
          grep -v -e files -e '^Limit' /proc/self/limits",
    ];
    assert_eq!(output(&command), bare_output(&command));
}

#[test]
fn the_program_is_called_as_it_was_typed() {
    assert_eq!(output(&["sh", "-c", "echo $0"]), "sh\n");
    assert_eq!(output(&["env"]).contains("LD_PRELOAD"), std::env::var_os("LD_PRELOAD").is_some());
}

#[test]
fn on_start_knows_the_pid() {
    let dir = tempfile::tempdir().unwrap();
    let mut launch = launch(dir.path(), &["true"]);
    let told = std::rc::Rc::new(std::cell::Cell::new(0));
    let tell = std::rc::Rc::clone(&told);
    launch.on_start = Some(Box::new(move |pid| tell.set(pid)));
    assert_eq!(run(launch).unwrap().pid, told.get());
}
