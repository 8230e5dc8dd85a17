//! The facts beside the events, as records: a tag, a length, then fields.
//!
//! A later version may append fields to a record and add tags; a reader takes the fields it knows and
//! counts the tags it does not. Times are in ticks.

use crate::columns;
use crate::crash::{CgroupMemory, Crash, Registers, Stack};
use crate::index;
use crate::leaks::LeakScan;
use crate::model::*;
use crate::varint::{self, Cursor, Malformed, zigzag};

/// What a record says.
pub(crate) mod tag {
    pub(crate) const HEADER: u64 = 1;
    pub(crate) const PROCESS_START: u64 = 2;
    pub(crate) const PROCESS_END: u64 = 3;
    pub(crate) const THREAD_START: u64 = 4;
    pub(crate) const THREAD_NAME: u64 = 5;
    pub(crate) const MODULE_LOAD: u64 = 6;
    pub(crate) const MODULE_UNLOAD: u64 = 7;
    pub(crate) const NODES: u64 = 8;
    pub(crate) const SAMPLE: u64 = 9;
    pub(crate) const UNRECORDED: u64 = 10;
    pub(crate) const CRASH: u64 = 11;
    pub(crate) const MEMORY_MAP: u64 = 12;
    pub(crate) const LEAKS: u64 = 15;
    pub(crate) const STACK: u64 = 13;
    pub(crate) const SNAPSHOT: u64 = 14;
    pub(crate) const CGROUP: u64 = 16;
    pub(crate) const NODE_NAME: u64 = 19;
    pub(crate) const OVERWRITE: u64 = 20;
    pub(crate) const GUARDED: u64 = 21;
}

/// The bits of [`MappingAccess`] in a MEMORY_MAP record.
fn access_bits(access: MappingAccess) -> u64 {
    let MappingAccess { read, write, execute, shared } = access;
    u64::from(read) | u64::from(write) << 1 | u64::from(execute) << 2 | u64::from(shared) << 3
}

/// What those bits say; bits that nobody knows yet are passed over.
pub(crate) fn access_of(bits: u64) -> MappingAccess {
    let is = |bit: u32| bits >> bit & 1 != 0;
    MappingAccess { read: is(0), write: is(1), execute: is(2), shared: is(3) }
}

/// Collects records for the next block of them.
pub(crate) struct Records {
    tick_ns: u64,
    bytes: Vec<u8>,
    nodes: Vec<BacktraceNode>,
    first_node: u32,
}

/// The fields of one record.
pub(crate) struct Fields {
    tick_ns: u64,
    bytes: Vec<u8>,
}

impl Fields {
    pub(crate) fn number(&mut self, value: impl Into<u64>) -> &mut Fields {
        varint::put(&mut self.bytes, value.into());
        self
    }

    fn signed(&mut self, value: i32) -> &mut Fields {
        self.number(zigzag(i64::from(value)))
    }

    pub(crate) fn time(&mut self, time: TimeNs) -> &mut Fields {
        self.number(time.0 / self.tick_ns)
    }

    /// Zero, or one more than the value.
    fn option(&mut self, value: Option<u64>) -> &mut Fields {
        self.number(value.map_or(0, |v| v.saturating_add(1)))
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Fields {
        varint::put_bytes(&mut self.bytes, bytes);
        self
    }

    /// How many there are, and they.
    fn registers(&mut self, registers: Option<&Registers>) -> &mut Fields {
        let values = registers.map_or(&[][..], |registers| &registers.0);
        self.number(values.len() as u64);
        for &value in values {
            self.number(value);
        }
        self
    }

    fn list(&mut self, items: &[Vec<u8>]) -> &mut Fields {
        self.number(items.len() as u64);
        for item in items {
            self.bytes(item);
        }
        self
    }
}

impl Records {
    pub(crate) fn new(tick_ns: u64) -> Records {
        Records { tick_ns, bytes: Vec::new(), nodes: Vec::new(), first_node: 1 }
    }

