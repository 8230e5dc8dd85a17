//! A small tape that has something of everything, and a second, independent look at its blocks.

#![allow(dead_code, unreachable_pub)] // each test uses its part

use heaptape_tape::*;

pub const META: u8 = 1;
pub const EVENTS: u8 = 2;
pub const KEYFRAME: u8 = 3;
pub const INDEX: u8 = 5;

/// Events of process 0 in [`example`].
pub const EXAMPLE_EVENTS: usize = 8;

/// The tape of the worked example in `docs/format.md`.
pub fn example() -> Vec<u8> {
    let header = Header {
        tick_ns: 1000,
        writer: "0.1.0".to_string(),
        command: vec![b"prog".to_vec()],
        page_size: 4096,
        ..Header::default()
    };
    let mut tape = TapeWriter::new(Vec::new(), &header).unwrap();
    let main = ProcessId(0);
    tape.process_start(&process(0, None)).unwrap();
    tape.thread_start(&thread(0, 0)).unwrap();
    tape.module_load(&Module {
        id: ModuleId(0),
        process: main,
        path: b"/bin/prog".to_vec(),
        build_id: vec![0xab, 0xcd],
        start: 0x40_0000,
        end: 0x40_9000,
        bias: 0x40_0000,
        loaded: TimeNs(0),
        unloaded: None,
    })
    .unwrap();
    let outer = node(&mut tape, BacktraceId::NONE, 0x1139);
    let inner = node(&mut tape, outer, 0x1205);
    for (number, backtrace) in [(0, inner), (1, inner), (2, outer)] {
        tape.event(main, &alloc(1_000 + number * 700, 0x1000 + 0x30 * number, backtrace)).unwrap();
    }
    tape.event(main, &free(3_100, 0x1030)).unwrap();
    tape.flush().unwrap();
    tape.process_start(&process(1, Some((main, 4)))).unwrap();
    tape.thread_start(&thread(1, 1)).unwrap();
    let child = ThreadId(1);
    tape.event(ProcessId(1), &Event { thread: child, ..free(4_000, 0x1000) }).unwrap();
    tape.event(ProcessId(1), &Event { thread: child, ..alloc(4_100, 0x1000, inner) }).unwrap();
    let release =
        Event { action: Action::ReallocRelease, api: Api::Realloc, ..free(5_000, 0x1060) };
    tape.event(main, &release).unwrap();
    tape.event(main, &Event { action: Action::ReallocFail, ..release }).unwrap();
    tape.event(main, &alloc(5_200, 0x1030, inner)).unwrap();
    tape.event(main, &free(5_300, 0x1000)).unwrap();
    tape.sample(main, &Sample { time: TimeNs(5_000), rss: 1 << 20, ..Sample::default() }).unwrap();
    let mut pages = Pages::default();
    pages.store(1, &page(b"hello"));
    tape.pages(main, &pages).unwrap();
    tape.snapshot(&snapshot(0, 6_000, 7)).unwrap();
    tape.keyframe(ProcessId(1)).unwrap();
    tape.keyframe(main).unwrap();
    let losses = Losses { waited_ns: 12, ..Losses::default() };
    tape.process_end(main, TimeNs(7_000), Ending::Exited(3), &losses).unwrap();
    tape.finish().unwrap()
}

