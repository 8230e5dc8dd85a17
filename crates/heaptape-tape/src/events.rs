//! A run of events as columns, and back. A run stands alone: it is decoded without any other.
//!
//! What an event has in common with others is its shape ([`crate::shapes`]); the address of a block
//! that begins is told by what an allocator would do ([`crate::addresses`]), the block that ends by
//! what a program would do ([`crate::ends`]); threads and times by how often they stay the same.

use crate::addresses::{Hand, Pools, Told, pool_of};
use crate::columns;
use crate::ends::{EndsDecoder, EndsEncoder, EndsMemory, Origin};
use crate::model::*;
use crate::run::{Run, Spots};
use crate::shapes::{Past, Shape, ShapeDecoder, ShapeEncoder};
use crate::varint::{self, Cursor, Malformed};
use rustc_hash::FxHashMap;

/// Most events of one run: enough to show what a program does again and again, and few enough to
/// decode several runs at once.
pub(crate) const MAX_EVENTS: usize = 1 << 16;

/// An event as the writer hands it on: a cache line, from one processor to another.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Recorded {
    pub(crate) tick: u64,
    pub(crate) addr: u64,
    pub(crate) shape: Shape,
    pub(crate) ended: Ended,
    pub(crate) thread: ThreadId,
}

/// The block that an event ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ended {
    /// Begun in the same run, as the so-and-so-manieth.
    Here(u32),
    /// Another: its number and its room in units of 16 bytes, 0 where not known.
    Elder { id: u64, units: u32 },
}

impl Ended {
    pub(crate) const UNKNOWN: Ended = Ended::Elder { id: 0, units: 0 };
}

/// A thread within a run.
#[derive(Clone, Copy, Default)]
struct ThreadState<A> {
    past: Past,
    hand: Hand<A>,
}

/// Collects a run; then the next one, in the same memory.
pub(crate) struct EventsEncoder {
    shapes: ShapeEncoder,
    threads: ThreadEncoder,
    ticks: TickEncoder,
    pools: Pools<u64>,
    /// By block begun in this run: its pool.
    begun: Vec<u16>,
    begins: Vec<u8>,
    begin_ways: Vec<u8>,
    ends: EndsEncoder,
    others: Vec<u8>,
    last_other: u64,
}

impl EventsEncoder {
    pub(crate) fn new() -> EventsEncoder {
        let mut encoder = EventsEncoder {
            shapes: ShapeEncoder::default(),
            threads: ThreadEncoder::default(),
            ticks: TickEncoder::default(),
            pools: Pools::default(),
            begun: Vec::new(),
            begins: Vec::new(),
            begin_ways: Vec::new(),
            ends: EndsEncoder::default(),
            others: Vec::new(),
            last_other: 0,
        };
        encoder.begin();
        encoder
    }

    /// Forgets what it has collected.
    fn begin(&mut self) {
        self.shapes.begin();
        self.threads.begin();
        self.ticks.begin();
        self.pools.begin();
        self.begun.clear();
        self.begins.clear();
        self.begin_ways.clear();
        self.others.clear();
        self.last_other = 0;
    }

    /// Adds an event.
    pub(crate) fn push(&mut self, event: &Recorded) {
        let (rank, state) = self.threads.switch_to(event.thread);
        self.shapes.push(&mut state.past, &event.shape);
        self.ticks.push(event.tick);
        let (hand, addr) = (&mut state.hand, event.addr);
        if event.shape.action.begins_block() {
            let room = event.shape.room();
            let pool = pool_of(rank, room);
            let code = self.pools.code(hand, pool, addr, room, &mut self.begin_ways);
            self.begins.push(code);
            self.begun.push(pool);
            self.ends.begin();
        } else if event.shape.action.ends_block() {
            let pool = match event.ended {
                Ended::Here(number) => {
                    self.ends.end(number);
                    self.begun[number as usize]
                }
                Ended::Elder { id, units } => {
                    self.ends.end_elder(id, addr, units);
                    pool_of(rank, u64::from(units) << 4)
                }
            };
            self.pools.freed(hand, addr, pool);
        } else {
            varint::put_delta(&mut self.others, self.last_other, addr);
            self.last_other = addr;
        }
    }

