//! What the other commands say of a process, for its page.

use heaptape_analysis::crash::{CrashScene, Crashes};
use heaptape_analysis::errors::Errors;
use heaptape_analysis::leaks::{Kinds, Leaks, Question};
use heaptape_analysis::names::Frame;
use heaptape_analysis::stacks::Stacks;
use heaptape_analysis::summary::Summary;
use heaptape_analysis::suppressions::Suppressions;
use heaptape_analysis::{Names, Recording};
use heaptape_report::page::leaks::WorstLeaks;
use heaptape_report::page::overview::Results;
use heaptape_tape::{BacktraceId, Process, TapeError};

/// Call sites of a summary.
const SITES: usize = 50;
/// Wrong frees and overwrites of a process that are shown one by one.
const ERRORS: usize = 200;

/// Results whose backtraces have no numbers yet.
#[derive(Default)]
pub(crate) struct Found {
    summary: Option<Summary>,
    errors: Option<Errors>,
    leaks: Option<WorstLeaks>,
    crash: Option<Crashes>,
}

impl Found {
    /// All that there is to say of a process.
    pub(crate) fn of(
        recording: &dyn Recording,
        names: &dyn Names,
        process: &Process,
    ) -> Result<Found, TapeError> {
        let mut nothing_suppressed = Suppressions::default();
        let mut question = Question::all(Kinds::ALL, &mut nothing_suppressed);
        let leaks = Leaks::compute(recording, names, process, &mut question)?;
        let crashes = Crashes::compute(recording, names, process)?;
        let died = !crashes.crashes.is_empty() || crashes.death.is_some();
        let (summary, errors) = Summary::with_errors(recording, names, process, SITES, ERRORS)?;
        Ok(Found {
            summary: Some(summary),
            errors: Some(errors),
            leaks: leaks.search.is_some().then(|| WorstLeaks::of(leaks)),
            crash: died.then_some(crashes),
        })
    }

    /// The backtraces that are shown as stacks.
    pub(crate) fn backtraces(&self) -> impl Iterator<Item = BacktraceId> {
        self.leaks.iter().flat_map(WorstLeaks::backtraces)
    }

    /// The frames of backtraces that are written out: their source can be shown.
    pub(crate) fn frames(&self) -> Vec<&Frame> {
        let scenes = self.crash.iter().flat_map(|crash| &crash.crashes);
        let acts = self.errors.iter().flat_map(|errors| errors.findings.acts());
        scenes.flat_map(CrashScene::frames).chain(acts.flat_map(|act| &act.backtrace)).collect()
    }

    /// The results, as the page that has these stacks shows them.
    pub(crate) fn numbered(self, stacks: &Stacks) -> Results {
        Results {
            summary: self.summary,
            errors: self.errors,
            leaks: self.leaks.map(|leaks| leaks.numbered(stacks)),
            crash: self.crash,
        }
    }
}
