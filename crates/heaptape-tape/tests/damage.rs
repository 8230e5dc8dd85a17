//! Damaged and hostile files: a tape cut at any byte opens and gives every whole block before the cut;
//! flipped bits are noticed; unknown blocks are skipped; bodies that lie under a right checksum do no
//! harm. Nothing panics.

mod small;

use heaptape_tape::*;
use proptest::prelude::*;
use small::{EXAMPLE_EVENTS, blocks, diagnosed, example, frame, open, open_bytes};
use std::sync::{Arc, Mutex};

const CHILD: ProcessId = ProcessId(1);
const MAIN: ProcessId = ProcessId(0);

/// Asks the tape everything.
fn exercise(tape: &Tape) -> u64 {
    let mut errors = 0;
    for process in 0..tape.processes().len() as u32 + 1 {
        let id = ProcessId(process);
        for event in tape.events(id, 0) {
            match event {
                Ok(event) => {
                    assert!((event.backtrace.0 as usize) <= tape.nodes().len());
                    assert!((event.thread.0 as usize) < tape.threads().len());
                }
                Err(_) => errors += 1,
            }
        }
        for moment in [Moment::Event(3), Moment::Time(TimeNs(2500)), Moment::End] {
            errors += u64::from(tape.live_at(id, moment).is_err());
        }
        errors += u64::from(tape.live_at_start(id).is_err());
        errors += tape.contents(id).filter(|contents| contents.is_err()).count() as u64;
        for snapshot in tape.snapshots(id) {
            let memory = tape.memory_at(snapshot, 0..u64::MAX);
            let read = memory.and_then(|mut memory| memory.read(0x1060, 5000));
            errors += u64::from(read.is_err());
        }
        let _ = (tape.totals(id), tape.peak(id), tape.samples(id), tape.milestones(id).count());
    }
    for scan in tape.leak_scans() {
        errors += u64::from(tape.leak_blocks(scan).is_err());
    }
    for map in tape.memory_maps() {
        let _ = map.at(0x1040);
    }
    for stack in tape.stacks() {
        assert!((stack.backtrace.0 as usize) <= tape.nodes().len());
        assert!(stack.thread.is_none_or(|thread| (thread.0 as usize) < tape.threads().len()));
    }
    let accesses = tape.crashes().iter().map(Crash::access).count();
    assert!(accesses + tape.overwrites().len() + tape.guarded().len() + tape.cgroups().len() < 99);
    for (id, node) in (1u32..).zip(tape.nodes().iter()) {
        assert!(node.parent.0 < id);
        assert!(node.module.is_none_or(|module| (module.0 as usize) < tape.modules().len()));
    }
    errors
}

fn events(tape: &Tape, process: ProcessId) -> Vec<Event> {
    tape.events(process, 0).collect::<Result<_, _>>().unwrap()
}

#[test]
fn what_went_wrong_comes_back_as_it_was_told() {
    let tape = open_bytes(&diagnosed());
    let [scan] = tape.leak_scans() else { panic!("one search") };
    assert_eq!((scan, tape.leak_blocks(scan).unwrap()), (&small::search(MAIN), small::judged()));
    assert_eq!(tape.crashes()[0].message, b"free(): invalid pointer");
    assert_eq!((tape.stacks()[0].backtrace, tape.stacks()[0].crash), (BacktraceId(2), Some(0)));
    assert_eq!((tape.overwrites()[0].offset, &tape.overwrites()[0].seen[..]), (-8, &[1, 2, 3][..]));
    assert_eq!(tape.guarded()[0].mechanism, GuardMechanism::RedZones);
    assert_eq!(tape.memory_maps()[0].at(0x7800).unwrap().name[..], *b"[stack]");
    assert_eq!((tape.cgroups()[0].max, tape.cgroups()[0].high), (Some(1 << 20), None));
}

/// What the writer said of blocks that the cut has taken is not believed, and nothing of it does harm.
#[test]
fn a_tape_of_what_went_wrong_may_be_cut_anywhere() {
    let bytes = diagnosed();
    for cut in 24..bytes.len() {
        let tape = open_bytes(&bytes[..cut]);
        exercise(&tape);
        let whole_blocks = blocks(&bytes).take_while(|block| block.end <= cut).last();
        let good_bytes = whole_blocks.map_or(24, |block| block.end as u64);
        assert_eq!(tape.condition().good_bytes, good_bytes, "cut at {cut}");
    }
}

