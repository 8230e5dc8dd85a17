//! The tables of a process that a page is made of (`docs/page.md`), from what the analysis found.

use super::coded::{self, blocks::Block, stacks::Node};
use super::columns::Table;
use heaptape_analysis::contents::captures::Captures;
use heaptape_analysis::estimate::Sampling;
use heaptape_analysis::flows::Flows;
use heaptape_analysis::lifetimes::{Lifetime, Lifetimes, NEVER};
use heaptape_analysis::names;
use heaptape_analysis::recording::Recording;
use heaptape_analysis::series::Series;
use heaptape_analysis::stacks::{StackFrame, Stacks};
use heaptape_analysis::times::Times;
use heaptape_tape::{ProcessId, Sample, ThreadId};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Addresses from here on are no exact numbers of JavaScript: blocks there are left out. No user space reaches so far.
pub const END_OF_ADDRESSES: u64 = 1 << 53;

/// The strings of a process's frames, each once; number 0 is empty.
#[derive(Debug)]
pub struct Strings {
    bytes: Vec<u8>,
    count: u32,
    by_text: FxHashMap<Arc<str>, u32>,
}

impl Strings {
    fn new() -> Strings {
        let mut strings = Strings { bytes: Vec::new(), count: 0, by_text: FxHashMap::default() };
        strings.number(&"".into());
        strings
    }

    fn number(&mut self, text: &Arc<str>) -> u32 {
        if let Some(&known) = self.by_text.get(text) {
            return known;
        }
        // A zero byte ends a string.
        self.bytes.extend_from_slice(text.replace('\0', "\\x00").as_bytes());
        self.bytes.push(0);
        self.by_text.insert(Arc::clone(text), self.count);
        self.count += 1;
        self.count - 1
    }

    /// The table `strings`.
    pub fn table(&self) -> Table<'_> {
        Table::new().bytes("bytes", &self.bytes)
    }
}

/// The frames of a process with numbers for their strings.
#[derive(Debug)]
pub struct FrameColumns<'a> {
    /// The strings.
    pub strings: Strings,
    rows: Vec<FrameRow>,
    frames: &'a [StackFrame],
}

#[derive(Debug)]
struct FrameRow {
    name: u32,
    short: u32,
    file: u32,
    module: u32,
}

impl<'a> FrameColumns<'a> {
    /// Numbers the strings of the frames of some stacks.
    pub fn of(stacks: &'a Stacks) -> FrameColumns<'a> {
        let mut strings = Strings::new();
        let row = |StackFrame { frame, .. }: &StackFrame| FrameRow {
            name: strings.number(&frame.function),
            short: strings.number(&frame.short),
            file: frame.file.as_ref().map_or(0, |file| strings.number(file)),
            module: frame.module.as_ref().map_or(0, |module| strings.number(module)),
        };
        let rows = stacks.frames.iter().map(row).collect();
        FrameColumns { rows, strings, frames: &stacks.frames }
    }

    /// The table `frames`.
    pub fn table(&self) -> Table<'_> {
        let (rows, frames) = (&self.rows, self.frames);
        let flags = |row: usize| {
            let StackFrame { frame, wrapper, .. } = &frames[row];
            u8::from(frame.inlined) | u8::from(frame.named) << 1 | u8::from(*wrapper) << 2
        };
        Table::new()
            .u32("name", rows.len(), |row| rows[row].name)
            .u32("short", rows.len(), |row| rows[row].short)
            .u32("file", rows.len(), |row| rows[row].file)
            .u32("line", rows.len(), |row| frames[row].frame.line)
            .u32("module", rows.len(), |row| rows[row].module)
            .u32("fn", rows.len(), |row| frames[row].function)
            .u8("flags", rows.len(), flags)
    }
}

/// The table `stacks`. Call sites follow from it: the page finds them itself.
pub fn stacks(stacks: &Stacks) -> Table<'_> {
    Table::new()
        // Most are near their caller: so these are small numbers.
        .u32("back", stacks.len(), |row| row as u32 - stacks.parents[row])
        .u32("frame", stacks.len(), |row| stacks.frame_of[row])
}

/// The same for a file: as a story, or as columns where that would be too long.
pub fn told_stacks(of: &Stacks) -> Table<'_> {
    let node = |row: u32| {
        let at = row as usize;
        Node { back: row.wrapping_sub(of.parents[at]), frame: of.frame_of[at] }
    };
    match coded::stacks::write(of.len() as u32, &node) {
        Some(story) => Table::new().meta("stacks", of.len()).bytes("story", story),
        None => stacks(of),
    }
}

