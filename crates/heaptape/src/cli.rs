//! The command line: one definition feeds parser, help, man page and completions.
//!
//! Called as `vizzytrace`, `vizzyreport` or `crunch` (links made by `heaptape install-aliases`), the
//! program takes that tool's command line instead.

use crate::commands::{
    addr, at, contents, crash, crunch, doctor, errors, events, info, install_aliases, layout,
    leaks, report, run, snapshot, strip, summary, tree, ui, vizzyreport, vizzytrace,
};
use crate::failure::Failure;
use crate::terminal::Color;
use clap::Parser;
use heaptape_analysis::filter::parse_bytes;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Records every allocation of an unmodified program, and shows its heap at any moment.
#[derive(Debug, Parser)]
#[command(
    name = "heaptape",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Start with: heaptape run -- PROGRAM [ARGS]…"
)]
pub(crate) struct Cli {
    /// Colour the output
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    pub(crate) color: Color,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    #[command(visible_alias = "record")]
    Run(run::Args),
    Summary(summary::Args),
    Report(report::Args),
    Ui(ui::Args),
    Errors(errors::Args),
    At(at::Args),
    Layout(layout::Args),
    Leaks(leaks::Args),
    Tree(tree::Args),
    Events(events::Args),
    Addr(addr::Args),
    Crash(crash::Args),
    Contents(contents::Args),
    Snapshot(snapshot::Args),
    Strip(strip::Args),
    Info(info::Args),
    Doctor(doctor::Args),
    InstallAliases(install_aliases::Args),
    Vizzytrace(vizzytrace::Args),
    Vizzyreport(vizzyreport::Args),
    Crunch(crunch::Args),
}

/// The tape to read, and how to name what is on it.
#[derive(Debug, clap::Args)]
pub(crate) struct TapeArgs {
    /// The tape, as `heaptape run` wrote it
    #[arg(value_name = "TAPE")]
    pub(crate) tape: PathBuf,
    /// Which process: a pid, #n as `heaptape info` numbers them, or all [default: the launched program]
    #[arg(long, value_name = "PID|#N|all")]
    pub(crate) process: Option<ProcessChoice>,
    /// Look for separate debug files here too (repeatable)
    #[arg(long, value_name = "DIR")]
    pub(crate) debug_dir: Vec<PathBuf>,
    /// Look for the target's files below this directory first
    #[arg(long, value_name = "DIR")]
    pub(crate) sysroot: Option<PathBuf>,
    /// Take at most so much memory: bytes, or with K, M, G; 64M or more
    ///
    /// Counted are what grows with the tape: its threads, modules and backtraces, blocks of events that
    /// are decoded ahead (a quarter of this at most), the live set, and what a view gathers by
    /// backtrace. A view that would take more ends with a message. Names and debug information come on top.
    #[arg(long, value_name = "SIZE", default_value_t)]
    pub(crate) memory: Memory,
}

impl TapeArgs {
    /// Some processes of that tape, in any amount of memory.
    pub(crate) fn unbounded(tape: PathBuf, process: ProcessChoice) -> TapeArgs {
        let memory = Memory(u64::MAX);
        TapeArgs { process: Some(process), memory, ..TapeArgs::of(tape) }
    }

    /// That tape, and nothing else said.
    pub(crate) fn of(tape: PathBuf) -> TapeArgs {
        let (process, debug_dir, sysroot) = (None, Vec::new(), None);
        TapeArgs { tape, process, debug_dir, sysroot, memory: Memory::default() }
    }
}

/// What is said of `--process` where a page is shown.
pub(crate) const PROCESS_OF_PAGE: &str = "Which process: a pid, #n as `heaptape info` numbers them, or all [default: the \
    one that crashed, else the one that held the most]";

/// A second tape, to compare with.
#[derive(Debug, clap::Args)]
pub(crate) struct OtherArgs {
    /// Compare with this tape: the page Diff then shows what is more or less in it
    #[arg(long, value_name = "TAPE")]
    diff: Option<PathBuf>,
    /// Which of its processes: a pid, or #n [default: the one that crashed, else the one that held the most]
    #[arg(long, value_name = "PID|#N", requires = "diff")]
    diff_process: Option<ProcessChoice>,
}

