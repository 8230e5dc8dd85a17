//! Whole recordings of processes whose recorder is a fake: hello, rings, merge, conversion, tape.
//!
//! The ignored tests are the targets: the others launch this very program to run one of them.

mod fake;

use fake::{Fake, Stream, hello, now};
use heaptape_collector::{Follow, Launch, Outcome, run};
use heaptape_tape::*;
use heaptape_wire::handshake::*;
use heaptape_wire::layout::*;
use heaptape_wire::record::{Head, Kind, api};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Records a target of this file.
fn record_with(target: &str, set: impl FnOnce(&mut Launch)) -> (Outcome, Tape) {
    let dir = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap().into_os_string();
    let arguments = ["--ignored", "--exact", "--nocapture", "--test-threads=1", target];
    let command = std::iter::once(program).chain(arguments.map(Into::into)).collect();
    let mut launch = Launch::new(command, dir.path().join("tape"), &[]);
    launch.stdout = Some(std::fs::File::options().write(true).open("/dev/null").unwrap());
    set(&mut launch);
    let outcome = run(launch).unwrap();
    let tape = Tape::open(&outcome.tape).unwrap();
    assert!(tape.condition().complete);
    (outcome, tape)
}

fn record(target: &str) -> (Outcome, Tape) {
    let (outcome, tape) = record_with(target, |_| ());
    assert_eq!(outcome.ending, Ending::Exited(0), "{target}");
    (outcome, tape)
}

fn events(tape: &Tape, process: u32) -> Vec<Event> {
    tape.events(ProcessId(process), 0).map(Result::unwrap).collect()
}

fn alloc(stream: &mut Stream, addr: u64, size: u64, node: u32) {
    stream.event(Kind::Alloc, api::MALLOC, addr, size, node);
}

fn free(stream: &mut Stream, addr: u64) {
    stream.event(Kind::Free, api::FREE, addr, 0, 0);
}

const MANY: u64 = 200_000;

#[test]
#[ignore = "a target"]
fn target_one_thread() {
    let fake = Fake::join(0, 0).unwrap();
    let mut stream = fake.stream(7);
    stream.module(0x1000, 0x9000, 0x1000, b"/bin/module");
    stream.node(1, 0, 0x2000);
    stream.node(2, 1, 0x3000);
    stream.node(3, 1, 0xa000);
    for i in 1..=MANY {
        alloc(&mut stream, i * 16, i % 100, 2 + (i % 2) as u32);
        if i % 4 != 0 {
            free(&mut stream, i * 16);
        }
    }
}

#[test]
fn one_thread_is_on_the_tape_event_for_event() {
    let (outcome, tape) = record("target_one_thread");
    let expected = MANY + MANY / 4 * 3;
    assert_eq!((outcome.events, outcome.processes), (expected, 1));
    assert!(!outcome.losses.any() && outcome.warnings.is_empty(), "{outcome:?}");
    assert_eq!(tape.event_count(ProcessId(0)), expected);
    let totals = tape.totals(ProcessId(0));
    assert_eq!((totals.allocs, totals.frees), (MANY, MANY / 4 * 3));
    assert_eq!((totals.unmatched_frees, totals.overlaid), (0, 0));

    let [thread] = tape.threads() else { panic!("{:?}", tape.threads()) };
    assert_eq!((thread.tid, thread.name.as_slice()), (7, &b"thread"[..]));
    let [module] = tape.modules() else { panic!("{:?}", tape.modules()) };
    assert_eq!((module.path.as_slice(), module.bias), (&b"/bin/module"[..], 0x1000));
    // The second is in the module, the third is beyond it.
    let node = |parent, module: Option<u32>, address| BacktraceNode {
        parent: BacktraceId(parent),
        module: module.map(ModuleId),
        address,
        quality: FrameQuality::Exact,
    };
    assert_eq!(
        tape.nodes().iter().collect::<Vec<_>>(),
        [node(0, Some(0), 0x1000), node(1, Some(0), 0x2000), node(1, None, 0xa000)]
    );
    let events = events(&tape, 0);
    assert!(events.is_sorted_by_key(|event| event.time));
    assert_eq!((events[0].addr, events[0].size, events[0].backtrace), (16, 1, BacktraceId(3)));
    let process = &tape.processes()[0];
    assert_eq!(process.ending, Ending::Exited(0));
    assert_eq!(process.exe, std::env::current_exe().unwrap().into_os_string().into_encoded_bytes());
}

