//! `--guard` and `--check`: what is wrong faults or is told, what is right goes on as without them.

use super::build;
use super::check::open;
use super::run::{self, Outcome};
use super::wrong;
use heaptape_tape::{Action, Event, Found, GuardMechanism, OverwriteKind, Stretch, Tape};
use serde_json::json;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::ops::ControlFlow;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

const SEGV: i32 = 11;

fn guarded(options: &[&str], words: &[&str]) -> (Outcome, Tape) {
    let mut all: Vec<OsString> = vec![build::target("guarded").into()];
    all.extend(words.iter().map(OsString::from));
    let outcome = run::recorded(options, &all);
    let tape = open(&outcome);
    (outcome, tape)
}

/// The events of the program itself.
fn events(tape: &Tape) -> Vec<Event> {
    let mut all = Vec::new();
    let process = tape.processes()[0].id;
    let mut take = |events: Stretch<'_>| {
        all.extend_from_slice(&events);
        Ok(ControlFlow::Continue(()))
    };
    tape.runs(process, 0..tape.event_count(process), &mut take).expect("readable");
    all
}

/// The program dies at the access, and the address is `offset` bytes from the start of the block of 60 bytes.
fn faults(options: &[&str], way: &str, offset: i64) {
    let (outcome, tape) = guarded(options, &[way]);
    assert_eq!(outcome.status.signal(), Some(SEGV), "{options:?} {way}: {}", outcome.stderr);
    let [crash] = tape.crashes() else { panic!("{way}: {:?}", tape.crashes()) };
    let begun = events(&tape).into_iter().find(|e| e.action == Action::Alloc && e.size == 60);
    let block = begun.map(|event| event.addr);
    let block = block.expect("the block of 60 bytes");
    assert_eq!(crash.fault_addr.wrapping_sub(block) as i64, offset, "{options:?} {way}");
}

/// The program ends well, and one overwrite is told.
fn tells(options: &[&str], way: &str, kind: OverwriteKind, found: Found, offset: i64) {
    let (outcome, tape) = guarded(options, &[way]);
    assert_eq!(outcome.status.code(), Some(0), "{options:?} {way}: {}", outcome.stderr);
    let [told] = tape.overwrites() else { panic!("{way}: {:?}", tape.overwrites()) };
    assert_eq!((told.kind, told.found, told.offset), (kind, found, offset), "{options:?} {way}");
    assert_eq!((told.size, told.length, &told.seen[..]), (60, 1, &[7][..]), "{options:?} {way}");
    assert!(outcome.stderr.contains("1 overwrite found: heaptape errors"), "{}", outcome.stderr);
}

/// `heaptape errors` has the overwrite of the block of 60 bytes, with its allocation and its free.
fn is_error(outcome: &Outcome, kind: &str, found_at: &str, is_freed: bool) {
    let [result] = &wrong::errors(&outcome.tape())[..] else { panic!("one process") };
    assert_eq!((&result["total"], &result["errors"]), (&json!(1), &json!([])), "{result:#}");
    assert_eq!(result["kinds"], json!([{ "kind": kind, "errors": 1, "times": 1 }]));
    let [error] = &result["overwrites"].as_array().expect("overwrites")[..] else {
        panic!("{result:#}")
    };
    for (key, value) in [
        ("kind", json!(kind)),
        ("found_at", json!(found_at)),
        ("size", json!(60)),
        ("block", json!(1)),
        ("seen", json!("07")),
    ] {
        assert_eq!(error[key], value, "{error:#}");
    }
    assert_eq!(error["allocated"]["backtrace"][0]["function"], "main", "{error:#}");
    let freed = &error["freed"];
    assert_eq!(
        freed["backtrace"][0]["function"].as_str(),
        is_freed.then_some("touch"),
        "{error:#}"
    );
}

