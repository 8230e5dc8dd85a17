//! Running programs: cargo from the workspace's root, others to their end and for their output.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").into()
}

/// `cargo ARGUMENTS`, the same cargo that runs us, not yet started.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command to its end; an error names it.
pub(crate) fn succeed(command: &mut Command) -> Result<(), String> {
    announce(command);
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("failed: {}", words(command))) }
}

/// Runs a command to its end, shows its standard output and hands each line of it to `line`.
pub(crate) fn succeed_reading(
    command: &mut Command,
    mut line: impl FnMut(&str),
) -> Result<(), String> {
    announce(command);
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(|error| format!("{command:?}: {error}"))?;
    let output = child.stdout.take().expect("a pipe");
    for text in BufReader::new(output).lines() {
        let text = text.map_err(|error| format!("{command:?}: {error}"))?;
        println!("{text}");
        line(&text);
    }
    let status = child.wait().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("failed: {}", words(command))) }
}

/// Runs a command that must succeed.
pub(crate) fn checked(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|e| format!("{command:?}: {e}"))?;
    success(command, status)
}

/// The standard output of a command that must succeed.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    success(command, output.status)?;
    String::from_utf8(output.stdout).map_err(|e| e.to_string())
}

/// An error unless a command ended well.
pub(crate) fn success(command: &Command, status: ExitStatus) -> Result<(), String> {
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}")) }
}

fn announce(command: &Command) {
    println!("==> {}", words(command));
}

fn words(command: &Command) -> String {
    let mut text = "cargo".to_owned();
    for word in command.get_args() {
        text = format!("{text} {}", word.to_string_lossy());
    }
    text
}
