//! Backtraces: the right functions, in the right order, up to `main`. The names are told by
//! `addr2line`, not by us.

use super::build;
use super::check::{Check, Recorded, check, open};
use super::frames::{Names, is_whole, nodes, walk};
use super::run;
use heaptape_tape::{BacktraceId, FrameQuality, ProcessId};
use std::collections::{BTreeMap, BTreeSet};

/// The backtraces of all blocks of this size in process 0, each with how often it occurs.
fn backtraces(recorded: &Recorded, size: u64) -> BTreeMap<BacktraceId, u64> {
    let mut found = BTreeMap::new();
    for event in recorded.tape.events(ProcessId(0), 0) {
        let event = event.expect("a readable event");
        if event.action.begins_block() && event.size == size {
            *found.entry(event.backtrace).or_default() += 1;
        }
    }
    found
}

/// The one chain of the target's functions that all blocks of this size come from.
fn one_chain(recorded: &Recorded, size: u64) -> Vec<String> {
    let mut names = Names::new(&recorded.tape, &recorded.program);
    let mut chains = BTreeSet::new();
    for id in backtraces(recorded, size).into_keys() {
        assert!(is_whole(&recorded.tape, id));
        chains.insert(without_start(names.of(id)));
    }
    assert_eq!(chains.len(), 1, "{chains:?}");
    chains.pop_first().expect("one chain")
}

/// Without the start-up code outside `main`.
fn without_start(mut names: Vec<String>) -> Vec<String> {
    names.retain(|name| name != "_start");
    names
}

#[test]
fn frames_of_changing_size() {
    let expected = ["allocate_innermost", "under_alloca", "under_vla", "under_realigned", "main"];
    assert_eq!(one_chain(&check("frames"), 4099), expected);
    let recorded = Check::program(build::variant("frames", "frame_pointer")).run();
    assert_eq!(one_chain(&recorded, 4099), expected);
}

#[test]
fn every_depth_of_a_recursion_once() {
    for recorded in [check("deep"), Check::program(build::variant("deep", "frame_pointer")).run()] {
        let mut names = Names::new(&recorded.tape, &recorded.program);
        let mut depths = BTreeSet::new();
        for (id, count) in backtraces(&recorded, 1013) {
            let chain = without_start(names.of(id));
            let (outermost, descents) = chain.split_last().expect("frames");
            assert_eq!(outermost, "main");
            assert!(descents.iter().all(|name| name == "descend"), "{chain:?}");
            assert_eq!(count, 1, "each depth allocates once");
            depths.insert(descents.len());
        }
        // The compiler may have merged levels of the recursion: what it inlined is named too.
        assert_eq!(depths.into_iter().collect::<Vec<_>>(), (1..=3000).collect::<Vec<_>>());
    }
}

#[test]
fn libraries_at_a_reused_address() {
    let (a, b) = (build::target("plugin_a"), build::target("plugin_b"));
    let recorded = Check::of("dlopen").arg(a).arg(b).run();
    assert_eq!(one_chain(&recorded, 4099), ["plugin_a_make", "use", "main"]);
    assert_eq!(one_chain(&recorded, 10007), ["plugin_b_make", "use", "main"]);
    let loads = |end: &[u8]| {
        let modules = recorded.tape.modules().iter().filter(|m| m.path.ends_with(end));
        (modules.clone().count(), modules.filter(|m| m.unloaded.is_some()).count())
    };
    assert_eq!(loads(b"plugin_a"), (10, 10), "loaded and unloaded ten times");
    assert_eq!(loads(b"plugin_b"), (10, 10), "loaded and unloaded ten times");
}

#[test]
fn after_longjmp() {
    let recorded = check("longjmp");
    let mut names = Names::new(&recorded.tape, &recorded.program);
    for (id, count) in backtraces(&recorded, 4099) {
        let chain = without_start(names.of(id));
        assert_eq!(chain.last().map(String::as_str), Some("main"));
        assert!(chain.len() <= 41, "{chain:?}");
        assert_eq!(count, 50, "each of forty depths was left as often: {chain:?}");
    }
}

#[test]
fn through_a_signal_handler() {
    let recorded = check("siglongjmp");
    let mut names = Names::new(&recorded.tape, &recorded.program);
    for id in backtraces(&recorded, 4099).into_keys() {
        assert!(is_whole(&recorded.tape, id));
        assert_eq!(without_start(names.of(id)), ["handler", "main"]);
    }
}

#[test]
fn through_fibers() {
    let recorded = check("fibers");
    let mut names = Names::new(&recorded.tape, &recorded.program);
    for id in backtraces(&recorded, 4099).into_keys() {
        let chain = names.of(id);
        let (outermost, inner) = chain.split_last().expect("frames");
        assert_eq!(outermost, "body", "{chain:?}");
        assert!(inner.iter().all(|name| name == "allocate_and_switch"), "{chain:?}");
    }
}

/// Machine code in no module is a frame all the same, and the chain goes on behind it where it keeps
/// a frame pointer.
#[test]
fn through_code_without_tables() {
    let recorded = Check::of("jit").some_backtraces_truncated().run();
    let mut names = Names::new(&recorded.tape, &recorded.program);
    for id in backtraces(&recorded, 4099).into_keys() {
        assert_eq!(without_start(names.of(id)), ["main"]);
    }
    for id in backtraces(&recorded, 10007).into_keys() {
        assert!(!is_whole(&recorded.tape, id), "nobody can know the callers of frameless code");
    }
}

/// Code that registers its tables is walked by them, whole and unmarked, and by the new ones when other code has
/// come to its place.
#[test]
fn through_code_with_registered_tables() {
    let recorded = check("jit_tables");
    let tape = &recorded.tape;
    let mut names = Names::new(tape, &recorded.program);
    for id in
        backtraces(&recorded, 4099).into_keys().chain(backtraces(&recorded, 10007).into_keys())
    {
        assert_eq!(without_start(names.of(id)), ["use", "main"]);
        assert!(nodes(tape, id).iter().all(|node| node.quality == FrameQuality::Exact));
        assert!(nodes(tape, id).iter().any(|node| node.module.is_none()));
    }
}

/// Such code has the names that its compiler gave it, in a file as perf wants it.
#[test]
fn names_of_code_in_no_module() {
    let outcome = run::recorded(&[], &[build::target("jit").into(), "named".into()]);
    let tape = open(&outcome);
    let pid = tape.processes()[0].pid;
    std::fs::remove_file(format!("/tmp/perf-{pid}.map")).expect("the target wrote it");
    let inner_name = |size| {
        let events = tape.events(ProcessId(0), 0).map(|event| event.expect("a readable event"));
        let mut sized = events.filter(|event| event.action.begins_block() && event.size == size);
        let leaf = sized.next().expect("a block").backtrace;
        let mut named = walk(&tape, leaf).filter_map(|id| tape.node_names().get(&id));
        named.next().map(|name| String::from_utf8_lossy(name).into_owned())
    };
    assert_eq!(inner_name(4099).as_deref(), Some("framed <script>"));
    assert_eq!(inner_name(10007).as_deref(), Some("frameless"));
}
