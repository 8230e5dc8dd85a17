//! A small recording that has one of everything: the "demo" of the documentation.

use heaptape_analysis::addr::AddressHistory;
use heaptape_analysis::at::HeapAt;
use heaptape_analysis::errors::Errors;
use heaptape_analysis::filter::Filter;
use heaptape_analysis::info::Info;
use heaptape_analysis::metric::MetricAndUnit;
use heaptape_analysis::summary::Summary;
use heaptape_analysis::tree::Tree;
use heaptape_analysis::{Frame, MemoryRecording, Names, Sites, When, events};
use heaptape_report::tree::Cut;
use heaptape_report::{
    Canvas, addr, at, errors, events as event_lines, info, json, layout, summary, tree, valgrind,
};
use heaptape_tape::*;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Names by node number: functions with a file and a line, or without.
pub(crate) struct TableNames(pub(crate) Vec<(String, Option<String>, u32)>);

impl Names for TableNames {
    fn frames(&self, id: BacktraceId, _node: &BacktraceNode) -> Arc<[Frame]> {
        let (function, file, line) = &self.0[id.0 as usize - 1];
        Arc::from([Frame {
            function: function.as_str().into(),
            short: function.split('(').next().unwrap_or(function).into(),
            file: file.as_deref().map(Arc::from),
            line: *line,
            module: Some("demo".into()),
            inlined: false,
            why: None,
            named: true,
        }])
    }

    fn module_state(&self, _module: ModuleId) -> String {
        "functions and lines".to_owned()
    }
}

const MAIN: BacktraceId = BacktraceId(1);
const HEAP: u64 = 0x5555_5576_b2a0;

fn event(time_us: u64, action: Action, addr: u64, size: u64, backtrace: BacktraceId) -> Event {
    let api = if action == Action::Free { Api::Free } else { Api::Malloc };
    let usable = if size > 100_000 { size + 4096 - 16 - size % 4096 } else { size.max(24) };
    let usable = if action.begins_block() { usable } else { 0 };
    let (time, thread) = (TimeNs(time_us * 1000), ThreadId(0));
    Event { time, thread, action, api, align_log2: 0, addr, size, usable, backtrace }
}

