//! A recording told step by step: what is allocated and freed by whom, and what is found in it.

use heaptape_analysis::findings::{Finding, Findings};
use heaptape_analysis::site_series::SiteSeries;
use heaptape_analysis::summary::Summary;
use heaptape_analysis::{Frame, MemoryRecording, Names};
use heaptape_tape::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where the heap begins.
pub(crate) const HEAP: u64 = 0x5555_5600_0000;
pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const SECOND: u64 = 1_000_000_000;

/// The function of node n.
#[derive(Default)]
pub(crate) struct Functions(Vec<&'static str>);

impl Names for Functions {
    fn frames(&self, id: BacktraceId, _: &BacktraceNode) -> Arc<[Frame]> {
        let function: Arc<str> = self.0[id.0 as usize - 1].into();
        Arc::from([Frame {
            short: Arc::clone(&function),
            function,
            file: Some("story.c".into()),
            line: id.0,
            module: Some("story".into()),
            inlined: false,
            why: None,
            named: true,
        }])
    }

    fn module_state(&self, _: ModuleId) -> String {
        String::new()
    }
}

/// One process of one thread.
pub(crate) struct Story {
    pub(crate) recording: MemoryRecording,
    functions: Functions,
    events: Vec<Event>,
    live: BTreeMap<u64, u64>,
    now_ns: u64,
    next: u64,
}

impl Story {
    pub(crate) fn new() -> Story {
        let mut recording = MemoryRecording::default();
        recording.header.page_size = 4096;
        recording
            .processes
            .push(Process { ending: Ending::Exited(0), ..Process::unknown(ProcessId(0)) });
        recording.threads.push(Thread {
            id: ThreadId(0),
            process: ProcessId(0),
            tid: 1,
            name: Vec::new(),
            start: TimeNs(0),
        });
        let (events, live, functions) = (Vec::new(), BTreeMap::new(), Functions::default());
        Story { recording, functions, events, live, now_ns: 0, next: HEAP }
    }

    /// A function that allocates; the same one each time.
    fn by(&mut self, function: &'static str) -> BacktraceId {
        if let Some(known) = self.functions.0.iter().position(|name| *name == function) {
            return BacktraceId(known as u32 + 1);
        }
        self.functions.0.push(function);
        let (parent, module, quality) = (BacktraceId::NONE, None, FrameQuality::Exact);
        self.recording.add_node(BacktraceNode { parent, module, address: 1, quality })
    }

    pub(crate) fn event(&mut self, action: Action, addr: u64, size: u64, by: &'static str) {
        let api = match action {
            Action::Alloc | Action::AllocFail => Api::Malloc,
            Action::Free => Api::Free,
            _ => Api::Realloc,
        };
        let usable = if action.begins_block() { usable(size) } else { 0 };
        let (time, thread, backtrace) = (TimeNs(self.now_ns), ThreadId(0), self.by(by));
        let event =
            Event { time, thread, action, api, align_log2: 0, addr, size, usable, backtrace };
        self.events.push(event);
        if action.begins_block() {
            self.live.insert(addr, size);
        } else if action.ends_block() {
            self.live.remove(&addr);
        }
    }

    /// A block after all others.
    pub(crate) fn alloc(&mut self, by: &'static str, size: u64) -> u64 {
        let addr = self.next;
        self.next += usable(size) + 8;
        self.event(Action::Alloc, addr, size, by);
        addr
    }

    pub(crate) fn free(&mut self, addr: u64) {
        self.event(Action::Free, addr, 0, "free");
    }

    /// The block becomes another one, after all others or where it was.
    pub(crate) fn realloc(&mut self, addr: u64, by: &'static str, size: u64, moves: bool) -> u64 {
        self.event(Action::ReallocRelease, addr, size, by);
        let to = if moves { self.next } else { addr };
        self.next = self.next.max(to + usable(size) + 8);
        self.event(Action::ReallocAlloc, to, size, by);
        to
    }

    pub(crate) fn wait(&mut self, ns: u64) {
        self.now_ns += ns;
    }

    /// The kernel says now: so many bytes of private memory.
    pub(crate) fn sample(&mut self, anon: u64) {
        let (time, rss) = (TimeNs(self.now_ns), anon + MIB);
        let sample = Sample { time, rss, rss_anon: anon, rss_file: MIB, ..Sample::default() };
        self.recording.samples.entry(ProcessId(0)).or_default().push(sample);
    }

    /// A search for leaks says this of each live block.
    pub(crate) fn search(&mut self, kind: impl Fn(u64) -> LeakKind) {
        let mut totals = [LeakTotal::default(); 4];
        let mut blocks = Vec::new();
        for (&addr, &size) in &self.live {
            let total = &mut totals[kind(addr) as usize];
            total.bytes += size;
            total.blocks += 1;
            let owner = LeakOwner::Nobody;
            blocks.push(LeakBlock { addr, kind: kind(addr), owner, retained: size });
        }
        self.recording.leak_scans.push(LeakScan {
            number: 0,
            process: ProcessId(0),
            time: TimeNs(self.now_ns),
            event: self.events.len() as u64,
            pause_ns: 0,
            bytes_read: 0,
            bytes_unreadable: 0,
            doubts: LeakDoubts::default(),
            totals,
            places: Vec::new(),
        });
        self.recording.leak_blocks.push(blocks);
    }

    /// At the end so many bytes are resident in `[heap]`, and in each of so many arenas.
    pub(crate) fn resident(&mut self, heap: u64, arenas: &[u64]) {
        let access = MappingAccess { read: true, write: true, ..MappingAccess::default() };
        let mapping = |start, name: &[u8]| Mapping {
            start,
            end: start + 64 * MIB,
            access,
            offset: 0,
            name: name.into(),
        };
        let heap_mapping = Mapping { end: HEAP + 1024 * MIB, ..mapping(HEAP, b"[heap]") };
        let far = (0..).map(|i| mapping(0x7f00_0000_0000 + i * 128 * MIB, b""));
        self.recording.memory_maps.push(MemoryMap {
            process: ProcessId(0),
            time: TimeNs(self.now_ns),
            mappings: std::iter::once(heap_mapping).chain(far.take(arenas.len())).collect(),
            resident: std::iter::once(heap).chain(arenas.iter().copied()).collect(),
        });
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.now_ns
    }

    fn end(&mut self) {
        self.recording.processes[0].end = TimeNs(self.now_ns);
        self.recording.events.insert(ProcessId(0), std::mem::take(&mut self.events));
    }

    /// The end of the story, and what its sites had at some moments.
    pub(crate) fn series(mut self, points: usize, most: usize) -> SiteSeries {
        self.end();
        let process = &self.recording.processes[0];
        SiteSeries::compute(&self.recording, &self.functions, process, points, most).unwrap()
    }

    /// The end of the story, and its summary.
    pub(crate) fn summary(mut self) -> Summary {
        self.end();
        let process = &self.recording.processes[0];
        Summary::compute(&self.recording, &self.functions, process, 5).unwrap()
    }

    pub(crate) fn findings(self) -> Findings {
        self.summary().findings
    }
}

/// What glibc gives.
pub(crate) fn usable(size: u64) -> u64 {
    ((size + 8 + 15) & !15).max(32) - 8
}

/// The findings of a rule.
pub(crate) fn of<'a>(findings: &'a Findings, rule: &str) -> Vec<&'a Finding> {
    findings.found.iter().filter(|finding| finding.rule.name() == rule).collect()
}

/// The function that a finding is about.
pub(crate) fn function(finding: &Finding) -> &str {
    finding.site.as_ref().and_then(|site| site.frame.as_ref()).map_or("", |frame| &frame.function)
}
