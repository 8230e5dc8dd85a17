//! The tape, written front to back in whole, checksummed blocks.

use crate::blocks::BlockWriter;
use crate::events::{EventsEncoder, MAX_EVENTS};
use crate::format::{FileHead, kind};
use crate::index::{self, EventsKey};
use crate::keyframe;
use crate::live::{Effect, LiveSet, Totals};
use crate::meta::Records;
use crate::model::*;
use crate::shapes;
use crate::varint;
use std::io::{self, Write};

/// Events between keyframes of a process, at the least …
const KEYFRAME_EVENTS: u64 = 1 << 20;
/// … and for each live block: bounds what keyframes add to the tape.
const KEYFRAME_EVENTS_PER_BLOCK: u64 = 4;
/// Facts are written when so many bytes wait.
const META_BYTES: usize = 1 << 20;
/// Contents are cut into pieces of so many bytes, and written when as many wait.
const CONTENTS_BYTES: usize = 4 << 20;

/// Writes a tape to `out`. Nothing already written is ever changed: a tape cut anywhere opens and shows
/// everything up to its last whole block.
///
/// All times are rounded down to the tick of the header. After an error of `out` the tape is cut where
/// it was; every later call fails.
pub struct TapeWriter<W: Write> {
    blocks: BlockWriter<W>,
    tick_ns: u64,
    records: Records,
    processes: Vec<Track>,
    threads: u32,
    modules: u32,
}

/// What the writer keeps of a process.
struct Track {
    life: Life,
    losses: Losses,
    run: Option<Run>,
    last_tick: u64,
    last_keyframe: EventIndex,
    contents: Vec<u8>,
}

/// A live set takes memory for every block; a recording may see thousands of processes end.
enum Life {
    Running(LiveSet),
    /// What it came to.
    Ended(Totals),
}

/// Events that wait for their block.
struct Run {
    encoder: EventsEncoder,
    first_event: EventIndex,
    first_tick: u64,
}

