//! The facts of an opened tape, gathered from its records.
//!
//! Ids are positions. When a damaged stretch of the file took facts with it, placeholders keep the
//! later ones at their places: a process or thread without a name, a node without an address. No more
//! placeholders are made than the lost bytes can explain.

use crate::columns;
use crate::crash::{CgroupMemory, Crash, Registers, Stack};
use crate::index;
use crate::leaks::{self, LeakDoubts, LeakPlace, LeakScan, LeakTotal};
use crate::limits::{self, Limits};
use crate::meta::{access_of, tag};
use crate::model::*;
use crate::nodes::Nodes;
use crate::varint::{Cursor, Malformed, unzigzag};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// A packed fact takes hardly less than a quarter of a byte.
const PLACEHOLDERS_PER_BYTE: u64 = 4;
/// Most placeholders, whatever was lost.
const MAX_PLACEHOLDERS: u64 = 1 << 20;

/// Bytes of a text beside its own: where it is and how long, and what the allocator adds.
const TEXT_BYTES: usize = size_of::<Vec<u8>>() + 32;
/// Bytes of a name that mappings share beside its own: its counts, its place in the table, and what the allocator adds.
const SHARED_NAME_BYTES: usize = 96;
/// A node's name in the tree of them, the name itself aside.
const NODE_NAME_BYTES: usize = 48;

#[derive(Debug)]
pub(crate) struct Facts {
    tick_ns: u64,
    limits: Limits,
    /// Bytes of what has no length of its own to be seen: texts, lists of them, samples.
    others: u64,
    placeholders_left: u64,
    pub(crate) header: Option<Header>,
    pub(crate) processes: Vec<Process>,
    /// By process: whether its end is known.
    pub(crate) ended: Vec<bool>,
    pub(crate) threads: Vec<Thread>,
    pub(crate) modules: Vec<Module>,
    pub(crate) nodes: Nodes,
    /// By node, while facts are read: how many nodes there are from it to the outermost.
    depths: Vec<u16>,
    pub(crate) samples: Vec<Vec<Sample>>,
    pub(crate) unrecorded: Vec<Unrecorded>,
    pub(crate) crashes: Vec<Crash>,
    pub(crate) overwrites: Vec<Overwrite>,
    pub(crate) guarded: Vec<Guarded>,
    pub(crate) memory_maps: Vec<MemoryMap>,
    /// Names of mappings, while facts are read. Whoever wrote them must not know the hash: it is not a fast one.
    mapping_names: HashSet<Arc<[u8]>>,
    pub(crate) leak_scans: Vec<LeakScan>,
    /// By process: its snapshots, each with the number of PAGES blocks it is made of.
    pub(crate) snapshots: FxHashMap<ProcessId, Vec<(Snapshot, u64)>>,
    pub(crate) stacks: Vec<Stack>,
    pub(crate) cgroups: Vec<CgroupMemory>,
    pub(crate) node_names: BTreeMap<BacktraceId, Arc<[u8]>>,
    pub(crate) unknown_records: u64,
}

impl Facts {
    /// No facts yet.
    pub(crate) fn new(tick_ns: u64, limits: Limits) -> Facts {
        Facts {
            tick_ns,
            limits,
            others: 0,
            placeholders_left: 0,
            header: None,
            processes: Vec::new(),
            ended: Vec::new(),
            threads: Vec::new(),
            modules: Vec::new(),
            nodes: Nodes::default(),
            depths: Vec::new(),
            samples: Vec::new(),
            unrecorded: Vec::new(),
            crashes: Vec::new(),
            overwrites: Vec::new(),
            guarded: Vec::new(),
            memory_maps: Vec::new(),
            mapping_names: HashSet::new(),
            leak_scans: Vec::new(),
            snapshots: FxHashMap::default(),
            stacks: Vec::new(),
            cgroups: Vec::new(),
            node_names: BTreeMap::new(),
            unknown_records: 0,
        }
    }

    /// Nanoseconds of a tick.
    pub(crate) fn tick_ns(&self) -> u64 {
        self.tick_ns
    }

