//! Tapes for the tests, and the binary to read them.

use heaptape_tape::*;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A heaptape command without the caller's terminal settings.
pub(crate) fn heaptape(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heaptape"));
    for name in ["NO_COLOR", "CLICOLOR_FORCE", "CLICOLOR", "LC_ALL", "LC_CTYPE"] {
        command.env_remove(name);
    }
    command.env("LANG", "C.UTF-8").args(args);
    command
}

/// Runs it to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    heaptape(args).output().expect("the binary runs")
}

/// Its standard output, when it succeeded.
pub(crate) fn stdout(args: &[&str]) -> String {
    let output = run(args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

pub(crate) fn process(id: u32, command: &[u8]) -> Process {
    Process {
        pid: 4000 + id,
        ppid: 1,
        exe: b"/bin/demo".to_vec(),
        argv: vec![command.to_vec()],
        ..Process::unknown(ProcessId(id))
    }
}

fn event(time_ms: u64, action: Action, addr: u64, size: u64, backtrace: BacktraceId) -> Event {
    Event {
        time: TimeNs(time_ms * 1_000_000),
        thread: ThreadId(0),
        action,
        api: if action == Action::Free { Api::Free } else { Api::Malloc },
        align_log2: 0,
        addr,
        size,
        usable: 0,
        backtrace,
    }
}

/// A recorded process that allocates `blocks` blocks of 100 bytes, one a millisecond, and frees every
/// other one; then 1000 bytes for a moment.
pub(crate) fn write_tape(path: &Path, command: &[u8], blocks: u64) {
    let header = Header { tick_ns: 1000, page_size: 4096, ..Header::default() };
    let file = std::fs::File::create(path).unwrap();
    let mut tape = TapeWriter::new(file, &header).unwrap();
    tape.process_start(&process(0, command)).unwrap();
    let (id, process) = (ThreadId(0), ProcessId(0));
    let thread = Thread { id, process, tid: 4000, name: command.to_vec(), start: TimeNs(0) };
    tape.thread_start(&thread).unwrap();
    let module = Module {
        id: ModuleId(0),
        process,
        path: [b"/no/such/".as_slice(), command].concat(),
        build_id: Vec::new(),
        start: 0x1000,
        end: 0x2000,
        bias: 0x1000,
        loaded: TimeNs(0),
        unloaded: None,
    };
    tape.module_load(&module).unwrap();
    let mut node = BacktraceNode {
        parent: BacktraceId::NONE,
        module: Some(ModuleId(0)),
        address: 0x10,
        quality: FrameQuality::Exact,
    };
    let outer = tape.backtrace_node(&node).unwrap();
    (node.parent, node.address) = (outer, 0x20);
    let inner = tape.backtrace_node(&node).unwrap();
    for i in 0..blocks {
        let addr = 0x10_0000 + i * 0x100;
        tape.event(process, &event(i, Action::Alloc, addr, 100, inner)).unwrap();
        if i % 2 == 1 {
            tape.event(process, &event(i, Action::Free, addr, 0, BacktraceId::NONE)).unwrap();
        }
    }
    tape.event(process, &event(blocks, Action::Alloc, 0x9000_0000, 1000, outer)).unwrap();
    tape.event(process, &event(blocks + 1, Action::Free, 0x9000_0000, 0, BacktraceId::NONE))
        .unwrap();
    let end = TimeNs((blocks + 10) * 1_000_000);
    tape.process_end(process, end, Ending::Exited(3), &Losses::default()).unwrap();
    tape.finish().unwrap();
}

/// A launched shim that becomes the real program by `exec`, and a child of it with the largest heap.
pub(crate) fn write_exec_tape(path: &Path) {
    let (exec, exit) = (Ending::Exec, Ending::Exited(0));
    write_processes(
        path,
        &[(4000, "shim", exec, 10), (4000, "real", exit, 500), (4002, "child", exit, 900)],
    );
}

/// Processes with a block each: pid, command, ending, size.
pub(crate) fn write_processes(path: &Path, programs: &[(u32, &str, Ending, u64)]) {
    let header = Header { tick_ns: 1000, page_size: 4096, ..Header::default() };
    let mut tape = TapeWriter::new(std::fs::File::create(path).unwrap(), &header).unwrap();
    for (id, &(pid, command, ending, size)) in (0..).zip(programs) {
        let exe = format!("/bin/{command}").into_bytes();
        let process = Process { pid, exe, ..process(id, command.as_bytes()) };
        tape.process_start(&process).unwrap();
        let thread = ThreadId(id);
        let (name, start) = (Vec::new(), TimeNs(0));
        let process = process.id;
        tape.thread_start(&Thread { id: thread, process, tid: pid, name, start }).unwrap();
        let event = event(1, Action::Alloc, 0x5000, size, BacktraceId::NONE);
        tape.event(process, &Event { thread, ..event }).unwrap();
        tape.process_end(process, TimeNs(5_000_000), ending, &Losses::default()).unwrap();
    }
    tape.finish().unwrap();
}

/// Two processes on a tape with so many backtraces: #0 has a block by every one, #1 a block by the last ten.
pub(crate) fn write_backtraces_tape(path: &Path, backtraces: u32) {
    let header = Header { tick_ns: 1000, page_size: 4096, ..Header::default() };
    let mut tape = TapeWriter::new(std::fs::File::create(path).unwrap(), &header).unwrap();
    let ids: Vec<BacktraceId> = (0..backtraces)
        .map(|address| BacktraceNode {
            parent: BacktraceId::NONE,
            module: None,
            address: u64::from(address),
            quality: FrameQuality::Exact,
        })
        .map(|node| tape.backtrace_node(&node).unwrap())
        .collect();
    for (id, own) in [(0, &ids[..]), (1, &ids[ids.len() - 10..])] {
        let process = process(id, b"many");
        tape.process_start(&process).unwrap();
        let (thread, start, process) = (ThreadId(id), TimeNs(0), process.id);
        tape.thread_start(&Thread { id: thread, process, tid: id, name: Vec::new(), start })
            .unwrap();
        for (&backtrace, addr) in own.iter().zip((0x1000..).step_by(0x100)) {
            // Freed at once: the blocks take no memory, the backtraces do.
            let begun = Event { thread, ..event(1, Action::Alloc, addr, 8, backtrace) };
            let ended = Event { action: Action::Free, api: Api::Free, ..begun };
            tape.event(process, &begun).unwrap();
            tape.event(process, &ended).unwrap();
        }
        tape.process_end(process, TimeNs(5_000_000), Ending::Exited(0), &Losses::default())
            .unwrap();
    }
    tape.finish().unwrap();
}

/// A process with two snapshots: of block 1 (64 bytes), of block 3 (9000 bytes, whose second page is not known
/// at the second snapshot), with pointers of all kinds; block 2 was freed between.
fn write_contents_tape(path: &Path) {
    let header = Header { tick_ns: 1000, page_size: 4096, ..Header::default() };
    let mut tape = TapeWriter::new(std::fs::File::create(path).unwrap(), &header).unwrap();
    let main = ProcessId(0);
    tape.process_start(&process(0, b"demo")).unwrap();
    let thread =
        Thread { id: ThreadId(0), process: main, tid: 4000, name: Vec::new(), start: TimeNs(0) };
    tape.thread_start(&thread).unwrap();
    let (start, end, bias) = (0x40_0000, 0x40_9000, 0x40_0000);
    let (path, build_id, loaded) = (b"/no/such/demo".to_vec(), Vec::new(), TimeNs(0));
    let id = ModuleId(0);
    tape.module_load(&Module {
        id,
        process: main,
        path,
        build_id,
        start,
        end,
        bias,
        loaded,
        unloaded: None,
    })
    .unwrap();
    let event = |time, action, addr, size| event(time, action, addr, size, BacktraceId::NONE);
    tape.event(main, &event(1, Action::Alloc, 0x10_0100, 64)).unwrap();
    tape.event(main, &event(1, Action::Alloc, 0x10_0200, 48)).unwrap();
    tape.event(main, &event(2, Action::Alloc, 0x20_0000, 9000)).unwrap();
    let mut page = vec![0u8; 4096];
    let words = [0x20_0010u64, 0x10_0210, 0x40_0123, 0x7000_0008];
    for (at, word) in words.iter().enumerate() {
        page[0x100 + 8 * at..][..8].copy_from_slice(&word.to_le_bytes());
    }
    page[0x120..0x12f].copy_from_slice(b"esc \x1b[31m \xe2\x80\xae!\0");
    let mut pages = Pages::default();
    pages.store(0x100, &page);
    for page in 0x200..0x203 {
        pages.store(page, &[b'a' + (page - 0x200) as u8; 4096]);
    }
    tape.pages(main, &pages).unwrap();
    let snapshot = Snapshot {
        process: main,
        number: 0,
        time: TimeNs(3_000_000),
        event: 3,
        reason: SnapshotReason::Interval,
        pause_ns: 1_500_000,
        one_instant: true,
        considered: 9112,
        stored: 16384,
        unreadable: 0,
        over_budget: 0,
    };
    tape.snapshot(&snapshot).unwrap();
    tape.event(main, &event(4, Action::Free, 0x10_0200, 0)).unwrap();
    let access = MappingAccess { read: true, write: true, execute: false, shared: false };
    let stack = Mapping {
        start: 0x7000_0000,
        end: 0x7001_0000,
        access,
        offset: 0,
        name: b"[stack]"[..].into(),
    };
    tape.memory_map(&MemoryMap {
        process: main,
        time: TimeNs(5_000_000),
        mappings: vec![stack],
        resident: vec![8192],
    })
    .unwrap();
    let mut pages = Pages::default();
    pages.forget(0x201);
    tape.pages(main, &pages).unwrap();
    let later = Snapshot {
        time: TimeNs(5_000_000),
        event: 4,
        reason: SnapshotReason::Exit,
        one_instant: false,
        considered: 9064,
        stored: 0,
        over_budget: 4096,
        ..snapshot
    };
    tape.snapshot(&later).unwrap();
    tape.process_end(main, TimeNs(6_000_000), Ending::Exited(0), &Losses::default()).unwrap();
    tape.finish().unwrap();
}

/// A tape in a directory of its own.
pub(crate) struct TestTape {
    _dir: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl TestTape {
    pub(crate) fn new(command: &[u8], blocks: u64) -> TestTape {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("demo.tape");
        write_tape(&path, command, blocks);
        TestTape { _dir: dir, path }
    }

    pub(crate) fn with_contents() -> TestTape {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("demo.tape");
        write_contents_tape(&path);
        TestTape { _dir: dir, path }
    }

    pub(crate) fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }
}
