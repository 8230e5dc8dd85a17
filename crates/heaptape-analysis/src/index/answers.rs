//! A page's questions to the index of a process (`ui/src/data/types.ts`), in the page's words: stacks, threads by
//! number, filters.

use super::measure::Signed;
use super::span::Span;
use super::winder::Winder;
use super::{AskError, Stop};
use crate::block_filter::{Asked, BlockFilter, Ground};
use crate::lifetimes::Lifetime;
use crate::process;
use crate::stacks::Stacks;
use heaptape_tape::{ThreadId, TimeNs};

/// What is measured, as pages name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Live at `t`.
    Live,
    /// Live at the first position of most live bytes of the range.
    Peak,
    /// Begun in the range and live at its end.
    Kept,
    /// Begun in the range and never freed.
    Leaked,
    /// Begun in the range.
    Alloc,
    /// Ended in the range.
    Freed,
    /// Begun in the range, and temporary.
    Temp,
    /// Live at the end of the range less live at its beginning.
    Diff,
}

impl std::str::FromStr for Metric {
    type Err = String;

    fn from_str(word: &str) -> Result<Metric, String> {
        Ok(match word {
            "live" => Metric::Live,
            "peak" => Metric::Peak,
            "kept" => Metric::Kept,
            "leaked" => Metric::Leaked,
            "alloc" => Metric::Alloc,
            "freed" => Metric::Freed,
            "temp" => Metric::Temp,
            "diff" => Metric::Diff,
            _ => return Err(format!("there is no metric {word}")),
        })
    }
}

/// What is measured: positions are those of docs/page.md.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// What.
    pub metric: Metric,
    /// Where, of [`Metric::Live`].
    pub t: u32,
    /// From here, of the others.
    pub a: u32,
    /// To here.
    pub b: u32,
    /// Of which blocks.
    pub filter: BlockFilter,
}

/// Weights by stack.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StackWeights {
    /// By stack.
    pub stacks: Vec<Signed>,
    /// Their sum.
    pub total: Signed,
    /// Where it was measured.
    pub at: u32,
}

/// The index of a process with its page's numbers.
pub struct Answers<'a> {
    /// The index.
    pub winder: Winder<'a>,
    /// The page's stacks.
    pub stacks: &'a Stacks,
    /// The page's number of a thread.
    pub thread: &'a (dyn Fn(ThreadId) -> u16 + Sync),
    /// Kernel ids and names of threads, by number.
    pub thread_names: &'a [(u32, String)],
}

/// A measure, found on the index.
pub(super) struct Choice<'a> {
    pub(super) span: Span,
    pub(super) at: u32,
    asked: Option<Asked<'a>>,
    /// Whether stacks alone decide.
    of_stacks: bool,
}

impl Choice<'_> {
    /// Whether the filter lets a block pass.
    pub(super) fn passes(&self, block: &Lifetime) -> bool {
        self.asked.as_ref().is_none_or(|asked| asked.passes(block))
    }
}

impl<'a> Answers<'a> {
    /// When the process began.
    pub fn start(&self) -> TimeNs {
        process::span(self.winder.recording(), self.winder.index.process).0
    }

    /// Finds the moments of a measure and makes its filter ready.
    pub(super) fn choose<'b>(
        &'b self,
        measure: &Measure,
        reallocs: &'b (dyn Fn(&Lifetime) -> u32 + Sync),
        stop: Stop<'_>,
    ) -> Result<Choice<'b>, AskError> {
        let index = self.winder.index;
        let within = |position: u32| position.min(index.events);
        let (t, b) = (within(measure.t), within(measure.b));
        let a = within(measure.a).min(b);
        let (span, at) = match measure.metric {
            Metric::Live => (Span::Live(t), t),
            Metric::Peak => {
                let (at, _) = self.winder.peak(a, b, stop)?;
                (Span::Live(at), at)
            }
            Metric::Kept => (Span::Kept(a, b), b),
            Metric::Leaked => (Span::Leaked(a, b), b),
            Metric::Alloc => (Span::Alloc(a, b), b),
            Metric::Freed => (Span::Freed(a, b), b),
            Metric::Temp => (Span::Temp(a, b), b),
            Metric::Diff => (Span::Diff(a, b), b),
        };
        let filter = &measure.filter;
        let asked = self.asked(filter, at, reallocs);
        Ok(Choice { span, at, asked, of_stacks: filter.is_of_backtraces() })
    }

    /// Makes a filter ready whose ages are counted to a position; `None`: every block passes.
    pub(super) fn asked<'b>(
        &'b self,
        filter: &BlockFilter,
        at: u32,
        reallocs: &'b (dyn Fn(&Lifetime) -> u32 + Sync),
    ) -> Option<Asked<'b>> {
        let index = self.winder.index;
        let ground = Ground {
            stacks: self.stacks,
            times: &index.times,
            start: self.start(),
            events: index.events,
            thread: self.thread,
            thread_names: self.thread_names,
            reallocs,
        };
        (!filter.is_empty()).then(|| Asked::new(filter, ground, at))
    }

    /// Gathers the parts of a measure: stack, weight and sign.
    fn parts<A: Send>(
        &self,
        choice: &Choice<'_>,
        stop: Stop<'_>,
        make: impl Fn() -> A + Sync,
        add: impl Fn(&mut A, u32, crate::Weight, i8) + Sync,
    ) -> Result<Vec<A>, AskError> {
        let index = self.winder.index;
        if choice.of_stacks {
            let mut own = make();
            self.winder.weigh(choice.span, stop, &mut |backtrace, weight, sign| {
                let stack = self.stacks.stack(backtrace);
                if choice.asked.as_ref().is_none_or(|asked| asked.passes_stack(stack)) {
                    add(&mut own, stack, weight, sign);
                }
            })?;
            return Ok(vec![own]);
        }
        self.winder.gather(choice.span, stop, make, |own, block, sign| {
            if choice.passes(block) {
                add(own, self.stacks.stack(block.backtrace), index.weigh(block), sign);
            }
        })
    }

    /// How much each stack has.
    pub fn weigh(&self, measure: &Measure, stop: Stop<'_>) -> Result<StackWeights, AskError> {
        let reallocs = |block: &Lifetime| self.winder.index.reallocs(block);
        let choice = self.choose(measure, &reallocs, stop)?;
        let make = || vec![Signed::default(); self.stacks.len()];
        let mut parts = self
            .parts(&choice, stop, make, |own, stack, weight, sign| {
                own[stack as usize].add(weight, sign);
            })?
            .into_iter();
        let mut stacks = parts.next().unwrap_or_else(make);
        for part in parts {
            stacks.iter_mut().zip(part).for_each(|(sum, own)| sum.plus(own));
        }
        let mut total = Signed::default();
        stacks.iter().for_each(|sum| total.plus(*sum));
        Ok(StackWeights { stacks, total, at: choice.at })
    }

    /// How much there is.
    pub fn total(&self, measure: &Measure, stop: Stop<'_>) -> Result<(u32, Signed), AskError> {
        let reallocs = |block: &Lifetime| self.winder.index.reallocs(block);
        let choice = self.choose(measure, &reallocs, stop)?;
        let parts = self
            .parts(&choice, stop, Signed::default, |own, _, weight, sign| own.add(weight, sign))?;
        let mut total = Signed::default();
        parts.into_iter().for_each(|part| total.plus(part));
        Ok((choice.at, total))
    }
}