    /// About the bytes that the facts take.
    pub(crate) fn bytes(&self) -> u64 {
        let of_a_process = size_of::<Process>() + size_of::<Vec<Sample>>() + 1;
        let tables = self.nodes.bytes()
            + self.depths.capacity() * size_of::<u16>()
            + self.threads.capacity() * size_of::<Thread>()
            + self.modules.capacity() * size_of::<Module>()
            + self.processes.capacity() * of_a_process
            + self.unrecorded.capacity() * size_of::<Unrecorded>()
            + self.crashes.capacity() * size_of::<Crash>()
            + self.stacks.capacity() * size_of::<Stack>()
            + self.cgroups.capacity() * size_of::<CgroupMemory>()
            + self.overwrites.capacity() * size_of::<Overwrite>()
            + self.guarded.capacity() * size_of::<Guarded>();
        self.others.saturating_add(tables as u64)
    }

    /// All facts are there: drops what only served to read more of them.
    pub(crate) fn settle(&mut self) {
        self.nodes.settle();
        self.depths = Vec::new();
        self.mapping_names = HashSet::new();
    }

    /// Sees to it that so many bytes more may be kept. If not, they count as if they were: then the facts
    /// are more than [`Limits`] allow, and reading ends.
    fn room_for(&mut self, bytes: usize) -> Result<(), Malformed> {
        let more = bytes as u64;
        if self.limits.afford(self.bytes().saturating_add(more)).is_ok() {
            return Ok(());
        }
        self.others = self.others.saturating_add(more);
        Err(Malformed("more than may be kept"))
    }

    /// The number of texts, or pairs of them, that follow.
    fn texts(&mut self, f: &mut Cursor<'_>, bytes: usize) -> Result<usize, Malformed> {
        let count = f.count()?;
        let bytes = count.saturating_mul(bytes);
        self.room_for(bytes)?;
        self.others += bytes as u64;
        Ok(count)
    }

    fn list(&mut self, f: &mut Cursor<'_>) -> Result<Vec<Vec<u8>>, Malformed> {
        let count = self.texts(f, TEXT_BYTES)?;
        (0..count).map(|_| Ok(f.bytes()?.to_vec())).collect()
    }

    /// So many bytes of the file are damaged: facts may be missing.
    pub(crate) fn lost(&mut self, bytes: u64) {
        let more = bytes.saturating_mul(PLACEHOLDERS_PER_BYTE);
        self.placeholders_left = self.placeholders_left.saturating_add(more).min(MAX_PLACEHOLDERS);
    }

    /// Takes in one record.
    pub(crate) fn apply(&mut self, tag: u64, f: &mut Cursor<'_>) -> Result<(), Malformed> {
        if tag != tag::NODES && tag != tag::SAMPLE {
            // No record has more than two texts beside those in lists. Names of mappings are shared.
            let texts = if tag == tag::MEMORY_MAP { 0 } else { f.len() };
            self.others += (texts + 2 * TEXT_BYTES) as u64;
        }
        match tag {
            tag::HEADER => self.header(f),
            tag::PROCESS_START => self.process_start(f),
            tag::PROCESS_END => self.process_end(f),
            tag::THREAD_START => self.thread_start(f),
            tag::THREAD_NAME => self.thread_name(f),
            tag::MODULE_LOAD => self.module_load(f),
            tag::MODULE_UNLOAD => self.module_unload(f),
            tag::NODES => self.nodes(f),
            tag::SAMPLE => self.sample(f),
            tag::UNRECORDED => self.unrecorded(f),
            tag::CRASH => self.crash(f),
            tag::OVERWRITE => self.overwrite(f),
            tag::GUARDED => self.guarded(f),
            tag::MEMORY_MAP => self.memory_map(f),
            tag::LEAKS => self.leaks(f),
            tag::SNAPSHOT => self.snapshot(f),
            tag::STACK => self.stack(f),
            tag::CGROUP => self.cgroup(f),
            tag::NODE_NAME => self.node_name(f),
            _ => {
                self.unknown_records += 1;
                Ok(())
            }
        }
    }