/// A tape of a process that went wrong: it has all that is said of crashes, leaks and overwrites.
pub fn diagnosed() -> Vec<u8> {
    let mut tape = TapeWriter::new(Vec::new(), &Header::default()).unwrap();
    let main = ProcessId(0);
    tape.process_start(&process(0, None)).unwrap();
    tape.thread_start(&thread(0, 0)).unwrap();
    let module_unknown = |parent, address| {
        let (module, quality) = (None, FrameQuality::Exact);
        BacktraceNode { parent, module, address, quality }
    };
    let outer = tape.backtrace_node(&module_unknown(BacktraceId::NONE, 0x1139)).unwrap();
    let inner = tape.backtrace_node(&module_unknown(outer, 0x1205)).unwrap();
    tape.node_name(b"compiled_late", &[outer, inner]).unwrap();
    for number in 0..4 {
        tape.event(main, &alloc(1_000 + number, 0x1000 + 0x40 * number, inner)).unwrap();
    }
    tape.guarded(&Guarded {
        process: main,
        mechanism: GuardMechanism::RedZones,
        guarded: 3,
        unguarded: 1,
        unlisted: 7,
        arena: (0x1000, 0x3000),
    })
    .unwrap();
    tape.overwrite(&Overwrite {
        process: main,
        time: TimeNs(1_500),
        thread: Some(ThreadId(0)),
        event: Some(3),
        kind: OverwriteKind::BeforeStart,
        found: Found::AtInterval,
        block: 0x1040,
        size: 40,
        offset: -8,
        length: 3,
        seen: vec![1, 2, 3],
    })
    .unwrap();
    let access = MappingAccess { read: true, write: true, ..MappingAccess::default() };
    let heap =
        Mapping { start: 0x1000, end: 0x3000, access, offset: 0, name: b"[heap]"[..].into() };
    let stack = Mapping { start: 0x7000, end: 0x9000, name: b"[stack]"[..].into(), ..heap.clone() };
    let map = MemoryMap {
        process: main,
        time: TimeNs(1_600),
        mappings: vec![heap, stack],
        resident: vec![8192, 4096],
    };
    tape.memory_map(&map).unwrap();
    tape.leaks(&search(main), &judged()).unwrap();
    let registers = Some(Registers(std::array::from_fn(|number| 0x1000 << number)));
    tape.crash(&Crash {
        thread: Some(ThreadId(0)),
        signal: 11,
        code: 1,
        fault_addr: 0x1044,
        ip: 0x1205,
        registers,
        trap: 14,
        error_code: 6,
        events: Some(4),
        threads: 1,
        sender: Some(7),
        instruction: vec![0x48, 0x89, 0x07],
        message: b"free(): invalid pointer".to_vec(),
        ..Crash::unknown(main)
    })
    .unwrap();
    tape.stack(&Stack {
        process: main,
        crash: Some(0),
        time: TimeNs(1_800),
        tid: 100,
        thread: Some(ThreadId(0)),
        name: b"prog".to_vec(),
        crashed: true,
        registers,
        backtrace: inner,
    })
    .unwrap();
    tape.cgroup(&CgroupMemory {
        process: main,
        time: TimeNs(1_900),
        path: b"/box".to_vec(),
        max: Some(1 << 20),
        high: None,
        current: Some(1 << 19),
        peak: Some(1 << 20),
        oom_kills: Some(2),
    })
    .unwrap();
    let losses = Losses::default();
    tape.process_end(main, TimeNs(2_000), Ending::Signalled(11, true), &losses).unwrap();
    tape.finish().unwrap()
}

/// The search for leaks of [`diagnosed`].
pub fn search(process: ProcessId) -> LeakScan {
    let total = LeakTotal { bytes: 40, blocks: 1 };
    LeakScan {
        number: 0,
        process,
        time: TimeNs(1_700),
        event: 4,
        pause_ns: 50,
        bytes_read: 1 << 16,
        bytes_unreadable: 4096,
        doubts: LeakDoubts(LeakDoubts::THREADS_MISSING),
        totals: [total; LeakKind::ALL.len()],
        places: vec![LeakPlace::stack(100, 0x7800), LeakPlace::memory(0x9000, b"/x".to_vec())],
    }
}

/// What became of its blocks: one of each kind.
pub fn judged() -> Vec<LeakBlock> {
    let block = |number: u64, kind, owner| LeakBlock {
        addr: 0x1000 + 0x40 * number,
        kind,
        owner,
        retained: 40,
    };
    vec![
        block(0, LeakKind::Reachable, LeakOwner::Root { place: 1, address: 0x9010 }),
        block(1, LeakKind::Possible, LeakOwner::Root { place: 0, address: 0x7808 }),
        block(2, LeakKind::Indirect, LeakOwner::Block { block: 3, offset: 8 }),
        block(3, LeakKind::Definite, LeakOwner::Nobody),
    ]
}

/// A page with these bytes at 0x60, the rest zeros.
pub fn page(bytes: &[u8]) -> Vec<u8> {
    let mut page = vec![0; PAGE_BYTES as usize];
    page[0x60..0x60 + bytes.len()].copy_from_slice(bytes);
    page
}