    /// About how many bytes are waiting.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + 8 * self.nodes.len()
    }

    /// The records so far, as a body; begins anew.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.close_nodes();
        std::mem::take(&mut self.bytes)
    }

    /// Adds a record.
    fn put(&mut self, tag: u64, fill: impl FnOnce(&mut Fields)) {
        let mut fields = Fields { tick_ns: self.tick_ns, bytes: Vec::new() };
        fill(&mut fields);
        varint::put(&mut self.bytes, tag);
        varint::put_bytes(&mut self.bytes, &fields.bytes);
    }

    pub(crate) fn header(&mut self, header: &Header) {
        self.put(tag::HEADER, |f| {
            f.bytes(header.writer.as_bytes()).number(header.tick_ns).number(header.epoch_unix_ns);
            f.bytes(header.host.as_bytes()).list(&header.command).bytes(&header.cwd);
            f.number(header.page_size).number(header.options.len() as u64);
            for (name, value) in &header.options {
                f.bytes(name.as_bytes()).bytes(value.as_bytes());
            }
            if header.sample_bytes > 0 {
                f.number(header.sample_bytes);
            }
        });
    }

    pub(crate) fn process_start(&mut self, process: &Process) {
        let (parent, event) = process.forked_from.unzip();
        self.put(tag::PROCESS_START, |f| {
            f.number(process.id.0).number(process.pid).number(process.ppid);
            f.option(parent.map(|p| u64::from(p.0))).number(event.unwrap_or(0));
            f.bytes(&process.exe).list(&process.argv).time(process.start);
        });
    }

    pub(crate) fn process_end(
        &mut self,
        id: ProcessId,
        end: TimeNs,
        ending: Ending,
        losses: &Losses,
    ) {
        let (number, value, core) = match ending {
            Ending::Unknown => (0u32, 0, false),
            Ending::Exited(code) => (1, code, false),
            Ending::Signalled(signal, core) => (2, signal, core),
            Ending::Exec => (3, 0, false),
            Ending::Gone => (4, 0, false),
            Ending::Running => (5, 0, false),
        };
        self.put(tag::PROCESS_END, |f| {
            f.number(id.0).time(end).number(number).signed(value).number(core);
            for number in index::loss_numbers(losses) {
                f.number(number);
            }
        });
    }

    pub(crate) fn thread_start(&mut self, thread: &Thread) {
        self.put(tag::THREAD_START, |f| {
            f.number(thread.id.0).number(thread.process.0).number(thread.tid);
            f.bytes(&thread.name).time(thread.start);
        });
    }

    pub(crate) fn thread_name(&mut self, id: ThreadId, name: &[u8]) {
        self.put(tag::THREAD_NAME, |f| {
            f.number(id.0).bytes(name);
        });
    }

    pub(crate) fn module_load(&mut self, module: &Module) {
        self.put(tag::MODULE_LOAD, |f| {
            f.number(module.id.0).number(module.process.0);
            f.bytes(&module.path).bytes(&module.build_id);
            f.number(module.start).number(module.end).number(module.bias);
            f.time(module.loaded);
        });
        if let Some(time) = module.unloaded {
            self.module_unload(module.id, time);
        }
    }

    pub(crate) fn module_unload(&mut self, id: ModuleId, time: TimeNs) {
        self.put(tag::MODULE_UNLOAD, |f| {
            f.number(id.0).time(time);
        });
    }

    /// Adds a node and returns its id. Inlined: a copy of what was just put together in memory would wait for it.
    #[inline]
    pub(crate) fn node(&mut self, node: &BacktraceNode) -> BacktraceId {
        self.nodes.push(*node);
        BacktraceId(self.first_node + self.nodes.len() as u32 - 1)
    }

    /// Nodes so far, on the tape or waiting.
    pub(crate) fn node_count(&self) -> u32 {
        self.first_node - 1 + self.nodes.len() as u32
    }

    fn close_nodes(&mut self) {
        if self.nodes.is_empty() {
            return;
        }
        let nodes = std::mem::take(&mut self.nodes);
        let first = self.first_node;
        self.first_node += nodes.len() as u32;
        let [mut parents, mut places, mut addresses] = [const { Vec::new() }; 3];
        let mut last = 0;
        for (id, node) in (first..).zip(&nodes) {
            varint::put(&mut parents, u64::from(id - node.parent.0));
            let module = node.module.map_or(0, |m| u64::from(m.0) + 1);
            varint::put(&mut places, module << 2 | node.quality as u64);
            varint::put_delta(&mut addresses, last, node.address);
            last = node.address;
        }
        self.put(tag::NODES, |f| {
            f.number(first).number(nodes.len() as u64);
            f.bytes.extend(columns::join(&[&parents, &places, &addresses]));
        });
    }

    pub(crate) fn sample(&mut self, process: ProcessId, s: &Sample) {
        self.put(tag::SAMPLE, |f| {
            f.number(process.0).time(s.time);
            for bytes in [s.rss, s.rss_anon, s.rss_file, s.rss_shmem, s.pss, s.swap, s.rss_peak] {
                f.number(bytes);
            }
            if let Some(p) = &s.private {
                for bytes in [p.heap, p.arenas, p.stack, p.files, p.other] {
                    f.number(bytes);
                }
            }
        });
    }

    pub(crate) fn unrecorded(&mut self, child: &Unrecorded) {
        self.put(tag::UNRECORDED, |f| {
            f.number(child.pid).time(child.time);
            f.bytes(&child.exe).bytes(child.reason.as_bytes());
        });
    }

    /// `pages`: blocks of pages of the process on the tape, those of this snapshot among them.
    pub(crate) fn snapshot(&mut self, s: &Snapshot, pages: u64) {
        self.put(tag::SNAPSHOT, |f| {
            f.number(s.process.0).number(s.number).time(s.time).number(s.event);
            f.number(s.reason as u8).number(s.pause_ns).number(s.one_instant);
            for bytes in [s.considered, s.stored, s.unreadable, s.over_budget] {
                f.number(bytes);
            }
            f.number(pages);
        });
    }

    pub(crate) fn node_name(&mut self, name: &[u8], nodes: &[BacktraceId]) {
        self.put(tag::NODE_NAME, |f| {
            f.bytes(name).number(nodes.len() as u64);
            let mut before = 0;
            for node in nodes {
                f.number(node.0.wrapping_sub(before));
                before = node.0;
            }
        });
    }

    pub(crate) fn memory_map(&mut self, map: &MemoryMap) {
        self.put(tag::MEMORY_MAP, |f| {
            f.number(map.process.0).time(map.time).number(map.mappings.len() as u64);
            let mut before = 0;
            for mapping in &map.mappings {
                f.number(mapping.start.wrapping_sub(before));
                f.number(mapping.end.wrapping_sub(mapping.start));
                f.number(access_bits(mapping.access)).number(mapping.offset).bytes(&mapping.name);
                before = mapping.end;
            }
            for bytes in &map.resident {
                f.number(*bytes);
            }
        });
    }

    pub(crate) fn leaks(&mut self, scan: &LeakScan) {
        self.put(tag::LEAKS, |f| {
            f.number(scan.number).number(scan.process.0).time(scan.time).number(scan.event);
            f.number(scan.pause_ns);
            f.number(scan.bytes_read).number(scan.bytes_unreadable).number(scan.doubts.0);
            for total in scan.totals {
                f.number(total.bytes).number(total.blocks);
            }
            f.number(scan.places.len() as u64);
            for place in &scan.places {
                f.number(place.kind as u8).number(place.tid).number(place.start).bytes(&place.name);
            }
        });
    }

    pub(crate) fn crash(&mut self, crash: &Crash) {
        self.put(tag::CRASH, |f| {
            f.number(crash.process.0).time(crash.time);
            f.option(crash.thread.map(|t| u64::from(t.0)));
            f.signed(crash.signal).signed(crash.code);
            f.number(crash.fault_addr).number(crash.ip).number(crash.sp);
            f.registers(crash.registers.as_ref()).number(crash.trap).number(crash.error_code);
            f.option(crash.events).number(crash.threads).option(crash.sender.map(u64::from));
            f.bytes(&crash.instruction).bytes(&crash.message);
        });
    }

    pub(crate) fn stack(&mut self, stack: &Stack) {
        self.put(tag::STACK, |f| {
            f.number(stack.process.0).time(stack.time).option(stack.crash.map(u64::from));
            f.number(stack.tid).option(stack.thread.map(|t| u64::from(t.0))).bytes(&stack.name);
            f.number(stack.crashed).number(stack.backtrace.0).registers(stack.registers.as_ref());
        });
    }

    pub(crate) fn cgroup(&mut self, memory: &CgroupMemory) {
        self.put(tag::CGROUP, |f| {
            f.number(memory.process.0).time(memory.time).bytes(&memory.path);
            let CgroupMemory { max, high, current, peak, oom_kills, .. } = *memory;
            for figure in [max, high, current, peak, oom_kills] {
                f.option(figure);
            }
        });
    }
}

