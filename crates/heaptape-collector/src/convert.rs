//! Wire records become events of the tape. The only file that knows both vocabularies.
//!
//! One [`Converter`] follows one process through its merged history. It keeps what the history says
//! implicitly: which thread a stream speaks for, which modules are loaded at this point, what a
//! stream's backtrace nodes stand for. Records are hostile: what makes no sense is counted as
//! malformed and skipped.

use crate::book::Book;
use crate::nodes::{Known, Nodes};
use heaptape_tape::*;
use heaptape_wire::layout::MAX_FRAMES;
use heaptape_wire::record::{self, Kind, MAX_BUILD_ID, MAX_PATH};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::io::{self, Write};

// No backtrace is deeper than one on a tape may be.
const _: () = assert!(MAX_FRAMES <= MAX_DEPTH);

/// Most fork records remembered for children that have not said hello yet.
const MAX_FORKS: usize = 1 << 16;
/// Most overwrites of one process on a tape; a program that writes everywhere says no more with more of them.
const MAX_OVERWRITES: u64 = 10_000;
/// Most backtrace nodes of one stream; events beyond it lose their backtrace and are counted.
const MAX_NODES: usize = 1 << 28;
/// Addresses outside all modules that may get names; more stay without.
const MAX_STRAYS: usize = 1 << 20;

/// What is known of one process at one point of its history.
#[derive(Debug)]
pub(crate) struct Converter {
    process: ProcessId,
    /// Times never decrease within a process: one that would is taken for this.
    time: TimeNs,
    events: u64,
    overwrites: u64,
    /// Those beyond [`MAX_OVERWRITES`].
    unlisted_overwrites: u64,
    malformed: u64,
    streams: Vec<Stream>,
    threads: FxHashMap<u32, KnownThread>,
    modules: BTreeMap<u64, Loaded>,
    /// Where one of them begins, and it: the one that was asked for last, as it mostly is the next time.
    last_module: Option<(u64, Loaded)>,
    /// Modules that are gone, in the order in which they went.
    gone: Vec<Gone>,
    nodes: Nodes,
    /// Of them, those that lie in no module.
    strays: Strays,
    forks: BTreeMap<u64, EventIndex>,
    /// Events on their way to the tape.
    waiting: Vec<Event>,
}

/// Events that go to the tape together.
const BATCH: usize = 4 * FORESEEN;

/// One stream's own vocabulary.
#[derive(Debug, Default)]
struct Stream {
    thread: Option<ThreadId>,
    /// The last time it said.
    time: TimeNs,
    /// Its last event, if it has had one.
    event: Option<EventIndex>,
    /// `nodes[id - 1]`: the node on the tape.
    nodes: Vec<Known>,
}

#[derive(Debug)]
struct KnownThread {
    id: ThreadId,
    /// Its name, as the tape has it.
    name: Vec<u8>,
    /// Whether the thread has introduced itself, and not only a handler that interrupted it.
    introduced: bool,
}

#[derive(Clone, Copy, Debug)]
struct Loaded {
    id: ModuleId,
    end: u64,
    bias: u64,
    /// The world number of its record.
    world: u64,
}

/// A module that was there until the world record of that number.
#[derive(Clone, Copy, Debug)]
struct Gone {
    start: u64,
    loaded: Loaded,
    until: u64,
}

/// Return addresses that lie in no module, and the nodes that stand for them.
pub(crate) type Strays = BTreeMap<u64, Vec<BacktraceId>>;

impl Converter {
    /// The history of `process` begins at `start`.
    pub(crate) fn new(process: ProcessId, start: TimeNs) -> Converter {
        Converter {
            process,
            time: start,
            events: 0,
            overwrites: 0,
            unlisted_overwrites: 0,
            malformed: 0,
            streams: Vec::new(),
            threads: FxHashMap::default(),
            modules: BTreeMap::new(),
            last_module: None,
            gone: Vec::new(),
            nodes: Nodes::new(),
            strays: Strays::new(),
            forks: BTreeMap::new(),
            waiting: Vec::with_capacity(BATCH),
        }
    }

