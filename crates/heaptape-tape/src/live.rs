//! The live set: what is allocated and not yet freed, kept while events go by.
//!
//! One [`LiveSet`] follows one process. The collector keeps one to write keyframes, the reader one to
//! wind a tape, the analysis one to attribute bytes. A forked child inherits blocks: its own set starts
//! empty with [`LiveSet::forked`], and an inherited block that it frees is noted by address, so that a
//! keyframe of the child never repeats the parent's heap. For replay a child's set holds the inherited
//! blocks themselves ([`LiveSet::with_inherited`]), as far as they are known
//! ([`LiveSet::with_nearly_inherited`]).

mod slab;
mod state;

use crate::limits::live_bytes;
use crate::model::*;
use crate::places::{NONE, Places};
use crate::run::Stretch;
use rustc_hash::FxHashSet;
use state::{Found, Searched, State};
use std::borrow::Borrow;

/// Events to [`LiveSet::foresee`] at a time: more than a processor can wait for at once, less than its nearest
/// cache holds.
pub const FORESEEN: usize = 32;

/// A block that is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveBlock {
    /// Where it starts.
    pub addr: u64,
    /// Bytes asked for.
    pub size: u64,
    /// Bytes the allocator gave; 0 when not known.
    pub usable: u64,
    /// Its number.
    pub id: BlockId,
    /// When it was allocated.
    pub time: TimeNs,
    /// By which thread.
    pub thread: ThreadId,
    /// By which function.
    pub api: Api,
    /// log2 of the alignment asked for; 0 when none was.
    pub align_log2: u8,
    /// From where.
    pub backtrace: BacktraceId,
}

impl LiveBlock {
    /// The block that an event begins.
    #[inline]
    pub fn begun_by(event: &Event, id: BlockId) -> LiveBlock {
        LiveBlock {
            addr: event.addr,
            size: event.size,
            usable: event.usable,
            id,
            time: event.time,
            thread: event.thread,
            api: event.api,
            align_log2: event.align_log2,
            backtrace: event.backtrace,
        }
    }
}

/// Running totals of a process's history. All exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Events so far.
    pub events: u64,
    /// Blocks begun: allocations and successful reallocs.
    pub allocs: u64,
    /// Bytes of those.
    pub alloc_bytes: u64,
    /// Blocks ended: frees and realloc releases, those that matched a block.
    pub frees: u64,
    /// Allocations that returned NULL.
    pub failed: u64,
    /// Frees and releases of an address that was no live block.
    pub unmatched_frees: u64,
    /// Allocations at an address that was still live: its free was missed. The old block is dropped.
    pub overlaid: u64,
    /// Bytes live now.
    pub live_bytes: u64,
    /// Blocks live now.
    pub live_blocks: u64,
    /// Most bytes live at once so far.
    pub peak_bytes: u64,
    /// Blocks at that moment.
    pub peak_blocks: u64,
    /// The first moment of it.
    pub peak_time: TimeNs,
    /// Events up to and including that moment.
    pub peak_event: EventIndex,
}

/// What became of an event. `B` is a block, or a reference to one where many events are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect<B = LiveBlock> {
    /// A block began; the second field is the block that was still recorded at its address, if any.
    Began(B, Option<B>),
    /// This block ended.
    Ended(B),
    /// This block, released by a realloc that failed, lives on.
    Restored(B),
    /// A block inherited over `fork` ended; it is not in this set.
    EndedInherited,
    /// A free or release of an address that was no live block.
    Unmatched,
    /// Nothing changed for blocks: a failed allocation, a mapping.
    Nothing,
}

impl<B> Effect<B> {
    /// The same of other blocks.
    #[inline(always)]
    fn map<C>(self, of: impl Fn(B) -> C) -> Effect<C> {
        match self {
            Effect::Began(block, overlaid) => Effect::Began(of(block), overlaid.map(of)),
            Effect::Ended(block) => Effect::Ended(of(block)),
            Effect::Restored(block) => Effect::Restored(of(block)),
            Effect::EndedInherited => Effect::EndedInherited,
            Effect::Unmatched => Effect::Unmatched,
            Effect::Nothing => Effect::Nothing,
        }
    }
}

impl<B: Borrow<LiveBlock>> Effect<B> {
    /// The block that is live no more.
    #[inline]
    pub fn gone(&self) -> Option<&LiveBlock> {
        match self {
            Effect::Began(_, Some(block)) | Effect::Ended(block) => Some(block.borrow()),
            _ => None,
        }
    }