/// The records of a body without what was copied of memory: snapshots, and the bytes of overwrites; `None` when it
/// has neither. Fails where the body makes no sense.
pub(crate) fn without_contents(body: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
    let mut kept = Vec::new();
    let mut found = false;
    for record in records(body) {
        let (this, mut fields) = record?;
        found |= matches!(this, tag::SNAPSHOT | tag::OVERWRITE);
        let fields = fields.take_all();
        let blank = if this == tag::OVERWRITE { Some(without_bytes_seen(fields)?) } else { None };
        if this != tag::SNAPSHOT {
            varint::put(&mut kept, this);
            varint::put_bytes(&mut kept, blank.as_deref().unwrap_or(fields));
        }
    }
    Ok(found.then_some(kept))
}

/// Numbers of an OVERWRITE record, before the bytes.
const OVERWRITE_NUMBERS: usize = 10;

/// The fields of an OVERWRITE record as if no bytes had been seen.
fn without_bytes_seen(fields: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut cursor = Cursor::new(fields);
    for _ in 0..OVERWRITE_NUMBERS {
        cursor.number()?;
    }
    let mut kept = fields[..fields.len() - cursor.len()].to_vec();
    varint::put_bytes(&mut kept, &[]);
    Ok(kept)
}

impl Records {
    pub(crate) fn overwrite(&mut self, o: &Overwrite) {
        self.put(tag::OVERWRITE, |f| {
            f.number(o.process.0).time(o.time).option(o.thread.map(|t| u64::from(t.0)));
            f.option(o.event).number(o.kind as u8).number(o.found as u8);
            f.number(o.block).number(o.size).number(zigzag(o.offset)).number(o.length);
            f.bytes(&o.seen);
        });
    }

    pub(crate) fn guarded(&mut self, g: &Guarded) {
        self.put(tag::GUARDED, |f| {
            f.number(g.process.0).number(g.mechanism as u8).number(g.guarded).number(g.unguarded);
            f.number(g.unlisted).number(g.arena.0).number(g.arena.1);
        });
    }
}

/// Takes the records of a body apart: tag and fields.
pub(crate) fn records(body: &[u8]) -> impl Iterator<Item = Result<(u64, Cursor<'_>), Malformed>> {
    let mut cursor = Cursor::new(body);
    std::iter::from_fn(move || {
        if cursor.is_empty() {
            return None;
        }
        let record = cursor.number().and_then(|tag| Ok((tag, Cursor::new(cursor.bytes()?))));
        if record.is_err() {
            cursor = Cursor::default();
        }
        Some(record)
    })
}