#[test]
#[ignore = "a target"]
fn target_reuse_storm() {
    reuse_storm(Fake::join(0, 0).unwrap(), 20_000);
}

/// Threads that allocate and free in a tiny heap, `rounds` times each.
fn reuse_storm(fake: Fake, rounds: u64) {
    const THREADS: u32 = 6;
    // A tiny heap in a few shards: addresses that are free, and blocks handed from thread to thread.
    let heap: Mutex<Vec<u64>> = Mutex::new((1..=8).map(|i| ((i / 2) << 16) + i * 16).collect());
    let handed: Mutex<Vec<u64>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for tid in 1..=THREADS {
            let (heap, handed) = (&heap, &handed);
            scope.spawn(move || {
                let mut stream = fake.stream(tid);
                for _ in 0..rounds {
                    if let Some(addr) = { heap.lock().unwrap().pop() } {
                        alloc(&mut stream, addr, 8, 0);
                        handed.lock().unwrap().push(addr);
                    }
                    if let Some(addr) = { handed.lock().unwrap().pop() } {
                        free(&mut stream, addr);
                        heap.lock().unwrap().push(addr);
                    }
                }
            });
        }
    });
}

#[test]
fn threads_that_reuse_each_others_addresses_are_in_true_order() {
    let (outcome, tape) = record("target_reuse_storm");
    assert!(!outcome.losses.any(), "{outcome:?}");
    let totals = tape.totals(ProcessId(0));
    assert!(totals.allocs > 1000);
    assert_eq!((totals.unmatched_frees, totals.overlaid), (0, 0));
    assert_eq!(tape.threads().len(), 6);
}

#[test]
#[ignore = "a target"]
fn target_killed() {
    let fake = Fake::join(0, 0).unwrap();
    let mut stream = fake.stream(1);
    for i in 1..=1000 {
        alloc(&mut stream, i * 16, 1, 0);
    }
    // SAFETY: ends this process.
    unsafe { libc::raise(libc::SIGKILL) };
}

#[test]
fn a_killed_process_loses_nothing() {
    let (outcome, tape) = record_with("target_killed", |_| ());
    assert_eq!(outcome.ending, Ending::Signalled(libc::SIGKILL, false));
    assert_eq!(tape.processes()[0].ending, outcome.ending);
    assert_eq!(tape.event_count(ProcessId(0)), 1000);
    assert!(!outcome.losses.any());
}

#[test]
#[ignore = "a target"]
fn target_killed_in_a_storm() {
    let fake = Fake::join(0, 0).unwrap();
    let storm = std::thread::spawn(move || reuse_storm(fake, u64::MAX));
    // Whenever it is: some thread is in the middle of a record.
    std::thread::sleep(Duration::from_micros(2000 + now() % 20_000));
    // SAFETY: ends this process.
    unsafe { libc::raise(libc::SIGKILL) };
    storm.join().unwrap();
}

/// What was published before the kill is on the tape, in true order; numbers that were taken and not published
/// are passed over.
#[test]
fn a_process_killed_with_many_threads_leaves_a_true_history() {
    for _ in 0..10 {
        let (outcome, tape) = record_with("target_killed_in_a_storm", |_| ());
        assert_eq!(outcome.ending, Ending::Signalled(libc::SIGKILL, false));
        assert_eq!((outcome.losses.malformed, outcome.losses.events), (0, 0));
        let totals = tape.totals(ProcessId(0));
        // A free whose record was lost with its thread was not made either, nor was the allocation of the
        // last block that somebody got.
        assert_eq!((totals.unmatched_frees, totals.overlaid), (0, 0), "{outcome:?}");
        assert!(outcome.losses.abandoned <= 6, "at most one for each thread: {outcome:?}");
    }
}

