//! Memory that is resident, or was asked for, without being used.

use super::*;

/// Pages' bytes that one site must pin, and percent of all pages of the heap's span.
const MIN_PINNED: u64 = MIB;
const PINNED_PERCENT: u64 = 10;
/// They hold at least so many times the site's own bytes.
const PINNED_TIMES: u64 = 8;
/// Bytes from which on it matters.
const LARGE: u64 = 16 * MIB;

/// Bytes that an allocator must keep resident without a block, and percent of what it has.
const MIN_RETAINED: u64 = 16 * MIB;
const RETAINED_PERCENT: u64 = 30;
/// Bytes from which on it matters.
const MANY_RETAINED: u64 = 128 * MIB;
/// Arenas from which on their number is told.
const MANY_ARENAS: u64 = 8;

/// Bytes that must be live and not resident, and percent of the live ones.
const MIN_UNTOUCHED: u64 = 16 * MIB;
const UNTOUCHED_PERCENT: u64 = 25;

pub(super) const PINNED: Ruling = Ruling {
    rule: Rule::PinnedPages,
    looks_for: || {
        sentence![
            "a call site with blocks at the end in pages less than 25 % used, that are ",
            Part::Bytes(MIN_PINNED),
            " and ",
            Part::percent(PINNED_PERCENT),
            " of the heap, and ",
            Part::count(PINNED_TIMES, "time"),
            " its own bytes there"
        ]
    },
    cannot: of_whole_recordings,
    find: |evidence| {
        let span = evidence.layout.total.span_bytes;
        let pin = evidence.layout.pins.iter().find(|pin| {
            pin.held_bytes >= MIN_PINNED
                && is_share(pin.held_bytes, span, PINNED_PERCENT)
                && pin.own_bytes.saturating_mul(PINNED_TIMES) <= pin.held_bytes
        });
        let finding = pin.map(|pin| {
            let severity = if pin.held_bytes >= LARGE { Severity::Medium } else { Severity::Low };
            Finding {
                rule: Rule::PinnedPages,
                severity,
                parts: sentence![
                    Part::count(pin.pages, "page"),
                    " (",
                    Part::Bytes(pin.held_bytes),
                    ") are less than 25 % used at the end and cannot be given back: blocks of ",
                    Part::Site,
                    " lie there, ",
                    Part::Bytes(pin.own_bytes),
                ],
                site: Some(pin.site.clone()),
                bytes: pin.held_bytes,
                links: vec![
                    Link::to(Page::Layout).metric("live").at(evidence.totals.events).of_site(),
                ],
            }
        });
        finding.into_iter().collect()
    },
};

pub(super) const RETAINED: Ruling = Ruling {
    rule: Rule::Retained,
    looks_for: || {
        sentence![
            "an allocator that keeps ",
            Part::Bytes(MIN_RETAINED),
            " and ",
            Part::percent(RETAINED_PERCENT),
            " of its resident memory at the end without blocks"
        ]
    },
    cannot: |evidence| {
        let known = evidence.residence.is_some_and(|residence| residence.at_end.is_some());
        (!known).then_some("it is not recorded what was resident at the end")
    },
    find: |evidence| {
        let Some(end) = evidence.residence.and_then(|residence| residence.at_end.as_ref()) else {
            return Vec::new();
        };
        let (kept, all) = (end.free_bytes(), end.allocator_bytes());
        if kept < MIN_RETAINED || !is_share(kept, all, RETAINED_PERCENT) {
            return Vec::new();
        }
        let mut parts = sentence![
            "The allocator keeps ",
            Part::Bytes(kept),
            " resident at the end without a block in it, ",
            Part::Share { part: kept, whole: all },
            " of what it has",
        ];
        if end.arenas >= MANY_ARENAS {
            parts.extend(sentence![
                ", in ",
                Part::count(end.arenas, "arena"),
                ": fewer (M_ARENA_MAX) would share it, malloc_trim gives it back",
            ]);
        } else {
            parts.push(Part::from(": malloc_trim gives back what no block pins"));
        }
        let severity = if kept >= MANY_RETAINED { Severity::Medium } else { Severity::Low };
        let links = vec![Link::to(Page::Layout).metric("live").at(evidence.totals.events)];
        vec![Finding { rule: Rule::Retained, severity, parts, site: None, bytes: kept, links }]
    },
};

pub(super) const UNTOUCHED: Ruling = Ruling {
    rule: Rule::Untouched,
    looks_for: || {
        sentence![
            "live bytes that cannot be resident when most memory is, as all private memory is less: ",
            Part::Bytes(MIN_UNTOUCHED),
            " and ",
            Part::percent(UNTOUCHED_PERCENT),
            " of them"
        ]
    },
    cannot: |evidence| {
        of_whole_recordings(evidence)
            .or_else(|| evidence.residence.is_none().then_some("no resident memory is recorded"))
    },
    find: |evidence| {
        let Some(residence) = evidence.residence else { return Vec::new() };
        let (untouched, live) =
            (residence.peak.untouched_bytes(), residence.peak.live_bytes.unwrap_or(0));
        if untouched < MIN_UNTOUCHED || !is_share(untouched, live, UNTOUCHED_PERCENT) {
            return Vec::new();
        }
        let parts = sentence![
            "At least ",
            Part::Bytes(untouched),
            " of the ",
            Part::Bytes(live),
            " live at ",
            Part::TimeNs(residence.peak.time_ns),
            ", when most memory is resident, were never touched and take none",
        ];
        let links = vec![Link::to(Page::Summary)];
        let (rule, severity) = (Rule::Untouched, Severity::Low);
        vec![Finding { rule, severity, parts, site: None, bytes: untouched, links }]
    },
};
