//! A second recording in a report, to compare with: what is known of it, and of one process the tables that sums are
//! made of.

use crate::failure::Failure;
use crate::glue::Reading;
use crate::glue::found::Found;
use crate::glue::page::{ProcessTables, process_info};
use crate::glue::report::{Report, spooled};
use heaptape_analysis::info::Info;
use heaptape_analysis::lifetimes::Lifetimes;
use heaptape_report::page::file::Blobs;
use heaptape_report::page::overview::{Overview, ProcessInfo, Results};
use heaptape_tape::Process;
use std::io::{self, BufWriter, Seek, SeekFrom};

/// What comparing asks for, of all tables of a process.
const NEEDED: [&str; 7] = ["strings", "frames", "stacks", "times", "timeline", "flows", "blocks"];

impl Report {
    /// Adds a second recording to those that go into the file; at most so many blocks of it are held one by one.
    pub(crate) fn compare_with(
        &mut self,
        other: &Reading,
        most_blocks: u64,
    ) -> Result<Overview, Failure> {
        let (recording, names) = (other.recording(), other.names());
        let process = other.one_process()?;
        if !Lifetimes::fit(recording, process.id) {
            let why = "has more events than a page can tell apart";
            return Err(Failure::request(format!("{}: {why}", other.tape_name())));
        }
        let tables = ProcessTables::of(recording, &names, process, most_blocks, &Found::default())
            .map_err(|error| other.unreadable(error))?
            .for_comparison();
        let overview = overview_of(other, process, &tables)?;
        self.write_other(other, process, &tables, &overview).map_err(spooled)?;
        self.overview.has_other = true;
        Ok(overview)
    }

    fn write_other(
        &mut self,
        other: &Reading,
        process: &Process,
        tables: &ProcessTables,
        overview: &Overview,
    ) -> io::Result<()> {
        self.blobs.seek(SeekFrom::End(0))?;
        let mut blobs = Blobs::of_other(BufWriter::new(&mut self.blobs));
        blobs.other_overview(overview)?;
        tables.each(other.recording(), process, |name, table| match NEEDED.contains(&name) {
            true => blobs.table(process.id.0, name, table),
            false => Ok(()),
        })?;
        blobs.into_inner().into_inner().map_err(io::IntoInnerError::into_error)?;
        self.blobs.rewind()
    }
}

/// What is known of the tape and its processes, without the results of other commands.
fn overview_of(
    other: &Reading,
    process: &Process,
    tables: &ProcessTables,
) -> Result<Overview, Failure> {
    let recording = other.recording();
    let info = Info::compute(recording, &other.names()).map_err(|error| other.unreadable(error))?;
    let mut overview = Overview::of(recording, &other.file_name(), info);
    overview.first = process.id.0;
    overview.left_out = tables.left_out;
    for each in other.tape().processes() {
        let info = if each.id == process.id {
            let (of_blocks, threads) = (tables.lifetimes.of_blocks, &tables.threads);
            let info = process_info(recording, each, of_blocks, threads, Results::default())
                .map_err(|error| other.unreadable(error))?;
            ProcessInfo { capped: tables.capped(), ..info }
        } else {
            ProcessInfo::left_out(recording, each, "It is not compared".to_owned())
        };
        overview.processes.push(info);
    }
    Ok(overview)
}
