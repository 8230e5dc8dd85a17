//! Whatever is written comes back: facts, events, and the live set at any moment, which equals the
//! naive replay from the birth of the process. Random histories with threads, reallocs, failures,
//! unmatched frees and forks.

mod small;

use heaptape_tape::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One step of a random history: which process, which thread of it, what, and two random numbers.
type Step = (u8, u8, u8, u32, u32);

/// A history as the test keeps it.
#[derive(Default)]
struct Told {
    processes: Vec<Process>,
    events: Vec<Vec<Event>>,
    /// Live by address, inherited ones too: only to choose plausible addresses.
    live: Vec<BTreeSet<u64>>,
    pending: BTreeMap<u32, u64>,
    nodes: u32,
    now: u64,
}

const THREADS: u32 = 3;
const TICK: u64 = 100;

impl Told {
    fn begin(&mut self, tape: &mut TapeWriter<Vec<u8>>, parent: Option<usize>) {
        let id = ProcessId(self.processes.len() as u32);
        let forked_from = parent.map(|p| (ProcessId(p as u32), self.events[p].len() as EventIndex));
        let process = Process {
            id,
            pid: 100 + id.0,
            ppid: 1,
            forked_from,
            exe: b"/bin/\xff".to_vec(),
            argv: vec![b"prog".to_vec(), Vec::new()],
            start: TimeNs(self.now / TICK * TICK),
            end: TimeNs(self.now / TICK * TICK),
            ending: Ending::Unknown,
            losses: Losses::default(),
        };
        tape.process_start(&process).unwrap();
        for thread in 0..THREADS {
            let thread = ThreadId(id.0 * THREADS + thread);
            let name = b"worker".to_vec();
            let (process, start) = (id, TimeNs(0));
            tape.thread_start(&Thread { id: thread, process, tid: 7, name, start }).unwrap();
        }
        self.live.push(parent.map(|p| self.live[p].clone()).unwrap_or_default());
        self.processes.push(process);
        self.events.push(Vec::new());
    }

    fn step(&mut self, tape: &mut TapeWriter<Vec<u8>>, step: Step) {
        let (process, thread, what, a, b) = step;
        let p = usize::from(process) % self.processes.len();
        let thread = ThreadId(p as u32 * THREADS + u32::from(thread) % THREADS);
        self.now += u64::from(b % 300);
        if what % 50 == 49 && self.processes.len() < 6 {
            return self.begin(tape, Some(p));
        }
        if what % 50 == 48 {
            return tape.flush().unwrap();
        }
        if what % 5 == 0 {
            let parent = BacktraceId(a % (self.nodes + 1));
            let node = BacktraceNode {
                parent,
                module: None,
                address: u64::from(b),
                quality: FrameQuality::FramePointer,
            };
            self.nodes += 1;
            assert_eq!(tape.backtrace_node(&node).unwrap(), BacktraceId(self.nodes));
        }
        let event = self.event(p, thread, what, a, b);
        tape.event(ProcessId(p as u32), &event).unwrap();
        let time = TimeNs(event.time.0 / TICK * TICK);
        self.events[p].push(Event { time, ..event });
    }

    fn event(&mut self, p: usize, thread: ThreadId, what: u8, a: u32, b: u32) -> Event {
        let live = &mut self.live[p];
        let fresh = 0x5000_0000_0000 + u64::from(a % 64) * 48 + u64::from(a.is_multiple_of(3));
        let known = live.iter().copied().nth(a as usize % live.len().max(1));
        let (action, api, addr) = match (self.pending.remove(&thread.0), what % 12, known) {
            // Nobody else can have got the address of a block whose realloc fails.
            (Some(old), 0..=3, _) if !live.contains(&old) => {
                (Action::ReallocFail, Api::Realloc, old)
            }
            (Some(_), _, _) if !live.contains(&fresh) => {
                (Action::ReallocAlloc, Api::Realloc, fresh)
            }
            (_, 0..=3, Some(addr)) => (Action::Free, Api::Delete, addr),
            (_, 4..=5, Some(addr)) => (Action::ReallocRelease, Api::Realloc, addr),
            (_, 6, _) => (Action::AllocFail, Api::Malloc, 0),
            (_, 7, _) => (Action::Map, Api::Mmap, u64::MAX - u64::from(a)),
            (_, 8, _) => (Action::Free, Api::Free, 0x1234_0000 + u64::from(a % 9)),
            // The free of the block that was there is missing. In a child it may be an inherited one, which
            // winding would show again when the child's own block there is freed: see `Tape::live_at`.
            (_, 9, Some(addr)) if p == 0 => (Action::Alloc, Api::Malloc, addr),
            _ if !live.contains(&fresh) => (Action::Alloc, Api::New, fresh),
            _ => (Action::Unmap, Api::Munmap, fresh),
        };
        match action {
            Action::Alloc | Action::ReallocAlloc | Action::ReallocFail => {
                live.insert(addr);
            }
            Action::Free | Action::ReallocRelease => {
                live.remove(&addr);
            }
            _ => {}
        }
        if action == Action::ReallocRelease {
            self.pending.insert(thread.0, addr);
        }
        Event {
            time: TimeNs(self.now),
            thread,
            action,
            api,
            align_log2: (b % 7) as u8,
            addr,
            size: u64::from(b) << (a % 30),
            usable: if a.is_multiple_of(4) { 0 } else { u64::from(b) + 8 },
            backtrace: BacktraceId(b % (self.nodes + 1)),
        }
    }

