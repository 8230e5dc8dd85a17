//! The one check all ledger programs go through.

use super::build;
use super::history::{History, replay};
use super::ledger::{self, Act, Page};
use super::run::{self, Outcome};
use super::wrong;
use heaptape_tape::{Ending, Process, Tape};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

/// A target and what is special about its run.
pub(crate) struct Check {
    words: Vec<OsString>,
    options: Vec<&'static str>,
    same_ledger: bool,
    truncated: bool,
    failures: bool,
    unrecorded: Vec<(PathBuf, &'static str)>,
    others: bool,
    frees_rightly: bool,
}

/// A recorded run that passed.
pub(crate) struct Recorded {
    pub(crate) tape: Tape,
    pub(crate) program: PathBuf,
    /// Where the tape lies; it may be read on.
    _folder: tempfile::TempDir,
}

/// Checks `targets/NAME` without arguments.
pub(crate) fn check(name: &str) -> Recorded {
    Check::of(name).run()
}

impl Check {
    /// A check of `targets/NAME`.
    pub(crate) fn of(name: &str) -> Check {
        Check::program(build::target(name))
    }

    /// A check of a program that is built already.
    pub(crate) fn program(program: PathBuf) -> Check {
        Check {
            words: vec![program.into()],
            options: Vec::new(),
            same_ledger: true,
            truncated: false,
            failures: true,
            unrecorded: Vec::new(),
            others: false,
            frees_rightly: true,
        }
    }

    /// With one more argument; `{folder}` stands for an empty directory.
    pub(crate) fn arg(mut self, word: impl Into<OsString>) -> Check {
        self.words.push(word.into());
        self
    }

    /// With one more option of `heaptape run`.
    pub(crate) fn option(mut self, option: &'static str) -> Check {
        self.options.push(option);
        self
    }

    /// The recorder makes a difference that the program can see, and may.
    pub(crate) fn ledger_may_differ_from_bare(mut self) -> Check {
        self.same_ledger = false;
        self
    }

    /// One failing call may try, and fail, more than once: the numbers of failures are not compared.
    pub(crate) fn failures_are_attempts(mut self) -> Check {
        self.failures = false;
        self
    }

    /// Blocks are given back by the wrong functions, on purpose.
    pub(crate) fn frees_wrongly(mut self) -> Check {
        self.frees_rightly = false;
        self
    }

    /// Some backtraces are deeper than the bound.
    pub(crate) fn some_backtraces_truncated(mut self) -> Check {
        self.truncated = true;
        self
    }

    /// A child of this program cannot be recorded; the reason contains this word.
    pub(crate) fn unrecorded(mut self, program: PathBuf, reason: &'static str) -> Check {
        self.unrecorded.push((program, reason));
        self
    }

    /// Programs without a ledger (a shell) take part.
    pub(crate) fn with_others(mut self) -> Check {
        self.others = true;
        self
    }

    /// Runs the target bare and recorded, and compares everything.
    pub(crate) fn run(self) -> Recorded {
        let program = PathBuf::from(&self.words[0]);
        let bare = run::bare(&self.words);
        let recorded = run::recorded(&self.options, &self.words);
        same_behaviour(&bare, &recorded);

        let pages = ledger::parse(&recorded.ledger);
        assert!(!pages.is_empty(), "the program kept no ledger");
        if self.same_ledger {
            assert_eq!(anonymous(&ledger::parse(&bare.ledger)), anonymous(&pages));
        }

        let tape = open(&recorded);
        lost_nothing(&tape, self.truncated);
        self.compare_processes(&tape, &pages, &program);
        self.compare_unrecorded(&tape);
        if self.frees_rightly {
            wrong::none(&recorded.tape());
        }
        let all: BTreeSet<u64> = BTreeSet::new();
        for process in tape.processes() {
            replay(&tape, process.id, &all); // the order property, for those without a ledger too
        }
        Recorded { tape, program, _folder: recorded.folder }
    }

