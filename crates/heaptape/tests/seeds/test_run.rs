//! `heaptape run`, `doctor` and `install-aliases`: the manners of the command line.

use super::harness::{compile, heaptape, run};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const PROGRAM: &str = "#include <stdlib.h>\n#include <stdio.h>\n#include <string.h>\n\
    int main(int c, char **v) { malloc(77); fputs(\"out\\n\", stdout); fputs(\"err\\n\", stderr); \
    return c > 1 ? atoi(v[1]) : 0; }\n";

#[test]
fn the_program_keeps_its_streams_and_status() {
    let dir = tempfile::tempdir().unwrap();
    let program = compile(dir.path(), "prog.c", PROGRAM);
    let ran = run(heaptape(dir.path(), &["run", "-o", "t.tape", "--", &program, "42"]));
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(42), "out\n"));
    let (programs, ours) = ran.stderr.split_once('\n').unwrap();
    assert_eq!(programs, "err");
    assert!(ours.contains("t.tape"), "{ours}");
    assert!(ours.contains("\n  heaptape summary t.tape\n"), "{ours}");
    assert!(!ours.contains("LOST"), "{ours}");
    let mode = fs::metadata(dir.path().join("t.tape")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn quiet_is_quiet_and_the_environment_is_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let program = compile(dir.path(), "prog.c", PROGRAM);
    let ran = run(heaptape(dir.path(), &["record", "-q", "-o", "t.tape", &program]));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), "err\n"));

    let mut command = heaptape(dir.path(), &["run", &program]);
    command.env("HEAPTAPE_QUIET", "1").env("HEAPTAPE_OUTPUT", "from-%e.tape");
    assert_eq!(run(command).stderr, "err\n");
    assert!(dir.path().join("from-prog.c.out.tape").exists());
}

#[test]
fn the_default_name_holds_program_and_pid() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(heaptape(dir.path(), &["run", "--", "sh", "-c", "echo $$"]));
    let name = format!("heaptape.sh.{}.tape", ran.stdout.trim());
    assert!(dir.path().join(&name).exists(), "{}", ran.stderr);
}

#[test]
fn a_tape_is_not_overwritten_unless_forced() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("t.tape"), "mine").unwrap();
    let ran = run(heaptape(dir.path(), &["run", "-o", "t.tape", "--", "echo", "ran"]));
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "ran\n"));
    assert!(ran.stderr.contains("--force"), "{}", ran.stderr);
    assert!(dir.path().join("t.1.tape").exists(), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(dir.path().join("t.tape")).unwrap(), "mine");
    let ran = run(heaptape(dir.path(), &["run", "-f", "-o", "t.tape", "--", "echo", "ran"]));
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "ran\n"), "{}", ran.stderr);
}

#[test]
fn what_cannot_be_launched_is_said_as_a_shell_says_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("text"), "no program").unwrap();
    for (command, code, word) in [
        ("no-such-program", 127, "not found"),
        ("--no-such-option", 127, "neither an option of heaptape run"),
        ("./no-such-program", 127, "no such program"),
        ("./text", 126, "cannot be executed"),
        (".", 126, "cannot be executed"),
    ] {
        let ran = run(heaptape(dir.path(), &["run", "-o", "t.tape", "--", command]));
        assert_eq!(ran.code, Some(code), "{command}: {}", ran.stderr);
        assert!(
            ran.stderr.starts_with("heaptape: ") && ran.stderr.contains(word),
            "{}",
            ran.stderr
        );
        assert!(!dir.path().join("t.tape").exists(), "{command} left a tape");
    }
    let ran = run(heaptape(dir.path(), &["run", "-o", "no/such/t.tape", "--", "true"]));
    assert_eq!(ran.code, Some(125));
    assert!(ran.stderr.contains("no/such/t.tape"), "{}", ran.stderr);
    let ran = run(heaptape(dir.path(), &["run", "-o", "%y", "--", "true"]));
    assert!(ran.stderr.contains("%y"), "{}", ran.stderr);
}

#[test]
fn the_summary_follows_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let program = compile(dir.path(), "prog.c", PROGRAM);
    let ran = run(heaptape(dir.path(), &["run", "--summary", "-o", "t.tape", "--", &program]));
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "out\n"));
    assert!(ran.stderr.contains("Peak") && ran.stderr.contains("main"), "{}", ran.stderr);
}

/// A shell that only starts the program is not what the user meant.
#[test]
fn the_summary_follows_exec() {
    let dir = tempfile::tempdir().unwrap();
    let program = compile(dir.path(), "prog.c", PROGRAM);
    let script = format!("exec {program}");
    let args = ["run", "--summary", "-o", "t.tape", "--", "sh", "-c", &script];
    let ran = run(heaptape(dir.path(), &args));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let is_head = |line: &str| line.starts_with(&program) && line.contains("exit 0");
    assert!(ran.stderr.lines().any(is_head), "{}", ran.stderr);
}

#[test]
fn doctor_tells_before() {
    let dir = tempfile::tempdir().unwrap();
    let program = compile(dir.path(), "prog.c", PROGRAM);
    let ran = run(heaptape(dir.path(), &["doctor", "--", &program]));
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("can be recorded"), "{}", ran.stdout);

    let ran = run(heaptape(dir.path(), &["doctor", "--json", "--", "./no\x1bsuch"]));
    assert_eq!(ran.code, Some(1));
    let told: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let told = &told["results"][0];
    assert_eq!(told["recordable"], false);
    assert_eq!(told["findings"][0]["severity"], "blocks");
    let ran = run(heaptape(dir.path(), &["doctor", "--", "./no\x1bsuch"]));
    assert!(!ran.stdout.contains('\x1b'), "names are escaped: {}", ran.stdout);
}

#[test]
fn the_aliases_answer() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(heaptape(dir.path(), &["install-aliases", "."]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for (name, usage) in [
        ("vizzytrace", "vizzytrace [OPTIONS] <log> <command>"),
        ("vizzyreport", "<tracefile>"),
        ("crunch", "crunch [OPTIONS] <program>"),
    ] {
        let mut command = std::process::Command::new(dir.path().join(name));
        command.arg("--help");
        let ran = run(command);
        assert_eq!(ran.code, Some(0));
        assert!(
            ran.stdout.contains(usage) || ran.stdout.contains(&usage.replace("[OPTIONS] ", "")),
            "{name}: {}",
            ran.stdout
        );
    }
}
