//! Manners of a command-line tool: streams, colour, exit codes, hostile input.

use crate::tapes::{TestTape, heaptape, run, write_backtraces_tape, write_exec_tape};
use std::io::Read;
use std::process::Stdio;

const COMMANDS: &[&[&str]] = &[
    &["summary"],
    &["summary", "--valgrind"],
    &["at"],
    &["layout", "--list"],
    &["tree"],
    &["tree", "--functions"],
    &["events"],
    &["events", "--tsv"],
    &["info", "--modules"],
    &["report", "-o", "/dev/null", "--force"],
];

fn with_tape<'a>(command: &[&'a str], tape: &'a str) -> Vec<&'a str> {
    let mut args = command.to_vec();
    args.insert(1, tape);
    args
}

#[test]
fn a_pipe_gets_no_escape_sequences() {
    let tape = TestTape::new(b"demo", 40);
    for command in COMMANDS {
        let output = run(&with_tape(command, tape.path()));
        assert!(output.status.success(), "{command:?}");
        assert!(!output.stdout.contains(&0x1b), "{command:?}");
        assert!(!output.stderr.contains(&0x1b), "{command:?}");
        assert!(output.stderr.is_empty(), "{command:?}: nothing to say on standard error");
    }
}

#[test]
fn colour_can_be_forced_and_forbidden() {
    let tape = TestTape::new(b"demo", 40);
    let has_colour = |args: &[&str], variable: Option<(&str, &str)>| {
        let mut command = heaptape(args);
        command.envs(variable).env("TERM", "xterm");
        command.output().unwrap().stdout.contains(&0x1b)
    };
    let plain = ["summary", tape.path()];
    assert!(has_colour(&["summary", tape.path(), "--color", "always"], None));
    assert!(has_colour(&["summary", tape.path(), "--color", "always"], Some(("NO_COLOR", "1"))));
    assert!(has_colour(&plain, Some(("CLICOLOR_FORCE", "1"))));
    assert!(!has_colour(
        &["summary", tape.path(), "--color", "never"],
        Some(("CLICOLOR_FORCE", "1"))
    ));
    assert!(!has_colour(&plain, Some(("NO_COLOR", "1"))));
}

#[test]
fn seven_bits_where_the_locale_has_no_more() {
    let tape = TestTape::new("d\u{e9}mo".as_bytes(), 40);
    let ascii = |variable, value| {
        let output = heaptape(&["summary", tape.path()]).env(variable, value).output().unwrap();
        output.stdout.is_ascii()
    };
    assert!(ascii("LC_ALL", "C"));
    assert!(!ascii("LC_ALL", "C.UTF-8"));
}

#[test]
fn names_cannot_command_the_terminal() {
    let evil = b"evil\x1b]0;owned\x07\r\n\xe2\x80\xaetxt\xff";
    let tape = TestTape::new(evil, 40);
    for command in COMMANDS {
        let output = run(&with_tape(command, tape.path()));
        assert!(output.status.success(), "{command:?}");
        let text = String::from_utf8(output.stdout).expect("UTF-8 whatever the names are");
        let is_bad = |c: char| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}';
        assert!(!text.contains(is_bad), "{command:?}: {text:?}");
    }
}

/// `heaptape events | head -1` ends quietly, however much is still to come.
#[test]
fn a_closed_pipe_ends_quietly() {
    let tape = TestTape::new(b"demo", 20_000);
    for command in [&["events", "--tsv"][..], &["layout", "--list"], &["events", "--json"]] {
        let mut child = heaptape(&with_tape(command, tape.path()))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{command:?}");
    }
}

