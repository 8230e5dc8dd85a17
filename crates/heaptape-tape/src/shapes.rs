//! What events have in common: programs make few kinds of calls, again and again in the same order.
//!
//! A [`Shape`] is everything of an event but its time, thread and address. A block numbers the shapes
//! it uses as they first appear, and predicts the next one of a thread from that thread's last two; a
//! column of mostly zeros remains.

use crate::columns;
use crate::events::MAX_EVENTS;
use crate::model::*;
use crate::varint::{self, Cursor, Malformed};

/// An event without its time, thread and address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) action: Action,
    pub(crate) api: Api,
    pub(crate) align_log2: u8,
    pub(crate) backtrace: BacktraceId,
    pub(crate) size: u64,
    pub(crate) usable: u64,
}

impl Shape {
    pub(crate) fn of(event: &Event) -> Shape {
        Shape {
            action: event.action,
            api: event.api,
            align_log2: event.align_log2,
            backtrace: event.backtrace,
            size: event.size,
            usable: event.usable,
        }
    }

    /// Bytes that the block really takes: usable, or what glibc would give.
    pub(crate) fn room(&self) -> u64 {
        room(self.size, self.usable)
    }
}

/// Bytes that a block really takes: usable, or what glibc would give.
pub(crate) fn room(size: u64, usable: u64) -> u64 {
    if usable != 0 { usable } else { glibc_usable(size) }
}

/// The usable size that glibc's malloc gives for a size: 24, 40, 56 …
fn glibc_usable(size: u64) -> u64 {
    (size.wrapping_add(23) & !15).wrapping_sub(8).max(24)
}

/// The usable size to expect in a shape.
fn expected_usable(action: Action, size: u64) -> u64 {
    if action.begins_block() { glibc_usable(size) } else { 0 }
}

/// Code: the shape that followed when the last two were last the same.
const AFTER_TWO: u64 = 0;
/// Code: the shape that followed when the last one was last the same.
const AFTER_ONE: u64 = 1;
/// Code: a shape that was not seen before. Other codes are the shape's number plus [`SEEN`].
const NEW: u64 = 2;
const SEEN: u64 = 3;

/// The last two shapes of a thread.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Past {
    last: u32,
    before: u32,
}

/// Remembers which shape followed which two, and which one.
#[derive(Default)]
struct Predictor {
    after_two: Vec<u32>,
    after_one: Vec<u32>,
}

impl Predictor {
    const SLOTS_LOG2: u32 = 14;

    /// For shapes with numbers below `shapes`, in memory that was another's.
    fn new(shapes: usize, memory: Predictor) -> Predictor {
        let Predictor { mut after_two, mut after_one } = memory;
        after_two.clear();
        after_two.resize(1 << Predictor::SLOTS_LOG2, 0);
        after_one.clear();
        after_one.resize(shapes.max(1), 0);
        Predictor { after_two, after_one }
    }

    /// One more shape.
    fn grow(&mut self, shapes: usize) {
        self.after_one.resize(shapes.max(1), 0);
    }

    #[inline]
    fn slot(past: Past) -> usize {
        let key = u64::from(past.last) << 32 | u64::from(past.before);
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - Predictor::SLOTS_LOG2)) as usize
    }

    #[inline]
    fn remember(&mut self, slot: usize, past: &mut Past, number: u32) {
        self.after_two[slot] = number;
        self.after_one[past.last as usize] = number;
        *past = Past { last: number, before: past.last };
    }
}

/// Turns shapes into codes. One that has done with a run makes way for the next.
#[derive(Default)]
pub(crate) struct ShapeEncoder {
    index: Index,
    shapes: Vec<Shape>,
    predictor: Predictor,
    codes: Vec<u8>,
}

/// Which number a shape has: those of the shapes, at the places that follow from these.
#[derive(Default)]
struct Index {
    /// A power of two, at least twice the number of shapes; or none.
    numbers: Vec<u32>,
}

/// No shape: an empty place.
const NONE: u32 = u32::MAX;

impl Index {
    /// Empties it.
    fn clear(&mut self) {
        self.numbers.fill(NONE);
    }

    /// The number of a shape of these; `None` for a new one, which becomes the next of them.
    fn find_or_put(&mut self, shape: &Shape, shapes: &[Shape]) -> Option<u32> {
        if 2 * (shapes.len() + 1) > self.numbers.len() {
            self.grow(shapes);
        }
        let mut at = self.home(shape);
        loop {
            let number = self.numbers[at];
            if number == NONE {
                self.numbers[at] = shapes.len() as u32;
                return None;
            }
            if shapes[number as usize] == *shape {
                return Some(number);
            }
            at = (at + 1) & (self.numbers.len() - 1);
        }
    }

    #[inline]
    fn home(&self, shape: &Shape) -> usize {
        const KEY: u64 = 0x9e37_79b9_7f4a_7c15;
        let call = [shape.action as u8, shape.api as u8, shape.align_log2, 0];
        let call = u64::from(u32::from_le_bytes(call)) | u64::from(shape.backtrace.0) << 32;
        let hash = (call.wrapping_mul(KEY) ^ shape.size).wrapping_mul(KEY) ^ shape.usable;
        (hash.wrapping_mul(KEY) >> (64 - self.numbers.len().ilog2())) as usize
    }

