//! `heaptape contents` and `heaptape strip`: bytes as they were, holes as holes, nothing invented.

use super::tapes::{TestTape, run, stdout};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn refused(args: &[&str]) -> String {
    let output = run(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_block_is_shown_with_its_pointers() {
    let tape = TestTape::with_contents();
    let text = stdout(&["contents", tape.path(), "#1"]);
    let expected = "\
       0  10 00 20 00 00 00 00 00  10 02 10 00 00 00 00 00  .. .............
       0   0x200010 → #3 + 0x10
       8   0x100210 → freed #2 + 0x10, at 0.004000 s
      10  23 01 40 00 00 00 00 00  08 00 00 70 00 00 00 00  #.@........p....
      10   0x400123 → demo+0x123
      18   0x70000008 → [stack] + 0x8
      20  65 73 63 20 1b 5b 33 31  6d 20 e2 80 ae 21 00 00  esc .[31m ...!..
      30  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  ................
";
    assert!(text.ends_with(expected), "{text}");
    assert!(text.contains("Snapshot #2 at 0.005000 s (exit), after 4 events\n"), "{text}");
    assert!(text.contains("! not of one instant"), "{text}");
    assert!(text.contains("! pages of 4.00 KiB left out, beyond the budget\n"), "{text}");
    assert!(!text.contains('\x1b') && !text.contains('\u{202e}'), "escaped");
    // At the first snapshot the freed block was live.
    let text = stdout(&["contents", tape.path(), "0x100108", "--at", "#1"]);
    assert!(text.contains("0x100210 → #2 + 0x10\n"), "{text}");
    assert!(text.contains("Snapshot #1 at 0.003000 s (interval)"), "{text}");
    assert!(!text.contains("[stack]"), "the address space was not known by then: {text}");
}

#[test]
fn what_was_not_recorded_is_never_shown_as_a_byte() {
    let tape = TestTape::with_contents();
    let text = stdout(&["contents", tape.path(), "#3", "--length", "9000"]);
    assert!(text.contains("4,096 bytes not recorded"), "{text}");
    let hole =
        format!("    1000 {0} {0}  {1}\n*\n", " \u{b7}\u{b7}".repeat(8), "\u{b7}".repeat(16));
    assert!(text.contains(&hole), "{text}");
    assert!(!text.contains(" 62 ") && !text.contains(" 00 "), "{text}");
    assert!(text.contains(" 61 61 ") && text.contains(" 63 63 "), "{text}");
    let earlier = stdout(&["contents", tape.path(), "#3", "--at", "4ms", "--offset", "4096"]);
    assert!(earlier.contains(" 62 62 ") && !earlier.contains('\u{b7}'), "{earlier}");
    let json = stdout(&["contents", tape.path(), "#3", "--length", "9000", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let stretches = json["results"][0]["recorded"].as_array().unwrap();
    let facts: Vec<_> = stretches
        .iter()
        .map(|s| (s["at"].as_u64().unwrap(), s["bytes"].as_str().unwrap().len() / 2))
        .collect();
    assert_eq!(facts, [(0, 4096), (8192, 808)]);
}

#[test]
fn the_table_names_the_largest_first() {
    let tape = TestTape::with_contents();
    let text = stdout(&["contents", tape.path()]);
    let rows: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("address")).collect();
    assert!(
        rows[1].starts_with("0x200000        #3         8.79 KiB  text          aaaaaaaaaaaaaaaa"),
        "{text}"
    );
    assert!(
        rows[2].starts_with("0x100100        #1             64 B  data          .. ............."),
        "{text}"
    );
    assert_eq!(rows.len(), 3);
    let filtered = stdout(&["contents", tape.path(), "--size", "..100", "--at", "peak"]);
    assert!(filtered.contains("2 live blocks, 112 B\n"), "{filtered}");
}

#[test]
fn what_is_not_there_is_said() {
    let tape = TestTape::with_contents();
    let early = refused(&["contents", tape.path(), "--at", "1ms"]);
    assert!(early.contains("no snapshot was made by then; the first is at 0.003000 s"), "{early}");
    let number = refused(&["contents", tape.path(), "--at", "#9"]);
    assert!(number.contains("no such snapshot; the last is #2"), "{number}");
    let block = refused(&["contents", tape.path(), "#2"]);
    assert!(block.contains("block #2 was not live at snapshot #2"), "{block}");
    let addr = refused(&["contents", tape.path(), "0x100200"]);
    assert!(addr.contains("heaptape addr"), "{addr}");
    let none = TestTape::new(b"demo", 10);
    let none = refused(&["contents", none.path()]);
    assert!(none.contains("no contents were recorded"), "{none}");
}

#[test]
fn files_hold_only_bytes_that_are_known() {
    let tape = TestTape::with_contents();
    let out = tape.path.with_file_name("blocks");
    let out_word = out.to_str().unwrap();
    let output = run(&["contents", tape.path(), "--out", out_word]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && said.contains("of 1 block not all was recorded: 4,096 bytes"),
        "{said}"
    );
    let heap = out.join("heap");
    let mut names: Vec<_> = fs::read_dir(&heap)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["0x100100", "0x200000", "0x200000+0x2000"]);
    let bytes = |name: &str| fs::read(heap.join(name)).unwrap();
    assert_eq!(bytes("0x200000"), [b'a'; 4096]);
    assert_eq!(bytes("0x200000+0x2000"), [b'c'; 808]);
    assert_eq!((bytes("0x100100").len(), &bytes("0x100100")[..3]), (64, &[0x10, 0, 0x20][..]));
    let gaps = fs::read_to_string(out.join("unrecorded.tsv")).unwrap();
    assert_eq!(gaps, "address\toffset\tlength\n0x200000\t4096\t4096\n");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&out), mode(&heap), mode(&heap.join("0x100100"))), (0o700, 0o700, 0o600));
    assert!(refused(&["contents", tape.path(), "--out", out_word]).contains("--force"));
    assert!(run(&["contents", tape.path(), "--out", out_word, "--force"]).status.success());
}

#[test]
fn a_stripped_tape_has_no_contents() {
    let tape = TestTape::with_contents();
    let new = tape.path.with_file_name("new.tape");
    let new_word = new.to_str().unwrap();
    assert!(run(&["strip", tape.path(), "-o", new_word]).status.success());
    assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(refused(&["contents", new_word]).contains("no contents were recorded"));
    assert_eq!(stdout(&["events", tape.path()]), stdout(&["events", new_word]));
    assert_eq!(
        stdout(&["summary", tape.path(), "--json"]).replace("file_bytes", "").lines().count(),
        stdout(&["summary", new_word, "--json"]).replace("file_bytes", "").lines().count()
    );
    assert!(
        stdout(&["info", tape.path()])
            .contains("memory contents are on the tape: 2 snapshots, 16.0 KiB")
    );
    assert!(!stdout(&["info", new_word]).contains("memory contents"));
    assert!(refused(&["strip", tape.path(), "-o", new_word]).contains("--force replaces it"));
    assert!(
        run(&["strip", tape.path(), "-o", tape.path(), "--force"]).status.success(),
        "in its place"
    );
    assert!(refused(&["contents", tape.path()]).contains("no contents were recorded"));
}
