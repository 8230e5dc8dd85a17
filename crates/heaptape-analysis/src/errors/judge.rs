//! What a suspicious free is: its kind, and how sure that is.

use super::offence::Offence;
use super::operators::{Operators, Side};
use super::place::{Place, Places};
use super::suspects::{MAX_GROUPS, Misfit, Times};
use super::watch::{Past, State, Wrong};
use super::{Alignments, Beside, Functions, Moved, WrongFree};
use crate::addr::{Act, PastBlock};
use crate::names::Names;
use crate::recording::Recording;
use heaptape_tape::{Action, BacktraceId, Crash, Event, GuardMechanism, LiveBlock, Process};
use rustc_hash::FxHashMap;
use serde::Serialize;

/// SIGABRT.
const ABORTED: i32 = 6;
/// An allocator looks for what it knows of a block at most so many bytes before it.
const BEFORE_BLOCK: u64 = 64;
/// Before each block of glibc's is its header, and a mark in it sends glibc to the multiple of `ARENA` below that.
const HEADER: u64 = 16;
const ARENA: u64 = 64 << 20;
/// Under `--check` so many bytes before a block are heaptape's, and so many behind it at least.
const ZONE_BEFORE: u64 = 32;
const ZONE_BEHIND: u64 = 16;
/// All allocators give out multiples of this.
const LEAST_ALIGNMENT: u64 = 8;

/// What is wrong: with a free, realloc or delete, or with bytes that nobody should have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A free of a block that had been freed.
    DoubleFree,
    /// A realloc of a block that had been freed.
    ReallocOfFreed,
    /// A free or realloc of a block that a realloc had moved elsewhere.
    FreedAfterMove,
    /// A free or realloc of a block that another thread's realloc was about to give up.
    ReallocRace,
    /// The address lies inside a live block.
    InsideBlock,
    /// The address lies inside a block that had been freed.
    InsideFreed,
    /// The address was never a block's.
    NoBlock,
    /// The block was taken by a function of another family.
    Mismatched,
    /// The block has another size than was stated.
    WrongSize,
    /// The block has another alignment than was stated.
    WrongAlignment,
    /// Bytes behind a block were written.
    Overflow,
    /// Bytes before a block were written.
    Underflow,
    /// A block was written to after it was freed.
    WriteAfterFree,
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// It can be nothing else.
    Certain,
    /// Nothing speaks against it, but not all is known.
    Probable,
    /// It may be right: no error.
    Undecided,
}

/// A finding before its names are known.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub(super) kind: Kind,
    pub(super) confidence: Confidence,
    why: Option<&'static str>,
    pub(super) times: Times,
    /// The wrong act.
    pub(super) act: Event,
    functions: Option<Functions>,
    block: Option<Past>,
    former: Option<Past>,
    beside: Option<Past>,
    place: Option<Place>,
    fatal_signal: Option<i32>,
    said: Option<String>,
}

const LOST: &str = "calls of this process are missing from the recording";
const NEARLY: &str =
    "of the heap at the fork, blocks may be missing that other threads were working on";
const OTHERS_UNSEEN: &str =
    "other frees show blocks of an allocator whose calls are not recorded: it may be one, too";
const OWN_OPERATORS: &str = "the program may have operators new and delete of its own";
const UNSEEN: &str = "it may be a block of an allocator whose calls are not recorded";
const REUSED: &str =
    "the memory may be a block again, of an allocator whose calls are not recorded";

