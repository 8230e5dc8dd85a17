//! The figures of every command, over a tape whose figures are known.

use crate::tapes::{TestTape, run, stdout, write_exec_tape, write_tape};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

fn json(args: &[&str]) -> Value {
    let document: Value = serde_json::from_str(&stdout(args)).expect("one JSON document");
    let schema = document["schema"].as_str().unwrap();
    assert_eq!(schema, format!("heaptape.{}/1", args[0]));
    document["results"][0].clone()
}

#[test]
fn summary_tells_the_figures() {
    let tape = TestTape::new(b"demo", 40);
    let summary = json(&["summary", tape.path(), "--json"]);
    assert_eq!(summary["peak"]["total"]["bytes"], 20 * 100 + 1000);
    assert_eq!(summary["peak"]["total"]["blocks"], 21);
    assert_eq!(summary["peak"]["time_ns"], 40_000_000);
    assert_eq!(summary["never_freed"]["total"]["bytes"], 20 * 100);
    assert_eq!(summary["allocated"]["calls"], 41);
    assert_eq!(summary["allocated"]["frees"], 21);
    assert_eq!(summary["allocated"]["bytes"], 41 * 100 + 900);
    assert_eq!(summary["temporary"]["blocks"], 21);
    assert_eq!(summary["process"]["ending"]["code"], 3);
    let text = stdout(&["summary", tape.path()]);
    assert!(
        text.starts_with(
            "demo   pid 4000   exit 3   50.0 ms   1 thread   41 calls   0 events lost\n"
        ),
        "{text}"
    );
    assert!(text.contains("2.93 KiB   3,000 B at 0.040000 s, 21 blocks"), "{text}");
    assert!(text.contains("demo+0x20"), "{text}");
}

#[test]
fn summary_speaks_valgrind() {
    let tape = TestTape::new(b"demo", 40);
    let expected = "==4000== HEAP SUMMARY:\n\
                    ==4000==     in use at exit: 2,000 bytes in 20 blocks\n\
                    ==4000==   total heap usage: 41 allocs, 21 frees, 5,000 bytes allocated\n\
                    ==4000==\n";
    assert_eq!(stdout(&["summary", "--valgrind", tape.path()]), expected);
}

#[test]
fn a_tape_winds_to_any_moment() {
    let tape = TestTape::new(b"demo", 40);
    let live =
        |when: &str| json(&["at", tape.path(), when, "--json"])["live"]["total"]["bytes"].clone();
    assert_eq!(live("start"), 0);
    assert_eq!(live("0.010"), 600);
    assert_eq!(live("10ms"), 600);
    assert_eq!(live("20%"), 600);
    assert_eq!(live("peak"), 3000);
    assert_eq!(live("end"), 2000);
    let layout = json(&["layout", tape.path(), "--at", "peak", "--json"]);
    assert_eq!(layout["layout"]["regions"].as_array().unwrap().len(), 2);
    assert_eq!(layout["layout"]["live_blocks"], 21);
    let list = stdout(&["layout", tape.path(), "--list"]);
    assert_eq!(list.lines().filter(|line| line.ends_with("  hole")).count(), 19);
}

#[test]
fn trees_measure_what_the_summary_says() {
    let tape = TestTape::new(b"demo", 40);
    for (metric, bytes) in [
        ("peak", 3000),
        ("leaked", 2000),
        ("inuse_space", 2000),
        ("alloc_space", 5000),
        ("calls", 5000),
    ] {
        let tree = json(&["tree", tape.path(), "--metric", metric, "--json"]);
        assert_eq!(tree["total"]["bytes"], bytes, "{metric}");
        let root = tree["roots"][0].as_u64().unwrap() as usize;
        assert_eq!(tree["nodes"][root]["total"]["bytes"], bytes, "{metric}");
    }
    let text = stdout(&["tree", tape.path(), "--metric", "leaked", "--inverted"]);
    assert!(text.contains("demo+0x20"), "{text}");
    assert!(stdout(&["tree", tape.path(), "--functions"]).contains("self"));
}

#[test]
fn events_pass_their_filters() {
    let tape = TestTape::new(b"demo", 40);
    let count = |args: &[&str]| {
        let all = [&["events", tape.path(), "--tsv"], args].concat();
        stdout(&all).lines().count() - 1
    };
    assert_eq!(count(&[]), 62);
    assert_eq!(count(&["--kind", "free"]), 21);
    assert_eq!(count(&["--size", "500.."]), 2);
    assert_eq!(count(&["--time", "5ms..9ms"]), 8);
    assert_eq!(count(&["--address", "0x90000010"]), 2);
    assert_eq!(count(&["--limit", "5"]), 5);
    assert_eq!(count(&["--thread", "1"]), 0);
    let none = stdout(&["events", tape.path(), "--thread", "1"]);
    assert!(none.ends_with("  no event is like that\n"), "{none}");
    assert!(!stdout(&["events", tape.path(), "--limit", "0"]).contains("no event"));
    assert_eq!(count(&["--match", "+0x20", "--kind", "malloc"]), 40);
    let lines = stdout(&["events", tape.path(), "--json", "--limit", "2"]);
    for line in lines.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["schema"], "heaptape.event/1");
    }
}

#[test]
fn an_address_has_a_history() {
    let tape = TestTape::new(b"demo", 40);
    let history = json(&["addr", tape.path(), "0x100110", "--json"]);
    assert_eq!(history["total"], 1);
    assert_eq!(history["entries"][0]["block"], 2);
    assert_eq!(history["entries"][0]["offset"], 0x10);
    assert_eq!(history["entries"][0]["freed"]["time_ns"], 1_000_000);
    assert!(stdout(&["addr", tape.path(), "0x7"]).contains("No block ever contained 0x7"));
}