impl OtherArgs {
    /// That tape, read as the first one is.
    pub(crate) fn beside(self, first: &TapeArgs) -> Option<TapeArgs> {
        let (debug_dir, sysroot) = (first.debug_dir.clone(), first.sysroot.clone());
        let (process, memory) = (self.diff_process, first.memory);
        self.diff.map(|tape| TapeArgs { tape, process, debug_dir, sysroot, memory })
    }
}

/// Bytes of memory that reading a tape may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory(u64);

impl Memory {
    /// With less, there is no room for a run of events and a small live set.
    const LEAST: Memory = Memory(64 << 20);

    /// The bytes.
    pub(crate) fn bytes(self) -> u64 {
        self.0
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory(512 << 20)
    }
}

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            bytes if bytes.is_multiple_of(1 << 20) => write!(f, "{}M", bytes >> 20),
            bytes => write!(f, "{bytes}"),
        }
    }
}

impl std::str::FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Memory, String> {
        match parse_bytes(text) {
            Some(bytes) if bytes >= Memory::LEAST.0 => Ok(Memory(bytes)),
            Some(_) => Err(format!("too little: {} is the least", Memory::LEAST)),
            None => Err("expected an amount of memory: 512M, 2G, or bytes".to_owned()),
        }
    }
}

/// Which processes of a tape to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessChoice {
    /// Every process with this pid (an `exec` makes a second one).
    Pid(u32),
    /// The process of this number on the tape.
    Number(u32),
    /// Every process.
    All,
}

impl std::str::FromStr for ProcessChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<ProcessChoice, String> {
        if text == "all" {
            return Ok(ProcessChoice::All);
        }
        let parsed = match text.strip_prefix('#') {
            Some(number) => number.parse().map(ProcessChoice::Number),
            None => text.parse().map(ProcessChoice::Pid),
        };
        parsed.map_err(|_| "expected a pid, #n, or all".to_owned())
    }
}

/// Parses the command line; `None` when help or version was asked for and has been printed.
pub(crate) fn parse(mut argv: Vec<OsString>) -> Result<Option<Cli>, Failure> {
    let called_as = argv.first().and_then(|name| Path::new(name).file_name()).unwrap_or_default();
    let parsed = match called_as.to_str() {
        Some("vizzytrace") => {
            vizzytrace::Args::try_parse_from(argv).map(|args| Cli::of(Command::Vizzytrace(args)))
        }
        Some("vizzyreport") => {
            vizzyreport::Args::try_parse_from(argv).map(|args| Cli::of(Command::Vizzyreport(args)))
        }
        Some("crunch") => crunch::Args::try_parse_from(argv).map(|a| Cli::of(Command::Crunch(a))),
        _ => {
            if argv.is_empty() {
                argv.push("heaptape".into());
            }
            Cli::try_parse_from(argv)
        }
    };
    match parsed {
        Ok(cli) => Ok(Some(cli)),
        Err(error) if error.use_stderr() => {
            error.print()?;
            Err(Failure::Usage)
        }
        Err(help) => {
            help.print()?;
            Ok(None)
        }
    }
}

impl Cli {
    fn of(command: Command) -> Cli {
        Cli { color: Color::Auto, command }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn amounts_of_memory() {
        assert_eq!("512M".parse(), Ok(Memory::default()));
        assert_eq!("2G".parse(), Ok(Memory(2 << 30)));
        assert_eq!("67108864".parse(), Ok(Memory::LEAST));
        assert_eq!(Memory(2 << 30).to_string().parse(), Ok(Memory(2 << 30)));
        assert_eq!("67108863".parse::<Memory>(), Err("too little: 64M is the least".to_owned()));
        for bad in ["", "M", "-1G", "1.5G", "99999999999T"] {
            assert!(bad.parse::<Memory>().is_err(), "{bad}");
        }
    }

    #[test]
    fn process_choices() {
        assert_eq!("all".parse(), Ok(ProcessChoice::All));
        assert_eq!("#2".parse(), Ok(ProcessChoice::Number(2)));
        assert_eq!("4711".parse(), Ok(ProcessChoice::Pid(4711)));
        assert!("x".parse::<ProcessChoice>().is_err());
        assert!("#".parse::<ProcessChoice>().is_err());
    }
}