    fn time(&self, f: &mut Cursor<'_>) -> Result<TimeNs, Malformed> {
        Ok(TimeNs(f.number()?.saturating_mul(self.tick_ns)))
    }

    fn header(&mut self, f: &mut Cursor<'_>) -> Result<(), Malformed> {
        let mut header = Header {
            version: u32::from(crate::format::FORMAT_MAJOR),
            writer: text(f)?,
            tick_ns: f.number()?.max(1),
            epoch_unix_ns: f.number()?,
            host: text(f)?,
            command: self.list(f)?,
            cwd: f.bytes()?.to_vec(),
            page_size: f.number32()?,
            options: Vec::new(),
            sample_bytes: 0,
        };
        for _ in 0..self.texts(f, 2 * TEXT_BYTES)? {
            header.options.push((text(f)?, text(f)?));
        }
        // Only samples say it.
        if !f.is_empty() {
            header.sample_bytes = f.number()?;
        }
        self.tick_ns = header.tick_ns;
        self.header = Some(header);
        Ok(())
    }

    fn process_start(&mut self, f: &mut Cursor<'_>) -> Result<(), Malformed> {
        let id = ProcessId(f.number32()?);
        let (pid, ppid) = (f.number32()?, f.number32()?);
        let (parent, event) = (option32(f)?, f.number()?);
        if parent.is_some_and(|parent| parent >= id.0) {
            return Err(Malformed("a process forked from a later one"));
        }
        let process = Process {
            id,
            pid,
            ppid,
            forked_from: parent.map(|parent| (ProcessId(parent), event)),
            exe: f.bytes()?.to_vec(),
            argv: self.list(f)?,
            start: self.time(f)?,
            ..Process::unknown(id)
        };
        self.processes_before(id.0)?;
        if id.0 as usize != self.processes.len() {
            return Err(Malformed("a process begins twice"));
        }
        self.add_process(process);
        Ok(())
    }

    fn add_process(&mut self, process: Process) {
        self.processes.push(process);
        self.samples.push(Vec::new());
        self.ended.push(false);
    }

    fn process_end(&mut self, f: &mut Cursor<'_>) -> Result<(), Malformed> {
        let id = self.known_process(f)?;
        let end = self.time(f)?;
        let (number, value, core) = (f.number()?, signed(f)?, f.number()? != 0);
        let losses = index::losses(f)?;
        let process = &mut self.processes[id.0 as usize];
        process.end = end;
        process.losses = losses;
        process.ending = match number {
            1 => Ending::Exited(value),
            2 => Ending::Signalled(value, core),
            3 => Ending::Exec,
            4 => Ending::Gone,
            5 => Ending::Running,
            _ => Ending::Unknown,
        };
        self.ended[id.0 as usize] = true;
        Ok(())
    }

    fn thread_start(&mut self, f: &mut Cursor<'_>) -> Result<(), Malformed> {
        let id = ThreadId(f.number32()?);
        let process = self.known_process(f)?;
        let tid = f.number32()?;
        let thread = Thread { id, process, tid, name: f.bytes()?.to_vec(), start: self.time(f)? };
        self.threads_before(id.0, process)?;
        if id.0 as usize != self.threads.len() {
            return Err(Malformed("a thread begins twice"));
        }
        self.threads.push(thread);
        Ok(())
    }

    fn thread_name(&mut self, f: &mut Cursor<'_>) -> Result<(), Malformed> {
        let id = f.number32()?;
        self.threads_before(id.saturating_add(1), ProcessId(0))?;
        let thread = self.threads.get_mut(id as usize).ok_or(Malformed("a thread's id"))?;
        thread.name = f.bytes()?.to_vec();
        Ok(())
    }

    fn module_load(&mut self, f: &mut Cursor<'_>) -> Result<(), Malformed> {
        let id = ModuleId(f.number32()?);
        let module = Module {
            id,
            process: self.known_process(f)?,
            path: f.bytes()?.to_vec(),
            build_id: f.bytes()?.to_vec(),
            start: f.number()?,
            end: f.number()?,
            bias: f.number()?,
            loaded: self.time(f)?,
            unloaded: None,
        };
        self.modules_before(id.0)?;
        if id.0 as usize != self.modules.len() {
            return Err(Malformed("a module is loaded twice"));
        }
        self.modules.push(module);
        Ok(())
    }

