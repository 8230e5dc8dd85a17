//! What stands out in a recording: sentences with a number, a place and where to look.
//!
//! Each rule looks at the same [`Evidence`], has its thresholds as documented constants (`docs/findings.md` explains
//! them), and says what it found in [`Part`]s, so that every view writes numbers in its own way. What one pass over the
//! events must gather for them is `watch`'s; the rest comes from what a summary knows anyway.
//!
//! A finding is a hint, not a verdict: a rule is silent below its thresholds, and what could not be checked is said.

mod chains;
mod evidence;
mod finding;
mod rules;
mod watch;

pub use evidence::{Evidence, Gathered};
pub use finding::{Finding, Link, Page, Part, Rule, Severity};
pub use watch::Watch;

use crate::sites::Site;
use serde::Serialize;
use std::cmp::Reverse;

/// Findings that are shown at most.
pub const MOST: usize = 7;

/// What stands out in one process.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Findings {
    /// The gravest first; at most [`MOST`].
    pub found: Vec<Finding>,
    /// Less important ones that are not in the list.
    pub more: u64,
    /// What was looked for, with thresholds: one sentence a rule.
    pub checked: Vec<Check>,
    /// What could not be looked for, and why.
    pub unchecked: Vec<Check>,
}

/// What a rule looks for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// The rule.
    pub rule: Rule,
    /// The sentence.
    pub parts: Vec<Part>,
}

impl Findings {
    /// Asks every rule.
    pub fn of(evidence: &Evidence<'_>) -> Findings {
        let mut findings = Findings::default();
        let mut found = Vec::new();
        for rule in rules::ALL {
            match (rule.cannot)(evidence) {
                Some(why) => {
                    let mut parts = (rule.looks_for)();
                    parts.push(Part::text(format!(" (not checked: {why})")));
                    findings.unchecked.push(Check { rule: rule.rule, parts });
                }
                None => {
                    findings.checked.push(Check { rule: rule.rule, parts: (rule.looks_for)() });
                    found.extend((rule.find)(evidence));
                }
            }
        }
        // In the order of the rules, the first of a topic is the one that says most of a place.
        let mut distinct: Vec<Finding> = Vec::new();
        for finding in found {
            match distinct.iter_mut().find(|first| same_place(first, &finding)) {
                Some(first) => first.severity = first.severity.min(finding.severity),
                None => distinct.push(finding),
            }
        }
        distinct.sort_by_key(|finding| (finding.severity, Reverse(finding.bytes), finding.rule));
        findings.more = distinct.len().saturating_sub(MOST) as u64;
        distinct.truncate(MOST);
        findings.found = distinct;
        findings
    }
}

/// Whether two findings are on one topic and one place.
fn same_place(a: &Finding, b: &Finding) -> bool {
    let named =
        |finding: &Finding| finding.site.as_ref().and_then(|site: &Site| site.frame.clone());
    a.rule.topic() == b.rule.topic() && a.site.is_some() && named(a) == named(b)
}