impl<W: Write> TapeWriter<W> {
    /// Begins a tape. [`Header::version`] is this code's whatever `header` says; a tick of 0 is taken
    /// for 1.
    pub fn new(out: W, header: &Header) -> io::Result<TapeWriter<W>> {
        let tick_ns = header.tick_ns.max(1);
        let mut writer = TapeWriter {
            blocks: BlockWriter::new(out)?,
            tick_ns,
            records: Records::new(tick_ns),
            processes: Vec::new(),
            threads: 0,
            modules: 0,
        };
        writer.blocks.put(&FileHead::encode(tick_ns))?;
        writer.records.header(&Header { tick_ns, ..header.clone() });
        writer.flush()?;
        Ok(writer)
    }

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
            last_tick: 0,
            last_keyframe: 0,
            contents: Vec::new(),
        });
        self.records.process_start(process);
        self.close_full_records()
    }

    /// A process ended: its last keyframe is written and its live set forgotten, so that no event of it
    /// may follow. May be said again with better knowledge; the last word counts.
    pub fn process_end(
        &mut self,
        id: ProcessId,
        end: TimeNs,
        ending: Ending,
        losses: &Losses,
    ) -> io::Result<()> {
        self.track(id)?.losses = *losses;
        self.close_run(id)?;
        self.close_contents(id)?;
        self.records.process_end(id, end, ending, losses);
        self.close_full_records()?;
        self.last_keyframe(id)?;
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

    /// The next event of a process that has not ended. A time before the last event's is raised to it.
    pub fn event(&mut self, process: ProcessId, event: &Event) -> io::Result<()> {
        if event.thread.0 >= self.threads || event.backtrace.0 > self.records.node_count() {
            return Err(misuse("an event of a thread or backtrace that was not begun"));
        }
        let tick_ns = self.tick_ns;
        let track = self.track(process)?;
        let tick = (event.time.0 / tick_ns).max(track.last_tick);
        track.push(&Event { time: TimeNs(tick * tick_ns), ..*event }, tick)?;
        let full = track.run.as_ref().is_some_and(|run| run.encoder.count() == MAX_EVENTS);
        if track.is_keyframe_due() {
            self.close_run(process)?;
            self.keyframe(process)?;
        } else if full {
            self.close_run(process)?;
        }
        Ok(())
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

    /// The bytes of a block. More than 4 MiB are read back as several [`Contents`], each with the
    /// address where it starts.
    pub fn contents(&mut self, contents: &Contents) -> io::Result<()> {
        let tick = contents.time.0 / self.tick_ns;
        let process = contents.process;
        let mut addr = contents.addr;
        let mut rest = &contents.bytes[..];
        loop {
            let (piece, after) = rest.split_at(rest.len().min(CONTENTS_BYTES));
            let track = self.track(process)?;
            for number in [tick, contents.block.0, addr] {
                varint::put(&mut track.contents, number);
            }
            varint::put_bytes(&mut track.contents, piece);
            if track.contents.len() >= CONTENTS_BYTES {
                self.close_contents(process)?;
            }
            addr = addr.wrapping_add(piece.len() as u64);
            rest = after;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// A fatal signal.
    pub fn crash(&mut self, crash: &Crash) -> io::Result<()> {
        self.track(crash.process)?;
        self.records.crash(crash);
        self.close_full_records()
    }

    /// The live set of a process as of the events written so far; `None` once it has ended.
    pub fn live(&self, process: ProcessId) -> Option<&LiveSet> {
        match &self.processes.get(process.0 as usize)?.life {
            Life::Running(live) => Some(live),
            Life::Ended(_) => None,
        }
    }

    /// Closes the blocks in progress and hands everything to `out`: what was said so far survives the
    /// death of this process. Writes nothing when nothing was said.
    pub fn flush(&mut self) -> io::Result<()> {
        self.close_records()?;
        for id in (0..self.processes.len() as u32).map(ProcessId) {
            self.close_run(id)?;
            self.close_contents(id)?;
        }
        self.blocks.flush()
    }

    /// Writes last keyframes, index and footer and returns `out`.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        for id in (0..self.processes.len() as u32).map(ProcessId) {
            self.last_keyframe(id)?;
        }
        let processes = self.processes.iter().map(|t| (*t.totals(), t.losses)).collect();
        self.blocks.finish(processes)
    }

    fn track(&mut self, id: ProcessId) -> io::Result<&mut Track> {
        self.processes
            .get_mut(id.0 as usize)
            .ok_or_else(|| misuse("something of a process that was not begun"))
    }

    fn close_full_records(&mut self) -> io::Result<()> {
        if self.records.len() >= META_BYTES { self.close_records() } else { Ok(()) }
    }

    fn close_records(&mut self) -> io::Result<()> {
        if self.records.len() == 0 {
            return Ok(());
        }
        let body = self.records.take();
        self.blocks.block(kind::META, &[], &body)
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
            count: run.encoder.count() as u32,
            first_event: run.first_event,
            first_tick: run.first_tick,
            last_tick: track.last_tick,
            threads,
            nodes,
            totals: *track.totals(),
        };
        self.close_records()?;
        self.blocks.block(kind::EVENTS, &key.encode(), &run.encoder.finish())
    }

    /// The keyframe at the end of a history; none where there already is one. What was said before it
    /// is written before it.
    fn last_keyframe(&mut self, process: ProcessId) -> io::Result<()> {
        let track = self.track(process)?;
        if track.totals().events == track.last_keyframe {
            return Ok(());
        }
        self.close_records()?;
        self.keyframe(process)
    }

    fn keyframe(&mut self, process: ProcessId) -> io::Result<()> {
        let track = &mut self.processes[process.0 as usize];
        let Life::Running(live) = &track.life else {
            return Ok(());
        };
        track.last_keyframe = live.totals().events;
        for (key, body) in keyframe::parts(process, live, self.tick_ns) {
            self.blocks.block(kind::KEYFRAME, &key.encode(), &body)?;
        }
        Ok(())
    }

    fn close_contents(&mut self, process: ProcessId) -> io::Result<()> {
        let body = std::mem::take(&mut self.track(process)?.contents);
        if body.is_empty() {
            return Ok(());
        }
        self.close_records()?;
        self.blocks.block(kind::CONTENTS, &index::contents_key(process), &body)
    }
}

impl Track {
    fn push(&mut self, event: &Event, tick: u64) -> io::Result<()> {
        let Life::Running(live) = &mut self.life else {
            return Err(misuse("an event of a process that has ended"));
        };
        let first_event = live.totals().events;
        let ended_room = match live.apply(event) {
            Effect::Ended(block) => shapes::room(block.size, block.usable),
            _ => 0,
        };
        self.last_tick = tick;
        let begin = || Run { encoder: EventsEncoder::new(), first_event, first_tick: tick };
        let run = self.run.get_or_insert_with(begin);
        run.encoder.push(event, tick, ended_room);
        Ok(())
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
        since >= KEYFRAME_EVENTS.max(KEYFRAME_EVENTS_PER_BLOCK * totals.live_blocks)
    }
}

fn expect_next(what: &str, id: u32, next: u32) -> io::Result<()> {
    if id == next {
        return Ok(());
    }
    Err(misuse(&format!("{what} {id} was begun where {next} is next")))
}

/// The caller broke the order of things; nothing was written.
fn misuse(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what.to_string())
}