    /// The block that is live now and was not, or not any more.
    #[inline]
    pub fn come(&self) -> Option<&LiveBlock> {
        match self {
            Effect::Began(block, _) | Effect::Restored(block) => Some(block.borrow()),
            _ => None,
        }
    }
}

/// The live blocks of one process and its running totals.
#[derive(Clone, Debug, Default)]
pub struct LiveSet {
    /// Slots of the blocks, by address.
    places: Places,
    state: State,
}

impl LiveSet {
    /// The set of a process that began with an empty heap.
    pub fn new() -> LiveSet {
        LiveSet::default()
    }

    /// The set of a forked child: frees of unknown addresses are taken as frees of inherited blocks,
    /// each address once until it is allocated anew.
    pub fn forked() -> LiveSet {
        LiveSet { state: State { forked: true, ..State::default() }, ..LiveSet::default() }
    }

    /// The set of a forked child that really holds the inherited blocks, for replay: the child's own
    /// block numbers start at 1 like any process's.
    pub fn with_inherited(blocks: impl IntoIterator<Item = LiveBlock>) -> LiveSet {
        let mut set = LiveSet::new();
        for block in blocks {
            set.state.totals.live_bytes = set.state.totals.live_bytes.wrapping_add(block.size);
            set.state.totals.live_blocks += 1;
            set.hold(block);
        }
        set.state.totals.peak_bytes = set.state.totals.live_bytes;
        set.state.totals.peak_blocks = set.state.totals.live_blocks;
        set
    }

    /// The same where the inherited blocks are not known exactly. When a thread forks, other threads go
    /// on until the child's memory is copied; what they allocate and free in between, after the fork in
    /// the order of the parent's history, is missing or too much here.
    ///
    /// So at each address the child's first word is believed, and is no sign of a bug: a free of no
    /// known block frees an inherited one, and an allocation on an inherited block was preceded by a
    /// free. From then on the address is known.
    pub fn with_nearly_inherited(blocks: impl IntoIterator<Item = LiveBlock>) -> LiveSet {
        let mut set = LiveSet::with_inherited(blocks);
        (set.state.forked, set.state.nearly) = (true, true);
        set
    }

    /// This set of a forked child's own blocks, for replay: with `blocks`, which are the inherited
    /// ones still live, known exactly or nearly, and its own.
    pub(crate) fn with_all_blocks(
        self,
        blocks: impl IntoIterator<Item = LiveBlock>,
        exact: bool,
    ) -> LiveSet {
        let mut known = FxHashSet::default();
        let own: Vec<u64> =
            if exact { Vec::new() } else { self.blocks().map(|b| b.addr).collect() };
        let State { releasing, inherited_freed, totals, .. } = self.state;
        if !exact {
            known = inherited_freed;
            known.extend(own);
        }
        let mut all = LiveSet::from_parts(blocks, releasing, !exact, known, totals);
        all.state.nearly = !exact;
        all
    }

    /// Rebuilds a set from the parts of a keyframe. What is live now is counted anew, the other totals
    /// are taken over.
    pub fn from_parts(
        blocks: impl IntoIterator<Item = LiveBlock>,
        releasing: impl IntoIterator<Item = (ThreadId, LiveBlock)>,
        forked: bool,
        inherited_freed: impl IntoIterator<Item = u64>,
        totals: Totals,
    ) -> LiveSet {
        let mut set = LiveSet::new();
        for block in blocks {
            set.hold(block);
        }
        set.state.totals = Totals {
            live_bytes: set.blocks().fold(0, |sum, block| sum.wrapping_add(block.size)),
            live_blocks: set.state.slots.len() as u64,
            ..totals
        };
        set.state.releasing = releasing.into_iter().collect();
        set.state.forked = forked;
        set.state.inherited_freed = inherited_freed.into_iter().collect();
        set
    }

    /// Puts a block in that no event tells of.
    fn hold(&mut self, block: LiveBlock) {
        let mut spot = Searched { places: &mut self.places, addr: block.addr };
        self.state.hold(block, 0, &mut spot);
    }

    /// Applies one event and tells what it did.
    #[inline]
    pub fn apply(&mut self, event: &Event) -> Effect {
        let (effect, _) = self.apply_marked(event, event.time, 0);
        effect.map(|block| *block)
    }