    /// The run as bytes; the next one may begin.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        self.threads.end_run();
        self.ticks.end_run();
        let [ends, end_ways, elders, elder_ways, elder_units] = self.ends.finish();
        let body = columns::join(&[
            &self.shapes.table(),
            self.shapes.codes(),
            &self.threads.column,
            &self.ticks.column,
            &self.begins,
            &self.begin_ways,
            &ends,
            &end_ways,
            &elders,
            &elder_ways,
            &elder_units,
            &self.others,
        ]);
        self.begin();
        body
    }
}

/// Ticks, as (ticks since the time before, number of events) pairs.
#[derive(Default)]
struct TickEncoder {
    current: u64,
    since: u64,
    run: u64,
    column: Vec<u8>,
}

impl TickEncoder {
    fn begin(&mut self) {
        self.column.clear();
        (self.current, self.since, self.run) = (0, 0, 0);
    }

    #[inline]
    fn push(&mut self, tick: u64) {
        if tick != self.current {
            self.end_run();
            self.since = tick.wrapping_sub(self.current);
            self.current = tick;
        }
        self.run += 1;
    }

    fn end_run(&mut self) {
        if self.run > 0 {
            varint::put(&mut self.column, self.since);
            varint::put(&mut self.column, self.run);
        }
        self.run = 0;
    }
}

/// The other way.
struct TickDecoder<'a> {
    current: u64,
    left: u64,
    column: Cursor<'a>,
}

impl<'a> TickDecoder<'a> {
    fn new(column: Cursor<'a>) -> TickDecoder<'a> {
        TickDecoder { current: 0, left: 0, column }
    }

    #[inline]
    fn next(&mut self) -> Result<u64, Malformed> {
        if self.left == 0 {
            self.current = self.current.wrapping_add(self.column.number()?);
            self.left = self.column.number()?;
            if self.left == 0 {
                return Err(Malformed("a time of no events"));
            }
        }
        self.left -= 1;
        Ok(self.current)
    }
}

/// Threads, as (thread, number of events) pairs; numbers them within the run.
#[derive(Default)]
struct ThreadEncoder {
    numbers: FxHashMap<ThreadId, u32>,
    states: Vec<ThreadState<u64>>,
    current: Option<(ThreadId, u32)>,
    run: u64,
    column: Vec<u8>,
}

impl ThreadEncoder {
    fn begin(&mut self) {
        self.numbers.clear();
        self.states.clear();
        self.column.clear();
        (self.current, self.run) = (None, 0);
    }

    fn switch_to(&mut self, thread: ThreadId) -> (u32, &mut ThreadState<u64>) {
        let number = match self.current {
            Some((current, number)) if current == thread => number,
            _ => {
                self.end_run();
                let fresh = self.states.len() as u32;
                let number = *self.numbers.entry(thread).or_insert(fresh);
                if number == fresh {
                    self.states.push(ThreadState::default());
                }
                self.current = Some((thread, number));
                number
            }
        };
        self.run += 1;
        (number, &mut self.states[number as usize])
    }

    fn end_run(&mut self) {
        if let Some((thread, _)) = self.current {
            varint::put(&mut self.column, u64::from(thread.0));
            varint::put(&mut self.column, self.run);
        }
        self.run = 0;
    }
}

/// The other way.
struct ThreadDecoder<'a> {
    numbers: FxHashMap<ThreadId, u32>,
    states: Vec<ThreadState<u32>>,
    current: (ThreadId, u32),
    left: u64,
    /// Threads on the tape.
    known: u32,
    column: Cursor<'a>,
}

