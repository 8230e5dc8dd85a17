//! Gathers a report from a tape: what `heaptape report` writes, and the seeds' command lines, too.

use crate::failure::Failure;
use crate::glue::found::Found;
use crate::glue::page::{ProcessTables, process_info};
use crate::glue::sources::{SourcePaths, Wanted};
use crate::glue::{Reading, SymbolNames};
use heaptape_analysis::contents::captures::Captures;
use heaptape_analysis::info::Info;
use heaptape_analysis::lifetimes::Lifetimes;
use heaptape_report::page::file::{self, Blobs};
use heaptape_report::page::overview::{Overview, ProcessInfo};
use heaptape_report::page::tables::contents;
use heaptape_tape::{Process, TapeError};
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};

/// Bytes of memory contents of a process.
const MOST_CONTENTS: u64 = 64 << 20;
/// Blocks of a process, where nothing else is asked for.
const MOST_BLOCKS: u64 = 2_000_000;

/// What is to be in a report.
pub(crate) struct Wishes {
    pub(crate) most_blocks: u64,
    pub(crate) contents: bool,
    pub(crate) source: Wanted,
    pub(crate) paths: SourcePaths,
}

impl Wishes {
    /// What the seeds' command lines have, which know no such options.
    pub(crate) fn usual(reading: &Reading, contents: bool) -> Wishes {
        let paths = SourcePaths::new(reading.tape(), Vec::new(), None);
        Wishes { most_blocks: MOST_BLOCKS, contents, source: Wanted::Sites, paths }
    }
}

/// A report that only needs to be written.
pub(crate) struct Report {
    pub(crate) overview: Overview,
    pub(super) blobs: File,
}

impl Report {
    /// Gathers everything that goes into the file. The tables of one process at a time are in memory, the others in a
    /// file that has no name.
    pub(crate) fn gather(reading: &Reading, wishes: &Wishes) -> Result<Report, Failure> {
        let names = reading.names();
        let chosen = reading.processes_of_page()?;
        let info = Info::compute(reading.recording(), &names);
        let info = info.map_err(|error| reading.unreadable(error))?;
        let mut overview = Overview::of(reading.recording(), &reading.file_name(), info);
        let file = tempfile::tempfile().map_err(spooled)?;
        let blobs = Blobs::new(BufWriter::new(file));
        let alone = chosen.len() == 1;
        let mut writer = Writer { reading, wishes, names, alone, overview: &mut overview, blobs };
        for process in reading.tape().processes() {
            let info = if chosen.iter().any(|chosen| chosen.id == process.id) {
                writer.include(process)?
            } else {
                ProcessInfo::left_out(reading.recording(), process, writer.not_chosen(process))
            };
            writer.overview.processes.push(info);
        }
        open_with_the_telling(writer.overview, reading);
        let file = writer.blobs.into_inner().into_inner();
        let mut file = file.map_err(|error| spooled(error.into_error()))?;
        file.seek(SeekFrom::Start(0)).map_err(spooled)?;
        Ok(Report { overview, blobs: file })
    }

    /// Writes the file; once.
    pub(crate) fn write(&mut self, out: &mut dyn Write) -> io::Result<()> {
        file::write(out, &self.overview, &mut self.blobs)
    }
}

/// Has a page open with the process that tells most, of those that are in it; where none is, of all.
pub(crate) fn open_with_the_telling(overview: &mut Overview, reading: &Reading) {
    let included = |process: &Process| {
        overview.processes.iter().any(|it| it.id == process.id.0 && it.included)
    };
    let first = reading.telling(included).or_else(|| reading.telling(|_| true));
    overview.first = first.map_or(0, |process| process.id.0);
}

pub(super) fn spooled(error: io::Error) -> Failure {
    Failure::request(format!("temporary file: {error}"))
}

/// Writes the tables of one process after the other.
struct Writer<'a> {
    reading: &'a Reading,
    wishes: &'a Wishes,
    names: SymbolNames<'a>,
    /// Whether only one process is asked for.
    alone: bool,
    overview: &'a mut Overview,
    blobs: Blobs<BufWriter<File>>,
}

impl Writer<'_> {
    /// Writes the tables of a process; says why not, where that cannot be done.
    fn include(&mut self, process: &Process) -> Result<ProcessInfo, Failure> {
        let recording = self.reading.recording();
        if !Lifetimes::fit(recording, process.id) {
            let why = "It has more events than a page can tell apart".to_owned();
            return Ok(ProcessInfo::left_out(recording, process, why));
        }
        match self.gather(process) {
            Ok((info, tables, captures)) => {
                self.write(process, &tables, &captures).map_err(spooled)?;
                self.overview.left_out += tables.left_out;
                self.overview.has_contents |= info.has_contents;
                Ok(info)
            }
            Err(error) => {
                let why = error.to_string();
                self.reading.leave_out(error, self.alone)?;
                Ok(ProcessInfo::left_out(recording, process, why))
            }
        }
    }

    fn gather(
        &self,
        process: &Process,
    ) -> Result<(ProcessInfo, ProcessTables, Captures), TapeError> {
        let recording = self.reading.recording();
        let most = self.wishes.most_blocks;
        let found = Found::of(recording, &self.names, process)?;
        let tables = ProcessTables::of(recording, &self.names, process, most, &found)?;
        let mut captures = Captures::default();
        if self.wishes.contents {
            captures = Captures::of(recording, process.id, &tables.lifetimes, MOST_CONTENTS)?;
        }
        let results = found.numbered(&tables.stacks);
        let of_blocks = tables.lifetimes.of_blocks;
        let info = process_info(recording, process, of_blocks, &tables.threads, results)?;
        let has_contents = !captures.rows.is_empty();
        let capped = tables.capped();
        Ok((ProcessInfo { has_contents, capped, ..info }, tables, captures))
    }

    fn write(
        &mut self,
        process: &Process,
        tables: &ProcessTables,
        captures: &Captures,
    ) -> io::Result<()> {
        let (id, blobs) = (process.id.0, &mut self.blobs);
        let recording = self.reading.recording();
        tables.each(recording, process, |name, table| blobs.table(id, name, table))?;
        if !captures.rows.is_empty() {
            blobs.table(id, "contents", &contents(captures))?;
        }
        if self.wishes.source != Wanted::None {
            let sources = self.wishes.paths.of(&tables.stacks, self.wishes.source);
            blobs.json(id, "source", &sources)?;
        }
        Ok(())
    }

    fn not_chosen(&self, process: &Process) -> String {
        format!(
            "Not in this report; for it: heaptape report {} --process '#{}'",
            self.reading.tape_word(),
            process.id.0
        )
    }
}
