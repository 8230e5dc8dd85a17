//! `heaptape report`: a page that holds what the tape does, shows it without scripts, and nothing that was recorded can
//! break out of its place in it.

use crate::tapes::{TestTape, heaptape, run, write_exec_tape, write_processes};
use heaptape_report::page::coded::{blocks, stacks, times};
use heaptape_report::page::seven;
use heaptape_tape::Ending;
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A page, read as its program does.
struct Page {
    html: String,
}

impl Page {
    /// Has a report written in a folder of its own, with these options.
    fn of(tape: &TestTape, options: &[&str]) -> Page {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("page.html");
        let args = [&["report", tape.path(), "-o", path.to_str().unwrap()], options].concat();
        let output = run(&args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Page { html: fs::read_to_string(&path).unwrap() }
    }

    fn element(&self, id: &str) -> Option<&str> {
        let (_, rest) = self.html.split_once(&format!(" id=\"{id}\">"))?;
        Some(rest.split_once("</script>").unwrap().0)
    }

    fn overview(&self) -> Value {
        self.json("overview")
    }

    fn json(&self, id: &str) -> Value {
        serde_json::from_slice(&self.inflated(id)).unwrap()
    }

    /// What an element holds.
    fn inflated(&self, id: &str) -> Vec<u8> {
        let packed = seven::bytes_of(self.element(id).unwrap()).unwrap();
        let mut bytes = Vec::new();
        flate2::read::DeflateDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// What is said of a table, and a column; whole numbers.
    fn table(&self, table: &str, wanted: &str) -> (Value, Option<Vec<u64>>) {
        let bytes = self.inflated(table);
        let length = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
        let mut head: Value = serde_json::from_slice(&bytes[4..4 + length]).unwrap();
        let meta = head["meta"].take();
        let mut at = 4 + length;
        for column in head["columns"].as_array().unwrap() {
            let count = column["length"].as_u64().unwrap() as usize;
            let kind = column["type"].as_str().unwrap();
            let width = match kind {
                "u8" => 1,
                "u16" => 2,
                "u32" => 4,
                _ => 8,
            };
            if column["name"] == wanted {
                let raw = |row: usize| {
                    let byte = |nth: usize| match column["shuffle"] == true {
                        true => bytes[at + nth * count + row],
                        false => bytes[at + row * width + nth],
                    };
                    (0..width).rev().fold(0, |value, nth| value << 8 | u64::from(byte(nth)))
                };
                let mut sum = 0_u32;
                let value = |row| {
                    sum = sum.wrapping_add(raw(row) as u32);
                    match (kind, column["delta"] == true) {
                        ("f64", _) => f64::from_bits(raw(row)) as u64,
                        (_, true) => sum.into(),
                        (_, false) => raw(row),
                    }
                };
                return (meta, Some((0..count).map(value).collect()));
            }
            at += (count * width).next_multiple_of(8);
        }
        (meta, None)
    }

    /// A column of a table of process 0; whole numbers.
    fn column(&self, table: &str, wanted: &str) -> Vec<u64> {
        if let (_, Some(column)) = self.table(table, wanted) {
            return column;
        }
        let (meta, story) = self.table(table, "story");
        let story: Vec<u8> = story.unwrap().into_iter().map(|byte| byte as u8).collect();
        let of = |name: &str| meta[name].as_u64().unwrap();
        match table.split_once('-').unwrap().1 {
            "blocks" => {
                let extent = blocks::Extent {
                    blocks: of("blocks") as u32,
                    inherited: of("inherited") as u32,
                    freed: of("freed") as u32,
                    stacks: of("stacks") as u32,
                    threads: of("threads") as u32,
                };
                let blocks = blocks::read(extent, &story).unwrap();
                blocks.iter().map(|block| of_block(block, wanted)).collect()
            }
            "stacks" => {
                assert_eq!(wanted, "back");
                let nodes = stacks::read(of("stacks") as u32, &story).unwrap();
                nodes.iter().map(|node| node.back.into()).collect()
            }
            "times" => {
                assert_eq!(wanted, "position");
                let extent =
                    times::Extent { changes: of("changes") as u32, unit_ns: of("unit_ns") };
                let changes = times::read(extent, &story).unwrap();
                changes.iter().map(|(position, _)| u64::from(*position)).collect()
            }
            _ => panic!("{table} has no column {wanted}"),
        }
    }
}

/// What a column of `blocks` says of a block.
fn of_block(block: &blocks::Block, column: &str) -> u64 {
    match column {
        "born" => block.born.into(),
        "life" => block.life.into(),
        "stack" => block.stack.into(),
        "size_lo" => block.size.into(),
        "addr_lo" => block.addr & 0xffff_ffff,
        "thread" => block.thread.into(),
        "freed_thread" => block.freed_thread.into(),
        "flags" => block.flags.into(),
        "leak" => block.leak.into(),
        _ => panic!("blocks have no column {column}"),
    }
}

#[test]
fn a_page_holds_every_block() {
    let page = Page::of(&TestTape::new(b"demo", 40), &[]);
    let column = |name: &str| page.column("p0-blocks", name);
    // 100 bytes a millisecond, every other one freed at once, and 1000 bytes for a moment.
    let expected_born: Vec<u64> = (0..20).flat_map(|i| [3 * i, 3 * i + 1]).chain([60]).collect();
    assert_eq!(column("born"), expected_born);
    // Those that are freed are so at once.
    assert_eq!(column("life"), [[0, 1].repeat(20).as_slice(), &[1]].concat());
    assert_eq!(column("size_lo"), [[100; 40].as_slice(), &[1000]].concat());
    assert_eq!(column("addr_lo")[..3], [0x10_0000, 0x10_0100, 0x10_0200]);
    // The last block is of the outer frame, the others of the one within.
    assert_eq!(column("stack"), [[2; 40].as_slice(), &[1]].concat());
    assert_eq!(page.column("p0-stacks", "back"), [0, 1, 1]);
    let temporary: Vec<u64> = (0..20).flat_map(|_| [0, 1]).chain([1]).collect();
    assert_eq!(column("flags"), temporary);
    assert_eq!(page.column("p0-times", "position")[..3], [1, 2, 4]);
    let overview = page.overview();
    assert_eq!(overview["version"], 1);
    let process = &overview["processes"][0];
    assert_eq!((&process["included"], &process["event_count"]), (&true.into(), &62.into()));
    assert_eq!(process["peak"]["position"], 61);
    assert_eq!(process["peak"]["bytes"], 3000);
    assert_eq!(process["at_exit"]["blocks"], 20);
    assert_eq!(process["summary"]["allocated"]["calls"], 41);
    assert_eq!(process["ending"], "exit 3");
}

#[test]
fn the_summary_can_be_read_without_scripts() {
    let page = Page::of(&TestTape::new(b"demo", 40), &[]);
    let main = page.html.split_once("<main id=\"static\">").unwrap().1;
    let main = main.split_once("</main>").unwrap().0;
    for expected in [
        "exit 3",
        "3,000 B at 0.040000 s",
        "20 blocks never freed",
        "Peak, by call site",
        "demo+0x20",
    ] {
        assert!(main.contains(expected), "{expected} is missing in {main}");
    }
    let style = page.html.find("<style>").unwrap();
    let script = page.html.find("<script").unwrap();
    let policy = page.html.find("default-src 'none'; script-src 'sha256-").unwrap();
    assert!(policy < style && style < script, "the policy is first");
    let policy = page.html[policy..].split_once('>').unwrap().0;
    assert!(!policy.contains("unsafe") && policy.contains("style-src 'sha256-"), "{policy}");
}

#[test]
fn nothing_recorded_leaves_its_place() {
    let hostile: &[u8] =
        b"</title></style></main><img src=x onerror=alert(1)><!--\xff\"' </script><script>x()";
    let page = Page::of(&TestTape::new(hostile, 4), &["--process", "all"]);
    assert_eq!(page.html.matches("<script").count(), page.html.matches("</script>").count());
    for tag in ["<img", "</title><", "<script>x", "<!--"] {
        assert!(!page.html.contains(tag), "{tag}");
    }
    let overview = page.overview();
    let argument = overview["processes"][0]["argv"][0].as_str().unwrap();
    assert!(argument.starts_with("</title>") && argument.contains("\\xff"), "{argument}");
    assert!(page.html.contains("&lt;img src=x"));
}

#[test]
fn a_page_is_put_where_it_was_asked_for_and_replaces_nothing() {
    let tape = TestTape::new(b"demo", 4);
    let dir = tempfile::tempdir().unwrap();
    let report = |options: &[&str]| {
        let args = [&["report", tape.path()], options].concat();
        heaptape(&args).current_dir(dir.path()).output().unwrap()
    };
    let written = report(&[]);
    assert!(written.status.success());
    let told = String::from_utf8(written.stdout).unwrap();
    assert!(told.starts_with("demo.html: ") && told.contains("5 blocks of 1 process"), "{told}");
    assert!(told.ends_with("no memory contents are in it\n"), "{told}");
    fs::write(dir.path().join("demo.html"), "mine").unwrap();
    let refused = report(&[]);
    assert_eq!(refused.status.code(), Some(1));
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(why.contains("demo.html: is there already") && why.contains("--force"), "{why}");
    assert_eq!(fs::read(dir.path().join("demo.html")).unwrap(), b"mine");
    assert!(report(&["--force"]).status.success());
    assert!(fs::metadata(dir.path().join("demo.html")).unwrap().len() > 1000);
    let nowhere = report(&["-o", "no/such/folder.html"]);
    assert_eq!(nowhere.status.code(), Some(1));
    let why = String::from_utf8(nowhere.stderr).unwrap();
    assert!(why.contains("folder.html: cannot be written: no such folder"), "{why}");
    assert_eq!(report(&["--source-map", "/build=/no/such"]).status.code(), Some(1));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing half-written is left");
}

#[test]
fn contents_are_there_only_if_asked_for() {
    let tape = TestTape::with_contents();
    let page = Page::of(&tape, &[]);
    assert!(page.element("p0-contents").is_none() && page.overview()["has_contents"] == false);
    // Snapshots are told of all the same.
    assert_eq!(page.overview()["processes"][0]["snapshots"][0]["position"], 3);

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("page.html");
    let output = run(&["report", tape.path(), "--contents", "-o", path.to_str().unwrap()]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("memory contents of the program are in it"), "{told}");
    let mode = fs::metadata(Path::new(&path)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "nobody else reads it");
    let page = Page { html: fs::read_to_string(&path).unwrap() };
    assert!(page.html.contains("This file contains memory of the recorded program."));
    let column = |name: &str| page.column("p0-contents", name);
    // At the exit block 1 is as before; of block 3 the second page is not known any more.
    assert_eq!(column("block_lo"), [3, 3, 1, 2, 3]);
    assert_eq!(column("position"), [4, 4, 3, 3, 3]);
    assert_eq!(column("offset"), [0, 8192, 0, 0, 0]);
    assert_eq!(column("length"), [4096, 808, 64, 48, 9000]);
    let bytes = column("bytes");
    assert_eq!(bytes.len() as u64, column("length").iter().sum::<u64>());
    assert_eq!((bytes[0], bytes[4096], bytes[4096 + 808]), (b'a'.into(), b'c'.into(), 0x10));
}

#[test]
fn of_too_many_blocks_the_sums_stay() {
    let tape = TestTape::new(b"demo", 3000);
    let page = Page::of(&tape, &["--max-blocks", "1000"]);
    let overview = page.overview();
    let capped = &overview["processes"][0]["capped"];
    assert_eq!(capped["of_blocks"], 3001);
    let kept = page.column("p0-blocks", "born").len() as u64;
    assert!((1..=1000).contains(&kept) && capped["kept_blocks"] == kept, "{capped}");
    assert!(page.column("p0-blocks", "size_lo").contains(&1000), "the largest is kept");
    let sum = |name: &str| page.column("p0-flows", name).iter().sum::<u64>();
    assert_eq!((sum("blocks"), sum("bytes")), (3001, 301_000));
    assert_eq!((sum("temp_blocks"), sum("temp_bytes")), (1501, 151_000));
    let never = u64::from(u32::MAX);
    let ends = page.column("p0-flows", "died").into_iter().zip(page.column("p0-flows", "blocks"));
    let unfreed: u64 = ends.filter(|(died, _)| *died == never).map(|(_, blocks)| blocks).sum();
    assert_eq!(unfreed, 1500);
    assert_eq!(page.column("p0-timeline", "max").iter().max(), Some(&151_000));
    assert_eq!(page.column("p0-timeline", "last").last(), Some(&150_000));
}

#[test]
fn processes_that_are_left_out_are_named_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let (tape, path) = (dir.path().join("exec.tape"), dir.path().join("page.html"));
    write_exec_tape(&tape);
    let args = ["report", tape.to_str().unwrap(), "-o", path.to_str().unwrap()];
    assert!(run(&args).status.success());
    let overview = Page { html: fs::read_to_string(&path).unwrap() }.overview();
    assert_eq!(overview["first"], 2, "the one that held the most");
    let included: Vec<bool> = overview["processes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|process| process["included"] == true)
        .collect();
    assert_eq!(included, [false, false, true]);
    let why = overview["processes"][1]["why_not"].as_str().unwrap();
    assert!(why.contains("--process '#1'"), "{why}");
    let all = run(&[&args[..], &["--force", "--process", "all"]].concat());
    assert!(String::from_utf8(all.stdout).unwrap().contains("3 blocks of 3 processes"));
}

/// A compiler's driver is launched, but the compiler has the memory, and who crashed is asked for first of all.
#[test]
fn a_page_opens_with_the_process_that_crashed_else_with_the_one_that_held_most() {
    let dir = tempfile::tempdir().unwrap();
    let (tape, path) = (dir.path().join("tree.tape"), dir.path().join("page.html"));
    let (tape, path) = (tape.to_str().unwrap(), path.to_str().unwrap());
    let (exit, crashed, ended) =
        (Ending::Exited(0), Ending::Signalled(11, true), Ending::Signalled(15, false));
    let first = |last: [(Ending, u64); 3], options: &[&str]| {
        let [driver, compiler, linker] = last;
        write_processes(
            Path::new(tape),
            &[
                (4000, "driver", driver.0, driver.1),
                (4001, "compiler", compiler.0, compiler.1),
                (4002, "linker", linker.0, linker.1),
            ],
        );
        let args = [&["report", tape, "--force", "-o", path], options].concat();
        let output = run(&args);
        assert!(output.status.success());
        let overview = Page { html: fs::read_to_string(path).unwrap() }.overview();
        let said = String::from_utf8(output.stderr).unwrap().replace('\n', " ");
        (overview["first"].as_u64().unwrap(), said)
    };
    let all = ["--process", "all"];
    assert_eq!(first([(exit, 10), (exit, 900), (exit, 500)], &all).0, 1);
    assert_eq!(first([(exit, 10), (exit, 900), (crashed, 500)], &all).0, 2);
    assert_eq!(first([(exit, 10), (exit, 900), (ended, 500)], &all).0, 1, "SIGTERM is no crash");
    assert_eq!(first([(exit, 10), (crashed, 20), (crashed, 500)], &all).0, 2);
    assert_eq!(first([(exit, 70), (exit, 70), (exit, 70)], &all).0, 0);
    assert_eq!(first([(exit, 10), (exit, 900), (exit, 500)], &["--process", "#2"]).0, 2);
    let (shown, said) = first([(exit, 10), (exit, 900), (exit, 500)], &[]);
    assert_eq!(shown, 1);
    assert!(said.contains("#1 of 3 processes is shown, which held the most"), "{said}");
    let (shown, said) = first([(exit, 10), (exit, 900), (crashed, 500)], &[]);
    assert_eq!(shown, 2);
    assert!(said.contains("#2 of 3 processes is shown, which crashed"), "{said}");
}

#[test]
fn two_tapes_are_compared() {
    let (one, other) = (TestTape::new(b"demo", 40), TestTape::new(b"demo", 60));
    let page = Page::of(&one, &["--diff", other.path()]);
    assert_eq!(page.overview()["has_other"], true);
    assert_eq!(page.column("p0-blocks", "born").len(), 41);
    assert_eq!(page.column("q0-blocks", "born").len(), 61);
    assert_eq!(page.column("q0-stacks", "back"), [0, 1, 1]);
    for name in ["strings", "frames", "times"] {
        assert!(page.element(&format!("q0-{name}")).is_some(), "{name} is needed");
    }
    for name in ["samples", "source", "contents"] {
        assert!(page.element(&format!("q0-{name}")).is_none(), "{name} is not");
    }
    let overview = page.json("other-overview");
    assert_eq!(overview["processes"][0]["peak"]["bytes"], 4000);
    assert!(overview["processes"][0]["summary"].is_null());
    assert_eq!(Page::of(&one, &[]).overview()["has_other"], false);
}

/// Of the second recording only sums are shown: no block of it is looked at.
#[test]
fn of_too_many_blocks_in_the_second_tape_there_are_sums_alone() {
    let (one, other) = (TestTape::new(b"demo", 40), TestTape::new(b"demo", 3000));
    let page = Page::of(&one, &["--diff", other.path(), "--max-blocks", "1000"]);
    assert!(page.element("p0-flows").is_none());
    assert_eq!(page.column("q0-flows", "blocks").iter().sum::<u64>(), 3001);
    assert_eq!(page.column("q0-blocks", "born"), [0; 0]);
}

#[test]
fn one_process_is_compared() {
    let dir = tempfile::tempdir().unwrap();
    let (tape, page) = (dir.path().join("exec.tape"), dir.path().join("page.html"));
    write_exec_tape(&tape);
    let (tape, page) = (tape.to_str().unwrap(), page.to_str().unwrap());
    let report = |options: &[&str]| {
        run(&[&["report", tape, "--diff", tape, "--force", "-o", page], options].concat())
    };
    let written = report(&[]);
    let told = String::from_utf8(written.stdout).unwrap();
    assert!(told.contains("compared with exec.tape, process #2 of 3"), "{told}");
    assert!(report(&["--diff-process", "#1"]).status.success());
    let page = Page { html: fs::read_to_string(page).unwrap() };
    let overview = page.json("other-overview");
    assert_eq!(
        (&overview["first"], &overview["processes"][1]["included"]),
        (&1.into(), &true.into())
    );
    assert_eq!(page.column("q1-blocks", "size_lo"), [500]);
    for (options, why) in
        [(["--diff-process", "all"], "one process"), (["--diff-process", "#9"], "no such process")]
    {
        let refused = report(&options);
        assert_eq!(refused.status.code(), Some(1));
        let told = String::from_utf8(refused.stderr).unwrap();
        assert!(told.contains(why), "{told}");
    }
    let unasked = run(&["report", tape, "--diff-process", "#1"]);
    assert_eq!(unasked.status.code(), Some(1), "there is nothing to choose from");
}
