//! How a process ended, in a few words.

use heaptape_analysis::process::EndingName;

/// `exit 0`, `killed by SIGKILL`, `running`.
pub fn words(ending: &EndingName) -> String {
    match ending {
        EndingName::Unknown => "ending not recorded".to_owned(),
        EndingName::Exited { code } => format!("exit {code}"),
        EndingName::Signalled { signal, core } => {
            let core = if *core { " (core dumped)" } else { "" };
            format!("killed by {}{core}", signal_name(*signal))
        }
        EndingName::Exec => "exec".to_owned(),
        EndingName::Gone => "ended".to_owned(),
        EndingName::Running => "still running".to_owned(),
    }
}

/// The name of a signal of Linux, or its number.
pub fn signal_name(signal: i32) -> String {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
        "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
        "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    let index = usize::try_from(signal).ok().and_then(|signal| signal.checked_sub(1));
    match index.and_then(|index| NAMES.get(index)) {
        Some(name) => format!("SIG{name}"),
        None => format!("signal {signal}"),
    }
}
