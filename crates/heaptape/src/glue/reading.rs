//! An opened tape, as the reading commands use it.

use crate::cli::{ProcessChoice, TapeArgs};
use crate::failure::Failure;
use crate::glue::names::SymbolNames;
use crate::glue::progress::WatchedTape;
use heaptape_analysis::Recording;
use heaptape_report::text;
use heaptape_symbols::SearchPaths;
use heaptape_tape::{Process, Tape, TapeError};

/// A tape, what of it was asked for, and how to name its addresses.
pub(crate) struct Reading {
    args: TapeArgs,
    watched: WatchedTape,
}

impl Reading {
    /// Opens the tape that `args` name.
    pub(crate) fn open(args: TapeArgs) -> Result<Reading, Failure> {
        match Tape::open(&args.tape) {
            Ok(tape) => Ok(Reading { watched: WatchedTape(tape), args }),
            Err(error) => Err(Failure::unreadable(&args.tape, &error)),
        }
    }

    /// The tape, with progress on long reads.
    pub(crate) fn recording(&self) -> &dyn Recording {
        &self.watched
    }

    /// The tape without progress, for output that flows while it is read.
    pub(crate) fn quiet(&self) -> &dyn Recording {
        &self.watched.0
    }

    /// Names for its backtraces.
    pub(crate) fn names(&self) -> SymbolNames<'_> {
        let search = SearchPaths::new(self.args.debug_dir.clone(), self.args.sysroot.clone());
        SymbolNames::new(self.watched.0.modules(), search)
    }

    /// The tape as the user named it.
    pub(crate) fn tape_name(&self) -> String {
        text::escape(self.args.tape.as_os_str().as_encoded_bytes())
    }

    /// A failure of reading this tape.
    pub(crate) fn unreadable(&self, error: TapeError) -> Failure {
        Failure::unreadable(&self.args.tape, &error)
    }

    /// The processes that were asked for, at least one. Says on standard error when there are others
    /// and none was chosen.
    pub(crate) fn processes(&self) -> Result<Vec<&Process>, Failure> {
        let all = self.watched.0.processes();
        let chosen: Vec<&Process> = match self.args.process {
            None => all.first().into_iter().collect(),
            Some(ProcessChoice::All) => all.iter().collect(),
            Some(ProcessChoice::Pid(pid)) => all.iter().filter(|p| p.pid == pid).collect(),
            Some(ProcessChoice::Number(number)) => {
                all.iter().filter(|p| p.id.0 == number).collect()
            }
        };
        let name = self.tape_name();
        if chosen.is_empty() {
            return Err(Failure::request(match all.len() {
                0 => format!("{name}: no process was recorded"),
                _ => format!("{name}: no such process; see: heaptape info {name}"),
            }));
        }
        if self.args.process.is_none() && all.len() > 1 {
            eprintln!(
                "heaptape: {name}: the launched one of {} processes is shown; all of them: --process all",
                all.len()
            );
        }
        Ok(chosen)
    }
}
