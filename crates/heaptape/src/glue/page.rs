//! Gathers what a page shows, for the report's file and for the server.

use crate::glue::found::Found;
use heaptape_analysis::estimate::{self, Sampling};
use heaptape_analysis::flows::Flows;
use heaptape_analysis::lifetimes::{Lifetime, Lifetimes};
use heaptape_analysis::series::{Series, SeriesBuilder};
use heaptape_analysis::stacks::Stacks;
use heaptape_analysis::{Names, Recording, Weight, process, replay};
use heaptape_report::page::coded;
use heaptape_report::page::columns::Table;
use heaptape_report::page::overview::{Capped, PeakInfo, ProcessInfo, Results, ThreadName};
use heaptape_report::page::tables::{self, END_OF_ADDRESSES, FrameColumns, Threads};
use heaptape_tape::{Effect, Event, LiveBlock, Process, TapeError, Totals};
use std::cell::Cell;
use std::io;

/// Changes of the clock and parts of the timeline where the table of blocks is capped.
const CHANGES: usize = 1 << 18;
const BUCKETS: usize = 4096;

/// The blocks of a process and what is needed to name them.
pub(crate) struct ProcessTables {
    pub(crate) lifetimes: Lifetimes,
    pub(crate) stacks: Stacks,
    pub(crate) threads: Threads,
    /// Blocks at addresses that no page can show.
    pub(crate) left_out: u64,
    /// Where there are too many blocks.
    flows: Option<(Flows, Series, Vec<u64>)>,
    sampling: Option<Sampling>,
}

impl ProcessTables {
    /// Reads the whole history of a process, and keeps at most so many blocks. What was `found` out has numbers for its
    /// frames and backtraces.
    pub(crate) fn of(
        recording: &dyn Recording,
        names: &dyn Names,
        process: &Process,
        most_blocks: u64,
        found: &Found,
    ) -> Result<ProcessTables, TapeError> {
        let inherited = match process.forked_from {
            Some(_) => recording.live_at_start(process.id)?.totals().live_blocks,
            None => 0,
        };
        let is_too_much = recording.totals(process.id).allocs + inherited > most_blocks;
        let flows = if is_too_much {
            let flows = Flows::of(recording, process.id, most_blocks)?;
            let (series, ends) = timeline(recording, process)?;
            Some((flows, series, ends))
        } else {
            None
        };
        let left_out = Cell::new(0);
        let keep = |block: &Lifetime| {
            let shown = block.addr < END_OF_ADDRESSES;
            left_out.set(left_out.get() + u64::from(!shown));
            shown && flows.as_ref().is_none_or(|(flows, ..)| flows.kept.has(block))
        };
        let mut lifetimes = Lifetimes::of(recording, process.id, &keep)?;
        let story = lifetimes.blocks.len() as u64 * coded::blocks::WHILE_WRITTEN;
        recording.afford(lifetimes.bytes().saturating_add(story))?;
        if flows.is_some() {
            lifetimes.times = lifetimes.times.thinned(CHANGES);
        }
        let of_blocks =
            lifetimes.blocks.iter().flat_map(|block| [block.backtrace, block.freed_backtrace]);
        let of_flows =
            flows.iter().flat_map(|(flows, ..)| flows.rows.iter().map(|it| it.backtrace));
        let backtraces = of_blocks.chain(of_flows).chain(found.backtraces());
        let stacks = Stacks::of(recording, names, backtraces, &found.frames())?;
        let others = lifetimes.blocks.iter().flat_map(|block| [block.thread, block.freed_thread]);
        let threads = Threads::of(recording, process.id, others);
        let (left_out, sampling) = (left_out.get(), Sampling::of(recording));
        Ok(ProcessTables { lifetimes, stacks, threads, left_out, flows, sampling })
    }

    /// Leaves out what comparing needs none of: of a capped process, the blocks that are to be looked at one by one.
    pub(crate) fn for_comparison(mut self) -> ProcessTables {
        if self.flows.is_some() {
            self.lifetimes.blocks = Vec::new();
            self.lifetimes.inherited = 0;
        }
        self
    }

    /// Whether some blocks are only in sums.
    pub(crate) fn capped(&self) -> Option<Capped> {
        let (flows, ..) = self.flows.as_ref()?;
        Some(Capped {
            kept_blocks: self.lifetimes.blocks.len() as u64,
            of_blocks: self.lifetimes.of_blocks,
            grid: flows.grid,
        })
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
        take("stacks", &tables::told_stacks(&self.stacks))?;
        take("times", &tables::told_times(&self.lifetimes.times))?;
        take("samples", &tables::samples(recording.samples(process.id)))?;
        if let Some((flows, series, ends)) = &self.flows {
            take("timeline", &tables::timeline(series, ends))?;
            take("flows", &tables::flows(flows, &self.stacks))?;
        }
        take("blocks", &tables::blocks(&self.lifetimes, &self.stacks, &self.threads, self.sampling))
    }
}

/// Live bytes over the time of a process, where the page cannot count them itself.
fn timeline(recording: &dyn Recording, process: &Process) -> Result<(Series, Vec<u64>), TapeError> {
    let mut live = recording.live_at_start(process.id)?;
    let (start, end) = process::span(recording, process.id);
    let at_start = estimate::totals_at(recording, &live).live_bytes;
    let mut series = SeriesBuilder::new(start.0, end.0, BUCKETS, at_start);
    replay::whole(
        recording,
        process.id,
        &mut live,
        &mut |event: &Event, _: &Effect<&LiveBlock>, totals: &Totals| {
            series.set(event.time.0, totals.live_bytes);
        },
    )?;
    Ok(series.finish_with_ends())
}

/// What is known of a process whose tables are there.
pub(crate) fn process_info(
    recording: &dyn Recording,
    process: &Process,
    of_blocks: u64,
    threads: &Threads,
    results: Results,
) -> Result<ProcessInfo, TapeError> {
    let totals = process::totals(recording, process.id)?;
    let known = ProcessInfo::left_out(recording, process, String::new());
    Ok(ProcessInfo {
        block_count: of_blocks,
        peak: PeakInfo {
            position: totals.peak_event,
            time_ns: totals.peak_time.0.max(known.start_ns),
            weight: Weight { bytes: totals.peak_bytes, blocks: totals.peak_blocks },
        },
        at_exit: Weight { bytes: totals.live_bytes, blocks: totals.live_blocks },
        included: true,
        why_not: None,
        threads: threads.names.iter().cloned().map(thread_name).collect(),
        results,
        ..known
    })
}

fn thread_name((tid, name): (u32, String)) -> ThreadName {
    ThreadName { tid, name }
}
