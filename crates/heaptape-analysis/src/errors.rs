//! Errors: wrong frees (what was given back twice, was no block, or was given back by the wrong function), and, where
//! blocks were guarded, what was written beside them or after they were freed ([`crate::overwrites`]).
//!
//! Wrong frees show in every recording. Two passes over the events of a process. The first goes along with whatever else
//! reads them ([`Suspects`]): it sees blocks that end in a wrong way, and addresses that end without being a block. The
//! second, made only where there are such addresses, looks up their history (`watch`). A finding is an
//! error only if it can be nothing else; what may be right is counted apart, as undecided.

mod judge;
mod offence;
mod operators;
mod place;
mod suspects;
mod watch;

pub use judge::{Confidence, Kind};
pub use offence::Family;
pub use place::Place;
pub use suspects::Suspects;

use crate::addr::{Act, PastBlock};
use crate::estimate::Exact;
use crate::free_backtraces::FreeBacktraces;
use crate::guarding::Guarding;
use crate::hex;
use crate::names::Names;
use crate::overwrites::{self, OverwrittenBlock};
use crate::process::ProcessName;
use crate::recording::Recording;
use crate::replay;
use heaptape_tape::{Process, TapeError};
use judge::{Judge, Verdict};
use serde::Serialize;

/// The errors of one process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Errors {
    /// Which process.
    pub process: ProcessName,
    /// What is wrong.
    #[serde(flatten)]
    pub findings: Findings,
}

/// What was found in one process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Wrong frees, reallocs and deletes, and overwrites.
    pub total: u64,
    /// How many of each kind, most first.
    pub kinds: Vec<KindCount>,
    /// The wrong frees by their first occurrence; those with the same kind and backtraces are one.
    pub errors: Vec<WrongFree>,
    /// Overwrites, alike.
    pub overwrites: Vec<OverwrittenBlock>,
    /// Errors that are in neither list.
    pub more_errors: u64,
    /// Overwrites that were found and counted only: the tape holds the first of a process.
    pub unlisted_overwrites: u64,
    /// Frees that may be right.
    pub undecided_total: u64,
    /// The same, one by one.
    pub undecided: Vec<WrongFree>,
    /// Undecided ones that are not in the list.
    pub more_undecided: u64,
    /// Wrong frees that were counted and not looked at: there were too many different ones.
    pub unexamined: u64,
    /// Which frees have backtraces, where that of a free in the list is missing.
    pub free_backtraces: Option<FreeBacktraces>,
    /// How blocks were guarded, that is, which overwrites and bad accesses could be seen; `None`: none.
    pub guard: Option<Guarding>,
}

impl Findings {
    /// All that was done wrongly or to the blocks concerned, as far as it is listed.
    pub fn acts(&self) -> impl Iterator<Item = &Act> {
        let wrong = self.errors.iter().chain(&self.undecided).flat_map(WrongFree::acts);
        wrong.chain(self.overwrites.iter().flat_map(|it| it.allocated.iter().chain(&it.freed)))
    }
}

/// Errors of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KindCount {
    /// The kind.
    pub kind: Kind,
    /// Different ones.
    pub errors: u64,
    /// How often they occurred.
    pub times: u64,
}

/// A wrong free, realloc or delete, and all that are like it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WrongFree {
    /// What is wrong with it.
    pub kind: Kind,
    /// How sure that is.
    pub confidence: Confidence,
    /// Why it is not certain.
    pub why: Option<&'static str>,
    /// How often it occurred.
    pub times: u64,
    /// When it occurred last.
    pub last_ns: u64,
    /// The address that was given back.
    #[serde(serialize_with = "hex::address")]
    pub address: u64,
    /// The wrong act; of several alike, the first.
    pub act: Act,
    /// The functions that do not match.
    pub functions: Option<Functions>,
    /// Bytes that it stated, where it was a sized form.
    pub stated_bytes: Option<u64>,
    /// Alignments in bytes that were asked for and stated, where they differ; 0 for none.
    pub alignments: Option<Alignments>,
    /// The block concerned: the one that had ended, that ended wrongly, or that the address lies in.
    pub block: Option<PastBlock>,
    /// Where a realloc had moved the block.
    pub moved: Option<Moved>,
    /// A block that had begun at the address before, where the address lies inside a live one now.
    pub former: Option<PastBlock>,
    /// Where the address lies, if it is in no block.
    pub place: Option<Place>,
    /// The nearest block within 64 bytes, if it is in none and lies where blocks may lie.
    pub beside: Option<Beside>,
    /// The signal that the thread died of before it called the allocator again, where that is an abort or a
    /// fault at the address: most likely the allocator's own answer to the error.
    pub fatal_signal: Option<i32>,
    /// What libc said then: `free(): invalid pointer`.
    pub said: Option<String>,
}

impl WrongFree {
    fn acts(&self) -> impl Iterator<Item = &Act> {
        let beside = self.beside.iter().map(|beside| &beside.block);
        let blocks = self.block.iter().chain(&self.former).chain(beside);
        std::iter::once(&self.act).chain(blocks.flat_map(PastBlock::acts))
    }
}

/// The functions that a block was taken and given back by. An operator that is part of the program is named here,
/// where the acts have the `malloc` or `free` that it called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Functions {
    /// Which took it.
    pub taken: &'static str,
    /// Which gave it back.
    pub given: &'static str,
}

/// A block that an address is near.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Beside {
    /// Bytes from the start of the block to the address: negative before it.
    pub offset: i64,
    /// The block.
    pub block: PastBlock,
}

