//! How a command can fail, and with which exit code.
//!
//! 0: done. 1: the command line is wrong, or what was asked for cannot be done. 2: the tape cannot be
//! read. 125 to 127: the program to record could not be launched, as shells say it.
//! When a program was recorded, its own exit status counts, unless `HEAPTAPE_CHECK` found a wrong backtrace (125). A closed pipe (`| head`) is no failure: the reader has seen enough.

use crate::recording::{quoted, shown};
use heaptape_report::units;
use heaptape_tape::TapeError;
use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// What every command returns: its exit code, or why it failed.
pub(crate) type Outcome = Result<ExitCode, Failure>;

/// Why a command failed. Displays as one line: where, what, what to do.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Whoever read our output has closed it.
    ClosedPipe,
    /// The command line is wrong, and that has been said: exit code 1.
    Usage,
    /// What was asked for cannot be done: exit code 1.
    Request(String),
    /// A tape that cannot be read: exit code 2.
    Unreadable(String),
    /// The program was not launched: exit code as a shell's (127 not found, 126 not executable, else
    /// 125).
    NotLaunched { exit_code: u8, message: String },
}

impl Failure {
    /// A failure of the request.
    pub(crate) fn request(message: impl Into<String>) -> Failure {
        Failure::Request(message.into())
    }

    /// The tape in `file` cannot be read.
    pub(crate) fn unreadable(file: &Path, error: &TapeError) -> Failure {
        let path = shown(file);
        if let TapeError::Memory { needed, allowed } = *error {
            let (needed, allowed) = (units::bytes(needed), units::bytes(allowed));
            return Failure::Request(format!(
                "{path}: takes {needed} of memory or more; it may take {allowed}: give more with --memory"
            ));
        }
        Failure::Unreadable(match error {
            TapeError::Io(e) if e.kind() == io::ErrorKind::NotFound => {
                let word = quoted(file.as_os_str());
                format!("{path}: no such file; make one with: heaptape run -o {word} -- PROGRAM")
            }
            TapeError::Io(e) if e.kind() == io::ErrorKind::IsADirectory => {
                format!("{path}: a directory, not a tape")
            }
            TapeError::Io(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                format!("{path}: you may not read it: a tape is its recorder's alone (mode 0600)")
            }
            TapeError::Damaged(_) => {
                format!("{path}: {error}; other processes and moments may be whole (--process, at)")
            }
            _ => format!("{path}: {error}"),
        })
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::ClosedPipe => ExitCode::SUCCESS,
            Failure::Usage | Failure::Request(_) => ExitCode::from(1),
            Failure::Unreadable(_) => ExitCode::from(2),
            Failure::NotLaunched { exit_code, .. } => ExitCode::from(*exit_code),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::ClosedPipe => f.write_str("output closed"),
            Failure::Usage => f.write_str("wrong command line"),
            Failure::Request(message)
            | Failure::Unreadable(message)
            | Failure::NotLaunched { message, .. } => f.write_str(message),
        }
    }
}

/// An error of writing the output; name the file yourself where it is about one.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::ClosedPipe,
            _ => Failure::Request(format!("cannot write the output: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tape_of_somebody_else_is_said_to_be_one() {
        let denied = TapeError::Io(io::ErrorKind::PermissionDenied.into());
        let failure = Failure::unreadable(Path::new("their.tape"), &denied);
        assert!(failure.to_string().starts_with("their.tape: you may not read it"), "{failure}");
        assert!(matches!(failure, Failure::Unreadable(_)));
    }
}