/// 40 sessions, each with a context that is never freed; one large image; a double free.
pub(crate) fn demo() -> (MemoryRecording, TableNames) {
    let file = Some("/src/demo.cpp".to_owned());
    let names = [
        ("main(int, char**)", 30),
        ("leak_ctx()", 10),
        ("open_session(int)", 15),
        ("decode_image(unsigned long)", 19),
        ("operator new(unsigned long)", 0),
    ];
    let names = names.map(|(function, line)| (function.to_owned(), file.clone(), line));
    let header = Header {
        version: 1,
        writer: "heaptape 0.1.0".to_owned(),
        tick_ns: 1000,
        host: "box".to_owned(),
        command: vec![b"./demo".to_vec(), b"40".to_vec()],
        cwd: b"/src".to_vec(),
        page_size: 4096,
        options: vec![("follow".to_owned(), "all".to_owned())],
        ..Header::default()
    };
    let mut recording = MemoryRecording { header, ..MemoryRecording::default() };
    let size = 4321;
    recording.condition =
        Condition { complete: true, good_bytes: size, file_bytes: size, ..Condition::default() };
    for parent in [0, 1, 1, 1, 2] {
        let parent = BacktraceId(parent);
        recording.add_node(BacktraceNode {
            parent,
            module: Some(ModuleId(0)),
            address: 1,
            quality: FrameQuality::Exact,
        });
    }
    recording.modules.push(Module {
        id: ModuleId(0),
        process: ProcessId(0),
        path: b"/src/demo".to_vec(),
        build_id: vec![0xab, 0xcd],
        start: 0x5555_5555_4000,
        end: 0x5555_5556_0000,
        bias: 0x5555_5555_4000,
        loaded: TimeNs(0),
        unloaded: None,
    });
    let thread = |id: u32, process: u32| Thread {
        id: ThreadId(id),
        process: ProcessId(process),
        tid: 22871 + id,
        name: b"demo".to_vec(),
        start: TimeNs(0),
    };
    recording.threads = vec![thread(0, 0), thread(1, 1)];
    let process = |id: u32, ending| Process {
        id: ProcessId(id),
        pid: 22871 + id,
        ppid: if id == 0 { 1 } else { 22871 },
        forked_from: None,
        exe: b"/src/demo".to_vec(),
        argv: vec![b"./demo".to_vec(), b"40".to_vec()],
        start: TimeNs(u64::from(id) * 100_000_000),
        end: TimeNs(840_000_000),
        ending,
        losses: Losses::default(),
    };
    recording.processes =
        vec![process(0, Ending::Exited(0)), process(1, Ending::Signalled(11, true))];
    recording.processes[1].losses = Losses { events: 12, threads: 1, ..Losses::default() };
    recording.crashes.push(Crash {
        time: TimeNs(839_000_000),
        signal: 11,
        code: 1,
        fault_addr: 0x10,
        ..Crash::unknown(ProcessId(1))
    });
    recording.unrecorded.push(Unrecorded {
        pid: 4712,
        time: TimeNs(5_000_000),
        exe: b"/usr/bin/busybox".to_vec(),
        reason: "it is statically linked, so nothing can be loaded into it".to_owned(),
    });
    recording.events.insert(ProcessId(0), demo_events());
    let sample = |time_us: u64, anon: u64| Sample {
        time: TimeNs(time_us * 1000),
        rss: anon + (3 << 20) + (256 << 10),
        rss_anon: anon,
        rss_file: 3 << 20,
        rss_shmem: 256 << 10,
        ..Sample::default()
    };
    let samples =
        vec![sample(300_000, 1 << 20), sample(650_000, 25 << 20), sample(839_000, 1 << 20)];
    recording.samples.insert(ProcessId(0), samples);
    recording.memory_maps.push(memory_map());
    (recording, TableNames(names.to_vec()))
}

/// What was resident at the end: the executable's variables, the heap, and the stack.
fn memory_map() -> MemoryMap {
    let mapping = |start: u64, bytes: u64, name: &[u8]| Mapping {
        start,
        end: start + bytes,
        access: MappingAccess { read: true, write: true, ..MappingAccess::default() },
        offset: 0,
        name: name.into(),
    };
    MemoryMap {
        process: ProcessId(0),
        time: TimeNs(839_000_000),
        mappings: vec![
            mapping(0x5555_5555_f000, 0x1000, b"/src/demo"),
            mapping(0x5555_5576_b000, 0x2_1000, b"[heap]"),
            mapping(0x7fff_ffff_0000, 0xf000, b"[stack]"),
        ],
        resident: vec![0x1000, 0x1_8000, 0x4000],
    }
}

fn demo_events() -> Vec<Event> {
    let mut events = Vec::new();
    let (leak, session, image) = (BacktraceId(5), BacktraceId(3), BacktraceId(4));
    for i in 0..40 {
        let (at, addr) = (1000 + i * 12_000, HEAP + i * 0x800);
        events.push(event(at, Action::Alloc, addr, 160, leak));
        events.push(event(at + 10, Action::Alloc, addr + 0xb0, 0x740, session));
        events.push(event(at + 20, Action::Alloc, HEAP + 40 * 0x800, 24, MAIN));
        events.push(event(at + 21, Action::Free, HEAP + 40 * 0x800, 0, BacktraceId::NONE));
    }
    events.push(event(609_000, Action::Alloc, 0x7fff_f000_0010, 24 << 20, image));
    events.push(event(700_000, Action::Free, 0x7fff_f000_0010, 0, BacktraceId::NONE));
    for i in 0..40 {
        let addr = HEAP + i * 0x800 + 0xb0;
        events.push(event(710_000 + i, Action::Free, addr, 0, BacktraceId::NONE));
    }
    events.push(event(720_000, Action::Free, HEAP + 0xb0, 0, MAIN));
    events.push(event(730_000, Action::AllocFail, 0, 1 << 40, MAIN));
    events
}

