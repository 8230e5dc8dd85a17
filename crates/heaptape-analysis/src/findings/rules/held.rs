//! Who holds memory, and for how long.

use super::*;

/// Of a peak below this nobody asks who holds it.
const MIN_PEAK: u64 = 4 * MIB;
/// Percent of the peak that one site must hold.
const PEAK_PERCENT: u64 = 40;
/// Bytes from which on it matters.
const LARGE: u64 = 16 * MIB;

/// Bytes that a growing site must have in the end, and percent of the peak.
const MIN_GROWN: u64 = MIB;
const GROWN_PERCENT: u64 = 5;
/// Of its least live bytes in each quarter of the run, percent of the last one that each step must rise; and half of it
/// from there to the end.
const STEP_PERCENT: u64 = 10;
/// Growth over a shorter time is how work begins.
const MIN_GROWING_NS: u64 = 2_000_000_000;
/// From so much time on it hardly is.
const LONG_NS: u64 = 30_000_000_000;
/// Sites that are told at most.
const MOST_GROWING: usize = 3;

/// Percent of the run during which more than half of a short peak is live, at most.
const SPIKE_PERCENT: u64 = 5;

/// Percent of the peak, and bytes, that are kept until the end.
const KEPT_PERCENT: u64 = 25;
const MIN_KEPT: u64 = 8 * MIB;

pub(super) const PEAK_SHARE: Ruling = Ruling {
    rule: Rule::PeakShare,
    looks_for: || {
        sentence![
            "a call site that holds ",
            Part::percent(PEAK_PERCENT),
            " of a peak of at least ",
            Part::Bytes(MIN_PEAK)
        ]
    },
    cannot: always,
    find: |evidence| {
        let peak = evidence.gathered.peak.iter().map(|(_, held)| held.bytes).sum::<u64>();
        if peak < MIN_PEAK {
            return Vec::new();
        }
        let holds = |held: &&(SiteId, crate::Weight)| is_share(held.1.bytes, peak, PEAK_PERCENT);
        let finding = |&(site, held): &(SiteId, crate::Weight)| {
            let share = Part::Share { part: held.bytes, whole: peak };
            let mut parts = sentence![share, " of the peak is ", Part::Bytes(held.bytes)];
            parts.push(match held.blocks {
                1 => Part::from(" in one block"),
                _ => Part::from(" in "),
            });
            if held.blocks != 1 {
                parts.push(Part::count(held.blocks, "block"));
            }
            parts.extend(sentence![" of ", Part::Site]);
            let severity = if held.bytes >= LARGE { Severity::Medium } else { Severity::Low };
            let links = vec![
                at_peak(evidence, Page::Flame).of_site(),
                at_peak(evidence, Page::Layout).of_site(),
            ];
            at_site(evidence, (Rule::PeakShare, severity), site, held.bytes, parts, links)
        };
        evidence.gathered.peak.iter().filter(holds).map(finding).collect()
    },
};

pub(super) const GROWTH: Ruling = Ruling {
    rule: Rule::Growth,
    looks_for: || {
        sentence![
            "a call site that grows during a run of at least ",
            Part::DurationNs(MIN_GROWING_NS),
            ": its fewest live bytes rise from each quarter to the next by ",
            Part::percent(STEP_PERCENT),
            " of the last, and half as much until the end, which is ",
            Part::Bytes(MIN_GROWN),
            " and ",
            Part::percent(GROWN_PERCENT),
            " of the peak"
        ]
    },
    cannot: always,
    find: |evidence| {
        if evidence.span_ns() < MIN_GROWING_NS {
            return Vec::new();
        }
        let candidates = evidence.gathered.never_freed.iter().filter(|(site, held)| {
            let series = evidence.gathered.over_time.get(site);
            held.bytes >= MIN_GROWN
                && is_share(held.bytes, evidence.totals.peak_bytes, GROWN_PERCENT)
                && series.is_some_and(|series| grows(series))
        });
        let finding = |&(site, held): &(SiteId, crate::Weight)| {
            let series = &evidence.gathered.over_time[&site];
            let half = series[series.len() / 2 - 1];
            let mut parts = sentence![
                Part::Site,
                " grows during the whole run: ",
                Part::Bytes(half),
                " half-way, ",
                Part::Bytes(held.bytes),
                " at the end",
            ];
            if evidence.leaks.is_some_and(|leaks| leaks.definite.blocks == 0) {
                parts.push(Part::from("; something still points to each block"));
            }
            let long = evidence.span_ns() >= LONG_NS;
            let severity = if long { Severity::Medium } else { Severity::Low };
            let links = vec![
                Link::to(Page::Flame).metric("leaked").of_site(),
                Link::to(Page::Tables).metric("leaked"),
            ];
            at_site(evidence, (Rule::Growth, severity), site, held.bytes, parts, links)
        };
        candidates.take(MOST_GROWING).map(finding).collect()
    },
};