    fn module_unload(&mut self, f: &mut Cursor<'_>) -> Result<(), Malformed> {
        let id = f.number32()?;
        let time = self.time(f)?;
        self.modules_before(id.saturating_add(1))?;
        self.modules.get_mut(id as usize).ok_or(Malformed("a module's id"))?.unloaded = Some(time);
        Ok(())
    }

    fn nodes(&mut self, f: &mut Cursor<'_>) -> Result<(), Malformed> {
        let (first, count) = (f.number32()?, f.count()?);
        let [mut parents, mut places, mut addresses] = columns::split::<3>(f.take_all())?;
        let known = self.nodes.len() as u64;
        let missing = u64::from(first).saturating_sub(known + 1);
        self.spend(missing)?;
        if u64::from(first) <= known || first.checked_add(count as u32).is_none() {
            return Err(Malformed("nodes are given twice"));
        }
        let more = count.saturating_add(missing as usize);
        self.room_for(self.nodes.growth(more).saturating_add(limits::growth(&self.depths, more)))?;
        self.nodes.reserve(more);
        limits::reserve(&mut self.depths, more);
        (0..missing).for_each(|_| {
            self.nodes.push(LOST_NODE);
        });
        self.depths.resize(self.nodes.len(), 1);
        let mut cut = false;
        let mut address = 0;
        for id in (first..).take(count) {
            let parent = u64::from(id).checked_sub(parents.number()?);
            let Some(parent) = parent.filter(|&parent| parent < u64::from(id)) else {
                return Err(Malformed("a node called by a later one"));
            };
            let place = places.number()?;
            let module = to_option32(place >> 2)?.map(ModuleId);
            if let Some(module) = module {
                self.modules_before(module.0.saturating_add(1))?;
            }
            address = addresses.delta(address)?;
            let quality = FrameQuality::from_u8(place as u8 & 3).unwrap_or(FrameQuality::Truncated);
            let callers = (parent as usize).checked_sub(1).map_or(0, |place| self.depths[place]);
            let too_deep = usize::from(callers) >= MAX_DEPTH;
            cut |= too_deep;
            self.depths.push(if too_deep { 1 } else { callers + 1 });
            self.nodes.push(match too_deep {
                false => {
                    BacktraceNode { parent: BacktraceId(parent as u32), module, address, quality }
                }
                true => BacktraceNode { module, address, ..LOST_NODE },
            });
        }
        if cut { Err(Malformed("a backtrace that is too deep")) } else { Ok(()) }
    }

    fn sample(&mut self, f: &mut Cursor<'_>) -> Result<(), Malformed> {
        let process = self.known_process(f)?;
        let sample = Sample {
            time: self.time(f)?,
            rss: f.number()?,
            rss_anon: f.number()?,
            rss_file: f.number()?,
            rss_shmem: f.number()?,
            pss: f.number()?,
            swap: f.number()?,
            // The first tapes end here.
            rss_peak: if f.is_empty() { 0 } else { f.number()? },
            private: if f.is_empty() { None } else { Some(private(f)?) },
        };
        self.samples[process.0 as usize].push(sample);
        self.others += 2 * size_of::<Sample>() as u64;
        Ok(())
    }

    fn unrecorded(&mut self, f: &mut Cursor<'_>) -> Result<(), Malformed> {
        let (pid, time) = (f.number32()?, self.time(f)?);
        let (exe, reason) = (f.bytes()?.to_vec(), text(f)?);
        self.unrecorded.push(Unrecorded { pid, time, exe, reason });
        Ok(())
    }