/// The table `times`.
pub fn times(times: &Times) -> Table<'_> {
    let (positions, of) = (times.positions(), times.times());
    Table::new()
        .meta("exact", times.are_exact())
        .near("position", positions.len(), |row| positions[row])
        .near("time_lo", of.len(), |row| of[row] as u32)
        .near("time_hi", of.len(), |row| (of[row] >> 32) as u32)
}

/// The same for a file: as a story, or as columns where that would be too long.
pub fn told_times(of: &Times) -> Table<'_> {
    match coded::times::write(of.positions(), of.times()) {
        Some((extent, story)) => Table::new()
            .meta("exact", of.are_exact())
            .meta("changes", extent.changes)
            .meta("unit_ns", extent.unit_ns)
            .bytes("story", story),
        None => times(of),
    }
}

/// The table `samples`: what the kernel said of the process's memory.
pub fn samples(samples: &[Sample]) -> Table<'_> {
    Table::new()
        .f64("time_ns", samples.len(), |row| samples[row].time.0 as f64)
        .f64("rss", samples.len(), |row| samples[row].rss as f64)
        .f64("anon", samples.len(), |row| samples[row].rss_anon as f64)
        .f64("file", samples.len(), |row| samples[row].rss_file as f64)
}

/// The table `flows`.
pub fn flows<'a>(flows: &'a Flows, stacks: &'a Stacks) -> Table<'a> {
    let rows = &flows.rows;
    Table::new()
        .meta("grid", flows.grid)
        .near("born", rows.len(), |row| rows[row].born)
        .u32("died", rows.len(), |row| rows[row].died)
        .near("stack", rows.len(), |row| stacks.stack(rows[row].backtrace))
        .f64("bytes", rows.len(), |row| rows[row].weight.bytes as f64)
        .f64("blocks", rows.len(), |row| rows[row].weight.blocks as f64)
        .f64("temp_bytes", rows.len(), |row| rows[row].temporary.bytes as f64)
        .f64("temp_blocks", rows.len(), |row| rows[row].temporary.blocks as f64)
}

/// The table `timeline`: live bytes over the process's time, and at the end of each bucket.
pub fn timeline<'a>(series: &'a Series, ends: &'a [u64]) -> Table<'a> {
    let buckets = &series.buckets;
    Table::new()
        .meta("from_ns", series.start_ns)
        .meta("to_ns", series.end_ns)
        .f64("min", buckets.len(), |row| buckets[row].min_bytes as f64)
        .f64("max", buckets.len(), |row| buckets[row].max_bytes as f64)
        .f64("last", ends.len(), |row| ends[row] as f64)
}

/// The table `contents`.
pub fn contents(captures: &Captures) -> Table<'_> {
    let rows = &captures.rows;
    Table::new()
        .meta("left_out_bytes", captures.left_out_bytes)
        .u32("block_lo", rows.len(), |row| rows[row].block.0 as u32)
        .u32("block_hi", rows.len(), |row| (rows[row].block.0 >> 32) as u32)
        .near("position", rows.len(), |row| rows[row].position)
        .u32("offset", rows.len(), |row| rows[row].offset)
        .u32("length", rows.len(), |row| rows[row].length)
        .bytes("bytes", &captures.bytes)
}

/// The threads of a process as small numbers: its own ones, then those of ancestors whose blocks it inherited.
#[derive(Clone, Debug)]
pub struct Threads {
    numbers: FxHashMap<ThreadId, u16>,
    /// Kernel ids and names, by number. Where there are more than 65,536, the last one stands for all others.
    pub names: Vec<(u32, String)>,
}

impl Threads {
    /// Numbers the threads of a process, and others that had to do with its blocks.
    pub fn of(
        recording: &dyn Recording,
        process: ProcessId,
        others: impl Iterator<Item = ThreadId>,
    ) -> Threads {
        let mut threads = Threads { numbers: FxHashMap::default(), names: Vec::new() };
        let own = recording.threads().iter().filter(|thread| thread.process == process);
        own.for_each(|thread| threads.add(recording, thread.id));
        others.for_each(|thread| threads.add(recording, thread));
        threads
    }