#[test]
fn to_the_right() {
    for with in ["madvise", "mprotect"] {
        let with = format!("--guard-with={with}");
        let options = ["--guard", &with];
        faults(&options, "write-16-past", 75);
        faults(&options, "read-16-past", 75);
        faults(&options, "write-page-past", 5060);
        faults(&options, "read-freed", 0);
        faults(&options, "write-freed", 30);
        faults(&options, "read-moved", 0);
        faults(&options, "thread:read-freed", 0);
        tells(&options, "write-1-past", OverwriteKind::AfterEnd, Found::AtExit, 60);
        tells(&options, "write-1-before", OverwriteKind::BeforeStart, Found::AtExit, -1);
    }
}

#[test]
fn to_the_left() {
    faults(&["--guard=left"], "read-1-before", -1);
    faults(&["--guard=left"], "write-1-before", -1);
    faults(&["--guard=left"], "read-freed", 0);
    tells(&["--guard=left"], "write-16-past", OverwriteKind::AfterEnd, Found::AtExit, 75);
}

#[test]
fn to_the_byte() {
    faults(&["--guard=exact"], "read-1-past", 60);
    faults(&["--guard=exact"], "write-1-past", 60);
}

#[test]
fn of_a_forked_child() {
    let (outcome, _) = guarded(&["--guard"], &["fork:read-freed"]);
    assert_eq!(outcome.stdout, "11\n", "{}", outcome.stderr);
}

#[test]
fn by_red_zones() {
    tells(&["--check"], "write-1-past", OverwriteKind::AfterEnd, Found::AtExit, 60);
    tells(&["--check"], "write-16-past", OverwriteKind::AfterEnd, Found::AtExit, 75);
    tells(&["--check"], "write-1-before", OverwriteKind::BeforeStart, Found::AtExit, -1);
    tells(&["--check"], "write-freed", OverwriteKind::AfterFree, Found::AtExit, 30);
}

/// The zone behind a block grows with it: a row or an element too many is seen, too.
#[test]
fn long_blocks_have_long_zones() {
    let (outcome, tape) = guarded(&["--check"], &["write-100-past", "1000"]);
    assert_eq!(outcome.status.code(), Some(0), "{}", outcome.stderr);
    let [told] = tape.overwrites() else { panic!("{:?}", tape.overwrites()) };
    assert_eq!((told.kind, told.offset, told.size), (OverwriteKind::AfterEnd, 1099, 1000));
}

/// With few calls between two looks each of them went through all blocks, however many.
#[test]
fn a_look_at_an_interval_takes_in_a_share_of_many_blocks() {
    let (outcome, tape) = guarded(&["--check=1"], &["written-among-many"]);
    assert_eq!(outcome.status.code(), Some(0), "{}", outcome.stderr);
    let found: Vec<_> = tape.overwrites().iter().map(|it| (it.found, it.event)).collect();
    assert_eq!(found.len(), 20, "{found:?}");
    assert!(found.iter().all(|(found, _)| *found == Found::AtInterval), "{found:?}");
    let events: BTreeSet<u64> = found.iter().filter_map(|(_, event)| *event).collect();
    assert!(events.len() >= 10, "each look was at all: {events:?}");
    let (first, last) = (events.first().unwrap(), events.last().unwrap());
    assert!(last - first < 40, "a round takes too long: {events:?}");
}

/// Those that the tape has no room for were called records without sense, that is, lost calls.
#[test]
fn overwrites_beyond_the_list_are_counted_as_such() {
    let (outcome, tape) = guarded(&["--check"], &["written-all"]);
    assert!(outcome.stderr.contains("10,050 overwrites found"), "{}", outcome.stderr);
    assert_eq!((tape.overwrites().len(), tape.guarded()[0].unlisted), (10_000, 50));
    assert!(!tape.processes()[0].losses.any(), "{:?}", tape.processes()[0].losses);
    let [result] = &wrong::errors(&outcome.tape())[..] else { panic!("one process") };
    assert_eq!((&result["total"], &result["unlisted_overwrites"]), (&json!(10_050), &json!(50)));
    let gate = guarded(&["--check", "--error-exitcode=9"], &["written-all"]).0;
    assert!(gate.stderr.contains("50 overwrites counted only"), "{}", gate.stderr);
}

