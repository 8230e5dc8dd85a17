//! One finding, as plain data.

use crate::errors::KindCount;
use crate::sites::Site;
use serde::Serialize;

/// A sentence with a number, a place and where to look.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Which rule found it.
    pub rule: Rule,
    /// How much it matters.
    pub severity: Severity,
    /// The sentence, without a full stop.
    pub parts: Vec<Part>,
    /// The call site that it is about; `None`: it is of no place.
    pub site: Option<Site>,
    /// Bytes that it is about: findings of one severity are ordered by it.
    pub bytes: u64,
    /// Where more can be seen.
    pub links: Vec<Link>,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something is wrong.
    High,
    /// It costs much, or goes on growing.
    Medium,
    /// Good to know.
    Low,
}

/// The rules; of those that speak of one topic at one place, the first is heard. `docs/findings.md` explains each under its
/// name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// It died of a fatal signal.
    Crash,
    /// Wrong frees, and overwrites.
    Errors,
    /// Allocation calls failed.
    Failed,
    /// Blocks that nothing leads to.
    Lost,
    /// A site's live bytes grow during the whole run.
    Growth,
    /// One site holds much of the peak.
    PeakShare,
    /// The peak is short.
    Spike,
    /// Blocks that live for one step.
    Temporary,
    /// Blocks that grow in too small steps.
    Realloc,
    /// Few bytes keep many pages.
    PinnedPages,
    /// The allocator keeps memory without blocks.
    Retained,
    /// Memory that was asked for and never touched.
    Untouched,
    /// The allocator gives much more than is asked for.
    Rounding,
    /// Many small blocks of one size.
    SameSize,
    /// Blocks of no bytes.
    Empty,
    /// What is kept until the end, and can be reached.
    NeverFreed,
}

impl Rule {
    /// Every rule, in order.
    pub const ALL: [Rule; 16] = [
        Rule::Crash,
        Rule::Errors,
        Rule::Failed,
        Rule::Lost,
        Rule::Growth,
        Rule::PeakShare,
        Rule::Spike,
        Rule::Temporary,
        Rule::Realloc,
        Rule::PinnedPages,
        Rule::Retained,
        Rule::Untouched,
        Rule::Rounding,
        Rule::SameSize,
        Rule::Empty,
        Rule::NeverFreed,
    ];

    /// Its name in `docs/findings.md` and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Crash => "crash",
            Rule::Errors => "errors",
            Rule::Failed => "failed",
            Rule::Lost => "lost",
            Rule::Growth => "growth",
            Rule::PeakShare => "peak_share",
            Rule::Spike => "spike",
            Rule::Temporary => "temporary",
            Rule::Realloc => "realloc",
            Rule::PinnedPages => "pinned_pages",
            Rule::Retained => "retained",
            Rule::Untouched => "untouched",
            Rule::SameSize => "same_size",
            Rule::Rounding => "rounding",
            Rule::Empty => "empty",
            Rule::NeverFreed => "never_freed",
        }
    }

    /// What it is about: of findings on one topic at one place, only one is shown.
    pub(super) fn topic(self) -> Topic {
        match self {
            Rule::Lost
            | Rule::Growth
            | Rule::PeakShare
            | Rule::SameSize
            | Rule::Rounding
            | Rule::NeverFreed => Topic::Held,
            Rule::Temporary | Rule::Realloc | Rule::Empty => Topic::Calls,
            Rule::PinnedPages | Rule::Retained | Rule::Untouched => Topic::Pages,
            Rule::Crash | Rule::Errors | Rule::Failed | Rule::Spike => Topic::Other,
        }
    }
}

/// What findings are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// Live bytes.
    Held,
    /// Calls.
    Calls,
    /// Resident memory.
    Pages,
    /// Anything else.
    Other,
}

/// A piece of a sentence; numbers are numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Words.
    Text(String),
    /// Bytes.
    Bytes(u64),
    /// So many of something, in the singular.
    Count {
        /// How many.
        number: u64,
        /// What one of them is called.
        one: &'static str,
    },
    /// A part of a whole, as a percentage.
    Share {
        /// The part.
        part: u64,
        /// The whole; at least the part.
        whole: u64,
    },
    /// A moment, in nanoseconds since the recording began.
    TimeNs(u64),
    /// How long, in nanoseconds.
    DurationNs(u64),
    /// A signal.
    Signal(i32),
    /// So many errors of a kind.
    Errors(KindCount),
    /// The call site of the finding.
    Site,
}

impl Part {
    /// Words.
    pub(super) fn text(words: impl Into<String>) -> Part {
        Part::Text(words.into())
    }

    /// So many of something.
    pub(super) fn count(number: u64, one: &'static str) -> Part {
        Part::Count { number, one }
    }

    /// A threshold in percent.
    pub(super) fn percent(percent: u64) -> Part {
        Part::Share { part: percent, whole: 100 }
    }
}

impl From<&str> for Part {
    fn from(words: &str) -> Part {
        Part::text(words)
    }
}

/// A page of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Page {
    /// Why it crashed.
    Crash,
    /// Who called whom.
    Flame,
    /// Call sites and functions.
    Tables,
    /// Where blocks lie.
    Layout,
    /// Single blocks.
    Blocks,
    /// Sizes and lifetimes.
    Histograms,
    /// What is lost.
    Leaks,
    /// The overview.
    Summary,
}

/// A page and the state in which it shows what a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Which page.
    pub page: Page,
    /// The metric's id (`live`, `temp`, …); `None`: as it is.
    pub metric: Option<&'static str>,
    /// The moment, in events of the process; `None`: as it is.
    pub at: Option<u64>,
    /// Whether only blocks of the finding's call site are meant.
    pub of_site: bool,
    /// Only blocks of this size.
    pub size: Option<u64>,
}

impl Link {
    /// A page, all else as it is.
    pub(super) fn to(page: Page) -> Link {
        Link { page, metric: None, at: None, of_site: false, size: None }
    }

    /// With that metric.
    pub(super) fn metric(self, metric: &'static str) -> Link {
        Link { metric: Some(metric), ..self }
    }

    /// At that moment.
    pub(super) fn at(self, event: u64) -> Link {
        Link { at: Some(event), ..self }
    }

    /// Only blocks of the site.
    pub(super) fn of_site(self) -> Link {
        Link { of_site: true, ..self }
    }

    /// Only blocks of that size.
    pub(super) fn size(self, size: u64) -> Link {
        Link { size: Some(size), ..self }
    }
}