    fn add(&mut self, recording: &dyn Recording, id: ThreadId) {
        if self.numbers.contains_key(&id) || self.names.len() > usize::from(u16::MAX) {
            return;
        }
        self.numbers.insert(id, self.names.len() as u16);
        let thread = recording.threads().get(id.0 as usize).filter(|thread| thread.id == id);
        let name = |thread: &heaptape_tape::Thread| (thread.tid, names::text(&thread.name));
        self.names.push(thread.map(name).unwrap_or_default());
    }

    /// The number of a thread.
    pub fn number(&self, id: ThreadId) -> u16 {
        self.numbers.get(&id).copied().unwrap_or(u16::MAX)
    }
}

/// Events from the one that began a block to the one that ended it; 0 where none did. Of an inherited block so many as
/// there were up to its end.
fn life(block: &Lifetime) -> u32 {
    if block.died == NEVER { 0 } else { block.died.wrapping_sub(block.born) }
}

/// The table `blocks`: as a story, or as columns where that would be too long.
pub fn blocks<'a>(
    lifetimes: &'a Lifetimes,
    stacks: &'a Stacks,
    threads: &'a Threads,
    sampling: Option<Sampling>,
) -> Table<'a> {
    let blocks = &lifetimes.blocks;
    let count = blocks.len();
    let any_high = |value: fn(&Lifetime) -> u64| blocks.iter().any(|block| value(block) >> 32 != 0);
    let row = |row: usize| {
        let block = &blocks[row];
        Block {
            born: block.born,
            life: life(block),
            stack: stacks.stack(block.backtrace),
            freed_stack: stacks.stack(block.freed_backtrace),
            size: block.size as u32,
            usable: block.usable as u32,
            addr: block.addr,
            thread: threads.number(block.thread),
            freed_thread: threads.number(block.freed_thread),
            api: block.api,
            flags: block.flags,
            leak: block.leak,
        }
    };
    let inherited = lifetimes.inherited as u32;
    let told = coded::blocks::write(count as u32, inherited, &|at| row(at as usize));
    let mut table = match told {
        Some((extent, story)) => Table::new()
            .meta("blocks", extent.blocks)
            .meta("inherited", extent.inherited)
            .meta("freed", extent.freed)
            .meta("stacks", extent.stacks)
            .meta("threads", extent.threads)
            .bytes("story", story),
        None => Table::new()
            .meta("inherited", inherited)
            .near("born", count, move |at| row(at).born)
            .u32("stack", count, move |at| row(at).stack)
            .u32("life", count, move |at| row(at).life)
            .u32("freed_stack", count, move |at| row(at).freed_stack)
            .u32("size_lo", count, move |at| row(at).size)
            .u32("usable", count, move |at| row(at).usable)
            .u32("addr_lo", count, move |at| row(at).addr as u32)
            .u32("addr_hi", count, move |at| (row(at).addr >> 32) as u32)
            .u16("thread", count, move |at| row(at).thread)
            .u16("freed_thread", count, move |at| row(at).freed_thread)
            .u8("api", count, move |at| row(at).api)
            .u8("flags", count, move |at| row(at).flags)
            .u8("leak", count, move |at| row(at).leak),
    };
    if any_high(|block| block.size) {
        table = table.u32("size_hi", count, |row| (blocks[row].size >> 32) as u32);
    }
    if any_high(|block| block.usable) {
        table = table.u32("usable_hi", count, |row| (blocks[row].usable >> 32) as u32);
    }
    if (1..).zip(blocks).any(|(rank, block)| block.id.0 != rank) {
        table =
            table
                .near("id_lo", count, |row| blocks[row].id.0 as u32)
                .near("id_hi", count, |row| (blocks[row].id.0 >> 32) as u32);
    }
    if let Some(sampling) = sampling {
        let weight = move |row: usize| sampling.weight(blocks[row].size, blocks[row].id);
        table = table.f64("weight_bytes", count, move |row| weight(row).bytes as f64).f64(
            "weight_blocks",
            count,
            move |row| weight(row).blocks as f64,
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use heaptape_tape::TimeNs;

    #[test]
    fn what_no_story_can_tell_is_columns() {
        let mut times = Times::default();
        let has = |times: &Times, column: &str| {
            let packed = told_times(times).packed();
            packed.windows(column.len()).any(|it| it == column.as_bytes())
        };
        times.note(1, TimeNs(5_000));
        assert!(has(&times, "\"story\"") && !has(&times, "\"position\""));
        times.note(2, TimeNs(END_OF_ADDRESSES));
        assert!(!has(&times, "\"story\"") && has(&times, "\"position\""));
    }
}