/// A free in front of a block, inside it and behind it is told with the block, and nothing comes of it: `--check` gave
/// the address to glibc, which crashed over what it took for a header; with guard pages it was called a stack's.
#[test]
fn frees_beside_a_block_name_it() {
    for option in ["--guard", "--guard=left", "--guard=exact", "--check"] {
        for at in [-16, -32, 16, 1, 61, 64] {
            let (outcome, _) = guarded(&[option], &[&format!("free-at:{at}")]);
            assert_eq!(outcome.status.code(), Some(0), "{option} {at}: {}", outcome.stderr);
            names_the_block(&outcome, &format!("{option} {at}"), at);
        }
    }
    let words = [build::target("guarded").into(), "free-at:-16".into()];
    let (bare, recorded) = (run::bare(&words), run::recorded(&[], &words));
    assert_eq!(bare.status, recorded.status, "{}", recorded.stderr);
    names_the_block(&recorded, "plain", -16);
}

/// The one error is certain, and is `at` bytes from the start of block #1.
fn names_the_block(outcome: &Outcome, of: &str, at: i64) {
    let [error] = &wrong::all_errors(outcome)[..] else { panic!("{of}: not one error") };
    let is_inside = error["kind"] == "inside_block";
    assert!(is_inside || error["kind"] == "no_block", "{of}: {error:#}");
    let (block, offset) = match is_inside {
        true => (&error["block"], &error["block"]["offset"]),
        false => (&error["beside"]["block"], &error["beside"]["offset"]),
    };
    assert_eq!((&block["block"], offset), (&json!(1), &json!(at)), "{of}: {error:#}");
    assert_eq!(error["confidence"], "certain", "{of}: {error:#}");
}

#[test]
fn overwrites_are_errors() {
    let of = |options: &[&str], way: &str| guarded(options, &[way]).0;
    is_error(&of(&["--guard"], "write-1-past"), "overflow", "exit", false);
    is_error(&of(&["--guard"], "write-1-past-and-free"), "overflow", "free", true);
    is_error(&of(&["--check"], "write-1-past-and-free"), "overflow", "free", true);
    is_error(&of(&["--check"], "write-1-before"), "underflow", "exit", false);
    is_error(&of(&["--check"], "write-freed"), "write_after_free", "exit", true);
}

#[test]
fn overwrites_fail_a_gate() {
    let gate = |option, way| guarded(&[option, "--error-exitcode=9"], &[way]).0;
    let failed = gate("--check", "write-1-past");
    assert_eq!(failed.status.code(), Some(9), "{}", failed.stderr);
    assert!(failed.stderr.contains("1 overflow: heaptape errors"), "{}", failed.stderr);
    let passed = gate("--check", "good");
    assert_eq!(passed.status.code(), Some(0), "{}", passed.stderr);
}

/// What was found is said, and what was not looked for.
#[test]
fn nothing_found_is_said_of_what_was_looked_for() {
    for (options, words) in [
        (&[][..], "No wrong frees. Overflows and uses after free"),
        (&["--check"], "No wrong frees and no overwrites. Reads"),
        (&["--guard=sample:3"], "One block in 3 was guarded."),
    ] {
        let outcome = run::recorded(options, &[build::target("guarded").into(), "good".into()]);
        let tape = outcome.tape();
        let errors = Command::new(env!("CARGO_BIN_EXE_heaptape")).arg("errors").arg(&tape).output();
        let text = String::from_utf8(errors.expect("heaptape errors").stdout).expect("UTF-8");
        assert!(text.replace('\n', " ").contains(words), "{options:?}: {text}");
    }
}

#[test]
fn a_second_free_is_recorded_and_nothing_else() {
    for option in ["--guard", "--check"] {
        let (outcome, tape) = guarded(&[option], &["free-twice"]);
        assert_eq!(outcome.status.code(), Some(0), "{option}: {}", outcome.stderr);
        let frees: Vec<u64> = events(&tape)
            .iter()
            .filter(|event| event.action == Action::Free)
            .map(|event| event.addr)
            .collect();
        assert!(frees.windows(2).any(|two| two[0] == two[1]), "{option}: {frees:x?}");
    }
}

