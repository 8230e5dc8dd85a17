//! Blocks one by one: the list of a measure, one block, the history of an address, events.

use super::answers::{Answers, Measure};
use super::long::Life;
use super::measure::Signed;
use super::span::Span;
use super::{AskError, Stop, unless_stopped};
use crate::lifetimes::Lifetime;
use crate::stacks::{StackFrame, Stacks};

/// Rows of a list that can be reached. Of more, whoever asks should filter.
pub const MOST_ROWS: usize = 1 << 20;

/// By what a list is ordered; rows that are equal by it are in order of birth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// By number, which is by birth.
    Id,
    /// By address.
    Addr,
    /// By bytes asked for.
    Size,
    /// By birth.
    Born,
    /// By end; never freed ones last.
    Died,
    /// By time between them; never freed ones last.
    Lifetime,
    /// By the name of the call site.
    Site,
    /// By the thread that allocated.
    Thread,
    /// By the function that was called.
    Api,
    /// By leak class.
    Leak,
}

impl std::str::FromStr for Sort {
    type Err = String;

    fn from_str(word: &str) -> Result<Sort, String> {
        Ok(match word {
            "id" => Sort::Id,
            "addr" => Sort::Addr,
            "size" => Sort::Size,
            "born" => Sort::Born,
            "died" => Sort::Died,
            "lifetime" => Sort::Lifetime,
            "site" => Sort::Site,
            "thread" => Sort::Thread,
            "api" => Sort::Api,
            "leak" => Sort::Leak,
            _ => return Err(format!("there is no order by {word}")),
        })
    }
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Its blocks.
    pub rows: Vec<Lifetime>,
    /// All that fit.
    pub count: u64,
    /// What they weigh.
    pub total: Signed,
}

/// An event that began or ended a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The position after it.
    pub position: u32,
    /// The block.
    pub block: Lifetime,
    /// Whether it began it.
    pub begins: bool,
}

impl Answers<'_> {
    /// Some of the blocks of a measure, in an order. Holds twice as many as the last one that is asked for.
    pub fn blocks(
        &self,
        measure: &Measure,
        (sort, descending): (Sort, bool),
        offset: usize,
        limit: usize,
        stop: Stop<'_>,
    ) -> Result<Page, AskError> {
        let wanted = offset.saturating_add(limit);
        if wanted > MOST_ROWS {
            let why = format!("only the first {MOST_ROWS} rows can be shown; filter or sort them");
            return Err(AskError::Question(why));
        }
        let index = self.winder.index;
        let reallocs = |block: &Lifetime| index.reallocs(block);
        let choice = self.choose(measure, &reallocs, stop)?;
        let ranks = if sort == Sort::Site { site_ranks(self.stacks) } else { Vec::new() };
        let start = self.start();
        let key = |block: &Lifetime| -> u64 {
            match sort {
                Sort::Id | Sort::Born => from(block),
                Sort::Addr => block.addr,
                Sort::Size => block.size,
                Sort::Died => u64::from(block.died),
                Sort::Lifetime => index.lived(block, start).unwrap_or(u64::MAX),
                Sort::Site => {
                    let stack = self.stacks.stack(block.backtrace) as usize;
                    u64::from(ranks[self.stacks.site_of[stack] as usize])
                }
                Sort::Thread => u64::from((self.thread)(block.thread)),
                Sort::Api => u64::from(block.api),
                Sort::Leak => u64::from(block.leak),
            }
        };
        let make = || (First::new(wanted, descending), Page::default());
        let parts = self.winder.gather(choice.span, stop, make, |(first, page), block, sign| {
            if choice.passes(block) {
                page.count += 1;
                page.total.add(index.weigh(block), sign);
                first.add(key(block), block);
            }
        })?;
        let (mut first, mut page) = make();
        for (own, part) in parts {
            page.count += part.count;
            page.total.plus(part.total);
            first.rows.extend(own.rows);
        }
        page.rows = first.finish().into_iter().skip(offset).collect();
        index.complete(self.winder.recording(), &mut page.rows)?;
        Ok(page)
    }

    /// The block of a number, if the process allocated it or inherited one of that number.
    pub fn block(&self, id: u64, stop: Stop<'_>) -> Result<Option<Lifetime>, AskError> {
        let index = self.winder.index;
        let place = id.checked_sub(1).and_then(|place| u32::try_from(place).ok());
        let mut found = None;
        if let Some(rank) = place.and_then(|place| index.births.rank_of(place)) {
            found = index.long.born_at(rank, &index.births);
            if found.is_none() {
                self.winder.each_short_born(rank..rank + 1, stop, &mut |it| found = Some(*it))?;
            }
        }
        let inherited = || index.long.odd().iter().find(|block| block.id.0 == id).copied();
        let mut found: Vec<Lifetime> = found.or_else(inherited).into_iter().collect();
        index.complete(self.winder.recording(), &mut found)?;
        Ok(found.first().copied())
    }

    /// The newest blocks that ever held an address, oldest first.
    pub fn history(
        &self,
        addr: u64,
        limit: usize,
        stop: Stop<'_>,
    ) -> Result<Vec<Lifetime>, AskError> {
        let index = self.winder.index;
        let touching = |block: &Lifetime| touches(block, addr, addr.saturating_add(1));
        let mut found = Vec::new();
        index.long.holding(addr, &index.births, |block| found.push(*block));
        keep_newest(&mut found, limit);
        // From the last cell back: what is older than enough is not looked for.
        let mut end = index.events;
        while end > 0 {
            unless_stopped(stop)?;
            let oldest = found.first().map_or(0, from);
            if found.len() >= limit && u64::from(end) < oldest {
                break;
            }
            let begin = (end - 1) / STRETCH * STRETCH;
            let mut own = Vec::new();
            self.winder.each_short_born(begin..end, stop, &mut |block| {
                if touching(block) {
                    own.push(*block);
                }
            })?;
            found.append(&mut own);
            keep_newest(&mut found, limit);
            end = begin;
        }
        index.complete(self.winder.recording(), &mut found)?;
        Ok(found)
    }

    /// The newest events before a position that began or ended a block which touches an address range, newest last.
    pub fn events(
        &self,
        before: u32,
        lo: u64,
        hi: u64,
        most: usize,
        stop: Stop<'_>,
    ) -> Result<Vec<Touch>, AskError> {
        let index = self.winder.index;
        let before = before.min(index.events);
        let mut found: Vec<Touch> = Vec::new();
        let keep = |found: &mut Vec<Touch>| {
            found.sort_by_key(|touch| (touch.position, touch.begins));
            let extra = found.len().saturating_sub(most);
            found.drain(..extra);
        };
        // Back from there, by ever longer stretches.
        let (mut end, mut length) = (before, STRETCH);
        while end > 0 && found.len() < most {
            let begin = end.saturating_sub(length);
            let mut older: Vec<Touch> = Vec::new();
            let mut note = |touch: Touch| {
                if begin < touch.position && touch.position <= end {
                    older.push(touch);
                    if older.len() > 2 * most.max(1 << 10) {
                        keep(&mut older);
                    }
                }
            };
            let born = |block: &Lifetime| Touch {
                position: block.born.wrapping_add(1),
                block: *block,
                begins: true,
            };
            let died = |block: &Lifetime| Touch {
                position: block.died.wrapping_add(1),
                block: *block,
                begins: false,
            };
            let touching = |block: &Lifetime| touches(block, lo, hi);
            // Of long ones just those that begin or end there: most do neither.
            for (span, touch) in [
                (Span::Alloc(begin, end), &born as &dyn Fn(&Lifetime) -> Touch),
                (Span::Freed(begin, end), &died),
            ] {
                index.long.each(span, &index.births, |block, _| {
                    if touching(block) {
                        note(touch(block));
                    }
                });
            }
            self.winder.each_short(Span::Met(begin, end), stop, &mut |block, _| {
                if touching(block) {
                    note(born(block));
                    note(died(block));
                }
            })?;
            older.append(&mut found);
            found = older;
            keep(&mut found);
            (end, length) = (begin, length.saturating_mul(2));
        }
        let mut blocks: Vec<Lifetime> = found.iter().map(|touch| touch.block).collect();
        index.complete(self.winder.recording(), &mut blocks)?;
        for (touch, block) in found.iter_mut().zip(blocks) {
            touch.block = block;
        }
        Ok(found)
    }
}