/// Judges the findings of one process.
pub(super) struct Judge<'a> {
    recording: &'a dyn Recording,
    names: &'a dyn Names,
    process: &'a Process,
    operators: &'a Operators<'a>,
    places: Places<'a>,
    /// Whether calls are missing.
    gaps: bool,
    /// Findings beyond the bound.
    pub(super) unexamined: u64,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        recording: &'a dyn Recording,
        names: &'a dyn Names,
        process: &'a Process,
        operators: &'a Operators<'a>,
    ) -> Judge<'a> {
        let condition = recording.condition();
        let gaps = process.losses.any() || condition.damaged_blocks > 0;
        let places = Places::of(recording, names, process.id);
        Judge { recording, names, process, operators, places, gaps, unexamined: 0 }
    }

    /// Blocks that were given back in a wrong way.
    pub(super) fn misfits(&self, misfits: &[Misfit]) -> Vec<Verdict> {
        misfits.iter().filter_map(|misfit| self.misfit(misfit)).collect()
    }

    fn misfit(&self, misfit: &Misfit) -> Option<Verdict> {
        let Misfit { offence, block, event, times } = *misfit;
        let (took, gave) = (self.operators.took(&block), self.operators.gave(&event));
        let (mut confidence, mut why) = self.unless_lost(Confidence::Certain);
        let kind = match offence {
            Offence::Family if took.meets(gave) => {
                if took != Side::UNKNOWN && gave != Side::UNKNOWN {
                    return None;
                }
                (confidence, why) = (Confidence::Undecided, Some(OWN_OPERATORS));
                Kind::Mismatched
            }
            Offence::Family => Kind::Mismatched,
            Offence::Size => Kind::WrongSize,
            Offence::Alignment => Kind::WrongAlignment,
        };
        // As of just before its end, which is the wrong act itself.
        let past = Past { block, inherited: self.is_inherited(&block), state: State::Live };
        Some(Verdict {
            kind,
            confidence,
            why,
            times,
            act: event,
            functions: (kind == Kind::Mismatched).then(|| Functions {
                taken: took.operator(true).unwrap_or(block.api.name()),
                given: gave.operator(false).unwrap_or(event.api.name()),
            }),
            block: Some(past),
            former: None,
            beside: None,
            place: None,
            fatal_signal: None,
            said: None,
        })
    }

    fn is_inherited(&self, block: &LiveBlock) -> bool {
        let thread = self.recording.threads().get(block.thread.0 as usize);
        thread.is_some_and(|thread| thread.process != self.process.id)
    }

    fn unless_lost(&self, confidence: Confidence) -> (Confidence, Option<&'static str>) {
        if self.gaps { (Confidence::Probable, Some(LOST)) } else { (confidence, None) }
    }

    /// Frees of what was no live block; those alike are one.
    pub(super) fn wrong(&mut self, wrong: &[Wrong]) -> Vec<Verdict> {
        let mut verdicts: Vec<Verdict> = Vec::new();
        let mut known = FxHashMap::default();
        for one in wrong {
            let verdict = self.judge(one);
            let ended = |past: &Past| past.ended_by().map_or(BacktraceId::NONE, |e| e.backtrace);
            let block = verdict.block.as_ref();
            let likeness = (
                (verdict.kind, verdict.act.api, verdict.confidence == Confidence::Undecided),
                verdict.act.backtrace,
                block.map(|past| (past.block.backtrace, ended(past))),
                verdict.fatal_signal,
            );
            match known.get(&likeness) {
                Some(&at) => {
                    let same: &mut Verdict = &mut verdicts[at];
                    same.times.again(one.event.time);
                }
                None if verdicts.len() >= MAX_GROUPS => self.unexamined += 1,
                None => {
                    known.insert(likeness, verdicts.len());
                    verdicts.push(verdict);
                }
            }
        }
        doubt_where_unseen(&mut verdicts);
        verdicts
    }

    fn judge(&self, wrong: &Wrong) -> Verdict {
        let crash = if wrong.is_last { self.crash_after(&wrong.event) } else { None };
        let (kind, block, former) = kind(wrong);
        let mut verdict = Verdict {
            kind,
            confidence: Confidence::Certain,
            why: None,
            times: Times::once(wrong.event.time),
            act: wrong.event,
            functions: None,
            block,
            former,
            beside: None,
            place: None,
            fatal_signal: crash.map(|crash| crash.signal),
            said: crash
                .filter(|crash| !crash.message.is_empty())
                .map(|crash| crate::names::text(&crash.message)),
        };
        if block.is_none() {
            let (addr, time) = (wrong.event.addr, wrong.event.time);
            let place = self.places.at(addr, time, wrong.mapped.as_ref());
            verdict.beside = wrong.beside.filter(|_| !place.is_never_heap());
            verdict.place = Some(place);
        }
        if crash.is_none() {
            (verdict.confidence, verdict.why) = self.confidence(wrong, &verdict);
        }
        verdict
    }

    /// How sure a finding is of which the program did not die.
    fn confidence(&self, wrong: &Wrong, verdict: &Verdict) -> (Confidence, Option<&'static str>) {
        let is_aligned = wrong.event.addr.is_multiple_of(LEAST_ALIGNMENT);
        match (verdict.kind, &verdict.place) {
            (Kind::DoubleFree | Kind::ReallocOfFreed, _) if verdict.block.is_none() => {
                (Confidence::Probable, Some(NEARLY))
            }
            (Kind::NoBlock, Some(place)) => {
                if place.is_never_heap() || !is_aligned {
                    (Confidence::Certain, None)
                } else if *place == Place::Guarded || self.is_in_red_zone(wrong) {
                    self.unless_lost(Confidence::Certain)
                } else if self.gaps {
                    (Confidence::Undecided, Some(LOST))
                } else {
                    (Confidence::Undecided, Some(UNSEEN))
                }
            }
            (Kind::InsideFreed, _) if is_aligned && !self.gaps => {
                (Confidence::Probable, Some(REUSED))
            }
            _ => self.unless_lost(Confidence::Certain),
        }
    }

    /// Whether the address is red zone or header of a live block.
    fn is_in_red_zone(&self, wrong: &Wrong) -> bool {
        let guarded = self.recording.guarded().iter().find(|it| it.process == self.process.id);
        guarded.is_some_and(|it| it.mechanism == GuardMechanism::RedZones)
            && wrong.beside.is_some_and(|beside| {
                let is_before = wrong.event.addr < beside.block.addr;
                let zone = if is_before { ZONE_BEFORE } else { ZONE_BEHIND };
                matches!(beside.state, State::Live) && beside.distance(wrong.event.addr) <= zone
            })
    }

    /// The crash of a thread that its last act may have led to: an abort, or a fault at what was freed or where glibc
    /// then looks for its arena.
    fn crash_after(&self, last: &Event) -> Option<&'a Crash> {
        let near = last.addr.saturating_sub(BEFORE_BLOCK)..=last.addr.saturating_add(BEFORE_BLOCK);
        let arena = last.addr.saturating_sub(HEADER) & !(ARENA - 1);
        self.recording.crashes().iter().find(|crash| {
            let at = crash.fault_addr;
            crash.process == self.process.id
                && crash.thread == Some(last.thread)
                && (crash.signal == ABORTED || near.contains(&at) || at == arena)
        })
    }

    /// The finding with its names.
    pub(super) fn tell(&self, verdict: &Verdict) -> WrongFree {
        let act = &verdict.act;
        let is_sized = act.action == Action::Free && act.size > 0;
        let moved = verdict.block.and_then(|past| match past.state {
            State::Moved(_, to) => {
                Some(Moved { address: to.addr, block: (!past.inherited).then_some(to.block.0) })
            }
            _ => None,
        });
        let alignments = verdict.block.filter(|_| verdict.kind == Kind::WrongAlignment);
        WrongFree {
            kind: verdict.kind,
            confidence: verdict.confidence,
            why: verdict.why,
            times: verdict.times.count,
            last_ns: verdict.times.last.0,
            address: act.addr,
            act: Act::of(self.recording, self.names, act),
            stated_bytes: is_sized.then_some(act.size),
            alignments: alignments.map(|past| Alignments {
                asked: alignment(past.block.align_log2),
                stated: alignment(act.align_log2),
            }),
            functions: verdict.functions,
            block: verdict.block.as_ref().map(|past| self.past_block(past, act)),
            moved,
            former: verdict.former.as_ref().map(|past| self.past_block(past, act)),
            beside: verdict.beside.as_ref().map(|past| Beside {
                offset: act.addr.wrapping_sub(past.block.addr) as i64,
                block: self.past_block(past, act),
            }),
            place: verdict.place.clone(),
            fatal_signal: verdict.fatal_signal,
            said: verdict.said.clone(),
        }
    }

    /// A block with its names.
    fn past_block(&self, past: &Past, act: &Event) -> PastBlock {
        let block = &past.block;
        PastBlock {
            block: (!past.inherited).then_some(block.id.0),
            address: block.addr,
            size: block.size,
            usable: block.usable,
            offset: act.addr.saturating_sub(block.addr),
            allocated: Act::that_began(self.recording, self.names, block),
            freed: past.ended_by().map(|end| Act::of(self.recording, self.names, end)),
        }
    }
}