#[test]
fn what_cannot_be_read_exits_with_2() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing.tape");
    let output = run(&["summary", missing.to_str().unwrap()]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        errors.starts_with("heaptape: ") && errors.contains("no such file; make one with"),
        "{errors}"
    );
    let text = dir.path().join("text");
    std::fs::write(
        &text,
        "this is no tape, whatever its name says, and long enough for a header\n",
    )
    .unwrap();
    let output = run(&["at", text.to_str().unwrap(), "peak"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(errors.contains("not a heaptape recording"), "{errors}");
    assert_eq!(errors.lines().count(), 1);
}

/// What cannot be said is no reason to crash.
#[test]
fn a_full_standard_error_changes_no_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let several = dir.path().join("exec.tape");
    write_exec_tape(&several);
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    for (args, code) in [
        (["summary", "missing.tape"], 2),
        (["summary", several.to_str().unwrap()], 0),
        (["sumary", "missing.tape"], 1),
    ] {
        let status = heaptape(&args).stderr(full()).stdout(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{args:?}");
    }
}

#[test]
fn what_is_no_tape_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(&["summary", dir.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("a directory, not a tape"));
}

#[test]
fn wrong_command_lines_exit_with_1() {
    for args in [
        &["summary"][..],
        &["at", "x.tape", "yesterday"],
        &["tree", "x.tape", "--metric", "beauty"],
        &["events", "x.tape", "--size", "5..1"],
        &["events", "x.tape", "--time", "0.9..0.1"],
        &["events", "x.tape", "--time", "90%..10%"],
        &["addr", "x.tape", "0xyz"],
        &["sumary"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}

/// Cut anywhere, a tape shows what is whole, or says what is wrong; it never makes a command crash.
#[test]
fn a_cut_tape_is_read_as_far_as_it_goes() {
    let tape = TestTape::new(b"demo", 40);
    let whole = std::fs::read(&tape.path).unwrap();
    let mut shown = 0;
    for length in (0..whole.len()).step_by(whole.len() / 40 + 1) {
        std::fs::write(&tape.path, &whole[..length]).unwrap();
        let output = run(&["summary", tape.path()]);
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 2)), "cut at {length}: {output:?}");
        if code == Some(0) {
            shown += 1;
            let text = String::from_utf8_lossy(&output.stdout);
            // The last bytes only find the index; without them nothing is missing but that.
            let says_so = text.contains("TAPE CUT") || text.contains("DAMAGED");
            assert!(says_so, "cut at {length} of {}: {text}", whole.len());
        }
    }
    assert!(shown > 0);
}

#[test]
fn every_help_has_an_example() {
    for command in ["summary", "at", "layout", "tree", "events", "addr", "info", "report"] {
        let output = run(&[command, "--help"]);
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success());
        assert!(help.contains(&format!("  heaptape {command} demo.tape")), "{help}");
    }
}

/// Any byte of a tape may be wrong: commands show what is whole and say what is not.
#[test]
fn a_damaged_tape_never_crashes_a_command() {
    let tape = TestTape::new(b"demo", 40);
    let whole = std::fs::read(&tape.path).unwrap();
    for (index, command) in (0..whole.len()).step_by(3).zip(COMMANDS.iter().cycle()) {
        let mut damaged = whole.clone();
        damaged[index] ^= 0x55;
        std::fs::write(&tape.path, &damaged).unwrap();
        let mut args = with_tape(command, tape.path());
        args.extend(["--process", "all"]);
        let output = run(&args);
        let errors = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code();
        assert!(matches!(code, Some(0..=2)), "{command:?}, byte {index}: {errors}");
        assert!(code == Some(0) || errors.starts_with("heaptape: "), "{command:?}: {errors}");
        assert!(errors.lines().count() <= 1, "{command:?}, byte {index}: {errors}");
    }
}

#[test]
fn memory_is_bounded_and_the_bound_is_told() {
    let tape = TestTape::new(b"demo", 700_000);
    let with = |command: &str, memory: &str| run(&[command, tape.path(), "--memory", memory]);
    for command in ["summary", "at"] {
        assert!(with(command, "512M").status.success(), "{command}");
        let refused = with(command, "64M");
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{command}: {why}");
        assert!(why.contains("64.0 MiB") && why.contains("--memory"), "{command}: {why}");
        assert!(refused.stdout.is_empty());
    }
    // Totals by backtrace need no live set.
    let tree = ["tree", tape.path(), "--metric", "allocated", "--memory", "64M"];
    assert!(run(&tree).status.success());
    let least = with("summary", "63M");
    assert_eq!(least.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&least.stderr).contains("64M is the least"));
}

/// A view of one process was once refused for what the backtraces of all would take. It takes what its own do, and is refused
/// as soon as that is too much.
#[test]
fn a_view_takes_memory_for_its_own_backtraces() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.tape");
    write_backtraces_tape(&path, 1_500_000);
    for command in ["summary", "at", "tree", "info"] {
        let with = |process: &str| {
            let path = path.to_str().unwrap();
            let mut args = vec![command, path, "--memory", "128M"];
            if command != "info" {
                args.extend(["--process", process]);
            }
            if command == "tree" {
                args.extend(["--metric", "allocated"]);
            }
            run(&args)
        };
        let few = with("#1");
        let why = String::from_utf8_lossy(&few.stderr).into_owned();
        // All frames of the tape are looked at for `info`.
        assert_eq!(few.status.success(), command != "info", "{command}: {why}");
        // Nothing is live at the end of #0.
        if command == "summary" || command == "tree" {
            let many = with("#0");
            let why = String::from_utf8_lossy(&many.stderr).into_owned();
            assert_eq!(many.status.code(), Some(1), "{command}: {why}");
            assert!(why.contains("128 MiB") && why.contains("--memory"), "{command}: {why}");
        }
    }
}
