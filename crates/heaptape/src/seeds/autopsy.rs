//! What crunch tells of a program that has ended, read from its tape.

use crate::failure::Failure;
use crate::glue::SymbolNames;
use crate::recording;
use crate::seeds::crunch_out::CrunchOut;
use heaptape_analysis::Sites;
use heaptape_analysis::crash::{Crashes, Kind};
use heaptape_analysis::names::{self, Frame};
use heaptape_collector::Outcome;
use heaptape_report::seeds::crunch::{self, Remaining};
use heaptape_report::seeds::crunch_page::CrunchPage;
use heaptape_report::text::escape;
use heaptape_report::units;
use heaptape_symbols::SearchPaths;
use heaptape_tape::{
    BacktraceId, BlockId, Ending, LiveBlock, Moment, ProcessId, Tape, TapeError, Totals,
};
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
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
        let mut missing: HashMap<BlockId, &LiveBlock> =
            self.blocks.iter().map(|block| (block.id, block)).collect();
        let mut short = 0u64;
        for contents in self.tape.contents(self.process) {
            let contents = contents.map_err(|e| Failure::unreadable(&self.path, &e))?;
            // The address too: a damaged tape may hold the bytes of something else.
            let Some(block) = missing.get(&contents.block).filter(|b| b.addr == contents.addr)
            else {
                continue;
            };
            let size = usize::try_from(block.size).unwrap_or(usize::MAX);
            let bytes = &contents.bytes[..contents.bytes.len().min(size)];
            short += u64::from(bytes.len() < size);
            out.write_block(block.addr, bytes).map_err(|e| {
                Failure::request(format!(
                    "crunch_out/heap/{:#x}: cannot be written: {e}",
                    block.addr
                ))
            })?;
            missing.remove(&contents.block);
        }
        Ok(Dumped {
            troubles: [
                (missing.len() as u64, "the bytes of {} were not recorded"),
                (short, "of {} only the first bytes were recorded"),
            ]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, sentence)| sentence.replace("{}", &units::counted(count, "block")))
            .collect(),
        })
    }

    /// Writes `report.html`, with the bytes that [`Autopsy::dump`] wrote.
    pub(crate) fn write_page(
        &self,
        file: &mut dyn Write,
        out: &CrunchOut,
        command: &[OsString],
        troubles: &[String],
    ) -> io::Result<()> {
        let command: Vec<String> = command.iter().map(|word| escape(word.as_bytes())).collect();
        let page = CrunchPage {
            command: &command.join(" "),
            totals: &self.totals,
            fatal: self.fatal.as_deref(),
            losses: troubles,
        };
        page.write(file, &self.remaining, |place| out.read_block(self.remaining[place].addr))
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
