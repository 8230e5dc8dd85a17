//! The rules, one function each; those on one subject share a file.

mod blocks;
mod calls;
mod faults;
mod held;
mod pages;

use super::evidence::Evidence;
use super::finding::{Finding, Link, Page, Part, Rule, Severity};
use crate::sites::SiteId;

/// What finds one kind of thing.
pub(super) struct Ruling {
    pub(super) rule: Rule,
    /// What it looks for, with its thresholds: a sentence without a full stop.
    pub(super) looks_for: fn() -> Vec<Part>,
    /// Why it cannot be asked of this recording.
    pub(super) cannot: fn(&Evidence<'_>) -> Option<&'static str>,
    /// What it finds.
    pub(super) find: fn(&Evidence<'_>) -> Vec<Finding>,
}

/// Every rule, in the order of [`Rule`].
pub(super) const ALL: &[Ruling] = &[
    faults::CRASH,
    faults::ERRORS,
    faults::FAILED,
    faults::LOST,
    held::GROWTH,
    held::PEAK_SHARE,
    held::SPIKE,
    calls::TEMPORARY,
    calls::REALLOC,
    pages::PINNED,
    pages::RETAINED,
    pages::UNTOUCHED,
    blocks::ROUNDING,
    blocks::SAME_SIZE,
    calls::EMPTY,
    held::NEVER_FREED,
];

/// A sentence from words and numbers.
macro_rules! sentence {
    ($($part:expr),* $(,)?) => { vec![$($crate::findings::Part::from($part)),*] };
}
use sentence;

const MIB: u64 = 1 << 20;

/// Of every recording.
fn always(_: &Evidence<'_>) -> Option<&'static str> {
    None
}

/// Of recordings that hold every block.
fn of_whole_recordings(evidence: &Evidence<'_>) -> Option<&'static str> {
    (!evidence.whole).then_some("the tape is a sample")
}

/// Whether `part` is at least so many percent of `whole`.
fn is_share(part: u64, whole: u64, percent: u64) -> bool {
    whole > 0 && u128::from(part) * 100 >= u128::from(whole) * u128::from(percent)
}

/// A finding at a call site.
fn at_site(
    evidence: &Evidence<'_>,
    (rule, severity): (Rule, Severity),
    site: SiteId,
    bytes: u64,
    parts: Vec<Part>,
    links: Vec<Link>,
) -> Finding {
    Finding { rule, severity, parts, site: Some(evidence.site(site)), bytes, links }
}

/// The page that shows the peak.
fn at_peak(evidence: &Evidence<'_>, page: Page) -> Link {
    Link::to(page).metric("live").at(evidence.totals.peak_event)
}
