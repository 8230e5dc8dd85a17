//! An opened tape, as the reading commands use it.

use crate::cli::{ProcessChoice, TapeArgs};
use crate::failure::{Failure, Outcome};
use crate::glue::names::SymbolNames;
use crate::glue::progress::WatchedTape;
use crate::recording::{quoted, tell, tell_wrapped};
use heaptape_analysis::{Recording, names};
use heaptape_report::text;
use heaptape_symbols::SearchPaths;
use heaptape_tape::{Ending, Limits, Process, ProcessId, Tape, TapeError};
use std::cell::Cell;
use std::process::ExitCode;

/// A tape, what of it was asked for, and how to name its addresses.
pub(crate) struct Reading {
    args: TapeArgs,
    watched: WatchedTape,
    /// Whether some process could not be read.
    damaged: Cell<bool>,
}

impl Reading {
    /// Opens the tape that `args` name.
    pub(crate) fn open(args: TapeArgs) -> Result<Reading, Failure> {
        let limits = Limits { memory: args.memory.bytes(), ..Limits::default() };
        match Tape::open_within(&args.tape, limits) {
            Ok(tape) => Ok(Reading { watched: WatchedTape(tape), args, damaged: Cell::new(false) }),
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

    /// The tape itself, for what is no view.
    pub(crate) fn tape(&self) -> &Tape {
        &self.watched.0
    }

    /// Names for its backtraces.
    pub(crate) fn names(&self) -> SymbolNames<'_> {
        let search = SearchPaths::new(self.args.debug_dir.clone(), self.args.sysroot.clone());
        SymbolNames::new(&self.watched.0, search)
    }

    /// The tape as the user named it.
    pub(crate) fn tape_name(&self) -> String {
        text::escape(self.args.tape.as_os_str().as_encoded_bytes())
    }

    /// The program that was launched, or what it became.
    pub(crate) fn launched(&self) -> Option<&Process> {
        launched(self.watched.0.processes())
    }

    /// The tape's file name, as it is.
    pub(crate) fn file_name(&self) -> String {
        let name = self.args.tape.file_name().unwrap_or(self.args.tape.as_os_str());
        names::text(name.as_encoded_bytes())
    }

    /// The tape as a word of a command line.
    pub(crate) fn tape_word(&self) -> String {
        quoted(self.args.tape.as_os_str())
    }

    /// A failure of reading this tape.
    pub(crate) fn unreadable(&self, error: TapeError) -> Failure {
        Failure::unreadable(&self.args.tape, &error)
    }

    /// Computes a result for each process that was asked for. A process that cannot be read is said on
    /// standard error and left out when there are others.
    pub(crate) fn each<T>(
        &self,
        mut compute: impl FnMut(&Process) -> Result<T, TapeError>,
    ) -> Result<Vec<T>, Failure> {
        let processes = self.processes()?;
        let alone = processes.len() == 1;
        let mut results = Vec::new();
        for process in processes {
            match compute(process) {
                Ok(result) => results.push(result),
                Err(error) => self.leave_out(error, alone)?,
            }
        }
        Ok(results)
    }

    /// A process cannot be read: a failure when it is all there is, else said on standard error.
    pub(crate) fn leave_out(&self, error: TapeError, alone: bool) -> Result<(), Failure> {
        let failure = self.unreadable(error);
        if alone {
            return Err(failure);
        }
        tell(format_args!("heaptape: {failure}"));
        self.damaged.set(true);
        Ok(())
    }

    /// The outcome of a command that has written its output: exit code 2 when a process was left out.
    pub(crate) fn outcome(&self, written: Outcome) -> Outcome {
        written.map(|code| if self.damaged.get() { ExitCode::from(2) } else { code })
    }

    /// The processes that were asked for, at least one. Says on standard error when there are others
    /// and none was chosen.
    pub(crate) fn processes(&self) -> Result<Vec<&Process>, Failure> {
        let chosen = self.chosen()?;
        if self.args.process.is_none() && self.tape().processes().len() > 1 {
            let name = self.tape_name();
            tell_wrapped(&format!("heaptape: {name}: {}", self.others(chosen[0].id)));
        }
        Ok(chosen)
    }

    /// The processes of a page: those that were asked for; where none was named, the one that a page opens with. Says which,
    /// where there are others.
    pub(crate) fn processes_of_page(&self) -> Result<Vec<&Process>, Failure> {
        let chosen = self.chosen_or(|| self.telling(|_| true))?;
        let all = self.tape().processes();
        if self.args.process.is_none() && all.len() > 1 {
            let (name, shown) = (self.tape_name(), chosen[0]);
            let why = if self.crashed(shown) { "which crashed" } else { "which held the most" };
            tell_wrapped(&format!(
                "heaptape: {name}: #{} of {} processes is shown, {why}; others: --process '#N', or all",
                shown.id.0,
                all.len()
            ));
        }
        Ok(chosen)
    }

    /// The one of some processes that a page opens with: of those that crashed, if there are any, the one that held most.
    pub(crate) fn telling(&self, among: impl Fn(&Process) -> bool) -> Option<&Process> {
        let rank = |process: &&Process| {
            let peak = self.tape().totals(process.id).peak_bytes;
            // Of equals the first.
            (self.crashed(process), peak, std::cmp::Reverse(process.id))
        };
        self.tape().processes().iter().filter(|process| among(process)).max_by_key(rank)
    }

    /// Whether a crash of it is on the tape, or a signal killed it that nobody sends to end a program in peace.
    fn crashed(&self, process: &Process) -> bool {
        let recorded = self.tape().crashes().iter().any(|crash| crash.process == process.id);
        recorded
            || matches!(process.ending, Ending::Signalled(signal, _) if !PEACEFUL.contains(&signal))
    }

    /// The process that was asked for, where only one can be compared; where none was named, the one that a page opens with.
    pub(crate) fn one_process(&self) -> Result<&Process, Failure> {
        match self.chosen_or(|| self.telling(|_| true))?[..] {
            [process] => Ok(process),
            _ => Err(Failure::request(format!(
                "{}: one process can be compared, by its number: --diff-process '#N'; see: heaptape info {}",
                self.tape_name(),
                self.tape_word()
            ))),
        }
    }

    fn chosen(&self) -> Result<Vec<&Process>, Failure> {
        self.chosen_or(|| self.launched())
    }

    /// The processes that were asked for, or where none was named the `usual` one.
    fn chosen_or<'a>(
        &'a self,
        usual: impl FnOnce() -> Option<&'a Process>,
    ) -> Result<Vec<&'a Process>, Failure> {
        let all = self.watched.0.processes();
        let chosen: Vec<&Process> = match self.args.process {
            None => usual().into_iter().collect(),
            Some(ProcessChoice::All) => all.iter().collect(),
            Some(ProcessChoice::Pid(pid)) => all.iter().filter(|p| p.pid == pid).collect(),
            Some(ProcessChoice::Number(number)) => {
                all.iter().filter(|p| p.id.0 == number).collect()
            }
        };
        let name = self.tape_name();
        if chosen.is_empty() {
            if all.is_empty() && !self.watched.condition().complete {
                let why = "cut before the first process: there is nothing to show";
                return Err(Failure::Unreadable(format!("{name}: {why}")));
            }
            return Err(Failure::request(match all.len() {
                0 => format!("{name}: no process was recorded"),
                _ => {
                    format!("{name}: no such process; see: heaptape info {}", self.tape_word())
                }
            }));
        }
        Ok(chosen)
    }

    /// What a user who sees one of several processes should know.
    fn others(&self, shown: ProcessId) -> String {
        let tape = &self.watched.0;
        let all = tape.processes();
        let peak = |process: &&Process| tape.totals(process.id).peak_bytes;
        let mut hint = format!(
            "#{} of {} processes is shown, the launched one; others: --process '#N', or all",
            shown.0,
            all.len()
        );
        if let Some(largest) = all.iter().max_by_key(peak).filter(|process| process.id != shown) {
            let exe = text::escape(names::file_name(&names::text(&largest.exe)).as_bytes());
            hint.push_str(&format!(" (the largest is #{}, {exe})", largest.id.0));
        }
        hint
    }
}

