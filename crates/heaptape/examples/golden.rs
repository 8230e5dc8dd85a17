//! The truth that the page's own sums are held against: `cargo run --example golden -- TAPE [PROCESS] > golden.json`.
//!
//! Everything is taken from the tape's live sets and the analysis that the text views use, or counted along its events;
//! the table of blocks that reports hold serves for the numbers of stacks only. Positions and ranges are drawn from a fixed
//! seed, so the same tape gives the same file. What it holds is in [`Golden`].

#![forbid(unsafe_code)]

#[path = "../src/glue/names.rs"]
#[allow(dead_code)]
mod names;

use heaptape_analysis::estimate::Sampling;
use heaptape_analysis::layout::Layout;
use heaptape_analysis::lifetimes::Lifetimes;
use heaptape_analysis::stacks::Stacks;
use heaptape_analysis::temporary::Temporaries;
use heaptape_analysis::{Sites, Weight, Weights};
use heaptape_symbols::SearchPaths;
use heaptape_tape::{
    BlockId, Effect, Event, EventIndex, LiveBlock, LiveSet, Moment, ProcessId, Tape, TapeError,
};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;

/// Instants, ranges, layouts.
const INSTANTS: u64 = 50;
const RANGES: u64 = 50;
const LAYOUTS: u64 = 6;
/// Stacks of a list, the heaviest first; of equal ones the smaller number first.
const TOP: usize = 20;
/// What functions are searched for.
const SEARCHES: [&str; 3] = ["alloc", "session", "no such function"];
/// Exact sizes and pins.
const FIRST: usize = 10;

#[derive(Serialize)]
struct Golden {
    process: u32,
    events: u64,
    /// Live blocks at positions.
    instants: Vec<Instant>,
    ranges: Vec<Range>,
    /// As `heaptape layout --json`, each with its `position`; pins have the number of their site's frame, too.
    layouts: Vec<LayoutAt>,
    /// The layout shortly before the end, when 0.9995 of the events have happened.
    late: LayoutAt,
    /// Of all blocks that were allocated.
    histograms: Histograms,
    /// Blocks that were allocated, by what filters ask for.
    filters: BTreeMap<String, Weight>,
    /// Of all blocks that were allocated, by whether the frames of wrappers are folded.
    searches: Vec<Search>,
}

/// What a search for functions finds.
#[derive(Serialize)]
struct Search {
    text: &'static str,
    /// Whether wrappers are no frames.
    folded: bool,
    /// Functions that fit, each by the functions above it.
    nodes: usize,
    /// On whose backtraces at least one function fits.
    #[serde(flatten)]
    weight: Weight,
}

#[derive(Serialize)]
struct Instant {
    position: u64,
    #[serde(flatten)]
    sum: Sum,
}

#[derive(Serialize)]
struct Range {
    a: u64,
    b: u64,
    peak: Instant,
    kept: Sum,
    leaked: Sum,
    alloc: Sum,
    freed: Sum,
    /// Not of a sample.
    temp: Option<Sum>,
    /// Signed; by what changed most either way.
    diff: Sum,
}

/// Bytes and blocks, and which stacks have most bytes of them: stack, bytes, blocks.
#[derive(Serialize)]
struct Sum {
    bytes: i128,
    blocks: i128,
    top: Vec<(u32, i128, i128)>,
}

#[derive(Serialize)]
struct LayoutAt {
    position: u64,
    #[serde(flatten)]
    layout: Layout,
    /// The frame of each pin's site.
    pin_sites: Vec<u32>,
}