    fn compare_processes(&self, tape: &Tape, pages: &[Page], program: &Path) {
        let ours: Vec<&Process> =
            tape.processes().iter().filter(|p| Path::new(os(&p.exe)) == program).collect();
        assert!(self.others || ours.len() == tape.processes().len(), "{:#?}", tape.processes());
        let mut left = ours;
        for page in pages {
            // A forked child joins the recording with its first allocator call, or never.
            if page.forked && page.counts.is_empty() {
                continue;
            }
            // Images of one pid follow each other on the tape as they did in life.
            let at = left
                .iter()
                .position(|p| p.pid == page.pid && p.forked_from.is_some() == page.forked)
                .unwrap_or_else(|| panic!("no process for {page:?} in {left:#?}"));
            self.compare_page(tape, left.remove(at), page, pages);
        }
        assert!(left.is_empty(), "processes without a page: {left:#?}");
    }

    fn compare_page(&self, tape: &Tape, process: &Process, page: &Page, pages: &[Page]) {
        let History { mut counts, peak } = replay(tape, process.id, &page.sizes());
        let mut expected = page.counts.clone();
        if !self.failures {
            counts.retain(|(act, ..), _| *act != Act::Failed);
            expected.retain(|(act, ..), _| *act != Act::Failed);
        }
        assert_eq!(counts, expected, "the tape (left) and the ledger of {process:?}");
        if let Some(expected) = page.peak {
            assert_eq!(peak, expected, "peak of {process:?}");
        }
        if let Some((parent, events)) = process.forked_from {
            let parent = &tape.processes()[parent.0 as usize];
            assert_eq!(parent.pid, recorded_ancestor(page, pages), "{process:?}");
            assert!(events <= tape.event_count(parent.id), "{process:?}");
        }
    }

    fn compare_unrecorded(&self, tape: &Tape) {
        let named = tape.unrecorded();
        assert_eq!(named.len(), self.unrecorded.len(), "{named:?}");
        for (program, reason) in &self.unrecorded {
            assert!(
                named.iter().any(|u| Path::new(os(&u.exe)) == program && u.reason.contains(reason)),
                "{program:?} ({reason}) is not in {named:?}"
            );
        }
    }
}

/// Output, exit code and signal are the program's own. The launcher speaks after the program's end,
/// on stderr.
pub(crate) fn same_behaviour(bare: &Outcome, recorded: &Outcome) {
    let said = format!("stderr: {}", recorded.stderr);
    assert_eq!(bare.status.code(), recorded.status.code(), "exit code; {said}");
    assert_eq!(bare.status.signal(), recorded.status.signal(), "signal; {said}");
    assert_eq!(bare.stdout, recorded.stdout, "stdout; {said}");
    assert!(recorded.stderr.starts_with(&bare.stderr), "bare: {}; {said}", bare.stderr);
}

/// Opens the tape of a recorded run, which must be whole.
pub(crate) fn open(recorded: &Outcome) -> Tape {
    let tape = Tape::open(&recorded.tape())
        .unwrap_or_else(|error| panic!("{error}; stderr: {}", recorded.stderr));
    let condition = tape.condition();
    assert!(condition.complete, "{condition:?}");
    assert_eq!(condition.damaged_blocks + condition.unknown_blocks, 0, "{condition:?}");
    tape
}

/// Every process's losses are zero and its end is known.
pub(crate) fn lost_nothing(tape: &Tape, truncated: bool) {
    for process in tape.processes() {
        assert!(!process.losses.any(), "{process:?}");
        assert!(truncated || process.losses.truncated_backtraces == 0, "{process:?}");
        assert_ne!(process.ending, Ending::Unknown, "{process:?}");
        assert!(process.start <= process.end, "{process:?}");
        let totals = tape.totals(process.id);
        assert_eq!(totals.events, tape.event_count(process.id));
        assert_eq!(totals.unmatched_frees + totals.overlaid, 0, "{process:?} {totals:?}");
    }
}

/// The pid of the nearest ancestor that did something.
fn recorded_ancestor(page: &Page, pages: &[Page]) -> u32 {
    match pages.iter().find(|above| above.pid == page.parent) {
        Some(silent) if silent.forked && silent.counts.is_empty() => {
            recorded_ancestor(silent, pages)
        }
        _ => page.parent,
    }
}

/// The pages without pids, in an order that does not depend on the scheduler.
fn anonymous(pages: &[Page]) -> Vec<Page> {
    let mut pages: Vec<Page> = pages.iter().map(Page::anonymous).collect();
    pages.sort_by_cached_key(|page| format!("{page:?}"));
    pages
}

/// Bytes of a tape as a path.
pub(crate) fn os(bytes: &[u8]) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}
