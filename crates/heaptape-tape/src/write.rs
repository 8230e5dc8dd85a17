//! The tape, written front to back in whole, checksummed blocks.

use crate::blocks::BlockWriter;
use crate::crash::{CgroupMemory, Crash, Stack};
use crate::events::{Ended, MAX_EVENTS, Recorded};
use crate::format::{FileHead, kind};
use crate::index::{EventsKey, PagesKey};
use crate::keyframe;
use crate::leaks::{self, LeakBlock, LeakScan, LeaksKey};
use crate::live::{Effect, FORESEEN, LiveSet, Totals};
use crate::meta::Records;
use crate::model::*;
use crate::packer::{JOB_EVENTS, Job, Packer};
use crate::pages::Pages;
use crate::shapes::{self, Shape};
use std::io::{self, Write};

/// Events between keyframes of a process, at the least …
const KEYFRAME_EVENTS: u64 = 3_000_000;
/// … and for each live block: bounds what keyframes add to the tape.
const KEYFRAME_EVENTS_PER_BLOCK: u64 = 4;
/// Facts are written when so many bytes wait.
const META_BYTES: usize = 1 << 20;

/// Writes a tape to `out`. Nothing already written is ever changed: a tape cut anywhere opens and shows
/// everything up to its last whole block.
///
/// All times are rounded down to the tick of the header. Packing and the file are the work of a thread
/// of its own, so most calls return at once; an error of `out` is that of a later call. The tape is then
/// cut where it was, and every call that would write fails. At most 32 jobs wait for the
/// thread, events by the quarter of a MiB, parts of keyframes of up to 4 MiB (128 MiB where all are such);
/// then calls wait, too.
pub struct TapeWriter<W: Write> {
    packer: Packer<W>,
    tick_ns: u64,
    records: Records,
    processes: Vec<Track>,
    threads: u32,
    modules: u32,
    leak_scans: u32,
}

/// What the writer keeps of a process.
struct Track {
    life: Life,
    losses: Losses,
    run: Option<Run>,
    /// Runs begun so far: tells the blocks begun in this one.
    runs: u32,
    last_tick: u64,
    /// The time that `last_tick` was made of.
    last_time: TimeNs,
    last_keyframe: EventIndex,
    /// Blocks of pages and snapshots so far.
    pages: u64,
    snapshots: u32,
}

/// A live set takes memory for every block; a recording may see thousands of processes end.
enum Life {
    Running(LiveSet),
    /// What it came to.
    Ended(Totals),
}

/// Events that wait for their block: most were given to the packer already.
struct Run {
    /// Those that were not.
    list: Vec<Recorded>,
    count: usize,
    /// Blocks begun.
    begun: u32,
    first_event: EventIndex,
    first_tick: u64,
}

impl<W: Write + Send + 'static> TapeWriter<W> {
    /// Begins a tape. [`Header::version`] is this code's whatever `header` says; a tick of 0 is taken
    /// for 1.
    pub fn new(out: W, header: &Header) -> io::Result<TapeWriter<W>> {
        TapeWriter::packed_after(out, header, || ())
    }

    /// The same; the thread that packs and writes begins with `first`, which may give it a name, a priority …
    pub fn packed_after(
        out: W,
        header: &Header,
        first: impl FnOnce() + Send + 'static,
    ) -> io::Result<TapeWriter<W>> {
        let tick_ns = header.tick_ns.max(1);
        let mut blocks = BlockWriter::new(out)?;
        blocks.put(&FileHead::encode(tick_ns))?;
        let mut records = Records::new(tick_ns);
        records.header(&Header { tick_ns, ..header.clone() });
        blocks.block(kind::META, &[], &records.take())?;
        blocks.flush()?;
        Ok(TapeWriter {
            packer: Packer::new(blocks, first)?,
            tick_ns,
            records,
            processes: Vec::new(),
            threads: 0,
            modules: 0,
            leak_scans: 0,
        })
    }
}

impl<W: Write> TapeWriter<W> {
    /// A process begins; ids are given in order from 0. Its `end`, `ending` and `losses` come later.
    /// The events of a parent before the fork are best given before.
    pub fn process_start(&mut self, process: &Process) -> io::Result<()> {
        expect_next("process", process.id.0, self.processes.len() as u32)?;
        let forked = process.forked_from.is_some();
        if let Some((parent, _)) = process.forked_from {
            // A child on a cut tape should find the heap that it inherited.
            self.close_run(parent)?;
        }
        self.processes.push(Track {
            life: Life::Running(if forked { LiveSet::forked() } else { LiveSet::new() }),
            losses: Losses::default(),
            run: None,
            runs: 0,
            last_tick: 0,
            last_time: TimeNs(0),
            last_keyframe: 0,
            pages: 0,
            snapshots: 0,
        });
        self.records.process_start(process);
        self.close_full_records()
    }