    /// The same, at another time and with a mark for the block that begins; also returns the mark of the block
    /// that ended. 0 is no mark: that of a block that ended and lives on, too.
    #[inline(always)]
    pub(crate) fn apply_marked(
        &mut self,
        event: &Event,
        time: TimeNs,
        mark: u64,
    ) -> (Effect<&LiveBlock>, u64) {
        let mut spot = Searched { places: &mut self.places, addr: event.addr };
        let effect = self.state.apply(event, time, mark, &mut spot);
        let mark = match effect {
            Effect::Ended(slot) => self.state.slots.at(slot).mark,
            _ => 0,
        };
        (self.state.tell(effect), mark)
    }

    /// Applies events that follow each other. After each one, `note` is told what it did, and the totals.
    ///
    /// Where the blocks of a run are is looked up once for each address, all at once, and not in each event.
    #[inline]
    pub fn replay(
        &mut self,
        stretch: Stretch<'_>,
        mut note: impl FnMut(&Event, &Effect<&LiveBlock>, &Totals),
    ) {
        let before = self.spots(stretch.addrs());
        let mut spots = before.clone();
        for (events, numbers) in stretch.chunks_with_spots(FORESEEN) {
            self.state.slots.touch(numbers.iter().map(|&number| spots[number as usize]));
            for (event, &number) in events.iter().zip(numbers) {
                let mut spot = Found(&mut spots[number as usize]);
                let effect = self.state.apply(event, event.time, 0, &mut spot);
                note(event, &self.state.tell(effect), &self.state.totals);
            }
        }
        for ((&addr, was), now) in stretch.addrs().iter().zip(before).zip(spots) {
            self.places.change(addr, was, now);
        }
    }

    /// The slots of the blocks at these addresses, [`NONE`] where none is.
    fn spots(&self, addrs: &[u64]) -> Vec<u32> {
        let slots = &self.state.slots;
        let mut spots = Vec::with_capacity(addrs.len());
        for some in addrs.chunks(FORESEEN) {
            self.touch(some.iter().copied());
            let slot = |&addr| self.places.find(addr, |number| slots.addr(number)).unwrap_or(NONE);
            spots.extend(some.iter().map(slot));
        }
        spots
    }

    /// Fetches into the cache what the next events will need. Worth its while for some [`FORESEEN`] events that
    /// are known beforehand: each would wait for memory alone, together they wait once.
    pub fn foresee(&self, events: &[Event]) {
        self.touch(events.iter().map(|event| event.addr));
    }

    /// The same by address.
    fn touch(&self, addrs: impl Iterator<Item = u64> + Clone) {
        self.state.slots.touch(self.places.guess(addrs));
    }

    /// The running totals.
    pub fn totals(&self) -> &Totals {
        &self.state.totals
    }

    /// The live blocks, in no order.
    pub fn blocks(&self) -> impl Iterator<Item = &LiveBlock> {
        self.places.numbers().map(|number| &self.state.slots.at(number).block)
    }

    /// The live block that starts at `addr`.
    pub fn get(&self, addr: u64) -> Option<&LiveBlock> {
        let slots = &self.state.slots;
        let slot = self.places.find(addr, |number| slots.addr(number))?;
        Some(&slots.at(slot).block)
    }

    /// About the bytes that it takes or is about to: with a list of its blocks and its next growth. What was taken
    /// for blocks that are gone is kept for others to come, and counts.
    pub fn bytes(&self) -> u64 {
        let blocks = self.state.slots.len();
        let list = blocks * size_of::<LiveBlock>();
        live_bytes(blocks as u64).max(self.bytes_at_rest() + list as u64)
    }

    /// About the bytes that it takes where nothing more happens to it.
    pub(crate) fn bytes_at_rest(&self) -> u64 {
        // A hash table has up to eight places for seven entries, and a byte beside each.
        let addresses = self.state.inherited_freed.capacity() * 10;
        let releasing = self.state.releasing.capacity() * (size_of::<(ThreadId, LiveBlock)>() + 10);
        (self.state.slots.bytes() + self.places.bytes() + addresses + releasing) as u64
    }

    /// The live blocks, by address.
    pub fn sorted(&self) -> Vec<LiveBlock> {
        let mut blocks = Vec::with_capacity(self.state.slots.len());
        blocks.extend(self.blocks().copied());
        blocks.sort_unstable_by_key(|b| b.addr);
        blocks
    }

    /// Blocks in the middle of a realloc.
    pub fn releasing(&self) -> impl Iterator<Item = (&ThreadId, &LiveBlock)> {
        self.state.releasing.iter()
    }

    /// Whether the first free of an unknown address is taken as the free of an inherited block.
    pub fn is_forked(&self) -> bool {
        self.state.forked
    }

