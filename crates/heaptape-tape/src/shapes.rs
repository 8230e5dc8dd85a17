//! What events have in common: programs make few kinds of calls, again and again in the same order.
//!
//! A [`Shape`] is everything of an event but its time, thread and address. A block numbers the shapes
//! it uses as they first appear, and predicts the next one of a thread from that thread's last two; a
//! column of mostly zeros remains.

use crate::columns;
use crate::events::MAX_EVENTS;
use crate::model::*;
use crate::varint::{self, Cursor, Malformed};
use rustc_hash::FxHashMap;

/// An event without its time, thread and address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// Code: the predicted shape.
const PREDICTED: u64 = 0;
/// Code: a shape that was not seen before. Other codes are the shape's number plus [`SEEN`].
const NEW: u64 = 1;
const SEEN: u64 = 2;

/// The last two shapes of a thread.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Past {
    last: u32,
    before: u32,
}

/// Remembers which shape followed which two.
struct Predictor {
    next: Vec<u32>,
}

impl Predictor {
    const SLOTS_LOG2: u32 = 12;

    fn new() -> Predictor {
        Predictor { next: vec![0; 1 << Predictor::SLOTS_LOG2] }
    }

    #[inline]
    fn slot(&mut self, past: Past) -> &mut u32 {
        let key = u64::from(past.last) << 32 | u64::from(past.before);
        let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - Predictor::SLOTS_LOG2);
        &mut self.next[hash as usize]
    }
}

#[inline]
fn remember(slot: &mut u32, past: &mut Past, number: u32) {
    *slot = number;
    *past = Past { last: number, before: past.last };
}

/// Turns shapes into codes.
pub(crate) struct ShapeEncoder {
    numbers: FxHashMap<Shape, u32>,
    shapes: Vec<Shape>,
    predictor: Predictor,
    codes: Vec<u8>,
}

impl ShapeEncoder {
    pub(crate) fn new() -> ShapeEncoder {
        ShapeEncoder {
            numbers: FxHashMap::default(),
            shapes: Vec::new(),
            predictor: Predictor::new(),
            codes: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, past: &mut Past, shape: Shape) {
        let slot = self.predictor.slot(*past);
        if self.shapes.get(*slot as usize) == Some(&shape) {
            varint::put(&mut self.codes, PREDICTED);
            let number = *slot;
            remember(slot, past, number);
            return;
        }
        let fresh = self.shapes.len() as u32;
        let number = *self.numbers.entry(shape).or_insert(fresh);
        if number == fresh {
            self.shapes.push(shape);
            varint::put(&mut self.codes, NEW);
        } else {
            varint::put(&mut self.codes, SEEN + u64::from(number));
        }
        remember(slot, past, number);
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

/// Turns codes into shapes.
pub(crate) struct ShapeDecoder {
    shapes: Vec<Shape>,
    seen: u32,
    predictor: Predictor,
}

impl ShapeDecoder {
    pub(crate) fn new(table: &[u8]) -> Result<ShapeDecoder, Malformed> {
        let [mut calls, mut backtraces, mut sizes, mut usables] = columns::split::<4>(table)?;
        let mut shapes = Vec::new();
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
        Ok(ShapeDecoder { shapes, seen: 0, predictor: Predictor::new() })
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
        let slot = self.predictor.slot(*past);
        let number = match codes.number()? {
            PREDICTED => *slot,
            NEW => {
                self.seen += 1;
                self.seen - 1
            }
            seen => u32::try_from(seen - SEEN).map_err(|_| Malformed("a shape's number"))?,
        };
        remember(slot, past, number);
        self.shapes.get(number as usize).ok_or(Malformed("a shape that is not there"))
    }
}
