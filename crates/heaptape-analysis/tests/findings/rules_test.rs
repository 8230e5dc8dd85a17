//! The rules one by one.

use crate::story::*;
use heaptape_analysis::findings::{Findings, Severity};
use heaptape_tape::*;

/// The only finding of that rule is about that function; an empty name: about none.
#[track_caller]
fn finds(findings: &Findings, rule: &str, about: &str) {
    let found = of(findings, rule);
    assert_eq!(found.len(), 1, "{findings:#?}");
    assert_eq!(function(found[0]), about);
}

#[track_caller]
fn silent(findings: &Findings, rule: &str) {
    assert_eq!(of(findings, rule), Vec::<&_>::new());
    let asked = findings.checked.iter().any(|check| check.rule.name() == rule);
    assert!(asked, "{rule} was not asked: {:?}", findings.unchecked);
}

#[test]
fn crash() {
    let story = |crashes: bool| {
        let mut story = Story::new();
        story.alloc("main", 10);
        if crashes {
            let crash = Crash { signal: 11, ..Crash::unknown(ProcessId(0)) };
            story.recording.crashes.push(crash);
        }
        story.findings()
    };
    finds(&story(true), "crash", "");
    silent(&story(false), "crash");
}

#[test]
fn errors() {
    let story = |again: bool| {
        let mut story = Story::new();
        let block = story.alloc("main", 10);
        story.free(block);
        if again {
            story.free(block);
        }
        story.findings()
    };
    finds(&story(true), "errors", "");
    assert_eq!(of(&story(true), "errors")[0].severity, Severity::High);
    silent(&story(false), "errors");
}

#[test]
fn failed() {
    let story = |fails: bool| {
        let mut story = Story::new();
        story.alloc("main", 10);
        if fails {
            story.event(Action::AllocFail, 0, 10, "modest");
            story.event(Action::AllocFail, 0, 1 << 40, "greedy");
        }
        story.findings()
    };
    finds(&story(true), "failed", "greedy");
    silent(&story(false), "failed");
}

/// `blocks` of 160 bytes, of which the search says `kind`.
fn searched(blocks: u64, kind: LeakKind) -> Findings {
    let mut story = Story::new();
    for _ in 0..blocks {
        story.alloc("leak", 160);
        story.wait(1000);
    }
    story.alloc("keep", 64);
    story.search(|addr| if addr < HEAP + blocks * 176 { kind } else { LeakKind::Reachable });
    story.findings()
}

#[test]
fn lost() {
    let grave = searched(600, LeakKind::Definite);
    finds(&grave, "lost", "leak");
    assert_eq!(of(&grave, "lost")[0].severity, Severity::High);
    assert_eq!(of(&grave, "lost")[0].bytes, 96_000);
    let some = searched(20, LeakKind::Definite);
    assert_eq!(of(&some, "lost")[0].severity, Severity::Low);
    silent(&searched(5, LeakKind::Definite), "lost");
    silent(&searched(600, LeakKind::Reachable), "lost");
}

/// What was freed after the search is not lost.
#[test]
fn lost_and_then_freed() {
    let mut story = Story::new();
    let blocks: Vec<u64> = (0..600).map(|_| story.alloc("leak", 160)).collect();
    story.search(|_| LeakKind::Definite);
    blocks.into_iter().for_each(|block| story.free(block));
    silent(&story.findings(), "lost");
}

/// `live(i)`: blocks of 64 KiB that are live in hundredth i of `ns`.
fn over_time(ns: u64, live: impl Fn(u64) -> u64) -> Findings {
    let mut story = Story::new();
    let mut blocks = Vec::new();
    for hundredth in 0..100 {
        while (blocks.len() as u64) < live(hundredth) {
            blocks.push(story.alloc("site", 64 << 10));
        }
        while blocks.len() as u64 > live(hundredth) {
            let block = blocks.pop().unwrap();
            story.free(block);
        }
        story.wait(ns / 100);
    }
    story.findings()
}

#[test]
fn growth() {
    finds(&over_time(10 * SECOND, |i| i), "growth", "site");
    let coming_and_going = |i| i + if i % 5 == 0 { 30 } else { 0 };
    finds(&over_time(10 * SECOND, coming_and_going), "growth", "site");
    assert_eq!(of(&over_time(60 * SECOND, |i| i), "growth")[0].severity, Severity::Medium);
    // A cache that is full after a while; one that is full near the end; a short run; a little.
    silent(&over_time(10 * SECOND, |i| i.min(30)), "growth");
    silent(&over_time(10 * SECOND, |i| i.min(70)), "growth");
    silent(&over_time(SECOND, |i| i), "growth");
    silent(&over_time(10 * SECOND, |i| i / 8), "growth");
    // What comes and goes at the same height.
    silent(&over_time(10 * SECOND, |i| 20 + i % 7), "growth");
}

#[test]
fn peak_share() {
    let story = |others: u64| {
        let mut story = Story::new();
        story.alloc("image", 5 * MIB);
        story.alloc("one", others);
        story.alloc("two", others);
        story.findings()
    };
    finds(&story(MIB), "peak_share", "image");
    silent(&story(4 * MIB), "peak_share");
    let mut little = Story::new();
    little.alloc("image", MIB);
    silent(&little.findings(), "peak_share");
}