    /// Addresses of inherited blocks that were freed; of a set that holds inherited blocks itself, all
    /// addresses that the child had to do with.
    pub fn inherited_freed(&self) -> impl Iterator<Item = u64> + '_ {
        self.state.inherited_freed.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Run;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn event(action: Action, thread: u8, addr: u8, size: u16, time: u64) -> Event {
        Event {
            time: TimeNs(time),
            thread: ThreadId(u32::from(thread)),
            action,
            api: Api::Malloc,
            align_log2: 0,
            addr: u64::from(addr),
            size: u64::from(size),
            usable: 0,
            backtrace: BacktraceId::NONE,
        }
    }

    /// It was counted as empty, whatever it had held.
    #[test]
    fn a_set_that_shrank_still_takes_what_it_took() {
        let mut set = LiveSet::new();
        for number in 0..10_000 {
            set.apply(&Event { addr: number * 16, ..event(Action::Alloc, 0, 0, 8, 0) });
        }
        let grown = set.bytes();
        assert!((10_000 * 128..=live_bytes(10_000)).contains(&grown), "{grown}");
        for number in 0..10_000 {
            set.apply(&Event { addr: number * 16, ..event(Action::Free, 0, 0, 0, 0) });
        }
        assert!(set.bytes() >= 10_000 * 80, "{}", set.bytes());
    }

    /// The slow, obvious account: address to (number, size), and who is in a realloc of what.
    #[derive(Default)]
    struct Ledger {
        live: BTreeMap<u64, (u64, u64)>,
        releasing: BTreeMap<ThreadId, (u64, (u64, u64))>,
        events: u64,
        begun: u64,
        ended: u64,
        peak: (u64, u64),
    }

    impl Ledger {
        fn apply(&mut self, event: &Event) {
            self.events += 1;
            match event.action {
                Action::Alloc | Action::ReallocAlloc => {
                    if event.action == Action::ReallocAlloc {
                        self.releasing.remove(&event.thread);
                    }
                    self.begun += 1;
                    self.live.insert(event.addr, (self.begun, event.size));
                    self.peak = self.peak.max((self.bytes(), u64::MAX - self.events));
                }
                Action::Free => self.ended += u64::from(self.live.remove(&event.addr).is_some()),
                Action::ReallocRelease => {
                    self.releasing.remove(&event.thread);
                    if let Some(block) = self.live.remove(&event.addr) {
                        self.ended += 1;
                        self.releasing.insert(event.thread, (event.addr, block));
                    }
                }
                Action::ReallocFail => {
                    let released = self.releasing.remove(&event.thread);
                    if let Some((addr, block)) = released.filter(|(a, _)| *a == event.addr) {
                        self.ended -= 1;
                        self.live.insert(addr, block);
                    }
                }
                Action::AllocFail | Action::Map | Action::Unmap => {}
            }
        }

        fn bytes(&self) -> u64 {
            self.live.values().map(|(_, size)| size).sum()
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_ledger(
            steps in prop::collection::vec((0u8..8, 0u8..3, 0u8..12, 1u16..), 0..200)
        ) {
            let (mut set, mut ledger) = (LiveSet::new(), Ledger::default());
            for (time, (action, thread, addr, size)) in (0..).zip(steps) {
                let action = Action::from_u8(action).unwrap();
                // Nobody else can have got the address of a block whose realloc fails.
                if action == Action::ReallocFail && set.get(u64::from(addr)).is_some() {
                    continue;
                }
                let event = event(action, thread, addr, size, time);
                set.apply(&event);
                ledger.apply(&event);
            }
            let live: BTreeMap<u64, (u64, u64)> =
                set.blocks().map(|b| (b.addr, (b.id.0, b.size))).collect();
            prop_assert_eq!(&live, &ledger.live);
            let totals = set.totals();
            prop_assert_eq!(totals.events, ledger.events);
            prop_assert_eq!(totals.live_bytes, ledger.bytes());
            prop_assert_eq!(totals.live_blocks, live.len() as u64);
            prop_assert_eq!((totals.allocs, totals.frees), (ledger.begun, ledger.ended));
            let peak_event = if ledger.begun == 0 { 0 } else { u64::MAX - ledger.peak.1 };
            prop_assert_eq!((totals.peak_bytes, totals.peak_event), (ledger.peak.0, peak_event));
            let balance = totals.frees + totals.overlaid + totals.live_blocks;
            prop_assert_eq!(totals.allocs, balance, "every block ended, was overlaid, or lives");
        }
    }

