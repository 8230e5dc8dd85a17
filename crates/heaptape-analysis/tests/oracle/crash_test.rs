//! Verdicts on crashes whose surroundings decide: guarded blocks, and stacks near and far.

use crate::history::*;
use heaptape_analysis::crash::{Confidence, Crashes, Kind, Verdict};
use heaptape_analysis::memory::MemoryRecording;
use heaptape_tape::*;

/// Where the blocks of a history are, from here on: behind what null pointers lead to.
const HIGH: u64 = 0x7000_0000_0000;
const SIGSEGV: i32 = 11;
const SEGV_MAPERR: i32 = 1;

fn high(steps: &[Step]) -> MemoryRecording {
    let steps: Vec<_> = steps.iter().map(|step| (step.clone(), 0, 0, 1)).collect();
    let mut recording = recording(&steps);
    for event in recording.events.values_mut().flatten() {
        event.addr += HIGH;
    }
    recording
}

/// The verdict on a fault at `address`, with the stack pointer at `sp`.
fn verdict(mut recording: MemoryRecording, address: u64, sp: u64) -> Verdict {
    let process = recording.processes[0].clone();
    recording.crashes = vec![Crash {
        time: TimeNs(1 << 40),
        signal: SIGSEGV,
        code: SEGV_MAPERR,
        fault_addr: address,
        ip: 0x5000_0000_0000,
        sp,
        trap: 14,
        registers: Some(Registers::default()),
        ..Crash::unknown(process.id)
    }];
    let crashes =
        Crashes::compute(&recording, &FakeNames, &process).expect("a recording in memory");
    crashes.crashes[0].verdict.clone()
}

fn guarded(mut recording: MemoryRecording) -> MemoryRecording {
    let process = recording.processes[0].id;
    let mechanism = GuardMechanism::Markers;
    recording.guarded =
        vec![Guarded { process, mechanism, guarded: 1, unguarded: 0, unlisted: 0, arena: (0, 0) }];
    recording
}

/// A vector read of a freed string begins at a multiple of 32: nothing was known of it.
#[test]
fn before_a_freed_block_on_its_page() {
    let steps = [Step::Alloc { slot: 8, size: 7 }, Step::Free { slot: 8 }];
    let (block, sp) = (HIGH + 0x1800, 0x7fff_0000_0000);
    let found = verdict(guarded(high(&steps)), block - 16, sp);
    assert_eq!((found.kind, found.confidence), (Kind::UseAfterFree, Confidence::Likely));
    assert_eq!(found.what, "use after free, 16 bytes before freed block #1 (7 bytes)");
    let next_page = verdict(guarded(high(&steps)), HIGH + 0x2010, sp);
    assert_eq!(next_page.kind, Kind::UseAfterFree, "{next_page:?}");
    let far = verdict(guarded(high(&steps)), HIGH + 0x3010, sp);
    assert_eq!(far.kind, Kind::Wild, "{far:?}");
    let elsewhere = verdict(high(&steps), block - 16, sp);
    assert_ne!(elsewhere.kind, Kind::UseAfterFree, "blocks share pages: {elsewhere:?}");
}

#[test]
fn beside_a_live_block_it_is_not_a_use_after_free() {
    let steps = [Step::Alloc { slot: 8, size: 7 }];
    let found = verdict(guarded(high(&steps)), HIGH + 0x2000, 0x7fff_0000_0000);
    assert_eq!(found.kind, Kind::Overflow, "{found:?}");
}

fn mapping(start: u64, end: u64, is_open: bool, name: &str) -> Mapping {
    let access = MappingAccess { read: is_open, write: is_open, ..MappingAccess::default() };
    Mapping { start, end, access, offset: 0, name: name.as_bytes().into() }
}

/// A guard page at 0x10000 with a stack above it, and far away the main thread's stack.
fn with_stacks() -> MemoryRecording {
    let mut recording = high(&[]);
    let at = |offset| HIGH + offset;
    recording.memory_maps = vec![MemoryMap {
        process: recording.processes[0].id,
        time: TimeNs(1 << 41),
        mappings: vec![
            mapping(at(0x10000), at(0x11000), false, ""),
            mapping(at(0x11000), at(0x80000), true, ""),
            mapping(at(0xf000_0000), at(0xf010_0000), true, "[stack]"),
        ],
        resident: Vec::new(),
    }];
    recording
}

/// Memory that may not be accessed, with other memory behind it, was called the guard of a stack however far the
/// stack pointer was.
#[test]
fn stacks_overflow_where_the_stack_pointer_is() {
    let kind = |address: u64, sp: u64| verdict(with_stacks(), HIGH + address, HIGH + sp).kind;
    assert_eq!(kind(0x10ff8, 0x11000), Kind::StackOverflow);
    assert_eq!(kind(0x10800, 0x10900), Kind::StackOverflow);
    assert_eq!(kind(0x10800, 0x10400), Kind::StackOverflow, "a frame larger than what is left");
    assert_eq!(kind(0x10ff8, 0x70000), Kind::NoAccess, "much stack is left");
    assert_eq!(kind(0x10ff8, 0xf008_0000), Kind::NoAccess, "on another stack");
    assert_eq!(kind(0xeff0_0000, 0xeff0_0080), Kind::StackOverflow, "ten large frames");
    assert_eq!(kind(0xeff0_0000, 0xf008_0000), Kind::Wild);
    let lost = verdict(with_stacks(), HIGH + 0x10ff8, 16).kind;
    assert_eq!(lost, Kind::NoAccess, "the stack pointer is lost");
}
