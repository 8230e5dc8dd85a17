//! A run of events as columns, and back. A run stands alone: it is decoded without any other.
//!
//! Columns: table of shapes, shape codes, threads, ticks, and the three of the addresses. What an
//! event has in common with others is its shape ([`crate::shapes`]); an address is told by what an
//! allocator would do ([`crate::addresses`]).

use crate::addresses::{AddressDecoder, AddressEncoder, Hand};
use crate::columns;
use crate::model::*;
use crate::shapes::{Past, Shape, ShapeDecoder, ShapeEncoder};
use crate::varint::{self, Cursor, Malformed};
use rustc_hash::FxHashMap;

/// Most events of one run.
pub(crate) const MAX_EVENTS: usize = 1 << 16;

/// A thread within a run.
#[derive(Clone, Copy, Default)]
struct ThreadState {
    past: Past,
    hand: Hand,
}

/// Collects a run.
pub(crate) struct EventsEncoder {
    count: usize,
    last_tick: u64,
    shapes: ShapeEncoder,
    threads: ThreadEncoder,
    ticks: Vec<u8>,
    addresses: AddressEncoder,
}

impl EventsEncoder {
    pub(crate) fn new() -> EventsEncoder {
        EventsEncoder {
            count: 0,
            last_tick: 0,
            shapes: ShapeEncoder::new(),
            threads: ThreadEncoder::default(),
            ticks: Vec::new(),
            addresses: AddressEncoder::new(),
        }
    }

    /// Events so far.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Adds an event. `ended_room` are the bytes of the block it ends, 0 when not known: a hint at
    /// where the allocator will use them again.
    pub(crate) fn push(&mut self, event: &Event, tick: u64, ended_room: u64) {
        let (thread, state) = self.threads.switch_to(event.thread);
        let shape = Shape::of(event);
        self.shapes.push(&mut state.past, shape);
        varint::put(&mut self.ticks, tick.wrapping_sub(self.last_tick));
        self.last_tick = tick;
        if event.action.begins_block() {
            self.addresses.begin(thread, &mut state.hand, event.addr, shape.room());
        } else if event.action.ends_block() {
            self.addresses.end(thread, &mut state.hand, event.addr, ended_room);
        } else {
            self.addresses.other(event.addr);
        }
        self.count += 1;
    }

    /// The run as bytes.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.threads.end_run();
        let [begins, ends, far] = self.addresses.columns();
        columns::join(&[
            &self.shapes.table(),
            self.shapes.codes(),
            &self.threads.column,
            &self.ticks,
            begins,
            ends,
            far,
        ])
    }
}

/// Threads, as (thread, number of events) pairs; numbers them within the run.
#[derive(Default)]
struct ThreadEncoder {
    numbers: FxHashMap<ThreadId, u32>,
    states: Vec<ThreadState>,
    current: Option<(ThreadId, u32)>,
    run: u64,
    column: Vec<u8>,
}

impl ThreadEncoder {
    fn switch_to(&mut self, thread: ThreadId) -> (u32, &mut ThreadState) {
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
    states: Vec<ThreadState>,
    current: (ThreadId, u32),
    left: u64,
    column: Cursor<'a>,
}

impl<'a> ThreadDecoder<'a> {
    fn new(column: Cursor<'a>) -> ThreadDecoder<'a> {
        let current = (ThreadId(0), 0);
        ThreadDecoder {
            numbers: FxHashMap::default(),
            states: Vec::new(),
            current,
            left: 0,
            column,
        }
    }

    #[inline]
    fn next(&mut self) -> Result<(ThreadId, u32, &mut ThreadState), Malformed> {
        if self.left == 0 {
            self.next_run()?;
        }
        self.left -= 1;
        let (thread, number) = self.current;
        Ok((thread, number, &mut self.states[number as usize]))
    }

    fn next_run(&mut self) -> Result<(), Malformed> {
        let thread = ThreadId(self.column.number32()?);
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

/// Appends `count` events of a run to `out`.
pub(crate) fn decode(
    body: &[u8],
    count: usize,
    around: Surroundings,
    out: &mut Vec<Event>,
) -> Result<(), Malformed> {
    if count > MAX_EVENTS {
        return Err(Malformed("too many events"));
    }
    let [mut table, mut codes, threads, mut ticks, begins, ends, far] = columns::split::<7>(body)?;
    let mut shapes = ShapeDecoder::new(table.take_all())?;
    shapes.forget_backtraces_after(around.nodes);
    let mut threads = ThreadDecoder::new(threads);
    let mut addresses = AddressDecoder::new([begins, ends, far]);
    let mut tick = 0u64;
    out.reserve(count);
    for _ in 0..count {
        let (thread, number, state) = threads.next()?;
        if thread.0 >= around.threads {
            return Err(Malformed("a thread that is not on the tape"));
        }
        let shape = shapes.next(&mut codes, &mut state.past)?;
        tick = tick.wrapping_add(ticks.number()?);
        let addr = if shape.action.begins_block() {
            addresses.begin(number, &mut state.hand, shape.room())?
        } else if shape.action.ends_block() {
            addresses.end(number, &mut state.hand)?
        } else {
            addresses.other()?
        };
        out.push(Event {
            time: TimeNs(tick.saturating_mul(around.tick_ns)),
            thread,
            action: shape.action,
            api: shape.api,
            align_log2: shape.align_log2,
            addr,
            size: shape.size,
            usable: shape.usable,
            backtrace: shape.backtrace,
        });
    }
    Ok(())
}