    proptest! {
        /// Of runs and of pieces of them, on sets of every kind: the same effects, totals and blocks.
        #[test]
        fn a_replay_does_what_the_events_do_one_by_one(
            inherited in prop::collection::btree_set(0u8..12, 0..8),
            kind in 0u8..4,
            steps in prop::collection::vec((0u8..8, 0u8..3, 0u8..12, 1u16..), 0..200),
            cuts in prop::collection::vec(0usize..200, 0..6),
        ) {
            let events: Vec<Event> = (0..)
                .zip(steps)
                .map(|(time, (action, thread, addr, size))| {
                    event(Action::from_u8(action).unwrap(), thread, addr, size, time)
                })
                .collect();
            let mut parent = LiveSet::new();
            for &addr in &inherited {
                parent.apply(&event(Action::Alloc, 0, addr, 8, 0));
            }
            let blocks = parent.blocks().copied();
            let mut singly = match kind {
                0 => LiveSet::new(),
                1 => LiveSet::forked(),
                2 => LiveSet::with_inherited(blocks),
                _ => LiveSet::with_nearly_inherited(blocks),
            };
            let mut together = singly.clone();
            let mut effects = events.iter().map(|event| {
                let effect = singly.apply(event);
                (effect, *singly.totals())
            });
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (events.len() + 1)).collect();
            cuts.extend([0, events.len()]);
            cuts.sort_unstable();
            for run in Run::of(&events) {
                for piece in cuts.windows(2) {
                    together.replay(run.stretch(piece[0]..piece[1]), |_, effect, totals| {
                        assert_eq!(Some((effect.map(|block| *block), *totals)), effects.next());
                    });
                }
            }
            prop_assert!(effects.next().is_none());
            drop(effects);
            prop_assert_eq!(singly.sorted(), together.sorted());
            prop_assert_eq!(together.state.slots.len(), together.sorted().len());
        }
    }

    proptest! {
        /// A heap that other threads change between the telling of a fork and the fork; then the child,
        /// which makes no mistake until its last two frees.
        #[test]
        fn a_nearly_known_heap_raises_no_false_alarm(
            told in prop::collection::btree_set(0u8..16, 0..16),
            real in prop::collection::btree_set(0u8..16, 0..16),
            steps in prop::collection::vec(0u8..16, 0..60),
        ) {
            let mut parent = LiveSet::new();
            for &addr in &told {
                parent.apply(&event(Action::Alloc, 0, addr, 8, 0));
            }
            let mut child = LiveSet::with_nearly_inherited(parent.blocks().copied());
            let mut live = real;
            for (time, &addr) in (0..).zip(&steps) {
                let freed = live.remove(&addr);
                let action = if freed { Action::Free } else { Action::Alloc };
                live.extend((!freed).then_some(addr));
                let effect = child.apply(&event(action, 1, addr, 8, time));
                prop_assert_ne!(effect, Effect::Unmatched);
                prop_assert_eq!(child.get(u64::from(addr)).is_some(), !freed);
            }
            prop_assert_eq!((child.totals().unmatched_frees, child.totals().overlaid), (0, 0));
            if let Some(&addr) = steps.last() {
                child.apply(&event(Action::Free, 1, addr, 0, 99));
                let twice = child.apply(&event(Action::Free, 1, addr, 0, 99));
                prop_assert_eq!(twice, Effect::Unmatched, "a double free is one");
            }
        }
    }

    #[test]
    fn a_nearly_known_heap_is_exact_where_the_child_was() {
        let mut child = LiveSet::with_nearly_inherited([]);
        child.apply(&event(Action::Alloc, 0, 5, 8, 0));
        child.apply(&event(Action::Alloc, 0, 5, 8, 1));
        assert_eq!(child.totals().overlaid, 1);
    }

    #[test]
    fn a_child_frees_what_it_inherited_once() {
        let mut child = LiveSet::forked();
        let free = event(Action::Free, 0, 5, 0, 0);
        assert_eq!(child.apply(&free), Effect::EndedInherited);
        assert_eq!(child.apply(&free), Effect::Unmatched);
        child.apply(&event(Action::Alloc, 0, 5, 8, 1));
        assert!(matches!(child.apply(&free), Effect::Ended(_)));
        assert_eq!(child.inherited_freed().collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn a_failed_realloc_of_an_inherited_block_gives_it_back() {
        let mut child = LiveSet::forked();
        child.apply(&event(Action::ReallocRelease, 0, 5, 100, 0));
        assert_eq!(child.inherited_freed().count(), 1);
        child.apply(&event(Action::ReallocFail, 0, 5, 100, 0));
        assert_eq!(child.inherited_freed().count(), 0);
        assert_eq!(child.totals().frees, 0);
    }
}
