//! What crunch tells of a program that has ended, read from its tape.

use crate::cli::{ProcessChoice, TapeArgs};
use crate::failure::Failure;
use crate::glue::report::{Report, Wishes};
use crate::glue::{Reading, SymbolNames};
use crate::recording;
use crate::seeds::crunch_out::CrunchOut;
use heaptape_analysis::Sites;
use heaptape_analysis::crash::{Crashes, Kind};
use heaptape_analysis::names::{self, Frame};
use heaptape_collector::Outcome;
use heaptape_report::seeds::crunch::{self, Remaining};
use heaptape_report::text::escape;
use heaptape_report::units;
use heaptape_symbols::SearchPaths;
use heaptape_tape::{BacktraceId, Ending, LiveBlock, Moment, ProcessId, Tape, TapeError, Totals};
use std::path::PathBuf;

/// A program at its end.
pub(crate) struct Autopsy {
    path: PathBuf,
    tape: Tape,
    process: ProcessId,
    blocks: Vec<LiveBlock>,
    /// The blocks that were never freed, by address.
    pub(crate) remaining: Vec<Remaining>,
    /// The totals of its whole life.
    pub(crate) totals: Totals,
    /// The signal it crashed by, as crunch words it.
    pub(crate) fatal: Option<String>,
    /// What that means, in a few words.
    pub(crate) verdict: Option<String>,
}

/// What came of writing the blocks.
#[derive(Debug, Default)]
pub(crate) struct Dumped {
    /// What could not be written, a sentence each.
    pub(crate) troubles: Vec<String>,
}

impl Autopsy {
    /// Of the program that was launched; what it became, if it executed another.
    pub(crate) fn of(recorded: &Outcome) -> Result<Autopsy, Failure> {
        let path = recorded.tape.clone();
        let unreadable = |e: TapeError| Failure::unreadable(&recorded.tape, &e);
        let tape = Tape::open(&path).map_err(unreadable)?;
        let process = tape
            .processes()
            .iter()
            .rev()
            .find(|process| process.pid == recorded.pid)
            .ok_or_else(|| Failure::request("nothing of the program was recorded"))?;
        if let Some(why) = recording::unseen(&tape, process) {
            return Err(Failure::Request(why));
        }
        let process = process.id;
        let live = tape.live_at(process, Moment::End).map_err(unreadable)?;
        let blocks = live.sorted();
        let remaining = remaining(&tape, &blocks);
        let fatal = fatal(&tape, process, recorded.ending);
        let verdict = fatal.as_ref().and_then(|_| verdict(&tape, process));
        let totals = *live.totals();
        Ok(Autopsy { path, process, remaining, totals, fatal, verdict, blocks, tape })
    }

    /// Writes the recorded bytes of every remaining block.
    pub(crate) fn dump(&self, out: &CrunchOut) -> Result<Dumped, Failure> {
        let (mut missing, mut short) = (0u64, 0u64);
        let unreadable = |e: TapeError| Failure::unreadable(&self.path, &e);
        let memory = self.tape.snapshots(self.process).last();
        let mut memory = memory
            .map(|last| self.tape.memory_at(last, 0..u64::MAX).map_err(unreadable))
            .transpose()?;
        for block in &self.blocks {
            let size = usize::try_from(block.size).unwrap_or(usize::MAX);
            let known = memory.as_mut().map(|memory| memory.read_start(block.addr, size));
            let bytes = known.transpose().map_err(unreadable)?.unwrap_or_default();
            if bytes.is_empty() && size > 0 {
                missing += 1;
                continue;
            }
            short += u64::from(bytes.len() < size);
            out.write_block(block.addr, &bytes).map_err(|e| {
                Failure::request(format!(
                    "crunch_out/heap/{:#x}: cannot be written: {e}",
                    block.addr
                ))
            })?;
        }
        Ok(Dumped {
            troubles: [
                (missing, "the bytes of {} were not recorded"),
                (short, "of {} only the first bytes were recorded"),
            ]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, sentence)| sentence.replace("{}", &units::counted(count, "block")))
            .collect(),
        })
    }

    /// Writes `report.html`: the report of the program, with contents.
    pub(crate) fn write_page(&self, out: &CrunchOut) -> Result<PathBuf, Failure> {
        let process = ProcessChoice::Number(self.process.0);
        let reading = Reading::open(TapeArgs::unbounded(self.path.clone(), process))?;
        let mut report = Report::gather(&reading, &Wishes::usual(&reading, true))?;
        let name = "report.html";
        out.write(name, |file| report.write(file))
            .map_err(|e| Failure::request(format!("crunch_out/{name}: cannot be written: {e}")))
    }
}

fn remaining(tape: &Tape, blocks: &[LiveBlock]) -> Vec<Remaining> {
    let names = SymbolNames::new(tape, SearchPaths::new(Vec::new(), None));
    let mut sites = Sites::new(tape, &names);
    let mut call_site = |backtrace: BacktraceId| {
        let site = sites.of(backtrace);
        sites.get(site).frame.as_ref().map(frame_text).unwrap_or_default()
    };
    blocks
        .iter()
        .map(|block| Remaining {
            addr: block.addr,
            size: block.size,
            call_site: call_site(block.backtrace),
        })
        .collect()
}

/// `main (prog.c:6)`; the module where the line is not known.
fn frame_text(frame: &Frame) -> String {
    let name = escape(frame.short.as_bytes());
    match (&frame.file, &frame.module) {
        (Some(file), _) => {
            format!("{name} ({}:{})", escape(names::file_name(file).as_bytes()), frame.line)
        }
        // A function without a name is called by its module.
        (None, Some(module)) if !frame.short.starts_with(&**module) => {
            format!("{name} [{}]", escape(module.as_bytes()))
        }
        (None, _) => name,
    }
}

fn fatal(tape: &Tape, process: ProcessId, ending: Ending) -> Option<String> {
    let Ending::Signalled(signal, _) = ending else { return None };
    let crash = tape.crashes().iter().rev().find(|c| c.process == process && c.signal == signal);
    crunch::fatal_line(signal, crash)
}

/// What the last crash means; `None` where nothing more is known than the signal.
fn verdict(tape: &Tape, process: ProcessId) -> Option<String> {
    let names = SymbolNames::new(tape, SearchPaths::new(Vec::new(), None));
    let process = tape.processes().get(process.0 as usize)?;
    let crashes = Crashes::compute(tape, &names, process).ok()?;
    let verdict = &crashes.crashes.last()?.verdict;
    (verdict.kind != Kind::Unknown).then(|| escape(verdict.what.as_bytes()))
}