    /// Its process.
    pub(crate) fn process(&self) -> ProcessId {
        self.process
    }

    /// Events so far.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// Records that made no sense.
    pub(crate) fn malformed(&self) -> u64 {
        self.malformed
    }

    /// Overwrites that were found and did not go to the tape.
    pub(crate) fn unlisted_overwrites(&self) -> u64 {
        self.unlisted_overwrites
    }

    /// Where in this history the fork with that serial was, once.
    pub(crate) fn take_fork(&mut self, serial: u64) -> Option<EventIndex> {
        self.forks.remove(&serial)
    }

    /// The thread with that kernel id.
    pub(crate) fn thread(&self, tid: u32) -> Option<ThreadId> {
        self.threads.get(&tid).map(|known| known.id)
    }

    /// Whether a loaded module holds that address.
    pub(crate) fn has_module_at(&self, addr: u64) -> bool {
        self.modules.range(..=addr).next_back().is_some_and(|(_, loaded)| addr < loaded.end)
    }

    /// A module that the recorder has not told of, as no backtrace of an allocation passed through it.
    pub(crate) fn meet<W: Write>(&mut self, book: &mut Book<W>, module: Module) -> io::Result<()> {
        let (start, end, bias) = (module.start, module.end, module.bias);
        let id = book.module(Module { process: self.process, loaded: self.time, ..module })?;
        self.last_module = None;
        self.modules.insert(start, Loaded { id, end, bias, world: 0 });
        Ok(())
    }

    /// The backtrace with these frames, outermost first: return addresses and how they were found.
    pub(crate) fn backtrace_of<W: Write>(
        &mut self,
        book: &mut Book<W>,
        frames: impl Iterator<Item = (u64, FrameQuality)>,
    ) -> io::Result<BacktraceId> {
        let mut parent = Known::NONE;
        for (address, quality) in frames {
            let module = self.module_at(address, u64::MAX);
            parent = self.on_tape(book, parent, node(parent.id, module, address, quality))?;
        }
        Ok(parent.id)
    }

    /// The node on the tape that is the same.
    #[inline(always)]
    fn on_tape<W: Write>(
        &mut self,
        book: &mut Book<W>,
        parent: Known,
        node: BacktraceNode,
    ) -> io::Result<Known> {
        let strays = &mut self.strays;
        let BacktraceNode { parent: caller, module, address, quality } = node;
        self.nodes.child(parent, &node, move || {
            // Put together anew: one copied from where it was just written field by field would wait for that.
            let node = BacktraceNode { parent: caller, module, address, quality };
            let id = book.writer.backtrace_node(&node)?;
            if module.is_none() && strays.len() < MAX_STRAYS {
                strays.entry(address).or_default().push(id);
            }
            Ok(id)
        })
    }

    /// The thread with that kernel id has this name now.
    pub(crate) fn name_thread<W: Write>(
        &mut self,
        book: &mut Book<W>,
        tid: u32,
        name: Vec<u8>,
    ) -> io::Result<()> {
        let Some(known) = self.threads.get_mut(&tid) else { return Ok(()) };
        if known.name == name {
            return Ok(());
        }
        known.name = name;
        book.writer.thread_name(known.id, &known.name)
    }

    /// The nodes that lie in no module.
    pub(crate) fn strays(&self) -> &Strays {
        &self.strays
    }

    /// The forks whose children have not said hello.
    pub(crate) fn into_forks(self) -> BTreeMap<u64, EventIndex> {
        self.forks
    }

    /// The next record of the history, framed by the merge.
    #[inline(always)]
    pub(crate) fn record<W: Write>(
        &mut self,
        book: &mut Book<W>,
        stream: usize,
        kind: Kind,
        words: &[u64],
    ) -> io::Result<()> {
        if stream >= self.streams.len() {
            self.streams.resize_with(stream + 1, Stream::default);
        }
        match kind {
            Kind::Node => self.node(book, stream, words),
            kind if kind.is_event() => match record::Event::decode(words) {
                Some(event) => self.event(book, stream, &event),
                None => self.count_malformed(),
            },
            _ => self.fact(book, stream, kind, words),
        }
    }

