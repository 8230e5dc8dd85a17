//! What is lost and what is kept: every kind of root, every class, every pointer to the middle of a block that counts.

use super::build::target;
use super::run::{Outcome, bare, recorded, script};
use heaptape_tape::{Ending, ProcessId, Tape};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::Command;

/// `heaptape leaks` of a recorded run, all kinds.
fn leaks(recorded: &Outcome, options: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_heaptape"))
        .args(["leaks", "--json", "--show-leak-kinds=all"])
        .args(options)
        .arg(recorded.tape())
        .output()
        .expect("heaptape leaks");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["schema"], "heaptape.leaks/1");
    document["results"][0].clone()
}

/// Blocks by size and kind. Blocks of one record here have one size.
fn blocks(leaks: &Value) -> BTreeMap<(u64, String), u64> {
    let mut all = BTreeMap::new();
    for record in leaks["records"].as_array().expect("records") {
        let blocks = record["blocks"].as_u64().expect("blocks");
        let size = record["bytes"].as_u64().expect("bytes") / blocks;
        let kind = record["kind"].as_str().expect("kind").to_owned();
        *all.entry((size, kind)).or_default() += blocks;
    }
    all
}

/// Runs it; the blocks that it says something about are of the kinds that it says, and nothing else is lost.
fn agrees(words: &[OsString]) -> Value {
    let run = recorded(&["-q"], words);
    assert!(run.status.success() && run.stderr.is_empty(), "{words:?}: {}", run.stderr);
    let leaks = leaks(&run, &[]);
    let found = blocks(&leaks);
    let mut expected = BTreeMap::new();
    for line in run.stdout.lines() {
        let [_, size, kind] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        *expected.entry((size.parse().expect("a size"), kind.to_owned())).or_insert(0) += 1;
    }
    assert!(!expected.is_empty(), "{words:?}");
    for (block, count) in &expected {
        assert_eq!(found.get(block), Some(count), "{words:?}: {block:?} of {found:?}");
    }
    let stray = found.keys().find(|block| !expected.contains_key(block) && block.1 != "reachable");
    assert_eq!(stray, None, "{words:?}");
    leaks
}

fn case(name: &str) -> Value {
    agrees(&[target("leaks").into(), name.into(), target("leaks_plugin").into()])
}

/// The way to the first block of that size.
fn way(leaks: &Value, size: u64) -> Vec<Value> {
    let records = leaks["records"].as_array().expect("records");
    let record = records.iter().find(|record| record["block"]["size"] == size).expect("a record");
    record["path"].as_array().expect("a way").clone()
}

/// Where we are far behind a process at its end, what it had in memory is copied, and the same is found: once it had to wait
/// until we had caught up.
#[test]
fn in_a_copy_the_same_is_found() {
    let names = [
        "in_global",
        "in_tls",
        "lost",
        "lost_tree",
        "lost_circle",
        "interior",
        "hidden_pointer",
        "in_mapping",
        "in_shared_mapping",
        "large_lost",
        "on_stack_of_thread",
        "thread_that_ended",
        "results_of_threads",
        "in_open_library",
        "in_closed_library",
        "old_string",
    ];
    for name in names {
        let words = ["leaks".to_owned(), name.into(), "leaks_plugin".into(), "busy".into()];
        let found = agrees(&words.map(|word| match word.as_str() {
            "leaks" | "leaks_plugin" => target(&word).into(),
            _ => word.into(),
        }));
        // What lies free in the heap is copied, but not searched.
        let read = found["search"]["bytes_read"].as_u64().expect("bytes");
        assert!(read > 8 << 20, "{name}: {read}");
        assert_eq!(found["search"]["doubts"].as_array().map(Vec::len), Some(0), "{name}");
    }
}

#[test]
fn in_variables() {
    let root = &way(&case("in_global"), 1001)[0];
    assert_eq!((&root["what"], &root["name"]), (&"variable".into(), &"global_pointer".into()));
    let found = case("in_array_of_globals");
    assert_eq!(way(&found, 1003)[0]["name"], "global_array+16");
    case("in_static");
}

#[test]
fn in_storage_of_threads() {
    assert_eq!(way(&case("in_tls"), 1004)[0]["what"], "thread");
    case("thread_specific");
    case("detached_thread");
    // A joined thread's was once found in what libc keeps of its stack.
    assert_eq!(way(&case("results_of_threads"), 1041)[0]["what"], "thread");
}

#[test]
fn on_stacks_and_in_registers() {
    assert_eq!(way(&case("on_stack_of_thread"), 1033)[0]["what"], "stack");
    let root = &way(&case("in_register_of_thread"), 1035)[0];
    assert_eq!((&root["what"], &root["name"]), (&"register".into(), &"r13".into()));
}

#[test]
fn in_mapped_memory() {
    assert_eq!(way(&case("in_mapping"), 1028)[0]["what"], "memory");
    case("in_shared_mapping");
    case("beside_large_block");
    case("large_lost");
}