#[test]
fn nothing_is_told_of_a_good_program() {
    let bare = run::bare(&[build::target("guarded").into(), "good".into()]);
    assert_eq!(bare.stdout, "1 1 2 0 1\n");
    let all: [&[&str]; 7] = [
        &["--guard"],
        &["--guard=left"],
        &["--guard=exact"],
        &["--guard=sample:3"],
        &["--guard", "--guard-with=mprotect", "--guard-quarantine=0"],
        &["--check"],
        &["--check=10", "--check-quarantine=1K"],
    ];
    for options in all {
        let (outcome, tape) = guarded(options, &["good"]);
        assert_eq!(outcome.stdout, bare.stdout, "{options:?}: {}", outcome.stderr);
        assert_eq!(outcome.status.code(), Some(0), "{options:?}");
        assert_eq!((tape.overwrites(), tape.crashes().len()), (&[][..], 0), "{options:?}");
        let [guarded] = tape.guarded() else { panic!("{:?}", tape.guarded()) };
        assert!(guarded.guarded > 0 && guarded.mechanism != GuardMechanism::Nothing, "{guarded:?}");
    }
}

/// php opens its extensions like that. They called libc's own `free` for blocks of ours, and crashed.
#[test]
fn libraries_that_bind_deeply_share_the_allocator() {
    let way = format!("plugin:{}", build::target("guarded_plugin").display());
    for options in [&["--guard"][..], &["--guard=left"], &["--guard=sample:1"], &["--check"]] {
        let (outcome, tape) = guarded(options, &[&way]);
        assert_eq!(outcome.status.code(), Some(0), "{options:?}: {}", outcome.stderr);
        assert_eq!(tape.overwrites(), &[], "{options:?}");
    }
}

/// A thread of the parent's that stood between two steps of the quarantine's when its child was forked kept the
/// child from ever giving memory back.
#[test]
fn a_forked_child_gives_back_what_leaves_the_quarantine() {
    let options = ["--check", "--check-quarantine=1M", "--no-backtraces", "--leaks=no"];
    let (outcome, _) = guarded(&options, &["kept-in-children"]);
    let most: u32 = outcome.stdout.trim().parse().expect("a number");
    assert!(most < 20, "{most} MiB are kept: {}", outcome.stderr);
}

#[test]
fn containers_threads_and_children_run() {
    let program = build::target("containers");
    let bare = run::bare(&[(&program).into()]);
    for option in ["--guard", "--guard=left", "--guard=exact", "--guard=sample:5", "--check=100"] {
        let outcome = run::recorded(&[option], &[(&program).into()]);
        assert_eq!(outcome.stdout, bare.stdout, "{option}: {}", outcome.stderr);
        assert_eq!(outcome.status.code(), Some(0), "{option}");
        let tape = open(&outcome);
        assert_eq!((tape.overwrites(), tape.crashes().len()), (&[][..], 0), "{option}");
        // The launched one, a forked child, and one before and after it executed a program.
        assert!(tape.guarded().len() >= 3, "{option}: {:?}", tape.guarded());
        assert!(tape.guarded().iter().all(|guarded| guarded.unguarded == 0), "{option}");
    }
}

#[test]
fn real_programs_run() {
    for option in ["--guard", "--guard=left", "--check=100"] {
        let script = "python3 -c 'import json; print(len(json.dumps(list(range(9999)))))'; perl -e 'print \"x\" x 9'";
        let bare = run::script(&format!("$W sh -c '{}'", script.replace('\'', "'\\''")), false);
        let words = ["sh".into(), "-c".into(), script.into()];
        let outcome = run::recorded(&[option], &words);
        assert_eq!(outcome.stdout, bare.stdout, "{option}: {}", outcome.stderr);
        assert_eq!(open(&outcome).overwrites(), &[], "{option}");
    }
}
