//! `--sample`: what the tape then holds, and what it says about the rest.

use super::build;
use super::check::{Check, lost_nothing, open, same_behaviour};
use super::history::replay;
use super::ledger::{self, Act, Counts};
use super::run;
use heaptape_tape::{LiveBlock, Moment, ProcessId, Tape};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// Standard errors that a right estimate never is off by.
const ERRORS: f64 = 6.0;
/// What `--sample` is given, and the same in bytes.
const MEAN: (&str, f64) = ("--sample=64K", 65_536.0);

/// Every block of more than some eighty bytes is chosen then: tapes must agree with ledgers to the last
/// block, by whatever ways the blocks came and went.
const NEARLY_ALL: &str = "--sample=2";

#[test]
fn nothing_that_is_chosen_is_lost() {
    for name in ["realloc_forms", "alignment", "new_forms", "exceptions", "rust"] {
        Check::of(name).option(NEARLY_ALL).run();
    }
}

#[test]
fn nothing_is_lost_between_threads() {
    for name in ["realloc_race", "reuse_storm", "many_threads", "short_threads", "tls_destructor"] {
        Check::of(name).option(NEARLY_ALL).run();
    }
}

#[test]
fn nothing_is_lost_over_fork() {
    for name in
        ["fork", "fork_nested", "fork_threads", "fork_then_thread", "vfork_exec", "posix_spawn"]
    {
        Check::of(name).option(NEARLY_ALL).run();
    }
}

#[test]
fn an_allocator_with_operators_of_its_own() {
    Check::of("allocator_operators").option(NEARLY_ALL).run();
}

#[test]
fn sized_frees() {
    // The bare program finds none to call.
    Check::of("sized_free").option(NEARLY_ALL).ledger_may_differ_from_bare().run();
}

/// 1 / p for a block of that size.
fn factor(size: u64) -> f64 {
    1.0 / -(-(size.max(1) as f64) / MEAN.1).exp_m1()
}

/// The counts of all processes, whoever they are.
fn sum<'a>(pages: impl Iterator<Item = &'a Counts>) -> Counts {
    let mut all = Counts::new();
    for (key, count) in pages.flatten() {
        *all.entry(key.clone()).or_default() += count;
    }
    all
}

/// Of every act, function and size: the blocks on the tape, each for as many as it stands for, are as many as
/// the ledger has.
#[test]
fn estimates_agree_with_the_ledger() {
    let words = [build::target("sampled").into()];
    let (bare, recorded) = (run::bare(&words), run::recorded(&[MEAN.0], &words));
    same_behaviour(&bare, &recorded);
    let pages = ledger::parse(&recorded.ledger);
    let expected = sum(pages.iter().map(|page| &page.counts));
    let tape = open(&recorded);
    assert_eq!(tape.header().sample_bytes as f64, MEAN.1);
    lost_nothing(&tape, false);

    let sizes: BTreeSet<u64> = pages.iter().flat_map(ledger::Page::sizes).collect();
    let found: Vec<Counts> =
        tape.processes().iter().map(|process| replay(&tape, process.id, &sizes).counts).collect();
    let found = sum(found.iter());
    for (key, &expected) in &expected {
        let found = found.get(key).copied().unwrap_or(0) as f64;
        agrees(found, expected, key.2, &format!("{key:?}"));
    }
    assert!(found.keys().all(|key| expected.contains_key(key)), "{found:?}");

    let live: Vec<LiveBlock> = blocks_at_the_end(&tape);
    for &size in &sizes {
        let of = |act| {
            let rows = pages[pages.len() - 1].counts.iter();
            rows.filter(|(key, _)| (key.0, key.2) == (act, size)).map(|(_, n)| n).sum::<u64>()
        };
        let found = live.iter().filter(|block| block.size == size).count();
        agrees(found as f64, of(Act::Took) - of(Act::Gave), size, &format!("live of {size}"));
    }
}

fn blocks_at_the_end(tape: &Tape) -> Vec<LiveBlock> {
    tape.live_at(ProcessId(0), Moment::End).expect("a live set").blocks().copied().collect()
}

/// Whether `found` blocks of that size on the tape may stand for `expected`. The variance of n blocks of one
/// size is n (1 − p) / p²·p = n (1/p − 1); all that are chosen for certain must be there.
fn agrees(found: f64, expected: u64, size: u64, what: &str) {
    let factor = factor(size);
    let (estimate, expected) = (found * factor, expected as f64);
    let error = (expected * (factor - 1.0)).sqrt();
    // Few blocks are not distributed normally: the bound is that of a Poisson number of them.
    let bound = ERRORS * error + if error < 0.001 { 0.0 } else { ERRORS * ERRORS * factor / 2.0 };
    assert!(
        (estimate - expected).abs() <= bound.max(0.01),
        "{what}: {found} blocks stand for {estimate}, not {expected} ± {error}"
    );
}

/// A summary, as JSON.
fn summary(recorded: &run::Outcome) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_heaptape"))
        .args(["summary", "--json"])
        .arg(recorded.tape())
        .output()
        .expect("a summary");
    assert!(output.status.success(), "{output:?}");
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    json["results"][0].clone()
}

/// The sums of a report are those of a full recording, give or take what it says itself.
#[test]
fn reports_say_how_far_off_they_are() {
    let words = [build::target("sampled").into(), "alone".into()];
    let full = summary(&run::recorded(&[], &words));
    let sampled = summary(&run::recorded(&[MEAN.0], &words));
    assert!(full["process"]["sample"].is_null() && full["peak"]["error"].is_null());
    assert_eq!(sampled["process"]["sample"]["mean_bytes"].as_f64(), Some(MEAN.1));
    assert!(sampled["temporary"].is_null(), "nobody knows what came in between");
    let number = |json: &Value, path: &str| {
        json.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} in {json}"))
    };
    for (value, error) in [
        ("/allocated/bytes", "/allocated/error/bytes"),
        ("/allocated/calls", "/allocated/error/blocks"),
        ("/peak/total/bytes", "/peak/error/bytes"),
        ("/peak/total/blocks", "/peak/error/blocks"),
        ("/never_freed/total/bytes", "/never_freed/error/bytes"),
    ] {
        let (truth, estimate) = (number(&full, value), number(&sampled, value));
        let error = number(&sampled, error);
        assert!(error > 0.0 && error < truth / 4.0, "{value}: {estimate} ± {error}");
        assert!(
            (estimate - truth).abs() < ERRORS * error,
            "{value}: {estimate} ± {error}, not {truth}"
        );
    }
}