/// As types.ts has them.
#[derive(Serialize)]
struct Histograms {
    sizes: Vec<Weight>,
    exact: Vec<(u64, Weight)>,
    lifetimes: Vec<Weight>,
    unfreed: Weight,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let tape = Tape::open(args.next().ok_or("usage: golden TAPE [PROCESS]")?.as_ref())?;
    let number = args.next().map(|it| it.to_string_lossy().parse()).transpose()?.unwrap_or(0);
    let names = names::SymbolNames::new(&tape, SearchPaths::new(Vec::new(), None));
    let process = ProcessId(number);
    let keep = Lifetimes::of(&tape, process, &|_| true)?;
    let used = keep.blocks.iter().flat_map(|block| [block.backtrace, block.freed_backtrace]);
    let stacks = Stacks::of(&tape, &names, used, &[])?;
    drop(keep);
    let history = History::read(&tape, process)?;
    let truth = Truth { tape: &tape, process, stacks: &stacks, history: &history };
    let mut random = Random(number.into());
    let positions = (0..INSTANTS).map(|_| truth.quiet(random.below(history.events + 1)));
    let instants = positions.collect::<Result<Vec<_>, _>>()?;
    let ranges = (0..RANGES).map(|nth| {
        let (one, other) = (random.below(history.events + 1), random.below(history.events + 1));
        let whole = nth == 0;
        let a = if whole { 0 } else { truth.quiet(one.min(other))? };
        let b = if whole { history.events } else { truth.quiet(one.max(other))? };
        truth.range(a, b.max(a))
    });
    let ranges = ranges.collect::<Result<Vec<_>, _>>()?;
    let mut sites = Sites::new(&tape, &names);
    let layouts = instants.iter().take(LAYOUTS as usize).map(|&at| truth.layout(at, &mut sites));
    let golden = Golden {
        process: number,
        events: history.events,
        layouts: layouts.collect::<Result<_, _>>()?,
        late: truth.layout(truth.quiet(history.events * 9995 / 10_000)?, &mut sites)?,
        instants: instants.iter().map(|&at| truth.instant(at)).collect::<Result<_, _>>()?,
        ranges,
        histograms: history.histograms(),
        filters: history.filters(),
        searches: SEARCHES
            .into_iter()
            .flat_map(|text| [true, false].map(|folded| truth.search(text, folded)))
            .collect(),
    };
    serde_json::to_writer_pretty(std::io::stdout().lock(), &golden)?;
    println!();
    Ok(())
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % bound.max(1)
    }
}

/// What happened, as it was told event by event.
struct History {
    events: u64,
    /// What each allocation weighs: by rank, block, and time.
    begun: Vec<(EventIndex, LiveBlock)>,
    /// Ends that were not taken back: rank, block, time.
    ended: Vec<(EventIndex, LiveBlock, u64)>,
    temporary: Vec<LiveBlock>,
    sampling: Option<Sampling>,
}

impl History {
    fn read(tape: &Tape, process: ProcessId) -> Result<History, TapeError> {
        let mut live = tape.live_at_start(process)?;
        let mut history = History {
            events: tape.event_count(process),
            begun: Vec::new(),
            ended: Vec::new(),
            temporary: Vec::new(),
            sampling: Sampling::of(tape),
        };
        let mut temporaries = Temporaries::default();
        let mut rank = 0;
        tape.runs(process, 0..history.events, &mut |stretch| {
            live.replay(stretch, |event, effect, _| {
                temporaries.note(event, effect, |block| history.temporary.push(*block));
                history.note(rank, event, effect);
                rank += 1;
            });
            Ok(ControlFlow::Continue(()))
        })?;
        history.temporary.extend(temporaries.finish());
        Ok(history)
    }

    fn note(&mut self, rank: EventIndex, event: &Event, effect: &Effect<&LiveBlock>) {
        match effect {
            Effect::Began(block, overlaid) => {
                self.begun.push((rank, **block));
                self.ended.extend(overlaid.map(|gone| (rank, *gone, event.time.0)));
            }
            Effect::Ended(block) => self.ended.push((rank, **block, event.time.0)),
            Effect::Restored(block) => {
                let taken_back = self.ended.iter().rposition(|(_, ended, _)| ended == *block);
                self.ended.remove(taken_back.expect("what was released had ended"));
            }
            Effect::EndedInherited | Effect::Unmatched | Effect::Nothing => {}
        }
    }

    fn weight(&self, block: &LiveBlock) -> Weight {
        match self.sampling {
            None => Weight::block(block.size),
            Some(sampling) => sampling.weight(block.size, block.id),
        }
    }

    fn histograms(&self) -> Histograms {
        let mut sizes = vec![Weight::default(); 65];
        let mut exact: HashMap<u64, Weight> = HashMap::new();
        let ends = self.ends();
        let (mut lifetimes, mut unfreed) = (vec![Weight::default(); 40], Weight::default());
        for (_, block) in &self.begun {
            let weight = self.weight(block);
            sizes[block.size.max(1).next_power_of_two().ilog2() as usize] += weight;
            *exact.entry(block.size).or_default() += weight;
            match ends.get(&(block.id, block.time.0)) {
                None => unfreed += weight,
                Some(end) => lifetimes[half_decade(end - block.time.0)] += weight,
            }
        }
        let mut exact: Vec<(u64, Weight)> = exact.into_iter().collect();
        exact.sort_by_key(|(size, weight)| (std::cmp::Reverse(weight.blocks), *size));
        exact.truncate(FIRST);
        let used = |bins: &mut Vec<Weight>| {
            bins.truncate(bins.iter().rposition(|it| it.blocks > 0).map_or(0, |last| last + 1));
        };
        used(&mut sizes);
        used(&mut lifetimes);
        Histograms { sizes, exact, lifetimes, unfreed }
    }