    /// A record that is neither an event nor a node.
    #[inline(never)]
    fn fact<W: Write>(
        &mut self,
        book: &mut Book<W>,
        stream: usize,
        kind: Kind,
        words: &[u64],
    ) -> io::Result<()> {
        match kind {
            Kind::Time => {
                self.streams[stream].time = self.now(book, words[1]);
                Ok(())
            }
            Kind::Thread => self.introduce(book, stream, words),
            Kind::Module => match module(words) {
                Some(module) => self.load(book, words, module),
                None => self.count_malformed(),
            },
            Kind::ModuleGone => self.unload(book, words),
            Kind::Fork => self.fork(words[3]),
            Kind::Overwrite => self.overwrite(book, stream, words),
            // A pad, or what `record` keeps for itself.
            _ => Ok(()),
        }
    }

    fn count_malformed(&mut self) -> io::Result<()> {
        self.malformed += 1;
        Ok(())
    }

    /// A time that a record says; it is never in the future.
    fn now<W: Write>(&self, book: &Book<W>, ns: u64) -> TimeNs {
        book.time(ns.min(book.now_ns))
    }

    /// Moves the time of the process on to that; it is never before the last one.
    fn at(&mut self, time: TimeNs) -> TimeNs {
        self.time = self.time.max(time);
        self.time
    }

    /// Gives a stream's own node its node on the tape. Ids that begin at 1 again are new ones.
    #[inline(never)]
    fn node<W: Write>(
        &mut self,
        book: &mut Book<W>,
        stream: usize,
        words: &[u64],
    ) -> io::Result<()> {
        let nodes = &mut self.streams[stream].nodes;
        let (id, parent) = (words[1] as u32 as usize, (words[1] >> 32) as usize);
        let quality = FrameQuality::from_u8((words[0] >> 8) as u8);
        if id == 1 {
            nodes.clear();
        }
        let Some(quality) =
            quality.filter(|_| id == nodes.len() + 1 && parent < id && nodes.len() < MAX_NODES)
        else {
            return self.count_malformed();
        };
        let parent = if parent == 0 { Known::NONE } else { nodes[parent - 1] };
        let module = self.module_at(words[2], words[0] >> 16);
        let known = self.on_tape(book, parent, self::node(parent.id, module, words[2], quality))?;
        self.streams[stream].nodes.push(known);
        Ok(())
    }

    /// The module that a return address lies in, as the modules were after that many world records: the merge
    /// has brought all of these, and may have brought more.
    #[inline(always)]
    fn module_at(&mut self, ip: u64, world: u64) -> Option<Loaded> {
        // The call before the return address: that one lies in the module even if nothing follows it.
        let call = ip.saturating_sub(1);
        match self.last_module {
            Some((start, last))
                if (start..last.end).contains(&call)
                    && last.world <= world
                    && self.gone.is_empty() =>
            {
                Some(last)
            }
            _ => self.find_module(call, world),
        }
    }

    #[inline(never)]
    fn find_module(&mut self, call: u64, world: u64) -> Option<Loaded> {
        let since = self.gone.iter().rev().take_while(|gone| gone.until > world);
        let is_it = |gone: &&Gone| {
            (gone.start..gone.loaded.end).contains(&call) && gone.loaded.world <= world
        };
        if let Some(gone) = since.filter(is_it).last() {
            return Some(gone.loaded);
        }
        let (&start, &loaded) = self.modules.range(..=call).next_back()?;
        if call >= loaded.end || loaded.world > world {
            return None;
        }
        self.last_module = Some((start, loaded));
        Some(loaded)
    }