/// SIGHUP, SIGINT, SIGPIPE, SIGTERM.
const PEACEFUL: [i32; 4] = [1, 2, 13, 15];

/// The program that was launched: the first process, or what it became by `exec` (as a script that
/// only finds and starts the real program).
fn launched(all: &[Process]) -> Option<&Process> {
    let mut launched = all.first()?;
    while launched.ending == Ending::Exec {
        let next = all.iter().find(|next| next.id > launched.id && next.pid == launched.pid);
        let Some(next) = next else { break };
        launched = next;
    }
    Some(launched)
}

#[cfg(test)]
mod tests {
    use super::*;
    use heaptape_tape::{Losses, TimeNs};

    fn process(id: u32, pid: u32, ending: Ending) -> Process {
        Process {
            id: ProcessId(id),
            pid,
            ppid: 1,
            forked_from: None,
            exe: Vec::new(),
            argv: Vec::new(),
            start: TimeNs(0),
            end: TimeNs(0),
            ending,
            losses: Losses::default(),
        }
    }

    #[test]
    fn the_launched_program_is_followed_through_exec() {
        let (exec, exit) = (Ending::Exec, Ending::Exited(0));
        let shim =
            [process(0, 7, exec), process(1, 8, exit), process(2, 7, exec), process(3, 7, exit)];
        assert_eq!(launched(&shim).map(|p| p.id), Some(ProcessId(3)));
        assert_eq!(launched(&shim[..2]).map(|p| p.id), Some(ProcessId(0)));
        assert_eq!(launched(&[]), None);
    }
}