#[test]
fn a_tape_cut_at_any_byte_gives_every_whole_block_before_the_cut() {
    let bytes = example();
    let whole = open_bytes(&bytes);
    let mut last_good = 0;
    for cut in 0..bytes.len() {
        let tape = match open(&bytes[..cut]) {
            Ok(tape) => tape,
            Err(error) => {
                assert!(cut < 24 && matches!(error, TapeError::NotATape), "cut at {cut}: {error}");
                continue;
            }
        };
        let condition = tape.condition();
        assert_eq!(condition.file_bytes, cut as u64);
        assert!(condition.good_bytes >= last_good && condition.good_bytes <= cut as u64);
        let whole_blocks = blocks(&bytes).take_while(|b| b.end <= cut).last();
        assert_eq!(condition.good_bytes, whole_blocks.map_or(24, |block| block.end as u64));
        last_good = condition.good_bytes;
        for process in [MAIN, CHILD] {
            let part = events(&tape, process);
            assert_eq!(part, events(&whole, process)[..part.len()]);
            let totals = tape.totals(process);
            assert_eq!(totals.events, part.len() as u64);
            let live = tape.live_at(process, Moment::End).unwrap();
            let expected = whole.live_at(process, Moment::Event(part.len() as u64)).unwrap();
            if tape.processes().len() == 2 {
                assert_eq!(live.sorted(), expected.sorted());
            }
        }
        assert_eq!(exercise(&tape), 0, "cut at {cut}");
    }
    assert_eq!(events(&whole, MAIN).len(), EXAMPLE_EVENTS);
}

#[test]
fn a_flipped_bit_in_any_byte_is_noticed() {
    for bytes in [example(), diagnosed()] {
        flip_each_byte(&bytes);
    }
}

fn flip_each_byte(bytes: &[u8]) {
    for at in 0..bytes.len() {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1 << (at % 8);
        let Ok(tape) = open(&bytes) else {
            assert!(at < 24, "only the head of the file makes it no tape");
            continue;
        };
        exercise(&tape);
        let condition = tape.condition();
        let noticed = condition.damaged_blocks > 0
            || !condition.complete
            || condition.good_bytes < condition.file_bytes
            || tape.verify().unwrap() > 0;
        assert!(noticed, "byte {at}");
    }
}

#[test]
fn a_damaged_block_of_events_is_one_error_and_the_rest_comes() {
    let mut bytes = example();
    let first = blocks(&bytes).find(|b| b.kind == small::EVENTS).unwrap();
    bytes[first.end - 1] ^= 0x10;
    let footer = blocks(&bytes).find(|b| b.kind == small::INDEX).unwrap().start;
    for bytes in [&bytes[..], &bytes[..footer]] {
        let tape = open_bytes(bytes);
        assert_eq!(tape.verify().unwrap(), 1);
        let found: Vec<_> = tape.events(MAIN, 0).collect();
        assert!(matches!(found[0], Err(TapeError::Damaged(_))));
        let rest: Vec<Event> = found.into_iter().skip(1).map(Result::unwrap).collect();
        let whole = events(&open_bytes(&example()), MAIN);
        assert_eq!(rest, whole[whole.len() - rest.len()..]);
        assert!(!rest.is_empty());
        assert_eq!(tape.event_count(MAIN), whole.len() as u64);
    }
}

#[test]
fn lost_facts_have_placeholders_and_events_still_come() {
    let bytes = example();
    let all: Vec<_> = blocks(&bytes).collect();
    let facts = all.iter().filter(|b| b.kind == small::META).nth(1).unwrap();
    let without = [&bytes[..facts.start], b"torn", &bytes[facts.end..]].concat();
    let mut flipped = bytes.clone();
    flipped[facts.end - 1] ^= 1;
    for bytes in [without, flipped] {
        let tape = open_bytes(&bytes);
        assert_eq!(tape.condition().damaged_blocks, 1);
        assert_eq!(tape.processes().iter().map(|p| p.pid).collect::<Vec<_>>(), [0, 101]);
        assert_eq!(tape.threads().iter().map(|t| t.tid).collect::<Vec<_>>(), [0, 101]);
        assert!(tape.nodes().is_empty());
        let found = events(&tape, MAIN);
        assert_eq!(found.len(), EXAMPLE_EVENTS);
        assert!(found.iter().all(|event| event.backtrace == BacktraceId::NONE));
        assert_eq!(exercise(&tape), 0);
    }
}