/// Events that are read at a time, going back.
const STRETCH: u32 = 1 << 18;

/// The first position at which a block is live.
fn from(block: &Lifetime) -> u64 {
    u64::from(Life::of(block).from)
}

/// Whether a block holds an address of a range; one without bytes holds its own address.
pub(super) fn touches(block: &Lifetime, lo: u64, hi: u64) -> bool {
    let end = block.addr.saturating_add(block.size.max(block.usable));
    block.addr < hi && (block.addr >= lo || end > lo)
}

fn keep_newest(blocks: &mut Vec<Lifetime>, limit: usize) {
    blocks.sort_by_key(|block| (from(block), block.id));
    let extra = blocks.len().saturating_sub(limit);
    blocks.drain(..extra);
}

/// By frame: its place among call sites in the order of their names.
pub(super) fn site_ranks(stacks: &Stacks) -> Vec<u32> {
    let mut sites: Vec<u32> = stacks.site_of.clone();
    sites.sort_unstable();
    sites.dedup();
    sites.sort_by(|x, y| site_key(stacks, *x).cmp(&site_key(stacks, *y)));
    let mut ranks = vec![0; stacks.frames.len()];
    for (rank, site) in (0..).zip(sites) {
        ranks[site as usize] = rank;
    }
    ranks
}

fn site_key(stacks: &Stacks, site: u32) -> (bool, &str, Option<&str>, u32, Option<&str>) {
    let StackFrame { frame, .. } = &stacks.frames[site as usize];
    (site != 0, &frame.function, frame.file.as_deref(), frame.line, frame.module.as_deref())
}

/// By what rows are ordered: what is least comes first.
type Order = (u64, u64, u64);

/// The rows that come first, of any number.
struct First {
    wanted: usize,
    descending: bool,
    rows: Vec<(Order, Lifetime)>,
    /// The last of as many as are wanted: what comes after it is not among them.
    last: Option<Order>,
}

impl First {
    fn new(wanted: usize, descending: bool) -> First {
        First { wanted, descending, rows: Vec::new(), last: None }
    }

    #[inline]
    fn add(&mut self, key: u64, block: &Lifetime) {
        let key = if self.descending { u64::MAX - key } else { key };
        let order = (key, from(block), block.id.0);
        if self.last.is_some_and(|last| order > last) {
            return;
        }
        self.rows.push((order, *block));
        if self.rows.len() >= 2 * self.wanted.max(512) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.rows.len() <= self.wanted {
            return;
        }
        if let Some(last) = self.wanted.checked_sub(1) {
            self.last = Some(self.rows.select_nth_unstable_by_key(last, |row| row.0).1.0);
        }
        self.rows.truncate(self.wanted);
    }

    fn finish(mut self) -> Vec<Lifetime> {
        self.cut();
        self.rows.sort_unstable_by_key(|row| row.0);
        self.rows.into_iter().map(|(_, block)| block).collect()
    }
}