    fn introduce<W: Write>(
        &mut self,
        book: &mut Book<W>,
        stream: usize,
        words: &[u64],
    ) -> io::Result<()> {
        self.streams[stream].time = self.now(book, words[1]);
        let time = self.at(self.streams[stream].time);
        let (tid, level) = (words[2] as u32, words[2] >> 32);
        let thread = match self.threads.get_mut(&tid) {
            // A handler speaks for the thread it interrupted, whichever of both was first.
            Some(known) if level > 0 || !known.introduced => {
                known.introduced |= level == 0;
                known.id
            }
            // Never seen, or the kernel has given the number to a new thread.
            _ => {
                let mut name: Vec<u8> = words[3..5].iter().flat_map(|w| w.to_ne_bytes()).collect();
                name.truncate(name.iter().position(|&b| b == 0).unwrap_or(name.len()));
                let id = book.thread(self.process, tid, name.clone(), time)?;
                self.threads.insert(tid, KnownThread { id, name, introduced: level == 0 });
                id
            }
        };
        self.streams[stream].thread = Some(thread);
        Ok(())
    }

    fn load<W: Write>(
        &mut self,
        book: &mut Book<W>,
        words: &[u64],
        module: ModuleWords,
    ) -> io::Result<()> {
        let time = self.at(self.now(book, words[1]));
        // What lay there before is gone, whether or not anyone said so.
        let overlaid: Vec<u64> = self
            .modules
            .range(..module.end)
            .rev()
            .take_while(|(_, loaded)| loaded.end > module.start)
            .map(|(&start, _)| start)
            .collect();
        let world = words[2];
        for start in overlaid {
            self.forget(book, start, time, world)?;
        }
        let id = book.module(Module {
            id: ModuleId(0),
            process: self.process,
            path: module.path,
            build_id: module.build_id,
            start: module.start,
            end: module.end,
            bias: module.bias,
            loaded: time,
            unloaded: None,
        })?;
        let loaded = Loaded { id, end: module.end, bias: module.bias, world };
        self.last_module = None;
        self.modules.insert(module.start, loaded);
        Ok(())
    }

    fn unload<W: Write>(&mut self, book: &mut Book<W>, words: &[u64]) -> io::Result<()> {
        let time = self.at(self.now(book, words[1]));
        if self.modules.contains_key(&words[3]) {
            self.forget(book, words[3], time, words[2])
        } else {
            self.count_malformed()
        }
    }

    /// The module that began at `start` is gone since the world record `until`.
    fn forget<W: Write>(
        &mut self,
        book: &mut Book<W>,
        start: u64,
        time: TimeNs,
        until: u64,
    ) -> io::Result<()> {
        let Some(loaded) = self.modules.remove(&start) else { return Ok(()) };
        self.last_module = None;
        self.gone.push(Gone { start, loaded, until });
        book.writer.module_unload(loaded.id, time)
    }

    fn fork(&mut self, serial: u64) -> io::Result<()> {
        if serial == 0 {
            return self.count_malformed();
        }
        if self.forks.len() >= MAX_FORKS {
            self.forks.pop_first();
        }
        self.forks.insert(serial, self.events);
        Ok(())
    }

    #[inline(always)]
    fn event<W: Write>(
        &mut self,
        book: &mut Book<W>,
        stream: usize,
        event: &record::Event,
    ) -> io::Result<()> {
        let (Some(action), Some(api)) = (action(event.kind), Api::from_u8(event.api)) else {
            return self.count_malformed();
        };
        let time = self.at(self.streams[stream].time);
        let thread = self.speaker(book, stream, time)?;
        let backtrace = self.backtrace(stream, event.node);
        let event = Event {
            time,
            thread,
            action,
            api,
            align_log2: event.align_log2,
            addr: event.addr,
            size: event.size,
            usable: event.usable,
            backtrace,
        };
        self.streams[stream].event = Some(self.events);
        self.events += 1;
        book.events += 1;
        self.waiting.push(event);
        if self.waiting.len() == BATCH { self.settle(book) } else { Ok(()) }
    }

    /// Puts the events on the tape that wait for company. To be called when nothing more comes for now.
    pub(crate) fn settle<W: Write>(&mut self, book: &mut Book<W>) -> io::Result<()> {
        let result = book.writer.events(self.process, &self.waiting);
        self.waiting.clear();
        result
    }