/// The tape comes first, but nobody remembers that.
#[test]
fn tape_and_moment_may_change_places() {
    let tape = TestTape::new(b"demo", 40);
    assert_eq!(stdout(&["at", "20ms", tape.path()]), stdout(&["at", tape.path(), "20ms"]));
    assert_eq!(
        stdout(&["addr", "0x100110", tape.path()]),
        stdout(&["addr", tape.path(), "0x100110"])
    );
}

#[test]
fn info_names_what_is_there() {
    let tape = TestTape::new(b"demo", 40);
    let info = json(&["info", tape.path(), "--json"]);
    assert_eq!(info["processes"][0]["pid"], 4000);
    assert_eq!(info["processes"][0]["events"], 62);
    let text = stdout(&["info", tape.path(), "--modules"]);
    assert!(text.contains("/no/such/demo") && text.contains("file not found"), "{text}");
}

/// Frames without names are counted in every view that shows names, and `info` says why.
#[test]
fn unresolved_frames_are_told() {
    let tape = TestTape::new(b"demo", 40);
    let told = "! 2 of 2 frames (100 %) have no function name: 2 in demo; why: heaptape info";
    for command in ["summary", "tree", "at"] {
        let text = stdout(&[command, tape.path()]);
        assert_eq!(text.lines().nth(1), Some(told), "{text}");
    }
    let info = stdout(&["info", tape.path()]);
    assert!(info.contains("2 in demo: file not found"), "{info}");
    let info = json(&["info", tape.path(), "--json"]);
    assert_eq!(info["unresolved"]["unresolved"], 2);
}

#[test]
fn processes_are_chosen() {
    let tape = TestTape::new(b"demo", 2);
    for choice in ["all", "#0", "4000"] {
        assert!(stdout(&["summary", tape.path(), "--process", choice]).contains("pid 4000"));
    }
    let output = run(&["summary", tape.path(), "--process", "#9"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("no such process; see: heaptape info")
    );
}

/// What was launched became another program: that one is meant, and the others are not kept secret.
#[test]
fn the_launched_program_is_shown_after_its_exec() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("exec.tape");
    write_exec_tape(&path);
    let path = path.to_str().unwrap();
    let output = run(&["summary", path]);
    let (text, hint) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(text.starts_with("real   pid 4000   exit 0"), "{text}");
    assert!(hint.contains("#1 of 3 processes is shown"), "{hint}");
    assert!(hint.contains("the largest is #2, child"), "{hint}");
    let output = run(&["summary", path, "--process", "#0"]);
    assert!(output.stderr.is_empty());
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("shim   pid 4000   exec"));
    let all = stdout(&["summary", path, "--process", "all", "--valgrind"]);
    assert_eq!(all.matches("HEAP SUMMARY").count(), 3);
}

/// The last lines name commands; they work as they stand.
#[test]
fn the_next_commands_exist() {
    let tape = TestTape::new(b"demo", 4);
    let summary = stdout(&["summary", tape.path()]);
    let (_, more) = summary.split_once("\nMore\n").unwrap();
    let commands: Vec<Vec<&str>> = more
        .lines()
        .map(|line| line.trim().split("  ").next().unwrap().split(' ').collect())
        .collect();
    assert!(commands.len() >= 4, "{more}");
    let page = tempfile::tempdir().unwrap();
    let page = page.path().join("page.html");
    for command in commands {
        let mut words = command[1..].to_vec();
        if words[0] == "report" {
            words.extend(["-o", page.to_str().unwrap()]);
        }
        stdout(&words);
    }
}

#[test]
fn the_next_commands_are_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("my tape");
    write_tape(&path, b"demo", 4);
    let summary = stdout(&["summary", path.to_str().unwrap()]);
    assert!(summary.contains(&format!("heaptape layout '{}'", path.display())), "{summary}");
}

/// Every field of every document is described in docs/json.md.
#[test]
fn json_is_documented() {
    fn keys(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| {
                found.insert(name.clone());
                keys(value, found);
            }),
            Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
            _ => {}
        }
    }
    let tape = TestTape::new(b"demo", 40);
    let mut found = BTreeSet::new();
    for args in [
        &["summary", tape.path(), "--json"][..],
        &["errors", tape.path(), "--json"],
        &["at", tape.path(), "peak", "--json"],
        &["tree", tape.path(), "--json"],
        &["addr", tape.path(), "0x100110", "--json"],
        &["info", tape.path(), "--json"],
    ] {
        keys(&json(args), &mut found);
    }
    let held = TestTape::with_contents();
    for args in [
        &["contents", held.path(), "--json"][..],
        &["contents", held.path(), "#1", "--json"],
        &["info", held.path(), "--json"],
    ] {
        keys(&json(args), &mut found);
    }
    let doctor = run(&["doctor", "--json", "--", "/no/such/program"]);
    let doctor: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    assert_eq!(doctor["schema"], "heaptape.doctor/1");
    keys(&doctor, &mut found);
    let event = stdout(&["events", tape.path(), "--json", "--limit", "1"]);
    keys(&serde_json::from_str(&event).unwrap(), &mut found);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/json.md");
    let documentation = std::fs::read_to_string(path).unwrap();
    let shared =
        ["process", "ending", "lost", "quality", "allocated", "series", "layout", "schema"];
    let is_missing = |key: &&String| {
        let named = documentation.contains(&format!("`{key}`"));
        !named && !shared.contains(&key.as_str())
    };
    let missing: Vec<&String> = found.iter().filter(is_missing).collect();
    assert!(found.len() > 60 && missing.is_empty(), "not in docs/json.md: {missing:?}");
}