    /// A process ended: its live set is forgotten, so that no event of it may follow. May be said again with better knowledge; the last word counts.
    pub fn process_end(
        &mut self,
        id: ProcessId,
        end: TimeNs,
        ending: Ending,
        losses: &Losses,
    ) -> io::Result<()> {
        self.track(id)?.losses = *losses;
        self.close_run(id)?;
        self.records.process_end(id, end, ending, losses);
        self.close_full_records()?;
        let track = self.track(id)?;
        track.life = Life::Ended(*track.totals());
        Ok(())
    }

    /// A thread begins; ids are given in order from 0.
    pub fn thread_start(&mut self, thread: &Thread) -> io::Result<()> {
        self.track(thread.process)?;
        expect_next("thread", thread.id.0, self.threads)?;
        self.threads += 1;
        self.records.thread_start(thread);
        self.close_full_records()
    }

    /// A thread's name became known.
    pub fn thread_name(&mut self, id: ThreadId, name: &[u8]) -> io::Result<()> {
        if id.0 >= self.threads {
            return Err(misuse("a name of a thread that was not begun"));
        }
        self.records.thread_name(id, name);
        self.close_full_records()
    }

    /// A module was loaded; ids are given in order from 0.
    pub fn module_load(&mut self, module: &Module) -> io::Result<()> {
        self.track(module.process)?;
        expect_next("module", module.id.0, self.modules)?;
        self.modules += 1;
        self.records.module_load(module);
        self.close_full_records()
    }

    /// A module was unloaded.
    pub fn module_unload(&mut self, id: ModuleId, time: TimeNs) -> io::Result<()> {
        if id.0 >= self.modules {
            return Err(misuse("the unloading of a module that was not loaded"));
        }
        self.records.module_unload(id, time);
        self.close_full_records()
    }

    /// Adds a backtrace node and returns its id (dense from 1). The caller has made sure that it is new.
    #[inline]
    pub fn backtrace_node(&mut self, node: &BacktraceNode) -> io::Result<BacktraceId> {
        if node.parent.0 > self.records.node_count() {
            return Err(misuse("a node called by a later one"));
        }
        if node.module.is_some_and(|module| module.0 >= self.modules) {
            return Err(misuse("a node in a module that was not loaded"));
        }
        let id = self.records.node(node);
        self.close_full_records()?;
        Ok(id)
    }

    /// Whether events are being given faster than they are packed and written, so that giving more may mean
    /// to wait. A false answer is good for some ten thousand events.
    pub fn is_full(&self) -> bool {
        self.packer.is_full()
    }

    /// The next events of a process, each as by [`TapeWriter::event`]: faster, because they are known
    /// beforehand. Stops at the first that fails.
    pub fn events(&mut self, process: ProcessId, events: &[Event]) -> io::Result<()> {
        for some in events.chunks(FORESEEN) {
            if let Some(live) = self.live(process) {
                live.foresee(some);
            }
            for event in some {
                self.event(process, event)?;
            }
        }
        Ok(())
    }

    /// The next event of a process that has not ended. A time before the last event's is raised to it.
    #[inline(always)]
    pub fn event(&mut self, process: ProcessId, event: &Event) -> io::Result<()> {
        if event.thread.0 >= self.threads || event.backtrace.0 > self.records.node_count() {
            return Err(misuse("an event of a thread or backtrace that was not begun"));
        }
        let tick_ns = self.tick_ns;
        let index = process.0 as usize;
        let track = self.processes.get_mut(index).ok_or_else(unknown_process)?;
        let run = track.push(event, tick_ns, || self.packer.list())?;
        let full = run.count == MAX_EVENTS;
        if run.list.len() == JOB_EVENTS {
            let list = std::mem::replace(&mut run.list, self.packer.list());
            self.packer.give(Job::Events(process, list))?;
        }
        if self.processes[index].is_keyframe_due() {
            return self.keyframe(process);
        }
        if full { self.close_run(process) } else { Ok(()) }
    }

    /// A memory sample of a process.
    pub fn sample(&mut self, process: ProcessId, sample: &Sample) -> io::Result<()> {
        self.track(process)?;
        self.records.sample(process, sample);
        self.close_full_records()
    }

    /// A child that could not be recorded.
    pub fn unrecorded(&mut self, child: &Unrecorded) -> io::Result<()> {
        self.records.unrecorded(child);
        self.close_full_records()
    }

    /// Pages of a process's memory, for the snapshot that follows them: [`TapeWriter::snapshot`].
    pub fn pages(&mut self, process: ProcessId, pages: &Pages) -> io::Result<()> {
        let Some((first, last)) = pages.span() else { return Ok(()) };
        let body = pages.encode().map_err(|e| misuse(e.0))?;
        let track = self.track(process)?;
        let serial = track.pages;
        track.pages += 1;
        let key = PagesKey { process, serial, first, last }.encode();
        self.packer.give(Job::Block(kind::PAGES, key, body))
    }