    fn crash(&mut self, f: &mut Cursor<'_>) -> Result<(), Malformed> {
        let process = self.known_process(f)?;
        let time = self.time(f)?;
        let thread = option32(f)?.map(ThreadId);
        if let Some(thread) = thread {
            self.threads_before(thread.0.saturating_add(1), process)?;
        }
        let (signal, code) = (signed(f)?, signed(f)?);
        let (fault_addr, ip, sp) = (f.number()?, f.number()?, f.number()?);
        let mut crash =
            Crash { time, thread, signal, code, fault_addr, ip, sp, ..Crash::unknown(process) };
        // The first tapes end here.
        if !f.is_empty() {
            crash.registers = registers(f)?;
            (crash.trap, crash.error_code) = (f.number()?, f.number()?);
            (crash.events, crash.threads) = (f.number()?.checked_sub(1), f.number32()?);
            crash.sender = option32(f)?;
            crash.instruction = f.bytes()?.to_vec();
            crash.message = f.bytes()?.to_vec();
            crash.instruction.truncate(Crash::MAX_INSTRUCTION);
            crash.message.truncate(Crash::MAX_MESSAGE);
        }
        self.crashes.push(crash);
        Ok(())
    }

    fn stack(&mut self, f: &mut Cursor<'_>) -> Result<(), Malformed> {
        let process = self.known_process(f)?;
        let (time, crash, tid) = (self.time(f)?, option32(f)?, f.number32()?);
        let thread = option32(f)?.map(ThreadId);
        if let Some(thread) = thread {
            self.threads_before(thread.0.saturating_add(1), process)?;
        }
        let name = f.bytes()?.to_vec();
        let (crashed, backtrace) = (f.number()? != 0, f.number32()?);
        let known = backtrace as usize <= self.nodes.len();
        let backtrace = BacktraceId(if known { backtrace } else { 0 });
        let registers = registers(f)?;
        let stack =
            Stack { process, crash, time, tid, thread, name, crashed, registers, backtrace };
        self.stacks.push(stack);
        Ok(())
    }

    fn cgroup(&mut self, f: &mut Cursor<'_>) -> Result<(), Malformed> {
        let process = self.known_process(f)?;
        let (time, path) = (self.time(f)?, f.bytes()?.to_vec());
        let mut figure = || Ok(f.number()?.checked_sub(1));
        self.cgroups.push(CgroupMemory {
            process,
            time,
            path,
            max: figure()?,
            high: figure()?,
            current: figure()?,
            peak: figure()?,
            oom_kills: figure()?,
        });
        Ok(())
    }

    fn snapshot(&mut self, f: &mut Cursor<'_>) -> Result<(), Malformed> {
        let process = self.known_process(f)?;
        let (number, time, event) = (f.number32()?, self.time(f)?, f.number()?);
        let reason = u8::try_from(f.number()?).ok().and_then(SnapshotReason::from_u8);
        let snapshot = Snapshot {
            process,
            number,
            time,
            event,
            reason: reason.ok_or(Malformed("an unknown reason"))?,
            pause_ns: f.number()?,
            one_instant: f.number()? != 0,
            considered: f.number()?,
            stored: f.number()?,
            unreadable: f.number()?,
            over_budget: f.number()?,
        };
        let pages = f.number()?;
        let all = self.snapshots.entry(process).or_default();
        if all.last().is_some_and(|(last, _)| number <= last.number || time < last.time) {
            return Err(Malformed("snapshots out of order"));
        }
        all.push((snapshot, pages));
        self.others += 2 * size_of::<(Snapshot, u64)>() as u64;
        Ok(())
    }

    fn node_name(&mut self, f: &mut Cursor<'_>) -> Result<(), Malformed> {
        let name = f.bytes()?;
        self.room_for(name.len() + TEXT_BYTES)?;
        self.others += (name.len() + TEXT_BYTES) as u64;
        let name: Arc<[u8]> = name.into();
        let count = self.texts(f, NODE_NAME_BYTES)?;
        let mut node = 0u32;
        for _ in 0..count {
            node = node.wrapping_add(f.number32()?);
            self.node_names.insert(BacktraceId(node), Arc::clone(&name));
        }
        Ok(())
    }

