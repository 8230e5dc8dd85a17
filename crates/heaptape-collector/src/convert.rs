//! Wire records become events of the tape. The only file that knows both vocabularies.
//!
//! One [`Converter`] follows one process through its merged history. It keeps what the history says
//! implicitly: which thread a stream speaks for, which modules are loaded at this point, what a
//! stream's backtrace nodes stand for. Records are hostile: what makes no sense is counted as
//! malformed and skipped.

use crate::book::Book;
use heaptape_tape::*;
use heaptape_wire::record::*;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Most fork records remembered for children that have not said hello yet.
const MAX_FORKS: usize = 1 << 16;
/// Most backtrace nodes of one stream; events beyond it lose their backtrace and are counted.
const MAX_NODES: usize = 1 << 28;

/// What is known of one process at one point of its history.
#[derive(Debug)]
pub(crate) struct Converter {
    process: ProcessId,
    /// Times never decrease within a process: one that would is taken for this.
    time: TimeNs,
    events: u64,
    malformed: u64,
    streams: Vec<Stream>,
    threads: FxHashMap<u32, KnownThread>,
    modules: BTreeMap<u64, Loaded>,
    /// Counts changes of `modules`: what a node stands for may change with them.
    generation: u32,
    canonical: FxHashMap<BacktraceNode, BacktraceId>,
    forks: BTreeMap<u64, EventIndex>,
}

/// One stream's own vocabulary.
#[derive(Debug, Default)]
struct Stream {
    thread: Option<ThreadId>,
    /// `nodes[id - 1]`.
    nodes: Vec<LocalNode>,
    /// `known[id - 1]`: the node on the tape, `NONE` when not looked up since `generation`.
    known: Vec<BacktraceId>,
    generation: u32,
}

#[derive(Clone, Copy, Debug)]
struct LocalNode {
    parent: u32,
    quality: FrameQuality,
    ip: u64,
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
}

/// A record that makes no sense.
struct Malformed;

