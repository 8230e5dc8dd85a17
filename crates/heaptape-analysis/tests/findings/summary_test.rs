//! All rules together; series of sites; the layers of resident memory.

use crate::story::*;
use heaptape_analysis::findings::{MOST, Rule};
use heaptape_tape::*;
use proptest::prelude::*;

/// A site that holds much of the peak, and has many blocks of one size, is told once.
#[test]
fn one_place_is_told_once() {
    let mut story = Story::new();
    (0..200_000).for_each(|_| {
        story.alloc("node", 40);
    });
    let findings = story.findings();
    assert_eq!(findings.found.len(), 1, "{findings:#?}");
    assert_eq!(of(&findings, "peak_share").len(), 1);
}

#[test]
fn the_gravest_come_first_and_no_more_than_seven() {
    const LEAKS: [&str; 3] = ["leak_a", "leak_b", "leak_c"];
    let mut story = Story::new();
    for (index, name) in (1..).zip(LEAKS) {
        (0..index * 150).for_each(|_| {
            story.alloc(name, 160);
        });
    }
    let end = story.alloc("image", 20 * MIB);
    (0..10_000).for_each(|_| {
        story.alloc("copy", 0);
    });
    story.event(Action::AllocFail, 0, 1 << 40, "greedy");
    (0..1000)
        .for_each(|index| story.event(Action::Alloc, HEAP + (64 << 20) + index * 4096, 64, "pin"));
    story.wait(SECOND);
    story.sample(MIB);
    story.search(|addr| if addr < end { LeakKind::Definite } else { LeakKind::Reachable });
    story.resident(200 * MIB, &[]);
    story.recording.crashes.push(Crash { signal: 6, ..Crash::unknown(ProcessId(0)) });
    let findings = story.findings();
    let rules: Vec<&str> = findings.found.iter().map(|finding| finding.rule.name()).collect();
    assert_eq!(rules[..4], ["crash", "lost", "lost", "lost"], "{findings:#?}");
    assert_eq!(function(&findings.found[1]), "leak_c");
    assert!(findings.found.is_sorted_by_key(|finding| finding.severity));
    assert_eq!(findings.found.len(), MOST);
    assert!(findings.more > 0);
}

/// Nothing is found in nothing, and every rule says what it looked for or why it could not.
#[test]
fn every_rule_is_accounted_for() {
    let findings = Story::new().findings();
    assert_eq!(findings.found, []);
    let mut asked: Vec<Rule> = findings.checked.iter().map(|check| check.rule).collect();
    asked.extend(findings.unchecked.iter().map(|check| check.rule));
    asked.sort_unstable();
    assert_eq!(asked, Rule::ALL);
    let mut sampled = Story::new();
    sampled.alloc("main", 5 * MIB);
    sampled.recording.header.sample_bytes = 4096;
    let sampled = sampled.findings();
    let unchecked: Vec<&str> = sampled.unchecked.iter().map(|check| check.rule.name()).collect();
    assert!(unchecked.contains(&"temporary") && !unchecked.contains(&"peak_share"));
    assert_eq!(of(&sampled, "peak_share").len(), 1);
}

proptest! {
    /// Layers add up to RSS at each sample, whatever the kernel says.
    #[test]
    fn layers_add_up(steps in prop::collection::vec((0_u64..300, 0_u64..200, 0_u64..50, 0_u64..50), 0..40), known in prop::collection::vec(any::<bool>(), 40)) {
        let mut story = Story::new();
        let given = steps.len();
        let all_known = known.iter().take(given).filter(|known| **known).count();
        for ((size, anon, file, more), known) in steps.into_iter().zip(known) {
            story.alloc("site", size << 10);
            story.wait(5);
            let time = TimeNs(story.now_ns());
            let (anon, file) = (anon << 10, file << 10);
            let parts = Private { heap: anon / 2 + more, arenas: anon / 4, stack: 3 * more, files: anon / 8, other: 7 };
            let private = known.then_some(parts);
            let sample = Sample { time, rss: anon + file + more, rss_anon: anon, rss_file: file, private, ..Sample::default() };
            story.recording.samples.entry(ProcessId(0)).or_default().push(sample);
        }
        let Some(residence) = story.summary().residence else { return Ok(()) };
        let explained = residence.explained;
        prop_assert_eq!(explained.rss.len(), if all_known > 0 { all_known } else { given });
        for (index, rss) in explained.rss.iter().enumerate() {
            let sum: u64 = explained.layers.iter().map(|layer| layer.bytes[index]).sum();
            prop_assert_eq!(sum, *rss);
        }
    }

    /// Series against a sum over all blocks at each moment.
    #[test]
    fn series_are_exact(steps in prop::collection::vec((0_usize..4, 1_u64..100, 0_u64..9, any::<bool>()), 0..60), points in 1_usize..9) {
        const SITES: [&str; 4] = ["a", "b", "c", "d"];
        let mut story = Story::new();
        let mut lives: Vec<(usize, u64, u64, u64, u64)> = Vec::new();
        for (site, size, wait, frees) in steps {
            story.wait(wait);
            let live = lives.iter().position(|life| life.4 == u64::MAX);
            match live.filter(|_| frees) {
                Some(index) => {
                    story.free(lives[index].2);
                    lives[index].4 = story.now_ns();
                }
                None => {
                    let addr = story.alloc(SITES[site], size);
                    lives.push((site, size, addr, story.now_ns(), u64::MAX));
                }
            }
        }
        let end = story.now_ns();
        let series = story.series(points, 10);
        prop_assert_eq!(series.points, points);
        for (row, site) in series.sites.iter().enumerate() {
            let name = &*site.frame.as_ref().unwrap().function;
            for (point, &bytes) in series.of_site(row).iter().enumerate() {
                let moment = end * (point as u64 + 1) / points as u64;
                let live = lives.iter().filter(|life| SITES[life.0] == name && life.3 <= moment && life.4 > moment);
                prop_assert_eq!(bytes, live.map(|life| life.1).sum::<u64>());
            }
        }
    }
}