#[test]
fn in_libraries() {
    let found = case("in_open_library");
    assert_eq!(way(&found, 1038)[0]["name"], "in_data");
    case("in_closed_library");
}

#[test]
fn lost() {
    case("lost");
    case("lost_circle");
    case("thread_that_ended");
    let found = case("lost_tree");
    let owner = &way(&found, 1009)[0];
    assert_eq!(
        (&owner["in"], &owner["size"], &owner["offset"]),
        (&"block".into(), &1006.into(), &0.into())
    );
    let first = &found["records"][0];
    assert_eq!((&first["bytes"], &first["indirect"]["bytes"]), (&1006.into(), &3024.into()));
}

#[test]
fn by_pointers_that_are_none() {
    case("past_the_end");
    case("hidden_pointer");
    case("unaligned_pointer");
}

#[test]
fn a_chain_hangs_on_its_head() {
    let found = case("kept_chain");
    let record =
        found["records"].as_array().expect("records").iter().find(|r| r["block"]["size"] == 1011);
    assert_eq!(record.expect("the head")["block"]["retained"], 1011 + 5 * 1012);
    case("of_no_bytes");
}

#[test]
fn by_interior_pointers() {
    for name in ["interior", "behind_interior", "interior_of_reachable", "after_wrong_count"] {
        case(name);
    }
    // What memcheck's heuristics know.
    for name in ["old_string", "after_length", "after_count"] {
        case(name);
    }
    agrees(&[target("leaks_objects").into()]);
}

#[test]
fn nothing_is_searched_where_that_is_not_wanted() {
    let words = [target("leaks").into(), "lost".into()];
    let found = leaks(&recorded(&["-q", "--leaks=no"], &words), &[]);
    assert!(found["search"].is_null(), "{found}");
    assert!(bare(&words).status.success());
}

#[test]
fn leaks_are_errors_where_that_is_wanted() {
    let words = [target("leaks").into(), "lost_tree".into()];
    let status = |options: &[&str]| recorded(options, &words).status.code();
    assert_eq!(status(&["--error-exitcode=9"]), Some(0));
    assert_eq!(status(&["--error-exitcode=9", "--leaks=full"]), Some(9));
    assert_eq!(status(&["--error-exitcode=9", "--errors-for-leak-kinds=indirect"]), Some(9));
    assert_eq!(status(&["--error-exitcode=9", "--errors-for-leak-kinds=possible"]), Some(0));
}

#[test]
fn suppressions_count_their_use() {
    let run = recorded(&["-q"], &[target("leaks").into(), "lost_tree".into()]);
    let file = run.folder.path().join("some.supp");
    let text = "leak:^lost_tree$\n{\n  unused\n  Memcheck:Leak\n  fun:malloc\n}\n";
    std::fs::write(&file, text).expect("a file");
    let found = leaks(&run, &["--suppressions", file.to_str().expect("a plain path")]);
    assert_eq!(found["summary"]["suppressed"]["bytes"], 1006 + 1007 + 1008 + 1009);
    assert_eq!(found["summary"]["definite"]["blocks"], 0);
    assert_eq!(found["suppressions"][0]["blocks"], 4);
    assert_eq!(found["suppressions"][1]["blocks"], 0);
}

/// Without ptrace nothing stands still and registers are unknown: that is said, and what is in variables, on stacks and in
/// the storage of threads is found all the same.
#[test]
fn where_ptrace_is_refused() {
    for name in ["in_global", "in_tls", "on_stack_of_thread", "thread_specific"] {
        let heaptape = env!("CARGO_BIN_EXE_heaptape");
        let mut words: Vec<OsString> = vec![target("no_ptrace").into()];
        words.extend([heaptape, "run", "-q", "-o", "T.tape", "--"].map(OsString::from));
        words.extend([target("leaks").into(), name.into()]);
        let run = bare(&words);
        assert!(run.status.success(), "{}", run.stderr);
        let found = leaks(&run, &[]);
        assert_eq!(found["search"]["doubts"].as_array().map(Vec::len), Some(1), "{name}: {found}");
        for kind in ["definite", "indirect", "possible"] {
            assert_eq!(found["summary"][kind]["blocks"], 0, "{name}: {found}");
        }
    }
}