/// Whether the fewest live bytes rise from quarter to quarter: what has become full, does not; what comes and goes, may.
pub(super) fn grows(series: &[u64]) -> bool {
    let quarter = (series.len() / 4).max(1);
    let least: Vec<u64> =
        series.chunks(quarter).map(|part| part.iter().copied().min().unwrap_or(0)).collect();
    let (last, end) = (least.last().copied().unwrap_or(0), series.last().copied().unwrap_or(0));
    let rises = |from: u64, to: u64, percent| is_share(to.saturating_sub(from), last, percent);
    least.windows(2).all(|two| rises(two[0], two[1], STEP_PERCENT))
        && rises(last, end, STEP_PERCENT / 2)
}

pub(super) const SPIKE: Ruling = Ruling {
    rule: Rule::Spike,
    looks_for: || {
        sentence![
            "a peak of at least ",
            Part::Bytes(LARGE),
            " of which more than half is live for less than ",
            Part::percent(SPIKE_PERCENT),
            " of the run"
        ]
    },
    cannot: always,
    find: |evidence| {
        let (peak, buckets) = (evidence.totals.peak_bytes, &evidence.series.buckets);
        let high = buckets.iter().filter(|bucket| bucket.max_bytes > peak / 2).count() as u64;
        let all = buckets.len() as u64;
        if peak < LARGE || is_share(high, all, SPIKE_PERCENT) {
            return Vec::new();
        }
        let spike_ns =
            (u128::from(evidence.span_ns()) * u128::from(high)).div_ceil(u128::from(all.max(1)));
        let parts = sentence![
            "More than half of the peak of ",
            Part::Bytes(peak),
            " is live for at most ",
            Part::DurationNs(spike_ns as u64),
            " of ",
            Part::DurationNs(evidence.span_ns()),
            ": one step needs most of the memory",
        ];
        let links = vec![at_peak(evidence, Page::Flame)];
        let (rule, severity) = (Rule::Spike, Severity::Low);
        vec![Finding { rule, severity, parts, site: None, bytes: peak / 2, links }]
    },
};

pub(super) const NEVER_FREED: Ruling = Ruling {
    rule: Rule::NeverFreed,
    looks_for: || {
        sentence![
            "blocks that are never freed though something points to them: ",
            Part::Bytes(MIN_KEPT),
            " and ",
            Part::percent(KEPT_PERCENT),
            " of the peak"
        ]
    },
    cannot: |evidence| evidence.leaks.is_none().then_some("nobody searched for leaks"),
    find: |evidence| {
        let Some(kept) = evidence.leaks.map(|leaks| leaks.reachable) else { return Vec::new() };
        let is_much = is_share(kept.bytes, evidence.totals.peak_bytes, KEPT_PERCENT);
        let Some(&(site, held)) =
            evidence.gathered.never_freed.first().filter(|_| kept.bytes >= MIN_KEPT && is_much)
        else {
            return Vec::new();
        };
        let parts = sentence![
            Part::Bytes(kept.bytes),
            " in ",
            Part::count(kept.blocks, "block"),
            " are never freed, but something points to them: no leak; ",
            Part::Site,
            " has most of it, ",
            Part::Bytes(held.bytes),
        ];
        let links = vec![Link::to(Page::Flame).metric("leaked"), Link::to(Page::Leaks)];
        vec![at_site(evidence, (Rule::NeverFreed, Severity::Low), site, kept.bytes, parts, links)]
    },
};