/// A snapshot that says nothing of how it was made.
pub fn snapshot(process: u32, time: u64, event: EventIndex) -> Snapshot {
    Snapshot {
        process: ProcessId(process),
        number: 0,
        time: TimeNs(time),
        event,
        reason: SnapshotReason::Asked,
        pause_ns: 0,
        one_instant: true,
        considered: 0,
        stored: 0,
        unreadable: 0,
        over_budget: 0,
    }
}

pub fn process(id: u32, forked_from: Option<(ProcessId, EventIndex)>) -> Process {
    Process {
        pid: 100 + id,
        ppid: 99,
        forked_from,
        exe: b"/bin/prog".to_vec(),
        argv: vec![b"prog".to_vec()],
        ..Process::unknown(ProcessId(id))
    }
}

pub fn thread(id: u32, process: u32) -> Thread {
    let (id, process) = (ThreadId(id), ProcessId(process));
    Thread { id, process, tid: 100 + process.0, name: b"prog".to_vec(), start: TimeNs(0) }
}

fn node(tape: &mut TapeWriter<Vec<u8>>, parent: BacktraceId, address: u64) -> BacktraceId {
    let (module, quality) = (Some(ModuleId(0)), FrameQuality::Exact);
    tape.backtrace_node(&BacktraceNode { parent, module, address, quality }).unwrap()
}

pub fn alloc(time: u64, addr: u64, backtrace: BacktraceId) -> Event {
    Event {
        time: TimeNs(time),
        thread: ThreadId(0),
        action: Action::Alloc,
        api: Api::Malloc,
        align_log2: 0,
        addr,
        size: 40,
        usable: 40,
        backtrace,
    }
}

pub fn free(time: u64, addr: u64) -> Event {
    let backtrace = BacktraceId::NONE;
    let (action, api) = (Action::Free, Api::Free);
    Event { action, api, size: 0, usable: 0, ..alloc(time, addr, backtrace) }
}

/// Opens a file with these bytes.
pub fn open(bytes: &[u8]) -> Result<Tape, TapeError> {
    open_within(bytes, Limits::default())
}

/// The same within limits.
pub fn open_within(bytes: &[u8], limits: Limits) -> Result<Tape, TapeError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    Tape::open_within(file.path(), limits)
}

/// The same, where it must succeed.
pub fn open_bytes(bytes: &[u8]) -> Tape {
    open(bytes).unwrap()
}

/// A block as `docs/format.md` describes it.
pub struct Block {
    pub start: usize,
    pub end: usize,
    pub kind: u8,
    pub key: Vec<u8>,
    /// Unpacked.
    pub body: Vec<u8>,
}

/// The blocks of a whole tape.
pub fn blocks(bytes: &[u8]) -> impl Iterator<Item = Block> + '_ {
    let mut start = 24;
    std::iter::from_fn(move || {
        let head = bytes.get(start..start + 24).filter(|head| head.starts_with(b"\xf7HT\xa8"))?;
        let key_len = usize::from(u16::from_le_bytes([head[6], head[7]]));
        let stored_len = u32::from_le_bytes(head[8..12].try_into().unwrap()) as usize;
        let raw_len = u32::from_le_bytes(head[12..16].try_into().unwrap()) as usize;
        let (key_at, body_at) = (start + 24, start + 24 + key_len);
        let end = body_at + stored_len;
        let stored = &bytes[body_at..end];
        let body = match head[5] {
            0 => stored.to_vec(),
            _ => zstd::bulk::decompress(stored, raw_len).unwrap(),
        };
        let key = bytes[key_at..body_at].to_vec();
        let block = Block { start, end, kind: head[4], key, body };
        start = end;
        Some(block)
    })
}

/// A block with an unpacked body.
pub fn frame(kind: u8, key: &[u8], body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32).to_le_bytes();
    let mut head = b"\xf7HT\xa8".to_vec();
    head.extend([kind, 0]);
    head.extend((key.len() as u16).to_le_bytes());
    head.extend(len);
    head.extend(len);
    head.extend(crc32fast::hash(body).to_le_bytes());
    let crc = crc32fast::hash(&[&head[4..20], key].concat());
    head.extend(crc.to_le_bytes());
    [&head, key, body].concat()
}