    fn leaks(&mut self, f: &mut Cursor<'_>) -> Result<(), Malformed> {
        let number = f.number32()?;
        let process = self.known_process(f)?;
        let mut scan = LeakScan {
            number,
            process,
            time: self.time(f)?,
            event: f.number()?,
            pause_ns: f.number()?,
            bytes_read: f.number()?,
            bytes_unreadable: f.number()?,
            doubts: LeakDoubts(f.number32()?),
            totals: Default::default(),
            places: Vec::new(),
        };
        for total in &mut scan.totals {
            *total = LeakTotal { bytes: f.number()?, blocks: f.number()? };
        }
        for _ in 0..self.texts(f, size_of::<LeakPlace>() + TEXT_BYTES)? {
            let kind = leaks::place_kind(f.number()?)?;
            let (tid, start, name) = (f.number32()?, f.number()?, f.bytes()?.to_vec());
            scan.places.push(LeakPlace { kind, tid, start, name });
        }
        self.others += size_of::<LeakScan>() as u64;
        self.leak_scans.push(scan);
        Ok(())
    }

    fn memory_map(&mut self, f: &mut Cursor<'_>) -> Result<(), Malformed> {
        let process = self.known_process(f)?;
        let time = self.time(f)?;
        let count = self.texts(f, size_of::<Mapping>() + size_of::<u64>())?;
        let mut mappings = Vec::with_capacity(count);
        let mut before = 0u64;
        for _ in 0..count {
            let start =
                before.checked_add(f.number()?).ok_or(Malformed("a mapping past the end"))?;
            let end = start.checked_add(f.number()?).ok_or(Malformed("a mapping past the end"))?;
            let (access, offset) = (access_of(f.number()?), f.number()?);
            let name = self.mapping_name(f.bytes()?)?;
            mappings.push(Mapping { start, end, access, offset, name });
            before = end;
        }
        // The first tapes end here.
        let known = if f.is_empty() { 0 } else { count };
        let mut resident = Vec::with_capacity(known);
        for _ in 0..known {
            resident.push(f.number()?);
        }
        self.memory_maps.push(MemoryMap { process, time, mappings, resident });
        Ok(())
    }

    /// A mapping's name; equal ones are one.
    fn mapping_name(&mut self, name: &[u8]) -> Result<Arc<[u8]>, Malformed> {
        if let Some(known) = self.mapping_names.get(name) {
            return Ok(Arc::clone(known));
        }
        let bytes = name.len() + SHARED_NAME_BYTES;
        self.room_for(bytes)?;
        self.others += bytes as u64;
        let name: Arc<[u8]> = name.into();
        self.mapping_names.insert(Arc::clone(&name));
        Ok(name)
    }

    fn overwrite(&mut self, f: &mut Cursor<'_>) -> Result<(), Malformed> {
        let process = self.known_process(f)?;
        let time = self.time(f)?;
        let thread = option32(f)?.map(ThreadId);
        if let Some(thread) = thread {
            self.threads_before(thread.0.saturating_add(1), process)?;
        }
        let event = f.number()?.checked_sub(1);
        let kind = byte(f)?.and_then(OverwriteKind::from_u8);
        let found = byte(f)?.and_then(Found::from_u8);
        let (Some(kind), Some(found)) = (kind, found) else {
            return Err(Malformed("an overwrite of no known kind"));
        };
        let (block, size) = (f.number()?, f.number()?);
        let (offset, length, seen) = (unzigzag(f.number()?), f.number()?, f.bytes()?.to_vec());
        let facts = Overwrite {
            process,
            time,
            thread,
            event,
            kind,
            found,
            block,
            size,
            offset,
            length,
            seen,
        };
        self.overwrites.push(facts);
        Ok(())
    }

    fn guarded(&mut self, f: &mut Cursor<'_>) -> Result<(), Malformed> {
        let process = self.known_process(f)?;
        let mechanism = byte(f)?.and_then(GuardMechanism::from_u8).unwrap_or_default();
        let (guarded, unguarded) = (f.number()?, f.number()?);
        // Older tapes end here.
        let mut later = || if f.is_empty() { Ok(0) } else { f.number() };
        let (unlisted, arena) = (later()?, (later()?, later()?));
        self.guarded.push(Guarded { process, mechanism, guarded, unguarded, unlisted, arena });
        Ok(())
    }