    /// The contents of the live blocks are on the tape: those of its pages that had changed were given before.
    /// Its number is given here and returned.
    pub fn snapshot(&mut self, snapshot: &Snapshot) -> io::Result<u32> {
        let track = self.track(snapshot.process)?;
        track.snapshots += 1;
        let (number, pages) = (track.snapshots, track.pages);
        // The events up to it, so that its live blocks are known on a tape that is cut right after.
        self.close_run(snapshot.process)?;
        self.records.snapshot(&Snapshot { number, ..*snapshot }, pages);
        self.close_records()?;
        Ok(number)
    }

    /// A fatal signal.
    pub fn crash(&mut self, crash: &Crash) -> io::Result<()> {
        self.track(crash.process)?;
        self.records.crash(crash);
        self.close_full_records()
    }

    /// The name of the code that some nodes lie in, where no module has it.
    pub fn node_name(&mut self, name: &[u8], nodes: &[BacktraceId]) -> io::Result<()> {
        self.records.node_name(name, nodes);
        self.close_full_records()
    }

    /// Bytes that the program should not have written.
    pub fn overwrite(&mut self, overwrite: &Overwrite) -> io::Result<()> {
        self.track(overwrite.process)?;
        self.records.overwrite(overwrite);
        self.close_full_records()
    }

    /// How the blocks of a process were guarded.
    pub fn guarded(&mut self, guarded: &Guarded) -> io::Result<()> {
        self.track(guarded.process)?;
        self.records.guarded(guarded);
        self.close_full_records()
    }

    /// The address space of a process.
    pub fn memory_map(&mut self, map: &MemoryMap) -> io::Result<()> {
        self.track(map.process)?;
        self.records.memory_map(map);
        self.close_full_records()
    }

    /// What a search for leaks found: `blocks` by address. Returns the search's number.
    pub fn leaks(&mut self, scan: &LeakScan, blocks: &[LeakBlock]) -> io::Result<u32> {
        let (process, number) = (scan.process, self.leak_scans);
        self.track(process)?;
        // A reader asks for the blocks that were live then.
        self.close_run(process)?;
        self.records.leaks(&LeakScan { number, ..scan.clone() });
        self.close_records()?;
        for (part, blocks) in blocks.chunks(leaks::PART).enumerate() {
            let first = (part * leaks::PART) as u32;
            let key = LeaksKey { process, scan: number, first, count: blocks.len() as u32 };
            let body = leaks::encode(first, blocks);
            self.packer.give(Job::Block(kind::LEAKS, key.encode(), body))?;
        }
        self.leak_scans += 1;
        Ok(number)
    }

    /// What a thread was doing at an instant.
    pub fn stack(&mut self, stack: &Stack) -> io::Result<()> {
        self.track(stack.process)?;
        if stack.backtrace.0 > self.records.node_count() {
            return Err(misuse("a stack of a backtrace that was not begun"));
        }
        // Nodes wait for company: they must be on the tape before what refers to them.
        self.close_records()?;
        self.records.stack(stack);
        self.close_full_records()
    }

    /// What the kernel says of the memory of a process's cgroup.
    pub fn cgroup(&mut self, memory: &CgroupMemory) -> io::Result<()> {
        self.track(memory.process)?;
        self.records.cgroup(memory);
        self.close_full_records()
    }

    /// The live set of a process as of the events written so far; `None` once it has ended.
    pub fn live(&self, process: ProcessId) -> Option<&LiveSet> {
        match &self.processes.get(process.0 as usize)?.life {
            Life::Running(live) => Some(live),
            Life::Ended(_) => None,
        }
    }

    /// The time of the last event of a process; 0 where there was none.
    pub fn last_time(&self, process: ProcessId) -> Option<TimeNs> {
        self.processes.get(process.0 as usize).map(|track| track.last_time)
    }

    /// The totals of a process as of the events written so far, or as of its end.
    pub fn totals(&self, process: ProcessId) -> Option<&Totals> {
        self.processes.get(process.0 as usize).map(Track::totals)
    }

    /// Writes a keyframe of a process that has not ended: winding to what follows then begins here. The
    /// writer does so now and then by itself.
    pub fn keyframe(&mut self, process: ProcessId) -> io::Result<()> {
        self.close_run(process)?;
        self.close_records()?;
        let track = self.processes.get_mut(process.0 as usize).ok_or_else(unknown_process)?;
        let Life::Running(live) = &track.life else {
            return Err(misuse("a keyframe of a process that has ended"));
        };
        track.last_keyframe = live.totals().events;
        for part in keyframe::parts(process, live, self.tick_ns) {
            self.packer.give(Job::Keyframe(part))?;
        }
        Ok(())
    }

