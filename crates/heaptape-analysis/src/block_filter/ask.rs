//! Asking blocks whether a filter lets them pass.

use super::number::Interval;
use super::pattern::Pattern;
use super::words::{BlockFilter, Field, Test, TextField};
use crate::lifetimes::{Lifetime, NEVER, flags};
use crate::stacks::{StackFrame, Stacks};
use crate::times::Times;
use heaptape_tape::{Api, ThreadId, TimeNs};

/// What blocks are asked of.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// Their backtraces.
    pub stacks: &'a Stacks,
    /// When things happened.
    pub times: &'a Times,
    /// When the process began.
    pub start: TimeNs,
    /// How many events it has.
    pub events: u32,
    /// The number of a thread in `thread_names`.
    pub thread: &'a (dyn Fn(ThreadId) -> u16 + Sync),
    /// Kernel ids and names.
    pub thread_names: &'a [(u32, String)],
    /// How many reallocs led to a block.
    pub reallocs: &'a (dyn Fn(&Lifetime) -> u32 + Sync),
}

/// A filter with what it needs at hand.
pub struct Asked<'a> {
    ground: Ground<'a>,
    /// By stack: whether all words about backtraces hold. Empty where there are none.
    stacks: Vec<bool>,
    tests: Vec<(bool, Prepared)>,
}

/// A test of single blocks.
enum Prepared {
    Size(Interval),
    Usable(Interval),
    Life(Interval),
    Age(u64, u32, Interval),
    Born(Interval),
    Freed(Interval),
    Realloc(Interval),
    Alive(u32),
    /// By number of the thread.
    Thread(Vec<bool>),
    Addr(Interval),
    Id(f64),
    Flag(u8),
    Leaked,
    Leak(Vec<u8>),
    /// By number of the function.
    Api(Vec<bool>),
}