/// Where a realloc put a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// The new address.
    #[serde(serialize_with = "hex::address")]
    pub address: u64,
    /// The number of the block there; `None` where an ancestor of the process moved it.
    pub block: Option<u64>,
}

/// Alignments in bytes; 0 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Alignments {
    /// Asked for when the block began.
    pub asked: u64,
    /// Stated when it ended.
    pub stated: u64,
}

impl Errors {
    /// Reads the history of a process once, or twice if something is wrong. At most `limit` errors are
    /// listed.
    pub fn compute(
        recording: &dyn Recording,
        names: &dyn Names,
        process: &Process,
        limit: usize,
    ) -> Result<Errors, TapeError> {
        let mut suspects = Suspects::of(recording, names, process.id);
        let mut live = recording.live_at_start(process.id)?;
        replay::whole_weighed(Exact, recording, process.id, &mut live, &mut suspects)?;
        drop(live);
        let process_name = ProcessName::of(recording, process);
        let findings = Findings::of(recording, names, process, &suspects, limit)?;
        Ok(Errors { process: process_name, findings })
    }
}

impl Findings {
    /// The same where a pass over the events has gathered the suspects.
    pub fn of(
        recording: &dyn Recording,
        names: &dyn Names,
        process: &Process,
        suspects: &Suspects<'_>,
        limit: usize,
    ) -> Result<Findings, TapeError> {
        let found = watch::find(recording, process, &suspects.addresses())?;
        let mut judge = Judge::new(recording, names, process, &suspects.operators);
        let mut verdicts = judge.misfits(suspects.misfits());
        verdicts.extend(judge.wrong(&found.wrong));
        verdicts.sort_by_key(|verdict| verdict.act.time);
        let (undecided, errors): (Vec<Verdict>, Vec<Verdict>) =
            verdicts.into_iter().partition(|v| v.confidence == Confidence::Undecided);
        let unexamined = suspects.unexamined + found.more + judge.unexamined;
        let told = |some: &[Verdict]| -> Vec<WrongFree> {
            some.iter().take(limit).map(|verdict| judge.tell(verdict)).collect()
        };
        let (shown, shown_undecided) = (told(&errors), told(&undecided));
        let overwritten = overwrites::grouped(overwrites::find(recording, process)?);
        let overwrites: Vec<OverwrittenBlock> =
            overwritten.iter().take(limit).map(|group| group.tell(recording, names)).collect();
        let kinds = kinds(
            (errors.iter().map(|verdict| (verdict.kind, verdict.times.count)))
                .chain(overwritten.iter().map(|group| (group.kind, group.times))),
        );
        let listed = shown.len() + overwrites.len();
        let guards = recording.guarded().iter().filter(|guarded| guarded.process == process.id);
        let unlisted_overwrites = guards.map(|guarded| guarded.unlisted).max().unwrap_or(0);
        let told: u64 = kinds.iter().map(|kind| kind.times).sum();
        let findings = Findings {
            total: told.saturating_add(unlisted_overwrites),
            unlisted_overwrites,
            kinds,
            more_errors: (errors.len() + overwritten.len() - listed) as u64,
            errors: shown,
            overwrites,
            undecided_total: times(&undecided),
            more_undecided: (undecided.len() - shown_undecided.len()) as u64,
            undecided: shown_undecided,
            unexamined,
            free_backtraces: None,
            guard: Guarding::of(recording, process.id),
        };
        Ok(findings.cut(recording, limit))
    }

    /// The same with at most `limit` of each kind listed.
    pub(crate) fn cut(mut self, recording: &dyn Recording, limit: usize) -> Findings {
        self.more_errors += shorten(&mut self.errors, limit);
        self.more_errors += shorten(&mut self.overwrites, limit);
        self.more_undecided += shorten(&mut self.undecided, limit);
        let is_unknown = |freed: &Act| freed.backtrace.is_empty();
        let is_missed =
            self.errors.iter().chain(&self.undecided).any(WrongFree::lacks_a_free_backtrace)
                || self.overwrites.iter().filter_map(|it| it.freed.as_ref()).any(is_unknown);
        self.free_backtraces = FreeBacktraces::missed(recording, is_missed);
        self
    }

    /// Whether there is any error.
    pub fn any(&self) -> bool {
        self.total + self.unexamined > 0
    }
}

/// Leaves the first ones, at most `limit`, and says how many those were that it took away.
fn shorten<T>(list: &mut Vec<T>, limit: usize) -> u64 {
    let more = list.len().saturating_sub(limit);
    list.truncate(limit);
    more as u64
}

impl WrongFree {
    /// Whether a free that it tells of, or it itself, has no backtrace.
    fn lacks_a_free_backtrace(&self) -> bool {
        let freed =
            [&self.block, &self.former].into_iter().flatten().filter_map(|b| b.freed.as_ref());
        std::iter::once(&self.act).chain(freed).any(|act| act.backtrace.is_empty())
    }
}

fn times(verdicts: &[Verdict]) -> u64 {
    verdicts.iter().map(|verdict| verdict.times.count).sum()
}

/// Counts the kinds and times of different errors.
fn kinds(errors: impl Iterator<Item = (Kind, u64)>) -> Vec<KindCount> {
    let mut kinds: Vec<KindCount> = Vec::new();
    for (kind, times) in errors {
        match kinds.iter_mut().find(|known| known.kind == kind) {
            Some(known) => {
                known.errors += 1;
                known.times += times;
            }
            None => kinds.push(KindCount { kind, errors: 1, times }),
        }
    }
    kinds.sort_by_key(|known| std::cmp::Reverse(known.times));
    kinds
}
