//! Numbers by id, in a table without holes: ids on a tape count from 0.

use crate::recording::Recording;
use heaptape_tape::{BacktraceId, ThreadId};

/// Bytes of tables that have `bytes` for every backtrace node of a recording.
pub(crate) fn bytes_by_node(recording: &dyn Recording, bytes: u64) -> u64 {
    bytes.saturating_mul(recording.nodes().len() as u64)
}

/// An id that is a place in a table.
pub(crate) trait Place: Copy {
    fn place(self) -> usize;
    fn at(place: usize) -> Self;
}

impl Place for BacktraceId {
    fn place(self) -> usize {
        self.0 as usize
    }
    fn at(place: usize) -> BacktraceId {
        BacktraceId(place as u32)
    }
}

impl Place for ThreadId {
    fn place(self) -> usize {
        self.0 as usize
    }
    fn at(place: usize) -> ThreadId {
        ThreadId(place as u32)
    }
}

/// A value for every id up to the greatest one that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Table<I, T> {
    values: Vec<T>,
    id: std::marker::PhantomData<I>,
}

impl<I, T> Default for Table<I, T> {
    fn default() -> Table<I, T> {
        Table { values: Vec::new(), id: std::marker::PhantomData }
    }
}

impl<I: Place, T: Clone + Default> Table<I, T> {
    /// The value of an id, to be changed.
    #[inline]
    pub(crate) fn of(&mut self, id: I) -> &mut T {
        let place = id.place();
        if place >= self.values.len() {
            self.grow(place);
        }
        &mut self.values[place]
    }

    /// The value of an id, if it was ever asked for.
    #[inline]
    pub(crate) fn get(&self, id: I) -> Option<&T> {
        self.values.get(id.place())
    }

    /// Ids and values, in the order of ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.values.iter().enumerate().map(|(place, value)| (I::at(place), value))
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> u64 {
        (self.values.capacity() * size_of::<T>()) as u64
    }

    #[cold]
    fn grow(&mut self, place: usize) {
        self.values.resize(place + 1, T::default());
    }
}