impl<'a> Asked<'a> {
    /// Makes a filter ready. Ages are counted up to the position `at`.
    pub fn new(filter: &BlockFilter, ground: Ground<'a>, at: u32) -> Asked<'a> {
        let mut asked = Asked { ground, stacks: Vec::new(), tests: Vec::new() };
        for word in &filter.words {
            if let Test::Text(field, pattern) = &word.test {
                let found = stacks_with(ground.stacks, *field, pattern);
                if asked.stacks.is_empty() {
                    asked.stacks = vec![true; found.len()];
                }
                for (passes, found) in asked.stacks.iter_mut().zip(found) {
                    *passes &= found != word.not;
                }
            } else if let Some(test) = prepare(&word.test, ground, at) {
                asked.tests.push((word.not, test));
            }
        }
        asked
    }

    /// Whether the blocks of a stack can pass; that is all where [`BlockFilter::is_of_backtraces`].
    #[inline]
    pub fn passes_stack(&self, stack: u32) -> bool {
        self.stacks.get(stack as usize).copied().unwrap_or(true)
    }

    /// Whether a block passes.
    pub fn passes(&self, block: &Lifetime) -> bool {
        self.passes_stack(self.ground.stacks.stack(block.backtrace))
            && self.tests.iter().all(|(not, test)| self.holds(test, block) != *not)
    }

    fn holds(&self, test: &Prepared, block: &Lifetime) -> bool {
        let Ground { times, start, .. } = self.ground;
        let began = || if block.born == NEVER { start } else { times.of(block.born + 1, start) };
        let ended = || times.of(block.died.saturating_add(1), start);
        let has_ended = block.died != NEVER;
        match test {
            Prepared::Size(within) => within.holds(block.size as f64),
            Prepared::Usable(within) => within.holds(block.usable as f64),
            Prepared::Life(within) => has_ended && within.holds((ended().0 - began().0) as f64),
            Prepared::Age(now, at, within) => {
                let begun = block.born == NEVER || block.born < *at;
                begun && within.holds(now.saturating_sub(began().0) as f64)
            }
            Prepared::Born(within) => block.born != NEVER && within.holds(began().0 as f64),
            Prepared::Freed(within) => has_ended && within.holds(ended().0 as f64),
            Prepared::Realloc(within) => within.holds(f64::from((self.ground.reallocs)(block))),
            Prepared::Alive(position) => block.is_live(*position),
            Prepared::Thread(called) => called
                .get(usize::from((self.ground.thread)(block.thread)))
                .copied()
                .unwrap_or(false),
            Prepared::Addr(within) => holds_address(block, within),
            Prepared::Id(id) => block.id.0 as f64 == *id,
            Prepared::Flag(flag) => block.is(*flag),
            Prepared::Leaked => !has_ended,
            Prepared::Leak(classes) => classes.contains(&block.leak),
            Prepared::Api(called) => called.get(usize::from(block.api)).copied().unwrap_or(false),
        }
    }
}

/// One address is in the block that holds it; a range has the blocks that begin in it.
fn holds_address(block: &Lifetime, within: &Interval) -> bool {
    let addr = block.addr as f64;
    if within.lo != within.hi {
        return within.holds(addr);
    }
    let end = addr + block.size.max(block.usable) as f64;
    addr == within.lo || (addr < within.lo && within.lo < end)
}

fn prepare(test: &Test, ground: Ground<'_>, at: u32) -> Option<Prepared> {
    let Ground { times, start, events, thread_names, .. } = ground;
    Some(match test {
        Test::Text(..) => return None,
        Test::Measure(field, within) => match field {
            Field::Size => Prepared::Size(*within),
            Field::Usable => Prepared::Usable(*within),
            Field::Life => Prepared::Life(*within),
            Field::Age => Prepared::Age(times.of(at, start).0, at, *within),
            Field::Born => Prepared::Born(*within),
            Field::Freed => Prepared::Freed(*within),
            Field::Realloc => Prepared::Realloc(*within),
        },
        Test::Alive(time) => Prepared::Alive(times.at(TimeNs(*time as u64), events)),
        Test::Thread(text) => Prepared::Thread(threads_called(thread_names, text)),
        Test::Addr(within) => Prepared::Addr(*within),
        Test::Id(id) => Prepared::Id(*id),
        Test::Leaked => Prepared::Leaked,
        Test::Temporary => Prepared::Flag(flags::TEMPORARY),
        Test::Inherited => Prepared::Flag(flags::INHERITED),
        Test::Leak(classes) => Prepared::Leak(classes.clone()),
        Test::Api(name) => {
            let called = |api: u8| {
                Api::from_u8(api).is_some_and(|api| api.name().replace(' ', "-") == *name)
            };
            Prepared::Api((0..=u8::MAX).map(called).collect())
        }
    })
}

/// A number is a kernel id, else the number in the list of threads, from 1; a text is sought in names.
fn threads_called(names: &[(u32, String)], text: &str) -> Vec<bool> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number: Option<u64> = if is_number { text.parse().ok() } else { None };
    let is_tid = names.iter().any(|(tid, _)| Some(u64::from(*tid)) == number);
    let called = |(place, (tid, name)): (u64, &(u32, String))| match number {
        Some(number) if is_tid => u64::from(*tid) == number,
        Some(number) => place == number,
        None => !is_number && name.to_lowercase().contains(&text.to_lowercase()),
    };
    (1..).zip(names).map(called).collect()
}

/// By stack: whether it has such a frame.
fn stacks_with(stacks: &Stacks, field: TextField, pattern: &Pattern) -> Vec<bool> {
    let framed = |StackFrame { frame, .. }: &StackFrame| {
        let name = || pattern.matches(&frame.function) || pattern.matches(&frame.short);
        let file = || frame.file.as_deref().is_some_and(|file| pattern.matches(file));
        let module = || frame.module.as_deref().is_some_and(|module| pattern.matches(module));
        match field {
            TextField::Function | TextField::Site => name(),
            TextField::File => file(),
            TextField::Module => module(),
            TextField::Any => name() || file() || module(),
        }
    };
    let mut framed: Vec<bool> = stacks.frames.iter().map(framed).collect();
    // Frame 0 stands for no backtrace: it has no name to be found by.
    framed.iter_mut().take(1).for_each(|none| *none = false);
    let mut found = vec![false; stacks.len()];
    for stack in 1..stacks.len() {
        let frame =
            if field == TextField::Site { stacks.site_of[stack] } else { stacks.frame_of[stack] };
        let above = field != TextField::Site && found[stacks.parents[stack] as usize];
        found[stack] = framed[frame as usize] || above;
    }
    found
}