    /// The naive live set after `index` events of process `p`, by address.
    fn live_at(&self, p: usize, index: usize) -> BTreeMap<u64, LiveBlock> {
        let inherited = match self.processes[p].forked_from {
            Some((parent, event)) => self.live_at(parent.0 as usize, event as usize),
            None => BTreeMap::new(),
        };
        let mut set = LiveSet::with_inherited(inherited.into_values());
        for event in &self.events[p][..index] {
            set.apply(event);
        }
        by_addr(&set)
    }
}

fn by_addr(set: &LiveSet) -> BTreeMap<u64, LiveBlock> {
    set.blocks().map(|block| (block.addr, *block)).collect()
}

fn record(steps: &[Step]) -> (Told, Vec<u8>) {
    let header = Header { tick_ns: TICK, writer: "test".to_string(), ..Header::default() };
    let mut tape = TapeWriter::new(Vec::new(), &header).unwrap();
    let mut told = Told::default();
    told.begin(&mut tape, None);
    for &step in steps {
        told.step(&mut tape, step);
    }
    let losses = Losses { events: 3, waited_ns: 9, ..Losses::default() };
    for process in &mut told.processes {
        process.end = TimeNs(told.now / TICK * TICK);
        process.ending = Ending::Signalled(9, true);
        process.losses = losses;
        tape.process_end(process.id, TimeNs(told.now), process.ending, &losses).unwrap();
    }
    (told, tape.finish().unwrap())
}

fn open(bytes: &[u8]) -> Tape {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    Tape::open(file.path()).unwrap()
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Now and then more than go to the packer at once.
    let lens = prop_oneof![9 => 0..400_usize, 1 => 5_000..6_000_usize];
    lens.prop_flat_map(|len| prop::collection::vec(any::<Step>(), len))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn histories_come_back(steps in steps(), at in any::<prop::sample::Index>()) {
        let (told, bytes) = record(&steps);
        let tape = open(&bytes);
        prop_assert!(tape.condition().complete);
        prop_assert_eq!(tape.condition().damaged_blocks, 0);
        prop_assert_eq!(tape.condition().unknown_blocks, 0);
        prop_assert_eq!(tape.processes(), &told.processes[..]);
        prop_assert_eq!(tape.nodes().len(), told.nodes as usize);
        for (p, events) in told.events.iter().enumerate() {
            let id = ProcessId(p as u32);
            prop_assert_eq!(tape.event_count(id), events.len() as u64);
            let from = at.index(events.len() + 1);
            let read: Result<Vec<Event>, _> = tape.events(id, from as u64).collect();
            prop_assert_eq!(&read.unwrap()[..], &events[from..]);
            let live = tape.live_at(id, Moment::Event(from as u64)).unwrap();
            prop_assert_eq!(by_addr(&live), told.live_at(p, from));
            let live = tape.live_at(id, Moment::End).unwrap();
            prop_assert_eq!(by_addr(&live), told.live_at(p, events.len()));
            prop_assert_eq!(by_addr(&tape.live_at_start(id).unwrap()), told.live_at(p, 0));
        }
    }

    #[test]
    fn a_time_means_every_event_up_to_it(steps in steps(), time in 0u64..70_000) {
        let (told, bytes) = record(&steps);
        let tape = open(&bytes);
        for (p, events) in told.events.iter().enumerate() {
            let until = events.partition_point(|event| event.time <= TimeNs(time));
            let found = tape.moment_event_index(ProcessId(p as u32), Moment::Time(TimeNs(time)));
            prop_assert_eq!(found.unwrap(), until as u64);
        }
    }
}