#[test]
fn a_child_whose_parent_is_cut_off_has_no_known_heap() {
    let bytes = example();
    let parent = blocks(&bytes).find(|b| b.kind == small::EVENTS).unwrap();
    let footer = blocks(&bytes).find(|b| b.kind == small::INDEX).unwrap().start;
    let mut only_child = bytes[..parent.start].to_vec();
    for block in blocks(&bytes).filter(|b| b.start > parent.start && b.end <= footer) {
        if block.kind != small::EVENTS || block.key[0] == 1 {
            only_child.extend(&bytes[block.start..block.end]);
        }
    }
    let tape = open_bytes(&only_child);
    assert_eq!(events(&tape, CHILD).len(), 2);
    assert!(matches!(tape.live_at(CHILD, Moment::End), Err(TapeError::Damaged(_))));
}

/// A disk with so many bytes left.
struct Disk {
    left: usize,
    file: Arc<Mutex<Vec<u8>>>,
}

impl std::io::Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let fits = bytes.len().min(self.left);
        if fits == 0 {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.left -= fits;
        self.file.lock().unwrap().extend(&bytes[..fits]);
        Ok(fits)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_leaves_a_tape_and_every_later_call_says_so() {
    let file = Arc::new(Mutex::new(Vec::new()));
    let disk = Disk { left: 100, file: Arc::clone(&file) };
    let mut tape = TapeWriter::new(disk, &Header::default()).unwrap();
    let child = Unrecorded { pid: 5, time: TimeNs(0), exe: Vec::new(), reason: "static".into() };
    let mut say = || tape.unrecorded(&child).and_then(|()| tape.flush());
    say().unwrap();
    // The first block that does not fit is refused on another thread; some later call hears of it.
    let refused = std::iter::repeat_with(&mut say).find_map(Result::err).unwrap();
    assert_eq!(refused.kind(), std::io::ErrorKind::StorageFull);
    assert!(say().is_err(), "even if there is room again");
    assert!(tape.finish().is_err());
    let tape = open_bytes(&file.lock().unwrap());
    assert_eq!(tape.unrecorded(), [child]);
    assert!(!tape.condition().complete);
}

/// A block with a packed body.
fn packed(kind: u8, key: &[u8], raw: &[u8]) -> Vec<u8> {
    let mut block = frame(kind, key, &zstd::bulk::compress(raw, 3).unwrap());
    block[5] = 1;
    block[12..16].copy_from_slice(&(raw.len() as u32).to_le_bytes());
    let crc = crc32fast::hash(&[&block[4..20], key].concat());
    block[20..24].copy_from_slice(&crc.to_le_bytes());
    block
}

#[test]
fn a_small_file_cannot_hold_many_facts() {
    let bomb = packed(small::META, b"", &vec![0; 60 << 20]);
    let tape = open_bytes(&[&example()[..24], &bomb].concat());
    assert_eq!((tape.condition().damaged_blocks, tape.condition().unknown_blocks), (1, 0));
}

fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A process with 15 million empty arguments, in 591 bytes, took a gigabyte; children that were not
/// recorded and crashes were not counted either.
#[test]
fn whatever_facts_there_are_many_of_is_weighed() {
    let record = |tag: u8, fields: &[u8]| [&[tag], &number(fields.len())[..], fields].concat();
    let arguments = |count| {
        let list = [number(count), vec![0; count]].concat();
        record(2, &[&[0, 7, 1, 0, 0, 0], &list[..], &[0]].concat())
    };
    let open = |body: &[u8], memory| {
        let block = packed(small::META, b"", body);
        let bytes = [&example()[..24], &block].concat();
        small::open_within(&bytes, Limits { memory, readers: 0 })
    };
    let tape = open(&arguments(1000), 8 << 20).unwrap();
    assert_eq!(tape.processes()[0].argv.len(), 1000);
    let (unrecorded, crash) = (record(10, &[5, 0, 0, 0]), record(11, &[0; 8]));
    let process = arguments(1);
    // Names that differ take as much as they are, and equal ones nothing.
    let mappings = |name: &dyn Fn(u32) -> [u8; 4]| {
        let count = 400_000;
        let of = |at| [&[0, 1, 0, 0, 4][..], &name(at)].concat();
        let all: Vec<u8> = (0..count as u32).flat_map(of).collect();
        [process.clone(), record(12, &[&[0, 0], &number(count)[..], &all].concat())].concat()
    };
    assert_eq!(open(&mappings(&|_| *b"name"), 40 << 20).unwrap().memory_maps().len(), 1);
    for many in [
        mappings(&u32::to_le_bytes),
        arguments(4_000_000),
        unrecorded.repeat(700_000),
        [process.clone(), crash.repeat(1_000_000)].concat(),
    ] {
        let refused = open(&many, 64 << 20).err();
        assert!(matches!(refused, Some(TapeError::Memory { .. })), "{refused:?}");
    }
}

#[test]
fn backtrace_nodes_are_weighed() {
    let mut tape = TapeWriter::new(Vec::new(), &Header::default()).unwrap();
    for address in 0..1_000_000 {
        let (parent, quality) = (BacktraceId::NONE, FrameQuality::Exact);
        let node = BacktraceNode { parent, module: None, address, quality };
        tape.backtrace_node(&node).unwrap();
    }
    let bytes = tape.finish().unwrap();
    let open = |memory| small::open_within(&bytes, Limits { memory, readers: 0 });
    let refused = open(30 << 20).err();
    assert!(matches!(refused, Some(TapeError::Memory { .. })), "{refused:?}");
    let tape = open(48 << 20).unwrap();
    assert_eq!(tape.nodes().len(), 1_000_000);
    assert!((24_000_000..25_000_000).contains(&tape.nodes().bytes()), "{}", tape.nodes().bytes());
}

/// One chain of 65,536 nodes, with an allocation by each, made a tree of them take minutes.
#[test]
fn a_backtrace_deeper_than_any_recorded_is_cut_and_counted() {
    let chain = |nodes: u32| {
        let mut tape = TapeWriter::new(Vec::new(), &Header::default()).unwrap();
        for parent in (0..nodes).map(BacktraceId) {
            let (module, quality) = (None, FrameQuality::Exact);
            let node = BacktraceNode { parent, module, address: 7, quality };
            tape.backtrace_node(&node).unwrap();
        }
        open_bytes(&tape.finish().unwrap())
    };
    let deepest = MAX_DEPTH as u32;
    assert_eq!(chain(deepest).condition().damaged_blocks, 0);
    let deeper = 2 * deepest + 1000;
    let tape = chain(deeper);
    assert_eq!((tape.nodes().len(), tape.condition().damaged_blocks), (deeper as usize, 1));
    for (id, node) in (1..).zip(tape.nodes().iter()) {
        let cut = id > 1 && id % deepest == 1;
        assert_eq!(node.parent, BacktraceId(if cut { 0 } else { id - 1 }));
        assert_eq!(node.quality == FrameQuality::Truncated, cut);
    }
}

/// Several are unpacked at once: 64 MiB for each was more than anybody counted on.
#[test]
fn a_run_of_events_has_a_bound_that_no_events_reach() {
    let block = packed(small::EVENTS, b"", &vec![0; (8 << 20) + (64 << 10) + 1]);
    let tape = open_bytes(&[&example()[..24], &block].concat());
    assert_eq!((tape.condition().good_bytes, tape.condition().complete), (24, false));

    // Events that have nothing in common with each other.
    let mut random = 7u64;
    let mut next = || {
        random = random.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
        random ^ random >> 32
    };
    let mut tape =
        TapeWriter::new(Vec::new(), &Header { tick_ns: 1, ..Header::default() }).unwrap();
    tape.process_start(&small::process(0, None)).unwrap();
    let many = 1 << 17;
    for id in 0..many {
        tape.thread_start(&small::thread(id, 0)).unwrap();
        tape.backtrace_node(&BacktraceNode {
            parent: BacktraceId::NONE,
            module: None,
            address: u64::from(id),
            quality: FrameQuality::Exact,
        })
        .unwrap();
    }
    for number in 0..many {
        let action = [Action::Alloc, Action::Free, Action::Map][number as usize % 3];
        let event = Event {
            time: TimeNs(u64::from(number) << 40),
            thread: ThreadId(next() as u32 % many),
            action,
            api: Api::Malloc,
            align_log2: next() as u8,
            addr: next(),
            size: next(),
            usable: next(),
            backtrace: BacktraceId(next() as u32 % many),
        };
        tape.event(MAIN, &event).unwrap();
    }
    let bytes = tape.finish().unwrap();
    let runs: Vec<_> = blocks(&bytes).filter(|block| block.kind == small::EVENTS).collect();
    assert_eq!(runs.len(), 2);
    assert!(runs.iter().all(|run| run.body.len() < 100 << 16), "{}", runs[0].body.len());
    assert!(runs[0].body.len() > 30 << 16, "{}: not the worst", runs[0].body.len());
}

#[test]
fn unknown_blocks_are_skipped_and_counted() {
    let bytes = example();
    let whole = open_bytes(&bytes);
    for block in blocks(&bytes).collect::<Vec<_>>() {
        let strange = frame(77, b"a key", b"from the future");
        let bytes = [&bytes[..block.start], &strange, &bytes[block.start..]].concat();
        let tape = open_bytes(&bytes);
        assert_eq!(tape.condition().unknown_blocks, 1);
        assert_eq!(events(&tape, MAIN), events(&whole, MAIN));
        assert_eq!(tape.processes(), whole.processes());
    }
}

#[test]
fn unknown_records_are_skipped_and_counted() {
    let bytes = example();
    let footer = blocks(&bytes).find(|b| b.kind == small::INDEX).unwrap();
    let strange = frame(small::META, b"", &[99, 3, 1, 2, 3]);
    let bytes = [&bytes[..footer.start], &strange].concat();
    assert_eq!(open_bytes(&bytes).condition().unknown_blocks, 1);
}

#[test]
fn other_files_and_later_versions_are_refused() {
    assert!(matches!(open(b""), Err(TapeError::NotATape)));
    assert!(matches!(open(&[0; 100]), Err(TapeError::NotATape)));
    let mut bytes = example();
    bytes[8] = 2;
    let crc = crc32fast::hash(&bytes[..20]);
    bytes[20..24].copy_from_slice(&crc.to_le_bytes());
    assert!(matches!(open(&bytes), Err(TapeError::Version(2))));
    bytes[8] = 1;
    bytes[10] = 200;
    let crc = crc32fast::hash(&bytes[..20]);
    bytes[20..24].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(events(&open_bytes(&bytes), MAIN).len(), EXAMPLE_EVENTS, "a later minor version");
}

#[test]
fn lengths_that_lie_are_not_believed() {
    let head = &example()[..24];
    for (raw_len, stored_len) in [(u32::MAX, u32::MAX), (64 << 20, 64 << 20), (64 << 20, 5), (0, 5)]
    {
        for kind in 1..=6 {
            let mut block = frame(kind, b"", b"hello");
            block[5] = 1;
            block[8..12].copy_from_slice(&u32::to_le_bytes(stored_len));
            block[12..16].copy_from_slice(&u32::to_le_bytes(raw_len));
            let crc = crc32fast::hash(&block[4..20]);
            block[20..24].copy_from_slice(&crc.to_le_bytes());
            let tape = open_bytes(&[head, &block[..]].concat());
            exercise(&tape);
            assert!(tape.condition().good_bytes <= 24 + 29 && !tape.condition().complete);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1200))]

    /// The worst case: contents that make no sense under checksums that are right.
    #[test]
    fn hostile_bodies_do_no_harm(
        wrong: bool,
        which: prop::sample::Index,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        in_key: bool,
        cut_footer: bool,
    ) {
        let bytes = if wrong { diagnosed() } else { example() };
        let all: Vec<_> = blocks(&bytes).collect();
        let victim = &all[which.index(all.len())];
        let (mut key, mut body) = (victim.key.clone(), victim.body.clone());
        let target = if in_key && !key.is_empty() { &mut key } else { &mut body };
        for (at, value) in changes {
            let at = at.index(target.len());
            target[at] = value;
        }
        let hostile = frame(victim.kind, &key, &body);
        let after = if cut_footer { &[][..] } else { &bytes[victim.end..] };
        if let Ok(tape) = open(&[&bytes[..victim.start], &hostile, after].concat()) {
            exercise(&tape);
        }
    }

    #[test]
    fn noise_does_no_harm(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = [&example()[..24], &noise].concat();
        exercise(&open_bytes(&bytes));
    }
}
