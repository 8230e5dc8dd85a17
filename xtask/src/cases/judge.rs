//! What a tool's findings are worth, beside what is wrong and what it was to find.

use super::finding::{Finding, Findings, Group, words};
use super::table::Case;
use super::tool::{Seen, Tool, Twin};

/// A case looked at by a tool, with its mistake and without it.
pub(super) struct Look<'a> {
    pub(super) case: &'a Case,
    pub(super) tool: Tool,
    pub(super) bad: Result<Seen, String>,
    /// `None` where only the mistake was looked at.
    pub(super) good: Option<Result<Seen, String>>,
}

impl Look<'_> {
    /// Whether the tool found all that is wrong.
    pub(super) fn detected(&self) -> bool {
        self.bad
            .as_ref()
            .is_ok_and(|seen| self.case.truth.iter().all(|it| has(&seen.findings, it, self.tool)))
    }

    /// What the tool said that is not so: of the bad twin, then of the good one.
    pub(super) fn false_alarms(&self) -> Vec<String> {
        let mut alarms = Vec::new();
        if let Ok(seen) = &self.bad {
            let odd = odd(self.case, seen, Twin::Bad, self.tool);
            alarms.extend((!odd.is_empty()).then(|| format!("bad: {}", words(&odd))));
        }
        if let Some(Ok(seen)) = &self.good {
            let odd = odd(self.case, seen, Twin::Good, self.tool);
            alarms.extend((!odd.is_empty()).then(|| format!("good: {}", words(&odd))));
        }
        alarms
    }

    /// Everything that is not as the table says.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> = [Some(&self.bad), self.good.as_ref()]
            .into_iter()
            .flatten()
            .filter_map(|it| it.as_ref().err().cloned())
            .collect();
        if let (Ok(seen), Some(expected)) = (&self.bad, self.case.expected(self.tool)) {
            let missing: Findings =
                expected.iter().filter(|it| !has(&seen.findings, it, self.tool)).cloned().collect();
            if !missing.is_empty() {
                faults.push(format!("missed {}, saw {}", words(&missing), words(&seen.findings)));
            }
            if expected.is_empty() && self.detected() {
                faults.push(format!("found {}, which the table rules out", words(&seen.findings)));
            }
        }
        faults.extend(self.false_alarms().into_iter().map(|it| format!("false alarm: {it}")));
        let (name, tool) = (&self.case.name, self.tool.name());
        faults.into_iter().map(|it| format!("{name} {tool}: {it}")).collect()
    }
}

/// Whether a finding is among what was seen. What kind of address made a signal, only heaptape tells.
fn has(seen: &Findings, wanted: &Finding, tool: Tool) -> bool {
    seen.contains(wanted)
        || (!tool.is_ours() && seen.iter().any(|it| it.roughly() == wanted.roughly()))
}

/// What cannot be explained by what is wrong. One mistake leads to others: after a wrong free or access the
/// program may read, write or end in any way, and an early end leaves blocks behind. Blocks that are reachable at
/// the end are an error of no program.
fn odd(case: &Case, seen: &Seen, twin: Twin, tool: Tool) -> Findings {
    let explained = |it: &Finding| {
        if it.word == "reachable" {
            return true;
        }
        if twin == Twin::Good {
            return false;
        }
        let expected = case.expected(tool).into_iter().flatten();
        let about = |group| case.is_about(group);
        case.truth.iter().chain(expected).any(|known| known.roughly() == it.roughly())
            || match it.group {
                Group::Free => false,
                // Before a signal for an address, memcheck tells the access, too.
                Group::Access => {
                    about(Group::Access)
                        || about(Group::Free)
                        || about(Group::Crash) && it.word.starts_with("wild_")
                }
                Group::Leak => !about(Group::Leak),
                Group::Crash => about(Group::Free) || about(Group::Access),
            }
    };
    seen.findings.iter().filter(|it| !explained(it)).cloned().collect()
}
