//! What is asked for again and again.

use super::*;
use crate::findings::chains::{Chained, MIN_COPIED_TIMES, MIN_STEPS};

/// Temporary blocks of one site from which on they are told.
const MIN_TEMPORARY: u64 = 250_000;
/// Percent of all calls that they must be.
const TEMPORARY_PERCENT: u64 = 10;
/// Blocks from which on they matter.
const MANY_TEMPORARY: u64 = 5_000_000;
/// Sites that are told at most.
const MOST: usize = 2;

/// Bytes that chains of reallocs of one site must have copied.
const MIN_COPIED: u64 = 16 * MIB;
/// Bytes from which on it matters.
const MANY_COPIED: u64 = 1 << 30;

/// Calls for no bytes of one site, and percent of all calls.
const MIN_EMPTY: u64 = 10_000;
const EMPTY_PERCENT: u64 = 1;

pub(super) const TEMPORARY: Ruling = Ruling {
    rule: Rule::Temporary,
    looks_for: || {
        sentence![
            "a call site with ",
            Part::count(MIN_TEMPORARY, "block"),
            ", ",
            Part::percent(TEMPORARY_PERCENT),
            " of all calls, that were freed before their thread's next allocation"
        ]
    },
    cannot: of_whole_recordings,
    find: |evidence| {
        let calls = evidence.totals.allocs;
        let mut found: Vec<_> = evidence.gathered.temporary.iter().collect();
        found.retain(|(_, temporary)| {
            temporary.blocks >= MIN_TEMPORARY
                && is_share(temporary.blocks, calls, TEMPORARY_PERCENT)
        });
        found.sort_by_key(|(_, temporary)| std::cmp::Reverse(temporary.blocks));
        let finding = |&&(site, temporary): &&(SiteId, crate::Weight)| {
            let parts = sentence![
                Part::Site,
                " makes ",
                Part::count(temporary.blocks, "temporary block"),
                " of ",
                Part::Bytes(temporary.bytes / temporary.blocks),
                " on average, ",
                Part::Share { part: temporary.blocks, whole: calls },
                " of all calls: each is freed before the next allocation",
            ];
            let many = temporary.blocks >= MANY_TEMPORARY;
            let severity = if many { Severity::Medium } else { Severity::Low };
            let links = vec![
                Link::to(Page::Flame).metric("temp").of_site(),
                Link::to(Page::Tables).metric("temp"),
            ];
            at_site(evidence, (Rule::Temporary, severity), site, temporary.bytes, parts, links)
        };
        found.iter().take(MOST).map(finding).collect()
    },
};

pub(super) const REALLOC: Ruling = Ruling {
    rule: Rule::Realloc,
    looks_for: || {
        sentence![
            "blocks that grow by realloc in ",
            Part::count(MIN_STEPS, "step"),
            " or more and copy ",
            Part::count(MIN_COPIED_TIMES, "time"),
            " their last size, where that is ",
            Part::Bytes(MIN_COPIED),
            " of one call site"
        ]
    },
    cannot: of_whole_recordings,
    find: |evidence| {
        let many = evidence.gathered.chained.iter();
        let many = many.filter(|(_, chained)| chained.copied_bytes >= MIN_COPIED);
        let finding = |&(site, chained): &(SiteId, Chained)| {
            let mut parts = sentence![
                Part::Site,
                " copies up to ",
                Part::Bytes(chained.copied_bytes),
                " to grow ",
            ];
            parts.extend(match chained.chains {
                1 => sentence!["one block by ", Part::count(chained.steps, "realloc")],
                chains => sentence![
                    Part::count(chains, "block"),
                    " by ",
                    Part::count(chained.steps, "realloc")
                ],
            });
            parts.extend(sentence![" to ", Part::Bytes(chained.last_bytes)]);
            let severity =
                if chained.copied_bytes >= MANY_COPIED { Severity::Medium } else { Severity::Low };
            let links = vec![Link::to(Page::Flame).metric("alloc").of_site()];
            at_site(evidence, (Rule::Realloc, severity), site, chained.copied_bytes, parts, links)
        };
        many.take(MOST).map(finding).collect()
    },
};

pub(super) const EMPTY: Ruling = Ruling {
    rule: Rule::Empty,
    looks_for: || {
        sentence![
            "a call site that asks ",
            Part::count(MIN_EMPTY, "time"),
            ", ",
            Part::percent(EMPTY_PERCENT),
            " of all calls, for 0 bytes"
        ]
    },
    cannot: of_whole_recordings,
    find: |evidence| {
        let calls = evidence.totals.allocs;
        let many = evidence
            .gathered
            .empty
            .iter()
            .filter(|&&(_, count)| count >= MIN_EMPTY && is_share(count, calls, EMPTY_PERCENT));
        let finding = |&(site, count): &(SiteId, u64)| {
            let parts = sentence![
                Part::Site,
                " asks ",
                Part::count(count, "time"),
                " for 0 bytes, ",
                Part::Share { part: count, whole: calls },
                " of all calls: each gets a block of its own",
            ];
            let links = vec![Link::to(Page::Blocks).metric("alloc").of_site().size(0)];
            at_site(evidence, (Rule::Empty, Severity::Low), site, 0, parts, links)
        };
        many.take(1).map(finding).collect()
    },
};