#[test]
fn spike() {
    let story = |hundredths: u64| {
        over_time(10 * SECOND, |i| if (50..50 + hundredths).contains(&i) { 320 } else { 10 })
    };
    finds(&story(2), "spike", "");
    silent(&story(20), "spike");
}

#[test]
fn temporary() {
    let story = |kept_longer: bool| {
        let mut story = Story::new();
        let mut before = None;
        for _ in 0..250_000 {
            let block = story.alloc("build_key", 24);
            match kept_longer {
                false => story.free(block),
                true => {
                    if let Some(before) = before.replace(block) {
                        story.free(before);
                    }
                }
            }
        }
        story.findings()
    };
    finds(&story(false), "temporary", "build_key");
    silent(&story(true), "temporary");
}

#[test]
fn realloc() {
    let story = |next: fn(u64) -> u64, moves: bool| {
        let mut story = Story::new();
        for _ in 0..40 {
            let mut size = 1024;
            let mut block = story.alloc("append", size);
            while size < 100 << 10 {
                size = next(size);
                block = story.realloc(block, "append", size, moves);
            }
            story.free(block);
        }
        story.findings()
    };
    let in_steps = story(|size| size + 1024, true);
    finds(&in_steps, "realloc", "append");
    // 40 times 1 + 2 + … + 99 KiB.
    assert_eq!(of(&in_steps, "realloc")[0].bytes, 40 * (99 * 100 / 2) * 1024);
    silent(&story(|size| size + 1024, false), "realloc");
    silent(&story(|size| size * 2, true), "realloc");
}

/// A realloc that fails leaves the chain as it was.
#[test]
fn realloc_that_fails() {
    let mut story = Story::new();
    let mut block = story.alloc("append", 1000);
    for step in 1..2000 {
        story.event(Action::ReallocRelease, block, 1 << 50, "append");
        story.event(Action::ReallocFail, block, 1 << 50, "append");
        block = story.realloc(block, "append", 1000 + step * 16, true);
    }
    finds(&story.findings(), "realloc", "append");
}

#[test]
fn pinned_pages() {
    let story = |gap: u64| {
        let mut story = Story::new();
        for index in 0..1000 {
            let addr = HEAP + index * gap;
            story.event(Action::Alloc, addr, 64, "entry");
        }
        story.findings()
    };
    finds(&story(4096), "pinned_pages", "entry");
    silent(&story(80), "pinned_pages");
}

#[test]
fn retained() {
    let story = |resident: u64, arenas: &[u64]| {
        let mut story = Story::new();
        story.alloc("kept", 20 * MIB);
        story.sample(60 * MIB);
        story.resident(resident, arenas);
        story.findings()
    };
    let found = story(60 * MIB, &[]);
    finds(&found, "retained", "");
    assert_eq!(of(&found, "retained")[0].bytes, 40 * MIB - (usable(20 * MIB) - 20 * MIB));
    finds(&story(21 * MIB, &[4 * MIB; 9]), "retained", "");
    silent(&story(25 * MIB, &[]), "retained");
    let mut unknown = Story::new();
    unknown.sample(60 * MIB);
    let unknown = unknown.findings();
    assert!(unknown.unchecked.iter().any(|check| check.rule.name() == "retained"));
}

#[test]
fn untouched() {
    let story = |anon: u64| {
        let mut story = Story::new();
        story.alloc("table", 100 * MIB);
        story.wait(10);
        story.sample(anon);
        story.findings()
    };
    finds(&story(60 * MIB), "untouched", "");
    silent(&story(90 * MIB), "untouched");
}

/// Memory that is touched a while after it was asked for is no news.
#[test]
fn untouched_for_a_while() {
    let mut story = Story::new();
    story.alloc("table", 100 * MIB);
    story.wait(10);
    story.sample(MIB);
    story.wait(10);
    story.sample(100 * MIB);
    silent(&story.findings(), "untouched");
}

#[test]
fn same_size() {
    let story = |size: fn(u64) -> u64| {
        let mut story = Story::new();
        (0..50_000).for_each(|index| {
            story.alloc("node", size(index));
        });
        story.findings()
    };
    finds(&story(|_| 40), "same_size", "node");
    silent(&story(|index| 20 + index % 40), "same_size");
}

#[test]
fn rounding() {
    let story = |size: u64| {
        let mut story = Story::new();
        (0..200_000).for_each(|_| {
            story.alloc("node", size);
        });
        story.findings()
    };
    finds(&story(8), "rounding", "node");
    silent(&story(24), "rounding");
}

#[test]
fn empty() {
    let story = |size: u64| {
        let mut story = Story::new();
        (0..10_000).for_each(|_| {
            story.alloc("copy", size);
        });
        story.findings()
    };
    finds(&story(0), "empty", "copy");
    silent(&story(1), "empty");
}

#[test]
fn never_freed() {
    let story = |freed: bool| {
        let mut story = Story::new();
        let cache = story.alloc("cache", 9 * MIB);
        for other in ["a", "b", "c"] {
            let block = story.alloc(other, 7 * MIB);
            story.free(block);
        }
        ["a", "b", "c"].into_iter().for_each(|other| {
            story.alloc(other, 5 * MIB);
        });
        if freed {
            story.free(cache);
        }
        story.search(|addr| if addr == cache { LeakKind::Reachable } else { LeakKind::Possible });
        story.findings()
    };
    finds(&story(false), "never_freed", "cache");
    silent(&story(true), "never_freed");
}