    fn known_process(&mut self, f: &mut Cursor<'_>) -> Result<ProcessId, Malformed> {
        let id = f.number32()?;
        self.processes_before(id.saturating_add(1))?;
        Ok(ProcessId(id))
    }

    /// Sees to it that there are at least `count` processes.
    pub(crate) fn processes_before(&mut self, count: u32) -> Result<(), Malformed> {
        let known = self.processes.len() as u32;
        self.spend(u64::from(count.saturating_sub(known)))?;
        for id in known..count {
            self.add_process(Process::unknown(ProcessId(id)));
        }
        Ok(())
    }

    /// Sees to it that there are at least `count` threads; lost ones are taken for `process`'s.
    pub(crate) fn threads_before(
        &mut self,
        count: u32,
        process: ProcessId,
    ) -> Result<(), Malformed> {
        let known = self.threads.len() as u32;
        self.spend(u64::from(count.saturating_sub(known)))?;
        self.threads.extend((known..count).map(|id| Thread {
            id: ThreadId(id),
            process,
            tid: 0,
            name: Vec::new(),
            start: TimeNs(0),
        }));
        Ok(())
    }

    fn modules_before(&mut self, count: u32) -> Result<(), Malformed> {
        let known = self.modules.len() as u32;
        self.spend(u64::from(count.saturating_sub(known)))?;
        self.modules.extend((known..count).map(|id| lost_module(ModuleId(id))));
        Ok(())
    }

    fn spend(&mut self, placeholders: u64) -> Result<(), Malformed> {
        self.placeholders_left = self
            .placeholders_left
            .checked_sub(placeholders)
            .ok_or(Malformed("it refers to facts that are not on the tape"))?;
        Ok(())
    }
}

const LOST_NODE: BacktraceNode = BacktraceNode {
    parent: BacktraceId::NONE,
    module: None,
    address: 0,
    quality: FrameQuality::Truncated,
};

fn lost_module(id: ModuleId) -> Module {
    Module {
        id,
        process: ProcessId(0),
        path: Vec::new(),
        build_id: Vec::new(),
        start: 0,
        end: 0,
        bias: 0,
        loaded: TimeNs(0),
        unloaded: None,
    }
}

/// A small number; `None` when it is none.
fn byte(f: &mut Cursor<'_>) -> Result<Option<u8>, Malformed> {
    Ok(u8::try_from(f.number()?).ok())
}

fn text(f: &mut Cursor<'_>) -> Result<String, Malformed> {
    Ok(String::from_utf8_lossy(f.bytes()?).into_owned())
}

fn signed(f: &mut Cursor<'_>) -> Result<i32, Malformed> {
    i32::try_from(unzigzag(f.number()?)).map_err(|_| Malformed("a number is longer than 32 bits"))
}

/// As many as this version knows; a later one may know more.
fn registers(f: &mut Cursor<'_>) -> Result<Option<Registers>, Malformed> {
    let count = f.count()?;
    let mut registers = Registers::default();
    for place in 0..count {
        let value = f.number()?;
        if let Some(register) = registers.0.get_mut(place) {
            *register = value;
        }
    }
    Ok((count >= Registers::COUNT).then_some(registers))
}

/// Zero for none, or one more than the value.
fn option32(f: &mut Cursor<'_>) -> Result<Option<u32>, Malformed> {
    to_option32(f.number()?)
}

fn to_option32(number: u64) -> Result<Option<u32>, Malformed> {
    let value = number.checked_sub(1).map(u32::try_from).transpose();
    value.map_err(|_| Malformed("a number is longer than 32 bits"))
}

fn private(f: &mut Cursor<'_>) -> Result<Private, Malformed> {
    Ok(Private {
        heap: f.number()?,
        arenas: f.number()?,
        stack: f.number()?,
        files: f.number()?,
        other: f.number()?,
    })
}