    /// When blocks ended, by their number and birth.
    fn ends(&self) -> HashMap<(BlockId, u64), u64> {
        self.ended.iter().map(|(_, block, time)| ((block.id, block.time.0), *time)).collect()
    }

    fn filters(&self) -> BTreeMap<String, Weight> {
        let mut filters: BTreeMap<String, Weight> = BTreeMap::new();
        let ends = self.ends();
        for (_, block) in &self.begun {
            let weight = self.weight(block);
            let mut add = |name: String| *filters.entry(name).or_default() += weight;
            add(format!("api:{}", block.api.name().replace(' ', "-")));
            for bound in [64, 1024, 65_536] {
                if block.size >= bound {
                    add(format!("size:>={bound}"));
                }
            }
            let end = ends.get(&(block.id, block.time.0));
            let brief = end.is_some_and(|end| end - block.time.0 < 1_000_000);
            for (bound, written) in [(32, "32"), (65_536, "64Ki")] {
                let fits = brief && block.size >= bound;
                let none = Weight::default();
                *filters.entry(format!("size:>={written} life:<1ms")).or_default() +=
                    if fits { weight } else { none };
            }
        }
        filters
    }
}

/// The bin of a lifetime: k where it is 10^(k/2) to 10^((k+1)/2) µs.
fn half_decade(ns: u64) -> usize {
    let squared = u128::from(ns).pow(2);
    // (10^(k/2) µs)², in ns²: exact.
    let bound = |k: u32| 1_000_000 * 10_u128.pow(k);
    (0..).take_while(|&k| bound(k + 1) <= squared).count()
}

struct Truth<'a> {
    tape: &'a Tape,
    process: ProcessId,
    stacks: &'a Stacks,
    history: &'a History,
}