impl Converter {
    /// The history of `process` begins at `start`.
    pub(crate) fn new(process: ProcessId, start: TimeNs) -> Converter {
        Converter {
            process,
            time: start,
            events: 0,
            malformed: 0,
            streams: Vec::new(),
            threads: FxHashMap::default(),
            modules: BTreeMap::new(),
            generation: 0,
            canonical: FxHashMap::default(),
            forks: BTreeMap::new(),
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

    /// Where in this history the fork with that serial was, once.
    pub(crate) fn take_fork(&mut self, serial: u64) -> Option<EventIndex> {
        self.forks.remove(&serial)
    }

    /// The thread with that kernel id.
    pub(crate) fn thread(&self, tid: u32) -> Option<ThreadId> {
        self.threads.get(&tid).map(|known| known.id)
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

    /// The forks whose children have not said hello.
    pub(crate) fn into_forks(self) -> BTreeMap<u64, EventIndex> {
        self.forks
    }

    /// The next record of the history, framed by the merge.
    pub(crate) fn record<W: Write>(
        &mut self,
        book: &mut Book<W>,
        stream: usize,
        words: &[u64],
    ) -> io::Result<()> {
        if stream >= self.streams.len() {
            self.streams.resize_with(stream + 1, Stream::default);
        }
        let head = Head(words[0]);
        let result = match head.kind() {
            Some(Kind::Node) => self.node(stream, head, words),
            Some(Kind::Thread) => return self.introduce(book, stream, words),
            Some(Kind::Module) => match module(words) {
                Some(module) => return self.load(book, words, module),
                None => Err(Malformed),
            },
            Some(Kind::ModuleGone) => return self.unload(book, words),
            Some(Kind::Fork) => self.fork(words[3]),
            Some(kind) if kind.is_event() => return self.event(book, stream, kind, words),
            _ => Err(Malformed),
        };
        if result.is_err() {
            self.malformed += 1;
        }
        Ok(())
    }

    /// The time of an ordered record, which is never before the last one's, nor in the future.
    fn now<W: Write>(&mut self, book: &Book<W>, words: &[u64]) -> TimeNs {
        self.time = self.time.max(book.time(words[1]).min(book.now));
        self.time
    }

    fn node(&mut self, stream: usize, head: Head, words: &[u64]) -> Result<(), Malformed> {
        let stream = &mut self.streams[stream];
        let (id, parent) = (words[1] as u32, (words[1] >> 32) as u32);
        let quality = FrameQuality::from_u8(head.flags()).ok_or(Malformed)?;
        if id as usize != stream.nodes.len() + 1 || parent >= id || stream.nodes.len() >= MAX_NODES
        {
            return Err(Malformed);
        }
        stream.nodes.push(LocalNode { parent, quality, ip: words[2] });
        stream.known.push(BacktraceId::NONE);
        Ok(())
    }

    fn introduce<W: Write>(
        &mut self,
        book: &mut Book<W>,
        stream: usize,
        words: &[u64],
    ) -> io::Result<()> {
        let time = self.now(book, words);
        let (tid, level) = (words[3] as u32, words[3] >> 32);
        let thread = match self.threads.get_mut(&tid) {
            // A handler speaks for the thread it interrupted, whichever of both was first.
            Some(known) if level > 0 || !known.introduced => {
                known.introduced |= level == 0;
                known.id
            }
            // Never seen, or the kernel has given the number to a new thread.
            _ => {
                let mut name: Vec<u8> = words[4..6].iter().flat_map(|w| w.to_ne_bytes()).collect();
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
        let time = self.now(book, words);
        // What lay there before is gone, whether or not anyone said so.
        let overlaid: Vec<u64> = self
            .modules
            .range(..module.end)
            .rev()
            .take_while(|(_, loaded)| loaded.end > module.start)
            .map(|(&start, _)| start)
            .collect();
        for start in overlaid {
            self.forget(book, start, time)?;
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
        self.modules.insert(module.start, Loaded { id, end: module.end, bias: module.bias });
        self.generation = self.generation.wrapping_add(1);
        Ok(())
    }

    fn unload<W: Write>(&mut self, book: &mut Book<W>, words: &[u64]) -> io::Result<()> {
        let time = self.now(book, words);
        if self.modules.contains_key(&words[3]) {
            self.forget(book, words[3], time)
        } else {
            self.malformed += 1;
            Ok(())
        }
    }

    fn forget<W: Write>(&mut self, book: &mut Book<W>, start: u64, time: TimeNs) -> io::Result<()> {
        self.generation = self.generation.wrapping_add(1);
        match self.modules.remove(&start) {
            Some(gone) => book.writer.module_unload(gone.id, time),
            None => Ok(()),
        }
    }

    fn fork(&mut self, serial: u64) -> Result<(), Malformed> {
        if serial == 0 {
            return Err(Malformed);
        }
        if self.forks.len() >= MAX_FORKS {
            self.forks.pop_first();
        }
        self.forks.insert(serial, self.events);
        Ok(())
    }

    fn event<W: Write>(
        &mut self,
        book: &mut Book<W>,
        stream: usize,
        kind: Kind,
        words: &[u64],
    ) -> io::Result<()> {
        let head = Head(words[0]);
        let (Some(action), Some(api)) = (action(kind), Api::from_u8(head.api())) else {
            self.malformed += 1;
            return Ok(());
        };
        let time = self.now(book, words);
        let thread = self.speaker(book, stream, time)?;
        let event = Event {
            time,
            thread,
            action,
            api,
            align_log2: head.align_log2(),
            addr: words[3],
            size: words[4],
            usable: words[5],
            backtrace: self.backtrace(book, stream, words[6])?,
        };
        self.events += 1;
        book.events += 1;
        book.writer.event(self.process, &event)
    }

    /// The thread a stream speaks for. One that never said so is a thread of its own, without number.
    fn speaker<W: Write>(
        &mut self,
        book: &mut Book<W>,
        stream: usize,
        time: TimeNs,
    ) -> io::Result<ThreadId> {
        if let Some(thread) = self.streams[stream].thread {
            return Ok(thread);
        }
        self.malformed += 1;
        let thread = book.thread(self.process, 0, Vec::new(), time)?;
        self.streams[stream].thread = Some(thread);
        Ok(thread)
    }

    /// The node on the tape for a stream's own `node`, as the modules are now.
    fn backtrace<W: Write>(
        &mut self,
        book: &mut Book<W>,
        stream: usize,
        node: u64,
    ) -> io::Result<BacktraceId> {
        let stream = &mut self.streams[stream];
        if stream.generation != self.generation {
            stream.known.fill(BacktraceId::NONE);
            stream.generation = self.generation;
        }
        if node > stream.nodes.len() as u64 {
            self.malformed += 1;
            return Ok(BacktraceId::NONE);
        }
        // Up to the first ancestor that is known, then down again. Parents have smaller ids, so this
        // ends.
        let mut unknown = Vec::new();
        let mut at = node as usize;
        while at != 0 && stream.known[at - 1] == BacktraceId::NONE {
            unknown.push(at);
            at = stream.nodes[at - 1].parent as usize;
        }
        let mut id = if at == 0 { BacktraceId::NONE } else { stream.known[at - 1] };
        for at in unknown.into_iter().rev() {
            let node = place(&self.modules, id, &stream.nodes[at - 1]);
            id = match self.canonical.get(&node) {
                Some(&id) => id,
                None => {
                    let id = book.writer.backtrace_node(&node)?;
                    self.canonical.insert(node, id);
                    id
                }
            };
            stream.known[at - 1] = id;
        }
        Ok(id)
    }
}

/// A stream's node, with its address relative to the module it lies in.
fn place(modules: &BTreeMap<u64, Loaded>, parent: BacktraceId, node: &LocalNode) -> BacktraceNode {
    // The call before the return address: that one lies in the module even if nothing follows it.
    let call = node.ip.saturating_sub(1);
    let module = modules.range(..=call).next_back().map(|(_, m)| m).filter(|m| call < m.end);
    BacktraceNode {
        parent,
        module: module.map(|m| m.id),
        address: node.ip.wrapping_sub(module.map_or(0, |m| m.bias)),
        quality: node.quality,
    }
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
        Kind::Pad | Kind::Node | Kind::Thread | Kind::Module | Kind::ModuleGone | Kind::Fork => {
            return None;
        }
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
mod tests;