/// A process that goes on is searched as often as somebody asks, by its pid or its launcher's; what was found stays.
#[test]
fn a_running_process_is_searched_and_goes_on() {
    let text = format!(
        "mkfifo lines; $W {} < lines > turns & launcher=$!; exec 3> lines
        turn() {{ echo >&3; until [ $(wc -l < turns) -ge $1 ]; do sleep 0.01; done; }}
        leaks() {{ {} leaks --json --show-leak-kinds=all $* | tr -d '\\n'; echo; }}
        turn 1; leaks $(head -1 turns)
        turn 2; leaks $launcher; leaks $launcher --since 0
        exec 3>&-; wait $launcher; echo $?",
        target("leaks_growing").display(),
        env!("CARGO_BIN_EXE_heaptape")
    );
    let run = script(&text, true);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!((lines.len(), lines[3]), (4, "3"), "{} {}", run.stdout, run.stderr);
    let said = |line: &str| -> Value {
        serde_json::from_str::<Value>(line).expect("JSON")["results"][0].clone()
    };
    let count = |leaks: &Value, size, kind: &str| {
        blocks(leaks).get(&(size, kind.to_owned())).copied().unwrap_or(0)
    };
    let [first, second, since] = [0, 1, 2].map(|at| said(lines[at]));
    for (found, turns) in [(&first, 1), (&second, 2), (&since, 1)] {
        assert_eq!(count(found, 2001, "definite"), turns, "{found}");
        assert_eq!(count(found, 2003, "reachable"), turns, "{found}");
        assert_eq!(found["search"]["doubts"].as_array().map(Vec::len), Some(0), "{found}");
    }
    assert_eq!(way(&first, 2005)[0]["what"], "stack");
    assert_eq!(count(&since, 2005, "reachable"), 0, "{since}");
    let numbers = |leaks: &Value| leaks["searches"].as_array().map(Vec::len);
    assert_eq!((numbers(&first), numbers(&second), numbers(&since)), (Some(1), Some(2), Some(3)));
    // The last one is that of the exit.
    let at_exit = leaks(&run, &[]);
    let number = &at_exit["search"]["number"];
    assert_eq!((number, numbers(&at_exit)), (&3.into(), Some(4)));
    assert_eq!(count(&at_exit, 2005, "reachable"), 0, "{at_exit}");
    let again = leaks(&run, &["--scan", "0"]);
    assert_eq!(again["records"], first["records"]);
}

/// Where not everything is recorded, what hangs on an unknown block is not lost, though nothing known leads there.
#[test]
fn what_a_sample_does_not_know_may_keep_a_block() {
    let run = recorded(&["-q", "--sample=4096"], &[target("leaks").into(), "kept_by_many".into()]);
    assert!(run.status.success(), "{}", run.stderr);
    let found = leaks(&run, &[]);
    assert_eq!(found["search"]["doubts"].as_array().map(Vec::len), Some(1), "{found}");
    let kept: Vec<(u64, String)> =
        blocks(&found).into_keys().filter(|it| it.0 == 100_042).collect();
    assert_eq!(kept, [(100_042, "reachable".to_owned())], "{found}");
}

/// What a process does after its last look, before that has been looked through, is recorded, and not in what was seen.
#[test]
fn what_comes_after_the_last_look() {
    let ways = [("nothing", 0), ("allocates", 600_000), ("crashes", 0), ("execs", 600_000)];
    for (way, events) in ways {
        let words = [target("late").into(), way.into()];
        let run = recorded(&[], &words);
        assert_eq!(run.status, bare(&words).status, "{way}: {}", run.stderr);
        let found = leaks(&run, &["--process", "#0"]);
        let searches = found["searches"].as_array().expect("searches");
        assert_eq!(searches.len(), if way == "crashes" { 2 } else { 1 }, "{way}: {found}");
        assert_eq!(blocks(&found).get(&(1045, "definite".to_owned())), Some(&1), "{way}: {found}");
        assert_eq!(found["search"]["doubts"].as_array().map(Vec::len), Some(0), "{way}: {found}");
        let tape = Tape::open(&run.tape()).expect("a tape");
        let recorded = tape.event_count(ProcessId(0));
        assert!((1_000_000 + events..1_000_100 + events).contains(&recorded), "{way}: {recorded}");
        // What is said before an exec was once forgotten over what had been recorded before that.
        let is_exec = tape.processes()[0].ending == Ending::Exec;
        assert_eq!(is_exec, way == "execs", "{way}: {:?}", tape.processes()[0].ending);
    }
}

/// A forked process is told about its own blocks only, and loses none that hang on its parent's.
#[test]
fn of_a_forked_process_its_own_blocks_are_judged() {
    let run = recorded(&["-q"], &[target("leaks").into(), "in_forked_child".into()]);
    assert!(run.status.success(), "{}", run.stderr);
    let found = leaks(&run, &["--process", "#1"]);
    let doubts = found["search"]["doubts"].as_array().expect("doubts");
    assert!(doubts.len() == 1 && doubts[0].as_str().unwrap().contains("only its own"), "{found}");
    let expected = [((1043, "definite".to_owned()), 1), ((1044, "reachable".to_owned()), 1)];
    assert_eq!(blocks(&found), expected.into(), "{found}");
}

/// One that ends when we are far behind was once let go without a search.
#[test]
fn a_forked_process_of_a_busy_one_is_searched() {
    let words: Vec<OsString> =
        vec![target("leaks").into(), "in_forked_child".into(), "".into(), "busy".into()];
    let run = recorded(&["-q"], &words);
    assert!(run.status.success() && run.stderr.is_empty(), "{}", run.stderr);
    let found = blocks(&leaks(&run, &["--process", "#1"]));
    let expected = [((1043, "definite".to_owned()), 1), ((1044, "reachable".to_owned()), 1)];
    assert_eq!(found, expected.into());
}
