//! Events that follow each other, and which of them are at one address.
//!
//! Who decodes a run knows the addresses that come in it again, and numbers all of them: *spots*. Who replays it
//! looks each address up once, however many blocks begin and end there.

use crate::events::MAX_EVENTS;
use crate::model::Event;
use crate::places::Places;
use std::ops::{Deref, Range};
use std::slice;

/// Numbers addresses in the order in which they first appear. Number 0 is address 0, whether it appears or not.
#[derive(Debug, Default)]
pub(crate) struct Spots {
    places: Places,
}

impl Spots {
    /// Begins a run.
    pub(crate) fn begin(&mut self, addrs: &mut Vec<u64>) {
        self.places.clear();
        addrs.clear();
        self.of(0, addrs);
    }

    /// The number of an address; one that is new is appended to `addrs`.
    #[inline]
    pub(crate) fn of(&mut self, addr: u64, addrs: &mut Vec<u64>) -> u32 {
        let next = addrs.len() as u32;
        let spot = self.places.find_or_put(addr, next, |number| addrs[number as usize]);
        if spot == next {
            addrs.push(addr);
        }
        spot
    }
}

/// The events of a run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    pub(crate) events: Vec<Event>,
    /// By event: the number of its address.
    pub(crate) spots: Vec<u32>,
    /// By number; no address comes twice.
    pub(crate) addrs: Vec<u64>,
}

impl Run {
    /// Events as runs, one after the other.
    pub fn of(events: &[Event]) -> impl Iterator<Item = Run> + '_ {
        events.chunks(MAX_EVENTS).map(|events| {
            let (mut run, mut spots) = (Run::default(), Spots::default());
            spots.begin(&mut run.addrs);
            run.events.extend_from_slice(events);
            run.spots.extend(events.iter().map(|event| spots.of(event.addr, &mut run.addrs)));
            run
        })
    }

    /// All its events.
    pub fn whole(&self) -> Stretch<'_> {
        self.stretch(0..self.events.len())
    }

    /// Some of its events.
    pub(crate) fn stretch(&self, range: Range<usize>) -> Stretch<'_> {
        Stretch {
            events: &self.events[range.clone()],
            spots: &self.spots[range],
            addrs: &self.addrs,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.events.clear();
        self.spots.clear();
        self.addrs.clear();
    }
}

/// Events of a run that follow each other: a slice of them for all who do not [replay](crate::LiveSet::replay) them.
#[derive(Clone, Copy, Debug)]
pub struct Stretch<'a> {
    events: &'a [Event],
    spots: &'a [u32],
    addrs: &'a [u64],
}

impl<'a> Stretch<'a> {
    /// The addresses of the run, by number.
    pub(crate) fn addrs(&self) -> &'a [u64] {
        self.addrs
    }

    /// So many events at a time, with the numbers of their addresses.
    pub(crate) fn chunks_with_spots(
        &self,
        count: usize,
    ) -> impl Iterator<Item = (&'a [Event], &'a [u32])> + use<'a> {
        self.events.chunks(count).zip(self.spots.chunks(count))
    }
}

impl Deref for Stretch<'_> {
    type Target = [Event];

    fn deref(&self) -> &[Event] {
        self.events
    }
}

impl<'a> IntoIterator for Stretch<'a> {
    type Item = &'a Event;
    type IntoIter = slice::Iter<'a, Event>;

    fn into_iter(self) -> slice::Iter<'a, Event> {
        self.events.iter()
    }
}
