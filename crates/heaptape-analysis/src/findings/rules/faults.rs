//! What is wrong: crashes, errors, calls that failed, leaks.

use super::*;
use crate::Weight;
use crate::growth;

/// Lost bytes of a site from which on they are told.
const MIN_LOST_BYTES: u64 = 1 << 10;
/// Or lost blocks.
const MIN_LOST_BLOCKS: u64 = 10;
/// Lost bytes of a site from which on they matter, and are grave.
const MANY_LOST_BYTES: u64 = 4 << 10;
const GRAVE_LOST_BYTES: u64 = 16 << 10;
/// Or lost blocks.
const MANY_LOST_BLOCKS: u64 = 100;
const GRAVE_LOST_BLOCKS: u64 = 1000;
/// Sites that are told at most.
const MOST_LOST: usize = 3;

pub(super) const CRASH: Ruling = Ruling {
    rule: Rule::Crash,
    looks_for: || sentence!["a crash"],
    cannot: always,
    find: |evidence| {
        let crash = evidence.crash.map(|crash| Finding {
            rule: Rule::Crash,
            severity: Severity::High,
            parts: sentence![
                "It crashed: ",
                Part::Signal(crash.signal),
                " at ",
                Part::TimeNs(crash.time_ns)
            ],
            site: None,
            // First of all.
            bytes: u64::MAX,
            links: vec![Link::to(Page::Crash)],
        });
        crash.into_iter().collect()
    },
};

pub(super) const ERRORS: Ruling = Ruling {
    rule: Rule::Errors,
    looks_for: || {
        sentence!["wrong frees, reallocs and deletes, and overwrites where blocks are guarded"]
    },
    cannot: always,
    find: |evidence| {
        let errors = evidence.errors;
        if errors.total == 0 {
            return Vec::new();
        }
        let mut parts = sentence!["The heap is used wrongly: "];
        for (index, kind) in errors.kinds.iter().enumerate() {
            if index > 0 {
                parts.push(Part::from(", "));
            }
            parts.push(Part::Errors(*kind));
        }
        let links = vec![Link::to(Page::Summary)];
        let (rule, severity) = (Rule::Errors, Severity::High);
        vec![Finding { rule, severity, parts, site: None, bytes: u64::MAX, links }]
    },
};

pub(super) const FAILED: Ruling = Ruling {
    rule: Rule::Failed,
    looks_for: || sentence!["allocation calls that failed"],
    cannot: always,
    find: |evidence| {
        let Some((size, site)) = evidence.gathered.largest_failed else { return Vec::new() };
        let which = if evidence.failed > 1 { " failed, the largest for " } else { " failed, for " };
        let parts = sentence![
            Part::count(evidence.failed, "allocation call"),
            which,
            Part::Bytes(size),
            " by ",
            Part::Site,
        ];
        let links = vec![Link::to(Page::Summary)];
        vec![at_site(evidence, (Rule::Failed, Severity::Medium), site, 0, parts, links)]
    },
};

pub(super) const LOST: Ruling = Ruling {
    rule: Rule::Lost,
    looks_for: || {
        sentence![
            "call sites that lost ",
            Part::Bytes(MIN_LOST_BYTES),
            " or ",
            Part::count(MIN_LOST_BLOCKS, "block"),
            ": nothing points to them any more"
        ]
    },
    cannot: |evidence| evidence.leaks.is_none().then_some("nobody searched for leaks"),
    find: |evidence| {
        let lost = evidence
            .gathered
            .lost
            .iter()
            .filter(|(_, lost)| lost.bytes >= MIN_LOST_BYTES || lost.blocks >= MIN_LOST_BLOCKS);
        let finding = |&(site, lost): &(SiteId, Weight)| {
            let severity = lost_severity(&lost);
            let mut parts = sentence![
                Part::Site,
                " leaks ",
                Part::Bytes(lost.bytes),
                " in ",
                Part::count(lost.blocks, "block"),
                ": nothing points to them any more",
            ];
            let series = evidence.gathered.over_time.get(&site);
            if lost.blocks > 1 && series.is_some_and(|series| growth::only_grew(series)) {
                parts.push(Part::from(", and they become more all the time"));
            }
            let links = vec![
                Link::to(Page::Leaks).of_site(),
                Link::to(Page::Flame).metric("leaked").of_site(),
            ];
            at_site(evidence, (Rule::Lost, severity), site, lost.bytes, parts, links)
        };
        lost.take(MOST_LOST).map(finding).collect()
    },
};

fn lost_severity(lost: &Weight) -> Severity {
    let is = |bytes, blocks| lost.bytes >= bytes || lost.blocks >= blocks;
    if is(GRAVE_LOST_BYTES, GRAVE_LOST_BLOCKS) {
        Severity::High
    } else if is(MANY_LOST_BYTES, MANY_LOST_BLOCKS) {
        Severity::Medium
    } else {
        Severity::Low
    }
}