impl Truth<'_> {
    fn live(&self, position: u64) -> Result<LiveSet, TapeError> {
        self.tape.live_at(self.process, Moment::Event(position))
    }

    /// This position, or the next one at which no thread is in the middle of a realloc: the block of one that fails is
    /// live there for the page, and not in the live set.
    fn quiet(&self, position: u64) -> Result<u64, TapeError> {
        let mut live = self.live(position)?;
        let mut at = position;
        self.tape.runs(self.process, position..self.history.events, &mut |events| {
            for event in events {
                if live.releasing().next().is_none() {
                    return Ok(ControlFlow::Break(()));
                }
                live.apply(event);
                at += 1;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(at)
    }

    fn sum<'b>(&self, blocks: impl Iterator<Item = (&'b LiveBlock, i128)>) -> Sum {
        let mut by_stack: BTreeMap<u32, (i128, i128)> = BTreeMap::new();
        let (mut bytes, mut count) = (0, 0);
        for (block, sign) in blocks {
            let weight = self.history.weight(block);
            let entry = by_stack.entry(self.stacks.stack(block.backtrace)).or_default();
            entry.0 += sign * i128::from(weight.bytes);
            entry.1 += sign * i128::from(weight.blocks);
            bytes += sign * i128::from(weight.bytes);
            count += sign * i128::from(weight.blocks);
        }
        let rows = by_stack.into_iter().filter(|(_, sum)| *sum != (0, 0));
        let mut top: Vec<_> = rows.map(|(stack, (bytes, blocks))| (stack, bytes, blocks)).collect();
        top.sort_by_key(|(stack, bytes, _)| (std::cmp::Reverse(bytes.abs()), *stack));
        top.truncate(TOP);
        Sum { bytes, blocks: count, top }
    }

    fn instant(&self, position: u64) -> Result<Instant, TapeError> {
        let live = self.live(position)?;
        let sum = self.sum(live.blocks().map(|block| (block, 1)));
        // The sums of the text views are the same.
        let theirs = Weights::of_live(self.tape, &live).expect("memory does").total();
        assert_eq!((sum.bytes, sum.blocks), (theirs.bytes.into(), theirs.blocks.into()));
        Ok(Instant { position, sum })
    }

    fn range(&self, a: u64, b: u64) -> Result<Range, TapeError> {
        let history = self.history;
        let (before, after) = (self.live(a)?, self.live(b)?);
        let at_end = self.live(history.events)?;
        let own = |set: &LiveSet, from: u64, to: u64| -> Vec<LiveBlock> {
            // Numbers are ranks among allocations; those of inherited blocks are the parent's.
            let (from, to) = (self.allocations(from), self.allocations(to));
            let is_own = |block: &&LiveBlock| self.is_own(block);
            set.blocks()
                .filter(is_own)
                .filter(|it| from < it.id.0 && it.id.0 <= to)
                .copied()
                .collect()
        };
        let all = |blocks: &[LiveBlock]| self.sum(blocks.iter().map(|block| (block, 1)));
        let in_range = |rank: EventIndex| a <= rank && rank < b;
        let begun = history.begun.iter().filter(|(rank, _)| in_range(*rank));
        let begun: Vec<LiveBlock> = begun.map(|(_, block)| *block).collect();
        let ended = history.ended.iter().filter(|(rank, _, _)| in_range(*rank));
        let ended: Vec<LiveBlock> = ended.map(|(_, block, _)| *block).collect();
        let (from, to) = (self.allocations(a), self.allocations(b));
        let temporary = history.temporary.iter().filter(|it| from < it.id.0 && it.id.0 <= to);
        let temporary: Vec<LiveBlock> = temporary.copied().collect();
        let diff = after.blocks().map(|it| (it, 1)).chain(before.blocks().map(|it| (it, -1)));
        Ok(Range {
            a,
            b,
            peak: self.instant(self.peak(a, b)?)?,
            kept: all(&own(&after, a, b)),
            leaked: all(&own(&at_end, a, b)),
            alloc: all(&begun),
            freed: all(&ended),
            temp: history.sampling.is_none().then(|| all(&temporary)),
            diff: self.sum(diff),
        })
    }

    /// Allocations among the first events.
    fn allocations(&self, position: u64) -> u64 {
        self.history.begun.partition_point(|(rank, _)| *rank < position) as u64
    }

    fn is_own(&self, block: &LiveBlock) -> bool {
        let thread = self.tape.threads().get(block.thread.0 as usize);
        thread.is_none_or(|thread| thread.process == self.process)
    }

    /// The first position in `(a, b]` of most live bytes; `b` where there is none.
    fn peak(&self, a: u64, b: u64) -> Result<u64, TapeError> {
        let mut live = self.live(a)?;
        let weight = |block: &LiveBlock| i128::from(self.history.weight(block).bytes);
        let mut bytes: i128 = live.blocks().map(weight).sum();
        let (mut at, mut most) = (a, None);
        self.tape.runs(self.process, a..b, &mut |events| {
            for event in events {
                let effect = live.apply(event);
                bytes += effect.come().map_or(0, weight) - effect.gone().map_or(0, weight);
                at += 1;
                if most.is_none_or(|(_, most)| bytes > most) {
                    most = Some((at, bytes));
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(most.map_or(b, |(at, _)| at))
    }

    /// The functions on a backtrace, outermost first.
    fn path(&self, stack: u32, folded: bool) -> Vec<u32> {
        let stacks = self.stacks;
        let up = std::iter::successors(Some(stack), |at| Some(stacks.parents[*at as usize]));
        let frames = up.take_while(|at| *at != 0).map(|at| stacks.frame_of[at as usize]);
        let shown = frames.filter(|frame| !(folded && stacks.frames[*frame as usize].wrapper));
        let mut path: Vec<u32> = shown.collect();
        path.reverse();
        path
    }

    fn search(&self, text: &'static str, folded: bool) -> Search {
        let fits = |frame: &u32| {
            self.stacks.frames[*frame as usize].frame.function.to_lowercase().contains(text)
        };
        let mut nodes: HashSet<Vec<u32>> = HashSet::new();
        let mut by_stack: BTreeMap<u32, Weight> = BTreeMap::new();
        for (_, block) in &self.history.begun {
            let weight = self.history.weight(block);
            *by_stack.entry(self.stacks.stack(block.backtrace)).or_default() += weight;
        }
        let mut found = Weight::default();
        for (stack, weight) in by_stack {
            let path = self.path(stack, folded);
            let function = |frame: &u32| self.stacks.frames[*frame as usize].function;
            let matches: Vec<usize> = (0..path.len()).filter(|at| fits(&path[*at])).collect();
            nodes.extend(matches.iter().map(|at| path[..=*at].iter().map(function).collect()));
            if !matches.is_empty() {
                found += weight;
            }
        }
        Search { text, folded, nodes: nodes.len(), weight: found }
    }

    fn layout(&self, position: u64, sites: &mut Sites<'_>) -> Result<LayoutAt, TapeError> {
        let mut layout = Layout::of(self.tape, self.process, &self.live(position)?, sites);
        layout.pins.truncate(FIRST);
        let pin_sites = layout.pins.iter().map(|pin| {
            let same = |index: &u32| {
                let frame = &self.stacks.frames[*index as usize].frame;
                pin.site.frame.as_ref().is_some_and(|site| {
                    (&site.function, &site.file, site.line, &site.module)
                        == (&frame.function, &frame.file, frame.line, &frame.module)
                })
            };
            (1..self.stacks.frames.len() as u32).find(same).unwrap_or(0)
        });
        Ok(LayoutAt { position, pin_sites: pin_sites.collect(), layout })
    }
}