/// Where a free shows that there are blocks whose calls are not recorded (a library opened with RTLD_DEEPBIND, say),
/// a block that was freed may have been one of those when it was freed again.
fn doubt_where_unseen(verdicts: &mut [Verdict]) {
    use Kind::{DoubleFree, FreedAfterMove, InsideFreed, NoBlock, ReallocOfFreed};
    let is_shown = |v: &Verdict| v.kind == NoBlock && v.confidence == Confidence::Undecided;
    if !verdicts.iter().any(is_shown) {
        return;
    }
    for verdict in verdicts {
        let of_freed =
            matches!(verdict.kind, DoubleFree | ReallocOfFreed | FreedAfterMove | InsideFreed);
        if of_freed && verdict.fatal_signal.is_none() {
            (verdict.confidence, verdict.why) = (Confidence::Undecided, Some(OTHERS_UNSEEN));
        }
    }
}

impl Past {
    fn ended_by(&self) -> Option<&Event> {
        match &self.state {
            State::Releasing(event) | State::Freed(event) | State::Moved(event, _) => Some(event),
            State::Live | State::Unseen => None,
        }
    }
}

fn alignment(log2: u8) -> u64 {
    if log2 == 0 { 0 } else { 1_u64.checked_shl(log2.into()).unwrap_or(0) }
}

/// The kind of a free of no live block, the block concerned, and one that was there before.
fn kind(wrong: &Wrong) -> (Kind, Option<Past>, Option<Past>) {
    let is_realloc = wrong.event.action == Action::ReallocRelease;
    let again = if is_realloc { Kind::ReallocOfFreed } else { Kind::DoubleFree };
    if let Some(around) = wrong.around.filter(|past| matches!(past.state, State::Live)) {
        return (Kind::InsideBlock, Some(around), wrong.began_here);
    }
    if wrong.inherited_freed.is_some() {
        return (again, None, None);
    }
    if let Some(past) = wrong.began_here {
        let kind = match past.state {
            State::Moved(..) => Kind::FreedAfterMove,
            // A realloc to no bytes is a free; any other is still at it.
            State::Releasing(release)
                if release.thread != wrong.event.thread && release.size > 0 =>
            {
                Kind::ReallocRace
            }
            _ => again,
        };
        return (kind, Some(past), None);
    }
    match wrong.around {
        Some(around) => (Kind::InsideFreed, Some(around), None),
        None => (Kind::NoBlock, None, None),
    }
}