    #[cold]
    fn grow(&mut self, shapes: &[Shape]) {
        let places = (2 * self.numbers.len()).max(1 << 10);
        self.numbers.clear();
        self.numbers.resize(places, NONE);
        for (shape, number) in shapes.iter().zip(0..) {
            let mut at = self.home(shape);
            while self.numbers[at] != NONE {
                at = (at + 1) & (places - 1);
            }
            self.numbers[at] = number;
        }
    }
}

impl ShapeEncoder {
    /// Begins a run.
    pub(crate) fn begin(&mut self) {
        self.index.clear();
        self.shapes.clear();
        self.codes.clear();
        self.predictor = Predictor::new(0, std::mem::take(&mut self.predictor));
    }

    #[inline]
    pub(crate) fn push(&mut self, past: &mut Past, shape: &Shape) {
        let slot = Predictor::slot(*past);
        let after_two = self.predictor.after_two[slot];
        let after_one = self.predictor.after_one[past.last as usize];
        let is = |number: u32| self.shapes.get(number as usize) == Some(shape);
        let number = if is(after_two) {
            self.codes.push(AFTER_TWO as u8);
            after_two
        } else if is(after_one) {
            self.codes.push(AFTER_ONE as u8);
            after_one
        } else {
            self.look_up(shape)
        };
        self.predictor.remember(slot, past, number);
    }

    /// The number of a shape that was not foreseen.
    fn look_up(&mut self, shape: &Shape) -> u32 {
        if let Some(number) = self.index.find_or_put(shape, &self.shapes) {
            varint::put(&mut self.codes, SEEN + u64::from(number));
            return number;
        }
        self.shapes.push(*shape);
        self.predictor.grow(self.shapes.len());
        varint::put(&mut self.codes, NEW);
        self.shapes.len() as u32 - 1
    }

    /// The column of codes.
    pub(crate) fn codes(&self) -> &[u8] {
        &self.codes
    }

    /// The shapes, in the order of their numbers, as columns of their own.
    pub(crate) fn table(&self) -> Vec<u8> {
        let [mut calls, mut backtraces, mut sizes, mut usables] = [const { Vec::new() }; 4];
        let mut last = 0;
        for shape in &self.shapes {
            calls.extend([shape.action as u8, shape.api as u8, shape.align_log2]);
            let backtrace = u64::from(shape.backtrace.0);
            varint::put_delta(&mut backtraces, last, backtrace);
            last = backtrace;
            varint::put(&mut sizes, shape.size);
            let expected = expected_usable(shape.action, shape.size);
            varint::put_delta(&mut usables, expected, shape.usable);
        }
        columns::join(&[&calls, &backtraces, &sizes, &usables])
    }
}

/// Turns codes into shapes. One that has done with a run makes way for the next.
#[derive(Default)]
pub(crate) struct ShapeDecoder {
    shapes: Vec<Shape>,
    seen: u32,
    predictor: Predictor,
}

impl ShapeDecoder {
    /// Begins a run.
    pub(crate) fn begin(&mut self, table: &[u8]) -> Result<(), Malformed> {
        let [mut calls, mut backtraces, mut sizes, mut usables] = columns::split::<4>(table)?;
        let mut shapes = std::mem::take(&mut self.shapes);
        shapes.clear();
        let mut last = 0;
        while !calls.is_empty() {
            if shapes.len() == MAX_EVENTS {
                return Err(Malformed("more shapes than events"));
            }
            let action = Action::from_u8(calls.byte()?).ok_or(Malformed("an unknown action"))?;
            let api = Api::from_u8(calls.byte()?).ok_or(Malformed("an unknown function"))?;
            let align_log2 = calls.byte()?;
            last = backtraces.delta(last)?;
            let backtrace = u32::try_from(last).map_err(|_| Malformed("a backtrace id"))?;
            let size = sizes.number()?;
            let usable = usables.delta(expected_usable(action, size))?;
            let backtrace = BacktraceId(backtrace);
            shapes.push(Shape { action, api, align_log2, backtrace, size, usable });
        }
        let predictor = Predictor::new(shapes.len(), std::mem::take(&mut self.predictor));
        *self = ShapeDecoder { shapes, seen: 0, predictor };
        Ok(())
    }

    /// Backtraces that are not on the tape (their block is lost) become empty ones.
    pub(crate) fn forget_backtraces_after(&mut self, last: u32) {
        for shape in &mut self.shapes {
            if shape.backtrace.0 > last {
                shape.backtrace = BacktraceId::NONE;
            }
        }
    }

    #[inline]
    pub(crate) fn next(
        &mut self,
        codes: &mut Cursor<'_>,
        past: &mut Past,
    ) -> Result<&Shape, Malformed> {
        let slot = Predictor::slot(*past);
        let number = match codes.number()? {
            AFTER_TWO => self.predictor.after_two[slot],
            AFTER_ONE => self.predictor.after_one[past.last as usize],
            NEW => {
                self.seen += 1;
                self.seen - 1
            }
            seen => u32::try_from(seen - SEEN).map_err(|_| Malformed("a shape's number"))?,
        };
        let shape =
            self.shapes.get(number as usize).ok_or(Malformed("a shape that is not there"))?;
        self.predictor.remember(slot, past, number);
        Ok(shape)
    }
}