    /// Closes the blocks in progress and has everything handed to `out`, soon: what was said so far then
    /// survives the death of this process. Writes nothing when nothing was said.
    pub fn flush(&mut self) -> io::Result<()> {
        self.close_records()?;
        for id in (0..self.processes.len() as u32).map(ProcessId) {
            self.close_run(id)?;
        }
        self.packer.give(Job::Flush)
    }

    /// As [`flush`](TapeWriter::flush), and waits for it: a reader finds there what was said so far.
    pub fn flush_now(&mut self) -> io::Result<()> {
        self.flush()?;
        self.packer.wait()
    }

    /// Writes index and footer and returns `out`.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        let processes = self.processes.iter().map(|t| (*t.totals(), t.losses)).collect();
        self.packer.finish(processes)
    }

    fn track(&mut self, id: ProcessId) -> io::Result<&mut Track> {
        self.processes.get_mut(id.0 as usize).ok_or_else(unknown_process)
    }

    fn close_full_records(&mut self) -> io::Result<()> {
        if self.records.len() >= META_BYTES { self.close_records() } else { Ok(()) }
    }

    fn close_records(&mut self) -> io::Result<()> {
        if self.records.len() == 0 {
            return Ok(());
        }
        let body = self.records.take();
        self.packer.give(Job::Block(kind::META, Vec::new(), body))
    }

    /// Writes the events of a process that wait, after the facts that they refer to.
    fn close_run(&mut self, process: ProcessId) -> io::Result<()> {
        let (threads, nodes) = (self.threads, self.records.node_count());
        let track = self.track(process)?;
        let Some(run) = track.run.take() else {
            return Ok(());
        };
        let key = EventsKey {
            process,
            count: run.count as u32,
            first_event: run.first_event,
            first_tick: run.first_tick,
            last_tick: track.last_tick,
            threads,
            nodes,
            totals: *track.totals(),
        };
        self.close_records()?;
        if !run.list.is_empty() {
            self.packer.give(Job::Events(process, run.list))?;
        }
        self.packer.give(Job::EndRun(key))
    }
}

impl Track {
    /// Takes an event in; `list` gives room for events of a run. Returns the run.
    ///
    /// Inlined, as [`TapeWriter::event`] is, so that the event stays in registers: one that was just written
    /// field by field is slow to read again in wider pieces.
    #[inline(always)]
    fn push(
        &mut self,
        event: &Event,
        tick_ns: u64,
        list: impl FnOnce() -> Vec<Recorded>,
    ) -> io::Result<&mut Run> {
        let Life::Running(live) = &mut self.life else {
            return Err(misuse("an event of a process that has ended"));
        };
        if event.time > self.last_time {
            self.last_time = event.time;
            self.last_tick = event.time.0 / tick_ns;
        }
        let tick = self.last_tick;
        let run = self.run.get_or_insert_with(|| {
            self.runs += 1;
            let first_event = live.totals().events;
            Run { list: list(), count: 0, begun: 0, first_event, first_tick: tick }
        });
        let mark = u64::from(self.runs) << 32 | u64::from(run.begun);
        let ended = match live.apply_marked(event, TimeNs(tick * tick_ns), mark) {
            (Effect::Ended(_), mark) if (mark >> 32) as u32 == self.runs => {
                Ended::Here(mark as u32)
            }
            (Effect::Ended(block), _) => {
                let units = shapes::room(block.size, block.usable) >> 4;
                Ended::Elder { id: block.id.0, units: u32::try_from(units).unwrap_or(0) }
            }
            _ => Ended::UNKNOWN,
        };
        run.begun += u32::from(event.action.begins_block());
        run.count += 1;
        let (shape, thread) = (Shape::of(event), event.thread);
        run.list.push(Recorded { tick, addr: event.addr, shape, ended, thread });
        Ok(run)
    }

    fn totals(&self) -> &Totals {
        match &self.life {
            Life::Running(live) => live.totals(),
            Life::Ended(totals) => totals,
        }
    }

    fn is_keyframe_due(&self) -> bool {
        let totals = self.totals();
        let since = totals.events - self.last_keyframe;
        since >= KEYFRAME_EVENTS && since >= KEYFRAME_EVENTS_PER_BLOCK * totals.live_blocks
    }
}

fn expect_next(what: &str, id: u32, next: u32) -> io::Result<()> {
    if id == next {
        return Ok(());
    }
    Err(misuse(&format!("{what} {id} was begun where {next} is next")))
}

fn unknown_process() -> io::Error {
    misuse("something of a process that was not begun")
}

/// The caller broke the order of things; nothing was written.
fn misuse(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what.to_string())
}