/// Every view by name, drawn on `canvas`.
pub(crate) fn views(
    recording: &MemoryRecording,
    names: &TableNames,
    canvas: &Canvas,
) -> Vec<(&'static str, String)> {
    let process = &recording.processes[0];
    let all = Summary::compute(recording, names, process, 10).unwrap();
    let peak = HeapAt::compute(recording, names, process, When::Peak, 2).unwrap();
    let tree = |word: &str, inverted| {
        let measure: MetricAndUnit = word.parse().unwrap();
        let tree = Tree::compute(recording, names, process, measure, inverted, 0).unwrap();
        (tree::sentence(measure.metric, tree.time_ns), tree)
    };
    let (top_down, inverted) = (tree("peak", false), tree("calls", true));
    let cut = Cut { min_per_mille: 10, max_depth: 64, top: 30 };
    let address = HEAP + 0xb0;
    let history = AddressHistory::compute(recording, names, process, address, 100).unwrap();
    let wrong = Errors::compute(recording, names, process, 100).unwrap();
    let detail = errors::Detail { depth: 8, undecided: true };
    let facts = Info::compute(recording, names).expect("memory does");
    let mut sites = Sites::new(recording, names);
    type View<'v> = Box<dyn FnOnce(&mut Vec<u8>) -> std::io::Result<()> + 'v>;
    let views: Vec<(&'static str, View<'_>)> = vec![
        ("summary", Box::new(|out| summary::render_summary(out, canvas, "demo.tape", &all))),
        ("valgrind", Box::new(|out| valgrind::render_valgrind(out, &all))),
        ("at", Box::new(|out| at::render_at(out, canvas, &peak))),
        (
            "listing",
            Box::new(|out| {
                let heap = &peak.layout;
                heap.regions.iter().try_for_each(|region| {
                    layout::render_listing(out, canvas, heap, region, &mut sites)
                })
            }),
        ),
        ("tree", Box::new(|out| tree::render_tree(out, canvas, &top_down.1, &top_down.0, &cut))),
        (
            "inverted",
            Box::new(|out| tree::render_tree(out, canvas, &inverted.1, &inverted.0, &cut)),
        ),
        (
            "functions",
            Box::new(|out| tree::render_functions(out, canvas, &inverted.1, &inverted.0, &cut)),
        ),
        (
            "events",
            Box::new(|out| {
                event_lines::render_heading(out, canvas)?;
                each_event(recording, names, |row| event_lines::render_event(out, canvas, row))
            }),
        ),
        (
            "tsv",
            Box::new(|out| {
                event_lines::render_tsv_heading(out)?;
                each_event(recording, names, |row| event_lines::render_tsv(out, row))
            }),
        ),
        ("addr", Box::new(|out| addr::render_address(out, canvas, &history, 8))),
        ("errors", Box::new(|out| errors::render_errors(out, canvas, &wrong, detail))),
        ("info", Box::new(|out| info::render_info(out, canvas, &facts, true))),
        (
            "summary.json",
            Box::new(|out| json::write_results(out, "summary", &[summary::document(&all)])),
        ),
    ];
    let draw = |(name, view): (&'static str, View<'_>)| {
        let mut out = Vec::new();
        view(&mut out).unwrap();
        (name, String::from_utf8(out).expect("every view is UTF-8"))
    };
    views.into_iter().map(draw).collect()
}

fn each_event(
    recording: &MemoryRecording,
    names: &TableNames,
    mut draw: impl FnMut(&events::EventRow) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let filter = Filter { times: Some("0.46..end".parse().unwrap()), ..Filter::default() };
    let ended = events::for_each(recording, names, &recording.processes[0], &filter, |row| {
        match draw(&row) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    });
    match ended.unwrap() {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}
