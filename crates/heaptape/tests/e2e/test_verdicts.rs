//! However a program crashes, `heaptape crash` says what it was, and the program dies as it would have.

use super::{build, check, run};
use serde_json::Value;
use std::ffi::OsString;
use std::process::Command;

/// A recorded crash.
struct Crashed {
    outcome: run::Outcome,
    /// The result for the process.
    result: Value,
    /// The text of `heaptape crash`.
    text: String,
}

fn view(outcome: &run::Outcome, options: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_heaptape"))
        .arg("crash")
        .arg(outcome.tape())
        .args(options)
        .output()
        .expect("the binary");
    let (out, err) = (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(output.status.success(), "{err}");
    String::from_utf8(out).expect("our own text")
}

fn crashed(words: &[OsString]) -> Crashed {
    let bare = run::bare(words);
    let outcome = run::recorded(&[], words);
    check::same_behaviour(&bare, &outcome);
    let json: Value = serde_json::from_str(&view(&outcome, &["--json"])).expect("JSON");
    let (result, text) = (json["results"][0].clone(), view(&outcome, &[]));
    Crashed { outcome, result, text }
}

impl Crashed {
    fn of(way: &str) -> Crashed {
        crashed(&[build::target("verdicts").into(), way.into()])
    }

    /// The only crash.
    fn crash(&self) -> &Value {
        let crashes = self.result["crashes"].as_array().expect("a list");
        assert_eq!(crashes.len(), 1, "{}", self.text);
        &crashes[0]
    }

    /// The verdict is this; both its sentences together contain `words`.
    fn is(self, kind: &str, confidence: &str, words: &[&str]) -> Crashed {
        let verdict = &self.crash()["verdict"];
        assert_eq!(
            (&verdict["kind"], &verdict["confidence"]),
            (&kind.into(), &confidence.into()),
            "{}",
            self.text
        );
        let said = format!("{} {}", verdict["what"], verdict["reason"]);
        for word in words {
            assert!(said.contains(word), "{word:?} is not in {said}");
        }
        self
    }

    /// The functions of the backtrace of the thread that crashed, innermost first.
    fn functions(&self) -> Vec<&str> {
        let frames = self.crash()["threads"][0]["backtrace"].as_array().expect("a list");
        frames.iter().filter_map(|frame| frame["short"].as_str()).collect()
    }

    /// The innermost frames are these, and the outermost is the program's first.
    fn through(self, expected: &[&str]) -> Crashed {
        let functions = self.functions();
        assert_eq!(functions.get(..expected.len()), Some(expected), "{}", self.text);
        assert_eq!(self.crash()["threads"][0]["complete"], true, "{}", self.text);
        self
    }
}

#[test]
fn null_pointers() {
    let crash =
        Crashed::of("null").is("null", "certain", &["null pointer"]).through(&["store", "main"]);
    assert_eq!(crash.crash()["access"], "write");
    assert_eq!(crash.crash()["address"], "0x0");
    let field = Crashed::of("field").is("null", "certain", &["null pointer + 0x18", "24 bytes"]);
    assert_eq!(field.crash()["access"], "read");
    Crashed::of("before_null").is("null", "certain", &["null pointer - 0x8"]);
}

#[test]
fn a_use_after_free_names_the_block() {
    let crash = Crashed::of("freed_big")
        .is("use_after_free", "certain", &["5 bytes into freed block #2 (300,000 bytes)"])
        .through(&["store", "main"]);
    let block = &crash.crash()["blocks"][0];
    assert_eq!((&block["offset"], &block["relation"]), (&5.into(), &"held".into()));
    assert_eq!(block["allocated"]["backtrace"][0]["short"], "main");
    assert_eq!(block["freed"]["function"], "free");
    // At once, in a few lines, before the pointers to the other views.
    let said = &crash.outcome.stderr;
    assert!(said.contains("use after free, 5 bytes into freed block #2"), "{said}");
    assert!(said.lines().count() <= 14, "{said}");
}

#[test]
fn overflows_of_big_blocks() {
    Crashed::of("overflow").is(
        "overflow",
        "likely",
        &["past the end of block #2 (8,000,000 bytes)"],
    );
    Crashed::of("underflow").is(
        "underflow",
        "likely",
        &["before the start of block #2 (300,000 bytes)"],
    );
    // 16 MiB further on: nothing else is there, but it is far.
    Crashed::of("far").is("overflow", "possible", &["16,777,115 bytes past the end of block #1"]);
}

#[test]
fn addresses_that_are_none() {
    Crashed::of("text_as_pointer").is(
        "non_canonical",
        "certain",
        &["0x4141414141414141", "the text \\\"AAAAAAAA\\\""],
    );
    Crashed::of("wild").is("wild", "likely", &["0x123456789000"]);
}

#[test]
fn memory_that_forbids_it() {
    Crashed::of("literal").is("read_only", "certain", &["constant", ".rodata"]);
    Crashed::of("code").is("read_only", "certain", &["write to code", ".text"]);
    Crashed::of("no_access").is("live_block", "certain", &["4,100 bytes into block #2"]);
    Crashed::of("truncated").is("file_truncated", "likely", &["the file ends before it"]);
}

#[test]
fn instructions_that_fail() {
    Crashed::of("zero")
        .is("division", "certain", &["division by zero"])
        .through(&["divide", "main"]);
    Crashed::of("quotient").is("division", "possible", &["or its overflow"]);
    Crashed::of("trap").is("trap", "certain", &[]);
    Crashed::of("illegal").is("illegal_instruction", "likely", &[]);
    Crashed::of("privileged").is("privileged", "certain", &["hlt"]);
    Crashed::of("misaligned").is("misaligned", "certain", &["movaps", "multiple of 16"]);
}

#[test]
fn calls_of_what_is_no_function() {
    Crashed::of("call_null").is("null", "certain", &["call"]).functions_end_in_main();
    Crashed::of("call_block")
        .is("execute", "certain", &["16 bytes into block #1 (100 bytes)"])
        .functions_end_in_main();
    Crashed::of("call_wild").is("execute", "certain", &["BBBBB"]).functions_end_in_main();
}

impl Crashed {
    /// The caller is found though where it called is no code.
    fn functions_end_in_main(self) {
        assert!(self.functions().contains(&"main"), "{}", self.text);
    }
}

#[test]
fn aborts_say_why() {
    let abort = Crashed::of("abort").is("abort", "certain", &["abort()"]);
    assert!(abort.functions().contains(&"main"), "{}", abort.text);
    Crashed::of("assert").is("abort", "certain", &["Assertion `argc == 1' failed"]);
    Crashed::of("double_free").is("abort", "certain", &["double free detected"]);
    let terminate = crashed(&[build::target("terminate").into()]);
    let terminate = terminate.is("abort", "likely", &["std::terminate", "thrown by Wheel::turn"]);
    assert!(terminate.functions().contains(&"Wheel::turn"), "{}", terminate.text);
}

/// The block before the words that glibc found overwritten is named, or the one that was given back wrongly.
#[test]
fn aborts_of_the_allocator_name_a_block() {
    let suspect = |way, number: &str, bytes: &str| {
        let words = [&format!("block #{number} ({bytes} bytes) ends right there"), "--guard"];
        let crash = Crashed::of(way).is("abort", "certain", &words);
        let block = &crash.crash()["blocks"][0];
        assert_eq!(block["relation"], "suspected", "{}", crash.text);
    };
    suspect("smashes_next", "2", "24");
    suspect("smashes_behind", "3", "2,000");
    suspect("smashes_top", "3", "2,000");
    let crash = Crashed::of("double_free").is("abort", "certain", &["block #1 again"]);
    let block = &crash.crash()["blocks"][0];
    assert_eq!(block["relation"], "given_back", "{}", crash.text);
    assert_eq!(block["freed"]["function"], "free", "{}", crash.text);
}

/// A string read by sixteen bytes and more is read from before its first byte.
#[test]
fn a_use_after_free_is_known_by_its_page_in_guard_mode() {
    let words = [build::target("verdicts").into(), "length_of_freed".into()];
    let outcome = run::recorded(&["--guard"], &words);
    let json: Value = serde_json::from_str(&view(&outcome, &["--json"])).expect("JSON");
    let verdict = &json["results"][0]["crashes"][0]["verdict"];
    assert_eq!(verdict["kind"], "use_after_free", "{verdict:#}; {}", outcome.stderr);
}

#[test]
fn signals_that_were_sent() {
    Crashed::of("raise").is("sent", "certain", &["sent"]);
    let killed = Crashed::of("killed");
    assert_eq!(killed.result["crashes"], Value::Array(Vec::new()));
    let death = &killed.result["death"];
    assert_eq!((&death["signal"], &death["out_of_memory"]), (&9.into(), &false.into()));
    assert_eq!(death["last_events"].as_array().map(Vec::len), Some(1));
    assert!(killed.text.contains("SIGKILL cannot be caught"), "{}", killed.text);
}

#[test]
fn a_stack_that_is_used_up() {
    let crash = Crashed::of("stack").is("stack_overflow", "certain", &["main thread", "fall is"]);
    assert_eq!(crash.functions()[..2], ["fall", "fall"]);
    assert_eq!(crash.crash()["threads"][0]["complete"], false);
    let thread = Crashed::of("thread_stack");
    let thread = thread.is("stack_overflow", "certain", &["of the thread", "fall is"]);
    assert_eq!(thread.functions()[..2], ["fall", "fall"]);
}

#[test]
fn all_threads_are_shown_the_crashing_one_first() {
    let crash = Crashed::of("thread").is("null", "certain", &["null pointer + 0x3"]);
    let crash = crash.through(&["crash_in_thread"]);
    let threads = crash.crash()["threads"].as_array().expect("a list");
    assert_eq!(
        (threads.len(), &crash.crash()["threads_missing"]),
        (4, &0.into()),
        "{}",
        crash.text
    );
    let crashed: Vec<bool> = threads.iter().filter_map(|t| t["crashed"].as_bool()).collect();
    assert_eq!(crashed, [true, false, false, false]);
    let waits = |thread: &Value| thread["backtrace"].to_string().contains("wait_for_ever");
    assert_eq!(threads.iter().filter(|thread| waits(thread)).count(), 2);
}

#[test]
fn a_handler_is_left_through_the_frame_that_it_interrupted() {
    let crash = Crashed::of("handler").is("null", "certain", &[]);
    let functions = crash.functions();
    let place = |name: &str| functions.iter().position(|function| *function == name);
    assert!(place("on_signal") < place("main") && place("main").is_some(), "{functions:?}");
    assert!(functions.iter().any(|name| name.contains("raise")), "{functions:?}");
}

#[test]
fn a_smashed_stack_ends_the_backtrace() {
    let crash = Crashed::of("smashed").is("non_canonical", "likely", &["return address"]);
    assert_eq!(crash.crash()["threads"][0]["complete"], false, "{}", crash.text);
    assert_eq!(crash.functions(), ["main"]);
}

#[test]
fn a_program_that_does_not_crash() {
    let crash = Crashed::of("none");
    assert_eq!(crash.result["crashes"], Value::Array(Vec::new()));
    assert_eq!(crash.result["death"], Value::Null);
    assert!(crash.text.contains("No crash was recorded"), "{}", crash.text);
}