#[test]
#[ignore = "a target"]
fn target_lost_number() {
    let fake = Fake::join(0, 0).unwrap();
    let mut stream = fake.stream(1);
    alloc(&mut stream, 16, 1, 0);
    // A thread that died with its number.
    fake.take_number(16);
    alloc(&mut stream, 32, 1, 0);
    // Alive until the collector has given the number up: it answers when all is on the tape.
    std::thread::sleep(Duration::from_millis(400));
    fake.plead(FREEZE, &[]);
}

#[test]
fn a_number_that_never_comes_is_counted_and_passed_over() {
    let (outcome, tape) = record("target_lost_number");
    assert_eq!(outcome.losses, Losses { abandoned: 1, ..Losses::default() });
    assert_eq!(tape.event_count(ProcessId(0)), 2);
    assert_eq!(tape.processes()[0].losses, outcome.losses);
    // Memory was sampled while it waited.
    let samples = tape.samples(ProcessId(0));
    assert!(samples.len() > 1 && samples.iter().all(|sample| sample.rss > 0), "{samples:?}");
}

/// Forks; the child does what it is told and exits.
fn fork(child: impl FnOnce()) -> i32 {
    // SAFETY: the child does what the tests do and leaves without unwinding.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            child();
            libc::_exit(0);
        }
        pid
    }
}

fn wait(pid: i32) {
    // SAFETY: our own child.
    assert_eq!(unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) }, pid);
}

#[test]
#[ignore = "a target"]
fn target_forks() {
    let fake = Fake::join(0, 0).unwrap();
    let mut stream = fake.stream(1);
    alloc(&mut stream, 16, 1, 0);
    alloc(&mut stream, 32, 2, 0);
    stream.fork(5);
    let child = fork(|| {
        let Some(child) = Fake::join(5, fake.number) else { return };
        let mut stream = child.stream(2);
        free(&mut stream, 16);
        alloc(&mut stream, 48, 3, 0);
    });
    alloc(&mut stream, 64, 4, 0);
    wait(child);
}

#[test]
fn a_forked_child_inherits_its_parents_blocks() {
    let (outcome, tape) = record("target_forks");
    assert!(!outcome.losses.any() && outcome.warnings.is_empty(), "{outcome:?}");
    let child = &tape.processes()[1];
    assert_eq!(child.forked_from, Some((ProcessId(0), 2)));
    assert_eq!((child.ppid, child.ending), (outcome.pid, Ending::Gone));
    let live = tape.live_at(ProcessId(1), Moment::End).unwrap();
    let addrs: Vec<u64> = live.sorted().iter().map(|block| block.addr).collect();
    assert_eq!(addrs, [32, 48]);
}

#[test]
fn without_follow_a_forked_child_is_refused() {
    let (outcome, tape) = record_with("target_forks", |launch| launch.follow = Follow::None);
    assert_eq!((outcome.ending, outcome.processes), (Ending::Exited(0), 1));
    assert_eq!(tape.event_count(ProcessId(0)), 3);
    assert!(outcome.unrecorded.is_empty());
}

#[test]
#[ignore = "a target"]
fn target_execs() {
    let first = Fake::join(0, 0).unwrap();
    alloc(&mut first.stream(1), 16, 1, 0);
    // What the new image's recorder would say.
    let Some(second) = Fake::join(0, 0) else { return };
    alloc(&mut second.stream(1), 32, 1, 0);
}

