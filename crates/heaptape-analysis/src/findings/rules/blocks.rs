//! What single blocks cost.

use super::*;
use crate::findings::evidence::{Alike, LARGEST_POOLED, MIN_ALIKE};

/// Percent of the peak that blocks of one size must be, and bytes.
const ALIKE_PERCENT: u64 = 10;
const MIN_ALIKE_BYTES: u64 = MIB;

/// Percent that an allocator must give more than was asked for, and bytes.
const ROUNDING_PERCENT: u64 = 25;
const MIN_ROUNDING: u64 = 2 * MIB;

pub(super) const SAME_SIZE: Ruling = Ruling {
    rule: Rule::SameSize,
    looks_for: || {
        sentence![
            Part::count(MIN_ALIKE, "block"),
            " of one size up to ",
            Part::Bytes(LARGEST_POOLED),
            " and one call site, live at the peak, that are ",
            Part::Bytes(MIN_ALIKE_BYTES),
            " and ",
            Part::percent(ALIKE_PERCENT),
            " of it"
        ]
    },
    cannot: of_whole_recordings,
    find: |evidence| {
        let peak = evidence.totals.peak_bytes;
        let bytes = |alike: &Alike| alike.size.saturating_mul(alike.blocks);
        let many = evidence.gathered.alike.iter().filter(|alike| {
            bytes(alike) >= MIN_ALIKE_BYTES && is_share(bytes(alike), peak, ALIKE_PERCENT)
        });
        let finding = |alike: &Alike| {
            let parts = sentence![
                Part::Site,
                " has ",
                Part::count(alike.blocks, "block"),
                " of ",
                Part::Bytes(alike.size),
                " live at the peak, ",
                Part::Share { part: bytes(alike), whole: peak },
                " of it: a pool would spare a header and a call for each",
            ];
            let links = vec![at_peak(evidence, Page::Blocks).of_site().size(alike.size)];
            let how = (Rule::SameSize, Severity::Low);
            at_site(evidence, how, alike.site, bytes(alike), parts, links)
        };
        many.take(1).map(finding).collect()
    },
};

pub(super) const ROUNDING: Ruling = Ruling {
    rule: Rule::Rounding,
    looks_for: || {
        sentence![
            "a call site whose blocks at the peak are ",
            Part::Bytes(MIN_ROUNDING),
            " and ",
            Part::percent(ROUNDING_PERCENT),
            " larger than was asked for"
        ]
    },
    cannot: of_whole_recordings,
    find: |evidence| {
        let much =
            evidence.gathered.rounding.iter().map(|sum| (sum, sum.usable_bytes - sum.asked_bytes));
        let much = much.filter(|&(sum, more)| {
            more >= MIN_ROUNDING && is_share(more, sum.asked_bytes, ROUNDING_PERCENT)
        });
        much.take(1)
            .map(|(sum, more)| {
                let parts = sentence![
                    "The allocator gives ",
                    Part::Site,
                    " ",
                    Part::Bytes(more),
                    " more than the ",
                    Part::Bytes(sum.asked_bytes),
                    " that it asks for at the peak: ",
                    Part::count(sum.blocks, "block"),
                    " of ",
                    Part::Bytes(sum.asked_bytes / sum.blocks),
                    " on average become ",
                    Part::Bytes(sum.usable_bytes / sum.blocks),
                ];
                let links = vec![at_peak(evidence, Page::Layout).of_site()];
                at_site(evidence, (Rule::Rounding, Severity::Low), sum.site, more, parts, links)
            })
            .collect()
    },
};