#[test]
fn what_is_said_of_a_process_comes_back() {
    let mut tape =
        TapeWriter::new(Vec::new(), &Header { tick_ns: 1000, ..Header::default() }).unwrap();
    tape.process_start(&small::process(0, None)).unwrap();
    let mapping = |start, end, name: &[u8]| Mapping {
        start,
        end,
        access: MappingAccess { read: true, write: start == 0x3000, ..MappingAccess::default() },
        offset: start / 2,
        name: name.into(),
    };
    let mappings = vec![
        mapping(0x1000, 0x3000, b"/bin/a"),
        mapping(0x3000, 0x4000, b"[heap]"),
        mapping(u64::MAX - 0x1fff, u64::MAX, b""),
    ];
    let resident = vec![4096; mappings.len()];
    let map = MemoryMap { process: ProcessId(0), time: TimeNs(5000), mappings, resident };
    let later = MemoryMap { time: TimeNs(7000), ..map.clone() };
    tape.memory_map(&map).unwrap();
    tape.memory_map(&later).unwrap();
    let private = Private { heap: 1, arenas: 2, stack: 3, files: 4, other: 5 };
    let sample = Sample { time: TimeNs(6000), rss: 15, rss_peak: 16, ..Sample::default() };
    let samples = [sample, Sample { private: Some(private), ..sample }];
    samples.iter().for_each(|sample| tape.sample(ProcessId(0), sample).unwrap());
    let tape = small::open_bytes(&tape.finish().unwrap());
    let [one, other] = tape.memory_maps() else { panic!("{:?}", tape.memory_maps()) };
    assert_eq!((one, other), (&map, &later));
    let shared = |(a, b): (&Mapping, &Mapping)| Arc::ptr_eq(&a.name, &b.name);
    assert!(one.mappings.iter().zip(&other.mappings).all(shared));
    assert_eq!(tape.samples(ProcessId(0)), samples);
    let name = |addr| map.at(addr).map(|mapping| &mapping.name[..]);
    let expected = [None, Some(&b"/bin/a"[..]), Some(b"/bin/a"), Some(b"[heap]"), None, None];
    assert_eq!([0, 0x1000, 0x2fff, 0x3000, 0x4000, u64::MAX].map(name), expected);
}

#[test]
fn what_is_said_of_a_crash_comes_back() {
    let header = Header { tick_ns: 1000, ..Header::default() };
    let mut tape = TapeWriter::new(Vec::new(), &header).unwrap();
    tape.process_start(&small::process(0, None)).unwrap();
    tape.thread_start(&small::thread(0, 0)).unwrap();
    let registers = Registers(std::array::from_fn(|place| u64::MAX / (place as u64 + 1)));
    let crash = Crash {
        time: TimeNs(7000),
        thread: Some(ThreadId(0)),
        signal: 11,
        code: 1,
        fault_addr: 0x10,
        ip: registers.ip(),
        sp: registers.sp(),
        registers: Some(registers),
        trap: 14,
        error_code: 6,
        events: Some(0),
        threads: 2,
        sender: Some(7),
        instruction: vec![0xc3],
        message: b"free(): invalid pointer".to_vec(),
        ..Crash::unknown(ProcessId(0))
    };
    tape.crash(&crash).unwrap();
    let node = BacktraceNode {
        parent: BacktraceId::NONE,
        module: None,
        address: 0x1234,
        quality: FrameQuality::Truncated,
    };
    let stack = Stack {
        process: ProcessId(0),
        crash: Some(0),
        time: TimeNs(7000),
        tid: 41,
        thread: None,
        name: b"worker".to_vec(),
        crashed: true,
        registers: Some(registers),
        backtrace: tape.backtrace_node(&node).unwrap(),
    };
    tape.stack(&stack).unwrap();
    let cgroup = CgroupMemory {
        process: ProcessId(0),
        time: TimeNs(9000),
        path: b"/a".to_vec(),
        max: Some(1 << 30),
        high: None,
        current: Some(0),
        peak: Some(5),
        oom_kills: Some(1),
    };
    tape.cgroup(&cgroup).unwrap();
    let tape = small::open_bytes(&tape.finish().unwrap());
    assert_eq!(tape.crashes(), std::slice::from_ref(&crash));
    assert_eq!(crash.access(), Access::Write);
    assert_eq!(tape.stacks(), [stack]);
    assert_eq!(tape.cgroups(), [cgroup]);
}