#[test]
fn an_exec_ends_one_process_and_begins_another() {
    let (outcome, tape) = record("target_execs");
    assert_eq!(outcome.processes, 2);
    let endings: Vec<Ending> = tape.processes().iter().map(|process| process.ending).collect();
    assert_eq!(endings, [Ending::Exec, Ending::Exited(0)]);
    assert_eq!(tape.processes()[0].pid, tape.processes()[1].pid);
    assert_eq!((tape.event_count(ProcessId(0)), tape.event_count(ProcessId(1))), (1, 1));

    let (outcome, _) = record_with("target_execs", |launch| launch.follow = Follow::Fork);
    assert_eq!(outcome.processes, 1);
}

#[test]
#[ignore = "a target"]
fn target_leaves_a_child() {
    let fake = Fake::join(0, 0).unwrap();
    let mut stream = fake.stream(1);
    stream.fork(1);
    let (mut ready, mut told) = std::io::pipe().unwrap();
    fork(|| {
        let child = Fake::join(1, fake.number).unwrap();
        alloc(&mut child.stream(2), 16, 1, 0);
        std::io::Write::write_all(&mut told, b"!").unwrap();
        while child.page().gate.load(Ordering::Relaxed) != GATE_CLOSED {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    std::io::Read::read_exact(&mut ready, &mut [0]).unwrap();
}

#[test]
fn a_child_that_outlives_the_program_goes_on_unrecorded() {
    let (outcome, tape) = record("target_leaves_a_child");
    assert_eq!(tape.processes()[1].ending, Ending::Running);
    assert_eq!(tape.event_count(ProcessId(1)), 1);
    assert!(!outcome.losses.any());
}

#[test]
fn waiting_for_all_records_the_child_to_its_end() {
    let (outcome, tape) = record_with("target_forks_away", |launch| launch.wait_for_all = true);
    assert_eq!(outcome.ending, Ending::Exited(0));
    assert_eq!(tape.processes()[1].ending, Ending::Gone);
    assert_eq!(tape.processes()[1].forked_from, Some((ProcessId(0), 0)));
    assert_eq!(tape.event_count(ProcessId(1)), 2);
}

#[test]
#[ignore = "a target"]
fn target_forks_away() {
    let fake = Fake::join(0, 0).unwrap();
    let mut stream = fake.stream(1);
    stream.fork(1);
    let parent = std::process::id();
    fork(|| {
        // Only when its parent is dead does it say hello.
        while std::os::unix::process::parent_id() == parent {
            std::thread::sleep(Duration::from_millis(1));
        }
        let Some(child) = Fake::join(1, fake.number) else { return };
        let mut stream = child.stream(2);
        alloc(&mut stream, 16, 1, 0);
        std::thread::sleep(Duration::from_millis(50));
        free(&mut stream, 16);
    });
    std::process::exit(0);
}

/// A statically linked program: sleeps a fifth of a second and exits with 6.
#[cfg(target_arch = "x86_64")]
fn static_program() -> Vec<u8> {
    let code: &[u8] = b"\x48\x8d\x3d\x15\0\0\0\x31\xf6\xb8\x23\0\0\0\x0f\x05\
        \xbf\x06\0\0\0\xb8\x3c\0\0\0\x0f\x05";
    let pause = [0u64, 200_000_000].map(u64::to_le_bytes).concat();
    let base = 0x40_0000u64;
    let length = 120 + code.len() as u64 + 16;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    elf.extend([base + 120, 64, 0].map(u64::to_le_bytes).concat());
    elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    // One segment: load, readable and executable.
    elf.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    elf.extend([0, base, base, length, length, 4096].map(u64::to_le_bytes).concat());
    elf.extend(code);
    elf.extend(pause);
    elf
}

#[test]
#[ignore = "a target"]
#[cfg(target_arch = "x86_64")]
fn target_becomes_static() {
    use std::os::unix::{fs::PermissionsExt, process::CommandExt};
    let fake = Fake::join(0, 0).unwrap();
    alloc(&mut fake.stream(1), 16, 1, 0);
    let dir = tempfile::tempdir().unwrap().keep();
    let path = dir.join("static");
    std::fs::write(&path, static_program()).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    // One that is not there, as in a search along PATH; it is not worth a word.
    hello(EXEC, 0, fake.number, b"/no/such/program");
    hello(EXEC, 0, fake.number, path.as_os_str().as_encoded_bytes());
    panic!("{}", std::process::Command::new(path).exec());
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_program_that_cannot_be_recorded_is_named() {
    let (outcome, tape) = record_with("target_becomes_static", |_| ());
    assert_eq!(outcome.ending, Ending::Exited(6));
    let [child] = outcome.unrecorded.as_slice() else { panic!("{:?}", outcome.unrecorded) };
    assert!(child.reason.contains("statically linked"));
    assert_eq!(child.pid, outcome.pid);
    assert_eq!(tape.unrecorded().len(), 1);
    assert_eq!(tape.unrecorded()[0].reason, child.reason);
    // The recorded process ended there.
    assert_eq!((tape.processes().len(), tape.processes()[0].ending), (1, Ending::Exec));
    let path = std::path::PathBuf::from(String::from_utf8(child.exe.clone()).unwrap());
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

#[test]
#[ignore = "a target"]
fn target_scribbles() {
    let fake = Fake::join(0, 0).unwrap();
    let mut stream = fake.stream(1);
    alloc(&mut stream, 16, 1, 0);
    stream.raw(&[Head::new(Kind::Alloc, 0, 0, 0, 3).0, 1, 2]);
    stream.raw(&[0xffff_ffff_ffff_ffff, 1, 2]);
    std::thread::sleep(Duration::from_millis(100));
    alloc(&mut stream, 32, 1, 0);
    stream.node(1, 9, 0x1000);
    stream.event(Kind::Alloc, 99, 48, 1, 0);
    alloc(&mut stream, 64, 1, 77);
    fake.page().streams.store(u32::MAX, Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(fake.page().gate.load(Ordering::Relaxed), GATE_CLOSED);
}

#[test]
fn a_target_that_scribbles_is_counted_and_survived() {
    let (outcome, tape) = record("target_scribbles");
    // A short record with what came with it, parent of no node, no such function, no such node, streams.
    assert_eq!(outcome.losses, Losses { malformed: 5, ..Losses::default() });
    let addrs: Vec<u64> = events(&tape, 0).iter().map(|event| event.addr).collect();
    assert_eq!(addrs, [16, 32, 64]);
}

#[test]
#[ignore = "a target"]
fn target_freezes() {
    let fake = Fake::join(0, 0).unwrap();
    assert_ne!(fake.options & OPT_FREEZE_AT_EXIT, 0);
    let mut stream = fake.stream(1);
    let (whole, big) = (b"the bytes of a block".to_vec(), vec![7u8; 3 << 20]);
    alloc(&mut stream, whole.as_ptr() as u64, whole.len() as u64, 0);
    alloc(&mut stream, big.as_ptr() as u64, big.len() as u64, 0);
    // A block that is not there, and one whose last page cannot be read.
    alloc(&mut stream, 16, 1000, 0);
    alloc(&mut stream, three_pages_of_which_one_is_closed() + 100, 3 * 4096 - 100, 0);
    fake.plead(FREEZE, &[]);
    std::thread::sleep(LATE);
}

/// How long a target is still there after its last look.
const LATE: Duration = Duration::from_millis(100);

fn three_pages_of_which_one_is_closed() -> u64 {
    // SAFETY: a fresh mapping, never unmapped.
    unsafe {
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let at = libc::mmap(std::ptr::null_mut(), 3 * 4096, rights, flags, -1, 0);
        assert_eq!(libc::mprotect(at.byte_add(2 * 4096), 4096, libc::PROT_NONE), 0);
        at as u64
    }
}

#[test]
fn contents_at_exit_are_the_bytes_of_the_blocks() {
    let (outcome, tape) = record_with("target_freezes", |launch| launch.snapshots.at_exit = true);
    assert_eq!(outcome.ending, Ending::Exited(0));
    let snapshot = *tape.snapshots(ProcessId(0)).next().unwrap();
    assert_eq!((snapshot.number, snapshot.reason), (1, SnapshotReason::Exit));
    // The time that it waited for us was told as its own.
    let end = tape.processes()[0].end;
    assert!(snapshot.time <= end, "{snapshot:?} after {end:?}");
    assert!(Duration::from_nanos(end.0) + LATE <= outcome.elapsed, "{end:?} of {outcome:?}");
    assert_eq!((snapshot.unreadable, snapshot.over_budget), (2 * 4096, 0));
    let live = tape.live_at(ProcessId(0), Moment::Event(snapshot.event)).unwrap();
    let mut memory = tape.memory_at(&snapshot, 0..u64::MAX).unwrap();
    let mut of = |id| {
        let block = live.blocks().find(|block| block.id == BlockId(id)).unwrap();
        memory.read(block.addr, block.size as usize).unwrap()
    };
    let whole = |bytes: Bytes| bytes.holes.is_empty().then_some(bytes.bytes);
    assert_eq!(whole(of(1)).as_deref(), Some(&b"the bytes of a block"[..]));
    assert_eq!(whole(of(2)), Some(vec![7u8; 3 << 20]));
    assert_eq!(of(3).unknown(), of(3).bytes.len());
    assert_eq!(of(4).holes.first(), Some(&(2 * 4096 - 100..of(4).bytes.len())));
    assert_eq!(outcome.warnings, ["contents: pages of 8192 bytes could not be read"]);
    assert_eq!(outcome.copied.snapshots, 1);
}

#[test]
#[ignore = "a target"]
fn target_crashes() {
    let fake = Fake::join(0, 0).unwrap();
    let mut stream = fake.stream(41);
    alloc(&mut stream, 16, 1, 0);
    let mut report = [0; CRASH_WORDS];
    report[..4].copy_from_slice(&[fake::now(), libc::SIGSEGV as u64 | 1 << 32, 0xdead, 41]);
    report[4 + REG_RIP] = 0x1000;
    fake.plead(CRASH, &report);
    // SAFETY: ends this process.
    unsafe {
        libc::signal(libc::SIGSEGV, libc::SIG_DFL);
        libc::raise(libc::SIGSEGV);
    }
}

#[test]
fn a_crash_is_on_the_tape() {
    let (outcome, tape) = record_with("target_crashes", |_| ());
    assert!(matches!(outcome.ending, Ending::Signalled(libc::SIGSEGV, _)));
    let [crash] = tape.crashes() else { panic!("{:?}", tape.crashes()) };
    assert_eq!((crash.signal, crash.fault_addr, crash.ip), (libc::SIGSEGV, 0xdead, 0x1000));
    assert_eq!(crash.thread.map(|id| tape.threads()[id.0 as usize].tid), Some(41));
}

#[test]
#[ignore = "a target"]
fn target_knocks_with_wrong_words() {
    let link = std::env::var(ENV).unwrap();
    let (name, _) = link.split_once('.').unwrap();
    let wrong = format!("{name}.{}", "0".repeat(32));
    assert!(fake::hello_with(&wrong, JOIN, 0, 0, b"").0.is_none());
    let (welcome, fds) = hello(99, 0, 0, b"");
    assert_eq!((welcome.unwrap().0, fds.len()), (REFUSED, 0));
    let (welcome, fds) = hello(MORE_STREAMS, 0, 12345, b"");
    assert_eq!((welcome.unwrap().0, fds.len()), (REFUSED, 0));
}

#[test]
fn without_the_token_nobody_is_answered() {
    let (outcome, _) = record("target_knocks_with_wrong_words");
    assert_eq!(outcome.events, 0);
}