    /// The bytes of an overwrite that a target says it has found, checked.
    fn overwrite<W: Write>(
        &mut self,
        book: &mut Book<W>,
        stream: usize,
        words: &[u64],
    ) -> io::Result<()> {
        let head = record::Head(words[0]);
        let seen = text(&words[5..7], usize::from(head.flags()));
        let kind = OverwriteKind::from_u8(head.api());
        let (Some(kind), Some(found), Some(seen)) = (kind, Found::from_u8(head.align_log2()), seen)
        else {
            return self.count_malformed();
        };
        book.overwrites += 1;
        if self.overwrites >= MAX_OVERWRITES {
            self.unlisted_overwrites += 1;
            return Ok(());
        }
        self.overwrites += 1;
        let time = self.at(self.streams[stream].time);
        let thread = self.speaker(book, stream, time)?;
        book.writer.overwrite(&Overwrite {
            process: self.process,
            time,
            thread: Some(thread),
            event: self.streams[stream].event,
            kind,
            found,
            block: words[1],
            size: words[2],
            offset: words[3] as i64,
            length: words[4],
            seen,
        })
    }

    /// The thread a stream speaks for. One that never said so is a thread of its own, without number.
    #[inline(always)]
    fn speaker<W: Write>(
        &mut self,
        book: &mut Book<W>,
        stream: usize,
        time: TimeNs,
    ) -> io::Result<ThreadId> {
        if let Some(thread) = self.streams[stream].thread {
            return Ok(thread);
        }
        self.unnamed(book, stream, time)
    }

    #[cold]
    fn unnamed<W: Write>(
        &mut self,
        book: &mut Book<W>,
        stream: usize,
        time: TimeNs,
    ) -> io::Result<ThreadId> {
        self.malformed += 1;
        let thread = book.thread(self.process, 0, Vec::new(), time)?;
        self.streams[stream].thread = Some(thread);
        Ok(thread)
    }

    /// The node on the tape for a stream's own `node`.
    fn backtrace(&mut self, stream: usize, node: u32) -> BacktraceId {
        let Some(at) = (node as usize).checked_sub(1) else { return BacktraceId::NONE };
        match self.streams[stream].nodes.get(at) {
            Some(known) => known.id,
            None => {
                self.malformed += 1;
                BacktraceId::NONE
            }
        }
    }
}

/// The node of a return address in that module.
fn node(
    parent: BacktraceId,
    module: Option<Loaded>,
    address: u64,
    quality: FrameQuality,
) -> BacktraceNode {
    let bias = module.map_or(0, |module| module.bias);
    let address = address.wrapping_sub(bias);
    BacktraceNode { parent, module: module.map(|module| module.id), address, quality }
}

fn action(kind: Kind) -> Option<Action> {
    Some(match kind {
        Kind::Alloc => Action::Alloc,
        Kind::Free => Action::Free,
        Kind::ReallocRelease => Action::ReallocRelease,
        Kind::ReallocAlloc => Action::ReallocAlloc,
        Kind::ReallocFail => Action::ReallocFail,
        Kind::AllocFail => Action::AllocFail,
        Kind::Map => Action::Map,
        Kind::Unmap => Action::Unmap,
        _ => return None,
    })
}

/// A module record, checked.
struct ModuleWords {
    start: u64,
    end: u64,
    bias: u64,
    build_id: Vec<u8>,
    path: Vec<u8>,
}

fn module(words: &[u64]) -> Option<ModuleWords> {
    let &[_, _, _, start, end, bias, lengths, ref bytes @ ..] = words else { return None };
    let (build_id_len, path_len) = (lengths as u32 as usize, (lengths >> 32) as usize);
    if start >= end || build_id_len > MAX_BUILD_ID || path_len > MAX_PATH {
        return None;
    }
    // Each begins on a word.
    let (build_id, path) = bytes.split_at_checked(build_id_len.div_ceil(8))?;
    let path = text(path, path_len)?;
    Some(ModuleWords { start, end, bias, build_id: text(build_id, build_id_len)?, path })
}

/// The first `length` bytes of `words`: the target runs on the same machine, byte order included.
fn text(words: &[u64], length: usize) -> Option<Vec<u8>> {
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    (bytes.len() >= length).then(|| {
        bytes.truncate(length);
        bytes
    })
}

#[cfg(test)]
#[path = "convert/tests.rs"] // the bench includes this file, too
mod tests;
