//! The harness: run the binary under one of its names, compile a program.

use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// What came of a command.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) stdout: String,
    pub(super) stderr: String,
    /// `None`: killed by a signal.
    pub(super) code: Option<i32>,
    /// The signal that killed it.
    pub(super) signal: Option<i32>,
}

/// `heaptape` with these arguments, in `dir`.
pub(super) fn heaptape(dir: &Path, args: &[&str]) -> Command {
    in_dir(dir, Path::new(env!("CARGO_BIN_EXE_heaptape")), args)
}

/// The binary, called by one of its other names.
pub(super) fn linked(dir: &Path, name: &str, args: &[&str]) -> Command {
    let link = dir.join(format!(".{name}")).join(name);
    if !link.exists() {
        std::fs::create_dir(link.parent().unwrap()).unwrap();
        symlink(env!("CARGO_BIN_EXE_heaptape"), &link).unwrap();
    }
    in_dir(dir, &link, args)
}

fn in_dir(dir: &Path, program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir).args(args).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(super) fn run(mut command: Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code(),
        signal: output.status.signal(),
    }
}

/// Compiles `name` (`.c` or `.cpp`) and returns the program's path.
pub(super) fn compile(dir: &Path, name: &str, source: &str) -> String {
    let compiler = if name.ends_with(".cpp") { "g++" } else { "gcc" };
    let file = dir.join(name);
    let program = dir.join(format!("{name}.out"));
    std::fs::write(&file, source).unwrap();
    let compiled = Command::new(compiler)
        .args(["-g", "-O0", "-fno-builtin", "-w", "-pthread", "-o"])
        .args([&program, &file])
        .status()
        .unwrap();
    assert!(compiled.success(), "{name} does not compile");
    program.into_os_string().into_string().unwrap()
}
