//! Gathers what a page shows, for the report's file and for the server.

use heaptape_analysis::crash::Crashes;
use heaptape_analysis::errors::Errors;
use heaptape_analysis::estimate::Sampling;
use heaptape_analysis::leaks::{Kinds, Leaks, Question};
use heaptape_analysis::lifetimes::{Lifetime, Lifetimes};
use heaptape_analysis::stacks::Stacks;
use heaptape_analysis::summary::Summary;
use heaptape_analysis::suppressions::Suppressions;
use heaptape_analysis::{Names, Recording, Weight, process};
use heaptape_report::page::columns::Table;
use heaptape_report::page::overview::{PeakInfo, ProcessInfo, Results, ThreadName};
use heaptape_report::page::tables::{self, END_OF_ADDRESSES, FrameColumns, Threads};
use heaptape_tape::{Process, TapeError};
use std::io;

/// Call sites of a summary.
const SITES: usize = 50;
/// Wrong frees and overwrites of a process that are shown one by one.
const ERRORS: usize = 200;
/// Records of leaks of a process that are shown one by one.
const LEAKS: usize = 200;

/// The blocks of a process and what is needed to name them.
pub(crate) struct ProcessTables {
    pub(crate) lifetimes: Lifetimes,
    pub(crate) stacks: Stacks,
    pub(crate) threads: Threads,
    /// Blocks at addresses that no page can show.
    pub(crate) left_out: u64,
    sampling: Option<Sampling>,
}

impl ProcessTables {
    /// Reads the whole history of a process.
    pub(crate) fn of(
        recording: &dyn Recording,
        names: &dyn Names,
        process: &Process,
    ) -> Result<ProcessTables, TapeError> {
        let keep = |block: &Lifetime| block.addr < END_OF_ADDRESSES;
        let lifetimes = Lifetimes::of(recording, process.id, &keep)?;
        let backtraces =
            lifetimes.blocks.iter().flat_map(|block| [block.backtrace, block.freed_backtrace]);
        let stacks = Stacks::of(recording, names, backtraces)?;
        let others = lifetimes.blocks.iter().flat_map(|block| [block.thread, block.freed_thread]);
        let threads = Threads::of(recording, process.id, others);
        let left_out = lifetimes.of_blocks - lifetimes.blocks.len() as u64;
        let sampling = Sampling::of(recording);
        Ok(ProcessTables { lifetimes, stacks, threads, left_out, sampling })
    }

    /// Hands each table of the process to `take`, with its name.
    pub(crate) fn each(
        &self,
        recording: &dyn Recording,
        process: &Process,
        mut take: impl FnMut(&str, &Table<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let frames = FrameColumns::of(&self.stacks);
        take("strings", &frames.strings.table())?;
        take("frames", &frames.table())?;
        take("stacks", &tables::stacks(&self.stacks))?;
        take("times", &tables::times(&self.lifetimes.times))?;
        take("samples", &tables::samples(recording.samples(process.id)))?;
        take("blocks", &tables::blocks(&self.lifetimes, &self.stacks, &self.threads, self.sampling))
    }
}

/// What is known of a process whose tables are there.
pub(crate) fn process_info(
    recording: &dyn Recording,
    names: &dyn Names,
    process: &Process,
    block_count: u64,
    threads: &Threads,
) -> Result<ProcessInfo, TapeError> {
    let totals = process::totals(recording, process.id)?;
    let known = ProcessInfo::left_out(recording, process, String::new());
    Ok(ProcessInfo {
        block_count,
        peak: PeakInfo {
            position: totals.peak_event,
            time_ns: totals.peak_time.0.max(known.start_ns),
            weight: Weight { bytes: totals.peak_bytes, blocks: totals.peak_blocks },
        },
        at_exit: Weight { bytes: totals.live_bytes, blocks: totals.live_blocks },
        included: true,
        why_not: None,
        threads: threads.names.iter().cloned().map(thread_name).collect(),
        results: results(recording, names, process)?,
        ..known
    })
}

fn thread_name((tid, name): (u32, String)) -> ThreadName {
    ThreadName { tid, name }
}

fn results(
    recording: &dyn Recording,
    names: &dyn Names,
    process: &Process,
) -> Result<Results, TapeError> {
    let mut nothing_suppressed = Suppressions::default();
    let mut question = Question::all(Kinds::ALL, &mut nothing_suppressed);
    let mut leaks = Leaks::compute(recording, names, process, &mut question)?;
    leaks.hidden_records += leaks.records.len().saturating_sub(LEAKS) as u64;
    leaks.records.truncate(LEAKS);
    let crashes = Crashes::compute(recording, names, process)?;
    let died = !crashes.crashes.is_empty() || crashes.death.is_some();
    Ok(Results {
        summary: Some(Summary::compute(recording, names, process, SITES)?),
        findings: Vec::new(),
        checked: Vec::new(),
        rss: None,
        errors: Some(Errors::compute(recording, names, process, ERRORS)?),
        leaks: leaks.search.is_some().then_some(leaks),
        crash: died.then_some(crashes),
    })
}