impl<'a> ThreadDecoder<'a> {
    fn new(column: Cursor<'a>, known: u32) -> ThreadDecoder<'a> {
        let current = (ThreadId(0), 0);
        ThreadDecoder {
            numbers: FxHashMap::default(),
            states: Vec::new(),
            current,
            left: 0,
            known,
            column,
        }
    }

    #[inline]
    fn next(&mut self) -> Result<(ThreadId, u32, &mut ThreadState<u32>), Malformed> {
        if self.left == 0 {
            self.next_run()?;
        }
        self.left -= 1;
        let (thread, number) = self.current;
        Ok((thread, number, &mut self.states[number as usize]))
    }

    fn next_run(&mut self) -> Result<(), Malformed> {
        let thread = ThreadId(self.column.number32()?);
        if thread.0 >= self.known {
            return Err(Malformed("a thread that is not on the tape"));
        }
        self.left = self.column.number()?;
        if self.left == 0 {
            return Err(Malformed("an empty run of a thread"));
        }
        let fresh = self.states.len() as u32;
        let number = *self.numbers.entry(thread).or_insert(fresh);
        if number == fresh {
            self.states.push(ThreadState::default());
        }
        self.current = (thread, number);
        Ok(())
    }
}

/// What a reader knows of the tape around a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings {
    pub(crate) tick_ns: u64,
    /// Backtrace nodes on the tape: greater ids become [`BacktraceId::NONE`].
    pub(crate) nodes: u32,
    /// Threads on the tape: a run that names others is refused.
    pub(crate) threads: u32,
}

/// Decodes runs, each by itself; the memory that it takes is kept for the next.
#[derive(Default)]
pub(crate) struct Decoder {
    shapes: ShapeDecoder,
    /// Of spots.
    pools: Pools<u32>,
    ends: EndsMemory,
    spots: Spots,
}

impl Decoder {
    /// Reads the `count` events of a run into `out`, replacing what it held.
    pub(crate) fn decode(
        &mut self,
        body: &[u8],
        count: usize,
        around: Surroundings,
        out: &mut Run,
    ) -> Result<(), Malformed> {
        if count > MAX_EVENTS {
            return Err(Malformed("too many events"));
        }
        let [
            mut table,
            mut codes,
            threads,
            ticks,
            mut begins,
            mut begin_ways,
            ends,
            end_ways,
            elders,
            elder_ways,
            elder_units,
            mut others,
        ] = columns::split::<12>(body)?;
        let Decoder { shapes, pools, ends: memory, spots } = self;
        shapes.begin(table.take_all())?;
        shapes.forget_backtraces_after(around.nodes);
        pools.begin();
        out.clear();
        let addrs = &mut out.addrs;
        spots.begin(addrs);
        let mut threads = ThreadDecoder::new(threads, around.threads);
        let mut ticks = TickDecoder::new(ticks);
        let ends = [ends, end_ways, elders, elder_ways, elder_units];
        let mut ends = EndsDecoder::new(ends, count, memory, |addr| spots.of(addr, addrs))?;
        let mut last_other = 0;
        out.events.reserve(count);
        out.spots.reserve(count);
        for _ in 0..count {
            let (thread, rank, state) = threads.next()?;
            let shape = shapes.next(&mut codes, &mut state.past)?;
            let tick = ticks.next()?;
            let hand = &mut state.hand;
            let spot = if shape.action.begins_block() {
                let room = shape.room();
                let pool = pool_of(rank, room);
                let spot = match pools.addr(hand, pool, begins.byte()?, room, &mut begin_ways)? {
                    Told::Known(spot) => spot,
                    Told::New(addr) => spots.of(addr, addrs),
                };
                ends.begin(spot, pool);
                spot
            } else if shape.action.ends_block() {
                let ended = ends.end()?;
                let pool = match ended.from {
                    Origin::Pool(pool) => pool,
                    Origin::Elder(room) => pool_of(rank, room),
                };
                pools.freed(hand, ended.spot, pool);
                ended.spot
            } else {
                last_other = others.delta(last_other)?;
                spots.of(last_other, addrs)
            };
            out.spots.push(spot);
            out.events.push(Event {
                time: TimeNs(tick.saturating_mul(around.tick_ns)),
                thread,
                action: shape.action,
                api: shape.api,
                align_log2: shape.align_log2,
                addr: addrs[spot as usize],
                size: shape.size,
                usable: shape.usable,
                backtrace: shape.backtrace,
            });
        }
        ends.finish(memory);
        Ok(())
    }
}
